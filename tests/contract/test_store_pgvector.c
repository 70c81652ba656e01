/*
 * The store on a PostgreSQL that has pgvector: the contract with it, and searching vectors by the database, which must
 * find what comparing them one by one finds.
 */
#include "store_contract.h"
#include "support/fake_embed.h"
#include "support/postgres.h"

#include <math.h>

#include "context/meaning.h"
#include "vector/vector.h"

#define DIMENSION 48
#define MESSAGES 600 /* of the user; others have as many */
#define NEAREST 40
/* Scores by halves (11 bits) against those by 16-bit integers. */
#define TOLERANCE 2e-4

static struct pg_server server;
static const char *database = "cases";
static bool through_bouncer;

static struct mc_store *open_as(bool pgvector)
{
    struct mc_postgres_options options = pg_options(&server, database, through_bouncer);
    options.pgvector = pgvector;
    return pg_open(&options);
}

static struct mc_store *open_cleared(void)
{
    pg_clear(&server, database);
    return open_as(true);
}

/* ---- Made-up vectors ---- */

static uint64_t state;

static float uniform(void)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (float)(state >> 40) / (float)(1 << 23) - 1;
}

static void make_vector(float *values)
{
    do {
        for (size_t i = 0; i < DIMENSION; i++)
            values[i] = uniform() + 0.3F;
    } while (!mc_vector_normalise(values, DIMENSION));
}

static void put_values(struct mc_store *store, int64_t model, const int64_t *rows,
                       float (*values)[DIMENSION], size_t count)
{
    int16_t(*packed)[DIMENSION] = calloc(count, sizeof(*packed));
    struct mc_vector_put *puts = calloc(count, sizeof(*puts));
    struct mc_error err = {0};
    if (!packed || !puts)
        bail_out("no memory");
    for (size_t i = 0; i < count; i++) {
        float scale;
        mc_vector_pack(values[i], DIMENSION, packed[i], &scale);
        puts[i] = (struct mc_vector_put){.row = rows[i],
                                         .data = {(const char *)packed[i], sizeof(packed[i])},
                                         .scale = (double)scale};
    }
    is_status(store->ops->put_vectors(store, model, puts, count, &err), MC_OK, &err, "%zu vectors",
              count);
    free(packed);
    free(puts);
}

/* Messages of one user over some threads, agents and times. */
struct many {
    int64_t rows[MESSAGES];
    float values[MESSAGES][DIMENSION];
    struct mc_message access[MESSAGES];
};
static const mc_str groups_of_red[] = {{"red", 3}};

static void store_many(struct mc_store *store, const char *user, struct many *many)
{
    static struct mc_put puts[MESSAGES];
    static char ids[MESSAGES][32];
    static const char *const threads[] = {"t0", "t1", "t2"};
    static const char *const agents[] = {"", "a", "b"};
    struct mc_error err = {0};
    for (size_t i = 0; i < MESSAGES; i++) {
        snprintf(ids[i], sizeof(ids[i]), "%s-%zu", user, i);
        puts[i] = agent_message(user, threads[i % 3], ids[i], "something", agents[i / 3 % 3],
                                (enum mc_visibility)(i / 9 % 3));
        puts[i].message.created_at_us = T0 + (int64_t)i * SECOND;
        if (puts[i].message.visibility == MC_VISIBILITY_SHARED && i % 2 == 0) {
            puts[i].message.sharing_groups = groups_of_red;
            puts[i].message.sharing_group_count = 1;
        }
        many->access[i] = puts[i].message;
        many->access[i].agent_id = mc_str_of(agents[i / 3 % 3]);
        make_vector(many->values[i]);
    }
    is_status(store->ops->put(store, puts, MESSAGES, &err), MC_OK, &err, "messages of %s", user);
    for (size_t i = 0; i < MESSAGES; i++) {
        many->rows[i] = puts[i].record->row;
        mc_record_unref(puts[i].record);
    }
}

/* ---- Searching ---- */

struct ranked {
    int64_t row;
    double score;
};

