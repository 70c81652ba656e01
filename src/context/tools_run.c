/* What each tool does. Arguments stand in the order of the table of tools.c. */
#include "context/tools.h"

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "context/render.h"
#include "context/tokens.h"
#include "message/metadata.h"
#include "text/stem.h"
#include "text/token.h"

#define SESSION_READ 50 /* newest messages that a session is described from */
#define SESSION_NAMES 8
#define SUMMARIES_READ 32
#define ENTRY_UNITS ((size_t)200 * MC_TOKEN_UNITS) /* of a summary or a piece */
#define PREFERENCES_UNITS ((size_t)400 * MC_TOKEN_UNITS)
#define PREFERENCES_MAX ((size_t)1 << 20)
#define PIECES_MAX 32
#define WORDS_MAX 4096
#define VALUE_WORDS_MAX 64

static size_t units_left(const struct mc_tool_run *run)
{
    size_t used = mc_tokens_units(mc_buf_str(&run->text));
    return used < run->max_units ? run->max_units - used : 0;
}

static enum mc_status refuse(struct mc_tool_run *run, const char *why, struct mc_error *err)
{
    run->refused = mc_arena_copy(run->box->arena, mc_str_of(why));
    return run->refused.data ? MC_OK : mc_fail_memory(err);
}

/* ---- Messages ---- */

static enum mc_status show(struct mc_tool_run *run, struct mc_record *record, bool *shown,
                           struct mc_error *err)
{
    enum mc_status status =
        mc_tools_show(run->box, record, units_left(run), &run->text, shown, err);
    run->results += !status && *shown;
    return status;
}

static enum mc_status read_recent(const struct mc_toolbox *box, size_t limit,
                                  struct mc_records *found, struct mc_error *err)
{
    struct mc_recent_read read = {
        .user_id = box->query->user_id,
        .thread_id = box->query->thread_id,
        .limit = limit,
        .reader = box->reader,
    };
    mc_load_begin(box->reader->load, MC_READ_PAGE_BYTES);
    return mc_retrieve_recent(box->r, &read, box->now_us, found, err);
}

enum mc_status mc_tool_recent(struct mc_tool_run *run, struct mc_error *err)
{
    mc_auto(mc_records_fini) struct mc_records found = {0};
    enum mc_status status = read_recent(run->box, run->values[0].number, &found, err);
    bool shown = true;
    for (size_t i = 0; !status && shown && i < found.count; i++)
        status = show(run, found.items[i], &shown, err);
    return status;
}

enum mc_status mc_tool_search(struct mc_tool_run *run, struct mc_error *err)
{
    const struct mc_tool_value *v = run->values;
    struct mc_toolbox *box = run->box;
    struct mc_search_query query = {
        .user_id = box->query->user_id,
        .text = v[0].text,
        .thread_id = v[4].flag ? box->query->thread_id : MC_STR_NONE,
        .topics = v[1].items,
        .topic_count = v[1].count,
        .categories = v[2].items,
        .category_count = v[2].count,
        .intent = v[3].text,
        .limit = v[5].number,
    };
    bool narrowed = v[1].count + v[2].count > 0 || v[3].text.len > 0;
    if (query.text.len == 0 && !narrowed)
        return refuse(run, "give query, topics, categories or an intent", err);
    struct mc_hit_list *hits = NULL;
    enum mc_status status =
        mc_retrieve_search(box->r, &query, box->reader, box->now_us, &hits, err);
    if (!status && hits->count == 0 && narrowed && query.text.len > 0) {
        /* Labels are guesses; the words are what is looked for. */
        mc_hit_list_free(hits);
        hits = NULL;
        query.topic_count = query.category_count = 0;
        query.intent = MC_STR_NONE;
        mc_buf_text(&run->text, "none with these topics, categories and intent; by the words:\n");
        status = mc_retrieve_search(box->r, &query, box->reader, box->now_us, &hits, err);
    }
    bool shown = true;
    for (size_t i = 0; !status && shown && i < hits->count; i++)
        status = show(run, mc_record_of(hits->items[i].message), &shown, err);
    mc_hit_list_free(hits);
    return status;
}

/* ---- The conversation ---- */

struct names {
    mc_str items[SESSION_NAMES];
    size_t count;
    bool more;
};

