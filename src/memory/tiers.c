#include "memory/tiers.h"

#include "base/arena.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "base/time.h"
#include "memory/pace.h"
#include "memory/summary.h"
#include "message/metadata.h"
#include "text/summarise.h"

#define SUMMARY_THREADS 100  /* found at once */
#define SUMMARY_MESSAGES 400 /* newest messages of a thread that its summary is made from */
#define SUMMARY_BYTES 1500
#define SUMMARY_ARENA_MAX ((size_t)64 << 20)
#define SUMMARY_TOPICS 5
#define SUMMARY_DEADLINE_US (30 * MC_US_PER_SECOND)
#define GROUP_MAX ((size_t)8) /* threads that a model summarises at once */
#define GROUPS_FAILED 2

struct run {
    struct mc_store *store;
    const struct mc_tiers_options *options;
    mc_str user_id;
    int64_t now_us;
    bool dry_run;
    mc_progress_fn progress;
    void *context;
    int64_t number; /* under which it can be taken back; 0: it cannot */
    bool kept;      /* it is not taken back yet */
    int64_t moved, deleted, summarised, packed;
    int64_t bytes_deleted;
    int64_t bytes_before, bytes_after; /* of what was packed */
    struct mc_buf errors_buf;          /* a JSON array of texts */
    struct mc_json_writer errors;
    bool stopped;
    struct mc_llm *llm; /* NULL: summaries are extractive */
    int groups_failed;  /* in a row, none of whose summaries the model made */
};

static void note(struct run *run, const struct mc_error *error)
{
    mc_log(MC_LOG_ERROR, "tiers", "%s", error->message);
    mc_json_put_text(&run->errors, error->message);
}

/* Tells how far it is; false when the caller wants no more. */
static bool go_on(struct run *run)
{
    uint64_t done = (uint64_t)(run->moved + run->deleted + run->summarised + run->packed);
    if (run->progress && !run->progress(run->context, done, 0))
        run->stopped = true;
    return !run->stopped;
}

/* ---- Steps ---- */

static struct mc_tier_rule rule_of(const struct run *run)
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