static int by_score(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    return (x->score < y->score) - (x->score > y->score);
}

/* What comparing one by one finds; the number of all that meet the query. */
static size_t exact(const struct many *many, const struct mc_nearest_query *q, struct ranked *found,
                    double *mean)
{
    size_t count = 0;
    double sum = 0;
    for (size_t i = 0; i < MESSAGES; i++) {
        int64_t at = T0 + (int64_t)i * SECOND;
        char thread[8];
        snprintf(thread, sizeof(thread), "t%zu", i % 3);
        if ((mc_str_given(q->thread_id) && !mc_str_equal(q->thread_id, mc_str_of(thread))) ||
            (q->since_us && at < q->since_us) || (q->until_us && at >= q->until_us) ||
            !mc_reader_allows(q->reader, &many->access[i]))
            continue;
        double score = 0;
        for (size_t k = 0; k < DIMENSION; k++)
            score += (double)q->values[k] * (double)many->values[i][k];
        found[count++] = (struct ranked){many->rows[i], score};
        sum += score;
    }
    qsort(found, count, sizeof(*found), by_score);
    *mean = count > 0 ? sum / (double)count : 0;
    return count;
}

/* Equal but for neighbours whose scores are nearer than what halves tell apart. */
static void finds_the_same(struct mc_store *store, const struct many *many,
                           const struct mc_nearest_query *query, const char *what)
{
    static struct ranked ranked[MESSAGES];
    struct mc_nearest_item items[NEAREST];
    struct mc_nearest found = {.items = items};
    struct mc_error err = {0};
    double mean, worst = 0;
    size_t all = exact(many, query, ranked, &mean), most = all < NEAREST ? all : NEAREST;
    is_status(store->ops->nearest(store, query, &found, &err), MC_OK, &err, "%s", what);
    ok(found.whole, "%s: all were compared", what);
    is_int(found.compared, (int64_t)all, "%s: so many", what);
    is_int((int64_t)found.count, (int64_t)most, "%s: the nearest of them", what);
    ok(fabs(found.mean - mean) < TOLERANCE, "%s: their mean", what);
    bool same = true;
    for (size_t i = 0; i < most && i < found.count; i++) {
        double off = fabs(items[i].score - ranked[i].score);
        size_t at = 0;
        while (at < all && ranked[at].row != items[i].row)
            at++;
        same = same && at < all && off < TOLERANCE &&
               fabs(ranked[at].score - ranked[i].score) < TOLERANCE;
        worst = off > worst ? off : worst;
    }
    ok(same, "%s: the same ones, in their order (off by %g at most)", what, worst);
}

static bool searchable(struct mc_store *store, const char *user)
{
    int64_t models[4];
    size_t count = 9;
    struct mc_error err = {0};
    is_status(store->ops->searchable(store, mc_str_of(user), models, 4, &count, &err), MC_OK, &err,
              "what can be searched of %s", user);
    return count == 1;
}

static struct mc_nearest_query near_to(const char *user, int64_t model, const float *values)
{
    return (struct mc_nearest_query){.user_id = mc_str_of(user),
                                     .reader = &everything,
                                     .thread_id = MC_STR_NONE,
                                     .model = model,
                                     .values = values,
                                     .dimension = DIMENSION,
                                     .limit = NEAREST};
}

static void same_as_one_by_one(struct mc_store *store, const struct many *many, int64_t model)
{
    static const mc_str only_b[] = {{"b", 1}};
    const struct mc_reader a = {.agent_id = MC_STR("a")};
    const struct mc_reader red = {.agent_id = MC_STR("c"),
                                  .read_public = true,
                                  .read_shared = true,
                                  .groups = groups_of_red,
                                  .group_count = 1};
    const struct mc_reader b = {.everything = true, .only_agents = only_b, .only_agent_count = 1};
    float values[DIMENSION];
    make_vector(values);
    struct mc_nearest_query query = near_to("u", model, values);
    finds_the_same(store, many, &query, "all of the user");
    query.thread_id = MC_STR("t1");
    finds_the_same(store, many, &query, "a thread");
    query.since_us = T0 + 100 * SECOND;
    query.until_us = T0 + 200 * SECOND;
    finds_the_same(store, many, &query, "and a time");
    query = near_to("u", model, values);
    query.reader = &a;
    finds_the_same(store, many, &query, "an agent's own");
    query.reader = &red;
    finds_the_same(store, many, &query, "public ones and those of a group");
    query.reader = &b;
    finds_the_same(store, many, &query, "of one agent only");
    query.reader = &anonymous;
    finds_the_same(store, many, &query, "of nobody");
}

