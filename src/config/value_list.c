/*
 * DESIGN: a list or map is checked while it is written as JSON, the one form in which it is kept.
 * Nodes may be shared by aliases, so the walk is bounded by the size of that JSON, not by the size
 * of the file.
 */
#include "config/value.h"

#include <stdio.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/map.h"
#include "base/str.h"
#include "config/options.h"

#define KEY_MAX 255 /* longest key of a map, in bytes */
#define PRICE_MAX 1e6

struct walk {
    const char *key;
    bool secret;
    struct mc_json_writer json;
    const struct mc_node *at; /* the node at fault */
    struct mc_error *err;
};

static const char *describe(const struct walk *walk, const struct mc_node *node,
                            char found[MC_VALUE_FOUND_SIZE])
{
    if (node->type == MC_NODE_LIST)
        snprintf(found, MC_VALUE_FOUND_SIZE, "found a list");
    else if (node->type == MC_NODE_MAP)
        snprintf(found, MC_VALUE_FOUND_SIZE, "found a map");
    else
        mc_value_found(walk->secret, node->text, found);
    return found;
}

static enum mc_status refuse(struct walk *walk, const struct mc_node *node, const char *want)
{
    char found[MC_VALUE_FOUND_SIZE];
    walk->at = node;
    return mc_fail_field(walk->err, MC_CONFIG, walk->key, "%s, %s", want,
                         describe(walk, node, found));
}

static enum mc_status put_text(struct walk *walk, const struct mc_node *node, const char *want)
{
    if (node->type != MC_NODE_SCALAR || node->text.len == 0 || mc_node_is_null(node))
        return refuse(walk, node, want);
    enum mc_status status = mc_value_check_text(walk->key, node->text, walk->err);
    if (status == MC_OK)
        mc_json_put_string(&walk->json, node->text);
    else
        walk->at = node;
    return status;
}

static enum mc_status put_texts(struct walk *walk, const struct mc_node *list, const char *want)
{
    if (list->type != MC_NODE_LIST)
        return refuse(walk, list, want);
    mc_json_begin(&walk->json, '[');
    for (const struct mc_node *item = list->child; item && !walk->json.out->failed;
         item = item->next) {
        enum mc_status status = put_text(walk, item, "must be a list of text that is not empty");
        if (status != MC_OK)
            return status;
    }
    mc_json_end(&walk->json, ']');
    return MC_OK;
}

/* The key of a member, checked, not seen before, and written. */
static enum mc_status put_key(struct walk *walk, const struct mc_node *member, struct mc_map *seen)
{
    const struct mc_node *key = member->key;
    if (key->type != MC_NODE_SCALAR || key->text.len == 0 || key->text.len > KEY_MAX)
        return refuse(walk, key, "must have keys of 1 to 255 bytes of text");
    walk->at = key;
    enum mc_status status = mc_value_check_text(walk->key, key->text, walk->err);
    if (status != MC_OK)
        return status;
    if (mc_map_get(seen, key->text))
        return mc_fail_field(walk->err, MC_CONFIG, walk->key, "has the key '%.*s' twice",
                             MC_STR_ARG(key->text));
    if (!mc_map_put(seen, key->text, walk))
        return mc_fail_memory(walk->err);
    mc_json_key_str(&walk->json, key->text);
    return MC_OK;
}

/* {name: value, ...} with exactly the two names; a price when numbers is set, otherwise text. */
static enum mc_status put_pair(struct walk *walk, const struct mc_node *map, const char *first,
                               const char *second, bool numbers, const char *want)
{
    if (map->type != MC_NODE_MAP)
        return refuse(walk, map, want);
    const struct mc_node *members[2] = {NULL, NULL};
    for (const struct mc_node *member = map->child; member; member = member->next) {
        int which = mc_str_equal(member->key->text, mc_str_of(first))    ? 0
                    : mc_str_equal(member->key->text, mc_str_of(second)) ? 1
                                                                         : -1;
        if (which < 0 || members[which])
            return refuse(walk, member->key, want);
        members[which] = member;
    }
    if (!members[0] || !members[1])
        return refuse(walk, map, want);
    mc_json_begin(&walk->json, '{');
    for (int i = 0; i < 2; i++) {
        double number = -1;
        mc_json_key(&walk->json, i == 0 ? first : second);
        if (!numbers) {
            enum mc_status status = put_text(walk, members[i], want);
            if (status != MC_OK)
                return status;
            continue;
        }
        if (members[i]->type != MC_NODE_SCALAR || !mc_str_to_double(members[i]->text, &number) ||
            number < 0 || number > PRICE_MAX)
            return refuse(walk, members[i], "must have prices from 0 to 1000000");
        mc_json_put_number(&walk->json, number);
    }
    mc_json_end(&walk->json, '}');
    return MC_OK;
}

static enum mc_status put_patterns(struct walk *walk, const struct mc_node *list)
{
    static const char want[] = "must be a list of {category: ..., pattern: ...}";
    if (list->type != MC_NODE_LIST)
        return refuse(walk, list, want);
    mc_json_begin(&walk->json, '[');
    for (const struct mc_node *item = list->child; item && !walk->json.out->failed;
         item = item->next) {
        enum mc_status status = put_pair(walk, item, "category", "pattern", false, want);
        if (status != MC_OK)
            return status;
    }
    mc_json_end(&walk->json, ']');
    return MC_OK;
}

