/*
 * Vectors of meaning: the models, what waits for a vector, and what a user has. Locks are taken in the order
 * messages, vectors, vector_users, vector_models, vector_jobs, each sorted.
 */
#include <stdlib.h>

#include "base/error.h"
#include "base/time.h"
#include "store/postgres/pg.h"
#include "store/rules.h"

#define MODELS "vector_models WHERE shard = 0"
#define CURRENT "SELECT number FROM " MODELS " AND current"

/* ---- Inside other transactions ---- */

enum mc_status mc_pg_add_vector_waits(struct mc_pg_conn *conn, const int64_t *rows, size_t count,
                                      struct mc_error *err)
{
    int64_t *shards = count > 0 ? malloc(count * sizeof(*shards)) : NULL;
    if (count == 0)
        return MC_OK;
    if (!shards)
        return mc_fail_memory(err);
    for (size_t i = 0; i < count; i++)
        shards[i] = mc_pg_row_shard(rows[i]);
    mc_pg_add_quiet(conn,
                    "INSERT INTO vector_jobs(shard, id, due_at, attempts)"
                    " SELECT " MC_PG_QUEUE ", m.id, now(), 0 FROM unnest($1, $2) r(shard, id),"
                    " LATERAL (SELECT x.id FROM messages x WHERE x.shard = r.shard AND x.id = r.id"
                    " AND NOT x.trivial OFFSET 0) m"
                    " WHERE EXISTS(" CURRENT ") ORDER BY m.id ON CONFLICT DO NOTHING",
                    MC_PG_ARGS(mc_pg_ints(shards, count), mc_pg_ints(rows, count)));
    free(shards);
    return MC_OK;
}

void mc_pg_add_vector_drop(struct mc_pg_conn *conn, int64_t user_no, const int64_t *rows,
                           size_t count)
{
    struct mc_pg_arg ids = mc_pg_ints(rows, count);
    mc_pg_add_quiet(conn,
                    "WITH gone AS (DELETE FROM vectors WHERE shard = $1 AND user_no = $2"
                    " AND model IN (SELECT number FROM " MODELS
                    ") AND id = ANY($3) RETURNING model),"
                    " told AS (UPDATE vector_users SET removed = removed + 1 WHERE shard = $1"
                    " AND user_no = $2 AND EXISTS(SELECT 1 FROM gone))"
                    " UPDATE vector_models m SET vectors = m.vectors - g.n FROM"
                    " (SELECT model, count(*) n FROM gone GROUP BY model) g"
                    " WHERE m.shard = 0 AND m.number = g.model",
                    MC_PG_ARGS(mc_pg_int(mc_pg_row_shard(rows[0])), mc_pg_int(user_no), ids));
    mc_pg_add_quiet(conn, "DELETE FROM vector_jobs WHERE shard = " MC_PG_QUEUE " AND id = ANY($1)",
                    MC_PG_ARGS(ids));
}

void mc_pg_add_vector_clear(struct mc_pg_conn *conn)
{
    mc_pg_add_quiet(conn, "TRUNCATE vectors, vector_users", MC_PG_NO_ARGS);
    mc_pg_add_quiet(conn,
                    "UPDATE vector_models SET vectors = 0, filled = false, filled_shard = 0,"
                    " filled_to = 0 WHERE shard = 0",
                    MC_PG_NO_ARGS);
    mc_pg_add_quiet(conn, "TRUNCATE vector_jobs", MC_PG_NO_ARGS);
}

/* Whatever the row says: a step of fill_vectors that does not see the new messages may just be changing it. */
void mc_pg_add_vector_refill(struct mc_pg_conn *conn)
{
    mc_pg_add_quiet(conn,
                    "UPDATE vector_models SET filled = false, filled_shard = 0, filled_to = 0"
                    " WHERE shard = 0 AND current",
                    MC_PG_NO_ARGS);
}

/* ---- Models ---- */

struct model {
    mc_str name;
    int64_t dimension;
    int64_t number;
};

