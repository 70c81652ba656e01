/* Ranking: each feature by itself on made-up candidates. */
#include "tap.h"

#include "base/compiler.h"
#include "base/str.h"
#include "base/time.h"
#include "context/rank.h"
#include "message/decay.h"

#define NOW INT64_C(1767225600000000)
#define HALF_LIFE (14 * MC_US_PER_DAY)
#define MOST 8

struct set {
    struct mc_vocabulary *vocabulary;
    struct mc_arena arena;
    struct mc_query query;
    struct mc_rank_item items[MOST];
    size_t count;
};

static void must(enum mc_status status, const struct mc_error *err)
{
    if (status)
        bail_out("%s", err->message);
}

/* Every term of the query has matched 10 of 1,000 messages. */
static void set_open(struct set *s, const char *query)
{
    struct mc_error err;
    *s = (struct set){.count = 0};
    must(mc_vocabulary_new(&s->vocabulary, &err), &err);
    mc_arena_init(&s->arena, 16U << 20);
    must(mc_query_read(mc_str_of(query), s->vocabulary, 0, &s->arena, &s->query, &err), &err);
    uint32_t df[MC_MATCH_TERMS_MAX];
    for (size_t i = 0; i < MC_MATCH_TERMS_MAX; i++)
        df[i] = 10;
    mc_query_weigh(&s->query, df, 1000);
}

static void set_close(struct set *s)
{
    for (size_t i = 0; i < s->count; i++)
        mc_record_unref(s->items[i].record);
    mc_vocabulary_free(s->vocabulary);
    mc_arena_fini(&s->arena);
}

static struct mc_message message(const char *text)
{
    return (struct mc_message){
        .message_id = MC_STR("m"),
        .user_id = MC_STR("u"),
        .thread_id = MC_STR("t"),
        .session_id = MC_STR("s"),
        .text = mc_str_of(text),
        .created_at_us = NOW - MC_US_PER_DAY,
        .importance = 0.5,
    };
}

static size_t add(struct set *s, struct mc_message m, const char *terms)
{
    struct mc_error err;
    struct mc_rank_item *item = &s->items[s->count];
    *item = (struct mc_rank_item){.before = MC_RANK_NONE,
                                  .after = MC_RANK_NONE,
                                  .second_before = MC_RANK_NONE,
                                  .second_after = MC_RANK_NONE,
                                  .matched = true};
    must(mc_record_new(&m, (int64_t)s->count + 1, mc_str_of(terms), &item->record, &err), &err);
    return s->count++;
}

static void rank(struct set *s)
{
    struct mc_error err;
    for (size_t i = 0; i < s->count; i++)
        must(mc_rank_own(&s->query, &s->items[i], &s->arena, &err), &err);
    must(mc_rank_all(&s->query, s->items, s->count, HALF_LIFE, NOW, &s->arena, &err), &err);
}

static double feature(const struct set *s, size_t item, enum mc_feature which)
{
    return s->items[item].features[which];
}

static void test_words(void)
{
    struct set s;
    set_open(&s, "the falcon nests");
    is_int(s.query.word_count, 2, "stop words are no terms");
    size_t both = add(&s, message("falcons nest"), "falcon nest");
    size_t one = add(&s, message("a falcon"), "falcon");
    size_t more = add(&s, message("falcon falcon falcon"), "falcon falcon falcon");
    size_t pending = add(&s, message("A falcon's nest"), "");
    size_t none = add(&s, message("nothing"), "noth");
    rank(&s);
    ok(s.items[both].own > s.items[more].own, "two words before one word often");
    ok(s.items[more].own > s.items[one].own, "often before once");
    is_double(s.items[pending].own, s.items[both].own, 1e-9, "a message without terms is read");
    is_double(s.items[none].own, 0, 0, "no match");
    is_double(mc_rank_covered(&s.query, s.items[both].mask), 1, 1e-9, "all of the query");
    is_double(mc_rank_covered(&s.query, s.items[one].mask), 0.5, 1e-9, "half of it");
    double sum = 0;
    for (int i = 0; i < MC_FEATURE_COUNT; i++)
        sum += feature(&s, both, (enum mc_feature)i);
    is_double(s.items[both].score, sum, 1e-12, "the score is the sum of its features");
    set_close(&s);
}

