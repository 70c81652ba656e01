#include "context/lookup.h"

#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "base/time.h"
#include "base/utf8.h"
#include "context/lookup_state.h"

#define NAME_BYTES 64
#define DESCRIPTION_BYTES 2000
#define TIMEOUT_MS 500
#define TIMEOUT_MAX_MS 60000
#define TTL_MS 60000
#define TTL_MAX_MS (INT64_C(1000) * 30 * 86400)
#define SOURCE_ARENA_MAX ((size_t)1 << 16)

struct mc_lookups *mc_lookups_new(const struct mc_vocabulary *vocabulary,
                                  struct mc_metrics *metrics)
{
    struct mc_lookups *lookups = calloc(1, sizeof(*lookups));
    if (!lookups)
        return NULL;
    lookups->vocabulary = vocabulary;
    lookups->metrics = metrics;
    mc_mutex_init(&lookups->mutex);
    mc_list_init(&lookups->sources);
    atomic_init(&lookups->count, 0);
    mc_map_init(&lookups->asked);
    mc_answer_cache_init(&lookups->cache);
    return lookups;
}

static struct mc_lookup_source *source_at(struct mc_list *node)
{
    return mc_container_of(node, struct mc_lookup_source, link);
}

void mc_lookups_free(struct mc_lookups *lookups)
{
    if (!lookups)
        return;
    mc_mutex_lock(&lookups->mutex);
    for (struct mc_list *node = lookups->sources.next; node != &lookups->sources; node = node->next)
        mc_lookup_source_end(source_at(node)); /* all, before the first is waited for */
    mc_mutex_unlock(&lookups->mutex);
    while (!mc_list_empty(&lookups->sources)) {
        struct mc_lookup_source *source = source_at(lookups->sources.next);
        mc_list_remove(&source->link);
        mc_lookup_source_join(source);
        mc_lookup_source_unref(source);
    }
    mc_answer_cache_fini(&lookups->cache);
    mc_map_fini(&lookups->asked);
    mc_mutex_fini(&lookups->mutex);
    free(lookups);
}

/* ---- Registering ---- */

static bool is_name(mc_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '_' && c != '-')
            return false;
    }
    return name.len > 0 && name.len <= NAME_BYTES;
}

static enum mc_status check(const struct mc_source_options *options, struct mc_error *err)
{
    if (!is_name(options->name))
        return mc_fail_field(err, MC_INVALID, "name",
                             "the name must be 1 to %d letters, digits, '_' or '-'", NAME_BYTES);
    if (options->description.len > DESCRIPTION_BYTES ||
        !mc_utf8_check(options->description, NULL, NULL))
        return mc_fail_field(err, MC_INVALID, "description",
                             "the description must be valid UTF-8 of at most %d bytes",
                             DESCRIPTION_BYTES);
    if (options->topic_count == 0 || !options->topics ||
        options->topic_count > MC_VOCABULARY_TOPICS)
        return mc_fail_field(err, MC_INVALID, "topics",
                             "a source needs 1 to %d topics: it is asked about nothing else",
                             MC_VOCABULARY_TOPICS);
    if (!options->lookup)
        return mc_fail_field(err, MC_INVALID, "lookup", "the lookup function is missing");
    if (options->timeout_ms < 0 || options->timeout_ms > TIMEOUT_MAX_MS)
        return mc_fail_field(err, MC_INVALID, "timeout_ms",
                             "timeout_ms must be 1 to %d, or 0 for %d", TIMEOUT_MAX_MS, TIMEOUT_MS);
    if (options->cache_ttl_ms > TTL_MAX_MS)
        return mc_fail_field(err, MC_INVALID, "cache_ttl_ms",
                             "cache_ttl_ms must be at most %lld (30 days)", (long long)TTL_MAX_MS);
    return MC_OK;
}

static bool listed(const mc_str *items, size_t count, mc_str item)
{
    for (size_t i = 0; i < count; i++) {
        if (mc_str_equal(items[i], item))
            return true;
    }
    return false;
}

/* The topics as the vocabulary names them, each once. */
static enum mc_status settle_topics(const struct mc_vocabulary *vocabulary,
                                    const struct mc_source_options *options,
                                    struct mc_lookup_source *source, struct mc_error *err)
{
    mc_str *topics = mc_arena_array(&source->arena, options->topic_count, sizeof(*topics));
    if (!topics)
        return mc_fail_memory(err);
    for (size_t i = 0; i < options->topic_count; i++) {
        mc_str topic = mc_vocabulary_topic(vocabulary, options->topics[i]);
        if (!mc_str_given(topic)) {
            char shown[MC_VOCABULARY_NAME_BYTES + 1];
            mc_utf8_line(options->topics[i], shown, sizeof(shown));
            return mc_fail_field(err, MC_INVALID, "topics",
                                 "\"%s\" is not a topic of the vocabulary nor a synonym of one; "
                                 "add it to the option vocabulary.topics (or vocabulary.synonyms)",
                                 shown);
        }
        if (!listed(topics, source->topic_count, topic))
            topics[source->topic_count++] = topic;
    }
    source->topics = topics;
    return MC_OK;
}

