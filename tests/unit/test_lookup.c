/* External sources: the registry, asking, sharing, the cache, and what goes wrong. */
#include "tap.h"

#include "base/compiler.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"
#include "context/answer_cache.h"
#include "context/lookup.h"

#define PATIENCE_US (30 * MC_US_PER_SECOND)

static struct mc_vocabulary *vocabulary;
static struct mc_metrics *metrics;

static void must(enum mc_status status, const struct mc_error *err)
{
    if (status)
        bail_out("%s: %s", mc_status_name(status), err->message);
}

/* ---- A source that does as it is told ---- */

struct script {
    mc_mutex mutex; /* guards what follows */
    mc_cond changed;
    bool hold; /* calls wait until it is false */
    bool in_call;
    int calls;
    enum mc_status status;
    bool mute; /* knows nothing */
    char seen[256];
};

static void script_make(struct script *script)
{
    *script = (struct script){0};
    mc_mutex_init(&script->mutex);
    mc_cond_init(&script->changed);
}

static void script_hold(struct script *script, bool hold)
{
    mc_mutex_lock(&script->mutex);
    script->hold = hold;
    mc_cond_broadcast(&script->changed);
    mc_mutex_unlock(&script->mutex);
}

static int script_calls(struct script *script)
{
    mc_mutex_lock(&script->mutex);
    int calls = script->calls;
    mc_mutex_unlock(&script->mutex);
    return calls;
}

static void script_await_call(struct script *script)
{
    int64_t until_us = mc_time_monotonic_us() + PATIENCE_US;
    mc_mutex_lock(&script->mutex);
    while (!script->in_call) {
        if (!mc_cond_wait_until(&script->changed, &script->mutex, until_us))
            bail_out("the source was not asked");
    }
    mc_mutex_unlock(&script->mutex);
}

/* Answers "USER/THREAD/AGENT asks TEXT". */
static enum mc_status play(void *context, const struct mc_source_query *query,
                           struct mc_source_answer *answer, struct mc_error *err)
{
    struct script *script = context;
    char text[256];
    snprintf(text, sizeof(text), "%.*s/%.*s/%.*s asks %.*s", MC_STR_ARG(query->user_id),
             MC_STR_ARG(query->thread_id), MC_STR_ARG(query->agent_id), MC_STR_ARG(query->text));
    mc_mutex_lock(&script->mutex);
    script->calls++;
    script->in_call = true;
    size_t len = 0;
    script->seen[0] = '\0';
    for (size_t i = 0; i < query->topic_count && len < 200; i++)
        len += (size_t)snprintf(script->seen + len, sizeof(script->seen) - len, "%s%.*s",
                                i ? " " : "", MC_STR_ARG(query->topics[i]));
    mc_cond_broadcast(&script->changed);
    while (script->hold)
        mc_cond_wait(&script->changed, &script->mutex);
    script->in_call = false;
    enum mc_status status = script->status;
    bool mute = script->mute;
    mc_mutex_unlock(&script->mutex);
    if (!status && !mute)
        status = mc_source_add(answer, MC_STR("Title"), mc_str_of(text), err);
    return status;
}

/* ---- Asking ---- */

static const mc_str order_topic[] = {{"order", 5}};

static struct mc_source_options source_of(const char *name, mc_source_fn lookup, void *context)
{
    return (struct mc_source_options){
        .name = mc_str_of(name),
        .topics = order_topic,
        .topic_count = 1,
        .lookup = lookup,
        .context = context,
        .timeout_ms = 30000,
    };
}

static void add(struct mc_lookups *lookups, const struct mc_source_options *options)
{
    struct mc_error err;
    must(mc_lookups_register(lookups, options, &err), &err);
}

static struct mc_lookups *lookups_with(const struct mc_source_options *options)
{
    struct mc_lookups *lookups = mc_lookups_new(vocabulary, metrics);
    if (!lookups)
        bail_out("no memory");
    if (options)
        add(lookups, options);
    return lookups;
}

static struct mc_source_query question(const char *user, const char *text)
{
    return (struct mc_source_query){
        .user_id = mc_str_of(user),
        .thread_id = MC_STR("t"),
        .topics = order_topic,
        .topic_count = 1,
        .text = mc_str_of(text),
    };
}

/* What came, as text: "source: title: text (cached); ..., source failed: reason". */
static const char *told(const struct mc_lookup_result *result, char *text, size_t size)
{
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < result->count && len < size; i++) {
        const struct mc_lookup_piece *piece = &result->pieces[i];
        len += (size_t)snprintf(text + len, size - len, "%s%.*s: %.*s: %.*s%s", len ? "; " : "",
                                MC_STR_ARG(piece->source), MC_STR_ARG(piece->title),
                                MC_STR_ARG(piece->text), piece->cached ? " (cached)" : "");
    }
    for (size_t i = 0; i < result->failure_count && len < size; i++)
        len += (size_t)snprintf(text + len, size - len, "%s%.*s failed: %.*s", len ? "; " : "",
                                MC_STR_ARG(result->failures[i].source),
                                MC_STR_ARG(result->failures[i].reason));
    return text;
}

#define TOLD_SIZE 1024

