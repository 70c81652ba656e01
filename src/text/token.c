#include "text/token.h"

#include "base/buf.h"
#include "base/compiler.h"
#include "base/utf8.h"
#include "text/lexicon.h"
#include "text/stem.h"

static bool is_lower(uint8_t c)
{
    return (uint8_t)(c - 'a') < 26;
}
static bool is_upper(uint8_t c)
{
    return (uint8_t)(c - 'A') < 26;
}
static bool is_number(uint8_t c)
{
    return (uint8_t)(c - '0') < 10;
}

/* Scripts that are written without spaces between words, and Hangul, whose particles stick to
 * words. */
static bool is_ideograph(int32_t code)
{
    if (code < 0x0E00)
        return false;
    return (code <= 0x0EFF) || (code >= 0x1000 && code <= 0x109F) ||
           (code >= 0x1780 && code <= 0x17FF) || (code >= 0x2E80 && code <= 0x2FDF) ||
           (code >= 0x3005 && code <= 0x3007) || (code >= 0x3040 && code <= 0x30FF) ||
           (code >= 0x31F0 && code <= 0x31FF) || (code >= 0x3400 && code <= 0x4DBF) ||
           (code >= 0x4E00 && code <= 0x9FFF) || (code >= 0xAC00 && code <= 0xD7A3) ||
           (code >= 0xF900 && code <= 0xFAFF) || (code >= 0xFF66 && code <= 0xFF9F) ||
           (code >= 0x20000 && code <= 0x3FFFF);
}

/* Characters whose NFKC_Casefold is more than their simple lower case. A superset is harmless. */
static bool is_complex(int32_t code)
{
    if (code < 0x300)
        return code == 0xAA || code == 0xB5 || code == 0xBA || code == 0xDF || code == 0x130 ||
               code == 0x132 || code == 0x133 || code == 0x13F || code == 0x140 || code == 0x149 ||
               code == 0x17F || (code >= 0x1C4 && code <= 0x1CC) ||
               (code >= 0x1F1 && code <= 0x1F3) || code >= 0x2B0;
    if (code < 0x370)
        return true;
    if (code < 0x500)
        return code == 0x3C2 || (code >= 0x3D0 && code <= 0x3D6) ||
               (code >= 0x3F0 && code <= 0x3F5) || code == 0x3F9 || code == 0x37A ||
               (code >= 0x483 && code <= 0x489);
    return !(code >= 0x3040 && code <= 0x3098) && !(code >= 0x30A1 && code <= 0x30FE) &&
           !(code >= 0x3400 && code <= 0x9FFF) && !(code >= 0xAC00 && code <= 0xD7A3) &&
           !(code >= 0x05D0 && code <= 0x05EA) && !(code >= 0x0621 && code <= 0x064A) &&
           !(code >= 0x0904 && code <= 0x0939);
}

void mc_tokenizer_init(struct mc_tokenizer *tokenizer, mc_str text)
{
    if (text.len > UINT32_MAX)
        text.len = UINT32_MAX;
    tokenizer->text = text;
    tokenizer->at = 0;
    tokenizer->exclaims = 0;
    tokenizer->gap = 0;
    tokenizer->failed = false;
}

static void note_gap(struct mc_tokenizer *tokenizer, int32_t code)
{
    switch (code) {
    case ' ':
    case '\t':
        tokenizer->gap |= MC_GAP_SPACE;
        break;
    case '\n':
    case '\r':
        tokenizer->gap |= MC_GAP_SPACE | MC_GAP_STOP;
        break;
    case '.':
    case 0x3002: /* 。 */
    case 0x2026: /* … */
    case 0x0964: /* danda */
        tokenizer->gap |= MC_GAP_STOP;
        break;
    case '!':
    case 0xFF01:
    case 0xA1:
        tokenizer->gap |= MC_GAP_STOP | MC_GAP_EXCLAIM;
        tokenizer->exclaims++;
        break;
    case '?':
    case 0xFF1F:
    case 0x061F:
    case 0xBF:
        tokenizer->gap |= MC_GAP_STOP | MC_GAP_QUESTION;
        break;
    default:
        tokenizer->gap |= (code > 0x7F && mc_utf8_is_space(code)) ? MC_GAP_SPACE : MC_GAP_PAUSE;
        break;
    }
}

