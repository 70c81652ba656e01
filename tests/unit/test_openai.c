/* Calls through an OpenAI-compatible service, against a scripted one. */
#include "tap.h"

#include <stdatomic.h>

#include <mindcore/engine.h>

#include "base/compiler.h"
#include "base/json.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"
#include "llm/openai.h"
#include "llm/openai_provider.h"
#include "support/scratch.h"
#include "support/script_model.h"

#define MS MC_US_PER_MS
#define KEY "sk-sesame-4711"
#define CALLS_MAX 64

static struct script_server *server;
static struct mc_schema *schema;
static char base_url[64];
static atomic_int secrets_seen;
static atomic_int lines_logged;

/* Every text that people may come to see passes here. */
static void look_for_secret(const char *text)
{
    if (text && strstr(text, "sesame"))
        atomic_fetch_add(&secrets_seen, 1);
}

static void take_log(void *context, enum mc_log_level level, const char *module,
                     const char *message)
{
    (void)context;
    (void)level;
    (void)module;
    atomic_fetch_add(&lines_logged, 1);
    look_for_secret(message);
}

static struct mc_openai_options options_of(void)
{
    return (struct mc_openai_options){.api_key = KEY,
                                      .base_url = base_url,
                                      .model = "gpt-test",
                                      .timeout_us = 20 * MC_US_PER_SECOND,
                                      .max_retries = 2,
                                      .batch = 8,
                                      .in_flight = 2,
                                      .price_in = 10,
                                      .price_out = 100};
}

static struct mc_llm *open_llm(const struct mc_openai_options *options)
{
    struct mc_openai_options defaults = options_of();
    struct mc_llm *llm = NULL;
    struct mc_error err = {0};
    if (mc_openai_open(options ? options : &defaults, &llm, &err) != MC_OK)
        bail_out("not opened: %s", err.message);
    return llm;
}

/* Calls over one text each, and their outcome. */
struct asked {
    struct mc_llm_call calls[CALLS_MAX];
    struct mc_llm_turn turns[CALLS_MAX];
    char texts[CALLS_MAX][32];
    size_t count;
    struct mc_arena arena;
    int64_t took_us;
};

static void prepare(struct asked *asked, size_t count, bool joinable)
{
    *asked = (struct asked){.count = count};
    mc_arena_init(&asked->arena, (size_t)64 * 1024 * 1024);
    for (size_t i = 0; i < count; i++) {
        snprintf(asked->texts[i], sizeof(asked->texts[i]), "text %zu", i);
        asked->turns[i].text = mc_str_of(asked->texts[i]);
        asked->calls[i] = (struct mc_llm_call){.operation = MC_LLM_ENRICH,
                                               .system = MC_STR("Name the topic."),
                                               .turns = &asked->turns[i],
                                               .turn_count = 1,
                                               .schema = schema,
                                               .max_tokens = 50,
                                               .joinable = joinable};
    }
}

static void generate(struct mc_llm *llm, struct asked *asked, const struct mc_llm_wait *wait)
{
    static const struct mc_llm_wait no_wait;
    struct mc_llm_state state;
    int64_t start_us = mc_time_monotonic_us();
    llm->ops->generate(llm, asked->calls, asked->count, wait ? wait : &no_wait, &asked->arena);
    asked->took_us = mc_time_monotonic_us() - start_us;
    for (size_t i = 0; i < asked->count; i++)
        look_for_secret(asked->calls[i].error.message);
    if (llm->ops->describe(llm, &state, 1) != 1)
        bail_out("no state");
    look_for_secret(state.detail);
    look_for_secret(state.last_error);
}

static void forget(struct asked *asked)
{
    mc_arena_fini(&asked->arena);
}

/* How many calls have their own answer. */
static size_t count_good(const struct asked *asked)
{
    size_t good = 0;
    for (size_t i = 0; i < asked->count; i++) {
        char want[64];
        snprintf(want, sizeof(want), "{\"topic\":\"%s\"}", asked->texts[i]);
        good +=
            asked->calls[i].status == MC_OK && mc_str_equal(asked->calls[i].answer, mc_str_of(want))
                ? 1
                : 0;
    }
    return good;
}

static struct mc_llm_usage sum_usage(const struct asked *asked)
{
    struct mc_llm_usage sum = {0};
    for (size_t i = 0; i < asked->count; i++)
        mc_llm_usage_add(&sum, &asked->calls[i].usage);
    return sum;
}

static void serve(struct script_model *model)
{
    script_server_always(server,
                         (struct script_answer){.build = script_model_answer, .context = model});
}

static struct mc_json *request_json(size_t number)
{
    struct mc_json *json = NULL;
    if (mc_json_parse(mc_str_of(script_server_request(server, number)->body), &json, NULL) != MC_OK)
        bail_out("request %zu is no JSON", number);
    return json;
}

