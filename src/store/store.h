/*
 * The store: messages, their jobs, their search index, and everything else that must survive.
 *
 * One interface, a const table of functions for each back-end; all SQL lives behind it. Callers use the
 * inline wrappers at the end. Every operation may be called from any thread. On failure outputs are
 * untouched, nothing has been written, and the status tells what can be done: MC_BUSY (try again),
 * MC_DISK_FULL (nothing lost, works again when space returns), MC_IO, MC_CORRUPT, MC_NO_MEMORY.
 *
 * Rows. `row` is the store's number of a message, increasing in order of arrival and never shown to users.
 * A thread's messages are in order of (created_at, row).
 *
 * Versions. Each change to a thread (message stored, enriched, deleted) adds 1 to the thread's version in the
 * same transaction; operations return the version that they made, so a cache can tell whether it saw
 * every change.
 */
#ifndef MC_STORE_STORE_H
#define MC_STORE_STORE_H

#include "base/metrics.h"
#include "message/access.h"
#include "message/load.h"
#include "message/record.h"

/* ---- Writing messages ---- */

/* One message to store, validated by the caller, and what became of it. Strings are borrowed. */
struct mc_put {
    struct mc_message message; /* metadata: initial JSON object; importance, visibility, ... set */
    bool
        new_id; /* made by mc_id_new for this call, so most likely nothing is stored under it: may be faster */
    /* outputs */
    enum mc_status status; /* MC_OK: stored or there already; MC_CONFLICT: other content or user */
    bool created;
    const char *differs;      /* when MC_CONFLICT: the first field with other content; static */
    struct mc_record *record; /* one reference for the caller, when MC_OK */
    int64_t thread_version;   /* after this message; 0 when nothing changed */
    int64_t thread_messages;  /* messages of the thread after this one */
};

/* ---- Reading ---- */

struct mc_thread_state {
    bool exists;
    int64_t version;
    int64_t messages;
};

/* What a store holds beside the records of a bounded read, and a read with the thread's state in all, about. */
#define MC_READ_PAGE_BYTES ((size_t)4 << 20)

struct mc_recent_read {
    mc_str user_id;
    mc_str thread_id;
    mc_str before; /* message id, absent: from the newest. Not in the thread: MC_NOT_FOUND */
    size_t limit;
    const struct mc_reader *reader;
    /* The thread's, of the same moment as the messages; may be NULL. With it no more than MC_READ_PAGE_BYTES are read. */
    struct mc_thread_state *state;
};

#define MC_TURNS 2
/* Rows of the messages before and after one in its thread, the nearest first, 0 where there is none. */
struct mc_turns {
    int64_t before[MC_TURNS];
    int64_t after[MC_TURNS];
};

/*
 * Candidates for search and context. An index token is a term of the text (text/terms.h) or a label that
 * enrichment gave: "t:TOPIC", "c:CATEGORY", "i:INTENT".
 */
#define MC_MATCH_TERMS_MAX 64
struct mc_match_query {
    mc_str user_id;
    const struct mc_reader *reader;
    const mc_str *terms; /* any of these; at most MC_MATCH_TERMS_MAX */
    size_t term_count;
    /* Each group must be met by one of its tokens: topics any of, and categories any of, ... */
    const struct mc_match_group {
        const mc_str *tokens;
        size_t count;
    } * required;
    size_t required_count;
    mc_str thread_id; /* absent: all threads */
    int64_t since_us; /* inclusive, 0: none */
    int64_t until_us; /* exclusive, 0: none */
    size_t limit;     /* rows examined for each term, newest first */
};
struct mc_match {
    int64_t row;
    uint64_t mask; /* bit i: terms[i] matches; 0 when only groups were asked for */
};
struct mc_match_result {
    struct mc_match *items; /* newest row first; arena-owned by the result */
    size_t count;
    uint32_t df[MC_MATCH_TERMS_MAX]; /* rows that each term matched, up to the limit */
    int64_t user_messages;           /* all messages of the user */
};

