/* Erasing a user, in steps that let others write in between, and what deleting leaves in the file. */
#include "store/sqlite/sqlite.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "base/time.h"
#include "store/rules.h"

/* Messages of one step: some ten milliseconds. */
#define ERASE_STEP 200

struct erasure {
    mc_str user_id;
    int64_t user_no;
    struct mc_erased step; /* of the present step, added up after its commit */
    bool done;
};

static enum mc_status change_generation(struct mc_conn *conn, struct mc_error *err)
{
    return mc_conn_exec(conn, "UPDATE state SET generation = random()", MC_NO_BINDS, err);
}

/* Runs a deletion of the user's rows and counts them. */
static enum mc_status delete_counted(struct mc_conn *conn, const char *sql, struct mc_bind user,
                                     int64_t *count, struct mc_error *err)
{
    enum mc_status status = mc_conn_exec(conn, sql, MC_BINDS(user), err);
    if (status == MC_OK)
        *count += mc_conn_changes(conn);
    return status;
}

/* When the last message is gone, the rest goes in the same transaction. */
static enum mc_status erase_rest(struct mc_conn *conn, struct erasure *e, struct mc_error *err)
{
    struct mc_bind number = mc_bind_int(e->user_no), name = mc_bind_str(e->user_id);
    int64_t users = 0, runs = 0;
    struct {
        const char *sql;
        struct mc_bind user;
        int64_t *count;
    } deletions[] = {
        {"DELETE FROM summaries WHERE user_no = ?1", number, &e->step.summaries},
        {"DELETE FROM threads WHERE user_no = ?1", number, &e->step.threads},
        {"DELETE FROM vector_users WHERE user_no = ?1", number, &users},
        {"DELETE FROM users WHERE user_no = ?1", number, &users},
        {"DELETE FROM preferences WHERE user_id = ?1", name, &e->step.preferences},
        {"DELETE FROM signals WHERE user_id = ?1", name, &e->step.signals},
        {"DELETE FROM tier_runs WHERE user_id = ?1", name, &runs},
    };
    enum mc_status status = MC_OK;
    for (size_t i = 0; status == MC_OK && i < mc_countof(deletions); i++)
        status = delete_counted(conn, deletions[i].sql, deletions[i].user, deletions[i].count, err);
    return status == MC_OK ? change_generation(conn, err) : status;
}

static enum mc_status next_rows(struct mc_conn *conn, int64_t user_no, int64_t rows[ERASE_STEP],
                                size_t *count, struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status =
        mc_conn_start(conn, "SELECT id FROM messages WHERE user_no = ?1 LIMIT ?2",
                      MC_BINDS(mc_bind_int(user_no), mc_bind_int(ERASE_STEP)), &stmt, err);
    *count = 0;
    while (*count < ERASE_STEP && mc_conn_next(conn, stmt, &status, err)) {
        rows[(*count)++] = mc_column_int(stmt, 0);
    }
    return status;
}

static enum mc_status erase_trash(struct mc_conn *conn, struct erasure *e, int64_t limit,
                                  struct mc_error *err)
{
    enum mc_status status = mc_conn_exec(
        conn, "DELETE FROM trash WHERE id IN (SELECT id FROM trash WHERE user_no = ?1 LIMIT ?2)",
        MC_BINDS(mc_bind_int(e->user_no), mc_bind_int(limit)), err);
    if (status == MC_OK)
        e->step.trash = mc_conn_changes(conn);
    return status;
}

static enum mc_status apply_erase(struct mc_writer *writer, void *context, struct mc_error *err)
{
    struct erasure *e = context;
    struct mc_conn *conn = writer->conn;
    int64_t rows[ERASE_STEP];
    size_t count = 0;
    e->step = (struct mc_erased){0};
    enum mc_status status =
        mc_conn_integer(conn, "SELECT user_no FROM users WHERE user_id = ?1",
                        MC_BINDS(mc_bind_str(e->user_id)), NULL, &e->user_no, err);
    if (status == MC_OK)
        status = mc_sqlite_keep_row(conn, err);
    if (status == MC_OK)
        status = next_rows(conn, e->user_no, rows, &count, err);
    for (size_t i = 0; status == MC_OK && i < count; i++) {
        bool had_job = false;
        status = mc_sqlite_drop(conn, rows[i], false, &had_job, NULL, err);
        e->step.messages++;
        e->step.jobs += had_job;
    }
    if (status == MC_OK && count < ERASE_STEP)
        status = erase_trash(conn, e, ERASE_STEP - (int64_t)count, err);
    e->done = (int64_t)count + e->step.trash < ERASE_STEP;
    if (status == MC_OK && e->done)
        status = erase_rest(conn, e, err);
    return status;
}

