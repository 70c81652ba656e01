/* See llm/local_batch.h. */
#include "llm/local_batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/log.h"

#define HEADS 3
#define BATCH 512  /* tokens evaluated at once */
#define BESIDE 256 /* the same while answers wait for their next token */
#define SHORT 32   /* an answer's next tokens, not a prompt */
#define LEAST_TURN 16
#define LEAST_ANSWER 64
#define SEQUENCES_MAX 64

/* The evaluated head of prompts. */
struct head {
    struct mc_local_tokens tokens; /* none: free */
    llama_seq_id sequence;
    size_t done; /* tokens evaluated */
    size_t users;
    uint64_t used; /* when, by the batch's count of jobs */
};

struct slot {
    struct mc_local_job *job; /* NULL: free */
    struct head *head;        /* NULL: the prompt has none */
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
    struct head heads[HEADS];
    size_t head_sent[HEADS];
    struct slot slots[SEQUENCES_MAX];
    size_t slot_count, running;
    struct mc_list waiting; /* jobs with their prompts made */
    struct mc_list finished;
    uint64_t count;
};

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
    params.n_seq_max = (uint32_t)(batch->slot_count + HEADS);
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
    made->slot_count = sequences < SEQUENCES_MAX ? sequences : SEQUENCES_MAX;
    mc_list_init(&made->waiting);
    mc_list_init(&made->finished);
    for (size_t i = 0; i < HEADS; i++)
        made->heads[i].sequence = (llama_seq_id)i;
    for (size_t i = 0; i < made->slot_count; i++)
        made->slots[i].sequence = (llama_seq_id)(HEADS + i);
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
    for (size_t i = 0; i < HEADS; i++)
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
    return mc_list_empty(&batch->waiting) && batch->running < batch->slot_count;
}

bool mc_local_batch_busy(const struct mc_local_batch *batch)
{
    return batch->running > 0 || !mc_list_empty(&batch->waiting) ||
           !mc_list_empty(&batch->finished);
}

/* Jobs and their sequences */

static void finish(struct mc_local_batch *batch, struct mc_local_job *job, enum mc_status status)
{
    job->status = status;
    mc_local_prompt_fini(&job->prompt);
    mc_list_remove(&job->node);
    mc_list_push_back(&batch->finished, &job->node);
}

static void forget_head(struct mc_local_batch *batch, struct head *head)
{
    llama_memory_seq_rm(batch->memory, head->sequence, -1, -1);
    mc_local_tokens_fini(&head->tokens);
    head->done = 0;
}

/* The slot is free again, its job is nowhere. */
static struct mc_local_job *leave_slot(struct mc_local_batch *batch, struct slot *slot)
{
    struct mc_local_job *job = slot->job;
    llama_memory_seq_rm(batch->memory, slot->sequence, -1, -1);
    mc_local_answer_fini(&slot->answer);
    if (slot->head && --slot->head->users == 0 && slot->head->done < slot->head->tokens.count)
        forget_head(batch, slot->head);
    slot->job = NULL;
    slot->head = NULL;
    slot->sent = 0;
    batch->running--;
    return job;
}

static void fail_slot(struct mc_local_batch *batch, struct slot *slot, enum mc_status status)
{
    finish(batch, leave_slot(batch, slot), status);
}

static void put_back(struct mc_local_batch *batch, struct slot *slot)
{
    struct mc_local_job *job = leave_slot(batch, slot);
    mc_list_push_front(&batch->waiting, &job->node);
}

static void finish_answer(struct mc_local_batch *batch, struct slot *slot)
{
    struct mc_local_job *job = slot->job;
    job->answer = slot->answer.text;
    mc_buf_init(&slot->answer.text, 0);
    job->confidence = mc_local_answer_confidence(&slot->answer);
    job->tokens_out = slot->answer.tokens;
    fail_slot(batch, slot, MC_OK);
}

/* Taking jobs */

