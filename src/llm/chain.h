/*
 * Several models in order: what the first cannot answer goes to the next. Each has a circuit breaker:
 * after `failures` failed requests in a row that blame the provider it is left alone for `cooldown`,
 * doubled for each further failed probe up to cooldown_max; then one call at a time may probe it (half
 * open), and a success closes the circuit. A chain of one is a model with a breaker.
 *
 * To blame is a provider for MC_TIMEOUT, MC_UNAVAILABLE, MC_RATE_LIMITED, MC_CONFIG and MC_INTERNAL;
 * MC_UNAUTHENTICATED opens the circuit at once, MC_INVALID (no usable answer) counts half,
 * and so does MC_TOO_LARGE: one text may be too long, when every one is the window is too small. Nothing else counts, nor what was not attempted. Calls of one generate that went in one request (usage.calls 0 but
 * for one) count once. A time-out counts only when the provider's own time was up, not the
 * deadline of the caller. What was asked before the circuit opened or closed last no longer counts. After a
 * failed request that says when to come again the cooldown is at least that long, up to cooldown_max.
 *
 * A probe that is neither answered nor blames the provider (cancelled) is given back: the next
 * call probes. So does an unusable or too large one; the second in a row is a failed probe. Calls that find the
 * circuit open, or another one's probe going on, go to the next provider.
 *
 * MC_CANCELLED, and any failure after the deadline, ends a call: no further provider is asked. Otherwise
 * the failure of a chain is MC_UNAVAILABLE unless all providers agree on another; its text names each
 * provider's reason, as passed_over does. retry_at_us is when the first circuit may be probed, or what
 * the providers said; 0 when one may be asked again at once.
 *
 * `parallel` is that of the first model. describe gives a provider whose circuit is open as "open", or
 * "half_open" once it may be probed, and one that `allowed` refuses as "capped".
 */
#ifndef MC_LLM_CHAIN_H
#define MC_LLM_CHAIN_H

#include "llm/llm.h"

#define MC_CHAIN_MAX 4

struct mc_chain_options {
    struct mc_llm *models[MC_CHAIN_MAX]; /* owned by the chain once it is open */
    size_t count;
    int failures;            /* 0: 5 */
    int64_t cooldown_us;     /* 0: 5 s */
    int64_t cooldown_max_us; /* 0: 60 s */
    int64_t (*now)(void);    /* the monotonic clock of the breakers; NULL: the real one */
    /*
     * Called after each call that made a request (answered or not), from the generating thread: for the
     * ledger and metrics. May be NULL.
     */
    void (*used)(void *context, enum mc_llm_operation operation, const char *provider, mc_str model,
                 const struct mc_llm_usage *usage);
    /*
     * Whether the provider may be asked now; false, and why, when a cap is reached. Asked before each
     * batch of calls and by describe, any thread. May be NULL.
     */
    bool (*allowed)(void *context, const char *provider, char *why, size_t size);
    /*
     * A circuit opened or closed (a failed probe is no change): for the log and metrics. From the
     * generating thread, of one provider one at a time; the last one is how it is. May be NULL.
     */
    void (*changed)(void *context, const char *provider, bool open, const char *why);
    void *context;
};

/* MC_CONFIG: no model, or too many. On failure the models still belong to the caller. */
MC_MUST_CHECK enum mc_status mc_chain_open(const struct mc_chain_options *options,
                                           struct mc_llm **llm, struct mc_error *err);

#endif
