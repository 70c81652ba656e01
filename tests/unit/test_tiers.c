/* Tier migration over the real store: moves by age and importance, deletions, summaries, dry runs. */
#include "tap.h"

#include <ctype.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/json.h"
#include "base/str.h"
#include "memory/tiers.h"
#include "message/decay.h"
#include "support/fault_store.h"
#include "support/scratch.h"

#define DAY MC_US_PER_DAY
/* The migrations of these tests run in 2079: by then all has been stored long ago. */
#define NOW (INT64_C(40000) * DAY)

static const struct mc_tiers_options DEFAULTS = {
    .short_us = 1 * DAY,
    .mid_us = 30 * DAY,
    .long_us = 365 * DAY,
    .trivial_delete_us = 7 * DAY,
    .archive_delete_us = 730 * DAY,
    .summarize_after_messages = 1000000,
    .summarize_after_us = 100000 * DAY,
    .keep_importance = 0.8,
};

struct fixture {
    struct scratch scratch;
    struct mc_store *inner;
    struct mc_store *store; /* the inner one behind faults */
};

static void set_up(struct fixture *f)
{
    scratch_make(&f->scratch);
    f->inner = scratch_store(&f->scratch, "t.db");
    f->store = mc_fault_store_open(f->inner);
}

static void tear_down(struct fixture *f)
{
    f->store->ops->close(f->store);
    f->inner->ops->close(f->inner);
    scratch_remove(&f->scratch);
}

struct stored {
    const char *id, *user, *thread, *text;
    double age_days, importance;
    bool trivial;
};

/* Stores a message of that age and completes its job with that importance. */
static void store_one(struct fixture *f, const struct stored *s)
{
    struct mc_put put = scratch_put(s->id, s->text ? s->text : "the text of a message");
    put.message.user_id = mc_str_of(s->user ? s->user : "u");
    put.message.thread_id = mc_str_of(s->thread ? s->thread : "t");
    put.message.created_at_us = NOW - (int64_t)(s->age_days * (double)DAY);
    scratch_store_put(f->store, &put);
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    struct mc_error err = {0};
    enum mc_status status = f->store->ops->claim(f->store, MC_STR("test"), MC_STAGE_FIRST,
                                                 mc_time_now_us(), DAY, 10, &jobs, &err);
    if (status || jobs.count != 1)
        bail_out("one job expected, %zu claimed: %s", jobs.count, err.message);
    struct mc_completion done = {
        .row = jobs.items[0].record->row,
        .metadata = s->trivial ? MC_STR("{\"topics\":[\"greeting\"],\"method\":\"trivial\"}")
                               : MC_STR("{\"topics\":[\"orders\"],\"method\":\"builtin\"}"),
        .terms = MC_STR("text messag"),
        .importance = s->importance,
        .state = MC_ENRICHMENT_ENRICHED,
    };
    if (f->store->ops->complete(f->store, MC_STR("test"), &done, 1, &err) || !done.applied)
        bail_out("not completed: %s", err.message);
}

struct result {
    int64_t moved, summarised, deleted;
    size_t errors;
    bool dry_run;
};

static struct result run_at(struct fixture *f, const struct mc_tiers_options *options,
                            int64_t now_us, const char *user, bool dry_run)
{
    mc_auto(mc_buf_fini) struct mc_buf json;
    mc_buf_init(&json, 1 << 20);
    struct mc_error err = {0};
    is_status(
        mc_tiers_run(f->store, options, mc_str_of(user), now_us, dry_run, NULL, NULL, &json, &err),
        MC_OK, &err, "%s", dry_run ? "a dry run" : "a run");
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    if (mc_json_parse(mc_buf_str(&json), &root, &err))
        bail_out("%s", err.message);
    return (struct result){
        .moved = mc_json_integer(mc_json_get(root, "messages_migrated")),
        .summarised = mc_json_integer(mc_json_get(root, "threads_summarized")),
        .deleted = mc_json_integer(mc_json_get(root, "messages_deleted")),
        .errors = mc_json_count(mc_json_get(root, "errors")),
        .dry_run = mc_json_boolean(mc_json_get(root, "dry_run")),
    };
}

static struct result run(struct fixture *f, const struct mc_tiers_options *options,
                         const char *user, bool dry_run)
{
    return run_at(f, options, NOW, user, dry_run);
}

