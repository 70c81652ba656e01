/*
 * DESIGN: the tree is built from the parser's events and not by libfyaml's own documents, because
 * only so depth, number of nodes, aliases and tags can be bounded while reading. An alias copies
 * the node that it names without what is below it, so a file of aliases of aliases stays as small
 * as it was written.
 */
#include "config/node.h"

#include <libfyaml.h>
#include <stdio.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/map.h"
#include "base/str.h"
#include "base/utf8.h"

struct reader {
    struct fy_parser *parser;
    struct fy_diag *diag;
    struct mc_arena *arena;
    struct mc_map anchors; /* name to the finished node */
    mc_str yaml;
    const char *name;
    size_t nodes;
    int line; /* of the node before, for values that are nothing and stand nowhere */
    int column;
    struct mc_error *err;
};

static void reader_fini(struct reader *reader)
{
    if (reader->parser)
        fy_parser_destroy(reader->parser);
    if (reader->diag)
        fy_diag_destroy(reader->diag);
    mc_map_fini(&reader->anchors);
}

/* The text of a line, from 1. */
static mc_str line_of(mc_str yaml, int line)
{
    mc_str head = MC_STR_NONE;
    while (line-- > 0)
        if (!mc_str_split(&yaml, '\n', &head))
            return MC_STR_NONE;
    return head;
}

/* What a libfyaml message about this line usually means. */
static const char *hint(mc_str line)
{
    for (size_t i = 0; i < line.len && (line.data[i] == ' ' || line.data[i] == '\t'); i++)
        if (line.data[i] == '\t')
            return "; indent with spaces, not with tabs";
    for (size_t i = 0; i + 1 < line.len; i++)
        if (line.data[i] == '$' && line.data[i + 1] == '{')
            return "; inside [ ] or { } write \"${NAME}\" with quotes";
    return "";
}

static enum mc_status fail_parse(struct reader *reader)
{
    void *cursor = NULL;
    const struct fy_diag_error *error = fy_diag_errors_iterate(reader->diag, &cursor);
    if (!error)
        return mc_fail(reader->err, MC_CONFIG, "%s: is not valid YAML", reader->name);
    mc_str line = line_of(reader->yaml, error->line);
    return mc_fail(reader->err, MC_CONFIG, "%s:%d:%d: %s%s", reader->name, error->line,
                   error->column, error->msg ? error->msg : "is not valid YAML", hint(line));
}

static enum mc_status fail_event(struct reader *reader, struct fy_event *event, const char *problem)
{
    const struct fy_mark *mark = fy_event_start_mark(event);
    return mc_fail(reader->err, MC_CONFIG, "%s:%d:%d: %s", reader->name, mark ? mark->line + 1 : 1,
                   mark ? mark->column + 1 : 1, problem);
}

static mc_str token_text(struct reader *reader, struct fy_token *token)
{
    size_t len = 0;
    const char *text = token ? fy_token_get_text(token, &len) : "";
    return mc_arena_copy(reader->arena, (mc_str){text ? text : "", text ? len : 0});
}

static enum mc_status node_new(struct reader *reader, struct fy_event *event,
                               enum mc_node_type type, struct mc_node **node)
{
    if (++reader->nodes > MC_NODE_MAX)
        return fail_event(reader, event, "the file has too many values");
    struct mc_node *made = mc_arena_alloc(reader->arena, sizeof(*made));
    if (!made)
        return mc_fail_memory(reader->err);
    const struct fy_mark *mark = fy_event_start_mark(event);
    struct fy_token *scalar = event->type == FYET_SCALAR ? event->scalar.value : NULL;
    enum fy_scalar_style style = scalar ? fy_token_scalar_style(scalar) : FYSS_ANY;
    bool quoted = style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED;
    if (mark && (event->type != FYET_SCALAR || quoted || fy_token_get_text_length(scalar) > 0)) {
        reader->line = mark->line + 1;
        reader->column = mark->column + (quoted && mark->column > 0 ? 0 : 1); /* at the quote */
    }
    made->type = type;
    made->line = reader->line;
    made->column = reader->column;
    *node = made;
    return MC_OK;
}

static enum mc_status read_alias(struct reader *reader, struct fy_event *event,
                                 struct mc_node **node)
{
    mc_str name = token_text(reader, event->alias.anchor);
    const struct mc_node *target = mc_map_get(&reader->anchors, name);
    if (!target)
        return fail_event(reader, event, "this alias names no anchor before it");
    enum mc_status status = node_new(reader, event, target->type, node);
    if (status != MC_OK)
        return status;
    (*node)->plain = target->plain;
    (*node)->text = target->text;
    (*node)->child = target->child;
    return MC_OK;
}

static enum mc_status read_scalar(struct reader *reader, struct fy_event *event,
                                  struct mc_node **node)
{
    enum mc_status status = node_new(reader, event, MC_NODE_SCALAR, node);
    if (status != MC_OK)
        return status;
    struct fy_token *value = event->scalar.value;
    (*node)->plain = !value || fy_token_scalar_style(value) == FYSS_PLAIN;
    (*node)->text = token_text(reader, value);
    return (*node)->text.data ? MC_OK : mc_fail_memory(reader->err);
}

static void event_free(struct fy_event *event, struct reader *reader)
{
    fy_parser_event_free(reader->parser, event);
}

static enum mc_status next_event(struct reader *reader, struct fy_event **event)
{
    *event = fy_parser_parse(reader->parser);
    return *event ? MC_OK : fail_parse(reader);
}

