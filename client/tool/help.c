/* What hemi --help says, and docs/tool.md: both from the rows. */
#include <stdlib.h>
#include <string.h>

#include "client/tool/tool.h"

static const struct command commands[] = {
#define X(name, letter, starts, operands, help) {#name, letter, starts, operands, help, command_##name},
    TOOL_COMMANDS(X)
#undef X
};
#define COMMANDS (sizeof commands / sizeof *commands)

static const struct tool_option_row {
    const char *name, *argument, *commands, *help;
} rows[] = {
#define X(name, text, argument, commands, help) {text, argument, commands, help},
    TOOL_OPTIONS(X)
#undef X
};

static const struct exit_row {
    int number;
    const char *word, *meaning;
} exits[] = {
#define X(name, number, word, meaning) {number, word, meaning},
    TOOL_EXITS(X)
#undef X
};
#define EXITS (sizeof exits / sizeof *exits)

bool option_belongs(int option, const struct command *c)
{
    return strchr(rows[option].commands, c ? c->letter : '.') != NULL;
}

const char *option_name(int option) { return rows[option].name; }
const char *option_argument(int option) { return rows[option].argument; }

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(name, commands[i].name) == 0) return &commands[i];
    return NULL;
}

/* What is no row. One text for both. */
#define ABOUT_FILES "A FILE is a binary module or in the text format; its first bytes tell. `-` is standard input."
#define ABOUT_VALUES                                                                                                   \
    "A SIZE is a number of bytes, or one with a unit: B, KiB, MiB, GiB. A TIME is a number of\n"                       \
    "milliseconds, or one with a unit: ms, s, m, h. A size that is more than the tenant may have is\n"                 \
    "refused, a longer time is cut to the tenant's; a private daemon gives as much as its configuration\n"             \
    "could say. A size below the least (a heap's 64 KiB) is rounded up. The value of an argument of\n"                 \
    "`--invoke` is a number as in the text format, without `_`; `null` for a reference; `0x` and 32\n"                 \
    "hexadecimal digits for a v128, of which the last two are byte 0; for an anyref also a number, an i31."
#define ABOUT_EXIT                                                                                                     \
    "0 to 125 are the program's own (run), and 0 that all went well. From 200 on it is Hemi's, for\n"                  \
    "every command. 128 and a signal's number only come from a signal: ^C ends the program by SIGINT,\n"               \
    "a reader that has gone by SIGPIPE."
#define ABOUT_JSON                                                                                                     \
    "`--outcome-json FD` writes one JSON object and a newline to that descriptor at the end: `outcome`\n"              \
    "(a word of the table; or `ok`, `exit` where the program called `proc_exit`, `interrupted`), `status`,\n"          \
    "and what is known of `message`, `exit_code`, `hemi_status`, `limit`, `trap` (`kind`, `number`), `function`,\n"    \
    "`offset`, `line` and `column` (of a text), `backtrace` (`kind`, `index`, `offset`, `module`, `name`; `line`,\n"   \
    "`column`). Nothing is written if a signal ends `hemi` at once."
#define ABOUT_DAEMON                                                                                                   \
    "The daemon is looked for at `--socket`, else at `$HEMI_SOCKET`, else at the first of\n"                           \
    "`$XDG_RUNTIME_DIR/hemi/hemi.sock` and `/run/hemi/hemi.sock` that exists. Only if none of the first two is "       \
    "given\n"                                                                                                          \
    "and neither file exists does `run` start a daemon for itself, and says so (but with `--quiet`). The other\n"      \
    "commands never do: `ping` with its status is a health check."
#define ABOUT_RUN                                                                                                      \
    "`run` calls `_start`, whose results it ignores; else `_initialize`. `--invoke NAME` calls that\n"                 \
    "export instead, after `_initialize` if there is one, and prints the results. Options end at\n"                    \
    "FILE, or at `--` before it; only `--invoke NAME` may also stand right behind it. The program has standard\n"      \
    "streams (terminals are told apart), arguments, variables, clocks and random numbers. In messages,\n"              \
    "characters that show nothing, or something else than they are, stand as `\\x1b` or `\\u{202e}`."

static void print_options(const struct command *c)
{
    for (int i = 0; i < TOOL_OPTION_COUNT; i++) {
        char name[64];
        if (!option_belongs(i, c)) continue;
        snprintf(name, sizeof name, "--%s%s%s", rows[i].name, rows[i].argument ? " " : "",
                 rows[i].argument ? rows[i].argument : "");
        printf("  %-22s %s\n", name, rows[i].help);
    }
}

static void print_commands(void)
{
    for (size_t i = 0; i < COMMANDS; i++)
        printf("  %-8s %-12s %s\n", commands[i].name, commands[i].operands, commands[i].help);
}

static void print_exits(void)
{
    for (size_t i = 0; i < EXITS; i++) printf("  %d %-10s %s\n", exits[i].number, exits[i].word, exits[i].meaning);
}

/* In a terminal, nothing is set off as code. */
static void put_plain(const char *text)
{
    for (; *text; text++)
        if (*text != '`') putchar(*text);
    putchar('\n');
}

int print_help(const struct command *c)
{
    if (c) {
        printf("usage: hemi %s [OPTIONS] %s\n%s\n\n", c->name, c->operands, c->help);
        print_options(c);
        if (c->letter == 'r') put_plain("\n" ABOUT_RUN "\n\n" ABOUT_VALUES);
        put_plain("\nExit statuses and all else: hemi --help");
        return EXIT_OK;
    }
    puts("usage: hemi [--socket PATH] [--token-file FILE] COMMAND [OPTIONS] ...\n\ncommands (hemi COMMAND --help says "
         "more):");
    print_commands();
    put_plain("\n" ABOUT_FILES "\n\n" ABOUT_DAEMON "\n\nExit status: " ABOUT_EXIT "\n");
    print_exits();
    put_plain("\n" ABOUT_JSON);
    return EXIT_OK;
}

/* ---- docs/tool.md */
static void page_command(const struct command *c)
{
    printf("\n## hemi %s%s%s\n\n%s.\n\n", c->name, *c->operands ? " " : "", c->operands, c->help);
    if (c->letter == 'r') puts(ABOUT_RUN "\n\n" ABOUT_VALUES "\n");
    puts("| option | meaning |\n|---|---|");
    for (int i = 0; i < TOOL_OPTION_COUNT; i++)
        if (option_belongs(i, c))
            printf("| `--%s%s%s` | %s |\n", rows[i].name, rows[i].argument ? " " : "",
                   rows[i].argument ? rows[i].argument : "", rows[i].help);
}

int print_page(void)
{
    puts("# The `hemi` command\n\nGenerated from the rows that the command itself uses (`hemi "
         "--help-page`).\n\n" ABOUT_FILES "\n\n" ABOUT_DAEMON "\n\n## Exit statuses\n\n" ABOUT_EXIT
         "\n\n| status | word | meaning |\n|---|---|---|");
    for (size_t i = 0; i < EXITS; i++) printf("| %d | `%s` | %s |\n", exits[i].number, exits[i].word, exits[i].meaning);
    puts("\n" ABOUT_JSON);
    for (size_t i = 0; i < COMMANDS; i++) page_command(&commands[i]);
    return EXIT_OK;
}