static void counts(struct result r, int64_t moved, int64_t summarised, int64_t deleted,
                   const char *what)
{
    is_int(r.moved, moved, "%s: moved", what);
    is_int(r.summarised, summarised, "%s: summarised", what);
    is_int(r.deleted, deleted, "%s: deleted", what);
    is_int(r.errors, 0, "%s: no errors", what);
}

/* The tier's name, "gone" when the message was deleted. */
static void tier_is(struct fixture *f, const char *id, const char *expected)
{
    struct mc_record *record = scratch_get(f->store, id);
    is_str(record ? mc_tier_name(record->m.tier) : "gone", expected, "%s is %s", id, expected);
    mc_record_unref(record);
}

static const struct {
    struct stored message;
    const char *after;
} AGES[] = {
    {{"new", NULL, NULL, NULL, 0, 0.5, false}, "short"},
    {{"hours", NULL, NULL, NULL, 0.99, 0.5, false}, "short"},
    {{"day", NULL, NULL, NULL, 1.01, 0.5, false}, "mid"},
    {{"day-kept", NULL, NULL, NULL, 1.99, 0.8, false}, "short"},
    {{"two-days-kept", NULL, NULL, NULL, 2.01, 0.8, false}, "mid"},
    {{"day-almost", NULL, NULL, NULL, 1.99, 0.79, false}, "mid"},
    {{"month", NULL, NULL, NULL, 31, 0.5, false}, "long"},
    {{"month-kept", NULL, NULL, NULL, 31, 0.9, false}, "mid"},
    {{"two-months-kept", NULL, NULL, NULL, 61, 0.9, false}, "long"},
    {{"year", NULL, NULL, NULL, 366, 0.5, false}, "archive"},
    {{"year-kept", NULL, NULL, NULL, 366, 0.95, false}, "long"},
    {{"two-years-kept", NULL, NULL, NULL, 729.9, 0.95, false}, "long"},
    {{"almost-two-years", NULL, NULL, NULL, 729, 0.1, false}, "archive"},
    {{"ancient", NULL, NULL, NULL, 731, 0.5, false}, "gone"},
    {{"ancient-kept", NULL, NULL, NULL, 731, 0.95, false}, "gone"},
    {{"hello-new", NULL, NULL, NULL, 6.9, 0.1, true}, "mid"},
    {{"hello-old", NULL, NULL, NULL, 7.1, 0.1, true}, "gone"},
    {{"hello-old-kept", NULL, NULL, NULL, 7.1, 0.9, true}, "gone"},
    {{"hello-ancient", NULL, NULL, NULL, 900, 0.1, true}, "gone"},
};

static void test_ages(struct fixture *f)
{
    int64_t kept = 0;
    for (size_t i = 0; i < mc_countof(AGES); i++) {
        store_one(f, &AGES[i].message);
        kept += strcmp(AGES[i].after, "gone") != 0;
    }
    struct result dry = run(f, &DEFAULTS, NULL, true);
    is_int(dry.dry_run, 1, "it says that it was dry");
    for (size_t i = 0; i < mc_countof(AGES); i++)
        tier_is(f, AGES[i].message.id, "short");
    struct result again = run(f, &DEFAULTS, NULL, true);
    counts(again, dry.moved, 0, dry.deleted, "a second dry run counts the same");
    counts(run(f, &DEFAULTS, "stranger", false), 0, 0, 0, "another user's run");
    struct result real = run(f, &DEFAULTS, NULL, false);
    is_int(real.dry_run, 0, "it says that it was not dry");
    counts(real, dry.moved, 0, dry.deleted, "the real run does what the dry run counted");
    for (size_t i = 0; i < mc_countof(AGES); i++)
        tier_is(f, AGES[i].message.id, AGES[i].after);
    is_int(real.deleted, (int64_t)mc_countof(AGES) - kept, "deleted what is gone");
    counts(run(f, &DEFAULTS, NULL, false), 0, 0, 0, "a second run has nothing to do");
    struct mc_store_stats stats;
    struct mc_error err = {0};
    is_status(f->store->ops->stats(f->store, &stats, &err), MC_OK, &err, "statistics");
    is_int(stats.messages, kept, "messages left");
    is_int(stats.by_tier[MC_TIER_SHORT], 3, "short");
    is_int(stats.by_tier[MC_TIER_MID], 5, "mid");
    is_int(stats.by_tier[MC_TIER_LONG], 4, "long");
    is_int(stats.by_tier[MC_TIER_ARCHIVE], 2, "archive");
}

