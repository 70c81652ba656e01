/*
 * Reading and writing everything (store/copy.h). A table is a row of `tables`: its statements, whose columns
 * and parameters are those of its form. Only a message is more than one statement: its row is new, and the
 * index has it too.
 */
#include "store/copy.h"

#include <limits.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "store/sqlite/sqlite.h"

struct table {
    const char *count;
    /* ?1: number of the cursor, ?2 to ?5: its keys, ?6: how many rows. The first column is the row's number. */
    const char *read;
    const char *write; /* NULL: write_message */
    const char *clear;
};

#define MESSAGE_WRITE                                                                              \
    "INSERT INTO messages(id, message_id, user_no, thread_no, created_at, stored_at, role,"        \
    " visibility, tier, state, trivial, importance, session_id, agent_id, sharing_groups, terms,"  \
    " metadata, text, packed)"                                                                     \
    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, "    \
    "?19)"

static const struct table tables[MC_COPY_TABLES] = {
    [MC_COPY_USERS] = {"SELECT count(*) FROM users",
                       "SELECT user_no, user_id, messages FROM users WHERE user_no > ?1"
                       " ORDER BY user_no LIMIT ?6",
                       "INSERT INTO users(user_id, messages) VALUES(?1, ?2)"
                       " ON CONFLICT(user_id) DO UPDATE SET messages = excluded.messages",
                       "DELETE FROM users"},
    [MC_COPY_THREADS] =
        {"SELECT count(*) FROM threads",
         "SELECT t.thread_no, u.user_id, t.thread_id, t.version, t.messages, t.last_at,"
         " t.summarised, t.summarised_until, t.withdrawn FROM threads t"
         " CROSS JOIN users u ON u.user_no = t.user_no WHERE t.thread_no > ?1"
         " ORDER BY t.thread_no LIMIT ?6",
         "INSERT INTO threads(user_no, thread_id, version, messages, last_at, summarised,"
         " summarised_until, withdrawn) SELECT user_no, ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM users"
         " WHERE user_id = ?1 ON CONFLICT(user_no, thread_id) DO UPDATE SET"
         " version = excluded.version, messages = excluded.messages, last_at = excluded.last_at,"
         " summarised = excluded.summarised, summarised_until = excluded.summarised_until,"
         " withdrawn = excluded.withdrawn",
         "DELETE FROM threads"},
    [MC_COPY_DICTIONARIES] =
        {"SELECT count(*) FROM dictionaries",
         "SELECT number, number, created_at, samples, data FROM dictionaries WHERE number > ?1"
         " ORDER BY number LIMIT ?6",
         "INSERT OR REPLACE INTO dictionaries(number, created_at, samples, data)"
         " VALUES(?1, ?2, ?3, ?4)",
         "DELETE FROM dictionaries"},
    [MC_COPY_MESSAGES] =
        {"SELECT count(*) FROM messages",
         "SELECT m.id, m.message_id, u.user_id, t.thread_id, m.created_at, m.stored_at, m.role,"
         " m.visibility, m.tier, m.state, m.trivial, m.importance, m.session_id, m.agent_id,"
         " m.sharing_groups, m.terms, w.hash, m.metadata, m.text, m.packed"
         " FROM messages m"
         " CROSS JOIN users u ON u.user_no = m.user_no"
         " CROSS JOIN threads t ON t.thread_no = m.thread_no LEFT JOIN twins w ON w.row = m.id"
         " WHERE m.id > ?1 ORDER BY m.id LIMIT ?6",
         NULL, "DELETE FROM messages"},
    /* As mc_sqlite_release leaves a job that was leased. */
    [MC_COPY_JOBS] =
        {"SELECT count(*) FROM jobs",
         "SELECT j.id, m.message_id, j.stage, iif(j.lease IS NULL, j.due_at, j.enqueued_at),"
         " j.enqueued_at, iif(j.lease IS NULL, j.attempts, max(j.attempts - 1, 0)), j.died_at,"
         " j.error FROM jobs j CROSS JOIN messages m ON m.id = j.id WHERE j.id > ?1"
         " ORDER BY j.id LIMIT ?6",
         "INSERT INTO jobs(id, stage, due_at, enqueued_at, attempts, died_at, error)"
         " SELECT id, ?2, ?3, ?4, ?5, ?6, ?7 FROM messages WHERE message_id = ?1",
         "DELETE FROM jobs"},
    [MC_COPY_TWINS] = {"SELECT count(*) FROM twins",
                       "SELECT w.row, w.hash, m.message_id FROM twins w"
                       " CROSS JOIN messages m ON m.id = w.row WHERE w.row > ?1"
                       " ORDER BY w.row LIMIT ?6",
                       "INSERT INTO twins(hash, row) SELECT ?1, id FROM messages"
                       " WHERE message_id = ?2",
                       "DELETE FROM twins"},
    [MC_COPY_SUMMARIES] =
        {"SELECT count(*) FROM summaries",
         "SELECT s.id, u.user_id, t.thread_id, s.first_at, s.last_at, s.messages, s.created_at,"
         " s.lost, s.method, s.key_facts, s.topics, s.text FROM summaries s"
         " CROSS JOIN users u ON u.user_no = s.user_no"
         " CROSS JOIN threads t ON t.thread_no = s.thread_no WHERE s.id > ?1"
         " ORDER BY s.id LIMIT ?6",
         "INSERT INTO summaries(user_no, thread_no, first_at, last_at, messages, created_at, lost,"
         " method, key_facts, topics, text) SELECT t.user_no, t.thread_no, ?3, ?4, ?5, ?6, ?7, ?8,"
         " ?9, ?10, ?11 FROM users u CROSS JOIN threads t ON t.user_no = u.user_no"
         " AND t.thread_id = ?2 WHERE u.user_id = ?1",
         "DELETE FROM summaries"},
    [MC_COPY_PREFERENCES] = {"SELECT count(*) FROM preferences",
                             "SELECT 0, user_id, preferences FROM preferences WHERE user_id > ?2"
                             " ORDER BY user_id LIMIT ?6",
                             "INSERT INTO preferences(user_id, preferences) VALUES(?1, ?2)",
                             "DELETE FROM preferences"},
    [MC_COPY_SIGNALS] = {"SELECT count(*) FROM signals",
                         "SELECT 0, user_id, field, value, count, weight, last_seen FROM signals"
                         " WHERE (user_id, field, value) > (?2, ?3, ?4)"
                         " ORDER BY user_id, field, value LIMIT ?6",
                         "INSERT INTO signals(user_id, field, value, count, weight, last_seen)"
                         " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
                         "DELETE FROM signals"},
    [MC_COPY_AGENTS] =
        {"SELECT count(*) FROM agents",
         "SELECT 0, agent_id, name, description, sharing_groups, metadata, default_visibility,"
         " can_read_public, can_write_public, created_at FROM agents WHERE agent_id > ?2"
         " ORDER BY agent_id LIMIT ?6",
         "INSERT INTO agents(agent_id, name, description, sharing_groups, metadata,"
         " default_visibility, can_read_public, can_write_public, created_at)"
         " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
         "DELETE FROM agents"},
    [MC_COPY_KEYS] =
        {"SELECT count(*) FROM keys",
         "SELECT 0, key_id, hash, definition, created_at FROM keys WHERE key_id > ?2"
         " ORDER BY key_id LIMIT ?6",
         "INSERT INTO keys(key_id, hash, definition, created_at) VALUES(?1, ?2, ?3, ?4)",
         "DELETE FROM keys"},
    [MC_COPY_USAGE] =
        {"SELECT count(*) FROM usage",
         "SELECT 0, model, day, operation, provider, calls, failures, tokens_in, tokens_cached,"
         " tokens_out, took, cost_usd FROM usage WHERE (day, operation, provider, model) >"
         " (CAST(?3 AS INTEGER), ?4, ?5, ?2) ORDER BY day, operation, provider, model LIMIT ?6",
         "INSERT INTO usage(model, day, operation, provider, calls, failures, tokens_in,"
         " tokens_cached, tokens_out, took, cost_usd)"
         " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
         "DELETE FROM usage"},
};

