/*
 * Two engines on one file, as two processes would have it: what one stores the other reads within
 * 100 ms although both cache, jobs are done once, agents and preferences are shared.
 */
#include "tap.h"

#include <pthread.h>

#include "base/compiler.h"
#include "support/engine.h"

/*
 * How long the other one may take to see a change; sanitizers are given more. What takes a processor away for as long
 * makes one of four late at most. The time is counted in pauses between looks, so that none counts in which this
 * thread did not run either.
 */
#define SEEN_MS 100
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOWNESS 10
#else
#define SLOWNESS 1
#endif

#define PAUSE_MS 2
#define WAIT_MS 60000

static int looks, late;

/* The other engine shows it, soon. */
#define SOON(condition, ...)                                                                       \
    do {                                                                                           \
        int soon_ms = 0;                                                                           \
        for (; !(condition) && soon_ms < WAIT_MS; soon_ms += PAUSE_MS)                             \
            scratch_pause_ms(PAUSE_MS);                                                            \
        ok(soon_ms < WAIT_MS, __VA_ARGS__);                                                        \
        looks++;                                                                                   \
        late += soon_ms >= SEEN_MS * SLOWNESS;                                                     \
    } while (0)

static bool sees(struct mc_engine *engine, const char *expected)
{
    char ids[1024];
    return strcmp(recent_ids(engine, NULL, ids, sizeof(ids)), expected) == 0;
}

/* The other engine has this as the newest messages, soon. */
static void seen(struct mc_engine *engine, const char *expected, const char *what)
{
    SOON(sees(engine, expected), "%s: seen", what);
    char ids[1024];
    is_str(recent_ids(engine, NULL, ids, sizeof(ids)), expected, "%s", what);
}

static const char *state_of(struct mc_engine *engine, const char *id)
{
    struct mc_recent_query query = {.user_id = MC_STR("u"), .thread_id = MC_STR("t"), .limit = 50};
    struct mc_message_list *list = NULL;
    const char *state = "absent";
    if (mc_message_recent(engine, &query, &list, NULL) == MC_OK) {
        for (size_t i = 0; i < list->count; i++) {
            if (mc_str_equal(list->items[i]->message_id, mc_str_of(id)))
                state = mc_enrichment_name(list->items[i]->enrichment_state);
        }
    }
    mc_message_list_free(list);
    return state;
}

static void test_messages(struct mc_engine *a, struct mc_engine *b)
{
    say(a, "m1", "Where is my order?");
    seen(b, "m1", "a first message, read cold");
    seen(a, "m1", "and by its own engine");
    say(a, "m2", "And where is my refund?");
    seen(b, "m2 m1", "a second one, though the thread is cached");
    say(b, "m3", "Here is your refund");
    seen(a, "m3 m2 m1", "the other way round");
    for (int i = 4; i < 12; i++) {
        char id[16], expected[128] = "";
        snprintf(id, sizeof(id), "m%d", i);
        say(i % 2 ? a : b, id, "One after another");
        for (int k = i; k > 0; k--)
            snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected), "m%d%s", k,
                     k > 1 ? " " : "");
        seen(i % 2 ? b : a, expected, "by turns");
    }
    engine_drain(a);
    engine_drain(b);
    ok(scratch_wait(strcmp(state_of(a, "m1"), "enriched") == 0, WAIT_MS), "enriched, says one");
    ok(scratch_wait(strcmp(state_of(b, "m1"), "enriched") == 0, WAIT_MS),
       "enriched, says the other");
    struct mc_error err = {0};
    is_status(mc_message_delete(a, MC_STR("m5"), MC_STR_NONE, &err), MC_OK, &err, "deleted by one");
    seen(b, "m11 m10 m9 m8 m7 m6 m4 m3 m2 m1", "gone for the other");
    char *json = NULL;
    is_status(mc_user_erase(b, MC_STR("u"), &json, &err), MC_OK, &err, "erased by the other");
    mc_free(json);
    seen(a, "", "gone for the one");
}