static void fill_up(struct mc_store *store)
{
    struct mc_error err = {0};
    bool done = false;
    int steps = 0;
    for (; !done && steps < 1000; steps++)
        is_status(store->ops->fill_vectors(store, mc_time_now_us(), 64, &done, &err), MC_OK, &err,
                  "a step");
    ok(done && steps > 2, "done after %d steps", steps);
}

static struct many *some(void)
{
    struct many *many = calloc(1, sizeof(*many));
    if (!many)
        bail_out("no memory");
    return many;
}

/* Vectors of before are moved while they serve; those of a server that does not use pgvector, too. */
static void moves(struct mc_store *without)
{
    struct many *u = some(), *v = some();
    int64_t model = use_model(without, "a", DIMENSION);
    store_many(without, "u", u);
    store_many(without, "v", v);
    index_all(without);
    put_values(without, model, u->rows, u->values, MESSAGES);
    put_values(without, model, v->rows, v->values, MESSAGES);
    ok(!searchable(without, "u"), "nothing to search for a store that is told not to");

    struct mc_store *store = open_as(true);
    struct mc_error err = {0};
    ok(!searchable(store, "u"), "nor for another: they are not moved");
    bool done = true;
    for (int i = 0; i < 1000 && !searchable(store, "u") && !searchable(store, "v"); i++)
        is_status(store->ops->fill_vectors(store, mc_time_now_us(), 64, &done, &err), MC_OK, &err,
                  "a step");
    ok(!done, "the user who is moved first is searched before the rest is");
    is_int((int)vectors_all(store, "u", u->rows).count, MESSAGES, "and all are there as before");
    fill_up(store);
    ok(searchable(store, "u") && searchable(store, "v"), "all are moved");
    same_as_one_by_one(store, u, model);
    ok(!searchable(store, "nobody"), "a user without vectors");

    put_values(without, model, u->rows + 7, u->values + 9, 1);
    struct mc_nearest_query query = near_to("u", model, u->values[0]);
    struct mc_nearest_item items[NEAREST];
    struct mc_nearest found = {.items = items};
    ok(searchable(store, "u"), "put again by a server that does not use pgvector");
    struct mc_store *other = open_as(false);
    int64_t row = store_one(other, message("u", "t", "late", "late", 0));
    index_all(other);
    put_values(other, model, &row, u->values, 1);
    other->ops->close(other);
    ok(!searchable(store, "u"), "one that is not moved is not left out");
    is_status(store->ops->nearest(store, &query, &found, &err), MC_OK, &err, "nor by a search");
    ok(!found.whole, "which says so");
    is_status(store->ops->fill_vectors(store, mc_time_now_us(), 64, &done, &err), MC_OK, &err,
              "a step");
    ok(searchable(store, "u"), "until it is");
    store->ops->close(store);
    free(u);
    free(v);
}

