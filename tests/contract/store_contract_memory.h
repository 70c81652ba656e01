/* Part of store_contract.h: preferences, signals, agents, summaries, tiers, erasure, export,
 * upkeep. */

#include "base/json.h"

static inline void preferences(struct mc_store *store)
{
    mc_auto(mc_buf_fini) struct mc_buf json;
    mc_buf_init(&json, 1U << 20);
    struct mc_error err = {0};
    is_status(store->ops->preferences(store, MC_STR("u"), &json, &err), MC_OK, &err, "never set");
    is_int(json.len, 0, "is empty");
    const mc_str none = MC_STR(""), one = MC_STR("{\"a\":1}"), two = MC_STR("{\"a\":\"ü\"}");
    is_status(store->ops->set_preferences(store, MC_STR("u"), one, two, false, &err), MC_CONFLICT,
              &err, "nothing to replace");
    is_status(store->ops->set_preferences(store, MC_STR("u"), none, one, false, &err), MC_OK, &err,
              "set");
    is_status(store->ops->set_preferences(store, MC_STR("u"), none, two, false, &err), MC_CONFLICT,
              &err, "set by somebody else");
    is_status(store->ops->set_preferences(store, MC_STR("u"), one, two, true, &err), MC_CONFLICT,
              &err, "learned from nothing");
    const struct mc_signal signal = {MC_STR("f"), MC_STR("v"), 1, T0, 1};
    is_status(store->ops->add_signals(store, MC_STR("u"), &signal, 1, &err), MC_OK, &err,
              "a signal");
    is_status(store->ops->set_preferences(store, MC_STR("u"), one, two, true, &err), MC_OK, &err,
              "set again");
    is_status(store->ops->preferences(store, MC_STR("u"), &json, &err), MC_OK, &err, "get");
    is_text(mc_buf_str(&json), "{\"a\":\"ü\"}", "the last one set");
    mc_buf_reset(&json);
    is_status(store->ops->preferences(store, MC_STR("v"), &json, &err), MC_OK, &err,
              "another user");
    is_int(json.len, 0, "has none");
}

struct signals_seen {
    int count;
    char text[256];
    double weight;
    int64_t last_seen_us;
};

static inline bool see_signal(void *context, const struct mc_signal *s)
{
    struct signals_seen *seen = context;
    size_t at = strlen(seen->text);
    snprintf(seen->text + at, sizeof(seen->text) - at, "%.*s=%.*s*%d ", MC_STR_ARG(s->field),
             MC_STR_ARG(s->value), (int)s->count);
    seen->weight += s->weight;
    seen->last_seen_us = s->last_seen_us;
    return ++seen->count < 10;
}

static inline void signals(struct mc_store *store)
{
    const struct mc_signal first[] = {{MC_STR("language"), MC_STR("de"), 1, T0 + 5, 0.5},
                                      {MC_STR("interest"), MC_STR("cats"), 1, T0, 1}};
    const struct mc_signal second[] = {{MC_STR("language"), MC_STR("de"), 2, T0 + 1, 0.25}};
    struct mc_error err = {0};
    is_status(store->ops->add_signals(store, MC_STR("u"), first, 2, &err), MC_OK, &err, "add");
    is_status(store->ops->add_signals(store, MC_STR("u"), second, 1, &err), MC_OK, &err,
              "add more");
    is_status(store->ops->add_signals(store, MC_STR("v"), second, 1, &err), MC_OK, &err,
              "of another");
    struct signals_seen seen = {0};
    is_status(store->ops->signals(store, MC_STR("u"), see_signal, &seen, &err), MC_OK, &err,
              "read");
    is_str(seen.text, "interest=cats*1 language=de*3 ", "counts are added up");
    is_double(seen.weight, 1.75, 1e-9, "weights too");
    is_int(seen.last_seen_us, T0 + 5, "the latest time is kept");
}

struct text_seen {
    int count;
    char text[1024];
};

