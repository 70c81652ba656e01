#include "context/vector_access.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"

#define KEY_MAX ((size_t)64 << 10)

struct mc_vector_class {
    size_t number;
    struct mc_message message; /* borrows from the key and groups */
    char *key;
    mc_str groups[];
};

void mc_vector_classes_init(struct mc_vector_classes *classes)
{
    *classes = (struct mc_vector_classes){.count = 0};
    mc_map_init(&classes->by_key);
}

void mc_vector_classes_fini(struct mc_vector_classes *classes)
{
    for (size_t i = 0; i < classes->count; i++) {
        free(classes->items[i]->key);
        free(classes->items[i]);
    }
    free(classes->items);
    mc_map_fini(&classes->by_key);
}

/* Visibility, agent, groups, of which none has a line break. */
static void write_key(struct mc_buf *key, const struct mc_message *m)
{
    mc_buf_char(key, (char)('0' + (int)m->visibility));
    mc_buf_append(key, m->agent_id);
    for (size_t i = 0; i < m->sharing_group_count; i++) {
        mc_buf_char(key, '\n');
        mc_buf_append(key, m->sharing_groups[i]);
    }
}

/* Takes over the key. */
static struct mc_vector_class *make_class(const struct mc_message *m, char *key)
{
    size_t groups = m->sharing_group_count;
    struct mc_vector_class *class = calloc(1, sizeof(*class) + groups * sizeof(class->groups[0]));
    if (!class) {
        free(key);
        return NULL;
    }
    const char *at = key + 1;
    class->key = key;
    class->message = (struct mc_message){.visibility = m->visibility,
                                         .agent_id = {at, m->agent_id.len},
                                         .sharing_groups = class->groups,
                                         .sharing_group_count = groups};
    at += m->agent_id.len;
    for (size_t i = 0; i < groups; i++) {
        class->groups[i] = (mc_str){at + 1, m->sharing_groups[i].len};
        at += 1 + m->sharing_groups[i].len;
    }
    return class;
}

static bool grow(struct mc_vector_classes *classes)
{
    size_t capacity = classes->capacity > 0 ? 2 * classes->capacity : 8;
    struct mc_vector_class **items =
        realloc(classes->items, capacity * sizeof(struct mc_vector_class *));
    if (!items)
        return false;
    classes->items = items;
    classes->capacity = capacity;
    return true;
}

bool mc_vector_classes_of(struct mc_vector_classes *classes, const struct mc_message *message,
                          size_t *number)
{
    mc_auto(mc_buf_fini) struct mc_buf key;
    mc_buf_init(&key, KEY_MAX);
    write_key(&key, message);
    if (key.failed)
        return false;
    struct mc_vector_class *class = mc_map_get(&classes->by_key, mc_buf_str(&key));
    if (class) {
        *number = class->number;
        return true;
    }
    size_t len;
    char *text = mc_buf_take(&key, &len);
    if (!text)
        return false;
    class = make_class(message, text);
    if (!class)
        return false;
    class->number = classes->count;
    if ((classes->count == classes->capacity && !grow(classes)) ||
        !mc_map_put(&classes->by_key, (mc_str){text, len}, class)) {
        free(class->key);
        free(class);
        return false;
    }
    classes->items[classes->count++] = class;
    *number = class->number;
    return true;
}

bool *mc_vector_classes_allowed(const struct mc_vector_classes *classes,
                                const struct mc_reader *reader, struct mc_arena *arena)
{
    bool *allowed = mc_arena_array(arena, classes->count + 1, sizeof(*allowed));
    for (size_t i = 0; allowed && i < classes->count; i++)
        allowed[i] = mc_reader_allows(reader, &classes->items[i]->message);
    return allowed;
}

size_t mc_vector_classes_bytes(const struct mc_vector_classes *classes)
{
    size_t bytes = classes->capacity * sizeof(struct mc_vector_class *);
    for (size_t i = 0; i < classes->count; i++)
        bytes += sizeof(*classes->items[i]) + classes->items[i]->message.agent_id.len +
                 classes->items[i]->message.sharing_group_count * sizeof(mc_str);
    return bytes;
}