static const char *ask_until(struct mc_lookups *lookups, const struct mc_source_query *query,
                             int64_t deadline_us, char text[TOLD_SIZE])
{
    struct mc_arena arena;
    struct mc_lookup_result result;
    struct mc_error err;
    mc_arena_init(&arena, 64U << 20);
    must(mc_lookups_ask(lookups, query, deadline_us, &arena, &result, &err), &err);
    told(&result, text, TOLD_SIZE);
    mc_arena_fini(&arena);
    return text;
}

static const char *ask(struct mc_lookups *lookups, const struct mc_source_query *query,
                       char text[TOLD_SIZE])
{
    return ask_until(lookups, query, 0, text);
}

/* A round of its own arena, for what a test has under way at the same time. */
struct flight {
    struct mc_arena arena;
    struct mc_lookup_round *round;
};

static void flight_begin(struct flight *flight, struct mc_lookups *lookups,
                         const struct mc_source_query *query)
{
    struct mc_error err;
    mc_arena_init(&flight->arena, 1U << 20);
    must(mc_lookups_begin(lookups, query, 0, &flight->arena, &flight->round, &err), &err);
}

static const char *flight_collect(struct flight *flight, char text[TOLD_SIZE])
{
    struct mc_lookup_result result;
    struct mc_error err;
    must(mc_lookups_collect(flight->round, &result, &err), &err);
    told(&result, text, TOLD_SIZE);
    mc_arena_fini(&flight->arena);
    return text;
}

static void flight_abandon(struct flight *flight)
{
    mc_lookups_abandon(flight->round);
    mc_arena_fini(&flight->arena);
}

static uint64_t counted(enum mc_counter counter)
{
    return mc_metrics_count(metrics, counter);
}

/* ---- Registering ---- */

static void refused(struct mc_lookups *lookups, const struct mc_source_options *options,
                    const char *field, const char *says)
{
    struct mc_error err = {0};
    is_status(mc_lookups_register(lookups, options, &err), MC_INVALID, &err, "refused for %s",
              field);
    is_str(err.field, field, "the field is named");
    ok(strstr(err.message, says) != NULL, "the error says \"%s\": %s", says, err.message);
}

static void test_refused(void)
{
    struct mc_lookups *lookups = lookups_with(NULL);
    struct mc_source_options good = source_of("crm", play, NULL), bad = good;
    bad.name = MC_STR("");
    refused(lookups, &bad, "name", "1 to 64");
    bad.name = MC_STR("two words");
    refused(lookups, &bad, "name", "letters");
    bad.name = MC_STR("12345678901234567890123456789012345678901234567890123456789012345");
    refused(lookups, &bad, "name", "64");
    bad = good;
    bad.description = MC_STR("\xff");
    refused(lookups, &bad, "description", "UTF-8");
    bad = good;
    bad.topic_count = 0;
    refused(lookups, &bad, "topics", "topics");
    static const mc_str odd[] = {{"order", 5}, {"zorbing", 7}};
    bad = good;
    bad.topics = odd;
    bad.topic_count = 2;
    refused(lookups, &bad, "topics", "\"zorbing\"");
    refused(lookups, &bad, "topics", "vocabulary.topics");
    bad = good;
    bad.lookup = NULL;
    refused(lookups, &bad, "lookup", "function");
    bad = good;
    bad.timeout_ms = -1;
    refused(lookups, &bad, "timeout_ms", "60000");
    bad.timeout_ms = 60001;
    refused(lookups, &bad, "timeout_ms", "60000");
    bad = good;
    bad.cache_ttl_ms = INT64_MAX;
    refused(lookups, &bad, "cache_ttl_ms", "30 days");
    ok(!mc_lookups_any(lookups), "nothing was registered");
    ok(!mc_lookups_any(NULL), "nor without a registry");
    mc_lookups_free(lookups);
    mc_lookups_free(NULL);
}

static void test_registry(void)
{
    struct mc_lookups *lookups = lookups_with(NULL);
    struct mc_error err = {0};
    static const mc_str words[] = {{"parcels", 7}, {"Order", 5}, {"shipping", 8}};
    struct mc_source_options options = source_of("orders", play, NULL);
    options.description = MC_STR("What was \"ordered\"");
    options.topics = words;
    options.topic_count = 3;
    add(lookups, &options);
    ok(mc_lookups_any(lookups), "there is a source");
    is_status(mc_lookups_register(lookups, &options, &err), MC_CONFLICT, &err, "the name is taken");

    struct mc_buf json;
    mc_buf_init(&json, 1U << 20);
    mc_lookups_write(lookups, &json);
    is_text(mc_buf_str(&json),
            "{\"sources\":[{\"name\":\"orders\",\"description\":\"What was \\\"ordered\\\"\","
            "\"topics\":[\"shipping\",\"order\"],\"timeout_ms\":30000,\"cache_ttl_ms\":60000,"
            "\"lookups\":0,\"cache_hits\":0,\"failures\":0,\"timeouts\":0,\"mean_ms\":0.000,"
            "\"last_error\":null}]}",
            "synonyms are settled, each topic once");
    mc_buf_fini(&json);

    char name[16];
    for (int i = 1; i < MC_SOURCES_MAX; i++) {
        snprintf(name, sizeof(name), "s%d", i);
        struct mc_source_options more = source_of(name, play, NULL);
        add(lookups, &more);
    }
    struct mc_source_options last = source_of("last", play, NULL);
    refused(lookups, &last, "name", "32 sources");
    struct mc_arena arena;
    mc_str *topics;
    size_t count;
    mc_arena_init(&arena, 1U << 20);
    must(mc_lookups_topics(lookups, &arena, &topics, &count, &err), &err);
    if (is_int(count, 2, "two topics in all")) {
        is_text(topics[0], "shipping", "in the order of registration");
        is_text(topics[1], "order", "each once");
    }
    mc_arena_fini(&arena);
    is_status(mc_lookups_remove(lookups, MC_STR("s1"), &err), MC_OK, &err, "removed");
    is_status(mc_lookups_remove(lookups, MC_STR("s1"), &err), MC_NOT_FOUND, &err, "but once");
    is_status(mc_lookups_register(lookups, &last, &err), MC_OK, &err, "there is room again");
    mc_lookups_free(lookups);
}

