#include "cli/load_talk.h"

#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "cli/random.h"

#define TRIVIAL_SAID 0.4  /* of what users say */
#define TRIVIAL_REPLY 0.1 /* of what agents answer: a quarter of both together */
#define LINES 5

/* {n} a name, {o} an order, {p} a product, {c} a city, {d} a day, {a} an amount of money. */
struct subject {
    const char *said[LINES];
    const char *reply[LINES];
    const char *tool;
    const char *search[2];
};

static const struct subject subjects[] = {
    {{"My order {o} with the {p} should have been here on {d}. Where is it now?",
      "The parcel of {o} was left with a neighbour whom I do not know. Can you ask the courier?",
      "I am moving to {c}. Please send {o} there and not to the old address.",
      "The {p} from {o} has a crack in it. I would like a new one, not the money back.",
      "Could somebody call me before the delivery on {d}? Ask for {n}."},
     {"Order {o} left our warehouse and is on its way to {c}. It should reach you on {d}.",
      "I have asked the courier about {o} and will tell you as soon as there is an answer.",
      "The address of {o} is changed to {c}. The delivery takes one day longer.",
      "I am sorry about the {p}. A replacement leaves today; keep the broken one until then.",
      "A note for the driver is added: call {n} before the delivery on {d}."},
     "{\"order\": \"{o}\", \"state\": \"in transit\", \"next_stop\": \"{c}\", \"due\": \"{d}\"}",
     {"order {o} delivery", "{p} damaged replacement"}},
    {{"You took {a} from my card twice for {o}. I want one of them back this week.",
      "The invoice of {o} says {a}, but the offer that {n} sent me was lower.",
      "Can I pay {o} in three parts? {a} at once is too much for me before {d}.",
      "Please put the company's name and our address in {c} on the invoice of {o}.",
      "I would like to cancel the yearly plan before it is renewed on {d}."},
     {"The second payment of {a} for {o} is refunded. Your bank shows it by {d}.",
      "The offer and the invoice of {o} do differ. {n} is right: the difference is credited.",
      "Three payments are possible. The first part of {a} is due on {d}.",
      "The invoice of {o} is written again with your address in {c}.",
      "The plan ends on {d} and is not renewed. You keep access until then."},
     "{\"invoice\": \"{o}\", \"amount\": \"{a}\", \"paid\": 2, \"expected\": 1}",
     {"refund {o}", "invoice {a}"}},
    {{"I need a hotel in {c} from {d} on, quiet, and not more than {a} a night.",
      "{n} comes along and is allergic to nuts. Please remember that for every restaurant.",
      "Which train gets me to {c} on {d} before noon? I do not like to change twice.",
      "Is the museum in {c} open on {d}? We would take the early tour if there is one.",
      "I prefer a seat at the window, and I always travel with my {p}."},
     {"There is a small hotel near the station of {c} for {a} a night, free from {d} on.",
      "Noted: {n} must not eat nuts. I look for restaurants that say what is in a dish.",
      "The direct train to {c} on {d} arrives at 11:20. Shall I reserve a seat?",
      "On {d} the museum in {c} opens at ten, and the first tour still has places.",
      "I will ask for a seat at the window and for room for the {p}."},
     "{\"city\": \"{c}\", \"from\": \"{d}\", \"rooms\": 4, \"price\": \"{a}\"}",
     {"hotel {c}", "{n} allergic food"}},
    {{"The build of our service fails since {d} with: undefined reference to parse_header.",
      "Where do I set the time limit of the database pool? It runs out after thirty seconds.",
      "{n} says that the worker's memory costs {a} more each month. How do I find the leak?",
      "Write the function so that it takes a list and gives the median, please, in Python 3.11.",
      "The test passes on my {p} and fails in the pipeline. What differs between them?"},
     {"The library with parse_header is not among those that are linked since the change of {d}.",
      "The limit is an option of the pool and not of the server; raise it there first.",
      "Take a heap profile after the start and one after a day, and look at what grew.",
      "Sort a copy and take the middle; with an even count the mean of the two middle ones.",
      "The pipeline has another time zone and no network. Set TZ and record the answers."},
     "{\"job\": \"{o}\", \"step\": \"link\", \"exit_code\": 1, \"runner\": \"{c}\"}",
     {"build fails parse_header", "memory leak worker"}},
    {{"We meet in {c} on {d} at nine. Please invite {n} and the people of the {p} project.",
      "What did we decide about the budget of {a} at the last meeting?",
      "I am away from {d} on; {n} answers for me meanwhile.",
      "Remind me on {d} to send the contract {o} back, signed.",
      "My goal for this year is to speak Spanish well enough for the office in {c}."},
     {"The invitation for {d} in {c} is sent; {n} has accepted already.",
      "You decided to keep {a} for the {p} project and to look at it again in spring.",
      "I have put {n} as your deputy from {d} on.", "I will remind you on {d} of the contract {o}.",
      "Half an hour a day is a good start. Shall I look for a course in {c}?"},
     "{\"calendar\": \"{n}\", \"day\": \"{d}\", \"free\": [\"09:00\", \"14:30\"]}",
     {"meeting {c} {d}", "budget {p} project"}},
};

