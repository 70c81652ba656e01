#include "cache/shard.h"

#include <stdlib.h>

struct mc_shard_place mc_shard_locate(struct mc_cache_memory *memory, mc_str user_id,
                                      mc_str thread_id)
{
    struct mc_shard_place where = {.user_id = user_id, .thread_id = thread_id};
    where.user_hash = mc_entry_hash(memory->seed, user_id.data, user_id.len);
    where.hash = mc_entry_hash(where.user_hash, thread_id.data, thread_id.len);
    where.shard = &memory->shards[where.hash >> 59];
    return where;
}
_Static_assert(MC_SHARD_COUNT == 1 << (64 - 59), "the upper bits of the hash choose the shard");

bool mc_shard_is_user(const struct mc_shard_entry *entry, mc_str user_id)
{
    return entry->user_len == user_id.len && memcmp(entry->ids, user_id.data, user_id.len) == 0;
}

struct mc_shard_entry *mc_shard_find(const struct mc_shard_place *where)
{
    const struct mc_shard *shard = where->shard;
    struct mc_shard_entry *entry = shard->buckets[where->hash & (shard->bucket_count - 1)];
    for (; entry; entry = entry->next) {
        if (entry->hash == where->hash && mc_shard_is_user(entry, where->user_id) &&
            entry->thread_len == where->thread_id.len &&
            memcmp(entry->ids + entry->user_len, where->thread_id.data, entry->thread_len) == 0)
            return entry;
    }
    return NULL;
}

static void publish_oldest(struct mc_shard *shard)
{
    int64_t oldest = INT64_MAX;
    if (!mc_list_empty(&shard->use))
        oldest = mc_container_of(shard->use.prev, struct mc_shard_entry, use)->used_us;
    atomic_store_explicit(&shard->oldest_us, oldest, memory_order_relaxed);
}

void mc_shard_touch(struct mc_shard *shard, struct mc_shard_entry *entry, int64_t now_us)
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

void mc_shard_account(struct mc_cache_memory *memory, struct mc_shard *shard,
                      struct mc_shard_entry *entry, size_t count_before)
{
    size_t bytes = sizeof(struct mc_shard_entry) + MC_WINDOW_BLOCK_BYTES + entry->user_len +
                   entry->thread_len + 2 * sizeof(void *) + entry->window.bytes;
    shard->messages = shard->messages - count_before + entry->window.count;
    atomic_fetch_add_explicit(&memory->bytes, bytes - entry->bytes, memory_order_relaxed);
    entry->bytes = bytes;
}

void mc_shard_take(struct mc_cache_memory *memory, struct mc_shard *shard,
                   struct mc_shard_entry *entry, struct mc_shard_entry **taken)
{
    struct mc_shard_entry **at = &shard->buckets[entry->hash & (shard->bucket_count - 1)];
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

void mc_shard_free_taken(struct mc_shard_entry **taken)
{
    while (*taken) {
        struct mc_shard_entry *entry = *taken;
        *taken = entry->next;
        mc_window_fini(&entry->window);
        free(entry);
    }
}

bool mc_shard_set_buckets(struct mc_shard *shard, size_t count)
{
    struct mc_shard_entry **buckets = calloc(count, sizeof(struct mc_shard_entry *));
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
        struct mc_shard_entry *entry = mc_container_of(link, struct mc_shard_entry, use);
        struct mc_shard_entry **bucket = &buckets[entry->hash & (count - 1)];
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

struct mc_shard_entry *mc_shard_entry_new(const struct mc_shard_place *where)
{
    size_t size = sizeof(struct mc_shard_entry) + where->user_id.len + where->thread_id.len;
    struct mc_shard_entry *entry = calloc(1, size);
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

void mc_shard_put(struct mc_cache_memory *memory, struct mc_shard *shard,
                  struct mc_shard_entry *entry, int64_t now_us)
{
    /* Without memory for a larger table the chains grow longer. */
    if (shard->threads >= shard->bucket_count)
        (void)mc_shard_set_buckets(shard, shard->bucket_count * 2);
    struct mc_shard_entry **bucket = &shard->buckets[entry->hash & (shard->bucket_count - 1)];
    entry->next = *bucket;
    *bucket = entry;
    mc_list_push_back(&shard->users[entry->user_hash & (shard->bucket_count - 1)], &entry->of_user);
    mc_list_push_front(&shard->use, &entry->use);
    shard->threads++;
    mc_shard_account(memory, shard, entry, 0);
    mc_shard_touch(shard, entry, now_us);
}

/* ---- The bound on bytes ---- */

static struct mc_shard *oldest_shard(struct mc_cache_memory *memory)
{
    struct mc_shard *oldest = &memory->shards[0];
    int64_t oldest_us = INT64_MAX;
    for (size_t i = 0; i < MC_SHARD_COUNT; i++) {
        struct mc_shard *shard = &memory->shards[i];
        int64_t used_us = atomic_load_explicit(&shard->oldest_us, memory_order_relaxed);
        if (used_us < oldest_us) {
            oldest_us = used_us;
            oldest = shard;
        }
    }
    return oldest;
}

static bool over_bound(struct mc_cache_memory *memory)
{
    return atomic_load_explicit(&memory->bytes, memory_order_relaxed) > memory->options.max_bytes;
}

void mc_shards_shrink(struct mc_cache_memory *memory)
{
    struct mc_shard_entry *taken = NULL;
    while (over_bound(memory)) {
        struct mc_shard *shard = oldest_shard(memory);
        mc_mutex_lock(&shard->lock);
        bool found = !mc_list_empty(&shard->use);
        if (found) {
            mc_shard_take(memory, shard,
                          mc_container_of(shard->use.prev, struct mc_shard_entry, use), &taken);
            shard->counts.evictions++;
        }
        mc_mutex_unlock(&shard->lock);
        mc_shard_free_taken(&taken);
        if (!found && !over_bound(memory))
            break;
    }
}