static double answers(const struct set *s, size_t item)
{
    return mc_rank_answers(&s->query, s->items, &s->items[item]);
}

static void test_answers(void)
{
    struct set s;
    set_open(&s, "the falcon nests");
    size_t question = add(&s, message("Where does the falcon nest?"), "falcon nest");
    size_t answer = add(&s, message("On the tower."), "tower");
    size_t half = add(&s, message("A falcon."), "falcon");
    size_t next = add(&s, message("And the nest?"), "nest");
    size_t both = add(&s, message("The falcon nests there."), "falcon nest");
    s.items[question].after = answer;
    s.items[answer].before = question;
    s.items[half].after = next;
    s.items[next].before = half;
    rank(&s);
    is_double(answers(&s, both), 0.8, 1e-9, "two words that agree");
    is_double(answers(&s, question), 0.4, 1e-9, "a question is half an answer");
    is_double(answers(&s, answer), 0.7 * 0.8, 1e-9, "what the question before it has, in part");
    is_double(answers(&s, half), 0.5 / 1.5, 1e-9, "not what a question behind it has");
    set_close(&s);

    struct mc_message m = message("thanks");
    m.metadata = MC_STR("{\"method\":\"trivial\"}");
    ok(!mc_rank_is_trivial(&m), "an important message is not trivial, whatever its metadata has");
    m.importance = 0.1;
    ok(mc_rank_is_trivial(&m), "a trivial one");
    m.metadata = MC_STR("{\"method\":\"builtin\"}");
    ok(!mc_rank_is_trivial(&m), "one of no importance is not always trivial");
}

static void test_rare_words_count_more(void)
{
    struct set s;
    set_open(&s, "falcon weather");
    uint32_t df[MC_MATCH_TERMS_MAX] = {2, 700};
    mc_query_weigh(&s.query, df, 1000);
    size_t rare = add(&s, message("falcon"), "falcon");
    size_t common = add(&s, message("weather"), "weather");
    rank(&s);
    ok(s.items[rare].own > 3 * s.items[common].own, "a rare word counts much more");
    set_close(&s);
}

static void tie(struct set *s, size_t before, size_t after)
{
    s->items[before].after = after;
    s->items[after].before = before;
}

static void test_neighbours(void)
{
    struct set s;
    set_open(&s, "which falcon nests");
    size_t question = add(&s, message("Which falcon nests here?"), "falcon nest");
    size_t answer = add(&s, message("The peregrine."), "peregrin");
    size_t second = add(&s, message("I see."), "see");
    size_t third = add(&s, message("Bye."), "bye");
    struct mc_message elsewhere = message("A new day.");
    elsewhere.session_id = MC_STR("s2");
    size_t other = add(&s, elsewhere, "new day");
    tie(&s, question, answer);
    tie(&s, answer, second);
    tie(&s, second, third);
    s.items[question].second_after = second;
    s.items[second].second_before = question;
    s.items[answer].second_after = third;
    s.items[third].second_before = answer;
    s.items[other].before = question;
    size_t alone = add(&s, message("Alone."), "alone");
    s.items[alone].unread = 0.25;
    rank(&s);
    double own = s.items[question].own;
    is_double(feature(&s, answer, MC_FEATURE_NEIGHBOURS), 0.3 * own, 1e-9, "the turn after");
    is_double(feature(&s, second, MC_FEATURE_NEIGHBOURS), 0.2 * own, 1e-9, "the second one");
    is_double(feature(&s, third, MC_FEATURE_NEIGHBOURS), 0, 0, "the third gets nothing");
    is_double(feature(&s, other, MC_FEATURE_NEIGHBOURS), 0, 0, "nor does another session");
    is_double(feature(&s, alone, MC_FEATURE_NEIGHBOURS), 0.25, 1e-9, "what was not read counts");
    ok(feature(&s, answer, MC_FEATURE_ANSWER) > 0, "it answers a question that asks the same");
    is_double(feature(&s, second, MC_FEATURE_ANSWER), 0, 0, "this does not");
    ok(feature(&s, second, MC_FEATURE_SESSION) > 0, "its session speaks of it");
    is_double(feature(&s, other, MC_FEATURE_SESSION), 0, 0, "the other session does not");
    ok(s.items[answer].score > s.items[third].score, "the answer before the rest");
    set_close(&s);
}

