/*
 * Search and context for one user with much to remember, through the public interface.
 *
 *     bench_search [MESSAGES [ALL]]
 *
 * Stores MESSAGES (100,000) messages, a tenth of them of one user, enriches them, and asks for that user; then
 * adds messages of others up to ALL (1,000,000; 0: not) and asks the same again.
 *
 * Each question is asked ASKED times and its least times are told, so that a busy machine changes little;
 * the quantiles are over questions. Targets, in the processor time of the caller (it waits for nobody): p95
 * below 5 ms at both sizes, and at the second at most 1.5 times what it was at the first.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <mindcore/mindcore.h>

#include "made_up.h"

#define OTHERS 90
#define THREADS_OF_USER 20
#define TURNS_OF_SESSION 25
#define BATCH 1000
#define QUESTIONS 300
#define ASKED 5
#define MINUTE_US INT64_C(60000000)
#define USER "the-one"

static struct mc_engine *engine;

static void must(enum mc_status status, const struct mc_error *err)
{
    if (!status)
        return;
    fprintf(stderr, "bench_search: %s: %s\n", mc_status_name(status), err->message);
    exit(1);
}

/* ---- Loading ---- */

struct row {
    char user[24], thread[24], session[40], text[512];
};

/* A message of the one user (every tenth up to `of_one`), or of one of the others. */
static void make_row(struct row *row, uint64_t number, uint64_t of_one)
{
    bool one = number < of_one && number % 10 == 0;
    uint64_t thread = one ? number / 10 / TURNS_OF_SESSION % THREADS_OF_USER : any(THREADS_OF_USER);
    snprintf(row->user, sizeof(row->user), "user%" PRIu64,
             number < of_one ? any(OTHERS) : OTHERS + any(9 * OTHERS));
    if (one)
        snprintf(row->user, sizeof(row->user), USER);
    snprintf(row->thread, sizeof(row->thread), "thread%" PRIu64, thread);
    snprintf(row->session, sizeof(row->session), "session%" PRIu64, number / 10 / TURNS_OF_SESSION);
    sentence(row->text, sizeof(row->text), 6 + (unsigned)any(20));
}

static void fill(uint64_t begin, uint64_t end, uint64_t of_one)
{
    static struct row rows[BATCH];
    static struct mc_message_input inputs[BATCH];
    static struct mc_ingest_result results[BATCH];
    const int64_t from_us = INT64_C(1700000000000000);
    struct mc_error err;
    for (uint64_t done = begin; done < end;) {
        size_t count = 0;
        for (; count < BATCH && done + count < end; count++) {
            struct row *row = &rows[count];
            make_row(row, done + count, of_one);
            inputs[count] = (struct mc_message_input){
                .user_id = mc_str_of(row->user),
                .thread_id = mc_str_of(row->thread),
                .session_id = mc_str_of(row->session),
                .role = mc_str_of((done + count) / 10 % 2 ? "assistant" : "user"),
                .text = mc_str_of(row->text),
                .created_at_us = from_us + (int64_t)(done + count) * MINUTE_US,
            };
        }
        must(mc_message_ingest_batch(engine, inputs, count, results, NULL, &err), &err);
        done += count;
    }
    must(mc_engine_drain(engine, -1, &err), &err);
}

/* ---- Asking ---- */

static size_t do_search(const char *text, size_t limit)
{
    struct mc_error err;
    struct mc_hit_list *hits = NULL;
    struct mc_search_query query = {
        .user_id = mc_str_of(USER), .text = mc_str_of(text), .limit = limit};
    must(mc_search(engine, &query, &hits, &err), &err);
    size_t count = hits->count;
    mc_hit_list_free(hits);
    return count;
}

static size_t do_context(const char *text, size_t limit)
{
    struct mc_error err;
    struct mc_context *context = NULL;
    (void)limit;
    struct mc_context_query query = {.user_id = mc_str_of(USER),
                                     .thread_id = mc_str_of("thread1"),
                                     .query = mc_str_of(text),
                                     .mode = MC_CONTEXT_FAST};
    must(mc_context_assemble(engine, &query, &context, &err), &err);
    size_t count = context->relevant_message_id_count;
    mc_context_free(context);
    return count;
}

