/* tests/wast/session.h -- runs the commands of one script against a daemon, through libhemi.
 *
 * Commands are pipelined: a command makes its requests with tickets and is put in a queue; it is judged when the queue
 * is full or empty of others, in the script's order. Only what a later request needs to know is waited for at once: a
 * module's imports, the type of a global.
 *
 * Stores: one for the whole script, or (per module) one for each module but those that are registered or import from
 * a registered one: these share one. A store that no command can mean any more is closed.
 *
 * Ownership: a session owns what it makes, but not the client, the report and the script; all three must outlive it.
 * One thread. */
#ifndef HEMI_WAST_SESSION_H
#define HEMI_WAST_SESSION_H

#include <hemi.h>

#include "tests/wast/report.h"
#include "tests/wast/script.h"

struct session_options {
    uint32_t gc_stress; /* collect at every n-th allocation; 0: never without need */
    uint32_t seconds;   /* deadline of each request */
    bool store_per_module;
    bool any_text;   /* a trap or link error is as wanted, whatever its text */
    bool round_trip; /* each module is what its text by the disassembler assembles to */
};

enum { SPECTEST_MAX = 16, QUEUE_MAX = 512, FEW_VALUES = 4, TEXT_MAX = 400 };

/* What the host module "spectest" exports, made when a module first imports from it. */
struct spectest {
    const char *names[SPECTEST_MAX];
    hemi_object *objects[SPECTEST_MAX];
    uint32_t count;
};

struct world {
    hemi_store *store;
    struct spectest spectest;
    bool closed;
};

/* An export that was asked for. */
struct export
{
    struct wast_text name;
    hemi_object *object; /* NULL: the request could not be made */
    hemi_ticket ticket;  /* 0: answered, with: */
    hemi_status status;
};

struct instance {
    struct wast_text name; /* the script's; may be absent */
    struct world *world;
    hemi_instance *handle; /* NULL: there is none */
    struct export **exports;
    uint32_t export_count;
};

struct named_module {
    struct wast_text name;
    hemi_module *module;
};

struct registration {
    struct wast_text name;
    struct instance *instance;
};

/* What became of a request. */
struct outcome {
    hemi_status status;
    unsigned trap;
    bool malformed; /* INVALID_MODULE because the bytes are no module */
    bool assembled; /* the text, if it was one, was accepted by the assembler */
    char text[TEXT_MAX];
};

/* A command whose requests were made. */
struct pending {
    const struct wast_command *command;
    hemi_ticket ticket; /* whose answer decides; 0: `outcome` holds it already */
    struct outcome outcome;
    bool broken;           /* the command could not be run: outcome.text says why */
    struct export *export; /* what the action is about */
    hemi_module *module;   /* to be freed */
    struct world *world;   /* to be closed: nothing can mean what is in it */
    hemi_val *results;     /* few, or allocated */
    hemi_val few[FEW_VALUES];
    uint32_t capacity; /* of results */
};

struct session {
    struct session_options opt;
    hemi_client *client;
    struct report *report;
    const struct script *script;
    struct world **worlds;
    struct world *shared; /* one of them, or NULL */
    struct instance **instances;
    struct registration *registered;
    struct named_module *modules;
    uint32_t world_count, instance_count, registered_count, module_count;
    struct instance *last;        /* what a command without a name means; NULL after a failure */
    hemi_module *last_definition; /* likewise */
    bool *is_registered;          /* per command: what it makes will be registered */
    bool lost;                    /* the connection has ended: what remains is skipped */
    struct pending *queue;        /* a ring of QUEUE_MAX */
    uint32_t first, waiting;
};

/* Runs the script and reports on each of its commands. */
void session_run(struct session *s, const struct session_options *opt, hemi_client *client, const struct script *script,
                 struct report *report);

/* ---- shared by the session's files */
/* session.c: appends to a list that doubles at powers of two. */
void *session_append(void *list, uint32_t *count, size_t size);

/* judge.c: waits for the answer to the first in the queue, reports on it, and removes it. */
void session_settle(struct session *s);
/* Copies the client's last failure. */
void outcome_of_failure(struct session *s, struct outcome *o);
/* Waits until the export's request is answered; false: there is no such export. */
bool export_wait(struct session *s, struct export *e);

/* spectest.c: makes it in the world's store; false if the client failed. */
bool spectest_init(struct session *s, struct world *world);
/* NULL: there is no such export. */
hemi_object *spectest_find(const struct spectest *spectest, const char *name, size_t length);

/* match.c: is `actual` what was expected? `print` writes a value for messages. */
bool match_value(struct session *s, const struct wast_value *expected, const hemi_val *actual);
void match_print(const hemi_val *value, char *buf, size_t size);
void match_print_expected(const struct wast_value *value, char *buf, size_t size);
/* The hierarchy of a reference type of a script. */
hemi_class match_class(valtype type);

#endif
