/* tests/unit/server/supervisor/supervisor_test.c -- the supervisor with workers that only echo: identity, handover,
 * loss, draining.
 *
 * The program is its own daemon and its own worker: the supervisor starts it again with --worker. A worker here adopts
 * connections and answers lines: "pid", "memory" and "connections" (its limits), "crash", "heap", "engine" (panics);
 * anything else comes back. Some misbehave, as their tenant's name says. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "heap/heap.h"
#include "proto/frame.h"
#include "proto/hello.h"
#include "proto/hemi.pb-c.h"
#include "proto/tables/status.h"
#include "server/jail/jail.h"
#include "server/supervisor/supervisor.h"
#include "server/worker/boot.h"
#include "tests/unit/lingerer.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"

#define WAIT_MS 20000

/* ---- the worker */

#define ECHO_CLIENTS 512

struct echo {
    const struct worker_boot *boot;
    struct pollfd fds[1 + ECHO_CLIENTS]; /* the control socket, then clients */
    uint64_t ids[1 + ECHO_CLIENTS];
    nfds_t count;
};

static void tell(const struct echo *e, struct handover_msg msg)
{
    msg.fd = -1;
    if (handover_send(e->boot->control_fd, &msg) != 0 && errno != EAGAIN) _exit(WORKER_EXIT_ERROR);
}

static void echo_end(struct echo *e, nfds_t i)
{
    tell(e, (struct handover_msg){.type = HANDOVER_CLOSED, .u.closed.connection = e->ids[i]});
    close(e->fds[i].fd);
    e->fds[i] = e->fds[--e->count];
    e->ids[i] = e->ids[e->count];
}

static void *leaked;

static bool is(const struct echo *e, const char *tenant) { return strcmp(e->boot->tenant, tenant) == 0; }

static void answer(const struct echo *e, uint64_t nonce)
{
    if (is(e, "mute")) return;
    tell(e, (struct handover_msg){.type = HANDOVER_ANSWER, .u.answer.nonce = nonce + is(e, "liar")});
}

/* Does something other than to adopt: true. */
static bool misbehave(const struct echo *e, uint64_t connection)
{
    struct handover_msg refusal = {.type = HANDOVER_NOT_ADOPTED, .u.not_adopted.connection = connection};
    if (is(e, "hoarder")) return true;
    if (is(e, "quitter")) _exit(WORKER_EXIT_OK);
    if (is(e, "full") || (is(e, "full-first") && e->boot->generation == 1 && e->count > 1) ||
        (is(e, "full-of-one") && e->count > 1))
        refusal.u.not_adopted.reason = HANDOVER_NO_DESCRIPTOR;
    if (is(e, "poor")) refusal.u.not_adopted.reason = HANDOVER_NO_MEMORY;
    if (is(e, "leaver")) refusal.u.not_adopted.reason = HANDOVER_LEAVING;
    if (refusal.u.not_adopted.reason == 0) return false;
    tell(e, refusal);
    return true;
}

static void say_phase(const struct echo *e, uint32_t phase)
{
    tell(e, (struct handover_msg){.type = HANDOVER_STATUS, .u.status.phase = phase});
}

/* What a worker says before it serves; the names are tenants. */
static void say_phases(const struct echo *e)
{
    if (is(e, "idle-first")) say_phase(e, HANDOVER_IDLE);
    if (is(e, "adopted-first")) tell(e, (struct handover_msg){.type = HANDOVER_ADOPTED, .u.adopted.connection = 1});
    say_phase(e, HANDOVER_READY);
    if (is(e, "ready-twice")) say_phase(e, HANDOVER_READY);
    if (is(e, "late-jail")) say_phase(e, HANDOVER_JAIL_FAILED);
    for (int i = 0; is(e, "idle-twice") && i < 2; i++) say_phase(e, HANDOVER_IDLE);
    if (is(e, "closed-first")) tell(e, (struct handover_msg){.type = HANDOVER_CLOSED, .u.closed.connection = 1});
    if (is(e, "answers-first")) tell(e, (struct handover_msg){.type = HANDOVER_ANSWER});
}

/* Returns false when it is to end. */
static bool echo_control(struct echo *e)
{
    struct handover_msg msg;
    int status = handover_recv(e->boot->control_fd, HANDOVER_DOWN, &msg);
    if (status == -EAGAIN) return true;
    if (status != 1) return false;
    if (msg.type == HANDOVER_DRAIN && is(e, "stubborn")) return true;
    if (msg.type == HANDOVER_DRAIN && is(e, "leaky")) *(void *volatile *)&leaked = malloc(100);
    if (msg.type == HANDOVER_ASK) return answer(e, msg.u.ask.nonce), true;
    if (msg.type != HANDOVER_ADOPT) return false;
    if (misbehave(e, msg.u.adopt.connection)) return close(msg.fd), true;
    e->fds[e->count] = (struct pollfd){.fd = msg.fd, .events = POLLIN};
    e->ids[e->count++] = msg.u.adopt.connection;
    tell(e, (struct handover_msg){.type = HANDOVER_ADOPTED, .u.adopted.connection = msg.u.adopt.connection});
    return true;
}

static void echo_line(const struct echo *e, int fd, const char *line, size_t len)
{
    char answer[256];
    if (strncmp(line, "crash", 5) == 0) {
        page_last_words(e->boot->page, "farewell", 8);
        abort();
    }
    if (strncmp(line, "heap", 4) == 0) heap_collect(calloc(1, 65536)); /* which is no heap */
    if (strncmp(line, "engine", 6) == 0) check_failed("engine.c", 7, "nothing == something", ".invariant");
    if (strncmp(line, "pid", 3) == 0)
        len = (size_t)snprintf(answer, sizeof answer, "%d\n", getpid());
    else if (strncmp(line, "connections", 11) == 0)
        len = (size_t)snprintf(answer, sizeof answer, "%" PRIu64 "\n", e->boot->limits.connections);
    else if (strncmp(line, "memory", 6) == 0)
        len = (size_t)snprintf(answer, sizeof answer, "%" PRIu64 "\n", e->boot->limits.memory);
    else
        memcpy(answer, line, len);
    if (send(fd, answer, len, MSG_NOSIGNAL) < 0) return;
}

#define SHORT_LINES "x\nx\nx\nx\nx\nx\nx\nx\nx\nx\nx\nx\nx\nx\nx\nx\n"
static const char babble[] = SHORT_LINES SHORT_LINES SHORT_LINES SHORT_LINES SHORT_LINES SHORT_LINES SHORT_LINES;

static int echo_worker(const struct worker_boot *boot)
{
    static struct echo e;
    char line[256];
    e.boot = boot;
    e.fds[0] = (struct pollfd){.fd = boot->control_fd, .events = POLLIN};
    e.count = 1;
    say_phases(&e);
    for (;;) {
        bool babbles = is(&e, "babbler");
        if (babbles && write(STDERR_FILENO, babble, sizeof babble - 1) < 0 && errno != EAGAIN) return WORKER_EXIT_ERROR;
        if (poll(e.fds, e.count, babbles ? 0 : -1) < 0) return WORKER_EXIT_ERROR;
        for (nfds_t i = e.count; i-- > 1;) {
            if (e.fds[i].revents == 0) continue;
            ssize_t got = recv(e.fds[i].fd, line, sizeof line, 0);
            if (got > 0)
                echo_line(&e, e.fds[i].fd, line, (size_t)got);
            else
                echo_end(&e, i);
        }
        if (e.fds[0].revents != 0 && !echo_control(&e)) return WORKER_EXIT_OK;
    }
}

