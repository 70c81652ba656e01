/*
 * The newest messages of a thread as references, oldest first: what an entry in memory holds.
 * Appending at the end and cutting at the front are cheap. Not thread-safe.
 */
#ifndef MC_CACHE_WINDOW_H
#define MC_CACHE_WINDOW_H

#include "cache/entry.h"

/* Allocations cost this much beyond what is asked for. */
#define MC_WINDOW_BLOCK_BYTES 16

struct mc_window {
    struct mc_record **items; /* the messages are items[first] to items[first + count - 1] */
    size_t first;
    size_t count;
    size_t capacity;
    size_t bytes;  /* of the messages and the array */
    bool complete; /* the whole thread */
};

void mc_window_fini(struct mc_window *window);
/* A zeroed window from messages newest first, of which the newest max_size are taken. False: out of
 * memory. */
MC_MUST_CHECK bool mc_window_fill(struct mc_window *window, struct mc_record *const *records,
                                  size_t count, bool complete, size_t max_size);
/*
 * A message of the thread that the window does not hold, or holds in an older form, in its place.
 * One that is older than all of an incomplete window is left out: others may lie between. False:
 * out of memory.
 */
MC_MUST_CHECK bool mc_window_add(struct mc_window *window, struct mc_record *record,
                                 size_t max_size);
/* The message in its new form, if the window holds it. */
void mc_window_replace(struct mc_window *window, struct mc_record *record);
bool mc_window_has_topic(const struct mc_window *window, mc_str topic);

#endif
