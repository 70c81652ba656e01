/* Asking all sources that a query concerns, and waiting for them. */
#include "context/lookup_state.h"

#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "context/query.h"

#define KEY_MAX ((size_t)1 << 20)
#define QUESTION_ARENA_MAX ((size_t)4 << 20)

/* What one source was asked: it has an answer, or a question to wait for, or a reason. */
struct asked {
    mc_str source;
    struct mc_source_answer *answer;
    struct mc_lookup_question *question;
    mc_str reason;
    int64_t timeout_us;
    int64_t until_us;
    bool cached;
};

struct mc_lookup_round {
    struct mc_lookups *lookups;
    struct mc_arena *arena;
    int64_t deadline_us; /* INT64_MAX: none */
    struct asked items[MC_SOURCES_MAX];
    size_t count;
};

/* ---- Asking ---- */

/* With lengths, so that no two queries have the same. */
static void add_part(struct mc_buf *key, mc_str part)
{
    uint64_t len = part.len;
    mc_buf_append(key, (mc_str){(const char *)&len, sizeof(len)});
    mc_buf_append(key, part);
}

static void write_key(uint64_t source, const struct mc_source_query *query, struct mc_buf *key)
{
    add_part(key, (mc_str){(const char *)&source, sizeof(source)});
    add_part(key, query->user_id);
    add_part(key, query->thread_id);
    add_part(key, query->agent_id);
    add_part(key, query->text);
    for (size_t i = 0; i < query->topic_count; i++)
        add_part(key, query->topics[i]);
}

static bool copy_query(const struct mc_source_query *query, struct mc_arena *arena,
                       struct mc_source_query *copy)
{
    mc_str *topics = mc_arena_array(arena, query->topic_count, sizeof(*topics));
    *copy = (struct mc_source_query){
        .user_id = mc_arena_copy(arena, query->user_id),
        .thread_id = mc_arena_copy(arena, query->thread_id),
        .agent_id = query->agent_id.len > 0 ? mc_arena_copy(arena, query->agent_id) : MC_STR_NONE,
        .topics = topics,
        .topic_count = query->topic_count,
        .text = mc_arena_copy(arena, query->text),
    };
    for (size_t i = 0; topics && i < query->topic_count; i++)
        topics[i] = query->topics[i]; /* the vocabulary's */
    return topics && copy->user_id.data && copy->thread_id.data && copy->text.data &&
           (query->agent_id.len == 0 || copy->agent_id.data);
}

/* With one reference, the asker's; NULL when out of memory. */
static struct mc_lookup_question *new_question(struct mc_lookup_source *source,
                                               const struct mc_source_query *query, mc_str key)
{
    struct mc_lookup_question *question = calloc(1, sizeof(*question));
    if (!question)
        return NULL;
    mc_arena_init(&question->arena, QUESTION_ARENA_MAX);
    mc_list_init(&question->link);
    mc_cond_init(&question->done);
    question->source = source;
    source->refs++;
    question->refs = question->askers = 1;
    question->key = mc_arena_copy(&question->arena, key);
    if (!question->key.data || !copy_query(query, &question->arena, &question->query) ||
        !mc_map_put(&source->lookups->asked, question->key, question)) {
        mc_lookup_question_unref(question);
        return NULL;
    }
    question->shared = true;
    return question;
}

/* A new question into the queue; why not when it could not be put there. */
static enum mc_status put_question(struct asked *asked, struct mc_lookup_source *source,
                                   const struct mc_source_query *query, mc_str key,
                                   struct mc_arena *arena, struct mc_error *err)
{
    if (source->queued == MC_LOOKUP_QUEUE) {
        source->failures++;
        asked->reason = MC_STR("busy: too many questions are waiting");
        return MC_OK;
    }
    struct mc_lookup_question *question = new_question(source, query, key);
    if (!question)
        return mc_fail_memory(err);
    struct mc_error error;
    if (mc_lookup_source_push(source, question, &error)) {
        source->failures++;
        mc_lookup_question_unshare(question);
        mc_lookup_question_unref(question);
        asked->reason = mc_arena_copy(arena, mc_str_of(error.message));
        return asked->reason.data ? MC_OK : mc_fail_memory(err);
    }
    asked->question = question;
    return MC_OK;
}

