/*
 * What does a message cost through the public interface, against a plain loop over SQLite?
 *
 *     bench_engine [ROWS [FOLDER]]
 *
 * A database of ROWS messages (100,000) is made by the engine and copied; on the copy a plain loop
 * writes the same rows (plain_sqlite.h). Ours includes everything that a program gets: checks, id,
 * group commit, cache on disk, metrics. Each figure is the median of blocks that alternate with the
 * plain loop's. "held" means that the workers are held while it is measured, so that one writer
 * stands against one; "running" that they enrich meanwhile, on the same cores.
 *
 * Targets: one caller 0.6 of the plain loop, batches 0.5, 32 callers with synchronous=full 8 times
 * the plain loop's one-row transactions with full; opening under 50 ms; 20 recent messages under 2
 * microseconds from memory and 15 from disk.
 */
#include <mindcore/mindcore.h>

#include "plain_sqlite.h"

static int64_t next_message; /* messages so far, of both databases alike */

static struct mc_engine *open_engine(const char *path, bool full, bool persistent, bool held)
{
    struct mc_config *config = NULL;
    struct mc_engine *engine = NULL;
    CHECK(mc_config_new(&config, &error) == MC_OK);
    CHECK(mc_config_set(config, "database.path", path, &error) == MC_OK);
    CHECK(mc_config_set(config, "database.synchronous", full ? "full" : "normal", &error) == MC_OK);
    CHECK(mc_config_set(config, "cache.persistent", persistent ? "true" : "false", &error) ==
          MC_OK);
    CHECK(mc_engine_open(config, &engine, &error) == MC_OK);
    mc_config_free(config);
    mc_engine_pause(engine, held);
    return engine;
}

static struct mc_message_input make_input(int64_t n, struct names *names)
{
    make_names(n, names);
    return (struct mc_message_input){
        .user_id = mc_str_of(names->user),
        .thread_id = mc_str_of(names->thread),
        .session_id = MC_STR("session"),
        .role = MC_STR("user"),
        .text = mc_str_of(text),
    };
}

static void ingest_one(struct mc_engine *engine, int64_t n, struct mc_error *err)
{
    struct names names;
    struct mc_message_input input = make_input(n, &names);
    if (mc_message_ingest(engine, &input, NULL, NULL, err)) {
        fprintf(stderr, "%s\n", err->message);
        exit(1);
    }
}

static void ingest_batch(struct mc_engine *engine, int64_t first, int count)
{
    static struct mc_message_input inputs[BATCH];
    static struct mc_ingest_result results[BATCH];
    static struct names names[BATCH];
    for (int i = 0; i < count; i++)
        inputs[i] = make_input(first + i, &names[i]);
    CHECK(mc_message_ingest_batch(engine, inputs, (size_t)count, results, NULL, &error) == MC_OK);
}

static void compare(const char *what, struct mc_engine *engine, struct raw *raw, int size,
                    int per_block, double goal)
{
    double ours[BLOCKS], theirs[BLOCKS];
    for (int block = 0; block < BLOCKS; block++) {
        int64_t start_us = mc_time_monotonic_us();
        for (int i = 0; i < per_block; i += size) {
            if (size == 1)
                ingest_one(engine, next_message + i, &error);
            else
                ingest_batch(engine, next_message + i, size);
        }
        int64_t middle_us = mc_time_monotonic_us();
        for (int i = 0; i < per_block; i += size)
            put_raw(raw, next_message + i, size);
        int64_t end_us = mc_time_monotonic_us();
        ours[block] = per_block * 1e6 / (double)(middle_us - start_us);
        theirs[block] = per_block * 1e6 / (double)(end_us - middle_us);
        next_message += per_block;
    }
    tell(what, median(ours, BLOCKS), median(theirs, BLOCKS), goal);
}

#define PER_CALLER 250
#define RAW_FULL 500

struct caller {
    struct mc_engine *engine;
    int64_t first;
    pthread_t thread;
};

static void *call(void *context)
{
    const struct caller *caller = context;
    struct mc_error err;
    for (int i = 0; i < PER_CALLER; i++)
        ingest_one(caller->engine, caller->first + i, &err);
    return NULL;
}

static void compare_callers(const char *what, struct mc_engine *engine, struct raw *raw,
                            double goal)
{
    double ours[BLOCKS], theirs[BLOCKS];
    for (int block = 0; block < BLOCKS; block++) {
        struct caller callers[CALLERS];
        int64_t start_us = mc_time_monotonic_us();
        for (int i = 0; i < CALLERS; i++, next_message += PER_CALLER) {
            callers[i] = (struct caller){.engine = engine, .first = next_message};
            CHECK(mc_thread_start(&callers[i].thread, "caller", call, &callers[i], &error) ==
                  MC_OK);
        }
        for (int i = 0; i < CALLERS; i++)
            mc_thread_join(callers[i].thread);
        int64_t middle_us = mc_time_monotonic_us();
        for (int i = 0; i < RAW_FULL; i++)
            put_raw(raw, next_message++, 1);
        int64_t end_us = mc_time_monotonic_us();
        ours[block] = CALLERS * PER_CALLER * 1e6 / (double)(middle_us - start_us);
        theirs[block] = RAW_FULL * 1e6 / (double)(end_us - middle_us);
    }
    tell(what, median(ours, BLOCKS), median(theirs, BLOCKS), goal);
}

