/*
 * The models of an engine: which are opened by what options, how their calls are counted and bounded, what
 * health, the list, the ledger and the doctor say of them. The providers are scripted.
 */
#include "tap.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/metrics_text.h"
#include "engine/engine.h"
#include "engine/lazy_llm.h"
#include "engine/models_private.h"
#include "support/engine.h"
#include "support/fake_llm.h"

#define PATIENCE_US (60 * MC_US_PER_SECOND)

static struct scratch scratch;
static struct mc_fake_llm *local_fake, *remote_fake; /* those opened last */
static atomic_int local_opened;
static enum mc_status local_fails;
static struct mc_local_options local_seen;
static struct mc_openai_options openai_seen;

static enum mc_status open_local(const struct mc_local_options *options, struct mc_llm **llm,
                                 struct mc_error *err)
{
    atomic_fetch_add(&local_opened, 1);
    local_seen = *options;
    if (local_fails)
        return mc_fail_field(err, local_fails, "llm.llama_cpp.model_path", "no GGUF file");
    local_fake = mc_fake_llm_new(
        &(struct mc_fake_options){.provider = "llama_cpp", .model = "tiny", .parallel = 3});
    *llm = mc_fake_llm(local_fake);
    return MC_OK;
}

static enum mc_status open_openai(const struct mc_openai_options *options, struct mc_llm **llm,
                                  struct mc_error *err)
{
    (void)err;
    openai_seen = *options;
    remote_fake =
        mc_fake_llm_new(&(struct mc_fake_options){.provider = "openai", .model = "gpt-4o-mini"});
    *llm = mc_fake_llm(remote_fake);
    return MC_OK;
}

static const struct mc_model_openers openers = {open_local, open_openai};

static void yes(void *context, const struct mc_llm_call *call, struct mc_fake_answer *answer)
{
    (void)context;
    (void)call;
    answer->json = "{\"answer\":\"yes\"}";
}

static void down(void *context, const struct mc_llm_call *call, struct mc_fake_answer *answer)
{
    (void)context;
    (void)call;
    answer->status = MC_UNAVAILABLE;
    answer->error = "connection refused";
}

/* ---- Settings ---- */

static enum mc_status read_settings(const char *const *options, struct mc_arena *arena,
                                    struct mc_model_settings *settings, struct mc_error *err)
{
    struct mc_config *config = NULL;
    if (mc_config_new(&config, err))
        bail_out("no configuration");
    for (; options && options[0]; options += 2)
        if (mc_config_set(config, options[0], options[1], err))
            bail_out("%s: %s", options[0], err->message);
    enum mc_status status = mc_model_settings_read(config, arena, settings, err);
    mc_config_free(config);
    return status;
}

