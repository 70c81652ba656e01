/*
 * DESIGN. A write: BEGIN and a note of the transaction's number in the connection's own row of
 * mindcore_changes travel with the first round of its work, COMMIT with the last, which the server skips
 * when a statement before it fails; or it is a round of its own, when the work must see all results before.
 * A connection that is lost before COMMIT was sent has rolled back. After one that is
 * lost later another connection looks whether the note is there; as long as the transaction still runs
 * there (the server has not noticed yet) it looks again. The number alone would not do: a server that
 * crashed may give it out a second time.
 */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/error.h"
#include "base/id.h"
#include "base/time.h"
#include "store/postgres/pg.h"

/* Deadlocks and conflicts in a row that a call takes. */
#define CONFLICTS_MAX 20
/* A server that restarts is back in a few seconds. */
#define RECONNECT_US (15 * MC_US_PER_SECOND)
#define PAUSE_MIN_US 2000
#define PAUSE_MAX_US 250000

int64_t mc_pg_now_us(const struct mc_pg_conn *conn)
{
    return mc_time_now_us() + conn->clock_offset_us;
}

void mc_pg_add_by_key(struct mc_pg_conn *conn)
{
    mc_pg_add_quiet(conn,
                    "SELECT set_config('enable_seqscan', 'off', true),"
                    " set_config('enable_hashjoin', 'off', true),"
                    " set_config('enable_mergejoin', 'off', true)",
                    MC_PG_NO_ARGS);
}

bool mc_pg_not_new(struct mc_pg_conn *conn, enum mc_status status)
{
    bool not_new = status == MC_INTERNAL && strcmp(conn->sqlstate, "23505") == 0;
    if (not_new)
        conn->trouble = MC_PG_CONFLICT;
    return not_new;
}

/* ---- Trying again ---- */

struct tries {
    struct mc_pg *s;
    int flags, conflicts, losses;
    int64_t until_us;
};

static void pause_us(int64_t time_us)
{
    struct timespec rest = {time_us / MC_US_PER_SECOND, time_us % MC_US_PER_SECOND * 1000};
    while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
        continue;
}

/* Twice as long each time, and not the same for all callers. */
static void back_off(int nth)
{
    int64_t most = PAUSE_MIN_US << (nth < 8 ? nth : 8);
    uint16_t noise;
    mc_random_bytes(&noise, sizeof(noise));
    most = most < PAUSE_MAX_US ? most : PAUSE_MAX_US;
    pause_us(most / 2 + most / 2 * noise / UINT16_MAX);
}

/* Whether to begin anew after such a failure; waits before. */
static bool once_more(struct tries *t, enum mc_pg_trouble trouble)
{
    if (trouble == MC_PG_CONFLICT && t->conflicts < CONFLICTS_MAX) {
        back_off(t->conflicts++);
        return true;
    }
    if (trouble == MC_PG_DICTIONARY) /* which is known now */
        return true;
    if (trouble != MC_PG_LOST || (t->flags & MC_PG_ONCE) || mc_time_monotonic_us() > t->until_us)
        return false;
    if (t->losses++ > 0) /* the first one may be one old connection of the pool */
        back_off(t->losses);
    return true;
}

static struct tries begin_tries(struct mc_pg *s, int flags)
{
    int64_t window = s->pool.options.pool_timeout_us;
    window = window < RECONNECT_US ? window : RECONNECT_US;
    return (struct tries){.s = s, .flags = flags, .until_us = mc_time_monotonic_us() + window};
}

static enum mc_status counted(struct mc_pg *s, enum mc_status status)
{
    if (s->metrics && mc_status_http(status) >= 500)
        mc_metrics_add(s->metrics, MC_COUNT_ERROR_STORE, 1);
    return status;
}

/* ---- Transactions ---- */

/* Without session state the limits are the transaction's. */
static void add_limits(const struct mc_pg_pool *pool, struct mc_pg_conn *conn)
{
    if (conn->direct)
        return;
    char statement[24], lock[24];
    snprintf(statement, sizeof(statement), "%" PRId64,
             pool->options.statement_timeout_us / MC_US_PER_MS);
    snprintf(lock, sizeof(lock), "%" PRId64, pool->options.lock_timeout_us / MC_US_PER_MS);
    mc_pg_add_quiet(conn,
                    "SELECT set_config('statement_timeout', $1, true),"
                    " set_config('lock_timeout', $2, true)",
                    MC_PG_ARGS(mc_pg_str(mc_str_of(statement)), mc_pg_str(mc_str_of(lock))));
}

static void begin_read(const struct mc_pg_pool *pool, struct mc_pg_conn *conn, int flags)
{
    bool snapshot = flags & MC_PG_SNAPSHOT;
    if (!snapshot && conn->direct)
        return;
    mc_pg_add_quiet(
        conn, snapshot ? "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" : "BEGIN READ ONLY",
        MC_PG_NO_ARGS);
    add_limits(pool, conn);
    conn->in_transaction = true;
    conn->writes = false;
}

