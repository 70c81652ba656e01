/* Outbound HTTP against a server that misbehaves by script. TLS and HTTP/2: test_net_tls.c. */
#include "tap.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"
#include "net/http.h"
#include "support/http_exchange.h"
#include "support/script_server.h"

#define MS MC_US_PER_MS
#define SECRET "sesame-4711"

static struct script_server *server;
static struct mc_net *client;
static char url[64];

static struct mc_net *open_client(const struct mc_net_options *options)
{
    struct mc_net *opened = NULL;
    struct mc_error err = {0};
    if (!is_status(mc_net_open(options, &opened, &err), MC_OK, &err, "open"))
        bail_out("no client");
    return opened;
}

static struct mc_net_request post_to(const char *address)
{
    static const mc_str headers[] = {{"Authorization: Bearer " SECRET, 22 + sizeof(SECRET) - 1},
                                     {"X-Test: yes", 11}};
    return (struct mc_net_request){.method = "POST",
                                   .url = address,
                                   .headers = headers,
                                   .header_count = 2,
                                   .body = MC_STR("{\"a\":1}"),
                                   .timeout_us = 20 * MC_US_PER_SECOND};
}

static void test_post(void)
{
    struct exchange first, second;
    struct mc_net_request request = post_to(url);
    script_server_always(server, (struct script_answer){.code = 201, .body = "{\"b\":2}"});
    exchange(client, &request, &first);
    is_int(first.status, MC_OK, "an answer: %s", first.message);
    is_int(first.code, 201, "its code");
    is_text(first.body, "{\"b\":2}", "its body");
    is_str(first.content_type, "application/json", "its type");
    is_int(first.retry_after_us, -1, "no Retry-After");
    ok(first.took_us > 0, "it took time");
    ok(!first.reused && !first.http2, "a new connection, HTTP/1.1");
    const struct script_request *seen = script_server_request(server, 0);
    ok(strncmp(seen->head, "POST /v1/chat HTTP/1.1\r\n", 24) == 0, "the request line");
    ok(strstr(seen->head, "\r\nAuthorization: Bearer " SECRET "\r\n"), "the headers");
    ok(strstr(seen->head, "\r\nUser-Agent: mindcore/"), "the user agent");
    ok(!strstr(seen->head, "Expect:"), "no Expect");
    is_str(seen->body, "{\"a\":1}", "the body");
    exchange(client, &request, &second);
    ok(second.status == MC_OK && second.reused, "the connection is used again");
    request = (struct mc_net_request){.method = "GET", .url = url};
    exchange_free(&second);
    exchange(client, &request, &second);
    ok(second.status == MC_OK && second.reused, "for a GET as well");
    ok(strncmp(script_server_request(server, 2)->head, "GET ", 4) == 0, "which is one");
    is_int(script_server_connections(server), 1, "one connection");
    exchange_free(&first);
    exchange_free(&second);
    script_server_clear(server);
}

/* The connection that was kept is closed by the server: the next request goes over a new one. */
static void test_closed_between(void)
{
    struct mc_net_request request = post_to(url);
    script_server_add(server, (struct script_answer){.body = "1", .end = SCRIPT_CLOSE});
    for (int i = 0; i < 2; i++) {
        struct exchange got;
        exchange(client, &request, &got);
        is_int(got.status, MC_OK, "request %d over a server that closes: %s", i, got.message);
        exchange_free(&got);
    }
    script_server_clear(server);
}

static void test_refused_input(void)
{
    static const char *const bad[] = {"ftp://127.0.0.1/",
                                      "file:///etc/passwd",
                                      "",
                                      "http://",
                                      "nonsense",
                                      "http://" SECRET ":" SECRET "@[:::/",
                                      "gopher://" SECRET "@h/"};
    struct mc_error err = {0};
    uint64_t id = 0;
    for (size_t i = 0; i < mc_countof(bad); i++) {
        struct mc_net_request request = post_to(bad[i]);
        is_status(mc_net_start(client, &request, exchange_done, NULL, &id, &err), MC_CONFIG, &err,
                  "address '%s'", bad[i]);
        ok(!strstr(err.message, SECRET), "the error tells no secret: %s", err.message);
    }
    mc_str headers[] = {MC_STR("X-Key: " SECRET "\r\nX-More: 1")};
    struct mc_net_request request = post_to(url);
    request.headers = headers;
    request.header_count = 1;
    is_status(mc_net_start(client, &request, exchange_done, NULL, &id, &err), MC_INVALID, &err,
              "a header with a line break");
    ok(!strstr(err.message, SECRET), "the error tells no secret: %s", err.message);
    is_int(script_server_requests(server), 0, "nothing was sent");
}

