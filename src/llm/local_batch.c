/* See llm/local_batch.h. */
#include "llm/local_batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/log.h"
#include "llm/local_room.h"

#define BATCH 512  /* tokens evaluated at once */
#define BESIDE 256 /* the same while answers wait for their next token */
#define SHORT 32   /* an answer's next tokens, not a prompt */

void mc_local_job_init(struct mc_local_job *job, const struct mc_llm_call *call)
{
    *job = (struct mc_local_job){.call = call, .confidence = -1};
    mc_list_init(&job->node);
    mc_buf_init(&job->answer, 0);
}

void mc_local_job_fini(struct mc_local_job *job)
{
    mc_local_prompt_fini(&job->prompt);
    mc_buf_fini(&job->answer);
}

/* While libllama computes: whether it should leave off, because nobody waits for any of it. */
static bool is_abandoned(void *context)
{
    const struct mc_local_batch *batch = context;
    for (size_t i = 0; i < batch->slot_count; i++) {
        const struct mc_local_job *job = batch->slots[i].job;
        if (job && !atomic_load_explicit(&job->gone, memory_order_relaxed))
            return false;
    }
    return true;
}

static enum mc_status open_context(struct mc_local_batch *batch, uint32_t n_ctx, int n_threads,
                                   struct mc_error *err)
{
    char why[400];
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = n_ctx;
    params.n_batch = BATCH;
    params.n_ubatch = BATCH;
    params.n_seq_max = (uint32_t)(batch->slot_count + MC_LOCAL_HEADS);
    params.n_threads = n_threads;
    params.n_threads_batch = n_threads;
    params.kv_unified = true;       /* or a head could not be shared */
#ifdef MC_LLAMA_HAS_FLASH_ATTN_TYPE /* before it was there, it was off unless asked for */
    /* On a CPU its kernel goes through the cells for each token: several times slower for a batch. */
    if (!llama_supports_gpu_offload())
        params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
#endif
    params.abort_callback = is_abandoned;
    params.abort_callback_data = batch;
    mc_local_log_take(why, sizeof(why));
    batch->context = llama_init_from_model(batch->model->model, params);
    mc_local_log_take(why, sizeof(why));
    if (!batch->context)
        return mc_fail_field(err, MC_CONFIG, "llm.llama_cpp.n_ctx",
                             "llama.cpp makes no context of %u tokens for '%s': %s; a smaller "
                             "one needs less memory",
                             (unsigned)n_ctx, batch->model->path, why[0] ? why : "no reason given");
    batch->memory = llama_get_memory(batch->context);
    if (!batch->memory)
        return mc_fail_field(err, MC_CONFIG, "llm.llama_cpp.model_path",
                             "'%s' (%s) keeps no memory of a text; name a chat model",
                             batch->model->path, batch->model->name);
    batch->cells = llama_n_ctx(batch->context);
    batch->most = llama_n_batch(batch->context);
    batch->tokens = llama_batch_init((int32_t)batch->most, 0, 1);
    batch->tokens_made = true;
    return MC_OK;
}

