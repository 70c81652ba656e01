#include "config/value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "base/utf8.h"
#include "config/options.h"

/* Beyond this a count of bytes or microseconds is a mistake, and arithmetic on it would overflow.
 */
#define QUANTITY_MAX 4e18

void mc_value_fini(struct mc_value *value)
{
    free(value->text);
    value->text = NULL;
}

const char *mc_value_found(bool secret, mc_str text, char found[MC_VALUE_FOUND_SIZE])
{
    if (secret) {
        snprintf(found, MC_VALUE_FOUND_SIZE, "found something else (not shown, it is secret)");
        return found;
    }
    if (text.len == 0) {
        snprintf(found, MC_VALUE_FOUND_SIZE, "found nothing");
        return found;
    }
    mc_str head = mc_utf8_cut(text, 60);
    snprintf(found, MC_VALUE_FOUND_SIZE, "found '%.*s%s'", MC_STR_ARG(head),
             head.len < text.len ? "..." : "");
    for (char *c = found; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    return found;
}

enum mc_status mc_value_fail_buf(const struct mc_buf *buf, const char *key, struct mc_error *err)
{
    if (buf->len < buf->max / 2)
        return mc_fail_memory(err);
    return mc_fail_field(err, MC_CONFIG, key, "is longer than %zu bytes", buf->max);
}

enum mc_status mc_value_check_text(const char *key, mc_str text, struct mc_error *err)
{
    if (text.len > MC_VALUE_TEXT_MAX)
        return mc_fail_field(err, MC_CONFIG, key, "is longer than %zu bytes", MC_VALUE_TEXT_MAX);
    if (!mc_utf8_check(text, NULL, NULL))
        return mc_fail_field(err, MC_CONFIG, key, "is not valid UTF-8");
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if ((c < 0x20 && c != '\t' && c != '\n') || c == 0x7f)
            return mc_fail_field(err, MC_CONFIG, key, "has the control character 0x%02x in it",
                                 (unsigned)c);
    }
    return MC_OK;
}

struct suffix {
    const char *name;
    double factor;
};

static const struct suffix duration_suffixes[] = {
    {"ms", 1e3}, {"s", 1e6}, {"min", 6e7}, {"m", 6e7}, {"h", 3.6e9}, {"d", 8.64e10}, {"", 1e6},
};

static const struct suffix byte_suffixes[] = {
    {"KiB", 1024.0},
    {"MiB", 1048576.0},
    {"GiB", 1073741824.0},
    {"TiB", 1099511627776.0},
    {"KB", 1e3},
    {"MB", 1e6},
    {"GB", 1e9},
    {"TB", 1e12},
    {"B", 1},
    {"", 1},
};

/* A number and a suffix of the table, the product as an integer. Without a suffix a number of bytes
 * is whole. */
static bool quantity(mc_str text, const struct suffix *suffixes, size_t count, int64_t *value)
{
    for (size_t i = 0; i < count; i++) {
        mc_str name = mc_str_of(suffixes[i].name);
        if (name.len > text.len)
            continue;
        mc_str tail = {text.data + text.len - name.len, name.len};
        if (!mc_str_equal_nocase(tail, name))
            continue;
        mc_str digits = mc_str_trim((mc_str){text.data, text.len - name.len});
        double number;
        if (digits.len == 0 || strchr("0123456789.-", digits.data[0]) == NULL ||
            !mc_str_to_double(digits, &number))
            return false;
        double product = number * suffixes[i].factor;
        if (fabs(product) > QUANTITY_MAX ||
            (suffixes[i].factor <= 1 && nearbyint(product) != product))
            return false;
        *value = (int64_t)nearbyint(product);
        return true;
    }
    return false;
}

static bool boolean(mc_str text, bool *value)
{
    static const char *const names[][2] = {
        {"false", "true"}, {"no", "yes"}, {"off", "on"}, {"0", "1"}};
    for (size_t i = 0; i < mc_countof(names); i++)
        for (int b = 0; b < 2; b++)
            if (mc_str_equal_nocase(text, mc_str_of(names[i][b]))) {
                *value = b == 1;
                return true;
            }
    return false;
}

