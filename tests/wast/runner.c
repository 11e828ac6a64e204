/* tests/wast/runner.c -- runs .wast scripts, each in a process of its own so that a crash costs one file.
 *
 *   wast_runner [--expected LIST] [--stress N] [--seconds N] [--quiet] [--here] PATH...
 *
 * A PATH is a script or a folder of scripts; with none, $HEMI_TESTSUITE is the path. Each file's failures are printed,
 * then one line for the file, in the end "N passed, N failed". What the list expects to fail counts as neither; a file
 * that does not fail exactly as often as listed counts its difference as failed. Exit status: 0 none failed, 1 some
 * failed, 2 wrong use, 77 (skipped) when there is nothing to run. */
#include "tests/wast/expected.h"
#include "tests/wast/session.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Guest calls use native stack too. That of sanitizer builds is many times a release build's; this is enough for both
 * to use up the VM stack first, and less than the gap that the system leaves below a main stack. */
enum { SKIPPED = 77, MAX_FILES = 4096, NATIVE_STACK = 96 << 20 };

/* What a child has done; in memory shared with it, so that it survives a crash. */
struct tally {
    uint32_t commands; /* in the script */
    uint32_t passed;
    uint32_t failed;
    uint32_t line; /* of the command being run */
    bool finished;
};

struct runner {
    struct session_options session;
    struct expected expected;
    unsigned seconds; /* per file */
    bool quiet, here;
    struct tally *tally;
    char *files[MAX_FILES];
    uint32_t count;
    uint64_t passed, known, failed;
};

/* A signal handler can reach nothing else. */
static volatile uint32_t out_of_time;

static void on_alarm(int signal)
{
    (void)signal;
    out_of_time = 1;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ---- one file, in the child ---- */

static char *read_file(const char *path, size_t *length)
{
    struct stat st;
    FILE *in = fopen(path, "rb");
    if (!in) return NULL;
    char *text = fstat(fileno(in), &st) == 0 ? malloc((size_t)st.st_size + 1) : NULL;
    *length = text ? fread(text, 1, (size_t)st.st_size, in) : 0;
    fclose(in);
    return text;
}

static void report(struct runner *r, const char *path, uint32_t line, const char *why)
{
    r->tally->failed++;
    if (!r->quiet) printf("  %s:%u: %s\n", base_name(path), line, why);
}

static void run_commands(struct runner *r, const char *path, const struct script *script)
{
    struct session *session = calloc(1, sizeof *session);
    if (!session || !session_init(session, &r->session)) {
        report(r, path, 0, session ? session->why : "out of memory");
    } else {
        for (uint32_t i = 0; i < script->count; i++) {
            const struct wast_command *command = &script->commands[i];
            r->tally->line = command->line;
            if (session_run(session, command))
                r->tally->passed++;
            else
                report(r, path, command->line, session->why);
        }
    }
    if (session && !session_deinit(session)) report(r, path, r->tally->line, session->why);
    free(session);
}

static void run_script(struct runner *r, const char *path)
{
    struct script script;
    struct wat_error err = {0};
    size_t length;
    char *text = read_file(path, &length);
    if (!text) {
        report(r, path, 0, "cannot be read");
    } else if (!script_read(&script, text, length, &err)) {
        report(r, path, err.line, err.message);
    } else {
        r->tally->commands = script.count;
        run_commands(r, path, &script);
        script_deinit(&script);
    }
    r->tally->finished = true;
}

/* The time limit asks the guest to stop, at its next poll; the parent kills what has not ended after as long again. */
static void run_in_child(struct runner *r, const char *path)
{
    struct sigaction action = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &action, NULL);
    alarm(r->seconds);
    run_script(r, path);
    exit(0); /* not _exit: sanitizers look for leaks at exit */
}

/* ---- all files, in the parent ---- */

static void describe_end(struct runner *r, const char *path, int status)
{
    struct tally *t = r->tally;
    if (t->finished && status == 0) return;
    if (WIFSIGNALED(status))
        printf("  %s:%u: killed by signal %d\n", base_name(path), t->line, WTERMSIG(status));
    else
        printf("  %s:%u: ended with status %d\n", base_name(path), t->line, WEXITSTATUS(status));
    /* What was not reached has failed; a crash is never what a list expects, so it costs one more. */
    t->failed += t->commands > t->passed + t->failed ? t->commands - t->passed - t->failed : 0;
    r->failed++;
}

/* Waits twice the time limit for the child, then ends it. */
static int wait_for(const struct runner *r, pid_t child)
{
    int status = 0;
    for (unsigned ms = 0; waitpid(child, &status, WNOHANG) == 0; ms++) {
        if (ms == r->seconds * 2000) kill(child, SIGKILL);
        usleep(1000);
    }
    return status;
}

