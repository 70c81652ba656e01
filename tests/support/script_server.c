#include "support/script_server.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/thread.h"
#include "base/time.h"

#define CONNECTIONS_MAX 512
#define ANSWERS_MAX 512
#define REQUESTS_MAX 8192
#define REQUEST_BYTES ((size_t)16 * 1024 * 1024)
#define WAIT_US (60 * MC_US_PER_SECOND)

struct connection {
    struct script_server *server;
    pthread_t thread;
    int fd;
    size_t number;
};

struct script_server {
    int listener;
    int port;
    pthread_t thread;
    mc_mutex mutex; /* guards what follows */
    mc_cond changed;
    bool stopping;
    struct connection connections[CONNECTIONS_MAX];
    size_t connection_count;
    struct script_answer answers[ANSWERS_MAX];
    size_t answer_count, answer_next;
    struct script_answer always;
    struct script_request requests[REQUESTS_MAX];
    size_t request_count;
    size_t busy, most_busy;
};

static void die(const char *what)
{
    printf("Bail out! script_server: %s\n", what);
    fflush(stdout);
    exit(1);
}

static bool send_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        data += sent;
        len -= (size_t)sent;
    }
    return true;
}

/* Waits that long unless the server stops. */
static void wait_shortly(struct script_server *server, int64_t wait_us)
{
    if (wait_us <= 0)
        return;
    int64_t until_us = mc_time_monotonic_us() + wait_us;
    mc_mutex_lock(&server->mutex);
    while (!server->stopping && mc_time_monotonic_us() < until_us)
        (void)mc_cond_wait_until(&server->changed, &server->mutex, until_us);
    mc_mutex_unlock(&server->mutex);
}

static size_t content_length(const char *head)
{
    const char *line = strcasestr(head, "\r\ncontent-length:");
    return line ? (size_t)strtoull(line + 17, NULL, 10) : 0;
}

/* Reads one request: head to *head, body to *body (both to be freed); false when none is complete. */
static bool read_request(int fd, struct mc_buf *in, char **head, char **body, size_t *body_len)
{
    char part[16384];
    char *end = NULL;
    size_t need = 0;
    for (;;) {
        if (!end && in->data && (end = strstr(in->data, "\r\n\r\n"))) {
            need = (size_t)(end - in->data) + 4 + content_length(in->data);
        }
        if (end && in->len >= need)
            break;
        ssize_t got = recv(fd, part, sizeof(part), 0);
        if (got <= 0)
            return false;
        mc_buf_append(in, (mc_str){part, (size_t)got});
        if (in->failed)
            return false;
        end = NULL; /* the memory may have moved */
    }
    size_t head_len = (size_t)(end - in->data) + 4;
    *head = strndup(in->data, head_len);
    *body_len = need - head_len;
    *body = calloc(1, *body_len + 1);
    if (!*head || !*body)
        die("out of memory");
    memcpy(*body, in->data + head_len, *body_len);
    size_t rest = in->len - need;
    memmove(in->data, in->data + need, rest + 1);
    in->len = rest;
    return true;
}

/* Notes the request and takes the answer to it. */
static struct script_answer next_answer(struct connection *connection,
                                        struct script_request *request)
{
    struct script_server *server = connection->server;
    mc_mutex_lock(&server->mutex);
    if (server->request_count == REQUESTS_MAX)
        die("too many requests");
    request->number = server->request_count;
    request->connection = connection->number;
    request->at_us = mc_time_monotonic_us();
    server->requests[server->request_count++] = *request;
    struct script_answer answer = server->always;
    if (server->answer_next < server->answer_count)
        answer = server->answers[server->answer_next++];
    server->busy++;
    server->most_busy = server->busy > server->most_busy ? server->busy : server->most_busy;
    mc_cond_broadcast(&server->changed);
    mc_mutex_unlock(&server->mutex);
    return answer;
}

static void reset_connection(int fd)
{
    struct linger hard = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
}

