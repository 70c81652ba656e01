/*
 * What the engine has copied out of the store is of the store's generation (store/store.h): the cache, answers of
 * sources, queries. When that changes without this process doing it, a user was erased by another process, or a backup
 * took the database's place while nothing ran: all of it goes. Private to src/engine.
 */
#ifndef MC_ENGINE_GENERATION_H
#define MC_ENGINE_GENERATION_H

#include "engine/engine.h"

/* Once the store is open: compares what a cache on disk has kept since the last time, and begins to watch. */
MC_MUST_CHECK enum mc_status mc_generation_open(struct mc_engine *engine, struct mc_error *err);
/* Another process has changed the store: looks soon, in a thread of its own. Does not block. */
void mc_generation_doubt(struct mc_engine *engine);
/* This process has erased a user: empties the cache, and false when its file could not be overwritten. */
bool mc_generation_renew(struct mc_engine *engine);

#endif
