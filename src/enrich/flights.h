/*
 * The questions that are being asked at this moment, by hash, over all workers of a process. Any thread.
 */
#ifndef MC_ENRICH_FLIGHTS_H
#define MC_ENRICH_FLIGHTS_H

#include "base/hash.h"
#include "base/thread.h"

struct mc_flights {
    mc_mutex mutex; /* guards what follows */
    struct mc_flight {
        const void *owner;
        unsigned char hash[MC_HASH_BYTES];
    } * items;
    size_t count, capacity;
};

void mc_flights_init(struct mc_flights *flights);
void mc_flights_fini(struct mc_flights *flights);
/*
 * The owner asks from now on; *begun is false, and nothing changes, when anybody is asking already.
 * False when out of memory.
 */
MC_MUST_CHECK bool mc_flights_begin(struct mc_flights *flights,
                                    const unsigned char hash[MC_HASH_BYTES], const void *owner,
                                    bool *begun);
/* All of the owner's questions are settled. */
void mc_flights_end(struct mc_flights *flights, const void *owner);

#endif
