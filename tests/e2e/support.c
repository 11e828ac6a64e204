/* tests/e2e/support.c -- see support.h. */
#include "tests/e2e/support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/wat/wat.h"

double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

double slowness(void)
{
#if defined(__SANITIZE_ADDRESS__) || (defined(__has_feature) && __has_feature(address_sanitizer))
    return 5;
#elif defined(HEMI_STRESS)
    return 2;
#else
    return 1;
#endif
}

uint64_t test_seed(void)
{
    static uint64_t seed;
    if (seed != 0) return seed;
    const char *given = getenv("HEMI_SEED");
    seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    if (seed == 0) seed = 1;
    printf("HEMI_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

uint64_t test_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

/* ---- processes */

static const char *build_dir(void)
{
    const char *dir = getenv("HEMI_BUILD");
    return dir ? dir : HEMI_BUILD_DIR;
}

const char *built(const char *program)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/bin/%s", build_dir(), program);
    return path;
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
    fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
}

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f) return strdup("");
    char *text = NULL;
    size_t cap = 0;
    ssize_t n = getdelim(&text, &cap, 0, f);
    fclose(f);
    if (n >= 0) return text;
    free(text);
    return strdup("");
}

/* Does something listen at this path? */
static bool answers(const char *path)
{
    hemi_client *client = NULL;
    struct hemi_connect_options options = {.socket = path, .timeout_ms = 20000};
    hemi_status status = hemi_connect(&options, &client);
    hemi_client_free(client);
    return status != HEMI_CONNECT;
}

/* `log` is closed. */
static void spawn(struct daemon *d, int log, const char *const *argv)
{
    d->pid = fork();
    if (d->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves no daemon */
        dup2(log, 2);
        dup2(log, 1);
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    close(log);
    ck_assert_int_gt(d->pid, 0);
}

static void wait_until_it_answers(struct daemon *d)
{
    double end = now_ms() + 20000;
    while (!answers(d->socket)) {
        int status;
        if (waitpid(d->pid, &status, WNOHANG) == d->pid || now_ms() > end) {
            char *log = read_file(d->log);
            ck_abort_msg("hemid did not come up:\n%s", log);
        }
        poll(NULL, 0, 10);
    }
}

static void make_dir(struct daemon *d)
{
    memset(d, 0, sizeof *d);
    snprintf(d->dir, sizeof d->dir, "/tmp/hemi-test-XXXXXX");
    ck_assert(mkdtemp(d->dir) != NULL);
    snprintf(d->log, sizeof d->log, "%s/log", d->dir);
    snprintf(d->socket, sizeof d->socket, "%s/a.sock", d->dir);
}

/* Every "%s" becomes the scratch directory. */
static void write_config(const struct daemon *d, const char *path, const char *config)
{
    FILE *f = fopen(path, "w");
    ck_assert(f != NULL);
    for (const char *p; (p = strstr(config, "%s")) != NULL; config = p + 2)
        fprintf(f, "%.*s%s", (int)(p - config), config, d->dir);
    fputs(config, f);
    ck_assert_int_eq(fclose(f), 0);
}

static int open_log(const struct daemon *d) { return open(d->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600); }

static void start_config(struct daemon *d, int log, const char *config)
{
    char path[96];
    snprintf(path, sizeof path, "%s/hemid.conf", d->dir);
    write_config(d, path, config);
    spawn(d, log, (const char *const[]){built("hemid"), "--config", path, NULL});
    wait_until_it_answers(d);
}

void daemon_start(struct daemon *d, const char *config)
{
    make_dir(d);
    if (config) return start_config(d, open_log(d), config);
    spawn(d, open_log(d), (const char *const[]){built("hemid"), "--socket", d->socket, NULL});
    wait_until_it_answers(d);
}

void daemon_start_logging(struct daemon *d, const char *config, int log)
{
    make_dir(d);
    start_config(d, log, config);
}

void daemon_start_tenants(struct daemon *d, unsigned count, const char *limits)
{
    char config[4096];
    int n = snprintf(config, sizeof config, "tenants = (\n");
    for (unsigned i = 0; i < count; i++)
        n += snprintf(config + n, sizeof config - (size_t)n,
                      "  { name = \"%c\"; socket = { path = \"%%s/%c.sock\"; }; limits = { %s }; }%s\n", 'a' + (int)i,
                      'a' + (int)i, limits ? limits : "", i + 1 < count ? "," : "");
    snprintf(config + n, sizeof config - (size_t)n, ");\n");
    daemon_start(d, config);
}

const char *daemon_socket(const struct daemon *d, unsigned tenant)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%c.sock", d->dir, 'a' + (int)tenant);
    return path;
}

