/*
 * The transport closes connections on which nothing moves. This thread closes those that move too
 * slowly: a request must be received, and an answer taken, in a given time as a whole. And those whose client left
 * behind half a request: where the end comes together with data, the transport does not see it.
 */
#include "http/connection.h"

#include "base/compiler.h"
#include "base/log.h"
#include "base/time.h"

void mc_http_set_deadline(struct mc_http_connection *c, int64_t after_us)
{
    int64_t deadline = after_us ? mc_time_monotonic_us() + after_us : 0;
    atomic_store_explicit(&c->deadline_us, deadline, memory_order_relaxed);
}

/*
 * True when the client ended its side, all that it sent was read, and since the last look nothing came of it: what
 * was read by then has been dealt with.
 */
static bool has_left(struct mc_http_connection *c, int64_t deadline_us)
{
    char next;
    bool ended = atomic_load_explicit(&c->receiving, memory_order_relaxed) &&
                 recv(c->fd, &next, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
    bool left = ended && c->gone_us == deadline_us;
    c->gone_us = ended ? deadline_us : 0;
    return left;
}

/* Called with the mutex held, which keeps the descriptors from being closed and used again. */
static void close_late(struct mc_http_server *server, int64_t now_us)
{
    for (struct mc_list *at = server->connections.next; at != &server->connections; at = at->next) {
        struct mc_http_connection *c = mc_container_of(at, struct mc_http_connection, node);
        int64_t deadline = atomic_load_explicit(&c->deadline_us, memory_order_relaxed);
        if (deadline == 0)
            continue;
        bool late = deadline <= now_us;
        if (!late && !has_left(c, deadline))
            continue;
        atomic_store_explicit(&c->deadline_us, 0, memory_order_relaxed);
        (void)shutdown(c->fd, SHUT_RDWR);
        if (!late)
            continue;
        mc_metrics_add(server->metrics, MC_COUNT_HTTP_REJECTED_SLOW, 1);
        mc_log(MC_LOG_DEBUG, "http", "closed a connection that took too long");
    }
}

static void *keep(void *context)
{
    struct mc_http_server *server = context;
    int64_t interval_us = server->request_timeout_us / 4;
    if (interval_us > MC_US_PER_SECOND)
        interval_us = MC_US_PER_SECOND;
    mc_mutex_lock(&server->mutex);
    while (!server->keeper_stops) {
        if (mc_list_empty(&server->connections)) {
            mc_cond_wait(&server->keep, &server->mutex);
            continue;
        }
        int64_t now_us = mc_time_monotonic_us();
        close_late(server, now_us);
        (void)mc_cond_wait_until(&server->keep, &server->mutex, now_us + interval_us);
    }
    mc_mutex_unlock(&server->mutex);
    return NULL;
}

enum mc_status mc_http_keeper_start(struct mc_http_server *server, struct mc_error *err)
{
    enum mc_status status = mc_thread_start(&server->keeper, "mc-http-keep", keep, server, err);
    server->keeper_runs = status == MC_OK;
    return status;
}

void mc_http_keeper_stop(struct mc_http_server *server)
{
    if (!server->keeper_runs)
        return;
    mc_mutex_lock(&server->mutex);
    server->keeper_stops = true;
    mc_cond_signal(&server->keep);
    mc_mutex_unlock(&server->mutex);
    mc_thread_join(server->keeper);
    server->keeper_runs = false;
}
