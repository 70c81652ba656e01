#include "store/postgres/pool.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/time.h"

#define POOL_SIZE 10
#define POOL_TIMEOUT_US (30 * MC_US_PER_SECOND)
#define STATEMENT_TIMEOUT_US (60 * MC_US_PER_SECOND)
#define LOCK_TIMEOUT_US (15 * MC_US_PER_SECOND)
#define MAX_AGE_US (1800 * MC_US_PER_SECOND)
#define PORT 5432
/* The server gives up by itself after statement_timeout; then the network must be at fault. */
#define ANSWER_GRACE_US (10 * MC_US_PER_SECOND)
#define CONNECT_TIMEOUT_US (10 * MC_US_PER_SECOND)
#define REPLICA_US MC_US_PER_SECOND

/* ---- Options ---- */

static bool copy_text(const char **text)
{
    if (!*text)
        return true;
    *text = mc_str_dup(mc_str_of(*text));
    return *text != NULL;
}

static void free_texts(struct mc_postgres_options *o)
{
    const char *texts[] = {o->host, o->name, o->user, o->sslmode, o->password};
    if (o->password)
        explicit_bzero((char *)(uintptr_t)o->password, strlen(o->password));
    for (size_t i = 0; i < mc_countof(texts); i++)
        free((char *)(uintptr_t)texts[i]);
}

static bool copy_options(struct mc_pg_pool *pool, const struct mc_postgres_options *options)
{
    struct mc_postgres_options *o = &pool->options;
    *o = *options;
    const char **texts[] = {&o->host, &o->name, &o->user, &o->password, &o->sslmode};
    bool copied = true;
    for (size_t i = 0; i < mc_countof(texts); i++) {
        if (!copied)
            *texts[i] = NULL; /* still the caller's */
        else
            copied = copy_text(texts[i]);
    }
    o->port = o->port > 0 ? o->port : PORT;
    o->pool_size = o->pool_size > 0 ? o->pool_size : POOL_SIZE;
    o->max_overflow = o->max_overflow > 0 ? o->max_overflow : 0;
    if (o->pool_timeout_us <= 0)
        o->pool_timeout_us = POOL_TIMEOUT_US;
    if (o->statement_timeout_us <= 0)
        o->statement_timeout_us = STATEMENT_TIMEOUT_US;
    if (o->lock_timeout_us <= 0)
        o->lock_timeout_us = LOCK_TIMEOUT_US;
    if (o->answer_timeout_us <= 0)
        o->answer_timeout_us = o->statement_timeout_us + ANSWER_GRACE_US;
    if (o->connect_timeout_us <= 0)
        o->connect_timeout_us = CONNECT_TIMEOUT_US;
    if (o->replica_max_lag_us <= 0)
        o->replica_max_lag_us = REPLICA_US;
    if (o->replica_timeout_us <= 0)
        o->replica_timeout_us = REPLICA_US;
    if (o->max_age_us <= 0)
        o->max_age_us = MAX_AGE_US;
    return copied;
}

static bool name_place(struct mc_pg_pool *pool)
{
    const struct mc_postgres_options *o = &pool->options;
    const char *host = o->host && o->host[0] ? o->host : "the local socket";
    pool->where.conninfo_host = NULL;
    if (asprintf(&pool->where.conninfo_host, "%s:%d", host, o->port) < 0)
        pool->where.conninfo_host = NULL;
    pool->where.database = mc_str_dup(mc_str_of(o->name && o->name[0] ? o->name : "(of the user)"));
    return pool->where.conninfo_host && pool->where.database;
}

enum mc_status mc_pg_pool_init(struct mc_pg_pool *pool, const struct mc_postgres_options *options,
                               struct mc_error *err)
{
    *pool = (struct mc_pg_pool){.stop = -1};
    mc_mutex_init(&pool->lock);
    mc_cond_init(&pool->returned);
    bool copied = copy_options(pool, options);
    pool->max = pool->options.pool_size + pool->options.max_overflow;
    pool->slots = calloc((size_t)pool->max, sizeof(*pool->slots));
    if (!copied || !pool->slots || !name_place(pool)) {
        mc_pg_pool_fini(pool);
        return mc_fail_memory(err);
    }
    return MC_OK;
}

void mc_pg_pool_fini(struct mc_pg_pool *pool)
{
    if (pool->max == 0)
        return;
    while (pool->idle) {
        struct mc_pg_conn *conn = pool->idle;
        pool->idle = conn->next;
        mc_pg_conn_close(conn);
    }
    free_texts(&pool->options);
    free(pool->where.conninfo_host);
    free(pool->where.database);
    free(pool->slots);
    mc_cond_fini(&pool->returned);
    mc_mutex_fini(&pool->lock);
    *pool = (struct mc_pg_pool){.max = 0};
}

/* ---- Lending ---- */

static int take_slot(struct mc_pg_pool *pool)
{
    /* Not the one that was used last: the server may still be clearing up after a lost connection. */
    int slot = pool->last_slot;
    do {
        slot = (slot + 1) % pool->max;
    } while (pool->slots[slot] && slot != pool->last_slot);
    pool->slots[slot] = true;
    pool->last_slot = slot;
    return slot;
}

/* With the lock held; NULL when there is none. */
static struct mc_pg_conn *pop_idle(struct mc_pg_pool *pool)
{
    struct mc_pg_conn *conn = pool->idle;
    if (conn) {
        pool->idle = conn->next;
        pool->idle_count--;
        conn->next = NULL;
    }
    return conn;
}

