#include "store/postgres/wire.h"

#include <assert.h>
#include <endian.h>
#include <limits.h>

/* Types by their fixed numbers in the catalogue. */
enum {
    TYPE_BOOL = 16,
    TYPE_BYTEA = 17,
    TYPE_INT8 = 20,
    TYPE_TEXT = 25,
    TYPE_FLOAT8 = 701,
    TYPE_BYTEA_ARRAY = 1001,
    TYPE_TEXT_ARRAY = 1009,
    TYPE_INT8_ARRAY = 1016,
    TYPE_FLOAT8_ARRAY = 1022,
    TYPE_TIMESTAMPTZ = 1184,
    TYPE_TIMESTAMPTZ_ARRAY = 1185
};

/* PostgreSQL counts from 2000-01-01; its range is from 4714 BC to 294276. */
#define EPOCH_US (INT64_C(946684800) * 1000000)
#define TIME_MIN_US (INT64_C(-210866803200) * 1000000)
#define TIME_MAX_US (INT64_C(9223371331200000000))

int64_t mc_pg_wire_time(int64_t time_us)
{
    if (time_us < TIME_MIN_US)
        return INT64_MIN;
    if (time_us >= TIME_MAX_US)
        return INT64_MAX;
    return time_us - EPOCH_US;
}

static void put_u32(struct mc_buf *out, uint32_t value)
{
    uint32_t big = htobe32(value);
    mc_buf_append(out, (mc_str){(const char *)&big, sizeof(big)});
}

static void put_array_head(struct mc_buf *out, Oid element, size_t count)
{
    put_u32(out, count > 0); /* dimensions */
    put_u32(out, 0);         /* no NULL among them */
    put_u32(out, element);
    if (count > 0) {
        put_u32(out, (uint32_t)count);
        put_u32(out, 1); /* the first one's number */
    }
}

void mc_pg_wire_array(struct mc_buf *out, const struct mc_pg_arg *arg)
{
    const struct mc_pg_list *list = &arg->value.list;
    if (list->count > INT_MAX / 64) {
        out->failed = true;
        return;
    }
    if (arg->type == 'S' || arg->type == 'X') {
        const mc_str *items = list->items;
        put_array_head(out, arg->type == 'S' ? TYPE_TEXT : TYPE_BYTEA, list->count);
        for (size_t i = 0; i < list->count; i++) {
            put_u32(out, (uint32_t)items[i].len);
            if (items[i].len > 0)
                mc_buf_append(out, items[i]);
        }
        return;
    }
    const char *items = list->items;
    put_array_head(out,
                   arg->type == 'T'   ? TYPE_TIMESTAMPTZ
                   : arg->type == 'D' ? TYPE_FLOAT8
                                      : TYPE_INT8,
                   list->count);
    for (size_t i = 0; i < list->count; i++) {
        int64_t value; /* or the bits of a double */
        memcpy(&value, items + i * sizeof(value), sizeof(value));
        value = arg->type == 'T' ? mc_pg_wire_time(value) : value;
        struct {
            uint32_t size;
            uint32_t high, low;
        } big = {htobe32(sizeof(value)), htobe32((uint32_t)((uint64_t)value >> 32)),
                 htobe32((uint32_t)value)};
        mc_buf_append(out, (mc_str){(const char *)&big, sizeof(big)});
    }
}

static Oid type_of(char type)
{
    switch (type) {
    case 'i':
        return TYPE_INT8;
    case 'd':
        return TYPE_FLOAT8;
    case 'b':
        return TYPE_BOOL;
    case 'x':
        return TYPE_BYTEA;
    case 't':
        return TYPE_TIMESTAMPTZ;
    case 'I':
        return TYPE_INT8_ARRAY;
    case 'D':
        return TYPE_FLOAT8_ARRAY;
    case 'X':
        return TYPE_BYTEA_ARRAY;
    case 'T':
        return TYPE_TIMESTAMPTZ_ARRAY;
    case 'S':
        return TYPE_TEXT_ARRAY;
    default:
        return TYPE_TEXT;
    }
}

static void set_number(struct mc_pg_wire *wire, int at, const struct mc_pg_arg *arg)
{
    uint64_t bits = (uint64_t)arg->value.integer;
    if (arg->type == 't')
        bits = (uint64_t)mc_pg_wire_time(arg->value.integer);
    else if (arg->type == 'd')
        memcpy(&bits, &arg->value.number, sizeof(bits));
    wire->numbers[at] = htobe64(bits);
    wire->values[at] = (const char *)&wire->numbers[at];
    wire->lengths[at] = sizeof(bits);
    if (arg->type == 'b') {
        memcpy(&wire->numbers[at], arg->value.integer ? "\1" : "\0", 1);
        wire->lengths[at] = 1;
    }
}

