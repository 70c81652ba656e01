/*
 * What does HTTP cost? Ingest over 32 keep-alive connections, against the engine called directly
 * from 32 threads.
 *
 * Each round runs for a fixed time on a database of its own, with the default options, directly and
 * over HTTP in turn; figures are the medians of the rounds. The server is a process of its own
 * (this program again, with the argument serve) and shares the machine with the client. The
 * messages are the same.
 *
 * Target: over HTTP at least 0.5 of the engine called directly, with the enrichment paused in both.
 * With the enrichment running the two are not comparable, as 32 busy callers leave it no processor
 * and it falls behind, while over HTTP it keeps up: those figures are shown, without a target.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "http/server.h"

#include <mindcore/mindcore.h>

#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"

#define CONNECTIONS 32
#define ROUNDS 3
#define ROUND_US (3 * MC_US_PER_SECOND)
#define SAMPLES_MAX 1000000
#define TARGET 0.5

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #what);                     \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* Latencies of one round, of all callers. */
struct samples {
    size_t count;
    uint32_t us[SAMPLES_MAX];
};

struct figure {
    double rate;
    double p50_us;
    double p95_us;
    double p99_us;
};

static struct samples samples; /* of the round that runs */
static char folder[256];

static int compare_us(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int compare_rate(const void *a, const void *b)
{
    double x = ((const struct figure *)a)->rate;
    double y = ((const struct figure *)b)->rate;
    return (x > y) - (x < y);
}

static void add_sample(int64_t started_us)
{
    size_t at = __atomic_fetch_add(&samples.count, 1, __ATOMIC_RELAXED);
    CHECK(at < SAMPLES_MAX);
    samples.us[at] = (uint32_t)(mc_time_monotonic_us() - started_us);
}

static double quantile(double q)
{
    return samples.us[(size_t)((double)(samples.count - 1) * q)];
}

static struct figure figure_of(int64_t taken_us)
{
    CHECK(samples.count > 0);
    qsort(samples.us, samples.count, sizeof(samples.us[0]), compare_us);
    return (struct figure){
        .rate = (double)samples.count * (double)MC_US_PER_SECOND / (double)taken_us,
        .p50_us = quantile(0.50),
        .p95_us = quantile(0.95),
        .p99_us = quantile(0.99),
    };
}

static const char *text_of(unsigned number)
{
    static const char *const texts[] = {
        "Where is my order A-1042? It should have been here on Monday.",
        "The invoice of last month charges me twice, please refund 49.90 EUR.",
        "I cannot log in since the update, the password reset mail never comes.",
        "Could you tell me how the API paginates? The documentation is silent on it.",
        "Thanks, that worked. One more question about the delivery to Cologne.",
    };
    return texts[number % 5];
}

/* Directly */

struct direct {
    struct mc_engine *engine;
    int64_t until_us;
    unsigned number;
    pthread_t thread;
};

static void *call_directly(void *context)
{
    struct direct *direct = context;
    struct mc_error err;
    char thread_id[32];
    snprintf(thread_id, sizeof(thread_id), "thread-%u", direct->number);
    for (unsigned i = 0;; i++) {
        int64_t started_us = mc_time_monotonic_us();
        if (started_us >= direct->until_us)
            return NULL;
        struct mc_message_list *stored = NULL;
        struct mc_message_input input = {
            .user_id = mc_str_of("user-1"),
            .thread_id = mc_str_of(thread_id),
            .session_id = mc_str_of("session-1"),
            .role = mc_str_of("user"),
            .text = mc_str_of(text_of(i)),
        };
        bool created = false;
        CHECK(mc_message_ingest(direct->engine, &input, &stored, &created, &err) == MC_OK);
        mc_message_list_free(stored);
        add_sample(started_us);
    }
}

static struct mc_engine *open_engine(const char *path, bool paused)
{
    struct mc_config *config = NULL;
    struct mc_engine *engine = NULL;
    struct mc_error err = {.status = MC_OK};
    CHECK(mc_config_new(&config, &err) == MC_OK);
    CHECK(mc_config_set(config, "database.path", path, &err) == MC_OK);
    if (mc_engine_open(config, &engine, &err) != MC_OK) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    mc_config_free(config);
    mc_engine_pause(engine, paused);
    return engine;
}

static struct figure run_directly(const char *path, bool paused)
{
    static struct direct callers[CONNECTIONS];
    struct mc_error err;
    struct mc_engine *engine = open_engine(path, paused);
    samples.count = 0;
    int64_t started_us = mc_time_monotonic_us();
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        callers[i] =
            (struct direct){.engine = engine, .until_us = started_us + ROUND_US, .number = i};
        CHECK(mc_thread_start(&callers[i].thread, "bench", call_directly, &callers[i], &err) ==
              MC_OK);
    }
    for (unsigned i = 0; i < CONNECTIONS; i++)
        mc_thread_join(callers[i].thread);
    struct figure figure = figure_of(mc_time_monotonic_us() - started_us);
    mc_engine_close(engine);
    return figure;
}

