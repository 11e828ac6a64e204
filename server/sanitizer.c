/* server/sanitizer.c -- what hemid asks of the sanitizers that it may be built with; in other builds nothing.
 *
 * Where freed blocks are kept back, one free() in some gives a tenth of all of them back to the allocator: 50 ms of a
 * worker's loop with the usual 256 MiB. $ASAN_OPTIONS goes before this. */
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void) { return "quarantine_size_mb=8"; }
#endif