unsigned daemon_workers(const struct daemon *d, pid_t *out, unsigned max)
{
    char path[96];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", d->pid, d->pid);
    char *text = read_file(path), *at = text, *end;
    unsigned n = 0;
    for (long pid; n < max && (pid = strtol(at, &end, 10), end != at); at = end) out[n++] = (pid_t)pid;
    free(text);
    return n;
}

void daemon_wait_workers(const struct daemon *d, unsigned n)
{
    pid_t pids[64];
    double end = now_ms() + 10000 * slowness();
    unsigned have;
    while ((have = daemon_workers(d, pids, 64)) != n) {
        ck_assert_msg(now_ms() < end, "%u workers, not %u", have, n);
        poll(NULL, 0, 5);
    }
}

unsigned open_fds(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *dir = opendir(path);
    if (dir == NULL && errno == EACCES) return 0;
    ck_assert_msg(dir != NULL, "%s: %s", path, strerror(errno));
    unsigned n = 0;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

bool daemon_logged(const struct daemon *d, const char *text)
{
    char *log = read_file(d->log);
    bool found = strstr(log, text) != NULL;
    free(log);
    return found;
}

static void remove_dir(const char *dir)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    ck_assert_int_eq(system(command), 0);
}

/* It ends with the daemon; the kernel may need a moment for that. */
static bool is_gone(pid_t pid)
{
    for (double end = now_ms() + 5000; kill(pid, 0) == 0; poll(NULL, 0, 5))
        if (now_ms() > end) return false;
    return true;
}

void daemon_stop(struct daemon *d)
{
    pid_t workers[64];
    unsigned n = daemon_workers(d, workers, 64);
    int status = 0;
    kill(d->pid, SIGTERM);
    double end = now_ms() + 30000;
    while (waitpid(d->pid, &status, WNOHANG) == 0) {
        ck_assert_msg(now_ms() < end, "hemid does not end on SIGTERM");
        poll(NULL, 0, 5);
    }
    char *log = read_file(d->log);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "hemid ended with %x:\n%.3000s", status, log);
    for (unsigned i = 0; i < n; i++)
        ck_assert_msg(is_gone(workers[i]), "process %d outlived hemid:\n%.3000s", workers[i], log);
    bool reported = strstr(log, "Sanitizer") || strstr(log, "runtime error:") || strstr(log, "heap_verify");
    ck_assert_msg(d->crashes || !reported, "the daemon's log:\n%.3000s", log);
    free(log);
    remove_dir(d->dir);
}

/* How long a process was ready to run and did not: Linux, Documentation/scheduler/sched-stats. 0 where that is not
 * counted. */
static double waited_ms(pid_t pid)
{
    char path[64];
    unsigned long long waited = 0;
    snprintf(path, sizeof path, "/proc/%d/schedstat", pid);
    FILE *f = fopen(path, "r");
    if (f == NULL) return 0;
    if (fscanf(f, "%*u %llu", &waited) != 1) waited = 0;
    fclose(f);
    return (double)waited / 1e6;
}

static double all_waited_ms(const struct daemon *d)
{
    pid_t workers[64];
    unsigned n = daemon_workers(d, workers, 64);
    double sum = waited_ms(getpid()) + waited_ms(d->pid);
    for (unsigned i = 0; i < n; i++) sum += waited_ms(workers[i]);
    return sum;
}

