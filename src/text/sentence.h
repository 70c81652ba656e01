/*
 * Sentences of a text. One ends behind . ! ? or an ellipsis with white space after it (not behind
 * abbreviations and initials), behind a full stop of CJK, and at a line break. Pure, linear.
 */
#ifndef MC_TEXT_SENTENCE_H
#define MC_TEXT_SENTENCE_H

#include <mindcore/types.h>

/*
 * The next sentence from *at, which moves behind it; without white space at its ends. False at the
 * end of the text. Any bytes may be passed.
 */
bool mc_sentence_next(mc_str text, size_t *at, mc_str *sentence);

#endif
