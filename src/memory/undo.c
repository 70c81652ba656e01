/* Taking back tier migrations. */
#include <inttypes.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "base/time.h"
#include "memory/pace.h"
#include "memory/tiers.h"

/* ---- Which ---- */

struct listing {
    struct mc_json_writer w;
    int64_t undo_us, now_us;
};

static bool has_done(const struct mc_tier_run *run)
{
    return run->moved + run->deleted + run->packed > 0;
}

/* One that is being taken back is completed, however old it is. */
static bool can_be_undone(const struct mc_tier_run *run, int64_t undo_us, int64_t now_us)
{
    return run->undoing || (has_done(run) && run->began_us >= now_us - undo_us && undo_us > 0);
}

static void put_time(struct mc_json_writer *w, const char *key, int64_t time_us)
{
    mc_json_key(w, key);
    if (time_us != 0)
        mc_json_put_time(w, time_us);
    else
        mc_json_put_null(w);
}

static bool list_run(void *context, const struct mc_tier_run *run)
{
    struct listing *list = context;
    struct mc_json_writer *w = &list->w;
    if (!can_be_undone(run, list->undo_us, list->now_us))
        return true;
    mc_json_begin(w, '{');
    mc_json_member_integer(w, "run", run->number);
    put_time(w, "began_at", run->began_us);
    put_time(w, "ended_at", run->ended_us);
    put_time(w, "undo_until", run->began_us + list->undo_us);
    mc_json_key(w, "user_id");
    if (mc_str_given(run->user_id))
        mc_json_put_string(w, run->user_id);
    else
        mc_json_put_null(w);
    mc_json_member_integer(w, "messages_migrated", run->moved);
    mc_json_member_integer(w, "messages_deleted", run->deleted);
    mc_json_member_integer(w, "bytes_deleted", run->bytes_deleted);
    mc_json_member_integer(w, "messages_compressed", run->packed);
    mc_json_member_boolean(w, "undoing", run->undoing);
    mc_json_end(w, '}');
    return true;
}

enum mc_status mc_tiers_list_runs(struct mc_store *store, int64_t undo_us, int64_t now_us,
                                  struct mc_buf *json, struct mc_error *err)
{
    struct listing list = {mc_json_writer(json), undo_us, now_us};
    mc_json_begin(&list.w, '{');
    mc_json_key(&list.w, "runs");
    mc_json_begin(&list.w, '[');
    enum mc_status status = store->ops->runs(store, list_run, &list, err);
    mc_json_end(&list.w, ']');
    mc_json_end(&list.w, '}');
    return status;
}

struct choice {
    const struct mc_tiers_undo *undo;
    int64_t last;       /* the newest that can be taken back, 0: none */
    int64_t unfinished; /* the oldest that is being taken back, 0: none */
    int64_t first;      /* the oldest to be taken back */
};

static bool choose(void *context, const struct mc_tier_run *run)
{
    struct choice *c = context;
    if (!can_be_undone(run, c->undo->undo_us, c->undo->now_us))
        return true;
    if (c->last == 0)
        c->last = run->number;
    if (run->undoing)
        c->unfinished = run->number;
    if (run->number == (c->undo->run ? c->undo->run : c->last))
        c->first = run->number;
    return true;
}

/* The run that is asked for, or what was begun before it. */
static enum mc_status choose_first(struct mc_store *store, const struct mc_tiers_undo *undo,
                                   struct choice *choice, struct mc_error *err)
{
    *choice = (struct choice){.undo = undo};
    enum mc_status status = store->ops->runs(store, choose, choice, err);
    if (status)
        return status;
    if (choice->first == 0 && undo->run != 0)
        return mc_fail_field(err, MC_NOT_FOUND, "run",
                             "there is no run %" PRId64
                             " of tier migration that can be undone; see 'mindcore tiers runs'",
                             undo->run);
    if (choice->first == 0)
        return mc_fail_field(err, MC_NOT_FOUND, "run", "%s",
                             undo->undo_us > 0
                                 ? "there is no tier migration that can be undone"
                                 : "no tier migration can be undone: retention.undo_days is 0");
    if (choice->unfinished != 0 && choice->unfinished < choice->first)
        choice->first = choice->unfinished;
    return MC_OK;
}

