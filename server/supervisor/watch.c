/* server/supervisor/watch.c -- workers that hang, and connections that wait too long.
 *
 * .own-turns: patience is counted in turns of the supervisor's own loop. A timer repeats, each time that it fires is
 * one turn however late it is, and between two of them the supervisor has read what had arrived. So a machine or
 * container that was frozen, or a supervisor that was stopped together with its workers, costs a worker one turn, not
 * its life. */
#include "server/supervisor/watch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

#include "server/common/log.h"
#include "server/supervisor/child.h"
#include "server/supervisor/door.h"
#include "server/supervisor/state.h"
#include "server/supervisor/tenant.h"

#define WATCH_TURNS 30u
#define WAIT_TURNS 8u

uint64_t patience_turn_ms(uint64_t ms, unsigned turns) { return ms / turns > 0 ? ms / turns : 1; }

bool patience_over(unsigned *turns) { return ++*turns >= PATIENCE_TURNS; }

/* ---- workers */

const char *process_state(pid_t pid)
{
    char path[64], state = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) return "its state cannot be read";
    if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1) state = 0;
    fclose(file);
    switch (state) {
    case 'T':
    case 't':
        return "it is stopped (SIGSTOP, a terminal or a debugger)";
    case 'D':
        return "it waits in the kernel and cannot be interrupted";
    case 'R':
        return "it is running";
    case 'S':
        return "it is sleeping";
    default:
        return "it is ending";
    }
}

static void lose(struct child *w)
{
    struct log_about what = {.tenant = w->tenant->config.name, .pid = w->pid};
    log_event(LOG_ERROR, "worker-hung", &what,
              "a question was left unanswered for %u turns, %" PRIu64 " ms at least: %s", WATCH_TURNS,
              w->tenant->supervisor->config.options.watchdog, process_state(w->pid));
    child_kill(w, "it did not answer its supervisor");
}

/* One that has said that it ends answers no more, but is to end. */
static void watch_worker(struct child *w)
{
    struct handover_msg msg = {.type = HANDOVER_ASK, .fd = -1};
    if (!w->ready || w->ended || w->killed != NULL) return;
    if (w->asked != 0 || w->parting) {
        if (++w->unanswered >= WATCH_TURNS) lose(w);
        return;
    }
    if (getrandom(&msg.u.ask.nonce, sizeof msg.u.ask.nonce, GRND_NONBLOCK) < 0) return;
    msg.u.ask.nonce |= 1; /* 0 means that nothing was asked */
    int status = handover_send(w->control, &msg);
    if (status == 0)
        w->asked = msg.u.ask.nonce;
    else if (status == -EAGAIN && ++w->unanswered >= WATCH_TURNS)
        lose(w); /* it does not even read */
}

bool child_answered(struct child *w, uint64_t nonce)
{
    if (w->asked == 0 || nonce != w->asked) return false;
    w->asked = 0;
    w->unanswered = 0;
    return true;
}

static void on_watch(uv_timer_t *timer)
{
    struct supervisor *s = timer->data;
    supervisor_for_each_worker(s, watch_worker);
}

/* ---- connections */

/* The first turn may be a short one. */
static bool waited_too_long(struct client *client) { return ++client->turns > WAIT_TURNS; }

/* An answer comes after what was sent before it was asked for; so one that answers and does not adopt is at fault.
 * Where nobody is to watch workers, a stopped one keeps what it was given. */
static void watch_handed(struct child *w)
{
    struct client *client;
    bool late = false;
    TAILQ_FOREACH(client, &w->handed, link) late = waited_too_long(client) || late;
    if (late && w->ready && w->tenant->supervisor->config.options.watchdog > 0)
        child_kill(w, "it neither adopted nor declined a connection");
}

static void on_wait(uv_timer_t *timer)
{
    struct supervisor *s = timer->data;
    for (size_t i = 0; i < s->ntenants; i++) {
        struct client *client, *next;
        for (client = TAILQ_FIRST(&s->tenants[i].waiting); client != NULL; client = next) {
            next = TAILQ_NEXT(client, link);
            if (waited_too_long(client))
                tenant_refuse(client, HEMI_DEADLINE, "handover_timeout: no worker took the connection in time");
        }
    }
    supervisor_for_each_worker(s, watch_handed);
}

/* ---- the timers */

static void repeat(uv_timer_t *timer, uv_timer_cb act, uint64_t ms, unsigned turns)
{
    uint64_t turn = patience_turn_ms(ms, turns);
    if (ms > 0)
        uv_timer_start(timer, act, turn, turn);
    else
        uv_timer_stop(timer);
}

void watch_init(struct supervisor *s)
{
    uv_timer_init(&s->loop, &s->watch);
    uv_timer_init(&s->loop, &s->wait);
    s->watch.data = s->wait.data = s;
    watch_start(s);
}

void watch_start(struct supervisor *s)
{
    repeat(&s->watch, on_watch, s->config.options.watchdog, WATCH_TURNS);
    repeat(&s->wait, on_wait, s->config.options.handover_timeout, WAIT_TURNS);
}

void watch_close(struct supervisor *s)
{
    uv_close((uv_handle_t *)&s->watch, NULL);
    uv_close((uv_handle_t *)&s->wait, NULL);
}
