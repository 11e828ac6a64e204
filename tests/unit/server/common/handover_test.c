/* tests/unit/server/common/handover_test.c -- control messages: layout, mutation, descriptors; and the shared page. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/common/handover.h"
#include "server/common/page.h"
#include "tests/unit/suite.h"

static int up, down; /* the supervisor's end, the worker's end */

static void setup(void) { ck_assert_int_eq(handover_pair(&up, &down), 0); }

static void teardown(void)
{
    close(up);
    close(down);
}

static unsigned count_fds(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir) != NULL) count++;
    closedir(dir);
    return count;
}

/* A lawful message of each type. */
static struct handover_msg sample(uint16_t type)
{
    struct handover_msg msg = {.type = type, .fd = -1};
    switch (type) {
    case HANDOVER_BOOT:
        strcpy(msg.u.boot.tenant, "alpha");
        msg.u.boot.limits.memory = 12345;
        break;
    case HANDOVER_ADOPT:
        msg.u.adopt.connection = 7;
        msg.u.adopt.hello_len = 5;
        memcpy(msg.u.adopt.hello, "hello", 5);
        break;
    case HANDOVER_STATUS:
        msg.u.status.phase = HANDOVER_READY;
        break;
    case HANDOVER_NOT_ADOPTED:
        msg.u.not_adopted.reason = HANDOVER_NO_MEMORY;
        break;
    case HANDOVER_LOG:
        msg.u.log.level = LOG_ERROR;
        msg.u.log.len = 3;
        memcpy(msg.u.log.text, "abc", 3);
        break;
    default:
        break;
    }
    return msg;
}

static enum handover_side sender_of(uint16_t type)
{
    switch (type) {
#define X(name, number, sender, fds, body)                                                                             \
    case HANDOVER_##name:                                                                                              \
        return HANDOVER_##sender;
        HANDOVER_MESSAGES(X)
#undef X
    }
    ck_abort();
}

START_TEST(each_message_comes_back)
{
#define X(name, number, sender, fds, body) number,
    static const uint16_t types[] = {HANDOVER_MESSAGES(X)};
#undef X
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        uint8_t bytes[HANDOVER_BYTES_MAX], again[HANDOVER_BYTES_MAX];
        struct handover_msg in = sample(types[i]), out;
        size_t len = handover_encode(&in, bytes);
        ck_assert_int_eq(handover_decode(bytes, len, sender_of(types[i]), &out), 0);
        ck_assert_uint_eq(handover_encode(&out, again), len);
        ck_assert_mem_eq(bytes, again, len);
        ck_assert_int_eq(handover_decode(bytes, len, !sender_of(types[i]), &out), -EPROTO);
        ck_assert_int_eq(handover_decode(bytes, len - 1, sender_of(types[i]), &out), -EPROTO);
        ck_assert_str_ne(handover_name(types[i]), "?");
    }
}
END_TEST

START_TEST(unlawful_messages)
{
    uint8_t bytes[HANDOVER_BYTES_MAX + 1] = {0};
    struct handover_msg msg = sample(HANDOVER_LOG), out;
    size_t len = handover_encode(&msg, bytes);
    uint32_t huge = HANDOVER_LOG_MAX + 1;
    memcpy(bytes + 8 + offsetof(struct handover_log, len), &huge, sizeof huge);
    ck_assert_int_eq(handover_decode(bytes, len, HANDOVER_UP, &out), -EPROTO);
    msg = sample(HANDOVER_BOOT);
    memset(msg.u.boot.tenant, 'x', sizeof msg.u.boot.tenant - 1);
    len = handover_encode(&msg, bytes);
    bytes[8 + sizeof msg.u.boot.tenant - 1] = 'x';
    ck_assert_int_eq(handover_decode(bytes, len, HANDOVER_DOWN, &out), -EPROTO);
    ck_assert_int_eq(handover_decode(bytes, 0, HANDOVER_DOWN, &out), -EPROTO);
}
END_TEST

