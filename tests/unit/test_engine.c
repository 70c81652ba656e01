/* The engine through its public functions: opening, storing, reading, deleting, erasing, exporting.
 */
#include "tap.h"

#include "base/buf.h"
#include "base/compiler.h"
#include "support/engine.h"

#include "base/thread.h"
#include "store/postgres/postgres_store.h"
#include "store/sqlite/sqlite.h"

/* ---- Opening ---- */

static void not_opened(const struct scratch *scratch, const char *const *options,
                       enum mc_status status, const char *says)
{
    struct mc_engine *engine = NULL;
    struct mc_error err;
    is_status(engine_try(scratch, options, &engine, &err), status, &err, "%s = %s is refused",
              options[0], options[1]);
    ok(strstr(err.message, says) != NULL, "the error says \"%s\": %s", says, err.message);
    ok(engine == NULL, "the output is untouched");
    mc_engine_close(engine);
}

static void test_open_errors(void)
{
    struct scratch scratch;
    scratch_make(&scratch);
    not_opened(&scratch, OPTIONS("database.backend", "postgresql", "database.host", "/nowhere"),
               mc_postgres_built() ? MC_UNAVAILABLE : MC_UNSUPPORTED,
               mc_postgres_built() ? "/nowhere" : "libpq");
    not_opened(&scratch, OPTIONS("llm.provider", "openai"), MC_CONFIG, "llm.openai.api_key");
    not_opened(&scratch, OPTIONS("llm.provider", "llama_cpp"), MC_CONFIG,
               "llm.llama_cpp.model_path");
    not_opened(&scratch, OPTIONS("enrichment.workers", "0"), MC_INVALID, "1..16");
    not_opened(&scratch, OPTIONS("enrichment.workers", "17"), MC_INVALID, "1..16");
    not_opened(&scratch, OPTIONS("multi_agent.default_sharing_groups", "[\"two words\"]"),
               MC_CONFIG, "multi_agent.default_sharing_groups");
    not_opened(&scratch,
               OPTIONS("trivial.patterns", "[{\"category\":\"greeting\",\"pattern\":\"(\"}]"),
               MC_CONFIG, "pattern");
    not_opened(&scratch, OPTIONS("vocabulary.synonyms", "{\"kayak\":\"no such topic\"}"), MC_CONFIG,
               "no such topic");
    const char *missing = scratch_path(&scratch, "no/such/folder/e.db");
    not_opened(&scratch, OPTIONS("database.path", missing), MC_IO, "no/such/folder");
    not_opened(&scratch, OPTIONS("database.path", scratch.dir), MC_IO, scratch.dir);
    const char *odd = scratch_path(&scratch, "odd.db");
    FILE *file = fopen(odd, "w");
    if (!file)
        bail_out("no file");
    for (int i = 0; i < 1000; i++)
        fputs("this is not a database\n", file);
    fclose(file);
    not_opened(&scratch, OPTIONS("database.path", odd), MC_CORRUPT, odd);
    mc_engine_close(NULL);
    scratch_remove(&scratch);
}

static void test_facts(void)
{
    struct scratch scratch;
    scratch_make(&scratch);
    struct mc_engine *engine =
        engine_open(&scratch, OPTIONS("enrichment.workers", "3", "multi_agent.enabled", "true"));
    is_int(mc_engine_worker_count(engine), 3, "workers");
    is_str(mc_engine_provider(engine), "builtin", "provider");
    is_str(mc_engine_backend(engine), "sqlite", "backend");
    is_int(mc_engine_multi_agent(engine), 1, "agents are enabled");
    is_str(mc_version(), "0.1.0", "version");
    struct mc_error err = {0};
    is_status(mc_engine_drain(engine, -1, &err), MC_OK, &err, "drained without a limit");
    is_status(mc_engine_drain(engine, INT64_MAX, &err), MC_OK, &err, "or with an endless one");
    is_status(mc_engine_drain(engine, 5000, &err), MC_OK, &err, "or with a short one");
    ok(mc_token_count(engine, MC_STR("some words of text")) >= 3, "tokens are counted");
    is_int(mc_token_count(engine, MC_STR("")), 0, "none in nothing");
    struct mc_message message = {.importance = 0.8, .created_at_us = 1000};
    is_double(mc_importance_decayed(engine, &message, 1000 + 14 * MC_US_PER_DAY), 0.4, 1e-9,
              "importance halves in 14 days");
    mc_engine_close(engine);

    /* The defaults of everything: a database and a cache beside it, in the present folder. */
    char before[1024];
    if (!getcwd(before, sizeof(before)) || chdir(scratch.dir))
        bail_out("no way into the folder");
    engine = NULL;
    is_status(mc_engine_open(NULL, &engine, &err), MC_OK, &err, "opened with the defaults");
    if (engine)
        say(engine, "m1", "Where is my order?");
    mc_engine_close(engine);
    ok(access("mindcore.db", F_OK) == 0, "mindcore.db was made");
    ok(access("mindcore.db.cache", F_OK) == 0, "and its cache");
    if (chdir(before))
        bail_out("no way back");
    scratch_remove(&scratch);
}

