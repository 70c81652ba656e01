#include "memory/tiers.h"

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/time.h"
#include "memory/migration.h"
#include "memory/pace.h"

#define ERRORS_BYTES ((size_t)64 << 20)

void mc_migration_note(struct mc_migration *run, const struct mc_error *error)
{
    mc_log(MC_LOG_ERROR, "tiers", "%s", error->message);
    mc_json_put_text(&run->errors, error->message);
}

bool mc_migration_go_on(struct mc_migration *run)
{
    uint64_t done = (uint64_t)(run->moved + run->deleted + run->summarised + run->packed);
    if (run->progress && !run->progress(run->context, done, 0))
        run->stopped = true;
    return !run->stopped;
}

/* ---- Steps ---- */

static struct mc_tier_rule rule_of(const struct mc_migration *run)
{
    return (struct mc_tier_rule){
        .user_id = run->user_id,
        .now_us = run->now_us,
        .short_us = run->options->short_us,
        .mid_us = run->options->mid_us,
        .long_us = run->options->long_us,
        .trivial_delete_us = run->options->trivial_delete_us,
        .archive_delete_us = run->options->archive_delete_us,
        .keep_importance = run->options->keep_importance,
        .batch = MC_PACE_ROWS_FIRST,
        .dry_run = run->dry_run,
        .run = run->number,
    };
}

static void move(struct mc_migration *run)
{
    struct mc_tier_rule rule = rule_of(run);
    struct mc_tier_step step;
    bool again = true;
    while (again && mc_migration_go_on(run)) {
        struct mc_error error;
        int64_t began_us = mc_time_monotonic_us();
        if (run->store->ops->migrate(run->store, &rule, &step, &error)) {
            mc_migration_note(run, &error);
            return;
        }
        run->moved += step.moved;
        run->deleted += step.deleted;
        run->bytes_deleted += step.bytes_deleted;
        /* What a step archived may be due for deletion by the next. */
        again = !run->dry_run && (step.more || step.moved > 0);
        if (again)
            mc_pace(&rule.batch, began_us, step.moved + step.deleted);
    }
}

/* Compresses the archive. */
static void pack(struct mc_migration *run)
{
    struct mc_tier_rule rule = rule_of(run);
    struct mc_pack_step step;
    struct mc_error error;
    if (!run->options->compress_archive)
        return;
    enum mc_status status =
        run->dry_run ? MC_OK : run->store->ops->train(run->store, run->now_us, &error);
    if (status && status != MC_INVALID) {
        mc_migration_note(run, &error);
        return;
    }
    if (status)
        mc_log(MC_LOG_WARNING, "tiers", "%s", error.message);
    bool again = true;
    while (again && mc_migration_go_on(run)) {
        int64_t began_us = mc_time_monotonic_us();
        if (run->store->ops->pack(run->store, &rule, &step, &error)) {
            mc_migration_note(run, &error);
            return;
        }
        run->packed += step.packed;
        run->bytes_before += step.bytes_before;
        run->bytes_after += step.bytes_after;
        again = !run->dry_run && step.more;
        if (again)
            mc_pace(&rule.batch, began_us, step.packed);
    }
}

static void write_result(struct mc_migration *run, struct mc_buf *json)
{
    struct mc_json_writer w = mc_json_writer(json);
    mc_json_begin(&w, '{');
    mc_json_member_integer(&w, "messages_migrated", run->moved);
    mc_json_member_integer(&w, "threads_summarized", run->summarised);
    mc_json_member_integer(&w, "messages_deleted", run->deleted);
    mc_json_member_integer(&w, "bytes_deleted", run->bytes_deleted);
    mc_json_member_integer(&w, "messages_compressed", run->packed);
    mc_json_member_integer(&w, "bytes_before", run->bytes_before);
    mc_json_member_integer(&w, "bytes_after", run->bytes_after);
    mc_json_key(&w, "errors");
    mc_json_put_raw(&w, mc_buf_str(&run->errors_buf));
    mc_json_member_boolean(&w, "dry_run", run->dry_run);
    mc_json_key(&w, "run");
    if (run->number != 0 && run->moved + run->deleted + run->packed > 0)
        mc_json_put_integer(&w, run->number);
    else
        mc_json_put_null(&w);
    mc_json_end(&w, '}');
}