/* ---- Reading ---- */

/* A connection of its own, inside a transaction that only reads. */
struct mc_dump {
    struct mc_conn *conn;
    struct mc_snapshot snapshot;
};

static enum mc_status identity(struct mc_store *store, struct mc_buf *text, struct mc_error *err)
{
    struct mc_sqlite *s = mc_sqlite_of(store);
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    int64_t created_at;
    enum mc_status status = mc_reading_begin(&reading, &s->readers, err);
    if (status == MC_OK)
        status = mc_conn_integer(reading.conn, "SELECT created_at FROM state", MC_NO_BINDS, NULL,
                                 &created_at, err);
    if (status != MC_OK)
        return status;
    char path[PATH_MAX];
    mc_buf_printf(text, "sqlite:%s (made at %" PRId64 ")", realpath(s->path, path) ? path : s->path,
                  created_at);
    return MC_OK;
}

static void close_dump(struct mc_dump *dump)
{
    mc_snapshot_end(&dump->snapshot);
    mc_conn_close(dump->conn);
    free(dump);
}

static enum mc_status open_dump(struct mc_store *store, struct mc_dump **dump, struct mc_error *err)
{
    struct mc_sqlite *s = mc_sqlite_of(store);
    struct mc_dump *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    int64_t value;
    enum mc_status status =
        mc_conn_open(s->path, s->readers.busy_timeout_us, false, &made->conn, err);
    if (status == MC_OK)
        status = mc_snapshot_begin(&made->snapshot, made->conn, err);
    /* The first statement fixes the state that is seen. */
    if (status == MC_OK)
        status = mc_conn_integer(made->conn, "SELECT last_row FROM state", MC_NO_BINDS, NULL,
                                 &value, err);
    if (status == MC_OK)
        *dump = made;
    else
        close_dump(made);
    return status;
}

