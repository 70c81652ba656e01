/* Removing: one message, or all of a user in steps that let others write in between. */
#include "store/sqlite/sqlite.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "base/time.h"

/* Messages of one step: some ten milliseconds. */
#define ERASE_STEP 200

enum mc_status mc_sqlite_keep_row(struct mc_conn *conn, struct mc_error *err)
{
    return mc_conn_exec(conn,
                        "UPDATE state SET last_row = (SELECT max(id) FROM messages)"
                        " WHERE last_row < (SELECT max(id) FROM messages)",
                        MC_NO_BINDS, err);
}

/* What must be known of a message to take it out. */
struct dropping {
    int64_t row, user_no, thread_no, created_at;
};

static enum mc_status drop_entries(struct mc_conn *conn, int64_t row, struct dropping *d,
                                   struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    bool found = false;
    enum mc_status status = mc_conn_start(
        conn, "SELECT user_no, thread_no, created_at, terms FROM messages WHERE id = ?1",
        MC_BINDS(mc_bind_int(row)), &stmt, err);
    if (status == MC_OK)
        status = mc_conn_step(conn, stmt, &found, err);
    if (status != MC_OK)
        return status;
    if (!found)
        return mc_fail(err, MC_NOT_FOUND, "there is no message in row %" PRId64, row);
    *d = (struct dropping){row, mc_column_int(stmt, 0), mc_column_int(stmt, 1),
                           mc_column_int(stmt, 2)};
    mc_str terms = mc_column_str(stmt, 3);
    if (!mc_str_given(terms))
        return MC_OK;
    return mc_fts_change(conn, false, row, d->user_no, d->thread_no, terms, err);
}

static enum mc_status drop_counts(struct mc_conn *conn, const struct dropping *d,
                                  struct mc_error *err)
{
    enum mc_status status = mc_conn_exec(
        conn,
        "UPDATE threads SET version = version + 1, messages = messages - 1, summarised ="
        " CASE WHEN ?2 <= summarised_until THEN max(summarised - 1, 0) ELSE summarised END"
        " WHERE thread_no = ?1",
        MC_BINDS(mc_bind_int(d->thread_no), mc_bind_int(d->created_at)), err);
    if (status == MC_OK)
        status = mc_conn_exec(conn, "UPDATE users SET messages = messages - 1 WHERE user_no = ?1",
                              MC_BINDS(mc_bind_int(d->user_no)), err);
    if (status == MC_OK)
        status = mc_conn_exec(conn,
                              "UPDATE summaries SET lost = 1 WHERE user_no = ?1 AND thread_no = ?2"
                              " AND last_at >= ?3",
                              MC_BINDS(mc_bind_int(d->user_no), mc_bind_int(d->thread_no),
                                       mc_bind_int(d->created_at)),
                              err);
    return status;
}

/*
 * What somebody wants gone must not live on in a summary: those that may tell of the message go,
 * and the thread is due again from where the others end.
 */
static enum mc_status drop_summaries(struct mc_conn *conn, const struct dropping *d,
                                     struct mc_error *err)
{
    struct mc_bind thread = mc_bind_int(d->thread_no), user = mc_bind_int(d->user_no);
    enum mc_status status = mc_conn_exec(
        conn, "UPDATE threads SET withdrawn = version WHERE thread_no = ?1", MC_BINDS(thread), err);
    if (status == MC_OK)
        status = mc_conn_exec(conn,
                              "DELETE FROM summaries WHERE user_no = ?1 AND thread_no = ?2"
                              " AND first_at <= ?3 AND last_at >= ?3",
                              MC_BINDS(user, thread, mc_bind_int(d->created_at)), err);
    if (status != MC_OK || mc_conn_changes(conn) == 0)
        return status;
    status = mc_conn_exec(conn,
                          "UPDATE threads SET summarised_until = coalesce((SELECT max(last_at)"
                          " FROM summaries WHERE user_no = ?1 AND thread_no = ?2), ?3)"
                          " WHERE thread_no = ?2",
                          MC_BINDS(user, thread, mc_bind_int(INT64_MIN)), err);
    if (status == MC_OK)
        status = mc_conn_exec(
            conn,
            "UPDATE threads SET summarised = (SELECT count(*) FROM messages m WHERE m.user_no = ?1"
            " AND m.thread_no = ?2 AND m.created_at <= summarised_until) WHERE thread_no = ?2",
            MC_BINDS(user, thread), err);
    return status;
}

