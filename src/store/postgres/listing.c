/* What there is to choose from: users, and the threads of one, page by page. */
#include "store/postgres/pg.h"

struct listing {
    mc_listed_fn each;
    void *context;
};

static enum mc_status take_listed(const PGresult *result, void *context, struct mc_error *err)
{
    (void)err;
    const struct listing *listing = context;
    bool more = true;
    for (size_t i = 0; more && i < (size_t)PQntuples(result); i++) {
        const struct mc_listed listed = {.id = mc_pg_cell(result, i, 0),
                                         .messages = mc_pg_cell_int(result, i, 1),
                                         .threads = mc_pg_cell_int(result, i, 2),
                                         .last_us = mc_pg_cell_time(result, i, 3)};
        more = listing->each(listing->context, &listed);
    }
    return MC_OK;
}

/* The first page of each shard, merged: an index of ids over all shards exists for nothing else. */
enum mc_status mc_pg_list_users(struct mc_store *store, mc_str prefix, mc_str after, size_t limit,
                                mc_listed_fn each, void *context, struct mc_error *err)
{
    struct listing listing = {each, context};
    return mc_pg_read_one(
        mc_pg_of(store),
        "SELECT u.user_id, u.messages, t.threads, t.last_at FROM"
        " (SELECT p.* FROM generate_series(0, 255) s(shard) CROSS JOIN LATERAL"
        " (SELECT shard, user_id, messages FROM users WHERE shard = s.shard::smallint"
        " AND user_id > $1 AND user_id >= $2 AND user_id < $2 || '" MC_LIST_AFTER_IDS "'"
        " AND messages > 0 ORDER BY user_id LIMIT $3) p ORDER BY p.user_id LIMIT $3) u CROSS JOIN "
        "LATERAL"
        " (SELECT count(*) AS threads, max(last_at) AS last_at FROM threads"
        " WHERE shard = u.shard AND user_id = u.user_id AND messages > 0) t ORDER BY u.user_id",
        MC_PG_ARGS(mc_pg_text(after), mc_pg_text(prefix), mc_pg_int((int64_t)limit)), take_listed,
        &listing, err);
}

enum mc_status mc_pg_list_threads(struct mc_store *store, mc_str user_id, mc_str after,
                                  size_t limit, mc_listed_fn each, void *context,
                                  struct mc_error *err)
{
    struct listing listing = {each, context};
    return mc_pg_read_one(
        mc_pg_of(store),
        "SELECT t.thread_id, t.messages, 1::bigint, t.last_at FROM threads t"
        " WHERE t.shard = $1 AND t.user_id = $2 AND t.messages > 0"
        " AND ($3 = '' OR (t.last_at, t.thread_id) < (SELECT a.last_at, a.thread_id FROM threads a"
        " WHERE a.shard = $1 AND a.user_id = $2 AND a.thread_id = $3))"
        " ORDER BY t.last_at DESC, t.thread_id DESC LIMIT $4",
        MC_PG_ARGS(mc_pg_int(mc_pg_shard(user_id)), mc_pg_str(user_id), mc_pg_text(after),
                   mc_pg_int((int64_t)limit)),
        take_listed, &listing, err);
}
