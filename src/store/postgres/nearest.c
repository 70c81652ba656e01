/*
 * DESIGN. Where the server has pgvector, the table of vectors has each a second time, in the column `embedding`: as
 * halfvec, or as vector before pgvector 0.7. It is what an index is: made of the stored form, filled in
 * steps, gone with `DROP EXTENSION vector CASCADE`, and nothing is lost by that. NULL is a vector that was not moved yet, or was
 * put by a server that does not use pgvector; whose user has one is not searched here. So no state tells how far
 * moving has come: the index vectors_unmoved, of the few rows without, does.
 */
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "base/time.h"
#include "store/postgres/pg.h"
#include "store/postgres/schema.h"

#define LOOK_US (20 * MC_US_PER_SECOND)
/* Building the index reads the whole table: as long as that takes, and not again soon when it fails. */
#define INDEX_TIMEOUT_US (24 * 3600 * MC_US_PER_SECOND)
#define INDEX_AGAIN_US (3600 * MC_US_PER_SECOND)

/* ---- What there is ---- */

/* Values of enum mc_pg_embedding. A type that the search path does not show cannot be named. */
#define COLUMN_TYPE                                                                                \
    "coalesce((SELECT CASE a.atttypid WHEN to_regtype('halfvec') THEN 1"                           \
    " WHEN to_regtype('vector') THEN 2 ELSE 0 END FROM pg_attribute a"                             \
    " WHERE a.attrelid = to_regclass('vectors') AND a.attname = 'embedding'"                       \
    " AND NOT a.attisdropped), 0)"

static enum mc_status take_type(const PGresult *result, void *context, struct mc_error *err)
{
    int64_t *type = context;
    (void)err;
    *type = mc_pg_cell_int(result, 0, 0);
    return MC_OK;
}

static void set_type(struct mc_pg *s, int64_t type)
{
    int64_t until_us = type == MC_PG_NO_EMBEDDING ? mc_time_monotonic_us() + LOOK_US : INT64_MAX;
    atomic_store(&s->embeddings.type, (int)type);
    atomic_store(&s->embeddings.look_us, until_us);
}

enum mc_pg_embedding mc_pg_embedding(struct mc_pg *s)
{
    if (!s->pool.options.pgvector)
        return MC_PG_NO_EMBEDDING;
    if (mc_time_monotonic_us() >= atomic_load(&s->embeddings.look_us)) {
        struct mc_error ignored;
        int64_t type = MC_PG_NO_EMBEDDING;
        if (mc_pg_read_one(s, "SELECT " COLUMN_TYPE, MC_PG_NO_ARGS, take_type, &type, &ignored) ==
            MC_OK)
            set_type(s, type);
    }
    return (enum mc_pg_embedding)atomic_load(&s->embeddings.type);
}

bool mc_pg_embedding_changed(struct mc_pg *s, enum mc_pg_embedding type)
{
    if (type == MC_PG_NO_EMBEDDING)
        return false;
    atomic_store(&s->embeddings.look_us, 0);
    return mc_pg_embedding(s) != type;
}

double *mc_pg_unpacked(mc_str data, double scale)
{
    size_t dimension = data.len / sizeof(int16_t);
    double *values = malloc((dimension + 1) * sizeof(*values));
    for (size_t i = 0; values && i < dimension; i++) {
        int16_t packed; /* may not be aligned there */
        memcpy(&packed, data.data + i * sizeof(packed), sizeof(packed));
        values[i] = packed * scale;
    }
    return values;
}

/* ---- Making the column ---- */

static const char column_of_halfvec[] =
    "ALTER TABLE vectors ADD COLUMN IF NOT EXISTS embedding halfvec";
static const char column_of_vector[] =
    "ALTER TABLE vectors ADD COLUMN IF NOT EXISTS embedding vector";

static enum mc_status read_pgvector(struct mc_pg_conn *conn, bool *installed, bool *halfvec,
                                    struct mc_error *err)
{
    enum mc_status status =
        mc_pg_query(conn,
                    "SELECT EXISTS(SELECT 1 FROM pg_extension WHERE extname = 'vector'),"
                    " to_regtype('halfvec') IS NOT NULL",
                    MC_PG_NO_ARGS, err);
    if (status != MC_OK)
        return status;
    *installed = mc_pg_cell_int(conn->results[0], 0, 0);
    *halfvec = mc_pg_cell_int(conn->results[0], 0, 1);
    return MC_OK;
}

