/*
 * See base/metrics.h. Counters and histograms are kept once for each stripe and summed by readers;
 * a gauge is one value that is set. The sum over the stripes is not one instant of all threads, yet
 * no addition is lost and no counter goes back.
 */
#include "base/metrics.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define STRIPES 16
#define CACHE_LINE 64

/* Upper bounds of the buckets in microseconds: MC_METRIC_BOUND_MAP of the table. */
#define X(seconds, us) us,
static const int64_t bounds[] = {MC_METRIC_BOUND_MAP(X)};
#undef X
#define BOUNDS MC_METRIC_BOUNDS

struct histogram {
    _Atomic uint64_t buckets[BOUNDS + 1]; /* the last one is above all bounds */
    _Atomic int64_t sum_us;
};

struct route {
    _Atomic uint64_t codes[MC_CODE_CLASS_COUNT];
    struct histogram durations;
};

struct stripe {
    _Atomic uint64_t counters[MC_COUNTER_COUNT];
    struct histogram histograms[MC_HISTOGRAM_COUNT];
    struct route routes[MC_METRIC_ROUTES];
    unsigned char apart[CACHE_LINE]; /* no line is shared with the next, however the memory lies */
};

/* The path is set before the method, so that who sees the method may read both. */
struct route_name {
    const char *_Atomic method;
    const char *_Atomic path;
};

struct mc_metrics {
    struct stripe stripes[STRIPES];
    struct route_name route_names[MC_METRIC_ROUTES];
    _Atomic uint64_t gauges[MC_GAUGE_COUNT]; /* bits of a double */
};

struct mc_metrics *mc_metrics_new(void)
{
    struct mc_metrics *metrics = calloc(1, sizeof(*metrics));
    if (metrics)
        mc_metrics_name_route(metrics, 0, "other", "other");
    return metrics;
}
void mc_metrics_free(struct mc_metrics *metrics)
{
    free(metrics);
}

/* Threads take stripes in turn, so that few of them share one. */
static struct stripe *own_stripe(struct mc_metrics *metrics)
{
    static _Atomic unsigned threads;
    static _Thread_local unsigned number; /* 0: none yet */
    if (number == 0)
        number = 1 + atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % STRIPES;
    return &metrics->stripes[number - 1];
}

void mc_metrics_add(struct mc_metrics *metrics, enum mc_counter counter, uint64_t value)
{
    atomic_fetch_add_explicit(&own_stripe(metrics)->counters[counter], value, memory_order_relaxed);
}

void mc_metrics_set(struct mc_metrics *metrics, enum mc_gauge gauge, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    atomic_store_explicit(&metrics->gauges[gauge], bits, memory_order_relaxed);
}

void mc_metrics_shift(struct mc_metrics *metrics, enum mc_gauge gauge, double by)
{
    uint64_t before = atomic_load_explicit(&metrics->gauges[gauge], memory_order_relaxed);
    uint64_t after;
    do {
        double value;
        memcpy(&value, &before, sizeof(value));
        value += by;
        memcpy(&after, &value, sizeof(after));
    } while (!atomic_compare_exchange_weak_explicit(&metrics->gauges[gauge], &before, after,
                                                    memory_order_relaxed, memory_order_relaxed));
}

static void observe(struct histogram *own, int64_t duration_us)
{
    int64_t us = duration_us > 0 ? duration_us : 0;
    size_t i = 0;
    while (i < BOUNDS && us > bounds[i])
        i++;
    atomic_fetch_add_explicit(&own->buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&own->sum_us, us, memory_order_relaxed);
}

void mc_metrics_observe_us(struct mc_metrics *metrics, enum mc_histogram histogram,
                           int64_t duration_us)
{
    observe(&own_stripe(metrics)->histograms[histogram], duration_us);
}

void mc_metrics_name_route(struct mc_metrics *metrics, size_t route, const char *method,
                           const char *path)
{
    struct route_name *name = &metrics->route_names[route];
    atomic_store_explicit(&name->path, path, memory_order_relaxed);
    atomic_store_explicit(&name->method, method, memory_order_release);
}

