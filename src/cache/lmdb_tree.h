/*
 * Entries in LMDB, inside a transaction of the caller.
 *
 * An entry lies together in the tree: its messages in order, then its head, so that one descent
 * finds the head and the newest messages before it. Keys begin with a prefix, the hashes of user
 * and thread; the head holds the full ids, which are compared. A second tree has the entries in
 * order of use. Each value carries a check sum over itself and its key.
 *
 * Functions return LMDB's codes: 0, MDB_NOTFOUND, MDB_CORRUPTED (a value that cannot be trusted),
 * ...
 */
#ifndef MC_CACHE_LMDB_TREE_H
#define MC_CACHE_LMDB_TREE_H

#include "base/buf.h"
#include "cache/entry.h"
#include "cache/lmdb_env.h"

#define MC_TREE_PREFIX 16
#define MC_TREE_ID_MAX 1024 /* longer ids are not cached */

/* An open transaction with a cursor over the entries. */
struct mc_tree {
    const struct mc_lmdb_env *env;
    MDB_txn *txn;
    MDB_cursor *cursor;
};

/* Which entry. */
struct mc_tree_id {
    mc_str user_id, thread_id;
    unsigned char prefix[MC_TREE_PREFIX]; /* user's hash, thread's hash */
};
/* thread_id absent: the prefix holds only the user's hash. */
struct mc_tree_id mc_tree_id(const struct mc_lmdb_env *env, mc_str user_id, mc_str thread_id);

struct mc_tree_head {
    uint64_t entry_no; /* another for each filling */
    int64_t version;
    int64_t changed_us;
    int64_t used_us;   /* not before this; see cache/lmdb.c */
    int64_t listed_us; /* its place in the order of use */
    uint64_t topic_bits;
    uint32_t count;
    uint16_t user_len, thread_len;
    uint32_t complete;
    uint32_t reserved;
};

/* The head of an entry; the cursor is at it. MDB_NOTFOUND also when the place is another entry's.
 */
int mc_tree_find(struct mc_tree *tree, const struct mc_tree_id *id, struct mc_tree_head *head);
/* The next older message, as a new reference. MDB_NOTFOUND behind the oldest. The cursor is at a
 * newer one or at the head. */
int mc_tree_older(struct mc_tree *tree, const struct mc_tree_id *id, struct mc_record **record);

/* Walks over all heads, or those whose prefix begins as id's (len bytes of it). Start with *first
 * true. */
int mc_tree_next_head(struct mc_tree *tree, const unsigned char *prefix, size_t len, bool *first,
                      struct mc_tree_id *id, struct mc_tree_head *head);

/* Writing. */
int mc_tree_put_head(struct mc_tree *tree, const struct mc_tree_id *id, struct mc_tree_head *head);
/* Its place in the order of use becomes used_us; the head is changed, not written. */
int mc_tree_list(struct mc_tree *tree, const struct mc_tree_id *id, struct mc_tree_head *head,
                 bool is_listed);
/* *is_new (may be NULL): it was not there. scratch: any buffer. */
int mc_tree_put_message(struct mc_tree *tree, const struct mc_tree_id *id,
                        const struct mc_record *record, struct mc_buf *scratch, bool *is_new);
/* 0 or MDB_NOTFOUND. */
int mc_tree_has_message(struct mc_tree *tree, const struct mc_tree_id *id,
                        const struct mc_record *record);
/* Whether the record comes before all messages of the entry. The cursor is at the head. */
int mc_tree_is_oldest(struct mc_tree *tree, const struct mc_tree_id *id,
                      const struct mc_record *record, bool *oldest);
int mc_tree_cut_oldest(struct mc_tree *tree, const struct mc_tree_id *id);
/* Removes whatever lies under the prefix, sound or not. *removed: there was a head. */
int mc_tree_remove(struct mc_tree *tree, const unsigned char prefix[MC_TREE_PREFIX], bool *removed);
/* The entry used longest ago, by the order of use. */
int mc_tree_least_used(struct mc_tree *tree, int64_t *listed_us,
                       unsigned char prefix[MC_TREE_PREFIX]);
int mc_tree_unlist(struct mc_tree *tree, int64_t listed_us,
                   const unsigned char prefix[MC_TREE_PREFIX]);
int mc_tree_remove_all(struct mc_tree *tree);
int mc_tree_size(struct mc_tree *tree, uint64_t *threads, uint64_t *messages, uint64_t *bytes);

#endif
