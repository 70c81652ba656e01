/* See llm/local_answer.h. */
#include "llm/local_answer.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define ANSWER_MAX ((size_t)16 << 20)

bool mc_local_writer_init(struct mc_local_writer *writer, const struct mc_local_model *model)
{
    *writer = (struct mc_local_writer){.model = model, .scratch = mc_walk_scratch_new()};
    mc_local_cache_init(&writer->cache, model);
    return writer->scratch != NULL;
}

void mc_local_writer_fini(struct mc_local_writer *writer)
{
    mc_local_cache_fini(&writer->cache);
    mc_walk_scratch_free(writer->scratch);
    mc_local_tokens_fini(&writer->allowed);
}

void mc_local_answer_start(struct mc_local_answer *answer, const struct mc_schema *schema,
                           size_t most)
{
    *answer = (struct mc_local_answer){.most = most};
    mc_buf_init(&answer->text, ANSWER_MAX);
    mc_walk_start(&answer->walk, schema);
}

void mc_local_answer_fini(struct mc_local_answer *answer)
{
    mc_buf_fini(&answer->text);
    mc_local_tokens_fini(&answer->pending);
    mc_local_tokens_fini(&answer->path);
}

/* Text that the walk takes, without tokens. */
static bool write_text(struct mc_local_answer *answer, mc_str text)
{
    mc_buf_append(&answer->text, text);
    return mc_walk_feed(&answer->walk, text) && !answer->text.failed;
}

/* Text that is certain, with its tokens. */
static bool write_fixed(struct mc_local_writer *writer, struct mc_local_answer *answer, mc_str text)
{
    const struct mc_local_tokens *tokens = mc_local_cache_get(&writer->cache, text);
    if (!tokens || !mc_local_tokens_add(&answer->pending, tokens->data, tokens->count))
        return false;
    answer->tokens += tokens->count;
    return write_text(answer, text);
}

static bool push_token(struct mc_local_answer *answer, llama_token token)
{
    answer->tokens++;
    return mc_local_tokens_add(&answer->pending, &token, 1);
}

/* The logarithm of the token's share among those allowed. */
static double share(const float *logits, const struct mc_local_tokens *allowed, llama_token taken)
{
    double sum = 1;
    for (size_t i = 0; i < allowed->count; i++)
        if (allowed->data[i] != taken)
            sum += exp((double)logits[allowed->data[i]] - (double)logits[taken]);
    double log_share = -log(sum);
    /* Logits that are no numbers say nothing. */
    return isfinite(log_share) ? log_share : -log((double)allowed->count);
}

static bool follows_path(const struct mc_local_tokens *tokens, const struct mc_local_tokens *path)
{
    return tokens->count > path->count &&
           (path->count == 0 ||
            memcmp(tokens->data, path->data, path->count * sizeof(llama_token)) == 0);
}

static bool allow(struct mc_local_tokens *allowed, llama_token token)
{
    for (size_t i = allowed->count; i > 0; i--) /* equal ones are neighbours */
        if (allowed->data[i - 1] == token)
            return true;
    return mc_local_tokens_add(allowed, &token, 1);
}

/* The tokens that may come next on the way to one of the choices; none when no choice is left. */
static bool find_allowed(struct mc_local_writer *writer, const struct mc_local_answer *answer,
                         const struct mc_next *next)
{
    writer->allowed.count = 0;
    for (size_t i = 0; i < next->choice_count; i++) {
        const struct mc_local_tokens *tokens = mc_local_cache_get(&writer->cache, next->choices[i]);
        if (!tokens)
            return false;
        if (follows_path(tokens, &answer->path) &&
            !allow(&writer->allowed, tokens->data[answer->path.count]))
            return false;
    }
    return true;
}

