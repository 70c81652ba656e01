/*
 * Out of memory in the engine: each call is repeated with its first, second, third ... allocation
 * failing, until it succeeds. A failure must say that memory is short, leak nothing, and leave nothing
 * half done: a message is stored with its job, or not at all.
 *
 * malloc and its like are replaced in this program, so that SQLite and the other libraries are covered
 * too; only the calling thread's allocations fail. The sanitizers replace malloc themselves, and
 * there the test is skipped.
 */
#include "tap.h"

#include <errno.h>
#include <stdatomic.h>

#include "engine/engine.h"
#include "support/engine.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

#if defined(SANITIZED) || !defined(__GLIBC__)
int main(void)
{
    skip("malloc cannot be replaced in this build");
    return done_testing();
}
#else

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

static _Thread_local int until_failure = -1; /* allocations that still succeed; negative: all */
static atomic_long live;                     /* blocks */

static bool fails(void)
{
    if (until_failure < 0)
        return false;
    if (until_failure == 0) {
        errno = ENOMEM;
        return true;
    }
    until_failure--;
    return false;
}

/* Seen by the shared libraries too, though the project hides its symbols. */
#pragma GCC visibility push(default)

void *malloc(size_t size)
{
    void *memory = fails() ? NULL : __libc_malloc(size);
    atomic_fetch_add(&live, memory ? 1 : 0);
    return memory;
}

void *calloc(size_t count, size_t size)
{
    void *memory = fails() ? NULL : __libc_calloc(count, size);
    atomic_fetch_add(&live, memory ? 1 : 0);
    return memory;
}

void *realloc(void *memory, size_t size)
{
    void *larger = fails() ? NULL : __libc_realloc(memory, size);
    atomic_fetch_add(&live, larger && !memory ? 1 : 0);
    return larger;
}

void *aligned_alloc(size_t alignment, size_t size)
{
    void *memory = fails() ? NULL : __libc_memalign(alignment, size);
    atomic_fetch_add(&live, memory ? 1 : 0);
    return memory;
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    void *made = aligned_alloc(alignment, size);
    if (!made)
        return ENOMEM;
    *memory = made;
    return 0;
}

void free(void *memory)
{
    atomic_fetch_sub(&live, memory ? 1 : 0);
    __libc_free(memory);
}

#pragma GCC visibility pop

#define ATTEMPTS_MAX 3000
#define NOW INT64_C(1767225600000000)

/* ---- Calls ---- */

struct call {
    struct mc_engine *engine;
    int number;       /* of the attempt */
    char answer[512]; /* what it gave, to be the same each time */
};

static enum mc_status call_ingest(struct call *call, struct mc_error *err)
{
    char id[32];
    snprintf(id, sizeof(id), "oom-%d", call->number);
    struct mc_message_input input = said(id, "My order 4711 has not arrived");
    input.metadata = MC_STR("{\"channel\":\"web\"}");
    struct mc_message_list *list = NULL;
    bool created = false;
    enum mc_status status = mc_message_ingest(call->engine, &input, &list, &created, err);
    snprintf(call->answer, sizeof(call->answer), "%d %d", created, list ? (int)list->count : 0);
    mc_message_list_free(list);
    return status;
}

static enum mc_status call_batch(struct call *call, struct mc_error *err)
{
    char texts[8][200];
    mc_str objects[8];
    for (int i = 0; i < 8; i++) {
        snprintf(
            texts[i], sizeof(texts[i]),
            "{\"user_id\":\"u\",\"thread_id\":\"batch\",\"session_id\":\"s\",\"role\":\"user\","
            "\"text\":\"part %d\",\"message_id\":\"batch-%d-%d\"}",
            i, call->number, i);
        objects[i] = mc_str_of(texts[i]);
    }
    struct mc_ingest_result results[8];
    struct mc_message_list *list = NULL;
    enum mc_status status = mc_message_ingest_json(call->engine, objects, 8, results, &list, err);
    for (int i = 0; i < 8 && !status; i++) { /* one may be refused alone */
        status = results[i].status;
        *err = results[i].error;
    }
    snprintf(call->answer, sizeof(call->answer), "%d", list ? (int)list->count : 0);
    mc_message_list_free(list);
    return status;
}

