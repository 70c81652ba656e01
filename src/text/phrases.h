/*
 * Key phrases by RAKE: S. Rose, D. Engel, N. Cramer, W. Cowley, "Automatic Keyword Extraction from
 * Individual Documents", in Text Mining: Applications and Theory, 2010. Candidates are runs of
 * content words between stop words and punctuation; a word scores its degree over its frequency, a
 * phrase the sum of its words. Phrases have at most four words. Pure function, linear time.
 */
#ifndef MC_TEXT_PHRASES_H
#define MC_TEXT_PHRASES_H

#include "text/token.h"

#define MC_PHRASES_MAX 5

struct mc_phrases {
    mc_str items[MC_PHRASES_MAX]; /* folded words with spaces, best first, in the arena */
    size_t count;
};

/* False when out of memory; *out untouched. */
MC_MUST_CHECK bool mc_phrases_of(const struct mc_tokens *tokens, struct mc_arena *arena,
                                 struct mc_phrases *out);

#endif
