/* Vectors by a model in this process: one of random weights, so only how, not what. */
#include "tap.h"

#include "llm/local.h"

#ifdef MC_HAVE_LLAMA

#include <math.h>
#include <pthread.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "support/scratch.h"

#include "base/arena.h"
#include "base/compiler.h"
#include "base/str.h"
#include "base/time.h"
#include "vector/vector.h"

static struct scratch scratch;
static char model_path[512];

static void make_model(void)
{
    const char *program = getenv("MINDCORE_MKMODEL");
    if (!program)
        bail_out("MINDCORE_MKMODEL is not set");
    snprintf(model_path, sizeof(model_path), "%s/model.gguf", scratch.dir);
    const char *arguments[] = {program, model_path, NULL};
    pid_t child;
    int status = 1;
    extern char **environ;
    if (posix_spawn(&child, program, NULL, NULL, (char *const *)(uintptr_t)arguments, environ) ||
        waitpid(child, &status, 0) < 0 || status != 0)
        bail_out("%s failed", program);
}

static struct mc_llm *open_model(uint32_t n_ctx)
{
    const struct mc_local_options options = {
        .model_path = model_path, .n_ctx = n_ctx, .n_threads = 1, .embeddings = true};
    struct mc_llm *llm = NULL;
    struct mc_error err = {0};
    if (!is_status(mc_local_embed_open(&options, &llm, &err), MC_OK, &err, "a model opens"))
        bail_out("%s", err.message);
    return llm;
}

#define TEXTS 40

static struct mc_llm_turn turns[TEXTS];
static char texts[TEXTS][64];

static void ask(struct mc_llm *llm, struct mc_llm_call *calls, size_t first, size_t count,
                struct mc_arena *arena)
{
    for (size_t i = 0; i < count; i++)
        calls[i] = (struct mc_llm_call){.operation = MC_LLM_EMBED,
                                        .turns = &turns[first + i],
                                        .turn_count = 1,
                                        .joinable = count > 1};
    llm->ops->generate(llm, calls, count, NULL, arena);
}

static double likeness(const struct mc_llm_call *a, const struct mc_llm_call *b)
{
    size_t dimension = mc_llm_vector_dimension(a);
    float x[4096], y[4096];
    double sum = 0;
    if (a->status || b->status || dimension > 4096 || dimension != mc_llm_vector_dimension(b))
        return -2;
    memcpy(x, a->answer.data, a->answer.len);
    memcpy(y, b->answer.data, b->answer.len);
    if (!mc_vector_normalise(x, dimension) || !mc_vector_normalise(y, dimension))
        return -3;
    for (size_t i = 0; i < dimension; i++)
        sum += (double)x[i] * (double)y[i];
    return sum;
}

static void together_and_alone(void)
{
    struct mc_llm *llm = open_model(512);
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, (size_t)64 << 20);
    struct mc_llm_call all[TEXTS], one, again;
    ask(llm, all, 0, TEXTS, &arena);
    size_t fine = 0, same = 0, longest = mc_llm_vector_dimension(&all[0]);
    ok(longest > 0, "a vector has %zu numbers", longest);
    for (size_t i = 0; i < TEXTS; i++)
        fine += all[i].status == MC_OK && mc_llm_vector_dimension(&all[i]) == longest;
    is_int((int)fine, TEXTS, "each text has its vector");
    for (size_t i = 0; i < TEXTS; i += 7) {
        ask(llm, &one, i, 1, &arena);
        ask(llm, &again, i, 1, &arena);
        same += one.status == MC_OK && again.status == MC_OK &&
                memcmp(one.answer.data, again.answer.data, one.answer.len) == 0;
        ok(likeness(&one, &all[i]) > 0.999, "alone as among others: %f", likeness(&one, &all[i]));
    }
    is_int((int)same, (TEXTS + 6) / 7, "the same each time, to the bit");
    ok(likeness(&all[0], &all[1]) < 0.99999, "and other texts are other vectors");
    struct mc_llm_state state;
    is_int((int)llm->ops->describe(llm, &state, 1), 1, "described");
    ok(strcmp(state.state, "ready") == 0 && state.total.calls >= 3 && state.total.tokens_in > TEXTS,
       "with what it did: %lld calls", (long long)state.total.calls);
    llm->ops->close(llm);
}

