/* The queue as a whole: counts, and what became of dead jobs. */
#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "store/postgres/pg.h"

/* ---- Counts ---- */

struct stats {
    int64_t now_us;
    struct mc_queue_stats got;
};

static const char stages_sql[] =
    "SELECT stage, count(*) FILTER (WHERE due_at IS NOT NULL),"
    " count(*) FILTER (WHERE due_at > $1 AND lease IS NOT NULL), min(due_at),"
    " count(*) FILTER (WHERE died_at IS NOT NULL)"
    " FROM jobs WHERE shard = " MC_PG_QUEUE " GROUP BY stage";

static enum mc_status read_queue(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct stats *stats = context;
    struct mc_queue_stats *got = &stats->got;
    *got = (struct mc_queue_stats){.ready = 0};
    mc_pg_add(conn, stages_sql, MC_PG_ARGS(mc_pg_time(stats->now_us + conn->clock_offset_us)));
    mc_pg_add(conn,
              "SELECT enqueued_at FROM jobs WHERE shard = " MC_PG_QUEUE
              " AND due_at IS NOT NULL ORDER BY id LIMIT 1",
              MC_PG_NO_ARGS);
    enum mc_status status = mc_pg_run_last(conn, err);
    if (status != MC_OK)
        return status;
    const PGresult *stages = conn->results[0];
    for (size_t i = 0; i < mc_pg_rows(conn, 0); i++) {
        int64_t stage = mc_pg_cell_int(stages, i, 0);
        got->dead += mc_pg_cell_int(stages, i, 4);
        if (stage < MC_STAGE_FIRST || stage > MC_STAGE_MODEL)
            continue;
        struct mc_stage_stats *of = &got->stage[stage];
        of->leased = mc_pg_cell_int(stages, i, 2);
        of->ready = mc_pg_cell_int(stages, i, 1) - of->leased;
        if (!PQgetisnull(stages, (int)i, 3))
            of->next_due_us = mc_pg_cell_time(stages, i, 3) - conn->clock_offset_us;
        got->ready += of->ready;
        got->leased += of->leased;
    }
    if (mc_pg_rows(conn, 1) > 0)
        got->oldest_us = mc_pg_cell_time(conn->results[1], 0, 0) - conn->clock_offset_us;
    return MC_OK;
}

enum mc_status mc_pg_queue(struct mc_store *store, int64_t now_us, struct mc_queue_stats *stats,
                           struct mc_error *err)
{
    struct stats read = {.now_us = now_us};
    enum mc_status status = mc_pg_read(mc_pg_of(store), MC_PG_SNAPSHOT, read_queue, &read, err);
    if (status == MC_OK)
        *stats = read.got;
    return status;
}

/* ---- Dead jobs ---- */

struct dead_list {
    size_t limit;
    mc_dead_job_fn each;
    void *context;
};

static enum mc_status read_dead(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    const struct dead_list *list = context;
    struct mc_arena arena;
    mc_arena_init(&arena, SIZE_MAX / 2);
    enum mc_status status = mc_pg_query(
        conn,
        "SELECT id, attempts, enqueued_at, died_at, error FROM jobs WHERE shard = " MC_PG_QUEUE
        " AND died_at IS NOT NULL ORDER BY died_at DESC, id DESC LIMIT $1",
        MC_PG_ARGS(mc_pg_int((int64_t)list->limit)), err);
    size_t count = status == MC_OK ? mc_pg_rows(conn, 0) : 0;
    struct dead_job {
        int64_t row, attempts, enqueued_us, died_us;
        mc_str error;
    } *jobs = mc_arena_array(&arena, count + 1, sizeof(*jobs));
    if (status == MC_OK && !jobs)
        status = mc_fail_memory(err);
    for (size_t i = 0; status == MC_OK && i < count; i++) {
        const PGresult *result = conn->results[0];
        jobs[i] = (struct dead_job){mc_pg_cell_int(result, i, 0), mc_pg_cell_int(result, i, 1),
                                    mc_pg_cell_time(result, i, 2) - conn->clock_offset_us,
                                    mc_pg_cell_time(result, i, 3) - conn->clock_offset_us,
                                    mc_arena_copy(&arena, mc_pg_cell(result, i, 4))};
        if (!jobs[i].error.data)
            status = mc_fail_memory(err);
    }
    for (size_t i = 0; status == MC_OK && i < count; i++)
        mc_pg_add(conn, "SELECT message_id, user_id FROM messages WHERE shard = $1 AND id = $2",
                  MC_PG_ARGS(mc_pg_int(mc_pg_row_shard(jobs[i].row)), mc_pg_int(jobs[i].row)));
    if (status == MC_OK)
        status = mc_pg_run_last(conn, err);
    bool more = true;
    for (size_t i = 0; status == MC_OK && more && i < count; i++)
        if (mc_pg_rows(conn, i) > 0)
            more = list->each(list->context, mc_pg_cell(conn->results[i], 0, 0),
                              mc_pg_cell(conn->results[i], 0, 1), (int)jobs[i].attempts,
                              jobs[i].enqueued_us, jobs[i].died_us, jobs[i].error);
    mc_arena_fini(&arena);
    return status;
}

