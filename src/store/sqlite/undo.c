/*
 * Taking back a tier migration. What a run deleted lies in the trash, with its row's number, and returns to it: numbers
 * are not used again. What it moved or compressed names the run in its row; an undo looks at all rows for that, a page
 * at a time on a reading connection, and only those that it changes are written.
 */
#include "store/sqlite/sqlite.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "message/index_tokens.h"

/* Rows of the table that one step looks at. */
#define WINDOW 20000
#define TERMS_MAX ((size_t)1 << 20)
#define TERMS_ARENA_MAX ((size_t)64 << 20)

/* ---- The trash ---- */

#define COLUMNS                                                                                    \
    "message_id, user_no, thread_no, created_at, stored_at, role, visibility, tier, state,"        \
    " trivial, importance, session_id, agent_id, sharing_groups, terms, left_short, left_mid,"     \
    " left_long, packed_by, metadata, text, packed"

enum mc_status mc_sqlite_trash(struct mc_conn *conn, int64_t row, int64_t run, struct mc_error *err)
{
    return mc_conn_exec(conn,
                        "INSERT INTO trash(id, run, " COLUMNS
                        ", stage, enqueued_at, attempts, died_at, error) SELECT m.id, ?2, " COLUMNS
                        ", stage, enqueued_at, attempts, died_at, error"
                        " FROM messages m LEFT JOIN jobs j ON j.id = m.id WHERE m.id = ?1",
                        MC_BINDS(mc_bind_int(row), mc_bind_int(run)), err);
}

/* ---- Undoing ---- */

/* What is written for a message that a run has moved or compressed. */
struct reverted {
    int64_t row;
    bool unpacks, damaged;
    struct mc_unpacked unpacked;
    char *terms; /* index tokens, made anew */
    size_t terms_len;
};

struct undoing {
    const struct mc_undo *undo;
    int64_t *rows; /* of the trash */
    struct reverted *reverted;
    size_t count;
    int64_t after, end; /* rows that were looked at; the last one that there is */
    struct mc_undo_step step;
};

static void undoing_fini(struct undoing *u)
{
    for (size_t i = 0; u->reverted && i < u->count; i++) {
        mc_unpacked_fini(&u->reverted[i].unpacked);
        free(u->reverted[i].terms);
    }
    free(u->reverted);
    free(u->rows);
}

struct returning {
    int64_t user_no, thread_no, created_at;
    bool settled; /* enriched, or compressed after that */
};

static enum mc_status read_trash(struct mc_conn *conn, int64_t row, struct returning *r,
                                 struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    bool found = false;
    enum mc_status status = mc_conn_start(
        conn,
        "SELECT user_no, thread_no, created_at, terms, packed IS NOT NULL FROM messages"
        " WHERE id = ?1",
        MC_BINDS(mc_bind_int(row)), &stmt, err);
    if (status == MC_OK)
        status = mc_conn_step(conn, stmt, &found, err);
    if (status != MC_OK || !found)
        return status;
    mc_str terms = mc_column_str(stmt, 3);
    *r = (struct returning){mc_column_int(stmt, 0), mc_column_int(stmt, 1), mc_column_int(stmt, 2),
                            mc_str_given(terms) || mc_column_int(stmt, 4)};
    return mc_str_given(terms)
               ? mc_fts_change(conn, true, row, r->user_no, r->thread_no, terms, err)
               : MC_OK;
}

/* The job, the counters and the vector of a message that has come back. */
static enum mc_status account(struct mc_conn *conn, int64_t row, const struct returning *r,
                              int64_t now_us, struct mc_error *err)
{
    struct mc_bind id = mc_bind_int(row);
    enum mc_status status = mc_conn_exec(
        conn,
        "INSERT INTO jobs(id, stage, due_at, enqueued_at, attempts, died_at, error)"
        " SELECT id, stage, CASE WHEN died_at IS NULL THEN ?2 END, enqueued_at, attempts, died_at,"
        " error FROM trash WHERE id = ?1 AND stage IS NOT NULL",
        MC_BINDS(id, mc_bind_int(now_us)), err);
    if (status == MC_OK)
        status = mc_conn_exec(
            conn,
            "UPDATE threads SET version = version + 1, messages = messages + 1,"
            " last_at = max(last_at, ?2), summarised = summarised + (?2 <= summarised_until)"
            " WHERE thread_no = ?1",
            MC_BINDS(mc_bind_int(r->thread_no), mc_bind_int(r->created_at)), err);
    if (status == MC_OK)
        status = mc_conn_exec(conn, "UPDATE users SET messages = messages + 1 WHERE user_no = ?1",
                              MC_BINDS(mc_bind_int(r->user_no)), err);
    return status == MC_OK && r->settled ? mc_sqlite_vector_wait(conn, row, err) : status;
}

