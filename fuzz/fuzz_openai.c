/* What a service answers: completions, refusals, headers of time. The input is the body. */
#include <stdlib.h>

#include "base/compiler.h"
#include "base/str.h"
#include "base/utf8.h"
#include "llm/openai_wire.h"
#include "net/retry_after.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* The content, and the body itself as if it were one. */
static void read_content(mc_str content)
{
    mc_auto(mc_json_free_ptr) struct mc_json *object = NULL;
    const struct mc_json *results[MC_OPENAI_BATCH_MAX];
    struct mc_error err = {0};
    if (mc_openai_object(content, &object, &err) != MC_OK) {
        must(!object && err.message[0]);
        return;
    }
    must(mc_json_type(object) == MC_JSON_OBJECT);
    if (mc_openai_match(object, MC_OPENAI_BATCH_MAX, results, &err) != MC_OK)
        return;
    const struct mc_json *elements = mc_json_get(object, "results");
    size_t found = 0;
    for (size_t i = 0; i < MC_OPENAI_BATCH_MAX; i++)
        found += results[i] ? 1 : 0;
    must(found <= mc_json_count(elements));
}

/* The body as embeddings: all of them, of one length, or an error that says why. */
static void read_vectors(mc_str body, struct mc_arena *arena)
{
    for (size_t count = 1; count <= 3; count++) {
        struct mc_openai_answer answer = {0};
        struct mc_error err = {0};
        mc_str vectors[3];
        if (mc_openai_read_vectors(body, count, arena, vectors, &answer, &err) != MC_OK) {
            must(err.message[0]);
            continue;
        }
        for (size_t i = 0; i < count; i++)
            must(vectors[i].len > 0 && vectors[i].len == vectors[0].len &&
                 vectors[i].len % sizeof(float) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mc_str body = {(const char *)data, size};
    struct mc_openai_answer answer = {0};
    struct mc_error err = {0};
    struct mc_arena arena;
    char reason[MC_OPENAI_REASON_SIZE];
    mc_arena_init(&arena, (size_t)64 * 1024 * 1024);
    if (mc_openai_read(body, &arena, &answer, &err) == MC_OK)
        read_content(answer.content);
    must(answer.tokens_in >= answer.tokens_cached && answer.tokens_cached >= 0);
    must(answer.tokens_out >= 0);
    read_vectors(body, &arena);
    read_content(body);
    mc_openai_reason(body, reason);
    must(mc_utf8_check(mc_str_of(reason), NULL, NULL) && !strchr(reason, '\n'));
    (void)mc_openai_classify(400, reason);
    (void)mc_openai_no_quota(reason);
    int64_t wait_us = mc_retry_after_us(body, 1700000000);
    must(wait_us >= -1 && wait_us <= MC_RETRY_AFTER_MAX_S * 1000000);
    mc_arena_fini(&arena);
    return 0;
}
