#!/usr/bin/env bash
# tests/layering.sh -- each folder includes only what its row allows, an inner room only what its own row does as well.
# This table is the rule, and has a row for every room; docs/architecture.md draws it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rules='
base    base/
heap    heap/ base/
runtime runtime/ heap/ base/ proto/tables/
runtime/types     runtime/types/ heap/ base/ proto/tables/
runtime/engine    runtime/engine/ runtime/runtime.h runtime/types/ base/ proto/tables/
runtime/module    runtime/module/ runtime/engine/ runtime/types/ heap/ base/ proto/tables/
runtime/code      runtime/code/ runtime/runtime.h runtime/module/ runtime/engine/ heap/ base/ proto/tables/
runtime/translate runtime/translate/ runtime/runtime.h runtime/code/ runtime/module/ runtime/engine/ heap/ base/ proto/tables/
runtime/binary    runtime/binary/ runtime/runtime.h runtime/translate/ runtime/module/ runtime/engine/ base/ proto/tables/
runtime/validate  runtime/validate/ runtime/binary/ runtime/translate/ heap/ base/ proto/tables/
runtime/load      runtime/load/ runtime/validate/ runtime/binary/ runtime/translate/ heap/ base/ proto/tables/
runtime/store     runtime/store/ runtime/code/ runtime/module/ runtime/engine/ heap/ base/ proto/tables/
runtime/interp    runtime/interp/ runtime/store/ runtime/code/ runtime/engine/ heap/ base/ proto/tables/
runtime/stencil   runtime/stencil/ runtime/code/ base/ proto/tables/
proto   proto/ base/
server  server/ base/ runtime/ heap/ proto/
server/config     server/config/
server/common     server/common/ server/config/ base/ proto/tables/
server/jail       server/jail/
server/supervisor server/supervisor/ server/common/ server/config/ server/jail/jail.h base/ proto/
server/scheduler  server/scheduler/ base/ proto/tables/ runtime/module/code.h
server/worker     server/worker/ server/scheduler/ server/common/ server/config/ server/jail/ base/ proto/ runtime/runtime.h
server/wasi       server/wasi/ server/worker/ base/ proto/ runtime/runtime.h
server/requests   server/requests/ server/wasi/wasi.h server/worker/ base/ proto/ runtime/runtime.h
client  client/ base/ proto/
'
bad=0
for room in server/*/ runtime/*/; do
    grep -q "^${room%/} " <<<"$rules" || { echo "${room%/}: which folders may it include? It has no row here"; bad=1; }
done
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
