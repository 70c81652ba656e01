#include "cli/load_histogram.h"

#include <math.h>

#define STEPS (INT64_C(1) << MC_LOAD_STEP_BITS)

/* Durations of one power of two share its steps; those below two powers of 64 are their own bucket. */
static unsigned bucket_of(int64_t us)
{
    unsigned shift = 0;
    while ((us >> shift) >= 2 * STEPS)
        shift++;
    return (unsigned)(shift * STEPS + (us >> shift));
}

static int64_t upper_end(unsigned bucket)
{
    if (bucket < 2 * STEPS)
        return bucket;
    unsigned shift = (unsigned)(bucket / STEPS) - 1;
    int64_t step = (int64_t)bucket - (int64_t)shift * STEPS;
    return ((step + 1) << shift) - 1;
}

void mc_load_histogram_add(struct mc_load_histogram *histogram, int64_t duration_us)
{
    int64_t longest = (INT64_C(1) << MC_LOAD_LAST_BIT) - 1;
    int64_t us = duration_us < 0 ? 0 : duration_us > longest ? longest : duration_us;
    histogram->buckets[bucket_of(us)]++;
    histogram->count++;
    if (us > histogram->max_us)
        histogram->max_us = us;
}

int64_t mc_load_histogram_quantile_us(const struct mc_load_histogram *histogram, double q)
{
    uint64_t rank = (uint64_t)ceil(q * (double)histogram->count);
    uint64_t seen = 0;
    if (rank == 0)
        rank = 1;
    for (unsigned i = 0; i < MC_LOAD_BUCKETS && histogram->count > 0; i++) {
        seen += histogram->buckets[i];
        if (seen >= rank)
            return upper_end(i) < histogram->max_us ? upper_end(i) : histogram->max_us;
    }
    return histogram->max_us;
}
