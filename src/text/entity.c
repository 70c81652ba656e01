#include "text/entity.h"

#include "base/compiler.h"
#include "base/str.h"
#include "base/utf8.h"
#include "text/lexicon.h"

#define CODE_BYTES 40 /* of an order, invoice or tracking number */
#define AHEAD 5       /* words between "order" and its number */

char mc_entity_joint(const struct mc_tokens *tokens, size_t at)
{
    if (at == 0 || at >= tokens->count)
        return 0;
    const struct mc_token *before = &tokens->items[at - 1];
    uint32_t end = before->offset + before->len;
    return tokens->items[at].offset == end + 1 ? tokens->text.data[end] : 0;
}

uint32_t mc_entity_flags(const struct mc_tokens *tokens, size_t at)
{
    return at < tokens->count ? mc_lexicon_entry(tokens->items[at].word)->flags : 0;
}

mc_str mc_entity_span(const struct mc_tokens *tokens, size_t first, size_t last)
{
    const struct mc_token *end = &tokens->items[last - 1];
    size_t start = tokens->items[first].offset;
    return (mc_str){tokens->text.data + start, end->offset + end->len - start};
}

/* What is known of the text as a whole. */
struct scan {
    const struct mc_tokens *tokens;
    struct mc_entities *out;
    uint32_t flags;               /* of all words */
    bool mail;                    /* there is an @ */
    enum mc_entity_type expected; /* of the number that a word before announced */
    size_t expected_until;        /* index of the token where that ends */
    bool announced;               /* a word such as "number" or a # has followed it */
};

/* Text that reads well on one line: valid UTF-8 without control characters. */
static bool is_clean(mc_str value)
{
    for (size_t i = 0; i < value.len; i++) {
        if ((uint8_t)value.data[i] < 0x20 || value.data[i] == 0x7F)
            return false;
    }
    return mc_utf8_check(value, NULL, NULL);
}

static void add(struct scan *scan, enum mc_entity_type type, mc_str value)
{
    struct mc_entities *out = scan->out;
    if (value.len == 0 || value.len > MC_ENTITY_BYTES || out->count == MC_ENTITIES_MAX ||
        !is_clean(value))
        return;
    for (size_t i = 0; i < out->count; i++) {
        if (out->items[i].type == type && mc_str_equal(out->items[i].value, value))
            return;
    }
    out->items[out->count++] = (struct mc_entity){type, value};
}

/* A code: tokens joined by - or _ (or / and . between digits). */
struct code {
    size_t end;
    size_t len;
    size_t digits;
    size_t letters;
};

static struct code read_code(const struct mc_tokens *tokens, size_t at)
{
    struct code code = {at, 0, 0, 0};
    while (code.end < tokens->count && tokens->items[code.end].kind <= MC_TOKEN_CODE) {
        const struct mc_token *token = &tokens->items[code.end];
        char joint = code.end > at ? mc_entity_joint(tokens, code.end) : '-';
        bool slash = joint == '/' && token->kind == MC_TOKEN_NUMBER;
        if (joint != '-' && joint != '_' && !slash)
            break;
        if (code.len + token->len > CODE_BYTES)
            break;
        for (size_t i = 0; i < token->folded.len; i++) {
            bool digit = (uint8_t)(token->folded.data[i] - '0') < 10;
            code.digits += digit;
            code.letters += !digit;
        }
        code.len += token->len + (code.end > at);
        code.end++;
    }
    return code;
}

static bool has_hash(const struct mc_tokens *tokens, size_t at)
{
    size_t start = tokens->items[at].offset;
    return start > 0 && tokens->text.data[start - 1] == '#';
}

