#include "store/sqlite/sqlite.h"

#include "base/error.h"
#include "base/str.h"

enum mc_status mc_sqlite_keep_row(struct mc_conn *conn, struct mc_error *err)
{
    return mc_conn_exec(conn,
                        "UPDATE state SET last_row = (SELECT max(id) FROM messages)"
                        " WHERE last_row < (SELECT max(id) FROM messages)",
                        MC_NO_BINDS, err);
}

/* What must be known of a message to take it out. */
struct dropping {
    int64_t row, user_no, thread_no, created_at;
};

static enum mc_status drop_entries(struct mc_conn *conn, int64_t row, struct dropping *d,
                                   struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    bool found = false;
    enum mc_status status = mc_conn_start(
        conn, "SELECT user_no, thread_no, created_at, terms FROM messages WHERE id = ?1",
        MC_BINDS(mc_bind_int(row)), &stmt, err);
    if (status == MC_OK)
        status = mc_conn_step(conn, stmt, &found, err);
    if (status != MC_OK)
        return status;
    if (!found)
        return mc_fail(err, MC_NOT_FOUND, "there is no message in row %" PRId64, row);
    *d = (struct dropping){row, mc_column_int(stmt, 0), mc_column_int(stmt, 1),
                           mc_column_int(stmt, 2)};
    mc_str terms = mc_column_str(stmt, 3);
    if (!mc_str_given(terms))
        return MC_OK;
    return mc_fts_change(conn, false, row, d->user_no, d->thread_no, terms, err);
}

static enum mc_status drop_counts(struct mc_conn *conn, const struct dropping *d,
                                  struct mc_error *err)
{
    enum mc_status status = mc_conn_exec(
        conn,
        "UPDATE threads SET version = version + 1, messages = messages - 1, summarised ="
        " CASE WHEN ?2 <= summarised_until THEN max(summarised - 1, 0) ELSE summarised END"
        " WHERE thread_no = ?1",
        MC_BINDS(mc_bind_int(d->thread_no), mc_bind_int(d->created_at)), err);
    if (status == MC_OK)
        status = mc_conn_exec(conn, "UPDATE users SET messages = messages - 1 WHERE user_no = ?1",
                              MC_BINDS(mc_bind_int(d->user_no)), err);
    if (status == MC_OK)
        status = mc_conn_exec(conn,
                              "UPDATE summaries SET lost = 1 WHERE user_no = ?1 AND thread_no = ?2"
                              " AND last_at >= ?3",
                              MC_BINDS(mc_bind_int(d->user_no), mc_bind_int(d->thread_no),
                                       mc_bind_int(d->created_at)),
                              err);
    return status;
}

/*
 * What somebody wants gone must not live on in a summary: those that may tell of the message go,
 * and the thread is due again from where the others end.
 */
static enum mc_status drop_summaries(struct mc_conn *conn, const struct dropping *d,
                                     struct mc_error *err)
{
    struct mc_bind thread = mc_bind_int(d->thread_no), user = mc_bind_int(d->user_no);
    enum mc_status status = mc_conn_exec(
        conn, "UPDATE threads SET withdrawn = version WHERE thread_no = ?1", MC_BINDS(thread), err);
    if (status == MC_OK)
        status = mc_conn_exec(conn,
                              "DELETE FROM summaries WHERE user_no = ?1 AND thread_no = ?2"
                              " AND first_at <= ?3 AND last_at >= ?3",
                              MC_BINDS(user, thread, mc_bind_int(d->created_at)), err);
    if (status != MC_OK || mc_conn_changes(conn) == 0)
        return status;
    status = mc_conn_exec(conn,
                          "UPDATE threads SET summarised_until = coalesce((SELECT max(last_at)"
                          " FROM summaries WHERE user_no = ?1 AND thread_no = ?2), ?3)"
                          " WHERE thread_no = ?2",
                          MC_BINDS(user, thread, mc_bind_int(INT64_MIN)), err);
    if (status == MC_OK)
        status = mc_conn_exec(
            conn,
            "UPDATE threads SET summarised = (SELECT count(*) FROM messages m WHERE m.user_no = ?1"
            " AND m.thread_no = ?2 AND m.created_at <= summarised_until) WHERE thread_no = ?2",
            MC_BINDS(user, thread), err);
    return status;
}

enum mc_status mc_sqlite_drop(struct mc_conn *conn, int64_t row, bool requested, bool *had_job,
                              int64_t *version, struct mc_error *err)
{
    struct dropping d = {0};
    enum mc_status status = drop_entries(conn, row, &d, err);
    if (status == MC_OK)
        status =
            mc_conn_exec(conn, "DELETE FROM jobs WHERE id = ?1", MC_BINDS(mc_bind_int(row)), err);
    if (status == MC_OK && had_job)
        *had_job = mc_conn_changes(conn) > 0;
    if (status == MC_OK)
        status = mc_sqlite_twin_set(conn, row, MC_STR_NONE, err);
    if (status == MC_OK)
        status = mc_sqlite_vector_drop(conn, d.user_no, row, err);
    if (status == MC_OK)
        status = mc_conn_exec(conn, "DELETE FROM messages WHERE id = ?1",
                              MC_BINDS(mc_bind_int(row)), err);
    if (status == MC_OK)
        status = drop_counts(conn, &d, err);
    if (status == MC_OK && requested)
        status = drop_summaries(conn, &d, err);
    if (status == MC_OK && version)
        status = mc_conn_integer(conn, "SELECT version FROM threads WHERE thread_no = ?1",
                                 MC_BINDS(mc_bind_int(d.thread_no)), NULL, version, err);
    return status;
}

