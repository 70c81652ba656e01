/* How importance fades. Pure. */
#ifndef MC_MESSAGE_DECAY_H
#define MC_MESSAGE_DECAY_H

#include <stdint.h>

/* The least that a message's importance decays to. */
#define MC_IMPORTANCE_FLOOR 0.05

/*
 * Importance at a time: halves every half_life_us of age, never below MC_IMPORTANCE_FLOOR (unless it
 * was stored lower) and never above what is stored. half_life_us 0: it does not fade.
 */
double mc_importance_at(double importance, int64_t created_at_us, int64_t half_life_us,
                        int64_t now_us);

#endif
