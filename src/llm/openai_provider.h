/* The openai provider: what openai.c (opening, states) and openai_run.c (answering) share. */
#ifndef MC_LLM_OPENAI_PROVIDER_H
#define MC_LLM_OPENAI_PROVIDER_H

#include "base/thread.h"
#include "llm/openai.h"
#include "llm/openai_wire.h"
#include "net/http.h"

struct mc_openai {
    struct mc_llm llm;
    struct mc_net *net;
    char *api_key;       /* "" for none */
    char *authorization; /* the header, "" for none */
    char *url;
    char *place; /* base_url without user and password, for messages */
    char *model;
    bool in_clear; /* the key travels over plain http to another machine */
    int64_t timeout_us;
    int max_retries;
    size_t batch;
    size_t in_flight;
    double price_in, price_out;
    bool embeddings;
    int64_t dimensions;

    mc_mutex mutex;                   /* guards what follows */
    struct mc_openai_dialect dialect; /* what the server takes, as far as is known */
    int64_t pause_until_us;           /* monotonic: the server wants no request before; 0: none */
    enum mc_status pause_status;
    bool failed;      /* the last request says that a person must act */
    size_t join;      /* calls in one request at most, now: 1..batch */
    size_t join_good; /* requests of that many that went well since it changed */
    struct mc_llm_usage total;
    double latency_us;
    double tokens_per_s;
    char last_error[256];
    int64_t last_error_us;
};

/* What options of it begin with. */
const char *mc_openai_section(bool embeddings);

void mc_openai_generate(struct mc_llm *llm, struct mc_llm_call *calls, size_t count,
                        const struct mc_llm_wait *wait, struct mc_arena *arena);

/* Copies text as a line in which the key, and a beginning of it at the end, is replaced by "***". */
void mc_openai_scrub(const struct mc_openai *openai, const char *text,
                     char line[MC_OPENAI_REASON_SIZE]);

/* What one request came to, for the state and the dialect. */
struct mc_openai_outcome {
    enum mc_status status;
    const char *message; /* without secrets, NULL when MC_OK */
    size_t count;        /* of calls in the request */
    bool too_many;       /* these were too many for the time or the tokens there are */
    struct mc_llm_usage usage;
    const struct mc_openai_dialect *taken; /* by the server; NULL when it is not known */
    int64_t pause_until_us;                /* 0: none */
};
void mc_openai_note(struct mc_openai *openai, const struct mc_openai_outcome *outcome);

#endif
