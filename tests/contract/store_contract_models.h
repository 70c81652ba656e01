/* Part of store_contract.h: what models need of a store: twins, the ledger. */

#define HASH_A MC_STR("aaaaaaaaaaaaaaaa\0aaaaaaaaaaaaaaa")
#define HASH_B MC_STR("aaaaaaaaaaaaaaaa\0aaaaaaaaaaaaaab")

/* Claims what is ready at the stage for the row and completes it, with a hash ("" for none). */
static inline bool complete_hashed(struct mc_store *store, int64_t row, enum mc_stage stage,
                                   enum mc_stage next_stage, const char *metadata, mc_str hash)
{
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    claim_into(store, "hashed", stage, due_time(), 64, &jobs);
    struct mc_completion done = {
        .row = row,
        .user_id = MC_STR("u"),
        .metadata = mc_str_of(metadata),
        .terms = MC_STR("word"),
        .importance = 0.5,
        .state = MC_ENRICHMENT_ENRICHED,
        .next_stage = next_stage,
        .content_hash = hash.len > 0 ? hash : MC_STR_NONE,
    };
    struct mc_error err = {0};
    is_status(store->ops->complete(store, MC_STR("hashed"), &done, 1, &err), MC_OK, &err,
              "complete with a hash");
    is_status(store->ops->release(store, MC_STR("hashed"), &err), MC_OK, &err,
              "the others go back");
    return done.applied;
}

/* The metadata that a hash finds, "" when none, in static memory. */
static inline const char *twin_of(struct mc_store *store, mc_str hash)
{
    static char text[256];
    mc_auto(mc_buf_fini) struct mc_buf metadata;
    mc_buf_init(&metadata, sizeof(text) - 1);
    struct mc_error err = {0};
    enum mc_status status = store->ops->twin(store, hash, &metadata, &err);
    if (status != MC_OK && status != MC_NOT_FOUND)
        return mc_status_name(status);
    if (status == MC_NOT_FOUND && metadata.len > 0)
        return "an output of a call that failed";
    snprintf(text, sizeof(text), "%.*s", MC_STR_ARG(mc_buf_str(&metadata)));
    return text;
}

static inline void twins(struct mc_store *store)
{
    is_str(twin_of(store, HASH_A), "", "no message, no twin");
    int64_t first = store_one(store, message("u", "t", "m1", "x", 0));
    int64_t second = store_one(store, message("v", "t", "m2", "x", 0));
    int64_t third = store_one(store, message("u", "t", "m3", "y", 0));
    ok(complete_hashed(store, first, MC_STAGE_FIRST, 0, "{\"n\":1}", HASH_A), "the first");
    is_str(twin_of(store, HASH_A), "{\"n\":1}", "is found by its hash");
    is_str(twin_of(store, HASH_B), "", "and not by another that begins like it");
    ok(complete_hashed(store, third, MC_STAGE_FIRST, 0, "{\"n\":3}", MC_STR("")), "one without");
    ok(complete_hashed(store, second, MC_STAGE_FIRST, 0, "{\"n\":2}", HASH_A), "another");
    is_str(twin_of(store, HASH_A), "{\"n\":2}", "the newest completion is found");
    mc_auto(mc_buf_fini) struct mc_buf small;
    mc_buf_init(&small, 9);
    mc_buf_text(&small, "abc");
    struct mc_error err = {0};
    is_status(store->ops->twin(store, HASH_A, &small, &err), MC_TOO_LARGE, &err, "no room");
    is_text(mc_buf_str(&small), "abc", "leaves the buffer as it was");
    ok(!complete_hashed(store, first, MC_STAGE_FIRST, 0, "{\"n\":9}", HASH_B), "no job, no twin");
    is_str(twin_of(store, HASH_B), "", "of a completion that was not applied");
    is_str(twin_of(store, HASH_A), "{\"n\":2}", "nor does it take one away");
}

/* A message answers for its last completion alone. */
static inline void twins_done_again(struct mc_store *store)
{
    int64_t row = store_one(store, message("u", "t", "m1", "x", 0));
    ok(complete_hashed(store, row, MC_STAGE_FIRST, MC_STAGE_MODEL, "{\"n\":1}", HASH_A), "done");
    is_str(twin_of(store, HASH_A), "{\"n\":1}", "found");
    ok(complete_hashed(store, row, MC_STAGE_MODEL, MC_STAGE_MODEL, "{\"n\":2}", HASH_B), "again");
    is_str(twin_of(store, HASH_A), "", "not by the hash that it had");
    is_str(twin_of(store, HASH_B), "{\"n\":2}", "but by its new one");
    ok(complete_hashed(store, row, MC_STAGE_MODEL, MC_STAGE_MODEL, "{\"n\":3}", MC_STR("")),
       "without a hash");
    is_str(twin_of(store, HASH_B), "", "it is not found any more");
    ok(complete_hashed(store, row, MC_STAGE_MODEL, MC_STAGE_MODEL, "{\"n\":4}", HASH_A),
       "and once more");
    is_str(twin_of(store, HASH_A), "{\"n\":4}", "it is");
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    is_int(claim_into(store, "w", MC_STAGE_MODEL, due_time(), 1, &jobs), 1, "taken");
    struct mc_failure dead = {
        .row = row, .error = MC_STR("no use"), .metadata = MC_STR("{\"enrichment_failed\":true}")};
    struct mc_error err = {0};
    is_status(store->ops->fail(store, MC_STR("w"), &dead, 1, &err), MC_OK, &err, "given up");
    is_str(twin_of(store, HASH_A), "", "a failure is nobody's twin");
}