/* ---- Jobs ---- */

enum mc_stage { MC_STAGE_FIRST = 1, MC_STAGE_MODEL = 2 };

struct mc_job {
    struct mc_record *record; /* one reference, released by mc_jobs_fini */
    int64_t enqueued_us;
    int attempts; /* this one included */
    enum mc_stage stage;
};
struct mc_jobs {
    struct mc_job *items;
    size_t count;
    size_t capacity;
};
void mc_jobs_fini(struct mc_jobs *jobs);

/* What was learned of a user: a value of a preference's field, and how often it was said. */
struct mc_signal {
    mc_str field, value;
    int64_t count, last_seen_us;
    double weight; /* sum of the weights of its observations */
};

/* A finished job. The store applies it only if the lease is still held: exactly once. */
struct mc_completion {
    int64_t row;
    mc_str user_id; /* the message's */
    mc_str metadata;
    mc_str terms; /* index tokens, separated by single spaces; replaces what was indexed before */
    double importance;
    enum mc_enrichment state;
    enum mc_stage next_stage; /* 0: the job is removed; else it becomes ready for that stage */
    const struct mc_signal *signals; /* learned from the message, added in the same transaction */
    size_t signal_count;
    /* MC_CONTENT_HASH_BYTES: `twin` finds this metadata by it from now on; absent: it does not. */
    mc_str content_hash;
    /* outputs */
    bool applied;
    int64_t thread_version;
};

#define MC_CONTENT_HASH_BYTES 32

/* A job that failed. */
struct mc_failure {
    int64_t row;
    int64_t retry_at_us; /* 0: dead */
    bool no_attempt;     /* nothing was tried: the attempt is not counted */
    mc_str error;        /* kept with the job, one line */
    mc_str
        metadata; /* for a dead job: the message's metadata with enrichment_failed; else absent */
};

struct mc_queue_stats {
    int64_t ready; /* due or waiting for a later time */
    int64_t leased;
    int64_t dead;
    int64_t oldest_us; /* enqueue time of the oldest job not dead, 0 when none */
    struct mc_stage_stats {
        int64_t ready, leased;
        int64_t next_due_us;     /* earliest due time of a job not dead, 0 when none */
    } stage[MC_STAGE_MODEL + 1]; /* by enum mc_stage; the sums are above */
};
typedef bool (*mc_dead_job_fn)(void *context, mc_str message_id, mc_str user_id, int attempts,
                               int64_t enqueued_us, int64_t died_us, mc_str error);

/* ---- Vectors of meaning ---- */

/*
 * One model is current: messages are embedded by it. A message that the first stage found to say something waits
 * for its vector from then on (a vector job, apart from the queue); when it is put, vectors of other
 * models of the message go. Without a current model nothing waits.
 */
struct mc_vector_model {
    int64_t number;
    mc_str name;
    int64_t dimension;
    bool current;
    bool filled;     /* every older message waits or has its vector */
    int64_t vectors; /* stored */
};
typedef bool (*mc_vector_model_fn)(void *context, const struct mc_vector_model *model);

struct mc_vector_put {
    int64_t row;
    mc_str data; /* int16_t each (vector/vector.h); absent: no vector */
    double scale;
    /* Without data: tried again then, or, when 0, given up. */
    int64_t retry_at_us;
    bool no_attempt; /* the attempt is not counted */
};

/* What a user has: changes with every vector that is put or removed. Zero: nothing known. */
struct mc_vector_state {
    int64_t user_no; /* of a user who was erased and came back another one */
    int64_t version; /* of the last vector put */
    int64_t removed; /* how often vectors were removed */
};
struct mc_vector_row {
    int64_t row, model, created_at_us;
    mc_str thread_id;
    const struct mc_message *access; /* agent_id, visibility and sharing_groups of the message */
    double scale;
    mc_str data;
};
typedef bool (*mc_vector_fn)(void *context, const struct mc_vector_row *row);

