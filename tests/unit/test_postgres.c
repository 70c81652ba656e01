/* The PostgreSQL store: what the contract does not ask of every back-end. */
#include "store/postgres/migrations.h"
#include "store/postgres/pg.h"
#include "support/postgres.h"

#include "base/compiler.h"
#include "base/metrics.h"
#include "base/thread.h"

#define WAIT_MS 60000

static struct pg_server server;

static struct mc_put message(const char *user, const char *thread, const char *id, const char *text)
{
    struct mc_put put = scratch_put(id, text);
    put.message.user_id = mc_str_of(user);
    put.message.thread_id = mc_str_of(thread);
    return put;
}

/* The first value of an answer as a number. */
static int64_t pg_number(const char *database, const char *sql)
{
    int64_t number = -1;
    const char *text = pg_value(&server, database, sql);
    if (!mc_str_to_int64(mc_str_of(text), &number))
        bail_out("%s gave '%s'", sql, text);
    return number;
}

static bool see_problem(void *context, mc_str problem)
{
    diag("%.*s", MC_STR_ARG(problem));
    ++*(int *)context;
    return true;
}

static void is_clean(struct mc_store *store, const char *when)
{
    int problems = 0;
    struct mc_error err = {0};
    is_status(store->ops->check(store, see_problem, &problems, &err), MC_OK, &err, "check");
    is_int(problems, 0, "no damage %s", when);
}

/* ---- Opening ---- */

static void refused(const struct mc_postgres_options *options, enum mc_status status,
                    const char *says, const char *what)
{
    struct mc_store *store = NULL;
    struct mc_error err = {0};
    is_status(mc_postgres_store_open(options, &store, &err), status, &err, "%s", what);
    ok(strstr(err.message, says) != NULL, "says '%s': %s", says, err.message);
    ok(strstr(err.message, "s3cret") == NULL, "and not the password");
    ok(store == NULL, "and gives no store");
}

static void open_errors(void)
{
    struct mc_postgres_options options = pg_options(&server, "absent", false);
    options.password = "s3cret";
    refused(&options, MC_CONFIG, "createdb", "a database that is not there");
    options.user = "nobody at all";
    refused(&options, MC_CONFIG, "database.user", "a user that is not there");
    options.user = "postgres";
    options.port = 1;
    refused(&options, MC_UNAVAILABLE, "database.port", "nobody listens");
    options.port = 0;
    pg_create(&server, "other");
    pg_sql(&server, "other", "CREATE TABLE contacts(name text)");
    options.name = "other";
    refused(&options, MC_CORRUPT, "contacts", "another program's database");
    pg_sql(&server, "postgres", "CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0");
    options.name = "ascii";
    refused(&options, MC_CONFIG, "UTF8", "another encoding");
    pg_create(&server, "newer");
    options.name = "newer";
    struct mc_store *store = pg_open(&options);
    store->ops->close(store);
    pg_sql(&server, "newer", "INSERT INTO mindcore_schema VALUES(1000, now())");
    refused(&options, MC_VERSION, "newer version", "a newer schema");
    pg_sql(&server, "newer", "DELETE FROM mindcore_schema");
    refused(&options, MC_CORRUPT, "schema version", "no schema version");
    pg_sql(&server, "postgres", "CREATE ROLE lowly LOGIN");
    pg_create(&server, "closed");
    options.name = "closed";
    options.user = "lowly";
    refused(&options, MC_CONFIG, "GRANT CREATE", "no right to make tables");
}

/* What an extension has brought is nobody's data. */
static void open_beside_extension(void)
{
    pg_create(&server, "extended");
    if (pg_number("extended", "SELECT count(*) FROM pg_available_extensions"
                              " WHERE name = 'pg_stat_statements'") == 0) {
        skip("the server has no extension pg_stat_statements");
        return;
    }
    pg_sql(&server, "extended", "CREATE EXTENSION pg_stat_statements");
    struct mc_postgres_options options = pg_options(&server, "extended", false);
    struct mc_store *store = NULL;
    struct mc_error err = {0};
    is_status(mc_postgres_store_open(&options, &store, &err), MC_OK, &err,
              "a database with an extension's views is empty");
    if (store)
        store->ops->close(store);
    pg_create(&server, "both");
    pg_sql(&server, "both",
           "CREATE EXTENSION pg_stat_statements; CREATE TABLE contacts(name text)");
    options.name = "both";
    refused(&options, MC_CORRUPT, "contacts", "one with another program's table is not");
}

static void *open_one(void *context)
{
    struct mc_postgres_options options = pg_options(&server, "together", false);
    struct mc_error err = {0};
    struct mc_store **store = context;
    if (mc_postgres_store_open(&options, store, &err))
        diag("%s", err.message);
    return NULL;
}

/* Several servers may be started at once on an empty database. */
static void open_together(void)
{
    struct mc_store *stores[8] = {NULL};
    pthread_t threads[8];
    struct mc_error err;
    pg_create(&server, "together");
    for (int i = 0; i < 8; i++)
        if (mc_thread_start(&threads[i], "open", open_one, &stores[i], &err))
            bail_out("no thread");
    int opened = 0;
    for (int i = 0; i < 8; i++) {
        mc_thread_join(threads[i]);
        opened += stores[i] != NULL;
        if (stores[i])
            stores[i]->ops->close(stores[i]);
    }
    is_int(opened, 8, "all of them open it");
    is_str(pg_value(&server, "together", "SELECT count(*) - max(version) FROM mindcore_schema"),
           "0", "and it was made once");
}

