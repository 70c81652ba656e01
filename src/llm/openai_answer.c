/* See llm/openai_wire.h. */
#include <stdio.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/utf8.h"
#include "llm/openai_wire.h"

#define REASON_BYTES ((size_t)1024 * 1024) /* of a refusal; a longer one is not read */
#define COUNT_MAX INT64_C(1000000000)      /* no request has more tokens: sums do not overflow */

static int64_t count_of(const struct mc_json *usage, const char *key)
{
    int64_t value = mc_json_integer(mc_json_get(usage, key));
    if (value < 0)
        return 0;
    return value < COUNT_MAX ? value : COUNT_MAX;
}

static void read_usage(const struct mc_json *root, struct mc_openai_answer *answer)
{
    const struct mc_json *usage = mc_json_get(root, "usage");
    answer->tokens_in = count_of(usage, "prompt_tokens");
    answer->tokens_out = count_of(usage, "completion_tokens");
    answer->tokens_cached = count_of(mc_json_get(usage, "prompt_tokens_details"), "cached_tokens");
    if (answer->tokens_cached > answer->tokens_in)
        answer->tokens_cached = answer->tokens_in;
}

static enum mc_status read_choice(const struct mc_json *root, struct mc_openai_answer *answer,
                                  struct mc_error *err)
{
    const struct mc_json *choice = mc_json_at(mc_json_get(root, "choices"), 0);
    const struct mc_json *message = mc_json_get(choice, "message");
    mc_str finish = mc_json_string(mc_json_get(choice, "finish_reason"));
    mc_str refusal = mc_json_string(mc_json_get(message, "refusal"));
    const struct mc_json *content = mc_json_get(message, "content");
    if (mc_json_type(choice) != MC_JSON_OBJECT || mc_json_type(message) != MC_JSON_OBJECT)
        return mc_fail(err, MC_INVALID,
                       "the service answered with something else than a chat completion");
    answer->content = mc_json_string(content);
    if (refusal.len > 0) {
        answer->finish = MC_OPENAI_REFUSED;
        answer->content = refusal;
    } else if (mc_str_equal(finish, MC_STR("content_filter"))) {
        answer->finish = MC_OPENAI_REFUSED;
        answer->content = MC_STR("the service's content filter");
    } else if (mc_str_equal(finish, MC_STR("length"))) {
        answer->finish = MC_OPENAI_CUT;
    } else if (mc_json_type(content) != MC_JSON_STRING) {
        return mc_fail(err, MC_INVALID, "the completion's content is %s, not a text",
                       mc_json_type_name(mc_json_type(content)));
    }
    return MC_OK;
}

enum mc_status mc_openai_read(mc_str body, struct mc_arena *arena, struct mc_openai_answer *answer,
                              struct mc_error *err)
{
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    struct mc_openai_answer got = {0};
    enum mc_status status = mc_json_parse(body, &root, err);
    if (status != MC_OK)
        return mc_fail_prefix(
            err, status,
            "the service's answer is not JSON, see that llm.openai.base_url is its API");
    read_usage(root, &got);
    *answer = got;
    status = read_choice(root, &got, err);
    if (status != MC_OK)
        return status;
    got.content = mc_arena_copy(arena, got.content);
    got.model = mc_arena_copy(arena, mc_json_string(mc_json_get(root, "model")));
    if (!got.content.data || !got.model.data)
        return mc_fail_memory(err);
    *answer = got;
    return MC_OK;
}

/* What is between ``` or ```json and ```, when the text is just that. */
static mc_str without_fence(mc_str text)
{
    mc_str fence = MC_STR("```");
    mc_str trimmed = mc_str_trim(text);
    const char *line_end = memchr(trimmed.data, '\n', trimmed.len);
    if (trimmed.len < 2 * fence.len || !line_end || !mc_str_starts(trimmed, fence) ||
        !mc_str_ends(trimmed, fence))
        return trimmed;
    size_t head = (size_t)(line_end - trimmed.data);
    if (head > trimmed.len - fence.len)
        return trimmed;
    return mc_str_trim((mc_str){trimmed.data + head, trimmed.len - fence.len - head});
}

enum mc_status mc_openai_object(mc_str content, struct mc_json **object, struct mc_error *err)
{
    struct mc_json *root = NULL;
    mc_str text = without_fence(content.data ? content : MC_STR(""));
    if (text.len == 0)
        return mc_fail(err, MC_INVALID, "the model's answer is empty");
    enum mc_status status = mc_json_parse(text, &root, err);
    if (status != MC_OK)
        return mc_fail_prefix(err, status, "the model's answer");
    if (mc_json_type(root) != MC_JSON_OBJECT) {
        status = mc_fail(err, MC_INVALID, "the model's answer is %s, not an object",
                         mc_json_type_name(mc_json_type(root)));
        mc_json_free(root);
        return status;
    }
    *object = root;
    return MC_OK;
}

