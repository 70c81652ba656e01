/* Twins: metadata that is found by the hash of what it was made from. */
#include "store/sqlite/sqlite.h"

#include "base/error.h"
#include "base/str.h"

enum mc_status mc_sqlite_twin_set(struct mc_conn *conn, int64_t row, mc_str hash,
                                  struct mc_error *err)
{
    if (!mc_str_given(hash))
        return mc_conn_exec(conn, "DELETE FROM twins WHERE row = ?1", MC_BINDS(mc_bind_int(row)),
                            err);
    /* Replaces both what the hash found before and what found the message before. */
    return mc_conn_exec(conn, "INSERT OR REPLACE INTO twins(hash, row) VALUES(?1, ?2)",
                        MC_BINDS(mc_bind_blob(hash), mc_bind_int(row)), err);
}

enum mc_status mc_sqlite_twin(struct mc_store *store, mc_str content_hash, struct mc_buf *metadata,
                              struct mc_error *err)
{
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    bool found = false;
    enum mc_status status = mc_reading_begin(&reading, &mc_sqlite_of(store)->readers, err);
    if (status == MC_OK)
        status = mc_conn_start(reading.conn,
                               "SELECT m.metadata FROM twins t JOIN messages m ON m.id = t.row"
                               " WHERE t.hash = ?1",
                               MC_BINDS(mc_bind_blob(content_hash)), &stmt, err);
    if (status == MC_OK)
        status = mc_conn_step(reading.conn, stmt, &found, err);
    if (status != MC_OK)
        return status;
    if (!found)
        return mc_fail(err, MC_NOT_FOUND, "no stored message was made of the same");
    mc_str text = mc_column_str(stmt, 0);
    if (metadata->failed || text.len > metadata->max - metadata->len)
        return mc_fail(err, MC_TOO_LARGE, "the metadata is longer than %zu bytes", metadata->max);
    mc_buf_append(metadata, text);
    return metadata->failed ? mc_fail_memory(err) : MC_OK;
}