/* `DROP EXTENSION vector CASCADE` while the store is open takes nothing but the search. */
static void drops(struct mc_store *store)
{
    struct many *u = some();
    struct mc_error err = {0};
    int64_t model = use_model(store, "a", DIMENSION);
    store_many(store, "u", u);
    index_all(store);
    put_values(store, model, u->rows, u->values, MESSAGES / 2);
    struct mc_nearest_query query = near_to("u", model, u->values[0]);
    struct mc_nearest_item items[NEAREST];
    struct mc_nearest found = {.items = items};
    fill_all(store, 64);
    ok(searchable(store, "u"), "moved");
    pg_sql(&server, database, "SET client_min_messages TO warning; DROP EXTENSION vector CASCADE");
    is_status(store->ops->nearest(store, &query, &found, &err), MC_OK, &err, "no error");
    ok(!found.whole, "and no answer");
    ok(!searchable(store, "u"), "it knows");
    put_values(store, model, u->rows + MESSAGES / 2, u->values + MESSAGES / 2, MESSAGES / 2);
    is_int((int)vectors_all(store, "u", u->rows).count, MESSAGES, "all vectors are there");
    is_str(
        pg_value(&server, database, "SELECT count(*) FROM pg_extension WHERE extname = 'vector'"),
        "0", "pgvector is not");
    fill_up(store);
    ok(searchable(store, "u"), "moved anew");
    pg_sql(&server, database, "SET client_min_messages TO warning; DROP EXTENSION vector CASCADE");
    put_values(store, model, u->rows, u->values, 1);
    fill_up(store);
    same_as_one_by_one(store, u, model);

    struct mc_record *removed = NULL;
    struct mc_erased erased = {0};
    int64_t version;
    is_status(store->ops->remove(store, MC_STR("u-0"), &everything, &removed, &version, &err),
              MC_OK, &err, "removed");
    mc_record_unref(removed);
    is_status(store->ops->nearest(store, &query, &found, &err), MC_OK, &err, "searched");
    is_int(found.compared, MESSAGES - 1, "one less");
    is_status(store->ops->erase(store, MC_STR("u"), &erased, &err), MC_OK, &err, "erased");
    ok(erased.verified && !searchable(store, "u"), "nothing is left");
    free(u);
}

/* What an event trigger does before an index is made. */
static void before_index(const char *body)
{
    char sql[512];
    snprintf(sql, sizeof(sql),
             "SET client_min_messages TO warning; DROP EVENT TRIGGER IF EXISTS before_index;"
             " CREATE OR REPLACE FUNCTION before_index() RETURNS event_trigger LANGUAGE plpgsql AS"
             " $$BEGIN %s END$$; CREATE EVENT TRIGGER before_index ON ddl_command_start"
             " WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION before_index()",
             body);
    pg_sql(&server, database, sql);
}

static const char *index_count(void)
{
    return pg_value(&server, database,
                    "SELECT count(*) FROM pg_class WHERE relname = 'vectors_unmoved'");
}

/* An index that takes longer than other statements may, or that cannot be made, or is being made by hand. */
static void index_is_made(struct mc_store *without)
{
    struct many *u = some();
    struct mc_error err = {0};
    bool done = false;
    int64_t model = use_model(without, "a", DIMENSION);
    store_many(without, "u", u);
    index_all(without);
    put_values(without, model, u->rows, u->values, MESSAGES);

    before_index("RAISE EXCEPTION 'no index here';");
    struct mc_store *store = open_as(true);
    fill_all(store, 64);
    ok(!searchable(store, "u"), "without its index nothing is moved");
    before_index("");
    is_status(store->ops->fill_vectors(store, mc_time_now_us(), 64, &done, &err), MC_OK, &err,
              "soon after");
    ok(done, "there is nothing to do");
    is_str(index_count(), "0", "it is not tried again");
    store->ops->close(store);

    struct mc_postgres_options options = pg_options(&server, database, through_bouncer);
    options.pgvector = true;
    options.statement_timeout_us = 2 * SECOND;
    store = pg_open(&options);
    before_index("PERFORM pg_sleep(2.2);");
    is_status(store->ops->fill_vectors(store, mc_time_now_us(), 64, &done, &err), MC_OK, &err,
              "a step that makes it slowly");
    is_str(index_count(), "1", "has made it");
    ok(!done, "and goes on");
    store->ops->close(store);
    store = open_as(true);
    pg_sql(&server, database,
           "DROP EVENT TRIGGER before_index; UPDATE pg_index SET indisvalid = false"
           " WHERE indexrelid = 'vectors_unmoved'::regclass");
    is_status(store->ops->fill_vectors(store, mc_time_now_us(), 64, &done, &err), MC_OK, &err,
              "while it is not valid");
    ok(done, "there is nothing to do");
    pg_sql(&server, database,
           "UPDATE pg_index SET indisvalid = true"
           " WHERE indexrelid = 'vectors_unmoved'::regclass");
    fill_up(store);
    ok(searchable(store, "u"), "then all is moved");
    store->ops->close(store);
    free(u);
}

