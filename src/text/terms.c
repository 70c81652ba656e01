#include "text/terms.h"

#include "base/compiler.h"
#include "base/str.h"
#include "base/utf8.h"
#include "text/lexicon.h"
#include "text/stem.h"
#include "text/token.h"

#define SLOT_COUNT 4096 /* at least twice MC_TERMS_MAX, a power of two */
#define PARTS_MAX 8     /* parts of one joined term; a longer one is only its parts */

/* Base letters of U+00C0..U+017F; '.' where a letter has none. Two letters were folded by
 * NFKC_Casefold. */
static const char latin_bases[] =
    "aaaaaa.ceeeeiiiidnooooo.ouuuuy..aaaaaa.ceeeeiiiidnooooo.ouuuuy.y"
    "aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiii..jjkkkllllll."
    ".llnnnnnn.nnoooooo..rrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";

struct part {
    char text[MC_TERM_BYTES];
    size_t len;
};

struct collector {
    struct mc_arena *arena;
    struct mc_term *items;
    size_t count;
    size_t capacity;
    size_t total;
    uint16_t *slots; /* of SLOT_COUNT, index + 1 */
    bool failed;
    /* The joined term being read: its parts so far. */
    struct part parts[PARTS_MAX];
    size_t part_count;
    size_t run; /* parts met, also those beyond PARTS_MAX */
};

static bool grow(struct collector *c)
{
    size_t capacity = c->capacity ? c->capacity * 2 : 64;
    struct mc_term *items = mc_arena_array(c->arena, capacity, sizeof(*items));
    if (!items)
        return false;
    if (c->count > 0)
        memcpy(items, c->items, c->count * sizeof(*items));
    c->items = items;
    c->capacity = capacity;
    return true;
}

static void add(struct collector *c, mc_str term)
{
    term = mc_utf8_cut(term, MC_TERM_BYTES);
    if (term.len == 0 || c->failed)
        return;
    c->total++;
    size_t slot = mc_word_hash(term) % SLOT_COUNT;
    for (; c->slots[slot] != 0; slot = (slot + 1) % SLOT_COUNT) {
        struct mc_term *item = &c->items[c->slots[slot] - 1];
        if (mc_str_equal(item->text, term)) {
            item->count++;
            return;
        }
    }
    if (c->count == MC_TERMS_MAX)
        return;
    if (c->count == c->capacity && !grow(c)) {
        c->failed = true;
        return;
    }
    mc_str copy = mc_arena_copy(c->arena, term);
    if (!copy.data) {
        c->failed = true;
        return;
    }
    c->items[c->count++] = (struct mc_term){copy, 1};
    c->slots[slot] = (uint16_t)c->count;
}

/* Copies a folded word without apostrophes and Latin accents, as far as a term reaches. */
static void plain(mc_str word, bool ascii, struct part *part)
{
    part->len = 0;
    for (size_t i = 0; i < word.len;) {
        char bytes[4] = {word.data[i]};
        size_t len = 1;
        if (ascii || (uint8_t)word.data[i] < 0x80) {
            i++;
            if (bytes[0] == '\'')
                continue;
        } else {
            int32_t code = mc_utf8_next(word, &i);
            if (code >= 0xC0 && code < 0xC0 + (int32_t)sizeof(latin_bases) - 1 &&
                latin_bases[code - 0xC0] != '.')
                bytes[0] = latin_bases[code - 0xC0];
            else
                len = mc_utf8_put(code, bytes);
        }
        if (part->len + len > MC_TERM_BYTES)
            return;
        memcpy(part->text + part->len, bytes, len);
        part->len += len;
    }
}

/* Without what an apostrophe ties to a word: "we'll" gives "we", "l'appareil" gives "appareil". */
static mc_str without_clitic(mc_str word)
{
    const char *at = memchr(word.data, '\'', word.len);
    if (!at)
        return word;
    size_t before = (size_t)(at - word.data);
    size_t after = word.len - before - 1;
    static const char *const endings[] = {"ll", "ve", "re", "d", "m", "s"};
    for (size_t i = 0; i < mc_countof(endings); i++) {
        if (mc_str_equal((mc_str){at + 1, after}, mc_str_of(endings[i])))
            return (mc_str){word.data, before};
    }
    bool elided = (before == 1 && word.data[0] != 'o') ||
                  (before == 2 && word.data[0] == 'q' && word.data[1] == 'u');
    return elided && after >= 2 ? (mc_str){at + 1, after} : word;
}

