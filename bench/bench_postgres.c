/*
 * What do writes and queries of the store on PostgreSQL cost, against a plain client of the same server?
 *
 *     bench_postgres [--messages N]     0: without context
 *
 * Starts a server of its own, as initdb makes it: a commit is on the disk before it is answered. Two
 * databases begin as copies of each other: the store writes into the one, a plain client into the other, in turn,
 * so that a noisy machine hits both; each figure is the median of the blocks. Where one program after the other does the
 * same, the processor time of each item is told too, of the server's processes and of this one: it depends less on
 * what else runs.
 *
 * - Single messages by 8 and 32 callers against pgbench with as many clients: the same rows into the same tables
 *   and indexes, one transaction a message. Goal 0.8.
 * - Batches of 1000 messages against COPY of the same rows into the table of messages alone, with its indexes, as
 *   durable: what the store writes beside them (ids, users, threads, jobs) is left out there, so 1 cannot be reached.
 *   Goal 0.5 for 50 threads of 20 messages each; with a thread and a user of its own for each message the store
 *   changes two rows more for each, which is told without a goal.
 * - Claiming and completing batches of 256 jobs against a loop over libpq that makes the same changes in one
 *   statement a table. Goals 0.5, and 10000 jobs a second.
 * - Context without a model, through the public interface, at a tenth of N (1,000,000) messages and at N
 *   (postgres_context.c). Goals: p95 below 10 ms, and at most 1.5 times as long as at the tenth.
 */
#include "postgres.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "base/compiler.h"
#include "base/id.h"
#include "base/thread.h"

#define BLOCKS 3
#define BLOCK_SECONDS 3
#define PRELOADED 50000
#define USERS 2000
#define PUT_BATCH 1000
#define CLAIM_BATCH 256
#define WORKERS 2
#define CALLERS_MAX 32
#define JOBS_PER_BLOCK 12000

struct pg_server server;
struct mc_error error;
static int missed;

#define TEXT                                                                                       \
    "My order ORD-12345 has not arrived yet and the tracking page shows nothing "                  \
    "since Monday, could you please look into it?"

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double quantile(double *values, size_t count, double q)
{
    qsort(values, count, sizeof(*values), ascending);
    size_t at = (size_t)(q * (double)count);
    return values[at < count ? at : count - 1];
}

void goal(const char *what, double value, double bound, bool at_least)
{
    bool met = at_least ? value >= bound : value <= bound;
    printf("target: %-44s %10.2f, at %s %8.2f: %s\n", what, value, at_least ? "least" : "most",
           bound, met ? "reached" : "MISSED");
    missed |= !met;
}

static double since_s(int64_t start_us)
{
    return (double)(mc_time_monotonic_us() - start_us) / 1e6;
}

/* One measurement: items a second, and the processor time of each where it is known. */
struct block {
    double rate, client_us, server_us;
};

static struct block block_of(int64_t items, int64_t start_us, const char *database,
                             const struct processor_time *before)
{
    struct processor_time after = processor_time(database);
    double count = (double)items;
    return (struct block){count / since_s(start_us),
                          (after.client_s - before->client_s) * 1e6 / count,
                          (after.server_s - before->server_s) * 1e6 / count};
}

static struct block median(const struct block *blocks)
{
    double rates[BLOCKS], clients[BLOCKS], servers[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        rates[i] = blocks[i].rate;
        clients[i] = blocks[i].client_us;
        servers[i] = blocks[i].server_us;
    }
    return (struct block){quantile(rates, BLOCKS, 0.5), quantile(clients, BLOCKS, 0.5),
                          quantile(servers, BLOCKS, 0.5)};
}

