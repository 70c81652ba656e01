/* See llm/local_prompt.h. */
#include "llm/local_prompt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"

#define TURNS_MAX 1024
#define WRITTEN_MAX (1 << 20) /* bytes that a template writes */
#define ELLIPSIS "\n[...]\n"

void mc_local_prompt_fini(struct mc_local_prompt *prompt)
{
    mc_local_tokens_fini(&prompt->head);
    mc_local_tokens_fini(&prompt->rest);
}

/* Stands for text number i while the template is written; no template trims or changes it. */
static size_t mark(char text[24], size_t i)
{
    return (size_t)snprintf(text, 24, "\x01%zu\x01", i);
}

/* What the template writes, marks in the texts' places; the caller frees it. NULL: out of memory. */
static char *write_template(bool system, const struct mc_llm_call *call, const char *format)
{
    size_t count = call->turn_count + (system ? 1 : 0);
    struct llama_chat_message *messages = calloc(count + 1, sizeof(*messages));
    char(*marks)[24] = calloc(count + 1, sizeof(*marks));
    char *text = NULL;
    if (messages && marks) {
        for (size_t i = 0; i < count; i++) {
            mark(marks[i], i);
            bool by_model = !(system && i == 0) && call->turns[i - (system ? 1 : 0)].by_model;
            messages[i].role = system && i == 0 ? "system" : by_model ? "assistant" : "user";
            messages[i].content = marks[i];
        }
        int32_t size = llama_chat_apply_template(format, messages, count, true, NULL, 0);
        text = size >= 0 && size < WRITTEN_MAX ? calloc((size_t)size + 1, 1) : NULL;
        if (text)
            (void)llama_chat_apply_template(format, messages, count, true, text, size);
    }
    free(messages);
    free(marks);
    return text;
}

static bool marks_stand(const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char name[24];
        mark(name, i);
        text = strstr(text, name);
        if (!text)
            return false;
    }
    return true;
}

/* The model's own template; where libllama does not know it, ChatML, which most models understand. */
static char *write_prompt(const struct mc_local_model *model, const struct mc_llm_call *call,
                          bool system)
{
    const char *own = llama_model_chat_template(model->model, NULL);
    const char *formats[] = {own, "chatml"};
    for (size_t i = own ? 0 : 1; i < mc_countof(formats); i++) {
        char *text = write_template(system, call, formats[i]);
        if (text && marks_stand(text, call->turn_count + (system ? 1 : 0)))
            return text;
        free(text);
    }
    return NULL;
}

static bool add_start(const struct mc_local_model *model, mc_str first,
                      struct mc_local_tokens *tokens)
{
    llama_token start = llama_vocab_bos(model->vocab);
    if (!mc_local_tokenize_template(model, first, tokens))
        return false;
    if (!llama_vocab_get_add_bos(model->vocab) || (tokens->count > 0 && tokens->data[0] == start))
        return true;
    struct mc_local_tokens with = {0};
    bool made = mc_local_tokens_add(&with, &start, 1) &&
                mc_local_tokens_add(&with, tokens->data, tokens->count);
    mc_local_tokens_fini(tokens);
    *tokens = with;
    return made;
}

/* The texts in their order, each behind what the template writes before it. */
static bool fill_prompt(const struct mc_local_model *model, struct mc_local_cache *cache,
                        const struct mc_llm_call *call, bool system, const char *written,
                        struct mc_local_prompt *prompt)
{
    size_t count = call->turn_count + (system ? 1 : 0);
    const char *at = written;
    for (size_t i = 0; i < count; i++) {
        char name[24];
        size_t len = mark(name, i);
        const char *found = strstr(at, name);
        if (!found)
            return false;
        mc_str before = {at, (size_t)(found - at)};
        bool is_system = system && i == 0;
        /* What stands before the first turn belongs to the head. */
        bool to_head = is_system || i == (system ? 1 : 0);
        struct mc_local_tokens *to = to_head ? &prompt->head : &prompt->rest;
        if (!(i == 0 ? add_start(model, before, to)
                     : mc_local_tokenize_template(model, before, to)))
            return false;
        at = found + len;
        if (is_system) {
            const struct mc_local_tokens *tokens = mc_local_cache_get(cache, call->system);
            if (!tokens || !mc_local_tokens_add(&prompt->head, tokens->data, tokens->count))
                return false;
            continue;
        }
        prompt->last = prompt->rest.count;
        if (!mc_local_tokenize(model, call->turns[i - (system ? 1 : 0)].text, &prompt->rest))
            return false;
        prompt->last_count = prompt->rest.count - prompt->last;
    }
    return mc_local_tokenize_template(model, mc_str_of(at), &prompt->rest);
}

enum mc_status mc_local_prompt_make(const struct mc_local_model *model,
                                    struct mc_local_cache *cache, const struct mc_llm_call *call,
                                    struct mc_local_prompt *prompt, struct mc_error *err)
{
    if (call->turn_count == 0 || call->turn_count > TURNS_MAX)
        return mc_fail(err, MC_TOO_LARGE, "a call of %zu turns; give 1 to %d", call->turn_count,
                       TURNS_MAX);
    bool system = call->system.len > 0;
    struct mc_local_prompt made = {0};
    char *written = write_prompt(model, call, system);
    bool filled = written && fill_prompt(model, cache, call, system, written, &made);
    free(written);
    if (!filled) {
        mc_local_prompt_fini(&made);
        return mc_fail_memory(err);
    }
    *prompt = made;
    return MC_OK;
}

static bool begins_inside(const struct mc_local_model *model, llama_token token)
{
    mc_str piece = mc_local_piece(model, token);
    return piece.len > 0 && ((unsigned char)piece.data[0] & 0xC0) == 0x80;
}

bool mc_local_prompt_cut(const struct mc_local_model *model, struct mc_local_prompt *prompt,
                         size_t most)
{
    if (prompt->last_count <= most)
        return true;
    struct mc_local_tokens gap = {0}, rest = {0};
    if (!mc_local_tokenize(model, MC_STR(ELLIPSIS), &gap))
        return false;
    if (gap.count >= most)
        gap.count = 0;
    const llama_token *text = prompt->rest.data + prompt->last;
    /* A message says what it is about at its beginning, and what is wanted at its end. */
    size_t before = (most - gap.count) * 3 / 4;
    size_t after = most - gap.count - before;
    while (before > 0 && begins_inside(model, text[before]))
        before--;
    while (after > 0 && begins_inside(model, text[prompt->last_count - after]))
        after--;
    size_t end = prompt->last + prompt->last_count;
    bool made = mc_local_tokens_add(&rest, prompt->rest.data, prompt->last + before) &&
                mc_local_tokens_add(&rest, gap.data, gap.count) &&
                mc_local_tokens_add(&rest, prompt->rest.data + end - after, after) &&
                mc_local_tokens_add(&rest, prompt->rest.data + end, prompt->rest.count - end);
    if (made) {
        prompt->last_count = before + gap.count + after;
        mc_local_tokens_fini(&prompt->rest);
        prompt->rest = rest;
    } else {
        mc_local_tokens_fini(&rest);
    }
    mc_local_tokens_fini(&gap);
    return made;
}
