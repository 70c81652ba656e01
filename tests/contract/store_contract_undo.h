/* The contract of a store: taking back a tier migration. */
#ifndef MC_TESTS_STORE_CONTRACT_UNDO_H
#define MC_TESTS_STORE_CONTRACT_UNDO_H

#include "store_contract_archive.h"

#define UNDO_MESSAGES 120

/* Messages as they are, to be compared with later; NULL: it is not there. */
struct state_of_all {
    struct mc_record *records[UNDO_MESSAGES + 1];
};

static inline void keep_state(struct mc_store *store, struct state_of_all *state)
{
    for (int n = 1; n <= UNDO_MESSAGES; n++) {
        char id[16];
        struct mc_error err = {0};
        state->records[n] = NULL;
        snprintf(id, sizeof(id), "m%d", n);
        enum mc_status status =
            store->ops->get(store, mc_str_of(id), &everything, &state->records[n], &err);
        if (status != MC_OK && status != MC_NOT_FOUND)
            bail_out("get %s: %s", id, err.message);
    }
}

static inline void state_fini(struct state_of_all *state)
{
    for (int n = 1; n <= UNDO_MESSAGES; n++)
        mc_record_unref(state->records[n]);
}

static inline bool same_record(const struct mc_record *a, const struct mc_record *b)
{
    if (!a || !b)
        return a == b;
    const struct mc_message *x = &a->m, *y = &b->m;
    return a->row == b->row && mc_str_equal(x->user_id, y->user_id) &&
           mc_str_equal(x->thread_id, y->thread_id) && mc_str_equal(x->session_id, y->session_id) &&
           mc_str_equal(x->agent_id, y->agent_id) && mc_str_equal(x->text, y->text) &&
           mc_str_equal(x->metadata, y->metadata) && x->role == y->role &&
           x->visibility == y->visibility && x->tier == y->tier && x->importance == y->importance &&
           x->enrichment_state == y->enrichment_state && x->created_at_us == y->created_at_us &&
           x->sharing_group_count == y->sharing_group_count;
}

/* How many messages are not as they were. */
static inline int differing(struct mc_store *store, const struct state_of_all *before)
{
    struct state_of_all now;
    int count = 0;
    keep_state(store, &now);
    for (int n = 1; n <= UNDO_MESSAGES; n++)
        count += !same_record(before->records[n], now.records[n]);
    state_fini(&now);
    return count;
}

static inline int64_t begin_run(struct mc_store *store, int64_t now_us)
{
    struct mc_error err = {0};
    int64_t run = 0;
    if (store->ops->begin_run(store, MC_STR_NONE, now_us, &run, &err) != MC_OK || run <= 0)
        bail_out("begin_run: %s", err.message);
    return run;
}

static inline void end_run(struct mc_store *store, int64_t run)
{
    struct mc_error err = {0};
    if (store->ops->end_run(store, run, T0 + 5 * MINUTE, &err) != MC_OK)
        bail_out("end_run: %s", err.message);
}

/* Old enough for whatever there is; deletes the archive when it is to. */
static inline struct mc_tier_rule undo_rule(int64_t run, bool deletes)
{
    struct mc_tier_rule rule = archive_rule(25);
    rule.run = run;
    rule.now_us = mc_time_now_us() + 1000 * MINUTE;
    rule.archive_delete_us = deletes ? SECOND : 0;
    return rule;
}

static inline struct mc_tier_step migrate_all(struct mc_store *store, int64_t run, bool deletes)
{
    struct mc_tier_rule rule = undo_rule(run, deletes);
    struct mc_tier_step step = {.more = true}, sum = {0};
    struct mc_error err = {0};
    while (step.more || step.moved > 0) {
        if (store->ops->migrate(store, &rule, &step, &err) != MC_OK)
            bail_out("migrate: %s", err.message);
        sum.moved += step.moved;
        sum.deleted += step.deleted;
        sum.bytes_deleted += step.bytes_deleted;
    }
    return sum;
}

static inline int64_t pack_all(struct mc_store *store, int64_t run)
{
    struct mc_tier_rule rule = undo_rule(run, false);
    struct mc_pack_step step = {.more = true};
    struct mc_error err = {0};
    int64_t packed = 0;
    if (store->ops->train(store, T0, &err) != MC_OK)
        bail_out("train: %s", err.message);
    while (step.more) {
        if (store->ops->pack(store, &rule, &step, &err) != MC_OK)
            bail_out("pack: %s", err.message);
        packed += step.packed;
    }
    return packed;
}