static void test_never(struct fixture *f)
{
    store_one(f, &(struct stored){"keep-hello", "n", "t", NULL, 400, 0.1, true});
    store_one(f, &(struct stored){"keep-old", "n", "t", NULL, 5000, 0.1, false});
    struct mc_tiers_options options = DEFAULTS;
    options.trivial_delete_us = 0;
    options.archive_delete_us = 0;
    counts(run(f, &options, "n", true), 2, 0, 0, "dry: 0 days delete nothing");
    counts(run(f, &options, "n", false), 2, 0, 0, "0 days delete nothing");
    tier_is(f, "keep-hello", "archive");
    tier_is(f, "keep-old", "archive");
}

/* More than a step holds, of two users; only one of them is asked for. */
static void test_many(struct fixture *f)
{
    for (int i = 0; i < 1100; i++) {
        char id[32];
        snprintf(id, sizeof(id), "many-%d", i);
        struct mc_put put = scratch_put(id, "text");
        put.message.user_id = i % 11 ? MC_STR("many") : MC_STR("few");
        put.message.created_at_us = NOW - 2 * DAY;
        scratch_store_put(f->store, &put);
    }
    counts(run(f, &DEFAULTS, "many", true), 1000, 0, 0, "dry: a user of a thousand messages");
    int steps = mc_fault_store_calls(f->store, "migrate");
    counts(run(f, &DEFAULTS, "many", false), 1000, 0, 0, "a user of a thousand messages");
    ok(mc_fault_store_calls(f->store, "migrate") - steps >= 2, "in several steps");
    tier_is(f, "many-1", "mid");
    tier_is(f, "many-0", "short");
    counts(run(f, &DEFAULTS, "few", false), 100, 0, 0, "the others");
    static const char *const USERS[] = {"many", "few"};
    for (size_t i = 0; i < mc_countof(USERS); i++) { /* their jobs would be in the way below */
        struct mc_erased erased;
        struct mc_error err = {0};
        is_status(f->store->ops->erase(f->store, mc_str_of(USERS[i]), &erased, &err), MC_OK, &err,
                  "erased %s", USERS[i]);
    }
}

/* ---- Summaries ---- */

static const char *const TALK[] = {
    "My order ORD-48213 has not arrived and it was promised for 12 March.",
    "I am sorry to hear that. The parcel left our warehouse in Hamburg on Monday.",
    "The tracking page says nothing since Tuesday. I need it for a birthday on Friday.",
    "I opened an investigation with the carrier, reference CR-9917.",
    "If it does not come I want a refund of 89.90 EUR to my card.",
    "Agreed. Without news until Thursday noon we refund 89.90 EUR.",
};

static void store_talk(struct fixture *f, const char *user, const char *thread, double age_days)
{
    for (size_t i = 0; i < mc_countof(TALK); i++) {
        char id[64];
        snprintf(id, sizeof(id), "%s-%s-%zu", user, thread, i);
        store_one(f, &(struct stored){id, user, thread, TALK[i], age_days - (double)i / 1000, 0.5,
                                      false});
    }
}

struct found {
    struct mc_arena arena;
    struct mc_summary items[8];
    size_t count;
};

static bool keep_summary(void *context, const struct mc_summary *summary)
{
    struct found *found = context;
    if (found->count == mc_countof(found->items))
        return false;
    struct mc_summary *kept = &found->items[found->count++];
    *kept = *summary;
    kept->thread_id = mc_arena_copy(&found->arena, summary->thread_id);
    kept->text = mc_arena_copy(&found->arena, summary->text);
    kept->key_facts = mc_arena_copy(&found->arena, summary->key_facts);
    kept->topics = mc_arena_copy(&found->arena, summary->topics);
    kept->method = mc_arena_copy(&found->arena, summary->method);
    return true;
}

static void find_summaries(struct fixture *f, const char *user, struct found *found)
{
    static const struct mc_reader everything = {.everything = true};
    *found = (struct found){0};
    mc_arena_init(&found->arena, 1 << 20);
    struct mc_error err = {0};
    is_status(f->store->ops->summaries(f->store, mc_str_of(user), &everything, 8, keep_summary,
                                       found, &err),
              MC_OK, &err, "the summaries of %s", user);
}

