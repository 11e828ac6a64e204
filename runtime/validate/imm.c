/* runtime/validate/imm.c -- instructions' immediates: reads them and checks every index (3.0, 5.4;
 * runtime/validate/impl.h .index). */
#include "runtime/validate/impl.h"
#include <string.h>

static uint32_t check_index(struct validator *v, uint32_t i, uint32_t count, const char *space)
{
    if (i < count) return i;
    if (v_ok(v)) v_fail(v, "unknown %s %u", space, i);
    return 0;
}

static uint32_t read_index(struct validator *v, uint32_t count, const char *space)
{
    return check_index(v, cursor_u32(&v->c), count, space);
}

static uint32_t read_memory(struct validator *v) { return read_index(v, v->m->nmemories, "memory"); }
static uint32_t read_table(struct validator *v) { return read_index(v, v->m->ntables, "table"); }
static uint32_t read_type(struct validator *v) { return read_index(v, v->m->ntypes, "type"); }
static uint32_t check_elem(struct validator *v, uint32_t i) { return check_index(v, i, v->m->nelems, "elem segment"); }
static uint32_t read_elem(struct validator *v) { return check_elem(v, cursor_u32(&v->c)); }

static uint32_t check_data(struct validator *v, uint32_t i)
{
    if (!v->d->has_data_count) v_malformed(v, "data count section required");
    return check_index(v, i, v->d->ndata, "data segment");
}

static uint32_t read_data(struct validator *v) { return check_data(v, cursor_u32(&v->c)); }

/* A label, as depth; in a constant expression there is but one. */
static uint32_t read_label(struct validator *v) { return read_index(v, v->nctrls, "label"); }

static uint32_t read_func_type(struct validator *v)
{
    uint32_t local = read_type(v);
    if (v_ok(v) && v_type(v, local)->kind != TYPE_FUNC) v_fail(v, "unknown type %u: not a function type", local);
    return local;
}

/* ---- Blocks */

static void set_block(struct validator *v, const valtype *params, uint32_t nparams, const valtype *results, uint32_t n)
{
    v->in.params = params;
    v->in.nparams = v->in.param_slots = nparams;
    v->in.results = results;
    v->in.nresults = v->in.result_slots = n;
}

static void set_func_block(struct validator *v, uint64_t local)
{
    uint32_t id = decode_type_id(v->d, &v->c, local, v->in.offset);
    if (!v_ok(v)) return;
    const struct rtype *t = &v->e->types->rtypes[id];
    if (t->kind != TYPE_FUNC) {
        v_fail(v, "unknown type %u: not a function type", (uint32_t)local);
        return;
    }
    set_block(v, t->vals, t->nparams, type_results(t), t->nresults);
    v->in.param_slots = t->param_slots;
    v->in.result_slots = t->result_slots;
}

static void read_block_type(struct validator *v)
{
    struct cursor *c = &v->c;
    uint8_t byte = c->at < c->end ? *c->at : BYTE_EMPTY;
    set_block(v, NULL, 0, NULL, 0);
    if (byte == BYTE_EMPTY) {
        cursor_u8(c);
    } else if (byte == BYTE_REF || byte == BYTE_REF_NULL || valtype_of_byte(byte) != VT_BOT) {
        v->block_type = decode_valtype(v->d, c);
        set_block(v, NULL, 0, &v->block_type, 1);
        v->in.result_slots = valtype_slots(v->block_type);
    } else {
        int64_t local = cursor_s33(c);
        if (local < 0) v_foreign(v, MARK_TYPE, byte, "malformed block type");
        if (v_ok(v)) set_func_block(v, (uint64_t)local);
    }
}

static void read_labels(struct validator *v)
{
    struct cursor *c = &v->c;
    uint32_t n = cursor_count(c, LIMIT_BR_TABLE);
    if (!decoder_reserve(c, (void **)&v->labels, &v->cap_labels, 0, n + 1, sizeof *v->labels)) return;
    for (uint32_t i = 0; i <= n && v_ok(v); i++) v->labels[i] = read_label(v);
    v->in.labels = v->labels;
    v->in.nlabels = n;
}

