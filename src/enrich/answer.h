/*
 * From a model's answer to metadata. Lenient: what a service without strict schemas sends is brought into
 * the vocabulary or dropped, nothing that the message does not say enters, and what the built-in
 * enricher knows better (order numbers, addresses, amounts, dates) comes from it, as does what the answer
 * leaves out. Pure, any thread.
 *
 * Confidence is the model's own where the provider knows it; else it comes from how far two independent
 * looks at the message agree: 0.6, and 0.1 more each when the built-in enricher found one of the topics,
 * the same intent, and the same sentiment.
 */
#ifndef MC_ENRICH_ANSWER_H
#define MC_ENRICH_ANSWER_H

#include "base/arena.h"
#include "llm/llm.h"
#include "message/metadata.h"
#include "vocabulary/vocabulary.h"

/*
 * For mc_llm_call.accept; the context is not used. MC_INVALID when it is no object, or none of topics (a
 * list), intent and sentiment (texts) is there: then nothing was understood.
 */
MC_MUST_CHECK enum mc_status mc_answer_accept(const void *context, mc_str answer,
                                              struct mc_error *err);

/*
 * The metadata of an answered call: method "llm", the call's model. builtin: what the built-in enricher
 * found in the same text. Strings live in the arena, the vocabulary, the text, or builtin. MC_INVALID as
 * above, MC_NO_MEMORY; *out untouched then.
 */
MC_MUST_CHECK enum mc_status mc_answer_read(const struct mc_vocabulary *vocabulary, mc_str text,
                                            const struct mc_metadata *builtin,
                                            const struct mc_llm_call *call, struct mc_arena *arena,
                                            struct mc_metadata *out, struct mc_error *err);

#endif
