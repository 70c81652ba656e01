/* See llm/openai_wire.h. */
#include <stdio.h>

#include "base/error.h"
#include "base/str.h"
#include "llm/openai_wire.h"

/*
 * Tokens of an answer. A token is two bytes and more of JSON; models that call their limit
 * max_completion_tokens count what they think, too.
 */
#define BYTES_PER_TOKEN 2
#define TOKENS_MIN 256
#define TOKENS_MAX 4096
#define THINKING_TOKENS 2048

static const char joined_text[] =
    "\n\nThe user's turn is a JSON array of independent items, each with an \"id\" and a \"text\". "
    "Treat "
    "each text as if it were the user's whole turn. Answer with one JSON object {\"results\": "
    "[{\"id\": ..., \"result\": ...}, ...]}: one element for every item, in the same order, with "
    "the "
    "item's id as it is given, and as its result the answer for that item alone.";
static const char shape_text[] =
    "\n\nAnswer with one JSON object and nothing else. It must follow this JSON Schema:\n";

size_t mc_openai_tokens(const struct mc_llm_call *call)
{
    if (call->max_tokens > 0)
        return call->max_tokens;
    size_t tokens = mc_schema_longest(call->schema) / BYTES_PER_TOKEN;
    if (tokens < TOKENS_MIN)
        return TOKENS_MIN;
    return tokens < TOKENS_MAX ? tokens : TOKENS_MAX;
}

static mc_str schema_text(const struct mc_openai_question *question)
{
    const struct mc_schema *schema = question->calls[0]->schema;
    return question->dialect.format == MC_OPENAI_PORTABLE ? mc_schema_portable(schema)
                                                          : mc_schema_text(schema);
}

static void put_id(struct mc_json_writer *w, size_t index)
{
    char id[24];
    snprintf(id, sizeof(id), "%zu", index + 1);
    mc_json_put_text(w, id);
}

static void put_type(struct mc_json_writer *w, const char *type)
{
    mc_json_begin(w, '{');
    mc_json_member_text(w, "type", type);
}

static void put_required(struct mc_json_writer *w, const char *first, const char *second)
{
    mc_json_key(w, "required");
    mc_json_begin(w, '[');
    mc_json_put_text(w, first);
    if (second)
        mc_json_put_text(w, second);
    mc_json_end(w, ']');
    mc_json_member_boolean(w, "additionalProperties", false);
    mc_json_end(w, '}');
}

static void put_ids(struct mc_json_writer *w, size_t count)
{
    mc_json_key(w, "enum");
    mc_json_begin(w, '[');
    for (size_t i = 0; i < count; i++)
        put_id(w, i);
    mc_json_end(w, ']');
}

/*
 * The schema of one answer, or of the object that joins several. The portable one is the same for any
 * number of answers: services compile a schema when they see it first, which takes them seconds.
 */
static void put_schema(struct mc_json_writer *w, const struct mc_openai_question *question)
{
    if (question->count == 1) {
        mc_json_put_raw(w, schema_text(question));
        return;
    }
    bool exact = question->dialect.format == MC_OPENAI_SCHEMA;
    put_type(w, "object");
    mc_json_key(w, "properties");
    mc_json_begin(w, '{');
    mc_json_key(w, "results");
    put_type(w, "array");
    if (exact) {
        mc_json_member_integer(w, "minItems", (int64_t)question->count);
        mc_json_member_integer(w, "maxItems", (int64_t)question->count);
    }
    mc_json_key(w, "items");
    put_type(w, "object");
    mc_json_key(w, "properties");
    mc_json_begin(w, '{');
    mc_json_key(w, "id");
    put_type(w, "string");
    put_ids(w, exact ? question->count : MC_OPENAI_BATCH_MAX);
    mc_json_end(w, '}');
    mc_json_key(w, "result");
    mc_json_put_raw(w, schema_text(question));
    mc_json_end(w, '}');
    put_required(w, "id", "result");
    mc_json_end(w, '}');
    mc_json_end(w, '}');
    put_required(w, "results", NULL);
}

