/*
 * What the files of the SQLite back-end share: the store itself, the functions of its table,
 * reading messages, the access rule in SQL, the search index.
 */
#ifndef MC_STORE_SQLITE_SQLITE_H
#define MC_STORE_SQLITE_SQLITE_H

#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"
#include "store/archive.h"
#include "store/sqlite/readers.h"
#include "store/sqlite/sqlite_store.h"
#include "store/sqlite/watch.h"
#include "store/sqlite/writer.h"

struct mc_sqlite {
    struct mc_store store; /* first */
    char *path;
    bool synchronous_full;
    struct mc_writer writer;
    struct mc_readers readers;
    struct mc_watch watch;
    struct mc_archive *archive;
    atomic_size_t rewritten; /* rows since the log was relieved */
    atomic_int index_holes;  /* enum index_holes of archive.c */
};
static inline struct mc_sqlite *mc_sqlite_of(struct mc_store *store)
{
    return mc_container_of(store, struct mc_sqlite, store);
}

/* Runs a write of one function. */
MC_MUST_CHECK enum mc_status mc_sqlite_write(
    struct mc_sqlite *s, enum mc_write_class class, size_t weight,
    enum mc_status (*apply)(struct mc_writer *writer, void *context, struct mc_error *err),
    void *context, struct mc_error *err);

/* ---- Reading messages (rows.c) ---- */

/* The columns of a record in the order of mc_record_column; m is the message, t and u its thread
 * and user. */
#define MC_SQL_RECORD(terms) MC_SQL_RECORD_IN("u.user_id", "t.thread_id", terms)
/* The same where the names of user and thread are known, or are looked up by their numbers. */
#define MC_SQL_RECORD_IN(user, thread, terms)                                                      \
    "m.id, m.message_id, " user ", " thread ", m.session_id, m.agent_id, m.role, m.visibility,"    \
    " m.tier, m.state, m.importance, m.created_at, m.sharing_groups, m.metadata, m.text, "         \
    "m.packed, " terms
#define MC_SQL_RECORD_COLUMNS 17
#define MC_SQL_RECORD_FROM                                                                         \
    " FROM messages m JOIN threads t ON t.thread_no = m.thread_no"                                 \
    " JOIN users u ON u.user_no = m.user_no"

/* The record of the present row of a statement whose first columns are MC_SQL_RECORD. MC_CORRUPT.
 */
MC_MUST_CHECK enum mc_status mc_sqlite_record(struct mc_conn *conn, sqlite3_stmt *stmt,
                                              struct mc_record **record, struct mc_error *err);
/* The same, with the names of user and thread instead of what the statement has. */
MC_MUST_CHECK enum mc_status mc_sqlite_record_in(struct mc_conn *conn, sqlite3_stmt *stmt,
                                                 mc_str user_id, mc_str thread_id,
                                                 struct mc_record **record, struct mc_error *err);
