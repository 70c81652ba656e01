#include "cache/lmdb.h"

#include <errno.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/log.h"
#include "base/time.h"

/* Steps of evicting in one transaction, so that no caller waits long. */
#define EVICTIONS_MAX 64
#define MOVES_MAX 256
#define ENCODED_BYTES_MAX ((size_t)16 << 20)

void mc_lmdb_note_failure(struct mc_lmdb_cache *cache, const char *doing, int rc)
{
    mc_lmdb_count_add(cache, MC_LMDB_ERRORS, 1);
    int64_t now_us = mc_time_monotonic_us();
    int64_t logged_us = atomic_load(&cache->logged_us);
    if ((logged_us == 0 || now_us - logged_us > 60 * MC_US_PER_SECOND) &&
        atomic_compare_exchange_strong(&cache->logged_us, &logged_us, now_us))
        mc_log(MC_LOG_WARNING, "cache", "the disk cache cannot %s: %s; reading from the store",
               doing, mdb_strerror(rc));
}

/* ---- Write transactions ---- */

static int evict_one(struct mc_lmdb_write *write, int *moves)
{
    struct mc_tree *tree = &write->tree;
    struct mc_tree_id id;
    struct mc_tree_head head;
    int64_t listed_us;
    unsigned char prefix[MC_TREE_PREFIX];
    int rc = mc_tree_least_used(tree, &listed_us, prefix);
    if (rc != 0)
        return rc;
    bool first = true;
    rc = mc_tree_next_head(tree, prefix, MC_TREE_PREFIX, &first, &id, &head);
    if (rc == 0 && *moves < MOVES_MAX) {
        int64_t used_us = mc_seen_used(&write->cache->seen, head.entry_no, head.used_us);
        if (used_us > listed_us) {
            ++*moves;
            /* The ids lie in the page that the change will move. */
            char ids[2 * MC_TREE_ID_MAX];
            memcpy(ids, id.user_id.data, id.user_id.len);
            memcpy(ids + id.user_id.len, id.thread_id.data, id.thread_id.len);
            id.user_id.data = ids;
            id.thread_id.data = ids + id.user_id.len;
            head.used_us = used_us;
            rc = mc_tree_list(tree, &id, &head, true);
            return rc != 0 ? rc : mc_tree_put_head(tree, &id, &head);
        }
    }
    bool removed;
    rc = mc_tree_remove(tree, prefix, &removed);
    write->evictions += removed;
    /* Its place stays behind when the head was damaged or listed elsewhere. */
    int gone = rc == 0 ? mc_tree_unlist(tree, listed_us, prefix) : rc;
    return gone == MDB_NOTFOUND ? 0 : gone;
}

/* Evicts until the trees take no more than max_bytes, or enough for one transaction was done. */
static int shrink(struct mc_lmdb_write *write, size_t max_bytes)
{
    int moves = 0;
    for (int step = 0; step < EVICTIONS_MAX + MOVES_MAX; step++) {
        uint64_t threads, messages, bytes;
        int rc = mc_tree_size(&write->tree, &threads, &messages, &bytes);
        if (rc != 0 || bytes <= max_bytes || threads == 0)
            return rc;
        if (write->evictions >= EVICTIONS_MAX)
            return 0;
        rc = evict_one(write, &moves);
        if (rc != 0)
            return rc == MDB_NOTFOUND ? 0 : rc;
    }
    return 0;
}

static int try_write(struct mc_lmdb_cache *cache, mc_lmdb_write_fn run, void *context,
                     int64_t now_us, struct mc_lmdb_write *write)
{
    *write = (struct mc_lmdb_write){.cache = cache, .now_us = now_us, .tree = {.env = cache->env}};
    int rc = mc_lmdb_write_begin(cache->env, &write->tree.txn);
    if (rc != 0)
        return rc;
    rc = mdb_cursor_open(write->tree.txn, cache->env->entries, &write->tree.cursor);
    if (rc == 0)
        rc = run(write, context);
    if (rc == 0)
        rc = shrink(write, cache->options.max_bytes);
    if (rc == 0)
        return mdb_txn_commit(write->tree.txn);
    mdb_txn_abort(write->tree.txn);
    return rc;
}

/* The room that is left in the map is less than what the change needs. */
static int make_room(struct mc_lmdb_write *write, void *context)
{
    (void)context;
    uint64_t threads, messages, bytes;
    int dead;
    int rc = mdb_reader_check(write->tree.env->env, &dead);
    if (rc == 0)
        rc = mc_tree_size(&write->tree, &threads, &messages, &bytes);
    return rc != 0 ? rc : shrink(write, bytes - bytes / 8);
}

