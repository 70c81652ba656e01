/*
 * External sources: what the application knows elsewhere (an order system, a CRM, a wiki), asked while a
 * context is assembled. A source is read-only, is asked about the topics that it was registered for,
 * has a time limit, and its answers are cached.
 */
#ifndef MINDCORE_SOURCE_H
#define MINDCORE_SOURCE_H

#include <mindcore/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MC_SOURCES_MAX 32

/* One question to a source. Valid during the call only. */
struct mc_source_query {
    mc_str user_id;
    mc_str thread_id;
    mc_str agent_id;      /* the reading agent; absent: none */
    const mc_str *topics; /* of the vocabulary: those of the question that the source has */
    size_t topic_count;
    mc_str text; /* what is asked, the first 8 KiB of it */
};

/* Where an answer goes. Valid during the call only, and in its thread only. */
struct mc_source_answer;
/*
 * Adds a piece of text (valid UTF-8, at most 16 KiB; at most 16 pieces an answer; more is left out). title names it
 * ("Order 4711") and may be absent; it is shown as one line of at most 200 bytes. Copied. MC_INVALID: the text is
 * not UTF-8, or blank.
 */
MC_API MC_MUST_CHECK enum mc_status mc_source_add(struct mc_source_answer *answer, mc_str title,
                                                  mc_str text, struct mc_error *err);

/*
 * Looks something up. Called in a thread of the engine's own, one call at a time for each source; must
 * not call back into the engine. MC_OK with nothing added means: knows nothing, which is cached like an
 * answer. A failure (any other status) is logged, counted, and mentioned in the context's metadata, and what
 * was added before it is dropped; the context is assembled without the source. So is err's message: no secrets.
 */
typedef enum mc_status (*mc_source_fn)(void *context, const struct mc_source_query *query,
                                       struct mc_source_answer *answer, struct mc_error *err);

struct mc_source_options {
    mc_str name;          /* 1 to 64 letters, digits, '_', '-' */
    mc_str description;   /* for a model, what it knows; at most 2,000 bytes; may be absent */
    const mc_str *topics; /* of the vocabulary (synonyms are settled); at least one */
    size_t topic_count;
    mc_source_fn lookup;
    void *context; /* borrowed until the source is removed or the engine closed */
    /* 0: 500; at most 60,000. A context waits no longer. A call that takes longer goes on, and its answer is cached. */
    int64_t timeout_ms;
    int64_t cache_ttl_ms; /* 0: 60,000; at most 30 days; negative: not cached */
};

/*
 * The options are copied. The source is asked from now on; its thread starts with the first question.
 * MC_CONFLICT: the name is taken. MC_INVALID names the field: also when a topic is not of the vocabulary, and when
 * there are MC_SOURCES_MAX sources.
 */
MC_API MC_MUST_CHECK enum mc_status mc_source_register(struct mc_engine *engine,
                                                       const struct mc_source_options *options,
                                                       struct mc_error *err);
/*
 * Waits for a lookup that is running; after it the function is not called again. What the source answered is
 * forgotten. MC_NOT_FOUND: no such source. MC_INVALID: called by the source's own lookup.
 */
MC_API MC_MUST_CHECK enum mc_status mc_source_remove(struct mc_engine *engine, mc_str name,
                                                     struct mc_error *err);
/*
 * {sources: [{name, description, topics, timeout_ms, cache_ttl_ms, lookups, cache_hits, failures, timeouts, mean_ms,
 * last_error}]}, in order of registration. lookups: calls that are over, of which mean_ms is the time; timeouts: how
 * often a context did not wait longer; last_error: null when none failed. Free with mc_free.
 */
MC_API MC_MUST_CHECK enum mc_status mc_source_list(struct mc_engine *engine, char **json,
                                                   struct mc_error *err);

#ifdef __cplusplus
}
#endif
#endif