static void compare(const char *what, const struct block *ours, const struct block *plain,
                    const char *unit, double bound)
{
    struct block a = median(ours), b = median(plain);
    char line[96];
    printf("%-34s %9.0f %s/s   plain %9.0f   ratio %5.2f\n", what, a.rate, unit, b.rate,
           a.rate / b.rate);
    if (b.server_us > 0)
        printf("    processor, us each: server %5.1f, client %4.1f   plain: server %5.1f,"
               " client %4.1f   ratio %5.2f\n",
               a.server_us, a.client_us, b.server_us, b.client_us,
               (b.server_us + b.client_us) / (a.server_us + a.client_us));
    snprintf(line, sizeof(line), "%s, of the plain client", what);
    if (bound > 0)
        goal(line, a.rate / b.rate, bound, true);
}

PGconn *plain_connection(const char *database)
{
    char conninfo[400];
    snprintf(conninfo, sizeof(conninfo), "host=%s port=%d dbname=%s user=postgres",
             server.scratch.dir, PG_PORT, database);
    PGconn *conn = PQconnectdb(conninfo);
    CHECK(PQstatus(conn) == CONNECTION_OK);
    return conn;
}

PGresult *plain_run(PGconn *conn, const char *sql, int count, const char *const *values)
{
    PGresult *result = PQexecParams(conn, sql, count, NULL, values, NULL, NULL, 0);
    ExecStatusType type = PQresultStatus(result);
    if (type != PGRES_COMMAND_OK && type != PGRES_TUPLES_OK) {
        fprintf(stderr, "%s: %s\n", sql, PQerrorMessage(conn));
        exit(1);
    }
    return result;
}

static void plain_do(PGconn *conn, const char *sql)
{
    PQclear(plain_run(conn, sql, 0, NULL));
}

/* ---- Messages through the store ---- */

struct names {
    char id[MC_ID_TEXT_SIZE], user[24], thread[24];
};

/* As the program's own: as long, growing, and each new; without their cost of randomness. */
static void make_id(uint64_t n, char id[MC_ID_TEXT_SIZE])
{
    snprintf(id, MC_ID_TEXT_SIZE, "msg_01a2b3c4d5e6%020" PRIu64, n);
}

/* Message n is of a thread that `run` messages in a row are of; users are met in a scattered order. */
__attribute__((noinline)) /* inlined, gcc 12 warns of texts without bytes */
static void
make_put(uint64_t n, uint64_t run, struct names *names, struct mc_put *put)
{
    uint64_t of = n / run;
    make_id(n, names->id);
    snprintf(names->user, sizeof(names->user), "user-%d", (int)(of * 617 % USERS));
    snprintf(names->thread, sizeof(names->thread), "thread-%d", (int)(of / USERS % 10));
    *put = (struct mc_put){.new_id = true,
                           .message = {
                               .message_id = mc_str_of(names->id),
                               .user_id = mc_str_of(names->user),
                               .thread_id = mc_str_of(names->thread),
                               .session_id = MC_STR("session"),
                               .text = MC_STR(TEXT),
                               .metadata = MC_STR("{}"),
                               .created_at_us = mc_time_now_us(),
                               .importance = 0.5,
                           }};
}

static _Atomic uint64_t next_message;

static void put_some(struct mc_store *store, size_t count, uint64_t run)
{
    struct mc_put *items = calloc(count, sizeof(*items));
    struct names *names = calloc(count, sizeof(*names));
    struct mc_error err;
    CHECK(items && names);
    uint64_t first = atomic_fetch_add(&next_message, count);
    for (size_t i = 0; i < count; i++)
        make_put(first + i, run, &names[i], &items[i]);
    if (store->ops->put(store, items, count, &err) != MC_OK) {
        fprintf(stderr, "put: %s\n", err.message);
        exit(1);
    }
    for (size_t i = 0; i < count; i++)
        mc_record_unref(items[i].record);
    free(items);
    free(names);
}

struct caller {
    struct mc_store *store;
    int64_t until_us;
    int64_t done;
    pthread_t thread;
};

static void *call(void *context)
{
    struct caller *caller = context;
    while (mc_time_monotonic_us() < caller->until_us) {
        put_some(caller->store, 1, 1);
        caller->done++;
    }
    return NULL;
}

