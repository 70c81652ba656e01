/* See llm/local_text.h. */
#include "llm/local_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "base/utf8.h"

/*
 * Tokenizers split a text with regular expressions whose matcher recurses once for each character of a
 * run: more at once could exhaust the stack.
 */
#define CHUNK 2048
#define LARGEST (64u << 20)
#define CACHE_MAX (8u << 20)
#define TURNS_MAX 1024
#define PROMPT_MAX (1u << 20) /* of what a template writes */
#define ELLIPSIS "\n[...]\n"

void mc_local_tokens_fini(struct mc_local_tokens *tokens)
{
    free(tokens->data);
    *tokens = (struct mc_local_tokens){0};
}

static bool reserve(struct mc_local_tokens *tokens, size_t more)
{
    if (tokens->capacity - tokens->count >= more)
        return true;
    size_t capacity = (tokens->count + more) * 2;
    llama_token *data = realloc(tokens->data, capacity * sizeof(*data));
    if (!data)
        return false;
    tokens->data = data;
    tokens->capacity = capacity;
    return true;
}

bool mc_local_tokens_add(struct mc_local_tokens *tokens, const llama_token *more, size_t count)
{
    if (!reserve(tokens, count))
        return false;
    if (count > 0)
        memcpy(tokens->data + tokens->count, more, count * sizeof(*more));
    tokens->count += count;
    return true;
}

void mc_local_tokens_drop(struct mc_local_tokens *tokens, size_t count)
{
    if (count > 0)
        memmove(tokens->data, tokens->data + count, (tokens->count - count) * sizeof(llama_token));
    tokens->count -= count;
}

/* Text as it is given to libllama, at most CHUNK bytes and a sentinel, or what a template wrote. */
static bool append(const struct mc_local_model *model, mc_str text, bool special,
                   struct mc_local_tokens *tokens)
{
    if (text.len == 0)
        return true;
    if (!reserve(tokens, text.len + 8))
        return false;
    int32_t count =
        llama_tokenize(model->vocab, text.data, (int32_t)text.len, tokens->data + tokens->count,
                       (int32_t)(tokens->capacity - tokens->count), false, special);
    if (count < 0 && count != INT32_MIN) {
        if (!reserve(tokens, (size_t)-count))
            return false;
        count =
            llama_tokenize(model->vocab, text.data, (int32_t)text.len, tokens->data + tokens->count,
                           (int32_t)(tokens->capacity - tokens->count), false, special);
    }
    if (count < 0)
        return false;
    tokens->count += (size_t)count;
    return true;
}

/* As append, without the space that some tokenizers put in front: it stands behind a line break, then. */
static bool append_bare(const struct mc_local_model *model, mc_str text,
                        struct mc_local_tokens *tokens)
{
    if (!model->leading_space || text.len == 0)
        return append(model, text, false, tokens);
    char behind[CHUNK + 1];
    struct mc_local_tokens sentinel = {0}, all = {0};
    behind[0] = '\n';
    memcpy(behind + 1, text.data, text.len);
    bool made = append(model, (mc_str){behind, 1}, false, &sentinel) &&
                append(model, (mc_str){behind, text.len + 1}, false, &all);
    bool apart = made && all.count >= sentinel.count &&
                 memcmp(all.data, sentinel.data, sentinel.count * sizeof(llama_token)) == 0;
    if (made && apart)
        made = mc_local_tokens_add(tokens, all.data + sentinel.count, all.count - sentinel.count);
    else if (made) /* the two have grown together */
        made = append(model, text, false, tokens);
    mc_local_tokens_fini(&sentinel);
    mc_local_tokens_fini(&all);
    return made;
}

static bool is_control(const struct mc_local_model *model, llama_token token)
{
    return llama_vocab_is_control(model->vocab, token) || llama_vocab_is_eog(model->vocab, token);
}

/* The pieces of a text may have been merged into a control token's name: it is spelt out, then. */
static bool spell_controls(const struct mc_local_model *model, size_t from,
                           struct mc_local_tokens *tokens)
{
    size_t first = from;
    while (first < tokens->count && !is_control(model, tokens->data[first]))
        first++;
    if (first == tokens->count)
        return true;
    struct mc_local_tokens spelt = {0};
    bool made = true;
    for (size_t i = first; made && i < tokens->count; i++) {
        if (!is_control(model, tokens->data[i])) {
            made = mc_local_tokens_add(&spelt, &tokens->data[i], 1);
            continue;
        }
        mc_str name = mc_str_of(llama_vocab_get_text(model->vocab, tokens->data[i]));
        for (size_t at = 0; made && at < name.len;) {
            size_t next = at;
            (void)mc_utf8_next(name, &next);
            size_t before = spelt.count;
            made = append_bare(model, (mc_str){name.data + at, next - at}, &spelt);
            for (size_t j = before; made && j < spelt.count; j++)
                if (is_control(model, spelt.data[j]))
                    spelt.count = before; /* a control token of one character */
            at = next;
        }
    }
    tokens->count = first;
    made = made && mc_local_tokens_add(tokens, spelt.data, spelt.count);
    mc_local_tokens_fini(&spelt);
    return made;
}

