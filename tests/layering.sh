#!/usr/bin/env bash
# tests/layering.sh -- each folder includes only what its row allows. This table is the rule; docs/architecture.md draws it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rules='
base    base/
heap    heap/ base/
runtime runtime/ heap/ base/ proto/tables/
proto   proto/ base/
server  server/ base/ runtime/ heap/ proto/
client  client/ base/ proto/
'
bad=0
while read -r folder allowed; do
    [ -n "$folder" ] || continue
    while IFS=: read -r file line include; do
        path=$(sed -n 's/.*"\([^"]*\)".*/\1/p' <<<"$include")
        ok=0
        case $path in
            */*) for prefix in $allowed; do [[ $path == "$prefix"* ]] && ok=1; done ;;
            hemi.h | hemi.pb-c.h) ok=1 ;;
        esac
        if [ "$ok" = 0 ]; then
            echo "$file:$line: $folder/ may not include \"$path\" (allowed: $allowed; always by path from the root)"
            bad=1
        fi
    done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "$folder" --include='*.c' --include='*.h' --include='*.def' || true)
done <<<"$rules"
# Nothing under heap/ or runtime/ may print, exit or do socket I/O.
if grep -rnE '\b(printf|fprintf|puts|perror|exit|socket|sendmsg|recvmsg)[[:space:]]*\(' base heap runtime --include='*.c' --include='*.h' |
    grep -vE 'snprintf|runtime/stencil/' ; then
    echo "library folders never print, exit or talk"
    bad=1
fi
# libc's assertions are off in most builds, and name no invariant: base/check.h is for our own state.
if grep -rnE '<assert\.h>|\bassert[[:space:]]*\(' base heap runtime proto server client --include='*.c' --include='*.h' --include='*.def'; then
    echo "no assert: CHECK or CHECK_DEBUG of base/check.h"
    bad=1
fi
exit $bad