/* A search that the database carries out itself, over the user's vectors of one model. */
struct mc_nearest_query {
    mc_str user_id;
    const struct mc_reader *reader;
    mc_str thread_id;           /* absent: all */
    int64_t since_us, until_us; /* 0: none */
    int64_t model;
    const float *values; /* of length 1 */
    size_t dimension;
    size_t limit;
};
struct mc_nearest {
    struct mc_nearest_item {
        int64_t row;
        double score; /* dot product */
    } * items;        /* the caller's, room for limit; best first */
    size_t count;
    int64_t compared; /* messages that meet the query's conditions and have a vector */
    double mean;      /* of their scores */
    bool whole;       /* false: it could not compare all of them, and the rest says nothing */
};

/* ---- The rest ---- */

/* What models were asked on a day (UTC, counted from 1970-01-01), for what, by whom. */
struct mc_usage_row {
    int64_t day;
    mc_str operation, provider, model;
    int64_t calls, failures, tokens_in, tokens_cached, tokens_out, took_us;
    double cost_usd;
};
typedef bool (*mc_usage_fn)(void *context, const struct mc_usage_row *row);

/* A user, or a thread of one, to choose from. Lent until the callback returns. */
struct mc_listed {
    mc_str id;
    int64_t messages, threads; /* threads: of a user that have messages; 1 of a thread */
    int64_t last_us;           /* created_at of the newest message */
};
/* Comes after every byte that an id may have (message/input.h). */
#define MC_LIST_AFTER_IDS "{"
typedef bool (*mc_listed_fn)(void *context, const struct mc_listed *listed);

#define MC_INDEX_NAMES 320
struct mc_store_stats {
    int64_t users, threads, messages, bytes;
    int64_t by_tier[MC_TIER_COUNT];
    int64_t by_state[MC_ENRICHMENT_COUNT];
    int schema_version;
    int partitions; /* of each table that is partitioned, 0: none is */
    /* Of those that questions need, names with commas; "": none. */
    char missing_indexes[MC_INDEX_NAMES];
};

/* What it occupies, and the file system that it is on; -1: not known, as that of a server. */
struct mc_store_room {
    int64_t bytes;
    int64_t disk_bytes, free_bytes;
};

struct mc_erased {
    int64_t messages, trash, threads, jobs, summaries, preferences, signals;
    bool verified; /* a scan after the commit found nothing left */
};

struct mc_summary {
    mc_str user_id, thread_id, text, key_facts /* JSON array */, topics /* JSON array */, method;
    int64_t first_us, last_us, messages, created_at_us;
    int64_t thread_version; /* for put_summary: the thread's, read before its messages were */
};
typedef bool (*mc_summary_fn)(void *context, const struct mc_summary *summary);

typedef bool (*mc_signal_fn)(void *context, const struct mc_signal *signal);

struct mc_agent_row {
    mc_str agent_id, name, description;
    mc_str sharing_groups; /* JSON array of strings */
    mc_str metadata;       /* JSON object */
    enum mc_visibility default_visibility;
    bool can_read_public, can_write_public;
    int64_t created_at_us;
};
typedef bool (*mc_agent_fn)(void *context, const struct mc_agent_row *agent);
/* A key of the HTTP interface (memory/keys.h). */
struct mc_key_row {
    mc_str key_id;
    mc_str hash;       /* of the key, which is kept nowhere; hexadecimal */
    mc_str definition; /* JSON object: what it may do */
    int64_t created_at_us;
};
typedef bool (*mc_key_fn)(void *context, const struct mc_key_row *key);
typedef bool (*mc_count_fn)(void *context, mc_str name, int64_t count);
typedef bool (*mc_record_fn)(void *context, struct mc_record *record);
typedef bool (*mc_name_fn)(void *context, mc_str name);

