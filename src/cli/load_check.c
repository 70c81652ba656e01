#include "cli/load_check.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/compiler.h"
#include "base/str.h"
#include "base/time.h"
#include "cli/load_metrics.h"
#include "cli/show.h"

/* The guide's limits. */
#define DEPTH_LIMIT 100
#define ENRICHMENT_LIMIT_S 2.0
#define HIT_RATE_LIMIT 0.5
#define ERROR_RATE_LIMIT 0.05
#define TRIVIAL_LEAST 0.1 /* it expects 0.2 to 0.3; few messages scatter */
#define SQLITE_MOST 10000 /* messages a day: "OK up to ~10k" */
/* Ours. */
#define DONE_LEAST 0.95
#define BACKLOG_LIMIT_US MC_US_PER_SECOND
#define REQUEST_LIMIT_US MC_US_PER_SECOND
#define DURATION_LEAST_US (60 * MC_US_PER_SECOND)
#define MEMORY_SLACK ((double)(64 << 20)) /* beside the cache, which fills */
#define FEW 50                            /* too few to take a rate of */

struct checker {
    const struct mc_load_plan *plan;
    const struct mc_load_result *result;
    const struct mc_config *config;
    mc_str before, after;
    struct mc_load_checks *checks;
};

const char *mc_load_verdict_name(enum mc_load_verdict verdict)
{
    static const char *const names[] = {"pass", "warn", "fail", "skipped"};
    return names[verdict];
}

MC_PRINTF(4, 5)
static struct mc_load_check *add(struct checker *c, const char *name, enum mc_load_verdict verdict,
                                 const char *format, ...)
{
    struct mc_load_check *check = &c->checks->items[c->checks->count++];
    va_list args;
    va_start(args, format);
    check->name = name;
    check->verdict = verdict;
    vsnprintf(check->detail, sizeof(check->detail), format, args);
    va_end(args);
    if (verdict == MC_LOAD_FAIL)
        c->checks->failed = true;
    return check;
}

MC_PRINTF(2, 3)
static void advise(struct mc_load_check *check, const char *format, ...)
{
    va_list args;
    if (check->verdict == MC_LOAD_PASS)
        return;
    va_start(args, format);
    vsnprintf(check->advice, sizeof(check->advice), format, args);
    va_end(args);
}

static double grown(const struct checker *c, const char *name, const char *label)
{
    return mc_load_grown(c->before, c->after, name, label);
}

/* A member of a member of a fact; NULL where the fact is not known. */
static const struct mc_json *member(const struct checker *c, enum mc_load_fact fact,
                                    const char *section, const char *key)
{
    const struct mc_json *root = c->result->facts[fact];
    return root ? mc_json_get(section ? mc_json_get(root, section) : root, key) : NULL;
}

static bool on_postgres(const struct checker *c)
{
    return mc_str_equal(mc_json_string(member(c, MC_LOAD_STATUS, NULL, "backend")),
                        MC_STR("postgresql"));
}

static bool queue_suffered(const struct checker *c)
{
    const struct mc_load_result *r = c->result;
    return r->depth_at_end > DEPTH_LIMIT ||
           (r->drained_us < 0 && !r->interrupted && !r->unreadable);
}

/* ---- The checklist ---- */

static void check_workers(struct checker *c)
{
    int64_t have = mc_json_integer(member(c, MC_LOAD_STATUS, "workers", "size"));
    int need = c->plan->profile->workers;
    bool enough = have >= need;
    enum mc_load_verdict verdict = enough              ? MC_LOAD_PASS
                                   : queue_suffered(c) ? MC_LOAD_FAIL
                                                       : MC_LOAD_WARN;
    advise(add(c, "workers", verdict, "%lld; the guide recommends %d for this load%s",
               (long long)have, need,
               verdict == MC_LOAD_WARN ? ", but the queue kept short without" : ""),
           "raise enrichment.workers to %d", need);
}

