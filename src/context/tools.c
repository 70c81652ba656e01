#include "context/tools.h"

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/utf8.h"
#include "context/render.h"
#include "context/tokens.h"
#include "text/names.h"

#define TEXT_MAX ((size_t)1 << 20)
#define LIMIT_DEFAULT 5
/* A message takes at most so much; a reference to one shown before takes little. */
#define ENTRY_UNITS ((size_t)160 * MC_TOKEN_UNITS)
#define ANY "any"

/* ---- The table ---- */

enum kind { NONE, TEXT, LIMIT, FLAG, TOPICS, CATEGORIES, INTENT, FIELD, ACTION, SOURCE_TOPICS };

static bool always(const struct mc_toolbox *box)
{
    return box != NULL;
}

static bool has_fields(const struct mc_toolbox *box)
{
    return box->r->preferences.change && box->r->preferences.field_count > 0;
}

static bool has_sources(const struct mc_toolbox *box)
{
    return box->source_topic_count > 0;
}

static const struct tool {
    const char *name;
    const char *description;
    struct argument {
        const char *name;
        enum kind kind;
        size_t max; /* characters, items, or the greatest number */
    } arguments[MC_TOOL_ARGUMENTS];
    mc_tool_fn run;
    bool (*offered)(const struct mc_toolbox *box);
} TOOLS[] = {
    {"get_recent_messages",
     "the newest messages of this conversation",
     {{"limit", LIMIT, 20}},
     mc_tool_recent,
     always},
    {"search_history",
     "finds messages of all conversations by the words of query; topics, categories and intent "
     "narrow it",
     {{"query", TEXT, 120},
      {"topics", TOPICS, 3},
      {"categories", CATEGORIES, 3},
      {"intent", INTENT, 0},
      {"search_current_thread_only", FLAG, 0},
      {"limit", LIMIT, 20}},
     mc_tool_search,
     always},
    {"get_session_metadata",
     "how long this conversation is, since when, who takes part, what it is about",
     {{NULL, NONE, 0}},
     mc_tool_session,
     always},
    {"get_historical_summaries",
     "summaries of earlier conversations, of all or of those about topics",
     {{"topics", TOPICS, 3}, {"limit", LIMIT, 6}},
     mc_tool_summaries,
     always},
    {"get_user_preferences",
     "what the user has set: language, name, interests and the like",
     {{NULL, NONE, 0}},
     mc_tool_preferences,
     always},
    {"update_user_preference",
     "changes a preference; only when the question itself asks for it",
     {{"field", FIELD, 0}, {"value", TEXT, 120}, {"action", ACTION, 0}},
     mc_tool_change,
     has_fields},
    {"lookup_external_data",
     "asks other systems what they know about topics; context says what is looked for",
     {{"topics", SOURCE_TOPICS, 3}, {"context", TEXT, 200}},
     mc_tool_lookup,
     has_sources},
};

static const char *const ACTIONS[] = {
#define ACTION_NAME(name, text) text,
    MC_PREFERENCE_ACTION_MAP(ACTION_NAME)
#undef ACTION_NAME
};

static size_t argument_count(const struct tool *tool)
{
    size_t count = 0;
    while (count < MC_TOOL_ARGUMENTS && tool->arguments[count].kind != NONE)
        count++;
    return count;
}

/* ---- The box ---- */

enum mc_status mc_tools_init(struct mc_toolbox *box, struct mc_error *err)
{
    mc_ground_init(&box->ground, box->arena);
    if (!box->r->lookups || !mc_lookups_any(box->r->lookups))
        return MC_OK;
    return mc_lookups_topics(box->r->lookups, box->arena, &box->source_topics,
                             &box->source_topic_count, err);
}

void mc_tools_fini(struct mc_toolbox *box)
{
    mc_ground_fini(&box->ground);
    mc_records_fini(&box->shown);
}

/* ---- Schema ---- */

