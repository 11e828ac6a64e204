/* runtime/module/describe.h -- text for messages: names, types, functions. Always terminated, cut where it does not
 * fit. */
#ifndef HEMI_RUNTIME_MODULE_DESCRIBE_H
#define HEMI_RUNTIME_MODULE_DESCRIBE_H

#include "runtime/module/module.h"

struct text {
    char *at;
    size_t len, used;
};
void text_add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_name(struct text *t, struct name n); /* quoted, shortened */
void text_functype(struct text *t, const struct engine *e, uint32_t type);
void text_func(struct text *t, const struct module *m, uint32_t func); /* its name, if known, and its index */
/* The name section's name, or one under which the function is exported; at == NULL: neither. */
struct name func_name(const struct module *m, uint32_t func);

#endif
