#include "store/postgres/schema.h"

#include <inttypes.h>

#include "base/error.h"
#include "base/log.h"
#include "base/time.h"
#include "store/postgres/migrations.h"

#define TEXT_BYTES ((size_t)64 << 10)
/* An index of a large table takes its time, and so long other servers wait that are started meanwhile. */
#define MIGRATION_TIMEOUT_US (24 * 3600 * MC_US_PER_SECOND)

/* ---- Whose database it is ---- */

/* Tables and views; those of an extension, which an administrator may have put there, do not count. */
#define TABLES                                                                                     \
    "pg_class c WHERE c.relnamespace = current_schema()::regnamespace"                             \
    " AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT EXISTS(SELECT 1 FROM pg_depend d"         \
    " WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')"

static const char identity_sql[] =
    "SELECT to_regclass('mindcore_schema') IS NOT NULL,"
    " (SELECT count(*) FROM " TABLES "),"
    " coalesce((SELECT min(c.relname)::text FROM " TABLES "), ''),"
    " pg_encoding_to_char((SELECT encoding FROM pg_database WHERE datname = current_database()))"
    "::text, current_schema() IS NOT NULL,"
    " has_schema_privilege(coalesce(current_schema(), 'public'), 'CREATE'), current_user::text,"
    " (SELECT count(*) FROM pg_inherits WHERE inhparent = to_regclass('users'))";

struct identity {
    bool ours, may_create;
    int64_t tables, version;
    int64_t partitions; /* of each table that has a shard; 0: they are whole */
    mc_str other, user;
};

static enum mc_status identify(struct mc_pg_conn *conn, struct identity *is, struct mc_error *err)
{
    enum mc_status status = mc_pg_query(conn, identity_sql, MC_PG_NO_ARGS, err);
    if (status != MC_OK)
        return status;
    const PGresult *result = conn->results[0];
    mc_str encoding = mc_pg_cell(result, 0, 3);
    if (!mc_str_equal(encoding, MC_STR("UTF8")))
        return mc_fail_field(err, MC_CONFIG, "database.name",
                             "PostgreSQL database '%s' has the encoding %.*s, and text needs UTF8; "
                             "create another: createdb -E UTF8 -T template0 NAME",
                             conn->where->database, MC_STR_ARG(encoding));
    if (!mc_pg_cell_int(result, 0, 4))
        return mc_fail_field(err, MC_CONFIG, "database.user",
                             "PostgreSQL database '%s' has no schema for this user; check its "
                             "search_path, or create the schema 'public'",
                             conn->where->database);
    is->ours = mc_pg_cell_int(result, 0, 0);
    is->tables = mc_pg_cell_int(result, 0, 1);
    is->other = mc_pg_cell(result, 0, 2);
    is->may_create = mc_pg_cell_int(result, 0, 5);
    is->user = mc_pg_cell(result, 0, 6);
    is->partitions = mc_pg_cell_int(result, 0, 7);
    return MC_OK;
}

static enum mc_status judge(const struct mc_pg_conn *conn, const struct identity *is,
                            struct mc_error *err)
{
    const char *name = conn->where->database;
    if (!is->ours && is->tables > 0)
        return mc_fail_field(err, MC_CORRUPT, "database.name",
                             "PostgreSQL database '%s' is another program's (it has a table "
                             "'%.*s'); give another database.name",
                             name, MC_STR_ARG(is->other));
    if (is->ours || is->may_create)
        return MC_OK;
    return mc_fail_field(
        err, MC_CONFIG, "database.user",
        "user '%.*s' may not make tables in PostgreSQL database '%s'; make it the "
        "owner (ALTER DATABASE ... OWNER TO ...), or GRANT CREATE ON SCHEMA public",
        MC_STR_ARG(is->user), name);
}

static enum mc_status judge_version(const struct mc_pg_conn *conn, int64_t version,
                                    struct mc_error *err)
{
    if (version > mc_pg_schema_version())
        return mc_fail_field(err, MC_VERSION, "database.name",
                             "PostgreSQL database '%s' was written by a newer version of Mindcore "
                             "(schema %" PRId64 ", this one knows %d); upgrade Mindcore or give "
                             "another database.name",
                             conn->where->database, version, mc_pg_schema_version());
    if (version < 1)
        return mc_fail_field(err, MC_CORRUPT, "database.name",
                             "PostgreSQL database '%s' has no schema version; restore a backup",
                             conn->where->database);
    return MC_OK;
}