/* Each has a thread, so they are not many. */
#define MC_REPLICAS_MAX 16

/* A copy of the database for reads. Texts are valid during the call. */
struct mc_replica_state {
    const char *name;   /* where it is; never a password */
    bool known;         /* it was looked at; else all that follows says nothing */
    bool reachable;     /* it answers, and is a copy of this database */
    bool serving;       /* and near enough to the primary to be read */
    int64_t lag_us;     /* how long it has been behind the primary, below 0: not known */
    uint64_t reads;     /* that it served */
    const char *detail; /* why it is not serving, "" when it is */
};
typedef void (*mc_replica_fn)(void *context, const struct mc_replica_state *replica);

/* One bounded step of tier migration (set-based): what it does next, how much at most. */
struct mc_tier_rule {
    mc_str user_id; /* absent: all */
    int64_t now_us;
    int64_t short_us, mid_us, long_us;            /* ages at which messages leave each tier */
    int64_t trivial_delete_us, archive_delete_us; /* ages at which they are deleted, 0: never */
    double keep_importance; /* at or above, a message stays one tier longer: ages are doubled */
    size_t batch;           /* rows a step */
    bool dry_run;           /* count all that is due, change nothing */
    int64_t run; /* of begin_run, under which what is done can be taken back; 0: it cannot */
};
struct mc_tier_step {
    int64_t moved, deleted;
    int64_t bytes_deleted; /* of text, metadata and index terms, or of what holds them */
    bool more;
};

/* One bounded step of compressing the archive. */
struct mc_pack_step {
    int64_t packed;
    int64_t bytes_before,
        bytes_after; /* of text, metadata and index terms; of what holds them now */
    bool more;       /* also while nothing is left to pack but room is given back */
};

/*
 * A run of tier migration that is kept to be taken back. What it deleted lies in the trash, which nothing reads; what
 * it moved or compressed names the run in its row.
 */
struct mc_tier_run {
    int64_t number;             /* growing, never used again */
    mc_str user_id;             /* absent: all users */
    int64_t began_us, ended_us; /* ended_us 0: it goes on, or was cut off */
    bool undoing;               /* it is being taken back */
    int64_t moved, deleted, packed, bytes_deleted;
};
typedef bool (*mc_tier_run_fn)(void *context, const struct mc_tier_run *run);

/* Taking back all runs from `first` to `last`, in bounded steps. */
struct mc_undo {
    int64_t first, last;
    int64_t now_us;
    size_t batch; /* rows a step */
    bool dry_run; /* count all, change nothing */
    /* Where it is: kept by the caller from step to step, zero at the beginning. A new beginning does no harm. */
    int64_t shard, after;
};
struct mc_undo_step {
    int64_t restored; /* came back from the trash */
    int64_t
        skipped; /* did not: another message has their id by now, or the archive's copy is damaged */
    int64_t moved;    /* are in the tier that they left */
    int64_t unpacked; /* are no longer compressed */
    bool more;
};

struct mc_store;
struct mc_copy_ops;
struct mc_store_ops {
    const char *name;               /* "sqlite", "postgresql" */
    const struct mc_copy_ops *copy; /* reading and writing everything (store/copy.h); may be NULL */
    void (*close)(struct mc_store *store);

