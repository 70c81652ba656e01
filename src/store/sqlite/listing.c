/* What there is to choose from: users, and the threads of one, page by page. */
#include "store/sqlite/sqlite.h"

static enum mc_status list(struct mc_store *store, const char *sql, const struct mc_bind *binds,
                           mc_listed_fn each, void *context, struct mc_error *err)
{
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status = mc_reading_begin(&reading, &mc_sqlite_of(store)->readers, err);
    if (status == MC_OK)
        status = mc_conn_start(reading.conn, sql, binds, &stmt, err);
    bool row = true, more = true;
    while (status == MC_OK && more) {
        status = mc_conn_step(reading.conn, stmt, &row, err);
        if (status != MC_OK || !row)
            break;
        const struct mc_listed listed = {.id = mc_column_str(stmt, 0),
                                         .messages = mc_column_int(stmt, 1),
                                         .threads = mc_column_int(stmt, 2),
                                         .last_us = mc_column_int(stmt, 3)};
        more = each(context, &listed);
    }
    return status;
}

enum mc_status mc_sqlite_list_users(struct mc_store *store, mc_str prefix, mc_str after,
                                    size_t limit, mc_listed_fn each, void *context,
                                    struct mc_error *err)
{
    return list(
        store,
        "SELECT u.user_id, u.messages,"
        " (SELECT count(*) FROM threads t WHERE t.user_no = u.user_no AND t.messages > 0),"
        " (SELECT max(last_at) FROM threads t WHERE t.user_no = u.user_no AND t.messages > 0)"
        " FROM users u WHERE u.user_id > ?1 AND u.user_id >= ?2"
        " AND u.user_id < ?2 || '" MC_LIST_AFTER_IDS "' AND u.messages > 0"
        " ORDER BY u.user_id LIMIT ?3",
        MC_BINDS(mc_bind_text(after), mc_bind_text(prefix), mc_bind_int((int64_t)limit)), each,
        context, err);
}

enum mc_status mc_sqlite_list_threads(struct mc_store *store, mc_str user_id, mc_str after,
                                      size_t limit, mc_listed_fn each, void *context,
                                      struct mc_error *err)
{
    return list(store,
                "SELECT t.thread_id, t.messages, 1, t.last_at FROM threads t"
                " JOIN users u ON u.user_no = t.user_no WHERE u.user_id = ?1 AND t.messages > 0"
                " AND (?2 = '' OR (t.last_at, t.thread_id) < (SELECT a.last_at, a.thread_id"
                " FROM threads a WHERE a.user_no = u.user_no AND a.thread_id = ?2))"
                " ORDER BY t.last_at DESC, t.thread_id DESC LIMIT ?3",
                MC_BINDS(mc_bind_text(user_id), mc_bind_text(after), mc_bind_int((int64_t)limit)),
                each, context, err);
}
