#!/usr/bin/env bash
# tests/wast/suite.sh -- prints where the official test-suite is: in $HEMI_TESTSUITE, in checkouts beside this one, or in
# build/testsuite, where its pinned revision is fetched to. Status 1: it is not to be had, and standard error says so.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
revision=193e551ff22663995b1ac95dc62344133669e14b
url=https://github.com/WebAssembly/testsuite

is_suite() { [ -f "$1/i32.wast" ] && [ -f "$1/try_table.wast" ]; }

for at in "${HEMI_TESTSUITE:-}" build/testsuite ../testsuite ../*/testsuite; do
    is_suite "$at" && echo "$at" && exit
done
git init -q build/testsuite 2>/dev/null
timeout 120 git -C build/testsuite fetch -q --depth 1 "$url" "$revision" 2>/dev/null &&
    git -C build/testsuite checkout -q FETCH_HEAD && echo build/testsuite && exit
echo "the official test-suite is not here, and $revision of $url could not be fetched" >&2
exit 1
