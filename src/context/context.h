/*
 * Retrieval and context: what is read for a thread, found for a query, ranked, and packed into a
 * budget. Without a model; deterministic: the same data, query and time give the same bytes.
 */
#ifndef MC_CONTEXT_CONTEXT_H
#define MC_CONTEXT_CONTEXT_H

#include <mindcore/context.h>
#include <mindcore/search.h>

#include "base/arena.h"
#include "base/metrics.h"
#include "cache/cache.h"
#include "store/store.h"
#include "vocabulary/vocabulary.h"

/* What retrieval works on; owned by the engine, shared by all threads, constant while it is open. */
struct mc_retrieval {
    struct mc_store *store;
    struct mc_cache *cache;
    const struct mc_vocabulary *vocabulary;
    struct mc_metrics *metrics;
    struct mc_lookups *lookups; /* external sources; NULL: none */
    size_t cache_max_size;      /* messages of a thread that the cache can hold */
    int64_t half_life_us;
    size_t default_max_messages; /* context.max_messages */
    size_t default_max_tokens;   /* context.max_tokens */
};

/* The newest messages of a thread, newest first, through the cache; the reader's rule is applied to both. */
MC_MUST_CHECK enum mc_status mc_retrieve_recent(const struct mc_retrieval *r,
                                                const struct mc_recent_read *read, int64_t now_us,
                                                struct mc_records *out, struct mc_error *err);

/* <mindcore/message.h> mc_message_window, oldest first. A message cut to fit is a new record with a shortened text. */
MC_MUST_CHECK enum mc_status mc_retrieve_window(const struct mc_retrieval *r,
                                                const struct mc_window_query *query,
                                                const struct mc_reader *reader, int64_t now_us,
                                                struct mc_records *out, struct mc_error *err);

/* <mindcore/search.h> mc_search; the query's fields are checked here. */
MC_MUST_CHECK enum mc_status mc_retrieve_search(const struct mc_retrieval *r,
                                                const struct mc_search_query *query,
                                                const struct mc_reader *reader, int64_t now_us,
                                                struct mc_hit_list **hits, struct mc_error *err);

/* <mindcore/context.h> mc_context_assemble. preferences: the user's, as JSON; may be empty. */
MC_MUST_CHECK enum mc_status mc_retrieve_context(const struct mc_retrieval *r,
                                                 const struct mc_context_query *query,
                                                 const struct mc_reader *reader, mc_str preferences,
                                                 int64_t now_us, struct mc_context **context,
                                                 struct mc_error *err);

/* Estimated tokens of a text for budgets: see tokens.c for the rule and how far it is off. */
size_t mc_tokens_estimate(mc_str text);

#endif
