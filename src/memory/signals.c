#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/utf8.h"
#include "memory/preferences.h"

/*
 * DESIGN. One pass over a table of openings ("call me", "i prefer", "keep it short"): the opening must
 * begin a word; what it takes, if anything, are the words behind it up to the end of the clause. What the user says outright
 * counts as EXPLICIT_COUNT observations of full weight, so that with the default thresholds one clear
 * statement is enough; a topic that the message is about counts once, with less weight.
 */

#define EXPLICIT_COUNT 3
#define HINT_WEIGHT 0.7
#define SIGNALS_OF_MESSAGE 16
#define OPENING_TEXT_MAX 4000 /* bytes of a message that are looked at */
#define PHRASE_WORDS 6
#define PHRASE_BYTES 80

enum take {
    TAKE_NOTHING, /* the opening itself says the value */
    TAKE_NAME,    /* capitalised words */
    TAKE_PHRASE,  /* words to the end of the clause */
    TAKE_HINT     /* the same, but it may be of the moment only: counts as little as a topic */
};

static const struct opening {
    const char *text; /* lower case */
    const char *field;
    const char *value; /* for TAKE_NOTHING */
    enum take take;
} OPENINGS[] = {
    {"call me ", "preferred_name", NULL, TAKE_NAME},
    {"my name is ", "preferred_name", NULL, TAKE_NAME},
    {"my name's ", "preferred_name", NULL, TAKE_NAME},
    {"keep it short", "communication_style", "concise", TAKE_NOTHING},
    {"keep it brief", "communication_style", "concise", TAKE_NOTHING},
    {"be brief", "communication_style", "concise", TAKE_NOTHING},
    {"be concise", "communication_style", "concise", TAKE_NOTHING},
    {"short answers", "communication_style", "concise", TAKE_NOTHING},
    {"your answers are too long", "communication_style", "concise", TAKE_NOTHING},
    {"your replies are too long", "communication_style", "concise", TAKE_NOTHING},
    {"explain in detail", "communication_style", "detailed", TAKE_NOTHING},
    {"in more detail", "communication_style", "detailed", TAKE_NOTHING},
    {"more details please", "communication_style", "detailed", TAKE_NOTHING},
    {"detailed answers", "communication_style", "detailed", TAKE_NOTHING},
    {"explain step by step", "communication_style", "detailed", TAKE_NOTHING},
    {"step by step please", "communication_style", "detailed", TAKE_NOTHING},
    {"i love ", "interests", NULL, TAKE_PHRASE},
    {"i really like ", "interests", NULL, TAKE_PHRASE},
    {"i enjoy ", "interests", NULL, TAKE_PHRASE},
    {"i'm interested in ", "interests", NULL, TAKE_PHRASE},
    {"i am interested in ", "interests", NULL, TAKE_PHRASE},
    {"my hobby is ", "interests", NULL, TAKE_PHRASE},
    {"my goal is to ", "goals", NULL, TAKE_PHRASE},
    {"my goal is ", "goals", NULL, TAKE_PHRASE},
    {"i'm trying to ", "goals", NULL, TAKE_HINT},
    {"i am trying to ", "goals", NULL, TAKE_HINT},
    {"i plan to ", "goals", NULL, TAKE_PHRASE},
    {"in english please", "language", "English", TAKE_NOTHING},
    {"in german please", "language", "German", TAKE_NOTHING},
    {"in french please", "language", "French", TAKE_NOTHING},
    {"in spanish please", "language", "Spanish", TAKE_NOTHING},
    {"in italian please", "language", "Italian", TAKE_NOTHING},
    {"in portuguese please", "language", "Portuguese", TAKE_NOTHING},
    {"auf deutsch bitte", "language", "German", TAKE_NOTHING},
    {"en français s'il vous plaît", "language", "French", TAKE_NOTHING},
    {"en español por favor", "language", "Spanish", TAKE_NOTHING},
    {"my time zone is ", "timezone", NULL, TAKE_NAME},
    {"my timezone is ", "timezone", NULL, TAKE_NAME},
    {"i'm in the utc timezone", "timezone", "UTC", TAKE_NOTHING},
};

