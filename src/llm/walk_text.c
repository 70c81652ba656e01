/*
 * The walk inside of a string: strict UTF-8 (table 3-7 of the Unicode standard), the escapes of JSON
 * (RFC 8259), lengths in code points. No byte is taken that cannot become a right string any more.
 */
#include "base/str.h"
#include "llm/shape.h"

enum escape { ESCAPE_NONE, ESCAPE_BEGUN, ESCAPE_DIGITS /* and how many there are */ };

static bool is_high(unsigned code)
{
    return code >= 0xD800 && code < 0xDC00;
}

/* A digit of \uXXXX. What no further digits could make right is refused here already. */
static enum mc_text_verdict take_digit(struct mc_walk_text *text, unsigned char byte)
{
    int digit = mc_hex_digit((char)byte);
    if (digit < 0)
        return MC_TEXT_REFUSED;
    unsigned index = (unsigned)text->escape - ESCAPE_DIGITS;
    unsigned code = (unsigned)text->code << 4U | (unsigned)digit;
    bool waits = text->surrogate != 0;
    if (index == 0 && waits && code != 0xD)
        return MC_TEXT_REFUSED;
    if (index == 1 && waits != (code >= 0xDC && code <= 0xDF))
        return MC_TEXT_REFUSED;
    if (index < 3) {
        text->code = (uint16_t)code;
        text->escape++;
        return MC_TEXT_TAKEN;
    }
    if (code == 0)
        return MC_TEXT_REFUSED;
    text->escape = ESCAPE_NONE;
    text->code = 0;
    text->surrogate = is_high(code) ? (uint16_t)code : 0;
    text->written += is_high(code) ? 0 : 1;
    return MC_TEXT_TAKEN;
}

static enum mc_text_verdict take_escape(struct mc_walk_text *text, unsigned char byte)
{
    if (text->escape >= ESCAPE_DIGITS)
        return take_digit(text, byte);
    if (byte == 'u') {
        text->escape = ESCAPE_DIGITS;
        return MC_TEXT_TAKEN;
    }
    if (text->surrogate != 0 || byte == '\0' || !strchr("\"\\/bfnrt", byte))
        return MC_TEXT_REFUSED;
    text->escape = ESCAPE_NONE;
    text->written++;
    return MC_TEXT_TAKEN;
}

/* The first byte of a character of several. */
static enum mc_text_verdict take_lead(struct mc_walk_text *text, unsigned char byte)
{
    if (byte < 0xC2 || byte > 0xF4)
        return MC_TEXT_REFUSED;
    text->left = byte >= 0xF0 ? 3 : byte >= 0xE0 ? 2 : 1;
    text->low = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;
    text->high = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;
    return MC_TEXT_TAKEN;
}

enum mc_text_verdict mc_text_take_byte(struct mc_walk_text *text, const struct mc_shape *shape,
                                       unsigned char byte)
{
    if (text->left > 0) {
        if (byte < text->low || byte > text->high)
            return MC_TEXT_REFUSED;
        text->low = 0x80;
        text->high = 0xBF;
        text->left--;
        text->written += text->left == 0 ? 1 : 0;
        return MC_TEXT_TAKEN;
    }
    if (text->escape != ESCAPE_NONE)
        return take_escape(text, byte);
    if (byte == '\\' && text->written < shape->max) {
        text->escape = ESCAPE_BEGUN;
        return MC_TEXT_TAKEN;
    }
    if (text->surrogate != 0)
        return MC_TEXT_REFUSED;
    if (byte == '"')
        return text->written >= shape->min ? MC_TEXT_CLOSED : MC_TEXT_REFUSED;
    if (byte < 0x20 || text->written >= shape->max)
        return MC_TEXT_REFUSED;
    if (byte >= 0x80)
        return take_lead(text, byte);
    text->written++;
    return MC_TEXT_TAKEN;
}

/* The characters at the beginning of the bytes that stand for themselves. */
static size_t plain_span(mc_str bytes)
{
    size_t i = 0;
    while (i < bytes.len) {
        unsigned char byte = (unsigned char)bytes.data[i];
        if (byte < 0x20 || byte >= 0x80 || byte == '"' || byte == '\\')
            break;
        i++;
    }
    return i;
}

enum mc_text_verdict mc_text_take(struct mc_walk_text *text, const struct mc_shape *shape,
                                  mc_str bytes, size_t *done)
{
    size_t i = 0;
    if (text->left == 0 && text->escape == ESCAPE_NONE && text->surrogate == 0) {
        i = plain_span(bytes); /* most of a vocabulary is nothing else */
        if (i > shape->max - text->written)
            return MC_TEXT_REFUSED;
        text->written += (uint32_t)i;
    }
    enum mc_text_verdict verdict = MC_TEXT_TAKEN;
    while (i < bytes.len && verdict == MC_TEXT_TAKEN)
        verdict = mc_text_take_byte(text, shape, (unsigned char)bytes.data[i++]);
    *done = i;
    return verdict;
}

/* The next byte on the shortest way to the end of the string. */
static char find_closer(const struct mc_walk_text *text)
{
    static const char low_half[] = "dc00";
    static const char space[] = "0020";
    if (text->left > 0)
        return (char)text->low;
    if (text->escape == ESCAPE_BEGUN)
        return text->surrogate != 0 ? 'u' : 'n';
    if (text->escape >= ESCAPE_DIGITS) {
        size_t index = (size_t)text->escape - ESCAPE_DIGITS;
        if (text->surrogate != 0)
            return low_half[index];
        return index == 3 && text->code == 0 ? 'a' : space[index];
    }
    return text->surrogate != 0 ? '\\' : '"';
}

size_t mc_text_close(const struct mc_walk_text *text, const struct mc_shape *shape, char out[16])
{
    struct mc_walk_text ahead = *text;
    enum mc_text_verdict verdict = MC_TEXT_TAKEN;
    size_t len = 0;
    while (verdict == MC_TEXT_TAKEN && len < 16) {
        out[len] = find_closer(&ahead);
        verdict = mc_text_take_byte(&ahead, shape, (unsigned char)out[len]);
        len++;
    }
    return verdict == MC_TEXT_CLOSED ? len : 0;
}
