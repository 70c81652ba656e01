/*
 * DESIGN. A run ends with one synchronisation point. libpq is not blocking, since the server may send answers
 * while statements are still being written: both directions are served until all is out, or both
 * sides would wait for each other.
 */
#include "store/postgres/conn.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/time.h"
#include "store/postgres/wire.h"

/* A statement's arrays: terms of a message, rows of a step. */
#define SCRATCH_BYTES ((size_t)256 << 20)

/* ---- Failures ---- */

enum mc_status mc_pg_status_of(const char *sqlstate, enum mc_pg_trouble *trouble)
{
    static const struct {
        const char *prefix;
        enum mc_status status;
        enum mc_pg_trouble trouble;
    } STATES[] = {
        {"40003", MC_UNAVAILABLE, MC_PG_LOST},    /* completion unknown */
        {"40", MC_BUSY, MC_PG_CONFLICT},          /* deadlock, serialisation */
        {"55P03", MC_BUSY, MC_PG_REFUSED},        /* lock timeout */
        {"57014", MC_TIMEOUT, MC_PG_REFUSED},     /* statement timeout, or cancelled by somebody */
        {"57P", MC_UNAVAILABLE, MC_PG_LOST},      /* shut down, crashed, starting up */
        {"25P03", MC_UNAVAILABLE, MC_PG_LOST},    /* idle in a transaction for too long */
        {"08", MC_UNAVAILABLE, MC_PG_LOST},       /* connection */
        {"53100", MC_DISK_FULL, MC_PG_REFUSED},   /* disk full */
        {"53200", MC_UNAVAILABLE, MC_PG_REFUSED}, /* out of memory, there */
        {"53300", MC_BUSY, MC_PG_REFUSED},        /* too many connections */
        {"53", MC_UNAVAILABLE, MC_PG_REFUSED},    /* other resources */
        {"25006", MC_UNAVAILABLE, MC_PG_LOST}, /* read-only: a standby, or a fail-over just now */
        {"42501", MC_CONFIG, MC_PG_REFUSED},   /* rights */
        {"28", MC_CONFIG, MC_PG_REFUSED},      /* password */
        {"3D000", MC_CONFIG, MC_PG_REFUSED},   /* no such database */
        {"XX001", MC_CORRUPT, MC_PG_REFUSED},  /* damaged table */
        {"XX002", MC_CORRUPT, MC_PG_REFUSED},  /* damaged index */
        {"58", MC_IO, MC_PG_REFUSED},          /* input or output */
        {"22", MC_INVALID, MC_PG_REFUSED},     /* a value that it cannot hold */
        {"54", MC_TOO_LARGE, MC_PG_REFUSED},   /* its limits */
    };
    for (size_t i = 0; i < mc_countof(STATES); i++) {
        if (strncmp(sqlstate, STATES[i].prefix, strlen(STATES[i].prefix)) == 0) {
            *trouble = STATES[i].trouble;
            return STATES[i].status;
        }
    }
    *trouble = MC_PG_REFUSED;
    return MC_INTERNAL;
}

static const char *advice(enum mc_status status, const char *sqlstate)
{
    if (strcmp(sqlstate, "53300") == 0)
        return "; lower database.pool_size and database.max_overflow or raise max_connections";
    if (strcmp(sqlstate, "25006") == 0)
        return "; database.host must name the primary server";
    if (strcmp(sqlstate, "55P03") == 0)
        return "; somebody else holds what it needs for longer than database.lock_timeout: look at "
               "pg_locks there, and try again";
    if (strcmp(sqlstate, "57014") == 0)
        return "; raise database.statement_timeout if it needs that long, or try again";
    switch (status) {
    case MC_DISK_FULL:
        return "; make room on the database's disk";
    case MC_CONFIG:
        return "; grant this user what is missing, or give another database.user";
    case MC_CORRUPT:
        return "; restore a backup";
    case MC_UNAVAILABLE:
        return "; look at the server's log";
    case MC_BUSY:
        return "; try again";
    default:
        return "";
    }
}

/* The first line of a text of libpq, whose texts end with a line break. */
static int first_line(const char *text)
{
    return (int)strcspn(text, "\n");
}

