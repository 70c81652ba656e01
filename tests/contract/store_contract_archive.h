/* The contract of a store: the compressed archive. */
#ifndef MC_TESTS_STORE_CONTRACT_ARCHIVE_H
#define MC_TESTS_STORE_CONTRACT_ARCHIVE_H

#include "store_contract.h"

#define ARCHIVE_USERS 4

/* What message number n of a user says: much the same as the others do, and one word of its own. */
static inline void archive_text(int n, char text[160])
{
    snprintf(text, 160,
             "My order %d has not arrived at all. I need it before Friday since zebra%d comes, so "
             "please answer me soon.",
             n * 7919, n);
}

/* Stores and indexes messages `first` to `last`, those of ARCHIVE_USERS users in turn. */
static inline void archive_fill(struct mc_store *store, int first, int last)
{
    for (int n = first; n <= last; n++) {
        char user[8], id[16], text[160];
        snprintf(user, sizeof(user), "u%d", n % ARCHIVE_USERS);
        snprintf(id, sizeof(id), "m%d", n);
        archive_text(n, text);
        struct mc_put put = message(user, "t", id, text, n);
        if (n % 10 == 0) {
            put.message.agent_id = MC_STR("bot");
            put.message.visibility = MC_VISIBILITY_PRIVATE;
        }
        store_one(store, put);
    }
    index_all(store);
}

static inline struct mc_tier_rule archive_rule(size_t batch)
{
    return (struct mc_tier_rule){.now_us = T0 + 1000 * MINUTE,
                                 .short_us = SECOND,
                                 .mid_us = SECOND,
                                 .long_us = SECOND,
                                 .keep_importance = 0.8,
                                 .batch = batch};
}

static inline void archive_move(struct mc_store *store)
{
    struct mc_tier_rule rule = archive_rule(10000);
    struct mc_tier_step step = {0};
    struct mc_error err = {0};
    is_status(store->ops->migrate(store, &rule, &step, &err), MC_OK, &err, "to the archive");
}

/* Packs all that is due; how many they were. */
static inline int archive_pack(struct mc_store *store, size_t batch, double *ratio)
{
    struct mc_tier_rule rule = archive_rule(batch);
    struct mc_pack_step step = {0};
    struct mc_error err = {0};
    int packed = 0;
    int64_t before = 0, after = 0;
    do {
        if (store->ops->pack(store, &rule, &step, &err) != MC_OK)
            bail_out("pack: %s", err.message);
        if (step.packed > (int64_t)batch)
            bail_out("a step of %d messages", (int)step.packed);
        packed += (int)step.packed;
        before += step.bytes_before;
        after += step.bytes_after;
    } while (step.more);
    *ratio = after > 0 ? (double)before / (double)after : 0;
    return packed;
}

/* How many of the messages from `first` to `last` are read by id as they were written. */
static inline int archive_readable(struct mc_store *store, int first, int last)
{
    int good = 0;
    for (int n = first; n <= last; n++) {
        char id[16], text[160];
        struct mc_record *record = NULL;
        struct mc_error err = {0};
        snprintf(id, sizeof(id), "m%d", n);
        archive_text(n, text);
        enum mc_status status = store->ops->get(store, mc_str_of(id), &everything, &record, &err);
        if (status != MC_OK && status != MC_NOT_FOUND)
            diag("%s", err.message);
        if (status != MC_OK)
            continue;
        good += mc_str_equal(record->m.text, mc_str_of(text)) &&
                mc_str_equal(record->m.metadata, MC_STR("{\"method\":\"builtin\"}"));
        mc_record_unref(record);
    }
    return good;
}

static inline const char *archive_match(struct mc_store *store, const char *word)
{
    const mc_str terms[] = {mc_str_of(word)};
    struct mc_match_query query = query_of("u1", terms, 1);
    return match_ids(store, &query);
}

static inline void archive_packs(struct mc_store *store)
{
    struct mc_error err = {0};
    double ratio;
    archive_fill(store, 1, 200);
    struct mc_tier_rule rule = archive_rule(7);
    struct mc_pack_step step = {0};
    rule.dry_run = true;
    is_status(store->ops->pack(store, &rule, &step, &err), MC_OK, &err, "dry run");
    is_int((int)step.packed, 200, "counts what will come into the archive");
    ok(step.bytes_before > 200 * 150 && !step.more, "and its bytes, in one step");
    archive_move(store);
    is_str(archive_match(store, "zebra5"), "m5", "the index has what is not packed");
    is_int(archive_pack(store, 7, &ratio), 0, "nothing is packed without a dictionary");
    is_status(store->ops->train(store, T0, &err), MC_OK, &err, "training");
    rule.dry_run = false;
    rule.user_id = MC_STR("u1");
    is_status(store->ops->pack(store, &rule, &step, &err), MC_OK, &err, "of one user");
    is_int((int)step.packed, 7, "a step is bounded");
    rule.user_id = MC_STR("nobody");
    is_status(store->ops->pack(store, &rule, &step, &err), MC_OK, &err, "of an unknown user");
    is_int((int)step.packed, 0, "nothing");
    is_int(archive_pack(store, 7, &ratio), 193, "all are packed, each once");
    ok(ratio > 3, "to less than a third (%.1f)", ratio);
    is_int(archive_pack(store, 7, &ratio), 0, "nothing is left");
    is_int(archive_readable(store, 1, 200), 200, "all are read as they were");
    is_str(archive_match(store, "zebra5"), "", "the index has them no more");
    check_is_clean(store, "of the archive");
    struct mc_store_stats stats = {0};
    is_status(store->ops->stats(store, &stats, &err), MC_OK, &err, "stats");
    is_int(stats.by_tier[MC_TIER_ARCHIVE], 200, "they count as before");
}

