/*
 * The work of one generating thread: what openai_run.c (when a request is made) and openai_take.c (what
 * becomes of it) share.
 */
#ifndef MC_LLM_OPENAI_RUN_H
#define MC_LLM_OPENAI_RUN_H

#include "llm/openai_provider.h"

#define MC_OPENAI_REQUEST_BYTES ((size_t)16 * 1024 * 1024)

struct mc_openai_item {
    struct mc_llm_call *call;
    size_t max_tokens;
    bool placed; /* in a request */
    bool asked;  /* a request with it was made */
    bool again;  /* it was given another request, alone */
};

enum mc_openai_phase { MC_OPENAI_WAITING, MC_OPENAI_FLYING, MC_OPENAI_ARRIVED, MC_OPENAI_OVER };

struct mc_openai_request {
    struct mc_openai_request *next;
    struct mc_openai_run *run;
    struct mc_openai_item *items[MC_OPENAI_BATCH_MAX];
    size_t count;
    struct mc_openai_dialect dialect;
    bool no_limit; /* the server finds the limit of this one too large */
    int tries;
    int64_t not_before_us;
    /* Set to MC_OPENAI_ARRIVED by the client's thread; guarded by the run's mutex. */
    enum mc_openai_phase phase;
    uint64_t id;
    /* What arrived: written before phase. */
    enum mc_status status;
    int code;
    int64_t retry_after_us, took_us;
    char message[MC_OPENAI_REASON_SIZE];
    char *body; /* malloc */
    size_t body_len;
};

struct mc_openai_run {
    struct mc_openai *openai;
    const struct mc_llm_wait *wait;
    struct mc_arena *results;
    struct mc_arena work;
    struct mc_openai_request *requests;
    struct mc_openai_request **last;
    size_t join; /* calls in one request at most */
    size_t open; /* requests that are not over */
    size_t flying;
    int64_t tick_us; /* the next */
    mc_mutex mutex;  /* guards phase of requests that fly */
    mc_cond arrived;
};

/* A request for the items, at the end of the list; NULL when out of memory. */
struct mc_openai_request *mc_openai_add_request(struct mc_openai_run *run,
                                                struct mc_openai_item **items, size_t count);
/* Ends the request; its items, which have no answer yet, get the failure. */
void mc_openai_fail_request(struct mc_openai_request *request, const struct mc_error *err,
                            int64_t retry_at_us);
/* Whether a wait until then is too long: beyond the deadline, or beyond all patience. */
bool mc_openai_is_too_late(const struct mc_openai_run *run, int64_t until_us, int64_t now_us);
/*
 * Takes what arrived: the items get their answers, or the request waits for another try, or its items
 * get requests of their own, or they fail.
 */
void mc_openai_take(struct mc_openai_request *request);
/* Counts a request that arrived and is given up. */
void mc_openai_count_lost(struct mc_openai_request *request, enum mc_status status);

#endif