/* Every word of the text stands in one of the messages, but for who said it. */
static int foreign_words(mc_str text)
{
    int foreign = 0;
    size_t at = 0;
    while (at < text.len) {
        while (at < text.len && !isalnum((unsigned char)text.data[at]))
            at++;
        size_t start = at;
        while (at < text.len && isalnum((unsigned char)text.data[at]))
            at++;
        char word[64];
        snprintf(word, sizeof(word), "%.*s", (int)(at - start), text.data + start);
        bool known = start == at || strcmp(word, "user") == 0 || strcmp(word, "assistant") == 0;
        for (size_t i = 0; !known && i < mc_countof(TALK); i++)
            known = strstr(TALK[i], word) != NULL;
        if (!known)
            diag("a word that nobody said: %s", word);
        foreign += !known;
    }
    return foreign;
}

static void test_summaries(struct fixture *f)
{
    struct mc_tiers_options options = DEFAULTS;
    options.summarize_after_messages = 5;
    options.summarize_after_us = 7 * DAY;
    store_talk(f, "sum", "long", 0.5);
    store_one(f, &(struct stored){"sum-short-1", "sum", "short", TALK[0], 0.4, 0.5, false});
    store_one(f, &(struct stored){"sum-old-1", "sum", "old", TALK[1], 8, 0.5, false});

    counts(run(f, &options, "sum", true), 1, 2, 0, "dry: the long thread and the old one");
    struct found found;
    find_summaries(f, "sum", &found);
    is_int(found.count, 0, "a dry run makes none");
    mc_arena_fini(&found.arena);

    counts(run(f, &options, "sum", false), 1, 2, 0, "the long thread and the old one");
    find_summaries(f, "sum", &found);
    is_int(found.count, 2, "two summaries");
    for (size_t i = 0; i < found.count; i++) {
        const struct mc_summary *s = &found.items[i];
        bool is_long = mc_str_equal(s->thread_id, MC_STR("long"));
        ok(s->text.len > 20, "%.*s: some text", MC_STR_ARG(s->thread_id));
        is_int(foreign_words(s->text), 0, "only what was said: %.*s", MC_STR_ARG(s->text));
        is_text(s->method, "extractive", "made without a model");
        is_int(s->messages, is_long ? 6 : 1, "of all messages");
        is_int(s->created_at_us, NOW, "made now");
        is_text(s->topics, "[\"orders\"]", "their topics");
        if (is_long) {
            is_int(s->first_us, NOW - DAY / 2, "from the first");
            is_int(s->last_us, NOW - (int64_t)(0.495 * (double)DAY), "to the last");
            ok(s->text.len <= 1500, "bounded");
            ok(strstr(s->key_facts.data, "89.90") || strstr(s->key_facts.data, "48213"),
               "facts: %.*s", MC_STR_ARG(s->key_facts));
        }
    }
    mc_arena_fini(&found.arena);
    counts(run(f, &options, "sum", false), 0, 0, 0, "they are not due again");
    store_talk(f, "sum", "long2", 0.5);
    counts(run(f, &options, "sum", false), 0, 1, 0, "a new thread is");
}

/* A thread is summarised before what it is made from is deleted. */
static void test_summary_before_deletion(struct fixture *f)
{
    struct mc_tiers_options options = DEFAULTS;
    options.summarize_after_us = 7 * DAY;
    store_talk(f, "last", "t", 800);
    counts(run(f, &options, "last", true), 6, 1, 6, "dry: summarised, archived, deleted");
    counts(run(f, &options, "last", false), 6, 1, 6, "summarised, archived, deleted");
    tier_is(f, "last-t-0", "gone");
    struct found found;
    find_summaries(f, "last", &found);
    if (is_int(found.count, 1, "the summary stays"))
        is_int(found.items[0].messages, 6, "made from all");
    mc_arena_fini(&found.arena);
}

static void delete_one(void *context, const char *op)
{
    static const struct mc_reader everything = {.everything = true};
    struct fixture *f = context;
    if (strcmp(op, "put_summary") != 0)
        return;
    struct mc_record *removed = NULL;
    int64_t version;
    struct mc_error err = {0};
    is_status(
        f->inner->ops->remove(f->inner, MC_STR("race-t-1"), &everything, &removed, &version, &err),
        MC_OK, &err, "deleted");
    mc_record_unref(removed);
    mc_fault_store_hook(f->store, NULL, NULL);
}

/* A message that is deleted while its thread is summarised is in no summary. */
static void test_deleted_meanwhile(struct fixture *f)
{
    struct mc_tiers_options options = DEFAULTS;
    options.summarize_after_messages = 4;
    store_talk(f, "race", "t", 0.5);
    mc_fault_store_hook(f->store, delete_one, f);
    counts(run(f, &options, "race", false), 0, 0, 0, "deleted meanwhile: left for the next run");
    struct found found;
    find_summaries(f, "race", &found);
    is_int(found.count, 0, "no summary");
    mc_arena_fini(&found.arena);
    counts(run(f, &options, "race", false), 0, 1, 0, "the next run");
    find_summaries(f, "race", &found);
    if (is_int(found.count, 1, "makes it"))
        is_int(found.items[0].messages, 5, "of what is left");
    mc_arena_fini(&found.arena);
}

