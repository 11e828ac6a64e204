/* Structures of options: what a caller of any age has is taken, what it lacks is zero (docs/abi.md). */
#include <stdio.h>

#include "client/lib/internal.h"

#define SIZE_MAX_TOLD 4096u /* no release will have more: it is no size */

static const struct form {
    const char *name;
    size_t first, now; /* bytes: of the first release, and of this one */
} forms[] = {
#define X(name, first) {#name, first, sizeof(struct hemi_##name##_options)},
    OPTIONS(X)
#undef X
};

/* What a caller's size was, in front of all of them. */
#define X(name, first) _Static_assert(offsetof(struct hemi_##name##_options, size) == 0, "docs/abi.md: " #name);
OPTIONS(X)
#undef X

bool options_copy(enum options_kind kind, const void *from, void *to, char *wrong)
{
    const struct form *form = &forms[kind];
    size_t size = 0;
    memset(to, 0, form->now);
    if (from) memcpy(&size, from, sizeof size);
    if (size == 0) size = form->first;
    if (size < form->first || size > SIZE_MAX_TOLD) {
        snprintf(wrong, OPTIONS_WRONG_MAX, "struct hemi_%s_options: size %zu is that of no release", form->name, size);
        return false;
    }
    for (size_t at = form->now; from && at < size; at++) {
        if (((const uint8_t *)from)[at] == 0) continue;
        snprintf(wrong, OPTIONS_WRONG_MAX,
                 "struct hemi_%s_options: byte %zu is set, and this library (%s) knows of %zu bytes", form->name, at,
                 HEMI_VERSION, form->now);
        return false;
    }
    if (from) memcpy(to, from, size < form->now ? size : form->now);
    return true;
}

hemi_status options_take(hemi_client *c, enum options_kind kind, const void *from, void *to)
{
    char wrong[OPTIONS_WRONG_MAX];
    return options_copy(kind, from, to, wrong) ? HEMI_OK : fail(c, HEMI_ARGUMENT, "%s", wrong);
}