static void count_write(struct mc_lmdb_cache *cache, const struct mc_lmdb_write *write)
{
    mc_lmdb_count_add(cache, MC_LMDB_EVICTIONS, write->evictions);
    mc_lmdb_count_add(cache, MC_LMDB_EXPIRATIONS, write->expirations);
    mc_lmdb_count_add(cache, MC_LMDB_BY_CHANGE, write->by_change);
}

bool mc_lmdb_run(struct mc_lmdb_cache *cache, const char *doing, mc_lmdb_write_fn run,
                 void *context, int64_t now_us, uint64_t *dropped)
{
    struct mc_lmdb_write write;
    int rc = try_write(cache, run, context, now_us, &write);
    if (rc == MDB_MAP_FULL) {
        struct mc_lmdb_write room;
        rc = try_write(cache, make_room, NULL, now_us, &room);
        if (rc == 0) {
            count_write(cache, &room);
            rc = try_write(cache, run, context, now_us, &write);
        }
    }
    if (rc == MC_LMDB_NOTHING)
        return true;
    if (rc != 0) {
        mc_seen_doubt(&cache->seen);
        mc_lmdb_note_failure(cache, doing, rc);
        return false;
    }
    count_write(cache, &write);
    if (dropped)
        *dropped += write.dropped;
    return true;
}

static bool cacheable(mc_str user_id, mc_str thread_id)
{
    return user_id.len <= MC_TREE_ID_MAX && thread_id.len <= MC_TREE_ID_MAX;
}

/* ---- Filling ---- */

struct filling {
    struct mc_tree_id id;
    struct mc_record *const *records; /* newest first */
    size_t count;
    int64_t version;
    bool complete;
};

static int put_entry(struct mc_lmdb_write *write, const struct filling *filling)
{
    struct mc_tree_head head = {
        .entry_no = atomic_fetch_add(&write->cache->next_entry_no, 1),
        .version = filling->version,
        .changed_us = write->now_us,
        .used_us = write->now_us,
        .count = (uint32_t)filling->count,
        .complete = filling->complete,
    };
    mc_auto(mc_buf_fini) struct mc_buf scratch;
    mc_buf_init(&scratch, ENCODED_BYTES_MAX);
    for (size_t i = filling->count; i-- > 0;) {
        const struct mc_record *record = filling->records[i];
        head.topic_bits |= mc_entry_topic_bits(record->m.metadata);
        int rc = mc_tree_put_message(&write->tree, &filling->id, record, &scratch, NULL);
        if (rc != 0)
            return rc;
    }
    int rc = mc_tree_list(&write->tree, &filling->id, &head, false);
    return rc != 0 ? rc : mc_tree_put_head(&write->tree, &filling->id, &head);
}

static int fill_entry(struct mc_lmdb_write *write, void *context)
{
    const struct filling *filling = context;
    bool removed;
    int rc = mc_tree_remove(&write->tree, filling->id.prefix, &removed);
    size_t bytes = 0;
    for (size_t i = 0; i < filling->count; i++)
        bytes += filling->records[i]->size_bytes;
    if (rc != 0 || bytes > write->cache->options.max_bytes)
        return rc;
    return put_entry(write, filling);
}

void mc_lmdb_fill(struct mc_cache *base, mc_str user_id, mc_str thread_id,
                  struct mc_record *const *records, size_t count, int64_t version, bool complete,
                  int64_t now_us)
{
    struct mc_lmdb_cache *cache = mc_lmdb_of(base);
    if (!cacheable(user_id, thread_id))
        return;
    size_t taken = count < cache->options.max_size ? count : cache->options.max_size;
    struct filling filling = {
        .id = mc_tree_id(cache->env, user_id, thread_id),
        .records = records,
        .count = taken,
        .version = version,
        .complete = complete && taken == count,
    };
    (void)mc_lmdb_run(cache, "keep a thread", fill_entry, &filling, now_us, NULL);
}

/* ---- Changes ---- */

struct change {
    struct mc_tree_id id;
    struct mc_record *record;
    int64_t version;
    int64_t messages; /* 0: the message has a new form */
    uint64_t topic_bits;
    uint64_t entry_no; /* of the entry that it was applied to */
};

