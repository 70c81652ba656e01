/* Whether what a model states was said. */
#include "tap.h"

#include "base/str.h"
#include "text/ground.h"

static const struct {
    const char *text;
    bool holds;
    const char *what;
} CASES[] = {
    {"The refund of 89.90 EUR was promised for Thursday.", true, "the words as they were said"},
    {"Refunds were promised on thursdays", true, "other forms of the words"},
    {"The refund of 98.90 EUR was promised for Thursday.", false, "another number"},
    {"Order ORD-48213 was refunded on Thursday", true, "a code"},
    {"Order ORD-48214 was refunded on Thursday", false, "another code"},
    {"A refund was agreed upon by the manager", false, "mostly other words"},
    {"The agreed refund", true, "half of the words"},
    {"is it not", false, "stop words state nothing"},
    {"", false, "nothing"},
    {"\xe9\xba\xba\xe9\xba\xba", false, "another script"},
    {"\xff\xfe refund thursday", true, "odd bytes separate words"},
};

int main(void)
{
    struct mc_arena arena;
    struct mc_ground ground;
    mc_arena_init(&arena, 1 << 20);
    mc_ground_init(&ground, &arena);
    bool holds = true;
    ok(mc_ground_holds(&ground, MC_STR("refund"), &holds) && !holds, "nothing stands on nothing");
    ok(mc_ground_add(&ground, MC_STR("If it does not come I want a refund for order ORD-48213.")),
       "one text");
    ok(mc_ground_add(&ground, MC_STR("I promise: on Thursday we pay back 89.90 EUR.")), "another");
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        if (!mc_ground_holds(&ground, mc_str_of(CASES[i].text), &holds))
            bail_out("out of memory");
        is_int(holds, CASES[i].holds, "%s", CASES[i].what);
    }
    struct mc_arena tiny;
    mc_arena_init(&tiny, 8);
    struct mc_ground poor;
    mc_ground_init(&poor, &tiny);
    ok(!mc_ground_add(&poor, MC_STR("some words that need memory")), "out of memory is told");
    ok(!mc_ground_holds(&poor, MC_STR("some words that need memory"), &holds), "also here");
    mc_ground_fini(&poor);
    mc_arena_fini(&tiny);
    mc_ground_fini(&ground);
    mc_arena_fini(&arena);
    return done_testing();
}
