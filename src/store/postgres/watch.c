/*
 * DESIGN. Each write counts in its connection's row of mindcore_changes, in its own transaction, so the sum over
 * the rows of other servers changes exactly when one of them has committed. NOTIFY makes it known at once; it
 * is sent after the commit and for many commits together, since a transaction that notifies holds up the
 * commits of all others. Should it be lost with the server that was to send it, the sum, which is looked at
 * every second all the same, shows the change. What is summed is a hash of each row: rows come and go, and counts
 * alone could be the same before and after.
 *
 * While there is no connection nobody looks: others are taken to have committed.
 *
 * For replicas (freshness.h) each question also asks for the position in the primary's log, and each NOTIFY
 * tells it: what the sender has committed is in the log up to there.
 */
#include "store/postgres/watch.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/time.h"

#define LOOK_DIRECT_MS 1000
#define LOOK_POOLED_MS 50
#define GATHER_MS 5
#define RECONNECT_MS 500

struct watcher {
    struct mc_pg_watch *watch;
    struct mc_pg_conn *conn;
    bool complained;
    int64_t changes; /* of others, when last looked */
    int64_t looked_us;
};

static void poke(struct mc_pg_watch *watch)
{
    uint64_t one = 1;
    /* A full counter means that the thread is already told. */
    if (write(watch->signal, &one, sizeof(one)) < 0)
        return;
}

void mc_pg_watch_changed(struct mc_pg_watch *watch)
{
    if (watch->running && !atomic_exchange(&watch->changed, true))
        poke(watch);
}

/* Sleeps until there is something to read, somebody poked, or the time is over. */
static void rest(struct watcher *w, int timeout_ms)
{
    struct pollfd fds[2] = {{.fd = w->watch->signal, .events = POLLIN},
                            {.fd = w->conn ? PQsocket(w->conn->pg) : -1, .events = POLLIN}};
    if (poll(fds, 2, timeout_ms) > 0 && fds[0].revents) {
        uint64_t count;
        if (read(w->watch->signal, &count, sizeof(count)) < 0)
            return;
    }
}

/*
 * Where the primary's log ends. What is put into it next goes behind the header of a page (24 bytes, 40 in the first one of
 * a file), so the position may be there, which a copy reaches only with the next record; the log ends before it.
 */
#define POSITION                                                                                   \
    "(SELECT p - CASE WHEN p % page IN (24, 40) THEN p % page ELSE 0 END FROM"                     \
    " (SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint AS p,"                         \
    " current_setting('wal_block_size')::bigint AS page OFFSET 0) l)"

static const char sum_sql[] =
    "SELECT coalesce(sum(hashint8extended(changes, hashint8extended(slot, server)) >> 20), 0)"
    "::bigint, " POSITION " FROM mindcore_changes WHERE server <> $1";

/* writes: of this server, from before the position was asked for. */
static void note_position(const struct watcher *w, uint64_t writes, int64_t position, bool foreign)
{
    if (w->watch->freshness)
        mc_pg_freshness_sampled(w->watch->freshness, writes, position, foreign,
                                mc_time_monotonic_us());
}

static uint64_t writes_so_far(const struct watcher *w)
{
    return w->watch->freshness ? mc_pg_freshness_writes(w->watch->freshness) : 0;
}

/* *foreign: another server has committed since the last look. */
static enum mc_status look(struct watcher *w, bool *foreign, struct mc_error *err)
{
    uint64_t writes = writes_so_far(w);
    enum mc_status status =
        mc_pg_query(w->conn, sum_sql, MC_PG_ARGS(mc_pg_int(w->watch->server)), err);
    if (status != MC_OK)
        return status;
    int64_t changes = mc_pg_cell_int(w->conn->results[0], 0, 0);
    bool changed = changes != w->changes;
    note_position(w, writes, mc_pg_cell_int(w->conn->results[0], 0, 1), changed);
    *foreign = *foreign || changed;
    w->changes = changes;
    w->looked_us = mc_time_monotonic_us();
    return MC_OK;
}

/* Says once that the database cannot be watched, until it can be again. */
static void complain(struct watcher *w, const struct mc_error *err)
{
    if (!w->complained)
        mc_log(MC_LOG_WARNING, "store", "cannot look for other servers' changes: %s", err->message);
    w->complained = true;
    mc_pg_conn_close(w->conn);
    w->conn = NULL;
}

/* *foreign: others may have committed while nobody looked, and go on as long as the server answers. */
static void connect_again(struct watcher *w, bool *foreign)
{
    struct mc_error err;
    enum mc_pg_trouble trouble;
    enum mc_status status = mc_pg_connect(w->watch->pool, &w->conn, &trouble, &err);
    if (status == MC_OK && w->conn->direct)
        status = mc_pg_query(w->conn, "LISTEN mindcore_changes", MC_PG_NO_ARGS, &err);
    if (status == MC_OK)
        status = look(w, foreign, &err);
    *foreign = status != MC_UNAVAILABLE;
    w->complained = w->complained && status != MC_OK;
    if (status != MC_OK) {
        complain(w, &err);
        rest(w, RECONNECT_MS);
    }
}