static inline void archive_reads(struct mc_store *store)
{
    struct mc_error err = {0};
    double ratio;
    archive_fill(store, 1, 120);
    archive_move(store);
    is_status(store->ops->train(store, T0, &err), MC_OK, &err, "training");
    is_int(archive_pack(store, 50, &ratio), 120, "120 are packed");
    is_str(recent_ids(store, "u1", "t", NULL, 3, &everything), "m117 m113 m109", "by thread");
    is_str(recent_ids(store, "u1", "t", "m109", 2, &everything), "m105 m101", "and time");
    is_str(recent_ids(store, "u2", "t", NULL, 3, &anonymous), "m118 m114 m106",
           "without what the reader may not see");
    struct mc_record *record = NULL;
    is_status(store->ops->get(store, MC_STR("m110"), &anonymous, &record, &err), MC_NOT_FOUND, &err,
              "nor by id");
    struct mc_put again = message("u1", "t", "m5", "something else", 5);
    is_status(store->ops->put(store, &again, 1, &err), MC_OK, &err, "a put of the same id");
    is_int(again.status, MC_CONFLICT, "with another text is refused");
    char text[160];
    archive_text(5, text);
    again = message("u1", "t", "m5", text, 5);
    is_status(store->ops->put(store, &again, 1, &err), MC_OK, &err, "a repeat");
    ok(again.status == MC_OK && !again.created, "is one");
    mc_record_unref(again.record);
    struct mc_record *removed = NULL;
    int64_t version;
    is_status(store->ops->remove(store, MC_STR("m5"), &everything, &removed, &version, &err), MC_OK,
              &err, "one is removed");
    ok(mc_str_equal(removed->m.text, mc_str_of(text)), "and handed back as it was");
    mc_record_unref(removed);
    is_int(archive_readable(store, 1, 120), 119, "the others stay");
    struct mc_erased erased = {0};
    is_status(store->ops->erase(store, MC_STR("u2"), &erased, &err), MC_OK, &err, "erase");
    is_int((int)erased.messages, 30, "all of the user's messages");
    ok(erased.verified, "verified");
    is_int(archive_readable(store, 1, 120), 89, "those of others stay");
    check_is_clean(store, "after that");
}

static inline void archive_dictionaries(struct mc_store *store)
{
    struct mc_error err = {0};
    double ratio;
    archive_fill(store, 1, 63);
    archive_move(store);
    is_status(store->ops->train(store, T0, &err), MC_OK, &err, "training with 63 messages");
    is_int(archive_pack(store, 100, &ratio), 0, "makes no dictionary");
    archive_fill(store, 64, 80);
    archive_move(store);
    is_status(store->ops->train(store, T0, &err), MC_OK, &err, "with 80");
    is_int(archive_pack(store, 100, &ratio), 80, "it does");
    archive_fill(store, 81, 420);
    store_one(store, message("u1", "t", "waiting", "x", 1));
    archive_move(store);
    is_status(store->ops->train(store, T0 + 1, &err), MC_OK, &err, "with four times as many");
    is_int(archive_pack(store, 1000, &ratio), 340, "all but what waits for enrichment");
    is_int(archive_readable(store, 1, 420), 420, "messages of both dictionaries are read");
    is_status(store->ops->train(store, T0 + 2, &err), MC_OK, &err, "training with nothing new");
    struct mc_tier_rule rule = archive_rule(0);
    struct mc_pack_step step;
    is_status(store->ops->pack(store, &rule, &step, &err), MC_INVALID, &err, "no batch");
}

#define TASK_THREADS 8

struct task_taker {
    struct mc_store *store;
    pthread_t thread;
    bool taken;
};

static inline void *take_task(void *context)
{
    struct task_taker *taker = context;
    struct mc_error err = {0};
    if (taker->store->ops->take_task(taker->store, MC_STR("tiers"), T0 + 10, T0 + MINUTE,
                                     &taker->taken, &err) != MC_OK)
        bail_out("take_task: %s", err.message);
    return NULL;
}

static inline void tasks(struct mc_store *store)
{
    struct mc_error err = {0};
    struct task_taker takers[TASK_THREADS] = {{0}};
    bool taken = false;
    is_status(store->ops->set_task(store, MC_STR("tiers"), T0 + 10, &err), MC_OK, &err, "set");
    is_status(store->ops->take_task(store, MC_STR("tiers"), T0 + 9, T0 + MINUTE, &taken, &err),
              MC_OK, &err, "a moment early");
    ok(!taken, "it is not due");
    int count = 0;
    for (int i = 0; i < TASK_THREADS; i++) {
        takers[i].store = store;
        if (mc_thread_start(&takers[i].thread, "taker", take_task, &takers[i], &err))
            bail_out("no thread");
    }
    for (int i = 0; i < TASK_THREADS; i++) {
        mc_thread_join(takers[i].thread);
        count += takers[i].taken;
    }
    is_int(count, 1, "of many that find it due one takes it");
    is_status(
        store->ops->take_task(store, MC_STR("tiers"), T0 + MINUTE, T0 + 2 * MINUTE, &taken, &err),
        MC_OK, &err, "when that one is not heard of");
    ok(taken, "another takes it");
    is_status(store->ops->take_task(store, MC_STR("new"), T0, T0 + MINUTE, &taken, &err), MC_OK,
              &err, "a task that nobody knows");
    ok(taken, "is due");
}

#define STORE_ARCHIVE_CASES                                                                        \
    {"the archive is compressed", archive_packs}, {"reading the archive", archive_reads},          \
        {"dictionaries of the archive", archive_dictionaries}, {"tasks", tasks},

#endif
