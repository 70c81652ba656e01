/*
 * DESIGN. The cache in memory: SHARD_COUNT shards by the hash of (user, thread), each with one
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

#include "base/compiler.h"
#include "base/error.h"
#include "base/id.h"
#include "base/list.h"
#include "base/str.h"
#include "base/thread.h"
#include "cache/window.h"

#define SHARD_COUNT 32
#define FIRST_BUCKETS 16

struct entry {
    struct entry *next;     /* in its bucket */
    struct mc_list of_user; /* in the chain of its user's bucket */
    struct mc_list use;     /* in the shard's list, most recently used first */
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

struct shard {
    _Alignas(64) mc_mutex lock; /* guards all but oldest_us */
    struct entry **buckets;
    struct mc_list *users; /* as many as buckets */
    size_t bucket_count;   /* a power of two */
    struct mc_list use;
    uint64_t threads, messages;
    struct mc_cache_stats counts;
    _Atomic int64_t
        oldest_us; /* use of the least recently used entry, INT64_MAX when there is none */
};

struct memory_cache {
    struct mc_cache base;
    struct mc_cache_options options;
    uint64_t seed;
    _Atomic uint64_t epoch;
    atomic_size_t bytes;
    _Atomic int64_t last_invalidation_us;
    struct shard shards[SHARD_COUNT];
};

/* Which entry, with its hashes. */
struct where {
    mc_str user_id, thread_id;
    uint64_t user_hash, hash;
    struct shard *shard;
};

static struct memory_cache *memory_of(struct mc_cache *cache)
{
    return mc_container_of(cache, struct memory_cache, base);
}

static struct where locate(struct memory_cache *memory, mc_str user_id, mc_str thread_id)
{
    struct where where = {.user_id = user_id, .thread_id = thread_id};
    where.user_hash = mc_entry_hash(memory->seed, user_id.data, user_id.len);
    where.hash = mc_entry_hash(where.user_hash, thread_id.data, thread_id.len);
    where.shard = &memory->shards[where.hash >> 59];
    return where;
}
_Static_assert(SHARD_COUNT == 1 << (64 - 59), "the upper bits of the hash choose the shard");

static bool is_user(const struct entry *entry, mc_str user_id)
{
    return entry->user_len == user_id.len && memcmp(entry->ids, user_id.data, user_id.len) == 0;
}

static struct entry *find(const struct where *where)
{
    const struct shard *shard = where->shard;
    struct entry *entry = shard->buckets[where->hash & (shard->bucket_count - 1)];
    for (; entry; entry = entry->next) {
        if (entry->hash == where->hash && is_user(entry, where->user_id) &&
            entry->thread_len == where->thread_id.len &&
            memcmp(entry->ids + entry->user_len, where->thread_id.data, entry->thread_len) == 0)
            return entry;
    }
    return NULL;
}

/* ---- Entries in a shard; its lock is held ---- */

static void publish_oldest(struct shard *shard)
{
    int64_t oldest = INT64_MAX;
    if (!mc_list_empty(&shard->use))
        oldest = mc_container_of(shard->use.prev, struct entry, use)->used_us;
    atomic_store_explicit(&shard->oldest_us, oldest, memory_order_relaxed);
}

static void touch(struct shard *shard, struct entry *entry, int64_t now_us)
{
    entry->used_us = now_us < INT64_MAX ? now_us : INT64_MAX - 1;
    bool was_last = shard->use.prev == &entry->use;
    if (shard->use.next != &entry->use) {
        mc_list_remove(&entry->use);
        mc_list_push_front(&shard->use, &entry->use);
    }
    if (was_last)
        publish_oldest(shard);
}

/* Counts what the entry holds after a change, in the shard and in the whole. */
static void account(struct memory_cache *memory, struct shard *shard, struct entry *entry,
                    size_t count_before)
{
    size_t bytes = sizeof(struct entry) + MC_WINDOW_BLOCK_BYTES + entry->user_len +
                   entry->thread_len + 2 * sizeof(void *) + entry->window.bytes;
    shard->messages = shard->messages - count_before + entry->window.count;
    atomic_fetch_add_explicit(&memory->bytes, bytes - entry->bytes, memory_order_relaxed);
    entry->bytes = bytes;
}

/* Out of the shard and onto the list of what is freed after unlocking. */
static void take_out(struct memory_cache *memory, struct shard *shard, struct entry *entry,
                     struct entry **taken)
{
    struct entry **at = &shard->buckets[entry->hash & (shard->bucket_count - 1)];
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    mc_list_remove(&entry->of_user);
    mc_list_remove(&entry->use);
    shard->threads--;
    shard->messages -= entry->window.count;
    atomic_fetch_sub_explicit(&memory->bytes, entry->bytes, memory_order_relaxed);
    publish_oldest(shard);
    entry->next = *taken;
    *taken = entry;
}

