/* Counts words in a hash table that chains its entries: byte loads, hashing, comparing strings. */
#include "lib.h"

enum { TEXT = 1 << 16, BUCKETS = 1 << 10, ENTRIES = 1 << 14, ROUNDS = 96 };
struct entry {
    struct entry *next;
    const char *word;
    u32 length, count;
};
static char text[TEXT];
static struct entry entries[ENTRIES], *buckets[BUCKETS];
static u32 nentries;

static NOINLINE u32 hash(const char *word, u32 length)
{
    u32 h = 2166136261u;
    for (u32 i = 0; i < length; i++) h = mix(h, (u8)word[i]);
    return h;
}

static NOINLINE u32 same(const char *a, const char *b, u32 length)
{
    for (u32 i = 0; i < length; i++)
        if (a[i] != b[i]) return 0;
    return 1;
}

static NOINLINE u32 count_word(const char *word, u32 length)
{
    struct entry **at = &buckets[hash(word, length) & (BUCKETS - 1)];
    for (struct entry *e = *at; e; e = e->next)
        if (e->length == length && same(e->word, word, length)) return ++e->count;
    struct entry *e = &entries[nentries++];
    *e = (struct entry){*at, word, length, 1};
    *at = e;
    return 1;
}

static void write_text(void)
{
    u32 state = 7, at = 0;
    while (at < TEXT) {
        u32 r = next_random(&state), length = 2 + (r & 7u), kind = (r >> 8) & 63u;
        for (u32 i = 0; i < length && at < TEXT; i++) text[at++] = (char)('a' + (kind * (i + 3) + length) % 26);
        if (at < TEXT) text[at++] = ' ';
    }
}

EXPORT(run) u32 run(void)
{
    u32 sum = 0;
    write_text();
    for (u32 round = 0; round < ROUNDS; round++) {
        fill(buckets, 0, sizeof buckets);
        nentries = 0;
        for (u32 from = 0, at = 0; at < TEXT; at++) {
            if (text[at] != ' ') continue;
            sum = mix(sum, count_word(text + from, at - from));
            from = at + 1;
        }
    }
    return mix(sum, nentries);
}
