/* runtime/validate/ref.c -- references, casts and i31 (3.0, 3.4.6, 3.4.7). in.type is the type pushed, or the target.
 */
#include "runtime/validate/impl.h"

void validate_ref_null(struct validator *v) { push_val(v, v->in.type); }

void validate_ref_is_null(struct validator *v)
{
    v->in.type = pop_ref(v);
    push_val(v, VT_I32);
}

/* In code, a function must have been named outside of it; naming one in a constant expression does that. */
void validate_ref_func(struct validator *v)
{
    uint32_t f = v->in.index;
    if (v->constant)
        func_declare(v->d, &v->c, f);
    else if (!func_is_declared(v->d, f))
        v_fail(v, "undeclared function reference %u", f);
    v->in.type = VT_REF(false, v->m->funcs[f].type);
    push_val(v, v->in.type);
}

void validate_ref_eq(struct validator *v)
{
    pop_expect(v, VT_REF(true, HT_EQ));
    pop_expect(v, VT_REF(true, HT_EQ));
    push_val(v, VT_I32);
}

void validate_ref_as_non_null(struct validator *v)
{
    v->in.type = VT_REF(false, vt_heap(pop_ref(v)));
    push_val(v, v->in.type);
}

/* ref.test and ref.cast: in.type is the target, in.type2 becomes the operand's type. */
void validate_ref_test(struct validator *v)
{
    v->in.type2 = pop_expect(v, VT_REF(true, heaptype_top(v->e->types, vt_heap(v->in.type))));
    bool is_test = v->in.op == OP_REF_TEST || v->in.op == OP_REF_TEST_NULL;
    push_val(v, is_test ? VT_I32 : v->in.type);
}

void validate_ref_i31(struct validator *v)
{
    pop_expect(v, VT_I32);
    v->in.type = VT_REF(false, HT_I31);
    push_val(v, v->in.type);
}

void validate_i31_get(struct validator *v)
{
    pop_expect(v, VT_REF(true, HT_I31));
    push_val(v, VT_I32);
}

/* any.convert_extern and extern.convert_any: a null only where the operand may be one. */
void validate_convert(struct validator *v)
{
    bool to_any = v->in.op == OP_ANY_CONVERT_EXTERN;
    valtype t = pop_expect(v, VT_REF(true, to_any ? HT_EXTERN : HT_ANY));
    v->in.type = VT_REF(vt_nullable(t), to_any ? HT_ANY : HT_EXTERN);
    push_val(v, v->in.type);
}