/* ---- Answers ---- */

static void test_answers(void)
{
    struct script script;
    script_make(&script);
    struct mc_source_options options = source_of("crm", play, &script);
    struct mc_lookups *lookups = lookups_with(&options);
    struct mc_source_query query = question("ann", "where?");
    char text[TOLD_SIZE];
    uint64_t answers = counted(MC_COUNT_SOURCE_ANSWER), cached = counted(MC_COUNT_SOURCE_CACHED);
    is_str(ask(lookups, &query, text), "crm: Title: ann/t/ asks where?", "answered");
    is_str(ask(lookups, &query, text), "crm: Title: ann/t/ asks where? (cached)", "from the cache");
    is_int(script_calls(&script), 1, "the source was asked once");
    is_int(counted(MC_COUNT_SOURCE_ANSWER) - answers, 1, "one answer is counted");
    is_int(counted(MC_COUNT_SOURCE_CACHED) - cached, 1, "and one from the cache");
    ok(mc_metrics_observed(metrics, MC_TIME_SOURCE_LOOKUP, NULL) > 0, "the time is observed");

    struct mc_source_query other = question("bob", "where?");
    is_str(ask(lookups, &other, text), "crm: Title: bob/t/ asks where?", "another user's is his");
    other = query;
    other.thread_id = MC_STR("t2");
    is_str(ask(lookups, &other, text), "crm: Title: ann/t2/ asks where?", "another thread's too");
    other = query;
    other.agent_id = MC_STR("bot");
    is_str(ask(lookups, &other, text), "crm: Title: ann/t/bot asks where?", "another agent's too");
    other.agent_id = MC_STR("");
    is_str(ask(lookups, &other, text), "crm: Title: ann/t/ asks where? (cached)",
           "an empty agent is none");
    /* The same bytes, parted elsewhere. */
    struct mc_source_query parted = question("ann", "where?");
    parted.thread_id = MC_STR("tb");
    parted.agent_id = MC_STR("ot");
    is_str(ask(lookups, &parted, text), "crm: Title: ann/tb/ot asks where?", "no two keys collide");
    is_int(script_calls(&script), 5, "five different questions");

    static const mc_str unknown[] = {{"zorbing", 7}, {"refund", 6}};
    other = query;
    other.topics = unknown;
    other.topic_count = 2;
    is_str(ask(lookups, &other, text), "", "not asked about what it does not know");
    static const mc_str synonyms[] = {{"zorbing", 7}, {"Ordering", 8}};
    other.topics = synonyms;
    is_str(ask(lookups, &other, text), "crm: Title: ann/t/ asks where? (cached)",
           "synonyms are settled");
    mc_lookups_free(lookups);
}

static void test_several(void)
{
    struct script first, second, third;
    script_make(&first);
    script_make(&second);
    script_make(&third);
    static const mc_str two[] = {{"order", 5}, {"refund", 6}};
    struct mc_source_options options = source_of("one", play, &first);
    struct mc_lookups *lookups = lookups_with(&options);
    options = source_of("two", play, &second);
    options.topics = two;
    options.topic_count = 2;
    add(lookups, &options);
    options = source_of("three", play, &third);
    options.topics = two + 1;
    add(lookups, &options);
    struct mc_source_query query = question("ann", "q");
    char text[TOLD_SIZE];
    is_str(ask(lookups, &query, text), "one: Title: ann/t/ asks q; two: Title: ann/t/ asks q",
           "those concerned, in order of registration");
    is_str(second.seen, "order", "a source is told those of its topics that are asked about");
    static const mc_str turned[] = {{"refund", 6}, {"order", 5}};
    query.topics = turned;
    query.topic_count = 2;
    (void)ask(lookups, &query, text);
    is_str(second.seen, "order refund", "in its own order");
    query.topics = two;
    is_str(ask(lookups, &query, text),
           "one: Title: ann/t/ asks q (cached); two: Title: ann/t/ asks q (cached); "
           "three: Title: ann/t/ asks q (cached)",
           "so that the order of the query's does not matter");
    mc_lookups_free(lookups);
}

