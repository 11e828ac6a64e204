/* tests/wast/session.h -- runs the commands of one script against the engine, in this process, on one store.
 *
 * Ownership: a session owns its engine, store, modules and VM stack; instances live as long as the store. One thread.
 */
#ifndef HEMI_WAST_SESSION_H
#define HEMI_WAST_SESSION_H

#include "runtime/runtime.h"
#include "tests/wast/script.h"

struct session_options {
    uint32_t gc_stress;            /* collect at every n-th allocation; 0: never without need */
    const volatile uint32_t *stop; /* becomes nonzero when the script has taken too long */
};

struct named_instance {
    struct wast_text name;
    struct instance *instance;
};

struct named_module {
    struct wast_text name;
    struct module *module;
};

/* What the host module "spectest" exports. */
struct spectest_export {
    const char *name;
    struct rt_extern ext;
};

struct session {
    struct session_options opt;
    struct engine *engine;
    struct store *store;
    struct vm_stack stack;
    struct named_instance *instances;  /* by script name; the last of a name counts */
    struct named_instance *registered; /* by import name */
    struct named_module *modules;      /* all ever made, so that they are freed */
    uint32_t instance_count, registered_count, module_count;
    struct instance *last;          /* what a command without a name means; NULL after a failure */
    struct module *last_definition; /* likewise */
    struct spectest_export spectest[20];
    uint32_t spectest_count;
    char why[400]; /* of the last failure */
};

/* False: the engine could not be set up; `why` says so. session_deinit is due in both cases. */
bool session_init(struct session *s, const struct session_options *opt);
/* Collects and verifies the heap one last time; false with `why` if it is not sound. Frees everything. */
bool session_deinit(struct session *s);
/* Runs one command; false with `why`: it did not do what it should. */
bool session_run(struct session *s, const struct wast_command *command);

/* spectest.c */
bool spectest_init(struct session *s);

/* match.c: is `actual`, of type `type`, what was expected? `print` writes a value for messages. */
bool match_value(struct session *s, const struct wast_value *expected, union val actual, valtype type);
void match_print(const struct session *s, union val value, valtype type, char *buf, size_t size);
void match_print_expected(const struct wast_value *value, char *buf, size_t size);

#endif
