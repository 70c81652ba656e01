#include "message/metadata.h"

#include <math.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"

#define EXTRA_BYTES ((size_t)128 * 1024)

void mc_metadata_init(struct mc_metadata *metadata)
{
    *metadata = (struct mc_metadata){.importance = 0.5};
}

/* Up to three decimals without trailing zeros; a tenth of the time of printf. */
static void put_number(struct mc_json_writer *w, double value)
{
    if (!isfinite(value) || fabs(value) > 1000) {
        mc_json_put_number(w, value);
        return;
    }
    int thousandths = (int)lround(value * 1000);
    char text[16];
    char *at = text + sizeof(text);
    unsigned rest = (unsigned)(thousandths < 0 ? -thousandths : thousandths);
    unsigned fraction = rest % 1000;
    unsigned whole = rest / 1000;
    for (int digits = 3; digits > 0 && fraction > 0; digits--, fraction /= 10) {
        if (at < text + sizeof(text) || fraction % 10 != 0)
            *--at = (char)('0' + fraction % 10);
        if (fraction < 10) {
            /* Zeros between the point and the first digit. */
            while (--digits > 0)
                *--at = '0';
            break;
        }
    }
    if (at < text + sizeof(text))
        *--at = '.';
    do {
        *--at = (char)('0' + whole % 10);
        whole /= 10;
    } while (whole > 0);
    if (thousandths < 0)
        *--at = '-';
    mc_json_put_raw(w, (mc_str){at, (size_t)(text + sizeof(text) - at)});
}

static void write_list(struct mc_json_writer *w, const char *key, const mc_str *items, size_t count)
{
    mc_json_key(w, key);
    mc_json_begin(w, '[');
    for (size_t i = 0; i < count; i++)
        mc_json_put_string(w, items[i]);
    mc_json_end(w, ']');
}

static void write_optional(struct mc_json_writer *w, const char *key, mc_str text)
{
    mc_json_key(w, key);
    if (text.len > 0)
        mc_json_put_string(w, text);
    else
        mc_json_put_null(w);
}

static void write_entities(struct mc_json_writer *w, const struct mc_metadata *metadata)
{
    mc_json_key(w, "entities");
    mc_json_begin(w, '[');
    for (size_t i = 0; i < metadata->entity_count; i++) {
        mc_json_begin(w, '{');
        mc_json_member_string(w, "type", metadata->entities[i].type);
        mc_json_member_string(w, "value", metadata->entities[i].value);
        mc_json_end(w, '}');
    }
    mc_json_end(w, ']');
}

void mc_metadata_write(const struct mc_metadata *metadata, struct mc_buf *out)
{
    struct mc_json_writer w = mc_json_writer(out);
    mc_str mood = metadata->sentiment.len > 0 ? metadata->sentiment : MC_STR("neutral");
    mc_json_begin(&w, '{');
    write_list(&w, "topics", metadata->topics, metadata->topic_count);
    write_list(&w, "categories", metadata->categories, metadata->category_count);
    mc_json_key(&w, "importance");
    put_number(&w, metadata->importance);
    mc_json_key(&w, "sentiment");
    mc_json_begin(&w, '{');
    mc_json_member_string(&w, "overall", mood);
    mc_json_key(&w, "score");
    put_number(&w, metadata->sentiment_score);
    mc_json_end(&w, '}');
    write_optional(&w, "intent", metadata->intent);
    write_list(&w, "tags", metadata->tags, metadata->tag_count);
    write_entities(&w, metadata);
    write_list(&w, "key_phrases", metadata->key_phrases, metadata->key_phrase_count);
    mc_json_member_string(&w, "method", metadata->method);
    write_optional(&w, "model", metadata->model);
    mc_json_key(&w, "confidence");
    put_number(&w, metadata->confidence);
    mc_json_member_boolean(&w, "enrichment_failed", metadata->enrichment_failed);
    write_optional(&w, "enrichment_error", metadata->enrichment_error);
    if (metadata->fallback_reason.len > 0)
        mc_json_member_string(&w, "fallback_reason", metadata->fallback_reason);
    if (metadata->truncated)
        mc_json_member_boolean(&w, "truncated", true);
    if (metadata->trivial_category.len > 0)
        mc_json_member_string(&w, "trivial_category", metadata->trivial_category);
    if (metadata->extra.len > 0) {
        mc_json_key(&w, "extra");
        mc_json_put_raw(&w, metadata->extra);
    }
    mc_json_end(&w, '}');
}