/* ---- Storing ---- */

static void test_ingest(struct mc_engine *engine)
{
    struct mc_message_input input = said("m1", "Where is my order 4711?");
    static const mc_str groups[] = {{"g1", 2}, {"g2", 2}};
    input.metadata = MC_STR("{\"channel\":\"web\"}");
    input.visibility = MC_STR("shared");
    input.sharing_groups = groups;
    input.sharing_group_count = 2;
    input.agent_id = MC_STR("label");
    input.created_at_us = INT64_C(1767225600000000);
    struct mc_message_list *list = NULL;
    bool created = false;
    struct mc_error err = {0};
    is_status(mc_message_ingest(engine, &input, &list, &created, &err), MC_OK, &err, "stored");
    is_int(created, 1, "newly");
    if (is_int(list ? list->count : 0, 1, "a list of one")) {
        const struct mc_message *m = list->items[0];
        is_text(m->message_id, "m1", "its id");
        is_text(m->text, "Where is my order 4711?", "its text");
        is_text(m->metadata, "{\"extra\":{\"channel\":\"web\"}}", "what was attached, as extra");
        is_int(m->created_at_us, INT64_C(1767225600000000), "its time");
        is_int(m->visibility, MC_VISIBILITY_SHARED, "its visibility");
        is_int(m->sharing_group_count, 2, "its groups");
        is_text(m->agent_id, "label", "its agent");
        is_int(m->enrichment_state, MC_ENRICHMENT_PENDING, "to be enriched");
    }
    mc_message_list_free(list);

    list = NULL;
    created = true;
    is_status(mc_message_ingest(engine, &input, &list, &created, &err), MC_OK, &err,
              "the same again");
    is_int(created, 0, "is there already");
    is_int(list ? list->count : 0, 1, "and returned");
    mc_message_list_free(list);
    struct mc_message_input other = input;
    other.text = MC_STR("Where is my order 4712?");
    list = NULL;
    is_status(mc_message_ingest(engine, &other, &list, NULL, &err), MC_CONFLICT, &err,
              "another text under the same id");
    is_str(err.field, "message_id", "names the id: %s", err.message);
    ok(list == NULL, "the output is untouched");
    other = input;
    other.user_id = MC_STR("another-user");
    is_status(mc_message_ingest(engine, &other, NULL, NULL, &err), MC_CONFLICT, &err,
              "another user's message under the same id");
    ok(!strstr(err.message, "Where is"), "does not show that user's text: %s", err.message);

    input = said(NULL, "No id of my own");
    is_status(mc_message_ingest(engine, &input, &list, &created, &err), MC_OK, &err,
              "without an id");
    if (list)
        ok(list->items[0]->message_id.len == 36 &&
               strncmp(list->items[0]->message_id.data, "msg_", 4) == 0,
           "one is assigned: %.*s", MC_STR_ARG(list->items[0]->message_id));
    mc_message_list_free(list);
    input.text = MC_STR("  ");
    is_status(mc_message_ingest(engine, &input, NULL, NULL, &err), MC_INVALID, &err, "blank text");
    is_str(err.field, "text", "named");
    engine_drain(engine);
}

static void test_batch(struct mc_engine *engine)
{
    struct mc_message_input inputs[5] = {
        said("b1", "The first of the batch"),
        said("b 2", "A bad id"),
        said("b3", "\xff"),
        said("m1", "Taken already"),
        said("b5", "The last of the batch"),
    };
    struct mc_ingest_result results[5];
    memset(results, 0xab, sizeof(results));
    struct mc_message_list *list = NULL;
    struct mc_error err = {0};
    is_status(mc_message_ingest_batch(engine, inputs, 5, results, &list, &err), MC_OK, &err,
              "a batch with bad ones");
    static const enum mc_status EXPECTED[] = {MC_OK, MC_INVALID, MC_INVALID, MC_CONFLICT, MC_OK};
    static const char *const FIELDS[] = {NULL, "message_id", "text", "message_id", NULL};
    for (int i = 0; i < 5; i++) {
        is_status(results[i].status, EXPECTED[i], NULL, "item %d", i);
        is_int(results[i].created, EXPECTED[i] == MC_OK, "item %d is new", i);
        if (FIELDS[i])
            is_str(results[i].error.field, FIELDS[i], "item %d: %s", i, results[i].error.message);
    }
    char ids[64];
    is_str(ids_of(list, ids, sizeof(ids)), "b1 b5", "those that were stored, in order");
    /* The same id twice in one batch: the first counts. */
    inputs[0] = said("b6", "twice");
    inputs[1] = said("b6", "twice");
    inputs[2] = said("b6", "not the same");
    is_status(mc_message_ingest_batch(engine, inputs, 3, results, NULL, &err), MC_OK, &err,
              "twins");
    is_int(results[0].created, 1, "the first is new");
    is_int(results[1].created, 0, "the second is there already");
    is_status(results[2].status, MC_CONFLICT, NULL, "the third is another");
    list = NULL;
    is_status(mc_message_ingest_batch(engine, inputs, 0, results, &list, &err), MC_OK, &err,
              "an empty batch");
    is_int(list ? list->count : 99, 0, "gives an empty list");
    mc_message_list_free(list);
    engine_drain(engine);
}

