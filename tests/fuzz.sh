#!/usr/bin/env bash
# tests/fuzz.sh NAME SECONDS [SEED] -- one fuzzer for so long; stops at the first finding and says how to repeat it.
#   modules       libFuzzer: decoder, validator, translator
#   text          libFuzzer: assembler and disassembler, and that they agree
#   differential  libFuzzer: generated and mutated modules, run in every way, agree
#   frames        mutated frames and modules against running daemons, the tests of the sanitize build with new seeds
#   kills         clients killed at work, as many as SECONDS says: no worker may end
#   session       wild clients against the sanitize build's daemon: lawful in form, killed, stopped, hung up on at any time
# The libFuzzer ones start from the modules of our own scripts (tests/wast/scripts) and of the official test-suite where
# it is to be had, and keep their corpus in build/fuzz/corpus, what they find in build/fuzz/findings.
# HEMI_FUZZ_OWN=1: from our own alone, anew each time. HEMI_FUZZ_INPUT=FILE runs one input instead.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
name=${1:-} seconds=${2:-600} seed=${3:-$RANDOM}
corpus=build/fuzz/corpus findings=build/fuzz/findings
if [ -n "${HEMI_FUZZ_OWN:-}" ]; then
    corpus=build/fuzz/own
    rm -rf "$corpus"
fi

mutations() {
    ./dev build sanitize
    local end=$((SECONDS + seconds)) rounds=0 test
    while [ $SECONDS -lt $end ]; do
        for test in build/sanitize/tests/{e2e_fuzz,decode,validate,proto_mutation,wat}_test; do
            [ -x "$test" ] || continue
            HEMI_BUILD=$PWD/build/sanitize HEMI_SEED=$seed HEMI_FUZZ_FRAMES=500 "$test" >build/fuzz.log 2>&1 || {
                tail -n 40 build/fuzz.log
                echo "failed: HEMI_SEED=$seed HEMI_FUZZ_FRAMES=500 $test"
                exit 1
            }
        done
        seed=$((seed + 1)) rounds=$((rounds + 1))
    done
    echo "$rounds rounds, nothing found"
}

# One process tree, one seed: what it prints at a finding is the tail of what was done.
clients() { # VARIABLE that takes the second argument, its unit
    ./dev build sanitize hemid "e2e_${name}_test"
    env HEMI_BUILD="$PWD/build/sanitize" HEMI_SEED="$seed" "$1=$seconds" "build/sanitize/tests/e2e_${name}_test" \
        >build/fuzz.log 2>&1 || {
        tail -n 100 build/fuzz.log
        echo "failed: ./dev fuzz $name $seconds $seed repeats it (the whole log: build/fuzz.log)"
        exit 1
    }
    grep -E ' rounds; | clients \(' build/fuzz.log
    echo "$name: $seconds $2 from seed $seed, nothing found"
}

make_seeds() {
    local suite
    [ -e "$corpus/modules/seed-00000" ] || [ -e "$corpus/text/seed-00000" ] && return
    mkdir -p "$corpus"/{modules,text,differential} "$findings"
    suite=
    [ -n "${HEMI_FUZZ_OWN:-}" ] || suite=$(tests/wast/run.sh --suite) || suite=
    ./dev build fuzz fuzz_seeds
    build/fuzz/tests/fuzz_seeds "$corpus/modules" "$corpus/text" ${suite:+"$suite"/*.wast} tests/wast/scripts/*.wast
    cp "$corpus"/text/seed-*0 "$corpus/differential/" # any bytes are a program for the generator
    cp -r "$corpus"/modules/. "$corpus/differential/"
    cp -r "$corpus"/modules/. "$corpus/text/"
}

target() {
    local options=(-max_total_time="$seconds" -seed="$seed" -timeout=30 -rss_limit_mb=4096 -max_len=16384
        -print_final_stats=1 -verbosity=1 -artifact_prefix="$findings/$name-")
    [ "$name" = text ] && options+=(-dict=tests/fuzz/text.dict)
    mkdir -p "$corpus/$name" "$findings"
    ./dev build fuzz "${name}_fuzz"
    if [ -n "${HEMI_FUZZ_INPUT:-}" ]; then exec "build/fuzz/tests/${name}_fuzz" "$HEMI_FUZZ_INPUT"; fi
    make_seeds
    "build/fuzz/tests/${name}_fuzz" "${options[@]}" "$corpus/$name" >"build/fuzz/$name.log" 2>&1 || {
        tail -n 60 "build/fuzz/$name.log"
        echo "found something: HEMI_FUZZ_INPUT=<the file above in $findings> ./dev fuzz $name repeats it"
        exit 1
    }
    grep -E '^stat::number_of_executed_units|^Done' "build/fuzz/$name.log"
    echo "$name: $seconds seconds from seed $seed, nothing found"
}

export ASAN_OPTIONS=detect_leaks=1:allow_user_segv_handler=1:detect_stack_use_after_return=0 UBSAN_OPTIONS=print_stacktrace=1
case $name in
    frames) mutations ;;
    kills) clients HEMI_KILLS kills ;;
    session) clients HEMI_FUZZ_SECONDS seconds ;;
    modules | text | differential) target ;;
    *)
        sed -n '2,12s/^# \{0,1\}//p' tests/fuzz.sh >&2
        exit 2
        ;;
esac
