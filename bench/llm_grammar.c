#include "llm_grammar.h"

#include <stdio.h>

#include "base/compiler.h"
#include "base/json.h"
#include "base/str.h"

/* Each value of the schema is a rule r<N>, written behind those that it names. */
struct grammar {
    struct mc_buf *out;
    int rules;
    bool unknown;
};

static int add_value(struct grammar *grammar, const struct mc_json *schema);

/* A literal of the grammar. */
static void put_literal(struct mc_buf *out, mc_str text)
{
    mc_buf_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\')
            mc_buf_char(out, '\\');
        mc_buf_char(out, text.data[i]);
    }
    mc_buf_char(out, '"');
}

static void put_json(struct mc_buf *out, const struct mc_json *value)
{
    mc_auto(mc_buf_fini) struct mc_buf text;
    mc_buf_init(&text, 65536);
    mc_json_dump(value, &text);
    put_literal(out, mc_buf_str(&text));
}

static int begin_rule(struct grammar *grammar)
{
    mc_buf_printf(grammar->out, "r%d ::= ", grammar->rules);
    return grammar->rules++;
}

static int add_alternatives(struct grammar *grammar, const struct mc_json *values)
{
    int rule = begin_rule(grammar);
    for (size_t i = 0; i < mc_json_count(values); i++) {
        if (i)
            mc_buf_text(grammar->out, " | ");
        put_json(grammar->out, mc_json_at(values, i));
    }
    mc_buf_char(grammar->out, '\n');
    return rule;
}

static int add_any(struct grammar *grammar, const struct mc_json *choices)
{
    int parts[64];
    size_t count = mc_json_count(choices);
    if (count > 64) {
        grammar->unknown = true;
        return 0;
    }
    for (size_t i = 0; i < count; i++)
        parts[i] = add_value(grammar, mc_json_at(choices, i));
    int rule = begin_rule(grammar);
    for (size_t i = 0; i < count; i++)
        mc_buf_printf(grammar->out, "%sr%d", i ? " | " : "", parts[i]);
    mc_buf_char(grammar->out, '\n');
    return rule;
}

static int add_integer(struct grammar *grammar, const struct mc_json *schema)
{
    int64_t least = mc_json_integer(mc_json_get(schema, "minimum"));
    int64_t most = mc_json_integer(mc_json_get(schema, "maximum"));
    int rule = begin_rule(grammar);
    for (int64_t value = least; value <= most; value++)
        mc_buf_printf(grammar->out, "%s\"%lld\"", value > least ? " | " : "", (long long)value);
    mc_buf_char(grammar->out, '\n');
    return rule;
}

static int add_text(struct grammar *grammar, const struct mc_json *schema)
{
    int rule = begin_rule(grammar);
    mc_buf_printf(grammar->out, "\"\\\"\" char{%lld,%lld} \"\\\"\"\n",
                  (long long)mc_json_integer(mc_json_get(schema, "minLength")),
                  (long long)mc_json_integer(mc_json_get(schema, "maxLength")));
    return rule;
}

static int add_list(struct grammar *grammar, const struct mc_json *schema)
{
    long long least = mc_json_integer(mc_json_get(schema, "minItems"));
    long long most = mc_json_integer(mc_json_get(schema, "maxItems"));
    int item = add_value(grammar, mc_json_get(schema, "items"));
    int rule = begin_rule(grammar);
    mc_buf_printf(grammar->out, "\"[\" (r%d (\",\" r%d){%lld,%lld})%s \"]\"\n", item, item,
                  least > 0 ? least - 1 : 0, most - 1, least > 0 ? "" : "?");
    return rule;
}

static int add_object(struct grammar *grammar, const struct mc_json *schema)
{
    const struct mc_json *members = mc_json_get(schema, "properties");
    const struct mc_json *member;
    mc_str key;
    int parts[64];
    size_t count = 0;
    for (void *cursor = NULL; mc_json_next(members, &cursor, &key, &member);) {
        if (count == 64) {
            grammar->unknown = true;
            return 0;
        }
        parts[count++] = add_value(grammar, member);
    }
    int rule = begin_rule(grammar);
    count = 0;
    for (void *cursor = NULL; mc_json_next(members, &cursor, &key, &member); count++) {
        mc_auto(mc_buf_fini) struct mc_buf text;
        mc_buf_init(&text, 1024);
        mc_buf_text(&text, count ? "," : "{");
        struct mc_json_writer w = mc_json_writer(&text);
        mc_json_put_string(&w, key);
        mc_buf_char(&text, ':');
        put_literal(grammar->out, mc_buf_str(&text));
        mc_buf_printf(grammar->out, " r%d ", parts[count]);
    }
    mc_buf_text(grammar->out, "\"}\"\n");
    return rule;
}

static int add_value(struct grammar *grammar, const struct mc_json *schema)
{
    mc_str type = mc_json_string(mc_json_get(schema, "type"));
    if (mc_json_get(schema, "enum"))
        return add_alternatives(grammar, mc_json_get(schema, "enum"));
    if (mc_json_get(schema, "anyOf"))
        return add_any(grammar, mc_json_get(schema, "anyOf"));
    if (mc_json_get(schema, "const")) {
        int rule = begin_rule(grammar);
        put_json(grammar->out, mc_json_get(schema, "const"));
        mc_buf_char(grammar->out, '\n');
        return rule;
    }
    if (mc_str_equal(type, MC_STR("object")))
        return add_object(grammar, schema);
    if (mc_str_equal(type, MC_STR("array")))
        return add_list(grammar, schema);
    if (mc_str_equal(type, MC_STR("string")))
        return add_text(grammar, schema);
    if (mc_str_equal(type, MC_STR("integer")))
        return add_integer(grammar, schema);
    if (mc_str_equal(type, MC_STR("boolean"))) {
        int rule = begin_rule(grammar);
        mc_buf_text(grammar->out, "\"true\" | \"false\"\n");
        return rule;
    }
    grammar->unknown = true;
    return 0;
}

bool llm_grammar_write(mc_str schema, struct mc_buf *out)
{
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    struct mc_error err;
    struct grammar grammar = {.out = out};
    if (mc_json_parse(schema, &root, &err))
        return false;
    int rule = add_value(&grammar, root);
    mc_buf_printf(out, "root ::= r%d\n", rule);
    mc_buf_text(out, "char ::= [^\"\\\\\\x00-\\x1F\\x7F] | \"\\\\\" ([\"\\\\/bfnrt] | \"u\" "
                     "[0-9a-fA-F]{4})\n");
    return !grammar.unknown && !out->failed;
}
