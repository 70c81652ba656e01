/* The queue as a whole: counts, and what became of dead jobs. */
#include "store/sqlite/sqlite.h"

#include "base/error.h"
#include "base/str.h"

enum mc_status mc_sqlite_queue(struct mc_store *store, int64_t now_us, struct mc_queue_stats *stats,
                               struct mc_error *err)
{
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_snapshot_end) struct mc_snapshot snapshot = {0};
    struct mc_queue_stats got = {0};
    struct mc_stage_stats *first = &got.stage[MC_STAGE_FIRST];
    struct mc_stage_stats *model = &got.stage[MC_STAGE_MODEL];
    int64_t all[MC_STAGE_MODEL + 1] = {0};
    struct {
        const char *sql;
        int64_t *value;
        enum mc_stage stage;
    } questions[] = {
        {"SELECT count(*) FROM jobs WHERE stage = ?2 AND due_at IS NOT NULL", &all[MC_STAGE_FIRST],
         MC_STAGE_FIRST},
        {"SELECT count(*) FROM jobs WHERE stage = ?2 AND due_at IS NOT NULL", &all[MC_STAGE_MODEL],
         MC_STAGE_MODEL},
        {"SELECT count(*) FROM jobs WHERE stage = ?2 AND due_at > ?1 AND lease IS NOT NULL",
         &first->leased, MC_STAGE_FIRST},
        {"SELECT count(*) FROM jobs WHERE stage = ?2 AND due_at > ?1 AND lease IS NOT NULL",
         &model->leased, MC_STAGE_MODEL},
        {"SELECT coalesce(min(due_at), 0) FROM jobs WHERE stage = ?2", &first->next_due_us,
         MC_STAGE_FIRST},
        {"SELECT coalesce(min(due_at), 0) FROM jobs WHERE stage = ?2", &model->next_due_us,
         MC_STAGE_MODEL},
        {"SELECT count(*) FROM jobs WHERE died_at IS NOT NULL", &got.dead, 0},
        {"SELECT enqueued_at FROM jobs WHERE due_at IS NOT NULL ORDER BY id LIMIT 1",
         &got.oldest_us, 0},
    };
    enum mc_status status = mc_reading_begin(&reading, &mc_sqlite_of(store)->readers, err);
    if (status == MC_OK)
        status = mc_snapshot_begin(&snapshot, reading.conn, err);
    for (size_t i = 0; status == MC_OK && i < mc_countof(questions); i++)
        status =
            mc_conn_integer(reading.conn, questions[i].sql,
                            MC_BINDS(mc_bind_int(now_us), mc_bind_int((int64_t)questions[i].stage)),
                            NULL, questions[i].value, err);
    if (status != MC_OK)
        return status;
    for (enum mc_stage stage = MC_STAGE_FIRST; stage <= MC_STAGE_MODEL; stage++) {
        got.stage[stage].ready = all[stage] - got.stage[stage].leased;
        got.ready += got.stage[stage].ready;
        got.leased += got.stage[stage].leased;
    }
    *stats = got;
    return MC_OK;
}

enum mc_status mc_sqlite_dead_jobs(struct mc_store *store, size_t limit, mc_dead_job_fn each,
                                   void *context, struct mc_error *err)
{
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status = mc_reading_begin(&reading, &mc_sqlite_of(store)->readers, err);
    if (status == MC_OK)
        status = mc_conn_start(
            reading.conn,
            "SELECT m.message_id, u.user_id, j.attempts, j.enqueued_at, j.died_at, j.error"
            " FROM jobs j JOIN messages m ON m.id = j.id JOIN users u ON u.user_no = m.user_no"
            " WHERE j.died_at IS NOT NULL ORDER BY j.died_at DESC, j.id DESC LIMIT ?1",
            MC_BINDS(mc_bind_int((int64_t)limit)), &stmt, err);
    bool more = true;
    while (more && mc_conn_next(reading.conn, stmt, &status, err)) {
        more = each(context, mc_column_str(stmt, 0), mc_column_str(stmt, 1),
                    sqlite3_column_int(stmt, 2), mc_column_int(stmt, 3), mc_column_int(stmt, 4),
                    mc_column_str(stmt, 5));
    }
    return status;
}

