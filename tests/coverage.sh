#!/usr/bin/env bash
# tests/coverage.sh JOBS [report] -- what `./dev coverage` runs: all unit and end-to-end tests and scripts in the coverage
# build, then a table of what they reached, by folder, and the functions that they did not. Those that tests/unreached.txt
# names with a reason may stay so; any other, and one named there that is reached after all, is a failure. `report`: of
# the last run, without another. Counters are mapped files: a worker in its jail, and one that is killed, counts too.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=build/coverage status=0
objects=("$out/bin/hemid" -object "$out/bin/hemi" -object "$out/lib/libhemi.so")

if [ "${2:-}" != report ]; then
    rm -rf "$out/profiles"
    HEMI_PRESETS=coverage tests/run.sh "$1" coverage/ || status=1
fi
llvm-profdata-19 merge -o "$out/profile" "$out"/profiles/*.profraw || exit 1

# Per file: regions, functions, lines and branches, each there are, missed and the share; generated sources are left out.
llvm-cov-19 report "${objects[@]}" -instr-profile="$out/profile" -ignore-filename-regex='/build/|^/usr/' 2>/dev/null |
    awk '
        NF == 13 && $1 ~ /\.(c|h|def)$/ {
            if (match($1, /.*(base|heap|proto|runtime|server|client)\//) == 0) next
            folder = substr($1, 1, match($1, /\/[^\/]*$/) - 1)
            n[folder] = 1; f[folder] += $5; fm[folder] += $6; l[folder] += $8; lm[folder] += $9; b[folder] += $11; bm[folder] += $12
        }
        function share(all, missed) { return all ? sprintf("%6.1f %%", 100 * (all - missed) / all) : "       -" }
        function row(name, f, fm, l, lm, b, bm) {
            return sprintf("%-22s %6d %s %7d %s %7d %s", name, f, share(f, fm), l, share(l, lm), b, share(b, bm))
        }
        END {
            printf "%-22s %15s %16s %16s\n", "folder", "functions", "lines", "branches"
            for (folder in n) {
                print row(folder, f[folder], fm[folder], l[folder], lm[folder], b[folder], bm[folder]) | "sort"
                F += f[folder]; FM += fm[folder]; L += l[folder]; LM += lm[folder]; B += b[folder]; BM += bm[folder]
            }
            close("sort")
            print row("all", F, FM, L, LM, B, BM)
        }'

# "file function" of those no instance of which has run: one in a header has an instance in each file that includes it.
unreached() {
    llvm-cov-19 report --show-functions "${objects[@]}" -instr-profile="$out/profile" {base,heap,proto,runtime,server,client} 2>/dev/null |
        awk -v root="$PWD/" '
            /^File / { file = substr($2, 2, length($2) - 3); sub(root, "", file) }
            NF == 10 && $2 ~ /^[0-9]+$/ && $1 != "TOTAL" {
                name = $1; sub(/^.*:/, "", name)
                if (!((file " " name) in met)) met[file " " name] = 0
                if ($3 < $2) met[file " " name] = 1
            }
            END { for (each in met) if (!met[each]) print each }' | sort
}
named() { awk '!/^#/ && NF > 2 && $2 != "*" { print $1 " " $2 }' tests/unreached.txt | sort; }
files() { awk '!/^#/ && NF > 2 && $2 == "*" { print $1 " " }' tests/unreached.txt; } # whose functions need no names
unreached | grep -vFf <(files) >"$out/unreached"
echo "$(wc -l <"$out/unreached") functions are not reached"
comm -23 "$out/unreached" <(named) | sed 's/^/not reached, and not named: /' | grep . && status=1
comm -13 "$out/unreached" <(named) | sed 's/^/named in tests\/unreached.txt, but reached or gone: /' | grep . && status=1
exit $status
