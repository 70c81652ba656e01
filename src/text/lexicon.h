/*
 * What is known of English words: stop words, irregular forms, feelings, negation, emphasis, time,
 * and the marks that intent and importance go by. One read-only table, built on first use from the
 * lists in text/lexicon_words.c, in static memory; any thread may look up.
 */
#ifndef MC_TEXT_LEXICON_H
#define MC_TEXT_LEXICON_H

#include <mindcore/types.h>

enum mc_word_flag {
    MC_WORD_STOP = 1 << 0,      /* says nothing of the subject */
    MC_WORD_NEGATION = 1 << 1,  /* turns what follows: not, never, isn't */
    MC_WORD_BOOST = 1 << 2,     /* very, extremely */
    MC_WORD_DAMP = 1 << 3,      /* slightly, somewhat */
    MC_WORD_CONTRAST = 1 << 4,  /* but, however */
    MC_WORD_ASK = 1 << 5,       /* what, how, when: begin a question */
    MC_WORD_AUXILIARY = 1 << 6, /* is, do, can: begin a question too */
    MC_WORD_SELF = 1 << 7,      /* I, we, my */
    MC_WORD_URGENT = 1 << 8,
    MC_WORD_PROBLEM = 1 << 9,       /* broken, fails, wrong: something does not work */
    MC_WORD_COMPLAINT = 1 << 10,    /* unacceptable, complaint */
    MC_WORD_ACTION = 1 << 11,       /* verbs of requests: cancel, refund, send */
    MC_WORD_OPINION = 1 << 12,      /* love, hate, think */
    MC_WORD_MONTH = 1 << 13,        /* value: 1..12 */
    MC_WORD_WEEKDAY = 1 << 14,      /* value: 1..7, Monday first */
    MC_WORD_SPAN = 1 << 15,         /* day, week, month, hour, and plurals */
    MC_WORD_COUNT = 1 << 16,        /* one, two, few; value: the number, 0 when vague */
    MC_WORD_RELATIVE_DAY = 1 << 17, /* today, tomorrow, yesterday, tonight */
    MC_WORD_MONEY = 1 << 18,        /* dollars, eur */
    MC_WORD_CAPS = 1 << 19,         /* spelt in capitals without shouting: USB, API */
    MC_WORD_FAMILY = 1 << 20,       /* the weight holds for all words of the same stem */
    MC_WORD_ORDER = 1 << 21,        /* stands before the number of an order */
    MC_WORD_INVOICE = 1 << 22,      /* ... of an invoice */
    MC_WORD_TRACK = 1 << 23,        /* ... of a parcel */
    MC_WORD_PHONE = 1 << 24,        /* ... of a telephone */
    MC_WORD_REFERENCE = 1 << 25,    /* number, id, is: between such a word and its number */
    MC_WORD_TITLE = 1 << 26,        /* mr, dr */
    MC_WORD_COMPANY = 1 << 27,      /* inc, gmbh */
    MC_WORD_PERIOD = 1 << 28,       /* next, last: before a day, week, month */
    MC_WORD_WEB = 1 << 29,          /* http, www and the commonest top-level domains */
    MC_WORD_PLAIN = 1 << 30         /* without feeling, whatever its stem */
};

struct mc_word {
    mc_str text;
    mc_str base; /* of an irregular form, else empty */
    uint32_t flags;
    int8_t weight; /* feeling, -40..40, in tenths */
    int8_t value;
};

/* The entry of a folded word with its mc_word_hash; 0 when unknown. */
uint16_t mc_lexicon_find(mc_str word, uint32_t hash);
/* Entry 0 is an empty word without flags. */
const struct mc_word *mc_lexicon_entry(uint16_t entry);
/* The feeling of words with this stem (by its mc_word_hash) without a weight of their own; 0: none.
 */
int8_t mc_lexicon_stem_weight(uint32_t stem_hash);

/* One line of the lists: words separated by spaces, all with these properties. */
struct mc_word_list {
    uint32_t flags;
    int8_t weight;
    int8_t value;
    const char *words;
};
extern const struct mc_word_list mc_lexicon_lists[];
extern const size_t mc_lexicon_list_count;
/* Irregular forms: "base form form ..." in each string. */
extern const char *const mc_lexicon_irregular[];
extern const size_t mc_lexicon_irregular_count;

#endif