static bool is_digit(char c)
{
    return (uint8_t)(c - '0') < 10;
}

/* "ord12345" also gives "ord" and "12345", where one side has three digits and the other two
 * letters. */
static void add_code_parts(struct collector *c, const struct part *part)
{
    size_t split = 1;
    bool first = is_digit(part->text[0]);
    while (split < part->len && is_digit(part->text[split]) == first)
        split++;
    for (size_t i = split; i < part->len; i++) {
        if (is_digit(part->text[i]) == first)
            return;
    }
    size_t digits = first ? split : part->len - split;
    if (digits < 3 || part->len - digits < 2)
        return;
    add(c, (mc_str){part->text, split});
    add(c, (mc_str){part->text + split, part->len - split});
}

/* The term of a word, empty for a stop word; *part is the word as a part of joined terms. */
static mc_str word_term(const struct mc_token *token, struct part *part, char room[MC_STEM_BYTES])
{
    bool ascii = (token->flags & MC_TOKEN_ASCII) != 0;
    const struct mc_word *entry = mc_lexicon_entry(mc_lexicon_find(token->folded, token->hash));
    mc_str word = token->folded;
    bool stop = (entry->flags & MC_WORD_STOP) != 0;
    mc_str bare = token->kind == MC_TOKEN_WORD && !stop ? without_clitic(word) : word;
    plain(bare, ascii, part);
    mc_str text = {part->text, part->len};
    if (stop)
        return MC_STR_NONE;
    if (token->kind != MC_TOKEN_WORD)
        return text;
    /* Nothing was dropped: what is known of the word still holds. */
    if (ascii && text.len == word.len)
        return mc_stem_regular(entry->base.len > 0 ? entry->base : text, room);
    return bare.len != word.len && mc_stem_is_stop(text) ? MC_STR_NONE : mc_stem(text, room);
}

static void add_word(struct collector *c, const struct mc_token *token, struct part *part)
{
    char room[MC_STEM_BYTES];
    mc_str term = word_term(token, part, room);
    add(c, term);
    if (token->kind == MC_TOKEN_CODE && term.len > 0)
        add_code_parts(c, part);
}

/* Ends the joined term: writes it whole when it had several parts. */
static void flush_joined(struct collector *c)
{
    if (c->run >= 2 && c->run <= PARTS_MAX) {
        char whole[MC_TERM_BYTES];
        size_t len = 0;
        bool fits = true;
        for (size_t i = 0; i < c->part_count && fits; i++) {
            fits = len + c->parts[i].len <= sizeof(whole);
            if (fits) {
                memcpy(whole + len, c->parts[i].text, c->parts[i].len);
                len += c->parts[i].len;
            }
        }
        if (fits)
            add(c, (mc_str){whole, len});
    }
    c->run = 0;
    c->part_count = 0;
}

/* The single byte between two tokens that makes them one term, else 0. */
static char connector(mc_str text, const struct mc_token *before, const struct mc_token *token)
{
    if (token->offset != before->offset + before->len + 1)
        return 0;
    char c = text.data[token->offset - 1];
    return c != 0 && strchr("-_./:,@", c) ? c : 0;
}

/* Full stops, commas, colons and slashes join only where a digit is: "3.5", not "end.Next" or
 * "and/or". */
static bool joins(char c, const struct mc_token *before, const struct mc_token *token)
{
    if (c == '-' || c == '_' || c == '@')
        return true;
    if (c == ',')
        return before->kind == MC_TOKEN_NUMBER && token->kind == MC_TOKEN_NUMBER;
    return c != 0 && before->kind != MC_TOKEN_WORD && token->kind != MC_TOKEN_WORD;
}