    /* All in one transaction, with a first-stage job for each message created. Concurrent callers share a commit. */
    enum mc_status (*put)(struct mc_store *store, struct mc_put *items, size_t count,
                          struct mc_error *err);
    /* By message id. MC_NOT_FOUND also when the reader may not see it. */
    enum mc_status (*get)(struct mc_store *store, mc_str message_id, const struct mc_reader *reader,
                          struct mc_record **record, struct mc_error *err);
    /*
     * By row, with terms; rows that are gone or not readable are left out; order as asked. Bounded by reader->load: what
     * does not fit is left out, the oldest when they are asked for newest first.
     */
    enum mc_status (*rows)(struct mc_store *store, const int64_t *rows, size_t count,
                           const struct mc_reader *reader, struct mc_records *out,
                           struct mc_error *err);
    /* Newest first. Bounded by reader->load: what does not fit is left out, and all older ones. */
    enum mc_status (*recent)(struct mc_store *store, const struct mc_recent_read *read,
                             struct mc_records *out, struct mc_error *err);
    /* The turns next to each of the rows in its thread that the reader may see; none of a row that is gone or closed to the reader. */
    enum mc_status (*turns)(struct mc_store *store, const int64_t *rows, size_t count,
                            const struct mc_reader *reader, struct mc_turns *out,
                            struct mc_error *err);
    /* Also finds messages that are not indexed yet (the newest MC_PENDING_SCAN of the queue). Free with mc_match_result_fini. */
    enum mc_status (*match)(struct mc_store *store, const struct mc_match_query *query,
                            struct mc_match_result *out, struct mc_error *err);
    enum mc_status (*thread)(struct mc_store *store, mc_str user_id, mc_str thread_id,
                             struct mc_thread_state *state, struct mc_error *err);
    /* Removes message, job, index entry, and summaries that may tell of it; from the trash too. MC_NOT_FOUND as for get, when it is not there either. *removed: one reference, its thread's new version. */
    enum mc_status (*remove)(struct mc_store *store, mc_str message_id,
                             const struct mc_reader *reader, struct mc_record **removed,
                             int64_t *thread_version, struct mc_error *err);

    /*
     * Leases up to limit due jobs of a stage to `lease` (any unique text) until now + lease_us; an expired lease
     * counts as due. A job whose lease ran out is leased alone: if it was what ended the process and does so
     * again, it takes no other job's attempts with it. One that was put back is leased like a fresh one.
     */
    enum mc_status (*claim)(struct mc_store *store, mc_str lease, enum mc_stage stage,
                            int64_t now_us, int64_t lease_us, size_t limit, struct mc_jobs *out,
                            struct mc_error *err);
    enum mc_status (*complete)(struct mc_store *store, mc_str lease, struct mc_completion *items,
                               size_t count, struct mc_error *err);
    enum mc_status (*fail)(struct mc_store *store, mc_str lease, const struct mc_failure *items,
                           size_t count, struct mc_error *err);
    /* The jobs that are leased to `lease` stay so until then. MC_NOT_FOUND when none is any more. */
    enum mc_status (*renew)(struct mc_store *store, mc_str lease, int64_t until_us,
                            struct mc_error *err);
    /*
     * Appends the metadata of the message that was completed last with this content hash. MC_NOT_FOUND when
     * there is none, that message was deleted, or something else was made of it since: a message is found
     * by the hash of its last completion alone.
     */
    enum mc_status (*twin)(struct mc_store *store, mc_str content_hash, struct mc_buf *metadata,
                           struct mc_error *err);
    /* Makes every job leased to `lease` ready again, without counting the attempt. */
    enum mc_status (*release)(struct mc_store *store, mc_str lease, struct mc_error *err);
    enum mc_status (*queue)(struct mc_store *store, int64_t now_us, struct mc_queue_stats *stats,
                            struct mc_error *err);
    enum mc_status (*dead_jobs)(struct mc_store *store, size_t limit, mc_dead_job_fn each,
                                void *context, struct mc_error *err);
    /* Dead jobs ready again at stage first, attempts 0; message_id absent: all. Their messages become pending. */
    enum mc_status (*retry)(struct mc_store *store, mc_str message_id, int64_t now_us,
                            uint64_t *count, struct mc_error *err);
    enum mc_status (*purge)(struct mc_store *store, uint64_t *count, struct mc_error *err);