static void settings(void)
{
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, 1U << 20);
    struct mc_model_settings s = {0};
    struct mc_error err = {0};
    bool built = mc_local_version()[0] != '\0';
    is_status(read_settings(NULL, &arena, &s, &err), MC_OK, &err, "the defaults");
    ok(!s.use_local && !s.use_openai && !s.explicit_provider, "ask no model");
    is_status(
        read_settings(OPTIONS("llm.llama_cpp.model_path", "/m.gguf", "llm.llama_cpp.sequences", "7",
                              "llm.openai.api_key", "k", "enrichment.in_flight", "3",
                              "enrichment.batch", "5", "llm.openai.ca_file", "/ca.pem",
                              "llm.breaker_failures", "9", "llm.breaker_cooldown", "2s",
                              "llm.breaker_cooldown_max", "1m", "llm.daily_cap_usd", "2.5",
                              "llm.daily_cap_calls", "100", "llm.openai.prices",
                              "{\"gpt-4o-mini\":{\"input\":0.15,\"output\":0.6}}"),
                      &arena, &s, &err),
        MC_OK, &err, "auto with both");
    is_int(s.use_local, built, "the local model, where the build has it");
    ok(s.use_openai, "and the service");
    is_str(s.local.model_path, "/m.gguf", "the file");
    is_int(s.local.sequences, 7, "sequences");
    is_str(s.openai.api_key, "k", "the key");
    is_str(s.openai.base_url, "https://api.openai.com/v1", "the address");
    is_str(s.openai.ca_file, "/ca.pem", "certificates");
    ok(s.openai.in_flight == 3 && s.openai.batch == 5, "in flight and batch");
    ok(s.price_known && s.openai.price_in > 0.149 && s.openai.price_out > 0.59, "the price");
    ok(s.breaker_failures == 9 && s.cooldown_us == 2000000 && s.cooldown_max_us == 60000000,
       "the breaker");
    ok(s.cap_usd > 2.4 && s.cap_calls == 100, "the caps");
    is_status(
        read_settings(OPTIONS("llm.openai.base_url", "http://127.0.0.1:1/v1"), &arena, &s, &err),
        MC_OK, &err, "an address of its own");
    ok(s.use_openai && !s.openai.api_key && !s.price_known, "needs no key");
    is_status(read_settings(OPTIONS("llm.provider", "builtin", "llm.openai.api_key", "k"), &arena,
                            &s, &err),
              MC_OK, &err, "builtin");
    ok(!s.use_openai && !s.use_local, "asks none, whatever is set");
    is_status(read_settings(OPTIONS("llm.provider", "openai"), &arena, &s, &err), MC_CONFIG, &err,
              "openai without a key");
    is_str(err.field, "llm.openai.api_key", "names the option");
    is_status(read_settings(OPTIONS("llm.provider", "openai", "llm.openai.api_key", "k",
                                    "llm.llama_cpp.model_path", "/m.gguf"),
                            &arena, &s, &err),
              MC_OK, &err, "openai");
    ok(s.use_openai && !s.use_local && s.explicit_provider, "alone");
    is_int(s.breaker_failures, 5, "with the breaker's default");
    is_status(read_settings(OPTIONS("llm.provider", "openai", "llm.openai.api_key", "k",
                                    "enrichment.max_attempts", "3", "llm.breaker_failures", "7"),
                            &arena, &s, &err),
              MC_OK, &err, "openai with few attempts");
    is_int(s.breaker_failures, 3, "it opens before a message is given up");
    is_status(read_settings(OPTIONS("llm.provider", "llama_cpp"), &arena, &s, &err), MC_CONFIG,
              &err, "llama_cpp without a file");
    is_str(err.field, "llm.llama_cpp.model_path", "names the option");
    is_status(read_settings(OPTIONS("llm.provider", "llama_cpp", "llm.llama_cpp.model_path", "/m"),
                            &arena, &s, &err),
              built ? MC_OK : MC_UNSUPPORTED, &err, "llama_cpp, as far as this build has it");
    ok(built || strstr(err.message, "docs/dependencies.md"), "or what to do");
}

/* ---- Opening ---- */

static const struct mc_model_settings both = {
    .use_local = true,
    .use_openai = true,
    .local = {.model_path = "/models/tiny.gguf", .sequences = 3},
    .openai = {.model = "gpt-4o-mini"},
    .breaker_failures = 2,
    .cooldown_us = 3600 * MC_US_PER_SECOND,
    .cap_calls = 6,
};

struct bench {
    struct mc_store *store;
    struct mc_metrics *metrics;
    struct mc_models *models;
};

static struct bench set_up(const char *file, const struct mc_model_settings *settings, bool lazy)
{
    struct bench bench = {.store = scratch_store(&scratch, file), .metrics = mc_metrics_new()};
    const struct mc_models_options options = {.settings = settings,
                                              .store = bench.store,
                                              .metrics = bench.metrics,
                                              .lazy = lazy,
                                              .openers = &openers};
    struct mc_error err = {0};
    if (mc_models_open(&options, &bench.models, &err))
        bail_out("the models do not open: %s", err.message);
    return bench;
}

static void take_down(struct bench *bench)
{
    mc_models_close(bench->models);
    bench->store->ops->close(bench->store);
    mc_metrics_free(bench->metrics);
}

/* Asks the chain once. */
static enum mc_status ask(struct mc_models *models, enum mc_llm_operation operation,
                          struct mc_error *err)
{
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, 1U << 20);
    const struct mc_llm_turn turn = {.text = MC_STR("hello")};
    struct mc_llm_call call = {
        .operation = operation, .system = MC_STR("s"), .turns = &turn, .turn_count = 1};
    struct mc_llm *llm = mc_models_llm(models);
    llm->ops->generate(llm, &call, 1, &(struct mc_llm_wait){0}, &arena);
    *err = call.error;
    return call.status;
}

static double metric(const struct bench *bench, const char *name)
{
    mc_auto(mc_buf_fini) struct mc_buf text;
    mc_buf_init(&text, 1U << 20);
    mc_metrics_expose(bench->metrics, MC_METRICS_PROMETHEUS, &text);
    return prometheus_value(mc_buf_str(&text).data, name);
}