static void test_single(void)
{
    struct script_model model = {0};
    struct mc_llm *llm = open_llm(NULL);
    struct mc_llm_turn turns[3] = {
        {false, MC_STR("first")}, {true, MC_STR("{\"x\":1}")}, {false, MC_STR("text 0")}};
    struct asked asked;
    serve(&model);
    prepare(&asked, 1, true);
    asked.calls[0].turns = turns;
    asked.calls[0].turn_count = 3;
    generate(llm, &asked, NULL);
    const struct mc_llm_call *call = &asked.calls[0];
    is_status(call->status, MC_OK, &call->error, "answered");
    is_text(call->answer, "{\"topic\":\"text 0\"}", "the answer");
    is_str(call->error.message, "", "no error");
    is_str(call->provider, "openai", "the provider");
    is_text(call->model, SCRIPT_MODEL_NAME, "the model, as the service names it");
    is_double(call->confidence, -1, 0, "no confidence");
    is_int(call->usage.calls, 1, "one request");
    is_int(call->usage.failures, 0, "no failure");
    is_int(call->usage.tokens_in, 101, "tokens in");
    is_int(call->usage.tokens_cached, 64, "of them cached");
    is_int(call->usage.tokens_out, 17, "tokens out");
    is_double(call->usage.cost_usd, (101 * 10 + 17 * 100) / 1e6, 1e-12, "the cost");
    ok(call->usage.took_us > 0 && !call->no_attempt && !call->truncated, "the rest");
    mc_auto(mc_json_free_ptr) struct mc_json *sent = request_json(0);
    const struct mc_json *messages = mc_json_get(sent, "messages");
    is_text(mc_json_string(mc_json_get(sent, "model")), "gpt-test", "the model asked for");
    is_int(mc_json_count(messages), 4, "system and turns");
    is_text(mc_json_string(mc_json_get(mc_json_at(messages, 0), "content")), "Name the topic.",
            "the system text as it is");
    is_text(mc_json_string(mc_json_get(mc_json_at(messages, 2), "role")), "assistant", "a role");
    is_text(mc_json_string(mc_json_get(mc_json_at(messages, 3), "content")), "text 0", "a turn");
    ok(mc_json_type(mc_json_get(sent, "temperature")) == MC_JSON_INTEGER &&
           mc_json_integer(mc_json_get(sent, "temperature")) == 0,
       "temperature 0");
    is_int(mc_json_integer(mc_json_get(sent, "max_tokens")), 50, "max_tokens");
    mc_auto(mc_buf_fini) struct mc_buf text;
    mc_buf_init(&text, 10000);
    mc_json_dump(mc_json_get(sent, "response_format"), &text);
    is_text(mc_buf_str(&text),
            "{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"answer\",\"strict\":true,"
            "\"schema\":" SCRIPT_MODEL_SCHEMA "}}",
            "the shape");
    const char *head = script_server_request(server, 0)->head;
    ok(strstr(head, "\r\nAuthorization: Bearer " KEY "\r\n"), "the key");
    ok(strncmp(head, "POST /v1/chat/completions ", 26) == 0, "the path");
    struct mc_llm_state state;
    is_int(llm->ops->describe(llm, &state, 1), 1, "one provider");
    ok(strcmp(state.state, "ready") == 0 && state.latency_us > 0 && state.tokens_out_per_s > 0 &&
           state.total.calls == 1 && state.parallel == 16 && state.last_error[0] == '\0',
       "its state");
    llm->ops->close(llm);
    forget(&asked);
    script_server_clear(server);
}

static void test_joined(void)
{
    struct script_model model = {0};
    struct mc_openai_options options = options_of();
    options.batch = 4;
    struct mc_llm *llm = open_llm(&options);
    struct asked asked;
    serve(&model);
    prepare(&asked, 10, true);
    generate(llm, &asked, NULL);
    is_int(count_good(&asked), 10, "each call has its own answer");
    is_int(script_server_requests(server), 3, "10 calls in 3 requests");
    struct mc_llm_usage sum = sum_usage(&asked);
    is_int(sum.calls, 3, "the shares of requests add up");
    is_int(sum.tokens_in, 303, "so do tokens in");
    is_int(sum.tokens_cached, 192, "those cached");
    is_int(sum.tokens_out, 51, "and tokens out");
    is_double(sum.cost_usd, (303 * 10 + 51 * 100) / 1e6, 1e-9, "and the cost");
    ok(asked.calls[0].usage.tokens_in == 26 && asked.calls[3].usage.tokens_in == 25,
       "shares are equal but for what cannot be parted");
    ok(asked.calls[0].usage.calls == 1 && asked.calls[0].usage.took_us > 0 &&
           asked.calls[1].usage.calls == 0 && asked.calls[1].usage.took_us == 0,
       "a request's time stays with its count");
    mc_auto(mc_json_free_ptr) struct mc_json *sent = request_json(0);
    mc_auto(mc_buf_fini) struct mc_buf text;
    mc_buf_init(&text, 10000);
    mc_json_dump(mc_json_get(mc_json_get(sent, "response_format"), "json_schema"), &text);
    ok(strstr(text.data, "\"result\":" SCRIPT_MODEL_SCHEMA), "the shape is wrapped: %s", text.data);
    const struct mc_json *system = mc_json_at(mc_json_get(sent, "messages"), 0);
    ok(mc_str_starts(mc_json_string(mc_json_get(system, "content")), MC_STR("Name the topic.")),
       "the system text comes first, so that it stays in the service's cache");
    llm->ops->close(llm);
    forget(&asked);
    script_server_clear(server);
}

/* What must not go together does not. */
static void test_apart(void)
{
    struct script_model model = {0};
    struct mc_llm *llm = open_llm(NULL);
    struct mc_schema *other = NULL;
    struct mc_error err = {0};
    struct asked asked;
    is_status(mc_schema_new(MC_STR(SCRIPT_MODEL_SCHEMA), &other, &err), MC_OK, &err, "schema");
    serve(&model);
    prepare(&asked, 5, true);
    asked.calls[1].system = MC_STR("Another.");
    asked.calls[2].schema = other;
    asked.calls[3].joinable = false;
    asked.calls[4].operation = MC_LLM_SUMMARY;
    generate(llm, &asked, NULL);
    is_int(count_good(&asked), 5, "all answered");
    is_int(script_server_requests(server), 5, "one by one");
    ok(script_server_most_at_once(server) <= 2, "no more at once than in_flight");
    forget(&asked);
    script_server_clear(server);
    serve(&model);
    static char large[30000];
    memset(large, 'x', sizeof(large));
    prepare(&asked, 4, true);
    for (size_t i = 0; i < 4; i++)
        asked.turns[i].text = (mc_str){large, sizeof(large)};
    generate(llm, &asked, NULL);
    is_int(script_server_requests(server), 4, "long texts go alone");
    llm->ops->close(llm);
    mc_schema_free(other);
    forget(&asked);
    script_server_clear(server);
}