/* Values that are none, and what is to be zero. */
START_TEST(unlawful_values)
{
#define AT(body, field) (8 + offsetof(struct handover_##body, field))
    static const struct {
        uint16_t type;
        size_t at;
        uint32_t value;
        bool lawful;
    } cases[] = {{HANDOVER_NOT_ADOPTED, AT(not_adopted, reason), HANDOVER_NO_DESCRIPTOR, true},
                 {HANDOVER_NOT_ADOPTED, AT(not_adopted, reason), HANDOVER_LEAVING, true},
                 {HANDOVER_NOT_ADOPTED, AT(not_adopted, reason), 0, false},
                 {HANDOVER_NOT_ADOPTED, AT(not_adopted, reason), HANDOVER_LEAVING + 1, false},
                 {HANDOVER_NOT_ADOPTED, AT(not_adopted, zero), 1, false},
                 {HANDOVER_CLOSED, AT(closed, zero), 1, false},
                 {HANDOVER_STATUS, AT(status, phase), HANDOVER_READY - 1, false},
                 {HANDOVER_STATUS, AT(status, phase), HANDOVER_JAIL_FAILED + 1, false},
                 {HANDOVER_STATUS, AT(status, zero), 1, false},
                 {HANDOVER_LOG, AT(log, level), LOG_ERROR, true},
                 {HANDOVER_LOG, AT(log, level), LOG_ERROR + 1, false}};
#undef AT
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t bytes[HANDOVER_BYTES_MAX];
        struct handover_msg msg = sample(cases[i].type), out;
        size_t len = handover_encode(&msg, bytes);
        memcpy(bytes + cases[i].at, &cases[i].value, sizeof cases[i].value);
        int status = handover_decode(bytes, len, HANDOVER_UP, &out);
        ck_assert_msg(status == (cases[i].lawful ? 0 : -EPROTO), "case %zu: %d", i, status);
    }
}
END_TEST

START_TEST(mutated_messages)
{
    const char *seed_text = getenv("HEMI_SEED");
    unsigned seed = seed_text != NULL ? (unsigned)strtoul(seed_text, NULL, 0) : (unsigned)getpid();
    printf("mutated_messages: HEMI_SEED=%u\n", seed);
    fflush(stdout);
    srandom(seed);
    for (int round = 0; round < 100000; round++) {
        uint8_t bytes[HANDOVER_BYTES_MAX];
        struct handover_msg msg = sample((uint16_t)(1 + random() % HANDOVER_ANSWER)), out;
        size_t len = handover_encode(&msg, bytes);
        for (long n = random() % 4; n >= 0; n--) bytes[(size_t)random() % (len < 40 ? len : 40)] = (uint8_t)random();
        if (random() % 4 == 0) len = (size_t)random() % (len + 1);
        if (handover_decode(bytes, len, (enum handover_side)(random() % 2), &out) == 0)
            ck_assert_uint_eq(handover_encode(&out, bytes), len);
    }
}
END_TEST

