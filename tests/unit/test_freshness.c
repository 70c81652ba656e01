/* How far a copy of the database must be before it is read: no server, and the test's own clock. */
#include "store/postgres/freshness.h"

#include "base/thread.h"
#include "base/time.h"
#include "tap.h"

#define MS MC_US_PER_MS
#define START (1000 * MC_US_PER_SECOND)

static void wrote(struct mc_pg_freshness *f, int64_t shard)
{
    struct mc_pg_shard_set set = {{0}};
    set.bits[shard / 64] = UINT64_C(1) << shard % 64;
    mc_pg_freshness_wrote(f, &set);
}

/* This server asks for the primary's position and gets it at once. */
static void sample(struct mc_pg_freshness *f, int64_t position, bool foreign, int64_t now_us)
{
    mc_pg_freshness_sampled(f, mc_pg_freshness_writes(f), position, foreign, now_us);
}

/* The position that a read of the shard needs; -1: the primary. */
static int64_t needed(struct mc_pg_freshness *f, int64_t shard, int64_t now_us)
{
    int64_t position = -2;
    bool known = mc_pg_freshness_needed(f, shard, now_us, &position);
    if (!known && position != -2)
        bail_out("the output was touched");
    return known ? position : -1;
}

static void own_writes(void)
{
    struct mc_pg_freshness f;
    mc_pg_freshness_init(&f);
    int64_t now_us = START;
    is_int(needed(&f, 3, now_us), -1, "before the first sample nobody knows");
    sample(&f, 100, false, now_us);
    is_int(needed(&f, 3, now_us), 100, "what was there when this server began");
    wrote(&f, 3);
    is_int(needed(&f, 3, now_us), -1, "a write whose position is not known: the primary");
    is_int(needed(&f, 4, now_us), 100, "another shard is not held up");
    uint64_t writes = mc_pg_freshness_writes(&f);
    wrote(&f, 3);
    mc_pg_freshness_sampled(&f, writes, 200, false, now_us += 10 * MS);
    is_int(needed(&f, 3, now_us), -1, "a write after the question is not in its answer");
    sample(&f, 300, false, now_us += 10 * MS);
    is_int(needed(&f, 3, now_us), 300, "from then on its position");
    sample(&f, 900, false, now_us += 10 * MS);
    is_int(needed(&f, 3, now_us), 300, "which stays");
    wrote(&f, 255);
    sample(&f, 1000, false, now_us += 10 * MS);
    is_int(needed(&f, 255, now_us), 1000, "the last shard");
    is_int(needed(&f, 3, now_us), 300, "does not move the others");
    wrote(&f, 3);
    mc_pg_freshness_sampled(&f, 0, 5000, true, now_us);
    is_int(needed(&f, 3, now_us), -1, "what another server tells says nothing of own writes");
    mc_pg_freshness_fini(&f);
}

static void all_shards(void)
{
    struct mc_pg_freshness f;
    mc_pg_freshness_init(&f);
    sample(&f, 100, false, START);
    mc_pg_freshness_wrote(&f, &(struct mc_pg_shard_set){{0}});
    is_int(needed(&f, 0, START), -1, "a write that names no shard");
    is_int(needed(&f, 255, START), -1, "may have been anywhere");
    sample(&f, 250, false, START);
    is_int(needed(&f, 0, START), 250, "the first shard");
    is_int(needed(&f, 255, START), 250, "and the last");
    mc_pg_freshness_fini(&f);
}

static void foreign_writes(void)
{
    struct mc_pg_freshness f;
    mc_pg_freshness_init(&f);
    sample(&f, 100, false, START);
    mc_pg_freshness_sampled(&f, 0, 400, true, START + 100 * MS);
    is_int(needed(&f, 7, START + 100 * MS), 100, "what others write may take a moment");
    is_int(needed(&f, 7, START + 200 * MS), 400, "and then is needed, in every shard");
    mc_pg_freshness_sampled(&f, 0, 500, true, START + 190 * MS);
    is_int(needed(&f, 7, START + 200 * MS), 400, "the newest that is old enough");
    is_int(needed(&f, 7, START + 290 * MS), 500, "then the next");
    wrote(&f, 7);
    sample(&f, 450, false, START + 291 * MS);
    is_int(needed(&f, 7, START + 300 * MS), 500, "the higher one of own and others'");
    mc_pg_freshness_fini(&f);
}

