#include "memory/tiers.h"

#include "base/arena.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "message/metadata.h"
#include "text/summarise.h"

#define STEP_ROWS 500
#define SUMMARY_THREADS 100  /* found at once */
#define SUMMARY_MESSAGES 400 /* newest messages of a thread that its summary is made from */
#define SUMMARY_BYTES 1500
#define SUMMARY_ARENA_MAX ((size_t)64 << 20)
#define SUMMARY_TOPICS 5

struct run {
    struct mc_store *store;
    const struct mc_tiers_options *options;
    mc_str user_id;
    int64_t now_us;
    bool dry_run;
    mc_progress_fn progress;
    void *context;
    int64_t moved, deleted, summarised;
    struct mc_buf errors_buf; /* a JSON array of texts */
    struct mc_json_writer errors;
    bool stopped;
};

static void note(struct run *run, const struct mc_error *error)
{
    mc_log(MC_LOG_ERROR, "tiers", "%s", error->message);
    mc_json_put_text(&run->errors, error->message);
}

/* Tells how far it is; false when the caller wants no more. */
static bool go_on(struct run *run)
{
    uint64_t done = (uint64_t)(run->moved + run->deleted + run->summarised);
    if (run->progress && !run->progress(run->context, done, 0))
        run->stopped = true;
    return !run->stopped;
}

static void move(struct run *run)
{
    struct mc_tier_rule rule = {
        .user_id = run->user_id,
        .now_us = run->now_us,
        .short_us = run->options->short_us,
        .mid_us = run->options->mid_us,
        .long_us = run->options->long_us,
        .trivial_delete_us = run->options->trivial_delete_us,
        .archive_delete_us = run->options->archive_delete_us,
        .keep_importance = run->options->keep_importance,
        .batch = STEP_ROWS,
        .dry_run = run->dry_run,
    };
    struct mc_tier_step step;
    bool again = true;
    while (again && go_on(run)) {
        struct mc_error error;
        if (run->store->ops->migrate(run->store, &rule, &step, &error)) {
            note(run, &error);
            return;
        }
        run->moved += step.moved;
        run->deleted += step.deleted;
        /* What a step archived may be due for deletion by the next. */
        again = !run->dry_run && (step.more || step.moved > 0);
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

static enum mc_status store_summary(struct run *run, const struct thread_key *key, int64_t version,
                                    const struct mc_records *messages, struct mc_arena *arena,
                                    struct mc_error *err)
{
    struct mc_utterance *said = mc_arena_array(arena, messages->count, sizeof(struct mc_utterance));
    if (!said)
        return mc_fail_memory(err);
    for (size_t i = 0; i < messages->count; i++) {
        const struct mc_message *m = &messages->items[i]->m;
        said[i] = (struct mc_utterance){mc_str_of(mc_role_name(m->role)), m->text, m->importance};
    }
    struct mc_extract extract;
    enum mc_status status =
        mc_summarise(said, messages->count, SUMMARY_BYTES, arena, &extract, err);
    if (status)
        return status;
    mc_auto(mc_buf_fini) struct mc_buf facts;
    mc_auto(mc_buf_fini) struct mc_buf topics;
    mc_buf_init(&facts, SUMMARY_ARENA_MAX);
    mc_buf_init(&topics, SUMMARY_ARENA_MAX);
    struct mc_json_writer w = mc_json_writer(&facts);
    mc_json_begin(&w, '[');
    for (size_t i = 0; i < extract.fact_count; i++)
        mc_json_put_string(&w, extract.facts[i]);
    mc_json_end(&w, ']');
    w = mc_json_writer(&topics);
    write_topics(messages, arena, &w);
    if (facts.failed || topics.failed)
        return mc_fail_memory(err);
    struct mc_summary summary = {
        .user_id = key->user_id,
        .thread_id = key->thread_id,
        .text = extract.text,
        .key_facts = mc_buf_str(&facts),
        .topics = mc_buf_str(&topics),
        .method = MC_STR("extractive"),
        .first_us = messages->items[0]->m.created_at_us,
        .last_us = messages->items[messages->count - 1]->m.created_at_us,
        .messages = (int64_t)messages->count,
        .created_at_us = run->now_us,
        .thread_version = version,
    };
    return run->store->ops->put_summary(run->store, &summary, err);
}

static enum mc_status summarise_thread(struct run *run, const struct thread_key *key,
                                       struct mc_error *err)
{
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, SUMMARY_ARENA_MAX);
    mc_auto(mc_records_fini) struct mc_records messages = {0};
    const struct mc_reader everything = {.everything = true};
    struct mc_recent_read read = {
        .user_id = key->user_id,
        .thread_id = key->thread_id,
        .limit = SUMMARY_MESSAGES,
        .reader = &everything,
    };
    struct mc_thread_state state; /* first: a message deleted after this makes the store refuse */
    enum mc_status status =
        run->store->ops->thread(run->store, key->user_id, key->thread_id, &state, err);
    if (!status)
        status = run->store->ops->recent(run->store, &read, &messages, err);
    if (status || messages.count == 0)
        return status;
    mc_records_reverse(&messages);
    return store_summary(run, key, state.version, &messages, &arena, err);
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
        for (size_t i = 0; i < due.count; i++) {
            enum mc_status status = summarise_thread(run, &due.keys[i], &error);
            if (status && status != MC_CONFLICT && status != MC_NOT_FOUND) {
                note(run, &error);
                return;
            }
            skipped += status != MC_OK;
            run->summarised += status == MC_OK;
            if (!go_on(run))
                return;
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
    mc_json_key(&w, "errors");
    mc_json_put_raw(&w, mc_buf_str(&run->errors_buf));
    mc_json_member_boolean(&w, "dry_run", run->dry_run);
    mc_json_end(&w, '}');
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
    };
    mc_buf_init(&run.errors_buf, SUMMARY_ARENA_MAX);
    run.errors = mc_json_writer(&run.errors_buf);
    mc_json_begin(&run.errors, '[');
    summarise_all(&run); /* before anything that a summary is made from is deleted */
    if (!run.stopped)
        move(&run);
    mc_json_end(&run.errors, ']');
    if (!run.stopped)
        write_result(&run, json);
    mc_buf_fini(&run.errors_buf);
    if (run.stopped)
        return mc_fail(err, MC_CANCELLED, "tier migration was stopped; what was done stays done");
    return MC_OK;
}
