#!/usr/bin/env bash
# tests/wast/run.sh BUILD -- scripts in the specification's language through a daemon's socket: ours in every way that
# they can run, the runner's own tests, and the whole official test-suite, which takes seconds in every build. It is
# looked for in $HEMI_TESTSUITE, in checkouts beside this one, and in build/testsuite, where its pinned revision is
# fetched to. Exit status 77: it was not to be had, and this says so. `run.sh --suite` only prints where the suite is.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
revision=193e551ff22663995b1ac95dc62344133669e14b
url=https://github.com/WebAssembly/testsuite

is_suite() { [ -f "$1/i32.wast" ] && [ -f "$1/try_table.wast" ]; }

find_suite() {
    local at
    for at in "${HEMI_TESTSUITE:-}" build/testsuite ../testsuite ../*/testsuite; do
        is_suite "$at" && echo "$at" && return
    done
    git init -q build/testsuite 2>/dev/null
    timeout 120 git -C build/testsuite fetch -q --depth 1 "$url" "$revision" 2>/dev/null &&
        git -C build/testsuite checkout -q FETCH_HEAD && echo build/testsuite
}

if [ "${1:-}" = --suite ]; then
    find_suite
    exit
fi

build=$1
runner=$build/tests/wast_runner
status=0
for way in "" --stress --fault-checks=off --store-per-module --round-trip; do
    echo "ours ${way:-as they are}"
    "$runner" --quiet $way tests/wast/scripts || status=1
done
tests/wast/selftest.sh "$runner" || status=1
suite=$(find_suite)
if [ -z "$suite" ]; then
    echo "SKIPPED: the official test-suite is not here, and $revision of $url could not be fetched"
    exit $((status ? status : 77))
fi
for way in "" --fault-checks=off --store-per-module --round-trip; do
    echo "the suite ${way:-as it is}"
    "$runner" --quiet $way "$suite" || status=1
done
echo "every instruction, in the suite and ours"
"$runner" --quiet --opcodes "$suite" tests/wast/scripts || status=1
exit $status
