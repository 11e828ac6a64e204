/* tests/stencil/stencil_test.c -- functions put together from stencils give what the interpreter gives.
 *
 * The emitter below is the smallest that works: it copies each instruction's stencil, leaves out the jump to the next
 * one at its end, fills in the holes, and puts cold stubs (traps, br_table) behind. It catches no exceptions. */
#include "runtime/code/vm.h"
#include "runtime/stencil/stencils.h"
#include "tests/unit/rig.h"
#include <sys/mman.h>
#include <unistd.h>

enum { ROOM = 1 << 20, JUMP = 5, OP_JMP = 0xE9 };

struct emitter {
    struct stencils s;
    uint8_t *text; /* constants first */
    uint32_t len, constants;
    const struct code *code;
    uint32_t *where; /* by pc of the current function: offset in text */
};

static uint32_t u16_at(const uint8_t *at) { return (uint32_t)at[0] | (uint32_t)at[1] << 8; }
static uint32_t u32_at(const uint8_t *at) { return u16_at(at) | u16_at(at + 2) << 16; }

static void emitter_init(struct emitter *e)
{
    *e = (struct emitter){0};
    ck_assert_msg(stencils_open(&e->s, STENCILS), "%s", e->s.error);
    e->text = mmap(NULL, ROOM, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(e->text, MAP_FAILED);
    memcpy(e->text, e->s.constants, e->s.nconstants);
    e->len = (e->s.nconstants + 63) & ~63u;
}

static void emitter_deinit(struct emitter *e)
{
    munmap(e->text, ROOM);
    stencils_close(&e->s);
}

static void put(struct emitter *e, const void *bytes, size_t n)
{
    ck_assert_uint_lt(e->len + n, ROOM);
    memcpy(e->text + e->len, bytes, n);
    e->len += (uint32_t)n;
}

static void store32(uint8_t *at, uint64_t v)
{
    uint32_t bits = (uint32_t)v;
    memcpy(at, &bits, 4);
}

/* ---- Instructions of translated code */

static uint32_t op_at(const uint8_t *at)
{
    vm_entry handler = code_entry(at);
    for (uint32_t i = 0; i < VMOP_COUNT; i++)
        if (handler == vmop_explicit[i] || handler == vmop_guarded[i]) return i;
    ck_abort_msg("no handler");
}

static uint32_t table_offset(uint32_t op) { return op == VM_BR_TABLE_S ? 8 : 6; }

/* ---- Stubs */

static __attribute__((preserve_none)) uint32_t stopped(VM_PARAMS)
{
    (void)fp, (void)mem;
    return vm->pending.status != HEMI_OK ? VM_UNWIND : vm_trap(vm, in, pc, (enum wasm_trap)r0);
}

/* mov $trap, %esi; movabs $pc, %r12; movabs $stopped, %rax; jmp *%rax */
static uint32_t stub_stop(struct emitter *e, uint32_t trap, const uint8_t *pc)
{
    uint32_t here = e->len;
    uint64_t place = (uint64_t)(uintptr_t)pc, target = (uint64_t)(uintptr_t)(void *)stopped;
    put(e, "\xBE", 1), put(e, &trap, 4);
    put(e, "\x49\xBC", 2), put(e, &place, 8);
    put(e, "\x48\xB8", 2), put(e, &target, 8);
    put(e, "\xFF\xE0", 2);
    return here;
}

/* lea table(%rip), %rax; movslq (%rax,%rsi,4), %rcx; add %rcx, %rax; jmp *%rax; table: distances from itself */
static uint32_t stub_table(struct emitter *e, const uint8_t *at, uint32_t pc, uint32_t op)
{
    uint32_t here = e->len, n = u32_at(at + table_offset(op)) + 1, distance = 9, table = here + 16;
    put(e, "\x48\x8D\x05", 3), put(e, &distance, 4);
    put(e, "\x48\x63\x0C\xB0\x48\x01\xC8\xFF\xE0", 9);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t to = e->where[pc + u32_at(at + table_offset(op) + 4 + 4 * i)] - table;
        put(e, &to, 4);
    }
    return here;
}

/* ---- Holes */

static uint64_t value_of(struct emitter *e, const struct hole *h, uint32_t pc, uint32_t op)
{
    const uint8_t *at = e->code->bytes + pc;
    uint32_t size = code_insn_size(at, op), target = pc + u32_at(at + size - 4);
    switch (h->kind) {
    case HOLE_SLOT:
        return 8 * (uint64_t)u16_at(at + h->n);
    case HOLE_U16:
        return u16_at(at + h->n);
    case HOLE_U32:
        return u32_at(at + h->n);
    case HOLE_NEXT:
        return e->where[pc + size];
    case HOLE_TAKEN:
        return e->where[target];
    case HOLE_POLL:
        return e->where[target - LOOP_BYTES];
    case HOLE_TABLE:
        return stub_table(e, at, pc, op);
    case HOLE_UNWIND:
        return stub_stop(e, TRAP_NONE, at);
    case HOLE_TRAP:
        return stub_stop(e, h->n, at);
    default:
        return h->n;
    }
}

