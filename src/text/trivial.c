/*
 * DESIGN. The phrases are a trie over folded words. A message is trivial when its words can be cut
 * into phrases without a rest; the search goes left to right, longest phrase first, and remembers
 * dead ends, so its time is bounded by words times the longest phrase. Most messages with content
 * are given up at the first word that no phrase has.
 */
#include "text/trivial.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"
#include "text/token.h"
#include "text/trie.h"

#define WORDS_MAX 40       /* of a trivial message, and of a phrase */
#define PATTERN_BYTES 1000 /* text that a user's pattern is tried on */
#define MATCH_LIMIT 20000
#define PART_MASK (MC_TRIVIAL_ALONE - 1)
#define EMOTICON MC_TRIVIAL_FILLER

struct pattern {
    pcre2_code *code;
    enum mc_trivial category;
};

struct mc_trivial_detector {
    struct mc_arena arena; /* words of the phrases */
    struct mc_trie phrases;
    struct mc_trie words; /* every word of a phrase by itself */
    struct pattern *patterns;
    size_t pattern_count;
    pcre2_match_context *limits;
};

const char *mc_trivial_name(enum mc_trivial category)
{
    switch (category) {
#define NAME(name, text)                                                                           \
    case MC_TRIVIAL_##name:                                                                        \
        return text;
        MC_TRIVIAL_MAP(NAME)
#undef NAME
    case MC_TRIVIAL_NONE:
    case MC_TRIVIAL_COUNT:
        break;
    }
    return "";
}

bool mc_trivial_parse(mc_str name, enum mc_trivial *category)
{
    for (int i = MC_TRIVIAL_NONE + 1; i < MC_TRIVIAL_COUNT; i++) {
        if (mc_str_equal(name, mc_str_of(mc_trivial_name((enum mc_trivial)i)))) {
            *category = (enum mc_trivial)i;
            return true;
        }
    }
    return false;
}

static bool has_phrase(const struct mc_trivial_detector *detector, mc_str words)
{
    uint32_t node = 0;
    mc_str word;
    while (mc_str_split(&words, ' ', &word)) {
        node = mc_trie_step(&detector->phrases, node, word, mc_word_hash(word));
        if (node == 0)
            return false;
    }
    return mc_trie_value(&detector->phrases, node) != 0;
}

static bool add_phrase(struct mc_trivial_detector *detector, mc_str phrase, int part)
{
    struct mc_tokenizer tokenizer;
    struct mc_token token;
    char words[512];
    size_t len = 0;
    mc_tokenizer_init(&tokenizer, phrase);
    while (mc_token_next(&tokenizer, &token)) {
        mc_str word = mc_arena_copy(&detector->arena, token.folded);
        if (!word.data || !mc_trie_add(&detector->words, word, 1))
            return false;
        if (len + word.len + 1 > sizeof(words))
            return false;
        if (len > 0)
            words[len++] = ' ';
        memcpy(words + len, word.data, word.len);
        len += word.len;
    }
    if (tokenizer.failed)
        return false;
    mc_str joined = mc_arena_copy(&detector->arena, (mc_str){words, len});
    if (!joined.data)
        return false;
    /* What can stand alone can follow, too. */
    bool tail = (part & PART_MASK) >= MC_TRIVIAL_COUNT;
    return (tail && has_phrase(detector, joined)) || mc_trie_add(&detector->phrases, joined, part);
}

static bool add_phrases(struct mc_trivial_detector *detector)
{
    for (size_t i = 0; i < mc_trivial_phrases_count; i++) {
        mc_str rest = mc_str_of(mc_trivial_phrases[i].phrases);
        mc_str phrase;
        while (mc_str_split(&rest, '|', &phrase)) {
            if (!add_phrase(detector, phrase, mc_trivial_phrases[i].part))
                return false;
        }
    }
    return true;
}

static enum mc_status compile(struct pattern *pattern, mc_str text, size_t index,
                              struct mc_error *err)
{
    int code;
    PCRE2_SIZE offset;
    pattern->code = pcre2_compile((PCRE2_SPTR)text.data, text.len,
                                  PCRE2_UTF | PCRE2_UCP | PCRE2_CASELESS | PCRE2_ANCHORED |
                                      PCRE2_ENDANCHORED | PCRE2_NEVER_BACKSLASH_C,
                                  &code, &offset, NULL);
    if (!pattern->code) {
        PCRE2_UCHAR reason[120];
        pcre2_get_error_message(code, reason, sizeof(reason));
        return mc_fail_field(err, MC_CONFIG, "pattern",
                             "trivial.patterns %zu \"%.*s\" is wrong at offset %zu: %s", index + 1,
                             text.len > 120 ? 120 : (int)text.len, text.data, (size_t)offset,
                             (const char *)reason);
    }
    /* Without JIT (not built for this machine) the interpreter does the same. */
    (void)pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE);
    return MC_OK;
}

