/* tests/wast/judge.c -- waits for answers, and says whether a command did what it should. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/tables/traps.h"
#include "tests/wast/session.h"

void outcome_of_failure(struct session *s, struct outcome *o)
{
    o->status = hemi_client_status(s->client);
    o->trap = hemi_client_trap(s->client);
    o->malformed = hemi_client_malformed(s->client);
    snprintf(o->text, sizeof o->text, "%s", hemi_client_error(s->client));
    if (hemi_client_ended(s->client) != HEMI_OK) s->lost = true;
}

bool export_wait(struct session *s, struct export *e)
{
    if (e->ticket) e->status = hemi_wait(s->client, e->ticket);
    e->ticket = 0;
    return e->status == HEMI_OK;
}

/* ---- verdicts: true, or false with `why` */

struct verdict_text {
    char why[2 * TEXT_MAX];
};

static bool fail(struct verdict_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(struct verdict_text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(t->why, sizeof t->why, format, args);
    va_end(args);
    return false;
}

static const char *status_text(const struct outcome *o)
{
    return o->malformed ? "malformed module" : hemi_status_text(o->status);
}

/* What happened instead of what was wanted. */
static bool fail_outcome(struct verdict_text *t, const char *wanted, const struct outcome *o)
{
    bool trap = o->status == HEMI_TRAP;
    return fail(t, "wanted %s, got %s%s%s%s%s", wanted, status_text(o), trap ? " " : "",
                trap ? hemi_trap_text(o->trap) : "", o->text[0] ? ": " : "", o->text);
}

/* The suite's texts and ours agree up to the shorter one's end: "uninitialized element 2", "null structure". */
static bool agrees(struct wast_text wanted, const char *text)
{
    size_t length = strlen(text) < wanted.length ? strlen(text) : wanted.length;
    return memcmp(text, wanted.bytes, length) == 0;
}

static bool judge_return(struct session *s, struct pending *p, struct verdict_text *t)
{
    const struct wast_command *c = p->command;
    if (p->outcome.status != HEMI_OK) return fail_outcome(t, "a return", &p->outcome);
    const struct hemi_entry *entry = hemi_object_entry(p->export->object);
    size_t count = c->action.get ? 1 : entry->nresults;
    if (count != c->value_count) return fail(t, "wanted %u results, got %zu", c->value_count, count);
    for (uint32_t i = 0; i < c->value_count; i++) {
        if (match_value(s, &c->values[i], &p->results[i])) continue;
        char expected[80], actual[80];
        match_print_expected(&c->values[i], expected, sizeof expected);
        match_print(&p->results[i], actual, sizeof actual);
        return fail(t, "result %u: wanted %s, got %s", i, expected, actual);
    }
    return true;
}

/* By class only: an exhausted stack is what assert_exhaustion is for, everything else is a trap. */
static bool is_of_class(const struct pending *p)
{
    return (p->outcome.trap == TRAP_STACK_OVERFLOW) == (p->command->kind == COMMAND_EXHAUSTION);
}

static bool judge_trap(const struct session *s, const struct pending *p, struct verdict_text *t)
{
    struct wast_text text = p->command->text;
    bool as_wanted = s->opt.any_text ? is_of_class(p) : agrees(text, hemi_trap_text(p->outcome.trap));
    if (p->outcome.status == HEMI_TRAP && as_wanted) return true;
    char wanted[80];
    snprintf(wanted, sizeof wanted, "trap %.*s", (int)text.length, text.bytes);
    return fail_outcome(t, wanted, &p->outcome);
}

static bool judge_unlinkable(const struct session *s, const struct pending *p, struct verdict_text *t)
{
    struct wast_text text = p->command->text;
    if (p->outcome.status == HEMI_LINK && (s->opt.any_text || agrees(text, p->outcome.text))) return true;
    char wanted[80];
    snprintf(wanted, sizeof wanted, "link error %.*s", (int)text.length, text.bytes);
    return fail_outcome(t, wanted, &p->outcome);
}

/* Malformed text is refused by the assembler, everything else by the daemon, and as what it is. A malformed module may
 * also be beyond one of the engine's limits before it gets to what is wrong with it. */
static bool judge_refused(const struct pending *p, struct verdict_text *t)
{
    const struct wast_command *c = p->command;
    const struct outcome *o = &p->outcome;
    bool malformed = c->kind == COMMAND_MALFORMED, text = c->module.form != FORM_BINARY;
    if (!malformed && !o->assembled) return fail(t, "does not assemble: %s", o->text);
    if (malformed && text) return !o->assembled || fail(t, "assembles");
    if (malformed && o->status == HEMI_LIMIT) return true;
    if (o->status == HEMI_INVALID_MODULE && o->malformed == malformed) return true;
    char wanted[80];
    snprintf(wanted, sizeof wanted, "%s module: %.*s", malformed ? "malformed" : "invalid", (int)c->text.length,
             c->text.bytes);
    return fail_outcome(t, wanted, o);
}

static bool judge(struct session *s, struct pending *p, struct verdict_text *t)
{
    const struct outcome *o = &p->outcome;
    if (p->broken) return fail(t, "%s", o->text);
    switch (p->command->kind) {
    case COMMAND_MODULE:
    case COMMAND_INSTANCE:
        return o->status == HEMI_OK || fail_outcome(t, "an instance", o);
    case COMMAND_DEFINITION:
        return o->status == HEMI_OK || fail_outcome(t, "a module", o);
    case COMMAND_REGISTER:
        return true;
    case COMMAND_ACTION:
        return o->status == HEMI_OK || fail_outcome(t, "a return", o);
    case COMMAND_RETURN:
        return judge_return(s, p, t);
    case COMMAND_TRAP:
    case COMMAND_EXHAUSTION:
        return judge_trap(s, p, t);
    case COMMAND_EXCEPTION:
        return o->status == HEMI_EXCEPTION || fail_outcome(t, "an exception", o);
    case COMMAND_UNLINKABLE:
        return judge_unlinkable(s, p, t);
    default:
        return judge_refused(p, t);
    }
}

/* ---- settling */

static const char *command_name(enum wast_command_kind kind)
{
    static const char *const names[] = {
        [COMMAND_MODULE] = "module",
        [COMMAND_DEFINITION] = "module definition",
        [COMMAND_INSTANCE] = "module instance",
        [COMMAND_REGISTER] = "register",
        [COMMAND_ACTION] = "action",
        [COMMAND_RETURN] = "assert_return",
        [COMMAND_TRAP] = "assert_trap",
        [COMMAND_EXHAUSTION] = "assert_exhaustion",
        [COMMAND_EXCEPTION] = "assert_exception",
        [COMMAND_INVALID] = "assert_invalid",
        [COMMAND_MALFORMED] = "assert_malformed",
        [COMMAND_UNLINKABLE] = "assert_unlinkable",
        [COMMAND_MALFORMED_CUSTOM] = "assert_malformed_custom",
        [COMMAND_INVALID_CUSTOM] = "assert_invalid_custom",
    };
    return names[kind];
}

/* A loss is reported once, where it was met; what comes after it was not run. */
static enum verdict verdict_of(struct session *s, struct pending *p, struct verdict_text *t)
{
    enum wast_command_kind kind = p->command->kind;
    if (kind == COMMAND_MALFORMED_CUSTOM || kind == COMMAND_INVALID_CUSTOM) {
        fail(t, "the contents of custom sections are not looked at");
        return VERDICT_SKIPPED;
    }
    if (s->report->crashed) {
        fail(t, "the worker was lost before");
        return VERDICT_SKIPPED;
    }
    if (s->lost && hemi_client_ended(s->client) == p->outcome.status) {
        s->report->crashed = true;
        fail(t, "the connection ended: %s", p->outcome.text);
        return VERDICT_FAILED;
    }
    return judge(s, p, t) ? VERDICT_PASSED : VERDICT_FAILED;
}

/* A call ahead of its function's type is one that nobody has checked: numbers have no type on the wire. */
static void check_arguments(struct pending *p)
{
    const struct wast_action *action = &p->command->action;
    const struct hemi_entry *entry = hemi_object_entry(p->export->object);
    for (uint32_t i = 0; entry && !action->get && i < action->arg_count && i < entry->nparams; i++) {
        if (hemi_type_kind(entry->params[i]) == (hemi_kind)vt_kind(action->args[i].type)) continue;
        snprintf(p->outcome.text, sizeof p->outcome.text, "argument %u is of another type than the parameter", i);
        p->broken = true;
    }
}

static void await(struct session *s, struct pending *p)
{
    if (p->ticket) {
        p->outcome.status = hemi_wait(s->client, p->ticket);
        if (p->outcome.status != HEMI_OK) outcome_of_failure(s, &p->outcome);
    }
    if (p->export && p->outcome.status == HEMI_OK && export_wait(s, p->export)) check_arguments(p);
    if (p->export && p->outcome.status == HEMI_DEPENDENCY_FAILED && !export_wait(s, p->export))
        snprintf(p->outcome.text, sizeof p->outcome.text, "no export %.*s", (int)p->export->name.length,
                 p->export->name.bytes);
}

static void clean(struct session *s, struct pending *p)
{
    for (uint32_t i = 0; i < p->capacity && p->outcome.status == HEMI_OK; i++) hemi_drop(s->client, &p->results[i]);
    if (p->results != p->few) free(p->results);
    if (p->module) hemi_module_free(p->module);
    if (p->world && !s->lost) {
        hemi_store_close(p->world->store, NULL);
        p->world->closed = true;
    }
}

void session_settle(struct session *s)
{
    struct pending *p = &s->queue[s->first];
    struct verdict_text t = {""};
    await(s, p);
    enum verdict verdict = verdict_of(s, p, &t);
    report_add(s->report, p->command->line, command_name(p->command->kind), verdict,
               verdict == VERDICT_PASSED ? NULL : t.why);
    clean(s, p);
    s->first = (s->first + 1) % QUEUE_MAX;
    s->waiting--;
}
