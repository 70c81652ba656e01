/* See llm/openai.h: the options, the state of the provider, what it has learned of the server. */
#include "llm/openai.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "base/time.h"
#include "base/utf8.h"
#include "llm/openai_provider.h"

#define RETRIES_MAX 20
#define IN_FLIGHT_MAX 16
#define CHAT_BATCH_MAX 16
#define LATELY 0.2 /* the weight of the newest request in a mean */
#define JOIN_GOOD 16
#define URL_MAX ((size_t)4096)
#define KEY_BEGINNING 4 /* bytes of the key that are taken for one that was cut */

static struct mc_openai *openai_of(struct mc_llm *llm)
{
    return mc_container_of(llm, struct mc_openai, llm);
}

static void free_openai(struct mc_openai *openai)
{
    if (!openai)
        return;
    mc_net_close(openai->net);
    mc_mutex_fini(&openai->mutex);
    if (openai->api_key)
        explicit_bzero(openai->api_key, strlen(openai->api_key));
    if (openai->authorization)
        explicit_bzero(openai->authorization, strlen(openai->authorization));
    free(openai->api_key);
    free(openai->authorization);
    free(openai->url);
    free(openai->place);
    free(openai->model);
    free(openai);
}

static void close_openai(struct mc_llm *llm)
{
    free_openai(openai_of(llm));
}

static bool count_tokens(struct mc_llm *llm, mc_str text, size_t *tokens)
{
    (void)llm;
    (void)text;
    (void)tokens;
    return false; /* the tokenizer is the service's */
}

static size_t describe(struct mc_llm *llm, struct mc_llm_state *states, size_t max)
{
    struct mc_openai *openai = openai_of(llm);
    if (max == 0)
        return 0;
    int64_t now_us = mc_time_monotonic_us();
    struct mc_llm_state state = {.provider = "openai", .parallel = llm->parallel};
    snprintf(state.model, sizeof(state.model), "%s", openai->model);
    mc_mutex_lock(&openai->mutex);
    bool failed = openai->failed;
    bool pausing = openai->pause_until_us > now_us;
    state.state = failed ? "failed" : "ready";
    state.total = openai->total;
    state.tokens_out_per_s = openai->tokens_per_s;
    state.latency_us = openai->latency_us;
    state.retry_at_us = pausing ? openai->pause_until_us : 0;
    snprintf(state.last_error, sizeof(state.last_error), "%s", openai->last_error);
    state.last_error_us = openai->last_error_us;
    mc_mutex_unlock(&openai->mutex);
    if (failed)
        snprintf(state.detail, sizeof(state.detail), "%s", state.last_error);
    else if (pausing)
        snprintf(state.detail, sizeof(state.detail), "the service wants no request for %.0f s",
                 (double)(state.retry_at_us - now_us) / (double)MC_US_PER_SECOND);
    else if (openai->in_clear)
        snprintf(state.detail, sizeof(state.detail),
                 "%s.base_url is not https: the key can be read on its way",
                 mc_openai_section(openai->embeddings));
    *states = state;
    return 1;
}

static const struct mc_llm_ops openai_ops = {.name = "openai",
                                             .close = close_openai,
                                             .generate = mc_openai_generate,
                                             .count_tokens = count_tokens,
                                             .describe = describe};

/* The text without a beginning of the key at its end, where it may have been cut. */
static mc_str without_beginning(mc_str text, mc_str key)
{
    size_t most = key.len < text.len ? key.len : text.len;
    for (size_t len = most; len >= KEY_BEGINNING; len--) {
        if (memcmp(text.data + text.len - len, key.data, len) == 0)
            return (mc_str){text.data, text.len - len};
    }
    return text;
}

void mc_openai_scrub(const struct mc_openai *openai, const char *text,
                     char line[MC_OPENAI_REASON_SIZE])
{
    static const char stars[] = "***";
    mc_str key = mc_str_of(openai->api_key);
    mc_str rest = mc_utf8_cut(mc_str_of(text), 2 * MC_OPENAI_REASON_SIZE);
    mc_auto(mc_buf_fini) struct mc_buf clean;
    mc_buf_init(&clean, sizeof(stars) * (rest.len + 1));
    const char *found;
    while (key.len > 0 && (found = memmem(rest.data, rest.len, key.data, key.len))) {
        size_t before = (size_t)(found - rest.data);
        mc_buf_append(&clean, (mc_str){rest.data, before});
        mc_buf_text(&clean, stars);
        rest = (mc_str){found + key.len, rest.len - before - key.len};
    }
    mc_str whole = without_beginning(rest, key);
    mc_buf_append(&clean, whole);
    mc_buf_text(&clean, whole.len < rest.len ? stars : "");
    (void)mc_utf8_line(mc_buf_str(&clean), line, MC_OPENAI_REASON_SIZE);
}

/* Whether that is new. */
static bool learn(struct mc_openai_dialect *known, const struct mc_openai_dialect *taken)
{
    struct mc_openai_dialect before = *known;
    if (taken->format > known->format)
        known->format = taken->format;
    if (taken->limit > known->limit)
        known->limit = taken->limit;
    known->no_temperature = known->no_temperature || taken->no_temperature;
    return before.format != known->format || before.limit != known->limit ||
           before.no_temperature != known->no_temperature;
}

