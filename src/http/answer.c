/* From a request's answer to a response of the transport. */
#include "http/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include "base/audit.h"
#include "base/str.h"
#include "base/time.h"
#include "http/export.h"
#include "http/grant.h"

#define STREAM_BLOCK ((size_t)32 * 1024)
#define SMALL_BYTES ((size_t)64 * 1024)
/* A client that takes less than this is too slow. */
#define SLOWEST_BYTES_PER_SECOND 32768
/* Of a stream, that the kernel may keep unsent: what it has taken is not what the client has. */
#define UNSENT_BYTES (128 * 1024)

/* How long a client may take for so much. */
static int64_t time_for(const struct mc_http_connection *c, uint64_t bytes)
{
    return c->server->request_timeout_us +
           (int64_t)bytes * MC_US_PER_SECOND / SLOWEST_BYTES_PER_SECOND;
}

/* While it waits for us, the client's time stands still. */
static void suspend(void *connection)
{
    struct mc_http_connection *c = connection;
    c->waiting_us = mc_time_monotonic_us();
    mc_http_set_deadline(c, 0);
    MHD_suspend_connection(c->mhd);
}

static void begin_stream(struct mc_http_connection *c)
{
    const int unsent = UNSENT_BYTES;
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
    c->stream_us = mc_time_monotonic_us();
}

/* The time is for all that was streamed so far: a deadline for each block would let a client take years. */
static void set_stream_deadline(struct mc_http_connection *c)
{
    int64_t now_us = mc_time_monotonic_us();
    if (c->waiting_us)
        c->stream_us += now_us - c->waiting_us;
    c->waiting_us = 0;
    int64_t left_us = c->stream_us + time_for(c, c->streamed) - now_us;
    mc_http_set_deadline(c, left_us > 0 ? left_us : 1);
}

static ssize_t read_stream(void *cls, uint64_t position, char *data, size_t max)
{
    struct mc_http_connection *c = cls;
    size_t len = 0;
    (void)position;
    set_stream_deadline(c);
    enum mc_http_read state = mc_http_export_read(c->req.stream, data, max, &len, suspend, c);
    if (state == MC_HTTP_READ_END)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (state == MC_HTTP_READ_FAILED)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    c->streamed += len;
    return (ssize_t)len;
}

static struct MHD_Response *make_response(struct mc_http_connection *c)
{
    struct mc_http_request *req = &c->req;
    if (req->stream)
        return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream, c,
                                                 NULL);
    return MHD_create_response_from_buffer(req->out.len, req->out.data, MHD_RESPMEM_PERSISTENT);
}

static bool add_headers(struct mc_http_connection *c, struct MHD_Response *response)
{
    struct mc_http_request *req = &c->req;
    bool ok = MHD_add_response_header(response, "X-Request-Id", req->id) == MHD_YES &&
              MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") == MHD_YES &&
              MHD_add_response_header(response, "Cache-Control", "no-store") == MHD_YES;
    if (ok && req->content_type)
        ok = MHD_add_response_header(response, "Content-Type", req->content_type) == MHD_YES;
    for (size_t i = 0; ok && i < req->header_count; i++)
        ok = MHD_add_response_header(response, req->headers[i].name, req->headers[i].value) ==
             MHD_YES;
    bool close = req->close || atomic_load_explicit(&c->server->draining, memory_order_relaxed);
    if (ok && close)
        ok = MHD_add_response_header(response, "Connection", "close") == MHD_YES;
    return ok;
}

static void check_complete(struct mc_http_request *req)
{
    if (!req->out.failed)
        return;
    size_t max = req->out.max;
    mc_http_problem(req, 413, NULL,
                    "the answer does not fit %zu bytes, or memory is short: ask for less", max);
}

/* Who is told to ask again does so: not what has changed something, nor what never fits. */
static bool may_refuse(const struct mc_http_request *req)
{
    return req->route && (strcmp(req->route->method, "GET") == 0 ||
                          mc_http_route_scope(req->route) == MC_SCOPE_READ);
}

