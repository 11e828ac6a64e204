/* tests/wast/options.c -- reads the command line; finds the scripts in folders. */
#include "tests/wast/options.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a script may take in one request: builds that check everything are many times slower. */
#if defined(__SANITIZE_ADDRESS__) || (defined(__has_feature) && __has_feature(address_sanitizer)) ||                   \
    defined(HEMI_STRESS)
enum { SECONDS = 600 };
#else
enum { SECONDS = 60 };
#endif

enum { WORKERS_MAX = 64 };

/* ---- paths */

static void add_file(struct options *o, const char *path)
{
    o->files = session_append(o->files, &o->file_count, sizeof *o->files);
    o->files[o->file_count - 1] = strdup(path);
}

/* Folders of the official suite that are about other languages than 3.0's: who wants them names them. */
static bool is_left_out(const char *name)
{
    return name[0] == '.' || strcmp(name, "proposals") == 0 || strcmp(name, "legacy") == 0;
}

static bool is_script(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && strcmp(dot, ".wast") == 0;
}

/* Its scripts, then those of the folders in it, each in order. A link to a folder is no folder: it may lead back. */
static void add_folder(struct options *o, const char *path)
{
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, alphasort);
    for (int folders = 0; folders <= 1; folders++) {
        for (int i = 0; i < n; i++) {
            char *file = NULL;
            struct stat st;
            if (asprintf(&file, "%s/%s", path, entries[i]->d_name) < 0) abort();
            bool is_folder = lstat(file, &st) == 0 && S_ISDIR(st.st_mode);
            if (is_folder && folders && !is_left_out(entries[i]->d_name)) add_folder(o, file);
            if (!is_folder && !folders && is_script(file)) add_file(o, file);
            free(file);
        }
    }
    for (int i = 0; i < n; i++) free(entries[i]);
    if (n >= 0) free(entries);
}

static bool add_path(struct options *o, const char *path)
{
    struct stat st;
    if (stat(path, &st)) {
        fprintf(stderr, "wast_runner: %s: %s\n", path, strerror(errno));
        return false;
    }
    if (S_ISDIR(st.st_mode))
        add_folder(o, path);
    else
        add_file(o, path);
    return true;
}

static bool add_paths(struct options *o, int count, char **paths)
{
    const char *suite = getenv("HEMI_TESTSUITE");
    for (int i = 0; i < count; i++)
        if (!add_path(o, paths[i])) return false;
    return count > 0 || !suite || add_path(o, suite);
}

/* ---- options */

/* word, argument, help */
#define OPTIONS(X)                                                                                                     \
    X(store_per_file, "store-per-file", no_argument, "one store for each script (the default)")                        \
    X(store_per_module, "store-per-module", no_argument, "one for each module; registered ones and importers share")   \
    X(stress, "stress", optional_argument, "[=N]: collect at every N-th allocation of every store (1)")                \
    X(fault_checks, "fault-checks", required_argument, "=off: compare bounds and nulls instead of taking page faults") \
    X(canonical_nans, "canonical-nans", no_argument, "every NaN that arithmetic makes is the canonical one")           \
    X(opcodes, "opcodes", no_argument,                                                                                 \
      "count executions; instructions that none of the scripts executes are failures")                                 \
    X(round_trip, "round-trip", no_argument, "disassemble each module, and send what its text assembles to")           \
    X(any_text, "any-text", no_argument,                                                                               \
      "compare traps by class only (trap or exhaustion), and link errors not by their text either")                    \
    X(workers, "workers", required_argument, "=N: spread the files over N workers (as many as there are processors)")  \
    X(junit, "junit", required_argument, "=FILE: write the results as JUnit's XML")                                    \
    X(seconds, "seconds", required_argument, "=N: what a request may take")                                            \
    X(list, "list", no_argument, "print the paths of the scripts that would run, and run none")                        \
    X(quiet, "quiet", no_argument, "print only files with failures, and the total")                                    \
    X(help, "help", no_argument, "this list")

enum option_id {
#define X(id, word, argument, help) OPTION_##id,
    OPTIONS(X)
#undef X
};

static void print_help(FILE *out)
{
    fputs("usage: wast_runner [OPTIONS] PATH...\n"
          "A PATH is a script, or a folder of scripts and folders (of which it leaves out 'proposals' and 'legacy').\n",
          out);
#define X(id, word, argument, help) fprintf(out, "  --%-18s %s\n", word, help);
    OPTIONS(X)
#undef X
}

static bool number(const char *text, uint32_t max, uint32_t *out)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    *out = (uint32_t)value;
    if (end != text && !*end && value > 0 && value <= max) return true;
    fprintf(stderr, "wast_runner: %s is not a number from 1 to %u\n", text, max);
    return false;
}

static bool take(struct options *o, enum option_id id)
{
    switch (id) {
    case OPTION_store_per_file:
        o->session.store_per_module = false;
        return true;
    case OPTION_store_per_module:
        return o->session.store_per_module = true;
    case OPTION_stress:
        o->session.gc_stress = 1;
        return !optarg || number(optarg, UINT32_MAX, &o->session.gc_stress);
    case OPTION_fault_checks:
        o->no_fault_checks = strcmp(optarg, "off") == 0;
        return o->no_fault_checks || strcmp(optarg, "on") == 0;
    case OPTION_canonical_nans:
        return o->canonical_nans = true;
    case OPTION_round_trip:
        return o->session.round_trip = true;
    case OPTION_any_text:
        return o->session.any_text = true;
    case OPTION_opcodes:
        return o->opcodes = true;
    case OPTION_workers:
        return number(optarg, WORKERS_MAX, &o->workers);
    case OPTION_junit:
        o->junit = optarg;
        return true;
    case OPTION_seconds:
        return number(optarg, 86400, &o->session.seconds);
    case OPTION_list:
        return o->list = true;
    case OPTION_quiet:
        return o->quiet = true;
    case OPTION_help:
        print_help(stdout);
        exit(0);
    }
    return false;
}

bool options_read(struct options *o, int argc, char **argv)
{
    static const struct option known[] = {
#define X(id, word, argument, help) {word, argument, NULL, OPTION_##id},
        OPTIONS(X)
#undef X
            {0}};
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    *o = (struct options){.session.seconds = SECONDS,
                          .workers = processors < 1             ? 1
                                     : processors > WORKERS_MAX ? WORKERS_MAX
                                                                : (unsigned)processors};
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c != '?' && take(o, (enum option_id)c)) continue;
        print_help(stderr);
        return false;
    }
    return add_paths(o, argc - optind, argv + optind);
}

void options_deinit(struct options *o)
{
    for (uint32_t i = 0; i < o->file_count; i++) free(o->files[i]);
    free(o->files);
}
