/* runtime/code/listing.c -- translated code as text. The names are those of bodies.def, the operands come from its
 * rows' sizes, which are sums in the operands' order, and the immediates from immediates.def: nothing is told again
 * here. */
#include "runtime/code/listing.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "runtime/code/bodies.h"
#include "runtime/engine/engine.h"
#include "runtime/module/describe.h"

enum { STEPS_PER_POLL = 256, TARGETS_SHOWN = 32, NAME_COLUMNS = 24 };

static const char *const layouts[VMOP_COUNT] = {
#define HANDLER(id, size, ...) #size,
#include "runtime/code/bodies.def"
};

static const struct {
    const char *pattern, *fields;
} immediates[] = {
#define IMMEDIATES(pattern, fields) {pattern, fields},
#include "runtime/code/immediates.def"
#undef IMMEDIATES
};

static const char *const helper_names[HELPER_COUNT] = {
#define HELPER(name, file, what) #name,
#include "runtime/code/helpers.def"
#undef HELPER
};

/* ---- Layouts */

static uint32_t operand_size(char operand) { return operand == 'S' ? 2 : operand == 'c' ? 4 : operand == 'C' ? 8 : 0; }

static uint32_t field_size(char field)
{
    return field == 'r' ? 0 : strchr("snD", field) != NULL ? 2 : field == 'U' ? 8 : 4;
}

static char operand_of(const char *piece) /* SZ_S_i... */
{
    char kind = piece[3], type = piece[5];
    return kind != 'C' ? kind : type == 'F' || type == 'D' ? 'C' : 'c';
}

static uint32_t read_operands(uint32_t op, char operands[LISTING_OPERANDS_MAX])
{
    uint32_t n = 0, size = 0;
    memset(operands, 0, LISTING_OPERANDS_MAX);
    for (const char *at = layouts[op]; (at = strstr(at, "SZ_")) != NULL; at++) {
        CHECK(n < LISTING_OPERANDS_MAX);
        operands[n] = operand_of(at);
        size += operand_size(operands[n++]);
    }
    return size;
}

static const char *fields_of(uint32_t op)
{
    for (size_t i = 0; i < sizeof immediates / sizeof immediates[0]; i++)
        if (fnmatch(immediates[i].pattern, vmop_names[op], 0) == 0) return immediates[i].fields;
    return "w";
}

bool vmop_layout(uint32_t op, struct vmop_layout *out)
{
    uint32_t size = AT_A + read_operands(op, out->operands);
    out->fields = size == vmop_sizes[op] ? "" : fields_of(op);
    if (out->fields[0] == 'w') return size <= vmop_sizes[op] && (vmop_sizes[op] - size) % 2 == 0;
    for (const char *f = out->fields; *f != 0; f++) size += field_size(*f);
    return size == vmop_sizes[op];
}

/* ---- Which operation? */
struct handler {
    uint32_t offset, op;
};