static bool send_slowly(struct script_server *server, int fd, const struct script_answer *answer,
                        const char *data, size_t len)
{
    if (answer->drip_bytes == 0)
        return send_all(fd, data, len);
    for (size_t at = 0; at < len; at += answer->drip_bytes) {
        size_t part = len - at < answer->drip_bytes ? len - at : answer->drip_bytes;
        if (!send_all(fd, data + at, part))
            return false;
        wait_shortly(server, answer->drip_us);
    }
    return true;
}

static void build_body(const struct script_answer *answer, const struct script_request *request,
                       struct mc_buf *body, int *code)
{
    *code = answer->code ? answer->code : 200;
    if (answer->build) {
        char *built = answer->build(answer->context, request, code);
        mc_buf_text(body, built);
        free(built);
        return;
    }
    mc_str text = mc_str_of(answer->body ? answer->body : "");
    text.len = answer->body_bytes ? answer->body_bytes : text.len;
    do
        mc_buf_append(body, text);
    while (text.len > 0 && body->len < answer->repeat_bytes);
}

/* False when the connection is to be closed. */
static bool send_answer(struct connection *connection, const struct script_answer *answer,
                        const struct script_request *request)
{
    struct mc_buf head, body;
    char byte;
    int code;
    mc_buf_init(&head, REQUEST_BYTES);
    mc_buf_init(&body, REQUEST_BYTES * 4);
    wait_shortly(connection->server, answer->delay_us);
    build_body(answer, request, &body, &code);
    mc_buf_printf(&head, "HTTP/1.1 %d Scripted\r\nContent-Type: application/json\r\n", code);
    mc_buf_text(&head, answer->headers ? answer->headers : "");
    mc_buf_printf(&head, "Content-Length: %zu\r\n\r\n", body.len);
    bool open = answer->end == SCRIPT_KEEP;
    if (answer->end == SCRIPT_RESET) {
        reset_connection(connection->fd);
    } else if (answer->end == SCRIPT_HANG) {
        (void)recv(connection->fd, &byte, 1, 0);
    } else {
        size_t len = answer->end == SCRIPT_HALF ? body.len / 2 : body.len;
        open = send_all(connection->fd, head.data, head.len) &&
               send_slowly(connection->server, connection->fd, answer, body.data, len) && open;
    }
    mc_buf_fini(&head);
    mc_buf_fini(&body);
    return open;
}

static void *serve(void *context)
{
    struct connection *connection = context;
    struct script_server *server = connection->server;
    struct mc_buf in;
    mc_buf_init(&in, REQUEST_BYTES);
    bool open = true;
    char *head, *body;
    struct script_request request = {0};
    while (open && read_request(connection->fd, &in, &head, &body, &request.body_len)) {
        request.head = head;
        request.body = body;
        struct script_answer answer = next_answer(connection, &request);
        open = send_answer(connection, &answer, &request);
        mc_mutex_lock(&server->mutex);
        server->busy--;
        mc_cond_broadcast(&server->changed);
        mc_mutex_unlock(&server->mutex);
    }
    mc_buf_fini(&in);
    mc_mutex_lock(&server->mutex);
    close(connection->fd);
    connection->fd = -1;
    mc_mutex_unlock(&server->mutex);
    return NULL;
}

