/*
 * The index terms of a text: what the store writes into its index for a message and asks it for a
 * query. Deterministic: the same text gives the same terms in the same order in every process.
 *
 * - words: folded, accents of Latin letters dropped, irregular forms led back, Porter-stemmed, stop
 * words left out;
 * - parts joined by - _ . / : , @ without space also as one term of letters and digits: "ORD-12345"
 * gives "ord12345", "ord" and "12345"; "follow-up" gives "followup", "follow" and "up" unless a
 * stop word;
 * - letters directly followed by three or more digits (or the other way round) also give their
 * parts;
 * - scripts without spaces: overlapping pairs of characters, a lone character by itself.
 */
#ifndef MC_TEXT_TERMS_H
#define MC_TEXT_TERMS_H

#include "text/token.h"

/* Raised whenever the same text may give other terms; a migration then indexes what is stored anew.
 */
#define MC_TERMS_VERSION 1
#define MC_TERMS_MAX 1024
#define MC_TERM_BYTES 40

struct mc_term {
    mc_str text;    /* 1 to MC_TERM_BYTES bytes of a-z, 0-9 and UTF-8 beyond ASCII */
    uint32_t count; /* how often it occurs */
};

struct mc_terms {
    struct mc_term *items; /* distinct, in the order of their first occurrence */
    size_t count;
    size_t total; /* occurrences of terms, those beyond MC_TERMS_MAX included */
};

/* False when out of memory; *out untouched. Any bytes may be passed. */
MC_MUST_CHECK bool mc_terms_of(mc_str text, struct mc_arena *arena, struct mc_terms *out);

/* The term of one word after another, for who looks for terms in a text by their place. */
struct mc_term_reader {
    char last[MC_TERM_BYTES]; /* the character before, of a script without spaces */
    size_t last_len;
    uint32_t last_end; /* where it ends in the text */
    char room[2 * MC_TOKEN_BYTES];
};

static inline void mc_term_reader_init(struct mc_term_reader *reader)
{
    reader->last_len = 0;
    reader->last_end = 0;
}
/*
 * The term that the next word of a text gives by itself: as mc_terms_of gives it, joined terms and parts
 * of codes left out. Of a script without spaces the pair with the character before; the first of a run
 * gives itself. Empty for stop words. Valid until the next call.
 */
mc_str mc_term_next(struct mc_term_reader *reader, const struct mc_token *token);

#endif
