#include "text/stem.h"

#include "base/str.h"
#include "text/lexicon.h"
#include "text/token.h"

/* Letters of the word being stemmed; the stem is text[0..len), j the length before a suffix. */
struct stemmer {
    char *text;
    size_t len;
    size_t j;
};

static bool is_consonant(const struct stemmer *s, size_t i)
{
    switch (s->text[i]) {
    case 'a':
    case 'e':
    case 'i':
    case 'o':
    case 'u':
        return false;
    case 'y': {
        /* y is a vowel behind a consonant: it alternates through a run of y. */
        size_t run = 0;
        while (run < i && s->text[i - run - 1] == 'y')
            run++;
        size_t first = i - run;
        bool first_consonant = first == 0 || !is_consonant(s, first - 1);
        return (run % 2 == 0) == first_consonant;
    }
    default:
        return true;
    }
}

/* The number of vowel-consonant sequences in text[0..j): [C](VC)^m[V]. */
static size_t measure(const struct stemmer *s)
{
    size_t m = 0;
    bool vowel_before = false;
    for (size_t i = 0; i < s->j; i++) {
        bool consonant = is_consonant(s, i);
        m += consonant && vowel_before;
        vowel_before = !consonant;
    }
    return m;
}

static bool has_vowel(const struct stemmer *s)
{
    for (size_t i = 0; i < s->j; i++) {
        if (!is_consonant(s, i))
            return true;
    }
    return false;
}

static bool ends_double(const struct stemmer *s)
{
    return s->len >= 2 && s->text[s->len - 1] == s->text[s->len - 2] && is_consonant(s, s->len - 1);
}

/* Consonant, vowel, consonant at the end of text[0..len), the last not w, x or y. */
static bool ends_cvc(const struct stemmer *s, size_t len)
{
    if (len < 3 || !is_consonant(s, len - 1) || is_consonant(s, len - 2) ||
        !is_consonant(s, len - 3))
        return false;
    char c = s->text[len - 1];
    return c != 'w' && c != 'x' && c != 'y';
}

/* A suffix with its length, so that most are told apart by their last letter. */
struct suffix {
    const char *text;
    size_t len;
};
#define SUFFIX(literal) ((struct suffix){"" literal, sizeof(literal) - 1})

static inline bool ends_in(struct stemmer *s, struct suffix suffix)
{
    if (suffix.len > s->len || s->text[s->len - 1] != suffix.text[suffix.len - 1] ||
        memcmp(s->text + s->len - suffix.len, suffix.text, suffix.len) != 0)
        return false;
    s->j = s->len - suffix.len;
    return true;
}
#define ends(s, literal) ends_in(s, SUFFIX(literal))

static void replace(struct stemmer *s, const char *suffix)
{
    size_t len = strlen(suffix);
    memcpy(s->text + s->j, suffix, len);
    s->len = s->j + len;
}

static void step1a(struct stemmer *s)
{
    if (s->text[s->len - 1] != 's')
        return;
    if (ends(s, "sses"))
        s->len -= 2;
    else if (ends(s, "ies"))
        s->len -= 2;
    else if (!ends(s, "ss"))
        s->len--;
}

static void step1b(struct stemmer *s)
{
    if (ends(s, "eed")) {
        if (measure(s) > 0)
            s->len--;
        return;
    }
    if (!(ends(s, "ed") && has_vowel(s)) && !(ends(s, "ing") && has_vowel(s)))
        return;
    s->len = s->j;
    if (ends(s, "at") || ends(s, "bl") || ends(s, "iz")) {
        s->text[s->len++] = 'e';
    } else if (ends_double(s)) {
        char c = s->text[s->len - 1];
        if (c != 'l' && c != 's' && c != 'z')
            s->len--;
    } else {
        s->j = s->len;
        if (measure(s) == 1 && ends_cvc(s, s->len))
            s->text[s->len++] = 'e';
    }
}

static void step1c(struct stemmer *s)
{
    if (ends(s, "y") && has_vowel(s))
        s->text[s->len - 1] = 'i';
}

struct rule {
    struct suffix suffix;
    const char *by;
};

#define RULE(suffix, by)                                                                           \
    {                                                                                              \
        {suffix, sizeof(suffix) - 1}, by                                                           \
    }