enum mc_status mc_pg_run_last(struct mc_pg_conn *conn, struct mc_error *err)
{
    /* Without its number nobody could ask what became of a write. */
    bool ends = conn->in_transaction && (!conn->writes || conn->transaction != 0);
    if (ends)
        mc_pg_add(conn, "COMMIT", MC_PG_NO_ARGS);
    conn->commit_sent = ends && conn->writes;
    enum mc_status status = mc_pg_run(conn, err);
    if (status != MC_OK || !ends)
        return status;
    conn->in_transaction = false;
    if (strcmp(PQcmdStatus(conn->results[conn->result_count - 1]), "COMMIT") == 0)
        return MC_OK;
    conn->trouble = MC_PG_REFUSED;
    return mc_fail(err, MC_INTERNAL, "PostgreSQL at %s rolled a transaction back",
                   conn->where->conninfo_host);
}

/* Ends what is open, without a word: if that fails the connection is not used again. */
static void roll_back(struct mc_pg_conn *conn)
{
    struct mc_error ignored;
    enum mc_pg_trouble trouble = conn->trouble;
    if (conn->pending_count > 0) {
        conn->trouble = MC_PG_LOST; /* sent in part and never answered */
        return;
    }
    if (!conn->in_transaction || trouble == MC_PG_LOST)
        return;
    if (PQtransactionStatus(conn->pg) == PQTRANS_IDLE ||
        mc_pg_query(conn, "ROLLBACK", MC_PG_NO_ARGS, &ignored) == MC_OK) {
        conn->in_transaction = false;
        conn->trouble = trouble;
    }
}

enum mc_status mc_pg_read_with(const struct mc_pg_pool *pool, struct mc_pg_conn *conn, int flags,
                               mc_pg_work work, void *context, struct mc_error *err)
{
    conn->trouble = MC_PG_NO_TROUBLE;
    begin_read(pool, conn, flags);
    enum mc_status status = work(conn, context, err);
    roll_back(conn);
    return status;
}

enum mc_status mc_pg_read(struct mc_pg *s, int flags, mc_pg_work work, void *context,
                          struct mc_error *err)
{
    struct tries tries = begin_tries(s, flags);
    for (;;) {
        struct mc_pg_conn *conn = NULL;
        enum mc_pg_trouble trouble;
        enum mc_status status = mc_pg_pool_acquire(&s->pool, &conn, &trouble, err);
        if (status == MC_OK) {
            status = mc_pg_read_with(&s->pool, conn, flags, work, context, err);
            trouble = mc_pg_fetch_dictionary(conn, conn->trouble);
            mc_pg_pool_release(&s->pool, conn);
        }
        if (status == MC_OK || !once_more(&tries, trouble))
            return counted(s, status);
    }
}

struct one {
    const char *sql;
    const struct mc_pg_arg *args;
    mc_pg_take take;
    void *context;
};

static enum mc_status read_one(struct mc_pg_conn *conn, void *context, struct mc_error *err)
{
    const struct one *one = context;
    mc_pg_add(conn, one->sql, one->args);
    enum mc_status status = mc_pg_run_last(conn, err);
    return status == MC_OK ? one->take(conn->results[0], one->context, err) : status;
}

enum mc_status mc_pg_read_one(struct mc_pg *s, const char *sql, const struct mc_pg_arg *args,
                              mc_pg_take take, void *context, struct mc_error *err)
{
    struct one one = {sql, args, take, context};
    return mc_pg_read(s, 0, read_one, &one, err);
}

enum mc_status mc_pg_read_one_lagging(struct mc_store *store, int64_t shard, const char *sql,
                                      const struct mc_pg_arg *args, mc_pg_take take, void *context,
                                      struct mc_error *err)
{
    struct one one = {sql, args, take, context};
    return mc_pg_read_lagging(store, shard, 0, read_one, &one, err);
}

/* ---- Writes ---- */

static void begin_write(struct mc_pg *s, struct mc_pg_conn *conn, int flags)
{
    conn->touched = (struct mc_pg_shard_set){{0}};
    mc_pg_add_quiet(conn, "BEGIN", MC_PG_NO_ARGS);
    add_limits(&s->pool, conn);
    if (flags & MC_PG_RELAXED)
        mc_pg_add_quiet(conn, "SET LOCAL synchronous_commit TO off", MC_PG_NO_ARGS);
    /* A row for each connection: nobody waits for another. */
    mc_pg_add_numbering(
        conn,
        "INSERT INTO mindcore_changes AS c(server, slot, changes, transaction, changed_at)"
        " VALUES($1, $2, $3, txid_current(), now()) ON CONFLICT (server, slot) DO UPDATE"
        " SET changes = c.changes + excluded.changes,"
        " transaction = excluded.transaction, changed_at = excluded.changed_at RETURNING "
        "transaction",
        MC_PG_ARGS(mc_pg_int(s->server), mc_pg_int(conn->slot),
                   mc_pg_int(!(flags & MC_PG_SILENT))));
    conn->in_transaction = conn->writes = true;
    conn->commit_sent = false;
    conn->transaction = 0;
}

enum outcome { OUTCOME_COMMITTED, OUTCOME_ROLLED_BACK, OUTCOME_UNKNOWN };

