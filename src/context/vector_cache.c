#include "context/vector_cache.h"

#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"

/* Reading 10,000 vectors takes about as long as so many searches by the database (docs/embeddings.md). */
#define ASKED_MOST 4

void mc_vector_cache_init(struct mc_vector_cache *cache, struct mc_store *store, size_t max_bytes)
{
    *cache = (struct mc_vector_cache){.store = store, .max_bytes = max_bytes};
    mc_mutex_init(&cache->mutex);
    mc_map_init(&cache->users);
    mc_list_init(&cache->recent);
}

static void clear(struct mc_vector_entry *entry)
{
    for (struct mc_vector_set *set = entry->sets, *next; set; set = next) {
        next = set->next;
        mc_vectors_fini(&set->vectors);
        free(set->places);
        free(set);
    }
    entry->sets = NULL;
    mc_vector_classes_fini(&entry->classes);
    mc_vector_classes_init(&entry->classes);
    entry->state = (struct mc_vector_state){0};
}

static void free_entry(struct mc_vector_entry *entry)
{
    clear(entry);
    mc_vector_classes_fini(&entry->classes);
    mc_mutex_fini(&entry->mutex);
    free(entry->user_id);
    free(entry);
}

/* With the cache's mutex held: nobody finds it from now on. */
static void unlist(struct mc_vector_cache *cache, struct mc_vector_entry *entry)
{
    (void)mc_map_remove(&cache->users, mc_str_of(entry->user_id));
    mc_list_remove(&entry->link);
    cache->bytes -= entry->counted_bytes;
    entry->listed = false;
    if (entry->refs == 0)
        free_entry(entry);
}

void mc_vector_cache_fini(struct mc_vector_cache *cache)
{
    while (!mc_list_empty(&cache->recent))
        unlist(cache, mc_container_of(cache->recent.next, struct mc_vector_entry, link));
    mc_map_fini(&cache->users);
    mc_mutex_fini(&cache->mutex);
}

/* ---- Bringing up to date ---- */

static struct mc_vector_set *set_of(struct mc_vector_entry *entry, int64_t model, size_t dimension)
{
    struct mc_vector_set *set = entry->sets;
    while (set && (set->model != model || set->vectors.dimension != dimension))
        set = set->next;
    if (set)
        return set;
    set = calloc(1, sizeof(*set));
    if (!set)
        return NULL;
    set->model = model;
    mc_vectors_init(&set->vectors, dimension);
    set->next = entry->sets;
    entry->sets = set;
    return set;
}

static struct mc_vector_place *find_place(struct mc_vector_set *set, size_t count, int64_t row)
{
    if (row > set->highest)
        return NULL; /* new, as most are */
    for (size_t i = 0; i < count; i++) {
        if (set->places[i].row == row)
            return &set->places[i];
    }
    return NULL;
}

static bool add_place(struct mc_vector_entry *entry, struct mc_vector_set *set,
                      const struct mc_vector_row *row)
{
    size_t count = set->vectors.count, class;
    if (!mc_vector_classes_of(&entry->classes, row->access, &class))
        return false;
    if (count == set->place_capacity) {
        size_t capacity = count > 0 ? count + count / 2 : 16;
        struct mc_vector_place *places = realloc(set->places, capacity * sizeof(*places));
        if (!places)
            return false;
        set->places = places;
        set->place_capacity = capacity;
    }
    set->places[count] = (struct mc_vector_place){.row = row->row,
                                                  .created_at_us = row->created_at_us,
                                                  .thread = mc_str_hash(row->thread_id),
                                                  .class = class};
    set->highest = row->row > set->highest ? row->row : set->highest;
    return true;
}

struct update {
    struct mc_vector_entry *entry;
    bool whole;   /* what was there is void; set before the first row */
    bool cleared; /* and gone */
    bool failed;
};

static void begin(struct update *update)
{
    if (update->whole && !update->cleared)
        clear(update->entry);
    update->cleared = true;
}

static bool put_row(struct mc_vector_entry *entry, struct mc_vector_set *set,
                    const struct mc_vector_row *row, bool fresh)
{
    size_t dimension = set->vectors.dimension;
    int16_t *packed = malloc(dimension * sizeof(*packed)); /* the row's may not be aligned */
    if (!packed)
        return false;
    memcpy(packed, row->data.data, dimension * sizeof(*packed));
    struct mc_vector_place *place = fresh ? NULL : find_place(set, set->vectors.count, row->row);
    bool put = true;
    if (place)
        mc_vectors_set(&set->vectors, (size_t)(place - set->places), packed, (float)row->scale);
    else
        put =
            add_place(entry, set, row) && mc_vectors_add(&set->vectors, packed, (float)row->scale);
    free(packed);
    return put;
}

static bool take_row(void *context, const struct mc_vector_row *row)
{
    struct update *update = context;
    size_t dimension = row->data.len / sizeof(int16_t);
    begin(update);
    if (dimension == 0 || dimension > MC_VECTOR_DIMENSION_MAX)
        return true; /* a table that somebody wrote to */
    struct mc_vector_set *set = set_of(update->entry, row->model, dimension);
    update->failed = !set || !put_row(update->entry, set, row, update->whole);
    return !update->failed;
}

