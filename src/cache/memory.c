/*
 * DESIGN. The cache in memory: MC_SHARD_COUNT shards by the hash of (user, thread), each with one
 * mutex, its own hash table, chains of users and list of use. No two shards are locked at once.
 * Entries hold references to immutable records, so a hit copies nothing but pointers. The bound on
 * bytes is one for all shards: each publishes when its least recently used entry was used, and the
 * oldest of these leaves.
 *
 * Only mc_cache_ops.confirm makes an entry verified: what fill brings may have been read just
 * before a change that this entry has not seen.
 */
#include "cache/cache.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/id.h"
#include "base/str.h"
#include "cache/shard.h"

static struct mc_cache_memory *memory_of(struct mc_cache *cache)
{
    return mc_container_of(cache, struct mc_cache_memory, base);
}

/* ---- Operations ---- */

static bool memory_get(struct mc_cache *cache, mc_str user_id, mc_str thread_id, size_t limit,
                       int64_t now_us, struct mc_records *out, struct mc_cache_read *read)
{
    struct mc_cache_memory *memory = memory_of(cache);
    struct mc_shard_place where = mc_shard_locate(memory, user_id, thread_id);
    struct mc_shard *shard = where.shard;
    struct mc_shard_entry *taken = NULL;
    mc_mutex_lock(&shard->lock);
    struct mc_shard_entry *entry = mc_shard_find(&where);
    if (entry && mc_entry_expired(entry->changed_us, memory->options.ttl_us, now_us)) {
        mc_shard_take(memory, shard, entry, &taken);
        shard->counts.expirations++;
        entry = NULL;
    }
    bool found = entry && (entry->window.count >= limit || entry->window.complete);
    size_t count = !found ? 0 : entry->window.count < limit ? entry->window.count : limit;
    bool hit = found && mc_entry_reserve(out, count);
    if (hit) {
        const struct mc_window *window = &entry->window;
        struct mc_record **newest = window->items + window->first + window->count;
        /* Counting a reference waits for its cache line: fetch them all at once. */
        for (size_t i = 1; i <= count; i++)
            __builtin_prefetch(newest[-(ptrdiff_t)i], 1);
        for (size_t i = 0; i < count; i++)
            out->items[out->count++] = mc_record_ref(*--newest);
        uint64_t epoch = atomic_load_explicit(&memory->epoch, memory_order_acquire);
        *read = (struct mc_cache_read){entry->version, window->complete, entry->verified == epoch};
        if (!read->verified && entry->asked == 0)
            entry->asked = epoch;
        mc_shard_touch(shard, entry, now_us);
        shard->counts.hits++;
    } else {
        shard->counts.misses++;
        shard->counts.errors += found;
    }
    mc_mutex_unlock(&shard->lock);
    mc_shard_free_taken(&taken);
    return hit;
}

/* Puts a made entry (NULL: there was no memory for it) in the place of what is there. */
static void replace(struct mc_cache_memory *memory, const struct mc_shard_place *where,
                    struct mc_shard_entry *made, int64_t now_us)
{
    struct mc_shard *shard = where->shard;
    struct mc_shard_entry *taken = NULL;
    mc_mutex_lock(&shard->lock);
    struct mc_shard_entry *old = mc_shard_find(where);
    if (old)
        mc_shard_take(memory, shard, old, &taken);
    if (made) {
        mc_shard_put(memory, shard, made, now_us);
        if (made->bytes > memory->options.max_bytes)
            mc_shard_take(memory, shard, made, &taken);
    } else {
        shard->counts.errors++;
    }
    mc_mutex_unlock(&shard->lock);
    mc_shard_free_taken(&taken);
    mc_shards_shrink(memory);
}

static struct mc_shard_entry *make(struct mc_cache_memory *memory,
                                   const struct mc_shard_place *where,
                                   struct mc_record *const *records, size_t count, bool complete,
                                   int64_t version, int64_t now_us)
{
    struct mc_shard_entry *entry = mc_shard_entry_new(where);
    if (!entry ||
        !mc_window_fill(&entry->window, records, count, complete, memory->options.max_size)) {
        free(entry);
        return NULL;
    }
    for (size_t i = 0; i < entry->window.count; i++)
        entry->topic_bits |= mc_entry_topic_bits(entry->window.items[i]->m.metadata);
    entry->version = version;
    entry->changed_us = now_us;
    return entry;
}