static void opening(void)
{
    struct mc_store *store = scratch_store(&scratch, "opening.db");
    struct mc_metrics *metrics = mc_metrics_new();
    struct mc_model_settings none = {0};
    struct mc_models_options options = {
        .settings = &none, .store = store, .metrics = metrics, .openers = &openers};
    struct mc_models *models = (struct mc_models *)&none;
    struct mc_error err = {0};
    is_status(mc_models_open(&options, &models, &err), MC_OK, &err, "none configured");
    ok(models == NULL && mc_models_llm(NULL) == NULL && mc_models_ledger(NULL) == NULL, "is none");
    is_str(mc_models_provider(NULL), "builtin", "so the rules enrich");
    struct mc_models_health health = {.trouble = 9};
    mc_models_health(NULL, &health);
    ok(health.trouble == 0 && !health.blocked, "and are well");
    is_int(mc_models_check(NULL, 1000, NULL, 0), 0, "nothing to check");
    mc_models_close(NULL);
    local_fails = MC_CONFIG;
    options.settings = &both;
    is_status(mc_models_open(&options, &models, &err), MC_CONFIG, &err,
              "a file that cannot be loaded, with auto too");
    is_str(err.field, "llm.llama_cpp.model_path", "names the option");
    local_fails = MC_OK;
    store->ops->close(store);
    mc_metrics_free(metrics);
}

/* ---- Counting, caps, circuits ---- */

static void counting(void)
{
    struct bench bench = set_up("counting.db", &both, false);
    struct mc_error err = {0};
    struct mc_models_health health;
    is_str(mc_models_provider(bench.models), "llama_cpp", "the local one is asked first");
    mc_fake_llm_answer_with(local_fake, yes, NULL);
    mc_fake_llm_answer_with(remote_fake, yes, NULL);
    for (int i = 0; i < 3; i++)
        is_status(ask(bench.models, MC_LLM_ENRICH, &err), MC_OK, &err, "answered");
    is_double(
        metric(&bench, "mindcore_llm_calls_total{provider=\"llama_cpp\",operation=\"enrich\"}"), 3,
        0, "calls");
    is_double(metric(&bench, "mindcore_llm_tokens_total{provider=\"llama_cpp\",direction=\"in\"}"),
              30, 0, "tokens");
    is_double(metric(&bench, "mindcore_llm_call_duration_seconds_count{provider=\"llama_cpp\"}"), 3,
              0, "durations");
    mc_models_health(bench.models, &health);
    is_int(health.trouble, 0, "all is well");

    mc_fake_llm_answer_with(local_fake, down, NULL);
    is_status(ask(bench.models, MC_LLM_CONTEXT, &err), MC_OK, &err, "the next one answers");
    is_status(ask(bench.models, MC_LLM_CONTEXT, &err), MC_OK, &err, "again");
    is_double(metric(&bench, "mindcore_llm_call_failures_total{provider=\"llama_cpp\"}"), 2, 0,
              "failures are counted");
    is_double(metric(&bench, "mindcore_errors_total{error_type=\"llm\"}"), 2, 0, "as errors too");
    is_double(metric(&bench, "mindcore_llm_circuit_open{provider=\"llama_cpp\"}"), 1, 0,
              "the circuit is open");
    is_double(metric(&bench, "mindcore_llm_calls_total{provider=\"openai\",operation=\"context\"}"),
              2, 0, "the other's calls");
    mc_models_health(bench.models, &health);
    is_int(health.trouble, 1, "one is in trouble");
    ok(strncmp(health.issues[0], "llama_cpp does not answer since 20", 34) == 0 &&
           strstr(health.issues[0], "connection refused") && !health.blocked,
       "which, since when, why: %s", health.issues[0]);

    for (int i = 0; i < 4; i++)
        is_status(ask(bench.models, MC_LLM_ENRICH, &err), MC_OK, &err, "below the cap");
    is_status(ask(bench.models, MC_LLM_ENRICH, &err), MC_UNAVAILABLE, &err, "the cap is reached");
    ok(strstr(err.message, "daily cap of 6 calls reached") != NULL, "and says so: %s", err.message);
    is_int(mc_fake_llm_calls(remote_fake), 6, "no request more");
    mc_models_health(bench.models, &health);
    ok(health.trouble == 2 && strstr(health.issues[1], "openai is not asked: daily cap") &&
           !health.blocked,
       "health tells: %s", health.issues[1]);

    struct mc_llm_usage today;
    is_status(mc_ledger_flush(mc_models_ledger(bench.models), &err), MC_OK, &err, "flush");
    mc_ledger_today(mc_models_ledger(bench.models), "llama_cpp", &today);
    ok(today.calls == 5 && today.failures == 2 && today.tokens_out == 25,
       "the ledger has the same");
    is_double(mc_models_enrich_cost(bench.models), 0, 0, "no cost is known");
    const struct mc_llm_usage dear = {.calls = 1, .tokens_in = 600, .cost_usd = 0.0008};
    mc_models_note_usage(bench.models, MC_LLM_ENRICH, "openai", MC_STR("m"), &dear);
    is_double(mc_models_enrich_cost(bench.models), 0.0001, 1e-9, "the mean of eight messages");
    is_double(metric(&bench, "mindcore_llm_cost_usd_total{provider=\"openai\"}"), 0.0008, 1e-12,
              "the cost is counted");
    const struct mc_llm_usage lost = {.calls = 3, .failures = 3, .took_us = 3000000};
    double seconds = metric(&bench, "mindcore_llm_call_duration_seconds_sum{provider=\"openai\"}");
    double count = metric(&bench, "mindcore_llm_call_duration_seconds_count{provider=\"openai\"}");
    mc_models_note_usage(bench.models, MC_LLM_ENRICH, "openai", MC_STR_NONE, &lost);
    is_double(mc_models_enrich_cost(bench.models), 0.0001, 1e-9,
              "what was not answered makes no message cheaper");
    is_double(metric(&bench, "mindcore_llm_call_duration_seconds_count{provider=\"openai\"}"),
              count + 3, 0, "a duration for each request");
    is_double(metric(&bench, "mindcore_llm_call_duration_seconds_sum{provider=\"openai\"}"),
              seconds + 3, 1e-6, "and the whole time");
    take_down(&bench);
}

