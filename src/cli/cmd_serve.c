/*
 * mindcore serve. DESIGN: SIGTERM, SIGINT and SIGHUP are blocked before any thread starts, so that
 * only the main thread meets them, in sigtimedwait. After the first one they are let through again with
 * a handler that ends the process, so that a second one is obeyed even when the orderly end hangs.
 */
#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "base/time.h"
#include "cli/cli.h"
#include "http/server.h"

#define TRIM_SECONDS 10
#define OPTION_BYTES ((size_t)1 << 20)

struct service {
    struct mc_http_server *server;
    struct mc_http_server *metrics; /* a second address for Prometheus; NULL for none */
};

static void end_at_once(int signal_number)
{
    static const char message[] = "mindcore: a second signal, ending at once\n";
    ssize_t written = write(STDERR_FILENO, message, sizeof(message) - 1);
    (void)written;
    _exit(128 + signal_number);
}

static sigset_t ending_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    return signals;
}

/* malloc keeps what large requests have used, in an arena for each thread. */
static void give_memory_back(void)
{
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}

#define LARGE_BYTES (256 * 1024)
#define KEPT_BYTES (4 * 1024 * 1024)

/*
 * What is large is mapped by itself and goes back at once. Left alone malloc learns from the first large piece that is
 * freed to keep them, tens of MiB in each thread's arena, beside what server.max_memory counts.
 */
static void map_large_memory(void)
{
#ifdef __GLIBC__
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
#endif
}

static int wait_for_signal(const sigset_t *signals)
{
    static const struct timespec pause = {.tv_sec = TRIM_SECONDS};
    int number;
    while ((number = sigtimedwait(signals, NULL, &pause)) < 0)
        give_memory_back();
    struct sigaction action = {.sa_handler = end_at_once};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    pthread_sigmask(SIG_UNBLOCK, signals, NULL);
    return number;
}

static enum mc_log_level log_level(const struct mc_config *config)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    const char *level = mc_config_get(config, "logging.level");
    for (size_t i = 0; level && i < mc_countof(names); i++) {
        if (strcmp(level, names[i]) == 0)
            return (enum mc_log_level)i;
    }
    return MC_LOG_INFO;
}

static enum mc_status start_one(struct mc_cli *cli, bool metrics, struct mc_http_server **server,
                                struct mc_error *err)
{
    struct mc_arena arena;
    struct mc_http_options options = {0};
    mc_arena_init(&arena, OPTION_BYTES);
    enum mc_status status =
        mc_http_options_from_config(cli->config, metrics, &arena, &options, err);
    if (status == MC_OK && !(metrics && !options.listen))
        status = mc_http_start(cli->engine, &options, server, err);
    mc_arena_fini(&arena);
    return status;
}

static enum mc_status start(struct mc_cli *cli, struct service *service, struct mc_error *err)
{
    enum mc_status status = mc_cli_load_config(cli, err);
    mc_str listen = mc_args_text(&cli->args, "listen");
    if (status == MC_OK && mc_str_given(listen)) {
        status = mc_config_set(cli->config, "server.listen", listen.data, err);
        if (status != MC_OK)
            (void)mc_fail_prefix(err, status, "option --listen");
    }
    if (status != MC_OK)
        return status;
    const char *format = mc_config_get(cli->config, "logging.format");
    mc_log_set(format && strcmp(format, "json") == 0 ? mc_log_stderr_json : mc_log_stderr, NULL,
               mc_args_given(&cli->args, "verbose") ? MC_LOG_DEBUG : log_level(cli->config));
    cli->opening = (struct mc_open_options){.lazy_model = false};
    status = mc_cli_open(cli, err);
    /* What says that it is ready comes last. */
    if (status == MC_OK)
        status = start_one(cli, true, &service->metrics, err);
    if (status == MC_OK)
        status = start_one(cli, false, &service->server, err);
    return status;
}

static bool has_keys(const struct mc_cli *cli)
{
    const char *keys = mc_config_get(cli->config, "server.api_keys");
    return (keys && keys[0] && strcmp(keys, "[]") != 0) || mc_key_count(cli->engine) > 0;
}

static void print_welcome(const struct mc_cli *cli, const struct service *service)
{
    const char *url = mc_http_url(service->server);
    const char *key = has_keys(cli) ? " -H 'Authorization: Bearer YOUR_KEY'" : "";
    if (cli->json) {
        printf("{\"url\":\"%s\",\"port\":%d}\n", url, mc_http_port(service->server));
    } else {
        printf("Mindcore %s serves on %s (%s, enrichment: %s)\n", mc_version(), url,
               mc_engine_backend(cli->engine), mc_engine_provider(cli->engine));
        printf("Dashboard: %s/\n", url);
        if (service->metrics)
            printf("Metrics:   %s/metrics\n", mc_http_url(service->metrics));
        printf("Try it:    curl -s %s/v1/messages -H 'Content-Type: application/json'%s -d "
               "'{\"user_id\":\"ann\",\"thread_id\":\"t1\",\"session_id\":\"s1\",\"role\":\"user\","
               "\"text\":\"Where is my order A-1042?\"}'\n",
               url, key);
    }
    fflush(stdout);
}

int mc_cli_serve(struct mc_cli *cli)
{
    struct service service = {0};
    struct mc_error err = {0};
    sigset_t signals = ending_signals();
    map_large_memory();
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    int64_t started = mc_time_monotonic_us();
    enum mc_status status = start(cli, &service, &err);
    if (status == MC_OK) {
        print_welcome(cli, &service);
        mc_log(MC_LOG_INFO, "serve", "ready after %.1f ms",
               (double)(mc_time_monotonic_us() - started) / 1000);
        int number = wait_for_signal(&signals);
        mc_log(MC_LOG_INFO, "serve", "ending after signal %d", number);
    }
    mc_http_stop(service.metrics);
    mc_http_stop(service.server);
    mc_cli_close(cli);
    if (status != MC_OK)
        return mc_cli_fail(&err);
    mc_log(MC_LOG_INFO, "serve", "ended");
    return MC_CLI_DONE;
}
