/*
 * What the files of the PostgreSQL back-end share: the store itself, carrying out reads and writes, reading
 * messages, the access rule in SQL, the functions of its table.
 */
#ifndef MC_STORE_POSTGRES_PG_H
#define MC_STORE_POSTGRES_PG_H

#include <inttypes.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/metrics.h"
#include "store/archive.h"
#include "store/postgres/pool.h"
#include "store/postgres/replica.h"
#include "store/postgres/watch.h"

/* Puts of several callers that share a transaction (group.c). */
struct mc_pg_group {
    int max_leaders;
    mc_mutex lock; /* guards what follows */
    int leaders;
    struct mc_list waiting;
};

/* What callers hold: the store, or the same for reads that replicas may serve. */
struct mc_pg_face {
    struct mc_store store;
    struct mc_pg *pg;
    bool may_lag;
};

/* Counts over whole tables, kept for a time that grows with what they cost (maintenance.c). */
struct mc_pg_counts {
    mc_mutex lock; /* guards what follows */
    struct mc_store_stats stats;
    int64_t until_us; /* monotonic; 0: none */
};

/* What the server's pgvector can hold vectors in (nearest.c). */
enum mc_pg_embedding { MC_PG_NO_EMBEDDING, MC_PG_HALFVEC, MC_PG_VECTOR };
struct mc_pg_embeddings {
    atomic_int type;       /* of the column vectors.embedding */
    atomic_llong look_us;  /* monotonic: it is looked up again then */
    atomic_llong index_us; /* monotonic: its index is not tried again before */
    atomic_bool told;      /* why there is none */
};

struct mc_pg {
    struct mc_pg_face exact, lagging;
    struct mc_pg_pool pool;
    struct mc_pg_group group;
    struct mc_pg_watch watch;
    struct mc_pg_replicas replicas;
    struct mc_pg_counts counts;
    struct mc_pg_embeddings embeddings;
    int partitions; /* of each table that has a shard; 0: they are whole */
    struct mc_archive *archive;
    int64_t server; /* random: tells this store's changes from those of others */
    struct mc_metrics *metrics;
};
static inline struct mc_pg *mc_pg_of(struct mc_store *store)
{
    return mc_container_of(store, struct mc_pg_face, store)->pg;
}
static inline bool mc_pg_may_lag(struct mc_store *store)
{
    return mc_container_of(store, struct mc_pg_face, store)->may_lag;
}

/* ---- Shards ---- */

/* The part of the database that a user, or another key, belongs to: FNV-1a, folded. Never change it. */
static inline int64_t mc_pg_shard(mc_str key)
{
    uint64_t hash = mc_str_hash(key);
    return (int64_t)((hash ^ hash >> 32) & 255);
}
/* A row's number ends with its shard. */
static inline int64_t mc_pg_row_shard(int64_t row)
{
    return row & 255;
}
/* The queue is one place, since it has one order over all users. */
#define MC_PG_QUEUE "0"

/* ---- Reads and writes (transact.c) ---- */

typedef enum mc_status (*mc_pg_work)(struct mc_pg_conn *conn, void *context, struct mc_error *err);

enum mc_pg_flags {
    MC_PG_SNAPSHOT = 1, /* a read of which all rounds see one state */
    MC_PG_SILENT = 2,   /* a write that no cache of another server must know of */
    MC_PG_RELAXED = 4,  /* a write that may be lost when the database's machine fails */
    MC_PG_ONCE = 8      /* not tried again when the server cannot be reached */
};

/*
 * Lends the work a connection, and calls it again with another one when that was lost: it begins anew
 * each time. Its last round may be mc_pg_run_last.
 */
MC_MUST_CHECK enum mc_status mc_pg_read(struct mc_pg *s, int flags, mc_pg_work work, void *context,
                                        struct mc_error *err);
/* One try of it, on a connection of the pool that the caller holds. */
MC_MUST_CHECK enum mc_status mc_pg_read_with(const struct mc_pg_pool *pool, struct mc_pg_conn *conn,
                                             int flags, mc_pg_work work, void *context,
                                             struct mc_error *err);
/*
 * The same for what is read of one shard (below 0: of several) to assemble a context: by a replica, when there is one
 * that is up to date for it and the caller's store may lag (replica.c).
 */
MC_MUST_CHECK enum mc_status mc_pg_read_lagging(struct mc_store *store, int64_t shard, int flags,
                                                mc_pg_work work, void *context,
                                                struct mc_error *err);
