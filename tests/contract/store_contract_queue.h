/* Part of store_contract.h: the queue. */

static inline void claim_order(struct mc_store *store)
{
    int64_t now = due_time();
    int64_t first = store_one(store, message("u", "t", "m1", "x", 9));
    store_one(store, message("u", "t", "m2", "x", 5));
    store_one(store, message("u", "t", "m3", "x", 7));
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    is_int(claim_into(store, "w1", MC_STAGE_MODEL, now, 9, &jobs), 0, "no job of the second stage");
    is_int(claim_into(store, "w1", MC_STAGE_FIRST, now, 2, &jobs), 2, "two jobs");
    is_int(jobs.items[0].record->row, first, "oldest first");
    is_int(jobs.items[0].attempts, 1, "the first attempt");
    is_int(jobs.items[0].stage, MC_STAGE_FIRST, "its stage");
    ok(jobs.items[0].enqueued_us > 0 && jobs.items[0].enqueued_us <= now, "its time");
    is_int(claim_into(store, "w2", MC_STAGE_FIRST, now, 9, &jobs), 1, "another gets the third");
    is_int(claim_into(store, "w3", MC_STAGE_FIRST, now, 9, &jobs), 0, "nothing is left");
    struct mc_error err = {0};
    struct mc_queue_stats stats = {0};
    is_status(store->ops->queue(store, now, &stats, &err), MC_OK, &err, "queue");
    is_int(stats.leased, 3, "three are leased");
    is_int(stats.ready, 0, "none is ready");
    is_int(stats.oldest_us, jobs.items[0].enqueued_us, "the oldest");
    is_int(stats.stage[MC_STAGE_FIRST].next_due_us, now + MINUTE, "next due when a lease ends");
    is_status(store->ops->queue(store, now + MINUTE + 1, &stats, &err), MC_OK, &err,
              "queue, later");
    is_int(stats.leased, 0, "no lease holds any more");
    is_int(stats.ready, 3, "all are ready");
}

static inline void lease_expiry(struct mc_store *store)
{
    int64_t now = due_time();
    int64_t row = store_one(store, message("u", "t", "m1", "x", 0));
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    is_int(claim_into(store, "w1", MC_STAGE_FIRST, now, 1, &jobs), 1, "claimed");
    is_int(claim_into(store, "w2", MC_STAGE_FIRST, now + MINUTE - 1, 1, &jobs), 0, "still leased");
    is_int(claim_into(store, "w2", MC_STAGE_FIRST, now + MINUTE, 1, &jobs), 1, "the lease ran out");
    is_int(jobs.items[1].attempts, 2, "which is a second attempt");
    ok(!complete_row(store, "w1", row, "late", 0), "the first holder comes too late");
    ok(complete_row(store, "w2", row, "good", 0), "the second completes");
    ok(!complete_row(store, "w2", row, "again", 0), "but once only");
    struct mc_record *got = scratch_get(store, "m1");
    is_text(got->terms, "good", "the message has what was applied");
    is_int(got->m.enrichment_state, MC_ENRICHMENT_ENRICHED, "it is enriched");
    is_double(got->m.importance, 0.7, 1e-9, "with its importance");
    is_text(got->m.metadata, "{\"method\":\"builtin\"}", "and metadata");
    mc_record_unref(got);
    ok(!complete_row(store, "w2", 123456, "none", 0), "a row that is not there is not applied");
}

