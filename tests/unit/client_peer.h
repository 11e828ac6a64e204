/* client_peer.h -- a scripted worker for tests of libhemi: the other end of a socket pair. The answer to a request is
 * written just ahead of it (the library's request ids and handles count up from 1), what the client sent is read
 * afterwards, so that most tests are one thread and always run the same way. */
#ifndef HEMI_TESTS_CLIENT_PEER_H
#define HEMI_TESTS_CLIENT_PEER_H

#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hemi.h"

#include "proto/externs.h"
#include "proto/hello.h"
#include "proto/hemi.pb-c.h"
#include "tests/unit/suite.h"

struct peer {
    int fd;
    struct frame_writer w;
    struct frame_reader r;
    hemi_client *client;
    hemi_store *store;
    uint32_t request; /* the last id that the client has used */
    struct hello hello;
    uint32_t store_id; /* what `store` is called; 0: 1, as the first of a process's first client is */
};

static inline void peer_put(struct peer *p, uint16_t type, uint32_t id, const ProtobufCMessage *body, const void *raw,
                            size_t n)
{
    struct frame_out f = {.type = type, .request = id, .body = body, .raw = raw, .raw_length = n};
    ck_assert_uint_ne(frame_writer_put(&p->w, &f), 0);
    while (frame_writer_pending(&p->w) > 0) ck_assert(frame_writer_send(&p->w, p->fd));
}

static inline void peer_welcome(struct peer *p, uint32_t requests)
{
    Hemi__V1__Welcome body = HEMI__V1__WELCOME__INIT;
    body.window_requests = requests;
    body.window_bytes = WINDOW_DEFAULT_BYTES;
    body.nested_requests = WINDOW_NESTED_REQUESTS;
    body.nested_bytes = WINDOW_NESTED_BYTES;
    peer_put(p, FRAME_WELCOME, 0, &body.base, NULL, 0);
}

static inline void peer_close(struct peer *p, hemi_status status, const char *text)
{
    uint8_t copy[64];
    Hemi__V1__Close body = HEMI__V1__CLOSE__INIT;
    body.status = status;
    body.text.len = strlen(text);
    memcpy(copy, text, strlen(text) + 1);
    body.text.data = copy;
    peer_put(p, FRAME_CLOSE, 0, &body.base, NULL, 0);
}

/* The answer to the next request. */
static inline void peer_reply(struct peer *p, Hemi__V1__Reply *body, const void *raw, size_t n)
{
    Hemi__V1__Reply ok = HEMI__V1__REPLY__INIT;
    peer_put(p, FRAME_REPLY, ++p->request, body ? &body->base : &ok.base, raw, n);
}
static inline void peer_ok(struct peer *p) { peer_reply(p, NULL, NULL, 0); }
static inline void peer_fail(struct peer *p, hemi_status status)
{
    Hemi__V1__Reply body = HEMI__V1__REPLY__INIT;
    body.status = status;
    peer_reply(p, &body, NULL, 0);
}

/* Both ends, nothing said yet. */
static inline int peer_init(struct peer *p)
{
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    memset(p, 0, sizeof *p);
    p->fd = pair[0];
    frame_writer_init(&p->w);
    frame_reader_init(&p->r, FRAME_C2W, FRAME_OPEN);
    return pair[1];
}

static inline void peer_read_hello(struct peer *p)
{
    uint8_t bytes[HELLO_MAX];
    size_t have = 0, need = 0;
    while (hello_read(bytes, have, &p->hello, &need) == PROTO_OK && have < need) {
        ssize_t n = read(p->fd, bytes + have, need - have);
        ck_assert_int_gt(n, 0);
        have += (size_t)n;
    }
    ck_assert_uint_eq(p->hello.major, PROTO_MAJOR);
}