/* ---- the daemon */

static pid_t daemon_pid;

static void sleep_ms(long ms) { nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL); }

static bool log_has(const char *text) { return strstr(log_text(), text) != NULL; }

static bool wait_for_log(const char *text)
{
    for (int i = 0; i < WAIT_MS / 10; i++) {
        if (log_has(text)) return true;
        sleep_ms(10);
    }
    return false;
}

static rlim_t nofile; /* the daemon's limit; 0: as it is */

static void limit_nofile(void)
{
    struct rlimit limit = {nofile, nofile};
    if (nofile != 0 && setrlimit(RLIMIT_NOFILE, &limit) != 0) _exit(99);
}

static pid_t start(const struct supervisor_options *options)
{
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child != 0) return child;
    int log = open(in_directory("log"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(log, STDERR_FILENO);
    close(log);
    limit_nofile();
    exit(supervisor_run(options));
}

/* Starts the daemon with this configuration and waits until it is ready. */
static void start_config(const char *text)
{
    struct supervisor_options options = {.config_file = write_file("conf", text), .private_fd = -1, .log_level = -1};
    unlink(in_directory("log"));
    daemon_pid = start(&options);
    ck_assert(wait_for_log("\"ready\""));
}

static int wait_exit(pid_t pid)
{
    int status;
    for (int i = 0; i < WAIT_MS / 10; i++) {
        pid_t got = waitpid(pid, &status, WNOHANG);
        ck_assert_int_ge(got, 0);
        if (got == pid) return status;
        sleep_ms(10);
    }
    ck_abort_msg("process %d does not end", pid);
}

static int stop_daemon(void)
{
    kill(daemon_pid, SIGTERM);
    int status = wait_exit(daemon_pid);
    daemon_pid = 0;
    return status;
}

static void setup(void)
{
    strcpy(directory, "/tmp/hemi-super-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    daemon_pid = 0;
    nofile = 0;
    signal(SIGXFSZ, SIG_IGN); /* as hemid does */
}

static void teardown(void)
{
    char command[96];
    if (daemon_pid != 0) ck_assert_int_eq(stop_daemon(), 0);
    ck_assert_msg(!log_has("Sanitizer"), "see %s/log", directory);
    snprintf(command, sizeof command, "rm -r %s", directory);
    ck_assert_int_eq(system(command), 0);
}

/* ---- the client */

static int dial(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {WAIT_MS / 1000, 0};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", directory, name);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ck_assert_msg(connect(fd, (const struct sockaddr *)&address, sizeof address) == 0, "%s: %s", name, strerror(errno));
    return fd;
}

static size_t make_hello(uint8_t *out, const char *token)
{
    struct hello hello = {.major = PROTO_MAJOR, .minor = PROTO_MINOR};
    if (token != NULL) memcpy(hello.token, token, hello.token_length = (uint16_t)strlen(token));
    return hello_write(&hello, out);
}

static void say(int fd, const void *bytes, size_t len) { ck_assert_int_eq(send(fd, bytes, len, MSG_NOSIGNAL), len); }

static int dial_hello(const char *name, const char *token)
{
    uint8_t hello[HELLO_MAX];
    int fd = dial(name);
    say(fd, hello, make_hello(hello, token));
    return fd;
}

/* One line's answer; "" at the end of the connection. */
static const char *ask(int fd, const char *line)
{
    static char answer[256];
    size_t used = 0;
    if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0) return "";
    while (used + 1 < sizeof answer) {
        ssize_t got = recv(fd, answer + used, 1, 0);
        if (got <= 0) return "";
        if (answer[used] == '\n') break;
        used++;
    }
    answer[used] = 0;
    return answer;
}

static pid_t ask_pid(int fd)
{
    pid_t pid = (pid_t)strtol(ask(fd, "pid\n"), NULL, 10);
    ck_assert_int_gt(pid, 1);
    return pid;
}

/* Copies what a CLOSE says. */
static enum hemi_status read_close(const struct frame *frame, char *said, size_t size)
{
    const Hemi__V1__Close *body = (const Hemi__V1__Close *)(const void *)frame->body;
    snprintf(said, size, "%.*s", (int)body->text.len, (const char *)body->text.data);
    return (enum hemi_status)body->status;
}

/* The connection ends, with a CLOSE of this status that has this text, or without one when it is HEMI_OK. */
static void expect_close_saying(int fd, enum hemi_status wanted, const char *text)
{
    char said[512] = "";
    struct frame_reader reader;
    struct frame frame;
    enum hemi_status status = HEMI_OK;
    frame_reader_init(&reader, FRAME_W2C, FRAME_OPEN);
    for (int i = 0; i < WAIT_MS; i++) {
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        poll(&readable, 1, 1);
        if (frame_reader_recv(&reader, fd))
            while (frame_reader_next(&reader, &frame) == FRAME_READY)
                if (frame.head.type == FRAME_CLOSE) status = read_close(&frame, said, sizeof said);
        if (reader.error != PROTO_OK) break;
    }
    ck_assert_int_ne(reader.error, PROTO_OK);
    ck_assert_int_eq(status, wanted);
    ck_assert_msg(strstr(said, text) != NULL, "it says \"%s\", not \"%s\"", said, text);
    frame_reader_deinit(&reader);
    close(fd);
}

static void expect_close(int fd, enum hemi_status wanted) { expect_close_saying(fd, wanted, ""); }

static unsigned count_fds(pid_t pid)
{
    char path[64];
    unsigned count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *dir = opendir(path);
    ck_assert_ptr_nonnull(dir);
    while (readdir(dir) != NULL) count++;
    closedir(dir);
    return count;
}

/* The state letter of /proc/PID/stat and the parent; 0 when there is no such process. */
static char state_of(pid_t pid, pid_t *parent)
{
    char path[64], state = 0;
    int ppid = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL) return 0;
    if (fscanf(file, "%*d (%*[^)]) %c %d", &state, &ppid) != 2) state = 0;
    fclose(file);
    if (parent != NULL) *parent = ppid;
    return state;
}

/* Gone, or dead and waiting for a parent that does not care: the orphans' parent may be this very container's. */
static bool is_gone(pid_t pid)
{
    for (int i = 0; i < WAIT_MS / 10; i++) {
        char state = state_of(pid, NULL);
        if (state == 0 || state == 'Z') return true;
        sleep_ms(10);
    }
    return false;
}

#define TENANT_A "tenants = ({ name = \"a\"; socket = { path = \"@/a\"; }; });\n"
#define TENANTS_AB                                                                                                     \
    "tenants = ({ name = \"a\"; socket = { path = \"@/a\"; }; }, { name = \"b\"; socket = { path = \"@/b\"; mode = "   \
    "\"0666\"; }; });\n"

/* ---- identity */

START_TEST(each_tenant_has_its_own_worker)
{
    struct stat st;
    start_config(TENANTS_AB);
    int a = dial_hello("a", NULL), b = dial_hello("b", NULL), again = dial_hello("a", NULL);
    pid_t pa = ask_pid(a), pb = ask_pid(b);
    ck_assert_int_ne(pa, pb);
    ck_assert_int_eq(pa, ask_pid(again));
    ck_assert(stat(in_directory("a"), &st) == 0 && (st.st_mode & 0777) == 0600);
    ck_assert(stat(in_directory("b"), &st) == 0 && (st.st_mode & 0777) == 0666);
    close(a), close(b), close(again);
}
END_TEST