enum mc_status mc_sqlite_drop(struct mc_conn *conn, int64_t row, bool requested, bool *had_job,
                              int64_t *version, struct mc_error *err)
{
    struct dropping d = {0};
    enum mc_status status = drop_entries(conn, row, &d, err);
    if (status == MC_OK)
        status =
            mc_conn_exec(conn, "DELETE FROM jobs WHERE id = ?1", MC_BINDS(mc_bind_int(row)), err);
    if (status == MC_OK && had_job)
        *had_job = mc_conn_changes(conn) > 0;
    if (status == MC_OK)
        status = mc_sqlite_twin_set(conn, row, MC_STR_NONE, err);
    if (status == MC_OK)
        status = mc_sqlite_vector_drop(conn, d.user_no, row, err);
    if (status == MC_OK)
        status = mc_conn_exec(conn, "DELETE FROM messages WHERE id = ?1",
                              MC_BINDS(mc_bind_int(row)), err);
    if (status == MC_OK)
        status = drop_counts(conn, &d, err);
    if (status == MC_OK && requested)
        status = drop_summaries(conn, &d, err);
    if (status == MC_OK && version)
        status = mc_conn_integer(conn, "SELECT version FROM threads WHERE thread_no = ?1",
                                 MC_BINDS(mc_bind_int(d.thread_no)), NULL, version, err);
    return status;
}

/* ---- One message ---- */

struct removal {
    mc_str message_id;
    struct mc_allowed allowed;
    struct mc_record *record;
    int64_t version;
};

static void removal_fini(struct removal *r)
{
    mc_allowed_fini(&r->allowed);
    mc_record_unref(r->record);
}

static const char stored_sql[] = "SELECT " MC_SQL_RECORD("m.terms") MC_SQL_RECORD_FROM
    " WHERE m.message_id = ?1 AND " MC_SQL_ALLOWED;
/* What tier migration has deleted can come back, so it can be deleted by request too. */
static const char trashed_sql[] = "SELECT " MC_SQL_RECORD(
    "m.terms") " FROM trash m JOIN threads t ON t.thread_no = m.thread_no"
               " JOIN users u ON u.user_no = m.user_no WHERE m.message_id = ?1 AND " MC_SQL_ALLOWED
               " ORDER BY m.id DESC LIMIT 1";

static enum mc_status find_removed(struct mc_conn *conn, const char *sql, struct removal *r,
                                   struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    bool found = false;
    enum mc_status status =
        mc_conn_start(conn, sql, MC_BINDS(mc_bind_str(r->message_id)), &stmt, err);
    if (status == MC_OK) {
        mc_allowed_bind(&r->allowed, stmt);
        status = mc_conn_step(conn, stmt, &found, err);
    }
    return status == MC_OK && found ? mc_sqlite_record(conn, stmt, &r->record, err) : status;
}

/* Whatever the user has under this id in the trash. */
static enum mc_status drop_trash(struct mc_conn *conn, const struct removal *r, int64_t user_no,
                                 struct mc_error *err)
{
    return mc_conn_exec(conn, "DELETE FROM trash WHERE message_id = ?1 AND user_no = ?2",
                        MC_BINDS(mc_bind_str(r->message_id), mc_bind_int(user_no)), err);
}

/* Of a message that is in the trash alone only summaries can still tell. */
static enum mc_status remove_trash(struct mc_conn *conn, struct removal *r, struct mc_error *err)
{
    struct dropping d = {.row = r->record->row, .created_at = r->record->m.created_at_us};
    struct mc_bind row = mc_bind_int(d.row);
    enum mc_status status = mc_conn_integer(conn, "SELECT user_no FROM trash WHERE id = ?1",
                                            MC_BINDS(row), NULL, &d.user_no, err);
    if (status == MC_OK)
        status = mc_conn_integer(conn, "SELECT thread_no FROM trash WHERE id = ?1", MC_BINDS(row),
                                 NULL, &d.thread_no, err);
    if (status == MC_OK)
        status = mc_conn_exec(conn, "UPDATE threads SET version = version + 1 WHERE thread_no = ?1",
                              MC_BINDS(mc_bind_int(d.thread_no)), err);
    if (status == MC_OK)
        status = drop_summaries(conn, &d, err);
    if (status == MC_OK)
        status = mc_conn_integer(conn, "SELECT version FROM threads WHERE thread_no = ?1",
                                 MC_BINDS(mc_bind_int(d.thread_no)), NULL, &r->version, err);
    return status == MC_OK ? drop_trash(conn, r, d.user_no, err) : status;
}