static void put_range(struct mc_json_writer *w, size_t max)
{
    mc_json_begin(w, '{');
    mc_json_member_text(w, "type", "integer");
    mc_json_member_integer(w, "minimum", 1);
    mc_json_member_integer(w, "maximum", (int64_t)max);
    mc_json_end(w, '}');
}

static void put_string(struct mc_json_writer *w, size_t max)
{
    mc_json_begin(w, '{');
    mc_json_member_text(w, "type", "string");
    mc_json_member_integer(w, "maxLength", (int64_t)max);
    mc_json_end(w, '}');
}

static void begin_array(struct mc_json_writer *w, size_t max)
{
    mc_json_begin(w, '{');
    mc_json_member_text(w, "type", "array");
    mc_json_member_integer(w, "minItems", 0);
    mc_json_member_integer(w, "maxItems", (int64_t)max);
}

static void put_names(const struct mc_toolbox *box, const struct argument *argument,
                      struct mc_json_writer *w)
{
    const struct mc_vocabulary *vocabulary = box->r->vocabulary;
    mc_json_begin(w, '{');
    mc_json_key(w, "enum");
    mc_json_begin(w, '[');
    if (argument->kind == TOPICS) {
        for (size_t i = 0; i < mc_vocabulary_topic_count(vocabulary); i++)
            mc_json_put_string(w, mc_vocabulary_topic_at(vocabulary, i));
    } else if (argument->kind == CATEGORIES) {
        for (size_t i = 0; i < mc_vocabulary_category_count(vocabulary); i++)
            mc_json_put_string(w, mc_vocabulary_category_at(vocabulary, i));
    } else if (argument->kind == SOURCE_TOPICS) {
        for (size_t i = 0; i < box->source_topic_count; i++)
            mc_json_put_string(w, box->source_topics[i]);
    } else if (argument->kind == INTENT) {
        mc_json_put_text(w, ANY);
        for (int i = MC_INTENT_NONE + 1; i < MC_INTENT_COUNT; i++)
            mc_json_put_string(w, mc_intent_name((enum mc_intent)i));
    } else if (argument->kind == FIELD) {
        for (size_t i = 0; i < box->r->preferences.field_count; i++)
            mc_json_put_text(w, box->r->preferences.fields[i].name);
    } else {
        for (size_t i = 0; i < mc_countof(ACTIONS); i++)
            mc_json_put_text(w, ACTIONS[i]);
    }
    mc_json_end(w, ']');
    mc_json_end(w, '}');
}

static void put_argument(const struct mc_toolbox *box, const struct argument *argument,
                         struct mc_json_writer *w)
{
    switch (argument->kind) {
    case TEXT:
        put_string(w, argument->max);
        break;
    case LIMIT:
        put_range(w, argument->max);
        break;
    case FLAG:
        mc_json_begin(w, '{');
        mc_json_member_text(w, "type", "boolean");
        mc_json_end(w, '}');
        break;
    case TOPICS:
    case CATEGORIES:
    case SOURCE_TOPICS:
        begin_array(w, argument->max);
        mc_json_member_boolean(w, "uniqueItems", true);
        mc_json_key(w, "items");
        put_names(box, argument, w);
        mc_json_end(w, '}');
        break;
    case INTENT:
    case FIELD:
    case ACTION:
        put_names(box, argument, w);
        break;
    case NONE:
        break;
    }
}

static void end_object(struct mc_json_writer *w, const char *const *required, size_t count)
{
    mc_json_end(w, '}');
    mc_json_key(w, "required");
    mc_json_begin(w, '[');
    for (size_t i = 0; i < count; i++)
        mc_json_put_text(w, required[i]);
    mc_json_end(w, ']');
    mc_json_member_boolean(w, "additionalProperties", false);
    mc_json_end(w, '}');
}

static void begin_object(struct mc_json_writer *w)
{
    mc_json_begin(w, '{');
    mc_json_member_text(w, "type", "object");
    mc_json_key(w, "properties");
    mc_json_begin(w, '{');
}

