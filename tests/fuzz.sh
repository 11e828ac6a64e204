#!/usr/bin/env bash
# tests/fuzz.sh [SECONDS [SEED]] -- the mutation tests of frames and modules, again and again with new seeds, on the
# sanitize build. Stops at the first failure and says which seed repeats it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${1:-600} seed=${2:-$RANDOM}
./dev build sanitize
end=$((SECONDS + seconds))
rounds=0
while [ $SECONDS -lt $end ]; do
    for test in build/sanitize/tests/{e2e_fuzz,decode,validate,proto_mutation,wat}_test; do
        [ -x "$test" ] || continue
        HEMI_BUILD=$PWD/build/sanitize HEMI_SEED=$seed HEMI_FUZZ_FRAMES=500 "$test" >build/fuzz.log 2>&1 || {
            tail -n 40 build/fuzz.log
            echo "failed: HEMI_SEED=$seed HEMI_FUZZ_FRAMES=500 $test"
            exit 1
        }
    done
    seed=$((seed + 1)) rounds=$((rounds + 1))
done
echo "$rounds rounds, nothing found"
