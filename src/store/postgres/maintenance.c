/* What looks at the database as a whole: export, counts, proof of life, check. */
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/time.h"
#include "store/postgres/migrations.h"
#include "store/postgres/pg.h"

/* ---- Export ---- */

#define EXPORT_PAGE 256

struct row_list {
    int64_t *items;
    size_t count;
};

static enum mc_status take_rows(const PGresult *result, void *context, struct mc_error *err)
{
    struct row_list *list = context;
    size_t count = (size_t)PQntuples(result);
    list->items = malloc((count + 1) * sizeof(*list->items));
    if (!list->items)
        return mc_fail_memory(err);
    for (size_t i = 0; i < count; i++)
        list->items[i] = mc_pg_cell_int(result, i, 0);
    list->count = count;
    return MC_OK;
}

/* The user's rows first, oldest message first, so that pages need no connection in between. */
enum mc_status mc_pg_export(struct mc_store *store, mc_str user_id, const struct mc_reader *reader,
                            mc_record_fn each, void *context, struct mc_error *err)
{
    struct row_list list = {0};
    enum mc_status status = mc_pg_read_one(
        mc_pg_of(store),
        "SELECT m.id FROM messages m WHERE m.shard = $1 AND m.user_no = " MC_PG_USER_NO
        " ORDER BY m.created_at, m.id",
        MC_PG_ARGS(mc_pg_int(mc_pg_shard(user_id)), mc_pg_str(user_id)), take_rows, &list, err);
    struct mc_load load = {.memory = NULL};
    struct mc_reader bounded = *reader;
    for (size_t at = 0, most = EXPORT_PAGE; status == MC_OK && at < list.count;) {
        mc_auto(mc_records_fini) struct mc_records page = {0};
        size_t count = list.count - at < most ? list.count - at : most;
        bounded.load = count > 1 ? &load : NULL;
        mc_load_rewind(&load, 0);
        mc_load_begin(&load, MC_READ_PAGE_BYTES);
        status = mc_pg_rows_of(store, list.items + at, count, &bounded, &page, err);
        if (status == MC_OK && count > 1 && load.full) {
            most = count / 2;
            continue;
        }
        at += count;
        for (size_t i = 0; status == MC_OK && i < page.count; i++)
            if (!each(context, page.items[i]))
                status = mc_fail(err, MC_CANCELLED, "the export was stopped");
    }
    free(list.items);
    return status;
}

/* ---- Users and counts ---- */

/* Messages that are counted in no time. */
#define COUNT_MANY 100000
#define COUNT_KEEP 20

struct name_reader {
    mc_name_fn each;
    void *context;
};

static enum mc_status take_names(const PGresult *result, void *context, struct mc_error *err)
{
    (void)err;
    const struct name_reader *reader = context;
    bool more = true;
    for (size_t i = 0; more && i < (size_t)PQntuples(result); i++)
        more = reader->each(reader->context, mc_pg_cell(result, i, 0));
    return MC_OK;
}

enum mc_status mc_pg_users(struct mc_store *store, mc_name_fn each, void *context,
                           struct mc_error *err)
{
    struct name_reader reader = {each, context};
    return mc_pg_read_one(mc_pg_of(store), "SELECT user_id FROM users ORDER BY user_id",
                          MC_PG_NO_ARGS, take_names, &reader, err);
}

/* Those of the tuning guide, and without which a frequent question would read a whole table. */
#define MISSING_INDEXES                                                                            \
    "SELECT coalesce(string_agg(name, ', '), '') FROM unnest(ARRAY['idx_messages_user_thread',"    \
    " 'idx_messages_metadata_topics', 'idx_messages_created_at', 'messages_thread',"               \
    " 'messages_tier', 'jobs_due', 'summaries_user']) name"                                        \
    " LEFT JOIN pg_index i ON i.indexrelid = to_regclass(name) WHERE i.indisvalid IS NOT TRUE"