/* ---- What goes wrong ---- */

static bool stop_at_second(void *context, uint64_t done, uint64_t total)
{
    (void)done;
    (void)total;
    return ++*(int *)context < 2;
}

static bool count_calls(void *context, uint64_t done, uint64_t total)
{
    (void)total;
    uint64_t *last = context;
    if (done < *last)
        return false;
    *last = done;
    return true;
}

static void test_progress(struct fixture *f)
{
    for (int i = 0; i < 3; i++) {
        char id[32];
        snprintf(id, sizeof(id), "p-%d", i);
        store_one(f, &(struct stored){id, "p", "t", NULL, 3, 0.5, false});
    }
    int calls = 0;
    mc_auto(mc_buf_fini) struct mc_buf json;
    mc_buf_init(&json, 1 << 20);
    struct mc_error err = {0};
    is_status(mc_tiers_run(f->store, &DEFAULTS, MC_STR("p"), NOW, false, stop_at_second, &calls,
                           &json, &err),
              MC_CANCELLED, &err, "stopped by its caller");
    is_int(json.len, 0, "no result");
    tier_is(f, "p-0", "short");
    uint64_t last = 0;
    is_status(
        mc_tiers_run(f->store, &DEFAULTS, MC_STR("p"), NOW, false, count_calls, &last, &json, &err),
        MC_OK, &err, "not stopped");
    is_int(last, 3, "progress counts up to all");
    tier_is(f, "p-0", "mid");
}

static void test_failures(struct fixture *f)
{
    struct mc_tiers_options options = DEFAULTS;
    options.summarize_after_us = 7 * DAY;
    store_talk(f, "bad", "t", 40);
    mc_fault_store_fail(f->store, "put_summary", 1, 1, MC_DISK_FULL);
    struct result r = run(f, &options, "bad", false);
    is_int(r.errors, 1, "a summary that fails is told");
    is_int(r.summarised, 0, "not counted");
    is_int(r.moved, 6, "and does not hinder the moves");
    mc_fault_store_fail(f->store, "migrate", 1, 1, MC_IO);
    r = run(f, &options, "bad", false);
    is_int(r.errors, 1, "moves that fail are told");
    is_int(r.summarised, 1, "and the summary is made now");
    mc_fault_store_fail(f->store, "unsummarised", 1, 1, MC_BUSY);
    r = run(f, &options, "bad", true);
    is_int(r.errors, 1, "also in a dry run");
}

static void test_importance(void)
{
    const int64_t half = 14 * DAY;
    is_double(mc_importance_at(0.8, NOW, half, NOW), 0.8, 0, "a new message");
    is_double(mc_importance_at(0.8, NOW - half, half, NOW), 0.4, 1e-12, "after one half-life");
    is_double(mc_importance_at(0.8, NOW - 2 * half, half, NOW), 0.2, 1e-12, "after two");
    is_double(mc_importance_at(0.8, NOW - 100 * half, half, NOW), 0.05, 0, "the floor");
    is_double(mc_importance_at(0.03, NOW - 100 * half, half, NOW), 0.03, 0, "what was less stays");
    is_double(mc_importance_at(0.8, NOW + DAY, half, NOW), 0.8, 0, "a time to come adds nothing");
    is_double(mc_importance_at(0.8, 0, 0, NOW), 0.8, 0, "no half-life");
    double before = 1.0;
    int rises = 0;
    for (int day = 0; day < 400; day++) {
        double now = mc_importance_at(1.0, NOW - day * DAY, half, NOW);
        rises += now > before;
        before = now;
    }
    is_int(rises, 0, "it never rises");
}

