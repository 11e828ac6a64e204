/* hemi run: a program, its standard streams, its end. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/tool/tool.h"

struct program {
    const char *file, *invoke;
    char **args; /* what follows the file */
    int nargs;
    struct module_file module_file;
    struct session session;
    struct hemi_store_options limits;
    uint64_t deadline_ms;
    hemi_module *module;
    hemi_store *store;
    hemi_wasi *wasi;
    hemi_instance *instance;
    int client_fd;
};

/* --- standard streams --- */
static void write_out(int fd, const void *bytes, size_t n)
{
    const char *at = bytes;
    while (n > 0) {
        ssize_t written = write(fd, at, n);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return; /* nowhere to tell it */
        at += written;
        n -= (size_t)written;
    }
}

static void on_out(const void *bytes, size_t n, void *env)
{
    (void)env;
    write_out(STDOUT_FILENO, bytes, n);
}

static void on_err(const void *bytes, size_t n, void *env)
{
    (void)env;
    write_out(STDERR_FILENO, bytes, n);
}

/* Blocks for input, but not while the daemon has something to say. */
static size_t on_in(void *bytes, size_t n, void *env)
{
    const struct program *p = env;
    struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = p->client_fd, .events = POLLIN}};
    if (poll(fds, 2, -1) < 0) return HEMI_INPUT_LATER;
    if (fds[0].revents == 0) return HEMI_INPUT_LATER;
    ssize_t got = read(STDIN_FILENO, bytes, n);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return HEMI_INPUT_LATER;
    return got < 0 ? 0 : (size_t)got;
}

/* --- interrupts --- */
static hemi_client *volatile interrupted_client; /* a signal handler can reach nothing else */

static void on_sigint(int signal)
{
    (void)signal;
    hemi_client *client = interrupted_client;
    if (client) hemi_client_interrupt(client);
}

/* The first ^C interrupts the guest, the second ends us. */
static void catch_sigint(hemi_client *client)
{
    struct sigaction action = {.sa_handler = on_sigint, .sa_flags = (int)SA_RESETHAND};
    interrupted_client = client;
    sigaction(SIGINT, &action, NULL);
}

/* --- running --- */
static int told(struct program *p, const char *where)
{
    hemi_client *c = p->session.client;
    if (hemi_client_status(c) == HEMI_EXIT) return hemi_client_exit_code(c) & 0xFF;
    if (hemi_client_status(c) == HEMI_INTERRUPTED) return EXIT_SIGINT;
    return tell_failure(c, where);
}

static bool make_wasi(struct program *p, const struct tool_options *o)
{
    const char **args = calloc((size_t)p->nargs + 1, sizeof *args);
    if (!args) return false;
    size_t nargs = 1;
    args[0] = p->file;
    for (int i = 0; !p->invoke && i < p->nargs; i++) args[nargs++] = p->args[i];
    struct hemi_wasi_options wasi = {.args = args,
                                     .nargs = nargs,
                                     .envs = o->envs,
                                     .nenvs = o->nenvs,
                                     .out = on_out,
                                     .err = on_err,
                                     .in = on_in,
                                     .env = p};
    hemi_status status = hemi_wasi_new(p->store, &wasi, &p->wasi, NULL);
    free(args);
    return status == HEMI_OK;
}

/* 0, or the exit status. */
static int instantiate(struct program *p, const struct tool_options *o)
{
    hemi_client *c = p->session.client;
    char place[4200];
    if (hemi_module_new(c, p->module_file.bytes, p->module_file.size, &p->module, NULL) != HEMI_OK)
        return told(p, module_place(&p->module_file, c, place, sizeof place));
    if (hemi_store_new(c, &p->limits, &p->store, NULL) != HEMI_OK) return told(p, "making a store");
    if (!make_wasi(p, o)) return told(p, "providing WASI");
    hemi_client_set_deadline(c, (uint32_t)p->deadline_ms);
    if (hemi_instance_new(p->store, p->module, NULL, 0, p->wasi, &p->instance, NULL) != HEMI_OK)
        return told(p, p->file);
    return 0;
}

/* The export, or NULL and *status: 0 when there is none of that name. */
static hemi_object *find_function(struct program *p, const char *name, int *status)
{
    hemi_object *object;
    hemi_status found = hemi_export_get(p->instance, name, &object, NULL);
    *status = found == HEMI_OK || found == HEMI_NOT_FOUND ? 0 : told(p, name);
    return found == HEMI_OK ? object : NULL;
}

/* Calls a function without parameters whose results nobody wants, if there is one. 0, or the exit status. */
static int call_plain(struct program *p, const char *name, bool *found)
{
    int status;
    hemi_object *function = find_function(p, name, &status);
    *found = function != NULL;
    if (!function) return status;
    if (hemi_call(function, NULL, 0, NULL, 0, NULL) != HEMI_OK) status = told(p, name);
    hemi_object_free(function);
    return status;
}

