/* See llm/local_room.h. */
#include "llm/local_room.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/error.h"

#define LEAST_TURN 16
#define LEAST_ANSWER 64

void mc_local_job_finish(struct mc_local_batch *batch, struct mc_local_job *job,
                         enum mc_status status)
{
    job->status = status;
    mc_local_prompt_fini(&job->prompt);
    mc_list_remove(&job->node);
    mc_list_push_back(&batch->finished, &job->node);
}

void mc_local_head_forget(struct mc_local_batch *batch, struct mc_local_head *head)
{
    llama_memory_seq_rm(batch->memory, head->sequence, -1, -1);
    mc_local_tokens_fini(&head->tokens);
    head->done = 0;
}

/* The slot is free again, its job is nowhere. */
static struct mc_local_job *leave_slot(struct mc_local_batch *batch, struct mc_local_slot *slot)
{
    struct mc_local_job *job = slot->job;
    llama_memory_seq_rm(batch->memory, slot->sequence, -1, -1);
    mc_local_answer_fini(&slot->answer);
    if (slot->head && --slot->head->users == 0 && slot->head->done < slot->head->tokens.count)
        mc_local_head_forget(batch, slot->head);
    slot->job = NULL;
    slot->head = NULL;
    slot->sent = 0;
    batch->running--;
    return job;
}

void mc_local_slot_finish(struct mc_local_batch *batch, struct mc_local_slot *slot,
                          enum mc_status status)
{
    mc_local_job_finish(batch, leave_slot(batch, slot), status);
}

void mc_local_slot_put_back(struct mc_local_batch *batch, struct mc_local_slot *slot)
{
    struct mc_local_job *job = leave_slot(batch, slot);
    mc_list_push_front(&batch->waiting, &job->node);
}

/* Cells for an answer before it is known how long it gets: most are far below the longest possible. */
static size_t likely_answer(const struct mc_llm_call *call)
{
    size_t likely = mc_schema_longest(call->schema) / 8;
    if (call->max_tokens > 0 && likely > call->max_tokens)
        likely = call->max_tokens;
    return likely < LEAST_ANSWER ? LEAST_ANSWER : likely;
}

/* The cells with which `asked` and the room for an answer fit: as much as is likely, or a quarter of all. */
static size_t fitting_cells(size_t asked, size_t likely)
{
    size_t whole = asked + likely, quarter = asked + asked / 3 + 1;
    return ((whole < quarter ? whole : quarter) + 255) / 256 * 256;
}

enum mc_status mc_local_job_fit(struct mc_local_batch *batch, struct mc_local_job *job)
{
    struct mc_local_prompt *prompt = &job->prompt;
    size_t likely = likely_answer(job->call), most = batch->cells / 4;
    job->room = likely < most ? likely : most;
    size_t instructions = prompt->head.count + prompt->rest.count - prompt->last_count;
    size_t others = instructions + job->room;
    size_t least = prompt->last_count < LEAST_TURN ? prompt->last_count : LEAST_TURN;
    if (others + least > batch->cells)
        return mc_fail_field(&job->error, MC_TOO_LARGE, "llm.llama_cpp.n_ctx",
                             "the instructions take %zu tokens, which with an answer do not fit "
                             "into a context of %zu; set llm.llama_cpp.n_ctx to %zu or more",
                             instructions, batch->cells,
                             fitting_cells(instructions + least, likely));
    if (prompt->last_count <= batch->cells - others)
        return MC_OK;
    job->truncated = true;
    return mc_local_prompt_cut(batch->model, prompt, batch->cells - others)
               ? MC_OK
               : mc_fail_memory(&job->error);
}

size_t mc_local_room_free(const struct mc_local_batch *batch)
{
    size_t used = 0;
    for (size_t i = 0; i < MC_LOCAL_HEADS; i++)
        used += batch->heads[i].tokens.count;
    for (size_t i = 0; i < batch->slot_count; i++)
        used += batch->slots[i].job ? batch->slots[i].kept : 0;
    return used < batch->cells ? batch->cells - used : 0;
}

bool mc_local_room_drop_idle(struct mc_local_batch *batch, const struct mc_local_head *spare)
{
    struct mc_local_head *oldest = NULL;
    for (size_t i = 0; i < MC_LOCAL_HEADS; i++) {
        struct mc_local_head *head = &batch->heads[i];
        if (head != spare && head->tokens.count > 0 && head->users == 0 &&
            (!oldest || head->used < oldest->used))
            oldest = head;
    }
    if (oldest)
        mc_local_head_forget(batch, oldest);
    return oldest != NULL;
}

struct mc_local_head *mc_local_room_find_head(struct mc_local_batch *batch,
                                              const struct mc_local_tokens *tokens)
{
    for (size_t i = 0; i < MC_LOCAL_HEADS; i++) {
        struct mc_local_head *head = &batch->heads[i];
        if (head->tokens.count == tokens->count &&
            memcmp(head->tokens.data, tokens->data, tokens->count * sizeof(llama_token)) == 0)
            return head;
    }
    return NULL;
}

struct mc_local_head *mc_local_room_new_head(struct mc_local_batch *batch)
{
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < MC_LOCAL_HEADS; i++)
            if (batch->heads[i].tokens.count == 0)
                return &batch->heads[i];
        if (!mc_local_room_drop_idle(batch, NULL))
            break;
    }
    return NULL;
}

struct mc_local_slot *mc_local_room_find_slot(struct mc_local_batch *batch)
{
    for (size_t i = 0; i < batch->slot_count; i++)
        if (!batch->slots[i].job)
            return &batch->slots[i];
    return NULL;
}

struct mc_local_slot *mc_local_room_youngest(struct mc_local_batch *batch)
{
    struct mc_local_slot *youngest = NULL;
    for (size_t i = 0; i < batch->slot_count; i++) {
        struct mc_local_slot *slot = &batch->slots[i];
        if (slot->job && (!youngest || slot->born > youngest->born))
            youngest = slot;
    }
    return youngest;
}