static void add_name(struct names *names, mc_str name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (mc_str_equal(names->items[i], name))
            return;
    }
    if (names->count == SESSION_NAMES)
        names->more = true;
    else
        names->items[names->count++] = name;
}

static void put_names(struct mc_buf *out, const char *what, const struct names *names)
{
    if (names->count == 0)
        return;
    mc_buf_text(out, what);
    for (size_t i = 0; i < names->count; i++) {
        mc_buf_text(out, i > 0 ? ", " : " ");
        mc_render_quote(out, names->items[i]);
    }
    mc_buf_text(out, names->more ? ", ...\n" : "\n");
}

enum mc_status mc_tool_session(struct mc_tool_run *run, struct mc_error *err)
{
    mc_auto(mc_records_fini) struct mc_records found = {0};
    enum mc_status status = read_recent(run->box, SESSION_READ, &found, err);
    if (status)
        return status;
    struct names roles = {0}, agents = {0}, topics = {0}, sessions = {0};
    for (size_t i = 0; i < found.count; i++) {
        const struct mc_message *m = &found.items[i]->m;
        struct mc_metadata metadata;
        struct mc_error ignored; /* a message with odd metadata just has no say */
        add_name(&roles, mc_str_of(mc_role_name(m->role)));
        add_name(&sessions, m->session_id);
        if (m->agent_id.len > 0)
            add_name(&agents, m->agent_id);
        if (mc_metadata_parse(m->metadata, run->box->arena, &metadata, &ignored))
            continue;
        for (size_t t = 0; t < metadata.topic_count; t++)
            add_name(&topics, metadata.topics[t]);
    }
    run->results = found.count;
    if (found.count == 0)
        return MC_OK;
    char first[MC_RENDER_TIME_SIZE], last[MC_RENDER_TIME_SIZE];
    mc_render_time(found.items[found.count - 1]->m.created_at_us, first);
    mc_render_time(found.items[0]->m.created_at_us, last);
    mc_buf_printf(&run->text, "messages: %zu%s, from %s to %s\n", found.count,
                  found.count == SESSION_READ ? " or more" : "", first, last);
    put_names(&run->text, "sessions:", &sessions);
    put_names(&run->text, "said by:", &roles);
    put_names(&run->text, "agents:", &agents);
    put_names(&run->text, "topics:", &topics);
    return MC_OK;
}

/* ---- Summaries ---- */

struct wanted_summaries {
    struct mc_tool_run *run;
    bool failed;
};

static bool has_topic(const struct mc_tool_value *wanted, mc_str json)
{
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    struct mc_error ignored;
    if (wanted->count == 0)
        return true;
    if (mc_json_parse(json, &root, &ignored))
        return false;
    for (size_t i = 0; i < mc_json_count(root); i++) {
        for (size_t k = 0; k < wanted->count; k++) {
            if (mc_str_equal(mc_json_string(mc_json_at(root, i)), wanted->items[k]))
                return true;
        }
    }
    return false;
}

static bool take_summary(void *context, const struct mc_summary *summary)
{
    struct wanted_summaries *wanted = context;
    struct mc_tool_run *run = wanted->run;
    if (!has_topic(&run->values[0], summary->topics))
        return true;
    char first[MC_RENDER_TIME_SIZE], last[MC_RENDER_TIME_SIZE];
    mc_render_time(summary->first_us, first);
    mc_render_time(summary->last_us, last);
    size_t left = units_left(run);
    mc_auto(mc_buf_fini) struct mc_buf text;
    mc_buf_init(&text, PREFERENCES_MAX);
    mc_render_indented(&text, NULL, summary->text, left < ENTRY_UNITS ? left : ENTRY_UNITS);
    if (text.len == 0)
        return false;
    mc_buf_printf(&run->text, "summary of %.10s to %.10s, %lld messages\n", first, last,
                  (long long)summary->messages);
    mc_buf_append(&run->text, mc_buf_str(&text));
    wanted->failed = text.failed || !mc_ground_add(&run->box->ground, summary->text);
    run->results++;
    return !wanted->failed && run->results < run->values[1].number;
}

enum mc_status mc_tool_summaries(struct mc_tool_run *run, struct mc_error *err)
{
    struct wanted_summaries wanted = {.run = run};
    struct mc_store *store = run->box->r->store;
    enum mc_status status = store->ops->summaries(store, run->box->query->user_id, run->box->reader,
                                                  SUMMARIES_READ, take_summary, &wanted, err);
    return !status && wanted.failed ? mc_fail_memory(err) : status;
}