static enum mc_status call_context(struct call *call, struct mc_error *err)
{
    struct mc_context_query query = {.user_id = MC_STR("u"),
                                     .thread_id = MC_STR("t"),
                                     .query = MC_STR("When was the refund of order 4711 promised?"),
                                     .now_us = NOW};
    struct mc_context *context = NULL;
    enum mc_status status = mc_context_assemble(call->engine, &query, &context, err);
    if (context) /* the first part and the length stand for the whole */
        snprintf(call->answer, sizeof(call->answer), "%zu %zu %.400s",
                 context->assembled_context.len, context->relevant_message_id_count,
                 context->assembled_context.data);
    mc_context_free(context);
    return status;
}

static enum mc_status call_search(struct call *call, struct mc_error *err)
{
    struct mc_search_query query = {.user_id = MC_STR("u"), .text = MC_STR("refund order")};
    struct mc_hit_list *hits = NULL;
    enum mc_status status = mc_search(call->engine, &query, &hits, err);
    snprintf(call->answer, sizeof(call->answer), "%zu", hits ? hits->count : 0);
    mc_hit_list_free(hits);
    return status;
}

/* With the cache emptied, so that it is filled anew. */
static enum mc_status call_recent(struct call *call, struct mc_error *err)
{
    int kept = until_failure;
    until_failure = -1;
    uint64_t dropped;
    if (mc_cache_clear(call->engine, MC_STR_NONE, MC_STR_NONE, &dropped, err))
        return MC_INTERNAL;
    until_failure = kept;
    struct mc_recent_query query = {.user_id = MC_STR("u"), .thread_id = MC_STR("t"), .limit = 20};
    struct mc_message_list *list = NULL;
    enum mc_status status = mc_message_recent(call->engine, &query, &list, err);
    snprintf(call->answer, sizeof(call->answer), "%zu", list ? list->count : 0);
    mc_message_list_free(list);
    return status;
}

static enum mc_status call_preferences(struct call *call, struct mc_error *err)
{
    char *json = NULL;
    enum mc_status status = mc_preferences_patch(
        call->engine, MC_STR("u"), MC_STR("{\"interests\":[\"tea\"],\"custom\":{\"a\":[1]}}"),
        &json, err);
    snprintf(call->answer, sizeof(call->answer), "%.400s", json ? json : "");
    mc_free(json);
    return status;
}

static enum mc_status look_up(void *context, const struct mc_source_query *query,
                              struct mc_source_answer *answer, struct mc_error *err)
{
    (void)context;
    (void)query;
    return mc_source_add(answer, MC_STR("Order 4711"), MC_STR("sent"), err);
}

/* A source whose thread cannot start has failed; the context is assembled without it. */
static enum mc_status call_source(struct call *call, struct mc_error *err)
{
    static const mc_str topics[] = {{"order", 5}};
    struct mc_source_options options = {
        .name = MC_STR("shop"),
        .description = MC_STR("orders"),
        .topics = topics,
        .topic_count = 1,
        .lookup = look_up,
        .timeout_ms = 30000,
    };
    enum mc_status status = mc_source_register(call->engine, &options, err);
    if (status)
        return status;
    char context[sizeof(call->answer)], *json = NULL;
    status = call_context(call, err);
    memcpy(context, call->answer, sizeof(context));
    call->answer[0] = '\0';
    if (!status)
        status = mc_source_list(call->engine, &json, err);
    if (!status && !strstr(context, "- [shop: Order 4711] sent") &&
        !strstr(json, "cannot start thread"))
        snprintf(call->answer, sizeof(call->answer), "%.300s", context);
    mc_free(json);
    if (mc_source_remove(call->engine, MC_STR("shop"), NULL))
        snprintf(call->answer, sizeof(call->answer), "the source was not removed");
    return status;
}