/* What ended a process comes alone, so that it takes no other job with it; what was put back does not. */
static inline void attempted_alone(struct mc_store *store)
{
    int64_t now = due_time();
    store_one(store, message("u", "t", "m1", "x", 0));
    store_one(store, message("u", "t", "m2", "x", 0));
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    is_int(claim_into(store, "w1", MC_STAGE_FIRST, now, 9, &jobs), 2, "fresh jobs come together");
    store_one(store, message("u", "t", "m3", "x", 0));
    store_one(store, message("u", "t", "m4", "x", 0));
    is_int(claim_into(store, "w2", MC_STAGE_FIRST, now + MINUTE, 9, &jobs), 2, "fresh ones again");
    is_text(jobs.items[2].record->m.message_id, "m3",
            "without those attempted, which are due later");
    is_int(claim_into(store, "w3", MC_STAGE_FIRST, now + MINUTE, 9, &jobs), 1, "these come alone");
    is_int(jobs.items[4].attempts, 2, "for a second attempt");
    is_int(claim_into(store, "w3", MC_STAGE_FIRST, now + MINUTE, 9, &jobs), 1, "one by one");
    is_int(claim_into(store, "w3", MC_STAGE_FIRST, now + MINUTE, 9, &jobs), 0, "until none is due");
    struct mc_failure put_back[2] = {
        {.row = jobs.items[2].record->row, .retry_at_us = now, .error = MC_STR("busy")},
        {.row = jobs.items[3].record->row, .retry_at_us = now, .error = MC_STR("busy")},
    };
    struct mc_error err = {0};
    is_status(store->ops->fail(store, MC_STR("w2"), put_back, 2, &err), MC_OK, &err, "put back");
    is_int(claim_into(store, "w4", MC_STAGE_FIRST, now + SECOND, 9, &jobs), 2,
           "what was put back comes together");
    is_int(jobs.items[6].attempts, 2, "with its attempts");
}

static inline void two_stages(struct mc_store *store)
{
    int64_t now = due_time();
    int64_t row = store_one(store, message("u", "t", "m1", "x", 0));
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    claim_into(store, "w", MC_STAGE_FIRST, now, 1, &jobs);
    ok(complete_row(store, "w", row, "one two", MC_STAGE_MODEL), "first stage done");
    is_int(scratch_queue(store).ready, 1, "the job goes on");
    is_int(claim_into(store, "w", MC_STAGE_FIRST, now, 1, &jobs), 0, "not in the first stage");
    is_int(claim_into(store, "w", MC_STAGE_MODEL, now, 1, &jobs), 1, "but in the second");
    is_int(jobs.items[1].attempts, 1, "attempts count anew");
    is_text(jobs.items[1].record->terms, "one two", "with the terms of the first");
    ok(complete_row(store, "w", row, "two three", 0), "second stage done");
    is_int(scratch_queue(store).ready, 0, "the queue is empty");
    mc_str terms[] = {MC_STR("one"), MC_STR("two"), MC_STR("three")};
    struct mc_match_query query = query_of("u", terms, 1);
    is_str(match_ids(store, &query), "", "the old terms are gone from the index");
    query = query_of("u", terms + 1, 1);
    is_str(match_ids(store, &query), "m1", "what stayed is found");
    query = query_of("u", terms + 2, 1);
    is_str(match_ids(store, &query), "m1", "what came is found");
}

struct dead_seen {
    int count, attempts;
    char message_id[32], user_id[32], error[64];
    int64_t enqueued_us, died_us;
};

static inline bool see_dead(void *context, mc_str message_id, mc_str user_id, int attempts,
                            int64_t enqueued_us, int64_t died_us, mc_str error)
{
    struct dead_seen *seen = context;
    seen->count++;
    seen->attempts = attempts;
    seen->enqueued_us = enqueued_us;
    seen->died_us = died_us;
    snprintf(seen->message_id, sizeof(seen->message_id), "%.*s", MC_STR_ARG(message_id));
    snprintf(seen->user_id, sizeof(seen->user_id), "%.*s", MC_STR_ARG(user_id));
    snprintf(seen->error, sizeof(seen->error), "%.*s", MC_STR_ARG(error));
    return true;
}