static void test_json(struct mc_engine *engine)
{
#define BASE "\"user_id\":\"j\",\"thread_id\":\"t\",\"session_id\":\"s\",\"role\":\"user\""
    const mc_str objects[] = {
        MC_STR("{" BASE ",\"text\":\"one\",\"message_id\":\"j1\"}"),
        MC_STR("{" BASE ",\"text\":\"two\",\"colour\":\"red\"}"),
        MC_STR("{" BASE ",\"text\":7}"),
        MC_STR("{" BASE "}"),
        MC_STR("{" BASE ",\"text\":"),
        MC_STR(""),
        MC_STR("[]"),
        MC_STR("{" BASE ",\"text\":\"cut \\ud800\"}"),
        MC_STR("{" BASE ",\"text\":\"nul \\u0000\"}"),
        MC_STR("{" BASE ",\"text\":\"eight\",\"message_id\":\"j8\"}"),
    };
#undef BASE
    static const char *const FIELDS[] = {NULL, "colour", "text", "text", "", "", "", "", "", NULL};
    enum { COUNT = mc_countof(objects) };
    struct mc_ingest_result results[COUNT];
    memset(results, 0xab, sizeof(results));
    struct mc_message_list *list = NULL;
    struct mc_error err = {0};
    is_status(mc_message_ingest_json(engine, objects, COUNT, results, &list, &err), MC_OK, &err,
              "JSON objects, most of them bad");
    for (int i = 0; i < COUNT; i++) {
        is_status(results[i].status, FIELDS[i] ? MC_INVALID : MC_OK, &results[i].error, "object %d",
                  i);
        is_int(results[i].created, !FIELDS[i], "object %d is new", i);
        if (FIELDS[i] && FIELDS[i][0])
            is_str(results[i].error.field, FIELDS[i], "object %d: %s", i, results[i].error.message);
    }
    char ids[64];
    is_str(ids_of(list, ids, sizeof(ids)), "j1 j8", "the good ones are stored");
    engine_drain(engine);
}

/* ---- Reading ---- */

static void test_get(struct mc_engine *engine)
{
    struct mc_message_list *list = NULL;
    struct mc_error err = {0};
    is_status(mc_message_get(engine, MC_STR("m1"), MC_STR_NONE, &list, &err), MC_OK, &err, "by id");
    if (is_int(list ? list->count : 0, 1, "one")) {
        is_int(list->items[0]->enrichment_state, MC_ENRICHMENT_ENRICHED, "enriched by now");
        ok(strstr(list->items[0]->metadata.data, "\"extra\":{\"channel\":\"web\"}") != NULL,
           "what was attached is still there: %s", list->items[0]->metadata.data);
        ok(strstr(list->items[0]->metadata.data, "\"4711\"") != NULL, "with the order's number");
    }
    mc_message_list_free(list);
    list = NULL;
    is_status(mc_message_get(engine, MC_STR("unknown"), MC_STR_NONE, &list, &err), MC_NOT_FOUND,
              &err, "an unknown id");
    is_status(mc_message_get(engine, MC_STR("a b"), MC_STR_NONE, &list, &err), MC_INVALID, &err,
              "a bad id");
    is_status(mc_message_get(engine, MC_STR_NONE, MC_STR_NONE, &list, &err), MC_INVALID, &err,
              "no id");
    ok(list == NULL, "the output is untouched");
}

static enum mc_status recent(struct mc_engine *engine, const char *thread, const char *before,
                             size_t limit, char ids[512], struct mc_error *err)
{
    struct mc_recent_query query = {.user_id = MC_STR("r"),
                                    .thread_id = mc_str_of(thread),
                                    .before = mc_str_of(before),
                                    .limit = limit};
    struct mc_message_list *list = NULL;
    memset(err, 0, sizeof(*err));
    enum mc_status status = mc_message_recent(engine, &query, &list, err);
    ids_of(list, ids, 512);
    return status;
}

