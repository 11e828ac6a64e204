/* What happened: exit statuses, messages of failures, --outcome-json. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "client/tool/tool.h"
#include "proto/tables/status.h"
#include "proto/tables/traps.h"

static struct {
    int fd;         /* -1: no JSON is wanted */
    cJSON *failure; /* NULL: nothing has failed */
} outcome = {.fd = -1};

/* ---- places */
/* Where the frames of a failure are in the text; many are often of the same call. */
static struct {
    const struct module_file *module;
    uint64_t offset;
    uint32_t line, column; /* 0: no place */
} place;

void outcome_of(const struct module_file *m)
{
    place.module = m;
    place.offset = UINT64_MAX;
    place.line = 0;
}

/* False: not known. */
static bool find_place(uint64_t offset)
{
    if (!place.module) return false;
    if (offset != place.offset && !module_locate(place.module, offset, &place.line, &place.column)) place.line = 0;
    place.offset = offset;
    return place.line > 0;
}

/* ---- the object */
static void add_format(cJSON *to, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void add_format(cJSON *to, const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = escaped(format, args);
    va_end(args);
    if (text) cJSON_AddStringToObject(to, name, text);
    free(text);
}

/* The object of the first failure; what follows from it goes into one that nobody gets. */
static cJSON *begin(const char *word, int status)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "outcome", word);
    cJSON_AddNumberToObject(o, "status", status);
    return o;
}

static void keep(cJSON *o)
{
    if (outcome.failure)
        cJSON_Delete(o);
    else
        outcome.failure = o;
}

static const char *word_of(int exit)
{
    switch (exit) {
#define X(name, number, word, meaning)                                                                                 \
    case number:                                                                                                       \
        return word;
        TOOL_EXITS(X)
#undef X
    case 128 + SIGINT:
        return "interrupted";
    default:
        return "ok";
    }
}

/* LIMIT_MESSAGE has the name in front of what was asked for. */
static void add_limit(cJSON *o, const char *text)
{
    const char *end = strstr(text, " asked for, at most "), *name = text;
    while (end && end > text && memcmp(end, ": ", 2) != 0) end--;
    for (const char *at = text; end && at < end; at++)
        if (memcmp(at, ": ", 2) == 0) name = at + 2;
    if (end && end > name) add_format(o, "limit", "%.*s", (int)(end - name), name);
}

static void add_in_text(cJSON *to, uint32_t line, uint32_t column)
{
    cJSON_AddNumberToObject(to, "line", line);
    cJSON_AddNumberToObject(to, "column", column);
}

static void add_place(cJSON *to, const hemi_client *client)
{
    uint64_t offset;
    uint32_t function;
    if (hemi_client_function(client, &function)) cJSON_AddNumberToObject(to, "function", function);
    if (!hemi_client_offset(client, &offset)) return;
    cJSON_AddNumberToObject(to, "offset", (double)offset);
    if (find_place(offset)) add_in_text(to, place.line, place.column);
}

void outcome_keep(int exit, const char *text, const struct module_file *m, const hemi_client *client)
{
    cJSON *o = begin(word_of(exit), exit);
    cJSON_AddStringToObject(o, "message", text);
    if (exit == EXIT_LIMIT) add_limit(o, text);
    if (client)
        add_place(o, client);
    else if (m && m->line > 0)
        add_in_text(o, m->line, m->column);
    keep(o);
}