static inline bool see_agent(void *context, const struct mc_agent_row *a)
{
    struct text_seen *seen = context;
    size_t at = strlen(seen->text);
    snprintf(seen->text + at, sizeof(seen->text) - at, "%.*s:%.*s:%.*s:%d%d%d ",
             MC_STR_ARG(a->agent_id), MC_STR_ARG(a->name), MC_STR_ARG(a->sharing_groups),
             (int)a->default_visibility, a->can_read_public, a->can_write_public);
    seen->count++;
    return true;
}

static inline bool see_count(void *context, mc_str name, int64_t count)
{
    struct text_seen *seen = context;
    size_t at = strlen(seen->text);
    snprintf(seen->text + at, sizeof(seen->text) - at, "%.*s=%d ", MC_STR_ARG(name), (int)count);
    return true;
}

static inline void agents(struct mc_store *store)
{
    struct mc_error err = {0};
    struct mc_agent_row b = {.agent_id = MC_STR("b"),
                             .name = MC_STR("Bee"),
                             .sharing_groups = MC_STR("[\"g\"]"),
                             .can_read_public = true,
                             .default_visibility = MC_VISIBILITY_SHARED,
                             .created_at_us = T0};
    struct mc_agent_row a = {
        .agent_id = MC_STR("a"), .name = MC_STR("Ay"), .can_write_public = true};
    is_status(store->ops->put_agent(store, &b, &err), MC_OK, &err, "register");
    is_status(store->ops->put_agent(store, &a, &err), MC_OK, &err, "another");
    b.name = MC_STR("Bea");
    is_status(store->ops->put_agent(store, &b, &err), MC_OK, &err, "again, with another name");
    struct text_seen seen = {0};
    is_status(store->ops->agents(store, see_agent, &seen, &err), MC_OK, &err, "list");
    is_str(seen.text, "a:Ay:[]:001 b:Bea:[\"g\"]:110 ", "in order of their ids");
    is_status(store->ops->remove_agent(store, MC_STR("a"), &err), MC_OK, &err, "remove");
    is_status(store->ops->remove_agent(store, MC_STR("a"), &err), MC_NOT_FOUND, &err, "once only");

    store_one(store, agent_message("u", "t", "m1", "x", "a", MC_VISIBILITY_PUBLIC));
    store_one(store, agent_message("u", "t", "m2", "x", "a", MC_VISIBILITY_PRIVATE));
    store_one(store, agent_message("u", "t", "m3", "x", "", MC_VISIBILITY_PRIVATE));
    struct text_seen counts = {0};
    is_status(store->ops->agent_counts(store, see_count, see_count, &counts, &err), MC_OK, &err,
              "counts");
    is_str(counts.text, "=1 a=2 private=2 shared=0 public=1 ", "by agent, then by visibility");
}

static inline bool see_key(void *context, const struct mc_key_row *key)
{
    struct text_seen *seen = context;
    size_t at = strlen(seen->text);
    snprintf(seen->text + at, sizeof(seen->text) - at, "%.*s:%.*s:%.*s:%d ",
             MC_STR_ARG(key->key_id), MC_STR_ARG(key->hash), MC_STR_ARG(key->definition),
             (int)(key->created_at_us - T0));
    return true;
}

static inline void keys(struct mc_store *store)
{
    struct mc_error err = {0};
    struct mc_key_row b = {.key_id = MC_STR("b"),
                           .hash = MC_STR("00ff"),
                           .definition = MC_STR("{\"n\": \"\xc3\xbc\"}"),
                           .created_at_us = T0 + 1};
    struct mc_key_row a = {.key_id = MC_STR("a"),
                           .hash = MC_STR("aa"),
                           .definition = MC_STR("{}"),
                           .created_at_us = T0 + 2};
    is_status(store->ops->put_key(store, &a, &err), MC_OK, &err, "store a key");
    is_status(store->ops->put_key(store, &b, &err), MC_OK, &err, "an older one");
    is_status(store->ops->put_key(store, &b, &err), MC_CONFLICT, &err, "once only");
    struct text_seen seen = {0};
    is_status(store->ops->keys(store, see_key, &seen, &err), MC_OK, &err, "list");
    is_str(seen.text, "b:00ff:{\"n\": \"\xc3\xbc\"}:1 a:aa:{}:2 ",
           "the oldest first, as they were");
    is_status(store->ops->remove_key(store, MC_STR("b"), &err), MC_OK, &err, "remove");
    is_status(store->ops->remove_key(store, MC_STR("b"), &err), MC_NOT_FOUND, &err, "once only");
    seen = (struct text_seen){0};
    is_status(store->ops->keys(store, see_key, &seen, &err), MC_OK, &err, "list");
    is_str(seen.text, "a:aa:{}:2 ", "the other is left");
}