/* A hash tells what was said to whoever says it again, and a twin does not tell whose it was. */
static const char twins_left_over[] = "SELECT count(*) FROM (SELECT 1 FROM twins t WHERE NOT EXISTS"
                                      " (SELECT 1 FROM messages m WHERE m.id = t.row) LIMIT 1)";

static const char *const leftovers[] = {
    "SELECT count(*) FROM messages WHERE user_no = ?1",
    "SELECT count(*) FROM trash WHERE user_no = ?1",
    "SELECT count(*) FROM threads WHERE user_no = ?1",
    "SELECT count(*) FROM summaries WHERE user_no = ?1",
    "SELECT count(*) FROM users WHERE user_no = ?1",
    "SELECT count(*) FROM vectors WHERE user_no = ?1",
    "SELECT count(*) FROM vector_users WHERE user_no = ?1",
    "SELECT count(*) FROM preferences WHERE user_id = ?2",
    "SELECT count(*) FROM signals WHERE user_id = ?2",
    "SELECT count(*) FROM tier_runs WHERE user_id = ?2",
    twins_left_over,
};

/*
 * Looks for anything that is left under the user's number or name, the index included. A job went
 * with its message, in one transaction. What the user is given anew meanwhile has a new number.
 */
static enum mc_status verify(struct mc_sqlite *s, mc_str user_id, int64_t user_no, bool *clean,
                             struct mc_error *err)
{
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_snapshot_end) struct mc_snapshot snapshot = {0};
    enum mc_status status = mc_reading_begin(&reading, &s->readers, err);
    if (status == MC_OK)
        status = mc_snapshot_begin(&snapshot, reading.conn, err);
    int64_t left = 0;
    for (size_t i = 0; status == MC_OK && left == 0 && i < mc_countof(leftovers); i++)
        status =
            mc_conn_integer(reading.conn, leftovers[i],
                            MC_BINDS(mc_bind_int(user_no), mc_bind_str(user_id)), NULL, &left, err);
    if (status != MC_OK)
        return status;
    struct mc_buf *prefix = &reading.conn->scratch;
    mc_buf_reset(prefix);
    mc_buf_char(prefix, '"');
    mc_fts_token(prefix, user_no, MC_STR(""));
    mc_buf_text(prefix, "\" *");
    if (left == 0)
        status = mc_conn_integer(
            reading.conn,
            "SELECT count(*) FROM (SELECT 1 FROM messages_fts WHERE messages_fts MATCH ?1 LIMIT 1)",
            MC_BINDS(mc_bind_str(mc_buf_str(prefix))), NULL, &left, err);
    *clean = left == 0;
    return status;
}

/* ---- What is left in the file ---- */

/*
 * The index keeps deleted words until its segments are merged. Merging all of it takes about 4 s for
 * a million messages, in steps of up to 0.2 s between which others write.
 */
#define MERGE_PAGES 500
#define MERGE_MAX_US (30 * MC_US_PER_SECOND)
/* A reader of another process may be in the way of the log for so long. */
#define CHECKPOINT_TRIES 40
#define CHECKPOINT_WAIT_US 50000

struct merge {
    int pages; /* of a step; below 0: begin, with all segments */
    bool more;
};

static enum mc_status apply_merge(struct mc_writer *writer, void *context, struct mc_error *err)
{
    struct merge *merge = context;
    int64_t changes = sqlite3_total_changes64(writer->conn->db);
    enum mc_status status = mc_conn_exec(
        writer->conn, "INSERT INTO messages_fts(messages_fts, rank) VALUES('merge', ?1)",
        MC_BINDS(mc_bind_int(merge->pages)), err);
    /* SQLite's way to tell that there was nothing to do. */
    merge->more = sqlite3_total_changes64(writer->conn->db) - changes >= 2;
    return status;
}

