/* The `hemi` command: which command, which options. */
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "client/tool/tool.h"

static int print_version(void)
{
    printf("hemi %s\n", hemi_version());
    return EXIT_OK;
}

/* Getopt's own messages would show the words as they are (.said). `what`: ':' no argument, '?' all else. */
static int wrong_option(int what, char *const *argv)
{
    const char *word = optind > 0 ? argv[optind - 1] : "";
    if (what == ':') return fail_with(EXIT_USAGE, "%s: an argument is missing", word);
    if (optopt > 0 && optopt < TOOL_OPTION_COUNT)
        return fail_with(EXIT_USAGE, "--%s takes no argument", option_name(optopt));
    if (optopt > 0) return fail_with(EXIT_USAGE, "no such option: -%c", optopt);
    return fail_with(EXIT_USAGE, "no such option, or more than one begins so: %s", word);
}

static int take_env(struct tool_options *o, const char *text)
{
    const char *sign = strchr(text, '=');
    if (!sign || sign == text) return fail_with(EXIT_USAGE, "--env: '%s' is not NAME=VALUE", text);
    o->envs[o->nenvs++] = text;
    return 0;
}

/* Is its argument the name of a file? */
static bool names_file(int option)
{
    const char *argument = option_argument(option);
    return argument && (strcmp(argument, "PATH") == 0 || strcmp(argument, "FILE") == 0);
}

static size_t long_options(const struct command *c, struct option *out)
{
    size_t n = 0;
    for (int i = 0; i < TOOL_OPTION_COUNT; i++)
        if (option_belongs(i, c))
            out[n++] = (struct option){option_name(i), option_argument(i) ? required_argument : no_argument, NULL, i};
    return n;
}

/* -1, or the exit status. */
static int take_option(int option, const struct command *c, struct tool_options *o)
{
    o->values[option] = optarg ? optarg : "";
    if (option == OPTION_HELP) return print_help(c);
    if (option == OPTION_PAGE) return print_page();
    if (option == OPTION_VERSION) return print_version();
    int status = option == OPTION_ENV ? take_env(o, optarg) : 0;
    if (status == 0 && *o->values[option] == 0 && names_file(option))
        status = fail_with(EXIT_USAGE, "--%s: an empty name", option_name(option));
    return status == 0 ? -1 : status;
}

/* The next option of the command, or of those before it (NULL); -1: none. Words between them are moved behind them, or
 * (`in_place`) are options, too. */
static int next_option(const struct command *c, int argc, char **argv, bool in_place)
{
    struct option longs[TOOL_OPTION_COUNT + 1] = {0};
    long_options(c, longs);
    opterr = 0;
    /* What follows a program is the program's; elsewhere options may follow files. */
    const char *shorts = option_belongs(OPTION_OUTPUT, c) ? "-:o:" : !c || c->letter == 'r' ? "+:" : "-:";
    return getopt_long(argc, argv, shorts + (*shorts == '-' && !in_place), longs, NULL);
}

/* First of all, so that what is wrong before it is written there, too. -1, or the exit status. */
static int find_outcome(const struct command *c, int argc, char **argv, struct tool_options *o)
{
    int option, status = 0;
    optind = 0; /* glibc: begin anew, with another list */
    while (status == 0 && (option = next_option(c, argc, argv, true)) != -1) {
        if (option != OPTION_OUTCOME_JSON) continue;
        o->values[option] = optarg;
        status = outcome_take(o);
    }
    return status == 0 ? -1 : status;
}

/* Options of one command, or those before it (NULL), then the rest. -1, or the exit status. */
static int parse_options(const struct command *c, int argc, char **argv, struct tool_options *o)
{
    int option, status = find_outcome(c, argc, argv, o);
    optind = 0;
    while (status < 0 && (option = next_option(c, argc, argv, false)) != -1) {
        if (option == '?' || option == ':') return wrong_option(option, argv);
        status = take_option(option == 'o' ? OPTION_OUTPUT : option, c, o);
    }
    o->rest = argv + optind;
    o->nrest = argc - optind;
    return status;
}

/* The command that the rest begins with; its options; itself. */
static int run_command(struct tool_options *o)
{
    if (o->nrest <= 0) return fail_with(EXIT_USAGE, "which command? Try: hemi --help");
    if (strcmp(o->rest[0], "help") == 0) return print_help(NULL);
    const struct command *c = command_find(o->rest[0]);
    int status = c ? 0 : find_outcome(NULL, o->nrest, o->rest, o);
    if (!c) return status > 0 ? status : fail_with(EXIT_USAGE, "no such command: %s", o->rest[0]);
    status = parse_options(c, o->nrest, o->rest, o);
    o->starts_daemon = c->starts_daemon;
    if (status < 0 && *c->operands == 0 && o->nrest > 0)
        return fail_with(EXIT_USAGE, "%s takes no argument: %s", c->name, o->rest[0]);
    return status < 0 ? c->run(o) : status;
}

int main(int argc, char **argv)
{
    output_start();
    struct tool_options o = {.envs = calloc((size_t)argc + 1, sizeof *o.envs)};
    if (!o.envs) return fail_with(EXIT_LIMIT, "out of memory");
    int status = parse_options(NULL, argc, argv, &o);
    if (status < 0) status = run_command(&o);
    free(o.envs);
    status = outcome_finish(output_finish(status));
    if (status == 128 + SIGINT) die_of_interrupt();
    return status;
}
