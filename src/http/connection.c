/*
 * The life of a request on its connection. The transport calls from its event threads: on_target
 * when the request line was read, on_request with the headers, then with each piece of the body,
 * then at its end, and on_completed.
 *
 * A handler that may take long runs in the pool. Meanwhile the connection is suspended: the
 * transport does not touch it, and only the pool's thread uses its request. Resuming it makes the
 * transport call on_request again.
 */
#include "http/connection.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "base/time.h"
#include "http/export.h"
#include "http/grant.h"
#include "http/routes.h"

#define ARENA_MAX ((size_t)4 * 1024 * 1024)
#define ANSWER_MAX ((size_t)64 * 1024 * 1024)
#define KEEP_BYTES ((size_t)64 * 1024)      /* of a buffer between requests */
#define DISCARD_MAX ((uint64_t)1024 * 1024) /* of the body of a refused request */

/* Opening and closing */

/* What a handler loads counts until its answer does. */
static bool reserve(void *connection, size_t bytes)
{
    struct mc_http_connection *c = connection;
    c->too_large = c->carried + bytes > c->server->max_memory;
    if (!mc_http_is_full(c->server, bytes)) {
        mc_http_carry(c, c->carried + bytes);
        return true;
    }
    mc_metrics_add(c->server->metrics,
                   c->too_large ? MC_COUNT_HTTP_REJECTED_SIZE : MC_COUNT_HTTP_REJECTED_MEMORY, 1);
    return false;
}

static void open_connection(struct mc_http_server *server, struct mc_http_connection *c)
{
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *peer =
        MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    c->server = server;
    c->fd = fd ? fd->connect_fd : -1;
    if (peer && peer->client_addr)
        memcpy(&c->peer, peer->client_addr,
               peer->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                        : sizeof(struct sockaddr_in));
    c->req.engine = server->engine;
    c->req.memory = (struct mc_memory){reserve, c};
    c->req.draining = &server->draining;
    c->req.stopping = &server->stopping;
    mc_arena_init(&c->req.arena, ARENA_MAX);
    mc_buf_init(&c->req.body, server->max_body_bytes);
    mc_buf_init(&c->req.out, ANSWER_MAX);
    atomic_init(&c->receiving, true);
    mc_http_set_deadline(c, server->request_timeout_us);
    mc_mutex_lock(&server->mutex);
    if (mc_list_empty(&server->connections))
        mc_cond_signal(&server->keep);
    mc_list_push_back(&server->connections, &c->node);
    mc_http_forget_pending(server, c->fd);
    mc_mutex_unlock(&server->mutex);
    mc_metrics_shift(server->metrics, MC_GAUGE_HTTP_CONNECTIONS, 1);
}

static void close_connection(struct mc_http_connection *c)
{
    mc_mutex_lock(&c->server->mutex);
    mc_list_remove(&c->node);
    mc_mutex_unlock(&c->server->mutex);
    mc_metrics_shift(c->server->metrics, MC_GAUGE_HTTP_CONNECTIONS, -1);
    if (c->server->tls && !c->asked)
        mc_metrics_add(c->server->metrics, MC_COUNT_HTTP_TLS_FAILURES, 1);
    mc_arena_fini(&c->req.arena);
    mc_buf_fini(&c->req.body);
    mc_buf_fini(&c->req.out);
    free(c);
}

void mc_http_on_connection(void *cls, struct MHD_Connection *mhd, void **socket_context,
                           enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*socket_context)
            close_connection(*socket_context);
        *socket_context = NULL;
        return;
    }
    struct mc_http_connection *c = calloc(1, sizeof(*c));
    if (c) {
        c->mhd = mhd;
        open_connection(cls, c);
    }
    *socket_context = c;
}

/* The request line */

static void resume(void *connection)
{
    struct mc_http_connection *c = connection;
    MHD_resume_connection(c->mhd);
}

static void hand_over(struct mc_http_request *req)
{
    struct mc_http_connection *c = (struct mc_http_connection *)(void *)req;
    *c->handed_over = true;
    resume(c);
}

void *mc_http_on_target(void *cls, const char *target, struct MHD_Connection *mhd)
{
    struct mc_http_server *server = cls;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct mc_http_connection *c = info ? info->socket_context : NULL;
    if (!c)
        return NULL;
    struct mc_http_request *req = &c->req;
    atomic_fetch_add(&server->active, 1);
    c->asked = true;
    c->phase = MC_HTTP_PHASE_HEADERS;
    c->started_us = mc_time_monotonic_us();
    c->target_error = (struct mc_error){.status = MC_OK};
    c->target_len = strlen(target);
    req->hand_over = hand_over;
    req->resume = resume;
    mc_http_set_deadline(c, server->request_timeout_us);
    mc_str copy = mc_arena_copy(&req->arena, mc_str_of(target));
    if (!copy.data)
        mc_fail_memory(&c->target_error);
    else if (mc_http_parse_target(req, copy, &c->target_error) == MC_OK)
        c->target_error.status = MC_OK;
    return c;
}