static void test_time_to_live(void)
{
    struct script script;
    script_make(&script);
    struct mc_source_options options = source_of("short", play, &script);
    options.cache_ttl_ms = 1;
    struct mc_lookups *lookups = lookups_with(&options);
    struct mc_source_query query = question("ann", "q");
    char text[TOLD_SIZE];
    int64_t until_us = mc_time_monotonic_us() + PATIENCE_US;
    while (script_calls(&script) < 3 && mc_time_monotonic_us() < until_us)
        (void)ask(lookups, &query, text);
    is_int(script_calls(&script), 3, "what is too old is asked again");
    mc_lookups_free(lookups);

    script_make(&script);
    options.cache_ttl_ms = -1;
    lookups = lookups_with(&options);
    (void)ask(lookups, &query, text);
    is_str(ask(lookups, &query, text), "short: Title: ann/t/ asks q", "not cached when so told");
    is_int(script_calls(&script), 2, "asked each time");
    mc_lookups_free(lookups);
}

static void test_nothing_and_failures(void)
{
    struct script script;
    script_make(&script);
    struct mc_source_options options = source_of("crm", play, &script);
    struct mc_lookups *lookups = lookups_with(&options);
    char text[TOLD_SIZE];
    uint64_t empty = counted(MC_COUNT_SOURCE_EMPTY), failed = counted(MC_COUNT_SOURCE_FAILED);
    script.mute = true;
    struct mc_source_query query = question("ann", "nothing");
    is_str(ask(lookups, &query, text), "", "it knows nothing");
    is_str(ask(lookups, &query, text), "", "nor does the cache");
    is_int(script_calls(&script), 1, "which was asked");
    is_int(counted(MC_COUNT_SOURCE_EMPTY) - empty, 1, "and is counted");
    script.status = MC_UNAVAILABLE;
    query = question("ann", "fails");
    is_str(ask(lookups, &query, text), "crm failed: unavailable", "a failure without a word");
    is_str(ask(lookups, &query, text), "crm failed: unavailable", "again");
    is_int(script_calls(&script), 3, "since failures are not cached");
    is_int(counted(MC_COUNT_SOURCE_FAILED) - failed, 2, "and are counted");
    struct mc_buf json;
    mc_buf_init(&json, 1U << 20);
    mc_lookups_write(lookups, &json);
    ok(strstr(json.data, "\"lookups\":3,\"cache_hits\":1,\"failures\":2,\"timeouts\":0"),
       "the list tells: %s", json.data);
    ok(strstr(json.data, "\"last_error\":\"unavailable\""), "and why");
    mc_buf_fini(&json);
    script.status = MC_OK;
    script.mute = false;
    is_str(ask(lookups, &query, text), "crm: Title: ann/t/ asks fails", "and passes");
    mc_lookups_free(lookups);
}

/* ---- Sources that misbehave ---- */

static enum mc_status misbehave(void *context, const struct mc_source_query *query,
                                struct mc_source_answer *answer, struct mc_error *err)
{
    static char big[20 << 10];
    const char *what = query->text.data;
    (void)context;
    if (strcmp(what, "odd status") == 0)
        return (enum mc_status)777;
    if (strcmp(what, "negative status") == 0)
        return (enum mc_status)(-3);
    if (strcmp(what, "unterminated") == 0) {
        memset(err, 'x', sizeof(*err));
        return MC_IO;
    }
    if (strcmp(what, "lines") == 0) {
        snprintf(err->message, sizeof(err->message), " a\nb\xff \n");
        return MC_IO;
    }
    if (strcmp(what, "bad") == 0 || strcmp(what, "bad and good") == 0) {
        is_status(mc_source_add(answer, MC_STR_NONE, MC_STR("a\xc0"), err), MC_INVALID, err,
                  "not UTF-8");
        is_str(err->field, "text", "the field is named");
        is_status(mc_source_add(answer, MC_STR_NONE, MC_STR(" \n"), NULL), MC_INVALID, NULL,
                  "blank");
        is_status(mc_source_add(answer, MC_STR_NONE, (mc_str){NULL, 7}, NULL), MC_INVALID, NULL,
                  "no bytes");
        return strcmp(what, "bad") == 0
                   ? MC_OK
                   : mc_source_add(answer, MC_STR("\xff a\nb"), MC_STR(" fine\n"), err);
    }
    memset(big, 'b', sizeof(big));
    memcpy(big + (16 << 10) - 1, "\xc3\xa4", 2); /* where it is cut */
    for (int i = 0; i < 40; i++) {
        if (mc_source_add(answer, (mc_str){big, 1000}, (mc_str){big, sizeof(big)}, err))
            return MC_IO;
    }
    return strcmp(what, "drop") == 0 ? MC_IO : MC_OK;
}