/* ---- By request ---- */

struct removal {
    mc_str message_id;
    struct mc_allowed allowed;
    struct mc_record *record;
    int64_t version;
};

static void removal_fini(struct removal *r)
{
    mc_allowed_fini(&r->allowed);
    mc_record_unref(r->record);
}

static const char stored_sql[] = "SELECT " MC_SQL_RECORD("m.terms") MC_SQL_RECORD_FROM
    " WHERE m.message_id = ?1 AND " MC_SQL_ALLOWED;
/* What tier migration has deleted can come back, so it can be deleted by request too. */
static const char trashed_sql[] = "SELECT " MC_SQL_RECORD(
    "m.terms") " FROM trash m JOIN threads t ON t.thread_no = m.thread_no"
               " JOIN users u ON u.user_no = m.user_no WHERE m.message_id = ?1 AND " MC_SQL_ALLOWED
               " ORDER BY m.id DESC LIMIT 1";

static enum mc_status find_removed(struct mc_conn *conn, const char *sql, struct removal *r,
                                   struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    bool found = false;
    enum mc_status status =
        mc_conn_start(conn, sql, MC_BINDS(mc_bind_str(r->message_id)), &stmt, err);
    if (status == MC_OK) {
        mc_allowed_bind(&r->allowed, stmt);
        status = mc_conn_step(conn, stmt, &found, err);
    }
    return status == MC_OK && found ? mc_sqlite_record(conn, stmt, &r->record, err) : status;
}

/* Whatever the user has under this id in the trash. */
static enum mc_status drop_trash(struct mc_conn *conn, const struct removal *r, int64_t user_no,
                                 struct mc_error *err)
{
    return mc_conn_exec(conn, "DELETE FROM trash WHERE message_id = ?1 AND user_no = ?2",
                        MC_BINDS(mc_bind_str(r->message_id), mc_bind_int(user_no)), err);
}

/* Of a message that is in the trash alone only summaries can still tell. */
static enum mc_status remove_trash(struct mc_conn *conn, struct removal *r, struct mc_error *err)
{
    struct dropping d = {.row = r->record->row, .created_at = r->record->m.created_at_us};
    struct mc_bind row = mc_bind_int(d.row);
    enum mc_status status = mc_conn_integer(conn, "SELECT user_no FROM trash WHERE id = ?1",
                                            MC_BINDS(row), NULL, &d.user_no, err);
    if (status == MC_OK)
        status = mc_conn_integer(conn, "SELECT thread_no FROM trash WHERE id = ?1", MC_BINDS(row),
                                 NULL, &d.thread_no, err);
    if (status == MC_OK)
        status = mc_conn_exec(conn, "UPDATE threads SET version = version + 1 WHERE thread_no = ?1",
                              MC_BINDS(mc_bind_int(d.thread_no)), err);
    if (status == MC_OK)
        status = drop_summaries(conn, &d, err);
    if (status == MC_OK)
        status = mc_conn_integer(conn, "SELECT version FROM threads WHERE thread_no = ?1",
                                 MC_BINDS(mc_bind_int(d.thread_no)), NULL, &r->version, err);
    return status == MC_OK ? drop_trash(conn, r, d.user_no, err) : status;
}

static enum mc_status remove_stored(struct mc_conn *conn, struct removal *r, struct mc_error *err)
{
    int64_t user_no = 0;
    enum mc_status status =
        mc_conn_integer(conn, "SELECT user_no FROM messages WHERE id = ?1",
                        MC_BINDS(mc_bind_int(r->record->row)), NULL, &user_no, err);
    if (status == MC_OK)
        status = mc_sqlite_keep_row(conn, err);
    if (status == MC_OK)
        status = mc_sqlite_drop(conn, r->record->row, true, NULL, &r->version, err);
    return status == MC_OK ? drop_trash(conn, r, user_no, err) : status;
}

static enum mc_status apply_remove(struct mc_writer *writer, void *context, struct mc_error *err)
{
    struct removal *r = context;
    struct mc_conn *conn = writer->conn;
    mc_record_unref(mc_steal(r->record)); /* of a transaction that was rolled back */
    enum mc_status status = find_removed(conn, stored_sql, r, err);
    if (status != MC_OK || r->record)
        return status == MC_OK ? remove_stored(conn, r, err) : status;
    status = find_removed(conn, trashed_sql, r, err);
    if (status == MC_OK && !r->record)
        return mc_fail_field(err, MC_NOT_FOUND, "message_id", "there is no message '%.*s'",
                             MC_STR_ARG(r->message_id));
    return status == MC_OK ? remove_trash(conn, r, err) : status;
}

enum mc_status mc_sqlite_remove(struct mc_store *store, mc_str message_id,
                                const struct mc_reader *reader, struct mc_record **removed,
                                int64_t *thread_version, struct mc_error *err)
{
    mc_auto(removal_fini) struct removal removal = {.message_id = message_id};
    enum mc_status status = mc_allowed_init(&removal.allowed, reader, err);
    if (status == MC_OK)
        status =
            mc_sqlite_write(mc_sqlite_of(store), MC_WRITE_OTHER, 1, apply_remove, &removal, err);
    if (status != MC_OK)
        return status;
    *removed = mc_steal(removal.record);
    *thread_version = removal.version;
    return MC_OK;
}
