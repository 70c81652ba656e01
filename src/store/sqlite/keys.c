/* Keys of the HTTP interface. */
#include "store/sqlite/sqlite.h"

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"

static enum mc_status apply_key(struct mc_writer *writer, void *context, struct mc_error *err)
{
    const struct mc_key_row *key = context;
    enum mc_status status =
        mc_conn_exec(writer->conn,
                     "INSERT OR IGNORE INTO keys(key_id, hash, definition, created_at)"
                     " VALUES(?1, ?2, ?3, ?4)",
                     MC_BINDS(mc_bind_str(key->key_id), mc_bind_str(key->hash),
                              mc_bind_str(key->definition), mc_bind_int(key->created_at_us)),
                     err);
    if (status == MC_OK && mc_conn_changes(writer->conn) == 0)
        return mc_fail_field(err, MC_CONFLICT, "key_id", "there is a key '%.*s' already",
                             MC_STR_ARG(key->key_id));
    return status;
}

enum mc_status mc_sqlite_put_key(struct mc_store *store, const struct mc_key_row *key,
                                 struct mc_error *err)
{
    struct mc_key_row row = *key;
    return mc_sqlite_write(mc_sqlite_of(store), MC_WRITE_OTHER, 1, apply_key, &row, err);
}

static enum mc_status apply_remove_key(struct mc_writer *writer, void *context,
                                       struct mc_error *err)
{
    const mc_str *key_id = context;
    enum mc_status status = mc_conn_exec(writer->conn, "DELETE FROM keys WHERE key_id = ?1",
                                         MC_BINDS(mc_bind_str(*key_id)), err);
    if (status == MC_OK && mc_conn_changes(writer->conn) == 0)
        return mc_fail_field(err, MC_NOT_FOUND, "key_id", "there is no key '%.*s'",
                             MC_STR_ARG(*key_id));
    return status;
}

enum mc_status mc_sqlite_remove_key(struct mc_store *store, mc_str key_id, struct mc_error *err)
{
    return mc_sqlite_write(mc_sqlite_of(store), MC_WRITE_OTHER, 1, apply_remove_key, &key_id, err);
}

enum mc_status mc_sqlite_keys(struct mc_store *store, mc_key_fn each, void *context,
                              struct mc_error *err)
{
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status = mc_reading_begin(&reading, &mc_sqlite_of(store)->readers, err);
    if (status == MC_OK)
        status = mc_conn_start(reading.conn,
                               "SELECT key_id, hash, definition, created_at FROM keys"
                               " ORDER BY created_at, key_id",
                               MC_NO_BINDS, &stmt, err);
    bool more = true;
    while (more && mc_conn_next(reading.conn, stmt, &status, err)) {
        struct mc_key_row key = {
            .key_id = mc_column_str(stmt, 0),
            .hash = mc_column_str(stmt, 1),
            .definition = mc_column_str(stmt, 2),
            .created_at_us = mc_column_int(stmt, 3),
        };
        more = each(context, &key);
    }
    return status;
}
