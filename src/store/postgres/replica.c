/*
 * DESIGN. What a replica has replayed is a position in the primary's log that only grows. A read needs a position
 * (freshness.h): if the replica is known to be there, the read is sent at once; else it is asked first, in a round of
 * its own, since a transaction that asked inside could see an older state than the answer tells. The thread of a
 * replica asks four times a second in any case, which finds one that is gone, or too far behind.
 *
 * A replica that gave no answer is left at once and for all, by the first read that notices. Its thread goes on asking,
 * less and less often, and brings it back. Only that thread opens connections, since a network that swallows
 * everything makes that slow: a read that finds none idle goes to the primary, and leaves word that one is missing.
 */
#include "store/postgres/replica.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/time.h"
#include "store/postgres/pg.h"

#define LOOK_US (250 * MC_US_PER_MS)
#define BACK_OFF_MAX_US (8 * MC_US_PER_SECOND)
/* One that was just asked and is behind is not asked again by every read. */
#define ASK_AGAIN_US (5 * MC_US_PER_MS)
#define CONNECT_US (2 * MC_US_PER_SECOND)
/* A read tries no more of them, so that it ends even when the network is gone as a whole. */
#define TRIES 2

/* ---- Options ---- */

/* What the entry does not say is as for the primary; but its password is for its user only. */
static enum mc_status init_pool(struct mc_pg_replica *r, const struct mc_postgres_options *primary,
                                size_t nth, struct mc_error *err)
{
    mc_auto(mc_pg_replica_place_fini) struct mc_pg_replica_place place = {.port = 0};
    enum mc_status status = mc_pg_replica_parse(primary->replicas[nth], nth + 1, &place, err);
    if (status != MC_OK)
        return status;
    bool same_user = !place.user || (primary->user && strcmp(place.user, primary->user) == 0);
    struct mc_postgres_options o = *primary;
    o.host = place.host;
    o.port = place.port;
    o.name = place.name ? place.name : primary->name;
    o.user = place.user ? place.user : primary->user;
    o.password = place.password || !same_user ? place.password : primary->password;
    o.sslmode = place.sslmode ? place.sslmode : primary->sslmode;
    o.max_overflow = 0; /* beyond, the primary is the better place */
    o.connect_timeout_us = CONNECT_US;
    o.statement_timeout_us = o.answer_timeout_us = r->all->timeout_us;
    status = mc_pg_pool_init(&r->pool, &o, err);
    if (status == MC_OK)
        r->pool.stop = r->all->stop;
    r->pool.archive = r->all->archive;
    return status;
}

/* ---- What is known of a replica ---- */

static const char *name_of(const struct mc_pg_replica *r)
{
    return r->pool.where.conninfo_host;
}

/* A position of the log as a number. */
#define POSITION(function) "coalesce((" function "() - '0/0'::pg_lsn)::bigint, 0)"
static const char position_sql[] = "SELECT " POSITION("pg_last_wal_replay_lsn");
#define IDENTITY(system)                                                                           \
    "SELECT pg_is_in_recovery(), " POSITION(                                                       \
        "pg_last_wal_replay_lsn") ", " system ", (SELECT oid::bigint FROM pg_database WHERE "      \
                                  "datname = current_database()),"                                 \
                                  " (SELECT min(applied_at) FROM mindcore_schema)"
static const char identity_sql[] = IDENTITY("(SELECT system_identifier FROM pg_control_system())");
static const char ordinary_identity_sql[] = IDENTITY("0::bigint");
static const char may_ask_system_sql[] =
    "SELECT has_function_privilege('pg_control_system()', 'execute')";

/* Answers may come in another order than the questions were sent in. */
static void observe(struct mc_pg_replica *r, int64_t replayed)
{
    int64_t now_us = mc_time_monotonic_us();
    mc_mutex_lock(&r->lock);
    r->replayed = replayed > r->replayed ? replayed : r->replayed;
    r->observed_us = now_us;
    r->lag_us = mc_pg_freshness_lag(&r->all->freshness, &r->goal, r->replayed, now_us);
    mc_mutex_unlock(&r->lock);
}