/*
 * mc_pg_run that also ends the transaction, in the same round. In a write: only when a round was run before, and
 * no result of this one is needed: when the connection is lost they are, though the commit may have arrived.
 */
MC_MUST_CHECK enum mc_status mc_pg_run_last(struct mc_pg_conn *conn, struct mc_error *err);
/*
 * Runs the work in a transaction and commits it, unless it fails. It is called again, to begin anew, after a
 * deadlock or a lost connection; when the connection is lost during the commit, the server is asked
 * what became of it, so that nothing is done twice.
 */
MC_MUST_CHECK enum mc_status mc_pg_write(struct mc_pg *s, int flags, mc_pg_work work, void *context,
                                         struct mc_error *err);
/* One read of one statement: `take` gets its result. */
typedef enum mc_status (*mc_pg_take)(const PGresult *result, void *context, struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_pg_read_one(struct mc_pg *s, const char *sql,
                                            const struct mc_pg_arg *args, mc_pg_take take,
                                            void *context, struct mc_error *err);

MC_MUST_CHECK enum mc_status mc_pg_read_one_lagging(struct mc_store *store, int64_t shard,
                                                    const char *sql, const struct mc_pg_arg *args,
                                                    mc_pg_take take, void *context,
                                                    struct mc_error *err);
/*
 * To be said by each write, before its commit, of every shard that it changes something in: replicas are not read for
 * these until they have it. One that says nothing may have changed anything.
 */
static inline void mc_pg_touch(struct mc_pg_conn *conn, int64_t shard)
{
    conn->touched.bits[shard / 64] |= UINT64_C(1) << shard % 64;
}
/*
 * Adds a statement after which the transaction finds rows by their keys, one by one: a plan is kept, and may
 * be of a time at which the tables were small.
 */
void mc_pg_add_by_key(struct mc_pg_conn *conn);

/*
 * Whether the run that returned the status failed because a row's key is there already that was taken for new. The
 * work, which returns the status, is called again, and must look then.
 */
bool mc_pg_not_new(struct mc_pg_conn *conn, enum mc_status status);

/* Now, by the database's clock. */
int64_t mc_pg_now_us(const struct mc_pg_conn *conn);

/* ---- Reading messages (rows.c) ---- */

/* The number of user $2 in shard $1: messages are looked for by it (migrations.c). */
#define MC_PG_USER_NO "(SELECT user_no FROM users WHERE shard = $1 AND user_id = $2)"

/* The columns of a record; m is the message. */
#define MC_PG_RECORD                                                                               \
    "m.id, m.message_id, m.user_id, m.thread_id, m.session_id, m.agent_id, m.role, m.visibility,"  \
    " m.tier, m.state, m.importance, m.created_at, m.sharing_groups, m.attached, m.text, "         \
    "m.packed,"                                                                                    \
    " m.terms"
#define MC_PG_RECORD_COLUMNS 17

/* The record of a row of a result of conn whose first columns are MC_PG_RECORD. MC_CORRUPT. */
MC_MUST_CHECK enum mc_status mc_pg_record(struct mc_pg_conn *conn, const PGresult *result,
                                          size_t row, struct mc_record **record,
                                          struct mc_error *err);
/* Adds the records of all rows, or none. */
MC_MUST_CHECK enum mc_status mc_pg_records(struct mc_pg_conn *conn, const PGresult *result,
                                           struct mc_records *out, struct mc_error *err);

/*
 * Copies so many texts of a row, from a column on, each to where `to` says; absent ones are left out. False: out of
 * memory.
 */
MC_MUST_CHECK bool mc_pg_copy_cells(const PGresult *result, size_t row, int column,
                                    struct mc_arena *arena, mc_str *const *to, size_t count);

/*
 * Adds a statement for each shard that the rows are in: its parameters are the shard, the rows of it and then
 * `more` (at most 16). *statements: how many they are.
 */
MC_MUST_CHECK enum mc_status mc_pg_add_by_shard(struct mc_pg_conn *conn, const char *sql,
                                                const int64_t *rows, size_t count,
                                                const struct mc_pg_arg *more, size_t *statements,
                                                struct mc_error *err);

/* The shard that all the rows are in; below 0 when there is none. */
int64_t mc_pg_shard_of_rows(const int64_t *rows, size_t count);

/* ---- The compressed archive (archive.c) ---- */

/* A message out of its frame; free with mc_unpacked_fini. MC_CORRUPT, with trouble MC_PG_DICTIONARY when that helps. */
MC_MUST_CHECK enum mc_status mc_pg_unpack(struct mc_pg_conn *conn, mc_str frame,
                                          struct mc_unpacked *unpacked, struct mc_error *err);
/* After trouble MC_PG_DICTIONARY, outside a transaction: makes it known. Other troubles if that fails, or as given. */
enum mc_pg_trouble mc_pg_fetch_dictionary(struct mc_pg_conn *conn, enum mc_pg_trouble trouble);

/* ---- The access rule (rows.c) ---- */

/*
 * True for a message m that the reader may see. Parameters 11 to 16 are those of mc_pg_allowed; statements that
 * use fewer of their own leave a gap with MC_PG_GAP.
 */
#define MC_PG_ALLOWED                                                                              \
    "(($11 OR m.agent_id = $12 OR ($13 AND m.visibility = 2)"                                      \
    " OR (m.visibility = 1 AND ($14 OR m.sharing_groups && $15)))"                                 \
    " AND ($16::text[] IS NULL OR m.agent_id = ANY($16)))"
#define MC_PG_ALLOWED_AT 10
/* Arguments: own ones (up to ten), then those of the rule. */
struct mc_pg_allowed_args {
    struct mc_pg_arg items[MC_PG_ALLOWED_AT + 7];
};
void mc_pg_allowed(struct mc_pg_allowed_args *args, const struct mc_pg_arg *own,
                   const struct mc_reader *reader);

/* ---- Removing messages (remove.c) ---- */

/* What must be known of a message to take it out; borrowed from a result. */
struct mc_pg_dropped {
    int64_t row, user_no, created_us;
    mc_str message_id, user_id, thread_id;
    mc_str terms, twin; /* absent: none */
    int64_t version;    /* of its thread afterwards */
};
#define MC_PG_DROP_COLUMNS                                                                         \
    "m.id, m.user_no, m.created_at, m.message_id, m.user_id, m.thread_id, m.terms, m.twin"
/* From a result whose columns from `first` on are MC_PG_DROP_COLUMNS. */
void mc_pg_dropped_from(const PGresult *result, size_t row, int first,
                        struct mc_pg_dropped *dropped);
/*
 * Removes the messages with all that belongs to them; inside a transaction that has locked them. The texts must
 * not be those of a result of conn. Requested: summaries that may tell of them go too. *jobs: how many of them
 * had one; may be NULL.
 */
MC_MUST_CHECK enum mc_status mc_pg_drop(struct mc_pg_conn *conn, struct mc_pg_dropped *items,
                                        size_t count, bool requested, int64_t *jobs,
                                        struct mc_error *err);

/* Adds statements that take the message out of the search index and the twins. terms, twin absent: it is not there. */
MC_MUST_CHECK enum mc_status mc_pg_add_unindex(struct mc_pg_conn *conn, int64_t row,
                                               int64_t user_no, mc_str thread_id, mc_str terms,
                                               mc_str twin, struct mc_error *err);
/*
 * The same for messages by row, not requested; locks and reads them first. *dropped: how many were there. They lie in
 * the trash of the run then, if one is given.
 */
MC_MUST_CHECK enum mc_status mc_pg_drop_rows(struct mc_pg_conn *conn, const int64_t *rows,
                                             size_t count, int64_t run, int64_t *dropped,
                                             int64_t *jobs, struct mc_error *err);

/* ---- Undoing a tier migration (tier_runs.c, trash.c) ---- */

/* All inside a transaction. MC_CONFLICT: the run is being taken back, or was; 0 is none. */
MC_MUST_CHECK enum mc_status mc_pg_run_check(struct mc_pg_conn *conn, int64_t run,
                                             struct mc_error *err);
/* Adds a statement that adds to what the run has done. */
void mc_pg_add_run_count(struct mc_pg_conn *conn, int64_t run, const struct mc_tier_step *step,
                         int64_t packed);
/* Copies messages, which are locked, and their jobs into the trash. */
MC_MUST_CHECK enum mc_status mc_pg_trash(struct mc_pg_conn *conn, const int64_t *rows, size_t count,
                                         int64_t run, struct mc_error *err);
/* Brings back some of what the undo's runs have there; step->more: there was something. */
MC_MUST_CHECK enum mc_status mc_pg_untrash(struct mc_pg_conn *conn, const struct mc_undo *undo,
                                           struct mc_undo_step *step, struct mc_error *err);

/* Bytes of a message's text, metadata and index terms; of a compressed one, of its frame. */
#define MC_PG_MESSAGE_BYTES                                                                        \
    "octet_length(text) + octet_length(attached) + coalesce(octet_length(terms), 0)"               \
    " + coalesce(octet_length(packed), 0)"

/* ---- The search index (match.c) ---- */

/* The number under which a term is in the index. */
int64_t mc_pg_term(mc_str term);
/* The same for what all messages of a thread have. */
int64_t mc_pg_thread_term(mc_str thread_id);
/* Numbers of all terms of a message and its thread, each once. False: out of memory. Freed with free(). */
MC_MUST_CHECK bool mc_pg_terms(mc_str terms, mc_str thread_id, int64_t **numbers, size_t *count);

/* ---- Vectors (vectors.c) ---- */

/*
 * Adds a statement by which messages that were completed for the first time wait for their vectors, where there
 * is a current model. MC_NO_MEMORY.
 */
MC_MUST_CHECK enum mc_status mc_pg_add_vector_waits(struct mc_pg_conn *conn, const int64_t *rows,
                                                    size_t count, struct mc_error *err);
/* Adds statements that remove the vectors of a user's messages, and their waiting for one; inside a transaction. */
void mc_pg_add_vector_drop(struct mc_pg_conn *conn, int64_t user_no, const int64_t *rows,
                           size_t count);
/* The same of all messages, which go too, for good; the models stay. */
void mc_pg_add_vector_clear(struct mc_pg_conn *conn);
/* Adds a statement after which fill_vectors looks at all messages again: there are new ones that were completed elsewhere. */
void mc_pg_add_vector_refill(struct mc_pg_conn *conn);

/* ---- pgvector (nearest.c) ---- */

/* As it was when it was looked at last. Not inside a read or write. */
enum mc_pg_embedding mc_pg_embedding(struct mc_pg *s);
/* After a failure of a statement for `type`: whether the column is another one now, so that it is worth trying again. */
bool mc_pg_embedding_changed(struct mc_pg *s, enum mc_pg_embedding type);
/* The numbers of a vector in its stored form; free with free(). NULL: out of memory. */
double *mc_pg_unpacked(mc_str data, double scale);
/* One step of moving vectors into the column, which is made where that is possible; *done: nothing is left. */
MC_MUST_CHECK enum mc_status mc_pg_move_vectors(struct mc_pg *s, size_t limit, bool *done,
                                                struct mc_error *err);

/* ---- Signals (memory.c) ---- */

struct mc_pg_learned {
    mc_str user_id;
    const struct mc_signal *signal;
};
/* Adds a statement that adds observations; inside a transaction. MC_NO_MEMORY. */
MC_MUST_CHECK enum mc_status mc_pg_add_learned(struct mc_pg_conn *conn,
                                               const struct mc_pg_learned *items, size_t count,
                                               struct mc_error *err);

/* ---- Threads (rows.c) ---- */

/* Adds a statement that raises a thread's version by `by`; its result is the new version. */
void mc_pg_add_bump(struct mc_pg_conn *conn, mc_str user_id, mc_str thread_id, int64_t by);

/* Order of bytes; shorter first where one begins the other. For sorting what is locked. */
int mc_pg_compare(mc_str a, mc_str b);

/* ---- The functions of the table; contracts in store/store.h ---- */

extern const struct mc_copy_ops mc_pg_copy;
void mc_pg_group_init(struct mc_pg_group *group, int max_leaders);
void mc_pg_group_fini(struct mc_pg_group *group);
enum mc_status mc_pg_put(struct mc_store *store, struct mc_put *items, size_t count,
                         struct mc_error *err);
enum mc_status mc_pg_get(struct mc_store *store, mc_str message_id, const struct mc_reader *reader,
                         struct mc_record **record, struct mc_error *err);
enum mc_status mc_pg_rows_of(struct mc_store *store, const int64_t *rows, size_t count,
                             const struct mc_reader *reader, struct mc_records *out,
                             struct mc_error *err);
enum mc_status mc_pg_recent(struct mc_store *store, const struct mc_recent_read *read,
                            struct mc_records *out, struct mc_error *err);
enum mc_status mc_pg_turns(struct mc_store *store, const int64_t *rows, size_t count,
                           const struct mc_reader *reader, struct mc_turns *out,
                           struct mc_error *err);
enum mc_status mc_pg_match(struct mc_store *store, const struct mc_match_query *query,
                           struct mc_match_result *out, struct mc_error *err);
enum mc_status mc_pg_thread(struct mc_store *store, mc_str user_id, mc_str thread_id,
                            struct mc_thread_state *state, struct mc_error *err);
enum mc_status mc_pg_remove(struct mc_store *store, mc_str message_id,
                            const struct mc_reader *reader, struct mc_record **removed,
                            int64_t *thread_version, struct mc_error *err);
bool mc_pg_wipe(struct mc_store *store);
enum mc_status mc_pg_erase(struct mc_store *store, mc_str user_id, struct mc_erased *erased,
                           struct mc_error *err);
enum mc_status mc_pg_generation(struct mc_store *store, int64_t *generation, struct mc_error *err);
enum mc_status mc_pg_claim(struct mc_store *store, mc_str lease, enum mc_stage stage,
                           int64_t now_us, int64_t lease_us, size_t limit, struct mc_jobs *out,
                           struct mc_error *err);
enum mc_status mc_pg_complete(struct mc_store *store, mc_str lease, struct mc_completion *items,
                              size_t count, struct mc_error *err);
enum mc_status mc_pg_failed(struct mc_store *store, mc_str lease, const struct mc_failure *items,
                            size_t count, struct mc_error *err);
enum mc_status mc_pg_renew(struct mc_store *store, mc_str lease, int64_t until_us,
                           struct mc_error *err);
enum mc_status mc_pg_release(struct mc_store *store, mc_str lease, struct mc_error *err);
enum mc_status mc_pg_twin(struct mc_store *store, mc_str content_hash, struct mc_buf *metadata,
                          struct mc_error *err);
enum mc_status mc_pg_queue(struct mc_store *store, int64_t now_us, struct mc_queue_stats *stats,
                           struct mc_error *err);
enum mc_status mc_pg_dead_jobs(struct mc_store *store, size_t limit, mc_dead_job_fn each,
                               void *context, struct mc_error *err);
enum mc_status mc_pg_retry(struct mc_store *store, mc_str message_id, int64_t now_us,
                           uint64_t *count, struct mc_error *err);
enum mc_status mc_pg_purge(struct mc_store *store, uint64_t *count, struct mc_error *err);
enum mc_status mc_pg_preferences(struct mc_store *store, mc_str user_id, struct mc_buf *json,
                                 struct mc_error *err);
enum mc_status mc_pg_set_preferences(struct mc_store *store, mc_str user_id, mc_str old,
                                     mc_str json, bool learned, struct mc_error *err);
enum mc_status mc_pg_add_signals(struct mc_store *store, mc_str user_id,
                                 const struct mc_signal *items, size_t count, struct mc_error *err);
enum mc_status mc_pg_signals(struct mc_store *store, mc_str user_id, mc_signal_fn each,
                             void *context, struct mc_error *err);
enum mc_status mc_pg_add_usage(struct mc_store *store, const struct mc_usage_row *rows,
                               size_t count, struct mc_error *err);
enum mc_status mc_pg_usage(struct mc_store *store, int64_t first_day, int64_t last_day,
                           mc_usage_fn each, void *context, struct mc_error *err);
enum mc_status mc_pg_vector_model(struct mc_store *store, mc_str name, int64_t dimension,
                                  int64_t *number, struct mc_error *err);
enum mc_status mc_pg_vector_models(struct mc_store *store, mc_vector_model_fn each, void *context,
                                   int64_t *waiting, struct mc_error *err);
enum mc_status mc_pg_claim_vectors(struct mc_store *store, int64_t now_us, int64_t lease_us,
                                   size_t limit, struct mc_jobs *out, struct mc_error *err);
enum mc_status mc_pg_put_vectors(struct mc_store *store, int64_t model,
                                 const struct mc_vector_put *items, size_t count,
                                 struct mc_error *err);
enum mc_status mc_pg_searchable(struct mc_store *store, mc_str user_id, int64_t *models,
                                size_t most, size_t *count, struct mc_error *err);
enum mc_status mc_pg_nearest(struct mc_store *store, const struct mc_nearest_query *query,
                             struct mc_nearest *found, struct mc_error *err);
enum mc_status mc_pg_fill_vectors(struct mc_store *store, int64_t now_us, size_t limit, bool *done,
                                  struct mc_error *err);
enum mc_status mc_pg_vectors(struct mc_store *store, mc_str user_id,
                             const struct mc_vector_state *have, mc_vector_fn each, void *context,
                             bool *whole, struct mc_vector_state *now, struct mc_error *err);
enum mc_status mc_pg_put_agent(struct mc_store *store, const struct mc_agent_row *agent,
                               struct mc_error *err);
enum mc_status mc_pg_remove_agent(struct mc_store *store, mc_str agent_id, struct mc_error *err);
enum mc_status mc_pg_put_key(struct mc_store *store, const struct mc_key_row *key,
                             struct mc_error *err);
enum mc_status mc_pg_remove_key(struct mc_store *store, mc_str key_id, struct mc_error *err);
enum mc_status mc_pg_keys(struct mc_store *store, mc_key_fn each, void *context,
                          struct mc_error *err);
enum mc_status mc_pg_agents(struct mc_store *store, mc_agent_fn each, void *context,
                            struct mc_error *err);
enum mc_status mc_pg_agent_counts(struct mc_store *store, mc_count_fn by_agent,
                                  mc_count_fn by_visibility, void *context, struct mc_error *err);
enum mc_status mc_pg_unsummarised(struct mc_store *store, mc_str user_id, int64_t messages,
                                  int64_t before_us, size_t limit, mc_summary_fn each,
                                  void *context, struct mc_error *err);
enum mc_status mc_pg_put_summary(struct mc_store *store, const struct mc_summary *summary,
                                 struct mc_error *err);
enum mc_status mc_pg_summaries(struct mc_store *store, mc_str user_id,
                               const struct mc_reader *reader, size_t limit, mc_summary_fn each,
                               void *context, struct mc_error *err);
enum mc_status mc_pg_migrate(struct mc_store *store, const struct mc_tier_rule *rule,
                             struct mc_tier_step *step, struct mc_error *err);
enum mc_status mc_pg_take_task(struct mc_store *store, mc_str task, int64_t now_us,
                               int64_t until_us, bool *taken, struct mc_error *err);
enum mc_status mc_pg_set_task(struct mc_store *store, mc_str task, int64_t due_us,
                              struct mc_error *err);
enum mc_status mc_pg_train(struct mc_store *store, int64_t now_us, struct mc_error *err);
enum mc_status mc_pg_begin_run(struct mc_store *store, mc_str user_id, int64_t now_us,
                               int64_t *number, struct mc_error *err);
enum mc_status mc_pg_end_run(struct mc_store *store, int64_t number, int64_t now_us,
                             struct mc_error *err);
enum mc_status mc_pg_runs(struct mc_store *store, mc_tier_run_fn each, void *context,
                          struct mc_error *err);
enum mc_status mc_pg_empty_trash(struct mc_store *store, int64_t before_us, size_t limit,
                                 int64_t *removed, struct mc_error *err);
enum mc_status mc_pg_begin_undo(struct mc_store *store, int64_t first, int64_t *last,
                                struct mc_error *err);
enum mc_status mc_pg_undo(struct mc_store *store, struct mc_undo *undo, struct mc_undo_step *step,
                          struct mc_error *err);
enum mc_status mc_pg_pack(struct mc_store *store, const struct mc_tier_rule *rule,
                          struct mc_pack_step *step, struct mc_error *err);
enum mc_status mc_pg_export(struct mc_store *store, mc_str user_id, const struct mc_reader *reader,
                            mc_record_fn each, void *context, struct mc_error *err);
enum mc_status mc_pg_users(struct mc_store *store, mc_name_fn each, void *context,
                           struct mc_error *err);
enum mc_status mc_pg_list_users(struct mc_store *store, mc_str prefix, mc_str after, size_t limit,
                                mc_listed_fn each, void *context, struct mc_error *err);
enum mc_status mc_pg_list_threads(struct mc_store *store, mc_str user_id, mc_str after,
                                  size_t limit, mc_listed_fn each, void *context,
                                  struct mc_error *err);
enum mc_status mc_pg_stats(struct mc_store *store, struct mc_store_stats *stats,
                           struct mc_error *err);
enum mc_status mc_pg_room(struct mc_store *store, struct mc_store_room *room, struct mc_error *err);
enum mc_status mc_pg_ping(struct mc_store *store, struct mc_error *err);
enum mc_status mc_pg_check(struct mc_store *store, mc_name_fn problem, void *context,
                           struct mc_error *err);
void mc_pg_replicas(struct mc_store *store, int64_t wait_us, mc_replica_fn each, void *context);
enum mc_status mc_pg_backup(struct mc_store *store, const char *path, mc_progress_fn progress,
                            void *context, struct mc_error *err);

#endif
