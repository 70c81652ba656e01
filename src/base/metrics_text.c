#include "base/metrics_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <mindcore/engine.h>

#include "base/compiler.h"
#include "base/json.h"
#include "base/process.h"
#include "base/str.h"

/*
 * DESIGN. The formats differ in their comments (OpenMetrics names the family without _total, has units and an
 * end) and agree in every sample, so that series keep their names and labels whichever is asked for.
 */

#define NANO UINT64_C(1000000000)
#define TOTAL "_total"

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
enum { FIRST_NANO = 0 MC_COUNTER_MAP(X) }; /* the first counter that counts billionths */
#undef X
#define X(seconds, us) seconds,
static const char *const bound_texts[] = {MC_METRIC_BOUND_MAP(X)};
#undef X
#define X(name, label) label,
static const char *const code_labels[] = {MC_CODE_CLASS_MAP(X)};
#undef X

struct writer {
    struct mc_buf *out;
    enum mc_metrics_format format;
};

/* ---- What is asked for ---- */

/* Whether the range of media types ("text/plain", with * for any) has the type, and its parameters ask for the version. */
static bool range_has(mc_str range, mc_str type, mc_str version, double *quality)
{
    mc_str name, parameter, subtype = type;
    mc_str main_type;
    mc_str_split(&range, ';', &name);
    mc_str_split(&subtype, '/', &main_type);
    name = mc_str_trim(name);
    bool main_matches = mc_str_starts(name, main_type) && mc_str_ends(name, MC_STR("/*"));
    bool matches = mc_str_equal_nocase(name, type) || mc_str_equal(name, MC_STR("*/*")) ||
                   (main_matches && name.len == main_type.len + 2);
    *quality = 1;
    while (mc_str_split(&range, ';', &parameter)) {
        mc_str key, value = parameter;
        mc_str_split(&value, '=', &key);
        key = mc_str_trim(key);
        value = mc_str_trim(value);
        if (mc_str_equal_nocase(key, MC_STR("version")))
            matches = matches && mc_str_equal(value, version);
        else if (mc_str_equal_nocase(key, MC_STR("q")) && !mc_str_to_double(value, quality))
            *quality = 0;
    }
    return matches;
}

/* The best quality that the header gives to the type; -1 when it does not name it. by_name: "*" is no name. */
static double quality_of(mc_str accept, mc_str type, mc_str version, bool by_name)
{
    mc_str range;
    double best = -1;
    while (mc_str_split(&accept, ',', &range)) {
        double quality;
        bool named = !memchr(range.data, '*', range.len);
        if ((named || !by_name) && range_has(range, type, version, &quality) && quality > best)
            best = quality;
    }
    return best;
}

enum mc_metrics_format mc_metrics_format_of(mc_str accept)
{
    if (!mc_str_given(accept))
        return MC_METRICS_PROMETHEUS;
    double open = quality_of(accept, MC_STR("application/openmetrics-text"), MC_STR("1.0.0"), true);
    double plain = quality_of(accept, MC_STR("text/plain"), MC_STR("0.0.4"), false);
    return open > 0 && open >= plain ? MC_METRICS_OPENMETRICS : MC_METRICS_PROMETHEUS;
}

const char *mc_metrics_content_type(enum mc_metrics_format format)
{
    return format == MC_METRICS_OPENMETRICS
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}

/* ---- Families ---- */

static mc_str without_end(mc_str name, const char *end)
{
    return mc_str_ends(name, mc_str_of(end)) ? (mc_str){name.data, name.len - strlen(end)} : name;
}

static void put_unit(struct writer *w, mc_str family)
{
    static const char *const units[] = {"seconds", "bytes", "usd"};
    for (size_t i = 0; i < mc_countof(units); i++) {
        if (mc_str_ends(family, mc_str_of(units[i])))
            mc_buf_printf(w->out, "# UNIT %.*s %s\n", MC_STR_ARG(family), units[i]);
    }
}

static void put_head(struct writer *w, const char *name, const char *type, const char *help)
{
    mc_str family = mc_str_of(name);
    if (w->format == MC_METRICS_OPENMETRICS)
        family = without_end(without_end(family, TOTAL), "_info");
    mc_buf_printf(w->out, "# HELP %.*s %s\n# TYPE %.*s %s\n", MC_STR_ARG(family), help,
                  MC_STR_ARG(family), type);
    if (w->format == MC_METRICS_OPENMETRICS)
        put_unit(w, family);
}

/* Rows of one name have one head. */
static void put_head_of(struct writer *w, const struct row *rows, size_t i, const char *type)
{
    if (i == 0 || strcmp(rows[i].name, rows[i - 1].name) != 0)
        put_head(w, rows[i].name, type, rows[i].help);
}

static void put_name(struct writer *w, const char *name, const char *end, const char *labels)
{
    mc_buf_printf(w->out, *labels ? "%s%s{%s} " : "%s%s%s ", name, end, labels);
}

