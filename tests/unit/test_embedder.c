/* The worker that embeds messages, and comparing queries with what it made, over SQLite and a model of the test's own. */
#include "support/fake_embed.h"
#include "support/scratch.h"

#include "base/metrics.h"
#include "base/time.h"
#include "context/meaning.h"
#include "enrich/embedder.h"

#define WAIT_MS 60000

static struct scratch scratch;
static struct mc_metrics *metrics;
static int number;

static struct mc_store *open_store(void)
{
    char name[32];
    snprintf(name, sizeof(name), "%d.db", ++number);
    return scratch_store(&scratch, name);
}

/* Stores a message that the first stage has seen; its row. */
static int64_t add_put(struct mc_store *store, struct mc_put put)
{
    const char *user = put.message.user_id.data, *id = put.message.message_id.data;
    int64_t row = scratch_store_put(store, &put);
    mc_auto(mc_jobs_fini) struct mc_jobs jobs = {0};
    struct mc_error err = {0};
    ok(store->ops->claim(store, MC_STR("t"), MC_STAGE_FIRST, mc_time_now_us() + 1000000, 60000000,
                         10, &jobs, &err) == MC_OK,
       "%s is claimed", id);
    struct mc_completion done = {.row = row,
                                 .user_id = mc_str_of(user),
                                 .metadata = MC_STR("{}"),
                                 .terms = MC_STR("word"),
                                 .state = MC_ENRICHMENT_ENRICHED};
    ok(store->ops->complete(store, MC_STR("t"), &done, 1, &err) == MC_OK && done.applied,
       "and completed");
    return row;
}

static int64_t add(struct mc_store *store, const char *user, const char *thread, const char *id,
                   const char *text)
{
    struct mc_put put = scratch_put(id, text);
    put.message.user_id = mc_str_of(user);
    put.message.thread_id = mc_str_of(thread);
    return add_put(store, put);
}

static struct mc_embedder *start(struct mc_store *store, struct fake_embed *fake, const char *model)
{
    const struct mc_embedder_options options = {
        .store = store,
        .metrics = metrics,
        .llm = &fake->llm,
        .model = model,
        .batch = 4,
        .lease_us = 60 * MC_US_PER_SECOND,
        .max_attempts = 2,
        .retry_min_us = 10 * MC_US_PER_MS,
        .retry_max_us = 20 * MC_US_PER_MS,
    };
    struct mc_embedder *embedder = NULL;
    struct mc_error err = {0};
    is_status(mc_embedder_start(&options, &embedder, &err), MC_OK, &err, "started");
    return embedder;
}

static void end(struct mc_embedder *embedder)
{
    mc_embedder_stop(embedder);
    mc_embedder_wake(embedder);
    mc_embedder_free(embedder);
}

static bool progress_is(struct mc_store *store, const char *model, int64_t vectors, int64_t waiting)
{
    struct mc_embedder_state state;
    struct mc_error err = {0};
    return mc_embedder_progress(store, model, &state, &err) == MC_OK && state.vectors == vectors &&
           state.waiting == waiting && state.filled;
}

static const char *last_error(struct mc_embedder *embedder)
{
    static char text[256];
    mc_embedder_last_error(embedder, text, sizeof(text));
    return text;
}

static void embeds(void)
{
    struct mc_store *store = open_store();
    struct fake_embed fake;
    fake_embed_init(&fake);
    add(store, "u", "t", "m1", "apple");
    add(store, "u", "t", "m2", "banana");
    struct mc_embedder *embedder = start(store, &fake, "fake");
    ok(scratch_wait(progress_is(store, "fake", 2, 0), WAIT_MS), "what was there before");
    add(store, "u", "t", "m3", "cherry");
    mc_embedder_wake(embedder);
    ok(scratch_wait(progress_is(store, "fake", 3, 0), WAIT_MS), "and what comes");
    is_str(last_error(embedder), "", "without an error");
    mc_embedder_pause(embedder, true);
    end(embedder);
    int before = atomic_load(&fake.calls);
    embedder = start(store, &fake, "fake");
    add(store, "u", "t", "m4", "date");
    mc_embedder_wake(embedder);
    ok(scratch_wait(progress_is(store, "fake", 4, 0), WAIT_MS), "after a restart");
    is_int(atomic_load(&fake.calls), before + 1, "only what is new is asked");
    end(embedder);
    store->ops->close(store);
}

