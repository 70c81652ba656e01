#include "config/node.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "config/value.h"

#define NEST_MAX 8 /* variables in defaults of variables */

bool mc_node_is_null(const struct mc_node *node)
{
    if (node->type != MC_NODE_SCALAR || !node->plain || node->variable)
        return false;
    return node->text.len == 0 || mc_str_equal(node->text, MC_STR("~")) ||
           mc_str_equal(node->text, MC_STR("null")) || mc_str_equal(node->text, MC_STR("Null")) ||
           mc_str_equal(node->text, MC_STR("NULL"));
}

/* JSON */

static enum mc_status from_json(struct mc_arena *arena, const struct mc_json *json,
                                struct mc_node **node, struct mc_error *err);

static enum mc_status append_json(struct mc_arena *arena, const struct mc_json *json, mc_str key,
                                  struct mc_node ***end, struct mc_error *err)
{
    enum mc_status status = from_json(arena, json, *end, err);
    if (status != MC_OK)
        return status;
    if (mc_str_given(key)) {
        struct mc_node *name = mc_arena_alloc(arena, sizeof(*name));
        if (!name)
            return mc_fail_memory(err);
        name->text = mc_arena_copy(arena, key);
        if (!name->text.data)
            return mc_fail_memory(err);
        (**end)->key = name;
    }
    *end = &(**end)->next;
    return MC_OK;
}

/* Recursive: the JSON parser has bounded the depth. */
static enum mc_status from_json(struct mc_arena *arena, const struct mc_json *json,
                                struct mc_node **node, struct mc_error *err)
{
    enum mc_json_type type = mc_json_type(json);
    struct mc_node *made = mc_arena_alloc(arena, sizeof(*made));
    if (!made)
        return mc_fail_memory(err);
    enum mc_status status = MC_OK;
    struct mc_node **end = &made->child;
    if (type == MC_JSON_ARRAY) {
        made->type = MC_NODE_LIST;
        for (size_t i = 0; i < mc_json_count(json) && status == MC_OK; i++)
            status = append_json(arena, mc_json_at(json, i), MC_STR_NONE, &end, err);
    } else if (type == MC_JSON_OBJECT) {
        made->type = MC_NODE_MAP;
        void *cursor = NULL;
        mc_str key;
        const struct mc_json *value;
        while (status == MC_OK && mc_json_next(json, &cursor, &key, &value))
            status = append_json(arena, value, key, &end, err);
    } else {
        mc_auto(mc_buf_fini) struct mc_buf text;
        mc_buf_init(&text, MC_VALUE_JSON_MAX);
        made->plain = type != MC_JSON_STRING;
        if (made->plain)
            mc_json_dump(json, &text);
        made->text = mc_arena_copy(arena, made->plain ? mc_buf_str(&text) : mc_json_string(json));
        status = text.failed || !made->text.data ? mc_fail_memory(err) : MC_OK;
    }
    if (status == MC_OK)
        *node = made;
    return status;
}

enum mc_status mc_node_parse_json(struct mc_arena *arena, mc_str json, struct mc_node **root,
                                  struct mc_error *err)
{
    mc_auto(mc_json_free_ptr) struct mc_json *tree = NULL;
    enum mc_status status = mc_json_parse(json, &tree, err);
    if (status != MC_OK) {
        if (status != MC_NO_MEMORY && err)
            err->status = MC_CONFIG;
        return status == MC_NO_MEMORY ? status : MC_CONFIG;
    }
    return from_json(arena, tree, root, err);
}

/* Variables */

static bool is_name_char(char c, bool first)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

/* The '}' that ends what follows "${", jumping over further "${...}"; the length when there is
 * none. */
