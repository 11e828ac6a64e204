#!/usr/bin/env bash
# tests/service.sh BUILD -- the installed systemd unit as systemd sees it: correct, and no more exposed than it was.
# Exit status 77, with the reason, where systemd cannot be asked.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=$1
exposed=15 # tenths, of systemd-analyze's 0 to 100; it is 1.1 now
command -v systemd-analyze >/dev/null || { echo "SKIPPED: no systemd-analyze (package systemd)"; exit 77; }
systemd-analyze syscall-filter @default >/dev/null 2>&1 || { echo "SKIPPED: systemd-analyze cannot run here"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for part in service daemon; do cmake --install "$build" --prefix "$dir" --component $part >/dev/null; done
unit=$dir/lib/systemd/system/hemid.service
# What it only warns of, such as a group of system calls that it does not know, is wrong, too.
said=$(systemd-analyze verify "$unit" 2>&1) || { echo "verify: $said"; exit 1; }
[ -z "$said" ] || { echo "verify: $said"; exit 1; }
said=$(systemd-analyze security --offline=true --threshold=$exposed "$unit" 2>&1) || { echo "security: $said"; exit 1; }
echo "$said" | tail -n 1