struct slow_open {
    struct mc_store *store;
    struct mc_error err;
    pthread_t thread;
};

static void *open_slowly(void *context)
{
    struct slow_open *slow = context;
    struct mc_postgres_options options = pg_options(&server, "slow", false);
    options.lock_timeout_us = 500 * MC_US_PER_MS;
    options.statement_timeout_us = options.answer_timeout_us = 3 * MC_US_PER_SECOND;
    if (mc_postgres_store_open(&options, &slow->store, &slow->err))
        slow->store = NULL;
    return NULL;
}

static int64_t sessions_that(const char *do_this)
{
    char sql[200];
    snprintf(sql, sizeof(sql),
             "SELECT count(*) FROM pg_stat_activity WHERE datname = 'slow' AND %s", do_this);
    return pg_number("postgres", sql);
}

/* One server makes the tables for longer than any statement may take; the other one waits for it. */
static void open_while_migrating(void)
{
    struct slow_open opens[2] = {{.store = NULL}};
    struct mc_error err;
    pg_create(&server, "slow");
    pg_sql(&server, "slow",
           "CREATE FUNCTION take_time() RETURNS event_trigger LANGUAGE plpgsql AS"
           " $$ BEGIN PERFORM pg_sleep(5); END $$;"
           "CREATE EVENT TRIGGER slow ON ddl_command_end WHEN TAG IN ('CREATE VIEW')"
           " EXECUTE FUNCTION take_time()");
    for (int i = 0; i < 2; i++) {
        if (mc_thread_start(&opens[i].thread, "open", open_slowly, &opens[i], &err))
            bail_out("no thread");
        if (i == 0)
            ok(scratch_wait(sessions_that("wait_event = 'PgSleep'") == 1, WAIT_MS),
               "the first server migrates");
    }
    int opened = 0;
    for (int i = 0; i < 2; i++) {
        mc_thread_join(opens[i].thread);
        ok(opens[i].store != NULL, "server %d opens it: %s", i + 1, opens[i].err.message);
        if (opens[i].store)
            opens[i].store->ops->close(opens[i].store);
        opened += opens[i].store != NULL;
    }
    if (opened > 0)
        is_int(pg_number("slow", "SELECT count(*) - max(version) FROM mindcore_schema"), 0,
               "and it was made once");
}

static void schema(void)
{
    static const struct {
        const char *name, *definition;
    } indexes[] = {
        {"idx_messages_user_thread",
         "CREATE INDEX idx_messages_user_thread ON public.messages USING btree (user_id, "
         "thread_id)"},
        {"idx_messages_metadata_topics",
         "CREATE INDEX idx_messages_metadata_topics ON public.messages USING gin (((metadata -> "
         "'topics'::text)))"},
        {"idx_messages_created_at",
         "CREATE INDEX idx_messages_created_at ON public.messages USING btree (created_at DESC)"},
    };
    for (size_t i = 0; i < mc_countof(indexes); i++) {
        char sql[200];
        snprintf(sql, sizeof(sql), "SELECT indexdef FROM pg_indexes WHERE indexname = '%s'",
                 indexes[i].name);
        is_str(pg_value(&server, "together", sql), indexes[i].definition, "%s", indexes[i].name);
    }
    is_str(pg_value(&server, "together",
                    "SELECT string_agg(DISTINCT c.relname, ' ') FROM pg_index i JOIN pg_class c ON"
                    " c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN"
                    " pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] WHERE"
                    " i.indisunique AND n.nspname = 'public' AND a.attname <> 'shard'"),
           "dictionaries mindcore_changes mindcore_schema mindcore_tasks tier_runs",
           "every key of the data begins with the shard");
}

/* ---- Partitions ---- */

static void not_partitioned(const char *database, enum mc_status status, const char *says)
{
    struct mc_postgres_options options = pg_options(&server, database, false);
    struct mc_error err = {0};
    is_status(mc_postgres_partition(&options, 4, &err), status, &err, "%s is refused", database);
    ok(strstr(err.message, says) != NULL, "says '%s': %s", says, err.message);
}

/* All is made in one transaction, which holds a lock on each table and index. */
static void not_partitioned_for_locks(void)
{
    struct mc_postgres_options options = pg_options(&server, "many", false);
    struct mc_error err = {0};
    is_status(mc_postgres_partition(&options, 256, &err), MC_UNAVAILABLE, &err, "too many");
    ok(strstr(err.message, "max_locks_per_transaction") != NULL, "says: %s", err.message);
    is_str(pg_value(&server, "many",
                    "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"),
           "0", "and nothing is left of it");
}

static void partitions(void)
{
    pg_create(&server, "parts");
    pg_partition(&server, "parts", 4);
    struct mc_postgres_options options = pg_options(&server, "parts", false);
    struct mc_store *store = pg_open(&options);
    struct mc_store_stats stats = {0};
    struct mc_error err = {0};
    for (int i = 0; i < 20; i++) {
        char user[16], id[16];
        snprintf(user, sizeof(user), "u%d", i);
        snprintf(id, sizeof(id), "parts-%d", i);
        struct mc_put put = message(user, "t", id, "cat");
        scratch_store_put(store, &put);
    }
    is_status(store->ops->stats(store, &stats, &err), MC_OK, &err, "counts");
    is_int(stats.partitions, 4, "opened in four");
    is_int(stats.messages, 20, "all messages are counted");
    is_str(pg_value(&server, "parts", "SELECT count(DISTINCT tableoid) FROM messages"), "4",
           "users are spread over all");
    is_clean(store, "in partitions");
    store->ops->close(store);
    not_partitioned("parts", MC_CONFLICT, "already");
    not_partitioned("together", MC_CONFLICT, "mindcore db copy");
    not_partitioned("other", MC_CORRUPT, "contacts");
    is_str(
        pg_value(&server, "together", "SELECT count(*) FROM pg_class WHERE relkind IN ('p', 'I')"),
        "0", "and nothing is changed");
    pg_create(&server, "many");
    not_partitioned_for_locks();
}

