/* proto/: frames, HELLO, values, entries, the window: round trips, every error of form, and mutations of lawful bytes.
 * HEMI_SEED chooses the random numbers; the seed is printed. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proto/externs.h"
#include "proto/hello.h"
#include "proto/hemi.pb-c.h"
#include "proto/trace.h"
#include "proto/window.h"
#include "tests/unit/lingerer.h"
#include "tests/unit/suite.h"

static uint64_t seed;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void choose_seed(void)
{
    const char *given = getenv("HEMI_SEED");
    seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u + (uint64_t)getpid();
    if (seed == 0) seed = 1;
    printf("proto_test: HEMI_SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
}

/* ---- helpers */
static void feed(struct frame_reader *r, const void *bytes, size_t n)
{
    const uint8_t *at = bytes;
    while (n > 0) {
        size_t room;
        uint8_t *to = frame_reader_room(r, &room);
        ck_assert_ptr_nonnull(to);
        if (room > n) room = n;
        memcpy(to, at, room);
        frame_reader_fed(r, room);
        at += room;
        n -= room;
    }
}

static enum proto_error error_of(enum frame_sender from, enum frame_state state, const void *bytes, size_t n)
{
    struct frame_reader r;
    struct frame f;
    frame_reader_init(&r, from, state);
    feed(&r, bytes, n);
    frame_reader_fed_end(&r);
    while (frame_reader_next(&r, &f) == FRAME_READY)
        if (f.fd >= 0) close(f.fd);
    enum proto_error e = r.error;
    frame_reader_deinit(&r);
    return e;
}

/* A PING of 5 bytes as it travels. */
static size_t ping(uint8_t *out)
{
    struct frame_header h = {.length = 5, .type = FRAME_PING, .request = 7};
    frame_header_write(&h, out);
    memcpy(out + FRAME_HEADER_BYTES, "hello", 5);
    return FRAME_HEADER_BYTES + 5;
}

static void put_call(struct frame_writer *w, uint32_t request, uint32_t func, const uint8_t *raw, size_t n)
{
    Hemi__V1__Call body = HEMI__V1__CALL__INIT;
    body.func = func;
    body.deadline_ms = 1000;
    struct frame_out f = {.type = FRAME_CALL, .request = request, .body = &body.base, .raw = raw, .raw_length = n};
    ck_assert_uint_eq(frame_writer_put(w, &f), frame_size(&f));
}

/* ---- frames */
START_TEST(frames_round_trip)
{
    struct frame_writer w;
    struct frame_reader r;
    struct frame f;
    uint8_t raw[48];
    frame_writer_init(&w);
    frame_reader_init(&r, FRAME_C2W, FRAME_OPEN);
    for (unsigned i = 0; i < sizeof raw; i++) raw[i] = (uint8_t)i;
    for (uint32_t i = 1; i <= 100; i++) put_call(&w, i, 1000 + i, raw, 16 * (i % 4));
    for (size_t at = 0, step = 1; at < frame_writer_pending(&w); at += step, step = 1 + step % 61) {
        size_t n = frame_writer_pending(&w) - at < step ? frame_writer_pending(&w) - at : step;
        feed(&r, w.buffer + w.begin + at, n);
    }
    for (uint32_t i = 1; i <= 100; i++) {
        ck_assert_int_eq(frame_reader_next(&r, &f), FRAME_READY);
        const Hemi__V1__Call *body = (const Hemi__V1__Call *)f.body;
        ck_assert_uint_eq(f.head.request, i);
        ck_assert_uint_eq(body->func, 1000 + i);
        ck_assert_uint_eq(body->deadline_ms, 1000);
        ck_assert_uint_eq(f.raw_length, 16 * (i % 4));
        ck_assert_int_eq(memcmp(f.raw, raw, f.raw_length), 0);
        ck_assert_int_eq(f.fd, -1);
    }
    ck_assert_int_eq(frame_reader_next(&r, &f), FRAME_NONE);
    frame_reader_fed_end(&r);
    ck_assert_int_eq(frame_reader_next(&r, &f), FRAME_FAILED);
    ck_assert_int_eq(r.error, PROTO_END);
    frame_reader_deinit(&r);
    frame_writer_deinit(&w);
}
END_TEST

START_TEST(largest_frame)
{
    struct frame_writer w;
    struct frame_reader r;
    struct frame f;
    uint8_t *raw;
    frame_writer_init(&w);
    frame_reader_init(&r, FRAME_C2W, FRAME_OPEN);
    Hemi__V1__MemoryWrite body = HEMI__V1__MEMORY_WRITE__INIT;
    body.memory = 1;
    struct frame_out out = {.type = FRAME_MEMORY_WRITE, .request = 1, .body = &body.base, .raw_length = FRAME_RAW_MAX};
    ck_assert_uint_ne(frame_writer_reserve(&w, &out, &raw), 0);
    memset(raw, 0x5A, FRAME_RAW_MAX);
    feed(&r, w.buffer, frame_writer_pending(&w));
    ck_assert_int_eq(frame_reader_next(&r, &f), FRAME_READY);
    ck_assert_uint_eq(f.raw_length, FRAME_RAW_MAX);
    ck_assert_uint_eq(f.raw[FRAME_RAW_MAX - 1], 0x5A);
    frame_reader_deinit(&r);
    frame_writer_deinit(&w);
}
END_TEST

