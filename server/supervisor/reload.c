/* server/supervisor/reload.c -- SIGHUP: the configuration again, while the loop goes on.
 *
 * A process of its own reads it; a timer looks what has come, since the answer is short and its end is to be waited
 * for, too. Time is counted in turns (.own-turns). */
#include "server/supervisor/reload.h"

#include <errno.h>
#include <stdio.h>

#include "server/common/log.h"
#include "server/supervisor/apart.h"
#include "server/supervisor/notify.h"
#include "server/supervisor/state.h"
#include "server/supervisor/tenant.h"
#include "server/supervisor/watch.h"

#define TURN_MS 10u
#define TURNS (CONFIG_READ_TIMEOUT_MS / TURN_MS)
#define READS_PER_TURN 16 /* of a pipe, 64 KiB each: thousands of tenants in some turns */

/* Puts a new configuration in place of the old one, whose tenants it has (config_reloadable). */
static void adopt(struct supervisor *s, struct config *config)
{
    for (size_t i = 0; i < s->ntenants; i++) s->tenants[i].config = config->tenants[i];
    config_deinit(&s->config);
    s->config = *config;
    log_configure(&s->config.options);
    watch_start(s);
    log_event(LOG_INFO, "reloaded", NULL, "limits apply to workers that start from now on");
}

static void refuse(const char *why) { log_event(LOG_ERROR, "reload-refused", NULL, "%s", why); }

static void adopt_or_refuse(struct supervisor *s, struct config *config)
{
    struct config_error error;
    if (!config_reloadable(&s->config, config, &error))
        refuse(error.text);
    else if (!fd_pool_set_workers(&s->pool, supervisor_count_workers(config)))
        refuse("workers: there are not enough descriptors for so many");
    else
        return adopt(s, config);
    config_deinit(config);
}

/* Returns false while there is more to come. */
static bool take_answer(struct supervisor *s)
{
    struct reload *reload = &s->reload;
    struct config config;
    struct config_error error = {""};
    int status = -EAGAIN;
    for (unsigned i = 0; i < READS_PER_TURN && status == -EAGAIN; i++)
        status = config_apart_read(reload->apart, &config, &error);
    if (status == -EAGAIN && ++reload->turns < TURNS) return false;
    if (status == -EAGAIN)
        snprintf(error.text, sizeof error.text, "%s: could not be read within %d s", s->given->config_file,
                 CONFIG_READ_TIMEOUT_MS / 1000);
    if (status == 0)
        adopt_or_refuse(s, &config);
    else
        refuse(error.text);
    if (!s->draining) notify_ready(s->ntenants);
    return true;
}

static void on_turn(uv_timer_t *timer)
{
    struct supervisor *s = timer->data;
    struct reload *reload = &s->reload;
    if (!reload->answered) reload->answered = take_answer(s);
    if (!reload->answered || !config_apart_end(reload->apart)) return;
    reload->apart = NULL;
    uv_timer_stop(&reload->timer);
    if (reload->again) reload_begin(s);
}

void reload_begin(struct supervisor *s)
{
    struct reload *reload = &s->reload;
    struct config_error error = {""};
    const char *file = s->given->config_file;
    if (file == NULL) {
        log_event(LOG_WARNING, "reload-refused", NULL, "there is no configuration file");
        return;
    }
    reload->again = reload->apart != NULL;
    if (reload->again) return;
    if (!s->draining) notify_reloading();
    if (config_apart_new(supervisor_load_here, s->given, file, &reload->apart, &error) == 0) {
        reload->answered = false;
        reload->turns = 0;
        uv_timer_start(&reload->timer, on_turn, TURN_MS, TURN_MS);
        return;
    }
    reload->apart = NULL;
    refuse(error.text);
    if (!s->draining) notify_ready(s->ntenants);
}

void reload_init(struct supervisor *s)
{
    uv_timer_init(&s->loop, &s->reload.timer);
    s->reload.timer.data = s;
}

void reload_close(struct supervisor *s)
{
    uv_close((uv_handle_t *)&s->reload.timer, NULL);
    if (s->reload.apart != NULL) config_apart_free(s->reload.apart);
    s->reload.apart = NULL;
}
