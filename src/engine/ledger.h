/*
 * The ledger: what models were asked, for what, and what it cost. Private to src/engine.
 *
 * Additions are summed in memory by (day, operation, provider, model) and written to the store by a thread
 * of the ledger's own about a second after the first of them, and when it is closed. What could not be
 * written is kept and tried again, so that nothing is lost or counted twice while the process lives; a
 * process that is killed loses what it has not written, about a second.
 *
 * Days are UTC. The totals of today are those of the store, read when opening and after each write, and
 * what is not written yet: several processes on one file see each other's with that delay. So a cap may be
 * passed by what is under way, and by what other processes asked within the last second.
 *
 * Any thread, except opening and closing.
 */
#ifndef MC_ENGINE_LEDGER_H
#define MC_ENGINE_LEDGER_H

#include "llm/llm.h"
#include "store/store.h"

struct mc_ledger_options {
    struct mc_store *store;
    double cap_usd;          /* of a day, over all remote providers; 0: none */
    int64_t cap_calls;       /* the same of requests */
    int64_t delay_us;        /* from an addition to its being written, 0: a second */
    int64_t (*now_us)(void); /* wall clock, NULL: mc_time_now_us */
};

struct mc_ledger;
MC_MUST_CHECK enum mc_status mc_ledger_open(const struct mc_ledger_options *options,
                                            struct mc_ledger **ledger, struct mc_error *err);
/* Writes what is left; the store must still be open. Accepts NULL. */
void mc_ledger_close(struct mc_ledger *ledger);

/* Cheap: no I/O. model is cut to what fits a line. */
void mc_ledger_add(struct mc_ledger *ledger, enum mc_llm_operation operation, const char *provider,
                   mc_str model, const struct mc_llm_usage *usage);
/* Returns when all that was added before is written, or why it is not; it is kept then. */
MC_MUST_CHECK enum mc_status mc_ledger_flush(struct mc_ledger *ledger, struct mc_error *err);

/* Whether a provider costs money, and is bound by the caps: all but the local model. */
bool mc_ledger_is_remote(const char *provider);
/* Sums of today of a provider; NULL: of all remote ones. */
void mc_ledger_today(struct mc_ledger *ledger, const char *provider, struct mc_llm_usage *sum);
/* Whether the provider may be asked now; false, and why: "daily cap of 5.00 USD reached; ...". */
bool mc_ledger_allows(struct mc_ledger *ledger, const char *provider, char *why, size_t size);

/* The day of a time, counted from 1970-01-01. */
int64_t mc_ledger_day(int64_t time_us);

#endif
