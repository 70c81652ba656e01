#include "enrich/flights.h"

#include <stdlib.h>

void mc_flights_init(struct mc_flights *flights)
{
    *flights = (struct mc_flights){.items = NULL};
    mc_mutex_init(&flights->mutex);
}

void mc_flights_fini(struct mc_flights *flights)
{
    mc_mutex_fini(&flights->mutex);
    free(flights->items);
}

/* Under the mutex. A few hundred at most, each of which takes a model seconds: a list is enough. */
static bool is_asked(const struct mc_flights *flights, const unsigned char hash[MC_HASH_BYTES])
{
    for (size_t i = 0; i < flights->count; i++) {
        if (memcmp(flights->items[i].hash, hash, MC_HASH_BYTES) == 0)
            return true;
    }
    return false;
}

/* Under the mutex. */
static bool make_room(struct mc_flights *flights)
{
    if (flights->count < flights->capacity)
        return true;
    size_t capacity = flights->capacity ? flights->capacity * 2 : 64;
    struct mc_flight *items = realloc(flights->items, capacity * sizeof(*items));
    if (!items)
        return false;
    flights->items = items;
    flights->capacity = capacity;
    return true;
}

bool mc_flights_begin(struct mc_flights *flights, const unsigned char hash[MC_HASH_BYTES],
                      const void *owner, bool *begun)
{
    mc_mutex_lock(&flights->mutex);
    bool asked = is_asked(flights, hash);
    bool room = asked || make_room(flights);
    if (!asked && room) {
        struct mc_flight *flight = &flights->items[flights->count++];
        flight->owner = owner;
        memcpy(flight->hash, hash, MC_HASH_BYTES);
    }
    mc_mutex_unlock(&flights->mutex);
    *begun = !asked && room;
    return room;
}

void mc_flights_end(struct mc_flights *flights, const void *owner)
{
    size_t kept = 0;
    mc_mutex_lock(&flights->mutex);
    for (size_t i = 0; i < flights->count; i++) {
        if (flights->items[i].owner != owner)
            flights->items[kept++] = flights->items[i];
    }
    flights->count = kept;
    mc_mutex_unlock(&flights->mutex);
}