static void report(const struct mc_openai *openai, const struct mc_openai_dialect *dialect)
{
    static const char *const formats[] = {"json_schema", "json_schema without lengths",
                                          "json_object", "no response_format"};
    static const char *const limits[] = {"max_tokens", "max_completion_tokens", "no limit"};
    mc_log(MC_LOG_INFO, "llm", "%s takes %s, %s%s", openai->place, formats[dialect->format],
           limits[dialect->limit], dialect->no_temperature ? ", no temperature" : "");
}

static double lately(double mean, double value)
{
    return mean > 0 ? mean + LATELY * (value - mean) : value;
}

/* Fewer calls go together where they were too many, and after a while more again. */
static void adapt(struct mc_openai *openai, const struct mc_openai_outcome *outcome)
{
    bool good = outcome->status == MC_OK && outcome->count == openai->join;
    if (outcome->too_many && outcome->count > 1) {
        openai->join = outcome->count / 2;
        openai->join_good = 0;
    } else if (good && openai->join < openai->batch && ++openai->join_good >= JOIN_GOOD) {
        openai->join = 2 * openai->join < openai->batch ? 2 * openai->join : openai->batch;
        openai->join_good = 0;
    }
}

void mc_openai_note(struct mc_openai *openai, const struct mc_openai_outcome *outcome)
{
    const struct mc_llm_usage *usage = &outcome->usage;
    double seconds = (double)usage->took_us / (double)MC_US_PER_SECOND;
    mc_mutex_lock(&openai->mutex);
    mc_llm_usage_add(&openai->total, usage);
    bool news = outcome->taken && learn(&openai->dialect, outcome->taken);
    struct mc_openai_dialect dialect = openai->dialect;
    adapt(openai, outcome);
    if (outcome->pause_until_us > openai->pause_until_us) {
        openai->pause_until_us = outcome->pause_until_us;
        openai->pause_status = outcome->status;
    }
    openai->failed = outcome->status == MC_UNAUTHENTICATED || outcome->status == MC_CONFIG;
    if (outcome->status == MC_OK && usage->took_us > 0) {
        openai->latency_us = lately(openai->latency_us, (double)usage->took_us);
        if (usage->tokens_out > 0)
            openai->tokens_per_s =
                lately(openai->tokens_per_s, (double)usage->tokens_out / seconds);
    }
    if (outcome->status != MC_OK && outcome->message) {
        (void)mc_utf8_line(mc_str_of(outcome->message), openai->last_error,
                           sizeof(openai->last_error));
        openai->last_error_us = mc_time_now_us();
    }
    mc_mutex_unlock(&openai->mutex);
    if (news)
        report(openai, &dialect);
}

/* The host of a base_url that was checked. */
static mc_str host_of(const char *base_url)
{
    mc_str rest = mc_str_of(strstr(base_url, "://") + 3);
    mc_str authority, host = MC_STR_NONE;
    (void)mc_str_split(&rest, '/', &authority);
    while (mc_str_split(&authority, '@', &host))
        continue;
    const char *bracket =
        host.len > 0 && host.data[0] == '[' ? memchr(host.data, ']', host.len) : NULL;
    if (bracket)
        return (mc_str){host.data + 1, (size_t)(bracket - host.data) - 1};
    rest = host;
    (void)mc_str_split(&rest, ':', &host);
    return host;
}

static bool is_printable(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text <= 0x20 || (unsigned char)*text == 0x7f)
            return false;
    }
    return true;
}

const char *mc_openai_section(bool embeddings)
{
    return embeddings ? "embeddings.openai" : "llm.openai";
}

/* The name of an option of the section. */
struct field {
    char name[64];
};
static struct field field_of(const struct mc_openai_options *options, const char *option)
{
    struct field field;
    snprintf(field.name, sizeof(field.name), "%s.%s", mc_openai_section(options->embeddings),
             option);
    return field;
}

static enum mc_status check_url(const char *url, const char *field, struct mc_error *err)
{
    bool web = url && (strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0);
    if (!web || !is_printable(url) || strlen(url) > URL_MAX || host_of(url).len == 0)
        return mc_fail_field(err, MC_CONFIG, field,
                             "%s must be a URL such as https://api.openai.com/v1", field);
    if (strpbrk(url, "?#"))
        return mc_fail_field(err, MC_CONFIG, field,
                             "%s must end with its path, without '?' and '#'", field);
    return MC_OK;
}

static enum mc_status check_range(const struct mc_openai_options *options, const char *option,
                                  int64_t value, int64_t low, int64_t high, struct mc_error *err)
{
    if (value >= low && value <= high)
        return MC_OK;
    struct field field = field_of(options, option);
    return mc_fail_field(err, MC_CONFIG, field.name, "%s must be between %lld and %lld", field.name,
                         (long long)low, (long long)high);
}

