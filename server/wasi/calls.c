/* server/wasi/calls.c -- the functions of WASI_FUNCTIONS. Layouts and numbers: the WASI snapshot_01 witx files. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "proto/value.h"
#include "server/wasi/wasi.h"
#include "server/worker/connection.h"

static enum hemi_status fail(struct wasi_call *call, enum wasi_errno error)
{
    call->error = error;
    return HEMI_OK;
}

static uint32_t arg(const struct wasi_call *call, uint32_t i) { return call->args[i].i32; }

static struct worker *worker_of(const struct wasi_call *call) { return call->wasi->store->conn->worker; }

/* ---- arguments and environment */

/* Pointers at `at`, the strings themselves at `buffer`. */
static enum hemi_status put_strings(struct wasi_call *call, const struct wasi_strings *strings)
{
    uint64_t at = arg(call, 0);
    uint32_t buffer = arg(call, 1);
    const char *s = strings->at;
    if (!wasi_within(call, at, UINT64_C(4) * strings->count)) return HEMI_OK;
    if (!wasi_store(call, buffer, strings->at, strings->bytes)) return HEMI_OK;
    for (uint32_t i = 0; i < strings->count; i++, at += 4) {
        if (!wasi_store_u32(call, at, buffer + (uint32_t)(s - strings->at))) return HEMI_OK;
        s += strlen(s) + 1;
    }
    return HEMI_OK;
}

static enum hemi_status put_sizes(struct wasi_call *call, const struct wasi_strings *strings)
{
    if (!wasi_within(call, arg(call, 1), 4) || !wasi_store_u32(call, arg(call, 0), strings->count)) return HEMI_OK;
    wasi_store_u32(call, arg(call, 1), strings->bytes);
    return HEMI_OK;
}

enum hemi_status wasi_args_get(struct wasi_call *call) { return put_strings(call, &call->wasi->args); }
enum hemi_status wasi_args_sizes_get(struct wasi_call *call) { return put_sizes(call, &call->wasi->args); }
enum hemi_status wasi_environ_get(struct wasi_call *call) { return put_strings(call, &call->wasi->envs); }
enum hemi_status wasi_environ_sizes_get(struct wasi_call *call) { return put_sizes(call, &call->wasi->envs); }

/* ---- clocks, randomness */

static bool clock_of(uint32_t id, clockid_t *out)
{
    static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID,
                                       CLOCK_THREAD_CPUTIME_ID};
    if (id >= sizeof clocks / sizeof clocks[0]) return false;
    *out = clocks[id];
    return true;
}

