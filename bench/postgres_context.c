/*
 * Context, search and recent messages without a model on PostgreSQL, through the public interface.
 *
 * A tenth of the messages, of 50 users, is stored and enriched by the program. The others are copies of these
 * under other users' names, ids and numbers, written with one statement a table, which is much faster; the store's
 * own check then finds the database as sound as if the program had written all of it.
 */
#include "postgres.h"

#include <mindcore/mindcore.h>

#include "ask.h"
#include "store/postgres/pg.h"

#define ASKED_USERS 50
#define THREADS_OF_USER 20
#define BATCH 1000
#define ROUNDS 1000
#define COPIES 9

static struct mc_engine *engine;

static void open_engine(void)
{
    struct mc_error err;
    struct mc_config *config = NULL;
    char port[12];
    snprintf(port, sizeof(port), "%d", PG_PORT);
    must(mc_config_new(&config, &err), &err);
    must(mc_config_set(config, "database.backend", "postgresql", &err), &err);
    must(mc_config_set(config, "database.host", server.scratch.dir, &err), &err);
    must(mc_config_set(config, "database.port", port, &err), &err);
    must(mc_config_set(config, "database.name", "context", &err), &err);
    must(mc_config_set(config, "database.user", "postgres", &err), &err);
    must(mc_config_set(config, "cache.persistent", "false", &err), &err);
    must(mc_engine_open(config, &engine, &err), &err);
    mc_config_free(config);
}

/* ---- Loading ---- */

struct row {
    char user[24], thread[24], text[512];
};

static void store_all(uint64_t messages)
{
    static struct row rows[BATCH];
    static struct mc_message_input inputs[BATCH];
    static struct mc_ingest_result results[BATCH];
    const int64_t from_us = INT64_C(1700000000000000);
    struct mc_error err;
    for (uint64_t done = 0; done < messages;) {
        size_t count = 0;
        for (; count < BATCH && done + count < messages; count++) {
            struct row *row = &rows[count];
            snprintf(row->user, sizeof(row->user), "user%" PRIu64, any(ASKED_USERS));
            snprintf(row->thread, sizeof(row->thread), "thread%" PRIu64, any(THREADS_OF_USER));
            sentence(row->text, sizeof(row->text), 6 + (unsigned)any(20));
            inputs[count] = (struct mc_message_input){
                .user_id = mc_str_of(row->user),
                .thread_id = mc_str_of(row->thread),
                .session_id = mc_str_of("s1"),
                .role = mc_str_of(any(2) ? "user" : "assistant"),
                .text = mc_str_of(row->text),
                .created_at_us = from_us + (int64_t)(done + count) * INT64_C(60000000),
            };
        }
        must(mc_message_ingest_batch(engine, inputs, count, results, NULL, &err), &err);
        done += count;
    }
    must(mc_engine_drain(engine, -1, &err), &err);
}

static void run(PGconn *conn, const char *sql)
{
    PQclear(plain_run(conn, sql, 0, NULL));
}

static void put_line(PGconn *conn, const char *line)
{
    CHECK(PQputCopyData(conn, line, (int)strlen(line)) == 1);
}

static void end_copy(PGconn *conn)
{
    PGresult *result;
    CHECK(PQputCopyEnd(conn, NULL) == 1);
    while ((result = PQgetResult(conn))) {
        CHECK(PQresultStatus(result) == PGRES_COMMAND_OK);
        PQclear(result);
    }
}

static void begin_copy(PGconn *conn, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    CHECK(PQresultStatus(result) == PGRES_COPY_IN);
    PQclear(result);
}

/* Each user's copies: "user7" becomes "user7-1" to "user7-9". */
static void name_copies(PGconn *conn)
{
    PGresult *users = plain_run(conn, "SELECT user_id, user_no FROM users", 0, NULL);
    begin_copy(conn, "COPY copies(user_id, user_no, copy, new_id, new_no, new_shard) FROM STDIN");
    for (int i = 0; i < PQntuples(users); i++) {
        for (int copy = 1; copy <= COPIES; copy++) {
            char line[256], id[64];
            snprintf(id, sizeof(id), "%s-%d", PQgetvalue(users, i, 0), copy);
            snprintf(line, sizeof(line), "%s\t%s\t%d\t%s\t%d\t%" PRId64 "\n",
                     PQgetvalue(users, i, 0), PQgetvalue(users, i, 1), copy, id,
                     10000000 + i * 100 + copy, mc_pg_shard(mc_str_of(id)));
            put_line(conn, line);
        }
    }
    end_copy(conn);
    PQclear(users);
}

/* The shards of the ids, which only the program's hash tells. */
static void copy_ids(PGconn *conn)
{
    PGconn *reader = plain_connection("context");
    PGresult *result =
        PQexec(reader, "COPY (SELECT message_id, id FROM messages WHERE user_no >= 10000000)"
                       " TO STDOUT");
    char *line = NULL;
    int len;
    CHECK(PQresultStatus(result) == PGRES_COPY_OUT);
    PQclear(result);
    begin_copy(conn, "COPY message_ids(message_id, id, shard) FROM STDIN");
    while ((len = PQgetCopyData(reader, &line, 0)) > 0) {
        char more[300];
        mc_str id = {line, strcspn(line, "\t")};
        snprintf(more, sizeof(more), "%.*s\t%" PRId64 "\n", len - 1, line, mc_pg_shard(id));
        put_line(conn, more);
        PQfreemem(line);
    }
    CHECK(len == -1);
    end_copy(conn);
    PQfinish(reader);
}