static void test_items(void)
{
    static const struct {
        const char *what;
        struct script_model model;
        size_t requests;
    } cases[] = {
        {"an item left out", {.drop = "3"}, 2},
        {"an item twice", {.twice = "1"}, 2},
        {"an unknown id", {.rename = "2"}, 2},
        {"ids as numbers", {.numbers = true}, 1},
        {"a fence", {.fence = true}, 1},
        {"garbage for all", {.content = "I cannot do that", .content_once = true}, 6},
        {"no results", {.content = "{\"answers\":[]}", .content_once = true}, 6},
        {"results of no use",
         {.content = "{\"results\":[1,{\"id\":{}},{\"id\":\"1\",\"result\":7},{\"id\":-1},"
                     "{\"id\":\"2\"},null,{\"id\":99999999999,\"result\":{}}]}",
          .content_once = true},
         6},
    };
    for (size_t i = 0; i < mc_countof(cases); i++) {
        struct script_model model = cases[i].model;
        struct mc_llm *llm = open_llm(NULL);
        struct asked asked;
        serve(&model);
        prepare(&asked, 5, true);
        generate(llm, &asked, NULL);
        is_int(count_good(&asked), 5, "%s: all answered", cases[i].what);
        is_int(script_server_requests(server), cases[i].requests, "%s: requests", cases[i].what);
        is_int(sum_usage(&asked).calls, cases[i].requests, "%s: counted", cases[i].what);
        llm->ops->close(llm);
        forget(&asked);
        script_server_clear(server);
    }
}

static enum mc_status accept_other(const void *context, mc_str answer, struct mc_error *err)
{
    if (!mc_str_equal(answer, mc_str_of(context)))
        return MC_OK;
    err->status = MC_INVALID;
    snprintf(err->message, sizeof(err->message), "not this one");
    return MC_INVALID;
}

static void test_accept(void)
{
    struct script_model model = {0};
    struct mc_llm *llm = open_llm(NULL);
    struct asked asked;
    serve(&model);
    prepare(&asked, 4, true);
    for (size_t i = 0; i < 4; i++) {
        asked.calls[i].accept = accept_other;
        asked.calls[i].accept_context = "{\"topic\":\"text 2\"}";
    }
    generate(llm, &asked, NULL);
    is_int(count_good(&asked), 3, "the others keep their answers");
    is_status(asked.calls[2].status, MC_INVALID, &asked.calls[2].error, "refused twice");
    is_str(asked.calls[2].error.message, "not this one", "it says why");
    is_int(script_server_requests(server), 2, "asked once more, alone");
    ok(!asked.calls[2].provider && !asked.calls[2].no_attempt, "the outcome of a failure");
    llm->ops->close(llm);
    forget(&asked);
    script_server_clear(server);
}

/* Bodies of 200 that are of no use: asked again once, then MC_INVALID. */
static void test_garbage(void)
{
    static const char *const bodies[] = {
        "",
        "<html>hello</html>",
        "{\"choices\":[]}",
        "{\"choices\":{\"a\":1}}",
        "{\"choices\":[7]}",
        "[1,2,3]",
        "null",
        "{\"choices\":[{\"message\":{\"content\":null}}]}",
        "{\"choices\":[{\"message\":{\"content\":[\"x\"]}}]}",
        "{\"choices\":[{\"message\":\"x\"}]}",
        "{\"choices\":[{\"message\":{\"content\":\"\"}}]}",
        "{\"choices\":[{\"message\":{\"content\":\"[]\"}}]}",
        "{\"choices\":[{\"message\":{\"content\":\"7\"}}]}",
        "{\"choices\":[{\"message\":{\"content\":\"{\\\"a\\\":1} and more\"}}]}",
        "{\"choices\":[{\"message\":{\"content\":\"{\\\"a\\\":1,\\\"a\\\":2}\"}}]}",
        "{\"choices\":[{\"message\":{\"content\":\"```\"}}]}",
        "{\"choices\":[{\"message\":{\"content\":\"```json\\n```\"}}]}",
        "{\"choices\":[{\"message\":{\"content\":\"{\\\"a\\\":\\\"\xff\\\"}\"}}]}",
        "{\"choices\":[{\"message\":{\"content\":\"{}\"},\"finish_reason\":3}],\"usage\":7",
    };
    struct mc_llm *llm = open_llm(NULL);
    for (size_t i = 0; i < mc_countof(bodies); i++) {
        struct asked asked;
        script_server_always(server, (struct script_answer){.body = bodies[i]});
        prepare(&asked, 1, true);
        generate(llm, &asked, NULL);
        is_status(asked.calls[0].status, MC_INVALID, &asked.calls[0].error, "%s: %s", bodies[i],
                  asked.calls[0].error.message);
        is_int(script_server_requests(server), 2, "asked twice");
        is_int(asked.calls[0].usage.failures, 2, "both counted as failed");
        forget(&asked);
        script_server_clear(server);
    }
    struct asked asked;
    script_server_always(server,
                         (struct script_answer){
                             .body = "{\"choices\":[{\"message\":{\"content\":\"{\\\"a\\\":1}\"},"
                                     "\"finish_reason\":3}],\"usage\":{\"prompt_tokens\":-5,"
                                     "\"completion_tokens\":\"x\",\"prompt_tokens_details\":[]}}"});
    prepare(&asked, 1, false);
    generate(llm, &asked, NULL);
    is_text(asked.calls[0].answer, "{\"a\":1}", "wrong types beside the answer are no matter");
    ok(asked.calls[0].usage.tokens_in == 0 && asked.calls[0].usage.tokens_out == 0,
       "no tokens from them");
    is_text(asked.calls[0].model, "gpt-test", "the model asked for, where none is named");
    forget(&asked);
    llm->ops->close(llm);
    script_server_clear(server);
}

