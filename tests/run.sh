#!/usr/bin/env bash
# tests/run.sh JOBS [FILTER] -- what `./dev test` runs: static checks, then unit and end-to-end tests in the release,
# sanitize, stress and debug builds, each libFuzzer target for half a minute, and five mutants that the seed draws. FILTER
# picks those with it in their name (layering, docs, tags, lint, PRESET/NAME_test, PRESET/wast, fuzz/NAME, mutants) and
# builds only what they need; HEMI_PRESETS names other builds. Closes with 'N passed, N failed'.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
jobs=$1 filter=${2:-}
passed=0 failed=0
log=build/test-logs
mkdir -p "$log"
export HEMI_SEED=${HEMI_SEED:-$((RANDOM * 32768 + RANDOM))}
# Check gives a test 4 seconds, which a busy machine can take away; those that set a time of their own keep it.
export CK_DEFAULT_TIMEOUT=${CK_DEFAULT_TIMEOUT:-60}
echo "seed $HEMI_SEED (HEMI_SEED=$HEMI_SEED repeats this run)"

# Unit tests read the official suite's modules; tests/wast/run.sh says itself where it is, or that it is not.
if [[ release/wat_roundtrip_test,sanitize/wat_roundtrip_test,stress/wat_roundtrip_test,debug/wat_roundtrip_test,coverage/wat_roundtrip_test == *"$filter"* ]]; then
    if suite=$(tests/wast/run.sh --suite); then export HEMI_TESTSUITE=$suite; else unset HEMI_TESTSUITE; fi
fi

check() { # name command... : a static check counts as one test
    local name=$1
    shift
    [[ $name == *"$filter"* ]] || return 0
    mkdir -p "$(dirname "$log/$name")"
    if "$@" >"$log/$name.log" 2>&1; then
        passed=$((passed + 1))
        echo "ok   $name"
    else
        failed=$((failed + 1))
        echo "FAIL $name"
        cat "$log/$name.log"
    fi
}

program() { # preset path [user] : a Check program, perhaps as an ordinary user; its summary line gives the counts
    local preset=$1 path=$2 user=${3:-} name status checks bad out build=$PWD/build/$1
    name=$(basename "$path")${user:+@user}
    out=$log/$preset-$name.log
    if [ -n "$user" ]; then
        as_user "$preset" "$path" >"$out" 2>&1
    else
        HEMI_BUILD=$build timeout -k 10 900 "$path" >"$out" 2>&1
    fi
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
    sed -n "s|^SKIPPED|SKIPPED in $preset/$name|p" "$out"
    if [ "$bad" -ne 0 ]; then
        echo "FAIL $preset/$name (status $status, log $out)"
        tail -n 40 "$out"
    else
        printf 'ok   %s/%s %s\n' "$preset" "$name" "$checks"
    fi
}

# root sees no EACCES and has no limits of processes and descriptors: what concerns the service runs also without it, from
# a copy where the checkout is not everybody's to read.
user_tests=(jail config handover supervisor supervisor_sweep e2e_lifecycle e2e_tenants e2e_crowd e2e_attack e2e_limits
    e2e_tool)
as=(setpriv --reuid 10001 --regid 10001 --clear-groups --bounding-set=-all)

as_user() { # preset path
    local build=$PWD/build/$1 path=$PWD/$2 copy= status
    if ! "${as[@]}" test -x "$path"; then
        copy=$(mktemp -d /tmp/hemi-user-XXXXXX)
        mkdir "$copy"/{bin,lib,tests}
        cp "$build"/bin/hemi{,d} "$copy/bin/"
        cp -P "$build"/lib/libhemi.so* "$copy/lib/"
        cp "$path" "$copy/tests/"
        chmod -R a+rX "$copy"
        build=$copy path=$copy/tests/$(basename "$path")
    fi
    (cd /tmp && HEMI_BUILD=$build LD_LIBRARY_PATH=$build/lib HOME=/tmp timeout -k 10 900 "${as[@]}" "$path")
    status=$?
    [ -z "$copy" ] || rm -r "$copy"
    return "$status"
}