static void check_database(struct checker *c)
{
    long long a_day = (long long)c->plan->profile->messages_per_day;
    bool good = on_postgres(c) || a_day <= SQLITE_MOST;
    advise(add(c, "database", good ? MC_LOAD_PASS : MC_LOAD_WARN, "%s for %lld messages a day",
               on_postgres(c) ? "PostgreSQL" : "SQLite", a_day),
           "use PostgreSQL above 5k to 10k messages a day: database.backend: postgresql");
}

static void check_indexes(struct checker *c)
{
    const struct mc_json *missing = member(c, MC_LOAD_STATUS, NULL, "missing_indexes");
    size_t count = mc_json_count(missing);
    if (!missing) {
        add(c, "indexes", MC_LOAD_SKIPPED, "the server does not tell");
        return;
    }
    advise(add(c, "indexes", count == 0 ? MC_LOAD_PASS : MC_LOAD_FAIL,
               count == 0 ? "all are there" : "%zu missing, first: %.*s", count,
               MC_STR_ARG(mc_json_string(mc_json_at(missing, 0)))),
           "make them again, or copy into an empty database with `mindcore db copy`");
}

static void check_cache(struct checker *c)
{
    mc_str backend = mc_json_string(member(c, MC_LOAD_CACHE, "cache", "backend"));
    bool persistent = mc_str_equal(backend, MC_STR("lmdb"));
    bool needed = c->plan->profile->persistent_cache;
    advise(add(c, "persistent cache", persistent || !needed ? MC_LOAD_PASS : MC_LOAD_WARN, "%s%s",
               persistent ? "on disk" : "in memory",
               persistent || needed ? "" : ", enough for this load"),
           "set cache.persistent: true, so that a restart does not begin with an empty cache");
}

static void check_metrics(struct checker *c)
{
    const char *listen = c->config ? mc_config_get(c->config, "server.metrics_listen") : NULL;
    bool on = !c->config || (listen && listen[0]);
    bool needed = c->plan->profile->monitoring;
    if (!on && !needed) {
        add(c, "metrics listener", MC_LOAD_SKIPPED, "the guide asks for it from medium load on");
        return;
    }
    advise(add(c, "metrics listener", on ? MC_LOAD_PASS : MC_LOAD_WARN, "%s",
               c->config ? (on ? listen : "server.metrics_listen is not set")
                         : "/metrics of the server answers"),
           "set server.metrics_listen: 127.0.0.1:9464, and let Prometheus scrape it");
}

static void check_tiers(struct checker *c)
{
    const char *schedule = c->config ? mc_config_get(c->config, "retention.schedule") : NULL;
    if (!schedule) {
        advise(add(c, "tier migration", MC_LOAD_SKIPPED, "the server does not tell"),
               "look at its retention.schedule, which is daily by default");
        return;
    }
    advise(add(c, "tier migration", strcmp(schedule, "off") != 0 ? MC_LOAD_PASS : MC_LOAD_WARN,
               "retention.schedule is %s", schedule),
           "set retention.schedule: daily, or run `mindcore tiers migrate` from cron");
}

static void check_load(struct checker *c)
{
    uint64_t due = 0, done = 0;
    for (int i = 0; i < MC_LOAD_KINDS; i++) {
        due += c->result->counts[i].scheduled;
        done += c->result->counts[i].done;
    }
    if (due == 0) {
        advise(add(c, "expected load", MC_LOAD_WARN, "nothing was due in this time"),
               "raise --times or --duration");
        return;
    }
    double share = (double)done / (double)due;
    bool small = c->plan->times < 1 || c->result->elapsed_us < DURATION_LEAST_US;
    enum mc_load_verdict verdict = share < DONE_LEAST ? MC_LOAD_FAIL
                                   : small            ? MC_LOAD_WARN
                                                      : MC_LOAD_PASS;
    advise(add(c, "expected load", verdict, "%.1f %% of %llu operations carried out", 100 * share,
               (unsigned long long)due),
           verdict == MC_LOAD_WARN
               ? "run it with --times 1 or more and --duration 60s or longer"
               : "see the errors and the latencies above: long ones mean that machine, database or "
                 "server carry no more");
}

