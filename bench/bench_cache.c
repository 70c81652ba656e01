/*
 * What does a read or a change of the cache cost, against the least that it could?
 *
 * Reads take the newest 20 of 50 messages of about 800 bytes, of 1,000 threads in turn. Beside
 * each, in the same run and over the same bytes: in memory a lookup in a hash map with 20
 * references taken and given back, in LMDB a plain loop that copies 20 values out. Each figure is
 * the median of 15 rounds.
 */
#include <ftw.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/str.h"
#include "base/time.h"
#include "cache/cache.h"

#define THREADS 1000
#define HELD 50
#define ASKED 20
#define ROUNDS 15
#define NOW (INT64_C(1700000000) * MC_US_PER_SECOND)

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #what);                     \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static struct mc_record *records[THREADS][HELD]; /* newest first */
static char names[THREADS][24];
static volatile uint64_t sink;

static struct mc_record *make_record(int thread, int64_t row)
{
    static char text[301], metadata[401];
    memset(text, 'x', 300);
    snprintf(metadata, sizeof(metadata),
             "{\"topics\":[\"billing\",\"refund\"],\"note\":\"%0300d\"}", thread);
    struct mc_message m = {
        .message_id = MC_STR("msg_0190f7a2b3c4d5e6f708192a3b4c5d6e"),
        .user_id = MC_STR("user-1"),
        .thread_id = mc_str_of(names[thread]),
        .session_id = MC_STR("session-1"),
        .text = mc_str_of(text),
        .metadata = mc_str_of(metadata),
        .created_at_us = NOW + row,
    };
    struct mc_record *record;
    struct mc_error err;
    CHECK(mc_record_new(&m, row, MC_STR_NONE, &record, &err) == MC_OK);
    return record;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Nanoseconds of one call of `each` over the threads in a scattered order. */
static double measure(void (*each)(void *context, int thread), void *context)
{
    double rounds[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        int64_t start_us = mc_time_monotonic_us();
        for (int i = 0; i < THREADS; i++)
            each(context, (i * 617) % THREADS);
        rounds[round] = (double)(mc_time_monotonic_us() - start_us) * 1000.0 / THREADS;
    }
    qsort(rounds, ROUNDS, sizeof(double), ascending);
    return rounds[ROUNDS / 2];
}

/* ---- The cache ---- */

static void read_cache(void *context, int thread)
{
    struct mc_cache *cache = context;
    struct mc_records out = {0};
    struct mc_cache_read read;
    CHECK(cache->ops->get(cache, MC_STR("user-1"), mc_str_of(names[thread]), ASKED, NOW, &out,
                          &read));
    CHECK(out.count == ASKED);
    sink += (uint64_t)out.items[ASKED - 1]->row;
    mc_records_fini(&out);
}

static int64_t next_row = HELD + 1;
static struct mc_record *fresh[THREADS];

static void append_cache(void *context, int thread)
{
    struct mc_cache *cache = context;
    cache->ops->append(cache, fresh[thread], next_row, next_row, NOW);
    sink++;
}

/* Rounds of appends, each with records made beforehand. */
static double measure_appends(void (*each)(void *context, int thread), void *context)
{
    double rounds[ROUNDS];
    next_row = HELD + 1;
    for (int round = 0; round < ROUNDS; round++, next_row++) {
        for (int i = 0; i < THREADS; i++)
            fresh[i] = make_record(i, next_row);
        int64_t start_us = mc_time_monotonic_us();
        for (int i = 0; i < THREADS; i++)
            each(context, (i * 617) % THREADS);
        rounds[round] = (double)(mc_time_monotonic_us() - start_us) * 1000.0 / THREADS;
        for (int i = 0; i < THREADS; i++)
            mc_record_unref(fresh[i]);
    }
    qsort(rounds, ROUNDS, sizeof(double), ascending);
    return rounds[ROUNDS / 2];
}

static void fill_cache(void *context, int thread)
{
    struct mc_cache *cache = context;
    cache->ops->fill(cache, MC_STR("user-1"), mc_str_of(names[thread]), records[thread], HELD, HELD,
                     true, NOW);
}

/* ---- The least ---- */

static void read_map(void *context, int thread)
{
    struct mc_record **found = mc_map_get(context, mc_str_of(names[thread]));
    struct mc_record *taken[ASKED];
    for (int i = 0; i < ASKED; i++)
        __builtin_prefetch(found[i], 1);
    for (int i = 0; i < ASKED; i++)
        taken[i] = mc_record_ref(found[i]);
    sink += (uint64_t)taken[ASKED - 1]->row;
    for (int i = 0; i < ASKED; i++)
        mc_record_unref(taken[i]);
}

struct plain {
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *txn;
    MDB_cursor *cursor;
    struct mc_buf encoded;
};

static void plain_key(char key[32], int thread, int64_t row)
{
    snprintf(key, 32, "%08d-%012lld", thread, (long long)row);
}

static void open_plain(struct plain *plain, const char *dir)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/plain.mdb", dir);
    mc_buf_init(&plain->encoded, 1 << 20);
    CHECK(mdb_env_create(&plain->env) == 0);
    CHECK(mdb_env_set_mapsize(plain->env, (size_t)1 << 30) == 0);
    CHECK(mdb_env_open(plain->env, path, MDB_NOSUBDIR | MDB_NOSYNC | MDB_NOTLS, 0600) == 0);
    MDB_txn *txn;
    CHECK(mdb_txn_begin(plain->env, NULL, 0, &txn) == 0);
    CHECK(mdb_dbi_open(txn, NULL, 0, &plain->dbi) == 0);
    for (int t = 0; t < THREADS; t++) {
        for (int i = HELD - 1; i >= 0; i--) {
            char bytes[32];
            plain_key(bytes, t, records[t][i]->row);
            mc_buf_reset(&plain->encoded);
            mc_record_encode(records[t][i], &plain->encoded);
            MDB_val key = {strlen(bytes), bytes};
            MDB_val value = {plain->encoded.len, plain->encoded.data};
            CHECK(mdb_put(txn, plain->dbi, &key, &value, 0) == 0);
        }
    }
    CHECK(mdb_txn_commit(txn) == 0);
    CHECK(mdb_txn_begin(plain->env, NULL, MDB_RDONLY, &plain->txn) == 0);
    CHECK(mdb_cursor_open(plain->txn, plain->dbi, &plain->cursor) == 0);
    mdb_txn_reset(plain->txn);
}

