/* hemi run: a program, its standard streams, its end. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
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

/* ---- standard streams */
/* What cannot be written ends the program: it would go on for ever otherwise. So does a reader who takes too long. */
static hemi_status write_out(int fd, const void *bytes, size_t n)
{
    if (!output_failed() && output_write(fd, bytes, n)) return HEMI_OK;
    return output_failed() ? HEMI_HOST : HEMI_DEADLINE;
}

static hemi_status on_out(const void *bytes, size_t n, void *env)
{
    (void)env;
    return write_out(STDOUT_FILENO, bytes, n);
}

static hemi_status on_err(const void *bytes, size_t n, void *env)
{
    (void)env;
    return write_out(STDERR_FILENO, bytes, n);
}

/* As long as input may take: after the deadline the client looks for itself whether it was kept. */
static int input_timeout(const struct program *p)
{
    return p->deadline_ms > 0 && p->deadline_ms < INT_MAX ? (int)p->deadline_ms : -1;
}

/* Blocks for input, but not while the daemon has something to say, nor for a program that is interrupted. A closed one
 * is empty. */
static size_t on_in(void *bytes, size_t n, void *env)
{
    const struct program *p = env;
    struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = p->client_fd, .events = POLLIN}};
    if (interrupted() || poll(fds, 2, input_timeout(p)) <= 0) return HEMI_INPUT_LATER;
    if (fds[0].revents == 0) return HEMI_INPUT_LATER;
    ssize_t got = read(STDIN_FILENO, bytes, n);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return HEMI_INPUT_LATER;
    if (got >= 0 || errno == EBADF) return got > 0 ? (size_t)got : 0;
    input_failed(errno);
    hemi_client_interrupt(p->session.client);
    return 0;
}

static uint32_t terminals(void)
{
    uint32_t bits = 0;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) bits |= isatty(fd) ? 1u << fd : 0;
    return bits;
}

/* ---- running */
/* 128 + SIGINT is the interrupt's; that of a stream which failed is told at the end. */
static int told(struct program *p, const char *where)
{
    hemi_client *c = p->session.client;
    if (hemi_client_status(c) == HEMI_EXIT) return guest_exit(p->file, hemi_client_exit_code(c));
    if (output_failed()) return EXIT_OK;
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
                                     .terminals = terminals(),
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
    clock_start(p->deadline_ms);
    if (hemi_instance_new(p->store, p->module, NULL, 0, p->wasi, &p->instance, NULL) != HEMI_OK)
        return told(p, p->file);
    return 0;
}

/* The function exported by that name; NULL, and 0: there is no export of that name; NULL, and the exit status. */
static hemi_object *find_function(struct program *p, const char *name, int *status)
{
    hemi_object *object;
    hemi_status found = hemi_export_get(p->instance, name, &object, NULL);
    *status = found == HEMI_OK || found == HEMI_NOT_FOUND ? 0 : told(p, name);
    if (found != HEMI_OK) return NULL;
    if (hemi_object_entry(object)->kind == HEMI_FUNC_OBJECT) return object;
    *status = fail_with(EXIT_EXPORT, "%s: exports '%s', but it is no function", p->file, name);
    hemi_object_free(object);
    return NULL;
}

static int read_args(const struct program *p, const struct hemi_entry *type, hemi_val *vals)
{
    if ((size_t)p->nargs != type->nparams)
        return fail_with(EXIT_USAGE, "%s: arguments: %zu are needed, %d given", p->invoke, type->nparams, p->nargs);
    int status = 0;
    for (size_t i = 0; i < type->nparams && status == 0; i++)
        status = parse_value(p->args[i], type->params[i], &vals[i]);
    return status;
}

/* With the command line's arguments, and to the end of which results are printed, or (not `invoked`) with none. */
static int call(struct program *p, hemi_object *function, const char *name, bool invoked)
{
    const struct hemi_entry *type = hemi_object_entry(function);
    hemi_val *vals = calloc(type->nparams + type->nresults + 1, sizeof *vals), *results = vals + type->nparams;
    if (!vals) return fail_with(EXIT_LIMIT, "out of memory");
    int status = invoked ? read_args(p, type, vals) : 0;
    if (!invoked && type->nparams > 0)
        status = fail_with(EXIT_EXPORT, "%s: %s takes %zu arguments, and must take none", p->file, name, type->nparams);
    if (status == 0 && hemi_call(function, vals, type->nparams, results, type->nresults, NULL) != HEMI_OK)
        status = told(p, name);
    else
        for (size_t i = 0; i < type->nresults && status == 0 && invoked; i++) print_value(&results[i]);
    free(vals);
    return status;
}

