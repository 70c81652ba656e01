/*
 * Searching a user's vectors by PostgreSQL with pgvector against reading them and searching in this process: when is which
 * faster?
 *
 *     bench_pgvector [DIMENSION]
 *
 * Starts a server of its own (tools/get-pgvector). For users of 100 to 10,000 vectors of DIMENSION (384) numbers, with as
 * many of other users beside them: the nearest 100 by the database, for a reader who sees all and for one who sees half
 * of the agents; reading the vectors into memory; searching them there, with the look at what is new. Least times of
 * ROUNDS, since a busy machine makes others longer.
 */
#include "postgres.h"

#include "base/time.h"
#include "context/vector_cache.h"

#define ROUNDS 40
#define LIMIT 100
#define BATCH 500

struct pg_server server;
struct mc_error error;
static size_t dimension = 384;
static struct mc_store *store;

/* A busy machine makes the others longer. */
static double least_ms(const int64_t times[ROUNDS])
{
    int64_t least = times[0];
    for (int round = 1; round < ROUNDS; round++)
        least = times[round] < least ? times[round] : least;
    return (double)least / 1e3;
}

static uint64_t state = 1;

static void make_vector(float *values)
{
    do {
        for (size_t i = 0; i < dimension; i++) {
            state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            values[i] = (float)(state >> 40) / (float)(1 << 23) - 1;
        }
    } while (!mc_vector_normalise(values, dimension));
}

/* So many messages of the user, half of agent a and half of b, with their vectors. */
static void add(const char *user, int64_t model, size_t count)
{
    static struct mc_put puts[BATCH];
    static struct mc_vector_put vectors[BATCH];
    static char ids[BATCH][48];
    float *values = malloc(dimension * sizeof(*values));
    int16_t *packed = malloc(BATCH * dimension * sizeof(*packed));
    CHECK(values && packed);
    for (size_t done = 0; done < count; done += BATCH) {
        size_t n = count - done < BATCH ? count - done : BATCH;
        for (size_t i = 0; i < n; i++) {
            snprintf(ids[i], sizeof(ids[i]), "%s-%zu", user, done + i);
            puts[i] = scratch_put(ids[i], "The order has not arrived yet, where is it?");
            puts[i].message.user_id = mc_str_of(user);
            puts[i].message.agent_id = i % 2 ? MC_STR("a") : MC_STR("b");
        }
        CHECK(store->ops->put(store, puts, n, &error) == MC_OK);
        for (size_t i = 0; i < n; i++) {
            float scale;
            make_vector(values);
            mc_vector_pack(values, dimension, packed + i * dimension, &scale);
            vectors[i] = (struct mc_vector_put){
                .row = puts[i].record->row,
                .data = {(const char *)(packed + i * dimension), dimension * sizeof(*packed)},
                .scale = (double)scale};
            mc_record_unref(puts[i].record);
        }
        CHECK(store->ops->put_vectors(store, model, vectors, n, &error) == MC_OK);
    }
    free(values);
    free(packed);
}

static double by_database(const char *user, int64_t model, const float *values,
                          const struct mc_reader *reader)
{
    int64_t times[ROUNDS];
    struct mc_nearest_item items[LIMIT];
    const struct mc_nearest_query query = {.user_id = mc_str_of(user),
                                           .reader = reader,
                                           .thread_id = MC_STR_NONE,
                                           .model = model,
                                           .values = values,
                                           .dimension = dimension,
                                           .limit = LIMIT};
    for (int round = 0; round < ROUNDS; round++) {
        struct mc_nearest found = {.items = items};
        int64_t models[1], start = mc_time_monotonic_us();
        size_t count;
        CHECK(store->ops->searchable(store, query.user_id, models, 1, &count, &error) == MC_OK);
        CHECK(count == 1 && models[0] == model);
        CHECK(store->ops->nearest(store, &query, &found, &error) == MC_OK && found.whole);
        times[round] = mc_time_monotonic_us() - start;
    }
    return least_ms(times);
}

/* Reading and then searching; or, of a user who is in memory, searching alone. */
static double in_memory(const char *user, const float *values, bool cold)
{
    int64_t times[ROUNDS];
    struct mc_vector_cache cache;
    struct mc_near items[LIMIT];
    mc_vector_cache_init(&cache, store, (size_t)1 << 40);
    for (int round = 0; round < ROUNDS; round++) {
        struct mc_vector_entry *entry;
        struct mc_nearness near = {.items = items};
        if (cold)
            mc_vector_cache_forget(&cache, mc_str_of(user));
        int64_t start = mc_time_monotonic_us();
        CHECK(mc_vector_cache_acquire(&cache, mc_str_of(user), &entry, &error) == MC_OK);
        CHECK(mc_vectors_nearest(&entry->sets->vectors, values, LIMIT, NULL, NULL, &near));
        mc_vector_cache_release(&cache, entry);
        times[round] = mc_time_monotonic_us() - start;
    }
    mc_vector_cache_fini(&cache);
    return least_ms(times);
}

static void measure(size_t count, int64_t model)
{
    static const struct mc_reader everything = {.everything = true}, a = {.agent_id = {"a", 1}};
    char user[32], other[32];
    float *values = malloc(dimension * sizeof(*values));
    CHECK(values);
    snprintf(user, sizeof(user), "user%zu", count);
    snprintf(other, sizeof(other), "other%zu", count);
    add(other, model, count / 2);
    add(user, model, count);
    add(other, model, count - count / 2);
    pg_sql(&server, "bench", "VACUUM ANALYZE");
    make_vector(values);
    printf(
        "%6zu vectors: by the database %7.2f ms, for an agent %7.2f; read and searched %7.2f, in "
        "memory %5.2f\n",
        count, by_database(user, model, values, &everything), by_database(user, model, values, &a),
        in_memory(user, values, true), in_memory(user, values, false));
    free(values);
}

int main(int argc, char **argv)
{
    static const size_t counts[] = {100, 1000, 3000, 10000};
    int64_t model;
    bool done = false;
    if (argc > 1)
        dimension = strtoul(argv[1], NULL, 10);
    const char *missing = pg_server_start_pgvector(&server);
    if (missing) {
        printf("bench_pgvector: skipped: %s\n", missing);
        return 0;
    }
    pg_create(&server, "bench");
    struct mc_postgres_options options = pg_options(&server, "bench", false);
    store = pg_open(&options);
    CHECK(store->ops->vector_model(store, MC_STR("bench"), (int64_t)dimension, &model, &error) ==
          MC_OK);
    while (!done)
        CHECK(store->ops->fill_vectors(store, mc_time_now_us(), 64, &done, &error) == MC_OK);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        measure(counts[i], model);
    store->ops->close(store);
    pg_server_stop(&server);
    return 0;
}