static enum mc_status fill(const struct mc_vocabulary *vocabulary,
                           const struct mc_source_options *options, struct mc_lookup_source *source,
                           struct mc_error *err)
{
    source->name = mc_arena_copy(&source->arena, options->name);
    source->description = mc_arena_copy(&source->arena, options->description);
    if (!source->name.data || !source->description.data)
        return mc_fail_memory(err);
    source->lookup = options->lookup;
    source->context = options->context;
    int64_t timeout_ms = options->timeout_ms ? options->timeout_ms : TIMEOUT_MS;
    int64_t ttl_ms = options->cache_ttl_ms ? options->cache_ttl_ms : TTL_MS;
    source->timeout_us = timeout_ms * MC_US_PER_MS;
    source->ttl_us = ttl_ms > 0 ? ttl_ms * MC_US_PER_MS : -1;
    return settle_topics(vocabulary, options, source, err);
}

/* With the mutex held. */
static struct mc_lookup_source *find(struct mc_lookups *lookups, mc_str name)
{
    for (struct mc_list *node = lookups->sources.next; node != &lookups->sources;
         node = node->next) {
        if (mc_str_equal(source_at(node)->name, name))
            return source_at(node);
    }
    return NULL;
}

/* With the mutex held. */
static enum mc_status enter(struct mc_lookups *lookups, struct mc_lookup_source *source,
                            struct mc_error *err)
{
    if (find(lookups, source->name))
        return mc_fail_field(err, MC_CONFLICT, "name",
                             "a source \"%.*s\" is registered; remove it first or choose "
                             "another name",
                             MC_STR_ARG(source->name));
    if (atomic_load(&lookups->count) == MC_SOURCES_MAX)
        return mc_fail_field(err, MC_INVALID, "name",
                             "there are %d sources, which is the most; remove one first",
                             MC_SOURCES_MAX);
    source->number = lookups->next_number++;
    mc_list_push_back(&lookups->sources, &source->link);
    atomic_fetch_add(&lookups->count, 1);
    return MC_OK;
}

enum mc_status mc_lookups_register(struct mc_lookups *lookups,
                                   const struct mc_source_options *options, struct mc_error *err)
{
    enum mc_status status = check(options, err);
    if (status)
        return status;
    struct mc_lookup_source *source = calloc(1, sizeof(*source));
    if (!source)
        return mc_fail_memory(err);
    source->lookups = lookups;
    source->refs = 1;
    mc_arena_init(&source->arena, SOURCE_ARENA_MAX);
    mc_list_init(&source->link);
    mc_list_init(&source->queue);
    mc_cond_init(&source->work);
    status = fill(lookups->vocabulary, options, source, err);
    mc_mutex_lock(&lookups->mutex);
    if (!status)
        status = enter(lookups, source, err);
    if (status)
        mc_lookup_source_unref(source);
    mc_mutex_unlock(&lookups->mutex);
    return status;
}

/* ---- Removing and forgetting ---- */

/* With the mutex held: nobody finds the source from now on. */
static enum mc_status take_out(struct mc_lookups *lookups, mc_str name,
                               struct mc_lookup_source **source, struct mc_error *err)
{
    struct mc_lookup_source *found = find(lookups, name);
    char shown[NAME_BYTES + 1];
    mc_utf8_line(name, shown, sizeof(shown));
    if (!found)
        return mc_fail_field(err, MC_NOT_FOUND, "name", "no source \"%s\" is registered", shown);
    if (found->started && pthread_equal(found->thread, pthread_self()))
        return mc_fail_field(err, MC_INVALID, "name",
                             "the lookup of \"%s\" is running in this thread; remove it from "
                             "another one",
                             shown);
    mc_list_remove(&found->link);
    atomic_fetch_sub(&lookups->count, 1);
    mc_lookup_source_end(found);
    mc_answer_cache_forget_source(&lookups->cache, found->number);
    *source = found;
    return MC_OK;
}

