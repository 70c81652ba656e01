/* Vectors of meaning: the models, what waits for a vector, and what a user has. */
#include "store/sqlite/sqlite.h"

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "store/rules.h"

#define CURRENT "SELECT number FROM vector_models WHERE current"

/* ---- Inside other transactions ---- */

enum mc_status mc_sqlite_vector_wait(struct mc_conn *conn, int64_t row, struct mc_error *err)
{
    return mc_conn_exec(conn,
                        "INSERT OR IGNORE INTO vector_jobs(row, due_at, attempts)"
                        " SELECT id, ?2, 0 FROM messages WHERE id = ?1 AND NOT trivial"
                        " AND EXISTS(" CURRENT ")",
                        MC_BINDS(mc_bind_int(row), mc_bind_int(mc_time_now_us())), err);
}

/* Takes away vectors of a message: all, or those of other models than `keep`. */
static enum mc_status drop_vectors(struct mc_conn *conn, int64_t user_no, int64_t row, int64_t keep,
                                   bool *any, struct mc_error *err)
{
    struct mc_bind user = mc_bind_int(user_no), message = mc_bind_int(row);
    enum mc_status status =
        mc_conn_exec(conn,
                     "UPDATE vector_models SET vectors = vectors - 1 WHERE number <> ?3 AND EXISTS"
                     "(SELECT 1 FROM vectors v WHERE v.user_no = ?1 AND v.model = number"
                     " AND v.row = ?2)",
                     MC_BINDS(user, message, mc_bind_int(keep)), err);
    *any = status == MC_OK && mc_conn_changes(conn) > 0;
    if (*any)
        status = mc_conn_exec(conn,
                              "DELETE FROM vectors WHERE user_no = ?1 AND row = ?2 AND model IN"
                              "(SELECT number FROM vector_models WHERE number <> ?3)",
                              MC_BINDS(user, message, mc_bind_int(keep)), err);
    return status;
}

enum mc_status mc_sqlite_vector_drop(struct mc_conn *conn, int64_t user_no, int64_t row,
                                     struct mc_error *err)
{
    bool any;
    enum mc_status status = drop_vectors(conn, user_no, row, 0, &any, err);
    if (status == MC_OK && any)
        status =
            mc_conn_exec(conn, "UPDATE vector_users SET removed = removed + 1 WHERE user_no = ?1",
                         MC_BINDS(mc_bind_int(user_no)), err);
    if (status == MC_OK)
        status = mc_conn_exec(conn, "DELETE FROM vector_jobs WHERE row = ?1",
                              MC_BINDS(mc_bind_int(row)), err);
    return status;
}

enum mc_status mc_sqlite_vector_clear(struct mc_conn *conn, struct mc_error *err)
{
    static const char *const statements[] = {
        "DELETE FROM vectors",
        "DELETE FROM vector_users",
        "DELETE FROM vector_jobs",
        "UPDATE vector_models SET vectors = 0, filled = 0, filled_to = 0",
    };
    enum mc_status status = MC_OK;
    for (size_t i = 0; status == MC_OK && i < mc_countof(statements); i++)
        status = mc_conn_exec(conn, statements[i], MC_NO_BINDS, err);
    return status;
}

enum mc_status mc_sqlite_vector_refill(struct mc_conn *conn, struct mc_error *err)
{
    return mc_conn_exec(conn, "UPDATE vector_models SET filled = 0 WHERE current AND filled",
                        MC_NO_BINDS, err);
}

/* ---- Models ---- */

struct model {
    mc_str name;
    int64_t dimension;
    int64_t number;
};

