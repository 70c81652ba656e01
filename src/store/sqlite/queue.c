/* The life of a job in the hands of workers: claimed, renewed, completed, failed, released. */
#include "store/sqlite/sqlite.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "store/rules.h"

/* ---- Claiming ---- */

struct claim {
    mc_str lease;
    enum mc_stage stage;
    int64_t now_us, until_us;
    size_t limit;
    int64_t *rows; /* room for limit */
    size_t count;
};

/* The due jobs to take: any number, or one whose lease ran out. */
static enum mc_status choose_jobs(struct mc_conn *conn, struct claim *claim, struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status = mc_conn_start(
        conn,
        "SELECT id, lease IS NOT NULL FROM jobs WHERE stage = ?1 AND due_at <= ?2 ORDER BY due_at"
        " LIMIT ?3",
        MC_BINDS(mc_bind_int(claim->stage), mc_bind_int(claim->now_us),
                 mc_bind_int((int64_t)claim->limit)),
        &stmt, err);
    bool lost = false;
    claim->count = 0;
    while (claim->count < claim->limit && !lost && mc_conn_next(conn, stmt, &status, err)) {
        lost = mc_column_int(stmt, 1) != 0;
        if (!lost || claim->count == 0)
            claim->rows[claim->count++] = mc_column_int(stmt, 0);
    }
    return status;
}

static enum mc_status apply_claim(struct mc_writer *writer, void *context, struct mc_error *err)
{
    struct claim *claim = context;
    struct mc_conn *conn = writer->conn;
    enum mc_status status = choose_jobs(conn, claim, err);
    for (size_t i = 0; status == MC_OK && i < claim->count; i++)
        status = mc_conn_exec(
            conn, "UPDATE jobs SET lease = ?2, due_at = ?3, attempts = attempts + 1 WHERE id = ?1",
            MC_BINDS(mc_bind_int(claim->rows[i]), mc_bind_str(claim->lease),
                     mc_bind_int(claim->until_us)),
            err);
    return status;
}

/* Reads one leased job; nothing is added when the message is gone meanwhile. */
static enum mc_status read_job(struct mc_conn *conn, int64_t id, mc_str lease, struct mc_jobs *out,
                               struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    bool row;
    enum mc_status status = mc_conn_start(
        conn,
        "SELECT " MC_SQL_RECORD("m.terms") ", j.enqueued_at, j.attempts, j.stage" MC_SQL_RECORD_FROM
                                           " JOIN jobs j ON j.id = m.id"
                                           " WHERE m.id = ?1 AND j.lease = ?2",
        MC_BINDS(mc_bind_int(id), mc_bind_str(lease)), &stmt, err);
    if (status == MC_OK)
        status = mc_conn_step(conn, stmt, &row, err);
    if (status != MC_OK || !row)
        return status;
    struct mc_job job = {.enqueued_us = mc_column_int(stmt, MC_SQL_RECORD_COLUMNS),
                         .attempts = sqlite3_column_int(stmt, MC_SQL_RECORD_COLUMNS + 1),
                         .stage =
                             (enum mc_stage)sqlite3_column_int(stmt, MC_SQL_RECORD_COLUMNS + 2)};
    status = mc_sqlite_record(conn, stmt, &job.record, err);
    if (status == MC_OK && !mc_rules_push_job(out, &job)) {
        mc_record_unref(job.record);
        status = mc_fail_memory(err);
    }
    return status;
}

static enum mc_status read_jobs(struct mc_sqlite *s, const struct claim *claim, struct mc_jobs *out,
                                struct mc_error *err)
{
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_snapshot_end) struct mc_snapshot snapshot = {0};
    enum mc_status status = mc_reading_begin(&reading, &s->readers, err);
    if (status == MC_OK)
        status = mc_snapshot_begin(&snapshot, reading.conn, err);
    for (size_t i = 0; status == MC_OK && i < claim->count; i++)
        status = read_job(reading.conn, claim->rows[i], claim->lease, out, err);
    return status;
}