static void found(struct mc_pg_replica *r)
{
    mc_mutex_lock(&r->lock);
    bool back = mc_time_monotonic_us() >= r->again_us;
    bool news = back && !r->reachable;
    if (back) {
        r->reachable = r->looked = true;
        r->trouble[0] = '\0';
        mc_cond_broadcast(&r->wake);
    }
    mc_mutex_unlock(&r->lock);
    if (news)
        mc_log(MC_LOG_INFO, "store", "replica %s is there", name_of(r));
}

/* why: the error of a read or a look; what it advises is about the primary's options. */
static void lost(struct mc_pg_replica *r, const char *why)
{
    mc_mutex_lock(&r->lock);
    bool news = !r->stop && (r->reachable || !r->looked);
    r->reachable = false;
    r->looked = true;
    r->replayed = 0; /* another server may be there when it comes back */
    r->goal = (struct mc_pg_goal){.position = 0};
    r->wanted = 0;
    snprintf(r->trouble, sizeof(r->trouble), "%.*s", (int)strcspn(why, ";"), why);
    mc_cond_broadcast(&r->wake);
    mc_mutex_unlock(&r->lock);
    mc_pg_pool_drain(&r->pool);
    if (news)
        mc_log(MC_LOG_WARNING, "store", "replica %s is not read: %.*s", name_of(r),
               (int)strcspn(why, ";"), why);
}

/* One that answers its thread and fails the reads all the same is left for longer each time. */
static void failed_read(struct mc_pg_replica *r, const char *why)
{
    int64_t now_us = mc_time_monotonic_us();
    mc_mutex_lock(&r->lock);
    if (r->reachable) {
        /* Not when another read succeeds: it may be one that does not need what hangs. */
        if (now_us - r->again_us > BACK_OFF_MAX_US)
            r->failures = 0;
        r->again_us = now_us + (LOOK_US << (r->failures < 5 ? r->failures : 5));
        r->failures++;
    }
    mc_mutex_unlock(&r->lock);
    lost(r, why);
}

static void served(struct mc_pg_replica *r)
{
    mc_mutex_lock(&r->lock);
    r->reads++;
    mc_mutex_unlock(&r->lock);
}

/* ---- Looking after one ---- */

static enum mc_status read_identity(struct mc_pg_conn *conn, struct mc_pg_identity *identity,
                                    bool *standby, int64_t *replayed, struct mc_error *err)
{
    enum mc_status status = mc_pg_query(
        conn, identity->with_system ? identity_sql : ordinary_identity_sql, MC_PG_NO_ARGS, err);
    if (status != MC_OK)
        return status;
    const PGresult *result = conn->results[0];
    *standby = mc_pg_cell_int(result, 0, 0) != 0;
    *replayed = mc_pg_cell_int(result, 0, 1);
    identity->system = mc_pg_cell_int(result, 0, 2);
    identity->oid = mc_pg_cell_int(result, 0, 3);
    identity->made_us = mc_pg_cell_time(result, 0, 4);
    return MC_OK;
}

static enum mc_status look(struct mc_pg_replica *r, struct mc_pg_conn **conn, struct mc_error *err)
{
    const struct mc_pg_identity *primary = &r->all->identity;
    struct mc_pg_identity found = {.with_system = primary->with_system};
    bool standby = false;
    int64_t replayed = 0;
    enum mc_pg_trouble trouble;
    enum mc_status status = *conn ? MC_OK : mc_pg_connect(&r->pool, conn, &trouble, err);
    if (status == MC_OK)
        status = read_identity(*conn, &found, &standby, &replayed, err);
    bool no_table = status != MC_OK && *conn && strcmp((*conn)->sqlstate, "42P01") == 0;
    if (status != MC_OK && !no_table)
        return status;
    if (no_table || found.system != primary->system || found.oid != primary->oid ||
        found.made_us != primary->made_us)
        return mc_fail(err, MC_CONFIG, "it is no copy of the primary's database");
    if (!standby)
        return mc_fail(err, MC_CONFIG, "it is a primary itself, no replica");
    observe(r, replayed);
    return MC_OK;
}