static char *cut_answer(void *context, const struct script_request *request, int *code)
{
    (void)context;
    (void)request;
    (void)code;
    return script_model_completion(MC_STR("{\"topic\":\"te"), "length");
}

static void test_cut(void)
{
    struct script_model model = {0};
    struct mc_llm *llm = open_llm(NULL);
    struct asked asked;
    script_server_add(server, (struct script_answer){.build = cut_answer});
    serve(&model);
    prepare(&asked, 1, true);
    generate(llm, &asked, NULL);
    is_int(count_good(&asked), 1, "a cut answer is asked for again");
    mc_auto(mc_json_free_ptr) struct mc_json *again = request_json(1);
    is_int(mc_json_integer(mc_json_get(again, "max_tokens")), 100, "with twice the tokens");
    is_int(asked.calls[0].usage.tokens_out, 34, "the tokens of both count");
    forget(&asked);
    script_server_clear(server);
    script_server_always(server, (struct script_answer){.build = cut_answer});
    prepare(&asked, 3, true);
    generate(llm, &asked, NULL);
    is_int(script_server_requests(server), 4, "each of several once alone");
    for (size_t i = 0; i < 3; i++)
        is_status(asked.calls[i].status, MC_INVALID, &asked.calls[i].error, "then it is invalid");
    forget(&asked);
    llm->ops->close(llm);
    script_server_clear(server);
}

static void test_refusal(void)
{
    struct mc_llm *llm = open_llm(NULL);
    struct asked asked;
    script_server_always(
        server,
        (struct script_answer){
            .body = "{\"choices\":[{\"message\":{\"content\":null,\"refusal\":\"Not about " KEY
                    "\"},\"finish_reason\":\"stop\"}]}"});
    prepare(&asked, 1, true);
    generate(llm, &asked, NULL);
    is_status(asked.calls[0].status, MC_INVALID, &asked.calls[0].error, "the model refuses");
    ok(strstr(asked.calls[0].error.message, "Not about ***"), "it says why: %s",
       asked.calls[0].error.message);
    is_int(script_server_requests(server), 1, "and is not asked again");
    forget(&asked);
    llm->ops->close(llm);
    script_server_clear(server);
}

/* A text that is cut somewhere still says something, and nothing of the key. */
static void test_long_reasons(void)
{
    for (size_t i = 0; i < 2; i++) {
        struct mc_llm *llm = open_llm(NULL);
        struct mc_buf body;
        struct asked asked;
        mc_buf_init(&body, 10000);
        mc_buf_text(&body, i == 0 ? "{\"error\":{\"message\":\"Why"
                                  : "{\"choices\":[{\"message\":{\"refusal\":\"Why");
        for (int k = 0; k < (i == 0 ? 242 : 600); k++)
            mc_buf_char(&body, ' ' + (k & 1));
        mc_buf_text(&body, i == 0 ? KEY "\"}}" : KEY "\"}}]}");
        script_server_always(server,
                             (struct script_answer){.code = i == 0 ? 400 : 200, .body = body.data});
        prepare(&asked, 1, true);
        generate(llm, &asked, NULL);
        is_status(asked.calls[0].status, MC_INVALID, &asked.calls[0].error, "refused");
        ok(strstr(asked.calls[0].error.message, ": Why"),
           "a long reason is told as far as it goes");
        is_text(asked.calls[0].model, "gpt-test", "and of which model");
        forget(&asked);
        mc_buf_fini(&body);
        llm->ops->close(llm);
        script_server_clear(server);
    }
}

/* What stands beside an answer may be anything; sums of numbers must be numbers still. */
static void test_odd_facts(void)
{
    struct mc_llm *llm = open_llm(NULL);
    struct mc_llm_state state;
    script_server_always(
        server,
        (struct script_answer){
            .body = "{\"model\":\" m\\u001b[2J\\n1 \","
                    "\"choices\":[{\"message\":{\"content\":\"{\\\"topic\\\":\\\"t\\\"}\"}}],"
                    "\"usage\":{\"prompt_tokens\":9223372036854775807,"
                    "\"completion_tokens\":9223372036854775807,"
                    "\"prompt_tokens_details\":{\"cached_tokens\":9223372036854775807}}}"});
    for (int i = 0; i < 2; i++) {
        struct asked asked;
        prepare(&asked, 1, true);
        generate(llm, &asked, NULL);
        is_status(asked.calls[0].status, MC_OK, &asked.calls[0].error, "answered");
        is_text(asked.calls[0].model, "m [2J 1", "a model's name is one line");
        forget(&asked);
    }
    llm->ops->describe(llm, &state, 1);
    ok(state.total.tokens_in > 0 && state.total.tokens_out > 0, "sums stay sums");
    llm->ops->close(llm);
    script_server_clear(server);
}