/* Takes runs back; begins anew with each step when it is to, as after a kill. */
static inline struct mc_undo_step undo_all(struct mc_store *store, int64_t first, bool forgetful)
{
    struct mc_undo undo = {.first = first, .now_us = mc_time_now_us(), .batch = 10};
    struct mc_undo_step step = {.more = true}, sum = {0};
    struct mc_error err = {0};
    if (store->ops->begin_undo(store, first, &undo.last, &err) != MC_OK)
        bail_out("begin_undo: %s", err.message);
    for (int steps = 0; step.more;) {
        if (store->ops->undo(store, &undo, &step, &err) != MC_OK)
            bail_out("undo: %s", err.message);
        if (step.restored + step.skipped + step.moved + step.unpacked > 2 * 10)
            bail_out("a step of too many messages");
        if (step.restored + step.skipped + step.moved + step.unpacked == 0)
            continue;
        if (forgetful && ++steps % 3 == 0)
            undo.shard = undo.after = 0;
        sum.restored += step.restored;
        sum.skipped += step.skipped;
        sum.moved += step.moved;
        sum.unpacked += step.unpacked;
    }
    return sum;
}

struct runs_seen {
    char text[512];
    size_t len;
};

static inline bool see_run(void *context, const struct mc_tier_run *run)
{
    struct runs_seen *seen = context;
    seen->len += (size_t)snprintf(seen->text + seen->len, sizeof(seen->text) - seen->len,
                                  "%s%d moved, %d deleted, %d packed%s%s", seen->len ? "; " : "",
                                  (int)run->moved, (int)run->deleted, (int)run->packed,
                                  run->ended_us ? ", ended" : "", run->undoing ? ", undoing" : "");
    return true;
}

static inline const char *runs_of(struct mc_store *store)
{
    static struct runs_seen seen;
    struct mc_error err = {0};
    seen = (struct runs_seen){{0}, 0};
    if (store->ops->runs(store, see_run, &seen, &err) != MC_OK)
        bail_out("runs: %s", err.message);
    return seen.text;
}

static inline int64_t stored_messages(struct mc_store *store)
{
    struct mc_store_stats stats = {0};
    struct mc_error err = {0};
    is_status(store->ops->stats(store, &stats, &err), MC_OK, &err, "stats");
    return stats.messages;
}

static inline void undo_whole(struct mc_store *store)
{
    struct state_of_all before;
    archive_fill(store, 1, UNDO_MESSAGES);
    keep_state(store, &before);
    int64_t first = begin_run(store, T0);
    struct mc_tier_step step = migrate_all(store, first, false);
    is_int((int)step.moved, UNDO_MESSAGES, "a run moves all");
    is_int((int)pack_all(store, first), UNDO_MESSAGES, "and compresses all");
    end_run(store, first);
    is_str(archive_match(store, "zebra9"), "", "they are found by their words no more");
    int64_t second = begin_run(store, T0 + MINUTE);
    step = migrate_all(store, second, true);
    is_int((int)step.deleted, UNDO_MESSAGES, "the next one deletes all");
    ok(step.bytes_deleted > UNDO_MESSAGES * 20, "and tells their bytes");
    ok(second > first, "its number is higher");
    end_run(store, second);
    is_int((int)stored_messages(store), 0, "none is left");
    is_str(recent_ids(store, "u1", "t", NULL, 3, &everything), "", "in their threads");
    is_str(runs_of(store),
           "0 moved, 120 deleted, 0 packed, ended; 120 moved, 0 deleted, 120 packed, ended",
           "both runs are listed, the last one first");
    check_is_clean(store, "with the trash");
    struct mc_undo dry = {.first = first, .last = INT64_MAX, .batch = 10, .dry_run = true};
    struct mc_undo_step would = {0};
    struct mc_error err = {0};
    is_status(store->ops->undo(store, &dry, &would, &err), MC_OK, &err, "a dry run");
    is_int((int)would.restored, UNDO_MESSAGES, "counts what would come back");
    ok(!would.more && would.skipped == 0, "in one step");
    struct mc_undo_step undone = undo_all(store, second, false);
    is_int((int)undone.restored, UNDO_MESSAGES, "undoing the second brings all back");
    is_int((int)undone.moved + (int)undone.unpacked, 0, "in the archive, compressed");
    is_int(archive_readable(store, 1, UNDO_MESSAGES), UNDO_MESSAGES, "readable");
    is_str(runs_of(store), "120 moved, 0 deleted, 120 packed, ended", "the first one is left");
    undone = undo_all(store, first, true);
    is_int((int)undone.moved, UNDO_MESSAGES, "undoing it moves all back");
    is_int((int)undone.unpacked, UNDO_MESSAGES, "and unpacks them");
    is_int(differing(store, &before), 0, "they are as they were");
    is_str(archive_match(store, "zebra9"), "m9", "and found by their words");
    is_str(recent_ids(store, "u2", "t", NULL, 3, &anonymous), "m118 m114 m106",
           "by whom they were found before");
    is_str(runs_of(store), "", "there is nothing more to undo");
    struct mc_queue_stats queue = {0};
    is_status(store->ops->queue(store, mc_time_now_us(), &queue, &err), MC_OK, &err, "the queue");
    is_int((int)(queue.ready + queue.leased + queue.dead), 0, "nothing is enriched again");
    check_is_clean(store, "after the undo");
    state_fini(&before);
}