static void test_misbehaviour(void)
{
    struct mc_source_options options = source_of("odd", misbehave, NULL);
    struct mc_lookups *lookups = lookups_with(&options);
    char text[TOLD_SIZE];
    struct mc_source_query query = question("ann", "odd status");
    is_str(ask(lookups, &query, text), "odd failed: internal error", "an odd status is a failure");
    query.text = MC_STR("negative status");
    is_str(ask(lookups, &query, text), "odd failed: internal error", "a negative one too");
    query.text = MC_STR("unterminated");
    (void)ask(lookups, &query, text);
    ok(strncmp(text, "odd failed: xxxx", 16) == 0 && strlen(text) < 300, "a long message is cut");
    query.text = MC_STR("lines");
    is_str(ask(lookups, &query, text), "odd failed: a b\xef\xbf\xbd", "it is one line of UTF-8");
    query.text = MC_STR("bad");
    is_str(ask(lookups, &query, text),
           "odd failed: all it added was refused: blank, or not valid UTF-8", "nothing good in it");
    query.text = MC_STR("bad and good");
    is_str(ask(lookups, &query, text), "odd: \xef\xbf\xbd a b: fine", "the good part is kept");
    query.text = MC_STR("drop");
    is_str(ask(lookups, &query, text), "odd failed: input or output failed",
           "what was added before a failure is dropped");

    struct mc_arena arena;
    struct mc_lookup_result result;
    struct mc_error err;
    mc_arena_init(&arena, 64U << 20);
    query.text = MC_STR("too much");
    must(mc_lookups_ask(lookups, &query, 0, &arena, &result, &err), &err);
    if (is_int(result.count, 16, "so many pieces are kept")) {
        is_int(result.pieces[15].text.len, (16 << 10) - 1, "of so many bytes, whole characters");
        is_int(result.pieces[15].title.len, 200, "a long title is cut");
    }
    mc_arena_fini(&arena);
    mc_lookups_free(lookups);
}

static void test_long_question(void)
{
    struct script script;
    script_make(&script);
    script.mute = true;
    struct mc_source_options options = source_of("crm", play, &script);
    struct mc_lookups *lookups = lookups_with(&options);
    char *long_text = malloc(1U << 20), text[TOLD_SIZE];
    if (!long_text)
        bail_out("no memory");
    memset(long_text, 'q', 1U << 20);
    struct mc_source_query query = question("ann", "");
    query.text = (mc_str){long_text, 1U << 20};
    (void)ask(lookups, &query, text);
    long_text[1U << 19] = 'x';
    (void)ask(lookups, &query, text);
    is_int(script_calls(&script), 1, "of a long text the middle is not asked");
    long_text[(1U << 20) - 1] = 'x';
    (void)ask(lookups, &query, text);
    is_int(script_calls(&script), 2, "the end is");
    long_text[0] = 'x';
    (void)ask(lookups, &query, text);
    is_int(script_calls(&script), 3, "and the beginning");
    free(long_text);
    mc_lookups_free(lookups);
}

/* ---- Waiting ---- */

static void test_timeout(void)
{
    struct script script;
    script_make(&script);
    script.hold = true;
    struct mc_source_options options = source_of("slow", play, &script);
    options.timeout_ms = 2;
    struct mc_lookups *lookups = lookups_with(&options);
    struct mc_source_query query = question("ann", "q");
    char text[TOLD_SIZE];
    uint64_t timeouts = counted(MC_COUNT_SOURCE_TIMEOUT);
    struct flight flight;
    flight_begin(&flight, lookups, &query);
    script_await_call(&script); /* else nobody might wait for it when its turn comes */
    is_str(flight_collect(&flight, text), "slow failed: no answer within 2 ms", "no longer");
    is_int(counted(MC_COUNT_SOURCE_TIMEOUT) - timeouts, 1, "counted");
    is_str(ask(lookups, &query, text), "slow failed: no answer within 2 ms", "it still runs");
    script_hold(&script, false);
    int64_t until_us = mc_time_monotonic_us() + PATIENCE_US;
    do
        (void)ask(lookups, &query, text);
    while (strstr(text, "failed") && mc_time_monotonic_us() < until_us);
    is_str(ask(lookups, &query, text), "slow: Title: ann/t/ asks q (cached)",
           "the late answer is in the cache");
    is_int(script_calls(&script), 1, "of the one call");
    mc_lookups_free(lookups);
}

static void test_deadline(void)
{
    struct script script;
    script_make(&script);
    script.hold = true;
    struct mc_source_options options = source_of("slow", play, &script);
    struct mc_lookups *lookups = lookups_with(&options);
    struct mc_source_query first = question("ann", "first"), second = question("ann", "second");
    struct mc_source_query third = question("ann", "third");
    char text[TOLD_SIZE];
    struct flight flight, later;
    flight_begin(&flight, lookups, &first);
    script_await_call(&script);
    is_str(ask_until(lookups, &second, mc_time_monotonic_us(), text),
           "slow failed: no answer before the deadline", "no longer than the deadline");
    flight_begin(&later, lookups, &third);
    script_hold(&script, false);
    is_str(flight_collect(&later, text), "slow: Title: ann/t/ asks third", "the third is answered");
    is_str(flight_collect(&flight, text), "slow: Title: ann/t/ asks first", "and the first");
    is_int(script_calls(&script), 2, "the second, which nobody waits for, was not asked");
    is_str(ask_until(lookups, &first, 1, text), "slow: Title: ann/t/ asks first (cached)",
           "what is cached comes after the deadline too");
    mc_lookups_free(lookups);
}

