#include "cache/window.h"

#include <stdlib.h>

static size_t record_bytes(const struct mc_record *record)
{
    return record->size_bytes + MC_WINDOW_BLOCK_BYTES;
}

void mc_window_fini(struct mc_window *window)
{
    for (size_t i = 0; i < window->count; i++)
        mc_record_unref(window->items[window->first + i]);
    free(window->items);
    *window = (struct mc_window){0};
}

static bool set_capacity(struct mc_window *window, size_t capacity)
{
    struct mc_record **items = realloc(window->items, capacity * sizeof(struct mc_record *));
    if (!items)
        return false;
    window->bytes += (capacity - window->capacity) * sizeof(struct mc_record *);
    window->items = items;
    window->capacity = capacity;
    return true;
}

bool mc_window_fill(struct mc_window *window, struct mc_record *const *records, size_t count,
                    bool complete, size_t max_size)
{
    size_t taken = count < max_size ? count : max_size;
    if (taken > 0 && !set_capacity(window, taken))
        return false;
    window->bytes += MC_WINDOW_BLOCK_BYTES;
    for (size_t i = 0; i < taken; i++) {
        window->items[taken - 1 - i] = mc_record_ref(records[i]);
        window->bytes += record_bytes(records[i]);
    }
    window->count = taken;
    window->complete = complete && taken == count;
    return true;
}

/* The number of messages that come before the record or are the same message. */
static size_t place_of(const struct mc_window *window, const struct mc_record *record)
{
    size_t low = 0, high = window->count;
    /* Nearly always the record is the newest. */
    if (high > 0 && mc_entry_order(window->items[window->first + high - 1], record) < 0)
        return high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (mc_entry_order(window->items[window->first + middle], record) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool holds(const struct mc_window *window, size_t place, const struct mc_record *record)
{
    return place > 0 && mc_entry_order(window->items[window->first + place - 1], record) == 0;
}

static void exchange(struct mc_window *window, size_t index, struct mc_record *record)
{
    struct mc_record **slot = &window->items[window->first + index];
    window->bytes = window->bytes - record_bytes(*slot) + record_bytes(record);
    mc_record_unref(*slot);
    *slot = mc_record_ref(record);
}

static void cut_oldest(struct mc_window *window)
{
    struct mc_record *oldest = window->items[window->first];
    window->bytes -= record_bytes(oldest);
    window->first++;
    window->count--;
    window->complete = false;
    mc_record_unref(oldest);
}

/* Room for one more at the end. */
static bool make_room(struct mc_window *window)
{
    if (window->first + window->count < window->capacity)
        return true;
    if (window->first == 0 || window->first < window->capacity / 4) {
        if (!set_capacity(window, window->capacity < 4 ? 8 : window->capacity * 2))
            return false;
    }
    memmove(window->items, window->items + window->first,
            window->count * sizeof(struct mc_record *));
    window->first = 0;
    return true;
}

bool mc_window_add(struct mc_window *window, struct mc_record *record, size_t max_size)
{
    size_t place = place_of(window, record);
    if (holds(window, place, record)) {
        exchange(window, place - 1, record);
        return true;
    }
    bool full = window->count >= max_size;
    if (place == 0 && (full || !window->complete)) {
        window->complete = false;
        return true;
    }
    if (!make_room(window))
        return false;
    while (window->count >= max_size) {
        cut_oldest(window);
        place--;
    }
    struct mc_record **at = window->items + window->first + place;
    memmove(at + 1, at, (window->count - place) * sizeof(struct mc_record *));
    *at = mc_record_ref(record);
    window->bytes += record_bytes(record);
    window->count++;
    return true;
}

void mc_window_replace(struct mc_window *window, struct mc_record *record)
{
    size_t place = place_of(window, record);
    if (holds(window, place, record))
        exchange(window, place - 1, record);
}

bool mc_window_has_topic(const struct mc_window *window, mc_str topic)
{
    for (size_t i = 0; i < window->count; i++) {
        if (mc_entry_has_topic(window->items[window->first + i]->m.metadata, topic))
            return true;
    }
    return false;
}
