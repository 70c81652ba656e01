/*
 * DESIGN. Numbers instead of names: a message refers to its user and thread by small integers, so
 * that rows and indexes stay narrow; only users and threads hold the names. Rows of messages and
 * jobs are appended in order of arrival, because keys in another order cost several times as much
 * to insert.
 *
 * The design's `shard` column is left out here: it exists to spread tables over PostgreSQL servers,
 * and a file on one machine has nothing to spread.
 *
 * messages_fts holds only the index (no text): its tokens are "<user>_<term>", the user's number in
 * base 36, so that a term's list has one user's rows alone and other users cost nothing. It is
 * written when a message is enriched, in batches, not when it is stored.
 *
 * A job is due at due_at: when it is ready, that is the time from which it may be claimed; while it
 * is leased, the time at which the lease ends; for a dead job it is NULL.
 *
 * jobs_lease holds only what is leased now, so it stays as small as the workers' batches: a worker
 * that waits for a model renews its lease about every second, however long the queue is.
 */
#include "store/sqlite/schema.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "base/time.h"

static const char version_1[] =
    "CREATE TABLE state("
    " id INTEGER PRIMARY KEY CHECK(id = 1),"
    " last_row INTEGER NOT NULL," /* the highest row that was ever deleted: rows are not used again
                                   */
    " created_at INTEGER NOT NULL);"

    "CREATE TABLE users("
    " user_no INTEGER PRIMARY KEY AUTOINCREMENT,"
    " user_id TEXT NOT NULL UNIQUE,"
    " messages INTEGER NOT NULL);"

    "CREATE TABLE threads("
    " thread_no INTEGER PRIMARY KEY AUTOINCREMENT,"
    " user_no INTEGER NOT NULL,"
    " thread_id TEXT NOT NULL,"
    " version INTEGER NOT NULL,"
    " messages INTEGER NOT NULL,"
    " last_at INTEGER NOT NULL,"          /* created_at of the newest message */
    " summarised INTEGER NOT NULL,"       /* messages that its newest summary covers */
    " summarised_until INTEGER NOT NULL," /* created_at of the last of them */
    " withdrawn INTEGER NOT NULL," /* version of the last removal by request: an older summary is
                                      refused */
    " UNIQUE(user_no, thread_id));"

    "CREATE TABLE messages("
    " id INTEGER PRIMARY KEY,"
    " message_id TEXT NOT NULL UNIQUE,"
    " user_no INTEGER NOT NULL,"
    " thread_no INTEGER NOT NULL,"
    " created_at INTEGER NOT NULL,"
    " stored_at INTEGER NOT NULL," /* when it arrived here; created_at may be years before */
    " role INTEGER NOT NULL,"
    " visibility INTEGER NOT NULL,"
    " tier INTEGER NOT NULL,"
    " state INTEGER NOT NULL,"
    " trivial INTEGER NOT NULL,"
    " importance REAL NOT NULL,"
    " session_id TEXT NOT NULL,"
    " agent_id TEXT NOT NULL,"
    " sharing_groups TEXT," /* JSON array, NULL for none */
    " terms TEXT,"          /* what messages_fts holds for the message, NULL until it is indexed */
    " metadata TEXT NOT NULL,"
    " text TEXT NOT NULL);"
    "CREATE INDEX messages_thread ON messages(user_no, thread_no, created_at);"
    "CREATE INDEX messages_tier ON messages(tier, created_at);"
    "CREATE INDEX messages_trivial ON messages(stored_at) WHERE trivial;"
    "CREATE INDEX messages_archived ON messages(stored_at) WHERE tier = 3;"
    "CREATE INDEX messages_failed ON messages(id) WHERE state = 2;"

    "CREATE TABLE jobs("
    " id INTEGER PRIMARY KEY," /* the message's */
    " stage INTEGER NOT NULL,"
    " due_at INTEGER,"
    " enqueued_at INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL,"
    " lease TEXT,"
    " died_at INTEGER,"
    " error TEXT);"
    "CREATE INDEX jobs_due ON jobs(stage, due_at);"
    "CREATE INDEX jobs_dead ON jobs(died_at) WHERE died_at IS NOT NULL;"

    "CREATE VIRTUAL TABLE messages_fts USING fts5(terms, content='', detail=none, columnsize=0,"
    " tokenize=\"ascii tokenchars '_:#.-@'\");"

    "CREATE TABLE preferences(user_id TEXT PRIMARY KEY, preferences TEXT NOT NULL) WITHOUT ROWID;"

    "CREATE TABLE signals("
    " user_id TEXT NOT NULL,"
    " field TEXT NOT NULL,"
    " value TEXT NOT NULL,"
    " count INTEGER NOT NULL,"
    " weight REAL NOT NULL,"
    " last_seen INTEGER NOT NULL,"
    " PRIMARY KEY(user_id, field, value)) WITHOUT ROWID;"

    "CREATE TABLE agents("
    " agent_id TEXT PRIMARY KEY,"
    " name TEXT NOT NULL,"
    " description TEXT NOT NULL,"
    " sharing_groups TEXT NOT NULL,"
    " metadata TEXT NOT NULL,"
    " default_visibility INTEGER NOT NULL,"
    " can_read_public INTEGER NOT NULL,"
    " can_write_public INTEGER NOT NULL,"
    " created_at INTEGER NOT NULL) WITHOUT ROWID;"

    "CREATE TABLE summaries("
    " id INTEGER PRIMARY KEY,"
    " user_no INTEGER NOT NULL,"
    " thread_no INTEGER NOT NULL,"
    " first_at INTEGER NOT NULL,"
    " last_at INTEGER NOT NULL,"
    " messages INTEGER NOT NULL,"
    " created_at INTEGER NOT NULL,"
    " lost INTEGER NOT NULL," /* messages that it tells of were deleted: who may read it is not
                                 known */
    " method TEXT NOT NULL,"
    " key_facts TEXT NOT NULL,"
    " topics TEXT NOT NULL,"
    " text TEXT NOT NULL);"
    "CREATE INDEX summaries_user ON summaries(user_no, created_at);"

    /* For people with the sqlite3 shell; the program does not use it. */
    "CREATE VIEW messages_view AS SELECT m.message_id, u.user_id, t.thread_id, m.session_id,"
    " m.agent_id, CASE m.role WHEN 0 THEN 'user' WHEN 1 THEN 'assistant' WHEN 2 THEN 'system'"
    " ELSE 'tool' END AS role, strftime('%Y-%m-%dT%H:%M:%fZ', m.created_at / 1e6, 'unixepoch')"
    " AS created_at, m.text, m.metadata, m.importance, m.terms FROM messages m"
    " JOIN threads t ON t.thread_no = m.thread_no JOIN users u ON u.user_no = m.user_no;"

    "INSERT INTO state(id, last_row, created_at)"
    " VALUES(1, 0, CAST(strftime('%s', 'now') AS INTEGER) * 1000000);";