static int fail_text(int exit, const struct module_file *m, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
static int fail_text(int exit, const struct module_file *m, const char *format, va_list args)
{
    char *text = escaped(format, args);
    tell("%s", text ? text : "out of memory");
    outcome_keep(exit, text ? text : "out of memory", m, NULL);
    free(text);
    return exit;
}

int fail_with(int exit, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int status = fail_text(exit, NULL, format, args);
    va_end(args);
    return status;
}

static int fail_at(const struct module_file *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int fail_at(const struct module_file *m, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int status = fail_text(m->exit, m, format, args);
    va_end(args);
    return status;
}

int fail_file(const struct module_file *m) { return fail_at(m, "%s", m->why); }

/* ---- failures of the client */
static int exit_of(hemi_status status)
{
    switch (status) {
    case HEMI_TRAP:
        return EXIT_TRAP;
    case HEMI_EXCEPTION:
        return EXIT_EXCEPTION;
    case HEMI_INVALID_MODULE:
    case HEMI_UNSUPPORTED:
        return EXIT_INVALID;
    case HEMI_LINK:
        return EXIT_LINK;
    case HEMI_LIMIT:
    case HEMI_NO_MEMORY:
        return EXIT_LIMIT;
    case HEMI_DEADLINE:
        return EXIT_DEADLINE;
    case HEMI_ARGUMENT:
        return EXIT_USAGE;
    case HEMI_NOT_FOUND:
        return EXIT_EXPORT;
    case HEMI_CONNECT:
    case HEMI_DRAINING:
    case HEMI_VERSION_MISMATCH:
        return EXIT_NO_DAEMON;
    case HEMI_DENIED:
        return EXIT_DENIED;
    case HEMI_PROTOCOL:
    case HEMI_WORKER_LOST:
    case HEMI_CLOSED:
        return EXIT_LOST;
    case HEMI_INTERRUPTED:
        return 128 + SIGINT;
    case HEMI_OK:
    case HEMI_EXIT:
    case HEMI_CANCELLED:
    case HEMI_DEADLOCK:
    case HEMI_DEPENDENCY_FAILED:
    case HEMI_HANDLE:
    case HEMI_HOST:
    case HEMI_BUSY:
    case HEMI_INTERNAL:
        break;
    }
    return EXIT_INTERNAL;
}

static const char *status_name(hemi_status status)
{
    switch (status) {
#define X(name, number, text, meaning)                                                                                 \
    case HEMI_##name:                                                                                                  \
        return #name;
        HEMI_STATUSES(X)
#undef X
    }
    return "?";
}

static const char *trap_name(unsigned trap)
{
    static const char *const names[] = {
#define X(name, number, text) [number] = #name,
        WASM_TRAPS(X)
#undef X
    };
    return trap < sizeof names / sizeof *names ? names[trap] : "?";
}

static void add_frame(cJSON *to, const struct hemi_trace_entry *e)
{
    static const char *const kinds[] = {
#define X(name, number, meaning) [number] = #name,
        TRACE_KINDS(X)
#undef X
    };
    cJSON *frame = cJSON_CreateObject();
    cJSON_AddStringToObject(frame, "kind", (unsigned)e->kind < sizeof kinds / sizeof *kinds ? kinds[e->kind] : "?");
    cJSON_AddNumberToObject(frame, "index", e->index);
    if (e->kind == HEMI_TRACE_FUNC || e->kind == HEMI_TRACE_CONST)
        cJSON_AddNumberToObject(frame, "offset", (double)e->offset);
    if (e->kind == HEMI_TRACE_FUNC && find_place(e->offset)) add_in_text(frame, place.line, place.column);
    if (e->module_length > 0) add_format(frame, "module", "%s", e->module);
    if (e->name_length > 0) add_format(frame, "name", "%s", e->name);
    if (!cJSON_AddItemToArray(to, frame)) cJSON_Delete(frame);
}

/* On stderr, and as an array; the message usually says itself where: only what is missing is added to it. */
static void tell_trace(const hemi_client *client, cJSON *to)
{
    const struct hemi_trace_entry *trace;
    size_t n = hemi_client_trace(client, &trace);
    cJSON *frames = cJSON_AddArrayToObject(to, "backtrace");
    for (size_t i = 0; i < n; i++) {
        char text[4096];
        hemi_trace_text(&trace[i], text, sizeof text);
        if (trace[i].kind == HEMI_TRACE_FUNC && find_place(trace[i].offset))
            tell_more("    %s, %s:%u:%u", text, place.module->path, place.line, place.column);
        else
            tell_more("    %s", text);
        add_frame(frames, &trace[i]);
    }
}

/* The flag that sets the store's limit which the text names; NULL: none. */
static const char *flag_of_limit(const char *text)
{
    static const struct {
        const char *limit, *flag;
    } rows[] = {{"memory_bytes: ", "--memory"}, {"heap_bytes: ", "--heap"}, {"stack_bytes: ", "--stack"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strstr(text, rows[i].limit)) return rows[i].flag;
    return NULL;
}

/* "where: kind: trap: text, in function 1, at byte 0x2f", without what the text says. */
static void failure_text(hemi_client *client, const char *where, char *out, size_t size)
{
    hemi_status status = hemi_client_status(client);
    const char *kind = hemi_status_text(status), *text = hemi_client_error(client);
    const char *trap = status == HEMI_TRAP ? hemi_trap_text(hemi_client_trap(client)) : "";
    uint64_t offset;
    uint32_t function;
    FILE *f = fmemopen(out, size, "w");
    if (!f) {
        snprintf(out, size, "%s: %s", where, kind);
        return;
    }
    bool says_where = status == HEMI_CONNECT; /* "cannot connect: /run/..." */
    fprintf(f, "%s", says_where ? kind : where);
    if (!says_where && strncmp(text, kind, strlen(kind)) != 0) fprintf(f, ": %s", kind);
    if (*trap && strncmp(text, trap, strlen(trap)) != 0) fprintf(f, ": %s", trap);
    if (*text) fprintf(f, ": %s", text);
    if (hemi_client_function(client, &function) && !strstr(text, "function")) fprintf(f, ", in function %u", function);
    bool is_unsaid = hemi_client_offset(client, &offset) && !strstr(text, "offset");
    if (is_unsaid && find_place(offset))
        fprintf(f, ", at %s:%u:%u", place.module->path, place.line, place.column);
    else if (is_unsaid)
        fprintf(f, ", at byte 0x%llx", (unsigned long long)offset);
    if (flag_of_limit(text)) fprintf(f, " (the limit is that of %s)", flag_of_limit(text));
    fclose(f);
}

static int tell_as(int exit, hemi_client *client, const char *where)
{
    hemi_status status = hemi_client_status(client);
    char text[8192];
    cJSON *o = begin(word_of(exit), exit);
    failure_text(client, where, text, sizeof text);
    tell("%s", text);
    add_format(o, "message", "%s", text);
    if (exit == EXIT_LIMIT) add_limit(o, text);
    cJSON_AddStringToObject(o, "hemi_status", status_name(status));
    if (status == HEMI_TRAP) {
        cJSON *trap = cJSON_AddObjectToObject(o, "trap");
        cJSON_AddStringToObject(trap, "kind", trap_name(hemi_client_trap(client)));
        cJSON_AddNumberToObject(trap, "number", hemi_client_trap(client));
    }
    add_place(o, client);
    tell_trace(client, o);
    keep(o);
    return exit;
}

int tell_failure(hemi_client *client, const char *where)
{
    return tell_as(exit_of(hemi_client_status(client)), client, where);
}

int tell_no_session(hemi_client *client, const char *where)
{
    hemi_status status = hemi_client_status(client);
    bool is_none = status == HEMI_DEADLINE || status == HEMI_PROTOCOL;
    return tell_as(is_none ? EXIT_NO_DAEMON : exit_of(status), client, where);
}

int guest_exit(const char *file, int32_t code)
{
    bool own = code >= 0 && code <= EXIT_GUEST_MAX;
    cJSON *o = begin(own ? "exit" : word_of(EXIT_CODE), own ? code : EXIT_CODE);
    cJSON_AddNumberToObject(o, "exit_code", code);
    if (!own) {
        tell("%s: ended with the code %d, which is not from 0 to %d", file, code, EXIT_GUEST_MAX);
        add_format(o, "message", "%s: ended with the code %d, which is not from 0 to %d", file, code, EXIT_GUEST_MAX);
    }
    keep(o);
    return own ? code : EXIT_CODE;
}

/* ---- --outcome-json */
int outcome_take(const struct tool_options *o)
{
    uint64_t fd = 0;
    if (!o->values[OPTION_OUTCOME_JSON]) return 0;
    int status = take_number(o, OPTION_OUTCOME_JSON, INT32_MAX, &fd);
    if (status != 0) return status;
    int flags = fcntl((int)fd, F_GETFL);
    if (flags < 0) return fail_with(EXIT_USAGE, "--outcome-json %d: %s", (int)fd, strerror(errno));
    if ((flags & O_ACCMODE) == O_RDONLY)
        return fail_with(EXIT_USAGE, "--outcome-json %d: not open for writing", (int)fd);
    if (fd > STDERR_FILENO) fcntl((int)fd, F_SETFD, FD_CLOEXEC);
    outcome.fd = (int)fd;
    return 0;
}

/* The failure that the status is of; else the end is one of its own. */
static cJSON *final_object(int status)
{
    const cJSON *told = outcome.failure ? cJSON_GetObjectItem(outcome.failure, "status") : NULL;
    if (told && told->valueint == status) return outcome.failure;
    cJSON_Delete(outcome.failure);
    return outcome.failure = begin(word_of(status), status);
}

int outcome_finish(int status)
{
    char *text = outcome.fd >= 0 ? cJSON_PrintUnformatted(final_object(status)) : NULL;
    errno = ENOMEM;
    bool done = text && output_write(outcome.fd, text, strlen(text)) && output_write(outcome.fd, "\n", 1);
    int why = errno;
    cJSON_free(text);
    cJSON_Delete(outcome.failure);
    outcome.failure = NULL;
    if (outcome.fd < 0 || done) return status;
    tell("--outcome-json %d: %s", outcome.fd, strerror(why));
    return status > EXIT_GUEST_MAX ? status : EXIT_OUTPUT;
}
