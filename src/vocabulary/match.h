/* Which words of a text lead to topics. Pure; any thread. */
#ifndef MC_VOCABULARY_MATCH_H
#define MC_VOCABULARY_MATCH_H

#include "text/token.h"
#include "vocabulary/vocabulary.h"

struct mc_topic_match {
    uint16_t topics[2]; /* indexes */
    size_t count;       /* of topics: 0 to 2 */
    size_t words;       /* that were read, at least 1: what follows them is the next to look at */
};

/*
 * The longest phrase of the vocabulary from token `at` on, else that word's stem. A phrase that means something
 * else than its words ("in order to") is read as a whole, and has no topic.
 */
struct mc_topic_match mc_vocabulary_match(const struct mc_vocabulary *vocabulary,
                                          const struct mc_tokens *tokens, size_t at);

#endif
