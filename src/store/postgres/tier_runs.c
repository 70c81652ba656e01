/* Runs of tier migration that can be taken back. */
#include "store/postgres/pg.h"

#include <stdlib.h>

#include "base/error.h"

struct run_change {
    mc_str user_id;
    int64_t number, now_us, last;
};

/* Of a run that begins and an undo that begins the second one sees the first. The number is "Tier" in ASCII. */
#define RUNS_LOCK "SELECT pg_advisory_xact_lock(1416193394)"

static enum mc_status begin_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct run_change *c = context;
    mc_pg_add_quiet(conn, RUNS_LOCK, MC_PG_NO_ARGS);
    enum mc_status status = mc_pg_run(conn, err);
    if (status == MC_OK)
        status = mc_pg_query(conn, "SELECT EXISTS(SELECT 1 FROM tier_runs WHERE undoing)",
                             MC_PG_NO_ARGS, err);
    if (status != MC_OK)
        return status;
    if (mc_pg_first_int(conn, 0))
        return mc_fail(err, MC_CONFLICT, "tier migrations are being undone; try again after that");
    status = mc_pg_query(
        conn,
        "INSERT INTO tier_runs(number, user_id, began_at, undoing, moved, deleted, packed,"
        " bytes_deleted) VALUES(nextval('tier_run_numbers'), $1, $2, false, 0, 0, 0, 0)"
        " RETURNING number",
        MC_PG_ARGS(mc_pg_str(c->user_id), mc_pg_time(c->now_us)), err);
    if (status == MC_OK)
        c->number = mc_pg_first_int(conn, 0);
    return status;
}

enum mc_status mc_pg_begin_run(struct mc_store *store, mc_str user_id, int64_t now_us,
                               int64_t *number, struct mc_error *err)
{
    struct run_change change = {.user_id = user_id, .now_us = now_us};
    enum mc_status status = mc_pg_write(mc_pg_of(store), MC_PG_SILENT, begin_work, &change, err);
    if (status == MC_OK)
        *number = change.number;
    return status;
}

static enum mc_status end_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    (void)err;
    const struct run_change *c = context;
    mc_pg_add_quiet(conn,
                    "DELETE FROM tier_runs WHERE number = $1 AND NOT undoing AND moved = 0"
                    " AND deleted = 0 AND packed = 0",
                    MC_PG_ARGS(mc_pg_int(c->number)));
    mc_pg_add_quiet(conn, "UPDATE tier_runs SET ended_at = $2 WHERE number = $1",
                    MC_PG_ARGS(mc_pg_int(c->number), mc_pg_time(c->now_us)));
    return MC_OK; /* run by the commit */
}

enum mc_status mc_pg_end_run(struct mc_store *store, int64_t number, int64_t now_us,
                             struct mc_error *err)
{
    struct run_change change = {.number = number, .now_us = now_us};
    return mc_pg_write(mc_pg_of(store), MC_PG_SILENT, end_work, &change, err);
}

struct run_reader {
    mc_tier_run_fn each;
    void *context;
};

static enum mc_status take_runs(const PGresult *result, void *context, struct mc_error *err)
{
    (void)err;
    const struct run_reader *reader = context;
    bool more = true;
    for (size_t i = 0; more && i < (size_t)PQntuples(result); i++) {
        struct mc_tier_run run = {
            .number = mc_pg_cell_int(result, i, 0),
            .user_id = mc_pg_cell(result, i, 1),
            .began_us = mc_pg_cell_time(result, i, 2),
            .ended_us = mc_pg_cell_time(result, i, 3),
            .undoing = mc_pg_cell_int(result, i, 4) != 0,
            .moved = mc_pg_cell_int(result, i, 5),
            .deleted = mc_pg_cell_int(result, i, 6),
            .packed = mc_pg_cell_int(result, i, 7),
            .bytes_deleted = mc_pg_cell_int(result, i, 8),
        };
        more = reader->each(reader->context, &run);
    }
    return MC_OK;
}

enum mc_status mc_pg_runs(struct mc_store *store, mc_tier_run_fn each, void *context,
                          struct mc_error *err)
{
    struct run_reader reader = {each, context};
    return mc_pg_read_one(mc_pg_of(store),
                          "SELECT number, user_id, began_at, ended_at, undoing, moved, deleted,"
                          " packed, bytes_deleted FROM tier_runs ORDER BY number DESC",
                          MC_PG_NO_ARGS, take_runs, &reader, err);
}