/* One provider, asked for by name: when it does not answer, messages wait. */
static void blocked(void)
{
    struct mc_model_settings only = both;
    only.use_local = false;
    only.explicit_provider = true;
    only.cooldown_us = only.cooldown_max_us = 1000;
    struct bench bench = set_up("blocked.db", &only, false);
    struct mc_models_health health;
    struct mc_error err = {0};
    mc_fake_llm_answer_with(remote_fake, down, NULL);
    is_status(ask(bench.models, MC_LLM_ENRICH, &err), MC_UNAVAILABLE, &err, "down");
    is_status(ask(bench.models, MC_LLM_ENRICH, &err), MC_UNAVAILABLE, &err, "down");
    mc_models_health(bench.models, &health);
    ok(health.trouble == 1 && health.blocked, "messages wait: %s", health.issues[0]);
    mc_fake_llm_answer_with(remote_fake, yes, NULL);
    ok(scratch_wait(ask(bench.models, MC_LLM_ENRICH, &err) == MC_OK, 20000), "it answers again");
    mc_models_health(bench.models, &health);
    ok(health.trouble == 0 && !health.blocked, "and health is well again");
    is_double(metric(&bench, "mindcore_llm_circuit_open{provider=\"openai\"}"), 0, 0,
              "and the gauge");
    take_down(&bench);
}

