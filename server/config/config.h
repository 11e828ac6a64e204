/* server/config/config.h -- what the daemon can be told, one row per option, and the file it is told in.
 *
 * A row is X(name, KIND, default, min, max, doc). From the rows come the structs, the parser, the range checks, the
 * dump (`hemid --dump-config`) and docs/config.md, which a test compares with the rows.
 *
 * Kinds: SIZE bytes, written "64MiB" or a number; DURATION milliseconds, "250ms", "30s", "5m", "2h" or a number of
 * seconds; COUNT a number; LEVEL, FORMAT, NEED, SWITCH one word of a list (config_words); TEXT a string of min..max
 * bytes; MODE an octal file mode, "0660"; UIDS a list of user ids or names.
 *
 * This room includes no other one of the server's, and reads in whatever process it is called: supervisor/apart.h makes
 * one of its own for it. A struct config owns its texts until config_deinit.
 *
 * School of checking: the file comes from an administrator, so everything wrong in it is an error return with the
 * file, line and key, never an assertion. Threads: none here is thread-safe.
 */
#ifndef HEMI_SERVER_CONFIG_CONFIG_H
#define HEMI_SERVER_CONFIG_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define KIB (1ull << 10)
#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define SECONDS 1000ull

/* What one tenant may use; the worker gets these rows as they stand. A row "per worker" is for all its connections. */
#define LIMIT_OPTIONS(X)                                                                                               \
    X(workers, COUNT, 1, 1, 64, "worker processes of the tenant; its connections are spread over them")                \
    X(memory, SIZE, GIB, 16 * MIB, 1024 * GIB,                                                                         \
      "memory of one worker, which its connections share; RLIMIT_DATA is that and room for their buffers")             \
    X(heap, SIZE, 512 * MIB, MIB, 4 * GIB, "garbage-collected heap of one store")                                      \
    X(linear_memory, SIZE, GIB, 64 * KIB, 64 * GIB, "all linear memories of one store together")                       \
    X(table_elements, COUNT, 10000000, 1, 4294967295, "elements of all tables of one store together")                  \
    X(module_size, SIZE, 128 * MIB, KIB, GIB, "bytes of one module")                                                   \
    X(modules, COUNT, 1000, 1, 1000000, "modules of one connection")                                                   \
    X(stores, COUNT, 1000, 1, 1000000, "stores of one worker")                                                         \
    X(instances, COUNT, 10000, 1, 1000000, "instances of one store")                                                   \
    X(connections, COUNT, 256, 1, 100000, "connections of one worker; more are refused as a limit")                    \
    X(handles, COUNT, 1000000, 16, 100000000, "handles of one connection")                                             \
    X(window_requests, COUNT, 1024, 64, 65536, "requests a client may have unanswered (flow control)")                 \
    X(window_bytes, SIZE, 8 * MIB, 2 * MIB, GIB, "bytes of unanswered requests a client may have sent")                \
    X(output, SIZE, 4 * MIB, 64 * KIB, GIB, "bytes waiting for a client that does not read; then producers stop")      \
    X(deadline, DURATION, 0, 0, 86400 * SECONDS, "longest time for one request, also when it asks for more; 0: none")  \
    X(slice, DURATION, 10, 1, 1000, "time a guest runs before other ready activations get their turn")                 \
    X(stack, SIZE, MIB, 64 * KIB, 64 * MIB, "VM stack of one activation")                                              \
    X(nesting, COUNT, 64, 1, 64, "host calls that may be outstanding inside one another")                              \
    X(idle_exit, DURATION, 60 * SECONDS, 0, 86400 * SECONDS,                                                           \
      "a worker without stores and connections ends after this time; 0: it stays")                                     \
    X(fault_checks, SWITCH, SWITCH_ON, SWITCH_OFF, SWITCH_ON,                                                          \
      "accesses outside a 32-bit memory and through null are found by page faults; off: by comparing, each time")      \
    X(canonical_nans, SWITCH, SWITCH_OFF, SWITCH_OFF, SWITCH_ON,                                                       \
      "arithmetic gives one NaN only, so that results are the same on every machine")                                  \
    X(count_opcodes, SWITCH, SWITCH_OFF, SWITCH_OFF, SWITCH_ON,                                                        \
      "guests count the instructions they execute, by opcode (`hemi info`); slow")

