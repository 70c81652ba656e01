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

#define BLOCK_SECONDS 3
#define PRELOADED 50000
#define USERS 2000
#define PUT_BATCH 1000
#define CALLERS_MAX 32

struct pg_server server;
struct mc_error error;

#define TEXT                                                                                       \
    "My order ORD-12345 has not arrived yet and the tracking page shows nothing "                  \
    "since Monday, could you please look into it?"

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
    return goals_missed();
}