enum mc_status mc_pg_conn_fail(struct mc_pg_conn *conn, const PGresult *result,
                               struct mc_error *err)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *text = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    enum mc_status status;
    if (state) {
        snprintf(conn->sqlstate, sizeof(conn->sqlstate), "%s", state);
        status = mc_pg_status_of(state, &conn->trouble);
    } else {
        conn->sqlstate[0] = '\0';
        conn->trouble = MC_PG_LOST;
        status = MC_UNAVAILABLE;
    }
    if (!text || !*text)
        text = result && PQresultErrorMessage(result)[0] ? PQresultErrorMessage(result)
                                                         : PQerrorMessage(conn->pg);
    if (!*text)
        text = "the connection was lost";
    return mc_fail(err, status, "PostgreSQL at %s, database '%s': %.*s%s%s%s%s",
                   conn->where->conninfo_host, conn->where->database, first_line(text), text,
                   state ? " (" : "", state ? state : "", state ? ")" : "",
                   advice(status, conn->sqlstate));
}

static enum mc_status fail_lost(struct mc_pg_conn *conn, const char *what, struct mc_error *err)
{
    conn->trouble = MC_PG_LOST;
    conn->sqlstate[0] = '\0';
    return mc_fail(err, MC_UNAVAILABLE,
                   "PostgreSQL at %s, database '%s': %s; look at the server's log",
                   conn->where->conninfo_host, conn->where->database, what);
}

/* ---- Life ---- */

static void drop_results(struct mc_pg_conn *conn)
{
    for (size_t i = 0; i < conn->result_count; i++)
        PQclear(conn->results[i]);
    conn->result_count = 0;
}

enum mc_status mc_pg_conn_new(PGconn *pg, const struct mc_pg_where *where, bool direct,
                              int64_t answer_timeout_us, struct mc_pg_conn **conn,
                              struct mc_error *err)
{
    struct mc_pg_conn *made = calloc(1, sizeof(*made));
    if (!made) {
        PQfinish(pg);
        return mc_fail_memory(err);
    }
    made->pg = pg;
    made->where = where;
    made->direct = direct;
    made->answer_timeout_us = answer_timeout_us;
    made->opened_us = made->returned_us = mc_time_monotonic_us();
    mc_buf_init(&made->scratch, SCRATCH_BYTES);
    if (PQsetnonblocking(pg, 1) != 0 || PQenterPipelineMode(pg) != 1) {
        enum mc_status status = mc_pg_conn_fail(made, NULL, err);
        mc_pg_conn_close(made);
        return status;
    }
    *conn = made;
    return MC_OK;
}

void mc_pg_conn_close(struct mc_pg_conn *conn)
{
    if (!conn)
        return;
    drop_results(conn);
    PQfinish(conn->pg);
    mc_buf_fini(&conn->scratch);
    free(conn->pending);
    free(conn->results);
    free(conn);
}

bool mc_pg_conn_usable(struct mc_pg_conn *conn)
{
    if (PQstatus(conn->pg) != CONNECTION_OK || conn->in_transaction || conn->pending_count > 0 ||
        conn->trouble == MC_PG_LOST || PQtransactionStatus(conn->pg) != PQTRANS_IDLE)
        return false;
    /* Something to read on an idle connection is its end, or a notice before it. */
    struct pollfd fd = {.fd = PQsocket(conn->pg), .events = POLLIN};
    if (poll(&fd, 1, 0) <= 0)
        return true;
    return PQconsumeInput(conn->pg) == 1 && PQstatus(conn->pg) == CONNECTION_OK &&
           !(fd.revents & (POLLHUP | POLLERR));
}

/* ---- Adding ---- */

static bool push_pending(struct mc_pg_conn *conn, struct mc_pg_pending pending)
{
    if (conn->pending_count == conn->pending_capacity) {
        size_t capacity = conn->pending_capacity > 0 ? conn->pending_capacity * 2 : 64;
        struct mc_pg_pending *items = realloc(conn->pending, capacity * sizeof(*items));
        if (!items)
            return false;
        conn->pending = items;
        conn->pending_capacity = capacity;
    }
    conn->pending[conn->pending_count++] = pending;
    return true;
}

