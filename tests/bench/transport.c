/* What a request costs beside the bare socket. usage: bench_transport SOCKET PINGPONG
 * Prints microseconds: a ping and a call (one at a time), the raw ping-pong of the same size, and a call in batches. */
#include <hemi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/wat/wat.h"

static hemi_client *client;

static void check(hemi_status status)
{
    if (status == HEMI_OK) return;
    fprintf(stderr, "bench: %s: %s\n", hemi_status_text(status), hemi_client_error(client));
    exit(1);
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double raw(const char *pingpong, int size)
{
    char command[512];
    double us = 0;
    snprintf(command, sizeof command, "%s %d 20000", pingpong, size);
    FILE *f = popen(command, "r");
    if (!f || fscanf(f, "%lf", &us) != 1) exit(1);
    pclose(f);
    return us;
}

static hemi_object *add_function(void)
{
    static const char text[] = "(module (func (export \"add\") (param i32 i32) (result i32)\n"
                               "  (i32.add (local.get 0) (local.get 1))))";
    uint8_t *bytes;
    size_t size;
    struct wat_error err;
    hemi_module *module;
    hemi_store *store;
    hemi_instance *instance;
    hemi_object *add;
    if (wat_assemble(text, strlen(text), NULL, &bytes, &size, &err) != 0) exit(1);
    check(hemi_module_new(client, bytes, size, &module, NULL));
    check(hemi_store_new(client, NULL, &store, NULL));
    check(hemi_instance_new(store, module, NULL, 0, NULL, &instance, NULL));
    check(hemi_export_get(instance, "add", &add, NULL));
    free(bytes);
    return add;
}

static double pings(int n)
{
    double start = now_us();
    for (int i = 0; i < n; i++) check(hemi_ping(client, NULL));
    return (now_us() - start) / n;
}

static double calls(hemi_object *add, int n)
{
    hemi_val args[2] = {hemi_i32(1), hemi_i32(2)}, result;
    double start = now_us();
    for (int i = 0; i < n; i++) check(hemi_call(add, args, 2, &result, 1, NULL));
    return (now_us() - start) / n;
}

static double batches(hemi_object *add, int depth, int n)
{
    hemi_val args[2] = {hemi_i32(1), hemi_i32(2)}, results[64];
    hemi_ticket tickets[64];
    double start = now_us();
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < depth; k++) check(hemi_call(add, args, 2, &results[k], 1, &tickets[k]));
        for (int k = 0; k < depth; k++) check(hemi_wait(client, tickets[k]));
    }
    return (now_us() - start) / n / depth;
}

static int by_value(const void *a, const void *b)
{
    double d = *(const double *)a - *(const double *)b;
    return d < 0 ? -1 : d > 0;
}

int main(int argc, char **argv)
{
    enum { ROUNDS = 7, PING_BYTES = 24 };
    double r[ROUNDS], p[ROUNDS], c[ROUNDS], b[ROUNDS];
    struct hemi_connect_options options = {.socket = argc > 2 ? argv[1] : NULL};
    if (argc < 3) return 2;
    check(hemi_connect(&options, &client));
    hemi_object *add = add_function();
    for (int i = 0; i < ROUNDS; i++) {
        r[i] = raw(argv[2], PING_BYTES);
        p[i] = pings(10000);
        c[i] = calls(add, 10000);
        b[i] = batches(add, 64, 500);
    }
    qsort(r, ROUNDS, sizeof *r, by_value);
    qsort(p, ROUNDS, sizeof *p, by_value);
    qsort(c, ROUNDS, sizeof *c, by_value);
    qsort(b, ROUNDS, sizeof *b, by_value);
    printf("  raw ping-pong, %d bytes      %8.2f us\n", PING_BYTES, r[ROUNDS / 2]);
    printf("  hemi ping, one at a time     %8.2f us   ping/raw = %.2f\n", p[ROUNDS / 2], p[ROUNDS / 2] / r[ROUNDS / 2]);
    printf("  call add, one at a time      %8.2f us   call/raw = %.2f\n", c[ROUNDS / 2], c[ROUNDS / 2] / r[ROUNDS / 2]);
    printf("  call add, pipelined by 64    %8.2f us   call/raw = %.3f\n", b[ROUNDS / 2], b[ROUNDS / 2] / r[ROUNDS / 2]);
    hemi_client_free(client);
    return 0;
}