static void *accept_all(void *context)
{
    struct script_server *server = context;
    int fd;
    while ((fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        mc_mutex_lock(&server->mutex);
        if (server->connection_count == CONNECTIONS_MAX)
            die("too many connections");
        bool stopping = server->stopping;
        struct connection *connection = &server->connections[server->connection_count];
        struct mc_error err;
        *connection =
            (struct connection){.server = server, .fd = fd, .number = server->connection_count};
        if (!stopping) {
            if (mc_thread_start(&connection->thread, "script", serve, connection, &err) != MC_OK)
                die(err.message);
            server->connection_count++;
        }
        mc_mutex_unlock(&server->mutex);
        if (stopping) {
            close(fd);
            break;
        }
    }
    return NULL;
}

struct script_server *script_server_start(void)
{
    struct script_server *server = calloc(1, sizeof(*server));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    struct mc_error err = {0};
    if (!server)
        die("out of memory");
    mc_mutex_init(&server->mutex);
    mc_cond_init(&server->changed);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server->listener < 0 ||
        bind(server->listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(server->listener, 256) != 0 ||
        getsockname(server->listener, (struct sockaddr *)&address, &len) != 0)
        die("no port");
    server->port = ntohs(address.sin_port);
    if (mc_thread_start(&server->thread, "script-accept", accept_all, server, &err) != MC_OK)
        die(err.message);
    return server;
}

static void free_requests(struct script_server *server)
{
    for (size_t i = 0; i < server->request_count; i++) {
        free((char *)(uintptr_t)server->requests[i].head);
        free((char *)(uintptr_t)server->requests[i].body);
    }
    server->request_count = 0;
}

void script_server_stop(struct script_server *server)
{
    mc_mutex_lock(&server->mutex);
    server->stopping = true;
    mc_cond_broadcast(&server->changed);
    shutdown(server->listener, SHUT_RDWR);
    for (size_t i = 0; i < server->connection_count; i++) {
        if (server->connections[i].fd >= 0)
            shutdown(server->connections[i].fd, SHUT_RDWR);
    }
    mc_mutex_unlock(&server->mutex);
    mc_thread_join(server->thread);
    for (size_t i = 0; i < server->connection_count; i++)
        mc_thread_join(server->connections[i].thread);
    close(server->listener);
    free_requests(server);
    mc_cond_fini(&server->changed);
    mc_mutex_fini(&server->mutex);
    free(server);
}

int script_server_port(const struct script_server *server)
{
    return server->port;
}

void script_server_add(struct script_server *server, struct script_answer answer)
{
    mc_mutex_lock(&server->mutex);
    if (server->answer_count == ANSWERS_MAX)
        die("too many answers");
    server->answers[server->answer_count++] = answer;
    mc_mutex_unlock(&server->mutex);
}

void script_server_always(struct script_server *server, struct script_answer answer)
{
    mc_mutex_lock(&server->mutex);
    server->always = answer;
    mc_mutex_unlock(&server->mutex);
}

void script_server_clear(struct script_server *server)
{
    int64_t until_us = mc_time_monotonic_us() + WAIT_US;
    mc_mutex_lock(&server->mutex);
    while (server->busy > 0 && mc_time_monotonic_us() < until_us)
        (void)mc_cond_wait_until(&server->changed, &server->mutex, until_us);
    if (server->busy > 0)
        die("cleared while it answers");
    free_requests(server);
    server->answer_count = server->answer_next = 0;
    server->most_busy = 0;
    server->always = (struct script_answer){0};
    mc_mutex_unlock(&server->mutex);
}

size_t script_server_requests(struct script_server *server)
{
    mc_mutex_lock(&server->mutex);
    size_t count = server->request_count;
    mc_mutex_unlock(&server->mutex);
    return count;
}

size_t script_server_connections(struct script_server *server)
{
    mc_mutex_lock(&server->mutex);
    size_t count = server->connection_count;
    mc_mutex_unlock(&server->mutex);
    return count;
}

size_t script_server_most_at_once(struct script_server *server)
{
    mc_mutex_lock(&server->mutex);
    size_t count = server->most_busy;
    mc_mutex_unlock(&server->mutex);
    return count;
}

const struct script_request *script_server_request(struct script_server *server, size_t number)
{
    mc_mutex_lock(&server->mutex);
    if (number >= server->request_count)
        die("no such request");
    const struct script_request *request = &server->requests[number];
    mc_mutex_unlock(&server->mutex);
    return request;
}

bool script_server_wait(struct script_server *server, size_t requests)
{
    int64_t until_us = mc_time_monotonic_us() + WAIT_US;
    mc_mutex_lock(&server->mutex);
    while (server->request_count < requests && mc_time_monotonic_us() < until_us)
        (void)mc_cond_wait_until(&server->changed, &server->mutex, until_us);
    bool enough = server->request_count >= requests;
    mc_mutex_unlock(&server->mutex);
    return enough;
}
