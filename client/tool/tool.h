/* client/tool/tool.h -- what the files of the `hemi` command share. It is a program: it prints, and its functions
 * return exit statuses. Command lines, files and what the daemon sends are a stranger's.
 *
 * Invariants:
 *   .said     Every line of text goes through tell(), tell_more(), say() or report(), which escape it. Data (what a
 * guest writes, what asm and wat make, JSON) goes as it is. .written  Every byte goes through output.c: a descriptor
 * that does not block is waited for, and output that could not be written ends the program with EXIT_OUTPUT. Messages
 * are no output: where they cannot be told, the exit status says it. */
#ifndef HEMI_CLIENT_TOOL_H
#define HEMI_CLIENT_TOOL_H

#include "hemi.h"

#include <stdio.h>
#include <sys/types.h>

/* Exit statuses of every command, beside the guest's own: name, number, word of --outcome-json, meaning. */
#define TOOL_EXITS(X)                                                                                                  \
    X(USAGE, 200, "usage", "the command line is wrong")                                                                \
    X(FILE, 201, "file", "a file cannot be read or written")                                                           \
    X(INVALID, 202, "invalid", "a file is no valid module")                                                            \
    X(LINK, 203, "link", "an import is missing or has another type")                                                   \
    X(EXPORT, 204, "export", "the module exports no such function")                                                    \
    X(TRAP, 205, "trap", "the guest trapped")                                                                          \
    X(EXCEPTION, 206, "exception", "the guest threw an exception that nothing caught")                                 \
    X(LIMIT, 207, "limit", "a limit was reached, or memory was refused")                                               \
    X(DEADLINE, 208, "deadline", "the time was over")                                                                  \
    X(CODE, 209, "exit-code", "the guest ended with a code that is not from 0 to 125")                                 \
    X(OUTPUT, 210, "output", "standard output or error could not be written, or standard input not read")              \
    X(NO_DAEMON, 211, "no-daemon", "no daemon can be reached; or it hangs, is ending, or speaks another version")      \
    X(DENIED, 212, "denied", "the daemon refuses this user or token (211: the socket's mode does)")                    \
    X(LOST, 213, "lost", "the connection or the worker was lost")                                                      \
    X(INTERNAL, 214, "internal", "a defect in Hemi")
enum {
    EXIT_OK = 0,
    EXIT_GUEST_MAX = 125,
#define X(name, number, word, meaning) EXIT_##name = number,
    TOOL_EXITS(X)
#undef X
};

/* name, argument (NULL: none), who knows it (r run, v validate, a asm, w wat, c code, i info, p ping, s stats; '.' also
 * before the command), help */
#define TOOL_OPTIONS(X)                                                                                                \
    X(SOCKET, "socket", "PATH", "rvcips.", "the daemon's socket, instead of $HEMI_SOCKET and the usual place")         \
    X(TOKEN_FILE, "token-file", "FILE", "rvcips.", "a file with the token that names the tenant")                      \
    X(OUTCOME_JSON, "outcome-json", "FD", "rvawcips.", "write to this descriptor what happened, as JSON")              \
    X(INVOKE, "invoke", "NAME", "r", "call this export with ARGS as its arguments, and print its results")             \
    X(ENV, "env", "NAME=VALUE", "r", "give the program this variable (may be repeated)")                               \
    X(QUIET, "quiet", NULL, "rc", "do not say that a private daemon serves this run")                                  \
    X(STATS, "stats", NULL, "r", "afterwards print counters to stderr")                                                \
    X(DEADLINE, "deadline", "TIME", "r", "end the program after this time")                                            \
    X(STACK, "stack", "SIZE", "r", "most memory the program's stack of calls may take")                                \
    X(HEAP, "heap", "SIZE", "r", "most memory the program's garbage-collected heap may take")                          \
    X(MEMORY, "memory", "SIZE", "r", "most memory the program's linear memories may take, together")                   \
    X(GC_STRESS, "gc-stress", "N", "r", "collect garbage at every Nth allocation")                                     \
    X(COUNT, "count", "N", "p", "how many round trips to measure (1)")                                                 \
    X(JSON, "json", NULL, "is", "print JSON")                                                                          \
    X(OUTPUT, "output", "PATH", "aw", "(or -o) where to write, instead of to standard output")                         \
    X(NO_NAMES, "no-names", NULL, "aw", "write no name section; wat: write indices instead of its names")              \
    X(HELP, "help", NULL, "rvawcips.", "print this and exit")                                                          \
    X(PAGE, "help-page", NULL, ".", "print all of this as docs/tool.md and exit")                                      \
    X(VERSION, "version", NULL, "rvawcips.", "print the version and exit")

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
    bool starts_daemon; /* the command may start a private one */
    char **rest;        /* what follows the options */
    int nrest;
};

/* name, letter in TOOL_OPTIONS, may start a private daemon, operands, help */
#define TOOL_COMMANDS(X)                                                                                               \
    X(run, 'r', true, "FILE [ARGS]", "run a WebAssembly program")                                                      \
    X(validate, 'v', false, "FILE...", "say of each module whether it is valid, or where it is not and why")           \
    X(asm, 'a', false, "FILE", "turn the text format into a binary module")                                            \
    X(wat, 'w', false, "FILE", "turn a binary module into the text format")                                            \
    X(code, 'c', true, "FILE [FUNCTION]",                                                                              \
      "show what the daemon runs in place of a function, or of all, beside its text")                                  \
    X(info, 'i', false, "", "say what the daemon enforces: tenant, limits, jail, kernel features")                     \
    X(ping, 'p', false, "", "does the daemon answer? Measures a round trip")                                           \
    X(stats, 's', false, "", "print the counters of a tenant's worker, of all connections")

