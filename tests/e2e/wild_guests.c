/* tests/e2e/wild_guests.c -- the modules that wild clients load (wild.h). */
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/support.h"
#include "tests/e2e/wild.h"

struct wild_module wild_modules[WILD_GUEST_COUNT];

const struct wild_export_row wild_exports[WILD_EXPORT_COUNT] = {
#define X(name, guest, kind, params, results, weight) {#name, WILD_GUEST_##guest, WILD_##kind, params, results, weight},
    WILD_EXPORTS(X)
#undef X
};

static const char main_text[] =
    "(module (type $s (struct (field (mut i32)) (field (mut (ref null $s))) (field (mut externref))))\n"
    " (import \"h\" \"f\" (func $f (param externref) (result externref)))\n"
    " (import \"h\" \"g\" (func $g (param i32) (result i32)))\n"
    " (memory (export \"memory\") 1 16) (table (export \"table\") 4 64 externref)\n"
    " (global (export \"number\") (mut i32) (i32.const 0))\n"
    " (global (export \"thing\") (mut externref) (ref.null extern))\n"
    " (global $kept (mut (ref null $s)) (ref.null $s)) (tag $t (export \"tag\") (param i32))\n"
    " (func (export \"add\") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))\n"
    " (func (export \"work\") (param i32) (result i32) (loop $l\n"
    "   (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (i32.const 7))\n"
    " (func (export \"spin\") (loop $l (br $l)))\n"
    " (func (export \"make\") (param externref) (result anyref)\n"
    "   (struct.new $s (i32.const 7) (global.get $kept) (local.get 0)))\n"
    " (func $list (param i32) (result (ref null $s)) (local $r (ref null $s)) (loop $l\n"
    "   (local.set $r (struct.new $s (local.get 0) (local.get $r) (ref.null extern)))\n"
    "   (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get $r))\n"
    " (func (export \"keep\") (param i32) (result i32) (global.set $kept (call $list (local.get 0))) (i32.const 7))\n"
    " (func (export \"churn\") (param i32) (result i32) (drop (call $list (local.get 0))) (i32.const 7))\n"
    " (func (export \"hoard\") (local $r (ref null $s)) (loop $l\n"
    "   (local.set $r (struct.new $s (i32.const 1) (local.get $r) (ref.null extern))) (br $l)))\n"
    " (func (export \"out\") (param externref) (result externref) (call $f (local.get 0)))\n"
    " (func (export \"ask\") (param i32) (result i32) (call $g (local.get 0)))\n"
    " (func (export \"throw\") (param i32) (throw $t (local.get 0)))\n"
    " (func (export \"trap\") (unreachable))\n"
    " (func $deep (export \"deep\") (param i32) (result i32) (i32.add (i32.const 1) (call $deep (local.get 0))))\n"
    " (func (export \"fill\") (param i32) (memory.fill (i32.const 0) (local.get 0) (i32.const 65536))))\n";

static const char wasi_text[] =
    "(module (import \"wasi_snapshot_preview1\" \"fd_write\" (func $w (param i32 i32 i32 i32) (result i32)))\n"
    " (import \"wasi_snapshot_preview1\" \"fd_read\" (func $r (param i32 i32 i32 i32) (result i32)))\n"
    " (import \"wasi_snapshot_preview1\" \"random_get\" (func $c (param i32 i32) (result i32)))\n"
    " (import \"wasi_snapshot_preview1\" \"poll_oneoff\" (func $p (param i32 i32 i32 i32) (result i32)))\n"
    " (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $e (param i32))) (memory (export \"memory\") 2)\n"
    " (func $io (param i32) (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (local.get 0)))\n"
    " (func (export \"write\") (param i32) (result i32) (call $io (local.get 0))\n"
    "   (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))\n"
    " (func (export \"read\") (param i32) (result i32) (call $io (local.get 0))\n"
    "   (call $r (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))\n"
    " (func (export \"chance\") (param i32) (result i32) (call $c (i32.const 64) (local.get 0)))\n"
    " (func (export \"sleep\") (param i32) (result i32) (memory.fill (i32.const 1024) (i32.const 0) (i32.const 48))\n"
    "   (i32.store (i32.const 1040) (i32.const 1))\n"
    "   (i64.store (i32.const 1048) (i64.mul (i64.extend_i32_u (local.get 0)) (i64.const 100000)))\n"
    "   (call $p (i32.const 1024) (i32.const 2048) (i32.const 1) (i32.const 16)))\n"
    " (func (export \"exit\") (param i32) (call $e (local.get 0))))\n";

static const char failing_text[] =
    "(module (type $s (struct (field i32))) (memory 2) (table 8 externref)\n"
    " (global (ref $s) (struct.new $s (i32.const 1))) (func $start (unreachable)) (start $start))\n";

/* A module of more than one chunk: its custom section is long. */
static void pad(struct wild_module *m, size_t padding)
{
    uint8_t *bytes = realloc(m->bytes, m->size + padding + 8);
    ck_assert(bytes != NULL);
    uint8_t *at = bytes + m->size;
    *at++ = 0;
    for (int i = 0; i < 4; i++) *at++ = (uint8_t)((padding + 1) >> (7 * i) & 0x7f) | (i < 3 ? 0x80 : 0);
    *at++ = 0; /* no name */
    memset(at, 'x', padding);
    m->bytes = bytes;
    m->size += padding + 6;
}

void wild_modules_init(void)
{
    static const char *const texts[WILD_GUEST_COUNT] = {
        [WILD_GUEST_MAIN] = main_text,
        [WILD_GUEST_WASI] = wasi_text,
        [WILD_GUEST_FAILING] = failing_text,
        [WILD_GUEST_PADDED] = "(module (memory 1))",
    };
    for (unsigned i = 0; i < WILD_GUEST_COUNT; i++) wat(texts[i], &wild_modules[i].bytes, &wild_modules[i].size);
    pad(&wild_modules[WILD_GUEST_PADDED], 200000);
}

void wild_modules_deinit(void)
{
    for (unsigned i = 0; i < WILD_GUEST_COUNT; i++) free(wild_modules[i].bytes);
}
