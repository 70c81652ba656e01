/* The contract of the store over each of its back-ends. */
#include "store_contract.h"

static struct scratch scratch;
static int number;

static struct mc_store *open_sqlite(void)
{
    char name[32];
    snprintf(name, sizeof(name), "%d.db", ++number);
    return scratch_store(&scratch, name);
}

int main(void)
{
    const struct store_factory sqlite = {"sqlite", open_sqlite, .keeps_bytes = false};
    scratch_make(&scratch);
    store_contract(&sqlite);
    scratch_remove(&scratch);
    return done_testing();
}