/* Codes that another try does not help. */
static void test_codes(void)
{
    static const struct {
        int code;
        const char *body;
        enum mc_status status;
        const char *says;
    } cases[] = {
        {401, "{\"error\":{\"message\":\"bad key " KEY "\"}}", MC_UNAUTHENTICATED,
         "check OPENAI_API_KEY"},
        {403, "{\"error\":\"no " KEY "\"}", MC_UNAUTHENTICATED, "no ***"},
        {404, "{\"error\":{\"message\":\"gone\"}}", MC_CONFIG, "'gpt-test'"},
        {404, "<h1>" KEY "</h1>", MC_CONFIG, "/v1"},
        {302, "", MC_CONFIG, "llm.openai.base_url"},
        {402, "{\"message\":\"pay " KEY "\"}", MC_CONFIG, "pay ***"},
        {400, "{\"error\":{\"message\":\"odd " KEY "\"}}", MC_INVALID, "odd ***"},
        {422, "{\"detail\":[{\"loc\":[\"body\",\"n\"],\"msg\":\"bad\"}]}", MC_INVALID,
         "body, n, bad"},
        {400, KEY "\xff\xfe", MC_INVALID, "***"},
        {413, "", MC_TOO_LARGE, "context"},
        {429, "{\"error\":{\"message\":\"pay\",\"code\":\"insufficient_quota\"}}", MC_RATE_LIMITED,
         "429"},
    };
    for (size_t i = 0; i < mc_countof(cases); i++) {
        struct mc_llm *llm = open_llm(NULL);
        struct mc_llm_state state;
        struct asked asked;
        script_server_always(server,
                             (struct script_answer){.code = cases[i].code, .body = cases[i].body});
        prepare(&asked, 1, true);
        generate(llm, &asked, NULL);
        is_status(asked.calls[0].status, cases[i].status, &asked.calls[0].error, "%d",
                  cases[i].code);
        ok(strstr(asked.calls[0].error.message, cases[i].says), "%d says '%s': %s", cases[i].code,
           cases[i].says, asked.calls[0].error.message);
        is_int(script_server_requests(server), 1, "no other try");
        ok(!asked.calls[0].no_attempt && asked.calls[0].usage.failures == 1, "one failed request");
        llm->ops->describe(llm, &state, 1);
        bool person = cases[i].status == MC_UNAUTHENTICATED || cases[i].status == MC_CONFIG;
        is_str(state.state, person ? "failed" : "ready", "the state");
        ok(state.last_error[0] && state.last_error_us > 0, "the last error");
        llm->ops->close(llm);
        forget(&asked);
        script_server_clear(server);
    }
}

static void test_retries(void)
{
    struct script_model model = {0};
    struct mc_llm *llm = open_llm(NULL);
    struct asked asked;
    script_server_add(server,
                      (struct script_answer){.code = 503, .body = "busy", .end = SCRIPT_CLOSE});
    script_server_add(server, (struct script_answer){.end = SCRIPT_RESET});
    serve(&model);
    prepare(&asked, 3, true);
    generate(llm, &asked, NULL);
    is_int(count_good(&asked), 3, "the third try succeeds");
    struct mc_llm_usage sum = sum_usage(&asked);
    ok(sum.calls == 3 && sum.failures == 2, "three requests, two failed");
    int64_t first_us =
        script_server_request(server, 1)->at_us - script_server_request(server, 0)->at_us;
    int64_t second_us =
        script_server_request(server, 2)->at_us - script_server_request(server, 1)->at_us;
    ok(first_us >= 250 * MS, "first after 0.25 to 0.5 s (%d ms)", (int)(first_us / MS));
    ok(second_us >= 500 * MS, "then after 0.5 to 1 s (%d ms)", (int)(second_us / MS));
    forget(&asked);
    script_server_clear(server);
    script_server_always(server, (struct script_answer){.code = 500, .body = "oh"});
    prepare(&asked, 1, true);
    generate(llm, &asked, NULL);
    is_status(asked.calls[0].status, MC_UNAVAILABLE, &asked.calls[0].error, "no try is left");
    is_int(script_server_requests(server), 3, "two tries after the first");
    ok(mc_llm_may_pass(asked.calls[0].status) &&
           asked.calls[0].retry_at_us >= script_server_request(server, 2)->at_us + 1000 * MS,
       "later it may succeed");
    forget(&asked);
    llm->ops->close(llm);
    script_server_clear(server);
}

static char *fail_for_one(void *context, const struct script_request *request, int *code)
{
    if (!strstr(request->body, "text 2"))
        return script_model_answer(context, request, code);
    *code = 500;
    return strdup("{\"error\":{\"message\":\"cannot\"}}");
}

/* One item for which the server fails does not take the others along. */
static void test_poison(void)
{
    struct script_model model = {0};
    struct mc_openai_options options = options_of();
    options.max_retries = 1;
    struct mc_llm *llm = open_llm(&options);
    struct asked asked;
    script_server_always(server, (struct script_answer){.build = fail_for_one, .context = &model});
    prepare(&asked, 4, true);
    generate(llm, &asked, NULL);
    is_int(count_good(&asked), 3, "the others are answered");
    is_status(asked.calls[2].status, MC_UNAVAILABLE, &asked.calls[2].error, "the one is not");
    is_int(script_server_requests(server), 6, "twice together, then one by one");
    llm->ops->close(llm);
    forget(&asked);
    script_server_clear(server);
}

/* Several answers that take too long are asked for one by one, and then in smaller groups. */
static void test_slow_together(void)
{
    struct script_model model = {0};
    struct mc_openai_options options = options_of();
    options.timeout_us = 2 * MC_US_PER_SECOND;
    options.batch = 4;
    struct mc_llm *llm = open_llm(&options);
    struct asked asked;
    script_server_add(server, (struct script_answer){.end = SCRIPT_HANG});
    serve(&model);
    prepare(&asked, 4, true);
    generate(llm, &asked, NULL);
    is_int(count_good(&asked), 4, "one by one they are answered");
    is_int(script_server_requests(server), 5, "one request for all, then for each");
    forget(&asked);
    script_server_clear(server);
    serve(&model);
    prepare(&asked, 32, true);
    generate(llm, &asked, NULL);
    is_int(count_good(&asked), 32, "all answered");
    is_int(script_server_requests(server), 16, "then two go together");
    forget(&asked);
    script_server_clear(server);
    serve(&model);
    prepare(&asked, 4, true);
    generate(llm, &asked, NULL);
    is_int(script_server_requests(server), 1, "and when that went well, four again");
    forget(&asked);
    llm->ops->close(llm);
    script_server_clear(server);
}