static enum mc_status read_version(struct mc_pg_conn *conn, int64_t *version, struct mc_error *err)
{
    enum mc_status status =
        mc_pg_query(conn, "SELECT max(version)::bigint FROM mindcore_schema", MC_PG_NO_ARGS, err);
    if (status != MC_OK)
        return status;
    *version = mc_pg_first_int(conn, 0);
    return judge_version(conn, *version, err);
}

/* ---- Making tables ---- */

/* The name of the table that a statement makes, if it begins with its shard; else absent. */
static mc_str table_of_shards(const char *sql)
{
    static const char create[] = "CREATE TABLE ", shard[] = "( shard smallint NOT NULL,";
    const char *name = sql + strlen(create), *columns = strstr(sql, shard);
    bool found = columns && strncmp(sql, create, strlen(create)) == 0;
    return found ? (mc_str){name, (size_t)(columns - name)} : MC_STR_NONE;
}

/* The partitions have the storage options: a partitioned table stores nothing itself. */
static enum mc_status make_in_parts(struct mc_pg_conn *conn, const char *sql, mc_str table,
                                    int64_t partitions, struct mc_error *err)
{
    const char *storage = strstr(sql, MC_PG_STORAGE);
    size_t len = storage ? (size_t)(storage - sql) : strlen(sql);
    mc_auto(mc_buf_fini) struct mc_buf text;
    mc_buf_init(&text, TEXT_BYTES);
    mc_buf_printf(&text, "%.*s PARTITION BY HASH (shard)", (int)len, sql);
    mc_pg_add_once(conn, &text);
    for (int64_t i = 0; i < partitions; i++) {
        mc_buf_reset(&text);
        mc_buf_printf(&text,
                      "CREATE TABLE %.*s_p%" PRId64 " PARTITION OF %.*s"
                      " FOR VALUES WITH (MODULUS %" PRId64 ", REMAINDER %" PRId64 ")%s",
                      MC_STR_ARG(table), i, MC_STR_ARG(table), partitions, i,
                      storage ? storage : "");
        mc_pg_add_once(conn, &text);
    }
    return mc_pg_run(conn, err);
}

static enum mc_status carry_out(struct mc_pg_conn *conn, const char *sql, int64_t partitions,
                                struct mc_error *err)
{
    mc_str table = partitions > 0 ? table_of_shards(sql) : MC_STR_NONE;
    if (mc_str_given(table))
        return make_in_parts(conn, sql, table, partitions, err);
    mc_pg_add_quiet(conn, sql, MC_PG_NO_ARGS);
    /* All in one journey; of partitions, where an index takes its time, one by one. */
    return partitions > 0 ? mc_pg_run(conn, err) : MC_OK;
}

/* ---- Migrating ---- */

/* From version n to n + 1. */
static enum mc_status raise_version(struct mc_pg_conn *conn, int64_t n, int64_t partitions,
                                    struct mc_error *err)
{
    for (const char *const *sql = mc_pg_migration(n); *sql; sql++) {
        enum mc_status status = carry_out(conn, *sql, partitions, err);
        if (status != MC_OK)
            return status;
    }
    return mc_pg_query(conn, "INSERT INTO mindcore_schema(version, applied_at) VALUES($1, now())",
                       MC_PG_ARGS(mc_pg_int(n + 1)), err);
}

static enum mc_status apply(struct mc_pg_conn *conn, const struct identity *is,
                            struct mc_error *err)
{
    enum mc_status status = MC_OK;
    if (is->version == 0)
        mc_pg_add_quiet(conn,
                        "CREATE TABLE mindcore_schema(version integer PRIMARY KEY,"
                        " applied_at timestamptz NOT NULL)",
                        MC_PG_NO_ARGS);
    for (int64_t n = is->version; status == MC_OK && n < mc_pg_schema_version(); n++)
        status = raise_version(conn, n, is->partitions, err);
    return status;
}

static enum mc_status look(struct mc_pg_conn *conn, struct identity *is, struct mc_error *err)
{
    enum mc_status status = identify(conn, is, err);
    if (status == MC_OK)
        status = judge(conn, is, err);
    if (status == MC_OK && is->ours)
        status = read_version(conn, &is->version, err);
    return status;
}

