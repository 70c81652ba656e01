/*
 * The context of a local model: running calls as sequences of one batch. Private to src/llm/local*.c.
 *
 * One thread owns it. A job is given to it (mc_local_batch_add), is worked on by steps, and comes out of
 * the list of finished ones. Each step evaluates one batch: the few tokens that running answers wait
 * for, and behind them a part of prompts that are still being read, so that these hold nobody up.
 *
 * The cells of the context are shared by all sequences. The head of a prompt (system text) is kept in a
 * sequence of its own after its first use and is shared by those that begin with it; the head used
 * longest ago makes room for another. A job waits until its prompt and a likely answer fit. When an
 * answer needs more than there is, the youngest job is put back; alone in the context it is ended early.
 */
#ifndef MC_LLM_LOCAL_BATCH_H
#define MC_LLM_LOCAL_BATCH_H

#include <stdatomic.h>

#include "base/list.h"
#include "llm/local_answer.h"
#include "llm/local_prompt.h"

struct mc_local_job {
    struct mc_list node;
    const struct mc_llm_call *call;
    atomic_bool gone; /* nobody waits for it any more: given up at the next opportunity */
    /* The outcome. */
    enum mc_status status;
    struct mc_error error;
    struct mc_buf answer;
    double confidence;
    bool truncated;
    bool attempted; /* the model has been asked */
    size_t tokens_in, tokens_cached, tokens_out;
    /* The batch's own. */
    struct mc_local_prompt prompt;
    size_t room; /* tokens kept free for the answer at first */
    /* The caller's own. */
    bool taken, done;
    int64_t done_us;
};
void mc_local_job_init(struct mc_local_job *job, const struct mc_llm_call *call);
void mc_local_job_fini(struct mc_local_job *job);

struct mc_local_batch;
/* MC_CONFIG when libllama makes no context of the size, MC_NO_MEMORY. */
MC_MUST_CHECK enum mc_status mc_local_batch_open(const struct mc_local_model *model, uint32_t n_ctx,
                                                 int n_threads, size_t sequences,
                                                 struct mc_local_batch **batch,
                                                 struct mc_error *err);
void mc_local_batch_close(struct mc_local_batch *batch); /* accepts NULL */
uint32_t mc_local_batch_cells(const struct mc_local_batch *batch);

/* Whether another job might begin soon; and whether there is work to do. */
bool mc_local_batch_wants(const struct mc_local_batch *batch);
bool mc_local_batch_busy(const struct mc_local_batch *batch);
/* The job stays where it is until it comes out at `finished`, if only because it cannot be done. */
void mc_local_batch_add(struct mc_local_batch *batch, struct mc_local_job *job);
/* One batch. Finished jobs are moved to the end of the list `finished`; false: libllama failed. */
bool mc_local_batch_step(struct mc_local_batch *batch, struct mc_list *finished);

#endif