/* A connected client. */
static inline void peer_open(struct peer *p)
{
    int fd = peer_init(p);
    peer_welcome(p, WINDOW_DEFAULT_REQUESTS);
    ck_assert_int_eq(hemi_connect_fd(fd, NULL, &p->client), HEMI_OK);
    peer_read_hello(p);
}

static inline void peer_deinit(struct peer *p)
{
    hemi_client_free(p->client);
    frame_writer_deinit(&p->w);
    frame_reader_deinit(&p->r);
    if (p->fd >= 0) close(p->fd);
}

/* The worker dies. */
static inline void peer_die(struct peer *p)
{
    close(p->fd);
    p->fd = -1;
}

/* Takes the next frame that the client sent; false when there is none. */
static inline bool peer_take(struct peer *p, struct frame *f)
{
    for (;;) {
        enum frame_next next = frame_reader_next(&p->r, f);
        ck_assert_msg(next != FRAME_FAILED, "the client sent what it must not: %s", proto_error_text(p->r.error));
        if (next == FRAME_READY) return true;
        if (!frame_reader_recv(&p->r, p->fd)) return false;
    }
}

/* Takes frames until one is of this type. */
static inline const ProtobufCMessage *peer_expect(struct peer *p, unsigned type, struct frame *f)
{
    do {
        ck_assert_msg(peer_take(p, f), "no %s", frame_type_name(type));
    } while (f->head.type != type);
    return f->body;
}

static inline void peer_store(struct peer *p)
{
    peer_ok(p);
    ck_assert_int_eq(hemi_store_new(p->client, NULL, &p->store, NULL), HEMI_OK);
}

/* Entry bytes of a function with these types. */
static inline size_t peer_func_entry(uint8_t *out, const hemi_type *params, unsigned nparams, const hemi_type *results,
                                     unsigned nresults)
{
    struct extern_entry e = {.kind = EXTERN_FUNC, .nparams = (uint16_t)nparams, .nresults = (uint16_t)nresults};
    uint8_t *types;
    size_t n = extern_entry_write(&e, out, &types);
    for (unsigned i = 0; i < nparams + nresults; i++)
        wire_put_u32(types + 4 * (size_t)i, i < nparams ? params[i] : results[i - nparams]);
    return n;
}

static inline hemi_instance *peer_instance(struct peer *p)
{
    hemi_module *module;
    hemi_instance *instance;
    peer_ok(p);
    ck_assert_int_eq(hemi_module_new(p->client, "x", 1, &module, NULL), HEMI_OK);
    peer_ok(p);
    ck_assert_int_eq(hemi_instance_new(p->store, module, NULL, 0, NULL, &instance, NULL), HEMI_OK);
    return instance;
}

static inline hemi_object *peer_export(struct peer *p, hemi_instance *instance, const void *entry, size_t n)
{
    hemi_object *object;
    Hemi__V1__Reply one = HEMI__V1__REPLY__INIT;
    one.value = 1;
    peer_reply(p, &one, entry, n);
    ck_assert_int_eq(hemi_export_get(instance, "f", &object, NULL), HEMI_OK);
    return object;
}

/* An exported function; makes the store and the instance for it. */
static inline hemi_object *peer_func(struct peer *p, const hemi_type *params, unsigned nparams,
                                     const hemi_type *results, unsigned nresults)
{
    uint8_t entry[256];
    if (!p->store) peer_store(p);
    return peer_export(p, peer_instance(p), entry, peer_func_entry(entry, params, nparams, results, nresults));
}

static inline void peer_host_call(struct peer *p, uint32_t id, uint64_t host, uint32_t request, const void *raw,
                                  size_t n)
{
    Hemi__V1__HostCall body = HEMI__V1__HOST_CALL__INIT;
    body.host = host;
    body.request = request;
    body.store = p->store_id ? p->store_id : 1;
    peer_put(p, FRAME_HOST_CALL, id, &body.base, raw, n);
}

static inline void peer_i32(uint8_t *raw, int32_t v) { wire_put_number(raw, &v, sizeof v); }

#endif
