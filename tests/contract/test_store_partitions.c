/*
 * The contract of the store over partitioned tables; and that each statement that the cases make looks into one
 * partition of each table that it names, by the plans that the server writes into its log. A statement for a batch
 * of many users' rows looks into one partition for each row.
 */
#include "store_contract.h"
#include "support/postgres.h"

#define PARTITIONS 4
#define PARTITIONS_TEXT "4"

static struct pg_server server;

/* ---- The cases ---- */

static struct mc_store *open_cleared(void)
{
    struct mc_postgres_options options = pg_options(&server, "cases", false);
    pg_clear(&server, "cases");
    return pg_open(&options);
}

static void carry_out_pg(const char *sql)
{
    char quiet[512];
    snprintf(quiet, sizeof(quiet), "SET auto_explain.log_min_duration = -1; %s", sql);
    pg_sql(&server, "cases", quiet);
}

static void run_cases(const char *mode, const char *name)
{
    const struct store_factory factory = {name, open_cleared, .keeps_bytes = true,
                                          .sql = carry_out_pg};
    char sql[96];
    snprintf(sql, sizeof(sql), "ALTER DATABASE cases SET plan_cache_mode = '%s'", mode);
    pg_sql(&server, "postgres", sql);
    store_contract(&factory);
}

/* What the cases do for one user only. */
static void upkeep_of_all(void)
{
    struct mc_tier_rule rule = {.now_us = mc_time_now_us(),
                                .short_us = MINUTE,
                                .mid_us = 2 * MINUTE,
                                .long_us = 3 * MINUTE,
                                .trivial_delete_us = MINUTE,
                                .archive_delete_us = MINUTE,
                                .batch = 10};
    struct mc_tier_step step;
    struct mc_error err = {0};
    struct mc_store *store = open_cleared();
    struct mc_store_stats stats = {0};
    is_status(store->ops->migrate(store, &rule, &step, &err), MC_OK, &err, "upkeep of all users");
    is_status(store->ops->stats(store, &stats, &err), MC_OK, &err, "counts");
    is_int(stats.partitions, PARTITIONS, "the store knows its partitions");
    store->ops->close(store);
}

/*
 * With what was done, and as over large tables: these are so small that reading them whole seems cheaper, all the more
 * once statistics say so.
 */
static void log_plans(void)
{
    static const char *const settings[] = {"session_preload_libraries = auto_explain",
                                           "auto_explain.log_min_duration = 0",
                                           "auto_explain.log_analyze = on",
                                           "auto_explain.log_timing = off",
                                           "enable_hashjoin = off",
                                           "enable_mergejoin = off",
                                           "enable_seqscan = off",
                                           "jit = off"};
    pg_sql(&server, "postgres", "ALTER SYSTEM SET autovacuum = off");
    pg_sql(&server, "postgres", "SELECT pg_reload_conf()");
    for (size_t i = 0; i < mc_countof(settings); i++) {
        char sql[96];
        snprintf(sql, sizeof(sql), "ALTER DATABASE cases SET %s", settings[i]);
        pg_sql(&server, "postgres", sql);
    }
}

/* ---- What looks over all partitions, and may: no call for one user waits for it ---- */

static const struct {
    const char *begins, *why;
} whole[] = {
    {"SELECT user_id FROM users", "a list of all users"},
    {"SELECT agent_id, name, ", "a list of all agents, which every server keeps in memory"},
    {"SELECT key_id, hash, ", "a list of all API keys, which every server keeps in memory"},
    {"SELECT u.user_id, u.messages, ", "a page of the list of all users, a few rows of each shard"},
    {"WITH part AS MATERIALIZED (SELECT shard, id, ",
     "upkeep: a page of all messages that lack vectors"},
    {"SELECT agent_id, count(*), ", "counts of all agents' messages"},
    {"SELECT day, operation, ", "what all models were asked"},
    {"SELECT count(*), coalesce(sum(messages), 0)::bigint FROM users", "counts for the status"},
    {"SELECT tier, count(*), ", "counts for the status"},
    {"SELECT user_id, thread_id, summarised_until, ", "upkeep: threads of all users to summarise"},
    {"SELECT id, (octet_length(text) ", "upkeep: messages of all users to delete"},
    {"SELECT id FROM trash WHERE run IN ", "upkeep: emptying the trash"},
    {"SELECT id FROM trash WHERE message_id = ", "deleting what tier migration has deleted"},
    {"SELECT id, user_no, created_at, packed IS NOT NULL, ", "upkeep: the trash of a run, undone"},
    {"SELECT count(DISTINCT t.message_id) FROM trash t ", "upkeep: what an undo would bring back"},
    {"SELECT count(*) FROM trash WHERE run ", "upkeep: what an undo would bring back"},
    {"SELECT count(*) FROM messages WHERE $1 + $2 = 0 AND ", "upkeep: what an undo would change"},
    {"SELECT id, created_at, importance, ", "upkeep: messages of all users to move"},
    {"SELECT count(*) FROM messages WHERE tier = $1 AND ", "upkeep: what it would move"},
    {"SELECT count(*), coalesce(sum(octet_length(text) ", "upkeep: what it would compress"},
    {"SELECT user_id, left(attached, ", "upkeep: examples of all users for a dictionary"},
    {"SELECT id, user_no, thread_id, terms, twin, attached, ",
     "upkeep: messages of all users to compress"},
    {"SELECT count(*) FROM messages WHERE packed ", "the check of everything"},
    {"SELECT count(*) FROM trash r ", "the check of everything"},
    {"SELECT count(*) FROM messages m ", "the check of everything"},
    {"SELECT count(*) FROM jobs j ", "the check of everything"},
    {"SELECT count(*) FROM threads t ", "the check of everything"},
    {"SELECT count(*) FROM users u ", "the check of everything"},
    {"SELECT count(*) FROM twins w ", "the check of everything"},
    {"SELECT count(*) FROM summaries s ", "the check of everything"},
    {"SELECT count(*) FROM vectors v ", "the check of everything"},
    {"SELECT count(*) FROM vector_jobs j ", "the check of everything"},
    {"SELECT count(*) FROM vector_models m ", "the check of everything"},
    {"SELECT count(*) FROM index_terms x ", "the check of everything"},
    {"SELECT count(*) FROM threads", "counts for the status"},
    {"DELETE FROM ", "the test's own, between the cases"},
};

