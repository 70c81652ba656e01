/*
 * What do writes and queries of the store on SQLite cost, against a plain loop over SQLite?
 *
 *     bench_store [ROWS [FOLDER]]
 *
 * A database of ROWS messages (100,000) is made by the store and copied. On the copy a plain loop
 * writes the same rows: prepared statements, the same schema, indexes and pragmas, numbers of users
 * and threads known beforehand. Blocks of both alternate, so that a noisy machine hits both; each
 * figure is the median of the blocks. Texts are of 120 bytes, users have 200 messages, threads 20.
 */
#include "plain_sqlite.h"

/* ---- Messages ---- */

static void make_put(int64_t n, struct names *names, struct mc_put *put)
{
    make_names(n, names);
    *put = (struct mc_put){.message = {
                               .message_id = mc_str_of(names->id),
                               .user_id = mc_str_of(names->user),
                               .thread_id = mc_str_of(names->thread),
                               .session_id = MC_STR("session"),
                               .text = mc_str_of(text),
                               .metadata = MC_STR("{}"),
                               .created_at_us = mc_time_now_us(),
                               .importance = 0.5,
                           }};
}

static void put_batch(struct mc_store *store, int64_t first, int count)
{
    static struct mc_put items[BATCH];
    static struct names names[BATCH];
    for (int i = 0; i < count; i++)
        make_put(first + i, &names[i], &items[i]);
    CHECK(store->ops->put(store, items, (size_t)count, &error) == MC_OK);
    for (int i = 0; i < count; i++)
        mc_record_unref(items[i].record);
}

static struct mc_store *open_store(const char *path, bool full)
{
    struct mc_sqlite_options options = {.path = path, .synchronous_full = full};
    struct mc_store *store = NULL;
    CHECK(mc_sqlite_store_open(&options, &store, &error) == MC_OK);
    return store;
}

/* ---- Measuring ---- */

static int64_t next_message; /* messages so far, of both databases alike */

/* Rows a second of blocks of puts of `size`, of the store and the plain loop in turn. */
static void compare_puts(const char *what, struct mc_store *store, struct raw *raw, int size,
                         int per_block, double goal)
{
    double ours[BLOCKS], theirs[BLOCKS];
    for (int block = 0; block < BLOCKS; block++) {
        int64_t start_us = mc_time_monotonic_us();
        for (int i = 0; i < per_block; i += size)
            put_batch(store, next_message + i, size);
        int64_t middle_us = mc_time_monotonic_us();
        for (int i = 0; i < per_block; i += size)
            put_raw(raw, next_message + i, size);
        int64_t end_us = mc_time_monotonic_us();
        ours[block] = per_block * 1e6 / (double)(middle_us - start_us);
        theirs[block] = per_block * 1e6 / (double)(end_us - middle_us);
        next_message += per_block;
    }
    tell(what, median(ours, BLOCKS), median(theirs, BLOCKS), goal);
}

struct caller {
    struct mc_store *store;
    int64_t first;
    int count;
    pthread_t thread;
};

static void *call(void *context)
{
    const struct caller *c = context;
    for (int i = 0; i < c->count; i++) {
        struct names names;
        struct mc_put put;
        struct mc_error err;
        make_put(c->first + i, &names, &put);
        if (c->store->ops->put(c->store, &put, 1, &err) != MC_OK) {
            fprintf(stderr, "%s\n", err.message);
            exit(1);
        }
        mc_record_unref(put.record);
    }
    return NULL;
}

static void compare_callers(struct mc_store *store, struct raw *raw, double goal)
{
    double ours[BLOCKS], theirs[BLOCKS];
    for (int block = 0; block < BLOCKS; block++) {
        struct caller callers[CALLERS];
        int64_t start_us = mc_time_monotonic_us();
        for (int i = 0; i < CALLERS; i++) {
            callers[i] = (struct caller){store, next_message, 250, 0};
            next_message += 250;
            CHECK(mc_thread_start(&callers[i].thread, "caller", call, &callers[i], &error) ==
                  MC_OK);
        }
        for (int i = 0; i < CALLERS; i++)
            mc_thread_join(callers[i].thread);
        int64_t middle_us = mc_time_monotonic_us();
        for (int i = 0; i < 500; i++)
            put_raw(raw, next_message++, 1);
        int64_t end_us = mc_time_monotonic_us();
        ours[block] = CALLERS * 250 * 1e6 / (double)(middle_us - start_us);
        theirs[block] = 500 * 1e6 / (double)(end_us - middle_us);
    }
    tell("32 callers, full", median(ours, BLOCKS), median(theirs, BLOCKS), goal);
}