static enum mc_status put_map(struct walk *walk, enum mc_option_kind kind,
                              const struct mc_node *map)
{
    mc_auto(mc_map_fini) struct mc_map seen;
    mc_map_init(&seen);
    if (map->type != MC_NODE_MAP)
        return refuse(walk, map,
                      kind == MC_KIND_PRICES     ? "must be a map of models to {input, output}"
                      : kind == MC_KIND_TEXT_MAP ? "must be a map of text to text"
                                                 : "must be a map of topics to categories");
    mc_json_begin(&walk->json, '{');
    for (const struct mc_node *m = map->child; m && !walk->json.out->failed; m = m->next) {
        enum mc_status status = put_key(walk, m, &seen);
        if (status != MC_OK)
            return status;
        if (kind == MC_KIND_PRICES)
            status = put_pair(walk, m, "input", "output", true,
                              "must be a map of models to {input: ..., output: ...}");
        else if (kind == MC_KIND_TOPIC_MAP && m->type == MC_NODE_LIST)
            status = put_texts(walk, m, "");
        else
            status = put_text(walk, m, "must be a map whose values are text that is not empty");
        if (status != MC_OK)
            return status;
    }
    mc_json_end(&walk->json, '}');
    return MC_OK;
}

static enum mc_status collection_from_node(size_t index, const struct mc_node *node,
                                           struct mc_value *value, const struct mc_node **at,
                                           struct mc_error *err)
{
    enum mc_option_kind kind = mc_option_kind(index);
    mc_auto(mc_buf_fini) struct mc_buf out;
    mc_buf_init(&out, MC_VALUE_JSON_MAX);
    struct walk walk = {
        .key = mc_option_at(index)->key,
        .secret = mc_option_is_secret(kind),
        .json = mc_json_writer(&out),
        .at = node,
        .err = err,
    };
    enum mc_status status;
    if (mc_option_is_map(kind))
        status = put_map(&walk, kind, node);
    else if (kind == MC_KIND_PATTERNS)
        status = put_patterns(&walk, node);
    else
        status = put_texts(&walk, node, "must be a list of text");
    *at = walk.at;
    if (status != MC_OK)
        return status;
    if (out.failed)
        return mc_value_fail_buf(&out, walk.key, err);
    struct mc_value made = {.text = mc_buf_take(&out, NULL)};
    if (!made.text)
        return mc_fail_memory(err);
    *value = made;
    return MC_OK;
}

/* a, b and c of "a, b, c" as a list. */
static enum mc_status split_commas(struct mc_arena *arena, mc_str text, struct mc_node **list,
                                   struct mc_error *err)
{
    struct mc_node *made = mc_arena_alloc(arena, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    made->type = MC_NODE_LIST;
    struct mc_node **end = &made->child;
    mc_str item;
    while (text.len > 0 && mc_str_split(&text, ',', &item)) {
        struct mc_node *node = mc_arena_alloc(arena, sizeof(*node));
        if (!node)
            return mc_fail_memory(err);
        node->type = MC_NODE_SCALAR;
        node->text = mc_str_trim(item);
        *end = node;
        end = &node->next;
    }
    *list = made;
    return MC_OK;
}

static enum mc_status collection_from_text(size_t index, mc_str text, struct mc_value *value,
                                           struct mc_error *err)
{
    enum mc_option_kind kind = mc_option_kind(index);
    const char *key = mc_option_at(index)->key;
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, 64 * MC_VALUE_JSON_MAX);
    struct mc_node *root = NULL;
    const struct mc_node *at;
    enum mc_status status;

    text = mc_str_trim(text);
    bool commas = kind == MC_KIND_TEXTS || kind == MC_KIND_SECRETS;
    if (text.len == 0)
        text = mc_option_is_map(kind) ? MC_STR("{}") : MC_STR("[]");
    if (text.len > MC_VALUE_JSON_MAX)
        return mc_fail_field(err, MC_CONFIG, key, "is longer than %zu bytes", MC_VALUE_JSON_MAX);
    if (commas && text.data[0] != '[' && text.data[0] != '{') {
        status = split_commas(&arena, text, &root, err);
    } else {
        status = mc_node_parse_json(&arena, text, &root, err);
        if (status == MC_CONFIG && mc_option_is_secret(kind))
            status = mc_fail_field(err, MC_CONFIG, key,
                                   "must be a JSON list of text, or text separated "
                                   "by commas");
        else if (status == MC_CONFIG)
            status = mc_fail_prefix(err, status, "must be %s as JSON", mc_option_kind_text(kind));
    }
    if (status != MC_OK)
        return status;
    return collection_from_node(index, root, value, &at, err);
}

enum mc_status mc_value_from_text(size_t index, mc_str text, struct mc_value *value,
                                  struct mc_error *err)
{
    if (mc_option_kind(index) >= MC_KIND_TEXTS)
        return collection_from_text(index, text, value, err);
    return mc_value_scalar(index, text, value, err);
}

enum mc_status mc_value_from_node(size_t index, const struct mc_node *node, struct mc_value *value,
                                  const struct mc_node **at, struct mc_error *err)
{
    enum mc_option_kind kind = mc_option_kind(index);
    *at = node;
    if (kind >= MC_KIND_TEXTS) {
        if (node->variable || mc_node_is_null(node))
            return collection_from_text(index, node->variable ? node->text : MC_STR(""), value,
                                        err);
        return collection_from_node(index, node, value, at, err);
    }
    if (node->type != MC_NODE_SCALAR)
        return mc_fail_field(err, MC_CONFIG, mc_option_at(index)->key, "must be %s, found a %s",
                             mc_option_kind_text(kind),
                             node->type == MC_NODE_LIST ? "list" : "map");
    return mc_value_scalar(index, mc_node_is_null(node) ? MC_STR("") : node->text, value, err);
}