is_for_user() { # preset name
    [ "$(id -u)" -eq 0 ] && [[ $1 == release || $1 == sanitize ]] && [[ " ${user_tests[*]} " == *" ${2%_test} "* ]] &&
        command -v setpriv >/dev/null
}

scripts() { # preset : scripts in the specification's language; each command counts
    local preset=$1 name=$1-wast good bad
    timeout -k 10 900 tests/wast/run.sh "build/$preset" >"$log/$name.log" 2>&1
    local status=$?
    read -r good bad < <(awk '/^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$/ { p += $1; f += $3 } END { print p + 0, f + 0 }' "$log/$name.log")
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

unit() { # the installed systemd unit, with the release build's programs
    [[ release/e2e_service_test == *"$filter"* ]] || return 0
    tests/service.sh build/release >"$log/service.log" 2>&1
    case $? in
        0) passed=$((passed + 1)) ;;
        77) sed 's/^SKIPPED/SKIPPED tests\/service.sh/' "$log/service.log" ;;
        *) failed=$((failed + 1)) && echo "FAIL tests/service.sh" && cat "$log/service.log" ;;
    esac
}

check layering tests/layering.sh
check docs tests/docs.sh
check tags tests/tags.sh
if command -v clang-tidy-19 >/dev/null && command -v clang-format-19 >/dev/null; then
    check lint tests/lint.sh "$jobs"
elif [[ lint == *"$filter"* ]]; then
    echo "SKIPPED lint: clang-tidy-19 and clang-format-19 are not installed (./dev lint installs them)"
fi

tests_of() { # preset : the names of its tests that the filter picks, from the sources, so that a removed test is not run
    local preset=$1 path name
    for path in tests/unit/*/*_test.c tests/unit/*/*/*_test.c tests/e2e/*_test.c tests/stencil/*_test.c tests/wast/run.sh; do
        name=$(basename "$path" .c)
        case $path in
            tests/e2e/*) name=e2e_$name ;;
            tests/wast/*) name=wast ;;
        esac
        [ "$preset/$name" != coverage/client_symbols_test ] || continue # its library exports counters
        [[ $preset/$name == *"$filter"* ]] && echo "$name"
    done
}

targets_of() { # test names : what to build for them; nothing means everything
    local name
    [ -n "$filter" ] || return 0
    for name in "$@"; do
        if [ "$name" = wast ]; then echo wast_runner; else echo "$name"; fi
    done
}

for preset in ${HEMI_PRESETS:-release sanitize stress debug}; do
    mapfile -t tests < <(tests_of "$preset")
    [ ${#tests[@]} -gt 0 ] || continue
    mapfile -t targets < <(targets_of "${tests[@]}")
    if ! (./dev build "$preset" "${targets[@]}") >"$log/build-$preset.log" 2>&1; then
        echo "FAIL build $preset"
        tail -n 60 "$log/build-$preset.log"
        failed=$((failed + 1))
        continue
    fi
    [ -n "$filter" ] || passed=$((passed + 1))
    [ "$preset" != release ] || unit
    for name in "${tests[@]}"; do
        if [ "$name" = wast ]; then scripts "$preset"; else program "$preset" "build/$preset/tests/$name"; fi
        if is_for_user "$preset" "$name"; then program "$preset" "build/$preset/tests/$name" user; fi
    done
done

for name in modules text differential; do
    check "fuzz/$name" env HEMI_FUZZ_OWN=1 tests/fuzz.sh "$name" 30 "$HEMI_SEED"
done
check mutants tests/mutants.sh 5

if [ "$passed" -eq 0 ] && [ "$failed" -eq 0 ]; then
    echo "FAIL no test matches '$filter'"
    failed=1
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