static size_t bytes_of(const struct mc_vector_entry *entry)
{
    size_t bytes = sizeof(*entry) + mc_vector_classes_bytes(&entry->classes);
    for (const struct mc_vector_set *set = entry->sets; set; set = set->next)
        bytes += sizeof(*set) + mc_vectors_bytes(&set->vectors) +
                 set->place_capacity * sizeof(*set->places);
    return bytes;
}

/* With the entry's mutex held. After a failure it is empty, to be read anew. */
static enum mc_status bring_up_to_date(struct mc_store *store, struct mc_vector_entry *entry,
                                       mc_str user_id, struct mc_error *err)
{
    const struct mc_vector_state had = entry->state;
    struct mc_vector_state now = {0};
    struct update update = {.entry = entry};
    enum mc_status status =
        store->ops->vectors(store, user_id, &had, take_row, &update, &update.whole, &now, err);
    if (status == MC_OK && update.failed)
        status = mc_fail_memory(err);
    if (status == MC_OK)
        begin(&update);
    else
        clear(entry);
    if (status == MC_OK)
        entry->state = now;
    entry->bytes = bytes_of(entry);
    return status;
}

/* ---- Entries ---- */

/* With the cache's mutex held. */
static struct mc_vector_entry *make_entry(struct mc_vector_cache *cache, mc_str user_id)
{
    struct mc_vector_entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return NULL;
    mc_mutex_init(&entry->mutex);
    mc_vector_classes_init(&entry->classes);
    mc_list_init(&entry->link);
    entry->user_id = mc_str_dup(user_id);
    if (!entry->user_id || !mc_map_put(&cache->users, mc_str_of(entry->user_id), entry)) {
        free_entry(entry);
        return NULL;
    }
    entry->listed = true;
    return entry;
}

/* With the cache's mutex held: users leave until it fits, those asked for longest ago first. */
static void make_room(struct mc_vector_cache *cache)
{
    while (cache->bytes > cache->max_bytes && !mc_list_empty(&cache->recent))
        unlist(cache, mc_container_of(cache->recent.prev, struct mc_vector_entry, link));
}

/* With the cache's mutex held: the entry takes so much from now on, and may have left. */
static void count_bytes(struct mc_vector_cache *cache, struct mc_vector_entry *entry, size_t bytes)
{
    cache->bytes += bytes - entry->counted_bytes;
    entry->counted_bytes = bytes;
    make_room(cache);
}

/* The user's, made when there is none, as the one used last; NULL: out of memory. With the cache's mutex held. */
static struct mc_vector_entry *use_entry(struct mc_vector_cache *cache, mc_str user_id)
{
    struct mc_vector_entry *entry = mc_map_get(&cache->users, user_id);
    if (!entry)
        entry = make_entry(cache, user_id);
    if (entry) {
        mc_list_remove(&entry->link);
        mc_list_push_front(&cache->recent, &entry->link);
    }
    return entry;
}

bool mc_vector_cache_wants(struct mc_vector_cache *cache, mc_str user_id)
{
    mc_mutex_lock(&cache->mutex);
    struct mc_vector_entry *entry = use_entry(cache, user_id);
    bool wants = !entry || entry->asked >= ASKED_MOST;
    if (entry) {
        entry->asked += !wants;
        count_bytes(cache, entry, entry->counted_bytes > 0 ? entry->counted_bytes : sizeof(*entry));
    }
    mc_mutex_unlock(&cache->mutex);
    return wants;
}

enum mc_status mc_vector_cache_acquire(struct mc_vector_cache *cache, mc_str user_id,
                                       struct mc_vector_entry **entry, struct mc_error *err)
{
    mc_mutex_lock(&cache->mutex);
    struct mc_vector_entry *found = use_entry(cache, user_id);
    if (found)
        found->refs++;
    mc_mutex_unlock(&cache->mutex);
    if (!found)
        return mc_fail_memory(err);
    mc_mutex_lock(&found->mutex);
    enum mc_status status = bring_up_to_date(cache->store, found, user_id, err);
    if (status == MC_OK)
        *entry = found;
    else
        mc_vector_cache_release(cache, found);
    return status;
}

void mc_vector_cache_release(struct mc_vector_cache *cache, struct mc_vector_entry *entry)
{
    size_t bytes = entry->bytes;
    mc_mutex_unlock(&entry->mutex);
    mc_mutex_lock(&cache->mutex);
    entry->refs--;
    if (entry->listed) {
        count_bytes(cache, entry, bytes);
    } else if (entry->refs == 0) {
        free_entry(entry);
    }
    mc_mutex_unlock(&cache->mutex);
}

void mc_vector_cache_forget(struct mc_vector_cache *cache, mc_str user_id)
{
    mc_mutex_lock(&cache->mutex);
    struct mc_vector_entry *entry = mc_map_get(&cache->users, user_id);
    if (entry)
        unlist(cache, entry);
    mc_mutex_unlock(&cache->mutex);
}
