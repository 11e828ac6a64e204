#!/usr/bin/env bash
# tests/demo.sh BUILD [FILE ARGS...] -- what `./dev run` shows: a daemon, the example client on it, and a program run by
# the tool; or the program given. Leaves nothing behind.
set -euo pipefail
build=$1
shift
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=$(mktemp -d)
daemon=
stop() {
    if [ -n "$daemon" ]; then
        kill -TERM "$daemon" 2>/dev/null && wait "$daemon" || true
    fi
    rm -rf "$dir"
}
trap stop EXIT
export HEMI_SOCKET=$dir/hemi.sock

"$build/bin/hemid" --socket "$HEMI_SOCKET" --log-level warning &
daemon=$!
for _ in $(seq 200); do
    "$build/bin/hemi" ping >/dev/null 2>&1 && break
    sleep 0.05
done
"$build/bin/hemi" ping >/dev/null
echo "hemid is up: process $daemon, its worker $(cat "/proc/$daemon/task/$daemon/children" 2>/dev/null || echo unknown)"

if [ $# -gt 0 ]; then
    "$build/bin/hemi" run --stats "$@"
else
    "$build/bin/hemi" asm -o "$dir/tree.wasm" "$here/client/examples/tree.wat"
    "$build/examples/tree" "$dir/tree.wasm" 2000
fi
kill -TERM "$daemon"
wait "$daemon"
daemon=
[ ! -e "$HEMI_SOCKET" ]
echo "hemid has stopped, and its socket is gone"
