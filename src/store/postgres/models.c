/* What models need: twins, metadata that is found by the hash of what it was made from; the ledger. */
#include "base/error.h"
#include "store/postgres/pg.h"

/* ---- Twins ---- */

struct twin {
    mc_str hash;
    struct mc_buf *metadata;
    bool found;
};

static enum mc_status twin_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct twin *twin = context;
    enum mc_status status =
        mc_pg_query(conn, "SELECT id FROM twins WHERE shard = $1 AND hash = $2",
                    MC_PG_ARGS(mc_pg_int(mc_pg_shard(twin->hash)), mc_pg_bytes(twin->hash)), err);
    if (status != MC_OK || mc_pg_rows(conn, 0) == 0)
        return status;
    int64_t row = mc_pg_first_int(conn, 0);
    mc_pg_add(conn, "SELECT attached FROM messages WHERE shard = $1 AND id = $2",
              MC_PG_ARGS(mc_pg_int(mc_pg_row_shard(row)), mc_pg_int(row)));
    status = mc_pg_run_last(conn, err);
    if (status != MC_OK || mc_pg_rows(conn, 0) == 0)
        return status;
    mc_str text = mc_pg_cell(conn->results[0], 0, 0);
    struct mc_buf *metadata = twin->metadata;
    twin->found = true;
    if (metadata->failed || text.len > metadata->max - metadata->len)
        return mc_fail(err, MC_TOO_LARGE, "the metadata is longer than %zu bytes", metadata->max);
    mc_buf_append(metadata, text);
    return metadata->failed ? mc_fail_memory(err) : MC_OK;
}

enum mc_status mc_pg_twin(struct mc_store *store, mc_str content_hash, struct mc_buf *metadata,
                          struct mc_error *err)
{
    struct twin twin = {.hash = content_hash, .metadata = metadata};
    enum mc_status status = mc_pg_read(mc_pg_of(store), MC_PG_SNAPSHOT, twin_work, &twin, err);
    if (status == MC_OK && !twin.found)
        return mc_fail(err, MC_NOT_FOUND, "no stored message was made of the same");
    return status;
}

/* ---- The ledger: one row a day, operation, provider and model ---- */

struct usage {
    const struct mc_usage_row *rows;
    size_t count;
};

static enum mc_status usage_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    const struct usage *usage = context;
    for (size_t i = 0; i < usage->count; i++) {
        const struct mc_usage_row *r = &usage->rows[i];
        mc_pg_add_quiet(
            conn,
            "INSERT INTO usage AS u(shard, day, operation, provider, model, calls, failures,"
            " tokens_in, tokens_cached, tokens_out, took, cost_usd)"
            " VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
            " ON CONFLICT (shard, day, operation, provider, model) DO UPDATE SET"
            " calls = u.calls + excluded.calls, failures = u.failures + excluded.failures,"
            " tokens_in = u.tokens_in + excluded.tokens_in,"
            " tokens_cached = u.tokens_cached + excluded.tokens_cached,"
            " tokens_out = u.tokens_out + excluded.tokens_out, took = u.took + excluded.took,"
            " cost_usd = u.cost_usd + excluded.cost_usd",
            MC_PG_ARGS(mc_pg_int(mc_pg_shard(r->model)), mc_pg_int(r->day),
                       mc_pg_text(r->operation), mc_pg_text(r->provider), mc_pg_text(r->model),
                       mc_pg_int(r->calls), mc_pg_int(r->failures), mc_pg_int(r->tokens_in),
                       mc_pg_int(r->tokens_cached), mc_pg_int(r->tokens_out), mc_pg_int(r->took_us),
                       mc_pg_double(r->cost_usd)));
    }
    return mc_pg_run(conn, err);
}

enum mc_status mc_pg_add_usage(struct mc_store *store, const struct mc_usage_row *rows,
                               size_t count, struct mc_error *err)
{
    if (count == 0)
        return MC_OK;
    struct usage usage = {rows, count};
    return mc_pg_write(mc_pg_of(store), MC_PG_SILENT, usage_work, &usage, err);
}

struct usage_reader {
    mc_usage_fn each;
    void *context;
};

static enum mc_status take_usage(const PGresult *result, void *context, struct mc_error *err)
{
    (void)err;
    const struct usage_reader *reader = context;
    bool more = true;
    for (size_t i = 0; more && i < (size_t)PQntuples(result); i++) {
        struct mc_usage_row usage = {
            .day = mc_pg_cell_int(result, i, 0),
            .operation = mc_pg_cell(result, i, 1),
            .provider = mc_pg_cell(result, i, 2),
            .model = mc_pg_cell(result, i, 3),
            .calls = mc_pg_cell_int(result, i, 4),
            .failures = mc_pg_cell_int(result, i, 5),
            .tokens_in = mc_pg_cell_int(result, i, 6),
            .tokens_cached = mc_pg_cell_int(result, i, 7),
            .tokens_out = mc_pg_cell_int(result, i, 8),
            .took_us = mc_pg_cell_int(result, i, 9),
            .cost_usd = mc_pg_cell_double(result, i, 10),
        };
        more = reader->each(reader->context, &usage);
    }
    return MC_OK;
}

enum mc_status mc_pg_usage(struct mc_store *store, int64_t first_day, int64_t last_day,
                           mc_usage_fn each, void *context, struct mc_error *err)
{
    struct usage_reader reader = {each, context};
    return mc_pg_read_one(mc_pg_of(store),
                          "SELECT day, operation, provider, model, calls, failures, tokens_in,"
                          " tokens_cached, tokens_out, took, cost_usd FROM usage"
                          " WHERE day >= $1 AND day <= $2"
                          " ORDER BY day, operation, provider, model",
                          MC_PG_ARGS(mc_pg_int(first_day), mc_pg_int(last_day)), take_usage,
                          &reader, err);
}
