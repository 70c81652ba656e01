#include "llm_loops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <llama.h>

#include "base/compiler.h"
#include "base/map.h"
#include "base/str.h"
#include "base/time.h"
#include "llm_grammar.h"

#define SLOTS_MAX 16
#define TEXT_MAX 65536
#define PENDING_MAX 4096
#define PIECE_MAX 64
#define BATCH 2048

struct tokens {
    size_t count;
    llama_token at[];
};

/* One message being answered. */
struct slot {
    bool busy;
    llama_seq_id sequence;
    llama_token pending[PENDING_MAX]; /* to be evaluated next */
    size_t pending_count;
    llama_pos position;
    int32_t logits; /* row of the last evaluation, -1: none */
    struct llama_sampler *grammar;
    struct mc_walk walk;
    size_t replayed; /* tokens of the natural answer taken; bytes, where text is appended */
    const struct tokens *string; /* of the natural answer, being replayed */
    size_t string_at;
    char text[TEXT_MAX];
    size_t len;
};

struct llm_loops {
    const struct llm_task *task;
    struct llama_model *model;
    struct llama_context *context;
    const struct llama_vocab *vocab;
    llama_token vocab_size;
    struct llama_batch batch;
    struct llama_sampler *grammar;
    llama_token_data *candidates;
    char (*pieces)[PIECE_MAX]; /* the bytes of each token */
    uint8_t *piece_len;
    struct tokens *prefix;
    bool prefix_kept;        /* is in sequence 0 */
    struct tokens *answer;   /* the natural one */
    struct tokens *tail;     /* what follows a message */
    struct mc_map fragments; /* text -> struct tokens */
    struct mc_walk_scratch *scratch;
    struct slot slots[SLOTS_MAX];
    struct llm_loop_result *result;
};

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "bench_llm: %s\n", what);
    exit(1);
}

static void *must(void *memory)
{
    if (!memory)
        fail("out of memory");
    return memory;
}

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

/* Of a text that continues another one, made once: some vocabularies begin every text with a space. */
static const struct tokens *fragment(struct llm_loops *loops, mc_str text)
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

static mc_str piece_of(const struct llm_loops *loops, llama_token token)
{
    return (mc_str){loops->pieces[token], loops->piece_len[token]};
}

static void push(struct slot *slot, llama_token token)
{
    if (slot->pending_count == PENDING_MAX)
        fail("too many tokens at once");
    slot->pending[slot->pending_count++] = token;
}

static void push_all(struct slot *slot, const struct tokens *tokens)
{
    for (size_t i = 0; i < tokens->count; i++)
        push(slot, tokens->at[i]);
}