/* Tracking numbers that are known by their form. */
static bool is_parcel_code(const struct scan *scan, const struct mc_token *token)
{
    mc_str word = token->folded;
    bool context = (scan->flags & MC_WORD_TRACK) != 0;
    if (token->kind == MC_TOKEN_CODE && word.len == 18 && word.data[0] == '1' &&
        word.data[1] == 'z')
        return true;                               /* UPS */
    if (token->kind == MC_TOKEN_NUMBER && context) /* FedEx, USPS, DHL */
        return word.len == 12 || word.len == 15 || word.len == 20 || word.len == 22 ||
               word.len == 10;
    if (token->kind != MC_TOKEN_CODE || word.len != 13)
        return false; /* S10 of the Universal Postal Union: RR123456789US */
    for (size_t i = 0; i < word.len; i++) {
        bool digit = (uint8_t)(word.data[i] - '0') < 10;
        if (digit != (i >= 2 && i < 11))
            return false;
    }
    return true;
}

static bool expects(const struct scan *scan, size_t at)
{
    return at < scan->expected_until;
}

/* Remembers that a number of a certain kind may follow soon. */
static void expect(struct scan *scan, size_t at)
{
    uint32_t flags = mc_entity_flags(scan->tokens, at);
    const struct mc_token *token = &scan->tokens->items[at];
    enum mc_entity_type type = MC_ENTITY_ORDER_ID;
    if (flags & MC_WORD_INVOICE)
        type = MC_ENTITY_INVOICE_ID;
    else if ((flags & MC_WORD_TRACK) && !(flags & MC_WORD_ORDER))
        type = MC_ENTITY_TRACKING_NUMBER;
    else if (!(flags & MC_WORD_ORDER)) {
        if (!expects(scan, at))
            return;
        bool reference = (flags & MC_WORD_REFERENCE) != 0;
        scan->announced = scan->announced || reference;
        /* Any other word ends it, unless the number was announced. */
        if (!reference && !scan->announced && !mc_token_is(token, "my") &&
            !mc_token_is(token, "the"))
            scan->expected_until = at;
        return;
    }
    scan->expected = type;
    scan->expected_until = at + 1 + AHEAD;
    scan->announced = false;
}

/* "ORD-12345", "INV-2024-001": the type is in the code itself. */
static size_t prefixed_code(struct scan *scan, size_t at, uint32_t flags)
{
    char joint = mc_entity_joint(scan->tokens, at + 1);
    if (!(flags & (MC_WORD_ORDER | MC_WORD_INVOICE | MC_WORD_TRACK)) ||
        (joint != '-' && joint != '_'))
        return 0;
    struct code code = read_code(scan->tokens, at);
    if (code.digits < 2)
        return 0;
    add(scan,
        flags & MC_WORD_INVOICE ? MC_ENTITY_INVOICE_ID
        : flags & MC_WORD_ORDER ? MC_ENTITY_ORDER_ID
                                : MC_ENTITY_TRACKING_NUMBER,
        mc_entity_span(scan->tokens, at, code.end));
    return code.end;
}

/* "ord12345", "inv2024": letters known by name and three digits or more, in one word. */
static bool glued_code(const struct mc_token *token, enum mc_entity_type *type)
{
    mc_str word = token->folded;
    if (token->kind != MC_TOKEN_CODE || word.len < 6)
        return false;
    bool order = mc_str_starts(word, MC_STR("ord"));
    bool invoice = mc_str_starts(word, MC_STR("inv"));
    for (size_t i = 3; i < word.len; i++) {
        if ((uint8_t)(word.data[i] - '0') >= 10)
            return false;
    }
    *type = invoice ? MC_ENTITY_INVOICE_ID : MC_ENTITY_ORDER_ID;
    return order || invoice;
}

