#!/usr/bin/env bash
# tests/bench/run.sh [PROGRAM.wasm...] -- Hemi and its peers from one run, as ratios.
# `run.sh interp [PROGRAM...]` is interp.sh: the interpreter alone, without the protocol. Times here are whole
# processes, medians of RUNS (5), the contestants taking turns; peers.sh says where they come from.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ "${1:-}" != interp ] || exec tests/bench/interp.sh "${@:2}"
runs=${RUNS:-5}
bin=$PWD/build/release/bin
here=$PWD/tests/bench
./dev build release
source tests/bench/peers.sh
wasmtime=$(get_wasmtime)
node=$(get_node)
wasm3=$(get_wasm3)

median() { sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# contest TITLE name=command... : the first is Hemi; prints median seconds, peak KB (largest process), ratios
contest() {
    local title=$1 i entry name
    shift
    printf '\n%s\n' "$title"
    rm -f "$scratch"/time.*
    for ((i = 0; i < runs; i++)); do
        for entry in "$@"; do
            name=${entry%%=*}
            python3 "$here/timed.py" "${entry#*=}" >>"$scratch/time.$name"
        done
    done
    local base
    base=$(cut -d' ' -f1 "$scratch/time.${1%%=*}" | median)
    for entry in "$@"; do
        name=${entry%%=*}
        local t m
        t=$(cut -d' ' -f1 "$scratch/time.$name" | median)
        m=$(cut -d' ' -f2 "$scratch/time.$name" | median)
        awk -v n="$name" -v t="$t" -v m="$m" -v b="$base" \
            'BEGIN { printf "  %-22s %8.3f s  %8.1f MB   hemi/%s = %.2f\n", n, t, m / 1024, n, b / t }'
    done
}

wasm() { "$bin/hemi" asm -o "$scratch/$(basename "$1" .wat).wasm" "$1" && echo "$scratch/$(basename "$1" .wat).wasm"; }

echo "peers: ${wasmtime:+$($wasmtime)} ${node:+; node $($node --version)} ${wasm3:+; wasm3 0.5.0 (pywasm3)}"
fib=$(wasm tests/modules/fib.wat)
contest "fib(35), whole process" hemi="$bin/hemi run --invoke run $fib 35" ${wasm3:+wasm3="$wasm3 $fib run 35"} \
    ${wasmtime:+wasmtime="$wasmtime $fib run 35"} ${node:+node="$node $here/peers/node.mjs $fib run 35"}
bt=$(wasm tests/modules/trees.wat)
contest "binary trees 16, whole process" hemi="$bin/hemi run --invoke run $bt 16" \
    ${wasmtime:+wasmtime="$wasmtime $bt run 16"} ${node:+node="$node $here/peers/node.mjs $bt run 16"}
for program in "$@"; do
    contest "$(basename "$program"), whole process" hemi="$bin/hemi run $program" ${wasmtime:+wasmtime="$wasmtime $program"} \
        ${node:+node="$node $here/peers/node.mjs $program"}
done
printf '\ntransport (a daemon and a client, medians of one run)\n'
dir=$(mktemp -d)
"$bin/hemid" --socket "$dir/hemi.sock" --log-level warning &
daemon=$!
trap 'kill $daemon; wait $daemon; rm -rf "$dir"' EXIT
for _ in $(seq 100); do "$bin/hemi" --socket "$dir/hemi.sock" ping >/dev/null 2>&1 && break; sleep 0.05; done
build/release/tests/bench_transport "$dir/hemi.sock" "$PWD/build/release/tests/pingpong"
