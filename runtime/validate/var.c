/* runtime/validate/var.c -- parametric, variable and table instructions (3.0, 3.4.4, 3.4.5, 3.4.9). */
#include "runtime/validate/impl.h"

/* ---- Parametric. in.type is the operand's type. */

void validate_drop(struct validator *v) { v->in.type = pop_val(v); }

void validate_select(struct validator *v)
{
    pop_expect(v, VT_I32);
    valtype a = pop_val(v), b = pop_val(v);
    char text[40];
    if (vt_is_ref(a) || vt_is_ref(b)) {
        v_fail(v, "type mismatch: select without a type cannot take %s",
               v_type_text(v, vt_is_ref(a) ? a : b, text, sizeof text));
    } else if (a != b && a != VT_BOT && b != VT_BOT) {
        v_mismatch(v, b, a);
    }
    v->in.type = a == VT_BOT ? b : a;
    push_val(v, v->in.type);
}

void validate_select_t(struct validator *v)
{
    pop_expect(v, VT_I32);
    pop_expect(v, v->in.type);
    pop_expect(v, v->in.type);
    push_val(v, v->in.type);
}

/* ---- Variables. in.type is the variable's type. */

/* Remembers which locals a block initialises, for its end makes them uninitialised again. */
static void init_local(struct validator *v, uint32_t local)
{
    if (v->inits[local]) return;
    if (!decoder_reserve(&v->c, (void **)&v->inited, &v->cap_inited, v->ninited, 1, sizeof *v->inited)) return;
    v->inits[local] = 1;
    v->inited[v->ninited++] = local;
}

void validate_local_get(struct validator *v)
{
    uint32_t i = v->in.index;
    if (!v->inits[i]) v_fail(v, "uninitialized local %u", i);
    v->in.type = v->locals[i];
    push_val(v, v->in.type);
}

void validate_local_set(struct validator *v)
{
    v->in.type = v->locals[v->in.index];
    pop_expect(v, v->in.type);
    init_local(v, v->in.index);
}

void validate_local_tee(struct validator *v)
{
    validate_local_set(v);
    push_val(v, v->in.type);
}

void validate_global_get(struct validator *v)
{
    const struct global_decl *g = &v->m->globals[v->in.index];
    if (v->constant && g->mut) v_fail(v, "constant expression required: global %u is mutable", v->in.index);
    v->in.type = g->type;
    push_val(v, g->type);
}

void validate_global_set(struct validator *v)
{
    const struct global_decl *g = &v->m->globals[v->in.index];
    if (!g->mut) v_fail(v, "immutable global %u", v->in.index);
    v->in.type = g->type;
    pop_expect(v, g->type);
}

/* ---- Tables. in.type is the type of the elements, or of what is pushed. */

static const struct table_decl *table_at(const struct validator *v, uint32_t i) { return &v->m->tables[i]; }
static valtype addr_type(const struct table_decl *t) { return t->limits.is64 ? VT_I64 : VT_I32; }

void validate_table_get(struct validator *v)
{
    const struct table_decl *t = table_at(v, v->in.index);
    pop_expect(v, addr_type(t));
    v->in.type = t->type;
    push_val(v, t->type);
}

void validate_table_set(struct validator *v)
{
    const struct table_decl *t = table_at(v, v->in.index);
    v->in.type = t->type;
    pop_expect(v, t->type);
    pop_expect(v, addr_type(t));
}

void validate_table_size(struct validator *v)
{
    v->in.type = addr_type(table_at(v, v->in.index));
    push_val(v, v->in.type);
}

void validate_table_grow(struct validator *v)
{
    const struct table_decl *t = table_at(v, v->in.index);
    pop_expect(v, addr_type(t));
    pop_expect(v, t->type);
    v->in.type = addr_type(t);
    push_val(v, v->in.type);
}

void validate_table_fill(struct validator *v)
{
    const struct table_decl *t = table_at(v, v->in.index);
    v->in.type = t->type;
    pop_expect(v, addr_type(t));
    pop_expect(v, t->type);
    pop_expect(v, addr_type(t));
}

void validate_table_copy(struct validator *v)
{
    const struct table_decl *to = table_at(v, v->in.index), *from = table_at(v, v->in.index2);
    if (!valtype_matches(v->e->types, from->type, to->type)) v_mismatch(v, to->type, from->type);
    v->in.type = to->type;
    pop_expect(v, to->limits.is64 ? addr_type(from) : VT_I32);
    pop_expect(v, addr_type(from));
    pop_expect(v, addr_type(to));
}

void validate_table_init(struct validator *v)
{
    const struct table_decl *t = table_at(v, v->in.index2);
    valtype elems = v->m->elems[v->in.index].type;
    if (!valtype_matches(v->e->types, elems, t->type)) v_mismatch(v, t->type, elems);
    v->in.type = t->type;
    pop_expect(v, VT_I32);
    pop_expect(v, VT_I32);
    pop_expect(v, addr_type(t));
}
