/* The summaries of a tier migration: by a model, or extractive. */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "base/time.h"
#include "memory/migration.h"
#include "memory/summary.h"
#include "message/metadata.h"
#include "text/summarise.h"

#define SUMMARY_THREADS 100  /* found at once */
#define SUMMARY_MESSAGES 400 /* newest messages of a thread that its summary is made from */
#define READ_BYTES MC_READ_PAGE_BYTES /* and no more of them than these */
#define SUMMARY_BYTES 1500
#define SUMMARY_ARENA_MAX ((size_t)64 << 20)
#define SUMMARY_TOPICS 5
#define SUMMARY_DEADLINE_US (30 * MC_US_PER_SECOND)
#define GROUP_MAX ((size_t)8) /* threads that a model summarises at once */
#define GROUPS_FAILED 2

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

static enum mc_status store_summary(struct mc_migration *run, struct thread_work *work,
                                    struct mc_error *err)
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

static enum mc_status read_thread(struct mc_migration *run, struct thread_work *work,
                                  struct mc_error *err)
{
    struct mc_load load = {.memory = NULL};
    const struct mc_reader everything = {.everything = true, .load = &load};
    struct mc_recent_read read = {
        .user_id = work->key->user_id,
        .thread_id = work->key->thread_id,
        .limit = SUMMARY_MESSAGES,
        .reader = &everything,
    };
    mc_load_begin(&load, READ_BYTES);
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
    return mc_migration_go_on(context);
}

/*
 * Asks the model for the summaries of a group. A model that only fails is not waited for again and
 * again: after GROUPS_FAILED groups without one summary the rest of the run does without it.
 */
static void ask_model(struct mc_migration *run, struct thread_work *works, size_t count)
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
static bool summarise_group(struct mc_migration *run, const struct thread_key *keys, size_t count,
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
            mc_migration_note(run, &error);
    }
    if (goes_on && run->llm)
        ask_model(run, works, count);
    for (size_t i = 0; i < count && goes_on && !run->stopped; i++) {
        enum mc_status status = read[i];
        if (!status && works[i].messages.count > 0)
            status = store_summary(run, &works[i], &error);
        if (status && status != MC_CONFLICT && status != MC_NOT_FOUND) {
            mc_migration_note(run, &error);
            goes_on = false;
        } else {
            *skipped += status != MC_OK;
            run->summarised += status == MC_OK;
            goes_on = mc_migration_go_on(run);
        }
    }
    works_fini(works, count);
    return goes_on && !run->stopped;
}

static enum mc_status find_threads(struct mc_migration *run, size_t limit, mc_summary_fn each,
                                   void *context, struct mc_error *err)
{
    return run->store->ops->unsummarised(
        run->store, run->user_id, run->options->summarize_after_messages,
        run->now_us - run->options->summarize_after_us, limit, each, context, err);
}

static bool count_thread(void *context, const struct mc_summary *due)
{
    (void)due;
    struct mc_migration *run = context;
    run->summarised++;
    return true;
}

/* What a run that changes nothing would summarise. */
static void count_due(struct mc_migration *run)
{
    struct mc_error error;
    if (find_threads(run, SIZE_MAX, count_thread, run, &error))
        mc_migration_note(run, &error);
}

/* Threads that are summarised at once: as many as the model takes. */
static size_t group_size(const struct mc_migration *run)
{
    size_t parallel = run->llm ? run->llm->parallel : 1;
    return parallel < 1 ? 1 : parallel < GROUP_MAX ? parallel : GROUP_MAX;
}

/*
 * Each round makes the threads that it found no longer due, so the rounds end. A thread of which a
 * message was deleted, or that was erased, meanwhile is left to the next run.
 */
void mc_migration_summarise(struct mc_migration *run)
{
    bool more = !run->dry_run;
    while (more && mc_migration_go_on(run)) {
        mc_auto(mc_arena_fini) struct mc_arena arena;
        mc_arena_init(&arena, SUMMARY_ARENA_MAX);
        struct due_threads due = {.arena = &arena};
        struct mc_error error;
        int skipped = 0;
        enum mc_status status = find_threads(run, SUMMARY_THREADS, collect_thread, &due, &error);
        if (!status && due.failed)
            status = mc_fail_memory(&error);
        if (status) {
            mc_migration_note(run, &error);
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
