/* Opening connections, and telling why one cannot be opened. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

#include "base/error.h"
#include "base/time.h"
#include "store/postgres/pool.h"

/* The clocks of machines that are kept in time differ less; then they count as the same. */
#define CLOCK_TOLERANCE_US (100 * MC_US_PER_MS)

/* What to do, by what libpq says. Not password nor anything else that was given appears in its texts. */
static const struct {
    const char *text; /* part of libpq's or the server's text */
    enum mc_status status;
    enum mc_pg_trouble trouble;
    const char *field, *advice;
} causes[] = {
    {"password authentication failed", MC_CONFIG, MC_PG_REFUSED, "database.password",
     "check database.user and database.password (MINDCORE_DB_PASSWORD)"},
    {"no password supplied", MC_CONFIG, MC_PG_REFUSED, "database.password",
     "set database.password (MINDCORE_DB_PASSWORD)"},
    {"authentication failed", MC_CONFIG, MC_PG_REFUSED, "database.user",
     "check database.user, and pg_hba.conf on the server"},
    {"no such user", MC_CONFIG, MC_PG_REFUSED, "database.user",
     "check database.user, and PgBouncer's list of users"},
    {"no such database", MC_CONFIG, MC_PG_REFUSED, "database.name",
     "check database.name, and PgBouncer's list of databases"},
    {"no pg_hba.conf entry", MC_CONFIG, MC_PG_REFUSED, "database.host",
     "allow this machine in pg_hba.conf on the server, or set database.sslmode to require"},
    {"SSL", MC_CONFIG, MC_PG_REFUSED, "database.sslmode",
     "set database.sslmode to what the server offers (disable, prefer, require), or switch TLS on "
     "there"},
    {"certificate", MC_CONFIG, MC_PG_REFUSED, "database.sslmode",
     "put the root certificate in ~/.postgresql/root.crt, use the name that is in the certificate "
     "as "
     "database.host, or set database.sslmode to require"},
    {"unsupported startup parameter", MC_CONFIG, MC_PG_REFUSED, "database.pgbouncer",
     "database.host is a PgBouncer: set database.pgbouncer to true"},
    {"could not translate host name", MC_CONFIG, MC_PG_LOST, "database.host",
     "check database.host"},
    {"invalid", MC_CONFIG, MC_PG_REFUSED, "database.host", "check the options of section database"},
    {"role ", MC_CONFIG, MC_PG_REFUSED, "database.user",
     "check database.user, or create it there: CREATE ROLE ... LOGIN"},
    {"database \"", MC_CONFIG, MC_PG_REFUSED, "database.name",
     "check database.name, or create it there: createdb -E UTF8 -T template0 NAME"},
    {"too many", MC_BUSY, MC_PG_LOST, "database.pool_size",
     "lower database.pool_size and database.max_overflow, or raise max_connections on the server"},
    {"remaining connection slots", MC_BUSY, MC_PG_LOST, "database.pool_size",
     "lower database.pool_size and database.max_overflow, or raise max_connections on the server"},
    {"starting up", MC_UNAVAILABLE, MC_PG_LOST, "", "the server is starting; try again"},
    {"shutting down", MC_UNAVAILABLE, MC_PG_LOST, "",
     "the server is shutting down; start it again"},
    {"recovery", MC_UNAVAILABLE, MC_PG_LOST, "", "the server is recovering; try again"},
};

static enum mc_status fail_connect(const struct mc_pg_pool *pool, const char *text,
                                   enum mc_pg_trouble *trouble, struct mc_error *err)
{
    int len = (int)strcspn(text, "\n");
    for (size_t i = 0; i < mc_countof(causes); i++) {
        if (!strstr(text, causes[i].text))
            continue;
        *trouble = causes[i].trouble;
        return mc_fail_field(err, causes[i].status, causes[i].field,
                             "cannot open PostgreSQL database '%s' at %s: %.*s; %s",
                             pool->where.database, pool->where.conninfo_host, len, text,
                             causes[i].advice);
    }
    *trouble = MC_PG_LOST;
    return mc_fail_field(err, MC_UNAVAILABLE, "database.host",
                         "cannot reach PostgreSQL at %s: %.*s; start the server there, or check "
                         "database.host and database.port",
                         pool->where.conninfo_host, len, text);
}

/* How far the database's clock is from this machine's; leases are counted by the database's. */
static enum mc_status measure_clock(struct mc_pg_conn *conn, struct mc_error *err)
{
    int64_t before = mc_time_now_us();
    enum mc_status status = mc_pg_query(conn, "SELECT clock_timestamp()", MC_PG_NO_ARGS, err);
    if (status != MC_OK)
        return status;
    int64_t after = mc_time_now_us(), there = mc_pg_cell_time(conn->results[0], 0, 0);
    if (there < before - CLOCK_TOLERANCE_US || there > after + CLOCK_TOLERANCE_US)
        conn->clock_offset_us = there - (before + (after - before) / 2);
    return MC_OK;
}

