/*
 * When what is sent: operations in order of time, made as they are asked for, the same for the same seed. Turns begin
 * at random (exponential gaps: many users who do not know of each other), and nothing waits for an answer, so that a
 * slow server does not lower the load.
 *
 * A slot is a user who is in a conversation now; each has one at a time. Not thread-safe.
 */
#ifndef MC_CLI_LOAD_SCHEDULE_H
#define MC_CLI_LOAD_SCHEDULE_H

#include "cli/load_rate.h"

enum mc_load_part { MC_LOAD_SAID, MC_LOAD_TOOL, MC_LOAD_REPLY }; /* of a turn */

struct mc_load_op {
    int64_t at_us; /* since the start */
    enum mc_load_kind kind;
    enum mc_load_part part; /* of MC_LOAD_INGEST */
    unsigned slot;
    unsigned turn; /* of the slot */
};

struct mc_load_schedule {
    uint64_t random;
    double turn_rate;
    int64_t duration_us;
    int64_t next_turn_us;
    unsigned slots;
    unsigned *turns;         /* of each slot so far */
    struct mc_load_op *heap; /* of turns that have begun; the earliest first */
    size_t count, capacity;
    bool failed; /* out of memory: it ends early */
};

/* Users that are in a conversation at the same time at that rate. */
unsigned mc_load_slots(double turn_rate);
MC_MUST_CHECK enum mc_status mc_load_schedule_init(struct mc_load_schedule *schedule, uint64_t seed,
                                                   double turn_rate, int64_t duration_us,
                                                   struct mc_error *err);
void mc_load_schedule_fini(struct mc_load_schedule *schedule);
/* The next operation; false at the end. */
bool mc_load_schedule_next(struct mc_load_schedule *schedule, struct mc_load_op *op);

#endif
