/*
 * A model that answers as a test says: by a script, or by a function. It records what it was asked, can
 * hold every call until the test lets go, and keeps the contract of llm/llm.h: calls of one generate
 * are answered together, tick is called while it waits, and a tick of false or a deadline ends it.
 *
 * Any thread. The answers of a script are given in the order in which calls arrive; each counts as one
 * request unless it says that no attempt was made. Without a script and a function every call gets
 * MC_UNAVAILABLE.
 */
#ifndef MC_TESTS_FAKE_LLM_H
#define MC_TESTS_FAKE_LLM_H

#include "llm/llm.h"

struct mc_fake_llm;

struct mc_fake_options {
    const char *provider; /* NULL: "fake" */
    const char *model;    /* NULL: "fake-1" */
    size_t parallel;      /* 0: 4 */
    int tick_ms;          /* how often tick is called while calls are held, 0: 10 */
};

/* The outcome of one call. */
struct mc_fake_answer {
    enum mc_status status; /* MC_OK: json is the answer */
    const char *json;      /* of an answer; refused by the call's accept: MC_INVALID */
    const char *error;     /* of a failure, NULL: the status's text */
    double confidence;     /* 0: unknown (-1) */
    bool no_attempt;       /* of a failure */
    bool out_of_order;     /* of a failure */
    int64_t retry_in_us;   /* of a failure, from now; 0: retry_at_us is 0 */
    bool truncated;
    const char *passed_over; /* NULL: "" */
};

/* How a call is answered. Called without a lock; *answer is zero before. Its texts must stay. */
typedef void (*mc_fake_fn)(void *context, const struct mc_llm_call *call,
                           struct mc_fake_answer *answer);

/* options may be NULL. Freed by llm->ops->close. Ends the program when out of memory. */
struct mc_fake_llm *mc_fake_llm_new(const struct mc_fake_options *options);
struct mc_llm *mc_fake_llm(struct mc_fake_llm *fake);
/* The same, both through the interface. */
struct mc_fake_llm *mc_fake_llm_of(struct mc_llm *llm);

/* The next call in line gets this; several may be queued. The texts are copied. */
void mc_fake_llm_push(struct mc_fake_llm *fake, const struct mc_fake_answer *answer);
/* What answers when the script is used up; NULL fn: nothing. */
void mc_fake_llm_answer_with(struct mc_fake_llm *fake, mc_fake_fn fn, void *context);
/* Holds every generate before it answers, from now on, until it is released. */
void mc_fake_llm_hold(struct mc_fake_llm *fake, bool held);
/* Waits until so many generates are held; false when the time is over. */
bool mc_fake_llm_wait_held(struct mc_fake_llm *fake, int count, int timeout_ms);

/* So far: calls, generates, ticks, and the most calls that were being answered at once. */
int mc_fake_llm_calls(struct mc_fake_llm *fake);
int mc_fake_llm_generates(struct mc_fake_llm *fake);
int mc_fake_llm_ticks(struct mc_fake_llm *fake);
int mc_fake_llm_at_once(struct mc_fake_llm *fake);
/* Calls whose last turn contains the text. */
int mc_fake_llm_asked(struct mc_fake_llm *fake, const char *text);
/* The last turn and the system text of call `index` (from 0), "" when there was none; as long as the fake. */
const char *mc_fake_llm_turn(struct mc_fake_llm *fake, int index);
const char *mc_fake_llm_system(struct mc_fake_llm *fake, int index);

#endif
