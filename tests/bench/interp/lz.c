/* A compressor with a hash of three bytes and matches in a window, and its decompressor. A token is a byte: below 128
 * that many literals plus one follow, else it is a match of (token - 128) + MATCH_MIN bytes, its distance in two bytes.
 */
#include "lib.h"

enum { SIZE = 1 << 18, HASHES = 1 << 13, MATCH_MIN = 4, MATCH_MAX = 127 + MATCH_MIN, WINDOW = 65535, ROUNDS = 8 };
static u8 plain[SIZE], packed[SIZE + SIZE / 64 + 16], unpacked[SIZE];
static u32 heads[HASHES];

static u32 hash_at(const u8 *at) { return ((at[0] | at[1] << 8 | (u32)at[2] << 16) * 2654435761u) >> 19; }

static NOINLINE u32 match_length(const u8 *a, const u8 *b, u32 limit)
{
    u32 n = 0;
    while (n < limit && a[n] == b[n]) n++;
    return n;
}

static NOINLINE u32 put_literals(u8 *out, u32 at, const u8 *from, u32 n)
{
    while (n > 0) {
        u32 some = n < 128 ? n : 128;
        out[at++] = (u8)(some - 1);
        copy(out + at, from, some);
        at += some, from += some, n -= some;
    }
    return at;
}

static NOINLINE u32 compress(const u8 *in, u32 n, u8 *out)
{
    u32 at = 0, literals = 0, i = 0;
    fill(heads, 0, sizeof heads);
    while (i + MATCH_MIN < n) {
        u32 *head = &heads[hash_at(in + i)], before = *head, left = n - i, length = 0;
        *head = i + 1;
        if (before && i + 1 - before <= WINDOW)
            length = match_length(in + before - 1, in + i, left < MATCH_MAX ? left : MATCH_MAX);
        if (length < MATCH_MIN) {
            i++;
            continue;
        }
        u32 distance = i + 1 - before;
        at = put_literals(out, at, in + literals, i - literals);
        out[at++] = (u8)(128 + length - MATCH_MIN);
        out[at++] = (u8)distance;
        out[at++] = (u8)(distance >> 8);
        i += length;
        literals = i;
    }
    return put_literals(out, at, in + literals, n - literals);
}

static NOINLINE u32 decompress(const u8 *in, u32 n, u8 *out)
{
    u32 to = 0;
    for (u32 i = 0; i < n;) {
        u32 token = in[i++];
        if (token < 128) {
            copy(out + to, in + i, token + 1);
            to += token + 1, i += token + 1;
            continue;
        }
        u32 distance = in[i] | (u32)in[i + 1] << 8, length = token - 128 + MATCH_MIN;
        i += 2;
        for (u32 k = 0; k < length; k++, to++) out[to] = out[to - distance];
    }
    return to;
}

static void write_plain(u32 *state)
{
    for (u32 i = 0; i < SIZE;) {
        u32 r = next_random(state), length = 3 + (r & 31u), from = (r >> 5) % (i + 1);
        for (u32 k = 0; k < length && i < SIZE; k++, i++)
            plain[i] = r & 0x100000u ? plain[from + k] : (u8)(next_random(state) & 31u);
    }
}

EXPORT(run) u32 run(void)
{
    u32 state = 11, sum = 0;
    for (u32 round = 0; round < ROUNDS; round++) {
        write_plain(&state);
        u32 size = compress(plain, SIZE, packed);
        if (decompress(packed, size, unpacked) != SIZE || match_length(plain, unpacked, SIZE) != SIZE) return 0;
        sum = mix(sum, size);
        for (u32 i = 0; i < size; i += 61) sum = mix(sum, packed[i]);
    }
    return sum;
}
