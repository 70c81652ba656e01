/*
 * DESIGN. How near two texts of no relation are depends on the model: 0.05 with one, 0.75 with another. So what
 * counts is how much nearer a message is than the user's messages on the whole, as a part of the way from there to
 * 1. A scan of all of them gives their mean for nothing. For a few messages a mean says little: as if PRIOR
 * messages of no likeness were among them.
 */
#include "context/meaning.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"
#include "base/utf8.h"
#include "context/query.h"
#include "context/vector_cache.h"

#define PRIOR 4.0
/* This part of the way is chance. */
#define FLOOR 0.2
#define QUERY_BYTES 4000
#define QUERIES 64 /* whose vectors are kept */

/* The vector of a query by a model. */
struct kept {
    char *text; /* NULL: a free place */
    size_t model;
    float *values;
    size_t dimension;
    uint64_t used;
};

struct mc_meaning {
    struct mc_meaning_options options;
    struct mc_vector_cache cache;
    mc_mutex mutex; /* guards what follows */
    struct kept kept[QUERIES];
    uint64_t uses;
    int64_t numbers[MC_MEANING_MODELS]; /* of the models in the store, 0: not known yet */
    int64_t newest;                     /* the highest number that was seen there */
};

/* ---- Queries ---- */

static void drop(struct kept *kept)
{
    free(kept->text);
    free(kept->values);
    *kept = (struct kept){.text = NULL};
}

/* A copy of the query's vector in the arena; false when none is kept. */
static bool recall(struct mc_meaning *m, mc_str text, size_t model, struct mc_arena *arena,
                   float **values, size_t *dimension)
{
    bool found = false;
    mc_mutex_lock(&m->mutex);
    for (size_t i = 0; i < QUERIES && !found; i++) {
        struct kept *kept = &m->kept[i];
        if (!kept->text || kept->model != model || !mc_str_equal(mc_str_of(kept->text), text))
            continue;
        kept->used = ++m->uses;
        *dimension = kept->dimension;
        *values = mc_arena_array(arena, kept->dimension, sizeof(**values));
        if (*values)
            memcpy(*values, kept->values, kept->dimension * sizeof(**values));
        found = *values != NULL;
    }
    mc_mutex_unlock(&m->mutex);
    return found;
}

/* Keeps it in the place that was used longest ago; without memory it is not kept. */
static void keep(struct mc_meaning *m, mc_str text, size_t model, const float *values,
                 size_t dimension)
{
    struct kept made = {.text = mc_str_dup(text), .model = model, .dimension = dimension};
    made.values = malloc(dimension * sizeof(*values));
    if (!made.text || !made.values) {
        drop(&made);
        return;
    }
    memcpy(made.values, values, dimension * sizeof(*values));
    mc_mutex_lock(&m->mutex);
    struct kept *place = &m->kept[0];
    for (size_t i = 1; i < QUERIES; i++) {
        if (m->kept[i].used < place->used)
            place = &m->kept[i];
    }
    drop(place);
    made.used = ++m->uses;
    *place = made;
    mc_mutex_unlock(&m->mutex);
}

/* The query as a vector of length 1. */
static enum mc_status embed(struct mc_meaning *m, mc_str text, size_t model, int64_t deadline_us,
                            struct mc_arena *arena, float **values, size_t *dimension,
                            struct mc_error *err)
{
    if (recall(m, text, model, arena, values, dimension))
        return MC_OK;
    const struct mc_llm_turn turn = {.text = text};
    const struct mc_llm_wait wait = {.deadline_us = deadline_us};
    struct mc_llm_call call = {.operation = MC_LLM_EMBED, .turns = &turn, .turn_count = 1};
    struct mc_llm *llm = m->options.models[model].llm;
    llm->ops->generate(llm, &call, 1, &wait, arena);
    if (call.status != MC_OK)
        return mc_fail(err, call.status, "%s", call.error.message);
    *dimension = mc_llm_vector_dimension(&call);
    *values = mc_arena_array(arena, *dimension, sizeof(**values));
    if (!*values)
        return mc_fail_memory(err);
    memcpy(*values, call.answer.data, call.answer.len);
    if (!mc_vector_normalise(*values, *dimension))
        return mc_fail(err, MC_INVALID, "the embeddings model gives no vector of the query");
    keep(m, text, model, *values, *dimension);
    return MC_OK;
}

/* ---- Models ---- */