static enum mc_status model_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct model *m = context;
    struct mc_pg_arg name = mc_pg_text(m->name), dimension = mc_pg_int(m->dimension);
    mc_pg_add_quiet(conn, "LOCK TABLE vector_models IN SHARE ROW EXCLUSIVE MODE", MC_PG_NO_ARGS);
    mc_pg_add_quiet(conn,
                    "INSERT INTO vector_models(shard, number, name, dimension, current, filled,"
                    " filled_shard, filled_to, vectors) SELECT 0,"
                    " (SELECT coalesce(max(number), 0) + 1 FROM " MODELS "),"
                    " $1, $2, false, false, 0, 0, 0 ON CONFLICT DO NOTHING",
                    MC_PG_ARGS(name, dimension));
    mc_pg_add(conn, "SELECT number FROM " MODELS " AND name = $1 AND dimension = $2",
              MC_PG_ARGS(name, dimension));
    enum mc_status status = mc_pg_run(conn, err);
    if (status != MC_OK)
        return status;
    m->number = mc_pg_first_int(conn, 0);
    struct mc_pg_arg number = mc_pg_int(m->number);
    mc_pg_add_quiet(conn,
                    "UPDATE vector_models SET current = true, filled = false, filled_shard = 0,"
                    " filled_to = 0 WHERE shard = 0 AND number = $1 AND NOT current",
                    MC_PG_ARGS(number));
    mc_pg_add_quiet(conn,
                    "UPDATE vector_models SET current = false WHERE shard = 0 AND current"
                    " AND number <> $1",
                    MC_PG_ARGS(number));
    mc_pg_add_quiet(conn, "DELETE FROM " MODELS " AND NOT current AND vectors = 0", MC_PG_NO_ARGS);
    return mc_pg_run(conn, err);
}

enum mc_status mc_pg_vector_model(struct mc_store *store, mc_str name, int64_t dimension,
                                  int64_t *number, struct mc_error *err)
{
    struct model model = {.name = name, .dimension = dimension};
    enum mc_status status = mc_pg_write(mc_pg_of(store), MC_PG_SILENT, model_work, &model, err);
    if (status == MC_OK)
        *number = model.number;
    return status;
}

struct models {
    mc_vector_model_fn each;
    void *context;
    int64_t waiting;
};

static enum mc_status models_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct models *models = context;
    mc_pg_add(conn, "SELECT count(*) FROM vector_jobs WHERE shard = " MC_PG_QUEUE, MC_PG_NO_ARGS);
    mc_pg_add(conn,
              "SELECT number, name, dimension, current, filled, vectors FROM " MODELS
              " ORDER BY number",
              MC_PG_NO_ARGS);
    enum mc_status status = mc_pg_run_last(conn, err);
    if (status != MC_OK)
        return status;
    models->waiting = mc_pg_first_int(conn, 0);
    const PGresult *result = conn->results[1];
    bool more = true;
    for (size_t i = 0; more && i < mc_pg_rows(conn, 1); i++) {
        struct mc_vector_model model = {
            .number = mc_pg_cell_int(result, i, 0),
            .name = mc_pg_cell(result, i, 1),
            .dimension = mc_pg_cell_int(result, i, 2),
            .current = mc_pg_cell_int(result, i, 3) != 0,
            .filled = mc_pg_cell_int(result, i, 4) != 0,
            .vectors = mc_pg_cell_int(result, i, 5),
        };
        more = models->each(models->context, &model);
    }
    return MC_OK;
}

enum mc_status mc_pg_vector_models(struct mc_store *store, mc_vector_model_fn each, void *context,
                                   int64_t *waiting, struct mc_error *err)
{
    struct models models = {.each = each, .context = context};
    enum mc_status status = mc_pg_read(mc_pg_of(store), MC_PG_SNAPSHOT, models_work, &models, err);
    if (status == MC_OK)
        *waiting = models.waiting;
    return status;
}

/* ---- Waiting ---- */