static enum mc_status apply_model(struct mc_writer *writer, void *context, struct mc_error *err)
{
    struct model *m = context;
    struct mc_conn *conn = writer->conn;
    struct mc_bind name = mc_bind_text(m->name), dimension = mc_bind_int(m->dimension);
    enum mc_status status =
        mc_conn_exec(conn,
                     "INSERT OR IGNORE INTO vector_models(name, dimension, current, filled,"
                     " filled_to, vectors) VALUES(?1, ?2, 0, 0, 0, 0)",
                     MC_BINDS(name, dimension), err);
    if (status == MC_OK)
        status = mc_conn_integer(
            conn, "SELECT number FROM vector_models WHERE name = ?1 AND dimension = ?2",
            MC_BINDS(name, dimension), NULL, &m->number, err);
    if (status == MC_OK)
        status = mc_conn_exec(conn,
                              "UPDATE vector_models SET current = 1, filled = 0, filled_to = 0"
                              " WHERE number = ?1 AND NOT current",
                              MC_BINDS(mc_bind_int(m->number)), err);
    if (status == MC_OK)
        status = mc_conn_exec(conn,
                              "UPDATE vector_models SET current = 0 WHERE current AND number <> ?1",
                              MC_BINDS(mc_bind_int(m->number)), err);
    if (status == MC_OK)
        status = mc_conn_exec(conn, "DELETE FROM vector_models WHERE NOT current AND vectors = 0",
                              MC_NO_BINDS, err);
    return status;
}

enum mc_status mc_sqlite_vector_model(struct mc_store *store, mc_str name, int64_t dimension,
                                      int64_t *number, struct mc_error *err)
{
    struct model model = {.name = name, .dimension = dimension};
    enum mc_status status =
        mc_sqlite_write(mc_sqlite_of(store), MC_WRITE_OTHER, 1, apply_model, &model, err);
    if (status == MC_OK)
        *number = model.number;
    return status;
}

enum mc_status mc_sqlite_vector_models(struct mc_store *store, mc_vector_model_fn each,
                                       void *context, int64_t *waiting, struct mc_error *err)
{
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    int64_t count = 0;
    enum mc_status status = mc_reading_begin(&reading, &mc_sqlite_of(store)->readers, err);
    if (status == MC_OK)
        status = mc_conn_integer(reading.conn, "SELECT count(*) FROM vector_jobs", MC_NO_BINDS,
                                 NULL, &count, err);
    if (status == MC_OK)
        status = mc_conn_start(reading.conn,
                               "SELECT number, name, dimension, current, filled, vectors"
                               " FROM vector_models ORDER BY number",
                               MC_NO_BINDS, &stmt, err);
    bool more = true;
    while (more && mc_conn_next(reading.conn, stmt, &status, err)) {
        struct mc_vector_model model = {
            .number = mc_column_int(stmt, 0),
            .name = mc_column_str(stmt, 1),
            .dimension = mc_column_int(stmt, 2),
            .current = mc_column_int(stmt, 3) != 0,
            .filled = mc_column_int(stmt, 4) != 0,
            .vectors = mc_column_int(stmt, 5),
        };
        more = each(context, &model);
    }
    if (status == MC_OK)
        *waiting = count;
    return status;
}

/* ---- Waiting ---- */

static enum mc_status choose(struct mc_conn *conn, struct mc_rules_claim *claim,
                             struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status = mc_conn_start(
        conn,
        "SELECT row, attempts FROM vector_jobs WHERE due_at <= ?1 ORDER BY due_at, row LIMIT ?2",
        MC_BINDS(mc_bind_int(claim->now_us), mc_bind_int((int64_t)claim->limit)), &stmt, err);
    claim->count = 0;
    while (claim->count < claim->limit && mc_conn_next(conn, stmt, &status, err)) {
        claim->rows[claim->count] = mc_column_int(stmt, 0);
        claim->attempts[claim->count++] = sqlite3_column_int(stmt, 1) + 1;
    }
    return status;
}