void mc_metrics_add_request(struct mc_metrics *metrics, size_t route, enum mc_code_class code,
                            int64_t duration_us)
{
    struct route *own = &own_stripe(metrics)->routes[route];
    atomic_fetch_add_explicit(&own->codes[code], 1, memory_order_relaxed);
    observe(&own->durations, duration_us);
}

uint64_t mc_metrics_count(const struct mc_metrics *metrics, enum mc_counter counter)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < STRIPES; i++)
        sum += atomic_load_explicit(&metrics->stripes[i].counters[counter], memory_order_relaxed);
    return sum;
}

double mc_metrics_gauge(const struct mc_metrics *metrics, enum mc_gauge gauge)
{
    uint64_t bits = atomic_load_explicit(&metrics->gauges[gauge], memory_order_relaxed);
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* Adds what one stripe counted; returns how many observations that are. */
static uint64_t add_buckets(const struct histogram *one, uint64_t buckets[MC_METRIC_BOUNDS + 1],
                            int64_t *sum_us)
{
    uint64_t total = 0;
    *sum_us += atomic_load_explicit(&one->sum_us, memory_order_relaxed);
    for (size_t i = 0; i <= BOUNDS; i++) {
        uint64_t count = atomic_load_explicit(&one->buckets[i], memory_order_relaxed);
        buckets[i] += count;
        total += count;
    }
    return total;
}

uint64_t mc_metrics_buckets(const struct mc_metrics *metrics, enum mc_histogram histogram,
                            uint64_t buckets[MC_METRIC_BOUNDS + 1], int64_t *sum_us)
{
    uint64_t total = 0;
    *sum_us = 0;
    memset(buckets, 0, (BOUNDS + 1) * sizeof(buckets[0]));
    for (size_t s = 0; s < STRIPES; s++)
        total += add_buckets(&metrics->stripes[s].histograms[histogram], buckets, sum_us);
    return total;
}

bool mc_metrics_route(const struct mc_metrics *metrics, size_t route,
                      struct mc_route_counts *counts)
{
    const struct route_name *name = &metrics->route_names[route];
    memset(counts, 0, sizeof(*counts));
    counts->method = atomic_load_explicit(&name->method, memory_order_acquire);
    counts->path = atomic_load_explicit(&name->path, memory_order_relaxed);
    if (!counts->method)
        return false;
    for (size_t s = 0; s < STRIPES; s++) {
        const struct route *one = &metrics->stripes[s].routes[route];
        for (size_t i = 0; i < MC_CODE_CLASS_COUNT; i++)
            counts->codes[i] += atomic_load_explicit(&one->codes[i], memory_order_relaxed);
        counts->requests += add_buckets(&one->durations, counts->buckets, &counts->sum_us);
    }
    return route == 0 || counts->requests > 0;
}

uint64_t mc_metrics_observed(const struct mc_metrics *metrics, enum mc_histogram histogram,
                             int64_t *sum_us)
{
    uint64_t buckets[BOUNDS + 1];
    int64_t sum;
    uint64_t total = mc_metrics_buckets(metrics, histogram, buckets, &sum);
    if (sum_us)
        *sum_us = sum;
    return total;
}

double mc_metrics_quantile_us(const struct mc_metrics *metrics, enum mc_histogram histogram,
                              double q)
{
    uint64_t buckets[BOUNDS + 1];
    int64_t sum_us;
    uint64_t total = mc_metrics_buckets(metrics, histogram, buckets, &sum_us);
    if (total == 0 || isnan(q))
        return 0;
    double rank = (q < 0 ? 0 : q > 1 ? 1 : q) * (double)total;
    double below = 0;
    for (size_t i = 0; i < BOUNDS; i++) {
        double inside = (double)buckets[i];
        if (inside > 0 && below + inside >= rank) {
            double lower = i ? (double)bounds[i - 1] : 0;
            double share = (rank - below) / inside;
            return lower + ((double)bounds[i] - lower) * share;
        }
        below += inside;
    }
    return (double)bounds[BOUNDS - 1]; /* above it nothing is known */
}