static enum mc_status tell_others(struct watcher *w, struct mc_error *err)
{
    char own[24];
    snprintf(own, sizeof(own), "%" PRId64, w->watch->server);
    poll(NULL, 0, GATHER_MS);
    atomic_store(&w->watch->changed, false);
    uint64_t writes = writes_so_far(w);
    mc_pg_add_quiet(w->conn, "BEGIN", MC_PG_NO_ARGS);
    mc_pg_add_quiet(w->conn, "SET LOCAL synchronous_commit TO off", MC_PG_NO_ARGS);
    mc_pg_add(w->conn,
              "SELECT position, pg_notify('mindcore_changes', $1 || ' ' || position)"
              " FROM (SELECT " POSITION " AS position OFFSET 0) p",
              MC_PG_ARGS(mc_pg_str(mc_str_of(own))));
    mc_pg_add_quiet(w->conn, "COMMIT", MC_PG_NO_ARGS);
    enum mc_status status = mc_pg_run(w->conn, err);
    if (status == MC_OK)
        note_position(w, writes, mc_pg_first_int(w->conn, 0), false);
    return status;
}

/* A notification: the server, and the position; older versions send none, then looking finds it. */
static bool take_note(const struct watcher *w, const char *extra)
{
    mc_str rest = mc_str_of(extra), number;
    int64_t server, position;
    mc_str_split(&rest, ' ', &number);
    if (mc_str_to_int64(number, &server) && server == w->watch->server)
        return false;
    if (mc_str_to_int64(rest, &position))
        note_position(w, 0, position, true);
    return true;
}

static enum mc_status hear(struct watcher *w, bool *foreign, struct mc_error *err)
{
    if (PQconsumeInput(w->conn->pg) != 1)
        return mc_pg_conn_fail(w->conn, NULL, err);
    PGnotify *note;
    while ((note = PQnotifies(w->conn->pg)) != NULL) {
        *foreign = take_note(w, note->extra) || *foreign;
        PQfreemem(note);
    }
    return MC_OK;
}

static void turn(struct watcher *w, bool *foreign)
{
    struct mc_error err;
    int every_ms = w->conn->direct ? LOOK_DIRECT_MS : LOOK_POOLED_MS;
    int64_t left_ms = every_ms - (mc_time_monotonic_us() - w->looked_us) / MC_US_PER_MS;
    if (left_ms > 0 && !atomic_load(&w->watch->changed))
        rest(w, (int)left_ms);
    enum mc_status status = MC_OK;
    if (atomic_load(&w->watch->stop))
        return;
    if (atomic_load(&w->watch->changed))
        status = tell_others(w, &err);
    if (status == MC_OK && w->conn->direct)
        status = hear(w, foreign, &err);
    bool due = mc_time_monotonic_us() - w->looked_us >= every_ms * MC_US_PER_MS;
    if (status == MC_OK && (due || *foreign))
        status = look(w, foreign, &err);
    /* What came with the answer was read with it: the socket does not tell of it any more. */
    if (status == MC_OK && w->conn->direct)
        status = hear(w, foreign, &err);
    if (status != MC_OK)
        complain(w, &err);
}

/* What was committed last is told before the thread ends. */
static void finish(struct watcher *w)
{
    struct mc_error ignored;
    enum mc_pg_trouble trouble;
    bool changed = atomic_load(&w->watch->changed);
    if (changed && !w->conn && mc_pg_connect(w->watch->pool, &w->conn, &trouble, &ignored) != MC_OK)
        return; /* the others look every second */
    if (changed)
        (void)!tell_others(w, &ignored);
    mc_pg_conn_close(w->conn);
}

static void *run(void *context)
{
    struct watcher w = {.watch = context};
    while (!atomic_load(&w.watch->stop)) {
        bool foreign = false;
        if (w.conn)
            turn(&w, &foreign);
        else
            connect_again(&w, &foreign);
        if (foreign && w.watch->notify)
            w.watch->notify(w.watch->context);
    }
    finish(&w);
    return NULL;
}

enum mc_status mc_pg_watch_start(struct mc_pg_watch *watch, const struct mc_pg_pool *pool,
                                 struct mc_pg_freshness *freshness, int64_t server,
                                 mc_foreign_change_fn notify, void *context, struct mc_error *err)
{
    watch->pool = pool;
    watch->freshness = freshness;
    watch->server = server;
    watch->notify = notify;
    watch->context = context;
    atomic_init(&watch->stop, false);
    atomic_init(&watch->changed, false);
    watch->signal = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (watch->signal < 0)
        return mc_fail(err, MC_IO, "cannot watch the database: %s", strerror(errno));
    enum mc_status status = mc_thread_start(&watch->thread, "mc-watch", run, watch, err);
    if (status != MC_OK) {
        close(watch->signal);
        return status;
    }
    watch->running = true;
    return MC_OK;
}

void mc_pg_watch_stop(struct mc_pg_watch *watch)
{
    if (!watch->running)
        return;
    atomic_store(&watch->stop, true);
    poke(watch);
    mc_thread_join(watch->thread);
    close(watch->signal);
    watch->running = false;
}
