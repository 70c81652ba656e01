/*
 * What do writes and queries of the store on SQLite cost, against a plain loop over SQLite?
 *
 *     bench_store [ROWS [FOLDER]]
 *
 * A database of ROWS messages (100,000) is made by the store and copied. On the copy a plain loop
 * writes the same rows: prepared statements, the same schema, indexes and pragmas, numbers of users
 * and threads known beforehand. Blocks of both alternate, so that a noisy machine hits both; each
 * figure is the median of the blocks. Texts are of 120 bytes, users have 200 messages, threads 20.
 */
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/id.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"
#include "store/sqlite/sqlite_store.h"

#define BLOCKS 9
#define CALLERS 32
#define BATCH 256

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: failed: %s %s\n", __FILE__, __LINE__, #what, error.message);   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static struct mc_error error;
static const char text[] =
    "My order ORD-12345 has not arrived yet and the tracking page shows nothing "
    "since Monday, could you please look into it?";
static int64_t rows;

/* ---- Messages ---- */

struct names {
    char id[MC_ID_TEXT_SIZE], user[24], thread[24];
};

/* Message n of the run; users and threads are met in a scattered order. */
static void make_put(int64_t n, struct names *names, struct mc_put *put)
{
    int64_t users = rows / 200 + 1, user = (n * 617) % users;
    mc_id_new("msg_", mc_time_now_us(), names->id);
    snprintf(names->user, sizeof(names->user), "user-%d", (int)user);
    snprintf(names->thread, sizeof(names->thread), "thread-%d", (int)((n / users) % 10));
    *put = (struct mc_put){.message = {
                               .message_id = mc_str_of(names->id),
                               .user_id = mc_str_of(names->user),
                               .thread_id = mc_str_of(names->thread),
                               .session_id = MC_STR("session"),
                               .text = mc_str_of(text),
                               .metadata = MC_STR("{}"),
                               .created_at_us = mc_time_now_us(),
                               .importance = 0.5,
                           }};
}

static void put_batch(struct mc_store *store, int64_t first, int count)
{
    static struct mc_put items[BATCH];
    static struct names names[BATCH];
    for (int i = 0; i < count; i++)
        make_put(first + i, &names[i], &items[i]);
    CHECK(store->ops->put(store, items, (size_t)count, &error) == MC_OK);
    for (int i = 0; i < count; i++)
        mc_record_unref(items[i].record);
}

static struct mc_store *open_store(const char *path, bool full)
{
    struct mc_sqlite_options options = {.path = path, .synchronous_full = full};
    struct mc_store *store = NULL;
    CHECK(mc_sqlite_store_open(&options, &store, &error) == MC_OK);
    return store;
}

/* ---- The plain loop ---- */

struct raw {
    sqlite3 *db;
    sqlite3_stmt *begin, *commit, *message, *job, *thread, *user;
    int64_t next_row;
};

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    CHECK(sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL) == SQLITE_OK);
    return stmt;
}

static void run_raw(sqlite3_stmt *stmt)
{
    CHECK(sqlite3_step(stmt) == SQLITE_DONE);
    sqlite3_reset(stmt);
}