static inline void failures(struct mc_store *store)
{
    struct mc_error err = {0};
    int64_t now = due_time();
    int64_t row = store_one(store, message("u", "t", "m1", "x", 0));
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    claim_into(store, "w", MC_STAGE_FIRST, now, 1, &jobs);
    struct mc_failure later = {
        .row = row, .retry_at_us = now + MINUTE / 2, .error = MC_STR("busy")};
    is_status(store->ops->fail(store, MC_STR("x"), &later, 1, &err), MC_OK, &err,
              "a failure of somebody else");
    is_int(scratch_queue(store).leased, 1, "changes nothing");
    is_status(store->ops->fail(store, MC_STR("w"), &later, 1, &err), MC_OK, &err,
              "try again later");
    is_int(claim_into(store, "w", MC_STAGE_FIRST, now + MINUTE / 2 - 1, 1, &jobs), 0, "not yet");
    is_int(claim_into(store, "w", MC_STAGE_FIRST, now + MINUTE / 2, 1, &jobs), 1, "now");
    is_int(jobs.items[1].attempts, 2, "the second attempt");

    struct mc_failure dead = {
        .row = row, .error = MC_STR("no use"), .metadata = MC_STR("{\"enrichment_failed\":true}")};
    is_status(store->ops->fail(store, MC_STR("w"), &dead, 1, &err), MC_OK, &err, "give up");
    is_int(claim_into(store, "w", MC_STAGE_FIRST, now + 9 * MINUTE, 9, &jobs), 0,
           "a dead job is not claimed");
    struct mc_queue_stats stats = scratch_queue(store);
    ok(stats.dead == 1 && stats.ready == 0 && stats.leased == 0, "it counts as dead");
    ok(stats.oldest_us == 0 && stats.stage[MC_STAGE_FIRST].next_due_us == 0, "and not as waiting");
    struct mc_record *got = scratch_get(store, "m1");
    is_int(got->m.enrichment_state, MC_ENRICHMENT_FAILED, "its message says so");
    is_text(got->m.metadata, "{\"enrichment_failed\":true}", "with the reason");
    mc_record_unref(got);
    struct dead_seen seen = {0};
    is_status(store->ops->dead_jobs(store, 10, see_dead, &seen, &err), MC_OK, &err, "dead jobs");
    ok(seen.count == 1 && seen.attempts == 2 && seen.died_us > 0 && seen.enqueued_us > 0,
       "one, with its numbers");
    is_str(seen.message_id, "m1", "its message");
    is_str(seen.user_id, "u", "its user");
    is_str(seen.error, "no use", "its error");

    uint64_t count = 9;
    is_status(store->ops->retry(store, MC_STR("nobody"), now, &count, &err), MC_OK, &err,
              "retry another");
    is_int(count, 0, "is none");
    is_status(store->ops->retry(store, MC_STR("m1"), now, &count, &err), MC_OK, &err, "retry");
    is_int(count, 1, "is one");
    got = scratch_get(store, "m1");
    is_int(got->m.enrichment_state, MC_ENRICHMENT_PENDING, "its message waits again");
    mc_record_unref(got);
    is_int(claim_into(store, "w", MC_STAGE_FIRST, now, 1, &jobs), 1, "it can be claimed");
    is_int(jobs.items[2].attempts, 1, "attempts count anew");
    is_status(store->ops->fail(store, MC_STR("w"), &dead, 1, &err), MC_OK, &err, "dead again");
    is_status(store->ops->purge(store, &count, &err), MC_OK, &err, "purge");
    is_int(count, 1, "one");
    is_int(scratch_queue(store).dead, 0, "none is left");
    got = scratch_get(store, "m1");
    ok(got != NULL, "the message stays");
    mc_record_unref(got);
}

static inline void releases(struct mc_store *store)
{
    struct mc_error err = {0};
    int64_t now = due_time();
    store_one(store, message("u", "t", "m1", "x", 0));
    store_one(store, message("u", "t", "m2", "x", 0));
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    claim_into(store, "w1", MC_STAGE_FIRST, now, 1, &jobs);
    claim_into(store, "w2", MC_STAGE_FIRST, now, 1, &jobs);
    is_status(store->ops->release(store, MC_STR("w1"), &err), MC_OK, &err, "release");
    is_int(claim_into(store, "w3", MC_STAGE_FIRST, now, 9, &jobs), 1, "one is free again");
    is_int(jobs.items[2].attempts, 1, "the released attempt does not count");
    is_text(jobs.items[2].record->m.message_id, "m1", "it is the one of w1");
}

static inline void removed_while_leased(struct mc_store *store)
{
    struct mc_error err = {0};
    int64_t row = store_one(store, message("u", "t", "m1", "x", 0));
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    claim_into(store, "w", MC_STAGE_FIRST, due_time(), 1, &jobs);
    struct mc_record *removed = NULL;
    int64_t version;
    is_status(store->ops->remove(store, MC_STR("m1"), &everything, &removed, &version, &err), MC_OK,
              &err, "removed while a worker has it");
    mc_record_unref(removed);
    store_one(store, message("u", "t", "m2", "other", 0));
    ok(!complete_row(store, "w", row, "ghost", 0), "its completion is not applied");
    mc_str ghost[] = {MC_STR("ghost")};
    struct mc_match_query query = query_of("u", ghost, 1);
    is_str(match_ids(store, &query), "", "nor indexed");
}

