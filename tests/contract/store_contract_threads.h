/* Part of store_contract.h: many callers at once. */

#include "base/thread.h"

#define CALLERS 32
#define CALLS 20

struct caller {
    struct mc_store *store;
    int number;
    int failures;
    int applied;
    pthread_t thread;
};

static inline void run_callers(struct mc_store *store, int count, void *(*run)(void *),
                               struct caller *callers)
{
    struct mc_error err = {0};
    for (int i = 0; i < count; i++) {
        callers[i] = (struct caller){.store = store, .number = i};
        if (mc_thread_start(&callers[i].thread, "caller", run, &callers[i], &err) != MC_OK)
            bail_out("no thread: %s", err.message);
    }
    for (int i = 0; i < count; i++)
        mc_thread_join(callers[i].thread);
}

/* Each call: one message of the caller's own, and one id that all callers fight over. */
static inline void *put_many(void *context)
{
    struct caller *c = context;
    for (int i = 0; i < CALLS; i++) {
        char own[32], shared[32], user[32], text[32];
        snprintf(own, sizeof(own), "own-%d-%d", c->number, i);
        snprintf(shared, sizeof(shared), "shared-%d", i);
        snprintf(user, sizeof(user), "u%d", c->number % 4);
        snprintf(text, sizeof(text), "text %d", c->number);
        struct mc_put items[2] = {message(user, "t", own, text, i),
                                  message("fight", "t", shared, text, i)};
        struct mc_error err;
        if (c->store->ops->put(c->store, &items[0], 1, &err) != MC_OK || !items[0].created ||
            c->store->ops->put(c->store, &items[1], 1, &err) != MC_OK)
            c->failures++;
        c->applied += items[1].created;
        /* The loser has other text: a conflict, and nothing of the winner's. */
        if (!items[1].created && (items[1].status != MC_CONFLICT || items[1].record))
            c->failures++;
        struct mc_record *read_back = scratch_get(c->store, own);
        c->failures += read_back == NULL;
        mc_record_unref(read_back);
        put_records_fini(items, 2);
    }
    return NULL;
}

static inline void concurrent_puts(struct mc_store *store)
{
    struct caller callers[CALLERS];
    run_callers(store, CALLERS, put_many, callers);
    int failures = 0, won = 0;
    for (int i = 0; i < CALLERS; i++) {
        failures += callers[i].failures;
        won += callers[i].applied;
    }
    is_int(failures, 0, "every put of %d callers did what it said", CALLERS);
    is_int(won, CALLS, "each id was stored once");
    struct mc_error err = {0};
    struct mc_store_stats stats = {0};
    is_status(store->ops->stats(store, &stats, &err), MC_OK, &err, "stats");
    is_int(stats.messages, CALLERS * CALLS + CALLS, "all messages are there");
    struct mc_thread_state state = {0};
    is_status(store->ops->thread(store, MC_STR("u0"), MC_STR("t"), &state, &err), MC_OK, &err,
              "a thread");
    is_int(state.messages, CALLERS / 4 * CALLS, "with the messages of its eight callers");
    is_int(scratch_queue(store).ready, CALLERS * CALLS + CALLS, "each with its job");
    check_is_clean(store, "after the storm");
}

/*
 * Claims with short leases that run out at once for the others, so that many complete the same job; until nothing has
 * been left to claim for a while.
 */
static inline void *claim_and_complete(void *context)
{
    struct caller *c = context;
    char lease[32];
    snprintf(lease, sizeof(lease), "w%d", c->number);
    for (int turn = 0, idle = 0; idle < 30; turn++) {
        mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
        struct mc_error err;
        int64_t now = mc_time_now_us() + (int64_t)turn * SECOND;
        if (c->store->ops->claim(c->store, mc_str_of(lease), MC_STAGE_FIRST, now, 1, 16, &jobs,
                                 &err)) {
            c->failures++;
            break;
        }
        idle += jobs.count == 0;
        struct mc_completion done[16];
        for (size_t i = 0; i < jobs.count; i++)
            done[i] = (struct mc_completion){.row = jobs.items[i].record->row,
                                             .metadata = MC_STR("{}"),
                                             .terms = mc_str_of(lease),
                                             .importance = 0.5,
                                             .state = MC_ENRICHMENT_ENRICHED};
        if (c->store->ops->complete(c->store, mc_str_of(lease), done, jobs.count, &err))
            c->failures++;
        for (size_t i = 0; i < jobs.count; i++)
            c->applied += done[i].applied;
    }
    return NULL;
}