/* Cells for an answer before it is known how long it gets: most are far below the longest possible. */
static size_t likely_answer(const struct mc_local_batch *batch, const struct mc_llm_call *call)
{
    size_t likely = mc_schema_longest(call->schema) / 8;
    size_t most = batch->cells / 4;
    if (call->max_tokens > 0 && likely > call->max_tokens)
        likely = call->max_tokens;
    if (likely < LEAST_ANSWER)
        likely = LEAST_ANSWER;
    return likely < most ? likely : most;
}

/* Cuts the last turn to what fits when the job is alone. */
static enum mc_status fit(struct mc_local_batch *batch, struct mc_local_job *job)
{
    struct mc_local_prompt *prompt = &job->prompt;
    job->room = likely_answer(batch, job->call);
    size_t others = prompt->head.count + prompt->rest.count - prompt->last_count + job->room;
    size_t least = prompt->last_count < LEAST_TURN ? prompt->last_count : LEAST_TURN;
    if (others + least > batch->cells)
        return mc_fail_field(&job->error, MC_TOO_LARGE, "llm.llama_cpp.n_ctx",
                             "the instructions take %zu tokens, which with an answer do not fit "
                             "into a context of %zu; set n_ctx to %zu or more",
                             others - job->room, batch->cells, (others + least + 255) / 256 * 256);
    if (prompt->last_count <= batch->cells - others)
        return MC_OK;
    job->truncated = true;
    return mc_local_prompt_cut(batch->model, prompt, batch->cells - others)
               ? MC_OK
               : mc_fail_memory(&job->error);
}

void mc_local_batch_add(struct mc_local_batch *batch, struct mc_local_job *job)
{
    mc_local_cache_trim(&batch->writer.cache);
    enum mc_status status = mc_local_prompt_make(batch->model, &batch->writer.cache, job->call,
                                                 &job->prompt, &job->error);
    if (status == MC_OK)
        status = fit(batch, job);
    if (status == MC_OK) {
        job->tokens_in = job->prompt.head.count + job->prompt.rest.count;
        mc_list_remove(&job->node);
        mc_list_push_back(&batch->waiting, &job->node);
    } else {
        finish(batch, job, status);
    }
}

static size_t free_cells(const struct mc_local_batch *batch)
{
    size_t used = 0;
    for (size_t i = 0; i < HEADS; i++)
        used += batch->heads[i].tokens.count;
    for (size_t i = 0; i < batch->slot_count; i++)
        used += batch->slots[i].job ? batch->slots[i].kept : 0;
    return used < batch->cells ? batch->cells - used : 0;
}

/* Forgets the head that has been idle longest, not `spare`; false when none is idle. */
static bool drop_idle_head(struct mc_local_batch *batch, const struct head *spare)
{
    struct head *oldest = NULL;
    for (size_t i = 0; i < HEADS; i++) {
        struct head *head = &batch->heads[i];
        if (head != spare && head->tokens.count > 0 && head->users == 0 &&
            (!oldest || head->used < oldest->used))
            oldest = head;
    }
    if (oldest)
        forget_head(batch, oldest);
    return oldest != NULL;
}

static struct head *find_head(struct mc_local_batch *batch, const struct mc_local_tokens *tokens)
{
    for (size_t i = 0; i < HEADS; i++) {
        struct head *head = &batch->heads[i];
        if (head->tokens.count == tokens->count &&
            memcmp(head->tokens.data, tokens->data, tokens->count * sizeof(llama_token)) == 0)
            return head;
    }
    return NULL;
}

/* A place for a new head; NULL while all are in use. */
static struct head *find_free_head(struct mc_local_batch *batch)
{
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < HEADS; i++)
            if (batch->heads[i].tokens.count == 0)
                return &batch->heads[i];
        if (!drop_idle_head(batch, NULL))
            break;
    }
    return NULL;
}

