/*
 * See base/metrics.h. Counters and histograms are kept once for each stripe and summed by readers;
 * a gauge is one value that is set. The sum over the stripes is not one instant of all threads, yet
 * no addition is lost and no counter goes back.
 */
#include "base/metrics.h"

#include <dirent.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <mindcore/engine.h>

#include "base/compiler.h"
#include "base/json.h"
#include "base/str.h"

#define STRIPES 16
#define CACHE_LINE 64

/* Upper bounds of the buckets: for people and Prometheus in seconds, for counting in microseconds.
 */
static const struct {
    const char *seconds;
    int64_t us;
} bounds[] = {
    {"5e-05", 50},    {"0.0001", 100},  {"0.00025", 250}, {"0.0005", 500},  {"0.001", 1000},
    {"0.0025", 2500}, {"0.005", 5000},  {"0.01", 10000},  {"0.025", 25000}, {"0.05", 50000},
    {"0.1", 100000},  {"0.25", 250000}, {"0.5", 500000},  {"1", 1000000},   {"2", 2000000},
    {"5", 5000000},   {"10", 10000000}, {"30", 30000000}, {"60", 60000000},
};
#define BOUNDS mc_countof(bounds)

struct row {
    const char *name;
    const char *labels;
    const char *help;
};
#define X(name, prometheus, labels, help) {prometheus, labels, help},
static const struct row counter_rows[] = {MC_COUNTER_MAP(X) MC_NANO_COUNTER_MAP(X)};
static const struct row gauge_rows[] = {MC_GAUGE_MAP(X)};
static const struct row histogram_rows[] = {MC_HISTOGRAM_MAP(X)};
#undef X
#define X(name, prometheus, labels, help) +1
/* The first counter that counts billionths. */
enum { FIRST_NANO = 0 MC_COUNTER_MAP(X) };
#undef X
#define NANO UINT64_C(1000000000)

struct histogram {
    _Atomic uint64_t buckets[BOUNDS + 1]; /* the last one is above all bounds */
    _Atomic int64_t sum_us;
};

struct stripe {
    _Atomic uint64_t counters[MC_COUNTER_COUNT];
    struct histogram histograms[MC_HISTOGRAM_COUNT];
    unsigned char apart[CACHE_LINE]; /* no line is shared with the next, however the memory lies */
};

struct mc_metrics {
    struct stripe stripes[STRIPES];
    _Atomic uint64_t gauges[MC_GAUGE_COUNT]; /* bits of a double */
};

struct mc_metrics *mc_metrics_new(void)
{
    return calloc(1, sizeof(struct mc_metrics));
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

void mc_metrics_observe_us(struct mc_metrics *metrics, enum mc_histogram histogram,
                           int64_t duration_us)
{
    struct histogram *own = &own_stripe(metrics)->histograms[histogram];
    int64_t us = duration_us > 0 ? duration_us : 0;
    size_t i = 0;
    while (i < BOUNDS && us > bounds[i].us)
        i++;
    atomic_fetch_add_explicit(&own->buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&own->sum_us, us, memory_order_relaxed);
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

/* The buckets over all stripes; the number of observations. */
static uint64_t collect(const struct mc_metrics *metrics, enum mc_histogram histogram,
                        uint64_t buckets[BOUNDS + 1], int64_t *sum_us)
{
    uint64_t total = 0;
    *sum_us = 0;
    memset(buckets, 0, (BOUNDS + 1) * sizeof(buckets[0]));
    for (size_t s = 0; s < STRIPES; s++) {
        const struct histogram *one = &metrics->stripes[s].histograms[histogram];
        *sum_us += atomic_load_explicit(&one->sum_us, memory_order_relaxed);
        for (size_t i = 0; i <= BOUNDS; i++) {
            uint64_t count = atomic_load_explicit(&one->buckets[i], memory_order_relaxed);
            buckets[i] += count;
            total += count;
        }
    }
    return total;
}

uint64_t mc_metrics_observed(const struct mc_metrics *metrics, enum mc_histogram histogram,
                             int64_t *sum_us)
{
    uint64_t buckets[BOUNDS + 1];
    int64_t sum;
    uint64_t total = collect(metrics, histogram, buckets, &sum);
    if (sum_us)
        *sum_us = sum;
    return total;
}

double mc_metrics_quantile_us(const struct mc_metrics *metrics, enum mc_histogram histogram,
                              double q)
{
    uint64_t buckets[BOUNDS + 1];
    int64_t sum_us;
    uint64_t total = collect(metrics, histogram, buckets, &sum_us);
    if (total == 0 || isnan(q))
        return 0;
    double rank = (q < 0 ? 0 : q > 1 ? 1 : q) * (double)total;
    double below = 0;
    for (size_t i = 0; i < BOUNDS; i++) {
        double inside = (double)buckets[i];
        if (inside > 0 && below + inside >= rank) {
            double lower = i ? (double)bounds[i - 1].us : 0;
            double share = (rank - below) / inside;
            return lower + ((double)bounds[i].us - lower) * share;
        }
        below += inside;
    }
    return (double)bounds[BOUNDS - 1].us; /* above it nothing is known */
}

static void expose_head(struct mc_buf *out, const struct row *rows, size_t i, const char *type)
{
    if (i > 0 && strcmp(rows[i].name, rows[i - 1].name) == 0)
        return;
    mc_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", rows[i].name, rows[i].help, rows[i].name,
                  type);
}

static void expose_value(struct mc_buf *out, double value)
{
    struct mc_json_writer w = mc_json_writer(out); /* numbers are written as in JSON */
    if (isfinite(value))
        mc_json_put_number(&w, value);
    else
        mc_buf_text(out, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
    mc_buf_char(out, '\n');
}

static void expose_name(struct mc_buf *out, const char *name, const char *labels)
{
    mc_buf_text(out, name);
    if (*labels)
        mc_buf_printf(out, "{%s}", labels);
    mc_buf_char(out, ' ');
}

static void expose_histogram(const struct mc_metrics *metrics, size_t index, struct mc_buf *out)
{
    const struct row *row = &histogram_rows[index];
    const char *comma = *row->labels ? "," : "";
    const char *open = *row->labels ? "{" : "";
    const char *close = *row->labels ? "}" : "";
    uint64_t buckets[BOUNDS + 1];
    int64_t sum_us;
    uint64_t total = collect(metrics, (enum mc_histogram)index, buckets, &sum_us);
    uint64_t below = 0;
    for (size_t i = 0; i < BOUNDS; i++) {
        below += buckets[i];
        mc_buf_printf(out, "%s_bucket{%s%sle=\"%s\"} %llu\n", row->name, row->labels, comma,
                      bounds[i].seconds, (unsigned long long)below);
    }
    mc_buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", row->name, row->labels, comma,
                  (unsigned long long)total);
    mc_buf_printf(out, "%s_sum%s%s%s ", row->name, open, row->labels, close);
    expose_value(out, (double)sum_us / 1e6);
    mc_buf_printf(out, "%s_count%s%s%s %llu\n", row->name, open, row->labels, close,
                  (unsigned long long)total);
}

static void expose_one(struct mc_buf *out, const char *name, const char *type, const char *help,
                       double value)
{
    mc_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s ", name, help, name, type, name);
    expose_value(out, value);
}

/* Fields 14, 15, 22, 23 and 24 of /proc/self/stat, see proc(5). */
struct process_stat {
    unsigned long long user_ticks, system_ticks, start_ticks, virtual_bytes;
    long long resident_pages;
};

static bool read_process_stat(struct process_stat *stat)
{
    char text[1024];
    FILE *file = fopen("/proc/self/stat", "re");
    if (!file)
        return false;
    size_t len = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[len] = '\0';
    const char *name_end = strrchr(text, ')'); /* the name may hold spaces and brackets */
    return name_end &&
           sscanf(name_end + 1,
                  " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d "
                  "%llu %llu %lld",
                  &stat->user_ticks, &stat->system_ticks, &stat->start_ticks, &stat->virtual_bytes,
                  &stat->resident_pages) == 5;
}

static double count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    if (!folder)
        return (double)NAN;
    double count = -1; /* the folder's own */
    for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
        count += entry->d_name[0] == '.' ? 0 : 1;
    closedir(folder);
    return count;
}

