/*
 * What is learned from one message (memory/signals.c): what the user says outright, topics, scripts, and
 * what must not be taken for any of these.
 */
#include "tap.h"

#include "base/compiler.h"
#include "base/str.h"
#include "memory/preferences.h"

#define AT INT64_C(1767225600000000)

struct seen {
    struct mc_arena arena;
    struct mc_signal *items;
    size_t count;
};

static void look(struct seen *seen, enum mc_role role, const char *text,
                 const struct mc_metadata *metadata)
{
    static const struct mc_metadata nothing;
    struct mc_message m = {.text = mc_str_of(text), .role = role, .created_at_us = AT};
    mc_arena_init(&seen->arena, 1 << 20);
    struct mc_error err = {0};
    if (mc_signals_of(&m, metadata ? metadata : &nothing, &seen->arena, &seen->items, &seen->count,
                      &err))
        bail_out("signals: %s", err.message);
}

/* All signals as "field=value" separated by "; ". */
static void said(const char *text, const char *expected)
{
    struct seen seen;
    look(&seen, MC_ROLE_USER, text, NULL);
    mc_auto(mc_buf_fini) struct mc_buf got;
    mc_buf_init(&got, 1 << 20);
    for (size_t i = 0; i < seen.count; i++)
        mc_buf_printf(&got, "%s%.*s=%.*s", i ? "; " : "", MC_STR_ARG(seen.items[i].field),
                      MC_STR_ARG(seen.items[i].value));
    is_text(mc_buf_str(&got), expected, "%.80s", text);
    mc_arena_fini(&seen.arena);
}

static void test_names(void)
{
    said("Call me Anna", "preferred_name=Anna");
    said("please call me Anna Maria, ok?", "preferred_name=Anna Maria");
    said("My name is José Álvarez.", "preferred_name=José Álvarez");
    said("my name's Öz", "preferred_name=Öz");
    said("You can call me Dr. Berg.", "preferred_name=Dr. Berg");
    said("call me Prof. Dr. Eva Berg", "preferred_name=Prof. Dr. Eva");
    said("just call me Dr., please", "");
    said("My name is Jean Paul Marie Pierre", "preferred_name=Jean Paul Marie");
    said("call me later", "");
    said("Can you call me tomorrow at 5?", "");
    said("my name is on the invoice", "");
    said("they recall me Bob", "");
    said("call me ", "");
}

static void test_how_to_answer(void)
{
    said("Please answer in German.", "language=German");
    said("please reply in French from now on", "language=French");
    said("Answer me in Dutch!", "language=Dutch");
    said("Please answer in detail", "communication_style=detailed");
    said("Keep your answers brief", "communication_style=concise");
    said("please answer in a minute", "");
    said("Please do not write in German", "");
    said("Why did he always answer in German?", "");
    said("I can answer in German", "");
}

/* What may stand behind or before "call me" and is no wish for a name. */
static void test_no_names(void)
{
    said("Please call me Friday at noon", "");
    said("Call me Back", "");
    said("Call me Tomorrow", "");
    said("please call me in January", "");
    said("Call me January 5th", "");
    said("CALL ME BACK NOW", "");
    said("Call me I'm waiting", "");
    said("Call me Later Please", "");
    said("Don't call me Maria", "");
    said("Don\xE2\x80\x99t call me Maria", "");
    said("Do not ever call me Maria", "");
    said("Never call me Maria again", "");
    said("Please stop! Do not call me Maria", "");
    said("Why do you call me Maria?", "");
    said("If you call me Maria once more I leave", "");
    said("No longer call me Maria", "");
    said("My name is What?", "");
    said("Don't call me Maria, call me Anna", "preferred_name=Anna");
    said("Call me Friday. My name is Anna", "preferred_name=Anna");
    said("I am not joking. Call me Anna", "preferred_name=Anna");
    said("Can you call me Anna?", "preferred_name=Anna");
    said("Call me Anna Friday", "preferred_name=Anna");
    said("My name is April", "preferred_name=April");
    said("my name is Sean O'Neil", "preferred_name=Sean O'Neil");
}

