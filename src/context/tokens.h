/*
 * Budgets in tokens without a tokenizer: the rule of mc_tokens_estimate, in units that add up.
 * Pure.
 *
 * The units of texts that are joined at a line break are the sum of their units, so a packer can
 * count piece by piece and still know the estimate of the whole.
 */
#ifndef MC_CONTEXT_TOKENS_H
#define MC_CONTEXT_TOKENS_H

#include "base/arena.h"

#define MC_TOKEN_UNITS 4 /* units of a token */

/* The units of a text; mc_tokens_estimate is this divided by MC_TOKEN_UNITS, rounded up. */
size_t mc_tokens_units(mc_str text);

/* The longest prefix of at most max_units that ends at a character. */
mc_str mc_tokens_prefix(mc_str text, size_t max_units);

/* What stands where a text was cut: one character, U+2026. */
#define MC_TOKENS_CUT_MARK "\xe2\x80\xa6"
#define MC_TOKENS_CUT_UNITS ((size_t)MC_TOKEN_UNITS)

/*
 * The text when it fits into max_units; else its longest prefix with the mark behind it, in the
 * arena. Empty when not even one character fits. data is NULL when out of memory.
 */
mc_str mc_tokens_cut(mc_str text, size_t max_units, struct mc_arena *arena);

#endif
