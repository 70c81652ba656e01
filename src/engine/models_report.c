/* What people see of the models: their states, what they were asked, whether they answer. */
#include <mindcore/operate.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "base/time.h"
#include "engine/models.h"
#include "engine/snapshot.h"

/* ---- The list ---- */

/* A number, null while it is not known (0). */
static void member_known(struct mc_json_writer *w, const char *key, double value, int decimals)
{
    mc_json_key(w, key);
    if (value > 0)
        mc_json_put_fixed(w, value, decimals);
    else
        mc_json_put_null(w);
}

/* Sums of fractions, without what adding them up left behind the last digit that means something. */
static double usd(double sum)
{
    return round(sum * 1e9) / 1e9;
}

/* A model as it is listed; of what is not running only the first lines say something. */
struct entry {
    const struct mc_llm_state *state;
    struct mc_llm_usage today;
    const char *detail;
    int64_t retry_in_us;
};

static void write_entry(struct mc_json_writer *w, const struct entry *e)
{
    const struct mc_llm_state *s = e->state;
    /* What this process has not seen yet, today's ledger may know. */
    double speed = s->tokens_out_per_s, latency_us = s->latency_us;
    if (speed <= 0 && e->today.took_us > 0)
        speed = (double)e->today.tokens_out * 1e6 / (double)e->today.took_us;
    if (latency_us <= 0 && e->today.calls > 0)
        latency_us = (double)e->today.took_us / (double)e->today.calls;
    mc_json_begin(w, '{');
    mc_json_member_text(w, "provider", s->provider);
    mc_json_member_text(w, "state", s->state);
    mc_json_key(w, "model");
    mc_json_put_text(w, s->model[0] ? s->model : NULL);
    mc_json_key(w, "context_tokens");
    if (s->context_tokens > 0)
        mc_json_put_integer(w, s->context_tokens);
    else
        mc_json_put_null(w);
    mc_json_member_integer(w, "parallel", (int64_t)s->parallel);
    mc_json_member_text(w, "detail", e->detail);
    mc_json_member_integer(w, "calls", s->total.calls);
    mc_json_member_integer(w, "failures", s->total.failures);
    mc_json_member_integer(w, "tokens_in", s->total.tokens_in);
    mc_json_member_integer(w, "tokens_cached", s->total.tokens_cached);
    mc_json_member_integer(w, "tokens_out", s->total.tokens_out);
    mc_json_member_number(w, "cost_usd", usd(s->total.cost_usd));
    mc_json_member_number(w, "cost_today_usd", usd(e->today.cost_usd));
    mc_json_member_integer(w, "calls_today", e->today.calls);
    member_known(w, "tokens_per_second", speed, 2);
    member_known(w, "latency_ms", latency_us / 1e3, 3);
    member_known(w, "retry_in_seconds", (double)e->retry_in_us / 1e6, 3);
    mc_json_key(w, "last_error");
    mc_json_put_text(w, s->last_error[0] ? s->last_error : NULL);
    mc_json_key(w, "last_error_at");
    if (s->last_error_us > 0)
        mc_json_put_time(w, s->last_error_us);
    else
        mc_json_put_null(w);
    mc_json_end(w, '}');
}

static void write_configured(struct mc_json_writer *w, struct mc_engine *engine,
                             const struct mc_llm_state *state)
{
    struct mc_ledger *ledger = mc_models_ledger(engine->models);
    struct entry e = {.state = state, .detail = state->detail};
    int64_t now = mc_time_monotonic_us();
    if (state->retry_at_us > now)
        e.retry_in_us = state->retry_at_us - now;
    char detail[400], why[256];
    bool unpriced = strcmp(state->provider, "openai") == 0 && !engine->settings.models.price_known;
    if (!mc_ledger_allows(ledger, state->provider, why, sizeof(why)))
        snprintf(detail, sizeof(detail), "%s", why);
    else
        snprintf(detail, sizeof(detail), "%s%s%s", state->detail,
                 unpriced && state->detail[0] ? "; " : "", unpriced ? "no price configured" : "");
    e.detail = detail;
    mc_ledger_today(ledger, state->provider, &e.today);
    write_entry(w, &e);
}