#define SHARERS 20

static void test_shared(void)
{
    struct script script;
    script_make(&script);
    script.hold = true;
    struct mc_source_options options = source_of("crm", play, &script);
    struct mc_lookups *lookups = lookups_with(&options);
    struct mc_source_query query = question("ann", "q"), other = question("bob", "q");
    static struct flight flights[SHARERS];
    struct flight bobs;
    char text[TOLD_SIZE];
    for (size_t i = 0; i < SHARERS; i++)
        flight_begin(&flights[i], lookups, &query);
    flight_begin(&bobs, lookups, &other);
    script_await_call(&script);
    flight_abandon(&flights[0]); /* who goes takes nothing from the others */
    script_hold(&script, false);
    int same = 0;
    for (size_t i = 1; i < SHARERS; i++)
        same += strcmp(flight_collect(&flights[i], text), "crm: Title: ann/t/ asks q") == 0;
    is_int(same, SHARERS - 1, "all have the answer");
    is_str(flight_collect(&bobs, text), "crm: Title: bob/t/ asks q", "another user has his own");
    is_int(script_calls(&script), 2, "of one call each");
    mc_lookups_free(lookups);
}

static void test_busy(void)
{
    struct script script;
    script_make(&script);
    script.hold = true;
    struct mc_source_options options = source_of("crm", play, &script);
    struct mc_lookups *lookups = lookups_with(&options);
    static struct flight flights[MC_LOOKUP_QUEUE + 1];
    char text[TOLD_SIZE], asked[16];
    for (size_t i = 0; i <= MC_LOOKUP_QUEUE; i++) {
        snprintf(asked, sizeof(asked), "q%zu", i);
        struct mc_source_query query = question("ann", asked);
        flight_begin(&flights[i], lookups, &query);
        if (i == 0)
            script_await_call(&script);
    }
    struct mc_source_query more = question("ann", "more"), same = question("ann", "q7");
    is_str(ask(lookups, &more, text), "crm failed: busy: too many questions are waiting", "busy");
    struct flight sharer;
    flight_begin(&sharer, lookups, &same);
    for (size_t i = 1; i <= MC_LOOKUP_QUEUE; i++)
        flight_abandon(&flights[i]);
    struct flight last;
    flight_begin(&last, lookups, &more);
    script_hold(&script, false);
    is_str(flight_collect(&flights[0], text), "crm: Title: ann/t/ asks q0",
           "the first is answered");
    is_str(flight_collect(&sharer, text), "crm: Title: ann/t/ asks q7", "one that is shared too");
    is_str(flight_collect(&last, text), "crm: Title: ann/t/ asks more", "there is room again");
    is_int(script_calls(&script), 3, "the others had gone");
    mc_lookups_free(lookups);
}

/* ---- Removing and forgetting ---- */

struct removal {
    struct mc_lookups *lookups;
    struct script *script;
    bool too_early;
    const char *name;
    enum mc_status status;
};

static void *remove_it(void *context)
{
    struct removal *removal = context;
    removal->status = mc_lookups_remove(removal->lookups, mc_str_of(removal->name), NULL);
    mc_mutex_lock(&removal->script->mutex);
    removal->too_early = removal->script->in_call;
    mc_mutex_unlock(&removal->script->mutex);
    return NULL;
}

static void test_removal(void)
{
    struct script script;
    script_make(&script);
    script.hold = true;
    struct mc_source_options options = source_of("crm", play, &script);
    struct mc_lookups *lookups = lookups_with(&options);
    struct mc_source_query first = question("ann", "first"), second = question("ann", "second");
    struct flight running, waiting;
    char text[TOLD_SIZE];
    flight_begin(&running, lookups, &first);
    script_await_call(&script);
    flight_begin(&waiting, lookups, &second);

    struct removal removal = {
        .lookups = lookups, .script = &script, .name = "crm", .status = MC_INTERNAL};
    pthread_t thread;
    struct mc_error err;
    must(mc_thread_start(&thread, "remover", remove_it, &removal, &err), &err);
    is_str(flight_collect(&waiting, text), "crm failed: the source was removed",
           "what waits fails at once");
    ok(!mc_lookups_any(lookups), "the source is gone");
    is_str(ask(lookups, &first, text), "", "and not asked any more");
    add(lookups, &options); /* the name is free, the function of the old one still runs */
    script_hold(&script, false);
    is_str(flight_collect(&running, text), "crm: Title: ann/t/ asks first",
           "what runs is answered");
    mc_thread_join(thread);
    is_int(removal.status, MC_OK, "and removed");
    ok(!removal.too_early, "after it was waited for");
    is_str(ask(lookups, &first, text), "crm: Title: ann/t/ asks first",
           "the new source shares no answers with the old one");
    is_status(mc_lookups_remove(lookups, MC_STR("crm"), &err), MC_OK, &err, "removed when idle");
    add(lookups, &options);
    is_str(ask(lookups, &first, text), "crm: Title: ann/t/ asks first", "which forgets as well");
    flight_begin(&running, lookups, &second);
    flight_abandon(&running);
    mc_lookups_abandon(NULL);
    mc_lookups_free(lookups);
}