static void memory_fill(struct mc_cache *cache, mc_str user_id, mc_str thread_id,
                        struct mc_record *const *records, size_t count, int64_t version,
                        bool complete, int64_t now_us)
{
    struct mc_cache_memory *memory = memory_of(cache);
    struct mc_shard_place where = mc_shard_locate(memory, user_id, thread_id);
    replace(memory, &where, make(memory, &where, records, count, complete, version, now_us),
            now_us);
}

/* One change of a thread: a message that is new (messages > 0) or has a new form. */
struct change {
    struct mc_record *record;
    int64_t version;
    int64_t messages;
    uint64_t topic_bits;
};

/* False: the entry is wrong from now on. */
static bool apply(struct mc_cache_memory *memory, struct mc_shard_entry *entry,
                  const struct change *change)
{
    struct mc_window *window = &entry->window;
    if (change->messages == 0) {
        mc_window_replace(window, change->record);
        return true;
    }
    if (window->complete && (int64_t)window->count + 1 != change->messages)
        return false;
    return mc_window_add(window, change->record, memory->options.max_size);
}

/* True when there was an entry. */
static bool change_entry(struct mc_cache_memory *memory, const struct mc_shard_place *where,
                         const struct change *change, int64_t now_us)
{
    struct mc_shard *shard = where->shard;
    struct mc_shard_entry *taken = NULL;
    mc_mutex_lock(&shard->lock);
    struct mc_shard_entry *entry = mc_shard_find(where);
    enum mc_entry_verdict verdict =
        entry ? mc_entry_judge(entry->version, change->version) : MC_ENTRY_IGNORE;
    if (verdict == MC_ENTRY_APPLY) {
        size_t count_before = entry->window.count;
        bool applied = apply(memory, entry, change);
        mc_shard_account(memory, shard, entry, count_before);
        if (applied && entry->bytes > memory->options.max_bytes) {
            mc_shard_take(memory, shard, entry, &taken);
            shard->counts.evictions++;
        } else if (applied) {
            entry->version = change->version;
            entry->changed_us = now_us;
            entry->topic_bits |= change->topic_bits;
            mc_shard_touch(shard, entry, now_us);
        } else {
            verdict = MC_ENTRY_DROP;
        }
    }
    if (verdict == MC_ENTRY_DROP) {
        mc_shard_take(memory, shard, entry, &taken);
        shard->counts.by_change++;
    }
    mc_mutex_unlock(&shard->lock);
    mc_shard_free_taken(&taken);
    mc_shards_shrink(memory);
    return entry != NULL;
}

static void memory_append(struct mc_cache *cache, struct mc_record *record, int64_t version,
                          int64_t messages, int64_t now_us)
{
    struct mc_cache_memory *memory = memory_of(cache);
    struct mc_shard_place where = mc_shard_locate(memory, record->m.user_id, record->m.thread_id);
    struct change change = {record, version, messages > 0 ? messages : 1,
                            mc_entry_topic_bits(record->m.metadata)};
    if (!change_entry(memory, &where, &change, now_us) && messages == 1)
        replace(memory, &where, make(memory, &where, &record, 1, true, version, now_us), now_us);
}

static void memory_update(struct mc_cache *cache, struct mc_record *record, int64_t version,
                          const mc_str *topics, size_t topic_count, int64_t now_us)
{
    struct mc_cache_memory *memory = memory_of(cache);
    struct mc_shard_place where = mc_shard_locate(memory, record->m.user_id, record->m.thread_id);
    struct change change = {record, version, 0, 0};
    for (size_t i = 0; i < topic_count; i++)
        change.topic_bits |= mc_entry_topic_bit(topics[i]);
    (void)change_entry(memory, &where, &change, now_us);
}

static void memory_confirm(struct mc_cache *cache, mc_str user_id, mc_str thread_id,
                           int64_t version)
{
    struct mc_cache_memory *memory = memory_of(cache);
    struct mc_shard_place where = mc_shard_locate(memory, user_id, thread_id);
    mc_mutex_lock(&where.shard->lock);
    struct mc_shard_entry *entry = mc_shard_find(&where);
    /* The store was asked after the read: a doubt since then is not settled by its answer. */
    if (entry && entry->version == version && entry->asked != 0) {
        entry->verified = entry->asked;
        entry->asked = 0;
    }
    mc_mutex_unlock(&where.shard->lock);
}

static void memory_doubt(struct mc_cache *cache)
{
    atomic_fetch_add_explicit(&memory_of(cache)->epoch, 1, memory_order_acq_rel);
}