/* Whoever asks for much and takes nothing holds what was answered: large answers must fit, small ones always do. */
static void carry_answer(struct mc_http_connection *c)
{
    struct mc_http_request *req = &c->req;
    size_t max = c->server->max_memory, len = req->body.len + req->out.len;
    mc_http_carry(c, len);
    if (req->out.len <= SMALL_BYTES || !may_refuse(req) || !mc_http_is_full(c->server, 0))
        return;
    mc_buf_fini(&req->out);
    if (len > max) {
        mc_metrics_add(c->server->metrics, MC_COUNT_HTTP_REJECTED_SIZE, 1);
        mc_http_problem(req, 413, NULL,
                        "the answer does not fit server.max_memory, %zu bytes: ask for less, or "
                        "raise it",
                        max);
    } else {
        mc_metrics_add(c->server->metrics, MC_COUNT_HTTP_REJECTED_MEMORY, 1);
        mc_http_problem(req, 503, NULL, "%s", mc_http_full);
    }
    mc_http_carry(c, req->body.len + req->out.len);
}

/* On a terminal what comes next stands on a line of its own. */
static void end_line(struct mc_http_request *req)
{
    struct mc_buf *out = &req->out;
    bool json = req->content_type && strstr(req->content_type, "json");
    if (json && out->len > 0 && out->data[out->len - 1] != '\n')
        mc_buf_char(out, '\n');
}

void mc_http_audit(struct mc_http_connection *c)
{
    const struct mc_http_request *req = &c->req;
    char from[MC_ADDRESS_SIZE];
    struct mc_address peer = {.socket = c->peer};
    bool noted = req->route && (req->route->audited || req->route->scope == MC_SCOPE_ADMIN);
    if (!c->server->audit || !noted || c->audited)
        return;
    c->audited = true;
    mc_address_text(&peer, from);
    const struct mc_audit_act act = {
        .act = req->route->name,
        .result = req->status < 400   ? "done"
                  : req->status < 500 ? "refused"
                                      : "failed",
        .target = req->path,
        .who = req->grant ? req->grant->key_id : MC_STR_NONE,
        .from = mc_str_of(from),
        .request_id = mc_str_of(req->id),
    };
    mc_audit_write(c->server->audit, &act);
}

enum MHD_Result mc_http_send(struct mc_http_connection *c)
{
    struct mc_http_request *req = &c->req;
    check_complete(req);
    atomic_store_explicit(&c->receiving, false, memory_order_relaxed);
    carry_answer(c);
    end_line(req);
    mc_http_audit(c);
    struct MHD_Response *response = make_response(c);
    if (!response)
        return MHD_NO;
    c->phase = MC_HTTP_PHASE_ANSWERED;
    if (req->stream)
        begin_stream(c);
    mc_http_set_deadline(c, time_for(c, req->out.len));
    enum MHD_Result result = MHD_NO;
    if (add_headers(c, response))
        result = MHD_queue_response(c->mhd, (unsigned)req->status, response);
    MHD_destroy_response(response);
    return result;
}

void mc_http_send_now(struct mc_http_connection *c)
{
    struct mc_http_request *req = &c->req;
    char head[512];
    check_complete(req);
    c->phase = MC_HTTP_PHASE_ANSWERED;
    if (c->server->tls)
        return;
    int len =
        snprintf(head, sizeof(head),
                 "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                 "X-Request-Id: %s\r\nX-Content-Type-Options: nosniff\r\n"
                 "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
                 req->status, mc_http_title(req->status), req->content_type, req->out.len, req->id);
    if (len > 0 && send(c->fd, head, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT | MSG_MORE) == len)
        (void)send(c->fd, req->out.data, req->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    c->phase = MC_HTTP_PHASE_ANSWERED;
}
