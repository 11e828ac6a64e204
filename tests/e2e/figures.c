/* tests/e2e/figures.c -- see figures.h. */
#include "tests/e2e/figures.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static long number_in(const char *json, const char *object, const char *key)
{
    char name[64];
    const char *at = strstr(json, object);
    snprintf(name, sizeof name, "\"%s\":", key);
    at = at ? strstr(at, name) : NULL;
    ck_assert_msg(at != NULL, "INFO has no %s in %s", key, object);
    return (long)strtod(at + strlen(name), NULL);
}

/* Whether we may look into a worker: it cannot be traced, so only root may. */
static bool may_look(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    return access(path, R_OK | X_OK) == 0;
}

static long descriptors_of(pid_t pid) { return may_look(pid) ? (long)open_fds(pid) : 0; }

void figures_take(const struct daemon *d, hemi_client *client, struct figures *out)
{
    char *json = NULL;
    ok(client, hemi_info(client, &json));
#define X(name) out->name = number_in(json, "\"worker\":{", #name);
    FIGURES_INFO(X)
#undef X
    hemi_free_text(json);
    out->descriptors = descriptors_of((pid_t)out->pid);
    out->supervisor_descriptors = descriptors_of(d->pid);
}

static int print(char *to, size_t size, const struct figures *f)
{
    int n = 0;
#define X(name) n += snprintf(to + n, size - (size_t)n, "%s %ld, ", #name, f->name);
    FIGURES_INFO(X)
#undef X
    return n + snprintf(to + n, size - (size_t)n, "descriptors %ld, of the supervisor %ld", f->descriptors,
                        f->supervisor_descriptors);
}

/* The base may have been taken while the daemon still closed what it started with. */
static bool is_back(const struct figures *now, const struct figures *base)
{
    struct figures wanted = *base;
    if (now->supervisor_descriptors < base->supervisor_descriptors)
        wanted.supervisor_descriptors = now->supervisor_descriptors;
    return memcmp(now, &wanted, sizeof wanted) == 0;
}

void figures_await(const struct daemon *d, hemi_client *client, const struct figures *base, const char *when)
{
    char was[400], is[400];
    struct figures now;
    double end = now_ms() + 10000 * slowness();
    for (;;) {
        figures_take(d, client, &now);
        if (is_back(&now, base)) return;
        if (now_ms() > end) break;
        poll(NULL, 0, 20);
    }
    print(was, sizeof was, base);
    print(is, sizeof is, &now);
    ck_abort_msg("%s the worker has\n  %s\nand before it had\n  %s", when, is, was);
}

void footprint_take(pid_t pid, struct footprint *out)
{
    char path[64], line[256];
    *out = (struct footprint){.descriptors = descriptors_of(pid)};
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "r");
    ck_assert(f != NULL);
    while (fgets(line, sizeof line, f)) {
        sscanf(line, "VmRSS: %ld", &out->rss_kb);
        sscanf(line, "RssAnon: %ld", &out->anon_kb);
    }
    fclose(f);
    if (!may_look(pid)) return;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    f = fopen(path, "r");
    ck_assert(f != NULL);
    for (int c; (c = getc(f)) != EOF;) out->mappings += c == '\n';
    fclose(f);
}

static char *log_path; /* shared by the test's processes */

void log_watch(const struct daemon *d)
{
    if (log_path == NULL) {
        log_path = mmap(NULL, 256, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (log_path == MAP_FAILED) abort();
    }
    if (d) snprintf(log_path, 256, "%s", d->log);
}

void log_print_tail(void)
{
    char line[2048];
    FILE *f = fopen(log_path, "r");
    if (f == NULL) return;
    fprintf(stderr, "the daemon's log ends with:\n");
    fseek(f, 0, SEEK_END);
    if (fseek(f, -12000, SEEK_CUR) != 0) rewind(f);
    while (fgets(line, sizeof line, f)) fputs(line, stderr);
    fclose(f);
}
