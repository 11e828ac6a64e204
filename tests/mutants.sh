#!/usr/bin/env bash
# tests/mutants.sh [all | N | TEXT] -- what `./dev mutants` runs: changes one place of the code at a time as tests/mutants.txt
# says, builds the one program that is to notice, and asks that the test named there fails. N: so many, drawn by HEMI_SEED;
# TEXT: those with it in their description, file or test. The checkout stays as it is: a copy is changed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
list=$PWD/tests/mutants.txt which=${1:-all} copy=$PWD/build/mutants patience=150
export HEMI_SEED=${HEMI_SEED:-$((RANDOM * 32768 + RANDOM))} CK_DEFAULT_TIMEOUT=60
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0}

# One line per mutant: number, description, file, preset, test; the texts stay in the list.
index() {
    awk '/^mutant /{ n++; what = substr($0, 8) } /^in /{ file = $2 } /^killer /{ print n "\t" what "\t" file "\t" $2 "\t" $3 }' "$list"
}

# Lines of mutant $1 that begin with $2, without it.
text() { awk -v n="$1" -v sign="$2" '/^mutant /{ at++ } at == n && index($0, sign) == 1 { print substr($0, 2) }' "$list"; }

chosen() {
    case $which in
        all) index ;;
        *[!0-9]*) index | grep -F -- "$which" ;;
        *) index | shuf -n "$which" --random-source=<(yes "$HEMI_SEED") | sort -n ;;
    esac
}

# Replaces the only place of `old` in a file of the copy. False: it is not there, or not the only one.
change() { # file old new
    local whole rest
    whole=$(cat "$1" && echo x) && whole=${whole%x}
    rest=${whole#*"$2"}
    [ "$rest" != "$whole" ] && [[ $rest != *"$2"* ]] || return 1
    printf '%s' "${whole%%"$2"*}$3$rest" >"$1"
}

build() { # preset program
    local preset=$1 program=$2 targets=("$2")
    [[ $program == e2e_* || $program == supervisor* ]] && targets+=(hemid hemi)
    [ -e "build/$preset/build.ninja" ] || cmake --preset "$preset" >/dev/null || return 1
    ninja -C "build/$preset" --quiet "${targets[@]}" >build/log 2>&1
}

# Whether the program fails in the test of that name; what it printed is in build/log.
killed() { # preset program test
    HEMI_BUILD=$PWD/build/$1 timeout -k 5 $patience "build/$1/tests/$2" >build/log 2>&1
    local status=$?
    [ $status -ne 0 ] && { [ $status -ge 124 ] || grep -qE ":[EF]:[^:]*:$3:" build/log; }
}

verdict() { # number what file preset test : prints why when it is bad
    local n=$1 file=$3 preset=$4 program=${5%%:*} test=${5#*:} result=0
    cp -p "$file" build/original
    if ! change "$file" "$(text "$n" -)" "$(text "$n" +)"; then
        echo "STALE $2: what it replaces is not once in $file"
        return 1
    fi
    if ! build "$preset" "$program"; then
        echo "STALE $2: it does not build" && tail -n 5 build/log
        result=1
    elif ! killed "$preset" "$program" "$test"; then
        echo "ALIVE $2 ($file): $program passes $test" && grep -E ':[EF]:|Checks:' build/log | head -n 3
        result=1
    fi
    cp build/original "$file"
    return $result
}

mkdir -p "$copy"
cp "$list" "$copy/list" && list=$copy/list # it may be edited meanwhile
# Only what differs, with a new time: an earlier run may have been ended while a file was changed.
git ls-files | while read -r file; do cmp -s "$file" "$copy/$file" || cp --parents "$file" "$copy"; done
comm -13 <(git ls-files | sort) <(cd "$copy" && find . -path ./build -prune -o -type f -printf '%P\n' | grep -vx list | sort) |
    while read -r file; do rm "$copy/$file"; done # what is no more
mapfile -t mutants < <(chosen)
cd "$copy" || exit 1
mkdir -p build
echo "${#mutants[@]} mutants (HEMI_SEED=$HEMI_SEED)"
[ ${#mutants[@]} -gt 0 ] || { echo "none is called so"; exit 2; }
bad=0
for line in "${mutants[@]}"; do
    IFS=$'\t' read -r n what file preset test <<<"$line"
    verdict "$n" "$what" "$file" "$preset" "$test" || bad=$((bad + 1))
done
echo "$((${#mutants[@]} - bad)) killed, $bad not"
[ $bad -eq 0 ]