/* A lease that is renewed outlives its first end; one that nobody holds cannot be. */
static inline void renewals(struct mc_store *store)
{
    struct mc_error err = {0};
    int64_t now = due_time();
    int64_t row = store_one(store, message("u", "t", "m1", "x", 0));
    store_one(store, message("u", "t", "m2", "x", 0));
    is_status(store->ops->renew(store, MC_STR("w1"), now, &err), MC_NOT_FOUND, &err,
              "nothing is leased");
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    is_int(claim_into(store, "w1", MC_STAGE_FIRST, now, 2, &jobs), 2, "two jobs");
    is_status(store->ops->renew(store, MC_STR("w1"), now + 3 * MINUTE, &err), MC_OK, &err, "renew");
    is_int(claim_into(store, "w2", MC_STAGE_FIRST, now + 2 * MINUTE, 9, &jobs), 0, "both stay");
    struct mc_queue_stats stats = {0};
    is_status(store->ops->queue(store, now + 2 * MINUTE, &stats, &err), MC_OK, &err, "queue");
    ok(stats.leased == 2 && stats.stage[MC_STAGE_FIRST].next_due_us == now + 3 * MINUTE,
       "until then");
    ok(complete_row(store, "w1", row, "x", 0), "one is completed");
    is_status(store->ops->renew(store, MC_STR("w1"), now + 4 * MINUTE, &err), MC_OK, &err,
              "the other is renewed");
    is_int(scratch_queue(store).leased, 1, "alone");
    is_status(store->ops->renew(store, MC_STR("w1"), now, &err), MC_OK, &err, "it may end at once");
    is_status(store->ops->renew(store, MC_STR("w1"), now + 5 * MINUTE, &err), MC_OK, &err,
              "and what ran out is still its holder's");
    is_int(claim_into(store, "w2", MC_STAGE_FIRST, now + 5 * MINUTE, 9, &jobs), 1,
           "until another has taken it");
    is_status(store->ops->renew(store, MC_STR("w1"), now + 9 * MINUTE, &err), MC_NOT_FOUND, &err,
              "then not");
    is_int(claim_into(store, "w3", MC_STAGE_FIRST, now + 8 * MINUTE, 9, &jobs), 1,
           "nor does it touch the other's");
}

static inline void no_attempts(struct mc_store *store)
{
    struct mc_error err = {0};
    int64_t now = due_time();
    int64_t first = store_one(store, message("u", "t", "m1", "x", 0));
    int64_t second = store_one(store, message("u", "t", "m2", "x", 0));
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    is_int(claim_into(store, "w", MC_STAGE_FIRST, now, 2, &jobs), 2, "two jobs");
    struct mc_failure later[] = {
        {.row = first, .retry_at_us = now, .no_attempt = true, .error = MC_STR("circuit open")},
        {.row = second, .retry_at_us = now, .no_attempt = true, .error = MC_STR("circuit open")}};
    is_status(store->ops->fail(store, MC_STR("w"), later, 2, &err), MC_OK, &err, "not tried");
    is_int(claim_into(store, "w", MC_STAGE_FIRST, now, 9, &jobs), 2, "so they come together again");
    is_int(jobs.items[2].attempts, 1, "for a first attempt");
    later[0].no_attempt = false;
    is_status(store->ops->fail(store, MC_STR("w"), later, 2, &err), MC_OK, &err, "one was tried");
    mc_jobs_fini(&jobs);
    is_int(claim_into(store, "w", MC_STAGE_FIRST, now, 1, &jobs), 1, "one");
    is_int(claim_into(store, "w", MC_STAGE_FIRST, now, 1, &jobs), 1, "by one");
    int tried = jobs.items[0].record->row == first ? 0 : 1;
    is_int(jobs.items[tried].attempts, 2, "the one that was tried is at its second attempt");
    is_int(jobs.items[1 - tried].attempts, 1, "the other is not");
    struct mc_failure dead = {.row = first, .no_attempt = true, .error = MC_STR("cap")};
    is_status(store->ops->fail(store, MC_STR("w"), &dead, 1, &err), MC_OK, &err, "dead untried");
    struct dead_seen seen = {0};
    is_status(store->ops->dead_jobs(store, 10, see_dead, &seen, &err), MC_OK, &err, "dead jobs");
    ok(seen.count == 1 && seen.attempts == 1, "does not count either");
}