static void fill(struct emitter *e, uint32_t pc)
{
    uint32_t op = op_at(e->code->bytes + pc), start = e->where[pc];
    const struct stencil *s = &e->s.at[op];
    for (uint32_t i = 0; i < s->count; i++) {
        const struct hole *h = &e->s.holes[s->first + i];
        uint32_t at = start + h->at;
        uint64_t value = value_of(e, h, pc, op) + (uint64_t)h->addend - (h->relative ? at : 0);
        store32(e->text + at, value);
    }
}

/* Bytes without a jump to the next instruction at the very end. */
static uint32_t trimmed(const struct emitter *e, uint32_t op)
{
    const struct stencil *s = &e->s.at[op];
    const struct hole *last = s->count ? &e->s.holes[s->first + s->count - 1] : NULL;
    bool jumps = last && last->kind == HOLE_NEXT && last->at + 4 == s->size && s->bytes[s->size - JUMP] == OP_JMP;
    return jumps ? s->size - JUMP : s->size;
}

static void emit_function(struct emitter *e, struct code *code)
{
    e->code = code;
    e->where = calloc(code->size + 1, sizeof *e->where);
    uint32_t start = e->len, op;
    for (uint32_t pc = 0; pc < code->size; pc += code_insn_size(code->bytes + pc, op)) {
        op = op_at(code->bytes + pc);
        e->where[pc] = e->len;
        put(e, e->s.at[op].bytes, e->s.at[op].size);
        e->len -= e->s.at[op].size - trimmed(e, op);
    }
    e->len += 64; /* the last one's trimmed jump, overwritten by nobody */
    for (uint32_t pc = 0; pc < code->size; pc += code_insn_size(code->bytes + pc, op)) {
        op = op_at(code->bytes + pc);
        /* a trimmed jump's hole lies in the next stencil's first bytes, so those are copied again before their turn */
        memcpy(e->text + e->where[pc], e->s.at[op].bytes, trimmed(e, op));
        fill(e, pc);
    }
    code->entry = (vm_entry)(void *)(e->text + start);
    free(e->where);
}

/* ---- Comparing */

struct both {
    struct rig r;
    struct emitter e;
    struct instance *in;
    struct code *stencils;
    const struct code *interpreted;
};

static void both_init(struct both *b, const char *text)
{
    rig_init(&b->r);
    emitter_init(&b->e);
    b->in = rig_instance(&b->r, text, NULL);
    uint32_t n = b->in->module->nfuncs;
    b->interpreted = b->in->code;
    b->stencils = calloc(n, sizeof *b->stencils);
    memcpy(b->stencils, b->interpreted, n * sizeof *b->stencils);
    for (uint32_t i = 0; i < n; i++) emit_function(&b->e, &b->stencils[i]);
}

static void both_deinit(struct both *b)
{
    b->in->code = b->interpreted;
    free(b->stencils);
    emitter_deinit(&b->e);
    rig_deinit(&b->r);
}

static void compare(struct both *b, const char *name, uint32_t arg)
{
    uint64_t results[2] = {0};
    struct rt_error errors[2];
    const struct code *forms[] = {b->interpreted, b->stencils};
    uint32_t func = rig_export(b->in, name).func;
    for (int k = 0; k < 2; k++) {
        union val args[1] = {{.i64 = arg}}, out[1] = {{.i64 = 0}};
        memset(&errors[k], 0, sizeof errors[k]);
        b->in->code = forms[k];
        rt_call(b->r.store, func, args, out, b->r.stack, &errors[k]);
        results[k] = out[0].i64;
    }
    ck_assert_msg(results[0] == results[1], "%s(%u): %llx, stencils %llx", name, arg, (unsigned long long)results[0],
                  (unsigned long long)results[1]);
    ck_assert_int_eq(errors[0].status, errors[1].status);
    ck_assert_int_eq(errors[0].trap, errors[1].trap);
    ck_assert_uint_eq(errors[0].offset, errors[1].offset);
}

START_TEST(fib)
{
    struct both b;
    both_init(&b, "(module (func $fib (export \"run\") (param i32) (result i32)"
                  " (if (result i32) (i32.lt_s (local.get 0) (i32.const 2)) (then (local.get 0))"
                  "  (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))"
                  "   (call $fib (i32.sub (local.get 0) (i32.const 2))))))))");
    for (uint32_t n = 0; n <= 20; n++) compare(&b, "run", n);
    b.in->code = b.stencils;
    union val args[1] = {{.i32 = 24}}, out[1];
    ck_assert_int_eq(rt_call(b.r.store, rig_export(b.in, "run").func, args, out, b.r.stack, &b.r.err), HEMI_OK);
    ck_assert_uint_eq(out[0].i32, 46368);
    both_deinit(&b);
}
END_TEST