static void test_recent(struct mc_engine *engine)
{
    static const char *const TEXTS[] = {"r1", "r2", "r3", "r4", "r5"};
    for (int i = 0; i < 5; i++) {
        struct mc_message_input input = said(TEXTS[i], "Tell me of the weather in Lisbon");
        input.user_id = MC_STR("r");
        input.created_at_us = mc_time_now_us() - (5 - i) * MC_US_PER_SECOND;
        ingest(engine, &input);
    }
    char ids[512];
    struct mc_error err;
    for (int turn = 0; turn < 2; turn++) { /* from the store, then from the cache, or both */
        is_status(recent(engine, "t", NULL, 3, ids, &err), MC_OK, &err, "recent");
        is_str(ids, "r5 r4 r3", "newest first");
        is_status(recent(engine, "t", NULL, 0, ids, &err), MC_OK, &err, "recent, no limit given");
        is_str(ids, "r5 r4 r3 r2 r1", "all five");
    }
    is_status(recent(engine, "t", "r3", 10, ids, &err), MC_OK, &err, "before one");
    is_str(ids, "r2 r1", "only older ones");
    is_status(recent(engine, "t", "r1", 10, ids, &err), MC_OK, &err, "before the first");
    is_str(ids, "", "none");
    is_status(recent(engine, "t", "m1", 10, ids, &err), MC_NOT_FOUND, &err,
              "before one of another thread");
    is_status(recent(engine, "nothing", NULL, 10, ids, &err), MC_OK, &err, "an unknown thread");
    is_str(ids, "", "is empty");
    is_status(recent(engine, "t", NULL, 1001, ids, &err), MC_INVALID, &err, "too many");
    is_str(err.field, "limit", "named");
    is_status(recent(engine, "t t", NULL, 1, ids, &err), MC_INVALID, &err, "a bad thread");
    is_str(err.field, "thread_id", "named");

    struct mc_window_query window = {
        .user_id = MC_STR("r"), .thread_id = MC_STR("t"), .max_messages = 2};
    struct mc_message_list *list = NULL;
    is_status(mc_message_window(engine, &window, &list, &err), MC_OK, &err, "a window");
    is_str(ids_of(list, ids, sizeof(ids)), "r4 r5", "oldest first");
    window.max_messages = 1001;
    is_status(mc_message_window(engine, &window, &list, &err), MC_INVALID, &err, "too wide");
    window = (struct mc_window_query){.thread_id = MC_STR("t")};
    is_status(mc_message_window(engine, &window, &list, &err), MC_INVALID, &err, "of nobody");
    is_str(err.field, "user_id", "named");
}

/* ---- Deleting ---- */

static void test_delete(struct mc_engine *engine)
{
    char ids[512];
    struct mc_error err;
    engine_drain(engine);
    is_status(mc_message_delete(engine, MC_STR("r4"), MC_STR_NONE, &err), MC_OK, &err, "deleted");
    is_status(mc_message_delete(engine, MC_STR("r4"), MC_STR_NONE, &err), MC_NOT_FOUND, &err,
              "a second time it is gone");
    is_status(mc_message_delete(engine, MC_STR("no id"), MC_STR_NONE, &err), MC_INVALID, &err,
              "a bad id");
    struct mc_message_list *list = NULL;
    is_status(mc_message_get(engine, MC_STR("r4"), MC_STR_NONE, &list, &err), MC_NOT_FOUND, &err,
              "gone by id");
    is_status(recent(engine, "t", NULL, 10, ids, &err), MC_OK, &err, "recent");
    is_str(ids, "r5 r3 r2 r1", "gone from the thread, though it was cached");
    struct mc_search_query query = {.user_id = MC_STR("r"), .text = MC_STR("lisbon weather")};
    struct mc_hit_list *hits = NULL;
    is_status(mc_search(engine, &query, &hits, &err), MC_OK, &err, "search");
    is_int(hits ? hits->count : 0, 4, "gone from the search");
    for (size_t i = 0; hits && i < hits->count; i++)
        ok(!mc_str_equal(hits->items[i].message->message_id, MC_STR("r4")), "hit %zu", i);
    mc_hit_list_free(hits);
    struct mc_message_input again = said("r4", "Another text now");
    again.user_id = MC_STR("r");
    bool created = false;
    is_status(mc_message_ingest(engine, &again, NULL, &created, &err), MC_OK, &err,
              "its id may be used again");
    is_int(created, 1, "newly");
}

static bool collect(void *context, const char *data, size_t len)
{
    mc_buf_append(context, (mc_str){data, len});
    return true;
}

