/*
 * What does counting cost, and a scrape?
 *
 * Beside mc_metrics_add stands the least that a counter shared by threads costs: one atomic addition
 * without order. With several threads it is one that all of them add to, which is what stripes avoid. Each figure is the
 * least of 15 rounds, in processor time of one thread.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/compiler.h"
#include "base/metrics_text.h"
#include "base/time.h"

#define ROUNDS 15
#define ADDITIONS 2000000
#define THREADS 4
#define TEXTS 200
#define ADD_GOAL 2.0       /* times the least */
#define OBSERVE_GOAL_NS 50 /* of an ingest's 60 us: less than a thousandth */
#define TEXT_GOAL_US 2000

static struct mc_metrics *metrics;
static _Atomic uint64_t shared;

static void add_shared(int i)
{
    (void)i;
    atomic_fetch_add_explicit(&shared, 1, memory_order_relaxed);
}

static void add(int i)
{
    (void)i;
    mc_metrics_add(metrics, MC_COUNT_INGESTED, 1);
}

static void observe(int i)
{
    mc_metrics_observe_us(metrics, MC_TIME_INGEST, i & 0xffff);
}

struct round {
    void (*count)(int i);
    double ns; /* of one count */
};

static void *run_round(void *context)
{
    struct round *round = context;
    struct timespec before, after;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    for (int i = 0; i < ADDITIONS; i++)
        round->count(i);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    round->ns =
        ((double)(after.tv_sec - before.tv_sec) * 1e9 + (double)(after.tv_nsec - before.tv_nsec)) /
        ADDITIONS;
    return NULL;
}

/* The least of all rounds, of the mean over the threads. */
static double measure(void (*count)(int i), int threads)
{
    double least = 1e9;
    for (int r = 0; r < ROUNDS; r++) {
        pthread_t ids[THREADS];
        struct round rounds[THREADS];
        double sum = 0;
        for (int t = 0; t < threads; t++) {
            rounds[t] = (struct round){.count = count};
            if (pthread_create(&ids[t], NULL, run_round, &rounds[t]))
                exit(1);
        }
        for (int t = 0; t < threads; t++) {
            pthread_join(ids[t], NULL);
            sum += rounds[t].ns;
        }
        least = sum / threads < least ? sum / threads : least;
    }
    return least;
}

static bool report(const char *what, double value, const char *unit, double least, double goal)
{
    bool met = value <= goal;
    printf("%-28s %8.2f %s", what, value, unit);
    if (least > 0)
        printf("   least %8.2f %s   ratio %5.2f", least, unit, value / least);
    printf("   goal %8.2f %s: %s\n", goal, unit, met ? "met" : "MISSED");
    return met;
}

static double measure_text(enum mc_metrics_format format)
{
    double least = 1e9;
    for (int r = 0; r < ROUNDS; r++) {
        mc_auto(mc_buf_fini) struct mc_buf out;
        mc_buf_init(&out, 1 << 20);
        int64_t start_us = mc_time_monotonic_us();
        for (int i = 0; i < TEXTS; i++) {
            mc_buf_reset(&out);
            mc_metrics_expose(metrics, format, &out);
        }
        double each_us = (double)(mc_time_monotonic_us() - start_us) / TEXTS;
        least = each_us < least ? each_us : least;
    }
    return least;
}

int main(void)
{
    metrics = mc_metrics_new();
    if (!metrics)
        return 1;
    double plain_ns = measure(add_shared, 1), crowd_ns = measure(add_shared, THREADS);
    bool met = report("add, one thread", measure(add, 1), "ns", plain_ns, plain_ns * ADD_GOAL);
    met &= report("add, four threads", measure(add, THREADS), "ns", crowd_ns, plain_ns * ADD_GOAL);
    met &= report("observe, one thread", measure(observe, 1), "ns", plain_ns, OBSERVE_GOAL_NS);
    met &= report("observe, four threads", measure(observe, THREADS), "ns", crowd_ns,
                  OBSERVE_GOAL_NS * 2);
    met &= report("text 0.0.4", measure_text(MC_METRICS_PROMETHEUS), "us", 0, TEXT_GOAL_US);
    met &= report("OpenMetrics", measure_text(MC_METRICS_OPENMETRICS), "us", 0, TEXT_GOAL_US);
    mc_metrics_free(metrics);
    return met ? 0 : 1;
}