static void move(struct run *run)
{
    struct mc_tier_rule rule = rule_of(run);
    struct mc_tier_step step;
    bool again = true;
    while (again && go_on(run)) {
        struct mc_error error;
        int64_t began_us = mc_time_monotonic_us();
        if (run->store->ops->migrate(run->store, &rule, &step, &error)) {
            note(run, &error);
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
static void pack(struct run *run)
{
    struct mc_tier_rule rule = rule_of(run);
    struct mc_pack_step step;
    struct mc_error error;
    if (!run->options->compress_archive)
        return;
    enum mc_status status =
        run->dry_run ? MC_OK : run->store->ops->train(run->store, run->now_us, &error);
    if (status && status != MC_INVALID) {
        note(run, &error);
        return;
    }
    if (status)
        mc_log(MC_LOG_WARNING, "tiers", "%s", error.message);
    bool again = true;
    while (again && go_on(run)) {
        int64_t began_us = mc_time_monotonic_us();
        if (run->store->ops->pack(run->store, &rule, &step, &error)) {
            note(run, &error);
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

/* ---- Summaries ---- */

struct thread_key {
    mc_str user_id, thread_id;
};

struct due_threads {
    struct mc_arena *arena;
    struct thread_key keys[SUMMARY_THREADS];
    size_t count;
    bool failed;
};

static bool collect_thread(void *context, const struct mc_summary *due)
{
    struct due_threads *threads = context;
    struct thread_key *key = &threads->keys[threads->count];
    key->user_id = mc_arena_copy(threads->arena, due->user_id);
    key->thread_id = mc_arena_copy(threads->arena, due->thread_id);
    threads->failed = !key->user_id.data || !key->thread_id.data;
    if (!threads->failed)
        threads->count++;
    return !threads->failed && threads->count < SUMMARY_THREADS;
}

struct topic_count {
    mc_str name;
    size_t count;
};

/* The topics named most often, most first; equal ones in the order of their first mention. */
static void write_topics(const struct mc_records *messages, struct mc_arena *arena,
                         struct mc_json_writer *w)
{
    struct topic_count topics[64];
    size_t count = 0;
    for (size_t i = 0; i < messages->count; i++) {
        struct mc_metadata metadata;
        struct mc_error ignored; /* a message with odd metadata just has no say */
        if (mc_metadata_parse(messages->items[i]->m.metadata, arena, &metadata, &ignored))
            continue;
        for (size_t t = 0; t < metadata.topic_count; t++) {
            size_t at = 0;
            while (at < count && !mc_str_equal(topics[at].name, metadata.topics[t]))
                at++;
            if (at == count && count < mc_countof(topics))
                topics[count++] = (struct topic_count){metadata.topics[t], 0};
            if (at < count)
                topics[at].count++;
        }
    }
    mc_json_begin(w, '[');
    for (size_t n = 0; n < SUMMARY_TOPICS; n++) {
        size_t best = count;
        for (size_t i = 0; i < count; i++) {
            if (topics[i].count > 0 && (best == count || topics[i].count > topics[best].count))
                best = i;
        }
        if (best == count)
            break;
        mc_json_put_string(w, topics[best].name);
        topics[best].count = 0;
    }
    mc_json_end(w, ']');
}

/* A thread whose summary is being made. */
struct thread_work {
    struct mc_arena arena;
    struct mc_records messages; /* oldest first */
    const struct thread_key *key;
    int64_t version;
    struct mc_summary_work *made; /* by the model */
};

static void works_fini(struct thread_work *works, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mc_records_fini(&works[i].messages);
        mc_arena_fini(&works[i].arena);
    }
}

static enum mc_status extract(struct thread_work *work, struct mc_extract *extract,
                              struct mc_error *err)
{
    size_t count = work->messages.count;
    struct mc_utterance *said = mc_arena_array(&work->arena, count, sizeof(struct mc_utterance));
    if (!said)
        return mc_fail_memory(err);
    for (size_t i = 0; i < count; i++) {
        const struct mc_message *m = &work->messages.items[i]->m;
        said[i] = (struct mc_utterance){mc_str_of(mc_role_name(m->role)), m->text, m->importance};
    }
    return mc_summarise(said, count, SUMMARY_BYTES, &work->arena, extract, err);
}

static enum mc_status store_summary(struct run *run, struct thread_work *work, struct mc_error *err)
{
    bool by_model = work->made && work->made->done;
    struct mc_extract made = {.fact_count = 0};
    if (by_model)
        made = (struct mc_extract){work->made->text, work->made->facts, work->made->fact_count};
    enum mc_status status = by_model ? MC_OK : extract(work, &made, err);
    if (status)
        return status;
    mc_auto(mc_buf_fini) struct mc_buf facts;
    mc_auto(mc_buf_fini) struct mc_buf topics;
    mc_buf_init(&facts, SUMMARY_ARENA_MAX);
    mc_buf_init(&topics, SUMMARY_ARENA_MAX);
    struct mc_json_writer w = mc_json_writer(&facts);
    mc_json_begin(&w, '[');
    for (size_t i = 0; i < made.fact_count; i++)
        mc_json_put_string(&w, made.facts[i]);
    mc_json_end(&w, ']');
    w = mc_json_writer(&topics);
    write_topics(&work->messages, &work->arena, &w);
    if (facts.failed || topics.failed)
        return mc_fail_memory(err);
    size_t count = work->messages.count;
    struct mc_summary summary = {
        .user_id = work->key->user_id,
        .thread_id = work->key->thread_id,
        .text = made.text,
        .key_facts = mc_buf_str(&facts),
        .topics = mc_buf_str(&topics),
        .method = by_model ? work->made->method : MC_STR("extractive"),
        .first_us = work->messages.items[0]->m.created_at_us,
        .last_us = work->messages.items[count - 1]->m.created_at_us,
        .messages = (int64_t)count,
        .created_at_us = run->now_us,
        .thread_version = work->version,
    };
    return run->store->ops->put_summary(run->store, &summary, err);
}

static enum mc_status read_thread(struct run *run, struct thread_work *work, struct mc_error *err)
{
    static const struct mc_reader everything = {.everything = true};
    struct mc_recent_read read = {
        .user_id = work->key->user_id,
        .thread_id = work->key->thread_id,
        .limit = SUMMARY_MESSAGES,
        .reader = &everything,
    };
    struct mc_thread_state state; /* first: a message deleted after this makes the store refuse */
    enum mc_status status =
        run->store->ops->thread(run->store, work->key->user_id, work->key->thread_id, &state, err);
    if (!status)
        status = run->store->ops->recent(run->store, &read, &work->messages, err);
    if (status)
        return status;
    work->version = state.version;
    mc_records_reverse(&work->messages);
    return MC_OK;
}

/* The model's waiting thread asks whether to go on. */
static bool tick(void *context)
{
    return go_on(context);
}

/*
 * Asks the model for the summaries of a group. A model that only fails is not waited for again and
 * again: after GROUPS_FAILED groups without one summary the rest of the run does without it.
 */
static void ask_model(struct run *run, struct thread_work *works, size_t count)
{
    struct mc_summary_work made[GROUP_MAX] = {0};
    struct thread_work *asked[GROUP_MAX];
    size_t asking = 0, done = 0;
    for (size_t i = 0; i < count; i++) {
        if (works[i].messages.count == 0)
            continue;
        asked[asking] = &works[i];
        made[asking++] =
            (struct mc_summary_work){.messages = &works[i].messages, .arena = &works[i].arena};
    }
    int64_t limit_us = run->options->summary_deadline_us;
    struct mc_llm_wait wait = {
        .deadline_us = mc_time_monotonic_us() + (limit_us > 0 ? limit_us : SUMMARY_DEADLINE_US),
        .tick = tick,
        .context = run,
    };
    if (asking == 0)
        return;
    mc_summaries_ask(run->llm, made, asking, &wait);
    for (size_t i = 0; i < asking; i++) {
        struct mc_summary_work *kept = mc_arena_alloc(&works[0].arena, sizeof(*kept));
        if (!kept)
            continue; /* then without the model */
        *kept = made[i];
        asked[i]->made = kept;
        done += made[i].done;
        if (!made[i].done && made[i].status != MC_CANCELLED)
            mc_log(MC_LOG_INFO, "tiers", "a summary is made without the model: %s",
                   made[i].error.message);
    }
    run->groups_failed = done > 0 ? 0 : run->groups_failed + 1;
    if (run->groups_failed == GROUPS_FAILED && !run->stopped) {
        mc_log(MC_LOG_WARNING, "tiers", "further summaries of this run are made without the model");
        run->llm = NULL;
    }
}

/* Summarises some threads; false when a failure or the caller ends the run's summaries. */
static bool summarise_group(struct run *run, const struct thread_key *keys, size_t count,
                            int *skipped)
{
    struct thread_work works[GROUP_MAX];
    enum mc_status read[GROUP_MAX];
    struct mc_error error;
    bool goes_on = true;
    for (size_t i = 0; i < count; i++) {
        works[i] = (struct thread_work){.key = &keys[i]};
        mc_arena_init(&works[i].arena, SUMMARY_ARENA_MAX);
        read[i] = goes_on ? read_thread(run, &works[i], &error) : MC_CANCELLED;
        goes_on = goes_on && (!read[i] || read[i] == MC_NOT_FOUND);
        if (!goes_on && read[i] != MC_CANCELLED)
            note(run, &error);
    }
    if (goes_on && run->llm)
        ask_model(run, works, count);
    for (size_t i = 0; i < count && goes_on && !run->stopped; i++) {
        enum mc_status status = read[i];
        if (!status && works[i].messages.count > 0)
            status = store_summary(run, &works[i], &error);
        if (status && status != MC_CONFLICT && status != MC_NOT_FOUND) {
            note(run, &error);
            goes_on = false;
        } else {
            *skipped += status != MC_OK;
            run->summarised += status == MC_OK;
            goes_on = go_on(run);
        }
    }
    works_fini(works, count);
    return goes_on && !run->stopped;
}

static enum mc_status find_threads(struct run *run, size_t limit, struct due_threads *due,
                                   struct mc_error *err)
{
    enum mc_status status = run->store->ops->unsummarised(
        run->store, run->user_id, run->options->summarize_after_messages,
        run->now_us - run->options->summarize_after_us, limit, collect_thread, due, err);
    return !status && due->failed ? mc_fail_memory(err) : status;
}

static bool count_thread(void *context, const struct mc_summary *due)
{
    (void)due;
    struct run *run = context;
    run->summarised++;
    return true;
}

/* What a run that changes nothing would summarise. */
static void count_due(struct run *run)
{
    struct mc_error error;
    if (run->store->ops->unsummarised(
            run->store, run->user_id, run->options->summarize_after_messages,
            run->now_us - run->options->summarize_after_us, SIZE_MAX, count_thread, run, &error))
        note(run, &error);
}

/* Threads that are summarised at once: as many as the model takes. */
static size_t group_size(const struct run *run)
{
    size_t parallel = run->llm ? run->llm->parallel : 1;
    return parallel < 1 ? 1 : parallel < GROUP_MAX ? parallel : GROUP_MAX;
}

/*
 * Each round makes the threads that it found no longer due, so the rounds end. A thread of which a
 * message was deleted, or that was erased, meanwhile is left to the next run.
 */
static void summarise_all(struct run *run)
{
    bool more = !run->dry_run;
    while (more && go_on(run)) {
        mc_auto(mc_arena_fini) struct mc_arena arena;
        mc_arena_init(&arena, SUMMARY_ARENA_MAX);
        struct due_threads due = {.arena = &arena};
        struct mc_error error;
        int skipped = 0;
        if (find_threads(run, SUMMARY_THREADS, &due, &error)) {
            note(run, &error);
            return;
        }
        for (size_t i = 0; i < due.count;) {
            size_t count = due.count - i < group_size(run) ? due.count - i : group_size(run);
            if (!summarise_group(run, &due.keys[i], count, &skipped))
                return;
            i += count;
        }
        more = due.count == SUMMARY_THREADS && skipped == 0;
    }
    if (run->dry_run)
        count_due(run);
}

static void write_result(struct run *run, struct mc_buf *json)
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
static void empty_trash(struct run *run)
{
    size_t batch = MC_PACE_ROWS_FIRST;
    int64_t removed = 0;
    do {
        struct mc_error error;
        size_t limit = batch;
        int64_t began_us = mc_time_monotonic_us();
        if (run->store->ops->empty_trash(run->store, run->now_us - run->options->undo_us, limit,
                                         &removed, &error)) {
            note(run, &error);
            return;
        }
        if ((size_t)removed < limit)
            return;
        mc_pace(&batch, began_us, removed);
    } while (go_on(run));
}

/*
 * The run has its number before summaries are made: an undo that begins meanwhile takes it back too, and it moves nothing
 * after that. Nothing is changed while an undo is half done, but what is too old to be taken back goes all the same.
 */
static enum mc_status begin(struct run *run)
{
    struct mc_error error;
    enum mc_status status =
        mc_tiers_complete_undo(run->store, run->now_us, run->progress, run->context, &error);
    run->stopped = status == MC_CANCELLED;
    if (run->stopped)
        return status;
    if (status)
        note(run, &error);
    empty_trash(run);
    if (status || run->stopped || run->options->undo_us <= 0)
        return status;
    status =
        run->store->ops->begin_run(run->store, run->user_id, run->now_us, &run->number, &error);
    if (status)
        note(run, &error);
    return status;
}

static bool find_own(void *context, const struct mc_tier_run *other)
{
    struct run *run = context;
    run->kept = run->kept || (other->number == run->number && !other->undoing);
    return true;
}

/* One that was undone while it ran has ended: whoever stopped it is not to begin it again. */
static void end(struct run *run)
{
    struct mc_error error;
    if (run->number == 0)
        return;
    if (run->stopped) {
        run->kept = false;
        if (run->store->ops->runs(run->store, find_own, run, &error))
            note(run, &error);
        else if (!run->kept)
            run->stopped = false;
    }
    if (run->store->ops->end_run(run->store, run->number, mc_time_now_us(), &error))
        note(run, &error);
}

enum mc_status mc_tiers_run(struct mc_store *store, const struct mc_tiers_options *options,
                            mc_str user_id, int64_t now_us, bool dry_run, mc_progress_fn progress,
                            void *context, struct mc_buf *json, struct mc_error *err)
{
    struct run run = {
        .store = store,
        .options = options,
        .user_id = user_id,
        .now_us = now_us,
        .dry_run = dry_run,
        .progress = progress,
        .context = context,
        .llm = options->llm,
    };
    mc_buf_init(&run.errors_buf, SUMMARY_ARENA_MAX);
    run.errors = mc_json_writer(&run.errors_buf);
    mc_json_begin(&run.errors, '[');
    if (dry_run || begin(&run) == MC_OK) {
        if (!run.stopped)
            summarise_all(&run); /* before anything that a summary is made from is deleted */
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
