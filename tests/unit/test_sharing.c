/*
 * What one agent sees of another's messages, on each path of the public interface that can return
 * text: by id, recent (from the store and from the cache), window, search, context, export, delete.
 * Every message carries a word of its own, which must not appear where its message may not.
 */
#include "tap.h"

#include "base/buf.h"
#include "base/compiler.h"
#include "support/engine.h"

/* Messages of one thread, oldest first; the word stands in the text and is the id. */
static const struct stored {
    const char *word, *agent, *visibility, *group;
} STORED[] = {
    {"apricot", "alice", "private", NULL}, {"bramble", "alice", "shared", "sales"},
    {"cassava", "alice", "shared", "ops"}, {"damson", "alice", "public", NULL},
    {"endive", "bob", "private", NULL},    {"fennel", "bob", "shared", "sales"},
    {"gooseberry", NULL, "private", NULL}, {"hazelnut", NULL, "public", NULL},
};
#define STORED_COUNT mc_countof(STORED)

/* Readers in each mode, and for every message whether it is readable: 'y' or '-'. */
struct viewer {
    const char *agent; /* NULL: none */
    const char *sees;
};
static const struct view {
    const char *mode;
    struct viewer viewers[6];
} VIEWS[] = {
    {"isolated",
     {{"alice", "yyyy----"},
      {"bob", "----yy--"},
      {"carol", "--------"},
      {"dave", "--------"},
      {NULL, "------yy"},
      {"", "------yy"}}},
    {"shared",
     {{"alice", "yyyy-y-y"},
      {"bob", "-y-yyy-y"},
      {"carol", "---y---y"},
      {"dave", "--y-----"},
      {NULL, "---y--yy"},
      {"", "---y--yy"}}},
    {"public",
     {{"alice", "yyyy-y-y"},
      {"bob", "-yyyyy-y"},
      {"carol", "-yyy-y-y"},
      {"dave", "-yy--y--"},
      {NULL, "---y--yy"},
      {"", "---y--yy"}}},
};

static const char *const AGENTS[] = {
    ("{\"agent_id\":\"alice\",\"name\":\"A\",\"can_write_public\":true,"
     "\"sharing_groups\":[\"sales\",\"ops\"]}"),
    "{\"agent_id\":\"bob\",\"name\":\"B\",\"sharing_groups\":[\"sales\"]}",
    "{\"agent_id\":\"carol\",\"name\":\"C\"}",
    "{\"agent_id\":\"dave\",\"name\":\"D\",\"sharing_groups\":[\"ops\"],\"can_read_public\":false}",
};

static void register_agents(struct mc_engine *engine)
{
    for (size_t i = 0; i < mc_countof(AGENTS); i++) {
        struct answer answer = ANSWER(mc_agent_register_json, engine, mc_str_of(AGENTS[i]));
        answer_free(&answer);
    }
}

static void fill(struct mc_engine *engine)
{
    register_agents(engine);
    for (size_t i = 0; i < STORED_COUNT; i++) {
        char text[128];
        snprintf(text, sizeof(text), "The harvest report number %zu speaks of %s", i,
                 STORED[i].word);
        struct mc_message_input input = said(STORED[i].word, text);
        mc_str group = mc_str_of(STORED[i].group);
        input.agent_id = mc_str_of(STORED[i].agent);
        input.visibility = mc_str_of(STORED[i].visibility);
        input.sharing_groups = STORED[i].group ? &group : NULL;
        input.sharing_group_count = STORED[i].group ? 1 : 0;
        input.created_at_us = mc_time_now_us() - (int64_t)(STORED_COUNT - i) * MC_US_PER_SECOND;
        ingest(engine, &input);
    }
    engine_drain(engine);
}

/* Which words a text contains, in the order of STORED. */
static const char *words_in(const char *text, char got[STORED_COUNT + 1])
{
    for (size_t i = 0; i < STORED_COUNT; i++)
        got[i] = text && strstr(text, STORED[i].word) ? 'y' : '-';
    got[STORED_COUNT] = '\0';
    return got;
}