/* Reading: the arena, the error, and whether all went well so far. */
struct reader {
    const struct mc_json *root;
    struct mc_arena *arena;
    struct mc_error *err;
    enum mc_status status;
};

static void wrong_type(struct reader *r, const char *member, const char *wanted,
                       const struct mc_json *node)
{
    r->status = mc_fail_field(r->err, MC_CORRUPT, member, "metadata.%s must be %s, not %s", member,
                              wanted, mc_json_type_name(mc_json_type(node)));
}

static mc_str copy(struct reader *r, mc_str text)
{
    mc_str kept = mc_arena_copy(r->arena, text);
    if (!kept.data)
        r->status = mc_fail_memory(r->err);
    return kept;
}

/* The member when it is there and not null and nothing failed before. */
static const struct mc_json *member(const struct reader *r, const char *name)
{
    const struct mc_json *node = r->status == MC_OK ? mc_json_get(r->root, name) : NULL;
    return mc_json_type(node) == MC_JSON_NULL ? NULL : node;
}

static void read_string(struct reader *r, const char *name, mc_str *out)
{
    const struct mc_json *node = member(r, name);
    if (!node)
        return;
    if (mc_json_type(node) != MC_JSON_STRING)
        wrong_type(r, name, "text", node);
    else
        *out = copy(r, mc_json_string(node));
}

static bool is_number(const struct mc_json *node)
{
    return mc_json_type(node) == MC_JSON_INTEGER || mc_json_type(node) == MC_JSON_NUMBER;
}

static void read_number(struct reader *r, const char *name, double least, double most, double *out)
{
    const struct mc_json *node = member(r, name);
    if (!node)
        return;
    double value = mc_json_number(node);
    if (!is_number(node))
        wrong_type(r, name, "a number", node);
    else if (isfinite(value))
        *out = value < least ? least : value > most ? most : value;
}

static size_t list_length(struct reader *r, const char *name, const struct mc_json *node)
{
    if (!node)
        return 0;
    if (mc_json_type(node) != MC_JSON_ARRAY) {
        wrong_type(r, name, "a list", node);
        return 0;
    }
    size_t count = mc_json_count(node);
    return count < MC_METADATA_LIST ? count : MC_METADATA_LIST;
}

static void read_list(struct reader *r, const char *name, const mc_str **out, size_t *out_count)
{
    const struct mc_json *node = member(r, name);
    size_t count = list_length(r, name, node);
    mc_str *items = count > 0 ? mc_arena_array(r->arena, count, sizeof(*items)) : NULL;
    if (count > 0 && !items)
        r->status = mc_fail_memory(r->err);
    for (size_t i = 0; i < count && r->status == MC_OK; i++) {
        const struct mc_json *item = mc_json_at(node, i);
        if (mc_json_type(item) != MC_JSON_STRING)
            wrong_type(r, name, "a list of texts", item);
        else
            items[i] = copy(r, mc_json_string(item));
    }
    *out = items;
    *out_count = count;
}

