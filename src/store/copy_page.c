/* The tables of a copy, and pages of their rows. */
#include "store/copy.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"

#define PAGE_BYTES ((size_t)1 << 30)

const struct mc_copy_form mc_copy_forms[MC_COPY_TABLES] = {
    /* user_id, messages */
    [MC_COPY_USERS] = {"users", "si", 1, MC_COPY_UPDATE},
    /* user_id, thread_id, version, messages, last_at, summarised, summarised_until, withdrawn */
    [MC_COPY_THREADS] = {"threads", "ssiititi", 2, MC_COPY_UPDATE},
    /* number, created_at, samples, data */
    [MC_COPY_DICTIONARIES] = {"dictionaries", "itix", 1, MC_COPY_UPDATE},
    /*
     * message_id, user_id, thread_id, created_at, stored_at, role, visibility, tier, state, trivial, importance,
     * session_id, agent_id, sharing_groups (JSON, NULL for none), terms (NULL: not indexed), content hash,
     * metadata, text, packed (the frame of both, NULL: not compressed)
     */
    [MC_COPY_MESSAGES] = {"messages", "sssttiiiibdssssXssx", 0, MC_COPY_APPEND},
    /* message_id, stage, due_at, enqueued_at, attempts, died_at, error; a leased job is ready again */
    [MC_COPY_JOBS] = {"jobs", "sittits", 0, MC_COPY_REPLACE},
    /* hash, message_id */
    [MC_COPY_TWINS] = {"twins", "xs", 1, MC_COPY_REPLACE},
    /*
     * user_id, thread_id, first_at, last_at, messages, created_at, lost, method, key_facts, topics,
     * text
     */
    [MC_COPY_SUMMARIES] = {"summaries", "ssttitbssss", 0, MC_COPY_REPLACE},
    /* user_id, preferences */
    [MC_COPY_PREFERENCES] = {"preferences", "ss", 1, MC_COPY_REPLACE},
    /* user_id, field, value, count, weight, last_seen */
    [MC_COPY_SIGNALS] = {"signals", "sssidt", 3, MC_COPY_REPLACE},
    /*
     * agent_id, name, description, sharing_groups, metadata, default_visibility, can_read_public,
     * can_write_public, created_at
     */
    [MC_COPY_AGENTS] = {"agents", "sssssibbt", 1, MC_COPY_REPLACE},
    /*
     * model, day, operation, provider, calls, failures, tokens_in, tokens_cached, tokens_out, took,
     * cost_usd
     */
    [MC_COPY_USAGE] = {"usage", "sissiiiiiid", 4, MC_COPY_REPLACE},
    /* key_id, hash, definition, created_at */
    [MC_COPY_KEYS] = {"keys", "ssst", 1, MC_COPY_REPLACE},
};

/* ---- Pages ---- */

void mc_copy_page_init(struct mc_copy_page *page)
{
    *page = (struct mc_copy_page){.rows = 0};
    mc_arena_init(&page->arena, PAGE_BYTES);
}

void mc_copy_page_fini(struct mc_copy_page *page)
{
    mc_arena_fini(&page->arena);
}

enum mc_status mc_copy_page_begin(struct mc_copy_page *page, enum mc_copy_table table,
                                  size_t capacity, struct mc_error *err)
{
    mc_arena_reset(&page->arena);
    page->table = table;
    page->columns = strlen(mc_copy_forms[table].columns);
    page->rows = 0;
    page->capacity = capacity;
    page->last = (struct mc_copy_cursor){0};
    page->values = mc_arena_array(&page->arena, capacity * page->columns, sizeof(*page->values));
    page->numbers = mc_arena_array(&page->arena, capacity, sizeof(*page->numbers));
    return page->values && page->numbers ? MC_OK : mc_fail_memory(err);
}

struct mc_copy_value *mc_copy_page_add(struct mc_copy_page *page, int64_t number)
{
    struct mc_copy_value *row = &page->values[page->rows * page->columns];
    for (size_t i = 0; i < page->columns; i++)
        row[i].null = true;
    page->numbers[page->rows++] = number;
    return row;
}

bool mc_copy_page_text(struct mc_copy_page *page, struct mc_copy_value *value, mc_str text)
{
    if (!mc_str_given(text))
        return true;
    value->null = false;
    value->text = mc_arena_copy(&page->arena, text);
    return value->text.data != NULL;
}

static mc_str in_hexadecimal(struct mc_arena *arena, mc_str bytes)
{
    char *text = mc_arena_alloc(arena, bytes.len * 2 + 1);
    for (size_t i = 0; text && i < bytes.len; i++) {
        text[2 * i] = "0123456789abcdef"[(unsigned char)bytes.data[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[(unsigned char)bytes.data[i] & 15];
    }
    return (mc_str){text, bytes.len * 2};
}

enum mc_status mc_copy_page_end(struct mc_copy_page *page, struct mc_error *err)
{
    if (page->rows == 0)
        return MC_OK;
    const struct mc_copy_form *form = &mc_copy_forms[page->table];
    const struct mc_copy_value *row = mc_copy_row(page, page->rows - 1);
    page->last.number = page->numbers[page->rows - 1];
    for (int i = 0; i < form->keys; i++) {
        mc_str key = row[i].text;
        if (form->columns[i] == 'i')
            key = mc_arena_printf(&page->arena, "%" PRId64, row[i].integer);
        else if (form->columns[i] == 'x')
            key = in_hexadecimal(&page->arena, row[i].text);
        if (!key.data)
            return mc_fail_memory(err);
        page->last.keys[i] = key;
    }
    return MC_OK;
}

/* ---- Sums ---- */

/* SplitMix64's last step: every bit of the result depends on every bit of the number. */
static uint64_t mixed(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t value_sum(char type, const struct mc_copy_value *value)
{
    uint64_t bits = (uint64_t)value->integer;
    if (value->null)
        return UINT64_C(0x9e3779b97f4a7c15);
    if (type == 's' || type == 'x')
        return mc_str_hash(value->text) + value->text.len;
    if (type == 'd')
        memcpy(&bits, &value->number, sizeof(bits));
    return mixed(bits);
}

uint64_t mc_copy_row_sum(const struct mc_copy_page *page, size_t row)
{
    const char *columns = mc_copy_forms[page->table].columns;
    const struct mc_copy_value *values = mc_copy_row(page, row);
    uint64_t sum = 0;
    for (size_t i = 0; i < page->columns; i++)
        if (columns[i] != 'X')
            sum = mixed(sum + value_sum(columns[i], &values[i]) + 1);
    return sum;
}