enum mc_status mc_local_batch_open(const struct mc_local_model *model, uint32_t n_ctx,
                                   int n_threads, size_t sequences, struct mc_local_batch **batch,
                                   struct mc_error *err)
{
    struct mc_local_batch *made = calloc(1, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    made->model = model;
    made->slot_count = sequences < MC_LOCAL_SLOTS_MAX ? sequences : MC_LOCAL_SLOTS_MAX;
    mc_list_init(&made->waiting);
    mc_list_init(&made->finished);
    for (size_t i = 0; i < MC_LOCAL_HEADS; i++)
        made->heads[i].sequence = (llama_seq_id)i;
    for (size_t i = 0; i < made->slot_count; i++)
        made->slots[i].sequence = (llama_seq_id)(MC_LOCAL_HEADS + i);
    enum mc_status status = mc_local_writer_init(&made->writer, model)
                                ? open_context(made, n_ctx, n_threads, err)
                                : mc_fail_memory(err);
    if (status != MC_OK) {
        mc_local_batch_close(made);
        return status;
    }
    *batch = made;
    return MC_OK;
}

void mc_local_batch_close(struct mc_local_batch *batch)
{
    if (!batch)
        return;
    for (size_t i = 0; i < MC_LOCAL_HEADS; i++)
        mc_local_tokens_fini(&batch->heads[i].tokens);
    if (batch->tokens_made)
        llama_batch_free(batch->tokens);
    if (batch->context)
        llama_free(batch->context);
    mc_local_writer_fini(&batch->writer);
    free(batch);
}

uint32_t mc_local_batch_cells(const struct mc_local_batch *batch)
{
    return (uint32_t)batch->cells;
}

bool mc_local_batch_wants(const struct mc_local_batch *batch)
{
    size_t count = batch->running;
    for (const struct mc_list *node = batch->waiting.next; node != &batch->waiting;
         node = node->next)
        count++;
    return count < batch->slot_count;
}

bool mc_local_batch_busy(const struct mc_local_batch *batch)
{
    return batch->running > 0 || !mc_list_empty(&batch->waiting) ||
           !mc_list_empty(&batch->finished);
}

static void finish_answer(struct mc_local_batch *batch, struct mc_local_slot *slot)
{
    struct mc_local_job *job = slot->job;
    job->answer = slot->answer.text;
    mc_buf_init(&slot->answer.text, 0);
    job->confidence = mc_local_answer_confidence(&slot->answer);
    job->tokens_out = slot->answer.tokens;
    mc_local_slot_finish(batch, slot, MC_OK);
}

void mc_local_batch_add(struct mc_local_batch *batch, struct mc_local_job *job)
{
    mc_local_cache_trim(&batch->writer.cache);
    enum mc_status status = mc_local_prompt_make(batch->model, &batch->writer.cache, job->call,
                                                 &job->prompt, &job->error);
    if (status == MC_OK)
        status = mc_local_job_fit(batch, job);
    if (status == MC_OK) {
        job->tokens_in = job->prompt.head.count + job->prompt.rest.count;
        mc_list_remove(&job->node);
        mc_list_push_back(&batch->waiting, &job->node);
    } else {
        mc_local_job_finish(batch, job, status);
    }
}

static enum mc_local_need go_on(struct mc_local_batch *batch, struct mc_local_slot *slot,
                                const float *logits);

/* The job in the slot: its prompt and what is certain of the answer are to be evaluated. */
static void begin(struct mc_local_batch *batch, struct mc_local_slot *slot,
                  struct mc_local_job *job, struct mc_local_head *head)
{
    size_t longest = mc_schema_longest(job->call->schema);
    size_t most = job->call->max_tokens > 0 ? job->call->max_tokens : longest;
    mc_list_remove(&job->node);
    *slot = (struct mc_local_slot){.job = job,
                                   .head = head,
                                   .sequence = slot->sequence,
                                   .begun = !head,
                                   .kept = job->prompt.rest.count + job->room,
                                   .born = ++batch->count,
                                   .logits_at = -1};
    batch->running++;
    job->attempted = true;
    mc_local_answer_start(&slot->answer, job->call->schema, most);
    if (head) {
        head->users++;
        head->used = slot->born;
    }
    const struct mc_local_tokens *rest = &job->prompt.rest;
    if (!mc_local_tokens_add(&slot->answer.pending, rest->data, rest->count)) {
        mc_local_slot_finish(batch, slot, mc_fail_memory(&job->error));
        return;
    }
    (void)go_on(batch, slot, NULL);
}

/* Begins the first waiting job when there is room; false when it must wait on. */
static bool admit(struct mc_local_batch *batch)
{
    struct mc_local_slot *slot = mc_local_room_find_slot(batch);
    if (mc_list_empty(&batch->waiting) || !slot)
        return false;
    struct mc_local_job *job = mc_container_of(batch->waiting.next, struct mc_local_job, node);
    const struct mc_local_tokens *tokens = &job->prompt.head;
    struct mc_local_head *head = tokens->count > 0 ? mc_local_room_find_head(batch, tokens) : NULL;
    bool known = head != NULL || tokens->count == 0;
    size_t need = job->prompt.rest.count + job->room + (known ? 0 : tokens->count);
    while (mc_local_room_free(batch) < need)
        if (!mc_local_room_drop_idle(batch, head))
            return false;
    if (!known) {
        head = mc_local_room_new_head(batch);
        if (!head)
            return false;
        if (!mc_local_tokens_add(&head->tokens, tokens->data, tokens->count)) {
            mc_local_job_finish(batch, job, mc_fail_memory(&job->error));
            return true;
        }
    } else if (head) {
        job->tokens_cached = tokens->count;
    }
    begin(batch, slot, job, head);
    return true;
}

/* One batch */

/* After new logits, or at the start (NULL): the answer as far as it goes without further ones. */
static enum mc_local_need go_on(struct mc_local_batch *batch, struct mc_local_slot *slot,
                                const float *logits)
{
    enum mc_local_need need = mc_local_answer_go(&batch->writer, &slot->answer, logits);
    if (need == MC_LOCAL_ASK && slot->answer.pending.count == 0) /* no token for what is certain */
        need = mc_local_answer_end(&batch->writer, &slot->answer) ? MC_LOCAL_DONE : MC_LOCAL_FAILED;
    if (need == MC_LOCAL_DONE)
        finish_answer(batch, slot);
    if (need == MC_LOCAL_FAILED)
        mc_local_slot_finish(batch, slot, mc_fail_memory(&slot->job->error));
    return need;
}

static void end_early(struct mc_local_batch *batch, struct mc_local_slot *slot)
{
    struct mc_local_job *job = slot->job;
    if (slot->cells < job->prompt.rest.count)
        mc_local_slot_finish(
            batch, slot,
            mc_fail_field(&job->error, MC_TOO_LARGE, "llm.llama_cpp.n_ctx",
                          "the question does not fit into a context of %zu tokens; raise "
                          "n_ctx",
                          batch->cells));
    else if (mc_local_answer_end(&batch->writer, &slot->answer))
        finish_answer(batch, slot);
    else
        mc_local_slot_finish(batch, slot, mc_fail_memory(&slot->job->error));
}

/* Makes sure that each running answer has cells for what it is about to add. */
static void make_room(struct mc_local_batch *batch)
{
    for (size_t i = 0; i < batch->slot_count; i++) {
        struct mc_local_slot *slot = &batch->slots[i];
        while (slot->job && slot->cells + slot->answer.pending.count > slot->kept) {
            size_t more = slot->cells + slot->answer.pending.count - slot->kept;
            if (mc_local_room_free(batch) >= more)
                slot->kept += more;
            else if (mc_local_room_drop_idle(batch, NULL))
                continue;
            else if (batch->running > 1)
                mc_local_slot_put_back(batch, mc_local_room_youngest(batch));
            else
                end_early(batch, slot);
        }
    }
}

static void drop_gone(struct mc_local_batch *batch)
{
    for (size_t i = 0; i < batch->slot_count; i++) {
        struct mc_local_slot *slot = &batch->slots[i];
        if (slot->job && atomic_load(&slot->job->gone))
            mc_local_slot_finish(batch, slot, MC_CANCELLED);
    }
    for (struct mc_list *node = batch->waiting.next; node != &batch->waiting;) {
        struct mc_local_job *job = mc_container_of(node, struct mc_local_job, node);
        node = node->next;
        if (atomic_load(&job->gone))
            mc_local_job_finish(batch, job, MC_CANCELLED);
    }
}

static void send_token(struct mc_local_batch *batch, llama_token token, size_t position,
                       llama_seq_id sequence, bool logits)
{
    struct llama_batch *tokens = &batch->tokens;
    int32_t i = tokens->n_tokens++;
    tokens->token[i] = token;
    tokens->pos[i] = (llama_pos)position;
    tokens->n_seq_id[i] = 1;
    tokens->seq_id[i][0] = sequence;
    tokens->logits[i] = logits;
}

/* Up to `room` of the slot's pending tokens; gives their number. */
static size_t send_slot(struct mc_local_batch *batch, struct mc_local_slot *slot, size_t room)
{
    const struct mc_local_tokens *pending = &slot->answer.pending;
    size_t count = pending->count < room ? pending->count : room;
    if (count > 0 && !slot->begun) {
        llama_memory_seq_cp(batch->memory, slot->head->sequence, slot->sequence, -1, -1);
        slot->at = slot->head->tokens.count;
        slot->begun = true;
    }
    for (size_t i = 0; i < count; i++)
        send_token(batch, pending->data[i], slot->at + i, slot->sequence, i + 1 == pending->count);
    slot->sent = count;
    slot->logits_at = count > 0 && count == pending->count ? batch->tokens.n_tokens - 1 : -1;
    return count;
}

static bool is_ready(const struct mc_local_slot *slot)
{
    return slot->job && (!slot->head || slot->head->done == slot->head->tokens.count);
}

/* Fills the batch: what answers wait for first, then heads and prompts in the order of their jobs. */
static void compose(struct mc_local_batch *batch)
{
    size_t room = batch->most;
    batch->tokens.n_tokens = 0;
    for (size_t i = 0; i < batch->slot_count; i++) {
        struct mc_local_slot *slot = &batch->slots[i];
        slot->sent = 0;
        if (is_ready(slot) && slot->answer.pending.count <= SHORT)
            room -= send_slot(batch, slot, room);
    }
    if (batch->tokens.n_tokens > 0 && room > BESIDE)
        room = BESIDE;
    for (size_t i = 0; i < MC_LOCAL_HEADS; i++) {
        struct mc_local_head *head = &batch->heads[i];
        size_t left = head->tokens.count - head->done;
        size_t count = left < room ? left : room;
        for (size_t j = 0; j < count; j++)
            send_token(batch, head->tokens.data[head->done + j], head->done + j, head->sequence,
                       false);
        batch->head_sent[i] = count;
        room -= count;
    }
    for (size_t i = 0; i < batch->slot_count; i++) {
        struct mc_local_slot *slot = &batch->slots[i];
        if (is_ready(slot) && slot->answer.pending.count > SHORT && room > 0)
            room -= send_slot(batch, slot, room);
    }
}

static void take_results(struct mc_local_batch *batch)
{
    for (size_t i = 0; i < MC_LOCAL_HEADS; i++)
        batch->heads[i].done += batch->head_sent[i];
    for (size_t i = 0; i < batch->slot_count; i++) {
        struct mc_local_slot *slot = &batch->slots[i];
        if (!slot->job || slot->sent == 0)
            continue;
        slot->at += slot->sent;
        slot->cells += slot->sent;
        mc_local_tokens_drop(&slot->answer.pending, slot->sent);
        slot->sent = 0;
        if (slot->logits_at < 0)
            continue;
        const float *logits = llama_get_logits_ith(batch->context, slot->logits_at);
        if (logits)
            (void)go_on(batch, slot, logits);
        else
            mc_local_slot_finish(
                batch, slot, mc_fail(&slot->job->error, MC_INTERNAL, "llama.cpp gave no logits"));
    }
}

/* There are cells enough by our count, but libllama found them unfit: fewer jobs at once. */
static void retreat(struct mc_local_batch *batch)
{
    if (mc_local_room_drop_idle(batch, NULL))
        return;
    struct mc_local_slot *youngest = mc_local_room_youngest(batch);
    if (batch->running > 1)
        mc_local_slot_put_back(batch, youngest);
    else if (youngest)
        end_early(batch, youngest);
}

/* What libllama holds is unknown now: everything begins anew. */
static void start_over(struct mc_local_batch *batch, int32_t code)
{
    char why[400];
    mc_local_log_take(why, sizeof(why));
    mc_log(MC_LOG_ERROR, "llm", "llama.cpp failed with %d: %s", (int)code, why);
    for (size_t i = 0; i < batch->slot_count; i++) {
        struct mc_local_slot *slot = &batch->slots[i];
        if (slot->job)
            mc_local_slot_finish(batch, slot,
                                 mc_fail(&slot->job->error, MC_INTERNAL,
                                         "llama.cpp failed to evaluate a batch (%d): %s", (int)code,
                                         why[0] ? why : "no reason given"));
    }
    for (size_t i = 0; i < MC_LOCAL_HEADS; i++)
        mc_local_head_forget(batch, &batch->heads[i]);
    llama_memory_clear(batch->memory, false);
}

/* Nobody waited for what was being evaluated. What part of it was done does not matter. */
static void leave_off(struct mc_local_batch *batch)
{
    drop_gone(batch);
    for (size_t i = 0; i < batch->slot_count; i++)
        if (batch->slots[i].job)
            mc_local_slot_put_back(batch, &batch->slots[i]);
}

bool mc_local_batch_step(struct mc_local_batch *batch, struct mc_list *finished)
{
    int32_t code = 0;
    drop_gone(batch);
    while (admit(batch))
        continue;
    make_room(batch);
    compose(batch);
    if (batch->tokens.n_tokens > 0) {
        code = llama_decode(batch->context, batch->tokens);
        if (code == 0)
            take_results(batch);
        else if (code == 1)
            retreat(batch);
        else if (code == 2)
            leave_off(batch);
        else
            start_over(batch, code);
    }
    while (!mc_list_empty(&batch->finished)) {
        struct mc_list *node = batch->finished.next;
        mc_list_remove(node);
        mc_list_push_back(finished, node);
    }
    return code >= 0;
}
