/* base/check.h -- checks of our own state, and the last words of a process in which one fails.
 *
 * School: TRUSTED. A check is of what only a fault of our own can make false. What a module, a peer, a file or the
 * system decides is never checked here: that is a status. A check has no side effects: CHECK_DEBUG's is not evaluated
 * in release.
 *
 * CHECK is on in every build: once per collection, request, module or the like. CHECK_DEBUG is for what is done per
 * object, per instruction: on where HEMI_ASSERTS is (every preset but release). Both may name the invariant that they
 * keep, by the tag that a header gives it: CHECK(r->answered == false, ".one-reply").
 *
 * Threads: a check may fail in any; who sets the hook does so before there are others. */
#ifndef HEMI_BASE_CHECK_H
#define HEMI_BASE_CHECK_H

#include <stdbool.h>

/* Says "FILE:LINE: check failed: CONDITION (TAG)" to the hook, or to standard error where there is none; then aborts.
 * An empty tag is left out. */
_Noreturn void check_failed(const char *file, int line, const char *condition, const char *tag);

/* Where last words go: one line with its newline, valid during the call. Process-wide; NULL: standard error. */
void check_set_last_words(void (*hook)(const char *line));

#define CHECK(condition, ...)                                                                                          \
    ((condition) ? (void)0 : check_failed(__FILE_NAME__, __LINE__, #condition, "" __VA_ARGS__))
#ifdef HEMI_ASSERTS
#define CHECK_DEBUG(condition, ...) CHECK(condition, __VA_ARGS__)
#else
#define CHECK_DEBUG(condition, ...) ((void)(false && (condition))) /* not evaluated, but compiled */
#endif

#endif
