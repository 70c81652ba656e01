#include "text/intent.h"

#include "base/compiler.h"
#include "text/lexicon.h"

#define LEAST 2.0

/* Words of each kind in the text. */
struct counts {
    double complaint;
    double problem;
    double self;
};

static struct counts count_words(const struct mc_tokens *tokens)
{
    struct counts counts = {0, 0, 0};
    for (size_t i = 0; i < tokens->count; i++) {
        uint32_t flags = mc_lexicon_entry(tokens->items[i].word)->flags;
        counts.complaint += (flags & MC_WORD_COMPLAINT) != 0;
        counts.problem += (flags & MC_WORD_PROBLEM) != 0;
        counts.self += (flags & MC_WORD_SELF) != 0;
    }
    return counts;
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

enum mc_intent mc_intent_of(const struct mc_tokens *tokens, const struct mc_cues *cues,
                            const struct mc_sentiment *sentiment)
{
    struct counts counts = count_words(tokens);
    bool negative = sentiment->overall == MC_MOOD_NEGATIVE;
    bool positive = sentiment->overall == MC_MOOD_POSITIVE;
    double strength = sentiment->score < 0 ? -sentiment->score : sentiment->score;
    double ask = 3.0 * (cues->questions > 0) + 1.5 * (cues->openings > 0) +
                 least(cues->points[MC_CUE_ASK], 4);
    double request = least(cues->points[MC_CUE_REQUEST], 8) + 3.0 * (cues->commands > 0);
    double complaint = least(cues->points[MC_CUE_COMPLAINT], 7) + least(counts.complaint * 2, 6);
    if (negative)
        complaint += least(counts.problem, 2) + 2 * strength;
    /* A calm report with a question or a request is that question or request. */
    if ((cues->questions > 0 || cues->points[MC_CUE_REQUEST] > 0) && strength < 0.55)
        complaint *= 0.6;
    double opinion = least(cues->points[MC_CUE_OPINION], 5) +
                     (positive || negative ? 2 * strength + (cues->questions ? 0 : 0.8) : 0) +
                     (sentiment->overall == MC_MOOD_MIXED ? 2 : 0);
    double inform = least(cues->points[MC_CUE_INFORM] + cues->points[MC_CUE_PERSONAL] +
                              cues->points[MC_CUE_REMEMBER] + cues->points[MC_CUE_PREFERENCE] / 2,
                          6) +
                    (counts.self > 0 && tokens->count >= 4 ? 2 : 0);
    double confirm = cues->points[MC_CUE_CONFIRM] + (tokens->count <= 6 ? 0.5 : 0);
    if (cues->points[MC_CUE_CONFIRM] == 0)
        confirm = 0;
    const struct {
        enum mc_intent intent;
        double points;
    } ranks[] = {
        {MC_INTENT_COMPLAINT, complaint},
        {MC_INTENT_FEEDBACK, cues->points[MC_CUE_FEEDBACK]},
        {MC_INTENT_CLARIFICATION, cues->points[MC_CUE_CLARIFY]},
        {MC_INTENT_REQUEST_ACTION, request},
        {MC_INTENT_ASK_QUESTION, ask},
        {MC_INTENT_EXPRESS_OPINION, opinion},
        {MC_INTENT_PROVIDE_INFO, inform},
        {MC_INTENT_CONFIRMATION, confirm},
    };
    enum mc_intent best = MC_INTENT_NONE;
    double points = 0;
    for (size_t i = 0; i < mc_countof(ranks); i++) {
        if (ranks[i].points >= LEAST && ranks[i].points > points) {
            best = ranks[i].intent;
            points = ranks[i].points;
        }
    }
    return best;
}