static struct insn_catch read_catch(struct validator *v)
{
    struct insn_catch clause = {.kind = cursor_u8(&v->c)};
    if (clause.kind >= CATCH_KINDS) v_malformed(v, "malformed catch clause");
    if (clause.kind < CATCH_ALL) clause.tag = read_index(v, v->m->ntags, "tag");
    clause.label = read_label(v);
    return clause;
}

static void read_try_table(struct validator *v)
{
    struct cursor *c = &v->c;
    read_block_type(v);
    uint32_t n = cursor_count(c, LIMIT_CATCHES);
    if (!decoder_reserve(c, (void **)&v->catches, &v->cap_catches, 0, n, sizeof *v->catches)) return;
    for (uint32_t i = 0; i < n && v_ok(v); i++) v->catches[i] = read_catch(v);
    v->in.catches = v->catches;
    v->in.ncatches = n;
}

/* ---- Memory accesses */

static void read_memarg(struct validator *v)
{
    struct insn *in = &v->in;
    uint32_t flags = cursor_u32(&v->c);
    if (flags >= 2 * MEMARG_MEMORY) v_malformed(v, "malformed memop flags");
    in->align = flags & (MEMARG_MEMORY - 1);
    uint32_t memory = flags & MEMARG_MEMORY ? cursor_u32(&v->c) : 0;
    in->imm = cursor_u64(&v->c);
    in->index = memory;
    if (!v_ok(v)) return;
    const char *proposal = proposal_of_mark(MARK_MEMARG, in->align);
    if (proposal)
        v_fail(v, "alignment must not be larger than natural" PROPOSAL_REMARK, proposal);
    else if (memory >= v->m->nmemories)
        v_fail(v, "unknown memory %u", memory);
    else if (in->align >= 32 || 1u << in->align > opcode_rows[in->op].width)
        v_fail(v, "alignment must not be larger than natural");
    else if (in->imm > UINT32_MAX && !v->m->memories[memory].limits.is64)
        v_fail(v, "offset out of range");
}

static uint32_t read_lane(struct validator *v, uint32_t lanes)
{
    uint8_t lane = cursor_u8(&v->c);
    if (lane >= lanes) v_fail(v, "invalid lane index");
    return lane;
}

static void read_shuffle(struct validator *v)
{
    v->in.bytes = v->c.at;
    for (uint32_t i = 0; i < 16; i++) read_lane(v, 32);
}

/* ---- References and objects */

/* Target of ref.test, ref.cast and of the branches on casts. */
static valtype read_cast_target(struct validator *v, bool nullable)
{
    uint32_t heap = decode_heaptype(v->d, &v->c, &v->in.cast_local_type);
    return VT_REF(nullable, heap);
}

static void read_heaptype(struct validator *v)
{
    uint16_t op = v->in.op;
    v->in.type = read_cast_target(v, op == OP_REF_NULL || op == OP_REF_TEST_NULL || op == OP_REF_CAST_NULL);
}

static void read_br_cast(struct validator *v)
{
    uint8_t flags = cursor_u8(&v->c);
    if (flags > (CAST_FROM_NULL | CAST_TO_NULL)) v_foreign(v, MARK_CAST, flags, "malformed br_on_cast flags");
    v->in.index = read_label(v);
    v->in.type2 = read_cast_target(v, flags & CAST_FROM_NULL);
    v->in.type = read_cast_target(v, flags & CAST_TO_NULL);
}

static void read_select_types(struct validator *v)
{
    uint32_t n = cursor_u32(&v->c);
    if (n != 1) v_fail(v, "invalid result arity");
    v->in.type = decode_valtype(v->d, &v->c);
}

static void set_type(struct validator *v, uint32_t local) { v->in.index = v->in.local_type = local; }

