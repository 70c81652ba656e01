/*
 * How many messages a second one core enriches without a model: trivial detection, metadata, its
 * JSON, and the index terms, over a mix of support messages.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/time.h"
#include "enrich/builtin.h"
#include "messages.h"
#include "text/terms.h"

struct work {
    struct mc_vocabulary *vocabulary;
    struct mc_trivial_detector *trivial;
    struct mc_arena arena;
    struct mc_buf json;
    bool with_terms;
};

static bool one(struct work *work, mc_str text, bool *trivial)
{
    struct mc_metadata metadata;
    enum mc_trivial category;
    mc_arena_reset(&work->arena);
    mc_buf_reset(&work->json);
    *trivial = mc_trivial_detect(work->trivial, MC_ROLE_USER, text, &category);
    if (*trivial)
        mc_builtin_trivial(category, &metadata);
    else if (!mc_builtin_enrich(work->vocabulary, text, MC_ROLE_USER, &work->arena, &metadata))
        return false;
    mc_metadata_write(&metadata, &work->json);
    struct mc_terms terms;
    return !work->json.failed && (!work->with_terms || mc_terms_of(text, &work->arena, &terms));
}

/* Messages a second over about a second, the best of three. */
static double measure(struct work *work, size_t *trivials)
{
    double best = 0;
    for (int round = 0; round < 3; round++) {
        size_t done = 0;
        int64_t start = mc_time_monotonic_us();
        int64_t now = start;
        while (now - start < 700000) {
            *trivials = 0;
            for (size_t i = 0; i < MESSAGE_COUNT; i++) {
                bool trivial;
                if (!one(work, mc_str_of(messages[i]), &trivial))
                    exit(1);
                *trivials += trivial;
            }
            done += MESSAGE_COUNT;
            now = mc_time_monotonic_us();
        }
        double rate = (double)done * 1e6 / (double)(now - start);
        best = rate > best ? rate : best;
    }
    return best;
}

int main(void)
{
    struct mc_error err;
    struct work work = {0};
    mc_arena_init(&work.arena, (size_t)16 * 1024 * 1024);
    mc_buf_init(&work.json, (size_t)1024 * 1024);
    if (mc_vocabulary_new(&work.vocabulary, &err) != MC_OK ||
        mc_trivial_new(&work.trivial, (mc_str){0}, &err) != MC_OK) {
        fprintf(stderr, "bench_enrich: %s\n", err.message);
        return 1;
    }
    size_t trivials = 0;
    double metadata = measure(&work, &trivials);
    work.with_terms = true;
    double all = measure(&work, &trivials);
    printf("messages %zu, trivial %zu\n", MESSAGE_COUNT, trivials);
    printf("metadata with JSON       %9.0f messages/s/core\n", metadata);
    printf("and index terms          %9.0f messages/s/core\n", all);
    printf("limit 50000: %s\n", metadata >= 50000 ? "reached" : "NOT reached");
    mc_trivial_free(work.trivial);
    mc_vocabulary_free(work.vocabulary);
    mc_buf_fini(&work.json);
    mc_arena_fini(&work.arena);
    return metadata >= 50000 ? 0 : 1;
}