static enum mc_status call_models(struct call *call, struct mc_error *err)
{
    char *json = NULL;
    enum mc_status status = mc_models_list(call->engine, &json, err);
    snprintf(call->answer, sizeof(call->answer), "%.400s", json ? json : "");
    mc_free(json);
    return status;
}

/* Opens a chain of a model that is not loaded, with its ledger, and counts a call. */
static enum mc_status call_open_models(struct call *call, struct mc_error *err)
{
    const struct mc_model_settings settings = {.use_local = true,
                                               .local = {.model_path = "/m.gguf", .sequences = 4}};
    const struct mc_models_options options = {.settings = &settings,
                                              .store = call->engine->store,
                                              .metrics = call->engine->metrics,
                                              .lazy = true};
    struct mc_models *models = NULL;
    enum mc_status status = mc_models_open(&options, &models, err);
    if (status)
        return status;
    struct mc_llm_state state;
    struct mc_llm_usage today;
    const struct mc_llm_usage usage = {.calls = 1};
    mc_models_describe(models, &state, 1);
    mc_ledger_add(mc_models_ledger(models), MC_LLM_ENRICH, "test", MC_STR("m"), &usage);
    status = mc_ledger_flush(mc_models_ledger(models), err);
    mc_ledger_today(mc_models_ledger(models), "test", &today);
    snprintf(call->answer, sizeof(call->answer), "%s %s", state.provider, state.state);
    if (today.calls == 0)
        bail_out("a call was lost");
    mc_models_close(models);
    return status;
}

/* ---- What must hold after each attempt ---- */

static int64_t depth(struct mc_engine *engine)
{
    struct answer q = ANSWER(mc_queue_status, engine, (size_t)0);
    int64_t value = answer_int(&q, "depth");
    answer_free(&q);
    return value;
}

static bool stored(struct mc_engine *engine, const char *id)
{
    struct mc_message_list *list = NULL;
    struct mc_error err;
    enum mc_status status = mc_message_get(engine, mc_str_of(id), MC_STR_NONE, &list, &err);
    mc_message_list_free(list);
    return status == MC_OK;
}

static int half_stored; /* attempts that said one thing and did another */

static void after_ingest(struct call *call, enum mc_status status, int64_t before)
{
    char id[32];
    snprintf(id, sizeof(id), "oom-%d", call->number);
    bool there = stored(call->engine, id);
    int64_t jobs = depth(call->engine) - before;
    half_stored += there != (status == MC_OK) || jobs != (status == MC_OK);
}

static void after_batch(struct call *call, enum mc_status status, int64_t before)
{
    (void)status;
    int there = 0;
    for (int i = 0; i < 8; i++) {
        char id[32];
        snprintf(id, sizeof(id), "batch-%d-%d", call->number, i);
        there += stored(call->engine, id);
    }
    half_stored += depth(call->engine) - before != there;
}

typedef enum mc_status (*call_fn)(struct call *call, struct mc_error *err);
typedef void (*after_fn)(struct call *call, enum mc_status status, int64_t before);