static void fails(void)
{
    struct mc_store *store = open_store();
    struct fake_embed fake;
    fake_embed_init(&fake);
    atomic_store(&fake.fail, MC_UNAVAILABLE);
    add(store, "u", "t", "m1", "apple");
    struct mc_embedder *embedder = start(store, &fake, "fake");
    ok(scratch_wait(atomic_load(&fake.calls) >= 2, WAIT_MS), "a dead model is asked again");
    is_str(last_error(embedder), "told to fail", "and told of");
    atomic_store(&fake.fail, MC_OK);
    ok(scratch_wait(progress_is(store, "fake", 1, 0), WAIT_MS), "until it lives");
    atomic_store(&fake.dimension, 5);
    add(store, "u", "t", "m2", "banana");
    mc_embedder_wake(embedder);
    ok(scratch_wait(strstr(last_error(embedder), "5 numbers") != NULL, WAIT_MS),
       "another dimension is an error: %s", last_error(embedder));
    ok(progress_is(store, "fake", 1, 1), "nothing is stored, the message waits");
    atomic_store(&fake.dimension, FAKE_DIMENSION);
    ok(scratch_wait(progress_is(store, "fake", 2, 0), WAIT_MS), "until it is right again");
    end(embedder);
    store->ops->close(store);
}

static void gives_up(void)
{
    struct mc_store *store = open_store();
    struct fake_embed fake;
    fake_embed_init(&fake);
    fake.poison = "bad";
    fake.too_long = 300;
    char text[2001];
    memset(text, 'a', 2000);
    text[2000] = '\0';
    add(store, "u", "t", "m1", "a bad one");
    add(store, "u", "t", "m2", "banana");
    add(store, "u", "t", "m3", text);
    struct mc_embedder *embedder = start(store, &fake, "fake");
    ok(scratch_wait(progress_is(store, "fake", 2, 1) || progress_is(store, "fake", 2, 0), WAIT_MS),
       "the others have theirs, the long one too");
    for (int i = 0; i < 20 && !progress_is(store, "fake", 2 + i, 0); i++) {
        char id[16];
        snprintf(id, sizeof(id), "n%d", i);
        add(store, "u", "t", id, "cherry");
        mc_embedder_wake(embedder);
        (void)scratch_wait(
            progress_is(store, "fake", 3 + i, 0) || progress_is(store, "fake", 3 + i, 1), WAIT_MS);
        usleep(30000); /* the back-off of the bad one */
    }
    struct mc_embedder_state state;
    struct mc_error err = {0};
    ok(mc_embedder_progress(store, "fake", &state, &err) == MC_OK && state.waiting == 0,
       "what fails while others succeed is given up");
    ok(scratch_wait(mc_metrics_count(metrics, MC_COUNT_VECTORS_GIVEN_UP) == 1, WAIT_MS),
       "and counted");
    end(embedder);
    store->ops->close(store);
}

/* ---- Meaning ---- */

static struct mc_meaning *compare_by(struct mc_store *store, struct fake_embed *fake,
                                     const char *model, struct fake_embed *old,
                                     const char *old_model, size_t cache_bytes)
{
    const struct mc_meaning_options options = {
        .store = store,
        .metrics = metrics,
        .models = {{&fake->llm, model}, {old ? &old->llm : NULL, old_model}},
        .model_count = old ? 2 : 1,
        .cache_bytes = cache_bytes,
        .timeout_us = 60 * MC_US_PER_SECOND,
    };
    struct mc_meaning *meaning = NULL;
    struct mc_error err = {0};
    is_status(mc_meaning_new(&options, &meaning, &err), MC_OK, &err, "compared");
    return meaning;
}

/* "state: row row" of what is near, rows as numbers of `rows` from 1. */
static const char *near_of(struct mc_meaning *meaning, const struct mc_meaning_query *query,
                           const int64_t *rows, size_t count)
{
    static char text[256];
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, 1 << 20);
    struct mc_meaning_result result;
    mc_meaning_find(meaning, query, &arena, &result);
    size_t len = (size_t)snprintf(text, sizeof(text), "%s:", mc_meaning_name(result.state));
    for (size_t i = 0; i < result.count; i++)
        for (size_t k = 0; k < count; k++)
            if (rows[k] == result.items[i].row)
                len += (size_t)snprintf(text + len, sizeof(text) - len, " %zu", k + 1);
    return text;
}

static struct mc_meaning_query ask(const char *text)
{
    static const struct mc_reader everything = {.everything = true};
    return (struct mc_meaning_query){.user_id = MC_STR("u"),
                                     .text = mc_str_of(text),
                                     .reader = &everything,
                                     .thread_id = MC_STR_NONE,
                                     .limit = 10};
}

