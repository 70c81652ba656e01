/*
 * A model for tests behind script_server.h, in the manner of chat completions: it answers each text with
 * {"topic": TEXT}, joined texts with one result each, and has the faults that it is told to have.
 */
#ifndef MC_TESTS_SCRIPT_MODEL_H
#define MC_TESTS_SCRIPT_MODEL_H

#include "tap.h"

#include "base/json.h"
#include "base/str.h"
#include "support/script_server.h"

#define SCRIPT_MODEL_SCHEMA                                                                        \
    "{\"type\":\"object\",\"properties\":{\"topic\":{\"type\":\"string\",\"maxLength\":200}},"     \
    "\"required\":[\"topic\"],\"additionalProperties\":false}"
#define SCRIPT_MODEL_NAME "model-2026"

struct script_model {
    /* What it refuses with 400. */
    bool no_lengths, no_schema, no_object; /* of response_format */
    bool no_max_tokens, no_any_limit, no_temperature;
    long limit;       /* more max_tokens are refused; 0: none */
    size_t long_text; /* a request whose user turn has more bytes does not fit; 0: none */
    /* How it spoils joined answers. */
    const char *drop;   /* the id that it leaves out */
    const char *twice;  /* the id that it repeats */
    const char *rename; /* the id that it calls "77" */
    bool numbers;       /* ids are numbers */
    /* How it spoils any answer. */
    const char *content; /* says this in place of its answer */
    bool content_once;   /* only when several are asked together */
    bool fence;
};

static inline void script_model_item(struct mc_json_writer *w, const struct script_model *model,
                                     const struct mc_json *item)
{
    mc_str id = mc_json_string(mc_json_get(item, "id"));
    int64_t number = 0;
    if (model->drop && mc_str_equal(id, mc_str_of(model->drop)))
        return;
    if (model->rename && mc_str_equal(id, mc_str_of(model->rename)))
        id = MC_STR("77");
    for (int i = model->twice && mc_str_equal(id, mc_str_of(model->twice)) ? 0 : 1; i < 2; i++) {
        mc_json_begin(w, '{');
        if (model->numbers && mc_str_to_int64(id, &number))
            mc_json_member_integer(w, "id", number);
        else
            mc_json_member_string(w, "id", id);
        mc_json_key(w, "result");
        mc_json_begin(w, '{');
        mc_json_member_string(w, "topic", mc_json_string(mc_json_get(item, "text")));
        mc_json_end(w, '}');
        mc_json_end(w, '}');
    }
}

static inline void script_model_think(const struct script_model *model, mc_str text,
                                      struct mc_buf *out)
{
    struct mc_json *items = NULL;
    struct mc_json_writer w = mc_json_writer(out);
    bool joined =
        mc_json_parse(text, &items, NULL) == MC_OK && mc_json_type(items) == MC_JSON_ARRAY;
    if (model->content && (joined || !model->content_once)) {
        mc_buf_text(out, model->content);
        mc_json_free(items);
        return;
    }
    mc_buf_text(out, model->fence ? "  ```json\n" : "");
    mc_json_begin(&w, '{');
    if (joined) {
        mc_json_key(&w, "results");
        mc_json_begin(&w, '[');
        for (size_t i = 0; i < mc_json_count(items); i++)
            script_model_item(&w, model, mc_json_at(items, i));
        mc_json_end(&w, ']');
    } else {
        mc_json_member_string(&w, "topic", text);
    }
    mc_json_end(&w, '}');
    mc_buf_text(out, model->fence ? "\n```\n" : "");
    mc_json_free(items);
}

/* Why it refuses the request; NULL when it does not. */
static inline const char *script_model_refusal(const struct script_model *model, const char *body,
                                               const struct mc_json *question, mc_str text)
{
    const struct mc_json *format = mc_json_get(question, "response_format");
    mc_str type = mc_json_string(mc_json_get(format, "type"));
    bool schema = mc_str_equal(type, MC_STR("json_schema"));
    const struct mc_json *limit = mc_json_get(question, "max_tokens");
    if (model->no_max_tokens && limit)
        return "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
               "'max_completion_tokens' instead.";
    if (model->no_any_limit && mc_json_get(question, "max_completion_tokens"))
        return "Unsupported parameter: 'max_completion_tokens'.";
    if (model->no_temperature && mc_json_get(question, "temperature"))
        return "Unsupported value: 'temperature' does not support 0 with this model.";
    if (model->limit && mc_json_integer(limit) > model->limit)
        return "max_tokens is too large: this model supports at most so many completion tokens";
    if (model->no_lengths && schema && strstr(body, "\"maxLength\""))
        return "Invalid schema for response_format 'answer': 'maxLength' is not permitted.";
    if (model->no_schema && schema)
        return "response_format.type json_schema is unavailable";
    if (model->no_object && mc_str_equal(type, MC_STR("json_object")))
        return "unknown response_format";
    if (model->long_text && text.len > model->long_text)
        return "This model's maximum context length is 4096 tokens.";
    return NULL;
}

static inline char *script_model_completion(mc_str content, const char *finish)
{
    struct mc_buf out;
    mc_buf_init(&out, (size_t)16 * 1024 * 1024);
    struct mc_json_writer w = mc_json_writer(&out);
    mc_buf_text(&out,
                "{\"object\":\"chat.completion\",\"model\":\"" SCRIPT_MODEL_NAME
                "\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
    mc_json_put_string(&w, content);
    mc_buf_printf(&out,
                  "},\"finish_reason\":\"%s\"}],\"usage\":{\"prompt_tokens\":101,"
                  "\"completion_tokens\":17,\"total_tokens\":118,"
                  "\"prompt_tokens_details\":{\"cached_tokens\":64}}}",
                  finish);
    return mc_buf_take(&out, NULL);
}

/* For script_answer.build; the context is a struct script_model. */
static inline char *script_model_answer(void *context, const struct script_request *request,
                                        int *code)
{
    const struct script_model *model = context;
    struct mc_json *question = NULL;
    struct mc_buf text;
    mc_buf_init(&text, (size_t)16 * 1024 * 1024);
    mc_str body = {request->body, request->body_len};
    if (mc_json_parse(body, &question, NULL) != MC_OK)
        bail_out("a request that is no JSON: %s", request->body);
    const struct mc_json *messages = mc_json_get(question, "messages");
    const struct mc_json *last = mc_json_at(messages, mc_json_count(messages) - 1);
    mc_str said = mc_json_string(mc_json_get(last, "content"));
    const char *refusal = script_model_refusal(model, request->body, question, said);
    char *answer;
    if (refusal) {
        *code = 400;
        mc_buf_printf(&text, "{\"error\":{\"message\":\"%s\",\"type\":\"invalid_request_error\"}}",
                      refusal);
        answer = mc_buf_take(&text, NULL);
    } else {
        script_model_think(model, said, &text);
        answer = script_model_completion(mc_buf_str(&text), "stop");
    }
    mc_buf_fini(&text);
    mc_json_free(question);
    return answer;
}

#endif
