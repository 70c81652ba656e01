/*
 * Answers by key, each until its time; above the limits those go first that were not used for longest.
 * Not thread-safe; times are monotonic and given by the caller.
 */
#ifndef MC_CONTEXT_ANSWER_CACHE_H
#define MC_CONTEXT_ANSWER_CACHE_H

#include "base/list.h"
#include "base/map.h"
#include "context/answer.h"

#define MC_ANSWER_CACHE_COUNT 1000
#define MC_ANSWER_CACHE_BYTES ((size_t)8 << 20) /* keys and answers */

struct mc_answer_cache {
    struct mc_map map;
    struct mc_list used; /* the most recently used first */
    size_t count;
    size_t bytes;
};

void mc_answer_cache_init(struct mc_answer_cache *cache);
void mc_answer_cache_fini(struct mc_answer_cache *cache);

/* Borrowed until the cache is changed; NULL when there is none whose time has not come. */
struct mc_source_answer *mc_answer_cache_get(struct mc_answer_cache *cache, mc_str key,
                                             int64_t now_us);
/* Keeps a reference. Out of memory it is not kept, and what was there under the key is gone. */
void mc_answer_cache_put(struct mc_answer_cache *cache, mc_str key, mc_str user_id, uint64_t source,
                         struct mc_source_answer *answer, int64_t expires_us);
/* user_id absent: all. */
void mc_answer_cache_forget_user(struct mc_answer_cache *cache, mc_str user_id);
void mc_answer_cache_forget_source(struct mc_answer_cache *cache, uint64_t source);

#endif
