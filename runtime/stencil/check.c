/* runtime/stencil/check.c -- run by the build on stencil.c's object file: fails unless every body's stencil refers to
 * nothing but its holes and constants that can be copied with it (helpers are reached through vm->helpers). Prints what
 * there is, and the instructions whose body is only a call of a helper. */
#include "runtime/stencil/stencils.h"
#include <stdio.h>

static const char *const helped[] = {
#define BODIES_OWN_ROWS
#define HELPED(name, helper, params, results, a, b) #name,
#include "runtime/code/bodies.def"
};

int main(int argc, char **argv)
{
    struct stencils s;
    bool ok = argc == 2 && stencils_open(&s, argv[1]);
    if (!ok) {
        fprintf(stderr, "stencil_check: %s\n", argc == 2 ? s.error : "usage: stencil_check OBJECT");
        return 1;
    }
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < VMOP_COUNT; i++) bytes += s.at[i].size;
    printf("%d stencils, %u bytes, %u holes, %u bytes of constants; only a helper's call:", VMOP_COUNT, bytes, s.nholes,
           s.nconstants);
    for (size_t i = 0; i < sizeof helped / sizeof *helped; i++) printf(" %s", helped[i]);
    printf("\n");
    stencils_close(&s);
    return 0;
}