/* ---- Values ---- */

static void values(struct mc_store *store)
{
    static const char metadata[] = "{\"zeta\":1.50,\"a\":[],\"extra\":{\"b\":1,\"a\":1e3},"
                                   "\"topics\":[\"billing\"],\"e\":\"\\u00fc\"}";
    struct mc_put put = message("values", "t", "values-1", "x");
    put.message.metadata = mc_str_of(metadata);
    scratch_store_put(store, &put);
    struct mc_record *got = scratch_get(store, "values-1");
    is_text(got->m.metadata, metadata, "metadata keeps its order and its numbers");
    mc_record_unref(got);
    is_str(pg_value(&server, "load",
                    "SELECT message_id FROM messages WHERE metadata->'topics' ? 'billing'"),
           "values-1", "and can be asked in SQL");
    const int64_t times[] = {INT64_C(-62135596800000000), -1, 0, INT64_C(253402300799999999)};
    for (size_t i = 0; i < mc_countof(times); i++) {
        char id[32];
        snprintf(id, sizeof(id), "time-%zu", i);
        put = message("values", "t", id, "x");
        put.message.created_at_us = times[i];
        scratch_store_put(store, &put);
        got = scratch_get(store, id);
        is_int(got->m.created_at_us, times[i], "the time %lld", (long long)times[i]);
        mc_record_unref(got);
    }
    struct mc_error err = {0};
    is_status(store->ops->backup(store, "x", NULL, NULL, &err), MC_UNSUPPORTED, &err, "no copy");
    ok(strstr(err.message, "pg_dump") != NULL, "but what to do instead");
}

/* ---- The pool ---- */

struct nested {
    struct mc_store *store;
    int depth;
    enum mc_status status;
    struct mc_error err;
};

/* Holds a connection, and asks for the next. */
static bool see_user(void *context, mc_str name)
{
    (void)name;
    struct nested *nested = context;
    nested->depth++;
    struct mc_error err = {0};
    enum mc_status status = nested->store->ops->users(nested->store, see_user, nested, &err);
    if (status) {
        nested->status = status;
        nested->err = err;
    }
    return false;
}

/* Those of stores in the database `load`; what was closed is there a moment longer. */
static int64_t sessions(void)
{
    return pg_number("load", "SELECT count(*) FROM pg_stat_activity WHERE application_name ="
                             " 'mindcore' AND datname = 'load'");
}

static void pool_exhausted(void)
{
    struct mc_postgres_options options = pg_options(&server, "load", false);
    options.pool_size = 1;
    options.max_overflow = 1;
    options.pool_timeout_us = 50 * MC_US_PER_MS;
    struct mc_store *store = pg_open(&options);
    struct nested nested = {.store = store};
    struct mc_error err = {0};
    is_status(store->ops->users(store, see_user, &nested, &err), MC_OK, &err, "the first caller");
    is_int(nested.depth, 2, "one connection and one above");
    is_int(nested.status, MC_BUSY, "the third caller gets an error");
    ok(strstr(nested.err.message, "database.pool_size 1") &&
           strstr(nested.err.message, "database.max_overflow 1") &&
           strstr(nested.err.message, "database.pool_timeout"),
       "that names the options: %s", nested.err.message);
    is_status(store->ops->ping(store, &err), MC_OK, &err, "later there is one again");
    ok(scratch_wait(sessions() == 1, WAIT_MS), "the one above was closed");
    store->ops->close(store);
}

/* A database of version 1 gets what came since. */
static void older_schema(void)
{
    struct mc_postgres_options options = pg_options(&server, "older", false);
    pg_create(&server, "older");
    struct mc_store *store = pg_open(&options);
    struct mc_put put = scratch_put("m1", "x");
    scratch_store_put(store, &put);
    store->ops->close(store);
    pg_sql(&server, "older",
           "DROP TABLE vectors, vector_models, vector_users, vector_jobs, keys, dictionaries,"
           " mindcore_tasks, mindcore_generation, tier_runs, trash; ALTER TABLE messages DROP "
           "COLUMN packed,"
           " DROP COLUMN left_short, DROP COLUMN left_mid, DROP COLUMN left_long,"
           " DROP COLUMN packed_by; DROP SEQUENCE tier_run_numbers;"
           " CREATE INDEX messages_pending ON messages(shard, user_no, id) WHERE terms IS NULL;"
           " DELETE FROM mindcore_schema WHERE version > 1");
    struct mc_error err = {0};
    struct pg_session *session = pg_session(&server, "older");
    pg_session_run(session, "BEGIN");
    pg_session_run(session, "SELECT FROM messages");
    options.lock_timeout_us = 100 * MC_US_PER_MS;
    refused(&options, MC_BUSY, "database.lock_timeout", "a table that is in use for long");
    options.lock_timeout_us = 0;
    pg_session_end(session);
    store = pg_open(&options);
    struct mc_store_stats stats = {0};
    is_status(store->ops->stats(store, &stats, &err), MC_OK, &err, "stats");
    is_int(stats.messages, 1, "what it held is there");
    is_int(stats.schema_version, mc_pg_schema_version(), "its schema is the newest");
    int64_t model = 0;
    is_status(store->ops->vector_model(store, MC_STR("m"), 4, &model, &err), MC_OK, &err,
              "vectors work");
    int64_t run = 0, last = 0;
    is_status(store->ops->begin_run(store, MC_STR_NONE, mc_time_now_us(), &run, &err), MC_OK, &err,
              "a run of tier migration");
    is_status(store->ops->begin_undo(store, run, &last, &err), MC_OK, &err, "can be undone");
    store->ops->close(store);
}

