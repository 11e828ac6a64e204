/* client/wat/blocks.c -- sequences of instructions, flat and folded (specification 6.5), read with a stack of frames
 * instead of recursion. */
#include "client/wat/assembler.h"

#include <stdlib.h>

/* ---- frames */

enum frame_kind {
    FRAME_PLAIN,      /* (instr operand*): its bytes wait in `pending` */
    FRAME_BLOCK,      /* (block ...), loop, try_table */
    FRAME_IF,         /* (if ...): its bytes wait in `pending` until (then */
    FRAME_ARM,        /* (then ...) or (else ...) */
    FRAME_FLAT_BLOCK, /* block ... end, or the part behind else */
    FRAME_FLAT_IF,    /* if ... */
};

struct frame {
    uint8_t kind;      /* enum frame_kind */
    uint8_t arms;      /* of a FRAME_IF: how many have begun */
    size_t pending;    /* PLAIN, IF: where its bytes begin in `pending` */
    uint32_t places;   /* and its places in `pending_places` */
    struct name label; /* of an IF, until (then */
};

struct reader {
    struct wat *w;
    struct buffer *out;
    struct buffer pending;
    struct places pending_places;
    struct frame *frames;
    uint32_t count, capacity;
};

void wat_add_place(struct wat *w, struct places *places, size_t at, uint32_t text)
{
    if (w->wants_places && wat_grow(w, &places->list, places->count, &places->capacity, sizeof *places->list))
        places->list[places->count++] = (struct place){at, text};
}

void wat_move_places(struct wat *w, struct places *to, const struct places *from, uint32_t first, size_t moved)
{
    for (uint32_t i = first; i < from->count; i++) wat_add_place(w, to, from->list[i].at + moved, from->list[i].text);
}

/* Those of a buffer that ends in the module as it is; NULL: it is another. */
static struct places *places_in(struct wat *w, const struct buffer *b)
{
    if (b == &w->body) return &w->body_places;
    for (unsigned i = 0; i < SECTION_COUNT; i++)
        if (b == &w->sections[i]) return &w->places[i];
    return NULL;
}

void wat_note_place(struct wat *w, const struct buffer *b, const struct token *token)
{
    struct places *places = w->wants_places ? places_in(w, b) : NULL;
    if (places) wat_add_place(w, places, b->length, token->offset);
}

static void note_pending(struct reader *r, const struct token *token)
{
    wat_add_place(r->w, &r->pending_places, r->pending.length, token->offset);
}

static struct frame *push_frame(struct reader *r, enum frame_kind kind)
{
    if (!wat_grow(r->w, &r->frames, r->count, &r->capacity, sizeof *r->frames)) return NULL;
    if (r->count == WAT_NESTING) {
        wat_fail(r->w, HEMI_LIMIT, wat_peek(r->w), "blocks nested deeper than %u", WAT_NESTING);
        return NULL;
    }
    struct frame *frame = &r->frames[r->count++];
    *frame = (struct frame){.kind = (uint8_t)kind, .pending = r->pending.length, .places = r->pending_places.count};
    return frame;
}

static struct frame *top(struct reader *r) { return r->count ? &r->frames[r->count - 1] : NULL; }

static bool is_block(enum opcode op) { return opcode_rows[op].imm == IMM_BLOCK || op == OP_TRY_TABLE; }

/* A block's opcode, label, type and clauses, into the output. */
static void block_header(struct reader *r, enum opcode op, const struct token *token)
{
    struct wat *w = r->w;
    wat_note_place(w, r->out, token);
    struct name name = wat_optional_id(w);
    bin_opcode(w, r->out, op);
    wat_immediates(w, r->out, &opcode_rows[op]);
    wat_push_label(w, name);
}

static void end_block(struct reader *r, const struct token *token)
{
    wat_note_place(r->w, r->out, token);
    bin_opcode(r->w, r->out, OP_END);
    wat_pop_label(r->w);
}

/* Behind `else` and `end` the block's label may be repeated. */
static void repeated_label(struct wat *w)
{
    const struct token *token = wat_peek(w);
    struct name name = wat_optional_id(w);
    if (name.bytes && !wat_names_equal(name, w->labels[w->label_count - 1].name))
        wat_fail_name(w, token, "mismatching", "label", name);
}

static void flat_end(struct reader *r, const struct token *token)
{
    struct frame *frame = top(r);
    if (!frame || (frame->kind != FRAME_FLAT_BLOCK && frame->kind != FRAME_FLAT_IF)) {
        wat_fail(r->w, HEMI_INVALID_MODULE, token, "unexpected token end");
        return;
    }
    repeated_label(r->w);
    end_block(r, token);
    r->count--;
}

static void flat_else(struct reader *r, const struct token *token)
{
    struct frame *frame = top(r);
    if (!frame || frame->kind != FRAME_FLAT_IF) {
        wat_fail(r->w, HEMI_INVALID_MODULE, token, "unexpected token else");
        return;
    }
    repeated_label(r->w);
    wat_note_place(r->w, r->out, token);
    bin_opcode(r->w, r->out, OP_ELSE);
    frame->kind = FRAME_FLAT_BLOCK;
}