/* ---- So that it can be taken back ---- */

/* What was kept of runs that are too old for that is removed. */
static void empty_trash(struct mc_migration *run)
{
    size_t batch = MC_PACE_ROWS_FIRST;
    int64_t removed = 0;
    do {
        struct mc_error error;
        size_t limit = batch;
        int64_t began_us = mc_time_monotonic_us();
        if (run->store->ops->empty_trash(run->store, run->now_us - run->options->undo_us, limit,
                                         &removed, &error)) {
            mc_migration_note(run, &error);
            return;
        }
        if ((size_t)removed < limit)
            return;
        mc_pace(&batch, began_us, removed);
    } while (mc_migration_go_on(run));
}

/*
 * The run has its number before summaries are made: an undo that begins meanwhile takes it back too, and it moves nothing
 * after that. Nothing is changed while an undo is half done, but what is too old to be taken back goes all the same.
 */
static enum mc_status begin(struct mc_migration *run)
{
    struct mc_error error;
    enum mc_status status =
        mc_tiers_complete_undo(run->store, run->now_us, run->progress, run->context, &error);
    run->stopped = status == MC_CANCELLED;
    if (run->stopped)
        return status;
    if (status)
        mc_migration_note(run, &error);
    empty_trash(run);
    if (status || run->stopped || run->options->undo_us <= 0)
        return status;
    status =
        run->store->ops->begin_run(run->store, run->user_id, run->now_us, &run->number, &error);
    if (status)
        mc_migration_note(run, &error);
    return status;
}

static bool find_own(void *context, const struct mc_tier_run *other)
{
    struct mc_migration *run = context;
    run->kept = run->kept || (other->number == run->number && !other->undoing);
    return true;
}

/* One that was undone while it ran has ended: whoever stopped it is not to begin it again. */
static void end(struct mc_migration *run)
{
    struct mc_error error;
    if (run->number == 0)
        return;
    if (run->stopped) {
        run->kept = false;
        if (run->store->ops->runs(run->store, find_own, run, &error))
            mc_migration_note(run, &error);
        else if (!run->kept)
            run->stopped = false;
    }
    if (run->store->ops->end_run(run->store, run->number, mc_time_now_us(), &error))
        mc_migration_note(run, &error);
}

enum mc_status mc_tiers_run(struct mc_store *store, const struct mc_tiers_options *options,
                            mc_str user_id, int64_t now_us, bool dry_run, mc_progress_fn progress,
                            void *context, struct mc_buf *json, struct mc_error *err)
{
    struct mc_migration run = {
        .store = store,
        .options = options,
        .user_id = user_id,
        .now_us = now_us,
        .dry_run = dry_run,
        .progress = progress,
        .context = context,
        .llm = options->llm,
    };
    mc_buf_init(&run.errors_buf, ERRORS_BYTES);
    run.errors = mc_json_writer(&run.errors_buf);
    mc_json_begin(&run.errors, '[');
    if (dry_run || begin(&run) == MC_OK) {
        /* Before anything that a summary is made from is deleted. */
        if (!run.stopped)
            mc_migration_summarise(&run);
        if (!run.stopped)
            move(&run);
        if (!run.stopped)
            pack(&run);
        end(&run);
    }
    mc_json_end(&run.errors, ']');
    if (!run.stopped)
        write_result(&run, json);
    mc_buf_fini(&run.errors_buf);
    if (run.stopped)
        return mc_fail(err, MC_CANCELLED, "tier migration was stopped; what was done stays done");
    return MC_OK;
}