static enum mc_status read_pattern(const struct mc_json *node, size_t index,
                                   struct pattern *pattern, struct mc_error *err)
{
    const struct mc_json *category = mc_json_get(node, "category");
    const struct mc_json *text = mc_json_get(node, "pattern");
    if (mc_json_type(node) != MC_JSON_OBJECT || mc_json_type(category) != MC_JSON_STRING ||
        mc_json_type(text) != MC_JSON_STRING || mc_json_count(node) != 2)
        return mc_fail_field(err, MC_CONFIG, "pattern",
                             "trivial.patterns %zu must be an object with exactly \"category\" and "
                             "\"pattern\", both text",
                             index + 1);
    mc_str name = mc_json_string(category);
    if (!mc_trivial_parse(name, &pattern->category))
        return mc_fail_field(
            err, MC_CONFIG, "category",
            "trivial.patterns %zu: no category \"%.*s\"; use greeting, farewell, "
            "confirmation, thanks, filler, question_word, acknowledgment or apology",
            index + 1, name.len > 60 ? 60 : (int)name.len, name.data);
    mc_str source = mc_json_string(text);
    if (source.len == 0 || source.len > PATTERN_BYTES)
        return mc_fail_field(err, MC_CONFIG, "pattern",
                             "trivial.patterns %zu has %zu bytes; 1 to %d are allowed", index + 1,
                             source.len, PATTERN_BYTES);
    return compile(pattern, source, index, err);
}

static enum mc_status add_patterns(struct mc_trivial_detector *detector, mc_str json,
                                   struct mc_error *err)
{
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    enum mc_status status = mc_json_parse(json, &root, err);
    if (status != MC_OK)
        return mc_fail_prefix(err, status, "trivial.patterns is not JSON");
    if (mc_json_type(root) != MC_JSON_ARRAY)
        return mc_fail_field(err, MC_CONFIG, "patterns",
                             "trivial.patterns must be a JSON array of objects, not %s",
                             mc_json_type_name(mc_json_type(root)));
    size_t count = mc_json_count(root);
    if (count > MC_TRIVIAL_PATTERNS)
        return mc_fail_field(err, MC_CONFIG, "patterns",
                             "%zu trivial patterns are given; at most %d are allowed", count,
                             MC_TRIVIAL_PATTERNS);
    if (count == 0)
        return MC_OK;
    detector->patterns = calloc(count, sizeof(*detector->patterns));
    detector->limits = pcre2_match_context_create(NULL);
    if (!detector->patterns || !detector->limits)
        return mc_fail_memory(err);
    pcre2_set_match_limit(detector->limits, MATCH_LIMIT);
    pcre2_set_depth_limit(detector->limits, MATCH_LIMIT);
    for (size_t i = 0; i < count; i++) {
        status = read_pattern(mc_json_at(root, i), i, &detector->patterns[i], err);
        if (status != MC_OK)
            return status;
        detector->pattern_count++;
    }
    return MC_OK;
}

static void free_ptr(struct mc_trivial_detector **detector)
{
    mc_trivial_free(*detector);
}

enum mc_status mc_trivial_new(struct mc_trivial_detector **detector, mc_str patterns,
                              struct mc_error *err)
{
    mc_auto(free_ptr) struct mc_trivial_detector *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    mc_arena_init(&made->arena, (size_t)4 * 1024 * 1024);
    mc_trie_init(&made->phrases);
    mc_trie_init(&made->words);
    if (!add_phrases(made))
        return mc_fail_memory(err);
    if (mc_str_given(patterns)) {
        enum mc_status status = add_patterns(made, patterns, err);
        if (status != MC_OK)
            return status;
    }
    *detector = mc_steal(made);
    return MC_OK;
}

void mc_trivial_free(struct mc_trivial_detector *detector)
{
    if (!detector)
        return;
    for (size_t i = 0; i < detector->pattern_count; i++)
        pcre2_code_free(detector->patterns[i].code);
    free(detector->patterns);
    pcre2_match_context_free(detector->limits);
    mc_trie_fini(&detector->phrases);
    mc_trie_fini(&detector->words);
    mc_arena_fini(&detector->arena);
    free(detector);
}