START_TEST(a_descriptor_travels_with_adopt)
{
    struct handover_msg msg = sample(HANDOVER_ADOPT), out;
    msg.fd = open("/dev/null", O_RDONLY);
    ck_assert_int_eq(handover_send(up, &msg), 0);
    ck_assert_int_eq(handover_recv(down, HANDOVER_DOWN, &out), 1);
    ck_assert_uint_eq(out.u.adopt.connection, 7);
    ck_assert_int_ge(out.fd, 0);
    ck_assert_int_eq(fcntl(out.fd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(handover_recv(down, HANDOVER_DOWN, &out), -EAGAIN);
    close(msg.fd);
}
END_TEST

/* Sends `len` bytes with `nfds` descriptors, as a worker that was taken over might. */
static void send_raw(int fd, const void *bytes, size_t len, int nfds)
{
    _Alignas(struct cmsghdr) char ancillary[CMSG_SPACE(64 * sizeof(int))] = {0};
    struct iovec iov = {(void *)(uintptr_t)bytes, len};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
    if (nfds > 0) {
        header.msg_control = ancillary;
        header.msg_controllen = CMSG_SPACE((size_t)nfds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&header);
        *c = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN((size_t)nfds * sizeof(int))};
        for (int i = 0; i < nfds; i++) memcpy(CMSG_DATA(c) + (size_t)i * sizeof(int), &fd, sizeof fd);
    }
    ck_assert_int_ge(sendmsg(fd, &header, 0), 0);
}

START_TEST(unasked_descriptors_are_closed)
{
    static const int counts[] = {1, 2, 4, 5, 64};
    uint8_t bytes[HANDOVER_BYTES_MAX];
    struct handover_msg msg = sample(HANDOVER_STATUS), out;
    size_t len = handover_encode(&msg, bytes);
    unsigned before = count_fds();
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        send_raw(down, bytes, len, counts[i]);
        ck_assert_int_eq(handover_recv(up, HANDOVER_UP, &out), -EPROTO);
        ck_assert_uint_eq(count_fds(), before);
    }
    msg = sample(HANDOVER_ADOPT); /* with two descriptors, then with none */
    len = handover_encode(&msg, bytes);
    send_raw(up, bytes, len, 2);
    ck_assert_int_eq(handover_recv(down, HANDOVER_DOWN, &out), -EPROTO);
    send_raw(up, bytes, len, 0);
    ck_assert_int_eq(handover_recv(down, HANDOVER_DOWN, &out), -EPROTO);
    ck_assert_uint_eq(count_fds(), before);
}
END_TEST

/* A connection that found no room in the worker's table is that connection's failure, and not the channel's end. */
/* A full table is no excuse for descriptors that the type does not declare. */
START_TEST(unasked_descriptors_are_told_from_lost_ones)
{
    uint8_t bytes[HANDOVER_BYTES_MAX];
    struct rlimit before;
    int next_free = dup(STDIN_FILENO);
    close(next_free);
    getrlimit(RLIMIT_NOFILE, &before);
    for (unsigned room = 0; room < 2; room++) { /* for none of one, for one of two */
        struct handover_msg msg = sample(room == 0 ? HANDOVER_DRAIN : HANDOVER_ADOPT), out;
        send_raw(up, bytes, handover_encode(&msg, bytes), (int)room + 1);
        struct rlimit full = {(rlim_t)next_free + room, before.rlim_max};
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &full), 0);
        int status = handover_recv(down, HANDOVER_DOWN, &out);
        setrlimit(RLIMIT_NOFILE, &before);
        ck_assert_int_eq(status, -EPROTO);
    }
}
END_TEST

START_TEST(a_descriptor_lost_to_a_full_table_is_said)
{
    struct handover_msg msg = sample(HANDOVER_ADOPT), out;
    struct rlimit before, full;
    msg.fd = open("/dev/null", O_RDONLY);
    int next_free = dup(msg.fd);
    close(next_free);
    ck_assert_int_eq(handover_send(up, &msg), 0);
    ck_assert_int_eq(handover_send(up, &msg), 0);
    getrlimit(RLIMIT_NOFILE, &before);
    full = (struct rlimit){(rlim_t)next_free, before.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &full), 0);
    int status = handover_recv(down, HANDOVER_DOWN, &out);
    setrlimit(RLIMIT_NOFILE, &before);
    ck_assert_int_eq(status, 1);
    ck_assert_int_eq(out.fd, -1);
    ck_assert_uint_eq(out.u.adopt.connection, 7);
    ck_assert_int_eq(handover_recv(down, HANDOVER_DOWN, &out), 1);
    ck_assert_int_ge(out.fd, 0);
    ck_assert_int_eq(handover_recv(down, HANDOVER_DOWN, &out), -EAGAIN);
    close(out.fd);
    close(msg.fd);
}
END_TEST