static struct slot *find_free_slot(struct mc_local_batch *batch)
{
    for (size_t i = 0; i < batch->slot_count; i++)
        if (!batch->slots[i].job)
            return &batch->slots[i];
    return NULL;
}

static enum mc_local_need go_on(struct mc_local_batch *batch, struct slot *slot,
                                const float *logits);

/* The job in the slot: its prompt and what is certain of the answer are to be evaluated. */
static void begin(struct mc_local_batch *batch, struct slot *slot, struct mc_local_job *job,
                  struct head *head)
{
    size_t longest = mc_schema_longest(job->call->schema);
    size_t most = job->call->max_tokens > 0 ? job->call->max_tokens : longest;
    mc_list_remove(&job->node);
    *slot = (struct slot){.job = job,
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
        fail_slot(batch, slot, mc_fail_memory(&job->error));
        return;
    }
    (void)go_on(batch, slot, NULL);
}

/* Begins the first waiting job when there is room; false when it must wait on. */
static bool admit(struct mc_local_batch *batch)
{
    struct slot *slot = find_free_slot(batch);
    if (mc_list_empty(&batch->waiting) || !slot)
        return false;
    struct mc_local_job *job = mc_container_of(batch->waiting.next, struct mc_local_job, node);
    const struct mc_local_tokens *tokens = &job->prompt.head;
    struct head *head = tokens->count > 0 ? find_head(batch, tokens) : NULL;
    bool known = head != NULL || tokens->count == 0;
    size_t need = job->prompt.rest.count + job->room + (known ? 0 : tokens->count);
    while (free_cells(batch) < need)
        if (!drop_idle_head(batch, head))
            return false;
    if (!known) {
        head = find_free_head(batch);
        if (!head)
            return false;
        if (!mc_local_tokens_add(&head->tokens, tokens->data, tokens->count)) {
            finish(batch, job, mc_fail_memory(&job->error));
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
static enum mc_local_need go_on(struct mc_local_batch *batch, struct slot *slot,
                                const float *logits)
{
    enum mc_local_need need = mc_local_answer_go(&batch->writer, &slot->answer, logits);
    if (need == MC_LOCAL_ASK && slot->answer.pending.count == 0) /* no token for what is certain */
        need = mc_local_answer_end(&batch->writer, &slot->answer) ? MC_LOCAL_DONE : MC_LOCAL_FAILED;
    if (need == MC_LOCAL_DONE)
        finish_answer(batch, slot);
    if (need == MC_LOCAL_FAILED)
        fail_slot(batch, slot, mc_fail_memory(&slot->job->error));
    return need;
}

static struct slot *find_youngest(struct mc_local_batch *batch)
{
    struct slot *youngest = NULL;
    for (size_t i = 0; i < batch->slot_count; i++) {
        struct slot *slot = &batch->slots[i];
        if (slot->job && (!youngest || slot->born > youngest->born))
            youngest = slot;
    }
    return youngest;
}

static void end_early(struct mc_local_batch *batch, struct slot *slot)
{
    struct mc_local_job *job = slot->job;
    if (slot->cells < job->prompt.rest.count)
        fail_slot(batch, slot,
                  mc_fail_field(&job->error, MC_TOO_LARGE, "llm.llama_cpp.n_ctx",
                                "the question does not fit into a context of %zu tokens; raise "
                                "n_ctx",
                                batch->cells));
    else if (mc_local_answer_end(&batch->writer, &slot->answer))
        finish_answer(batch, slot);
    else
        fail_slot(batch, slot, mc_fail_memory(&slot->job->error));
}

/* Makes sure that each running answer has cells for what it is about to add. */
static void make_room(struct mc_local_batch *batch)
{
    for (size_t i = 0; i < batch->slot_count; i++) {
        struct slot *slot = &batch->slots[i];
        while (slot->job && slot->cells + slot->answer.pending.count > slot->kept) {
            size_t more = slot->cells + slot->answer.pending.count - slot->kept;
            if (free_cells(batch) >= more)
                slot->kept += more;
            else if (drop_idle_head(batch, NULL))
                continue;
            else if (batch->running > 1)
                put_back(batch, find_youngest(batch));
            else
                end_early(batch, slot);
        }
    }
}

static void drop_gone(struct mc_local_batch *batch)
{
    for (size_t i = 0; i < batch->slot_count; i++) {
        struct slot *slot = &batch->slots[i];
        if (slot->job && atomic_load(&slot->job->gone))
            fail_slot(batch, slot, MC_CANCELLED);
    }
    for (struct mc_list *node = batch->waiting.next; node != &batch->waiting;) {
        struct mc_local_job *job = mc_container_of(node, struct mc_local_job, node);
        node = node->next;
        if (atomic_load(&job->gone))
            finish(batch, job, MC_CANCELLED);
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
static size_t send_slot(struct mc_local_batch *batch, struct slot *slot, size_t room)
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

static bool is_ready(const struct slot *slot)
{
    return slot->job && (!slot->head || slot->head->done == slot->head->tokens.count);
}

/* Fills the batch: what answers wait for first, then heads and prompts in the order of their jobs. */
static void compose(struct mc_local_batch *batch)
{
    size_t room = batch->most;
    batch->tokens.n_tokens = 0;
    for (size_t i = 0; i < batch->slot_count; i++) {
        struct slot *slot = &batch->slots[i];
        slot->sent = 0;
        if (is_ready(slot) && slot->answer.pending.count <= SHORT)
            room -= send_slot(batch, slot, room);
    }
    if (batch->tokens.n_tokens > 0 && room > BESIDE)
        room = BESIDE;
    for (size_t i = 0; i < HEADS; i++) {
        struct head *head = &batch->heads[i];
        size_t left = head->tokens.count - head->done;
        size_t count = left < room ? left : room;
        for (size_t j = 0; j < count; j++)
            send_token(batch, head->tokens.data[head->done + j], head->done + j, head->sequence,
                       false);
        batch->head_sent[i] = count;
        room -= count;
    }
    for (size_t i = 0; i < batch->slot_count; i++) {
        struct slot *slot = &batch->slots[i];
        if (is_ready(slot) && slot->answer.pending.count > SHORT && room > 0)
            room -= send_slot(batch, slot, room);
    }
}

static void take_results(struct mc_local_batch *batch)
{
    for (size_t i = 0; i < HEADS; i++)
        batch->heads[i].done += batch->head_sent[i];
    for (size_t i = 0; i < batch->slot_count; i++) {
        struct slot *slot = &batch->slots[i];
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
            fail_slot(batch, slot,
                      mc_fail(&slot->job->error, MC_INTERNAL, "llama.cpp gave no logits"));
    }
}

/* There are cells enough by our count, but libllama found them unfit: fewer jobs at once. */
static void retreat(struct mc_local_batch *batch)
{
    if (drop_idle_head(batch, NULL))
        return;
    struct slot *youngest = find_youngest(batch);
    if (batch->running > 1)
        put_back(batch, youngest);
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
        struct slot *slot = &batch->slots[i];
        if (slot->job)
            fail_slot(batch, slot,
                      mc_fail(&slot->job->error, MC_INTERNAL,
                              "llama.cpp failed to evaluate a batch (%d): %s", (int)code,
                              why[0] ? why : "no reason given"));
    }
    for (size_t i = 0; i < HEADS; i++)
        forget_head(batch, &batch->heads[i]);
    llama_memory_clear(batch->memory, false);
}

/* Nobody waited for what was being evaluated. What part of it was done does not matter. */
static void leave_off(struct mc_local_batch *batch)
{
    drop_gone(batch);
    for (size_t i = 0; i < batch->slot_count; i++)
        if (batch->slots[i].job)
            put_back(batch, &batch->slots[i]);
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