/* An answer to the exchange when that is over. */
static char *build_late(void *context, const struct script_request *request, int *code)
{
    (void)request;
    (void)code;
    exchange_wait(context);
    return strdup("x");
}

/* What goes wrong on the way; no message has a secret in it. */
static void test_failures(void)
{
    static const struct {
        const char *what;
        struct script_answer answer;
        enum mc_status status;
        const char *says;
    } cases[] = {
        {"no answer", {.end = SCRIPT_HANG}, MC_TIMEOUT, "no answer within 0.3 s"},
        {"a late answer", {.build = build_late}, MC_TIMEOUT, "no answer"},
        {"a dripping answer",
         {.body = "0123456789", .repeat_bytes = 1000, .drip_bytes = 1, .drip_us = 100 * MS},
         MC_TIMEOUT,
         "not complete"},
        {"a reset", {.end = SCRIPT_RESET}, MC_UNAVAILABLE, "reset"},
        {"half an answer", {.body = "0123456789", .end = SCRIPT_HALF}, MC_UNAVAILABLE, ""},
        {"too much", {.body = "0123456789", .repeat_bytes = 1001}, MC_TOO_LARGE, "1000 bytes"},
        {"as much as may be", {.body = "0123456789", .repeat_bytes = 1000}, MC_OK, ""},
    };
    for (size_t i = 0; i < mc_countof(cases); i++) {
        struct mc_net *fresh = open_client(NULL);
        struct mc_net_request request = post_to(url);
        struct script_answer answer = cases[i].answer;
        struct exchange got;
        request.timeout_us = cases[i].status != MC_TIMEOUT ? 20 * MC_US_PER_SECOND
                             : answer.drip_bytes           ? 1500 * MS /* it has to begin */
                                                           : 300 * MS;
        request.response_bytes = 1000;
        answer.context = &got;
        script_server_add(server, answer);
        exchange(fresh, &request, &got);
        is_int(got.status, cases[i].status, "%s: %s", cases[i].what, got.message);
        ok(strstr(got.message, cases[i].says), "%s: it says '%s'", cases[i].what, cases[i].says);
        ok(!strstr(got.message, SECRET), "%s: no secret", cases[i].what);
        ok((got.message[0] == '\0') == (got.status == MC_OK), "%s: a message", cases[i].what);
        mc_net_close(fresh);
        script_server_clear(server);
        exchange_free(&got);
    }
}

/* 300,000 bytes, compressed to 326. */
static const char gzip_of_many[] =
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xed\xc1\x01\x0d\x00\x00\x00\xc2\xa0\xac"
    "\xef\x5f\xc2\x1e\x0e\x28\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xf8\x31\x5f\xf2"
    "\x4e\xf4\xe0\x93\x04\x00";

static void test_compressed(void)
{
    struct mc_net_request request = post_to(url);
    struct script_answer answer = {.headers = "Content-Encoding: gzip\r\n",
                                   .body = gzip_of_many,
                                   .body_bytes = sizeof(gzip_of_many) - 1};
    struct exchange got;
    script_server_always(server, answer);
    exchange(client, &request, &got);
    ok(got.status == MC_OK && got.body.len == 300000, "a compressed answer is unpacked");
    ok(strstr(script_server_request(server, 0)->head, "Accept-Encoding: "), "and asked for");
    exchange_free(&got);
    request.response_bytes = 100000;
    exchange(client, &request, &got);
    is_int(got.status, MC_TOO_LARGE, "the limit is of what it unpacks to: %s", got.message);
    exchange_free(&got);
    script_server_clear(server);
}