/*
 * Opens what reads have missed, and the first one. *all: no more are needed now. That the server has none to spare matters
 * only when there is none at all.
 */
static enum mc_status open_wanted(struct mc_pg_replica *r, bool *all, struct mc_error *err)
{
    mc_mutex_lock(&r->lock);
    unsigned wanted = r->wanted;
    r->wanted = 0;
    mc_mutex_unlock(&r->lock);
    if (wanted == 0 && mc_pg_pool_open(&r->pool) == 0)
        wanted = 1;
    enum mc_status status = MC_OK;
    for (; status == MC_OK && wanted > 0; wanted--)
        status = mc_pg_pool_grow(&r->pool, err);
    *all = status == MC_OK;
    return mc_pg_pool_open(&r->pool) > 0 ? MC_OK : status;
}

/* Until the time is over or, if it is asked for, a connection is wanted. False: to stop. */
static bool rest(struct mc_pg_replica *r, int64_t time_us, bool until_wanted)
{
    int64_t until_us = mc_time_monotonic_us() + time_us;
    mc_mutex_lock(&r->lock);
    while (!r->stop && !(until_wanted && r->wanted > 0) &&
           mc_cond_wait_until(&r->wake, &r->lock, until_us > r->again_us ? until_us : r->again_us))
        continue;
    bool go_on = !r->stop;
    mc_mutex_unlock(&r->lock);
    return go_on;
}

static void *look_after(void *context)
{
    struct mc_pg_replica *r = context;
    struct mc_pg_conn *conn = NULL;
    int64_t pause_us = LOOK_US;
    bool all;
    do {
        struct mc_error err;
        all = false;
        enum mc_status status = look(r, &conn, &err);
        if (status == MC_OK)
            status = open_wanted(r, &all, &err);
        if (status == MC_OK) {
            found(r);
            pause_us = LOOK_US;
            continue;
        }
        mc_pg_conn_close(conn);
        conn = NULL;
        lost(r, err.message);
        pause_us = pause_us * 2 < BACK_OFF_MAX_US ? pause_us * 2 : BACK_OFF_MAX_US;
    } while (rest(r, pause_us, all));
    mc_pg_conn_close(conn);
    return NULL;
}

/* ---- Starting and stopping ---- */

static enum mc_status start_one(struct mc_pg_replicas *replicas,
                                const struct mc_postgres_options *primary, size_t nth,
                                struct mc_error *err)
{
    struct mc_pg_replica *r = &replicas->items[nth];
    r->all = replicas;
    enum mc_status status = init_pool(r, primary, nth, err);
    if (status != MC_OK)
        return status;
    mc_mutex_init(&r->lock);
    mc_cond_init(&r->wake);
    replicas->count++;
    status = mc_thread_start(&r->thread, "mc-replica", look_after, r, err);
    r->running = status == MC_OK;
    return status;
}

static enum mc_status identify(struct mc_pg_conn *primary, struct mc_pg_identity *identity,
                               struct mc_error *err)
{
    enum mc_status status = mc_pg_query(primary, may_ask_system_sql, MC_PG_NO_ARGS, err);
    if (status != MC_OK)
        return status;
    bool standby;
    int64_t replayed;
    identity->with_system = mc_pg_first_int(primary, 0) != 0;
    if (!identity->with_system)
        mc_log(MC_LOG_WARNING, "store",
               "replicas are told from other copies of the database only by its number and age; to "
               "compare the clusters, GRANT EXECUTE ON FUNCTION pg_control_system() to the user");
    return read_identity(primary, identity, &standby, &replayed, err);
}

