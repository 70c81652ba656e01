/* Dates and amounts: see text/entity.h. */
#include "base/str.h"
#include "text/entity.h"
#include "text/lexicon.h"

static const struct mc_token *token_at(const struct mc_tokens *tokens, size_t at)
{
    static const struct mc_token none = {.kind = MC_TOKEN_EMOJI, .gap = MC_GAP_STOP};
    return at < tokens->count ? &tokens->items[at] : &none;
}

/* The value of a token of digits with len in least..most, else -1. */
static int number(const struct mc_tokens *tokens, size_t at, size_t least, size_t most)
{
    const struct mc_token *token = token_at(tokens, at);
    if (token->kind != MC_TOKEN_NUMBER || token->folded.len < least || token->folded.len > most)
        return -1;
    int value = 0;
    for (size_t i = 0; i < token->folded.len; i++) {
        int digit = token->folded.data[i] - '0';
        if (digit < 0 || digit > 9)
            return -1;
        value = value * 10 + digit;
    }
    return value;
}

/* A day of the month, "3" or "3rd"; else 0. */
static int day(const struct mc_tokens *tokens, size_t at)
{
    int value = number(tokens, at, 1, 2);
    if (value < 0) {
        mc_str word = token_at(tokens, at)->folded;
        if (token_at(tokens, at)->kind != MC_TOKEN_CODE || word.len < 3 || word.len > 4)
            return 0;
        mc_str tail = {word.data + word.len - 2, 2};
        if (!mc_str_equal(tail, MC_STR("st")) && !mc_str_equal(tail, MC_STR("nd")) &&
            !mc_str_equal(tail, MC_STR("rd")) && !mc_str_equal(tail, MC_STR("th")))
            return 0;
        int64_t parsed;
        if (!mc_str_to_int64((mc_str){word.data, word.len - 2}, &parsed))
            return 0;
        value = (int)parsed;
    }
    return value >= 1 && value <= 31 ? value : 0;
}

static bool is_year(const struct mc_tokens *tokens, size_t at)
{
    int value = number(tokens, at, 4, 4);
    return value >= 1900 && value <= 2199;
}

static bool near(const struct mc_tokens *tokens, size_t at)
{
    return at < tokens->count && !(tokens->items[at].gap & (MC_GAP_STOP | MC_GAP_PAUSE));
}

/* 2026-03-03, 12/31/2025, 31.12.2025, with a time behind "T" left out. */
static size_t numeric_date(const struct mc_tokens *tokens, size_t at)
{
    char joint = mc_entity_joint(tokens, at + 1);
    if (joint == 0 || joint != mc_entity_joint(tokens, at + 2))
        return 0;
    int first = number(tokens, at, 1, 4);
    int second = number(tokens, at + 1, 1, 2);
    if (first < 0 || second < 1 || second > 31)
        return 0;
    if (is_year(tokens, at) && (joint == '-' || joint == '/' || joint == '.')) {
        const struct mc_token *last = token_at(tokens, at + 2);
        bool time =
            last->kind == MC_TOKEN_CODE && last->folded.len >= 3 && last->folded.data[2] == 't';
        return second <= 12 && (day(tokens, at + 2) || time) ? at + 3 : 0;
    }
    int year = number(tokens, at + 2, 2, 4);
    bool short_year = token_at(tokens, at + 2)->folded.len == 2;
    if (first < 1 || first > 31 || (first > 12 && second > 12) || year < 0 ||
        !(short_year || is_year(tokens, at + 2)))
        return 0;
    return joint == '/' || joint == '.' || joint == '-' ? at + 3 : 0;
}

/* A year behind a day or month, with or without a comma. */
static size_t with_year(const struct mc_tokens *tokens, size_t at)
{
    return is_year(tokens, at) && !(tokens->items[at].gap & MC_GAP_STOP) ? at + 1 : at;
}

