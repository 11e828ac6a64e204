/* runtime/load/load.c -- a module's beginning: bytes in, a checked and translated module out. */
#include "runtime/load/load.h"
#include "proto/tables/printable.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COPY_STEP = 1 << 20, POLL_UNITS = 1024 };

/* Copies in steps: the embedder's poll points must come often enough for the largest module, too. */
static enum hemi_status copy_bytes(struct engine *e, struct module *m, const uint8_t *bytes, size_t size)
{
    m->bytes = malloc(size ? size : 1);
    if (!m->bytes) return HEMI_NO_MEMORY;
    for (size_t at = 0; at < size; at += COPY_STEP) {
        memcpy(m->bytes + at, bytes + at, size - at < COPY_STEP ? size - at : COPY_STEP);
        enum hemi_status status = engine_poll(e);
        if (status != HEMI_OK) return status;
    }
    return HEMI_OK;
}

/* ---- Errors: where it was, in words, at the end of what was wrong */

static void append(struct rt_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void append(struct rt_error *err, const char *format, ...)
{
    size_t used = strlen(err->message);
    va_list args;
    va_start(args, format);
    vsnprintf(err->message + used, sizeof err->message - used, format, args);
    va_end(args);
}

static void append_place(struct rt_error *err, const struct module *m)
{
    if (err->has_offset) append(err, " at offset 0x%llx", (unsigned long long)err->offset);
    if (!err->has_func) return;
    append(err, " in function %u", err->func);
    const struct name *name = m->func_names ? &m->func_names[err->func] : NULL;
    if (name && name->at) append(err, " \"%.*s\"", (int)(name->len < 60 ? name->len : 60), name->at);
}

static void refuse(struct rt_error *err, enum hemi_status status, const char *message)
{
    if (err->status != HEMI_OK) return;
    err->status = status;
    snprintf(err->message, sizeof err->message, "%s", message);
}

/* ---- Making */

static void finish(struct decoder *d)
{
    struct rt_error *err = d->err;
    if (err->status != HEMI_OK) return;
    struct cursor none = {.err = err};
    enum hemi_status status = decoder_code_begin(d, &none) ? translator_finish(d->translator) : err->status;
    if (status == HEMI_OK) status = module_order_code(d->module);
    if (status != HEMI_OK) refuse(err, status, "translating a module");
}

static void decode(struct engine *e, struct module *m, struct rt_error *err)
{
    struct decoder d = {.engine = e, .module = m, .err = err};
    if (decode_module(&d)) finish(&d);
    if (err->status == HEMI_INVALID_MODULE && !err->malformed) form_check(&d);
    validator_free(d.validator);
    translator_free(d.translator);
    d.translator = NULL;
    free(d.declared);
    enum hemi_status status = decode_names(e, m);
    if (status != HEMI_OK) refuse(err, status, "reading function names");
    if (err->status == HEMI_OK && decoder_charge(&d) != HEMI_OK) refuse(err, HEMI_NO_MEMORY, "no memory for a module");
}

static struct module *begin(struct engine *e, size_t size, struct rt_error *err)
{
    *err = (struct rt_error){.status = HEMI_OK};
    struct cursor none = {.err = err};
    if (!cursor_limit(&none, 0, LIMIT_MODULE_BYTES, size)) return NULL;
    struct module *m = calloc(1, sizeof *m);
    if (!m) {
        refuse(err, HEMI_NO_MEMORY, "no memory for a module");
        return NULL;
    }
    m->refs = 1;
    m->engine = e;
    e->nmodules++;
    m->size = size;
    if (module_charge(m, module_bytes(m)) != HEMI_OK) refuse(err, HEMI_NO_MEMORY, "no memory for a module");
    return m;
}

/* It may have come far before it was refused. */
static void give_up(struct module *m)
{
    struct engine *e = m->engine;
    uint32_t units = POLL_UNITS;
    while (module_free_some(m, &units)) {
        (void)engine_poll(e);
        units = POLL_UNITS;
    }
}

/* Decodes the bytes, unless something is refused already. */
static enum hemi_status make(struct module *m, struct module **out, struct rt_error *err)
{
    if (err->status == HEMI_OK) decode(m->engine, m, err);
    if (err->status == HEMI_OK) {
        *out = m;
        return HEMI_OK;
    }
    append_place(err, m);
    printable(err->message, sizeof err->message);
    give_up(m);
    return err->status;
}

enum hemi_status module_new(struct engine *e, const uint8_t *bytes, size_t size, struct module **out,
                            struct rt_error *err)
{
    *out = NULL;
    struct module *m = begin(e, size, err);
    if (!m) return err->status;
    enum hemi_status status = err->status == HEMI_OK ? copy_bytes(e, m, bytes, size) : err->status;
    if (status != HEMI_OK) refuse(err, status, "copying a module's bytes");
    return make(m, out, err);
}

enum hemi_status module_take(struct engine *e, uint8_t *bytes, size_t size, struct module **out, struct rt_error *err)
{
    *out = NULL;
    struct module *m = begin(e, size, err);
    if (!m) {
        free(bytes);
        return err->status;
    }
    m->bytes = bytes;
    return make(m, out, err);
}
