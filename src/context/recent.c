#include "context/context.h"

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"

/*
 * DESIGN. The cache holds threads unfiltered, so one entry serves every reader; the reader's rule
 * is applied to what leaves it. Where the rule leaves too few of a cached thread, the store is
 * asked, which filters while it reads.
 *
 * The cache is never wrong: an entry is made of messages and version of one moment. What changed since, and may have
 * passed the cache before the entry existed, or is not in the copy of the database yet from which they came,
 * shows when the entry is used first: its version is compared with the store's own, which is never behind.
 */

/* Adds references to the messages that the reader may see, at most read->limit and as many as it may load. */
static enum mc_status take_allowed(const struct mc_records *from, const struct mc_recent_read *read,
                                   struct mc_records *out, struct mc_error *err)
{
    bool all = mc_reader_unfiltered(read->reader);
    for (size_t i = 0; i < from->count && out->count < read->limit; i++) {
        struct mc_record *record = from->items[i];
        if (!all && !mc_reader_allows(read->reader, &record->m))
            continue;
        if (!mc_load_take(read->reader->load, record))
            break;
        if (!mc_records_push(out, mc_record_ref(record)))
            return mc_fail_memory(err);
    }
    return MC_OK;
}

/* A hit that another process may have made stale is compared with the store. */
static enum mc_status verify(const struct mc_retrieval *r, const struct mc_recent_read *read,
                             const struct mc_cache_read *cached, int64_t now_us, bool *fresh,
                             struct mc_error *err)
{
    *fresh = cached->verified;
    if (cached->verified)
        return MC_OK;
    struct mc_thread_state state;
    enum mc_status status =
        r->store->ops->thread(r->store, read->user_id, read->thread_id, &state, err);
    if (status)
        return status;
    *fresh = state.exists && state.version == cached->version;
    if (*fresh)
        r->cache->ops->confirm(r->cache, read->user_id, read->thread_id, state.version);
    else
        (void)r->cache->ops->drop(r->cache, read->user_id, read->thread_id, now_us);
    return MC_OK;
}

/*
 * Reads the thread's newest messages and makes the entry of them, unless they are so long that an entry is of no use: then
 * those that were read serve only this time.
 */
static enum mc_status fill(const struct mc_retrieval *r, const struct mc_recent_read *read,
                           int64_t now_us, struct mc_records *all, bool *complete,
                           struct mc_error *err)
{
    struct mc_load load = {.memory = NULL};
    struct mc_reader reader = {.everything = true, .load = &load};
    struct mc_thread_state state;
    struct mc_recent_read whole = *read;
    mc_load_begin(&load, MC_CACHE_READ_BYTES);
    whole.limit = r->cache_max_size;
    whole.reader = &reader;
    whole.state = &state;
    enum mc_status status = r->store->ops->recent(r->store, &whole, all, err);
    if (status)
        return status;
    *complete =
        !load.full && (all->count < r->cache_max_size || state.messages == (int64_t)all->count);
    if (state.exists && !load.full)
        r->cache->ops->fill(r->cache, read->user_id, read->thread_id, all->items, all->count,
                            state.version, *complete, now_us);
    return MC_OK;
}

/*
 * What the cache has, else what the store has, the cache filled on the way. For a reader that may
 * not see all, everything that an entry can hold: *complete then says that there is no more.
 */
static enum mc_status read_cached(const struct mc_retrieval *r, const struct mc_recent_read *read,
                                  int64_t now_us, struct mc_records *all, bool *complete,
                                  struct mc_error *err)
{
    struct mc_cache_read cached = {0};
    bool fresh = false;
    size_t limit = mc_reader_unfiltered(read->reader) ? read->limit : r->cache_max_size;
    if (r->cache->ops->get(r->cache, read->user_id, read->thread_id, limit, now_us, all, &cached)) {
        enum mc_status status = verify(r, read, &cached, now_us, &fresh, err);
        if (status)
            return status;
    }
    mc_metrics_add(r->metrics, fresh ? MC_COUNT_CACHE_HIT : MC_COUNT_CACHE_MISS, 1);
    *complete = all->count < limit || (cached.complete && limit == r->cache_max_size);
    if (fresh)
        return MC_OK;
    mc_records_fini(all);
    return fill(r, read, now_us, all, complete, err);
}

static void hand_over(struct mc_records *from, struct mc_records *out)
{
    mc_records_fini(out);
    *out = *from;
    *from = (struct mc_records){0};
}

enum mc_status mc_retrieve_recent(const struct mc_retrieval *r, const struct mc_recent_read *read,
                                  int64_t now_us, struct mc_records *out, struct mc_error *err)
{
    mc_auto(mc_records_fini) struct mc_records found = {0};
    struct mc_load *load = read->reader->load;
    size_t mark = mc_load_mark(load);
    enum mc_status status;
    if (!mc_str_given(read->before) && read->limit <= r->cache_max_size) {
        mc_auto(mc_records_fini) struct mc_records all = {0};
        bool complete;
        status = read_cached(r, read, now_us, &all, &complete, err);
        if (!status)
            status = take_allowed(&all, read, &found, err);
        if (status)
            return status;
        if (found.count == read->limit || complete || mc_load_is_full(load)) {
            hand_over(&found, out);
            return MC_OK;
        }
        mc_records_fini(&found);
        mc_load_rewind(load, mark);
    }
    status = r->store->ops->recent(r->store, read, &found, err);
    if (!status)
        hand_over(&found, out);
    return status;
}
