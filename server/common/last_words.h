/* server/common/last_words.h -- where the words of a failed check go, in the supervisor and in workers.
 *
 * School of checking: TRUSTED. Any thread may fail a check; the words of the first one that does are kept. */
#ifndef HEMI_SERVER_COMMON_LAST_WORDS_H
#define HEMI_SERVER_COMMON_LAST_WORDS_H

struct page;

/* In a process with a page (base/check.h): where a failed check leaves its last words, besides standard error. NULL:
 * there only, as long as its reader takes them. */
void server_last_words(struct page *page);

#endif
