#!/usr/bin/env bash
# tests/wast/run.sh BUILD -- scripts in the specification's language: ours, also collecting at every allocation, and the
# official test-suite. The suite is looked for in $HEMI_TESTSUITE, in checkouts beside this one, and in build/testsuite,
# where its pinned revision is fetched to. Exit status 77: the suite was not to be had, and this says so.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build=$1
runner=$build/tests/wast_runner
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

status=0
"$runner" --quiet tests/wast/scripts || status=1
"$runner" --quiet --stress 1 tests/wast/scripts || status=1
suite=$(find_suite)
if [ -z "$suite" ]; then
    echo "SKIPPED: the official test-suite is not here, and $revision of $url could not be fetched"
    exit $((status ? status : 77))
fi
HEMI_TESTSUITE=$suite "$runner" --quiet --expected tests/wast/expected-failures.txt || status=1
exit $status