START_TEST(tokens_and_uids_on_the_shared_socket)
{
    char config[1024];
    ck_assert_int_eq(chmod(write_file("token", "0123456789abcdef-one\n"), 0600), 0);
    snprintf(config, sizeof config,
             "socket = { path = \"@/s\"; mode = \"0666\"; };\n"
             "tenants = ({ name = \"t\"; token_file = \"@/token\"; }, { name = \"u\"; uids = [%u]; });\n",
             geteuid());
    start_config(config);
    int t = dial_hello("s", "0123456789abcdef-one"), u = dial_hello("s", NULL);
    ck_assert_int_ne(ask_pid(t), ask_pid(u));
    expect_close(dial_hello("s", "0123456789abcdef-two"), HEMI_DENIED);
    expect_close(dial_hello("s", "0123456789abcdef-on"), HEMI_DENIED);
    close(t), close(u);
}
END_TEST

START_TEST(a_uid_without_a_tenant_is_denied)
{
    start_config("socket = { path = \"@/s\"; mode = \"0666\"; };\ntenants = ({ name = \"u\"; uids = [4242]; });\n");
    expect_close(dial_hello("s", NULL), HEMI_DENIED);
    ck_assert(wait_for_log("client-refused"));
}
END_TEST

/* ---- HELLO */

START_TEST(bytes_after_hello_reach_the_worker)
{
    uint8_t bytes[HELLO_MAX + 8];
    start_config(TENANT_A);
    int fd = dial("a");
    size_t len = make_hello(bytes, "a token that the socket makes superfluous");
    memcpy(bytes + len, "first\n", 6);
    for (size_t i = 0; i < len; i++) say(fd, bytes + i, 1);
    ck_assert_str_eq(ask(fd, "first\n"), "first");
    close(fd);
    fd = dial("a");
    say(fd, bytes, len + 6);
    ck_assert_str_eq(ask(fd, ""), "first");
    close(fd);
}
END_TEST

START_TEST(bad_hellos_are_refused)
{
    uint8_t bytes[HELLO_MAX];
    start_config("hello_timeout = \"300ms\";\n" TENANT_A);
    size_t len = make_hello(bytes, NULL);
    int fd = dial("a");
    say(fd, "GET / HTTP/1.1\r\n\r\n", 18);
    expect_close(fd, HEMI_PROTOCOL);
    fd = dial("a");
    bytes[6] = 99;
    say(fd, bytes, len);
    expect_close(fd, HEMI_VERSION_MISMATCH);
    fd = dial("a");
    bytes[6] = 1;
    bytes[24] = 1;
    say(fd, bytes, len);
    expect_close(fd, HEMI_PROTOCOL);
    fd = dial("a");
    say(fd, bytes, 10);
    expect_close(fd, HEMI_DEADLINE);
    close(dial("a")); /* somebody who says nothing at all */
    fd = dial_hello("a", NULL);
    ask_pid(fd);
    close(fd);
}
END_TEST

START_TEST(descriptors_with_hello_are_refused)
{
    uint8_t bytes[HELLO_MAX];
    _Alignas(struct cmsghdr) char ancillary[CMSG_SPACE(sizeof(int))] = {0};
    start_config(TENANT_A);
    unsigned before = count_fds(daemon_pid);
    int fd = dial("a"), gift = open("/dev/null", O_RDONLY);
    struct iovec iov = {bytes, make_hello(bytes, NULL)};
    struct msghdr header = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ancillary, .msg_controllen = sizeof ancillary};
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
    *cmsg = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof gift)};
    memcpy(CMSG_DATA(cmsg), &gift, sizeof gift);
    ck_assert_int_gt(sendmsg(fd, &header, 0), 0);
    expect_close(fd, HEMI_PROTOCOL);
    ck_assert_uint_eq(count_fds(daemon_pid), before);
    close(gift);
}
END_TEST

/* .close-apart: the daemon has the last reference, received or still in a connection that it closes, and would stand
 * still for an hour. */
START_TEST(a_descriptor_that_is_slow_to_close_stops_nobody)
{
    uint8_t bytes[HELLO_MAX];
    int peer, lingerer = make_lingerer(&peer);
    if (lingerer < 0) {
        printf("SKIPPED: no TCP here\n");
        return;
    }
    start_config(TENANTS_AB);
    int b = dial_hello("b", NULL), a = dial("a");
    ask_pid(b);
    size_t len = make_hello(bytes, NULL);
    if (_i == 1) memset(bytes, '?', len);
    if (_i != 0) say(a, bytes, len / 2);
    bool said = say_with(a, bytes + (_i != 0 ? len / 2 : 0), _i != 0 ? len - len / 2 : len, lingerer, 1);
    ck_assert(said || _i == 1); /* half of that is enough to be refused */
    close(lingerer);
    if (_i == 2)
        close(a);
    else
        expect_close(a, HEMI_PROTOCOL);
    a = dial_hello("a", NULL);
    ask_pid(a), ask_pid(b);
    close(a), close(b);
    ck_assert_int_eq(stop_daemon(), 0);
    close(peer);
}
END_TEST

/* Before WELCOME none may come: the look at what waits shows those of the message behind HELLO, too. */
START_TEST(a_descriptor_behind_hello_is_too_early)
{
    uint8_t bytes[HELLO_MAX];
    start_config(TENANT_A);
    int fd = dial("a"), passed = memfd_create("passed", MFD_CLOEXEC);
    ck_assert_int_eq(kill(daemon_pid, SIGSTOP), 0);
    say(fd, bytes, make_hello(bytes, NULL));
    ck_assert(say_with(fd, "first\n", 6, passed, 1));
    ck_assert_int_eq(kill(daemon_pid, SIGCONT), 0);
    expect_close(fd, HEMI_PROTOCOL);
    close(passed);
}
END_TEST

/* Random bytes instead of HELLO: each connection ends, the daemon goes on. */
START_TEST(mutated_hellos)
{
    const char *seed_text = getenv("HEMI_SEED");
    unsigned seed = seed_text != NULL ? (unsigned)strtoul(seed_text, NULL, 0) : (unsigned)getpid();
    printf("mutated_hellos: HEMI_SEED=%u\n", seed);
    fflush(stdout);
    srandom(seed);
    start_config("log_rate = 1;\nhello_timeout = \"100ms\";\n" TENANT_A);
    for (int i = 0; i < 1000; i++) {
        uint8_t bytes[HELLO_MAX];
        size_t len = make_hello(bytes, random() % 2 ? "0123456789abcdef" : NULL);
        for (long n = random() % 4; n >= 0; n--) bytes[(size_t)random() % len] ^= (uint8_t)(1 << random() % 8);
        int fd = dial("a");
        say(fd, bytes, random() % 4 ? len : (size_t)random() % len);
        close(fd);
    }
    int fd = dial_hello("a", NULL);
    ask_pid(fd);
    close(fd);
}
END_TEST

