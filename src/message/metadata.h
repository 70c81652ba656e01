/*
 * The metadata of a message: what enrichment found out, as a structure and as the JSON object that
 * is stored and returned (docs/metadata.md). Names of topics, intents and so on are text here; the
 * vocabulary checks them.
 */
#ifndef MC_MESSAGE_METADATA_H
#define MC_MESSAGE_METADATA_H

#include "base/arena.h"
#include "base/buf.h"

#define MC_METADATA_LIST 64 /* entries of any list, more are left out when read */

struct mc_metadata_entity {
    mc_str type;
    mc_str value;
};

/* Strings are borrowed from the arena, the vocabulary or static text. Absent strings count as
 * empty. */
struct mc_metadata {
    const mc_str *topics;
    size_t topic_count;
    const mc_str *categories;
    size_t category_count;
    const mc_str *tags;
    size_t tag_count;
    const struct mc_metadata_entity *entities;
    size_t entity_count;
    const mc_str *key_phrases;
    size_t key_phrase_count;
    double importance;       /* 0..1 */
    double sentiment_score;  /* -1..1 */
    double confidence;       /* 0..1 */
    mc_str sentiment;        /* positive, negative, neutral, mixed; empty: neutral */
    mc_str intent;           /* empty: none, null in JSON */
    mc_str method;           /* trivial, builtin, llm */
    mc_str model;            /* empty: none, null in JSON */
    mc_str trivial_category; /* given for trivial messages */
    mc_str enrichment_error;
    bool enrichment_failed;
    bool truncated; /* the model did not see the end of the text */
    mc_str
        fallback_reason; /* why no model answered, of built-in metadata in its place; empty: none */
    mc_str extra;        /* a JSON object of the caller, as it came; empty: none */
};

/* Nothing known: importance 0.5, neutral. */
void mc_metadata_init(struct mc_metadata *metadata);

/*
 * Appends the JSON object, members in this order: topics, categories, importance, sentiment
 * {overall, score}, intent, tags, entities [{type, value}], key_phrases, method, model, confidence,
 * enrichment_failed, enrichment_error (null when none); fallback_reason, truncated, trivial_category and
 * extra only when given.
 * Numbers have up to three decimals.
 */
void mc_metadata_write(const struct mc_metadata *metadata, struct mc_buf *out);

/*
 * Reads such an object; strings are copied to the arena. Members may be missing and unknown ones
 * are passed over; a member of a wrong type is MC_CORRUPT and named. *metadata is untouched on
 * failure.
 */
MC_MUST_CHECK enum mc_status mc_metadata_parse(mc_str json, struct mc_arena *arena,
                                               struct mc_metadata *metadata, struct mc_error *err);

#endif
