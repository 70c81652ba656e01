/*
 * Stems of English words: the algorithm of M. F. Porter, "An algorithm for suffix stripping",
 * Program 14(3), 1980, after irregular forms ("went", "children") have been led back to their base.
 * Pure functions on folded words (text/token.h).
 */
#ifndef MC_TEXT_STEM_H
#define MC_TEXT_STEM_H

#include <mindcore/types.h>

#define MC_STEM_BYTES 64

/*
 * The stem of a folded word, which is either a part of word, a part of room, or static text. Words
 * with anything but a-z, shorter than 3 or longer than MC_STEM_BYTES come back as they are.
 */
mc_str mc_stem(mc_str word, char room[MC_STEM_BYTES]);

/* The same without the look for irregular forms. */
mc_str mc_stem_regular(mc_str word, char room[MC_STEM_BYTES]);

/* The base of an irregular form ("went" gives "go"), or the word itself. */
mc_str mc_stem_irregular(mc_str word);

/* A word too frequent to tell what a text is about ("the", "don't"). */
bool mc_stem_is_stop(mc_str word);

#endif