/* A full stop or question mark inside "example.com/?q=1" or "3.5" ends no sentence. */
static bool is_inner_mark(mc_str text, size_t at)
{
    if ((text.data[at] != '.' && text.data[at] != '?') || at == 0 || at + 1 >= text.len)
        return false;
    uint8_t next = (uint8_t)text.data[at + 1];
    return is_lower(next) || is_number(next);
}

/* The next code point at a place; *size its bytes. -1 for a byte that is not UTF-8. */
static int32_t code_at(mc_str text, size_t at, size_t *size)
{
    size_t offset = at;
    int32_t code = mc_utf8_next(text, &offset);
    *size = offset > at ? offset - at : 1;
    return code;
}

/* The word being built. */
struct word {
    size_t len;
    size_t letters;
    size_t capitals;
    size_t digits;
    bool first_capital;
    bool ascii;
    bool complex;
    bool full;
};

static void put(struct mc_tokenizer *tokenizer, struct word *word, const char *data, size_t len)
{
    if (word->full || word->len + len > MC_TOKEN_BYTES) {
        word->full = true;
        return;
    }
    memcpy(tokenizer->word + word->len, data, len);
    word->len += len;
}

/* The bytes of an apostrophe at a place with a letter behind it, else 0. */
static size_t apostrophe_at(mc_str text, size_t at)
{
    size_t size = 0;
    if (text.data[at] == '\'')
        size = 1;
    else if (at + 3 <= text.len && memcmp(text.data + at, "\xE2\x80\x99", 3) == 0)
        size = 3;
    if (size == 0 || at + size >= text.len)
        return 0;
    uint8_t next = (uint8_t)text.data[at + size];
    if (next < 0x80)
        return is_lower(next) || is_upper(next) ? size : 0;
    size_t next_size;
    int32_t code = code_at(text, at + size, &next_size);
    return code >= 0 && mc_utf8_is_letter(code) && !is_ideograph(code) ? size : 0;
}

/* Takes a character that is not ASCII into the word; false when it does not belong to one. */
static bool take_wide(struct mc_tokenizer *tokenizer, struct word *word, size_t *at)
{
    size_t size;
    int32_t code = code_at(tokenizer->text, *at, &size);
    if (code < 0 || is_ideograph(code))
        return false;
    bool letter = mc_utf8_is_letter(code);
    bool digit = !letter && mc_utf8_is_digit(code);
    if (!letter && !digit && !(word->len > 0 && mc_utf8_is_mark(code)))
        return false;
    /* Variation selectors are marks that only choose a glyph. */
    if (code >= 0xFE00 && code <= 0xFE0F) {
        *at += size;
        return true;
    }
    int32_t lower = mc_utf8_lower(code);
    if (letter) {
        if (lower != code) {
            word->first_capital = word->first_capital || word->letters == 0;
            word->capitals++;
        }
        word->letters++;
    }
    word->digits += digit;
    word->ascii = false;
    word->complex = word->complex || is_complex(code);
    char bytes[4];
    size_t len = mc_utf8_put(lower, bytes);
    put(tokenizer, word, bytes, len);
    *at += size;
    return true;
}

static void take_word(struct mc_tokenizer *tokenizer, struct word *word)
{
    mc_str text = tokenizer->text;
    size_t at = tokenizer->at;
    while (at < text.len) {
        uint8_t c = (uint8_t)text.data[at];
        if (is_lower(c)) {
            word->letters++;
        } else if (is_upper(c)) {
            word->first_capital = word->first_capital || word->letters == 0;
            word->letters++;
            word->capitals++;
            c = (uint8_t)(c + 32);
        } else if (is_number(c)) {
            word->digits++;
        } else {
            size_t size = word->letters > 0 ? apostrophe_at(text, at) : 0;
            if (size > 0) {
                put(tokenizer, word, "'", 1);
                at += size;
                continue;
            }
            if (c < 0x80 || !take_wide(tokenizer, word, &at))
                break;
            continue;
        }
        char ascii = (char)c;
        put(tokenizer, word, &ascii, 1);
        at++;
    }
    tokenizer->at = at;
}