static enum mc_status stats_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    struct mc_store_stats *got = context;
    *got = (struct mc_store_stats){.schema_version = mc_pg_schema_version()};
    mc_pg_add(conn, "SELECT count(*), coalesce(sum(messages), 0)::bigint FROM users",
              MC_PG_NO_ARGS);
    mc_pg_add(conn, "SELECT count(*) FROM threads", MC_PG_NO_ARGS);
    mc_pg_add(conn, "SELECT pg_database_size(current_database())", MC_PG_NO_ARGS);
    mc_pg_add(conn,
              "SELECT tier, count(*), count(*) FILTER (WHERE state = 0),"
              " count(*) FILTER (WHERE state = 2) FROM messages GROUP BY tier",
              MC_PG_NO_ARGS);
    mc_pg_add(conn, MISSING_INDEXES, MC_PG_NO_ARGS);
    enum mc_status status = mc_pg_run_last(conn, err);
    if (status != MC_OK)
        return status;
    snprintf(got->missing_indexes, sizeof(got->missing_indexes), "%.*s",
             MC_STR_ARG(mc_pg_cell(conn->results[4], 0, 0)));
    got->users = mc_pg_first_int(conn, 0);
    got->messages = mc_pg_cell_int(conn->results[0], 0, 1);
    got->threads = mc_pg_first_int(conn, 1);
    got->bytes = mc_pg_first_int(conn, 2);
    for (size_t i = 0; i < mc_pg_rows(conn, 3); i++) {
        int64_t tier = mc_pg_cell_int(conn->results[3], i, 0);
        if (tier >= 0 && tier < MC_TIER_COUNT)
            got->by_tier[tier] = mc_pg_cell_int(conn->results[3], i, 1);
        got->by_state[MC_ENRICHMENT_PENDING] += mc_pg_cell_int(conn->results[3], i, 2);
        got->by_state[MC_ENRICHMENT_FAILED] += mc_pg_cell_int(conn->results[3], i, 3);
    }
    got->by_state[MC_ENRICHMENT_ENRICHED] =
        got->messages - got->by_state[MC_ENRICHMENT_PENDING] - got->by_state[MC_ENRICHMENT_FAILED];
    return MC_OK;
}

/*
 * Who asks often, as a page that shows the counts does, must not keep the server busy with counting: of a large
 * database they are told again for COUNT_KEEP times as long as counting took.
 */
enum mc_status mc_pg_stats(struct mc_store *store, struct mc_store_stats *stats,
                           struct mc_error *err)
{
    struct mc_pg *s = mc_pg_of(store);
    struct mc_pg_counts *counts = &s->counts;
    struct mc_store_stats got;
    int64_t start_us = mc_time_monotonic_us();
    mc_mutex_lock(&counts->lock);
    bool kept = start_us < counts->until_us;
    if (kept)
        *stats = counts->stats;
    mc_mutex_unlock(&counts->lock);
    if (kept)
        return MC_OK;
    enum mc_status status = mc_pg_read(s, MC_PG_SNAPSHOT, stats_work, &got, err);
    if (status != MC_OK)
        return status;
    got.partitions = s->partitions;
    int64_t now_us = mc_time_monotonic_us(), took_us = now_us - start_us;
    mc_mutex_lock(&counts->lock);
    counts->stats = got;
    counts->until_us = got.messages >= COUNT_MANY ? now_us + COUNT_KEEP * took_us : 0;
    mc_mutex_unlock(&counts->lock);
    *stats = got;
    return MC_OK;
}

static enum mc_status read_bytes(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    int64_t *bytes = context;
    enum mc_status status =
        mc_pg_query(conn, "SELECT pg_database_size(current_database())", MC_PG_NO_ARGS, err);
    if (status == MC_OK)
        *bytes = mc_pg_first_int(conn, 0);
    return status;
}

enum mc_status mc_pg_room(struct mc_store *store, struct mc_store_room *room, struct mc_error *err)
{
    int64_t bytes;
    enum mc_status status = mc_pg_read(mc_pg_of(store), 0, read_bytes, &bytes, err);
    if (status == MC_OK)
        *room = (struct mc_store_room){.bytes = bytes, .disk_bytes = -1, .free_bytes = -1};
    return status;
}

