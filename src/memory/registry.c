#include "memory/registry.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/time.h"

#define RETRY_US (MC_US_PER_SECOND / 10)

static void free_table(struct mc_registry_table *table)
{
    mc_map_fini(&table->by_id);
    mc_arena_fini(&table->arena);
    free(table->items);
    free(table);
}

static struct mc_registry_table *new_table(struct mc_registry *registry)
{
    struct mc_registry_table *table = calloc(1, sizeof(*table));
    if (!table)
        return NULL;
    table->registry = registry;
    table->refs = 1;
    mc_arena_init(&table->arena, registry->memory_max);
    mc_map_init(&table->by_id);
    return table;
}

void mc_registry_init(struct mc_registry *registry, struct mc_store *store,
                      mc_registry_read_fn read, size_t memory_max)
{
    *registry = (struct mc_registry){.store = store, .read = read, .memory_max = memory_max};
    mc_mutex_init(&registry->mutex);
    mc_mutex_init(&registry->changing);
}

void mc_registry_fini(struct mc_registry *registry)
{
    if (registry->table)
        free_table(registry->table);
    mc_mutex_fini(&registry->mutex);
    mc_mutex_fini(&registry->changing);
}

/* Only under `changing`, so that an older reading never replaces a newer one. */
static enum mc_status reload(struct mc_registry *registry, struct mc_error *err)
{
    struct mc_registry_table *table = new_table(registry);
    if (!table) {
        atomic_store(&registry->stale, true);
        return mc_fail_memory(err);
    }
    atomic_store(&registry->stale, false);
    enum mc_status status = registry->read(registry->store, table, err);
    if (status != MC_OK) {
        atomic_store(&registry->stale, true);
        free_table(table);
        return status;
    }
    mc_mutex_lock(&registry->mutex);
    struct mc_registry_table *before = registry->table;
    registry->table = table;
    mc_mutex_unlock(&registry->mutex);
    if (before)
        mc_registry_release(before);
    return MC_OK;
}

enum mc_status mc_registry_reload(struct mc_registry *registry, struct mc_error *err)
{
    mc_mutex_lock(&registry->changing);
    enum mc_status status = reload(registry, err);
    mc_mutex_unlock(&registry->changing);
    return status;
}

enum mc_status mc_registry_change(struct mc_registry *registry, mc_registry_change_fn change,
                                  void *context, struct mc_error *err)
{
    struct mc_error unread;
    mc_mutex_lock(&registry->changing);
    enum mc_status status = change(registry->store, registry->table, context, err);
    bool known = status == MC_OK || status == MC_NOT_FOUND;
    enum mc_status read = known ? reload(registry, &unread) : MC_OK;
    if (!known || read != MC_OK) { /* and the next look does not wait */
        atomic_store(&registry->stale, true);
        atomic_store(&registry->tried_us, 0);
    }
    mc_mutex_unlock(&registry->changing);
    if (read == MC_OK)
        return status;
    *err = unread;
    return mc_fail_prefix(err, read, "the change was made, but is not in force here yet");
}

/* One thread tries; the others take the table that is there. */
static void refresh(struct mc_registry *registry)
{
    int64_t now_us = mc_time_monotonic_us(), tried_us = atomic_load(&registry->tried_us);
    struct mc_error ignored; /* told by whoever made it stale */
    if (now_us - tried_us >= RETRY_US &&
        atomic_compare_exchange_strong(&registry->tried_us, &tried_us, now_us))
        (void)!mc_registry_reload(registry, &ignored);
}

struct mc_registry_table *mc_registry_acquire(struct mc_registry *registry)
{
    if (atomic_load(&registry->stale))
        refresh(registry);
    mc_mutex_lock(&registry->mutex);
    struct mc_registry_table *table = registry->table;
    table->refs++;
    mc_mutex_unlock(&registry->mutex);
    return table;
}

void mc_registry_release(struct mc_registry_table *table)
{
    struct mc_registry *registry = table->registry;
    mc_mutex_lock(&registry->mutex);
    bool last = --table->refs == 0;
    mc_mutex_unlock(&registry->mutex);
    if (last)
        free_table(table);
}

void *mc_registry_find(const struct mc_registry_table *table, mc_str id)
{
    return mc_map_get(&table->by_id, id);
}

enum mc_status mc_registry_add(struct mc_registry_table *table, mc_str id, void *item,
                               struct mc_error *err)
{
    if (table->count == table->capacity) {
        size_t capacity = table->capacity > 0 ? table->capacity * 2 : 16;
        void **items = realloc(table->items, capacity * sizeof(void *));
        if (!items)
            return mc_fail_memory(err);
        table->items = items;
        table->capacity = capacity;
    }
    if (!mc_map_put(&table->by_id, id, item))
        return mc_fail_memory(err);
    table->items[table->count++] = item;
    return MC_OK;
}