static uint64_t nanoseconds(const struct timespec *t)
{
    return (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec;
}

enum hemi_status wasi_clock_res_get(struct wasi_call *call)
{
    clockid_t clock;
    struct timespec t;
    if (!clock_of(arg(call, 0), &clock) || clock_getres(clock, &t) != 0) return fail(call, WASI_INVAL);
    wasi_store_u64(call, arg(call, 1), nanoseconds(&t));
    return HEMI_OK;
}

enum hemi_status wasi_clock_time_get(struct wasi_call *call)
{
    clockid_t clock;
    struct timespec t;
    if (!clock_of(arg(call, 0), &clock) || clock_gettime(clock, &t) != 0) return fail(call, WASI_INVAL);
    wasi_store_u64(call, arg(call, 2), nanoseconds(&t));
    return HEMI_OK;
}

enum hemi_status wasi_random_get(struct wasi_call *call)
{
    struct scheduler *sched = &worker_of(call)->sched;
    uint64_t at = arg(call, 0);
    uint32_t left = arg(call, 1);
    uint8_t some[1024];
    if (!wasi_within(call, at, left)) return HEMI_OK;
    while (left > 0) {
        uint32_t n = left < sizeof some ? left : (uint32_t)sizeof some;
        if (getrandom(some, n, 0) != (ssize_t)n) return fail(call, WASI_IO);
        if (!wasi_store(call, at, some, n)) return HEMI_OK;
        at += n;
        left -= n;
        enum hemi_status stop = sched->poll ? scheduler_yield(sched) : HEMI_OK;
        if (stop != HEMI_OK) return stop;
    }
    return HEMI_OK;
}

/* ---- descriptors */

/* NULL: BADF is set. */
static struct wasi_fd *fd_of(struct wasi_call *call)
{
    uint32_t fd = arg(call, 0);
    if (fd < WASI_FDS && call->wasi->fds[fd].open) return &call->wasi->fds[fd];
    call->error = WASI_BADF;
    return NULL;
}

static bool is_input(const struct wasi_call *call) { return arg(call, 0) == 0; }

enum { IOV_BYTES = 8 };

struct iov {
    uint32_t at, len;
};

/* What fd_read and fd_write were passed, copied once: whoever else writes to the guest's memory while the call waits
 * changes nothing of it. */
struct iovs {
    uint32_t n;
    uint8_t bytes[WASI_IOVS_MAX * IOV_BYTES];
};

static struct iov iov_at(const struct iovs *v, uint32_t i)
{
    const uint8_t *at = v->bytes + (size_t)i * IOV_BYTES;
    return (struct iov){wire_get_u32(at), wire_get_u32(at + 4)};
}

/* With every buffer checked, and where the result goes. */
static bool load_iovs(struct wasi_call *call, struct iovs *v)
{
    v->n = arg(call, 2);
    if (v->n > WASI_IOVS_MAX) {
        call->error = WASI_INVAL;
        return false;
    }
    bool ok = wasi_load(call, arg(call, 1), v->bytes, (size_t)v->n * IOV_BYTES) && wasi_within(call, arg(call, 3), 4);
    for (uint32_t i = 0; i < v->n && ok; i++) ok = wasi_within(call, iov_at(v, i).at, iov_at(v, i).len);
    return ok;
}

static enum hemi_status write_iov(struct wasi_call *call, struct stream *stream, struct iov v)
{
    while (stream && v.len > 0) {
        uint8_t *to;
        size_t room;
        enum hemi_status stop = stream_reserve(stream, v.len, &to, &room);
        if (stop != HEMI_OK) return stop;
        if (room == 0) return fail(call, WASI_IO);
        if (!wasi_load(call, v.at, to, room)) return HEMI_INTERNAL; /* load_iovs has checked it */
        v.at += (uint32_t)room;
        v.len -= (uint32_t)room;
    }
    return HEMI_OK;
}

enum hemi_status wasi_fd_write(struct wasi_call *call)
{
    struct wasi_fd *fd = fd_of(call);
    struct iovs iovs;
    uint32_t written = 0;
    if (!fd) return HEMI_OK;
    if (is_input(call)) return fail(call, WASI_BADF);
    if (!load_iovs(call, &iovs)) return HEMI_OK;
    for (uint32_t i = 0; i < iovs.n && call->error == WASI_SUCCESS; i++) {
        struct iov v = iov_at(&iovs, i);
        if (v.len > UINT32_MAX - written) break; /* a partial write is a lawful one */
        enum hemi_status stop = write_iov(call, fd->stream, v);
        if (stop != HEMI_OK) return stop;
        written += v.len;
    }
    if (call->error == WASI_SUCCESS) wasi_store_u32(call, arg(call, 3), written);
    return HEMI_OK;
}

/* Fills one buffer with what has come; the caller makes sure that something has, or that it is the end. */
static enum hemi_status read_iov(struct wasi_call *call, struct stream *stream, struct iov v, uint32_t *got)
{
    const uint8_t *from;
    size_t n;
    enum hemi_status stop = stream_await(stream, &from, &n);
    if (stop != HEMI_OK) return stop;
    if (n > v.len) n = v.len;
    if (n > 0 && !wasi_store(call, v.at, from, n)) return HEMI_INTERNAL; /* load_iovs has checked it */
    stream_consume(stream, n);
    *got += (uint32_t)n;
    return HEMI_OK;
}

enum hemi_status wasi_fd_read(struct wasi_call *call)
{
    struct wasi_fd *fd = fd_of(call);
    struct iovs iovs;
    uint32_t got = 0;
    if (!fd) return HEMI_OK;
    if (!is_input(call)) return fail(call, WASI_BADF);
    if (!load_iovs(call, &iovs)) return HEMI_OK;
    for (uint32_t i = 0; i < iovs.n && fd->stream; i++) {
        struct iov v = iov_at(&iovs, i);
        if (v.len == 0) continue;
        if (got > 0 && fd->stream->begin == fd->stream->end) break; /* do not wait for more */
        enum hemi_status stop = read_iov(call, fd->stream, v, &got);
        if (stop != HEMI_OK || call->error != WASI_SUCCESS) return stop;
        if (got == 0) break;
    }
    wasi_store_u32(call, arg(call, 3), got);
    return HEMI_OK;
}

enum hemi_status wasi_fd_close(struct wasi_call *call)
{
    struct wasi_fd *fd = fd_of(call);
    if (!fd) return HEMI_OK;
    fd->open = false;
    for (int i = 0; i < WASI_FDS; i++)
        if (call->wasi->fds[i].open && call->wasi->fds[i].stream == fd->stream) return HEMI_OK;
    if (fd->stream) stream_close(fd->stream);
    return HEMI_OK;
}

enum hemi_status wasi_fd_seek(struct wasi_call *call) { return fd_of(call) ? fail(call, WASI_SPIPE) : HEMI_OK; }

enum { FILETYPE_UNKNOWN, FILETYPE_CHARACTER = 2, RIGHT_READ = 1 << 1, RIGHT_WRITE = 1 << 6, RIGHT_POLL = 1 << 27 };

/* What a guest's isatty() looks at. */
static uint8_t file_type(const struct wasi_fd *fd) { return fd->terminal ? FILETYPE_CHARACTER : FILETYPE_UNKNOWN; }

enum hemi_status wasi_fd_fdstat_get(struct wasi_call *call)
{
    const struct wasi_fd *fd = fd_of(call);
    if (!fd) return HEMI_OK;
    uint8_t stat[24] = {file_type(fd)};
    wire_put_u64(stat + 8, (is_input(call) ? RIGHT_READ : RIGHT_WRITE) | RIGHT_POLL);
    wasi_store(call, arg(call, 1), stat, sizeof stat);
    return HEMI_OK;
}

/* Streams have no flags; setting none is allowed. */
enum hemi_status wasi_fd_fdstat_set_flags(struct wasi_call *call)
{
    if (!fd_of(call)) return HEMI_OK;
    return arg(call, 1) == 0 ? HEMI_OK : fail(call, WASI_NOTSUP);
}

enum hemi_status wasi_fd_filestat_get(struct wasi_call *call)
{
    const struct wasi_fd *fd = fd_of(call);
    uint8_t stat[64] = {0};
    if (!fd) return HEMI_OK;
    stat[16] = file_type(fd);
    wire_put_u64(stat + 24, 1); /* links */
    wasi_store(call, arg(call, 1), stat, sizeof stat);
    return HEMI_OK;
}

/* No directory is open. */
enum hemi_status wasi_fd_prestat_get(struct wasi_call *call) { return fail(call, WASI_BADF); }
enum hemi_status wasi_fd_prestat_dir_name(struct wasi_call *call) { return fail(call, WASI_BADF); }

/* No descriptor is a socket. */
enum hemi_status wasi_sock_shutdown(struct wasi_call *call) { return fd_of(call) ? fail(call, WASI_NOTSOCK) : HEMI_OK; }

/* ---- the rest */

enum hemi_status wasi_sched_yield(struct wasi_call *call)
{
    (void)call; /* other activations get their turn when this one's slice ends */
    return HEMI_OK;
}

enum hemi_status wasi_proc_exit(struct wasi_call *call)
{
    call->err->exit_code = (int32_t)arg(call, 0);
    return HEMI_EXIT;
}

enum { SUBSCRIPTION_BYTES = 48, EVENT_BYTES = 32, CLOCK_ABSOLUTE = 1, EVENT_HANGUP = 1 };
enum { SUBSCRIPTION_CLOCK, SUBSCRIPTION_READ, SUBSCRIPTION_WRITE };

struct subscription {
    /* u64 user data, u8 kind; a clock: u32 id at 16, u64 timeout 24, u16 flags 40; reading and writing: u32 fd 16 */
    uint8_t bytes[SUBSCRIPTION_BYTES];
    uint8_t error;        /* enum wasi_errno: an event at once */
    uint64_t due_ns;      /* CLOCK_MONOTONIC; reading: never */
    struct stream *input; /* reading: due when it is ready */
};

static uint64_t now_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return nanoseconds(&t);
}

