/* The engine with a model: contexts, preferences that a model changes, token counts, summaries. */
#include "tap.h"

#include "base/str.h"
#include "engine/engine.h"
#include "support/engine.h"
#include "support/fake_llm.h"

static void give_model(struct mc_engine *engine, struct mc_llm *llm)
{
    engine->llm = llm;
    engine->retrieval.llm = llm;
}

static struct mc_context *assemble(struct mc_engine *engine, const char *query, const char *agent)
{
    struct mc_context *context = NULL;
    struct mc_error err = {0};
    struct mc_context_query q = {.user_id = MC_STR("u"),
                                 .thread_id = MC_STR("new"),
                                 .query = mc_str_of(query),
                                 .agent_id = mc_str_of(agent),
                                 .mode = MC_CONTEXT_LLM};
    if (mc_context_assemble(engine, &q, &context, &err))
        bail_out("%s", err.message);
    return context;
}

static const char CALLS[] =
    "{\"calls\":[{\"tool\":\"update_user_preference\",\"field\":\"language\",\"value\":\"French\","
    "\"action\":\"set\"},{\"tool\":\"update_user_preference\",\"field\":\"interests\",\"value\":"
    "\"chess\",\"action\":\"add\"},{\"tool\":\"update_user_preference\",\"field\":"
    "\"communication_style\",\"value\":\"rude\",\"action\":\"set\"}],\"relevant\":[],"
    "\"key_points\":[]}";
static const char DONE[] = "{\"calls\":[],\"relevant\":[1],\"key_points\":[]}";
static const char QUERY[] = "In French please, about chess, and be rude";

static void push(struct mc_fake_llm *fake, const char *json)
{
    mc_fake_llm_push(fake, &(struct mc_fake_answer){.json = json});
}

static void test_preferences(void)
{
    struct scratch scratch;
    scratch_make(&scratch);
    struct mc_engine *engine = engine_open(&scratch, NULL);
    struct mc_fake_llm *fake = mc_fake_llm_new(NULL);
    say(engine, "m1", "We spoke of chess and of the weather in Paris.");
    engine_drain(engine);
    is_int(mc_token_count(engine, MC_STR("a text of twenty ch.")),
           mc_tokens_estimate(MC_STR("a text of twenty ch.")), "without a model: the estimate");
    give_model(engine, mc_fake_llm(fake));
    is_int(mc_token_count(engine, MC_STR("a text of twenty ch.")), 5, "with one: its count");
    push(fake, CALLS);
    push(fake, DONE);
    struct mc_context *context = assemble(engine, QUERY, NULL);
    ok(strstr(context->metadata.data, "\"method\":\"llm\""), "the model chose");
    ok(strstr(context->metadata.data, "must be concise, balanced or detailed"),
       "what the preferences refuse is told: %s", context->metadata.data);
    mc_context_free(context);
    struct answer now = ANSWER(mc_preferences_get, engine, MC_STR("u"));
    is_text(mc_json_string(json_at(now.root, "language")), "French", "a text");
    is_text(mc_json_string(mc_json_at(json_at(now.root, "interests"), 0)), "chess", "a list");
    is_int(mc_json_type(json_at(now.root, "communication_style")), MC_JSON_NULL, "not what is bad");
    answer_free(&now);
    give_model(engine, NULL);
    mc_fake_llm(fake)->ops->close(mc_fake_llm(fake));
    mc_engine_close(engine);
    scratch_remove(&scratch);
}

