#include "http/server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/audit.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "base/str.h"
#include "base/time.h"
#include "http/connection.h"
#include "http/routes.h"
#include "http/tls.h"

#define DEFAULT_LISTEN "127.0.0.1:8000"
#define DEFAULT_BODY ((size_t)1024 * 1024)
#define DEFAULT_CONNECTIONS 1024
#define DEFAULT_PEER_CONNECTIONS 128
#define DEFAULT_MEMORY ((size_t)256 * 1024 * 1024)
#define DEFAULT_IDLE_US (60 * MC_US_PER_SECOND)
#define DEFAULT_REQUEST_US (30 * MC_US_PER_SECOND)
#define DEFAULT_DRAIN_US (10 * MC_US_PER_SECOND)
/* Requests that wait for a commit share the next one, so threads beyond the cores pay. */
#define THREADS_MIN 32
#define POOL_THREADS 8
#define CONNECTION_MEMORY ((size_t)24 * 1024) /* request line, headers, and a piece of the body */
#define SPARE_CONNECTIONS 16
#define SPARE_DESCRIPTORS 256 /* for the database, logs, and the rest */
#define KEPT_DESCRIPTORS 48   /* of those: what connections must leave when the limit is low */
#define LEAST_CONNECTIONS 8
#define THREAD_DESCRIPTORS 2 /* of an event thread: epoll and what wakes it */

__attribute__((format(printf, 2, 0))) static void log_transport(void *cls, const char *format,
                                                                va_list args)
{
    char text[512];
    (void)cls;
    vsnprintf(text, sizeof(text), format, args);
    mc_log(MC_LOG_DEBUG, "http", "%s", text);
}

static void raise_descriptor_limit(size_t connections)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)connections + SPARE_DESCRIPTORS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static size_t open_descriptors(void)
{
    size_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return 0;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count > 3 ? count - 3 : 0; /* ".", ".." and the folder itself */
}

static enum mc_status fail_descriptors(rlim_t limit, struct mc_error *err)
{
    return mc_fail(
        err, MC_IO,
        "the limit of open files, %llu, is too low to serve; raise it with 'ulimit -n %d' "
        "or lower server.threads",
        (unsigned long long)limit, 2048);
}

/* Fewer connections where the limit of descriptors leaves no room for so many. */
static enum mc_status fit_descriptors(struct mc_http_server *server, struct mc_error *err)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return MC_OK;
    size_t used = open_descriptors() + KEPT_DESCRIPTORS;
    size_t room = limit.rlim_cur > used ? (size_t)limit.rlim_cur - used : 0;
    if (room >= server->max_connections)
        return MC_OK;
    if (room < LEAST_CONNECTIONS)
        return fail_descriptors(limit.rlim_cur, err);
    mc_log(MC_LOG_WARNING, "http",
           "at most %zu connections instead of %zu: the limit of open files is %llu (ulimit -n)",
           room, server->max_connections, (unsigned long long)limit.rlim_cur);
    server->max_connections = room;
    return MC_OK;
}

static void ignore_sigpipe(void)
{
    struct sigaction action = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &action, NULL);
}

/* The option that gave the address. */
static const char *listen_field(const struct mc_http_options *options)
{
    return options->metrics_only ? "server.metrics_listen" : "server.listen";
}

static enum mc_status check_options(const struct mc_http_options *options, struct mc_error *err)
{
    if (options->threads < 0 || options->threads > 256)
        return mc_fail_field(err, MC_CONFIG, "server.threads",
                             "server.threads must be from 0 to 256");
    if (options->idle_timeout_us < 0 || options->request_timeout_us < 0 ||
        options->drain_timeout_us < 0 || !(options->rate_limit >= 0))
        return mc_fail(err, MC_CONFIG, "a time or rate of the server is negative");
    return MC_OK;
}

static enum mc_status check_keys(struct mc_engine *engine, const struct mc_http_options *options,
                                 const struct mc_address *address, struct mc_error *err)
{
    if (address->loopback || options->api_key_count > 0 || mc_key_count(engine) > 0)
        return MC_OK;
    return mc_fail_field(
        err, MC_CONFIG, "server.api_keys",
        "%s can be reached by others: make a key with 'mindcore keys create' or set "
        "server.api_keys, or listen on 127.0.0.1",
        options->listen ? options->listen : DEFAULT_LISTEN);
}