/* Each series of a provider and an operation counts what it is called after, and nothing else. */
static void every_count(void)
{
    static const char *const providers[] = {"llama_cpp", "openai"};
    static const struct {
        enum mc_llm_operation operation;
        const char *name;
    } operations[] = {{MC_LLM_ENRICH, "enrich"},
                      {MC_LLM_CONTEXT, "context"},
                      {MC_LLM_SUMMARY, "summary"},
                      {MC_LLM_CHECK, "check"}};
    struct bench bench = set_up("counts.db", &both, false);
    const struct mc_llm_usage usage = {.calls = 7,
                                       .failures = 2,
                                       .tokens_in = 50,
                                       .tokens_cached = 30,
                                       .tokens_out = 11,
                                       .took_us = 7000000,
                                       .cost_usd = 0.25};
    for (size_t p = 0; p < mc_countof(providers); p++) {
        for (size_t o = 0; o < mc_countof(operations); o++)
            mc_models_note_usage(bench.models, operations[o].operation, providers[p], MC_STR("m"),
                                 &usage);
    }
    const struct {
        const char *name, *labels;
        double value;
    } sums[] = {
        {"mindcore_llm_call_failures_total", "", 8},
        {"mindcore_llm_tokens_total", ",direction=\"in\"", 200},
        {"mindcore_llm_tokens_total", ",direction=\"cached\"", 120},
        {"mindcore_llm_tokens_total", ",direction=\"out\"", 44},
        {"mindcore_llm_cost_usd_total", "", 1},
        {"mindcore_llm_call_duration_seconds_count", "", 28},
        {"mindcore_llm_call_duration_seconds_sum", "", 28},
    };
    for (size_t p = 0; p < mc_countof(providers); p++) {
        char series[128];
        for (size_t o = 0; o < mc_countof(operations); o++) {
            snprintf(series, sizeof(series),
                     "mindcore_llm_calls_total{provider=\"%s\",operation=\"%s\"}", providers[p],
                     operations[o].name);
            is_double(metric(&bench, series), 7, 0, "%s", series);
        }
        for (size_t i = 0; i < mc_countof(sums); i++) {
            snprintf(series, sizeof(series), "%s{provider=\"%s\"%s}", sums[i].name, providers[p],
                     sums[i].labels);
            is_double(metric(&bench, series), sums[i].value, 1e-9, "%s", series);
        }
    }
    take_down(&bench);
}

/* ---- Checks ---- */

static void checks(void)
{
    struct bench bench = set_up("checks.db", &both, false);
    struct mc_model_check got[MC_CHAIN_MAX];
    mc_fake_llm_answer_with(local_fake, down, NULL);
    mc_fake_llm_answer_with(remote_fake, yes, NULL);
    is_int(mc_models_check(bench.models, PATIENCE_US, got, MC_CHAIN_MAX), 2, "each is asked");
    ok(!got[0].ok && strstr(got[0].detail, "connection refused") && got[0].advice[0],
       "why not, and what to do: %s: %s", got[0].detail, got[0].advice);
    is_str(got[0].model, "tiny", "its model");
    ok(got[1].ok && strstr(got[1].detail, "gpt-4o-mini answered") && !got[1].advice[0], "%s",
       got[1].detail);
    is_double(metric(&bench, "mindcore_llm_calls_total{provider=\"openai\",operation=\"check\"}"),
              1, 0, "counted as a check");
    static const enum mc_status FAILURES[] = {MC_UNAUTHENTICATED, MC_TIMEOUT, MC_RATE_LIMITED,
                                              MC_CONFIG, MC_INVALID};
    for (size_t i = 0; i < mc_countof(FAILURES); i++) {
        mc_fake_llm_push(remote_fake, &(struct mc_fake_answer){.status = FAILURES[i]});
        mc_models_check(bench.models, PATIENCE_US, got, MC_CHAIN_MAX);
        ok(!got[1].ok && got[1].advice[0], "%s: %s: %s", mc_status_name(FAILURES[i]), got[1].detail,
           got[1].advice);
    }
    mc_models_check(bench.models, PATIENCE_US, got, MC_CHAIN_MAX);
    ok(got[1].ok && strstr(got[1].detail, "not asked: daily cap"), "the cap holds: %s",
       got[1].detail);
    is_int(mc_fake_llm_calls(remote_fake), 6, "nothing was sent");
    mc_fake_llm_hold(local_fake, true);
    mc_models_check(bench.models, 20000, got, 1);
    ok(!got[0].ok && got[0].advice[0], "a deadline ends it: %s", got[0].detail);
    mc_fake_llm_hold(local_fake, false);
    take_down(&bench);
}

/* ---- Loading when asked ---- */