/* As mc_window_add. */
static int add_message(struct mc_lmdb_write *write, const struct change *change,
                       struct mc_tree_head *head)
{
    struct mc_tree *tree = &write->tree;
    size_t max_size = write->cache->options.max_size;
    bool full = head->count >= max_size;
    if (full || !head->complete) {
        bool oldest = true;
        int rc = mc_tree_is_oldest(tree, &change->id, change->record, &oldest);
        if (rc != 0)
            return rc;
        if (oldest) {
            head->complete = false;
            return 0;
        }
    }
    mc_auto(mc_buf_fini) struct mc_buf scratch;
    mc_buf_init(&scratch, ENCODED_BYTES_MAX);
    bool is_new;
    int rc = mc_tree_put_message(tree, &change->id, change->record, &scratch, &is_new);
    head->count += is_new;
    if (head->count > max_size)
        head->complete = false;
    if (head->count > max_size + mc_lmdb_slack(write->cache)) {
        for (; rc == 0 && head->count > max_size; head->count--)
            rc = mc_tree_cut_oldest(tree, &change->id);
    }
    return rc;
}

static int replace_message(struct mc_lmdb_write *write, const struct change *change)
{
    int rc = mc_tree_has_message(&write->tree, &change->id, change->record);
    if (rc != 0)
        return rc == MDB_NOTFOUND ? 0 : rc;
    mc_auto(mc_buf_fini) struct mc_buf scratch;
    mc_buf_init(&scratch, ENCODED_BYTES_MAX);
    return mc_tree_put_message(&write->tree, &change->id, change->record, &scratch, NULL);
}

/* The first message of a thread is all of it. */
static int begin_entry(struct mc_lmdb_write *write, struct change *change)
{
    struct filling filling = {change->id, &change->record, 1, change->version, true};
    return fill_entry(write, &filling);
}

static int apply_change(struct mc_lmdb_write *write, void *context)
{
    struct change *change = context;
    struct mc_tree_head head;
    int rc = mc_tree_find(&write->tree, &change->id, &head);
    change->entry_no = 0;
    if (rc == MDB_NOTFOUND)
        return change->messages == 1 ? begin_entry(write, change) : MC_LMDB_NOTHING;
    bool removed;
    if (rc == MDB_CORRUPTED)
        return mc_tree_remove(&write->tree, change->id.prefix, &removed);
    if (rc != 0)
        return rc;
    enum mc_entry_verdict verdict = mc_entry_judge(head.version, change->version);
    if (verdict == MC_ENTRY_IGNORE)
        return MC_LMDB_NOTHING;
    if (verdict == MC_ENTRY_DROP ||
        (change->messages > 0 && head.complete && (int64_t)head.count + 1 != change->messages)) {
        write->by_change++;
        return mc_tree_remove(&write->tree, change->id.prefix, &removed);
    }
    rc = change->messages > 0 ? add_message(write, change, &head) : replace_message(write, change);
    if (rc != 0)
        return rc;
    head.version = change->version;
    head.changed_us = write->now_us;
    head.used_us = head.used_us > write->now_us ? head.used_us : write->now_us;
    head.topic_bits |= change->topic_bits;
    change->entry_no = head.entry_no;
    return mc_tree_put_head(&write->tree, &change->id, &head);
}

static void change_entry(struct mc_lmdb_cache *cache, struct change *change, int64_t now_us)
{
    if (!mc_lmdb_run(cache, "change a thread", apply_change, change, now_us, NULL) ||
        change->entry_no == 0)
        return;
    mc_seen_changed(&cache->seen, change->entry_no, change->version, now_us);
}

void mc_lmdb_append(struct mc_cache *base, struct mc_record *record, int64_t version,
                    int64_t messages, int64_t now_us)
{
    struct mc_lmdb_cache *cache = mc_lmdb_of(base);
    if (!cacheable(record->m.user_id, record->m.thread_id))
        return;
    struct change change = {
        .id = mc_tree_id(cache->env, record->m.user_id, record->m.thread_id),
        .record = record,
        .version = version,
        .messages = messages > 0 ? messages : 2, /* no count: not a new thread */
        .topic_bits = mc_entry_topic_bits(record->m.metadata),
    };
    change_entry(cache, &change, now_us);
}

void mc_lmdb_update(struct mc_cache *base, struct mc_record *record, int64_t version,
                    const mc_str *topics, size_t topic_count, int64_t now_us)
{
    struct mc_lmdb_cache *cache = mc_lmdb_of(base);
    if (!cacheable(record->m.user_id, record->m.thread_id))
        return;
    struct change change = {
        .id = mc_tree_id(cache->env, record->m.user_id, record->m.thread_id),
        .record = record,
        .version = version,
    };
    for (size_t i = 0; i < topic_count; i++)
        change.topic_bits |= mc_entry_topic_bit(topics[i]);
    change_entry(cache, &change, now_us);
}