/* Claims and completes all that waits; jobs a second. */
static double drain(struct mc_store *store, const char *terms)
{
    int64_t done_count = 0, start_us = mc_time_monotonic_us();
    for (;;) {
        struct mc_jobs jobs = {0};
        struct mc_completion done[BATCH];
        int64_t now = mc_time_now_us() + MC_US_PER_SECOND;
        CHECK(store->ops->claim(store, MC_STR("worker"), MC_STAGE_FIRST, now, 60 * MC_US_PER_SECOND,
                                BATCH, &jobs, &error) == MC_OK);
        if (jobs.count == 0)
            break;
        for (size_t i = 0; i < jobs.count; i++)
            done[i] = (struct mc_completion){
                .row = jobs.items[i].record->row,
                .metadata = MC_STR("{\"topics\":[\"thanks\"],\"method\":\"trivial\"}"),
                .terms = mc_str_of(terms),
                .importance = 0.1,
                .state = MC_ENRICHMENT_ENRICHED,
            };
        CHECK(store->ops->complete(store, MC_STR("worker"), done, jobs.count, &error) == MC_OK);
        done_count += (int64_t)jobs.count;
        mc_jobs_fini(&jobs);
    }
    return (double)done_count * 1e6 / (double)(mc_time_monotonic_us() - start_us);
}

static const struct mc_reader everything = {.everything = true};
static const char message_terms[] =
    "order ord12345 ord 12345 arriv yet track page show noth sinc mondai look t:orders t:tracking "
    "c:orders i:ask_question";

static void queries(struct mc_store *store)
{
    static const mc_str terms[] = {{"order", 5},  {"track", 5}, {"arriv", 5},   {"refund", 6},
                                   {"mondai", 6}, {"page", 4},  {"nothing", 7}, {"ord12345", 8}};
    enum { COUNT = 2000 };
    static double match_us[COUNT], recent_us[COUNT];
    for (int i = 0; i < COUNT; i++) {
        struct names names;
        struct mc_put put;
        make_put((int64_t)i * 7919, &names, &put);
        struct mc_match_query query = {.user_id = mc_str_of(names.user),
                                       .reader = &everything,
                                       .terms = terms,
                                       .term_count = 8,
                                       .limit = 200};
        struct mc_match_result result;
        int64_t start_us = mc_time_monotonic_us();
        CHECK(store->ops->match(store, &query, &result, &error) == MC_OK);
        match_us[i] = (double)(mc_time_monotonic_us() - start_us);
        mc_match_result_fini(&result);
        struct mc_recent_read read = {.user_id = mc_str_of(names.user),
                                      .thread_id = mc_str_of(names.thread),
                                      .limit = 20,
                                      .reader = &everything};
        struct mc_records found = {0};
        start_us = mc_time_monotonic_us();
        CHECK(store->ops->recent(store, &read, &found, &error) == MC_OK);
        recent_us[i] = (double)(mc_time_monotonic_us() - start_us);
        mc_records_fini(&found);
    }
    printf("match, 8 terms: p50 %.0f us, ", median(match_us, COUNT));
    printf("p95 %.0f us; ", match_us[COUNT * 95 / 100]);
    printf("recent 20: p50 %.0f us, ", median(recent_us, COUNT));
    printf("p95 %.0f us\n", recent_us[COUNT * 95 / 100]);
}

/* ---- The run ---- */

static void compare(const char *ours, const char *theirs, bool full)
{
    struct mc_store *store = open_store(ours, full);
    struct raw raw;
    open_raw(&raw, theirs, store, full);
    if (full) {
        compare_callers(store, &raw, 8.0);
    } else {
        compare_puts("one caller, one row, normal", store, &raw, 1, 2000, 0.6);
        compare_puts("batches of 256, normal", store, &raw, BATCH, 40 * BATCH, 0.5);
    }
    close_raw(&raw);
    store->ops->close(store);
}

int main(int argc, char **argv)
{
    char dir[300], ours[340], theirs[340];
    rows = argc > 1 ? strtoll(argv[1], NULL, 10) : 100000;
    const char *tmp = argc > 2 ? argv[2] : getenv("TMPDIR");
    snprintf(dir, sizeof(dir), "%.250s/bench-store-XXXXXX", tmp ? tmp : "/tmp");
    CHECK(rows > 0 && mkdtemp(dir));
    snprintf(ours, sizeof(ours), "%s/store.db", dir);
    snprintf(theirs, sizeof(theirs), "%s/plain.db", dir);

    struct mc_store *store = open_store(ours, false);
    int64_t start_us = mc_time_monotonic_us();
    for (; next_message < rows; next_message += BATCH)
        put_batch(store, next_message, BATCH);
    double loaded = (double)next_message * 1e6 / (double)(mc_time_monotonic_us() - start_us);
    double drained = drain(store, message_terms);
    printf("%lld messages: stored %.0f/s, claimed, completed and indexed %.0f/s\n",
           (long long)next_message, loaded, drained);
    queries(store);
    printf("resident memory %ld MB\n", resident_kib() / 1024);
    store->ops->close(store);
    copy_file(ours, theirs);
    compare(ours, theirs, false);
    compare(ours, theirs, true);
    store = open_store(ours, false);
    double trivial = drain(store, "t:thanks c:general");
    printf("%-34s %9.0f jobs/s   goal 10000: %s\n", "claim and complete, trivial", trivial,
           judge(trivial >= 10000));
    store->ops->close(store);
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return goals_missed > 0;
}
