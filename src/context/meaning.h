/*
 * Messages that say what a query says, in whatever words: the query is embedded, and compared with all vectors of
 * the user that its reader may see: by the database where it can and they are not in memory, else there. Nothing here fails a query: without an answer in time words alone decide, and the result says so.
 * Any thread.
 */
#ifndef MC_CONTEXT_MEANING_H
#define MC_CONTEXT_MEANING_H

#include "base/arena.h"
#include "base/metrics.h"
#include "llm/llm.h"
#include "store/store.h"

/* A model that queries are embedded by, for the vectors that it made. */
struct mc_meaning_model {
    struct mc_llm *llm; /* opened for embeddings; borrowed */
    const char *name;   /* in the store */
};
/* The present one and the one before it. */
#define MC_MEANING_MODELS 2

struct mc_meaning_options {
    struct mc_store *store;
    struct mc_metrics *metrics;
    struct mc_meaning_model models[MC_MEANING_MODELS];
    size_t model_count;
    size_t cache_bytes; /* of vectors in memory */
    int64_t timeout_us; /* of embedding a query */
};

struct mc_meaning;
MC_MUST_CHECK enum mc_status mc_meaning_new(const struct mc_meaning_options *options,
                                            struct mc_meaning **meaning, struct mc_error *err);
void mc_meaning_free(struct mc_meaning *meaning); /* accepts NULL */
/* A user was erased; absent: one of whom only the queries can be left. Accepts NULL. */
void mc_meaning_forget(struct mc_meaning *meaning, mc_str user_id);

enum mc_meaning_state {
    MC_MEANING_OFF,  /* no model is configured */
    MC_MEANING_NONE, /* the user has no vectors of a model that is configured */
    MC_MEANING_USED,
    MC_MEANING_LATE, /* the model did not answer in time */
    MC_MEANING_FAILED
};
const char *mc_meaning_name(enum mc_meaning_state state);

struct mc_meaning_query {
    mc_str user_id, text;
    const struct mc_reader *reader;
    mc_str thread_id;           /* absent: all */
    int64_t since_us, until_us; /* 0: none */
    size_t limit;
};

/* A message, and how much nearer it is to the query than the user's messages are on the whole: above 0, 1 for the same. */
struct mc_meant {
    int64_t row;
    double share;
};
struct mc_meaning_result {
    enum mc_meaning_state state;
    mc_str why;             /* when late or failed; in the arena */
    struct mc_meant *items; /* in the order of their rows; in the arena */
    size_t count;
};

void mc_meaning_find(struct mc_meaning *meaning, const struct mc_meaning_query *query,
                     struct mc_arena *arena, struct mc_meaning_result *result);

#endif
