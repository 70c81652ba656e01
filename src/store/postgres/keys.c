/* Keys of the HTTP interface. */
#include "base/error.h"
#include "store/postgres/pg.h"

static enum mc_status key_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    const struct mc_key_row *key = context;
    enum mc_status status =
        mc_pg_query(conn,
                    "INSERT INTO keys(shard, key_id, hash, definition, created_at)"
                    " VALUES($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                    MC_PG_ARGS(mc_pg_int(mc_pg_shard(key->key_id)), mc_pg_str(key->key_id),
                               mc_pg_str(key->hash), mc_pg_str(key->definition),
                               mc_pg_time(key->created_at_us)),
                    err);
    if (status == MC_OK && mc_pg_changes(conn, 0) == 0)
        return mc_fail_field(err, MC_CONFLICT, "key_id", "there is a key '%.*s' already",
                             MC_STR_ARG(key->key_id));
    return status;
}

enum mc_status mc_pg_put_key(struct mc_store *store, const struct mc_key_row *key,
                             struct mc_error *err)
{
    struct mc_key_row row = *key;
    return mc_pg_write(mc_pg_of(store), 0, key_work, &row, err);
}

static enum mc_status remove_key_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    const mc_str *key_id = context;
    enum mc_status status =
        mc_pg_query(conn, "DELETE FROM keys WHERE shard = $1 AND key_id = $2",
                    MC_PG_ARGS(mc_pg_int(mc_pg_shard(*key_id)), mc_pg_str(*key_id)), err);
    if (status == MC_OK && mc_pg_changes(conn, 0) == 0)
        return mc_fail_field(err, MC_NOT_FOUND, "key_id", "there is no key '%.*s'",
                             MC_STR_ARG(*key_id));
    return status;
}

enum mc_status mc_pg_remove_key(struct mc_store *store, mc_str key_id, struct mc_error *err)
{
    return mc_pg_write(mc_pg_of(store), 0, remove_key_work, &key_id, err);
}

struct key_reader {
    mc_key_fn each;
    void *context;
};

static enum mc_status take_keys(const PGresult *result, void *context, struct mc_error *err)
{
    (void)err;
    const struct key_reader *reader = context;
    bool more = true;
    for (size_t i = 0; more && i < (size_t)PQntuples(result); i++) {
        struct mc_key_row key = {
            .key_id = mc_pg_cell(result, i, 0),
            .hash = mc_pg_cell(result, i, 1),
            .definition = mc_pg_cell(result, i, 2),
            .created_at_us = mc_pg_cell_time(result, i, 3),
        };
        more = reader->each(reader->context, &key);
    }
    return MC_OK;
}

enum mc_status mc_pg_keys(struct mc_store *store, mc_key_fn each, void *context,
                          struct mc_error *err)
{
    struct key_reader reader = {each, context};
    return mc_pg_read_one(mc_pg_of(store),
                          "SELECT key_id, hash, definition, created_at FROM keys"
                          " ORDER BY created_at, key_id",
                          MC_PG_NO_ARGS, take_keys, &reader, err);
}
