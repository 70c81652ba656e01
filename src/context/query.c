#include "context/query.h"

#include <math.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/utf8.h"
#include "message/label.h"
#include "text/lexicon.h"
#include "text/terms.h"
#include "text/token.h"
#include "vocabulary/match.h"

#define WEAK_WEIGHT 0.4
#define DATE_WEIGHT 0.3 /* of words that name a time */
#define CODE_WEIGHT 1.3 /* order numbers and the like are what is looked for */
#define TOPIC_WEIGHT 0.35
#define TOKENS_MAX (MC_QUERY_BYTES / 2 + 1) /* all that it can have */
#define LONG_WORD 32                        /* bytes */
/* Of more words than are looked up so many of each end are, from so many bytes of the last one. */
#define END_WORDS 20
#define END_BYTES 400
/* As if there were so many more messages without any of the words: in a memory of a few messages
 * every word would otherwise be as frequent as a stop word. */
#define PRIOR_MESSAGES 20
#define LABEL_MAX ((size_t)4096)

/* Stems of words that questions are made of: they match much and tell little. */
static const char *const weak_stems[] = {
    "accord", "ask",   "base",   "convers", "discuss", "get",     "give",   "go",      "happen",
    "kind",   "know",  "like",   "long",    "look",    "make",    "mani",   "mention", "might",
    "much",   "often", "recent", "say",     "someon",  "sometim", "someth", "sort",    "take",
    "talk",   "tell",  "thing",  "think",   "time",    "type",    "use",    "want",    "way",
};

/* Topics that say nothing of the subject. */
static const char *const vague_topics[] = {"general",  "other",    "unknown",
                                           "greeting", "farewell", "thanks"};

static bool listed(const char *const *names, size_t count, mc_str name)
{
    for (size_t i = 0; i < count; i++) {
        if (mc_str_equal(name, mc_str_of(names[i])))
            return true;
    }
    return false;
}

static bool has_digits(mc_str term)
{
    size_t digits = 0;
    for (size_t i = 0; i < term.len; i++)
        digits += term.data[i] >= '0' && term.data[i] <= '9';
    return digits >= 3;
}

static double word_weight(mc_str term)
{
    if (has_digits(term))
        return CODE_WEIGHT;
    return listed(weak_stems, mc_countof(weak_stems), term) ? WEAK_WEIGHT : 1.0;
}

/* ---- Long queries ---- */

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Behind the last word that ends in the first max_bytes; behind a character when it is a long one. */
static size_t words_end(mc_str text, size_t max_bytes)
{
    size_t end = mc_utf8_cut(text, max_bytes).len;
    for (size_t at = end; at > 0 && end - at < LONG_WORD; at--) {
        if (is_blank(text.data[at - 1]))
            return at - 1;
    }
    return end;
}

/* The beginning of the first word of the last max_bytes, in the same way. */
static size_t words_begin(mc_str text, size_t max_bytes)
{
    size_t begin = text.len - max_bytes;
    while (begin < text.len && ((uint8_t)text.data[begin] & 0xC0) == 0x80)
        begin++;
    for (size_t at = begin; at < text.len && at - begin < LONG_WORD; at++) {
        if (is_blank(text.data[at]))
            return at + 1;
    }
    return begin;
}

enum mc_status mc_query_ends(mc_str text, size_t max_bytes, struct mc_arena *arena, mc_str *ends,
                             struct mc_error *err)
{
    *ends = text;
    if (text.len <= max_bytes)
        return MC_OK;
    size_t head = words_end(text, max_bytes / 2);
    size_t tail = words_begin(text, max_bytes - max_bytes / 2 - 1);
    char *made = mc_arena_alloc(arena, max_bytes);
    if (!made)
        return mc_fail_memory(err);
    memcpy(made, text.data, head);
    made[head] = '\n';
    memcpy(made + head + 1, text.data + tail, text.len - tail);
    *ends = (mc_str){made, head + 1 + text.len - tail};
    return MC_OK;
}

/* Those that say more, then those said more often, then the earlier ones. */
static bool ranks_before(const struct mc_term *a, const struct mc_term *b)
{
    double difference = word_weight(a->text) - word_weight(b->text);
    if (difference > 0 || difference < 0)
        return difference > 0;
    return a->count > b->count;
}