/* ---- Proof of life ---- */

/* Every write notes itself in mindcore_changes: that one is committed is the proof. */
static enum mc_status ping_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    (void)context;
    return mc_pg_query(conn, "SELECT count(*) FROM mindcore_schema", MC_PG_NO_ARGS, err);
}

enum mc_status mc_pg_ping(struct mc_store *store, struct mc_error *err)
{
    struct mc_pg *s = mc_pg_of(store);
    return mc_pg_write(s, MC_PG_SILENT | MC_PG_ONCE, ping_work, NULL, err);
}

/* ---- Check ---- */

#define CHECK_TIMEOUT_US (6 * 3600 * MC_US_PER_SECOND)

struct rule {
    const char *sql; /* how many break it */
    const char *text;
};
static const struct rule rules[] = {
    {"SELECT count(*) FROM jobs j WHERE NOT EXISTS(SELECT 1 FROM messages m"
     " WHERE m.shard = (j.id & 255) AND m.id = j.id)",
     "jobs without a message"},
    {"SELECT count(*) FROM messages m WHERE m.state = 0 AND NOT EXISTS(SELECT 1 FROM jobs j"
     " WHERE j.shard = " MC_PG_QUEUE " AND j.id = m.id)",
     "messages that wait for enrichment without a job"},
    {"SELECT count(*) FROM messages m WHERE NOT EXISTS(SELECT 1 FROM threads t WHERE t.shard ="
     " m.shard AND t.user_id = m.user_id AND t.thread_id = m.thread_id)",
     "messages without a thread"},
    {"SELECT count(*) FROM messages m LEFT JOIN users u ON u.shard = m.shard"
     " AND u.user_id = m.user_id WHERE u.user_no IS DISTINCT FROM m.user_no",
     "messages with another user's number"},
    {"SELECT count(*) FROM messages m WHERE m.shard <> (m.id & 255)", "messages in a wrong shard"},
    {"SELECT count(*) FROM messages m FULL JOIN message_ids i ON i.message_id = m.message_id"
     " WHERE i.id IS DISTINCT FROM m.id",
     "message ids that lead to no message, or to another"},
    {"SELECT count(*) FROM threads t WHERE NOT EXISTS(SELECT 1 FROM users u WHERE u.shard = t.shard"
     " AND u.user_id = t.user_id)",
     "threads without a user"},
    {"SELECT count(*) FROM users u WHERE u.messages <> (SELECT count(*) FROM messages m"
     " WHERE m.shard = u.shard AND m.user_id = u.user_id)",
     "users with a wrong count of messages"},
    {"SELECT count(*) FROM threads t WHERE t.messages <> (SELECT count(*) FROM messages m"
     " WHERE m.shard = t.shard AND m.user_id = t.user_id AND m.thread_id = t.thread_id)",
     "threads with a wrong count of messages"},
    {"SELECT count(*) FROM twins w WHERE NOT EXISTS(SELECT 1 FROM messages m"
     " WHERE m.shard = (w.id & 255) AND m.id = w.id)",
     "content hashes without a message"},
    {"SELECT count(*) FROM vectors v WHERE NOT EXISTS(SELECT 1 FROM messages m"
     " WHERE m.shard = v.shard AND m.id = v.id AND m.user_no = v.user_no)",
     "vectors without a message"},
    {"SELECT count(*) FROM vector_jobs j WHERE NOT EXISTS(SELECT 1 FROM messages m"
     " WHERE m.shard = (j.id & 255) AND m.id = j.id)",
     "waiting for a vector without a message"},
    {"SELECT count(*) FROM vector_models m WHERE m.vectors <>"
     " (SELECT count(*) FROM vectors v WHERE v.model = m.number)",
     "models with a wrong count of vectors"},
    {"SELECT count(*) FROM summaries s WHERE NOT EXISTS(SELECT 1 FROM threads t"
     " WHERE t.shard = s.shard AND t.user_id = s.user_id AND t.thread_id = s.thread_id)",
     "summaries without a thread"},
    {"SELECT count(*) FROM messages m WHERE m.terms IS NOT NULL AND NOT EXISTS(SELECT 1"
     " FROM index_terms x WHERE x.shard = m.shard AND x.user_no = m.user_no AND x.id = m.id)",
     "messages missing in the index"},
    {"SELECT count(*) FROM index_terms x WHERE NOT EXISTS(SELECT 1 FROM messages m"
     " WHERE m.shard = x.shard AND m.id = x.id AND m.user_no = x.user_no)",
     "entries of the index without a message"},
    {"SELECT count(*) FROM messages WHERE packed IS NOT NULL AND (tier <> 3 OR text <> ''"
     " OR terms IS NOT NULL OR NOT EXISTS(SELECT 1 FROM dictionaries))",
     "compressed messages that are not in the archive, or without a dictionary"},
    {"SELECT count(*) FROM trash r WHERE r.run NOT IN (SELECT number FROM tier_runs)",
     "messages in the trash that no run of tier migration has deleted"},
    {"SELECT count(*) FROM trash r WHERE NOT EXISTS(SELECT 1 FROM threads t WHERE t.shard ="
     " r.shard AND t.user_id = r.user_id AND t.thread_id = r.thread_id)",
     "messages in the trash without a thread of their user"},
    {"SELECT count(*) FROM trash r WHERE EXISTS(SELECT 1 FROM messages m"
     " WHERE m.shard = r.shard AND m.id = r.id)",
     "messages that are stored and in the trash"},
};