static enum mc_status apply_claim(struct mc_writer *writer, void *context, struct mc_error *err)
{
    struct mc_rules_claim *claim = context;
    enum mc_status status = choose(writer->conn, claim, err);
    for (size_t i = 0; status == MC_OK && i < claim->count; i++)
        status = mc_conn_exec(
            writer->conn,
            "UPDATE vector_jobs SET due_at = ?2, attempts = attempts + 1 WHERE row = ?1",
            MC_BINDS(mc_bind_int(claim->rows[i]), mc_bind_int(claim->now_us + claim->lease_us)),
            err);
    return status;
}

static enum mc_status take_claim(struct mc_store *store, struct mc_rules_claim *claim,
                                 struct mc_error *err)
{
    return mc_sqlite_write(mc_sqlite_of(store), MC_WRITE_OTHER, claim->limit, apply_claim, claim,
                           err);
}

enum mc_status mc_sqlite_claim_vectors(struct mc_store *store, int64_t now_us, int64_t lease_us,
                                       size_t limit, struct mc_jobs *out, struct mc_error *err)
{
    return mc_rules_claim_vectors(store, take_claim, now_us, lease_us, limit, out, err);
}

struct fill {
    int64_t now_us;
    size_t limit;
    bool done;
};

static enum mc_status apply_fill(struct mc_writer *writer, void *context, struct mc_error *err)
{
    struct fill *fill = context;
    struct mc_conn *conn = writer->conn;
    int64_t model = 0, from = 0, to = 0;
    fill->done = true;
    enum mc_status status =
        mc_conn_integer(conn, CURRENT " AND NOT filled", MC_NO_BINDS, NULL, &model, err);
    if (status != MC_OK || model == 0)
        return status;
    struct mc_bind number = mc_bind_int(model);
    status = mc_conn_integer(conn, "SELECT filled_to FROM vector_models WHERE number = ?1",
                             MC_BINDS(number), NULL, &from, err);
    if (status == MC_OK)
        status = mc_conn_integer(conn,
                                 "SELECT coalesce(max(id), 0) FROM (SELECT id FROM messages"
                                 " WHERE id > ?1 ORDER BY id LIMIT ?2)",
                                 MC_BINDS(mc_bind_int(from), mc_bind_int((int64_t)fill->limit)),
                                 NULL, &to, err);
    if (status == MC_OK)
        status = mc_conn_exec(
            conn,
            "INSERT OR IGNORE INTO vector_jobs(row, due_at, attempts)"
            " SELECT m.id, ?4, 0 FROM messages m WHERE m.id > ?1 AND m.id <= ?2"
            " AND NOT m.trivial AND m.terms IS NOT NULL AND NOT EXISTS(SELECT 1"
            " FROM vectors v WHERE v.user_no = m.user_no AND v.model = ?3"
            " AND v.row = m.id)",
            MC_BINDS(mc_bind_int(from), mc_bind_int(to), number, mc_bind_int(fill->now_us)), err);
    fill->done = to == 0;
    if (status == MC_OK)
        status = mc_conn_exec(conn,
                              "UPDATE vector_models SET filled = ?2, filled_to = max(filled_to, ?3)"
                              " WHERE number = ?1",
                              MC_BINDS(number, mc_bind_int(fill->done), mc_bind_int(to)), err);
    return status;
}

enum mc_status mc_sqlite_fill_vectors(struct mc_store *store, int64_t now_us, size_t limit,
                                      bool *done, struct mc_error *err)
{
    struct fill fill = {.now_us = now_us, .limit = limit};
    enum mc_status status =
        mc_sqlite_write(mc_sqlite_of(store), MC_WRITE_OTHER, limit, apply_fill, &fill, err);
    if (status == MC_OK)
        *done = fill.done;
    return status;
}

/* ---- Putting ---- */

struct put {
    int64_t model;
    const struct mc_vector_put *items;
    size_t count;
};

