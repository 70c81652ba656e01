/*
 * The question that a model is asked about a message: the system text, the same for all messages, and the
 * shape of the answer. Made once from the vocabulary; then read-only, any thread.
 */
#ifndef MC_ENRICH_PROMPT_H
#define MC_ENRICH_PROMPT_H

#include "base/arena.h"
#include "base/hash.h"
#include "llm/schema.h"
#include "vocabulary/vocabulary.h"

/* Raised when the question or what is made of the answer changes: answers are not reused across it. */
#define MC_PROMPT_VERSION 1

#define MC_PROMPT_TOPICS 3
#define MC_PROMPT_CATEGORIES 2
#define MC_PROMPT_ENTITIES 3
#define MC_PROMPT_PHRASES 3
#define MC_PROMPT_ENTITY_CHARACTERS 48
#define MC_PROMPT_PHRASE_CHARACTERS 40
#define MC_PROMPT_SENTIMENT 10  /* sentiment_score is -10..10 */
#define MC_PROMPT_IMPORTANCE 10 /* importance is 0..10 */
/* Room for an answer: about 150 in English, more where a character is a token or two. */
#define MC_PROMPT_ANSWER_TOKENS 512

struct mc_prompt {
    mc_str system;
    struct mc_schema *schema;
    unsigned char fingerprint[MC_HASH_BYTES]; /* of the version, the system text and the schema */
    char *text;                               /* behind system */
};

/* MC_NO_MEMORY. *prompt is freed with mc_prompt_free. */
MC_MUST_CHECK enum mc_status mc_prompt_new(const struct mc_vocabulary *vocabulary,
                                           struct mc_prompt **prompt, struct mc_error *err);
void mc_prompt_free(struct mc_prompt *prompt); /* accepts NULL */

/* What is said to the model for one message, in the arena; absent when out of memory. */
mc_str mc_prompt_turn(const struct mc_message *message, struct mc_arena *arena);

/*
 * What tells whether the answer for a message is known: the same text of the same role, asked the same
 * question of the same model.
 */
void mc_prompt_hash(const struct mc_prompt *prompt, const struct mc_message *message, mc_str model,
                    unsigned char hash[MC_HASH_BYTES]);

#endif
