#include "engine/generation.h"

#include "base/log.h"
#include "base/str.h"
#include "base/time.h"

/* Other processes may change the store all the time; the number is asked for no more often than this. */
#define SPACING_US (200 * MC_US_PER_MS)
/* Without a change nothing is due. */
#define PERIOD_US (86400 * MC_US_PER_SECOND)

static enum mc_status read_generation(struct mc_engine *engine, int64_t *generation,
                                      struct mc_error *err)
{
    return engine->store->ops->generation(engine->store, generation, err);
}

/* Everything goes; what is kept from now on is of this generation. */
static bool begin(struct mc_engine *engine, int64_t generation)
{
    const struct mc_cache_ops *ops = engine->cache->ops;
    int64_t now_us = mc_time_now_us();
    (void)ops->drop(engine->cache, MC_STR_NONE, MC_STR_NONE, now_us);
    bool wiped = ops->wipe(engine->cache, now_us);
    if (wiped)
        ops->set_generation(engine->cache, generation);
    atomic_store(&engine->generation, generation);
    return wiped;
}

static void look(void *context, struct mc_schedule *schedule)
{
    (void)schedule;
    struct mc_engine *engine = context;
    int64_t generation;
    struct mc_error error;
    if (read_generation(engine, &generation, &error) != MC_OK) {
        mc_log(MC_LOG_DEBUG, "engine", "what is cached was not compared with the database: %s",
               error.message);
        return; /* once the store answers again it is in doubt again */
    }
    if (generation == atomic_load(&engine->generation))
        return;
    mc_lookups_forget(engine->lookups, MC_STR_NONE);
    mc_meaning_forget(mc_embeddings_meaning(atomic_load(&engine->embeddings)), MC_STR_NONE);
    if (!begin(engine, generation))
        mc_log(MC_LOG_WARNING, "engine",
               "the cache was not overwritten after a user was erased; it is at the next start");
}

enum mc_status mc_generation_open(struct mc_engine *engine, struct mc_error *err)
{
    struct mc_schedule *watch;
    enum mc_status status = mc_schedule_start(PERIOD_US, PERIOD_US, look, engine, &watch, err);
    if (status != MC_OK)
        return status;
    atomic_store(&engine->generation_watch, watch);
    int64_t generation;
    status = read_generation(engine, &generation, err);
    if (status != MC_OK)
        return status;
    atomic_store(&engine->generation, generation);
    if (engine->cache->ops->generation(engine->cache) != generation)
        (void)begin(engine, generation); /* what could not be overwritten is at the next start */
    return MC_OK;
}

void mc_generation_doubt(struct mc_engine *engine)
{
    mc_schedule_hurry(atomic_load(&engine->generation_watch), SPACING_US);
}

bool mc_generation_renew(struct mc_engine *engine)
{
    int64_t generation;
    struct mc_error error;
    if (read_generation(engine, &generation, &error) != MC_OK)
        generation = 0; /* the next look finds another one */
    return begin(engine, generation);
}
