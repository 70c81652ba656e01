/*
 * How far a copy of the database must be before it is read: what this server and others have written, in positions of
 * the primary's log (LSN as a number). Knows no connection; time is a parameter (monotonic). Thread-safe.
 *
 * A write is only noted with the shards that it touched. Its position is not asked for: the watcher samples the
 * primary's position soon after a write anyway, and whatever had been written before the sample was taken is in
 * the log up to there. Until then nobody but the primary has it.
 */
#ifndef MC_STORE_POSTGRES_FRESHNESS_H
#define MC_STORE_POSTGRES_FRESHNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/thread.h"

#define MC_PG_SHARDS 256
#define MC_PG_SAMPLES 256

struct mc_pg_shard_set {
    uint64_t bits[MC_PG_SHARDS / 64];
};

/* The oldest position of the primary that a copy has not reached, and when the primary was there; 0: none. */
struct mc_pg_goal {
    int64_t position, since_us;
};

struct mc_pg_freshness {
    mc_mutex lock;    /* guards what follows */
    uint64_t writes;  /* transactions noted so far */
    uint64_t sampled; /* of these, the first ones, whose position is known */
    struct {
        uint64_t write; /* the last one, 0: none */
        int64_t position;
    } shards[MC_PG_SHARDS];
    struct mc_pg_sample {
        int64_t position, at_us;
        bool foreign;         /* another server had written before it */
    } samples[MC_PG_SAMPLES]; /* the newest ones, in a ring */
    size_t sample_count;      /* ever */
    int64_t sampled_us;       /* the last time */
    int64_t
        foreign_before; /* the highest foreign position that left the ring; at first: where all began */
};

void mc_pg_freshness_init(struct mc_pg_freshness *f);
void mc_pg_freshness_fini(struct mc_pg_freshness *f);

/* This server has committed; the empty set stands for all shards. */
void mc_pg_freshness_wrote(struct mc_pg_freshness *f, const struct mc_pg_shard_set *shards);
/* To be called before the primary's position is asked for; its result goes with the answer. */
uint64_t mc_pg_freshness_writes(struct mc_pg_freshness *f);
/* The primary was at the position. writes: 0 when it was not this server that asked. */
void mc_pg_freshness_sampled(struct mc_pg_freshness *f, uint64_t writes, int64_t position,
                             bool foreign, int64_t now_us);

/*
 * Where a copy must be for a read of the shard: behind all that was there when this server began, that it wrote there
 * since, and that other servers were heard to have written more than a moment ago. False: only the primary will do.
 */
bool mc_pg_freshness_needed(struct mc_pg_freshness *f, int64_t shard, int64_t now_us,
                            int64_t *position);
/* How long the copy has been behind the primary, 0 when it is not. *goal is kept with the copy. */
int64_t mc_pg_freshness_lag(struct mc_pg_freshness *f, struct mc_pg_goal *goal, int64_t replayed,
                            int64_t now_us);

#endif
