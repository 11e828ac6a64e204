# tests/bench/peers.sh -- sourced by the benchmarks, from the project's root: the engines that Hemi is measured beside.
# They are built once in a scratch folder (HEMI_BENCH_DIR, default ~/.cache/hemi-bench) from the package registries. One
# that cannot be had is named and left out: its variable is empty then.
scratch=${HEMI_BENCH_DIR:-$HOME/.cache/hemi-bench}
mkdir -p "$scratch"
peers=$PWD/tests/bench/peers

# peer NAME FILE SOURCE BUILD-COMMAND: prints FILE if it is there and not older than SOURCE, or could be built
peer() {
    if [ ! -e "$2" ] || [ "$3" -nt "$2" ]; then
        echo "building peer $1 in $scratch (once)" >&2
        (eval "$4") >"$scratch/$1.log" 2>&1 || { echo "peer $1 is not to be had here: see $scratch/$1.log" >&2; return 0; }
    fi
    echo "$2"
}

get_wasmtime() {
    peer wasmtime "$scratch/wasmtime/target/release/peer-wasmtime" "$peers/wasmtime/src/main.rs" \
        "cp -r $peers/wasmtime $scratch/ && cd $scratch/wasmtime && cargo build --release"
}
get_node() {
    peer node "$scratch/node/node_modules/.bin/node" /dev/null \
        "mkdir -p $scratch/node && cd $scratch/node && npm init -y && npm i node@26"
}
get_wasm3() {
    peer wasm3 "$scratch/peer-wasm3" "$peers/wasm3.c" \
        "cd $scratch && pip download pywasm3==0.5.0 --no-deps --no-binary :all: -d . && tar xf pywasm3-*.tar.gz &&
         clang-19 -O3 -DNDEBUG -Ipywasm3-0.5.0/wasm3 $peers/wasm3.c pywasm3-0.5.0/wasm3/*.c -lm -o peer-wasm3"
}
# npm_file PACKAGE FILE: a file of a package of npm, as a large module to load
npm_file() {
    peer "$1" "$scratch/npm/node_modules/$1/$2" /dev/null \
        "mkdir -p $scratch/npm && cd $scratch/npm && npm init -y && npm i --ignore-scripts $1"
}