/* The threads that wait for a server do not any more. */
static void end_waiting(struct mc_pg_replicas *replicas)
{
    uint64_t one = 1;
    if (write(replicas->stop, &one, sizeof(one)) < 0)
        return; /* cannot be: its counter is 0; they would end a little later */
}

enum mc_status mc_pg_replicas_start(struct mc_pg_replicas *replicas,
                                    const struct mc_pg_pool *primary, struct mc_pg_conn *conn,
                                    struct mc_error *err)
{
    const struct mc_postgres_options *o = &primary->options;
    if (o->replica_count == 0)
        return MC_OK;
    enum mc_status status = identify(conn, &replicas->identity, err);
    if (status != MC_OK)
        return status;
    replicas->items = calloc(o->replica_count, sizeof(*replicas->items));
    if (!replicas->items)
        return mc_fail_memory(err);
    replicas->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (replicas->stop < 0) {
        free(replicas->items);
        replicas->items = NULL;
        return mc_fail(err, MC_IO, "cannot look after replicas: %s", strerror(errno));
    }
    replicas->metrics = o->metrics;
    replicas->archive = primary->archive;
    replicas->max_lag_us = o->replica_max_lag_us;
    replicas->timeout_us = o->replica_timeout_us;
    mc_pg_freshness_init(&replicas->freshness);
    for (size_t i = 0; status == MC_OK && i < o->replica_count; i++)
        status = start_one(replicas, o, i, err);
    return status;
}

void mc_pg_replicas_stop(struct mc_pg_replicas *replicas)
{
    if (!replicas->items)
        return;
    for (size_t i = 0; i < replicas->count; i++) {
        struct mc_pg_replica *r = &replicas->items[i];
        mc_mutex_lock(&r->lock);
        r->stop = true;
        mc_cond_broadcast(&r->wake);
        mc_mutex_unlock(&r->lock);
    }
    end_waiting(replicas);
    for (size_t i = 0; i < replicas->count; i++) {
        struct mc_pg_replica *r = &replicas->items[i];
        if (r->running)
            mc_thread_join(r->thread);
        mc_pg_pool_fini(&r->pool);
        mc_cond_fini(&r->wake);
        mc_mutex_fini(&r->lock);
    }
    mc_pg_freshness_fini(&replicas->freshness);
    close(replicas->stop);
    free(replicas->items);
    *replicas = (struct mc_pg_replicas){.items = NULL};
}

/* ---- Reading ---- */

/* Whether a read that needs the position may go there. *ask: it must be asked first. */
static bool ready(struct mc_pg_replica *r, int64_t needed, int64_t now_us, bool *ask)
{
    mc_mutex_lock(&r->lock);
    *ask = r->replayed < needed;
    bool yes = r->reachable && r->lag_us <= r->all->max_lag_us &&
               (!*ask || now_us - r->observed_us >= ASK_AGAIN_US);
    mc_mutex_unlock(&r->lock);
    return yes;
}

/* *there: it has replayed the position. */
static enum mc_status ask_position(struct mc_pg_replica *r, struct mc_pg_conn *conn, int64_t needed,
                                   bool *there, struct mc_error *err)
{
    enum mc_status status = mc_pg_query(conn, position_sql, MC_PG_NO_ARGS, err);
    if (status != MC_OK)
        return status;
    int64_t replayed = mc_pg_first_int(conn, 0);
    observe(r, replayed);
    *there = replayed >= needed;
    return MC_OK;
}

/* An idle connection. NULL: there is none, and the replica's thread is told. */
static struct mc_pg_conn *take_connection(struct mc_pg_replica *r)
{
    bool more;
    struct mc_pg_conn *conn = mc_pg_pool_take(&r->pool, &more);
    if (conn || !more)
        return conn;
    mc_mutex_lock(&r->lock);
    r->wanted++;
    mc_cond_broadcast(&r->wake);
    mc_mutex_unlock(&r->lock);
    return NULL;
}

