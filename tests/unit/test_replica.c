/*
 * Replicas: their addresses, and a store whose replicas are none (tests/e2e/test_replicas.py has real ones): it opens,
 * answers and closes without waiting for them, and says of each what is wrong.
 */
#include "store/postgres/replica.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/postgres.h"

/* ---- Addresses ---- */

static const char *shown(const char *text)
{
    return text ? text : "-";
}

static void test_parse(void)
{
    static const struct {
        const char *entry, *parts;
    } CASES[] = {
        {"db2", "db2 0 - - - -"},
        {"db2:5433", "db2 5433 - - - -"},
        {"10.0.0.7:1", "10.0.0.7 1 - - - -"},
        {"[::1]", "::1 0 - - - -"},
        {"[::1]:65535", "::1 65535 - - - -"},
        {"/run/postgresql", "/run/postgresql 0 - - - -"},
        {"/run/postgresql:5433", "/run/postgresql 5433 - - - -"},
        {"postgresql://db2", "db2 0 - - - -"},
        {"postgres://db2:5433/memory", "db2 5433 memory - - -"},
        {"postgresql://mind:p%40ss%2F1@db2:5433/memory?sslmode=verify-full",
         "db2 5433 memory mind p@ss/1 verify-full"},
        {"postgresql://mind@[2001:db8::7]:5433", "2001:db8::7 5433 - mind - -"},
        {"postgresql:///memory?host=/run/postgresql", "/run/postgresql 0 memory - - -"},
    };
    for (size_t i = 0; i < mc_countof(CASES); i++) {
        struct mc_pg_replica_place place = {.port = -1};
        struct mc_error err = {0};
        is_status(mc_pg_replica_parse(CASES[i].entry, 1, &place, &err), MC_OK, &err, "%s",
                  CASES[i].entry);
        char parts[256];
        snprintf(parts, sizeof(parts), "%s %d %s %s %s %s", shown(place.host), place.port,
                 shown(place.name), shown(place.user), shown(place.password), shown(place.sslmode));
        is_str(parts, CASES[i].parts, "its parts");
        mc_pg_replica_place_fini(&place);
        ok(!place.host && !place.password && place.port == 0, "and nothing afterwards");
    }
}

static void test_parse_errors(void)
{
    static const struct {
        const char *entry, *says;
    } CASES[] = {
        {"", "is not a host"},
        {":5432", "is not a host"},
        {"db2:", "port"},
        {"db2:0", "port"},
        {"db2:65536", "port"},
        {"db2:99999999999999999999", "port"},
        {"db2:5432x", "port"},
        {"::1", "brackets"},
        {"::1:5432", "brackets"},
        {"[::1", "brackets"},
        {"[::1]5432", "brackets"},
        {"[]:5432", "is not a host"},
        {"db2,db3", "is not a host"},
        {"s3cret@db2", "is not a host"},
        {"host=db2 password=s3cret", "is not a host"},
        {"db2 ", "is not a host"},
        {"http://db2", "port"},
        {"postgresql://", "names no host"},
        {"postgresql:///memory", "names no host"},
        {"postgresql://mind:s3cret@db2:none/memory", "port"},
        {"postgresql://mind:s3cret@db2:70000/memory", "port"},
        {"postgresql://mind:s3cret@db2,db3/memory", "several hosts"},
        {"postgresql://mind:s3cret@db2:1,db3:2/memory", "several hosts"},
        {"postgresql://mind:s3cret@[::1/memory", "URL"},
        {"postgresql://mind:s3cret%ZZ@db2", "URL"},
        {"postgresql://db2/memory?colour=s3cret", "URL"},
        {"postgresql://db2/memory?connect_timeout=3", "other than sslmode"},
    };
    for (size_t i = 0; i < mc_countof(CASES); i++) {
        struct mc_pg_replica_place place = {.port = 42};
        struct mc_error err = {0};
        is_status(mc_pg_replica_parse(CASES[i].entry, 7, &place, &err), MC_CONFIG, &err, "'%s'",
                  CASES[i].entry);
        ok(strstr(err.message, CASES[i].says) && strstr(err.message, "entry 7") &&
               strstr(err.message, "database.replicas") && !strstr(err.message, "s3cret"),
           "says '%s', where, and no password: %s", CASES[i].says, err.message);
        ok(place.port == 42 && !place.host, "and touches nothing");
    }
}

/* ---- Stores ---- */

static struct pg_server server;

struct seen {
    size_t count;
    struct mc_replica_state states[4];
    char details[4][MC_PG_REPLICA_TEXT];
};

static void see(void *context, const struct mc_replica_state *state)
{
    struct seen *seen = context;
    seen->states[seen->count] = *state;
    snprintf(seen->details[seen->count++], MC_PG_REPLICA_TEXT, "%s", state->detail);
}

static struct seen look(struct mc_store *store, int64_t wait_us)
{
    struct seen seen = {.count = 0};
    store->ops->replicas(store, wait_us, see, &seen);
    return seen;
}

static int64_t ms_since(int64_t start_us)
{
    return (mc_time_monotonic_us() - start_us) / MC_US_PER_MS;
}

/* A port of the loopback address at which connections are made and nobody ever answers. */
static int silent_port(int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) || listen(fd, 64) ||
        getsockname(fd, (struct sockaddr *)&address, &size))
        bail_out("no socket: %s", strerror(errno));
    *port = ntohs(address.sin_port);
    return fd;
}