/* ---- Summaries ---- */

static inline bool see_summary(void *context, const struct mc_summary *s)
{
    struct text_seen *seen = context;
    size_t at = strlen(seen->text);
    snprintf(seen->text + at, sizeof(seen->text) - at, "%.*s/%.*s:%.*s:%d ", MC_STR_ARG(s->user_id),
             MC_STR_ARG(s->thread_id), MC_STR_ARG(s->text), (int)s->messages);
    return true;
}

static inline const char *summaries_for(struct mc_store *store, const char *user, size_t limit,
                                        const struct mc_reader *reader)
{
    static struct text_seen seen;
    seen = (struct text_seen){0};
    struct mc_error err = {0};
    enum mc_status status =
        store->ops->summaries(store, mc_str_of(user), reader, limit, see_summary, &seen, &err);
    return status == MC_OK ? seen.text : mc_status_name(status);
}

static inline const char *unsummarised_of(struct mc_store *store, const char *user,
                                          int64_t messages, int64_t before_us)
{
    static struct text_seen seen;
    seen = (struct text_seen){0};
    struct mc_error err = {0};
    enum mc_status status = store->ops->unsummarised(store, mc_str_of(user), messages, before_us,
                                                     10, see_summary, &seen, &err);
    return status == MC_OK ? seen.text : mc_status_name(status);
}

static inline struct mc_summary summary_of(const char *thread, const char *text, int64_t last,
                                           int64_t created)
{
    return (struct mc_summary){.user_id = MC_STR("u"),
                               .thread_id = mc_str_of(thread),
                               .text = mc_str_of(text),
                               .method = MC_STR("extractive"),
                               .first_us = T0,
                               .last_us = T0 + last,
                               .messages = 2,
                               .created_at_us = T0 + created,
                               .thread_version = INT64_MAX};
}

static inline void summaries(struct mc_store *store)
{
    struct mc_error err = {0};
    const char *ids[] = {"m1", "m2", "m3"};
    for (int i = 0; i < 3; i++)
        store_one(store, message("u", "t", ids[i], "x", i));
    store_one(store, message("u2", "t", "n", "x", 0));
    is_str(unsummarised_of(store, NULL, 2, 0), "u/t::3 ", "more than two messages");
    is_str(unsummarised_of(store, NULL, 3, 0), "", "not more than three");
    is_str(unsummarised_of(store, "u", 9, T0 + 3), "u/t::3 ", "older than a time");
    is_str(unsummarised_of(store, "u", 9, T0 + 2), "", "not older");
    struct mc_summary s = summary_of("t", "sum", 1, 100);
    is_status(store->ops->put_summary(store, &s, &err), MC_OK, &err, "a summary of the first two");
    is_str(unsummarised_of(store, "u", 0, 0), "u/t::1 ", "one message is new since");
    s = summary_of("t", "sum 2", 2, 200);
    is_status(store->ops->put_summary(store, &s, &err), MC_OK, &err, "and of the third");
    is_str(unsummarised_of(store, "u", 0, INT64_MAX), "", "nothing is new");
    is_str(summaries_for(store, "u", 10, &everything), "u/t:sum 2:2 u/t:sum:2 ", "newest first");
    is_str(summaries_for(store, "u", 1, &everything), "u/t:sum 2:2 ", "up to the limit");
    is_str(summaries_for(store, "u2", 10, &everything), "", "not those of others");
    s = summary_of("nowhere", "x", 2, 200);
    is_status(store->ops->put_summary(store, &s, &err), MC_NOT_FOUND, &err,
              "a summary needs its thread");
}

