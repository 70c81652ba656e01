/*
 * DESIGN. Words are a trie over folded words, so that the enricher finds "credit card" in running
 * text with one step a word. A node's value holds the topic's index + 1; words of one stem are kept
 * in a second trie. "order" and "orders" are both names of the contract and are always given
 * together.
 */
#include "vocabulary/vocabulary.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "text/stem.h"
#include "text/token.h"
#include "text/trie.h"

#define STRANGER (-1) /* value of words that lead nowhere */
#define STEM_LEAST 4  /* shorter stems belong to too many words */
#define ARENA_BYTES ((size_t)8 * 1024 * 1024)

struct topic {
    mc_str name;
    uint64_t categories;
};

struct mc_vocabulary {
    struct mc_arena arena;
    struct topic topics[MC_VOCABULARY_TOPICS];
    size_t topic_count;
    mc_str categories[MC_VOCABULARY_CATEGORIES];
    size_t category_count;
    size_t synonym_count;
    struct mc_trie words;
    struct mc_trie stems;
    uint16_t order; /* the pair */
    uint16_t orders;
    bool defaults; /* while the tables are read */
};

static enum mc_status check_name(const char *what, mc_str name, struct mc_error *err)
{
    bool good = name.len > 0 && name.len <= MC_VOCABULARY_NAME_BYTES;
    for (size_t i = 0; good && i < name.len; i++) {
        char c = name.data[i];
        bool space = c == ' ' && i > 0 && i + 1 < name.len && name.data[i - 1] != ' ';
        good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || space;
    }
    if (good)
        return MC_OK;
    return mc_fail_field(
        err, MC_CONFIG, what,
        "\"%.*s\" is no name of a %s: use 1 to %d lower-case letters, digits, _ and -, "
        "with single spaces inside",
        name.len > 80 ? 80 : (int)name.len, name.data ? name.data : "", what,
        MC_VOCABULARY_NAME_BYTES);
}

static size_t topic_index(const struct mc_vocabulary *vocabulary, mc_str name)
{
    for (size_t i = 0; i < vocabulary->topic_count; i++) {
        if (mc_str_equal(vocabulary->topics[i].name, name))
            return i;
    }
    return SIZE_MAX;
}

static size_t category_index(const struct mc_vocabulary *vocabulary, mc_str name)
{
    for (size_t i = 0; i < vocabulary->category_count; i++) {
        if (mc_str_equal(vocabulary->categories[i], name))
            return i;
    }
    return SIZE_MAX;
}

/* Words as the tokeniser gives them, separated by spaces, in the arena; data NULL when out of
 * memory. */
static mc_str fold_words(struct mc_vocabulary *vocabulary, mc_str words, size_t *count)
{
    char joined[MC_VOCABULARY_NAME_BYTES * 4];
    size_t len = 0;
    struct mc_tokenizer tokenizer;
    struct mc_token token;
    *count = 0;
    mc_tokenizer_init(&tokenizer, words);
    while (mc_token_next(&tokenizer, &token) && len + token.folded.len + 1 < sizeof(joined)) {
        if (len > 0)
            joined[len++] = ' ';
        memcpy(joined + len, token.folded.data, token.folded.len);
        len += token.folded.len;
        ++*count;
    }
    if (tokenizer.failed)
        return MC_STR_NONE;
    return mc_arena_copy(&vocabulary->arena, (mc_str){joined, len});
}

static enum mc_status add_words(struct mc_vocabulary *vocabulary, mc_str words, int32_t value,
                                struct mc_error *err)
{
    size_t count;
    mc_str folded = fold_words(vocabulary, words, &count);
    if (!folded.data || !mc_trie_add(&vocabulary->words, folded, value))
        return mc_fail_memory(err);
    if (count != 1 || value == STRANGER)
        return MC_OK;
    char room[MC_STEM_BYTES];
    mc_str stem = mc_stem(folded, room);
    /* The first topic that claims a stem keeps it, unless configuration says otherwise. */
    if (stem.len < STEM_LEAST || mc_stem_is_stop(folded) ||
        (vocabulary->defaults && mc_trie_step(&vocabulary->stems, 0, stem, mc_word_hash(stem))))
        return MC_OK;
    stem = mc_arena_copy(&vocabulary->arena, stem);
    if (!stem.data || !mc_trie_add(&vocabulary->stems, stem, value))
        return mc_fail_memory(err);
    return MC_OK;
}