static enum mc_status check_texts(const struct mc_openai_options *options, struct mc_error *err)
{
    enum mc_status status = check_url(options->base_url, field_of(options, "base_url").name, err);
    if (status != MC_OK)
        return status;
    struct field model = field_of(options, "model"), key = field_of(options, "api_key");
    if (!options->model || !*options->model)
        return mc_fail_field(err, MC_CONFIG, model.name, "%s must name a model", model.name);
    if (options->api_key && !is_printable(options->api_key))
        return mc_fail_field(err, MC_CONFIG, key.name,
                             "%s has a space or a line break in it: check OPENAI_API_KEY",
                             key.name);
    return MC_OK;
}

static enum mc_status check(const struct mc_openai_options *options, struct mc_error *err)
{
    const struct {
        const char *option;
        int64_t value, low, high;
    } RANGES[] = {
        {"timeout", options->timeout_us, 1, INT64_MAX / 4},
        {"max_retries", options->max_retries, 0, RETRIES_MAX},
        {"batch", (int64_t)options->batch, 1,
         options->embeddings ? MC_OPENAI_BATCH_MAX : CHAT_BATCH_MAX},
        {"in_flight", (int64_t)options->in_flight, 1, IN_FLIGHT_MAX},
    };
    enum mc_status status = check_texts(options, err);
    for (size_t i = 0; status == MC_OK && i < mc_countof(RANGES); i++)
        status = check_range(options, RANGES[i].option, RANGES[i].value, RANGES[i].low,
                             RANGES[i].high, err);
    return status;
}

/* "scheme://host/path" of the base_url, without the user and password that may be in it. */
static char *place_of(const char *base_url)
{
    const char *authority = strstr(base_url, "://") + 3;
    const char *path = authority + strcspn(authority, "/");
    const char *host = memrchr(authority, '@', (size_t)(path - authority));
    host = host ? host + 1 : authority;
    struct mc_buf text;
    mc_buf_init(&text, URL_MAX);
    mc_buf_append(&text, (mc_str){base_url, (size_t)(authority - base_url)});
    mc_buf_text(&text, host);
    char *place = mc_buf_take(&text, NULL);
    mc_buf_fini(&text);
    return place;
}

static char *join(const char *before, mc_str text, const char *after)
{
    struct mc_buf joined;
    mc_buf_init(&joined, 2 * URL_MAX);
    mc_buf_text(&joined, before);
    mc_buf_append(&joined, text);
    mc_buf_text(&joined, after);
    char *made = mc_buf_take(&joined, NULL);
    mc_buf_fini(&joined);
    return made;
}

static bool is_loopback(mc_str host)
{
    return mc_str_equal_nocase(host, MC_STR("localhost")) || mc_str_equal(host, MC_STR("::1")) ||
           mc_str_starts(host, MC_STR("127."));
}

static bool copy_options(struct mc_openai *openai, const struct mc_openai_options *options)
{
    const char *key = options->api_key ? options->api_key : "";
    mc_str base = mc_str_of(options->base_url);
    mc_str host = host_of(options->base_url);
    while (base.len > 0 && base.data[base.len - 1] == '/')
        base.len--;
    openai->api_key = strdup(key);
    openai->authorization = *key ? join("Authorization: Bearer ", mc_str_of(key), "") : strdup("");
    openai->url = join("", base, options->embeddings ? "/embeddings" : "/chat/completions");
    openai->place = place_of(options->base_url);
    openai->model = strdup(options->model);
    openai->in_clear = *key && strncmp(options->base_url, "http://", 7) == 0 && !is_loopback(host);
    openai->timeout_us = options->timeout_us;
    openai->max_retries = options->max_retries;
    openai->batch = openai->join = options->batch;
    openai->in_flight = options->in_flight;
    openai->embeddings = options->embeddings;
    openai->dimensions = options->dimensions;
    openai->price_in = options->price_in;
    openai->price_out = options->price_out;
    /* These are known to refuse lengths; to ask costs a request. */
    if (mc_str_ends(host, MC_STR("openai.com")) || mc_str_ends(host, MC_STR("openai.azure.com")))
        openai->dialect.format = MC_OPENAI_PORTABLE;
    return openai->api_key && openai->authorization && openai->url && openai->place &&
           openai->model;
}

enum mc_status mc_openai_open(const struct mc_openai_options *options, struct mc_llm **llm,
                              struct mc_error *err)
{
    enum mc_status status = check(options, err);
    if (status != MC_OK)
        return status;
    struct mc_openai *openai = calloc(1, sizeof(*openai));
    if (!openai)
        return mc_fail_memory(err);
    mc_mutex_init(&openai->mutex);
    openai->llm =
        (struct mc_llm){.ops = &openai_ops, .parallel = options->batch * options->in_flight};
    struct mc_net_options net = {.ca_file = options->ca_file};
    status =
        copy_options(openai, options) ? mc_net_open(&net, &openai->net, err) : mc_fail_memory(err);
    if (status == MC_OK)
        *llm = &openai->llm;
    else
        free_openai(openai);
    return status;
}