/* A conversation of years ago that was imported today: it is old, but it has only just come. */
static void test_imported(void)
{
    struct fixture f;
    set_up(&f);
    int64_t now_us = mc_time_now_us();
    double age = (double)(NOW - now_us) / (double)DAY + 1500;
    store_one(&f, &(struct stored){"thanks", NULL, NULL, NULL, age, 0.1, true});
    store_one(&f, &(struct stored){"order", NULL, NULL, NULL, age, 0.5, false});
    store_one(&f, &(struct stored){"dear", NULL, NULL, NULL, age, 0.9, false});
    now_us = mc_time_now_us();
    counts(run_at(&f, &DEFAULTS, now_us, NULL, true), 3, 0, 0, "imported today, dry");
    counts(run_at(&f, &DEFAULTS, now_us, NULL, false), 3, 0, 0, "imported today");
    tier_is(&f, "thanks", "archive");
    tier_is(&f, "order", "archive");
    tier_is(&f, "dear", "archive");
    now_us += 8 * DAY;
    counts(run_at(&f, &DEFAULTS, now_us, NULL, true), 0, 0, 1, "a week later, dry");
    counts(run_at(&f, &DEFAULTS, now_us, NULL, false), 0, 0, 1, "a week later");
    tier_is(&f, "thanks", "gone");
    tier_is(&f, "order", "archive");
    now_us += 723 * DAY;
    counts(run_at(&f, &DEFAULTS, now_us, NULL, true), 0, 0, 2, "two years later, dry");
    counts(run_at(&f, &DEFAULTS, now_us, NULL, false), 0, 0, 2, "two years later");
    tier_is(&f, "order", "gone");
    tier_is(&f, "dear", "gone");
    tear_down(&f);
}

/* ---- Taking back ---- */

static struct mc_tiers_options undoable(void)
{
    struct mc_tiers_options options = DEFAULTS;
    options.undo_us = 7 * DAY;
    return options;
}

struct undone {
    int64_t first, last, restored, skipped, moved;
    bool scheduled;
};

static enum mc_status undo_at(struct fixture *f, struct mc_tiers_undo undo, struct undone *undone,
                              struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf json;
    mc_buf_init(&json, 1 << 20);
    undo.undo_us = undo.undo_us ? undo.undo_us : 7 * DAY;
    undo.now_us = undo.now_us ? undo.now_us : NOW + 1;
    enum mc_status status = mc_tiers_take_back(f->store, &undo, NULL, NULL, &json, err);
    if (status)
        return status;
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    if (mc_json_parse(mc_buf_str(&json), &root, err))
        bail_out("%s", err->message);
    *undone = (struct undone){
        .first = mc_json_integer(mc_json_get(root, "first_run")),
        .last = mc_json_integer(mc_json_get(root, "last_run")),
        .restored = mc_json_integer(mc_json_get(root, "messages_restored")),
        .skipped = mc_json_integer(mc_json_get(root, "messages_skipped")),
        .moved = mc_json_integer(mc_json_get(root, "messages_moved_back")),
        .scheduled = mc_json_type(mc_json_get(root, "next_scheduled_migration")) == MC_JSON_STRING,
    };
    return MC_OK;
}

static size_t run_count(struct fixture *f, int64_t undo_us, int64_t now_us)
{
    mc_auto(mc_buf_fini) struct mc_buf json;
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    struct mc_error err = {0};
    mc_buf_init(&json, 1 << 20);
    if (mc_tiers_list_runs(f->store, undo_us, now_us, &json, &err) ||
        mc_json_parse(mc_buf_str(&json), &root, &err))
        bail_out("%s", err.message);
    return mc_json_count(mc_json_get(root, "runs"));
}

static void store_some(struct fixture *f)
{
    store_one(f, &(struct stored){"hello", "w", "t", "hello", 8, 0.1, true});
    store_one(f, &(struct stored){"order", "w", "t", NULL, 40, 0.5, false});
    store_one(f, &(struct stored){"fresh", "w", "t", NULL, 0.5, 0.5, false});
}

