/*
 * What this process knows of the entries of the disk cache, beside the file: whether an entry was
 * compared with the store since the last doubt, and when it was last used. A table of fixed size,
 * one place for each entry number modulo the size: who loses its place is compared again.
 * Thread-safe.
 */
#ifndef MC_CACHE_LMDB_SEEN_H
#define MC_CACHE_LMDB_SEEN_H

#include <stdatomic.h>

#include "base/thread.h"

#define MC_SEEN_LOCKS 64

struct mc_seen_place;
struct mc_seen {
    struct mc_seen_place *places;
    size_t mask;
    _Atomic uint64_t epoch;        /* counts doubts, from 1 */
    mc_mutex locks[MC_SEEN_LOCKS]; /* each guards the places that it divides */
};

/* Room for about `entries`. False: out of memory. */
MC_MUST_CHECK bool mc_seen_init(struct mc_seen *seen, size_t entries);
void mc_seen_fini(struct mc_seen *seen);

void mc_seen_doubt(struct mc_seen *seen);
/* An entry was read: whether it is verified; if not, this notes that the store must be asked. */
bool mc_seen_read(struct mc_seen *seen, uint64_t entry_no, int64_t version, int64_t now_us);
/* The store agreed with the version that was read. */
void mc_seen_confirm(struct mc_seen *seen, uint64_t entry_no, int64_t version);
/* A change led from one version to the next. */
void mc_seen_changed(struct mc_seen *seen, uint64_t entry_no, int64_t version, int64_t now_us);
/* The later of used_us and the last use that is known here. */
int64_t mc_seen_used(struct mc_seen *seen, uint64_t entry_no, int64_t used_us);
/* True once in interval_us for an entry: its use must be written. */
bool mc_seen_write_due(struct mc_seen *seen, uint64_t entry_no, int64_t now_us,
                       int64_t interval_us);

#endif
