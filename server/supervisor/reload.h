/* server/supervisor/reload.h -- SIGHUP: the configuration is read again, apart (apart.h), and what may change of it
 * does. */
#ifndef HEMI_SERVER_SUPERVISOR_RELOAD_H
#define HEMI_SERVER_SUPERVISOR_RELOAD_H

#include <stdbool.h>
#include <uv.h>

struct config_apart;
struct supervisor;

/* SIGHUP's. */
struct reload {
    uv_timer_t timer;
    struct config_apart *apart; /* that reads; NULL: none */
    unsigned turns;
    bool answered; /* its end is waited for */
    bool again;    /* SIGHUP came meanwhile */
};

/* Reads the configuration again, or once more when it is being read. */
void reload_begin(struct supervisor *s);
void reload_init(struct supervisor *s);
void reload_close(struct supervisor *s);

#endif