/* Calls it without arguments if there is one; nobody wants its results. 0, or the exit status. */
static int call_plain(struct program *p, const char *name, bool *found)
{
    int status;
    hemi_object *function = find_function(p, name, &status);
    *found = function != NULL;
    if (function) status = call(p, function, name, false);
    hemi_object_free(function);
    return status;
}

/* _initialize runs before everything else, and once. */
static int invoke(struct program *p)
{
    bool found;
    int status = strcmp(p->invoke, "_initialize") != 0 ? call_plain(p, "_initialize", &found) : 0;
    if (status != 0 || output_failed()) return status;
    hemi_object *function = find_function(p, p->invoke, &status);
    if (status != 0) return status;
    if (!function) return fail_with(EXIT_EXPORT, "%s: exports no function '%s'", p->file, p->invoke);
    status = call(p, function, p->invoke, true);
    hemi_object_free(function);
    return status;
}

static int run_program(struct program *p)
{
    bool started, initialized = false;
    if (p->invoke) return invoke(p);
    int status = call_plain(p, "_start", &started);
    if (status == 0 && !started) status = call_plain(p, "_initialize", &initialized);
    if (status == 0 && !started && !initialized)
        tell("%s: exports neither _start nor _initialize; a start function, if it has one, has run", p->file);
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
    report("module: %s, %zu bytes", p->file, p->module_file.size);
    report("instances: %" PRIu64, s.instances);
    report("calls: %" PRIu64, s.calls);
    report("host calls: %" PRIu64, s.host_calls);
    report("externrefs made: %" PRIu64 ", finalised: %" PRIu64, s.externs_made, mine.externs_finalized);
    report("collections: %" PRIu64, s.collections);
    report("bytes live: %" PRIu64 ", allocated in all: %" PRIu64 ", held at most: %" PRIu64, s.bytes_live,
           s.bytes_allocated, s.bytes_peak);
    report("round trips: %" PRIu64, mine.round_trips);
}

/* ---- the command line */
/* --invoke NAME may also follow the file at once. */
static void take_invoke(struct program *p)
{
    if (p->nargs < 2 || strcmp(p->args[0], "--invoke") != 0) return;
    p->invoke = p->args[1];
    p->args += 2;
    p->nargs -= 2;
}

static int take_limits(struct program *p, const struct tool_options *o)
{
    uint64_t every = 0;
    int status = take_time(o, OPTION_DEADLINE, UINT32_MAX, &p->deadline_ms);
    if (status == 0) status = take_size(o, OPTION_STACK, &p->limits.stack_bytes);
    if (status == 0) status = take_size(o, OPTION_HEAP, &p->limits.heap_bytes);
    if (status == 0) status = take_size(o, OPTION_MEMORY, &p->limits.memory_bytes);
    if (status == 0) status = take_number(o, OPTION_GC_STRESS, UINT32_MAX, &every);
    p->limits.gc_stress_every = (uint32_t)every;
    return status;
}

static int run_in_session(struct program *p, const struct tool_options *o)
{
    int status = session_open(&p->session, o);
    if (status != 0) return status;
    p->client_fd = hemi_client_fd(p->session.client);
    interrupts_catch(p->session.client);
    status = limits_check(o, p->session.client);
    if (status == 0) status = instantiate(p, o);
    if (status == 0 && p->instance) status = run_program(p);
    clock_stop();
    hemi_client_set_deadline(p->session.client, 0);
    if (o->values[OPTION_STATS] && p->store) print_stats(p);
    interrupts_release();
    session_close(&p->session);
    return status;
}

int command_run(const struct tool_options *o)
{
    if (o->nrest < 1) return fail_with(EXIT_USAGE, "run which file? Try: hemi run --help");
    struct program p = {
        .file = o->rest[0], .invoke = o->values[OPTION_INVOKE], .args = o->rest + 1, .nargs = o->nrest - 1};
    if (!p.invoke) take_invoke(&p);
    int status = take_limits(&p, o);
    if (status != 0) return status;
    if (!module_read(p.file, NULL, &p.module_file)) return fail_file(&p.module_file);
    outcome_of(&p.module_file);
    status = run_in_session(&p, o);
    outcome_of(NULL);
    module_free(&p.module_file);
    return status;
}