static inline void summary_access(struct mc_store *store)
{
    struct mc_error err = {0};
    const struct mc_reader a = {.agent_id = MC_STR("a"), .read_public = true},
                           b = {.agent_id = MC_STR("b")};
    store_one(store, agent_message("u", "mixed", "m1", "x", "a", MC_VISIBILITY_PRIVATE));
    store_one(store, agent_message("u", "mixed", "m2", "x", "b", MC_VISIBILITY_PUBLIC));
    store_one(store, agent_message("u", "own", "m3", "x", "b", MC_VISIBILITY_PRIVATE));
    struct mc_summary mixed = summary_of("mixed", "mixed", 0, 1),
                      own = summary_of("own", "own", 0, 2);
    is_status(store->ops->put_summary(store, &mixed, &err), MC_OK, &err,
              "of a thread of two agents");
    is_status(store->ops->put_summary(store, &own, &err), MC_OK, &err, "of one agent's thread");
    is_str(summaries_for(store, "u", 9, &a), "u/mixed:mixed:2 ",
           "a may read all of the mixed thread");
    is_str(summaries_for(store, "u", 9, &b), "u/own:own:2 ", "b may not");
    is_str(summaries_for(store, "u", 9, &anonymous), "", "a stranger sees none");
    struct mc_record *removed = NULL;
    int64_t version;
    is_status(store->ops->remove(store, MC_STR("m1"), &everything, &removed, &version, &err), MC_OK,
              &err, "the private message goes");
    mc_record_unref(removed);
    is_str(summaries_for(store, "u", 9, &b), "u/own:own:2 ", "its summary is not opened by that");
    is_str(summaries_for(store, "u", 9, &everything), "u/own:own:2 ", "it went with the message");
}

static inline void remove_one(struct mc_store *store, const char *id)
{
    struct mc_error err = {0};
    struct mc_record *removed = NULL;
    int64_t version;
    is_status(store->ops->remove(store, mc_str_of(id), &everything, &removed, &version, &err),
              MC_OK, &err, "%s is removed", id);
    mc_record_unref(removed);
}

/* What is removed by request is in no summary any more, nor does a late one bring it back. */
static inline void summary_withdrawn(struct mc_store *store)
{
    struct mc_error err = {0};
    const char *ids[] = {"m0", "m1", "m2", "m3"};
    for (int i = 0; i < 4; i++)
        store_one(store, message("u", "t", ids[i], "x", i));
    store_one(store, message("u", "t2", "n", "x", 0));
    struct mc_summary first = summary_of("t", "first", 1, 1),
                      second = summary_of("t", "second", 3, 2),
                      other = summary_of("t2", "other", 3, 3);
    second.first_us = T0 + 2;
    is_status(store->ops->put_summary(store, &first, &err), MC_OK, &err, "of m0 and m1");
    is_status(store->ops->put_summary(store, &second, &err), MC_OK, &err, "of m2 and m3");
    is_status(store->ops->put_summary(store, &other, &err), MC_OK, &err, "of another thread");
    is_str(unsummarised_of(store, "u", 0, 0), "", "nothing is due");
    struct mc_thread_state before;
    is_status(store->ops->thread(store, MC_STR("u"), MC_STR("t"), &before, &err), MC_OK, &err,
              "the version before");
    remove_one(store, "m3");
    is_str(summaries_for(store, "u", 9, &everything), "u/t2:other:2 u/t:first:2 ",
           "the summary that covers it goes, others stay");
    is_str(unsummarised_of(store, "u", 0, 0), "u/t::1 ", "its other message is due again");
    second.last_us = T0 + 2;
    second.thread_version = before.version;
    is_status(store->ops->put_summary(store, &second, &err), MC_CONFLICT, &err,
              "a summary that was made before is refused");
    second.thread_version = before.version + 1;
    is_status(store->ops->put_summary(store, &second, &err), MC_OK, &err, "one made after is not");
    remove_one(store, "m0");
    is_str(summaries_for(store, "u", 9, &everything), "u/t2:other:2 u/t:second:2 ",
           "the older one goes alone");
    remove_one(store, "m2");
    is_str(unsummarised_of(store, "u", 0, 0), "u/t::1 ", "without any the whole thread is due");
    struct mc_erased erased;
    is_status(store->ops->erase(store, MC_STR("u"), &erased, &err), MC_OK, &err, "erased");
    store_one(store, message("u", "t", "again", "x", 0));
    second.thread_version = before.version + 3;
    is_status(store->ops->put_summary(store, &second, &err), MC_CONFLICT, &err,
              "the thread begun again takes no summary of the one before");
}