/* What happened to trashed messages meanwhile. */
static inline bool note_run(void *context, const struct mc_tier_run *run)
{
    char(*users)[64] = context;
    size_t at = strlen(*users);
    snprintf(*users + at, sizeof(*users) - at, " %.*s",
             MC_STR_ARG(mc_str_given(run->user_id) ? run->user_id : MC_STR("all")));
    return true;
}

/* A run of the user alone tells of the user, and nothing is left that it could bring back. */
static inline void erased_runs(struct mc_store *store)
{
    struct mc_error err = {0};
    int64_t number;
    const mc_str users[] = {MC_STR("u1"), MC_STR("u2"), MC_STR_NONE};
    archive_fill(store, 1, UNDO_MESSAGES);
    for (size_t i = 0; i < mc_countof(users); i++) {
        struct mc_tier_step step;
        struct mc_tier_rule rule = archive_rule(10000);
        is_status(store->ops->begin_run(store, users[i], T0 + (int64_t)i, &number, &err), MC_OK,
                  &err, "a run");
        rule.user_id = users[i];
        rule.run = number;
        is_status(store->ops->migrate(store, &rule, &step, &err), MC_OK, &err, "does something");
        is_status(store->ops->end_run(store, number, T0 + MINUTE, &err), MC_OK, &err, "and ends");
    }
    struct mc_erased erased = {0};
    is_status(store->ops->erase(store, MC_STR("u2"), &erased, &err), MC_OK, &err, "erase");
    ok(erased.verified, "verified");
    char left[64] = "";
    is_status(store->ops->runs(store, note_run, &left, &err), MC_OK, &err, "runs");
    is_str(left, " all u1", "the user's own run is gone, the others are there");
    is_status(store->ops->begin_run(store, MC_STR("u1"), T0, &number, &err), MC_OK, &err,
              "a run that goes on");
    is_status(store->ops->erase(store, MC_STR("u1"), &erased, &err), MC_OK, &err,
              "when its user is erased");
    struct mc_tier_step step;
    struct mc_tier_rule rule = archive_rule(10000);
    rule.user_id = MC_STR("u1");
    rule.run = number;
    enum mc_status status = store->ops->migrate(store, &rule, &step, &err);
    ok(status == MC_CONFLICT || (!status && step.moved + step.deleted == 0), "does no more");
}

