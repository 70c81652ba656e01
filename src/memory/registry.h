/*
 * A registry: the rows of a small table of the store, held in memory as an immutable table. Reading takes a
 * reference to the present one; a change is written to the store first and then all rows are read into a new
 * one. Where that fails the table is read again as soon as it can be; until then it serves as it is. Thread-safe.
 */
#ifndef MC_MEMORY_REGISTRY_H
#define MC_MEMORY_REGISTRY_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/thread.h"
#include "store/store.h"

struct mc_registry;

struct mc_registry_table {
    struct mc_arena arena; /* holds the items */
    void **items;          /* in the order in which they were added */
    size_t count;
    /* private */
    struct mc_registry *registry;
    size_t refs; /* guarded by the registry's mutex */
    struct mc_map by_id;
    size_t capacity;
};

/* Adds all rows of the store to an empty table. */
typedef enum mc_status (*mc_registry_read_fn)(struct mc_store *store,
                                              struct mc_registry_table *table,
                                              struct mc_error *err);
/* Changes the store. The present table does not change meanwhile. */
typedef enum mc_status (*mc_registry_change_fn)(struct mc_store *store,
                                                const struct mc_registry_table *present,
                                                void *context, struct mc_error *err);

struct mc_registry {
    struct mc_store *store;
    mc_registry_read_fn read;
    size_t memory_max;
    mc_mutex mutex; /* guards table and its refs */
    struct mc_registry_table *table;
    mc_mutex changing;             /* one change at a time; taken before mutex */
    atomic_bool stale;             /* the store may have other rows than the table */
    atomic_int_least64_t tried_us; /* to read them on a look, monotonic */
};

/* Without a table: mc_registry_reload reads the first. memory_max: of a table, in bytes. */
void mc_registry_init(struct mc_registry *registry, struct mc_store *store,
                      mc_registry_read_fn read, size_t memory_max);
void mc_registry_fini(struct mc_registry *registry); /* all references are released by then */

MC_MUST_CHECK enum mc_status mc_registry_reload(struct mc_registry *registry, struct mc_error *err);
/*
 * Changes the store and reads it again, also when it finds nothing to change. A failure may come after the change: then
 * the table is stale, and the next looks try to read it again, ten times a second at most.
 */
MC_MUST_CHECK enum mc_status mc_registry_change(struct mc_registry *registry,
                                                mc_registry_change_fn change, void *context,
                                                struct mc_error *err);

/* Not for a function that changes the store. */
struct mc_registry_table *mc_registry_acquire(struct mc_registry *registry);
void mc_registry_release(struct mc_registry_table *table);

/* NULL when there is none of that id. */
void *mc_registry_find(const struct mc_registry_table *table, mc_str id);
/* For the function that reads. The id lives in the table's arena. */
MC_MUST_CHECK enum mc_status mc_registry_add(struct mc_registry_table *table, mc_str id, void *item,
                                             struct mc_error *err);

#endif