START_TEST(silent_peers_keep_nobody_out)
{
    int silent[12];
    start_config("hello_pending = 4;\n" TENANT_A);
    for (int i = 0; i < 12; i++) silent[i] = dial("a");
    expect_close(silent[0], HEMI_LIMIT);
    int fd = dial_hello("a", NULL);
    ask_pid(fd);
    close(fd);
    for (int i = 1; i < 12; i++) close(silent[i]);
}
END_TEST

/* They were counted over all sockets, so those at one pushed out those at another. */
START_TEST(who_has_said_hello_is_counted_no_more)
{
    uint8_t bytes[HELLO_MAX];
    size_t len = make_hello(bytes, NULL);
    start_config("hello_pending = 4;\n" TENANT_A);
    for (int i = 0; i < 8; i++) {
        int fd = dial_hello("a", NULL);
        ask_pid(fd);
        close(fd);
    }
    int slow = dial("a"), fd = dial_hello("a", NULL);
    ask_pid(fd);
    say(slow, bytes, len);
    ask_pid(slow);
    close(fd);
    close(slow);
}
END_TEST

START_TEST(silent_peers_at_one_socket_push_out_nobody_at_another)
{
    uint8_t bytes[HELLO_MAX];
    int crowd[20], slow[4];
    size_t len = make_hello(bytes, NULL);
    start_config("hello_pending = 4;\n" TENANTS_AB);
    for (int i = 0; i < 4; i++) slow[i] = dial("b");
    for (int i = 0; i < 20; i++) crowd[i] = dial("a");
    expect_close(crowd[15], HEMI_LIMIT);
    for (int i = 0; i < 4; i++) say(slow[i], bytes, len);
    for (int i = 0; i < 4; i++) ask_pid(slow[i]);
    for (int i = 0; i < 4; i++) close(slow[i]);
    for (int i = 0; i < 20; i++)
        if (i != 15) close(crowd[i]);
}
END_TEST

/* A process of another user that dials and says nothing, until it is killed. */
static pid_t fork_silent_crowd(const char *name, uid_t uid, int count)
{
    int ready[2];
    char byte;
    ck_assert_int_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child != 0) {
        close(ready[1]);
        ck_assert_int_eq(read(ready[0], &byte, 1), 1);
        close(ready[0]);
        return child;
    }
    if (setgroups(0, NULL) != 0 || setresuid(uid, uid, uid) != 0) _exit(98);
    for (int i = 0; i < count; i++) dial(name);
    if (write(ready[1], "", 1) != 1) _exit(97);
    for (;;) pause();
}

START_TEST(silent_peers_of_one_user_push_out_nobody_of_another)
{
    uint8_t bytes[HELLO_MAX];
    size_t len = make_hello(bytes, NULL);
    if (geteuid() != 0) return; /* cannot become another user */
    chmod(directory, 0711);
    start_config("hello_pending = 5;\n" TENANTS_AB);
    int slow[3]; /* as many as the others with the one who comes */
    for (int i = 0; i < 3; i++) slow[i] = dial("b");
    pid_t crowd = fork_silent_crowd("b", 10001, 20);
    ck_assert(wait_for_log("hello_pending"));
    for (int i = 0; i < 3; i++) {
        say(slow[i], bytes, len);
        ask_pid(slow[i]);
        close(slow[i]);
    }
    kill(crowd, SIGKILL);
    wait_exit(crowd);
}
END_TEST

/* ---- descriptors */

START_TEST(too_few_descriptors_refuse_the_start)
{
    struct supervisor_options options = {
        .config_file = write_file("conf", TENANTS_AB), .private_fd = -1, .log_level = -1};
    nofile = 32;
    int status = wait_exit(start(&options));
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    ck_assert(log_has("RLIMIT_NOFILE) is 32, and at least"));
}
END_TEST

/* .guaranteed, .can-start: one tenant's clients hold all that may be borrowed, and its worker does not move; another
 * tenant's connections are served, and its lost worker is replaced. */
START_TEST(a_flooded_tenant_costs_another_no_descriptor)
{
    int crowd[200];
    struct pollfd first[200];
    nofile = 128;
    start_config(TENANTS_AB);
    int a = dial_hello("a", NULL), b = dial_hello("b", NULL);
    pid_t stopped = ask_pid(a), other = ask_pid(b);
    kill(stopped, SIGSTOP);
    for (int i = 0; i < 200; i++) crowd[i] = dial_hello("a", NULL);
    ck_assert(wait_for_log("nofile: others have"));
    for (int i = 0; i < 200; i++) first[i] = (struct pollfd){.fd = crowd[i], .events = POLLIN};
    ck_assert_int_gt(poll(first, 200, WAIT_MS), 0); /* refused */
    int served[4];
    for (int i = 0; i < 4; i++) ck_assert_int_eq(ask_pid(served[i] = dial_hello("b", NULL)), other);
    for (int i = 0; i < 4; i++) close(served[i]);
    kill(other, SIGKILL);
    expect_close(b, HEMI_OK);
    b = dial_hello("b", NULL);
    ck_assert_int_ne(ask_pid(b), other);
    ck_assert(!log_has("worker-not-started"));
    kill(stopped, SIGCONT);
    for (int i = 0; i < 200; i++) close(crowd[i]);
    close(a), close(b);
}
END_TEST

/* ---- handover */

START_TEST(the_supervisor_keeps_no_copy)
{
    int fds[100];
    start_config("handover_window = 3;\n" TENANT_A);
    int first = dial_hello("a", NULL);
    ask_pid(first);
    sleep_ms(50); /* ADOPTED is on its way */
    unsigned before = count_fds(daemon_pid);
    for (int i = 0; i < 100; i++) fds[i] = dial_hello("a", NULL);
    for (int i = 0; i < 100; i++) ask_pid(fds[i]);
    for (int i = 0; i < WAIT_MS / 10 && count_fds(daemon_pid) > before; i++) sleep_ms(10);
    ck_assert_uint_eq(count_fds(daemon_pid), before);
    for (int i = 0; i < 100; i++) close(fds[i]);
    close(first);
}
END_TEST

START_TEST(calls_go_on_while_the_supervisor_is_stopped)
{
    start_config(TENANT_A);
    int fd = dial_hello("a", NULL);
    ask_pid(fd);
    kill(daemon_pid, SIGSTOP);
    for (int i = 0; i < 1000; i++) ck_assert_str_eq(ask(fd, "still here\n"), "still here");
    close(fd);
    kill(daemon_pid, SIGCONT);
}
END_TEST

START_TEST(more_workers_share_the_connections)
{
    start_config("limits = { workers = 3; };\n" TENANT_A);
    int fds[6];
    pid_t pids[6];
    for (int i = 0; i < 6; i++) pids[i] = ask_pid(fds[i] = dial_hello("a", NULL));
    ck_assert(pids[0] != pids[1] && pids[1] != pids[2] && pids[0] != pids[2]);
    for (int i = 3; i < 6; i++) ck_assert(pids[i] == pids[0] || pids[i] == pids[1] || pids[i] == pids[2]);
    for (int i = 0; i < 6; i++) close(fds[i]);
}
END_TEST

/* ---- loss */