static bool note_number(void *context, const struct mc_vector_model *model)
{
    struct mc_meaning *m = context;
    m->newest = model->number > m->newest ? model->number : m->newest;
    for (size_t i = 0; i < m->options.model_count; i++) {
        bool wanted = i > 0 || model->current;
        if (wanted && mc_str_equal(model->name, mc_str_of(m->options.models[i].name)))
            m->numbers[i] = model->number;
    }
    return true;
}

/* Which of the models has this number; MC_MEANING_MODELS: none. *strange: it is newer than what is known. */
static size_t model_of(struct mc_meaning *m, int64_t number, bool *strange)
{
    size_t model = MC_MEANING_MODELS;
    mc_mutex_lock(&m->mutex);
    for (size_t i = 0; i < m->options.model_count; i++) {
        if (m->numbers[i] == number)
            model = i;
    }
    *strange = *strange || number > m->newest;
    mc_mutex_unlock(&m->mutex);
    return model;
}

/* A set of a number that is not known yet makes it worth asking. */
static enum mc_status learn_models(struct mc_meaning *m, struct mc_error *err)
{
    struct mc_meaning seen = {.options = m->options};
    int64_t waiting;
    enum mc_status status =
        m->options.store->ops->vector_models(m->options.store, note_number, &seen, &waiting, err);
    if (status != MC_OK)
        return status;
    mc_mutex_lock(&m->mutex);
    memcpy(m->numbers, seen.numbers, sizeof(m->numbers));
    m->newest = seen.newest;
    mc_mutex_unlock(&m->mutex);
    return MC_OK;
}

/* ---- Comparing ---- */

struct filter {
    const struct mc_vector_place *places;
    const bool *allowed; /* by class; NULL: all */
    bool of_thread;
    uint64_t thread;
    int64_t since_us, until_us;
};

static bool passes(const void *context, size_t index)
{
    const struct filter *filter = context;
    const struct mc_vector_place *place = &filter->places[index];
    return (!filter->allowed || filter->allowed[place->class]) &&
           (!filter->of_thread || place->thread == filter->thread) &&
           (!filter->since_us || place->created_at_us >= filter->since_us) &&
           (!filter->until_us || place->created_at_us < filter->until_us);
}

static double share_of(double score, double mean, size_t count)
{
    double usual = fmax(mean * (double)count / ((double)count + PRIOR), 0);
    double floor = usual + FLOOR * (1 - usual);
    return fmin(fmax((score - floor) / (1 - floor), 0), 1);
}

static void add(struct mc_meaning_result *result, int64_t row, double share)
{
    if (share > 0)
        result->items[result->count++] = (struct mc_meant){row, share};
}

/* Adds the nearest of a set to the result, which has room. */
static enum mc_status compare(const struct mc_vector_entry *entry, const struct mc_vector_set *set,
                              const float *values, const struct mc_meaning_query *query,
                              struct mc_arena *arena, struct mc_meaning_result *result,
                              struct mc_error *err)
{
    struct filter filter = {.places = set->places,
                            .of_thread = mc_str_given(query->thread_id),
                            .thread = mc_str_hash(query->thread_id),
                            .since_us = query->since_us,
                            .until_us = query->until_us};
    bool open = mc_reader_unfiltered(query->reader);
    bool all = open && !filter.of_thread && !filter.since_us && !filter.until_us;
    if (!open)
        filter.allowed = mc_vector_classes_allowed(&entry->classes, query->reader, arena);
    struct mc_nearness near = {.items = mc_arena_array(arena, query->limit, sizeof(*near.items))};
    if ((!open && !filter.allowed) || !near.items ||
        !mc_vectors_nearest(&set->vectors, values, query->limit, all ? NULL : passes, &filter,
                            &near))
        return mc_fail_memory(err);
    for (size_t i = 0; i < near.count; i++)
        add(result, set->places[near.items[i].index].row,
            share_of((double)near.items[i].score, (double)near.mean, near.compared));
    return MC_OK;
}

static int by_share(const void *a, const void *b)
{
    const struct mc_meant *x = a, *y = b;
    if (x->share > y->share || x->share < y->share)
        return x->share > y->share ? -1 : 1;
    return (x->row < y->row) - (x->row > y->row);
}

static int by_row(const void *a, const void *b)
{
    const struct mc_meant *x = a, *y = b;
    return (x->row > y->row) - (x->row < y->row);
}

/* What is known of the user's vectors, and the query's by each model that made some of them. */
struct finding {
    const struct mc_meaning_query *query;
    bool by_database;
    bool made[MC_MEANING_MODELS]; /* some of the user's */
    int64_t number[MC_MEANING_MODELS];
    float *values[MC_MEANING_MODELS];
    size_t dimension[MC_MEANING_MODELS];
};