static enum mc_status ask_source(struct mc_lookup_round *round, struct mc_lookup_source *source,
                                 const struct mc_source_query *query, int64_t now_us,
                                 struct mc_error *err)
{
    struct mc_lookups *lookups = round->lookups;
    int64_t until_us = now_us + source->timeout_us;
    struct asked asked = {
        .source = mc_arena_copy(round->arena, source->name),
        .timeout_us = source->timeout_us,
        .until_us = until_us < round->deadline_us ? until_us : round->deadline_us,
    };
    mc_auto(mc_buf_fini) struct mc_buf key;
    mc_buf_init(&key, KEY_MAX);
    write_key(source->number, query, &key);
    if (!asked.source.data || key.failed)
        return mc_fail_memory(err);
    struct mc_source_answer *known = mc_answer_cache_get(&lookups->cache, mc_buf_str(&key), now_us);
    struct mc_lookup_question *same = mc_map_get(&lookups->asked, mc_buf_str(&key));
    enum mc_status status = MC_OK;
    if (known) {
        asked.answer = mc_answer_ref(known);
        asked.cached = true;
        source->hits++;
    } else if (same) {
        same->refs++;
        same->askers++;
        asked.question = same;
    } else {
        status = put_question(&asked, source, query, mc_buf_str(&key), round->arena, err);
    }
    if (!status)
        round->items[round->count++] = asked;
    return status;
}

/* Those of the query's topics that the source has, in the order of the source. */
static size_t common_topics(const struct mc_lookup_source *source, const mc_str *topics,
                            size_t count, mc_str *common)
{
    size_t found = 0;
    for (size_t i = 0; i < source->topic_count; i++) {
        bool wanted = false;
        for (size_t k = 0; k < count && !wanted; k++)
            wanted = mc_str_equal(topics[k], source->topics[i]);
        if (wanted)
            common[found++] = source->topics[i];
    }
    return found;
}

static enum mc_status ask_all(struct mc_lookup_round *round, const struct mc_source_query *query,
                              const mc_str *topics, size_t topic_count, struct mc_error *err)
{
    struct mc_lookups *lookups = round->lookups;
    int64_t now_us = mc_time_monotonic_us();
    for (struct mc_list *node = lookups->sources.next; node != &lookups->sources;
         node = node->next) {
        struct mc_lookup_source *source = mc_container_of(node, struct mc_lookup_source, link);
        mc_str *common = mc_arena_array(round->arena, source->topic_count, sizeof(*common));
        if (!common)
            return mc_fail_memory(err);
        struct mc_source_query question = *query;
        question.topics = common;
        question.topic_count = common_topics(source, topics, topic_count, common);
        if (question.topic_count == 0)
            continue;
        enum mc_status status = ask_source(round, source, &question, now_us, err);
        if (status)
            return status;
    }
    return MC_OK;
}

enum mc_status mc_lookups_begin(struct mc_lookups *lookups, const struct mc_source_query *query,
                                int64_t deadline_us, struct mc_arena *arena,
                                struct mc_lookup_round **round, struct mc_error *err)
{
    struct mc_lookup_round *made = mc_arena_alloc(arena, sizeof(*made));
    mc_str *topics = mc_arena_array(arena, query->topic_count, sizeof(*topics));
    if (!made || !topics)
        return mc_fail_memory(err);
    made->lookups = lookups;
    made->arena = arena;
    made->deadline_us = deadline_us ? deadline_us : INT64_MAX;
    size_t count = 0;
    for (size_t i = 0; i < query->topic_count; i++) {
        mc_str topic = mc_vocabulary_topic(lookups->vocabulary, query->topics[i]);
        if (mc_str_given(topic))
            topics[count++] = topic;
    }
    struct mc_source_query cut = *query;
    enum mc_status status = mc_query_ends(query->text, MC_LOOKUP_TEXT_BYTES, arena, &cut.text, err);
    if (status)
        return status;
    mc_mutex_lock(&lookups->mutex);
    status = ask_all(made, &cut, topics, count, err);
    mc_mutex_unlock(&lookups->mutex);
    if (status) {
        mc_lookups_abandon(made);
        return status;
    }
    *round = made;
    return MC_OK;
}

/* ---- Collecting ---- */

/* Leaves the questions and drops the answers; with the mutex held. */
static void release(struct mc_lookup_round *round)
{
    for (size_t i = 0; i < round->count; i++) {
        struct asked *asked = &round->items[i];
        if (asked->question)
            mc_lookup_question_leave(asked->question);
        mc_answer_unref(asked->answer);
        asked->question = NULL;
        asked->answer = NULL;
    }
    round->count = 0;
}

