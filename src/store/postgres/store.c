/* Opening and closing, and the table of functions. */
#include <stdlib.h>

#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "store/postgres/pg.h"
#include "store/postgres/schema.h"

/* More commits at once do not help: the server writes its log in one place. */
#define LEADERS_MAX 4

static void close_store(struct mc_store *store)
{
    struct mc_pg *s = mc_pg_of(store);
    mc_pg_watch_stop(&s->watch);
    mc_pg_replicas_stop(&s->replicas);
    mc_pg_group_fini(&s->group);
    mc_pg_pool_fini(&s->pool);
    mc_mutex_fini(&s->counts.lock);
    mc_archive_free(s->archive);
    free(s);
}

static void close_store_ptr(struct mc_pg **s)
{
    if (*s)
        close_store(&(*s)->exact.store);
}

static const struct mc_store_ops ops = {
    .name = "postgresql",
    .copy = &mc_pg_copy,
    .close = close_store,
    .put = mc_pg_put,
    .get = mc_pg_get,
    .rows = mc_pg_rows_of,
    .recent = mc_pg_recent,
    .turns = mc_pg_turns,
    .match = mc_pg_match,
    .thread = mc_pg_thread,
    .remove = mc_pg_remove,
    .claim = mc_pg_claim,
    .complete = mc_pg_complete,
    .fail = mc_pg_failed,
    .renew = mc_pg_renew,
    .twin = mc_pg_twin,
    .release = mc_pg_release,
    .queue = mc_pg_queue,
    .dead_jobs = mc_pg_dead_jobs,
    .retry = mc_pg_retry,
    .purge = mc_pg_purge,
    .preferences = mc_pg_preferences,
    .set_preferences = mc_pg_set_preferences,
    .add_signals = mc_pg_add_signals,
    .signals = mc_pg_signals,
    .add_usage = mc_pg_add_usage,
    .usage = mc_pg_usage,
    .vector_model = mc_pg_vector_model,
    .vector_models = mc_pg_vector_models,
    .claim_vectors = mc_pg_claim_vectors,
    .put_vectors = mc_pg_put_vectors,
    .fill_vectors = mc_pg_fill_vectors,
    .vectors = mc_pg_vectors,
    .searchable = mc_pg_searchable,
    .nearest = mc_pg_nearest,
    .put_agent = mc_pg_put_agent,
    .remove_agent = mc_pg_remove_agent,
    .agents = mc_pg_agents,
    .put_key = mc_pg_put_key,
    .remove_key = mc_pg_remove_key,
    .keys = mc_pg_keys,
    .agent_counts = mc_pg_agent_counts,
    .unsummarised = mc_pg_unsummarised,
    .put_summary = mc_pg_put_summary,
    .summaries = mc_pg_summaries,
    .migrate = mc_pg_migrate,
    .train = mc_pg_train,
    .pack = mc_pg_pack,
    .begin_run = mc_pg_begin_run,
    .end_run = mc_pg_end_run,
    .runs = mc_pg_runs,
    .empty_trash = mc_pg_empty_trash,
    .begin_undo = mc_pg_begin_undo,
    .undo = mc_pg_undo,
    .take_task = mc_pg_take_task,
    .set_task = mc_pg_set_task,
    .erase = mc_pg_erase,
    .generation = mc_pg_generation,
    .wipe = mc_pg_wipe,
    .export_user = mc_pg_export,
    .users = mc_pg_users,
    .list_users = mc_pg_list_users,
    .list_threads = mc_pg_list_threads,
    .stats = mc_pg_stats,
    .room = mc_pg_room,
    .ping = mc_pg_ping,
    .check = mc_pg_check,
    .backup = mc_pg_backup,
    .replicas = mc_pg_replicas,
};

bool mc_postgres_built(void)
{
    return true;
}