/* The second stage goes by the order of arrival, whenever the first was done, and says so in the queue. */
static inline void model_stage(struct mc_store *store)
{
    struct mc_error err = {0};
    int64_t now = due_time(), rows[3];
    static const char *const ids[] = {"m1", "m2", "m3"};
    for (int i = 0; i < 3; i++) {
        rows[i] = store_one(store, message("u", "t", ids[i], "x", 0));
        scratch_pause_ms(1); /* enqueued at different times */
    }
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    is_int(claim_into(store, "w", MC_STAGE_FIRST, now, 3, &jobs), 3, "first stage");
    for (int i = 2; i >= 0; i--)
        complete_row(store, "w", rows[i], "word", MC_STAGE_MODEL);
    struct mc_queue_stats stats = {0};
    is_status(store->ops->queue(store, now, &stats, &err), MC_OK, &err, "queue");
    is_int(stats.stage[MC_STAGE_FIRST].ready, 0, "none waits for the first stage");
    is_int(stats.stage[MC_STAGE_FIRST].next_due_us, 0, "so its workers may sleep");
    is_int(stats.stage[MC_STAGE_MODEL].ready, 3, "all wait for a model");
    is_int(stats.stage[MC_STAGE_MODEL].next_due_us, jobs.items[0].enqueued_us, "since they came");
    mc_jobs_fini(&jobs);
    is_int(claim_into(store, "w", MC_STAGE_MODEL, now, 2, &jobs), 2, "two jobs");
    ok(jobs.items[0].record->row == rows[0] && jobs.items[1].record->row == rows[1],
       "in order of arrival");
    is_status(store->ops->queue(store, now, &stats, &err), MC_OK, &err, "queue");
    ok(stats.stage[MC_STAGE_MODEL].leased == 2 && stats.stage[MC_STAGE_MODEL].ready == 1,
       "two are leased, one is ready");
    mc_str word[] = {MC_STR("word")};
    struct mc_match_query query = query_of("u", word, 1);
    is_str(match_ids(store, &query), "m3 m2 m1", "what waits for a model is found by the index");

    struct mc_record *removed = NULL;
    int64_t version;
    is_status(store->ops->remove(store, MC_STR("m1"), &everything, &removed, &version, &err), MC_OK,
              &err, "a message that a model is asked about is removed");
    mc_record_unref(removed);
    is_status(store->ops->remove(store, MC_STR("m3"), &everything, &removed, &version, &err), MC_OK,
              &err, "and one that waits for it");
    mc_record_unref(removed);
    ok(!complete_row(store, "w", rows[0], "ghost", 0), "its answer is not applied");
    is_status(store->ops->queue(store, now, &stats, &err), MC_OK, &err, "queue");
    ok(stats.leased == 1 && stats.ready == 0, "the jobs went with them");

    struct mc_failure dead = {.row = rows[1], .error = MC_STR("no use")};
    is_status(store->ops->fail(store, MC_STR("w"), &dead, 1, &err), MC_OK, &err, "give up");
    uint64_t count = 0;
    is_status(store->ops->retry(store, MC_STR_NONE, now, &count, &err), MC_OK, &err, "retry all");
    is_int(count, 1, "one");
    is_int(claim_into(store, "w", MC_STAGE_MODEL, now, 1, &jobs), 0, "not at the model's stage");
    is_str(match_ids(store, &query), "m2", "it is found once while it waits");
    is_int(claim_into(store, "w", MC_STAGE_FIRST, now, 1, &jobs), 1, "but at the first again");
}

#define STORE_QUEUE_CASES                                                                          \
    {"claims", claim_order}, {"leases run out", lease_expiry},                                     \
        {"attempted before", attempted_alone}, {"two stages", two_stages}, {"failures", failures}, \
        {"release", releases}, {"removed while leased", removed_while_leased},                     \
        {"renewed leases", renewals}, {"failures without an attempt", no_attempts},                \
        {"the second stage", model_stage},
