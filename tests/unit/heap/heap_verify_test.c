/* tests/unit/heap/heap_verify_test.c -- heap_verify finds each corruption planted in a sound heap, and broken
 * preconditions end the process with a message.
 */
#include "base/check.h"
#include "tests/unit/heap_support.h"

#include <signal.h>

static struct world *corrupted; /* never freed, but reachable: no leak */

static struct world *populated(void)
{
    struct world *w = world_new_calm((struct heap_options){0});
    w->nroots = 5;
    w->roots[0] = must_alloc(w, D_PAIR).bits;
    w->roots[1] = must_alloc(w, D_NODE).bits;
    w->roots[2] = must_alloc_array(w, D_REFS, HEAP_CHUNK).bits;
    w->roots[3] = must_extern(w, 42).bits;
    w->roots[4] = must_extern(w, 43).bits;
    for (int i = 0; i < 5000; i++) must_alloc(w, D_LEAF); /* several chunks */
    heap_collect(w->heap);
    for (int i = 0; i < 5000; i++) must_alloc(w, D_LEAF);
    set(w, w->roots[0], 4, w->roots[2]);
    world_verify(w);
    corrupted = w;
    return w;
}

static uint32_t any(const struct heap *h, enum heap_chunk_kind kind)
{
    uint32_t c = HEAP_FIRST;
    while (c < h->mapped_end && heap_kind_of(h, c) != kind) c++;
    ck_assert_uint_lt(c, h->mapped_end);
    return c;
}

static void header_forwarded(struct world *w) { *at(w, w->roots[0]) |= 1; }
static void header_out_of_table(struct world *w) { set(w, w->roots[0], 0, 1000 << 1); }
static void header_free_descriptor(struct world *w) { set(w, w->roots[0], 0, D_FREE << 1); }
static void header_of_another_size(struct world *w) { set(w, w->roots[0], 0, D_MEDIUM << 1); }
static void length_too_long(struct world *w) { set(w, w->roots[2], 4, HEAP_CHUNK + 1); }
static void length_too_short(struct world *w) { set(w, w->roots[2], 4, HEAP_CHUNK - 1); }
static void length_huge(struct world *w) { set(w, w->roots[2], 4, UINT32_MAX); }
static void ref_inside_an_object(struct world *w) { set(w, w->roots[1], 4, w->roots[1] + 4); }
static void ref_unaligned(struct world *w) { set(w, w->roots[1], 12, w->roots[0] + 2); }
static void ref_into_the_null_page(struct world *w) { set(w, w->roots[1], 4, 4096); }
static void ref_behind_the_heap(struct world *w) { set(w, w->roots[1], 4, 0xfffffff0); }
static void ref_to_free_memory(struct world *w)
{
    set(w, w->roots[2], 8 + 4000, heap_chunk_start(any(w->heap, CHUNK_COLD)));
}
static void ref_in_the_last_element(struct world *w) { set(w, w->roots[2], 8 + (HEAP_CHUNK - 1) * 4, 64); }
static void root_stale(struct world *w) { w->roots[0] += 4; }
static void extern_id_changed(struct world *w) { at(w, w->roots[3])[8] ^= 0x55; }
static void extern_link_cut(struct world *w)
{
    for (uint32_t i = 0; i < w->heap->externs.buckets; i++) w->heap->externs.heads[i] = 0;
}
static void extern_link_circular(struct world *w) { set(w, w->roots[3], 4, w->roots[3]); }
static void extern_link_wild(struct world *w) { set(w, w->roots[4], 4, 0x1234568); }
static void extern_count(struct world *w) { w->heap->externs.count++; }
static void extern_twin(struct world *w)
{
    heap_ref r = must_alloc(w, D_LEAF); /* two leaves in a row look like an externref that is not in the set */
    must_alloc(w, D_LEAF);
    set(w, r.bits, 0, D_EXTERN << 1);
}
static void label_unknown(struct world *w) { w->heap->label[any(w->heap, CHUNK_SMALL)] = 0xff; }
static void label_free(struct world *w) { w->heap->label[any(w->heap, CHUNK_SMALL)] = CHUNK_WARM << 1; }
static void label_of_the_other_space(struct world *w) { w->heap->label[any(w->heap, CHUNK_RUN)] ^= 1; }
static void label_tail_lost(struct world *w) { w->heap->label[any(w->heap, CHUNK_TAIL)] = CHUNK_COLD << 1; }
static void label_null_page(struct world *w) { w->heap->label[1] = CHUNK_COLD << 1; }
static void list_circular(struct world *w) { w->heap->chunk[w->heap->cold.tail].next = w->heap->cold.head; }
static void list_cut(struct world *w) { w->heap->cold.head = w->heap->chunk[w->heap->cold.head].next; }
static void list_link_wild(struct world *w) { w->heap->chunk[w->heap->space.small.head].next = 1 << 30; }
static void top_beyond_chunk(struct world *w) { w->heap->chunk[w->heap->space.small.head].top += HEAP_CHUNK; }
static void top_inside_object(struct world *w) { w->heap->chunk[w->heap->space.small.head].top -= 4; }
static void run_top(struct world *w) { w->heap->chunk[w->heap->space.runs.head].top += HEAP_CHUNK; }
static void resident_count(struct world *w) { w->heap->resident++; }
static void reserve_spent(struct world *w) { w->heap->committed = w->heap->resident; }
static void medium_forgotten(struct world *w) { w->heap->space.medium += 1 << 20; }
static void committed_not_mapped(struct world *w) { w->heap->committed = w->heap->mapped_end; }