    /* A user's preferences as the JSON object last set, "" when never. */
    enum mc_status (*preferences)(struct mc_store *store, mc_str user_id, struct mc_buf *json,
                                  struct mc_error *err);
    /*
     * Replaces `old`, which was read before ("": none). MC_CONFLICT: something else is stored by now, or, with
     * `learned`, the user has no signals any more (was erased). Then read again.
     */
    enum mc_status (*set_preferences)(struct mc_store *store, mc_str user_id, mc_str old,
                                      mc_str json, bool learned, struct mc_error *err);
    /* Adds observations (count and weight are added to what is there), and reads all of a user. */
    enum mc_status (*add_signals)(struct mc_store *store, mc_str user_id,
                                  const struct mc_signal *signals, size_t count,
                                  struct mc_error *err);
    enum mc_status (*signals)(struct mc_store *store, mc_str user_id, mc_signal_fn each,
                              void *context, struct mc_error *err);

    /* Adds to what is there for the same day, operation, provider and model; all or nothing. */
    enum mc_status (*add_usage)(struct mc_store *store, const struct mc_usage_row *rows,
                                size_t count, struct mc_error *err);
    /* Of these days, both included, in order of day, operation, provider, model. */
    enum mc_status (*usage)(struct mc_store *store, int64_t first_day, int64_t last_day,
                            mc_usage_fn each, void *context, struct mc_error *err);

    /* The model's number, made when it is new; it is the current one from now on. */
    enum mc_status (*vector_model)(struct mc_store *store, mc_str name, int64_t dimension,
                                   int64_t *number, struct mc_error *err);
    /* In order of their numbers; *waiting: messages that wait for a vector. */
    enum mc_status (*vector_models)(struct mc_store *store, mc_vector_model_fn each, void *context,
                                    int64_t *waiting, struct mc_error *err);
    /* Messages whose vector is due, the longest due first; they are due again after the lease. */
    enum mc_status (*claim_vectors)(struct mc_store *store, int64_t now_us, int64_t lease_us,
                                    size_t limit, struct mc_jobs *out, struct mc_error *err);
    /* Those of messages that are gone are left out, and all when the model is not current any more. */
    enum mc_status (*put_vectors)(struct mc_store *store, int64_t model,
                                  const struct mc_vector_put *items, size_t count,
                                  struct mc_error *err);
    /*
     * One step over what is older, `limit` at most: messages without a vector of the current model wait for one now; then
     * vectors go where `nearest` finds them. *done: nothing is left now.
     */
    enum mc_status (*fill_vectors)(struct mc_store *store, int64_t now_us, size_t limit, bool *done,
                                   struct mc_error *err);
    /*
     * A user's vectors that were put since `have`, in any order; all of them when vectors were removed since
     * (*whole, which is set before the first of them). *now: the state that they make. Nothing is read when nothing has changed.
     */
    enum mc_status (*vectors)(struct mc_store *store, mc_str user_id,
                              const struct mc_vector_state *have, mc_vector_fn each, void *context,
                              bool *whole, struct mc_vector_state *now, struct mc_error *err);
    /*
     * Both NULL where the database cannot search vectors. The models of a user's vectors, if it can search them all now;
     * else, or when there are none, *count is 0. At most `most`.
     */
    enum mc_status (*searchable)(struct mc_store *store, mc_str user_id, int64_t *models,
                                 size_t most, size_t *count, struct mc_error *err);
    /* Exactly: as if all were compared one by one, with numbers rounded to 11 bits. */
    enum mc_status (*nearest)(struct mc_store *store, const struct mc_nearest_query *query,
                              struct mc_nearest *found, struct mc_error *err);

