/* What models need of the store on SQLite: two programs on one file, the file of an older version, plans. */
#include "store/sqlite/schema.h"
#include "support/scratch.h"

#include <pthread.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/thread.h"
#include "store/sqlite/sqlite.h"

#define HASH MC_STR("0123456789abcdef0123456789abcdef")
#define MINUTE_US (60 * MC_US_PER_SECOND)

static struct scratch scratch;

static size_t claim(struct mc_store *store, const char *lease, enum mc_stage stage, int64_t now_us)
{
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    struct mc_error err = {0};
    is_status(store->ops->claim(store, mc_str_of(lease), stage, now_us, MINUTE_US, 9, &jobs, &err),
              MC_OK, &err, "claim for %s", lease);
    return jobs.count;
}

static void complete(struct mc_store *store, const char *lease, int64_t row, const char *metadata,
                     enum mc_stage next_stage)
{
    struct mc_completion done = {.row = row,
                                 .user_id = MC_STR("u"),
                                 .metadata = mc_str_of(metadata),
                                 .terms = MC_STR("word"),
                                 .state = MC_ENRICHMENT_ENRICHED,
                                 .next_stage = next_stage,
                                 .content_hash = HASH};
    struct mc_error err = {0};
    is_status(store->ops->complete(store, mc_str_of(lease), &done, 1, &err), MC_OK, &err,
              "complete for %s", lease);
    ok(done.applied, "applied");
}

static enum mc_status twin(struct mc_store *store, char *text, size_t size)
{
    mc_auto(mc_buf_fini) struct mc_buf metadata;
    mc_buf_init(&metadata, size - 1);
    struct mc_error err = {0};
    enum mc_status status = store->ops->twin(store, HASH, &metadata, &err);
    snprintf(text, size, "%.*s", MC_STR_ARG(mc_buf_str(&metadata)));
    return status;
}

static bool add_calls(void *context, const struct mc_usage_row *row)
{
    *(int64_t *)context += row->calls;
    return true;
}

static int64_t calls_of(struct mc_store *store)
{
    int64_t calls = 0;
    struct mc_error err = {0};
    is_status(store->ops->usage(store, 0, INT64_MAX, add_calls, &calls, &err), MC_OK, &err,
              "usage");
    return calls;
}

/* ---- Two programs ---- */

static void two_on_one_file(void)
{
    struct mc_store *one = scratch_store(&scratch, "two.db"),
                    *two = scratch_store(&scratch, "two.db");
    struct mc_error err = {0};
    struct mc_put put = scratch_put("m1", "x");
    int64_t row = scratch_store_put(one, &put), now = mc_time_now_us() + MC_US_PER_SECOND;
    char text[64];
    is_int(claim(one, "w1", MC_STAGE_FIRST, now), 1, "one has the job");
    is_status(one->ops->renew(one, MC_STR("w1"), now + 5 * MINUTE_US, &err), MC_OK, &err,
              "keeps it");
    is_int(claim(two, "w2", MC_STAGE_FIRST, now + 4 * MINUTE_US), 0, "which the other respects");
    is_status(two->ops->renew(two, MC_STR("w2"), now, &err), MC_NOT_FOUND, &err, "it has none");
    complete(one, "w1", row, "{\"n\":1}", MC_STAGE_MODEL);
    is_int(twin(two, text, sizeof(text)), MC_OK, "the other finds what one completed");
    is_str(text, "{\"n\":1}", "as it is");
    is_int(claim(two, "w2", MC_STAGE_MODEL, now), 1, "and goes on with the second stage");
    complete(two, "w2", row, "{\"n\":2}", 0);
    is_int(twin(one, text, sizeof(text)), MC_OK, "found by the first");
    is_str(text, "{\"n\":2}", "the newest");
    struct mc_record *removed = NULL;
    int64_t version;
    static const struct mc_reader everything = {.everything = true};
    is_status(two->ops->remove(two, MC_STR("m1"), &everything, &removed, &version, &err), MC_OK,
              &err, "the other removes it");
    mc_record_unref(removed);
    is_int(twin(one, text, sizeof(text)), MC_NOT_FOUND, "gone for both");
    one->ops->close(one);
    two->ops->close(two);
}

