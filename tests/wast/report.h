/* tests/wast/report.h -- what became of each command of a script, as lines for people and as JUnit's XML for machines.
 *
 * Ownership: a report owns its records and their texts. A report belongs to one thread at a time; printing is the main
 * thread's. */
#ifndef HEMI_WAST_REPORT_H
#define HEMI_WAST_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum verdict { VERDICT_PASSED, VERDICT_FAILED, VERDICT_SKIPPED, VERDICTS };

struct record {
    uint32_t line;
    enum verdict verdict;
    const char *command; /* "assert_return", static */
    char *why;           /* owned; NULL: passed */
};

struct report {
    const char *path; /* borrowed */
    struct record *records;
    uint32_t count, capacity;
    uint32_t totals[VERDICTS];
    uint32_t assertions; /* how many of those passed are assertions */
    double seconds;
    bool crashed; /* the worker was lost */
    bool done;
};

/* The name of a file without its folders: a part of `path`. */
const char *report_name(const char *path);

/* Adds a record; `why` is copied, and NULL when it passed. */
void report_add(struct report *r, uint32_t line, const char *command, enum verdict verdict, const char *why);
void report_deinit(struct report *r);

/* The failures and one line for the file; with `quiet` nothing unless something failed. */
void report_print(const struct report *r, bool quiet);

/* Writes the reports as JUnit's XML: a test-suite for each file, a test-case for each command. */
void report_junit(FILE *out, const struct report *reports, uint32_t count);

#endif