static void check_backlog(struct checker *c)
{
    const struct mc_load_result *r = c->result;
    enum mc_load_verdict verdict = r->late_at_end_us > BACKLOG_LIMIT_US ? MC_LOAD_FAIL
                                   : r->late_most_us > BACKLOG_LIMIT_US ? MC_LOAD_WARN
                                                                        : MC_LOAD_PASS;
    struct mc_load_check *check =
        add(c, "backlog", verdict,
            "operations were begun at most %.2f s late; at the end of the load %.2f s, limit 1 s",
            (double)r->late_most_us / 1e6, (double)r->late_at_end_us / 1e6);
    if (verdict == MC_LOAD_FAIL)
        advise(check, "it could not keep up with this load: lower --times until it does, or raise "
                      "--clients where the latencies above are short");
    else
        advise(check, "it came to a halt and caught up: see the log, and the disk and the "
                      "processors at that time");
}

static void check_request_latency(struct checker *c)
{
    char text[MC_HUMAN_SIZE];
    int slowest = 0;
    int64_t p99_us = -1;
    for (int i = 0; i < MC_LOAD_KINDS; i++) {
        int64_t us = mc_load_histogram_quantile_us(&c->result->counts[i].latency, 0.99);
        if (us > p99_us) {
            p99_us = us;
            slowest = i;
        }
    }
    mc_human_seconds((double)p99_us / 1e6, text);
    advise(add(c, "request P99", p99_us > REQUEST_LIMIT_US ? MC_LOAD_WARN : MC_LOAD_PASS,
               "%s at most, of %s, limit 1 s", text, mc_load_kind_name((enum mc_load_kind)slowest)),
           "compare with a lower --times: what stays slow there is not slow because of the load");
}

static void check_beyond_reach(struct checker *c)
{
    advise(add(c, "dashboards", MC_LOAD_SKIPPED, "cannot be seen from here"),
           "import deploy/grafana/mindcore.json into Grafana");
    advise(add(c, "alerts", MC_LOAD_SKIPPED, "cannot be seen from here"),
           "load deploy/prometheus/alerts.yml into Prometheus");
}

/* What the guide adds for high load. */
static void check_high(struct checker *c)
{
    if (!c->plan->profile->high || !c->config)
        return;
    const char *replicas = mc_config_get(c->config, "database.replicas");
    bool limited = mc_config_number(c->config, "server.rate_limit") > 0;
    if (on_postgres(c)) {
        bool pooled = mc_config_boolean(c->config, "database.pgbouncer");
        bool read = replicas && replicas[0] && strcmp(replicas, "[]") != 0;
        advise(add(c, "connection pooling", pooled ? MC_LOAD_PASS : MC_LOAD_WARN,
                   "database.pgbouncer is %s", pooled ? "true" : "false"),
               "with several servers put PgBouncer before the database and set "
               "database.pgbouncer: true");
        advise(add(c, "read replicas", read ? MC_LOAD_PASS : MC_LOAD_WARN, "%s",
                   read ? "contexts are read from database.replicas" : "none are configured"),
               "consider database.replicas for contexts (docs/scaling.md)");
    }
    advise(add(c, "rate limit", limited ? MC_LOAD_PASS : MC_LOAD_WARN, "server.rate_limit is %s",
               limited ? "set" : "0"),
           "set server.rate_limit to what one client may ask a second");
}

/* ---- Troubleshooting ---- */

static void check_health(struct checker *c)
{
    const struct mc_json *root = c->result->facts[MC_LOAD_WORKERS];
    if (!root) {
        advise(add(c, "worker health", MC_LOAD_FAIL, "cannot be asked any more"),
               "see why the server or database is away; its log ends with the reason");
        return;
    }
    mc_str issue = mc_json_string(mc_json_at(mc_json_get(root, "issues"), 0));
    bool healthy = mc_json_boolean(mc_json_get(root, "healthy"));
    advise(add(c, "worker health", healthy ? MC_LOAD_PASS : MC_LOAD_FAIL, "%.*s",
               MC_STR_ARG(healthy ? MC_STR("healthy") : issue)),
           "run `mindcore doctor`, and see docs/monitoring.md");
}