/* ---- Dead jobs, in bounded steps ---- */

#define STEP 1000

struct dead {
    mc_str message_id; /* absent: all */
    bool retry;        /* else purge */
    int64_t now_us;
    int64_t rows[STEP];
    size_t count;
};

static enum mc_status collect(struct mc_conn *conn, struct dead *dead, struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status;
    if (mc_str_given(dead->message_id))
        status = mc_conn_start(conn,
                               "SELECT j.id FROM messages m JOIN jobs j ON j.id = m.id"
                               " WHERE m.message_id = ?1 AND j.died_at IS NOT NULL",
                               MC_BINDS(mc_bind_str(dead->message_id)), &stmt, err);
    else
        status = mc_conn_start(
            conn, "SELECT id FROM jobs WHERE died_at IS NOT NULL ORDER BY died_at LIMIT ?1",
            MC_BINDS(mc_bind_int(STEP)), &stmt, err);
    dead->count = 0;
    while (dead->count < STEP && mc_conn_next(conn, stmt, &status, err)) {
        dead->rows[dead->count++] = mc_column_int(stmt, 0);
    }
    return status;
}

static enum mc_status revive(struct mc_conn *conn, int64_t row, int64_t now_us,
                             struct mc_error *err)
{
    struct mc_bind id = mc_bind_int(row);
    enum mc_status status =
        mc_conn_exec(conn,
                     "UPDATE jobs SET stage = 1, due_at = ?2, attempts = 0,"
                     " lease = NULL, died_at = NULL, error = NULL WHERE id = ?1",
                     MC_BINDS(id, mc_bind_int(now_us)), err);
    if (status == MC_OK)
        status = mc_conn_exec(conn, "UPDATE messages SET state = ?2 WHERE id = ?1",
                              MC_BINDS(id, mc_bind_int(MC_ENRICHMENT_PENDING)), err);
    if (status == MC_OK)
        status = mc_conn_exec(conn,
                              "UPDATE threads SET version = version + 1 WHERE thread_no ="
                              " (SELECT thread_no FROM messages WHERE id = ?1)",
                              MC_BINDS(id), err);
    return status;
}

static enum mc_status apply_dead(struct mc_writer *writer, void *context, struct mc_error *err)
{
    struct dead *dead = context;
    enum mc_status status = collect(writer->conn, dead, err);
    for (size_t i = 0; status == MC_OK && i < dead->count; i++)
        status = dead->retry ? revive(writer->conn, dead->rows[i], dead->now_us, err)
                             : mc_conn_exec(writer->conn, "DELETE FROM jobs WHERE id = ?1",
                                            MC_BINDS(mc_bind_int(dead->rows[i])), err);
    return status;
}

static enum mc_status for_all_dead(struct mc_store *store, struct dead *dead, uint64_t *count,
                                   struct mc_error *err)
{
    uint64_t total = 0;
    do {
        enum mc_status status =
            mc_sqlite_write(mc_sqlite_of(store), MC_WRITE_OTHER, STEP, apply_dead, dead, err);
        if (status != MC_OK)
            return status;
        total += dead->count;
    } while (dead->count == STEP);
    *count = total;
    return MC_OK;
}

enum mc_status mc_sqlite_retry(struct mc_store *store, mc_str message_id, int64_t now_us,
                               uint64_t *count, struct mc_error *err)
{
    struct dead dead = {.message_id = message_id, .retry = true, .now_us = now_us};
    return for_all_dead(store, &dead, count, err);
}

enum mc_status mc_sqlite_purge(struct mc_store *store, uint64_t *count, struct mc_error *err)
{
    struct dead dead = {.retry = false};
    return for_all_dead(store, &dead, count, err);
}
