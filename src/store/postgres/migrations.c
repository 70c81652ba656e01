/*
 * DESIGN. `shard`, 0 to 255, is a hash of the user's id (mc_pg_shard) and the first column of every key, so
 * that the tables can be partitioned by it; every statement about a user names it. A row's number is
 * a number of the sequence times 256 plus its shard: it grows in order of arrival, is not used again, and says
 * where the row is.
 *
 * What is found by something else than its user has a shard of its own: message_ids by the message's id (it
 * keeps ids unique over all users, and tells a message's row), twins by the content's hash, agents and usage
 * by their own keys. The queue has one order over all users, so jobs stand in one shard, 0.
 *
 * index_terms is the search index: user, term (a 64-bit hash), row. A query reads a term's rows newest first
 * and stops at its limit; other users' rows cost nothing. A collision of hashes could only show a
 * user a message of its own that lacks the word. user_no is given anew when an erased user comes back.
 *
 * Messages are looked for by user_no, never by user_id: idx_messages_user_thread, which people have for their own
 * queries, is narrower than messages_thread, and the planner would read a whole thread by it to sort the
 * newest few out.
 *
 * messages.metadata is for people, and for the index on its topics; `attached` is the same as text, since
 * jsonb keeps neither the order of members nor the way numbers are written.
 *
 * A job is due at due_at: when it is ready, that is the time from which it may be claimed; while it is leased,
 * the time at which the lease ends; for a dead job it is NULL.
 */
#include "store/postgres/migrations.h"

#include "base/compiler.h"

/* Names are compared by their bytes, in indexes too. */
#define NAME "text COLLATE \"C\" NOT NULL"
/* Rows that change often: room for their next version in the same page, and no dead ones left for long. */
#define BUSY                                                                                       \
    MC_PG_STORAGE                                                                                  \
    "fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02,"                                      \
    " autovacuum_vacuum_cost_delay = 0)"

