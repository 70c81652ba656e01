/*
 * Jobs in the hands of workers: claimed, renewed, released. Times come by the caller's clock and are kept by the
 * database's, so that servers whose clocks differ do not take each other's leases.
 */
#include <stdlib.h>

#include "base/error.h"
#include "store/postgres/pg.h"
#include "store/rules.h"

/* ---- Claiming ---- */

struct claim {
    mc_str lease;
    enum mc_stage stage;
    int64_t now_us, lease_us;
    size_t limit;
    /* Room for limit of each: */
    int64_t *rows, *shards, *enqueued;
    int *attempts;
    size_t count;
    struct mc_records messages;
};

static void claim_fini(struct claim *claim)
{
    mc_records_fini(&claim->messages);
    free(claim->rows);
    free(claim->shards);
    free(claim->enqueued);
    free(claim->attempts);
}

/*
 * The due jobs, up to the first whose lease ran out; that one if it comes first. Jobs that somebody else
 * is just claiming are passed over.
 */
static const char claim_sql[] =
    "WITH due AS MATERIALIZED (SELECT id, due_at, lease FROM jobs WHERE shard = " MC_PG_QUEUE
    " AND stage = $1 AND due_at <= $2 ORDER BY due_at, id LIMIT $3 FOR UPDATE SKIP LOCKED),"
    " numbered AS (SELECT id, row_number() OVER w AS n, count(*) FILTER (WHERE lease IS NOT NULL)"
    " OVER w AS lost FROM due WINDOW w AS (ORDER BY due_at, id ROWS UNBOUNDED PRECEDING)),"
    " taken AS (UPDATE jobs j SET lease = $4, due_at = $5, attempts = j.attempts + 1 FROM numbered "
    "n"
    " WHERE j.shard = " MC_PG_QUEUE " AND j.id = n.id AND (n.lost = 0 OR n.n = 1)"
    " RETURNING j.id, j.enqueued_at, j.attempts, n.n)"
    " SELECT id, enqueued_at, attempts FROM taken ORDER BY n";

static const char claimed_sql[] =
    "SELECT " MC_PG_RECORD " FROM unnest($1, $2) WITH ORDINALITY r(shard, id, nth),"
    " LATERAL (SELECT * FROM messages x WHERE x.shard = r.shard AND x.id = r.id OFFSET 0) m"
    " ORDER BY r.nth";

/* The messages are read before the commit: what cannot be read is not claimed. */
static enum mc_status claim_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct claim *claim = context;
    int64_t now_us = claim->now_us + conn->clock_offset_us;
    claim->count = 0;
    mc_records_fini(&claim->messages);
    mc_pg_add_by_key(conn);
    enum mc_status status = mc_pg_query(
        conn, claim_sql,
        MC_PG_ARGS(mc_pg_int(claim->stage), mc_pg_time(now_us), mc_pg_int((int64_t)claim->limit),
                   mc_pg_str(claim->lease), mc_pg_time(now_us + claim->lease_us)),
        err);
    for (size_t i = 0; status == MC_OK && i < mc_pg_rows(conn, 0) && i < claim->limit; i++) {
        claim->rows[i] = mc_pg_cell_int(conn->results[0], i, 0);
        claim->shards[i] = mc_pg_row_shard(claim->rows[i]);
        claim->enqueued[i] = mc_pg_cell_time(conn->results[0], i, 1) - conn->clock_offset_us;
        claim->attempts[i] = (int)mc_pg_cell_int(conn->results[0], i, 2);
        claim->count++;
    }
    if (status != MC_OK || claim->count == 0)
        return status;
    status = mc_pg_query(
        conn, claimed_sql,
        MC_PG_ARGS(mc_pg_ints(claim->shards, claim->count), mc_pg_ints(claim->rows, claim->count)),
        err);
    return status == MC_OK ? mc_pg_records(conn, conn->results[0], &claim->messages, err) : status;
}

/* The jobs whose messages were there, in the order of the claim. */
static enum mc_status push_jobs(const struct claim *claim, struct mc_jobs *out,
                                struct mc_error *err)
{
    const struct mc_records *found = &claim->messages;
    size_t start = out->count;
    for (size_t i = 0, at = 0; i < claim->count && at < found->count; i++) {
        if (found->items[at]->row != claim->rows[i])
            continue;
        struct mc_job job = {.record = mc_record_ref(found->items[at++]),
                             .enqueued_us = claim->enqueued[i],
                             .attempts = claim->attempts[i],
                             .stage = claim->stage};
        if (mc_rules_push_job(out, &job))
            continue;
        mc_record_unref(job.record);
        while (out->count > start)
            mc_record_unref(out->items[--out->count].record);
        return mc_fail_memory(err); /* the leases run out */
    }
    return MC_OK;
}

enum mc_status mc_pg_claim(struct mc_store *store, mc_str lease, enum mc_stage stage,
                           int64_t now_us, int64_t lease_us, size_t limit, struct mc_jobs *out,
                           struct mc_error *err)
{
    struct mc_pg *s = mc_pg_of(store);
    if (limit == 0)
        return MC_OK;
    mc_auto(claim_fini) struct claim claim = {
        .lease = lease, .stage = stage, .now_us = now_us, .lease_us = lease_us, .limit = limit};
    claim.rows = calloc(limit, sizeof(*claim.rows));
    claim.shards = calloc(limit, sizeof(*claim.shards));
    claim.enqueued = calloc(limit, sizeof(*claim.enqueued));
    claim.attempts = calloc(limit, sizeof(*claim.attempts));
    if (!claim.rows || !claim.shards || !claim.enqueued || !claim.attempts)
        return mc_fail_memory(err);
    enum mc_status status = mc_pg_write(s, MC_PG_SILENT | MC_PG_RELAXED, claim_work, &claim, err);
    return status == MC_OK ? push_jobs(&claim, out, err) : status;
}

/* ---- Renewing and releasing ---- */

struct renewal {
    mc_str lease;
    int64_t until_us;
};

/* A lease that ran out and was not claimed by another is still its holder's. */
static enum mc_status renew_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    const struct renewal *renewal = context;
    enum mc_status status = mc_pg_query(
        conn, "UPDATE jobs SET due_at = $2 WHERE shard = " MC_PG_QUEUE " AND lease = $1",
        MC_PG_ARGS(mc_pg_str(renewal->lease),
                   mc_pg_time(renewal->until_us + conn->clock_offset_us)),
        err);
    if (status == MC_OK && mc_pg_changes(conn, 0) == 0)
        return mc_fail(err, MC_NOT_FOUND, "no job is leased to '%.*s' any more",
                       MC_STR_ARG(renewal->lease));
    return status;
}

enum mc_status mc_pg_renew(struct mc_store *store, mc_str lease, int64_t until_us,
                           struct mc_error *err)
{
    struct renewal renewal = {lease, until_us};
    return mc_pg_write(mc_pg_of(store), MC_PG_SILENT | MC_PG_RELAXED, renew_work, &renewal, err);
}

static enum mc_status release_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    const mc_str *lease = context;
    return mc_pg_query(conn,
                       "UPDATE jobs SET lease = NULL, due_at = enqueued_at,"
                       " attempts = greatest(attempts - 1, 0)"
                       " WHERE shard = " MC_PG_QUEUE " AND lease = $1",
                       MC_PG_ARGS(mc_pg_str(*lease)), err);
}

enum mc_status mc_pg_release(struct mc_store *store, mc_str lease, struct mc_error *err)
{
    /* Not silent: workers of other servers may want the jobs. */
    return mc_pg_write(mc_pg_of(store), MC_PG_RELAXED, release_work, &lease, err);
}