#define ADDERS 4
#define ADDITIONS 50

static int adder(void *context)
{
    struct mc_usage_row row = {
        20000, MC_STR("enrich"), MC_STR("openai"), MC_STR("m"), 1, 0, 5, 0, 2, 9, 0.5};
    struct mc_store *store = context;
    struct mc_error err = {0};
    int failed = 0;
    for (int i = 0; i < ADDITIONS; i++)
        failed += store->ops->add_usage(store, &row, 1, &err) != MC_OK;
    return failed;
}

static void *add_usage(void *context)
{
    return adder(context) == 0 ? context : NULL;
}

static void ledger_of_two(void)
{
    struct mc_store *stores[2] = {scratch_store(&scratch, "ledger.db"),
                                  scratch_store(&scratch, "ledger.db")};
    pthread_t threads[ADDERS];
    for (int i = 0; i < ADDERS; i++)
        if (pthread_create(&threads[i], NULL, add_usage, stores[i % 2]) != 0)
            bail_out("no thread");
    for (int i = 0; i < ADDERS; i++) {
        void *fine = NULL;
        pthread_join(threads[i], &fine);
        ok(fine != NULL, "every addition was written");
    }
    is_int(calls_of(stores[0]), ADDERS * ADDITIONS, "nothing is lost");
    is_int(calls_of(stores[1]), ADDERS * ADDITIONS, "and both agree");
    stores[0]->ops->close(stores[0]);
    stores[1]->ops->close(stores[1]);
}

/* ---- A file of version 1 ---- */

static void older_file(void)
{
    struct mc_store *store = scratch_store(&scratch, "older.db");
    struct mc_put put = scratch_put("m1", "x");
    int64_t row = scratch_store_put(store, &put);
    store->ops->close(store);
    sqlite3 *db = NULL;
    char *message = NULL;
    if (sqlite3_open(scratch_path(&scratch, "older.db"), &db) != SQLITE_OK ||
        sqlite3_exec(
            db,
            "DROP TABLE twins; DROP TABLE usage; DROP INDEX jobs_lease;"
            "DROP TABLE vectors; DROP TABLE vector_models; DROP TABLE vector_users;"
            "DROP TABLE vector_jobs; DROP TABLE keys; DROP TABLE dictionaries; DROP TABLE tasks;"
            "DROP INDEX messages_unpacked; ALTER TABLE messages DROP COLUMN packed;"
            "DROP TABLE tier_runs; DROP TABLE trash; ALTER TABLE messages DROP COLUMN left_short;"
            "ALTER TABLE messages DROP COLUMN left_mid; ALTER TABLE messages DROP COLUMN left_long;"
            "ALTER TABLE messages DROP COLUMN packed_by;"
            "ALTER TABLE state DROP COLUMN generation;"
            "PRAGMA user_version = 1",
            NULL, NULL, &message) != SQLITE_OK)
        bail_out("no older file: %s", message ? message : "?");
    sqlite3_close(db);
    store = scratch_store(&scratch, "older.db");
    struct mc_store_stats stats = {0};
    struct mc_error err = {0};
    is_status(store->ops->stats(store, &stats, &err), MC_OK, &err, "stats");
    is_int(stats.messages, 1, "what it held is there");
    is_int(stats.schema_version, mc_schema_version(), "its schema is the newest");
    int64_t now = mc_time_now_us() + MC_US_PER_SECOND;
    is_int(claim(store, "w", MC_STAGE_FIRST, now), 1, "its jobs go on");
    complete(store, "w", row, "{\"n\":1}", 0);
    char text[64];
    is_int(twin(store, text, sizeof(text)), MC_OK, "twins work");
    int64_t model = 0;
    is_status(store->ops->vector_model(store, MC_STR("m"), 4, &model, &err), MC_OK, &err,
              "vectors too");
    ok(adder(store) == 0 && calls_of(store) == ADDITIONS, "and so does the ledger");
    int64_t run = 0, last = 0;
    is_status(store->ops->begin_run(store, MC_STR_NONE, now, &run, &err), MC_OK, &err,
              "a run of tier migration");
    is_status(store->ops->begin_undo(store, run, &last, &err), MC_OK, &err, "can be undone");
    store->ops->close(store);
    store = scratch_store(&scratch, "older.db");
    is_int(calls_of(store), ADDITIONS, "it is migrated once");
    store->ops->close(store);
}

