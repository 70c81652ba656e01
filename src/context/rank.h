/*
 * Ranking of candidates for a query: a weighted sum of features, all in units of the query's mass,
 * so that scores of different queries are of one scale. Pure; see docs/context.md for the formula.
 */
#ifndef MC_CONTEXT_RANK_H
#define MC_CONTEXT_RANK_H

#include "context/query.h"
#include "message/record.h"

/* Each feature with its name in explanations. */
#define MC_FEATURE_MAP(X)                                                                          \
    X(WORDS, "words")           /* BM25 of the message itself */                                   \
    X(NEIGHBOURS, "neighbours") /* share of the scores of the turns before and after */            \
    X(ANSWER, "answer")         /* the turn before asks what the query asks */                     \
    X(SESSION, "session")       /* what its session has of the query */                            \
    X(TOPICS, "topics")         /* topics that the query's words lead to */                        \
    X(TIME, "time")             /* names a time, for a query that asks for one */                  \
    X(NUMBER, "number")         /* names a number, for a query that asks for one */                \
    X(DATE, "date")             /* of the time that the query names */                             \
    X(SPEAKER, "speaker")       /* said by the one that the query speaks of */                     \
    X(IMPORTANCE, "importance") /* stored importance, decayed */                                   \
    X(RECENCY, "recency")       /* breaks ties */                                                  \
    X(MEANING, "meaning")       /* says in other words what the query says */
enum mc_feature {
#define MC_FEATURE_ENUM(name, text) MC_FEATURE_##name,
    MC_FEATURE_MAP(MC_FEATURE_ENUM)
#undef MC_FEATURE_ENUM
        MC_FEATURE_COUNT
};
const char *mc_feature_name(enum mc_feature feature);

#define MC_RANK_NONE SIZE_MAX

/* What being as near as can be by meaning is worth. */
#define MC_RANK_MEANING_WEIGHT 0.8

/* Of the word scores of the turns next to a message, and of the turns next to these. */
#define MC_RANK_NEXT_SHARE 0.3
#define MC_RANK_SECOND_SHARE 0.2

struct mc_rank_item {
    struct mc_record *record; /* borrowed */
    size_t before; /* index of the turn before in its thread, MC_RANK_NONE when not known */
    size_t after;
    size_t second_before; /* of the turn before that one */
    size_t second_after;
    double unread;  /* what neighbours that are no items add to the share of neighbours */
    bool matched;   /* found by the query, not only as a neighbour */
    bool trivial;   /* says nothing by itself: "thanks", "ok" */
    double meaning; /* how near it is to the query by meaning, 0..1 (meaning.h) */
    /* set by mc_rank_own */
    double own;    /* BM25 by the query's mass */
    uint64_t mask; /* bit i: holds term i */
    /* set by mc_rank_all */
    double features[MC_FEATURE_COUNT]; /* their sum is the score */
    double score;
};

/* The features of one message by itself, from its index terms, or from its text when it has none
 * yet. */
MC_MUST_CHECK enum mc_status mc_rank_own(const struct mc_query *query, struct mc_rank_item *item,
                                         struct mc_arena *arena, struct mc_error *err);

/* Scores all, after mc_rank_own of each. */
MC_MUST_CHECK enum mc_status mc_rank_all(const struct mc_query *query, struct mc_rank_item *items,
                                         size_t count, int64_t half_life_us, int64_t now_us,
                                         struct mc_arena *arena, struct mc_error *err);

/* Order of results: score, then the newer one. Negative when a comes first; never 0 for two
 * messages. */
int mc_rank_compare(const struct mc_rank_item *a, const struct mc_rank_item *b);

/* The share of the query's mass that the terms of a mask have, 0..1. */
double mc_rank_covered(const struct mc_query *query, uint64_t mask);

/*
 * How well a message with the turns next to it answers the query, 0 to below 1: the share of the
 * query's mass that it has, what only its neighbours have counted in part, a question counted as
 * half an answer, and all the less the fewer words agree.
 */
double mc_rank_answers(const struct mc_query *query, const struct mc_rank_item *items,
                       const struct mc_rank_item *item);

/* What a message says of the query itself, by words and meaning. */
static inline double mc_rank_strength(const struct mc_rank_item *item)
{
    return item->own + MC_RANK_MEANING_WEIGHT * item->meaning;
}

/* Whether enrichment found that a message says nothing. */
bool mc_rank_is_trivial(const struct mc_message *message);

#endif