static void long_texts(void)
{
    struct mc_llm *llm = open_model(64);
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, (size_t)64 << 20);
    size_t size = 200000;
    char *text = malloc(size);
    for (size_t i = 0; i < size; i++)
        text[i] = "where is my order "[i % 18];
    struct mc_llm_turn whole = {.text = {text, size}}, half = {.text = {text, size / 2}},
                       empty = {.text = MC_STR("")};
    struct mc_llm_call calls[3] = {
        {.operation = MC_LLM_EMBED, .turns = &whole, .turn_count = 1},
        {.operation = MC_LLM_EMBED, .turns = &half, .turn_count = 1},
        {.operation = MC_LLM_EMBED, .turns = &empty, .turn_count = 1},
    };
    llm->ops->generate(llm, calls, 3, NULL, &arena);
    ok(calls[0].status == MC_OK && calls[0].truncated, "a long text is cut");
    ok(likeness(&calls[0], &calls[1]) > 0.999, "its beginning counts");
    ok(calls[2].status == MC_OK || calls[2].status == MC_INVALID, "an empty one does no harm");
    const struct mc_llm_wait late = {.deadline_us = mc_time_monotonic_us() - 1};
    llm->ops->generate(llm, calls, 1, &late, &arena);
    ok(calls[0].status == MC_TIMEOUT && calls[0].no_attempt, "too late, and not tried");
    free(text);
    llm->ops->close(llm);
}

struct asker {
    struct mc_llm *llm;
    size_t first;
    int wrong;
};

static void *ask_often(void *context)
{
    struct asker *asker = context;
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, (size_t)64 << 20);
    struct mc_llm_call first[4], calls[4];
    ask(asker->llm, first, asker->first, 4, &arena);
    for (int round = 0; round < 5; round++) {
        size_t count = round % 2 ? 1 : 4; /* as a query, and in the background */
        ask(asker->llm, calls, asker->first, count, &arena);
        for (size_t i = 0; i < count; i++)
            asker->wrong += !(likeness(&calls[i], &first[i]) > 0.999);
    }
    return NULL;
}

static void many_threads(void)
{
    struct mc_llm *llm = open_model(256);
    struct asker askers[4];
    pthread_t threads[4];
    int wrong = 0;
    for (size_t i = 0; i < 4; i++) {
        askers[i] = (struct asker){.llm = llm, .first = 4 * i};
        pthread_create(&threads[i], NULL, ask_often, &askers[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        wrong += askers[i].wrong;
    }
    is_int(wrong, 0, "threads that ask at once get their own vectors");
    llm->ops->close(llm);
}

static void bad_files(void)
{
    const struct mc_local_options options = {
        .model_path = "/nowhere/model.gguf", .n_ctx = 64, .embeddings = true};
    struct mc_llm *llm = NULL;
    struct mc_error err = {0};
    is_status(mc_local_embed_open(&options, &llm, &err), MC_CONFIG, &err, "no file");
    is_str(err.field, "embeddings.llama_cpp.model_path", "the option is named");
}

int main(void)
{
    scratch_make(&scratch);
    make_model();
    for (size_t i = 0; i < TEXTS; i++) {
        snprintf(texts[i], sizeof(texts[i]), "message %zu says %s", i,
                 i % 2 ? "that it rains" : "where the order is");
        turns[i].text = mc_str_of(texts[i]);
    }
    together_and_alone();
    long_texts();
    many_threads();
    bad_files();
    scratch_remove(&scratch);
    return done_testing();
}

#else

int main(void)
{
    const struct mc_local_options options = {
        .model_path = "m.gguf", .n_ctx = 64, .embeddings = true};
    struct mc_llm *llm = NULL;
    struct mc_error err = {0};
    is_status(mc_local_embed_open(&options, &llm, &err), MC_UNSUPPORTED, &err,
              "a build without llama.cpp opens no model");
    is_str(err.field, "embeddings.llama_cpp.model_path", "and names the option");
    return done_testing();
}

#endif
