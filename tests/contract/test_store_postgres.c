/* The contract of the store over PostgreSQL, directly and through PgBouncer in transaction mode. */
#include "store_contract.h"
#include "support/postgres.h"

static struct pg_server server;

static struct mc_store *open_database(bool bouncer)
{
    struct mc_postgres_options options = pg_options(&server, "cases", bouncer);
    pg_clear(&server, "cases");
    return pg_open(&options);
}

static struct mc_store *open_direct(void)
{
    return open_database(false);
}

static struct mc_store *open_bouncer(void)
{
    return open_database(true);
}

static void carry_out_pg(const char *sql)
{
    pg_sql(&server, "cases", sql);
}

int main(void)
{
    const struct store_factory direct = {"postgresql", open_direct, .keeps_bytes = true,
                                         .sql = carry_out_pg};
    const struct store_factory pooled = {"pgbouncer", open_bouncer, .keeps_bytes = true,
                                         .sql = carry_out_pg};
    const char *missing = pg_server_start(&server);
    if (missing) {
        skip("%s", missing);
        return done_testing();
    }
    pg_create(&server, "cases");
    store_contract(&direct);
    missing = pg_bouncer_start(&server, 20);
    if (missing)
        diag("not through PgBouncer: %s", missing);
    else
        store_contract(&pooled);
    pg_server_stop(&server);
    return done_testing();
}
