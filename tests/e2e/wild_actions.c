/* tests/e2e/wild_actions.c -- what wild clients do to connections and with modules (wild_actions.h), and the lives that
 * are made of actions. */
#include "tests/e2e/wild_actions.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/hemi.pb-c.h"
#include "tests/e2e/support.h"

/* ---- making frames */

struct wild_asked wild_in_store(struct wild *c, uint32_t store)
{
    struct wild_asked a = {.store = store};
    if (c->ncalls > 0 && c->mood == WILD_NESTS)
        a.parent = c->calls[c->ncalls - 1].id;
    else if (c->ncalls > 0 && wild_draw(c, 3) == 0)
        a.parent = c->calls[wild_draw(c, c->ncalls)].id;
    return a;
}

bool wild_request(struct wild *c, unsigned type, const void *body, const void *raw, size_t n, struct wild_asked a)
{
    return wild_ask(c, type, 0, body, raw, n, -1, &a) != 0;
}

bool wild_make(struct wild *c, unsigned type, const void *body, uint32_t *field, const void *raw, size_t n,
               struct wild_asked a, enum wild_kind kind, unsigned sort)
{
    struct wild_thing *t = wild_add(c, 0, kind, sort, a.store);
    if (!t) return false;
    *field = a.makes = t->handle;
    t->maker = wild_ask(c, type, 0, body, raw, n, -1, &a);
    if (t->maker) return true;
    wild_remove(c, t);
    return false;
}

uint32_t wild_some_deadline(struct wild *c) { return wild_draw(c, 12) ? 0 : 1 + wild_draw(c, 50); }

void wild_put_extern(struct wild *c, uint8_t *raw, struct wild_asked *a)
{
    struct wire_reference ref = {.kind = WIRE_NULL, .class_ = WIRE_CLASS_EXTERN};
    if (a->store && wild_draw(c, 2)) {
        ref.kind = WIRE_EXTERN;
        ref.payload = a->extern_id = 1 + wild_draw(c, WILD_EXTERNS - 1);
    }
    wire_put_reference(raw, &ref);
}

void wild_sent_extern(struct wild *c, const struct wild_asked *a)
{
    if (a->extern_id && wild_store_of(c, a->store)) wild_store_of(c, a->store)->sent[a->extern_id]++;
}

/* ---- the connection */

bool wild_act_ping(struct wild *c)
{
    static uint8_t raw[60000];
    struct wild_asked a = wild_in_store(c, 0);
    size_t n = wild_draw(c, 20) ? wild_draw(c, 200) : wild_draw(c, sizeof raw);
    a.check = WILD_CHECK_BYTES;
    a.length = (uint32_t)n;
    a.expected = wild_draw(c, 1000);
    for (size_t i = 0; i < n; i++) raw[i] = wild_pattern(a.expected, i);
    return wild_request(c, FRAME_PING, NULL, raw, n, a);
}

bool wild_act_info(struct wild *c) { return wild_request(c, FRAME_INFO, NULL, NULL, 0, wild_in_store(c, 0)); }

void wild_cancel(struct wild *c, uint32_t id)
{
    Hemi__V1__Cancel body = HEMI__V1__CANCEL__INIT;
    body.request = id;
    wild_tell(c, FRAME_CANCEL, 0, &body, NULL, 0);
}

bool wild_act_cancel(struct wild *c)
{
    if (c->nasked == 0) return false;
    wild_cancel(c, c->asked[wild_draw(c, c->nasked)].id);
    return true;
}

bool wild_act_cancel_flood(struct wild *c)
{
    if (wild_draw(c, 4)) return false;
    for (int i = 0; i < 200; i++) wild_cancel(c, c->next_id + 1000 - wild_draw(c, 1010));
    return true;
}

bool wild_act_interrupt(struct wild *c)
{
    if (wild_draw(c, 4)) return false;
    for (unsigned n = 1 + wild_draw(c, 3); n > 0; n--) wild_tell(c, FRAME_INTERRUPT, 0, NULL, NULL, 0);
    return true;
}

/* ---- modules */

static bool upload(struct wild *c, enum wild_guest guest, int fd)
{
    Hemi__V1__ModuleNew body = HEMI__V1__MODULE_NEW__INIT;
    const struct wild_module *m = &wild_modules[guest];
    struct wild_thing *t = wild_add(c, 0, WILD_MODULE, guest, 0);
    struct wild_asked a = {0};
    if (!t) {
        if (fd >= 0) close(fd);
        return false;
    }
    body.module = a.makes = t->handle;
    body.total = m->size;
    t->maker = fd >= 0 ? wild_ask(c, FRAME_MODULE_NEW, FRAME_FLAG_FD, &body, NULL, 0, fd, &a)
                       : wild_ask(c, FRAME_MODULE_NEW, 0, &body, m->bytes, m->size, -1, &a);
    if (t->maker) return true;
    wild_remove(c, t);
    return false;
}