static void test_retry_after(void)
{
    struct script_model model = {0};
    struct mc_llm *llm = open_llm(NULL);
    struct asked asked;
    script_server_add(server, (struct script_answer){.code = 429, .headers = "Retry-After: 1\r\n"});
    serve(&model);
    prepare(&asked, 1, true);
    generate(llm, &asked, NULL);
    is_int(count_good(&asked), 1, "after 429 it succeeds");
    int64_t waited_us =
        script_server_request(server, 1)->at_us - script_server_request(server, 0)->at_us;
    ok(waited_us >= MC_US_PER_SECOND - 20 * MS, "not before Retry-After (%d ms)",
       (int)(waited_us / MS));
    forget(&asked);
    script_server_clear(server);
    script_server_always(server,
                         (struct script_answer){.code = 429, .headers = "Retry-After: 30\r\n"});
    int64_t now_us = mc_time_monotonic_us();
    struct mc_llm_wait wait = {.deadline_us = now_us + 5 * MC_US_PER_SECOND};
    prepare(&asked, 1, true);
    generate(llm, &asked, &wait);
    is_status(asked.calls[0].status, MC_RATE_LIMITED, &asked.calls[0].error,
              "a wait beyond the deadline");
    ok(asked.took_us < 4 * MC_US_PER_SECOND, "fails at once");
    ok(asked.calls[0].retry_at_us >= now_us + 30 * MC_US_PER_SECOND, "and says when");
    ok(!asked.calls[0].no_attempt, "the service was asked");
    forget(&asked);
    prepare(&asked, 2, true);
    generate(llm, &asked, &wait);
    is_status(asked.calls[1].status, MC_RATE_LIMITED, &asked.calls[1].error, "the next call too");
    ok(asked.calls[1].no_attempt && asked.calls[1].retry_at_us > now_us, "without asking");
    is_int(script_server_requests(server), 1, "one request in all");
    struct mc_llm_state state;
    llm->ops->describe(llm, &state, 1);
    ok(state.retry_at_us > now_us && state.detail[0], "the state says so: %s", state.detail);
    forget(&asked);
    llm->ops->close(llm);
    script_server_clear(server);
}

static void test_timeout(void)
{
    struct mc_openai_options options = options_of();
    options.timeout_us = 200 * MS;
    options.max_retries = 1;
    struct mc_llm *llm = open_llm(&options);
    struct asked asked;
    script_server_always(server, (struct script_answer){.end = SCRIPT_HANG});
    prepare(&asked, 1, true);
    generate(llm, &asked, NULL);
    is_status(asked.calls[0].status, MC_TIMEOUT, &asked.calls[0].error, "no answer in time");
    is_int(asked.calls[0].usage.calls, 2, "tried twice");
    llm->ops->close(llm);
    forget(&asked);
    script_server_clear(server);
    llm = open_llm(NULL);
    script_server_always(server, (struct script_answer){.end = SCRIPT_HANG});
    struct mc_llm_wait wait = {.deadline_us = mc_time_monotonic_us() + 1500 * MS};
    prepare(&asked, 20, true);
    generate(llm, &asked, &wait);
    for (size_t i = 0; i < 20; i++) {
        if (asked.calls[i].status != MC_TIMEOUT)
            ok(false, "call %zu: %s", i, asked.calls[i].error.message);
    }
    ok(asked.took_us < 15 * MC_US_PER_SECOND, "the deadline ends all (%d ms)",
       (int)(asked.took_us / MS));
    ok(asked.calls[19].no_attempt && !asked.calls[0].no_attempt, "asked or not");
    llm->ops->close(llm);
    forget(&asked);
    script_server_clear(server);
}

struct ticks {
    int count;
    int stop_at;
    size_t stop_when_requests; /* or when so many came; 0: never */
};

static bool tick(void *context)
{
    struct ticks *ticks = context;
    ticks->count++;
    if (ticks->stop_when_requests)
        return script_server_requests(server) < ticks->stop_when_requests;
    return ticks->count < ticks->stop_at;
}

static void test_cancel(void)
{
    struct mc_llm *llm = open_llm(NULL);
    struct ticks ticks = {.stop_at = 1};
    struct mc_llm_wait wait = {.tick = tick, .context = &ticks};
    struct asked asked;
    script_server_always(server, (struct script_answer){.end = SCRIPT_HANG});
    prepare(&asked, 3, true);
    generate(llm, &asked, &wait);
    is_status(asked.calls[2].status, MC_CANCELLED, &asked.calls[2].error, "stopped at the start");
    ok(asked.calls[2].no_attempt, "nothing was asked");
    is_int(script_server_requests(server), 0, "indeed");
    forget(&asked);
    ticks = (struct ticks){.stop_when_requests = 2};
    prepare(&asked, 20, true);
    generate(llm, &asked, &wait);
    for (size_t i = 0; i < 20; i++) {
        if (asked.calls[i].status != MC_CANCELLED)
            ok(false, "call %zu: %s", i, asked.calls[i].error.message);
    }
    is_int(sum_usage(&asked).calls, 2, "stopped while two requests were out");
    is_int(sum_usage(&asked).failures, 0, "which is no failure of theirs");
    ok(ticks.count >= 2 && asked.took_us < 10 * MC_US_PER_SECOND, "within a tick or so");
    forget(&asked);
    script_server_clear(server);
    script_server_always(server,
                         (struct script_answer){.code = 503, .headers = "Retry-After: 20\r\n"});
    ticks = (struct ticks){.stop_when_requests = 1};
    prepare(&asked, 1, true);
    generate(llm, &asked, &wait);
    is_status(asked.calls[0].status, MC_CANCELLED, &asked.calls[0].error, "stopped while waiting");
    ok(asked.took_us < 10 * MC_US_PER_SECOND && !asked.calls[0].no_attempt, "before its time");
    forget(&asked);
    llm->ops->close(llm);
    script_server_clear(server);
}

