/*
 * The files of the disk cache: an LMDB environment that survives restarts, is shared by processes,
 * and is known to be sound whenever it is open.
 *
 * Three files in the folder: mindcore-cache.mdb, LMDB's mindcore-cache.mdb-lock, and
 * mindcore-cache.state, which is locked while in use and says whether the data was closed well.
 * Nothing is synchronised to disk while writing, so: closed well and the file as it was left: used
 * as it is (it was synchronised at closing); the process was killed, the machine runs on: the
 * kernel has all that was written and LMDB's commits are atomic; the structure is checked first
 * (cache/lmdb_check.h); the machine was restarted without closing, or the file is damaged or
 * foreign: made anew, empty.
 *
 * Several openings of one folder in one process share one environment, as LMDB demands. May be used
 * from any thread; not across fork.
 */
#ifndef MC_CACHE_LMDB_ENV_H
#define MC_CACHE_LMDB_ENV_H

#include <lmdb.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "base/thread.h"

struct mc_lmdb_reader {
    MDB_txn *txn;
    MDB_cursor *cursor; /* over the entries */
    struct mc_lmdb_reader *next;
};

struct mc_lmdb_env {
    MDB_env *env;
    MDB_dbi entries; /* the unnamed database: also holds the record of the other */
    MDB_dbi use;
    size_t page_bytes;
    uint64_t seed; /* of the hashes in keys and check sums, chosen when the file was made */
    /* Private from here on. */
    int state_fd;
    size_t map_bytes;
    size_t openings; /* guarded by the registry's lock */
    dev_t device;
    ino_t inode;
    struct mc_lmdb_env *next;
    atomic_bool marked; /* the state says that the data is in use */
    mc_mutex lock;      /* guards marking and the pool */
    struct mc_lmdb_reader *pool;
    char *dir;
};

/* Makes the folder and its parent when missing. The error says what to do. */
MC_MUST_CHECK enum mc_status mc_lmdb_env_open(const char *dir, size_t max_bytes,
                                              struct mc_lmdb_env **env, struct mc_error *err);
void mc_lmdb_env_close(struct mc_lmdb_env *env); /* accepts NULL */

/* Of the store, as last noted by any process (cache.h); 0: never. Returns 0 or errno. */
int64_t mc_lmdb_env_generation(const struct mc_lmdb_env *env);
int mc_lmdb_env_set_generation(const struct mc_lmdb_env *env, int64_t generation);

/* A read transaction from a pool; end it soon, a long one keeps pages from being reused. LMDB's
 * code. */
int mc_lmdb_read_begin(struct mc_lmdb_env *env, struct mc_lmdb_reader **reader);
void mc_lmdb_read_end(struct mc_lmdb_env *env, struct mc_lmdb_reader *reader);

/* A write transaction: LMDB has one at a time among all processes. End it with LMDB's functions. */
int mc_lmdb_write_begin(struct mc_lmdb_env *env, MDB_txn **txn);

#endif