/* The body */

/* Suspends the connection and gives its task to the pool; on_request is called again afterwards. */
static enum MHD_Result run_in_pool(struct mc_http_connection *c, void (*run)(struct mc_http_task *),
                                   bool is_long)
{
    mc_http_set_deadline(c, 0);
    c->task.run = run;
    c->task.is_long = is_long;
    MHD_suspend_connection(c->mhd);
    if (mc_http_pool_submit(c->server->pool, &c->task))
        return MHD_YES;
    mc_metrics_add(c->server->metrics, MC_COUNT_HTTP_REJECTED_CONCURRENCY, 1);
    mc_http_problem(&c->req, 503, NULL, "too many long requests run already; try again later");
    c->req.close = true;
    c->phase = c->phase == MC_HTTP_PHASE_BODY ? MC_HTTP_PHASE_DISCARD : c->phase;
    resume(c);
    return MHD_YES;
}

static void store_batch(struct mc_http_task *task)
{
    struct mc_http_connection *c = mc_container_of(task, struct mc_http_connection, task);
    mc_http_bulk_store(c->bulk);
    mc_http_carry(c, mc_http_bulk_size(c->bulk));
    mc_http_set_deadline(c, c->server->request_timeout_us);
    resume(c);
}

const char mc_http_full[] =
    "the server carries as much as server.max_memory allows; try again in a second";

/* Counts what the connection holds now. */
void mc_http_carry(struct mc_http_connection *c, size_t bytes)
{
    atomic_fetch_add_explicit(&c->server->carried, bytes - c->carried, memory_order_relaxed);
    c->carried = bytes;
}

bool mc_http_is_full(const struct mc_http_server *server, size_t more)
{
    size_t carried = atomic_load_explicit(&server->carried, memory_order_relaxed);
    return carried > server->max_memory || more > server->max_memory - carried;
}

enum mc_status mc_http_count_grant(struct mc_http_connection *c, enum mc_status status)
{
    if (status == MC_FORBIDDEN)
        mc_metrics_add(c->server->metrics, MC_COUNT_HTTP_REJECTED_AUTH, 1);
    return status;
}

/* Throws the body of a refused request away, a while; then the answer is sent at once. */
static enum MHD_Result discard(struct mc_http_connection *c, size_t *upload_size)
{
    if (c->phase != MC_HTTP_PHASE_DISCARD) {
        *upload_size = 0;
        return MHD_YES;
    }
    c->discarded += *upload_size;
    *upload_size = 0;
    if (c->discarded <= DISCARD_MAX)
        return MHD_YES;
    mc_http_send_now(c);
    return MHD_NO;
}

/* Answers with what became of the lines, which are not needed any more. */
static void answer_lines(struct mc_http_connection *c)
{
    mc_http_bulk_answer(c->bulk, &c->req);
    mc_http_bulk_free(mc_steal(c->bulk));
    mc_http_carry(c, c->req.out.len);
    if (c->req.status == mc_status_http(MC_UNAUTHENTICATED))
        mc_metrics_add(c->server->metrics, MC_COUNT_HTTP_REJECTED_AUTH, 1);
}

static void refuse_lines(struct mc_http_connection *c)
{
    struct mc_error err;
    mc_fail(&err, MC_BUSY, "%s", mc_http_full);
    mc_http_bulk_fail(c->bulk, &err);
    mc_metrics_add(c->server->metrics, MC_COUNT_HTTP_REJECTED_MEMORY, 1);
}

static enum MHD_Result take_lines(struct mc_http_connection *c, const char *upload,
                                  size_t *upload_size)
{
    bool lines = false;
    if (!mc_http_bulk_failed(c->bulk) && mc_http_is_full(c->server, *upload_size))
        refuse_lines(c);
    size_t taken = mc_http_bulk_feed(c->bulk, upload, *upload_size, &lines);
    *upload_size -= taken;
    mc_http_carry(c, mc_http_bulk_size(c->bulk));
    if (mc_http_bulk_failed(c->bulk)) {
        answer_lines(c);
        c->phase = MC_HTTP_PHASE_DISCARD;
        return discard(c, upload_size);
    }
    if (lines)
        mc_http_set_deadline(c, c->server->request_timeout_us);
    return mc_http_bulk_ready(c->bulk) ? run_in_pool(c, store_batch, false) : MHD_YES;
}