static void test_unreachable(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&address, len) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        bail_out("no port");
    char text[128];
    snprintf(text, sizeof(text), "http://me:" SECRET "@127.0.0.1:%d/v1?key=" SECRET,
             ntohs(address.sin_port));
    struct mc_net_request request = post_to(text);
    struct exchange got;
    exchange(client, &request, &got);
    is_int(got.status, MC_UNAVAILABLE, "nobody listens: %s", got.message);
    snprintf(text, sizeof(text), "http://127.0.0.1:%d: ", ntohs(address.sin_port));
    ok(strncmp(got.message, text, strlen(text)) == 0, "the message says where");
    ok(!strstr(got.message, SECRET), "and no secret");
    exchange_free(&got);
    close(fd);
}

/* A listener whose queue is full lets nobody connect and refuses nobody. */
static void test_connect_timeout(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int fillers[8];
    if (bind(listener, (struct sockaddr *)&address, len) != 0 || listen(listener, 0) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &len) != 0)
        bail_out("no port");
    for (size_t i = 0; i < mc_countof(fillers); i++) {
        /* The first is there before the others try. */
        fillers[i] = socket(AF_INET, SOCK_STREAM | (i > 0 ? SOCK_NONBLOCK : 0), 0);
        (void)!connect(fillers[i], (struct sockaddr *)&address, len);
    }
    char text[64];
    snprintf(text, sizeof(text), "http://127.0.0.1:%d/", ntohs(address.sin_port));
    struct mc_net *hasty = open_client(&(struct mc_net_options){.connect_timeout_us = 200 * MS});
    struct mc_net_request request = post_to(text);
    struct exchange got;
    exchange(hasty, &request, &got);
    is_int(got.status, MC_TIMEOUT, "no connection: %s", got.message);
    ok(got.took_us < 10 * MC_US_PER_SECOND, "given up before the request's own limit");
    exchange_free(&got);
    mc_net_close(hasty);
    for (size_t i = 0; i < mc_countof(fillers); i++)
        close(fillers[i]);
    close(listener);
}

static void test_retry_after(void)
{
    static const struct {
        const char *headers;
        int64_t seconds; /* -1: absent or odd */
    } cases[] = {
        {"Retry-After: 7\r\n", 7},
        {"retry-after:0\r\n", 0},
        {"Retry-After:   12  \r\n", 12},
        {"Date: Wed, 21 Oct 2015 07:28:00 GMT\r\nRetry-After: Wed, 21 Oct 2015 07:28:30 GMT\r\n",
         30},
        {"Retry-After: Wed, 21 Oct 2015 07:28:30 GMT\r\nDate: Wed, 21 Oct 2015 07:28:00 GMT\r\n",
         30},
        {"Retry-After: Wed, 21 Oct 2015 07:28:30 GMT\r\n", 0},
        {"Retry-After: Fri, 31 Dec 2099 23:59:59 GMT\r\n", 86400},
        {"Retry-After: 99999999999999999999999\r\n", 86400},
        {"Retry-After: -5\r\n", -1},
        {"Retry-After: 1.5\r\n", -1},
        {"Retry-After: soon\r\n", -1},
        {"Retry-After: \r\n", -1},
        {"X-Retry-After: 5\r\n", -1},
        {"", -1},
    };
    struct mc_net_request request = post_to(url);
    for (size_t i = 0; i < mc_countof(cases); i++) {
        struct exchange got;
        script_server_add(server, (struct script_answer){.code = 429, .headers = cases[i].headers});
        exchange(client, &request, &got);
        is_int(got.code, 429, "429 is an answer");
        is_int(got.retry_after_us < 0 ? -1 : got.retry_after_us / MC_US_PER_SECOND,
               cases[i].seconds, "%s", cases[i].headers);
        exchange_free(&got);
    }
    script_server_clear(server);
}

static void test_redirect(void)
{
    struct mc_net_request request = post_to(url);
    struct exchange got;
    char headers[128];
    snprintf(headers, sizeof(headers), "Location: %s/elsewhere\r\n", url);
    script_server_add(server, (struct script_answer){.code = 307, .headers = headers});
    exchange(client, &request, &got);
    is_int(got.code, 307, "a redirect is an answer");
    is_int(script_server_requests(server), 1, "and not followed");
    exchange_free(&got);
    script_server_clear(server);
}