/* One statement, so that the note and what still runs are of one state. */
static const char outcome_sql[] =
    "SELECT EXISTS(SELECT 1 FROM mindcore_changes WHERE server = $1 AND slot = $2"
    " AND transaction = $3), $3 IN (SELECT txid_snapshot_xip(txid_current_snapshot()))";

static enum mc_status read_outcome(struct mc_pg *s, struct mc_pg_conn *conn,
                                   const struct mc_pg_conn *lost, enum outcome *outcome,
                                   struct mc_error *err)
{
    /*
     * A snapshot lists what runs among the numbers before the last that has ended: this one ends behind the
     * lost one. Unless it is not behind: then the server has crashed since and begun again below.
     */
    enum mc_status status = mc_pg_query(conn, "SELECT txid_current()", MC_PG_NO_ARGS, err);
    if (status != MC_OK)
        return status;
    bool begun_again = mc_pg_first_int(conn, 0) <= lost->transaction;
    status = mc_pg_query(
        conn, outcome_sql,
        MC_PG_ARGS(mc_pg_int(s->server), mc_pg_int(lost->slot), mc_pg_int(lost->transaction)), err);
    if (status != MC_OK)
        return status;
    if (mc_pg_cell_int(conn->results[0], 0, 0))
        *outcome = OUTCOME_COMMITTED;
    else if (begun_again || !mc_pg_cell_int(conn->results[0], 0, 1))
        *outcome = OUTCOME_ROLLED_BACK;
    return MC_OK;
}

/*
 * What became of a transaction whose commit was not answered. The lost connection is still held, so
 * nobody else writes into its row; asked is on a connection outside of the pool.
 */
static enum outcome ask_outcome(struct mc_pg *s, const struct mc_pg_conn *lost)
{
    struct tries tries = begin_tries(s, 0);
    for (int nth = 0;; nth++) {
        struct mc_pg_conn *conn = NULL;
        struct mc_error ignored;
        enum mc_pg_trouble trouble;
        enum outcome outcome = OUTCOME_UNKNOWN;
        enum mc_status status = mc_pg_connect(&s->pool, &conn, &trouble, &ignored);
        if (status == MC_OK)
            status = read_outcome(s, conn, lost, &outcome, &ignored);
        (void)status; /* not known yet */
        mc_pg_conn_close(conn);
        if (outcome != OUTCOME_UNKNOWN || mc_time_monotonic_us() > tries.until_us)
            return outcome;
        back_off(nth);
    }
}

/* Unless the work's last round has done so. */
static enum mc_status commit(struct mc_pg_conn *conn, struct mc_error *err)
{
    if (!conn->in_transaction)
        return MC_OK;
    /* What the work left for the last round still belongs before the commit. */
    enum mc_status status = mc_pg_run(conn, err);
    return status == MC_OK ? mc_pg_run_last(conn, err) : status;
}

/* One try. *trouble tells whether another one makes sense. */
static enum mc_status try_write(struct mc_pg *s, int flags, mc_pg_work work, void *context,
                                enum mc_pg_trouble *trouble, struct mc_error *err)
{
    struct mc_pg_conn *conn = NULL;
    enum mc_status status = mc_pg_pool_acquire(&s->pool, &conn, trouble, err);
    if (status != MC_OK)
        return status;
    conn->trouble = MC_PG_NO_TROUBLE;
    begin_write(s, conn, flags);
    status = work(conn, context, err);
    if (status == MC_OK)
        status = commit(conn, err);
    *trouble = conn->trouble;
    enum outcome outcome = OUTCOME_ROLLED_BACK;
    if (status != MC_OK && conn->commit_sent && *trouble == MC_PG_LOST)
        outcome = ask_outcome(s, conn);
    if (conn->commit_sent && s->replicas.count > 0 && !(flags & MC_PG_SILENT))
        mc_pg_freshness_wrote(&s->replicas.freshness, &conn->touched);
    roll_back(conn);
    *trouble = mc_pg_fetch_dictionary(conn, *trouble);
    mc_pg_pool_release(&s->pool, conn);
    if (status == MC_OK)
        return status;
    switch (outcome) {
    case OUTCOME_COMMITTED:
        return MC_OK;
    case OUTCOME_ROLLED_BACK:
        return status;
    default:
        *trouble = MC_PG_REFUSED;
        return mc_fail_prefix(err, status,
                              "the connection was lost during a commit and it is not known whether "
                              "it was carried out; repeat it with the same message_id");
    }
}

enum mc_status mc_pg_write(struct mc_pg *s, int flags, mc_pg_work work, void *context,
                           struct mc_error *err)
{
    struct tries tries = begin_tries(s, flags);
    for (;;) {
        enum mc_pg_trouble trouble = MC_PG_NO_TROUBLE;
        enum mc_status status = try_write(s, flags, work, context, &trouble, err);
        if (status == MC_OK) {
            if (!(flags & MC_PG_SILENT))
                mc_pg_watch_changed(&s->watch);
            return MC_OK;
        }
        if (!once_more(&tries, trouble))
            return counted(s, status);
    }
}