/* The message being cut into phrases. */
struct words {
    const struct mc_trivial_detector *detector;
    mc_str text;
    size_t count;
    struct {
        char text[MC_TOKEN_BYTES];
        uint8_t len;
        uint8_t gap;
        uint8_t single; /* category of an emoji or emoticon without a phrase, else 0 */
        uint32_t hash;
    } items[WORDS_MAX];
    uint8_t tail;
    uint8_t dead[WORDS_MAX + 1]; /* bit for each kind of predecessor that cannot go on from here */
};

static bool is_known(const struct words *words, mc_str word, uint32_t *hash)
{
    *hash = mc_word_hash(word);
    return mc_trie_step(&words->detector->words, 0, word, *hash) != 0;
}

/* Runs of at least `least` equal letters cut to `keep`. */
static mc_str shorten(mc_str word, size_t least, size_t keep, char room[MC_TOKEN_BYTES])
{
    size_t len = 0;
    for (size_t i = 0; i < word.len;) {
        size_t run = 1;
        while (i + run < word.len && word.data[i + run] == word.data[i])
            run++;
        size_t kept = run >= least && (uint8_t)word.data[i] < 0x80 ? keep : run;
        memset(room + len, word.data[i], kept);
        len += kept;
        i += run;
    }
    return (mc_str){room, len};
}

/* "hahaha", "hehehehe", "lololol": two letters taking turns. */
static bool is_laughter(mc_str word)
{
    static const char *const pairs[] = {"ha", "he", "hi", "lo", "ah", "ja", "je", "xa", "ho"};
    if (word.len < 4)
        return false;
    for (size_t i = 0; i < mc_countof(pairs); i++) {
        size_t j = 0;
        while (j < word.len && word.data[j] == pairs[i][j % 2])
            j++;
        if (j == word.len)
            return true;
    }
    return false;
}

/* Text that differs only in accidents of typing, as a word of the phrases; false when there is
 * none. */
static bool normalise(const struct words *words, mc_str *word, uint32_t *hash,
                      char room[MC_TOKEN_BYTES])
{
    if (is_known(words, *word, hash))
        return true;
    static const uint8_t cuts[][2] = {{3, 2}, {3, 1}, {2, 1}};
    for (size_t i = 0; i < mc_countof(cuts); i++) {
        mc_str cut = shorten(*word, cuts[i][0], cuts[i][1], room);
        if (cut.len < word->len && is_known(words, cut, hash)) {
            *word = cut;
            return true;
        }
    }
    if (!is_laughter(*word))
        return false;
    *word = MC_STR("haha");
    return is_known(words, *word, hash);
}

/* The letter of ":D", ";-)", "<3" or "xD" written apart from a word. */
static bool is_emoticon(mc_str text, const struct mc_token *token)
{
    if (token->len != 1 || token->offset == 0)
        return false;
    char c = text.data[token->offset];
    char before = text.data[token->offset - 1];
    if (before == '<')
        return c == '3';
    if (before == '-' && token->offset >= 2)
        before = text.data[token->offset - 2];
    return (before == ':' || before == ';' || before == '=') && strchr("DPpOo3xXsSc", c);
}

static bool take(struct words *words, const struct mc_token *token)
{
    mc_str word = token->folded;
    uint32_t hash = token->hash;
    char room[MC_TOKEN_BYTES];
    uint8_t single = 0;
    if (token->kind == MC_TOKEN_EMOJI) {
        single = is_known(words, word, &hash) ? 0 : EMOTICON;
    } else if (is_emoticon(words->text, token)) {
        single = EMOTICON;
    } else if (token->kind == MC_TOKEN_NUMBER && token->len == 1 && token->offset > 0 &&
               words->text.data[token->offset] == '1' &&
               words->text.data[token->offset - 1] == '+') {
        single = MC_TRIVIAL_CONFIRMATION;
    } else if (!normalise(words, &word, &hash, room)) {
        return false;
    }
    size_t i = words->count++;
    memcpy(words->items[i].text, word.data, word.len);
    words->items[i].len = (uint8_t)word.len;
    words->items[i].hash = hash;
    words->items[i].gap = token->gap;
    words->items[i].single = single;
    return true;
}

/* False when a word belongs to no phrase, or there are too many. */
static bool read_words(struct words *words)
{
    struct mc_tokenizer tokenizer;
    struct mc_token token;
    mc_tokenizer_init(&tokenizer, words->text);
    while (mc_token_next(&tokenizer, &token)) {
        if (words->count == WORDS_MAX || !take(words, &token))
            return false;
    }
    words->tail = tokenizer.gap;
    return !tokenizer.failed;
}

/* What stands before a place: it decides which phrases may follow. */
enum before { BEFORE_START, BEFORE_SOFT, BEFORE_FIRM, BEFORE_ALONE };