/* Where the server offers it and the role may: what it may not is no error, here or in the server's log. */
static const char create_extension_sql[] =
    "DO $$BEGIN CREATE EXTENSION IF NOT EXISTS vector;"
    " EXCEPTION WHEN insufficient_privilege OR feature_not_supported THEN NULL; END$$";

static enum mc_status create_extension(struct mc_pg_conn *conn, bool *offered, bool *installed,
                                       bool *halfvec, struct mc_error *err)
{
    enum mc_status status = mc_pg_query(
        conn, "SELECT EXISTS(SELECT 1 FROM pg_available_extensions WHERE name = 'vector')",
        MC_PG_NO_ARGS, err);
    if (status != MC_OK || !mc_pg_first_int(conn, 0))
        return status;
    *offered = true;
    status = mc_pg_query(conn, create_extension_sql, MC_PG_NO_ARGS, err);
    return status == MC_OK ? read_pgvector(conn, installed, halfvec, err) : status;
}

/* Without pgvector nothing is changed. */
static enum mc_status column_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    bool *refused = context, offered = false, installed = false, halfvec = false;
    /* Who waits for the table keeps others waiting: not for long. */
    mc_pg_add_quiet(conn, "SELECT set_config('lock_timeout', '2s', true)", MC_PG_NO_ARGS);
    mc_pg_add_quiet(conn, MC_PG_SCHEMA_LOCK, MC_PG_NO_ARGS);
    enum mc_status status = mc_pg_run(conn, err);
    if (status == MC_OK)
        status = read_pgvector(conn, &installed, &halfvec, err);
    if (status == MC_OK && !installed)
        status = create_extension(conn, &offered, &installed, &halfvec, err);
    *refused = offered && !installed;
    if (status != MC_OK || !installed)
        return status;
    mc_pg_add_quiet(conn, halfvec ? column_of_halfvec : column_of_vector, MC_PG_NO_ARGS);
    /* In the row itself as long as a page has room: a search reads every one. */
    mc_pg_add_quiet(conn, "ALTER TABLE vectors ALTER COLUMN embedding SET STORAGE MAIN",
                    MC_PG_NO_ARGS);
    return mc_pg_run(conn, err);
}

/* Says once why pgvector is not used though the server seems to have it. */
static void tell(struct mc_pg *s, const char *reason)
{
    if (!atomic_exchange(&s->embeddings.told, true))
        mc_log(MC_LOG_WARNING, "store",
               "pgvector is not used: %s; vectors are searched in this process. Let a superuser "
               "run CREATE EXTENSION vector in database '%s', or set embeddings.pgvector to off",
               reason, s->pool.where.database);
}

static enum mc_pg_embedding make_column(struct mc_pg *s)
{
    struct mc_error error;
    bool refused = false;
    if (mc_pg_write(s, MC_PG_SILENT, column_work, &refused, &error) != MC_OK) {
        tell(s, error.message);
        return MC_PG_NO_EMBEDDING;
    }
    if (refused) {
        tell(s, "this user may not create the extension");
        return MC_PG_NO_EMBEDDING;
    }
    atomic_store(&s->embeddings.look_us, 0);
    enum mc_pg_embedding type = mc_pg_embedding(s);
    if (type != MC_PG_NO_EMBEDDING)
        mc_log(MC_LOG_INFO, "store", "PostgreSQL database '%s' has pgvector: it searches vectors",
               s->pool.where.database);
    return type;
}

/* ---- Making the index ---- */

enum index_state { INDEX_ABSENT, INDEX_INVALID, INDEX_VALID };

static const char index_state_sql[] =
    "SELECT coalesce((SELECT CASE WHEN indisvalid THEN 2 ELSE 1 END FROM pg_index"
    " WHERE indexrelid = to_regclass('vectors_unmoved')), 0)";

/*
 * One server makes it; the others go on without. It waits shortly for the table, since who waits keeps others waiting,
 * and then takes the time that it needs.
 */