static void connections_recycled(void)
{
    struct mc_postgres_options options = pg_options(&server, "load", false);
    options.max_age_us = 1;
    struct mc_store *store = pg_open(&options);
    struct mc_error err = {0};
    is_status(store->ops->ping(store, &err), MC_OK, &err, "ping");
    ok(scratch_wait(sessions() == 0, WAIT_MS), "an old connection is not kept");
    store->ops->close(store);
}

/* ---- Trouble under load ---- */

#define WRITERS 6

struct load {
    struct mc_store *store;
    int number;
    atomic_bool *stop;
    int stored, failures, doubled;
    struct mc_error first_failure;
    pthread_t thread;
};

static void *write_on(void *context)
{
    struct load *load = context;
    for (int i = 0; !atomic_load(load->stop); i++) {
        char id[48], user[16];
        struct mc_error err = {0};
        snprintf(id, sizeof(id), "load-%d-%d", load->number, i);
        snprintf(user, sizeof(user), "load%d", load->number % 3);
        struct mc_put put = message(user, "t", id, "cat dog");
        if (load->store->ops->put(load->store, &put, 1, &err) || put.status) {
            if (load->failures++ == 0)
                load->first_failure = err;
            continue;
        }
        load->stored++;
        load->doubled += !put.created;
        mc_record_unref(put.record);
    }
    return NULL;
}

/*
 * Six writers, while `trouble` is made, and what they stored afterwards. The store bridges 15 s: on a machine where the
 * trouble takes about as long callers may notice it, and may not know what became of their message.
 */
static void under_load(struct mc_store *store, const char *what, void (*trouble)(void))
{
    atomic_bool stop;
    struct load loads[WRITERS];
    struct mc_error err = {0};
    int64_t before = pg_number("load", "SELECT count(*) FROM messages");
    static int base;
    atomic_init(&stop, false);
    for (int i = 0; i < WRITERS; i++) {
        loads[i] = (struct load){.store = store, .number = base++, .stop = &stop};
        if (mc_thread_start(&loads[i].thread, "load", write_on, &loads[i], &err))
            bail_out("no thread");
    }
    int64_t start_us = mc_time_monotonic_us();
    trouble();
    int64_t took_us = mc_time_monotonic_us() - start_us;
    int64_t so_far = pg_number("load", "SELECT count(*) FROM messages");
    ok(scratch_wait(pg_number("load", "SELECT count(*) FROM messages") > so_far, WAIT_MS),
       "%s: afterwards it goes on", what);
    atomic_store(&stop, true);
    int stored = 0, failures = 0, doubled = 0;
    for (int i = 0; i < WRITERS; i++) {
        mc_thread_join(loads[i].thread);
        stored += loads[i].stored;
        failures += loads[i].failures;
        doubled += loads[i].doubled;
        if (loads[i].failures)
            diag("%s", loads[i].first_failure.message);
    }
    diag("%s: %d messages", what, stored);
    ok(stored > 0, "%s: messages are stored", what);
    ok(failures == 0 || took_us > 10 * MC_US_PER_SECOND, "%s: no caller notices: %d in %.1f s",
       what, failures, (double)took_us / 1e6);
    is_int(doubled, 0, "%s: none was stored before it was acknowledged", what);
    int64_t found = pg_number("load", "SELECT count(*) FROM messages") - before;
    ok(found >= stored && found <= stored + failures,
       "%s: what was acknowledged is there, once: %d of %d", what, (int)found, stored);
    is_clean(store, "afterwards");
}

static void terminate(void)
{
    for (int i = 0; i < 30; i++) {
        pg_sql(&server, "postgres",
               "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
               " WHERE application_name = 'mindcore' OR datname = 'load'");
        scratch_pause_ms(10);
    }
}

static void restart(void)
{
    for (int i = 0; i < 2; i++) {
        scratch_pause_ms(200);
        pg_server_kill(&server);
        pg_server_run(&server);
    }
}

/* ---- Locks ---- */

static void *put_two_threads(void *context)
{
    struct mc_put items[] = {message("locks", "a", "locks-3", "x"),
                             message("locks", "b", "locks-4", "x")};
    struct mc_store *store = context;
    static struct mc_error err;
    enum mc_status status = store->ops->put(store, items, 2, &err);
    is_status(status, MC_OK, &err, "the put that met a deadlock");
    for (int i = 0; status == MC_OK && i < 2; i++) {
        ok(items[i].created, "stores its messages");
        mc_record_unref(items[i].record);
    }
    return NULL;
}

