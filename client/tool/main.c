/* The `hemi` command: which command, which options. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/tool/tool.h"

/* name, letter in TOOL_OPTIONS, operands, help */
#define TOOL_COMMANDS(X)                                                                                               \
    X(run, 'r', "FILE [ARGS]", "run a WebAssembly program")                                                            \
    X(validate, 'v', "FILE...", "say of each module whether it is valid, or where it is not and why")                  \
    X(asm, 'a', "FILE", "turn the text format into a binary module")                                                   \
    X(wat, 'w', "FILE", "turn a binary module into the text format")                                                   \
    X(info, 'i', "", "say what the daemon enforces: tenant, limits, jail, kernel features")                            \
    X(ping, 'p', "", "measure a round trip")                                                                           \
    X(stats, 's', "", "print the worker's counters")

struct command {
    const char *name;
    char letter;
    const char *operands, *help;
    int (*run)(const struct tool_options *o);
};
static const struct command commands[] = {
#define X(name, letter, operands, help) {#name, letter, operands, help, command_##name},
    TOOL_COMMANDS(X)
#undef X
};

static const struct tool_option_row {
    const char *name, *argument, *commands, *help;
} rows[] = {
#define X(name, text, argument, commands, help) {text, argument, commands, help},
    TOOL_OPTIONS(X)
#undef X
};

static void print_options(const struct command *c)
{
    for (size_t i = 0; i < TOOL_OPTION_COUNT; i++) {
        char name[64];
        if (!strchr(rows[i].commands, c->letter)) continue;
        snprintf(name, sizeof name, "--%s%s%s", rows[i].name, rows[i].argument ? " " : "",
                 rows[i].argument ? rows[i].argument : "");
        printf("  %-22s %s\n", name, rows[i].help);
    }
}

static int print_help(const struct command *c)
{
    if (c) {
        printf("usage: hemi %s [OPTIONS] %s\n%s\n\n", c->name, c->operands, c->help);
        print_options(c);
        return EXIT_OK;
    }
    puts("usage: hemi [--socket PATH] [--token-file FILE] COMMAND [OPTIONS] ...\n\ncommands (hemi COMMAND --help says "
         "more):");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        printf("  %-8s %-12s %s\n", commands[i].name, commands[i].operands, commands[i].help);
    puts("\nA FILE is a binary module or in the text format; its first bytes tell; - is standard input. Exit status of "
         "run:\nthe program's own; 128 + the trap's code; 125 if Hemi could not run it; 2 for a wrong command line. Of "
         "validate:\n0 if all are valid, 1 if not. Where no daemon listens and no --socket is given, a private one is "
         "started meanwhile.");
    return EXIT_OK;
}

static int print_version(void)
{
    printf("hemi %s\n", hemi_version());
    return EXIT_OK;
}

/* Does the option belong to the command, or (NULL) before it? */
static bool belongs(int option, const struct command *c)
{
    return strchr(rows[option].commands, c ? c->letter : '.') != NULL;
}

/* Options of one command, or those before it (NULL), then the rest. -1, or the exit status. */
static int parse_options(const struct command *c, int argc, char **argv, struct tool_options *o)
{
    struct option longs[TOOL_OPTION_COUNT + 1] = {0};
    static char tool[] = "hemi"; /* who complains, in getopt's messages */
    int n = 0, index;
    argv[0] = tool;
    for (int i = 0; i < TOOL_OPTION_COUNT; i++)
        if (belongs(i, c))
            longs[n++] = (struct option){rows[i].name, rows[i].argument ? required_argument : no_argument, NULL, i};
    optind = 0; /* glibc: begin anew, with another list */
    /* What follows a program is the program's; elsewhere options may follow files. */
    const char *shorts = belongs(OPTION_OUTPUT, c) ? "o:" : !c || c->letter == 'r' ? "+" : "";
    while ((index = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (index == '?') return EXIT_USAGE;
        if (index == 'o') index = OPTION_OUTPUT;
        o->values[index] = optarg ? optarg : "";
        if (index == OPTION_ENV) o->envs[o->nenvs++] = optarg;
        if (index == OPTION_HELP) return print_help(c);
        if (index == OPTION_VERSION) return print_version();
    }
    o->rest = argv + optind;
    o->nrest = argc - optind;
    return -1;
}

/* The command that the rest begins with; its options; itself. */
static int run_command(struct tool_options *o)
{
    const char *name = o->nrest > 0 ? o->rest[0] : "";
    if (strcmp(name, "help") == 0) return print_help(NULL);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(name, commands[i].name) != 0) continue;
        int status = parse_options(&commands[i], o->nrest, o->rest, o);
        return status < 0 ? commands[i].run(o) : status;
    }
    fprintf(stderr, "hemi: %s%s\n", *name ? "no such command: " : "which command? Try: hemi --help", name);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    struct tool_options o = {.envs = calloc((size_t)argc + 1, sizeof *o.envs)};
    if (!o.envs) return EXIT_HEMI;
    int status = parse_options(NULL, argc, argv, &o);
    if (status < 0) status = run_command(&o);
    free(o.envs);
    return status;
}
