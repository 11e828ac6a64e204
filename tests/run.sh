#!/usr/bin/env bash
# tests/run.sh JOBS [FILTER] -- what `./dev test` runs: static checks, then unit and end-to-end tests in the release,
# sanitize and stress builds. Closes with 'N passed, N failed'.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
jobs=$1 filter=${2:-}
passed=0 failed=0
log=build/test-logs
mkdir -p "$log"
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:detect_stack_use_after_return=0 UBSAN_OPTIONS=print_stacktrace=1
export HEMI_SEED=${HEMI_SEED:-$((RANDOM * 32768 + RANDOM))}
echo "seed $HEMI_SEED (HEMI_SEED=$HEMI_SEED repeats this run)"

check() { # name command... : a static check counts as one test
    local name=$1
    shift
    [[ $name == *"$filter"* ]] || return 0
    if "$@" >"$log/$name.log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $name"
        cat "$log/$name.log"
    fi
}

program() { # preset path : a Check program; its summary line gives the counts
    local preset=$1 path=$2 name status checks bad out
    name=$(basename "$path")
    [[ $preset/$name == *"$filter"* ]] || return 0
    out=$log/$preset-$name.log
    HEMI_BUILD=$PWD/build/$preset timeout -k 10 900 "$path" >"$out" 2>&1
    status=$?
    read -r checks bad < <(awk '/Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+/ {
        match($0, /Checks: [0-9]+/); c += substr($0, RSTART + 8, RLENGTH - 8)
        match($0, /Failures: [0-9]+/); f += substr($0, RSTART + 10, RLENGTH - 10)
        match($0, /Errors: [0-9]+/); f += substr($0, RSTART + 8, RLENGTH - 8) } END { print c + 0, f + 0 }' "$out")
    if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
        bad=1
        checks=$((checks + 1))
    fi
    if [ "$status" -eq 0 ] && [ "$checks" -eq 0 ]; then
        bad=1
        checks=1
        echo "$preset/$name ran no test" >>"$out"
    fi
    passed=$((passed + checks - bad)) failed=$((failed + bad))
    if [ "$bad" -ne 0 ]; then
        echo "FAIL $preset/$name (status $status, log $out)"
        tail -n 40 "$out"
    else
        printf 'ok   %s/%s %s\n' "$preset" "$name" "$checks"
    fi
}

scripts() { # preset : scripts in the specification's language; each command counts
    local preset=$1 name=$1-wast good bad
    [[ $preset/wast == *"$filter"* ]] || return 0
    timeout -k 10 900 tests/wast/run.sh "build/$preset" >"$log/$name.log" 2>&1
    local status=$?
    read -r good bad < <(awk '/^[0-9]+ passed, [0-9]+ failed$/ { p += $1; f += $3 } END { print p + 0, f + 0 }' "$log/$name.log")
    grep '^SKIPPED' "$log/$name.log"
    if [ "$status" -ne 0 ] && [ "$status" -ne 77 ] && [ "$bad" -eq 0 ]; then bad=1; fi
    passed=$((passed + good)) failed=$((failed + bad))
    if [ "$bad" -ne 0 ]; then
        echo "FAIL $preset/wast (status $status, log $log/$name.log)"
        tail -n 40 "$log/$name.log"
    else
        printf 'ok   %s/wast %s\n' "$preset" "$good"
    fi
}

check layering tests/layering.sh
check docs tests/docs.sh

for preset in release sanitize stress; do
    if ! (./dev build "$preset") >"$log/build-$preset.log" 2>&1; then
        echo "FAIL build $preset"
        tail -n 60 "$log/build-$preset.log"
        failed=$((failed + 1))
        continue
    fi
    passed=$((passed + 1))
    for path in build/"$preset"/tests/*_test; do
        [ -x "$path" ] && program "$preset" "$path"
    done
    scripts "$preset"
done

if [ "$passed" -eq 0 ] && [ "$failed" -eq 0 ]; then
    echo "no test matches '$filter'" >&2
    failed=1
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