/* "March 3rd, 2026", "3 March", "3rd of March 2026", "March 2026". */
static size_t month_date(const struct mc_tokens *tokens, size_t at)
{
    if (mc_entity_flags(tokens, at) & MC_WORD_MONTH) {
        /* "may" and "march" are verbs, too. */
        size_t next = at + 1;
        const struct mc_token *then = token_at(tokens, next);
        bool dotted = mc_entity_joint(tokens, next) == 0 && (then->gap & MC_GAP_STOP) &&
                      tokens->items[at].len <= 4;
        if ((near(tokens, next) || dotted) && day(tokens, next) &&
            ((tokens->items[at].flags & MC_TOKEN_CAPITAL) || tokens->items[at].len > 5 ||
             then->kind == MC_TOKEN_CODE))
            return with_year(tokens, next + 1);
        if (near(tokens, next) && is_year(tokens, next))
            return next + 1;
        return 0;
    }
    if (!day(tokens, at))
        return 0;
    size_t next = at + 1;
    if (near(tokens, next) && mc_token_is(&tokens->items[next], "of"))
        next++;
    if (!near(tokens, next) || !(mc_entity_flags(tokens, next) & MC_WORD_MONTH))
        return 0;
    /* "1 may have" is no date. */
    if (tokens->items[next].len <= 5 && !(tokens->items[next].flags & MC_TOKEN_CAPITAL))
        return 0;
    return with_year(tokens, next + 1);
}

static bool is(const struct mc_tokens *tokens, size_t at, const char *word)
{
    return at < tokens->count && mc_token_is(&tokens->items[at], word);
}

static bool is_span(const struct mc_tokens *tokens, size_t at)
{
    return near(tokens, at) && (mc_entity_flags(tokens, at) & MC_WORD_SPAN) &&
           !is(tokens, at, "second") && !is(tokens, at, "seconds");
}

/* "two weeks", "a few days", "10 days": the index behind, 0 when there is none. */
static size_t count_of_spans(const struct mc_tokens *tokens, size_t at)
{
    if (at >= tokens->count)
        return 0;
    bool counted = number(tokens, at, 1, 3) >= 0 || (mc_entity_flags(tokens, at) & MC_WORD_COUNT);
    if (!counted)
        return 0;
    size_t next = at + 1;
    if (near(tokens, next) && (mc_entity_flags(tokens, next) & MC_WORD_COUNT))
        next++;
    if (is(tokens, next, "of"))
        next++;
    if (is(tokens, next, "business") || is(tokens, next, "working"))
        next++;
    return is_span(tokens, next) ? next + 1 : 0;
}

static size_t relative_date(const struct mc_tokens *tokens, size_t at)
{
    uint32_t flags = mc_entity_flags(tokens, at);
    if (flags & MC_WORD_RELATIVE_DAY)
        return at + 1;
    if (is(tokens, at, "day") && (is(tokens, at + 1, "after") || is(tokens, at + 1, "before")) &&
        (mc_entity_flags(tokens, at + 2) & MC_WORD_RELATIVE_DAY))
        return at + 3;
    if (flags & MC_WORD_PERIOD) {
        uint32_t next = mc_entity_flags(tokens, at + 1);
        if (near(tokens, at + 1) &&
            ((next & (MC_WORD_WEEKDAY | MC_WORD_MONTH)) || is_span(tokens, at + 1)) &&
            !is(tokens, at + 1, "may"))
            return at + 2;
        return 0;
    }
    if ((is(tokens, at, "in") || is(tokens, at, "within") || is(tokens, at, "after")) &&
        near(tokens, at + 1))
        return count_of_spans(tokens, at + 1);
    if ((flags & MC_WORD_COUNT) || number(tokens, at, 1, 3) >= 0) {
        size_t end = count_of_spans(tokens, at);
        return end > 0 && is(tokens, end, "ago") ? end + 1 : 0;
    }
    if ((flags & MC_WORD_WEEKDAY) && tokens->items[at].folded.len >= 6)
        return at + 1;
    return 0;
}

size_t mc_entity_date(const struct mc_tokens *tokens, size_t at, mc_str *value)
{
    const struct mc_token *token = &tokens->items[at];
    size_t end = 0;
    if (token->kind == MC_TOKEN_NUMBER)
        end = numeric_date(tokens, at);
    if (end == 0 && (token->kind != MC_TOKEN_WORD || token->word != 0))
        end = month_date(tokens, at);
    if (end == 0 && (token->word != 0 || token->kind == MC_TOKEN_NUMBER))
        end = relative_date(tokens, at);
    if (end > 0)
        *value = mc_entity_span(tokens, at, end);
    return end;
}

/* The bytes of a currency sign that ends before (or begins at) a place, else 0. */
static size_t sign_before(mc_str text, size_t at)
{
    if (at >= 1 && text.data[at - 1] == '$')
        return 1;
    if (at >= 2 && (memcmp(text.data + at - 2, "\xC2\xA3", 2) == 0 ||
                    memcmp(text.data + at - 2, "\xC2\xA5", 2) == 0))
        return 2;
    if (at >= 3 && (memcmp(text.data + at - 3, "\xE2\x82\xAC", 3) == 0 ||
                    memcmp(text.data + at - 3, "\xE2\x82\xB9", 3) == 0))
        return 3;
    return 0;
}