static void read_plain(void *context, int thread)
{
    struct plain *plain = context;
    char bytes[32];
    void *copies[ASKED];
    plain_key(bytes, thread, HELD);
    MDB_val key = {strlen(bytes), bytes}, value;
    CHECK(mdb_txn_renew(plain->txn) == 0 && mdb_cursor_renew(plain->txn, plain->cursor) == 0);
    for (int i = 0; i < ASKED; i++) {
        CHECK(mdb_cursor_get(plain->cursor, &key, &value, i ? MDB_PREV : MDB_SET) == 0);
        copies[i] = malloc(value.mv_size);
        CHECK(copies[i]);
        memcpy(copies[i], value.mv_data, value.mv_size);
    }
    mdb_txn_reset(plain->txn);
    for (int i = 0; i < ASKED; i++) {
        sink += *(unsigned char *)copies[i];
        free(copies[i]);
    }
}

static void append_plain(void *context, int thread)
{
    struct plain *plain = context;
    char bytes[32];
    plain_key(bytes, thread, next_row);
    mc_buf_reset(&plain->encoded);
    mc_record_encode(fresh[thread], &plain->encoded);
    MDB_val key = {strlen(bytes), bytes}, value = {plain->encoded.len, plain->encoded.data};
    MDB_txn *txn;
    CHECK(mdb_txn_begin(plain->env, NULL, 0, &txn) == 0);
    CHECK(mdb_put(txn, plain->dbi, &key, &value, 0) == 0);
    CHECK(mdb_txn_commit(txn) == 0);
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void report(const char *what, double ns, double limit_ns, double goal_us)
{
    printf("%-34s %8.2f us   least %7.2f us   ratio %5.2f", what, ns / 1000, limit_ns / 1000,
           limit_ns / ns);
    if (goal_us > 0)
        printf("   goal %5.1f us: %s", goal_us, ns / 1000 < goal_us ? "met" : "NOT MET");
    putchar('\n');
}

static struct mc_cache *open_cache(const char *dir, size_t max_size)
{
    struct mc_cache_options options = {dir, max_size, 0, (size_t)512 << 20};
    struct mc_cache *cache;
    struct mc_error err;
    enum mc_status status = dir ? mc_cache_lmdb_open(&options, &cache, &err)
                                : mc_cache_memory_open(&options, &cache, &err);
    if (status != MC_OK) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    return cache;
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");
    char dir[64], sub[80];
    snprintf(dir, sizeof(dir), "%.32s/bench-cache-XXXXXX", tmp ? tmp : "/tmp");
    CHECK(mkdtemp(dir));
    struct mc_map map;
    mc_map_init(&map);
    for (int t = 0; t < THREADS; t++) {
        snprintf(names[t], sizeof(names[t]), "thread-%06d", t);
        for (int i = 0; i < HELD; i++)
            records[t][i] = make_record(t, HELD - i);
        CHECK(mc_map_put(&map, mc_str_of(names[t]), records[t]));
    }
    struct plain plain = {0};
    open_plain(&plain, dir);

    struct mc_cache *memory = open_cache(NULL, HELD);
    snprintf(sub, sizeof(sub), "%s/cache", dir);
    struct mc_cache *lmdb = open_cache(sub, HELD);
    double fill_memory = measure(fill_cache, memory), fill_lmdb = measure(fill_cache, lmdb);
    double map_ns = measure(read_map, &map), plain_ns = measure(read_plain, &plain);
    printf("%d bytes a message, %d threads of %d messages\n", (int)records[0][0]->size_bytes,
           THREADS, HELD);
    report("recent 20, memory", measure(read_cache, memory), map_ns, 2);
    report("recent 20, LMDB", measure(read_cache, lmdb), plain_ns, 15);
    double append_raw = measure_appends(append_plain, &plain);
    report("append, memory", measure_appends(append_cache, memory), append_raw, 0);
    report("append, LMDB (full threads)", measure_appends(append_cache, lmdb), append_raw, 15);
    lmdb->ops->close(lmdb);
    snprintf(sub, sizeof(sub), "%s/growing", dir);
    lmdb = open_cache(sub, 1000);
    for (int t = 0; t < THREADS; t++)
        fill_cache(lmdb, t);
    report("append, LMDB (growing threads)", measure_appends(append_cache, lmdb), append_raw, 15);
    printf("fill 50: memory %.2f us, LMDB %.2f us\n", fill_memory / 1000, fill_lmdb / 1000);
    int64_t start_us = mc_time_monotonic_us();
    lmdb->ops->close(lmdb);
    int64_t closed_us = mc_time_monotonic_us();
    lmdb = open_cache(sub, 1000);
    printf("close %.2f ms, open again %.2f ms\n", (double)(closed_us - start_us) / 1000,
           (double)(mc_time_monotonic_us() - closed_us) / 1000);
    lmdb->ops->close(lmdb);
    memory->ops->close(memory);
    mdb_cursor_close(plain.cursor);
    mdb_txn_abort(plain.txn);
    mdb_env_close(plain.env);
    mc_buf_fini(&plain.encoded);
    for (int t = 0; t < THREADS; t++) {
        for (int i = 0; i < HELD; i++)
            mc_record_unref(records[t][i]);
    }
    mc_map_fini(&map);
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