static void settle(struct runner *r, const char *path)
{
    const struct tally *t = r->tally;
    uint32_t expected = expected_of(&r->expected, base_name(path));
    uint32_t off = t->failed > expected ? t->failed - expected : expected - t->failed;
    r->failed += off;
    r->passed += t->passed;
    r->known += t->failed < expected ? t->failed : expected;
    if (r->quiet && !off) return;
    printf("%-40s %6u passed %6u failed", base_name(path), t->passed, t->failed);
    if (expected) printf(" (%u expected)", expected);
    printf("\n");
}

static void run_file(struct runner *r, const char *path)
{
    *r->tally = (struct tally){0};
    fflush(stdout);
    if (r->here) {
        run_script(r, path);
    } else {
        pid_t child = fork();
        if (child == 0) run_in_child(r, path);
        describe_end(r, path, child > 0 ? wait_for(r, child) : 0);
    }
    settle(r, path);
}

/* ---- what to run ---- */

static void add_file(struct runner *r, const char *path)
{
    if (r->count < MAX_FILES) r->files[r->count++] = strdup(path);
}

static int compare(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static bool add_path(struct runner *r, const char *path)
{
    struct dirent *entry;
    char file[4096];
    struct stat st;
    if (stat(path, &st)) return false;
    DIR *folder = S_ISDIR(st.st_mode) ? opendir(path) : NULL;
    if (!folder) {
        add_file(r, path);
        return true;
    }
    uint32_t first = r->count;
    while ((entry = readdir(folder))) {
        const char *dot = strrchr(entry->d_name, '.');
        if (!dot || strcmp(dot, ".wast") != 0) continue;
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        add_file(r, file);
    }
    closedir(folder);
    qsort(r->files + first, r->count - first, sizeof *r->files, compare);
    return true;
}

static bool options(struct runner *r, int argc, char **argv)
{
    static const struct option known[] = {
        {"expected", required_argument, NULL, 'e'}, {"stress", required_argument, NULL, 's'},
        {"seconds", required_argument, NULL, 't'},  {"quiet", no_argument, NULL, 'q'},
        {"here", no_argument, NULL, 'h'},           {0}};
    char why[256];
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (c) {
        case 'e':
            if (expected_read(&r->expected, optarg, why, sizeof why)) break;
            fprintf(stderr, "wast_runner: %s\n", why);
            return false;
        case 's':
            r->session.gc_stress = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 't':
            r->seconds = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'q':
            r->quiet = true;
            break;
        case 'h':
            r->here = true;
            break;
        default:
            return false;
        }
    }
    for (int i = optind; i < argc; i++) {
        if (add_path(r, argv[i])) continue;
        fprintf(stderr, "wast_runner: %s: %s\n", argv[i], strerror(errno));
        return false;
    }
    const char *suite = getenv("HEMI_TESTSUITE");
    return optind < argc || !suite || add_path(r, suite);
}

/* A row for a file that is not there is stale; only a run of the whole suite can tell. */
static void check_stale(struct runner *r, bool whole_suite)
{
    for (uint32_t i = 0; whole_suite && i < r->expected.count; i++) {
        if (r->expected.rows[i].seen) continue;
        printf("  %s is expected to fail, but does not exist\n", r->expected.rows[i].file);
        r->failed++;
    }
}

static void enlarge_stack(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_STACK, &limit) || limit.rlim_cur >= NATIVE_STACK) return;
    limit.rlim_cur = limit.rlim_max < NATIVE_STACK ? limit.rlim_max : NATIVE_STACK;
    setrlimit(RLIMIT_STACK, &limit);
}

int main(int argc, char **argv)
{
    static struct runner r = {.seconds = 60};
    enlarge_stack();
    r.session.stop = &out_of_time;
    r.tally = mmap(NULL, sizeof *r.tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (r.tally == MAP_FAILED || !options(&r, argc, argv)) return 2;
    if (r.count == 0) {
        printf("nothing to run: give a path or set HEMI_TESTSUITE\n0 passed, 0 failed\n");
        return SKIPPED;
    }
    for (uint32_t i = 0; i < r.count; i++) run_file(&r, r.files[i]);
    check_stale(&r, r.count > 1 && optind >= argc);
    if (r.known) printf("%llu known failures\n", (unsigned long long)r.known);
    printf("%llu passed, %llu failed\n", (unsigned long long)r.passed, (unsigned long long)r.failed);
    for (uint32_t i = 0; i < r.count; i++) free(r.files[i]);
    expected_deinit(&r.expected);
    return r.failed ? 1 : 0;
}