static bool is_array(char type)
{
    return type == 'I' || type == 'D' || type == 'S' || type == 'X' || type == 'T';
}

bool mc_pg_wire_make(struct mc_pg_wire *wire, const struct mc_pg_arg *args, struct mc_buf *scratch)
{
    size_t starts[MC_PG_ARGS_MAX];
    mc_buf_reset(scratch);
    wire->count = 0;
    for (; args && args[wire->count].type; wire->count++) {
        int at = wire->count;
        const struct mc_pg_arg *arg = &args[at];
        assert(at < MC_PG_ARGS_MAX);
        wire->types[at] = type_of(arg->type);
        wire->formats[at] = 1;
        wire->values[at] = NULL;
        wire->lengths[at] = 0;
        if (arg->null)
            continue;
        if (arg->type == 's' || arg->type == 'x') {
            if (arg->value.text.len > INT_MAX / 2)
                return false;
            wire->values[at] = arg->value.text.data;
            wire->lengths[at] = (int)arg->value.text.len;
        } else if (is_array(arg->type)) {
            starts[at] = scratch->len;
            mc_pg_wire_array(scratch, arg);
            wire->lengths[at] = (int)(scratch->len - starts[at]);
        } else {
            set_number(wire, at, arg);
        }
    }
    /* Only now the buffer does not move any more. */
    for (int i = 0; i < wire->count; i++)
        if (is_array(args[i].type))
            wire->values[i] = args[i].null ? NULL : scratch->data + starts[i];
    return !scratch->failed;
}

/* ---- Results ---- */

int64_t mc_pg_changes(const struct mc_pg_conn *conn, size_t nth)
{
    int64_t count;
    return mc_str_to_int64(mc_str_of(PQcmdTuples(conn->results[nth])), &count) ? count : 0;
}

mc_str mc_pg_cell(const PGresult *result, size_t row, int column)
{
    if (PQgetisnull(result, (int)row, column))
        return MC_STR_NONE;
    return (mc_str){PQgetvalue(result, (int)row, column),
                    (size_t)PQgetlength(result, (int)row, column)};
}

int64_t mc_pg_cell_int(const PGresult *result, size_t row, int column)
{
    mc_str cell = mc_pg_cell(result, row, column);
    uint64_t value = 0;
    for (size_t i = 0; i < cell.len && i < sizeof(value); i++)
        value = value << 8 | (unsigned char)cell.data[i];
    if (cell.len == 2)
        return (int16_t)value;
    return cell.len == 4 ? (int32_t)value : (int64_t)value;
}

double mc_pg_cell_double(const PGresult *result, size_t row, int column)
{
    uint64_t bits = (uint64_t)mc_pg_cell_int(result, row, column);
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

int64_t mc_pg_cell_time(const PGresult *result, size_t row, int column)
{
    if (PQgetisnull(result, (int)row, column))
        return 0;
    int64_t value = mc_pg_cell_int(result, row, column);
    if (value == INT64_MIN || value > INT64_MAX - EPOCH_US)
        return value == INT64_MIN ? INT64_MIN : INT64_MAX;
    return value + EPOCH_US;
}

static uint32_t take_u32(mc_str *from)
{
    uint32_t big;
    if (from->len < sizeof(big)) {
        *from = (mc_str){from->data, 0};
        return 0;
    }
    memcpy(&big, from->data, sizeof(big));
    *from = (mc_str){from->data + sizeof(big), from->len - sizeof(big)};
    return be32toh(big);
}

bool mc_pg_cell_strs(const PGresult *result, size_t row, int column, mc_str *items, size_t max,
                     size_t *count)
{
    mc_str rest = mc_pg_cell(result, row, column);
    *count = 0;
    if (!mc_str_given(rest))
        return true;
    uint32_t dimensions = take_u32(&rest), nulls = take_u32(&rest), type = take_u32(&rest);
    if (dimensions == 0)
        return true;
    size_t wanted = take_u32(&rest);
    take_u32(&rest);
    if (dimensions != 1 || nulls || type != TYPE_TEXT || wanted > max)
        return false;
    for (size_t i = 0; i < wanted; i++) {
        size_t len = take_u32(&rest);
        if (len > rest.len)
            return false;
        items[i] = (mc_str){rest.data, len};
        rest = (mc_str){rest.data + len, rest.len - len};
    }
    *count = wanted;
    return true;
}