static void lazily(void)
{
    int before = atomic_load(&local_opened);
    struct bench bench = set_up("lazy.db", &both, true);
    struct mc_llm_state states[MC_CHAIN_MAX];
    struct mc_error err = {0};
    size_t tokens = 0;
    is_int(atomic_load(&local_opened), before, "nothing is loaded at the start");
    is_int(mc_models_describe(bench.models, states, MC_CHAIN_MAX), 2, "two models");
    is_str(states[0].state, "not loaded", "the local one is not");
    is_str(states[0].model, "tiny.gguf", "its file");
    is_int(states[0].parallel, 3, "and what it will take");
    (void)mc_models_llm(bench.models)
        ->ops->count_tokens(mc_models_llm(bench.models), MC_STR("x"), &tokens);
    is_int(atomic_load(&local_opened), before, "counting tokens loads nothing");
    is_status(ask(bench.models, MC_LLM_CHECK, &err), MC_UNAVAILABLE, &err, "the first question");
    is_int(atomic_load(&local_opened), before + 1, "loads it");
    mc_fake_llm_answer_with(local_fake, yes, NULL);
    is_status(ask(bench.models, MC_LLM_CHECK, &err), MC_OK, &err, "the second is answered");
    is_int(atomic_load(&local_opened), before + 1, "once");
    mc_models_describe(bench.models, states, MC_CHAIN_MAX);
    is_str(states[0].model, "tiny", "the model's own state");
    take_down(&bench);

    struct mc_model_settings only = both;
    only.use_openai = false;
    only.explicit_provider = true;
    bench = set_up("lazy.db", &only, true);
    local_fails = MC_CONFIG;
    before = atomic_load(&local_opened);
    is_status(ask(bench.models, MC_LLM_CHECK, &err), MC_CONFIG, &err,
              "a file that cannot be loaded");
    ok(strstr(err.message, "no GGUF file") != NULL, "says why: %s", err.message);
    (void)ask(bench.models, MC_LLM_CHECK, &err);
    is_int(atomic_load(&local_opened), before + 1, "and is not tried again");
    mc_models_describe(bench.models, states, MC_CHAIN_MAX);
    is_str(states[0].state, "failed", "it has failed");
    struct mc_models_health health;
    mc_models_health(bench.models, &health);
    ok(health.trouble == 1 && health.blocked, "%s", health.issues[0]);
    local_fails = MC_OK;
    take_down(&bench);
}

/* Several threads ask while it is being loaded. */
static atomic_bool may_load;

static enum mc_status load_slowly(void *context, struct mc_llm **llm, struct mc_error *err)
{
    (void)err;
    atomic_fetch_add((atomic_int *)context, 1);
    while (!atomic_load(&may_load))
        scratch_pause_ms(1);
    struct mc_fake_llm *fake = mc_fake_llm_new(&(struct mc_fake_options){.provider = "llama_cpp"});
    mc_fake_llm_answer_with(fake, yes, NULL);
    *llm = mc_fake_llm(fake);
    return MC_OK;
}

static bool cancel(void *context)
{
    (void)context;
    return false;
}

static enum mc_status ask_lazy(struct mc_llm *llm, const struct mc_llm_wait *wait)
{
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, 1U << 20);
    struct mc_llm_call call = {.operation = MC_LLM_CHECK};
    llm->ops->generate(llm, &call, 1, wait, &arena);
    return call.status;
}

static void *ask_in_thread(void *context)
{
    const struct mc_llm_wait wait = {0};
    return ask_lazy(context, &wait) == MC_OK ? context : NULL;
}

static void loading(void)
{
    atomic_int loads = 0;
    struct mc_llm *llm = NULL;
    struct mc_error err = {0};
    const struct mc_lazy_options options = {.provider = "llama_cpp",
                                            .model = "m",
                                            .parallel = 2,
                                            .open = load_slowly,
                                            .context = &loads};
    is_status(mc_lazy_llm_open(&options, &llm, &err), MC_OK, &err, "open");
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        if (pthread_create(&threads[i], NULL, ask_in_thread, llm) != 0)
            bail_out("no thread");
    ok(scratch_wait(atomic_load(&loads) == 1, 20000), "one loads");
    struct mc_llm_state state;
    is_int(llm->ops->describe(llm, &state, 1), 1, "described");
    is_str(state.state, "loading", "while it is loading");
    is_int(llm->ops->describe(llm, &state, 0), 0, "without room, not");
    struct mc_llm_wait wait = {.deadline_us = mc_time_monotonic_us() + 5000};
    is_int(ask_lazy(llm, &wait), MC_TIMEOUT, "another waits until its deadline");
    wait = (struct mc_llm_wait){.deadline_us = mc_time_monotonic_us() + 20 * MC_US_PER_SECOND,
                                .tick = cancel};
    is_int(ask_lazy(llm, &wait), MC_CANCELLED, "or until it is cancelled");
    atomic_store(&may_load, true);
    for (int i = 0; i < 3; i++) {
        void *fine = NULL;
        pthread_join(threads[i], &fine);
        ok(fine != NULL, "a thread is answered");
    }
    is_int(atomic_load(&loads), 1, "it was loaded once");
    llm->ops->close(llm);
    is_status(mc_lazy_llm_open(&options, &llm, &err), MC_OK, &err, "open another");
    llm->ops->close(llm);
    ok(atomic_load(&loads) == 1, "closed without being loaded");
}

