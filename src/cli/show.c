/*
 * A result as people read it. DESIGN: results come as JSON whose keys say their unit (_bytes, _ms,
 * _seconds, _rate), so one walk over the tree serves every command and shows new keys by itself.
 */
#include "cli/show.h"

#include <ctype.h>
#include <math.h>

#include "base/compiler.h"
#include "base/str.h"
#include "cli/table.h"

#define DEEPEST 8
#define CELL_MAX ((size_t)16 << 10)

void mc_human_bytes(double bytes, char text[MC_HUMAN_SIZE])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < mc_countof(units)) {
        bytes /= 1024;
        unit++;
    }
    snprintf(text, MC_HUMAN_SIZE, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

void mc_human_seconds(double seconds, char text[MC_HUMAN_SIZE])
{
    if (seconds < 0)
        seconds = 0;
    if (seconds >= 1e15)
        seconds = 1e15;
    long long whole = (long long)seconds;
    if (seconds <= 0)
        snprintf(text, MC_HUMAN_SIZE, "0 s");
    else if (seconds < 1)
        snprintf(text, MC_HUMAN_SIZE, "%.1f ms", seconds * 1000);
    else if (seconds < 60)
        snprintf(text, MC_HUMAN_SIZE, "%.1f s", seconds);
    else if (seconds < 3600)
        snprintf(text, MC_HUMAN_SIZE, "%lld min %lld s", whole / 60, whole % 60);
    else if (seconds < 86400)
        snprintf(text, MC_HUMAN_SIZE, "%lld h %lld min", whole / 3600, whole / 60 % 60);
    else
        snprintf(text, MC_HUMAN_SIZE, "%lld d %lld h", whole / 86400, whole / 3600 % 24);
}

static void put_number(struct mc_buf *buf, mc_str key, const struct mc_json *node)
{
    char human[MC_HUMAN_SIZE];
    double value = mc_json_number(node);
    if (mc_str_ends(key, MC_STR("bytes"))) {
        mc_human_bytes(value, human);
        mc_buf_text(buf, human);
    } else if (mc_str_ends(key, MC_STR("_seconds"))) {
        mc_human_seconds(value, human);
        mc_buf_text(buf, human);
    } else if (mc_str_ends(key, MC_STR("_ms"))) {
        mc_buf_printf(buf, "%.2f ms", value);
    } else if (mc_str_ends(key, MC_STR("_rate"))) {
        mc_buf_printf(buf, "%.1f %%", value * 100);
    } else if (mc_json_type(node) == MC_JSON_INTEGER) {
        mc_buf_printf(buf, "%lld", (long long)mc_json_integer(node));
    } else {
        mc_buf_printf(buf, "%.*g", fabs(value) >= 1e6 ? 10 : 6, value);
    }
}

static void put_scalar(struct mc_buf *buf, mc_str key, const struct mc_json *node)
{
    switch (mc_json_type(node)) {
    case MC_JSON_NULL:
        mc_buf_char(buf, '-');
        break;
    case MC_JSON_BOOLEAN:
        mc_buf_text(buf, mc_json_boolean(node) ? "yes" : "no");
        break;
    case MC_JSON_INTEGER:
    case MC_JSON_NUMBER:
        put_number(buf, key, node);
        break;
    case MC_JSON_STRING:
        mc_buf_append(buf, mc_json_string(node).len ? mc_json_string(node) : MC_STR("-"));
        break;
    case MC_JSON_ARRAY:
    case MC_JSON_OBJECT:
        mc_json_dump(node, buf);
        break;
    }
}

/* The values of a small object, {"feature": "words", "share": 0.5}: "words 0.5". */
static void put_values(struct mc_buf *buf, const struct mc_json *object)
{
    void *cursor = NULL;
    mc_str key;
    const struct mc_json *value = NULL;
    bool first = true;
    while (mc_json_next(object, &cursor, &key, &value)) {
        if (!first)
            mc_buf_char(buf, ' ');
        first = false;
        put_scalar(buf, key, value);
    }
}

/* In one line, as a cell of a table. */
static void put_value(struct mc_buf *buf, mc_str key, const struct mc_json *node)
{
    if (mc_json_type(node) != MC_JSON_ARRAY) {
        put_scalar(buf, key, node);
        return;
    }
    if (!mc_json_count(node))
        mc_buf_text(buf, "none");
    for (size_t i = 0; i < mc_json_count(node); i++) {
        const struct mc_json *item = mc_json_at(node, i);
        if (i)
            mc_buf_text(buf, ", ");
        if (mc_json_type(item) == MC_JSON_OBJECT)
            put_values(buf, item);
        else
            put_scalar(buf, key, item);
    }
}

/* "oldest_age_seconds" reads "oldest age": the value carries its unit. */
static mc_str readable(mc_str key, char *room, size_t size)
{
    static const char *const units[] = {"_seconds", "_bytes", "_ms"};
    if (!key.len) /* what belongs to nobody, as in counts by agent */
        key = MC_STR("(none)");
    size_t len = key.len < size ? key.len : size;
    memcpy(room, key.data, len);
    mc_str name = {room, len};
    for (size_t i = 0; i < mc_countof(units); i++) {
        if (mc_str_ends(name, mc_str_of(units[i])) && name.len > strlen(units[i]))
            name.len -= strlen(units[i]);
    }
    for (size_t i = 0; i < name.len; i++) {
        if (room[i] == '_')
            room[i] = ' ';
    }
    return name;
}

static void show_object(struct mc_out *out, const struct mc_json *object, size_t indent,
                        size_t depth);

static void show_rows(struct mc_out *out, const struct mc_json *list, size_t indent)
{
    mc_auto(mc_table_fini) struct mc_table table;
    mc_auto(mc_buf_fini) struct mc_buf cell;
    const struct mc_json *first = mc_json_at(list, 0);
    char room[64];
    void *cursor = NULL;
    mc_str key;
    const struct mc_json *value = NULL;
    mc_table_init(&table);
    mc_buf_init(&cell, CELL_MAX);
    mc_str keys[MC_TABLE_COLUMNS] = {{0}};
    while (mc_json_next(first, &cursor, &key, &value) && table.columns < MC_TABLE_COLUMNS) {
        keys[table.columns] = key;
        mc_table_head(&table, readable(key, room, sizeof(room)));
    }
    for (size_t i = 0; i < mc_json_count(list); i++) {
        for (size_t c = 0; c < table.columns; c++) {
            char name[128];
            snprintf(name, sizeof(name), "%.*s", MC_STR_ARG(keys[c]));
            mc_buf_reset(&cell);
            put_value(&cell, keys[c], mc_json_get(mc_json_at(list, i), name));
            mc_table_cell(&table, mc_buf_str(&cell));
        }
    }
    mc_table_print(&table, out, indent);
}

/* Members that hold others, each under its name. */
static void show_inner(struct mc_out *out, mc_str key, const struct mc_json *value, size_t indent,
                       size_t depth)
{
    char room[64];
    mc_str name = readable(key, room, sizeof(room));
    if (name.len && depth == 0)
        room[0] = (char)toupper((unsigned char)room[0]);
    if (depth == 0)
        fputc('\n', out->file);
    fprintf(out->file, "%*s", (int)indent, "");
    mc_out_print(out, MC_STYLE_BOLD, "%.*s\n", MC_STR_ARG(name));
    if (mc_json_type(value) == MC_JSON_OBJECT)
        show_object(out, value, indent + 2, depth + 1);
    else
        show_rows(out, value, indent + 2);
}

static bool is_inner(const struct mc_json *value, size_t depth)
{
    if (depth >= DEEPEST || mc_json_count(value) == 0)
        return false;
    if (mc_json_type(value) == MC_JSON_OBJECT)
        return true;
    return mc_json_type(value) == MC_JSON_ARRAY &&
           mc_json_type(mc_json_at(value, 0)) == MC_JSON_OBJECT;
}

/* A rate of nothing: there were neither hits nor misses. */
static bool is_empty_rate(const struct mc_json *object, mc_str key)
{
    const struct mc_json *hits = mc_json_get(object, "cache_hits");
    const struct mc_json *misses = mc_json_get(object, "cache_misses");
    return mc_str_equal(key, MC_STR("hit_rate")) && hits && misses && !mc_json_integer(hits) &&
           !mc_json_integer(misses);
}

static void show_object(struct mc_out *out, const struct mc_json *object, size_t indent,
                        size_t depth)
{
    mc_auto(mc_table_fini) struct mc_table table;
    mc_auto(mc_buf_fini) struct mc_buf cell;
    char room[64];
    void *cursor = NULL;
    mc_str key;
    const struct mc_json *value = NULL;
    mc_table_init(&table);
    mc_buf_init(&cell, CELL_MAX);
    mc_table_head(&table, MC_STR(""));
    mc_table_head(&table, MC_STR(""));
    while (mc_json_next(object, &cursor, &key, &value)) {
        if (is_inner(value, depth))
            continue;
        mc_buf_reset(&cell);
        if (mc_json_type(value) == MC_JSON_OBJECT && !mc_json_count(value))
            mc_buf_text(&cell, "none");
        else if (is_empty_rate(object, key))
            mc_buf_char(&cell, '-');
        else
            put_value(&cell, key, value);
        mc_table_cell(&table, readable(key, room, sizeof(room)));
        mc_table_cell(&table, mc_buf_str(&cell));
    }
    mc_table_print(&table, out, indent);
    cursor = NULL;
    while (mc_json_next(object, &cursor, &key, &value)) {
        if (is_inner(value, depth))
            show_inner(out, key, value, indent, depth);
    }
}

void mc_show_json(struct mc_out *out, const struct mc_json *value)
{
    if (mc_json_type(value) == MC_JSON_OBJECT) {
        show_object(out, value, 0, 0);
        return;
    }
    mc_auto(mc_buf_fini) struct mc_buf text;
    mc_buf_init(&text, CELL_MAX);
    put_value(&text, MC_STR(""), value);
    mc_out_line(out, mc_buf_str(&text), 0);
    fputc('\n', out->file);
}

void mc_show_checks(struct mc_out *out, const struct mc_json *checks, const char *key)
{
    for (size_t i = 0; i < mc_json_count(checks); i++) {
        const struct mc_json *check = mc_json_at(checks, i);
        bool ok = mc_json_boolean(mc_json_get(check, "ok"));
        mc_str advice = mc_json_string(mc_json_get(check, "advice"));
        if (ok && advice.len) /* a warning */
            mc_out_print(out, MC_STYLE_YELLOW, "%-5s", "warn");
        else
            mc_out_print(out, ok ? MC_STYLE_GREEN : MC_STYLE_RED, "%-5s", ok ? "ok" : "FAIL");
        mc_out_line(out, mc_json_string(mc_json_get(check, key)), 0);
        fputs(": ", out->file);
        mc_out_line(out, mc_json_string(mc_json_get(check, "detail")), 0);
        fputc('\n', out->file);
        if (!advice.len)
            continue;
        fputs("     ", out->file);
        mc_out_line(out, advice, 0);
        fputc('\n', out->file);
    }
}