static void test_form(void)
{
    struct set s;
    set_open(&s, "When did I see the falcon?");
    ok(s.query.asks_time && s.query.of_user, "asks for a time, of the user");
    struct mc_message told = message("I saw the falcon last Monday."), plain = message("A falcon.");
    told.role = MC_ROLE_USER;
    plain.role = MC_ROLE_ASSISTANT;
    size_t dated = add(&s, told, "see falcon monday"), undated = add(&s, plain, "falcon");
    rank(&s);
    ok(feature(&s, dated, MC_FEATURE_TIME) > 0, "a time is named");
    is_double(feature(&s, undated, MC_FEATURE_TIME), 0, 0, "none is named");
    ok(feature(&s, dated, MC_FEATURE_SPEAKER) > 0, "the user said it");
    is_double(feature(&s, undated, MC_FEATURE_SPEAKER), 0, 0, "the assistant said it");
    set_close(&s);

    set_open(&s, "how many falcons did you recommend");
    ok(s.query.asks_number && s.query.of_assistant, "asks for a number, of the assistant");
    size_t seven = add(&s, message("Seven falcons."), "seven falcon");
    size_t some = add(&s, message("Falcons."), "falcon");
    rank(&s);
    ok(feature(&s, seven, MC_FEATURE_NUMBER) > 0, "a number is named");
    is_double(feature(&s, some, MC_FEATURE_NUMBER), 0, 0, "none is named");
    set_close(&s);
}

static struct mc_message said(const char *text, int64_t created_at_us)
{
    struct mc_message m = message(text);
    m.created_at_us = created_at_us;
    return m;
}

static void test_date(void)
{
    struct set s;
    set_open(&s, "which falcon did I see on 7 May 2023?");
    int64_t day_us = mc_time_from_civil(2023, 5, 7);
    size_t then = add(&s, said("a falcon", day_us + 1), "falcon");
    size_t later = add(&s, said("a falcon", day_us + 8 * MC_US_PER_DAY), "falcon");
    size_t never = add(&s, said("a falcon", day_us + 80 * MC_US_PER_DAY), "falcon");
    size_t future = add(&s, said("a falcon", INT64_MAX), "falcon");
    size_t words = add(&s, said("a falcon in May 2023", NOW), "falcon mai 2023");
    rank(&s);
    is_double(feature(&s, then, MC_FEATURE_DATE), 0.4, 1e-9, "of that day");
    is_double(feature(&s, later, MC_FEATURE_DATE), 0.4 * 2 / 3, 1e-9, "a week after it");
    is_double(feature(&s, never, MC_FEATURE_DATE), 0, 0, "of another time");
    is_double(feature(&s, future, MC_FEATURE_DATE), 0, 0, "of the end of time");
    ok(s.items[future].score > 0 && s.items[future].score < 10, "which has a score like others");
    ok(s.items[then].score > s.items[words].score, "the day itself before words of its date");
    set_close(&s);

    set_open(&s, "which falcon did I see?");
    size_t any = add(&s, said("a falcon", day_us), "falcon");
    rank(&s);
    is_double(feature(&s, any, MC_FEATURE_DATE), 0, 0, "no time named, no share");
    set_close(&s);
}

static void test_named_speaker(void)
{
    struct set s;
    set_open(&s, "what did Zora say of the falcon?");
    size_t hers = add(&s, message("Zora: a falcon"), "zora falcon");
    size_t of_her = add(&s, message("Yuri: the falcon of Zora"), "yuri zora falcon");
    size_t nobody = add(&s, message("a falcon"), "falcon");
    s.query.speaker = MC_STR("Zora");
    rank(&s);
    is_double(feature(&s, hers, MC_FEATURE_SPEAKER), 0.3, 1e-9, "she said it");
    is_double(feature(&s, of_her, MC_FEATURE_SPEAKER), 0, 0, "it was said of her");
    is_double(feature(&s, nobody, MC_FEATURE_SPEAKER), 0, 0, "nobody is told");
    set_close(&s);
}