/* The pragmas of the store's writer, read from it. */
static void open_raw(struct raw *raw, const char *path, struct mc_store *like, bool full)
{
    static const char *const pragmas[] = {"cache_size", "temp_store", "wal_autocheckpoint",
                                          "journal_size_limit", "secure_delete"};
    CHECK(sqlite3_open_v2(path, &raw->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) ==
          SQLITE_OK);
    for (size_t i = 0; i < mc_countof(pragmas); i++) {
        char value[64], sql[160];
        CHECK(mc_sqlite_store_pragma(like, pragmas[i], false, value, sizeof(value), &error) ==
              MC_OK);
        snprintf(sql, sizeof(sql), "PRAGMA %s = %s", pragmas[i], value);
        CHECK(sqlite3_exec(raw->db, sql, NULL, NULL, NULL) == SQLITE_OK);
    }
    CHECK(sqlite3_exec(raw->db, full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL",
                       NULL, NULL, NULL) == SQLITE_OK);
    raw->begin = prepare(raw->db, "BEGIN IMMEDIATE");
    raw->commit = prepare(raw->db, "COMMIT");
    raw->message = prepare(
        raw->db,
        "INSERT INTO messages(id, message_id, user_no, thread_no, created_at, role, visibility,"
        " tier, state, trivial, importance, session_id, agent_id, metadata, text)"
        " VALUES(?1, ?2, ?3, ?4, ?5, 0, 0, 0, 0, 0, 0.5, 'session', '', '{}', ?6)");
    raw->job = prepare(raw->db, "INSERT INTO jobs(id, stage, due_at, enqueued_at, attempts)"
                                " VALUES(?1, 1, ?2, ?2, 0)");
    raw->thread =
        prepare(raw->db, "UPDATE threads SET version = version + 1, messages = messages + 1,"
                         " last_at = max(last_at, ?2) WHERE thread_no = ?1");
    raw->user = prepare(raw->db, "UPDATE users SET messages = messages + 1 WHERE user_no = ?1");
    sqlite3_stmt *max = prepare(raw->db, "SELECT max(id) + 1 FROM messages");
    CHECK(sqlite3_step(max) == SQLITE_ROW);
    raw->next_row = sqlite3_column_int64(max, 0);
    sqlite3_finalize(max);
}

static void close_raw(struct raw *raw)
{
    sqlite3_stmt *all[] = {raw->begin, raw->commit, raw->message, raw->job, raw->thread, raw->user};
    for (size_t i = 0; i < mc_countof(all); i++)
        sqlite3_finalize(all[i]);
    CHECK(sqlite3_close(raw->db) == SQLITE_OK);
}

/* The rows of one message; users and threads are numbered as the store met them. */
static void insert_raw(struct raw *raw, int64_t n)
{
    int64_t users = rows / 200 + 1, user_no = n % users + 1;
    int64_t thread_no = (n / users) % 10 * users + user_no, now = mc_time_now_us();
    char id[MC_ID_TEXT_SIZE];
    mc_id_new("msg_", now, id);
    int64_t row = raw->next_row++;
    sqlite3_bind_int64(raw->message, 1, row);
    sqlite3_bind_text(raw->message, 2, id, -1, SQLITE_STATIC);
    sqlite3_bind_int64(raw->message, 3, user_no);
    sqlite3_bind_int64(raw->message, 4, thread_no);
    sqlite3_bind_int64(raw->message, 5, now);
    sqlite3_bind_text(raw->message, 6, text, -1, SQLITE_STATIC);
    run_raw(raw->message);
    sqlite3_bind_int64(raw->job, 1, row);
    sqlite3_bind_int64(raw->job, 2, now);
    run_raw(raw->job);
    sqlite3_bind_int64(raw->thread, 1, thread_no);
    sqlite3_bind_int64(raw->thread, 2, now);
    run_raw(raw->thread);
    sqlite3_bind_int64(raw->user, 1, user_no);
    run_raw(raw->user);
}

static void put_raw(struct raw *raw, int64_t first, int count)
{
    run_raw(raw->begin);
    for (int i = 0; i < count; i++)
        insert_raw(raw, first + i);
    run_raw(raw->commit);
}

/* ---- Measuring ---- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof(double), ascending);
    return values[count / 2];
}

static void tell(const char *what, double rate, double raw_rate, double goal)
{
    double ratio = rate / raw_rate;
    printf("%-34s %9.0f rows/s   plain loop %9.0f   ratio %5.2f   goal %4.1f: %s\n", what, rate,
           raw_rate, ratio, goal, ratio >= goal ? "met" : "NOT MET");
    fflush(stdout);
}

static int64_t next_message; /* messages so far, of both databases alike */