enum mc_status mc_vocabulary_add_topic(struct mc_vocabulary *vocabulary, mc_str topic,
                                       struct mc_error *err)
{
    enum mc_status status = check_name("topic", topic, err);
    if (status != MC_OK || topic_index(vocabulary, topic) != SIZE_MAX)
        return status;
    if (vocabulary->topic_count == MC_VOCABULARY_TOPICS)
        return mc_fail_field(err, MC_CONFIG, "topic", "too many topics: at most %d",
                             MC_VOCABULARY_TOPICS);
    mc_str name = mc_arena_copy(&vocabulary->arena, topic);
    if (!name.data)
        return mc_fail_memory(err);
    size_t index = vocabulary->topic_count;
    bool silent = vocabulary->defaults &&
                  (mc_str_equal(name, MC_STR("general")) || mc_str_equal(name, MC_STR("other")) ||
                   mc_str_equal(name, MC_STR("unknown")));
    if (!silent) {
        status = add_words(vocabulary, name, (int32_t)index + 1, err);
        if (status != MC_OK)
            return status;
    }
    vocabulary->topics[index] = (struct topic){name, 0};
    vocabulary->topic_count++;
    return MC_OK;
}

enum mc_status mc_vocabulary_add_category(struct mc_vocabulary *vocabulary, mc_str category,
                                          struct mc_error *err)
{
    enum mc_status status = check_name("category", category, err);
    if (status != MC_OK || category_index(vocabulary, category) != SIZE_MAX)
        return status;
    if (vocabulary->category_count == MC_VOCABULARY_CATEGORIES)
        return mc_fail_field(err, MC_CONFIG, "category", "too many categories: at most %d",
                             MC_VOCABULARY_CATEGORIES);
    mc_str name = mc_arena_copy(&vocabulary->arena, category);
    if (!name.data)
        return mc_fail_memory(err);
    vocabulary->categories[vocabulary->category_count++] = name;
    return MC_OK;
}

static enum mc_status no_such(const char *what, mc_str name, struct mc_error *err)
{
    return mc_fail_field(err, MC_CONFIG, what,
                         "there is no %s \"%.*s\"; add it to the vocabulary's list first", what,
                         name.len > 80 ? 80 : (int)name.len, name.data ? name.data : "");
}

enum mc_status mc_vocabulary_add_synonym(struct mc_vocabulary *vocabulary, mc_str words,
                                         mc_str topic, struct mc_error *err)
{
    enum mc_status status = check_name("synonym", words, err);
    if (status != MC_OK)
        return status;
    size_t index = topic_index(vocabulary, topic);
    if (index == SIZE_MAX)
        return no_such("topic", topic, err);
    if (vocabulary->synonym_count == MC_VOCABULARY_SYNONYMS)
        return mc_fail_field(err, MC_CONFIG, "synonym", "too many synonyms: at most %d",
                             MC_VOCABULARY_SYNONYMS);
    status = add_words(vocabulary, words, (int32_t)index + 1, err);
    if (status == MC_OK)
        vocabulary->synonym_count++;
    return status;
}

enum mc_status mc_vocabulary_add_topic_category(struct mc_vocabulary *vocabulary, mc_str topic,
                                                mc_str category, struct mc_error *err)
{
    size_t index = topic_index(vocabulary, topic);
    if (index == SIZE_MAX)
        return no_such("topic", topic, err);
    size_t bit = category_index(vocabulary, category);
    if (bit == SIZE_MAX)
        return no_such("category", category, err);
    vocabulary->topics[index].categories |= UINT64_C(1) << bit;
    return MC_OK;
}