/* Steps to the end and adds each row's record. */
/* A validated message has at most 32 groups; a file from elsewhere may say anything. */
#define MC_SQLITE_GROUPS_MAX 64
/* The groups of messages.sharing_groups, which borrow from root: free that with mc_json_free. MC_CORRUPT. */
MC_MUST_CHECK enum mc_status mc_sqlite_groups(struct mc_conn *conn, mc_str json,
                                              struct mc_json **root,
                                              mc_str groups[MC_SQLITE_GROUPS_MAX], size_t *count,
                                              struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_sqlite_records(struct mc_conn *conn, sqlite3_stmt *stmt,
                                               struct mc_load *load, struct mc_records *out,
                                               struct mc_error *err);

/* Row numbers for json_each, in the connection's scratch buffer. */
MC_MUST_CHECK enum mc_status mc_rows_to_json(struct mc_conn *conn, const int64_t *rows,
                                             size_t count, mc_str *list, struct mc_error *err);

/* ---- The compressed archive (archive.c) ---- */

/* A message out of its frame. Free with mc_unpacked_fini. MC_CORRUPT. */
MC_MUST_CHECK enum mc_status mc_sqlite_unpack(struct mc_conn *conn, mc_str frame,
                                              struct mc_unpacked *unpacked, struct mc_error *err);

/* ---- The access rule (rows.c) ---- */

/* True for a message m that the reader may see. Parameters 11 to 17 are set by mc_allowed_bind. */
#define MC_SQL_ALLOWED                                                                             \
    "((?11 OR m.agent_id = ?12 OR (?13 AND m.visibility = 2)"                                      \
    " OR (m.visibility = 1 AND (?14 OR (?15 AND EXISTS(SELECT 1 FROM json_each(m.sharing_groups) " \
    "g"                                                                                            \
    " WHERE g.value IN (SELECT value FROM json_each(?16)))))))"                                    \
    " AND (?17 IS NULL OR m.agent_id IN (SELECT value FROM json_each(?17))))"

/* A reader's lists as JSON. Declare with mc_auto(mc_allowed_fini), zero-initialised. */
struct mc_allowed {
    const struct mc_reader *reader;
    struct mc_buf groups, agents;
};
MC_MUST_CHECK enum mc_status mc_allowed_init(struct mc_allowed *allowed,
                                             const struct mc_reader *reader, struct mc_error *err);
void mc_allowed_fini(struct mc_allowed *allowed);
void mc_allowed_bind(const struct mc_allowed *allowed, sqlite3_stmt *stmt);

/* Appends the names as a JSON array. */
void mc_names_to_json(const mc_str *names, size_t count, struct mc_buf *out);

/* ---- The search index (fts.c) ---- */

/* Longest form of a token in the index. */
#define MC_FTS_TOKEN_MAX 128
/* Appends the index's form of a term of a user, safe inside double quotes. */
void mc_fts_token(struct mc_buf *out, int64_t user_no, mc_str term);
/* Appends the token that all messages of a thread have. */
void mc_fts_thread_token(struct mc_buf *out, int64_t user_no, int64_t thread_no);
/* Adds or removes a message; terms separated by spaces, exactly those that were added. */
MC_MUST_CHECK enum mc_status mc_fts_change(struct mc_conn *conn, bool add, int64_t row,
                                           int64_t user_no, int64_t thread_no, mc_str terms,
                                           struct mc_error *err);

/* ---- Removing messages (remove.c) ---- */

/*
 * Removes a message, its job and index entry, and counts it off; inside a transaction. Requested:
 * the thread's summaries that may tell of it go too. *had_job and *version, the thread's new one,
 * may be NULL.
 */
MC_MUST_CHECK enum mc_status mc_sqlite_drop(struct mc_conn *conn, int64_t row, bool requested,
                                            bool *had_job, int64_t *version, struct mc_error *err);
/* Before messages are deleted: remembers the highest row, so that none is used again. */
MC_MUST_CHECK enum mc_status mc_sqlite_keep_row(struct mc_conn *conn, struct mc_error *err);

/* ---- What deleting leaves in the file (erase.c) ---- */

/* For a file that takes the place of another one. */
MC_MUST_CHECK enum mc_status mc_sqlite_change_generation(struct mc_store *store,
                                                         struct mc_error *err);

/*
 * A step of merging the index, which keeps what was deleted until then: so many pages, negative to begin with all of
 * it. *more: it is not at its end.
 */
MC_MUST_CHECK enum mc_status mc_sqlite_merge_index(struct mc_sqlite *s, int pages, bool *more,
                                                   struct mc_error *err);

/*
 * After so many rows were rewritten: brings the log into the file now and then, without holding up writers. Else
 * the writer would do it, inside somebody's commit: 20 ms and more.
 */
void mc_sqlite_relieve_log(struct mc_sqlite *s, size_t rows);

/* ---- Undoing a tier migration (undo.c) ---- */

/* All inside a transaction. MC_CONFLICT: the run is being taken back, or was; 0 is none. */
MC_MUST_CHECK enum mc_status mc_sqlite_run_check(struct mc_conn *conn, int64_t run,
                                                 struct mc_error *err);
/* Adds to what the run has done. */
MC_MUST_CHECK enum mc_status mc_sqlite_run_count(struct mc_conn *conn, int64_t run,
                                                 const struct mc_tier_step *step, int64_t packed,
                                                 struct mc_error *err);
/* Copies a message and its job into the trash; mc_sqlite_drop follows. */
MC_MUST_CHECK enum mc_status mc_sqlite_trash(struct mc_conn *conn, int64_t row, int64_t run,
                                             struct mc_error *err);

/* Bytes of a message's text, metadata and index terms; of a compressed one, of its frame. */
#define MC_SQL_MESSAGE_BYTES                                                                       \
    "length(CAST(text AS BLOB)) + length(CAST(metadata AS BLOB)) + coalesce(length(terms), 0)"     \
    " + coalesce(length(packed), 0)"

/* ---- Twins (twins.c) ---- */

/* From now on the hash finds this message, and no other hash does; absent: none does. In a transaction. */
MC_MUST_CHECK enum mc_status mc_sqlite_twin_set(struct mc_conn *conn, int64_t row, mc_str hash,
                                                struct mc_error *err);

/* ---- Vectors (vectors.c) ---- */

/* A message that was just completed for the first time waits for its vector, where there is a current model. */
MC_MUST_CHECK enum mc_status mc_sqlite_vector_wait(struct mc_conn *conn, int64_t row,
                                                   struct mc_error *err);
/* Removes the vectors of a message, and its waiting for one. */
MC_MUST_CHECK enum mc_status mc_sqlite_vector_drop(struct mc_conn *conn, int64_t user_no,
                                                   int64_t row, struct mc_error *err);
/* The same of all messages, which go too, for good; the models stay. */
MC_MUST_CHECK enum mc_status mc_sqlite_vector_clear(struct mc_conn *conn, struct mc_error *err);
/* fill_vectors goes on with the newest messages: there are new ones that were completed elsewhere. */
MC_MUST_CHECK enum mc_status mc_sqlite_vector_refill(struct mc_conn *conn, struct mc_error *err);

/* ---- Signals (memory.c) ---- */

/* Adds observations to what is there; inside a transaction. */
MC_MUST_CHECK enum mc_status mc_sqlite_count_signals(struct mc_conn *conn, mc_str user_id,
                                                     const struct mc_signal *items, size_t count,
                                                     struct mc_error *err);

/* ---- The functions of the table, by file; contracts in store/store.h ---- */

/* copy.c */
extern const struct mc_copy_ops mc_sqlite_copy;
/* put.c */
enum mc_status mc_sqlite_put(struct mc_store *store, struct mc_put *items, size_t count,
                             struct mc_error *err);
/* messages.c */
enum mc_status mc_sqlite_get(struct mc_store *store, mc_str message_id,
                             const struct mc_reader *reader, struct mc_record **record,
                             struct mc_error *err);
enum mc_status mc_sqlite_rows(struct mc_store *store, const int64_t *rows, size_t count,
                              const struct mc_reader *reader, struct mc_records *out,
                              struct mc_error *err);
enum mc_status mc_sqlite_recent(struct mc_store *store, const struct mc_recent_read *read,
                                struct mc_records *out, struct mc_error *err);
enum mc_status mc_sqlite_thread(struct mc_store *store, mc_str user_id, mc_str thread_id,
                                struct mc_thread_state *state, struct mc_error *err);
/* turns.c */
enum mc_status mc_sqlite_turns(struct mc_store *store, const int64_t *rows, size_t count,
                               const struct mc_reader *reader, struct mc_turns *out,
                               struct mc_error *err);
/* match.c */
enum mc_status mc_sqlite_match(struct mc_store *store, const struct mc_match_query *query,
                               struct mc_match_result *out, struct mc_error *err);
/* remove.c */
enum mc_status mc_sqlite_remove(struct mc_store *store, mc_str message_id,
                                const struct mc_reader *reader, struct mc_record **removed,
                                int64_t *thread_version, struct mc_error *err);
/* erase.c */
bool mc_sqlite_wipe(struct mc_store *store);
enum mc_status mc_sqlite_erase(struct mc_store *store, mc_str user_id, struct mc_erased *erased,
                               struct mc_error *err);
enum mc_status mc_sqlite_generation(struct mc_store *store, int64_t *generation,
                                    struct mc_error *err);
/* queue.c */
enum mc_status mc_sqlite_claim(struct mc_store *store, mc_str lease, enum mc_stage stage,
                               int64_t now_us, int64_t lease_us, size_t limit, struct mc_jobs *out,
                               struct mc_error *err);
enum mc_status mc_sqlite_complete(struct mc_store *store, mc_str lease, struct mc_completion *items,
                                  size_t count, struct mc_error *err);
enum mc_status mc_sqlite_failed(struct mc_store *store, mc_str lease,
                                const struct mc_failure *items, size_t count, struct mc_error *err);
enum mc_status mc_sqlite_renew(struct mc_store *store, mc_str lease, int64_t until_us,
                               struct mc_error *err);
enum mc_status mc_sqlite_release(struct mc_store *store, mc_str lease, struct mc_error *err);
/* twins.c */
enum mc_status mc_sqlite_twin(struct mc_store *store, mc_str content_hash, struct mc_buf *metadata,
                              struct mc_error *err);
/* usage.c */
enum mc_status mc_sqlite_add_usage(struct mc_store *store, const struct mc_usage_row *rows,
                                   size_t count, struct mc_error *err);
enum mc_status mc_sqlite_usage(struct mc_store *store, int64_t first_day, int64_t last_day,
                               mc_usage_fn each, void *context, struct mc_error *err);
/* vectors.c */
enum mc_status mc_sqlite_vector_model(struct mc_store *store, mc_str name, int64_t dimension,
                                      int64_t *number, struct mc_error *err);
enum mc_status mc_sqlite_vector_models(struct mc_store *store, mc_vector_model_fn each,
                                       void *context, int64_t *waiting, struct mc_error *err);
enum mc_status mc_sqlite_claim_vectors(struct mc_store *store, int64_t now_us, int64_t lease_us,
                                       size_t limit, struct mc_jobs *out, struct mc_error *err);
enum mc_status mc_sqlite_put_vectors(struct mc_store *store, int64_t model,
                                     const struct mc_vector_put *items, size_t count,
                                     struct mc_error *err);
enum mc_status mc_sqlite_fill_vectors(struct mc_store *store, int64_t now_us, size_t limit,
                                      bool *done, struct mc_error *err);
enum mc_status mc_sqlite_vectors(struct mc_store *store, mc_str user_id,
                                 const struct mc_vector_state *have, mc_vector_fn each,
                                 void *context, bool *whole, struct mc_vector_state *now,
                                 struct mc_error *err);
/* queue_admin.c */
enum mc_status mc_sqlite_queue(struct mc_store *store, int64_t now_us, struct mc_queue_stats *stats,
                               struct mc_error *err);
enum mc_status mc_sqlite_dead_jobs(struct mc_store *store, size_t limit, mc_dead_job_fn each,
                                   void *context, struct mc_error *err);
enum mc_status mc_sqlite_retry(struct mc_store *store, mc_str message_id, int64_t now_us,
                               uint64_t *count, struct mc_error *err);
enum mc_status mc_sqlite_purge(struct mc_store *store, uint64_t *count, struct mc_error *err);
/* memory.c */
enum mc_status mc_sqlite_preferences(struct mc_store *store, mc_str user_id, struct mc_buf *json,
                                     struct mc_error *err);
enum mc_status mc_sqlite_set_preferences(struct mc_store *store, mc_str user_id, mc_str old,
                                         mc_str json, bool learned, struct mc_error *err);
enum mc_status mc_sqlite_add_signals(struct mc_store *store, mc_str user_id,
                                     const struct mc_signal *signals, size_t count,
                                     struct mc_error *err);
enum mc_status mc_sqlite_signals(struct mc_store *store, mc_str user_id, mc_signal_fn each,
                                 void *context, struct mc_error *err);
enum mc_status mc_sqlite_put_agent(struct mc_store *store, const struct mc_agent_row *agent,
                                   struct mc_error *err);
enum mc_status mc_sqlite_remove_agent(struct mc_store *store, mc_str agent_id,
                                      struct mc_error *err);
enum mc_status mc_sqlite_put_key(struct mc_store *store, const struct mc_key_row *key,
                                 struct mc_error *err);
enum mc_status mc_sqlite_remove_key(struct mc_store *store, mc_str key_id, struct mc_error *err);
enum mc_status mc_sqlite_keys(struct mc_store *store, mc_key_fn each, void *context,
                              struct mc_error *err);
enum mc_status mc_sqlite_agents(struct mc_store *store, mc_agent_fn each, void *context,
                                struct mc_error *err);
enum mc_status mc_sqlite_agent_counts(struct mc_store *store, mc_count_fn by_agent,
                                      mc_count_fn by_visibility, void *context,
                                      struct mc_error *err);
/* tiers.c */
enum mc_status mc_sqlite_unsummarised(struct mc_store *store, mc_str user_id, int64_t messages,
                                      int64_t before_us, size_t limit, mc_summary_fn each,
                                      void *context, struct mc_error *err);
enum mc_status mc_sqlite_put_summary(struct mc_store *store, const struct mc_summary *summary,
                                     struct mc_error *err);
enum mc_status mc_sqlite_summaries(struct mc_store *store, mc_str user_id,
                                   const struct mc_reader *reader, size_t limit, mc_summary_fn each,
                                   void *context, struct mc_error *err);
enum mc_status mc_sqlite_migrate(struct mc_store *store, const struct mc_tier_rule *rule,
                                 struct mc_tier_step *step, struct mc_error *err);
enum mc_status mc_sqlite_take_task(struct mc_store *store, mc_str task, int64_t now_us,
                                   int64_t until_us, bool *taken, struct mc_error *err);
enum mc_status mc_sqlite_set_task(struct mc_store *store, mc_str task, int64_t due_us,
                                  struct mc_error *err);
/* archive.c */
enum mc_status mc_sqlite_train(struct mc_store *store, int64_t now_us, struct mc_error *err);
enum mc_status mc_sqlite_pack(struct mc_store *store, const struct mc_tier_rule *rule,
                              struct mc_pack_step *step, struct mc_error *err);
/* undo.c */
enum mc_status mc_sqlite_begin_run(struct mc_store *store, mc_str user_id, int64_t now_us,
                                   int64_t *number, struct mc_error *err);
enum mc_status mc_sqlite_end_run(struct mc_store *store, int64_t number, int64_t now_us,
                                 struct mc_error *err);
enum mc_status mc_sqlite_runs(struct mc_store *store, mc_tier_run_fn each, void *context,
                              struct mc_error *err);
enum mc_status mc_sqlite_empty_trash(struct mc_store *store, int64_t before_us, size_t limit,
                                     int64_t *removed, struct mc_error *err);
enum mc_status mc_sqlite_begin_undo(struct mc_store *store, int64_t first, int64_t *last,
                                    struct mc_error *err);
enum mc_status mc_sqlite_undo(struct mc_store *store, struct mc_undo *undo,
                              struct mc_undo_step *step, struct mc_error *err);
/* maintenance.c */
enum mc_status mc_sqlite_export(struct mc_store *store, mc_str user_id,
                                const struct mc_reader *reader, mc_record_fn each, void *context,
                                struct mc_error *err);
enum mc_status mc_sqlite_users(struct mc_store *store, mc_name_fn each, void *context,
                               struct mc_error *err);
enum mc_status mc_sqlite_list_users(struct mc_store *store, mc_str prefix, mc_str after,
                                    size_t limit, mc_listed_fn each, void *context,
                                    struct mc_error *err);
enum mc_status mc_sqlite_list_threads(struct mc_store *store, mc_str user_id, mc_str after,
                                      size_t limit, mc_listed_fn each, void *context,
                                      struct mc_error *err);
enum mc_status mc_sqlite_stats(struct mc_store *store, struct mc_store_stats *stats,
                               struct mc_error *err);
enum mc_status mc_sqlite_room(struct mc_store *store, struct mc_store_room *room,
                              struct mc_error *err);
enum mc_status mc_sqlite_ping(struct mc_store *store, struct mc_error *err);
enum mc_status mc_sqlite_check(struct mc_store *store, mc_name_fn problem, void *context,
                               struct mc_error *err);
enum mc_status mc_sqlite_backup(struct mc_store *store, const char *path, mc_progress_fn progress,
                                void *context, struct mc_error *err);

#endif