/* A role that may not make the extension: no error, and no column. */
static void extension_is_refused(void)
{
    struct mc_error err = {0};
    bool done = false;
    pg_empty(&server, database);
    pg_sql(&server, database,
           "DO $$BEGIN IF NOT EXISTS(SELECT 1 FROM pg_roles WHERE rolname = 'meek') THEN"
           " CREATE ROLE meek LOGIN; END IF; END$$; GRANT ALL ON SCHEMA public TO meek");
    struct mc_postgres_options options = pg_options(&server, database, false);
    struct mc_metrics *metrics = mc_metrics_new();
    options.user = "meek";
    options.pgvector = true;
    options.metrics = metrics;
    struct mc_store *store = pg_open(&options);
    use_model(store, "a", DIMENSION);
    for (int i = 0; i < 3; i++)
        is_status(store->ops->fill_vectors(store, mc_time_now_us(), 64, &done, &err), MC_OK, &err,
                  "a step");
    ok(done, "there is nothing to do");
    is_int((int)mc_metrics_count(metrics, MC_COUNT_ERROR_STORE), 0, "no errors of the store");
    store->ops->close(store);
    mc_metrics_free(metrics);
}

/* ---- By meaning ---- */

static void put_text(struct mc_store *store, int64_t model, int64_t row, const char *words)
{
    struct fake_embed fake;
    const struct mc_llm_turn turn = {.text = mc_str_of(words)};
    struct mc_llm_call call = {.turns = &turn, .turn_count = 1};
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, 1 << 16);
    fake_embed_init(&fake);
    fake_embed_generate(&fake.llm, &call, 1, NULL, &arena);
    float values[FAKE_DIMENSION];
    int16_t packed[FAKE_DIMENSION];
    float scale;
    memcpy(values, call.answer.data, sizeof(values));
    ok(mc_vector_normalise(values, FAKE_DIMENSION), "a vector of %s", words);
    mc_vector_pack(values, FAKE_DIMENSION, packed, &scale);
    const struct mc_vector_put put = {
        .row = row, .data = {(const char *)packed, sizeof(packed)}, .scale = (double)scale};
    struct mc_error err = {0};
    is_status(store->ops->put_vectors(store, model, &put, 1, &err), MC_OK, &err, "put");
}

/* Nearer ones that the reader may not see take no places of those that he may. */
static void means(struct mc_store *store)
{
    int64_t model = use_model(store, "fake", FAKE_DIMENSION), own[2] = {0};
    for (int i = 0; i < 60; i++) {
        char id[16];
        snprintf(id, sizeof(id), "m%d", i);
        bool mine = i >= 58;
        int64_t row = store_one(
            store, agent_message("u", "t", id, "text", mine ? "a" : "b", MC_VISIBILITY_PRIVATE));
        index_all(store);
        put_text(store, model, row, mine ? "apple banana" : i < 30 ? "apple" : "zoo");
        if (mine)
            own[i - 58] = row;
    }
    fill_all(store, 64);
    struct fake_embed fake;
    fake_embed_init(&fake);
    struct mc_metrics *metrics = mc_metrics_new();
    const struct mc_meaning_options options = {.store = store,
                                               .metrics = metrics,
                                               .models = {{&fake.llm, "fake"}},
                                               .model_count = 1,
                                               .cache_bytes = 1 << 20,
                                               .timeout_us = MINUTE};
    struct mc_meaning *meaning = NULL;
    struct mc_error err = {0};
    is_status(mc_meaning_new(&options, &meaning, &err), MC_OK, &err, "compared");
    const struct mc_reader a = {.agent_id = MC_STR("a")};
    const struct mc_meaning_query query = {.user_id = MC_STR("u"),
                                           .text = MC_STR("avocado"),
                                           .reader = &a,
                                           .thread_id = MC_STR_NONE,
                                           .limit = 2};
    double share = 0;
    /* The first times by the database, then in memory. */
    for (int i = 0; i < 8; i++) {
        mc_auto(mc_arena_fini) struct mc_arena arena;
        struct mc_meaning_result result;
        mc_arena_init(&arena, 1 << 20);
        mc_meaning_find(meaning, &query, &arena, &result);
        is_str(mc_meaning_name(result.state), "used", "question %d", i);
        ok(result.count == 2 && result.items[0].row == own[0] && result.items[1].row == own[1],
           "the agent's own, and no other");
        if (i == 0)
            share = result.count > 0 ? result.items[0].share : 0;
        ok(share > 0 && result.count > 0 && fabs(result.items[0].share - share) < 1e-3,
           "as near as by the database");
    }
    mc_meaning_free(meaning);
    mc_metrics_free(metrics);
}