/* Loops, br_table, memory, constants, floats, traps. */
START_TEST(mixed)
{
    struct both b;
    both_init(&b,
              "(module (memory 1) (table funcref (elem $a $b)) (type $t (func (param i32) (result i32)))"
              " (func $a (type $t) (i32.mul (local.get 0) (i32.const -3)))"
              " (func $b (type $t) (i32.div_u (i32.const 1000) (local.get 0)))"
              " (func (export \"indirect\") (type $t) (call_indirect (type $t) (i32.const 7) (local.get 0)))"
              " (func (export \"divide\") (type $t) (i32.add (call $b (local.get 0)) (i32.const 1)))"
              " (func (export \"switch\") (type $t) (block (block (block (br_table 0 1 2 (local.get 0)))"
              "   (return (i32.const 10))) (return (i32.const 20))) (i32.const 30))"
              " (func (export \"sum\") (param $n i32) (result i64) (local $s i64)"
              "   (memory.fill (i32.const 0) (i32.const 0) (i32.const 1024))"
              "   (loop $l (i64.store offset=8 (i32.and (local.get $n) (i32.const 0xff)) (local.get $s))"
              "    (local.set $s (i64.add (i64.rotl (i64.load offset=8 (i32.and (local.get $n) (i32.const 0xfe)))"
              "      (i64.const 3)) (i64.extend_i32_u (local.get $n))))"
              "    (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (local.get $s))"
              " (func (export \"far\") (type $t) (i32.load offset=65000 (local.get 0)))"
              " (func (export \"float\") (param i32) (result f64)"
              "   (f64.floor (f64.add (f64.div (f64.convert_i32_s (local.get 0)) (f64.const -7)) (f64.const 0.25)))))");
    static const char *const names[] = {"indirect", "divide", "switch", "far", "float"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (uint32_t n = 0; n < 5; n++) compare(&b, names[i], n);
    compare(&b, "far", 533);
    compare(&b, "float", 0x80000005);
    compare(&b, "sum", 1000);
    both_deinit(&b);
}
END_TEST

/* Allocation by the inline path and by helpers, collections in between. */
START_TEST(objects)
{
    struct both b;
    both_init(&b, "(module (type $n (struct (field (mut (ref null $n))) (field i32))) (type $a (array (mut i16)))"
                  " (func $make (param $d i32) (result (ref null $n))"
                  "  (if (result (ref null $n)) (i32.eqz (local.get $d)) (then (ref.null $n))"
                  "   (else (struct.new $n (call $make (i32.sub (local.get $d) (i32.const 1))) (local.get $d)))))"
                  " (func (export \"list\") (param $n i32) (result i32) (local $l (ref null $n)) (local $s i32)"
                  "  (local.set $l (call $make (local.get $n)))"
                  "  (block $out (loop $next"
                  "   (local.set $s (i32.add (local.get $s) (struct.get $n 1 (br_on_null $out (local.get $l)))))"
                  "   (local.set $l (struct.get $n 0 (local.get $l))) (br $next))) (local.get $s))"
                  " (func (export \"arrays\") (param $n i32) (result i32) (local $a (ref null $a)) (local $s i32)"
                  "  (loop $l (local.set $a (array.new $a (local.get $n) (i32.const 9)))"
                  "   (array.set $a (local.get $a) (i32.const 2) (i32.const -5))"
                  "   (local.set $s (i32.add (local.get $s) (i32.add (array.get_s $a (local.get $a) (i32.const 2))"
                  "     (array.get_u $a (local.get $a) (i32.const 8)))))"
                  "   (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (local.get $s))"
                  " (func (export \"bound\") (param $n i32) (result i32)"
                  "  (array.get_u $a (array.new_default $a (i32.const 3)) (local.get $n))))");
    for (uint32_t n = 0; n < 40; n += 13) compare(&b, "list", n);
    compare(&b, "arrays", 20000);
    for (uint32_t n = 2; n < 5; n++) compare(&b, "bound", n);
    both_deinit(&b);
}
END_TEST

/* The check must refuse a stencil that refers to something else. */
START_TEST(foreign)
{
    struct stencils s;
    ck_assert_msg(stencils_open(&s, STENCILS), "%s", s.error);
    char path[] = "/tmp/hemi-stencils-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    for (size_t i = 0; i + 10 < s.size; i++)
        if (memcmp(s.file + i, "\0hole_next", 10) == 0) s.file[i + 9] = 'T';
    ck_assert_int_eq(write(fd, s.file, s.size), (ssize_t)s.size);
    close(fd);
    stencils_close(&s);
    bool ok = stencils_open(&s, path);
    unlink(path);
    ck_assert(!ok);
    ck_assert_ptr_nonnull(strstr(s.error, "hole_nexT"));
    stencils_close(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stencil");
    TCase *tc = tcase_create("stencil");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, fib);
    tcase_add_test(tc, mixed);
    tcase_add_test(tc, objects);
    tcase_add_test(tc, foreign);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