/* One lawful frame, one byte of it changed (or one more appended): the error by name. */
START_TEST(errors_of_form)
{
    static const struct {
        unsigned at;
        uint8_t value;
        enum proto_error error;
    } cases[] = {
        {4, 99, PROTO_TYPE},
        {4, FRAME_REPLY, PROTO_SENDER},
        {6, FRAME_FLAG_FD, PROTO_FLAGS},
        {6, 4, PROTO_FLAGS},
        {7, 1, PROTO_FLAGS},
        {8, 0, PROTO_REQUEST_ID},
        {16, 6, PROTO_LENGTH},
        {16, 1, PROTO_BODY_CAP},
        {20, 1, PROTO_RESERVED},
        {23, 0x80, PROTO_RESERVED},
        {2, 0x20, PROTO_RAW_CAP},
        {3, 0xFF, PROTO_RAW_CAP},
        {0, 6, PROTO_TRUNCATED},
        {0, 4, PROTO_TRUNCATED},
        {4, FRAME_CANCEL, PROTO_RAW_CAP},
        {4, FRAME_STORE_GC, PROTO_RAW_CAP},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t bytes[64];
        size_t n = ping(bytes);
        ck_assert_int_eq(error_of(FRAME_C2W, FRAME_OPEN, bytes, n), PROTO_END);
        bytes[cases[i].at] = cases[i].value;
        ck_assert_msg(error_of(FRAME_C2W, FRAME_OPEN, bytes, n) == cases[i].error, "case %zu: %s", i,
                      proto_error_text(error_of(FRAME_C2W, FRAME_OPEN, bytes, n)));
    }
}
END_TEST

START_TEST(errors_of_state_and_parent)
{
    uint8_t bytes[FRAME_HEADER_BYTES];
    struct frame_header h = {.type = FRAME_INTERRUPT, .parent = 1};
    frame_header_write(&h, bytes);
    ck_assert_int_eq(error_of(FRAME_C2W, FRAME_OPEN, bytes, sizeof bytes), PROTO_PARENT);
    h = (struct frame_header){.type = FRAME_WELCOME};
    frame_header_write(&h, bytes);
    ck_assert_int_eq(error_of(FRAME_W2C, FRAME_OPEN, bytes, sizeof bytes), PROTO_STATE);
    ck_assert_int_eq(error_of(FRAME_W2C, FRAME_GREETING, bytes, sizeof bytes), PROTO_END);
    h = (struct frame_header){.type = FRAME_HOST_REPLY, .request = 1};
    frame_header_write(&h, bytes);
    ck_assert_int_eq(error_of(FRAME_C2W, FRAME_GREETING, bytes, sizeof bytes), PROTO_STATE);
    h = (struct frame_header){.type = FRAME_DROP, .request = 1};
    frame_header_write(&h, bytes);
    ck_assert_int_eq(error_of(FRAME_C2W, FRAME_OPEN, bytes, sizeof bytes), PROTO_REQUEST_ID);
}
END_TEST

static enum proto_error body_error(uint16_t type, const uint8_t *body, size_t n)
{
    uint8_t bytes[FRAME_HEADER_BYTES + FRAME_BODY_MAX];
    struct frame_header h = {.length = (uint32_t)n, .body_length = (uint32_t)n, .type = type, .request = 1};
    frame_header_write(&h, bytes);
    memcpy(bytes + FRAME_HEADER_BYTES, body, n);
    return error_of(type == FRAME_REPLY ? FRAME_W2C : FRAME_C2W, FRAME_OPEN, bytes, FRAME_HEADER_BYTES + n);
}

START_TEST(bodies_that_are_refused)
{
    static const uint8_t unknown[] = {0x70, 1}, cut[] = {0x08}, empty_field[] = {0x00, 1}, wrong_type[] = {0x0A, 1, 1};
    ck_assert_int_eq(body_error(FRAME_STORE_GC, unknown, sizeof unknown), PROTO_FIELD);
    ck_assert_int_eq(body_error(FRAME_STORE_GC, cut, sizeof cut), PROTO_BODY);
    ck_assert_int_ne(body_error(FRAME_STORE_GC, empty_field, sizeof empty_field), PROTO_END);
    ck_assert_int_ne(body_error(FRAME_STORE_GC, wrong_type, sizeof wrong_type), PROTO_END);
}
END_TEST