static void test_dialects(void)
{
    static const struct {
        const char *what;
        struct script_model model;
        size_t first;              /* requests of the first call */
        const char *has, *has_not; /* the last request */
    } cases[] = {
        {"no lengths", {.no_lengths = true}, 2, "\"json_schema\"", "\"maxLength\""},
        {"no schema", {.no_schema = true}, 3, "\"json_object\"", "\"json_schema\""},
        {"no format", {.no_schema = true, .no_object = true}, 4, "JSON Schema", "response_format"},
        {"another limit",
         {.no_max_tokens = true},
         2,
         "\"max_completion_tokens\"",
         "\"max_tokens\""},
        {"no limit",
         {.no_max_tokens = true, .no_any_limit = true},
         3,
         "\"json_schema\"",
         "_tokens\""},
        {"no temperature", {.no_temperature = true}, 2, "\"json_schema\"", "temperature"},
        {"all at once",
         {.no_schema = true, .no_object = true, .no_max_tokens = true, .no_temperature = true},
         6,
         "\"max_completion_tokens\"",
         "response_format"},
    };
    for (size_t i = 0; i < mc_countof(cases); i++) {
        struct script_model model = cases[i].model;
        struct mc_llm *llm = open_llm(NULL);
        struct asked asked;
        int logged = atomic_load(&lines_logged);
        serve(&model);
        prepare(&asked, 1, true);
        generate(llm, &asked, NULL);
        is_int(count_good(&asked), 1, "%s: answered", cases[i].what);
        is_int(script_server_requests(server), cases[i].first, "%s: requests", cases[i].what);
        is_int(sum_usage(&asked).failures, 0, "%s: no failure", cases[i].what);
        forget(&asked);
        prepare(&asked, 4, true);
        generate(llm, &asked, NULL);
        is_int(count_good(&asked), 4, "%s: several", cases[i].what);
        is_int(script_server_requests(server), cases[i].first + 1, "%s: remembered", cases[i].what);
        const char *body = script_server_request(server, cases[i].first)->body;
        ok(strstr(body, cases[i].has), "%s: has %s", cases[i].what, cases[i].has);
        ok(!strstr(body, cases[i].has_not), "%s: has no %s", cases[i].what, cases[i].has_not);
        is_int(atomic_load(&lines_logged) - logged, 1, "%s: logged once", cases[i].what);
        llm->ops->close(llm);
        forget(&asked);
        script_server_clear(server);
    }
}

/* A refusal that speaks of the schema but has another cause teaches nothing. */
static void test_not_learned(void)
{
    struct script_model model = {0};
    struct mc_llm *llm = open_llm(NULL);
    struct asked asked;
    for (int i = 0; i < 4; i++)
        script_server_add(server, (struct script_answer){.code = 400, .body = "a schema?"});
    serve(&model);
    prepare(&asked, 1, true);
    generate(llm, &asked, NULL);
    is_status(asked.calls[0].status, MC_INVALID, &asked.calls[0].error, "refused in any form");
    is_int(script_server_requests(server), 4, "four forms");
    forget(&asked);
    prepare(&asked, 1, true);
    generate(llm, &asked, NULL);
    ok(count_good(&asked) == 1 && strstr(script_server_request(server, 4)->body, "\"maxLength\""),
       "the next call has the whole schema");
    llm->ops->close(llm);
    forget(&asked);
    script_server_clear(server);
}

static void test_limits(void)
{
    struct script_model model = {.limit = 40};
    struct mc_llm *llm = open_llm(NULL);
    struct asked asked;
    serve(&model);
    prepare(&asked, 1, true);
    generate(llm, &asked, NULL);
    is_int(count_good(&asked), 1, "a limit that is too large is left out");
    is_int(script_server_requests(server), 2, "in a second request");
    forget(&asked);
    script_server_clear(server);
    model = (struct script_model){.long_text = 60};
    serve(&model);
    prepare(&asked, 4, true);
    generate(llm, &asked, NULL);
    is_int(count_good(&asked), 4, "what does not fit together fits alone");
    is_int(script_server_requests(server), 5, "one request for all, then for each");
    forget(&asked);
    script_server_clear(server);
    model = (struct script_model){.long_text = 2};
    serve(&model);
    prepare(&asked, 1, true);
    generate(llm, &asked, NULL);
    is_status(asked.calls[0].status, MC_TOO_LARGE, &asked.calls[0].error, "or does not fit at all");
    forget(&asked);
    llm->ops->close(llm);
    script_server_clear(server);
}

static void test_options(void)
{
    static const struct {
        const char *field;
        struct mc_openai_options change;
    } cases[] = {
        {"llm.openai.base_url", {.base_url = "ftp://x/v1"}},
        {"llm.openai.base_url", {.base_url = "https://"}},
        {"llm.openai.base_url", {.base_url = "https://me:sesame@/v1"}},
        {"llm.openai.base_url", {.base_url = "https://h/v1?key=sesame"}},
        {"llm.openai.base_url", {.base_url = "http://h /v1"}},
        {"llm.openai.model", {.model = ""}},
        {"llm.openai.api_key", {.api_key = "sesame\n"}},
        {"llm.openai.batch", {.batch = 17}},
        {"llm.openai.in_flight", {.in_flight = 17}},
        {"llm.openai.timeout", {.timeout_us = -1}},
        {"llm.openai.max_retries", {.max_retries = 21}},
    };
    for (size_t i = 0; i < mc_countof(cases); i++) {
        struct mc_openai_options options = options_of();
        const struct mc_openai_options *change = &cases[i].change;
        options.base_url = change->base_url ? change->base_url : options.base_url;
        options.model = change->model ? change->model : options.model;
        options.api_key = change->api_key ? change->api_key : options.api_key;
        options.batch = change->batch ? change->batch : options.batch;
        options.in_flight = change->in_flight ? change->in_flight : options.in_flight;
        options.timeout_us = change->timeout_us ? change->timeout_us : options.timeout_us;
        options.max_retries = change->max_retries ? change->max_retries : options.max_retries;
        struct mc_llm *llm = NULL;
        struct mc_error err = {0};
        is_status(mc_openai_open(&options, &llm, &err), MC_CONFIG, &err, "%s", cases[i].field);
        is_str(err.field, cases[i].field, "the option is named: %s", err.message);
        look_for_secret(err.message);
    }
    struct mc_openai_options options = options_of();
    struct mc_llm_state state;
    options.base_url = "https://api.openai.com/v1/";
    struct mc_llm *llm = open_llm(&options);
    struct mc_openai *openai = mc_container_of(llm, struct mc_openai, llm);
    is_int(openai->dialect.format, MC_OPENAI_PORTABLE, "no lengths for api.openai.com");
    is_str(openai->url, "https://api.openai.com/v1/chat/completions", "the path");
    llm->ops->close(llm);
    options.base_url = "http://me:sesame@model.example:8080/v1";
    llm = open_llm(&options);
    llm->ops->describe(llm, &state, 1);
    ok(strstr(state.detail, "not https"), "a key over plain http is warned of: %s", state.detail);
    openai = mc_container_of(llm, struct mc_openai, llm);
    is_str(openai->place, "http://model.example:8080/v1", "the password is not shown");
    llm->ops->close(llm);
    options.api_key = NULL;
    options.base_url = base_url;
    llm = open_llm(&options);
    struct script_model model = {0};
    struct asked asked;
    serve(&model);
    prepare(&asked, 1, true);
    asked.calls[0].max_tokens = 0;
    generate(llm, &asked, NULL);
    is_int(count_good(&asked), 1, "without a key");
    ok(!strstr(script_server_request(server, 0)->head, "Authorization"), "none is sent");
    mc_auto(mc_json_free_ptr) struct mc_json *sent = request_json(0);
    ok(mc_json_integer(mc_json_get(sent, "max_tokens")) >= 256, "tokens by the schema");
    llm->ops->close(llm);
    forget(&asked);
    script_server_clear(server);
}