/* Sessions that do, whose program is so. */
static int64_t waiting_for_locks(const char *program)
{
    char sql[200];
    snprintf(sql, sizeof(sql),
             "SELECT count(*) FROM pg_stat_activity WHERE application_name %s"
             " AND backend_type = 'client backend' AND wait_event_type = 'Lock'",
             program);
    return pg_number("load", sql);
}

/* The server's log says that it found one. */
static bool deadlock_logged(void)
{
    char line[512];
    bool found = false;
    FILE *file = fopen(scratch_path(&server.scratch, "postgres.log"), "r");
    while (file && !found && fgets(line, sizeof(line), file))
        found = strstr(line, "deadlock detected") != NULL;
    if (file)
        fclose(file);
    return found;
}

/* Waits until the store lets go of thread a, and then lets it have b. */
static void *want_first(void *context)
{
    struct pg_session *session = context;
    pg_session_run(session, "UPDATE threads SET last_at = last_at WHERE thread_id = 'a' AND"
                            " user_id = 'locks'");
    pg_session_run(session, "COMMIT");
    return NULL;
}

/*
 * Another session holds thread b and wants thread a; the store has a and wants b: it is the one to give way. It looks
 * for a deadlock once in each wait, so it waits for a third session before, until the other one waits too.
 */
static void deadlock(struct mc_store *store)
{
    struct mc_put first[] = {message("locks", "a", "locks-1", "x"),
                             message("locks", "b", "locks-2", "x")};
    struct mc_error err = {0};
    pthread_t thread, other;
    is_status(store->ops->put(store, first, 2, &err), MC_OK, &err, "two threads");
    mc_record_unref(first[0].record);
    mc_record_unref(first[1].record);
    struct pg_session *sessions[2]; /* the older one is waited for first */
    for (int i = 0; i < 2; i++) {
        sessions[i] = pg_session(&server, "load");
        pg_session_run(sessions[i], "SET deadlock_timeout = '600s'");
        pg_session_run(sessions[i], "BEGIN");
        pg_session_run(sessions[i], "SELECT FROM threads WHERE thread_id = 'b' FOR SHARE");
    }
    if (mc_thread_start(&thread, "put", put_two_threads, store, &err))
        bail_out("no thread");
    ok(scratch_wait(waiting_for_locks("= 'mindcore'") == 1, WAIT_MS), "the store waits");
    if (mc_thread_start(&other, "other", want_first, sessions[1], &err))
        bail_out("no thread");
    ok(scratch_wait(waiting_for_locks("<> 'mindcore'") == 1, WAIT_MS), "so does the other");
    pg_session_run(sessions[0], "COMMIT");
    mc_thread_join(thread);
    mc_thread_join(other);
    for (int i = 0; i < 2; i++)
        pg_session_end(sessions[i]);
    is_str(pg_value(&server, "load",
                    "SELECT count(*) FROM threads WHERE user_id = 'locks' AND messages = 2"),
           "2", "each thread has both messages, once");
    ok(scratch_wait(deadlock_logged(), WAIT_MS), "and there was a deadlock");
}

/* ---- A delete that meets an undo ---- */

struct meeting {
    struct mc_store *store;
    struct mc_undo undo;
};

static void *undo_whole(void *context)
{
    struct meeting *m = context;
    static struct mc_error err;
    struct mc_undo_step step = {.more = true};
    enum mc_status status = MC_OK;
    while (status == MC_OK && step.more)
        status = m->store->ops->undo(m->store, &m->undo, &step, &err);
    is_status(status, MC_OK, &err, "the undo");
    return NULL;
}

static void *delete_it(void *context)
{
    static const struct mc_reader everything = {.everything = true};
    struct meeting *m = context;
    static struct mc_error err;
    struct mc_record *removed = NULL;
    int64_t version;
    is_status(m->store->ops->remove(m->store, MC_STR("met"), &everything, &removed, &version, &err),
              MC_OK, &err, "the delete");
    mc_record_unref(removed);
    return NULL;
}

static void delete_meets_undo(void)
{
    struct mc_postgres_options options = pg_options(&server, "load", false);
    struct meeting m = {.store = pg_open(&options)};
    struct mc_store *store = m.store;
    struct mc_put put = message("met", "t", "met", "x");
    struct mc_error err = {0};
    struct mc_tier_rule rule = {.user_id = MC_STR("met"),
                                .now_us = mc_time_now_us() + INT64_C(3600) * MC_US_PER_SECOND,
                                .short_us = 1,
                                .mid_us = 1,
                                .long_us = 1,
                                .trivial_delete_us = 1,
                                .archive_delete_us = 1,
                                .keep_importance = 2,
                                .batch = 10};
    struct mc_tier_step step = {.more = true};
    is_status(store->ops->put(store, &put, 1, &err), MC_OK, &err, "a message");
    mc_record_unref(put.record);
    is_status(store->ops->begin_run(store, MC_STR("met"), mc_time_now_us(), &rule.run, &err), MC_OK,
              &err, "a run");
    while (step.more || step.moved > 0)
        if (store->ops->migrate(store, &rule, &step, &err))
            bail_out("%s", err.message);
    is_str(pg_value(&server, "load", "SELECT count(*) FROM trash WHERE message_id = 'met'"), "1",
           "deletes it");
    m.undo = (struct mc_undo){.first = rule.run, .now_us = mc_time_now_us(), .batch = 10};
    is_status(store->ops->begin_undo(store, rule.run, &m.undo.last, &err), MC_OK, &err, "undone");

    /* Both have looked and wait for the trash; the undo is the first to get it. */
    struct pg_session *session = pg_session(&server, "load");
    pthread_t undo, removal;
    pg_session_run(session, "BEGIN");
    pg_session_run(session, "UPDATE trash SET run = run WHERE message_id = 'met'");
    if (mc_thread_start(&undo, "undo", undo_whole, &m, &err))
        bail_out("no thread");
    ok(scratch_wait(waiting_for_locks("= 'mindcore'") == 1, WAIT_MS), "the undo waits");
    if (mc_thread_start(&removal, "delete", delete_it, &m, &err))
        bail_out("no thread");
    ok(scratch_wait(waiting_for_locks("= 'mindcore'") == 2, WAIT_MS), "the delete waits");
    pg_session_run(session, "ROLLBACK");
    pg_session_end(session);
    mc_thread_join(undo);
    mc_thread_join(removal);
    is_str(pg_value(&server, "load",
                    "SELECT (SELECT count(*) FROM trash WHERE message_id = 'met') +"
                    " (SELECT count(*) FROM messages WHERE message_id = 'met')"),
           "0", "what was to be deleted is gone");
    store->ops->close(store);
}

