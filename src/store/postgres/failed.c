/* Jobs that failed: they are tried again later, or they die, and their messages say so. */
#include "base/error.h"
#include "store/postgres/batch.h"

struct failed {
    struct mc_pg_batch batch; /* first */
    const struct mc_failure *items;
};

static void add_failure(struct mc_pg_conn *conn, mc_str lease, const struct mc_failure *f,
                        int64_t now_us)
{
    if (f->retry_at_us != 0)
        mc_pg_add(conn,
                  "UPDATE jobs SET lease = NULL, due_at = $3, error = $4,"
                  " attempts = greatest(attempts - $5, 0)"
                  " WHERE shard = " MC_PG_QUEUE " AND id = $1 AND lease = $2",
                  MC_PG_ARGS(mc_pg_int(f->row), mc_pg_str(lease),
                             mc_pg_time(f->retry_at_us + conn->clock_offset_us),
                             mc_pg_text(f->error), mc_pg_int(f->no_attempt)));
    else
        mc_pg_add(conn,
                  "UPDATE jobs SET lease = NULL, due_at = NULL, died_at = $3, error = $4,"
                  " attempts = greatest(attempts - $5, 0)"
                  " WHERE shard = " MC_PG_QUEUE " AND id = $1 AND lease = $2",
                  MC_PG_ARGS(mc_pg_int(f->row), mc_pg_str(lease), mc_pg_time(now_us),
                             mc_pg_text(f->error), mc_pg_int(f->no_attempt)));
}

static void add_buried(struct mc_pg_conn *conn, const struct mc_pg_held *held,
                       const struct mc_failure *f)
{
    mc_pg_add_quiet(
        conn,
        "UPDATE messages SET state = $3, metadata = coalesce($4::text::jsonb, metadata),"
        " attached = coalesce($4, attached),"
        " twin = CASE WHEN $4::text IS NULL THEN twin END"
        " WHERE shard = $1 AND id = $2",
        MC_PG_ARGS(mc_pg_int(mc_pg_row_shard(held->row)), mc_pg_int(held->row),
                   mc_pg_int(MC_ENRICHMENT_FAILED), mc_pg_str(f->metadata)));
    if (mc_str_given(f->metadata) && mc_str_given(held->twin))
        mc_pg_add_quiet(conn, "DELETE FROM twins WHERE shard = $1 AND hash = $2 AND id = $3",
                        MC_PG_ARGS(mc_pg_int(mc_pg_shard(held->twin)), mc_pg_bytes(held->twin),
                                   mc_pg_int(held->row)));
}

static enum mc_status failed_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct failed *f = context;
    struct mc_pg_batch *b = &f->batch;
    mc_pg_batch_begin(b);
    mc_pg_add_by_key(conn);
    for (size_t i = 0; i < b->count; i++)
        add_failure(conn, b->lease, &f->items[i], mc_pg_now_us(conn));
    enum mc_status status = mc_pg_run(conn, err);
    for (size_t i = 0; status == MC_OK && i < b->count; i++) {
        if (f->items[i].retry_at_us != 0 || mc_pg_changes(conn, i) == 0)
            continue;
        b->rows[b->held_count] = f->items[i].row;
        b->held[b->held_count++] = (struct mc_pg_held){.item = i, .row = f->items[i].row};
    }
    if (status != MC_OK || b->held_count == 0)
        return status;
    status = mc_pg_batch_add_read(conn, b, b->rows, b->held_count, err);
    if (status == MC_OK)
        status = mc_pg_run(conn, err);
    if (status == MC_OK)
        status = mc_pg_batch_take_read(conn->results[0], b, err);
    for (size_t i = 0; status == MC_OK && i < b->held_count; i++)
        if (b->held[i].found)
            add_buried(conn, &b->held[i], &f->items[b->held[i].item]);
    if (status == MC_OK)
        status = mc_pg_batch_add_bumps(conn, b, err);
    return status == MC_OK ? mc_pg_run_last(conn, err) : status;
}

enum mc_status mc_pg_failed(struct mc_store *store, mc_str lease, const struct mc_failure *items,
                            size_t count, struct mc_error *err)
{
    if (count == 0)
        return MC_OK;
    struct failed failed = {.items = items};
    enum mc_status status = mc_pg_batch_init(&failed.batch, lease, count, err);
    if (status == MC_OK)
        status = mc_pg_write(mc_pg_of(store), 0, failed_work, &failed, err);
    mc_pg_batch_fini(&failed.batch);
    return status;
}