/* Seconds since the epoch at which the machine started, as seen now. */
static double boot_time(void)
{
    struct timespec now = {0, 0}, up = {0, 0};
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &up);
    double seconds = (double)(now.tv_sec - up.tv_sec) + (double)(now.tv_nsec - up.tv_nsec) / 1e9;
    return round(seconds * 100) / 100; /* the difference jitters by the time between the calls */
}

static void expose_process(struct mc_buf *out)
{
    struct process_stat stat;
    struct rlimit limit;
    double ticks = (double)sysconf(_SC_CLK_TCK);
    if (read_process_stat(&stat)) {
        expose_one(out, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.",
                   (double)stat.resident_pages * (double)sysconf(_SC_PAGESIZE));
        expose_one(out, "process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.",
                   (double)stat.virtual_bytes);
        expose_one(out, "process_cpu_seconds_total", "counter",
                   "Total user and system CPU time spent in seconds.",
                   (double)(stat.user_ticks + stat.system_ticks) / ticks);
        expose_one(out, "process_start_time_seconds", "gauge",
                   "Start time of the process since unix epoch in seconds.",
                   boot_time() + (double)stat.start_ticks / ticks);
    }
    expose_one(out, "process_open_fds", "gauge", "Number of open file descriptors.",
               count_descriptors());
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        expose_one(out, "process_max_fds", "gauge", "Maximum number of open file descriptors.",
                   limit.rlim_cur == RLIM_INFINITY ? (double)INFINITY : (double)limit.rlim_cur);
}

void mc_metrics_expose(const struct mc_metrics *metrics, struct mc_buf *out)
{
    for (size_t i = 0; i < MC_COUNTER_COUNT; i++) {
        expose_head(out, counter_rows, i, "counter");
        expose_name(out, counter_rows[i].name, counter_rows[i].labels);
        uint64_t count = mc_metrics_count(metrics, (enum mc_counter)i);
        if (i < FIRST_NANO)
            mc_buf_printf(out, "%llu\n", (unsigned long long)count);
        else /* as a decimal fraction, which a double of many digits would not be */
            mc_buf_printf(out, "%llu.%09llu\n", (unsigned long long)(count / NANO),
                          (unsigned long long)(count % NANO));
    }
    for (size_t i = 0; i < MC_GAUGE_COUNT; i++) {
        expose_head(out, gauge_rows, i, "gauge");
        expose_name(out, gauge_rows[i].name, gauge_rows[i].labels);
        expose_value(out, mc_metrics_gauge(metrics, (enum mc_gauge)i));
    }
    for (size_t i = 0; i < MC_HISTOGRAM_COUNT; i++) {
        expose_head(out, histogram_rows, i, "histogram");
        expose_histogram(metrics, i, out);
    }
    mc_buf_printf(out,
                  "# HELP mindcore_build_info Version of the running program\n"
                  "# TYPE mindcore_build_info gauge\nmindcore_build_info{version=\"%s\"} 1\n",
                  mc_version());
    expose_process(out);
}
