/*
 * A part of the cache in memory, under one lock: a hash table of entries, chains of the entries of
 * a user, and the list of use. The functions that take a shard are called with its lock held.
 */
#ifndef MC_CACHE_SHARD_H
#define MC_CACHE_SHARD_H

#include "base/compiler.h"
#include "base/list.h"
#include "base/thread.h"
#include "cache/window.h"

#define MC_SHARD_COUNT 32
#define MC_SHARD_BUCKETS 16

struct mc_shard_entry {
    struct mc_shard_entry *next; /* in its bucket */
    struct mc_list of_user;      /* in the chain of its user's bucket */
    struct mc_list use;          /* in the shard's list, most recently used first */
    uint64_t hash;
    uint64_t user_hash;
    int64_t version;
    int64_t changed_us;
    int64_t used_us;
    uint64_t verified; /* the epoch in which it was compared with the store; 0: never */
    uint64_t asked;    /* the epoch in which a read found that it must be; 0: none did since */
    uint64_t topic_bits;
    size_t bytes;
    struct mc_window window;
    size_t user_len, thread_len;
    char ids[]; /* user, thread */
};

struct mc_shard {
    _Alignas(64) mc_mutex lock; /* guards all but oldest_us */
    struct mc_shard_entry **buckets;
    struct mc_list *users; /* as many as buckets */
    size_t bucket_count;   /* a power of two */
    struct mc_list use;
    uint64_t threads, messages;
    struct mc_cache_stats counts;
    /* Use of the least recently used entry, INT64_MAX when there is none. */
    _Atomic int64_t oldest_us;
};

struct mc_cache_memory {
    struct mc_cache base;
    struct mc_cache_options options;
    uint64_t seed;
    _Atomic uint64_t epoch;
    _Atomic int64_t generation; /* of the store */
    atomic_size_t bytes;
    _Atomic int64_t last_invalidation_us;
    struct mc_shard shards[MC_SHARD_COUNT];
};

/* Which entry, with its hashes. */
struct mc_shard_place {
    mc_str user_id, thread_id;
    uint64_t user_hash, hash;
    struct mc_shard *shard;
};

struct mc_shard_place mc_shard_locate(struct mc_cache_memory *memory, mc_str user_id,
                                      mc_str thread_id);
/* NULL when there is none. */
struct mc_shard_entry *mc_shard_find(const struct mc_shard_place *where);
bool mc_shard_is_user(const struct mc_shard_entry *entry, mc_str user_id);
/* It was used now. */
void mc_shard_touch(struct mc_shard *shard, struct mc_shard_entry *entry, int64_t now_us);
/* Counts what the entry holds after a change, in the shard and in the whole. */
void mc_shard_account(struct mc_cache_memory *memory, struct mc_shard *shard,
                      struct mc_shard_entry *entry, size_t count_before);
/* Out of the shard and onto a list, to be freed after unlocking. */
void mc_shard_take(struct mc_cache_memory *memory, struct mc_shard *shard,
                   struct mc_shard_entry *entry, struct mc_shard_entry **taken);
void mc_shard_free_taken(struct mc_shard_entry **taken);
/* A table of another size, a power of two. False: out of memory, as it was. */
bool mc_shard_set_buckets(struct mc_shard *shard, size_t count);
/* An empty entry that is in no shard yet; NULL: out of memory. */
struct mc_shard_entry *mc_shard_entry_new(const struct mc_shard_place *where);
void mc_shard_put(struct mc_cache_memory *memory, struct mc_shard *shard,
                  struct mc_shard_entry *entry, int64_t now_us);
/* Evicts until all shards together are within the bound. Called without a lock. */
void mc_shards_shrink(struct mc_cache_memory *memory);

#endif
