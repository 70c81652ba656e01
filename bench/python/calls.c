/*
 * The C half of bench_python.py: makes the calls that it is told to, one line "OPERATION COUNT THREADS" at a
 * time, and answers with "p50 total" in nanoseconds: of one call, and of all of them by the wall clock.
 *
 *     python_calls DATABASE
 */
#include <mindcore/mindcore.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/str.h"

#define THREADS_MAX 64

static struct mc_engine *engine;

struct work {
    char operation[16];
    int64_t first, count;
    int64_t *taken; /* nanoseconds of each call */
};

static int64_t now_ns(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

static _Noreturn void die(const char *what, const struct mc_error *err)
{
    fprintf(stderr, "%s: %s\n", what, err->message);
    exit(1);
}

/* The same texts and names as bench_python.py has. */
static enum mc_status call(const char *operation, int64_t n, struct mc_error *err)
{
    char text[128], thread[32];
    snprintf(thread, sizeof(thread), "t%d", (int)(n % 50));
    snprintf(text, sizeof(text), "Where is my order ORD-%d? It has not arrived.", (int)n);
    if (operation[0] == 'i') {
        struct mc_message_input input = {.user_id = MC_STR("ann"),
                                         .thread_id = mc_str_of(thread),
                                         .session_id = MC_STR("s1"),
                                         .role = MC_STR("user"),
                                         .text = mc_str_of(text)};
        struct mc_message_list *stored = NULL;
        enum mc_status status = mc_message_ingest(engine, &input, &stored, NULL, err);
        mc_message_list_free(stored);
        return status;
    }
    if (operation[0] == 'r') {
        struct mc_recent_query query = {
            .user_id = MC_STR("ann"), .thread_id = mc_str_of(thread), .limit = 20};
        struct mc_message_list *list = NULL;
        enum mc_status status = mc_message_recent(engine, &query, &list, err);
        mc_message_list_free(list);
        return status;
    }
    struct mc_context_query query = {.user_id = MC_STR("ann"),
                                     .thread_id = mc_str_of(thread),
                                     .query = MC_STR("Has my order arrived?")};
    struct mc_context *context = NULL;
    enum mc_status status = mc_context_assemble(engine, &query, &context, err);
    mc_context_free(context);
    return status;
}

static void *run(void *argument)
{
    struct work *work = argument;
    for (int64_t i = 0; i < work->count; i++) {
        struct mc_error err = {0};
        int64_t start = now_ns();
        if (call(work->operation, work->first + i, &err))
            die(work->operation, &err);
        work->taken[i] = now_ns() - start;
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void measure(struct work *work, int threads)
{
    static int64_t next;
    int64_t *taken = calloc((size_t)(work->count * threads), sizeof(*taken));
    struct work parts[THREADS_MAX];
    pthread_t ids[THREADS_MAX];
    if (!taken)
        exit(1);
    int64_t start = now_ns();
    for (int i = 0; i < threads; i++) {
        parts[i] = *work;
        parts[i].first = next;
        parts[i].taken = taken + work->count * i;
        next += work->count;
        if (pthread_create(&ids[i], NULL, run, &parts[i]))
            exit(1);
    }
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    int64_t total = now_ns() - start;
    qsort(taken, (size_t)(work->count * threads), sizeof(*taken), compare);
    printf("%lld %lld\n", (long long)taken[work->count * threads / 2], (long long)total);
    fflush(stdout);
    free(taken);
}

int main(int argc, char **argv)
{
    struct mc_config *config = NULL;
    struct mc_error err = {0};
    if (argc != 2 || mc_config_new(&config, &err) ||
        mc_config_set(config, "database.path", argv[1], &err) ||
        mc_config_set(config, "cache.persistent", "false", &err) ||
        mc_engine_open(config, &engine, &err))
        die("python_calls DATABASE", &err);
    mc_config_free(config);
    struct work work;
    int threads;
    while (scanf("%15s %lld %d", work.operation, (long long *)&work.count, &threads) == 3) {
        if (work.operation[0] == 'd') {
            if (mc_engine_drain(engine, 600000, &err))
                die("drain", &err);
            puts("0 0");
            fflush(stdout);
        } else if (work.count > 0 && threads > 0 && threads <= THREADS_MAX) {
            measure(&work, threads);
        }
    }
    mc_engine_close(engine);
    return 0;
}