static size_t end_of_variable(mc_str text, size_t at)
{
    int open = 1;
    for (; at < text.len; at++) {
        if (text.data[at] == '$' && at + 1 < text.len &&
            (text.data[at + 1] == '{' || text.data[at + 1] == '$')) {
            open += text.data[at + 1] == '{' ? 1 : 0;
            at++;
        } else if (text.data[at] == '}' && --open == 0) {
            return at;
        }
    }
    return text.len;
}

static enum mc_status expand_text(mc_str text, int nest, struct mc_buf *out, bool *variable,
                                  struct mc_error *err);

/* body is what stands between "${" and "}". */
static enum mc_status expand_variable(mc_str body, int nest, struct mc_buf *out, bool *variable,
                                      struct mc_error *err)
{
    char name[128];
    size_t len = 0;
    while (len < body.len && is_name_char(body.data[len], len == 0))
        len++;
    if (len == 0 || len >= sizeof(name) || (len < body.len && body.data[len] != ':'))
        return mc_fail(err, MC_CONFIG,
                       "has a bad variable: write ${NAME} or ${NAME:default} with a name "
                       "of letters, digits and '_', or $$ for a '$'");
    memcpy(name, body.data, len);
    name[len] = '\0';

    const char *value = getenv(name);
    bool has_default = len < body.len;
    if (!value && !has_default)
        return mc_fail(err, MC_CONFIG,
                       "the environment variable %s is not set; set it, or give a "
                       "default as ${%s:...}",
                       name, name);
    *variable = true;
    if (has_default && (!value || value[0] == '\0'))
        return expand_text((mc_str){body.data + len + 1, body.len - len - 1}, nest + 1, out,
                           variable, err);
    mc_buf_text(out, value);
    return MC_OK;
}

static enum mc_status expand_text(mc_str text, int nest, struct mc_buf *out, bool *variable,
                                  struct mc_error *err)
{
    if (nest > NEST_MAX)
        return mc_fail(err, MC_CONFIG, "has more than %d variables inside each other", NEST_MAX);
    for (size_t i = 0; i < text.len; i++) {
        char next = i + 1 < text.len ? text.data[i + 1] : '\0';
        if (text.data[i] != '$' || (next != '$' && next != '{')) {
            mc_buf_char(out, text.data[i]);
            continue;
        }
        i++;
        if (next == '$') {
            mc_buf_char(out, '$');
            continue;
        }
        size_t end = end_of_variable(text, i + 1);
        if (end == text.len)
            return mc_fail(err, MC_CONFIG, "has '${' without '}'; write $$ for a '$'");
        mc_str body = {text.data + i + 1, end - i - 1};
        enum mc_status status = expand_variable(body, nest, out, variable, err);
        if (status != MC_OK)
            return status;
        i = end;
    }
    return MC_OK;
}

static enum mc_status expand_scalar(struct mc_arena *arena, struct mc_node *node,
                                    struct mc_error *err)
{
    if (!node->text.data || !memchr(node->text.data, '$', node->text.len))
        return MC_OK;
    mc_auto(mc_buf_fini) struct mc_buf out;
    mc_buf_init(&out, MC_VALUE_JSON_MAX);
    enum mc_status status = expand_text(node->text, 0, &out, &node->variable, err);
    if (status != MC_OK)
        return status;
    if (out.failed)
        return mc_value_fail_buf(&out, "", err);
    node->text = mc_arena_copy(arena, mc_buf_str(&out));
    return node->text.data ? MC_OK : mc_fail_memory(err);
}

enum mc_status mc_node_expand(struct mc_arena *arena, struct mc_node *node,
                              const struct mc_node **at, struct mc_error *err)
{
    if (node->expanded)
        return MC_OK;
    node->expanded = true;
    if (node->type == MC_NODE_SCALAR) {
        *at = node;
        return expand_scalar(arena, node, err);
    }
    for (struct mc_node *child = node->child; child; child = child->next) {
        enum mc_status status = mc_node_expand(arena, child, at, err);
        if (status != MC_OK)
            return status;
    }
    return MC_OK;
}