/* The texts of a list, one after another; frees the list. */
static void append_list(struct mc_buf *buf, struct mc_message_list *list)
{
    for (size_t i = 0; list && i < list->count; i++) {
        char *json = NULL;
        if (mc_message_to_json(list->items[i], &json, NULL, NULL) == MC_OK)
            mc_buf_text(buf, json);
        mc_free(json);
    }
    mc_message_list_free(list);
}

typedef enum mc_status (*path_fn)(struct mc_engine *engine, mc_str agent, struct mc_buf *out,
                                  struct mc_error *err);

static enum mc_status by_id(struct mc_engine *engine, mc_str agent, struct mc_buf *out,
                            struct mc_error *err)
{
    for (size_t i = 0; i < STORED_COUNT; i++) {
        struct mc_message_list *list = NULL;
        enum mc_status status =
            mc_message_get(engine, mc_str_of(STORED[i].word), agent, &list, err);
        if (status && status != MC_NOT_FOUND)
            return status;
        append_list(out, list);
    }
    return MC_OK;
}

static enum mc_status by_recent(struct mc_engine *engine, mc_str agent, struct mc_buf *out,
                                struct mc_error *err)
{
    struct mc_recent_query query = {
        .user_id = MC_STR("u"), .thread_id = MC_STR("t"), .agent_id = agent, .limit = 50};
    struct mc_message_list *list = NULL;
    enum mc_status status = mc_message_recent(engine, &query, &list, err);
    append_list(out, list);
    return status;
}

/* Beyond what the cache may answer. */
static enum mc_status by_recent_of_store(struct mc_engine *engine, mc_str agent, struct mc_buf *out,
                                         struct mc_error *err)
{
    struct mc_recent_query query = {
        .user_id = MC_STR("u"), .thread_id = MC_STR("t"), .agent_id = agent, .limit = 1000};
    struct mc_message_list *list = NULL;
    enum mc_status status = mc_message_recent(engine, &query, &list, err);
    append_list(out, list);
    return status;
}

static enum mc_status by_window(struct mc_engine *engine, mc_str agent, struct mc_buf *out,
                                struct mc_error *err)
{
    struct mc_window_query query = {
        .user_id = MC_STR("u"), .thread_id = MC_STR("t"), .agent_id = agent, .max_messages = 50};
    struct mc_message_list *list = NULL;
    enum mc_status status = mc_message_window(engine, &query, &list, err);
    append_list(out, list);
    return status;
}

static enum mc_status by_search(struct mc_engine *engine, mc_str agent, struct mc_buf *out,
                                struct mc_error *err)
{
    struct mc_search_query query = {
        .user_id = MC_STR("u"), .agent_id = agent, .text = MC_STR("harvest report"), .limit = 100};
    struct mc_hit_list *hits = NULL;
    enum mc_status status = mc_search(engine, &query, &hits, err);
    for (size_t i = 0; hits && i < hits->count; i++)
        mc_buf_append(out, hits->items[i].message->text);
    mc_hit_list_free(hits);
    return status;
}

static enum mc_status context_of(struct mc_engine *engine, mc_str thread, mc_str agent,
                                 struct mc_buf *out, struct mc_error *err)
{
    struct mc_context_query query = {.user_id = MC_STR("u"),
                                     .thread_id = thread,
                                     .agent_id = agent,
                                     .query = MC_STR("What does the harvest report speak of?")};
    struct mc_context *context = NULL;
    enum mc_status status = mc_context_assemble(engine, &query, &context, err);
    if (status)
        return status;
    char *json = NULL;
    status = mc_context_to_json(context, &json, NULL, err);
    if (!status)
        mc_buf_text(out, json); /* text, key points, ids, reasons: all of it */
    mc_free(json);
    mc_context_free(context);
    return status;
}

static enum mc_status by_context(struct mc_engine *engine, mc_str agent, struct mc_buf *out,
                                 struct mc_error *err)
{
    return context_of(engine, MC_STR("t"), agent, out, err);
}

/* Asked from another thread, so that all of it comes from search. */
static enum mc_status by_context_elsewhere(struct mc_engine *engine, mc_str agent,
                                           struct mc_buf *out, struct mc_error *err)
{
    return context_of(engine, MC_STR("another"), agent, out, err);
}

static bool collect(void *context, const char *data, size_t len)
{
    mc_buf_append(context, (mc_str){data, len});
    return true;
}