START_TEST(a_lost_worker_is_replaced)
{
    start_config(TENANTS_AB);
    int a = dial_hello("a", NULL), b = dial_hello("b", NULL);
    pid_t first = ask_pid(a), other = ask_pid(b);
    kill(first, SIGKILL);
    expect_close(a, HEMI_OK);
    a = dial_hello("a", NULL);
    ck_assert_int_ne(ask_pid(a), first);
    ck_assert_int_eq(ask_pid(b), other);
    ck_assert(wait_for_log("worker-lost"));
    ck_assert(log_has("killed from outside"));
    close(a), close(b);
}
END_TEST

#define TENANT_NAMED(name) "tenants = ({ name = \"" name "\"; socket = { path = \"@/a\"; }; });\n"

/* .phase-order */
START_TEST(a_worker_whose_phases_come_out_of_order_is_killed)
{
    static const char *const configs[] = {TENANT_NAMED("idle-first"),   TENANT_NAMED("adopted-first"),
                                          TENANT_NAMED("ready-twice"),  TENANT_NAMED("late-jail"),
                                          TENANT_NAMED("idle-twice"),   TENANT_NAMED("closed-first"),
                                          TENANT_NAMED("answers-first")};
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        start_config(configs[i]);
        int fd = dial_hello("a", NULL);
        ck_assert_msg(wait_for_log("it broke the control protocol"), "%s", configs[i]);
        close(fd);
        ck_assert_int_eq(stop_daemon(), 0);
    }
}
END_TEST

/* Each turn of the supervisor took 64 KiB of its lines, which were tens of thousands. */
START_TEST(a_worker_that_babbles_costs_others_nothing)
{
    start_config("tenants = ({ name = \"babbler\"; socket = { path = \"@/a\"; }; }, { name = \"b\"; "
                 "socket = { path = \"@/b\"; }; });\n");
    int a = dial_hello("a", NULL);
    ask_pid(a);
    ck_assert(wait_for_log("log-dropped"));
    for (int i = 0; i < 100; i++) {
        int b = dial_hello("b", NULL);
        ask_pid(b);
        close(b);
    }
    close(a);
}
END_TEST

/* ---- workers that hang */

static void wait_for_state(pid_t pid, const char *states)
{
    for (int i = 0; i < WAIT_MS / 10; i++) {
        char state = state_of(pid, NULL);
        if (state != 0 && strchr(states, state) != NULL) return;
        sleep_ms(10);
    }
    ck_abort_msg("process %d does not become one of %s", pid, states);
}

/* Its client is told, those that were on their way are served by another, and the reason is in the log. */
START_TEST(a_stopped_worker_is_replaced)
{
    start_config("watchdog = \"900ms\";\n" TENANTS_AB);
    int a = dial_hello("a", NULL), b = dial_hello("b", NULL), late[3];
    pid_t stopped = ask_pid(a), other = ask_pid(b);
    kill(stopped, SIGSTOP);
    for (int i = 0; i < 3; i++) late[i] = dial_hello("a", NULL);
    for (int i = 0; i < 3; i++) ck_assert_int_ne(ask_pid(late[i]), stopped);
    expect_close(a, HEMI_OK);
    ck_assert(wait_for_log("worker-hung"));
    ck_assert(log_has("it is stopped"));
    ck_assert(wait_for_log("it did not answer its supervisor"));
    ck_assert_int_eq(ask_pid(b), other);
    for (int i = 0; i < 3; i++) close(late[i]);
    close(b);
}
END_TEST

/* .can-start: its clients hold all descriptors that there are for connections. */
START_TEST(a_stopped_worker_is_replaced_while_its_clients_hold_all_descriptors)
{
    int crowd[200];
    nofile = 128;
    start_config("watchdog = \"900ms\";\n" TENANT_A);
    pid_t stopped = ask_pid(crowd[0] = dial_hello("a", NULL));
    kill(stopped, SIGSTOP);
    for (int i = 1; i < 200; i++) crowd[i] = dial_hello("a", NULL);
    ck_assert(wait_for_log("nofile: others have"));
    ck_assert_int_ne(ask_pid(crowd[1]), stopped);
    ck_assert(!log_has("worker-not-started"));
    for (int i = 0; i < 200; i++) close(crowd[i]);
}
END_TEST

/* .own-turns: as a machine is frozen and thawed, for longer than the watchdog's time. */
START_TEST(a_frozen_daemon_loses_no_worker)
{
    start_config("watchdog = \"900ms\";\n" TENANT_A);
    int a = dial_hello("a", NULL);
    pid_t worker = ask_pid(a);
    for (int i = 0; i < 2; i++) {
        kill(worker, SIGSTOP);
        wait_for_state(worker, "T");
        kill(daemon_pid, SIGSTOP);
        wait_for_state(daemon_pid, "T");
        sleep_ms(1000);
        kill(daemon_pid, SIGCONT);
        kill(worker, SIGCONT);
    }
    sleep_ms(100); /* turns in which it would be killed */
    ck_assert_int_eq(ask_pid(a), worker);
    ck_assert(!log_has("worker-hung"));
    close(a);
}
END_TEST

START_TEST(a_worker_that_runs_and_does_not_answer_is_replaced)
{
    start_config("watchdog = \"300ms\";\n" TENANT_NAMED("mute"));
    int a = dial_hello("a", NULL);
    pid_t worker = ask_pid(a);
    expect_close(a, HEMI_OK);
    ck_assert(wait_for_log("worker-hung"));
    ck_assert_int_ne(ask_pid(a = dial_hello("a", NULL)), worker);
    close(a);
}
END_TEST

START_TEST(an_answer_to_another_question_is_none)
{
    start_config("watchdog = \"300ms\";\n" TENANT_NAMED("liar"));
    int a = dial_hello("a", NULL);
    ck_assert(wait_for_log("it broke the control protocol"));
    close(a);
}
END_TEST

START_TEST(a_worker_that_adopts_nothing_is_replaced)
{
    start_config("handover_timeout = \"200ms\";\nrestart_delay = \"1ms\";\n" TENANT_NAMED("hoarder"));
    expect_close(dial_hello("a", NULL), HEMI_WORKER_LOST);
    ck_assert(wait_for_log("it neither adopted nor declined a connection"));
}
END_TEST

static void limit_files_of(pid_t pid)
{
    struct rlimit none = {0, RLIM_INFINITY};
    if (prlimit(pid, RLIMIT_FSIZE, &none, NULL) != 0) ck_abort_msg("prlimit: %s", strerror(errno));
}

/* .told-at-once: not even the process can be made, and nothing else happens that would let the clients go on. */
START_TEST(a_worker_that_cannot_be_made_costs_its_clients_no_time)
{
    start_config("restart_delay = \"1ms\";\nhandover_timeout = \"1h\";\n" TENANT_A);
    limit_files_of(daemon_pid);
    expect_close_saying(dial_hello("a", NULL), HEMI_WORKER_LOST, "File too large");
    expect_close_saying(dial_hello("a", NULL), HEMI_WORKER_LOST, "File too large");
}
END_TEST

/* A tracer reaps first: until then a process that has ended can be waited for in vain, which is no reason to do that
 * all the time, nor to leave its tenant without a worker. */