/* The folding of one letter may bring what is no part of a word: U+037A gives a space and an iota. */
static size_t keep_word(char *text, size_t len)
{
    size_t kept = 0, at = 0;
    while (at < len) {
        size_t start = at;
        int32_t code = mc_utf8_next((mc_str){text, len}, &at);
        if (code != '\'' && !mc_utf8_is_letter(code) && !mc_utf8_is_digit(code) &&
            !mc_utf8_is_mark(code))
            continue;
        memmove(text + kept, text + start, at - start);
        kept += at - start;
    }
    return kept;
}

/* Replaces the collected word by its full folding; false when out of memory. */
static bool fold_word(struct mc_tokenizer *tokenizer, struct word *word)
{
    mc_auto(mc_buf_fini) struct mc_buf folded;
    mc_buf_init(&folded, 4096);
    if (!mc_utf8_fold((mc_str){tokenizer->word, word->len}, &folded)) {
        /* Lower case of valid letters is valid, so only memory can be missing. */
        tokenizer->failed = true;
        return false;
    }
    size_t kept = folded.data ? keep_word(folded.data, folded.len) : 0;
    mc_str cut = mc_utf8_cut((mc_str){folded.data, kept}, MC_TOKEN_BYTES);
    if (cut.len > 0) {
        memcpy(tokenizer->word, cut.data, cut.len);
        word->len = cut.len;
    }
    return true;
}

static void finish(struct mc_tokenizer *tokenizer, struct word *word, size_t start,
                   struct mc_token *token)
{
    unsigned flags = 0;
    if (word->len > 2 && memcmp(tokenizer->word + word->len - 2, "'s", 2) == 0) {
        word->len -= 2;
        flags |= MC_TOKEN_OWNER;
    }
    if (word->first_capital)
        flags |= MC_TOKEN_CAPITAL;
    if (word->letters > 1 && word->capitals == word->letters)
        flags |= MC_TOKEN_UPPER;
    if (word->ascii)
        flags |= MC_TOKEN_ASCII;
    *token = (struct mc_token){
        .folded = {tokenizer->word, word->len},
        .offset = (uint32_t)start,
        .len = (uint32_t)(tokenizer->at - start),
        .hash = mc_word_hash((mc_str){tokenizer->word, word->len}),
        .kind = word->digits == 0    ? MC_TOKEN_WORD
                : word->letters == 0 ? MC_TOKEN_NUMBER
                                     : MC_TOKEN_CODE,
        .flags = (uint8_t)flags,
        .gap = tokenizer->gap,
    };
    tokenizer->gap = 0;
}

/* A token of one character: an ideograph or an emoji. */
static bool single(struct mc_tokenizer *tokenizer, enum mc_token_kind kind, int32_t code,
                   size_t size, struct mc_token *token)
{
    size_t start = tokenizer->at;
    struct word word = {0};
    tokenizer->at += size;
    word.len = mc_utf8_put(code, tokenizer->word);
    if (kind == MC_TOKEN_IDEOGRAPH && is_complex(code) && !fold_word(tokenizer, &word))
        return false;
    finish(tokenizer, &word, start, token);
    token->kind = (uint8_t)kind;
    return true;
}

/* Modifiers that change how the emoji before them looks, and joiners. */
static bool is_modifier(int32_t code)
{
    return code == 0x200D || (code >= 0xFE00 && code <= 0xFE0F) ||
           (code >= 0x1F3FB && code <= 0x1F3FF) || (code >= 0xE0020 && code <= 0xE007F) ||
           code == 0x20E3;
}

