/* Runs of tier migration that can be taken back. */
#include "store/sqlite/sqlite.h"

#include "base/error.h"
#include "base/str.h"

struct run_change {
    mc_str user_id;
    int64_t number, now_us, last;
};

static enum mc_status apply_begin(struct mc_writer *writer, void *context, struct mc_error *err)
{
    struct run_change *c = context;
    int64_t undoing = 0;
    enum mc_status status =
        mc_conn_integer(writer->conn, "SELECT count(*) FROM tier_runs WHERE undoing", MC_NO_BINDS,
                        NULL, &undoing, err);
    if (status == MC_OK && undoing > 0)
        return mc_fail(err, MC_CONFLICT, "tier migrations are being undone; try again after that");
    if (status != MC_OK)
        return status;
    status = mc_conn_exec(
        writer->conn,
        "INSERT INTO tier_runs(user_id, began_at, undoing, moved, deleted, packed, bytes_deleted)"
        " VALUES(?1, ?2, 0, 0, 0, 0, 0)",
        MC_BINDS(mc_bind_str(c->user_id), mc_bind_int(c->now_us)), err);
    c->number = sqlite3_last_insert_rowid(writer->conn->db);
    return status;
}

enum mc_status mc_sqlite_begin_run(struct mc_store *store, mc_str user_id, int64_t now_us,
                                   int64_t *number, struct mc_error *err)
{
    struct run_change change = {.user_id = user_id, .now_us = now_us};
    enum mc_status status =
        mc_sqlite_write(mc_sqlite_of(store), MC_WRITE_OTHER, 1, apply_begin, &change, err);
    if (status == MC_OK)
        *number = change.number;
    return status;
}

static enum mc_status apply_end(struct mc_writer *writer, void *context, struct mc_error *err)
{
    const struct run_change *c = context;
    struct mc_bind number = mc_bind_int(c->number);
    enum mc_status status = mc_conn_exec(writer->conn,
                                         "DELETE FROM tier_runs WHERE number = ?1 AND NOT undoing"
                                         " AND moved = 0 AND deleted = 0 AND packed = 0",
                                         MC_BINDS(number), err);
    return status == MC_OK
               ? mc_conn_exec(writer->conn, "UPDATE tier_runs SET ended_at = ?2 WHERE number = ?1",
                              MC_BINDS(number, mc_bind_int(c->now_us)), err)
               : status;
}

enum mc_status mc_sqlite_end_run(struct mc_store *store, int64_t number, int64_t now_us,
                                 struct mc_error *err)
{
    struct run_change change = {.number = number, .now_us = now_us};
    return mc_sqlite_write(mc_sqlite_of(store), MC_WRITE_OTHER, 1, apply_end, &change, err);
}

enum mc_status mc_sqlite_runs(struct mc_store *store, mc_tier_run_fn each, void *context,
                              struct mc_error *err)
{
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status = mc_reading_begin(&reading, &mc_sqlite_of(store)->readers, err);
    if (status == MC_OK)
        status = mc_conn_start(reading.conn,
                               "SELECT number, user_id, began_at, ended_at, undoing, moved,"
                               " deleted, packed, bytes_deleted FROM tier_runs"
                               " ORDER BY number DESC",
                               MC_NO_BINDS, &stmt, err);
    bool more = true;
    while (more && mc_conn_next(reading.conn, stmt, &status, err)) {
        struct mc_tier_run run = {
            .number = mc_column_int(stmt, 0),
            .user_id = mc_column_str(stmt, 1),
            .began_us = mc_column_int(stmt, 2),
            .ended_us = mc_column_int(stmt, 3),
            .undoing = mc_column_int(stmt, 4) != 0,
            .moved = mc_column_int(stmt, 5),
            .deleted = mc_column_int(stmt, 6),
            .packed = mc_column_int(stmt, 7),
            .bytes_deleted = mc_column_int(stmt, 8),
        };
        more = each(context, &run);
    }
    return status;
}

