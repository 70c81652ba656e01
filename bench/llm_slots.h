/* Inside of llm_loops.c and llm_sample.c. */
#ifndef MC_BENCH_LLM_SLOTS_H
#define MC_BENCH_LLM_SLOTS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <llama.h>

#include "base/map.h"
#include "base/str.h"
#include "llm_loops.h"

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

static inline _Noreturn void fail(const char *what)
{
    fprintf(stderr, "bench_llm: %s\n", what);
    exit(1);
}

static inline void *must(void *memory)
{
    if (!memory)
        fail("out of memory");
    return memory;
}

static inline mc_str piece_of(const struct llm_loops *loops, llama_token token)
{
    return (mc_str){loops->pieces[token], loops->piece_len[token]};
}

static inline void push(struct slot *slot, llama_token token)
{
    if (slot->pending_count == PENDING_MAX)
        fail("too many tokens at once");
    slot->pending[slot->pending_count++] = token;
}

static inline void push_all(struct slot *slot, const struct tokens *tokens)
{
    for (size_t i = 0; i < tokens->count; i++)
        push(slot, tokens->at[i]);
}

static inline void append_text(struct slot *slot, mc_str text)
{
    if (text.len > TEXT_MAX - slot->len)
        fail("an answer does not end");
    memcpy(slot->text + slot->len, text.data, text.len);
    slot->len += text.len;
}

/* Of a text that continues another one, made once: some vocabularies begin every text with a space. */
const struct tokens *llm_fragment(struct llm_loops *loops, mc_str text);

/* Takes what the logits say under the grammar; false when the answer is complete. */
bool llm_advance_grammar(struct llm_loops *loops, struct slot *slot, bool replay);
/* Goes on until the model must be asked; false when the answer is complete. */
bool llm_advance_appended(struct llm_loops *loops, struct slot *slot, bool replay);

#endif
