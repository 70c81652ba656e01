/*
 * Models: one interface over a local model (llama.h), an OpenAI-compatible service (openai.h), and the
 * chain that tries several in order (chain.h), which is itself a model.
 *
 * A call is one question with the shape of its answer. `generate` answers several at once and returns
 * when each has its answer or its failure; any number of threads may generate at the same time, and a
 * provider serves them all together: the local model as sequences of one batch, a service through shared
 * connections.
 */
#ifndef MC_LLM_LLM_H
#define MC_LLM_LLM_H

#include "base/arena.h"
#include "llm/schema.h"

/* What a call is for, with its name in the ledger and in metrics. */
#define MC_LLM_OPERATION_MAP(X)                                                                    \
    X(ENRICH, "enrich")                                                                            \
    X(CONTEXT, "context")                                                                          \
    X(SUMMARY, "summary")                                                                          \
    X(CHECK, "check")                                                                              \
    X(EMBED, "embed")
enum mc_llm_operation {
#define MC_LLM_OPERATION_ENUM(name, text) MC_LLM_##name,
    MC_LLM_OPERATION_MAP(MC_LLM_OPERATION_ENUM)
#undef MC_LLM_OPERATION_ENUM
        MC_LLM_OPERATION_COUNT
};
const char *mc_llm_operation_name(enum mc_llm_operation operation);

struct mc_llm_turn {
    bool by_model; /* said by the model (an earlier answer), else by us */
    mc_str text;   /* data: nothing in it is read as a control token of the model */
};

struct mc_llm_usage {
    int64_t calls;     /* requests made; a share of one where several calls went together */
    int64_t failures;  /* of these; a cancelled one is none */
    int64_t tokens_in; /* cached ones included */
    int64_t tokens_cached;
    int64_t tokens_out;
    int64_t took_us;
    double cost_usd;
};
void mc_llm_usage_add(struct mc_llm_usage *sum, const struct mc_llm_usage *more);

/*
 * Whether an answer, a JSON object, is of use; MC_OK or why not. Pure, any thread. An answer that is
 * refused is asked for once more, alone.
 */
typedef enum mc_status (*mc_llm_accept_fn)(const void *context, mc_str answer,
                                           struct mc_error *err);

struct mc_llm_call {
    /* The question; all borrowed, unchanged until generate returns. */
    enum mc_llm_operation operation;
    mc_str system; /* the same for every call of a kind: a local model reads it once */
    const struct mc_llm_turn *turns; /* the last one is ours */
    size_t turn_count;
    const struct mc_schema *schema;
    size_t
        max_tokens; /* of the answer, 0: what the schema needs at most, within the context window */
    bool joinable;  /* one turn, and independent: a remote model may get several in one request */
    mc_llm_accept_fn accept; /* may be NULL */
    const void *accept_context;
    /* The outcome. */
    enum mc_status status;
    struct mc_error error;
    mc_str answer;     /* a JSON object, strict UTF-8; in the arena; of MC_LLM_EMBED see below */
    double confidence; /* geometric mean of the probabilities of the values chosen; -1: unknown */
    bool truncated;    /* the last turn was cut to what fits */
    const char *provider; /* "llama_cpp", "openai"; NULL when none answered */
    mc_str model;         /* in the arena; of a failure empty where it is not known */
    /* Why earlier providers of a chain did not answer: "llama_cpp: ...; openai: ..."; may be empty. */
    mc_str passed_over;
    int64_t retry_at_us; /* after a failure: not before (monotonic), 0: no matter */
    /*
     * After a failure that came with an attempt: the provider is out of order (its circuit is open by now, or it
     * limits requests), so that the failure says nothing of the question.
     */
    bool out_of_order;
    bool
        no_attempt; /* after a failure: no model was asked (circuit open, cap reached, cancelled) */
    struct mc_llm_usage usage; /* of this call, failed requests included */
};

/*
 * Vectors. A model that was opened for embeddings answers calls of MC_LLM_EMBED and no others: one turn, whose
 * text is what is embedded; no system text, no schema. The answer is its numbers, a float each, as
 * the model gave them. Calls that are joinable are work in the background: where all share one
 * processor they stand back behind those that are not.
 */
static inline size_t mc_llm_vector_dimension(const struct mc_llm_call *call)
{
    return call->answer.len / sizeof(float);
}

/*
 * How long to wait. tick is called by the waiting thread about every second and at the start (renew leases, look
 * whether to stop): false cancels what is unfinished, with MC_CANCELLED.
 */
struct mc_llm_wait {
    int64_t deadline_us;         /* monotonic, 0: none; unfinished calls get MC_TIMEOUT */
    bool (*tick)(void *context); /* may be NULL */
    void *context;
};

/* One provider as people see it. Strings live as long as the provider unless said otherwise. */
struct mc_llm_state {
    const char *provider;
    /* "ready", "loading", "not loaded", "open" (circuit), "half_open", "capped", "failed" */
    const char *state;
    char model[128];
    /* Why not, or a warning: "n_gpu_layers: this build has no GPU"; "" when none. */
    char detail[256];
    int64_t context_tokens; /* 0: unknown */
    size_t parallel;
    struct mc_llm_usage total; /* since opening */
    double tokens_out_per_s;   /* seen lately, 0: none yet */
    double latency_us;         /* of a call, lately (mean), 0: none yet */
    int64_t retry_at_us;       /* circuit open: when it is probed, monotonic; 0: not */
    char last_error[256];
    int64_t last_error_us; /* wall clock */
};

/*
 * Statuses of calls: MC_TIMEOUT, MC_UNAVAILABLE (connection, 5xx, circuit), MC_RATE_LIMITED: passing, another
 * try may help. MC_INVALID: no usable answer. MC_UNAUTHENTICATED, MC_CONFIG: it needs a person.
 * MC_TOO_LARGE: does not fit the context window. MC_CANCELLED, MC_NO_MEMORY.
 */
struct mc_llm;
struct mc_llm_ops {
    const char *name;
    /* No call may be running. */
    void (*close)(struct mc_llm *llm);
    /* Sets the outcome of each call. */
    void (*generate)(struct mc_llm *llm, struct mc_llm_call *calls, size_t count,
                     const struct mc_llm_wait *wait, struct mc_arena *arena);
    /* Tokens of a text by the model's own tokenizer; false when it has none here. */
    bool (*count_tokens)(struct mc_llm *llm, mc_str text, size_t *tokens);
    /* The states of the provider, or of those in a chain; at most `max`, gives their number. */
    size_t (*describe)(struct mc_llm *llm, struct mc_llm_state *states, size_t max);
};
struct mc_llm {
    const struct mc_llm_ops *ops;
    size_t parallel; /* calls at once that one thread should hand over for full speed */
};

/* Whether a failed call may succeed later without a person's help. */
bool mc_llm_may_pass(enum mc_status status);

#endif