/* ---- A message that meets the erasure of a user who is unknown so far ---- */

static void *erase_user(void *context)
{
    struct mc_store *store = context;
    static struct mc_error err;
    struct mc_erased erased;
    is_status(store->ops->erase(store, MC_STR("first"), &erased, &err), MC_OK, &err, "the erasure");
    return NULL;
}

static void *put_first(void *context)
{
    struct mc_put put = message("first", "t", "first", "x");
    scratch_store_put(context, &put);
    return NULL;
}

static void first_message_meets_erasure(void)
{
    struct mc_postgres_options options = pg_options(&server, "load", false);
    struct mc_store *store = pg_open(&options);
    struct pg_session *session = pg_session(&server, "load");
    struct mc_error err = {0};
    pthread_t erasure, putting;
    pg_session_run(session, "BEGIN");
    pg_session_run(session, "LOCK TABLE trash"); /* the erasure has looked for the user before */
    if (mc_thread_start(&erasure, "erase", erase_user, store, &err))
        bail_out("no thread");
    ok(scratch_wait(waiting_for_locks("= 'mindcore'") == 1, WAIT_MS), "the erasure waits");
    if (mc_thread_start(&putting, "put", put_first, store, &err))
        bail_out("no thread");
    ok(scratch_wait(
           waiting_for_locks("= 'mindcore'") == 2 ||
               pg_number("load", "SELECT count(*) FROM messages WHERE user_id = 'first'") == 1,
           WAIT_MS),
       "the message waits, or is stored");
    pg_session_run(session, "ROLLBACK");
    pg_session_end(session);
    mc_thread_join(erasure);
    mc_thread_join(putting);
    is_int(pg_number("load", "SELECT count(*) FROM messages m JOIN users u USING (shard, user_no)"
                             " JOIN threads t ON t.shard = m.shard AND t.user_id = m.user_id"
                             " WHERE m.user_id = 'first' AND u.messages = 1"),
           1, "the message has its user and its thread");
    is_clean(store, "after an erasure that met a first message");
    store->ops->close(store);
}

/* ---- A delete that meets the filling in of vectors ---- */

static void *fill_in(void *context)
{
    struct mc_store *store = context;
    static struct mc_error err;
    bool done;
    is_status(store->ops->fill_vectors(store, mc_time_now_us(), 100, &done, &err), MC_OK, &err,
              "filling in");
    return NULL;
}

static void complete_all(struct mc_store *store)
{
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    struct mc_error err = {0};
    is_status(store->ops->claim(store, MC_STR("w"), MC_STAGE_FIRST,
                                mc_time_now_us() + MC_US_PER_SECOND, 60 * MC_US_PER_SECOND, 100,
                                &jobs, &err),
              MC_OK, &err, "jobs are claimed");
    for (size_t i = 0; i < jobs.count; i++) {
        struct mc_completion done = {.row = jobs.items[i].record->row,
                                     .metadata = MC_STR("{}"),
                                     .terms = MC_STR("cat"),
                                     .state = MC_ENRICHMENT_ENRICHED};
        is_status(store->ops->complete(store, MC_STR("w"), &done, 1, &err), MC_OK, &err,
                  "and completed");
    }
}

/* Filling in sees a message that is deleted before it commits; nobody waits for its vector for ever. */
static void delete_meets_fill(void)
{
    char sql[200];
    pthread_t fill;
    struct mc_error err = {0};
    pg_create(&server, "filling");
    struct mc_postgres_options options = pg_options(&server, "filling", false);
    struct meeting m = {.store = pg_open(&options)};
    struct mc_store *store = m.store;
    struct mc_put first = message("met", "t", "met", "x"),
                  second = message("met", "t", "stays", "x");
    scratch_store_put(store, &first);
    int64_t row = scratch_store_put(store, &second), model = 0;
    complete_all(store);
    is_status(store->ops->vector_model(store, MC_STR("m"), 4, &model, &err), MC_OK, &err,
              "a model");

    /* It has looked, and waits for the second of them. */
    struct pg_session *session = pg_session(&server, "filling");
    pg_session_run(session, "BEGIN");
    snprintf(sql, sizeof(sql), "INSERT INTO vector_jobs VALUES(0, %" PRId64 ", now(), 0)", row);
    pg_session_run(session, sql);
    if (mc_thread_start(&fill, "fill", fill_in, store, &err))
        bail_out("no thread");
    ok(scratch_wait(waiting_for_locks("= 'mindcore'") == 1, WAIT_MS), "filling in waits");
    delete_it(&m);
    pg_session_run(session, "ROLLBACK");
    pg_session_end(session);
    mc_thread_join(fill);
    is_int(pg_number("filling", "SELECT count(*) FROM vector_jobs"), 2, "both wait for a vector");

    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    is_status(store->ops->claim_vectors(store, mc_time_now_us() + MC_US_PER_SECOND,
                                        60 * MC_US_PER_SECOND, 10, &jobs, &err),
              MC_OK, &err, "claimed");
    ok(jobs.count == 1 && jobs.items[0].record->row == row, "is the one that is there");
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM vector_jobs WHERE id = %" PRId64, row);
    is_int(pg_number("filling", sql), 1, "which still waits");
    is_clean(store, "and the other one no more");
    store->ops->close(store);
}