static void read_type_field(struct validator *v)
{
    set_type(v, read_type(v));
    if (!v_ok(v)) return;
    const struct rtype *t = v_type(v, v->in.index);
    if (t->kind != TYPE_STRUCT)
        v_fail(v, "unknown type %u: not a structure type", v->in.index);
    else
        v->in.index2 = read_index(v, t->nfields, "field");
}

static void read_indirect(struct validator *v)
{
    set_type(v, read_func_type(v));
    v->in.index2 = read_table(v);
}

static void read_type_type(struct validator *v)
{
    set_type(v, read_type(v));
    v->in.index2 = v->in.local_type2 = read_type(v);
}

void read_immediates(struct validator *v, enum opcode_imm imm)
{
    struct insn *in = &v->in;
    struct cursor *c = &v->c;
    switch (imm) {
    case IMM_NONE:
        break;
    case IMM_BLOCK:
        read_block_type(v);
        break;
    case IMM_LABEL:
        in->index = read_label(v);
        break;
    case IMM_LABELS:
        read_labels(v);
        break;
    case IMM_FUNC:
        in->index = read_index(v, v->m->nfuncs, "function");
        break;
    case IMM_TYPE:
        set_type(v, read_type(v));
        break;
    case IMM_CALL_INDIRECT:
        read_indirect(v);
        break;
    case IMM_LOCAL:
        in->index = read_index(v, v->nlocals, "local");
        break;
    case IMM_GLOBAL:
        in->index = read_index(v, v->m->nglobals, "global");
        break;
    case IMM_TABLE:
        in->index = read_table(v);
        break;
    case IMM_TABLE_TABLE:
        in->index = read_table(v);
        in->index2 = read_table(v);
        break;
    case IMM_ELEM_TABLE:
        in->index = cursor_u32(c);
        in->index2 = read_table(v);
        in->index = check_elem(v, in->index);
        break;
    case IMM_ELEM:
        in->index = read_elem(v);
        break;
    case IMM_MEM:
        in->index = read_memory(v);
        break;
    case IMM_MEM_MEM:
        in->index = read_memory(v);
        in->index2 = read_memory(v);
        break;
    case IMM_DATA_MEM:
        in->index = cursor_u32(c);
        in->index2 = read_memory(v);
        in->index = check_data(v, in->index);
        break;
    case IMM_DATA:
        in->index = read_data(v);
        break;
    case IMM_MEMARG:
        read_memarg(v);
        break;
    case IMM_MEMARG_LANE:
        read_memarg(v);
        in->index2 = read_lane(v, 16u / opcode_rows[in->op].width);
        break;
    case IMM_LANE:
        in->index = read_lane(v, 16u / opcode_rows[in->op].width);
        break;
    case IMM_SHUFFLE:
        read_shuffle(v);
        break;
    case IMM_I32:
        in->imm = (uint32_t)cursor_s32(c);
        break;
    case IMM_I64:
        in->imm = (uint64_t)cursor_s64(c);
        break;
    case IMM_F32:
        in->imm = cursor_fixed(c, 4);
        break;
    case IMM_F64:
        in->imm = cursor_fixed(c, 8);
        break;
    case IMM_V128:
        in->bytes = cursor_bytes(c, 16);
        break;
    case IMM_HEAPTYPE:
        read_heaptype(v);
        break;
    case IMM_SELECT_TYPES:
        read_select_types(v);
        break;
    case IMM_TYPE_FIELD:
        read_type_field(v);
        break;
    case IMM_TYPE_N:
        set_type(v, read_type(v));
        in->index2 = cursor_u32(c);
        break;
    case IMM_TYPE_DATA:
        set_type(v, read_type(v));
        in->index2 = read_data(v);
        break;
    case IMM_TYPE_ELEM:
        set_type(v, read_type(v));
        in->index2 = read_elem(v);
        break;
    case IMM_TYPE_TYPE:
        read_type_type(v);
        break;
    case IMM_BR_CAST:
        read_br_cast(v);
        break;
    case IMM_TAG:
        in->index = read_index(v, v->m->ntags, "tag");
        break;
    case IMM_TRY_TABLE:
        read_try_table(v);
        break;
    }
}
