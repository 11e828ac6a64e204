#!/usr/bin/env bash
# tests/bench/interp.sh [PROGRAM...] -- the worker's engine alone beside wasm3 and Wasmtime: our programs (in C, compiled
# for wasm32, and in text), and loading large modules. A PROGRAM is FILE.wasm or FILE.wat, whose _initialize or _start
# runs, or FILE:EXPORT, FILE:EXPORT:ARGUMENT; what FILE.wasm prints must be what is in FILE.expected, if that is there.
# ONLY=name restricts our own to those with that in their name. Without a PROGRAM it is objects.wasm, a Kotlin program,
# from the folder HEMI_PROGRAMS or a folder `programs` near this checkout.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
./dev build release bench_engine hemi
source tests/bench/peers.sh
wasmtime=$(get_wasmtime) wasm3=$(get_wasm3)
programs=$scratch/interp
here=$PWD/tests/bench/interp
mkdir -p "$programs"
assemble() { build/release/bin/hemi asm -o "$2" "$1"; }
for source in "$here"/*.c; do
    name=$(basename "$source" .c)
    [ "$name" = engine ] && continue
    clang-19 --target=wasm32 -O2 -ffreestanding -fno-builtin -nostdlib -Wall -Wextra -Werror -Wl,--no-entry \
        -o "$programs/$name.wasm" "$source"
done
for source in "$here"/*.wat; do assemble "$source" "$programs/$(basename "$source" .wat).wasm"; done
find_objects() {
    local at
    for at in "${HEMI_PROGRAMS:-../programs}" ../*/programs; do
        [ -f "$at/objects.wasm" ] && echo "$at/objects.wasm" && return
    done
    echo "objects.wasm is not here (HEMI_PROGRAMS says where it is): left out" >&2
}
[ $# -gt 0 ] || mapfile -t objects < <(find_objects)
given=()
for program in "$@" ${objects[@]+"${objects[@]}"}; do
    file=${program%%:*}
    if [[ $file == *.wat ]]; then
        assemble "$file" "$programs/given-$(basename "$file" .wat).wasm"
        program=$programs/given-$(basename "$file" .wat).wasm${program#"$file"}
    fi
    given+=("$program")
done
exec python3 "$here/contest.py" --hemi build/release/tests/bench_engine ${wasm3:+--wasm3 "$wasm3"} \
    ${wasmtime:+--wasmtime "$wasmtime"} --runs "${RUNS:-5}" --programs "$programs" --only "${ONLY:-}" \
    --load "$(npm_file sql.js dist/sql-wasm.wasm)" "$(npm_file esbuild-wasm esbuild.wasm)" --given ${given[@]+"${given[@]}"}