/* The slot of a statement's text; the table never fills up. */
static size_t slot_of(const struct mc_pg_conn *conn, const char *sql)
{
    size_t slot = ((uintptr_t)sql >> 3) * UINT64_C(0x9e3779b97f4a7c15) >> 55;
    while (conn->prepared[slot].sql && conn->prepared[slot].sql != sql)
        slot = (slot + 1) % MC_PG_STATEMENTS;
    return slot;
}

static bool is_pending_prepare(const struct mc_pg_conn *conn, const char *sql)
{
    for (size_t i = 0; i < conn->pending_count; i++)
        if (conn->pending[i].prepares && conn->pending[i].sql == sql)
            return true;
    return false;
}

static bool send_prepared(struct mc_pg_conn *conn, const char *sql, const struct mc_pg_wire *wire)
{
    size_t slot = slot_of(conn, sql);
    char name[24];
    snprintf(name, sizeof(name), "mc%zu", slot);
    if (!conn->prepared[slot].ready && !is_pending_prepare(conn, sql)) {
        conn->prepared[slot].sql = sql;
        if (!push_pending(conn,
                          (struct mc_pg_pending){.sql = sql, .quiet = true, .prepares = true}) ||
            PQsendPrepare(conn->pg, name, sql, wire->count, wire->types) != 1)
            return false;
    }
    return PQsendQueryPrepared(conn->pg, name, wire->count, wire->values, wire->lengths,
                               wire->formats, 1) == 1;
}

static void add(struct mc_pg_conn *conn, const struct mc_pg_arg *args, struct mc_pg_pending pending)
{
    const char *sql = pending.sql;
    if (conn->pending_count == 0)
        drop_results(conn);
    struct mc_pg_wire wire;
    if (conn->add_failed || !mc_pg_wire_make(&wire, args, &conn->scratch)) {
        conn->add_failed = true;
        return;
    }
    bool sent = conn->direct ? send_prepared(conn, sql, &wire)
                             : PQsendQueryParams(conn->pg, sql, wire.count, wire.types, wire.values,
                                                 wire.lengths, wire.formats, 1) == 1;
    if (!sent || !push_pending(conn, pending))
        conn->add_failed = true;
}

void mc_pg_add(struct mc_pg_conn *conn, const char *sql, const struct mc_pg_arg *args)
{
    add(conn, args, (struct mc_pg_pending){.sql = sql});
}

void mc_pg_add_quiet(struct mc_pg_conn *conn, const char *sql, const struct mc_pg_arg *args)
{
    add(conn, args, (struct mc_pg_pending){.sql = sql, .quiet = true});
}

void mc_pg_add_once(struct mc_pg_conn *conn, const struct mc_buf *sql)
{
    if (conn->pending_count == 0)
        drop_results(conn);
    if (conn->add_failed || sql->failed ||
        PQsendQueryParams(conn->pg, mc_buf_str(sql).data, 0, NULL, NULL, NULL, NULL, 1) != 1 ||
        !push_pending(conn, (struct mc_pg_pending){.quiet = true}))
        conn->add_failed = true;
}

void mc_pg_add_numbering(struct mc_pg_conn *conn, const char *sql, const struct mc_pg_arg *args)
{
    add(conn, args, (struct mc_pg_pending){.sql = sql, .quiet = true, .numbers = true});
}

/* ---- Running ---- */

/* Waits until the socket is ready; false when the time is over. */
static bool wait_socket(struct mc_pg_conn *conn, bool to_write, int64_t until_us)
{
    struct pollfd fd = {.fd = PQsocket(conn->pg),
                        .events = (short)(to_write ? POLLIN | POLLOUT : POLLIN)};
    for (;;) {
        int64_t left_ms = (until_us - mc_time_monotonic_us()) / MC_US_PER_MS;
        if (left_ms <= 0)
            return false;
        int ready = poll(&fd, 1, left_ms > 60000 ? 60000 : (int)left_ms);
        if (ready > 0 || (ready < 0 && errno != EINTR))
            return ready > 0;
    }
}

static enum mc_status flush(struct mc_pg_conn *conn, int64_t until_us, struct mc_error *err)
{
    for (;;) {
        int left = PQflush(conn->pg);
        if (left == 0)
            return MC_OK;
        if (left < 0)
            return mc_pg_conn_fail(conn, NULL, err);
        if (!wait_socket(conn, true, until_us))
            return fail_lost(conn, "the server takes nothing any more", err);
        if (PQconsumeInput(conn->pg) != 1)
            return mc_pg_conn_fail(conn, NULL, err);
    }
}