/* ---- The engine ---- */

static struct mc_engine *open_engine(const char *const *options)
{
    struct mc_config *config = NULL;
    struct mc_engine *engine = NULL;
    struct mc_error err = {0};
    if (mc_config_new(&config, &err) ||
        mc_config_set(config, "database.path", scratch_path(&scratch, "engine.db"), &err) ||
        mc_config_set(config, "cache.persistent", "false", &err))
        bail_out("no configuration: %s", err.message);
    for (; options[0]; options += 2)
        if (mc_config_set(config, options[0], options[1], &err))
            bail_out("%s: %s", options[0], err.message);
    if (mc_engine_open_by(config, NULL, &openers, &engine, &err))
        bail_out("the engine does not open: %s", err.message);
    mc_config_free(config);
    return engine;
}

static const struct mc_json *model_at(const struct answer *list, size_t index)
{
    return mc_json_at(json_at(list->root, "models"), index);
}

static void in_engine(void)
{
    struct mc_engine *engine =
        open_engine(OPTIONS("llm.openai.api_key", "k", "llm.breaker_failures", "2",
                            "llm.breaker_cooldown", "1h", "llm.daily_cap_usd", "5"));
    struct mc_error err = {0};
    is_str(mc_engine_provider(engine), "openai", "the provider");
    ok(engine->llm != NULL, "the engine has a model");
    struct answer list = ANSWER(mc_models_list, engine);
    is_text(mc_json_string(json_at(list.root, "provider")), "openai", "the list's");
    is_int(mc_json_count(json_at(list.root, "models")), 3, "three entries");
    is_text(mc_json_string(mc_json_get(model_at(&list, 0), "state")), "ready",
            "what is configured");
    is_text(mc_json_string(mc_json_get(model_at(&list, 0), "detail")), "no price configured",
            "and what is missing");
    is_text(mc_json_string(mc_json_get(model_at(&list, 2), "provider")), "builtin",
            "the rules are the last");
    is_double(answer_number(&list, "caps.daily_usd"), 5, 0, "the cap");
    ok(mc_json_type(json_at(list.root, "caps.daily_calls")) == MC_JSON_NULL, "no other");
    answer_free(&list);

    mc_fake_llm_answer_with(remote_fake, yes, NULL);
    bool fine = false;
    char *json = NULL;
    is_status(mc_models_ask(engine, PATIENCE_US / MC_US_PER_MS, &fine, &json, &err), MC_OK, &err,
              "ask");
    struct answer asked = answer_of(json);
    ok(fine && answer_true(&asked, "ok"), "it answers");
    answer_free(&asked);
    is_status(mc_models_ask(engine, 0, &fine, &json, &err), MC_INVALID, &err, "without time");
    const struct mc_usage_query whole = {0};
    struct answer usage = ANSWER(mc_usage, engine, &whole);
    is_int(mc_json_count(json_at(usage.root, "usage")), 1, "the ledger is exact at once");
    const struct mc_json *row = mc_json_at(json_at(usage.root, "usage"), 0);
    is_text(mc_json_string(mc_json_get(row, "operation")), "check", "what for");
    is_text(mc_json_string(mc_json_get(row, "model")), "gpt-4o-mini", "which model");
    is_int(mc_json_string(mc_json_get(row, "day")).len, 10, "which day");
    is_int(answer_int(&usage, "total.calls"), 1, "in all");
    answer_free(&usage);
    static const struct {
        const char *first, *last, *field;
    } BAD[] = {{"yesterday", NULL, "first_day"},          {"2026-02-30", NULL, "first_day"},
               {"2026-1-1", NULL, "first_day"},           {NULL, "2026-13-01", "last_day"},
               {"2026-11-02", "2026-11-01", "first_day"}, {"2026-11-02T", NULL, "first_day"}};
    for (size_t i = 0; i < mc_countof(BAD); i++) {
        const struct mc_usage_query query = {
            .first_day = BAD[i].first ? mc_str_of(BAD[i].first) : MC_STR_NONE,
            .last_day = BAD[i].last ? mc_str_of(BAD[i].last) : MC_STR_NONE};
        is_status(mc_usage(engine, &query, &json, &err), MC_INVALID, &err, "a bad day");
        is_str(err.field, BAD[i].field, "is named");
    }
    const struct mc_usage_query old = {.first_day = MC_STR("2001-01-01"),
                                       .last_day = MC_STR("2001-12-31")};
    usage = ANSWER(mc_usage, engine, &old);
    is_int(mc_json_count(json_at(usage.root, "usage")), 0, "of a year without");
    answer_free(&usage);
    mc_engine_close(engine);
}

