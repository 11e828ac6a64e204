/* hemi info, hemi ping, hemi stats: questions to the daemon. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client/tool/tool.h"
#include "proto/counters.h"

/* ---- info */
/* Objects as indented names, arrays as one line per element. */
static void print_json(const cJSON *item, int depth)
{
    for (const cJSON *at = item->child; at; at = at->next) {
        const char *name = at->string ? at->string : "-", *colon = at->string ? ":" : "";
        if (cJSON_IsObject(at) || cJSON_IsArray(at)) {
            say("%*s%s%s", 2 * depth, "", name, colon);
            print_json(at, depth + 1);
            continue;
        }
        char *text = cJSON_IsString(at) ? NULL : cJSON_PrintUnformatted(at);
        say("%*s%s%s %s", 2 * depth, "", name, colon, text ? text : cJSON_IsString(at) ? at->valuestring : "?");
        cJSON_free(text);
    }
}

static int print_info(hemi_client *client, bool json)
{
    char *text;
    if (hemi_info(client, &text) != HEMI_OK) return tell_failure(client, "info");
    cJSON *parsed = json ? NULL : cJSON_Parse(text);
    if (parsed)
        print_json(parsed, 0);
    else
        puts(text);
    cJSON_Delete(parsed);
    hemi_free_text(text);
    return EXIT_OK;
}

int command_info(const struct tool_options *o)
{
    struct session s;
    int status = session_open(&s, o);
    if (status != 0) return status;
    status = print_info(s.client, o->values[OPTION_JSON] != NULL);
    session_close(&s);
    return status;
}

/* ---- ping */

static int by_size(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

static int ping(hemi_client *client, size_t count)
{
    uint64_t *times = malloc(count * sizeof *times);
    if (!times) return fail_with(EXIT_LIMIT, "ping: out of memory");
    int status = EXIT_OK;
    for (size_t i = 0; i < count && status == EXIT_OK; i++) {
        uint64_t start = clock_ns(CLOCK_MONOTONIC);
        if (hemi_ping(client, NULL) != HEMI_OK) status = tell_failure(client, "ping");
        times[i] = clock_ns(CLOCK_MONOTONIC) - start;
    }
    if (status == EXIT_OK) {
        qsort(times, count, sizeof *times, by_size);
        uint64_t least = times[0], median = times[count / 2], most = times[count - 1];
        printf("%zu round trip%s: least %.1f us, median %.1f us, most %.1f us\n", count, count == 1 ? "" : "s",
               (double)least / 1e3, (double)median / 1e3, (double)most / 1e3);
    }
    free(times);
    return status;
}

int command_ping(const struct tool_options *o)
{
    struct session s;
    uint64_t count = 1;
    int status = take_number(o, OPTION_COUNT, 10000000, &count);
    if (status == 0 && count == 0) status = fail_with(EXIT_USAGE, "--count: 0 round trips measure nothing");
    if (status == 0) status = session_open(&s, o);
    if (status != 0) return status;
    status = ping(s.client, (size_t)count);
    session_close(&s);
    return status;
}

/* ---- stats */
static void print_counter(const cJSON *totals, const char *name, const char *text)
{
    const cJSON *n = cJSON_GetObjectItem(totals, name);
    if (cJSON_IsNumber(n)) say("%-16s %12.0f  %s", name, n->valuedouble, text);
}

static void print_totals(const cJSON *totals, bool json)
{
    if (json) {
        char *text = cJSON_PrintUnformatted(totals);
        puts(text ? text : "{}");
        cJSON_free(text);
        return;
    }
#define X(name, kind, text) print_counter(totals, #name, text);
    HEMI_COUNTERS(X)
#undef X
}

/* Of the whole worker, which is the tenant's: this connection has done nothing. */
static int stats(hemi_client *client, bool json)
{
    char *text;
    if (hemi_info(client, &text) != HEMI_OK) return tell_failure(client, "stats");
    cJSON *info = cJSON_Parse(text);
    const cJSON *totals = cJSON_GetObjectItem(info, "totals");
    int status = totals ? EXIT_OK : fail_with(EXIT_INTERNAL, "stats: the daemon tells no totals");
    if (totals) print_totals(totals, json);
    cJSON_Delete(info);
    hemi_free_text(text);
    return status;
}

int command_stats(const struct tool_options *o)
{
    struct session s;
    int status = session_open(&s, o);
    if (status != 0) return status;
    status = stats(s.client, o->values[OPTION_JSON] != NULL);
    session_close(&s);
    return status;
}