static enum mc_status restore(struct mc_conn *conn, int64_t row, struct undoing *u,
                              struct mc_error *err)
{
    struct mc_bind id = mc_bind_int(row);
    struct returning returning = {0};
    enum mc_status status = mc_conn_exec(
        conn,
        "INSERT INTO messages(id, " COLUMNS ") SELECT id, " COLUMNS
        " FROM trash t WHERE id = ?1 AND EXISTS(SELECT 1 FROM threads h JOIN users u ON u.user_no "
        "= h.user_no WHERE h.thread_no = t.thread_no AND h.user_no = t.user_no)"
        " ON CONFLICT(message_id) DO NOTHING",
        MC_BINDS(id), err);
    bool back = status == MC_OK && mc_conn_changes(conn) > 0;
    if (back)
        status = read_trash(conn, row, &returning, err);
    if (back && status == MC_OK)
        status = account(conn, row, &returning, u->undo->now_us, err);
    if (status == MC_OK)
        status = mc_conn_exec(conn, "DELETE FROM trash WHERE id = ?1", MC_BINDS(id), err);
    u->step.restored += back;
    u->step.skipped += !back;
    return status;
}

static enum mc_status apply_restore(struct mc_writer *writer, void *context, struct mc_error *err)
{
    struct undoing *u = context;
    struct mc_conn *conn = writer->conn;
    size_t count = 0;
    u->step = (struct mc_undo_step){0};
    {
        mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
        /* The newest first: of messages of one id it is the one that comes back. */
        enum mc_status status = mc_conn_start(
            conn,
            "SELECT id FROM trash WHERE run BETWEEN ?1 AND ?2 ORDER BY run DESC, id DESC LIMIT ?3",
            MC_BINDS(mc_bind_int(u->undo->first), mc_bind_int(u->undo->last),
                     mc_bind_int((int64_t)u->undo->batch)),
            &stmt, err);
        while (count < u->undo->batch && mc_conn_next(conn, stmt, &status, err)) {
            u->rows[count++] = mc_column_int(stmt, 0);
        }
        if (status != MC_OK)
            return status;
    }
    enum mc_status status = mc_sqlite_keep_row(conn, err);
    for (size_t i = 0; status == MC_OK && i < count; i++)
        status = restore(conn, u->rows[i], u, err);
    u->step.more = count > 0;
    return status;
}

#define LEFT_SHORT "left_short BETWEEN ?2 AND ?3"
#define LEFT_MID "left_mid BETWEEN ?2 AND ?3"
#define LEFT_LONG "left_long BETWEEN ?2 AND ?3"
#define LEFT_A_TIER LEFT_SHORT " OR " LEFT_MID " OR " LEFT_LONG
#define PACKED_BY "packed_by BETWEEN ?2 AND ?3"

static enum mc_status tokens_of(const struct mc_unpacked *unpacked, struct mc_buf *terms,
                                struct mc_error *err)
{
    mc_auto(mc_arena_fini) struct mc_arena arena;
    struct mc_metadata metadata;
    mc_arena_init(&arena, TERMS_ARENA_MAX);
    enum mc_status status = mc_metadata_parse(unpacked->metadata, &arena, &metadata, err);
    if (status == MC_OK)
        status = mc_index_tokens(unpacked->text, &metadata, &arena, terms, err);
    return status == MC_OK && terms->failed ? mc_fail_memory(err) : status;
}

static enum mc_status read_frame(struct mc_conn *conn, mc_str frame, struct reverted *r,
                                 struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf terms;
    mc_buf_init(&terms, TERMS_MAX);
    enum mc_status status = mc_sqlite_unpack(conn, frame, &r->unpacked, err);
    if (status != MC_OK)
        return status;
    r->unpacks = true;
    status = tokens_of(&r->unpacked, &terms, err);
    if (status != MC_OK)
        return status;
    r->terms_len = terms.len;
    r->terms = malloc(terms.len + 1);
    if (!r->terms)
        return mc_fail_memory(err);
    memcpy(r->terms, terms.len > 0 ? terms.data : "", terms.len);
    return MC_OK;
}

/* One that is damaged stays as it is: it must not keep the others from coming back. */
static enum mc_status unpack(struct mc_conn *conn, mc_str frame, struct reverted *r,
                             struct mc_error *err)
{
    struct mc_error reason = {0};
    enum mc_status status = read_frame(conn, frame, r, &reason);
    if (status == MC_OK)
        return MC_OK;
    if (status != MC_CORRUPT)
        return mc_fail(err, status, "%s", reason.message);
    mc_log(MC_LOG_ERROR, "store", "message row %" PRId64 " stays compressed: %s", r->row,
           reason.message);
    r->damaged = true;
    return MC_OK;
}