enum mc_status mc_pg_dead_jobs(struct mc_store *store, size_t limit, mc_dead_job_fn each,
                               void *context, struct mc_error *err)
{
    struct dead_list list = {limit, each, context};
    return mc_pg_read(mc_pg_of(store), MC_PG_SNAPSHOT, read_dead, &list, err);
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

/* Locks the jobs. */
static enum mc_status collect(struct mc_pg_conn *conn, struct dead *dead, struct mc_error *err)
{
    int64_t row = 0;
    bool one = mc_str_given(dead->message_id);
    enum mc_status status = MC_OK;
    if (one) {
        status = mc_pg_query(
            conn, "SELECT id FROM message_ids WHERE shard = $1 AND message_id = $2",
            MC_PG_ARGS(mc_pg_int(mc_pg_shard(dead->message_id)), mc_pg_str(dead->message_id)), err);
        row = status == MC_OK ? mc_pg_first_int(conn, 0) : 0;
    }
    if (status == MC_OK)
        status = mc_pg_query(
            conn,
            "SELECT id FROM jobs WHERE shard = " MC_PG_QUEUE
            " AND died_at IS NOT NULL AND ($2 IS NULL OR id = $2)"
            " ORDER BY died_at, id LIMIT $1 FOR UPDATE",
            MC_PG_ARGS(mc_pg_int(STEP),
                       (struct mc_pg_arg){.type = 'i', .null = !one, .value = {.integer = row}}),
            err);
    dead->count = status == MC_OK ? mc_pg_rows(conn, 0) : 0;
    for (size_t i = 0; i < dead->count; i++)
        dead->rows[i] = mc_pg_cell_int(conn->results[0], i, 0);
    return status;
}

/* Ready again, their messages pending, in the order of locks: messages, then threads. */
static enum mc_status revive(struct mc_pg_conn *conn, const struct dead *dead, struct mc_error *err)
{
    const struct mc_pg_arg state[] = {mc_pg_int(MC_ENRICHMENT_PENDING), {.type = 0}};
    size_t statements;
    struct mc_arena names;
    mc_pg_add(conn,
              "UPDATE jobs SET stage = 1, due_at = $2, attempts = 0, lease = NULL, died_at = NULL,"
              " error = NULL WHERE shard = " MC_PG_QUEUE " AND id = ANY($1)",
              MC_PG_ARGS(mc_pg_ints(dead->rows, dead->count),
                         mc_pg_time(dead->now_us + conn->clock_offset_us)));
    enum mc_status status =
        mc_pg_add_by_shard(conn,
                           "UPDATE messages SET state = $3 WHERE shard = $1 AND id = ANY($2)"
                           " RETURNING user_id, thread_id",
                           dead->rows, dead->count, state, &statements, err);
    if (status == MC_OK)
        status = mc_pg_run(conn, err);
    if (status != MC_OK)
        return status;
    mc_arena_init(&names, SIZE_MAX / 2);
    mc_str(*threads)[2] = mc_arena_array(&names, dead->count, sizeof(*threads));
    size_t count = 0;
    bool failed = !threads;
    for (size_t i = 1; !failed && i <= statements; i++)
        for (size_t j = 0; j < mc_pg_rows(conn, i) && count < dead->count; j++, count++)
            for (int k = 0; k < 2; k++) {
                threads[count][k] = mc_arena_copy(&names, mc_pg_cell(conn->results[i], j, k));
                failed = failed || !threads[count][k].data;
            }
    for (size_t i = 0; !failed && i < count; i++)
        mc_pg_add_bump(conn, threads[i][0], threads[i][1], 1);
    status = failed ? mc_fail_memory(err) : mc_pg_run(conn, err);
    mc_arena_fini(&names);
    return status;
}

static enum mc_status dead_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct dead *dead = context;
    enum mc_status status = collect(conn, dead, err);
    if (status != MC_OK || dead->count == 0)
        return status;
    if (dead->retry)
        return revive(conn, dead, err);
    return mc_pg_query(conn, "DELETE FROM jobs WHERE shard = " MC_PG_QUEUE " AND id = ANY($1)",
                       MC_PG_ARGS(mc_pg_ints(dead->rows, dead->count)), err);
}

static enum mc_status for_all_dead(struct mc_store *store, struct dead *dead, uint64_t *count,
                                   struct mc_error *err)
{
    uint64_t total = 0;
    do {
        enum mc_status status = mc_pg_write(mc_pg_of(store), 0, dead_work, dead, err);
        if (status != MC_OK)
            return status;
        total += dead->count;
    } while (dead->count == STEP);
    *count = total;
    return MC_OK;
}

enum mc_status mc_pg_retry(struct mc_store *store, mc_str message_id, int64_t now_us,
                           uint64_t *count, struct mc_error *err)
{
    struct dead dead = {.message_id = message_id, .retry = true, .now_us = now_us};
    return for_all_dead(store, &dead, count, err);
}

enum mc_status mc_pg_purge(struct mc_store *store, uint64_t *count, struct mc_error *err)
{
    struct dead dead = {.retry = false};
    return for_all_dead(store, &dead, count, err);
}