static void *let_go(void *context)
{
    struct script *script = context;
    script_await_call(script);
    script_hold(script, false);
    return NULL;
}

static void test_free_waits(void)
{
    struct script script;
    script_make(&script);
    script.hold = true;
    struct mc_source_options options = source_of("crm", play, &script);
    struct mc_lookups *lookups = lookups_with(&options);
    struct mc_source_query query = question("ann", "q");
    struct flight flight;
    struct mc_error err;
    pthread_t thread;
    flight_begin(&flight, lookups, &query);
    script_await_call(&script);
    flight_abandon(&flight);
    must(mc_thread_start(&thread, "releaser", let_go, &script, &err), &err);
    mc_lookups_free(lookups);
    ok(!script.in_call, "freeing waits for what runs");
    mc_thread_join(thread);
}

static enum mc_status remove_self(void *context, const struct mc_source_query *query,
                                  struct mc_source_answer *answer, struct mc_error *err)
{
    (void)query;
    (void)answer;
    return mc_lookups_remove(context, MC_STR("self"), err);
}

static void test_removal_of_itself(void)
{
    struct mc_lookups *lookups = lookups_with(NULL);
    struct mc_source_options options = source_of("self", remove_self, lookups);
    add(lookups, &options);
    struct mc_source_query query = question("ann", "q");
    char text[TOLD_SIZE];
    ok(strstr(ask(lookups, &query, text), "remove it from another one"), "refused: %s", text);
    ok(mc_lookups_any(lookups), "it is still there");
    mc_lookups_free(lookups);
}

static void test_forget(void)
{
    struct script script;
    script_make(&script);
    struct mc_source_options options = source_of("crm", play, &script);
    struct mc_lookups *lookups = lookups_with(&options);
    struct mc_source_query ann = question("ann", "q"), bob = question("bob", "q");
    struct mc_source_query late = question("ann", "late"), later = question("ann", "later");
    char text[TOLD_SIZE];
    (void)ask(lookups, &ann, text);
    (void)ask(lookups, &bob, text);
    script_hold(&script, true);
    struct flight running, waiting, again;
    flight_begin(&running, lookups, &late);
    script_await_call(&script);
    flight_begin(&waiting, lookups, &later);
    mc_lookups_forget(lookups, MC_STR("ann"));
    flight_begin(&again, lookups, &late);
    script_hold(&script, false);
    (void)flight_collect(&running, text);
    (void)flight_collect(&waiting, text);
    is_str(flight_collect(&again, text), "crm: Title: ann/t/ asks late",
           "asked after it: answered");
    is_int(script_calls(&script), 5, "by a call of its own");
    is_str(ask(lookups, &ann, text), "crm: Title: ann/t/ asks q", "what was known is forgotten");
    is_str(ask(lookups, &later, text), "crm: Title: ann/t/ asks later",
           "what was being asked was not kept");
    is_str(ask(lookups, &bob, text), "crm: Title: bob/t/ asks q (cached)", "another user's was");
    mc_lookups_free(lookups);
}

/* ---- The cache ---- */

static mc_str key_of(int i, char text[16])
{
    snprintf(text, 16, "k%d", i);
    return mc_str_of(text);
}

static void test_cache(void)
{
    struct mc_answer_cache cache;
    char key[16];
    mc_answer_cache_init(&cache);
    struct mc_source_answer *answer = mc_answer_new();
    if (!answer || mc_answer_add(answer, MC_STR_NONE, MC_STR("x"), NULL))
        bail_out("no memory");
    mc_answer_cache_put(&cache, MC_STR("a"), MC_STR("ann"), 1, answer, 100);
    ok(mc_answer_cache_get(&cache, MC_STR("a"), 99) == answer, "there before its time");
    ok(!mc_answer_cache_get(&cache, MC_STR("a"), 100), "gone at its time");
    is_int(cache.bytes, 0, "with its memory");
    mc_answer_cache_put(&cache, MC_STR("a"), MC_STR("ann"), 1, answer, 100);
    size_t bytes = cache.bytes;
    mc_answer_cache_put(&cache, MC_STR("a"), MC_STR("ann"), 1, answer, 200);
    is_int(cache.bytes, bytes, "replaced");
    ok(mc_answer_cache_get(&cache, MC_STR("a"), 150) == answer, "by the newer");
    for (int i = 0; i < MC_ANSWER_CACHE_COUNT; i++) {
        mc_answer_cache_put(&cache, key_of(i, key), MC_STR(""), i % 2 ? 7 : 8, answer, 100);
        if (i == 500)
            ok(mc_answer_cache_get(&cache, MC_STR("a"), 0), "used");
    }
    is_int(cache.count, MC_ANSWER_CACHE_COUNT, "no more than so many");
    ok(mc_answer_cache_get(&cache, MC_STR("a"), 0), "what was used stays");
    ok(!mc_answer_cache_get(&cache, MC_STR("k0"), 0), "what was not goes");
    mc_answer_cache_forget_source(&cache, 7);
    is_int(cache.count, MC_ANSWER_CACHE_COUNT / 2, "a source is forgotten");
    mc_answer_cache_forget_user(&cache, MC_STR("ann"));
    is_int(cache.count, MC_ANSWER_CACHE_COUNT / 2 - 1, "a user too");
    mc_answer_cache_fini(&cache);
    mc_answer_unref(answer);
    mc_answer_unref(NULL);
}

