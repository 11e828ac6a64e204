/* tests/unit/server/supervisor/listen_test.c -- sockets in the file system: mode and owner, whatever umask and
 * directory say. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/supervisor/listen.h"
#include "tests/unit/suite.h"

static char directory[64];
static struct config_error error;

static void setup(void)
{
    strcpy(directory, "/tmp/hemi-listen-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void teardown(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", directory);
    ck_assert_int_eq(system(command), 0);
}

static struct socket_options socket_at(const char *name, mode_t mode)
{
    struct socket_options options = {.mode = mode};
    snprintf(options.path, sizeof options.path, "%s/%s", directory, name);
    return options;
}

/* Opens, and says what the file then is. */
static struct stat opened(const struct socket_options *options)
{
    struct listener listener;
    struct stat st;
    ck_assert_msg(listen_open(options, 5, &listener, &error) == 0, "%s", error.text);
    ck_assert_int_eq(lstat(options->path, &st), 0);
    ck_assert(S_ISSOCK(st.st_mode));
    ck_assert_uint_eq(st.st_ino, listener.ino);
    listen_close(&listener);
    ck_assert_int_ne(access(options->path, F_OK), 0);
    return st;
}

START_TEST(a_directory_that_is_not_there_is_named)
{
    struct socket_options options = socket_at("nowhere/s", 0600);
    struct listener listener;
    char wanted[256];
    snprintf(wanted, sizeof wanted, "%s: the directory %s/nowhere does not exist", options.path, directory);
    ck_assert_int_eq(listen_open(&options, 5, &listener, &error), -ENOENT);
    ck_assert_str_eq(error.text, wanted);
}
END_TEST

START_TEST(the_mode_is_the_options_whatever_the_umask)
{
    static const mode_t modes[] = {0600, 0660, 0666, 0, 0777, 0640}, masks[] = {0, 022, 077, 0777};
    for (size_t i = 0; i < 4; i++) {
        umask(masks[i]);
        for (size_t j = 0; j < 6; j++) {
            struct socket_options options = socket_at("s", modes[j]);
            ck_assert_uint_eq(opened(&options).st_mode & 07777, modes[j]);
        }
        ck_assert_uint_eq(umask(022), masks[i]);
    }
}
END_TEST

START_TEST(the_owner_is_the_options)
{
    struct socket_options options = socket_at("s", 0660);
    snprintf(options.group, sizeof options.group, "%u", getegid());
    ck_assert_uint_eq(opened(&options).st_gid, getegid());
    if (geteuid() != 0) {
        strcpy(options.owner, "0");
        struct listener listener;
        ck_assert_int_eq(listen_open(&options, 5, &listener, &error), -EPERM);
        ck_assert_msg(strstr(error.text, options.path) && strstr(error.text, "owner"), "%s", error.text);
        ck_assert_int_ne(access(options.path, F_OK), 0);
        return;
    }
    strcpy(options.owner, "4242");
    strcpy(options.group, "4343");
    struct stat st = opened(&options);
    ck_assert_uint_eq(st.st_uid, 4242);
    ck_assert_uint_eq(st.st_gid, 4343);
    ck_assert_uint_eq(st.st_mode & 07777, 0660);
}
END_TEST

/* Whose directory it is puts a link to a file of somebody else's there, over and over. */
static pid_t start_rival(const char *path, const char *victim)
{
    char link[128];
    pid_t rival = fork();
    ck_assert_int_ge(rival, 0);
    if (rival != 0) return rival;
    snprintf(link, sizeof link, "%s.link", path);
    for (;;)
        if (symlink(victim, link) == 0 || errno == EEXIST) rename(link, path);
}

START_TEST(a_rival_in_the_directory_gets_no_other_file_changed)
{
    struct socket_options options = socket_at("s", 0666), victim = socket_at("victim", 0);
    struct listener listener;
    struct stat st;
    int fd = open(victim.path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600), status;
    ck_assert(fd >= 0 && fchmod(fd, 0600) == 0);
    if (geteuid() == 0) strcpy(options.owner, "4242");
    pid_t rival = start_rival(options.path, victim.path);
    for (int i = 0; i < 3000; i++) {
        if (listen_open(&options, 5, &listener, &error) == 0) listen_close(&listener);
        unlink(options.path); /* the link is in the way */
    }
    kill(rival, SIGKILL);
    ck_assert_int_eq(waitpid(rival, &status, 0), rival);
    ck_assert_int_eq(fstat(fd, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    ck_assert_uint_eq(st.st_uid, geteuid());
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("listen");
    TCase *tests = tcase_create("listen");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_directory_that_is_not_there_is_named);
    tcase_add_test(tests, the_mode_is_the_options_whatever_the_umask);
    tcase_add_test(tests, the_owner_is_the_options);
    tcase_add_test(tests, a_rival_in_the_directory_gets_no_other_file_changed);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