static void test_topics(void)
{
    struct set s;
    set_open(&s, "I want my money back");
    ok(s.query.term_count > s.query.word_count, "the words lead to a topic");
    size_t about = add(&s, message("I sent it back."), "send t:refund c:billing i:provide_info");
    size_t not = add(&s, message("I sent it back."), "send");
    rank(&s);
    ok(feature(&s, about, MC_FEATURE_TOPICS) > 0, "the topic agrees");
    is_double(feature(&s, not, MC_FEATURE_TOPICS), 0, 0, "or does not");
    set_close(&s);
    set_open(&s, "what did we sell in order to move?");
    is_int(s.query.term_count, s.query.word_count, "an idiom leads to no topic, as in a message");
    set_close(&s);
}

static void test_order(void)
{
    struct set s;
    set_open(&s, "falcon");
    struct mc_message old = message("falcon"), new = message("falcon"), strong = message("falcon");
    old.created_at_us = NOW - 300 * MC_US_PER_DAY;
    strong.importance = 1;
    size_t a = add(&s, old, "falcon"), b = add(&s, new, "falcon"), c = add(&s, strong, "falcon");
    rank(&s);
    ok(mc_rank_compare(&s.items[b], &s.items[a]) < 0, "the newer one first");
    ok(mc_rank_compare(&s.items[c], &s.items[b]) < 0, "the more important one first");
    ok(s.items[c].score - s.items[a].score < 0.1, "but neither outweighs a word");
    s.items[a].score = s.items[b].score;
    ok(mc_rank_compare(&s.items[b], &s.items[a]) < 0, "equal scores: the newer one first");
    is_int(mc_rank_compare(&s.items[b], &s.items[b]), 0, "only a message equals itself");
    set_close(&s);
}

static void test_decay(void)
{
    is_double(mc_importance_at(0.8, NOW, HALF_LIFE, NOW), 0.8, 0, "now");
    is_double(mc_importance_at(0.8, NOW - HALF_LIFE, HALF_LIFE, NOW), 0.4, 1e-9, "a half-life");
    is_double(mc_importance_at(0.8, NOW - 400 * HALF_LIFE, HALF_LIFE, NOW), 0.05, 0, "the floor");
    is_double(mc_importance_at(0.02, NOW - 400 * HALF_LIFE, HALF_LIFE, NOW), 0.02, 0,
              "never rises");
    is_double(mc_importance_at(0.8, NOW + HALF_LIFE, HALF_LIFE, NOW), 0.8, 0, "nor in the future");
    is_double(mc_importance_at(0.8, INT64_MIN, HALF_LIFE, INT64_MAX), 0.05, 0, "no overflow");
}

static void test_query(void)
{
    struct set s;
    struct mc_buf text;
    mc_buf_init(&text, 1U << 20);
    for (int i = 0; i < 500; i++)
        mc_buf_printf(&text, "word%c%c%c ", 'a' + i % 26, 'a' + i / 26, 'q');
    mc_buf_text(&text, "ORD-48213");
    set_open(&s, text.data);
    mc_buf_fini(&text);
    ok(s.query.term_count <= MC_MATCH_TERMS_MAX, "a long query is bounded");
    bool code = false;
    for (size_t i = 0; i < s.query.word_count; i++)
        code |= mc_str_equal(s.query.terms[i], MC_STR("ord48213"));
    ok(code, "what says most is kept");
    set_close(&s);
    set_open(&s, "what is it about?");
    is_int(s.query.term_count, 0, "stop words alone have no terms");
    is_double(mc_rank_covered(&s.query, 0), 0, 0, "and cover nothing");
    set_close(&s);
    set_open(&s, "what kind of falcon do you know");
    double falcon = 0, weak = 0;
    for (size_t i = 0; i < s.query.word_count; i++) {
        bool is_falcon = mc_str_equal(s.query.terms[i], MC_STR("falcon"));
        *(is_falcon ? &falcon : &weak) = s.query.gains[i];
    }
    ok(falcon > 2 * weak, "words that questions are made of count less");
    set_close(&s);
}

int main(void)
{
    test_words();
    test_answers();
    test_rare_words_count_more();
    test_neighbours();
    test_form();
    test_date();
    test_named_speaker();
    test_topics();
    test_order();
    test_decay();
    test_query();
    return done_testing();
}