static inline void undo_meanwhile(struct mc_store *store)
{
    struct state_of_all before;
    struct mc_error err = {0};
    archive_fill(store, 1, UNDO_MESSAGES);
    keep_state(store, &before);
    int64_t run = begin_run(store, T0);
    is_int((int)migrate_all(store, run, true).deleted, UNDO_MESSAGES, "a run deletes all");
    struct mc_record *removed = NULL;
    int64_t version = 0;
    is_status(store->ops->remove(store, MC_STR("m10"), &anonymous, &removed, &version, &err),
              MC_NOT_FOUND, &err,
              "who may not read a message deletes it not from the trash either");
    is_status(store->ops->remove(store, MC_STR("m5"), &everything, &removed, &version, &err), MC_OK,
              &err, "one is deleted by request");
    ok(mc_str_equal(removed->m.message_id, MC_STR("m5")) && version > 0, "and handed back");
    mc_record_unref(removed);
    is_status(store->ops->remove(store, MC_STR("m5"), &everything, &removed, &version, &err),
              MC_NOT_FOUND, &err, "once");
    store_one(store, message("u1", "t", "m9", "another text", 9));
    store_one(store, message("u1", "t", "m13", "another text", 13));
    is_status(store->ops->remove(store, MC_STR("m13"), &everything, &removed, &version, &err),
              MC_OK, &err, "an id that was stored again is deleted by request");
    mc_record_unref(removed);
    struct mc_erased erased = {0};
    is_status(store->ops->erase(store, MC_STR("u2"), &erased, &err), MC_OK, &err, "erase");
    is_int((int)erased.messages, 0, "of a user who has nothing but");
    is_int((int)erased.trash, UNDO_MESSAGES / ARCHIVE_USERS, "messages in the trash");
    ok(erased.verified, "verified");
    struct mc_undo_step undone = undo_all(store, run, true);
    is_int((int)undone.restored, 120 - 30 - 3, "all others come back");
    is_int((int)undone.skipped, 1, "but for the one that was stored anew");
    is_int((int)undone.moved, 120 - 30 - 3, "to the tier that they left");
    struct mc_record *record = NULL;
    is_status(store->ops->get(store, MC_STR("m9"), &everything, &record, &err), MC_OK, &err,
              "that");
    ok(record && mc_str_equal(record->m.text, MC_STR("another text")), "is the newer one");
    mc_record_unref(record);
    is_status(store->ops->get(store, MC_STR("m5"), &everything, &record, &err), MC_NOT_FOUND, &err,
              "what was deleted by request stays away");
    is_status(store->ops->get(store, MC_STR("m13"), &everything, &record, &err), MC_NOT_FOUND, &err,
              "also in its older form");
    is_status(store->ops->get(store, MC_STR("m10"), &anonymous, &record, &err), MC_NOT_FOUND, &err,
              "an agent's private message is as private as before");
    is_int(differing(store, &before), 30 + 3, "the rest is as it was");
    check_is_clean(store, "after the undo");
    state_fini(&before);
}

/* One id in the trash twice: the newest content comes back. */
static inline void undo_same_id(struct mc_store *store)
{
    struct mc_error err = {0};
    store_one(store, message("u", "t", "again", "the first text", 0));
    index_all(store);
    int64_t first = begin_run(store, T0);
    migrate_all(store, first, true);
    store_one(store, message("u", "t", "again", "the second text", 0));
    index_all(store);
    migrate_all(store, begin_run(store, T0), true);
    struct mc_undo_step undone = undo_all(store, first, false);
    is_int((int)undone.restored, 1, "one comes back");
    is_int((int)undone.skipped, 1, "the older one does not");
    struct mc_record *record = NULL;
    is_status(store->ops->get(store, MC_STR("again"), &everything, &record, &err), MC_OK, &err,
              "the id");
    ok(record && mc_str_equal(record->m.text, MC_STR("the second text")), "has the newest content");
    mc_record_unref(record);
    check_is_clean(store, "after that");
}

/* Jobs, vectors and counts come back. */
static inline void undo_jobs(struct mc_store *store)
{
    struct mc_error err = {0};
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    int64_t now_us = due_time(), model;
    is_status(store->ops->vector_model(store, MC_STR("model"), 4, &model, &err), MC_OK, &err,
              "a vector model");
    store_one(store, message("u", "t", "enriched", "enriched words", 0));
    index_all(store);
    is_status(store->ops->claim_vectors(store, now_us, MINUTE, 10, &jobs, &err), MC_OK, &err,
              "its vector");
    is_int((int)jobs.count, 1, "is due");
    const struct mc_vector_put vector = {
        .row = jobs.items[0].record->row, .data = {"12345678", 8}, .scale = 1};
    is_status(store->ops->put_vectors(store, model, &vector, 1, &err), MC_OK, &err, "and made");
    mc_jobs_fini(&jobs);
    store_one(store, message("u", "t", "dead", "dead words", 1));
    is_int((int)claim_into(store, "w", MC_STAGE_FIRST, now_us, 1, &jobs), 1, "one fails");
    const struct mc_failure failure = {.row = jobs.items[0].record->row,
                                       .error = MC_STR("the reason"),
                                       .metadata = MC_STR("{\"enrichment_failed\":true}")};
    is_status(store->ops->fail(store, MC_STR("w"), &failure, 1, &err), MC_OK, &err, "for good");
    mc_jobs_fini(&jobs);
    store_one(store, message("u", "t", "waiting", "waiting words", 2));
    int64_t run = begin_run(store, T0);
    is_int((int)migrate_all(store, run, true).deleted, 3, "all are deleted");
    struct mc_queue_stats queue = {0};
    is_status(store->ops->queue(store, now_us, &queue, &err), MC_OK, &err, "the queue");
    is_int((int)(queue.ready + queue.dead), 0, "is empty");
    is_int((int)undo_all(store, run, false).restored, 3, "all come back");
    is_status(store->ops->queue(store, now_us, &queue, &err), MC_OK, &err, "the queue");
    is_int((int)queue.ready, 1, "has the one that waited");
    is_int((int)queue.dead, 1, "and the dead one");
    uint64_t retried = 0;
    is_status(store->ops->retry(store, MC_STR("dead"), now_us, &retried, &err), MC_OK, &err,
              "which can be retried");
    is_int((int)retried, 1, "as before");
    is_status(store->ops->claim_vectors(store, mc_time_now_us() + MINUTE, MINUTE, 10, &jobs, &err),
              MC_OK, &err, "vectors");
    is_int((int)jobs.count, 1, "are made anew, of what was enriched");
    struct mc_thread_state state = {0};
    is_status(store->ops->thread(store, MC_STR("u"), MC_STR("t"), &state, &err), MC_OK, &err,
              "the thread");
    is_int((int)state.messages, 3, "counts them");
    index_all(store);
    const mc_str terms[] = {MC_STR("words")};
    struct mc_match_query query = query_of("u", terms, 1);
    is_str(match_ids(store, &query), "waiting dead enriched", "they are found in their order");
    check_is_clean(store, "after that");
}