static size_t numbered(struct scan *scan, size_t at)
{
    const struct mc_tokens *tokens = scan->tokens;
    const struct mc_token *token = &tokens->items[at];
    uint32_t flags = mc_entity_flags(tokens, at);
    size_t end = prefixed_code(scan, at, flags);
    if (end > 0)
        return end;
    enum mc_entity_type type;
    if (glued_code(token, &type)) {
        add(scan, type, mc_entity_span(tokens, at, at + 1));
        return at + 1;
    }
    bool hash = has_hash(tokens, at);
    if (token->kind == MC_TOKEN_WORD && !hash && !expects(scan, at))
        return 0;
    if (token->kind != MC_TOKEN_WORD && is_parcel_code(scan, token) &&
        !(expects(scan, at) && scan->expected != MC_ENTITY_TRACKING_NUMBER)) {
        add(scan, MC_ENTITY_TRACKING_NUMBER, mc_entity_span(tokens, at, at + 1));
        return at + 1;
    }
    if (!hash && !expects(scan, at))
        return 0;
    struct code code = read_code(tokens, at);
    bool sure = hash || scan->announced;
    size_t least = sure ? 3 : code.letters > 0 ? 4 : 4;
    if (code.end == at || code.digits < (code.letters > 0 ? 2 : least) || code.len < least)
        return 0;
    /* "order 3 2024 models" is not announced; a year alone is no order. */
    if (expects(scan, at))
        type = scan->expected;
    else
        type =
            scan->flags & (MC_WORD_ORDER | MC_WORD_TRACK) ? MC_ENTITY_ORDER_ID : MC_ENTITY_CUSTOM;
    if (type == MC_ENTITY_TRACKING_NUMBER && code.len < 8)
        return 0;
    add(scan, type, mc_entity_span(tokens, at, code.end));
    scan->expected_until = 0;
    return code.end;
}

static bool is_name(const struct mc_tokens *tokens, size_t at)
{
    if (at >= tokens->count)
        return false;
    const struct mc_token *token = &tokens->items[at];
    return token->kind == MC_TOKEN_WORD && (token->flags & MC_TOKEN_CAPITAL) && token->len > 1 &&
           !(mc_entity_flags(tokens, at) &
             (MC_WORD_STOP | MC_WORD_CAPS | MC_WORD_MONTH | MC_WORD_WEEKDAY | MC_WORD_ACTION));
}

/* The end of up to three capitalised words from a place on. */
static size_t names_end(const struct mc_tokens *tokens, size_t at, size_t most)
{
    size_t end = at;
    while (end < at + most && is_name(tokens, end) &&
           (end == at || !(tokens->items[end].gap & (MC_GAP_STOP | MC_GAP_PAUSE)) ||
            mc_entity_joint(tokens, end) == '-'))
        end++;
    return end;
}

static bool is(const struct mc_tokens *tokens, size_t at, const char *word)
{
    return at < tokens->count && mc_token_is(&tokens->items[at], word);
}

/* Words that never are a name behind "I'm": "I'm Sorry", "I'm German". */
static bool is_plain_word(const struct mc_tokens *tokens, size_t at)
{
    if (tokens->items[at].word != 0)
        return true;
    mc_str word = tokens->items[at].folded;
    static const char *const endings[] = {"ing", "ed", "ish", "ese", "ian", "can", "german"};
    for (size_t i = 0; i < mc_countof(endings); i++) {
        if (mc_str_ends(word, mc_str_of(endings[i])))
            return true;
    }
    return false;
}

/* "my name is X", "I'm X", "this is X", "Mr. X". */
static size_t person(struct scan *scan, size_t at)
{
    const struct mc_tokens *tokens = scan->tokens;
    size_t first = 0;
    if (is(tokens, at, "name") && at > 0 && is(tokens, at - 1, "my")) {
        /* "my name's X" has lost its 's. */
        first = is(tokens, at + 1, "is")                   ? at + 2
                : tokens->items[at].flags & MC_TOKEN_OWNER ? at + 1
                                                           : 0;
        if (first > 0 && first < tokens->count && tokens->items[first].kind == MC_TOKEN_WORD &&
            !is_name(tokens, first) && !(mc_entity_flags(tokens, first) & MC_WORD_STOP)) {
            add(scan, MC_ENTITY_PERSON, mc_entity_span(tokens, first, first + 1));
            return first + 1;
        }
    } else if (is(tokens, at, "i'm") ||
               (is(tokens, at, "am") && at > 0 && is(tokens, at - 1, "i")) ||
               (is(tokens, at, "is") && at > 0 && is(tokens, at - 1, "this"))) {
        first = at + 1;
        if (!is_name(tokens, first) || is_plain_word(tokens, first))
            return 0;
    } else if (is(tokens, at, "call") && is(tokens, at + 1, "me")) {
        first = at + 2;
    } else if ((mc_entity_flags(tokens, at) & MC_WORD_TITLE) &&
               (tokens->items[at].flags & MC_TOKEN_CAPITAL) && is_name(tokens, at + 1)) {
        size_t gap =
            tokens->items[at + 1].offset - tokens->items[at].offset - tokens->items[at].len;
        if (gap > 2)
            return 0;
        size_t end = names_end(tokens, at + 1, 3);
        add(scan, MC_ENTITY_PERSON, mc_entity_span(tokens, at, end));
        return end;
    }
    size_t end = first > 0 ? names_end(tokens, first, 3) : 0;
    if (first == 0 || end == first)
        return 0;
    add(scan, MC_ENTITY_PERSON, mc_entity_span(tokens, first, end));
    return end;
}

