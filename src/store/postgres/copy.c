/*
 * Reading and writing everything (store/copy.h). A table is a row of `tables`: its statements, whose columns and
 * parameters are those of its form. Messages, and what stands in tables of its own about them, come through
 * COPY.
 *
 * DESIGN. Messages are read in order of arrival over all shards. No index has that order, and a page must not cost
 * a pass over the table; but numbers grow by one for each message, so a page is a range of numbers that begins at
 * the first one taken, and 256 small questions to the key read it.
 */
#include "store/postgres/copy.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "store/postgres/pg.h"

/* Counting goes over whole tables. */
#define ANSWER_TIMEOUT_US (6 * 3600 * MC_US_PER_SECOND)

struct table {
    const char *count;
    /* $1: number of the cursor, $2 to $5: its keys, $6: how many rows. The first column is the row's number. */
    const char *read;
    /* $1 and $2: shards of the first two columns, where they are text or bytes; then the columns. NULL: mc_pg_copy_messages */
    const char *write;
    const char *clear;
};

/* All shards, and a row of each that is asked for it. */
#define SHARDS "generate_series(0, 255) s(n)"
/* The first message's number behind $1. */
#define NEXT_MESSAGE                                                                               \
    "(SELECT min(f.id) FROM " SHARDS " CROSS JOIN LATERAL (SELECT x.id FROM messages x"            \
    " WHERE x.shard = s.n::smallint AND x.id > $1 ORDER BY x.id LIMIT 1) f)"
/* The message of a row that names it by its number. */
#define ITS_MESSAGE(id) "messages m ON m.shard = (" id " & 255)::smallint AND m.id = " id
/* The number of a summary, with its shard above. */
#define SUMMARY_NUMBER "(s.shard::bigint << 48) + s.id"