START_TEST(a_dead_worker_that_a_tracer_keeps_is_replaced)
{
    start_config(TENANT_A);
    int a = dial_hello("a", NULL);
    pid_t traced = ask_pid(a);
    if (ptrace(PTRACE_SEIZE, traced, NULL, NULL) != 0) {
        printf("SKIPPED: ptrace: %s\n", strerror(errno));
        close(a);
        return;
    }
    kill(traced, SIGKILL);
    expect_close(a, HEMI_OK);
    ck_assert(wait_for_log("worker-kept"));
    for (int i = 0; i < 5; i++) wait_for_state(daemon_pid, "S");
    a = dial_hello("a", NULL);
    ck_assert_int_ne(ask_pid(a), traced);
    ck_assert(!log_has("worker-lost"));
    ck_assert_int_eq(waitpid(traced, NULL, __WALL), traced);
    ck_assert(wait_for_log("worker-lost"));
    close(a);
}
END_TEST

/* Nobody watches the worker, but who waits behind it is told. */
START_TEST(waiting_ends_at_its_deadline)
{
    start_config("watchdog = 0;\nhandover_window = 1;\nhandover_timeout = \"200ms\";\n" TENANT_A);
    int a = dial_hello("a", NULL);
    pid_t stopped = ask_pid(a);
    kill(stopped, SIGSTOP);
    int on_its_way = dial_hello("a", NULL);
    expect_close(dial_hello("a", NULL), HEMI_DEADLINE);
    kill(stopped, SIGCONT);
    ck_assert_int_eq(ask_pid(on_its_way), stopped);
    close(on_its_way), close(a);
}
END_TEST

/* Without the word that it would end, exit status 0 is a loss like any other, and counted. */
START_TEST(a_connection_does_not_circulate_among_workers_that_quit)
{
    start_config("restart_delay = \"1ms\";\n" TENANT_NAMED("quitter"));
    expect_close(dial_hello("a", NULL), HEMI_WORKER_LOST);
    ck_assert(wait_for_log("worker-lost"));
    ck_assert(!log_has("in order"));
    ck_assert(!log_has("number 4 of this tenant"));
}
END_TEST

START_TEST(a_connection_does_not_circulate_among_workers_that_leave)
{
    start_config("restart_delay = \"1ms\";\n" TENANT_NAMED("leaver"));
    expect_close(dial_hello("a", NULL), HEMI_WORKER_LOST);
}
END_TEST

START_TEST(a_connection_that_a_worker_cannot_take_is_refused_by_name)
{
    start_config("limits = { workers = 2; };\n" TENANT_NAMED("full"));
    expect_close(dial_hello("a", NULL), HEMI_LIMIT);
    expect_close(dial_hello("a", NULL), HEMI_LIMIT);
    ck_assert(wait_for_log("has no descriptors left"));
    ck_assert(!log_has("worker-lost") && !log_has("worker-ended"));
    ck_assert_int_eq(stop_daemon(), 0);
    start_config(TENANT_NAMED("poor"));
    expect_close(dial_hello("a", NULL), HEMI_NO_MEMORY);
}
END_TEST

/* The first worker takes one connection and no other; the one that it declines starts no new worker, since there are
 * two: the second takes it. */
START_TEST(another_worker_takes_what_one_cannot)
{
    int fds[5];
    start_config("limits = { workers = 2; };\n" TENANT_NAMED("full-first"));
    for (int i = 0; i < 5; i++) ask_pid(fds[i] = dial_hello("a", NULL));
    for (int i = 0; i < 5; i++) close(fds[i]);
    ck_assert(!log_has("client-refused"));
}
END_TEST

/* Both are full: the second one's refusal is the last. */
START_TEST(a_connection_does_not_circulate_among_workers_that_are_full)
{
    start_config("limits = { workers = 2; };\n" TENANT_NAMED("full-of-one"));
    int first = dial_hello("a", NULL), second;
    pid_t pid = ask_pid(first);
    ck_assert_int_ne(ask_pid(second = dial_hello("a", NULL)), pid);
    expect_close(dial_hello("a", NULL), HEMI_LIMIT);
    close(first), close(second);
}
END_TEST

START_TEST(a_crash_leaves_last_words)
{
    start_config(TENANT_A);
    int a = dial_hello("a", NULL);
    ck_assert_str_eq(ask(a, "crash\n"), "");
    ck_assert(wait_for_log("last words: farewell"));
    close(a);
}
END_TEST

START_TEST(a_panic_of_a_heap_or_the_engine_names_its_invariant)
{
    start_config("restart_delay = \"1ms\";\n" TENANT_A);
    int a = dial_hello("a", NULL);
    ck_assert_str_eq(ask(a, "heap\n"), "");
    ck_assert(wait_for_log("last words: collect.c:"));
    close(a);
    a = dial_hello("a", NULL);
    ck_assert_str_eq(ask(a, "engine\n"), "");
    ck_assert(wait_for_log("last words: engine.c:7: check failed: nothing == something (.invariant)"));
    ck_assert(log_has("\"error\",\"event\":\"worker-lost\""));
    close(a);
}
END_TEST

START_TEST(a_worker_admits_the_connections_that_its_descriptors_allow)
{
    nofile = 128;
    start_config(TENANT_A);
    int a = dial_hello("a", NULL);
    ck_assert_str_eq(ask(a, "connections\n"), "24"); /* two each; 16 on their way and 64 to spare */
    ck_assert(wait_for_log("connections: 24 of 256, for there are 128 descriptors"));
    close(a);
}
END_TEST

START_TEST(a_crash_loop_rests)
{
    start_config("restart_delay = \"50ms\";\n" TENANT_A);
    for (int i = 0; i < 4; i++) {
        int a = dial_hello("a", NULL);
        ask_pid(a);
        ck_assert_str_eq(ask(a, "crash\n"), "");
        close(a);
    }
    ck_assert(wait_for_log("restart-delayed"));
    int a = dial_hello("a", NULL);
    ask_pid(a);
    close(a);
}
END_TEST

START_TEST(workers_die_with_their_supervisor)
{
    start_config(TENANTS_AB);
    int a = dial_hello("a", NULL), b = dial_hello("b", NULL);
    pid_t pa = ask_pid(a), pb = ask_pid(b);
    kill(daemon_pid, SIGKILL);
    wait_exit(daemon_pid);
    daemon_pid = 0;
    ck_assert(is_gone(pa) && is_gone(pb));
    expect_close(a, HEMI_OK);
    expect_close(b, HEMI_OK);
    /* What it left behind is stale, and replaced. */
    ck_assert_int_eq(access(in_directory("a"), F_OK), 0);
    start_config(TENANTS_AB);
    a = dial_hello("a", NULL);
    ask_pid(a);
    close(a);
}
END_TEST

#ifdef HEMI_JAIL_TEST
/* The first N workers die with the connection on its way; the client notices nothing and loses no byte. */
START_TEST(an_unadopted_connection_is_handed_over_again)
{
    uint8_t bytes[HELLO_MAX + 8];
    setenv("HEMI_TEST_HOOK", "lost:2", 1);
    start_config(TENANT_A);
    int fd = dial("a");
    size_t len = make_hello(bytes, NULL);
    memcpy(bytes + len, "first\n", 6);
    say(fd, bytes, len + 6);
    ck_assert_str_eq(ask(fd, ""), "first");
    ck_assert(wait_for_log("number 3 of this tenant"));
    close(fd);
}
END_TEST

START_TEST(a_tenant_whose_workers_never_start_is_refused)
{
    setenv("HEMI_TEST_HOOK", "lost:1000", 1);
    start_config("restart_delay = \"1ms\";\n" TENANT_A);
    expect_close(dial_hello("a", NULL), HEMI_WORKER_LOST);
    int fds[20];
    for (int i = 0; i < 20; i++) fds[i] = dial_hello("a", NULL);
    for (int i = 0; i < 20; i++) expect_close(fds[i], HEMI_WORKER_LOST);
}
END_TEST

