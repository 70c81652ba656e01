/*
 * A model for tests that makes vectors of 8 numbers: a text's words that begin with 'a' to 'g' count on an axis each,
 * others on the last; so "apple" and "avocado" mean the same. Faults on demand.
 */
#ifndef MC_TESTS_FAKE_EMBED_H
#define MC_TESTS_FAKE_EMBED_H

#include <stdatomic.h>
#include <string.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "llm/llm.h"

#define FAKE_DIMENSION 8

struct fake_embed {
    struct mc_llm llm;
    atomic_int calls;
    atomic_int fail;      /* an enum mc_status for every call; MC_OK: none */
    atomic_int dimension; /* of the answers */
    size_t too_long;      /* texts above are MC_TOO_LARGE; 0: none are */
    const char *poison;   /* texts that hold it get a vector of zeros; NULL: none */
};

static inline enum mc_status fake_embed_one(struct fake_embed *fake, struct mc_llm_call *call,
                                            struct mc_arena *arena)
{
    mc_str rest = call->turns[0].text, word;
    size_t dimension = (size_t)atomic_load(&fake->dimension);
    if (atomic_load(&fake->fail))
        return mc_fail(&call->error, (enum mc_status)atomic_load(&fake->fail), "told to fail");
    if (fake->too_long > 0 && rest.len > fake->too_long)
        return mc_fail(&call->error, MC_TOO_LARGE, "too long");
    float *values = mc_arena_array(arena, dimension, sizeof(*values));
    if (!values)
        return mc_fail_memory(&call->error);
    bool poisoned = fake->poison && memmem(rest.data, rest.len, fake->poison, strlen(fake->poison));
    while (!poisoned && mc_str_split(&rest, ' ', &word)) {
        bool known = word.len > 0 && word.data[0] >= 'a' && word.data[0] <= 'g';
        values[known ? (size_t)(word.data[0] - 'a') % dimension : dimension - 1] += 1;
    }
    mc_str answer = {(const char *)values, dimension * sizeof(*values)};
    enum mc_status status =
        call->accept ? call->accept(call->accept_context, answer, &call->error) : MC_OK;
    call->answer = answer;
    return status;
}

static inline void fake_embed_generate(struct mc_llm *llm, struct mc_llm_call *calls, size_t count,
                                       const struct mc_llm_wait *wait, struct mc_arena *arena)
{
    struct fake_embed *fake = mc_container_of(llm, struct fake_embed, llm);
    (void)wait;
    for (size_t i = 0; i < count; i++) {
        atomic_fetch_add(&fake->calls, 1);
        calls[i].error = (struct mc_error){0};
        calls[i].retry_at_us = 0;
        calls[i].status = fake_embed_one(fake, &calls[i], arena);
        calls[i].no_attempt = false;
    }
}

static inline void fake_embed_init(struct fake_embed *fake)
{
    static const struct mc_llm_ops OPS = {.name = "fake", .generate = fake_embed_generate};
    *fake = (struct fake_embed){.llm = {.ops = &OPS, .parallel = 8}};
    atomic_init(&fake->calls, 0);
    atomic_init(&fake->fail, MC_OK);
    atomic_init(&fake->dimension, FAKE_DIMENSION);
}

#endif