static void set_options(struct mc_http_server *server, const struct mc_http_options *options)
{
    server->max_body_bytes = options->max_body_bytes ? options->max_body_bytes : DEFAULT_BODY;
    server->max_connections =
        options->max_connections ? options->max_connections : DEFAULT_CONNECTIONS;
    server->max_peer_connections =
        options->max_peer_connections ? options->max_peer_connections : DEFAULT_PEER_CONNECTIONS;
    server->idle_timeout_us = options->idle_timeout_us ? options->idle_timeout_us : DEFAULT_IDLE_US;
    server->request_timeout_us =
        options->request_timeout_us ? options->request_timeout_us : DEFAULT_REQUEST_US;
    server->drain_timeout_us =
        options->drain_timeout_us ? options->drain_timeout_us : DEFAULT_DRAIN_US;
    server->metrics_only = options->metrics_only;
    server->max_memory = options->max_memory ? options->max_memory : DEFAULT_MEMORY;
}

/* The transport's threads inherit the mask: signals stay with the program's own threads. */
static enum mc_status start_daemon(struct mc_http_server *server,
                                   const struct mc_http_options *options, struct mc_error *err)
{
    mc_auto(mc_http_tls_fini) struct mc_http_tls tls = {0};
    enum mc_status status = mc_http_tls_read(options->tls_cert, options->tls_key, &tls, err);
    if (status != MC_OK)
        return status;
    server->tls = tls.cert != NULL;
    struct MHD_OptionItem tls_options[MC_HTTP_TLS_OPTIONS];
    mc_http_tls_options(&tls, tls_options);
    int threads = options->threads ? options->threads : 2 * mc_core_count();
    if (options->threads == 0)
        threads = options->metrics_only ? 1 : threads < THREADS_MIN ? THREADS_MIN : threads;
    raise_descriptor_limit(server->max_connections);
    /* The acceptor keeps the limit; the transport's, which it divides among its threads, only
     * bounds it. */
    size_t connections = server->max_connections + (size_t)threads * SPARE_CONNECTIONS;
    int64_t idle_s = (server->idle_timeout_us + MC_US_PER_SECOND - 1) / MC_US_PER_SECOND;
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET |
            MHD_USE_ERROR_LOG | (server->tls ? MHD_USE_TLS : 0),
        0, NULL, NULL, mc_http_on_request, server, MHD_OPTION_EXTERNAL_LOGGER, log_transport, NULL,
        MHD_OPTION_THREAD_POOL_SIZE, (unsigned)(threads > 1 ? threads : 0),
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)connections, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
        MHD_OPTION_NOTIFY_CONNECTION, mc_http_on_connection, server, MHD_OPTION_URI_LOG_CALLBACK,
        mc_http_on_target, server, MHD_OPTION_NOTIFY_COMPLETED, mc_http_on_completed, server,
        MHD_OPTION_ARRAY, tls_options, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (server->daemon)
        return fit_descriptors(server, err);
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
        open_descriptors() + (size_t)threads * THREAD_DESCRIPTORS > limit.rlim_cur)
        return fail_descriptors(limit.rlim_cur, err);
    if (server->tls)
        return mc_http_tls_fail(err);
    return mc_fail(err, MC_IO, "the HTTP server cannot start its threads");
}

static void free_server(struct mc_http_server *server)
{
    mc_http_pool_free(server->pool);
    mc_http_guard_free(server->guard);
    mc_cond_fini(&server->idle);
    mc_cond_fini(&server->keep);
    mc_mutex_fini(&server->mutex);
    free(server->pending);
    free(server->audit);
    free(server);
}

static void set_url(struct mc_http_server *server)
{
    char host[MC_ADDRESS_SIZE];
    mc_address_text(&server->address, host);
    snprintf(server->url, sizeof(server->url), strchr(host, ':') ? "%s://[%s]:%d" : "%s://%s:%d",
             server->tls ? "https" : "http", host, mc_address_port(&server->address));
}

/* The path of the audit log, which can be added to. */
static enum mc_status open_audit(struct mc_http_server *server, const char *path,
                                 struct mc_error *err)
{
    if (!path)
        return MC_OK;
    server->audit = strdup(path);
    return server->audit ? mc_audit_check(path, err) : mc_fail_memory(err);
}