static bool refuse(void *context, const char *data, size_t len)
{
    (void)data;
    return ++*(int *)context < 2 && len > 0;
}

static void test_export_and_erase(struct mc_engine *engine)
{
    struct mc_error err = {0};
    char *json = NULL;
    engine_drain(engine);
    is_status(
        mc_preferences_patch(engine, MC_STR("r"), MC_STR("{\"language\":\"pt\"}"), &json, &err),
        MC_OK, &err, "preferences");
    mc_free(json);
    mc_auto(mc_buf_fini) struct mc_buf lines;
    mc_buf_init(&lines, 1 << 20);
    is_status(mc_user_export(engine, MC_STR("r"), MC_STR_NONE, collect, &lines, &err), MC_OK, &err,
              "exported");
    int messages = 0, preferences = 0, others = 0;
    mc_str rest = mc_buf_str(&lines), line;
    while (mc_str_split(&rest, '\n', &line)) {
        if (line.len == 0)
            continue;
        struct mc_json *root = NULL;
        if (mc_json_parse(line, &root, &err))
            bail_out("a line that is no JSON: %s", err.message);
        mc_str type = mc_json_string(mc_json_get(root, "type"));
        messages += mc_str_equal(type, MC_STR("message"));
        preferences += mc_str_equal(type, MC_STR("preferences"));
        others += !mc_str_equal(json_at(root, "message.user_id")
                                    ? mc_json_string(json_at(root, "message.user_id"))
                                    : mc_json_string(mc_json_get(root, "user_id")),
                                MC_STR("r"));
        mc_json_free(root);
    }
    is_int(messages, 5, "five messages");
    is_int(preferences, 1, "the preferences");
    is_int(others, 0, "nothing of anybody else");
    int calls = 0;
    is_status(mc_user_export(engine, MC_STR("r"), MC_STR_NONE, refuse, &calls, &err), MC_CANCELLED,
              &err, "stopped");
    is_int(calls, 2, "at once");

    char ids[512];
    is_status(recent(engine, "t", NULL, 10, ids, &err), MC_OK, &err, "the cache holds the thread");
    json = NULL;
    is_status(mc_user_erase(engine, MC_STR("r"), &json, &err), MC_OK, &err, "erased");
    struct answer receipt = answer_of(json);
    is_int(answer_int(&receipt, "messages"), 5, "five messages");
    is_int(answer_int(&receipt, "threads"), 1, "one thread");
    is_int(answer_int(&receipt, "preferences"), 1, "preferences");
    is_int(answer_int(&receipt, "cached_threads"), 1, "from the cache too");
    is_int(answer_true(&receipt, "verified"), 1, "looked for and not found");
    answer_free(&receipt);
    is_status(recent(engine, "t", NULL, 10, ids, &err), MC_OK, &err, "recent");
    is_str(ids, "", "nothing is left");
    struct answer left = ANSWER(mc_preferences_get, engine, MC_STR("r"));
    is_int(mc_json_type(json_at(left.root, "language")), MC_JSON_NULL, "nor of the preferences");
    answer_free(&left);
    lines.len = 0;
    is_status(mc_user_export(engine, MC_STR("r"), MC_STR_NONE, collect, &lines, &err), MC_OK, &err,
              "exported again");
    is_int(lines.len, 0, "nothing");
    is_status(mc_user_erase(engine, MC_STR("r"), &json, &err), MC_OK, &err, "erased once more");
    receipt = answer_of(json);
    is_int(answer_int(&receipt, "messages"), 0, "there was nothing");
    answer_free(&receipt);
    struct mc_message_list *list = NULL;
    is_status(mc_message_get(engine, MC_STR("m1"), MC_STR_NONE, &list, &err), MC_OK, &err,
              "another user's messages stay");
    mc_message_list_free(list);
}

static bool count_users(void *context, mc_str user_id)
{
    mc_buf_append(context, user_id);
    mc_buf_char(context, ' ');
    return true;
}

