#include "support/postgres.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define START_MS 120000

/* ---- Processes ---- */

/* Neither of the programs runs as root. */
static const struct passwd *other_user(void)
{
    if (geteuid() != 0)
        return NULL;
    const struct passwd *user = getpwnam("postgres");
    return user ? user : getpwnam("nobody");
}

/* Starts a program, as another user if one is given, its output in the folder's file `log`. */
static pid_t spawn_as(const struct passwd *user, const struct pg_server *server, const char *log,
                      const char *const argv[])
{
    pid_t parent = getpid(), pid = fork();
    if (pid != 0)
        return pid;
    int out = open(scratch_path(&server->scratch, log), O_CREAT | O_APPEND | O_WRONLY, 0666);
    if (out >= 0) {
        dup2(out, STDOUT_FILENO);
        dup2(out, STDERR_FILENO);
    }
    if (user && (setgroups(0, NULL) || setgid(user->pw_gid) || setuid(user->pw_uid)))
        _exit(126);
    /* Ends with the test; what forks from it ends with it. */
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    if (getppid() != parent)
        _exit(126);
    /* Variables of the test's surroundings must not lead elsewhere. */
    unsetenv("PGHOST");
    unsetenv("PGPORT");
    setenv("LC_ALL", "C", 1);
    execv(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static pid_t spawn(const struct pg_server *server, const char *log, const char *const argv[])
{
    return spawn_as(other_user(), server, log, argv);
}

static void show_log(const struct pg_server *server, const char *log)
{
    char line[512];
    FILE *file = fopen(scratch_path(&server->scratch, log), "r");
    while (file && fgets(line, sizeof(line), file))
        diag("%s: %s", log, line);
    if (file)
        fclose(file);
}

static void run(const struct pg_server *server, const char *log, const char *const argv[])
{
    int state;
    pid_t pid = spawn(server, log, argv);
    while (pid > 0 && waitpid(pid, &state, 0) < 0 && errno == EINTR)
        continue;
    if (pid < 0 || !WIFEXITED(state) || WEXITSTATUS(state) != 0) {
        show_log(server, log);
        bail_out("%s failed", argv[0]);
    }
}

static void end(pid_t *pid, int signal)
{
    int state;
    if (*pid <= 0)
        return;
    kill(*pid, signal);
    while (waitpid(*pid, &state, 0) < 0 && errno == EINTR)
        continue;
    *pid = 0;
}

/* ---- Talking ---- */

static PGconn *connect_to(const struct pg_server *server, const char *database)
{
    char port[12];
    snprintf(port, sizeof(port), "%d", PG_PORT);
    const char *const keys[] = {"host", "port", "dbname", "user", NULL};
    const char *const values[] = {server->scratch.dir, port, database, "postgres", NULL};
    return PQconnectdbParams(keys, values, 0);
}

static bool answers(const struct pg_server *server)
{
    PGconn *conn = connect_to(server, "postgres");
    bool good = PQstatus(conn) == CONNECTION_OK;
    PQfinish(conn);
    return good;
}

static PGresult *ask(PGconn *conn, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    ExecStatusType type = PQresultStatus(result);
    if (type != PGRES_COMMAND_OK && type != PGRES_TUPLES_OK)
        bail_out("%s: %s%s", sql, PQerrorMessage(conn), PQresultErrorMessage(result));
    return result;
}

void pg_sql(const struct pg_server *server, const char *database, const char *sql)
{
    PGconn *conn = connect_to(server, database);
    PQclear(ask(conn, sql));
    PQfinish(conn);
}

const char *pg_value(const struct pg_server *server, const char *database, const char *sql)
{
    static char text[4096];
    PGconn *conn = connect_to(server, database);
    PGresult *result = ask(conn, sql);
    snprintf(text, sizeof(text), "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    PQfinish(conn);
    return text;
}

struct pg_session {
    PGconn *conn;
};

struct pg_session *pg_session(const struct pg_server *server, const char *database)
{
    struct pg_session *session = malloc(sizeof(*session));
    if (!session)
        bail_out("no memory");
    session->conn = connect_to(server, database);
    return session;
}

void pg_session_run(struct pg_session *session, const char *sql)
{
    PQclear(ask(session->conn, sql));
}

void pg_session_end(struct pg_session *session)
{
    PQfinish(session->conn);
    free(session);
}

void pg_create(const struct pg_server *server, const char *database)
{
    char sql[256];
    snprintf(sql, sizeof(sql), "CREATE DATABASE \"%s\" ENCODING 'UTF8' TEMPLATE template0",
             database);
    pg_sql(server, "postgres", sql);
}

void pg_empty(const struct pg_server *server, const char *database)
{
    pg_sql(server, database,
           "SET client_min_messages TO warning; DROP SCHEMA public CASCADE; CREATE SCHEMA public");
}

void pg_clear(const struct pg_server *server, const char *database)
{
    pg_sql(server, database,
           "DO $$ DECLARE t name; BEGIN FOR t IN SELECT relname FROM pg_class WHERE relnamespace ="
           " 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition"
           " AND relname NOT IN ('mindcore_schema', 'mindcore_generation') LOOP EXECUTE "
           "format('DELETE FROM %I', t); END LOOP;"
           " END $$");
}

void pg_partition(const struct pg_server *server, const char *database, int partitions)
{
    struct mc_postgres_options options = pg_options(server, database, false);
    struct mc_error err = {0};
    if (mc_postgres_partition(&options, partitions, &err))
        bail_out("cannot partition: %s", err.message);
}

/* ---- The server ---- */

static bool find_binaries(struct pg_server *server)
{
    static const char *const places[] = {"/usr/lib/postgresql/17/bin", "/usr/lib/postgresql/16/bin",
                                         "/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/14/bin",
                                         "/usr/local/pgsql/bin",       "/usr/bin"};
    const char *given = getenv("MINDCORE_TEST_POSTGRES");
    for (size_t i = 0; i <= sizeof(places) / sizeof(places[0]); i++) {
        const char *place = i == 0 ? given : places[i - 1];
        char path[300];
        if (!place)
            continue;
        snprintf(path, sizeof(path), "%s/initdb", place);
        snprintf(server->bin, sizeof(server->bin), "%s", place);
        if (access(path, X_OK) == 0)
            return true;
    }
    return false;
}

static void give_away(const char *path)
{
    const struct passwd *user = other_user();
    if (user && chown(path, user->pw_uid, user->pw_gid) != 0)
        bail_out("cannot give %s away: %s", path, strerror(errno));
}

void pg_server_run(struct pg_server *server)
{
    char program[300], data[300], sockets[300], port[12];
    snprintf(program, sizeof(program), "%s/postgres", server->bin);
    snprintf(data, sizeof(data), "%s/data", server->scratch.dir);
    snprintf(sockets, sizeof(sockets), "%s", server->scratch.dir);
    snprintf(port, sizeof(port), "%d", PG_PORT);
    const char *argv[24] = {
        program, "-D", data, "-k", sockets, "-p", port, "-c", "listen_addresses="};
    static const char *const quick[] = {
        "-c", "fsync=off",           "-c", "max_connections=80",
        "-c", "shared_buffers=32MB", "-c", "deadlock_timeout=100ms"};
    if (!server->durable)
        memcpy(argv + 9, quick, sizeof(quick));
    server->postgres = spawn(server, "postgres.log", argv);
    if (server->postgres < 0 || !scratch_wait(answers(server), START_MS)) {
        show_log(server, "postgres.log");
        bail_out("the server does not start");
    }
}

/* A copy in the server's own folder, where its user may read it: a cache folder may be its owner's only. */
static bool find_pgvector(struct pg_server *server)
{
    const char *given = getenv("MINDCORE_TEST_PGVECTOR"), *source = getenv("MINDCORE_SOURCE");
    char tool[300], folder[300];
    snprintf(folder, sizeof(folder), "%s/pgvector", server->scratch.dir);
    snprintf(server->bin, sizeof(server->bin), "%.200s%s", given ? given : folder,
             given ? "" : "/bin");
    if (given)
        return true;
    snprintf(tool, sizeof(tool), "%.250s/tools/get-pgvector", source ? source : ".");
    const char *const argv[] = {tool, "--copy", folder, NULL};
    int state;
    pid_t pid = spawn_as(NULL, server, "copy.log", argv);
    while (pid > 0 && waitpid(pid, &state, 0) < 0 && errno == EINTR)
        continue;
    return pid > 0 && WIFEXITED(state) && WEXITSTATUS(state) == 0;
}

static const char *start(struct pg_server *server)
{
    if (!server->pgvector && !find_binaries(server))
        return "PostgreSQL's server is not installed";
    if (geteuid() == 0 && !other_user())
        return "there is no user that PostgreSQL could run as";
    scratch_make(&server->scratch);
    if (server->pgvector && !find_pgvector(server)) {
        scratch_remove(&server->scratch);
        return "there is no PostgreSQL with pgvector: tools/get-pgvector";
    }
    give_away(server->scratch.dir);
    if (chmod(server->scratch.dir, 0755) != 0)
        bail_out("chmod: %s", strerror(errno));
    char program[300], data[300];
    snprintf(program, sizeof(program), "%s/initdb", server->bin);
    snprintf(data, sizeof(data), "%s/data", server->scratch.dir);
    const char *const argv[] = {
        program, "-D",   data,         "-U",        "postgres",          "-A", "trust",
        "-E",    "UTF8", "--locale=C", "--no-sync", "--no-instructions", NULL};
    run(server, "initdb.log", argv);
    pg_server_run(server);
    return NULL;
}

const char *pg_server_start(struct pg_server *server)
{
    *server = (struct pg_server){.durable = false};
    return start(server);
}

const char *pg_server_start_durable(struct pg_server *server)
{
    *server = (struct pg_server){.durable = true};
    return start(server);
}

const char *pg_server_start_pgvector(struct pg_server *server)
{
    *server = (struct pg_server){.pgvector = true};
    return start(server);
}

void pg_server_kill(struct pg_server *server)
{
    end(&server->postgres, SIGQUIT);
}

void pg_server_stop(struct pg_server *server)
{
    end(&server->bouncer, SIGTERM);
    end(&server->postgres, SIGQUIT);
    scratch_remove(&server->scratch);
}

/* ---- PgBouncer ---- */

static bool bouncer_answers(const struct pg_server *server)
{
    struct mc_postgres_options options = pg_options(server, "postgres", true);
    char port[12];
    snprintf(port, sizeof(port), "%d", options.port);
    const char *const keys[] = {"host", "port", "dbname", "user", NULL};
    const char *const values[] = {options.host, port, options.name, options.user, NULL};
    PGconn *conn = PQconnectdbParams(keys, values, 0);
    bool good = PQstatus(conn) == CONNECTION_OK;
    PQfinish(conn);
    return good;
}

const char *pg_bouncer_start(struct pg_server *server, int pool)
{
    static const char *const places[] = {"/usr/sbin/pgbouncer", "/usr/bin/pgbouncer",
                                         "/usr/local/bin/pgbouncer"};
    const char *program = NULL;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && !program; i++)
        program = access(places[i], X_OK) == 0 ? places[i] : NULL;
    if (!program)
        return "PgBouncer is not installed";
    const char *path = scratch_path(&server->scratch, "bouncer.ini");
    FILE *file = fopen(path, "w");
    if (!file)
        bail_out("%s: %s", path, strerror(errno));
    fprintf(file,
            "[databases]\n* = host=%s port=%d user=postgres\n[pgbouncer]\nlisten_addr =\n"
            "unix_socket_dir = %s\nlisten_port = %d\nauth_type = any\npool_mode = transaction\n"
            "default_pool_size = %d\nmax_client_conn = 400\n",
            server->scratch.dir, PG_PORT, server->scratch.dir, PG_BOUNCER_PORT, pool);
    fclose(file);
    give_away(path);
    const char *const argv[] = {program, path, NULL};
    server->bouncer = spawn(server, "bouncer.log", argv);
    if (server->bouncer < 0 || !scratch_wait(bouncer_answers(server), START_MS)) {
        show_log(server, "bouncer.log");
        bail_out("PgBouncer does not start");
    }
    return NULL;
}

/* ---- Stores ---- */

struct mc_postgres_options pg_options(const struct pg_server *server, const char *database,
                                      bool bouncer)
{
    return (struct mc_postgres_options){
        .host = server->scratch.dir,
        .port = bouncer ? PG_BOUNCER_PORT : PG_PORT,
        .name = database,
        .user = "postgres",
        .pool_size = 10,
        .max_overflow = 10,
        .pgbouncer = bouncer,
        .pgvector = server->pgvector,
    };
}

struct mc_store *pg_open(const struct mc_postgres_options *options)
{
    struct mc_store *store = NULL;
    struct mc_error err = {0};
    if (mc_postgres_store_open(options, &store, &err))
        bail_out("the store does not open: %s", err.message);
    return store;
}
