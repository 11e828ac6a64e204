/* runtime/validate/code.c -- functions and constant expressions, one instruction after the other. Regular instructions
 * are checked by their row's signature alone. */
#include "runtime/validate/impl.h"
#include <stdio.h>
#include <string.h>

/* ---- The table of rows, made for speed: signatures unpacked, opcodes by their code */

struct sig {
    uint8_t imm; /* enum opcode_imm */
    uint8_t nparams, nresults;
    uint8_t params[3], result; /* enum valkind: numbers and vectors have nothing but a kind */
};

/* Signature letters as kinds; a signature's text is padded with spaces, so that four letters may be looked at. */
#define KIND(letter)                                                                                                   \
    ((letter) == 'i'   ? VK_I32                                                                                        \
     : (letter) == 'I' ? VK_I64                                                                                        \
     : (letter) == 'f' ? VK_F32                                                                                        \
     : (letter) == 'F' ? VK_F64                                                                                        \
     : (letter) == 'v' ? VK_V128                                                                                       \
                       : VK_BOT)
#define SIG_PARAMS(s) ((s)[0] == '_' ? 0 : (s)[1] == '_' ? 1 : (s)[2] == '_' ? 2 : 3)
#define SIG_RESULT(s) KIND((s)[SIG_PARAMS(s) + 1])
#define SIG(imm, s)                                                                                                    \
    {imm, SIG_PARAMS(s), SIG_RESULT(s) != VK_BOT, {KIND((s)[0]), KIND((s)[1]), KIND((s)[2])}, SIG_RESULT(s)}

static const struct sig sigs[OP_COUNT] = {
#define OP(name, prefix, code, text, imm, sig) SIG(IMM_##imm, #sig "     "),
#include "proto/tables/opcodes.def"
};

typedef void handler(struct validator *v);
static handler *const handlers[OP_COUNT] = {
#define X(op, function) [OP_##op] = function,
    VALIDATE_HANDLERS(X)
#undef X
};

enum { PAGE = 512, PAGES = 4, FIRST_PREFIX = 0xFB, ATOMIC_PREFIX = 0xFE };
_Static_assert(MARK_FB + ATOMIC_PREFIX - FIRST_PREFIX == MARK_FE, "places in order");
/* The page of a prefix byte: 0 for none. */
#define OPCODE_PAGE(prefix) ((prefix) == 0 ? 0 : (prefix) - (FIRST_PREFIX - 1))
static const uint16_t opcode_of_code[PAGES * PAGE] = {
/* enum opcode + 1, or 0 */
#define OP(name, prefix, code, text, imm, sig) [OPCODE_PAGE(prefix) * PAGE + (code)] = OP_##name + 1,
#include "proto/tables/opcodes.def"
};

static void illegal_prefixed(struct cursor *c, uint32_t offset, uint8_t prefix, uint32_t code)
{
    char text[40];
    snprintf(text, sizeof text, "illegal opcode %02x %02x", prefix, code);
    cursor_foreign(c, offset, (enum proposal_place)(MARK_FB + prefix - FIRST_PREFIX), code, text);
}

static bool read_prefixed(struct cursor *c, uint32_t offset, uint8_t prefix, uint16_t *out)
{
    uint32_t code = cursor_u32(c);
    uint32_t op = code < PAGE ? opcode_of_code[OPCODE_PAGE(prefix) * PAGE + code] : 0;
    if (op == 0 && cursor_ok(c)) illegal_prefixed(c, offset, prefix, code);
    *out = op ? (uint16_t)(op - 1) : OP_NOP;
    return op != 0 && cursor_ok(c);
}

/* A byte that is neither an opcode nor a prefix of 3.0. */
static void illegal_byte(struct cursor *c, uint32_t offset, uint8_t byte)
{
    char text[40];
    struct rt_error unread = {.status = HEMI_OK};
    struct cursor behind = *c;
    behind.err = &unread;
    uint32_t code = byte == ATOMIC_PREFIX ? cursor_u32(&behind) : 0;
    if (byte == ATOMIC_PREFIX && cursor_ok(&behind)) {
        illegal_prefixed(c, offset, byte, code);
        return;
    }
    snprintf(text, sizeof text, "illegal opcode %02x", byte);
    cursor_foreign(c, offset, MARK_OPCODE, byte, text);
}