static const char *const trivial_said[] = {
    "Hello!",    "ok",    "thanks!", "yes",  "Good morning",
    "hmm",       "great", "no",      "bye!", "Thank you so much!",
    "ok, thanks"};
static const char *const trivial_reply[] = {"You're welcome!", "Sure.", "Hello!", "Sorry!"};

struct facts {
    const struct subject *subject;
    char order[16], amount[16];
    const char *name, *product, *city, *day;
};

#define PICK(list, state) ((list)[mc_random_next(state) % mc_countof(list)])

/* A user keeps his name and city; the rest belongs to the conversation. */
static void choose_facts(const struct mc_load_talk *talk, unsigned slot, unsigned conversation,
                         struct facts *facts)
{
    static const char *const names[] = {"Amara Okoye", "Jonas Weber", "Lucia Ferrari", "Kenji Mori",
                                        "Priya Nair",  "Tom Baker",   "Sofia Lindgren"};
    static const char *const cities[] = {"Lisbon",  "Hamburg", "Toronto",
                                         "Nairobi", "Osaka",   "Bergen"};
    static const char *const products[] = {"kettle", "bicycle", "headphones", "desk lamp",
                                           "laptop"};
    static const char *const days[] = {"Monday", "Tuesday", "Thursday",
                                       "Friday", "3 March", "14 May"};
    uint64_t state = talk->seed ^ ((uint64_t)slot << 32);
    facts->name = PICK(names, &state);
    facts->city = PICK(cities, &state);
    state ^= (uint64_t)conversation * UINT64_C(0x9e3779b97f4a7c15);
    facts->subject = &PICK(subjects, &state);
    facts->product = PICK(products, &state);
    facts->day = PICK(days, &state);
    snprintf(facts->order, sizeof(facts->order), "ORD-%05u",
             (unsigned)(mc_random_next(&state) % 100000));
    snprintf(facts->amount, sizeof(facts->amount), "$%u.50",
             (unsigned)(mc_random_next(&state) % 400 + 10));
}

static const char *fact_of(const struct facts *facts, char letter)
{
    switch (letter) {
    case 'n':
        return facts->name;
    case 'o':
        return facts->order;
    case 'p':
        return facts->product;
    case 'c':
        return facts->city;
    case 'd':
        return facts->day;
    case 'a':
        return facts->amount;
    default:
        return NULL;
    }
}

static void fill(const char *pattern, const struct facts *facts, char text[MC_LOAD_TEXT_SIZE])
{
    size_t len = 0;
    for (const char *c = pattern; *c && len + 1 < MC_LOAD_TEXT_SIZE; c++) {
        const char *fact = c[0] == '{' && c[1] && c[2] == '}' ? fact_of(facts, c[1]) : NULL;
        if (!fact) {
            text[len++] = *c;
            continue;
        }
        size_t room = MC_LOAD_TEXT_SIZE - 1 - len;
        size_t size = strlen(fact) < room ? strlen(fact) : room;
        memcpy(text + len, fact, size);
        len += size;
        c += 2;
    }
    text[len] = '\0';
}

