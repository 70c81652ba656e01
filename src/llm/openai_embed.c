/* Of llm/openai_wire.h: texts to an /embeddings service, and the vectors that come back. */
#include "base/buf.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "llm/openai_wire.h"

/* No service has more numbers; a longer list is nonsense. */
#define NUMBERS_MAX 65536

enum mc_status mc_openai_build_texts(const char *model, int64_t dimensions,
                                     const struct mc_llm_call *const *calls, size_t count,
                                     struct mc_buf *out, struct mc_error *err)
{
    struct mc_json_writer w = mc_json_writer(out);
    mc_json_begin(&w, '{');
    mc_json_member_text(&w, "model", model);
    mc_json_key(&w, "input");
    mc_json_begin(&w, '[');
    for (size_t i = 0; i < count; i++)
        mc_json_put_string(&w, calls[i]->turns[0].text);
    mc_json_end(&w, ']');
    if (dimensions > 0)
        mc_json_member_integer(&w, "dimensions", dimensions);
    mc_json_member_text(&w, "encoding_format", "float");
    mc_json_end(&w, '}');
    if (!out->failed)
        return MC_OK;
    return out->len < out->max
               ? mc_fail_memory(err)
               : mc_fail(err, MC_TOO_LARGE, "the texts are longer than %zu bytes", out->max);
}

/* The numbers of a JSON array as floats. */
static enum mc_status read_vector(const struct mc_json *list, struct mc_arena *arena,
                                  mc_str *vector, struct mc_error *err)
{
    size_t count = mc_json_count(list);
    if (mc_json_type(list) != MC_JSON_ARRAY || count == 0 || count > NUMBERS_MAX)
        return mc_fail(err, MC_INVALID, "the service's answer has an embedding that is %s",
                       mc_json_type(list) == MC_JSON_ARRAY ? "no vector of 1 to 65536 numbers"
                                                           : "no list");
    float *values = mc_arena_array(arena, count, sizeof(*values));
    if (!values)
        return mc_fail_memory(err);
    for (size_t i = 0; i < count; i++) {
        const struct mc_json *number = mc_json_at(list, i);
        enum mc_json_type type = mc_json_type(number);
        if (type != MC_JSON_NUMBER && type != MC_JSON_INTEGER)
            return mc_fail(err, MC_INVALID,
                           "the service's answer has an embedding with %s among its numbers",
                           mc_json_type_name(type));
        values[i] = (float)mc_json_number(number);
    }
    *vector = (mc_str){(const char *)values, count * sizeof(*values)};
    return MC_OK;
}

/* By index; a service that leaves it out keeps the order. */
static enum mc_status read_all(const struct mc_json *data, size_t count, struct mc_arena *arena,
                               mc_str *vectors, struct mc_error *err)
{
    if (mc_json_type(data) != MC_JSON_ARRAY || mc_json_count(data) != count)
        return mc_fail(err, MC_INVALID, "the service's answer has %zu embeddings for %zu texts",
                       mc_json_count(data), count);
    for (size_t i = 0; i < count; i++)
        vectors[i] = MC_STR_NONE;
    for (size_t i = 0; i < count; i++) {
        const struct mc_json *item = mc_json_at(data, i), *index = mc_json_get(item, "index");
        int64_t at = mc_json_type(index) == MC_JSON_INTEGER ? mc_json_integer(index) : (int64_t)i;
        if (at < 0 || at >= (int64_t)count || mc_str_given(vectors[at]))
            return mc_fail(err, MC_INVALID,
                           "the service's answer has two embeddings of one text, or one of none");
        enum mc_status status =
            read_vector(mc_json_get(item, "embedding"), arena, &vectors[at], err);
        if (status != MC_OK)
            return status;
    }
    for (size_t i = 1; i < count; i++) {
        if (vectors[i].len != vectors[0].len)
            return mc_fail(err, MC_INVALID,
                           "the service's answer has embeddings of %zu and of %zu numbers",
                           vectors[0].len / sizeof(float), vectors[i].len / sizeof(float));
    }
    return MC_OK;
}

enum mc_status mc_openai_read_vectors(mc_str body, size_t count, struct mc_arena *arena,
                                      mc_str *vectors, struct mc_openai_answer *answer,
                                      struct mc_error *err)
{
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    enum mc_status status = mc_json_parse(body, &root, err);
    if (status != MC_OK)
        return mc_fail_prefix(
            err, status,
            "the service's answer is not JSON, see that embeddings.openai.base_url is its API");
    const struct mc_json *tokens = mc_json_get(mc_json_get(root, "usage"), "prompt_tokens");
    *answer = (struct mc_openai_answer){
        .tokens_in = mc_json_integer(tokens) > 0 ? mc_json_integer(tokens) : 0,
        .model = mc_arena_copy(arena, mc_json_string(mc_json_get(root, "model"))),
    };
    return read_all(mc_json_get(root, "data"), count, arena, vectors, err);
}