static enum mc_status count(struct mc_dump *dump, enum mc_copy_table table, int64_t *rows,
                            struct mc_error *err)
{
    return mc_conn_integer(dump->conn, tables[table].count, MC_NO_BINDS, NULL, rows, err);
}

static bool take_column(sqlite3_stmt *stmt, int column, char type, struct mc_copy_page *page,
                        struct mc_copy_value *value)
{
    value->null = sqlite3_column_type(stmt, column) == SQLITE_NULL;
    if (value->null)
        return true;
    if (type == 'd')
        value->number = sqlite3_column_double(stmt, column);
    else if (type == 'i' || type == 'b' || type == 't')
        value->integer = mc_column_int(stmt, column);
    else {
        const char *bytes = sqlite3_column_blob(stmt, column);
        size_t len = (size_t)sqlite3_column_bytes(stmt, column);
        return mc_copy_page_text(page, value, (mc_str){bytes ? bytes : "", len});
    }
    return true;
}

static enum mc_status read_page(struct mc_dump *dump, enum mc_copy_table table,
                                const struct mc_copy_cursor *after, size_t limit,
                                struct mc_copy_page *page, struct mc_error *err)
{
    const char *columns = mc_copy_forms[table].columns;
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status = mc_copy_page_begin(page, table, limit, err);
    if (status == MC_OK)
        status = mc_conn_start(dump->conn, tables[table].read,
                               MC_BINDS(mc_bind_int(after->number), mc_bind_text(after->keys[0]),
                                        mc_bind_text(after->keys[1]), mc_bind_text(after->keys[2]),
                                        mc_bind_text(after->keys[3]), mc_bind_int((int64_t)limit)),
                               &stmt, err);
    bool more = true;
    while (status == MC_OK && more) {
        status = mc_conn_step(dump->conn, stmt, &more, err);
        if (status != MC_OK || !more)
            break;
        struct mc_copy_value *values = mc_copy_page_add(page, mc_column_int(stmt, 0));
        for (int i = 0; columns[i]; i++)
            if (!take_column(stmt, i + 1, columns[i], page, &values[i]))
                return mc_fail_memory(err);
    }
    return status == MC_OK ? mc_copy_page_end(page, err) : status;
}

/* ---- Writing ---- */

static struct mc_bind bind_value(char type, const struct mc_copy_value *value)
{
    if (value->null)
        return mc_bind_str(MC_STR_NONE);
    switch (type) {
    case 'd':
        return mc_bind_double(value->number);
    case 's':
        return mc_bind_text(value->text);
    case 'x':
    case 'X':
        return mc_bind_blob(value->text);
    default:
        return mc_bind_int(value->integer);
    }
}

