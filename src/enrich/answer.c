#include "enrich/answer.h"

#include <math.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"
#include "enrich/builtin.h"
#include "enrich/prompt.h"
#include "text/entity.h"
#include "text/phrases.h"

#define TOPICS_MAX MC_BUILTIN_TOPICS
#define FOLDED_MAX ((size_t)4 << 20)
#define LOOKED_AT 64 /* of a list, however long a model that repeats itself makes it */

/* What one answer is read from and with. */
struct reader {
    const struct mc_vocabulary *vocabulary;
    mc_str text;
    mc_str folded; /* the text for comparing: case folded, white space single; made when needed */
    const struct mc_metadata *builtin;
    const struct mc_json *root;
    struct mc_arena *arena;
    bool failed; /* out of memory */
};

static const struct mc_json *member(const struct reader *r, const char *name,
                                    enum mc_json_type type)
{
    const struct mc_json *node = mc_json_get(r->root, name);
    return mc_json_type(node) == type ? node : NULL;
}

static void *array(struct reader *r, size_t count, size_t size)
{
    void *items = mc_arena_array(r->arena, count, size);
    r->failed = r->failed || !items;
    return items;
}

/* ---- Whether it says anything ---- */

static enum mc_status refuse(struct mc_error *err)
{
    return mc_fail(err, MC_INVALID,
                   "the model's answer has neither topics nor intent nor sentiment");
}

static bool says_something(const struct mc_json *root)
{
    return mc_json_type(root) == MC_JSON_OBJECT &&
           (mc_json_type(mc_json_get(root, "topics")) == MC_JSON_ARRAY ||
            mc_json_type(mc_json_get(root, "intent")) == MC_JSON_STRING ||
            mc_json_type(mc_json_get(root, "sentiment")) == MC_JSON_STRING);
}

static enum mc_status parse(mc_str answer, struct mc_json **root, struct mc_error *err)
{
    enum mc_status status = mc_json_parse(answer, root, err);
    if (status)
        return mc_fail_prefix(err, status, "the model's answer is not JSON");
    return says_something(*root) ? MC_OK : refuse(err);
}

enum mc_status mc_answer_accept(const void *context, mc_str answer, struct mc_error *err)
{
    (void)context;
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    return parse(answer, &root, err);
}

/* ---- Names ---- */

typedef mc_str (*lookup_fn)(const struct mc_vocabulary *vocabulary, mc_str word);

static bool contains(const mc_str *items, size_t count, mc_str item)
{
    for (size_t i = 0; i < count; i++) {
        if (mc_str_equal(items[i], item))
            return true;
    }
    return false;
}

/* The names of a list that the vocabulary knows, each once; "general" when none is left. False: no list. */
static bool read_names(struct reader *r, const char *name, lookup_fn lookup, const mc_str **out,
                       size_t *out_count)
{
    const struct mc_json *list = member(r, name, MC_JSON_ARRAY);
    mc_str *items = list ? array(r, TOPICS_MAX, sizeof(*items)) : NULL;
    if (!items)
        return false;
    size_t count = 0;
    for (size_t i = 0; i < mc_json_count(list) && count < TOPICS_MAX; i++) {
        mc_str word = mc_str_trim(mc_json_string(mc_json_at(list, i)));
        mc_str known = word.len > 0 ? lookup(r->vocabulary, word) : MC_STR_NONE;
        if (mc_str_given(known) && !contains(items, count, known))
            items[count++] = known;
    }
    if (count == 0)
        items[count++] = MC_STR("general");
    *out = items;
    *out_count = count;
    return true;
}

/* What was left out is as the built-in enricher sees it. */
static void read_subject(struct reader *r, struct mc_metadata *out)
{
    if (!read_names(r, "topics", mc_vocabulary_topic, &out->topics, &out->topic_count)) {
        out->topics = r->builtin->topics;
        out->topic_count = r->builtin->topic_count;
    }
    if (!read_names(r, "categories", mc_vocabulary_category, &out->categories,
                    &out->category_count)) {
        out->categories = r->builtin->categories;
        out->category_count = r->builtin->category_count;
    }
    const struct mc_json *intent = mc_json_get(r->root, "intent");
    enum mc_intent known = mc_intent_of_name(mc_str_trim(mc_json_string(intent)));
    if (!intent)
        out->intent = r->builtin->intent;
    else if (known != MC_INTENT_NONE)
        out->intent = mc_intent_name(known);
}

static double clamp(double value, double least, double most)
{
    return value < least ? least : value > most ? most : value;
}