static const char *const version_1[] = {
    "CREATE SEQUENCE message_rows", "CREATE SEQUENCE user_numbers",
    "CREATE SEQUENCE summary_numbers",

    "CREATE TABLE users("
    " shard smallint NOT NULL,"
    " user_id " NAME ","
    " user_no bigint NOT NULL,"
    " messages bigint NOT NULL,"
    " PRIMARY KEY(shard, user_id))" BUSY,

    "CREATE TABLE threads("
    " shard smallint NOT NULL,"
    " user_id " NAME ","
    " thread_id " NAME ","
    " version bigint NOT NULL,"
    " messages bigint NOT NULL,"
    " last_at timestamptz NOT NULL,"          /* created_at of the newest message */
    " summarised bigint NOT NULL,"            /* messages that its newest summary covers */
    " summarised_until timestamptz NOT NULL," /* created_at of the last of them */
    " withdrawn bigint NOT NULL," /* version of the last removal by request: an older summary is refused */
    " PRIMARY KEY(shard, user_id, thread_id))" BUSY,

    "CREATE TABLE message_ids("
    " shard smallint NOT NULL," /* of the message_id */
    " message_id " NAME ","
    " id bigint NOT NULL,"
    " PRIMARY KEY(shard, message_id))",

    "CREATE TABLE messages("
    " shard smallint NOT NULL,"
    " id bigint NOT NULL,"
    " message_id " NAME ","
    " user_id " NAME ","
    " thread_id " NAME ","
    " user_no bigint NOT NULL,"
    " created_at timestamptz NOT NULL,"
    " stored_at timestamptz NOT NULL," /* when it arrived here; created_at may be years before */
    " role smallint NOT NULL,"
    " visibility smallint NOT NULL,"
    " tier smallint NOT NULL,"
    " state smallint NOT NULL,"
    " trivial boolean NOT NULL,"
    " importance double precision NOT NULL,"
    " session_id " NAME ","
    " agent_id " NAME ","
    " sharing_groups text[] COLLATE \"C\" NOT NULL,"
    " terms text," /* what index_terms has of the message, NULL until it is indexed */
    " twin bytea," /* the content hash of its last completion */
    " metadata jsonb NOT NULL,"
    " attached text NOT NULL,"
    " text text NOT NULL,"
    " PRIMARY KEY(shard, id))",
    "CREATE INDEX messages_thread ON messages(shard, user_no, thread_id, created_at, id)",
    "CREATE INDEX messages_pending ON messages(shard, user_no, id) WHERE terms IS NULL",
    "CREATE INDEX messages_tier ON messages(tier, created_at) WHERE tier < 3",
    "CREATE INDEX messages_trivial ON messages(stored_at) WHERE trivial",
    "CREATE INDEX messages_archived ON messages(stored_at) WHERE tier = 3",
    "CREATE INDEX messages_failed ON messages(shard, id) WHERE state = 2",
    /* For people who write SQL, under the names of the guide. */
    "CREATE INDEX idx_messages_user_thread ON messages(user_id, thread_id)",
    "CREATE INDEX idx_messages_metadata_topics ON messages USING GIN ((metadata->'topics'))",
    "CREATE INDEX idx_messages_created_at ON messages(created_at DESC)",

    "CREATE TABLE index_terms("
    " shard smallint NOT NULL,"
    " user_no bigint NOT NULL,"
    " term bigint NOT NULL,"
    " id bigint NOT NULL,"
    " PRIMARY KEY(shard, user_no, term, id))",

    "CREATE TABLE jobs("
    " shard smallint NOT NULL," /* of the queue */
    " id bigint NOT NULL,"      /* the message's */
    " stage smallint NOT NULL,"
    " due_at timestamptz,"
    " enqueued_at timestamptz NOT NULL,"
    " attempts integer NOT NULL,"
    " lease text COLLATE \"C\","
    " died_at timestamptz,"
    " error text,"
    " PRIMARY KEY(shard, id))" BUSY,
    "CREATE INDEX jobs_due ON jobs(shard, stage, due_at, id)",
    "CREATE INDEX jobs_dead ON jobs(shard, died_at) WHERE died_at IS NOT NULL",
    "CREATE INDEX jobs_lease ON jobs(shard, lease) WHERE lease IS NOT NULL",

    /* A message is found by one hash only, and a hash finds one message. */
    "CREATE TABLE twins("
    " shard smallint NOT NULL," /* of the hash */
    " hash bytea NOT NULL,"
    " id bigint NOT NULL,"
    " PRIMARY KEY(shard, hash))",

    "CREATE TABLE preferences("
    " shard smallint NOT NULL,"
    " user_id " NAME ","
    " preferences text NOT NULL,"
    " PRIMARY KEY(shard, user_id))",

    "CREATE TABLE signals("
    " shard smallint NOT NULL,"
    " user_id " NAME ","
    " field " NAME ","
    " value " NAME ","
    " count bigint NOT NULL,"
    " weight double precision NOT NULL,"
    " last_seen timestamptz NOT NULL,"
    " PRIMARY KEY(shard, user_id, field, value))" BUSY,

    "CREATE TABLE agents("
    " shard smallint NOT NULL," /* of the agent_id */
    " agent_id " NAME ","
    " name text NOT NULL,"
    " description text NOT NULL,"
    " sharing_groups text NOT NULL,"
    " metadata text NOT NULL,"
    " default_visibility smallint NOT NULL,"
    " can_read_public boolean NOT NULL,"
    " can_write_public boolean NOT NULL,"
    " created_at timestamptz NOT NULL,"
    " PRIMARY KEY(shard, agent_id))",

    "CREATE TABLE summaries("
    " shard smallint NOT NULL,"
    " id bigint NOT NULL,"
    " user_id " NAME ","
    " thread_id " NAME ","
    " first_at timestamptz NOT NULL,"
    " last_at timestamptz NOT NULL,"
    " messages bigint NOT NULL,"
    " created_at timestamptz NOT NULL,"
    " lost boolean NOT NULL," /* messages that it tells of were deleted: who may read it is not known */
    " method text NOT NULL,"
    " key_facts text NOT NULL,"
    " topics text NOT NULL,"
    " text text NOT NULL,"
    " PRIMARY KEY(shard, id))",
    "CREATE INDEX summaries_user ON summaries(shard, user_id, thread_id, created_at)",

    "CREATE TABLE usage("
    " shard smallint NOT NULL," /* of the model */
    " day bigint NOT NULL,"     /* UTC, counted from 1970-01-01 */
    " operation " NAME ","
    " provider " NAME ","
    " model " NAME ","
    " calls bigint NOT NULL,"
    " failures bigint NOT NULL,"
    " tokens_in bigint NOT NULL,"
    " tokens_cached bigint NOT NULL,"
    " tokens_out bigint NOT NULL,"
    " took bigint NOT NULL," /* microseconds */
    " cost_usd double precision NOT NULL,"
    " PRIMARY KEY(shard, day, operation, provider, model))",

    /* How often each connection of each server has committed (watch.c). */
    "CREATE TABLE mindcore_changes("
    " server bigint NOT NULL,"
    " slot bigint NOT NULL,"
    " changes bigint NOT NULL,"
    " transaction bigint NOT NULL," /* number of the last one: tells whether a commit arrived */
    " changed_at timestamptz NOT NULL,"
    " PRIMARY KEY(server, slot))" BUSY,

    /* For people; the program does not use it. */
    "CREATE VIEW messages_view AS SELECT message_id, user_id, thread_id, session_id, agent_id,"
    " CASE role WHEN 0 THEN 'user' WHEN 1 THEN 'assistant' WHEN 2 THEN 'system' ELSE 'tool' END"
    " AS role, created_at, text, metadata, importance, terms FROM messages",
    NULL};

