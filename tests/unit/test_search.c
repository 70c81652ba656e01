/* Search and context through the engine: relative times, times to come, explanations, many messages. */
#include "tap.h"

#include <math.h>

#include "base/compiler.h"
#include "base/str.h"
#include "base/time.h"
#include "support/engine.h"

static struct mc_hit_list *search(struct mc_engine *engine, struct mc_search_query query)
{
    struct mc_error err = {0};
    struct mc_hit_list *hits = NULL;
    query.user_id = MC_STR("u");
    if (mc_search(engine, &query, &hits, &err))
        bail_out("search: %s", err.message);
    return hits;
}

static void say_at(struct mc_engine *engine, const char *id, const char *thread, const char *text,
                   int64_t created_at_us)
{
    struct mc_message_input input = said(id, text);
    input.thread_id = mc_str_of(thread);
    input.created_at_us = created_at_us;
    ingest(engine, &input);
}

static bool relevant_first(struct mc_engine *engine, struct mc_context_query query, const char *id)
{
    struct mc_error err = {0};
    struct mc_context *context = NULL;
    query.user_id = MC_STR("u");
    query.thread_id = MC_STR("now");
    if (mc_context_assemble(engine, &query, &context, &err))
        bail_out("context: %s", err.message);
    bool first = context->relevant_message_id_count > 0 &&
                 mc_str_equal(context->relevant_message_ids[0], mc_str_of(id));
    mc_context_free(context);
    return first;
}

static void test_relative_time(struct mc_engine *engine)
{
    int64_t now_us = mc_time_now_us(), old_us = now_us - 90 * MC_US_PER_DAY;
    say_at(engine, "then", "a", "A falcon nests on the tower.", now_us - 14 * MC_US_PER_DAY);
    say_at(engine, "old", "b", "A falcon nests on the tower.", old_us);
    say_at(engine, "today", "c", "A falcon nests on the tower.", now_us - 60 * MC_US_PER_SECOND);
    engine_drain(engine);
    const mc_str plain = MC_STR("which falcon nests?");
    const mc_str dated = MC_STR("which falcon nests were there two weeks ago?");
    struct mc_hit_list *hits = search(engine, (struct mc_search_query){.text = plain});
    is_text(hits->items[0].message->message_id, "today", "without a time the newest is first");
    mc_hit_list_free(hits);
    hits = search(engine, (struct mc_search_query){.text = dated});
    is_text(hits->items[0].message->message_id, "then", "a search asks the clock when that was");
    mc_hit_list_free(hits);
    ok(relevant_first(engine, (struct mc_context_query){.query = dated}, "then"),
       "so does a context");
    ok(relevant_first(
           engine, (struct mc_context_query){.query = dated, .now_us = old_us + 14 * MC_US_PER_DAY},
           "old"),
       "unless it is told another time");
}

static void test_future(struct mc_engine *engine)
{
    int64_t now_us = mc_time_now_us();
    say_at(engine, "soon", "f", "The zeppelin lands.", now_us + 3 * MC_US_PER_DAY);
    say_at(engine, "far", "f", "The zeppelin lands.", now_us + 300 * MC_US_PER_DAY);
    say_at(engine, "past", "f", "The zeppelin lands.", now_us - 3 * MC_US_PER_DAY);
    engine_drain(engine);
    static const char *const texts[] = {"when does the zeppelin land", "zeppelin last week",
                                        "zeppelin tomorrow", "zeppelin in 2099"};
    for (size_t i = 0; i < mc_countof(texts); i++) {
        struct mc_hit_list *hits =
            search(engine, (struct mc_search_query){.text = mc_str_of(texts[i]), .explain = true});
        is_int(hits->count, 3, "all are found by '%s'", texts[i]);
        for (size_t k = 0; k < hits->count; k++)
            ok(isfinite(hits->items[k].score) && hits->items[k].score > 0 &&
                   hits->items[k].score < 10,
               "with scores like others: %f", hits->items[k].score);
        mc_hit_list_free(hits);
    }
    ok(relevant_first(
           engine, (struct mc_context_query){.query = MC_STR("zeppelin"), .now_us = 1000}, "soon"),
       "where every message is of the future, the one between two others");
}