static const struct plant {
    void (*corrupt)(struct world *w);
    const char *says;
} plants[] = {
    {header_forwarded, "forwarded"},
    {header_out_of_table, "descriptor 1000"},
    {header_free_descriptor, "is free"},
    {header_of_another_size, "object"},
    {length_too_long, "bytes"},
    {length_too_short, "bytes"},
    {length_huge, "bytes"},
    {ref_inside_an_object, "the reference at +4"},
    {ref_unaligned, "the reference at +12"},
    {ref_into_the_null_page, "not an object"},
    {ref_behind_the_heap, "0xfffffff0"},
    {ref_to_free_memory, "the reference at +4008"},
    {ref_in_the_last_element, "not an object"},
    {root_stale, "root 1 "},
    {extern_id_changed, "bucket"},
    {extern_link_cut, "externrefs: 0 in the set, 2 in the heap"},
    {extern_link_circular, "externref set: more than 2"},
    {extern_link_wild, "not an object"},
    {extern_count, "externrefs: 2"},
    {extern_twin, "3 in the heap"},
    {label_unknown, "label 255"},
    {label_free, "list"},
    {label_of_the_other_space, "run list"},
    {label_tail_lost, "free chunks"},
    {label_null_page, "chunk 1 "},
    {list_circular, "cold list"},
    {list_cut, "cold list"},
    {list_link_wild, "small list"},
    {top_beyond_chunk, "top"},
    {top_inside_object, "left"},
    {run_top, "run"},
    {resident_count, "resident"},
    {reserve_spent, ".reserve"},
    {medium_forgotten, ".reserve"},
    {committed_not_mapped, "mapped"},
};

START_TEST(planted_corruption)
{
    struct world *w = populated();
    char why[200] = "";
    if (plants[_i].corrupt == reserve_spent || plants[_i].corrupt == committed_not_mapped) heap_trim(w->heap);
    plants[_i].corrupt(w);
    ck_assert(!heap_verify(w->heap, NULL, why, sizeof why));
    ck_assert_msg(strstr(why, plants[_i].says) != NULL, "plant %d: said: %s", _i, why);
    ck_assert(!heap_verify(w->heap, NULL, NULL, 0)); /* nothing to write to is fine */
}
END_TEST

START_TEST(writes_to_free_memory)
{
    if (!HEAP_STRESS) return;
    for (int where = 0; where < 3; where++) {
        struct world *w = populated();
        char why[200] = "";
        struct heap *h = w->heap;
        uint32_t c = h->space.small.head;
        if (where == 0) at(w, h->mutator->top)[0] = 0;
        if (where == 1) at(w, heap_chunk_end(c) - 1)[0] = 0;
        if (where == 2) at(w, heap_chunk_start(any(h, CHUNK_WARM)) + 100)[0] = 0;
        if (where == 1 && h->chunk[c].top == heap_chunk_end(c)) continue; /* that chunk is full */
        ck_assert(!heap_verify(h, NULL, why, sizeof why));
        ck_assert_msg(strstr(why, "free memory written") != NULL, "said: %s", why);
    }
}
END_TEST

/* ---- Preconditions */

static char last_words[200];
static void remember(const char *message)
{
    snprintf(last_words, sizeof last_words, "%s", message);
    ssize_t ignored = write(STDERR_FILENO, message, strlen(message));
    (void)ignored;
    if (strstr(message, ": check failed: ") != NULL && strchr(message, '\n') != NULL)
        raise(SIGUSR1); /* what the test expects */
}

START_TEST(collecting_during_a_collection_panics)
{
    struct world *w = populated();
    check_set_last_words(remember);
    w->heap->collecting = true;
    heap_collect(w->heap);
}
END_TEST

START_TEST(using_a_freed_heap_panics)
{
    struct world *w = populated();
    check_set_last_words(remember);
    w->heap->magic = 0;
    heap_collect(w->heap);
}
END_TEST

START_TEST(a_panic_without_a_hook_aborts)
{
    struct world *w = populated();
    check_set_last_words(NULL);
    w->heap->magic = 0;
    heap_trim(w->heap);
}
END_TEST

START_TEST(overrunning_the_reserve_panics)
{
    struct world *w = world_new_calm((struct heap_options){0});
    check_set_last_words(remember);
    w->nroots = 1;
    for (int i = 0; i < 20000; i++) {
        heap_ref r = must_alloc(w, D_NODE);
        set(w, r.bits, 4, w->roots[0]);
        w->roots[0] = r.bits;
    }
    heap_trim(w->heap);
    w->heap->committed = w->heap->resident; /* as if the reserve had been spent */
    while (w->heap->warm.count > 0) heap_chill(w->heap, 1);
    w->heap->committed = w->heap->resident;
    heap_collect(w->heap);
}
END_TEST

START_TEST(allocation_lands_on_poison)
{
    struct world *w = populated();
    check_set_last_words(remember);
    if (!HEAP_STRESS) raise(SIGUSR1); /* only that build poisons */
    at(w, w->m.top)[5] = 1;
    must_alloc(w, D_PAIR);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("heap_verify");
    TCase *c = tcase_create("verify");
    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, planted_corruption, 0, (int)(sizeof plants / sizeof *plants));
    tcase_add_test(c, writes_to_free_memory);
    tcase_add_test_raise_signal(c, collecting_during_a_collection_panics, SIGUSR1);
    tcase_add_test_raise_signal(c, using_a_freed_heap_panics, SIGUSR1);
    tcase_add_test_raise_signal(c, a_panic_without_a_hook_aborts, SIGABRT);
    tcase_add_test_raise_signal(c, overrunning_the_reserve_panics, SIGUSR1);
    tcase_add_test_raise_signal(c, allocation_lands_on_poison, SIGUSR1);
    suite_add_tcase(s, c);
    return run_suite(s);
}
