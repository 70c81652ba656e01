#include <stdio.h>
#include <sys/stat.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/utf8.h"
#include "memory/preferences.h"
#include "vocabulary/vocabulary.h"

/*
 * DESIGN. One pass over a table of openings ("call me", "i love", "keep it short"): the opening must
 * begin a word and must not be negated or asked about; what it takes, if anything, are the words behind it
 * up to the end of the clause, unless they are of a kind that says nothing ("call me Friday", "i love it").
 * To learn something wrong is worse than to learn nothing: in doubt nothing is taken. What the user says
 * outright counts as EXPLICIT_COUNT observations of full weight, so that with the default thresholds one
 * clear statement is enough; a topic that the message is about counts once, with less weight.
 */

#define EXPLICIT_COUNT 3
#define HINT_WEIGHT 0.7
#define SIGNALS_OF_MESSAGE 16
#define OPENING_TEXT_MAX 4000 /* bytes of a message that are looked at */
#define PHRASE_WORDS 6
#define PHRASE_BYTES 80
#define WORDS_BEFORE 3 /* that are looked at for a negation */
#define ZONE_BYTES 64
#define ZONE_FOLDER "/usr/share/zoneinfo"

enum take {
    TAKE_NOTHING, /* the opening itself says the value */
    TAKE_NAME,    /* capitalised words */
    TAKE_CALLED,  /* the same, where a time may stand instead */
    TAKE_ZONE,    /* a time zone */
    TAKE_TONGUE,  /* a language */
    TAKE_PHRASE,  /* words to the end of the clause */
    TAKE_HINT     /* the same, but it may be of the moment only: counts as little as a topic */
};

