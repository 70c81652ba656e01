#include "memory/registry.h"

#include <stdlib.h>

#include "base/error.h"

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
    if (!table)
        return mc_fail_memory(err);
    enum mc_status status = registry->read(registry->store, table, err);
    if (status != MC_OK) {
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
    mc_mutex_lock(&registry->changing);
    enum mc_status status = change(registry->store, context, err);
    if (status == MC_OK)
        status = reload(registry, err);
    mc_mutex_unlock(&registry->changing);
    return status;
}

struct mc_registry_table *mc_registry_acquire(struct mc_registry *registry)
{
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