/* Messages a second of that many callers. */
static double put_singles(struct mc_store *store, int count)
{
    struct caller callers[CALLERS_MAX];
    int64_t start_us = mc_time_monotonic_us(), done = 0;
    for (int i = 0; i < count; i++) {
        callers[i] = (struct caller){.store = store,
                                     .until_us = start_us + BLOCK_SECONDS * MC_US_PER_SECOND};
        CHECK(mc_thread_start(&callers[i].thread, "caller", call, &callers[i], &error) == MC_OK);
    }
    for (int i = 0; i < count; i++) {
        mc_thread_join(callers[i].thread);
        done += callers[i].done;
    }
    return (double)done / since_s(start_us);
}

/* ---- pgbench ---- */

/* As the program stores one message; users and threads are met at random. */
static const char script[] =
    "\\set i :i + 1\n"
    "\\set number 1000000000000000000 + :run * 1000000000000000 + :client_id * 1000000000000 + :i\n"
    "\\set user random(1, 2000)\n"
    "\\set shard :user * 37 % 256\n"
    "\\set id_shard :i % 256\n"
    "\\set thread random(1, 10)\n"
    "BEGIN;\n"
    "INSERT INTO message_ids(shard, message_id, id) VALUES(:id_shard, 'msg_0123456' ||"
    " :number::text, nextval('message_rows') * 256 + :shard)"
    " ON CONFLICT (shard, message_id) DO NOTHING RETURNING id AS row \\gset\n"
    "INSERT INTO users AS u(shard, user_id, user_no, messages) VALUES(:shard, 'user-' ||"
    " :user::text, nextval('user_numbers'), 1) ON CONFLICT (shard, user_id) DO UPDATE"
    " SET messages = u.messages + excluded.messages RETURNING user_no AS user_no \\gset\n"
    "INSERT INTO threads AS t(shard, user_id, thread_id, version, messages, last_at, summarised,"
    " summarised_until, withdrawn) VALUES(:shard, 'user-' || :user::text, 'thread-' ||"
    " :thread::text, 1, 1, now(), 0, '-infinity', 0)"
    " ON CONFLICT (shard, user_id, thread_id) DO UPDATE SET"
    " version = t.version + excluded.messages, messages = t.messages + excluded.messages,"
    " last_at = greatest(t.last_at, excluded.last_at) RETURNING version AS version \\gset\n"
    "INSERT INTO messages(shard, id, message_id, user_id, thread_id, user_no, created_at,"
    " stored_at, role, visibility, tier, state, trivial, importance, session_id, agent_id,"
    " sharing_groups, metadata, attached, text) VALUES(:shard, :row, 'msg_0123456' ||"
    " :number::text, 'user-' || :user::text, 'thread-' || :thread::text, :user_no, now(), now(),"
    " 0, 0, 0, 0, false, 0.5, 'session', '', '{}', '{}', '{}', '" TEXT "');\n"
    "INSERT INTO jobs(shard, id, stage, due_at, enqueued_at, attempts)"
    " VALUES(0, :row, 1, now(), now(), 0);\n"
    "COMMIT;\n";

static void write_script(const char *path)
{
    FILE *file = fopen(path, "w");
    CHECK(file);
    CHECK(fputs(script, file) >= 0);
    CHECK(fclose(file) == 0);
}