/* .arena: the worst that fits a body's cap costs the arena at most, and is refused. */
START_TEST(bodies_that_cost_memory)
{
    uint8_t flood[2048];
    for (size_t i = 0; i + 1 < sizeof flood; i += 2) { /* unknown fields, one after the other */
        flood[i] = 0x78;
        flood[i + 1] = 1;
    }
    enum proto_error e = body_error(FRAME_REPLY, flood, sizeof flood);
    ck_assert(e == PROTO_BODY || e == PROTO_FIELD);
    for (size_t i = 0; i + 1 < sizeof flood; i += 2) flood[i] = 0x08; /* the same scalar again and again */
    e = body_error(FRAME_REPLY, flood, sizeof flood);
    ck_assert(e == PROTO_BODY || e == PROTO_END);
    for (size_t i = 0; i + 1 < sizeof flood; i += 2) { /* the same empty text again and again */
        flood[i] = 0x42;
        flood[i + 1] = 0;
    }
    e = body_error(FRAME_REPLY, flood, sizeof flood);
    ck_assert(e == PROTO_BODY || e == PROTO_END);
}
END_TEST

/* The greatest lawful body of each type fits its cap and the arena. */
START_TEST(longest_texts)
{
    uint8_t text[PROTO_TEXT_MAX];
    memset(text, 'x', sizeof text);
    Hemi__V1__Reply reply = HEMI__V1__REPLY__INIT;
    reply.status = reply.trap = reply.failed_request = UINT32_MAX;
    reply.exit_code = INT32_MIN;
    reply.value = reply.offset_plus_1 = reply.function_plus_1 = UINT64_MAX;
    reply.values_unread = 1;
    reply.message = (ProtobufCBinaryData){.data = text, .len = sizeof text};
    struct frame_writer w;
    frame_writer_init(&w);
    struct frame_out out = {.type = FRAME_REPLY, .request = 1, .body = &reply.base};
    ck_assert_uint_ne(frame_writer_put(&w, &out), 0);
    ck_assert_int_eq(error_of(FRAME_W2C, FRAME_OPEN, w.buffer, frame_writer_pending(&w)), PROTO_END);
    frame_writer_deinit(&w);
}
END_TEST

/* Every row's greatest body, all fields at their longest, fits its cap. */
static size_t longest_body(const ProtobufCMessageDescriptor *d)
{
    size_t n = 0;
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        ck_assert_msg(f->type != PROTOBUF_C_TYPE_MESSAGE && f->label != PROTOBUF_C_LABEL_REPEATED, "%s is not flat",
                      d->name);
        switch (f->type) {
        case PROTOBUF_C_TYPE_UINT32:
        case PROTOBUF_C_TYPE_SINT32:
            n += 1 + 5;
            break;
        case PROTOBUF_C_TYPE_UINT64:
            n += 1 + 10;
            break;
        case PROTOBUF_C_TYPE_BOOL:
            n += 1 + 1;
            break;
        case PROTOBUF_C_TYPE_BYTES:
            n += 1 + 2 + PROTO_TEXT_MAX;
            break;
        default:
            ck_abort_msg("%s.%s: a type that no body has", d->name, f->name);
        }
        ck_assert_msg(f->id <= 15, "%s.%s: two bytes of tag", d->name, f->name);
    }
    return n;
}

START_TEST(caps_fit_bodies)
{
    size_t count;
    const struct frame_info *rows = frame_table(&count);
    for (size_t i = 0; i < count; i++) {
        size_t most = longest_body(rows[i].body);
        if (rows[i].type == FRAME_WELCOME) continue; /* its text is our own version */
        ck_assert_msg(most <= rows[i].body_max, "%s: %zu > %u", rows[i].name, most, rows[i].body_max);
        ck_assert_ptr_eq(frame_info(rows[i].type), &rows[i]);
        for (size_t j = 0; j < i; j++) ck_assert_uint_ne(rows[i].type, rows[j].type);
    }
    ck_assert_ptr_null(frame_info(0));
    ck_assert_ptr_null(frame_info(65535));
}
END_TEST

/* Lawful frames of every type, mutated: the reader says something sensible, reads nothing else, and loses no memory
 * (the sanitize build looks). */
static size_t sample(uint8_t *out, const struct frame_info *row)
{
    size_t body = 0, raw = next_random() % (row->raw_max < 64 ? row->raw_max + 1 : 64);
    uint8_t *at = out + FRAME_HEADER_BYTES;
    for (unsigned i = 0; i < row->body->n_fields && body + 12 < row->body_max; i++) {
        if (row->body->fields[i].type == PROTOBUF_C_TYPE_BYTES) continue;
        at[body++] = (uint8_t)(row->body->fields[i].id << 3);
        at[body++] = (uint8_t)(next_random() & 0x7F);
    }
    struct frame_header h = {.length = (uint32_t)(body + raw),
                             .body_length = (uint32_t)body,
                             .type = row->type,
                             .request = row->answer != FRAME_ONEWAY};
    frame_header_write(&h, out);
    for (size_t i = 0; i < raw; i++) at[body + i] = (uint8_t)next_random();
    return FRAME_HEADER_BYTES + body + raw;
}