bool mc_token_next(struct mc_tokenizer *tokenizer, struct mc_token *token)
{
    mc_str text = tokenizer->text;
    while (tokenizer->at < text.len) {
        uint8_t c = (uint8_t)text.data[tokenizer->at];
        size_t start = tokenizer->at;
        if (c < 0x80 && !is_lower(c) && !is_upper(c) && !is_number(c)) {
            note_gap(tokenizer, is_inner_mark(text, start) ? ',' : c);
            tokenizer->at++;
            continue;
        }
        if (c >= 0x80) {
            size_t size;
            int32_t code = code_at(text, start, &size);
            if (code < 0 || is_modifier(code)) {
                tokenizer->at += size;
                continue;
            }
            if (is_ideograph(code) &&
                (mc_utf8_is_letter(code) || mc_utf8_is_mark(code) || mc_utf8_is_digit(code)))
                return single(tokenizer, MC_TOKEN_IDEOGRAPH, code, size, token);
            if (!mc_utf8_is_letter(code) && !mc_utf8_is_digit(code)) {
                if (code >= 0x2190 && mc_utf8_is_emoji(code))
                    return single(tokenizer, MC_TOKEN_EMOJI, code, size, token);
                note_gap(tokenizer, code);
                tokenizer->at += size;
                continue;
            }
        }
        struct word word = {.ascii = true};
        take_word(tokenizer, &word);
        if (tokenizer->at == start) {
            tokenizer->at++;
            continue;
        }
        if (word.complex && !fold_word(tokenizer, &word))
            return false;
        finish(tokenizer, &word, start, token);
        return true;
    }
    return false;
}

/* Room for folded words: mostly one block of the length of the text. */
struct room {
    char *data;
    size_t left;
};

static bool keep(struct room *room, struct mc_arena *arena, mc_str *word)
{
    if (room->left < word->len) {
        room->data = mc_arena_alloc(arena, 1024);
        room->left = 1024;
        if (!room->data)
            return false;
    }
    memcpy(room->data, word->data, word->len);
    word->data = room->data;
    room->data += word->len;
    room->left -= word->len;
    return true;
}

/* Looks the word up, and stems it when it carries content. */
static bool know(struct room *room, struct mc_arena *arena, struct mc_token *token)
{
    token->word = mc_lexicon_find(token->folded, token->hash);
    token->stem = token->folded;
    token->stem_hash = token->hash;
    const struct mc_word *word = mc_lexicon_entry(token->word);
    if (token->kind != MC_TOKEN_WORD || (word->flags & MC_WORD_STOP) ||
        !(token->flags & MC_TOKEN_ASCII))
        return true;
    char stem_room[MC_STEM_BYTES];
    mc_str stem = mc_stem_regular(word->base.len > 0 ? word->base : token->folded, stem_room);
    if (stem.len == token->folded.len && memcmp(stem.data, token->folded.data, stem.len) == 0)
        return true;
    token->stem = stem;
    token->stem_hash = mc_word_hash(stem);
    return keep(room, arena, &token->stem);
}

static bool grow(struct mc_arena *arena, struct mc_tokens *tokens, size_t *capacity, size_t max)
{
    size_t next = *capacity * 2 < max ? *capacity * 2 : max;
    struct mc_token *items = mc_arena_array(arena, next, sizeof(*items));
    if (!items)
        return false;
    memcpy(items, tokens->items, tokens->count * sizeof(*items));
    tokens->items = items;
    *capacity = next;
    return true;
}

bool mc_tokens_of(mc_str text, size_t max_tokens, struct mc_arena *arena, struct mc_tokens *out)
{
    struct mc_tokens tokens = {.text = text};
    struct mc_tokenizer tokenizer;
    mc_tokenizer_init(&tokenizer, text);
    size_t capacity = text.len / 4 + 8;
    if (capacity > 512)
        capacity = 512;
    if (capacity > max_tokens)
        capacity = max_tokens;
    size_t room_bytes = text.len < 8192 ? text.len + text.len / 2 : 8192;
    struct room room = {mc_arena_alloc(arena, room_bytes), room_bytes};
    tokens.items = mc_arena_array(arena, capacity, sizeof(*tokens.items));
    if (!room.data || !tokens.items)
        return false;
    struct mc_token token;
    while (mc_token_next(&tokenizer, &token)) {
        if (tokens.count == max_tokens) {
            tokens.cut = true;
            break;
        }
        if (tokens.count == capacity && !grow(arena, &tokens, &capacity, max_tokens))
            return false;
        if (!keep(&room, arena, &token.folded) || !know(&room, arena, &token))
            return false;
        tokens.items[tokens.count++] = token;
    }
    if (tokenizer.failed)
        return false;
    tokens.tail = tokens.cut ? MC_GAP_STOP : tokenizer.gap;
    tokens.exclaims = tokenizer.exclaims;
    *out = tokens;
    return true;
}
