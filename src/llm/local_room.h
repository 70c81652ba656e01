/*
 * Who has which cells of a local model's context: running jobs and the heads of their prompts. Inside of
 * local_batch.c and local_room.c.
 */
#ifndef MC_LLM_LOCAL_ROOM_H
#define MC_LLM_LOCAL_ROOM_H

#include "llm/local_batch.h"

#define MC_LOCAL_HEADS 3
#define MC_LOCAL_SLOTS_MAX 64

/* The evaluated head of prompts. */
struct mc_local_head {
    struct mc_local_tokens tokens; /* none: free */
    llama_seq_id sequence;
    size_t done; /* tokens evaluated */
    size_t users;
    uint64_t used; /* when, by the batch's count of jobs */
};

struct mc_local_slot {
    struct mc_local_job *job;   /* NULL: free */
    struct mc_local_head *head; /* NULL: the prompt has none */
    llama_seq_id sequence;
    bool begun;    /* it has the head's cells */
    size_t at;     /* the next position */
    size_t cells;  /* of its own */
    size_t kept;   /* cells that are kept for it */
    uint64_t born; /* order of admission */
    struct mc_local_answer answer;
    size_t sent; /* pending tokens in the batch being evaluated */
    int32_t logits_at;
};

struct mc_local_batch {
    const struct mc_local_model *model;
    struct llama_context *context;
    llama_memory_t memory;
    struct llama_batch tokens;
    bool tokens_made;
    struct mc_local_writer writer;
    size_t cells;
    size_t most; /* tokens in one batch */
    struct mc_local_head heads[MC_LOCAL_HEADS];
    size_t head_sent[MC_LOCAL_HEADS];
    struct mc_local_slot slots[MC_LOCAL_SLOTS_MAX];
    size_t slot_count, running;
    struct mc_list waiting; /* jobs with their prompts made */
    struct mc_list finished;
    uint64_t count;
};

/* The job is nowhere before, or waits; it comes out with the status. */
void mc_local_job_finish(struct mc_local_batch *batch, struct mc_local_job *job,
                         enum mc_status status);
/*
 * Decides how much room the job's answer gets at first, and cuts the last turn to what fits when the job is
 * alone. MC_TOO_LARGE when the rest of the prompt alone does not.
 */
MC_MUST_CHECK enum mc_status mc_local_job_fit(struct mc_local_batch *batch,
                                              struct mc_local_job *job);

/* The slot is free after these; its job comes out with the status, or waits again as the first. */
void mc_local_slot_finish(struct mc_local_batch *batch, struct mc_local_slot *slot,
                          enum mc_status status);
void mc_local_slot_put_back(struct mc_local_batch *batch, struct mc_local_slot *slot);

void mc_local_head_forget(struct mc_local_batch *batch, struct mc_local_head *head);

/* Cells that nobody has and that are kept for nobody. */
size_t mc_local_room_free(const struct mc_local_batch *batch);
/* Forgets the head that has been idle longest, not `spare`; false when none is idle. */
bool mc_local_room_drop_idle(struct mc_local_batch *batch, const struct mc_local_head *spare);
/* The head of these tokens, NULL when there is none; and an empty one, NULL while all are in use. */
struct mc_local_head *mc_local_room_find_head(struct mc_local_batch *batch,
                                              const struct mc_local_tokens *tokens);
struct mc_local_head *mc_local_room_new_head(struct mc_local_batch *batch);
/* A free slot, and the one that was taken last; NULL when there is none. */
struct mc_local_slot *mc_local_room_find_slot(struct mc_local_batch *batch);
struct mc_local_slot *mc_local_room_youngest(struct mc_local_batch *batch);

#endif
