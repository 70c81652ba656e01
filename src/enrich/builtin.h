/*
 * The built-in enricher: metadata without a model. Pure functions, deterministic, no I/O.
 *
 * It looks at the first MC_BUILTIN_TOKENS words. Confidence is 0.3, and 0.2 more when a topic, 0.15
 * when an intent, 0.15 when an entity was found: below what a model says of itself, as the rules
 * are simpler.
 */
#ifndef MC_ENRICH_BUILTIN_H
#define MC_ENRICH_BUILTIN_H

#include "message/metadata.h"
#include "text/trivial.h"
#include "vocabulary/vocabulary.h"

#define MC_BUILTIN_TOKENS 2048
#define MC_BUILTIN_TOPICS 6 /* the most frequent ones, earlier ones first among equals */

/*
 * Strings of *out live in the arena, the vocabulary or the text (entities). No topic found:
 * "general". False when out of memory; *out untouched.
 */
MC_MUST_CHECK bool mc_builtin_enrich(const struct mc_vocabulary *vocabulary, mc_str text,
                                     enum mc_role role, struct mc_arena *arena,
                                     struct mc_metadata *out);

/* The metadata of a trivial message, all of static text: importance MC_IMPORTANCE_TRIVIAL. */
void mc_builtin_trivial(enum mc_trivial category, struct mc_metadata *out);

#endif