static void test_explain(struct mc_engine *engine)
{
    struct mc_hit_list *hits =
        search(engine, (struct mc_search_query){.text = MC_STR("falcon nests"), .explain = true});
    ok(hits->count >= 3, "%zu hits", hits->count);
    for (size_t i = 0; i < hits->count; i++) {
        const struct mc_hit *hit = &hits->items[i];
        double sum = 0, least = 1;
        for (size_t k = 0; k < hit->why_count; k++) {
            sum += hit->why[k].share;
            least = fmin(least, hit->why[k].share);
        }
        ok(hit->why_count > 0 && mc_str_equal(hit->why[0].feature, MC_STR("words")),
           "hit %zu was found by words", i);
        is_double(sum, 1, 0.05, "shares make the whole, small ones left out");
        ok(least >= 0.005, "none is smaller than is told");
    }
    char *json = NULL;
    size_t len = 0;
    struct mc_error err = {0};
    is_status(mc_hit_to_json(&hits->items[0], &json, &len, &err), MC_OK, &err, "as JSON");
    struct answer answer = answer_of(json);
    const struct mc_json *why = json_at(answer.root, "why");
    is_int(mc_json_count(why), hits->items[0].why_count, "with its reasons");
    is_text(mc_json_string(mc_json_get(mc_json_at(why, 0), "feature")), "words", "by name");
    is_text(mc_json_string(json_at(answer.root, "message.message_id")), "today", "and the message");
    answer_free(&answer);
    mc_hit_list_free(hits);

    hits = search(engine, (struct mc_search_query){.text = MC_STR("falcon nests")});
    ok(hits->items[0].why == NULL && hits->items[0].why_count == 0, "only when it is asked for");
    is_status(mc_hit_to_json(&hits->items[0], &json, &len, &err), MC_OK, &err, "as JSON");
    answer = answer_of(json);
    ok(json_at(answer.root, "why") == NULL, "without reasons");
    answer_free(&answer);
    mc_hit_list_free(hits);

    say(engine, "money", "I want my money back for the broken lamp!");
    engine_drain(engine);
    const mc_str topics[] = {MC_STR("refund")};
    hits = search(engine,
                  (struct mc_search_query){.topics = topics, .topic_count = 1, .explain = true});
    is_int(hits->count, 1, "by a topic alone");
    is_int(hits->items[0].why_count, 1, "there is one reason");
    is_text(hits->items[0].why[0].feature, "importance", "the importance");
    is_double(hits->items[0].why[0].share, 1, 1e-9, "which is all of the score");
    mc_hit_list_free(hits);
    hits = search(engine, (struct mc_search_query){.text = MC_STR("nautilus"), .explain = true});
    is_int(hits->count, 0, "no hits, no reasons");
    mc_hit_list_free(hits);
}

static bool has_word(const struct mc_hit *hit)
{
    return memmem(hit->message->text.data, hit->message->text.len, "beacon", 6) != NULL;
}

/* More matches than are read: the best of them are found all the same. */
static void test_many(struct mc_engine *engine)
{
    int64_t first_us = mc_time_now_us() - 30 * MC_US_PER_DAY;
    for (int i = 0; i < 1500; i++) {
        char id[32], text[96];
        snprintf(id, sizeof(id), "n%d", i);
        snprintf(text, sizeof(text),
                 i == 40      ? "The beacon of Norwick burns violet."
                 : i % 2 == 0 ? "A beacon was lit at mile %d."
                              : "Then it was quiet for %d hours.",
                 i);
        say_at(engine, id, "m", text, first_us + i * MC_US_PER_SECOND);
    }
    engine_drain(engine);
    struct mc_hit_list *hits = search(
        engine, (struct mc_search_query){.text = MC_STR("violet beacon of norwick"), .limit = 10});
    is_text(hits->items[0].message->message_id, "n40",
            "the one that has all words, though it is old");
    mc_hit_list_free(hits);
    for (size_t limit = 1; limit <= 1000; limit *= 10) {
        hits = search(engine, (struct mc_search_query){.text = MC_STR("beacon"), .limit = limit});
        size_t turns = 0, repeated = 0;
        for (size_t i = 0; i < hits->count; i++) {
            turns += !has_word(&hits->items[i]);
            for (size_t k = 0; k < i; k++)
                repeated += hits->items[i].message == hits->items[k].message;
        }
        ok(hits->count == limit || (limit == 1000 && hits->count >= 750), "limit %zu: %zu hits",
           limit, hits->count);
        ok(turns <= limit / 3, "%zu of them are turns without the word", turns);
        is_int(repeated, 0, "none twice");
        mc_hit_list_free(hits);
    }
}

/* A question behind more text than is read: what it asks for is found. */
static void test_pasted(struct mc_engine *engine)
{
    static char text[20000];
    size_t len = 0;
    for (int i = 0; len < 9000; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%c%c%crk failed on x%d\n",
                                'b' + i % 20, 'a' + i / 20 % 26, 'b' + i / 400, i % 37);
    snprintf(text + len, sizeof(text) - len, "What did I say about the curtains?");
    say(engine, "curtains", "The curtains shall be of blue linen.");
    engine_drain(engine);
    struct mc_hit_list *hits = search(engine, (struct mc_search_query){.text = mc_str_of(text)});
    ok(hits->count > 0 && mc_str_equal(hits->items[0].message->message_id, MC_STR("curtains")),
       "what is asked behind 9 KB of text: %zu hits", hits->count);
    mc_hit_list_free(hits);
    ok(relevant_first(engine, (struct mc_context_query){.query = mc_str_of(text)}, "curtains"),
       "in a context too");
}

int main(void)
{
    struct scratch scratch;
    scratch_make(&scratch);
    struct mc_engine *engine = engine_open(&scratch, NULL);
    test_relative_time(engine);
    test_future(engine);
    test_explain(engine);
    test_many(engine);
    test_pasted(engine);
    mc_engine_close(engine);
    scratch_remove(&scratch);
    return done_testing();
}
