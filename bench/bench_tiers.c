/*
 * What does tier migration cost those who store messages meanwhile, and what does the archive save?
 *
 *     bench_tiers [N] [--delete] [--undo] [FOLDER]
 *
 * N messages (200,000, or --messages N; of a support desk's conversations, of 100 users, enriched) are two years old. A
 * caller stores new ones at a steady rate, first and last while nothing else happens, in between while one migration moves
 * all the old ones to the archive and compresses them. Its waits are compared: the 99th percentile may double. Bytes are
 * those of the pages of the file that are in use; the archive must be a third of the rows at most.
 *
 * --delete: the migration deletes them instead, into the trash, since it can be undone. --undo: then it is undone, with
 * the caller at work as well.
 */
#include <mindcore/mindcore.h>

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/str.h"
#include "base/time.h"
#include "made_up.h"
#include "messages.h"

#define USERS 100
#define BATCH 500
#define DAY_US (INT64_C(86400) * 1000000)
#define INTERVAL_US 4000           /* between two messages of the caller */
#define QUIET_US INT64_C(15000000) /* twice: before the work and after it */
#define WAITS_MAX 1000000

static struct mc_error error;

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #what, error.message);          \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

struct plan {
    int64_t count;
    bool deletes, undoes;
    const char *folder;
};

static struct mc_engine *open_engine(const char *path, const struct plan *plan)
{
    const char *const options[][2] = {
        {"retention.schedule", "off"},
        {"retention.summarize_after_messages", "1000000"}, /* measured by bench_llm and by itself */
        {"retention.summarize_after_days", "36500"},
        {"retention.delete_trivial_after_days", "0"},
        {"retention.delete_archived_after_days", plan->deletes ? "730" : "0"},
        {"cache.persistent", "false"},
    };
    struct mc_config *config = NULL;
    struct mc_engine *engine = NULL;
    CHECK(mc_config_new(&config, &error) == MC_OK);
    CHECK(mc_config_set(config, "database.path", path, &error) == MC_OK);
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        CHECK(mc_config_set(config, options[i][0], options[i][1], &error) == MC_OK);
    CHECK(mc_engine_open(config, &engine, &error) == MC_OK);
    mc_config_free(config);
    return engine;
}

/* ---- Messages ---- */

struct made {
    char user[32], thread[32], text[512];
};

static struct mc_message_input make(int64_t n, struct made *made)
{
    int64_t user = n / 10 % USERS;
    snprintf(made->user, sizeof(made->user), "user-%" PRId64, user);
    snprintf(made->thread, sizeof(made->thread), "thread-%" PRId64, n / 10 / USERS);
    size_t len =
        (size_t)snprintf(made->text, sizeof(made->text), "%s ", messages[any(MESSAGE_COUNT)]);
    if (any(3) > 0)
        sentence(made->text + len, sizeof(made->text) - len, (unsigned)(5 + any(20)));
    return (struct mc_message_input){.user_id = mc_str_of(made->user),
                                     .thread_id = mc_str_of(made->thread),
                                     .session_id = MC_STR("session-0001"),
                                     .role = n % 2 ? MC_STR("assistant") : MC_STR("user"),
                                     .text = mc_str_of(made->text)};
}

static void wait_for_queue(struct mc_engine *engine)
{
    for (int64_t waiting = 1; waiting > 0; usleep(20000)) {
        char *json = NULL;
        struct mc_json *root = NULL;
        CHECK(mc_queue_status(engine, 0, &json, &error) == MC_OK);
        CHECK(mc_json_parse(mc_str_of(json), &root, &error) == MC_OK);
        waiting = mc_json_integer(mc_json_get(root, "depth"));
        mc_json_free(root);
        mc_free(json);
    }
}

static void fill(struct mc_engine *engine, int64_t count)
{
    static struct mc_message_input inputs[BATCH];
    static struct mc_ingest_result results[BATCH];
    static struct made made[BATCH];
    int64_t start_us = mc_time_now_us() - 800 * DAY_US;
    for (int64_t first = 0; first < count; first += BATCH) {
        size_t n = count - first < BATCH ? (size_t)(count - first) : BATCH;
        for (size_t i = 0; i < n; i++) {
            inputs[i] = make(first + (int64_t)i, &made[i]);
            inputs[i].created_at_us = start_us + (first + (int64_t)i) * 1000;
        }
        CHECK(mc_message_ingest_batch(engine, inputs, n, results, NULL, &error) == MC_OK);
    }
    wait_for_queue(engine);
}