/* What was claimed but could not be read goes back. */
static enum mc_status apply_unclaim(struct mc_writer *writer, void *context, struct mc_error *err)
{
    const struct claim *claim = context;
    enum mc_status status = MC_OK;
    for (size_t i = 0; status == MC_OK && i < claim->count; i++)
        status =
            mc_conn_exec(writer->conn,
                         "UPDATE jobs SET lease = NULL, due_at = enqueued_at,"
                         " attempts = attempts - 1 WHERE id = ?1 AND lease = ?2",
                         MC_BINDS(mc_bind_int(claim->rows[i]), mc_bind_str(claim->lease)), err);
    return status;
}

enum mc_status mc_sqlite_claim(struct mc_store *store, mc_str lease, enum mc_stage stage,
                               int64_t now_us, int64_t lease_us, size_t limit, struct mc_jobs *out,
                               struct mc_error *err)
{
    struct mc_sqlite *s = mc_sqlite_of(store);
    if (limit == 0)
        return MC_OK;
    struct claim claim = {.lease = lease,
                          .stage = stage,
                          .now_us = now_us,
                          .until_us = now_us + lease_us,
                          .limit = limit};
    claim.rows = calloc(limit, sizeof(*claim.rows));
    if (!claim.rows)
        return mc_fail_memory(err);
    size_t start = out->count;
    enum mc_status status = mc_sqlite_write(s, MC_WRITE_OTHER, limit, apply_claim, &claim, err);
    if (status == MC_OK && claim.count > 0) {
        status = read_jobs(s, &claim, out, err);
        if (status != MC_OK) {
            while (out->count > start)
                mc_record_unref(out->items[--out->count].record);
            struct mc_error ignored; /* if this fails too, the lease runs out */
            enum mc_status put_back =
                mc_sqlite_write(s, MC_WRITE_OTHER, claim.count, apply_unclaim, &claim, &ignored);
            (void)put_back;
        }
    }
    free(claim.rows);
    return status;
}

/* ---- Completing ---- */

struct complete {
    mc_str lease;
    struct mc_completion *items;
    struct outcome {
        bool applied;
        int64_t version;
    } * outcomes;
    size_t count;
};

/* The job leaves the queue or goes on to its next stage; *held: it was this lease's. */
static enum mc_status settle_job(struct mc_conn *conn, mc_str lease, const struct mc_completion *c,
                                 bool *held, struct mc_error *err)
{
    enum mc_status status;
    if (c->next_stage == 0)
        status = mc_conn_exec(conn, "DELETE FROM jobs WHERE id = ?1 AND lease = ?2",
                              MC_BINDS(mc_bind_int(c->row), mc_bind_str(lease)), err);
    else
        status = mc_conn_exec(
            conn,
            "UPDATE jobs SET stage = ?3, due_at = enqueued_at, attempts = 0,"
            " lease = NULL, error = NULL WHERE id = ?1 AND lease = ?2",
            MC_BINDS(mc_bind_int(c->row), mc_bind_str(lease), mc_bind_int(c->next_stage)), err);
    *held = status == MC_OK && mc_conn_changes(conn) == 1;
    return status;
}

/* Brings the search index from the terms that a message had (absent: none) to those of the
 * completion. */
static enum mc_status reindex(struct mc_conn *conn, const struct mc_completion *c, int64_t user_no,
                              int64_t thread_no, mc_str had, struct mc_error *err)
{
    if (mc_str_given(had) && mc_str_equal(had, c->terms))
        return MC_OK;
    enum mc_status status = MC_OK;
    if (mc_str_given(had))
        status = mc_fts_change(conn, false, c->row, user_no, thread_no, had, err);
    if (status == MC_OK)
        status = mc_fts_change(conn, true, c->row, user_no, thread_no, c->terms, err);
    return status;
}

static enum mc_status bump_thread(struct mc_conn *conn, int64_t thread_no, int64_t *version,
                                  struct mc_error *err)
{
    enum mc_status status =
        mc_conn_exec(conn, "UPDATE threads SET version = version + 1 WHERE thread_no = ?1",
                     MC_BINDS(mc_bind_int(thread_no)), err);
    if (status == MC_OK)
        status = mc_conn_integer(conn, "SELECT version FROM threads WHERE thread_no = ?1",
                                 MC_BINDS(mc_bind_int(thread_no)), NULL, version, err);
    return status;
}

