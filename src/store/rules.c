#include "store/rules.h"

#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"

const char *mc_rules_difference(const struct mc_message *a, const struct mc_message *b)
{
    if (!mc_str_equal(a->user_id, b->user_id))
        return "user_id";
    if (!mc_str_equal(a->thread_id, b->thread_id))
        return "thread_id";
    if (!mc_str_equal(a->session_id, b->session_id))
        return "session_id";
    if (a->role != b->role)
        return "role";
    if (!mc_str_equal(a->agent_id, b->agent_id))
        return "agent_id";
    return mc_str_equal(a->text, b->text) ? NULL : "text";
}

enum mc_status mc_rules_check_query(const struct mc_match_query *query, struct mc_error *err)
{
    if (query->term_count > MC_MATCH_TERMS_MAX)
        return mc_fail(err, MC_INVALID, "a query has at most %d terms", MC_MATCH_TERMS_MAX);
    if (query->limit == 0 || query->limit > 1000000)
        return mc_fail(err, MC_INVALID, "the limit of a query is 1 to 1000000");
    for (size_t i = 0; i < query->required_count; i++)
        if (query->required[i].count == 0)
            return mc_fail(err, MC_INVALID, "a required group of a query is empty");
    return MC_OK;
}

static bool has_term(const struct mc_terms *terms, mc_str token)
{
    for (size_t i = 0; i < terms->count; i++)
        if (mc_str_equal(terms->items[i].text, token))
            return true;
    return false;
}

bool mc_rules_pending_matches(const struct mc_match_query *q, const struct mc_terms *terms,
                              uint64_t *mask)
{
    for (size_t i = 0; i < q->required_count; i++) {
        bool met = false;
        for (size_t j = 0; j < q->required[i].count && !met; j++)
            met = has_term(terms, q->required[i].tokens[j]);
        if (!met)
            return false;
    }
    *mask = 0;
    for (size_t i = 0; i < q->term_count; i++)
        if (has_term(terms, q->terms[i]))
            *mask |= UINT64_C(1) << i;
    return *mask != 0 || q->term_count == 0;
}

void mc_rules_add_erased(struct mc_erased *total, const struct mc_erased *step)
{
    total->messages += step->messages;
    total->trash += step->trash;
    total->threads += step->threads;
    total->jobs += step->jobs;
    total->summaries += step->summaries;
    total->preferences += step->preferences;
    total->signals += step->signals;
}

bool mc_rules_push_job(struct mc_jobs *jobs, const struct mc_job *job)
{
    if (jobs->count == jobs->capacity) {
        size_t capacity = jobs->capacity > 0 ? jobs->capacity * 2 : 64;
        struct mc_job *items = realloc(jobs->items, capacity * sizeof(*items));
        if (!items)
            return false;
        jobs->items = items;
        jobs->capacity = capacity;
    }
    jobs->items[jobs->count++] = *job;
    return true;
}

/* Jobs of those rows that were found, which are in the order of the rows; they share the records. */
static enum mc_status push_claimed(struct mc_jobs *jobs, const struct mc_rules_claim *claim,
                                   const struct mc_records *found, struct mc_error *err)
{
    for (size_t i = 0, at = 0; i < claim->count && at < found->count; i++) {
        if (found->items[at]->row != claim->rows[i])
            continue;
        struct mc_job job = {.record = mc_record_ref(found->items[at++]),
                             .attempts = claim->attempts[i]};
        if (!mc_rules_push_job(jobs, &job)) {
            mc_record_unref(job.record);
            return mc_fail_memory(err);
        }
    }
    return MC_OK;
}

/* A message that was removed while something made it wait does so no more. */
static enum mc_status forget_gone(struct mc_store *store, const struct mc_rules_claim *claim,
                                  const struct mc_records *found, struct mc_error *err)
{
    if (found->count >= claim->count)
        return MC_OK;
    size_t count = 0;
    struct mc_vector_put *gone = calloc(claim->count, sizeof(*gone));
    if (!gone)
        return mc_fail_memory(err);
    for (size_t i = 0, at = 0; i < claim->count; i++) {
        if (at < found->count && found->items[at]->row == claim->rows[i])
            at++;
        else
            gone[count++].row = claim->rows[i]; /* given up */
    }
    enum mc_status status = store->ops->put_vectors(store, 0, gone, count, err);
    free(gone);
    return status;
}

enum mc_status mc_rules_claim_vectors(struct mc_store *store, mc_rules_claim_fn take,
                                      int64_t now_us, int64_t lease_us, size_t limit,
                                      struct mc_jobs *out, struct mc_error *err)
{
    static const struct mc_reader everything = {.everything = true};
    if (limit == 0)
        return MC_OK;
    struct mc_rules_claim claim = {.now_us = now_us, .lease_us = lease_us, .limit = limit};
    mc_auto(mc_records_fini) struct mc_records found = {0};
    claim.rows = calloc(limit, sizeof(*claim.rows));
    claim.attempts = calloc(limit, sizeof(*claim.attempts));
    enum mc_status status = claim.rows && claim.attempts ? MC_OK : mc_fail_memory(err);
    if (status == MC_OK)
        status = take(store, &claim, err);
    if (status == MC_OK)
        status = store->ops->rows(store, claim.rows, claim.count, &everything, &found, err);
    if (status == MC_OK)
        status = forget_gone(store, &claim, &found, err);
    if (status == MC_OK)
        status = push_claimed(out, &claim, &found, err);
    free(claim.rows);
    free(claim.attempts);
    return status;
}

static int64_t before(int64_t now_us, int64_t age_us, int factor)
{
    if (age_us > INT64_MAX / 4 || age_us < 0)
        return INT64_MIN;
    return now_us - age_us * factor;
}

enum mc_status mc_rules_check_batch(const struct mc_tier_rule *rule, struct mc_error *err)
{
    if (rule->batch == 0 || rule->batch > 100000)
        return mc_fail(err, MC_INVALID, "a step of tier migration takes 1 to 100000 messages");
    return MC_OK;
}

void mc_rules_tier_times(const struct mc_tier_rule *rule, struct mc_tier_times *times)
{
    const int64_t ages[] = {rule->short_us, rule->mid_us, rule->long_us};
    for (int tier = 0; tier < MC_TIER_ARCHIVE; tier++) {
        times->leaves[tier] = before(rule->now_us, ages[tier], 1);
        times->leaves_kept[tier] = before(rule->now_us, ages[tier], 2);
    }
    times->trivial_delete =
        rule->trivial_delete_us ? before(rule->now_us, rule->trivial_delete_us, 1) : INT64_MIN;
    times->archive_delete =
        rule->archive_delete_us ? before(rule->now_us, rule->archive_delete_us, 1) : INT64_MIN;
    times->keep_importance = rule->keep_importance;
}

int mc_rules_target_tier(const struct mc_tier_times *times, int tier, int64_t created_at_us,
                         double importance)
{
    const int64_t *leaves =
        importance >= times->keep_importance ? times->leaves_kept : times->leaves;
    while (tier < MC_TIER_ARCHIVE && created_at_us < leaves[tier])
        tier++;
    return tier;
}
