/*
 * Work that is due again and again: one thread that sleeps until the next time. Private to src/engine.
 */
#ifndef MC_ENGINE_SCHEDULE_H
#define MC_ENGINE_SCHEDULE_H

#include <mindcore/types.h>

struct mc_schedule;

/* Does the work once. It asks mc_schedule_ending now and then, and ends early when that is true. */
typedef void (*mc_scheduled_fn)(void *context, struct mc_schedule *schedule);

/* The first time after first_us, then every period_us. Stop with mc_schedule_stop. */
MC_MUST_CHECK enum mc_status mc_schedule_start(int64_t first_us, int64_t period_us,
                                               mc_scheduled_fn work, void *context,
                                               struct mc_schedule **schedule, struct mc_error *err);
/* The work is due as soon as spacing_us have passed since it was last done. From any thread, until it is freed. Accepts NULL. */
void mc_schedule_hurry(struct mc_schedule *schedule, int64_t spacing_us);
/* Waits for work in hand; none is done afterwards. Accepts NULL. */
void mc_schedule_stop(struct mc_schedule *schedule);
/* Stopped before. Accepts NULL. */
void mc_schedule_free(struct mc_schedule *schedule);
bool mc_schedule_ending(struct mc_schedule *schedule);

#endif
