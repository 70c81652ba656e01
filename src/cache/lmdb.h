/*
 * The disk cache from the inside, for the files that implement it: lmdb.c (reads, life),
 * lmdb_write.c (transactions, fill, append, update) and lmdb_drop.c.
 */
#ifndef MC_CACHE_LMDB_H
#define MC_CACHE_LMDB_H

#include "cache/lmdb_seen.h"
#include "cache/lmdb_tree.h"

enum mc_lmdb_count {
    MC_LMDB_HITS,
    MC_LMDB_MISSES,
    MC_LMDB_EVICTIONS,
    MC_LMDB_EXPIRATIONS,
    MC_LMDB_ERRORS,
    MC_LMDB_INVALIDATIONS,
    MC_LMDB_BY_TOPIC,
    MC_LMDB_BY_USER,
    MC_LMDB_BY_AGE,
    MC_LMDB_BY_CHANGE,
    MC_LMDB_COUNT
};

struct mc_lmdb_cache {
    struct mc_cache base;
    struct mc_cache_options options;
    struct mc_lmdb_env *env;
    struct mc_seen seen;
    atomic_uint_fast64_t next_entry_no;
    atomic_uint_fast64_t counts[MC_LMDB_COUNT];
    _Atomic int64_t last_invalidation_us;
    _Atomic int64_t logged_us; /* monotonic time of the last line about a failure */
};

/* A write transaction and what it did, which counts only once it is committed. */
struct mc_lmdb_write {
    struct mc_lmdb_cache *cache;
    struct mc_tree tree;
    int64_t now_us;
    uint64_t evictions, expirations, by_change, dropped;
};
typedef int (*mc_lmdb_write_fn)(struct mc_lmdb_write *write, void *context);

/*
 * An entry may hold this many messages more than max_size, which nobody is given: cutting them off
 * together costs less than one with each append.
 */
static inline size_t mc_lmdb_slack(const struct mc_lmdb_cache *cache)
{
    size_t slack = cache->options.max_size / 8;
    return slack < 32 ? slack : 32;
}

static inline struct mc_lmdb_cache *mc_lmdb_of(struct mc_cache *cache)
{
    return (struct mc_lmdb_cache *)(void *)cache; /* base comes first */
}

static inline void mc_lmdb_count_add(struct mc_lmdb_cache *cache, enum mc_lmdb_count count,
                                     uint64_t value)
{
    if (value > 0)
        atomic_fetch_add_explicit(&cache->counts[count], value, memory_order_relaxed);
}

/* Counts a failure and says it, at most once a minute. rc: LMDB's code. */
void mc_lmdb_note_failure(struct mc_lmdb_cache *cache, const char *doing, int rc);

/*
 * Runs a write transaction, makes room first where the map is full, and commits. False on failure,
 * which is counted and raises a doubt. *dropped (may be NULL) is added to. `run` may be called
 * twice; when it returns MC_LMDB_NOTHING the transaction is given up, which is a success.
 */
#define MC_LMDB_NOTHING 1
bool mc_lmdb_run(struct mc_lmdb_cache *cache, const char *doing, mc_lmdb_write_fn run,
                 void *context, int64_t now_us, uint64_t *dropped);

/* Members of mc_cache_ops. */
void mc_lmdb_fill(struct mc_cache *base, mc_str user_id, mc_str thread_id,
                  struct mc_record *const *records, size_t count, int64_t version, bool complete,
                  int64_t now_us);
void mc_lmdb_append(struct mc_cache *base, struct mc_record *record, int64_t version,
                    int64_t messages, int64_t now_us);
void mc_lmdb_update(struct mc_cache *base, struct mc_record *record, int64_t version,
                    const mc_str *topics, size_t topic_count, int64_t now_us);
uint64_t mc_lmdb_drop(struct mc_cache *base, mc_str user_id, mc_str thread_id, int64_t now_us);
uint64_t mc_lmdb_drop_topic(struct mc_cache *base, mc_str topic, int64_t now_us);
uint64_t mc_lmdb_drop_older(struct mc_cache *base, int64_t max_age_us, int64_t now_us);
bool mc_lmdb_wipe(struct mc_cache *base, int64_t now_us);

#endif