/* The daemon itself. */
#define DAEMON_OPTIONS(X)                                                                                              \
    X(log_level, LEVEL, LOG_INFO, LOG_DEBUG, LOG_ERROR, "least important line that is logged")                         \
    X(log_format, FORMAT, FORMAT_AUTO, FORMAT_AUTO, FORMAT_JSON,                                                       \
      "how a line is written; auto is plain on a terminal and JSON elsewhere")                                         \
    X(log_rate, COUNT, 50, 1, 100000,                                                                                  \
      "lines per second that clients or guests may cause; each tenant and the shared socket have a tenth of that "     \
      "on top, of their own; more are counted and dropped")                                                            \
    X(landlock, NEED, NEED_REPORT, NEED_REPORT, NEED_REQUIRE,                                                          \
      "whether a worker may start where the kernel has no Landlock (its level is always reported)")                    \
    X(worker_user, TEXT, "", 0, 64,                                                                                    \
      "who workers are, where the daemon may change users (root): a user's name or id, or FIRST-LAST, of which each "  \
      "tenant gets an id of its own, in their order; empty: 1900000000-1900004095, or 61184-65279 in a user "          \
      "namespace that lacks those")                                                                                    \
    X(rights, NEED, NEED_REPORT, NEED_REPORT, NEED_REQUIRE,                                                            \
      "whether a worker may start that could not leave the daemon's user and groups for its own (it is reported)")     \
    X(drain_timeout, DURATION, 10 * SECONDS, 0, 3600 * SECONDS,                                                        \
      "time from SIGTERM until workers are killed; one that the kernel cannot end is left behind 2s later")            \
    X(hello_timeout, DURATION, 5 * SECONDS, 10, 60 * SECONDS, "time a peer has to send its HELLO")                     \
    X(hello_pending, COUNT, 256, 1, 65536,                                                                             \
      "peers of one socket that may be about to say HELLO; then the oldest of the user with most of them is dropped")  \
    X(handover_window, COUNT, 16, 1, 200, "connections on their way to one worker, not yet adopted by it")             \
    X(handover_queue, COUNT, 1024, 1, 65536, "connections of one tenant waiting for that; more are refused as busy")   \
    X(handover_tries, COUNT, 3, 1, 100, "workers that may be lost before adopting a connection until it is refused")   \
    X(handover_timeout, DURATION, 60 * SECONDS, 10, 3600 * SECONDS,                                                    \
      "time a connection may wait until a worker adopts it; then it is refused")                                       \
    X(watchdog, DURATION, 30 * SECONDS, 0, 3600 * SECONDS,                                                             \
      "time a worker may leave the supervisor's question unanswered until it is replaced, counted in turns of the "    \
      "supervisor, so that time in which neither ran does not count; 0: never")                                        \
    X(backlog, COUNT, 511, 1, 65535, "connections the kernel holds for a listening socket")                            \
    X(restart_delay, DURATION, 50, 0, 60 * SECONDS, "pause before a crashed worker is replaced; doubles per crash")    \
    X(restart_delay_max, DURATION, 5 * SECONDS, 0, 600 * SECONDS, "longest such pause")                                \
    X(start_timeout, DURATION, 30 * SECONDS, 100, 600 * SECONDS, "time a worker has to report that it is ready")

/* A listening socket. */
#define SOCKET_OPTIONS(X)                                                                                              \
    X(path, TEXT, "", 1, 107,                                                                                          \
      "where it is; its directory must exist (but hemid makes that of the usual place), and holds PATH.lock as well, " \
      "which says whose it is")                                                                                        \
    X(mode, MODE, 0600, 0, 0777, "its file mode, whatever the umask")                                                  \
    X(owner, TEXT, "", 0, 64, "user name or id that owns it; empty: the daemon's")                                     \
    X(group, TEXT, "", 0, 64, "group name or id that owns it; empty: the daemon's")

/* A tenant: exactly one of socket, token_file and uids says who it is. */
#define TENANT_OPTIONS(X)                                                                                              \
    X(name, TEXT, "", 1, 63, "letters, digits, '-', '_' and '.'; unique")                                              \
    X(token_file, TEXT, "", 0, 1023, "file with the token that its clients send (one line)")                           \
    X(uids, UIDS, 0, 0, 4294967294,                                                                                    \
      "users whose processes are this tenant: ids, or names in quotes; `[1000, 1001]`, or `(1000, \"alice\")` where "  \
      "both stand")

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };
enum log_format { FORMAT_AUTO, FORMAT_PLAIN, FORMAT_JSON };
enum config_need { NEED_REPORT, NEED_REQUIRE };
enum config_switch { SWITCH_OFF, SWITCH_ON };

#define CONFIG_UIDS_MAX 64
#define CONFIG_TOKEN_MAX 256 /* bytes of a token, without the line's end */

struct config_uids {
    uint32_t count;
    uid_t at[CONFIG_UIDS_MAX];
};