enum mc_status mc_pg_run_check(struct mc_pg_conn *conn, int64_t run, struct mc_error *err)
{
    if (run == 0)
        return MC_OK;
    enum mc_status status = mc_pg_query(
        conn, "SELECT number FROM tier_runs WHERE number = $1 AND NOT undoing FOR UPDATE",
        MC_PG_ARGS(mc_pg_int(run)), err);
    if (status == MC_OK && mc_pg_rows(conn, 0) == 0)
        return mc_fail(err, MC_CONFLICT,
                       "run %" PRId64 " of tier migration is being undone, or its user was erased",
                       run);
    return status;
}

void mc_pg_add_run_count(struct mc_pg_conn *conn, int64_t run, const struct mc_tier_step *step,
                         int64_t packed)
{
    if (run != 0 && step->moved + step->deleted + packed > 0)
        mc_pg_add_quiet(conn,
                        "UPDATE tier_runs SET moved = moved + $2, deleted = deleted + $3,"
                        " packed = packed + $4, bytes_deleted = bytes_deleted + $5"
                        " WHERE number = $1",
                        MC_PG_ARGS(mc_pg_int(run), mc_pg_int(step->moved), mc_pg_int(step->deleted),
                                   mc_pg_int(packed), mc_pg_int(step->bytes_deleted)));
}

static enum mc_status undoing_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct run_change *c = context;
    struct mc_pg_arg first = mc_pg_int(c->number);
    mc_pg_add_quiet(conn, RUNS_LOCK, MC_PG_NO_ARGS);
    /* Waits for the step of a run that goes on. */
    mc_pg_add_quiet(conn, "UPDATE tier_runs SET undoing = true WHERE number >= $1",
                    MC_PG_ARGS(first));
    enum mc_status status = mc_pg_run(conn, err);
    if (status == MC_OK)
        status = mc_pg_query(
            conn, "SELECT coalesce(max(number), 0)::bigint FROM tier_runs WHERE number >= $1",
            MC_PG_ARGS(first), err);
    if (status != MC_OK)
        return status;
    c->last = mc_pg_first_int(conn, 0);
    if (c->last == 0)
        return mc_fail_field(err, MC_NOT_FOUND, "run",
                             "there is no run %" PRId64 " of tier migration", c->number);
    return MC_OK;
}

enum mc_status mc_pg_begin_undo(struct mc_store *store, int64_t first, int64_t *last,
                                struct mc_error *err)
{
    struct run_change change = {.number = first};
    enum mc_status status = mc_pg_write(mc_pg_of(store), MC_PG_SILENT, undoing_work, &change, err);
    if (status == MC_OK)
        *last = change.last;
    return status;
}

/* ---- Emptying the trash ---- */

struct emptying {
    int64_t before_us, removed;
    size_t limit;
};

#define EXPIRED "SELECT number FROM tier_runs WHERE began_at < $1 AND NOT undoing"

static enum mc_status empty_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct emptying *e = context;
    struct mc_pg_arg before = mc_pg_time(e->before_us);
    size_t statements;
    enum mc_status status =
        mc_pg_query(conn, "SELECT id FROM trash WHERE run IN (" EXPIRED ") ORDER BY id LIMIT $2",
                    MC_PG_ARGS(before, mc_pg_int((int64_t)e->limit)), err);
    size_t count = status == MC_OK ? mc_pg_rows(conn, 0) : 0;
    int64_t *rows = calloc(count + 1, sizeof(*rows));
    if (status == MC_OK && !rows)
        status = mc_fail_memory(err);
    for (size_t i = 0; status == MC_OK && i < count; i++)
        rows[i] = mc_pg_cell_int(conn->results[0], i, 0);
    if (status == MC_OK)
        status = mc_pg_add_by_shard(conn, "DELETE FROM trash WHERE shard = $1 AND id = ANY($2)",
                                    rows, count, NULL, &statements, err);
    free(rows);
    if (status == MC_OK && count < e->limit)
        mc_pg_add_quiet(conn, "DELETE FROM tier_runs WHERE number IN (" EXPIRED ")",
                        MC_PG_ARGS(before));
    e->removed = (int64_t)count;
    return status;
}

enum mc_status mc_pg_empty_trash(struct mc_store *store, int64_t before_us, size_t limit,
                                 int64_t *removed, struct mc_error *err)
{
    struct emptying emptying = {.before_us = before_us, .limit = limit};
    enum mc_status status = mc_pg_write(mc_pg_of(store), MC_PG_SILENT, empty_work, &emptying, err);
    if (status == MC_OK)
        *removed = emptying.removed;
    return status;
}