static void test_zones(void)
{
    said("my time zone is Europe/Berlin", "timezone=Europe/Berlin");
    said("my time zone is America/New_York, usually", "timezone=America/New_York");
    said("My timezone is UTC.", "timezone=UTC");
    said("My timezone is UTC+2", "timezone=UTC+2");
    said("My timezone is UTC+05:30.", "timezone=UTC+05:30");
    said("My timezone is GMT-3", "timezone=GMT-3");
    said("My timezone is UTC+99", "");
    said("My timezone is UTCX", "");
    said("My timezone is Wrong in the app", "");
    said("My timezone is Berlin", "");
    said("My timezone is Europe/", "");
    said("My timezone is Nowhere/Land", "");
    said("My timezone is ../../etc/passwd", "");
    said("My timezone is not Europe/Berlin", "");
}

static void test_style(void)
{
    said("Keep it short please", "communication_style=concise");
    said("could you be brief? be concise", "communication_style=concise");
    said("Explain in detail how refunds work, step by step", "communication_style=detailed");
    said("Answer in German please", "language=German");
    said("Auf Deutsch bitte!", "language=German");
    said("Bitte auf Deutsch.", "language=German");
    said("Antworte auf Deutsch", "language=German");
    said("Antworte bitte auf Deutsch", "language=German");
    said("Kannst du auf Deutsch antworten?", "language=German");
    said("Sprich Deutsch mit mir!", "language=German");
    said("Wie sagt man das bitte auf Deutsch?", "");
    said("Was hei\xC3\x9Ft das bitte auf Deutsch?", "");
    said("Bitte nicht auf Deutsch", "");
    said("Ich will nie auf Deutsch antworten", "");
    said("Ich spreche Deutsch", "");
    said("Your answers are too long", "communication_style=concise");
    said("I waited too long for this parcel", "");
    said("I followed the manual step by step", "");
    said("I speak German", "");
    said("I bought a German car", "");
    said("Please don't keep it short", "");
    said("No short answers please", "");
    said("Don't be brief", "");
    said("Never answer in German please", "");
}

static void test_phrases(void)
{
    said("I love hiking and my dog", "interests=hiking");
    said("I really like old maps because they are odd", "interests=old maps");
    said("I'm interested in machine learning, mostly", "interests=machine learning");
    said("My goal is to run a marathon in spring.", "goals=run a marathon in spring");
    said("I'm trying to cancel my order", "goals=cancel my order");
    said("I love one two three four five six seven eight", "interests=one two three four five six");
    said("I enjoy", "");
    said("I love (it)", "");
    said("hi love", "");
    said("My name is Ann. I enjoy chess; keep it short.",
         "preferred_name=Ann; communication_style=concise; interests=chess");
    said("I love tea. I love tea. I really like tea", "interests=tea");
    said("I love it when you are late", "");
    said("I love it", "");
    said("I love this shop", "");
    said("I love that the parcel came", "");
    said("I love your service", "");
    said("I love you", "");
    said("I love when it works", "");
    said("I love how it looks", "");
    said("I love to wait", "");
    said("I really like it's colour", "");
    said("I love it. I love chess", "interests=chess");
    said("I'm interested in what you sell", "");
    said("I never said that I love chess", "");
    said("Not that I love chess", "");
}

static void test_scripts(void)
{
    said("注文した商品がまだ届いていません", "language=Japanese");
    said("我的订单还没有到", "language=Chinese");
    said("주문이 아직 도착하지 않았습니다", "language=Korean");
    said("Η παραγγελία μου δεν ήρθε", "language=Greek");
    said("ההזמנה שלי לא הגיעה", "language=Hebrew");
    said("คำสั่งซื้อของฉันยังไม่มา", "language=Thai");
    said("Мой заказ не пришёл", "");
    said("My order of 東京 books from the shop has not come", "");
    said("12345 !!!", "");
}