/* One number of a kind, without its range. */
static bool number_of(enum mc_option_kind kind, mc_str text, struct mc_value *value)
{
    bool read;
    if (kind == MC_KIND_NUMBER) {
        read = text.len > 0 && strchr("0123456789.-", text.data[0]) != NULL &&
               mc_str_to_double(text, &value->number);
        value->integer = 0;
        return read;
    }
    if (kind == MC_KIND_DURATION)
        read = quantity(text, duration_suffixes, mc_countof(duration_suffixes), &value->integer);
    else if (kind == MC_KIND_BYTES)
        read = quantity(text, byte_suffixes, mc_countof(byte_suffixes), &value->integer);
    else
        read = mc_str_to_int64(text, &value->integer);
    value->number = read ? (double)value->integer : 0;
    return read;
}

/* Whether a number is within "low..high". A row whose range does not read is a mistake in the
 * table. */
static bool in_range(enum mc_option_kind kind, const char *range, const struct mc_value *value)
{
    const char *dots = strstr(range, "..");
    struct mc_value low, high;
    if (!dots || !number_of(kind, (mc_str){range, (size_t)(dots - range)}, &low) ||
        !number_of(kind, mc_str_of(dots + 2), &high))
        return false;
    if (kind == MC_KIND_NUMBER)
        return value->number >= low.number && value->number <= high.number;
    return value->integer >= low.integer && value->integer <= high.integer;
}

static enum mc_status scalar_number(size_t index, mc_str text, struct mc_value *value,
                                    struct mc_error *err)
{
    const struct mc_option *option = mc_option_at(index);
    enum mc_option_kind kind = mc_option_kind(index);
    const char *or_none = mc_option_is_optional(index) ? ", or none" : "";
    char found[MC_VALUE_FOUND_SIZE];
    if (!number_of(kind, text, value))
        return mc_fail_field(err, MC_CONFIG, option->key, "must be %s (%s%s), %s",
                             mc_option_kind_text(kind), option->range, or_none,
                             mc_value_found(false, text, found));
    if (!in_range(kind, option->range, value))
        return mc_fail_field(err, MC_CONFIG, option->key, "must be %s%s, %s", option->range,
                             or_none, mc_value_found(false, text, found));
    value->text = mc_str_dup(text);
    return value->text ? MC_OK : mc_fail_memory(err);
}

static enum mc_status scalar_choice(size_t index, mc_str text, struct mc_value *value,
                                    struct mc_error *err)
{
    const struct mc_option *option = mc_option_at(index);
    mc_str rest = mc_str_of(option->range);
    mc_str choice;
    while (mc_str_split(&rest, '|', &choice))
        if (mc_str_equal_nocase(choice, text)) {
            value->text = mc_str_dup(choice);
            return value->text ? MC_OK : mc_fail_memory(err);
        }
    char found[MC_VALUE_FOUND_SIZE];
    return mc_fail_field(err, MC_CONFIG, option->key, "must be one of %s, %s", option->range,
                         mc_value_found(false, text, found));
}

/* A port of 0 lets the system choose. */
static bool is_address(mc_str text)
{
    size_t colon = text.len;
    while (colon > 0 && text.data[colon - 1] != ':')
        colon--;
    if (colon < 2)
        return false;
    mc_str host = {text.data, colon - 1};
    mc_str port = {text.data + colon, text.len - colon};
    int64_t number;
    if (port.len == 0 || port.len > 5 || port.data[0] < '0' || port.data[0] > '9' ||
        !mc_str_to_int64(port, &number) || number > 65535)
        return false;
    if (host.data[0] == '[')
        return host.len > 2 && host.data[host.len - 1] == ']';
    for (size_t i = 0; i < host.len; i++)
        if (strchr(":[]/ \t\n", host.data[i]))
            return false;
    return true;
}

static bool is_url(mc_str text)
{
    mc_str lower = {text.data, text.len < 8 ? text.len : 8};
    bool http = lower.len > 7 && mc_str_equal_nocase((mc_str){text.data, 7}, MC_STR("http://"));
    bool https = text.len > 8 && mc_str_equal_nocase(lower, MC_STR("https://"));
    if (!http && !https)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] <= ' ')
            return false;
    /* A password in an address would be shown with it. */
    mc_str host = {text.data + (https ? 8 : 7), text.len - (https ? 8 : 7)};
    const char *path = memchr(host.data, '/', host.len);
    size_t len = path ? (size_t)(path - host.data) : host.len;
    return len > 0 && !memchr(host.data, '@', len);
}