/* The right to open one more, with the lock held; false when all are open. */
static bool reserve(struct mc_pg_pool *pool, int *slot)
{
    if (pool->open >= pool->max)
        return false;
    pool->open++;
    *slot = take_slot(pool);
    return true;
}

/* One connection less, so that somebody may open another. */
static void give_up_slot(struct mc_pg_pool *pool, int slot)
{
    mc_mutex_lock(&pool->lock);
    pool->slots[slot] = false;
    pool->open--;
    mc_cond_signal(&pool->returned);
    mc_mutex_unlock(&pool->lock);
}

/* An idle connection, or else (NULL) the right to open one in *slot; false when the time is over. */
static bool wait_for_one(struct mc_pg_pool *pool, struct mc_pg_conn **conn, int *slot)
{
    int64_t until_us = mc_time_monotonic_us() + pool->options.pool_timeout_us;
    bool in_time = true;
    mc_mutex_lock(&pool->lock);
    while (!pool->idle && pool->open >= pool->max && in_time)
        in_time = mc_cond_wait_until(&pool->returned, &pool->lock, until_us);
    *conn = pop_idle(pool);
    bool got = *conn || reserve(pool, slot);
    mc_mutex_unlock(&pool->lock);
    return got;
}

static bool too_old(const struct mc_pg_pool *pool, const struct mc_pg_conn *conn)
{
    /* Not all at once when they were opened together. */
    int64_t age = pool->options.max_age_us;
    age += age / 64 * (conn->slot % 16);
    return mc_time_monotonic_us() - conn->opened_us > age;
}

static enum mc_status open_in(struct mc_pg_pool *pool, int slot, struct mc_pg_conn **conn,
                              enum mc_pg_trouble *trouble, struct mc_error *err)
{
    enum mc_status status = mc_pg_connect(pool, conn, trouble, err);
    if (status == MC_OK)
        (*conn)->slot = slot;
    else
        give_up_slot(pool, slot);
    return status;
}

static void close_one(struct mc_pg_pool *pool, struct mc_pg_conn *conn)
{
    int slot = conn->slot;
    mc_pg_conn_close(conn);
    give_up_slot(pool, slot);
}

enum mc_status mc_pg_pool_acquire(struct mc_pg_pool *pool, struct mc_pg_conn **conn,
                                  enum mc_pg_trouble *trouble, struct mc_error *err)
{
    enum mc_pg_trouble ignored;
    trouble = trouble ? trouble : &ignored;
    int slot = 0;
    struct mc_pg_conn *got = NULL;
    for (;;) {
        if (!wait_for_one(pool, &got, &slot)) {
            *trouble = MC_PG_REFUSED;
            return mc_fail_field(err, MC_BUSY, "database.pool_size",
                                 "no connection to PostgreSQL became free within %.3f s "
                                 "(database.pool_timeout): all "
                                 "%d are in use (database.pool_size %d and database.max_overflow "
                                 "%d); raise these, or "
                                 "try again later",
                                 (double)pool->options.pool_timeout_us / 1e6, pool->max,
                                 pool->options.pool_size, pool->options.max_overflow);
        }
        if (!got)
            break;
        if (mc_pg_conn_usable(got) && !too_old(pool, got)) {
            *conn = got;
            return MC_OK;
        }
        close_one(pool, got);
    }
    return open_in(pool, slot, conn, trouble, err);
}

struct mc_pg_conn *mc_pg_pool_take(struct mc_pg_pool *pool, bool *more)
{
    for (;;) {
        mc_mutex_lock(&pool->lock);
        struct mc_pg_conn *conn = pop_idle(pool);
        *more = pool->open < pool->max;
        mc_mutex_unlock(&pool->lock);
        if (!conn || (mc_pg_conn_usable(conn) && !too_old(pool, conn)))
            return conn;
        close_one(pool, conn);
    }
}

enum mc_status mc_pg_pool_grow(struct mc_pg_pool *pool, struct mc_error *err)
{
    int slot;
    mc_mutex_lock(&pool->lock);
    bool reserved = reserve(pool, &slot);
    mc_mutex_unlock(&pool->lock);
    if (!reserved)
        return MC_OK;
    struct mc_pg_conn *conn = NULL;
    enum mc_pg_trouble trouble;
    enum mc_status status = open_in(pool, slot, &conn, &trouble, err);
    mc_pg_pool_release(pool, conn);
    return status;
}

int mc_pg_pool_open(struct mc_pg_pool *pool)
{
    mc_mutex_lock(&pool->lock);
    int open = pool->open;
    mc_mutex_unlock(&pool->lock);
    return open;
}

void mc_pg_pool_release(struct mc_pg_pool *pool, struct mc_pg_conn *conn)
{
    if (!conn)
        return;
    bool keep = mc_pg_conn_usable(conn) && !too_old(pool, conn);
    conn->returned_us = mc_time_monotonic_us();
    mc_mutex_lock(&pool->lock);
    keep = keep && pool->idle_count < pool->options.pool_size;
    if (keep) {
        conn->next = pool->idle;
        pool->idle = conn;
        pool->idle_count++;
        mc_cond_signal(&pool->returned);
    }
    mc_mutex_unlock(&pool->lock);
    if (!keep)
        close_one(pool, conn);
}

void mc_pg_pool_drain(struct mc_pg_pool *pool)
{
    for (;;) {
        mc_mutex_lock(&pool->lock);
        struct mc_pg_conn *conn = pop_idle(pool);
        mc_mutex_unlock(&pool->lock);
        if (!conn)
            return;
        close_one(pool, conn);
    }
}