/* Models: answers that may be used again, what was asked of whom, and leases that are renewed. */
static const char version_2[] =
    "CREATE INDEX jobs_lease ON jobs(lease) WHERE lease IS NOT NULL;"

    /* A message is found by one hash only, and a hash finds one message. */
    "CREATE TABLE twins(hash BLOB PRIMARY KEY, row INTEGER NOT NULL UNIQUE) WITHOUT ROWID;"

    "CREATE TABLE usage("
    " day INTEGER NOT NULL," /* UTC, counted from 1970-01-01 */
    " operation TEXT NOT NULL,"
    " provider TEXT NOT NULL,"
    " model TEXT NOT NULL,"
    " calls INTEGER NOT NULL,"
    " failures INTEGER NOT NULL,"
    " tokens_in INTEGER NOT NULL,"
    " tokens_cached INTEGER NOT NULL,"
    " tokens_out INTEGER NOT NULL,"
    " took INTEGER NOT NULL," /* microseconds */
    " cost_usd REAL NOT NULL,"
    " PRIMARY KEY(day, operation, provider, model)) WITHOUT ROWID;";

/*
 * Meaning: vectors of messages (store.h). A user's lie together, in order of row. vector_users tells caches what
 * changed; vector_models counts, so that nobody has to.
 */
static const char version_3[] = "CREATE TABLE vector_models("
                                " number INTEGER PRIMARY KEY AUTOINCREMENT,"
                                " name TEXT NOT NULL,"
                                " dimension INTEGER NOT NULL,"
                                " current INTEGER NOT NULL,"
                                " filled INTEGER NOT NULL," /* all older messages were looked at */
                                " filled_to INTEGER NOT NULL," /* the last that was */
                                " vectors INTEGER NOT NULL,"
                                " UNIQUE(name, dimension));"

                                "CREATE TABLE vectors("
                                " user_no INTEGER NOT NULL,"
                                " model INTEGER NOT NULL,"
                                " row INTEGER NOT NULL,"
                                " version INTEGER NOT NULL," /* of vector_users */
                                " scale REAL NOT NULL,"
                                " data BLOB NOT NULL,"
                                " PRIMARY KEY(user_no, model, row)) WITHOUT ROWID;"
                                "CREATE INDEX vectors_version ON vectors(user_no, version);"

                                "CREATE TABLE vector_users("
                                " user_no INTEGER PRIMARY KEY,"
                                " version INTEGER NOT NULL,"
                                " removed INTEGER NOT NULL);"

                                "CREATE TABLE vector_jobs("
                                " row INTEGER PRIMARY KEY,"
                                " due_at INTEGER NOT NULL,"
                                " attempts INTEGER NOT NULL);"
                                "CREATE INDEX vector_jobs_due ON vector_jobs(due_at, row);";