/* "Acme Widgets Inc", "I work at Acme". */
static size_t organisation(struct scan *scan, size_t at)
{
    const struct mc_tokens *tokens = scan->tokens;
    if (is_name(tokens, at)) {
        size_t end = names_end(tokens, at, 4);
        for (size_t i = at + 1; i <= end && i < tokens->count; i++) {
            if (!(mc_entity_flags(tokens, i) & MC_WORD_COMPANY) ||
                tokens->items[i].offset - tokens->items[i - 1].offset - tokens->items[i - 1].len >
                    2)
                continue;
            add(scan, MC_ENTITY_ORGANIZATION, mc_entity_span(tokens, at, i + 1));
            return i + 1;
        }
        return 0;
    }
    if (at == 0 || !(is(tokens, at, "at") || is(tokens, at, "for")) || !is_name(tokens, at + 1) ||
        !mc_str_equal(tokens->items[at - 1].stem, MC_STR("work")))
        return 0;
    size_t end = names_end(tokens, at + 1, 3);
    if (mc_entity_flags(tokens, end) & MC_WORD_COMPANY)
        end++;
    add(scan, MC_ENTITY_ORGANIZATION, mc_entity_span(tokens, at + 1, end));
    return end;
}

/* What takes words by their form, not by what stands before them. */
static size_t by_form(struct scan *scan, size_t at)
{
    const struct mc_tokens *tokens = scan->tokens;
    enum mc_entity_type type = MC_ENTITY_URL;
    mc_str value;
    size_t end = mc_entity_web(tokens, at, scan->mail, &value, &type);
    if (end == 0 && (end = mc_entity_date(tokens, at, &value)) > 0)
        type = MC_ENTITY_DATE;
    if (end == 0 && (end = mc_entity_amount(tokens, at, &value)) > 0)
        type = MC_ENTITY_AMOUNT;
    if (end == 0)
        return 0;
    add(scan, type, value);
    return end;
}

static size_t step(struct scan *scan, size_t at)
{
    const struct mc_token *token = &scan->tokens->items[at];
    if (token->kind > MC_TOKEN_CODE)
        return at + 1;
    size_t end = by_form(scan, at);
    if (end == 0)
        end = numbered(scan, at);
    if (end == 0 && token->kind == MC_TOKEN_NUMBER) {
        mc_str value;
        end = mc_entity_phone(scan->tokens, at, &value);
        if (end > 0)
            add(scan, MC_ENTITY_PHONE, value);
    }
    if (end == 0 && token->kind == MC_TOKEN_WORD) {
        end = person(scan, at);
        if (end == 0)
            end = organisation(scan, at);
    }
    if (end > 0)
        return end;
    expect(scan, at);
    return at + 1;
}

void mc_entities_of(const struct mc_tokens *tokens, struct mc_entities *out)
{
    struct scan scan = {.tokens = tokens, .out = out};
    out->count = 0;
    scan.mail = tokens->text.len > 0 && memchr(tokens->text.data, '@', tokens->text.len) != NULL;
    for (size_t i = 0; i < tokens->count; i++)
        scan.flags |= mc_entity_flags(tokens, i);
    for (size_t i = 0; i < tokens->count;)
        i = step(&scan, i);
}