static enum mc_status by_export(struct mc_engine *engine, mc_str agent, struct mc_buf *out,
                                struct mc_error *err)
{
    return mc_user_export(engine, MC_STR("u"), agent, collect, out, err);
}

static const struct path {
    const char *name;
    path_fn read;
    bool part; /* may leave out something readable: what matters is what it shows */
} PATHS[] = {
    {"by id", by_id, false},
    {"recent, cached", by_recent, false},
    {"recent, from the store", by_recent_of_store, false},
    {"window", by_window, false},
    {"search", by_search, false},
    {"context", by_context, false},
    {"context from another thread", by_context_elsewhere, true},
    {"export", by_export, false},
};

static void shows(struct mc_engine *engine, const struct path *path, const char *mode,
                  const struct viewer *viewer, const char *how)
{
    mc_auto(mc_buf_fini) struct mc_buf out;
    mc_buf_init(&out, 1 << 22);
    struct mc_error err = {0};
    const char *who = viewer->agent ? viewer->agent : "nobody";
    if (!is_status(path->read(engine, mc_str_of(viewer->agent), &out, &err), MC_OK, &err,
                   "%s: %s reads %s, %s", mode, who, path->name, how))
        return;
    char got[STORED_COUNT + 1];
    words_in(out.data, got);
    if (!path->part) {
        is_str(got, viewer->sees, "%s: what %s sees %s, %s", mode, who, path->name, how);
        return;
    }
    bool leaked = false, some = strchr(viewer->sees, 'y') == NULL;
    for (size_t i = 0; i < STORED_COUNT; i++) {
        leaked = leaked || (got[i] == 'y' && viewer->sees[i] != 'y');
        some = some || got[i] == 'y';
    }
    ok(!leaked, "%s: %s sees nothing foreign %s, %s: %s", mode, who, path->name, how, got);
    ok(some, "%s: %s sees something %s, %s: %s", mode, who, path->name, how, got);
}

static void test_mode(const struct view *view)
{
    struct scratch scratch;
    scratch_make(&scratch);
    struct mc_engine *engine = engine_open(
        &scratch, OPTIONS("multi_agent.enabled", "true", "multi_agent.mode", view->mode));
    fill(engine);
    for (size_t p = 0; p < mc_countof(PATHS); p++) {
        /* Each reader with the cache cold, then with what the readers before it left there. */
        for (size_t v = 0; v < mc_countof(view->viewers); v++) {
            uint64_t dropped = 0;
            struct mc_error err = {0};
            if (mc_cache_clear(engine, MC_STR_NONE, MC_STR_NONE, &dropped, &err))
                bail_out("%s", err.message);
            shows(engine, &PATHS[p], view->mode, &view->viewers[v], "cold");
        }
        for (size_t v = 0; v < mc_countof(view->viewers); v++)
            shows(engine, &PATHS[p], view->mode, &view->viewers[v], "warm");
    }
    mc_engine_close(engine);
    scratch_remove(&scratch);
}

/* Nobody deletes what it may not see, nor what it may only read. */
static void test_delete(void)
{
    struct scratch scratch;
    scratch_make(&scratch);
    struct mc_engine *engine =
        engine_open(&scratch, OPTIONS("multi_agent.enabled", "true", "multi_agent.mode", "shared"));
    fill(engine);
    static const char *const BLIND[][2] = {
        {"bob", "apricot"}, {"bob", "cassava"},   {"carol", "fennel"}, {"carol", "gooseberry"},
        {"", "endive"},     {"dave", "hazelnut"}, {"alice", "endive"}};
    struct mc_error err;
    for (size_t i = 0; i < mc_countof(BLIND); i++) {
        memset(&err, 0, sizeof(err));
        mc_str who = mc_str_of(BLIND[i][0]), id = mc_str_of(BLIND[i][1]);
        is_status(mc_message_delete(engine, id, who, &err), MC_NOT_FOUND, &err,
                  "\"%.*s\" does not delete %.*s", MC_STR_ARG(who), MC_STR_ARG(id));
        struct mc_message_list *list = NULL;
        struct mc_message_input repeat = said(BLIND[i][1], "something else");
        is_status(mc_message_ingest(engine, &repeat, &list, NULL, &err), MC_CONFLICT, &err,
                  "it is still there");
        ok(!strstr(err.message, "harvest"), "and a conflict shows nothing of it: %s", err.message);
        mc_message_list_free(list);
    }
    is_status(mc_message_delete(engine, MC_STR("bramble"), MC_STR("stranger"), &err), MC_NOT_FOUND,
              &err, "an unregistered agent deletes nothing");
    static const char *const READ_ONLY[][2] = {
        {"bob", "bramble"}, {"bob", "damson"}, {"", "damson"}, {"alice", "hazelnut"}};
    for (size_t i = 0; i < mc_countof(READ_ONLY); i++) {
        mc_str who = mc_str_of(READ_ONLY[i][0]), id = mc_str_of(READ_ONLY[i][1]);
        is_status(mc_message_delete(engine, id, who, &err), MC_FORBIDDEN, &err,
                  "\"%.*s\" may read %.*s, not delete it", MC_STR_ARG(who), MC_STR_ARG(id));
    }
    is_status(mc_message_delete(engine, MC_STR("bramble"), MC_STR("alice"), &err), MC_OK, &err,
              "its agent does");
    is_status(mc_message_delete(engine, MC_STR("gooseberry"), MC_STR_NONE, &err), MC_OK, &err,
              "nobody's message goes without an agent");
    mc_engine_close(engine);
    scratch_remove(&scratch);
}

