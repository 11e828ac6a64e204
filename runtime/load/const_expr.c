/* runtime/load/const_expr.c -- constant expressions (3.0, 3.4.12): the plain ones become values at once, all others
 * code. */
#include "runtime/load/load.h"
#include <string.h>

bool decoder_code_begin(struct decoder *d, struct cursor *c)
{
    if (!cursor_ok(c)) return false;
    enum hemi_status status = HEMI_OK;
    if (!d->validator) status = validator_new(d, &d->validator);
    if (status == HEMI_OK && !d->translator) status = translator_new(d->engine, d->module, &d->poll_at, &d->translator);
    if (status != HEMI_OK) cursor_fail(c, status, cursor_offset(c), "preparing to validate code");
    return status == HEMI_OK;
}

enum {
    BYTE_END = 0x0B,
    BYTE_GLOBAL_GET = 0x23,
    BYTE_I32_CONST = 0x41,
    BYTE_I64_CONST = 0x42,
    BYTE_F32_CONST = 0x43,
    BYTE_F64_CONST = 0x44,
    BYTE_REF_NULL_INSN = 0xD0,
    BYTE_REF_FUNC = 0xD2,
    BYTE_SIMD = 0xFD,
    CODE_V128_CONST = 0x0C /* behind it */
};

static bool is_ref_i31(const struct cursor *c)
{
    static const uint8_t ref_i31[] = {0xFB, 0x1C, BYTE_END};
    return cursor_left(c) >= sizeof ref_i31 && memcmp(c->at, ref_i31, sizeof ref_i31) == 0;
}

/* Is this one instruction and its END? Then *out says which. Reads ahead of the validator, with an error of its own;
 * what it finds counts only once the expression has been validated. */
static bool read_plain(struct cursor c, struct const_expr *out)
{
    struct rt_error ignored = {.status = HEMI_OK};
    const uint8_t *bytes;
    c.err = &ignored;
    out->kind = CONST_VAL;
    switch (cursor_u8(&c)) {
    case BYTE_I32_CONST:
        out->val.i32 = (uint32_t)cursor_s32(&c);
        break;
    case BYTE_I64_CONST:
        out->val.i64 = (uint64_t)cursor_s64(&c);
        break;
    case BYTE_F32_CONST:
        out->val.i32 = (uint32_t)cursor_fixed(&c, 4);
        break;
    case BYTE_F64_CONST:
        out->val.i64 = cursor_fixed(&c, 8);
        break;
    case BYTE_SIMD:
        if (cursor_u32(&c) != CODE_V128_CONST || !(bytes = cursor_bytes(&c, sizeof out->val))) return false;
        memcpy(&out->val, bytes, sizeof out->val);
        break;
    case BYTE_REF_NULL_INSN:
        cursor_s33(&c);
        break;
    case BYTE_GLOBAL_GET:
        out->kind = CONST_GLOBAL;
        out->index = cursor_u32(&c);
        break;
    case BYTE_REF_FUNC:
        out->kind = CONST_FUNC;
        out->index = cursor_u32(&c);
        break;
    default:
        return false;
    }
    if (vt_is_ref(out->type) && out->kind == CONST_VAL && is_ref_i31(&c)) {
        out->val = (union val){.ref = heap_i31(out->val.i32).bits};
        return true;
    }
    return cursor_u8(&c) == BYTE_END && cursor_ok(&c);
}

static void emit_code(struct decoder *d, struct cursor *c, struct const_expr *out)
{
    struct module *m = d->module;
    if (!decoder_reserve(c, (void **)&m->const_code, &d->cap_const_code, m->nconst_code, 1, sizeof *m->const_code))
        return;
    out->index = m->nconst_code;
    enum hemi_status status = tr_begin(d->translator, SITE_CONST | out->index, NULL, 0, 0, &out->type, 1);
    if (!decoder_translated(d, c, status, out->offset)) return;
    validate_const(d->validator, c, out->type, true);
    if (!cursor_ok(c)) return;
    status = tr_finish(d->translator, &m->const_code[out->index]);
    if (decoder_translated(d, c, status, out->offset)) m->nconst_code++;
}

void decode_const_expr(struct decoder *d, struct cursor *c, valtype type, struct const_expr *out)
{
    *out = (struct const_expr){.type = type, .offset = cursor_offset(c)};
    if (!decoder_code_begin(d, c)) return;
    if (!d->engine->options.count_opcodes && read_plain(*c, out)) {
        validate_const(d->validator, c, type, false);
        return;
    }
    *out = (struct const_expr){.kind = CONST_CODE, .type = type, .offset = out->offset};
    emit_code(d, c, out);
}