static enum MHD_Result take_body(struct mc_http_connection *c, const char *upload,
                                 size_t *upload_size)
{
    if (c->phase != MC_HTTP_PHASE_BODY)
        return discard(c, upload_size);
    if (c->bulk)
        return take_lines(c, upload, upload_size);
    if (mc_http_is_full(c->server, *upload_size)) {
        mc_metrics_add(c->server->metrics, MC_COUNT_HTTP_REJECTED_MEMORY, 1);
        mc_http_problem(&c->req, 503, NULL, "%s", mc_http_full);
        c->phase = MC_HTTP_PHASE_DISCARD;
        return discard(c, upload_size);
    }
    mc_buf_append(&c->req.body, (mc_str){upload, *upload_size});
    mc_http_carry(c, c->req.body.len);
    if (c->req.body.failed) {
        mc_metrics_add(c->server->metrics, MC_COUNT_HTTP_REJECTED_SIZE, 1);
        mc_http_problem(&c->req, 413, NULL,
                        "the body is longer than server.max_body allows, %zu bytes",
                        c->server->max_body_bytes);
        c->phase = MC_HTTP_PHASE_DISCARD;
        return discard(c, upload_size);
    }
    *upload_size = 0;
    return MHD_YES;
}

/* The handler */

/* True when the request is still ours: a handler that streams has handed it over. */
static bool call_handler(struct mc_http_connection *c)
{
    bool handed_over = false;
    c->handed_over = &handed_over;
    struct mc_error err = {.status = MC_OK};
    enum mc_status status = mc_http_parse_body(&c->req, &err);
    if (status == MC_OK)
        status = mc_http_count_grant(c, mc_http_grant_body(&c->req, &err));
    if (status == MC_OK)
        status = c->req.route->handler(&c->req, &err);
    if (handed_over)
        return false;
    if (status == MC_BUSY && c->too_large) {
        mc_http_problem(
            &c->req, 413, NULL,
            "what is read for the answer does not fit server.max_memory, %zu bytes: ask "
            "for less, or raise it",
            c->server->max_memory);
    } else if (status != MC_OK) {
        err.status = status;
        mc_http_problem_error(&c->req, &err);
    }
    return true;
}

static void run_handler(struct mc_http_task *task)
{
    struct mc_http_connection *c = mc_container_of(task, struct mc_http_connection, task);
    c->req.in_pool = true;
    if (call_handler(c))
        resume(c);
}

static bool is_head(const struct mc_http_request *req)
{
    return mc_str_equal(req->method, MC_STR("HEAD"));
}

static enum MHD_Result finish_body(struct mc_http_connection *c)
{
    struct mc_http_request *req = &c->req;
    if (c->bulk) {
        mc_http_bulk_end(c->bulk);
        if (mc_http_bulk_ready(c->bulk) && !mc_http_bulk_failed(c->bulk))
            return run_in_pool(c, store_batch, false);
        answer_lines(c);
        return mc_http_send(c);
    }
    if (is_head(req) && req->route->slow) {
        mc_http_answer(req, 200,
                       req->route->content_type ? req->route->content_type : MC_HTTP_JSON);
        return mc_http_send(c);
    }
    if (!req->route->slow)
        (void)call_handler(c);
    if (req->route->slow || req->deferred) {
        c->phase = MC_HTTP_PHASE_RUNNING;
        return run_in_pool(c, run_handler, true);
    }
    return mc_http_send(c);
}

/*
 * An answer queued before the body was read ends the connection, so a small body is read first. Not
 * one that the client holds back until it is asked for, nor one that is large.
 */
static enum MHD_Result answer_refused(struct mc_http_connection *c)
{
    c->phase = MC_HTTP_PHASE_DISCARD;
    if (c->req.close || c->expects_continue || c->length > (int64_t)DISCARD_MAX)
        return mc_http_send(c);
    return MHD_YES;
}

static enum MHD_Result begin_request(struct mc_http_connection *c, const char *method)
{
    bool lines = false;
    struct mc_error err;
    c->req.method = mc_arena_copy(&c->req.arena, mc_str_of(method));
    if (!mc_http_check_headers(c, &lines))
        return answer_refused(c);
    c->phase = MC_HTTP_PHASE_BODY;
    if (!lines)
        return MHD_YES;
    if (mc_http_bulk_new(&c->req, c->server->max_body_bytes, &c->bulk, &err) == MC_OK) {
        mc_http_carry(c, mc_http_bulk_size(c->bulk));
        return MHD_YES;
    }
    mc_http_problem_error(&c->req, &err);
    return answer_refused(c);
}

/*
 * Between the chunks of a body the transport may call again although the connection was suspended
 * in the call before. The piece must then be left to it, for after the connection was resumed.
 */
static bool is_suspended(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_SUSPENDED);
    return info && info->suspended == MHD_YES;
}