static void finds(void)
{
    struct mc_store *store = open_store();
    struct fake_embed fake;
    struct mc_error err = {0};
    fake_embed_init(&fake);
    int64_t rows[6] = {add(store, "u", "t", "m1", "apple"), add(store, "u", "s", "m2", "avocado"),
                       add(store, "u", "t", "m3", "banana"), add(store, "u", "t", "m4", "cherry"),
                       add(store, "v", "t", "m5", "apple")};
    struct mc_meaning *meaning = compare_by(store, &fake, "fake", NULL, NULL, 1 << 20);
    struct mc_meaning_query query = ask("apricot");
    is_str(near_of(meaning, &query, rows, 6), "none:", "no vectors yet");
    is_int(atomic_load(&fake.calls), 0, "and nothing is asked");
    struct mc_embedder *embedder = start(store, &fake, "fake");
    ok(scratch_wait(progress_is(store, "fake", 5, 0), WAIT_MS), "five vectors");
    is_str(near_of(meaning, &query, rows, 6), "used: 1 2", "those that mean the same");
    int calls = atomic_load(&fake.calls);
    is_str(near_of(meaning, &query, rows, 6), "used: 1 2", "again");
    is_int(atomic_load(&fake.calls), calls, "the query's vector is kept");
    query.thread_id = MC_STR("t");
    is_str(near_of(meaning, &query, rows, 6), "used: 1", "of one thread");
    query.thread_id = MC_STR_NONE;
    query.since_us = mc_time_now_us() + 3600 * MC_US_PER_SECOND;
    is_str(near_of(meaning, &query, rows, 6), "used:", "of a time");
    query.since_us = 0;
    query.limit = 1;
    is_str(near_of(meaning, &query, rows, 6), "used: 1",
           "at most so many; the older one of equals");
    query.limit = 10;

    rows[5] = add(store, "u", "t", "m6", "almond");
    mc_embedder_wake(embedder);
    ok(scratch_wait(progress_is(store, "fake", 6, 0), WAIT_MS), "one more");
    is_str(near_of(meaning, &query, rows, 6), "used: 1 2 6", "is found at once");
    struct mc_record *removed = NULL;
    int64_t version;
    static const struct mc_reader everything = {.everything = true};
    is_status(store->ops->remove(store, MC_STR("m1"), &everything, &removed, &version, &err), MC_OK,
              &err, "one removed");
    mc_record_unref(removed);
    is_str(near_of(meaning, &query, rows, 6), "used: 2 6", "is not found any more");
    mc_meaning_forget(meaning, MC_STR("u"));
    is_str(near_of(meaning, &query, rows, 6), "used: 2 6", "forgotten, and read again");
    is_int(atomic_load(&fake.calls), calls + 2, "with the query, which is forgotten too");

    struct mc_meaning_query other = ask("banyan");
    atomic_store(&fake.fail, MC_TIMEOUT);
    is_str(near_of(meaning, &other, rows, 6), "late:", "too late");
    atomic_store(&fake.fail, MC_UNAVAILABLE);
    is_str(near_of(meaning, &other, rows, 6), "failed:", "dead");
    is_str(near_of(meaning, &query, rows, 6), "used: 2 6", "what is kept serves still");
    atomic_store(&fake.fail, MC_OK);
    is_str(near_of(meaning, &other, rows, 6), "used: 3", "alive");

    struct mc_erased erased;
    is_status(store->ops->erase(store, MC_STR("u"), &erased, &err), MC_OK, &err, "erased");
    is_str(near_of(meaning, &query, rows, 6), "none:", "nothing is left");
    mc_meaning_free(meaning);
    end(embedder);
    store->ops->close(store);
}

/* With room for nobody each query reads anew, and gives the same. */
static void finds_without_room(void)
{
    struct mc_store *store = open_store();
    struct fake_embed fake;
    fake_embed_init(&fake);
    int64_t rows[2] = {add(store, "u", "t", "m1", "apple"), add(store, "v", "t", "m2", "avocado")};
    struct mc_embedder *embedder = start(store, &fake, "fake");
    ok(scratch_wait(progress_is(store, "fake", 2, 0), WAIT_MS), "two vectors");
    struct mc_meaning *meaning = compare_by(store, &fake, "fake", NULL, NULL, 1);
    struct mc_meaning_query query = ask("apricot");
    is_str(near_of(meaning, &query, rows, 2), "used: 1", "of one user");
    query.user_id = MC_STR("v");
    is_str(near_of(meaning, &query, rows, 2), "used: 2", "of another");
    mc_meaning_free(meaning);
    end(embedder);
    store->ops->close(store);
}

static int64_t add_of(struct mc_store *store, const char *agent, enum mc_visibility visibility,
                      const char *group, const char *id, const char *text)
{
    const mc_str groups[] = {mc_str_of(group)};
    struct mc_put put = scratch_put(id, text);
    put.message.user_id = MC_STR("u");
    put.message.thread_id = MC_STR("t");
    put.message.agent_id = mc_str_of(agent);
    put.message.visibility = visibility;
    put.message.sharing_groups = groups;
    put.message.sharing_group_count = *group != '\0';
    return add_put(store, put);
}