/* *result is NULL at the end of a statement's results. */
static enum mc_status next_result(struct mc_pg_conn *conn, int64_t until_us, PGresult **result,
                                  struct mc_error *err)
{
    while (PQisBusy(conn->pg)) {
        if (!wait_socket(conn, false, until_us))
            return fail_lost(conn, "the server gave no answer in time", err);
        if (PQconsumeInput(conn->pg) != 1)
            return mc_pg_conn_fail(conn, NULL, err);
    }
    *result = PQgetResult(conn->pg);
    if (!*result && PQstatus(conn->pg) != CONNECTION_OK)
        return mc_pg_conn_fail(conn, NULL, err);
    return MC_OK;
}

static bool keep_result(struct mc_pg_conn *conn, PGresult *result)
{
    if (conn->result_count == conn->result_capacity) {
        size_t capacity = conn->result_capacity > 0 ? conn->result_capacity * 2 : 64;
        PGresult **items = realloc(conn->results, capacity * sizeof(void *));
        if (!items) {
            PQclear(result);
            return false;
        }
        conn->results = items;
        conn->result_capacity = capacity;
    }
    conn->results[conn->result_count++] = result;
    return true;
}

/*
 * The result of one pending statement. failed: what the run's first failure was, after which the server
 * skips the rest.
 */
static enum mc_status take_result(struct mc_pg_conn *conn, const struct mc_pg_pending *pending,
                                  int64_t until_us, enum mc_status *failed, struct mc_error *err)
{
    PGresult *result, *end = NULL;
    enum mc_status status = next_result(conn, until_us, &result, err);
    if (status != MC_OK)
        return status;
    if (!result)
        return fail_lost(conn, "an answer is missing", err);
    ExecStatusType type = PQresultStatus(result);
    bool good = type == PGRES_COMMAND_OK || type == PGRES_TUPLES_OK;
    if (good && pending->prepares)
        conn->prepared[slot_of(conn, pending->sql)].ready = true;
    if (good && pending->numbers)
        conn->transaction = mc_pg_cell_int(result, 0, 0);
    if (!good && *failed == MC_OK)
        *failed = type == PGRES_PIPELINE_ABORTED
                      ? fail_lost(conn, "a statement was not carried out", err)
                      : mc_pg_conn_fail(conn, result, err);
    if (!good || pending->quiet || *failed != MC_OK)
        PQclear(result);
    else if (!keep_result(conn, result))
        *failed = mc_fail_memory(err);
    status = next_result(conn, until_us, &end, err);
    if (status == MC_OK && end) {
        PQclear(end);
        status = fail_lost(conn, "an answer too many", err);
    }
    return status;
}

static enum mc_status take_sync(struct mc_pg_conn *conn, int64_t until_us, struct mc_error *err)
{
    PGresult *result;
    enum mc_status status = next_result(conn, until_us, &result, err);
    if (status != MC_OK)
        return status;
    bool sync = result && PQresultStatus(result) == PGRES_PIPELINE_SYNC;
    if (!sync)
        status = result ? mc_pg_conn_fail(conn, result, err)
                        : fail_lost(conn, "an answer is missing", err);
    PQclear(result);
    if (!sync)
        conn->trouble = MC_PG_LOST; /* the order of questions and answers is not known any more */
    return status;
}

static enum mc_status run(struct mc_pg_conn *conn, struct mc_error *err)
{
    int64_t until_us = mc_time_monotonic_us() + conn->answer_timeout_us;
    if (conn->add_failed) {
        /* What was added so far may be half a statement: the connection cannot be used any more. */
        enum mc_status status = PQstatus(conn->pg) == CONNECTION_OK
                                    ? mc_fail_memory(err)
                                    : mc_pg_conn_fail(conn, NULL, err);
        conn->trouble = MC_PG_LOST;
        return status;
    }
    if (PQpipelineSync(conn->pg) != 1)
        return mc_pg_conn_fail(conn, NULL, err);
    enum mc_status status = flush(conn, until_us, err), failed = MC_OK;
    for (size_t i = 0; status == MC_OK && i < conn->pending_count; i++)
        status = take_result(conn, &conn->pending[i], until_us, &failed, err);
    /* What the server said first tells more than that it then closed the connection. */
    if (status != MC_OK)
        return failed != MC_OK ? failed : status;
    enum mc_pg_trouble trouble = conn->trouble;
    struct mc_error end;
    status = take_sync(conn, until_us, failed == MC_OK ? err : &end);
    if (failed == MC_OK)
        return status;
    if (status == MC_OK)
        conn->trouble = trouble;
    return failed;
}

