#include "text/sentence.h"

#include "base/compiler.h"
#include "base/str.h"
#include "base/utf8.h"

static const char *const abbreviations[] = {"mr", "mrs", "ms",  "dr",     "prof",
                                            "st", "e.g", "i.e", "etc",    "vs",
                                            "no", "nr",  "fig", "approx", "inc"};

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The word that ends at `end` is one that is written with a full stop: an abbreviation or an
 * initial. */
static bool is_abbreviation(mc_str text, size_t end)
{
    size_t begin = end;
    while (begin > 0 && !is_blank(text.data[begin - 1]) && text.data[begin - 1] != '(')
        begin--;
    mc_str word = {text.data + begin, end - begin};
    if (word.len == 1 && word.data[0] >= 'A' && word.data[0] <= 'Z')
        return word.data[0] != 'I';
    for (size_t i = 0; i < mc_countof(abbreviations); i++) {
        if (mc_str_equal_nocase(word, mc_str_of(abbreviations[i])))
            return true;
    }
    return false;
}

static bool is_closing(int32_t code)
{
    return code == '"' || code == '\'' || code == ')' || code == ']' || code == 0x201D ||
           code == 0x2019 || code == 0xBB || code == 0x300D;
}

static bool is_end(int32_t code)
{
    return code == '.' || code == '!' || code == '?' || code == 0x2026;
}

/* Behind end marks and closing quotes from `at`. */
static size_t skip_end(mc_str text, size_t at)
{
    for (size_t next = at; next < text.len; at = next) {
        int32_t code = mc_utf8_next(text, &next);
        if (!is_end(code) && !is_closing(code))
            break;
    }
    return at;
}

/*
 * True when a sentence ends with the character `code` at mark. *next, which is behind it, moves
 * behind the end marks and quotes that follow: if the first of them ends nothing, none of them does.
 */
static bool ends_here(mc_str text, int32_t code, size_t mark, size_t *next)
{
    size_t behind = *next;
    if (code == '\n' || code == '\r' || code == 0x2028 || code == 0x2029)
        return true;
    bool full_width = code == 0x3002 || code == 0xFF01 || code == 0xFF1F;
    if (!full_width && !is_end(code))
        return false;
    *next = skip_end(text, behind);
    if (full_width)
        return true;
    if (*next < text.len && !is_blank(text.data[*next]))
        return false;
    return code != '.' || *next > behind || !is_abbreviation(text, mark);
}

bool mc_sentence_next(mc_str text, size_t *at, mc_str *sentence)
{
    while (*at < text.len) {
        size_t begin = *at, next = begin;
        bool ended = false;
        while (!ended && next < text.len) {
            size_t mark = next;
            int32_t code = mc_utf8_next(text, &next);
            ended = ends_here(text, code, mark, &next);
        }
        *at = next;
        mc_str found = mc_str_trim((mc_str){text.data + begin, next - begin});
        if (found.len > 0) {
            *sentence = found;
            return true;
        }
    }
    return false;
}
