#!/usr/bin/env bash
# tests/wast/selftest.sh RUNNER -- is the runner able to fail? A script in which everything is wrong, a worker that is
# killed, and a report that a machine reads. Prints 'N passed, N failed'.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
runner=$(cd - >/dev/null && realpath "$1")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0

check() { # text condition... : one test
    local text=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "  FAIL $text"
        tail -n 5 "$dir/out"
    fi
}
ends_with() { [ "$(tail -n 1 "$dir/out")" = "$1" ]; }
child_of() { cut -d' ' -f1 "/proc/$1/task/$1/children" 2>/dev/null; } # the first
has() { grep -qE -- "$1" "$dir/out"; }

commands=$(grep -c '^(' selftest/wrong.wast)
right=$(grep -c '^(.*;; right' selftest/wrong.wast)
wrong=$((commands - right))
for way in "" --stress --fault-checks=off --store-per-module; do
    "$runner" $way --junit="$dir/junit.xml" selftest/wrong.wast >"$dir/out" 2>&1
    check "wrong assertions give status 1 ($way)" [ $? -eq 1 ]
    check "each of $wrong wrong commands fails ($way)" ends_with "$right passed, $wrong failed, 0 skipped"
done
cp "$dir/junit.xml" "$dir/out"
check "JUnit: a case for each command" [ "$(grep -c '<testcase ' "$dir/junit.xml")" -eq "$commands" ]
check "JUnit: a failure for each that failed" [ "$(grep -c '<failure message="[^"<>]*"/></testcase>$' "$dir/junit.xml")" -eq "$wrong" ]
check "JUnit: the totals" has "<testsuites name=\"wast\" tests=\"$commands\" failures=\"$wrong\" errors=\"0\" skipped=\"0\" time=\"[0-9.]+\">"

"$runner" --workers=1 selftest/slow.wast scripts/calls.wast >"$dir/out" 2>&1 &
pid=$!
for _ in $(seq 600); do
    worker=$(child_of "$(child_of $pid)")
    [ -n "$worker" ] && [ "$(cut -d' ' -f14 "/proc/$worker/stat")" -gt 50 ] && break
    sleep 0.1
done
kill -9 "$worker"
wait $pid
check "a lost worker gives status 1" [ $? -eq 1 ]
check "it costs its file" has '^slow.wast +2 passed +1 failed +2 skipped CRASHED$'
check "and no other" has '^calls.wast +[0-9]+ passed +0 failed +0 skipped$'

"$runner" --opcodes scripts/calls.wast >"$dir/out" 2>&1
check "an instruction that is not executed gives status 1" [ $? -eq 1 ]
check "and is named" has '^  i32x4.add \(I32X4_ADD\) was never executed$'
check "one that is executed is not" [ "$(grep -c ' (CALL) was never executed' "$dir/out")" -eq 0 ]

"$runner" --list --junit="$dir/none" scripts/calls.wast >"$dir/out" 2>&1
check "a list names the scripts and runs none" ends_with scripts/calls.wast
"$runner" --list selftest/folder >"$dir/out" 2>&1
check "a folder's folders are listed behind its scripts, proposals are not" \
    [ "$(cat "$dir/out")" = $'selftest/folder/texts.wast\nselftest/folder/deeper/classes.wast' ]
mkdir -p "$dir"/f/{legacy,proposals,.hidden,b,a}
touch "$dir"/f/{z,m,d,c}.wast "$dir"/f/notes.txt "$dir"/f/{legacy,proposals,.hidden,b,a}/x.wast
ln -s . "$dir/f/link"
"$runner" --list "$dir/f" >"$dir/out" 2>&1
check "in order, and nothing else: no other files, no links to folders, no folders of other languages" \
    [ "$(sed "s|^$dir/f/||" "$dir/out" | tr '\n' ' ')" = 'c.wast d.wast m.wast z.wast a/x.wast b/x.wast ' ]
"$runner" selftest/folder >"$dir/out" 2>&1
check "a trap's text is compared" has '^texts.wast +1 passed +3 failed'
"$runner" --any-text selftest/folder >"$dir/out" 2>&1
check "by class only it is not" has '^texts.wast +4 passed +0 failed'
check "its class is" has '^classes.wast +2 passed +4 failed'
mkdir "$dir/pipe" && mkfifo "$dir/pipe/x.wast"
timeout 60 "$runner" "$dir/pipe" >"$dir/out" 2>&1
check "a pipe is no script" [ $? -eq 1 ]
"$runner" absent.wast >"$dir/out" 2>&1
check "a file that is not there gives status 2" [ $? -eq 2 ]
HEMI_TESTSUITE='' "$runner" >"$dir/out" 2>&1
check "nothing to run gives a status of its own" [ $? -ne 0 ]
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