static void test_restart(const struct scratch *scratch, struct mc_engine **engine)
{
    mc_engine_close(*engine);
    *engine = engine_open(scratch, NULL);
    struct mc_message_list *list = NULL;
    struct mc_error err = {0};
    is_status(mc_message_get(*engine, MC_STR("m1"), MC_STR_NONE, &list, &err), MC_OK, &err,
              "after a restart");
    if (list)
        is_int(list->items[0]->enrichment_state, MC_ENRICHMENT_ENRICHED, "still enriched");
    mc_message_list_free(list);
    mc_auto(mc_buf_fini) struct mc_buf users;
    mc_buf_init(&users, 1000);
    is_status(mc_user_each(*engine, count_users, &users, &err), MC_OK, &err, "users");
    is_text(mc_buf_str(&users), "j u ", "those that have something, in order");
    char *json = NULL;
    is_status(mc_user_list(*engine, MC_STR("j"), MC_STR_NONE, 0, &json, &err), MC_OK, &err, "list");
    ok(json && strstr(json, "[{\"user_id\":\"j\",\"messages\":2,") && !strstr(json, "next"),
       "of users: %s", json);
    mc_free(json);
    is_status(mc_thread_list(*engine, MC_STR("j"), MC_STR_NONE, 1, &json, &err), MC_OK, &err,
              "list");
    ok(json && strstr(json, "[{\"thread_id\":\"t\"") && strstr(json, "\"next\":\"t\""),
       "of threads: %s", json);
    mc_free(json);
    is_status(mc_user_list(*engine, MC_STR_NONE, MC_STR_NONE, 1001, &json, &err), MC_INVALID, &err,
              "too many");
    is_str(err.field, "limit", "the field");
}

/* The mode of a context whose query leaves it open is that of the configuration. */
static void test_context_mode(void)
{
    static const char *const MODES[] = {"auto", "fast", "llm"};
    for (size_t i = 0; i < mc_countof(MODES); i++) {
        struct scratch scratch;
        scratch_make(&scratch);
        struct mc_engine *engine = engine_open(&scratch, OPTIONS("context.mode", MODES[i]));
        struct mc_context_query query = {
            .user_id = MC_STR("u"), .thread_id = MC_STR("t"), .query = MC_STR("payment")};
        struct mc_context *context = NULL;
        struct mc_error err = {0};
        char want[32];
        snprintf(want, sizeof(want), "\"mode\":\"%s\"", MODES[i]);
        is_status(mc_context_assemble(engine, &query, &context, &err), MC_OK, &err, "a context");
        ok(context && memmem(context->metadata.data, context->metadata.len, want, strlen(want)),
           "the configured mode %s is used", MODES[i]);
        mc_context_free(context);
        context = NULL;
        query.mode = MC_CONTEXT_FAST;
        is_status(mc_context_assemble(engine, &query, &context, &err), MC_OK, &err, "another");
        ok(context &&
               memmem(context->metadata.data, context->metadata.len, "\"mode\":\"fast\"", 13),
           "and that of a query comes first");
        mc_context_free(context);
        mc_engine_close(engine);
        scratch_remove(&scratch);
    }
}

static void keep_warnings(void *context, enum mc_log_level level, const char *module,
                          const char *message)
{
    (void)module;
    if (level == MC_LOG_WARNING)
        mc_buf_printf(context, "%s\n", message);
}

/* An option that was set and does nothing is told; defaults are not. */
static void test_idle_options(void)
{
    struct mc_buf seen;
    mc_buf_init(&seen, 1 << 16);
    mc_log_set(keep_warnings, &seen, MC_LOG_DEBUG);
    struct scratch scratch;
    scratch_make(&scratch);
    mc_engine_close(engine_open(&scratch, NULL));
    is_text(mc_buf_str(&seen), "", "no warnings of defaults");
    mc_engine_close(engine_open(&scratch, OPTIONS("database.pool_size", "12", "enrichment.batch",
                                                  "4", "context.mode", "llm")));
    mc_log_set(NULL, NULL, MC_LOG_DEBUG);
    mc_str text = mc_buf_str(&seen);
    ok(memmem(text.data, text.len, "database.pool_size is set but has no effect", 43),
       "the pool of connections: %.*s", MC_STR_ARG(text));
    ok(memmem(text.data, text.len, "enrichment.batch is set but has no effect", 41), "the batch");
    ok(memmem(text.data, text.len, "context.mode is llm", 19), "the mode");
    ok(!memmem(text.data, text.len, "database.host", 13), "nothing else of the database");
    mc_buf_fini(&seen);
    scratch_remove(&scratch);
}

/* ---- Reads of long messages ---- */

#define LONG_COUNT 180
#define LONG_BYTES 390000 /* all of them are more than MC_READ_BYTES_MAX */

/* Has so many bytes to give, and counts what it gives. */
struct lender {
    size_t bytes, lent, asked;
};

static bool lend(void *context, size_t bytes)
{
    struct lender *lender = context;
    lender->asked++;
    if (bytes > lender->bytes - lender->lent)
        return false;
    lender->lent += bytes;
    return true;
}

static void say_long(struct mc_engine *engine)
{
    char *text = malloc(LONG_BYTES + 1);
    if (!text)
        bail_out("no memory");
    for (size_t i = 0; i < LONG_BYTES; i += 4)
        memcpy(text + i, "\xF0\x9F\x98\x80", 4);
    memcpy(text, "an invoice, ", 12);
    text[LONG_BYTES] = '\0';
    for (int i = 0; i < LONG_COUNT; i++) {
        char id[16];
        snprintf(id, sizeof(id), "long%d", i);
        say(engine, id, text);
    }
    free(text);
}

