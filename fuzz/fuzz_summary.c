/*
 * What a model answers when it is asked for a summary: foreign bytes, whatever the shape said. The part
 * before the first NUL is a message, the rest the answer.
 */
#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/utf8.h"
#include "memory/summary.h"
#include "text/ground.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static mc_str answer;

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void generate(struct mc_llm *llm, struct mc_llm_call *calls, size_t count,
                     const struct mc_llm_wait *wait, struct mc_arena *arena)
{
    (void)llm;
    (void)wait;
    (void)arena;
    for (size_t i = 0; i < count; i++) {
        calls[i].status = MC_OK;
        calls[i].answer = answer;
        calls[i].model = MC_STR("fuzz");
        must(mc_utf8_check(calls[i].turns[0].text, NULL, NULL));
    }
}

static size_t describe(struct mc_llm *llm, struct mc_llm_state *states, size_t max)
{
    (void)llm;
    if (max > 0)
        states[0] = (struct mc_llm_state){.provider = "fuzz", .state = "ready"};
    return max > 0;
}

/* Of one line, valid, and said by somebody. */
static void check_text(const struct mc_ground *ground, mc_str text)
{
    must(mc_utf8_check(text, NULL, NULL));
    must(text.len > 0 && !memchr(text.data, '\n', text.len));
    bool holds = false;
    must(mc_ground_holds(ground, text, &holds) && holds);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct mc_llm_ops ops = {.generate = generate, .describe = describe};
    struct mc_llm llm = {.ops = &ops, .parallel = 1};
    const uint8_t *nul = memchr(data, 0, size);
    size_t len = nul ? (size_t)(nul - data) : 0;
    mc_str said = {(const char *)data, len};
    answer =
        nul ? (mc_str){(const char *)nul + 1, size - len - 1} : (mc_str){(const char *)data, size};
    if (!mc_utf8_check(said, NULL, NULL))
        return 0;
    struct mc_message fields = {.text = said, .metadata = MC_STR("{}")};
    struct mc_record *record = NULL;
    struct mc_error err;
    mc_auto(mc_records_fini) struct mc_records messages = {0};
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, 64U << 20);
    must(!mc_record_new(&fields, 1, MC_STR_NONE, &record, &err) &&
         mc_records_push(&messages, record));
    struct mc_summary_work work = {.messages = &messages, .arena = &arena};
    mc_summaries_ask(&llm, &work, 1, NULL);
    struct mc_ground ground;
    mc_ground_init(&ground, &arena);
    must(mc_ground_add(&ground, said) &&
         mc_ground_add(&ground, MC_STR("user assistant system tool asked said")));
    must(work.done == (work.status == MC_OK));
    if (work.done)
        must(mc_utf8_check(work.text, NULL, NULL) && !memchr(work.text.data, '\n', work.text.len));
    for (size_t i = 0; work.done && i < work.fact_count; i++)
        check_text(&ground, work.facts[i]);
    mc_ground_fini(&ground);
    return 0;
}
