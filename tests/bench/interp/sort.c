/* Sorts numbers twice: by partition, then by a heap. */
#include "lib.h"

enum { N = 100000, ROUNDS = 3 };
static u32 numbers[N];

static void swap(u32 *a, u32 *b)
{
    u32 v = *a;
    *a = *b;
    *b = v;
}

static NOINLINE void quicksort(u32 *at, i32 from, i32 to)
{
    while (from < to) {
        u32 pivot = at[from + (to - from) / 2];
        i32 i = from, k = to;
        while (i <= k) {
            while (at[i] < pivot) i++;
            while (at[k] > pivot) k--;
            if (i <= k) swap(&at[i++], &at[k--]);
        }
        if (k - from < to - i) {
            quicksort(at, from, k);
            from = i;
        } else {
            quicksort(at, i, to);
            to = k;
        }
    }
}

static NOINLINE void sink(u32 *at, u32 i, u32 n)
{
    for (u32 child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && at[child + 1] > at[child]) child++;
        if (at[i] >= at[child]) return;
        swap(&at[i], &at[child]);
    }
}

static NOINLINE void heapsort(u32 *at, u32 n)
{
    for (u32 i = n / 2; i > 0; i--) sink(at, i - 1, n);
    while (n > 1) {
        swap(&at[0], &at[--n]);
        sink(at, 0, n);
    }
}

static void scatter(u32 *state)
{
    for (u32 i = 0; i < N; i++) numbers[i] = next_random(state);
}

EXPORT(run) u32 run(void)
{
    u32 state = 3, sum = 0;
    for (u32 round = 0; round < ROUNDS; round++) {
        scatter(&state);
        quicksort(numbers, 0, N - 1);
        for (u32 i = 0; i < N; i += 37) sum = mix(sum, numbers[i]);
        scatter(&state);
        heapsort(numbers, N);
        for (u32 i = 0; i < N; i += 37) sum = mix(sum, numbers[i]);
    }
    return sum;
}
