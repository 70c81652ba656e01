#include "context/answer_cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/str.h"

struct entry {
    struct mc_list used;
    mc_str key;
    mc_str user_id;
    uint64_t source;
    int64_t expires_us;
    struct mc_source_answer *answer;
    size_t bytes;
    char text[]; /* key and user */
};

void mc_answer_cache_init(struct mc_answer_cache *cache)
{
    *cache = (struct mc_answer_cache){0};
    mc_map_init(&cache->map);
    mc_list_init(&cache->used);
}

static struct entry *entry_at(struct mc_list *node)
{
    return mc_container_of(node, struct entry, used);
}

static void drop(struct mc_answer_cache *cache, struct entry *entry)
{
    (void)mc_map_remove(&cache->map, entry->key);
    mc_list_remove(&entry->used);
    cache->count--;
    cache->bytes -= entry->bytes;
    mc_answer_unref(entry->answer);
    free(entry);
}

void mc_answer_cache_fini(struct mc_answer_cache *cache)
{
    while (!mc_list_empty(&cache->used))
        drop(cache, entry_at(cache->used.next));
    mc_map_fini(&cache->map);
}

struct mc_source_answer *mc_answer_cache_get(struct mc_answer_cache *cache, mc_str key,
                                             int64_t now_us)
{
    struct entry *entry = mc_map_get(&cache->map, key);
    if (!entry)
        return NULL;
    if (entry->expires_us <= now_us) {
        drop(cache, entry);
        return NULL;
    }
    mc_list_remove(&entry->used);
    mc_list_push_front(&cache->used, &entry->used);
    return entry->answer;
}

void mc_answer_cache_put(struct mc_answer_cache *cache, mc_str key, mc_str user_id, uint64_t source,
                         struct mc_source_answer *answer, int64_t expires_us)
{
    struct entry *present = mc_map_get(&cache->map, key);
    if (present)
        drop(cache, present);
    size_t size = sizeof(struct entry) + key.len + user_id.len;
    size_t bytes = size + mc_answer_bytes(answer);
    struct entry *entry = bytes <= MC_ANSWER_CACHE_BYTES ? malloc(size) : NULL;
    if (!entry)
        return;
    memcpy(entry->text, key.data, key.len);
    if (user_id.len > 0)
        memcpy(entry->text + key.len, user_id.data, user_id.len);
    entry->key = (mc_str){entry->text, key.len};
    entry->user_id = (mc_str){entry->text + key.len, user_id.len};
    entry->source = source;
    entry->expires_us = expires_us;
    entry->bytes = bytes;
    if (!mc_map_put(&cache->map, entry->key, entry)) {
        free(entry);
        return;
    }
    entry->answer = mc_answer_ref(answer);
    while (cache->count == MC_ANSWER_CACHE_COUNT || cache->bytes > MC_ANSWER_CACHE_BYTES - bytes)
        drop(cache, entry_at(cache->used.prev));
    mc_list_push_front(&cache->used, &entry->used);
    cache->count++;
    cache->bytes += bytes;
}

void mc_answer_cache_forget_user(struct mc_answer_cache *cache, mc_str user_id)
{
    for (struct mc_list *node = cache->used.next, *next; node != &cache->used; node = next) {
        next = node->next;
        if (!mc_str_given(user_id) || mc_str_equal(entry_at(node)->user_id, user_id))
            drop(cache, entry_at(node));
    }
}

void mc_answer_cache_forget_source(struct mc_answer_cache *cache, uint64_t source)
{
    for (struct mc_list *node = cache->used.next, *next; node != &cache->used; node = next) {
        next = node->next;
        if (entry_at(node)->source == source)
            drop(cache, entry_at(node));
    }
}