static void test_cache_bytes(void)
{
    static char big[16 << 10];
    struct mc_answer_cache cache;
    char key[16];
    mc_answer_cache_init(&cache);
    memset(big, 'b', sizeof(big));
    for (int i = 0; i < 100; i++) {
        struct mc_source_answer *answer = mc_answer_new();
        if (!answer)
            bail_out("no memory");
        for (int k = 0; k < MC_ANSWER_PIECES; k++) {
            if (mc_answer_add(answer, MC_STR_NONE, (mc_str){big, sizeof(big)}, NULL))
                bail_out("no memory");
        }
        mc_answer_cache_put(&cache, key_of(i, key), MC_STR("ann"), 1, answer, 100);
        mc_answer_unref(answer);
    }
    ok(cache.bytes <= MC_ANSWER_CACHE_BYTES, "no more bytes than allowed: %zu", cache.bytes);
    is_int(cache.count, 31, "which is so many of the largest answers");
    ok(mc_answer_cache_get(&cache, MC_STR("k99"), 0), "the newest are there");
    ok(!mc_answer_cache_get(&cache, MC_STR("k50"), 0), "older ones are not");
    mc_answer_cache_fini(&cache);
}

/* ---- Many threads ---- */

#define THREADS 8
#define ROUNDS 300

struct crowd {
    struct mc_lookups *lookups;
    struct script *script;
    int number;
    int wrong;
    int answers;
};

static bool is_his(const struct mc_lookup_result *result, const char *user)
{
    for (size_t i = 0; i < result->count; i++) {
        if (!mc_str_starts(result->pieces[i].text, mc_str_of(user)))
            return false;
    }
    return true;
}

static void *ask_much(void *context)
{
    struct crowd *crowd = context;
    struct mc_arena arena;
    char user[16], text[16];
    mc_arena_init(&arena, 16U << 20);
    for (int i = 0; i < ROUNDS; i++) {
        struct mc_lookup_result result;
        snprintf(user, sizeof(user), "u%d/", (crowd->number + i) % 3);
        snprintf(text, sizeof(text), "q%d", i % 5);
        struct mc_source_query query = question(user, text);
        query.user_id.len--;
        int64_t deadline_us = i % 7 ? 0 : mc_time_monotonic_us() + 50;
        if (mc_lookups_ask(crowd->lookups, &query, deadline_us, &arena, &result, NULL))
            crowd->wrong++;
        else
            crowd->wrong += !is_his(&result, user);
        crowd->answers += result.count > 0;
        if (i % 11 == 0)
            mc_lookups_forget(crowd->lookups, query.user_id);
        if (i % 13 == 0) {
            struct mc_source_options options = source_of("guest", play, crowd->script);
            enum mc_status status = mc_lookups_register(crowd->lookups, &options, NULL);
            crowd->wrong += status != MC_OK && status != MC_CONFLICT;
            status = mc_lookups_remove(crowd->lookups, MC_STR("guest"), NULL);
            crowd->wrong += status != MC_OK && status != MC_NOT_FOUND;
        }
        mc_arena_reset(&arena);
    }
    mc_arena_fini(&arena);
    return NULL;
}

static void test_many_threads(void)
{
    struct script script;
    script_make(&script);
    struct mc_source_options options = source_of("one", play, &script);
    options.cache_ttl_ms = 1;
    struct mc_lookups *lookups = lookups_with(&options);
    options.name = MC_STR("two");
    options.cache_ttl_ms = 0;
    add(lookups, &options);
    static struct crowd crowd[THREADS];
    pthread_t threads[THREADS];
    struct mc_error err;
    for (int i = 0; i < THREADS; i++) {
        crowd[i] = (struct crowd){.lookups = lookups, .script = &script, .number = i};
        must(mc_thread_start(&threads[i], "asker", ask_much, &crowd[i], &err), &err);
    }
    int wrong = 0, answers = 0;
    for (int i = 0; i < THREADS; i++) {
        mc_thread_join(threads[i]);
        wrong += crowd[i].wrong;
        answers += crowd[i].answers;
    }
    is_int(wrong, 0, "every answer was of the user who asked");
    ok(answers > THREADS * ROUNDS / 2, "%d answers", answers);
    mc_lookups_free(lookups);
}

int main(void)
{
    struct mc_error err;
    must(mc_vocabulary_new(&vocabulary, &err), &err);
    metrics = mc_metrics_new();
    if (!metrics)
        bail_out("no memory");
    test_refused();
    test_registry();
    test_answers();
    test_several();
    test_time_to_live();
    test_nothing_and_failures();
    test_misbehaviour();
    test_long_question();
    test_timeout();
    test_deadline();
    test_shared();
    test_busy();
    test_removal();
    test_free_waits();
    test_removal_of_itself();
    test_forget();
    test_cache();
    test_cache_bytes();
    test_many_threads();
    mc_metrics_free(metrics);
    mc_vocabulary_free(vocabulary);
    return done_testing();
}