static enum mc_status recent_of(struct mc_engine *engine, size_t limit, struct lender *lender,
                                size_t *count, struct mc_error *err)
{
    const struct mc_memory memory = {lend, lender};
    struct mc_recent_query query = {
        .user_id = MC_STR("u"), .thread_id = MC_STR("t"), .limit = limit, .memory = &memory};
    struct mc_message_list *found = NULL;
    enum mc_status status = mc_message_recent(engine, &query, &found, err);
    *count = found ? found->count : 0;
    mc_message_list_free(found);
    return status;
}

static void recent_long(struct mc_engine *engine)
{
    struct mc_error err = {0};
    struct lender all = {.bytes = SIZE_MAX}, little = {.bytes = (size_t)4 << 20}, one = little;
    size_t count = 0;
    is_status(recent_of(engine, 1000, &all, &count, &err), MC_TOO_LARGE, &err, "a thousand");
    ok(strcmp(err.field, "limit") == 0 && strstr(err.message, "ask for fewer"), "are too much: %s",
       err.message);
    ok(all.lent <= MC_READ_BYTES_MAX, "not more than that was loaded");
    for (int i = 0; i < 2; i++) {
        all = (struct lender){.bytes = SIZE_MAX};
        is_status(recent_of(engine, 50, &all, &count, &err), MC_OK, &err, "fifty");
        is_int((int)count, 50, "are there");
        ok(all.lent >= (size_t)45 * LONG_BYTES && all.lent <= (size_t)60 * LONG_BYTES,
           "their bytes were asked for (%zu)", all.lent);
        is_status(recent_of(engine, 50, &little, &count, &err), MC_BUSY, &err, "and refused");
        ok(strstr(err.message, "try again") != NULL, "for now");
        is_status(recent_of(engine, 1, &one, &count, &err), MC_OK, &err, "one");
        ok(count == 1 && one.asked == 0, "asks nobody");
    }
}

static void window_long(struct mc_engine *engine)
{
    struct mc_error err = {0};
    struct lender lender = {.bytes = SIZE_MAX};
    const struct mc_memory memory = {lend, &lender};
    struct mc_window_query query = {
        .user_id = MC_STR("u"), .thread_id = MC_STR("t"), .max_messages = 1000, .memory = &memory};
    struct mc_message_list *found = NULL;
    is_status(mc_message_window(engine, &query, &found, &err), MC_OK, &err, "a window");
    is_int((int)found->count, 1, "shows the newest");
    ok(lender.lent <= (size_t)8 << 20, "and loads few others (%zu)", lender.lent);
    mc_message_list_free(found);
    query.min_importance = 1;
    lender.lent = 0;
    is_status(mc_message_window(engine, &query, &found, &err), MC_OK, &err, "one of nothing");
    is_int((int)found->count, 0, "passes all over");
    ok(lender.lent <= (size_t)16 << 20, "a page at a time (%zu)", lender.lent);
    mc_message_list_free(found);
    query.min_importance = 0;
    query.max_tokens = 1000000;
    is_status(mc_message_window(engine, &query, &found, &err), MC_OK, &err, "a large one");
    ok(found->count > 1 && found->count < LONG_COUNT, "shows more (%zu)", found->count);
    mc_message_list_free(found);
    lender = (struct lender){.bytes = 0};
    is_status(mc_message_window(engine, &query, &found, &err), MC_BUSY, &err, "without memory");
}

static void find_long(struct mc_engine *engine)
{
    struct mc_error err = {0};
    struct lender lender = {.bytes = SIZE_MAX};
    const struct mc_memory memory = {lend, &lender};
    struct mc_search_query query = {
        .user_id = MC_STR("u"), .text = MC_STR("invoice"), .limit = 1000, .memory = &memory};
    struct mc_hit_list *hits = NULL;
    is_status(mc_search(engine, &query, &hits, &err), MC_TOO_LARGE, &err, "a thousand hits");
    is_str(err.field, "limit", "are too many");
    query.limit = 20;
    is_status(mc_search(engine, &query, &hits, &err), MC_OK, &err, "twenty");
    is_int((int)hits->count, 20, "are there");
    mc_hit_list_free(hits);
    ok(lender.lent <= 2 * MC_READ_BYTES_MAX, "and all candidates are bounded (%zu)", lender.lent);
    const mc_str topic = MC_STR("invoice");
    struct mc_search_query labels = {.user_id = MC_STR("u"),
                                     .topics = &topic,
                                     .topic_count = 1,
                                     .limit = 1000,
                                     .memory = &memory};
    is_status(mc_search(engine, &labels, &hits, &err), MC_TOO_LARGE, &err, "by a topic");
    lender = (struct lender){.bytes = 0};
    is_status(mc_search(engine, &query, &hits, &err), MC_BUSY, &err, "without memory");
    struct mc_context_query asked = {.user_id = MC_STR("u"),
                                     .thread_id = MC_STR("t"),
                                     .query = MC_STR("Which invoice?"),
                                     .max_messages = 1000,
                                     .memory = &memory};
    struct mc_context *context = NULL;
    is_status(mc_context_assemble(engine, &asked, &context, &err), MC_BUSY, &err,
              "nor is a context assembled");
    lender = (struct lender){.bytes = (size_t)40 << 20};
    is_status(mc_context_assemble(engine, &asked, &context, &err), MC_OK, &err,
              "which needs less than all of it");
    ok(context->tokens > 100, "and shows something");
    mc_context_free(context);
}