/* Keys of the HTTP interface. */
static const char version_4[] = "CREATE TABLE keys("
                                " key_id TEXT PRIMARY KEY,"
                                " hash TEXT NOT NULL,"
                                " definition TEXT NOT NULL,"
                                " created_at INTEGER NOT NULL) WITHOUT ROWID;";

/* The compressed archive (archive.c), and scheduled tasks. */
static const char version_5[] =
    /* A frame that holds metadata and text; NULL: the row does. */
    "ALTER TABLE messages ADD COLUMN packed BLOB;"
    "CREATE INDEX messages_unpacked ON messages(id) WHERE tier = 3 AND packed IS NULL;"

    "CREATE TABLE dictionaries("
    " number INTEGER PRIMARY KEY,"
    " created_at INTEGER NOT NULL,"
    " samples INTEGER NOT NULL," /* messages that it was trained from */
    " data BLOB NOT NULL);"

    /* What one process does for all, and when it is due again. */
    "CREATE TABLE tasks(task TEXT PRIMARY KEY, due_at INTEGER NOT NULL) WITHOUT ROWID;";

/*
 * Tier migration can be taken back (undo.c). A row says in which run the message left each tier, and in which it was
 * compressed: that is written with what changes anyway, and found by looking at every row, which only an undo does.
 */
static const char version_6[] =
    "ALTER TABLE messages ADD COLUMN left_short INTEGER;"
    "ALTER TABLE messages ADD COLUMN left_mid INTEGER;"
    "ALTER TABLE messages ADD COLUMN left_long INTEGER;"
    "ALTER TABLE messages ADD COLUMN packed_by INTEGER;"

    "CREATE TABLE tier_runs("
    " number INTEGER PRIMARY KEY AUTOINCREMENT,"
    " user_id TEXT," /* NULL: all users */
    " began_at INTEGER NOT NULL,"
    " ended_at INTEGER,"
    " undoing INTEGER NOT NULL,"
    " moved INTEGER NOT NULL,"
    " deleted INTEGER NOT NULL,"
    " packed INTEGER NOT NULL,"
    " bytes_deleted INTEGER NOT NULL);"

    /* Messages that a run has deleted, with the columns that they had, and their jobs. */
    "CREATE TABLE trash("
    " id INTEGER PRIMARY KEY," /* the message's */
    " run INTEGER NOT NULL,"
    " message_id TEXT NOT NULL,"
    " user_no INTEGER NOT NULL,"
    " thread_no INTEGER NOT NULL,"
    " created_at INTEGER NOT NULL,"
    " stored_at INTEGER NOT NULL,"
    " role INTEGER NOT NULL,"
    " visibility INTEGER NOT NULL,"
    " tier INTEGER NOT NULL,"
    " state INTEGER NOT NULL,"
    " trivial INTEGER NOT NULL,"
    " importance REAL NOT NULL,"
    " session_id TEXT NOT NULL,"
    " agent_id TEXT NOT NULL,"
    " sharing_groups TEXT,"
    " terms TEXT,"
    " left_short INTEGER,"
    " left_mid INTEGER,"
    " left_long INTEGER,"
    " packed_by INTEGER,"
    " stage INTEGER," /* NULL: it had no job */
    " enqueued_at INTEGER,"
    " attempts INTEGER,"
    " died_at INTEGER,"
    " error TEXT,"
    " metadata TEXT NOT NULL,"
    " text TEXT NOT NULL,"
    " packed BLOB);"
    "CREATE INDEX trash_run ON trash(run);"
    "CREATE INDEX trash_user ON trash(user_no);"
    "CREATE INDEX trash_message ON trash(message_id);";

/* What was copied out of the file, as into a cache, is of one generation (erase.c, restore_copy.c). */
static const char version_7[] =
    "ALTER TABLE state ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;"
    "UPDATE state SET generation = random();";

/* In order: the nth brings a file of version n to version n + 1. Never change one that was
 * released. */
static const char *const migrations[] = {version_1, version_2, version_3, version_4,
                                         version_5, version_6, version_7};

int mc_schema_version(void)
{
    return (int)mc_countof(migrations);
}