static void mutate(uint8_t *bytes, size_t *n, size_t room)
{
    switch (next_random() % 4) {
    case 0:
        bytes[next_random() % *n] ^= (uint8_t)(1u << next_random() % 8);
        break;
    case 1:
        bytes[next_random() % *n] = (uint8_t)next_random();
        break;
    case 2:
        *n = next_random() % (*n + 1);
        break;
    default:
        if (*n < room) bytes[(*n)++] = (uint8_t)next_random();
    }
}

START_TEST(mutated_frames)
{
    size_t count, accepted = 0;
    const struct frame_info *rows = frame_table(&count);
    choose_seed();
    for (unsigned round = 0; round < 20000; round++) {
        const struct frame_info *row = &rows[round % count];
        uint8_t bytes[1024];
        size_t n = sample(bytes, row);
        enum frame_sender from = row->sender == FRAME_W2C ? FRAME_W2C : FRAME_C2W;
        enum frame_state state = row->states & FRAME_OPEN ? FRAME_OPEN : FRAME_GREETING;
        ck_assert_msg(error_of(from, state, bytes, n) == PROTO_END, "%s", row->name);
        for (unsigned i = next_random() % 4; i-- > 0 && n > 0;) mutate(bytes, &n, sizeof bytes);
        accepted += error_of(from, state, bytes, n) == PROTO_END;
    }
    ck_assert_uint_gt(accepted, 0);
}
END_TEST

/* ---- descriptors */
/* Whatever is queued before it, and after a large queue has been sent, the last frame needs no memory. */
START_TEST(what_is_kept_has_room_for_the_last_frame)
{
    enum { KEPT = 600 };
    static uint8_t large[1 << 20], text[500];
    struct frame_writer w;
    int fds[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    frame_writer_init(&w);
    ck_assert(frame_writer_keep(&w, KEPT));
    ck_assert(frame_writer_bytes(&w, large, sizeof large));
    while (frame_writer_pending(&w) > 0) {
        frame_writer_send(&w, fds[0]);
        while (recv(fds[1], large, sizeof large, MSG_DONTWAIT) > 0) continue;
    }
    ck_assert_uint_ge(w.capacity, KEPT);
    ck_assert_uint_lt(w.capacity, sizeof large);
    for (int i = 0; i < 100 || w.capacity - w.end > KEPT; i++) {
        ck_assert(frame_writer_bytes(&w, "x", 1));
        ck_assert_uint_ge(w.capacity - w.end, KEPT);
    }
    Hemi__V1__Close body = HEMI__V1__CLOSE__INIT;
    body.text = (ProtobufCBinaryData){sizeof text, text};
    size_t capacity = w.capacity;
    w.error = PROTO_NO_MEMORY;
    ck_assert_uint_gt(frame_writer_put_last(&w, &(struct frame_out){.type = FRAME_CLOSE, .body = &body.base, .fd = -1}),
                      sizeof text);
    ck_assert_uint_eq(w.capacity, capacity);
    ck_assert_int_eq(w.error, PROTO_OK);
    frame_writer_deinit(&w);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

static int dev_null(void)
{
    int pair[2];
    ck_assert_int_eq(pipe(pair), 0);
    close(pair[1]);
    return pair[0];
}

static bool is_open(int fd) { return write(fd, "", 0) != -1 || read(fd, &(char){0}, 0) != -1; }

static void put_module(struct frame_writer *w, uint32_t request, int fd)
{
    Hemi__V1__ModuleNew body = HEMI__V1__MODULE_NEW__INIT;
    body.module = request;
    struct frame_out f = {
        .type = FRAME_MODULE_NEW, .flags = FRAME_FLAG_FD, .request = request, .body = &body.base, .fd = fd};
    ck_assert_uint_ne(frame_writer_put(w, &f), 0);
}

START_TEST(descriptors_travel_with_their_frames)
{
    int pair[2];
    struct frame_writer w;
    struct frame_reader r;
    struct frame f;
    unsigned modules = 0, calls = 0;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    frame_writer_init(&w);
    frame_reader_init(&r, FRAME_C2W, FRAME_OPEN);
    for (uint32_t i = 1; i <= 20; i++) {
        put_call(&w, 2 * i, 1, NULL, 0);
        put_module(&w, 2 * i + 1, dev_null());
    }
    while (frame_writer_pending(&w) > 0) ck_assert(frame_writer_send(&w, pair[0]));
    while (calls + modules < 40) {
        ck_assert(frame_reader_recv(&r, pair[1]));
        enum frame_next next;
        while ((next = frame_reader_next(&r, &f)) == FRAME_READY) {
            ck_assert_int_eq(f.fd >= 0, f.head.type == FRAME_MODULE_NEW);
            if (f.fd >= 0) close(f.fd);
            *(f.fd >= 0 ? &modules : &calls) += 1;
        }
        ck_assert_int_eq(next, FRAME_NONE);
    }
    frame_reader_deinit(&r);
    frame_writer_deinit(&w);
    close(pair[0]);
    close(pair[1]);
}
END_TEST

START_TEST(descriptors_nobody_asked_for)
{
    uint8_t bytes[64];
    struct frame_reader r;
    struct frame f;
    int fd = dev_null();
    size_t room, n = ping(bytes);
    frame_reader_init(&r, FRAME_C2W, FRAME_OPEN);
    memcpy(frame_reader_room(&r, &room), bytes, n);
    frame_reader_fed_fd(&r, fd);
    frame_reader_fed(&r, n);
    ck_assert_int_eq(frame_reader_next(&r, &f), FRAME_READY);
    ck_assert_int_eq(frame_reader_next(&r, &f), FRAME_FAILED);
    ck_assert_int_eq(r.error, PROTO_FD_UNEXPECTED);
    ck_assert(!is_open(fd));
    frame_reader_deinit(&r);
}
END_TEST

/* Lets the process open no further descriptor. */
static struct rlimit fill_table(void)
{
    struct rlimit was, full;
    int next = dev_null();
    close(next);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
    full = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = was.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &full), 0);
    return was;
}