/* Two sentences now and then, and in one of eight messages a whole letter. */
static void write_text(const char *const lines[LINES], const struct facts *facts, uint64_t *state,
                       char text[MC_LOAD_TEXT_SIZE])
{
    uint64_t choice = mc_random_next(state) % 8;
    unsigned first = (unsigned)(mc_random_next(state) % LINES);
    unsigned count = choice == 0 ? LINES : choice < 3 ? 2 : 1;
    size_t len = 0;
    for (unsigned i = 0; i < count; i++) {
        char line[MC_LOAD_TEXT_SIZE];
        fill(lines[(first + i) % LINES], facts, line);
        len += (size_t)snprintf(text + len, MC_LOAD_TEXT_SIZE - len, "%s%s", i ? " " : "", line);
        if (len >= MC_LOAD_TEXT_SIZE)
            return;
    }
}

static void write_part(const struct facts *facts, enum mc_load_part part, uint64_t *state,
                       struct mc_load_line *line)
{
    static const char *const roles[] = {"user", "tool", "assistant"};
    double chance = mc_random_unit(state);
    line->role = roles[part];
    if (part == MC_LOAD_TOOL)
        fill(facts->subject->tool, facts, line->text);
    else if (part == MC_LOAD_SAID && chance < TRIVIAL_SAID)
        snprintf(line->text, sizeof(line->text), "%s", PICK(trivial_said, state));
    else if (part == MC_LOAD_REPLY && chance < TRIVIAL_REPLY)
        snprintf(line->text, sizeof(line->text), "%s", PICK(trivial_reply, state));
    else
        write_text(part == MC_LOAD_SAID ? facts->subject->said : facts->subject->reply, facts,
                   state, line->text);
}

static uint64_t state_of(const struct mc_load_talk *talk, unsigned slot, unsigned turn,
                         unsigned part)
{
    uint64_t state = talk->seed + part;
    state ^= mc_random_next(&state) + ((uint64_t)slot << 32) + turn;
    return state;
}

static void name_place(const struct mc_load_talk *talk, unsigned slot, unsigned conversation,
                       const char *kind, struct mc_load_line *line)
{
    mc_load_talk_user(talk, slot, line->user_id);
    snprintf(line->thread_id, sizeof(line->thread_id), "%s-%u", kind, conversation);
    snprintf(line->session_id, sizeof(line->session_id), "session-%s-%u", kind, conversation);
}

void mc_load_talk_user(const struct mc_load_talk *talk, unsigned slot, char id[MC_LOAD_ID_SIZE])
{
    snprintf(id, MC_LOAD_ID_SIZE, MC_LOAD_USERS "%s-%u", talk->run, slot);
}

void mc_load_talk_say(const struct mc_load_talk *talk, unsigned slot, unsigned turn,
                      enum mc_load_part part, struct mc_load_line *line)
{
    struct facts facts;
    unsigned conversation = turn / MC_LOAD_TALK_TURNS;
    uint64_t state = state_of(talk, slot, turn, part);
    name_place(talk, slot, conversation, "talk", line);
    choose_facts(talk, slot, conversation, &facts);
    write_part(&facts, part, &state, line);
}

void mc_load_talk_search(const struct mc_load_talk *talk, unsigned slot, unsigned turn,
                         struct mc_load_line *line)
{
    struct facts facts;
    unsigned conversation = turn / MC_LOAD_TALK_TURNS;
    uint64_t state = state_of(talk, slot, turn, MC_LOAD_REPLY + 1);
    name_place(talk, slot, conversation, "talk", line);
    choose_facts(talk, slot, conversation, &facts);
    line->role = "";
    fill(PICK(facts.subject->search, &state), &facts, line->text);
}

void mc_load_talk_past(const struct mc_load_talk *talk, unsigned slot, unsigned nth,
                       struct mc_load_line *line)
{
    struct facts facts;
    uint64_t state = state_of(talk, slot, nth, MC_LOAD_REPLY + 2);
    name_place(talk, slot, 0, "past", line);
    choose_facts(talk, slot, UINT32_MAX, &facts);
    write_part(&facts, nth % 2 ? MC_LOAD_REPLY : MC_LOAD_SAID, &state, line);
}