struct place {
    int64_t user_no, thread_no;
};

static enum mc_status find_place(struct mc_conn *conn, const struct mc_copy_value *m,
                                 struct place *place, struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    bool found = false;
    enum mc_status status =
        mc_conn_start(conn,
                      "SELECT t.user_no, t.thread_no FROM users u CROSS JOIN threads t"
                      " ON t.user_no = u.user_no AND t.thread_id = ?2 WHERE u.user_id = ?1",
                      MC_BINDS(mc_bind_str(m[1].text), mc_bind_str(m[2].text)), &stmt, err);
    if (status == MC_OK)
        status = mc_conn_step(conn, stmt, &found, err);
    if (status != MC_OK)
        return status;
    if (!found)
        return mc_fail(err, MC_CORRUPT,
                       "message '%.*s' is in a thread that the source does not list; run doctor",
                       MC_STR_ARG(m[0].text));
    place->user_no = mc_column_int(stmt, 0);
    place->thread_no = mc_column_int(stmt, 1);
    return MC_OK;
}

static enum mc_status write_message(struct mc_writer *writer, const char *columns,
                                    const struct mc_copy_value *m, struct mc_error *err)
{
    struct mc_bind binds[MC_COPY_COLUMNS_MAX + 1] = {{.type = 0}};
    struct place place = {0};
    int64_t row = 0;
    size_t n = 0;
    enum mc_status status = find_place(writer->conn, m, &place, err);
    if (status == MC_OK)
        status = mc_writer_new_row(writer, &row, err);
    if (status != MC_OK)
        return status;
    binds[n++] = mc_bind_int(row);
    binds[n++] = mc_bind_str(m[0].text);
    binds[n++] = mc_bind_int(place.user_no);
    binds[n++] = mc_bind_int(place.thread_no);
    for (int i = 3; columns[i]; i++)
        if (columns[i] != 'X') /* twins have a table of their own */
            binds[n++] = bind_value(columns[i], &m[i]);
    status = mc_conn_exec(writer->conn, MESSAGE_WRITE, binds, err);
    const struct mc_copy_value *terms = &m[14];
    if (status == MC_OK && !terms->null)
        status = mc_fts_change(writer->conn, true, row, place.user_no, place.thread_no, terms->text,
                               err);
    return status;
}

static enum mc_status write_page(struct mc_writer *writer, const struct mc_copy_page *page,
                                 struct mc_error *err)
{
    const char *columns = mc_copy_forms[page->table].columns;
    const char *sql = tables[page->table].write;
    enum mc_status status = MC_OK;
    for (size_t i = 0; status == MC_OK && i < page->rows; i++) {
        const struct mc_copy_value *values = mc_copy_row(page, i);
        struct mc_bind binds[MC_COPY_COLUMNS_MAX + 1] = {{.type = 0}};
        if (!sql) {
            status = write_message(writer, columns, values, err);
            continue;
        }
        for (size_t j = 0; j < page->columns; j++)
            binds[j] = bind_value(columns[j], &values[j]);
        status = mc_conn_exec(writer->conn, sql, binds, err);
    }
    if (status == MC_OK && page->table == MC_COPY_MESSAGES)
        status = mc_sqlite_vector_refill(writer->conn, err);
    return status;
}

/* What stands in tables of its own about messages. */
static enum mc_status clear_beside_messages(struct mc_writer *writer, struct mc_error *err)
{
    static const char *const statements[] = {
        "INSERT INTO messages_fts(messages_fts) VALUES('delete-all')",
        "DELETE FROM trash",
        "DELETE FROM tier_runs",
    };
    enum mc_status status = mc_sqlite_keep_row(writer->conn, err);
    for (size_t i = 0; status == MC_OK && i < mc_countof(statements); i++)
        status = mc_conn_exec(writer->conn, statements[i], MC_NO_BINDS, err);
    writer->next_row = 0;
    return status == MC_OK ? mc_sqlite_vector_clear(writer->conn, err) : status;
}

static enum mc_status clear_table(struct mc_writer *writer, enum mc_copy_table table,
                                  struct mc_error *err)
{
    enum mc_status status = table == MC_COPY_MESSAGES ? clear_beside_messages(writer, err) : MC_OK;
    return status == MC_OK ? mc_conn_exec(writer->conn, tables[table].clear, MC_NO_BINDS, err)
                           : status;
}

