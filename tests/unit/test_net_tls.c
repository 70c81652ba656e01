/*
 * TLS and HTTP/2 of src/net, against servers of other projects: `openssl s_server` and `nghttpd`, with
 * certificates made for the test. Skipped where these programs are missing.
 */
#include "tap.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/compiler.h"
#include "support/http_exchange.h"
#include "support/scratch.h"

#define SECRET "sesame-4711"
#define STREAMS 12

extern char **environ;

static struct scratch scratch;
static char certificate[320], key[320], other_certificate[320], other_key[320], empty[320];

/* Starts a program without output; its process, 0 when there is no such program. */
static pid_t start(const char *const args[])
{
    posix_spawn_file_actions_t files;
    pid_t pid = 0;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    int code = posix_spawnp(&pid, args[0], &files, NULL, (char *const *)(uintptr_t)args, environ);
    posix_spawn_file_actions_destroy(&files);
    return code == 0 ? pid : 0;
}

static void stop(pid_t pid)
{
    if (pid <= 0)
        return;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static bool make_certificate(const char *cert, const char *private_key, const char *subject,
                             const char *names)
{
    const char *args[] = {"openssl", "req", "-x509",   "-newkey",   "rsa:2048", "-nodes",
                          "-days",   "2",   "-subj",   subject,     "-addext",  names,
                          "-out",    cert,  "-keyout", private_key, NULL};
    int status = 1;
    pid_t pid = start(args);
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

/* A port that was free a moment ago. */
static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        bail_out("no port");
    close(fd);
    return ntohs(address.sin_port);
}

static bool accepts(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connected = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    close(fd);
    return connected;
}

/* Until the server accepts connections, or has ended: then *pid is 0. */
static bool wait_for(pid_t *pid, int port)
{
    int64_t until_us = mc_time_monotonic_us() + 60 * MC_US_PER_SECOND;
    while (*pid > 0 && mc_time_monotonic_us() < until_us) {
        if (waitpid(*pid, NULL, WNOHANG) != 0)
            *pid = 0;
        else if (accepts(port))
            return true;
        usleep(10000);
    }
    return false;
}

/* Starts a server whose argument at `place` is its port; 0 when it does not listen on any of ten. */
static pid_t serve(const char *args[], size_t place, int *port)
{
    static char number[16];
    args[place] = number;
    for (int i = 0; i < 10; i++) { /* another program may take the port first */
        *port = free_port();
        snprintf(number, sizeof(number), "%d", *port);
        pid_t pid = start(args);
        if (wait_for(&pid, *port))
            return pid;
        stop(pid);
    }
    return 0;
}

static struct mc_net *open_client(const char *ca_file)
{
    struct mc_net *client = NULL;
    struct mc_error err = {0};
    struct mc_net_options options = {.ca_file = ca_file};
    if (!is_status(mc_net_open(&options, &client, &err), MC_OK, &err, "open"))
        bail_out("no client");
    return client;
}

static void fetch(const char *ca_file, const char *host, int port, struct exchange *got)
{
    static const mc_str headers[] = {{"Authorization: Bearer " SECRET, 22 + sizeof(SECRET) - 1}};
    char url[64];
    snprintf(url, sizeof(url), "https://%s:%d/", host, port);
    struct mc_net_request request = {.method = "GET",
                                     .url = url,
                                     .headers = headers,
                                     .header_count = 1,
                                     .timeout_us = 20 * MC_US_PER_SECOND};
    struct mc_net *client = open_client(ca_file);
    exchange(client, &request, got);
    mc_net_close(client);
}

static void test_certificates(void)
{
    int port;
    const char *args[] = {"openssl", "s_server",  "-quiet", "-www", "-accept", "",
                          "-cert",   certificate, "-key",   key,    NULL};
    pid_t server = serve(args, 5, &port);
    if (!ok(server > 0, "openssl s_server listens"))
        return;
    struct exchange got;
    fetch(NULL, "127.0.0.1", port, &got);
    is_int(got.status, MC_CONFIG, "an unknown certificate is refused: %s", got.message);
    ok(strstr(got.message, "certificate"), "the message says why");
    ok(!strstr(got.message, SECRET), "and no secret");
    exchange_free(&got);
    fetch(other_certificate, "127.0.0.1", port, &got);
    is_int(got.status, MC_CONFIG, "ca_file of another does not help: %s", got.message);
    exchange_free(&got);
    fetch(certificate, "127.0.0.1", port, &got);
    is_int(got.status, MC_OK, "with its own ca_file it is accepted: %s", got.message);
    is_int(got.code, 200, "and answers");
    exchange_free(&got);
    fetch(certificate, "localhost", port, &got);
    is_int(got.status, MC_CONFIG, "not under a name that it is not for: %s", got.message);
    exchange_free(&got);
    stop(server);
}

static void test_ca_file(void)
{
    struct mc_net *client = NULL;
    struct mc_error err = {0};
    struct mc_net_options options = {.ca_file = "/nonexistent/ca.pem"};
    is_status(mc_net_open(&options, &client, &err), MC_CONFIG, &err, "no such file");
    ok(strstr(err.message, "/nonexistent/ca.pem"), "it is named: %s", err.message);
    options.ca_file = empty;
    is_status(mc_net_open(&options, &client, &err), MC_CONFIG, &err, "no certificate in it");
    options.ca_file = scratch.dir;
    is_status(mc_net_open(&options, &client, &err), MC_CONFIG, &err, "a folder");
    ok(!client, "the output is untouched");
}

/* Several requests that begin together share one connection. */
static void test_http2(void)
{
    int port;
    char url[64];
    const char *args[] = {"nghttpd", "-d", scratch.dir, "", key, certificate, NULL};
    pid_t server = serve(args, 3, &port);
    if (server == 0) {
        skip("no nghttpd");
        return;
    }
    snprintf(url, sizeof(url), "https://127.0.0.1:%d/empty", port);
    struct mc_net *client = open_client(certificate);
    struct mc_net_request request = {
        .method = "GET", .url = url, .timeout_us = 20 * MC_US_PER_SECOND};
    struct exchange got[STREAMS];
    struct mc_error err = {0};
    uint64_t id;
    int fresh = 0;
    for (size_t i = 0; i < STREAMS; i++) {
        exchange_init(&got[i]);
        is_status(mc_net_start(client, &request, exchange_done, &got[i], &id, &err), MC_OK, &err,
                  "start");
    }
    for (size_t i = 0; i < STREAMS; i++) {
        exchange_wait(&got[i]);
        ok(got[i].status == MC_OK && got[i].code == 200 && got[i].http2, "HTTP/2: %s",
           got[i].message);
        fresh += got[i].reused ? 0 : 1;
        exchange_free(&got[i]);
    }
    is_int(fresh, 1, "one connection for all");
    mc_net_close(client);
    stop(server);
}

static char *path(char text[320], const char *name)
{
    snprintf(text, 320, "%s/%s", scratch.dir, name);
    return text;
}

int main(void)
{
    scratch_make(&scratch);
    if (!make_certificate(path(certificate, "cert.pem"), path(key, "key.pem"), "/CN=test",
                          "subjectAltName=IP:127.0.0.1") ||
        !make_certificate(path(other_certificate, "other.pem"), path(other_key, "other.key"),
                          "/CN=other", "subjectAltName=IP:127.0.0.1")) {
        skip("no openssl");
    } else {
        FILE *file = fopen(path(empty, "empty"), "w");
        ok(file && fputs("nothing\n", file) >= 0 && fclose(file) == 0, "a file");
        test_certificates();
        test_ca_file();
        test_http2();
    }
    scratch_remove_tree(scratch.dir);
    return done_testing();
}
