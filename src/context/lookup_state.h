/*
 * The registry of sources from inside. Private to lookup.c (who is registered), lookup_thread.c (asking
 * one source) and lookup_ask.c (asking them all and waiting). One mutex guards all of it but what
 * is marked constant; it is never held while a lookup runs.
 */
#ifndef MC_CONTEXT_LOOKUP_STATE_H
#define MC_CONTEXT_LOOKUP_STATE_H

#include "base/list.h"
#include "base/map.h"
#include "base/thread.h"
#include "context/answer_cache.h"
#include "context/lookup.h"

#define MC_LOOKUP_REASON_SIZE 256

struct mc_lookups {
    const struct mc_vocabulary *vocabulary; /* constant */
    struct mc_metrics *metrics;             /* constant */
    mc_mutex mutex;
    struct mc_list sources; /* in order of registration */
    atomic_size_t count;    /* changed under the mutex, read by anyone */
    uint64_t next_number;
    struct mc_map asked; /* key -> question that others may share */
    struct mc_answer_cache cache;
};

/*
 * A source. It is in the list until it is removed; what still points to it then (questions that someone
 * waits for) keeps a reference.
 */
struct mc_lookup_source {
    struct mc_list link;
    struct mc_lookups *lookups;
    int refs;
    struct mc_arena arena; /* of the strings; constant like all up to ttl_us */
    uint64_t number;       /* never used twice, so a name that is taken again shares no answers */
    mc_str name, description;
    const mc_str *topics; /* the vocabulary's strings */
    size_t topic_count;
    mc_source_fn lookup;
    void *context;
    int64_t timeout_us;
    int64_t ttl_us; /* negative: not cached */

    struct mc_list queue;
    size_t queued;
    struct mc_lookup_question *running;
    mc_cond work; /* the queue grew, or the source ends */
    bool started, ending;
    pthread_t thread; /* when started */

    int64_t calls, total_us; /* of the function, those that are over */
    int64_t hits, failures, timeouts;
    char last_error[MC_LOOKUP_REASON_SIZE];
};

/* A question to one source, of all who ask it at this time. */
struct mc_lookup_question {
    struct mc_list link; /* in the queue until it is asked */
    struct mc_lookup_source *source;
    int refs; /* the askers, and the queue or the thread until it is settled */
    int askers;
    bool shared;    /* it is in mc_lookups.asked */
    bool forgotten; /* its answer must not be cached */
    bool queued, settled;
    mc_cond done; /* settled */
    struct mc_arena arena;
    mc_str key;
    struct mc_source_query query;    /* constant */
    struct mc_source_answer *answer; /* once settled; NULL: it failed, and this is why */
    char reason[MC_LOOKUP_REASON_SIZE];
};

/* All with the mutex held. */
void mc_lookup_source_unref(struct mc_lookup_source *source);
void mc_lookup_question_unref(struct mc_lookup_question *question);
/* No asker shares it from now on. */
void mc_lookup_question_unshare(struct mc_lookup_question *question);
/* Puts a question into the queue, which has room, and starts the thread when there is none. */
MC_MUST_CHECK enum mc_status mc_lookup_source_push(struct mc_lookup_source *source,
                                                   struct mc_lookup_question *question,
                                                   struct mc_error *err);
/* An asker goes away; a question that waits for nobody is not asked. */
void mc_lookup_question_leave(struct mc_lookup_question *question);
/* Its thread will end after the lookup that runs; questions in the queue fail. */
void mc_lookup_source_end(struct mc_lookup_source *source);

/* Without the mutex: waits for the thread of a source that was ended. */
void mc_lookup_source_join(struct mc_lookup_source *source);

#endif