/* Why a provider is not among those that are asked. */
static void write_absent(struct mc_json_writer *w, const struct mc_engine *engine,
                         const char *provider)
{
    bool local = strcmp(provider, "llama_cpp") == 0;
    bool built = !local || mc_local_version()[0] != '\0';
    const struct mc_llm_state state = {.provider = provider,
                                       .state = built ? "off" : "not in this build"};
    struct entry e = {.state = &state};
    if (!built)
        e.detail = "a build with llama.cpp serves local models (docs/dependencies.md)";
    else if (engine->settings.models.explicit_provider)
        e.detail = "llm.provider names another";
    else if (engine->settings.models.builtin_only)
        e.detail = "llm.provider is builtin";
    else if (local)
        e.detail = "set llm.llama_cpp.model_path to a model file in GGUF format";
    else
        e.detail = "set llm.openai.api_key, or llm.openai.base_url to a service of your own";
    write_entry(w, &e);
}

static void write_models(struct mc_json_writer *w, struct mc_engine *engine)
{
    static const char *const PROVIDERS[] = {"llama_cpp", "openai"};
    struct mc_llm_state states[MC_CHAIN_MAX];
    size_t count = mc_models_describe(engine->models, states, mc_countof(states));
    for (size_t i = 0; i < count; i++)
        write_configured(w, engine, &states[i]);
    for (size_t i = 0; i < mc_countof(PROVIDERS); i++) {
        bool configured = false;
        for (size_t k = 0; k < count; k++)
            configured = configured || strcmp(states[k].provider, PROVIDERS[i]) == 0;
        if (!configured)
            write_absent(w, engine, PROVIDERS[i]);
    }
    const struct mc_llm_state builtin = {.provider = "builtin", .state = "ready"};
    write_entry(w, &(struct entry){.state = &builtin, .detail = "rules and word lists, no model"});
}

static void write_embeddings(struct mc_json_writer *w, struct mc_engine *engine)
{
    struct mc_models *models = mc_embeddings_models(engine->embeddings);
    struct mc_llm_state state;
    mc_json_key(w, "embeddings");
    mc_json_begin(w, '{');
    mc_embeddings_write(engine->embeddings, w);
    if (mc_models_describe(models, &state, 1) == 1) {
        mc_json_member_text(w, "provider", state.provider);
        mc_json_member_text(w, "state", state.state);
        mc_json_member_integer(w, "calls", state.total.calls);
        mc_json_member_integer(w, "failures", state.total.failures);
        mc_json_member_integer(w, "tokens_in", state.total.tokens_in);
        mc_json_member_number(w, "cost_usd", usd(state.total.cost_usd));
        member_known(w, "latency_ms", state.latency_us / 1e3, 3);
        mc_json_key(w, "last_error");
        mc_json_put_text(w, state.last_error[0] ? state.last_error : NULL);
    }
    mc_json_end(w, '}');
}

static void write_caps(struct mc_json_writer *w, struct mc_engine *engine)
{
    const struct mc_model_settings *settings = &engine->settings.models;
    struct mc_ledger *ledger = mc_models_ledger(engine->models);
    struct mc_llm_usage today = {0};
    char why[256] = "";
    bool reached = false;
    if (ledger) {
        mc_ledger_today(ledger, NULL, &today);
        reached = !mc_ledger_allows(ledger, "openai", why, sizeof(why));
    }
    mc_json_key(w, "caps");
    mc_json_begin(w, '{');
    member_known(w, "daily_usd", settings->cap_usd, 6);
    member_known(w, "daily_calls", (double)settings->cap_calls, 0);
    mc_json_member_number(w, "cost_today_usd", usd(today.cost_usd));
    mc_json_member_integer(w, "calls_today", today.calls);
    mc_json_member_boolean(w, "reached", reached);
    mc_json_key(w, "resets_at");
    mc_json_put_time(w, (mc_ledger_day(mc_time_now_us()) + 1) * MC_US_PER_DAY);
    mc_json_end(w, '}');
}

