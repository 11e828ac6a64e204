/* tests/wast/opcodes.c -- reads counts out of INFO's JSON. */
#include "tests/wast/opcodes.h"

#include <cjson/cJSON.h>
#include <stdio.h>

void opcodes_collect(struct opcode_counts *o, hemi_client *client)
{
    char *text;
    if (hemi_info(client, &text) != HEMI_OK) return;
    cJSON *info = cJSON_Parse(text);
    const cJSON *counts = cJSON_GetObjectItemCaseSensitive(info, "opcodes");
    for (unsigned op = 0; op < OP_COUNT; op++) {
        const cJSON *count = cJSON_GetObjectItemCaseSensitive(counts, opcode_rows[op].text);
        o->executed[op] |= cJSON_IsNumber(count) && cJSON_GetNumberValue(count) > 0;
    }
    cJSON_Delete(info);
    hemi_free_text(text);
}

uint32_t opcodes_missing(const struct opcode_counts *o)
{
    uint32_t missing = 0;
    for (unsigned op = 0; op < OP_COUNT; op++) {
        if (o->executed[op]) continue;
        printf("  %s (%s) was never executed\n", opcode_rows[op].text, opcode_rows[op].name);
        missing++;
    }
    printf("%u of %u instructions were executed\n", OP_COUNT - missing, OP_COUNT);
    return missing;
}