/* A number between the bounds; *out stays when there is none. */
static void read_number(struct reader *r, const char *name, double least, double most, double *out)
{
    const struct mc_json *node = mc_json_get(r->root, name);
    bool number = mc_json_type(node) == MC_JSON_INTEGER || mc_json_type(node) == MC_JSON_NUMBER;
    double value = mc_json_number(node);
    if (number && isfinite(value))
        *out = clamp(value, least, most);
}

static void read_feeling(struct reader *r, struct mc_metadata *out)
{
    const struct mc_json *mood = mc_json_get(r->root, "sentiment");
    out->sentiment = mood ? mc_mood_name(mc_mood_of_name(mc_str_trim(mc_json_string(mood))))
                          : r->builtin->sentiment;
    /* Without a figure: the built-in one where it says the same, else half of what is possible. */
    double half = mc_str_equal(out->sentiment, MC_STR("positive"))   ? 0.5
                  : mc_str_equal(out->sentiment, MC_STR("negative")) ? -0.5
                                                                     : 0;
    double score =
        mc_str_equal(out->sentiment, r->builtin->sentiment) ? r->builtin->sentiment_score : half;
    score *= MC_PROMPT_SENTIMENT;
    read_number(r, "sentiment_score", -MC_PROMPT_SENTIMENT, MC_PROMPT_SENTIMENT, &score);
    out->sentiment_score = score / MC_PROMPT_SENTIMENT;
    double importance = r->builtin->importance * MC_PROMPT_IMPORTANCE;
    read_number(r, "importance", 0, MC_PROMPT_IMPORTANCE, &importance);
    out->importance = importance / MC_PROMPT_IMPORTANCE;
}

/* ---- What must stand in the text ---- */

/* Case folded, runs of white space as one space, none at the ends; absent when out of memory. */
static mc_str fold(struct reader *r, mc_str text)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, FOLDED_MAX);
    if (!mc_utf8_fold(text, &buf)) {
        r->failed = r->failed || buf.failed;
        return MC_STR_NONE;
    }
    size_t len = 0;
    for (size_t offset = 0; offset < buf.len;) {
        size_t start = offset;
        int32_t code = mc_utf8_next(mc_buf_str(&buf), &offset);
        if (!mc_utf8_is_space(code)) {
            memmove(buf.data + len, buf.data + start, offset - start);
            len += offset - start;
        } else if (len > 0 && buf.data[len - 1] != ' ') {
            buf.data[len++] = ' ';
        }
    }
    if (len > 0 && buf.data[len - 1] == ' ')
        len--;
    mc_str folded = mc_arena_copy(r->arena, (mc_str){buf.data ? buf.data : "", len});
    r->failed = r->failed || !folded.data;
    return folded;
}

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Whether an ASCII word goes on over the edge between two bytes. */
static bool splits_word(mc_str text, size_t at)
{
    return at > 0 && at < text.len && is_word(text.data[at - 1]) && is_word(text.data[at]);
}

/* Whether the folded words stand in the folded text, not as a part of longer ones. */
static bool occurs(mc_str text, mc_str words)
{
    if (words.len == 0)
        return false;
    for (size_t from = 0; from + words.len <= text.len;) {
        const char *found = memmem(text.data + from, text.len - from, words.data, words.len);
        if (!found)
            return false;
        size_t at = (size_t)(found - text.data);
        if (!splits_word(text, at) && !splits_word(text, at + words.len))
            return true;
        from = at + 1;
    }
    return false;
}

/* The words as they stand in the text (ASCII case apart), else as they are given. */
static mc_str as_written(mc_str text, mc_str words)
{
    for (size_t at = 0; at + words.len <= text.len; at++) {
        mc_str part = {text.data + at, words.len};
        if (mc_str_equal_nocase(part, words) && !splits_word(text, at) &&
            !splits_word(text, at + words.len))
            return part;
    }
    return words;
}

/* A trimmed text of the answer that stands in the message, folded; absent: it does not, or is too long. */
static mc_str stands(struct reader *r, const struct mc_json *node, mc_str *given)
{
    *given = mc_str_trim(mc_json_string(node));
    if (given->len == 0 || given->len > MC_ENTITY_BYTES)
        return MC_STR_NONE;
    mc_str folded = fold(r, *given);
    return folded.data && r->folded.data && occurs(r->folded, folded) ? folded : MC_STR_NONE;
}

/* ---- Entities and phrases ---- */

static size_t listed_of(const struct mc_json *list)
{
    size_t count = mc_json_count(list);
    return count < LOOKED_AT ? count : LOOKED_AT;
}

struct entities {
    struct mc_metadata_entity items[MC_ENTITIES_MAX];
    mc_str folded[MC_ENTITIES_MAX];
    size_t count;
};

