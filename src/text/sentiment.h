/*
 * The feeling of a text, from a lexicon of our own (text/lexicon_words.c).
 *
 * Each word has a weight; a negation up to four words before turns and weakens it, words of
 * emphasis strengthen or weaken it, so do capitals and exclamation marks, and what follows "but"
 * counts more than what stands before. The sum is brought to -1..1 by s / sqrt(s * s + 15). Method
 * and constants after C. J. Hutto and E. Gilbert, "VADER: A Parsimonious Rule-based Model for
 * Sentiment Analysis of Social Media Text", ICWSM 2014. Pure function.
 */
#ifndef MC_TEXT_SENTIMENT_H
#define MC_TEXT_SENTIMENT_H

#include "text/names.h"
#include "text/token.h"

struct mc_sentiment {
    enum mc_mood overall;
    double score; /* -1..1 */
};

/*
 * positive from 0.2, negative from -0.2; mixed when praise and blame are both clear (a sum of at
 * least 1 each) and neither is more than twice the other.
 */
void mc_sentiment_of(const struct mc_tokens *tokens, struct mc_sentiment *out);

#endif