/* With auto health stays green when a model is down, and tells; with a provider asked for by name it is red. */
static void engine_health(const char *provider, bool healthy)
{
    struct mc_engine *engine =
        open_engine(OPTIONS("llm.openai.api_key", "k", "llm.breaker_failures", "2",
                            "llm.breaker_cooldown", "1h", "llm.provider", provider));
    struct mc_error err = {0};
    mc_fake_llm_answer_with(remote_fake, down, NULL);
    for (int i = 0; i < 2; i++)
        (void)ask(engine->models, MC_LLM_CONTEXT, &err);
    struct answer health = ANSWER(mc_workers_health, engine);
    is_int(answer_true(&health, "healthy"), healthy, "%s: health of the workers", provider);
    is_text(mc_json_string(json_at(health.root, "workers.enrichment.status")), "degraded",
            "they say so");
    const struct mc_json *issues = json_at(health.root, "issues");
    is_int(mc_json_count(issues), 1, "with one issue");
    ok(mc_json_string(mc_json_at(issues, 0)).len > 0 &&
           strstr(health.text, "openai does not answer since"),
       "that names the provider and since when");
    answer_free(&health);
    bool fine = !healthy;
    char *json = NULL;
    is_status(mc_engine_health(engine, &fine, &json, &err), MC_OK, &err, "health");
    health = answer_of(json);
    is_int(fine, healthy, "the whole");
    ok(!answer_true(&health, "checks.models.ok"), "the check of the models tells");
    is_int(mc_json_count(json_at(health.root, "reasons")), healthy ? 0 : 1, "reasons");
    answer_free(&health);
    is_status(mc_engine_doctor(engine, &fine, &json, &err), MC_OK, &err, "the doctor");
    struct answer doctor = answer_of(json);
    ok(!fine && strstr(doctor.text, "model openai") && strstr(doctor.text, "base_url"),
       "asks, and says what to do");
    answer_free(&doctor);
    struct answer list = ANSWER(mc_models_list, engine);
    is_text(mc_json_string(mc_json_get(model_at(&list, 0), "state")), "open", "the list: open");
    ok(mc_json_number(mc_json_get(model_at(&list, 0), "retry_in_seconds")) > 60, "for a while");
    answer_free(&list);
    mc_engine_close(engine);
}

static void savings(void)
{
    struct mc_engine *engine = open_engine(OPTIONS("llm.openai.api_key", "k"));
    mc_metrics_add(engine->metrics, MC_COUNT_ENRICHED_TRIVIAL, 10);
    struct answer metrics = ANSWER(mc_enrichment_metrics, engine);
    is_double(answer_number(&metrics, "savings_from_trivial.estimated_cost_saved_usd"), 0.00162,
              1e-9, "the estimate without a measured cost");
    answer_free(&metrics);
    const struct mc_llm_usage usage[] = {{.calls = 1, .tokens_in = 9, .cost_usd = 0.1},
                                         {.calls = 1, .tokens_in = 9, .cost_usd = 0.2}};
    for (size_t i = 0; i < mc_countof(usage); i++)
        mc_models_note_usage(engine->models, MC_LLM_ENRICH, "openai", MC_STR_NONE, &usage[i]);
    metrics = ANSWER(mc_enrichment_metrics, engine);
    is_double(answer_number(&metrics, "savings_from_trivial.estimated_cost_saved_usd"), 1.5, 1e-9,
              "the measured one");
    answer_free(&metrics);
    struct mc_error err;
    char *json = NULL;
    is_status(mc_usage(engine, NULL, &json, &err), MC_OK, &err, "the ledger");
    ok(strstr(json, "\"cost_usd\":0.3}") != NULL, "money without the noise of sums: %s", json);
    ok(strstr(json, "\"model\":\"gpt-4o-mini\"") != NULL,
       "the model that was asked, named by none");
    mc_free(json);
    mc_engine_close(engine);
}

int main(void)
{
    scratch_make(&scratch);
    settings();
    opening();
    counting();
    every_count();
    blocked();
    checks();
    lazily();
    loading();
    in_engine();
    engine_health("auto", true);
    engine_health("openai", false);
    savings();
    scratch_remove(&scratch);
    return done_testing();
}
