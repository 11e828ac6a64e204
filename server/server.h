/* server/server.h -- the daemon: supervisor, tenant workers, jail, logs.
 *
 * Processes. `hemid` is the SUPERVISOR: it listens, learns from the socket, a token or the peer's uid which tenant a
 * connection belongs to, reads exactly its HELLO and hands the socket to that tenant's WORKER, a process of its own
 * (fork and exec of the same executable with --worker), which jails itself before it reads a client's byte. From then
 * on the client and the worker talk without the supervisor.
 *
 * Two schools of checking. Bytes from a client, from a worker or from the config file are a PEER's: error returns,
 * never checks. A process's own state is checked (CHECK, on in every build): a supervisor whose state is
 * broken must not go on handing out connections, and a worker that stops costs its tenant only.
 *
 * Who owns what:
 *   supervisor       listening sockets and their lock files; connections until they are adopted; per worker its pidfd,
 *                    control socket, log pipe and shared page. No store, no guest byte.
 *   worker           its connections, from ADOPTED on; its stores; nothing that another worker could reach.
 *   shared page      written by the worker, owned (unmapped, closed) by the supervisor.
 *
 * Invariants, cited by tag where the code relies on them:
 *   .hello-exact        The supervisor takes exactly HELLO's bytes from a connection.
 *   .adopt-before-read  A worker reads from a connection only after it has sent ADOPTED.
 *   .one-copy           After ADOPTED the supervisor has no descriptor of that connection.
 *   .drain-control      When a worker ends, its control socket is read to the end before its un-adopted connections are
 *                       handed over again; so ADOPTED is never missed.
 *   .close-apart        The supervisor's loop receives no descriptor of a peer and closes no connection: see closer.h.
 *   .control-nonblock   A worker never waits for the supervisor.
 *   .jail-first, .jail-always, .jail-self   see jail.h
 *   .own-socket         A socket file is unlinked only by the daemon that holds its lock file.
 *   .die-together       A worker ends when its supervisor does: PDEATHSIG, and end of file on the control socket.
 *   .single-thread      A worker has one thread. The supervisor has three: the main one makes every worker (PDEATHSIG
 *                       is the creating thread's, and this one lasts as long as the process), the log's only writes
 *                       lines (.log-apart), the closer's only closes (.close-apart). The log's may hold any lock when
 *                       the main one forks: a worker-to-be makes only async-signal-safe calls until exec; the copy that
 *                       reads the configuration has malloc, which survives a fork, and needs no more.
 *   .same-start         The daemon and its workers mean the same whatever their parents ignored, blocked or timed.
 *
 * Files: main (options), inherited (signals and timers of a parent), config, config_files, config_apart, config_check,
 * config_users, listen (sockets), supervisor (loop, signals, draining), supervisor_reload (SIGHUP), supervisor_prove (a
 * worker as a trial), supervisor_door (who says HELLO where), supervisor_client (HELLO, identity), supervisor_tenant
 * (handover), supervisor_watch (who hangs), supervisor_worker (start, messages, end), supervisor_boot (a worker's first
 * steps), fd_pool, closer (of connections), handover (messages), page, jail, jail_rights, jail_seccomp, log,
 * log_writer, notify; worker and what belongs to it: see worker.h.
 */
#ifndef HEMI_SERVER_SERVER_H
#define HEMI_SERVER_SERVER_H

struct page;

/* In a process with a page (base/check.h): where a failed check leaves its last words, besides standard error. NULL:
 * there only, as long as its reader takes them. */
void server_last_words(struct page *page);

#endif