static void put_tool(const struct mc_toolbox *box, const struct tool *tool,
                     struct mc_json_writer *w)
{
    const char *required[MC_TOOL_ARGUMENTS + 1] = {"tool"};
    size_t count = argument_count(tool);
    begin_object(w);
    mc_json_key(w, "tool");
    mc_json_begin(w, '{');
    mc_json_member_text(w, "const", tool->name);
    mc_json_end(w, '}');
    for (size_t i = 0; i < count; i++) {
        required[i + 1] = tool->arguments[i].name;
        mc_json_key(w, tool->arguments[i].name);
        put_argument(box, &tool->arguments[i], w);
    }
    end_object(w, required, count + 1);
}

static void put_calls(const struct mc_toolbox *box, struct mc_json_writer *w)
{
    mc_json_key(w, "calls");
    begin_array(w, MC_TOOL_CALLS);
    mc_json_key(w, "items");
    mc_json_begin(w, '{');
    mc_json_key(w, "anyOf");
    mc_json_begin(w, '[');
    for (size_t i = 0; i < mc_countof(TOOLS); i++) {
        if (TOOLS[i].offered(box))
            put_tool(box, &TOOLS[i], w);
    }
    mc_json_end(w, ']');
    mc_json_end(w, '}');
    mc_json_end(w, '}');
}

/* Unique items must be an enum. */
static void put_marks(const struct mc_toolbox *box, struct mc_json_writer *w)
{
    size_t count = box->shown.count > 0 ? box->shown.count : 1;
    mc_json_key(w, "relevant");
    begin_array(w, count < MC_TOOL_MARKS ? count : MC_TOOL_MARKS);
    mc_json_member_boolean(w, "uniqueItems", true);
    mc_json_key(w, "items");
    mc_json_begin(w, '{');
    mc_json_key(w, "enum");
    mc_json_begin(w, '[');
    for (size_t i = 1; i <= count; i++)
        mc_json_put_integer(w, (int64_t)i);
    mc_json_end(w, ']');
    mc_json_end(w, '}');
    mc_json_end(w, '}');
}

void mc_tools_schema(const struct mc_toolbox *box, bool calls, struct mc_buf *json)
{
    static const char *const required[] = {"calls", "relevant", "key_points"};
    struct mc_json_writer w = mc_json_writer(json);
    begin_object(&w);
    if (calls)
        put_calls(box, &w);
    put_marks(box, &w);
    mc_json_key(&w, "key_points");
    begin_array(&w, MC_TOOL_POINTS);
    mc_json_key(&w, "items");
    put_string(&w, MC_TOOL_POINT_TEXT);
    mc_json_end(&w, '}');
    end_object(&w, required + !calls, mc_countof(required) - !calls);
}

void mc_tools_describe(const struct mc_toolbox *box, struct mc_buf *text)
{
    for (size_t i = 0; i < mc_countof(TOOLS); i++) {
        if (!TOOLS[i].offered(box))
            continue;
        mc_buf_printf(text, "- %s(", TOOLS[i].name);
        for (size_t k = 0; k < argument_count(&TOOLS[i]); k++)
            mc_buf_printf(text, "%s%s", k > 0 ? ", " : "", TOOLS[i].arguments[k].name);
        mc_buf_printf(text, "): %s\n", TOOLS[i].description);
    }
}

/* ---- Arguments ---- */

static mc_str cut_characters(mc_str text, size_t max)
{
    size_t at = 0;
    for (size_t i = 0; i < max && at < text.len; i++)
        (void)mc_utf8_next(text, &at);
    return mc_str_trim((mc_str){text.data, at});
}