static enum mc_status claim_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct mc_rules_claim *claim = context;
    int64_t now_us = claim->now_us + conn->clock_offset_us;
    claim->count = 0;
    enum mc_status status = mc_pg_query(
        conn,
        "WITH due AS MATERIALIZED (SELECT id, due_at FROM vector_jobs WHERE shard = " MC_PG_QUEUE
        " AND due_at <= $1 ORDER BY due_at, id LIMIT $2 FOR UPDATE SKIP LOCKED),"
        " taken AS (UPDATE vector_jobs j SET due_at = $3, attempts = j.attempts + 1 FROM due"
        " WHERE j.shard = " MC_PG_QUEUE " AND j.id = due.id"
        " RETURNING j.id, j.attempts, due.due_at AS was)"
        " SELECT id, attempts FROM taken ORDER BY was, id",
        MC_PG_ARGS(mc_pg_time(now_us), mc_pg_int((int64_t)claim->limit),
                   mc_pg_time(now_us + claim->lease_us)),
        err);
    for (size_t i = 0; status == MC_OK && i < mc_pg_rows(conn, 0) && i < claim->limit; i++) {
        claim->rows[i] = mc_pg_cell_int(conn->results[0], i, 0);
        claim->attempts[i] = (int)mc_pg_cell_int(conn->results[0], i, 1);
        claim->count++;
    }
    return status;
}

static enum mc_status take_claim(struct mc_store *store, struct mc_rules_claim *claim,
                                 struct mc_error *err)
{
    return mc_pg_write(mc_pg_of(store), MC_PG_SILENT, claim_work, claim, err);
}

enum mc_status mc_pg_claim_vectors(struct mc_store *store, int64_t now_us, int64_t lease_us,
                                   size_t limit, struct mc_jobs *out, struct mc_error *err)
{
    return mc_rules_claim_vectors(store, take_claim, now_us, lease_us, limit, out, err);
}

struct fill {
    int64_t now_us;
    size_t limit;
    bool done;
};

/* A message that is removed meanwhile may be left waiting: the claim finds out. */
static enum mc_status fill_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct fill *fill = context;
    fill->done = true;
    enum mc_status status = mc_pg_query(conn,
                                        "SELECT number, filled_shard, filled_to FROM " MODELS
                                        " AND current AND NOT filled FOR UPDATE",
                                        MC_PG_NO_ARGS, err);
    if (status != MC_OK || mc_pg_rows(conn, 0) == 0)
        return status;
    const PGresult *result = conn->results[0];
    struct mc_pg_arg model = mc_pg_int(mc_pg_cell_int(result, 0, 0)),
                     shard = mc_pg_int(mc_pg_cell_int(result, 0, 1)),
                     from = mc_pg_int(mc_pg_cell_int(result, 0, 2));
    status = mc_pg_query(conn,
                         "WITH part AS MATERIALIZED (SELECT shard, id, user_no, trivial,"
                         " terms IS NOT NULL AS done FROM messages"
                         " WHERE (shard, id) > ($1::smallint, $2) ORDER BY shard, id LIMIT $3),"
                         " added AS (INSERT INTO vector_jobs(shard, id, due_at, attempts)"
                         " SELECT " MC_PG_QUEUE ", p.id, $5, 0 FROM part p WHERE NOT p.trivial"
                         " AND p.done AND NOT EXISTS(SELECT 1 FROM vectors v WHERE"
                         " v.shard = p.shard AND v.user_no = p.user_no AND v.model = $4"
                         " AND v.id = p.id) ORDER BY p.id ON CONFLICT DO NOTHING)"
                         " SELECT shard, id FROM part ORDER BY shard DESC, id DESC LIMIT 1",
                         MC_PG_ARGS(shard, from, mc_pg_int((int64_t)fill->limit), model,
                                    mc_pg_time(fill->now_us + conn->clock_offset_us)),
                         err);
    if (status != MC_OK)
        return status;
    fill->done = mc_pg_rows(conn, 0) == 0;
    if (!fill->done) {
        shard = mc_pg_int(mc_pg_cell_int(conn->results[0], 0, 0));
        from = mc_pg_int(mc_pg_cell_int(conn->results[0], 0, 1));
    }
    return mc_pg_query(conn,
                       "UPDATE vector_models SET filled = $2, filled_shard = $3, filled_to = $4"
                       " WHERE shard = 0 AND number = $1",
                       MC_PG_ARGS(model, mc_pg_bool(fill->done), shard, from), err);
}

