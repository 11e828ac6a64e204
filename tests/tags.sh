#!/usr/bin/env bash
# tests/tags.sh -- invariants and the lines that rely on them: a tag (`.one-reply`) begins a line of the comment that opens
# a file, or stands in parentheses behind a rule there, or begins a comment with its rule; every tag is cited by another line, in a comment or by a check, and every citation has a tag.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mapfile -t files < <(find base heap runtime proto server client -name '*.[ch]' -o -name '*.def' | grep -v '^client/wat/' | sort)
awk '
    # What of the line is comment, and the tags of checks.
    function comment(line,    text, at) {
        text = ""
        if (match(line, /CHECK(_DEBUG)?\(.*"\.[a-z-]+"\)/)) text = " " substr(line, RSTART, RLENGTH)
        for (; line != ""; inside = !inside) {
            at = index(line, inside ? "*/" : "/*")
            if (inside) text = text substr(line, 1, at ? at - 1 : length(line)) " "
            if (!at) break
            line = substr(line, at + 2)
        }
        return text
    }
    function cites(text,    tag) {
        while (match(text, /(^|[ ("])\.[a-z][a-z0-9-]*/)) {
            tag = substr(text, RSTART, RLENGTH)
            text = substr(text, RSTART + RLENGTH)
            sub(/^[ ("]/, "", tag)
            if (text !~ /^[A-Za-z0-9_\/*<\[]/ && !(tag in file_names)) cited[tag] = cited[tag] " " FILENAME ":" FNR
        }
    }
    BEGIN { split(".wat .wast .h .c .def", names, " "); for (i in names) file_names[names[i]] }
    FNR == 1 { inside = 0; opening = 1 }
    {
        was = inside
        text = comment($0)
        if (opening && was && match($0, /^ \* +(Invariants?: )?\.[a-z][a-z0-9-]*(, \.[a-z0-9-]+)*/)) {
            tags = substr($0, RSTART, RLENGTH)
            text = substr(text, RLENGTH + 1)
            gsub(/^ \* +(Invariants?: )?|,/, "", tags)
            n = split(tags, each, " ")
            for (i = 1; i <= n; i++) defined[each[i]] = FILENAME ":" FNR
        }
        while (match(text, opening ? "\\(\\.[a-z][a-z0-9-]*[):]" : "^ \\.[a-z][a-z0-9-]*:")) {
            tag = substr(text, RSTART + 1, RLENGTH - 2)
            if (tag in said) cited[tag] = cited[tag] " " FILENAME ":" FNR
            else said[tag] = FILENAME ":" FNR
            text = substr(text, 1, RSTART - 1) substr(text, RSTART + RLENGTH)
        }
        cites(text)
        if (text != "" && !inside) opening = 0
    }
    END {
        for (tag in said) if (tag in defined) cited[tag] = cited[tag] " " said[tag]; else defined[tag] = said[tag]
        for (tag in defined) if (!(tag in cited)) { print defined[tag] ": nothing cites " tag; bad = 1 }
        for (tag in cited) if (!(tag in defined)) { print substr(cited[tag], 2) ": no invariant has the tag " tag; bad = 1 }
        exit bad
    }' "${files[@]}"