enum MHD_Result mc_http_on_request(void *cls, struct MHD_Connection *mhd, const char *url,
                                   const char *method, const char *version, const char *upload,
                                   size_t *upload_size, void **context)
{
    struct mc_http_connection *c = *context;
    (void)cls;
    (void)url;
    (void)version;
    if (!c)
        return MHD_NO;
    if (is_suspended(mhd))
        return MHD_YES;
    if (c->phase == MC_HTTP_PHASE_HEADERS)
        return begin_request(c, method);
    if (*upload_size > 0)
        return take_body(c, upload, upload_size);
    switch (c->phase) {
    case MC_HTTP_PHASE_BODY:
        atomic_store_explicit(&c->receiving, false, memory_order_relaxed);
        mc_http_set_deadline(c, 0);
        return finish_body(c);
    case MC_HTTP_PHASE_RUNNING:
    case MC_HTTP_PHASE_DISCARD:
        return mc_http_send(c);
    case MC_HTTP_PHASE_ANSWERED:
        return MHD_YES;
    case MC_HTTP_PHASE_IDLE:
    case MC_HTTP_PHASE_HEADERS:
        break;
    }
    return MHD_NO;
}

/* The end */

static void count_request(const struct mc_http_connection *c, int64_t taken_us)
{
    int hundreds = c->req.status / 100;
    enum mc_code_class code = hundreds == 2   ? MC_CODE_2XX
                              : hundreds == 4 ? MC_CODE_4XX
                              : hundreds == 5 ? MC_CODE_5XX
                                              : MC_CODE_NONE;
    mc_metrics_add_request(c->server->metrics, mc_http_route_number(c->req.route), code, taken_us);
}

static void log_request(const struct mc_http_connection *c, int64_t taken_us,
                        enum MHD_RequestTerminationCode code)
{
    const struct mc_http_request *req = &c->req;
    mc_str path = req->path.data ? req->path : MC_STR("-");
    mc_log(MC_LOG_INFO, "http",
           "method=%.*s path=%.*s status=%d duration_ms=%.3f bytes=%llu request_id=%s%s",
           (int)(req->method.len < 16 ? req->method.len : 16),
           req->method.data ? req->method.data : "", (int)(path.len < 256 ? path.len : 256),
           path.data, req->status, (double)taken_us / (double)MC_US_PER_MS,
           (unsigned long long)(req->stream ? c->streamed : req->out.len), req->id,
           code == MHD_REQUEST_TERMINATED_COMPLETED_OK ? "" : " aborted=true");
}

static void reset_buf(struct mc_buf *buf)
{
    if (buf->capacity > KEEP_BYTES)
        mc_buf_fini(buf);
    else
        mc_buf_reset(buf);
}

static void reset_request(struct mc_http_connection *c)
{
    struct mc_http_request *req = &c->req;
    mc_http_bulk_free(mc_steal(c->bulk));
    if (req->stream)
        mc_http_export_close(mc_steal(req->stream));
    mc_json_free(mc_steal(req->json));
    mc_grant_free(mc_steal(req->grant));
    reset_buf(&req->body);
    reset_buf(&req->out);
    if (req->arena.used_bytes > KEEP_BYTES)
        mc_arena_fini(&req->arena);
    else
        mc_arena_reset(&req->arena);
    req->route = NULL;
    req->method = req->path = req->authority = req->query_text = MC_STR_NONE;
    req->segment_count = 0;
    req->query = req->fields = NULL;
    req->in_pool = req->deferred = req->close = c->audited = false;
    req->status = 0;
    req->header_count = 0;
    req->id[0] = '\0';
    mc_http_carry(c, 0);
    c->too_large = false;
    c->discarded = c->streamed = 0;
    c->waiting_us = 0;
    c->length = 0;
    c->expects_continue = false;
    c->phase = MC_HTTP_PHASE_IDLE;
}

void mc_http_on_completed(void *cls, struct MHD_Connection *mhd, void **context,
                          enum MHD_RequestTerminationCode code)
{
    struct mc_http_server *server = cls;
    struct mc_http_connection *c = *context;
    (void)mhd;
    *context = NULL;
    if (!c)
        return;
    int64_t taken_us = mc_time_monotonic_us() - c->started_us;
    log_request(c, taken_us, code);
    count_request(c, taken_us);
    mc_http_audit(c);
    reset_request(c);
    atomic_store_explicit(&c->receiving, true, memory_order_relaxed);
    mc_http_set_deadline(c, server->idle_timeout_us + server->request_timeout_us);
    if (atomic_fetch_sub(&server->active, 1) == 1 && atomic_load(&server->draining)) {
        mc_mutex_lock(&server->mutex);
        mc_cond_broadcast(&server->idle);
        mc_mutex_unlock(&server->mutex);
    }
}