static enum mc_status judge_empty(const struct mc_pg_conn *conn, const struct identity *is,
                                  struct mc_error *err)
{
    const char *name = conn->where->database;
    if (!is->ours)
        return MC_OK;
    if (is->partitions > 0)
        return mc_fail_field(err, MC_CONFLICT, "database.name",
                             "PostgreSQL database '%s' is partitioned into %" PRId64 " already",
                             name, is->partitions);
    return mc_fail_field(err, MC_CONFLICT, "database.name",
                         "PostgreSQL database '%s' is in use and cannot be partitioned any more; "
                         "create an empty one (createdb -E UTF8 -T template0 NAME), partition that "
                         "and copy this one into it with: mindcore db copy --from OLD --to NEW",
                         name);
}

/*
 * Begins a transaction that has the lock, without limits of time. For a table it waits as any other does: who waits for
 * one keeps others waiting.
 */
static enum mc_status begin_migration(struct mc_pg_conn *conn, struct mc_error *err)
{
    mc_pg_add_quiet(conn, "BEGIN", MC_PG_NO_ARGS);
    mc_pg_add_quiet(conn,
                    "SELECT set_config('statement_timeout', '0', true),"
                    " set_config('lock_timeout', '0', true)",
                    MC_PG_NO_ARGS);
    mc_pg_add(conn, MC_PG_TRY_SCHEMA_LOCK, MC_PG_NO_ARGS);
    enum mc_status status = mc_pg_run(conn, err);
    if (status != MC_OK)
        return status;
    if (!mc_pg_first_int(conn, 0)) {
        mc_log(MC_LOG_INFO, "store",
               "another server is bringing PostgreSQL database '%s' to its version; waiting for it",
               conn->where->database);
        mc_pg_add_quiet(conn, MC_PG_SCHEMA_LOCK, MC_PG_NO_ARGS);
    }
    /* Ends a round: who waited for the lock must see what its holder made. */
    mc_pg_add_quiet(conn, "SET LOCAL lock_timeout TO DEFAULT", MC_PG_NO_ARGS);
    return mc_pg_run(conn, err);
}

static enum mc_status migrate_locked(struct mc_pg_conn *conn, int64_t partitions,
                                     struct identity *is, struct mc_error *err)
{
    enum mc_status status = begin_migration(conn, err);
    if (status == MC_OK)
        status = look(conn, is, err);
    if (status == MC_OK && partitions > 0) {
        status = judge_empty(conn, is, err);
        is->partitions = partitions;
    }
    if (status == MC_OK && is->version < mc_pg_schema_version())
        status = apply(conn, is, err);
    return status == MC_OK ? mc_pg_query(conn, "COMMIT", MC_PG_NO_ARGS, err) : status;
}

/* partitions: of a database that is empty and must be so; 0: brings any database to the present version. */
static enum mc_status migrate(struct mc_pg_conn *conn, int64_t partitions, struct identity *is,
                              struct mc_error *err)
{
    int64_t timeout_us = conn->answer_timeout_us;
    conn->answer_timeout_us = MIGRATION_TIMEOUT_US;
    enum mc_status status = migrate_locked(conn, partitions, is, err);
    conn->answer_timeout_us = timeout_us;
    if (status == MC_OK)
        return MC_OK;
    struct mc_error ignored;
    enum mc_pg_trouble trouble = conn->trouble;
    if (mc_pg_query(conn, "ROLLBACK", MC_PG_NO_ARGS, &ignored) == MC_OK)
        conn->trouble = trouble;
    return status;
}

enum mc_status mc_pg_schema_prepare(struct mc_pg_conn *conn, int *partitions, struct mc_error *err)
{
    struct identity is = {0};
    enum mc_status status = look(conn, &is, err);
    if (status == MC_OK && is.version < mc_pg_schema_version())
        status = migrate(conn, 0, &is, err);
    if (status == MC_OK)
        *partitions = (int)is.partitions;
    return status;
}

enum mc_status mc_pg_schema_partition(struct mc_pg_conn *conn, int partitions, struct mc_error *err)
{
    struct identity is = {0};
    enum mc_status status = migrate(conn, partitions, &is, err);
    if (status != MC_OK && strcmp(conn->sqlstate, "53200") == 0)
        return mc_fail_field(err, status, "shards",
                             "PostgreSQL at %s has too few locks to make %d partitions of each "
                             "table at once; raise max_locks_per_transaction there to 256, or "
                             "take fewer",
                             conn->where->conninfo_host, partitions);
    return status;
}