    enum mc_status (*put_agent)(struct mc_store *store, const struct mc_agent_row *agent,
                                struct mc_error *err);
    enum mc_status (*remove_agent)(struct mc_store *store, mc_str agent_id, struct mc_error *err);
    enum mc_status (*agents)(struct mc_store *store, mc_agent_fn each, void *context,
                             struct mc_error *err);
    /* MC_CONFLICT when there is one of that id. */
    enum mc_status (*put_key)(struct mc_store *store, const struct mc_key_row *key,
                              struct mc_error *err);
    enum mc_status (*remove_key)(struct mc_store *store, mc_str key_id, struct mc_error *err);
    /* In order of creation. */
    enum mc_status (*keys)(struct mc_store *store, mc_key_fn each, void *context,
                           struct mc_error *err);
    /* Messages by agent ("" for none), then by visibility name. */
    enum mc_status (*agent_counts)(struct mc_store *store, mc_count_fn by_agent,
                                   mc_count_fn by_visibility, void *context, struct mc_error *err);

    /* Threads that are due for a summary: more than `messages` messages since the last one, or older than `before_us`; up to limit. */
    enum mc_status (*unsummarised)(struct mc_store *store, mc_str user_id, int64_t messages,
                                   int64_t before_us, size_t limit, mc_summary_fn each,
                                   void *context, struct mc_error *err);
    /* MC_CONFLICT: a message of the thread was removed since thread_version, so the summary may tell of it. */
    enum mc_status (*put_summary)(struct mc_store *store, const struct mc_summary *summary,
                                  struct mc_error *err);
    /* A user's summaries, newest first, only of threads whose messages are all readable. */
    enum mc_status (*summaries)(struct mc_store *store, mc_str user_id,
                                const struct mc_reader *reader, size_t limit, mc_summary_fn each,
                                void *context, struct mc_error *err);
    /* What it deletes stays in summaries. MC_CONFLICT: the rule's run is being taken back, or was. */
    enum mc_status (*migrate)(struct mc_store *store, const struct mc_tier_rule *rule,
                              struct mc_tier_step *step, struct mc_error *err);

    /* Trains a new dictionary for the archive if one is due (store/archive.h). MC_INVALID: the messages are not fit for that. */
    enum mc_status (*train)(struct mc_store *store, int64_t now_us, struct mc_error *err);
    /*
     * Compresses messages of the archive, those without a job, at most rule->batch; none while there is no
     * dictionary. They are read as before; the search index, and twin, find them no more. A dry run counts all
     * that migration and this would compress. MC_CONFLICT as for migrate.
     */
    enum mc_status (*pack)(struct mc_store *store, const struct mc_tier_rule *rule,
                           struct mc_pack_step *step, struct mc_error *err);

    /* A new run of tier migration, of one user or (absent) all. MC_CONFLICT: runs are being taken back. */
    enum mc_status (*begin_run)(struct mc_store *store, mc_str user_id, int64_t now_us,
                                int64_t *number, struct mc_error *err);
    /* It has ended; one that has done nothing is forgotten. */
    enum mc_status (*end_run)(struct mc_store *store, int64_t number, int64_t now_us,
                              struct mc_error *err);
    /* Newest first. */
    enum mc_status (*runs)(struct mc_store *store, mc_tier_run_fn each, void *context,
                           struct mc_error *err);
    /*
     * Removes for good what lies in the trash of runs that began before before_us, at most limit messages, and then
     * these runs, but for those that are being taken back. *removed less than limit: all of it.
     */
    enum mc_status (*empty_trash)(struct mc_store *store, int64_t before_us, size_t limit,
                                  int64_t *removed, struct mc_error *err);
    /* From now on the runs from `first` on are being taken back: one that goes on does no more. *last: the newest of them. MC_NOT_FOUND. */
    enum mc_status (*begin_undo)(struct mc_store *store, int64_t first, int64_t *last,
                                 struct mc_error *err);
    /*
     * One step. Messages come back with all that they had, but for their vectors, which are made anew, and with the
     * newest content where one id was deleted several times. With the last step the runs are gone.
     */
    enum mc_status (*undo)(struct mc_store *store, struct mc_undo *undo, struct mc_undo_step *step,
                           struct mc_error *err);

