/* What a query reads, chosen by masks and turns alone: on a thread whose messages are the rows 1, 2, 3, ... */
#include "tap.h"

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "context/spots.h"

struct thread {
    struct mc_store store;
    int64_t last; /* its last row */
    size_t asked; /* rows whose turns were asked for */
    bool failing;
};

static enum mc_status turns(struct mc_store *store, const int64_t *rows, size_t count,
                            const struct mc_reader *reader, struct mc_turns *out,
                            struct mc_error *err)
{
    struct thread *thread = mc_container_of(store, struct thread, store);
    (void)reader;
    if (thread->failing)
        return mc_fail(err, MC_IO, "no disk");
    thread->asked = count;
    for (size_t i = 0; i < count; i++) {
        ok(i == 0 || rows[i - 1] < rows[i], "rows are asked for in their order");
        for (int64_t k = 0; k < MC_TURNS; k++) {
            out[i].before[k] = rows[i] - k - 1 > 0 ? rows[i] - k - 1 : 0;
            out[i].after[k] = rows[i] + k + 1 <= thread->last ? rows[i] + k + 1 : 0;
        }
    }
    return MC_OK;
}

static const struct mc_store_ops ops = {.turns = turns};

struct set {
    struct thread thread;
    struct mc_arena arena;
    struct mc_query query;
    struct mc_match matches[16];
    struct mc_match_result result;
    struct mc_spots spots;
};

/* Two terms of gain 1 each. */
static void set_open(struct set *s)
{
    static mc_str terms[2];
    static double gains[2] = {1, 1};
    *s = (struct set){.thread = {.store = {.ops = &ops}, .last = 40}};
    mc_arena_init(&s->arena, 1U << 20);
    terms[0] = MC_STR("falcon");
    terms[1] = MC_STR("nest");
    s->query = (struct mc_query){.terms = terms,
                                 .weights = gains,
                                 .gains = gains,
                                 .word_count = 2,
                                 .term_count = 2,
                                 .mass = 2};
    s->result.items = s->matches;
}

/* Matches are added newest first. */
static void add(struct set *s, int64_t row, uint64_t mask)
{
    s->matches[s->result.count++] = (struct mc_match){.row = row, .mask = mask};
}

static enum mc_status find(struct set *s, struct mc_spot_limits limits, struct mc_error *err)
{
    return mc_spots_find(&s->thread.store, &s->query, &s->result, NULL, 0, NULL, &limits, &s->arena,
                         &s->spots, err);
}

static const struct mc_spot *spot(const struct set *s, int64_t row)
{
    for (size_t i = 0; i < s->spots.count; i++) {
        if (s->spots.items[i].row == row)
            return &s->spots.items[i];
    }
    return NULL;
}

static bool chosen(const struct set *s, int64_t row)
{
    const struct mc_spot *found = spot(s, row);
    return found && found->chosen;
}

static void test_estimates(void)
{
    struct set s;
    struct mc_error err;
    set_open(&s);
    add(&s, 30, 1);
    add(&s, 12, 2);
    add(&s, 10, 3);
    is_status(find(&s, (struct mc_spot_limits){3, 10, 10}, &err), MC_OK, &err, "found");
    is_int(s.thread.asked, 3, "the turns of three matches");
    is_int(s.spots.count, 7 + 5, "each with two on either side, none twice");
    is_double(spot(&s, 10)->own, 1, 1e-9, "all of the query");
    is_double(spot(&s, 12)->own, 0.5, 1e-9, "a half");
    is_double(spot(&s, 10)->estimate, 1 + 0.2 * 0.5, 1e-9, "with a share of the second turn after");
    is_double(spot(&s, 11)->estimate, 0.3 * 1 + 0.3 * 0.5, 1e-9, "one between two matches");
    is_double(spot(&s, 8)->estimate, 0.2, 1e-9, "the second one before");
    is_double(spot(&s, 30)->estimate, 0.5, 1e-9, "alone");
    ok(spot(&s, 10)->matched && !spot(&s, 11)->matched, "what the index gave is known");
    const struct mc_spot *middle = spot(&s, 11);
    is_int(s.spots.items[middle->before[0]].row, 10, "the turn before");
    is_int(s.spots.items[middle->before[1]].row, 9, "the second one");
    is_int(s.spots.items[middle->after[0]].row, 12, "the turn after");
    is_int(s.spots.items[middle->after[1]].row, 13, "the second one");
    mc_arena_fini(&s.arena);
}

static void test_limits(void)
{
    struct set s;
    struct mc_error err;
    set_open(&s);
    add(&s, 30, 1);
    add(&s, 12, 2);
    add(&s, 11, 1);
    add(&s, 10, 3);
    is_status(find(&s, (struct mc_spot_limits){1, 2, 1}, &err), MC_OK, &err, "found");
    is_int(s.thread.asked, 1, "the turns of the best match only");
    ok(chosen(&s, 10), "it is read");
    ok(chosen(&s, 11), "and a match next to it, though not among the best");
    ok(!chosen(&s, 12) && spot(&s, 12)->matched, "no more than two matches");
    ok(chosen(&s, 9), "and one turn that matches nothing");
    ok(!chosen(&s, 8), "no second one");
    ok(!spot(&s, 30), "what is beyond the best is not looked at");
    mc_arena_fini(&s.arena);

    set_open(&s);
    add(&s, 20, 1);
    add(&s, 10, 1);
    is_status(find(&s, (struct mc_spot_limits){1, 1, 0}, &err), MC_OK, &err, "found");
    ok(chosen(&s, 20), "of equals the newer one");
    is_status(find(&s, (struct mc_spot_limits){0, 5, 5}, &err), MC_OK, &err,
              "no matches looked at");
    is_int(s.spots.count, 0, "gives nothing");
    mc_arena_fini(&s.arena);
}

static void test_ends(void)
{
    struct set s;
    struct mc_error err;
    set_open(&s);
    is_status(find(&s, (struct mc_spot_limits){5, 5, 5}, &err), MC_OK, &err, "no matches");
    is_int(s.spots.count, 0, "no spots");
    add(&s, 40, 1);
    add(&s, 1, 1);
    is_status(find(&s, (struct mc_spot_limits){5, 5, 5}, &err), MC_OK, &err, "at the ends");
    is_int(s.spots.count, 6, "of a thread there are fewer turns");
    is_int(spot(&s, 1)->before[0], MC_SPOT_NONE, "none before the first");
    is_int(spot(&s, 40)->after[0], MC_SPOT_NONE, "none after the last");
    s.thread.failing = true;
    size_t before = s.spots.count;
    is_status(find(&s, (struct mc_spot_limits){5, 5, 5}, &err), MC_IO, &err, "a store that fails");
    is_int(s.spots.count, before, "changes nothing");
    mc_arena_fini(&s.arena);
}

int main(void)
{
    test_estimates();
    test_limits();
    test_ends();
    return done_testing();
}
