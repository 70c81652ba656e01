#include "vocabulary/match.h"

#include "text/lexicon.h"

static struct mc_topic_match longest_phrase(const struct mc_vocabulary *vocabulary,
                                            const struct mc_tokens *tokens, size_t at)
{
    struct mc_topic_match best = {.words = 0};
    uint32_t node = 0;
    for (size_t i = at; i < tokens->count; i++) {
        const struct mc_token *token = &tokens->items[i];
        if (i > at && (token->gap & MC_GAP_STOP))
            break;
        node = mc_vocabulary_step(vocabulary, node, token->folded, token->hash);
        if (node == 0)
            break;
        struct mc_topic_match here = {.words = i - at + 1};
        here.count = mc_vocabulary_node_topics(vocabulary, node, here.topics);
        if (here.count > 0 || mc_vocabulary_is_stranger(vocabulary, node))
            best = here;
    }
    return best;
}

struct mc_topic_match mc_vocabulary_match(const struct mc_vocabulary *vocabulary,
                                          const struct mc_tokens *tokens, size_t at)
{
    struct mc_topic_match match = longest_phrase(vocabulary, tokens, at);
    if (match.words > 0)
        return match;
    const struct mc_token *token = &tokens->items[at];
    match.words = 1;
    if (token->kind == MC_TOKEN_WORD &&
        !(mc_lexicon_entry(token->word)->flags & (MC_WORD_STOP | MC_WORD_NEGATION)))
        match.count =
            mc_vocabulary_stem_topics(vocabulary, token->stem, token->stem_hash, match.topics);
    return match;
}