/* The server ends the session while it commits, once: the caller cannot know what became of it. */
static void lost_commit(struct mc_store *store)
{
    pg_sql(&server, "load",
           "CREATE SEQUENCE deaths;"
           "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
           " IF nextval('deaths') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;"
           " RETURN NULL; END $$;"
           "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON message_ids DEFERRABLE INITIALLY DEFERRED"
           " FOR EACH ROW EXECUTE FUNCTION die()");
    struct mc_put put = message("lost", "t", "lost-1", "x");
    struct mc_error err = {0};
    is_status(store->ops->put(store, &put, 1, &err), MC_OK, &err, "a put whose commit was lost");
    ok(put.status == MC_OK && put.created, "is carried out again");
    is_int(put.thread_messages, 1, "and counts once");
    mc_record_unref(put.record);
    is_int(pg_number("load", "SELECT last_value FROM deaths"), 2, "after it was lost");
    pg_sql(&server, "load",
           "DROP TRIGGER die ON message_ids; DROP FUNCTION die(); DROP SEQUENCE deaths");
}

/* ---- Several servers ---- */

#define CLAIMERS 8
#define JOBS 400

struct claimer {
    struct mc_store *store;
    int number, claimed, failures;
    atomic_int *taken; /* by position of the message */
    pthread_t thread;
};

static void *claim_on(void *context)
{
    struct claimer *c = context;
    char lease[16];
    snprintf(lease, sizeof(lease), "w%d", c->number);
    for (int idle = 0; idle < 20;) {
        mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
        struct mc_error err;
        if (c->store->ops->claim(c->store, mc_str_of(lease), MC_STAGE_FIRST,
                                 mc_time_now_us() + MC_US_PER_SECOND, 600 * MC_US_PER_SECOND, 7,
                                 &jobs, &err)) {
            c->failures++;
            break;
        }
        idle = jobs.count == 0 ? idle + 1 : 0;
        for (size_t i = 0; i < jobs.count; i++) {
            mc_str id = jobs.items[i].record->m.message_id;
            int64_t at = 0;
            if (mc_str_starts(id, MC_STR("job-")) &&
                mc_str_to_int64((mc_str){id.data + 4, id.len - 4}, &at) && at < JOBS) {
                atomic_fetch_add(&c->taken[at], 1);
                c->claimed++;
            }
        }
    }
    return NULL;
}

static void claim_together(void)
{
    struct mc_store *stores[2];
    static atomic_int taken[JOBS];
    struct claimer claimers[CLAIMERS];
    struct mc_put items[JOBS];
    char ids[JOBS][16], users[JOBS][16];
    struct mc_error err = {0};
    pg_create(&server, "claims");
    pg_partition(&server, "claims", 4);
    struct mc_postgres_options options = pg_options(&server, "claims", false);
    for (int i = 0; i < 2; i++)
        stores[i] = pg_open(&options);
    for (int i = 0; i < JOBS; i++) {
        snprintf(ids[i], sizeof(ids[i]), "job-%d", i);
        snprintf(users[i], sizeof(users[i]), "u%d", i % 50);
        items[i] = message(users[i], "t", ids[i], "x");
        atomic_init(&taken[i], 0);
    }
    is_status(stores[0]->ops->put(stores[0], items, JOBS, &err), MC_OK, &err, "jobs");
    for (int i = 0; i < JOBS; i++)
        mc_record_unref(items[i].record);
    for (int i = 0; i < CLAIMERS; i++) {
        claimers[i] = (struct claimer){.store = stores[i % 2], .number = i, .taken = taken};
        if (mc_thread_start(&claimers[i].thread, "claim", claim_on, &claimers[i], &err))
            bail_out("no thread");
    }
    int claimed = 0, failures = 0, once = 0;
    for (int i = 0; i < CLAIMERS; i++) {
        mc_thread_join(claimers[i].thread);
        claimed += claimers[i].claimed;
        failures += claimers[i].failures;
    }
    for (int i = 0; i < JOBS; i++)
        once += atomic_load(&taken[i]) == 1;
    is_int(failures, 0, "no claim fails");
    is_int(claimed, JOBS, "all jobs are claimed");
    is_int(once, JOBS, "each by one");
    for (int i = 0; i < 2; i++)
        stores[i]->ops->close(stores[i]);
}