/* The choice whose tokens are the path, or its number when there is none. */
static size_t find_chosen(struct mc_local_writer *writer, const struct mc_local_answer *answer,
                          const struct mc_next *next)
{
    const struct mc_local_tokens *path = &answer->path;
    for (size_t i = 0; i < next->choice_count; i++) {
        const struct mc_local_tokens *tokens = mc_local_cache_get(&writer->cache, next->choices[i]);
        if (tokens && tokens->count == path->count &&
            memcmp(tokens->data, path->data, path->count * sizeof(llama_token)) == 0)
            return i;
    }
    return next->choice_count;
}

static bool finish_choice(struct mc_local_answer *answer, mc_str text)
{
    answer->log_sum += answer->path_log;
    answer->chosen++;
    answer->path_log = 0;
    answer->path.count = 0;
    return write_text(answer, text);
}

/* The bracket that ends an array, if it is among the choices. */
static size_t find_bracket(const struct mc_next *next)
{
    size_t i = 0;
    while (i < next->choice_count && next->choices[i].data[0] != ']')
        i++;
    return i;
}

/*
 * One choice, as far as the logits lead: sets *logits to NULL when it has used them. MC_LOCAL_DONE here:
 * the choice is made.
 */
static enum mc_local_need choose(struct mc_local_writer *writer, struct mc_local_answer *answer,
                                 const struct mc_next *next, const float **logits)
{
    const struct mc_local_tokens *allowed = &writer->allowed;
    for (;;) {
        if (!find_allowed(writer, answer, next))
            return MC_LOCAL_FAILED;
        if (allowed->count == 0) {
            /* The vocabulary has no tokens to tell the choices apart. */
            answer->path_log = -log((double)next->choice_count);
            return finish_choice(answer, next->choices[0]) ? MC_LOCAL_DONE : MC_LOCAL_FAILED;
        }
        llama_token best = allowed->data[0];
        if (allowed->count > 1) {
            if (!*logits)
                return MC_LOCAL_ASK;
            for (size_t i = 1; i < allowed->count; i++)
                if ((*logits)[allowed->data[i]] > (*logits)[best])
                    best = allowed->data[i];
            answer->path_log += share(*logits, allowed, best);
        }
        if (!push_token(answer, best) || !mc_local_tokens_add(&answer->path, &best, 1))
            return MC_LOCAL_FAILED;
        *logits = NULL; /* they are those of a token that is not the last one any more */
        size_t chosen = find_chosen(writer, answer, next);
        if (chosen < next->choice_count)
            return finish_choice(answer, next->choices[chosen]) ? MC_LOCAL_DONE : MC_LOCAL_FAILED;
    }
}

/*
 * The token to go on with inside of a string. The model's first wish is nearly always allowed; only
 * when it is not, the best of those that are is looked for. LLAMA_TOKEN_NULL: end the string.
 */
static llama_token pick_text(const struct mc_local_writer *writer,
                             const struct mc_local_answer *answer, const struct mc_next *next,
                             const float *logits)
{
    const struct mc_local_model *model = writer->model;
    llama_token best = 0;
    for (llama_token token = 1; token < model->token_count; token++)
        if (logits[token] > logits[best])
            best = token;
    if (llama_vocab_is_eog(model->vocab, best) && next->text_need == 0)
        return LLAMA_TOKEN_NULL;
    mc_str piece = mc_local_piece(model, best);
    if (piece.len > 0 && mc_walk_may(&answer->walk, piece))
        return best;
    best = LLAMA_TOKEN_NULL;
    for (llama_token token = 0; token < model->token_count; token++) {
        piece = mc_local_piece(model, token);
        if (piece.len > 0 && (best == LLAMA_TOKEN_NULL || logits[token] > logits[best]) &&
            mc_walk_may(&answer->walk, piece))
            best = token;
    }
    return best;
}