struct command {
    const char *name;
    char letter;
    bool starts_daemon;
    const char *operands, *help;
    int (*run)(const struct tool_options *o);
};

/* ---- help.c */
/* Does the option belong to the command, or (NULL) before it? */
bool option_belongs(int option, const struct command *c);
const char *option_name(int option);
const char *option_argument(int option); /* NULL: it takes none */
/* The command of that name, or NULL. */
const struct command *command_find(const char *name);
int print_help(const struct command *c); /* NULL: of all of it */
int print_page(void);

/* ---- output.c */
/* Standard streams that are closed stay errors, instead of becoming whatever is opened next; stdout is one of ours. */
void output_start(void);
/* Writes all of it, waiting where it must and may; false: errno, kept for output_finish() if it is standard output or
 * error, and not because the time was over. */
bool output_write(int fd, const void *bytes, size_t n);
/* An input that failed: as an output. */
void input_failed(int why);
/* Flushes stdout. `status`, or, if that was a guest's own and something could not be written or read, EXIT_OUTPUT, or
 * that of the interrupt. */
int output_finish(int status);
/* Could something not be written or read? */
bool output_failed(void);
/* Lines, escaped (.said): a message, with "hemi: " before it; more about it; a line of standard output; a line of
 * standard error that was asked for, and so is output. */
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
void tell_more(const char *format, ...) __attribute__((format(printf, 1, 2)));
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Formats and escapes. The caller frees it; NULL: no memory. */
char *escaped(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

/* ---- interrupts.c */
/* The first ^C interrupts the guest, the second ends us; one that was ignored before stays so. */
void interrupts_catch(hemi_client *client);
void interrupts_release(void);
bool interrupted(void);
/* From now on the program may take that long (0: for ever), until the clock is stopped. */
void clock_start(uint64_t ms);
void clock_stop(void);
/* Is the time over? */
bool is_late(void);
/* Interrupted or late: no write waits any more. */
bool must_not_wait(void);
/* Ends the program by SIGINT, as its parent expects it. */
void die_of_interrupt(void) __attribute__((noreturn));

/* ---- outcome.c */
/* Tells what went wrong, keeps it for --outcome-json (the first one), and gives the exit status again. */
int fail_with(int exit, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same of a file that could not be read, or is no module. */
struct module_file;
int fail_file(const struct module_file *m);
/* Keeps it, told already. `text` is escaped. Where it is: the file's own failure knows (`client` NULL), or the client.
 */
void outcome_keep(int exit, const char *text, const struct module_file *m, const hemi_client *client);
/* The same of the client's last failure, and where. */
int tell_failure(hemi_client *client, const char *where);
/* The same of a client that could not connect: what is silent there, or says something else, is no daemon. */
int tell_no_session(hemi_client *client, const char *where);
/* Failures are of this module from now on, which tells their places if it is text; NULL: of none. */
void outcome_of(const struct module_file *m);
/* A guest that called proc_exit. */
int guest_exit(const char *file, int32_t code);
/* A descriptor to write to, from the command line. */
int outcome_take(const struct tool_options *o);
/* Writes the object, if one is wanted. `status`, or what became of it. */
int outcome_finish(int status);

/* ---- session.c */
struct session {
    hemi_client *client;
    pid_t daemon; /* a private one; 0: none */
};
/* Connects; to a private daemon if the command may start one, no socket is named, and there is none at the usual
 * places. 0, or the exit status after telling why. */
int session_open(struct session *s, const struct tool_options *o);
void session_close(struct session *s);

/* ---- values.c */
/* Reads an argument of that type. 0, or the exit status after telling what is wrong. */
int parse_value(const char *text, hemi_type type, hemi_val *out);
void print_value(const hemi_val *val);
/* The option's value, if it is given: a whole number, a size with a unit, a time with one; from 0 (1: size, time) to
 * max. 0, or the exit status after telling what is wrong with it. */
int take_number(const struct tool_options *o, enum tool_option option, uint64_t max, uint64_t *out);
int take_size(const struct tool_options *o, enum tool_option option, uint64_t *bytes);
int take_time(const struct tool_options *o, enum tool_option option, uint64_t max, uint64_t *ms);

/* ---- limits.c */
enum { RAISE_WORDS = 8 };
/* What a private daemon is told so that the sizes asked for can be had. Returns how many words. */
size_t limits_raise(const struct tool_options *o, const char *argv[RAISE_WORDS]);
/* More than the tenant may have is refused, where the daemon would give less. 0, or the exit status. */
int limits_check(const struct tool_options *o, hemi_client *client);

/* ---- file.c */
struct module_file {
    const char *path; /* borrowed */
    void *bytes;      /* the binary module */
    size_t size;
    char *text; /* what it was assembled from; NULL: the file is binary */
    size_t text_size;
    int exit; /* after a failure: EXIT_FILE; EXIT_INVALID: the file was read, but is no module; EXIT_LIMIT */
    uint32_t line, column; /* after a failure: where it is; 0: at no place of a text */
    char why[4600];        /* after a failure: path, place and message */
};
/* Reads a module: binary, or text, which is assembled with `options`. False: m->exit and m->why, and nothing to free.
 */
bool module_read(const char *path, const struct hemi_wat_options *options, struct module_file *m);
void module_free(struct module_file *m);
/* Where in the text an instruction is; false: it is not made from text, or nowhere in it. */
bool module_locate(const struct module_file *m, uint64_t offset, uint32_t *line, uint32_t *column);
/* "path:line:column" of the client's last error, "path:0x2f" if it is nowhere in a text, or "path". */
const char *module_place(const struct module_file *m, const hemi_client *client, char *out, size_t size);

/* ---- the commands */
#define X(name, letter, starts, operands, help) int command_##name(const struct tool_options *o);
TOOL_COMMANDS(X)
#undef X

#endif