/* An agent that is not registered, or none where one is required, reads nothing on any path. */
static void test_strangers(void)
{
    struct scratch scratch;
    scratch_make(&scratch);
    struct mc_engine *engine =
        engine_open(&scratch, OPTIONS("multi_agent.enabled", "true", "multi_agent.mode", "public"));
    fill(engine);
    mc_engine_close(engine);
    engine = engine_open(&scratch, OPTIONS("multi_agent.enabled", "true", "multi_agent.mode",
                                           "public", "multi_agent.require_agent_id", "true"));
    static const struct {
        const char *agent;
        enum mc_status status;
    } BAD[] = {
        {"stranger", MC_NOT_FOUND}, {NULL, MC_INVALID}, {"", MC_INVALID}, {"a b", MC_INVALID}};
    for (size_t p = 0; p < mc_countof(PATHS); p++) {
        for (size_t i = 0; i < mc_countof(BAD); i++) {
            /* by_id passes over messages that are not found. */
            if (PATHS[p].read == by_id && BAD[i].status == MC_NOT_FOUND)
                continue;
            mc_auto(mc_buf_fini) struct mc_buf out;
            mc_buf_init(&out, 1 << 22);
            struct mc_error err = {0};
            is_status(PATHS[p].read(engine, mc_str_of(BAD[i].agent), &out, &err), BAD[i].status,
                      &err, "%s %s", BAD[i].agent ? BAD[i].agent : "nobody", PATHS[p].name);
            is_str(err.field, "agent_id", "names agent_id");
            is_int(out.len, 0, "and shows nothing");
        }
    }
    struct mc_error err = {0};
    is_status(mc_message_delete(engine, MC_STR("damson"), MC_STR_NONE, &err), MC_INVALID, &err,
              "nobody deletes nothing");
    struct mc_message_input input = said("new", "Without an agent");
    is_status(mc_message_ingest(engine, &input, NULL, NULL, &err), MC_INVALID, &err,
              "nobody stores nothing");
    is_str(err.field, "agent_id", "names agent_id");
    mc_engine_close(engine);
    scratch_remove(&scratch);
}