static void put_number(struct writer *w, double value)
{
    struct mc_json_writer json = mc_json_writer(w->out); /* numbers are written as in JSON */
    if (isfinite(value))
        mc_json_put_number(&json, value);
    else
        mc_buf_text(w->out, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
    mc_buf_char(w->out, '\n');
}

static void put_counter(struct writer *w, const struct mc_metrics *metrics, size_t i)
{
    uint64_t count = mc_metrics_count(metrics, (enum mc_counter)i);
    put_head_of(w, counter_rows, i, "counter");
    put_name(w, counter_rows[i].name, "", counter_rows[i].labels);
    if (i < FIRST_NANO)
        mc_buf_printf(w->out, "%llu\n", (unsigned long long)count);
    else /* as a decimal fraction, which a double of many digits would not be */
        mc_buf_printf(w->out, "%llu.%09llu\n", (unsigned long long)(count / NANO),
                      (unsigned long long)(count % NANO));
}

static void put_buckets(struct writer *w, const char *name, const char *labels,
                        const uint64_t buckets[MC_METRIC_BOUNDS + 1], int64_t sum_us)
{
    const char *comma = *labels ? "," : "";
    uint64_t below = 0;
    for (size_t b = 0; b <= MC_METRIC_BOUNDS; b++) {
        below += buckets[b];
        mc_buf_printf(w->out, "%s_bucket{%s%sle=\"%s\"} %llu\n", name, labels, comma,
                      b < MC_METRIC_BOUNDS ? bound_texts[b] : "+Inf", (unsigned long long)below);
    }
    put_name(w, name, "_sum", labels);
    put_number(w, (double)sum_us / 1e6);
    put_name(w, name, "_count", labels);
    mc_buf_printf(w->out, "%llu\n", (unsigned long long)below);
}

static void put_histogram(struct writer *w, const struct mc_metrics *metrics, size_t i)
{
    uint64_t buckets[MC_METRIC_BOUNDS + 1];
    int64_t sum_us;
    (void)mc_metrics_buckets(metrics, (enum mc_histogram)i, buckets, &sum_us);
    put_head_of(w, histogram_rows, i, "histogram");
    put_buckets(w, histogram_rows[i].name, histogram_rows[i].labels, buckets, sum_us);
}

static void put_routes(struct writer *w, const struct mc_metrics *metrics)
{
    struct mc_route_counts counts;
    put_head(w, MC_ROUTE_COUNTER, "counter", MC_ROUTE_COUNTER_HELP);
    for (size_t i = 0; i < MC_METRIC_ROUTES; i++) {
        if (!mc_metrics_route(metrics, i, &counts))
            continue;
        for (size_t code = 0; code < MC_CODE_CLASS_COUNT; code++)
            mc_buf_printf(w->out,
                          MC_ROUTE_COUNTER "{route=\"%s\",method=\"%s\",code=\"%s\"} %llu\n",
                          counts.path, counts.method, code_labels[code],
                          (unsigned long long)counts.codes[code]);
    }
    put_head(w, MC_ROUTE_HISTOGRAM, "histogram", MC_ROUTE_HISTOGRAM_HELP);
    for (size_t i = 0; i < MC_METRIC_ROUTES; i++) {
        char labels[256];
        if (!mc_metrics_route(metrics, i, &counts))
            continue;
        snprintf(labels, sizeof(labels), "route=\"%s\",method=\"%s\"", counts.path, counts.method);
        put_buckets(w, MC_ROUTE_HISTOGRAM, labels, counts.buckets, counts.sum_us);
    }
}

static void put_one(struct writer *w, const char *name, const char *type, const char *help,
                    double value)
{
    put_head(w, name, type, help);
    put_name(w, name, "", "");
    put_number(w, value);
}

static void put_build(struct writer *w)
{
    put_head(w, "mindcore_build_info", w->format == MC_METRICS_OPENMETRICS ? "info" : "gauge",
             "Version of the running program");
    mc_buf_printf(w->out, "mindcore_build_info{version=\"%s\"} 1\n", mc_version());
}

/* The names and texts that every Prometheus client library uses. */
static void put_process(struct writer *w)
{
    struct mc_process process;
    mc_process_read(&process);
    put_one(w, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.",
            process.resident_bytes);
    put_one(w, "process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.",
            process.virtual_bytes);
    put_one(w, "process_cpu_seconds_total", "counter",
            "Total user and system CPU time spent in seconds.", process.cpu_s);
    put_one(w, "process_start_time_seconds", "gauge",
            "Start time of the process since unix epoch in seconds.", process.started_s);
    put_one(w, "process_open_fds", "gauge", "Number of open file descriptors.", process.open_fds);
    put_one(w, "process_max_fds", "gauge", "Maximum number of open file descriptors.",
            process.max_fds);
}

void mc_metrics_expose(const struct mc_metrics *metrics, enum mc_metrics_format format,
                       struct mc_buf *out)
{
    struct writer w = {.out = out, .format = format};
    for (size_t i = 0; i < MC_COUNTER_COUNT; i++)
        put_counter(&w, metrics, i);
    for (size_t i = 0; i < MC_GAUGE_COUNT; i++) {
        put_head_of(&w, gauge_rows, i, "gauge");
        put_name(&w, gauge_rows[i].name, "", gauge_rows[i].labels);
        put_number(&w, mc_metrics_gauge(metrics, (enum mc_gauge)i));
    }
    for (size_t i = 0; i < MC_HISTOGRAM_COUNT; i++)
        put_histogram(&w, metrics, i);
    put_routes(&w, metrics);
    put_build(&w);
    put_process(&w);
    if (format == MC_METRICS_OPENMETRICS)
        mc_buf_text(out, "# EOF\n");
}