static void judge_clock(struct subscription *s)
{
    clockid_t clock;
    uint64_t timeout = wire_get_u64(s->bytes + 24), monotonic = now_ns(CLOCK_MONOTONIC);
    if (!clock_of(wire_get_u32(s->bytes + 16), &clock)) {
        s->error = WASI_INVAL;
        return;
    }
    if (wire_get_u16(s->bytes + 40) & CLOCK_ABSOLUTE) {
        uint64_t now = now_ns(clock);
        timeout = timeout > now ? timeout - now : 0;
    }
    s->due_ns = timeout > UINT64_MAX - monotonic ? UINT64_MAX : monotonic + timeout;
}

/* Output may always be tried; input without a stream has ended. */
static void judge_descriptor(struct subscription *s, const struct wasi *w)
{
    uint32_t fd = wire_get_u32(s->bytes + 16);
    bool reads = s->bytes[8] == SUBSCRIPTION_READ;
    if (fd >= WASI_FDS || !w->fds[fd].open || reads != (fd == 0))
        s->error = WASI_BADF;
    else if (reads && w->fds[fd].stream) {
        s->input = w->fds[fd].stream;
        s->due_ns = UINT64_MAX;
    }
}

/* When it is due; one that makes no sense is due at once, with an error. */
static void judge(struct subscription *s, const struct wasi *w)
{
    s->due_ns = 0;
    s->error = WASI_SUCCESS;
    s->input = NULL;
    if (s->bytes[8] == SUBSCRIPTION_CLOCK)
        judge_clock(s);
    else if (s->bytes[8] <= SUBSCRIPTION_WRITE)
        judge_descriptor(s, w);
    else
        s->error = WASI_INVAL;
}