static enum mc_status check_work(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    const struct name_reader *reader = context;
    int64_t counts[mc_countof(rules)], timeout_us = conn->answer_timeout_us;
    /* Each goes over whole tables: as long as it takes, in this transaction alone. */
    mc_pg_add_quiet(conn, "SELECT set_config('statement_timeout', '0', true)", MC_PG_NO_ARGS);
    conn->answer_timeout_us = CHECK_TIMEOUT_US;
    enum mc_status status = MC_OK;
    for (size_t i = 0; status == MC_OK && i < mc_countof(rules); i++) {
        status = mc_pg_query(conn, rules[i].sql, MC_PG_NO_ARGS, err);
        counts[i] = status == MC_OK ? mc_pg_first_int(conn, 0) : 0;
    }
    conn->answer_timeout_us = timeout_us;
    if (status != MC_OK)
        return status;
    bool more = true;
    for (size_t i = 0; more && i < mc_countof(rules); i++) {
        char text[128];
        int len = snprintf(text, sizeof(text), "%" PRId64 " %s", counts[i], rules[i].text);
        if (counts[i] > 0)
            more = reader->each(reader->context, (mc_str){text, (size_t)len});
    }
    return MC_OK;
}

enum mc_status mc_pg_check(struct mc_store *store, mc_name_fn problem, void *context,
                           struct mc_error *err)
{
    struct name_reader reader = {problem, context};
    enum mc_status status = mc_pg_read(mc_pg_of(store), MC_PG_SNAPSHOT, check_work, &reader, err);
    if (status == MC_CORRUPT && err) {
        /* Damage is what the check is for: a finding, not a failure. */
        problem(context, mc_str_of(err->message));
        return MC_OK;
    }
    return status;
}

enum mc_status mc_pg_backup(struct mc_store *store, const char *path, mc_progress_fn progress,
                            void *context, struct mc_error *err)
{
    (void)path;
    (void)progress;
    (void)context;
    const struct mc_pg *s = mc_pg_of(store);
    return mc_fail(
        err, MC_UNSUPPORTED,
        "a PostgreSQL database is not copied into a file by Mindcore; use pg_dump -Fc for "
        "database '%s' at %s",
        s->pool.where.database, s->pool.where.conninfo_host);
}