/* A full table lost a descriptor, and the connection ended for it. */
START_TEST(a_lost_descriptor_is_its_frames_alone)
{
    int pair[2];
    uint8_t bytes[64];
    struct frame_writer w;
    struct frame_reader r;
    struct frame f;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    frame_writer_init(&w);
    frame_reader_init(&r, FRAME_C2W, FRAME_OPEN);
    ck_assert(frame_writer_bytes(&w, bytes, ping(bytes)));
    for (uint32_t id = 1; id <= 3; id++) put_module(&w, id, dev_null());
    ck_assert(frame_writer_bytes(&w, bytes, ping(bytes)));
    while (frame_writer_pending(&w) > 0) ck_assert(frame_writer_send(&w, pair[0]));
    struct rlimit was = fill_table();
    unsigned lost = 0, frames = 0;
    while (frames < 5) {
        ck_assert(frame_reader_recv(&r, pair[1]));
        while (frame_reader_next(&r, &f) == FRAME_READY) {
            ck_assert_int_eq(f.fd, f.head.type == FRAME_MODULE_NEW ? FRAME_FD_LOST : -1);
            lost += f.fd == FRAME_FD_LOST;
            frames++;
        }
        ck_assert_int_eq(r.error, PROTO_OK);
    }
    ck_assert_uint_eq(lost, 3);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
    put_module(&w, 4, dev_null());
    ck_assert(frame_writer_send(&w, pair[0]));
    ck_assert(frame_reader_recv(&r, pair[1]));
    ck_assert_int_eq(frame_reader_next(&r, &f), FRAME_READY);
    ck_assert_int_ge(f.fd, 0);
    close(f.fd);
    frame_reader_deinit(&r);
    frame_writer_deinit(&w);
    close(pair[0]);
    close(pair[1]);
}
END_TEST

/* A peer that never ends its frame cannot leave more than that frame's own. */
START_TEST(descriptors_do_not_wait_for_a_frame_that_has_not_begun)
{
    struct frame_header h = {.type = FRAME_MODULE_NEW, .request = 1, .flags = FRAME_FLAG_FD, .length = 100};
    uint8_t bytes[FRAME_HEADER_BYTES];
    struct frame_reader r;
    struct frame f;
    size_t room;
    frame_header_write(&h, bytes);
    frame_reader_init(&r, FRAME_C2W, FRAME_OPEN);
    int own = dev_null(), other = dev_null();
    for (int i = 0; i < 2; i++) {
        memcpy(frame_reader_room(&r, &room), bytes + 10 * i, 10);
        frame_reader_fed_fd(&r, i == 0 ? own : other);
        frame_reader_fed(&r, 10);
        ck_assert_int_eq(frame_reader_next(&r, &f), i == 0 ? FRAME_NONE : FRAME_FAILED);
    }
    ck_assert_int_eq(r.error, PROTO_FD_UNEXPECTED);
    ck_assert(!is_open(own) && !is_open(other));
    frame_reader_deinit(&r);
}
END_TEST

START_TEST(descriptors_that_do_not_come)
{
    struct frame_header h = {.type = FRAME_MODULE_NEW, .request = 1, .flags = FRAME_FLAG_FD};
    uint8_t bytes[FRAME_HEADER_BYTES];
    frame_header_write(&h, bytes);
    ck_assert_int_eq(error_of(FRAME_C2W, FRAME_OPEN, bytes, sizeof bytes), PROTO_FD_MISSING);
}
END_TEST

/* A peer that dies with bytes unread resets the connection: that read brings nothing, least of all a descriptor that
 * the read before it left on the stack. */
