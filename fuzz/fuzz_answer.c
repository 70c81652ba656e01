/* What a model answers about a message: the first line is the message, the rest the answer. */
#include <stdint.h>

#include "base/compiler.h"
#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"
#include "enrich/answer.h"
#include "enrich/builtin.h"

#define ARENA_MAX ((size_t)16 << 20)

static struct mc_vocabulary *vocabulary;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!vocabulary && mc_vocabulary_new(&vocabulary, NULL))
        __builtin_trap();
    mc_str answer = {(const char *)data, size}, text;
    mc_str_split(&answer, '\n', &text);
    if (!mc_utf8_check(text, NULL, NULL))
        return 0; /* no message is stored like that */
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, ARENA_MAX);
    struct mc_metadata builtin, out;
    if (!mc_builtin_enrich(vocabulary, text, MC_ROLE_USER, &arena, &builtin))
        return 0;
    bool accepted = mc_answer_accept(NULL, answer, NULL) == MC_OK;
    struct mc_llm_call call = {.answer = answer, .confidence = -1, .model = MC_STR("m")};
    enum mc_status status = mc_answer_read(vocabulary, text, &builtin, &call, &arena, &out, NULL);
    if (accepted ? status && status != MC_NO_MEMORY : status != MC_INVALID)
        __builtin_trap();
    if (status)
        return 0;
    struct mc_buf json;
    mc_buf_init(&json, ARENA_MAX);
    mc_metadata_write(&out, &json);
    struct mc_metadata again;
    if (json.failed || mc_metadata_parse(mc_buf_str(&json), &arena, &again, NULL) ||
        again.topic_count == 0 || again.category_count == 0)
        __builtin_trap(); /* what was accepted is metadata, with names of the vocabulary */
    mc_buf_fini(&json);
    return 0;
}