static void test_cancel(void)
{
    struct mc_net_request request = post_to(url);
    struct exchange waiting, dripping;
    struct mc_error err = {0};
    uint64_t id = 0;
    request.timeout_us = 0;
    script_server_add(server, (struct script_answer){.end = SCRIPT_HANG});
    exchange_init(&waiting);
    is_status(mc_net_start(client, &request, exchange_done, &waiting, &id, &err), MC_OK, &err,
              "start");
    ok(script_server_wait(server, 1), "the request is out");
    mc_net_cancel(client, id);
    ok(exchange_is_done(&waiting), "done was called when cancel returns");
    is_int(waiting.status, MC_CANCELLED, "cancelled: %s", waiting.message);
    mc_net_cancel(client, id);
    mc_net_cancel(client, 123456789);
    ok(true, "a transfer that is over, or never was, is no matter");
    script_server_add(server, (struct script_answer){.body = "01234567",
                                                     .repeat_bytes = 8000,
                                                     .drip_bytes = 1,
                                                     .drip_us = 100 * MS});
    exchange_init(&dripping);
    is_status(mc_net_start(client, &request, exchange_done, &dripping, &id, &err), MC_OK, &err,
              "start");
    ok(script_server_wait(server, 2), "the request is out");
    mc_net_cancel(client, id);
    is_int(dripping.status, MC_CANCELLED, "cancelled while the answer comes");
    exchange_free(&waiting);
    exchange_free(&dripping);
    script_server_clear(server);
}

static void test_close(void)
{
    struct mc_net *closing = open_client(NULL);
    struct mc_net_request request = post_to(url);
    struct exchange left[5];
    struct mc_error err = {0};
    uint64_t id = 0;
    script_server_always(server, (struct script_answer){.end = SCRIPT_HANG});
    for (size_t i = 0; i < mc_countof(left); i++) {
        exchange_init(&left[i]);
        is_status(mc_net_start(closing, &request, exchange_done, &left[i], &id, &err), MC_OK, &err,
                  "start");
    }
    ok(script_server_wait(server, mc_countof(left)), "the requests are out");
    mc_net_close(closing);
    for (size_t i = 0; i < mc_countof(left); i++) {
        ok(exchange_is_done(&left[i]) && left[i].status == MC_CANCELLED, "closed: cancelled");
        exchange_free(&left[i]);
    }
    mc_net_close(NULL);
    script_server_clear(server);
}

/* One connection for all: those that wait for it do not run out of time to connect. */
static void test_few_connections(void)
{
    struct mc_net *narrow =
        open_client(&(struct mc_net_options){.max_connections = 1, .connect_timeout_us = 250 * MS});
    struct mc_net_request request = post_to(url);
    struct exchange got[4], first;
    struct mc_error err = {0};
    uint64_t id = 0;
    bool connected = false;
    for (int i = 0; i < 20 && !connected; i++) { /* to connect may itself take longer than that */
        exchange(narrow, &request, &first);
        connected = first.status == MC_OK;
        exchange_free(&first);
    }
    size_t before = script_server_connections(server);
    script_server_always(server, (struct script_answer){.body = "{}", .delay_us = 200 * MS});
    for (size_t i = 0; i < mc_countof(got); i++) {
        exchange_init(&got[i]);
        is_status(mc_net_start(narrow, &request, exchange_done, &got[i], &id, &err), MC_OK, &err,
                  "start");
    }
    for (size_t i = 0; i < mc_countof(got); i++) {
        exchange_wait(&got[i]);
        is_int(got[i].status, MC_OK, "answer %zu: %s", i, got[i].message);
        exchange_free(&got[i]);
    }
    is_int(script_server_connections(server) - before, 0, "over the one connection");
    is_int(script_server_most_at_once(server), 1, "one after the other");
    mc_net_close(narrow);
    script_server_clear(server);
}

static char *echo(void *context, const struct script_request *request, int *code)
{
    (void)context;
    (void)code;
    return strdup(request->body);
}

#define THREADS 8
#define ROUNDS 25

static void *ask_many(void *context)
{
    struct mc_net *shared = context;
    size_t good = 0;
    for (int i = 0; i < ROUNDS; i++) {
        char text[64];
        snprintf(text, sizeof(text), "%p %d", (void *)&good, i);
        struct mc_net_request request = post_to(url);
        struct exchange got;
        request.body = mc_str_of(text);
        exchange(shared, &request, &got);
        good += got.status == MC_OK && mc_str_equal(got.body, request.body) ? 1 : 0;
        exchange_free(&got);
    }
    return (void *)(uintptr_t)good;
}