struct sleep {
    struct timeout timeout;
    struct activation *act;
    bool over;
};

static void wake_up(struct timeout *t)
{
    struct sleep *s = (struct sleep *)(void *)t;
    s->over = true;
    scheduler_wake(s->act);
}

/* Until then, or until there is input; NULL: none is waited for. */
static enum hemi_status sleep_until(struct worker *w, uint64_t due_ns, struct stream *input)
{
    uint64_t now = now_ns(CLOCK_MONOTONIC);
    if (due_ns <= now) return w->sched.poll ? scheduler_yield(&w->sched) : HEMI_OK;
    struct sleep s = {.act = w->sched.running};
    enum hemi_status stop = HEMI_OK;
    uint64_t ms = (due_ns - now + 999999) / 1000000;
    timeout_set(&w->timeouts, &s.timeout, worker_now_ms(w) + ms, wake_up);
    if (input) stream_watch(input);
    while (!s.over && stop == HEMI_OK && !(input && stream_ready(input))) stop = scheduler_wait(&w->sched);
    if (input) stream_unwatch(input);
    timeout_remove(&w->timeouts, &s.timeout);
    return stop;
}

static bool due(const struct subscription *s, uint64_t now)
{
    return s->input ? stream_ready(s->input) : s->due_ns <= now;
}

/* u64 user data, u16 error, u8 kind; reading: u64 bytes at 16, u16 flags 24 */
static void make_event(const struct subscription *s, uint8_t event[EVENT_BYTES])
{
    uint32_t bytes = s->input ? s->input->end - s->input->begin : 0;
    memset(event, 0, EVENT_BYTES);
    memcpy(event, s->bytes, 8);
    wire_put_u16(event + 8, s->error);
    event[10] = s->bytes[8];
    wire_put_u64(event + 16, bytes);
    if (event[10] == SUBSCRIPTION_READ && s->error == WASI_SUCCESS && bytes == 0)
        wire_put_u16(event + 24, EVENT_HANGUP);
}

static bool put_events(struct wasi_call *call, const struct subscription *subs, uint32_t n, uint32_t *events)
{
    uint64_t now = now_ns(CLOCK_MONOTONIC);
    uint64_t at = arg(call, 1);
    *events = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!due(&subs[i], now)) continue;
        uint8_t event[EVENT_BYTES];
        make_event(&subs[i], event);
        if (!wasi_store(call, at + UINT64_C(1) * EVENT_BYTES * (*events)++, event, sizeof event)) return false;
    }
    return true;
}

enum hemi_status wasi_poll_oneoff(struct wasi_call *call)
{
    uint32_t n = arg(call, 2), events;
    struct subscription subs[WASI_SUBSCRIPTIONS_MAX];
    uint64_t first = UINT64_MAX;
    struct stream *input = NULL; /* there is but one */
    if (n == 0 || n > WASI_SUBSCRIPTIONS_MAX) return fail(call, WASI_INVAL);
    if (!wasi_within(call, arg(call, 1), UINT64_C(1) * EVENT_BYTES * n) || !wasi_within(call, arg(call, 3), 4))
        return HEMI_OK;
    for (uint32_t i = 0; i < n; i++) {
        if (!wasi_load(call, arg(call, 0) + UINT64_C(1) * SUBSCRIPTION_BYTES * i, subs[i].bytes, SUBSCRIPTION_BYTES))
            return HEMI_OK;
        judge(&subs[i], call->wasi);
        if (subs[i].due_ns < first) first = subs[i].due_ns;
        if (subs[i].input) input = subs[i].input;
    }
    do {
        enum hemi_status stop = sleep_until(worker_of(call), first, input);
        if (stop != HEMI_OK) return stop;
        if (!put_events(call, subs, n, &events)) return HEMI_OK;
    } while (events == 0); /* the loop's clock and this one may differ by a millisecond */
    wasi_store_u32(call, arg(call, 3), events);
    return HEMI_OK;
}