/* Rows of servers that have been gone for long say nothing any more. */
static enum mc_status clear_changes(struct mc_pg_conn *conn, struct mc_error *err)
{
    return mc_pg_query(conn,
                       "DELETE FROM mindcore_changes WHERE changed_at < now() - interval '1 day'",
                       MC_PG_NO_ARGS, err);
}

static enum mc_status must_exist(struct mc_pg_conn *conn, struct mc_error *err)
{
    enum mc_status status =
        mc_pg_query(conn, "SELECT to_regclass('mindcore_schema') IS NOT NULL", MC_PG_NO_ARGS, err);
    if (status != MC_OK || mc_pg_first_int(conn, 0))
        return status;
    return mc_fail_field(err, MC_NOT_FOUND, "database.name",
                         "PostgreSQL database '%s' at %s holds nothing of Mindcore; name another",
                         conn->where->database, conn->where->conninfo_host);
}

static enum mc_status prepare(struct mc_pg *s, struct mc_error *err)
{
    struct mc_pg_conn *conn = NULL;
    enum mc_status status = mc_pg_pool_acquire(&s->pool, &conn, NULL, err);
    if (status != MC_OK)
        return status;
    if (s->pool.options.existing)
        status = must_exist(conn, err);
    if (status == MC_OK)
        status = mc_pg_schema_prepare(conn, &s->partitions, err);
    if (status == MC_OK)
        status = clear_changes(conn, err);
    if (status == MC_OK)
        status = mc_pg_replicas_start(&s->replicas, &s->pool, conn, err);
    mc_pg_pool_release(&s->pool, conn);
    if (status == MC_OK && s->partitions > 0)
        mc_log(MC_LOG_INFO, "store", "PostgreSQL database '%s' is partitioned into %d",
               s->pool.where.database, s->partitions);
    return status;
}

enum mc_status mc_postgres_store_open(const struct mc_postgres_options *options,
                                      struct mc_store **store, struct mc_error *err)
{
    mc_auto(close_store_ptr) struct mc_pg *s = calloc(1, sizeof(*s));
    if (!s)
        return mc_fail_memory(err);
    s->exact = (struct mc_pg_face){{&ops, &s->lagging.store}, s, false};
    s->lagging = (struct mc_pg_face){{&ops, NULL}, s, true};
    mc_mutex_init(&s->counts.lock);
    s->metrics = options->metrics;
    mc_random_bytes(&s->server, sizeof(s->server));
    s->server &= INT64_MAX;
    enum mc_status status = mc_pg_pool_init(&s->pool, options, err);
    if (status != MC_OK)
        return status;
    status = mc_archive_new(&s->archive, err);
    if (status != MC_OK)
        return status;
    s->pool.archive = s->archive;
    int half = (s->pool.max + 1) / 2;
    mc_pg_group_init(&s->group, half < LEADERS_MAX ? half : LEADERS_MAX);
    status = prepare(s, err);
    struct mc_pg_freshness *freshness = s->replicas.count > 0 ? &s->replicas.freshness : NULL;
    if (status == MC_OK && (options->foreign_change || freshness))
        status = mc_pg_watch_start(&s->watch, &s->pool, freshness, s->server,
                                   options->foreign_change, options->context, err);
    if (status == MC_OK)
        *store = &mc_steal(s)->exact.store;
    return status;
}

enum mc_status mc_postgres_partition(const struct mc_postgres_options *options, int partitions,
                                     struct mc_error *err)
{
    mc_auto(mc_pg_pool_fini) struct mc_pg_pool pool = {.max = 0};
    struct mc_pg_conn *conn = NULL;
    enum mc_status status = mc_pg_pool_init(&pool, options, err);
    if (status == MC_OK)
        status = mc_pg_pool_acquire(&pool, &conn, NULL, err);
    if (status != MC_OK)
        return status;
    status = mc_pg_schema_partition(conn, partitions, err);
    mc_pg_pool_release(&pool, conn);
    return status;
}