/* The name as the vocabulary and the box have it; absent when they have none. */
static mc_str settle_name(const struct mc_toolbox *box, enum kind kind, mc_str name)
{
    mc_str found = MC_STR_NONE;
    if (kind == TOPICS || kind == SOURCE_TOPICS)
        found = mc_vocabulary_topic(box->r->vocabulary, name);
    else if (kind == CATEGORIES)
        found = mc_vocabulary_category(box->r->vocabulary, name);
    if (kind != SOURCE_TOPICS || !mc_str_given(found))
        return found;
    for (size_t i = 0; i < box->source_topic_count; i++) {
        if (mc_str_equal(box->source_topics[i], found))
            return found;
    }
    return MC_STR_NONE;
}

static void read_names(const struct mc_toolbox *box, const struct argument *argument,
                       const struct mc_json *node, struct mc_tool_value *value)
{
    for (size_t i = 0; i < mc_json_count(node) && value->count < argument->max; i++) {
        mc_str name = settle_name(box, argument->kind, mc_json_string(mc_json_at(node, i)));
        size_t k = 0;
        while (k < value->count && !mc_str_equal(value->items[k], name))
            k++;
        if (mc_str_given(name) && k == value->count)
            value->items[value->count++] = name;
    }
}

static void read_argument(const struct mc_toolbox *box, const struct argument *argument,
                          const struct mc_json *node, struct mc_tool_value *value)
{
    int64_t number = mc_json_type(node) == MC_JSON_INTEGER ? mc_json_integer(node) : LIMIT_DEFAULT;
    enum mc_intent intent;
    switch (argument->kind) {
    case TEXT:
        value->text = cut_characters(mc_str_trim(mc_json_string(node)), argument->max);
        break;
    case FIELD:
    case ACTION:
        value->text = mc_json_string(node);
        break;
    case INTENT:
        intent = mc_intent_of_name(mc_json_string(node));
        value->text = intent == MC_INTENT_NONE ? MC_STR_NONE : mc_intent_name(intent);
        break;
    case LIMIT:
        number = number < 1 ? 1 : number;
        value->number = number > (int64_t)argument->max ? argument->max : (size_t)number;
        break;
    case FLAG:
        value->flag = mc_json_boolean(node);
        break;
    case TOPICS:
    case CATEGORIES:
    case SOURCE_TOPICS:
        if (mc_json_type(node) == MC_JSON_ARRAY)
            read_names(box, argument, node, value);
        break;
    case NONE:
        break;
    }
}

static void put_value(struct mc_json_writer *w, const struct argument *argument,
                      const struct mc_tool_value *value)
{
    mc_json_key(w, argument->name);
    switch (argument->kind) {
    case LIMIT:
        mc_json_put_integer(w, (int64_t)value->number);
        break;
    case FLAG:
        mc_json_put_boolean(w, value->flag);
        break;
    case TOPICS:
    case CATEGORIES:
    case SOURCE_TOPICS:
        mc_json_begin(w, '[');
        for (size_t i = 0; i < value->count; i++)
            mc_json_put_string(w, value->items[i]);
        mc_json_end(w, ']');
        break;
    case INTENT:
        mc_json_put_string(w, mc_str_given(value->text) ? value->text : MC_STR(ANY));
        break;
    case TEXT:
    case FIELD:
    case ACTION:
        mc_json_put_string(w, mc_utf8_cut(value->text, 1024));
        break;
    case NONE:
        break;
    }
}

/* ---- Calls ---- */

static const struct tool *find_tool(const struct mc_toolbox *box, mc_str name)
{
    for (size_t i = 0; i < mc_countof(TOOLS); i++) {
        if (mc_str_equal(name, mc_str_of(TOOLS[i].name)) && TOOLS[i].offered(box))
            return &TOOLS[i];
    }
    return NULL;
}

