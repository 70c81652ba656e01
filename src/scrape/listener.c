#include "scrape/listener.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/thread.h"
#include "scrape/head.h"

/*
 * DESIGN. A connection reads one head, is answered, and ends: our side is shut, and what the client still
 * sends is read and dropped until it closes too, so that the kernel does not throw the answer away with a reset.
 * `poll` over at most 34 descriptors is as fast as epoll and needs no state in the kernel.
 */

#define ACCEPT_PAUSE_US (100 * MC_US_PER_MS) /* after a failure such as no descriptors */
#define DROP_SIZE 4096

enum state { FREE, READING, WRITING, ENDING };

struct client {
    enum state state;
    int fd;
    int64_t until_us; /* monotonic: when its patience ends */
    struct mc_buf in;
    struct mc_buf out;
    size_t written;
};

struct mc_scrape_listener {
    struct mc_address address;
    const struct mc_scrape_page *pages;
    void *context;
    int64_t timeout_us;
    int fd;
    int stop_fd;
    pthread_t thread;
    int64_t accept_from_us;
    struct client clients[MC_SCRAPE_CLIENTS];
};

static void end_client(struct client *client)
{
    close(client->fd);
    mc_buf_fini(&client->in);
    mc_buf_fini(&client->out);
    client->state = FREE;
}

/* ---- The answer ---- */

static const char *reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = {
        {200, "OK"},
        {400, "Bad Request"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < mc_countof(reasons); i++) {
        if (reasons[i].status == status)
            return reasons[i].text;
    }
    return "Unknown";
}

/* The page of an accepted request; NULL with *status where there is none. */
static const struct mc_scrape_page *find_page(const struct mc_scrape_listener *listener,
                                              const struct mc_scrape_head *head, int *status)
{
    bool asked_by_name = listener->address.loopback && mc_str_given(head->host) &&
                         !mc_scrape_host_is_local(head->host);
    *status = asked_by_name ? 403 : 404;
    for (const struct mc_scrape_page *page = listener->pages; page->path && *status == 404;
         page++) {
        if (!mc_str_equal(head->path, mc_str_of(page->path)))
            continue;
        if (mc_str_equal(head->method, MC_STR("GET")) || mc_str_equal(head->method, MC_STR("HEAD")))
            return page;
        *status = 405;
    }
    return NULL;
}

static void write_refusal(const struct mc_scrape_listener *listener, int status,
                          struct mc_scrape_answer *answer)
{
    answer->status = status;
    mc_buf_printf(&answer->body, "%d %s\n", status, reason(status));
    if (status == 403)
        mc_buf_text(&answer->body,
                    "Ask for localhost or an IP address: this address is for this machine.\n");
    for (const struct mc_scrape_page *page = listener->pages; page->path && status == 404; page++)
        mc_buf_printf(&answer->body, "GET %s\n", page->path);
}

static void write_answer(struct client *client, const struct mc_scrape_answer *answer,
                         bool with_body)
{
    struct mc_buf *out = &client->out;
    mc_buf_printf(out,
                  "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
                  "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
                  "Connection: close\r\n\r\n",
                  answer->status, reason(answer->status), answer->content_type, answer->body.len,
                  answer->status == 405 ? "Allow: GET, HEAD\r\n" : "");
    if (with_body)
        mc_buf_append(out, mc_buf_str(&answer->body));
}

/* Answers the head, or with the status (not 0) that refuses what came instead of one. */
static void answer(struct mc_scrape_listener *listener, struct client *client,
                   const struct mc_scrape_head *head, int status)
{
    struct mc_scrape_answer made = {.status = 200, .content_type = "text/plain; charset=utf-8"};
    mc_buf_init(&made.body, MC_SCRAPE_ANSWER_MAX);
    const struct mc_scrape_page *page = status ? NULL : find_page(listener, head, &status);
    if (page)
        page->write(listener->context, head->accept, &made);
    else
        write_refusal(listener, status, &made);
    write_answer(client, &made, !mc_str_equal(head->method, MC_STR("HEAD")));
    client->state = WRITING;
    client->until_us = mc_time_monotonic_us() + listener->timeout_us;
    if (made.body.failed || client->out.failed)
        end_client(client); /* no memory: an answer cut short would be worse than none */
    mc_buf_fini(&made.body);
}

/* ---- A client that is ready ---- */

/* False when nothing more can be read now; a client whose connection ended is ended. */
static bool receive(struct client *client, char *bytes, size_t size, size_t *len)
{
    ssize_t got = recv(client->fd, bytes, size, 0);
    if (got > 0) {
        *len = (size_t)got;
        return true;
    }
    if (got == 0 || (errno != EAGAIN && errno != EINTR))
        end_client(client);
    return false;
}

static void read_head(struct mc_scrape_listener *listener, struct client *client)
{
    char bytes[MC_SCRAPE_HEAD_MAX];
    size_t len;
    while (client->state == READING && receive(client, bytes, sizeof(bytes), &len)) {
        struct mc_scrape_head head = {.host = MC_STR_NONE};
        mc_buf_append(&client->in, (mc_str){bytes, len});
        size_t head_len = mc_scrape_head_length(mc_buf_str(&client->in));
        if (client->in.failed)
            answer(listener, client, &head, 431);
        else if (head_len > 0)
            answer(listener, client, &head,
                   mc_scrape_head_parse((mc_str){client->in.data, head_len}, &head));
    }
}

