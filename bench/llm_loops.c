#include "llm_loops.h"

#include "base/compiler.h"
#include "base/time.h"
#include "llm_grammar.h"
#include "llm_slots.h"

/* ---- Tokens ---- */

/* special: control tokens are read in the text, and the begin token is put in front. */
static struct tokens *tokenize(const struct llm_loops *loops, mc_str text, bool special)
{
    int32_t room = (int32_t)text.len + 8;
    struct tokens *tokens = must(malloc(sizeof(*tokens) + (size_t)room * sizeof(llama_token)));
    int32_t count = llama_tokenize(loops->vocab, text.data, (int32_t)text.len, tokens->at, room,
                                   special, special);
    if (count < 0)
        fail("a text cannot be tokenized");
    tokens->count = (size_t)count;
    return tokens;
}

const struct tokens *llm_fragment(struct llm_loops *loops, mc_str text)
{
    struct tokens *tokens = mc_map_get(&loops->fragments, text);
    if (tokens)
        return tokens;
    char *copy = must(malloc(text.len + 1));
    copy[0] = '\n';
    memcpy(copy + 1, text.data, text.len);
    struct tokens *mark = tokenize(loops, MC_STR("\n"), false);
    tokens = tokenize(loops, (mc_str){copy, text.len + 1}, false);
    if (tokens->count <= mark->count)
        fail("a fragment has no tokens of its own");
    tokens->count -= mark->count;
    memmove(tokens->at, tokens->at + mark->count, tokens->count * sizeof(llama_token));
    free(mark);
    memcpy(copy, text.data, text.len);
    if (!mc_map_put(&loops->fragments, (mc_str){copy, text.len}, tokens))
        fail("out of memory");
    return tokens;
}

/* ---- Evaluation ---- */

static void evaluate(struct llm_loops *loops)
{
    if (loops->batch.n_tokens > 0 && llama_decode(loops->context, loops->batch) != 0)
        fail("the model does not evaluate: no room in its context");
    loops->batch.n_tokens = 0;
}

static void add_to_batch(struct llm_loops *loops, llama_token token, llama_pos position,
                         llama_seq_id sequence, bool logits)
{
    struct llama_batch *batch = &loops->batch;
    int32_t row = batch->n_tokens++;
    batch->token[row] = token;
    batch->pos[row] = position;
    batch->n_seq_id[row] = 1;
    batch->seq_id[row][0] = sequence;
    batch->logits[row] = logits;
}

static void keep_prefix(struct llm_loops *loops, bool keep)
{
    llama_memory_t memory = llama_get_memory(loops->context);
    if (keep == loops->prefix_kept)
        return;
    llama_memory_seq_rm(memory, 0, -1, -1);
    loops->prefix_kept = keep;
    if (!keep)
        return;
    for (size_t i = 0; i < loops->prefix->count; i++) {
        add_to_batch(loops, loops->prefix->at[i], (llama_pos)i, 0, false);
        if (loops->batch.n_tokens == BATCH)
            evaluate(loops);
    }
    evaluate(loops);
    llama_synchronize(loops->context);
}

/* Puts what is pending of every slot that has room into one evaluation. */
static void step(struct llm_loops *loops, size_t slots)
{
    for (size_t i = 0; i < slots; i++) {
        struct slot *slot = &loops->slots[i];
        slot->logits = -1;
        if (!slot->busy || (size_t)loops->batch.n_tokens + slot->pending_count > BATCH)
            continue;
        for (size_t t = 0; t < slot->pending_count; t++)
            add_to_batch(loops, slot->pending[t], slot->position++, slot->sequence,
                         t + 1 == slot->pending_count);
        slot->pending_count = 0;
        slot->logits = loops->batch.n_tokens - 1;
    }
    evaluate(loops);
}

/* ---- Messages ---- */

static void begin(struct llm_loops *loops, struct slot *slot, const struct llm_loop_mode *mode,
                  mc_str message)
{
    llama_memory_t memory = llama_get_memory(loops->context);
    llama_memory_seq_rm(memory, slot->sequence, -1, -1);
    slot->busy = true;
    slot->position = 0;
    slot->len = slot->replayed = slot->pending_count = 0;
    slot->string = NULL;
    mc_walk_start(&slot->walk, loops->task->schema);
    if (!mode->appended)
        slot->grammar = must(llama_sampler_clone(loops->grammar));
    if (mode->whole_prompt) {
        push_all(slot, loops->prefix);
    } else {
        llama_memory_seq_cp(memory, 0, slot->sequence, -1, -1);
        slot->position = (llama_pos)loops->prefix->count;
    }
    struct tokens *text = tokenize(loops, message, false);
    push_all(slot, text);
    free(text);
    push_all(slot, loops->tail);
    loops->result->prompt_tokens += slot->pending_count;
}

static void finish(struct llm_loops *loops, struct slot *slot)
{
    struct mc_error err;
    if (mc_schema_check(loops->task->schema, (mc_str){slot->text, slot->len}, &err))
        loops->result->invalid++;
    if (slot->grammar)
        llama_sampler_free(slot->grammar);
    slot->grammar = NULL;
    slot->busy = false;
    loops->result->messages++;
}