/* Over HTTP */

/* The other process: serves until SIGTERM, and tells its port in a line. */
static int serve(const char *path, bool paused)
{
    struct mc_http_options options = {.listen = "127.0.0.1:0"};
    struct mc_http_server *server = NULL;
    struct mc_error err;
    sigset_t signals;
    int number = 0;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    CHECK(pthread_sigmask(SIG_BLOCK, &signals, NULL) == 0);
    struct mc_engine *engine = open_engine(path, paused);
    CHECK(mc_http_start(engine, &options, &server, &err) == MC_OK);
    printf("%d\n", mc_http_port(server));
    fflush(stdout);
    CHECK(sigwait(&signals, &number) == 0);
    mc_http_stop(server);
    mc_engine_close(engine);
    return 0;
}

static pid_t start_server(const char *path, bool paused, int *port)
{
    int pipes[2];
    CHECK(pipe2(pipes, O_CLOEXEC) == 0);
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        if (dup2(pipes[1], STDOUT_FILENO) >= 0)
            execl("/proc/self/exe", "bench_http", "serve", path, paused ? "paused" : "running",
                  (char *)NULL);
        _exit(127);
    }
    close(pipes[1]);
    char line[64];
    FILE *out = fdopen(pipes[0], "r");
    int64_t number = 0;
    CHECK(out && fgets(line, sizeof(line), out));
    CHECK(mc_str_to_int64(mc_str_trim(mc_str_of(line)), &number));
    *port = (int)number;
    fclose(out);
    return pid;
}