static const struct table tables[MC_COPY_TABLES] = {
    [MC_COPY_USERS] = {"SELECT count(*) FROM users",
                       "SELECT shard::bigint, user_id, messages FROM users"
                       " WHERE (shard, user_id) > ($1::bigint, $2) ORDER BY shard, user_id"
                       " LIMIT $6",
                       "INSERT INTO users(shard, user_id, user_no, messages)"
                       " VALUES($1, $3, nextval('user_numbers'), $4) ON CONFLICT (shard, user_id)"
                       " DO UPDATE SET messages = excluded.messages",
                       "TRUNCATE users"},
    [MC_COPY_THREADS] =
        {"SELECT count(*) FROM threads",
         "SELECT shard::bigint, user_id, thread_id, version, messages, last_at, summarised,"
         " summarised_until, withdrawn FROM threads"
         " WHERE (shard, user_id, thread_id) > ($1::bigint, $2, $3)"
         " ORDER BY shard, user_id, thread_id LIMIT $6",
         "INSERT INTO threads(shard, user_id, thread_id, version, messages, last_at, summarised,"
         " summarised_until, withdrawn) VALUES($1, $3, $4, $5, $6, $7, $8, $9, $10)"
         " ON CONFLICT (shard, user_id, thread_id) DO UPDATE SET version = excluded.version,"
         " messages = excluded.messages, last_at = excluded.last_at,"
         " summarised = excluded.summarised, summarised_until = excluded.summarised_until,"
         " withdrawn = excluded.withdrawn",
         "TRUNCATE threads"},
    [MC_COPY_DICTIONARIES] =
        {"SELECT count(*) FROM dictionaries",
         "SELECT number, number, created_at, samples, data FROM dictionaries WHERE number > $1"
         " ORDER BY number LIMIT $6",
         "INSERT INTO dictionaries(number, created_at, samples, data) VALUES($3, $4, $5, $6)"
         " ON CONFLICT (number) DO UPDATE SET created_at = excluded.created_at,"
         " samples = excluded.samples, data = excluded.data",
         "TRUNCATE dictionaries"},
    [MC_COPY_MESSAGES] =
        {"SELECT count(*) FROM messages",
         "SELECT m.id, m.message_id, m.user_id, m.thread_id, m.created_at, m.stored_at, m.role,"
         " m.visibility, m.tier, m.state, m.trivial, m.importance, m.session_id, m.agent_id,"
         " m.groups, m.terms, m.twin, m.attached, m.text, m.packed FROM " SHARDS
         " CROSS JOIN LATERAL (SELECT x.*, CASE WHEN cardinality(x.sharing_groups) > 0"
         " THEN array_to_json(x.sharing_groups)::text END AS groups FROM messages x"
         " WHERE x.shard = s.n::smallint AND x.id > $1 AND x.id <= " NEXT_MESSAGE
         " + 256 * ($6 - 1) OFFSET 0) m ORDER BY m.id",
         NULL, "TRUNCATE messages, message_ids, index_terms, trash, tier_runs"},
    /* As mc_pg_release leaves a job that was leased. */
    [MC_COPY_JOBS] =
        {"SELECT count(*) FROM jobs",
         "SELECT j.id, m.message_id, j.stage,"
         " CASE WHEN j.lease IS NULL THEN j.due_at ELSE j.enqueued_at END, j.enqueued_at,"
         " CASE WHEN j.lease IS NULL THEN j.attempts ELSE greatest(j.attempts - 1, 0) END,"
         " j.died_at, j.error FROM jobs j JOIN " ITS_MESSAGE(
             "j.id") " WHERE j.shard = " MC_PG_QUEUE " AND j.id > $1 ORDER BY j.id LIMIT $6",
         "INSERT INTO jobs(shard, id, stage, due_at, enqueued_at, attempts, died_at, error)"
         " SELECT " MC_PG_QUEUE ", i.id, $4, $5, $6, $7, $8, $9 FROM message_ids i"
         " WHERE i.shard = $1 AND i.message_id = $3",
         "TRUNCATE jobs"},
    [MC_COPY_TWINS] = {"SELECT count(*) FROM twins",
                       "SELECT w.shard::bigint, w.hash, m.message_id FROM twins w"
                       " JOIN " ITS_MESSAGE(
                           "w.id") " WHERE (w.shard, w.hash) > ($1::bigint, decode($2, 'hex'))"
                                   " ORDER BY w.shard, w.hash LIMIT $6",
                       "INSERT INTO twins(shard, hash, id) SELECT $1, $3, i.id FROM message_ids i"
                       " WHERE i.shard = $2 AND i.message_id = $4",
                       "TRUNCATE twins"},
    [MC_COPY_SUMMARIES] =
        {"SELECT count(*) FROM summaries",
         "SELECT " SUMMARY_NUMBER ", s.user_id, s.thread_id, s.first_at, s.last_at, s.messages,"
         " s.created_at, s.lost, s.method, s.key_facts, s.topics, s.text FROM summaries s"
         " WHERE (s.shard, s.id) > ($1::bigint >> 48, $1::bigint & ((1::bigint << 48) - 1))"
         " ORDER BY s.shard, s.id LIMIT $6",
         "INSERT INTO summaries(shard, id, user_id, thread_id, first_at, last_at, messages,"
         " created_at, lost, method, key_facts, topics, text) VALUES($1,"
         " nextval('summary_numbers'), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
         "TRUNCATE summaries"},
    [MC_COPY_PREFERENCES] = {"SELECT count(*) FROM preferences",
                             "SELECT shard::bigint, user_id, preferences FROM preferences"
                             " WHERE (shard, user_id) > ($1::bigint, $2)"
                             " ORDER BY shard, user_id LIMIT $6",
                             "INSERT INTO preferences(shard, user_id, preferences)"
                             " VALUES($1, $3, $4)",
                             "TRUNCATE preferences"},
    [MC_COPY_SIGNALS] =
        {"SELECT count(*) FROM signals",
         "SELECT shard::bigint, user_id, field, value, count, weight, last_seen FROM signals"
         " WHERE (shard, user_id, field, value) > ($1::bigint, $2, $3, $4)"
         " ORDER BY shard, user_id, field, value LIMIT $6",
         "INSERT INTO signals(shard, user_id, field, value, count, weight, last_seen)"
         " VALUES($1, $3, $4, $5, $6, $7, $8)",
         "TRUNCATE signals"},
    [MC_COPY_AGENTS] =
        {"SELECT count(*) FROM agents",
         "SELECT shard::bigint, agent_id, name, description, sharing_groups, metadata,"
         " default_visibility, can_read_public, can_write_public, created_at FROM agents"
         " WHERE (shard, agent_id) > ($1::bigint, $2) ORDER BY shard, agent_id LIMIT $6",
         "INSERT INTO agents(shard, agent_id, name, description, sharing_groups, metadata,"
         " default_visibility, can_read_public, can_write_public, created_at)"
         " VALUES($1, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
         "TRUNCATE agents"},
    [MC_COPY_KEYS] = {"SELECT count(*) FROM keys",
                      "SELECT shard::bigint, key_id, hash, definition, created_at FROM keys"
                      " WHERE (shard, key_id) > ($1::bigint, $2) ORDER BY shard, key_id LIMIT $6",
                      "INSERT INTO keys(shard, key_id, hash, definition, created_at)"
                      " VALUES($1, $3, $4, $5, $6)",
                      "TRUNCATE keys"},
    [MC_COPY_USAGE] =
        {"SELECT count(*) FROM usage",
         "SELECT shard::bigint, model, day, operation, provider, calls, failures, tokens_in,"
         " tokens_cached, tokens_out, took, cost_usd FROM usage"
         " WHERE (shard, day, operation, provider, model) >"
         " ($1::bigint, coalesce(nullif($3, ''), '-1')::bigint, $4, $5, $2)"
         " ORDER BY shard, day, operation, provider, model LIMIT $6",
         "INSERT INTO usage(shard, model, day, operation, provider, calls, failures, tokens_in,"
         " tokens_cached, tokens_out, took, cost_usd)"
         " VALUES($1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
         "TRUNCATE usage"},
};