static enum mc_status complete_one(struct mc_conn *conn, mc_str lease,
                                   const struct mc_completion *c, struct outcome *outcome,
                                   struct mc_error *err)
{
    *outcome = (struct outcome){0};
    bool held;
    enum mc_status status = settle_job(conn, lease, c, &held, err);
    if (status != MC_OK || !held)
        return status;
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    bool row = false;
    status = mc_conn_start(conn, "SELECT user_no, thread_no, terms FROM messages WHERE id = ?1",
                           MC_BINDS(mc_bind_int(c->row)), &stmt, err);
    if (status == MC_OK)
        status = mc_conn_step(conn, stmt, &row, err);
    if (status != MC_OK || !row)
        return status;
    int64_t thread_no = mc_column_int(stmt, 1);
    bool done_before = mc_str_given(mc_column_str(stmt, 2));
    status = reindex(conn, c, mc_column_int(stmt, 0), thread_no, mc_column_str(stmt, 2), err);
    mc_stmt_done(&stmt);
    if (status == MC_OK)
        status = mc_conn_exec(
            conn,
            "UPDATE messages SET metadata = ?2, terms = ?3, importance = ?4, state = ?5,"
            " trivial = coalesce(json_extract(?2, '$.method') = 'trivial', 0) WHERE id = ?1",
            MC_BINDS(mc_bind_int(c->row),
                     mc_bind_str(c->metadata.len > 0 ? c->metadata : MC_STR("{}")),
                     mc_bind_text(c->terms), mc_bind_double(c->importance), mc_bind_int(c->state)),
            err);
    if (status == MC_OK && (mc_str_given(c->content_hash) || done_before))
        status = mc_sqlite_twin_set(conn, c->row, c->content_hash, err);
    if (status == MC_OK && !done_before)
        status = mc_sqlite_vector_wait(conn, c->row, err);
    if (status == MC_OK)
        status = bump_thread(conn, thread_no, &outcome->version, err);
    if (status == MC_OK)
        status = mc_sqlite_count_signals(conn, c->user_id, c->signals, c->signal_count, err);
    outcome->applied = status == MC_OK;
    return status;
}

static enum mc_status apply_complete(struct mc_writer *writer, void *context, struct mc_error *err)
{
    struct complete *complete = context;
    enum mc_status status = MC_OK;
    for (size_t i = 0; status == MC_OK && i < complete->count; i++)
        status = complete_one(writer->conn, complete->lease, &complete->items[i],
                              &complete->outcomes[i], err);
    return status;
}

enum mc_status mc_sqlite_complete(struct mc_store *store, mc_str lease, struct mc_completion *items,
                                  size_t count, struct mc_error *err)
{
    if (count == 0)
        return MC_OK;
    struct complete complete = {.lease = lease, .items = items, .count = count};
    complete.outcomes = calloc(count, sizeof(*complete.outcomes));
    if (!complete.outcomes)
        return mc_fail_memory(err);
    enum mc_status status =
        mc_sqlite_write(mc_sqlite_of(store), MC_WRITE_OTHER, count, apply_complete, &complete, err);
    for (size_t i = 0; status == MC_OK && i < count; i++) {
        items[i].applied = complete.outcomes[i].applied;
        items[i].thread_version = complete.outcomes[i].version;
    }
    free(complete.outcomes);
    return status;
}

/* ---- Failing ---- */

struct failed {
    mc_str lease;
    const struct mc_failure *items;
    size_t count;
};

static enum mc_status retry_later(struct mc_conn *conn, mc_str lease, const struct mc_failure *f,
                                  struct mc_error *err)
{
    return mc_conn_exec(conn,
                        "UPDATE jobs SET lease = NULL, due_at = ?3, error = ?4,"
                        " attempts = max(attempts - ?5, 0) WHERE id = ?1 AND lease = ?2",
                        MC_BINDS(mc_bind_int(f->row), mc_bind_str(lease),
                                 mc_bind_int(f->retry_at_us), mc_bind_text(f->error),
                                 mc_bind_int(f->no_attempt)),
                        err);
}

