/*
 * DESIGN. The cache in LMDB. Reads take a pooled read transaction and block nobody; each change is
 * one write transaction (cache/lmdb_write.c), of which LMDB lets one run at a time among all
 * processes. A change that could not be written leaves an entry behind the store, so it raises a
 * doubt: the store decides until entries have been compared again.
 *
 * Use. A read does not write. The order of use in the file has for each entry a time at or before
 * its last use; the time in the head and this process's own memory (cache/lmdb_seen.h) are later.
 * The bound on bytes takes the first of that order, moves it back if it was used since, else evicts
 * it: the least recently used leaves first, at no cost to reads. For other processes the head's
 * time is brought up to date every USE_INTERVAL_US.
 *
 * Bytes are the pages of both trees. Freed pages are used again before the file grows.
 */
#include "cache/lmdb.h"

#include <errno.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/id.h"
#include "base/time.h"

#define USE_INTERVAL_US (300 * MC_US_PER_SECOND)
/* For the table of what was seen: a thread takes about this much. */
#define ENTRY_BYTES_USUAL 8192

/* ---- Reading ---- */

static int remove_expired(struct mc_lmdb_write *write, void *context)
{
    const struct mc_tree_id *id = context;
    struct mc_tree_head head;
    bool removed;
    int rc = mc_tree_find(&write->tree, id, &head);
    /* Another thread may have filled it meanwhile. */
    if (rc == MDB_NOTFOUND ||
        (rc == 0 &&
         !mc_entry_expired(head.changed_us, write->cache->options.ttl_us, write->now_us)))
        return MC_LMDB_NOTHING;
    rc = mc_tree_remove(&write->tree, id->prefix, &removed);
    write->expirations += removed;
    return rc;
}

static int remove_damaged(struct mc_lmdb_write *write, void *context)
{
    const struct mc_tree_id *id = context;
    bool removed;
    return mc_tree_remove(&write->tree, id->prefix, &removed);
}

static int write_use(struct mc_lmdb_write *write, void *context)
{
    const struct mc_tree_id *id = context;
    struct mc_tree_head head;
    int rc = mc_tree_find(&write->tree, id, &head);
    if (rc != 0 || head.used_us >= write->now_us)
        return rc == 0 || rc == MDB_NOTFOUND ? MC_LMDB_NOTHING : rc;
    head.used_us = write->now_us;
    return mc_tree_put_head(&write->tree, id, &head);
}

static int stop_reading(struct mc_records *out, size_t count, int rc)
{
    while (count-- > 0)
        mc_record_unref(out->items[--out->count]);
    if (out->count == 0)
        mc_records_fini(out);
    return rc;
}

/* MDB_NOTFOUND: they are too long to be copied. */
static int read_messages(struct mc_tree *tree, const struct mc_tree_id *id, size_t count,
                         struct mc_records *out)
{
    size_t bytes = 0;
    if (!mc_entry_reserve(out, count))
        return ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct mc_record *record;
        int rc = mc_tree_older(tree, id, &record);
        if (rc != 0)
            return stop_reading(out, i, rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc);
        out->items[out->count++] = record;
        bytes += record->size_bytes;
        if (bytes > MC_CACHE_READ_BYTES)
            return stop_reading(out, i + 1, MDB_NOTFOUND);
    }
    return 0;
}

/* MDB_NOTFOUND: a miss. *expired: because of its age. */
static int read_entry(struct mc_lmdb_cache *cache, const struct mc_tree_id *id, size_t limit,
                      int64_t now_us, struct mc_records *out, struct mc_tree_head *head,
                      bool *expired)
{
    struct mc_lmdb_reader *reader;
    int rc = mc_lmdb_read_begin(cache->env, &reader);
    if (rc != 0)
        return rc;
    struct mc_tree tree = {cache->env, reader->txn, reader->cursor};
    rc = mc_tree_find(&tree, id, head);
    if (rc == 0) {
        *expired = mc_entry_expired(head->changed_us, cache->options.ttl_us, now_us);
        size_t max_size = cache->options.max_size;
        /* Kept under another max_size, it may hold more than now. */
        head->complete = head->complete && head->count <= max_size;
        bool enough = head->complete || (head->count >= limit && limit <= max_size);
        rc = *expired || !enough
                 ? MDB_NOTFOUND
                 : read_messages(&tree, id, head->count < limit ? head->count : limit, out);
    }
    mc_lmdb_read_end(cache->env, reader);
    return rc;
}

