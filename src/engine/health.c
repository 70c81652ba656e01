#include <mindcore/operate.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "engine/snapshot.h"

/* Health is honest: it asks the store and the queue, not whether a port is open. */

struct reasons {
    struct mc_json_writer w;
    struct mc_buf buf;
    int count;
};

static void add_reason(void *context, const char *text)
{
    struct reasons *reasons = context;
    mc_json_put_text(&reasons->w, text);
    reasons->count++;
}

static void write_check(struct mc_json_writer *w, const char *name, bool ok, const char *detail)
{
    mc_json_key(w, name);
    mc_json_begin(w, '{');
    mc_json_member_boolean(w, "ok", ok);
    mc_json_member_text(w, "detail", detail);
    mc_json_end(w, '}');
}

/* A cache in trouble makes reads slower, not wrong: it is told, and health stays green. */
static bool describe_cache(const struct mc_engine *engine, const struct mc_snapshot *s, char *text,
                           size_t size)
{
    const char *name = engine->cache->ops->name;
    if (engine->cache_trouble)
        snprintf(text, size, "%s: %s", name, engine->cache_trouble);
    else if (s->cache_failing)
        snprintf(text, size,
                 "%s: new errors within the last minute (%llu in all); check cache.dir: free "
                 "space and permission to write",
                 name, (unsigned long long)s->cache.errors);
    else
        snprintf(text, size, "%s", name);
    return !engine->cache_trouble && !s->cache_failing;
}

/* A model in trouble, while something else takes its place, is told like a cache, and health stays green. */
static void write_models(struct mc_json_writer *w, const struct mc_engine *engine,
                         const struct mc_snapshot *s)
{
    char text[MC_CHAIN_MAX * 512] = "";
    size_t len = 0;
    for (size_t i = 0; i < s->models.trouble && len < sizeof(text); i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i ? "; " : "",
                                s->models.issues[i]);
    write_check(w, "models", s->models.trouble == 0,
                s->models.trouble ? text : mc_engine_provider(engine));
    if (engine->settings.embeddings.enabled)
        write_check(w, "embeddings", s->embeddings[0] == '\0',
                    s->embeddings[0] ? s->embeddings : engine->settings.embeddings.name);
}

enum mc_status mc_engine_health(struct mc_engine *engine, bool *healthy, char **json,
                                struct mc_error *err)
{
    struct mc_snapshot s;
    mc_snapshot_take(engine, &s);
    struct reasons reasons = {.count = 0};
    mc_buf_init(&reasons.buf, MC_RESULT_MAX);
    reasons.w = mc_json_writer(&reasons.buf);
    mc_json_begin(&reasons.w, '[');
    struct mc_error error;
    enum mc_status ping = engine->store->ops->ping(engine->store, &error);
    if (ping)
        add_reason(&reasons, error.message);
    char lost[400], cache[512];
    bool storing = !mc_snapshot_ingest_issue(&s, lost, sizeof(lost));
    if (!storing)
        add_reason(&reasons, lost);
    int issues = mc_snapshot_issues(engine, &s, add_reason, &reasons);
    mc_json_end(&reasons.w, ']');
    bool ok = reasons.count == 0;

    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    struct mc_json_writer w = mc_json_writer(&buf);
    mc_json_begin(&w, '{');
    mc_json_member_text(&w, "status", ok ? "ok" : "failed");
    mc_json_member_boolean(&w, "healthy", ok);
    mc_json_key(&w, "reasons");
    mc_json_put_raw(&w, mc_buf_str(&reasons.buf));
    mc_json_member_text(&w, "version", mc_version());
    mc_json_key(&w, "checks");
    mc_json_begin(&w, '{');
    const char *store = storing ? engine->store->ops->name : lost;
    write_check(&w, "store", !ping && storing, ping ? error.message : store);
    write_check(&w, "workers", issues == 0, s.pool.paused ? "paused" : "running");
    char queue[96];
    snprintf(queue, sizeof(queue), "%lld waiting, %lld dead",
             (long long)(s.queue.ready + s.queue.leased), (long long)s.queue.dead);
    write_check(&w, "queue", !s.store_status, queue);
    bool cache_ok = describe_cache(engine, &s, cache, sizeof(cache));
    write_check(&w, "cache", cache_ok, cache);
    write_models(&w, engine, &s);
    mc_json_end(&w, '}');
    mc_json_end(&w, '}');
    mc_buf_fini(&reasons.buf);
    enum mc_status status = mc_engine_result(&buf, json, err);
    if (!status)
        *healthy = ok;
    return status;
}