static enum mc_status put_one(struct mc_conn *conn, int64_t model, const struct mc_vector_put *p,
                              struct mc_error *err)
{
    struct mc_bind row = mc_bind_int(p->row), number = mc_bind_int(model);
    int64_t user_no = 0, had = 0;
    bool replaced;
    enum mc_status status = mc_conn_integer(conn, "SELECT user_no FROM messages WHERE id = ?1",
                                            MC_BINDS(row), NULL, &user_no, err);
    if (status != MC_OK || user_no == 0)
        return status;
    struct mc_bind user = mc_bind_int(user_no);
    status = drop_vectors(conn, user_no, p->row, model, &replaced, err);
    if (status == MC_OK)
        status =
            mc_conn_exec(conn,
                         "INSERT INTO vector_users(user_no, version, removed) VALUES(?1, 1, ?2)"
                         " ON CONFLICT DO UPDATE SET version = version + 1,"
                         " removed = removed + ?2",
                         MC_BINDS(user, mc_bind_int(replaced)), err);
    if (status == MC_OK)
        status = mc_conn_integer(
            conn, "SELECT count(*) FROM vectors WHERE user_no = ?1 AND model = ?2 AND row = ?3",
            MC_BINDS(user, number, row), NULL, &had, err);
    if (status == MC_OK)
        status = mc_conn_exec(
            conn,
            "INSERT OR REPLACE INTO vectors(user_no, model, row, version, scale, data)"
            " VALUES(?1, ?2, ?3, (SELECT version FROM vector_users WHERE user_no = ?1), ?4, ?5)",
            MC_BINDS(user, number, row, mc_bind_double(p->scale), mc_bind_blob(p->data)), err);
    if (status == MC_OK && had == 0)
        status =
            mc_conn_exec(conn, "UPDATE vector_models SET vectors = vectors + 1 WHERE number = ?1",
                         MC_BINDS(number), err);
    if (status == MC_OK)
        status = mc_conn_exec(conn, "DELETE FROM vector_jobs WHERE row = ?1", MC_BINDS(row), err);
    return status;
}

static enum mc_status put_back(struct mc_conn *conn, const struct mc_vector_put *p,
                               struct mc_error *err)
{
    struct mc_bind row = mc_bind_int(p->row);
    if (p->retry_at_us == 0)
        return mc_conn_exec(conn, "DELETE FROM vector_jobs WHERE row = ?1", MC_BINDS(row), err);
    return mc_conn_exec(conn,
                        "UPDATE vector_jobs SET due_at = ?2, attempts = max(attempts - ?3, 0)"
                        " WHERE row = ?1",
                        MC_BINDS(row, mc_bind_int(p->retry_at_us), mc_bind_int(p->no_attempt)),
                        err);
}

static enum mc_status apply_put(struct mc_writer *writer, void *context, struct mc_error *err)
{
    const struct put *put = context;
    int64_t current = 0;
    enum mc_status status =
        mc_conn_integer(writer->conn, CURRENT, MC_NO_BINDS, NULL, &current, err);
    for (size_t i = 0; status == MC_OK && i < put->count; i++) {
        const struct mc_vector_put *p = &put->items[i];
        if (!mc_str_given(p->data))
            status = put_back(writer->conn, p, err);
        else if (current == put->model)
            status = put_one(writer->conn, put->model, p, err);
    }
    return status;
}

enum mc_status mc_sqlite_put_vectors(struct mc_store *store, int64_t model,
                                     const struct mc_vector_put *items, size_t count,
                                     struct mc_error *err)
{
    if (count == 0)
        return MC_OK;
    struct put put = {model, items, count};
    return mc_sqlite_write(mc_sqlite_of(store), MC_WRITE_OTHER, count, apply_put, &put, err);
}

/* ---- What a user has ---- */

