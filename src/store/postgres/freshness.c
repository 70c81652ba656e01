#include "store/postgres/freshness.h"

#include "base/time.h"

/* Samples closer together count as one, so that the ring covers more than a second. */
#define SPACING_US (5 * MC_US_PER_MS)
/*
 * What another server committed is to be seen within 100 ms. Up to 60 go by before it is heard of behind a PgBouncer;
 * the rest is what a copy may take, without which a copy would never be new enough while others write all the time.
 */
#define FOREIGN_US (25 * MC_US_PER_MS)
/* The watcher samples once a second at least: then nobody knows what others write. */
#define SILENCE_US (3 * MC_US_PER_SECOND)

void mc_pg_freshness_init(struct mc_pg_freshness *f)
{
    *f = (struct mc_pg_freshness){.writes = 0};
    mc_mutex_init(&f->lock);
}

void mc_pg_freshness_fini(struct mc_pg_freshness *f)
{
    mc_mutex_fini(&f->lock);
}

void mc_pg_freshness_wrote(struct mc_pg_freshness *f, const struct mc_pg_shard_set *shards)
{
    uint64_t any = 0;
    for (size_t i = 0; i < MC_PG_SHARDS / 64; i++)
        any |= shards->bits[i];
    mc_mutex_lock(&f->lock);
    f->writes++;
    for (size_t i = 0; i < MC_PG_SHARDS; i++)
        if (!any || (shards->bits[i / 64] >> i % 64 & 1))
            f->shards[i].write = f->writes;
    mc_mutex_unlock(&f->lock);
}

uint64_t mc_pg_freshness_writes(struct mc_pg_freshness *f)
{
    mc_mutex_lock(&f->lock);
    uint64_t writes = f->writes;
    mc_mutex_unlock(&f->lock);
    return writes;
}

static struct mc_pg_sample *sample_at(struct mc_pg_freshness *f, size_t nth)
{
    return &f->samples[nth % MC_PG_SAMPLES];
}

static size_t first_sample(const struct mc_pg_freshness *f)
{
    return f->sample_count > MC_PG_SAMPLES ? f->sample_count - MC_PG_SAMPLES : 0;
}

static void add_sample(struct mc_pg_freshness *f, struct mc_pg_sample sample)
{
    struct mc_pg_sample *last = f->sample_count > 0 ? sample_at(f, f->sample_count - 1) : NULL;
    if (last && sample.at_us - last->at_us < SPACING_US) {
        /* As if the primary had been there a little earlier: a copy is held to be older than it is. */
        last->position = sample.position > last->position ? sample.position : last->position;
        last->foreign = last->foreign || sample.foreign;
        return;
    }
    struct mc_pg_sample *place = sample_at(f, f->sample_count);
    if (f->sample_count >= MC_PG_SAMPLES && place->foreign && place->position > f->foreign_before)
        f->foreign_before = place->position;
    *place = sample;
    f->sample_count++;
}

void mc_pg_freshness_sampled(struct mc_pg_freshness *f, uint64_t writes, int64_t position,
                             bool foreign, int64_t now_us)
{
    mc_mutex_lock(&f->lock);
    for (size_t i = 0; i < MC_PG_SHARDS; i++)
        if (f->shards[i].write > f->sampled && f->shards[i].write <= writes)
            f->shards[i].position = position;
    if (writes > f->sampled)
        f->sampled = writes;
    if (f->sample_count == 0)
        f->foreign_before = position; /* what had been written before this server began */
    add_sample(f, (struct mc_pg_sample){position, now_us, foreign});
    f->sampled_us = now_us;
    mc_mutex_unlock(&f->lock);
}

static int64_t foreign_position(struct mc_pg_freshness *f, int64_t until_us)
{
    for (size_t i = f->sample_count; i > first_sample(f); i--) {
        const struct mc_pg_sample *sample = sample_at(f, i - 1);
        if (sample->foreign && sample->at_us <= until_us)
            return sample->position;
    }
    return f->foreign_before;
}

bool mc_pg_freshness_needed(struct mc_pg_freshness *f, int64_t shard, int64_t now_us,
                            int64_t *position)
{
    mc_mutex_lock(&f->lock);
    bool known = f->sample_count > 0 && now_us - f->sampled_us < SILENCE_US &&
                 f->shards[shard].write <= f->sampled;
    if (known) {
        int64_t own = f->shards[shard].position;
        int64_t foreign = foreign_position(f, now_us - FOREIGN_US);
        *position = own > foreign ? own : foreign;
    }
    mc_mutex_unlock(&f->lock);
    return known;
}

int64_t mc_pg_freshness_lag(struct mc_pg_freshness *f, struct mc_pg_goal *goal, int64_t replayed,
                            int64_t now_us)
{
    if (goal->position == 0 || replayed >= goal->position) {
        *goal = (struct mc_pg_goal){.position = 0};
        mc_mutex_lock(&f->lock);
        for (size_t i = first_sample(f); i < f->sample_count && goal->position == 0; i++)
            if (sample_at(f, i)->position > replayed)
                *goal = (struct mc_pg_goal){sample_at(f, i)->position, sample_at(f, i)->at_us};
        mc_mutex_unlock(&f->lock);
    }
    return goal->position ? now_us - goal->since_us : 0;
}