enum mc_status mc_sqlite_run_check(struct mc_conn *conn, int64_t run, struct mc_error *err)
{
    int64_t goes_on = 0;
    if (run == 0)
        return MC_OK;
    enum mc_status status =
        mc_conn_integer(conn, "SELECT count(*) FROM tier_runs WHERE number = ?1 AND NOT undoing",
                        MC_BINDS(mc_bind_int(run)), NULL, &goes_on, err);
    if (status == MC_OK && !goes_on)
        return mc_fail(err, MC_CONFLICT,
                       "run %" PRId64 " of tier migration is being undone, or its user was erased",
                       run);
    return status;
}

enum mc_status mc_sqlite_run_count(struct mc_conn *conn, int64_t run,
                                   const struct mc_tier_step *step, int64_t packed,
                                   struct mc_error *err)
{
    if (run == 0 || step->moved + step->deleted + packed == 0)
        return MC_OK;
    return mc_conn_exec(conn,
                        "UPDATE tier_runs SET moved = moved + ?2, deleted = deleted + ?3,"
                        " packed = packed + ?4, bytes_deleted = bytes_deleted + ?5"
                        " WHERE number = ?1",
                        MC_BINDS(mc_bind_int(run), mc_bind_int(step->moved),
                                 mc_bind_int(step->deleted), mc_bind_int(packed),
                                 mc_bind_int(step->bytes_deleted)),
                        err);
}

static enum mc_status apply_undoing(struct mc_writer *writer, void *context, struct mc_error *err)
{
    struct run_change *c = context;
    struct mc_bind first = mc_bind_int(c->number);
    enum mc_status status = mc_conn_exec(
        writer->conn, "UPDATE tier_runs SET undoing = 1 WHERE number >= ?1", MC_BINDS(first), err);
    if (status == MC_OK)
        status = mc_conn_integer(
            writer->conn, "SELECT coalesce(max(number), 0) FROM tier_runs WHERE number >= ?1",
            MC_BINDS(first), NULL, &c->last, err);
    if (status == MC_OK && c->last == 0)
        return mc_fail_field(err, MC_NOT_FOUND, "run",
                             "there is no run %" PRId64 " of tier migration", c->number);
    return status;
}

enum mc_status mc_sqlite_begin_undo(struct mc_store *store, int64_t first, int64_t *last,
                                    struct mc_error *err)
{
    struct run_change change = {.number = first};
    enum mc_status status =
        mc_sqlite_write(mc_sqlite_of(store), MC_WRITE_OTHER, 1, apply_undoing, &change, err);
    if (status == MC_OK)
        *last = change.last;
    return status;
}

/* ---- Emptying the trash ---- */

struct emptying {
    int64_t before_us, removed;
    size_t limit;
};

#define EXPIRED "SELECT number FROM tier_runs WHERE began_at < ?1 AND NOT undoing"

static enum mc_status apply_empty(struct mc_writer *writer, void *context, struct mc_error *err)
{
    struct emptying *e = context;
    struct mc_bind before = mc_bind_int(e->before_us);
    enum mc_status status = mc_conn_exec(
        writer->conn,
        "DELETE FROM trash WHERE id IN (SELECT id FROM trash WHERE run IN (" EXPIRED ") LIMIT ?2)",
        MC_BINDS(before, mc_bind_int((int64_t)e->limit)), err);
    e->removed = status == MC_OK ? mc_conn_changes(writer->conn) : 0;
    if (status == MC_OK && (size_t)e->removed < e->limit)
        status = mc_conn_exec(writer->conn, "DELETE FROM tier_runs WHERE number IN (" EXPIRED ")",
                              MC_BINDS(before), err);
    return status;
}

enum mc_status mc_sqlite_empty_trash(struct mc_store *store, int64_t before_us, size_t limit,
                                     int64_t *removed, struct mc_error *err)
{
    struct mc_sqlite *s = mc_sqlite_of(store);
    struct emptying emptying = {.before_us = before_us, .limit = limit};
    enum mc_status status = mc_sqlite_write(s, MC_WRITE_OTHER, limit, apply_empty, &emptying, err);
    if (status != MC_OK)
        return status;
    mc_sqlite_relieve_log(s, (size_t)emptying.removed);
    *removed = emptying.removed;
    return MC_OK;
}
