/* proto/tables/status.h -- the one outcome taxonomy: protocol, client statuses, logs and metrics all use these rows.
 * Numbers are on the wire: never renumber or reuse one. Pure data. */
#ifndef HEMI_TABLES_STATUS_H
#define HEMI_TABLES_STATUS_H

/* name, number, text, meaning */
#define HEMI_STATUSES(X)                                                                                               \
    X(OK, 0, "ok", "it worked")                                                                                        \
    X(TRAP, 1, "trap", "the guest trapped; the trap code says how")                                                    \
    X(EXCEPTION, 2, "exception", "the guest threw an exception that nothing caught")                                   \
    X(EXIT, 3, "exit", "the guest called proc_exit; the exit code is given")                                           \
    X(INVALID_MODULE, 4, "invalid module", "the module is malformed or does not validate; the byte offset is given")   \
    X(UNSUPPORTED, 5, "unsupported", "a feature that this engine lacks, named: so far it lacks none")                  \
    X(LINK, 6, "link error", "an import is missing or has another type")                                               \
    X(LIMIT, 7, "limit", "a configured limit was reached; it is named")                                                \
    X(NO_MEMORY, 8, "out of memory", "the system or the tenant's budget refused memory")                               \
    X(DEADLINE, 9, "deadline", "the request's deadline passed")                                                        \
    X(CANCELLED, 10, "cancelled", "the request was cancelled")                                                         \
    X(INTERRUPTED, 11, "interrupted", "hemi_client_interrupt was called")                                              \
    X(DEADLOCK, 12, "deadlock", "waiting would close a cycle of waits")                                                \
    X(DEPENDENCY_FAILED, 13, "dependency failed", "a request that makes a handle used here failed; it is named")       \
    X(HANDLE, 14, "bad handle", "a handle is unknown, dropped, of the wrong kind or of another store")                 \
    X(ARGUMENT, 15, "bad argument", "an argument is out of range or of the wrong type")                                \
    X(NOT_FOUND, 16, "not found", "no such export, function or object")                                                \
    X(HOST, 17, "host error", "a host function reported a failure")                                                    \
    X(PROTOCOL, 18, "protocol error", "the peer broke the protocol; the connection has ended")                         \
    X(WORKER_LOST, 19, "worker lost", "the tenant's worker died; everything it held is gone")                          \
    X(CONNECT, 20, "cannot connect", "no daemon answered at the socket")                                               \
    X(DENIED, 21, "denied", "the daemon does not know this peer, or refuses it")                                       \
    X(DRAINING, 22, "draining", "the daemon is shutting down")                                                         \
    X(CLOSED, 23, "closed", "the connection or store was closed in an orderly way")                                    \
    X(BUSY, 24, "busy", "the client is inside a call that forbids this one")                                           \
    X(INTERNAL, 25, "internal error", "a defect in Hemi; please report it")                                            \
    X(VERSION_MISMATCH, 26, "version mismatch", "the daemon and the client speak different protocol versions")

#ifndef HEMI_H /* the public header spells the same enum out for its readers; client/lib checks that they agree */
enum hemi_status {
#define X(name, number, text, meaning) HEMI_##name = number,
    HEMI_STATUSES(X)
#undef X
};
#endif

#endif
