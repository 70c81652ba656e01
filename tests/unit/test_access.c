/*
 * The access rule as a truth table: every reader of interest against every message of interest, the
 * expected outcome written down cell by cell, and checked once more against the rule in words.
 */
#include "tap.h"

#include "base/compiler.h"
#include "base/str.h"
#include "message/access.h"

static const mc_str SALES[] = {{"sales", 5}};
static const mc_str OPS[] = {{"ops", 3}};
static const mc_str BOTH[] = {{"ops", 3}, {"sales", 5}};
static const mc_str ONLY_B[] = {{"b", 1}};
static const mc_str ONLY_A_OR_NONE[] = {{"a", 1}, {"", 0}};

/* Messages: whose, how visible, for which groups. */
static const struct {
    const char *name;
    const char *agent;
    enum mc_visibility visibility;
    const mc_str *groups;
    size_t group_count;
} MESSAGES[] = {
    {"private of a", "a", MC_VISIBILITY_PRIVATE, NULL, 0},
    {"private of b", "b", MC_VISIBILITY_PRIVATE, NULL, 0},
    {"private of b with a group", "b", MC_VISIBILITY_PRIVATE, SALES, 1},
    {"shared of b without a group", "b", MC_VISIBILITY_SHARED, NULL, 0},
    {"shared of b for sales", "b", MC_VISIBILITY_SHARED, SALES, 1},
    {"shared of b for ops", "b", MC_VISIBILITY_SHARED, OPS, 1},
    {"public of b", "b", MC_VISIBILITY_PUBLIC, NULL, 0},
    {"private of nobody", "", MC_VISIBILITY_PRIVATE, NULL, 0},
    {"shared of nobody for sales", "", MC_VISIBILITY_SHARED, SALES, 1},
    {"public of nobody", "", MC_VISIBILITY_PUBLIC, NULL, 0},
};
#define MESSAGE_COUNT mc_countof(MESSAGES)

/* One character a message: 'y' readable, '-' not. */
static const struct {
    const char *name;
    struct mc_reader reader;
    const char *expected;
} READERS[] = {
    {"everything", {.everything = true}, "yyyyyyyyyy"},
    {"everything, only of b",
     {.everything = true, .only_agents = ONLY_B, .only_agent_count = 1},
     "-yyyyyy---"},
    {"anonymous", {0}, "-------yyy"},
    {"anonymous that reads public ones", {.read_public = true}, "------yyyy"},
    {"a, isolated", {.agent_id = {"a", 1}}, "y---------"},
    {"a, isolated, of a group",
     {.agent_id = {"a", 1}, .groups = SALES, .group_count = 1},
     "y---------"},
    {"a, shared mode, no group, no public",
     {.agent_id = {"a", 1}, .read_shared = true},
     "y---------"},
    {"a, shared mode, sales",
     {.agent_id = {"a", 1}, .read_shared = true, .groups = SALES, .group_count = 1},
     "y---y---y-"},
    {"a, shared mode, sales, public",
     {.agent_id = {"a", 1},
      .read_shared = true,
      .read_public = true,
      .groups = SALES,
      .group_count = 1},
     "y---y-y-yy"},
    {"a, shared mode, ops and sales",
     {.agent_id = {"a", 1}, .read_shared = true, .groups = BOTH, .group_count = 2},
     "y---yy--y-"},
    {"a, public mode",
     {.agent_id = {"a", 1}, .read_shared = true, .read_any_shared = true, .read_public = true},
     "y--yyyy-yy"},
    {"a, public mode, may not read public ones",
     {.agent_id = {"a", 1}, .read_shared = true, .read_any_shared = true},
     "y--yyy--y-"},
    {"a, public mode, only of b",
     {.agent_id = {"a", 1},
      .read_shared = true,
      .read_any_shared = true,
      .read_public = true,
      .only_agents = ONLY_B,
      .only_agent_count = 1},
     "---yyyy---"},
    {"a, public mode, only of a and of nobody",
     {.agent_id = {"a", 1},
      .read_shared = true,
      .read_any_shared = true,
      .read_public = true,
      .only_agents = ONLY_A_OR_NONE,
      .only_agent_count = 2},
     "y-------yy"},
    {"b", {.agent_id = {"b", 1}}, "-yyyyyy---"},
    {"an id that only begins like b's", {.agent_id = {"bb", 2}}, "----------"},
};

static struct mc_message message_at(size_t i)
{
    return (struct mc_message){
        .agent_id = mc_str_of(MESSAGES[i].agent),
        .visibility = MESSAGES[i].visibility,
        .sharing_groups = MESSAGES[i].groups,
        .sharing_group_count = MESSAGES[i].group_count,
    };
}

static void test_table(void)
{
    for (size_t r = 0; r < mc_countof(READERS); r++) {
        char got[MESSAGE_COUNT + 1] = {0};
        for (size_t i = 0; i < MESSAGE_COUNT; i++) {
            struct mc_message m = message_at(i);
            got[i] = mc_reader_allows(&READERS[r].reader, &m) ? 'y' : '-';
        }
        is_str(got, READERS[r].expected, "%s", READERS[r].name);
    }
}

/* The sentence of access.h, one clause a line. */
static bool in_words(const struct mc_reader *r, const struct mc_message *m)
{
    bool common = false;
    for (size_t i = 0; i < r->group_count; i++) {
        for (size_t j = 0; j < m->sharing_group_count; j++)
            common = common || mc_str_equal(r->groups[i], m->sharing_groups[j]);
    }
    bool named = r->only_agent_count == 0;
    for (size_t i = 0; i < r->only_agent_count; i++)
        named = named || mc_str_equal(r->only_agents[i], m->agent_id);
    bool own = mc_str_equal(r->agent_id, m->agent_id);
    bool public = r->read_public && m->visibility == MC_VISIBILITY_PUBLIC;
    bool shared =
        m->visibility == MC_VISIBILITY_SHARED && (r->read_any_shared || (r->read_shared && common));
    return named && (r->everything || own || public || shared);
}

/* Every combination of flags, ids, groups and messages: 2^4 * 3 * 3 * 2 readers. */
static void test_all(void)
{
    static const char *const IDS[] = {"", "a", "b"};
    int differing = 0, tried = 0;
    for (unsigned flags = 0; flags < 16; flags++) {
        for (size_t k = 0; k < 3 * 3 * 2; k++) {
            struct mc_reader r = {
                .everything = flags & 1,
                .read_public = flags & 2,
                .read_shared = flags & 4,
                .read_any_shared = flags & 8,
                .agent_id = mc_str_of(IDS[k % 3]),
                .groups = BOTH,
                .group_count = k / 3 % 3,
                .only_agents = ONLY_B,
                .only_agent_count = k / 9,
            };
            for (size_t i = 0; i < MESSAGE_COUNT; i++, tried++) {
                struct mc_message m = message_at(i);
                differing += mc_reader_allows(&r, &m) != in_words(&r, &m);
            }
        }
    }
    is_int(differing, 0, "%d combinations follow the rule in words", tried);
}

int main(void)
{
    test_table();
    test_all();
    ok(mc_reader_unfiltered(&(struct mc_reader){.everything = true}), "everything needs no filter");
    ok(!mc_reader_unfiltered(&READERS[1].reader), "everything of one agent does");
    ok(!mc_reader_unfiltered(&(struct mc_reader){.read_public = true, .read_any_shared = true}),
       "a reader of much does");
    return done_testing();
}
