/* Extending the vocabulary from configuration: see vocabulary/vocabulary.h. */
#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "vocabulary/vocabulary.h"

typedef enum mc_status (*add_fn)(struct mc_vocabulary *vocabulary, mc_str name,
                                 struct mc_error *err);

static enum mc_status not_a(const char *member, const char *wanted, const struct mc_json *node,
                            struct mc_error *err)
{
    return mc_fail_field(err, MC_CONFIG, member, "vocabulary.%s must be %s, not %s", member, wanted,
                         mc_json_type_name(mc_json_type(node)));
}

static enum mc_status add_list(struct mc_vocabulary *vocabulary, const char *member,
                               const struct mc_json *list, add_fn add, struct mc_error *err)
{
    if (mc_json_type(list) != MC_JSON_ARRAY)
        return not_a(member, "a list of names", list, err);
    enum mc_status status = MC_OK;
    for (size_t i = 0; status == MC_OK && i < mc_json_count(list); i++) {
        const struct mc_json *name = mc_json_at(list, i);
        if (mc_json_type(name) != MC_JSON_STRING)
            return not_a(member, "a list of names", name, err);
        status = add(vocabulary, mc_json_string(name), err);
    }
    return status;
}

static enum mc_status add_synonyms(struct mc_vocabulary *vocabulary, const struct mc_json *object,
                                   struct mc_error *err)
{
    if (mc_json_type(object) != MC_JSON_OBJECT)
        return not_a("synonyms", "an object of words and topics", object, err);
    enum mc_status status = MC_OK;
    void *cursor = NULL;
    mc_str words;
    const struct mc_json *topic;
    while (status == MC_OK && mc_json_next(object, &cursor, &words, &topic)) {
        if (mc_json_type(topic) != MC_JSON_STRING)
            return not_a("synonyms", "an object of words and topics", topic, err);
        status = mc_vocabulary_add_synonym(vocabulary, words, mc_json_string(topic), err);
    }
    return status;
}

static enum mc_status add_topic_categories(struct mc_vocabulary *vocabulary,
                                           const struct mc_json *object, struct mc_error *err)
{
    static const char member[] = "topic_categories";
    static const char wanted[] = "an object of topics and lists of categories";
    if (mc_json_type(object) != MC_JSON_OBJECT)
        return not_a(member, wanted, object, err);
    void *cursor = NULL;
    mc_str topic;
    const struct mc_json *list;
    while (mc_json_next(object, &cursor, &topic, &list)) {
        if (mc_json_type(list) != MC_JSON_ARRAY)
            return not_a(member, wanted, list, err);
        for (size_t i = 0; i < mc_json_count(list); i++) {
            const struct mc_json *name = mc_json_at(list, i);
            if (mc_json_type(name) != MC_JSON_STRING)
                return not_a(member, wanted, name, err);
            enum mc_status status =
                mc_vocabulary_add_topic_category(vocabulary, topic, mc_json_string(name), err);
            if (status != MC_OK)
                return status;
        }
    }
    return MC_OK;
}

enum mc_status mc_vocabulary_extend_json(struct mc_vocabulary *vocabulary, mc_str json,
                                         struct mc_error *err)
{
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    enum mc_status status = mc_json_parse(json, &root, err);
    if (status != MC_OK)
        return mc_fail_prefix(err, status, "the vocabulary is not JSON");
    if (mc_json_type(root) != MC_JSON_OBJECT)
        return mc_fail_field(err, MC_CONFIG, "vocabulary",
                             "the vocabulary must be an object, not %s",
                             mc_json_type_name(mc_json_type(root)));
    static const char *const members[] = {"topics", "categories", "synonyms", "topic_categories"};
    void *cursor = NULL;
    mc_str key;
    const struct mc_json *value;
    while (mc_json_next(root, &cursor, &key, &value)) {
        bool known = false;
        for (size_t i = 0; i < mc_countof(members); i++)
            known = known || mc_str_equal(key, mc_str_of(members[i]));
        if (!known)
            return mc_fail_field(err, MC_CONFIG, "vocabulary",
                                 "vocabulary has no member \"%.*s\"; use topics, categories, "
                                 "synonyms or topic_categories",
                                 key.len > 60 ? 60 : (int)key.len, key.data);
    }
    /* Names before what refers to them, whatever their order in the text. */
    if ((value = mc_json_get(root, members[0])))
        status = add_list(vocabulary, members[0], value, mc_vocabulary_add_topic, err);
    if (status == MC_OK && (value = mc_json_get(root, members[1])))
        status = add_list(vocabulary, members[1], value, mc_vocabulary_add_category, err);
    if (status == MC_OK && (value = mc_json_get(root, members[2])))
        status = add_synonyms(vocabulary, value, err);
    if (status == MC_OK && (value = mc_json_get(root, members[3])))
        status = add_topic_categories(vocabulary, value, err);
    return status;
}
