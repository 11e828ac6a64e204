/* hemi validate: does the daemon's engine take these modules? */
#include <stdio.h>

#include "client/tool/tool.h"

/* One file, one line. Gives whether it is valid; *failed if that could not be found out. */
static bool validate(hemi_client *client, const char *path, bool *failed)
{
    struct module_file m;
    hemi_module *module;
    char place[4200];
    if (!module_read(path, NULL, &m)) {
        if (m.malformed)
            printf("%s\n", m.why);
        else
            fprintf(stderr, "hemi: %s\n", m.why);
        *failed = *failed || !m.malformed;
        return false;
    }
    hemi_status status = hemi_module_new(client, m.bytes, m.size, &module, NULL);
    if (status == HEMI_OK)
        printf("%s: valid\n", path);
    else if (status == HEMI_INVALID_MODULE)
        printf("%s: %s\n", module_place(&m, client, place, sizeof place), hemi_client_error(client));
    else
        tell_failure(client, path);
    *failed = *failed || (status != HEMI_OK && status != HEMI_INVALID_MODULE);
    hemi_module_free(module);
    module_free(&m);
    return status == HEMI_OK;
}

int command_validate(const struct tool_options *o)
{
    struct session s;
    bool valid = true, failed = false;
    if (o->nrest < 1) {
        fprintf(stderr, "hemi: validate which files? Try: hemi validate --help\n");
        return EXIT_USAGE;
    }
    int status = session_open(&s, o);
    if (status != 0) return status;
    for (int i = 0; i < o->nrest && hemi_client_ended(s.client) == HEMI_OK; i++)
        valid = validate(s.client, o->rest[i], &failed) && valid;
    failed = failed || hemi_client_ended(s.client) != HEMI_OK;
    session_close(&s);
    return failed ? EXIT_HEMI : valid ? EXIT_OK : EXIT_INVALID;
}
