/*
 * A few threads for requests that take long, so that event threads never wait for them.
 *
 * Tasks are of two kinds: short ones (a batch of lines) and long ones (an export, a migration).
 * Long tasks get at most half of the threads, so that short ones always run. Thread-safe.
 */
#ifndef MC_HTTP_POOL_H
#define MC_HTTP_POOL_H

#include "base/list.h"
#include "base/thread.h"

struct mc_http_pool;

/* Owned by the caller, untouched by the pool once run was called. */
struct mc_http_task {
    struct mc_list node;
    void (*run)(struct mc_http_task *task);
    bool is_long;
};

#define MC_HTTP_LONG_WAITING_MAX 64

MC_MUST_CHECK enum mc_status mc_http_pool_start(int threads, struct mc_http_pool **pool,
                                                struct mc_error *err);
/* False when the pool is stopped, or too many long tasks wait already. */
MC_MUST_CHECK bool mc_http_pool_submit(struct mc_http_pool *pool, struct mc_http_task *task);
/* Runs what was submitted to its end and joins the threads; takes nothing more. */
void mc_http_pool_stop(struct mc_http_pool *pool);
/* Of a stopped pool, or NULL. */
void mc_http_pool_free(struct mc_http_pool *pool);

#endif