static void read_entities(struct reader *r, struct mc_metadata *metadata)
{
    const struct mc_json *node = member(r, "entities");
    size_t count = list_length(r, "entities", node);
    struct mc_metadata_entity *items =
        count > 0 ? mc_arena_array(r->arena, count, sizeof(*items)) : NULL;
    if (count > 0 && !items)
        r->status = mc_fail_memory(r->err);
    for (size_t i = 0; i < count && r->status == MC_OK; i++) {
        const struct mc_json *item = mc_json_at(node, i);
        const struct mc_json *type = mc_json_get(item, "type");
        const struct mc_json *value = mc_json_get(item, "value");
        if (mc_json_type(item) != MC_JSON_OBJECT || mc_json_type(type) != MC_JSON_STRING ||
            mc_json_type(value) != MC_JSON_STRING) {
            wrong_type(r, "entities", "a list of objects with type and value", item);
            break;
        }
        items[i].type = copy(r, mc_json_string(type));
        if (r->status == MC_OK)
            items[i].value = copy(r, mc_json_string(value));
    }
    metadata->entities = items;
    metadata->entity_count = count;
}

static void read_sentiment(struct reader *r, struct mc_metadata *metadata)
{
    const struct mc_json *node = member(r, "sentiment");
    if (!node)
        return;
    if (mc_json_type(node) != MC_JSON_OBJECT) {
        wrong_type(r, "sentiment", "an object", node);
        return;
    }
    struct reader inner = {node, r->arena, r->err, MC_OK};
    read_string(&inner, "overall", &metadata->sentiment);
    read_number(&inner, "score", -1, 1, &metadata->sentiment_score);
    r->status = inner.status;
}

static void read_boolean(struct reader *r, const char *name, bool *out)
{
    const struct mc_json *node = member(r, name);
    if (node && mc_json_type(node) != MC_JSON_BOOLEAN)
        wrong_type(r, name, "true or false", node);
    else if (node)
        *out = mc_json_boolean(node);
}

static void read_extra(struct reader *r, struct mc_metadata *metadata)
{
    const struct mc_json *node = member(r, "extra");
    if (!node)
        return;
    if (mc_json_type(node) != MC_JSON_OBJECT) {
        wrong_type(r, "extra", "an object", node);
        return;
    }
    mc_auto(mc_buf_fini) struct mc_buf text;
    mc_buf_init(&text, EXTRA_BYTES);
    mc_json_dump(node, &text);
    if (text.failed)
        r->status = mc_fail_memory(r->err);
    else
        metadata->extra = copy(r, mc_buf_str(&text));
}

enum mc_status mc_metadata_parse(mc_str json, struct mc_arena *arena, struct mc_metadata *metadata,
                                 struct mc_error *err)
{
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    enum mc_status status = mc_json_parse(json, &root, err);
    if (status != MC_OK)
        return mc_fail_prefix(err, status, "the metadata is not JSON");
    if (mc_json_type(root) != MC_JSON_OBJECT)
        return mc_fail_field(err, MC_CORRUPT, "metadata", "metadata must be an object, not %s",
                             mc_json_type_name(mc_json_type(root)));
    struct reader r = {root, arena, err, MC_OK};
    struct mc_metadata read;
    mc_metadata_init(&read);
    read_list(&r, "topics", &read.topics, &read.topic_count);
    read_list(&r, "categories", &read.categories, &read.category_count);
    read_number(&r, "importance", 0, 1, &read.importance);
    read_sentiment(&r, &read);
    read_string(&r, "intent", &read.intent);
    read_list(&r, "tags", &read.tags, &read.tag_count);
    read_entities(&r, &read);
    read_list(&r, "key_phrases", &read.key_phrases, &read.key_phrase_count);
    read_string(&r, "method", &read.method);
    read_string(&r, "model", &read.model);
    read_number(&r, "confidence", 0, 1, &read.confidence);
    read_string(&r, "enrichment_error", &read.enrichment_error);
    read_string(&r, "trivial_category", &read.trivial_category);
    read_boolean(&r, "enrichment_failed", &read.enrichment_failed);
    read_string(&r, "fallback_reason", &read.fallback_reason);
    read_boolean(&r, "truncated", &read.truncated);
    read_extra(&r, &read);
    if (r.status == MC_OK)
        *metadata = read;
    return r.status;
}