static void test_unreachable(void)
{
    struct mc_openai_options options = options_of();
    options.base_url = "http://me:sesame@127.0.0.1:1/v1";
    options.max_retries = 0;
    struct mc_llm *llm = open_llm(&options);
    struct asked asked;
    prepare(&asked, 2, true);
    generate(llm, &asked, NULL);
    is_status(asked.calls[1].status, MC_UNAVAILABLE, &asked.calls[1].error, "nobody there: %s",
              asked.calls[1].error.message);
    ok(!asked.calls[1].no_attempt, "an attempt was made");
    llm->ops->close(llm);
    forget(&asked);
}

#define THREADS 4
#define PER_THREAD 16

struct worker {
    pthread_t thread;
    struct mc_llm *llm;
    int rounds;
    size_t good;
};

static void *generate_many(void *context)
{
    struct worker *worker = context;
    for (int i = 0; i < worker->rounds; i++) {
        struct asked *asked = malloc(sizeof(*asked));
        prepare(asked, PER_THREAD, true);
        generate(worker->llm, asked, NULL);
        worker->good += count_good(asked);
        forget(asked);
        free(asked);
    }
    return NULL;
}

/* How many calls have their own answer. */
static size_t run_threads(struct mc_llm *llm, int rounds)
{
    struct worker workers[THREADS];
    size_t good = 0;
    for (size_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.llm = llm, .rounds = rounds};
        pthread_create(&workers[i].thread, NULL, generate_many, &workers[i]);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        good += workers[i].good;
    }
    return good;
}

static void test_threads(void)
{
    struct script_model model = {0};
    struct mc_openai_options options = options_of();
    options.max_retries = 6; /* one request may be the one that meets them all */
    struct mc_llm *llm = open_llm(&options);
    struct mc_llm_state state;
    serve(&model);
    for (int i = 0; i < 6; i++)
        script_server_add(server, (struct script_answer){.code = i % 2 ? 500 : 429});
    is_int(run_threads(llm, 10), THREADS * 10 * PER_THREAD,
           "every call of every thread has its answer");
    llm->ops->describe(llm, &state, 1);
    is_int(state.total.calls, script_server_requests(server), "every request was counted");
    is_int(state.total.failures, 6, "and every failure");
    ok(script_server_most_at_once(server) <= THREADS * 2, "at most two at once for each thread");
    llm->ops->close(llm);
    script_server_clear(server);
}

static char *answer_a_crowd(void *context, const struct script_request *request, int *code)
{
    (void)scratch_wait(script_server_most_at_once(server) > THREADS, 10000);
    return script_model_answer(context, request, code);
}

/* A service that answers nobody before more requests are under way than there are threads. */
static void test_overlap(void)
{
    struct script_model model = {0};
    struct mc_llm *llm = open_llm(NULL);
    script_server_always(server,
                         (struct script_answer){.build = answer_a_crowd, .context = &model});
    is_int(run_threads(llm, 2), THREADS * 2 * PER_THREAD, "all answered");
    ok(script_server_most_at_once(server) > THREADS, "each thread has several requests under way");
    llm->ops->close(llm);
    script_server_clear(server);
}

int main(void)
{
    struct mc_error err = {0};
    mc_log_set(take_log, NULL, MC_LOG_DEBUG);
    server = script_server_start();
    snprintf(base_url, sizeof(base_url), "http://127.0.0.1:%d/v1", script_server_port(server));
    if (!is_status(mc_schema_new(MC_STR(SCRIPT_MODEL_SCHEMA), &schema, &err), MC_OK, &err,
                   "schema"))
        bail_out("no schema");
    test_single();
    test_joined();
    test_apart();
    test_items();
    test_accept();
    test_garbage();
    test_cut();
    test_refusal();
    test_long_reasons();
    test_odd_facts();
    test_codes();
    test_retries();
    test_poison();
    test_slow_together();
    test_retry_after();
    test_timeout();
    test_cancel();
    test_dialects();
    test_not_learned();
    test_limits();
    test_options();
    test_unreachable();
    test_threads();
    test_overlap();
    is_int(atomic_load(&secrets_seen), 0, "no secret in any error, state or log");
    mc_schema_free(schema);
    script_server_stop(server);
    return done_testing();
}