/* A path as it is used: only a shell, and not before a path that it does not see as one, replaces "~/". */
static enum mc_status path_text(const char *key, mc_str text, char **path, struct mc_error *err)
{
    if (memchr(text.data, '\n', text.len) || memchr(text.data, '\t', text.len))
        return mc_fail_field(err, MC_CONFIG, key,
                             "must be a path, but has a line end or tab in it");
    if (text.len < 2 || memcmp(text.data, "~/", 2) != 0) {
        *path = mc_str_dup(text);
        return *path ? MC_OK : mc_fail_memory(err);
    }
    const char *home = getenv("HOME");
    if (!home || home[0] != '/')
        return mc_fail_field(err, MC_CONFIG, key,
                             "begins with ~, but HOME names no folder; write the whole path");
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, MC_VALUE_TEXT_MAX);
    mc_buf_text(&buf, home);
    mc_buf_append(&buf, (mc_str){text.data + 1, text.len - 1});
    if (buf.failed)
        return mc_value_fail_buf(&buf, key, err);
    enum mc_status status = mc_value_check_text(key, mc_buf_str(&buf), err);
    if (status == MC_OK && !(*path = mc_str_dup(mc_buf_str(&buf))))
        status = mc_fail_memory(err);
    return status;
}

static enum mc_status scalar_text(size_t index, mc_str text, struct mc_value *value,
                                  struct mc_error *err)
{
    const char *key = mc_option_at(index)->key;
    enum mc_option_kind kind = mc_option_kind(index);
    enum mc_status status = mc_value_check_text(key, text, err);
    if (status != MC_OK)
        return status;
    char found[MC_VALUE_FOUND_SIZE];
    if (kind == MC_KIND_PATH)
        return path_text(key, text, &value->text, err);
    if ((kind == MC_KIND_ADDRESS && !is_address(text)) || (kind == MC_KIND_URL && !is_url(text)))
        return mc_fail_field(err, MC_CONFIG, key, "must be %s, %s", mc_option_kind_text(kind),
                             mc_value_found(false, text, found));
    value->text = mc_str_dup(text);
    return value->text ? MC_OK : mc_fail_memory(err);
}

/* Text that says "no value" to an option that is not text. */
static bool is_none(mc_str text)
{
    return text.len == 0 || mc_str_equal_nocase(text, MC_STR("none")) ||
           mc_str_equal_nocase(text, MC_STR("null")) || mc_str_equal(text, MC_STR("~"));
}

enum mc_status mc_value_scalar(size_t index, mc_str text, struct mc_value *value,
                               struct mc_error *err)
{
    const char *key = mc_option_at(index)->key;
    enum mc_option_kind kind = mc_option_kind(index);
    bool exact = kind == MC_KIND_TEXT || kind == MC_KIND_SECRET || kind == MC_KIND_PATH;
    struct mc_value made = {0};
    enum mc_status status = MC_OK;

    if (!exact)
        text = mc_str_trim(text);
    if (text.len == 0 || (!exact && is_none(text) && mc_option_is_optional(index))) {
        if (!mc_option_is_optional(index))
            return mc_fail_field(err, MC_CONFIG, key, "must be %s, found nothing",
                                 mc_option_kind_text(kind));
    } else if (kind == MC_KIND_CHOICE) {
        status = scalar_choice(index, text, &made, err);
    } else if (kind == MC_KIND_BOOLEAN) {
        bool truth = false;
        char found[MC_VALUE_FOUND_SIZE];
        if (!boolean(text, &truth))
            return mc_fail_field(err, MC_CONFIG, key, "must be true or false, %s",
                                 mc_value_found(false, text, found));
        made.integer = truth ? 1 : 0;
        made.text = mc_str_dup(mc_str_of(truth ? "true" : "false"));
        status = made.text ? MC_OK : mc_fail_memory(err);
    } else if (kind >= MC_KIND_INTEGER && kind <= MC_KIND_DURATION) {
        status = scalar_number(index, text, &made, err);
    } else {
        status = scalar_text(index, text, &made, err);
    }
    if (status == MC_OK)
        *value = made;
    return status;
}
