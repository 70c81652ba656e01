/* The contract of the store over each of its back-ends. */
#include "store_contract.h"

#include "store/sqlite/sqlite.h"

static struct scratch scratch;
static int number;

static struct mc_store *open_sqlite(void)
{
    char name[32];
    snprintf(name, sizeof(name), "%d.db", ++number);
    return scratch_store(&scratch, name);
}

static void carry_out_sqlite(const char *sql)
{
    char name[32];
    sqlite3 *db = NULL;
    snprintf(name, sizeof(name), "%d.db", number);
    if (sqlite3_open(scratch_path(&scratch, name), &db) || sqlite3_exec(db, sql, NULL, NULL, NULL))
        bail_out("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

int main(void)
{
    const struct store_factory sqlite = {"sqlite", open_sqlite, .keeps_bytes = false,
                                         .sql = carry_out_sqlite};
    scratch_make(&scratch);
    store_contract(&sqlite);
    scratch_remove(&scratch);
    return done_testing();
}