/* A byte that brings the string nearer to where it may end: it completes what was begun, or is a dash. */
static char find_filler(const struct mc_walk *walk)
{
    static const char others[] = "0123456789abcdefnu\\";
    char byte = '-';
    if (mc_walk_may(walk, (mc_str){&byte, 1}))
        return byte;
    for (unsigned code = 0x80; code < 0xC0; code++) {
        byte = (char)code;
        if (mc_walk_may(walk, (mc_str){&byte, 1}))
            return byte;
    }
    for (const char *other = others; *other; other++)
        if (mc_walk_may(walk, (mc_str){other, 1}))
            return *other;
    return '\0';
}

/* Closes the string with the fewest bytes; characters that it must still have are dashes. */
static bool close_text(struct mc_local_writer *writer, struct mc_local_answer *answer)
{
    char text[16];
    for (;;) {
        size_t len = mc_walk_close_text(&answer->walk, text);
        if (len > 0)
            return write_fixed(writer, answer, (mc_str){text, len});
        text[0] = find_filler(&answer->walk);
        if (!write_text(answer, (mc_str){text, 1}))
            return false;
    }
}

static enum mc_local_need go_text(struct mc_local_writer *writer, struct mc_local_answer *answer,
                                  const struct mc_next *next, const float **logits)
{
    bool closing = answer->tokens >= answer->most && next->text_need == 0;
    llama_token token = LLAMA_TOKEN_NULL;
    if (!closing) {
        if (!*logits)
            return MC_LOCAL_ASK;
        token = pick_text(writer, answer, next, *logits);
        *logits = NULL;
    }
    bool made =
        token == LLAMA_TOKEN_NULL
            ? close_text(writer, answer)
            : push_token(answer, token) && write_text(answer, mc_local_piece(writer->model, token));
    return made ? MC_LOCAL_DONE : MC_LOCAL_FAILED;
}

enum mc_local_need mc_local_answer_go(struct mc_local_writer *writer,
                                      struct mc_local_answer *answer, const float *logits)
{
    enum mc_local_need need = MC_LOCAL_DONE;
    while (need == MC_LOCAL_DONE) {
        struct mc_next next;
        mc_walk_next(&answer->walk, writer->scratch, &next);
        if (next.kind == MC_NEXT_DONE)
            return MC_LOCAL_DONE;
        if (next.kind == MC_NEXT_FIXED) {
            need = write_fixed(writer, answer, next.fixed) ? MC_LOCAL_DONE : MC_LOCAL_FAILED;
            logits = NULL;
            continue;
        }
        if (next.kind == MC_NEXT_TEXT) {
            need = go_text(writer, answer, &next, &logits);
            continue;
        }
        size_t bracket = answer->tokens >= answer->most && answer->path.count == 0
                             ? find_bracket(&next)
                             : next.choice_count;
        if (bracket < next.choice_count) {
            need = write_fixed(writer, answer, next.choices[bracket]) ? MC_LOCAL_DONE
                                                                      : MC_LOCAL_FAILED;
            logits = NULL;
        } else {
            need = choose(writer, answer, &next, &logits);
        }
    }
    return need;
}

bool mc_local_answer_end(struct mc_local_writer *writer, struct mc_local_answer *answer)
{
    answer->path.count = 0;
    answer->path_log = 0;
    for (;;) {
        struct mc_next next;
        bool made;
        mc_walk_next(&answer->walk, writer->scratch, &next);
        if (next.kind == MC_NEXT_DONE)
            return true;
        if (next.kind == MC_NEXT_FIXED) {
            made = write_text(answer, next.fixed);
        } else if (next.kind == MC_NEXT_TEXT) {
            made = close_text(writer, answer);
        } else {
            size_t bracket = find_bracket(&next);
            answer->path_log = -log((double)next.choice_count);
            made = finish_choice(answer, next.choices[bracket < next.choice_count ? bracket : 0]);
        }
        if (!made)
            return false;
    }
}

double mc_local_answer_confidence(const struct mc_local_answer *answer)
{
    if (answer->chosen == 0)
        return -1;
    double mean = exp(answer->log_sum / (double)answer->chosen);
    return mean > DBL_MIN ? mean : DBL_MIN;
}