static void add_pair(struct collector *c, mc_str first, mc_str second)
{
    char pair[2 * MC_TOKEN_BYTES];
    memcpy(pair, first.data, first.len);
    memcpy(pair + first.len, second.data, second.len);
    add(c, (mc_str){pair, first.len + second.len});
}

/* A run of ideographs: the last one waits for its neighbour. */
struct ideograph {
    struct part last;
    uint32_t end;
    bool waiting; /* last has been in no pair yet */
    bool open;
};

static void take_ideograph(struct collector *c, struct ideograph *run, const struct mc_token *token)
{
    mc_str word = token->folded;
    if (run->open && run->end == token->offset) {
        add_pair(c, (mc_str){run->last.text, run->last.len}, word);
        run->waiting = false;
    } else {
        if (run->open && run->waiting)
            add(c, (mc_str){run->last.text, run->last.len});
        run->waiting = true;
    }
    run->open = true;
    run->end = token->offset + token->len;
    plain(word, false, &run->last);
}

static void close_ideographs(struct collector *c, struct ideograph *run)
{
    if (run->open && run->waiting)
        add(c, (mc_str){run->last.text, run->last.len});
    run->open = false;
}

static void take_word(struct collector *c, mc_str text, const struct mc_token *before,
                      const struct mc_token *token)
{
    if (c->run > 0 && !joins(connector(text, before, token), before, token))
        flush_joined(c);
    struct part spare;
    struct part *part = c->part_count < PARTS_MAX ? &c->parts[c->part_count++] : &spare;
    c->run++;
    add_word(c, token, part);
}

bool mc_terms_of(mc_str text, struct mc_arena *arena, struct mc_terms *out)
{
    uint16_t slots[SLOT_COUNT];
    memset(slots, 0, sizeof(slots));
    struct collector c;
    c.arena = arena;
    c.items = NULL;
    c.count = c.capacity = c.total = c.part_count = c.run = 0;
    c.slots = slots;
    c.failed = false;
    struct ideograph run = {.open = false};
    struct mc_tokenizer tokenizer;
    struct mc_token token, before = {0};
    mc_tokenizer_init(&tokenizer, text);
    while (!c.failed && mc_token_next(&tokenizer, &token)) {
        if (token.kind == MC_TOKEN_IDEOGRAPH) {
            flush_joined(&c);
            take_ideograph(&c, &run, &token);
        } else if (token.kind == MC_TOKEN_EMOJI) {
            flush_joined(&c);
            close_ideographs(&c, &run);
        } else {
            close_ideographs(&c, &run);
            take_word(&c, text, &before, &token);
        }
        before = token;
    }
    flush_joined(&c);
    close_ideographs(&c, &run);
    if (c.failed || tokenizer.failed)
        return false;
    *out = (struct mc_terms){c.items, c.count, c.total};
    return true;
}

/* The pair of a character with the one before it in its run. */
static mc_str next_pair(struct mc_term_reader *reader, const struct mc_token *token)
{
    mc_str word = token->folded;
    size_t len = reader->last_len > 0 && reader->last_end == token->offset ? reader->last_len : 0;
    memcpy(reader->room, reader->last, len);
    memcpy(reader->room + len, word.data, word.len);
    struct part last;
    plain(word, false, &last);
    memcpy(reader->last, last.text, last.len);
    reader->last_len = last.len;
    reader->last_end = token->offset + token->len;
    return mc_utf8_cut((mc_str){reader->room, len + word.len}, MC_TERM_BYTES);
}

mc_str mc_term_next(struct mc_term_reader *reader, const struct mc_token *token)
{
    if (token->kind == MC_TOKEN_IDEOGRAPH)
        return next_pair(reader, token);
    reader->last_len = 0;
    if (token->kind == MC_TOKEN_EMOJI)
        return MC_STR_NONE;
    struct part part;
    char room[MC_STEM_BYTES];
    mc_str term = word_term(token, &part, room);
    if (term.len > 0)
        memcpy(reader->room, term.data, term.len);
    return (mc_str){reader->room, term.len};
}
