/*
 * The cache: the newest messages of threads, in memory or in LMDB behind one interface.
 *
 * An entry is the newest messages of one thread, at most max_size, with the thread's version in the
 * store (store/store.h) that it reflects. A change is applied only to an entry that reflects the
 * version just before; an entry that missed one is dropped. So an entry is never wrong, at worst
 * cold.
 *
 * Keys are (user, thread) as lengths and bytes. Time is a parameter. Every function may be called
 * from any thread. Nothing here fails towards the caller of a read: a cache in trouble reads as a
 * miss and counts an error.
 */
#ifndef MC_CACHE_CACHE_H
#define MC_CACHE_CACHE_H

#include "message/record.h"

/* What one read of a cache on disk copies of messages at most; a longer one is a miss. */
#define MC_CACHE_READ_BYTES ((size_t)4 << 20)

struct mc_cache_options {
    const char *dir;  /* LMDB only: folder, made when missing (one level of parents too) */
    size_t max_size;  /* messages of a thread, 1..10000 */
    int64_t ttl_us;   /* 0: none. Age since the entry was last filled or changed */
    size_t max_bytes; /* of all entries; least recently used threads leave first */
};

struct mc_cache_stats {
    uint64_t hits, misses, evictions, expirations, errors;
    uint64_t threads, messages, bytes;
    uint64_t invalidations;             /* threads dropped by request */
    uint64_t by_topic, by_user, by_age; /* the reasons of invalidations, where one is known */
    uint64_t by_change;                 /* threads dropped because a version was missed */
    int64_t last_invalidation_us;       /* 0: never */
};

struct mc_cache_read {
    int64_t version; /* of the thread, as the entry reflects it */
    bool complete;   /* the entry holds the whole thread */
    /*
     * Confirmed since it was made and since the last doubt. False: compare version with the
     * store's, then confirm or fill. A new entry is not verified, however it was made: a change may
     * have overtaken what was read from the store, and an entry on disk is older than this process.
     */
    bool verified;
};

struct mc_cache;
struct mc_cache_ops {
    const char *name; /* "memory", "lmdb" */
    void (*close)(struct mc_cache *cache);
    /*
     * The newest `limit` messages, newest first, as references added to out. A hit is true: the
     * entry exists, is not expired, and holds at least limit messages or is complete. Counts a hit
     * or a miss. On a miss out and read are untouched.
     */
    bool (*get)(struct mc_cache *cache, mc_str user_id, mc_str thread_id, size_t limit,
                int64_t now_us, struct mc_records *out, struct mc_cache_read *read);
    /*
     * Replaces the entry. records: newest first; complete: they are the whole thread (before
     * cutting to max_size).
     */
    void (*fill)(struct mc_cache *cache, mc_str user_id, mc_str thread_id,
                 struct mc_record *const *records, size_t count, int64_t version, bool complete,
                 int64_t now_us);
    /*
     * A message was stored and made `version`; messages is the thread's count with it. Makes an
     * entry when the thread is new (messages 1); no entry: nothing to do. Keeps the order
     * (created_at, row).
     */
    void (*append)(struct mc_cache *cache, struct mc_record *record, int64_t version,
                   int64_t messages, int64_t now_us);
    /*
     * A message was enriched, making `version`: replaces it in place (if the entry still holds it).
     * topics: those in the record's metadata, which is not parsed here.
     */
    void (*update)(struct mc_cache *cache, struct mc_record *record, int64_t version,
                   const mc_str *topics, size_t topic_count, int64_t now_us);
    /*
     * The store was asked after a get that was not verified, and answered `version`: an entry of
     * that version is verified from now on, unless a doubt came between the get and this.
     */
    void (*confirm)(struct mc_cache *cache, mc_str user_id, mc_str thread_id, int64_t version);
    /* Another process may have changed the store: every entry must be verified again. */
    void (*doubt)(struct mc_cache *cache);
    /*
     * Each returns the number of threads dropped. thread_id absent: all of the user; user_id
     * absent: everything. Topic: threads of which a message held here has it in its metadata's
     * "topics". Older: not filled or changed for max_age_us or more.
     */
    uint64_t (*drop)(struct mc_cache *cache, mc_str user_id, mc_str thread_id, int64_t now_us);
    uint64_t (*drop_topic)(struct mc_cache *cache, mc_str topic, int64_t now_us);
    uint64_t (*drop_older)(struct mc_cache *cache, int64_t max_age_us, int64_t now_us);
    /*
     * Overwrites what was dropped where it still lies in files, for which a cache on disk drops all
     * that it has. False: it could not, or a reader was in the way.
     */
    bool (*wipe)(struct mc_cache *cache, int64_t now_us);
    /* Of which generation of the store (store/store.h) what is kept is, as was noted last, by any process; 0: never. */
    int64_t (*generation)(struct mc_cache *cache);
    void (*set_generation)(struct mc_cache *cache, int64_t generation);
    void (*stats)(struct mc_cache *cache, struct mc_cache_stats *stats);
};

struct mc_cache {
    const struct mc_cache_ops *ops;
};

MC_MUST_CHECK enum mc_status mc_cache_memory_open(const struct mc_cache_options *options,
                                                  struct mc_cache **cache, struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_cache_lmdb_open(const struct mc_cache_options *options,
                                                struct mc_cache **cache, struct mc_error *err);

#endif