static enum mc_status add_default_topic(struct mc_vocabulary *vocabulary,
                                        const struct mc_vocabulary_topic_words *row,
                                        struct mc_error *err)
{
    mc_str topic = mc_str_of(row->topic);
    mc_str rest = mc_str_of(row->categories);
    mc_str part;
    enum mc_status status = mc_vocabulary_add_topic(vocabulary, topic, err);
    while (status == MC_OK && mc_str_split(&rest, ' ', &part))
        status = mc_vocabulary_add_topic_category(vocabulary, topic, part, err);
    return status;
}

static enum mc_status add_default_words(struct mc_vocabulary *vocabulary, mc_str list,
                                        int32_t value, struct mc_error *err)
{
    enum mc_status status = MC_OK;
    mc_str words;
    while (status == MC_OK && list.len > 0 && mc_str_split(&list, '|', &words))
        status = add_words(vocabulary, words, value, err);
    return status;
}

static enum mc_status add_defaults(struct mc_vocabulary *vocabulary, struct mc_error *err)
{
    enum mc_status status = MC_OK;
    mc_str rest = mc_str_of(mc_vocabulary_categories);
    mc_str part;
    vocabulary->defaults = true;
    while (status == MC_OK && mc_str_split(&rest, '|', &part))
        status = mc_vocabulary_add_category(vocabulary, part, err);
    /* All names first, so that no synonym takes the stem of a name. */
    for (size_t i = 0; status == MC_OK && i < mc_vocabulary_topics_count; i++)
        status = add_default_topic(vocabulary, &mc_vocabulary_topics[i], err);
    for (size_t i = 0; status == MC_OK && i < mc_vocabulary_topics_count; i++)
        status = add_default_words(vocabulary, mc_str_of(mc_vocabulary_topics[i].words),
                                   (int32_t)i + 1, err);
    if (status == MC_OK)
        status = add_default_words(vocabulary, mc_str_of(mc_vocabulary_strangers), STRANGER, err);
    vocabulary->defaults = false;
    vocabulary->order = (uint16_t)topic_index(vocabulary, MC_STR("order"));
    vocabulary->orders = (uint16_t)topic_index(vocabulary, MC_STR("orders"));
    return status;
}

static void free_ptr(struct mc_vocabulary **vocabulary)
{
    mc_vocabulary_free(*vocabulary);
}

enum mc_status mc_vocabulary_new(struct mc_vocabulary **vocabulary, struct mc_error *err)
{
    mc_auto(free_ptr) struct mc_vocabulary *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    mc_arena_init(&made->arena, ARENA_BYTES);
    mc_trie_init(&made->words);
    mc_trie_init(&made->stems);
    enum mc_status status = add_defaults(made, err);
    if (status == MC_OK)
        *vocabulary = mc_steal(made);
    return status;
}

void mc_vocabulary_free(struct mc_vocabulary *vocabulary)
{
    if (!vocabulary)
        return;
    mc_trie_fini(&vocabulary->words);
    mc_trie_fini(&vocabulary->stems);
    mc_arena_fini(&vocabulary->arena);
    free(vocabulary);
}

bool mc_vocabulary_is_builtin(mc_str topic)
{
    for (size_t i = 0; i < mc_vocabulary_topics_count; i++) {
        if (mc_str_equal(topic, mc_str_of(mc_vocabulary_topics[i].topic)))
            return true;
    }
    return false;
}

size_t mc_vocabulary_topic_count(const struct mc_vocabulary *vocabulary)
{
    return vocabulary->topic_count;
}

mc_str mc_vocabulary_topic_at(const struct mc_vocabulary *vocabulary, size_t index)
{
    return index < vocabulary->topic_count ? vocabulary->topics[index].name : MC_STR_NONE;
}

size_t mc_vocabulary_category_count(const struct mc_vocabulary *vocabulary)
{
    return vocabulary->category_count;
}

