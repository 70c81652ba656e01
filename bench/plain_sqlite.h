/*
 * What the benchmarks of writes have in common: the plain loop over SQLite that they are held against,
 * and the median of blocks. Everything fails loudly.
 *
 * The plain loop has prepared statements, the store's own schema, indexes and pragmas, and knows the
 * numbers of users and threads beforehand.
 */
#ifndef MC_BENCH_PLAIN_SQLITE_H
#define MC_BENCH_PLAIN_SQLITE_H

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

static struct mc_error error;

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: failed: %s %s\n", __FILE__, __LINE__, #what, error.message);   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static const char text[] =
    "My order ORD-12345 has not arrived yet and the tracking page shows nothing "
    "since Monday, could you please look into it?";
static int64_t rows; /* of the database at the start */

/* ---- Messages ---- */

struct names {
    char id[MC_ID_TEXT_SIZE], user[24], thread[24];
};

/* Of message n of the run; users and threads are met in a scattered order. */
static inline void make_names(int64_t n, struct names *names)
{
    int64_t users = rows / 200 + 1, user = (n * 617) % users;
    mc_id_new("msg_", mc_time_now_us(), names->id);
    snprintf(names->user, sizeof(names->user), "user-%d", (int)user);
    snprintf(names->thread, sizeof(names->thread), "thread-%d", (int)((n / users) % 10));
}

/* ---- The plain loop ---- */

struct raw {
    sqlite3 *db;
    sqlite3_stmt *begin, *commit, *message, *job, *thread, *user;
    int64_t next_row;
};

static inline sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    CHECK(sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL) == SQLITE_OK);
    return stmt;
}

static inline void run_raw(sqlite3_stmt *stmt)
{
    CHECK(sqlite3_step(stmt) == SQLITE_DONE);
    sqlite3_reset(stmt);
}

/* The pragmas of the store's writer, read from it. */
static inline void open_raw(struct raw *raw, const char *path, struct mc_store *like, bool full)
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
        "INSERT INTO messages(id, message_id, user_no, thread_no, created_at, stored_at, role,"
        " visibility, tier, state, trivial, importance, session_id, agent_id, metadata, text)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?5, 0, 0, 0, 0, 0, 0.5, 'session', '', '{}', ?6)");
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

static inline void close_raw(struct raw *raw)
{
    sqlite3_stmt *all[] = {raw->begin, raw->commit, raw->message, raw->job, raw->thread, raw->user};
    for (size_t i = 0; i < mc_countof(all); i++)
        sqlite3_finalize(all[i]);
    CHECK(sqlite3_close(raw->db) == SQLITE_OK);
}

/* The rows of one message; users and threads are numbered as the store met them. */
static inline void insert_raw(struct raw *raw, int64_t n)
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

static inline void put_raw(struct raw *raw, int64_t first, int count)
{
    run_raw(raw->begin);
    for (int i = 0; i < count; i++)
        insert_raw(raw, first + i);
    run_raw(raw->commit);
}

/* ---- Measuring ---- */

static inline int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof(double), ascending);
    return values[count / 2];
}

static int goals_missed; /* the program's exit status says whether there are any */

static inline const char *judge(bool reached)
{
    goals_missed += !reached;
    return reached ? "met" : "NOT MET";
}

static inline void tell(const char *what, double rate, double raw_rate, double goal)
{
    double ratio = rate / raw_rate;
    printf("%-34s %9.0f rows/s   plain loop %9.0f   ratio %5.2f   goal %4.1f: %s\n", what, rate,
           raw_rate, ratio, goal, judge(ratio >= goal));
    fflush(stdout);
}

/* ---- Files and memory ---- */

static inline void copy_file(const char *from, const char *to)
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

static inline int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

static inline long resident_kib(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long size = 0, pages = 0;
    if (!file || fscanf(file, "%ld %ld", &size, &pages) != 2)
        pages = 0;
    if (file)
        fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

#endif