/* Others write all the time: what left the memory of samples counts on. */
static void many_samples(void)
{
    struct mc_pg_freshness f;
    mc_pg_freshness_init(&f);
    int64_t now_us = START;
    sample(&f, 50, false, now_us);
    mc_pg_freshness_sampled(&f, 0, 77, true, now_us += 10 * MS);
    for (int64_t i = 0; i < 3 * MC_PG_SAMPLES; i++)
        sample(&f, 1000 + i, false, now_us += 10 * MS);
    is_int(needed(&f, 0, now_us), 77, "a foreign write that is long ago");
    for (int64_t i = 0; i < 100; i++)
        mc_pg_freshness_sampled(&f, 0, 5000 + i, true, now_us += MS);
    int64_t at = needed(&f, 0, now_us + 100 * MS);
    is_int(at, 5099, "close together, none is lost");
    ok(needed(&f, 0, now_us) < 5099, "and the last is not needed at once");
    mc_pg_freshness_fini(&f);
}

static void silence(void)
{
    struct mc_pg_freshness f;
    mc_pg_freshness_init(&f);
    sample(&f, 100, false, START);
    is_int(needed(&f, 0, START + 1500 * MS), 100, "a sample a second is enough");
    is_int(needed(&f, 0, START + 60000 * MS), -1, "the primary is not heard of: only it will do");
    sample(&f, 200, false, START + 60000 * MS);
    is_int(needed(&f, 0, START + 60000 * MS), 100, "until it is heard of again");
    mc_pg_freshness_fini(&f);
}

static void lag(void)
{
    struct mc_pg_freshness f;
    struct mc_pg_goal goal = {.position = 0};
    mc_pg_freshness_init(&f);
    is_int(mc_pg_freshness_lag(&f, &goal, 0, START), 0, "nothing is known of the primary");
    sample(&f, 100, false, START);
    is_int(mc_pg_freshness_lag(&f, &goal, 100, START), 0, "it is there");
    sample(&f, 200, false, START + 100 * MS);
    sample(&f, 300, false, START + 200 * MS);
    is_int(mc_pg_freshness_lag(&f, &goal, 150, START + 300 * MS), 200 * MS,
           "since the primary was where it is not yet");
    is_int(mc_pg_freshness_lag(&f, &goal, 250, START + 300 * MS), 100 * MS, "it comes nearer");
    /* It stands still while the samples that tell since when are forgotten. */
    int64_t now_us = START + 300 * MS;
    for (int64_t i = 0; i < 2 * MC_PG_SAMPLES; i++)
        sample(&f, 400 + i, false, now_us += 10 * MS);
    is_int(mc_pg_freshness_lag(&f, &goal, 250, now_us), now_us - (START + 200 * MS),
           "the goal is kept with the copy");
    is_int(mc_pg_freshness_lag(&f, &goal, 400 + 2 * MC_PG_SAMPLES - 1, now_us), 0, "all caught up");
    is_int(goal.position, 0, "and the goal is reached");
    mc_pg_freshness_fini(&f);
}

/* ---- Threads ---- */

struct race {
    struct mc_pg_freshness f;
    mc_mutex lock;
    int64_t log; /* the primary's: each write makes it longer, then is noted */
};

static int64_t log_now(struct race *race, int64_t add)
{
    mc_mutex_lock(&race->lock);
    int64_t now = race->log += add;
    mc_mutex_unlock(&race->lock);
    return now;
}

#define ROUNDS 3000

static void *writer(void *context)
{
    struct race *race = context;
    int64_t early = 0;
    for (int i = 0; i < ROUNDS; i++) {
        int64_t mine = log_now(race, 1);
        wrote(&race->f, 9);
        int64_t position = needed(&race->f, 9, START);
        early += position >= 0 && position < mine;
    }
    ok(early == 0, "a read never needs less than what its thread wrote before");
    return NULL;
}

static void *sampler(void *context)
{
    struct race *race = context;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t writes = mc_pg_freshness_writes(&race->f);
        mc_pg_freshness_sampled(&race->f, writes, log_now(race, 0), i % 3 == 0, START);
    }
    return NULL;
}

static void together(void)
{
    struct race race = {.log = 1};
    mc_pg_freshness_init(&race.f);
    mc_mutex_init(&race.lock);
    void *(*const work[])(void *) = {writer, writer, sampler, sampler};
    pthread_t threads[4];
    struct mc_error err;
    for (size_t i = 0; i < 4; i++)
        if (mc_thread_start(&threads[i], "race", work[i], &race, &err))
            bail_out("%s", err.message);
    for (size_t i = 0; i < 4; i++)
        mc_thread_join(threads[i]);
    sample(&race.f, log_now(&race, 0), false, START);
    is_int(needed(&race.f, 9, START), race.log, "in the end all of it is needed");
    mc_mutex_fini(&race.lock);
    mc_pg_freshness_fini(&race.f);
}

int main(void)
{
    own_writes();
    all_shards();
    foreign_writes();
    many_samples();
    silence();
    lag();
    together();
    return done_testing();
}