/* Puts a term behind the first *kept ones, unless it is one of them. */
static void keep_term(struct mc_terms *terms, const struct mc_term *term, size_t *kept)
{
    size_t at = 0;
    while (at + 1 < terms->count && !mc_str_equal(terms->items[at].text, term->text))
        at++;
    if (at < *kept)
        return;
    memmove(&terms->items[*kept + 1], &terms->items[*kept], (at - *kept) * sizeof(*term));
    terms->items[(*kept)++] = *term;
}

/*
 * Of more words than are looked up those of the beginning and of the end, where the question is when
 * something was pasted before or behind it; then the best of the others.
 */
static void choose_words(struct mc_terms *terms, const struct mc_terms *closing)
{
    size_t kept = END_WORDS;
    for (size_t i = 0; i < closing->count && i < END_WORDS; i++)
        keep_term(terms, &closing->items[closing->count - 1 - i], &kept);
    for (size_t i = kept; i < terms->count; i++) {
        struct mc_term term = terms->items[i];
        size_t at = i < MC_QUERY_WORDS_MAX ? i : MC_QUERY_WORDS_MAX;
        while (at > kept && ranks_before(&term, &terms->items[at - 1])) {
            if (at < MC_QUERY_WORDS_MAX)
                terms->items[at] = terms->items[at - 1];
            at--;
        }
        if (at < MC_QUERY_WORDS_MAX)
            terms->items[at] = term;
    }
    terms->count = MC_QUERY_WORDS_MAX;
}

static enum mc_status read_words(mc_str text, struct mc_arena *arena, struct mc_terms *terms,
                                 struct mc_error *err)
{
    struct mc_terms closing;
    if (!mc_terms_of(text, arena, terms))
        return mc_fail_memory(err);
    if (terms->count <= MC_QUERY_WORDS_MAX)
        return MC_OK;
    size_t begin = text.len > END_BYTES ? words_begin(text, END_BYTES) : 0;
    if (!mc_terms_of((mc_str){text.data + begin, text.len - begin}, arena, &closing))
        return mc_fail_memory(err);
    choose_words(terms, &closing);
    return MC_OK;
}

/* ---- What it asks for ---- */

mc_str mc_query_label(char kind, mc_str name, struct mc_arena *arena)
{
    mc_auto(mc_buf_fini) struct mc_buf label;
    mc_buf_init(&label, LABEL_MAX);
    mc_label_append(&label, kind, name);
    return label.failed ? MC_STR_NONE : mc_arena_copy(arena, mc_buf_str(&label));
}

static enum mc_status add_topic(struct mc_query *query, mc_str topic, struct mc_arena *arena,
                                struct mc_error *err)
{
    size_t topics = query->term_count - query->word_count;
    if (topics == MC_QUERY_TOPICS_MAX || listed(vague_topics, mc_countof(vague_topics), topic))
        return MC_OK;
    mc_str label = mc_query_label(MC_LABEL_TOPIC, topic, arena);
    if (!label.data)
        return mc_fail_memory(err);
    for (size_t i = query->word_count; i < query->term_count; i++) {
        if (mc_str_equal(query->terms[i], label))
            return MC_OK;
    }
    query->terms[query->term_count] = label;
    query->weights[query->term_count++] = TOPIC_WEIGHT;
    return MC_OK;
}

static enum mc_status add_topics(struct mc_query *query, const struct mc_tokens *tokens,
                                 const struct mc_vocabulary *vocabulary, struct mc_arena *arena,
                                 struct mc_error *err)
{
    for (size_t i = 0; i < tokens->count;) {
        struct mc_topic_match match = mc_vocabulary_match(vocabulary, tokens, i);
        for (size_t t = 0; t < match.count; t++) {
            mc_str topic = mc_vocabulary_topic_at(vocabulary, match.topics[t]);
            enum mc_status status = add_topic(query, topic, arena, err);
            if (status)
                return status;
        }
        i += match.words;
    }
    return MC_OK;
}

/* "what date", "which year", "how long", "how many": the second word says what is asked for. */
static void read_ask(struct mc_query *query, const struct mc_token *ask,
                     const struct mc_token *next)
{
    static const char *const times[] = {"date", "day", "month", "year", "time", "week"};
    static const char *const numbers[] = {"many", "much", "old", "often", "far", "tall"};
    if (mc_token_is(ask, "when"))
        query->asks_time = true;
    if (!next)
        return;
    if (mc_token_is(ask, "what") || mc_token_is(ask, "which"))
        query->asks_time |= listed(times, mc_countof(times), next->folded);
    if (mc_token_is(ask, "how")) {
        query->asks_time |= mc_token_is(next, "long");
        query->asks_number |= listed(numbers, mc_countof(numbers), next->folded);
    }
}