static void compare_all(const char *ours, const char *theirs, bool full, bool held)
{
    struct mc_sqlite_options options = {.path = ours, .synchronous_full = full};
    struct mc_store *like = NULL; /* for its pragmas */
    CHECK(mc_sqlite_store_open(&options, &like, &error) == MC_OK);
    struct raw raw;
    open_raw(&raw, theirs, like, full);
    like->ops->close(like);
    struct mc_engine *engine = open_engine(ours, full, true, held);
    char what[64];
    const char *workers = held ? "held" : "running";
    if (full) {
        snprintf(what, sizeof(what), "32 callers, full, workers %s", workers);
        compare_callers(what, engine, &raw, 8.0);
    } else {
        snprintf(what, sizeof(what), "one caller, workers %s", workers);
        compare(what, engine, &raw, 1, 2000, 0.6);
        snprintf(what, sizeof(what), "batches of 256, workers %s", workers);
        compare(what, engine, &raw, BATCH, 40 * BATCH, 0.5);
    }
    close_raw(&raw);
    mc_engine_close(engine);
}

static void drain(const char *path)
{
    struct mc_engine *engine = open_engine(path, false, true, true);
    char *before = NULL;
    CHECK(mc_queue_status(engine, 0, &before, &error) == MC_OK);
    long long depth = 0;
    CHECK(sscanf(before, "{\"depth\":%lld", &depth) == 1);
    mc_free(before);
    int64_t start_us = mc_time_monotonic_us();
    mc_engine_pause(engine, false);
    CHECK(mc_engine_drain(engine, -1, &error) == MC_OK);
    double rate = (double)depth * 1e6 / (double)(mc_time_monotonic_us() - start_us);
    printf("%-34s %9.0f messages/s, one worker, none trivial (%lld waited)\n",
           "enriched, indexed, completed", rate, depth);
    fflush(stdout);
    mc_engine_close(engine);
}

static void recent(const char *path, bool persistent, double goal_us)
{
    enum { COUNT = 5000 };
    static double us[COUNT];
    struct mc_engine *engine = open_engine(path, false, persistent, true);
    struct names names;
    make_names(0, &names);
    struct mc_recent_query query = {
        .user_id = mc_str_of(names.user), .thread_id = mc_str_of(names.thread), .limit = 20};
    for (int i = 0; i < COUNT; i++) {
        struct mc_message_list *list = NULL;
        struct timespec from, to;
        clock_gettime(CLOCK_MONOTONIC, &from);
        CHECK(mc_message_recent(engine, &query, &list, &error) == MC_OK);
        clock_gettime(CLOCK_MONOTONIC, &to);
        us[i] = (double)(to.tv_sec - from.tv_sec) * 1e6 + (double)(to.tv_nsec - from.tv_nsec) / 1e3;
        mc_message_list_free(list);
    }
    double p50 = median(us, COUNT);
    printf("%-34s p50 %.1f us, p95 %.1f us   goal %.0f: %s\n",
           persistent ? "20 recent, cache on disk" : "20 recent, cache in memory", p50,
           us[COUNT * 95 / 100], goal_us, judge(p50 < goal_us));
    fflush(stdout);
    mc_engine_close(engine);
}

static void opening(const char *path)
{
    double ms[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        int64_t start_us = mc_time_monotonic_us();
        struct mc_engine *engine = open_engine(path, false, true, true);
        ms[i] = (double)(mc_time_monotonic_us() - start_us) / 1e3;
        mc_engine_close(engine);
    }
    double p50 = median(ms, BLOCKS);
    printf("%-34s %.1f ms   goal 50: %s\n", "opening", p50, judge(p50 < 50));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char dir[300], ours[340], theirs[340];
    rows = argc > 1 ? strtoll(argv[1], NULL, 10) : 100000;
    const char *tmp = argc > 2 ? argv[2] : getenv("TMPDIR");
    snprintf(dir, sizeof(dir), "%.250s/bench-engine-XXXXXX", tmp ? tmp : "/tmp");
    CHECK(rows > 0 && mkdtemp(dir));
    snprintf(ours, sizeof(ours), "%s/engine.db", dir);
    snprintf(theirs, sizeof(theirs), "%s/plain.db", dir);

    struct mc_engine *engine = open_engine(ours, false, true, true);
    for (; next_message < rows; next_message += BATCH)
        ingest_batch(engine, next_message, BATCH);
    mc_engine_close(engine);
    drain(ours);
    copy_file(ours, theirs);
    compare_all(ours, theirs, false, true);
    compare_all(ours, theirs, true, true);
    drain(ours); /* what was held, so that the workers only have what comes */
    compare_all(ours, theirs, false, false);
    compare_all(ours, theirs, true, false);
    drain(ours);
    recent(ours, false, 2);
    recent(ours, true, 15);
    opening(ours);
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return goals_missed > 0;
}