static const struct opening {
    const char *text; /* lower case */
    const char *field;
    const char *value; /* for TAKE_NOTHING */
    enum take take;
} OPENINGS[] = {
    {"call me ", "preferred_name", NULL, TAKE_CALLED},
    {"my name is ", "preferred_name", NULL, TAKE_NAME},
    {"my name's ", "preferred_name", NULL, TAKE_NAME},
    {"keep it short", "communication_style", "concise", TAKE_NOTHING},
    {"keep it brief", "communication_style", "concise", TAKE_NOTHING},
    {"be brief", "communication_style", "concise", TAKE_NOTHING},
    {"be concise", "communication_style", "concise", TAKE_NOTHING},
    {"keep your answers short", "communication_style", "concise", TAKE_NOTHING},
    {"keep your answers brief", "communication_style", "concise", TAKE_NOTHING},
    {"short answers", "communication_style", "concise", TAKE_NOTHING},
    {"your answers are too long", "communication_style", "concise", TAKE_NOTHING},
    {"your replies are too long", "communication_style", "concise", TAKE_NOTHING},
    {"answer in detail", "communication_style", "detailed", TAKE_NOTHING},
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
    {"please answer in ", "language", NULL, TAKE_TONGUE},
    {"please reply in ", "language", NULL, TAKE_TONGUE},
    {"please respond in ", "language", NULL, TAKE_TONGUE},
    {"please write in ", "language", NULL, TAKE_TONGUE},
    {"please speak ", "language", NULL, TAKE_TONGUE},
    {"always answer in ", "language", NULL, TAKE_TONGUE},
    {"answer me in ", "language", NULL, TAKE_TONGUE},
    {"auf deutsch bitte", "language", "German", TAKE_NOTHING},
    {"bitte auf deutsch", "language", "German", TAKE_NOTHING},
    {"antworte auf deutsch", "language", "German", TAKE_NOTHING},
    {"antworte mir auf deutsch", "language", "German", TAKE_NOTHING},
    {"antworten sie auf deutsch", "language", "German", TAKE_NOTHING},
    {"auf deutsch antworten", "language", "German", TAKE_NOTHING},
    {"schreib auf deutsch", "language", "German", TAKE_NOTHING},
    {"sprich deutsch mit mir", "language", "German", TAKE_NOTHING},
    {"sprich bitte deutsch", "language", "German", TAKE_NOTHING},
    {"sprechen sie bitte deutsch", "language", "German", TAKE_NOTHING},
    {"en français s'il vous plaît", "language", "French", TAKE_NOTHING},
    {"en español por favor", "language", "Spanish", TAKE_NOTHING},
    {"my time zone is ", "timezone", NULL, TAKE_ZONE},
    {"my timezone is ", "timezone", NULL, TAKE_ZONE},
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

/* The word that the text begins with, up to a space, an apostrophe or the end of the clause. */
static mc_str first_word(mc_str text)
{
    const mc_str apostrophe = MC_STR("\xE2\x80\x99");
    size_t len = 0;
    while (len < text.len && text.data[len] != ' ' && text.data[len] != '\'' &&
           !ends_clause(text.data[len]) &&
           !mc_str_starts((mc_str){text.data + len, text.len - len}, apostrophe))
        len++;
    return (mc_str){text.data, len};
}

/* Whether a list of words between spaces, " a b c ", has this one; ASCII case ignored. */
static bool is_among(mc_str word, const char *list)
{
    for (const char *at = list + 1; *at;) {
        const char *end = strchr(at, ' ');
        if (mc_str_equal_nocase(word, (mc_str){at, (size_t)(end - at)}))
            return true;
        at = end + 1;
    }
    return false;
}

/* What the clause is about is somewhere else: "I love it when you are late". */
static const char SAYS_NOTHING[] =
    " it this that these those there you your yours he she him her his they them their we us our "
    "when how what who where why which if whether as being to everything anything nothing "
    "something all both either such so me mine myself is are was were not ";

/* Up to PHRASE_WORDS words of the clause that begins here, without what joins it to the next. */
static mc_str take_phrase(mc_str rest)
{
    if (is_among(first_word(rest), SAYS_NOTHING))
        return MC_STR_NONE;
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

/* Words that are nobody's name, though a capital begins them. */
static const char NO_NAME[] =
    " i it its this that these those you your yours he she him her his they them their we us our "
    "me my mine a an the and or but if when what who where why how which whether not no yes ok "
    "okay "
    "please thanks thank sorry is are was were do does did can could will would should ";
/* What may follow "call me" instead of a name. */
static const char NO_CALL_NAME[] =
    " monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri "
    "sat sun mondays tuesdays wednesdays thursdays fridays saturdays sundays january february "
    "march "
    "april may june july august september october november december jan feb mar apr jun jul aug "
    "sep "
    "sept oct nov dec back again later soon now today tonight tomorrow tmrw tomorow asap anytime "
    "sometime whenever maybe immediately urgently quickly directly first next this morning "
    "afternoon "
    "evening noon midnight night weekend week month year hour hours minutes am pm at on in by "
    "before "
    "after around about between until till from for with via over as once every any anyway instead "
    "up out here there home work mobile phone cell whatsapp skype zoom teams ";

static bool is_name(mc_str word, bool called)
{
    return capital(word) && !is_among(word, NO_NAME) && !(called && is_among(word, NO_CALL_NAME));
}

/* Capitalised words in a row, at most three: "Anna Maria", "O'Neil", "Dr. Berg"; a title alone is none. */
static mc_str take_name(mc_str rest, bool called)
{
    static const char TITLES[] = " dr mr mrs ms prof ";
    size_t end = 0;
    bool named = false;
    for (int words = 0; words < 3; words++) {
        mc_str next = {rest.data + end, rest.len - end};
        size_t skip = words > 0 && next.len > 0 && next.data[0] == ' ' ? 1 : 0;
        if (words > 0 && !skip)
            break;
        mc_str word = {next.data + skip, next.len - skip};
        if (!is_name(first_word(word), called))
            break;
        size_t len = 0;
        while (len < word.len && word.data[len] != ' ' && !ends_clause(word.data[len]))
            len++;
        bool title = is_among((mc_str){word.data, len}, TITLES);
        if (title && len < word.len && word.data[len] == '.')
            len++;
        named = named || !title;
        end += skip + len;
    }
    if (!named)
        return MC_STR_NONE;
    return mc_utf8_cut((mc_str){rest.data, end}, end < PHRASE_BYTES ? end : PHRASE_BYTES);
}

/* ---- Time zones ---- */

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* UTC or GMT, and what may follow: a sign, up to 14 hours, minutes: "UTC", "UTC+2", "GMT-03:30". */
static bool is_utc(mc_str zone)
{
    if (!mc_str_starts(zone, MC_STR("UTC")) && !mc_str_starts(zone, MC_STR("GMT")))
        return false;
    size_t at = 3;
    if (at == zone.len)
        return true;
    if (zone.data[at] != '+' && zone.data[at] != '-')
        return false;
    size_t first = ++at;
    int hours = 0;
    for (; at < zone.len && at < first + 2 && digit(zone.data[at]); at++)
        hours = hours * 10 + (zone.data[at] - '0');
    if (at == first || hours > 14)
        return false;
    return at == zone.len ||
           (zone.len == at + 3 && zone.data[at] == ':' && zone.data[at + 1] >= '0' &&
            zone.data[at + 1] <= '5' && digit(zone.data[at + 2]));
}

/* A name of the time zone database: as the system's copy says, or by its form where there is none. */
static bool is_zone(mc_str zone)
{
    static const char *const AREAS[] = {
        "Africa/",    "America/", "Antarctica/", "Arctic/", "Asia/",    "Atlantic/",
        "Australia/", "Etc/",     "Europe/",     "Indian/", "Pacific/",
    };
    struct stat info;
    if (zone.len >= ZONE_BYTES || !capital(zone))
        return false;
    if (stat(ZONE_FOLDER, &info) == 0) {
        char path[sizeof(ZONE_FOLDER) + 1 + ZONE_BYTES];
        snprintf(path, sizeof(path), "%s/%.*s", ZONE_FOLDER, MC_STR_ARG(zone));
        return stat(path, &info) == 0 && S_ISREG(info.st_mode);
    }
    for (size_t i = 0; i < mc_countof(AREAS); i++) {
        mc_str area = mc_str_of(AREAS[i]);
        if (mc_str_starts(zone, area) && zone.len > area.len)
            return true;
    }
    return false;
}

static mc_str take_zone(mc_str rest)
{
    size_t len = 0;
    while (len < rest.len && (ascii_letter(rest.data[len]) || digit(rest.data[len]) ||
                              (rest.data[len] != '\0' && strchr("_+-/:", rest.data[len]))))
        len++;
    while (len > 0 && strchr("_+-/:", rest.data[len - 1]))
        len--;
    mc_str zone = {rest.data, len};
    return is_utc(zone) || is_zone(zone) ? zone : MC_STR_NONE;
}

static mc_str take_tongue(mc_str rest)
{
    static const char TONGUES[] =
        " english german french spanish italian portuguese dutch polish turkish russian ukrainian "
        "czech danish swedish norwegian finnish greek hungarian romanian arabic hebrew hindi "
        "japanese korean chinese thai vietnamese indonesian ";
    mc_str word = first_word(rest);
    return capital(word) && is_among(word, TONGUES) ? word : MC_STR_NONE;
}

/* ---- Openings ---- */

/* The value that an opening gives with what stands behind it; empty when it gives none. */
static mc_str value_of(const struct opening *opening, mc_str rest)
{
    switch (opening->take) {
    case TAKE_NOTHING:
        return mc_str_of(opening->value);
    case TAKE_NAME:
    case TAKE_CALLED:
        return take_name(rest, opening->take == TAKE_CALLED);
    case TAKE_ZONE:
        return take_zone(rest);
    case TAKE_TONGUE:
        return take_tongue(rest);
    case TAKE_PHRASE:
    case TAKE_HINT:
        break;
    }
    return take_phrase(rest);
}

/* The start of the word that ends before `end`, of a text in small letters. */
static size_t word_before(const char *lower, size_t end)
{
    size_t start = end;
    while (start > 0 && lower[start - 1] != ' ' && !ends_clause(lower[start - 1]))
        start--;
    return start;
}

/* One of the few words before it in the clause turns it round, or makes it a question or a condition. */
static bool is_doubtful(const char *lower, size_t at)
{
    static const char DOUBT[] = " not no never nor neither without don't dont don\xE2\x80\x99t "
                                "doesn't didn't didnt can't cant "
                                "cannot won't wont wouldn't shouldn't isn't aren't ain't "
                                "doesn\xE2\x80\x99t didn\xE2\x80\x99t "
                                "can\xE2\x80\x99t won\xE2\x80\x99t wouldn\xE2\x80\x99t "
                                "shouldn\xE2\x80\x99t isn\xE2\x80\x99t stop "
                                "stopped hate why did if unless should when whenever until till "
                                "used nobody noone hardly rarely "
                                "longer said says pretend nicht nie kein wie warum sagt sagte "
                                "hei\xC3\x9Ft ";
    for (int words = 0; words < WORDS_BEFORE; words++) {
        while (at > 0 && lower[at - 1] == ' ')
            at--;
        size_t start = word_before(lower, at);
        if (start == at)
            return false;
        if (is_among((mc_str){lower + start, at - start}, DOUBT))
            return true;
        at = start;
    }
    return false;
}

/*
 * The first place of the opening in the text that gives a value. *taken: where the opening before it in the
 * table was found; of two openings at one place the longer one, which comes first, counts.
 */
static mc_str find_opening(const struct opening *opening, mc_str text, const char *lower,
                           const char **taken)
{
    mc_str words = mc_str_of(opening->text);
    const char *end = lower + text.len, *at = lower;
    while ((at = memmem(at, (size_t)(end - at), words.data, words.len))) {
        size_t offset = (size_t)(at - lower);
        if (at != *taken && (offset == 0 || !ascii_letter(at[-1])) && !is_doubtful(lower, offset)) {
            size_t behind = offset + words.len;
            mc_str value = value_of(opening, (mc_str){text.data + behind, text.len - behind});
            if (value.len >= 2) {
                *taken = at;
                return value;
            }
        }
        at++;
    }
    return MC_STR_NONE;
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
    const char *taken = NULL;
    for (size_t i = 0; i < mc_countof(OPENINGS); i++) {
        const struct opening *opening = &OPENINGS[i];
        mc_str value = find_opening(opening, text, lower, &taken);
        bool hint = opening->take == TAKE_HINT;
        if (value.len > 0 &&
            !add(found, opening->field, value, hint ? 1 : EXPLICIT_COUNT, hint ? HINT_WEIGHT : 1.0))
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
            /* That a user keeps asking for a refund is no interest; the application's own may be. */
            if (!mc_vocabulary_is_builtin(metadata->topics[i]))
                ok = add(&found, "interests", metadata->topics[i], 1, HINT_WEIGHT);
        }
    }
    if (!ok)
        return mc_fail_memory(err);
    *signals = found.items;
    *count = found.count;
    return MC_OK;
}
