/*
 * Users' vectors in memory, to be searched: read from the store when a user is first asked for, and brought up to
 * date with what is new before each use. Bounded; users asked for longest ago leave first. Any thread.
 */
#ifndef MC_CONTEXT_VECTOR_CACHE_H
#define MC_CONTEXT_VECTOR_CACHE_H

#include "base/list.h"
#include "base/map.h"
#include "base/thread.h"
#include "context/vector_access.h"
#include "store/store.h"
#include "vector/vector.h"

/* A user's vectors of one model. */
struct mc_vector_set {
    struct mc_vector_set *next;
    int64_t model;
    struct mc_vectors vectors;
    struct mc_vector_place {
        int64_t row, created_at_us;
        uint64_t thread; /* mc_str_hash of its id */
        size_t class;    /* of access, mc_vector_classes_of */
    } * places;          /* one a vector */
    size_t place_capacity;
    int64_t highest; /* row */
};

struct mc_vector_entry {
    mc_mutex
        mutex; /* guards the sets; held while they are read from the store, so that a user is read once */
    struct mc_vector_set *sets;
    struct mc_vector_classes classes;
    struct mc_vector_state state;
    size_t bytes;
    /* Of the cache, under its mutex: */
    struct mc_list link;
    unsigned refs, asked; /* asked: how often */
    bool listed;
    size_t counted_bytes;
    char *user_id;
};

struct mc_vector_cache {
    struct mc_store *store;
    size_t max_bytes;
    mc_mutex mutex; /* guards what follows; never held across the store or an entry's mutex */
    struct mc_map users;
    struct mc_list recent; /* of entries, the one used last first */
    size_t bytes;
};

void mc_vector_cache_init(struct mc_vector_cache *cache, struct mc_store *store, size_t max_bytes);
/* Nobody may use it any more. */
void mc_vector_cache_fini(struct mc_vector_cache *cache);

/*
 * Whether a user has been asked for so often that his vectors belong in memory. Reading them takes as long as some
 * searches by the database: who is asked for once is not worth it.
 */
bool mc_vector_cache_wants(struct mc_vector_cache *cache, mc_str user_id);
/* The user's vectors as they are now, with the entry's mutex held; given back with mc_vector_cache_release. */
MC_MUST_CHECK enum mc_status mc_vector_cache_acquire(struct mc_vector_cache *cache, mc_str user_id,
                                                     struct mc_vector_entry **entry,
                                                     struct mc_error *err);
void mc_vector_cache_release(struct mc_vector_cache *cache, struct mc_vector_entry *entry);
/* Drops a user's vectors, at the latest when their present use ends. */
void mc_vector_cache_forget(struct mc_vector_cache *cache, mc_str user_id);

#endif