static void put_message(struct mc_json_writer *w, const char *role, mc_str text)
{
    mc_json_begin(w, '{');
    mc_json_member_text(w, "role", role);
    mc_json_member_string(w, "content", text);
    mc_json_end(w, '}');
}

static void put_system(struct mc_json_writer *w, const struct mc_openai_question *question,
                       struct mc_buf *text)
{
    mc_buf_reset(text);
    mc_buf_append(text, question->calls[0]->system);
    if (question->count > 1)
        mc_buf_text(text, joined_text);
    if (question->dialect.format >= MC_OPENAI_OBJECT) {
        struct mc_json_writer schema = mc_json_writer(text);
        mc_buf_text(text, shape_text);
        put_schema(&schema, question);
    }
    put_message(w, "system", mc_buf_str(text));
}

/* The one user turn of several calls. */
static void put_items(struct mc_json_writer *w, const struct mc_openai_question *question,
                      struct mc_buf *text)
{
    struct mc_json_writer items = mc_json_writer(text);
    mc_buf_reset(text);
    mc_json_begin(&items, '[');
    for (size_t i = 0; i < question->count; i++) {
        mc_json_begin(&items, '{');
        mc_json_key(&items, "id");
        put_id(&items, i);
        mc_json_member_string(&items, "text", question->calls[i]->turns[0].text);
        mc_json_end(&items, '}');
    }
    mc_json_end(&items, ']');
    put_message(w, "user", mc_buf_str(text));
}

static void put_messages(struct mc_json_writer *w, const struct mc_openai_question *question,
                         struct mc_buf *text)
{
    const struct mc_llm_call *call = question->calls[0];
    mc_json_key(w, "messages");
    mc_json_begin(w, '[');
    put_system(w, question, text);
    if (question->count > 1)
        put_items(w, question, text);
    for (size_t i = 0; question->count == 1 && i < call->turn_count; i++)
        put_message(w, call->turns[i].by_model ? "assistant" : "user", call->turns[i].text);
    mc_json_end(w, ']');
}

static void put_format(struct mc_json_writer *w, const struct mc_openai_question *question)
{
    if (question->dialect.format == MC_OPENAI_PLAIN)
        return;
    mc_json_key(w, "response_format");
    if (question->dialect.format == MC_OPENAI_OBJECT) {
        put_type(w, "json_object");
        mc_json_end(w, '}');
        return;
    }
    put_type(w, "json_schema");
    mc_json_key(w, "json_schema");
    mc_json_begin(w, '{');
    mc_json_member_text(w, "name", question->count > 1 ? "answers" : "answer");
    mc_json_member_boolean(w, "strict", true);
    mc_json_key(w, "schema");
    put_schema(w, question);
    mc_json_end(w, '}');
    mc_json_end(w, '}');
}

enum mc_status mc_openai_build(const struct mc_openai_question *question, struct mc_buf *out,
                               struct mc_error *err)
{
    struct mc_buf text;
    struct mc_json_writer w = mc_json_writer(out);
    mc_buf_init(&text, out->max);
    mc_json_begin(&w, '{');
    mc_json_member_text(&w, "model", question->model);
    put_messages(&w, question, &text);
    if (!question->dialect.no_temperature)
        mc_json_member_integer(&w, "temperature", 0);
    if (question->dialect.limit == MC_OPENAI_MAX_TOKENS)
        mc_json_member_integer(&w, "max_tokens", (int64_t)question->max_tokens);
    else if (question->dialect.limit == MC_OPENAI_MAX_COMPLETION_TOKENS)
        mc_json_member_integer(&w, "max_completion_tokens",
                               (int64_t)(question->max_tokens + THINKING_TOKENS));
    put_format(&w, question);
    mc_json_end(&w, '}');
    bool failed = text.failed || out->failed;
    bool large = text.len > text.max / 2 || out->len > out->max / 2;
    mc_buf_fini(&text);
    if (!failed)
        return MC_OK;
    return large ? mc_fail(err, MC_TOO_LARGE, "the request is longer than %zu bytes", out->max)
                 : mc_fail_memory(err);
}