/* The row of the list for a statement, -1 for none. What names the shard of a user has no excuse. */
static int find_excuse(const char *sql)
{
    for (size_t i = 0; i < mc_countof(whole); i++)
        if (strncmp(sql, whole[i].begins, strlen(whole[i].begins)) == 0 &&
            !strstr(sql, "shard = $"))
            return (int)i;
    return -1;
}

/* ---- Plans ---- */

#define STATEMENTS_MAX 512
#define TABLES_MAX 16

struct statement {
    char *sql;
    int most;             /* partitions of one table in one plan */
    bool batch;           /* joins what it is given as arrays, and each row brings its shard */
    size_t plans, strays; /* of a batch: plans that looked more often than there were rows */
};
static struct statement statements[STATEMENTS_MAX];
static size_t statement_count;

/* The present plan: how often it looked into the partitions of each table. */
struct plan {
    struct statement *statement;
    struct {
        char name[32];
        uint64_t partitions; /* bits */
        int64_t looks;
    } tables[TABLES_MAX];
    size_t table_count;
    int64_t rows; /* that a batch has */
};

static struct statement *statement_of(const char *sql)
{
    for (size_t i = 0; i < statement_count; i++)
        if (strcmp(statements[i].sql, sql) == 0)
            return &statements[i];
    if (statement_count == STATEMENTS_MAX)
        bail_out("too many statements");
    statements[statement_count] = (struct statement){
        .sql = strdup(sql), .batch = strstr(sql, "unnest(") && !strstr(sql, "shard = $")};
    return &statements[statement_count++];
}

static void end_plan(struct plan *plan)
{
    bool stray = false;
    for (size_t i = 0; i < plan->table_count; i++) {
        int count = __builtin_popcountll(plan->tables[i].partitions);
        if (count > plan->statement->most)
            plan->statement->most = count;
        /* One look is at one partition, also where no row came to be read. */
        stray = stray || (plan->tables[i].looks > 1 && plan->tables[i].looks > plan->rows);
    }
    if (plan->statement)
        plan->statement->strays += stray;
    *plan = (struct plan){.statement = NULL};
}

static void note_partition(struct plan *plan, mc_str table, int partition, int64_t looks)
{
    size_t i = 0;
    while (i < plan->table_count && !mc_str_equal(mc_str_of(plan->tables[i].name), table))
        i++;
    if (i == TABLES_MAX)
        bail_out("too many tables in one plan");
    if (i == plan->table_count)
        snprintf(plan->tables[plan->table_count++].name, sizeof(plan->tables[i].name), "%.*s",
                 MC_STR_ARG(table));
    plan->tables[i].partitions |= UINT64_C(1) << partition;
    plan->tables[i].looks += looks;
}

/* The number behind a word of a line, 0 when it is not there. */
static int64_t number_behind(const char *line, const char *word)
{
    const char *at = strstr(line, word);
    return at ? strtoll(at + strlen(word), NULL, 10) : 0;
}

/*
 * A node of a plan that stands on a partition: "->  Index Scan using users_p3_pkey on users_p3 u  (cost=...) (actual
 * rows=1 loops=1)". What was left out before the plan began is not in it; what was left out meanwhile says so.
 */
