/* client/tool/tool.h -- what the files of the `hemi` command share. It is a program: it prints, and its functions
 * return exit statuses. Command lines and files are a stranger's: errors are told on stderr, as "hemi: where: what". */
#ifndef HEMI_CLIENT_TOOL_H
#define HEMI_CLIENT_TOOL_H

#include "hemi.h"

#include <sys/types.h>

enum {
    EXIT_OK = 0,
    EXIT_INVALID = 1, /* of hemi validate: some file is no valid module */
    EXIT_USAGE = 2,
    EXIT_HEMI = 125,   /* Hemi itself could not do it: no daemon, invalid module, limit, ... */
    EXIT_TRAP = 128,   /* plus the trap's code */
    EXIT_SIGINT = 130, /* interrupted from the keyboard */
};

/* name, argument (NULL: none), who knows it (r run, v validate, a asm, w wat, i info, p ping, s stats; '.' also before
 * the command),
 * help */
#define TOOL_OPTIONS(X)                                                                                                \
    X(SOCKET, "socket", "PATH", "rvips.", "the daemon's socket, instead of $HEMI_SOCKET and the usual places")         \
    X(TOKEN_FILE, "token-file", "FILE", "rvips.", "a file with the token that names the tenant")                       \
    X(INVOKE, "invoke", "NAME", "r", "call this export with ARGS as its arguments, and print its results")             \
    X(ENV, "env", "NAME=VALUE", "r", "give the program this variable (may be repeated)")                               \
    X(STATS, "stats", NULL, "r", "afterwards print counters to stderr")                                                \
    X(DEADLINE, "deadline", "MS", "r", "end the program after this many milliseconds")                                 \
    X(HEAP, "heap", "BYTES", "r", "most memory the program's garbage-collected heap may take")                         \
    X(GC_STRESS, "gc-stress", "N", "r", "collect garbage at every Nth allocation")                                     \
    X(COUNT, "count", "N", "p", "how many round trips to measure (1)")                                                 \
    X(JSON, "json", NULL, "is", "print JSON")                                                                          \
    X(OUTPUT, "output", "PATH", "aw", "(or -o) where to write, instead of to standard output")                         \
    X(NO_NAMES, "no-names", NULL, "aw", "write no name section; wat: write indices instead of its names")              \
    X(HELP, "help", NULL, "rvawips.", "print this and exit")                                                           \
    X(VERSION, "version", NULL, "rvawips.", "print the version and exit")

enum tool_option {
#define X(name, text, argument, commands, help) OPTION_##name,
    TOOL_OPTIONS(X)
#undef X
        TOOL_OPTION_COUNT
};

struct tool_options {
    const char *values[TOOL_OPTION_COUNT]; /* NULL: not given; "" for those without an argument */
    const char **envs;
    size_t nenvs;
    char **rest; /* what follows the options */
    int nrest;
};

/* --- session.c --- */
struct session {
    hemi_client *client;
    pid_t daemon; /* a private one; 0: none */
};
/* Connects, to a private daemon if none is at the usual places. 0, or the exit status after telling why. */
int session_open(struct session *s, const struct tool_options *o);
void session_close(struct session *s);
/* Tells what failed, and where, and gives the exit status for it. */
int tell_failure(hemi_client *client, const char *where);

/* --- values.c --- */
/* Reads an argument of that type. False after telling what is wrong. */
bool parse_value(const char *text, hemi_type type, hemi_val *out);
void print_value(const hemi_val *val);
/* A whole number from 0 to max. False after telling what is wrong with the option. */
bool parse_number(const char *option, const char *text, uint64_t max, uint64_t *out);

/* --- file.c --- */
struct module_file {
    const char *path; /* borrowed */
    void *bytes;      /* the binary module */
    size_t size;
    char *text; /* what it was assembled from; NULL: the file is binary */
    size_t text_size;
    bool malformed; /* after a failure: the file was read, but it is neither binary nor correct text */
    char why[4600]; /* after a failure: path, place and message */
};
/* Reads a module: binary, or text, which is assembled with `options`. False: m->why, and nothing to free. */
bool module_read(const char *path, const struct hemi_wat_options *options, struct module_file *m);
void module_free(struct module_file *m);
/* "path:line:column" of the client's last error, "path:0x2f" if it is in no function of a text, or "path". */
const char *module_place(const struct module_file *m, const hemi_client *client, char *out, size_t size);

/* --- the commands --- */
int command_asm(const struct tool_options *o);
int command_wat(const struct tool_options *o);
int command_validate(const struct tool_options *o);
int command_run(const struct tool_options *o);
int command_info(const struct tool_options *o);
int command_ping(const struct tool_options *o);
int command_stats(const struct tool_options *o);

#endif
