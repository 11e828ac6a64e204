/* runtime/validate/gc.c -- structures and arrays (3.0, 3.4.7). in.type is the type pushed, or of the field stored. */
#include "runtime/validate/impl.h"

static valtype unpacked(valtype storage) { return storage == VT_I8 || storage == VT_I16 ? VT_I32 : storage; }

static valtype ref_to(const struct validator *v, bool nullable, uint32_t local)
{
    return VT_REF(nullable, v->m->types[local]);
}

/* The type at in.index, which must be of this kind; NULL after an error. */
static const struct rtype *want_kind(struct validator *v, uint32_t local, enum type_kind kind)
{
    const struct rtype *t = v_type(v, local);
    if (t->kind == kind) return t;
    v_fail(v, "unknown type %u: not %s type", local, kind == TYPE_STRUCT ? "a structure" : "an array");
    return NULL;
}

static void push_object(struct validator *v)
{
    v->in.type = ref_to(v, false, v->in.index);
    push_val(v, v->in.type);
}

static void check_defaults(struct validator *v, const struct rtype *t)
{
    if (t->defaultable) return;
    uint32_t i = 0;
    while (valtype_defaultable(t->fields[i].type)) i++;
    v_fail(v, "type mismatch: field %u has no default value", i);
}

/* get without _s or _u is for fields that are not packed, the others for those that are. */
static void check_get(struct validator *v, const struct field *f, bool is_plain)
{
    bool packed = f->type == VT_I8 || f->type == VT_I16;
    if (packed == is_plain) v_fail(v, "type mismatch: the field is %spacked", packed ? "" : "not ");
}

/* ---- Structures */

void validate_struct_new(struct validator *v)
{
    const struct rtype *t = want_kind(v, v->in.index, TYPE_STRUCT);
    if (!t) return;
    v->in.nparams = v->in.op == OP_STRUCT_NEW ? t->nfields : 0;
    if (v->in.op == OP_STRUCT_NEW) {
        uint32_t left = t->nfields;
        while (left > 0 && !pops_nothing(v)) pop_expect(v, unpacked(t->fields[--left].type));
        v_charge(v, t->nfields - left);
    } else {
        check_defaults(v, t);
    }
    push_object(v);
}

void validate_struct_get(struct validator *v)
{
    const struct field *f = &v_type(v, v->in.index)->fields[v->in.index2];
    check_get(v, f, v->in.op == OP_STRUCT_GET);
    pop_expect(v, ref_to(v, true, v->in.index));
    v->in.type = unpacked(f->type);
    push_vals(v, &v->in.type, 1);
}

void validate_struct_set(struct validator *v)
{
    const struct field *f = &v_type(v, v->in.index)->fields[v->in.index2];
    if (!f->mut) v_fail(v, "immutable field %u", v->in.index2);
    v->in.type = f->type;
    pop_expect(v, unpacked(f->type));
    pop_expect(v, ref_to(v, true, v->in.index));
}

/* ---- Arrays: the element is field 0 */

static const struct field *element(struct validator *v)
{
    const struct rtype *t = want_kind(v, v->in.index, TYPE_ARRAY);
    return t ? &t->fields[0] : NULL;
}

static const struct field *mutable_element(struct validator *v)
{
    const struct field *f = element(v);
    if (f && !f->mut) v_fail(v, "immutable array type %u", v->in.index);
    return f;
}

static void check_data(struct validator *v, const struct field *f)
{
    if (vt_is_ref(f->type)) v_fail(v, "array type is not numeric or vector");
}

static void check_elems(struct validator *v, const struct field *f)
{
    valtype elems = v->m->elems[v->in.index2].type;
    if (!valtype_matches(v->e->types, elems, f->type)) v_mismatch(v, f->type, elems);
}

void validate_array_new(struct validator *v)
{
    const struct field *f = element(v);
    if (!f) return;
    pop_expect(v, VT_I32);
    if (v->in.op == OP_ARRAY_NEW)
        pop_expect(v, unpacked(f->type));
    else
        check_defaults(v, v_type(v, v->in.index));
    push_object(v);
}

void validate_array_new_fixed(struct validator *v)
{
    const struct field *f = element(v);
    if (!f || !cursor_limit(&v->c, v->in.offset, LIMIT_NEW_FIXED, v->in.index2)) return;
    uint32_t left = v->in.index2;
    for (; left > 0 && v_ok(v) && !pops_nothing(v); left--) pop_expect(v, unpacked(f->type));
    v_charge(v, v->in.index2 - left);
    v->in.nparams = v->in.index2;
    push_object(v);
}

void validate_array_new_data(struct validator *v)
{
    const struct field *f = element(v);
    if (!f) return;
    check_data(v, f);
    pop_expect(v, VT_I32);
    pop_expect(v, VT_I32);
    push_object(v);
}

void validate_array_new_elem(struct validator *v)
{
    const struct field *f = element(v);
    if (!f) return;
    check_elems(v, f);
    pop_expect(v, VT_I32);
    pop_expect(v, VT_I32);
    push_object(v);
}

void validate_array_get(struct validator *v)
{
    const struct field *f = element(v);
    if (!f) return;
    check_get(v, f, v->in.op == OP_ARRAY_GET);
    pop_expect(v, VT_I32);
    pop_expect(v, ref_to(v, true, v->in.index));
    v->in.type = unpacked(f->type);
    push_vals(v, &v->in.type, 1);
}

void validate_array_set(struct validator *v)
{
    const struct field *f = mutable_element(v);
    if (!f) return;
    v->in.type = f->type;
    pop_expect(v, unpacked(f->type));
    pop_expect(v, VT_I32);
    pop_expect(v, ref_to(v, true, v->in.index));
}

void validate_array_len(struct validator *v)
{
    pop_expect(v, VT_REF(true, HT_ARRAY));
    push_val(v, VT_I32);
}

void validate_array_fill(struct validator *v)
{
    const struct field *f = mutable_element(v);
    if (!f) return;
    v->in.type = f->type;
    pop_expect(v, VT_I32);
    pop_expect(v, unpacked(f->type));
    pop_expect(v, VT_I32);
    pop_expect(v, ref_to(v, true, v->in.index));
}

void validate_array_copy(struct validator *v)
{
    const struct field *to = mutable_element(v);
    const struct rtype *from = to ? want_kind(v, v->in.index2, TYPE_ARRAY) : NULL;
    if (!from) return;
    if (!valtype_matches(v->e->types, from->fields[0].type, to->type)) v_fail(v, "array types do not match");
    v->in.type = to->type;
    pop_expect(v, VT_I32);
    pop_expect(v, VT_I32);
    pop_expect(v, ref_to(v, true, v->in.index2));
    pop_expect(v, VT_I32);
    pop_expect(v, ref_to(v, true, v->in.index));
}

static void pop_init(struct validator *v)
{
    pop_expect(v, VT_I32);
    pop_expect(v, VT_I32);
    pop_expect(v, VT_I32);
    pop_expect(v, ref_to(v, true, v->in.index));
}

void validate_array_init_data(struct validator *v)
{
    const struct field *f = mutable_element(v);
    if (!f) return;
    check_data(v, f);
    pop_init(v);
}

void validate_array_init_elem(struct validator *v)
{
    const struct field *f = mutable_element(v);
    if (!f) return;
    check_elems(v, f);
    pop_init(v);
}
