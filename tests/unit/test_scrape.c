/* The listener for scrapers: the head of a request, the answers, and what clients do wrong. */
#include "tap.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/metrics_text.h"
#include "base/str.h"
#include "scrape/head.h"
#include "scrape/listener.h"
#include "support/engine.h"

static void test_heads(void)
{
    static const struct {
        const char *text;
        int status;
    } heads[] = {
        {"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 0},
        {"GET /metrics HTTP/1.0\r\n\r\n", 0},
        {"GET /metrics?name=x HTTP/1.1\r\nhost:a\r\nX-Empty:\r\n\r\n", 0},
        {"GET /metrics HTTP/1.1\r\n\r\n", 400},
        {"GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
        {"GET /metrics HTTP/1.1\r\nHost : a\r\n\r\n", 400},
        {"GET /metrics HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400},
        {"GET /metrics HTTP/1.1\r\nHost: a\nEvil: b\r\n\r\n", 400},
        {"GET /metrics HTTP/1.1\r\nHost\r\n\r\n", 400},
        {"GET /metrics HTTP/1.1\r\n: a\r\n\r\n", 400},
        {"GET http://a/metrics HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET  /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {" /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET /metrics\r\nHost: a\r\n\r\n", 400},
        {"GET /metrics SPDY/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET /metrics HTTP/2.0\r\nHost: a\r\n\r\n", 505},
        {"GET /metrics HTTP/1.1 x\r\nHost: a\r\n\r\n", 505},
        {"\r\n\r\n", 400},
    };
    for (size_t i = 0; i < mc_countof(heads); i++) {
        struct mc_scrape_head head;
        mc_str text = mc_str_of(heads[i].text);
        is_int(mc_scrape_head_length(text), text.len, "whole: %zu", i);
        is_int(mc_scrape_head_length((mc_str){text.data, text.len - 1}), 0, "a byte is missing");
        is_int(mc_scrape_head_parse(text, &head), heads[i].status, "status of %s", heads[i].text);
    }
    struct mc_scrape_head head = {.method = MC_STR_NONE};
    is_int(
        mc_scrape_head_parse(
            MC_STR("HEAD /a/b?c=d?e HTTP/1.1\r\nACCEPT: \t x/y \r\nHost: h:1\r\nAccept: z\r\n\r\n"),
            &head),
        0, "parsed");
    is_text(head.method, "HEAD", "method");
    is_text(head.path, "/a/b", "path without the query");
    is_text(head.host, "h:1", "host");
    is_text(head.accept, "x/y", "the first Accept");
}

static void test_hosts(void)
{
    static const char *const local[] = {"localhost", "LOCALHOST:9090", "127.0.0.1",  "10.1.2.3:80",
                                        "[::1]",     "[::1]:9090",     "[fe80::1]:1"};
    static const char *const foreign[] = {"",
                                          "evil.example",
                                          "evil.example:9090",
                                          "127.0.0.1.evil.example",
                                          "localhost.evil.example",
                                          "::1",
                                          "[evil]",
                                          "[",
                                          ":9090",
                                          "[127.0.0.1]",
                                          "1.2.3"};
    for (size_t i = 0; i < mc_countof(local); i++)
        ok(mc_scrape_host_is_local(mc_str_of(local[i])), "local: %s", local[i]);
    for (size_t i = 0; i < mc_countof(foreign); i++)
        ok(!mc_scrape_host_is_local(mc_str_of(foreign[i])), "not local: '%s'", foreign[i]);
}

static void test_formats(void)
{
    static const struct {
        const char *accept;
        enum mc_metrics_format format;
    } cases[] = {
        {"", MC_METRICS_PROMETHEUS},
        {"*/*", MC_METRICS_PROMETHEUS},
        {"text/plain", MC_METRICS_PROMETHEUS},
        {"application/*", MC_METRICS_PROMETHEUS},
        {"application/openmetrics-text", MC_METRICS_OPENMETRICS},
        {"application/openmetrics-text; version=1.0.0; charset=utf-8", MC_METRICS_OPENMETRICS},
        {"application/openmetrics-text;version=0.0.1", MC_METRICS_PROMETHEUS},
        {"application/openmetrics-text;q=0", MC_METRICS_PROMETHEUS},
        {"application/openmetrics-text;q=much", MC_METRICS_PROMETHEUS},
        {"application/openmetrics-text;q=0.3, text/plain;q=0.4", MC_METRICS_PROMETHEUS},
        {"application/openmetrics-text;q=0.4, text/*;q=0.3", MC_METRICS_OPENMETRICS},
        /* Prometheus 2.42, and 3 */
        {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
         "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
         MC_METRICS_OPENMETRICS},
        {"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/"
         "openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
         "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
         MC_METRICS_OPENMETRICS},
        {",;,=;q=,/", MC_METRICS_PROMETHEUS},
    };
    for (size_t i = 0; i < mc_countof(cases); i++)
        is_int(mc_metrics_format_of(mc_str_of(cases[i].accept)), cases[i].format, "Accept: %s",
               cases[i].accept);
    is_int(mc_metrics_format_of(MC_STR_NONE), MC_METRICS_PROMETHEUS, "no Accept");
}

/* ---- A client ---- */

/* buffer: what the kernel may keep for a client that does not read; 0: its own choice. */
static int connect_with(int port, int buffer)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_sec = 60};
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
        (buffer && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer))) ||
        connect(fd, (struct sockaddr *)&to, sizeof(to)))
        bail_out("cannot connect to port %d", port);
    return fd;
}