static void free_taken(struct entry **taken)
{
    while (*taken) {
        struct entry *entry = *taken;
        *taken = entry->next;
        mc_window_fini(&entry->window);
        free(entry);
    }
}

static bool set_buckets(struct shard *shard, size_t count)
{
    struct entry **buckets = calloc(count, sizeof(struct entry *));
    struct mc_list *users = malloc(count * sizeof(struct mc_list));
    if (!buckets || !users) {
        free(buckets);
        free(users);
        return false;
    }
    for (size_t i = 0; i < count; i++)
        mc_list_init(&users[i]);
    struct mc_list *link;
    for (link = shard->use.next; link != &shard->use; link = link->next) {
        struct entry *entry = mc_container_of(link, struct entry, use);
        struct entry **bucket = &buckets[entry->hash & (count - 1)];
        entry->next = *bucket;
        *bucket = entry;
        mc_list_remove(&entry->of_user);
        mc_list_push_back(&users[entry->user_hash & (count - 1)], &entry->of_user);
    }
    free(shard->buckets);
    free(shard->users);
    shard->buckets = buckets;
    shard->users = users;
    shard->bucket_count = count;
    return true;
}

static struct entry *entry_new(const struct where *where)
{
    size_t size = sizeof(struct entry) + where->user_id.len + where->thread_id.len;
    struct entry *entry = calloc(1, size);
    if (!entry)
        return NULL;
    entry->hash = where->hash;
    entry->user_hash = where->user_hash;
    entry->user_len = where->user_id.len;
    entry->thread_len = where->thread_id.len;
    memcpy(entry->ids, where->user_id.data, entry->user_len);
    memcpy(entry->ids + entry->user_len, where->thread_id.data, entry->thread_len);
    return entry;
}

static void put_in(struct memory_cache *memory, struct shard *shard, struct entry *entry,
                   int64_t now_us)
{
    /* Without memory for a larger table the chains grow longer. */
    if (shard->threads >= shard->bucket_count)
        (void)set_buckets(shard, shard->bucket_count * 2);
    struct entry **bucket = &shard->buckets[entry->hash & (shard->bucket_count - 1)];
    entry->next = *bucket;
    *bucket = entry;
    mc_list_push_back(&shard->users[entry->user_hash & (shard->bucket_count - 1)], &entry->of_user);
    mc_list_push_front(&shard->use, &entry->use);
    shard->threads++;
    account(memory, shard, entry, 0);
    touch(shard, entry, now_us);
}

/* ---- The bound on bytes ---- */

static struct shard *oldest_shard(struct memory_cache *memory)
{
    struct shard *oldest = &memory->shards[0];
    int64_t oldest_us = INT64_MAX;
    for (size_t i = 0; i < SHARD_COUNT; i++) {
        struct shard *shard = &memory->shards[i];
        int64_t used_us = atomic_load_explicit(&shard->oldest_us, memory_order_relaxed);
        if (used_us < oldest_us) {
            oldest_us = used_us;
            oldest = shard;
        }
    }
    return oldest;
}

static bool over_bound(struct memory_cache *memory)
{
    return atomic_load_explicit(&memory->bytes, memory_order_relaxed) > memory->options.max_bytes;
}

/* Called without a lock. */
static void shrink(struct memory_cache *memory)
{
    struct entry *taken = NULL;
    while (over_bound(memory)) {
        struct shard *shard = oldest_shard(memory);
        mc_mutex_lock(&shard->lock);
        bool found = !mc_list_empty(&shard->use);
        if (found) {
            take_out(memory, shard, mc_container_of(shard->use.prev, struct entry, use), &taken);
            shard->counts.evictions++;
        }
        mc_mutex_unlock(&shard->lock);
        free_taken(&taken);
        if (!found && !over_bound(memory))
            break;
    }
}

/* ---- Operations ---- */

static bool memory_get(struct mc_cache *cache, mc_str user_id, mc_str thread_id, size_t limit,
                       int64_t now_us, struct mc_records *out, struct mc_cache_read *read)
{
    struct memory_cache *memory = memory_of(cache);
    struct where where = locate(memory, user_id, thread_id);
    struct shard *shard = where.shard;
    struct entry *taken = NULL;
    mc_mutex_lock(&shard->lock);
    struct entry *entry = find(&where);
    if (entry && mc_entry_expired(entry->changed_us, memory->options.ttl_us, now_us)) {
        take_out(memory, shard, entry, &taken);
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
        touch(shard, entry, now_us);
        shard->counts.hits++;
    } else {
        shard->counts.misses++;
        shard->counts.errors += found;
    }
    mc_mutex_unlock(&shard->lock);
    free_taken(&taken);
    return hit;
}

