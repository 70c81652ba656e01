/* One moment of the whole engine: what health, metrics and status are written from. Private to src/engine. */
#ifndef MC_ENGINE_SNAPSHOT_H
#define MC_ENGINE_SNAPSHOT_H

#include "engine/engine.h"

struct mc_snapshot {
    int64_t now_us;
    enum mc_status store_status; /* MC_OK: the queue could be read */
    struct mc_error store_error;
    struct mc_queue_stats queue;
    struct mc_pool_state pool;
    struct mc_cache_stats cache;
    bool cache_failing;  /* new errors of the cache were seen within the last minute */
    int ingest_failures; /* calls to store messages that failed in a row, the last within a minute */
    uint64_t ingest_lost; /* messages of these calls */
    char ingest_error[256];
    uint64_t trivial, builtin, llm, errors;
    struct mc_models_health models;
    char embeddings[512]; /* what is wrong with them; "" when nothing */
    double average_ms;    /* time of one enrichment */
    double oldest_age_s;  /* of the oldest job that is not dead, 0 when none */
    double uptime_s;
};

/* Reads it, and sets the gauges that depend on it. */
void mc_snapshot_take(struct mc_engine *engine, struct mc_snapshot *snapshot);
uint64_t mc_snapshot_processed(const struct mc_snapshot *snapshot);
/* Fraction of finished attempts that failed, 0..1. */
double mc_snapshot_error_rate(const struct mc_snapshot *snapshot);
/* Fraction of reads that the cache answered; 1 when there were none, so that an idle engine is not alarming. */
double mc_snapshot_hit_rate(const struct mc_snapshot *snapshot);

/* Says why messages cannot be stored, when that is so; whether it is. */
bool mc_snapshot_ingest_issue(const struct mc_snapshot *snapshot, char *text, size_t size);

/* Calls issue for each thing that makes the workers or the queue unhealthy; the number of them. */
typedef void (*mc_issue_fn)(void *context, const char *text);
int mc_snapshot_issues(const struct mc_engine *engine, const struct mc_snapshot *snapshot,
                       mc_issue_fn issue, void *context);
/*
 * The same for what makes it work less well: a model that does not answer, while another or the built-in rules
 * take its place.
 */
int mc_snapshot_warnings(const struct mc_snapshot *snapshot, mc_issue_fn issue, void *context);

#endif