/* ---- Marks ---- */

static enum mc_status put_mark(struct mc_conn *conn, const struct mc_copy_load *load,
                               struct mc_error *err)
{
    const char *name = mc_copy_forms[load->table].name;
    bool found = false;
    int64_t last = 0;
    enum mc_status status =
        mc_conn_integer(conn, "SELECT last FROM copied WHERE name = ?1",
                        MC_BINDS(mc_bind_str(mc_str_of(name))), &found, &last, err);
    if (status != MC_OK)
        return status;
    if (load->before && (!found || last != load->before->last))
        return mc_fail(err, MC_CONFLICT, "another copy writes into the same target; end it first");
    return mc_conn_exec(conn,
                        "INSERT OR REPLACE INTO copied(name, source, last, rows, sum, complete)"
                        " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
                        MC_BINDS(mc_bind_str(mc_str_of(name)), mc_bind_str(load->source),
                                 mc_bind_int(load->mark->last), mc_bind_int(load->mark->rows),
                                 mc_bind_int((int64_t)load->mark->sum),
                                 mc_bind_int(load->mark->complete)),
                        err);
}

static enum mc_status marks(struct mc_store *store, struct mc_copy_marks *marks,
                            struct mc_error *err)
{
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    int64_t there = 0;
    enum mc_status status = mc_reading_begin(&reading, &mc_sqlite_of(store)->readers, err);
    if (status == MC_OK)
        status = mc_conn_integer(reading.conn,
                                 "SELECT count(*) FROM sqlite_master WHERE name = 'copied'",
                                 MC_NO_BINDS, NULL, &there, err);
    if (status != MC_OK || there == 0)
        return status;
    for (enum mc_copy_table i = 0; i < MC_COPY_TABLES; i++) {
        mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
        bool found = false;
        status = mc_conn_start(
            reading.conn, "SELECT source, last, rows, sum, complete FROM copied WHERE name = ?1",
            MC_BINDS(mc_bind_str(mc_str_of(mc_copy_forms[i].name))), &stmt, err);
        if (status == MC_OK)
            status = mc_conn_step(reading.conn, stmt, &found, err);
        if (status != MC_OK)
            return status;
        if (!found)
            continue;
        marks->begun = true;
        mc_buf_reset(&marks->source);
        mc_buf_append(&marks->source, mc_column_str(stmt, 0));
        marks->items[i] = (struct mc_copy_mark){.last = mc_column_int(stmt, 1),
                                                .rows = mc_column_int(stmt, 2),
                                                .sum = (uint64_t)mc_column_int(stmt, 3),
                                                .complete = mc_column_int(stmt, 4) != 0};
    }
    return MC_OK;
}

static enum mc_status apply_load(struct mc_writer *writer, void *context, struct mc_error *err)
{
    const struct mc_copy_load *load = context;
    enum mc_status status = MC_OK;
    if (load->begin)
        status = mc_conn_exec(writer->conn,
                              "CREATE TABLE IF NOT EXISTS copied(name TEXT PRIMARY KEY,"
                              " source TEXT NOT NULL, last INTEGER NOT NULL, rows INTEGER NOT NULL,"
                              " sum INTEGER NOT NULL, complete INTEGER NOT NULL) WITHOUT ROWID",
                              MC_NO_BINDS, err);
    if (status == MC_OK && load->mark)
        status = put_mark(writer->conn, load, err);
    if (status == MC_OK && load->clear)
        status = clear_table(writer, load->table, err);
    return status == MC_OK && load->page ? write_page(writer, load->page, err) : status;
}

static enum mc_status load(struct mc_store *store, const struct mc_copy_load *load,
                           struct mc_error *err)
{
    size_t weight = load->page ? load->page->rows : 1;
    return mc_sqlite_write(mc_sqlite_of(store), MC_WRITE_OTHER, weight, apply_load,
                           (void *)(uintptr_t)load, err);
}

const struct mc_copy_ops mc_sqlite_copy = {
    .identity = identity,
    .open = open_dump,
    .close = close_dump,
    .count = count,
    .page = read_page,
    .marks = marks,
    .load = load,
};