enum mc_status mc_sqlite_merge_index(struct mc_sqlite *s, int pages, bool *more,
                                     struct mc_error *err)
{
    struct merge merge = {.pages = pages, .more = true};
    enum mc_status status =
        mc_sqlite_write(s, MC_WRITE_OTHER, (size_t)abs(pages), apply_merge, &merge, err);
    *more = merge.more;
    return status;
}

static enum mc_status merge_index(struct mc_sqlite *s, bool *whole, struct mc_error *err)
{
    int64_t until_us = mc_time_monotonic_us() + MERGE_MAX_US;
    bool more = true;
    enum mc_status status = mc_sqlite_merge_index(s, -MERGE_PAGES, &more, err);
    while (status == MC_OK && more && mc_time_monotonic_us() < until_us)
        status = mc_sqlite_merge_index(s, MERGE_PAGES, &more, err);
    *whole = status == MC_OK && !more;
    return status;
}

/* Brings the deletions from the log into the file, where they overwrite, and empties the log. */
static enum mc_status apply_checkpoint(struct mc_writer *writer, void *context,
                                       struct mc_error *err)
{
    (void)err;
    bool *done = context;
    int64_t timeout = writer->conn->busy_timeout_us;
    writer->conn->busy_timeout_us = 0;
    *done = sqlite3_wal_checkpoint_v2(writer->conn->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL,
                                      NULL) == SQLITE_OK;
    writer->conn->busy_timeout_us = timeout;
    return MC_OK;
}

#define RELIEVE_ROWS 200 /* about a thousand pages of the log */

void mc_sqlite_relieve_log(struct mc_sqlite *s, size_t rows)
{
    struct mc_error ignored; /* the writer does it later */
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    if (atomic_fetch_add(&s->rewritten, rows) + rows < RELIEVE_ROWS)
        return;
    atomic_store(&s->rewritten, 0);
    if (mc_reading_begin(&reading, &s->readers, &ignored) == MC_OK)
        sqlite3_wal_checkpoint_v2(reading.conn->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

bool mc_sqlite_wipe(struct mc_store *store)
{
    struct mc_sqlite *s = mc_sqlite_of(store);
    struct mc_error err;
    bool whole, emptied = false;
    enum mc_status status = merge_index(s, &whole, &err);
    for (int i = 0; status == MC_OK && !emptied && i < CHECKPOINT_TRIES; i++) {
        if (i > 0)
            usleep(CHECKPOINT_WAIT_US);
        struct mc_write checkpoint = {
            .apply = apply_checkpoint, .context = &emptied, .class = MC_WRITE_OTHER, .alone = true};
        status = mc_writer_run(&s->writer, &checkpoint, &err);
    }
    if (status != MC_OK)
        mc_log(MC_LOG_WARNING, "store", "erased words may be left in the file: %s", err.message);
    return status == MC_OK && whole && emptied;
}

enum mc_status mc_sqlite_erase(struct mc_store *store, mc_str user_id, struct mc_erased *erased,
                               struct mc_error *err)
{
    struct mc_sqlite *s = mc_sqlite_of(store);
    struct erasure e = {.user_id = user_id};
    struct mc_erased total = {0};
    int64_t user_no = 0;
    while (!e.done) {
        enum mc_status status =
            mc_sqlite_write(s, MC_WRITE_OTHER, ERASE_STEP, apply_erase, &e, err);
        if (status != MC_OK)
            return status;
        if (e.user_no)
            user_no = e.user_no;
        mc_rules_add_erased(&total, &e.step);
    }
    enum mc_status status = verify(s, user_id, user_no, &total.verified, err);
    if (status == MC_OK)
        *erased = total;
    return status;
}

/* ---- The generation ---- */

static enum mc_status apply_generation(struct mc_writer *writer, void *context,
                                       struct mc_error *err)
{
    (void)context;
    return change_generation(writer->conn, err);
}

enum mc_status mc_sqlite_change_generation(struct mc_store *store, struct mc_error *err)
{
    return mc_sqlite_write(mc_sqlite_of(store), MC_WRITE_OTHER, 1, apply_generation, NULL, err);
}

enum mc_status mc_sqlite_generation(struct mc_store *store, int64_t *generation,
                                    struct mc_error *err)
{
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    enum mc_status status = mc_reading_begin(&reading, &mc_sqlite_of(store)->readers, err);
    if (status == MC_OK)
        status = mc_conn_integer(reading.conn, "SELECT generation FROM state", MC_NO_BINDS, NULL,
                                 generation, err);
    return status;
}