static inline void exactly_once(struct mc_store *store)
{
    struct mc_error err = {0};
    struct mc_put items[300];
    char ids[300][16];
    for (int i = 0; i < 300; i++) {
        snprintf(ids[i], sizeof(ids[i]), "m%d", i);
        items[i] = message("u", "t", ids[i], "x", i);
    }
    is_status(store->ops->put(store, items, 300, &err), MC_OK, &err, "300 jobs");
    put_records_fini(items, 300);
    struct mc_thread_state before = {0}, after = {0};
    is_status(store->ops->thread(store, MC_STR("u"), MC_STR("t"), &before, &err), MC_OK, &err,
              "before");
    struct caller callers[4];
    run_callers(store, 4, claim_and_complete, callers);
    int failures = 0, applied = 0;
    for (int i = 0; i < 4; i++) {
        failures += callers[i].failures;
        applied += callers[i].applied;
    }
    is_int(failures, 0, "no call failed");
    is_int(applied, 300, "each job was applied once");
    is_status(store->ops->thread(store, MC_STR("u"), MC_STR("t"), &after, &err), MC_OK, &err,
              "after");
    is_int(after.version - before.version, 300, "the thread changed 300 times");
    struct mc_queue_stats stats = scratch_queue(store);
    ok(stats.ready == 0 && stats.leased == 0, "the queue is empty");
}

/* Reads, writes, completions and erasures at the same time. */
static inline void *mixed_work(void *context)
{
    struct caller *c = context;
    char user[16], id[32], lease[16];
    snprintf(user, sizeof(user), "u%d", c->number % 3);
    snprintf(lease, sizeof(lease), "w%d", c->number);
    for (int i = 0; i < 30; i++) {
        struct mc_error err;
        snprintf(id, sizeof(id), "m-%d-%d", c->number, i);
        struct mc_put put = message(user, "t", id, "cat dog", i);
        c->failures += c->store->ops->put(c->store, &put, 1, &err) != MC_OK;
        mc_record_unref(put.record);
        mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
        c->failures += c->store->ops->claim(c->store, mc_str_of(lease), MC_STAGE_FIRST,
                                            mc_time_now_us(), MINUTE, 8, &jobs, &err) != MC_OK;
        for (size_t j = 0; j < jobs.count; j++) {
            struct mc_completion done = {.row = jobs.items[j].record->row,
                                         .terms = jobs.items[j].record->m.text,
                                         .state = MC_ENRICHMENT_ENRICHED};
            c->failures +=
                c->store->ops->complete(c->store, mc_str_of(lease), &done, 1, &err) != MC_OK;
        }
        const mc_str cat[] = {MC_STR("cat")};
        struct mc_match_query query = query_of(user, cat, 1);
        struct mc_match_result result = {0};
        c->failures += c->store->ops->match(c->store, &query, &result, &err) != MC_OK;
        mc_match_result_fini(&result);
        struct mc_erased erased;
        if (i == 15 && c->number == 0)
            c->failures += c->store->ops->erase(c->store, MC_STR("u1"), &erased, &err) != MC_OK;
    }
    return NULL;
}

static inline void mixed_load(struct mc_store *store)
{
    struct caller callers[8];
    run_callers(store, 8, mixed_work, callers);
    int failures = 0;
    for (int i = 0; i < 8; i++)
        failures += callers[i].failures;
    is_int(failures, 0, "nothing failed");
    check_is_clean(store, "after mixed work");
}

#define STORE_THREAD_CASES                                                                         \
    {"concurrent puts", concurrent_puts}, {"exactly once", exactly_once},                          \
        {"mixed work", mixed_load},