static enum mc_status index_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    int64_t timeout_us = conn->answer_timeout_us;
    (void)context;
    enum mc_status status = mc_pg_query(conn, MC_PG_TRY_SCHEMA_LOCK, MC_PG_NO_ARGS, err);
    if (status != MC_OK || !mc_pg_first_int(conn, 0))
        return status;
    mc_pg_add_quiet(conn,
                    "SELECT set_config('lock_timeout', '2s', true),"
                    " set_config('statement_timeout', '0', true)",
                    MC_PG_NO_ARGS);
    mc_pg_add_quiet(conn,
                    "CREATE INDEX IF NOT EXISTS vectors_unmoved ON vectors(shard, user_no, id)"
                    " WHERE embedding IS NULL",
                    MC_PG_NO_ARGS);
    conn->answer_timeout_us = INDEX_TIMEOUT_US;
    status = mc_pg_run(conn, err);
    conn->answer_timeout_us = timeout_us;
    return status;
}

static enum mc_status read_index(struct mc_pg *s, int64_t *state, struct mc_error *err)
{
    return mc_pg_read_one(s, index_state_sql, MC_PG_NO_ARGS, take_type, state, err);
}

/* Nothing is moved before it is there: one that is not valid is just being built by hand. */
static enum mc_status make_index(struct mc_pg *s, enum mc_pg_embedding type, bool *ready,
                                 struct mc_error *err)
{
    struct mc_error error;
    int64_t state = INDEX_ABSENT;
    enum mc_status status = read_index(s, &state, err);
    if (status == MC_OK && state == INDEX_ABSENT &&
        mc_time_monotonic_us() >= atomic_load(&s->embeddings.index_us)) {
        if (mc_pg_write(s, MC_PG_SILENT | MC_PG_ONCE, index_work, NULL, &error) != MC_OK &&
            !mc_pg_embedding_changed(s, type)) {
            atomic_store(&s->embeddings.index_us, mc_time_monotonic_us() + INDEX_AGAIN_US);
            mc_log(MC_LOG_WARNING, "store",
                   "the index vectors_unmoved of database '%s' was not made, and is tried again in "
                   "an hour; until then vectors are searched in this process: %s",
                   s->pool.where.database, error.message);
        }
        status = read_index(s, &state, err);
    }
    *ready = status == MC_OK && state == INDEX_VALID;
    return status;
}

/* ---- Moving ---- */

static const char *const move_sql[] = {
    [MC_PG_HALFVEC] = "UPDATE vectors SET embedding = $5::float8[]::halfvec"
                      " WHERE shard = $1 AND user_no = $2 AND model = $3 AND id = $4",
    [MC_PG_VECTOR] = "UPDATE vectors SET embedding = $5::float8[]::vector"
                     " WHERE shard = $1 AND user_no = $2 AND model = $3 AND id = $4",
};

struct move {
    enum mc_pg_embedding type;
    size_t limit;
    size_t moved;
};

/* A row of the result; adding forgets that, so its numbers are taken out before. */
struct moving {
    int64_t user_no, model, id;
    double *values;
    size_t dimension;
};

static bool take_rows(const PGresult *result, struct moving *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mc_str data = mc_pg_cell(result, i, 4);
        rows[i] = (struct moving){
            .user_no = mc_pg_cell_int(result, i, 0),
            .model = mc_pg_cell_int(result, i, 1),
            .id = mc_pg_cell_int(result, i, 2),
            .values = mc_pg_unpacked(data, mc_pg_cell_double(result, i, 3)),
            .dimension = data.len / sizeof(int16_t),
        };
        if (!rows[i].values)
            return false;
    }
    return true;
}

static enum mc_status move_rows(struct mc_pg_conn *conn, struct move *move, int64_t shard,
                                struct mc_error *err)
{
    size_t count = mc_pg_rows(conn, 0);
    struct moving *rows = calloc(count + 1, sizeof(*rows));
    bool taken = rows && take_rows(conn->results[0], rows, count);
    for (size_t i = 0; taken && i < count; i++)
        mc_pg_add_quiet(conn, move_sql[move->type],
                        MC_PG_ARGS(mc_pg_int(shard), mc_pg_int(rows[i].user_no),
                                   mc_pg_int(rows[i].model), mc_pg_int(rows[i].id),
                                   mc_pg_doubles(rows[i].values, rows[i].dimension)));
    for (size_t i = 0; rows && i < count; i++)
        free(rows[i].values);
    free(rows);
    if (!taken)
        return mc_fail_memory(err);
    move->moved = count;
    return count > 0 ? mc_pg_run(conn, err) : MC_OK;
}

