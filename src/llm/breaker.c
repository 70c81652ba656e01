/* See llm/breaker.h. */
#include "llm/breaker.h"

#include <stdio.h>

#include "base/utf8.h"

#define FAILURE 2 /* in halves */
#define HALF 1

/* What the outcomes of a batch say about the provider. */
struct verdict {
    bool succeeded;
    int strain; /* since the last success among them */
    int64_t retry_at_us;
    const struct mc_llm_call *last; /* that failed, NULL when none did */
};

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void mc_breaker_init(struct mc_breaker *breaker, int failures, int64_t cooldown_us,
                     int64_t cooldown_max_us)
{
    memset(breaker, 0, sizeof(*breaker));
    breaker->limit = FAILURE * failures;
    breaker->cooldown_first_us = cooldown_us;
    breaker->cooldown_max_us = cooldown_max_us;
    mc_mutex_init(&breaker->mutex);
}

void mc_breaker_fini(struct mc_breaker *breaker)
{
    mc_mutex_fini(&breaker->mutex);
}

void mc_breaker_admit(struct mc_breaker *breaker, int64_t now_us, size_t count,
                      struct mc_admission *admission)
{
    memset(admission, 0, sizeof(*admission));
    mc_mutex_lock(&breaker->mutex);
    admission->epoch = breaker->epoch;
    if (!breaker->open) {
        admission->count = count;
    } else if (!breaker->probing && now_us >= breaker->probe_at_us) {
        breaker->probing = true;
        admission->probe = true;
        admission->count = 1;
    } else {
        /* A probe that goes on may close the circuit any moment, or take its time. */
        admission->retry_at_us =
            breaker->probing ? now_us + breaker->cooldown_first_us : breaker->probe_at_us;
        snprintf(admission->why_not, sizeof(admission->why_not),
                 breaker->probing ? "another call tries whether this has passed: %s"
                                  : "left alone after: %s",
                 breaker->why);
    }
    mc_mutex_unlock(&breaker->mutex);
}

const char *mc_breaker_reason(const struct mc_llm_call *call)
{
    return call->error.message[0] ? call->error.message : mc_status_text(call->status);
}

static int strain_of(const struct mc_breaker *breaker, const struct mc_llm_call *call, bool late)
{
    if (call->no_attempt || (late && call->status == MC_TIMEOUT))
        return 0;
    switch (call->status) {
    case MC_UNAUTHENTICATED:
        return breaker->limit;
    case MC_TIMEOUT:
    case MC_UNAVAILABLE:
    case MC_RATE_LIMITED:
    case MC_CONFIG:
    case MC_INTERNAL:
        return FAILURE;
    case MC_INVALID:
    case MC_TOO_LARGE: /* one text may be too long; when every one is, the window is too small */
        return HALF;
    default:
        return 0;
    }
}

static struct verdict judge(const struct mc_breaker *breaker, const struct mc_admission *admission,
                            const struct mc_llm_call *calls)
{
    struct verdict verdict = {0};
    int shared = 0; /* of calls that went along in another one's request */
    for (size_t i = 0; i < admission->count; i++) {
        const struct mc_llm_call *call = &calls[i];
        if (call->status == MC_OK) {
            verdict.succeeded = true;
            verdict.strain = shared = 0;
            continue;
        }
        int strain = strain_of(breaker, call, admission->late);
        if (strain == 0)
            continue;
        if (call->usage.calls == 0)
            shared = strain > shared ? strain : shared;
        else if (verdict.strain < breaker->limit)
            verdict.strain += strain;
        verdict.retry_at_us = later(verdict.retry_at_us, call->retry_at_us);
        verdict.last = call;
    }
    verdict.strain = verdict.strain > shared ? verdict.strain : shared;
    return verdict;
}

static void open_circuit(struct mc_breaker *breaker, int64_t now_us, const struct verdict *verdict)
{
    breaker->cooldown_us = breaker->open
                               ? earlier(2 * breaker->cooldown_us, breaker->cooldown_max_us)
                               : breaker->cooldown_first_us;
    int64_t told_us = earlier(verdict->retry_at_us, now_us + breaker->cooldown_max_us);
    breaker->probe_at_us = later(now_us + breaker->cooldown_us, told_us);
    breaker->open = true;
    breaker->strain = 0;
    breaker->epoch++;
    if (verdict->last)
        mc_utf8_line(mc_str_of(mc_breaker_reason(verdict->last)), breaker->why,
                     sizeof(breaker->why));
}

static void close_circuit(struct mc_breaker *breaker)
{
    breaker->open = false;
    breaker->strain = 0;
    breaker->epoch++;
}

bool mc_breaker_settle(struct mc_breaker *breaker, int64_t now_us,
                       const struct mc_admission *admission, const struct mc_llm_call *calls)
{
    struct verdict verdict = judge(breaker, admission, calls);
    mc_mutex_lock(&breaker->mutex);
    bool was_open = breaker->open;
    if (admission->probe) {
        breaker->probing = false;
        breaker->strain += verdict.strain;
        if (verdict.succeeded)
            close_circuit(breaker);
        else if (breaker->strain >= FAILURE)
            open_circuit(breaker, now_us, &verdict);
    } else if (!breaker->open && admission->epoch == breaker->epoch) {
        breaker->strain = (verdict.succeeded ? 0 : breaker->strain) + verdict.strain;
        if (breaker->strain >= breaker->limit)
            open_circuit(breaker, now_us, &verdict);
    }
    bool is_open = breaker->open;
    mc_mutex_unlock(&breaker->mutex);
    return is_open != was_open;
}

bool mc_breaker_look(struct mc_breaker *breaker, int64_t now_us, int64_t *probe_at_us,
                     bool *half_open, char why[MC_BREAKER_WHY])
{
    mc_mutex_lock(&breaker->mutex);
    bool open = breaker->open;
    if (open && probe_at_us)
        *probe_at_us = breaker->probe_at_us;
    if (open && half_open)
        *half_open = breaker->probing || now_us >= breaker->probe_at_us;
    if (open && why)
        memcpy(why, breaker->why, MC_BREAKER_WHY);
    mc_mutex_unlock(&breaker->mutex);
    return open;
}