/*
 * Meaning: vectors of messages (store.h). vector_users tells caches what changed; vector_models counts, so that
 * nobody has to. Vectors do not compress, so the server need not try.
 */
static const char *const version_2[] = {
    "CREATE TABLE vector_models("
    " shard smallint NOT NULL," /* always 0: there are a few, and one is current */
    " number bigint NOT NULL,"
    " name " NAME ","
    " dimension bigint NOT NULL,"
    " current boolean NOT NULL,"
    " filled boolean NOT NULL,"        /* all older messages were looked at */
    " filled_shard smallint NOT NULL," /* the last that was: its shard and id */
    " filled_to bigint NOT NULL,"
    " vectors bigint NOT NULL,"
    " PRIMARY KEY(shard, number))" BUSY,
    "CREATE UNIQUE INDEX vector_models_name ON vector_models(shard, name, dimension)",

    "CREATE TABLE vectors("
    " shard smallint NOT NULL,"
    " user_no bigint NOT NULL,"
    " model bigint NOT NULL,"
    " id bigint NOT NULL,"
    " version bigint NOT NULL," /* of vector_users */
    " scale double precision NOT NULL,"
    " data bytea NOT NULL,"
    " PRIMARY KEY(shard, user_no, model, id))",
    "CREATE INDEX vectors_version ON vectors(shard, user_no, version)",
    "ALTER TABLE vectors ALTER COLUMN data SET STORAGE EXTERNAL",

    "CREATE TABLE vector_users("
    " shard smallint NOT NULL,"
    " user_no bigint NOT NULL,"
    " version bigint NOT NULL,"
    " removed bigint NOT NULL,"
    " PRIMARY KEY(shard, user_no))" BUSY,

    "CREATE TABLE vector_jobs("
    " shard smallint NOT NULL," /* of the queue */
    " id bigint NOT NULL,"
    " due_at timestamptz NOT NULL,"
    " attempts integer NOT NULL,"
    " PRIMARY KEY(shard, id))" BUSY,
    "CREATE INDEX vector_jobs_due ON vector_jobs(shard, due_at, id)",
    NULL};

/* Keys of the HTTP interface. */
static const char *const version_3[] = {"CREATE TABLE keys("
                                        " shard smallint NOT NULL," /* of the key_id */
                                        " key_id " NAME ","
                                        " hash text NOT NULL,"
                                        " definition text NOT NULL,"
                                        " created_at timestamptz NOT NULL,"
                                        " PRIMARY KEY(shard, key_id))",
                                        NULL};