START_TEST(a_reset_brings_no_descriptors)
{
    int pair[2];
    struct frame_writer w;
    struct frame_reader r;
    struct frame f;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    frame_writer_init(&w);
    frame_reader_init(&r, FRAME_C2W, FRAME_OPEN);
    put_module(&w, 1, dev_null());
    ck_assert(frame_writer_send(&w, pair[0]));
    ck_assert_int_eq(write(pair[1], "x", 1), 1);
    close(pair[0]);
    for (int i = 0; i < 3 && !r.ended; i++) ck_assert(frame_reader_recv(&r, pair[1]));
    ck_assert(r.ended);
    ck_assert_uint_eq(r.nfds, 1);
    ck_assert_int_eq(frame_reader_next(&r, &f), FRAME_READY);
    close(f.fd);
    ck_assert_int_eq(frame_reader_next(&r, &f), FRAME_FAILED);
    ck_assert_int_eq(r.error, PROTO_END);
    frame_reader_deinit(&r);
    frame_writer_deinit(&w);
    close(pair[1]);
}
END_TEST

/* Eight come, the table has room for three. */
START_TEST(descriptors_cut_off)
{
    int pair[2], fds[8];
    struct rlimit before;
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof fds)];
    } control = {0};
    uint8_t bytes[64];
    struct iovec io = {.iov_base = bytes, .iov_len = ping(bytes)};
    struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    struct frame_reader r;
    struct frame f;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    for (int i = 0; i < 8; i++) fds[i] = dev_null();
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fds);
    memcpy(CMSG_DATA(c), fds, sizeof fds);
    ck_assert_int_gt(sendmsg(pair[0], &m, 0), 0);
    int first_free = dup(pair[0]);
    close(first_free);
    frame_reader_init(&r, FRAME_C2W, FRAME_OPEN);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)first_free + 3, before.rlim_max});
    bool came = frame_reader_recv(&r, pair[1]);
    setrlimit(RLIMIT_NOFILE, &before);
    ck_assert(came);
    ck_assert_int_eq(frame_reader_next(&r, &f), FRAME_FAILED);
    ck_assert_int_eq(r.error, PROTO_FD_TRUNCATED);
    ck_assert_msg(!is_open(first_free), "what came was closed");
    frame_reader_deinit(&r);
}
END_TEST

/* ---- HELLO */
START_TEST(hello_round_trip)
{
    struct hello in = {.major = 1, .minor = 3, .token_length = 256, .window_requests = 9, .window_bytes = 10}, out;
    uint8_t bytes[HELLO_MAX];
    size_t need;
    memset(in.token, 't', sizeof in.token);
    size_t n = hello_write(&in, bytes);
    ck_assert_uint_eq(n, HELLO_MAX);
    for (size_t have = 0; have < n; have++) {
        ck_assert_int_eq(hello_read(bytes, have, &out, &need), PROTO_OK);
        ck_assert_uint_eq(need, have < HELLO_FIXED_BYTES ? HELLO_FIXED_BYTES : HELLO_MAX);
    }
    ck_assert_int_eq(hello_read(bytes, n, &out, &need), PROTO_OK);
    ck_assert_uint_eq(need, n);
    ck_assert_uint_eq(out.minor, 3);
    ck_assert_uint_eq(out.window_requests, 9);
    ck_assert_uint_eq(out.window_bytes, 10);
    ck_assert_int_eq(memcmp(out.token, in.token, 256), 0);
}
END_TEST

START_TEST(hello_refused)
{
    static const struct {
        unsigned at;
        uint8_t value;
        enum proto_error error;
    } cases[] = {{0, 'h', PROTO_HELLO}, {4, 33, PROTO_HELLO},    {6, 2, PROTO_VERSION},  {10, 1, PROTO_HELLO},
                 {11, 2, PROTO_HELLO},  {20, 1, PROTO_RESERVED}, {31, 1, PROTO_RESERVED}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct hello h = {.major = PROTO_MAJOR}, out;
        uint8_t bytes[HELLO_MAX];
        size_t need, n = hello_write(&h, bytes);
        bytes[cases[i].at] = cases[i].value;
        ck_assert_int_eq(hello_read(bytes, n, &out, &need), cases[i].error);
    }
    struct hello out;
    size_t need;
    ck_assert_int_eq(hello_read((const uint8_t *)"GET ", 4, &out, &need), PROTO_HELLO);
}
END_TEST

/* ---- values */
START_TEST(numbers)
{
    uint8_t wire[WIRE_VALUE_BYTES];
    double d = -1.5, e;
    wire_put_number(wire, &d, sizeof d);
    ck_assert_int_eq(wire_get_number(wire, &e, sizeof e), PROTO_OK);
    ck_assert_double_eq(d, e);
    uint32_t x;
    ck_assert_int_eq(wire_get_number(wire, &x, sizeof x), PROTO_VALUE);
}
END_TEST