static int by_offset(const void *a, const void *b)
{
    const struct handler *x = a, *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static struct handler *handlers_new(enum scheme scheme)
{
    struct handler *all = malloc(VMOP_COUNT * sizeof *all);
    for (uint32_t op = 0; all != NULL && op < VMOP_COUNT; op++) all[op] = (struct handler){vmop_offset(scheme, op), op};
    if (all != NULL) qsort(all, VMOP_COUNT, sizeof *all, by_offset);
    return all;
}

static uint32_t op_at(const struct handler *all, const uint8_t *at)
{
    struct handler key = {.offset = ld32(at)};
    const struct handler *found = bsearch(&key, all, VMOP_COUNT, sizeof *all, by_offset);
    CHECK(found != NULL);
    return found->op;
}

/* ---- Lines */
struct listing {
    const struct module *m;
    const struct code *c;
    const struct handler *handlers;
    uint32_t pc; /* of the instruction being listed */
    uint32_t site;
    struct text line;
};

static const char *put_operands(struct listing *l, const char *operands, const uint8_t **at)
{
    const char *before = " ";
    for (uint32_t i = 0; i < LISTING_OPERANDS_MAX && operands[i] != 0; i++, before = ", ") {
        if (operands[i] == 'R') text_add(&l->line, "%sr0", before);
        if (operands[i] == 'S') text_add(&l->line, "%ss%u", before, ld16(*at));
        if (operands[i] == 'c') text_add(&l->line, "%s#0x%x", before, ld32(*at));
        if (operands[i] == 'C') text_add(&l->line, "%s#0x%llx", before, (unsigned long long)ld64(*at));
        *at += operand_size(operands[i]);
    }
    return before;
}

static void put_branch(struct listing *l, const char *before, uint32_t distance)
{
    text_add(&l->line, "%s-> %04x", before, l->pc + distance);
}

static void put_field(struct listing *l, char field, const char *before, const uint8_t *at)
{
    uint32_t size = field_size(field), v = size == 2 ? ld16(at) : size > 0 ? ld32(at) : 0;
    switch (field) {
    case 'r':
        text_add(&l->line, "%sr0", before);
        break;
    case 's':
        text_add(&l->line, "%ss%u", before, v);
        break;
    case 'D':
        text_add(&l->line, "%sframe +%u", before, v);
        break;
    case 'S':
        l->site = v;
        text_add(&l->line, "%ssite %u", before, v);
        break;
    case 'B':
        put_branch(l, before, v);
        break;
    case 'h':
        text_add(&l->line, "%s%s", before, v < HELPER_COUNT ? helper_names[v] : "?");
        break;
    case 'U':
        text_add(&l->line, "%s0x%llx", before, (unsigned long long)ld64(at));
        break;
    case 'f':
        text_add(&l->line, "%sfunction %u", before, (uint32_t)(v / sizeof(struct code)));
        break;
    case 'o':
        text_add(&l->line, "%s+%u", before, v);
        break;
    default: {
        static const char *const words[] = {['t' - 'T'] = "type ",   ['i' - 'T'] = "import ", ['g' - 'T'] = "global ",
                                            ['m' - 'T'] = "memory ", ['T' - 'T'] = "table ",  ['u' - 'T'] = "#",
                                            ['n' - 'T'] = "count "};
        text_add(&l->line, "%s%s%u", before, words[field - 'T'], v);
    }
    }
}

static void put_fields(struct listing *l, const char *fields, const char *before, const uint8_t *at, const uint8_t *end)
{
    if (fields[0] == 'w') {
        for (; at < end; at += 2, before = ", ") text_add(&l->line, "%s%u", before, ld16(at));
        return;
    }
    for (; *fields != 0; fields++, before = ", ") {
        put_field(l, *fields, before, at);
        at += field_size(*fields);
    }
}

static void put_targets(struct listing *l, uint32_t op, const uint8_t *at)
{
    bool in_slot = op == VM_BR_TABLE_S;
    const uint8_t *count = at + AT_A + (in_slot ? SZ_S_i : SZ_R_i);
    uint32_t n = ld32(count) + 1;
    if (in_slot)
        text_add(&l->line, " s%u", ld16(at + AT_A));
    else
        text_add(&l->line, " r0");
    for (uint32_t i = 0; i < n && i < TARGETS_SHOWN; i++) put_branch(l, ", ", ld32(count + 4 + (size_t)i * 4));
    if (n > TARGETS_SHOWN) text_add(&l->line, ", and %u more", n - TARGETS_SHOWN);
}

static void put_slots(struct listing *l, const char *what, const uint16_t *slots, uint32_t n)
{
    if (n > 0) text_add(&l->line, " %s", what);
    for (uint32_t i = 0; i < n; i++) text_add(&l->line, "%ss%u", i == 0 ? " " : ",", slots[i]);
}

/* The site that the instruction names: its place, and what is live besides the locals. */
static void put_site(struct listing *l)
{
    if (l->site == SITE_ENTRY || l->site >= l->m->nsites) return;
    const struct site *s = &l->m->sites[l->site];
    text_add(&l->line, "  ; @0x%x", s->offset);
    if (s->nrefs + s->nfuncs > 0) {
        put_slots(l, "refs", l->m->live_slots + s->live, s->nrefs);
        put_slots(l, "funcs", l->m->live_slots + s->live + s->nrefs, s->nfuncs);
    }
    if (s->region != REGION_NONE) text_add(&l->line, " in region %u", s->region);
}

/* The place in the module where an instruction that can trap is recorded. */
static void put_place(struct listing *l)
{
    uint32_t first = 0, end = l->c->nlines;
    while (first < end) { /* they are in order */
        uint32_t middle = first + (end - first) / 2;
        if (l->c->lines[middle].pc < l->pc)
            first = middle + 1;
        else
            end = middle;
    }
    if (first < l->c->nlines && l->c->lines[first].pc == l->pc)
        text_add(&l->line, "  ; @0x%x", l->c->lines[first].offset);
}

static void put_insn(struct listing *l, uint32_t op, const uint8_t *at)
{
    struct vmop_layout layout;
    text_add(&l->line, "  %04x  %-*s d%u", l->pc, NAME_COLUMNS, vmop_names[op], ld16(at + AT_D));
    l->site = SITE_ENTRY;
    if (op == VM_BR_TABLE_S || op == VM_BR_TABLE_R) {
        put_targets(l, op, at);
    } else {
        bool known = vmop_layout(op, &layout);
        CHECK(known);
        const uint8_t *field = at + AT_A;
        const char *before = put_operands(l, layout.operands, &field);
        put_fields(l, layout.fields, before, field, at + vmop_sizes[op]);
    }
    put_site(l);
    if (l->site == SITE_ENTRY) put_place(l);
    text_add(&l->line, "\n");
}

static void put_region(struct listing *l, uint32_t i)
{
    static const char *const kinds[] = {"catch", "catch_ref", "catch_all", "catch_all_ref"};
    const struct region *r = &l->c->regions[i];
    text_add(&l->line, "  region %u:", i);
    if (r->outer != REGION_NONE) text_add(&l->line, " in region %u", r->outer);
    for (uint32_t k = r->first; k < r->first + r->count; k++) {
        const struct catch_clause *x = &l->c->clauses[k];
        text_add(&l->line, " %s", kinds[x->kind]);
        if (x->kind < 2) text_add(&l->line, " tag %u", x->tag);
        text_add(&l->line, " to s%u -> %04x", x->slot, x->pc);
    }
    text_add(&l->line, "\n");
}

static void put_head(struct listing *l)
{
    const struct code *c = l->c;
    text_func(&l->line, l->m, c->func);
    text_add(&l->line, ": %u bytes, %u slots (%u parameters, %u locals, %u results)", c->size, c->frame_slots,
             c->nparams, c->nlocals - c->nparams, c->nresults);
    put_slots(l, "refs", c->local_refs, c->nlocal_refs);
    put_slots(l, "funcs", c->local_refs + c->nlocal_refs, c->nlocal_funcs);
    text_add(&l->line, "\n");
}

/* ---- A listing's places: 0 is the head, 1 + pc an instruction, 1 + size + i the i-th region. */

/* A line that was too long (hundreds of references are alive, say) ends in dots. */
static void end_line(struct listing *l)
{
    static const char dots[] = "...\n";
    if (l->line.used == 0 || l->line.at[l->line.used - 1] == '\n') return;
    size_t most = MODULE_LINE_MAX - sizeof dots;
    if (l->line.used > most) l->line.used = most;
    memcpy(l->line.at + l->line.used, dots, sizeof dots);
    l->line.used += sizeof dots - 1;
}

/* Makes the line at *at; false: there is none, else *at is the next one's. */
static bool next_line(struct listing *l, uint32_t *at)
{
    const struct code *c = l->c;
    l->line.used = 0;
    l->line.len = MODULE_LINE_MAX;
    if (*at == 0) {
        put_head(l);
        *at = 1;
    } else if (*at <= c->size) {
        l->pc = *at - 1;
        uint32_t op = op_at(l->handlers, c->bytes + l->pc);
        put_insn(l, op, c->bytes + l->pc);
        *at += code_insn_size(c->bytes + l->pc, op);
    } else if (*at - 1 - c->size < c->nregions) {
        put_region(l, *at - 1 - c->size);
        *at += 1;
    }
    end_line(l);
    return l->line.used > 0;
}

static enum hemi_status poll(const struct listing *l, uint32_t *steps)
{
    return ++*steps % STEPS_PER_POLL == 0 ? engine_poll(l->m->engine) : HEMI_OK;
}

/* Who asks may name any place: is it one? ARGUMENT, or what a poll returned. */
static enum hemi_status check_place(const struct listing *l, uint32_t at)
{
    const struct code *c = l->c;
    uint32_t pc = 0, steps = 0;
    enum hemi_status status = HEMI_OK;
    while (at > 0 && at <= c->size && pc < at - 1 && status == HEMI_OK) {
        pc += code_insn_size(c->bytes + pc, op_at(l->handlers, c->bytes + pc));
        status = poll(l, &steps);
    }
    if (status != HEMI_OK) return status;
    if (at > 0 && at <= c->size) return pc == at - 1 ? HEMI_OK : HEMI_ARGUMENT;
    return at == 0 || at - 1 - c->size < c->nregions ? HEMI_OK : HEMI_ARGUMENT;
}

/* Whole lines as far as they fit. */
static enum hemi_status fill(struct listing *l, uint32_t *at, char *to, size_t room, size_t *used)
{
    uint32_t next = *at, steps = 0;
    enum hemi_status status = HEMI_OK;
    while (status == HEMI_OK && next_line(l, &next)) {
        if (l->line.used > room - *used) return HEMI_OK;
        memcpy(to + *used, l->line.at, l->line.used);
        *used += l->line.used;
        *at = next;
        status = poll(l, &steps);
    }
    *at = 0;
    return status;
}

/* The function's, or (SITE_CONST | n) the constant expression's; NULL: the module has none. */
static const struct code *code_of(const struct module *m, uint32_t func)
{
    uint32_t i = func & ~SITE_CONST;
    if (func & SITE_CONST) return i < m->nconst_code ? &m->const_code[i] : NULL;
    return i >= m->nimported_funcs && i < m->nfuncs ? &m->code[i] : NULL;
}

enum hemi_status module_list(const struct module *m, uint32_t func, uint32_t *at, char *to, size_t room, size_t *used)
{
    char line[MODULE_LINE_MAX];
    struct listing l = {.m = m, .c = code_of(m, func), .line = {.at = line}};
    *used = 0;
    if (l.c == NULL) return HEMI_ARGUMENT;
    struct handler *handlers = handlers_new((enum scheme)m->engine->scheme);
    if (handlers == NULL) return HEMI_NO_MEMORY;
    l.handlers = handlers;
    enum hemi_status status = check_place(&l, *at);
    if (status == HEMI_OK) status = fill(&l, at, to, room, used);
    free(handlers);
    return status;
}
