#include "message/record.h"

#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"

/*
 * DESIGN. The strings of a record lie behind it in one block, in the order of string_slots(). The
 * encoded form is a fixed header with the numbers, the length of each string, then their bytes.
 */

#define STRING_COUNT 8

struct encoded {
    uint32_t magic;
    uint32_t lengths[STRING_COUNT];
    uint32_t group_count;
    int64_t row;
    int64_t created_at_us;
    double importance;
    uint8_t role, visibility, tier, enrichment_state;
    uint8_t padding[4];
};
#define ENCODED_MAGIC UINT32_C(0x4d435231) /* "MCR1" */

/* The strings of a message in the order that they are laid out. */
static void string_slots(struct mc_message *m, mc_str *terms, mc_str *slots[STRING_COUNT])
{
    slots[0] = &m->message_id;
    slots[1] = &m->user_id;
    slots[2] = &m->thread_id;
    slots[3] = &m->session_id;
    slots[4] = &m->agent_id;
    slots[5] = &m->text;
    slots[6] = &m->metadata;
    slots[7] = terms;
}

static mc_str place(char **cursor, mc_str str)
{
    mc_str placed = {*cursor, str.len};
    if (str.len > 0)
        memcpy(*cursor, str.data, str.len);
    (*cursor)[str.len] = '\0';
    *cursor += str.len + 1;
    return placed;
}

enum mc_status mc_record_new(const struct mc_message *fields, int64_t row, mc_str terms,
                             struct mc_record **record, struct mc_error *err)
{
    struct mc_message source = *fields;
    if (source.metadata.len == 0)
        source.metadata = MC_STR("{}");
    mc_str *slots[STRING_COUNT];
    string_slots(&source, &terms, slots);
    size_t size = sizeof(struct mc_record) + source.sharing_group_count * sizeof(mc_str);
    for (size_t i = 0; i < STRING_COUNT; i++)
        size += slots[i]->len + 1;
    for (size_t i = 0; i < source.sharing_group_count; i++)
        size += source.sharing_groups[i].len + 1;
    if (size > UINT32_MAX)
        return mc_fail(err, MC_TOO_LARGE, "a message of %zu bytes is too large", size);
    struct mc_record *made = malloc(size);
    if (!made)
        return mc_fail_memory(err);
    atomic_init(&made->refs, 1);
    made->size_bytes = (uint32_t)size;
    made->row = row;
    made->terms = terms;
    made->m = source;
    mc_str *groups = (mc_str *)(void *)(made + 1);
    char *cursor = (char *)(groups + source.sharing_group_count);
    string_slots(&made->m, &made->terms, slots);
    for (size_t i = 0; i < STRING_COUNT; i++)
        *slots[i] = place(&cursor, *slots[i]);
    for (size_t i = 0; i < source.sharing_group_count; i++)
        groups[i] = place(&cursor, source.sharing_groups[i]);
    made->m.sharing_groups = source.sharing_group_count ? groups : NULL;
    *record = made;
    return MC_OK;
}

struct mc_record *mc_record_ref(struct mc_record *record)
{
    atomic_fetch_add_explicit(&record->refs, 1, memory_order_relaxed);
    return record;
}

void mc_record_unref(struct mc_record *record)
{
    if (record && atomic_fetch_sub_explicit(&record->refs, 1, memory_order_acq_rel) == 1)
        free(record);
}

struct mc_record *mc_record_of(const struct mc_message *message)
{
    return mc_container_of(message, struct mc_record, m);
}

void mc_record_encode(const struct mc_record *record, struct mc_buf *out)
{
    struct mc_message m = record->m;
    mc_str terms = record->terms;
    mc_str *slots[STRING_COUNT];
    string_slots(&m, &terms, slots);
    struct encoded head = {
        .magic = ENCODED_MAGIC,
        .group_count = (uint32_t)m.sharing_group_count,
        .row = record->row,
        .created_at_us = m.created_at_us,
        .importance = m.importance,
        .role = (uint8_t)m.role,
        .visibility = (uint8_t)m.visibility,
        .tier = (uint8_t)m.tier,
        .enrichment_state = (uint8_t)m.enrichment_state,
    };
    for (size_t i = 0; i < STRING_COUNT; i++)
        head.lengths[i] = (uint32_t)slots[i]->len;
    mc_buf_append(out, (mc_str){(const char *)&head, sizeof(head)});
    for (size_t i = 0; i < STRING_COUNT; i++)
        mc_buf_append(out, *slots[i]);
    for (size_t i = 0; i < m.sharing_group_count; i++) {
        uint32_t len = (uint32_t)m.sharing_groups[i].len;
        mc_buf_append(out, (mc_str){(const char *)&len, sizeof(len)});
        mc_buf_append(out, m.sharing_groups[i]);
    }
}

