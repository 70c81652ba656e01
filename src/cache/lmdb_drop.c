#include "cache/lmdb.h"

#include <errno.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/str.h"

/*
 * DESIGN. What to drop is collected in a read transaction, which hinders nobody, and removed a
 * batch at a time. A thread that is filled again between the two is dropped too: at worst it is
 * cold.
 */
#define BATCH 64

enum drop_kind { DROP_USER, DROP_TOPIC, DROP_OLDER };
struct drop {
    enum drop_kind kind;
    mc_str name; /* user or topic */
    int64_t max_age_us, now_us;
    size_t max_size; /* messages of a thread that count */
};

/* Prefixes of entries. */
struct list {
    unsigned char (*prefixes)[MC_TREE_PREFIX];
    size_t count, capacity;
    size_t next; /* the first that is not removed yet */
};

static void list_fini(struct list *list)
{
    free(list->prefixes);
}

static bool list_add(struct list *list, const unsigned char prefix[MC_TREE_PREFIX])
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : BATCH;
        void *prefixes = realloc(list->prefixes, capacity * MC_TREE_PREFIX);
        if (!prefixes)
            return false;
        list->prefixes = prefixes;
        list->capacity = capacity;
    }
    memcpy(list->prefixes[list->count++], prefix, MC_TREE_PREFIX);
    return true;
}

/* The cursor is at the head, and is there again afterwards. */
static int has_topic(struct mc_tree *tree, const struct mc_tree_id *id, struct mc_tree_head *head,
                     const struct drop *drop, bool *has)
{
    struct mc_record *record;
    int rc = 0;
    *has = false;
    for (size_t i = 0; !*has && i < drop->max_size; i++) {
        rc = mc_tree_older(tree, id, &record);
        if (rc != 0)
            break;
        *has = mc_entry_has_topic(record->m.metadata, drop->name);
        mc_record_unref(record);
    }
    if (rc == MDB_CORRUPTED || rc == MDB_NOTFOUND)
        rc = 0; /* the next read finds the damage */
    return rc != 0 ? rc : mc_tree_find(tree, id, head);
}

static int matches(struct mc_tree *tree, const struct drop *drop, const struct mc_tree_id *id,
                   struct mc_tree_head *head, bool *match)
{
    *match = false;
    switch (drop->kind) {
    case DROP_USER:
        *match = mc_str_equal(id->user_id, drop->name);
        return 0;
    case DROP_OLDER:
        *match = mc_entry_older(head->changed_us, drop->max_age_us, drop->now_us);
        return 0;
    case DROP_TOPIC:
        if (head->topic_bits & mc_entry_topic_bit(drop->name))
            return has_topic(tree, id, head, drop, match);
        return 0;
    }
    return 0;
}

static int collect(struct mc_tree *tree, const struct drop *drop, struct list *list)
{
    struct mc_tree_id user = mc_tree_id(tree->env, drop->name, MC_STR_NONE);
    size_t len = drop->kind == DROP_USER ? 8 : 0;
    struct mc_tree_id id;
    struct mc_tree_head head;
    bool first = true;
    for (;;) {
        bool match = true;
        int rc = mc_tree_next_head(tree, user.prefix, len, &first, &id, &head);
        /* What is damaged leaves on any occasion. */
        if (rc == 0)
            rc = matches(tree, drop, &id, &head, &match);
        else if (rc == MDB_CORRUPTED)
            rc = 0;
        if (rc != 0)
            return rc == MDB_NOTFOUND ? 0 : rc;
        if (match && !list_add(list, id.prefix))
            return ENOMEM;
    }
}

static int remove_batch(struct mc_lmdb_write *write, void *context)
{
    const struct list *list = context;
    for (size_t i = list->next; i < list->count && i < list->next + BATCH; i++) {
        bool removed;
        int rc = mc_tree_remove(&write->tree, list->prefixes[i], &removed);
        if (rc != 0)
            return rc;
        write->dropped += removed;
    }
    return 0;
}

