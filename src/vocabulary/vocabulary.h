/*
 * The controlled vocabulary: the topics and categories that metadata may name, which categories a
 * topic brings along, and the words that lead to a topic. It begins with the tables of
 * vocabulary/vocabulary_words.c, is extended by configuration, and is then read-only: any thread
 * may look up.
 *
 * A name is 1 to 64 bytes of lower-case letters, digits, '_', '-' and single spaces inside.
 */
#ifndef MC_VOCABULARY_VOCABULARY_H
#define MC_VOCABULARY_VOCABULARY_H

#include <mindcore/types.h>

#define MC_VOCABULARY_NAME_BYTES 64
#define MC_VOCABULARY_TOPICS 512
#define MC_VOCABULARY_CATEGORIES 64
#define MC_VOCABULARY_SYNONYMS 10000 /* added by configuration */

struct mc_vocabulary;

/* *vocabulary is freed with mc_vocabulary_free. */
MC_MUST_CHECK enum mc_status mc_vocabulary_new(struct mc_vocabulary **vocabulary,
                                               struct mc_error *err);
void mc_vocabulary_free(struct mc_vocabulary *vocabulary); /* accepts NULL */

/* Adding what is there already changes nothing. MC_CONFIG for a bad name or above the maximum. */
MC_MUST_CHECK enum mc_status mc_vocabulary_add_topic(struct mc_vocabulary *vocabulary, mc_str topic,
                                                     struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_vocabulary_add_category(struct mc_vocabulary *vocabulary,
                                                        mc_str category, struct mc_error *err);
/* The words (one or several, separated by spaces) now lead to the topic, which must exist. */
MC_MUST_CHECK enum mc_status mc_vocabulary_add_synonym(struct mc_vocabulary *vocabulary,
                                                       mc_str words, mc_str topic,
                                                       struct mc_error *err);
/* The topic now brings the category along; both must exist. */
MC_MUST_CHECK enum mc_status mc_vocabulary_add_topic_category(struct mc_vocabulary *vocabulary,
                                                              mc_str topic, mc_str category,
                                                              struct mc_error *err);

/*
 * Adds {"topics": [..], "categories": [..], "synonyms": {"words": "topic"}, "topic_categories":
 * {"topic": ["category", ..]}}, each optional. Errors name the member. After a failure the
 * vocabulary may hold part of it.
 */
MC_MUST_CHECK enum mc_status mc_vocabulary_extend_json(struct mc_vocabulary *vocabulary,
                                                       mc_str json, struct mc_error *err);

/* Whether a topic of that name is one of the tables, in every vocabulary. */
bool mc_vocabulary_is_builtin(mc_str topic);

size_t mc_vocabulary_topic_count(const struct mc_vocabulary *vocabulary);
mc_str mc_vocabulary_topic_at(const struct mc_vocabulary *vocabulary, size_t index);
size_t mc_vocabulary_category_count(const struct mc_vocabulary *vocabulary);
mc_str mc_vocabulary_category_at(const struct mc_vocabulary *vocabulary, size_t index);

/*
 * The topic or category of that name, or that a synonym or a word of the same stem leads to; ASCII
 * case ignored. An absent string when there is none. The string lives as long as the vocabulary.
 */
mc_str mc_vocabulary_topic(const struct mc_vocabulary *vocabulary, mc_str word);
mc_str mc_vocabulary_category(const struct mc_vocabulary *vocabulary, mc_str word);

/* Bit i for category i: those that topic `index` brings along. */
uint64_t mc_vocabulary_topic_categories(const struct mc_vocabulary *vocabulary, size_t index);

/*
 * For matching in running text, word by word: start with node 0 and step over folded words (with
 * their mc_word_hash); a node has the topics (at most two: "order" and "orders" go together) that
 * its words lead to.
 */
uint32_t mc_vocabulary_step(const struct mc_vocabulary *vocabulary, uint32_t node, mc_str word,
                            uint32_t hash);
/* The number of topics of a node: 0 to 2, as indexes. */
size_t mc_vocabulary_node_topics(const struct mc_vocabulary *vocabulary, uint32_t node,
                                 uint16_t topics[2]);
/* The word of the node is known to mean something else than its stem says ("production"). */
bool mc_vocabulary_is_stranger(const struct mc_vocabulary *vocabulary, uint32_t node);
/* The topics of one word by its stem (text/stem.h). */
size_t mc_vocabulary_stem_topics(const struct mc_vocabulary *vocabulary, mc_str stem, uint32_t hash,
                                 uint16_t topics[2]);

/* The tables of vocabulary_words.c: a topic, its categories and its words, separated by '|'. */
struct mc_vocabulary_topic_words {
    const char *topic;
    const char *categories;
    const char *words;
};
extern const struct mc_vocabulary_topic_words mc_vocabulary_topics[];
extern const size_t mc_vocabulary_topics_count;
extern const char mc_vocabulary_categories[];
/* Words that share a stem with a topic but mean something else. */
extern const char mc_vocabulary_strangers[];

#endif
