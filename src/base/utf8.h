/* UTF-8: validation and walking. Pure functions; home of utf8proc. */
#ifndef MC_BASE_UTF8_H
#define MC_BASE_UTF8_H

#include <mindcore/types.h>

/*
 * True when the whole string is valid UTF-8 (no surrogates, no overlong forms, at most U+10FFFF).
 * *characters (may be NULL) is the number of code points; on failure *bad (may be NULL) the offset of the first bad byte.
 */
bool mc_utf8_check(mc_str str, size_t *characters, size_t *bad);
/* Next code point of valid UTF-8 from *offset, which moves on; -1 at the end or on a bad byte (moves one byte). */
int32_t mc_utf8_next(mc_str str, size_t *offset);
/* Appends the code point's UTF-8 to text (room for 4); its length. */
size_t mc_utf8_put(int32_t code, char text[4]);
/* The longest prefix of at most max_bytes that ends at a character. */
mc_str mc_utf8_cut(mc_str str, size_t max_bytes);
/*
 * Copies str to text as one line of valid UTF-8, NUL-terminated and cut at a character: control
 * characters and line separators become spaces, bad bytes U+FFFD. The length without the NUL.
 */
size_t mc_utf8_line(mc_str str, char *text, size_t size);
/* Unicode classes and simple lower case of a code point. */
bool mc_utf8_is_letter(int32_t code);
bool mc_utf8_is_digit(int32_t code);
bool mc_utf8_is_space(int32_t code);
bool mc_utf8_is_mark(int32_t code);
/* Emoji and pictographs (So, Sk modifiers, variation selectors, ZWJ, regional indicators, tags). */
bool mc_utf8_is_emoji(int32_t code);
int32_t mc_utf8_lower(int32_t code);
/* True when nothing is to be seen: every character is white space (Unicode) or of no width. */
bool mc_utf8_is_blank(mc_str str);
/*
 * Compatibility-composed, case-folded text (NFKC_Casefold) appended to out; false on bad UTF-8 or a
 * failed buffer. ASCII takes a short path.
 */
struct mc_buf;
MC_MUST_CHECK bool mc_utf8_fold(mc_str str, struct mc_buf *out);

#endif