/* What a reader may not see is not found, however near, and takes no place of what he may. */
static void finds_what_may_be_read(void)
{
    struct mc_store *store = open_store();
    struct fake_embed fake;
    fake_embed_init(&fake);
    int64_t rows[14];
    for (int i = 0; i < 10; i++) {
        char id[16];
        snprintf(id, sizeof(id), "hidden%d", i);
        rows[i] = add_of(store, "b", MC_VISIBILITY_PRIVATE, "", id, "apple");
    }
    rows[10] = add_of(store, "a", MC_VISIBILITY_PRIVATE, "", "own", "apple banana");
    rows[11] = add_of(store, "b", MC_VISIBILITY_PUBLIC, "", "public", "apple banana");
    rows[12] = add_of(store, "b", MC_VISIBILITY_SHARED, "red", "shared", "apple banana");
    rows[13] = add_of(store, "", MC_VISIBILITY_PRIVATE, "", "nobody", "apple banana");
    struct mc_embedder *embedder = start(store, &fake, "fake");
    ok(scratch_wait(progress_is(store, "fake", 14, 0), WAIT_MS), "all vectors");
    struct mc_meaning *meaning = compare_by(store, &fake, "fake", NULL, NULL, 1 << 20);
    const mc_str red[] = {MC_STR("red")}, blue[] = {MC_STR("blue")};
    struct mc_meaning_query query = ask("apricot");
    query.limit = 2;
    is_str(near_of(meaning, &query, rows, 14), "used: 1 2", "who sees all, the nearest");
    struct mc_reader reader = {.agent_id = MC_STR("a")};
    query.reader = &reader;
    is_str(near_of(meaning, &query, rows, 14), "used: 11", "an agent, its own");
    reader.read_public = true;
    is_str(near_of(meaning, &query, rows, 14), "used: 11 12", "and what is public");
    reader = (struct mc_reader){
        .agent_id = MC_STR("c"), .read_shared = true, .groups = red, .group_count = 1};
    is_str(near_of(meaning, &query, rows, 14), "used: 13", "one of a group");
    reader.groups = blue;
    is_str(near_of(meaning, &query, rows, 14), "used:", "of another group");
    reader = (struct mc_reader){.read_public = false};
    is_str(near_of(meaning, &query, rows, 14), "used: 14", "without an agent");
    mc_meaning_free(meaning);
    end(embedder);
    store->ops->close(store);
}

static void finds_by_the_old_model(void)
{
    struct mc_store *store = open_store();
    struct fake_embed old, young;
    fake_embed_init(&old);
    fake_embed_init(&young);
    atomic_store(&young.dimension, 12);
    int64_t rows[2] = {add(store, "u", "t", "m1", "apple"), add(store, "u", "t", "m2", "banana")};
    struct mc_embedder *embedder = start(store, &old, "old");
    ok(scratch_wait(progress_is(store, "old", 2, 0), WAIT_MS), "two vectors");
    end(embedder);
    young.poison = "banana";
    embedder = start(store, &young, "young");
    ok(scratch_wait(progress_is(store, "young", 1, 1) || progress_is(store, "young", 1, 0),
                    WAIT_MS),
       "one is replaced");
    struct mc_meaning *alone = compare_by(store, &young, "young", NULL, NULL, 1 << 20);
    struct mc_meaning *both = compare_by(store, &young, "young", &old, "old", 1 << 20);
    struct mc_meaning_query apple = ask("apricot"), banana = ask("blueberry");
    is_str(near_of(alone, &apple, rows, 2), "used: 1", "the new vector by the new model");
    is_str(near_of(alone, &banana, rows, 2), "used:", "an old one serves nobody without its model");
    is_str(near_of(both, &apple, rows, 2), "used: 1", "with both");
    is_str(near_of(both, &banana, rows, 2), "used: 2", "it does");
    atomic_store(&young.fail, MC_UNAVAILABLE);
    struct mc_meaning_query more = ask("bilberry");
    is_str(near_of(both, &more, rows, 2), "used: 2", "though the new one is dead");
    mc_meaning_free(alone);
    mc_meaning_free(both);
    end(embedder);
    store->ops->close(store);
}

int main(void)
{
    scratch_make(&scratch);
    metrics = mc_metrics_new();
    embeds();
    fails();
    gives_up();
    finds();
    finds_without_room();
    finds_what_may_be_read();
    finds_by_the_old_model();
    mc_metrics_free(metrics);
    scratch_remove(&scratch);
    return done_testing();
}