static int more_workers(int64_t have)
{
    int workers = 1;
    while (workers <= have && workers < 16)
        workers *= 2;
    return workers;
}

static void check_queue(struct checker *c)
{
    const struct mc_load_result *r = c->result;
    int64_t have = mc_json_integer(member(c, MC_LOAD_STATUS, "workers", "size"));
    enum mc_load_verdict verdict = queue_suffered(c) || r->unreadable ? MC_LOAD_FAIL
                                   : r->depth_most > DEPTH_LIMIT      ? MC_LOAD_WARN
                                                                      : MC_LOAD_PASS;
    struct mc_load_check *check =
        add(c, "queue depth", verdict, "at most %.0f, %.0f at the end of the load; %s",
            r->depth_most, r->depth_at_end,
            r->unreadable        ? "not to be read any more"
            : r->drained_us >= 0 ? "then worked off"
            : r->interrupted     ? "not waited for"
                                 : "not worked off");
    if (r->unreadable)
        advise(check, "see why the server or database is away; its log ends with the reason");
    else if (have < 16)
        advise(check, "raise enrichment.workers to %d; with a slow model use a faster one",
               more_workers(have));
    else
        advise(check, "use a faster model, or a further server on the same PostgreSQL database");
}

static void check_latency(struct checker *c)
{
    double p95 =
        mc_load_quantile(c->before, c->after, "mindcore_enrichment_duration_seconds", 0.95);
    char text[MC_HUMAN_SIZE];
    if (isnan(p95)) {
        add(c, "enrichment P95", MC_LOAD_SKIPPED, "nothing was enriched");
        return;
    }
    mc_human_seconds(p95, text);
    bool slow = p95 > ENRICHMENT_LIMIT_S;
    advise(add(c, "enrichment P95", slow ? MC_LOAD_FAIL : MC_LOAD_PASS, "%s, limit 2 s", text),
           "use a smaller or remote model, raise llm.llama_cpp.n_threads, or set "
           "llm.llama_cpp.n_gpu_layers: 35");
}

static void check_trivial(struct checker *c)
{
    double all = grown(c, "mindcore_messages_enriched_total", "");
    double trivial = grown(c, "mindcore_messages_enriched_total", "method=\"trivial\"");
    if (all < FEW) {
        add(c, "trivial detection", MC_LOAD_SKIPPED, "too few messages: %.0f", all);
        return;
    }
    advise(add(c, "trivial detection", trivial / all < TRIVIAL_LEAST ? MC_LOAD_WARN : MC_LOAD_PASS,
               "%.0f %% of %.0f messages took no model", 100 * trivial / all, all),
           "about a quarter of what was sent is trivial: see trivial.patterns");
}

static void check_hits(struct checker *c)
{
    double hits = grown(c, "mindcore_cache_operations_total", "result=\"hit\"");
    double all = grown(c, "mindcore_cache_operations_total", "");
    if (all < FEW) {
        add(c, "cache hit rate", MC_LOAD_SKIPPED, "too few reads: %.0f", all);
        return;
    }
    bool low = hits / all < HIT_RATE_LIMIT;
    struct mc_load_check *check = add(c, "cache hit rate", low ? MC_LOAD_WARN : MC_LOAD_PASS,
                                      "%.0f %% of %.0f reads", 100 * hits / all, all);
    int64_t evictions = mc_json_integer(member(c, MC_LOAD_CACHE, "cache", "evictions"));
    int64_t expirations = mc_json_integer(member(c, MC_LOAD_CACHE, "cache", "expirations"));
    if (evictions > 0)
        advise(check, "raise cache.max_bytes: %lld threads had to go", (long long)evictions);
    else if (expirations > 0)
        advise(check, "extend cache.ttl: %lld threads became too old", (long long)expirations);
    else
        advise(check, "a short test reads most threads for the first time: test for longer; else "
                      "raise cache.max_size");
}