/* A context may leave out more than the rule does, never less. */
static void test_narrower(void)
{
    struct scratch scratch;
    scratch_make(&scratch);
    struct mc_engine *engine =
        engine_open(&scratch, OPTIONS("multi_agent.enabled", "true", "multi_agent.mode", "shared"));
    fill(engine);
    static const mc_str ALICE[] = {{"alice", 5}};
    static const mc_str BOTH[] = {{"alice", 5}, {"bob", 3}};
    static const struct {
        const char *what;
        const mc_str *agents;
        size_t count;
        bool no_shared, no_public;
        const char *sees;
    } QUERIES[] = {
        {"of all", NULL, 0, false, false, "-y-yyy-y"},
        {"of alice only", ALICE, 1, false, false, "-y-y----"},
        {"of alice and bob", BOTH, 2, false, false, "-y-yyy--"},
        {"without shared ones", NULL, 0, true, false, "---yyy-y"},
        {"without public ones", NULL, 0, false, true, "-y--yy--"},
        {"without both", NULL, 0, true, true, "----yy--"},
    };
    for (size_t i = 0; i < mc_countof(QUERIES); i++) {
        struct mc_context_query query = {
            .user_id = MC_STR("u"),
            .thread_id = MC_STR("t"),
            .agent_id = MC_STR("bob"),
            .query = MC_STR("What does the harvest report speak of?"),
            .agent_ids = QUERIES[i].agents,
            .agent_id_count = QUERIES[i].count,
            .exclude_shared = QUERIES[i].no_shared,
            .exclude_public = QUERIES[i].no_public,
        };
        struct mc_context *context = NULL;
        char *json = NULL;
        struct mc_error err = {0};
        if (!is_status(mc_context_assemble(engine, &query, &context, &err), MC_OK, &err, "%s",
                       QUERIES[i].what))
            continue;
        if (mc_context_to_json(context, &json, NULL, &err))
            bail_out("%s", err.message);
        char got[STORED_COUNT + 1];
        is_str(words_in(json, got), QUERIES[i].sees, "bob's context %s", QUERIES[i].what);
        mc_free(json);
        mc_context_free(context);
    }
    mc_engine_close(engine);
    scratch_remove(&scratch);
}

/* Where agents are not enabled everybody sees everything. */
static void test_not_enabled(void)
{
    struct scratch scratch;
    scratch_make(&scratch);
    struct mc_engine *engine = engine_open(&scratch, NULL);
    fill(engine);
    static const struct viewer ALL[] = {
        {"alice", "yyyyyyyy"}, {"stranger", "yyyyyyyy"}, {NULL, "yyyyyyyy"}};
    for (size_t p = 0; p < mc_countof(PATHS); p++) {
        for (size_t v = 0; v < mc_countof(ALL); v++)
            shows(engine, &PATHS[p], "not enabled", &ALL[v], "cold or warm");
    }
    mc_engine_close(engine);
    scratch_remove(&scratch);
}

/* What one agent was told in private must not reach another one through the user's preferences. */
static void test_learning(const char *mode, const char *expected)
{
    static const struct {
        const char *id, *agent, *visibility, *text;
    } SAID[] = {
        {"l1", "alice", "private", "I love apricots"},
        {"l2", "alice", "shared", "I love brambles"},
        {"l3", "alice", "public", "I love damsons"},
        {"l4", NULL, "private", "I love gooseberries"},
        {"l5", NULL, "public", "I love hazelnuts"},
    };
    struct scratch scratch;
    scratch_make(&scratch);
    struct mc_engine *engine =
        engine_open(&scratch, OPTIONS("multi_agent.enabled", mode ? "true" : "false",
                                      "multi_agent.mode", mode ? mode : "shared"));
    register_agents(engine);
    for (size_t i = 0; i < mc_countof(SAID); i++) {
        struct mc_message_input input = said(SAID[i].id, SAID[i].text);
        input.agent_id = mc_str_of(SAID[i].agent);
        input.visibility = mc_str_of(SAID[i].visibility);
        ingest(engine, &input);
    }
    engine_drain(engine);
    struct answer signals = ANSWER(mc_preferences_signals, engine, MC_STR("u"));
    char got[128] = "";
    static const char *const WORDS[] = {"apricots", "brambles", "damsons", "gooseberries",
                                        "hazelnuts"};
    for (size_t i = 0; i < mc_countof(WORDS); i++)
        got[i] = strstr(signals.text, WORDS[i]) ? 'y' : '-';
    is_str(got, expected, "learned in mode %s", mode ? mode : "(off)");
    answer_free(&signals);
    mc_engine_close(engine);
    scratch_remove(&scratch);
}

int main(void)
{
    for (size_t i = 0; i < mc_countof(VIEWS); i++)
        test_mode(&VIEWS[i]);
    test_delete();
    test_strangers();
    test_narrower();
    test_not_enabled();
    test_learning(NULL, "yyyyy");
    test_learning("shared", "--yyy");
    test_learning("public", "--yyy");
    test_learning("isolated", "---yy");
    return done_testing();
}