static enum mc_status remove_stored(struct mc_conn *conn, struct removal *r, struct mc_error *err)
{
    int64_t user_no = 0;
    enum mc_status status =
        mc_conn_integer(conn, "SELECT user_no FROM messages WHERE id = ?1",
                        MC_BINDS(mc_bind_int(r->record->row)), NULL, &user_no, err);
    if (status == MC_OK)
        status = mc_sqlite_keep_row(conn, err);
    if (status == MC_OK)
        status = mc_sqlite_drop(conn, r->record->row, true, NULL, &r->version, err);
    return status == MC_OK ? drop_trash(conn, r, user_no, err) : status;
}

static enum mc_status apply_remove(struct mc_writer *writer, void *context, struct mc_error *err)
{
    struct removal *r = context;
    struct mc_conn *conn = writer->conn;
    mc_record_unref(mc_steal(r->record)); /* of a transaction that was rolled back */
    enum mc_status status = find_removed(conn, stored_sql, r, err);
    if (status != MC_OK || r->record)
        return status == MC_OK ? remove_stored(conn, r, err) : status;
    status = find_removed(conn, trashed_sql, r, err);
    if (status == MC_OK && !r->record)
        return mc_fail_field(err, MC_NOT_FOUND, "message_id", "there is no message '%.*s'",
                             MC_STR_ARG(r->message_id));
    return status == MC_OK ? remove_trash(conn, r, err) : status;
}

enum mc_status mc_sqlite_remove(struct mc_store *store, mc_str message_id,
                                const struct mc_reader *reader, struct mc_record **removed,
                                int64_t *thread_version, struct mc_error *err)
{
    mc_auto(removal_fini) struct removal removal = {.message_id = message_id};
    enum mc_status status = mc_allowed_init(&removal.allowed, reader, err);
    if (status == MC_OK)
        status =
            mc_sqlite_write(mc_sqlite_of(store), MC_WRITE_OTHER, 1, apply_remove, &removal, err);
    if (status != MC_OK)
        return status;
    *removed = mc_steal(removal.record);
    *thread_version = removal.version;
    return MC_OK;
}

/* ---- A user ---- */

struct erasure {
    mc_str user_id;
    int64_t user_no;
    struct mc_erased step; /* of the present step, added up after its commit */
    bool done;
};

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
    int64_t users = 0;
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
    };
    enum mc_status status = MC_OK;
    for (size_t i = 0; status == MC_OK && i < mc_countof(deletions); i++)
        status = delete_counted(conn, deletions[i].sql, deletions[i].user, deletions[i].count, err);
    return status;
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

static enum mc_status wipe(struct mc_sqlite *s, bool *wiped, struct mc_error *err)
{
    bool whole, emptied = false;
    enum mc_status status = merge_index(s, &whole, err);
    for (int i = 0; status == MC_OK && !emptied && i < CHECKPOINT_TRIES; i++) {
        if (i > 0)
            usleep(CHECKPOINT_WAIT_US);
        struct mc_write checkpoint = {
            .apply = apply_checkpoint, .context = &emptied, .class = MC_WRITE_OTHER, .alone = true};
        status = mc_writer_run(&s->writer, &checkpoint, err);
    }
    *wiped = status == MC_OK && whole && emptied;
    return status;
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
        total.messages += e.step.messages;
        total.trash += e.step.trash;
        total.threads += e.step.threads;
        total.jobs += e.step.jobs;
        total.summaries += e.step.summaries;
        total.preferences += e.step.preferences;
        total.signals += e.step.signals;
    }
    /* The user is gone: what goes wrong from here on is told by the receipt. */
    struct mc_error ignored;
    if (wipe(s, &total.wiped, &ignored) != MC_OK)
        mc_log(MC_LOG_WARNING, "store", "erased words may be left in the file: %s",
               ignored.message);
    enum mc_status status = verify(s, user_id, user_no, &total.verified, err);
    if (status == MC_OK)
        *erased = total;
    return status;
}