/* The number of the call that an element answers; `count` for no one's. */
static size_t number_of(const struct mc_json *element, size_t count)
{
    const struct mc_json *id = mc_json_get(element, "id");
    int64_t number = mc_json_integer(id);
    if (mc_json_type(id) == MC_JSON_STRING && !mc_str_to_int64(mc_json_string(id), &number))
        return count;
    return number >= 1 && (uint64_t)number <= count ? (size_t)number - 1 : count;
}

enum mc_status mc_openai_match(const struct mc_json *object, size_t count,
                               const struct mc_json *results[MC_OPENAI_BATCH_MAX],
                               struct mc_error *err)
{
    const struct mc_json *elements = mc_json_get(object, "results");
    bool seen[MC_OPENAI_BATCH_MAX] = {false};
    if (mc_json_type(elements) != MC_JSON_ARRAY)
        return mc_fail(err, MC_INVALID, "the model's answer has no array \"results\"");
    for (size_t i = 0; i < count; i++)
        results[i] = NULL;
    for (size_t i = 0; i < mc_json_count(elements); i++) {
        const struct mc_json *element = mc_json_at(elements, i);
        size_t number = number_of(element, count);
        if (number == count)
            continue;
        results[number] = seen[number] ? NULL : mc_json_get(element, "result");
        seen[number] = true;
    }
    return MC_OK;
}

static void append_word(struct mc_buf *out, mc_str word)
{
    if (word.len > 0 && out->len > 0)
        mc_buf_text(out, ", ");
    mc_buf_append(out, word);
}

/* {"error": {"message", "param", "code"}}, {"error": "..."}, {"message"}, {"detail": "..." or [{"loc",
 * "msg"}]}. */
static void append_reason(struct mc_buf *out, const struct mc_json *root)
{
    const struct mc_json *error = mc_json_get(root, "error");
    const struct mc_json *from = mc_json_type(error) == MC_JSON_OBJECT ? error : root;
    const struct mc_json *detail = mc_json_get(root, "detail");
    append_word(out, mc_json_string(error));
    append_word(out, mc_json_string(mc_json_get(from, "message")));
    append_word(out, mc_json_string(mc_json_get(from, "param")));
    append_word(out, mc_json_string(mc_json_get(from, "code")));
    append_word(out, mc_json_string(detail));
    for (size_t i = 0; mc_json_type(detail) == MC_JSON_ARRAY && i < mc_json_count(detail); i++) {
        const struct mc_json *place = mc_json_get(mc_json_at(detail, i), "loc");
        for (size_t j = 0; mc_json_type(place) == MC_JSON_ARRAY && j < mc_json_count(place); j++)
            append_word(out, mc_json_string(mc_json_at(place, j)));
        append_word(out, mc_json_string(mc_json_get(mc_json_at(detail, i), "msg")));
    }
}

void mc_openai_reason(mc_str body, char reason[MC_OPENAI_REASON_SIZE])
{
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    mc_auto(mc_buf_fini) struct mc_buf text;
    mc_buf_init(&text, 2 * REASON_BYTES);
    bool parsed = body.len < REASON_BYTES && mc_json_parse(body, &root, NULL) == MC_OK;
    if (parsed && mc_json_type(root) == MC_JSON_OBJECT)
        append_reason(&text, root);
    bool page = mc_str_starts(mc_str_trim(body), MC_STR("<")); /* HTML, of a proxy perhaps */
    mc_str words = text.len > 0 ? mc_buf_str(&text) : page ? MC_STR("") : body;
    words.len = words.len < MC_OPENAI_REASON_SIZE ? words.len : MC_OPENAI_REASON_SIZE;
    (void)mc_utf8_line(words, reason, MC_OPENAI_REASON_SIZE);
}

static bool says(const char *reason, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcasestr(reason, words[i]))
            return true;
    }
    return false;
}
#define SAYS(reason, ...)                                                                          \
    says((reason), (const char *const[]){__VA_ARGS__},                                             \
         sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

enum mc_openai_refusal mc_openai_classify(int code, const char *reason)
{
    if (SAYS(reason, "max_tokens", "max_completion_tokens"))
        return SAYS(reason, "too large", "at most", "exceed", "maximum", "less than", "too high")
                   ? MC_OPENAI_OF_LIMIT_VALUE
                   : MC_OPENAI_OF_LIMIT;
    if (code == 413 || SAYS(reason, "context length", "context_length", "context size",
                            "context_size", "context window", "too many tokens", "too long"))
        return MC_OPENAI_OF_LENGTH;
    if (SAYS(reason, "temperature"))
        return MC_OPENAI_OF_TEMPERATURE;
    if (SAYS(reason, "response_format", "response format", "json_schema", "json_object", "schema",
             "grammar", "structured output", "guided"))
        return MC_OPENAI_OF_FORMAT;
    return MC_OPENAI_OF_REQUEST;
}

bool mc_openai_no_quota(const char *reason)
{
    return SAYS(reason, "insufficient_quota", "exceeded your current quota", "billing");
}
