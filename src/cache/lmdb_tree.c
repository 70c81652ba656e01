#include "cache/lmdb_tree.h"

#include <errno.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"

/*
 * DESIGN. Numbers in keys are big-endian with the sign turned, so that the order of bytes is that
 * of numbers. The head's key ends in bytes 0xff, which no message has, and so lies behind all
 * messages.
 */
#define KEY_SIZE (MC_TREE_PREFIX + 16)
#define USE_SIZE (8 + MC_TREE_PREFIX)

_Static_assert(sizeof(struct mc_tree_head) == 64, "no hidden bytes: it is written as it is");

static void put_number(unsigned char *at, int64_t number)
{
    uint64_t turned = (uint64_t)number ^ (UINT64_C(1) << 63);
    for (int i = 7; i >= 0; i--, turned >>= 8)
        at[i] = (unsigned char)turned;
}

static int64_t get_number(const unsigned char *at)
{
    uint64_t turned = 0;
    for (int i = 0; i < 8; i++)
        turned = turned << 8 | at[i];
    return (int64_t)(turned ^ (UINT64_C(1) << 63));
}

static void head_key(unsigned char key[KEY_SIZE], const unsigned char *prefix)
{
    memcpy(key, prefix, MC_TREE_PREFIX);
    memset(key + MC_TREE_PREFIX, 0xff, KEY_SIZE - MC_TREE_PREFIX);
}

static void message_key(unsigned char key[KEY_SIZE], const unsigned char *prefix,
                        const struct mc_record *record)
{
    memcpy(key, prefix, MC_TREE_PREFIX);
    put_number(key + MC_TREE_PREFIX, record->m.created_at_us);
    put_number(key + MC_TREE_PREFIX + 8, record->row);
}

static bool under(const MDB_val *key, const unsigned char *prefix)
{
    return key->mv_size == KEY_SIZE && memcmp(key->mv_data, prefix, MC_TREE_PREFIX) == 0;
}

