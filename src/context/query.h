/*
 * What a query asks for: its index terms with weights, the topics that its words lead to, and marks
 * of its form (asks for a time, for a number, for what one side said). Pure.
 */
#ifndef MC_CONTEXT_QUERY_H
#define MC_CONTEXT_QUERY_H

#include "base/arena.h"
#include "store/store.h"
#include "text/when.h"
#include "vocabulary/vocabulary.h"

#define MC_QUERY_TOPICS_MAX 4
/* Words of a query that are looked up; with the topics at most MC_MATCH_TERMS_MAX. */
#define MC_QUERY_WORDS_MAX (MC_MATCH_TERMS_MAX - MC_QUERY_TOPICS_MAX)
/* So much of a long query is read, a half from its beginning and a half from its end. */
#define MC_QUERY_BYTES 8192

struct mc_query {
    mc_str *terms;   /* words, then topic labels "t:TOPIC"; as index tokens */
    double *weights; /* how much a term says, 1.0 for an ordinary word */
    double *gains;   /* weight times inverse frequency; set by mc_query_weigh */
    size_t word_count;
    size_t term_count;       /* words and topics */
    double mass;             /* of the words' gains; of the topics' when there are no words; set by
                          mc_query_weigh */
    struct mc_when when;     /* the time that it names */
    struct mc_tokens tokens; /* its words */
    bool asks_time;          /* when, what date, how long ago */
    mc_str speaker;    /* the only one who speaks and whom it names (speaker.h); absent: none */
    bool asks_number;  /* how many, how much, how old */
    bool of_user;      /* about what the user said: I, my */
    bool of_assistant; /* about what the assistant said: you */
};

/*
 * The text when it has at most max_bytes; else its beginning and its end, whole words, a line break
 * between them: people ask before or behind what they paste. Arena.
 */
MC_MUST_CHECK enum mc_status mc_query_ends(mc_str text, size_t max_bytes, struct mc_arena *arena,
                                           mc_str *ends, struct mc_error *err);

/* Everything in *query lives in the arena. A text of stop words alone has no terms. */
MC_MUST_CHECK enum mc_status mc_query_read(mc_str text, const struct mc_vocabulary *vocabulary,
                                           int64_t now_us, struct mc_arena *arena,
                                           struct mc_query *query, struct mc_error *err);

/* The place of a term among the words of the query, word_count when it is none of them. */
size_t mc_query_word(const struct mc_query *query, mc_str term);

/* Whether it names a time and nothing else: "What did I say last week?". */
bool mc_query_is_time(const struct mc_query *query);

/* Sets gains and mass from the (smoothed) number of messages that each term matched, of so many. */
void mc_query_weigh(struct mc_query *query, const uint32_t *df, int64_t messages);

/* A label (message/label.h) in the arena; data is NULL when out of memory. */
mc_str mc_query_label(char kind, mc_str name, struct mc_arena *arena);

#endif