static void test_long_messages(void)
{
    struct scratch scratch;
    scratch_make(&scratch);
    struct mc_engine *engine = engine_open(&scratch, NULL);
    say_long(engine);
    engine_drain(engine);
    recent_long(engine);
    window_long(engine);
    find_long(engine);
    mc_engine_close(engine);
    engine = engine_open(&scratch, OPTIONS("cache.persistent", "true", "cache.dir",
                                           scratch_path(&scratch, "cache")));
    say(engine, "after", "a short one");
    recent_long(engine);
    window_long(engine);
    mc_engine_close(engine);
    scratch_remove(&scratch);
}

/* ---- Preferences while a user is erased ---- */

struct erasing {
    struct mc_engine *engine;
    int64_t ended_us;
};

static void *erase_ann(void *context)
{
    struct erasing *erasing = context;
    struct mc_error err = {0};
    char *json = NULL;
    if (mc_user_erase(erasing->engine, MC_STR("ann"), &json, &err))
        bail_out("not erased: %s", err.message);
    mc_free(json);
    erasing->ended_us = mc_time_monotonic_us();
    return NULL;
}

static bool is_there(struct mc_engine *engine, const char *id)
{
    struct mc_error err = {0};
    struct mc_message_list *found = NULL;
    bool there = mc_message_get(engine, mc_str_of(id), MC_STR_NONE, &found, &err) != MC_NOT_FOUND;
    mc_message_list_free(found);
    return there;
}

/* Whether preferences of the user are changed long before the erasure ends, which a reader of the file draws out. */
static bool changed_meanwhile(const struct scratch *scratch, struct mc_engine *engine)
{
    struct mc_message_input input = said("ann1", "I live in Oslo.");
    input.user_id = MC_STR("ann");
    ingest(engine, &input);
    sqlite3 *reader = NULL;
    if (sqlite3_open(scratch_path(scratch, "e.db"), &reader) ||
        sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM messages", NULL, NULL, NULL))
        bail_out("no reader");
    struct erasing erasing = {.engine = engine};
    struct mc_error err = {0};
    pthread_t thread;
    if (mc_thread_start(&thread, "erase", erase_ann, &erasing, &err))
        bail_out("no thread: %s", err.message);
    while (is_there(engine, "ann1"))
        continue;
    char *json = NULL;
    if (mc_preferences_patch(engine, MC_STR("ann"), MC_STR("{\"language\":\"no\"}"), &json, &err))
        bail_out("not changed: %s", err.message);
    mc_free(json);
    int64_t changed_us = mc_time_monotonic_us();
    mc_thread_join(thread);
    sqlite3_close(reader);
    return erasing.ended_us - changed_us > MC_US_PER_SECOND / 2;
}

/* On a busy machine it may take longer once. */
static void test_preferences_while_erasing(void)
{
    struct scratch scratch;
    scratch_make(&scratch);
    struct mc_engine *engine = engine_open(&scratch, NULL);
    bool meanwhile = false;
    for (int i = 0; i < 10 && !meanwhile; i++)
        meanwhile = changed_meanwhile(&scratch, engine);
    ok(meanwhile, "preferences are changed while an erasure wipes the file");
    mc_engine_close(engine);
    scratch_remove(&scratch);
}

int main(void)
{
    test_open_errors();
    test_facts();
    struct scratch scratch;
    scratch_make(&scratch);
    struct mc_engine *engine = engine_open(&scratch, NULL);
    test_ingest(engine);
    test_batch(engine);
    test_json(engine);
    test_get(engine);
    test_recent(engine);
    test_delete(engine);
    test_export_and_erase(engine);
    test_restart(&scratch, &engine);
    mc_engine_close(engine);
    scratch_remove(&scratch);
    test_context_mode();
    test_idle_options();
    test_long_messages();
    test_preferences_while_erasing();
    return done_testing();
}