/* The value says no more than another that is there already. */
static bool is_told(const struct entities *entities, mc_str folded)
{
    for (size_t i = 0; i < entities->count; i++) {
        if (occurs(entities->folded[i], folded))
            return true;
    }
    return false;
}

static void add_entity(struct entities *entities, mc_str type, mc_str value, mc_str folded)
{
    if (entities->count == MC_ENTITIES_MAX || !folded.data || is_told(entities, folded))
        return;
    entities->folded[entities->count] = folded;
    entities->items[entities->count++] = (struct mc_metadata_entity){type, value};
}

static void read_entities(struct reader *r, struct mc_metadata *out)
{
    struct entities found;
    found.count = 0;
    for (size_t i = 0; i < r->builtin->entity_count; i++) {
        const struct mc_metadata_entity *entity = &r->builtin->entities[i];
        add_entity(&found, entity->type, entity->value, fold(r, entity->value));
    }
    const struct mc_json *list = member(r, "entities", MC_JSON_ARRAY);
    size_t listed = listed_of(list);
    for (size_t i = 0; i < listed && found.count < MC_ENTITIES_MAX; i++) {
        const struct mc_json *item = mc_json_at(list, i);
        mc_str value, folded = stands(r, mc_json_get(item, "value"), &value);
        enum mc_entity_type type = mc_entity_of_name(mc_json_string(mc_json_get(item, "type")));
        if (!folded.data)
            continue;
        mc_str kept = mc_arena_copy(r->arena, as_written(r->text, value));
        r->failed = r->failed || !kept.data;
        add_entity(&found, mc_entity_name(type), kept, folded);
    }
    struct mc_metadata_entity *items = array(r, found.count, sizeof(*items));
    if (items && found.count > 0)
        memcpy(items, found.items, found.count * sizeof(*items));
    out->entities = items;
    out->entity_count = found.count;
}

/* The model's first, folded as the built-in ones are, which fill up what is left. */
static void read_phrases(struct reader *r, struct mc_metadata *out)
{
    mc_str *items = array(r, MC_PHRASES_MAX, sizeof(*items));
    size_t count = 0;
    const struct mc_json *list = member(r, "key_phrases", MC_JSON_ARRAY);
    size_t listed = listed_of(list);
    for (size_t i = 0; items && i < listed && count < MC_PHRASES_MAX; i++) {
        mc_str given, folded = stands(r, mc_json_at(list, i), &given);
        if (folded.data && !contains(items, count, folded))
            items[count++] = folded;
    }
    for (size_t i = 0; items && i < r->builtin->key_phrase_count && count < MC_PHRASES_MAX; i++) {
        if (!contains(items, count, r->builtin->key_phrases[i]))
            items[count++] = r->builtin->key_phrases[i];
    }
    out->key_phrases = items;
    out->key_phrase_count = count;
}

/* ---- Together ---- */

static double confidence_of(const struct mc_llm_call *call, const struct mc_metadata *found,
                            const struct mc_metadata *builtin)
{
    if (isfinite(call->confidence) && call->confidence >= 0)
        return clamp(call->confidence, 0, 1);
    bool topic = false;
    for (size_t i = 0; i < found->topic_count; i++)
        topic = topic || contains(builtin->topics, builtin->topic_count, found->topics[i]);
    return 0.6 + (topic ? 0.1 : 0) + (mc_str_equal(found->intent, builtin->intent) ? 0.1 : 0) +
           (mc_str_equal(found->sentiment, builtin->sentiment) ? 0.1 : 0);
}

static void read_all(struct reader *r, const struct mc_llm_call *call, struct mc_metadata *out)
{
    mc_metadata_init(out);
    r->folded = fold(r, r->text);
    read_subject(r, out);
    read_feeling(r, out);
    read_entities(r, out);
    read_phrases(r, out);
    out->tags = r->builtin->tags;
    out->tag_count = r->builtin->tag_count;
    out->method = MC_STR("llm");
    out->model = mc_arena_copy(r->arena, call->model);
    r->failed = r->failed || !out->model.data;
    out->truncated = call->truncated;
    out->confidence = confidence_of(call, out, r->builtin);
}

enum mc_status mc_answer_read(const struct mc_vocabulary *vocabulary, mc_str text,
                              const struct mc_metadata *builtin, const struct mc_llm_call *call,
                              struct mc_arena *arena, struct mc_metadata *out, struct mc_error *err)
{
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    enum mc_status status = parse(call->answer, &root, err);
    if (status)
        return status;
    struct reader r = {
        .vocabulary = vocabulary, .text = text, .builtin = builtin, .root = root, .arena = arena};
    struct mc_metadata read;
    read_all(&r, call, &read);
    if (r.failed)
        return mc_fail_memory(err);
    *out = read;
    return MC_OK;
}