static void test_undo(void)
{
    struct fixture f;
    set_up(&f);
    struct mc_tiers_options options = undoable();
    struct mc_error err = {0};
    struct undone undone = {0};
    is_status(undo_at(&f, (struct mc_tiers_undo){0}, &undone, &err), MC_NOT_FOUND, &err,
              "nothing to undo");
    store_some(&f);
    counts(run(&f, &options, NULL, true), 1, 0, 1, "dry");
    is_int(run_count(&f, 7 * DAY, NOW + 1), 0, "a dry run leaves nothing to undo");
    counts(run(&f, &options, NULL, false), 1, 0, 1, "a run");
    counts(run(&f, &options, NULL, false), 0, 0, 0, "a run of nothing");
    is_int(run_count(&f, 7 * DAY, NOW + 1), 1, "which is not listed");
    is_int(run_count(&f, 7 * DAY, NOW + 8 * DAY), 0, "nor is one that is too old");
    tier_is(&f, "hello", "gone");
    is_status(undo_at(&f, (struct mc_tiers_undo){.now_us = NOW + 8 * DAY}, &undone, &err),
              MC_NOT_FOUND, &err, "a run that is too old");
    is_status(undo_at(&f, (struct mc_tiers_undo){.run = 77}, &undone, &err), MC_NOT_FOUND, &err,
              "a run that is not there");
    is_str(err.field, "run", "it is the run's fault");
    is_status(undo_at(&f, (struct mc_tiers_undo){.dry_run = true, .next_us = NOW}, &undone, &err),
              MC_OK, &err, "a dry run");
    is_int(undone.restored, 1, "counts what comes back");
    is_int(undone.moved, 1, "and what goes back");
    ok(undone.scheduled, "and says when it is done again");
    tier_is(&f, "hello", "gone");
    bool taken = true;
    struct mc_tiers_undo undo = {.next_us = NOW + DAY, .task = MC_STR("tiers")};
    is_status(undo_at(&f, undo, &undone, &err), MC_OK, &err, "undo");
    ok(undone.restored == 1 && undone.moved == 1 && undone.skipped == 0 && undone.scheduled,
       "as it said");
    is_status(f.store->ops->take_task(f.store, undo.task, NOW + DAY - 1, NOW + DAY, &taken, &err),
              MC_OK, &err, "the schedule");
    ok(!taken, "waits for that time");
    tier_is(&f, "hello", "short");
    tier_is(&f, "order", "short");
    tier_is(&f, "fresh", "short");
    is_int(run_count(&f, 7 * DAY, NOW + 1), 0, "once");
    counts(run(&f, &options, NULL, false), 1, 0, 1, "the next run does it again");
    counts(run_at(&f, &options, NOW + DAY, NULL, false), 1, 0, 0, "and a later one more");
    counts(run_at(&f, &options, NOW + 8 * DAY, NULL, false), 0, 0, 0, "much later");
    is_status(undo_at(&f, (struct mc_tiers_undo){.now_us = NOW + 8 * DAY}, &undone, &err), MC_OK,
              &err, "the later one is undone");
    tier_is(&f, "fresh", "short");
    tier_is(&f, "hello", "gone");
    is_status(undo_at(&f, (struct mc_tiers_undo){.undo_us = 365 * DAY}, &undone, &err),
              MC_NOT_FOUND, &err,
              "what was kept of the first is removed, whatever the option is by now");
    tear_down(&f);
}

/* Another process begins to undo a run just before its end, and dies. */
static void undo_and_die(void *context, const char *op)
{
    struct fixture *f = context;
    int64_t last;
    struct mc_error err = {0};
    if (strcmp(op, "end_run") == 0 && f->inner->ops->begin_undo(f->inner, 1, &last, &err))
        bail_out("%s", err.message);
}

static void test_undo_cut_off(void)
{
    struct fixture f;
    set_up(&f);
    struct mc_tiers_options options = undoable();
    struct mc_error err = {0};
    struct undone undone = {0};
    store_some(&f);
    counts(run(&f, &options, NULL, false), 1, 0, 1, "a run");
    mc_fault_store_fail(f.store, "undo", 2, 1, MC_IO);
    is_status(undo_at(&f, (struct mc_tiers_undo){0}, &undone, &err), MC_IO, &err,
              "an undo that is cut off");
    tier_is(&f, "hello", "short");
    tier_is(&f, "order", "long");
    is_int(run_count(&f, 7 * DAY, NOW + 30 * DAY), 1, "it is listed, however old");
    is_status(undo_at(&f, (struct mc_tiers_undo){0}, &undone, &err), MC_OK, &err, "another");
    is_int(undone.moved, 1, "goes on");
    tier_is(&f, "order", "short");

    mc_fault_store_hook(f.store, undo_and_die, &f);
    store_one(&f, &(struct stored){"late", "w", "t", NULL, 3, 0.5, false});
    run(&f, &options, NULL, false);
    mc_fault_store_hook(f.store, NULL, NULL);
    tier_is(&f, "late", "mid");
    struct result r = run(&f, &options, NULL, false);
    is_int(r.errors, 0, "a migration completes an undo that was cut off");
    is_int(r.moved, 2, "and does it again");
    is_int(r.deleted, 1, "all of it");
    is_int(run_count(&f, 7 * DAY, NOW + 1), 1, "as a run of its own");
    mc_fault_store_fail(f.store, "runs", 1, 1, MC_IO);
    r = run(&f, &options, NULL, false);
    is_int(r.errors, 1, "when it cannot tell whether there is one, it changes nothing");
    tear_down(&f);
}