/* What others are moving, or deleting, is left to them. */
static enum mc_status move_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct move *move = context;
    move->moved = 0;
    mc_pg_add_quiet(conn, "SELECT set_config('enable_seqscan', 'off', true)", MC_PG_NO_ARGS);
    enum mc_status status = mc_pg_run(conn, err);
    if (status == MC_OK)
        status = mc_pg_query(conn,
                             "SELECT shard FROM vectors WHERE embedding IS NULL"
                             " AND length(data) > 1 LIMIT 1",
                             MC_PG_NO_ARGS, err);
    if (status != MC_OK || mc_pg_rows(conn, 0) == 0)
        return status;
    int64_t shard = mc_pg_first_int(conn, 0);
    status = mc_pg_query(conn,
                         "SELECT user_no, model, id, scale, data FROM vectors WHERE shard = $1"
                         " AND embedding IS NULL AND length(data) > 1"
                         " ORDER BY user_no, id LIMIT $2 FOR UPDATE SKIP LOCKED",
                         MC_PG_ARGS(mc_pg_int(shard), mc_pg_int((int64_t)move->limit)), err);
    return status == MC_OK ? move_rows(conn, move, shard, err) : status;
}

enum mc_status mc_pg_move_vectors(struct mc_pg *s, size_t limit, bool *done, struct mc_error *err)
{
    struct move move = {.type = mc_pg_embedding(s), .limit = limit};
    if (move.type == MC_PG_NO_EMBEDDING && s->pool.options.pgvector)
        move.type = make_column(s);
    enum mc_status status = MC_OK;
    bool ready = false;
    if (move.type != MC_PG_NO_EMBEDDING)
        status = make_index(s, move.type, &ready, err);
    if (ready)
        status = mc_pg_write(s, MC_PG_SILENT, move_work, &move, err);
    if (status != MC_OK && mc_pg_embedding_changed(s, move.type))
        status = MC_OK; /* it was dropped: nothing is left to do */
    *done = move.moved == 0;
    return status;
}

/* ---- Searching ---- */

/* Of a user of whom one is not moved: none. Scalar queries are carried out as they stand, one look into an index each. */
static const char searchable_sql[] =
    "SELECT m.number FROM users u CROSS JOIN vector_models m WHERE u.shard = $1 AND u.user_id = $2"
    " AND m.shard = 0 AND (SELECT v.id FROM vectors v WHERE v.shard = $1 AND v.user_no = u.user_no"
    " AND v.model = m.number LIMIT 1) IS NOT NULL AND (SELECT v.id FROM vectors v"
    " WHERE v.shard = $1 AND v.user_no = u.user_no AND v.embedding IS NULL LIMIT 1) IS NULL"
    " ORDER BY m.number DESC LIMIT $3";

struct models {
    mc_str user_id;
    int64_t *numbers;
    size_t most, count;
};

static enum mc_status searchable_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct models *models = context;
    mc_pg_add_by_key(conn);
    mc_pg_add(conn, searchable_sql,
              MC_PG_ARGS(mc_pg_int(mc_pg_shard(models->user_id)), mc_pg_str(models->user_id),
                         mc_pg_int((int64_t)models->most)));
    enum mc_status status = mc_pg_run_last(conn, err);
    models->count = 0;
    for (size_t i = 0; status == MC_OK && i < mc_pg_rows(conn, 0) && i < models->most; i++)
        models->numbers[models->count++] = mc_pg_cell_int(conn->results[0], i, 0);
    return status;
}

enum mc_status mc_pg_searchable(struct mc_store *store, mc_str user_id, int64_t *models,
                                size_t most, size_t *count, struct mc_error *err)
{
    struct mc_pg *s = mc_pg_of(store);
    enum mc_pg_embedding type = mc_pg_embedding(s);
    struct models found = {.user_id = user_id, .numbers = models, .most = most};
    enum mc_status status = MC_OK;
    if (type != MC_PG_NO_EMBEDDING)
        status = mc_pg_read_lagging(store, mc_pg_shard(user_id), MC_PG_SNAPSHOT, searchable_work,
                                    &found, err);
    if (status != MC_OK && !mc_pg_embedding_changed(s, type))
        return status;
    *count = status == MC_OK ? found.count : 0;
    return MC_OK;
}

#define NEAREST(type, from, conditions)                                                            \
    "WITH s AS MATERIALIZED (SELECT v.id, -(v.embedding <#> $4::float8[]::" type ") AS score"      \
    " FROM " from " WHERE v.shard = $1 AND v.user_no = " MC_PG_USER_NO                             \
    " AND v.model = $3" conditions ") SELECT id, score, (SELECT avg(score) FROM s),"               \
    " (SELECT count(*) FROM s), (SELECT count(*) FROM s WHERE score IS NULL) FROM s"               \
    " ORDER BY score DESC, id LIMIT $5"