/* Whether what was said is in the file of an engine's cache; false when it has none. */
static bool cache_holds(const struct scratch *scratch, const char *folder, const char *words)
{
    char path[300];
    snprintf(path, sizeof(path), "%s/mindcore-cache.mdb", scratch_path(scratch, folder));
    FILE *file = fopen(path, "rb");
    char *bytes = malloc((size_t)1 << 26);
    size_t size = file ? fread(bytes, 1, (size_t)1 << 26, file) : 0;
    bool found = memmem(bytes, size, words, strlen(words)) != NULL;
    free(bytes);
    if (file)
        fclose(file);
    return found;
}

static int64_t cached_threads(struct mc_engine *engine)
{
    struct answer stats = ANSWER(mc_cache_stats, engine);
    int64_t threads = answer_int(&stats, "cache.threads");
    answer_free(&stats);
    return threads;
}

static void test_erased_elsewhere(const struct scratch *scratch, struct mc_engine *a,
                                  struct mc_engine *b, bool on_disk)
{
    say(a, "gone", "The violet umbrella");
    seen(a, "gone", "one has it in its cache");
    is_int(cache_holds(scratch, "a.cache", "violet umbrella"), on_disk, "on disk, if so");
    struct mc_error err = {0};
    char *json = NULL;
    is_status(mc_user_erase(b, MC_STR("u"), &json, &err), MC_OK, &err, "erased by the other");
    mc_free(json);
    ok(scratch_wait(cached_threads(a) == 0, WAIT_MS), "it leaves the cache of the one");
    ok(scratch_wait(!cache_holds(scratch, "a.cache", "violet umbrella"), WAIT_MS), "and its file");
}

/* ---- Jobs ---- */

static int64_t processed(struct mc_engine *engine)
{
    struct answer m = ANSWER(mc_enrichment_metrics, engine);
    int64_t count = answer_int(&m, "processed_count");
    answer_free(&m);
    return count;
}

static void test_jobs(struct mc_engine *a, struct mc_engine *b)
{
    int64_t before = processed(a) + processed(b);
    mc_engine_pause(a, true);
    for (int i = 0; i < 20; i++) {
        char id[16];
        snprintf(id, sizeof(id), "p%d", i);
        say(a, id, "Where is my invoice?");
    }
    /* a's own workers rest: only b can do them, told by nobody but the file. */
    struct mc_error err = {0};
    is_status(mc_engine_drain(b, WAIT_MS, &err), MC_OK, &err, "one does the other's jobs");
    engine_drain(a); /* it may have begun with one before it was paused */
    is_int(processed(a) + processed(b) - before, 20, "each once");
    mc_engine_pause(a, false);
}

struct talker {
    struct mc_engine *engine;
    int number, failures;
};

static void *talk(void *context)
{
    struct talker *talker = context;
    for (int i = 0; i < 25; i++) {
        char id[32];
        snprintf(id, sizeof(id), "t%d-%d", talker->number, i);
        struct mc_message_input input = said(id, i % 5 ? "The parcel is late again" : "ok");
        input.thread_id = mc_str_of(talker->number % 2 ? "odd" : "even");
        struct mc_error err;
        talker->failures += mc_message_ingest(talker->engine, &input, NULL, NULL, &err) != MC_OK;
        struct mc_recent_query query = {
            .user_id = MC_STR("u"), .thread_id = input.thread_id, .limit = 10};
        struct mc_message_list *list = NULL;
        if (mc_message_recent(talker->engine, &query, &list, &err))
            talker->failures++;
        bool own = false; /* what an engine acknowledged, it shows */
        for (size_t k = 0; list && k < list->count; k++)
            own = own || mc_str_equal(list->items[k]->message_id, mc_str_of(id));
        talker->failures += !own && list && list->count < 10;
        mc_message_list_free(list);
    }
    return NULL;
}

/* Both have so many messages of the thread, in one order. */
static bool same_thread(struct mc_engine *a, struct mc_engine *b, const char *thread, size_t count)
{
    struct mc_recent_query query = {
        .user_id = MC_STR("u"), .thread_id = mc_str_of(thread), .limit = 50};
    struct mc_message_list *of_a = NULL, *of_b = NULL;
    struct mc_error err = {0};
    if (mc_message_recent(a, &query, &of_a, &err) || mc_message_recent(b, &query, &of_b, &err))
        bail_out("recent: %s", err.message);
    char ids_a[2048], ids_b[2048];
    bool all = of_a->count == count && of_b->count == count;
    ids_of(of_a, ids_a, sizeof(ids_a));
    return strcmp(ids_of(of_b, ids_b, sizeof(ids_b)), ids_a) == 0 && all;
}