/* The number of attempts that failed. */
static int check(struct mc_engine *engine, const char *name, call_fn make, after_fn after)
{
    struct call call = {.engine = engine};
    struct mc_error err = {0};
    is_status(make(&call, &err), MC_OK, &err, "%s works", name); /* and warms what stays */
    char expected[sizeof(call.answer)];
    memcpy(expected, call.answer, sizeof(expected));
    int failed = 0, odd = 0, silent = 0;
    half_stored = 0;
    enum mc_status status = MC_NO_MEMORY;
    for (int n = 0; n < ATTEMPTS_MAX && status; n++) {
        int64_t before = after ? depth(engine) : 0;
        call.number = n + 1;
        memset(&err, 0, sizeof(err));
        until_failure = n;
        status = make(&call, &err);
        bool used_up =
            until_failure == 0; /* an allocation failed and the call went on without it */
        until_failure = -1;
        failed += status == MC_NO_MEMORY;
        if (status && status != MC_NO_MEMORY) {
            diag("allocation %d: %s: %s", n, mc_status_name(status), err.message);
            odd++;
        }
        silent += status && err.message[0] == '\0';
        if (after)
            after(&call, status, before);
        if (status == MC_OK && strcmp(call.answer, expected) != 0) {
            diag("allocation %d: %.300s", n, call.answer);
            odd++;
        }
        if (status == MC_OK && used_up)
            status = MC_NO_MEMORY; /* not the end yet */
    }
    is_status(status, MC_OK, &err, "%s: in the end it works", name);
    ok(failed > 0, "%s: %d failures", name, failed);
    is_int(odd, 0, "%s: each is out of memory", name);
    is_int(silent, 0, "%s: each says so", name);
    is_int(half_stored, 0, "%s: nothing is half stored", name);
    return failed;
}

/* Every failure is counted where it happened, under its type. */
static void counted(struct mc_engine *engine, const char *type, int failed)
{
    char name[64], *text = NULL;
    struct mc_error err = {0};
    if (mc_metrics_prometheus(engine, &text, &err))
        bail_out("metrics: %s", err.message);
    snprintf(name, sizeof(name), "mindcore_errors_total{error_type=\"%s\"}", type);
    is_double(prometheus_value(text, name), failed, 0, "%s", name);
    mc_free(text);
}

static void fill(struct mc_engine *engine)
{
    for (int i = 0; i < 30; i++) {
        char id[16], text[128];
        snprintf(id, sizeof(id), "f%d", i);
        snprintf(text, sizeof(text), "Part %d: the refund of order 4711 was promised on day %d", i,
                 i);
        struct mc_message_input input = said(id, text);
        input.created_at_us = NOW - (30 - i) * MC_US_PER_SECOND;
        ingest(engine, &input);
    }
    engine_drain(engine);
}

static void run(const struct scratch *scratch, bool failing)
{
    struct mc_engine *engine = engine_open(scratch, NULL);
    fill(engine);
    mc_engine_pause(engine, true);
    engine_drain(engine); /* no worker is at anything any more */
    struct call warm = {.engine = engine};
    struct mc_error error = {0};
    is_status(call_source(&warm, &error), MC_OK, &error, "a source, and what its thread keeps");
    if (call_open_models(&warm, &error)) /* libc keeps something for each thread that ever ran */
        bail_out("the models do not open: %s", error.message);
    if (failing) {
        counted(engine, "context", check(engine, "context", call_context, NULL));
        check(engine, "search", call_search, NULL);
        check(engine, "recent", call_recent, NULL);
        check(engine, "preferences", call_preferences, NULL);
        check(engine, "sources", call_source, NULL);
        check(engine, "models", call_models, NULL);
        check(engine, "opening models", call_open_models, NULL);
        check(engine, "ingest", call_ingest, after_ingest);
        check(engine, "batch", call_batch, after_batch);
        mc_engine_pause(engine, false);
        engine_drain(engine);
        bool fine = false;
        char *json = NULL;
        struct mc_error err = {0};
        is_status(mc_engine_doctor(engine, &fine, &json, &err), MC_OK, &err, "the doctor");
        ok(json && strstr(json, "no damage found"), "finds the data in order: %s", json);
        mc_free(json);
    }
    mc_engine_close(engine);
}

int main(void)
{
    putchar('\n'); /* the buffers of stdio are there before the counting starts */
    fflush(stdout);
    struct scratch scratch;
    scratch_make(&scratch);
    run(&scratch, false); /* what the libraries allocate once and keep */
    run(&scratch, false);
    long before = atomic_load(&live);
    run(&scratch, true);
    is_int(atomic_load(&live) - before, 0, "nothing leaks");
    scratch_remove(&scratch);
    return done_testing();
}
#endif