enum mc_status mc_lookups_remove(struct mc_lookups *lookups, mc_str name, struct mc_error *err)
{
    struct mc_lookup_source *source = NULL;
    mc_mutex_lock(&lookups->mutex);
    enum mc_status status = take_out(lookups, name, &source, err);
    mc_mutex_unlock(&lookups->mutex);
    if (status)
        return status;
    mc_lookup_source_join(source);
    mc_mutex_lock(&lookups->mutex);
    mc_lookup_source_unref(source);
    mc_mutex_unlock(&lookups->mutex);
    return MC_OK;
}

static void forget_question(struct mc_lookup_question *question, mc_str user_id)
{
    if (mc_str_given(user_id) && !mc_str_equal(question->query.user_id, user_id))
        return;
    question->forgotten = true;
    mc_lookup_question_unshare(question);
}

void mc_lookups_forget(struct mc_lookups *lookups, mc_str user_id)
{
    mc_mutex_lock(&lookups->mutex);
    mc_answer_cache_forget_user(&lookups->cache, user_id);
    for (struct mc_list *node = lookups->sources.next; node != &lookups->sources;
         node = node->next) {
        struct mc_lookup_source *source = source_at(node);
        if (source->running)
            forget_question(source->running, user_id);
        for (struct mc_list *q = source->queue.next; q != &source->queue; q = q->next)
            forget_question(mc_container_of(q, struct mc_lookup_question, link), user_id);
    }
    mc_mutex_unlock(&lookups->mutex);
}

/* ---- Telling ---- */

bool mc_lookups_any(const struct mc_lookups *lookups)
{
    return lookups && atomic_load_explicit(&lookups->count, memory_order_relaxed) > 0;
}

/* With the mutex held. */
static mc_str *collect_topics(struct mc_lookups *lookups, struct mc_arena *arena, size_t *count)
{
    size_t most = 0;
    for (struct mc_list *node = lookups->sources.next; node != &lookups->sources; node = node->next)
        most += source_at(node)->topic_count;
    mc_str *topics = mc_arena_array(arena, most, sizeof(*topics));
    *count = 0;
    for (struct mc_list *node = lookups->sources.next; topics && node != &lookups->sources;
         node = node->next) {
        const struct mc_lookup_source *source = source_at(node);
        for (size_t i = 0; i < source->topic_count; i++) {
            if (!listed(topics, *count, source->topics[i]))
                topics[(*count)++] = source->topics[i];
        }
    }
    return topics;
}

enum mc_status mc_lookups_topics(struct mc_lookups *lookups, struct mc_arena *arena,
                                 mc_str **topics, size_t *count, struct mc_error *err)
{
    size_t found;
    mc_mutex_lock(&lookups->mutex);
    mc_str *made = collect_topics(lookups, arena, &found);
    mc_mutex_unlock(&lookups->mutex);
    if (!made)
        return mc_fail_memory(err);
    *topics = made;
    *count = found;
    return MC_OK;
}

static void write_source(const struct mc_lookup_source *source, struct mc_json_writer *w)
{
    mc_json_begin(w, '{');
    mc_json_member_string(w, "name", source->name);
    mc_json_member_string(w, "description", source->description);
    mc_json_key(w, "topics");
    mc_json_begin(w, '[');
    for (size_t i = 0; i < source->topic_count; i++)
        mc_json_put_string(w, source->topics[i]);
    mc_json_end(w, ']');
    mc_json_member_integer(w, "timeout_ms", source->timeout_us / MC_US_PER_MS);
    mc_json_member_integer(w, "cache_ttl_ms",
                           source->ttl_us < 0 ? -1 : source->ttl_us / MC_US_PER_MS);
    mc_json_member_integer(w, "lookups", source->calls);
    mc_json_member_integer(w, "cache_hits", source->hits);
    mc_json_member_integer(w, "failures", source->failures);
    mc_json_member_integer(w, "timeouts", source->timeouts);
    double mean_us = source->calls > 0 ? (double)source->total_us / (double)source->calls : 0;
    mc_json_member_fixed(w, "mean_ms", mean_us / (double)MC_US_PER_MS, 3);
    mc_json_member_text(w, "last_error", source->last_error[0] ? source->last_error : NULL);
    mc_json_end(w, '}');
}

void mc_lookups_write(struct mc_lookups *lookups, struct mc_buf *json)
{
    struct mc_json_writer w = mc_json_writer(json);
    mc_json_begin(&w, '{');
    mc_json_key(&w, "sources");
    mc_json_begin(&w, '[');
    mc_mutex_lock(&lookups->mutex);
    for (struct mc_list *node = lookups->sources.next; node != &lookups->sources; node = node->next)
        write_source(source_at(node), &w);
    mc_mutex_unlock(&lookups->mutex);
    mc_json_end(&w, ']');
    mc_json_end(&w, '}');
}