static int call_with(struct program *p, hemi_object *function, const struct hemi_entry *type)
{
    hemi_val *vals = calloc(type->nparams + type->nresults + 1, sizeof *vals), *results = vals + type->nparams;
    int status = EXIT_OK;
    if (!vals) return EXIT_HEMI;
    for (size_t i = 0; i < type->nparams && status == EXIT_OK; i++)
        if (!parse_value(p->args[i], type->params[i], &vals[i])) status = EXIT_USAGE;
    if (status == EXIT_OK && hemi_call(function, vals, type->nparams, results, type->nresults, NULL) != HEMI_OK)
        status = told(p, p->invoke);
    for (size_t i = 0; i < type->nresults && status == EXIT_OK; i++) print_value(&results[i]);
    free(vals);
    return status;
}

static int invoke(struct program *p)
{
    bool found;
    int status = call_plain(p, "_initialize", &found);
    if (status != 0) return status;
    hemi_object *function = find_function(p, p->invoke, &status);
    const struct hemi_entry *type = function ? hemi_object_entry(function) : NULL;
    if (status != 0) return status;
    if (!type || type->kind != HEMI_FUNC_OBJECT) {
        fprintf(stderr, "hemi: %s: %s '%s'\n", p->file, type ? "not a function:" : "exports no function", p->invoke);
        return EXIT_HEMI;
    }
    if ((size_t)p->nargs != type->nparams) {
        fprintf(stderr, "hemi: %s: takes %zu arguments, %d were given\n", p->invoke, type->nparams, p->nargs);
        return EXIT_USAGE;
    }
    return call_with(p, function, type);
}

static int run_program(struct program *p)
{
    bool started, initialized = false;
    if (p->invoke) return invoke(p);
    int status = call_plain(p, "_start", &started);
    if (status == 0 && !started) status = call_plain(p, "_initialize", &initialized);
    if (status == 0 && !started && !initialized)
        fprintf(stderr, "hemi: %s: exports neither _start nor _initialize; its start function has run\n", p->file);
    return status;
}

static void print_stats(struct program *p)
{
    struct hemi_stats s;
    struct hemi_client_stats mine;
    hemi_client *c = p->session.client;
    if (hemi_stats_get(c, p->store, &s) != HEMI_OK) {
        tell_failure(c, "--stats");
        return;
    }
    hemi_client_stats_get(c, &mine);
    fprintf(stderr, "module: %s, %zu bytes\n", p->file, p->module_file.size);
    fprintf(stderr, "instances: %" PRIu64 "\n", s.instances);
    fprintf(stderr, "calls: %" PRIu64 "\n", s.calls);
    fprintf(stderr, "host calls: %" PRIu64 "\n", s.host_calls);
    fprintf(stderr, "externrefs made: %" PRIu64 ", finalised: %" PRIu64 "\n", s.externs_made, mine.externs_finalized);
    fprintf(stderr, "collections: %" PRIu64 "\n", s.collections);
    fprintf(stderr, "bytes live: %" PRIu64 ", allocated in all: %" PRIu64 ", held at most: %" PRIu64 "\n", s.bytes_live,
            s.bytes_allocated, s.bytes_peak);
    fprintf(stderr, "round trips: %" PRIu64 "\n", mine.round_trips);
}

/* --- the command line --- */
/* --invoke NAME may also follow the file at once. */
static void take_invoke(struct program *p)
{
    if (p->nargs < 2 || strcmp(p->args[0], "--invoke") != 0) return;
    p->invoke = p->args[1];
    p->args += 2;
    p->nargs -= 2;
}

static bool take_numbers(struct program *p, const struct tool_options *o)
{
    uint64_t every = 0;
    const char *deadline = o->values[OPTION_DEADLINE], *heap = o->values[OPTION_HEAP],
               *stress = o->values[OPTION_GC_STRESS];
    if (deadline && !parse_number("deadline", deadline, UINT32_MAX, &p->deadline_ms)) return false;
    if (heap && !parse_number("heap", heap, UINT64_MAX, &p->limits.heap_bytes)) return false;
    if (stress && !parse_number("gc-stress", stress, UINT32_MAX, &every)) return false;
    p->limits.gc_stress_every = (uint32_t)every;
    return true;
}

static int run_in_session(struct program *p, const struct tool_options *o)
{
    int status = session_open(&p->session, o);
    if (status != 0) return status;
    p->client_fd = hemi_client_fd(p->session.client);
    catch_sigint(p->session.client);
    status = instantiate(p, o);
    if (status == 0 && p->instance) status = run_program(p);
    hemi_client_set_deadline(p->session.client, 0);
    if (o->values[OPTION_STATS] && p->store) print_stats(p);
    interrupted_client = NULL;
    session_close(&p->session);
    return status;
}

int command_run(const struct tool_options *o)
{
    if (o->nrest < 1) {
        fprintf(stderr, "hemi: run which file? Try: hemi run --help\n");
        return EXIT_USAGE;
    }
    struct program p = {
        .file = o->rest[0], .invoke = o->values[OPTION_INVOKE], .args = o->rest + 1, .nargs = o->nrest - 1};
    if (!p.invoke) take_invoke(&p);
    if (!take_numbers(&p, o)) return EXIT_USAGE;
    if (!module_read(p.file, NULL, &p.module_file)) {
        fprintf(stderr, "hemi: %s\n", p.module_file.why);
        return EXIT_HEMI;
    }
    int status = run_in_session(&p, o);
    module_free(&p.module_file);
    if (fflush(stdout) != 0 && status == 0) status = EXIT_HEMI;
    return status;
}