static void check_errors(struct checker *c)
{
    double errors = grown(c, "mindcore_errors_total", "error_type=\"enrichment\"");
    double all = grown(c, "mindcore_messages_enriched_total", "") + errors;
    double rate = all > 0 ? errors / all : 0;
    advise(
        add(c, "enrichment error rate", rate > ERROR_RATE_LIMIT ? MC_LOAD_FAIL : MC_LOAD_PASS,
            "%.1f %%, limit 5 %%", 100 * rate),
        "`mindcore models --check` says what does not answer, `mindcore queue list` what failed");
}

static void check_requests(struct checker *c)
{
    uint64_t failed = 0, all = 0;
    for (int i = 0; i < MC_LOAD_KINDS; i++) {
        failed += c->result->counts[i].failed;
        all += c->result->counts[i].scheduled;
    }
    double rate = all ? (double)failed / (double)all : 0;
    enum mc_load_verdict verdict = rate > ERROR_RATE_LIMIT ? MC_LOAD_FAIL
                                   : failed > 0            ? MC_LOAD_WARN
                                                           : MC_LOAD_PASS;
    advise(add(c, "request error rate", verdict, "%.1f %%, limit 5 %%", 100 * rate),
           "see the errors above: the first message of each kind says what to do");
}

static void check_memory(struct checker *c)
{
    const struct mc_load_result *r = c->result;
    char start[MC_HUMAN_SIZE], end[MC_HUMAN_SIZE];
    if (isnan(r->resident_start) || isnan(r->resident_end)) {
        add(c, "memory", MC_LOAD_SKIPPED, "the resident memory is not told here");
        return;
    }
    double cache = mc_json_number(member(c, MC_LOAD_CACHE, "cache", "max_bytes"));
    bool grew = r->resident_end - r->resident_start > cache + MEMORY_SLACK;
    mc_human_bytes(r->resident_start, start);
    mc_human_bytes(r->resident_end, end);
    advise(add(c, "memory", grew ? MC_LOAD_WARN : MC_LOAD_PASS, "%s at the start, %s at the end",
               start, end),
           "test for longer; if it goes on growing, lower cache.max_bytes, use a smaller model, or "
           "set retention.schedule: hourly");
}

static void check_connections(struct checker *c)
{
    static const char *const signs[] = {"database.pool", "too many"};
    const struct mc_load_failure *found = NULL;
    if (!on_postgres(c))
        return;
    for (size_t i = 0; i < c->result->failure_count; i++) {
        for (size_t s = 0; s < mc_countof(signs); s++) {
            if (strstr(c->result->failures[i].first, signs[s]))
                found = &c->result->failures[i];
        }
    }
    advise(add(c, "database connections", found ? MC_LOAD_FAIL : MC_LOAD_PASS, "%s",
               found ? found->first : "there were always enough"),
           "raise database.pool_size and database.max_overflow, use PgBouncer, or lower "
           "enrichment.workers");
}

void mc_load_check_all(const struct mc_load_plan *plan, const struct mc_load_result *result,
                       const struct mc_load_target *target, struct mc_load_checks *checks)
{
    static void (*const list[])(struct checker *) = {
        check_load,   check_backlog,     check_request_latency, check_requests,     check_health,
        check_queue,  check_latency,     check_errors,          check_hits,         check_trivial,
        check_memory, check_connections, check_workers,         check_database,     check_indexes,
        check_cache,  check_metrics,     check_tiers,           check_beyond_reach, check_high,
    };
    struct checker c = {.plan = plan,
                        .result = result,
                        .config = target->config,
                        .before = mc_buf_str(&result->before),
                        .after = mc_buf_str(&result->after),
                        .checks = checks};
    memset(checks, 0, sizeof(*checks));
    for (size_t i = 0; i < mc_countof(list); i++)
        list[i](&c);
}