/* The compressed archive (archive.c), and scheduled tasks. */
static const char *const version_4[] = {
    /* A frame that holds metadata and text; NULL: the row does. */
    "ALTER TABLE messages ADD COLUMN packed bytea",
    "CREATE INDEX messages_unpacked ON messages(id) WHERE tier = 3 AND packed IS NULL",
    "DROP INDEX messages_pending",
    "CREATE INDEX messages_pending ON messages(shard, user_no, id) WHERE terms IS NULL"
    " AND packed IS NULL",

    /* Of the whole database: every shard is packed with them. */
    "CREATE TABLE dictionaries("
    " number bigint PRIMARY KEY,"
    " created_at timestamptz NOT NULL,"
    " samples bigint NOT NULL," /* messages that it was trained from */
    " data bytea NOT NULL)",

    /* What one server does for all, and when it is due again. */
    "CREATE TABLE mindcore_tasks(task " NAME " PRIMARY KEY, due_at timestamptz NOT NULL)", NULL};

/* Tier migration can be taken back (undo.c): in which run a message left each tier, and was compressed. */
static const char *const version_5[] = {
    "ALTER TABLE messages ADD COLUMN left_short bigint, ADD COLUMN left_mid bigint,"
    " ADD COLUMN left_long bigint, ADD COLUMN packed_by bigint",

    "CREATE SEQUENCE tier_run_numbers",
    "CREATE TABLE tier_runs("
    " number bigint PRIMARY KEY,"
    " user_id text COLLATE \"C\"," /* NULL: all users */
    " began_at timestamptz NOT NULL,"
    " ended_at timestamptz,"
    " undoing boolean NOT NULL,"
    " moved bigint NOT NULL,"
    " deleted bigint NOT NULL,"
    " packed bigint NOT NULL,"
    " bytes_deleted bigint NOT NULL)",

    /* Messages that a run has deleted, with the columns that they had, and their jobs. */
    "CREATE TABLE trash("
    " shard smallint NOT NULL,"
    " id bigint NOT NULL," /* the message's */
    " run bigint NOT NULL,"
    " message_id " NAME ","
    " user_id " NAME ","
    " thread_id " NAME ","
    " user_no bigint NOT NULL,"
    " created_at timestamptz NOT NULL,"
    " stored_at timestamptz NOT NULL,"
    " role smallint NOT NULL,"
    " visibility smallint NOT NULL,"
    " tier smallint NOT NULL,"
    " state smallint NOT NULL,"
    " trivial boolean NOT NULL,"
    " importance double precision NOT NULL,"
    " session_id " NAME ","
    " agent_id " NAME ","
    " sharing_groups text[] COLLATE \"C\" NOT NULL,"
    " terms text,"
    " left_short bigint,"
    " left_mid bigint,"
    " left_long bigint,"
    " packed_by bigint,"
    " stage smallint," /* NULL: it had no job */
    " enqueued_at timestamptz,"
    " attempts integer,"
    " died_at timestamptz,"
    " error text,"
    " attached text NOT NULL,"
    " text text NOT NULL,"
    " packed bytea,"
    " PRIMARY KEY(shard, id))",
    "CREATE INDEX trash_run ON trash(run, id)", "CREATE INDEX trash_user ON trash(shard, user_no)",
    "CREATE INDEX trash_message ON trash(message_id)", NULL};

/* What was copied out of the database, as into a cache, is of one generation (erase.c). */
static const char *const version_6[] = {
    "CREATE TABLE mindcore_generation(generation bigint NOT NULL)",
    "INSERT INTO mindcore_generation VALUES((random() * 1e15)::bigint)", NULL};

/*
 * In order: the nth brings a database of version n to version n + 1. Never change one that was released. A table
 * whose first column is "shard smallint NOT NULL" is partitioned by it where the database is; every unique index
 * on such a table begins with the shard.
 */
static const char *const *const migrations[] = {version_1, version_2, version_3,
                                                version_4, version_5, version_6};

int mc_pg_schema_version(void)
{
    return (int)mc_countof(migrations);
}

const char *const *mc_pg_migration(int64_t version)
{
    return migrations[version];
}