/* ---- Dropping ---- */

static void note_invalidation(struct mc_cache_memory *memory, uint64_t dropped, int64_t now_us)
{
    if (dropped > 0)
        atomic_store_explicit(&memory->last_invalidation_us, now_us, memory_order_relaxed);
}

enum drop_kind { DROP_ALL, DROP_USER, DROP_TOPIC, DROP_OLDER };
struct drop {
    enum drop_kind kind;
    mc_str name; /* user or topic */
    uint64_t hash;
    int64_t max_age_us, now_us;
};

static bool matches(const struct drop *drop, const struct mc_shard_entry *entry)
{
    switch (drop->kind) {
    case DROP_USER:
        return entry->user_hash == drop->hash && mc_shard_is_user(entry, drop->name);
    case DROP_TOPIC:
        return (entry->topic_bits & drop->hash) && mc_window_has_topic(&entry->window, drop->name);
    case DROP_OLDER:
        return mc_entry_older(entry->changed_us, drop->max_age_us, drop->now_us);
    case DROP_ALL:
        break;
    }
    return true;
}

static uint64_t drop_from(struct mc_cache_memory *memory, struct mc_shard *shard,
                          const struct drop *drop)
{
    struct mc_shard_entry *taken = NULL;
    uint64_t dropped = 0;
    mc_mutex_lock(&shard->lock);
    bool user = drop->kind == DROP_USER;
    struct mc_list *head =
        user ? &shard->users[drop->hash & (shard->bucket_count - 1)] : &shard->use;
    struct mc_list *next;
    for (struct mc_list *link = head->next; link != head; link = next) {
        next = link->next;
        struct mc_shard_entry *entry = user ? mc_container_of(link, struct mc_shard_entry, of_user)
                                            : mc_container_of(link, struct mc_shard_entry, use);
        if (matches(drop, entry)) {
            mc_shard_take(memory, shard, entry, &taken);
            dropped++;
        }
    }
    shard->counts.invalidations += dropped;
    shard->counts.by_user += drop->kind == DROP_USER ? dropped : 0;
    shard->counts.by_topic += drop->kind == DROP_TOPIC ? dropped : 0;
    shard->counts.by_age += drop->kind == DROP_OLDER ? dropped : 0;
    mc_mutex_unlock(&shard->lock);
    mc_shard_free_taken(&taken);
    return dropped;
}

static uint64_t drop_each(struct mc_cache_memory *memory, const struct drop *drop)
{
    uint64_t dropped = 0;
    for (size_t i = 0; i < MC_SHARD_COUNT; i++)
        dropped += drop_from(memory, &memory->shards[i], drop);
    note_invalidation(memory, dropped, drop->now_us);
    return dropped;
}

static uint64_t drop_thread(struct mc_cache_memory *memory, mc_str user_id, mc_str thread_id,
                            int64_t now_us)
{
    struct mc_shard_place where = mc_shard_locate(memory, user_id, thread_id);
    struct mc_shard_entry *taken = NULL;
    mc_mutex_lock(&where.shard->lock);
    struct mc_shard_entry *entry = mc_shard_find(&where);
    if (entry) {
        mc_shard_take(memory, where.shard, entry, &taken);
        where.shard->counts.invalidations++;
    }
    mc_mutex_unlock(&where.shard->lock);
    mc_shard_free_taken(&taken);
    note_invalidation(memory, entry != NULL, now_us);
    return entry != NULL;
}

static uint64_t memory_drop(struct mc_cache *cache, mc_str user_id, mc_str thread_id,
                            int64_t now_us)
{
    struct mc_cache_memory *memory = memory_of(cache);
    if (!mc_str_given(user_id))
        return drop_each(memory, &(struct drop){.kind = DROP_ALL, .now_us = now_us});
    if (mc_str_given(thread_id))
        return drop_thread(memory, user_id, thread_id, now_us);
    uint64_t hash = mc_entry_hash(memory->seed, user_id.data, user_id.len);
    return drop_each(memory, &(struct drop){DROP_USER, user_id, hash, 0, now_us});
}

static uint64_t memory_drop_topic(struct mc_cache *cache, mc_str topic, int64_t now_us)
{
    struct drop drop = {DROP_TOPIC, topic, mc_entry_topic_bit(topic), 0, now_us};
    return drop_each(memory_of(cache), &drop);
}

