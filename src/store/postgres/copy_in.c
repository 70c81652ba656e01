#include "store/postgres/copy_in.h"

#include <endian.h>
#include <limits.h>

#include "store/postgres/wire.h"

static void put_bytes(struct mc_buf *data, const void *bytes, size_t len)
{
    mc_buf_append(data, (mc_str){bytes, len});
}

static void put_u16(struct mc_buf *data, uint16_t value)
{
    uint16_t big = htobe16(value);
    put_bytes(data, &big, sizeof(big));
}

static void put_u32(struct mc_buf *data, uint32_t value)
{
    uint32_t big = htobe32(value);
    put_bytes(data, &big, sizeof(big));
}

static void put_u64(struct mc_buf *data, uint64_t value)
{
    uint64_t big = htobe64(value);
    put_u32(data, sizeof(big));
    put_bytes(data, &big, sizeof(big));
}

void mc_pg_copy_begin(struct mc_buf *data)
{
    mc_buf_reset(data);
    put_bytes(data, "PGCOPY\n\377\r\n", 11); /* with the NUL behind it */
    put_u32(data, 0);                        /* no flags */
    put_u32(data, 0);                        /* no extension of the head */
}

void mc_pg_copy_end(struct mc_buf *data)
{
    put_u16(data, UINT16_MAX);
}

static void put_text(struct mc_buf *data, mc_str text, bool json)
{
    if (text.len > INT_MAX / 2) {
        data->failed = true;
        return;
    }
    put_u32(data, (uint32_t)(text.len + json));
    if (json)
        mc_buf_char(data, 1); /* version of the form */
    mc_buf_append(data, text);
}

/* Its length, which is known afterwards, goes before it. */
static void put_texts(struct mc_buf *data, const struct mc_pg_arg *value)
{
    size_t at = data->len;
    put_u32(data, 0);
    mc_pg_wire_array(data, value);
    if (data->failed)
        return;
    uint32_t big = htobe32((uint32_t)(data->len - at - sizeof(big)));
    memcpy(data->data + at, &big, sizeof(big));
}

static void put_value(struct mc_buf *data, char type, const struct mc_pg_arg *value)
{
    uint64_t bits;
    if (value->null) {
        put_u32(data, UINT32_MAX);
        return;
    }
    switch (type) {
    case 's':
    case 'x':
    case 'j':
        put_text(data, value->value.text, type == 'j');
        break;
    case 'S':
        put_texts(data, value);
        break;
    case '2':
        put_u32(data, 2);
        put_u16(data, (uint16_t)value->value.integer);
        break;
    case 'b':
        put_u32(data, 1);
        mc_buf_char(data, value->value.integer != 0);
        break;
    case 't':
        put_u64(data, (uint64_t)mc_pg_wire_time(value->value.integer));
        break;
    case 'd':
        memcpy(&bits, &value->value.number, sizeof(bits));
        put_u64(data, bits);
        break;
    default:
        put_u64(data, (uint64_t)value->value.integer);
        break;
    }
}

void mc_pg_copy_row(struct mc_buf *data, const char *types, const struct mc_pg_arg *values)
{
    size_t count = strlen(types);
    put_u16(data, (uint16_t)count);
    for (size_t i = 0; i < count; i++)
        put_value(data, types[i], &values[i]);
}
