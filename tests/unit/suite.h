/* tests/unit/suite.h -- the end of main() in the programs of tests/unit. Returns the program's exit status: 0 if every
 * test has passed. */
#ifndef HEMI_TESTS_SUITE_H
#define HEMI_TESTS_SUITE_H

#include <check.h>
#include <stdlib.h>

static inline int run_suite_in(Suite *s, enum fork_status processes)
{
    SRunner *runner = srunner_create(s);
    srunner_set_fork_status(runner, processes);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Each test in a process of its own, unless CK_FORK says otherwise. */
static inline int run_suite(Suite *s) { return run_suite_in(s, CK_FORK_GETENV); }

/* Each test in a process of its own, whatever CK_FORK says: of what is tested there is but one in a process. */
static inline int run_suite_forked(Suite *s) { return run_suite_in(s, CK_FORK); }

#endif