static enum mc_status wrong_dimension(struct mc_error *err)
{
    return mc_fail(err, MC_CONFIG,
                   "the embeddings model gives vectors of another length than the user's");
}

static enum mc_status find_in_memory(struct mc_meaning *m, const struct finding *f,
                                     struct mc_arena *arena, struct mc_meaning_result *result,
                                     struct mc_error *err)
{
    struct mc_vector_entry *entry;
    enum mc_status status = mc_vector_cache_acquire(&m->cache, f->query->user_id, &entry, err);
    if (status != MC_OK)
        return status;
    bool compared = false;
    for (const struct mc_vector_set *set = entry->sets; set && status == MC_OK; set = set->next) {
        bool strange = false;
        size_t model = model_of(m, set->model, &strange);
        if (model < MC_MEANING_MODELS && f->values[model] &&
            f->dimension[model] == set->vectors.dimension) {
            status = compare(entry, set, f->values[model], f->query, arena, result, err);
            compared = true;
        }
    }
    mc_vector_cache_release(&m->cache, entry);
    return status == MC_OK && !compared ? wrong_dimension(err) : status;
}

/* False when the database cannot do it now, whatever the reason: then memory can. */
static bool find_in_database(struct mc_meaning *m, const struct finding *f, struct mc_arena *arena,
                             struct mc_meaning_result *result)
{
    struct mc_store *store = mc_store_lagging(m->options.store);
    const struct mc_meaning_query *q = f->query;
    struct mc_nearest found = {.items = mc_arena_array(arena, q->limit, sizeof(*found.items))};
    for (size_t model = 0; found.items && model < MC_MEANING_MODELS; model++) {
        struct mc_error ignored;
        if (!f->values[model])
            continue;
        const struct mc_nearest_query query = {
            .user_id = q->user_id,
            .reader = q->reader,
            .thread_id = q->thread_id,
            .since_us = q->since_us,
            .until_us = q->until_us,
            .model = f->number[model],
            .values = f->values[model],
            .dimension = f->dimension[model],
            .limit = q->limit,
        };
        if (store->ops->nearest(store, &query, &found, &ignored) != MC_OK || !found.whole)
            return false;
        for (size_t i = 0; i < found.count; i++)
            add(result, found.items[i].row,
                share_of(found.items[i].score, found.mean, (size_t)found.compared));
    }
    return found.items != NULL;
}

static enum mc_status find(struct mc_meaning *m, const struct finding *f, struct mc_arena *arena,
                           struct mc_meaning_result *result, struct mc_error *err)
{
    const struct mc_meaning_query *query = f->query;
    enum mc_status status = MC_OK;
    result->items = mc_arena_array(arena, query->limit * MC_MEANING_MODELS, sizeof(*result->items));
    if (!result->items)
        return mc_fail_memory(err);
    if (!f->by_database || !find_in_database(m, f, arena, result)) {
        result->count = 0;
        status = find_in_memory(m, f, arena, result, err);
    }
    if (status != MC_OK)
        return status;
    qsort(result->items, result->count, sizeof(*result->items), by_share);
    if (result->count > query->limit)
        result->count = query->limit;
    qsort(result->items, result->count, sizeof(*result->items), by_row);
    return MC_OK;
}

/* Notes a model of the user's vectors. */
static void note_made(struct mc_meaning *m, struct finding *f, int64_t number, bool *strange)
{
    size_t model = model_of(m, number, strange);
    if (model < MC_MEANING_MODELS) {
        f->made[model] = true;
        f->number[model] = number;
    }
}

#define MODELS_OF_USER 8

/* Not by_database when the database cannot search the user's vectors, or has none. */
static void look_in_database(struct mc_meaning *m, struct finding *f, bool *strange)
{
    struct mc_store *store = mc_store_lagging(m->options.store);
    int64_t models[MODELS_OF_USER];
    size_t count = 0;
    struct mc_error ignored;
    f->by_database = store->ops->searchable(store, f->query->user_id, models, MODELS_OF_USER,
                                            &count, &ignored) == MC_OK &&
                     count > 0;
    for (size_t i = 0; f->by_database && i < count; i++)
        note_made(m, f, models[i], strange);
}

static enum mc_status look_in_memory(struct mc_meaning *m, struct finding *f, bool *strange,
                                     struct mc_error *err)
{
    struct mc_vector_entry *entry;
    enum mc_status status = mc_vector_cache_acquire(&m->cache, f->query->user_id, &entry, err);
    if (status != MC_OK)
        return status;
    for (const struct mc_vector_set *set = entry->sets; set; set = set->next) {
        if (set->vectors.count > 0)
            note_made(m, f, set->model, strange);
    }
    mc_vector_cache_release(&m->cache, entry);
    return MC_OK;
}