/* Takes len bytes off the front; false when there are fewer. */
static bool take(mc_str *bytes, size_t len, mc_str *part)
{
    if (len > bytes->len)
        return false;
    *part = (mc_str){bytes->data, len};
    *bytes = (mc_str){bytes->data + len, bytes->len - len};
    return true;
}

static bool decode_header(mc_str *bytes, struct encoded *head)
{
    mc_str part;
    if (!take(bytes, sizeof(*head), &part))
        return false;
    memcpy(head, part.data, sizeof(*head));
    return head->magic == ENCODED_MAGIC && head->role < MC_ROLE_COUNT &&
           head->visibility < MC_VISIBILITY_COUNT && head->tier < MC_TIER_COUNT &&
           head->enrichment_state < MC_ENRICHMENT_COUNT;
}

#define GROUPS_DECODED_MAX 256

static bool decode_groups(mc_str *bytes, size_t count, mc_str *groups)
{
    if (count > GROUPS_DECODED_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        mc_str part;
        uint32_t len;
        if (!take(bytes, sizeof(len), &part))
            return false;
        memcpy(&len, part.data, sizeof(len));
        if (!take(bytes, len, &groups[i]))
            return false;
    }
    return true;
}

enum mc_status mc_record_decode(mc_str bytes, struct mc_record **record, struct mc_error *err)
{
    struct encoded head;
    struct mc_message m = {0};
    mc_str terms = {0};
    mc_str groups[GROUPS_DECODED_MAX];
    mc_str *slots[STRING_COUNT];
    string_slots(&m, &terms, slots);
    bool ok = decode_header(&bytes, &head);
    for (size_t i = 0; ok && i < STRING_COUNT; i++)
        ok = take(&bytes, head.lengths[i], slots[i]);
    ok = ok && decode_groups(&bytes, head.group_count, groups) && bytes.len == 0;
    if (!ok)
        return mc_fail(err, MC_CORRUPT, "a cached message is damaged");
    m.sharing_groups = groups;
    m.sharing_group_count = head.group_count;
    m.created_at_us = head.created_at_us;
    m.importance = head.importance;
    m.role = (enum mc_role)head.role;
    m.visibility = (enum mc_visibility)head.visibility;
    m.tier = (enum mc_tier)head.tier;
    m.enrichment_state = (enum mc_enrichment)head.enrichment_state;
    return mc_record_new(&m, head.row, terms, record, err);
}

bool mc_records_push(struct mc_records *records, struct mc_record *record)
{
    if (records->count == records->capacity) {
        size_t capacity = records->capacity ? records->capacity * 2 : 32;
        struct mc_record **items = realloc(records->items, capacity * sizeof(struct mc_record *));
        if (!items) {
            mc_record_unref(record);
            return false;
        }
        records->items = items;
        records->capacity = capacity;
    }
    records->items[records->count++] = record;
    return true;
}

void mc_records_fini(struct mc_records *records)
{
    for (size_t i = 0; i < records->count; i++)
        mc_record_unref(records->items[i]);
    free(records->items);
    *records = (struct mc_records){0};
}

void mc_records_reverse(struct mc_records *records)
{
    for (size_t i = 0; i < records->count / 2; i++) {
        struct mc_record *record = records->items[i];
        records->items[i] = records->items[records->count - 1 - i];
        records->items[records->count - 1 - i] = record;
    }
}

/* The public list and its pointers are one block. */
struct owned_list {
    struct mc_message_list list;
    const struct mc_message *items[];
};

enum mc_status mc_record_list_new(size_t capacity, struct mc_message_list **list,
                                  struct mc_error *err)
{
    if (capacity > SIZE_MAX / sizeof(struct mc_message *) - sizeof(struct owned_list))
        return mc_fail_memory(err);
    struct owned_list *made =
        malloc(sizeof(struct owned_list) + capacity * sizeof(struct mc_message *));
    if (!made)
        return mc_fail_memory(err);
    made->list = (struct mc_message_list){.count = 0, .items = made->items};
    *list = &made->list;
    return MC_OK;
}

void mc_record_list_add(struct mc_message_list *list, struct mc_record *record)
{
    struct owned_list *owned = mc_container_of(list, struct owned_list, list);
    owned->items[list->count++] = &record->m;
}

enum mc_status mc_records_to_list(struct mc_records *records, struct mc_message_list **list,
                                  struct mc_error *err)
{
    struct mc_message_list *made = NULL;
    enum mc_status status = mc_record_list_new(records->count, &made, err);
    if (status)
        return status;
    for (size_t i = 0; i < records->count; i++)
        mc_record_list_add(made, records->items[i]);
    records->count = 0;
    mc_records_fini(records);
    *list = made;
    return MC_OK;
}

void mc_message_list_free(struct mc_message_list *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->count; i++)
        mc_record_unref(mc_record_of(list->items[i]));
    free(mc_container_of(list, struct owned_list, list));
}
