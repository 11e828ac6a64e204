/* What --stack and its like ask for, beside what the tenant may have. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>

#include "client/tool/tool.h"
#include "proto/tables/limits.h"

/* The options, and what limits them in the daemon's configuration. */
static const struct asked {
    enum tool_option option;
    const char *limit;
} rows[] = {{OPTION_STACK, "stack"}, {OPTION_HEAP, "heap"}, {OPTION_MEMORY, "linear_memory"}};
enum { ROWS = sizeof rows / sizeof *rows, WORKER_BYTES = 1 << 30 };

static bool is_asked(const struct tool_options *o, const struct asked *row, uint64_t *bytes)
{
    *bytes = 0;
    return o->values[row->option] && take_size(o, row->option, bytes) == 0;
}

/* A collected heap has two halves, of which one is in use; a call may have a few stacks. */
static uint64_t worker_bytes(const struct tool_options *o)
{
    uint64_t all = WORKER_BYTES, bytes;
    for (size_t i = 0; i < ROWS; i++)
        if (is_asked(o, &rows[i], &bytes) &&
            (__builtin_mul_overflow(bytes, 2, &bytes) || __builtin_add_overflow(all, bytes, &all)))
            return UINT64_MAX;
    return all;
}

size_t limits_raise(const struct tool_options *o, const char *argv[RAISE_WORDS])
{
    static char texts[ROWS + 1][64];
    size_t n = 0;
    uint64_t bytes;
    for (size_t i = 0; i < ROWS; i++) {
        if (!is_asked(o, &rows[i], &bytes)) continue;
        snprintf(texts[i], sizeof texts[i], "%s=%" PRIu64, rows[i].limit, bytes);
        argv[n++] = "--raise";
        argv[n++] = texts[i];
    }
    if (n == 0) return 0;
    snprintf(texts[ROWS], sizeof texts[ROWS], "memory=%" PRIu64, worker_bytes(o));
    argv[n++] = "--raise";
    argv[n++] = texts[ROWS];
    return n;
}

static int check(const struct tool_options *o, const cJSON *limits)
{
    uint64_t bytes;
    for (size_t i = 0; i < ROWS; i++) {
        const cJSON *limit = cJSON_GetObjectItem(limits, rows[i].limit);
        if (!is_asked(o, &rows[i], &bytes) || !cJSON_IsNumber(limit) || (double)bytes <= limit->valuedouble) continue;
        return fail_with(EXIT_LIMIT, "--%s: " LIMIT_MESSAGE, option_name((int)rows[i].option), rows[i].limit,
                         (unsigned long long)bytes, " bytes", (unsigned long long)limit->valuedouble);
    }
    return 0;
}

int limits_check(const struct tool_options *o, hemi_client *client)
{
    char *text;
    uint64_t bytes;
    size_t asked = 0;
    for (size_t i = 0; i < ROWS; i++) asked += is_asked(o, &rows[i], &bytes);
    if (asked == 0) return 0;
    if (hemi_info(client, &text) != HEMI_OK) return tell_failure(client, "looking at the limits");
    cJSON *info = cJSON_Parse(text);
    int status = check(o, cJSON_GetObjectItem(info, "limits"));
    cJSON_Delete(info);
    hemi_free_text(text);
    return status;
}