/* ---- Over partitions ---- */

static void looks_into_one_partition(void)
{
    is_str(pg_value(&server, database,
                    "SELECT count(*) FROM pg_inherits WHERE inhparent ="
                    " 'vectors'::regclass"),
           "4", "partitioned");
    struct many *u = some();
    struct mc_store *store = open_as(true);
    int64_t model = use_model(store, "a", DIMENSION);
    store_many(store, "u", u);
    index_all(store);
    put_values(store, model, u->rows, u->values, MESSAGES);
    fill_all(store, 64);
    store->ops->close(store);
    /* Its sessions tell what they did when they end. */
    ok(scratch_wait(strcmp(pg_value(&server, database,
                                    "SELECT count(*) FROM pg_stat_activity WHERE application_name"
                                    " = 'mindcore' AND datname = current_database()"),
                           "0") == 0,
                    60000),
       "no session is left");
    pg_sql(&server, database, "SELECT pg_stat_reset()");
    store = open_as(true);
    ok(searchable(store, "u"), "there");
    same_as_one_by_one(store, u, model);
    store->ops->close(store);
    ok(scratch_wait(strcmp(pg_value(&server, database,
                                    "SELECT count(*) FROM pg_stat_user_tables WHERE relname LIKE"
                                    " 'vectors\\_p%' AND seq_scan + idx_scan > 0"),
                           "1") == 0,
                    60000),
       "one partition of vectors was looked into");
    free(u);
}

static void run(const char *name, void (*test)(struct mc_store *store), bool pgvector)
{
    diag("%s: %s", through_bouncer ? "pgbouncer" : "direct", name);
    pg_empty(&server, database);
    struct mc_store *store = open_as(pgvector);
    test(store);
    store->ops->close(store);
}

static void carry_out_pg(const char *sql)
{
    pg_sql(&server, database, sql);
}

static void run_all(const char *name)
{
    const struct store_factory factory = {name, open_cleared, .keeps_bytes = true,
                                          .sql = carry_out_pg};
    run("vectors are moved", moves, false);
    run("the extension goes", drops, true);
    run("its index", index_is_made, false);
    run("meaning, for an agent", means, true);
    store_contract(&factory);
}

int main(void)
{
    const char *missing = pg_server_start_pgvector(&server);
    if (missing) {
        skip("%s", missing);
        return done_testing();
    }
    pg_create(&server, database);
    run_all("pgvector");
    missing = pg_bouncer_start(&server, 20);
    if (missing)
        diag("not through PgBouncer: %s", missing);
    else {
        through_bouncer = true;
        run_all("pgvector through pgbouncer");
        through_bouncer = false;
    }
    database = "parts";
    pg_create(&server, database);
    pg_partition(&server, database, 4);
    looks_into_one_partition();
    extension_is_refused();
    pg_server_stop(&server);
    return done_testing();
}