/* Rows a second of blocks of puts of `size`, of the store and the plain loop in turn. */
static void compare_puts(const char *what, struct mc_store *store, struct raw *raw, int size,
                         int per_block, double goal)
{
    double ours[BLOCKS], theirs[BLOCKS];
    for (int block = 0; block < BLOCKS; block++) {
        int64_t start_us = mc_time_monotonic_us();
        for (int i = 0; i < per_block; i += size)
            put_batch(store, next_message + i, size);
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

struct caller {
    struct mc_store *store;
    int64_t first;
    int count;
    pthread_t thread;
};

static void *call(void *context)
{
    const struct caller *c = context;
    for (int i = 0; i < c->count; i++) {
        struct names names;
        struct mc_put put;
        struct mc_error err;
        make_put(c->first + i, &names, &put);
        if (c->store->ops->put(c->store, &put, 1, &err) != MC_OK) {
            fprintf(stderr, "%s\n", err.message);
            exit(1);
        }
        mc_record_unref(put.record);
    }
    return NULL;
}

static void compare_callers(struct mc_store *store, struct raw *raw, double goal)
{
    double ours[BLOCKS], theirs[BLOCKS];
    for (int block = 0; block < BLOCKS; block++) {
        struct caller callers[CALLERS];
        int64_t start_us = mc_time_monotonic_us();
        for (int i = 0; i < CALLERS; i++) {
            callers[i] = (struct caller){store, next_message, 250, 0};
            next_message += 250;
            CHECK(mc_thread_start(&callers[i].thread, "caller", call, &callers[i], &error) ==
                  MC_OK);
        }
        for (int i = 0; i < CALLERS; i++)
            mc_thread_join(callers[i].thread);
        int64_t middle_us = mc_time_monotonic_us();
        for (int i = 0; i < 500; i++)
            put_raw(raw, next_message++, 1);
        int64_t end_us = mc_time_monotonic_us();
        ours[block] = CALLERS * 250 * 1e6 / (double)(middle_us - start_us);
        theirs[block] = 500 * 1e6 / (double)(end_us - middle_us);
    }
    tell("32 callers, full", median(ours, BLOCKS), median(theirs, BLOCKS), goal);
}

/* Claims and completes all that waits; jobs a second. */
static double drain(struct mc_store *store, const char *terms)
{
    int64_t done_count = 0, start_us = mc_time_monotonic_us();
    for (;;) {
        struct mc_jobs jobs = {0};
        struct mc_completion done[BATCH];
        int64_t now = mc_time_now_us() + MC_US_PER_SECOND;
        CHECK(store->ops->claim(store, MC_STR("worker"), MC_STAGE_FIRST, now, 60 * MC_US_PER_SECOND,
                                BATCH, &jobs, &error) == MC_OK);
        if (jobs.count == 0)
            break;
        for (size_t i = 0; i < jobs.count; i++)
            done[i] = (struct mc_completion){
                .row = jobs.items[i].record->row,
                .metadata = MC_STR("{\"topics\":[\"thanks\"],\"method\":\"trivial\"}"),
                .terms = mc_str_of(terms),
                .importance = 0.1,
                .state = MC_ENRICHMENT_ENRICHED,
            };
        CHECK(store->ops->complete(store, MC_STR("worker"), done, jobs.count, &error) == MC_OK);
        done_count += (int64_t)jobs.count;
        mc_jobs_fini(&jobs);
    }
    return (double)done_count * 1e6 / (double)(mc_time_monotonic_us() - start_us);
}

static const struct mc_reader everything = {.everything = true};
static const char message_terms[] =
    "order ord12345 ord 12345 arriv yet track page show noth sinc mondai look t:orders t:tracking "
    "c:orders i:ask_question";

static void queries(struct mc_store *store)
{
    static const mc_str terms[] = {{"order", 5},  {"track", 5}, {"arriv", 5},   {"refund", 6},
                                   {"mondai", 6}, {"page", 4},  {"nothing", 7}, {"ord12345", 8}};
    enum { COUNT = 2000 };
    static double match_us[COUNT], recent_us[COUNT];
    for (int i = 0; i < COUNT; i++) {
        struct names names;
        struct mc_put put;
        make_put((int64_t)i * 7919, &names, &put);
        struct mc_match_query query = {.user_id = mc_str_of(names.user),
                                       .reader = &everything,
                                       .terms = terms,
                                       .term_count = 8,
                                       .limit = 200};
        struct mc_match_result result;
        int64_t start_us = mc_time_monotonic_us();
        CHECK(store->ops->match(store, &query, &result, &error) == MC_OK);
        match_us[i] = (double)(mc_time_monotonic_us() - start_us);
        mc_match_result_fini(&result);
        struct mc_recent_read read = {
            mc_str_of(names.user), mc_str_of(names.thread), {0}, 20, &everything};
        struct mc_records found = {0};
        start_us = mc_time_monotonic_us();
        CHECK(store->ops->recent(store, &read, &found, &error) == MC_OK);
        recent_us[i] = (double)(mc_time_monotonic_us() - start_us);
        mc_records_fini(&found);
    }
    printf("match, 8 terms: p50 %.0f us, ", median(match_us, COUNT));
    printf("p95 %.0f us; ", match_us[COUNT * 95 / 100]);
    printf("recent 20: p50 %.0f us, ", median(recent_us, COUNT));
    printf("p95 %.0f us\n", recent_us[COUNT * 95 / 100]);
}

/* ---- The run ---- */

static void copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    CHECK(in && out);
    static char block[1 << 20];
    size_t len;
    while ((len = fread(block, 1, sizeof(block), in)) > 0)
        CHECK(fwrite(block, 1, len, out) == len);
    fclose(in);
    CHECK(fclose(out) == 0);
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

static long resident_kib(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long size = 0, pages = 0;
    if (!file || fscanf(file, "%ld %ld", &size, &pages) != 2)
        pages = 0;
    if (file)
        fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void compare(const char *ours, const char *theirs, bool full)
{
    struct mc_store *store = open_store(ours, full);
    struct raw raw;
    open_raw(&raw, theirs, store, full);
    if (full) {
        compare_callers(store, &raw, 8.0);
    } else {
        compare_puts("one caller, one row, normal", store, &raw, 1, 2000, 0.6);
        compare_puts("batches of 256, normal", store, &raw, BATCH, 40 * BATCH, 0.5);
    }
    close_raw(&raw);
    store->ops->close(store);
}

int main(int argc, char **argv)
{
    char dir[300], ours[340], theirs[340];
    rows = argc > 1 ? strtoll(argv[1], NULL, 10) : 100000;
    const char *tmp = argc > 2 ? argv[2] : getenv("TMPDIR");
    snprintf(dir, sizeof(dir), "%.250s/bench-store-XXXXXX", tmp ? tmp : "/tmp");
    CHECK(rows > 0 && mkdtemp(dir));
    snprintf(ours, sizeof(ours), "%s/store.db", dir);
    snprintf(theirs, sizeof(theirs), "%s/plain.db", dir);

    struct mc_store *store = open_store(ours, false);
    int64_t start_us = mc_time_monotonic_us();
    for (; next_message < rows; next_message += BATCH)
        put_batch(store, next_message, BATCH);
    double loaded = (double)next_message * 1e6 / (double)(mc_time_monotonic_us() - start_us);
    double drained = drain(store, message_terms);
    printf("%lld messages: stored %.0f/s, claimed, completed and indexed %.0f/s\n",
           (long long)next_message, loaded, drained);
    queries(store);
    printf("resident memory %ld MB\n", resident_kib() / 1024);
    store->ops->close(store);
    copy_file(ours, theirs);
    compare(ours, theirs, false);
    compare(ours, theirs, true);
    store = open_store(ours, false);
    double trivial = drain(store, "t:thanks c:general");
    printf("%-34s %9.0f jobs/s   goal 10000: %s\n", "claim and complete, trivial", trivial,
           trivial >= 10000 ? "met" : "NOT MET");
    store->ops->close(store);
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}