/* Reads, and unpacks, what the next of a window of rows need, outside of any transaction. */
static enum mc_status look(struct mc_conn *conn, struct undoing *u, struct mc_error *err)
{
    const struct mc_undo *undo = u->undo;
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status = mc_conn_integer(conn, "SELECT coalesce(max(id), 0) FROM messages",
                                            MC_NO_BINDS, NULL, &u->end, err);
    if (status == MC_OK)
        status = mc_conn_start(
            conn,
            "SELECT id, CASE WHEN " PACKED_BY " THEN packed END FROM messages"
            " WHERE id > ?1 AND id <= ?1 + ?4 AND (" PACKED_BY " OR " LEFT_A_TIER ")"
            " ORDER BY id LIMIT ?5",
            MC_BINDS(mc_bind_int(undo->after), mc_bind_int(undo->first), mc_bind_int(undo->last),
                     mc_bind_int(WINDOW), mc_bind_int((int64_t)undo->batch)),
            &stmt, err);
    while (u->count < undo->batch && mc_conn_next(conn, stmt, &status, err)) {
        struct reverted *r = &u->reverted[u->count++];
        *r = (struct reverted){.row = mc_column_int(stmt, 0)};
        const char *frame = sqlite3_column_blob(stmt, 1);
        if (frame)
            status = unpack(conn, (mc_str){frame, (size_t)sqlite3_column_bytes(stmt, 1)}, r, err);
    }
    u->after = u->count == undo->batch ? u->reverted[u->count - 1].row : undo->after + WINDOW;
    return status;
}

static enum mc_status unpack_row(struct mc_conn *conn, const struct reverted *r, struct undoing *u,
                                 struct mc_error *err)
{
    int64_t user_no = 0, thread_no = 0;
    struct mc_bind id = mc_bind_int(r->row);
    mc_str terms = {r->terms, r->terms_len};
    enum mc_status status =
        mc_conn_exec(conn,
                     "UPDATE messages SET metadata = ?4, text = ?5, terms = ?6, packed = NULL,"
                     " packed_by = NULL WHERE id = ?1 AND packed IS NOT NULL"
                     " AND " PACKED_BY,
                     MC_BINDS(id, mc_bind_int(u->undo->first), mc_bind_int(u->undo->last),
                              mc_bind_text(r->unpacked.metadata), mc_bind_text(r->unpacked.text),
                              mc_bind_text(terms)),
                     err);
    if (status != MC_OK || mc_conn_changes(conn) == 0)
        return status;
    u->step.unpacked++;
    status = mc_conn_integer(conn, "SELECT user_no FROM messages WHERE id = ?1", MC_BINDS(id), NULL,
                             &user_no, err);
    if (status == MC_OK)
        status = mc_conn_integer(conn, "SELECT thread_no FROM messages WHERE id = ?1", MC_BINDS(id),
                                 NULL, &thread_no, err);
    return status == MC_OK ? mc_fts_change(conn, true, r->row, user_no, thread_no, terms, err)
                           : status;
}

static const char move_back_sql[] =
    "UPDATE messages SET tier = CASE WHEN " LEFT_SHORT " THEN 0 WHEN " LEFT_MID
    " THEN 1 ELSE 2 END,"
    " left_short = CASE WHEN " LEFT_SHORT " THEN NULL ELSE left_short END,"
    " left_mid = CASE WHEN " LEFT_MID " THEN NULL ELSE left_mid END,"
    " left_long = CASE WHEN " LEFT_LONG " THEN NULL ELSE left_long END"
    " WHERE id = ?1 AND packed IS NULL AND (" LEFT_A_TIER ")";

static enum mc_status revert(struct mc_conn *conn, const struct reverted *r, struct undoing *u,
                             struct mc_error *err)
{
    struct mc_bind id = mc_bind_int(r->row);
    u->step.skipped += r->damaged;
    if (r->damaged)
        return MC_OK;
    enum mc_status status = r->unpacks ? unpack_row(conn, r, u, err) : MC_OK;
    if (status == MC_OK)
        status = mc_conn_exec(conn, move_back_sql,
                              MC_BINDS(id, mc_bind_int(u->undo->first), mc_bind_int(u->undo->last)),
                              err);
    if (status != MC_OK)
        return status;
    u->step.moved += mc_conn_changes(conn);
    return mc_conn_exec(conn,
                        "UPDATE threads SET version = version + 1 WHERE thread_no ="
                        " (SELECT thread_no FROM messages WHERE id = ?1)",
                        MC_BINDS(id), err);
}