#define OF_ALL(type) NEAREST(type, "vectors v", "")
/* What a query asks of messages, and the rule of access, before anything is ranked. */
#define OF_SOME(type)                                                                              \
    NEAREST(type,                                                                                  \
            "vectors v JOIN messages m ON m.shard = $1 AND m.user_no = v.user_no AND m.id = v.id", \
            " AND ($6::text IS NULL OR m.thread_id = $6) AND m.created_at >= $7"                   \
            " AND m.created_at < $8 AND " MC_PG_ALLOWED)

static const char *const nearest_sql[][2] = {
    [MC_PG_HALFVEC] = {OF_ALL("halfvec"), OF_SOME("halfvec")},
    [MC_PG_VECTOR] = {OF_ALL("vector"), OF_SOME("vector")},
};

struct nearest {
    const struct mc_nearest_query *query;
    enum mc_pg_embedding type;
    const double *values;
    struct mc_nearest *found;
};

static void add_nearest(struct mc_pg_conn *conn, const struct nearest *n)
{
    const struct mc_nearest_query *q = n->query;
    bool some = mc_str_given(q->thread_id) || q->since_us || q->until_us ||
                !mc_reader_unfiltered(q->reader);
    const struct mc_pg_arg own[] = {mc_pg_int(mc_pg_shard(q->user_id)),
                                    mc_pg_str(q->user_id),
                                    mc_pg_int(q->model),
                                    mc_pg_doubles(n->values, q->dimension),
                                    mc_pg_int((int64_t)q->limit),
                                    mc_pg_str(q->thread_id),
                                    mc_pg_time(q->since_us ? q->since_us : INT64_MIN),
                                    mc_pg_time(q->until_us ? q->until_us : INT64_MAX),
                                    {.type = 0}};
    if (some) {
        struct mc_pg_allowed_args args;
        mc_pg_allowed(&args, own, q->reader);
        mc_pg_add(conn, nearest_sql[n->type][1], args.items);
    } else {
        mc_pg_add(conn, nearest_sql[n->type][0],
                  MC_PG_ARGS(own[0], own[1], own[2], own[3], own[4]));
    }
}

static enum mc_status nearest_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    const struct nearest *n = context;
    struct mc_nearest *found = n->found;
    /* Compiling takes longer than what it would make faster. */
    mc_pg_add_quiet(conn,
                    "SELECT set_config('jit', 'off', true), set_config('enable_seqscan', 'off',"
                    " true)",
                    MC_PG_NO_ARGS);
    add_nearest(conn, n);
    enum mc_status status = mc_pg_run_last(conn, err);
    if (status != MC_OK)
        return status;
    const PGresult *result = conn->results[0];
    found->count = 0;
    for (size_t i = 0; i < (size_t)PQntuples(result) && i < n->query->limit; i++)
        found->items[found->count++] =
            (struct mc_nearest_item){mc_pg_cell_int(result, i, 0), mc_pg_cell_double(result, i, 1)};
    bool any = found->count > 0;
    found->mean = any ? mc_pg_cell_double(result, 0, 2) : 0;
    found->compared = any ? mc_pg_cell_int(result, 0, 3) : 0;
    found->whole = !any || mc_pg_cell_int(result, 0, 4) == 0;
    return MC_OK;
}

enum mc_status mc_pg_nearest(struct mc_store *store, const struct mc_nearest_query *query,
                             struct mc_nearest *found, struct mc_error *err)
{
    struct mc_pg *s = mc_pg_of(store);
    struct nearest n = {.query = query, .type = mc_pg_embedding(s), .found = found};
    found->whole = false;
    if (n.type == MC_PG_NO_EMBEDDING)
        return MC_OK;
    double *values = malloc((query->dimension + 1) * sizeof(*values));
    if (!values)
        return mc_fail_memory(err);
    for (size_t i = 0; i < query->dimension; i++)
        values[i] = (double)query->values[i];
    n.values = values;
    enum mc_status status = mc_pg_read_lagging(store, mc_pg_shard(query->user_id), MC_PG_SNAPSHOT,
                                               nearest_work, &n, err);
    free(values);
    if (status != MC_OK && mc_pg_embedding_changed(s, n.type)) {
        found->whole = false;
        return MC_OK;
    }
    return status;
}