/* Where it is no opcode of one byte. */
static bool read_other(struct cursor *c, uint32_t offset, uint8_t byte, uint16_t *op)
{
    if (byte >= FIRST_PREFIX && byte < FIRST_PREFIX + PAGES - 1) return read_prefixed(c, offset, byte, op);
    illegal_byte(c, offset, byte);
    return false;
}

bool opcode_read(struct cursor *c, uint16_t *op)
{
    uint32_t offset = cursor_offset(c);
    uint8_t byte = cursor_u8(c);
    uint32_t known = opcode_of_code[byte];
    *op = known ? (uint16_t)(known - 1) : OP_NOP;
    return known ? cursor_ok(c) : read_other(c, offset, byte, op);
}

static bool read_opcode(struct validator *v)
{
    v->in.offset = cursor_offset(&v->c);
    return opcode_read(&v->c, &v->in.op);
}

/* ---- One instruction */

static void validate_regular(struct validator *v)
{
    const struct sig *s = &sigs[v->in.op];
    for (uint32_t i = s->nparams; i > 0; i--) pop_expect(v, VT_MAKE(s->params[i - 1]));
    if (s->nresults) push_val(v, VT_MAKE(s->result));
}

static bool is_memory_imm(enum opcode_imm imm)
{
    return imm == IMM_MEMARG || imm == IMM_MEMARG_LANE || imm == IMM_MEM || imm == IMM_MEM_MEM || imm == IMM_DATA_MEM;
}

void validate_memory(struct validator *v)
{
    const struct insn *in = &v->in;
    const struct sig *s = &sigs[in->op];
    const struct memory_decl *mems = v->m->memories;
    enum opcode_imm imm = (enum opcode_imm)s->imm;
    valtype addr = mems[imm == IMM_DATA_MEM ? in->index2 : in->index].limits.is64 ? VT_I64 : VT_I32;
    if (imm == IMM_MEM_MEM) {
        valtype from = mems[in->index2].limits.is64 ? VT_I64 : VT_I32;
        pop_expect(v, addr == VT_I64 ? from : VT_I32);
        pop_expect(v, from);
        pop_expect(v, addr);
        return;
    }
    for (uint32_t i = s->nparams; i > 0; i--) {
        /* memory.fill's and memory.grow's last operand is a size of this memory; memory.init's are of the segment. */
        bool is_addr = i == 1 || (in->op == OP_MEMORY_FILL && i == 3);
        pop_expect(v, is_addr ? addr : VT_MAKE(s->params[i - 1]));
    }
    if (s->nresults) push_val(v, imm == IMM_MEM ? addr : VT_MAKE(s->result));
}

static void translate(struct validator *v)
{
    if (!v->translate || !v_ok(v)) return;
    enum hemi_status status = tr_insn(v->d->translator, &v->in);
    decoder_translated(v->d, &v->c, status, v->in.offset);
}

static bool is_constant(uint16_t op)
{
    switch (op) {
    case OP_I32_CONST:
    case OP_I64_CONST:
    case OP_F32_CONST:
    case OP_F64_CONST:
    case OP_V128_CONST:
    case OP_I32_ADD:
    case OP_I32_SUB:
    case OP_I32_MUL:
    case OP_I64_ADD:
    case OP_I64_SUB:
    case OP_I64_MUL:
    case OP_REF_NULL:
    case OP_REF_FUNC:
    case OP_REF_I31:
    case OP_GLOBAL_GET:
    case OP_STRUCT_NEW:
    case OP_STRUCT_NEW_DEFAULT:
    case OP_ARRAY_NEW:
    case OP_ARRAY_NEW_DEFAULT:
    case OP_ARRAY_NEW_FIXED:
    case OP_ANY_CONVERT_EXTERN:
    case OP_EXTERN_CONVERT_ANY:
    case OP_END:
        return true;
    default:
        return false;
    }
}

static void validate_insn(struct validator *v)
{
    if (!read_opcode(v)) return;
    enum opcode_imm imm = (enum opcode_imm)sigs[v->in.op].imm;
    if (v->constant && !is_constant(v->in.op)) {
        v_fail(v, "constant expression required: this instruction is not allowed");
        return;
    }
    if (imm != IMM_NONE) {
        read_immediates(v, imm);
        if (!v_ok(v)) return;
    }
    v->show = v->live;
    handler *handle = handlers[v->in.op];
    if (handle)
        handle(v);
    else if (is_memory_imm(imm))
        validate_memory(v);
    else
        validate_regular(v);
    if (v->show) translate(v);
}

