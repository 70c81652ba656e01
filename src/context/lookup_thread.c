/* The thread that asks one source, and the life of a question. */
#include "context/lookup_state.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/log.h"
#include "base/str.h"
#include "base/time.h"
#include "base/utf8.h"

/* ---- References ---- */

void mc_lookup_source_unref(struct mc_lookup_source *source)
{
    if (--source->refs > 0)
        return;
    mc_cond_fini(&source->work);
    mc_arena_fini(&source->arena);
    free(source);
}

void mc_lookup_question_unref(struct mc_lookup_question *question)
{
    if (--question->refs > 0)
        return;
    mc_answer_unref(question->answer);
    mc_lookup_source_unref(question->source);
    mc_cond_fini(&question->done);
    mc_arena_fini(&question->arena);
    free(question);
}

void mc_lookup_question_unshare(struct mc_lookup_question *question)
{
    if (question->shared)
        (void)mc_map_remove(&question->source->lookups->asked, question->key);
    question->shared = false;
}

static void unqueue(struct mc_lookup_question *question)
{
    mc_list_remove(&question->link);
    question->queued = false;
    question->source->queued--;
}

void mc_lookup_question_leave(struct mc_lookup_question *question)
{
    question->askers--;
    if (question->askers == 0 && question->queued) {
        unqueue(question);
        mc_lookup_question_unshare(question);
        mc_lookup_question_unref(question);
    }
    mc_lookup_question_unref(question);
}

/* ---- Settling ---- */

/* The answer's reference is taken over; NULL means that it failed for the reason in the question. */
static void settle(struct mc_lookup_question *question, struct mc_source_answer *answer)
{
    struct mc_lookup_source *source = question->source;
    question->answer = answer;
    question->settled = true;
    if (answer && source->ttl_us > 0 && !source->ending && !question->forgotten)
        mc_answer_cache_put(&source->lookups->cache, question->key, question->query.user_id,
                            source->number, answer, mc_time_monotonic_us() + source->ttl_us);
    mc_lookup_question_unshare(question);
    mc_cond_broadcast(&question->done);
    mc_lookup_question_unref(question);
}

/* What the function said is foreign text: one line, and something when it said nothing. */
static void explain(char reason[MC_LOOKUP_REASON_SIZE], enum mc_status status,
                    const struct mc_error *error)
{
    size_t len = 0;
    while (len < sizeof(error->message) && error->message[len])
        len++;
    mc_str said = mc_str_trim((mc_str){error->message, len});
    if (said.len == 0)
        said = mc_str_of(mc_status_text(status));
    mc_utf8_line(said, reason, MC_LOOKUP_REASON_SIZE);
}

/* Calls the source's function; NULL and why when that failed. */
static struct mc_source_answer *look_up(const struct mc_lookup_source *source,
                                        const struct mc_source_query *query,
                                        char reason[MC_LOOKUP_REASON_SIZE])
{
    struct mc_source_answer *answer = mc_answer_new();
    struct mc_error error = {0};
    enum mc_status status =
        answer ? source->lookup(source->context, query, answer, &error) : MC_NO_MEMORY;
    if (!status && answer->no_memory) {
        error.message[0] = '\0';
        status = MC_NO_MEMORY;
    }
    if (!status && answer->count == 0 && answer->rejected > 0) {
        snprintf(error.message, sizeof(error.message),
                 "all it added was refused: blank, or not valid UTF-8");
        status = MC_INVALID;
    }
    if (!status)
        return answer;
    explain(reason, status, &error);
    mc_answer_unref(answer);
    return NULL;
}

static void run_one(struct mc_lookup_source *source, struct mc_lookup_question *question)
{
    struct mc_lookups *lookups = source->lookups;
    unqueue(question);
    source->running = question;
    mc_mutex_unlock(&lookups->mutex);

    char reason[MC_LOOKUP_REASON_SIZE] = "";
    int64_t started_us = mc_time_monotonic_us();
    struct mc_source_answer *answer = look_up(source, &question->query, reason);
    int64_t elapsed_us = mc_time_monotonic_us() - started_us;
    mc_metrics_observe_us(lookups->metrics, MC_TIME_SOURCE_LOOKUP, elapsed_us);
    if (!answer)
        mc_log(MC_LOG_WARNING, "source", "%.*s: %s", MC_STR_ARG(source->name), reason);

    mc_mutex_lock(&lookups->mutex);
    source->running = NULL;
    source->calls++;
    source->total_us += elapsed_us;
    if (!answer) {
        source->failures++;
        memcpy(source->last_error, reason, sizeof(reason));
        memcpy(question->reason, reason, sizeof(reason));
    }
    settle(question, answer);
}

static void *run(void *context)
{
    struct mc_lookup_source *source = context;
    mc_mutex_lock(&source->lookups->mutex);
    while (!source->ending) {
        if (mc_list_empty(&source->queue))
            mc_cond_wait(&source->work, &source->lookups->mutex);
        else
            run_one(source, mc_container_of(source->queue.next, struct mc_lookup_question, link));
    }
    mc_mutex_unlock(&source->lookups->mutex);
    return NULL;
}

/* ---- The queue ---- */

enum mc_status mc_lookup_source_push(struct mc_lookup_source *source,
                                     struct mc_lookup_question *question, struct mc_error *err)
{
    if (!source->started) {
        enum mc_status status = mc_thread_start(&source->thread, "mc-source", run, source, err);
        if (status)
            return status;
        source->started = true;
    }
    mc_list_push_back(&source->queue, &question->link);
    question->queued = true;
    question->refs++;
    source->queued++;
    mc_cond_signal(&source->work);
    return MC_OK;
}

void mc_lookup_source_end(struct mc_lookup_source *source)
{
    source->ending = true;
    while (!mc_list_empty(&source->queue)) {
        struct mc_lookup_question *question =
            mc_container_of(source->queue.next, struct mc_lookup_question, link);
        unqueue(question);
        snprintf(question->reason, sizeof(question->reason), "the source was removed");
        settle(question, NULL);
    }
    mc_cond_signal(&source->work);
}

void mc_lookup_source_join(struct mc_lookup_source *source)
{
    if (source->started) /* constant since it was ended */
        mc_thread_join(source->thread);
}
