/* server/main.c -- hemid's command line. A worker is the same program with --worker. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/common/inherited.h"
#include "server/common/last_words.h"
#include "server/common/log.h"
#include "server/supervisor/supervisor.h"
#include "server/worker/boot.h"

/* long name, short letter, argument, meaning */
#define COMMAND_OPTIONS(X)                                                                                             \
    X("socket", 's', "PATH",                                                                                           \
      "listen at PATH (else $HEMI_SOCKET, $XDG_RUNTIME_DIR/hemi/hemi.sock, /run/hemi/hemi.sock)")                      \
    X("config", 'c', "FILE", "read the configuration from FILE")                                                       \
    X("check-config", 'C', "FILE", "only check FILE; exit status 0 or 2")                                              \
    X("dump-config", 'D', NULL, "print every option in force, and exit")                                               \
    X("config-docs", 'M', NULL, "print the manual of all options, and exit")                                           \
    X("log-level", 'l', "LEVEL", "debug, info, warning or error")                                                      \
    X("private-fd", 'p', "N", "serve the one client connected at descriptor N, and exit with it")                      \
    X("raise", 'r', "LIMIT=VALUE", "with --private-fd and no FILE: a limit that is to be at least that; repeatable")   \
    X("version", 'V', NULL, "print the version, and exit")                                                             \
    X("help", 'h', NULL, "print this, and exit")

#define EXIT_USAGE 2

static const struct option long_options[] = {
#define X(name, letter, argument, meaning) {name, (argument) != NULL ? required_argument : no_argument, NULL, letter},
    COMMAND_OPTIONS(X)
#undef X
        {NULL, 0, NULL, 0}};

static void print_help(void)
{
    fputs("usage: hemid [OPTIONS]\nThe Hemi daemon: WebAssembly stores in jailed worker processes, one per tenant.\n\n",
          stdout);
#define X(name, letter, argument, meaning)                                                                             \
    printf("  --%s%s%-*s %s\n", name, (argument) != NULL ? "=" : "", (int)(22 - strlen(name) - ((argument) != NULL)),  \
           (argument) != NULL ? (argument) : "", meaning);
    COMMAND_OPTIONS(X)
#undef X
    fputs(
        "\nSIGTERM drains and stops; SIGHUP reads the configuration again. See docs/config.md and docs/operating.md.\n",
        stdout);
}

/* --check-config and --dump-config. */
static int show_config(const struct supervisor_options *options, bool dump)
{
    struct config config;
    struct config_error error = {""};
    config_set_defaults(&config);
    int status = supervisor_load(options, &config, &error);
    if (status != 0)
        log_complain("%s", error.text[0] != 0 ? error.text : strerror(-status));
    else if (dump)
        config_dump(&config, stdout);
    config_deinit(&config);
    return status == 0 ? EXIT_SUCCESS : EXIT_USAGE;
}

static int usage_error(const char *option, const char *value)
{
    static const char *const rows[][2] = {
#define X(name, letter, argument, meaning) {name, meaning},
        COMMAND_OPTIONS(X)
#undef X
    };
    const char *takes = "";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i][0], option) == 0) takes = rows[i][1];
    log_complain("--%s: \"%s\" is not possible (%s); see hemid --help", option, value, takes);
    return EXIT_USAGE;
}

/* A descriptor's number, or -1. */
static int parse_fd(const char *text)
{
    char *end;
    errno = 0;
    long fd = strtol(text, &end, 10);
    return errno == 0 && *text != 0 && *end == 0 && fd >= 0 && fd < 1 << 20 ? (int)fd : -1;
}

static int parse_level(const char *text)
{
    uint64_t level;
    return config_parse_level(text, &level) == 0 ? (int)level : -1;
}

static bool take_raise(struct supervisor_options *options, const char *text)
{
    struct config config;
    config_set_defaults(&config);
    if (options->nraises == SUPERVISOR_RAISES || config_raise(&config, text) != 0) return false;
    options->raises[options->nraises++] = text;
    return true;
}

int main(int argc, char **argv)
{
    inherited_reset();
    server_last_words(NULL);
    if (boot_is_worker(argc, argv)) {
        inherited_release();
        return boot_worker(worker_main);
    }
    struct supervisor_options options = {.self = argv[0], .private_fd = -1, .log_level = -1};
    bool dump = false, check = false;
    opterr = 0; /* its messages would show the words as they are */
    for (int letter; (letter = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        switch (letter) {
        case 's':
            options.socket = optarg;
            break;
        case 'c':
            options.config_file = optarg;
            break;
        case 'C':
            options.config_file = optarg, check = true;
            break;
        case 'D':
            dump = true;
            break;
        case 'M':
            return config_docs(stdout), EXIT_SUCCESS;
        case 'l':
            if ((options.log_level = parse_level(optarg)) < 0) return usage_error("log-level", optarg);
            break;
        case 'p':
            if ((options.private_fd = parse_fd(optarg)) < 0) return usage_error("private-fd", optarg);
            break;
        case 'r':
            if (!take_raise(&options, optarg)) return usage_error("raise", optarg);
            break;
        case 'V':
            return puts("hemid " HEMI_VERSION) < 0;
        case 'h':
            return print_help(), EXIT_SUCCESS;
        default:
            log_complain("%s: no such option, or without its argument; see hemid --help", argv[optind - 1]);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        log_complain("\"%s\": there are options only; see hemid --help", argv[optind]);
        return EXIT_USAGE;
    }
    if (options.nraises > 0 && (options.private_fd < 0 || options.config_file != NULL))
        return usage_error("raise", options.raises[0]);
    if (check || dump) {
        inherited_release();
        return show_config(&options, dump);
    }
    return supervisor_run(&options);
}