static enum wild_guest some_guest(struct wild *c)
{
    static const uint8_t guests[] = {WILD_GUEST_MAIN, WILD_GUEST_MAIN, WILD_GUEST_MAIN,   WILD_GUEST_MAIN,
                                     WILD_GUEST_WASI, WILD_GUEST_WASI, WILD_GUEST_FAILING};
    return guests[wild_draw(c, sizeof guests)];
}

bool wild_act_module(struct wild *c) { return upload(c, some_guest(c), -1); }

static int sealed(enum wild_guest guest)
{
    const struct wild_module *m = &wild_modules[guest];
    int fd = memfd_create("module", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || write(fd, m->bytes, m->size) != (ssize_t)m->size) return fd;
    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    return fd;
}

bool wild_act_module_by_memfd(struct wild *c)
{
    if (!c->welcome) return false; /* none may be sent before it */
    enum wild_guest guest = some_guest(c);
    int fd = sealed(guest);
    return fd >= 0 && upload(c, guest, fd);
}

/* Many on their way at once. */
bool wild_act_memfds(struct wild *c)
{
    if (wild_draw(c, 8)) return false;
    unsigned n = 1 + wild_draw(c, 40);
    while (n > 0 && wild_act_module_by_memfd(c)) n--;
    return true;
}

/* Perhaps never finished. */
bool wild_act_module_in_chunks(struct wild *c)
{
    const struct wild_module *m = &wild_modules[WILD_GUEST_PADDED];
    Hemi__V1__ModuleData data = HEMI__V1__MODULE_DATA__INIT;
    Hemi__V1__ModuleNew last = HEMI__V1__MODULE_NEW__INIT;
    struct wild_thing *t = wild_add(c, 0, WILD_MODULE, WILD_GUEST_PADDED, 0);
    struct wild_asked a = {0};
    size_t chunk = m->size / (2 + wild_draw(c, 3)), at = 0;
    if (!t) return false;
    data.module = last.module = a.makes = t->handle;
    data.total = last.total = m->size;
    bool whole = wild_draw(c, 5) > 0;
    for (; at + chunk < m->size; at += chunk) {
        data.offset = at;
        uint32_t id = wild_ask(c, FRAME_MODULE_DATA, 0, &data, m->bytes + at, chunk, -1, &a);
        if (id == 0) break;
        t->maker = id;
    }
    if (t->maker == 0) {
        wild_remove(c, t);
        return false;
    }
    whole = whole && at + chunk >= m->size &&
            wild_ask(c, FRAME_MODULE_NEW, 0, &last, m->bytes + at, m->size - at, -1, &a) != 0;
    if (!whole) t->kind = WILD_SPENT;
    return true;
}

bool wild_act_bad_module(struct wild *c)
{
    Hemi__V1__ModuleNew body = HEMI__V1__MODULE_NEW__INIT;
    const struct wild_module *m = &wild_modules[WILD_GUEST_MAIN];
    uint8_t bytes[4096];
    size_t n = m->size < sizeof bytes ? m->size : sizeof bytes;
    memcpy(bytes, m->bytes, n);
    for (unsigned i = 0; i < 3; i++) bytes[8 + wild_draw(c, (uint32_t)n - 8)] = (uint8_t)wild_draw(c, 256);
    body.total = n;
    return wild_make(c, FRAME_MODULE_NEW, &body, &body.module, bytes, n, wild_in_store(c, 0), WILD_MODULE,
                     WILD_GUEST_PADDED);
}

bool wild_act_describe(struct wild *c)
{
    Hemi__V1__ModuleDescribe body = HEMI__V1__MODULE_DESCRIBE__INIT;
    struct wild_thing *t = wild_pick(c, WILD_MODULE, -1);
    if (!t) return false;
    body.module = t->handle;
    body.what = wild_draw(c, 2);
    return wild_request(c, FRAME_MODULE_DESCRIBE, &body, NULL, 0, wild_in_store(c, 0));
}

bool wild_act_code(struct wild *c)
{
    Hemi__V1__ModuleCode body = HEMI__V1__MODULE_CODE__INIT;
    struct wild_thing *t = wild_pick(c, WILD_MODULE, -1);
    if (!t) return false;
    body.module = t->handle;
    body.function = wild_draw(c, 4);
    return wild_request(c, FRAME_MODULE_CODE, &body, NULL, 0, wild_in_store(c, 0));
}

/* ---- host calls; manners */

static bool holds_back(struct wild *c)
{
    return (c->mood == WILD_HOARDS || c->mood == WILD_NESTS) && wild_draw(c, 40) > 0;
}

bool wild_act_answer(struct wild *c)
{
    if (c->ncalls == 0 || holds_back(c)) return false;
    wild_answer(c, wild_draw(c, c->ncalls), true);
    return true;
}

bool wild_act_refuse(struct wild *c)
{
    if (c->ncalls == 0 || holds_back(c)) return false;
    wild_answer(c, wild_draw(c, c->ncalls), false);
    return true;
}

bool wild_act_go_deaf(struct wild *c)
{
    if (c->deaf || wild_draw(c, 3)) return false;
    wild_say(c, "reads no more");
    return c->deaf = true;
}

bool wild_act_listen(struct wild *c)
{
    if (c->deaf) wild_say(c, "reads again");
    c->deaf = false;
    wild_pump(c, (int)wild_draw(c, 3));
    return true;
}