void llm_loops_run(struct llm_loops *loops, const struct llm_loop_mode *mode, size_t first,
                   size_t count, struct llm_loop_result *result)
{
    loops->result = result;
    keep_prefix(loops, !mode->whole_prompt);
    int64_t start_us = mc_time_monotonic_us();
    size_t begun = 0, done = 0;
    while (done < count) {
        for (size_t i = 0; i < mode->slots && begun < count; i++) {
            if (!loops->slots[i].busy)
                begin(loops, &loops->slots[i], mode,
                      loops->task->messages[(first + begun++) % loops->task->count]);
        }
        step(loops, mode->slots);
        for (size_t i = 0; i < mode->slots; i++) {
            struct slot *slot = &loops->slots[i];
            if (slot->logits < 0)
                continue;
            bool more = mode->appended ? llm_advance_appended(loops, slot, mode->replay)
                                       : llm_advance_grammar(loops, slot, mode->replay);
            if (!more) {
                finish(loops, slot);
                done++;
            }
        }
    }
    result->seconds += (double)(mc_time_monotonic_us() - start_us) / 1e6;
    for (size_t i = 0; i < mode->slots; i++)
        llama_memory_seq_rm(llama_get_memory(loops->context), loops->slots[i].sequence, -1, -1);
}

/* ---- Opening ---- */

static void be_quiet(enum ggml_log_level level, const char *text, void *context)
{
    (void)context;
    if (level == GGML_LOG_LEVEL_ERROR)
        fputs(text, stderr);
}

static void read_pieces(struct llm_loops *loops)
{
    loops->pieces = must(calloc((size_t)loops->vocab_size, PIECE_MAX));
    loops->piece_len = must(calloc((size_t)loops->vocab_size, 1));
    for (llama_token token = 0; token < loops->vocab_size; token++) {
        int32_t len =
            llama_token_to_piece(loops->vocab, token, loops->pieces[token], PIECE_MAX, 0, false);
        loops->piece_len[token] = len > 0 ? (uint8_t)len : 0;
    }
}

static void prepare_texts(struct llm_loops *loops)
{
    mc_auto(mc_buf_fini) struct mc_buf text;
    mc_buf_init(&text, (size_t)1024 * 1024);
    mc_buf_text(&text, "<|im_start|>system\n");
    mc_buf_append(&text, loops->task->system);
    mc_buf_text(&text, "<|im_end|>\n<|im_start|>user\n");
    loops->prefix = tokenize(loops, mc_buf_str(&text), true);
    mc_buf_reset(&text);
    mc_buf_text(&text, "<|im_end|>\n<|im_start|>assistant\n");
    loops->tail = tokenize(loops, mc_buf_str(&text), true);
    if (llama_vocab_get_add_bos(loops->vocab))
        memmove(loops->tail->at, loops->tail->at + 1, --loops->tail->count * sizeof(llama_token));
    const struct tokens *answer = llm_fragment(loops, loops->task->natural);
    size_t size = sizeof(*answer) + answer->count * sizeof(llama_token);
    loops->answer = memcpy(must(malloc(size)), answer, size);
    mc_buf_reset(&text);
    if (!llm_grammar_write(mc_schema_text(loops->task->schema), &text))
        fail("the schema cannot be written as a grammar");
    loops->grammar = llama_sampler_init_grammar(loops->vocab, text.data, "root");
    if (!loops->grammar)
        fail("llama.cpp does not take the grammar");
}

struct llm_loops *llm_loops_open(const char *model_path, int threads, size_t slots, bool flash,
                                 const struct llm_task *task)
{
    struct llm_loops *loops = must(calloc(1, sizeof(*loops)));
    loops->task = task;
    llama_log_set(be_quiet, NULL);
    llama_backend_init();
    loops->model = llama_model_load_from_file(model_path, llama_model_default_params());
    if (!loops->model)
        fail("the model cannot be loaded");
    loops->vocab = llama_model_get_vocab(loops->model);
    loops->vocab_size = llama_vocab_n_tokens(loops->vocab);
    loops->candidates = must(calloc((size_t)loops->vocab_size, sizeof(*loops->candidates)));
    loops->scratch = must(mc_walk_scratch_new());
    mc_map_init(&loops->fragments);
    read_pieces(loops);
    prepare_texts(loops);
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = 8192;
    params.n_seq_max = (uint32_t)slots + 1;
    params.kv_unified = true;
    params.n_batch = BATCH;
#ifdef MC_LLAMA_HAS_FLASH_ATTN_TYPE
    if (!flash)
        params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
#else
    (void)flash;
#endif
    params.n_threads = params.n_threads_batch = threads;
    loops->context = llama_init_from_model(loops->model, params);
    if (!loops->context)
        fail("no context for the model");
    loops->batch = llama_batch_init(BATCH, 0, 1);
    for (size_t i = 0; i < slots; i++)
        loops->slots[i].sequence = (llama_seq_id)i + 1;
    return loops;
}

void llm_loops_close(struct llm_loops *loops)
{
    mc_str key;
    void *tokens;
    for (size_t cursor = 0; mc_map_next(&loops->fragments, &cursor, &key, &tokens);) {
        free(tokens);
        free((void *)(uintptr_t)key.data);
    }
    mc_map_fini(&loops->fragments);
    mc_walk_scratch_free(loops->scratch);
    llama_batch_free(loops->batch);
    llama_sampler_free(loops->grammar);
    llama_free(loops->context);
    llama_model_free(loops->model);
    free(loops->prefix);
    free(loops->tail);
    free(loops->answer);
    free(loops->candidates);
    free(loops->pieces);
    free(loops->piece_len);
    free(loops);
}

size_t llm_loops_prefix_tokens(const struct llm_loops *loops)
{
    return loops->prefix->count;
}