/* ---- Bytes ---- */

static int64_t pragma(sqlite3 *db, const char *name)
{
    char sql[64];
    sqlite3_stmt *stmt = NULL;
    snprintf(sql, sizeof(sql), "PRAGMA %s", name);
    CHECK(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
          sqlite3_step(stmt) == SQLITE_ROW);
    int64_t value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return value;
}

static int64_t used_bytes(const char *path)
{
    sqlite3 *db = NULL;
    CHECK(sqlite3_open(path, &db) == SQLITE_OK);
    int64_t bytes =
        (pragma(db, "page_count") - pragma(db, "freelist_count")) * pragma(db, "page_size");
    sqlite3_close(db);
    return bytes;
}

/* As if what is there had been stored when it was said: deletion counts from both. */
static void make_old(const char *path)
{
    sqlite3 *db = NULL;
    CHECK(sqlite3_open(path, &db) == SQLITE_OK);
    sqlite3_busy_timeout(db, 60000);
    CHECK(sqlite3_exec(db, "UPDATE messages SET stored_at = created_at", NULL, NULL, NULL) ==
          SQLITE_OK);
    sqlite3_close(db);
}

/* ---- The caller ---- */

struct caller {
    struct mc_engine *engine;
    atomic_bool ends;
    int64_t *waits;
    size_t count;
};