static void write_out(struct client *client)
{
    while (client->written < client->out.len) {
        ssize_t sent = send(client->fd, client->out.data + client->written,
                            client->out.len - client->written, MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (sent <= 0) {
            end_client(client);
            return;
        }
        client->written += (size_t)sent;
    }
    (void)shutdown(client->fd, SHUT_WR);
    client->state = ENDING;
}

/* Until its end, its deadline, or for ever sent bytes: as long as it had to take the answer. */
static void drop_rest(struct client *client)
{
    char bytes[DROP_SIZE];
    size_t len;
    (void)receive(client, bytes, sizeof(bytes), &len);
}

static void serve(struct mc_scrape_listener *listener, struct client *client)
{
    if (client->state == READING)
        read_head(listener, client);
    if (client->state == WRITING)
        write_out(client);
    if (client->state == ENDING)
        drop_rest(client);
}

/* ---- All of them ---- */

/* A free place, or that of the client which began longest ago and has not asked yet. */
static struct client *find_place(struct mc_scrape_listener *listener)
{
    struct client *oldest = NULL;
    for (size_t i = 0; i < MC_SCRAPE_CLIENTS; i++) {
        struct client *client = &listener->clients[i];
        if (client->state == FREE)
            return client;
        if (client->state != WRITING && (!oldest || client->until_us < oldest->until_us))
            oldest = client;
    }
    if (oldest)
        end_client(oldest);
    return oldest;
}

static void accept_clients(struct mc_scrape_listener *listener)
{
    for (size_t taken = 0; taken < MC_SCRAPE_CLIENTS; taken++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                listener->accept_from_us = mc_time_monotonic_us() + ACCEPT_PAUSE_US;
            return;
        }
        struct client *client = find_place(listener);
        if (!client) { /* all are being answered */
            close(fd);
            return;
        }
        *client = (struct client){
            .state = READING, .fd = fd, .until_us = mc_time_monotonic_us() + listener->timeout_us};
        mc_buf_init(&client->in, MC_SCRAPE_HEAD_MAX);
        mc_buf_init(&client->out, MC_SCRAPE_ANSWER_MAX);
    }
}

static int until_ms(int64_t now_us, int64_t until_us)
{
    return until_us > now_us ? (int)((until_us - now_us + MC_US_PER_MS - 1) / MC_US_PER_MS) : 0;
}

/* Ends those whose time is over, and fills what poll waits for: the stop, the listener, each client. Returns its timeout. */
static int prepare(struct mc_scrape_listener *listener, struct pollfd polled[2 + MC_SCRAPE_CLIENTS])
{
    int64_t now_us = mc_time_monotonic_us();
    int timeout_ms = -1;
    bool accepting = now_us >= listener->accept_from_us;
    polled[0] = (struct pollfd){.fd = listener->stop_fd, .events = POLLIN};
    polled[1] = (struct pollfd){.fd = accepting ? listener->fd : -1, .events = POLLIN};
    if (!accepting)
        timeout_ms = until_ms(now_us, listener->accept_from_us);
    for (size_t i = 0; i < MC_SCRAPE_CLIENTS; i++) {
        struct client *client = &listener->clients[i];
        if (client->state != FREE && now_us >= client->until_us)
            end_client(client);
        bool waits = client->state != FREE;
        polled[2 + i] = (struct pollfd){.fd = waits ? client->fd : -1,
                                        .events = client->state == WRITING ? POLLOUT : POLLIN};
        int left_ms = waits ? until_ms(now_us, client->until_us) : -1;
        if (left_ms >= 0 && (timeout_ms < 0 || left_ms < timeout_ms))
            timeout_ms = left_ms;
    }
    return timeout_ms;
}

static void *run(void *context)
{
    struct mc_scrape_listener *listener = context;
    struct pollfd polled[2 + MC_SCRAPE_CLIENTS];
    do {
        int timeout_ms = prepare(listener, polled);
        if (poll(polled, mc_countof(polled), timeout_ms) <= 0)
            continue;
        for (size_t i = 0; i < MC_SCRAPE_CLIENTS; i++) {
            if (polled[2 + i].revents)
                serve(listener, &listener->clients[i]);
        }
        if (polled[1].revents)
            accept_clients(listener);
    } while (!(polled[0].revents & POLLIN));
    return NULL;
}

/* ---- Start and stop ---- */

static void free_listener(struct mc_scrape_listener *listener)
{
    for (size_t i = 0; i < MC_SCRAPE_CLIENTS; i++) {
        if (listener->clients[i].state != FREE)
            end_client(&listener->clients[i]);
    }
    if (listener->fd >= 0)
        close(listener->fd);
    if (listener->stop_fd >= 0)
        close(listener->stop_fd);
    free(listener);
}

enum mc_status mc_scrape_start(const struct mc_scrape_options *options,
                               struct mc_scrape_listener **listener, struct mc_error *err)
{
    struct mc_scrape_listener *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    made->address = *options->address;
    made->pages = options->pages;
    made->context = options->context;
    made->timeout_us = options->timeout_us ? options->timeout_us : MC_SCRAPE_TIMEOUT_US;
    made->fd = -1;
    made->stop_fd = eventfd(0, EFD_CLOEXEC);
    enum mc_status status = made->stop_fd < 0
                                ? mc_fail(err, MC_IO, "cannot make an event: %s", strerror(errno))
                                : MC_OK;
    if (!status)
        status = mc_address_listen(&made->address, "address", &made->fd, err);
    if (!status)
        status = mc_thread_start(&made->thread, "mc-metrics", run, made, err);
    if (status) {
        free_listener(made);
        return status;
    }
    *listener = made;
    return MC_OK;
}

int mc_scrape_port(const struct mc_scrape_listener *listener)
{
    return mc_address_port(&listener->address);
}

void mc_scrape_stop(struct mc_scrape_listener *listener)
{
    if (!listener)
        return;
    uint64_t one = 1;
    ssize_t written = write(listener->stop_fd, &one, sizeof(one)); /* an event takes 2^64 - 2 */
    (void)written;
    mc_thread_join(listener->thread);
    free_listener(listener);
}