/* Starts a program whose output, errors too, can be read from the file. */
static FILE *start_program(const char *const argv[], pid_t *pid)
{
    int ends[2];
    posix_spawn_file_actions_t actions;
    CHECK(pipe2(ends, O_CLOEXEC) == 0 && posix_spawn_file_actions_init(&actions) == 0);
    CHECK(posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO) == 0);
    CHECK(posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO) == 0);
    CHECK(posix_spawn(pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    FILE *out = fdopen(ends[0], "r");
    CHECK(out);
    return out;
}

/* Transactions a second of that many clients. */
static double run_pgbench(int clients)
{
    static int run;
    char program[300], path[400], count[12], seconds[12], number[24], port[12], line[256];
    double rate = 0;
    pid_t pid;
    int state;
    snprintf(program, sizeof(program), "%s/pgbench", server.bin);
    snprintf(path, sizeof(path), "%s/ingest.sql", server.scratch.dir);
    snprintf(count, sizeof(count), "%d", clients);
    snprintf(seconds, sizeof(seconds), "%d", BLOCK_SECONDS);
    snprintf(number, sizeof(number), "run=%d", ++run);
    snprintf(port, sizeof(port), "%d", PG_PORT);
    write_script(path);
    const char *const argv[] = {program, "-n",  "-f", path,       "-c",    count,
                                "-j",    "2",   "-M", "prepared", "-T",    seconds,
                                "-D",    "i=0", "-D", number,     "-h",    server.scratch.dir,
                                "-p",    port,  "-U", "postgres", "plain", NULL};
    FILE *out = start_program(argv, &pid);
    while (fgets(line, sizeof(line), out)) {
        if (strstr(line, "ERROR") || strstr(line, "error:"))
            fprintf(stderr, "pgbench: %s", line);
        if (sscanf(line, "tps = %lf", &rate) == 1)
            continue;
    }
    fclose(out);
    CHECK(waitpid(pid, &state, 0) == pid && state == 0 && rate > 0);
    return rate;
}

static void compare_singles(struct mc_store *store, int callers)
{
    struct block ours[BLOCKS], plain[BLOCKS];
    char what[64];
    for (int i = 0; i < BLOCKS; i++) {
        ours[i] = (struct block){.rate = put_singles(store, callers)};
        plain[i] = (struct block){.rate = run_pgbench(callers)};
    }
    snprintf(what, sizeof(what), "single messages, %d callers", callers);
    compare(what, ours, plain, "messages", 0.8);
}

/* ---- Batches ---- */

static struct block put_batches(struct mc_store *store, uint64_t run)
{
    struct processor_time before = processor_time("store");
    int64_t start_us = mc_time_monotonic_us(), done = 0;
    while (since_s(start_us) < BLOCK_SECONDS) {
        put_some(store, PUT_BATCH, run);
        done += PUT_BATCH;
    }
    return block_of(done, start_us, "store", &before);
}

/* One COPY of as many rows, and its commit. */
static void copy_batch(PGconn *conn, uint64_t first, uint64_t run)
{
    PGresult *result = PQexec(conn, "COPY messages(shard, id, message_id, user_id, thread_id,"
                                    " user_no, created_at, stored_at, role, visibility, tier,"
                                    " state, trivial, importance, session_id, agent_id,"
                                    " sharing_groups, metadata, attached, text) FROM STDIN");
    CHECK(PQresultStatus(result) == PGRES_COPY_IN);
    PQclear(result);
    for (uint64_t n = first; n < first + PUT_BATCH; n++) {
        char line[512], id[MC_ID_TEXT_SIZE];
        uint64_t of = n / run, user = of * 617 % USERS, shard = user * 37 % 256;
        make_id((UINT64_C(1) << 40) + n, id);
        int len = snprintf(line, sizeof(line),
                           "%d\t%" PRIu64 "\t%s\tuser-%d\tthread-%d\t%d\tnow\tnow\t0\t0\t0\t0\tf\t"
                           "0.5\tsession\t\t{}\t{}\t{}\t%s\n",
                           (int)shard, ((UINT64_C(1) << 40) + n) * 256 + shard, id, (int)user,
                           (int)(of / USERS % 10), (int)user, TEXT);
        CHECK(len > 0 && PQputCopyData(conn, line, len) == 1);
    }
    CHECK(PQputCopyEnd(conn, NULL) == 1);
    while ((result = PQgetResult(conn))) {
        if (PQresultStatus(result) != PGRES_COMMAND_OK)
            fprintf(stderr, "COPY: %s\n", PQerrorMessage(conn));
        CHECK(PQresultStatus(result) == PGRES_COMMAND_OK);
        PQclear(result);
    }
}

static struct block copy_batches(PGconn *conn, uint64_t run)
{
    static uint64_t next;
    struct processor_time before = processor_time("plain");
    int64_t start_us = mc_time_monotonic_us();
    uint64_t first = next;
    for (; since_s(start_us) < BLOCK_SECONDS; next += PUT_BATCH)
        copy_batch(conn, next, run);
    return block_of((int64_t)(next - first), start_us, "plain", &before);
}

static void compare_batches(struct mc_store *store, const char *what, uint64_t run)
{
    struct block ours[BLOCKS], plain[BLOCKS];
    PGconn *conn = plain_connection("plain");
    for (int i = 0; i < BLOCKS; i++) {
        ours[i] = put_batches(store, run);
        plain[i] = copy_batches(conn, run);
    }
    PQfinish(conn);
    compare(what, ours, plain, "messages", run > 1 ? 0.5 : 0);
}

/* ---- Jobs ---- */

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

static void compare_jobs(struct mc_store *store)
{
    struct block ours[BLOCKS], plain[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        ours[i] = drain(store);
        plain[i] = drain(NULL);
    }
    compare("claim and complete", ours, plain, "jobs", 0.5);
    goal("claim and complete, jobs a second", median(ours).rate, 10000, true);
}

/* ---- The run ---- */

static bool count_problem(void *context, mc_str problem)
{
    fprintf(stderr, "check: %.*s\n", MC_STR_ARG(problem));
    ++*(int *)context;
    return true;
}

void check_store(const char *database)
{
    struct mc_postgres_options options = pg_options(&server, database, false);
    struct mc_store *store = pg_open(&options);
    int problems = 0;
    CHECK(store->ops->check(store, count_problem, &problems, &error) == MC_OK);
    CHECK(problems == 0);
    store->ops->close(store);
}

static void compare_writes(void)
{
    pg_create(&server, "store");
    struct mc_postgres_options options = pg_options(&server, "store", false);
    options.max_overflow = 20;
    struct mc_store *store = pg_open(&options);
    while (atomic_load(&next_message) < PRELOADED)
        put_some(store, PUT_BATCH, 1);
    store->ops->close(store);
    PGconn *conn = plain_connection("postgres");
    plain_do(conn, "CREATE DATABASE plain TEMPLATE store");
    PQfinish(conn);
    store = pg_open(&options);
    compare_jobs(store);
    compare_singles(store, 8);
    compare_singles(store, 32);
    compare_batches(store, "batches of 50 threads", 20);
    compare_batches(store, "batches of 1000 threads", 1);
    store->ops->close(store);
    check_store("store");
    pg_sql(&server, "postgres", "DROP DATABASE plain");
    pg_sql(&server, "postgres", "DROP DATABASE store");
}

int main(int argc, char **argv)
{
    int64_t messages = 1000000;
    if (argc == 3 && strcmp(argv[1], "--messages") == 0)
        messages = strtoll(argv[2], NULL, 10);
    if ((argc != 1 && argc != 3) || (messages < 1000 && messages != 0)) {
        fprintf(stderr, "usage: bench_postgres [--messages N]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    const char *lacking = pg_server_start_durable(&server);
    if (lacking) {
        printf("not measured: %s\n", lacking);
        return 0;
    }
    printf("PostgreSQL %s", pg_value(&server, "postgres", "SHOW server_version"));
    printf(", fsync %s", pg_value(&server, "postgres", "SHOW fsync"));
    printf(", synchronous_commit %s\n", pg_value(&server, "postgres", "SHOW synchronous_commit"));
    compare_writes();
    if (messages > 0)
        measure_context(messages);
    pg_server_stop(&server);
    return missed;
}