static enum mc_status start_parts(struct mc_http_server *server,
                                  const struct mc_http_options *options, struct mc_error *err)
{
    enum mc_status status = mc_http_guard_new(options, &server->address, &server->guard, err);
    if (status == MC_OK)
        status = open_audit(server, options->audit, err);
    if (status == MC_OK)
        status = mc_http_pool_start(options->metrics_only ? 1 : POOL_THREADS, &server->pool, err);
    if (status == MC_OK)
        status = mc_http_keeper_start(server, err);
    if (status == MC_OK)
        status =
            mc_address_listen(&server->address, listen_field(options), &server->listen_fd, err);
    if (status != MC_OK)
        return status;
    status = start_daemon(server, options, err);
    if (status != MC_OK)
        return status;
    set_url(server);
    return mc_http_acceptor_start(server, err);
}

enum mc_status mc_http_check(const struct mc_http_options *options, struct mc_error *err)
{
    struct mc_address address;
    struct mc_http_guard *guard = NULL;
    const char *listen = options->listen ? options->listen : DEFAULT_LISTEN;
    enum mc_status status = mc_address_parse(listen, listen_field(options), &address, err);
    if (status == MC_OK)
        status = check_options(options, err);
    if (status == MC_OK)
        status = mc_http_guard_new(options, &address, &guard, err);
    mc_http_guard_free(guard);
    mc_auto(mc_http_tls_fini) struct mc_http_tls tls = {0};
    return status == MC_OK ? mc_http_tls_read(options->tls_cert, options->tls_key, &tls, err)
                           : status;
}

enum mc_status mc_http_start(struct mc_engine *engine, const struct mc_http_options *options,
                             struct mc_http_server **server, struct mc_error *err)
{
    struct mc_address address;
    const char *listen = options->listen ? options->listen : DEFAULT_LISTEN;
    enum mc_status status = mc_address_parse(listen, listen_field(options), &address, err);
    if (status == MC_OK)
        status = check_options(options, err);
    if (status == MC_OK)
        status = check_keys(engine, options, &address, err);
    if (status != MC_OK)
        return status;
    struct mc_http_server *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    made->engine = engine;
    made->metrics = mc_engine_metrics(engine);
    mc_http_routes_name(made->metrics);
    made->address = address;
    made->listen_fd = made->stop_fd = made->reserve_fd = -1;
    mc_mutex_init(&made->mutex);
    mc_cond_init(&made->idle);
    mc_cond_init(&made->keep);
    mc_list_init(&made->connections);
    mc_random_bytes(&made->id_prefix, sizeof(made->id_prefix));
    set_options(made, options);
    ignore_sigpipe();
    status = start_parts(made, options, err);
    if (status != MC_OK) {
        mc_http_acceptor_stop(made);
        mc_http_keeper_stop(made);
        if (made->pool)
            mc_http_pool_stop(made->pool);
        if (made->daemon)
            MHD_stop_daemon(made->daemon);
        free_server(made);
        return status;
    }
    *server = made;
    return MC_OK;
}

int mc_http_port(const struct mc_http_server *server)
{
    return mc_address_port(&server->address);
}

const char *mc_http_url(const struct mc_http_server *server)
{
    return server->url;
}

static void wait_until_idle(struct mc_http_server *server)
{
    int64_t until_us = mc_time_monotonic_us() + server->drain_timeout_us;
    mc_mutex_lock(&server->mutex);
    while (atomic_load(&server->active) > 0) {
        if (!mc_cond_wait_until(&server->idle, &server->mutex, until_us))
            break;
    }
    mc_mutex_unlock(&server->mutex);
}

/* What still waits for a client is woken by the end of its socket. */
static void shut_connections(struct mc_http_server *server)
{
    mc_mutex_lock(&server->mutex);
    for (struct mc_list *at = server->connections.next; at != &server->connections; at = at->next)
        (void)shutdown(mc_container_of(at, struct mc_http_connection, node)->fd, SHUT_RDWR);
    mc_mutex_unlock(&server->mutex);
}

void mc_http_stop(struct mc_http_server *server)
{
    if (!server)
        return;
    atomic_store(&server->draining, true);
    mc_http_acceptor_stop(server);
    wait_until_idle(server);
    atomic_store(&server->stopping, true);
    shut_connections(server);
    mc_http_pool_stop(server->pool);
    MHD_stop_daemon(server->daemon);
    mc_http_keeper_stop(server);
    free_server(server);
}
