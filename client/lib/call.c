/* Calls. */
#include "client/lib/internal.h"

#define HANDLES_AT_ONCE_MAX PROTO_PARAMS_MAX

static hemi_status take_results(hemi_client *c, struct request *r, const Hemi__V1__Reply *reply, const struct frame *f)
{
    (void)reply;
    const hemi_object *o = (hemi_object *)r->answer.node;
    if (o->entry.count == 0) return HEMI_PROTOCOL; /* a function without a type was called: its EXPORT_GET failed */
    const struct hemi_entry *type = o->entry.at;
    if (f->raw_length != type->nresults * WIRE_VALUE_BYTES) return HEMI_PROTOCOL;
    if (type->nresults <= r->answer.count)
        return vals_read(c, r->store, r, type->results, type->nresults, f->raw, r->answer.to);
    for (uint32_t i = 0; i < r->handles; i++) handle_drop(c, r->first_handle + i);
    r->status = HEMI_ARGUMENT; /* hemi_call_ahead with too little room */
    return HEMI_OK;
}

static hemi_status call(hemi_object *function, const struct values *args, hemi_val *results, size_t nresults,
                        size_t nrefs, hemi_ticket *ticket)
{
    hemi_client *c = function->node.client;
    Hemi__V1__Call body = HEMI__V1__CALL__INIT;
    body.func = function->node.handle;
    body.deadline_ms = c->deadline_ms;
    struct sending s = {.f = {.type = FRAME_CALL, .body = &body.base},
                        .store = function->store,
                        .values = args,
                        .answer = {.take = take_results, .to = results, .count = nresults, .node = &function->node},
                        .handles = (uint32_t)nrefs};
    if (nrefs > 0) {
        s.first_handle = handles_new(c, (uint32_t)nrefs);
        if (s.first_handle == 0) return fail(c, HEMI_NO_MEMORY, "out of handles");
        body.result_handle = s.first_handle;
        body.result_count = (uint32_t)nrefs;
    }
    struct request *r;
    hemi_status status = request_new(c, &s, &r);
    if (status != HEMI_OK) return status;
    if (ticket && function->entry.count)
        vals_promise(r, function->entry.at->results, function->entry.at->nresults, results);
    return request_finish(c, r, ticket);
}

/* What a call would be answered, had it been sent. */
static hemi_status no_type(hemi_client *c, const hemi_object *function)
{
    if (function->failed == 0)
        return fail(c, HEMI_ARGUMENT,
                    "the function's type is not known yet: wait for what makes it, or use hemi_call_ahead");
    fail(c, HEMI_DEPENDENCY_FAILED, "request %u, which was to make the function used here, failed", function->failed);
    c->last.failed_request = function->failed;
    return HEMI_DEPENDENCY_FAILED;
}

/* Is it a function, and do the counts fit its type? */
static hemi_status check(hemi_client *c, const hemi_object *function, size_t nargs, size_t nresults)
{
    const struct hemi_entry *type = hemi_object_entry(function);
    if (!type) return no_type(c, function);
    if (type->kind != HEMI_FUNC_OBJECT) return fail(c, HEMI_ARGUMENT, "not a function");
    if (nargs != type->nparams)
        return fail(c, HEMI_ARGUMENT, "%zu arguments where there are %zu parameters", nargs, type->nparams);
    if (nresults < type->nresults)
        return fail(c, HEMI_ARGUMENT, "room for %zu results where there are %zu", nresults, type->nresults);
    return HEMI_OK;
}

hemi_status hemi_call(hemi_object *function, const hemi_val *args, size_t nargs, hemi_val *results, size_t nresults,
                      hemi_ticket *ticket)
{
    hemi_client *c = CLIENT_OF(function);
    ENTER_ASKING(c, ticket);
    hemi_status status = usable(c, function->store);
    if (status == HEMI_OK) status = check(c, function, nargs, nresults);
    if (status != HEMI_OK) return status;
    const struct hemi_entry *type = hemi_object_entry(function);
    if (nargs > 0 && !args) return fail_null(c, "args");
    if (type->nresults > 0 && !results) return fail_null(c, "results");
    struct values values = {.at = args, .types = type->params, .count = nargs};
    return call(function, &values, results, nresults, vals_count_refs(type->results, type->nresults), ticket);
}

hemi_status hemi_call_ahead(hemi_object *function, const hemi_val *args, size_t nargs, hemi_val *results,
                            size_t nresults, size_t nrefs, hemi_ticket *ticket)
{
    hemi_client *c = CLIENT_OF(function);
    ENTER_ASKING(c, ticket);
    hemi_status status = usable(c, function->store);
    if (status != HEMI_OK) return status;
    if (hemi_object_entry(function)) return hemi_call(function, args, nargs, results, nresults, ticket);
    if (nargs > PROTO_PARAMS_MAX || nrefs > HANDLES_AT_ONCE_MAX)
        return fail(c, HEMI_ARGUMENT, "more than %u arguments or results", PROTO_PARAMS_MAX);
    if (nargs > 0 && !args) return fail_null(c, "args");
    if (nresults > 0 && !results) return fail_null(c, "results");
    struct values values = {.at = args, .count = nargs};
    return call(function, &values, results, nresults, nrefs, ticket);
}