enum mc_status mc_pg_fill_vectors(struct mc_store *store, int64_t now_us, size_t limit, bool *done,
                                  struct mc_error *err)
{
    struct fill fill = {.now_us = now_us, .limit = limit};
    enum mc_status status = mc_pg_write(mc_pg_of(store), MC_PG_SILENT, fill_work, &fill, err);
    if (status == MC_OK && fill.done)
        status = mc_pg_move_vectors(mc_pg_of(store), limit, &fill.done, err);
    if (status == MC_OK)
        *done = fill.done;
    return status;
}

/* ---- Putting ---- */

struct put {
    int64_t model;
    const struct mc_vector_put *items;
    size_t count;
    int64_t *rows;
    enum mc_pg_embedding type;
};

/* What the column `embedding` gets, and its name and value in an INSERT. */
#define PUT(set, name, value)                                                                      \
    "WITH old AS (DELETE FROM vectors WHERE shard = $1 AND user_no = $2 AND id = $4"               \
    " AND model IN (SELECT number FROM " MODELS " AND number <> $3) RETURNING model),"             \
    " told AS (INSERT INTO vector_users AS u(shard, user_no, version, removed)"                    \
    " SELECT $1, $2, 1, count(*) FROM old ON CONFLICT (shard, user_no) DO UPDATE"                  \
    " SET version = u.version + 1, removed = u.removed + excluded.removed RETURNING version),"     \
    " changed AS (UPDATE vectors SET version = told.version, scale = $5, data = $6" set            \
    " FROM told"                                                                                   \
    " WHERE shard = $1 AND user_no = $2 AND model = $3 AND id = $4 RETURNING id),"                 \
    " made AS (INSERT INTO vectors(shard, user_no, model, id, version, scale, data" name ")"       \
    " SELECT $1, $2, $3, $4, version, $5, $6" value                                                \
    " FROM told WHERE NOT EXISTS(SELECT 1 FROM changed)"                                           \
    " ON CONFLICT DO NOTHING RETURNING id)"                                                        \
    " UPDATE vector_models m SET vectors = m.vectors + CASE WHEN m.number = $3"                    \
    " THEN (SELECT count(*) FROM made)"                                                            \
    " ELSE -(SELECT count(*) FROM old WHERE model = m.number) END"                                 \
    " WHERE m.shard = 0 AND (m.number = $3 OR m.number IN (SELECT model FROM old))"
#define PUT_AS(type)                                                                               \
    PUT(", embedding = $7::float8[]::" type, ", embedding", ", $7::float8[]::" type)

static const char *const put_sql[] = {
    [MC_PG_NO_EMBEDDING] = PUT("", "", ""),
    [MC_PG_HALFVEC] = PUT_AS("halfvec"),
    [MC_PG_VECTOR] = PUT_AS("vector"),
};

static enum mc_status add_put(struct mc_pg_conn *conn, const struct put *put, int64_t user_no,
                              const struct mc_vector_put *p, struct mc_error *err)
{
    struct mc_pg_arg args[] = {mc_pg_int(mc_pg_row_shard(p->row)),
                               mc_pg_int(user_no),
                               mc_pg_int(put->model),
                               mc_pg_int(p->row),
                               mc_pg_double(p->scale),
                               mc_pg_bytes(p->data),
                               {.type = 0},
                               {.type = 0}};
    double *values = NULL;
    if (put->type != MC_PG_NO_EMBEDDING) {
        values = mc_pg_unpacked(p->data, p->scale);
        if (!values)
            return mc_fail_memory(err);
        args[6] = mc_pg_doubles(values, p->data.len / sizeof(int16_t));
    }
    mc_pg_add_quiet(conn, put_sql[put->type], args);
    free(values);
    mc_pg_add_quiet(conn, "DELETE FROM vector_jobs WHERE shard = " MC_PG_QUEUE " AND id = $1",
                    MC_PG_ARGS(args[3]));
    return MC_OK;
}