/* ---- Reading ---- */

/* A connection of its own, inside a transaction that only reads. */
struct mc_dump {
    struct mc_pg_conn *conn;
};

static enum mc_status take_identity(const PGresult *result, void *context, struct mc_error *err)
{
    (void)err;
    struct mc_buf *text = context;
    if (PQntuples(result) > 0)
        mc_buf_append(text, mc_pg_cell(result, 0, 0));
    return MC_OK;
}

static enum mc_status identity(struct mc_store *store, struct mc_buf *text, struct mc_error *err)
{
    return mc_pg_read_one(
        mc_pg_of(store),
        "SELECT concat('postgresql:', datname, ' (number ', oid, ', made at ',"
        " (SELECT (extract(epoch FROM min(applied_at)) * 1000000)::bigint FROM mindcore_schema),"
        " ')') FROM pg_database WHERE datname = current_database()",
        MC_PG_NO_ARGS, take_identity, text, err);
}

static void close_dump(struct mc_dump *dump)
{
    mc_pg_conn_close(dump->conn);
    free(dump);
}

static enum mc_status open_dump(struct mc_store *store, struct mc_dump **dump, struct mc_error *err)
{
    struct mc_dump *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    enum mc_pg_trouble trouble;
    enum mc_status status = mc_pg_connect(&mc_pg_of(store)->pool, &made->conn, &trouble, err);
    if (status == MC_OK) {
        /* It waits while the other database writes, and counts for as long as that takes. */
        made->conn->answer_timeout_us = ANSWER_TIMEOUT_US;
        mc_pg_add_quiet(made->conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                        MC_PG_NO_ARGS);
        mc_pg_add_quiet(
            made->conn,
            "SELECT set_config('statement_timeout', '0', true),"
            " set_config('idle_in_transaction_session_timeout', '0', true),"
            " set_config('jit', 'off', true)", /* it compiles longer than a page takes */
            MC_PG_NO_ARGS);
        status = mc_pg_run(made->conn, err);
    }
    if (status == MC_OK)
        *dump = made;
    else
        close_dump(made);
    return status;
}

static enum mc_status count(struct mc_dump *dump, enum mc_copy_table table, int64_t *rows,
                            struct mc_error *err)
{
    enum mc_status status = mc_pg_query(dump->conn, tables[table].count, MC_PG_NO_ARGS, err);
    if (status == MC_OK)
        *rows = mc_pg_first_int(dump->conn, 0);
    return status;
}