static bool lmdb_get(struct mc_cache *base, mc_str user_id, mc_str thread_id, size_t limit,
                     int64_t now_us, struct mc_records *out, struct mc_cache_read *read)
{
    struct mc_lmdb_cache *cache = mc_lmdb_of(base);
    struct mc_tree_id id = mc_tree_id(cache->env, user_id, thread_id);
    struct mc_tree_head head;
    bool expired = false;
    int rc = read_entry(cache, &id, limit, now_us, out, &head, &expired);
    if (rc != 0) {
        mc_lmdb_count_add(cache, MC_LMDB_MISSES, 1);
        if (expired)
            (void)mc_lmdb_run(cache, "drop an old thread", remove_expired, &id, now_us, NULL);
        else if (rc != MDB_NOTFOUND)
            mc_lmdb_note_failure(cache, "read a thread", rc);
        if (rc == MDB_CORRUPTED)
            (void)mc_lmdb_run(cache, "drop a damaged thread", remove_damaged, &id, now_us, NULL);
        return false;
    }
    mc_lmdb_count_add(cache, MC_LMDB_HITS, 1);
    bool verified = mc_seen_read(&cache->seen, head.entry_no, head.version, now_us);
    *read = (struct mc_cache_read){head.version, head.complete != 0, verified};
    if (now_us - head.used_us > USE_INTERVAL_US &&
        mc_seen_write_due(&cache->seen, head.entry_no, now_us, USE_INTERVAL_US))
        (void)mc_lmdb_run(cache, "note the use of a thread", write_use, &id, now_us, NULL);
    return true;
}

static void lmdb_confirm(struct mc_cache *base, mc_str user_id, mc_str thread_id, int64_t version)
{
    struct mc_lmdb_cache *cache = mc_lmdb_of(base);
    struct mc_tree_id id = mc_tree_id(cache->env, user_id, thread_id);
    struct mc_lmdb_reader *reader;
    struct mc_tree_head head;
    int rc = mc_lmdb_read_begin(cache->env, &reader);
    if (rc == 0) {
        struct mc_tree tree = {cache->env, reader->txn, reader->cursor};
        rc = mc_tree_find(&tree, &id, &head);
        mc_lmdb_read_end(cache->env, reader);
    }
    if (rc == 0 && head.version == version)
        mc_seen_confirm(&cache->seen, head.entry_no, version);
    else if (rc != 0 && rc != MDB_NOTFOUND && rc != MDB_CORRUPTED)
        mc_lmdb_note_failure(cache, "read a thread", rc);
}

static void lmdb_doubt(struct mc_cache *base)
{
    mc_seen_doubt(&mc_lmdb_of(base)->seen);
}

static int64_t lmdb_generation(struct mc_cache *base)
{
    return mc_lmdb_env_generation(mc_lmdb_of(base)->env);
}

static void lmdb_set_generation(struct mc_cache *base, int64_t generation)
{
    struct mc_lmdb_cache *cache = mc_lmdb_of(base);
    int rc = mc_lmdb_env_set_generation(cache->env, generation);
    if (rc != 0)
        mc_lmdb_note_failure(cache, "note the generation of the database", rc);
}

/* ---- Life ---- */

