#include "llm_slots.h"

#include <math.h>

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

bool llm_advance_grammar(struct llm_loops *loops, struct slot *slot, bool replay)
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
        choice->tokens[i] = llm_fragment(loops, next->choices[i]);
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
        slot->string = llm_fragment(loops, (mc_str){rest.data, len + 1});
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

bool llm_advance_appended(struct llm_loops *loops, struct slot *slot, bool replay)
{
    for (;;) {
        struct mc_next next;
        mc_walk_next(&slot->walk, loops->scratch, &next);
        if (next.kind == MC_NEXT_DONE)
            return false;
        if (next.kind == MC_NEXT_FIXED) {
            const struct tokens *tokens = llm_fragment(loops, next.fixed);
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
