/* tests/unit/client/wat_opcodes_test.c -- the table of opcodes: rows agree with themselves, and the assembler and
 * the disassembler know each. */
#include "client/wat/wat.h"
#include "proto/tables/opcodes.h"
#include "proto/tables/status.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the text format writes behind a keyword whose row has this kind of immediate; all of it index 0. */
static const char *operands(const struct opcode_row *row)
{
    switch ((enum opcode_imm)row->imm) {
    case IMM_NONE:
    case IMM_BLOCK:
    case IMM_MEM:
    case IMM_MEM_MEM:
    case IMM_MEMARG:
    case IMM_TABLE:
    case IMM_TABLE_TABLE:
    case IMM_TRY_TABLE:
        return "";
    case IMM_CALL_INDIRECT:
        return "(type 0)";
    case IMM_SHUFFLE:
        return "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0";
    case IMM_V128:
        return "i64x2 0 0";
    case IMM_HEAPTYPE:
        return strncmp(row->text, "ref.null", 8) ? "anyref" : "any";
    case IMM_SELECT_TYPES:
        return "(result i32)";
    case IMM_TYPE_FIELD:
    case IMM_TYPE_N:
    case IMM_TYPE_DATA:
    case IMM_TYPE_ELEM:
    case IMM_TYPE_TYPE:
        return "0 0";
    case IMM_BR_CAST:
        return "0 anyref anyref";
    default:
        return "0";
    }
}

static size_t opcode_bytes(const struct opcode_row *row, uint8_t out[4])
{
    size_t n = 0;
    if (row->prefix) out[n++] = row->prefix;
    if (row->prefix && row->code > 0x7F) out[n++] = (uint8_t)(row->code | 0x80);
    out[n++] = (uint8_t)(row->prefix && row->code > 0x7F ? row->code >> 7 : row->code);
    return n;
}

START_TEST(names_follow_texts)
{
    for (int op = 0; op < OP_COUNT; op++) {
        const struct opcode_row *row = &opcode_rows[op];
        char name[64] = {0};
        for (size_t i = 0; row->text[i]; i++)
            name[i] = (char)(isalnum((unsigned char)row->text[i]) ? toupper((unsigned char)row->text[i]) : '_');
        if (op != OP_SELECT_T) ck_assert_str_eq(name, row->name);
    }
}
END_TEST

START_TEST(encodings_are_unique)
{
    for (int a = 0; a < OP_COUNT; a++) {
        ck_assert(!opcode_rows[a].prefix || (opcode_rows[a].prefix >= 0xFB && opcode_rows[a].prefix <= 0xFD));
        ck_assert(opcode_rows[a].prefix || opcode_rows[a].code <= 0xFF);
        for (int b = a + 1; b < OP_COUNT; b++) {
            ck_assert(opcode_rows[a].prefix != opcode_rows[b].prefix || opcode_rows[a].code != opcode_rows[b].code);
            ck_assert_str_ne(opcode_rows[a].text, opcode_rows[b].text);
        }
    }
}
END_TEST

START_TEST(signatures_are_letters)
{
    for (int op = 0; op < OP_COUNT; op++) {
        const char *sig = opcode_rows[op].sig;
        if (strcmp(sig, "X") == 0) continue;
        const char *bar = strchr(sig, '_');
        ck_assert_msg(bar && strspn(sig, "iIfFv_") == strlen(sig) && !strchr(bar + 1, '_'), "%s", opcode_rows[op].text);
    }
}
END_TEST

START_TEST(widths_belong_to_memory_and_lanes)
{
    for (int op = 0; op < OP_COUNT; op++) {
        const struct opcode_row *row = &opcode_rows[op];
        bool wanted = row->imm == IMM_MEMARG || row->imm == IMM_MEMARG_LANE || row->imm == IMM_LANE;
        ck_assert_msg(wanted == (row->width != 0), "%s", row->text);
        ck_assert_msg((row->width & (row->width - 1)) == 0 && row->width <= 16, "%s", row->text);
    }
}
END_TEST

static void ck_comes_back(const char *text, const uint8_t *module, size_t size)
{
    static const struct wat_options options;
    struct wat_error err;
    char *printed;
    uint8_t *again;
    size_t length, again_size;
    int status = wat_disassemble(&options, module, size, NULL, &printed, &length, &err);
    ck_assert_msg(status == HEMI_OK, "%s: at byte %llu: %s", text, (unsigned long long)err.offset, err.message);
    status = wat_assemble(printed, length, NULL, &again, &again_size, &err);
    ck_assert_msg(status == HEMI_OK, "%s: %s", printed, err.message);
    ck_assert_msg(again_size == size && memcmp(again, module, size) == 0, "%s became %s", text, printed);
    free(printed);
    free(again);
}

/* Every row can be written, gives its opcode as the first byte of the body, and comes back. */
START_TEST(all_assemble_and_come_back)
{
    for (int op = 0; op < OP_COUNT; op++) {
        const struct opcode_row *row = &opcode_rows[op];
        if (op == OP_END || op == OP_ELSE) continue;
        char text[200], keyword[64];
        snprintf(keyword, sizeof keyword, "%s", row->text);
        keyword[strcspn(keyword, " ")] = 0;
        bool block = row->imm == IMM_BLOCK || row->imm == IMM_TRY_TABLE;
        const char *type = op == OP_REF_TEST || op == OP_REF_CAST ? "(ref any)" : operands(row);
        snprintf(text, sizeof text, "(type (func)) (func %s %s %s)", keyword, type, block ? "end" : "");
        struct wat_error err;
        uint8_t *out, wanted[4];
        size_t size, length = opcode_bytes(row, wanted);
        int status = wat_assemble(text, strlen(text), NULL, &out, &size, &err);
        ck_assert_msg(status == HEMI_OK, "%s: %s", text, err.message);
        uint8_t *body = memmem(out + 8, size - 8, "\x01\x60\x00\x00\x03\x02\x01\x00", 8);
        ck_assert_ptr_nonnull(body);
        body += 8;
        if (*body == 12) body += 2 + body[1]; /* the data count */
        ck_assert_msg(memcmp(body + 5, wanted, length) == 0, "%s", text);
        ck_comes_back(text, out, size);
        free(out);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("opcodes");
    TCase *tests = tcase_create("table");
    tcase_add_test(tests, names_follow_texts);
    tcase_add_test(tests, encodings_are_unique);
    tcase_add_test(tests, signatures_are_letters);
    tcase_add_test(tests, widths_belong_to_memory_and_lanes);
    tcase_add_test(tests, all_assemble_and_come_back);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