static void read_node(struct plan *plan, const char *line)
{
    const char *name = strstr(line, " on "), *cost = strstr(line, "  (cost=");
    if (!name || !cost || name > cost)
        return;
    if (strstr(line, "Function Scan on "))
        plan->rows += number_behind(line, "actual rows=");
    name += strlen(" on ");
    const char *end = name + strcspn(name, " ("), *mark = end;
    while (mark > name && mark[-1] >= '0' && mark[-1] <= '9')
        mark--;
    if (mark == end || mark - name < 3 || mark[-1] != 'p' || mark[-2] != '_')
        return;
    note_partition(plan, (mc_str){name, (size_t)(mark - 2 - name)}, (int)strtol(mark, NULL, 10),
                   number_behind(line, "loops="));
}

/* Entries of the log go on in lines that begin with a tab. */
static void read_plans(void)
{
    static const char query[] = "\tQuery Text: ";
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    struct plan plan = {.statement = NULL};
    FILE *log = fopen(scratch_path(&server.scratch, "postgres.log"), "r");
    while (log && (len = getline(&line, &room, log)) > 0) {
        line[len - 1] = '\0';
        if (line[0] != '\t') {
            end_plan(&plan);
        } else if (strncmp(line, query, strlen(query)) == 0) {
            plan.statement = statement_of(line + strlen(query));
            plan.statement->plans++;
        } else if (plan.statement) {
            read_node(&plan, line);
        }
    }
    end_plan(&plan);
    if (log)
        fclose(log);
    free(line);
}

/* A batch that brings no shards, to see that it would be found out. */
static const char wrong_batch[] = "SELECT count(*) FROM unnest(ARRAY[1, 2]) n(id)"
                                  " JOIN messages m ON m.id = n.id";

static void check_plans(void)
{
    bool used[mc_countof(whole)] = {false};
    size_t hot = 0, plans = 0;
    for (size_t i = 0; i < statement_count; i++) {
        const struct statement *s = &statements[i];
        int excuse = s->most > 1 ? find_excuse(s->sql) : -1;
        plans += s->plans;
        hot += s->most == 1 || s->batch;
        if (strcmp(s->sql, wrong_batch) == 0)
            ok(s->strays > 0, "looks too often: %s", s->sql);
        else if (excuse >= 0)
            used[excuse] = true;
        else if (s->batch)
            is_int((int64_t)s->strays, 0, "one look for each row: %s", s->sql);
        else if (s->most > 0)
            is_int(s->most, 1, "partitions of a table: %s", s->sql);
    }
    for (size_t i = 0; i < mc_countof(whole); i++)
        ok(used[i], "looks over all: %s... (%s)", whole[i].begins, whole[i].why);
    diag("%zu plans of %zu statements, of which %zu are for one user or a batch", plans,
         statement_count, hot);
    ok(hot >= 60, "the cases make the statements of every call");
}

/* Each table of data is partitioned, also what a later migration made. */
static void check_tables(void)
{
    is_str(pg_value(&server, "cases",
                    "SELECT coalesce(string_agg(c.relname, ' '), '') FROM pg_class c"
                    " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'shard'"
                    " WHERE c.relkind = 'r' AND NOT c.relispartition"),
           "", "every table that has a shard is partitioned");
    is_str(pg_value(&server, "cases",
                    "SELECT count(*) > 10 AND min(parts) = " PARTITIONS_TEXT
                    " AND max(parts) = " PARTITIONS_TEXT " FROM (SELECT count(*)"
                    " AS parts FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent"
                    " WHERE c.relkind = 'p' GROUP BY i.inhparent) tables"),
           "t", "into as many as were asked for");
    is_str(pg_value(&server, "cases",
                    "SELECT string_agg(c.relname || ':' || (SELECT count(*) FROM pg_inherits"
                    " WHERE inhparent = c.oid), ' ' ORDER BY c.relname) FROM pg_class c"
                    " WHERE c.relkind = 'I' AND c.relname LIKE 'idx\\_messages\\_%'"),
           "idx_messages_created_at:" PARTITIONS_TEXT
           " idx_messages_metadata_topics:" PARTITIONS_TEXT
           " idx_messages_user_thread:" PARTITIONS_TEXT,
           "the guide's indexes are on every partition");
}

int main(void)
{
    const char *missing = pg_server_start(&server);
    if (missing) {
        skip("%s", missing);
        return done_testing();
    }
    pg_create(&server, "cases");
    pg_partition(&server, "cases", PARTITIONS);
    check_tables();
    log_plans();
    run_cases("force_generic_plan", "partitions, generic plans");
    run_cases("force_custom_plan", "partitions, custom plans");
    upkeep_of_all();
    pg_sql(&server, "cases", wrong_batch);
    read_plans();
    check_plans();
    pg_server_stop(&server);
    return done_testing();
}