mc_str mc_vocabulary_category_at(const struct mc_vocabulary *vocabulary, size_t index)
{
    return index < vocabulary->category_count ? vocabulary->categories[index] : MC_STR_NONE;
}

uint64_t mc_vocabulary_topic_categories(const struct mc_vocabulary *vocabulary, size_t index)
{
    return index < vocabulary->topic_count ? vocabulary->topics[index].categories : 0;
}

uint32_t mc_vocabulary_step(const struct mc_vocabulary *vocabulary, uint32_t node, mc_str word,
                            uint32_t hash)
{
    return mc_trie_step(&vocabulary->words, node, word, hash);
}

static size_t topics_of(const struct mc_vocabulary *vocabulary, int32_t value, uint16_t topics[2])
{
    if (value <= 0)
        return 0;
    topics[0] = (uint16_t)(value - 1);
    if (topics[0] != vocabulary->order && topics[0] != vocabulary->orders)
        return 1;
    topics[0] = vocabulary->order;
    topics[1] = vocabulary->orders;
    return 2;
}

size_t mc_vocabulary_node_topics(const struct mc_vocabulary *vocabulary, uint32_t node,
                                 uint16_t topics[2])
{
    return topics_of(vocabulary, mc_trie_value(&vocabulary->words, node), topics);
}

bool mc_vocabulary_is_stranger(const struct mc_vocabulary *vocabulary, uint32_t node)
{
    return mc_trie_value(&vocabulary->words, node) == STRANGER;
}

size_t mc_vocabulary_stem_topics(const struct mc_vocabulary *vocabulary, mc_str stem, uint32_t hash,
                                 uint16_t topics[2])
{
    uint32_t node = mc_trie_step(&vocabulary->stems, 0, stem, hash);
    return node == 0 ? 0 : topics_of(vocabulary, mc_trie_value(&vocabulary->stems, node), topics);
}

/* The topic that the words of a name lead to, in full; *words is their number. */
static int32_t lookup(const struct mc_vocabulary *vocabulary, mc_str name, size_t *words,
                      struct mc_token *last, struct mc_tokenizer *tokenizer)
{
    uint32_t node = 0;
    *words = 0;
    mc_tokenizer_init(tokenizer, name);
    struct mc_token token;
    while (mc_token_next(tokenizer, &token)) {
        *last = token;
        node = *words == 0 || node != 0
                   ? mc_trie_step(&vocabulary->words, node, token.folded, token.hash)
                   : 0;
        ++*words;
    }
    return node != 0 ? mc_trie_value(&vocabulary->words, node) : 0;
}

mc_str mc_vocabulary_topic(const struct mc_vocabulary *vocabulary, mc_str word)
{
    word = mc_str_trim(word);
    if (word.len == 0 || word.len > 4 * MC_VOCABULARY_NAME_BYTES)
        return MC_STR_NONE;
    for (size_t i = 0; i < vocabulary->topic_count; i++) {
        if (mc_str_equal_nocase(vocabulary->topics[i].name, word))
            return vocabulary->topics[i].name;
    }
    size_t words;
    struct mc_token token;
    struct mc_tokenizer tokenizer;
    int32_t value = lookup(vocabulary, word, &words, &token, &tokenizer);
    if (value == 0 && words == 1) {
        char room[MC_STEM_BYTES];
        mc_str stem = mc_stem(token.folded, room);
        uint32_t node = mc_trie_step(&vocabulary->stems, 0, stem, mc_word_hash(stem));
        value = node ? mc_trie_value(&vocabulary->stems, node) : 0;
    }
    return value > 0 ? vocabulary->topics[value - 1].name : MC_STR_NONE;
}

mc_str mc_vocabulary_category(const struct mc_vocabulary *vocabulary, mc_str word)
{
    word = mc_str_trim(word);
    for (size_t i = 0; i < vocabulary->category_count; i++) {
        if (mc_str_equal_nocase(vocabulary->categories[i], word))
            return vocabulary->categories[i];
    }
    return MC_STR_NONE;
}