/* Up to and including the END of the outermost frame. */
static void validate_body(struct validator *v)
{
    while (v->nctrls > 0 && v_poll(v)) validate_insn(v);
}

static void body_begin(struct validator *v, struct cursor c, const valtype *results, uint32_t nresults)
{
    v->c = c;
    v->nvals = v->nctrls = v->ninited = 0;
    v->live = true;
    v->in.op = OP_BLOCK;
    v->in.offset = cursor_offset(&c);
    v->in.nparams = 0;
    v->in.params = NULL;
    v->in.nresults = nresults;
    v->in.results = results;
    push_ctrl(v, OP_BLOCK);
}

/* ---- Constant expressions */

void validate_const(struct validator *v, struct cursor *c, valtype type, bool to_translate)
{
    v->constant = true;
    v->translate = to_translate;
    v->block_type = type;
    body_begin(v, *c, &v->block_type, 1);
    validate_body(v);
    c->at = v_ok(v) ? v->c.at : c->end;
}

/* ---- Functions */

/* Room for n more, whose types the caller writes. */
static bool reserve_locals(struct validator *v, uint32_t n, bool inited)
{
    if (!decoder_reserve(&v->c, (void **)&v->locals, &v->cap_locals, v->nlocals, n, sizeof *v->locals) ||
        !decoder_reserve(&v->c, (void **)&v->inits, &v->cap_inits, v->nlocals, n, sizeof *v->inits))
        return false;
    memset(v->inits + v->nlocals, inited, n);
    v->nlocals += n;
    v_charge(v, n);
    return true;
}

static void add_params(struct validator *v, const struct rtype *t)
{
    uint32_t n = t->nparams;
    if (n > 0 && reserve_locals(v, n, true)) memcpy(v->locals, t->vals, n * sizeof *t->vals);
}

static void add_locals(struct validator *v, uint32_t n, valtype t)
{
    uint32_t from = v->nlocals;
    if (n == 0 || !reserve_locals(v, n, valtype_defaultable(t))) return;
    for (uint32_t i = 0; i < n; i++) v->locals[from + i] = t;
}

/* That there are more than 2^32 - 1 makes a module malformed, which comes before any limit. */
static void read_locals(struct validator *v)
{
    uint32_t start = cursor_offset(&v->c), groups = cursor_u32(&v->c);
    uint64_t total = v->nlocals;
    for (uint32_t i = 0; i < groups && v_ok(v); i++) {
        uint32_t offset = cursor_offset(&v->c), n = cursor_u32(&v->c);
        v->in.offset = offset;
        valtype t = decode_valtype(v->d, &v->c);
        total += n;
        if (total > UINT32_MAX) malformed_at(&v->c, offset, "too many locals");
        if (total <= WASM_MAX_LOCALS) add_locals(v, n, t);
    }
    v->d->nlocals += total;
    cursor_limit(&v->c, start, LIMIT_LOCALS, total);
    cursor_limit(&v->c, start, LIMIT_MODULE_LOCALS, v->d->nlocals);
}

static void function_begin(struct validator *v, const struct rtype *t)
{
    v->nlocals = 0;
    v->in.offset = cursor_offset(&v->c);
    add_params(v, t);
    read_locals(v);
    if (!v_ok(v)) return;
    struct cursor code = v->c;
    body_begin(v, code, type_results(t), t->nresults);
    v->translate = true;
    if (!v_ok(v)) return;
    enum hemi_status status =
        tr_begin(v->d->translator, v->func, v->locals, v->nlocals, t->nparams, type_results(t), t->nresults);
    decoder_translated(v->d, &v->c, status, v->in.offset);
}

void validate_function(struct validator *v, uint32_t func, struct cursor body, bool last)
{
    if (!last) body.end_text = "END opcode expected";
    v->constant = false;
    v->func = func;
    v->c = body;
    function_begin(v, v_func_type(v, func));
    validate_body(v);
    cursor_done(&v->c, "section size mismatch: bytes after the function's END");
    if (!v_ok(v)) return;
    enum hemi_status status = tr_finish(v->d->translator, &v->m->code[func]);
    decoder_translated(v->d, &v->c, status, v->in.offset);
}