static void test_weights(void)
{
    const mc_str topics[] = {MC_STR("gardening"), MC_STR("refund"), MC_STR("api"),
                             MC_STR("beekeeping")};
    struct mc_metadata metadata = {.topics = topics, .topic_count = 4};
    struct seen seen;
    look(&seen, MC_ROLE_USER, "I love tea", &metadata);
    if (is_int(seen.count, 3, "what was said and two topics; what is built in is none")) {
        is_text(seen.items[0].value, "tea", "said outright");
        is_int(seen.items[0].count, 3, "counts three times");
        is_double(seen.items[0].weight, 3.0, 0, "with full weight");
        is_int(seen.items[0].last_seen_us, AT, "at the message's time");
        is_text(seen.items[1].field, "interests", "a topic is an interest");
        is_text(seen.items[1].value, "gardening", "the first topic");
        is_int(seen.items[1].count, 1, "counts once");
        is_double(seen.items[1].weight, 0.7, 1e-12, "with less weight");
        is_text(seen.items[2].value, "beekeeping", "the last topic");
    }
    mc_arena_fini(&seen.arena);
    look(&seen, MC_ROLE_USER, "I'm trying to log in", NULL);
    if (is_int(seen.count, 1, "what may be of the moment only")) {
        is_int(seen.items[0].count, 1, "counts once");
        is_double(seen.items[0].weight, 0.7, 1e-12, "with less weight");
    }
    mc_arena_fini(&seen.arena);
    static const enum mc_role OTHERS[] = {MC_ROLE_ASSISTANT, MC_ROLE_SYSTEM, MC_ROLE_TOOL};
    for (size_t i = 0; i < mc_countof(OTHERS); i++) {
        look(&seen, OTHERS[i], "My name is Bot. I love tea. Keep it short.", &metadata);
        is_int(seen.count, 0, "nothing is learned from the role %s", mc_role_name(OTHERS[i]));
        mc_arena_fini(&seen.arena);
    }
}

/* Bytes of all kinds, cut anywhere: no more than a message's share of signals, values within bounds. */
static void test_bounds(void)
{
    static const char PART[] =
        "call me Zoë Ä. i love 日本語 and i enjoy 한국어 step by step my goal is ";
    mc_auto(mc_buf_fini) struct mc_buf text;
    mc_buf_init(&text, 1 << 20);
    for (int i = 0; i < 200; i++)
        mc_buf_text(&text, PART);
    int bad = 0;
    for (size_t len = 0; len < 300; len++) {
        struct seen seen;
        char *copy = mc_str_dup((mc_str){text.data, len});
        look(&seen, MC_ROLE_USER, copy, NULL);
        bad += seen.count > 16;
        for (size_t i = 0; i < seen.count; i++)
            bad += seen.items[i].value.len == 0 || seen.items[i].value.len > 80;
        mc_arena_fini(&seen.arena);
        free(copy);
    }
    is_int(bad, 0, "however the text is cut");
    struct seen seen;
    look(&seen, MC_ROLE_USER, text.data, NULL);
    ok(seen.count > 0 && seen.count <= 16, "a long text gives %zu", seen.count);
    mc_arena_fini(&seen.arena);

    mc_str topics[40];
    char names[40][8];
    for (size_t i = 0; i < mc_countof(topics); i++) {
        snprintf(names[i], sizeof(names[i]), "t%zu", i);
        topics[i] = mc_str_of(names[i]);
    }
    struct mc_metadata metadata = {.topics = topics, .topic_count = mc_countof(topics)};
    look(&seen, MC_ROLE_USER, "x", &metadata);
    is_int(seen.count, 16, "forty topics are too many for one message");
    mc_arena_fini(&seen.arena);
}

int main(void)
{
    test_how_to_answer();
    test_names();
    test_no_names();
    test_zones();
    test_style();
    test_phrases();
    test_scripts();
    test_weights();
    test_bounds();
    return done_testing();
}