static const char *const copy_statements[] = {
    "INSERT INTO messages(shard, id, message_id, user_id, thread_id, user_no, created_at,"
    " stored_at, role, visibility, tier, state, trivial, importance, session_id, agent_id,"
    " sharing_groups, terms, twin, metadata, attached, text)"
    " SELECT c.new_shard, ((m.id >> 8) + c.copy * 100000000) * 256 + c.new_shard,"
    " m.message_id || '-' || c.copy, c.new_id, m.thread_id, c.new_no, m.created_at, m.stored_at,"
    " m.role, m.visibility, m.tier, m.state, m.trivial, m.importance, m.session_id, m.agent_id,"
    " m.sharing_groups, m.terms, m.twin, m.metadata, m.attached, m.text"
    " FROM copies c JOIN messages m ON m.user_no = c.user_no ORDER BY c.copy, m.id",
    "INSERT INTO users(shard, user_id, user_no, messages) SELECT c.new_shard, c.new_id, c.new_no,"
    " u.messages FROM copies c JOIN users u ON u.user_no = c.user_no",
    "INSERT INTO threads(shard, user_id, thread_id, version, messages, last_at, summarised,"
    " summarised_until, withdrawn) SELECT c.new_shard, c.new_id, t.thread_id, t.version,"
    " t.messages, t.last_at, 0, '-infinity', t.withdrawn"
    " FROM copies c JOIN threads t ON t.user_id = c.user_id",
    "INSERT INTO index_terms(shard, user_no, term, id) SELECT c.new_shard, c.new_no, x.term,"
    " ((x.id >> 8) + c.copy * 100000000) * 256 + c.new_shard"
    " FROM copies c JOIN index_terms x ON x.user_no = c.user_no ORDER BY 1, 2, 3, 4",
    "SELECT setval('message_rows', 10 * 100000000)",
    "SELECT setval('user_numbers', 20000000)",
};

/* Ten times as many messages. */
static void copy_all(void)
{
    PGconn *conn = plain_connection("context");
    run(conn, "SET work_mem = '256MB'");
    run(conn, "SET maintenance_work_mem = '256MB'");
    run(conn, "CREATE TEMP TABLE copies(user_id text, user_no bigint, copy bigint, new_id text,"
              " new_no bigint, new_shard bigint)");
    name_copies(conn);
    for (size_t i = 0; i < mc_countof(copy_statements); i++)
        run(conn, copy_statements[i]);
    copy_ids(conn);
    PQfinish(conn);
}

/* ---- Measuring ---- */

static double times_ms[ROUNDS];

/* The same questions each time. */
static void measure(uint64_t messages)
{
    uint64_t before = state;
    state = 42;
    for (int i = -ROUNDS / 5; i < ROUNDS; i++) {
        struct ask ask;
        next_ask(&ask, ASKED_USERS, THREADS_OF_USER);
        int64_t start_us = mc_time_monotonic_us();
        ask_context(engine, &ask);
        if (i >= 0)
            times_ms[i] = (double)(mc_time_monotonic_us() - start_us) / 1e3;
    }
    state = before;
    printf("context, %8" PRIu64 " messages           p50 %6.2f ms  p95 %6.2f ms  p99 %6.2f ms\n",
           messages, quantile(times_ms, ROUNDS, 0.5), quantile(times_ms, ROUNDS, 0.95),
           quantile(times_ms, ROUNDS, 0.99));
}

void measure_context(int64_t messages)
{
    uint64_t first = (uint64_t)messages / (COPIES + 1);
    pg_create(&server, "context");
    open_engine();
    int64_t start_us = mc_time_monotonic_us();
    store_all(first);
    printf("%" PRIu64 " messages stored and enriched in %.0f s\n", first, since_s(start_us));
    /* What the server does by itself after a while. */
    pg_sql(&server, "context", "VACUUM ANALYZE");
    measure(first);
    double p50 = quantile(times_ms, ROUNDS, 0.5), p95 = quantile(times_ms, ROUNDS, 0.95);
    goal("context p95, ms", p95, 10, false);
    start_us = mc_time_monotonic_us();
    copy_all();
    pg_sql(&server, "context", "VACUUM ANALYZE");
    printf("%" PRIu64 " messages copied in %.0f s\n", first * COPIES, since_s(start_us));
    measure(first * (COPIES + 1));
    goal("context p95 of ten times as many, ms", quantile(times_ms, ROUNDS, 0.95), 10, false);
    goal("context p50, times that of a tenth", quantile(times_ms, ROUNDS, 0.5) / p50, 1.5, false);
    goal("context p95, times that of a tenth", quantile(times_ms, ROUNDS, 0.95) / p95, 1.5, false);
    mc_engine_close(engine);
    start_us = mc_time_monotonic_us();
    check_store("context");
    printf("checked in %.0f s\n", since_s(start_us));
}
