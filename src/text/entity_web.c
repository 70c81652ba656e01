/* E-mail addresses, URLs, telephone numbers: see text/entity.h. */
#include "base/str.h"
#include "text/entity.h"
#include "text/lexicon.h"

#define LOCAL_BYTES 64
#define DOMAIN_BYTES 190
#define PHONE_LEAST 7
#define PHONE_MOST 15

static bool is_alnum(char c)
{
    return (uint8_t)(c - '0') < 10 || (uint8_t)((c | 32) - 'a') < 26;
}

/* The first token that begins at or behind a place. */
static size_t token_behind(const struct mc_tokens *tokens, size_t from, size_t place)
{
    while (from < tokens->count && tokens->items[from].offset < place)
        from++;
    return from;
}

/* The end of a domain with at least one dot from a place on, 0 when there is none. */
static size_t domain_end(mc_str text, size_t at)
{
    size_t end = at, dot = 0;
    while (end < text.len && end - at < DOMAIN_BYTES &&
           (is_alnum(text.data[end]) || text.data[end] == '-' || text.data[end] == '.')) {
        if (text.data[end] == '.' && end > at && is_alnum(text.data[end - 1]))
            dot = end;
        end++;
    }
    while (end > at && !is_alnum(text.data[end - 1]))
        end--;
    if (dot != 0 && dot >= end) {
        /* The last dot was a full stop: look for one before it. */
        dot = end - 1;
        while (dot > at && text.data[dot] != '.')
            dot--;
        if (text.data[dot] != '.')
            dot = 0;
    }
    return dot != 0 && end - dot > 2 ? end : 0;
}

static size_t mail(const struct mc_tokens *tokens, size_t at, mc_str *value)
{
    mc_str text = tokens->text;
    size_t start = tokens->items[at].offset;
    size_t i = start;
    while (i < text.len && i - start <= LOCAL_BYTES &&
           (is_alnum(text.data[i]) || (text.data[i] != 0 && strchr("._%+-", text.data[i]))))
        i++;
    if (i >= text.len || text.data[i] != '@' || i - start > LOCAL_BYTES)
        return 0;
    size_t end = domain_end(text, i + 1);
    if (end == 0)
        return 0;
    *value = (mc_str){text.data + start, end - start};
    return token_behind(tokens, at + 1, end);
}

static bool is_url_byte(char c)
{
    return (uint8_t)c > ' ' && c != '"' && c != '<' && c != '>' && c != '`' && c != 0x7F;
}

static size_t url_end(mc_str text, size_t at)
{
    size_t end = at;
    while (end < text.len && end - at <= MC_ENTITY_BYTES && is_url_byte(text.data[end]))
        end++;
    while (end > at && text.data[end - 1] != 0 && strchr(".,;:!?)]}'*", text.data[end - 1]))
        end--;
    return end;
}

static size_t url(const struct mc_tokens *tokens, size_t at, mc_str *value)
{
    mc_str text = tokens->text;
    const struct mc_token *token = &tokens->items[at];
    size_t start = token->offset;
    size_t behind = start + token->len;
    size_t end = 0;
    if (behind + 3 < text.len && memcmp(text.data + behind, "://", 3) == 0 &&
        (mc_token_is(token, "http") || mc_token_is(token, "https") || mc_token_is(token, "ftp")))
        end = url_end(text, start);
    else if (mc_token_is(token, "www") && mc_entity_joint(tokens, at + 1) == '.')
        end = url_end(text, start);
    if (end <= behind + 3) {
        /* "example.com/path": a word, a dot and a common top-level domain. */
        bool bare = token->folded.len >= 2 && mc_entity_joint(tokens, at + 1) == '.' &&
                    (mc_entity_flags(tokens, at + 1) & MC_WORD_WEB) &&
                    mc_entity_joint(tokens, at + 2) != '.' &&
                    !mc_token_is(&tokens->items[at + 1], "www");
        if (!bare)
            return 0;
        end = url_end(text, start);
    }
    *value = (mc_str){text.data + start, end - start};
    return token_behind(tokens, at + 1, end);
}

size_t mc_entity_web(const struct mc_tokens *tokens, size_t at, bool may_mail, mc_str *value,
                     enum mc_entity_type *type)
{
    size_t end = may_mail ? mail(tokens, at, value) : 0;
    if (end > 0) {
        *type = MC_ENTITY_EMAIL;
        return end;
    }
    const struct mc_token *token = &tokens->items[at];
    size_t behind = token->offset + token->len;
    /* Only a colon or a dot directly behind can make it a URL. */
    if (behind >= tokens->text.len ||
        (tokens->text.data[behind] != ':' && tokens->text.data[behind] != '.'))
        return 0;
    *type = MC_ENTITY_URL;
    return url(tokens, at, value);
}

/* The words before speak of a telephone. */
static bool has_phone_word(const struct mc_tokens *tokens, size_t at)
{
    for (size_t back = 1; back <= 5 && back <= at; back++) {
        if (mc_entity_flags(tokens, at - back) & MC_WORD_PHONE)
            return true;
    }
    return false;
}

/* Groups of digits may be separated by up to two of these. */
static bool is_phone_gap(const struct mc_tokens *tokens, size_t at)
{
    size_t from = tokens->items[at - 1].offset + tokens->items[at - 1].len;
    size_t to = tokens->items[at].offset;
    if (to - from > 2)
        return false;
    for (size_t i = from; i < to; i++) {
        char c = tokens->text.data[i];
        if (c == 0 || !strchr(" -.()/", c))
            return false;
    }
    return true;
}

size_t mc_entity_phone(const struct mc_tokens *tokens, size_t at, mc_str *value)
{
    if (tokens->items[at].kind != MC_TOKEN_NUMBER)
        return 0;
    mc_str text = tokens->text;
    size_t start = tokens->items[at].offset;
    size_t groups = 0, digits = 0, longest = 0, end = at;
    while (end < tokens->count && tokens->items[end].kind == MC_TOKEN_NUMBER &&
           (end == at || is_phone_gap(tokens, end))) {
        size_t len = tokens->items[end].folded.len;
        if (digits + len > PHONE_MOST)
            return 0;
        digits += len;
        longest = len > longest ? len : longest;
        groups++;
        end++;
    }
    bool plus = start > 0 && text.data[start - 1] == '+';
    bool bracket = start > 0 && text.data[start - 1] == '(';
    if (bracket && start > 1 && text.data[start - 2] == '+')
        plus = true;
    size_t last = tokens->items[end - 1].folded.len;
    bool shape = (digits == 10 && groups == 3 && last == 4) ||
                 (digits == 11 && groups == 4 && last == 4) ||
                 (bracket && digits >= 9 && groups >= 2);
    bool asked = digits >= PHONE_LEAST && longest >= 3 && has_phone_word(tokens, at);
    if (!(plus && digits >= 8) && !shape && !asked)
        return 0;
    start -= bracket;
    start -= plus && start > 0 && text.data[start - 1] == '+';
    size_t stop = tokens->items[end - 1].offset + tokens->items[end - 1].len;
    *value = (mc_str){text.data + start, stop - start};
    return end;
}
