/* The ledger of models: one row a day, operation, provider and model. */
#include "store/sqlite/sqlite.h"

#include "base/error.h"
#include "base/str.h"

struct usage {
    const struct mc_usage_row *rows;
    size_t count;
};

static enum mc_status apply_usage(struct mc_writer *writer, void *context, struct mc_error *err)
{
    const struct usage *usage = context;
    enum mc_status status = MC_OK;
    for (size_t i = 0; status == MC_OK && i < usage->count; i++) {
        const struct mc_usage_row *r = &usage->rows[i];
        status = mc_conn_exec(
            writer->conn,
            "INSERT INTO usage(day, operation, provider, model, calls, failures, tokens_in,"
            " tokens_cached, tokens_out, took, cost_usd)"
            " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
            " ON CONFLICT DO UPDATE SET calls = calls + ?5, failures = failures + ?6,"
            " tokens_in = tokens_in + ?7, tokens_cached = tokens_cached + ?8,"
            " tokens_out = tokens_out + ?9, took = took + ?10, cost_usd = cost_usd + ?11",
            MC_BINDS(mc_bind_int(r->day), mc_bind_text(r->operation), mc_bind_text(r->provider),
                     mc_bind_text(r->model), mc_bind_int(r->calls), mc_bind_int(r->failures),
                     mc_bind_int(r->tokens_in), mc_bind_int(r->tokens_cached),
                     mc_bind_int(r->tokens_out), mc_bind_int(r->took_us),
                     mc_bind_double(r->cost_usd)),
            err);
    }
    return status;
}

enum mc_status mc_sqlite_add_usage(struct mc_store *store, const struct mc_usage_row *rows,
                                   size_t count, struct mc_error *err)
{
    if (count == 0)
        return MC_OK;
    struct usage usage = {rows, count};
    return mc_sqlite_write(mc_sqlite_of(store), MC_WRITE_OTHER, count, apply_usage, &usage, err);
}

enum mc_status mc_sqlite_usage(struct mc_store *store, int64_t first_day, int64_t last_day,
                               mc_usage_fn each, void *context, struct mc_error *err)
{
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status = mc_reading_begin(&reading, &mc_sqlite_of(store)->readers, err);
    if (status == MC_OK)
        status = mc_conn_start(reading.conn,
                               "SELECT day, operation, provider, model, calls, failures, tokens_in,"
                               " tokens_cached, tokens_out, took, cost_usd FROM usage"
                               " WHERE day >= ?1 AND day <= ?2"
                               " ORDER BY day, operation, provider, model",
                               MC_BINDS(mc_bind_int(first_day), mc_bind_int(last_day)), &stmt, err);
    bool more = true;
    while (more && mc_conn_next(reading.conn, stmt, &status, err)) {
        struct mc_usage_row usage = {
            .day = mc_column_int(stmt, 0),
            .operation = mc_column_str(stmt, 1),
            .provider = mc_column_str(stmt, 2),
            .model = mc_column_str(stmt, 3),
            .calls = mc_column_int(stmt, 4),
            .failures = mc_column_int(stmt, 5),
            .tokens_in = mc_column_int(stmt, 6),
            .tokens_cached = mc_column_int(stmt, 7),
            .tokens_out = mc_column_int(stmt, 8),
            .took_us = mc_column_int(stmt, 9),
            .cost_usd = sqlite3_column_double(stmt, 10),
        };
        more = each(context, &usage);
    }
    return status;
}