static void test_both_at_once(struct mc_engine *a, struct mc_engine *b)
{
    int64_t before = processed(a) + processed(b);
    struct talker talkers[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        talkers[i] = (struct talker){i < 2 ? a : b, i, 0};
        if (pthread_create(&threads[i], NULL, talk, &talkers[i]))
            bail_out("no thread");
    }
    int failures = 0;
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        failures += talkers[i].failures;
    }
    is_int(failures, 0, "four threads in two engines: everything stored and shown");
    engine_drain(a);
    engine_drain(b);
    is_int(processed(a) + processed(b) - before, 100, "each of 100 messages was enriched once");
    ok(scratch_wait(same_thread(a, b, "odd", 50), WAIT_MS),
       "both have the same thread of fifty messages");
}

/* ---- The rest of the memory ---- */

static bool knows_agent(struct mc_engine *engine, const char *agent)
{
    struct mc_message_list *list = NULL;
    struct mc_recent_query query = {
        .user_id = MC_STR("u"), .thread_id = MC_STR("t"), .agent_id = mc_str_of(agent), .limit = 1};
    struct mc_error err;
    enum mc_status status = mc_message_recent(engine, &query, &list, &err);
    mc_message_list_free(list);
    return status == MC_OK;
}

static void test_agents(const struct scratch *scratch)
{
    const char *const *options = OPTIONS("multi_agent.enabled", "true");
    struct mc_engine *a = engine_open(scratch, options), *b = engine_open(scratch, options);
    ok(!knows_agent(b, "newcomer"), "nobody knows the agent");
    struct answer answer =
        ANSWER(mc_agent_register_json, a, MC_STR("{\"agent_id\":\"newcomer\",\"name\":\"N\"}"));
    answer_free(&answer);
    SOON(knows_agent(b, "newcomer"), "registered in one, known to the other");
    struct mc_error err = {0};
    is_status(mc_agent_unregister(b, MC_STR("newcomer"), &err), MC_OK, &err, "unregistered there");
    SOON(!knows_agent(a, "newcomer"), "unknown here");
    answer = ANSWER(mc_preferences_patch, a, MC_STR("u"), MC_STR("{\"language\":\"en\"}"));
    answer_free(&answer);
    answer = ANSWER(mc_preferences_get, b, MC_STR("u"));
    is_text(mc_json_string(json_at(answer.root, "language")), "en", "preferences are shared");
    answer_free(&answer);
    mc_engine_close(a);
    mc_engine_close(b);
}

static void test_pair(const struct scratch *scratch, const char *persistent)
{
    diag("cache.persistent %s", persistent);
    /* As in two processes each has a cache of its own. */
    struct mc_engine *a = engine_open(scratch, OPTIONS("cache.persistent", persistent, "cache.dir",
                                                       scratch_path(scratch, "a.cache")));
    struct mc_engine *b = engine_open(scratch, OPTIONS("cache.persistent", persistent, "cache.dir",
                                                       scratch_path(scratch, "b.cache")));
    test_messages(a, b);
    test_erased_elsewhere(scratch, a, b, strcmp(persistent, "true") == 0);
    test_jobs(a, b);
    test_both_at_once(a, b);
    mc_engine_close(a);
    mc_engine_close(b);
}

int main(void)
{
    static const char *const PERSISTENT[] = {"false", "true"};
    for (size_t i = 0; i < mc_countof(PERSISTENT); i++) {
        struct scratch scratch;
        scratch_make(&scratch);
        test_pair(&scratch, PERSISTENT[i]);
        test_agents(&scratch);
        scratch_remove(&scratch);
    }
    ok(late * 4 <= looks, "%d of %d seen later than after %d ms", late, looks, SEEN_MS * SLOWNESS);
    return done_testing();
}