static bool take_cell(const PGresult *result, size_t row, int column, char type,
                      struct mc_copy_page *page, struct mc_copy_value *value)
{
    value->null = PQgetisnull(result, (int)row, column);
    if (value->null)
        return true;
    if (type == 'd')
        value->number = mc_pg_cell_double(result, row, column);
    else if (type == 't')
        value->integer = mc_pg_cell_time(result, row, column);
    else if (type == 'i' || type == 'b')
        value->integer = mc_pg_cell_int(result, row, column);
    else
        return mc_copy_page_text(page, value, mc_pg_cell(result, row, column));
    return true;
}

static enum mc_status read_page(struct mc_dump *dump, enum mc_copy_table table,
                                const struct mc_copy_cursor *after, size_t limit,
                                struct mc_copy_page *page, struct mc_error *err)
{
    const char *columns = mc_copy_forms[table].columns;
    enum mc_status status =
        mc_pg_query(dump->conn, tables[table].read,
                    MC_PG_ARGS(mc_pg_int(after->number), mc_pg_text(after->keys[0]),
                               mc_pg_text(after->keys[1]), mc_pg_text(after->keys[2]),
                               mc_pg_text(after->keys[3]), mc_pg_int((int64_t)limit)),
                    err);
    if (status != MC_OK)
        return status;
    const PGresult *result = dump->conn->results[0];
    size_t rows = mc_pg_rows(dump->conn, 0);
    status = mc_copy_page_begin(page, table, rows, err);
    if (status != MC_OK)
        return status;
    for (size_t i = 0; i < rows; i++) {
        struct mc_copy_value *values = mc_copy_page_add(page, mc_pg_cell_int(result, i, 0));
        for (int j = 0; columns[j]; j++)
            if (!take_cell(result, i, j + 1, columns[j], page, &values[j]))
                return mc_fail_memory(err);
    }
    return mc_copy_page_end(page, err);
}

/* ---- Writing ---- */

struct mc_pg_arg mc_pg_copy_arg(char type, const struct mc_copy_value *value)
{
    struct mc_pg_arg arg;
    switch (type) {
    case 'd':
        arg = mc_pg_double(value->number);
        break;
    case 'b':
        arg = mc_pg_bool(value->integer != 0);
        break;
    case 't':
        arg = mc_pg_time(value->integer);
        break;
    case 's':
        arg = mc_pg_text(value->text);
        break;
    case 'x':
    case 'X':
        arg = mc_pg_bytes(value->text);
        break;
    default:
        arg = mc_pg_int(value->integer);
        break;
    }
    arg.null = value->null;
    return arg;
}

static void write_page(struct mc_pg_conn *conn, const struct mc_copy_page *page)
{
    const char *columns = mc_copy_forms[page->table].columns;
    for (size_t i = 0; i < page->rows; i++) {
        const struct mc_copy_value *values = mc_copy_row(page, i);
        struct mc_pg_arg args[MC_COPY_COLUMNS_MAX + 3] = {{.type = 0}};
        for (int j = 0; j < 2; j++)
            args[j] = mc_pg_int(values[j].text.data ? mc_pg_shard(values[j].text) : 0);
        for (size_t j = 0; j < page->columns; j++)
            args[j + 2] = mc_pg_copy_arg(columns[j], &values[j]);
        mc_pg_add_quiet(conn, tables[page->table].write, args);
    }
}

/* ---- Marks ---- */

static enum mc_status put_mark(struct mc_pg_conn *conn, const struct mc_copy_load *load,
                               struct mc_error *err)
{
    mc_str name = mc_str_of(mc_copy_forms[load->table].name);
    if (load->before) {
        enum mc_status status =
            mc_pg_query(conn, "SELECT last FROM mindcore_copied WHERE name = $1 FOR UPDATE",
                        MC_PG_ARGS(mc_pg_str(name)), err);
        if (status != MC_OK)
            return status;
        if (mc_pg_rows(conn, 0) == 0 || mc_pg_first_int(conn, 0) != load->before->last)
            return mc_fail(err, MC_CONFLICT,
                           "another copy writes into the same target; end it first");
    }
    mc_pg_add_quiet(conn,
                    "INSERT INTO mindcore_copied(name, source, last, rows, sum, complete)"
                    " VALUES($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO UPDATE SET"
                    " source = excluded.source, last = excluded.last, rows = excluded.rows,"
                    " sum = excluded.sum, complete = excluded.complete",
                    MC_PG_ARGS(mc_pg_str(name), mc_pg_str(load->source),
                               mc_pg_int(load->mark->last), mc_pg_int(load->mark->rows),
                               mc_pg_int((int64_t)load->mark->sum),
                               mc_pg_bool(load->mark->complete)));
    return MC_OK;
}