static enum mc_status write_arguments(const struct tool *tool, const struct mc_tool_run *run,
                                      mc_str *json, struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, TEXT_MAX);
    struct mc_json_writer w = mc_json_writer(&buf);
    mc_json_begin(&w, '{');
    for (size_t i = 0; i < argument_count(tool); i++)
        put_value(&w, &tool->arguments[i], &run->values[i]);
    mc_json_end(&w, '}');
    *json = buf.failed ? MC_STR_NONE : mc_arena_copy(run->box->arena, mc_buf_str(&buf));
    return json->data ? MC_OK : mc_fail_memory(err);
}

static void run_fini(struct mc_tool_run *run)
{
    mc_buf_fini(&run->text);
}

enum mc_status mc_tools_call(struct mc_toolbox *box, const struct mc_json *call, size_t max_units,
                             struct mc_buf *text, struct mc_tool_use *use, bool *known,
                             struct mc_error *err)
{
    const struct tool *tool = find_tool(box, mc_json_string(mc_json_get(call, "tool")));
    *known = tool != NULL;
    if (!tool)
        return MC_OK;
    mc_auto(run_fini) struct mc_tool_run run = {.box = box, .max_units = max_units};
    mc_buf_init(&run.text, TEXT_MAX);
    for (size_t i = 0; i < argument_count(tool); i++)
        read_argument(box, &tool->arguments[i], mc_json_get(call, tool->arguments[i].name),
                      &run.values[i]);
    *use = (struct mc_tool_use){.tool = tool->name};
    size_t mark = mc_load_mark(box->reader->load);
    enum mc_status status = write_arguments(tool, &run, &use->arguments, err);
    if (!status)
        status = tool->run(&run, err);
    mc_load_rewind(box->reader->load, mark);
    if (!status && run.text.failed)
        status = mc_fail_memory(err);
    if (status)
        return status;
    use->results = run.results;
    use->refused = run.refused;
    mc_buf_printf(text, "%s %.*s", tool->name, MC_STR_ARG(use->arguments));
    if (run.refused.len > 0)
        mc_buf_printf(text, ": refused: %.*s\n", MC_STR_ARG(run.refused));
    else
        mc_buf_printf(text, ": %zu found\n", run.results);
    mc_buf_append(text, mc_buf_str(&run.text));
    return MC_OK;
}

/* ---- Messages ---- */

/* Its number less one; one more than the last when it has none. */
static size_t number_of(const struct mc_toolbox *box, const struct mc_record *record)
{
    size_t number = 0;
    while (number < box->shown.count && box->shown.items[number]->row != record->row)
        number++;
    return number;
}

bool mc_tools_is_shown(const struct mc_toolbox *box, const struct mc_record *record)
{
    return number_of(box, record) < box->shown.count;
}

enum mc_status mc_tools_show(struct mc_toolbox *box, struct mc_record *record, size_t max_units,
                             struct mc_buf *text, bool *shown, struct mc_error *err)
{
    size_t number = number_of(box, record);
    *shown = number < box->shown.count;
    if (*shown) {
        mc_buf_printf(text, "#%zu again\n", number + 1);
        return MC_OK;
    }
    if (box->shown.count == MC_TOOL_SHOWN_MAX)
        return MC_OK;
    size_t most = max_units < ENTRY_UNITS ? max_units : ENTRY_UNITS;
    mc_str part, mark = mc_arena_printf(box->arena, "#%zu ", number + 1);
    enum mc_status status =
        mc_render_excerpt(box->words, NULL, record->m.text, most, box->arena, &part, err);
    if (status)
        return status;
    mc_auto(mc_buf_fini) struct mc_buf line;
    mc_buf_init(&line, TEXT_MAX);
    mc_render_message(&line, NULL, &record->m, mark, part, most);
    if (!mark.data || line.failed)
        return mc_fail_memory(err);
    if (line.len == 0)
        return MC_OK;
    if (!mc_records_push(&box->shown, mc_record_ref(record)) ||
        !mc_ground_add(&box->ground, record->m.text))
        return mc_fail_memory(err);
    mc_buf_append(text, mc_buf_str(&line));
    *shown = true;
    return MC_OK;
}
