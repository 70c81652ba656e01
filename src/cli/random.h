/* Pseudo-random numbers that can be repeated (SplitMix64): the same state gives the same sequence. */
#ifndef MC_CLI_RANDOM_H
#define MC_CLI_RANDOM_H

#include <stdint.h>

/* The next number of the sequence. */
uint64_t mc_random_next(uint64_t *state);
/* The next one as a number of [0, 1). */
double mc_random_unit(uint64_t *state);

#endif