static double clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static int failed;

static void target(const char *what, double value, double most)
{
    printf("target: %-44s %10.2f, at most %8.2f: %s\n", what, value, most,
           value <= most ? "reached" : "MISSED");
    failed |= value > most;
}

static const struct kind {
    const char *name;
    size_t (*run)(const char *text, size_t limit);
    size_t limit;
} kinds[] = {
    {"search, 10 hits", do_search, 10},
    {"search, 50 hits", do_search, 50},
    {"context", do_context, 0},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* The least wall and processor times of a question. */
static size_t ask(const struct kind *kind, const char *text, double *wall_us, double *cpu_us)
{
    size_t count = 0;
    for (int i = 0; i < ASKED; i++) {
        double cpu = clock_us(CLOCK_THREAD_CPUTIME_ID), wall = clock_us(CLOCK_MONOTONIC);
        count = kind->run(text, kind->limit);
        wall = clock_us(CLOCK_MONOTONIC) - wall;
        cpu = clock_us(CLOCK_THREAD_CPUTIME_ID) - cpu;
        *wall_us = i == 0 || wall < *wall_us ? wall : *wall_us;
        *cpu_us = i == 0 || cpu < *cpu_us ? cpu : *cpu_us;
    }
    return count;
}

/* The 95th percentile of processor time in milliseconds. */
static double measure(const struct kind *kind)
{
    double wall_us[QUESTIONS], cpu_us[QUESTIONS];
    size_t found = 0;
    uint64_t before = state;
    state = 42; /* the same questions each time */
    for (size_t i = 0; i < QUESTIONS; i++) {
        char text[256];
        sentence(text, sizeof(text), 3 + (unsigned)any(6));
        found += ask(kind, text, &wall_us[i], &cpu_us[i]);
    }
    state = before;
    qsort(wall_us, QUESTIONS, sizeof(*wall_us), compare);
    qsort(cpu_us, QUESTIONS, sizeof(*cpu_us), compare);
    double p95_ms = cpu_us[QUESTIONS * 95 / 100] / 1000;
    printf("%-16s p50 %6.2f ms  p95 %6.2f ms  (processor p50 %.2f p95 %.2f)  %5.1f found\n",
           kind->name, wall_us[QUESTIONS / 2] / 1000, wall_us[QUESTIONS * 95 / 100] / 1000,
           cpu_us[QUESTIONS / 2] / 1000, p95_ms, (double)found / QUESTIONS);
    return p95_ms;
}

static void measure_all(uint64_t messages, double p95_ms[KINDS])
{
    printf("%" PRIu64 " messages\n", messages);
    for (size_t i = 0; i < KINDS; i++)
        p95_ms[i] = measure(&kinds[i]);
    for (size_t i = 0; i < KINDS; i++) {
        char what[64];
        snprintf(what, sizeof(what), "%s, p95, ms", kinds[i].name);
        target(what, p95_ms[i], 5);
    }
}

static void open_engine(const char *path)
{
    struct mc_error err;
    struct mc_config *config = NULL;
    must(mc_config_new(&config, &err), &err);
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
    char dir[256], path[320];
    snprintf(dir, sizeof(dir), "%.200s/bench-search-XXXXXX", base && *base ? base : P_tmpdir);
    if (!mkdtemp(dir)) {
        perror("bench_search");
        return 1;
    }
    snprintf(path, sizeof(path), "%s/bench.db", dir);
    open_engine(path);
    setvbuf(stdout, NULL, _IOLBF, 0);
    double first[KINDS], second[KINDS];
    fill(0, messages, messages);
    measure_all(messages, first);
    if (all > messages) {
        fill(messages, all, messages);
        measure_all(all, second);
        for (size_t i = 0; i < KINDS; i++) {
            char what[64];
            snprintf(what, sizeof(what), "%s, p95, times the first", kinds[i].name);
            target(what, second[i] / first[i], 1.5);
        }
    }
    mc_engine_close(engine);
    remove_all(dir);
    return failed;
}