/* Called with the mutex, which it gives up while it asks. */
static enum mc_status ask(struct mc_engine *engine, struct mc_health_found *found,
                          struct mc_error *err)
{
    bool healthy = false;
    char *json = NULL;
    found->asking = true;
    mc_mutex_unlock(&found->mutex);
    enum mc_status status = mc_engine_health(engine, &healthy, &json, err);
    mc_mutex_lock(&found->mutex);
    found->asking = false;
    mc_cond_broadcast(&found->answered);
    if (status != MC_OK)
        return status;
    mc_free(found->json);
    found->json = json;
    found->healthy = healthy;
    found->found_us = mc_time_monotonic_us();
    return MC_OK;
}

enum mc_status mc_engine_health_within(struct mc_engine *engine, int64_t max_age_us, bool *healthy,
                                       char **json, struct mc_error *err)
{
    struct mc_health_found *found = &engine->health;
    enum mc_status status = MC_OK;
    mc_mutex_lock(&found->mutex);
    while (found->asking)
        mc_cond_wait(&found->answered, &found->mutex);
    if (!found->json || mc_time_monotonic_us() - found->found_us > max_age_us)
        status = ask(engine, found, err);
    char *copy = status == MC_OK ? strdup(found->json) : NULL;
    bool well = found->healthy;
    mc_mutex_unlock(&found->mutex);
    if (status != MC_OK)
        return status;
    if (!copy)
        return mc_fail_memory(err);
    *json = copy;
    *healthy = well;
    return MC_OK;
}

/* ---- Doctor ---- */

static const char RESTORE[] =
    "stop every program that uses the file, and put the latest backup in its place: mindcore "
    "restore BACKUP --force; without one, save what is left with: sqlite3 FILE .recover";

static const char RESTORE_SERVER[] = "look at the PostgreSQL server's log, and restore its latest "
                                     "backup (pg_restore) if data is damaged";

static const char *restore_advice(const struct mc_engine *engine)
{
    return engine->settings.in_postgres ? RESTORE_SERVER : RESTORE;
}

/* Longer than a replica may take to be found to be away. */
#define REPLICA_WAIT_US (5 * MC_US_PER_SECOND)

struct doctor {
    struct mc_json_writer w;
    bool ok;
    int problems;
    char first_problem[400];
};

static void write_finding(struct doctor *doctor, const char *name, bool ok, const char *detail,
                          const char *advice)
{
    mc_json_begin(&doctor->w, '{');
    mc_json_member_text(&doctor->w, "name", name);
    mc_json_member_boolean(&doctor->w, "ok", ok);
    mc_json_member_text(&doctor->w, "detail", detail);
    mc_json_member_text(&doctor->w, "advice", advice);
    mc_json_end(&doctor->w, '}');
    doctor->ok = doctor->ok && ok;
}

static void report(struct doctor *doctor, const char *name, bool ok, const char *detail,
                   const char *advice)
{
    write_finding(doctor, name, ok, detail, ok ? "" : advice);
}

/* Works, but not as well as it could: it is good, and comes with advice. */
static void warn(struct doctor *doctor, const char *name, const char *detail, const char *advice)
{
    write_finding(doctor, name, true, detail, advice);
}

static void check_database(struct mc_engine *engine, struct doctor *doctor)
{
    struct mc_error error;
    struct mc_store_stats stats = {0};
    enum mc_status status = engine->store->ops->ping(engine->store, &error);
    if (!status)
        status = engine->store->ops->stats(engine->store, &stats, &error);
    char parts[64] = "";
    if (stats.partitions > 0)
        snprintf(parts, sizeof(parts), "; its tables are partitioned into %d", stats.partitions);
    char detail[96];
    snprintf(detail, sizeof(detail), "reads and writes%s", parts);
    report(doctor, "database", !status, status ? error.message : detail,
           status == MC_CORRUPT           ? restore_advice(engine)
           : engine->settings.in_postgres ? "check that the server runs, and its log"
                                          : "check free space and permissions of the folder");
    if (stats.missing_indexes[0])
        report(doctor, "indexes", false, stats.missing_indexes,
               "somebody removed them: copy everything into an empty database with `mindcore db "
               "copy`, which has all, or make them again by hand");
}

static bool note_problem(void *context, mc_str problem)
{
    struct doctor *doctor = context;
    if (doctor->problems++ == 0)
        snprintf(doctor->first_problem, sizeof(doctor->first_problem), "%.*s", MC_STR_ARG(problem));
    return true;
}