/* ---- Plans ---- */

/* Whether a plan of the statement walks all of jobs or twins. */
static bool walks_all(struct mc_conn *conn, const char *sql)
{
    char explain[2048];
    snprintf(explain, sizeof(explain), "EXPLAIN QUERY PLAN %s", sql);
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(conn->db, explain, -1, &stmt, NULL) != SQLITE_OK)
        bail_out("no plan of %s: %s", sql, sqlite3_errmsg(conn->db));
    bool walks = false;
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        const char *step = (const char *)sqlite3_column_text(stmt, 3);
        if ((strstr(step, "SCAN jobs") && !strstr(step, "INDEX jobs_dead") &&
             !strstr(sql, "ORDER BY id LIMIT 1")) ||
            strstr(step, "SCAN twins") || strstr(step, "TEMP B-TREE")) {
            walks = true;
            diag("%s: %s", sql, step);
        }
    }
    sqlite3_finalize(stmt);
    return walks;
}

static int plans_of(struct mc_conn *conn, const char *who)
{
    int seen = 0;
    for (size_t i = 0; i < MC_CONN_STATEMENTS; i++) {
        const char *sql = conn->cache[i].sql;
        if (!sql || (!strstr(sql, "jobs") && !strstr(sql, "twins") && !strstr(sql, "usage")))
            continue;
        seen++;
        ok(!walks_all(conn, sql), "%s uses an index: %.60s", who, sql);
    }
    return seen;
}

/* What is done for each batch, or each second, must not grow with the queue. */
static void plans(void)
{
    struct mc_store *store = scratch_store(&scratch, "plans.db");
    struct mc_error err = {0};
    struct mc_put put = scratch_put("m1", "x");
    int64_t row = scratch_store_put(store, &put), now = mc_time_now_us() + MC_US_PER_SECOND;
    char text[64];
    is_int(claim(store, "w", MC_STAGE_FIRST, now), 1, "a job");
    is_status(store->ops->renew(store, MC_STR("w"), now, &err), MC_OK, &err, "renew");
    is_status(store->ops->release(store, MC_STR("w"), &err), MC_OK, &err, "release");
    is_int(claim(store, "w", MC_STAGE_FIRST, now), 1, "again");
    complete(store, "w", row, "{}", MC_STAGE_MODEL);
    is_int(claim(store, "w", MC_STAGE_MODEL, now), 1, "the second stage");
    is_int(twin(store, text, sizeof(text)), MC_OK, "a twin");
    struct mc_failure failure = {.row = row, .error = MC_STR("x")};
    is_status(store->ops->fail(store, MC_STR("w"), &failure, 1, &err), MC_OK, &err, "fail");
    uint64_t count;
    is_status(store->ops->retry(store, MC_STR_NONE, now, &count, &err), MC_OK, &err, "retry");
    scratch_queue(store);
    adder(store);
    is_int(calls_of(store), ADDITIONS, "the ledger");
    struct mc_sqlite *s = mc_sqlite_of(store);
    ok(plans_of(s->writer.conn, "the writer") >= 8, "the writer's statements were looked at");
    int seen = 0;
    for (struct mc_conn *conn = s->readers.idle; conn; conn = conn->next)
        seen += plans_of(conn, "a reader");
    ok(seen >= 8, "and the readers': %d", seen);
    store->ops->close(store);
}

int main(void)
{
    scratch_make(&scratch);
    two_on_one_file();
    ledger_of_two();
    older_file();
    plans();
    scratch_remove(&scratch);
    return done_testing();
}
