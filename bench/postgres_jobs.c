/* Claiming and completing jobs, against a plain client that makes the same changes in one statement a table. */
#include "postgres.h"

#include <stdatomic.h>

#include "base/compiler.h"
#include "base/thread.h"
#include "base/time.h"

#define CLAIM_BATCH 256
#define WORKERS 2
#define JOBS_PER_BLOCK 12000

struct worker {
    struct mc_store *store; /* or else, a plain worker: */
    PGconn *conn;
    char lease[24];
    _Atomic int64_t *left;
    pthread_t thread;
};

#define METADATA "{\"topics\":[\"thanks\"],\"method\":\"trivial\"}"

static void *work(void *context)
{
    struct worker *w = context;
    while (atomic_fetch_sub(w->left, CLAIM_BATCH) > 0) {
        struct mc_jobs jobs = {0};
        struct mc_completion done[CLAIM_BATCH];
        struct mc_error err;
        int64_t now = mc_time_now_us() + MC_US_PER_SECOND;
        CHECK(w->store->ops->claim(w->store, mc_str_of(w->lease), MC_STAGE_FIRST, now,
                                   60 * MC_US_PER_SECOND, CLAIM_BATCH, &jobs, &err) == MC_OK);
        CHECK(jobs.count == CLAIM_BATCH);
        for (size_t i = 0; i < jobs.count; i++)
            done[i] = (struct mc_completion){.row = jobs.items[i].record->row,
                                             .metadata = MC_STR(METADATA),
                                             .terms = MC_STR("t:thanks c:general"),
                                             .importance = 0.1,
                                             .state = MC_ENRICHMENT_ENRICHED};
        CHECK(w->store->ops->complete(w->store, mc_str_of(w->lease), done, jobs.count, &err) ==
              MC_OK);
        for (size_t i = 0; i < jobs.count; i++)
            CHECK(done[i].applied);
        mc_jobs_fini(&jobs);
    }
    return NULL;
}

/* "{1,2,3}" of the first column. */
static char *list_of(const PGresult *result)
{
    int count = PQntuples(result);
    size_t size = (size_t)count * 24 + 3, len = 1;
    char *list = malloc(size);
    CHECK(list);
    list[0] = '{';
    for (int i = 0; i < count; i++)
        len += (size_t)snprintf(list + len, size - len, "%s%s", i ? "," : "",
                                PQgetvalue(result, i, 0));
    snprintf(list + len, size - len, "}");
    return list;
}

/* One statement a table; the messages' other columns are read by their rows, as the store must. */
static const char *const plain_statements[] = {
    "SELECT m.id, m.user_id, m.thread_id, m.text FROM unnest($1::bigint[]) r(id)"
    " JOIN messages m ON m.shard = (r.id & 255) AND m.id = r.id",
    "BEGIN",
    "DELETE FROM jobs WHERE shard = 0 AND id = ANY($1::bigint[]) AND lease = $2",
    "UPDATE messages m SET metadata = '" METADATA "', attached = '" METADATA "',"
    " terms = 't:thanks c:general', importance = 0.1, state = 1, trivial = true"
    " FROM unnest($1::bigint[]) r(id) WHERE m.shard = (r.id & 255) AND m.id = r.id",
    "INSERT INTO index_terms(shard, user_no, term, id) SELECT m.shard, m.user_no, t.term, m.id"
    " FROM unnest($1::bigint[]) r(id) JOIN messages m ON m.shard = (r.id & 255) AND m.id = r.id,"
    " (VALUES(-7046029254386353131), (1442695040888963407), (hashtextextended('thread', 0)))"
    " t(term)",
    "UPDATE threads t SET version = t.version + n.count FROM (SELECT m.shard, m.user_id,"
    " m.thread_id, count(*) FROM unnest($1::bigint[]) r(id) JOIN messages m ON"
    " m.shard = (r.id & 255) AND m.id = r.id GROUP BY m.shard, m.user_id, m.thread_id) n"
    " WHERE t.shard = n.shard AND t.user_id = n.user_id AND t.thread_id = n.thread_id",
    "COMMIT",
};

static PGresult *run_prepared(PGconn *conn, size_t nth, int count, const char *const *values)
{
    char name[24];
    snprintf(name, sizeof(name), "plain%zu", nth);
    PGresult *result = PQexecPrepared(conn, name, count, values, NULL, NULL, 0);
    ExecStatusType type = PQresultStatus(result);
    if (type != PGRES_COMMAND_OK && type != PGRES_TUPLES_OK)
        fprintf(stderr, "%s: %s\n", plain_statements[nth], PQerrorMessage(conn));
    CHECK(type == PGRES_COMMAND_OK || type == PGRES_TUPLES_OK);
    return result;
}

static void *work_plainly(void *context)
{
    struct worker *w = context;
    char name[24];
    for (size_t i = 0; i < mc_countof(plain_statements); i++) {
        snprintf(name, sizeof(name), "plain%zu", i);
        PQclear(PQprepare(w->conn, name, plain_statements[i], 0, NULL));
    }
    while (atomic_fetch_sub(w->left, CLAIM_BATCH) > 0) {
        const char *const lease[] = {w->lease};
        PGresult *claimed =
            plain_run(w->conn,
                      "UPDATE jobs SET lease = $1, due_at = now() + interval '1 minute',"
                      " attempts = attempts + 1 FROM (SELECT id FROM jobs WHERE shard = 0 AND"
                      " stage = 1 AND due_at <= now() ORDER BY due_at, id LIMIT 256"
                      " FOR UPDATE SKIP LOCKED) d WHERE shard = 0 AND jobs.id = d.id"
                      " RETURNING jobs.id",
                      1, lease);
        CHECK(PQntuples(claimed) == CLAIM_BATCH);
        char *rows = list_of(claimed);
        const char *const values[] = {rows, w->lease};
        PQclear(claimed);
        for (size_t i = 0; i < mc_countof(plain_statements); i++) {
            bool plain_word = i == 1 || i + 1 == mc_countof(plain_statements);
            PQclear(run_prepared(w->conn, i, plain_word ? 0 : i == 2 ? 2 : 1, values));
        }
        free(rows);
    }
    return NULL;
}

/* Jobs a second of the workers of one side. */
static struct block drain(struct mc_store *store)
{
    static int run;
    const int64_t count = JOBS_PER_BLOCK / CLAIM_BATCH * CLAIM_BATCH;
    _Atomic int64_t left = count;
    struct worker workers[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.store = store, .left = &left};
        snprintf(workers[i].lease, sizeof(workers[i].lease), "worker-%d", ++run);
        if (!store)
            workers[i].conn = plain_connection("plain");
    }
    const char *database = store ? "store" : "plain";
    struct processor_time before = processor_time(database);
    int64_t start_us = mc_time_monotonic_us();
    for (int i = 0; i < WORKERS; i++)
        CHECK(mc_thread_start(&workers[i].thread, "worker", store ? work : work_plainly,
                              &workers[i], &error) == MC_OK);
    for (int i = 0; i < WORKERS; i++)
        mc_thread_join(workers[i].thread);
    struct block block = block_of(count, start_us, database, &before);
    for (int i = 0; i < WORKERS; i++)
        PQfinish(workers[i].conn);
    return block;
}

void compare_jobs(struct mc_store *store)
{
    struct block ours[BLOCKS], plain[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        ours[i] = drain(store);
        plain[i] = drain(NULL);
    }
    compare("claim and complete", ours, plain, "jobs", 0.5);
    goal("claim and complete, jobs a second", median(ours).rate, 10000, true);
}