START_TEST(references)
{
    static const struct {
        struct wire_reference ref;
        enum frame_sender from;
        enum proto_error error;
    } cases[] = {
        {{WIRE_NULL, WIRE_CLASS_FUNC, 0, 0}, FRAME_C2W, PROTO_OK},
        {{WIRE_HANDLE, WIRE_CLASS_ANY, 5, 0}, FRAME_C2W, PROTO_OK},
        {{WIRE_I31, WIRE_CLASS_ANY, 0, 0x7FFFFFFF}, FRAME_C2W, PROTO_OK},
        {{WIRE_EXTERN, WIRE_CLASS_EXTERN, 0, UINT64_MAX}, FRAME_C2W, PROTO_OK},
        {{WIRE_EXTERN, WIRE_CLASS_EXTERN, 9, 3}, FRAME_W2C, PROTO_OK},
        {{WIRE_NULL, WIRE_CLASS_ANY, 9, 0}, FRAME_W2C, PROTO_OK},
        {{WIRE_NULL, WIRE_CLASS_ANY, 9, 0}, FRAME_C2W, PROTO_VALUE},
        {{WIRE_NULL, WIRE_CLASS_ANY, 0, 1}, FRAME_C2W, PROTO_VALUE},
        {{WIRE_HANDLE, WIRE_CLASS_ANY, 0, 0}, FRAME_C2W, PROTO_VALUE},
        {{WIRE_I31, WIRE_CLASS_ANY, 0, 0x80000000}, FRAME_C2W, PROTO_VALUE},
        {{WIRE_EXTERN, WIRE_CLASS_EXTERN, 9, 3}, FRAME_C2W, PROTO_VALUE},
        {{WIRE_EXTERN, WIRE_CLASS_FUNC, 0, 3}, FRAME_C2W, PROTO_VALUE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t wire[WIRE_VALUE_BYTES];
        struct wire_reference out;
        wire_put_reference(wire, &cases[i].ref);
        ck_assert_msg(wire_get_reference(wire, cases[i].from, &out) == cases[i].error, "case %zu", i);
        if (cases[i].error != PROTO_OK) continue;
        ck_assert_uint_eq(out.handle, cases[i].ref.handle);
        ck_assert_uint_eq(out.payload, cases[i].ref.payload);
    }
    uint8_t bad[WIRE_VALUE_BYTES] = {4};
    struct wire_reference out;
    ck_assert_int_eq(wire_get_reference(bad, FRAME_C2W, &out), PROTO_VALUE);
    bad[0] = 0, bad[2] = 1;
    ck_assert_int_eq(wire_get_reference(bad, FRAME_C2W, &out), PROTO_VALUE);
}
END_TEST

START_TEST(wire_types)
{
    static const uint32_t good[] = {VT_I32,
                                    VT_V128,
                                    VT_REF(1, 7u) | 0x20u,
                                    VT_REF(0, HT_ANY),
                                    VT_REF(1, HT_FUNC) | 0x20u,
                                    VT_REF(1, HT_NOEXTERN) | 0x40u};
    static const uint32_t bad[] = {VT_BOT,
                                   VT_I8,
                                   VT_I32 | 16u,
                                   VT_I32 | 0x100u,
                                   VT_REF(1, HT_FUNC),
                                   VT_REF(1, 7u) | 0x80u,
                                   9u,
                                   VT_REF(1, 0xFFFF01u)};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ck_assert_msg(wire_type_check(good[i]) == PROTO_OK, "good %zu", i);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(wire_type_check(bad[i]) == PROTO_VALUE, "bad %zu", i);
    ck_assert_uint_eq(wire_type_valtype(wire_type(VT_REF(1, HT_EXN), WIRE_CLASS_EXN)), VT_REF(1, HT_EXN));
}
END_TEST

START_TEST(entries)
{
    uint8_t types[8], bytes[256];
    wire_put_u32(types, VT_I32);
    wire_put_u32(types + 4, wire_type(VT_REF(1, HT_ANY), WIRE_CLASS_ANY));
    struct extern_entry in = {.kind = EXTERN_FUNC,
                              .module_length = 3,
                              .name_length = 4,
                              .nparams = 1,
                              .nresults = 1,
                              .module = (const uint8_t *)"env",
                              .name = (const uint8_t *)"na\0e",
                              .types = types},
                        out;
    size_t n = extern_entry_write(&in, bytes, NULL), used;
    ck_assert_uint_eq(n, 32 + 3 + 4 + 8);
    ck_assert_int_eq(extern_entry_read(bytes, n + 9, &out, &used), PROTO_OK);
    ck_assert_uint_eq(used, n);
    ck_assert_int_eq(memcmp(out.name, "na\0e", 4), 0);
    ck_assert_uint_eq(extern_type(&out, 1), wire_get_u32(types + 4));
    for (size_t cut = 0; cut < n; cut++) ck_assert_int_eq(extern_entry_read(bytes, cut, &out, &used), PROTO_RAW);
    choose_seed();
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t copy[256];
        size_t length = n;
        memcpy(copy, bytes, n);
        for (unsigned i = next_random() % 4; i-- > 0 && length > 0;) mutate(copy, &length, n);
        if (extern_entry_read(copy, length, &out, &used) == PROTO_OK) ck_assert_uint_le(used, length);
    }
}
END_TEST

