/*
 * Durations in buckets that grow with them: exact below 128 µs, above it a bucket is at most 1/64 of its value
 * wide, so a quantile is at most 1.6 % above the true one. The greatest duration is kept exactly. Durations
 * beyond 19 hours count as that. Not thread-safe.
 */
#ifndef MC_CLI_LOAD_HISTOGRAM_H
#define MC_CLI_LOAD_HISTOGRAM_H

#include <stdint.h>

#define MC_LOAD_STEP_BITS 6 /* a power of two has 64 buckets */
#define MC_LOAD_LAST_BIT 36 /* 2^36 µs */
#define MC_LOAD_BUCKETS ((MC_LOAD_LAST_BIT - MC_LOAD_STEP_BITS + 1) << MC_LOAD_STEP_BITS)

struct mc_load_histogram {
    uint64_t buckets[MC_LOAD_BUCKETS];
    uint64_t count;
    int64_t max_us;
};

/* Zeroed memory is an empty histogram. */
void mc_load_histogram_add(struct mc_load_histogram *histogram, int64_t duration_us);
/* The upper end of the bucket that holds the quantile (0..1), never above the greatest; 0 of nothing. */
int64_t mc_load_histogram_quantile_us(const struct mc_load_histogram *histogram, double q);

#endif
