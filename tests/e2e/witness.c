/* tests/e2e/witness.c -- see witness.h. */
#include "tests/e2e/witness.h"

void witness_come(struct witness *w, const struct daemon *d, const char *socket)
{
    static const char text[] = "(module (func (export \"add\") (param i32 i32) (result i32)\n"
                               "  (i32.add (local.get 0) (local.get 1))))";
    hemi_store *store;
    w->daemon = d;
    w->client = client_open(socket);
    hemi_client_set_deadline(w->client, (uint32_t)(60000 * slowness()));
    w->add = export_of(instance_from(w->client, text, &store), "add");
    ck_assert_int_eq(call_i32(w->add, 2, 1, 2), 3);
}

void witness_look(struct witness *w)
{
    struct stopwatch watch = stopwatch_start(w->daemon);
    int32_t a = w->looks++;
    ck_assert_int_eq(call_i32(w->add, 2, a, 7), a + 7);
    double took = stopwatch_ms(&watch);
    if (took > w->slowest) w->slowest = took;
    ck_assert_msg(took < 5000 * slowness(), "a call of who does nothing wild took %.0f ms", took);
}

void witness_leave(struct witness *w)
{
    hemi_client_free(w->client);
    w->client = NULL;
}
