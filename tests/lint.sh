#!/usr/bin/env bash
# tests/lint.sh JOBS [FILES] -- what `./dev lint` runs: clang-format over all sources, clang-tidy over the project's own
# (not the tests), or both over FILES.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
jobs=$1
shift
if [ $# -gt 0 ]; then
    form=("$@") tidy=()
    for file in "$@"; do [[ $file == *.c ]] && tidy+=("$file"); done
else
    mapfile -t form < <(find base client heap proto runtime server tests -name '*.[ch]' | sort)
    mapfile -t tidy < <(find base client heap proto runtime server -name '*.c' | sort)
fi
status=0
./dev build release hemi_proto_generated || exit 1 # the compile commands, and the header that protoc-c writes
clang-format-19 --dry-run -Werror "${form[@]}" 2>&1 | sed -n 's/^\([^:]*\):[0-9].*/\1/p' | sort | uniq -c |
    awk '{ print "clang-format: " $2 " differs in " $1 " places" } END { exit NR > 0 }' || status=1
printf '%s\n' "${tidy[@]}" | xargs -r -P "$jobs" -n 3 clang-tidy-19 --quiet -p build/release 2>&1 |
    sed -E '/^[0-9]+ warnings? (generated|treated)|^Suppressed |^\[[0-9]+\/[0-9]+\] Processing/d' || status=1
[ $status -eq 0 ] && echo "lint: nothing found"
exit $status
