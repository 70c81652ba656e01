/*
 * UTF-8 after table 3-7 of the Unicode standard (well-formed byte sequences); classes, lower case
 * and folding by utf8proc. ASCII is handled eight bytes at a time or without a look-up.
 */
#include "base/utf8.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "base/buf.h"

#define HIGH_BITS UINT64_C(0x8080808080808080)
#define REPLACEMENT 0xFFFD

static bool is_continuation(unsigned char byte)
{
    return (byte & 0xC0U) == 0x80U;
}

/* Length of the ASCII text that s starts with. */
static size_t ascii_span(const unsigned char *s, size_t len)
{
    size_t i = 0;
    for (; len - i >= 8; i += 8) {
        uint64_t word;
        memcpy(&word, s + i, 8);
        if (word & HIGH_BITS)
            break;
    }
    while (i < len && s[i] < 0x80)
        i++;
    return i;
}

/* The length of the character of two or more bytes at s, 0 when it is malformed. len is at least 1.
 */
static size_t decode_long(const unsigned char *s, size_t len, int32_t *code)
{
    unsigned char lead = s[0];
    size_t need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || len < need)
        return 0;
    /* The second byte alone tells overlong forms, surrogates and what is above U+10FFFF. */
    unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (s[1] < low || s[1] > high)
        return 0;
    uint32_t value = ((uint32_t)lead & (0x7FU >> need)) << 6 | (s[1] & 0x3FU);
    for (size_t i = 2; i < need; i++) {
        if (!is_continuation(s[i]))
            return 0;
        value = value << 6 | (s[i] & 0x3FU);
    }
    *code = (int32_t)value;
    return need;
}

bool mc_utf8_check(mc_str str, size_t *characters, size_t *bad)
{
    const unsigned char *s = (const unsigned char *)str.data;
    size_t i = 0, count = 0;
    while (i < str.len) {
        size_t ascii = ascii_span(s + i, str.len - i);
        i += ascii;
        count += ascii;
        while (i < str.len && s[i] >= 0x80) {
            int32_t code;
            size_t len = decode_long(s + i, str.len - i, &code);
            if (len == 0) {
                if (bad)
                    *bad = i;
                return false;
            }
            i += len;
            count++;
        }
    }
    if (characters)
        *characters = count;
    return true;
}

int32_t mc_utf8_next(mc_str str, size_t *offset)
{
    if (*offset >= str.len)
        return -1;
    const unsigned char *s = (const unsigned char *)str.data + *offset;
    if (s[0] < 0x80) {
        *offset += 1;
        return s[0];
    }
    int32_t code = -1;
    size_t len = decode_long(s, str.len - *offset, &code);
    *offset += len ? len : 1;
    return len ? code : -1;
}

size_t mc_utf8_put(int32_t code, char text[4])
{
    if (code < 0 || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
        code = REPLACEMENT;
    uint32_t c = (uint32_t)code;
    if (c < 0x80) {
        text[0] = (char)c;
        return 1;
    }
    size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, c >>= 6)
        text[i] = (char)(unsigned char)(0x80U | (c & 0x3FU));
    static const unsigned char leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    text[0] = (char)(unsigned char)(leads[len] | c);
    return len;
}

mc_str mc_utf8_cut(mc_str str, size_t max_bytes)
{
    if (str.len <= max_bytes)
        return str;
    size_t len = max_bytes;
    /* A character has at most three continuation bytes; more of them is not UTF-8. */
    for (int i = 0; i < 3 && len > 0 && is_continuation((unsigned char)str.data[len]); i++)
        len--;
    if (is_continuation((unsigned char)str.data[len]))
        len = max_bytes;
    return (mc_str){str.data, len};
}

size_t mc_utf8_line(mc_str str, char *text, size_t size)
{
    size_t len = 0;
    if (size == 0)
        return 0;
    for (size_t i = 0; i < str.len;) {
        char bytes[4];
        int32_t code = mc_utf8_next(str, &i);
        bool control = (code >= 0 && code < 0x20) || (code >= 0x7F && code < 0xA0) ||
                       code == 0x2028 || code == 0x2029;
        size_t add = mc_utf8_put(control ? ' ' : code, bytes);
        if (add >= size - len)
            break;
        memcpy(text + len, bytes, add);
        len += add;
    }
    text[len] = '\0';
    return len;
}

bool mc_utf8_is_letter(int32_t code)
{
    if (code < 0x80)
        return (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z');
    utf8proc_category_t category = utf8proc_category(code);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

bool mc_utf8_is_digit(int32_t code)
{
    if (code < 0x80)
        return code >= '0' && code <= '9';
    return utf8proc_category(code) == UTF8PROC_CATEGORY_ND;
}

/* The property White_Space of PropList.txt. */
bool mc_utf8_is_space(int32_t code)
{
    if (code < 0x80)
        return code == ' ' || (code >= 0x09 && code <= 0x0D);
    return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) ||
           code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

bool mc_utf8_is_mark(int32_t code)
{
    if (code < 0x300)
        return false;
    utf8proc_category_t category = utf8proc_category(code);
    return category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
}

bool mc_utf8_is_emoji(int32_t code)
{
    if (code < 0x80)
        return false;
    bool joins = code == 0x200D || code == 0x20E3 || (code >= 0xFE00 && code <= 0xFE0F) ||
                 (code >= 0xE0020 && code <= 0xE007F) || (code >= 0x1F3FB && code <= 0x1F3FF);
    return joins || utf8proc_category(code) == UTF8PROC_CATEGORY_SO;
}

int32_t mc_utf8_lower(int32_t code)
{
    if (code < 0x80)
        return code >= 'A' && code <= 'Z' ? code + ('a' - 'A') : code;
    return utf8proc_tolower(code);
}

/* Formats (zero-width spaces and joiners, marks of direction, tags) and fillers show nothing. */
static bool is_invisible(int32_t code)
{
    return code == 0x034F || code == 0x115F || code == 0x1160 || code == 0x3164 || code == 0xFFA0 ||
           utf8proc_category(code) == UTF8PROC_CATEGORY_CF;
}

bool mc_utf8_is_blank(mc_str str)
{
    for (size_t i = 0; i < str.len;) {
        int32_t code = mc_utf8_next(str, &i);
        if (code < 0 || !(mc_utf8_is_space(code) || is_invisible(code)))
            return false;
    }
    return true;
}

static void fold_ascii(mc_str str, struct mc_buf *out)
{
    char chunk[256];
    while (str.len > 0) {
        size_t len = str.len < sizeof(chunk) ? str.len : sizeof(chunk);
        for (size_t i = 0; i < len; i++) {
            char c = str.data[i];
            chunk[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
        }
        mc_buf_append(out, (mc_str){chunk, len});
        str.data += len;
        str.len -= len;
    }
}

bool mc_utf8_fold(mc_str str, struct mc_buf *out)
{
    if (ascii_span((const unsigned char *)str.data, str.len) == str.len) {
        fold_ascii(str, out);
        return !out->failed;
    }
    if (str.len > PTRDIFF_MAX || !mc_utf8_check(str, NULL, NULL))
        return false;
    utf8proc_uint8_t *folded = NULL;
    const unsigned options =
        UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE;
    utf8proc_ssize_t len =
        utf8proc_map((const utf8proc_uint8_t *)str.data, (utf8proc_ssize_t)str.len, &folded,
                     (utf8proc_option_t)options);
    if (len < 0) {
        out->failed = true; /* the text is good, so memory is short */
        return false;
    }
    mc_buf_append(out, (mc_str){(const char *)folded, (size_t)len});
    free(folded);
    return !out->failed;
}
