/*
 * Turns of phrase that tell what a message is for: "can you", "my name is", "as soon as possible".
 * One pass over the words serves intent (text/intent.h) and importance (text/importance.h). Pure
 * function.
 */
#ifndef MC_TEXT_CUE_H
#define MC_TEXT_CUE_H

#include "text/token.h"

enum mc_cue {
    MC_CUE_NONE,
    MC_CUE_ASK,        /* "how do i", "is it possible" */
    MC_CUE_REQUEST,    /* "can you", "i need" */
    MC_CUE_INFORM,     /* "here is", "my order number is" */
    MC_CUE_OPINION,    /* "i think", "in my opinion" */
    MC_CUE_COMPLAINT,  /* "third time", "still waiting" */
    MC_CUE_CLARIFY,    /* "i meant", "what do you mean" */
    MC_CUE_FEEDBACK,   /* "it would be great if", "feature request" */
    MC_CUE_CONFIRM,    /* "yes" and "no" at the beginning */
    MC_CUE_URGENT,     /* "as soon as possible", "urgent"; not what is denied, "not very urgent" */
    MC_CUE_DEADLINE,   /* "by friday", "before the end of" */
    MC_CUE_PERSONAL,   /* "my name is", "i am allergic", "i live in" */
    MC_CUE_PREFERENCE, /* "i prefer", "i don't like" */
    MC_CUE_REMEMBER,   /* "remember that", "don't forget" */
    MC_CUE_COUNT
};

struct mc_cues {
    uint8_t points[MC_CUE_COUNT]; /* sum of the weights of what was found, at most 255 */
    uint8_t openings;             /* sentences that begin like a question */
    uint8_t commands;             /* sentences that begin with a verb of request */
    uint8_t questions;            /* question marks at the end of sentences */
};

void mc_cues_of(const struct mc_tokens *tokens, struct mc_cues *out);

#endif