/* ---- Preferences ---- */

enum mc_status mc_tool_preferences(struct mc_tool_run *run, struct mc_error *err)
{
    mc_auto(mc_json_free_ptr) struct mc_json *root = NULL;
    if (run->box->preferences.len == 0)
        return MC_OK;
    enum mc_status status = mc_json_parse(run->box->preferences, &root, err);
    if (status)
        return mc_fail_prefix(err, status == MC_INVALID ? MC_CORRUPT : status,
                              "the stored preferences");
    size_t left = units_left(run);
    run->results = mc_json_count(root);
    mc_auto(mc_buf_fini) struct mc_buf text;
    mc_buf_init(&text, PREFERENCES_MAX);
    mc_render_indented(&text, NULL, run->box->preferences,
                       left < PREFERENCES_UNITS ? left : PREFERENCES_UNITS);
    mc_buf_append(&run->text, mc_buf_str(&text));
    return text.failed ? mc_fail_memory(err) : MC_OK;
}

/*
 * Whether the user's words contain the words of `what` one after the other, whatever their form. Only what
 * the user says in this very request may change a preference, never what was found in the history.
 */
static enum mc_status user_says(const struct mc_toolbox *box, mc_str what, bool *says,
                                struct mc_error *err)
{
    struct mc_tokens query, words;
    *says = false;
    if (!mc_tokens_of(box->query->query, WORDS_MAX, box->arena, &query) ||
        !mc_tokens_of(what, VALUE_WORDS_MAX, box->arena, &words))
        return mc_fail_memory(err);
    if (words.count == 0 || words.cut)
        return MC_OK;
    for (size_t at = 0; !*says && at + words.count <= query.count; at++) {
        size_t same = 0;
        while (same < words.count &&
               mc_str_equal(query.items[at + same].stem, words.items[same].stem))
            same++;
        *says = same == words.count;
    }
    return MC_OK;
}

static const struct mc_preference_field *find_field(const struct mc_toolbox *box, mc_str name)
{
    const struct mc_preference_access *access = &box->r->preferences;
    for (size_t i = 0; i < access->field_count; i++) {
        if (mc_str_equal(name, mc_str_of(access->fields[i].name)))
            return &access->fields[i];
    }
    return NULL;
}

/* "preferred_name" as words. */
static mc_str spoken(const struct mc_toolbox *box, const char *name)
{
    mc_str copy = mc_arena_copy(box->arena, mc_str_of(name));
    char *text = (char *)copy.data; /* our own copy */
    for (size_t i = 0; text && i < copy.len; i++)
        text[i] = text[i] == '_' ? ' ' : text[i];
    return copy;
}

/* What is set may be said; what is cleared has no value, so the field must be named. */
static enum mc_status may_change(struct mc_tool_run *run, const struct mc_preference_field *field,
                                 mc_str value, enum mc_preference_action action, bool *may,
                                 struct mc_error *err)
{
    const struct mc_toolbox *box = run->box;
    mc_str what = action == MC_PREFERENCE_CLEAR ? spoken(box, field->name) : value;
    *may = false;
    if (!box->reader->everything && box->reader->agent_id.len > 0)
        return refuse(run, "every agent reads preferences, so a request of one agent changes none",
                      err);
    if (!what.data && action == MC_PREFERENCE_CLEAR)
        return mc_fail_memory(err);
    enum mc_status status = user_says(box, what, may, err);
    if (status || *may)
        return status;
    return refuse(run,
                  action == MC_PREFERENCE_CLEAR ? "the question does not name the field"
                                                : "the question does not contain the value",
                  err);
}

static enum mc_status value_json(const struct mc_preference_field *field, mc_str value,
                                 enum mc_preference_action action, struct mc_buf *json,
                                 struct mc_error *err)
{
    bool as_list = field->list && action == MC_PREFERENCE_SET;
    struct mc_json_writer w = mc_json_writer(json);
    if (as_list)
        mc_json_begin(&w, '[');
    if (action == MC_PREFERENCE_CLEAR)
        mc_json_put_null(&w);
    else
        mc_json_put_string(&w, value);
    if (as_list)
        mc_json_end(&w, ']');
    return json->failed ? mc_fail_memory(err) : MC_OK;
}

