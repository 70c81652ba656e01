/*
 * Counters, gauges and histograms of one engine, from one table (src/base/metrics_table.h): the name,
 * type, labels and help give the reads and the text (base/metrics_text.h).
 *
 * Counting is wait-free: each thread adds to one of 16 cache-line-separated stripes with relaxed
 * atomics; reads sum them.
 */
#ifndef MC_BASE_METRICS_H
#define MC_BASE_METRICS_H

#include <mindcore/types.h>

#include "base/metrics_table.h"

enum mc_counter {
#define X(name, prometheus, labels, help) MC_COUNT_##name,
    MC_COUNTER_MAP(X) MC_NANO_COUNTER_MAP(X)
#undef X
        MC_COUNTER_COUNT
};
enum mc_gauge {
#define X(name, prometheus, labels, help) MC_GAUGE_##name,
    MC_GAUGE_MAP(X)
#undef X
        MC_GAUGE_COUNT
};
enum mc_histogram {
#define X(name, prometheus, labels, help) MC_TIME_##name,
    MC_HISTOGRAM_MAP(X)
#undef X
        MC_HISTOGRAM_COUNT
};
enum mc_code_class {
#define X(name, label) MC_CODE_##name,
    MC_CODE_CLASS_MAP(X)
#undef X
        MC_CODE_CLASS_COUNT
};
#define X(seconds, us) +1
enum { MC_METRIC_BOUNDS = 0 MC_METRIC_BOUND_MAP(X) };
#undef X

struct mc_metrics;
struct mc_metrics *mc_metrics_new(void); /* NULL when out of memory */
void mc_metrics_free(struct mc_metrics *metrics);

/* Those of MC_NANO_COUNTER_MAP are counted, and read, in billionths of what they show. */
void mc_metrics_add(struct mc_metrics *metrics, enum mc_counter counter, uint64_t value);
void mc_metrics_set(struct mc_metrics *metrics, enum mc_gauge gauge, double value);
/* Adds to a gauge, less for a negative one. */
void mc_metrics_shift(struct mc_metrics *metrics, enum mc_gauge gauge, double by);
void mc_metrics_observe_us(struct mc_metrics *metrics, enum mc_histogram histogram,
                           int64_t duration_us);

/*
 * Requests by route. Route 0 is "other", what has no route, and always shown; the others, below MC_METRIC_ROUTES,
 * are named before they are counted (the texts are static, and the same whenever one is named again) and shown
 * from their first request on.
 */
enum { MC_METRIC_ROUTES = 64 };
void mc_metrics_name_route(struct mc_metrics *metrics, size_t route, const char *method,
                           const char *path);
void mc_metrics_add_request(struct mc_metrics *metrics, size_t route, enum mc_code_class code,
                            int64_t duration_us);

uint64_t mc_metrics_count(const struct mc_metrics *metrics, enum mc_counter counter);
double mc_metrics_gauge(const struct mc_metrics *metrics, enum mc_gauge gauge);
/* Observations and their sum. */
uint64_t mc_metrics_observed(const struct mc_metrics *metrics, enum mc_histogram histogram,
                             int64_t *sum_us);
/* Upper bound of the bucket that holds the quantile (0..1), interpolated; 0 when nothing was observed. */
double mc_metrics_quantile_us(const struct mc_metrics *metrics, enum mc_histogram histogram,
                              double q);

struct mc_route_counts {
    const char *method;
    const char *path;
    uint64_t codes[MC_CODE_CLASS_COUNT];
    uint64_t requests;
    uint64_t buckets[MC_METRIC_BOUNDS + 1]; /* as below */
    int64_t sum_us;
};
/* False when there is nothing to show of the route. */
bool mc_metrics_route(const struct mc_metrics *metrics, size_t route,
                      struct mc_route_counts *counts);

/* How many observations are in each bucket, the last one above all bounds. Returns their number. */
uint64_t mc_metrics_buckets(const struct mc_metrics *metrics, enum mc_histogram histogram,
                            uint64_t buckets[MC_METRIC_BOUNDS + 1], int64_t *sum_us);

#endif
