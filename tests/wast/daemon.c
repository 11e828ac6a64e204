/* tests/wast/daemon.c -- starts and ends hemid. */
#include "tests/wast/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <hemi.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWERS_MS = 60000, ENDS_MS = 60000, LOG_TAIL = 4000 };

static void in_dir(const struct daemon *d, const char *name, char *out, size_t size)
{
    snprintf(out, size, "%s/%s", d->dir, name);
}

void daemon_socket(const struct daemon *d, unsigned i, char *out, size_t size)
{
    snprintf(out, size, "%s/%u.sock", d->dir, i);
}

/* ---- the log */

/* NUL-terminated; the caller frees. */
static char *read_log(const struct daemon *d)
{
    char path[96];
    size_t size = 0;
    char *text = NULL;
    in_dir(d, "log", path, sizeof path);
    FILE *in = fopen(path, "r");
    if (in && getdelim(&text, &size, 0, in) < 0) {
        free(text);
        text = NULL;
    }
    if (in) fclose(in);
    return text ? text : strdup("");
}

static void print_tail(const char *log)
{
    size_t length = strlen(log);
    printf("the daemon's log:\n%s\n", length > LOG_TAIL ? log + length - LOG_TAIL : log);
}

void daemon_print_log(const struct daemon *d)
{
    char *log = read_log(d);
    if (log) print_tail(log);
    free(log);
}

/* ---- starting */

/* Deep guests and large tables are what scripts are about; what a limit does has tests of its own. */
static const char limits[] =
    "  memory = \"64GiB\"; linear_memory = \"64GiB\"; heap = \"2GiB\"; table_elements = 100000000;\n"
    "  modules = 1000000; stores = 1000000; instances = 1000000;\n";

static bool write_config(const struct daemon *d, const struct daemon_options *opt)
{
    char path[96], socket[96];
    in_dir(d, "hemid.conf", path, sizeof path);
    FILE *out = fopen(path, "w");
    if (!out) return false;
    fprintf(out, "log_level = \"warning\";\nlimits = {\n%s  fault_checks = \"%s\"; canonical_nans = \"%s\"; ", limits,
            opt->no_fault_checks ? "off" : "on", opt->canonical_nans ? "on" : "off");
    fprintf(out, "count_opcodes = \"%s\";\n};\ntenants = (\n", opt->count_opcodes ? "on" : "off");
    for (unsigned i = 0; i < opt->tenants; i++) {
        daemon_socket(d, i, socket, sizeof socket);
        fprintf(out, "  { name = \"w%u\"; socket = { path = \"%s\"; }; }%s\n", i, socket,
                i + 1 < opt->tenants ? "," : "");
    }
    fputs(");\n", out);
    return fclose(out) == 0;
}

/* Only returns on failure. */
static void become_daemon(const struct daemon *d)
{
    char path[PATH_MAX], config[96], log[96];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 32);
    if (n <= 0) return;
    path[n] = 0;
    char *slash = strrchr(path, '/'); /* BUILD/tests/wast_runner */
    strcpy(slash, "/../bin/hemid");
    in_dir(d, "hemid.conf", config, sizeof config);
    in_dir(d, "log", log, sizeof log);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    execl(path, "hemid", "--config", config, (char *)NULL);
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
}

static bool answers(const struct daemon *d, unsigned tenant)
{
    char socket[96];
    hemi_client *client;
    daemon_socket(d, tenant, socket, sizeof socket);
    hemi_status status = hemi_connect(&(struct hemi_connect_options){.socket = socket}, &client);
    hemi_client_free(client);
    return status == HEMI_OK;
}

static bool wait_for_answer(struct daemon *d)
{
    for (int waited = 0; waited < ANSWERS_MS; waited += 10) {
        if (answers(d, 0)) return true;
        if (waitpid(d->pid, NULL, WNOHANG) == d->pid) {
            d->pid = 0;
            return false;
        }
        poll(NULL, 0, 10);
    }
    return false;
}

bool daemon_start(struct daemon *d, const struct daemon_options *opt)
{
    *d = (struct daemon){0};
    strcpy(d->dir, "/tmp/hemi-wast-XXXXXX");
    if (!mkdtemp(d->dir) || !write_config(d, opt)) {
        printf("%s: %s\n", d->dir, strerror(errno));
        return false;
    }
    d->pid = fork();
    if (d->pid == 0) {
        become_daemon(d);
        _exit(127);
    }
    if (d->pid > 0 && wait_for_answer(d)) return true;
    printf("hemid did not come up; ");
    daemon_stop(d);
    return false;
}

/* ---- ending */

static bool ended_well(struct daemon *d)
{
    int status = 0;
    kill(d->pid, SIGTERM);
    for (int waited = 0; waitpid(d->pid, &status, WNOHANG) == 0; waited += 10) {
        if (waited >= ENDS_MS) kill(d->pid, SIGKILL);
        poll(NULL, 0, 10);
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void remove_dir(const struct daemon *d)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", d->dir);
    if (system(command) != 0) printf("%s cannot be removed\n", d->dir);
}

bool daemon_stop(struct daemon *d)
{
    if (!d->dir[0]) return true;
    bool well = d->pid > 0 && ended_well(d);
    char *log = read_log(d);
    if (log && (strstr(log, "Sanitizer") || strstr(log, "runtime error:"))) well = false;
    if (!well && log) print_tail(log);
    free(log);
    remove_dir(d);
    *d = (struct daemon){0};
    return well;
}
