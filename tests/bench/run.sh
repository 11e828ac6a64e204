#!/usr/bin/env bash
# tests/bench/run.sh [PROGRAM.wasm...] -- Hemi and its peers from one run, as ratios.
# Peers are built in a scratch folder (HEMI_BENCH_DIR, default ~/.cache/hemi-bench) from the package registries:
# Wasmtime (its crate, copying collector), Node 26 (npm), wasm3 (the source in PyPI's pywasm3). A peer that cannot be
# had is skipped and named. Times are whole processes, medians of RUNS (5), the contestants taking turns.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
scratch=${HEMI_BENCH_DIR:-$HOME/.cache/hemi-bench}
runs=${RUNS:-5}
bin=$PWD/build/release/bin
here=$PWD/tests/bench
mkdir -p "$scratch"
./dev build release

peer() { # name test-command build-command
    if ! eval "$2" >/dev/null 2>&1; then
        echo "building peer $1 in $scratch (once)" >&2
        (eval "$3") >"$scratch/$1.log" 2>&1 || echo "peer $1 is not to be had here: see $scratch/$1.log" >&2
    fi
    eval "$2" >/dev/null 2>&1
}
wasmtime=$scratch/wasmtime/target/release/peer-wasmtime
node=$scratch/node/node_modules/.bin/node
wasm3=$scratch/peer-wasm3
peer wasmtime "[ -x $wasmtime ]" "cp -r $here/peers/wasmtime $scratch/ && cd $scratch/wasmtime && cargo build --release" || wasmtime=
peer node "[ -x $node ]" "mkdir -p $scratch/node && cd $scratch/node && npm init -y && npm i node@26" || node=
peer wasm3 "[ -x $wasm3 ]" "cd $scratch && pip download pywasm3==0.5.0 --no-deps --no-binary :all: -d . && tar xf pywasm3-*.tar.gz &&
    clang-19 -O3 -DNDEBUG -Ipywasm3-0.5.0/wasm3 $here/peers/wasm3.c pywasm3-0.5.0/wasm3/*.c -lm -o peer-wasm3" || wasm3=

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

wasm() { "$bin/hemi" assemble --output "$scratch/$(basename "$1" .wat).wasm" "$1" && echo "$scratch/$(basename "$1" .wat).wasm"; }

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
