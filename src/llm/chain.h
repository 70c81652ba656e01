/*
 * Several models in order: what the first cannot answer goes to the next. Each has a circuit breaker:
 * after `failures` failed requests in a row that blame the provider it is left alone for `cooldown`,
 * doubled for each further failed probe up to cooldown_max; then one call at a time may probe it (half
 * open), and a success closes the circuit. A chain of one is a model with a breaker.
 *
 * The failure of a chain is MC_UNAVAILABLE unless all providers agree on another; its text names each
 * provider's reason, retry_at_us is when the first circuit may be probed.
 */
#ifndef MC_LLM_CHAIN_H
#define MC_LLM_CHAIN_H

#include "llm/llm.h"

#define MC_CHAIN_MAX 4

struct mc_chain_options {
    struct mc_llm *models[MC_CHAIN_MAX]; /* owned by the chain once it is open */
    size_t count;
    int failures;        /* 0: 5 */
    int64_t cooldown_us; /* 0: 5 s */
    int64_t cooldown_max_us; /* 0: 60 s */
    /*
     * Called after each call that made a request (answered or not), from the generating thread: for the
     * ledger and metrics. May be NULL.
     */
    void (*used)(void *context, enum mc_llm_operation operation, const char *provider, mc_str model,
                 const struct mc_llm_usage *usage);
    /* Whether the provider may be asked now; false, and why, when a cap is reached. May be NULL. */
    bool (*allowed)(void *context, const char *provider, char *why, size_t size);
    /* A circuit opened or closed: for the log and metrics. May be NULL. */
    void (*changed)(void *context, const char *provider, bool open, const char *why);
    void *context;
};

/* On failure the models still belong to the caller. */
MC_MUST_CHECK enum mc_status mc_chain_open(const struct mc_chain_options *options,
                                           struct mc_llm **llm, struct mc_error *err);

#endif