static enum mc_status apply_change(struct mc_tool_run *run, mc_str field, mc_str value,
                                   enum mc_preference_action action, struct mc_error *err)
{
    struct mc_toolbox *box = run->box;
    const struct mc_preference_access *access = &box->r->preferences;
    mc_auto(mc_buf_fini) struct mc_buf result;
    mc_buf_init(&result, PREFERENCES_MAX);
    enum mc_status status =
        access->change(access->context, box->query->user_id, field, value, action, &result, err);
    if (status == MC_INVALID || status == MC_TOO_LARGE)
        return refuse(run, err->message, err);
    if (status)
        return status;
    mc_str now = result.failed ? MC_STR_NONE : mc_arena_copy(box->arena, mc_buf_str(&result));
    if (!now.data)
        return mc_fail_memory(err);
    box->preferences = now;
    box->preferences_changed = true;
    run->results = 1;
    return MC_OK;
}

enum mc_status mc_tool_change(struct mc_tool_run *run, struct mc_error *err)
{
    const struct mc_tool_value *v = run->values;
    const struct mc_preference_field *field = find_field(run->box, v[0].text);
    enum mc_preference_action action;
    bool may;
    if (!field)
        return refuse(run, "there is no such field", err);
    if (!mc_preference_action_parse(v[2].text, &action))
        return refuse(run, "action is set, add, remove or clear", err);
    enum mc_status status = may_change(run, field, v[1].text, action, &may, err);
    if (status || !may)
        return status;
    mc_auto(mc_buf_fini) struct mc_buf value;
    mc_buf_init(&value, PREFERENCES_MAX);
    status = value_json(field, v[1].text, action, &value, err);
    return status ? status : apply_change(run, v[0].text, mc_buf_str(&value), action, err);
}

/* ---- External sources ---- */

static enum mc_status keep_piece(struct mc_toolbox *box, const struct mc_lookup_piece *piece,
                                 struct mc_error *err)
{
    if (!box->pieces)
        box->pieces = mc_arena_array(box->arena, PIECES_MAX, sizeof(*box->pieces));
    if (!box->pieces)
        return mc_fail_memory(err);
    if (box->piece_count < PIECES_MAX)
        box->pieces[box->piece_count++] = *piece;
    return MC_OK;
}

enum mc_status mc_tools_piece(struct mc_toolbox *box, const struct mc_lookup_piece *piece,
                              size_t max_units, struct mc_buf *text, bool *shown,
                              struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf line;
    mc_buf_init(&line, PREFERENCES_MAX);
    mc_render_piece(&line, NULL, piece->source, piece->title, piece->text,
                    max_units < ENTRY_UNITS ? max_units : ENTRY_UNITS);
    *shown = line.len > 0;
    if (line.failed)
        return mc_fail_memory(err);
    if (!*shown)
        return MC_OK;
    mc_buf_append(text, mc_buf_str(&line));
    return mc_ground_add(&box->ground, piece->text) ? MC_OK : mc_fail_memory(err);
}

enum mc_status mc_tool_lookup(struct mc_tool_run *run, struct mc_error *err)
{
    const struct mc_tool_value *v = run->values;
    struct mc_toolbox *box = run->box;
    if (v[0].count == 0)
        return refuse(run, "give topics that other systems know about", err);
    struct mc_source_query query = {
        .user_id = box->query->user_id,
        .thread_id = box->query->thread_id,
        .agent_id = box->query->agent_id,
        .topics = v[0].items,
        .topic_count = v[0].count,
        .text = v[1].text.len > 0 ? v[1].text : box->query->query,
    };
    struct mc_lookup_result result = {0};
    enum mc_status status =
        mc_lookups_ask(box->r->lookups, &query, box->deadline_us, box->arena, &result, err);
    for (size_t i = 0; !status && i < result.count; i++) {
        bool shown;
        status = mc_tools_piece(box, &result.pieces[i], units_left(run), &run->text, &shown, err);
        run->results += !status && shown;
        if (!status && shown)
            status = keep_piece(box, &result.pieces[i], err);
    }
    for (size_t i = 0; !status && i < result.failure_count; i++) {
        mc_render_quote(&run->text, result.failures[i].source);
        mc_buf_text(&run->text, " did not answer\n");
    }
    return status;
}