static void lmdb_stats(struct mc_cache *base, struct mc_cache_stats *stats)
{
    struct mc_lmdb_cache *cache = mc_lmdb_of(base);
    struct mc_cache_stats now = {0};
    struct mc_lmdb_reader *reader;
    int rc = mc_lmdb_read_begin(cache->env, &reader);
    if (rc == 0) {
        struct mc_tree tree = {cache->env, reader->txn, reader->cursor};
        rc = mc_tree_size(&tree, &now.threads, &now.messages, &now.bytes);
        mc_lmdb_read_end(cache->env, reader);
    }
    if (rc != 0)
        mc_lmdb_note_failure(cache, "count its threads", rc);
    uint64_t *const fields[MC_LMDB_COUNT] = {
        [MC_LMDB_HITS] = &now.hits,           [MC_LMDB_MISSES] = &now.misses,
        [MC_LMDB_EVICTIONS] = &now.evictions, [MC_LMDB_EXPIRATIONS] = &now.expirations,
        [MC_LMDB_ERRORS] = &now.errors,       [MC_LMDB_INVALIDATIONS] = &now.invalidations,
        [MC_LMDB_BY_TOPIC] = &now.by_topic,   [MC_LMDB_BY_USER] = &now.by_user,
        [MC_LMDB_BY_AGE] = &now.by_age,       [MC_LMDB_BY_CHANGE] = &now.by_change,
    };
    for (size_t i = 0; i < MC_LMDB_COUNT; i++)
        *fields[i] = atomic_load_explicit(&cache->counts[i], memory_order_relaxed);
    now.last_invalidation_us =
        atomic_load_explicit(&cache->last_invalidation_us, memory_order_relaxed);
    *stats = now;
}

static void lmdb_close(struct mc_cache *base)
{
    if (!base)
        return;
    struct mc_lmdb_cache *cache = mc_lmdb_of(base);
    mc_lmdb_env_close(cache->env);
    mc_seen_fini(&cache->seen);
    free(cache);
}

static const struct mc_cache_ops lmdb_ops = {
    .name = "lmdb",
    .close = lmdb_close,
    .get = lmdb_get,
    .fill = mc_lmdb_fill,
    .append = mc_lmdb_append,
    .update = mc_lmdb_update,
    .confirm = lmdb_confirm,
    .doubt = lmdb_doubt,
    .drop = mc_lmdb_drop,
    .drop_topic = mc_lmdb_drop_topic,
    .drop_older = mc_lmdb_drop_older,
    .wipe = mc_lmdb_wipe,
    .generation = lmdb_generation,
    .set_generation = lmdb_set_generation,
    .stats = lmdb_stats,
};

/* max_bytes may be less than what was kept before. */
static int fit(struct mc_lmdb_write *write, void *context)
{
    (void)write;
    (void)context;
    return 0;
}

static void fit_bound(struct mc_lmdb_cache *cache)
{
    struct mc_cache_stats stats;
    uint64_t before = UINT64_MAX;
    lmdb_stats(&cache->base, &stats);
    while (stats.bytes > cache->options.max_bytes && stats.threads > 0 && stats.bytes < before) {
        before = stats.bytes;
        if (!mc_lmdb_run(cache, "make room", fit, NULL, 0, NULL))
            return;
        lmdb_stats(&cache->base, &stats);
    }
}

enum mc_status mc_cache_lmdb_open(const struct mc_cache_options *options, struct mc_cache **cache,
                                  struct mc_error *err)
{
    if (mc_cache_check_options(options, err) != MC_OK)
        return MC_INVALID;
    struct mc_lmdb_cache *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    made->base.ops = &lmdb_ops;
    made->options = *options;
    made->options.dir = NULL;
    enum mc_status status = MC_OK;
    if (!mc_seen_init(&made->seen, options->max_bytes / ENTRY_BYTES_USUAL))
        status = mc_fail_memory(err);
    if (status == MC_OK)
        status = mc_lmdb_env_open(options->dir, options->max_bytes, &made->env, err);
    if (status != MC_OK) {
        lmdb_close(&made->base);
        return status;
    }
    /* Numbers of different openings and processes do not meet. */
    uint64_t first;
    mc_random_bytes(&first, sizeof(first));
    atomic_init(&made->next_entry_no, first | 1);
    fit_bound(made);
    *cache = &made->base;
    return MC_OK;
}