/* ---- Tiers ---- */

#define DAY (INT64_C(86400) * SECOND)

static inline int tier_of(struct mc_store *store, const char *id)
{
    struct mc_record *record = scratch_get(store, id);
    int tier = record ? (int)record->m.tier : -1;
    mc_record_unref(record);
    return tier;
}

static inline int64_t generation_of(struct mc_store *store)
{
    struct mc_error err = {0};
    int64_t generation = 0;
    is_status(store->ops->generation(store, &generation, &err), MC_OK, &err, "the generation");
    return generation;
}

static inline void tiers(struct mc_store *store)
{
    struct mc_error err = {0};
    const struct {
        const char *id;
        int days;
        double importance;
        const char *metadata;
        int tier; /* afterwards; -1: deleted */
    } rows[] = {
        {"new", 0, 0.5, "{}", MC_TIER_SHORT},
        {"mid", 5, 0.5, "{}", MC_TIER_MID},
        {"mid-kept", 45, 0.9, "{}", MC_TIER_MID},
        {"long", 45, 0.5, "{}", MC_TIER_LONG},
        {"archive", 400, 0.5, "{}", MC_TIER_ARCHIVE},
        {"gone", 800, 0.5, "{}", -1},
        {"chatter", 10, 0.1, "{\"method\":\"trivial\"}", -1},
        {"fresh-chatter", 3, 0.1, "{\"method\":\"trivial\"}", MC_TIER_MID},
    };
    /* Far ahead: what decides about deletions is then created_at, not when it was stored. */
    int64_t now = T0 + 30000 * DAY, clock = due_time();
    for (size_t i = 0; i < mc_countof(rows); i++) {
        struct mc_put put = message("u", "t", rows[i].id, "cat", 0);
        put.message.created_at_us = now - rows[i].days * DAY - 1;
        int64_t row = store_one(store, put);
        mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
        claim_into(store, "w", MC_STAGE_FIRST, clock, 1, &jobs);
        struct mc_completion done = {.row = row,
                                     .metadata = mc_str_of(rows[i].metadata),
                                     .terms = MC_STR("cat"),
                                     .importance = rows[i].importance,
                                     .state = MC_ENRICHMENT_ENRICHED};
        is_status(store->ops->complete(store, MC_STR("w"), &done, 1, &err), MC_OK, &err,
                  "enrich %s", rows[i].id);
    }
    struct mc_tier_rule rule = {.now_us = now,
                                .short_us = DAY,
                                .mid_us = 30 * DAY,
                                .long_us = 365 * DAY,
                                .trivial_delete_us = 7 * DAY,
                                .archive_delete_us = 730 * DAY,
                                .keep_importance = 0.8,
                                .batch = 2,
                                .dry_run = true};
    struct mc_tier_step step = {0};
    is_status(store->ops->migrate(store, &rule, &step, &err), MC_OK, &err, "dry run");
    int dry_moved = (int)step.moved, dry_deleted = (int)step.deleted;
    ok(!step.more, "a dry run is one step");
    is_int(tier_of(store, "mid"), MC_TIER_SHORT, "which changes nothing");
    rule.dry_run = false;
    rule.user_id = MC_STR("nobody");
    is_status(store->ops->migrate(store, &rule, &step, &err), MC_OK, &err, "of an unknown user");
    ok(step.moved == 0 && step.deleted == 0 && !step.more, "nothing");
    rule.user_id = MC_STR("u");
    int moved = 0, deleted = 0, steps = 0;
    do {
        is_status(store->ops->migrate(store, &rule, &step, &err), MC_OK, &err, "step %d", ++steps);
        ok(step.moved + step.deleted <= 2, "a step is bounded");
        moved += (int)step.moved;
        deleted += (int)step.deleted;
    } while (step.more && steps < 20);
    is_int(moved, dry_moved, "as many moved as the dry run said");
    is_int(deleted, dry_deleted, "as many deleted");
    is_int(deleted, 2, "two deleted");
    for (size_t i = 0; i < mc_countof(rows); i++)
        is_int(tier_of(store, rows[i].id), rows[i].tier, "tier of %s", rows[i].id);
    const mc_str cat[] = {MC_STR("cat")};
    struct mc_match_query query = query_of("u", cat, 1);
    is_str(match_ids(store, &query), "fresh-chatter archive long mid-kept mid new",
           "the index has what is left");
    struct mc_store_stats stats = {0};
    is_status(store->ops->stats(store, &stats, &err), MC_OK, &err, "stats");
    is_int(stats.messages, 6, "six messages");
    is_int(stats.by_tier[MC_TIER_MID], 3, "three of them in the middle");
    rule.batch = 0;
    is_status(store->ops->migrate(store, &rule, &step, &err), MC_INVALID, &err, "no batch");
}