static void read_form(struct mc_query *query, const struct mc_tokens *tokens)
{
    bool you = false;
    for (size_t i = 0; i < tokens->count; i++) {
        const struct mc_token *token = &tokens->items[i];
        uint32_t flags = mc_lexicon_entry(token->word)->flags;
        if (flags & MC_WORD_ASK)
            read_ask(query, token, i + 1 < tokens->count ? token + 1 : NULL);
        query->of_user |= (flags & MC_WORD_SELF) != 0;
        you |= mc_token_is(token, "you") || mc_token_is(token, "your");
    }
    query->of_assistant = you && !query->of_user;
}

size_t mc_query_word(const struct mc_query *query, mc_str term)
{
    size_t at = 0;
    while (at < query->word_count && !mc_str_equal(query->terms[at], term))
        at++;
    return at;
}

/* The words of a date are met by the time of a message rather than by its text. */
static enum mc_status weaken_date(struct mc_query *query, struct mc_arena *arena,
                                  struct mc_error *err)
{
    if (query->when.first == query->when.last)
        return MC_OK;
    const struct mc_token *first = &query->tokens.items[query->when.first];
    const struct mc_token *last = &query->tokens.items[query->when.last - 1];
    mc_str date = {query->tokens.text.data + first->offset,
                   last->offset + last->len - first->offset};
    struct mc_terms terms;
    if (!mc_terms_of(date, arena, &terms))
        return mc_fail_memory(err);
    for (size_t i = 0; i < terms.count; i++) {
        size_t word = mc_query_word(query, terms.items[i].text);
        if (word < query->word_count)
            query->weights[word] *= DATE_WEIGHT;
    }
    return MC_OK;
}

enum mc_status mc_query_read(mc_str text, const struct mc_vocabulary *vocabulary, int64_t now_us,
                             struct mc_arena *arena, struct mc_query *query, struct mc_error *err)
{
    struct mc_terms terms;
    struct mc_tokens tokens;
    enum mc_status status = mc_query_ends(text, MC_QUERY_BYTES, arena, &text, err);
    if (!status)
        status = read_words(text, arena, &terms, err);
    if (status)
        return status;
    if (!mc_tokens_of(text, TOKENS_MAX, arena, &tokens))
        return mc_fail_memory(err);
    struct mc_query made = {.word_count = terms.count, .term_count = terms.count};
    made.terms = mc_arena_array(arena, MC_MATCH_TERMS_MAX, sizeof(mc_str));
    made.weights = mc_arena_array(arena, MC_MATCH_TERMS_MAX, sizeof(double));
    made.gains = mc_arena_array(arena, MC_MATCH_TERMS_MAX, sizeof(double));
    if (!made.terms || !made.weights || !made.gains)
        return mc_fail_memory(err);
    for (size_t i = 0; i < terms.count; i++) {
        made.terms[i] = terms.items[i].text;
        made.weights[i] = word_weight(terms.items[i].text);
    }
    status = add_topics(&made, &tokens, vocabulary, arena, err);
    if (status)
        return status;
    read_form(&made, &tokens);
    mc_when_of(&tokens, now_us, &made.when);
    made.tokens = tokens;
    status = weaken_date(&made, arena, err);
    if (!status)
        *query = made;
    return status;
}

bool mc_query_is_time(const struct mc_query *query)
{
    if (!query->when.given)
        return false;
    for (size_t i = 0; i < query->word_count; i++) {
        if (query->weights[i] > WEAK_WEIGHT)
            return false;
    }
    return true;
}

void mc_query_weigh(struct mc_query *query, const uint32_t *df, int64_t messages)
{
    double words = 0, topics = 0;
    for (size_t i = 0; i < query->term_count; i++) {
        double n = (double)(messages > (int64_t)df[i] ? messages : (int64_t)df[i]) + PRIOR_MESSAGES;
        double idf = log(1 + (n - df[i] + 0.5) / (df[i] + 0.5));
        query->gains[i] = query->weights[i] * idf;
        *(i < query->word_count ? &words : &topics) += query->gains[i];
    }
    query->mass = words > 0 ? words : topics;
}