static void stop_server(pid_t pid)
{
    int status = 0;
    CHECK(kill(pid, SIGTERM) == 0 && waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

struct client {
    int fd;
    unsigned number;
    unsigned sent;
    int64_t started_us;
    size_t got;
    char answer[8192];
};

static void send_request(struct client *client)
{
    char body[512];
    char request[1024];
    int body_len = snprintf(body, sizeof(body),
                            "{\"user_id\":\"user-1\",\"thread_id\":\"thread-%u\",\"session_id\":"
                            "\"session-1\",\"role\":\"user\",\"text\":\"%s\"}",
                            client->number, text_of(client->sent++));
    int len = snprintf(request, sizeof(request),
                       "POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                       "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                       body_len, body);
    client->got = 0;
    client->started_us = mc_time_monotonic_us();
    CHECK(send(client->fd, request, (size_t)len, MSG_NOSIGNAL) == len);
}

/* True when the whole answer is there. */
static bool receive(struct client *client)
{
    ssize_t count =
        recv(client->fd, client->answer + client->got, sizeof(client->answer) - 1 - client->got, 0);
    CHECK(count > 0);
    client->got += (size_t)count;
    client->answer[client->got] = '\0';
    const char *end = strstr(client->answer, "\r\n\r\n");
    if (!end)
        return false;
    const char *length = strstr(client->answer, "Content-Length: ");
    CHECK(length && length < end);
    CHECK(strncmp(client->answer, "HTTP/1.1 201", 12) == 0);
    int64_t body = 0;
    length += strlen("Content-Length: ");
    CHECK(mc_str_to_int64((mc_str){length, strcspn(length, "\r")}, &body));
    return client->got >= (size_t)(end + 4 - client->answer) + (size_t)body;
}

static void connect_client(struct client *client, unsigned number, int port, int poll)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    client->number = number;
    client->sent = 0;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(client->fd >= 0);
    CHECK(connect(client->fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    CHECK(epoll_ctl(poll, EPOLL_CTL_ADD, client->fd, &event) == 0);
}

static struct figure run_over_http(const char *path, bool paused)
{
    static struct client clients[CONNECTIONS];
    int port = 0;
    pid_t pid = start_server(path, paused, &port);
    int poll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(poll >= 0);
    for (unsigned i = 0; i < CONNECTIONS; i++)
        connect_client(&clients[i], i, port, poll);
    samples.count = 0;
    int64_t started_us = mc_time_monotonic_us();
    int64_t until_us = started_us + ROUND_US;
    for (unsigned i = 0; i < CONNECTIONS; i++)
        send_request(&clients[i]);
    for (unsigned running = CONNECTIONS; running > 0;) {
        struct epoll_event events[CONNECTIONS];
        int count = epoll_wait(poll, events, CONNECTIONS, -1);
        CHECK(count > 0 || errno == EINTR);
        for (int i = 0; i < count; i++) {
            struct client *client = events[i].data.ptr;
            if (!receive(client))
                continue;
            add_sample(client->started_us);
            if (mc_time_monotonic_us() < until_us)
                send_request(client);
            else
                running--;
        }
    }
    struct figure figure = figure_of(mc_time_monotonic_us() - started_us);
    for (unsigned i = 0; i < CONNECTIONS; i++)
        close(clients[i].fd);
    close(poll);
    stop_server(pid);
    return figure;
}

/* All of it */

static int remove_entry(const char *path, const struct stat *info, int flag, struct FTW *ftw)
{
    (void)info;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static void report(const char *what, const struct figure *figure)
{
    printf("%-10s %8.0f messages/s   p50 %6.0f us   p95 %6.0f us   p99 %6.0f us\n", what,
           figure->rate, figure->p50_us, figure->p95_us, figure->p99_us);
}

/* The ratio of the medians. */
static double compare(bool paused)
{
    struct figure direct[ROUNDS];
    struct figure http[ROUNDS];
    char path[512];
    for (int round = 0; round < ROUNDS; round++) {
        snprintf(path, sizeof(path), "%s/direct-%d-%d.db", folder, round, paused);
        direct[round] = run_directly(path, paused);
        snprintf(path, sizeof(path), "%s/http-%d-%d.db", folder, round, paused);
        http[round] = run_over_http(path, paused);
    }
    qsort(direct, ROUNDS, sizeof(direct[0]), compare_rate);
    qsort(http, ROUNDS, sizeof(http[0]), compare_rate);
    report("directly", &direct[ROUNDS / 2]);
    report("over HTTP", &http[ROUNDS / 2]);
    return http[ROUNDS / 2].rate / direct[ROUNDS / 2].rate;
}

int main(int argc, char **argv)
{
    const char *tmp = getenv("TMPDIR");
    if (argc == 4 && strcmp(argv[1], "serve") == 0)
        return serve(argv[2], strcmp(argv[3], "paused") == 0);
    snprintf(folder, sizeof(folder), "%.200s/bench-http-XXXXXX", tmp ? tmp : "/tmp");
    CHECK(mkdtemp(folder));
    printf("%d callers, %d rounds of %d s each\n\nenrichment paused\n", CONNECTIONS, ROUNDS,
           (int)(ROUND_US / MC_US_PER_SECOND));
    double ratio = compare(true);
    printf("ratio %.2f   target %.2f: %s\n\nenrichment running\n", ratio, TARGET,
           ratio >= TARGET ? "met" : "NOT MET");
    printf("ratio %.2f\n", compare(false));
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return ratio >= TARGET ? 0 : 1;
}
