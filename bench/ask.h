/* Questions about what bench_context and bench_postgres have stored, and contexts that answer them. */
#ifndef MC_BENCH_ASK_H
#define MC_BENCH_ASK_H

#include <errno.h>
#include <stdlib.h>

#include <mindcore/mindcore.h>

#include "made_up.h"

static void must(enum mc_status status, const struct mc_error *err)
{
    if (!status)
        return;
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, mc_status_name(status),
            err->message);
    exit(1);
}

struct ask {
    char user[24], thread[24], query[256];
};

static void next_ask(struct ask *ask, unsigned users, unsigned threads)
{
    snprintf(ask->user, sizeof(ask->user), "user%u", (unsigned)any(users));
    snprintf(ask->thread, sizeof(ask->thread), "thread%u", (unsigned)any(threads));
    sentence(ask->query, sizeof(ask->query), 3 + (unsigned)any(6));
}

static void ask_context(struct mc_engine *engine, const struct ask *ask)
{
    struct mc_error err;
    struct mc_context *context = NULL;
    struct mc_context_query query = {
        .user_id = mc_str_of(ask->user),
        .thread_id = mc_str_of(ask->thread),
        .query = mc_str_of(ask->query),
        .mode = MC_CONTEXT_FAST,
    };
    must(mc_context_assemble(engine, &query, &context, &err), &err);
    mc_context_free(context);
}

#endif