static enum mc_status apply_revert(struct mc_writer *writer, void *context, struct mc_error *err)
{
    struct undoing *u = context;
    enum mc_status status = MC_OK;
    u->step = (struct mc_undo_step){.more = u->after < u->end};
    for (size_t i = 0; status == MC_OK && i < u->count; i++)
        status = revert(writer->conn, &u->reverted[i], u, err);
    if (status == MC_OK && !u->step.more)
        status =
            mc_conn_exec(writer->conn, "DELETE FROM tier_runs WHERE number BETWEEN ?1 AND ?2",
                         MC_BINDS(mc_bind_int(u->undo->first), mc_bind_int(u->undo->last)), err);
    return status;
}

/* What an undo to the end would do. */
static enum mc_status count_undo(struct mc_conn *conn, struct undoing *u, struct mc_error *err)
{
    struct {
        const char *sql;
        int64_t *count;
    } questions[] = {
        {"SELECT count(DISTINCT message_id) FROM trash t WHERE run BETWEEN ?2 AND ?3"
         " AND ?1 IS NULL AND NOT EXISTS(SELECT 1 FROM messages m"
         " WHERE m.message_id = t.message_id)",
         &u->step.restored},
        {"SELECT count(*) FROM trash WHERE run BETWEEN ?2 AND ?3 AND ?1 IS NULL", &u->step.skipped},
        {"SELECT count(*) FROM messages WHERE ?1 IS NULL AND (" LEFT_A_TIER ")", &u->step.moved},
        {"SELECT count(*) FROM messages WHERE ?1 IS NULL AND " PACKED_BY, &u->step.unpacked},
    };
    enum mc_status status = MC_OK;
    for (size_t i = 0; status == MC_OK && i < mc_countof(questions); i++)
        status = mc_conn_integer(conn, questions[i].sql,
                                 MC_BINDS(mc_bind_str(MC_STR_NONE), mc_bind_int(u->undo->first),
                                          mc_bind_int(u->undo->last)),
                                 NULL, questions[i].count, err);
    u->step.skipped -= u->step.restored;
    return status;
}

static enum mc_status undo_step(struct mc_sqlite *s, struct undoing *u, struct mc_error *err)
{
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_snapshot_end) struct mc_snapshot snapshot = {0};
    int64_t trashed = 0;
    enum mc_status status = mc_reading_begin(&reading, &s->readers, err);
    if (status == MC_OK)
        status = mc_snapshot_begin(&snapshot, reading.conn, err);
    if (status == MC_OK && u->undo->dry_run)
        return count_undo(reading.conn, u, err);
    if (status == MC_OK)
        status = mc_conn_integer(
            reading.conn,
            "SELECT count(*) FROM (SELECT 1 FROM trash WHERE run BETWEEN ?1 AND ?2 LIMIT 1)",
            MC_BINDS(mc_bind_int(u->undo->first), mc_bind_int(u->undo->last)), NULL, &trashed, err);
    if (status == MC_OK && trashed == 0)
        status = look(reading.conn, u, err);
    mc_snapshot_end(&snapshot);
    mc_reading_end(&reading);
    if (status != MC_OK)
        return status;
    if (trashed > 0)
        return mc_sqlite_write(s, MC_WRITE_OTHER, u->undo->batch, apply_restore, u, err);
    if (u->count == 0 && u->after < u->end) { /* nothing to write */
        u->step.more = true;
        return MC_OK;
    }
    return mc_sqlite_write(s, MC_WRITE_OTHER, u->count + 1, apply_revert, u, err);
}

enum mc_status mc_sqlite_undo(struct mc_store *store, struct mc_undo *undo,
                              struct mc_undo_step *step, struct mc_error *err)
{
    struct mc_sqlite *s = mc_sqlite_of(store);
    mc_auto(undoing_fini) struct undoing u = {.undo = undo, .after = undo->after};
    u.rows = calloc(undo->batch + 1, sizeof(*u.rows));
    u.reverted = calloc(undo->batch + 1, sizeof(*u.reverted));
    if (!u.rows || !u.reverted)
        return mc_fail_memory(err);
    enum mc_status status = undo_step(s, &u, err);
    if (status != MC_OK)
        return status;
    if (!undo->dry_run)
        mc_sqlite_relieve_log(s, (size_t)(u.step.restored + u.step.skipped) + u.count);
    undo->after = u.after;
    *step = u.step;
    return MC_OK;
}