static enum before kind_of(int value)
{
    int part = value & PART_MASK;
    if (value & MC_TRIVIAL_ALONE)
        return BEFORE_ALONE;
    return part == MC_TRIVIAL_THANKS || part == MC_TRIVIAL_FAREWELL || part == MC_TRIVIAL_APOLOGY ||
                   part == MC_TRIVIAL_GREETING
               ? BEFORE_SOFT
               : BEFORE_FIRM;
}

/* Whether a phrase may stand at a place behind what is before it. */
static bool may_follow(const struct words *words, size_t at, enum before before, int value)
{
    int part = value & PART_MASK;
    bool cut = at == 0 || (words->items[at].gap & (MC_GAP_PAUSE | MC_GAP_STOP)) != 0;
    if (part == MC_TRIVIAL_ADDRESS)
        return before == BEFORE_SOFT;
    if (part == MC_TRIVIAL_TAIL)
        return at > 0 && (before != BEFORE_ALONE || cut);
    if (cut)
        return true;
    if (value & MC_TRIVIAL_ALONE)
        return before == BEFORE_SOFT || before == BEFORE_START;
    return before != BEFORE_ALONE || kind_of(value) == BEFORE_SOFT;
}

/* Cuts the words from a place on into phrases; *best rises to the most telling category. */
static bool cut_from(struct words *words, size_t at, enum before before, int *best)
{
    if (at == words->count)
        return true;
    if (words->dead[at] & (1U << before))
        return false;
    size_t ends[WORDS_MAX];
    int values[WORDS_MAX];
    size_t found = 0;
    if (words->items[at].single != 0) {
        values[found] = words->items[at].single;
        ends[found++] = at + 1;
    }
    uint32_t node = 0;
    for (size_t i = at; i < words->count && words->items[i].single == 0; i++) {
        node =
            mc_trie_step(&words->detector->phrases, node,
                         (mc_str){words->items[i].text, words->items[i].len}, words->items[i].hash);
        if (node == 0)
            break;
        int value = mc_trie_value(&words->detector->phrases, node);
        if (value != 0) {
            values[found] = value;
            ends[found++] = i + 1;
        }
    }
    while (found-- > 0) {
        int value = values[found];
        if (!may_follow(words, at, before, value) ||
            !cut_from(words, ends[found], kind_of(value), best))
            continue;
        int part = value & PART_MASK;
        if (part < MC_TRIVIAL_COUNT && part > *best)
            *best = part;
        return true;
    }
    words->dead[at] |= (uint8_t)(1U << before);
    return false;
}

static bool match_patterns(const struct mc_trivial_detector *detector, mc_str text,
                           enum mc_trivial *category)
{
    if (detector->pattern_count == 0 || text.len > PATTERN_BYTES)
        return false;
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    bool matched = false;
    for (size_t i = 0; data && !matched && i < detector->pattern_count; i++) {
        matched = pcre2_match(detector->patterns[i].code, (PCRE2_SPTR)text.data, text.len, 0, 0,
                              data, detector->limits) >= 0;
        if (matched)
            *category = detector->patterns[i].category;
    }
    pcre2_match_data_free(data);
    return matched;
}

static bool detect(const struct mc_trivial_detector *detector, mc_str text,
                   enum mc_trivial *category)
{
    if (text.len == 0)
        return false;
    if (match_patterns(detector, text, category))
        return true;
    if (text.len > MC_TRIVIAL_BYTES)
        return false;
    struct words words;
    words.detector = detector;
    words.text = text;
    words.count = 0;
    if (!read_words(&words))
        return false;
    if (words.count == 0) {
        *category = words.tail & MC_GAP_QUESTION ? MC_TRIVIAL_QUESTION_WORD : MC_TRIVIAL_FILLER;
        return words.tail != 0;
    }
    memset(words.dead, 0, sizeof(words.dead));
    int best = MC_TRIVIAL_NONE;
    if (!cut_from(&words, 0, BEFORE_START, &best) || best == MC_TRIVIAL_NONE)
        return false;
    /* "Sorry?" and "Pardon?" ask for a repetition. */
    if (best == MC_TRIVIAL_APOLOGY && (words.tail & MC_GAP_QUESTION))
        best = MC_TRIVIAL_QUESTION_WORD;
    *category = (enum mc_trivial)best;
    return true;
}

bool mc_trivial_detect(const struct mc_trivial_detector *detector, enum mc_role role, mc_str text,
                       enum mc_trivial *category)
{
    enum mc_trivial found;
    if (role == MC_ROLE_SYSTEM || !detect(detector, mc_str_trim(text), &found))
        return false;
    if (category)
        *category = found;
    return true;
}