/* .told-at-once: a tenant whose workers do not start rests for a minute, but nobody waits that long to hear it. */
START_TEST(while_no_worker_can_start_who_comes_is_told_at_once)
{
    setenv("HEMI_TEST_HOOK", "lost:1000", 1);
    start_config("restart_delay = \"1m\";\nrestart_delay_max = \"1m\";\nhandover_tries = 2;\n" TENANT_A);
    for (int i = 0; i < 3; i++)
        expect_close_saying(dial_hello("a", NULL), HEMI_WORKER_LOST, "no worker of this tenant");
}
END_TEST

/* The attack itself is jail_test's; here it is a worker's end as its supervisor and its neighbour see it. */
START_TEST(an_attack_costs_its_own_tenant_only)
{
    setenv("HEMI_TEST_HOOK", "attack:process-vm-readv", 1);
    setenv("HEMI_TEST_TENANT", "b", 1);
    start_config("restart_delay = \"1ms\";\n" TENANTS_AB);
    int a = dial_hello("a", NULL);
    pid_t neighbour = ask_pid(a);
    expect_close(dial_hello("b", NULL), HEMI_WORKER_LOST);
    ck_assert(wait_for_log("a system call that its jail forbids"));
    ck_assert(!log_has("SUCCEEDED"));
    ck_assert_int_eq(ask_pid(a), neighbour);
    close(a);
}
END_TEST
#endif

/* ---- start and stop */

START_TEST(sigterm_drains)
{
    start_config(TENANTS_AB);
    int a = dial_hello("a", NULL), silent = dial("b");
    pid_t worker = ask_pid(a);
    sleep_ms(50);
    ck_assert_int_eq(stop_daemon(), 0);
    ck_assert(is_gone(worker));
    expect_close(a, HEMI_OK);
    expect_close(silent, HEMI_DRAINING);
    ck_assert_int_ne(access(in_directory("a"), F_OK), 0);
    ck_assert_int_ne(access(in_directory("a.lock"), F_OK), 0);
}
END_TEST

START_TEST(a_stubborn_worker_is_killed)
{
    start_config("drain_timeout = \"200ms\";\ntenants = ({ name = \"stubborn\"; socket = { path = \"@/a\"; }; });\n");
    int a = dial_hello("a", NULL);
    pid_t worker = ask_pid(a);
    ck_assert_int_eq(stop_daemon(), 0);
    ck_assert(is_gone(worker));
    ck_assert(log_has("it did not end when told to"));
    close(a);
}
END_TEST

#ifdef JAIL_SANITIZER
START_TEST(a_leak_in_a_worker_is_told)
{
    start_config("tenants = ({ name = \"leaky\"; socket = { path = \"@/a\"; }; });\n");
    int a = dial_hello("a", NULL);
    ask_pid(a);
    ck_assert_int_eq(stop_daemon(), 0);
    ck_assert(log_has("100 bytes leaked"));
    close(a);
    unlink(in_directory("log"));
}
END_TEST
#endif