/* What the file says of itself; read in one transaction, as another process may be making it. */
struct identity {
    int64_t application, version, tables;
};

static enum mc_status identify(struct mc_conn *conn, struct identity *is, struct mc_error *err)
{
    enum mc_status status = mc_conn_integer(conn, "SELECT count(*) FROM sqlite_master", MC_NO_BINDS,
                                            NULL, &is->tables, err);
    if (status == MC_OK)
        status = mc_conn_integer(conn, "PRAGMA application_id", MC_NO_BINDS, NULL, &is->application,
                                 err);
    if (status == MC_OK)
        status = mc_conn_integer(conn, "PRAGMA user_version", MC_NO_BINDS, NULL, &is->version, err);
    return status;
}

static enum mc_status judge(const struct mc_conn *conn, const struct identity *is,
                            struct mc_error *err)
{
    bool empty = is->application == 0 && is->version == 0 && is->tables == 0;
    if (!empty && is->application != MC_SCHEMA_APPLICATION)
        return mc_fail(err, MC_CORRUPT,
                       "'%s' is a database of another program (application id %" PRId64
                       "); give another database.path",
                       conn->path, is->application);
    if (is->version > mc_schema_version())
        return mc_fail(err, MC_VERSION,
                       "'%s' was written by a newer version of Mindcore (schema %" PRId64
                       ", this one knows %d); upgrade Mindcore or give another database.path",
                       conn->path, is->version, mc_schema_version());
    if (is->version < 0 || (is->application == MC_SCHEMA_APPLICATION && is->version == 0))
        return mc_fail(err, MC_CORRUPT, "'%s' has no schema version; restore a backup", conn->path);
    return MC_OK;
}

/* Switching needs the file alone for a moment, and SQLite does not wait for that by itself. */
static enum mc_status use_wal(struct mc_conn *conn, struct mc_error *err)
{
    int64_t deadline = mc_time_monotonic_us() + conn->busy_timeout_us;
    for (;;) {
        mc_auto(mc_stmt_done) sqlite3_stmt *stmt = NULL;
        bool row = false;
        enum mc_status status =
            mc_conn_start(conn, "PRAGMA journal_mode = WAL", MC_NO_BINDS, &stmt, err);
        if (status == MC_OK)
            status = mc_conn_step(conn, stmt, &row, err);
        if (status == MC_BUSY && mc_time_monotonic_us() < deadline) {
            sqlite3_reset(stmt);
            sqlite3_sleep(2);
            continue;
        }
        if (status != MC_OK)
            return status;
        if (row && strcmp((const char *)sqlite3_column_text(stmt, 0), "wal") == 0)
            return MC_OK;
        return mc_fail(
            err, MC_IO,
            "'%s' is on a file system without write-ahead logging (shared memory); use a "
            "local disk",
            conn->path);
    }
}

static enum mc_status migrate(struct mc_conn *conn, struct mc_error *err)
{
    struct identity is = {0};
    enum mc_status status = identify(conn, &is, err);
    if (status == MC_OK)
        status = judge(conn, &is, err);
    for (int64_t i = is.version; status == MC_OK && i < mc_schema_version(); i++)
        status = mc_conn_script(conn, migrations[i], err);
    if (status != MC_OK || is.version == mc_schema_version())
        return status;
    char stamp[96];
    snprintf(stamp, sizeof(stamp), "PRAGMA application_id = %d; PRAGMA user_version = %d",
             MC_SCHEMA_APPLICATION, mc_schema_version());
    return mc_conn_script(conn, stamp, err);
}

enum mc_status mc_schema_prepare(struct mc_conn *conn, struct mc_error *err)
{
    struct identity is = {0};
    enum mc_status status = mc_conn_script(conn, "BEGIN", err);
    if (status == MC_OK)
        status = identify(conn, &is, err);
    if (status == MC_OK)
        status = mc_conn_script(conn, "COMMIT", err);
    if (status == MC_OK)
        status = judge(conn, &is, err);
    if (status == MC_OK)
        status = use_wal(conn, err);
    /* From here on the lock is held: the file that has the name now keeps it. */
    if (status == MC_OK)
        status = mc_conn_check_place(conn, err);
    if (status != MC_OK || is.version == mc_schema_version())
        return status;
    status = mc_conn_script(conn, "BEGIN IMMEDIATE", err);
    if (status != MC_OK)
        return status;
    status = migrate(conn, err); /* another process may have been faster */
    if (status == MC_OK)
        status = mc_conn_script(conn, "COMMIT", err);
    if (status != MC_OK)
        sqlite3_exec(conn->db, "ROLLBACK", NULL, NULL, NULL);
    conn->broken = false;
    return status;
}