/* True: done. A failure of any kind is left to the primary, which repeats the read and tells. Gives the connection back. */
static bool read_from(struct mc_pg_replica *r, struct mc_pg_conn *conn, int64_t needed, bool ask,
                      int flags, mc_pg_work work, void *context)
{
    struct mc_error err;
    bool there = true;
    enum mc_status status = MC_OK;
    conn->trouble = MC_PG_NO_TROUBLE;
    if (ask)
        status = ask_position(r, conn, needed, &there, &err);
    if (status == MC_OK && there)
        status = mc_pg_read_with(&r->pool, conn, flags, work, context, &err);
    enum mc_pg_trouble trouble = conn->trouble;
    mc_pg_pool_release(&r->pool, conn);
    if (status != MC_OK && (trouble == MC_PG_LOST || status == MC_TIMEOUT))
        failed_read(r, err.message);
    return status == MC_OK && there;
}

static void count(struct mc_metrics *metrics, enum mc_counter counter)
{
    if (metrics)
        mc_metrics_add(metrics, counter, 1);
}

static bool read_from_any(struct mc_pg_replicas *all, int64_t shard, int flags, mc_pg_work work,
                          void *context)
{
    int64_t needed, now_us = mc_time_monotonic_us();
    if (all->count == 0 || shard < 0 ||
        !mc_pg_freshness_needed(&all->freshness, shard, now_us, &needed))
        return false;
    size_t first = atomic_fetch_add(&all->turn, 1);
    for (size_t i = 0, tries = 0; i < all->count && tries < TRIES; i++) {
        struct mc_pg_replica *r = &all->items[(first + i) % all->count];
        bool ask;
        struct mc_pg_conn *conn = ready(r, needed, now_us, &ask) ? take_connection(r) : NULL;
        if (!conn)
            continue;
        tries++;
        if (read_from(r, conn, needed, ask, flags, work, context)) {
            served(r);
            return true;
        }
    }
    return false;
}

enum mc_status mc_pg_read_lagging(struct mc_store *store, int64_t shard, int flags, mc_pg_work work,
                                  void *context, struct mc_error *err)
{
    struct mc_pg *s = mc_pg_of(store);
    if (!mc_pg_may_lag(store))
        return mc_pg_read(s, flags, work, context, err);
    if (read_from_any(&s->replicas, shard, flags, work, context)) {
        count(s->metrics, MC_COUNT_READ_REPLICA);
        return MC_OK;
    }
    count(s->metrics, MC_COUNT_READ_PRIMARY);
    return mc_pg_read(s, flags, work, context, err);
}

/* ---- Telling ---- */

void mc_pg_replicas(struct mc_store *store, int64_t wait_us, mc_replica_fn each, void *context)
{
    struct mc_pg_replicas *all = &mc_pg_of(store)->replicas;
    int64_t until_us = mc_time_monotonic_us() + wait_us;
    for (size_t i = 0; i < all->count; i++) {
        struct mc_pg_replica *r = &all->items[i];
        char detail[MC_PG_REPLICA_TEXT];
        mc_mutex_lock(&r->lock);
        while (!r->looked && mc_cond_wait_until(&r->wake, &r->lock, until_us))
            continue;
        bool late = r->lag_us > all->max_lag_us;
        struct mc_replica_state state = {.name = name_of(r),
                                         .known = r->looked,
                                         .reachable = r->reachable,
                                         .serving = r->reachable && !late,
                                         .lag_us = r->reachable ? r->lag_us : -1,
                                         .reads = r->reads,
                                         .detail = detail};
        if (!r->looked)
            snprintf(detail, sizeof(detail), "it has given no answer yet");
        else if (r->reachable && late)
            snprintf(detail, sizeof(detail),
                     "it is %.3f s behind the primary, more than database.replica_max_lag (%.3f s)",
                     (double)r->lag_us / 1e6, (double)all->max_lag_us / 1e6);
        else
            memcpy(detail, r->trouble, sizeof(detail));
        mc_mutex_unlock(&r->lock);
        each(context, &state);
    }
}