/* A library does not write to the program's terminal; what fails is told by its status. */
static void ignore_notice(void *context, const PGresult *result)
{
    (void)context;
    (void)result;
}

/* False when the time is over, or the pool is stopped. */
static bool wait_for_server(const struct mc_pg_pool *pool, PGconn *pg, bool to_write,
                            int64_t until_us)
{
    struct pollfd fds[] = {
        {.fd = PQsocket(pg), .events = to_write ? POLLOUT : POLLIN},
        {.fd = pool->stop, .events = POLLIN},
    };
    int64_t left_ms = (until_us - mc_time_monotonic_us()) / MC_US_PER_MS;
    int ready = left_ms > 0 ? poll(fds, mc_countof(fds), (int)left_ms) : 0;
    return (ready > 0 && !fds[1].revents) || (ready < 0 && errno == EINTR);
}

/* libpq's own waiting tries the next address of a host when one keeps silent, but cannot be ended by others. */
static PGconn *establish(const struct mc_pg_pool *pool, const char *const *keywords,
                         const char *const *values)
{
    if (pool->stop < 0)
        return PQconnectdbParams(keywords, values, 0);
    int64_t until_us = mc_time_monotonic_us() + pool->options.connect_timeout_us;
    PGconn *pg = PQconnectStartParams(keywords, values, 0);
    PostgresPollingStatusType next =
        pg && PQstatus(pg) != CONNECTION_BAD ? PGRES_POLLING_WRITING : PGRES_POLLING_FAILED;
    while ((next == PGRES_POLLING_WRITING || next == PGRES_POLLING_READING) &&
           wait_for_server(pool, pg, next == PGRES_POLLING_WRITING, until_us))
        next = PQconnectPoll(pg);
    return pg;
}

static PGconn *open_session(const struct mc_pg_pool *pool)
{
    const struct mc_postgres_options *o = &pool->options;
    char port[12], options[160], connect_s[24], unheard_ms[24];
    snprintf(port, sizeof(port), "%d", o->port);
    snprintf(connect_s, sizeof(connect_s), "%" PRId64, o->connect_timeout_us / MC_US_PER_SECOND);
    /* What was sent and is not even confirmed. */
    snprintf(unheard_ms, sizeof(unheard_ms), "%" PRId64, 2 * o->connect_timeout_us / MC_US_PER_MS);
    /* A session that died with a transaction open must not keep its locks for ever. */
    snprintf(options, sizeof(options),
             "-c statement_timeout=%" PRId64 " -c lock_timeout=%" PRId64
             " -c idle_in_transaction_session_timeout=%" PRId64,
             o->statement_timeout_us / MC_US_PER_MS, o->lock_timeout_us / MC_US_PER_MS,
             2 * o->statement_timeout_us / MC_US_PER_MS);
    /* In pairs; what has no value is libpq's own default. */
    const char *const pairs[][2] = {
        {"host", o->host},
        {"port", port},
        {"dbname", o->name},
        {"user", o->user},
        {"password", o->password},
        {"sslmode", o->sslmode},
        {"application_name", "mindcore"},
        {"client_encoding", "UTF8"},
        {"connect_timeout", connect_s},
        {"keepalives_idle", "30"},
        {"keepalives_interval", "10"},
        {"keepalives_count", "3"},
        {"tcp_user_timeout", unheard_ms},
        {"options", o->pgbouncer ? NULL : options},
    };
    const char *keywords[mc_countof(pairs) + 1] = {NULL}, *values[mc_countof(pairs) + 1] = {NULL};
    size_t count = 0;
    for (size_t i = 0; i < mc_countof(pairs); i++) {
        if (!pairs[i][1] || !pairs[i][1][0])
            continue;
        keywords[count] = pairs[i][0];
        values[count++] = pairs[i][1];
    }
    return establish(pool, keywords, values);
}

enum mc_status mc_pg_connect(const struct mc_pg_pool *pool, struct mc_pg_conn **conn,
                             enum mc_pg_trouble *trouble, struct mc_error *err)
{
    const struct mc_postgres_options *o = &pool->options;
    *trouble = MC_PG_LOST;
    PGconn *pg = open_session(pool);
    if (!pg)
        return mc_fail_memory(err);
    if (PQstatus(pg) != CONNECTION_OK) {
        const char *text =
            PQstatus(pg) == CONNECTION_BAD ? PQerrorMessage(pg) : "there was no answer in time";
        enum mc_status status = fail_connect(pool, text, trouble, err);
        PQfinish(pg);
        return status;
    }
    PQsetNoticeReceiver(pg, ignore_notice, NULL);
    struct mc_pg_conn *made = NULL;
    enum mc_status status =
        mc_pg_conn_new(pg, &pool->where, !o->pgbouncer, o->answer_timeout_us, &made, err);
    if (status == MC_OK) {
        made->stop = pool->stop;
        status = measure_clock(made, err);
    }
    if (status != MC_OK) {
        if (made)
            *trouble = made->trouble;
        mc_pg_conn_close(made);
        return status;
    }
    made->archive = pool->archive;
    *conn = made;
    return MC_OK;
}