static inline void undo_runs(struct mc_store *store)
{
    struct mc_error err = {0};
    int64_t last = 0, removed = 0;
    archive_fill(store, 1, 100);
    int64_t empty = begin_run(store, T0);
    end_run(store, empty);
    is_str(runs_of(store), "", "a run that did nothing is forgotten");
    is_status(store->ops->begin_undo(store, 999, &last, &err), MC_NOT_FOUND, &err,
              "a run that is not there");
    int64_t run = begin_run(store, T0);
    struct mc_tier_rule rule = undo_rule(run, true);
    struct mc_tier_step step = {0};
    is_status(store->ops->migrate(store, &rule, &step, &err), MC_OK, &err, "a step of a run");
    is_status(store->ops->begin_undo(store, run, &last, &err), MC_OK, &err,
              "it is undone meanwhile");
    ok(last == run, "as the last one");
    int64_t another = 0;
    is_status(store->ops->begin_run(store, MC_STR_NONE, T0, &another, &err), MC_CONFLICT, &err,
              "until it is, another does not begin");
    is_status(store->ops->migrate(store, &rule, &step, &err), MC_CONFLICT, &err,
              "then it moves no more");
    struct mc_pack_step packed;
    archive_move(store);
    is_status(store->ops->train(store, T0, &err), MC_OK, &err, "training");
    is_status(store->ops->pack(store, &rule, &packed, &err), MC_CONFLICT, &err,
              "and compresses no more");
    is_str(runs_of(store), "25 moved, 0 deleted, 0 packed, undoing", "it is listed so");
    is_status(store->ops->empty_trash(store, INT64_MAX / 2, 10, &removed, &err), MC_OK, &err,
              "emptying the trash");
    is_str(runs_of(store), "25 moved, 0 deleted, 0 packed, undoing", "leaves it alone");
    undo_all(store, run, false);
    is_str(runs_of(store), "", "until it is undone");

    run = begin_run(store, T0);
    int64_t deleted = migrate_all(store, run, true).deleted;
    ok(deleted == 100, "a run deletes all");
    is_status(store->ops->empty_trash(store, T0, 25, &removed, &err), MC_OK, &err,
              "emptying the trash of older runs");
    is_int((int)removed, 0, "removes nothing");
    for (int i = 0; i < 5; i++) {
        is_status(store->ops->empty_trash(store, T0 + 1, 25, &removed, &err), MC_OK, &err,
                  "of this one");
        is_int((int)removed, i < 4 ? 25 : 0, "a step is bounded");
    }
    is_str(runs_of(store), "", "and with its messages the run is gone");
    struct mc_tier_rule free_rule = undo_rule(0, true);
    store_one(store, message("u", "t", "m1", "text", 0));
    index_all(store);
    is_status(store->ops->migrate(store, &free_rule, &step, &err), MC_OK, &err, "without a run");
    is_status(store->ops->migrate(store, &free_rule, &step, &err), MC_OK, &err, "messages");
    is_int((int)step.deleted, 1, "are deleted at once");
    struct mc_undo dry = {.first = 1, .last = INT64_MAX, .batch = 10, .dry_run = true};
    struct mc_undo_step would = {0};
    is_status(store->ops->undo(store, &dry, &would, &err), MC_OK, &err, "then");
    is_int((int)would.restored, 0, "nothing lies in the trash");
    check_is_clean(store, "at the end");
}

