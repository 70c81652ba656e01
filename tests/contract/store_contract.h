/*
 * The contract of a store (src/store/store.h), the same cases over every back-end.
 *
 * A back-end brings a factory that opens an empty store, and runs store_contract with it. Each case
 * gets a store of its own. Times are made up; only the put's enqueue time is the clock's.
 */
#ifndef MC_TESTS_STORE_CONTRACT_H
#define MC_TESTS_STORE_CONTRACT_H

#include "support/scratch.h"

#include "base/compiler.h"

/* Opens an empty store. The case closes it through its table. */
struct store_factory {
    const char *name;
    struct mc_store *(*open_empty)(void);
    bool keeps_bytes; /* erased words leave the disk later than the call: `wipe` says so */
    void (*sql)(const char *sql); /* behind the store's back: damage, or what an old version does */
};
/* Of the store whose cases run. */
static bool erased_bytes_stay;
static void (*carry_out)(const char *sql);

static const struct mc_reader everything = {.everything = true};
static const struct mc_reader anonymous = {0};

#define T0 INT64_C(1700000000000000)
#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)

/* ---- Messages ---- */

/* A message of user, thread, id and text at T0 + offset. */
static inline struct mc_put message(const char *user, const char *thread, const char *id,
                                    const char *text, int64_t offset_us)
{
    struct mc_put put = scratch_put(id, text);
    put.message.user_id = mc_str_of(user);
    put.message.thread_id = mc_str_of(thread);
    put.message.created_at_us = T0 + offset_us;
    return put;
}

/* The same of an agent. */
static inline struct mc_put agent_message(const char *user, const char *thread, const char *id,
                                          const char *text, const char *agent,
                                          enum mc_visibility visibility)
{
    struct mc_put put = message(user, thread, id, text, 0);
    put.message.agent_id = mc_str_of(agent);
    put.message.visibility = visibility;
    return put;
}

/* Puts one; its row, and its record is let go of. */
static inline int64_t store_one(struct mc_store *store, struct mc_put put)
{
    return scratch_store_put(store, &put);
}

static inline void put_records_fini(struct mc_put *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mc_record_unref(items[i].record);
}

/* The ids of records, joined by spaces, in static memory. */
static inline const char *ids_of(const struct mc_records *records)
{
    static char text[4096];
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < records->count && at < sizeof(text); i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%.*s", i ? " " : "",
                               MC_STR_ARG(records->items[i]->m.message_id));
    return text;
}

/* What recent gives, as ids. */
static inline const char *recent_ids(struct mc_store *store, const char *user, const char *thread,
                                     const char *before, size_t limit,
                                     const struct mc_reader *reader)
{
    struct mc_thread_state state, alone;
    struct mc_recent_read read = {.user_id = mc_str_of(user),
                                  .thread_id = mc_str_of(thread),
                                  .before = mc_str_of(before),
                                  .limit = limit,
                                  .reader = reader,
                                  .state = &state};
    mc_auto(mc_records_fini) struct mc_records found = {0};
    struct mc_error err = {0};
    enum mc_status status = store->ops->recent(store, &read, &found, &err);
    if (status != MC_OK)
        return mc_status_name(status);
    if (store->ops->thread(store, read.user_id, read.thread_id, &alone, &err) ||
        alone.exists != state.exists || alone.version != state.version ||
        alone.messages != state.messages)
        return "the thread's state is another one";
    return ids_of(&found);
}

/* ---- Jobs ---- */

/* A time at which all that a case stores is due, however slowly it runs. */
static inline int64_t due_time(void)
{
    return mc_time_now_us() + 10 * MINUTE;
}

static inline size_t claim_into(struct mc_store *store, const char *lease, enum mc_stage stage,
                                int64_t now_us, size_t limit, struct mc_jobs *jobs)
{
    struct mc_error err = {0};
    size_t had = jobs->count;
    is_status(store->ops->claim(store, mc_str_of(lease), stage, now_us, MINUTE, limit, jobs, &err),
              MC_OK, &err, "claim for %s", lease);
    return jobs->count - had;
}