enum mc_status mc_models_list(struct mc_engine *engine, char **json, struct mc_error *err)
{
    /* Brings in what other processes asked today. When that fails, what is known is shown. */
    struct mc_error ignored;
    if (engine->models && mc_ledger_flush(mc_models_ledger(engine->models), &ignored))
        mc_log(MC_LOG_DEBUG, "ledger", "%s", ignored.message);
    struct mc_models *embedders = mc_embeddings_models(engine->embeddings);
    if (embedders && mc_ledger_flush(mc_models_ledger(embedders), &ignored))
        mc_log(MC_LOG_DEBUG, "ledger", "%s", ignored.message);
    struct mc_snapshot s;
    mc_snapshot_take(engine, &s);
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    struct mc_json_writer w = mc_json_writer(&buf);
    mc_json_begin(&w, '{');
    mc_json_member_text(&w, "provider", mc_engine_provider(engine));
    mc_json_key(&w, "models");
    mc_json_begin(&w, '[');
    write_models(&w, engine);
    mc_json_end(&w, ']');
    mc_json_key(&w, "enrichment");
    mc_json_begin(&w, '{');
    mc_json_member_integer(&w, "llm", (int64_t)s.llm);
    mc_json_member_integer(&w, "builtin", (int64_t)s.builtin);
    mc_json_member_integer(&w, "trivial", (int64_t)s.trivial);
    const struct mc_stage_stats *stage = &s.queue.stage[MC_STAGE_MODEL];
    mc_json_member_integer(&w, "waiting", stage->ready + stage->leased);
    mc_json_end(&w, '}');
    write_embeddings(&w, engine);
    write_caps(&w, engine);
    mc_json_end(&w, '}');
    return mc_engine_result(&buf, json, err);
}

/* ---- The ledger ---- */

#define DEFAULT_DAYS 30

static enum mc_status read_day(const char *field, mc_str text, int64_t *day, struct mc_error *err)
{
    char time[32];
    int64_t time_us;
    snprintf(time, sizeof(time), "%.*sT00:00:00Z", (int)(text.len < 16 ? text.len : 16), text.data);
    if (text.len != strlen("2026-11-22") || !mc_time_parse(mc_str_of(time), &time_us))
        return mc_fail_field(err, MC_INVALID, field, "'%.*s' is not a day like 2026-11-22",
                             (int)(text.len < 32 ? text.len : 32), text.data);
    *day = mc_ledger_day(time_us);
    return MC_OK;
}

static void write_day(struct mc_json_writer *w, int64_t day)
{
    int year, month, month_day, weekday;
    char text[32];
    mc_time_civil(day * MC_US_PER_DAY, &year, &month, &month_day, &weekday);
    snprintf(text, sizeof(text), "%04d-%02d-%02d", year, month, month_day);
    mc_json_member_text(w, "day", text);
}

static void write_usage(struct mc_json_writer *w, const struct mc_llm_usage *usage)
{
    mc_json_member_integer(w, "calls", usage->calls);
    mc_json_member_integer(w, "failures", usage->failures);
    mc_json_member_integer(w, "tokens_in", usage->tokens_in);
    mc_json_member_integer(w, "tokens_cached", usage->tokens_cached);
    mc_json_member_integer(w, "tokens_out", usage->tokens_out);
    mc_json_member_integer(w, "milliseconds", usage->took_us / 1000);
    mc_json_member_number(w, "cost_usd", usd(usage->cost_usd));
}

struct usage_list {
    struct mc_json_writer w;
    struct mc_llm_usage total;
};

static bool write_row(void *context, const struct mc_usage_row *row)
{
    struct usage_list *list = context;
    const struct mc_llm_usage usage = {
        .calls = row->calls,
        .failures = row->failures,
        .tokens_in = row->tokens_in,
        .tokens_cached = row->tokens_cached,
        .tokens_out = row->tokens_out,
        .took_us = row->took_us,
        .cost_usd = row->cost_usd,
    };
    mc_json_begin(&list->w, '{');
    write_day(&list->w, row->day);
    mc_json_member_string(&list->w, "operation", row->operation);
    mc_json_member_string(&list->w, "provider", row->provider);
    mc_json_member_string(&list->w, "model", row->model);
    write_usage(&list->w, &usage);
    mc_json_end(&list->w, '}');
    mc_llm_usage_add(&list->total, &usage);
    return !list->w.out->failed;
}

