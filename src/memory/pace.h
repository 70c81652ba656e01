/* The pace of work over the whole store: short steps with rests between them, so that messages come in meanwhile. */
#ifndef MC_MEMORY_PACE_H
#define MC_MEMORY_PACE_H

#include <stddef.h>
#include <stdint.h>

#define MC_PACE_ROWS_FIRST 50

/*
 * After a step of so many messages that began then (monotonic): rests, and fits the size of the next to the time that
 * one may take. Messages that come in meanwhile wait for no more than a short step, and have the database for
 * themselves as long again.
 */
void mc_pace(size_t *batch, int64_t began_us, int64_t messages);

#endif