static void test_many_threads(void)
{
    struct mc_net *shared = open_client(&(struct mc_net_options){.max_connections = 4});
    pthread_t threads[THREADS];
    size_t before = script_server_connections(server);
    script_server_always(server, (struct script_answer){.build = echo});
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, ask_many, shared);
    for (size_t i = 0; i < THREADS; i++) {
        void *good = NULL;
        pthread_join(threads[i], &good);
        is_int((intptr_t)good, ROUNDS, "thread %zu got its own answers", i);
    }
    size_t used = script_server_connections(server) - before;
    ok(used <= 4, "at most four connections (%zu)", used);
    mc_net_close(shared);
    script_server_clear(server);
}

/* Starts and cancels at once, so that a cancel meets its transfer in every state. */
static void *cancel_many(void *context)
{
    struct mc_net *shared = context;
    size_t good = 0;
    for (int i = 0; i < ROUNDS; i++) {
        struct mc_net_request request = post_to(url);
        struct exchange got;
        struct mc_error err = {0};
        uint64_t id = 0;
        exchange_init(&got);
        if (mc_net_start(shared, &request, exchange_done, &got, &id, &err) != MC_OK)
            bail_out("not started: %s", err.message);
        if (i % 3 == 0)
            exchange_wait(&got);
        mc_net_cancel(shared, id);
        good += exchange_is_done(&got) && (got.status == MC_OK || got.status == MC_CANCELLED);
        exchange_free(&got);
    }
    return (void *)(uintptr_t)good;
}

static void test_cancel_many(void)
{
    struct mc_net *shared = open_client(&(struct mc_net_options){.max_connections = 3});
    pthread_t threads[THREADS];
    script_server_always(server, (struct script_answer){.build = echo, .delay_us = MS});
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, cancel_many, shared);
    for (size_t i = 0; i < THREADS; i++) {
        void *good = NULL;
        pthread_join(threads[i], &good);
        is_int((intptr_t)good, ROUNDS, "thread %zu: every transfer ended once", i);
    }
    mc_net_close(shared);
    script_server_clear(server);
}

static void test_proxy(void)
{
    char proxy[64];
    snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", script_server_port(server));
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("https_proxy", proxy, 1);
    setenv("no_proxy", "127.0.0.2", 1);
    struct mc_net *behind = open_client(NULL);
    unsetenv("http_proxy");
    unsetenv("https_proxy");
    unsetenv("no_proxy");
    struct mc_net_request request = post_to(url);
    struct exchange got;
    script_server_add(server, (struct script_answer){.body = "{}"});
    exchange(behind, &request, &got);
    is_int(got.status, MC_OK, "http goes through no proxy: %s", got.message);
    exchange_free(&got);
    request = post_to("https://service.invalid/v1");
    script_server_add(server, (struct script_answer){.code = 403});
    exchange(behind, &request, &got);
    is_int(got.status, MC_UNAVAILABLE, "https goes through it, which refuses: %s", got.message);
    const char *head = script_server_request(server, 1)->head;
    ok(strncmp(head, "CONNECT service.invalid:443 ", 28) == 0, "as a tunnel");
    ok(!strstr(head, SECRET) && !strstr(head, "X-Test"), "which sees no header");
    exchange_free(&got);
    request = post_to("https://127.0.0.2:1/v1");
    exchange(behind, &request, &got);
    is_int(got.status, MC_UNAVAILABLE, "no_proxy is heeded: %s", got.message);
    is_int(script_server_requests(server), 2, "the proxy was not asked");
    exchange_free(&got);
    mc_net_close(behind);
    script_server_clear(server);
}

int main(void)
{
    server = script_server_start();
    client = open_client(NULL);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/v1/chat", script_server_port(server));
    test_post();
    test_closed_between();
    test_refused_input();
    test_failures();
    test_compressed();
    test_unreachable();
    test_connect_timeout();
    test_retry_after();
    test_redirect();
    test_cancel();
    test_close();
    test_few_connections();
    test_many_threads();
    test_cancel_many();
    test_proxy();
    mc_net_close(client);
    script_server_stop(server);
    return done_testing();
}