enum mc_status mc_pg_run(struct mc_pg_conn *conn, struct mc_error *err)
{
    if (conn->pending_count == 0 && !conn->add_failed)
        return MC_OK;
    conn->trouble = MC_PG_NO_TROUBLE;
    enum mc_status status = run(conn, err);
    conn->pending_count = 0;
    conn->add_failed = false;
    if (conn->scratch.capacity > (1U << 20)) { /* a rare large argument */
        mc_buf_fini(&conn->scratch);
        mc_buf_init(&conn->scratch, SCRATCH_BYTES);
    }
    if (status != MC_OK)
        drop_results(conn);
    return status;
}

enum mc_status mc_pg_query(struct mc_pg_conn *conn, const char *sql, const struct mc_pg_arg *args,
                           struct mc_error *err)
{
    mc_pg_add(conn, sql, args);
    return mc_pg_run(conn, err);
}

/* ---- COPY ---- */

#define COPY_CHUNK ((size_t)64 << 10)

/* The one result of a statement outside of the pipeline, which must be of that type. */
static enum mc_status expect(struct mc_pg_conn *conn, ExecStatusType type, int64_t until_us,
                             struct mc_error *err)
{
    PGresult *result;
    enum mc_status status = next_result(conn, until_us, &result, err);
    if (status != MC_OK)
        return status;
    if (PQresultStatus(result) != type)
        status = result ? mc_pg_conn_fail(conn, result, err)
                        : fail_lost(conn, "an answer is missing", err);
    PQclear(result);
    return status;
}

static enum mc_status put_data(struct mc_pg_conn *conn, mc_str data, int64_t until_us,
                               struct mc_error *err)
{
    enum mc_status status = MC_OK;
    for (size_t at = 0; status == MC_OK && at < data.len; at += COPY_CHUNK) {
        size_t len = data.len - at < COPY_CHUNK ? data.len - at : COPY_CHUNK;
        if (PQputCopyData(conn->pg, data.data + at, (int)len) != 1)
            return mc_pg_conn_fail(conn, NULL, err);
        status = flush(conn, until_us, err);
    }
    if (status == MC_OK && PQputCopyEnd(conn->pg, NULL) != 1)
        return mc_pg_conn_fail(conn, NULL, err);
    return status == MC_OK ? flush(conn, until_us, err) : status;
}

/* The pipeline knows no COPY, so it is left for the time. */
enum mc_status mc_pg_copy_in(struct mc_pg_conn *conn, const char *sql, mc_str data,
                             struct mc_error *err)
{
    enum mc_status status = mc_pg_run(conn, err);
    if (status != MC_OK)
        return status;
    drop_results(conn);
    int64_t until_us = mc_time_monotonic_us() + conn->answer_timeout_us;
    if (PQexitPipelineMode(conn->pg) != 1 || PQsendQuery(conn->pg, sql) != 1)
        return mc_pg_conn_fail(conn, NULL, err);
    status = flush(conn, until_us, err);
    if (status == MC_OK)
        status = expect(conn, PGRES_COPY_IN, until_us, err);
    if (status == MC_OK)
        status = put_data(conn, data, until_us, err);
    if (status == MC_OK)
        status = expect(conn, PGRES_COMMAND_OK, until_us, err);
    if (conn->trouble == MC_PG_LOST)
        return status;
    PGresult *end = NULL;
    struct mc_error ignored;
    if (next_result(conn, until_us, &end, &ignored) != MC_OK || end ||
        PQenterPipelineMode(conn->pg) != 1) {
        PQclear(end);
        conn->trouble = MC_PG_LOST; /* of no use any more */
        return status != MC_OK ? status : fail_lost(conn, "COPY did not end", err);
    }
    return status;
}