/* ---- Erasure, export, upkeep ---- */

static inline bool see_name(void *context, mc_str name)
{
    struct text_seen *seen = context;
    size_t at = strlen(seen->text);
    snprintf(seen->text + at, sizeof(seen->text) - at, "%.*s ", MC_STR_ARG(name));
    seen->count++;
    return true;
}

static inline void check_is_clean(struct mc_store *store, const char *when)
{
    struct text_seen seen = {0};
    struct mc_error err = {0};
    is_status(store->ops->check(store, see_name, &seen, &err), MC_OK, &err, "check %s", when);
    is_str(seen.text, "", "finds nothing");
}

static inline void erasure(struct mc_store *store)
{
    struct mc_error err = {0};
    struct mc_put items[500];
    char ids[500][16];
    for (int i = 0; i < 500; i++) {
        snprintf(ids[i], sizeof(ids[i]), "m%d", i);
        items[i] = message("gone", i % 2 ? "t1" : "t2", ids[i], "cat", i);
    }
    is_status(store->ops->put(store, items, 500, &err), MC_OK, &err, "500 messages");
    put_records_fini(items, 500);
    index_all(store);
    store_one(store, message("gone", "t3", "waiting", "cat", 0));
    store_one(store, message("stays", "t1", "other", "cat", 0));
    const struct mc_signal signal = {MC_STR("f"), MC_STR("v"), 1, T0, 1};
    struct mc_summary summary = summary_of("t1", "x", 0, 0);
    summary.user_id = MC_STR("gone");
    is_status(
        store->ops->set_preferences(store, MC_STR("gone"), MC_STR(""), MC_STR("{}"), false, &err),
        MC_OK, &err, "preferences");
    is_status(store->ops->add_signals(store, MC_STR("gone"), &signal, 1, &err), MC_OK, &err,
              "signal");
    is_status(store->ops->put_summary(store, &summary, &err), MC_OK, &err, "summary");

    struct mc_erased erased = {0};
    int64_t before = generation_of(store);
    ok(before != 0 && generation_of(store) == before, "the generation stays");
    is_status(store->ops->erase(store, MC_STR("gone"), &erased, &err), MC_OK, &err, "erase");
    ok(generation_of(store) != before, "until a user is erased");
    is_int(erased.messages, 501, "all messages");
    is_int(erased.threads, 3, "all threads");
    is_int(erased.jobs, 1, "the job that waited");
    ok(erased.summaries == 1 && erased.preferences == 1 && erased.signals == 1, "and the rest");
    ok(erased.verified, "which was verified");
    is_int(store->ops->wipe(store), !erased_bytes_stay,
           "and it says whether bytes are left in the file");
    const mc_str cat[] = {MC_STR("cat")};
    struct mc_match_query query = query_of("gone", cat, 1);
    is_str(match_ids(store, &query), "", "nothing is found any more");
    query = query_of("stays", cat, 1);
    is_str(match_ids(store, &query), "other", "others are untouched");
    ok(scratch_get(store, "m7") == NULL, "a message is gone");
    struct text_seen users = {0};
    is_status(store->ops->users(store, see_name, &users, &err), MC_OK, &err, "users");
    is_str(users.text, "stays ", "one is left");
    is_status(store->ops->erase(store, MC_STR("gone"), &erased, &err), MC_OK, &err, "again");
    ok(erased.messages == 0 && erased.verified, "is nothing");
    check_is_clean(store, "after erasure");

    struct mc_thread_state state;
    struct mc_put put = message("gone", "t1", "m1", "new", 0);
    scratch_store_put(store, &put);
    is_status(store->ops->thread(store, MC_STR("gone"), MC_STR("t1"), &state, &err), MC_OK, &err,
              "the thread, begun again");
    is_int(state.messages, 1, "has one message");
    ok(state.version > 1000, "and no version that it had before");
}