static inline void twins_deleted(struct mc_store *store)
{
    struct mc_error err = {0};
    int64_t removed_row = store_one(store, message("u", "t", "m1", "x", 0));
    complete_hashed(store, removed_row, MC_STAGE_FIRST, 0, "{\"n\":1}", HASH_A);
    struct mc_record *removed = NULL;
    int64_t version;
    is_status(store->ops->remove(store, MC_STR("m1"), &everything, &removed, &version, &err), MC_OK,
              &err, "removed");
    mc_record_unref(removed);
    is_str(twin_of(store, HASH_A), "", "a removed message has no twin");

    int64_t erased_row = store_one(store, message("u", "t", "m2", "x", 0));
    complete_hashed(store, erased_row, MC_STAGE_FIRST, 0, "{\"n\":2}", HASH_A);
    is_str(twin_of(store, HASH_A), "{\"n\":2}", "the hash is free for another");
    struct mc_erased erased = {0};
    is_status(store->ops->erase(store, MC_STR("u"), &erased, &err), MC_OK, &err, "erase");
    ok(erased.verified && erased.messages == 1, "verified");
    is_str(twin_of(store, HASH_A), "", "an erased message has none");

    int64_t trivial_row = store_one(store, message("u", "t", "m3", "x", 0));
    complete_hashed(store, trivial_row, MC_STAGE_FIRST, 0, "{\"method\":\"trivial\"}", HASH_A);
    struct mc_tier_rule rule = {.now_us = mc_time_now_us() + 90 * MINUTE,
                                .short_us = INT64_MAX / 4,
                                .mid_us = INT64_MAX / 4,
                                .long_us = INT64_MAX / 4,
                                .trivial_delete_us = MINUTE,
                                .keep_importance = 0.9,
                                .batch = 10};
    struct mc_tier_step step = {0};
    is_status(store->ops->migrate(store, &rule, &step, &err), MC_OK, &err, "migrate");
    is_int(step.deleted, 1, "a trivial message is deleted");
    is_str(twin_of(store, HASH_A), "", "and with it its twin");
    check_is_clean(store, "after all deletions");
}

/* ---- The ledger ---- */

struct usage_seen {
    int count, limit;
    char text[1024];
};

static inline bool see_usage(void *context, const struct mc_usage_row *u)
{
    struct usage_seen *seen = context;
    size_t at = strlen(seen->text);
    snprintf(seen->text + at, sizeof(seen->text) - at,
             "%d %.*s %.*s %.*s %d-%d %d/%d/%d %dus %.4f\n", (int)u->day, MC_STR_ARG(u->operation),
             MC_STR_ARG(u->provider), MC_STR_ARG(u->model), (int)u->calls, (int)u->failures,
             (int)u->tokens_in, (int)u->tokens_cached, (int)u->tokens_out, (int)u->took_us,
             u->cost_usd);
    return ++seen->count != seen->limit;
}

static inline const char *usage_text(struct mc_store *store, int64_t first, int64_t last, int limit)
{
    static struct usage_seen seen;
    seen = (struct usage_seen){.limit = limit};
    struct mc_error err = {0};
    is_status(store->ops->usage(store, first, last, see_usage, &seen, &err), MC_OK, &err, "usage");
    return seen.text;
}

static inline void ledger(struct mc_store *store)
{
    struct mc_error err = {0};
    is_str(usage_text(store, INT64_MIN, INT64_MAX, 0), "", "nobody was asked");
    const struct mc_usage_row first[] = {
        {20000, MC_STR("enrich"), MC_STR("openai"), MC_STR("small"), 3, 1, 300, 100, 30, 5000,
         0.25},
        {20000, MC_STR("context"), MC_STR("openai"), MC_STR("small"), 1, 0, 10, 0, 5, 700, 0.125},
        {20001, MC_STR("enrich"), MC_STR("llama_cpp"), MC_STR("m"), 2, 0, 20, 10, 4, 800, 0},
    };
    const struct mc_usage_row second[] = {
        {20000, MC_STR("enrich"), MC_STR("openai"), MC_STR("small"), 1, 0, 7, 1, 2, 50, 0.5},
        {20000, MC_STR("enrich"), MC_STR("openai"), MC_STR("large"), 1, 0, 1, 0, 1, 10, 1},
        {20000, MC_STR("enrich"), MC_STR("openai"), MC_STR("large"), 1, 0, 1, 0, 1, 10, 1},
    };
    is_status(store->ops->add_usage(store, first, 0, &err), MC_OK, &err, "nothing");
    is_status(store->ops->add_usage(store, first, 3, &err), MC_OK, &err, "three");
    is_status(store->ops->add_usage(store, second, 3, &err), MC_OK, &err, "three more");
    is_str(usage_text(store, INT64_MIN, INT64_MAX, 0),
           "20000 context openai small 1-0 10/0/5 700us 0.1250\n"
           "20000 enrich openai large 2-0 2/0/2 20us 2.0000\n"
           "20000 enrich openai small 4-1 307/101/32 5050us 0.7500\n"
           "20001 enrich llama_cpp m 2-0 20/10/4 800us 0.0000\n",
           "added up and in order");
    is_str(usage_text(store, 20001, 20001, 0),
           "20001 enrich llama_cpp m 2-0 20/10/4 800us 0.0000\n", "of one day");
    is_str(usage_text(store, 20002, 20009, 0), "", "of days without");
    is_str(usage_text(store, 20000, 20001, 1),
           "20000 context openai small 1-0 10/0/5 700us 0.1250\n", "until the caller has enough");
}

#define STORE_MODEL_CASES                                                                          \
    {"twins", twins}, {"twins done again", twins_done_again},                                      \
        {"twins of deleted messages", twins_deleted}, {"the ledger", ledger},
