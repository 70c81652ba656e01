/* See llm/local_text.h. */
#include "llm/local_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"
#include "base/utf8.h"

/*
 * Tokenizers split a text with regular expressions whose matcher recurses once for each character of a
 * run: more at once could exhaust the stack.
 */
#define CHUNK 2048
#define LARGEST (64u << 20)
#define CACHE_MAX (8u << 20)

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
    bool apart = made && sentinel.count > 0 && all.count >= sentinel.count &&
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

static bool tokenize(const struct mc_local_model *model, mc_str text,
                     struct mc_local_tokens *tokens)
{
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

/* What is no valid UTF-8, on which tokenizers of libllama throw, becomes U+FFFD. */
static bool repair(mc_str text, struct mc_buf *out)
{
    for (size_t at = 0; at < text.len;) {
        size_t from = at;
        if (mc_utf8_next(text, &at) >= 0)
            mc_buf_append(out, (mc_str){text.data + from, at - from});
        else
            mc_buf_text(out, "\xEF\xBF\xBD");
    }
    return !out->failed;
}

bool mc_local_tokenize(const struct mc_local_model *model, mc_str text,
                       struct mc_local_tokens *tokens)
{
    if (text.len > LARGEST)
        return false;
    if (mc_utf8_check(text, NULL, NULL))
        return tokenize(model, text, tokens);
    mc_auto(mc_buf_fini) struct mc_buf valid;
    mc_buf_init(&valid, (size_t)LARGEST * 3);
    return repair(text, &valid) && tokenize(model, mc_buf_str(&valid), tokens);
}

bool mc_local_tokenize_template(const struct mc_local_model *model, mc_str text,
                                struct mc_local_tokens *tokens)
{
    return append(model, text, true, tokens);
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
