/*
 * Retrieval and context: what is read for a thread, found for a query, ranked, and packed into a
 * budget. Deterministic, so long as no model chooses: the same data, query and time give the same bytes.
 */
#ifndef MC_CONTEXT_CONTEXT_H
#define MC_CONTEXT_CONTEXT_H

#include <mindcore/context.h>
#include <mindcore/memory.h>
#include <mindcore/search.h>

#include "base/arena.h"
#include "base/metrics.h"
#include "cache/cache.h"
#include "context/lookup.h"
#include "context/meaning.h"
#include "llm/llm.h"
#include "store/store.h"
#include "vocabulary/vocabulary.h"

/* How a model changes a preference of the user, which context cannot do itself. */
#define MC_PREFERENCE_FIELDS_MAX 8
struct mc_preference_access {
    struct mc_preference_field {
        const char *name;
        bool list; /* of texts; else one text */
    } fields[MC_PREFERENCE_FIELDS_MAX];
    size_t field_count;
    /* As mc_preferences_change; NULL: preferences are not changed. Any thread. */
    enum mc_status (*change)(void *context, mc_str user_id, mc_str field, mc_str value,
                             enum mc_preference_action action, struct mc_buf *json,
                             struct mc_error *err);
    void *context;
};

/* What retrieval works on; owned by the engine, shared by all threads, constant while it is open. */
struct mc_retrieval {
    struct mc_store *store;
    struct mc_cache *cache;
    const struct mc_vocabulary *vocabulary;
    struct mc_metrics *metrics;
    struct mc_lookups *lookups; /* external sources; NULL: none */
    struct mc_meaning *meaning; /* vectors; NULL: messages are compared by words alone */
    size_t cache_max_size;      /* messages of a thread that the cache can hold */
    int64_t half_life_us;
    size_t default_max_messages; /* context.max_messages */
    size_t default_max_tokens;   /* context.max_tokens */
    struct mc_llm *llm;          /* chooses in mode llm, and counts tokens if it can; NULL: none */
    int64_t deadline_us;         /* of all that a model is asked for one context; 0: 10 s */
    struct mc_preference_access preferences;
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

/*
 * <mindcore/context.h> mc_context_assemble. preferences: the user's, as JSON; may be empty. Mode llm asks the
 * model, auto does when one is ready and the deterministic result answers little, fast never. A model that
 * does not answer leaves the deterministic result.
 */
MC_MUST_CHECK enum mc_status mc_retrieve_context(const struct mc_retrieval *r,
                                                 const struct mc_context_query *query,
                                                 const struct mc_reader *reader, mc_str preferences,
                                                 int64_t now_us, struct mc_context **context,
                                                 struct mc_error *err);

/* Estimated tokens of a text: what budgets count by without a tokenizer; see tokens.c for the rule and how far it is off. */
size_t mc_tokens_estimate(mc_str text);

#endif