/* Applies the first rule whose suffix fits, when the measure before it is above 0. */
static void apply(struct stemmer *s, const struct rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (ends_in(s, rules[i].suffix)) {
            if (measure(s) > 0)
                replace(s, rules[i].by);
            return;
        }
    }
}

static const struct rule step2_rules[] = {
    RULE("ational", "ate"), RULE("tional", "tion"), RULE("enci", "ence"),   RULE("anci", "ance"),
    RULE("izer", "ize"),    RULE("bli", "ble"),     RULE("alli", "al"),     RULE("entli", "ent"),
    RULE("eli", "e"),       RULE("ousli", "ous"),   RULE("ization", "ize"), RULE("ation", "ate"),
    RULE("ator", "ate"),    RULE("alism", "al"),    RULE("iveness", "ive"), RULE("fulness", "ful"),
    RULE("ousness", "ous"), RULE("aliti", "al"),    RULE("iviti", "ive"),   RULE("biliti", "ble"),
    RULE("logi", "log"),
};

static const struct rule step3_rules[] = {
    RULE("icate", "ic"), RULE("ative", ""), RULE("alize", "al"), RULE("iciti", "ic"),
    RULE("ical", "ic"),  RULE("ful", ""),   RULE("ness", ""),
};

#define ROW(literal)                                                                               \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }
static const struct suffix step4_suffixes[] = {
    ROW("al"),  ROW("ance"),  ROW("ence"), ROW("er"),  ROW("ic"),  ROW("able"), ROW("ible"),
    ROW("ant"), ROW("ement"), ROW("ment"), ROW("ent"), ROW("ion"), ROW("ou"),   ROW("ism"),
    ROW("ate"), ROW("iti"),   ROW("ous"),  ROW("ive"), ROW("ize"),
};

static void step4(struct stemmer *s)
{
    for (size_t i = 0; i < sizeof(step4_suffixes) / sizeof(step4_suffixes[0]); i++) {
        if (!ends_in(s, step4_suffixes[i]))
            continue;
        bool ion = strcmp(step4_suffixes[i].text, "ion") == 0;
        if (ion && (s->j == 0 || (s->text[s->j - 1] != 's' && s->text[s->j - 1] != 't')))
            return;
        if (measure(s) > 1)
            s->len = s->j;
        return;
    }
}

static void step5(struct stemmer *s)
{
    s->j = s->len;
    if (s->text[s->len - 1] == 'e') {
        s->j = s->len - 1;
        size_t m = measure(s);
        if (m > 1 || (m == 1 && !ends_cvc(s, s->len - 1)))
            s->len--;
    }
    s->j = s->len;
    if (s->text[s->len - 1] == 'l' && ends_double(s) && measure(s) > 1)
        s->len--;
}

mc_str mc_stem_irregular(mc_str word)
{
    uint16_t entry = mc_lexicon_find(word, mc_word_hash(word));
    if (entry == 0)
        return word;
    mc_str base = mc_lexicon_entry(entry)->base;
    return base.len > 0 ? base : word;
}

bool mc_stem_is_stop(mc_str word)
{
    uint16_t entry = mc_lexicon_find(word, mc_word_hash(word));
    return entry != 0 && (mc_lexicon_entry(entry)->flags & MC_WORD_STOP) != 0;
}

mc_str mc_stem_regular(mc_str word, char room[MC_STEM_BYTES])
{
    /* One byte less than the room: a step may put back an "e". */
    if (word.len < 3 || word.len >= MC_STEM_BYTES)
        return word;
    for (size_t i = 0; i < word.len; i++) {
        if ((uint8_t)(word.data[i] - 'a') >= 26)
            return word;
    }
    memcpy(room, word.data, word.len);
    struct stemmer s = {room, word.len, 0};
    step1a(&s);
    if (s.len > 2)
        step1b(&s);
    if (s.len > 2)
        step1c(&s);
    if (s.len > 2) {
        apply(&s, step2_rules, sizeof(step2_rules) / sizeof(step2_rules[0]));
        apply(&s, step3_rules, sizeof(step3_rules) / sizeof(step3_rules[0]));
        step4(&s);
        step5(&s);
    }
    return (mc_str){room, s.len};
}

mc_str mc_stem(mc_str word, char room[MC_STEM_BYTES])
{
    return mc_stem_regular(mc_stem_irregular(word), room);
}