static enum mc_status read_state(struct mc_conn *conn, mc_str user_id, struct mc_vector_state *now,
                                 struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    bool row = false;
    enum mc_status status =
        mc_conn_start(conn,
                      "SELECT v.user_no, v.version, v.removed FROM users u"
                      " JOIN vector_users v ON v.user_no = u.user_no WHERE u.user_id = ?1",
                      MC_BINDS(mc_bind_str(user_id)), &stmt, err);
    if (status == MC_OK)
        status = mc_conn_step(conn, stmt, &row, err);
    *now = (struct mc_vector_state){0};
    if (status == MC_OK && row)
        *now = (struct mc_vector_state){mc_column_int(stmt, 0), mc_column_int(stmt, 1),
                                        mc_column_int(stmt, 2)};
    return status;
}

#define VECTORS                                                                                    \
    "SELECT v.row, v.model, m.created_at, t.thread_id, v.scale, v.data, m.agent_id, m.visibility," \
    " m.sharing_groups FROM vectors v"                                                             \
    " CROSS JOIN messages m ON m.id = v.row CROSS JOIN threads t ON t.thread_no = m.thread_no"     \
    " WHERE v.user_no = ?1"

/* Gives the row that the statement is at; *more as the callback says. */
static enum mc_status give_vector(struct mc_conn *conn, sqlite3_stmt *stmt, mc_vector_fn each,
                                  void *context, bool *more, struct mc_error *err)
{
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    mc_str groups[MC_SQLITE_GROUPS_MAX];
    struct mc_message access = {
        .agent_id = mc_column_str(stmt, 6),
        .visibility = (enum mc_visibility)mc_column_int(stmt, 7),
        .sharing_groups = groups,
    };
    enum mc_status status = mc_sqlite_groups(conn, mc_column_str(stmt, 8), &root, groups,
                                             &access.sharing_group_count, err);
    if (status != MC_OK)
        return status;
    const struct mc_vector_row vector = {
        .row = mc_column_int(stmt, 0),
        .model = mc_column_int(stmt, 1),
        .created_at_us = mc_column_int(stmt, 2),
        .thread_id = mc_column_str(stmt, 3),
        .access = &access,
        .scale = sqlite3_column_double(stmt, 4),
        .data = {sqlite3_column_blob(stmt, 5), (size_t)sqlite3_column_bytes(stmt, 5)},
    };
    *more = each(context, &vector);
    return MC_OK;
}

static enum mc_status read_vectors(struct mc_conn *conn, int64_t user_no, int64_t since,
                                   mc_vector_fn each, void *context, struct mc_error *err)
{
    mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
    enum mc_status status =
        mc_conn_start(conn, since > 0 ? VECTORS " AND v.version > ?2" : VECTORS,
                      MC_BINDS(mc_bind_int(user_no), mc_bind_int(since)), &stmt, err);
    bool more = true;
    while (status == MC_OK && more && mc_conn_next(conn, stmt, &status, err))
        status = give_vector(conn, stmt, each, context, &more, err);
    return status;
}

enum mc_status mc_sqlite_vectors(struct mc_store *store, mc_str user_id,
                                 const struct mc_vector_state *have, mc_vector_fn each,
                                 void *context, bool *whole, struct mc_vector_state *now,
                                 struct mc_error *err)
{
    mc_auto(mc_reading_end) struct mc_reading reading = {0};
    mc_auto(mc_snapshot_end) struct mc_snapshot snapshot = {0};
    struct mc_vector_state state = {0};
    enum mc_status status = mc_reading_begin(&reading, &mc_sqlite_of(store)->readers, err);
    if (status == MC_OK)
        status = mc_snapshot_begin(&snapshot, reading.conn, err);
    if (status == MC_OK)
        status = read_state(reading.conn, user_id, &state, err);
    if (status != MC_OK)
        return status;
    bool same = state.user_no == have->user_no && state.removed == have->removed;
    *whole = !same;
    if (state.user_no != 0 && !(same && state.version == have->version))
        status =
            read_vectors(reading.conn, state.user_no, same ? have->version : 0, each, context, err);
    if (status == MC_OK)
        *now = state;
    return status;
}