/* Completes a row with terms; whether it was applied. */
static inline bool complete_row(struct mc_store *store, const char *lease, int64_t row,
                                const char *terms, int next_stage)
{
    struct mc_completion done = {
        .row = row,
        .metadata = MC_STR("{\"method\":\"builtin\"}"),
        .terms = mc_str_of(terms),
        .importance = 0.7,
        .state = MC_ENRICHMENT_ENRICHED,
        .next_stage = (enum mc_stage)next_stage,
    };
    struct mc_error err = {0};
    is_status(store->ops->complete(store, mc_str_of(lease), &done, 1, &err), MC_OK, &err,
              "complete for %s", lease);
    return done.applied;
}

/* Claims all first-stage jobs and completes them with terms of their text's own words (spaces as
 * they are). */
static inline void index_all(struct mc_store *store)
{
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    struct mc_error err = {0};
    int64_t late = due_time();
    while (store->ops->claim(store, MC_STR("indexer"), MC_STAGE_FIRST, late, MINUTE, 64, &jobs,
                             &err) == MC_OK &&
           jobs.count > 0) {
        for (size_t i = 0; i < jobs.count; i++) {
            struct mc_completion done = {
                .row = jobs.items[i].record->row,
                .metadata = MC_STR("{\"method\":\"builtin\"}"),
                .terms = jobs.items[i].record->m.text,
                .importance = 0.5,
                .state = MC_ENRICHMENT_ENRICHED,
            };
            if (store->ops->complete(store, MC_STR("indexer"), &done, 1, &err) || !done.applied)
                bail_out("a job was not completed: %s", err.message);
        }
        mc_jobs_fini(&jobs);
    }
}

/* ---- Search ---- */

static inline struct mc_match_query query_of(const char *user, const mc_str *terms, size_t count)
{
    return (struct mc_match_query){.user_id = mc_str_of(user),
                                   .reader = &everything,
                                   .terms = terms,
                                   .term_count = count,
                                   .limit = 100};
}

/* Ids of what matches, newest row first, in static memory. */
static inline const char *match_ids(struct mc_store *store, const struct mc_match_query *query)
{
    struct mc_match_result result = {0};
    struct mc_error err = {0};
    enum mc_status status = store->ops->match(store, query, &result, &err);
    if (status != MC_OK)
        return mc_status_name(status);
    int64_t rows[256];
    size_t count = result.count < 256 ? result.count : 256;
    for (size_t i = 0; i < count; i++)
        rows[i] = result.items[i].row;
    mc_match_result_fini(&result);
    mc_auto(mc_records_fini) struct mc_records found = {0};
    status = store->ops->rows(store, rows, count, query->reader, &found, &err);
    if (status != MC_OK)
        return mc_status_name(status);
    return ids_of(&found);
}

#include "store_contract_memory.h"
#include "store_contract_messages.h"
#include "store_contract_models.h"
#include "store_contract_queue.h"
#include "store_contract_search.h"
#include "store_contract_threads.h"
#include "store_contract_vectors.h"

#include "store_contract_archive.h" /* uses cases of the others */
#include "store_contract_undo.h"

static inline void store_contract(const struct store_factory *factory)
{
    static const struct {
        const char *name;
        void (*run)(struct mc_store *store);
    } cases[] = {STORE_MESSAGE_CASES STORE_QUEUE_CASES STORE_SEARCH_CASES STORE_MEMORY_CASES
                     STORE_MODEL_CASES STORE_THREAD_CASES STORE_VECTOR_CASES STORE_ARCHIVE_CASES
                         STORE_UNDO_CASES};
    erased_bytes_stay = factory->keeps_bytes;
    carry_out = factory->sql;
    for (size_t i = 0; i < mc_countof(cases); i++) {
        diag("%s: %s", factory->name, cases[i].name);
        struct mc_store *store = factory->open_empty();
        cases[i].run(store);
        store->ops->close(store);
    }
}

#endif