static void check_data(struct mc_engine *engine, struct doctor *doctor)
{
    struct mc_error error;
    if (engine->store->ops->check(engine->store, note_problem, doctor, &error)) {
        report(doctor, "data", false, error.message, restore_advice(engine));
        return;
    }
    char detail[480];
    if (doctor->problems == 0)
        snprintf(detail, sizeof(detail), "no damage found");
    else
        snprintf(detail, sizeof(detail), "%d problems, first: %s", doctor->problems,
                 doctor->first_problem);
    report(doctor, "data", doctor->problems == 0, detail, restore_advice(engine));
}

struct last_issue {
    char text[512];
};

static void keep_issue(void *context, const char *text)
{
    struct last_issue *last = context;
    snprintf(last->text, sizeof(last->text), "%s", text);
}

/* A model that is loaded first takes its time. */
#define MODEL_CHECK_US (120 * MC_US_PER_SECOND)

static void check_models(struct mc_engine *engine, struct doctor *doctor)
{
    struct mc_model_check checks[MC_CHAIN_MAX];
    size_t count = mc_models_check(engine->models, MODEL_CHECK_US, checks, mc_countof(checks));
    for (size_t i = 0; i < count; i++) {
        char name[64];
        snprintf(name, sizeof(name), "model %s", checks[i].provider);
        report(doctor, name, checks[i].ok, checks[i].detail, checks[i].advice);
    }
    if (count == 0)
        report(doctor, "models", true, "none is configured; the rules that are built in enrich",
               "");
    count = mc_models_check(mc_embeddings_models(engine->embeddings), MODEL_CHECK_US, checks,
                            mc_countof(checks));
    for (size_t i = 0; i < count; i++)
        report(doctor, "embeddings", checks[i].ok, checks[i].detail, checks[i].advice);
}

static void check_queue(struct mc_engine *engine, struct doctor *doctor)
{
    struct mc_snapshot s;
    mc_snapshot_take(engine, &s);
    struct last_issue issue = {.text = "as many as configured, no job too old"};
    int issues = mc_snapshot_issues(engine, &s, keep_issue, &issue);
    report(doctor, "workers", issues == 0, issue.text,
           s.store_status == MC_CORRUPT
               ? restore_advice(engine)
               : "raise enrichment.workers, or see the log for what fails");
    char detail[96];
    snprintf(detail, sizeof(detail), "%lld dead jobs", (long long)s.queue.dead);
    report(doctor, "dead jobs", s.queue.dead == 0, detail,
           "see `mindcore queue list`, then `mindcore queue retry`");
    char cache[512];
    if (engine->cache_trouble)
        describe_cache(engine, &s, cache, sizeof(cache));
    else
        snprintf(cache, sizeof(cache), "%s, %llu errors", engine->cache->ops->name,
                 (unsigned long long)s.cache.errors);
    report(doctor, "cache", !engine->cache_trouble && s.cache.errors == 0, cache,
           "check cache.dir: free space and permission to write");
}

static void check_replica(void *context, const struct mc_replica_state *state)
{
    struct doctor *doctor = context;
    char name[160];
    snprintf(name, sizeof(name), "replica %s", state->name);
    if (state->reachable && !state->serving)
        warn(doctor, name, state->detail,
             "the primary is read meanwhile; look at pg_stat_replication there, or raise "
             "database.replica_max_lag");
    else
        report(doctor, name, state->serving,
               state->serving ? "is read for contexts" : state->detail,
               "check database.replicas, and that a streaming replica of this database runs there "
               "with hot_standby on");
}

static void check_replicas(struct mc_engine *engine, struct doctor *doctor)
{
    if (engine->store->ops->replicas)
        engine->store->ops->replicas(engine->store, REPLICA_WAIT_US, check_replica, doctor);
}

enum mc_status mc_engine_doctor(struct mc_engine *engine, bool *ok, char **json,
                                struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    struct doctor doctor = {.w = mc_json_writer(&buf), .ok = true};
    struct mc_buf checks;
    mc_buf_init(&checks, MC_RESULT_MAX);
    doctor.w = mc_json_writer(&checks);
    mc_json_begin(&doctor.w, '[');
    check_database(engine, &doctor);
    check_replicas(engine, &doctor);
    check_data(engine, &doctor);
    check_queue(engine, &doctor);
    check_models(engine, &doctor);
    mc_json_end(&doctor.w, ']');
    struct mc_json_writer w = mc_json_writer(&buf);
    mc_json_begin(&w, '{');
    mc_json_member_boolean(&w, "ok", doctor.ok);
    mc_json_key(&w, "checks");
    mc_json_put_raw(&w, mc_buf_str(&checks));
    mc_json_end(&w, '}');
    mc_buf_fini(&checks);
    enum mc_status status = mc_engine_result(&buf, json, err);
    if (!status)
        *ok = doctor.ok;
    return status;
}
