/*
 * Trivial messages: greetings, thanks, "ok" and the like, which need no model.
 *
 * The whole message must consist of known phrases ("ok, thanks a lot!"), in English or the other
 * languages of text/trivial_phrases.c; case, punctuation and accents typed apart do not matter,
 * letters may be stretched
 * ("thaaanks", "hmmm"). The category is that of the most telling part. A message of emoji only or
 * of punctuation only is trivial too. Anything that carries content is not.
 *
 * A detector is read-only after mc_trivial_new; any thread may detect with it.
 */
#ifndef MC_TEXT_TRIVIAL_H
#define MC_TEXT_TRIVIAL_H

#include <mindcore/types.h>

/* From the least to the most telling. */
#define MC_TRIVIAL_MAP(X)                                                                          \
    X(FILLER, "filler")                                                                            \
    X(ACKNOWLEDGMENT, "acknowledgment")                                                            \
    X(GREETING, "greeting")                                                                        \
    X(QUESTION_WORD, "question_word")                                                              \
    X(CONFIRMATION, "confirmation")                                                                \
    X(APOLOGY, "apology")                                                                          \
    X(THANKS, "thanks")                                                                            \
    X(FAREWELL, "farewell")

enum mc_trivial {
    MC_TRIVIAL_NONE, /* not trivial */
#define MC_TRIVIAL_ENUM(name, text) MC_TRIVIAL_##name,
    MC_TRIVIAL_MAP(MC_TRIVIAL_ENUM)
#undef MC_TRIVIAL_ENUM
        MC_TRIVIAL_COUNT
};

/* Longer messages are never trivial, whatever they say. */
#define MC_TRIVIAL_BYTES 240
#define MC_TRIVIAL_PATTERNS 200 /* of a user */

/* "" for MC_TRIVIAL_NONE. */
const char *mc_trivial_name(enum mc_trivial category);
bool mc_trivial_parse(mc_str name, enum mc_trivial *category);

struct mc_trivial_detector;

/*
 * patterns: absent, or a JSON array [{"category": "greeting", "pattern": "moin( moin)?"}, ...] of
 * PCRE2 patterns, which must match the whole trimmed message, case ignored. A bad one is MC_CONFIG
 * and names its index, the place in the pattern and what is wrong. *detector is freed with
 * mc_trivial_free.
 */
MC_MUST_CHECK enum mc_status mc_trivial_new(struct mc_trivial_detector **detector, mc_str patterns,
                                            struct mc_error *err);
void mc_trivial_free(struct mc_trivial_detector *detector); /* accepts NULL */

/*
 * True when the text is trivial; *category (may be NULL) says how. Text of the role system never
 * is. A user's pattern that runs into its match limit does not match.
 */
bool mc_trivial_detect(const struct mc_trivial_detector *detector, enum mc_role role, mc_str text,
                       enum mc_trivial *category);

/* The tables of text/trivial_phrases.c: phrases separated by '|', as they are typed. */
enum mc_trivial_part {
    MC_TRIVIAL_TAIL = MC_TRIVIAL_COUNT, /* follows something trivial: "so much", "for your help" */
    MC_TRIVIAL_ADDRESS,                 /* follows a greeting, thanks, farewell, apology: "team" */
    /*
     * Added to a category: what may mean something else next to other words ("it isn't" + "fixed").
     * Punctuation, thanks, a farewell, an apology or an end must stand on both sides.
     */
    MC_TRIVIAL_ALONE = 32
};
struct mc_trivial_phrases {
    int part; /* enum mc_trivial, with MC_TRIVIAL_ALONE or not, or MC_TRIVIAL_TAIL, _ADDRESS */
    const char *phrases;
};
extern const struct mc_trivial_phrases mc_trivial_phrases[];
extern const size_t mc_trivial_phrases_count;

#endif