static void add_back(struct mc_pg_conn *conn, const struct mc_vector_put *p)
{
    if (p->retry_at_us == 0)
        mc_pg_add_quiet(conn, "DELETE FROM vector_jobs WHERE shard = " MC_PG_QUEUE " AND id = $1",
                        MC_PG_ARGS(mc_pg_int(p->row)));
    else
        mc_pg_add_quiet(conn,
                        "UPDATE vector_jobs SET due_at = $2, attempts = greatest(attempts - $3, 0)"
                        " WHERE shard = " MC_PG_QUEUE " AND id = $1",
                        MC_PG_ARGS(mc_pg_int(p->row),
                                   mc_pg_time(p->retry_at_us + conn->clock_offset_us),
                                   mc_pg_int(p->no_attempt)));
}

static const struct mc_vector_put *put_of(const struct put *put, int64_t row)
{
    for (size_t i = 0; i < put->count; i++) {
        if (put->items[i].row == row && mc_str_given(put->items[i].data))
            return &put->items[i];
    }
    return NULL;
}

static enum mc_status lock_messages(struct mc_pg_conn *conn, struct put *put, size_t *statements,
                                    struct mc_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < put->count; i++) {
        if (mc_str_given(put->items[i].data))
            put->rows[count++] = put->items[i].row;
    }
    enum mc_status status =
        mc_pg_add_by_shard(conn,
                           "SELECT id, user_no FROM messages WHERE shard = $1 AND id = ANY($2)"
                           " ORDER BY user_no, id FOR KEY SHARE",
                           put->rows, count, NULL, statements, err);
    mc_pg_add(conn, CURRENT, MC_PG_NO_ARGS);
    return status == MC_OK ? mc_pg_run(conn, err) : status;
}

static enum mc_status put_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct put *put = context;
    size_t statements = 0, found = 0;
    enum mc_status status = lock_messages(conn, put, &statements, err);
    if (status != MC_OK)
        return status;
    bool current = mc_pg_first_int(conn, statements) == put->model;
    int64_t(*locked)[2] = calloc(put->count + 1, sizeof(*locked));
    if (!locked)
        return mc_fail_memory(err);
    for (size_t s = 0; current && s < statements; s++) {
        for (size_t i = 0; i < mc_pg_rows(conn, s) && found < put->count; i++, found++) {
            locked[found][0] = mc_pg_cell_int(conn->results[s], i, 0);
            locked[found][1] = mc_pg_cell_int(conn->results[s], i, 1);
        }
    }
    for (size_t i = 0; i < found && status == MC_OK; i++) {
        const struct mc_vector_put *p = put_of(put, locked[i][0]);
        if (p)
            status = add_put(conn, put, locked[i][1], p, err);
    }
    free(locked);
    if (status != MC_OK)
        return status;
    for (size_t i = 0; i < put->count; i++) {
        if (!mc_str_given(put->items[i].data))
            add_back(conn, &put->items[i]);
    }
    return mc_pg_run(conn, err);
}

enum mc_status mc_pg_put_vectors(struct mc_store *store, int64_t model,
                                 const struct mc_vector_put *items, size_t count,
                                 struct mc_error *err)
{
    if (count == 0)
        return MC_OK;
    struct put put = {.model = model, .items = items, .count = count};
    struct mc_pg *s = mc_pg_of(store);
    put.rows = calloc(count, sizeof(*put.rows));
    if (!put.rows)
        return mc_fail_memory(err);
    put.type = mc_pg_embedding(s);
    enum mc_status status = mc_pg_write(s, MC_PG_SILENT, put_work, &put, err);
    if (status != MC_OK && mc_pg_embedding_changed(s, put.type)) {
        put.type = mc_pg_embedding(s);
        status = mc_pg_write(s, MC_PG_SILENT, put_work, &put, err);
    }
    free(put.rows);
    return status;
}

