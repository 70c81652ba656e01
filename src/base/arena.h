/*
 * Memory that lives and dies together: one arena for each request or job. Not thread-safe.
 */
#ifndef MC_BASE_ARENA_H
#define MC_BASE_ARENA_H

#include <mindcore/types.h>

struct mc_arena_block;
struct mc_arena {
    struct mc_arena_block *blocks;
    size_t used_bytes;
    size_t max_bytes;
};

void mc_arena_init(struct mc_arena *arena, size_t max_bytes);
void mc_arena_fini(struct mc_arena *arena);
/* Frees everything but one block for reuse. */
void mc_arena_reset(struct mc_arena *arena);
/* Zeroed and aligned for any type; NULL when out of memory or over the maximum. Size 0 gives a valid pointer. */
void *mc_arena_alloc(struct mc_arena *arena, size_t size);
/* count * size with overflow checked. */
void *mc_arena_array(struct mc_arena *arena, size_t count, size_t size);
/* A copy with a NUL behind it; data is NULL when out of memory. */
mc_str mc_arena_copy(struct mc_arena *arena, mc_str str);
/* A copy of the list and of its strings; NULL when out of memory. */
const mc_str *mc_arena_copy_list(struct mc_arena *arena, const mc_str *list, size_t count);
mc_str mc_arena_printf(struct mc_arena *arena, const char *format, ...) MC_PRINTF(2, 3);

#endif