static enum mc_status read_node(struct reader *reader, struct fy_event *event, int depth,
                                struct mc_node **node);

/* The nodes up to the end of a list or map, in pairs for a map. */
static enum mc_status read_children(struct reader *reader, struct mc_node *parent, int depth)
{
    struct mc_node **end = &parent->child;
    const struct mc_node *key = NULL;
    for (;;) {
        struct fy_event *event;
        struct mc_node *node = NULL;
        enum mc_status status = next_event(reader, &event);
        if (status != MC_OK)
            return status;
        bool ended = event->type == FYET_MAPPING_END || event->type == FYET_SEQUENCE_END;
        if (!ended)
            status = read_node(reader, event, depth, &node);
        event_free(event, reader);
        if (ended || status != MC_OK)
            return status;
        if (parent->type == MC_NODE_MAP && !key) {
            key = node;
            continue;
        }
        node->key = key;
        key = NULL;
        *end = node;
        end = &node->next;
    }
}

static enum mc_status read_node(struct reader *reader, struct fy_event *event, int depth,
                                struct mc_node **node)
{
    struct fy_token *anchor = NULL, *tag = NULL;
    enum mc_status status;
    if (depth > MC_NODE_DEPTH)
        return fail_event(reader, event, "the file is nested too deeply");
    if (event->type == FYET_ALIAS)
        return read_alias(reader, event, node);
    if (event->type == FYET_SCALAR) {
        anchor = event->scalar.anchor;
        tag = event->scalar.tag;
        status = read_scalar(reader, event, node);
    } else if (event->type == FYET_SEQUENCE_START) {
        anchor = event->sequence_start.anchor;
        tag = event->sequence_start.tag;
        status = node_new(reader, event, MC_NODE_LIST, node);
    } else if (event->type == FYET_MAPPING_START) {
        anchor = event->mapping_start.anchor;
        tag = event->mapping_start.tag;
        status = node_new(reader, event, MC_NODE_MAP, node);
    } else {
        return fail_event(reader, event, "expected a value");
    }
    if (status == MC_OK && tag)
        return fail_event(reader, event,
                          "tags such as !!str are not supported, options have their types");
    if (status == MC_OK && (*node)->type != MC_NODE_SCALAR)
        status = read_children(reader, *node, depth + 1);
    if (status == MC_OK && anchor) {
        mc_str name = token_text(reader, anchor);
        if (!name.data || !mc_map_put(&reader->anchors, name, *node))
            return mc_fail_memory(reader->err);
    }
    return status;
}

static enum mc_status read_stream(struct reader *reader, struct mc_node **root)
{
    struct mc_node *made = NULL;
    bool document = false, ended = false;
    while (!ended) {
        struct fy_event *event;
        enum mc_status status = next_event(reader, &event);
        if (status != MC_OK)
            return status;
        if (event->type == FYET_STREAM_END) {
            ended = true;
        } else if (event->type == FYET_DOCUMENT_START) {
            if (document)
                status = mc_fail(reader->err, MC_CONFIG, "%s: holds more than one YAML document",
                                 reader->name);
            document = true;
        } else if (event->type != FYET_STREAM_START && event->type != FYET_DOCUMENT_END) {
            status = read_node(reader, event, 1, &made);
        }
        event_free(event, reader);
        if (status != MC_OK)
            return status;
    }
    if (fy_parser_get_stream_error(reader->parser))
        return fail_parse(reader);
    *root = made;
    return MC_OK;
}

/* Bytes that no YAML file may hold, found before the parser sees them. */
static enum mc_status check_bytes(mc_str yaml, const char *name, struct mc_error *err)
{
    size_t bad = 0;
    const char *problem = NULL;
    if (!mc_utf8_check(yaml, NULL, &bad))
        problem = "is not valid UTF-8";
    for (size_t i = 0; i < yaml.len && !problem; i++) {
        unsigned char c = (unsigned char)yaml.data[i];
        if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f) {
            bad = i;
            problem = "holds a control character";
        }
    }
    if (!problem)
        return MC_OK;
    int line = 1, column = 1;
    for (size_t i = 0; i < bad && i < yaml.len; i++) {
        column = yaml.data[i] == '\n' ? 1 : column + 1;
        line += yaml.data[i] == '\n' ? 1 : 0;
    }
    return mc_fail(err, MC_CONFIG, "%s:%d:%d: %s", name, line, column, problem);
}

enum mc_status mc_node_parse_yaml(struct mc_arena *arena, mc_str yaml, const char *name,
                                  struct mc_node **root, struct mc_error *err)
{
    enum mc_status status = check_bytes(yaml, name, err);
    if (status != MC_OK)
        return status;
    mc_auto(reader_fini) struct reader reader = {
        .arena = arena, .yaml = yaml, .name = name, .line = 1, .column = 1, .err = err};
    mc_map_init(&reader.anchors);

    struct fy_diag_cfg diag;
    fy_diag_cfg_default(&diag);
    diag.fp = NULL;
    diag.colorize = false;
    reader.diag = fy_diag_create(&diag);
    if (!reader.diag)
        return mc_fail_memory(err);
    fy_diag_set_collect_errors(reader.diag, true);
    struct fy_parse_cfg config = {
        .search_path = "", .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG, .diag = reader.diag};
    reader.parser = fy_parser_create(&config);
    if (!reader.parser ||
        fy_parser_set_string(reader.parser, yaml.data ? yaml.data : "", yaml.len) != 0)
        return mc_fail_memory(err);
    return read_stream(&reader, root);
}