/* ---- Taking back ---- */

struct sums {
    int64_t restored, skipped, moved, unpacked;
};

static enum mc_status take_back(struct mc_store *store, struct mc_undo *undo,
                                mc_progress_fn progress, void *context, struct sums *sums,
                                struct mc_error *err)
{
    struct mc_undo_step step = {.more = true};
    while (step.more) {
        int64_t done = sums->restored + sums->skipped + sums->moved + sums->unpacked;
        if (progress && !progress(context, (uint64_t)done, 0))
            return mc_fail(err, MC_CANCELLED,
                           "the undo was stopped; the next one, or the next migration, goes on "
                           "with it");
        int64_t began_us = mc_time_monotonic_us();
        enum mc_status status = store->ops->undo(store, undo, &step, err);
        if (status)
            return status;
        sums->restored += step.restored;
        sums->skipped += step.skipped;
        sums->moved += step.moved;
        sums->unpacked += step.unpacked;
        int64_t changed = step.restored + step.skipped + step.moved + step.unpacked;
        if (step.more && changed > 0)
            mc_pace(&undo->batch, began_us, changed);
    }
    return MC_OK;
}

struct unfinished {
    int64_t first, last; /* 0: none */
};

static bool find_unfinished(void *context, const struct mc_tier_run *run)
{
    struct unfinished *u = context;
    if (run->undoing) {
        u->last = u->last ? u->last : run->number;
        u->first = run->number;
    }
    return true;
}

/* Later runs are not taken back with them: nobody has asked for that. */
enum mc_status mc_tiers_complete_undo(struct mc_store *store, int64_t now_us,
                                      mc_progress_fn progress, void *context, struct mc_error *err)
{
    struct sums sums = {0};
    struct unfinished found = {0};
    enum mc_status status = store->ops->runs(store, find_unfinished, &found, err);
    if (status || found.first == 0)
        return status;
    struct mc_undo undo = {
        .first = found.first, .last = found.last, .now_us = now_us, .batch = MC_PACE_ROWS_FIRST};
    return take_back(store, &undo, progress, context, &sums, err);
}

static enum mc_status put_off(struct mc_store *store, const struct mc_tiers_undo *undo,
                              struct mc_error *err)
{
    return undo->next_us == 0 ? MC_OK : store->ops->set_task(store, undo->task, undo->next_us, err);
}

enum mc_status mc_tiers_take_back(struct mc_store *store, const struct mc_tiers_undo *undo,
                                  mc_progress_fn progress, void *context, struct mc_buf *json,
                                  struct mc_error *err)
{
    struct choice choice;
    struct sums sums = {0};
    enum mc_status status = choose_first(store, undo, &choice, err);
    if (status)
        return status;
    struct mc_undo range = {.first = choice.first,
                            .last = INT64_MAX,
                            .now_us = undo->now_us,
                            .batch = MC_PACE_ROWS_FIRST,
                            .dry_run = undo->dry_run};
    if (!undo->dry_run)
        status = store->ops->begin_undo(store, range.first, &range.last, err);
    /* Before, so that it holds whatever ends this, and after: a migration that is ended by it sets its own time. */
    if (!status && !undo->dry_run)
        status = put_off(store, undo, err);
    if (!status)
        status = take_back(store, &range, progress, context, &sums, err);
    if (!status && !undo->dry_run)
        status = put_off(store, undo, err);
    if (status)
        return status;
    struct mc_json_writer w = mc_json_writer(json);
    mc_json_begin(&w, '{');
    mc_json_member_integer(&w, "first_run", choice.first);
    mc_json_member_integer(&w, "last_run", choice.last);
    mc_json_member_integer(&w, "messages_restored", sums.restored);
    mc_json_member_integer(&w, "messages_skipped", sums.skipped);
    mc_json_member_integer(&w, "messages_moved_back", sums.moved);
    mc_json_member_integer(&w, "messages_decompressed", sums.unpacked);
    put_time(&w, "next_scheduled_migration", undo->next_us);
    mc_json_member_boolean(&w, "dry_run", undo->dry_run);
    mc_json_end(&w, '}');
    return MC_OK;
}