    /*
     * Takes a task that one process does for all of the database: *taken when it is due at now_us, as it is when
     * nobody has ever set when. Then it is due again at until_us, so that another takes it up if this one dies.
     */
    enum mc_status (*take_task)(struct mc_store *store, mc_str task, int64_t now_us,
                                int64_t until_us, bool *taken, struct mc_error *err);
    /* When the task is due next, in place of what was set before. */
    enum mc_status (*set_task)(struct mc_store *store, mc_str task, int64_t due_us,
                               struct mc_error *err);

    enum mc_status (*erase)(struct mc_store *store, mc_str user_id, struct mc_erased *erased,
                            struct mc_error *err);
    /*
     * What was copied out of the store is of its generation, a number that no other database has. It is another one from
     * then on when a user was erased, and when a backup has taken the database's place: what was copied before may be
     * of messages that are not there, or are others by now, and must go.
     */
    enum mc_status (*generation)(struct mc_store *store, int64_t *generation, struct mc_error *err);
    /*
     * Overwrites what was deleted where it still lies in the file, the index and the log included, which may take half a
     * minute. False: it could not, or cannot, as on a server.
     */
    bool (*wipe)(struct mc_store *store);
    /* A user's messages, oldest first; reads in pages, so `each` may take its time. */
    enum mc_status (*export_user)(struct mc_store *store, mc_str user_id,
                                  const struct mc_reader *reader, mc_record_fn each, void *context,
                                  struct mc_error *err);
    enum mc_status (*users)(struct mc_store *store, mc_name_fn each, void *context,
                            struct mc_error *err);
    /*
     * Those that have messages: users whose ids begin with prefix in their order, a user's threads with the newest message first; at
     * most limit, behind `after` (absent: from the first; a thread that is not there: nothing).
     */
    enum mc_status (*list_users)(struct mc_store *store, mc_str prefix, mc_str after, size_t limit,
                                 mc_listed_fn each, void *context, struct mc_error *err);
    enum mc_status (*list_threads)(struct mc_store *store, mc_str user_id, mc_str after,
                                   size_t limit, mc_listed_fn each, void *context,
                                   struct mc_error *err);
    enum mc_status (*stats)(struct mc_store *store, struct mc_store_stats *stats,
                            struct mc_error *err);
    /* Cheap enough to ask every few seconds. */
    enum mc_status (*room)(struct mc_store *store, struct mc_store_room *room,
                           struct mc_error *err);
    /* Cheap proof that it can read and write now. */
    enum mc_status (*ping)(struct mc_store *store, struct mc_error *err);
    /* Full check of the data: each problem found is one call with its text. */
    enum mc_status (*check)(struct mc_store *store, mc_name_fn problem, void *context,
                            struct mc_error *err);
    enum mc_status (*backup)(struct mc_store *store, const char *path, mc_progress_fn progress,
                             void *context, struct mc_error *err);
    /*
     * One call for each copy of the database; NULL: this back-end has none. wait_us: how long to wait at most for the
     * first look at them, after the store was opened.
     */
    void (*replicas)(struct mc_store *store, int64_t wait_us, mc_replica_fn each, void *context);
};

struct mc_store {
    const struct mc_store_ops *ops;
    /*
     * The same store for assembling contexts: its match, rows, turns, recent, summaries and preferences may come from a
     * copy of the database that is a little behind. What the caller's own process has written to the user is always
     * there, what others have written as soon as elsewhere. NULL: there is no other. Not closed.
     */
    struct mc_store *lagging;
};

static inline struct mc_store *mc_store_lagging(struct mc_store *store)
{
    return store->lagging ? store->lagging : store;
}

/* Messages waiting for the index that a search looks at one by one. */
#define MC_PENDING_SCAN 256

void mc_match_result_fini(struct mc_match_result *result);

/* Called from the store's own thread when another process has changed the data. Must not block. */
typedef void (*mc_foreign_change_fn)(void *context);

#endif