static void append_text(struct slot *slot, mc_str text)
{
    if (text.len > TEXT_MAX - slot->len)
        fail("an answer does not end");
    memcpy(slot->text + slot->len, text.data, text.len);
    slot->len += text.len;
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

/* ---- Sampling ---- */

static llama_token likeliest(const struct llm_loops *loops, const float *logits)
{
    llama_token best = 0;
    for (llama_token token = 1; token < loops->vocab_size; token++) {
        if (logits[token] > logits[best])
            best = token;
    }
    return best;
}

static bool grammar_allows(struct slot *slot, llama_token token)
{
    llama_token_data one = {.id = token, .logit = 1.0f};
    llama_token_data_array array = {.data = &one, .size = 1, .selected = -1};
    llama_sampler_apply(slot->grammar, &array);
    return !isinf(one.logit);
}

static llama_token likeliest_allowed(struct llm_loops *loops, struct slot *slot,
                                     const float *logits)
{
    for (llama_token token = 0; token < loops->vocab_size; token++)
        loops->candidates[token] = (llama_token_data){.id = token, .logit = logits[token]};
    llama_token_data_array array = {
        .data = loops->candidates, .size = (size_t)loops->vocab_size, .selected = -1};
    llama_sampler_apply(slot->grammar, &array);
    size_t best = 0;
    for (size_t i = 1; i < array.size; i++) {
        if (array.data[i].logit > array.data[best].logit)
            best = i;
    }
    loops->result->masks++;
    return array.data[best].id;
}

/* The next token under the grammar. */
static llama_token sample(struct llm_loops *loops, struct slot *slot, bool replay)
{
    const float *logits = llama_get_logits_ith(loops->context, slot->logits);
    llama_token token = likeliest(loops, logits);
    if (replay)
        token = slot->replayed < loops->answer->count ? loops->answer->at[slot->replayed++]
                                                      : llama_vocab_eot(loops->vocab);
    if (!grammar_allows(slot, token)) {
        if (replay)
            fail("the grammar refuses the natural answer");
        token = likeliest_allowed(loops, slot, logits);
    }
    llama_sampler_accept(slot->grammar, token);
    loops->result->sampled_tokens++;
    return token;
}

/* Takes what the logits say; false when the answer is complete. */
static bool advance_grammar(struct llm_loops *loops, struct slot *slot, bool replay)
{
    llama_token token = sample(loops, slot, replay);
    if (llama_vocab_is_eog(loops->vocab, token))
        return false;
    append_text(slot, piece_of(loops, token));
    push(slot, token);
    return true;
}

/* ---- Appending ---- */

static void take(struct slot *slot, mc_str bytes)
{
    if (!mc_walk_feed(&slot->walk, bytes))
        fail("the shape refuses what it offered");
    append_text(slot, bytes);
}

/* Alternatives, and which of them agree with the `depth` tokens that were taken. */
struct choice {
    const struct tokens *tokens[2 * MC_SCHEMA_ENUM + 1];
    bool alive[2 * MC_SCHEMA_ENUM + 1];
    size_t count, left, depth;
    size_t natural; /* the one to take, count: what the logits say */
};

static bool begins_with(mc_str text, mc_str start)
{
    return text.len >= start.len && memcmp(text.data, start.data, start.len) == 0;
}

/* Whether all that are left go on with the same token. */
static bool is_certain(const struct choice *choice, llama_token *token)
{
    *token = LLAMA_TOKEN_NULL;
    for (size_t i = 0; i < choice->count; i++) {
        if (!choice->alive[i])
            continue;
        llama_token next = choice->tokens[i]->at[choice->depth];
        if (*token != LLAMA_TOKEN_NULL && next != *token)
            return false;
        *token = next;
    }
    return true;
}

static llama_token decide(const struct choice *choice, const float *logits)
{
    if (choice->natural < choice->count)
        return choice->tokens[choice->natural]->at[choice->depth];
    llama_token best = LLAMA_TOKEN_NULL;
    for (size_t i = 0; i < choice->count; i++) {
        if (!choice->alive[i])
            continue;
        llama_token token = choice->tokens[i]->at[choice->depth];
        if (best == LLAMA_TOKEN_NULL || logits[token] > logits[best])
            best = token;
    }
    return best;
}

static void narrow(struct choice *choice, llama_token token)
{
    for (size_t i = 0; i < choice->count; i++) {
        if (!choice->alive[i] || choice->tokens[i]->at[choice->depth] == token)
            continue;
        choice->alive[i] = false;
        choice->left--;
    }
    choice->depth++;
}

static mc_str natural_rest(const struct llm_loops *loops, const struct slot *slot)
{
    mc_str natural = loops->task->natural;
    return (mc_str){natural.data + slot->replayed, natural.len - slot->replayed};
}

static void read_choice(struct llm_loops *loops, const struct slot *slot,
                        const struct mc_next *next, bool replay, struct choice *choice)
{
    choice->count = choice->left = choice->natural = next->choice_count;
    choice->depth = 0;
    for (size_t i = 0; i < choice->count; i++) {
        choice->tokens[i] = fragment(loops, next->choices[i]);
        choice->alive[i] = true;
        if (replay && begins_with(natural_rest(loops, slot), next->choices[i]))
            choice->natural = i;
    }
    if (replay && choice->natural == choice->count)
        fail("the natural answer is none of the alternatives");
}

/*
 * Takes tokens until one alternative is left, and then the rest of it; false when the model must be asked
 * before. The walk offers what is left of the alternatives then.
 */
static bool choose(struct llm_loops *loops, struct slot *slot, const struct mc_next *next,
                   bool replay)
{
    static struct choice choice;
    read_choice(loops, slot, next, replay, &choice);
    for (bool last = false; !last;) {
        llama_token token;
        if (is_certain(&choice, &token)) {
            loops->result->appended_tokens++;
        } else if (slot->pending_count > 0) {
            return false;
        } else {
            token = decide(&choice, llama_get_logits_ith(loops->context, slot->logits));
            loops->result->sampled_tokens++;
        }
        narrow(&choice, token);
        size_t any = 0;
        while (!choice.alive[any])
            any++;
        last = choice.left == 1 && choice.depth == choice.tokens[any]->count;
        mc_str piece = piece_of(loops, token);
        push(slot, token);
        take(slot, piece);
        slot->replayed += replay ? piece.len : 0;
    }
    return true;
}

/* The natural answer's next token inside of a string, its closing quotation mark included. */
static llama_token next_of_string(struct llm_loops *loops, struct slot *slot)
{
    if (!slot->string) {
        mc_str rest = natural_rest(loops, slot);
        size_t len = 0;
        while (rest.data[len] != '"')
            len += rest.data[len] == '\\' ? 2 : 1;
        slot->string = fragment(loops, (mc_str){rest.data, len + 1});
        slot->string_at = 0;
    }
    llama_token token = slot->string->at[slot->string_at++];
    if (slot->string_at == slot->string->count)
        slot->string = NULL;
    slot->replayed += piece_of(loops, token).len;
    return token;
}

static llama_token likeliest_that_may(struct llm_loops *loops, const struct slot *slot,
                                      const float *logits)
{
    llama_token best = LLAMA_TOKEN_NULL;
    for (llama_token token = 0; token < loops->vocab_size; token++) {
        mc_str piece = piece_of(loops, token);
        if (piece.len && (best == LLAMA_TOKEN_NULL || logits[token] > logits[best]) &&
            mc_walk_may(&slot->walk, piece))
            best = token;
    }
    loops->result->masks++;
    return best;
}

static void write_text(struct llm_loops *loops, struct slot *slot, bool replay)
{
    const float *logits = llama_get_logits_ith(loops->context, slot->logits);
    llama_token token = likeliest(loops, logits);
    if (replay)
        token = next_of_string(loops, slot);
    mc_str piece = piece_of(loops, token);
    if (!piece.len || !mc_walk_may(&slot->walk, piece)) {
        if (replay)
            fail("the shape refuses the natural answer");
        token = likeliest_that_may(loops, slot, logits);
        piece = piece_of(loops, token);
    }
    push(slot, token);
    take(slot, piece);
    loops->result->sampled_tokens++;
}

/* Goes on until the model must be asked; false when the answer is complete. */
static bool advance_appended(struct llm_loops *loops, struct slot *slot, bool replay)
{
    for (;;) {
        struct mc_next next;
        mc_walk_next(&slot->walk, loops->scratch, &next);
        if (next.kind == MC_NEXT_DONE)
            return false;
        if (next.kind == MC_NEXT_FIXED) {
            const struct tokens *tokens = fragment(loops, next.fixed);
            push_all(slot, tokens);
            loops->result->appended_tokens += tokens->count;
            slot->replayed += replay ? next.fixed.len : 0;
            take(slot, next.fixed);
        } else if (next.kind == MC_NEXT_CHOICE) {
            if (!choose(loops, slot, &next, replay))
                return true;
        } else if (slot->pending_count > 0) {
            return true;
        } else {
            write_text(loops, slot, replay);
        }
    }
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
            bool more = mode->appended ? advance_appended(loops, slot, mode->replay)
                                       : advance_grammar(loops, slot, mode->replay);
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
    const struct tokens *answer = fragment(loops, loops->task->natural);
    size_t size = sizeof(*answer) + answer->count * sizeof(llama_token);
    loops->answer = memcpy(must(malloc(size)), answer, size);
    mc_buf_reset(&text);
    if (!llm_grammar_write(mc_schema_text(loops->task->schema), &text))
        fail("the schema cannot be written as a grammar");
    loops->grammar = llama_sampler_init_grammar(loops->vocab, text.data, "root");
    if (!loops->grammar)
        fail("llama.cpp does not take the grammar");
}

struct llm_loops *llm_loops_open(const char *model_path, int threads, size_t slots,
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