static uint64_t memory_drop_older(struct mc_cache *cache, int64_t max_age_us, int64_t now_us)
{
    struct drop drop = {.kind = DROP_OLDER, .max_age_us = max_age_us, .now_us = now_us};
    return drop_each(memory_of(cache), &drop);
}

static void memory_stats(struct mc_cache *cache, struct mc_cache_stats *stats)
{
    struct mc_cache_memory *memory = memory_of(cache);
    struct mc_cache_stats sum = {0};
    for (size_t i = 0; i < MC_SHARD_COUNT; i++) {
        struct mc_shard *shard = &memory->shards[i];
        mc_mutex_lock(&shard->lock);
        sum.hits += shard->counts.hits;
        sum.misses += shard->counts.misses;
        sum.evictions += shard->counts.evictions;
        sum.expirations += shard->counts.expirations;
        sum.errors += shard->counts.errors;
        sum.threads += shard->threads;
        sum.messages += shard->messages;
        sum.invalidations += shard->counts.invalidations;
        sum.by_topic += shard->counts.by_topic;
        sum.by_user += shard->counts.by_user;
        sum.by_age += shard->counts.by_age;
        sum.by_change += shard->counts.by_change;
        mc_mutex_unlock(&shard->lock);
    }
    sum.bytes = atomic_load_explicit(&memory->bytes, memory_order_relaxed);
    sum.last_invalidation_us =
        atomic_load_explicit(&memory->last_invalidation_us, memory_order_relaxed);
    *stats = sum;
}

/* ---- Life ---- */

static void memory_close(struct mc_cache *cache)
{
    if (!cache)
        return;
    struct mc_cache_memory *memory = memory_of(cache);
    for (size_t i = 0; i < MC_SHARD_COUNT; i++) {
        struct mc_shard *shard = &memory->shards[i];
        struct mc_shard_entry *taken = NULL;
        while (!mc_list_empty(&shard->use))
            mc_shard_take(memory, shard,
                          mc_container_of(shard->use.next, struct mc_shard_entry, use), &taken);
        mc_shard_free_taken(&taken);
        free(shard->buckets);
        free(shard->users);
        mc_mutex_fini(&shard->lock);
    }
    free(memory);
}

static bool memory_wipe(struct mc_cache *cache, int64_t now_us)
{
    (void)cache;
    (void)now_us;
    return true; /* there are no files */
}

static int64_t memory_generation(struct mc_cache *cache)
{
    return atomic_load(&memory_of(cache)->generation);
}

static void memory_set_generation(struct mc_cache *cache, int64_t generation)
{
    atomic_store(&memory_of(cache)->generation, generation);
}

static const struct mc_cache_ops memory_ops = {
    .name = "memory",
    .close = memory_close,
    .get = memory_get,
    .fill = memory_fill,
    .append = memory_append,
    .update = memory_update,
    .confirm = memory_confirm,
    .doubt = memory_doubt,
    .drop = memory_drop,
    .drop_topic = memory_drop_topic,
    .drop_older = memory_drop_older,
    .wipe = memory_wipe,
    .generation = memory_generation,
    .set_generation = memory_set_generation,
    .stats = memory_stats,
};

enum mc_status mc_cache_memory_open(const struct mc_cache_options *options, struct mc_cache **cache,
                                    struct mc_error *err)
{
    if (mc_cache_check_options(options, err) != MC_OK)
        return MC_INVALID;
    struct mc_cache_memory *memory =
        aligned_alloc(_Alignof(struct mc_cache_memory), sizeof(*memory));
    if (!memory)
        return mc_fail_memory(err);
    memset(memory, 0, sizeof(*memory));
    memory->base.ops = &memory_ops;
    memory->options = *options;
    memory->options.dir = NULL;
    mc_random_bytes(&memory->seed, sizeof(memory->seed));
    atomic_init(&memory->epoch, 1);
    bool ok = true;
    for (size_t i = 0; i < MC_SHARD_COUNT; i++) {
        struct mc_shard *shard = &memory->shards[i];
        mc_mutex_init(&shard->lock);
        mc_list_init(&shard->use);
        atomic_init(&shard->oldest_us, INT64_MAX);
        ok = ok && mc_shard_set_buckets(shard, MC_SHARD_BUCKETS);
    }
    if (!ok) {
        memory_close(&memory->base);
        return mc_fail_memory(err);
    }
    *cache = &memory->base;
    return MC_OK;
}
