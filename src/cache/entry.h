/*
 * What an entry of the cache is, whichever back-end keeps it: the rules of versions, age and order,
 * and the topics of its messages. Pure functions.
 */
#ifndef MC_CACHE_ENTRY_H
#define MC_CACHE_ENTRY_H

#include "cache/cache.h"

#define MC_CACHE_SIZE_MAX 10000 /* messages of a thread */

/* MC_INVALID, naming the option, unless the options are within their limits. */
MC_MUST_CHECK enum mc_status mc_cache_check_options(const struct mc_cache_options *options,
                                                    struct mc_error *err);

/* What becomes of an entry that reflects `held` when a change made `made`. */
enum mc_entry_verdict {
    MC_ENTRY_APPLY,  /* the change that comes next */
    MC_ENTRY_IGNORE, /* the entry was filled after it and has it */
    MC_ENTRY_DROP    /* a change between was missed */
};
static inline enum mc_entry_verdict mc_entry_judge(int64_t held, int64_t made)
{
    if (made <= held)
        return MC_ENTRY_IGNORE;
    return made - 1 == held ? MC_ENTRY_APPLY : MC_ENTRY_DROP;
}

/* A clock that was set back makes nothing old. max_age_us 0: as old as it gets. */
static inline bool mc_entry_older(int64_t changed_us, int64_t max_age_us, int64_t now_us)
{
    return now_us >= changed_us && now_us - changed_us >= max_age_us;
}
static inline bool mc_entry_expired(int64_t changed_us, int64_t ttl_us, int64_t now_us)
{
    return ttl_us > 0 && mc_entry_older(changed_us, ttl_us, now_us);
}

/* The order of a thread: negative when a comes before b, 0 for the same message. */
static inline int mc_entry_order(const struct mc_record *a, const struct mc_record *b)
{
    if (a->m.created_at_us != b->m.created_at_us)
        return a->m.created_at_us < b->m.created_at_us ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

/* Room for `more` further references; false when out of memory. */
MC_MUST_CHECK bool mc_entry_reserve(struct mc_records *records, size_t more);

/*
 * A 64-bit hash that is the same in every process on machines of one byte order: 16 bytes a step,
 * each folded by a 128-bit product (the construction of wyhash, Wang Yi 2019). Not cryptographic.
 */
uint64_t mc_entry_hash(uint64_t seed, const void *bytes, size_t len);

/*
 * Topics. An entry keeps one bit for each topic of its messages, by hash: an entry without the bit
 * has no message of the topic; one with it is looked at, message by message. Topics are the strings
 * of the array under the metadata's own key "topics"; text that is not JSON has none.
 */
uint64_t mc_entry_topic_bit(mc_str topic);
uint64_t mc_entry_topic_bits(mc_str metadata);
bool mc_entry_has_topic(mc_str metadata, mc_str topic);

#endif