/* Which models made the user's vectors, before anything is asked of a model. */
static enum mc_status look(struct mc_meaning *m, struct finding *f, struct mc_error *err)
{
    bool strange = true;
    enum mc_status status = MC_OK;
    bool database =
        m->options.store->ops->nearest && !mc_vector_cache_wants(&m->cache, f->query->user_id);
    for (int round = 0; round < 2 && strange && status == MC_OK; round++) {
        if (round > 0)
            status = learn_models(m, err);
        strange = false;
        if (status == MC_OK && database)
            look_in_database(m, f, &strange);
        if (status == MC_OK && !f->by_database)
            status = look_in_memory(m, f, &strange, err);
    }
    return status;
}

static void fail(struct mc_meaning *m, const struct mc_error *error, struct mc_arena *arena,
                 struct mc_meaning_result *result)
{
    bool late = error->status == MC_TIMEOUT;
    char line[256];
    (void)mc_utf8_line(mc_str_of(error->message), line, sizeof(line));
    *result = (struct mc_meaning_result){.state = late ? MC_MEANING_LATE : MC_MEANING_FAILED,
                                         .why = mc_arena_copy(arena, mc_str_of(line))};
    mc_metrics_add(m->options.metrics, late ? MC_COUNT_MEANING_LATE : MC_COUNT_MEANING_FAILED, 1);
    mc_log(MC_LOG_DEBUG, "embed", "a query is answered by words alone: %s", line);
}

void mc_meaning_find(struct mc_meaning *m, const struct mc_meaning_query *query,
                     struct mc_arena *arena, struct mc_meaning_result *result)
{
    int64_t deadline_us = mc_time_monotonic_us() + m->options.timeout_us;
    struct finding f = {.query = query};
    struct mc_error error = {0};
    *result = (struct mc_meaning_result){.state = MC_MEANING_NONE};
    mc_str text;
    enum mc_status status = mc_query_ends(query->text, QUERY_BYTES, arena, &text, &error);
    if (status == MC_OK)
        status = look(m, &f, &error);
    size_t asked = 0, answered = 0;
    for (size_t i = 0; status == MC_OK && i < m->options.model_count; i++) {
        if (!f.made[i])
            continue;
        asked++;
        /* One of two may do. */
        answered +=
            embed(m, text, i, deadline_us, arena, &f.values[i], &f.dimension[i], &error) == MC_OK;
    }
    if (status == MC_OK && asked == 0)
        return;
    if (status == MC_OK && answered == 0)
        status = error.status;
    if (status == MC_OK)
        status = find(m, &f, arena, result, &error);
    if (status != MC_OK) {
        fail(m, &error, arena, result);
        return;
    }
    result->state = MC_MEANING_USED;
    mc_metrics_add(m->options.metrics, MC_COUNT_MEANING_USED, 1);
}

/* ---- The rest ---- */

const char *mc_meaning_name(enum mc_meaning_state state)
{
    static const char *const NAMES[] = {"off", "none", "used", "late", "failed"};
    return (unsigned)state < mc_countof(NAMES) ? NAMES[state] : "";
}

enum mc_status mc_meaning_new(const struct mc_meaning_options *options, struct mc_meaning **meaning,
                              struct mc_error *err)
{
    struct mc_meaning *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    made->options = *options;
    mc_mutex_init(&made->mutex);
    mc_vector_cache_init(&made->cache, options->store, options->cache_bytes);
    *meaning = made;
    return MC_OK;
}

void mc_meaning_free(struct mc_meaning *meaning)
{
    if (!meaning)
        return;
    for (size_t i = 0; i < QUERIES; i++)
        drop(&meaning->kept[i]);
    mc_vector_cache_fini(&meaning->cache);
    mc_mutex_fini(&meaning->mutex);
    free(meaning);
}

void mc_meaning_forget(struct mc_meaning *meaning, mc_str user_id)
{
    if (!meaning)
        return;
    if (mc_str_given(user_id))
        mc_vector_cache_forget(&meaning->cache, user_id);
    /* Whose queries are kept is not known: all go. */
    mc_mutex_lock(&meaning->mutex);
    for (size_t i = 0; i < QUERIES; i++)
        drop(&meaning->kept[i]);
    mc_mutex_unlock(&meaning->mutex);
}