/* Entries of the search index that nobody took out do not keep a message from being completed. */
static void stray_entries(struct mc_store *store)
{
    char sql[200];
    struct mc_error err = {0};
    struct mc_put put = message("stray", "t", "stray-1", "cat dog");
    int64_t row = scratch_store_put(store, &put);
    snprintf(sql, sizeof(sql),
             "INSERT INTO index_terms(shard, user_no, term, id) SELECT shard, user_no, %" PRId64
             ", id FROM messages WHERE id = %" PRId64,
             mc_pg_term(MC_STR("dog")), row);
    pg_sql(&server, "load", sql);
    struct mc_jobs jobs = {0};
    is_status(store->ops->claim(store, MC_STR("stray"), MC_STAGE_FIRST,
                                mc_time_now_us() + MC_US_PER_SECOND, MC_US_PER_SECOND * 60, 1000,
                                &jobs, &err),
              MC_OK, &err, "its job is claimed");
    mc_jobs_fini(&jobs);
    struct mc_completion done = {.row = row,
                                 .metadata = MC_STR("{}"),
                                 .terms = MC_STR("cat dog"),
                                 .state = MC_ENRICHMENT_ENRICHED};
    is_status(store->ops->complete(store, MC_STR("stray"), &done, 1, &err), MC_OK, &err,
              "an entry that was there already");
    ok(done.applied, "the message is completed");
    is_status(store->ops->release(store, MC_STR("stray"), &err), MC_OK, &err, "the others go back");
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM index_terms WHERE id = %" PRId64, row);
    is_int(pg_number("load", sql), 3, "it has its two words and its thread in the index");
}

static void count_change(void *context)
{
    atomic_fetch_add((atomic_int *)context, 1);
}

static void changes_seen(const char *database, bool bouncer, const char *what)
{
    atomic_int mine, theirs;
    atomic_init(&mine, 0);
    atomic_init(&theirs, 0);
    struct mc_postgres_options options = pg_options(&server, database, bouncer);
    options.foreign_change = count_change;
    options.context = &mine;
    struct mc_store *store = pg_open(&options);
    options.context = &theirs;
    struct mc_store *other = pg_open(&options);
    ok(scratch_wait(atomic_load(&mine) > 0 && atomic_load(&theirs) > 0, WAIT_MS),
       "%s: both are told that others may have committed before they watched", what);
    int before = atomic_load(&theirs), own = atomic_load(&mine);
    struct mc_put put = message("seen", "t", bouncer ? "seen-2" : "seen-1", "x");
    scratch_store_put(store, &put);
    int64_t stored_us = mc_time_monotonic_us();
    ok(scratch_wait(atomic_load(&theirs) > before, WAIT_MS), "%s: the other is told of a message",
       what);
    diag("%s: after %.1f ms", what, (double)(mc_time_monotonic_us() - stored_us) / 1000);
    scratch_pause_ms(100);
    is_int(atomic_load(&mine), own, "%s: who stored it is not", what);
    store->ops->close(store);
    other->ops->close(other);
}

/* Counts of other servers that are the same before and after. */
static void changes_of_others(void)
{
    atomic_int told;
    atomic_init(&told, 0);
    struct mc_postgres_options options = pg_options(&server, "claims", false);
    options.foreign_change = count_change;
    options.context = &told;
    pg_sql(&server, "claims", "INSERT INTO mindcore_changes VALUES(-1, 0, 7, 1, now())");
    struct mc_store *store = pg_open(&options);
    ok(scratch_wait(atomic_load(&told) > 0, WAIT_MS), "it watches");
    int before = atomic_load(&told);
    pg_sql(&server, "claims", "UPDATE mindcore_changes SET server = -2 WHERE server = -1");
    ok(scratch_wait(atomic_load(&told) > before, WAIT_MS), "one that goes and one that comes");

    pg_sql(&server, "postgres", "ALTER DATABASE claims ALLOW_CONNECTIONS false");
    pg_sql(&server, "postgres",
           "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'claims'"
           " AND query NOT LIKE '%pg_terminate_backend%'");
    before = atomic_load(&told);
    ok(scratch_wait(atomic_load(&told) > before + 1, WAIT_MS),
       "without a connection others are taken to commit");
    pg_sql(&server, "postgres", "ALTER DATABASE claims ALLOW_CONNECTIONS true");
    store->ops->close(store);
}

int main(void)
{
    const char *missing = pg_server_start(&server);
    if (missing) {
        skip("%s", missing);
        return done_testing();
    }
    open_errors();
    open_beside_extension();
    open_together();
    open_while_migrating();
    schema();
    partitions();
    pg_create(&server, "load");
    struct mc_postgres_options options = pg_options(&server, "load", false);
    struct mc_store *store = pg_open(&options);
    values(store);
    deadlock(store);
    lost_commit(store);
    stray_entries(store);
    store->ops->close(store);
    pool_exhausted();
    older_schema();
    connections_recycled();
    delete_meets_undo();
    first_message_meets_erasure();
    delete_meets_fill();
    claim_together();
    changes_seen("claims", false, "LISTEN");
    changes_of_others();
    store = pg_open(&options);
    under_load(store, "connections are ended", terminate);
    under_load(store, "the server is restarted", restart);
    store->ops->close(store);
    missing = pg_bouncer_start(&server, 15);
    if (missing) {
        skip("%s", missing);
    } else {
        options = pg_options(&server, "load", true);
        store = pg_open(&options);
        under_load(store, "PgBouncer, connections are ended", terminate);
        store->ops->close(store);
        changes_seen("claims", true, "PgBouncer");
    }
    pg_server_stop(&server);
    return done_testing();
}
