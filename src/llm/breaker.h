/*
 * The circuit breaker of one model (llm/chain.h says what it does). Thread-safe; `now` is a parameter.
 * Failures are counted in halves, because an unusable answer is half a one.
 */
#ifndef MC_LLM_BREAKER_H
#define MC_LLM_BREAKER_H

#include "base/thread.h"
#include "llm/llm.h"

#define MC_BREAKER_WHY 256

struct mc_breaker {
    int limit; /* halves of failures in a row that open it */
    int64_t cooldown_first_us, cooldown_max_us;
    mc_mutex mutex; /* guards what follows */
    bool open;
    bool probing;        /* a call is out to try an open circuit */
    int strain;          /* halves of failures in a row */
    unsigned epoch;      /* changes with the circuit: older outcomes do not count */
    int64_t cooldown_us; /* of the last opening */
    int64_t probe_at_us;
    char why[MC_BREAKER_WHY]; /* it is open */
};

/* All above 0, the first cooldown not above the longest. */
void mc_breaker_init(struct mc_breaker *breaker, int failures, int64_t cooldown_us,
                     int64_t cooldown_max_us);
void mc_breaker_fini(struct mc_breaker *breaker);

/* How many calls may be asked; what came of them goes to mc_breaker_settle, when they are any. */
struct mc_admission {
    size_t count;
    bool probe;
    unsigned epoch;
    int64_t retry_at_us; /* none: when to come again, and why not now */
    char why_not[MC_BREAKER_WHY + 64];
};
void mc_breaker_admit(struct mc_breaker *breaker, int64_t now_us, size_t count,
                      struct mc_admission *admission);

enum mc_breaker_change { MC_BREAKER_SAME, MC_BREAKER_OPENED, MC_BREAKER_CLOSED };
/* Counts the outcomes of the calls admitted. */
enum mc_breaker_change mc_breaker_settle(struct mc_breaker *breaker, int64_t now_us,
                                         const struct mc_admission *admission,
                                         const struct mc_llm_call *calls);

/* Whether it is open: since why, and from when on it may be probed. */
bool mc_breaker_look(struct mc_breaker *breaker, int64_t now_us, int64_t *probe_at_us,
                     bool *half_open, char why[MC_BREAKER_WHY]);

/* Why a call failed, in words. */
const char *mc_breaker_reason(const struct mc_llm_call *call);

#endif