/* A message that was moved by several runs goes back to where the first of them found it. */
static inline void undo_several(struct mc_store *store)
{
    struct mc_error err = {0};
    struct state_of_all before;
    struct mc_tier_step step;
    archive_fill(store, 1, 40);
    keep_state(store, &before);
    int64_t first = 0;
    for (int i = 0; i < 3; i++) {
        int64_t run = begin_run(store, T0 + i);
        struct mc_tier_rule rule = undo_rule(run, false);
        rule.batch = 1000;
        rule.mid_us = i < 1 ? INT64_MAX : SECOND;
        rule.long_us = i < 2 ? INT64_MAX : SECOND;
        is_status(store->ops->migrate(store, &rule, &step, &err), MC_OK, &err, "run %d", i);
        is_int((int)step.moved, 40, "moves all one tier on");
        first = i == 0 ? run : first;
        if (i == 1) {
            struct mc_undo_step undone = undo_all(store, run, false);
            is_int((int)undone.moved, 40, "one is undone");
            run = begin_run(store, T0 + i);
            rule.run = run;
            is_status(store->ops->migrate(store, &rule, &step, &err), MC_OK, &err, "and done");
            is_int((int)step.moved, 40, "again");
        }
    }
    is_int((int)undo_all(store, first, true).moved, 40, "all of them are undone, each once");
    is_int(differing(store, &before), 0, "and are as they were");
    check_is_clean(store, "after that");
    state_fini(&before);
}

/* A message whose compressed form is damaged stays as it is; the others come back. */
static inline void undo_damaged(struct mc_store *store)
{
    archive_fill(store, 1, UNDO_MESSAGES);
    int64_t run = begin_run(store, T0);
    migrate_all(store, run, false);
    is_int((int)pack_all(store, run), UNDO_MESSAGES, "a run compresses all");
    carry_out("UPDATE messages SET packed = 'x' WHERE message_id = 'm7'");
    struct mc_undo_step undone = undo_all(store, run, false);
    is_int((int)undone.unpacked, UNDO_MESSAGES - 1, "but for one that is damaged");
    is_int((int)undone.moved, UNDO_MESSAGES - 1, "all go back");
    is_int((int)undone.skipped, 1, "and that one is told");
    is_str(runs_of(store), "", "there is nothing more to undo");
    struct mc_record *record = NULL;
    struct mc_error err = {0};
    is_status(store->ops->get(store, MC_STR("m7"), &everything, &record, &err), MC_CORRUPT, &err,
              "it is as it was");
    is_int(archive_readable(store, 1, UNDO_MESSAGES), UNDO_MESSAGES - 1, "the others are readable");
}

/* An older version knows no trash: it erases a user without it. */
static inline void undo_of_nobody(struct mc_store *store)
{
    archive_fill(store, 1, UNDO_MESSAGES);
    int64_t run = begin_run(store, T0);
    is_int((int)migrate_all(store, run, true).deleted, UNDO_MESSAGES, "a run deletes all");
    carry_out("DELETE FROM users WHERE user_id = 'u1'");
    struct mc_undo_step undone = undo_all(store, run, true);
    is_int((int)undone.restored, UNDO_MESSAGES - UNDO_MESSAGES / ARCHIVE_USERS,
           "what is of a user comes back");
    is_int((int)undone.skipped, UNDO_MESSAGES / ARCHIVE_USERS, "the rest does not");
    is_str(recent_ids(store, "u1", "t", NULL, 3, &everything), "", "nobody has it");
    is_int((int)stored_messages(store), UNDO_MESSAGES - UNDO_MESSAGES / ARCHIVE_USERS,
           "and it is not stored");
    is_str(runs_of(store), "", "there is nothing more to undo");
}

#define STORE_UNDO_CASES                                                                           \
    {"a migration is undone", undo_whole}, {"what came meanwhile", undo_meanwhile},                \
        {"an id that was deleted twice", undo_same_id}, {"jobs of what comes back", undo_jobs},    \
        {"runs of migration", undo_runs}, {"several runs are undone", undo_several},               \
        {"runs of who is erased", erased_runs}, {"an undo with a damaged message", undo_damaged},  \
        {"an undo of nobody's messages", undo_of_nobody},

#endif
