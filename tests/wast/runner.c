/* tests/wast/runner.c -- runs .wast scripts through the socket of a daemon that it starts for itself, and reports.
 *
 *   wast_runner [OPTIONS] PATH...         (`./dev wast` builds and runs it; `wast_runner --help` lists the options)
 *
 * A PATH is a script or a folder of scripts and folders; with none, $HEMI_TESTSUITE is the path. Each file's failures
 * are printed, then one line for the file; in the end "N passed, N failed, N skipped". A worker that crashes costs one
 * file. Exit status: 0 none failed, 1 some failed, 2 wrong use, 77 when there is nothing to run. */
#include <errno.h>
#include <hemi.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/wast/daemon.h"
#include "tests/wast/opcodes.h"
#include "tests/wast/options.h"
#include "tests/wast/session.h"

enum { NOTHING_TO_RUN = 77 };

struct runner {
    struct options opt;
    struct daemon daemon;
    struct report *reports; /* one per file */
    struct opcode_counts opcodes;
    pthread_mutex_t lock; /* of what follows, `done` of the reports, and the counts */
    pthread_cond_t progress;
    uint32_t next; /* file that nobody has taken yet */
};

/* One thread, its tenant and so its worker. */
struct lane {
    struct runner *runner;
    unsigned tenant;
    pthread_t thread;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- one file, in a lane's thread */

/* Nothing but a regular file has its size, and opening one of the others may wait for ever. */
static char *read_file(const char *path, size_t *length)
{
    struct stat st;
    FILE *in = stat(path, &st) == 0 && S_ISREG(st.st_mode) ? fopen(path, "rb") : NULL;
    if (!in) return NULL;
    char *text = fstat(fileno(in), &st) == 0 ? malloc((size_t)st.st_size + 1) : NULL;
    *length = text ? fread(text, 1, (size_t)st.st_size, in) : 0;
    fclose(in);
    return text;
}

/* A connection per file: what a script leaves behind ends with it. */
static void run_connected(struct lane *l, const struct script *script, struct report *report)
{
    char socket[96];
    hemi_client *client;
    struct session session;
    daemon_socket(&l->runner->daemon, l->tenant, socket, sizeof socket);
    const struct hemi_connect_options opt = {.socket = socket, .timeout_ms = 60000};
    if (hemi_connect(&opt, &client) == HEMI_OK)
        session_run(&session, &l->runner->opt.session, client, script, report);
    else
        report_add(report, 0, "connection", VERDICT_FAILED, hemi_client_error(client));
    if (l->runner->opt.opcodes) {
        pthread_mutex_lock(&l->runner->lock);
        opcodes_collect(&l->runner->opcodes, client);
        pthread_mutex_unlock(&l->runner->lock);
    }
    hemi_client_free(client);
}

static void run_file(struct lane *l, struct report *report)
{
    struct script script;
    struct wat_error err = {0};
    size_t length;
    double start = now();
    char *text = read_file(report->path, &length);
    if (!text) {
        report_add(report, 0, "script", VERDICT_FAILED, "cannot be read");
    } else if (!script_read(&script, text, length, &err)) {
        report_add(report, err.line, "script", VERDICT_FAILED, err.message);
    } else {
        run_connected(l, &script, report);
        script_deinit(&script);
    }
    report->seconds = now() - start;
}

static void *run_lane(void *arg)
{
    struct lane *l = arg;
    struct runner *r = l->runner;
    for (;;) {
        pthread_mutex_lock(&r->lock);
        uint32_t file = r->next++;
        pthread_mutex_unlock(&r->lock);
        if (file >= r->opt.file_count) return NULL;
        run_file(l, &r->reports[file]);
        pthread_mutex_lock(&r->lock);
        r->reports[file].done = true;
        pthread_cond_signal(&r->progress);
        pthread_mutex_unlock(&r->lock);
    }
}

/* ---- all files */

/* Prints the files in their order, each as soon as it and those before it are done. */
static void print_as_they_come(struct runner *r)
{
    for (uint32_t i = 0; i < r->opt.file_count; i++) {
        pthread_mutex_lock(&r->lock);
        while (!r->reports[i].done) pthread_cond_wait(&r->progress, &r->lock);
        pthread_mutex_unlock(&r->lock);
        report_print(&r->reports[i], r->opt.quiet);
        if (r->reports[i].crashed) daemon_print_log(&r->daemon);
        fflush(stdout);
    }
}

static bool run_files(struct runner *r)
{
    struct lane *lanes = calloc(r->opt.workers, sizeof *lanes);
    bool ok = lanes != NULL;
    for (unsigned i = 0; ok && i < r->opt.workers; i++) {
        lanes[i] = (struct lane){.runner = r, .tenant = i};
        ok = pthread_create(&lanes[i].thread, NULL, run_lane, &lanes[i]) == 0;
    }
    if (!ok) return false; /* the process ends, and its threads with it */
    print_as_they_come(r);
    for (unsigned i = 0; i < r->opt.workers; i++) pthread_join(lanes[i].thread, NULL);
    free(lanes);
    return true;
}

static bool write_junit(const struct runner *r)
{
    FILE *out = fopen(r->opt.junit, "w");
    if (out) report_junit(out, r->reports, r->opt.file_count);
    if (out && fclose(out) == 0) return true;
    printf("  %s: %s\n", r->opt.junit, strerror(errno));
    return false;
}

/* The last line is what tests/run.sh reads. Returns the number of failures. */
static uint64_t print_total(const struct runner *r, uint32_t others, double seconds)
{
    uint64_t passed = 0, skipped = 0, assertions = 0, failed = others;
    for (uint32_t i = 0; i < r->opt.file_count; i++) {
        const struct report *report = &r->reports[i];
        passed += report->totals[VERDICT_PASSED];
        skipped += report->totals[VERDICT_SKIPPED];
        assertions += report->assertions;
        failed += report->totals[VERDICT_FAILED];
    }
    printf("%u files in %.1f s; %llu of those passed are assertions\n", r->opt.file_count, seconds,
           (unsigned long long)assertions);
    printf("%llu passed, %llu failed, %llu skipped\n", (unsigned long long)passed, (unsigned long long)failed,
           (unsigned long long)skipped);
    return failed;
}

static int run(struct runner *r)
{
    double start = now();
    const struct daemon_options daemon = {.tenants = r->opt.workers,
                                          .no_fault_checks = r->opt.no_fault_checks,
                                          .canonical_nans = r->opt.canonical_nans,
                                          .count_opcodes = r->opt.opcodes};
    for (uint32_t i = 0; i < r->opt.file_count; i++) r->reports[i].path = r->opt.files[i];
    if (!daemon_start(&r->daemon, &daemon)) return 1;
    if (!run_files(r)) return 1;
    uint32_t others = 0;
    if (r->opt.opcodes) others += opcodes_missing(&r->opcodes);
    if (!daemon_stop(&r->daemon)) others++;
    if (r->opt.junit && !write_junit(r)) others++;
    return print_total(r, others, now() - start) ? 1 : 0;
}

static int run_or_list(struct runner *r)
{
    if (r->opt.list) {
        for (uint32_t i = 0; i < r->opt.file_count; i++) puts(r->opt.files[i]);
        return 0;
    }
    r->reports = calloc(r->opt.file_count, sizeof *r->reports);
    int status = r->reports ? run(r) : 1;
    for (uint32_t i = 0; r->reports && i < r->opt.file_count; i++) report_deinit(&r->reports[i]);
    free(r->reports);
    return status;
}

int main(int argc, char **argv)
{
    static struct runner r = {.lock = PTHREAD_MUTEX_INITIALIZER, .progress = PTHREAD_COND_INITIALIZER};
    if (!options_read(&r.opt, argc, argv)) return 2;
    int status = NOTHING_TO_RUN;
    if (r.opt.file_count == 0)
        printf("nothing to run: give a path or set HEMI_TESTSUITE\n0 passed, 0 failed, 0 skipped\n");
    else
        status = run_or_list(&r);
    options_deinit(&r.opt);
    return status;
}
