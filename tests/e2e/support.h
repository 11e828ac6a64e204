/* tests/e2e/support.h -- what end-to-end tests share: a daemon with a configuration of the test's own in a scratch
 * directory, clients, modules from text, and the processes behind it all. Everything fails the running test by itself.
 */
#ifndef HEMI_TESTS_E2E_SUPPORT_H
#define HEMI_TESTS_E2E_SUPPORT_H

#include <check.h>
#include <hemi.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct daemon {
    pid_t pid;
    char dir[64];    /* scratch directory, removed by daemon_stop */
    char log[96];    /* its stderr */
    char socket[96]; /* of tenant 0 */
    bool crashes;    /* the test makes workers crash: a sanitizer's report in the log is no failure */
};

/* The path of a built program: "hemid", "hemi". Borrowed, until the next call. */
const char *built(const char *program);

/* Starts hemid with this configuration text ("%s" in it is replaced by the scratch directory) and waits until its
 * socket answers; NULL: no configuration, one tenant, the socket given with --socket. */
void daemon_start(struct daemon *d, const char *config);
/* The same with a configuration, and a descriptor for its standard error, which is closed here. */
void daemon_start_logging(struct daemon *d, const char *config, int log);
/* A configuration with tenants named a, b, ... on sockets DIR/a.sock, ...; `limits` goes into each tenant's limits
 * group. */
void daemon_start_tenants(struct daemon *d, unsigned count, const char *limits);
/* SIGTERM, and the exit status must be 0; fails the test if a worker outlives it, or if its log holds a sanitizer's
 * report or a leak. */
void daemon_stop(struct daemon *d);
/* The socket of tenant i (0 = a). Borrowed, until the next call. */
const char *daemon_socket(const struct daemon *d, unsigned tenant);
/* The worker processes now alive, oldest first; returns how many (at most max). */
unsigned daemon_workers(const struct daemon *d, pid_t *out, unsigned max);
/* Waits until exactly n workers are alive (10 s). */
void daemon_wait_workers(const struct daemon *d, unsigned n);
/* How many descriptors a process has open; 0 where only root may know, as of a worker. */
unsigned open_fds(pid_t pid);
/* Does the daemon's log contain this text? */
bool daemon_logged(const struct daemon *d, const char *text);

hemi_client *client_open(const char *socket);
/* The test fails, with the client's own message, unless the status is the one expected. */
#define expect(client, wanted, call) expect_status((client), (wanted), (call), #call, __FILE__, __LINE__)
#define ok(client, call) expect((client), HEMI_OK, (call))
void expect_status(hemi_client *client, hemi_status wanted, hemi_status got, const char *what, const char *file,
                   int line);

/* Modules from text; the caller frees bytes. */
void wat(const char *text, uint8_t **bytes, size_t *size);
hemi_module *module_from(hemi_client *client, const char *text);
/* A new store with one instance of this text, without imports. */
hemi_instance *instance_from(hemi_client *client, const char *text, hemi_store **store);
hemi_object *export_of(hemi_instance *instance, const char *name);
/* Calls a function of i32s. */
int32_t call_i32(hemi_object *function, unsigned nargs, ...);

double now_ms(void);
/* Time without what the test and the daemon's processes, ready to run, waited for a processor: that is the machine's
 * business. The daemon must outlive the watch. */
struct stopwatch {
    const struct daemon *daemon;
    double began, waited; /* ms */
};
struct stopwatch stopwatch_start(const struct daemon *d);
double stopwatch_ms(const struct stopwatch *w);
/* 1, or what a sanitizer build multiplies generous time limits with. */
double slowness(void);
uint64_t test_seed(void); /* HEMI_SEED, or from the clock; printed once */
uint64_t test_random(uint64_t *state);

/* Runs a program to its end and collects what it prints (NUL-terminated, caller frees). `input` may be NULL. */
struct outcome {
    int status; /* exit status, 128 + signal */
    char *out, *err;
};
struct outcome run_program(const char *const *argv, const char *input);
void outcome_deinit(struct outcome *o);

/* main() of an end-to-end test program. */
int run_suite(Suite *s);

#endif
