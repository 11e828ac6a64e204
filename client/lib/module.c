/* Modules: how their bytes travel, and what they import and export. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/lib/internal.h"

/* ---- bytes */
static bool write_all(int fd, const uint8_t *bytes, size_t n)
{
    while (n > 0) {
        ssize_t written = write(fd, bytes, n);
        if (written <= 0) return false;
        bytes += written;
        n -= (size_t)written;
    }
    return true;
}

/* A sealed memfd with these bytes, or -1: then they go in chunks. */
static int sealed_memfd(const void *bytes, size_t n)
{
    int fd = memfd_create("hemi-module", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return -1;
    if (write_all(fd, bytes, n) &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0)
        return fd;
    close(fd);
    return -1;
}

/* All but the last chunk. Their answers are not waited for: if one fails, MODULE_NEW does. */
static hemi_status send_chunks(hemi_module *m, const uint8_t *bytes, size_t size, size_t *sent)
{
    hemi_client *c = m->node.client;
    for (*sent = 0; size - *sent > FRAME_RAW_MAX; *sent += FRAME_RAW_MAX) {
        Hemi__V1__ModuleData body = HEMI__V1__MODULE_DATA__INIT;
        body.module = m->node.handle;
        body.total = size;
        body.offset = *sent;
        struct sending s = {
            .f = {.type = FRAME_MODULE_DATA, .body = &body.base, .raw = bytes + *sent, .raw_length = FRAME_RAW_MAX},
            .plain = *sent > 0};
        hemi_ticket ticket;
        hemi_status status = request_run(c, &s, &ticket);
        if (status != HEMI_OK) return status;
        hemi_forget(c, ticket);
    }
    return HEMI_OK;
}

static hemi_status send_module(hemi_module *m, const uint8_t *bytes, size_t size, hemi_ticket *ticket)
{
    hemi_client *c = m->node.client;
    size_t sent = 0;
    Hemi__V1__ModuleNew body = HEMI__V1__MODULE_NEW__INIT;
    body.module = m->node.handle;
    body.total = size;
    body.deadline_ms = c->deadline_ms;
    struct sending s = {.f = {.type = FRAME_MODULE_NEW, .body = &body.base}};
    s.f.fd = size > FRAME_RAW_MAX && !c->no_memfd && c->welcomed ? sealed_memfd(bytes, size) : -1;
    if (s.f.fd >= 0) {
        s.f.flags = FRAME_FLAG_FD;
        return request_run(c, &s, ticket);
    }
    hemi_status status = send_chunks(m, bytes, size, &sent);
    if (status != HEMI_OK) return status;
    s.plain = sent > 0;
    s.f.raw = bytes + sent;
    s.f.raw_length = size - sent;
    return request_run(c, &s, ticket);
}

hemi_status hemi_module_new(hemi_client *c, const void *bytes, size_t size, hemi_module **out, hemi_ticket *ticket)
{
    ENTER_MAKING(c, out, ticket);
    hemi_status status = usable(c, NULL);
    if (status == HEMI_OK && size > 0 && !bytes) status = fail_null(c, "bytes");
    if (status == HEMI_OK && size > UINT32_MAX) status = fail(c, HEMI_LIMIT, "a module of 4 GiB or more");
    if (status != HEMI_OK) return status;
    hemi_module *m = node_new(c, NODE_MODULE, sizeof *m);
    if (!m) return fail(c, HEMI_NO_MEMORY, "out of memory");
    status = send_module(m, size > 0 ? bytes : (const uint8_t *)"", size, ticket);
    if (status == HEMI_OK)
        *out = m;
    else
        node_free(&m->node);
    return status;
}

/* ---- descriptions */
struct listing {
    struct entries *entries;
    uint64_t total;
};

static hemi_status take_entries(hemi_client *c, struct request *r, const Hemi__V1__Reply *reply, const struct frame *f)
{
    (void)c;
    struct listing *to = r->answer.to;
    to->total = reply->value;
    return entries_read(to->entries, f->raw, f->raw_length);
}

static hemi_status describe_piece(hemi_client *c, uint16_t type, uint32_t handle, uint32_t what, struct listing *to)
{
    Hemi__V1__ModuleDescribe module = HEMI__V1__MODULE_DESCRIBE__INIT;
    Hemi__V1__ExportList instance = HEMI__V1__EXPORT_LIST__INIT;
    module.module = instance.instance = handle;
    module.first = instance.first = (uint32_t)to->entries->count;
    module.what = what;
    struct sending s = {.f = {.type = type, .body = type == FRAME_EXPORT_LIST ? &instance.base : &module.base},
                        .answer = {.take = take_entries, .to = to},
                        .plain = true};
    return request_run(c, &s, NULL);
}

/* Asks until all entries are here. A piece without any would go on for ever: it is a defect of the worker's. */
static hemi_status describe(hemi_client *c, uint16_t type, uint32_t handle, uint32_t what, struct entries *out)
{
    struct entries list = {0};
    struct listing to = {.entries = &list};
    hemi_status status;
    size_t before;
    do {
        before = list.count;
        status = describe_piece(c, type, handle, what, &to);
    } while (status == HEMI_OK && list.count < to.total && list.count > before);
    if (status == HEMI_OK && list.count != to.total)
        status = fail(c, HEMI_PROTOCOL, "the worker described %zu of %llu entries", list.count,
                      (unsigned long long)to.total);
    if (status == HEMI_OK)
        *out = list;
    else
        entries_deinit(&list);
    return status;
}

static hemi_status described(hemi_client *c, uint16_t type, uint32_t handle, uint32_t what, struct entries *entries,
                             bool *have, const struct hemi_entry **out, size_t *count)
{
    if (out) *out = NULL;
    if (count) *count = 0;
    if (!out || !count) return fail_null(c, out ? "count" : "out");
    hemi_status status = HEMI_OK;
    if (!*have) status = describe(c, type, handle, what, entries);
    if (status != HEMI_OK) return status;
    *have = true;
    *out = entries->at;
    *count = entries->count;
    return HEMI_OK;
}

hemi_status hemi_module_imports(hemi_module *m, const struct hemi_entry **out, size_t *count)
{
    ENTER(CLIENT_OF(m), refusal);
    return described(m->node.client, FRAME_MODULE_DESCRIBE, m->node.handle, 0, &m->imports, &m->have_imports, out,
                     count);
}

hemi_status hemi_module_exports(hemi_module *m, const struct hemi_entry **out, size_t *count)
{
    ENTER(CLIENT_OF(m), refusal);
    return described(m->node.client, FRAME_MODULE_DESCRIBE, m->node.handle, 1, &m->exports, &m->have_exports, out,
                     count);
}

hemi_status hemi_instance_exports(hemi_instance *i, const struct hemi_entry **out, size_t *count)
{
    ENTER(CLIENT_OF(i), refusal);
    return described(i->node.client, FRAME_EXPORT_LIST, i->node.handle, 0, &i->exports, &i->have_exports, out, count);
}

/* ---- code */
struct code_text {
    char *at;
    size_t used;
    uint64_t next; /* where the worker goes on; 0: that was all */
};

static hemi_status take_code(hemi_client *c, struct request *r, const Hemi__V1__Reply *reply, const struct frame *f)
{
    (void)c;
    struct code_text *to = r->answer.to;
    char *at = realloc(to->at, to->used + f->raw_length + 1);
    if (!at) return HEMI_NO_MEMORY;
    memcpy(at + to->used, f->raw, f->raw_length);
    to->at = at;
    to->used += f->raw_length;
    to->at[to->used] = 0;
    to->next = f->raw_length > 0 ? reply->value : 0; /* a piece without a line would go on for ever */
    return HEMI_OK;
}

hemi_status hemi_module_code(hemi_module *m, uint32_t function, const char *name, char **text)
{
    ENTER_FOR(CLIENT_OF(m), text);
    hemi_client *c = m->node.client;
    Hemi__V1__ModuleCode body = HEMI__V1__MODULE_CODE__INIT;
    struct code_text to = {0};
    struct sending s = {.f = {.type = FRAME_MODULE_CODE,
                              .body = &body.base,
                              .raw = (const uint8_t *)name,
                              .raw_length = name ? strlen(name) : 0},
                        .answer = {.take = take_code, .to = &to},
                        .plain = true};
    hemi_status status;
    if (s.f.raw_length > PROTO_NAME_MAX) return fail(c, HEMI_ARGUMENT, "name: more than %u bytes", PROTO_NAME_MAX);
    body.module = m->node.handle;
    body.function = function;
    do {
        body.at = (uint32_t)to.next;
        status = request_run(c, &s, NULL);
    } while (status == HEMI_OK && to.next != 0);
    if (status == HEMI_OK)
        *text = to.at;
    else
        free(to.at);
    return status;
}