static void take_mark(const PGresult *result, size_t row, struct mc_copy_marks *marks)
{
    for (enum mc_copy_table i = 0; i < MC_COPY_TABLES; i++)
        if (mc_str_equal(mc_pg_cell(result, row, 0), mc_str_of(mc_copy_forms[i].name)))
            marks->items[i] =
                (struct mc_copy_mark){.last = mc_pg_cell_int(result, row, 2),
                                      .rows = mc_pg_cell_int(result, row, 3),
                                      .sum = (uint64_t)mc_pg_cell_int(result, row, 4),
                                      .complete = mc_pg_cell_int(result, row, 5) != 0};
}

static enum mc_status marks_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct mc_copy_marks *marks = context;
    enum mc_status status =
        mc_pg_query(conn, "SELECT to_regclass('mindcore_copied') IS NOT NULL", MC_PG_NO_ARGS, err);
    if (status != MC_OK || !mc_pg_first_int(conn, 0))
        return status;
    status =
        mc_pg_query(conn, "SELECT name, source, last, rows, sum, complete FROM mindcore_copied",
                    MC_PG_NO_ARGS, err);
    for (size_t i = 0; status == MC_OK && i < mc_pg_rows(conn, 0); i++) {
        marks->begun = true;
        mc_buf_reset(&marks->source);
        mc_buf_append(&marks->source, mc_pg_cell(conn->results[0], i, 1));
        take_mark(conn->results[0], i, marks);
    }
    return status;
}

static enum mc_status marks(struct mc_store *store, struct mc_copy_marks *marks,
                            struct mc_error *err)
{
    return mc_pg_read(mc_pg_of(store), MC_PG_SNAPSHOT, marks_work, marks, err);
}

static enum mc_status load_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    const struct mc_copy_load *load = context;
    enum mc_status status = MC_OK;
    if (load->begin)
        mc_pg_add_quiet(conn,
                        "CREATE TABLE IF NOT EXISTS mindcore_copied(name text PRIMARY KEY,"
                        " source text NOT NULL, last bigint NOT NULL, rows bigint NOT NULL,"
                        " sum bigint NOT NULL, complete boolean NOT NULL)",
                        MC_PG_NO_ARGS);
    /* In a round of its own: what follows is prepared when the table is there. */
    if (load->begin)
        status = mc_pg_run(conn, err);
    if (status == MC_OK && load->mark)
        status = put_mark(conn, load, err);
    bool messages = load->table == MC_COPY_MESSAGES;
    if (status == MC_OK && load->clear)
        mc_pg_add_quiet(conn, tables[load->table].clear, MC_PG_NO_ARGS);
    if (status == MC_OK && load->clear && messages)
        mc_pg_add_vector_clear(conn);
    if (status != MC_OK || !load->page || load->page->rows == 0)
        return status;
    if (messages)
        status = mc_pg_copy_messages(conn, load->page, err);
    else
        write_page(conn, load->page);
    if (status == MC_OK && messages)
        mc_pg_add_vector_refill(conn);
    return status; /* what is added is run by the commit */
}

static enum mc_status load(struct mc_store *store, const struct mc_copy_load *load,
                           struct mc_error *err)
{
    return mc_pg_write(mc_pg_of(store), 0, load_work, (void *)(uintptr_t)load, err);
}

const struct mc_copy_ops mc_pg_copy = {
    .identity = identity,
    .open = open_dump,
    .close = close_dump,
    .count = count,
    .page = read_page,
    .marks = marks,
    .load = load,
};
