/* hemi validate: does the daemon's engine take these modules? */
#include <stdarg.h>
#include <stdlib.h>

#include "client/tool/tool.h"

/* Of one file that is no module: a line of standard output, as of the others. */
static int say_invalid(const struct module_file *m, const hemi_client *client, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int say_invalid(const struct module_file *m, const hemi_client *client, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = escaped(format, args);
    va_end(args);
    say("%s", text ? text : "out of memory");
    outcome_keep(EXIT_INVALID, text ? text : "out of memory", m, client);
    free(text);
    return EXIT_INVALID;
}

/* One file, one line. 0, or the exit status. */
static int validate(hemi_client *client, const char *path)
{
    struct module_file m;
    hemi_module *module;
    char place[4200];
    if (!module_read(path, NULL, &m))
        return m.exit == EXIT_INVALID ? say_invalid(&m, NULL, "%s", m.why) : fail_file(&m);
    outcome_of(&m);
    int status = EXIT_OK;
    hemi_status made = hemi_module_new(client, m.bytes, m.size, &module, NULL);
    if (made == HEMI_OK)
        say("%s: valid", path);
    else if (made == HEMI_INVALID_MODULE)
        status =
            say_invalid(&m, client, "%s: %s", module_place(&m, client, place, sizeof place), hemi_client_error(client));
    else
        status = tell_failure(client, path);
    hemi_module_free(module);
    outcome_of(NULL);
    module_free(&m);
    return status;
}

/* Of several files the worst counts: that one could not be looked at, then that one is invalid. */
int command_validate(const struct tool_options *o)
{
    struct session s;
    if (o->nrest < 1) return fail_with(EXIT_USAGE, "validate which files? Try: hemi validate --help");
    int status = session_open(&s, o);
    if (status != 0) return status;
    for (int i = 0; i < o->nrest && hemi_client_ended(s.client) == HEMI_OK; i++) {
        int one = validate(s.client, o->rest[i]);
        if (status == EXIT_OK || (status == EXIT_INVALID && one != EXIT_OK)) status = one;
    }
    session_close(&s);
    return status;
}