/* The run that goes on is undone in the middle. */
static void undo_running(void *context, const char *op)
{
    struct fixture *f = context;
    struct undone undone;
    struct mc_error err = {0};
    if (strcmp(op, "migrate") == 0 && mc_fault_store_calls(f->store, "migrate") == 1 &&
        undo_at(f, (struct mc_tiers_undo){0}, &undone, &err))
        bail_out("%s", err.message);
}

static void test_undo_of_running(void)
{
    struct fixture f;
    set_up(&f);
    struct mc_tiers_options options = undoable();
    store_some(&f);
    mc_fault_store_hook(f.store, undo_running, &f);
    struct result r = run(&f, &options, NULL, false);
    mc_fault_store_hook(f.store, NULL, NULL);
    ok(r.errors > 0, "a migration that is undone says so");
    tier_is(&f, "hello", "short");
    tier_is(&f, "order", "short");
    is_int(run_count(&f, 7 * DAY, NOW + 1), 0, "and is gone");
    tear_down(&f);
}

/* An earlier run is undone while a later one makes its summaries. */
static void undo_at_summaries(void *context, const char *op)
{
    struct fixture *f = context;
    struct undone undone;
    struct mc_error err = {0};
    if (strcmp(op, "unsummarised") == 0 && run_count(f, 7 * DAY, NOW + 1) > 0 &&
        undo_at(f, (struct mc_tiers_undo){0}, &undone, &err))
        bail_out("%s", err.message);
}

/* Until the undo is done. */
static bool stop_after_undo(void *context, uint64_t done, uint64_t total)
{
    struct fixture *f = context;
    (void)done;
    (void)total;
    return mc_fault_store_calls(f->store, "undo") == 0;
}

static void test_undo_during_summaries(bool stopped)
{
    struct fixture f;
    set_up(&f);
    struct mc_tiers_options options = undoable();
    mc_auto(mc_buf_fini) struct mc_buf json;
    mc_buf_init(&json, 1 << 20);
    struct mc_error err = {0};
    store_some(&f);
    counts(run(&f, &options, NULL, false), 1, 0, 1, "a run");
    mc_fault_store_hook(f.store, undo_at_summaries, &f);
    is_status(mc_tiers_run(f.store, &options, MC_STR_NONE, NOW, false,
                           stopped ? stop_after_undo : NULL, &f, &json, &err),
              MC_OK, &err, "the next one, %s", stopped ? "stopped after that" : "to its end");
    mc_fault_store_hook(f.store, NULL, NULL);
    is_int(mc_fault_store_calls(f.store, "undo") > 0, 1, "an undo came between");
    tier_is(&f, "hello", "short");
    tier_is(&f, "order", "short");
    is_int(run_count(&f, 7 * DAY, NOW + 1), 0, "nothing is done again");
    tear_down(&f);
}

/* What is too old leaves the trash also while an undo cannot be completed. */
static void test_undo_that_fails(void)
{
    struct fixture f;
    set_up(&f);
    struct mc_tiers_options options = undoable();
    struct undone undone = {0};
    struct mc_error err = {0};
    store_some(&f);
    counts(run(&f, &options, NULL, false), 1, 0, 1, "a run");
    mc_fault_store_fail(f.store, "undo", 1, 0, MC_IO);
    is_status(undo_at(&f, (struct mc_tiers_undo){0}, &undone, &err), MC_IO, &err, "no undo");
    int emptied = mc_fault_store_calls(f.store, "empty_trash");
    struct result r = run(&f, &options, NULL, false);
    is_int(r.errors, 1, "nor by a migration, which says so");
    is_int(r.moved + r.deleted, 0, "and does nothing");
    is_int(mc_fault_store_calls(f.store, "empty_trash"), emptied + 1, "but empty the trash");
    tear_down(&f);
}

int main(void)
{
    struct fixture f;
    set_up(&f);
    test_importance();
    test_ages(&f);
    test_never(&f);
    test_many(&f);
    test_summaries(&f);
    test_summary_before_deletion(&f);
    test_deleted_meanwhile(&f);
    test_progress(&f);
    test_failures(&f);
    tear_down(&f);
    test_imported();
    test_undo();
    test_undo_cut_off();
    test_undo_of_running();
    test_undo_during_summaries(false);
    test_undo_during_summaries(true);
    test_undo_that_fails();
    return done_testing();
}