static void flat(struct reader *r)
{
    const struct token *token = wat_peek(r->w);
    enum opcode op;
    if (!wat_take_opcode(r->w, &op)) return;
    if (op == OP_END) {
        flat_end(r, token);
    } else if (op == OP_ELSE) {
        flat_else(r, token);
    } else if (is_block(op)) {
        block_header(r, op, token);
        push_frame(r, op == OP_IF ? FRAME_FLAT_IF : FRAME_FLAT_BLOCK);
    } else {
        wat_note_place(r->w, r->out, token);
        wat_plain(r->w, r->out, op);
    }
}

static void folded(struct reader *r)
{
    struct wat *w = r->w;
    enum opcode op;
    w->at += w->at < w->end; /* "(" */
    const struct token *token = wat_peek(w);
    if (!wat_take_opcode(w, &op)) return;
    if (op == OP_END || op == OP_ELSE) {
        wat_fail(w, HEMI_INVALID_MODULE, token, "unexpected token %s", opcode_rows[op].text);
    } else if (op == OP_IF) {
        struct frame *frame = push_frame(r, FRAME_IF);
        if (frame) frame->label = wat_optional_id(w);
        note_pending(r, token);
        bin_opcode(w, &r->pending, op);
        wat_block_type(w, &r->pending);
    } else if (is_block(op)) {
        block_header(r, op, token);
        push_frame(r, FRAME_BLOCK);
    } else {
        push_frame(r, FRAME_PLAIN);
        note_pending(r, token);
        wat_plain(w, &r->pending, op);
    }
}

/* Moves what the frame has pending to the output. */
static void flush(struct reader *r, const struct frame *frame)
{
    size_t moved = r->out->length - frame->pending;
    struct places *places = places_in(r->w, r->out);
    if (places) wat_move_places(r->w, places, &r->pending_places, frame->places, moved);
    r->pending_places.count = frame->places;
    bin_bytes(r->w, r->out, r->pending.data + frame->pending, r->pending.length - frame->pending);
    r->pending.length = frame->pending;
}

static void then_arm(struct reader *r)
{
    struct frame *frame = top(r);
    flush(r, frame);
    wat_push_label(r->w, frame->label);
    frame->arms = 1;
    push_frame(r, FRAME_ARM);
}

static void else_arm(struct reader *r)
{
    top(r)->arms = 2;
    wat_note_place(r->w, r->out, &r->w->tokens.list[r->w->at - 1]);
    bin_opcode(r->w, r->out, OP_ELSE);
    push_frame(r, FRAME_ARM);
}

/* At a "(" inside (if: operands, then (then, then perhaps (else. */
static void part_of_if(struct reader *r)
{
    uint8_t arms = top(r)->arms;
    if (arms == 0 && wat_take_open(r->w, "then"))
        then_arm(r);
    else if (arms == 1 && wat_take_open(r->w, "else"))
        else_arm(r);
    else if (arms == 0)
        folded(r);
    else
        wat_expected(r->w, arms == 1 ? "(else or \")\"" : "\")\"");
}

static void close_frame(struct reader *r)
{
    struct frame *frame = top(r);
    bool no_arm = frame->kind == FRAME_IF && frame->arms == 0;
    if (no_arm || frame->kind >= FRAME_FLAT_BLOCK) {
        wat_expected(r->w, no_arm ? "an operand or (then" : "an instruction or end");
        return;
    }
    if (frame->kind == FRAME_PLAIN)
        flush(r, frame);
    else if (frame->kind != FRAME_ARM)
        end_block(r, wat_peek(r->w));
    r->w->at++;
    r->count--;
}

/* One step: a flat instruction, or the beginning or the end of a folded one. */
static void step(struct reader *r)
{
    struct frame *frame = top(r);
    bool operands_only = frame && (frame->kind == FRAME_PLAIN || frame->kind == FRAME_IF);
    switch (wat_peek(r->w)->kind) {
    case TOKEN_CLOSE:
        close_frame(r);
        break;
    case TOKEN_OPEN:
        if (frame && frame->kind == FRAME_IF)
            part_of_if(r);
        else
            folded(r);
        break;
    case TOKEN_KEYWORD:
        if (!operands_only) {
            flat(r);
            break;
        }
        wat_expected(r->w, "a folded operand or \")\"");
        break;
    default:
        wat_expected(r->w, "an instruction or \")\"");
    }
}

static void reader_deinit(struct reader *r)
{
    bin_deinit(&r->pending);
    free(r->pending_places.list);
    free(r->frames);
}

void wat_instructions(struct wat *w, struct buffer *out)
{
    struct reader r = {.w = w, .out = out};
    while (w->status == HEMI_OK && (r.count || wat_peek(w)->kind != TOKEN_CLOSE)) step(&r);
    reader_deinit(&r);
}

void wat_one_folded(struct wat *w, struct buffer *out)
{
    struct reader r = {.w = w, .out = out};
    if (wat_peek(w)->kind == TOKEN_OPEN)
        folded(&r);
    else
        wat_expected(w, "an expression in parentheses");
    while (w->status == HEMI_OK && r.count) step(&r);
    reader_deinit(&r);
}