struct exported {
    struct mc_store *store;
    int count;
    int64_t last_us;
    bool ordered;
    int stop_after;
};

static inline bool see_record(void *context, struct mc_record *record)
{
    struct exported *seen = context;
    seen->ordered = seen->ordered && record->m.created_at_us >= seen->last_us;
    seen->last_us = record->m.created_at_us;
    mc_record_unref(scratch_get(seen->store, "m1")); /* the store can be used meanwhile */
    return ++seen->count != seen->stop_after;
}

static inline void export_pages(struct mc_store *store)
{
    struct mc_error err = {0};
    struct mc_put items[600];
    char ids[600][16];
    for (int i = 0; i < 600; i++) {
        snprintf(ids[i], sizeof(ids[i]), "m%d", i);
        items[i] = message("u", i % 3 ? "t1" : "t2", ids[i], "x", (i * 7919) % 600);
        items[i].message.agent_id = i % 2 ? MC_STR("a") : MC_STR("");
    }
    is_status(store->ops->put(store, items, 600, &err), MC_OK, &err, "600 messages");
    put_records_fini(items, 600);
    store_one(store, message("v", "t1", "n", "x", 0));
    struct exported seen = {.store = store, .ordered = true};
    is_status(store->ops->export_user(store, MC_STR("u"), &everything, see_record, &seen, &err),
              MC_OK, &err, "export");
    is_int(seen.count, 600, "all of the user");
    ok(seen.ordered, "oldest first");
    seen = (struct exported){.store = store, .ordered = true};
    is_status(store->ops->export_user(store, MC_STR("u"), &anonymous, see_record, &seen, &err),
              MC_OK, &err, "export for a stranger");
    is_int(seen.count, 300, "only what it may read");
    seen = (struct exported){.store = store, .stop_after = 300};
    is_status(store->ops->export_user(store, MC_STR("u"), &everything, see_record, &seen, &err),
              MC_CANCELLED, &err, "stopped");
    is_int(seen.count, 300, "at once");
}

static inline bool see_listed(void *context, const struct mc_listed *listed)
{
    struct text_seen *seen = context;
    size_t at = strlen(seen->text);
    snprintf(seen->text + at, sizeof(seen->text) - at, "%.*s:%d/%d@%d ", MC_STR_ARG(listed->id),
             (int)listed->messages, (int)listed->threads, (int)(listed->last_us % 1000));
    return ++seen->count < 3;
}

static inline const char *list_users(struct mc_store *store, const char *prefix, const char *after,
                                     size_t limit)
{
    static struct text_seen seen;
    struct mc_error err = {0};
    seen = (struct text_seen){0};
    is_status(store->ops->list_users(store, mc_str_of(prefix), mc_str_of(after), limit, see_listed,
                                     &seen, &err),
              MC_OK, &err, "users");
    return seen.text;
}

static inline const char *list_threads(struct mc_store *store, const char *user, const char *after,
                                       size_t limit)
{
    static struct text_seen seen;
    struct mc_error err = {0};
    seen = (struct text_seen){0};
    is_status(store->ops->list_threads(store, mc_str_of(user), mc_str_of(after), limit, see_listed,
                                       &seen, &err),
              MC_OK, &err, "threads");
    return seen.text;
}

