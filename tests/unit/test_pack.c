/* Packing: exact budgets, order of sections and places. */
#include "tap.h"

#include "base/compiler.h"
#include "base/str.h"
#include "base/utf8.h"
#include "context/context.h"
#include "context/pack.h"
#include "context/render.h"
#include "context/tokens.h"

static bool put(struct mc_pack *pack, enum mc_section section, int64_t place, const char *block,
                size_t messages)
{
    struct mc_error err;
    bool added;
    if (mc_pack_add(pack, section, place, mc_str_of(block), messages, &added, &err))
        bail_out("%s", err.message);
    return added;
}

static mc_str text_of(const struct mc_pack *pack)
{
    struct mc_error err;
    mc_str text;
    if (mc_pack_write(pack, &text, &err))
        bail_out("%s", err.message);
    return text;
}

static void test_order(void)
{
    mc_auto(mc_arena_fini) struct mc_arena arena;
    struct mc_pack pack;
    mc_arena_init(&arena, 1U << 20);
    mc_pack_init(&pack, 1000, 10, &arena);
    is_text(text_of(&pack), "", "nothing gives nothing");
    ok(put(&pack, MC_SECTION_RECENT, -1, "older\n", 1), "one");
    ok(put(&pack, MC_SECTION_RECENT, 0, "newer\n", 1), "two");
    ok(put(&pack, MC_SECTION_RECENT, -1, "older too\n", 1), "three");
    ok(put(&pack, MC_SECTION_PREFERENCES, 0, "- a: b\n", 0), "another section");
    is_text(text_of(&pack),
            "## User preferences\n- a: b\n\n## Recent messages\nolder\nolder too\nnewer",
            "sections and places in order");
    is_int(pack.messages_used, 3, "messages are counted");
    ok(!put(&pack, MC_SECTION_RECENT, 0, "", 0), "an empty block is nothing");
}

static void test_messages(void)
{
    mc_auto(mc_arena_fini) struct mc_arena arena;
    struct mc_pack pack;
    mc_arena_init(&arena, 1U << 20);
    mc_pack_init(&pack, 1000, 2, &arena);
    ok(put(&pack, MC_SECTION_RECENT, 0, "a\n", 1) && put(&pack, MC_SECTION_RECENT, 1, "b\n", 1),
       "two fit");
    ok(!put(&pack, MC_SECTION_RECENT, 2, "c\n", 1), "a third does not");
    ok(put(&pack, MC_SECTION_SUMMARIES, 2, "c\n", 0), "what is no message does");
}

static unsigned state = 7;
static unsigned any(unsigned below)
{
    state = state * 1103515245U + 12345U;
    return (state >> 8) % below;
}

static void test_exact(void)
{
    static const char *const blocks[] = {"[2026-01-01 00:00] user: hello\n", "x\n",
                                         "  don't\n  stop\n", "\xe5\xa4\xa9\xe6\xb0\x97\n",
                                         "a long line of ordinary words, some of them longer\n"};
    int over = 0, differs = 0;
    for (int round = 0; round < 2000; round++) {
        mc_auto(mc_arena_fini) struct mc_arena arena;
        struct mc_pack pack;
        mc_arena_init(&arena, 1U << 20);
        size_t most = any(120);
        mc_pack_init(&pack, most, 1000, &arena);
        for (int i = 0; i < 20; i++) {
            enum mc_section section = (enum mc_section)any(MC_SECTION_COUNT);
            const char *block = blocks[any(mc_countof(blocks))];
            size_t room = mc_pack_room(&pack, section);
            bool added = put(&pack, section, (int64_t)any(5), block, 1);
            differs += added != (mc_tokens_units(mc_str_of(block)) <= room);
        }
        over += mc_tokens_estimate(text_of(&pack)) > most;
    }
    is_int(over, 0, "never over the budget");
    is_int(differs, 0, "room tells what fits");
}

static void test_time(void)
{
    static const struct {
        int64_t time_us;
        const char *text;
    } times[] = {
        {0, "1970-01-01 00:00"},
        {-1, "1969-12-31 23:59"},
        {INT64_C(1709251199999999), "2024-02-29 23:59"},
        {INT64_C(1767225660000000), "2026-01-01 00:01"},
    };
    for (size_t i = 0; i < mc_countof(times); i++) {
        char text[MC_RENDER_TIME_SIZE], whole[MC_TIME_TEXT_SIZE], want[MC_RENDER_TIME_SIZE];
        mc_render_time(times[i].time_us, text);
        is_str(text, times[i].text, "time %zu", i);
        mc_time_format(times[i].time_us, whole);
        snprintf(want, sizeof(want), "%.10s %.5s", whole, whole + 11);
        is_str(text, want, "as everywhere else");
    }
}

static void test_render(void)
{
    mc_auto(mc_buf_fini) struct mc_buf line;
    mc_buf_init(&line, 1U << 20);
    struct mc_message m = {.role = MC_ROLE_TOOL,
                           .agent_id = MC_STR("bot-1"),
                           .created_at_us = INT64_C(1767225660000000)};
    mc_render_message(&line, NULL, &m, MC_STR("~ "),
                      MC_STR("  one\r\n## two\n\nth\x07"
                             "ree "),
                      1000);
    is_text(mc_buf_str(&line), "~ [2026-01-01 00:01] tool (bot-1): one\n  ## two\n  \n  th ree\n",
            "lines are indented");
    mc_render_indented(&line, NULL, MC_STR("one\ntwo"), 1000);
    is_text(mc_buf_str(&line), "  one\n  two\n", "all lines");
    int over = 0, open = 0, torn = 0;
    mc_str text =
        MC_STR("na\xc3\xafve \xe5\xa4\xa9\xe6\xb0\x97 don't\nstop \xf0\x9f\x98\x80 now, 123456");
    for (size_t most = 0; most < 260; most++) {
        mc_render_message(&line, NULL, &m, MC_STR(""), text, most);
        mc_str got = mc_buf_str(&line);
        over += mc_tokens_units(got) > most;
        open += got.len > 0 && got.data[got.len - 1] != '\n';
        torn += !mc_utf8_check(got, NULL, NULL);
    }
    is_int(over, 0, "an entry is never over its share");
    is_int(open, 0, "and always a whole line");
    is_int(torn, 0, "of whole characters");
    ok(mc_str_ends(mc_buf_str(&line), MC_STR("123456\n")), "with room it is whole");
}

int main(void)
{
    test_order();
    test_messages();
    test_exact();
    test_time();
    test_render();
    return done_testing();
}
