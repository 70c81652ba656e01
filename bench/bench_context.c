/*
 * Context, search and recent messages without a model, through the public interface.
 *
 *     bench_context [MESSAGES [ALL]]
 *
 * Stores MESSAGES (100,000) messages of 50 users, enriches them, and measures; then adds messages
 * of other users up to ALL (1,000,000; 0: not) and measures the same 50 users again. Besides wall
 * time the processor time of the calling thread is told, which a busy machine does not change.
 *
 * Targets: context p50 below 1 ms and p95 below 5 ms at the first size, at most 1.5 times that at
 * the second; resident memory below 150 MB at the first.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <mindcore/mindcore.h>

#include "ask.h"

#define USERS 50
#define THREADS_OF_USER 20
#define BATCH 1000
#define ROUNDS 2000

static struct mc_engine *engine;

static double clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* ---- Loading ---- */

struct row {
    char user[24], thread[24], text[512];
};

static void fill(uint64_t begin, uint64_t end, uint64_t first_user, uint64_t users)
{
    static struct row rows[BATCH];
    static struct mc_message_input inputs[BATCH];
    static struct mc_ingest_result results[BATCH];
    const int64_t from_us = INT64_C(1700000000000000);
    for (uint64_t done = begin; done < end;) {
        size_t count = 0;
        for (; count < BATCH && done + count < end; count++) {
            struct row *row = &rows[count];
            uint64_t user = first_user + any(users);
            snprintf(row->user, sizeof(row->user), "user%" PRIu64, user);
            snprintf(row->thread, sizeof(row->thread), "thread%" PRIu64, any(THREADS_OF_USER));
            sentence(row->text, sizeof(row->text), 6 + (unsigned)any(20));
            inputs[count] = (struct mc_message_input){
                .user_id = mc_str_of(row->user),
                .thread_id = mc_str_of(row->thread),
                .session_id = mc_str_of("s1"),
                .role = mc_str_of(any(2) ? "user" : "assistant"),
                .text = mc_str_of(row->text),
                .created_at_us = from_us + (int64_t)(done + count) * INT64_C(60000000),
            };
        }
        struct mc_error err;
        must(mc_message_ingest_batch(engine, inputs, count, results, NULL, &err), &err);
        done += count;
    }
    struct mc_error err;
    must(mc_engine_drain(engine, -1, &err), &err);
}

/* ---- Measuring ---- */

struct sample {
    double wall[ROUNDS];
    double cpu[ROUNDS];
    size_t count;
};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double quantile(double *values, size_t count, double q)
{
    qsort(values, count, sizeof(*values), compare);
    size_t at = (size_t)(q * (double)count);
    return values[at < count ? at : count - 1];
}

static void report(const char *what, struct sample *s)
{
    printf("%-28s p50 %8.1f us  p95 %8.1f us  p99 %8.1f us  (processor p50 %.1f p95 %.1f)\n", what,
           quantile(s->wall, s->count, 0.5), quantile(s->wall, s->count, 0.95),
           quantile(s->wall, s->count, 0.99), quantile(s->cpu, s->count, 0.5),
           quantile(s->cpu, s->count, 0.95));
}

static void do_context(const struct ask *ask)
{
    ask_context(engine, ask);
}

static void do_search(const struct ask *ask)
{
    struct mc_error err;
    struct mc_hit_list *hits = NULL;
    struct mc_search_query query = {.user_id = mc_str_of(ask->user), .text = mc_str_of(ask->query)};
    must(mc_search(engine, &query, &hits, &err), &err);
    mc_hit_list_free(hits);
}

static void do_recent(const struct ask *ask)
{
    struct mc_error err;
    struct mc_message_list *list = NULL;
    struct mc_recent_query query = {
        .user_id = mc_str_of(ask->user), .thread_id = mc_str_of(ask->thread), .limit = 20};
    must(mc_message_recent(engine, &query, &list, &err), &err);
    mc_message_list_free(list);
}

static void measure(void (*run)(const struct ask *), struct sample *sample)
{
    uint64_t before = state;
    state = 42; /* the same questions each time */
    struct ask ask;
    for (int i = 0; i < 200; i++) {
        next_ask(&ask, USERS, THREADS_OF_USER);
        run(&ask);
    }
    for (sample->count = 0; sample->count < ROUNDS; sample->count++) {
        next_ask(&ask, USERS, THREADS_OF_USER);
        double cpu = clock_us(CLOCK_THREAD_CPUTIME_ID), wall = clock_us(CLOCK_MONOTONIC);
        run(&ask);
        sample->wall[sample->count] = clock_us(CLOCK_MONOTONIC) - wall;
        sample->cpu[sample->count] = clock_us(CLOCK_THREAD_CPUTIME_ID) - cpu;
    }
    state = before;
}

static double resident_mb(void)
{
    char line[256];
    long kb = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof(line), file)) {
        if (sscanf(line, "VmRSS: %ld kB", &kb) == 1)
            break;
    }
    if (file)
        fclose(file);
    return (double)kb / 1024;
}

static struct sample context, search, recent;

static void measure_all(uint64_t messages)
{
    printf("%" PRIu64 " messages, %d users asked\n", messages, USERS);
    measure(do_context, &context);
    measure(do_search, &search);
    measure(do_recent, &recent);
    report("context without a model", &context);
    report("search", &search);
    report("20 recent, from the cache", &recent);
    printf("%-28s %.0f MB\n", "resident memory", resident_mb());
}

static int failed;
static void target(const char *what, double value, double most)
{
    printf("target: %-44s %10.2f, at most %8.2f: %s\n", what, value, most,
           value <= most ? "reached" : "MISSED");
    failed |= value > most;
}

static void open_engine(const char *dir)
{
    struct mc_error err;
    struct mc_config *config = NULL;
    char path[320];
    must(mc_config_new(&config, &err), &err);
    snprintf(path, sizeof(path), "%s/bench.db", dir);
    must(mc_config_set(config, "database.path", path, &err), &err);
    must(mc_config_set(config, "cache.persistent", "false", &err), &err);
    must(mc_engine_open(config, &engine, &err), &err);
    mc_config_free(config);
}

static void remove_all(const char *dir)
{
    static const char *const names[] = {"bench.db", "bench.db-wal", "bench.db-shm",
                                        "bench.db.lock"};
    char path[320];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

int main(int argc, char **argv)
{
    uint64_t messages = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
    uint64_t all = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    const char *base = getenv("TMPDIR");
    char dir[256];
    snprintf(dir, sizeof(dir), "%.200s/bench-context-XXXXXX", base && *base ? base : P_tmpdir);
    if (!mkdtemp(dir)) {
        perror("bench_context");
        return 1;
    }
    open_engine(dir);
    setvbuf(stdout, NULL, _IOLBF, 0);
    fill(0, messages, 0, USERS);
    measure_all(messages);
    target("context p50, ms", quantile(context.wall, ROUNDS, 0.5) / 1000, 1);
    target("context p95, ms", quantile(context.wall, ROUNDS, 0.95) / 1000, 5);
    target("resident memory, MB", resident_mb(), 150);
    double p50 = quantile(context.cpu, ROUNDS, 0.5), p95 = quantile(context.cpu, ROUNDS, 0.95);
    if (all > messages) {
        fill(messages, all, USERS, 9 * USERS);
        measure_all(all);
        target("context p50, times the first, processor time",
               quantile(context.cpu, ROUNDS, 0.5) / p50, 1.5);
        target("context p95, times the first, processor time",
               quantile(context.cpu, ROUNDS, 0.95) / p95, 1.5);
    }
    mc_engine_close(engine);
    remove_all(dir);
    return failed;
}
