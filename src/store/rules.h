/*
 * What every back-end decides in the same way, whatever its database: of a repeated message, a query, a
 * pending message, an erasure, the tiers, claiming vector jobs. Private to src/store. Pure, but for the last.
 */
#ifndef MC_STORE_RULES_H
#define MC_STORE_RULES_H

#include "store/store.h"
#include "text/terms.h"

/* The first field in which two messages of one id differ; NULL: the second is a repeat of the first. Static. */
const char *mc_rules_difference(const struct mc_message *a, const struct mc_message *b);

/* MC_INVALID: terms beyond the maximum, a group that nothing can meet. They are the caller's mistakes. */
MC_MUST_CHECK enum mc_status mc_rules_check_query(const struct mc_match_query *query,
                                                  struct mc_error *err);

/* Whether a message that is not indexed yet, of these terms, matches; then its mask. */
bool mc_rules_pending_matches(const struct mc_match_query *query, const struct mc_terms *terms,
                              uint64_t *mask);

/* Adds the numbers of a step. */
void mc_rules_add_erased(struct mc_erased *total, const struct mc_erased *step);

/* A job at the end of the list, which takes over its record; false when out of memory. */
MC_MUST_CHECK bool mc_rules_push_job(struct mc_jobs *jobs, const struct mc_job *job);

/* The vector jobs that a back-end claims. */
struct mc_rules_claim {
    int64_t now_us, lease_us;
    size_t limit;
    int64_t *rows; /* room for limit of both */
    int *attempts;
    size_t count;
};
typedef enum mc_status (*mc_rules_claim_fn)(struct mc_store *store, struct mc_rules_claim *claim,
                                            struct mc_error *err);
/* claim_vectors of a back-end: its `claim` in a transaction, then the messages; those that are gone wait no more. */
MC_MUST_CHECK enum mc_status mc_rules_claim_vectors(struct mc_store *store, mc_rules_claim_fn take,
                                                    int64_t now_us, int64_t lease_us, size_t limit,
                                                    struct mc_jobs *out, struct mc_error *err);

/* MC_INVALID: a step that takes no messages, or too many. */
MC_MUST_CHECK enum mc_status mc_rules_check_batch(const struct mc_tier_rule *rule,
                                                  struct mc_error *err);

/* A tier rule as times: what was created before these is due. */
struct mc_tier_times {
    int64_t leaves[MC_TIER_ARCHIVE];        /* for messages of ordinary importance */
    int64_t leaves_kept[MC_TIER_ARCHIVE];   /* for important ones */
    int64_t trivial_delete, archive_delete; /* INT64_MIN: never */
    double keep_importance;
};
void mc_rules_tier_times(const struct mc_tier_rule *rule, struct mc_tier_times *times);
/* The tier that a message of `tier` belongs to now. */
int mc_rules_target_tier(const struct mc_tier_times *times, int tier, int64_t created_at_us,
                         double importance);

#endif