static void test_agents(void)
{
    struct scratch scratch;
    scratch_make(&scratch);
    struct mc_engine *engine =
        engine_open(&scratch, OPTIONS("multi_agent.enabled", "true", "multi_agent.mode", "shared"));
    struct mc_fake_llm *fake = mc_fake_llm_new(NULL);
    for (int i = 0; i < 2; i++) {
        char *json = NULL;
        struct mc_error err = {0};
        struct mc_agent_input agent = {.agent_id = i ? MC_STR("beta") : MC_STR("alpha"),
                                       .name = MC_STR("an agent")};
        if (mc_agent_register(engine, &agent, &json, &err))
            bail_out("%s", err.message);
        mc_free(json);
    }
    struct mc_message_input input = said("m1", "The secret of beta is chess with BETASECRET.");
    input.agent_id = MC_STR("beta");
    ingest(engine, &input);
    engine_drain(engine);
    give_model(engine, mc_fake_llm(fake));
    push(fake, CALLS);
    push(fake, "{\"calls\":[{\"tool\":\"search_history\",\"query\":\"secret chess\",\"limit\":5}],"
               "\"relevant\":[1],\"key_points\":[]}");
    push(fake, DONE);
    struct mc_context *context = assemble(engine, QUERY, "alpha");
    ok(!strstr(context->assembled_context.data, "BETASECRET"), "not in the text");
    for (int i = 0; i < 3; i++)
        ok(!strstr(mc_fake_llm_turn(fake, i), "BETASECRET"), "nor in what the model reads");
    mc_context_free(context);
    struct answer now = ANSWER(mc_preferences_get, engine, MC_STR("u"));
    is_int(mc_json_type(json_at(now.root, "language")), MC_JSON_NULL,
           "an agent's request changes no preference");
    answer_free(&now);
    give_model(engine, NULL);
    mc_fake_llm(fake)->ops->close(mc_fake_llm(fake));
    mc_engine_close(engine);
    scratch_remove(&scratch);
}

static bool count_line(void *context, const char *data, size_t len)
{
    static const char method[] = "\"method\":\"llm:fake-1\"";
    *(int *)context += memmem(data, len, "Chess was discussed", 19) != NULL &&
                       memmem(data, len, method, sizeof(method) - 1) != NULL;
    return true;
}

static void test_summary(void)
{
    struct scratch scratch;
    scratch_make(&scratch);
    struct mc_engine *engine = engine_open(
        &scratch, OPTIONS("retention.schedule", "off", "retention.summarize_after_messages", "2"));
    struct mc_fake_llm *fake = mc_fake_llm_new(NULL);
    say(engine, "m1", "We discussed chess.");
    say(engine, "m2", "We discussed chess again.");
    say(engine, "m3", "We discussed chess a third time.");
    engine_drain(engine);
    give_model(engine, mc_fake_llm(fake));
    push(fake, "{\"summary\":\"Chess was discussed three times.\",\"key_facts\":[]}");
    struct answer run = ANSWER(mc_tiers_migrate, engine, MC_STR_NONE, false, NULL, NULL);
    is_int(answer_int(&run, "threads_summarized"), 1, "a summary");
    answer_free(&run);
    int lines = 0;
    struct mc_error err = {0};
    is_status(mc_user_export(engine, MC_STR("u"), MC_STR_NONE, count_line, &lines, &err), MC_OK,
              &err, "exported");
    is_int(lines, 1, "the model's, which says so");

    struct answer list = ANSWER(mc_user_summaries, engine, MC_STR("u"), MC_STR_NONE, 0);
    const struct mc_json *summaries = mc_json_get(list.root, "summaries");
    is_int(mc_json_count(summaries), 1, "one thread has a summary");
    const struct mc_json *summary = mc_json_at(summaries, 0);
    ok(mc_str_equal(mc_json_string(mc_json_get(summary, "summary")),
                    MC_STR("Chess was discussed three times.")),
       "its text");
    ok(mc_str_equal(mc_json_string(mc_json_get(summary, "user_id")), MC_STR("u")), "its user");
    answer_free(&list);
    list = ANSWER(mc_user_summaries, engine, MC_STR("nobody"), MC_STR_NONE, 1000);
    is_int(mc_json_count(mc_json_get(list.root, "summaries")), 0, "another user has none");
    answer_free(&list);
    char *untouched = NULL;
    is_int(mc_user_summaries(engine, MC_STR("u"), MC_STR_NONE, 1001, &untouched, &err), MC_INVALID,
           "more than a thousand");
    is_str(err.field, "limit", "are too many");
    is_int(mc_user_summaries(engine, MC_STR(""), MC_STR_NONE, 1, &untouched, &err), MC_INVALID,
           "a user without a name");
    ok(!untouched, "and nothing is given");
    give_model(engine, NULL);
    mc_fake_llm(fake)->ops->close(mc_fake_llm(fake));
    mc_engine_close(engine);
    scratch_remove(&scratch);
}

int main(void)
{
    test_preferences();
    test_agents();
    test_summary();
    return done_testing();
}