START_TEST(trace_records)
{
    uint8_t bytes[128];
    struct trace_record in = {.kind = TRACE_FUNC,
                              .module_length = 3,
                              .name_length = 4,
                              .instance = 7,
                              .index = 8,
                              .offset = 1ull << 40,
                              .module = (const uint8_t *)"mod",
                              .name = (const uint8_t *)"na\0e"},
                        out;
    size_t n = (size_t)(trace_record_write(&in, bytes) - bytes);
    ck_assert_uint_eq(n, trace_record_size(&in));
    ck_assert_int_eq(trace_record_read(bytes, sizeof bytes, &out), PROTO_OK);
    ck_assert_uint_eq(out.instance, 7);
    ck_assert_uint_eq(out.index, 8);
    ck_assert_uint_eq(out.offset, 1ull << 40);
    ck_assert_int_eq(memcmp(out.module, "mod", 3), 0);
    ck_assert_int_eq(memcmp(out.name, "na\0e", 4), 0);
    for (size_t cut = 0; cut < n; cut++) ck_assert_int_eq(trace_record_read(bytes, cut, &out), PROTO_RAW);
    bytes[0] = TRACE_MORE + 1;
    ck_assert_int_eq(trace_record_read(bytes, n, &out), PROTO_RAW);
    bytes[0] = TRACE_MORE;
    ck_assert_int_eq(trace_record_read(bytes, n, &out), PROTO_OK);
    for (size_t at = 1; at < 8; at++) { /* reserved bytes */
        if (at >= 2 && at < 6) continue;
        bytes[at] = 1;
        ck_assert_int_eq(trace_record_read(bytes, n, &out), PROTO_RAW);
        bytes[at] = 0;
    }
}
END_TEST

/* ---- the window */
START_TEST(window_counts)
{
    struct window w = {.requests_max = 2, .bytes_max = 100};
    ck_assert(window_take(&w, 60));
    ck_assert(!window_take(&w, 41));
    ck_assert(window_take(&w, 40));
    ck_assert(!window_fits(&w, 0));
    window_give(&w, 60);
    ck_assert(window_take(&w, 60));
    window_give(&w, 60);
    window_give(&w, 40);
    ck_assert_uint_eq(w.requests, 0);
    ck_assert_uint_eq(w.bytes, 0);
}
END_TEST

/* A lingering connection that waits for its peer, passed to a reader that wants no descriptor, too few of them or none
 * any more: nobody stands still for the hour. */
START_TEST(descriptors_that_linger_are_closed_at_once)
{
    int pair[2], peer, lingerer = make_lingerer(&peer);
    uint8_t bytes[64];
    struct frame_reader r;
    if (lingerer < 0) {
        printf("SKIPPED: no TCP here\n");
        return;
    }
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    frame_reader_init(&r, FRAME_C2W, FRAME_OPEN);
    size_t len = ping(bytes);
    ck_assert(say_with(pair[0], bytes, _i == 0 ? len : 5, lingerer, _i == 0 ? PASSED_MAX : 1));
    close(lingerer);
    if (_i < 2) ck_assert(frame_reader_recv(&r, pair[1]));
    ck_assert_int_eq(r.error, _i == 0 ? PROTO_FD_UNEXPECTED : PROTO_OK);
    frame_reader_deinit(&r);
    frame_fds_discard(pair[1]);
    close(pair[1]);
    close(pair[0]);
    close(peer);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("proto");
    TCase *c = tcase_create("proto");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, frames_round_trip);
    tcase_add_test(c, largest_frame);
    tcase_add_test(c, errors_of_form);
    tcase_add_test(c, errors_of_state_and_parent);
    tcase_add_test(c, bodies_that_are_refused);
    tcase_add_test(c, bodies_that_cost_memory);
    tcase_add_test(c, longest_texts);
    tcase_add_test(c, caps_fit_bodies);
    tcase_add_test(c, mutated_frames);
    tcase_add_test(c, what_is_kept_has_room_for_the_last_frame);
    tcase_add_test(c, descriptors_travel_with_their_frames);
    tcase_add_test(c, descriptors_nobody_asked_for);
    tcase_add_test(c, descriptors_that_do_not_come);
    tcase_add_test(c, a_lost_descriptor_is_its_frames_alone);
    tcase_add_test(c, descriptors_do_not_wait_for_a_frame_that_has_not_begun);
    tcase_add_test(c, a_reset_brings_no_descriptors);
    tcase_add_test(c, descriptors_cut_off);
    tcase_add_loop_test(c, descriptors_that_linger_are_closed_at_once, 0, 3);
    tcase_add_test(c, hello_round_trip);
    tcase_add_test(c, hello_refused);
    tcase_add_test(c, numbers);
    tcase_add_test(c, references);
    tcase_add_test(c, wire_types);
    tcase_add_test(c, entries);
    tcase_add_test(c, trace_records);
    tcase_add_test(c, window_counts);
    suite_add_tcase(s, c);
    return run_suite(s);
}