/* Scripts that stand for one language each; others (Latin, Cyrillic, Arabic) do not. */
static const struct script {
    int32_t first, last;
    const char *language;
} SCRIPTS[] = {
    {0x3040, 0x30FF, "Japanese"}, {0xAC00, 0xD7AF, "Korean"}, {0x0E00, 0x0E7F, "Thai"},
    {0x0370, 0x03FF, "Greek"},    {0x0590, 0x05FF, "Hebrew"}, {0x4E00, 0x9FFF, "Chinese"},
};
/* This share of the letters must be of the script. */
#define SCRIPT_SHARE 0.5

struct found {
    struct mc_arena *arena;
    struct mc_signal *items;
    size_t count;
    int64_t at_us;
};

/* Adds one observation; the same field and value count once a message. False when out of memory. */
static bool add(struct found *found, const char *field, mc_str value, int64_t count, double weight)
{
    for (size_t i = 0; i < found->count; i++) {
        if (mc_str_equal(found->items[i].field, mc_str_of(field)) &&
            mc_str_equal_nocase(found->items[i].value, value))
            return true;
    }
    if (found->count == SIGNALS_OF_MESSAGE)
        return true;
    mc_str copy = mc_arena_copy(found->arena, value);
    if (!copy.data)
        return false;
    found->items[found->count++] = (struct mc_signal){
        .field = mc_str_of(field),
        .value = copy,
        .count = count,
        .last_seen_us = found->at_us,
        .weight = weight * (double)count,
    };
    return true;
}

static bool ascii_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* A byte that ends a clause. */
static bool ends_clause(char c)
{
    static const char ENDS[] = ".,;:!?\n\r\t()\"";
    return memchr(ENDS, c, sizeof(ENDS) - 1) != NULL;
}

/* Up to PHRASE_WORDS words of the clause that begins here, without what joins it to the next. */
static mc_str take_phrase(mc_str rest)
{
    size_t end = 0, words = 0;
    while (end < rest.len && end < PHRASE_BYTES && !ends_clause(rest.data[end])) {
        if (rest.data[end] == ' ') {
            mc_str after = {rest.data + end, rest.len - end};
            if (++words == PHRASE_WORDS || mc_str_starts(after, MC_STR(" and ")) ||
                mc_str_starts(after, MC_STR(" but ")) || mc_str_starts(after, MC_STR(" because ")))
                break;
        }
        end++;
    }
    return mc_str_trim(mc_utf8_cut((mc_str){rest.data, rest.len}, end));
}

static bool capital(mc_str text)
{
    size_t offset = 0;
    int32_t code = mc_utf8_next(text, &offset);
    return code >= 0 && mc_utf8_is_letter(code) && mc_utf8_lower(code) != code;
}

/* Capitalised words in a row, at most three: "Anna Maria", "Europe/Berlin". */
static mc_str take_name(mc_str rest)
{
    size_t end = 0;
    for (int words = 0; words < 3; words++) {
        mc_str next = {rest.data + end, rest.len - end};
        size_t skip = words > 0 && next.len > 0 && next.data[0] == ' ' ? 1 : 0;
        if (words > 0 && !skip)
            break;
        mc_str word = {next.data + skip, next.len - skip};
        if (!capital(word))
            break;
        size_t len = 0;
        while (len < word.len && word.data[len] != ' ' && !ends_clause(word.data[len]))
            len++;
        end += skip + len;
    }
    return mc_utf8_cut((mc_str){rest.data, end}, end < PHRASE_BYTES ? end : PHRASE_BYTES);
}

static bool take_opening(struct found *found, const struct opening *opening, mc_str rest)
{
    mc_str value = opening->value               ? mc_str_of(opening->value)
                   : opening->take == TAKE_NAME ? take_name(rest)
                                                : take_phrase(rest);
    if (value.len < 2)
        return true;
    if (opening->take == TAKE_HINT)
        return add(found, opening->field, value, 1, HINT_WEIGHT);
    return add(found, opening->field, value, EXPLICIT_COUNT, 1.0);
}

