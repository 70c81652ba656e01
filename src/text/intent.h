/*
 * What a message is for, from its form (question marks, how sentences begin) and turns of phrase.
 * Each intent collects points; the highest wins, the earlier of enum order complaint, feedback,
 * clarification, request, question, opinion, information, confirmation on a tie; below two points
 * there is none. Pure function.
 */
#ifndef MC_TEXT_INTENT_H
#define MC_TEXT_INTENT_H

#include "text/cue.h"
#include "text/names.h"
#include "text/sentiment.h"

enum mc_intent mc_intent_of(const struct mc_tokens *tokens, const struct mc_cues *cues,
                            const struct mc_sentiment *sentiment);

#endif