/* Puts a made entry (NULL: there was no memory for it) in the place of what is there. */
static void replace(struct memory_cache *memory, const struct where *where, struct entry *made,
                    int64_t now_us)
{
    struct shard *shard = where->shard;
    struct entry *taken = NULL;
    mc_mutex_lock(&shard->lock);
    struct entry *old = find(where);
    if (old)
        take_out(memory, shard, old, &taken);
    if (made) {
        put_in(memory, shard, made, now_us);
        if (made->bytes > memory->options.max_bytes)
            take_out(memory, shard, made, &taken);
    } else {
        shard->counts.errors++;
    }
    mc_mutex_unlock(&shard->lock);
    free_taken(&taken);
    shrink(memory);
}

static struct entry *make(struct memory_cache *memory, const struct where *where,
                          struct mc_record *const *records, size_t count, bool complete,
                          int64_t version, int64_t now_us)
{
    struct entry *entry = entry_new(where);
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
    struct memory_cache *memory = memory_of(cache);
    struct where where = locate(memory, user_id, thread_id);
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
static bool apply(struct memory_cache *memory, struct entry *entry, const struct change *change)
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
static bool change_entry(struct memory_cache *memory, const struct where *where,
                         const struct change *change, int64_t now_us)
{
    struct shard *shard = where->shard;
    struct entry *taken = NULL;
    mc_mutex_lock(&shard->lock);
    struct entry *entry = find(where);
    enum mc_entry_verdict verdict =
        entry ? mc_entry_judge(entry->version, change->version) : MC_ENTRY_IGNORE;
    if (verdict == MC_ENTRY_APPLY) {
        size_t count_before = entry->window.count;
        bool applied = apply(memory, entry, change);
        account(memory, shard, entry, count_before);
        if (applied && entry->bytes > memory->options.max_bytes) {
            take_out(memory, shard, entry, &taken);
            shard->counts.evictions++;
        } else if (applied) {
            entry->version = change->version;
            entry->changed_us = now_us;
            entry->topic_bits |= change->topic_bits;
            touch(shard, entry, now_us);
        } else {
            verdict = MC_ENTRY_DROP;
        }
    }
    if (verdict == MC_ENTRY_DROP) {
        take_out(memory, shard, entry, &taken);
        shard->counts.by_change++;
    }
    mc_mutex_unlock(&shard->lock);
    free_taken(&taken);
    shrink(memory);
    return entry != NULL;
}

static void memory_append(struct mc_cache *cache, struct mc_record *record, int64_t version,
                          int64_t messages, int64_t now_us)
{
    struct memory_cache *memory = memory_of(cache);
    struct where where = locate(memory, record->m.user_id, record->m.thread_id);
    struct change change = {record, version, messages > 0 ? messages : 1,
                            mc_entry_topic_bits(record->m.metadata)};
    if (!change_entry(memory, &where, &change, now_us) && messages == 1)
        replace(memory, &where, make(memory, &where, &record, 1, true, version, now_us), now_us);
}

static void memory_update(struct mc_cache *cache, struct mc_record *record, int64_t version,
                          const mc_str *topics, size_t topic_count, int64_t now_us)
{
    struct memory_cache *memory = memory_of(cache);
    struct where where = locate(memory, record->m.user_id, record->m.thread_id);
    struct change change = {record, version, 0, 0};
    for (size_t i = 0; i < topic_count; i++)
        change.topic_bits |= mc_entry_topic_bit(topics[i]);
    (void)change_entry(memory, &where, &change, now_us);
}

static void memory_confirm(struct mc_cache *cache, mc_str user_id, mc_str thread_id,
                           int64_t version)
{
    struct memory_cache *memory = memory_of(cache);
    struct where where = locate(memory, user_id, thread_id);
    mc_mutex_lock(&where.shard->lock);
    struct entry *entry = find(&where);
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

static void note_invalidation(struct memory_cache *memory, uint64_t dropped, int64_t now_us)
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

static bool matches(const struct drop *drop, const struct entry *entry)
{
    switch (drop->kind) {
    case DROP_USER:
        return entry->user_hash == drop->hash && is_user(entry, drop->name);
    case DROP_TOPIC:
        return (entry->topic_bits & drop->hash) && mc_window_has_topic(&entry->window, drop->name);
    case DROP_OLDER:
        return mc_entry_older(entry->changed_us, drop->max_age_us, drop->now_us);
    case DROP_ALL:
        break;
    }
    return true;
}

static uint64_t drop_from(struct memory_cache *memory, struct shard *shard, const struct drop *drop)
{
    struct entry *taken = NULL;
    uint64_t dropped = 0;
    mc_mutex_lock(&shard->lock);
    bool user = drop->kind == DROP_USER;
    struct mc_list *head =
        user ? &shard->users[drop->hash & (shard->bucket_count - 1)] : &shard->use;
    struct mc_list *next;
    for (struct mc_list *link = head->next; link != head; link = next) {
        next = link->next;
        struct entry *entry = user ? mc_container_of(link, struct entry, of_user)
                                   : mc_container_of(link, struct entry, use);
        if (matches(drop, entry)) {
            take_out(memory, shard, entry, &taken);
            dropped++;
        }
    }
    shard->counts.invalidations += dropped;
    shard->counts.by_user += drop->kind == DROP_USER ? dropped : 0;
    shard->counts.by_topic += drop->kind == DROP_TOPIC ? dropped : 0;
    shard->counts.by_age += drop->kind == DROP_OLDER ? dropped : 0;
    mc_mutex_unlock(&shard->lock);
    free_taken(&taken);
    return dropped;
}

static uint64_t drop_each(struct memory_cache *memory, const struct drop *drop)
{
    uint64_t dropped = 0;
    for (size_t i = 0; i < SHARD_COUNT; i++)
        dropped += drop_from(memory, &memory->shards[i], drop);
    note_invalidation(memory, dropped, drop->now_us);
    return dropped;
}

static uint64_t drop_thread(struct memory_cache *memory, mc_str user_id, mc_str thread_id,
                            int64_t now_us)
{
    struct where where = locate(memory, user_id, thread_id);
    struct entry *taken = NULL;
    mc_mutex_lock(&where.shard->lock);
    struct entry *entry = find(&where);
    if (entry) {
        take_out(memory, where.shard, entry, &taken);
        where.shard->counts.invalidations++;
    }
    mc_mutex_unlock(&where.shard->lock);
    free_taken(&taken);
    note_invalidation(memory, entry != NULL, now_us);
    return entry != NULL;
}

static uint64_t memory_drop(struct mc_cache *cache, mc_str user_id, mc_str thread_id,
                            int64_t now_us)
{
    struct memory_cache *memory = memory_of(cache);
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
    struct memory_cache *memory = memory_of(cache);
    struct mc_cache_stats sum = {0};
    for (size_t i = 0; i < SHARD_COUNT; i++) {
        struct shard *shard = &memory->shards[i];
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
    struct memory_cache *memory = memory_of(cache);
    for (size_t i = 0; i < SHARD_COUNT; i++) {
        struct shard *shard = &memory->shards[i];
        struct entry *taken = NULL;
        while (!mc_list_empty(&shard->use))
            take_out(memory, shard, mc_container_of(shard->use.next, struct entry, use), &taken);
        free_taken(&taken);
        free(shard->buckets);
        free(shard->users);
        mc_mutex_fini(&shard->lock);
    }
    free(memory);
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
    .stats = memory_stats,
};

enum mc_status mc_cache_memory_open(const struct mc_cache_options *options, struct mc_cache **cache,
                                    struct mc_error *err)
{
    if (mc_cache_check_options(options, err) != MC_OK)
        return MC_INVALID;
    struct memory_cache *memory = aligned_alloc(_Alignof(struct memory_cache), sizeof(*memory));
    if (!memory)
        return mc_fail_memory(err);
    memset(memory, 0, sizeof(*memory));
    memory->base.ops = &memory_ops;
    memory->options = *options;
    memory->options.dir = NULL;
    mc_random_bytes(&memory->seed, sizeof(memory->seed));
    atomic_init(&memory->epoch, 1);
    bool ok = true;
    for (size_t i = 0; i < SHARD_COUNT; i++) {
        struct shard *shard = &memory->shards[i];
        mc_mutex_init(&shard->lock);
        mc_list_init(&shard->use);
        atomic_init(&shard->oldest_us, INT64_MAX);
        ok = ok && set_buckets(shard, FIRST_BUCKETS);
    }
    if (!ok) {
        memory_close(&memory->base);
        return mc_fail_memory(err);
    }
    *cache = &memory->base;
    return MC_OK;
}