bool wild_act_leave(struct wild *c)
{
    if (wild_draw(c, 4)) return false;
    wild_settle(c);
    wild_say(c, "leaves");
    wild_hang_up(c);
    return true;
}

bool wild_act_hang_up(struct wild *c)
{
    if (wild_draw(c, 4)) return false;
    wild_say(c, "hangs up: %u requests, %u host calls", c->nasked, c->ncalls);
    wild_hang_up(c);
    return true;
}

bool wild_act_hang_up_in_a_frame(struct wild *c)
{
    if (wild_draw(c, 4) || !wild_act_ping(c)) return false;
    size_t n = frame_writer_pending(&c->w);
    ssize_t sent = send(c->fd, c->w.buffer + c->w.begin, wild_draw(c, (uint32_t)n), MSG_NOSIGNAL | MSG_DONTWAIT);
    wild_say(c, "hangs up after %zd of %zu bytes", sent, n);
    wild_hang_up(c);
    return true;
}

bool wild_act_close_half(struct wild *c)
{
    if (wild_draw(c, 6)) return false;
    wild_say(c, "closes its half");
    double end = now_ms() + 30000 * slowness();
    shutdown(c->fd, SHUT_WR);
    c->closing = true;
    c->deaf = false;
    while (c->fd >= 0) {
        c->w.begin = c->w.end; /* nothing more can be said */
        wild_pump(c, 100);
        if (now_ms() > end) wild_found(c, "the connection does not end after our half did");
    }
    return true;
}

/* ---- lives */

static const struct {
    const char *name;
    unsigned weight;
    bool (*run)(struct wild *c);
} actions[WILD_ACTION_COUNT] = {
#define X(name, weight) {#name, weight, wild_act_##name},
    WILD_ACTIONS(X)
#undef X
};

const char *wild_action_name(unsigned action) { return action < WILD_ACTION_COUNT ? actions[action].name : NULL; }

static unsigned some_action(struct wild *c)
{
    unsigned sum = 0, i = 0;
    for (unsigned k = 0; k < WILD_ACTION_COUNT; k++) sum += actions[k].weight;
    for (unsigned at = wild_draw(c, sum); at >= actions[i].weight; i++) at -= actions[i].weight;
    return i;
}

void wild_act(struct wild *c)
{
    for (int tries = 0; tries < 8; tries++) {
        c->process->action = (uint8_t)some_action(c);
        if (actions[c->process->action].run(c)) return;
    }
}

/* What most clients begin with, all of it ahead of the answers. */
static void begin(struct wild *c)
{
    static bool (*const run[])(struct wild *c) = {wild_act_module, wild_act_module, wild_act_module, wild_act_store,
                                                  wild_act_wasi};
    c->process->action = WILD_ACTION_instance;
    wild_say(c, "dials");
    if (wild_draw(c, 8) == 0) return;
    for (unsigned i = 0; i < sizeof run / sizeof run[0]; i++) run[i](c);
    for (int i = 0; i < 3; i++) wild_act_instance(c);
    for (int i = 0; i < 12; i++) wild_act_get_export(c);
}

static void step(struct wild *c)
{
    if (c->fd < 0) {
        bool whole = wild_draw(c, 12) > 0;
        if (wild_dial(c, whole ? HELLO_MAX : wild_draw(c, HELLO_FIXED_BYTES)) && whole) begin(c);
        if (!whole && wild_draw(c, 4)) wild_hang_up(c);
        if (!whole) c->closing = true; /* nothing that follows is heard */
        return;
    }
    if (c->closing)
        wild_hang_up(c);
    else
        wild_act(c);
}

static void end_of(struct wild_process *p, enum wild_fate fate)
{
    switch (fate) {
    case WILD_LEAVES:
    case WILD_STOPS:
        for (unsigned i = 0; i < WILD_CONNECTIONS; i++) {
            if (p->connections[i].fd >= 0 && !p->connections[i].closing) wild_settle(&p->connections[i]);
            wild_hang_up(&p->connections[i]);
        }
        return;
    case WILD_DIES:
        raise(SIGKILL);
        return;
    default:
        _exit(0);
    }
}

void wild_live(struct wild_process *p, unsigned steps, enum wild_fate fate)
{
    for (unsigned i = 0; i < WILD_CONNECTIONS; i++)
        p->connections[i] = (struct wild){.process = p, .number = i, .fd = -1};
    unsigned used = 1 + wild_draw(&p->connections[0], WILD_CONNECTIONS);
    unsigned stop = wild_draw(&p->connections[0], steps);
    for (unsigned n = 0; n < steps; n++) {
        struct wild *c = &p->connections[wild_draw(&p->connections[0], used)];
        step(c);
        if (fate == WILD_STOPS && n == stop) {
            wild_say(c, "stops");
            raise(SIGSTOP);
        }
        bool waits = wild_draw(c, 4) == 0;
        for (unsigned i = 0; i < used; i++) wild_pump(&p->connections[i], waits ? 1 : 0);
    }
    end_of(p, fate);
}
