/*
 * Things named in a text: numbers of orders, invoices and parcels, dates (relative ones too),
 * amounts with currency, e-mail addresses, telephone numbers, URLs, people and organisations by
 * simple rules. The value is the text as it stands. Pure function, linear time.
 *
 * A date or an amount is never part of another entity; the first rule that fits takes the words.
 */
#ifndef MC_TEXT_ENTITY_H
#define MC_TEXT_ENTITY_H

#include "text/names.h"
#include "text/token.h"

#define MC_ENTITIES_MAX 32
#define MC_ENTITY_BYTES 200 /* of a value; longer ones are left out */

struct mc_entity {
    enum mc_entity_type type;
    mc_str value; /* part of the text */
};

struct mc_entities {
    struct mc_entity items[MC_ENTITIES_MAX]; /* distinct, in order */
    size_t count;
};

/* tokens of mc_tokens_of; the text must outlive *out. */
void mc_entities_of(const struct mc_tokens *tokens, struct mc_entities *out);

/*
 * The rules, each for the words from `at` on: the index of the token behind the entity, 0 when it
 * does not fit; *value is then its text. entity.c calls them in order.
 */
size_t mc_entity_date(const struct mc_tokens *tokens, size_t at, mc_str *value);
size_t mc_entity_amount(const struct mc_tokens *tokens, size_t at, mc_str *value);
size_t mc_entity_phone(const struct mc_tokens *tokens, size_t at, mc_str *value);
size_t mc_entity_web(const struct mc_tokens *tokens, size_t at, bool mail, mc_str *value,
                     enum mc_entity_type *type);

/* The single byte between token at-1 and token at, 0 when there is not exactly one. */
char mc_entity_joint(const struct mc_tokens *tokens, size_t at);
/* The flags of the lexicon of a token; 0 outside the text. */
uint32_t mc_entity_flags(const struct mc_tokens *tokens, size_t at);
/* The text from the first token to before the last. */
mc_str mc_entity_span(const struct mc_tokens *tokens, size_t first, size_t last);

#endif