/* ASCII capitals made small, other bytes as they are: offsets stay those of the text. */
static char *lower_copy(struct mc_arena *arena, mc_str text)
{
    char *lower = mc_arena_alloc(arena, text.len + 1);
    for (size_t i = 0; lower && i < text.len; i++) {
        char c = text.data[i];
        lower[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    return lower;
}

static bool find_openings(struct found *found, mc_str text)
{
    text = mc_utf8_cut(text, OPENING_TEXT_MAX);
    const char *lower = lower_copy(found->arena, text);
    if (!lower)
        return false;
    const char *taken = NULL; /* of two openings at one place the longer one, which comes first */
    for (size_t i = 0; i < mc_countof(OPENINGS); i++) {
        mc_str opening = mc_str_of(OPENINGS[i].text);
        const char *at = memmem(lower, text.len, opening.data, opening.len);
        if (!at || at == taken || (at > lower && ascii_letter(at[-1])))
            continue;
        taken = at;
        size_t end = (size_t)(at - lower) + opening.len;
        if (!take_opening(found, &OPENINGS[i], (mc_str){text.data + end, text.len - end}))
            return false;
    }
    return true;
}

static bool find_script(struct found *found, mc_str text)
{
    size_t counts[mc_countof(SCRIPTS)] = {0}, letters = 0, offset = 0;
    text = mc_utf8_cut(text, OPENING_TEXT_MAX);
    while (offset < text.len) {
        if ((unsigned char)text.data[offset] < 0x80) {
            letters += ascii_letter(text.data[offset++]);
            continue;
        }
        int32_t code = mc_utf8_next(text, &offset);
        letters += code >= 0 && mc_utf8_is_letter(code);
        for (size_t i = 0; i < mc_countof(SCRIPTS); i++)
            counts[i] += code >= SCRIPTS[i].first && code <= SCRIPTS[i].last;
    }
    /* Japanese uses Chinese characters too: kana decide, so the table has it first. */
    if (counts[0] > 0 && (double)(counts[0] + counts[5]) > SCRIPT_SHARE * (double)letters)
        return add(found, "language", mc_str_of(SCRIPTS[0].language), 1, 1.0);
    for (size_t i = 1; i < mc_countof(SCRIPTS); i++) {
        if (letters > 0 && (double)counts[i] > SCRIPT_SHARE * (double)letters)
            return add(found, "language", mc_str_of(SCRIPTS[i].language), 1, 1.0);
    }
    return true;
}

/*
 * A topic that somebody may be interested in: one of the application's own, or of the product. That a
 * user keeps asking for a refund is no interest.
 */
static bool is_interest(mc_str topic)
{
    static const char *const FORMS[] = {
        "greeting", "farewell", "thanks",   "help",         "feedback", "general",      "other",
        "unknown",  "issue",    "problem",  "error",        "bug",      "complaint",    "billing",
        "payment",  "refund",   "charge",   "cancellation", "orders",   "order",        "purchase",
        "delivery", "shipping", "tracking", "invoice",      "receipt",  "subscription", "pricing",
        "account",  "login",    "password", "settings",     "profile",  "security",     "service",
    };
    for (size_t i = 0; i < mc_countof(FORMS); i++) {
        if (mc_str_equal(topic, mc_str_of(FORMS[i])))
            return false;
    }
    return true;
}

enum mc_status mc_signals_of(const struct mc_message *message, const struct mc_metadata *metadata,
                             struct mc_arena *arena, struct mc_signal **signals, size_t *count,
                             struct mc_error *err)
{
    struct found found = {
        .arena = arena,
        .items = mc_arena_array(arena, SIGNALS_OF_MESSAGE, sizeof(struct mc_signal)),
        .at_us = message->created_at_us,
    };
    if (!found.items)
        return mc_fail_memory(err);
    bool ok = true;
    if (message->role == MC_ROLE_USER) {
        ok = find_openings(&found, message->text) && find_script(&found, message->text);
        for (size_t i = 0; ok && i < metadata->topic_count; i++) {
            if (is_interest(metadata->topics[i]))
                ok = add(&found, "interests", metadata->topics[i], 1, HINT_WEIGHT);
        }
    }
    if (!ok)
        return mc_fail_memory(err);
    *signals = found.items;
    *count = found.count;
    return MC_OK;
}