static void count_dropped(struct mc_lmdb_cache *cache, uint64_t dropped, int64_t now_us)
{
    mc_lmdb_count_add(cache, MC_LMDB_INVALIDATIONS, dropped);
    if (dropped > 0)
        atomic_store_explicit(&cache->last_invalidation_us, now_us, memory_order_relaxed);
}

static uint64_t drop_each(struct mc_lmdb_cache *cache, const struct drop *drop)
{
    mc_auto(list_fini) struct list list = {0};
    struct mc_lmdb_reader *reader;
    int rc = mc_lmdb_read_begin(cache->env, &reader);
    if (rc == 0) {
        struct mc_tree tree = {cache->env, reader->txn, reader->cursor};
        rc = collect(&tree, drop, &list);
        mc_lmdb_read_end(cache->env, reader);
    }
    if (rc != 0) {
        mc_seen_doubt(&cache->seen);
        mc_lmdb_note_failure(cache, "look for what to drop", rc);
    }
    uint64_t dropped = 0;
    bool ok = true;
    for (; ok && list.next < list.count; list.next += BATCH)
        ok = mc_lmdb_run(cache, "drop threads", remove_batch, &list, drop->now_us, &dropped);
    count_dropped(cache, dropped, drop->now_us);
    return dropped;
}

static int remove_thread(struct mc_lmdb_write *write, void *context)
{
    const struct mc_tree_id *id = context;
    struct mc_tree_head head;
    bool removed;
    int rc = mc_tree_find(&write->tree, id, &head);
    if (rc != 0 && rc != MDB_CORRUPTED)
        return rc == MDB_NOTFOUND ? MC_LMDB_NOTHING : rc;
    rc = mc_tree_remove(&write->tree, id->prefix, &removed);
    write->dropped += removed;
    return rc;
}

static int remove_all(struct mc_lmdb_write *write, void *context)
{
    (void)context;
    uint64_t messages, bytes;
    int rc = mc_tree_size(&write->tree, &write->dropped, &messages, &bytes);
    return rc != 0 ? rc : mc_tree_remove_all(&write->tree);
}

uint64_t mc_lmdb_drop(struct mc_cache *base, mc_str user_id, mc_str thread_id, int64_t now_us)
{
    struct mc_lmdb_cache *cache = mc_lmdb_of(base);
    uint64_t dropped = 0;
    if (mc_str_given(user_id) && !mc_str_given(thread_id)) {
        dropped = drop_each(cache, &(struct drop){DROP_USER, user_id, 0, now_us, 0});
        mc_lmdb_count_add(cache, MC_LMDB_BY_USER, dropped);
        return dropped;
    }
    if (mc_str_given(user_id)) {
        struct mc_tree_id id = mc_tree_id(cache->env, user_id, thread_id);
        (void)mc_lmdb_run(cache, "drop a thread", remove_thread, &id, now_us, &dropped);
    } else {
        (void)mc_lmdb_run(cache, "drop everything", remove_all, NULL, now_us, &dropped);
    }
    count_dropped(cache, dropped, now_us);
    return dropped;
}

uint64_t mc_lmdb_drop_topic(struct mc_cache *base, mc_str topic, int64_t now_us)
{
    struct mc_lmdb_cache *cache = mc_lmdb_of(base);
    struct drop drop = {DROP_TOPIC, topic, 0, now_us, cache->options.max_size};
    uint64_t dropped = drop_each(cache, &drop);
    mc_lmdb_count_add(cache, MC_LMDB_BY_TOPIC, dropped);
    return dropped;
}

uint64_t mc_lmdb_drop_older(struct mc_cache *base, int64_t max_age_us, int64_t now_us)
{
    struct mc_lmdb_cache *cache = mc_lmdb_of(base);
    struct drop drop = {DROP_OLDER, MC_STR_NONE, max_age_us, now_us, 0};
    uint64_t dropped = drop_each(cache, &drop);
    mc_lmdb_count_add(cache, MC_LMDB_BY_AGE, dropped);
    return dropped;
}