struct stopwatch stopwatch_start(const struct daemon *d)
{
    struct stopwatch w = {.daemon = d, .waited = all_waited_ms(d)};
    w.began = now_ms();
    return w;
}

double stopwatch_ms(const struct stopwatch *w)
{
    double took = now_ms() - w->began, waited = all_waited_ms(w->daemon) - w->waited;
    return waited > 0 ? took - waited : took; /* less than 0: a worker is gone */
}

/* ---- clients */

hemi_client *client_open(const char *socket)
{
    hemi_client *client = NULL;
    struct hemi_connect_options options = {.socket = socket, .timeout_ms = 20000};
    hemi_status status = hemi_connect(&options, &client);
    ck_assert_msg(status == HEMI_OK, "%s: %s: %s", socket, hemi_status_text(status), hemi_client_error(client));
    return client;
}

void expect_status(hemi_client *client, hemi_status wanted, hemi_status got, const char *what, const char *file,
                   int line)
{
    ck_assert_msg(got == wanted, "%s:%d: %s: %s, not %s (%s)", file, line, what, hemi_status_text(got),
                  hemi_status_text(wanted), client ? hemi_client_error(client) : "");
}

void wat(const char *text, uint8_t **bytes, size_t *size)
{
    struct wat_error err;
    int status = wat_assemble(text, strlen(text), "test", bytes, size, &err);
    ck_assert_msg(status == 0, "%u:%u: %s in:\n%s", err.line, err.column, err.message, text);
}

hemi_module *module_from(hemi_client *client, const char *text)
{
    uint8_t *bytes;
    size_t size;
    hemi_module *module = NULL;
    wat(text, &bytes, &size);
    ok(client, hemi_module_new(client, bytes, size, &module, NULL));
    free(bytes);
    return module;
}

hemi_instance *instance_from(hemi_client *client, const char *text, hemi_store **store)
{
    hemi_instance *instance = NULL;
    hemi_module *module = module_from(client, text);
    ok(client, hemi_store_new(client, NULL, store, NULL));
    ok(client, hemi_instance_new(*store, module, NULL, 0, NULL, &instance, NULL));
    return instance;
}

hemi_object *export_of(hemi_instance *instance, const char *name)
{
    hemi_object *object = NULL;
    hemi_status status = hemi_export_get(instance, name, &object, NULL);
    ck_assert_msg(status == HEMI_OK, "export %s: %s", name, hemi_status_text(status));
    return object;
}

int32_t call_i32(hemi_object *function, unsigned nargs, ...)
{
    hemi_val args[8], result = hemi_i32(0);
    va_list ap;
    va_start(ap, nargs);
    for (unsigned i = 0; i < nargs; i++) args[i] = hemi_i32(va_arg(ap, int32_t));
    va_end(ap);
    hemi_status status = hemi_call(function, args, nargs, &result, 1, NULL);
    ck_assert_msg(status == HEMI_OK, "call: %s", hemi_status_text(status));
    return result.of.i32;
}

/* ---- programs */

struct outcome run_program(const char *const *argv, const char *input)
{
    char in[] = "/tmp/hemi-in-XXXXXX", out[] = "/tmp/hemi-out-XXXXXX", err[] = "/tmp/hemi-err-XXXXXX";
    int fds[3] = {mkstemp(in), mkstemp(out), mkstemp(err)}, status = 0;
    for (int i = 0; i < 3; i++) ck_assert_int_ge(fds[i], 0);
    if (input) write_file(in, input);
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 3; i++) dup2(fds[i], i);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    struct outcome o = {.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
                        .out = read_file(out),
                        .err = read_file(err)};
    for (int i = 0; i < 3; i++) close(fds[i]);
    unlink(in);
    unlink(out);
    unlink(err);
    return o;
}

void outcome_deinit(struct outcome *o)
{
    free(o->out);
    free(o->err);
}

int run_suite(Suite *s)
{
    test_seed();
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