static bool is_head(const MDB_val *key)
{
    static const unsigned char ending[KEY_SIZE - MC_TREE_PREFIX] = {
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    return memcmp((const unsigned char *)key->mv_data + MC_TREE_PREFIX, ending, sizeof(ending)) ==
           0;
}

struct mc_tree_id mc_tree_id(const struct mc_lmdb_env *env, mc_str user_id, mc_str thread_id)
{
    struct mc_tree_id id = {.user_id = user_id, .thread_id = thread_id};
    uint64_t user = mc_entry_hash(env->seed, user_id.data, user_id.len);
    memcpy(id.prefix, &user, 8);
    if (mc_str_given(thread_id)) {
        uint64_t thread = mc_entry_hash(~env->seed, thread_id.data, thread_id.len);
        memcpy(id.prefix + 8, &thread, 8);
    }
    return id;
}

/* ---- Values ---- */

static uint64_t check_sum(const struct mc_tree *tree, const MDB_val *key, const char *bytes,
                          size_t len)
{
    return mc_entry_hash(mc_entry_hash(tree->env->seed, key->mv_data, key->mv_size), bytes, len);
}

/* The bytes behind the check sum; false when they are not what was written. */
static bool open_value(const struct mc_tree *tree, const MDB_val *key, const MDB_val *value,
                       mc_str *bytes)
{
    uint64_t sum;
    if (value->mv_size < sizeof(sum))
        return false;
    memcpy(&sum, value->mv_data, sizeof(sum));
    *bytes = (mc_str){(const char *)value->mv_data + sizeof(sum), value->mv_size - sizeof(sum)};
    return sum == check_sum(tree, key, bytes->data, bytes->len);
}

/* *id: the ids of the entry, in the map; of a damaged one only the prefix is known. */
static int open_head(const struct mc_tree *tree, const MDB_val *key, const MDB_val *value,
                     struct mc_tree_head *head, struct mc_tree_id *id)
{
    mc_str bytes;
    memcpy(id->prefix, key->mv_data, MC_TREE_PREFIX);
    if (!open_value(tree, key, value, &bytes) || bytes.len < sizeof(*head))
        return MDB_CORRUPTED;
    memcpy(head, bytes.data, sizeof(*head));
    if (bytes.len != sizeof(*head) + head->user_len + head->thread_len)
        return MDB_CORRUPTED;
    id->user_id = (mc_str){bytes.data + sizeof(*head), head->user_len};
    id->thread_id = (mc_str){bytes.data + sizeof(*head) + head->user_len, head->thread_len};
    return 0;
}

int mc_tree_find(struct mc_tree *tree, const struct mc_tree_id *id, struct mc_tree_head *head)
{
    unsigned char bytes[KEY_SIZE];
    head_key(bytes, id->prefix);
    MDB_val key = {KEY_SIZE, bytes}, value;
    int rc = mdb_cursor_get(tree->cursor, &key, &value, MDB_SET);
    struct mc_tree_head found;
    struct mc_tree_id there;
    if (rc == 0)
        rc = open_head(tree, &key, &value, &found, &there);
    if (rc != 0)
        return rc;
    if (!mc_str_equal(there.user_id, id->user_id) || !mc_str_equal(there.thread_id, id->thread_id))
        return MDB_NOTFOUND;
    *head = found;
    return 0;
}

int mc_tree_older(struct mc_tree *tree, const struct mc_tree_id *id, struct mc_record **record)
{
    MDB_val key, value;
    int rc = mdb_cursor_get(tree->cursor, &key, &value, MDB_PREV);
    if (rc != 0)
        return rc;
    if (!under(&key, id->prefix))
        return MDB_NOTFOUND;
    mc_str bytes;
    if (!open_value(tree, &key, &value, &bytes))
        return MDB_CORRUPTED;
    struct mc_error err;
    enum mc_status status = mc_record_decode(bytes, record, &err);
    return status == MC_OK ? 0 : status == MC_NO_MEMORY ? ENOMEM : MDB_CORRUPTED;
}

int mc_tree_next_head(struct mc_tree *tree, const unsigned char *prefix, size_t len, bool *first,
                      struct mc_tree_id *id, struct mc_tree_head *head)
{
    unsigned char bytes[KEY_SIZE] = {0};
    MDB_val key = {KEY_SIZE, bytes}, value;
    if (len > 0)
        memcpy(bytes, prefix, len);
    int rc = mdb_cursor_get(tree->cursor, &key, &value, *first ? MDB_SET_RANGE : MDB_NEXT);
    *first = false;
    while (rc == 0) {
        if (key.mv_size != KEY_SIZE) { /* the record of the other tree */
            rc = mdb_cursor_get(tree->cursor, &key, &value, MDB_NEXT);
            continue;
        }
        if (len > 0 && memcmp(key.mv_data, prefix, len) != 0)
            return MDB_NOTFOUND;
        if (is_head(&key))
            return open_head(tree, &key, &value, head, id);
        head_key(bytes, key.mv_data);
        key = (MDB_val){KEY_SIZE, bytes};
        rc = mdb_cursor_get(tree->cursor, &key, &value, MDB_SET_RANGE);
    }
    return rc;
}

/* ---- Writing ---- */

int mc_tree_put_head(struct mc_tree *tree, const struct mc_tree_id *id, struct mc_tree_head *head)
{
    char buffer[sizeof(uint64_t) + sizeof(*head) + 2 * MC_TREE_ID_MAX];
    unsigned char bytes[KEY_SIZE];
    head_key(bytes, id->prefix);
    MDB_val key = {KEY_SIZE, bytes};
    head->user_len = (uint16_t)id->user_id.len;
    head->thread_len = (uint16_t)id->thread_id.len;
    char *at = buffer + sizeof(uint64_t);
    memcpy(at, head, sizeof(*head));
    memcpy(at + sizeof(*head), id->user_id.data, head->user_len);
    memcpy(at + sizeof(*head) + head->user_len, id->thread_id.data, head->thread_len);
    size_t len = sizeof(*head) + head->user_len + head->thread_len;
    uint64_t sum = check_sum(tree, &key, at, len);
    memcpy(buffer, &sum, sizeof(sum));
    MDB_val value = {sizeof(sum) + len, buffer};
    return mdb_cursor_put(tree->cursor, &key, &value, 0);
}

static MDB_val use_key(unsigned char bytes[USE_SIZE], int64_t listed_us,
                       const unsigned char *prefix)
{
    put_number(bytes, listed_us);
    memcpy(bytes + 8, prefix, MC_TREE_PREFIX);
    return (MDB_val){USE_SIZE, bytes};
}

int mc_tree_unlist(struct mc_tree *tree, int64_t listed_us,
                   const unsigned char prefix[MC_TREE_PREFIX])
{
    unsigned char bytes[USE_SIZE];
    MDB_val key = use_key(bytes, listed_us, prefix);
    return mdb_del(tree->txn, tree->env->use, &key, NULL);
}

int mc_tree_list(struct mc_tree *tree, const struct mc_tree_id *id, struct mc_tree_head *head,
                 bool is_listed)
{
    int rc = is_listed ? mc_tree_unlist(tree, head->listed_us, id->prefix) : 0;
    if (rc != 0 && rc != MDB_NOTFOUND)
        return rc;
    unsigned char bytes[USE_SIZE];
    head->listed_us = head->used_us;
    MDB_val key = use_key(bytes, head->listed_us, id->prefix);
    MDB_val value = {0, bytes};
    return mdb_put(tree->txn, tree->env->use, &key, &value, 0);
}

int mc_tree_put_message(struct mc_tree *tree, const struct mc_tree_id *id,
                        const struct mc_record *record, struct mc_buf *scratch, bool *is_new)
{
    unsigned char bytes[KEY_SIZE];
    message_key(bytes, id->prefix, record);
    MDB_val key = {KEY_SIZE, bytes};
    uint64_t sum = 0;
    mc_buf_reset(scratch);
    mc_buf_append(scratch, (mc_str){(const char *)&sum, sizeof(sum)});
    mc_record_encode(record, scratch);
    if (scratch->failed)
        return ENOMEM;
    sum = check_sum(tree, &key, scratch->data + sizeof(sum), scratch->len - sizeof(sum));
    memcpy(scratch->data, &sum, sizeof(sum));
    MDB_val value = {scratch->len, scratch->data};
    int rc = mdb_cursor_put(tree->cursor, &key, &value, is_new ? MDB_NOOVERWRITE : 0);
    if (!is_new)
        return rc;
    *is_new = rc == 0;
    if (rc != MDB_KEYEXIST)
        return rc;
    value = (MDB_val){scratch->len, scratch->data};
    return mdb_cursor_put(tree->cursor, &key, &value, 0);
}

int mc_tree_has_message(struct mc_tree *tree, const struct mc_tree_id *id,
                        const struct mc_record *record)
{
    unsigned char bytes[KEY_SIZE];
    message_key(bytes, id->prefix, record);
    MDB_val key = {KEY_SIZE, bytes}, value;
    return mdb_cursor_get(tree->cursor, &key, &value, MDB_SET);
}

/* The first key under the prefix. */
static int seek_oldest(struct mc_tree *tree, const unsigned char *prefix, MDB_val *key,
                       MDB_val *value)
{
    *key = (MDB_val){MC_TREE_PREFIX, (void *)(uintptr_t)prefix};
    int rc = mdb_cursor_get(tree->cursor, key, value, MDB_SET_RANGE);
    return rc == 0 && !under(key, prefix) ? MDB_NOTFOUND : rc;
}

int mc_tree_is_oldest(struct mc_tree *tree, const struct mc_tree_id *id,
                      const struct mc_record *record, bool *oldest)
{
    unsigned char bytes[KEY_SIZE];
    MDB_val key, value;
    message_key(bytes, id->prefix, record);
    /* Nearly always it is newer than the newest, which lies before the head. */
    int rc = mdb_cursor_get(tree->cursor, &key, &value, MDB_PREV);
    if (rc == 0 && under(&key, id->prefix) && memcmp(bytes, key.mv_data, KEY_SIZE) > 0) {
        *oldest = false;
        return 0;
    }
    rc = seek_oldest(tree, id->prefix, &key, &value);
    if (rc == 0)
        *oldest = memcmp(bytes, key.mv_data, KEY_SIZE) < 0;
    return rc;
}

int mc_tree_cut_oldest(struct mc_tree *tree, const struct mc_tree_id *id)
{
    MDB_val key, value;
    int rc = seek_oldest(tree, id->prefix, &key, &value);
    if (rc == 0 && is_head(&key))
        rc = MDB_CORRUPTED;
    return rc != 0 ? rc : mdb_cursor_del(tree->cursor, 0);
}

int mc_tree_remove(struct mc_tree *tree, const unsigned char prefix[MC_TREE_PREFIX], bool *removed)
{
    MDB_val key, value;
    *removed = false;
    int rc = seek_oldest(tree, prefix, &key, &value);
    while (rc == 0 && under(&key, prefix)) {
        if (is_head(&key)) {
            struct mc_tree_head head;
            struct mc_tree_id id;
            *removed = true;
            if (open_head(tree, &key, &value, &head, &id) == 0)
                rc = mc_tree_unlist(tree, head.listed_us, prefix);
            if (rc != 0 && rc != MDB_NOTFOUND)
                return rc;
        }
        rc = mdb_cursor_del(tree->cursor, 0);
        if (rc == 0)
            rc = mdb_cursor_get(tree->cursor, &key, &value, MDB_NEXT);
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int mc_tree_least_used(struct mc_tree *tree, int64_t *listed_us,
                       unsigned char prefix[MC_TREE_PREFIX])
{
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(tree->txn, tree->env->use, &cursor);
    if (rc != 0)
        return rc;
    MDB_val key, value;
    rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    if (rc == 0 && key.mv_size != USE_SIZE)
        rc = MDB_CORRUPTED;
    if (rc == 0) {
        *listed_us = get_number(key.mv_data);
        memcpy(prefix, (const unsigned char *)key.mv_data + 8, MC_TREE_PREFIX);
    }
    mdb_cursor_close(cursor);
    return rc;
}

int mc_tree_remove_all(struct mc_tree *tree)
{
    /* The record of the second tree goes with the first and is written again at the commit. */
    int rc = mdb_drop(tree->txn, tree->env->use, 0);
    return rc != 0 ? rc : mdb_drop(tree->txn, tree->env->entries, 0);
}

int mc_tree_size(struct mc_tree *tree, uint64_t *threads, uint64_t *messages, uint64_t *bytes)
{
    MDB_stat entries, use;
    int rc = mdb_stat(tree->txn, tree->env->entries, &entries);
    if (rc == 0)
        rc = mdb_stat(tree->txn, tree->env->use, &use);
    if (rc != 0)
        return rc;
    *threads = use.ms_entries;
    /* Besides messages: a head for each thread and the record of the other tree. */
    uint64_t others = use.ms_entries + 1;
    *messages = entries.ms_entries > others ? entries.ms_entries - others : 0;
    *bytes = (entries.ms_branch_pages + entries.ms_leaf_pages + entries.ms_overflow_pages +
              use.ms_branch_pages + use.ms_leaf_pages + use.ms_overflow_pages) *
             tree->env->page_bytes;
    return 0;
}