/* ---- What a user has ---- */

struct having {
    mc_str user_id;
    const struct mc_vector_state *have;
    mc_vector_fn each;
    void *context;
    bool *whole;
    struct mc_vector_state now;
};

/* A validated message has at most 32; a table that somebody wrote to may say anything. */
#define GROUPS_MAX 64

static void give(const PGresult *result, const struct having *h)
{
    bool more = true;
    for (size_t i = 0; more && i < (size_t)PQntuples(result); i++) {
        mc_str groups[GROUPS_MAX];
        struct mc_message access = {
            .agent_id = mc_pg_cell(result, i, 6),
            .visibility = (enum mc_visibility)mc_pg_cell_int(result, i, 7),
            .sharing_groups = groups,
        };
        if (!mc_pg_cell_strs(result, i, 8, groups, GROUPS_MAX, &access.sharing_group_count))
            access.sharing_group_count = 0;
        struct mc_vector_row vector = {
            .access = &access,
            .row = mc_pg_cell_int(result, i, 0),
            .model = mc_pg_cell_int(result, i, 1),
            .created_at_us = mc_pg_cell_time(result, i, 2),
            .thread_id = mc_pg_cell(result, i, 3),
            .scale = mc_pg_cell_double(result, i, 4),
            .data = mc_pg_cell(result, i, 5),
        };
        more = h->each(h->context, &vector);
    }
}

static enum mc_status having_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct having *h = context;
    struct mc_pg_arg shard = mc_pg_int(mc_pg_shard(h->user_id));
    enum mc_status status =
        mc_pg_query(conn,
                    "SELECT v.user_no, v.version, v.removed FROM users u JOIN vector_users v"
                    " ON v.shard = u.shard AND v.user_no = u.user_no"
                    " WHERE u.shard = $1 AND u.user_id = $2",
                    MC_PG_ARGS(shard, mc_pg_str(h->user_id)), err);
    if (status != MC_OK)
        return status;
    h->now = (struct mc_vector_state){0};
    if (mc_pg_rows(conn, 0) > 0)
        h->now = (struct mc_vector_state){mc_pg_cell_int(conn->results[0], 0, 0),
                                          mc_pg_cell_int(conn->results[0], 0, 1),
                                          mc_pg_cell_int(conn->results[0], 0, 2)};
    bool same = h->now.user_no == h->have->user_no && h->now.removed == h->have->removed;
    *h->whole = !same;
    if (h->now.user_no == 0 || (same && h->now.version == h->have->version))
        return MC_OK;
    mc_pg_add(conn,
              "SELECT v.id, v.model, m.created_at, m.thread_id, v.scale, v.data, m.agent_id,"
              " m.visibility, m.sharing_groups FROM vectors v JOIN messages m ON m.shard = v.shard "
              "AND m.id = v.id"
              " WHERE v.shard = $1 AND v.user_no = $2 AND v.version > $3",
              MC_PG_ARGS(shard, mc_pg_int(h->now.user_no), mc_pg_int(same ? h->have->version : 0)));
    status = mc_pg_run_last(conn, err);
    if (status == MC_OK)
        give(conn->results[0], h);
    return status;
}

enum mc_status mc_pg_vectors(struct mc_store *store, mc_str user_id,
                             const struct mc_vector_state *have, mc_vector_fn each, void *context,
                             bool *whole, struct mc_vector_state *now, struct mc_error *err)
{
    struct having h = {
        .user_id = user_id, .have = have, .each = each, .context = context, .whole = whole};
    enum mc_status status = mc_pg_read(mc_pg_of(store), MC_PG_SNAPSHOT, having_work, &h, err);
    if (status != MC_OK)
        return status;
    *now = h.now;
    return MC_OK;
}