static void *call(void *context)
{
    struct caller *caller = context;
    struct mc_error err;
    int64_t next_us = mc_time_monotonic_us();
    while (!atomic_load(&caller->ends) && caller->count < WAITS_MAX) {
        struct made made;
        struct mc_message_input input = make((int64_t)caller->count, &made);
        int64_t early_us = next_us - mc_time_monotonic_us();
        if (early_us > 0)
            usleep((useconds_t)early_us);
        int64_t began_us = mc_time_monotonic_us();
        if (mc_message_ingest(caller->engine, &input, NULL, NULL, &err)) {
            fprintf(stderr, "%s\n", err.message);
            exit(1);
        }
        caller->waits[caller->count++] = mc_time_monotonic_us() - began_us;
        next_us = began_us + INTERVAL_US;
    }
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t quantile(const struct caller *caller, double q)
{
    return caller->waits[(size_t)((double)(caller->count - 1) * q)];
}

/* Goes on counting where it was stopped. */
static void caller_start(struct caller *caller, struct mc_engine *engine, pthread_t *thread)
{
    caller->engine = engine;
    atomic_store(&caller->ends, false);
    if (!caller->waits)
        caller->waits = malloc(WAITS_MAX * sizeof(int64_t));
    CHECK(caller->waits);
    CHECK(pthread_create(thread, NULL, call, caller) == 0);
}

static void caller_stop(struct caller *caller, pthread_t thread)
{
    atomic_store(&caller->ends, true);
    pthread_join(thread, NULL);
}

static void caller_show(struct caller *caller, const char *when)
{
    qsort(caller->waits, caller->count, sizeof(*caller->waits), by_value);
    printf("ingest %s: %zu messages, p50 %" PRId64 " us, p99 %" PRId64 " us, longest %" PRId64
           " us\n",
           when, caller->count, quantile(caller, 0.5), quantile(caller, 0.99), quantile(caller, 1));
}

/* ---- All of it ---- */

/* The 99th percentile of the waits during the work, against that without. */
static bool judge(const struct caller *quiet, const struct caller *busy, const char *what)
{
    double ratio = (double)quantile(busy, 0.99) / (double)quantile(quiet, 0.99);
    printf("ingest p99 during %s: %.2f times that without (goal 2): %s\n", what, ratio,
           ratio <= 2 ? "met" : "MISSED");
    return ratio <= 2;
}

static bool judge_bytes(double rows_bytes, double archive_bytes, int64_t count)
{
    double ratio = rows_bytes / archive_bytes;
    printf("archive on disk: %.0f bytes a message as rows, %.0f compressed: %.2f times smaller"
           " (goal 3): %s\n",
           rows_bytes / (double)count, archive_bytes / (double)count, ratio,
           ratio >= 3 ? "met" : "MISSED");
    return ratio >= 3;
}

typedef enum mc_status (*work_fn)(struct mc_engine *engine, char **json);

static enum mc_status migrate(struct mc_engine *engine, char **json)
{
    return mc_tiers_migrate(engine, MC_STR_NONE, false, NULL, NULL, json, &error);
}

static enum mc_status undo(struct mc_engine *engine, char **json)
{
    return mc_tiers_undo(engine, 0, false, NULL, NULL, json, &error);
}

/* The work, with the caller at work too. */
static void time_work(struct mc_engine *engine, work_fn work, const char *what, int64_t count,
                      struct caller *busy)
{
    char *json = NULL, when[64];
    pthread_t thread;
    int64_t start_us = mc_time_monotonic_us();
    *busy = (struct caller){0};
    caller_start(busy, engine, &thread);
    CHECK(work(engine, &json) == MC_OK);
    double seconds = (double)(mc_time_monotonic_us() - start_us) / 1e6;
    snprintf(when, sizeof(when), "during %s", what);
    caller_stop(busy, thread);
    caller_show(busy, when);
    wait_for_queue(engine);
    printf("%s: %.1f s, %.0f messages a second\n%s\n", what, seconds, (double)count / seconds,
           json);
    mc_free(json);
}

static void time_quiet(struct mc_engine *engine, struct caller *quiet)
{
    pthread_t thread;
    caller_start(quiet, engine, &thread);
    usleep(QUIET_US);
    caller_stop(quiet, thread);
    wait_for_queue(engine);
}

static bool measure(const char *path, const struct plan *plan)
{
    struct mc_engine *engine = open_engine(path, plan);
    struct caller quiet = {0}, moving, back = {0};
    int64_t start_us = mc_time_monotonic_us(), count = plan->count;
    fill(engine, count);
    if (plan->deletes)
        make_old(path);
    printf("%" PRId64 " messages stored and enriched in %.0f s\n", count,
           (double)(mc_time_monotonic_us() - start_us) / 1e6);
    int64_t rows_bytes = used_bytes(path);
    time_quiet(engine, &quiet);
    int64_t before = used_bytes(path);
    time_work(engine, migrate, "migration", count, &moving);
    int64_t after = used_bytes(path);
    printf("bytes in use in the file: %" PRId64 " before the migration, %" PRId64 " after it\n",
           before, after);
    if (plan->undoes)
        time_work(engine, undo, "undo", count, &back);
    time_quiet(engine, &quiet);
    caller_show(&quiet, "alone, before and after");
    bool reached = judge(&quiet, &moving, "migration");
    if (plan->undoes)
        reached = judge(&quiet, &back, "undo") && reached;
    /* What the caller stored meanwhile takes what messages took before. */
    double stored = (double)moving.count * (double)rows_bytes / (double)count;
    if (!plan->deletes)
        reached = judge_bytes((double)rows_bytes,
                              (double)rows_bytes - (double)(before - after) - stored, count) &&
                  reached;
    free(quiet.waits);
    free(moving.waits);
    free(back.waits);
    mc_engine_close(engine);
    return reached;
}

int main(int argc, char **argv)
{
    struct plan plan = {.count = 200000, .folder = "/tmp"};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--messages") == 0 && i + 1 < argc)
            plan.count = strtoll(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--delete") == 0)
            plan.deletes = true;
        else if (strcmp(argv[i], "--undo") == 0)
            plan.undoes = true;
        else if (strspn(argv[i], "0123456789") == strlen(argv[i]))
            plan.count = strtoll(argv[i], NULL, 10);
        else
            plan.folder = argv[i];
    }
    if (plan.count < 1000) {
        fprintf(stderr, "bench_tiers [N] [--delete] [--undo] [FOLDER]: N of 1000 at least\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    char path[512], name[600];
    snprintf(path, sizeof(path), "%s/bench_tiers.%d.db", plan.folder, (int)getpid());
    bool reached = measure(path, &plan);
    static const char *const ends[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        snprintf(name, sizeof(name), "%s%s", path, ends[i]);
        unlink(name);
    }
    return reached ? 0 : 1;
}