static inline void listing(struct mc_store *store)
{
    struct mc_error err = {0};
    is_str(list_users(store, "", "", 10), "", "an empty store has no users");
    is_str(list_threads(store, "nobody", "", 10), "", "nor has an unknown user threads");
    store_one(store, message("b", "t1", "m1", "x", 1));
    store_one(store, message("b", "t1", "m2", "x", 5));
    store_one(store, message("b", "t2", "m3", "x", 9));
    store_one(store, message("b", "t3", "m4", "x", 5));
    store_one(store, message("B", "t1", "m5", "x", 2));
    store_one(store, message("ba.r", "t1", "m6", "x", 3));
    store_one(store, message("bz", "t1", "m7", "x", 4));
    store_one(store, message("c", "t1", "m8", "x", 4));
    is_str(list_users(store, "", "", 2), "B:1/1@2 b:4/3@9 ", "a page, in the order of the bytes");
    is_str(list_users(store, "", "b", 2), "ba.r:1/1@3 bz:1/1@4 ", "the next one");
    is_str(list_users(store, "", "bz", 2), "c:1/1@4 ", "the last one");
    is_str(list_users(store, "b", "", 10), "b:4/3@9 ba.r:1/1@3 bz:1/1@4 ", "that begin so");
    is_str(list_users(store, "b", "ba.r", 10), "bz:1/1@4 ", "and come behind");
    is_str(list_users(store, "ba", "c", 10), "", "nothing comes behind");
    is_str(list_users(store, "", "", 10), "B:1/1@2 b:4/3@9 ba.r:1/1@3 ", "until the caller stops");
    is_str(list_threads(store, "b", "", 2), "t2:1/1@9 t3:1/1@5 ", "the newest threads first");
    is_str(list_threads(store, "b", "t3", 2), "t1:2/1@5 ", "then those behind");
    is_str(list_threads(store, "b", "t1", 2), "", "then none");
    is_str(list_threads(store, "b", "gone", 2), "", "nothing is behind a thread that is not there");
    struct mc_record *removed = NULL;
    int64_t version;
    is_status(store->ops->remove(store, MC_STR("m8"), &everything, &removed, &version, &err), MC_OK,
              &err, "the only message of a user is removed");
    mc_record_unref(removed);
    is_str(list_users(store, "c", "", 10), "", "who is not listed any more");
    is_str(list_threads(store, "c", "", 10), "", "nor is the thread");
}

static inline void upkeep(struct mc_store *store)
{
    struct mc_error err = {0};
    is_status(store->ops->ping(store, &err), MC_OK, &err, "ping");
    store_one(store, message("u", "t", "m1", "cat", 0));
    store_one(store, message("u", "t", "m2", "dog", 0));
    index_all(store);
    store_one(store, message("v", "t", "m3", "cat", 0));
    struct mc_store_stats stats = {0};
    is_status(store->ops->stats(store, &stats, &err), MC_OK, &err, "stats");
    ok(stats.users == 2 && stats.threads == 2 && stats.messages == 3, "users, threads, messages");
    is_int(stats.by_state[MC_ENRICHMENT_PENDING], 1, "one pending");
    is_int(stats.by_state[MC_ENRICHMENT_ENRICHED], 2, "two enriched");
    is_int(stats.by_tier[MC_TIER_SHORT], 3, "all in the first tier");
    ok(stats.bytes > 0 && stats.schema_version > 0, "size and version");
    is_str(stats.missing_indexes, "", "no index is missing");
    struct mc_store_room room = {0};
    is_status(store->ops->room(store, &room, &err), MC_OK, &err, "room");
    ok(room.bytes >= stats.bytes / 2, "what it occupies: %lld", (long long)room.bytes);
    ok((room.disk_bytes == -1 && room.free_bytes == -1) ||
           (room.disk_bytes > room.bytes && room.free_bytes >= 0 &&
            room.free_bytes <= room.disk_bytes),
       "the disk: %lld of %lld are free", (long long)room.free_bytes, (long long)room.disk_bytes);
    check_is_clean(store, "of a healthy store");
}

#define STORE_MEMORY_CASES                                                                         \
    {"preferences", preferences}, {"signals", signals}, {"agents", agents}, {"keys", keys},        \
        {"summaries", summaries}, {"who reads summaries", summary_access},                         \
        {"summaries and removed messages", summary_withdrawn}, {"tiers", tiers},                   \
        {"erasure", erasure}, {"export", export_pages}, {"listing", listing}, {"upkeep", upkeep},
