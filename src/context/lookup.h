/*
 * External sources (<mindcore/source.h>): the registry, the threads that ask them, and the cache of
 * their answers. An answer is of one user: (source, user, thread, agent, topics, text) is its key.
 *
 * Each source is asked by one thread of its own, started with the first question, so a source that hangs
 * holds up no other; who waits for it waits no longer than its timeout or the deadline. Any thread may
 * call.
 *
 * Questions wait in their source's queue, MC_LOOKUP_QUEUE at most: one more fails with "busy". The same
 * question asked again meanwhile shares the lookup. One that nobody waits for any longer is taken out of the
 * queue; a lookup that has begun goes on, and its answer is cached. Also cached is that a source knows
 * nothing; a failure is not. MC_ANSWER_CACHE_COUNT and MC_ANSWER_CACHE_BYTES (context/answer_cache.h) bound the
 * cache over all sources.
 */
#ifndef MC_CONTEXT_LOOKUP_H
#define MC_CONTEXT_LOOKUP_H

#include <mindcore/source.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/metrics.h"
#include "vocabulary/vocabulary.h"

#define MC_LOOKUP_QUEUE 64
/* A longer question is cut. */
#define MC_LOOKUP_TEXT_BYTES ((size_t)8192)

struct mc_lookups;
/* The pointers must outlive it. NULL when out of memory. */
struct mc_lookups *mc_lookups_new(const struct mc_vocabulary *vocabulary,
                                  struct mc_metrics *metrics);
/* Waits for lookups that are running. Accepts NULL. */
void mc_lookups_free(struct mc_lookups *lookups);
MC_MUST_CHECK enum mc_status mc_lookups_register(struct mc_lookups *lookups,
                                                 const struct mc_source_options *options,
                                                 struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_lookups_remove(struct mc_lookups *lookups, mc_str name,
                                               struct mc_error *err);
void mc_lookups_write(struct mc_lookups *lookups, struct mc_buf *json); /* mc_source_list */
/* Forgets what was answered, or is being asked, about a user who was erased; absent: about any. */
void mc_lookups_forget(struct mc_lookups *lookups, mc_str user_id);
/* Whether there is a source. Costs nothing; NULL has none. */
bool mc_lookups_any(const struct mc_lookups *lookups);
/* The topics that some source has, in order of registration, each once; the array is in the arena. */
MC_MUST_CHECK enum mc_status mc_lookups_topics(struct mc_lookups *lookups, struct mc_arena *arena,
                                               mc_str **topics, size_t *count,
                                               struct mc_error *err);

struct mc_lookup_piece {
    mc_str source, title, text; /* the title may be empty */
    bool cached;
};
struct mc_lookup_failure {
    mc_str source, reason;
};
struct mc_lookup_result {
    struct mc_lookup_piece *pieces; /* by source in order of registration */
    size_t count;
    struct mc_lookup_failure *failures;
    size_t failure_count;
};

/*
 * Asks every source that has one of the query's topics (synonyms are settled, unknown ones passed over), all
 * at once, until their timeouts and the deadline (monotonic, 0: none). Everything in the arena. Fails only
 * when out of memory.
 */
MC_MUST_CHECK enum mc_status mc_lookups_ask(struct mc_lookups *lookups,
                                            const struct mc_source_query *query,
                                            int64_t deadline_us, struct mc_arena *arena,
                                            struct mc_lookup_result *result, struct mc_error *err);

/*
 * The same in two steps, for other work in between: the timeouts run from mc_lookups_begin on. *round is
 * in the arena, which must live until the round was collected or abandoned, once.
 */
struct mc_lookup_round;
MC_MUST_CHECK enum mc_status mc_lookups_begin(struct mc_lookups *lookups,
                                              const struct mc_source_query *query,
                                              int64_t deadline_us, struct mc_arena *arena,
                                              struct mc_lookup_round **round, struct mc_error *err);
/* Waits for the answers. The round is over, also after a failure. */
MC_MUST_CHECK enum mc_status mc_lookups_collect(struct mc_lookup_round *round,
                                                struct mc_lookup_result *result,
                                                struct mc_error *err);
/* Does not wait. Accepts NULL. */
void mc_lookups_abandon(struct mc_lookup_round *round);

#endif
