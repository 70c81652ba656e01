/*
 * The thread that accepts connections and deals them out to the event threads. The transport's own
 * listening is not used: to stop it while event threads run is a race in the releases of Debian 12,
 * it leaves the shares of the threads to chance, and its limit for an address counts loopback as
 * well.
 */
#include "http/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/log.h"

#define NO_DESCRIPTOR_PAUSE_MS 100

static const char too_many[] = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
                               "Content-Length: 0\r\nRetry-After: 1\r\n\r\n";

void mc_http_forget_pending(struct mc_http_server *server, int fd)
{
    for (size_t i = server->pending_count; i > 0; i--) {
        if (server->pending[i - 1].fd == fd)
            server->pending[i - 1] = server->pending[--server->pending_count];
    }
}

/*
 * True when the connection may be dealt out; it is pending then. One that the transport dropped
 * without a word is forgotten when its descriptor comes again.
 */
static bool take_place(struct mc_http_server *server, int fd, const struct sockaddr_storage *peer)
{
    const struct sockaddr *address = (const struct sockaddr *)peer;
    size_t of_peer = 0;
    bool counts = !mc_address_is_loopback(address);
    mc_mutex_lock(&server->mutex);
    mc_http_forget_pending(server, fd);
    size_t all = server->pending_count;
    for (size_t i = 0; counts && i < server->pending_count; i++)
        of_peer += mc_address_same_host((const struct sockaddr *)&server->pending[i].peer, address);
    for (struct mc_list *at = server->connections.next; at != &server->connections; at = at->next) {
        const struct mc_http_connection *c = mc_container_of(at, struct mc_http_connection, node);
        all++;
        of_peer += counts && mc_address_same_host((const struct sockaddr *)&c->peer, address);
    }
    bool fits = all < server->max_connections && of_peer < server->max_peer_connections;
    if (fits)
        server->pending[server->pending_count++] = (struct mc_http_pending){fd, *peer};
    mc_mutex_unlock(&server->mutex);
    return fits;
}

static void refuse(const struct mc_http_server *server, int fd)
{
    mc_log(MC_LOG_DEBUG, "http", "refused a connection: too many are open");
    mc_metrics_add(server->metrics, MC_COUNT_HTTP_REJECTED_CONNECTIONS, 1);
    if (!server->tls)
        (void)send(fd, too_many, sizeof(too_many) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    /* What was not read would make close send a reset, which may overtake the answer. */
    char unread[1024];
    (void)shutdown(fd, SHUT_WR);
    for (int i = 0; i < 8 && recv(fd, unread, sizeof(unread), MSG_DONTWAIT) > 0; i++)
        continue;
    close(fd);
}

/* With no descriptor left, the reserve answers the connections that wait; false when it is gone. */
static bool refuse_one(struct mc_http_server *server)
{
    if (server->reserve_fd < 0)
        server->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (server->reserve_fd < 0)
        return false;
    close(server->reserve_fd);
    int fd = accept4(server->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        refuse(server, fd);
    server->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0;
}

/* False when there are no descriptors left. */
static bool accept_one(struct mc_http_server *server)
{
    struct sockaddr_storage peer = {0};
    socklen_t len = sizeof(peer);
    int fd =
        accept4(server->listen_fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE))
        return refuse_one(server);
    if (fd < 0)
        return errno != ENOBUFS && errno != ENOMEM;
    if (take_place(server, fd, &peer)) {
        /* On failure the transport has closed the descriptor, and it stays pending until it comes
         * again. */
        (void)MHD_add_connection(server->daemon, fd, (const struct sockaddr *)&peer, len);
        return true;
    }
    refuse(server, fd);
    return true;
}

static void *accept_all(void *context)
{
    struct mc_http_server *server = context;
    struct pollfd fds[] = {{.fd = server->stop_fd, .events = POLLIN},
                           {.fd = server->listen_fd, .events = POLLIN}};
    for (;;) {
        int ready = poll(fds, 2, -1);
        if (fds[0].revents)
            return NULL;
        if (ready <= 0 || !fds[1].revents || accept_one(server))
            continue;
        mc_log(MC_LOG_WARNING, "http",
               "no descriptors or memory left for new connections; raise ulimit -n");
        if (poll(fds, 1, NO_DESCRIPTOR_PAUSE_MS) > 0)
            return NULL;
    }
}

enum mc_status mc_http_acceptor_start(struct mc_http_server *server, struct mc_error *err)
{
    server->pending = calloc(server->max_connections, sizeof(*server->pending));
    if (!server->pending)
        return mc_fail_memory(err);
    server->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    server->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->stop_fd < 0)
        return mc_fail(err, MC_IO, "cannot make an event descriptor: %s", strerror(errno));
    enum mc_status status =
        mc_thread_start(&server->acceptor, "mc-http-accept", accept_all, server, err);
    server->acceptor_runs = status == MC_OK;
    return status;
}

void mc_http_acceptor_stop(struct mc_http_server *server)
{
    if (server->acceptor_runs) {
        (void)eventfd_write(server->stop_fd, 1);
        mc_thread_join(server->acceptor);
        server->acceptor_runs = false;
    }
    if (server->stop_fd >= 0)
        close(server->stop_fd);
    if (server->listen_fd >= 0)
        close(server->listen_fd);
    if (server->reserve_fd >= 0)
        close(server->reserve_fd);
    server->stop_fd = server->listen_fd = server->reserve_fd = -1;
}