void mc_lookups_abandon(struct mc_lookup_round *round)
{
    if (!round)
        return;
    mc_mutex_lock(&round->lookups->mutex);
    release(round);
    mc_mutex_unlock(&round->lookups->mutex);
}

/* With the mutex held; false when out of memory. */
static bool settle(struct mc_lookup_round *round, struct asked *asked, enum mc_counter *counter)
{
    struct mc_lookup_question *question = asked->question;
    *counter = asked->cached ? MC_COUNT_SOURCE_CACHED : MC_COUNT_SOURCE_FAILED;
    if (!question)
        return true;
    bool time_left = true;
    while (!question->settled && time_left)
        time_left = mc_cond_wait_until(&question->done, &round->lookups->mutex, asked->until_us);
    if (question->settled && question->answer) {
        asked->answer = mc_answer_ref(question->answer);
        *counter = asked->answer->count > 0 ? MC_COUNT_SOURCE_ANSWER : MC_COUNT_SOURCE_EMPTY;
        return true;
    }
    if (question->settled) {
        asked->reason = mc_arena_copy(round->arena, mc_str_of(question->reason));
    } else {
        question->source->timeouts++;
        *counter = MC_COUNT_SOURCE_TIMEOUT;
        asked->reason = asked->until_us == round->deadline_us
                            ? MC_STR("no answer before the deadline")
                            : mc_arena_printf(round->arena, "no answer within %lld ms",
                                              (long long)(asked->timeout_us / MC_US_PER_MS));
    }
    return asked->reason.data != NULL;
}

/* Waits for one after the other: the times until which were fixed when they were asked. */
static enum mc_status settle_all(struct mc_lookup_round *round, struct mc_error *err)
{
    bool fine = true;
    mc_mutex_lock(&round->lookups->mutex);
    for (size_t i = 0; i < round->count && fine; i++) {
        enum mc_counter counter;
        fine = settle(round, &round->items[i], &counter);
        mc_metrics_add(round->lookups->metrics, counter, 1);
    }
    mc_mutex_unlock(&round->lookups->mutex);
    return fine ? MC_OK : mc_fail_memory(err);
}

static bool copy_pieces(const struct asked *asked, struct mc_arena *arena,
                        struct mc_lookup_result *result)
{
    for (size_t i = 0; i < asked->answer->count; i++) {
        const struct mc_answer_piece *piece = &asked->answer->pieces[i];
        struct mc_lookup_piece copy = {
            .source = asked->source,
            .title = mc_arena_copy(arena, piece->title),
            .text = mc_arena_copy(arena, piece->text),
            .cached = asked->cached,
        };
        if (!copy.title.data || !copy.text.data)
            return false;
        result->pieces[result->count++] = copy;
    }
    return true;
}

static enum mc_status copy_result(const struct mc_lookup_round *round,
                                  struct mc_lookup_result *result, struct mc_error *err)
{
    struct mc_lookup_result made = {0};
    size_t pieces = 0;
    for (size_t i = 0; i < round->count; i++)
        pieces += round->items[i].answer ? round->items[i].answer->count : 0;
    made.pieces = mc_arena_array(round->arena, pieces, sizeof(*made.pieces));
    made.failures = mc_arena_array(round->arena, round->count, sizeof(*made.failures));
    if (!made.pieces || !made.failures)
        return mc_fail_memory(err);
    for (size_t i = 0; i < round->count; i++) {
        const struct asked *asked = &round->items[i];
        if (!asked->answer)
            made.failures[made.failure_count++] =
                (struct mc_lookup_failure){asked->source, asked->reason};
        else if (!copy_pieces(asked, round->arena, &made))
            return mc_fail_memory(err);
    }
    *result = made;
    return MC_OK;
}

enum mc_status mc_lookups_collect(struct mc_lookup_round *round, struct mc_lookup_result *result,
                                  struct mc_error *err)
{
    enum mc_status status = settle_all(round, err);
    if (!status)
        status = copy_result(round, result, err);
    mc_lookups_abandon(round);
    return status;
}

enum mc_status mc_lookups_ask(struct mc_lookups *lookups, const struct mc_source_query *query,
                              int64_t deadline_us, struct mc_arena *arena,
                              struct mc_lookup_result *result, struct mc_error *err)
{
    struct mc_lookup_round *round = NULL;
    enum mc_status status = mc_lookups_begin(lookups, query, deadline_us, arena, &round, err);
    return status ? status : mc_lookups_collect(round, result, err);
}