/* Where to end a chunk: at white space if there is some, else between characters. */
static size_t chunk_end(mc_str text)
{
    if (text.len <= CHUNK)
        return text.len;
    for (size_t end = CHUNK; end > CHUNK / 2; end--)
        if (text.data[end] == ' ' || text.data[end] == '\n')
            return end;
    size_t end = mc_utf8_cut(text, CHUNK).len;
    return end > 0 ? end : CHUNK;
}

bool mc_local_tokenize(const struct mc_local_model *model, mc_str text,
                       struct mc_local_tokens *tokens)
{
    if (text.len > LARGEST)
        return false;
    while (text.len > 0) {
        size_t end = chunk_end(text);
        size_t from = tokens->count;
        if (!append_bare(model, (mc_str){text.data, end}, tokens) ||
            !spell_controls(model, from, tokens))
            return false;
        text = (mc_str){text.data + end, text.len - end};
    }
    return true;
}

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

/* What the template writes around `count` texts, marks in their places. Freed by the caller; NULL: out of memory. */
static char *write_template(const struct mc_local_model *model, bool system,
                            const struct mc_llm_call *call, const char *format, size_t *len)
{
    size_t count = call->turn_count + (system ? 1 : 0);
    struct llama_chat_message *messages = calloc(count + 1, sizeof(*messages));
    char(*marks)[24] = calloc(count + 1, sizeof(*marks));
    char *text = NULL;
    (void)model;
    if (messages && marks) {
        for (size_t i = 0; i < count; i++) {
            mark(marks[i], i);
            bool by_model = !(system && i == 0) && call->turns[i - (system ? 1 : 0)].by_model;
            messages[i].role = system && i == 0 ? "system" : by_model ? "assistant" : "user";
            messages[i].content = marks[i];
        }
        int32_t size = llama_chat_apply_template(format, messages, count, true, NULL, 0);
        text = size >= 0 && size < (int32_t)PROMPT_MAX ? calloc((size_t)size + 1, 1) : NULL;
        if (text) {
            (void)llama_chat_apply_template(format, messages, count, true, text, size);
            *len = strlen(text);
        }
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
        size_t len = 0;
        char *text = write_template(model, system, call, formats[i], &len);
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
    if (!append(model, first, true, tokens))
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
static bool fill_prompt(const struct mc_local_model *model, const struct mc_llm_call *call,
                        bool system, const char *written, struct mc_local_prompt *prompt)
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
        if (!(i == 0 ? add_start(model, before, to) : append(model, before, true, to)))
            return false;
        mc_str text = is_system ? call->system : call->turns[i - (system ? 1 : 0)].text;
        to = is_system ? &prompt->head : &prompt->rest;
        prompt->last = prompt->rest.count;
        if (!mc_local_tokenize(model, text, to))
            return false;
        prompt->last_count = prompt->rest.count - prompt->last;
        at = found + len;
    }
    return append(model, mc_str_of(at), true, &prompt->rest);
}

enum mc_status mc_local_prompt_make(const struct mc_local_model *model,
                                    const struct mc_llm_call *call, struct mc_local_prompt *prompt,
                                    struct mc_error *err)
{
    if (call->turn_count == 0 || call->turn_count > TURNS_MAX)
        return mc_fail(err, MC_TOO_LARGE, "a call of %zu turns; give 1 to %d", call->turn_count,
                       TURNS_MAX);
    bool system = call->system.len > 0;
    struct mc_local_prompt made = {0};
    char *written = write_prompt(model, call, system);
    bool filled = written && fill_prompt(model, call, system, written, &made);
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
    bool made =
        mc_local_tokens_add(&rest, prompt->rest.data, prompt->last + before) &&
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

/* Tokens of the cache, its key behind them. */
struct entry {
    struct mc_local_tokens tokens;
    size_t len;
    char text[];
};

void mc_local_cache_init(struct mc_local_cache *cache, const struct mc_local_model *model)
{
    *cache = (struct mc_local_cache){.model = model};
    mc_map_init(&cache->map);
}

void mc_local_cache_fini(struct mc_local_cache *cache)
{
    size_t cursor = 0;
    mc_str key;
    void *value;
    while (mc_map_next(&cache->map, &cursor, &key, &value)) {
        struct entry *entry = value;
        mc_local_tokens_fini(&entry->tokens);
        free(entry);
    }
    mc_map_fini(&cache->map);
}

void mc_local_cache_trim(struct mc_local_cache *cache)
{
    if (cache->bytes < CACHE_MAX)
        return;
    const struct mc_local_model *model = cache->model;
    mc_local_cache_fini(cache);
    mc_local_cache_init(cache, model);
}

const struct mc_local_tokens *mc_local_cache_get(struct mc_local_cache *cache, mc_str text)
{
    struct entry *entry = mc_map_get(&cache->map, text);
    if (entry)
        return &entry->tokens;
    entry = calloc(1, sizeof(*entry) + text.len + 1);
    if (!entry)
        return NULL;
    memcpy(entry->text, text.data, text.len);
    entry->len = text.len;
    if (!mc_local_tokenize(cache->model, text, &entry->tokens) ||
        !mc_map_put(&cache->map, (mc_str){entry->text, entry->len}, entry)) {
        mc_local_tokens_fini(&entry->tokens);
        free(entry);
        return NULL;
    }
    cache->bytes += sizeof(*entry) + text.len + entry->tokens.capacity * sizeof(llama_token) + 64;
    return &entry->tokens;
}