/* The C member of a row. */
#define CONFIG_MEMBER_SIZE(name, max) uint64_t name;
#define CONFIG_MEMBER_DURATION(name, max) uint64_t name;
#define CONFIG_MEMBER_COUNT(name, max) uint64_t name;
#define CONFIG_MEMBER_LEVEL(name, max) uint64_t name;
#define CONFIG_MEMBER_FORMAT(name, max) uint64_t name;
#define CONFIG_MEMBER_NEED(name, max) uint64_t name;
#define CONFIG_MEMBER_SWITCH(name, max) uint64_t name;
#define CONFIG_MEMBER_MODE(name, max) uint64_t name;
#define CONFIG_MEMBER_TEXT(name, max) char name[(max) + 1];
#define CONFIG_MEMBER_UIDS(name, max) struct config_uids name;
#define CONFIG_MEMBER(name, kind, def, min, max, doc) CONFIG_MEMBER_##kind(name, max)

/* Sizes in bytes, durations in milliseconds, everything within the row's range. */
struct tenant_limits {
    LIMIT_OPTIONS(CONFIG_MEMBER)
};

struct daemon_options {
    DAEMON_OPTIONS(CONFIG_MEMBER)
};

struct socket_options {
    SOCKET_OPTIONS(CONFIG_MEMBER)
};

struct tenant_config {
    TENANT_OPTIONS(CONFIG_MEMBER)
    bool has_socket;
    struct socket_options socket; /* valid if has_socket */
    uid_t worker_uid;             /* config_check */
    gid_t worker_gid;
    size_t token_len; /* 0: no token */
    uint8_t token[CONFIG_TOKEN_MAX];
    struct tenant_limits limits;
};

/* A whole configuration. Owns its tenants; config_deinit frees them. */
struct config {
    struct daemon_options options;
    struct socket_options socket; /* the shared socket of tenants known by token or uid; path "" when there is none */
    struct tenant_config *tenants;
    size_t ntenants;
    bool default_socket;         /* its path came from the rules, so its directory may be made */
    struct tenant_limits limits; /* what a tenant has that says nothing */
};

/* Where and why a configuration was refused: "FILE:LINE: KEY: reason". */
struct config_error {
    char text[512];
};

/* Puts a formatted text into the error and returns `status`. */
__attribute__((format(printf, 3, 4))) int config_fail(struct config_error *error, int status, const char *format, ...);

/* The defaults: no tenant and no socket. Never fails. */
void config_set_defaults(struct config *config);

/* Reads FILE into `config`, which must hold the defaults. On failure `config` holds only something to deinit.
 * Returns 0, or -EINVAL for anything wrong in the file or the token files it names (`error` says what and where),
 * -ENOMEM, or -errno when the file cannot be read (`error` too). */
int config_load(struct config *config, const char *file, struct config_error *error);

/* The configuration without a file: one socket at `path`, one tenant, which is the daemon's own uid.
 * Returns 0; -EINVAL when that uid is the overflow uid, which authenticates nobody; -ENOMEM. */
int config_default(struct config *config, const char *path, struct config_error *error);

/* Makes a limit of tenants that do not say otherwise at least that, or the most that it may be: "stack=16MiB".
 * Returns 0; -EINVAL, -ERANGE. */
int config_raise(struct config *config, const char *text);

/* The configuration of a daemon that serves one connected client (`--private-fd`): one tenant, "private", no socket.
 * Returns 0 or -ENOMEM. */
int config_private(struct config *config);

/* Checks what holds between options (names unique, one identity per tenant, no socket twice however it is spelled...),
 * and gives each tenant its worker_uid and worker_gid, as worker_user says. config_load has done so. Returns 0;
 * -EINVAL, and `error` begins with `source`; -ENOMEM. */
int config_check(struct config *config, const char *source, struct config_error *error);

/* The id of a user or group, a name or a number; an empty text stands for -1, which chown leaves as it is. False: there
 * is none. */
bool config_find_user(const char *text, uid_t *out);
bool config_find_group(const char *text, gid_t *out);

void config_deinit(struct config *config);

/* Writes the configuration in the file's own format, every option with its value. */
void config_dump(const struct config *config, FILE *out);

/* Writes docs/config.md: prose, then one table per group of rows. */
void config_docs(FILE *out);

/* Whether the kernel shows this uid for ids it cannot map: 65534 and /proc/sys/kernel/overflowuid. */
bool config_uid_is_overflow(uid_t uid);

/* Whether a reload can go from `a` to `b` without a restart: same tenants by the same identities, same sockets.
 * False leaves in `error` what differs. */
bool config_reloadable(const struct config *a, const struct config *b, struct config_error *error);

/* The word for a log level ("warning"); "?" if there is none. */
const char *config_level_word(uint64_t level);

/* One word of --log-level. Returns 0 or -EINVAL. */
int config_parse_level(const char *word, uint64_t *out);

/* Number with unit. Returns 0, -EINVAL for another form, -ERANGE when it does not fit 64 bits. */
int config_parse_size(const char *text, uint64_t *bytes);
int config_parse_duration(const char *text, uint64_t *ms);

#endif
