/* server/worker/info.h -- the worker and one of its connections, described: what INFO answers. */
#ifndef HEMI_SERVER_WORKER_INFO_H
#define HEMI_SERVER_WORKER_INFO_H

struct connection;

enum { INFO_BYTES_MAX = 64 << 10 };

/* INFO's JSON, to be freed with free(); NULL: no memory. */
char *worker_info(const struct connection *c);

#endif
