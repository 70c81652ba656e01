#include "cli/load_schedule.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/time.h"
#include "cli/random.h"

#define TURN_GAP_S 20 /* from a user's message to his next: reading, thinking, typing */
#define SLOTS_LEAST 2
#define SLOTS_MOST 5000
#define CONTEXT_AFTER_US (30 * MC_US_PER_MS) /* the agent starts */
#define SEARCH_AFTER_US (300 * MC_US_PER_MS) /* its model asks for a tool */
#define TOOL_AFTER_US (400 * MC_US_PER_MS)
#define REPLY_LEAST_US (500 * MC_US_PER_MS) /* its model writes */
#define REPLY_MOST_US (4 * MC_US_PER_SECOND)
#define OPS_A_TURN 6

unsigned mc_load_slots(double turn_rate)
{
    double slots = ceil(turn_rate * TURN_GAP_S);
    return slots < SLOTS_LEAST ? SLOTS_LEAST : slots > SLOTS_MOST ? SLOTS_MOST : (unsigned)slots;
}

static int64_t draw_gap(struct mc_load_schedule *schedule)
{
    double seconds = -log(1 - mc_random_unit(&schedule->random)) / schedule->turn_rate;
    return (int64_t)(seconds * (double)MC_US_PER_SECOND) + 1;
}

/* Turns before the start are begun, too: their answers fall into it. */
enum mc_status mc_load_schedule_init(struct mc_load_schedule *schedule, uint64_t seed,
                                     double turn_rate, int64_t duration_us, struct mc_error *err)
{
    *schedule = (struct mc_load_schedule){.random = seed,
                                          .turn_rate = turn_rate,
                                          .duration_us = duration_us,
                                          .next_turn_us = -REPLY_MOST_US,
                                          .slots = mc_load_slots(turn_rate)};
    schedule->next_turn_us += draw_gap(schedule);
    schedule->turns = calloc(schedule->slots, sizeof(*schedule->turns));
    return schedule->turns ? MC_OK : mc_fail_memory(err);
}

void mc_load_schedule_fini(struct mc_load_schedule *schedule)
{
    free(schedule->turns);
    free(schedule->heap);
}

static bool make_room(struct mc_load_schedule *schedule)
{
    if (schedule->count + OPS_A_TURN <= schedule->capacity)
        return true;
    size_t capacity = schedule->capacity ? 2 * schedule->capacity : 256;
    struct mc_load_op *heap = realloc(schedule->heap, capacity * sizeof(*heap));
    if (!heap)
        return false;
    schedule->heap = heap;
    schedule->capacity = capacity;
    return true;
}

static void push(struct mc_load_schedule *schedule, struct mc_load_op op)
{
    size_t at = schedule->count++;
    while (at > 0 && schedule->heap[(at - 1) / 2].at_us > op.at_us) {
        schedule->heap[at] = schedule->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    schedule->heap[at] = op;
}

static struct mc_load_op pop(struct mc_load_schedule *schedule)
{
    struct mc_load_op first = schedule->heap[0], last = schedule->heap[--schedule->count];
    size_t at = 0;
    for (size_t child = 1; child < schedule->count; child = 2 * at + 1) {
        if (child + 1 < schedule->count &&
            schedule->heap[child + 1].at_us < schedule->heap[child].at_us)
            child++;
        if (last.at_us <= schedule->heap[child].at_us)
            break;
        schedule->heap[at] = schedule->heap[child];
        at = child;
    }
    schedule->heap[at] = last;
    return first;
}

static bool by_chance(struct mc_load_schedule *schedule, double share)
{
    return mc_random_unit(&schedule->random) < share;
}

static void begin_turn(struct mc_load_schedule *schedule)
{
    struct mc_load_op op = {.slot =
                                (unsigned)(mc_random_next(&schedule->random) % schedule->slots)};
    int64_t start_us = schedule->next_turn_us;
    op.turn = schedule->turns[op.slot]++;
    op.at_us = start_us;
    op.kind = MC_LOAD_RECENT;
    if (by_chance(schedule, MC_LOAD_RECENT_SHARE))
        push(schedule, op);
    op.kind = MC_LOAD_INGEST;
    push(schedule, op);
    op.at_us = start_us + CONTEXT_AFTER_US;
    op.kind = MC_LOAD_CONTEXT;
    push(schedule, op);
    op.at_us = start_us + SEARCH_AFTER_US;
    op.kind = MC_LOAD_SEARCH;
    if (by_chance(schedule, MC_LOAD_SEARCH_SHARE))
        push(schedule, op);
    op.at_us = start_us + TOOL_AFTER_US;
    op.kind = MC_LOAD_INGEST;
    op.part = MC_LOAD_TOOL;
    if (by_chance(schedule, MC_LOAD_TOOL_SHARE))
        push(schedule, op);
    double thinking = mc_random_unit(&schedule->random) * (REPLY_MOST_US - REPLY_LEAST_US);
    op.at_us = start_us + REPLY_LEAST_US + (int64_t)thinking;
    op.part = MC_LOAD_REPLY;
    push(schedule, op);
    schedule->next_turn_us += draw_gap(schedule);
}

bool mc_load_schedule_next(struct mc_load_schedule *schedule, struct mc_load_op *op)
{
    for (;;) {
        while (schedule->next_turn_us < schedule->duration_us &&
               (schedule->count == 0 || schedule->next_turn_us <= schedule->heap[0].at_us)) {
            schedule->failed = schedule->failed || !make_room(schedule);
            if (schedule->failed)
                return false;
            begin_turn(schedule);
        }
        if (schedule->count == 0)
            return false;
        *op = pop(schedule);
        if (op->at_us >= schedule->duration_us) /* so are all others */
            return false;
        if (op->at_us >= 0)
            return true;
    }
}