static int connect_to(int port)
{
    return connect_with(port, 0);
}

static void send_text(int fd, const char *text)
{
    if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
        diag("send failed"); /* as when the other side has closed */
}

static void receive_all(int fd, struct mc_buf *out)
{
    char bytes[4096];
    ssize_t got;
    while ((got = recv(fd, bytes, sizeof(bytes), 0)) > 0)
        mc_buf_append(out, (mc_str){bytes, (size_t)got});
    close(fd);
}

/* What is answered; freed by the caller. */
static struct mc_buf ask(int port, const char *request)
{
    struct mc_buf out;
    mc_buf_init(&out, 1 << 20);
    int fd = connect_to(port);
    send_text(fd, request);
    receive_all(fd, &out);
    mc_buf_char(&out, '\0');
    return out;
}

static void asked(int port, const char *request, const char *start, const char *part)
{
    struct mc_buf out = ask(port, request);
    ok(out.len > 1 && strncmp(out.data, start, strlen(start)) == 0 && strstr(out.data, part),
       "%.60s: %.200s", request, out.data ? out.data : "");
    mc_buf_fini(&out);
}

static struct mc_engine *listening(const struct scratch *scratch, int *port)
{
    struct mc_engine *engine = engine_open(scratch, NULL);
    struct mc_error err;
    is_int(mc_metrics_port(engine), 0, "no port yet");
    is_status(mc_metrics_listen(engine, "127.0.0.1:0", &err), MC_OK, &err, "listening");
    *port = mc_metrics_port(engine);
    ok(*port > 0, "on port %d", *port);
    return engine;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"

static void test_answers(int port)
{
    asked(port, GET("/metrics"), "HTTP/1.1 200 OK\r\n", "\nmindcore_messages_ingested_total 0\n");
    asked(port, GET("/metrics?x"), "HTTP/1.1 200 OK\r\n", "text/plain; version=0.0.4");
    asked(port,
          "GET /metrics HTTP/1.1\r\nHost: [::1]\r\nAccept: application/openmetrics-text\r\n\r\n",
          "HTTP/1.1 200 OK\r\n", "\n# EOF\n");
    asked(port, "GET /metrics HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n", "Connection: close\r\n");
    asked(port, GET("/health"), "HTTP/1.1 200 OK\r\n", "\"healthy\":true");
    asked(port, GET("/"), "HTTP/1.1 404 Not Found\r\n", "GET /metrics\n");
    asked(port, GET("/metrics/"), "HTTP/1.1 404 Not Found\r\n", "");
    asked(port, "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc",
          "HTTP/1.1 405 Method Not Allowed\r\n", "Allow: GET, HEAD\r\n");
    asked(port, "GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n", "HTTP/1.1 403 Forbidden\r\n",
          "localhost");
    asked(port, "BREW\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", "");
    asked(port, "GET / HTTP/3\r\n\r\n", "HTTP/1.1 505 HTTP Version Not Supported\r\n", "");
    struct mc_buf out = ask(port, "HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const char *length = strstr(out.data, "Content-Length: ");
    ok(length && strtol(length + 16, NULL, 10) > 10000, "the length of the whole");
    ok(strstr(out.data, "\r\n\r\n") + 4 == out.data + out.len - 1, "and no body");
    mc_buf_fini(&out);
}

static void test_long_heads(int port)
{
    struct mc_buf head;
    mc_buf_init(&head, 1 << 20);
    mc_buf_text(&head, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ");
    while (head.len < MC_SCRAPE_HEAD_MAX + 100)
        mc_buf_char(&head, 'x');
    asked(port, head.data, "HTTP/1.1 431 Request Header Fields Too Large\r\n", "");
    mc_buf_fini(&head);
}

/* More than there are places for, none of which says enough: none keeps the listener from others. */
static void test_crowd(int port)
{
    int idle[3 * MC_SCRAPE_CLIENTS];
    for (size_t i = 0; i < mc_countof(idle); i++) {
        idle[i] = connect_to(port);
        send_text(idle[i], "GET /metrics HTTP/1.1\r\nHost: loc");
        if (i % MC_SCRAPE_CLIENTS == 0)
            asked(port, GET("/metrics"), "HTTP/1.1 200 OK\r\n", "mindcore_");
    }
    asked(port, GET("/metrics"), "HTTP/1.1 200 OK\r\n", "mindcore_");
    int last = idle[mc_countof(idle) - 1];
    struct mc_buf out;
    mc_buf_init(&out, 1 << 20);
    send_text(last, "alhost\r\n\r\n");
    receive_all(last, &out);
    ok(out.len > 0 && strstr(out.data, "200 OK"), "one that came last is answered still");
    mc_buf_fini(&out);
    for (size_t i = 0; i + 1 < mc_countof(idle); i++)
        close(idle[i]);
}

/* ---- Patience ---- */

#define LARGE (15U << 18) /* more than the kernel keeps, less than an answer may have */

static void write_large(void *context, mc_str accept, struct mc_scrape_answer *answer)
{
    (void)context;
    (void)accept;
    while (answer->body.len < LARGE)
        mc_buf_text(&answer->body, "0123456789abcdef");
}

static void write_too_much(void *context, mc_str accept, struct mc_scrape_answer *answer)
{
    (void)context;
    (void)accept;
    while (!answer->body.failed)
        mc_buf_text(&answer->body, "0123456789abcdef");
}

static const struct mc_scrape_page large_pages[] = {
    {"/large", write_large},
    {"/too-much", write_too_much},
    {NULL, NULL},
};

/* One that never asks, and one that never takes its answer, are left; one that is only slow is served. */
static void test_patience(void)
{
    struct mc_error err;
    struct mc_address address;
    struct mc_scrape_listener *hasty = NULL, *patient = NULL;
    struct mc_scrape_options options = {
        .address = &address, .pages = large_pages, .timeout_us = 50 * MC_US_PER_MS};
    is_status(mc_address_parse("127.0.0.1:0", "address", &address, &err), MC_OK, &err, "address");
    is_status(mc_scrape_start(&options, &hasty, &err), MC_OK, &err, "fifty milliseconds");
    options.timeout_us = 0;
    is_status(mc_scrape_start(&options, &patient, &err), MC_OK, &err, "ten seconds");
    struct mc_buf out;
    mc_buf_init(&out, 2 * LARGE);
    int fd = connect_to(mc_scrape_port(hasty));
    send_text(fd, "GET /large HTTP/1.1\r\n");
    receive_all(fd, &out);
    is_int(out.len, 0, "half a request: left without a word");
    out.len = LARGE;
    for (int pause_ms = 200; pause_ms <= 6400 && out.len >= LARGE; pause_ms *= 2) {
        mc_buf_reset(&out);
        fd = connect_with(mc_scrape_port(hasty), 4096);
        send_text(fd, GET("/large"));
        scratch_pause_ms(pause_ms); /* the listener may be slower than its patience */
        receive_all(fd, &out);
    }
    ok(out.len < LARGE, "an answer that is not taken: left after %zu bytes", out.len);
    mc_buf_reset(&out);
    fd = connect_to(mc_scrape_port(patient));
    send_text(fd, GET("/large"));
    scratch_pause_ms(50);
    receive_all(fd, &out);
    ok(out.len > LARGE, "a slow one gets it whole: %zu", out.len);
    mc_buf_reset(&out);
    fd = connect_to(mc_scrape_port(patient));
    send_text(fd, GET("/too-much"));
    receive_all(fd, &out);
    is_int(out.len, 0, "more than an answer may have: none, and not a part of it");
    mc_buf_fini(&out);
    mc_scrape_stop(hasty);
    mc_scrape_stop(patient);
    mc_scrape_stop(NULL);
}

/* ---- Engines ---- */

static void *listen_once(void *context)
{
    struct mc_error err;
    return mc_metrics_listen(context, "127.0.0.1:0", &err) == MC_OK ? context : NULL;
}

static void test_race(void)
{
    struct scratch scratch;
    scratch_make(&scratch);
    struct mc_engine *engine = engine_open(&scratch, NULL);
    pthread_t threads[8];
    int won = 0;
    for (size_t i = 0; i < mc_countof(threads); i++)
        pthread_create(&threads[i], NULL, listen_once, engine);
    for (size_t i = 0; i < mc_countof(threads); i++) {
        void *result;
        pthread_join(threads[i], &result);
        won += result != NULL;
    }
    is_int(won, 1, "of eight at once one listens");
    asked(mc_metrics_port(engine), GET("/metrics"), "HTTP/1.1 200 OK\r\n", "mindcore_");
    mc_engine_close(engine);
    scratch_remove(&scratch);
}

static void test_engines(void)
{
    struct scratch first, second;
    scratch_make(&first);
    scratch_make(&second);
    int port = 0, other = 0;
    struct mc_error err;
    struct mc_engine *a = listening(&first, &port), *b = listening(&second, &other);
    ok(port != other, "two engines on ports of their own");
    test_answers(port);
    test_long_heads(port);
    test_crowd(port);
    is_status(mc_metrics_listen(a, "127.0.0.1:0", &err), MC_CONFLICT, &err, "a second time");
    static const char *const bad[] = {"localhost",      "9090",  "127.0.0.1:70000",
                                      "example.org:80", "[::1]", ":"};
    for (size_t i = 0; i < mc_countof(bad); i++) {
        is_status(mc_metrics_listen(b, bad[i], &err), MC_CONFIG, &err, "no address: %s", bad[i]);
        is_str(err.field, "address", "it says which argument");
    }
    is_status(mc_metrics_listen(b, NULL, &err), MC_INVALID, &err, "none at all");
    is_int(mc_metrics_port(b), other, "it still listens");
    mc_engine_close(b);
    struct mc_engine *c = engine_open(&second, NULL);
    char taken[32];
    snprintf(taken, sizeof(taken), "127.0.0.1:%d", port);
    is_status(mc_metrics_listen(c, taken, &err), MC_IO, &err, "a port that is taken");
    snprintf(taken, sizeof(taken), "port %d", port);
    ok(strstr(err.message, taken) && strstr(err.message, "127.0.0.1"), "%s", err.message);
    is_status(mc_metrics_listen(c, ":0", &err), MC_OK, &err, "another one, after the failure");
    asked(mc_metrics_port(c), "GET /metrics HTTP/1.1\r\nHost: any.example\r\n\r\n",
          "HTTP/1.1 200 OK\r\n", "mindcore_");
    int waiting = connect_to(port);
    send_text(waiting, "GET /metrics");
    mc_engine_close(a);
    struct mc_buf out;
    mc_buf_init(&out, 1 << 20);
    receive_all(waiting, &out);
    is_int(out.len, 0, "the end of the engine ends its connections");
    mc_buf_fini(&out);
    mc_engine_close(c);
    scratch_remove(&first);
    scratch_remove(&second);
}

int main(void)
{
    test_heads();
    test_hosts();
    test_formats();
    test_patience();
    test_race();
    test_engines();
    return done_testing();
}