enum mc_status mc_usage(struct mc_engine *engine, const struct mc_usage_query *query, char **json,
                        struct mc_error *err)
{
    int64_t last = mc_ledger_day(mc_time_now_us()), first;
    enum mc_status status = MC_OK;
    if (query && mc_str_given(query->last_day))
        status = read_day("last_day", query->last_day, &last, err);
    first = last - DEFAULT_DAYS + 1;
    if (!status && query && mc_str_given(query->first_day))
        status = read_day("first_day", query->first_day, &first, err);
    if (!status && first > last)
        status = mc_fail_field(err, MC_INVALID, "first_day", "the first day is after the last one");
    if (!status && engine->models)
        status = mc_ledger_flush(mc_models_ledger(engine->models), err);
    struct mc_models *embedders = mc_embeddings_models(engine->embeddings);
    if (!status && embedders)
        status = mc_ledger_flush(mc_models_ledger(embedders), err);
    if (status)
        return status;
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    struct usage_list list = {.w = mc_json_writer(&buf)};
    mc_json_begin(&list.w, '{');
    mc_json_key(&list.w, "usage");
    mc_json_begin(&list.w, '[');
    status = engine->store->ops->usage(engine->store, first, last, write_row, &list, err);
    if (status)
        return status;
    if (buf.failed)
        return mc_fail(err, MC_TOO_LARGE, "too many days at once; ask for fewer");
    mc_json_end(&list.w, ']');
    mc_json_key(&list.w, "total");
    mc_json_begin(&list.w, '{');
    write_usage(&list.w, &list.total);
    mc_json_end(&list.w, '}');
    mc_json_end(&list.w, '}');
    return mc_engine_result(&buf, json, err);
}

/* ---- The check ---- */

enum mc_status mc_models_ask(struct mc_engine *engine, int64_t timeout_ms, bool *ok, char **json,
                             struct mc_error *err)
{
    if (timeout_ms <= 0 || timeout_ms > 3600000)
        return mc_fail_field(err, MC_INVALID, "timeout_ms", "timeout_ms must be 1 to 3,600,000");
    struct mc_model_check checks[2 * MC_CHAIN_MAX];
    int64_t timeout_us = timeout_ms * MC_US_PER_MS;
    size_t count = mc_models_check(engine->models, timeout_us, checks, MC_CHAIN_MAX);
    size_t embedders = mc_models_check(mc_embeddings_models(engine->embeddings), timeout_us,
                                       checks + count, MC_CHAIN_MAX);
    count += embedders;
    bool fine = true;
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_RESULT_MAX);
    struct mc_json_writer w = mc_json_writer(&buf);
    mc_json_begin(&w, '{');
    mc_json_key(&w, "checks");
    mc_json_begin(&w, '[');
    for (size_t i = 0; i < count; i++) {
        fine = fine && checks[i].ok;
        mc_json_begin(&w, '{');
        mc_json_member_text(&w, "provider", checks[i].provider);
        mc_json_member_text(&w, "model", checks[i].model);
        mc_json_member_boolean(&w, "ok", checks[i].ok);
        mc_json_member_text(&w, "detail", checks[i].detail);
        mc_json_member_text(&w, "advice", checks[i].advice);
        mc_json_member_fixed(&w, "latency_ms", (double)checks[i].took_us / 1e3, 3);
        mc_json_end(&w, '}');
    }
    mc_json_end(&w, ']');
    mc_json_member_boolean(&w, "ok", fine);
    mc_json_end(&w, '}');
    enum mc_status status = mc_engine_result(&buf, json, err);
    if (!status)
        *ok = fine;
    return status;
}
