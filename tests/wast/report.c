/* tests/wast/report.c -- records, lines, XML. */
#include "tests/wast/report.h"

#include <stdlib.h>
#include <string.h>

const char *report_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void report_add(struct report *r, uint32_t line, const char *command, enum verdict verdict, const char *why)
{
    if (r->count == r->capacity) {
        r->capacity = r->capacity ? r->capacity * 2 : 64;
        r->records = reallocarray(r->records, r->capacity, sizeof *r->records);
    }
    char *copy = why ? strdup(why) : NULL;
    if (!r->records || (why && !copy)) abort(); /* a test program has nothing better to do */
    r->records[r->count++] = (struct record){line, verdict, command, copy};
    r->totals[verdict]++;
    r->assertions += verdict == VERDICT_PASSED && strncmp(command, "assert", strlen("assert")) == 0;
}

void report_deinit(struct report *r)
{
    for (uint32_t i = 0; i < r->count; i++) free(r->records[i].why);
    free(r->records);
    *r = (struct report){0};
}

/* ---- lines */

/* Why commands were skipped: one line per reason, with how often. They come in runs. */
static void print_skipped(const struct report *r)
{
    for (uint32_t i = 0; i < r->count;) {
        uint32_t first = i;
        if (r->records[i++].verdict != VERDICT_SKIPPED) continue;
        const char *why = r->records[first].why;
        while (i < r->count && r->records[i].verdict == VERDICT_SKIPPED && strcmp(r->records[i].why, why) == 0) i++;
        printf("  %s:%u: skipped %u: %s\n", report_name(r->path), r->records[first].line, i - first, why);
    }
}

void report_print(const struct report *r, bool quiet)
{
    if (quiet && r->totals[VERDICT_FAILED] == 0) return;
    for (uint32_t i = 0; i < r->count; i++)
        if (r->records[i].verdict == VERDICT_FAILED)
            printf("  %s:%u: %s: %s\n", report_name(r->path), r->records[i].line, r->records[i].command,
                   r->records[i].why);
    print_skipped(r);
    printf("%-40s %6u passed %6u failed %6u skipped", report_name(r->path), r->totals[VERDICT_PASSED],
           r->totals[VERDICT_FAILED], r->totals[VERDICT_SKIPPED]);
    printf("%s\n", r->crashed ? " CRASHED" : "");
}

/* ---- JUnit */

/* XML has no way to write most control characters, and messages may quote any bytes of a module: those that are not
 * printable ASCII become "?". */
static void escaped(FILE *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc(*text >= ' ' && *text <= '~' ? *text : '?', out);
        }
    }
}

static void junit_case(FILE *out, const struct report *r, const struct record *record)
{
    static const char *const tags[VERDICTS] = {[VERDICT_FAILED] = "failure", [VERDICT_SKIPPED] = "skipped"};
    fputs("    <testcase classname=\"", out);
    escaped(out, report_name(r->path));
    fprintf(out, "\" name=\"line %u %s\" time=\"0\"", record->line, record->command);
    if (record->verdict == VERDICT_PASSED) {
        fputs("/>\n", out);
        return;
    }
    fprintf(out, "><%s message=\"", tags[record->verdict]);
    escaped(out, record->why);
    fputs("\"/></testcase>\n", out);
}

static void junit_counts(FILE *out, const uint32_t totals[VERDICTS], double seconds)
{
    fprintf(out, " tests=\"%u\" failures=\"%u\" errors=\"0\" skipped=\"%u\" time=\"%.3f\">\n",
            totals[VERDICT_PASSED] + totals[VERDICT_FAILED] + totals[VERDICT_SKIPPED], totals[VERDICT_FAILED],
            totals[VERDICT_SKIPPED], seconds);
}

static void junit_suite(FILE *out, const struct report *r)
{
    fputs("  <testsuite name=\"", out);
    escaped(out, report_name(r->path));
    fputc('"', out);
    junit_counts(out, r->totals, r->seconds);
    for (uint32_t i = 0; i < r->count; i++) junit_case(out, r, &r->records[i]);
    fputs("  </testsuite>\n", out);
}

void report_junit(FILE *out, const struct report *reports, uint32_t count)
{
    uint32_t totals[VERDICTS] = {0};
    double seconds = 0;
    for (uint32_t i = 0; i < count; i++) {
        for (int v = 0; v < VERDICTS; v++) totals[v] += reports[i].totals[v];
        seconds += reports[i].seconds;
    }
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"wast\"", out);
    junit_counts(out, totals, seconds);
    for (uint32_t i = 0; i < count; i++) junit_suite(out, &reports[i]);
    fputs("</testsuites>\n", out);
}
