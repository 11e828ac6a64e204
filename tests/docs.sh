#!/usr/bin/env bash
# tests/docs.sh -- what the documents say against what the code has.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bad=0
while read -r package; do
    grep -q "\`$package\`" README.md || { echo "README.md does not name the package $package"; bad=1; }
done < <(awk 'sub(/^[A-Z]+_PACKAGES=\(/, "") { on = 1 } on { last = sub(/\).*/, ""); print; on = !last }' dev | xargs -n1)
array() { sed -n "/^$1=(/,/)/p" dev | sed 's/^[A-Z_]*=(//; s/)$//' | xargs -n1 | sort; } # of dev: its elements
image() { sed -n '/apt-get install/,/&&/{/apt-get/d;p}' Dockerfile | tr -d '&\\' | xargs -n1 | sort; }
diff <(array BUILD_PACKAGES) <(image) || { echo "Dockerfile and dev install other packages"; bad=1; }
while read -r command; do
    grep -q "^cmd_$command()" dev || { echo "a document names ./dev $command, which does not exist"; bad=1; }
done < <(grep -ohE '\./dev [a-z]+' README.md CONTRIBUTING.md docs/*.md | cut -d' ' -f2 | sort -u)
while read -r path; do
    [ -e "$path" ] || { echo "a document names $path, which does not exist"; bad=1; }
done < <(grep -ohE '`(base|client|heap|proto|runtime|server|tests|docs|deploy)/[A-Za-z0-9_./-]*`' README.md CONTRIBUTING.md docs/*.md | tr -d '`' | sort -u)
while read -r path tag; do
    grep -qE "(^ \*|,) +\\$tag\\b|\(\\$tag\)" "$path" || { echo "a document cites $tag of $path, which has none"; bad=1; }
done < <(grep -ohE '`[a-z_/]+\.h` \.[a-z]+(-[a-z]+)*' docs/*.md | tr -d '`' | sort -u)
while read -r event; do
    grep -q "\`$event\`" docs/operating.md || { echo "docs/operating.md does not name the event $event"; bad=1; }
done < <(grep -rohE '(log_event|format_line)\(.*' server --include='*.c' | grep -oE '"[a-z]+(-[a-z]+)*"' | tr -d '"' | sort -u)
for file in README.md LICENSE CHANGELOG.md CONTRIBUTING.md docs/architecture.md docs/protocol.md; do
    [ -s "$file" ] || { echo "missing $file"; bad=1; }
done
if grep -rnE 'FIXME|TODO|\bXXX\b' base client heap proto runtime server tests --include='*.[ch]' --include='*.def' --include='*.sh' \
    --exclude=docs.sh; then
    echo "unfinished business in the sources"
    bad=1
fi
exit $bad
