/*
 * How much a message is worth keeping, 0..1. Pure function.
 *
 * 0.5, and then, each at most once:
 *   +0.15  urgency (words or turns of phrase, not denied: "not very urgent")
 *   +0.10  a deadline, or a day named with one
 *   +0.20  personal facts ("my name is")
 *   +0.15  a preference ("I prefer"); with personal facts +0.25 together
 *   +0.20  "remember that"
 *   +0.10  an amount of money
 *   +0.10  an order, invoice or tracking number
 *   +0.10  a name, e-mail address or telephone number
 *   +0.08  a request
 *   +0.04  a question
 *   +0.10  a complaint or a strongly negative mood
 *   +0.06  a problem reported
 *   +0.05  more than 40 words
 *   -0.15  fewer than 4 words and none of the above
 *   -0.05  an assistant's or a tool's message without an identifier
 *
 * The result is kept within 0.1 and 1.
 * Trivial messages have MC_IMPORTANCE_TRIVIAL instead.
 */
#ifndef MC_TEXT_IMPORTANCE_H
#define MC_TEXT_IMPORTANCE_H

#include "text/cue.h"
#include "text/entity.h"
#include "text/sentiment.h"

#define MC_IMPORTANCE_TRIVIAL 0.1
#define MC_IMPORTANCE_DEFAULT 0.5

struct mc_importance_input {
    const struct mc_tokens *tokens;
    const struct mc_cues *cues;
    const struct mc_entities *entities;
    const struct mc_sentiment *sentiment;
    enum mc_intent intent;
    enum mc_role role;
};

double mc_importance_of(const struct mc_importance_input *input);

#endif
