/* docs/protocol.md and docs/limits.md: their tables are those of the headers. HEMI_UPDATE_DOCS=1 rewrites them instead.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/counters.h"
#include "proto/frame.h"
#include "proto/tables/limits.h"
#include "proto/tables/status.h"
#include "proto/tables/traps.h"
#include "server/worker/share.h"
#include "tests/unit/suite.h"

/* A file of this repository; lives until the next call. */
static const char *path(const char *file)
{
    static char out[4096];
    snprintf(out, sizeof out, "%s/%s", HEMI_SOURCE_DIR, file);
    return out;
}

static char *read_all(const char *name)
{
    FILE *f = fopen(name, "r");
    ck_assert_msg(f != NULL, "%s", name);
    char *text = calloc(1, 1 << 20);
    size_t n = fread(text, 1, (1 << 20) - 1, f);
    ck_assert_uint_gt(n, 0);
    fclose(f);
    return text;
}

/* ---- the tables */
static void errors(FILE *out)
{
    fputs("| nr | error | meaning |\n|---|---|---|\n", out);
#define X(name, number, text) fprintf(out, "| %d | " #name " | %s |\n", number, text);
    PROTO_ERRORS(X)
#undef X
}

static void statuses(FILE *out)
{
    fputs("| nr | status | meaning |\n|---|---|---|\n", out);
#define X(name, number, text, meaning) fprintf(out, "| %d | " #name " | %s |\n", number, meaning);
    HEMI_STATUSES(X)
#undef X
}

static void traps(FILE *out)
{
    fputs("| nr | trap |\n|---|---|\n", out);
#define X(name, number, text) fprintf(out, "| %d | %s |\n", number, text);
    WASM_TRAPS(X)
#undef X
}

static void counters(FILE *out)
{
    fputs("| nr | counter | meaning |\n|---|---|---|\n", out);
#define X(name, kind, text) fprintf(out, "| %d | " #name " | %s |\n", COUNTER_##name, text);
    HEMI_COUNTERS(X)
#undef X
}

static void traces(FILE *out)
{
    fputs("| nr | kind | meaning |\n|---|---|---|\n", out);
#define X(name, number, meaning) fprintf(out, "| %d | " #name " | %s |\n", number, meaning);
    TRACE_KINDS(X)
#undef X
}

static void frames(FILE *out)
{
    fputs("| nr | frame | sender | body | body cap | raw cap | fds | credit | state | answer | raw part |\n"
          "|---|---|---|---|---|---|---|---|---|---|---|\n",
          out);
#define X(NAME, number, from, Body, snake, bodymax, rawmax, nfds, window, when, how, text)                             \
    fprintf(out, "| %d | " #NAME " | " #from " | " #Body " | %u | %u | %d | %s | " #when " | " #how " | %s |\n",       \
            number, (unsigned)(bodymax), (unsigned)(rawmax), nfds, (window) ? "yes" : "no", text);
    HEMI_FRAMES(X)
#undef X
}

static void bodies(FILE *out)
{
    char *text = read_all(path("proto/hemi.proto"));
    const char *syntax = strstr(text, "syntax = ");
    ck_assert_ptr_nonnull(syntax);
    fprintf(out, "```proto\n%s```\n", syntax);
    free(text);
}

static void limits(FILE *out)
{
    fputs("| at most | of these |\n|---|---|\n", out);
#define X(name, value, text) fprintf(out, "| %u | %s |\n", value, text);
    WASM_LIMITS(X)
#undef X
}

static void pools(FILE *out)
{
    fputs("| pool | of | how many | a connection may count on | beyond its share |\n|---|---|---|---|---|\n", out);
#define X(name, text, of, size, least, beyond)                                                                         \
    fprintf(out, "| %s | %s | %s | %s | %s |\n", text, of, size, least, beyond);
    SHARE_POOLS(X)
#undef X
}

#define PROTOCOL "docs/protocol.md"
#define LIMITS "docs/limits.md"
static const struct {
    const char *document, *name;
    void (*write)(FILE *out);
} tables[] = {{PROTOCOL, "errors", errors},     {PROTOCOL, "frames", frames},     {PROTOCOL, "bodies", bodies},
              {PROTOCOL, "counters", counters}, {PROTOCOL, "statuses", statuses}, {PROTOCOL, "traps", traps},
              {PROTOCOL, "traces", traces},     {LIMITS, "limits", limits},       {LIMITS, "pools", pools}};

/* The document with each table between its markers replaced. */
static char *regenerate(const char *document, const char *text)
{
    char *made;
    size_t size;
    FILE *out = open_memstream(&made, &size);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        char marker[64];
        if (strcmp(tables[i].document, document) != 0) continue;
        snprintf(marker, sizeof marker, "<!-- table:%s -->\n", tables[i].name);
        const char *begin = strstr(text, marker);
        ck_assert_msg(begin != NULL, "no %s", marker);
        begin += strlen(marker);
        const char *end = strstr(begin, "<!-- end -->");
        ck_assert_ptr_nonnull(end);
        fwrite(text, 1, (size_t)(begin - text), out);
        tables[i].write(out);
        text = end;
    }
    fputs(text, out);
    fclose(out);
    return made;
}

static void check_document(const char *document)
{
    char *text = read_all(path(document)), *made = regenerate(document, text);
    if (getenv("HEMI_UPDATE_DOCS")) {
        FILE *f = fopen(path(document), "w");
        ck_assert_ptr_nonnull(f);
        fputs(made, f);
        fclose(f);
    } else {
        ck_assert_msg(strcmp(text, made) == 0, "%s is stale: run this with HEMI_UPDATE_DOCS=1", document);
    }
    free(text);
    free(made);
}

START_TEST(tables_are_in_sync)
{
    check_document(PROTOCOL);
    check_document(LIMITS);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("proto_docs");
    TCase *c = tcase_create("proto_docs");
    tcase_add_test(c, tables_are_in_sync);
    suite_add_tcase(s, c);
    return run_suite(s);
}