START_TEST(a_full_channel_says_so)
{
    struct handover_msg msg = sample(HANDOVER_LOG), out;
    int status, sent = 0;
    while ((status = handover_send(down, &msg)) == 0) sent++;
    ck_assert_int_eq(status, -EAGAIN);
    for (int i = 0; i < sent; i++) ck_assert_int_eq(handover_recv(up, HANDOVER_UP, &out), 1);
    ck_assert_int_eq(handover_recv(up, HANDOVER_UP, &out), -EAGAIN);
}
END_TEST

START_TEST(the_end_is_seen)
{
    struct handover_msg msg = sample(HANDOVER_STATUS), out;
    ck_assert_int_eq(handover_send(down, &msg), 0);
    close(down);
    ck_assert_int_eq(handover_recv(up, HANDOVER_UP, &out), 1);
    ck_assert_int_eq(handover_recv(up, HANDOVER_UP, &out), 0);
    msg = sample(HANDOVER_DRAIN);
    ck_assert_int_eq(handover_send(up, &msg), -EPIPE);
    down = open("/dev/null", O_RDONLY);
}
END_TEST

/* What a worker said last is not lost when it ends without having read everything. */
START_TEST(last_messages_survive_a_reset)
{
    struct handover_msg msg = sample(HANDOVER_ADOPTED), unread = sample(HANDOVER_DRAIN), out;
    ck_assert_int_eq(handover_send(up, &unread), 0);
    for (int i = 0; i < 3; i++) ck_assert_int_eq(handover_send(down, &msg), 0);
    close(down);
    for (int i = 0; i < 3; i++) ck_assert_int_eq(handover_recv(up, HANDOVER_UP, &out), 1);
    ck_assert_int_eq(handover_recv(up, HANDOVER_UP, &out), 0);
    down = open("/dev/null", O_RDONLY);
}
END_TEST

START_TEST(the_page_is_shared)
{
    int fd;
    struct page *ours, *theirs;
    char words[PAGE_WORDS], many[2 * PAGE_WORDS];
    ck_assert_int_eq(page_new(&fd, &ours), 0);
    ck_assert_int_eq(page_map(fd, &theirs), 0);
    ck_assert_uint_eq(page_take_words(ours, words), 0);
    memset(many, 'w', sizeof many);
    page_last_words(theirs, many, sizeof many);
    page_last_words(theirs, "too late", 8);
    theirs->stores = 7;
    ck_assert_uint_eq(page_take_words(ours, words), PAGE_WORDS - 1);
    ck_assert_uint_eq(strlen(words), PAGE_WORDS - 1);
    ck_assert_uint_eq(ours->stores, 7);
    ck_assert_int_ne(ftruncate(fd, 0), 0); /* sealed: nobody makes the other's access fault */
    theirs->words_len = UINT32_MAX;
    ck_assert_uint_eq(page_take_words(ours, words), PAGE_WORDS - 1);
    page_free(ours);
    page_free(theirs);
    close(fd);
    fd = memfd_create("unsealed", MFD_CLOEXEC);
    ck_assert_int_eq(ftruncate(fd, PAGE_SIZE_BYTES), 0);
    ck_assert_int_eq(page_map(fd, &theirs), -EINVAL);
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("handover");
    TCase *tests = tcase_create("handover");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, each_message_comes_back);
    tcase_add_test(tests, unlawful_messages);
    tcase_add_test(tests, unlawful_values);
    tcase_add_test(tests, mutated_messages);
    tcase_add_test(tests, a_descriptor_travels_with_adopt);
    tcase_add_test(tests, unasked_descriptors_are_closed);
    tcase_add_test(tests, unasked_descriptors_are_told_from_lost_ones);
    tcase_add_test(tests, a_descriptor_lost_to_a_full_table_is_said);
    tcase_add_test(tests, a_full_channel_says_so);
    tcase_add_test(tests, the_end_is_seen);
    tcase_add_test(tests, last_messages_survive_a_reset);
    tcase_add_test(tests, the_page_is_shared);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
