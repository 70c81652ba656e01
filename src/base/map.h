/*
 * A hash map from strings to pointers: open addressing, hash seeded per process so that foreign keys
 * cannot force collisions. Keys are borrowed: the caller keeps them alive while they are in the map.
 * Not thread-safe.
 */
#ifndef MC_BASE_MAP_H
#define MC_BASE_MAP_H

#include <mindcore/types.h>

struct mc_map_slot;
struct mc_map {
    struct mc_map_slot *slots;
    size_t count;
    size_t capacity;
};

void mc_map_init(struct mc_map *map);
void mc_map_fini(struct mc_map *map);
/* NULL when absent. */
void *mc_map_get(const struct mc_map *map, mc_str key);
/* Inserts or replaces; false when out of memory, the map unchanged. */
MC_MUST_CHECK bool mc_map_put(struct mc_map *map, mc_str key, void *value);
/* The value removed, NULL when absent. */
void *mc_map_remove(struct mc_map *map, mc_str key);
/* Iteration in no order: start with *cursor 0; false at the end. The map must not change meanwhile. */
bool mc_map_next(const struct mc_map *map, size_t *cursor, mc_str *key, void **value);

#endif
