/* What tests of src/context need: the real SQLite store and the memory cache, messages, enrichment. */
#ifndef MC_TESTS_RETRIEVAL_H
#define MC_TESTS_RETRIEVAL_H

#include "tap.h"

#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "base/time.h"
#include "base/utf8.h"
#include "context/context.h"
#include "enrich/first_stage.h"
#include "store/sqlite/sqlite_store.h"
#include "support/scratch.h"

#define NOW INT64_C(1767225600000000) /* 2026-01-01 */
#define MINUTE (60 * MC_US_PER_SECOND)

struct fixture {
    struct scratch scratch;
    struct mc_vocabulary *vocabulary;
    struct mc_trivial_detector *trivial;
    struct mc_retrieval r;
    int64_t clock_us; /* created_at of the next message */
};

static const struct mc_reader everyone = {.everything = true};

static inline void must(enum mc_status status, const struct mc_error *err)
{
    if (status)
        bail_out("%s: %s", mc_status_name(status), err->message);
}

static inline void fixture_open(struct fixture *f, size_t cache_max_size)
{
    struct mc_error err;
    *f = (struct fixture){.clock_us = NOW - 40 * MC_US_PER_DAY};
    scratch_make(&f->scratch);
    struct mc_sqlite_options sqlite = {.path = scratch_path(&f->scratch, "test.db")};
    struct mc_cache_options cache = {.max_size = cache_max_size, .max_bytes = 64U << 20};
    must(mc_vocabulary_new(&f->vocabulary, &err), &err);
    must(mc_trivial_new(&f->trivial, MC_STR_NONE, &err), &err);
    f->r.metrics = mc_metrics_new();
    sqlite.metrics = f->r.metrics;
    must(mc_sqlite_store_open(&sqlite, &f->r.store, &err), &err);
    must(mc_cache_memory_open(&cache, &f->r.cache, &err), &err);
    f->r.vocabulary = f->vocabulary;
    f->r.cache_max_size = cache_max_size;
    f->r.half_life_us = 14 * MC_US_PER_DAY;
    f->r.default_max_messages = 50;
    f->r.default_max_tokens = 8000;
}

static inline void fixture_close(struct fixture *f)
{
    f->r.cache->ops->close(f->r.cache);
    f->r.store->ops->close(f->r.store);
    mc_vocabulary_free(f->vocabulary);
    mc_trivial_free(f->trivial);
    mc_metrics_free(f->r.metrics);
    scratch_remove(&f->scratch);
}

/* Stores a message as the engine does: store, then cache. */
static inline void put(struct fixture *f, struct mc_message message)
{
    struct mc_error err;
    if (message.session_id.len == 0)
        message.session_id = MC_STR("s1");
    if (message.created_at_us == 0) {
        message.created_at_us = f->clock_us;
        f->clock_us += MINUTE;
    }
    message.metadata = MC_STR("{}");
    message.importance = 0.5;
    struct mc_put item = {.message = message};
    must(f->r.store->ops->put(f->r.store, &item, 1, &err), &err);
    must(item.status, &err);
    f->r.cache->ops->append(f->r.cache, item.record, item.thread_version, item.thread_messages,
                            NOW);
    mc_record_unref(item.record);
}

static inline void say(struct fixture *f, const char *thread, const char *id, const char *role,
                       const char *text)
{
    struct mc_message message = {
        .message_id = mc_str_of(id),
        .user_id = MC_STR("ann"),
        .thread_id = mc_str_of(thread),
        .text = mc_str_of(text),
    };
    if (!mc_role_parse(mc_str_of(role), &message.role))
        bail_out("role %s", role);
    put(f, message);
}

/* Enriches what waits, without a worker; the cache misses these changes and must notice. */
static inline void enrich(struct fixture *f)
{
    struct mc_error err;
    for (;;) {
        mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
        mc_auto(mc_arena_fini) struct mc_arena arena;
        mc_arena_init(&arena, 64U << 20);
        must(f->r.store->ops->claim(f->r.store, MC_STR("lease"), MC_STAGE_FIRST, mc_time_now_us(),
                                    MINUTE, 100, &jobs, &err),
             &err);
        if (jobs.count == 0)
            return;
        for (size_t i = 0; i < jobs.count; i++) {
            const struct mc_record *record = jobs.items[i].record;
            struct mc_enrichment_result result;
            must(mc_first_stage(f->vocabulary, f->trivial, &record->m, &arena, &result, &err),
                 &err);
            struct mc_completion done = {
                .row = record->row,
                .metadata = result.json,
                .terms = result.terms,
                .importance = result.metadata.importance,
                .state = MC_ENRICHMENT_ENRICHED,
            };
            must(f->r.store->ops->complete(f->r.store, MC_STR("lease"), &done, 1, &err), &err);
        }
        (void)f->r.cache->ops->drop(f->r.cache, MC_STR_NONE, MC_STR_NONE, NOW);
    }
}

static inline bool contains(mc_str text, const char *part)
{
    return memmem(text.data, text.len, part, strlen(part)) != NULL;
}

static inline bool lists(const mc_str *items, size_t count, const char *item)
{
    for (size_t i = 0; i < count; i++) {
        if (mc_str_equal(items[i], mc_str_of(item)))
            return true;
    }
    return false;
}

/* ---- Agents: what alpha, of the team, may read, and what not ---- */

static inline void put_of_agent(struct fixture *f, const char *id, const char *agent,
                                enum mc_visibility visibility, const char *group, const char *text)
{
    mc_str groups[1] = {mc_str_of(group)};
    put(f, (struct mc_message){
               .message_id = mc_str_of(id),
               .user_id = MC_STR("ann"),
               .thread_id = MC_STR("shared"),
               .agent_id = mc_str_of(agent),
               .visibility = visibility,
               .sharing_groups = group ? groups : NULL,
               .sharing_group_count = group ? 1 : 0,
               .text = mc_str_of(text),
           });
}

static inline void fill_agents(struct fixture *f)
{
    put_of_agent(f, "a-own", "alpha", MC_VISIBILITY_PRIVATE, NULL,
                 "The falcon budget is 1100 dollars, says alpha.");
    put_of_agent(f, "b-private", "beta", MC_VISIBILITY_PRIVATE, NULL,
                 "The falcon budget is 2200 dollars, BETASECRET.");
    put_of_agent(f, "b-shared", "beta", MC_VISIBILITY_SHARED, "team",
                 "The falcon budget is 3300 dollars, says the team.");
    put_of_agent(f, "b-other", "beta", MC_VISIBILITY_SHARED, "others",
                 "The falcon budget is 4400 dollars, OTHERSECRET.");
    put_of_agent(f, "b-public", "beta", MC_VISIBILITY_PUBLIC, NULL,
                 "The falcon budget is 5500 dollars, says everyone.");
}

static const mc_str team[] = {{"team", 4}};
static const struct mc_reader alpha = {
    .agent_id = {"alpha", 5},
    .read_public = true,
    .read_shared = true,
    .groups = team,
    .group_count = 1,
};

#endif
