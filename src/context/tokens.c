#include "context/tokens.h"

#include "base/str.h"
#include "base/utf8.h"
#include "context/context.h"

/*
 * DESIGN. The rule, in quarters of a token. It follows what byte-pair vocabularies of 32,000 to
 * 200,000 entries do (GPT-3.5/4, Llama 2 and 3, Mistral, Qwen) and errs on the high side:
 *
 *   run of ASCII letters      4 for the first four, 1 for each further;
 *                             from the 25th on 2 each (no word)
 *   capital inside a word     4 behind a small letter (camelCase), 1 more behind a capital
 *   digit                     4: Llama 2, Mistral and Qwen give each a token, others three digits one
 *   space                     0 for a single one, which belongs to the word that follows;
 *                             4 before a digit; 1 for each further
 *   apostrophe in a word      0
 *   line break, other ASCII   4
 *   two bytes in UTF-8        3 for Latin, Greek and Cyrillic letters, 4 for others
 *   three bytes               4 for typographic punctuation,
 *                             else 6 (ideographs, kana, Hangul, Thai, Devanagari)
 *   four bytes                12 (emoji)
 *   a byte that is no UTF-8   4
 *
 * English prose comes to 1.4 to 1.5 tokens a word, where GPT's vocabularies need 1.2 to 1.3 and
 * Llama 2 1.4. A line break ends every run, so units of lines add up.
 */

enum run { RUN_NONE, RUN_SMALL, RUN_CAPITAL, RUN_SPACE };

#define WORD_LETTERS 24

struct counter {
    mc_str text;
    size_t at;
    size_t letters; /* of the run of ASCII letters */
    enum run run;
};

enum kind { OTHER, SMALL, CAPITAL, DIGIT, SPACE, APOSTROPHE };

static inline enum kind kind_of(uint8_t c)
{
    if ((uint8_t)(c - 'a') < 26)
        return SMALL;
    if ((uint8_t)(c - 'A') < 26)
        return CAPITAL;
    if ((uint8_t)(c - '0') < 10)
        return DIGIT;
    return c == ' ' ? SPACE : c == '\'' ? APOSTROPHE : OTHER;
}

static size_t letter_units(struct counter *c, bool capital)
{
    size_t units;
    bool inside = c->run == RUN_SMALL || c->run == RUN_CAPITAL;
    if (!inside || (capital && c->run == RUN_SMALL)) {
        units = 4;
        c->letters = 1;
    } else {
        c->letters++;
        units = c->letters <= 4 ? 0 : c->letters <= WORD_LETTERS ? 1 : 2;
        if (capital && units < 2)
            units++;
    }
    c->run = capital ? RUN_CAPITAL : RUN_SMALL;
    return units;
}

static bool letter_follows(const struct counter *c)
{
    uint8_t next = c->at < c->text.len ? (uint8_t)c->text.data[c->at] : 0;
    return kind_of(next) == SMALL || kind_of(next) == CAPITAL;
}

static size_t ascii_units(struct counter *c, uint8_t byte)
{
    enum run run = c->run;
    enum kind kind = kind_of(byte);
    if (kind == SMALL || kind == CAPITAL)
        return letter_units(c, kind == CAPITAL);
    c->run = kind == SPACE ? RUN_SPACE : RUN_NONE;
    if (kind == SPACE)
        return run == RUN_SPACE ? 1 : 0;
    if (kind == DIGIT)
        return run == RUN_SPACE ? 8 : 4;
    bool inside = kind == APOSTROPHE && (run == RUN_SMALL || run == RUN_CAPITAL);
    return inside && letter_follows(c) ? 0 : 4;
}

static size_t wide_units(int32_t code)
{
    if (code < 0x800)
        return code < 0x530 ? 3 : 4;
    if (code < 0x10000)
        return code >= 0x2000 && code <= 0x206F ? 4 : 6;
    return 12;
}

/* The units of the next character, which is stepped over. */
static inline size_t next_units(struct counter *c)
{
    uint8_t byte = (uint8_t)c->text.data[c->at];
    if (byte < 0x80) {
        c->at++;
        return ascii_units(c, byte);
    }
    c->run = RUN_NONE;
    int32_t code = mc_utf8_next(c->text, &c->at);
    return code < 0 ? 4 : wide_units(code);
}

/* The same as letter by letter for the small letters of a new run, which most text is made of. */
static inline size_t small_run_units(struct counter *c)
{
    size_t begin = c->at;
    while (c->at < c->text.len && kind_of((uint8_t)c->text.data[c->at]) == SMALL)
        c->at++;
    c->run = RUN_SMALL;
    c->letters = c->at - begin;
    if (c->letters <= 4)
        return 4;
    return c->letters <= WORD_LETTERS ? c->letters : 2 * c->letters - WORD_LETTERS;
}

size_t mc_tokens_units(mc_str text)
{
    struct counter c = {.text = text};
    size_t units = 0;
    while (c.at < text.len) {
        enum kind kind = kind_of((uint8_t)text.data[c.at]);
        bool inside = c.run == RUN_SMALL || c.run == RUN_CAPITAL;
        if (kind == SMALL && !inside) {
            units += small_run_units(&c);
        } else if (kind == SPACE) {
            units += c.run == RUN_SPACE;
            c.run = RUN_SPACE;
            c.at++;
        } else {
            units += next_units(&c);
        }
    }
    return units;
}

size_t mc_tokens_estimate(mc_str text)
{
    return (mc_tokens_units(text) + MC_TOKEN_UNITS - 1) / MC_TOKEN_UNITS;
}

mc_str mc_tokens_prefix(mc_str text, size_t max_units)
{
    /* Texts that fit are the rule, and counting a whole text is faster than looking for its place.
     */
    if (text.len / 2 <= max_units && mc_tokens_units(text) <= max_units)
        return text;
    struct counter c = {.text = text};
    size_t units = 0, fits = 0;
    while (c.at < text.len) {
        units += next_units(&c);
        if (units > max_units)
            break;
        fits = c.at;
    }
    /* An apostrophe costs nothing only while a letter follows it. */
    while (fits > 0 && fits < text.len && text.data[fits - 1] == '\'')
        fits--;
    return (mc_str){text.data, fits};
}

mc_str mc_tokens_cut(mc_str text, size_t max_units, struct mc_arena *arena)
{
    mc_str whole = mc_tokens_prefix(text, max_units);
    if (whole.len == text.len)
        return text;
    if (max_units <= MC_TOKENS_CUT_UNITS)
        return MC_STR("");
    mc_str prefix = mc_str_trim(mc_tokens_prefix(text, max_units - MC_TOKENS_CUT_UNITS));
    if (prefix.len == 0)
        return MC_STR("");
    return mc_arena_printf(arena, "%.*s" MC_TOKENS_CUT_MARK, MC_STR_ARG(prefix));
}