static void read_all(struct mc_store *store, const char *when)
{
    struct mc_store *lagging = mc_store_lagging(store);
    struct mc_recent_read read = {.user_id = MC_STR("u1"),
                                  .thread_id = MC_STR("t1"),
                                  .limit = 5,
                                  .reader = &(struct mc_reader){.everything = true}};
    mc_auto(mc_records_fini) struct mc_records found = {0};
    struct mc_error err = {0};
    is_status(lagging->ops->recent(lagging, &read, &found, &err), MC_OK, &err, "a read %s", when);
}

/* A network that swallows everything: opening, reading, telling and closing wait for nothing. */
static void silent_replica(void)
{
    int port;
    int fd = silent_port(&port);
    char entry[64];
    snprintf(entry, sizeof(entry), "127.0.0.1:%d", port);
    const char *const entries[] = {entry, entry};
    pg_create(&server, "silent");
    struct mc_postgres_options options = pg_options(&server, "silent", false);
    options.replicas = entries;
    options.replica_count = mc_countof(entries);
    /* On a machine that is busy one round may be slow; those that wait for the replica all take 2 s. */
    int64_t best_ms = INT64_MAX;
    for (int round = 0; round < 10 && best_ms > 1000; round++) {
        int64_t open_us = mc_time_monotonic_us();
        struct mc_store *store = pg_open(&options);
        int64_t start_us = mc_time_monotonic_us();
        scratch_pause_ms(20); /* its threads have begun to connect */
        read_all(store, "with replicas that keep silent");
        struct seen seen = look(store, 0);
        is_int(seen.count, 2, "both are told");
        ok((!seen.states[0].known || ms_since(open_us) >= 2000) && !seen.states[0].serving,
           "nothing is known of them yet");
        store->ops->close(store);
        best_ms = ms_since(start_us) < best_ms ? ms_since(start_us) : best_ms;
    }
    ok(best_ms <= 1000, "nothing waits for them: %lld ms", (long long)best_ms);
    struct mc_store *store = pg_open(&options);
    struct seen seen = look(store, 60 * MC_US_PER_SECOND);
    ok(seen.states[0].known && !seen.states[0].reachable, "in the end it is given up");
    ok(strstr(seen.details[0], "no answer"), "for lack of an answer: %s", seen.details[0]);
    store->ops->close(store);
    close(fd);
}

/* Servers that are no copy of the database; and a user with the rights of an ordinary one. */
static void no_replicas(bool may_ask_system)
{
    char itself[320], another[320], dead[320];
    pg_create(&server, "plain");
    pg_create(&server, "unlike");
    snprintf(itself, sizeof(itself), "%s:%d", server.scratch.dir, PG_PORT);
    snprintf(another, sizeof(another), "postgresql:///unlike?host=%s&port=%d", server.scratch.dir,
             PG_PORT);
    snprintf(dead, sizeof(dead), "postgresql://ordinary:s3cret@127.0.0.1:1/plain");
    const char *const entries[] = {itself, another, dead};
    pg_sql(&server, "plain", "CREATE ROLE ordinary LOGIN; GRANT ALL ON SCHEMA public TO ordinary");
    if (!may_ask_system)
        pg_sql(&server, "plain", "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC");
    struct mc_postgres_options options = pg_options(&server, "plain", false);
    options.user = "ordinary";
    options.replicas = entries;
    options.replica_count = mc_countof(entries);
    struct mc_store *store = pg_open(&options);
    struct seen seen = look(store, 60 * MC_US_PER_SECOND);
    is_int(seen.count, 3, "all are told");
    static const char *const says[] = {"primary itself", "no copy", "cannot reach"};
    for (size_t i = 0; i < seen.count; i++) {
        ok(seen.states[i].known && !seen.states[i].reachable && !seen.states[i].serving,
           "%zu is not read", i);
        ok(strstr(seen.details[i], says[i]) && !strstr(seen.details[i], "s3cret"), "for it %s: %s",
           says[i], seen.details[i]);
    }
    read_all(store, "without a replica");
    store->ops->close(store);
    pg_sql(&server, "postgres", "DROP DATABASE plain WITH (FORCE)");
    pg_sql(&server, "postgres", "DROP DATABASE unlike WITH (FORCE)");
    pg_sql(&server, "postgres", "DROP ROLE ordinary");
}

static void wrong_entry(void)
{
    const char *const entries[] = {"127.0.0.1:1", "postgresql://mind:s3cret@db2:0/x"};
    pg_create(&server, "wrong");
    struct mc_postgres_options options = pg_options(&server, "wrong", false);
    options.replicas = entries;
    options.replica_count = mc_countof(entries);
    struct mc_store *store = NULL;
    struct mc_error err = {0};
    is_status(mc_postgres_store_open(&options, &store, &err), MC_CONFIG, &err, "a wrong entry");
    ok(strstr(err.message, "entry 2 of database.replicas") && !strstr(err.message, "s3cret"),
       "is named: %s", err.message);
    ok(store == NULL, "and there is no store");
}

int main(void)
{
    test_parse();
    test_parse_errors();
    const char *missing = pg_server_start(&server);
    if (missing) {
        skip("%s", missing);
        return done_testing();
    }
    wrong_entry();
    no_replicas(true);
    no_replicas(false);
    silent_replica();
    pg_server_stop(&server);
    return done_testing();
}
