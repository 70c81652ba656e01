#include "text/sentiment.h"

#include <math.h>

#include "base/str.h"
#include "text/lexicon.h"

#define REACH 4         /* words that a negation reaches */
#define NORMAL 15.0     /* of the score */
#define NEGATED (-0.74) /* what a negation leaves of a weight */
#define BOOST 0.29
#define CAPITALS 1.25
#define CLEAR 1.0

struct sums {
    double praise;
    double blame; /* positive number */
};

static uint32_t flags_of(const struct mc_token *token)
{
    return mc_lexicon_entry(token->word)->flags;
}

static double weight_of(const struct mc_tokens *tokens, size_t at)
{
    const struct mc_token *token = &tokens->items[at];
    const struct mc_word *word = mc_lexicon_entry(token->word);
    int weight = word->weight;
    bool by_stem = token->kind == MC_TOKEN_WORD &&
                   !(word->flags & (MC_WORD_PLAIN | MC_WORD_STOP | MC_WORD_NEGATION));
    if (weight == 0 && by_stem)
        weight = mc_lexicon_stem_weight(token->stem_hash);
    if (weight == 0)
        return 0;
    /* "like" is a feeling only behind its subject: not in "looks like", "would like to". */
    if (mc_token_is(token, "like")) {
        uint32_t before = at > 0 ? flags_of(&tokens->items[at - 1]) : 0;
        if (!(before & (MC_WORD_SELF | MC_WORD_BOOST | MC_WORD_NEGATION)) ||
            mc_token_is(&tokens->items[at - 1], "i'd") ||
            mc_token_is(&tokens->items[at - 1], "we'd"))
            return 0;
    }
    /* "terribly slow": emphasis, not a feeling of its own. */
    if ((word->flags & MC_WORD_BOOST) && at + 1 < tokens->count &&
        tokens->items[at + 1].gap == MC_GAP_SPACE &&
        mc_lexicon_entry(tokens->items[at + 1].word)->weight != 0)
        return 0;
    return weight / 10.0;
}

/* The weight after what stands before the word. */
static double in_context(const struct mc_tokens *tokens, size_t at, double weight)
{
    bool negated = false;
    for (size_t back = 1; back <= REACH && back <= at; back++) {
        const struct mc_token *token = &tokens->items[at - back + 1];
        if (token->gap & MC_GAP_STOP)
            break;
        const struct mc_token *before = &tokens->items[at - back];
        uint32_t flags = flags_of(before);
        bool near = back == 1 || !(token->gap & MC_GAP_PAUSE);
        if (!near || (flags & MC_WORD_CONTRAST))
            break;
        if (flags & MC_WORD_NEGATION) {
            /* "not only good" praises; "no" speaks to what is next to it. */
            bool only = mc_token_is(token, "only");
            bool no = mc_token_is(before, "no") && back > 2;
            negated = negated != (!only && !no);
            continue;
        }
        if (back <= 3 && (flags & MC_WORD_BOOST))
            weight += (weight > 0 ? BOOST : -BOOST) * (1.0 - 0.05 * (double)(back - 1)) * 1.5;
        else if (back <= 2 && (flags & MC_WORD_DAMP))
            weight *= 0.7;
    }
    return negated ? weight * NEGATED : weight;
}

/* Capitals shout only where not everything is in capitals. */
static bool has_lower_words(const struct mc_tokens *tokens)
{
    for (size_t i = 0; i < tokens->count && i < 64; i++) {
        const struct mc_token *token = &tokens->items[i];
        if (token->kind == MC_TOKEN_WORD && token->len > 1 && !(token->flags & MC_TOKEN_UPPER))
            return true;
    }
    return false;
}

static void add(struct sums *sums, double weight, double factor)
{
    if (weight > 0)
        sums->praise += weight * factor;
    else
        sums->blame -= weight * factor;
}

void mc_sentiment_of(const struct mc_tokens *tokens, struct mc_sentiment *out)
{
    struct sums before = {0, 0}, after = {0, 0};
    bool contrast = false;
    bool shouting = false, checked = false;
    for (size_t i = 0; i < tokens->count; i++) {
        const struct mc_token *token = &tokens->items[i];
        uint32_t flags = flags_of(token);
        if (flags & MC_WORD_CONTRAST) {
            /* Everything so far stands before the last "but". */
            before.praise += after.praise;
            before.blame += after.blame;
            after = (struct sums){0, 0};
            contrast = true;
        }
        double weight = weight_of(tokens, i);
        if (weight == 0)
            continue;
        if (token->flags & MC_TOKEN_UPPER) {
            if (!checked)
                shouting = has_lower_words(tokens);
            checked = true;
            weight *= shouting ? CAPITALS : 1.0;
        }
        add(&after, in_context(tokens, i, weight), 1.0);
    }
    double earlier = contrast ? 0.6 : 1.0;
    double later = contrast ? 1.4 : 1.0;
    double praise = before.praise * earlier + after.praise * later;
    double blame = before.blame * earlier + after.blame * later;
    double sum = praise - blame;
    double marks = tokens->exclaims > 4 ? 4 : (double)tokens->exclaims;
    if (sum != 0)
        sum += (sum > 0 ? 0.29 : -0.29) * marks;
    double score = sum / sqrt(sum * sum + NORMAL);
    out->score = round(score * 1000) / 1000;
    double all_praise = before.praise + after.praise;
    double all_blame = before.blame + after.blame;
    bool both = all_praise >= CLEAR && all_blame >= CLEAR;
    if (both && all_praise <= 2 * all_blame && all_blame <= 2 * all_praise)
        out->overall = MC_MOOD_MIXED;
    else
        out->overall = score >= 0.2    ? MC_MOOD_POSITIVE
                       : score <= -0.2 ? MC_MOOD_NEGATIVE
                                       : MC_MOOD_NEUTRAL;
    /* Zero without a sign, so that it is written as 0. */
    if (out->score == 0)
        out->score = 0;
}