/* What a second daemon with this configuration exits with. */
static int exit_of(const char *text)
{
    struct supervisor_options options = {.config_file = write_file("conf2", text), .private_fd = -1, .log_level = -1};
    int status = wait_exit(start(&options));
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

START_TEST(a_second_daemon_is_refused)
{
    struct stat st;
    start_config(TENANT_A);
    ck_assert_int_eq(exit_of(TENANT_A), 1);
    ck_assert(log_has("another hemid serves it"));
    unlink(in_directory("a.lock")); /* even then somebody answers at the socket */
    ck_assert_int_eq(exit_of(TENANT_A), 1);
    ck_assert(log_has("somebody else serves it"));
    int a = dial_hello("a", NULL);
    ask_pid(a);
    close(a);
    write_file("file", "precious");
    ck_assert_int_eq(exit_of("tenants = ({ name = \"f\"; socket = { path = \"@/file\"; }; });\n"), 1);
    ck_assert(stat(in_directory("file"), &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 8);
    ck_assert_int_eq(exit_of("tenants = ({ name = \"f\"; socket = { path = \"@/no/such\"; }; });\n"), 1);
    ck_assert_int_eq(exit_of("nonsense"), 2);
}
END_TEST

START_TEST(sighup_reloads_limits)
{
    start_config("limits = { memory = \"64MiB\"; };\n" TENANT_A);
    int a = dial_hello("a", NULL);
    pid_t first = ask_pid(a);
    ck_assert_str_eq(ask(a, "memory\n"), "67108864");
    write_file("conf", "limits = { memory = \"96MiB\"; };\n" TENANT_A);
    kill(daemon_pid, SIGHUP);
    ck_assert(wait_for_log("reloaded"));
    ck_assert_int_eq(ask_pid(a), first);
    kill(first, SIGKILL);
    expect_close(a, HEMI_OK);
    a = dial_hello("a", NULL);
    ck_assert_str_eq(ask(a, "memory\n"), "100663296");
    write_file("conf", TENANTS_AB);
    kill(daemon_pid, SIGHUP);
    ck_assert(wait_for_log("tenants: their number changed"));
    close(a);
}
END_TEST

START_TEST(a_private_client_is_served_alone)
{
    uint8_t bytes[HELLO_MAX];
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    struct supervisor_options options = {.private_fd = pair[1], .log_level = -1};
    fcntl(pair[0], F_SETFD, FD_CLOEXEC);
    pid_t child = fork();
    if (child == 0) {
        close(pair[0]);
        exit(supervisor_run(&options));
    }
    close(pair[1]);
    say(pair[0], bytes, make_hello(bytes, NULL));
    pid_t worker = ask_pid(pair[0]);
    close(pair[0]);
    ck_assert_int_eq(wait_exit(child), 0);
    ck_assert(is_gone(worker));
}
END_TEST

START_TEST(a_private_worker_that_is_lost)
{
    uint8_t bytes[HELLO_MAX];
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    struct supervisor_options options = {.private_fd = pair[1], .log_level = LOG_ERROR};
    pid_t child = fork();
    if (child == 0) {
        close(pair[0]);
        exit(supervisor_run(&options));
    }
    close(pair[1]);
    say(pair[0], bytes, make_hello(bytes, NULL));
    kill(ask_pid(pair[0]), SIGKILL);
    expect_close(pair[0], HEMI_OK);
    int status = wait_exit(child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}
END_TEST

/* One that listens or is not connected was taken for a client that had gone: exit status 0 without a word. */
START_TEST(a_private_descriptor_that_is_no_client_is_named)
{
    static const char *const why[] = {"is not open", "is no stream socket", "listens", "is not connected"};
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = _i == 1 ? open("/dev/null", O_RDWR) : _i > 1 ? socket(AF_UNIX, SOCK_STREAM, 0) : 1000;
    snprintf(name.sun_path, sizeof name.sun_path, "%s", in_directory("a"));
    if (_i == 2) ck_assert(bind(fd, (struct sockaddr *)&name, sizeof name) == 0 && listen(fd, 1) == 0);
    struct supervisor_options options = {.private_fd = fd, .log_level = -1};
    int status = wait_exit(start(&options));
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    ck_assert(log_has("cannot-serve") && log_has(why[_i]));
}
END_TEST

/* Its one worker is all that a private client waits for. */
START_TEST(a_private_worker_that_cannot_start_is_told)
{
    uint8_t bytes[HELLO_MAX];
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    struct supervisor_options options = {.private_fd = pair[1], .log_level = LOG_ERROR};
    pid_t child = fork();
    if (child == 0) {
        close(pair[0]);
        limit_files_of(getpid());
        exit(supervisor_run(&options));
    }
    close(pair[1]);
    say(pair[0], bytes, make_hello(bytes, NULL));
    expect_close_saying(pair[0], HEMI_WORKER_LOST, "File too large");
    int status = wait_exit(child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}
END_TEST

/* ---- as process 1 */

static unsigned count_zombies_of(pid_t parent)
{
    unsigned count = 0;
    struct dirent *entry;
    DIR *dir = opendir("/proc");
    while ((entry = readdir(dir)) != NULL) {
        pid_t its = 0, pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid > 0 && state_of(pid, &its) == 'Z' && its == parent) count++;
    }
    closedir(dir);
    return count;
}

/* Leaves children behind whose parent dies first: process 1 inherits them. */
static void make_orphans(void)
{
    pid_t middle = fork();
    if (middle == 0) {
        for (int i = 0; i < 5; i++)
            if (fork() == 0) {
                sleep_ms(200);
                _exit(0);
            }
        _exit(0);
    }
    waitpid(middle, NULL, 0);
}

static void run_as_init(const struct supervisor_options *options)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount("proc", "/proc", "proc", 0, NULL) != 0)
        _exit(98);
    make_orphans();
    int log = open(in_directory("log"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(log, STDERR_FILENO);
    exit(supervisor_run(options));
}

START_TEST(as_process_1_it_reaps_orphans)
{
    struct supervisor_options options = {
        .config_file = write_file("conf", TENANT_A), .private_fd = -1, .log_level = -1};
    pid_t child = (pid_t)syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0);
    if (child < 0) return; /* needs privilege; containers run hemid so anyway */
    daemon_pid = child;
    if (child == 0) run_as_init(&options);
    ck_assert(wait_for_log("\"ready\""));
    int a = dial_hello("a", NULL);
    pid_t worker = ask_pid(a);
    sleep_ms(400);
    ck_assert_uint_eq(count_zombies_of(daemon_pid), 0);
    ck_assert_str_eq(ask(a, "crash\n"), "");
    ck_assert(wait_for_log("farewell"));
    close(a);
    a = dial_hello("a", NULL);
    ck_assert_int_ne(ask_pid(a), worker);
    close(a);
}
END_TEST

int main(int argc, char **argv)
{
    if (boot_is_worker(argc, argv)) return boot_worker(echo_worker);
    Suite *suite = suite_create("supervisor");
    TCase *tests = tcase_create("supervisor");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 90);
    tcase_add_test(tests, each_tenant_has_its_own_worker);
    tcase_add_test(tests, tokens_and_uids_on_the_shared_socket);
    tcase_add_test(tests, a_uid_without_a_tenant_is_denied);
    tcase_add_test(tests, bytes_after_hello_reach_the_worker);
    tcase_add_test(tests, bad_hellos_are_refused);
    tcase_add_test(tests, descriptors_with_hello_are_refused);
    tcase_add_loop_test(tests, a_descriptor_that_is_slow_to_close_stops_nobody, 0, 3);
    tcase_add_test(tests, a_descriptor_behind_hello_is_too_early);
    tcase_add_test(tests, mutated_hellos);
    tcase_add_test(tests, silent_peers_keep_nobody_out);
    tcase_add_test(tests, who_has_said_hello_is_counted_no_more);
    tcase_add_test(tests, silent_peers_at_one_socket_push_out_nobody_at_another);
    tcase_add_test(tests, silent_peers_of_one_user_push_out_nobody_of_another);
    tcase_add_test(tests, too_few_descriptors_refuse_the_start);
    tcase_add_test(tests, a_flooded_tenant_costs_another_no_descriptor);
    tcase_add_test(tests, the_supervisor_keeps_no_copy);
    tcase_add_test(tests, calls_go_on_while_the_supervisor_is_stopped);
    tcase_add_test(tests, more_workers_share_the_connections);
    tcase_add_test(tests, a_lost_worker_is_replaced);
    tcase_add_test(tests, a_worker_whose_phases_come_out_of_order_is_killed);
    tcase_add_test(tests, a_connection_does_not_circulate_among_workers_that_quit);
    tcase_add_test(tests, a_connection_does_not_circulate_among_workers_that_leave);
    tcase_add_test(tests, a_connection_that_a_worker_cannot_take_is_refused_by_name);
    tcase_add_test(tests, another_worker_takes_what_one_cannot);
    tcase_add_test(tests, a_connection_does_not_circulate_among_workers_that_are_full);
    tcase_add_test(tests, a_worker_that_babbles_costs_others_nothing);
    tcase_add_test(tests, a_stopped_worker_is_replaced);
    tcase_add_test(tests, a_stopped_worker_is_replaced_while_its_clients_hold_all_descriptors);
    tcase_add_test(tests, a_frozen_daemon_loses_no_worker);
    tcase_add_test(tests, a_worker_that_runs_and_does_not_answer_is_replaced);
    tcase_add_test(tests, an_answer_to_another_question_is_none);
    tcase_add_test(tests, a_worker_that_adopts_nothing_is_replaced);
    tcase_add_test(tests, a_worker_that_cannot_be_made_costs_its_clients_no_time);
    tcase_add_test(tests, a_dead_worker_that_a_tracer_keeps_is_replaced);
    tcase_add_test(tests, waiting_ends_at_its_deadline);
    tcase_add_test(tests, a_crash_leaves_last_words);
    tcase_add_test(tests, a_panic_of_a_heap_or_the_engine_names_its_invariant);
    tcase_add_test(tests, a_worker_admits_the_connections_that_its_descriptors_allow);
    tcase_add_test(tests, a_crash_loop_rests);
    tcase_add_test(tests, workers_die_with_their_supervisor);
#ifdef HEMI_JAIL_TEST
    tcase_add_test(tests, an_unadopted_connection_is_handed_over_again);
    tcase_add_test(tests, a_tenant_whose_workers_never_start_is_refused);
    tcase_add_test(tests, while_no_worker_can_start_who_comes_is_told_at_once);
    tcase_add_test(tests, an_attack_costs_its_own_tenant_only);
#endif
    tcase_add_test(tests, sigterm_drains);
    tcase_add_test(tests, a_stubborn_worker_is_killed);
#ifdef JAIL_SANITIZER
    tcase_add_test(tests, a_leak_in_a_worker_is_told);
#endif
    tcase_add_test(tests, a_second_daemon_is_refused);
    tcase_add_test(tests, sighup_reloads_limits);
    tcase_add_test(tests, a_private_client_is_served_alone);
    tcase_add_test(tests, a_private_worker_that_is_lost);
    tcase_add_test(tests, a_private_worker_that_cannot_start_is_told);
    tcase_add_loop_test(tests, a_private_descriptor_that_is_no_client_is_named, 0, 4);
    tcase_add_test(tests, as_process_1_it_reaps_orphans);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
