#!/usr/bin/env bash
# tests/image.sh BUILD -- what `./dev image` runs: puts together the root of the Dockerfile's image, runs it with runc as
# Docker would with --user 10001 --read-only --cap-drop ALL --security-opt no-new-privileges --network none, and drives
# it from outside through the mounted socket. HEMI_SECCOMP_PROFILE names the seccomp profile (JSON as in an OCI bundle's linux.seccomp),
# such as Docker's default one resolved for no capabilities. Needs root. Leaves BUILD/image/root.
set -euo pipefail
build=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
root=$build/image/root
user=10001
die() { echo "image: $*" >&2; exit 1; }
[ "$(id -u)" -eq 0 ] || die "a container needs root here: run it with sudo"

bundle() { # writes config.json beside the root
    local seccomp=
    if [ -n "${HEMI_SECCOMP_PROFILE:-}" ]; then
        [ -r "$HEMI_SECCOMP_PROFILE" ] || die "cannot read $HEMI_SECCOMP_PROFILE"
        seccomp=", \"seccomp\": $(cat "$HEMI_SECCOMP_PROFILE")"
    fi
    cat >"$build/image/config.json" <<JSON
{
  "ociVersion": "1.0.2",
  "process": {
    "terminal": false, "user": { "uid": $user, "gid": $user }, "cwd": "/", "noNewPrivileges": true,
    "args": ["/usr/bin/hemid", "--config", "/etc/hemi/hemid.conf"], "env": ["PATH=/usr/bin"],
    "capabilities": { "bounding": [], "effective": [], "permitted": [], "inheritable": [], "ambient": [] }
  },
  "root": { "path": "root", "readonly": true },
  "hostname": "hemi",
  "mounts": [
    { "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"] },
    { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"] },
    { "destination": "/run/hemi", "type": "bind", "source": "$dir/run", "options": ["bind", "rw", "nosuid", "nodev"] }
  ],
  "linux": {
    "namespaces": [{ "type": "pid" }, { "type": "network" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" }],
    "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi"],
    "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]$seccomp
  }
}
JSON
}

dir=$(mktemp -d)
name=hemi-image-$$
container=
stop() {
    if [ -n "$container" ]; then
        runc --root "$dir/state" kill "$name" KILL 2>/dev/null || true
        wait "$container" || true
        runc --root "$dir/state" delete --force "$name" 2>/dev/null || true
    fi
    rm -rf "$dir"
}
trap stop EXIT
chmod 0755 "$dir"
install -d -o $user -g $user -m 0755 "$dir/run"
socket=$dir/run/hemi.sock
hemi() { timeout 30 "$build/bin/hemi" --socket "$socket" "$@"; }

rm -rf "$build/image"
"$here/deploy/root.sh" "$build" "$root"
mkdir -p "$root/run/hemi"
bundle
echo "root: $(du -sk --apparent-size "$root" | cut -f1) KiB, $(find "$root" -type f | wc -l) files"
if [ -n "${HEMI_SECCOMP_PROFILE:-}" ]; then
    echo "seccomp profile: $HEMI_SECCOMP_PROFILE"
else
    echo "seccomp profile: none (HEMI_SECCOMP_PROFILE names one); the workers' own filters only"
fi

runc --root "$dir/state" run --bundle "$build/image" "$name" >"$dir/log" 2>&1 &
container=$!
for _ in $(seq 100); do
    hemi ping >/dev/null 2>&1 && break
    kill -0 "$container" 2>/dev/null || break
    sleep 0.1
done
hemi ping || { cat "$dir/log" >&2; die "the daemon does not answer"; }
hemi info || die "info failed"

# The processes, as the system sees them from outside.
for pid in $(runc --root "$dir/state" ps --format json "$name" | tr -d '[]' | tr ',' ' '); do
    echo "process $(awk '/^(Name|Uid|CapBnd|CapEff|NoNewPrivs|Seccomp|Seccomp_filters):/ { printf "%s %s  ", $1, $2 }' \
        "/proc/$pid/status")"
done

cat >"$dir/guest.wat" <<'WAT'
(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
WAT
sum=$(hemi run --invoke add "$dir/guest.wat" 40 2) || die "the guest failed: $sum"
[ "$sum" = 42 ] || die "40 + 2 = $sum"
echo "a guest ran: 40 + 2 = $sum"

runc --root "$dir/state" kill "$name" TERM
status=0
wait "$container" || status=$?
container=
[ "$status" -eq 0 ] || { cat "$dir/log" >&2; die "after SIGTERM the exit status was $status"; }
[ ! -e "$socket" ] || die "the socket is left"
echo "the daemon's log:"
sed 's/^/  /' "$dir/log"
echo "SIGTERM: drained, exit status 0, the socket is gone"