static size_t sign_at(mc_str text, size_t at)
{
    for (size_t len = 1; len <= 3 && at + len <= text.len; len++) {
        if (sign_before(text, at + len) == len)
            return len;
    }
    return 0;
}

static bool is_space(mc_str text, size_t at)
{
    return at < text.len && text.data[at] == ' ';
}

/* A currency by its name: "USD", "dollars"; short codes also in small letters. */
static bool is_money(const struct mc_tokens *tokens, size_t at)
{
    if (at >= tokens->count)
        return false;
    return (mc_entity_flags(tokens, at) & MC_WORD_MONEY) ||
           ((tokens->items[at].flags & MC_TOKEN_UPPER) && mc_token_is(&tokens->items[at], "try"));
}

/* The digit of "$1" at a token, 0 when it is anything else. */
static int parameter_at(const struct mc_tokens *tokens, size_t at)
{
    size_t start = at < tokens->count ? tokens->items[at].offset : 0;
    bool dollar = start > 0 && tokens->text.data[start - 1] == '$';
    return dollar && number(tokens, at, 1, 1) > 0 ? number(tokens, at, 1, 1) : 0;
}

/*
 * Whether "$1" is a parameter of a shell or a database rather than a dollar: in quotes of its own, behind
 * "=" or "{", before "}", or next to "$2".
 */
static bool is_parameter(const struct mc_tokens *tokens, size_t at)
{
    mc_str text = tokens->text;
    int digit = parameter_at(tokens, at);
    if (digit == 0)
        return false;
    size_t begin = tokens->items[at].offset - 1, end = begin + 2;
    char behind = end < text.len ? text.data[end] : ' ';
    char before = begin > 0 ? text.data[begin - 1] : ' ';
    if (behind == '}' || (before != 0 && before == behind && strchr("\"'`", before)))
        return true;
    while (begin > 0 && text.data[begin - 1] == ' ')
        begin--;
    before = begin > 0 ? text.data[begin - 1] : ' ';
    return before == '=' || before == '{' || parameter_at(tokens, at + 1) == digit + 1 ||
           (digit > 1 && at > 0 && parameter_at(tokens, at - 1) == digit - 1);
}

size_t mc_entity_amount(const struct mc_tokens *tokens, size_t at, mc_str *value)
{
    mc_str text = tokens->text;
    size_t first = at;
    bool prefixed = false;
    /* "EUR 20": the name before the number. */
    if (tokens->items[at].folded.len == 3 && is_money(tokens, at) && near(tokens, at + 1))
        prefixed = token_at(tokens, at + 1)->kind == MC_TOKEN_NUMBER;
    size_t digits = prefixed ? at + 1 : at;
    const struct mc_token *token = token_at(tokens, digits);
    if (token->kind != MC_TOKEN_NUMBER && token->kind != MC_TOKEN_CODE)
        return 0;
    size_t start = tokens->items[first].offset;
    size_t space = start > 0 && is_space(text, start - 1) ? 1 : 0;
    size_t sign = sign_before(text, start - space);
    if (token->kind == MC_TOKEN_CODE) {
        /* "$15k", "20eur" */
        char last = token->folded.data[token->folded.len - 1];
        bool thousands = (last == 'k' || last == 'm') && sign > 0;
        if (!thousands || token->folded.data[0] < '0' || token->folded.data[0] > '9')
            return 0;
    }
    size_t end = digits + 1;
    while (token_at(tokens, end)->kind == MC_TOKEN_NUMBER &&
           (mc_entity_joint(tokens, end) == ',' || mc_entity_joint(tokens, end) == '.'))
        end++;
    size_t stop = tokens->items[end - 1].offset + tokens->items[end - 1].len;
    bool found = prefixed || sign > 0;
    if (sign > 0)
        start -= space + sign;
    size_t behind = sign_at(text, stop);
    if (!found && behind == 0 && is_space(text, stop))
        behind = sign_at(text, stop + 1) ? 1 + sign_at(text, stop + 1) : 0;
    if (!prefixed && !found && behind > 0) {
        stop += behind;
        found = true;
    } else if (!prefixed && near(tokens, end) && is_money(tokens, end)) {
        stop = tokens->items[end].offset + tokens->items[end].len;
        end++;
        found = true;
    }
    if (!found || (end == at + 1 && is_parameter(tokens, at)))
        return 0;
    *value = (mc_str){text.data + start, stop - start};
    return end;
}