static enum mc_status bury(struct mc_conn *conn, mc_str lease, const struct mc_failure *f,
                           struct mc_error *err)
{
    enum mc_status status = mc_conn_exec(
        conn,
        "UPDATE jobs SET lease = NULL, due_at = NULL, died_at = ?3, error = ?4,"
        " attempts = max(attempts - ?5, 0) WHERE id = ?1 AND lease = ?2",
        MC_BINDS(mc_bind_int(f->row), mc_bind_str(lease), mc_bind_int(mc_time_now_us()),
                 mc_bind_text(f->error), mc_bind_int(f->no_attempt)),
        err);
    if (status != MC_OK || mc_conn_changes(conn) == 0)
        return status;
    if (mc_str_given(f->metadata))
        status = mc_sqlite_twin_set(conn, f->row, MC_STR_NONE, err);
    if (status == MC_OK)
        status = mc_conn_exec(conn,
                              "UPDATE messages SET state = ?2, metadata = coalesce(?3, metadata)"
                              " WHERE id = ?1",
                              MC_BINDS(mc_bind_int(f->row), mc_bind_int(MC_ENRICHMENT_FAILED),
                                       mc_bind_str(f->metadata)),
                              err);
    if (status == MC_OK)
        status = mc_conn_exec(conn,
                              "UPDATE threads SET version = version + 1 WHERE thread_no ="
                              " (SELECT thread_no FROM messages WHERE id = ?1)",
                              MC_BINDS(mc_bind_int(f->row)), err);
    return status;
}

static enum mc_status apply_failed(struct mc_writer *writer, void *context, struct mc_error *err)
{
    const struct failed *failed = context;
    enum mc_status status = MC_OK;
    for (size_t i = 0; status == MC_OK && i < failed->count; i++)
        status = failed->items[i].retry_at_us != 0
                     ? retry_later(writer->conn, failed->lease, &failed->items[i], err)
                     : bury(writer->conn, failed->lease, &failed->items[i], err);
    return status;
}

enum mc_status mc_sqlite_failed(struct mc_store *store, mc_str lease,
                                const struct mc_failure *items, size_t count, struct mc_error *err)
{
    if (count == 0)
        return MC_OK;
    struct failed failed = {.lease = lease, .items = items, .count = count};
    return mc_sqlite_write(mc_sqlite_of(store), MC_WRITE_OTHER, count, apply_failed, &failed, err);
}

/* ---- Renewing and releasing ---- */

struct renewal {
    mc_str lease;
    int64_t until_us;
};

/* A lease that ran out and was not claimed by another is still its holder's. */
static enum mc_status apply_renew(struct mc_writer *writer, void *context, struct mc_error *err)
{
    const struct renewal *renewal = context;
    enum mc_status status =
        mc_conn_exec(writer->conn, "UPDATE jobs SET due_at = ?2 WHERE lease = ?1",
                     MC_BINDS(mc_bind_str(renewal->lease), mc_bind_int(renewal->until_us)), err);
    if (status == MC_OK && mc_conn_changes(writer->conn) == 0)
        return mc_fail(err, MC_NOT_FOUND, "no job is leased to '%.*s' any more",
                       MC_STR_ARG(renewal->lease));
    return status;
}

enum mc_status mc_sqlite_renew(struct mc_store *store, mc_str lease, int64_t until_us,
                               struct mc_error *err)
{
    struct renewal renewal = {lease, until_us};
    return mc_sqlite_write(mc_sqlite_of(store), MC_WRITE_OTHER, 1, apply_renew, &renewal, err);
}

static enum mc_status apply_release(struct mc_writer *writer, void *context, struct mc_error *err)
{
    const mc_str *lease = context;
    return mc_conn_exec(writer->conn,
                        "UPDATE jobs SET lease = NULL, due_at = enqueued_at,"
                        " attempts = max(attempts - 1, 0) WHERE lease = ?1",
                        MC_BINDS(mc_bind_str(*lease)), err);
}

enum mc_status mc_sqlite_release(struct mc_store *store, mc_str lease, struct mc_error *err)
{
    return mc_sqlite_write(mc_sqlite_of(store), MC_WRITE_OTHER, 1, apply_release, &lease, err);
}
