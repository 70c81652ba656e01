#include "config/options.h"

#include <ctype.h>
#include <stdio.h>

#include "base/compiler.h"
#include "base/str.h"
#include "config/options_table.h"

/* The names of types as the interface documents them. */
#define TYPE_TEXT "text"
#define TYPE_PATH "path"
#define TYPE_SECRET "secret"
#define TYPE_ADDRESS "text"
#define TYPE_URL "text"
#define TYPE_CHOICE "choice"
#define TYPE_BOOLEAN "boolean"
#define TYPE_INTEGER "integer"
#define TYPE_BYTES "integer"
#define TYPE_NUMBER "number"
#define TYPE_DURATION "duration"
#define TYPE_TEXTS "list"
#define TYPE_SECRETS "list"
#define TYPE_PATTERNS "list"
#define TYPE_TEXT_MAP "map"
#define TYPE_TOPIC_MAP "map"
#define TYPE_PRICES "map"

static const struct mc_option options[] = {
#define X(key, environment, kind, fallback, range, unit, help)                                     \
    {key,         environment,                                                                     \
     TYPE_##kind, fallback,                                                                        \
     range,       unit,                                                                            \
     help,        MC_KIND_##kind == MC_KIND_SECRET || MC_KIND_##kind == MC_KIND_SECRETS},
    MC_OPTION_MAP(X)
#undef X
};

static const enum mc_option_kind kinds[] = {
#define X(key, environment, kind, fallback, range, unit, help) MC_KIND_##kind,
    MC_OPTION_MAP(X)
#undef X
};

/* Sections that the environment also knows by a shorter name. */
static const struct {
    const char *section;
    const char *prefix;
} short_names[] = {
    {"database.", "MINDCORE_DB_"},
    {"llm.openai.", "MINDCORE_OPENAI_"},
    {"llm.llama_cpp.", "MINDCORE_LLAMA_"},
};

size_t mc_option_count(void)
{
    return mc_countof(options);
}

const struct mc_option *mc_option_at(size_t index)
{
    return index < mc_countof(options) ? &options[index] : NULL;
}

size_t mc_option_find(mc_str key)
{
    for (size_t i = 0; i < mc_countof(options); i++)
        if (mc_str_equal(key, mc_str_of(options[i].key)))
            return i;
    return MC_OPTION_NONE;
}

bool mc_option_is_section(mc_str key)
{
    for (size_t i = 0; i < mc_countof(options); i++)
        if (key.len > 0 && strlen(options[i].key) > key.len && options[i].key[key.len] == '.' &&
            memcmp(options[i].key, key.data, key.len) == 0)
            return true;
    return false;
}

enum mc_option_kind mc_option_kind(size_t index)
{
    return kinds[index];
}

const char *mc_option_kind_text(enum mc_option_kind kind)
{
    switch (kind) {
    case MC_KIND_TEXT:
    case MC_KIND_SECRET:
        return "text";
    case MC_KIND_PATH:
        return "a path";
    case MC_KIND_ADDRESS:
        return "an address as host:port";
    case MC_KIND_URL:
        return "an address that begins with http:// or https://, without a name or password in it";
    case MC_KIND_CHOICE:
        return "one of its choices";
    case MC_KIND_BOOLEAN:
        return "true or false";
    case MC_KIND_INTEGER:
        return "an integer";
    case MC_KIND_BYTES:
        return "a size in bytes, or with KB, MB, GB, KiB, MiB or GiB";
    case MC_KIND_NUMBER:
        return "a number";
    case MC_KIND_DURATION:
        return "a duration in seconds, or with ms, s, m, h or d";
    case MC_KIND_TEXTS:
    case MC_KIND_SECRETS:
        return "a list of text";
    case MC_KIND_PATTERNS:
        return "a list of {category, pattern}";
    case MC_KIND_TEXT_MAP:
        return "a map of text to text";
    case MC_KIND_TOPIC_MAP:
        return "a map of text to text or a list of text";
    case MC_KIND_PRICES:
        return "a map of models to {input, output}";
    }
    return "";
}

bool mc_option_is_optional(size_t index)
{
    return options[index].fallback[0] == '\0';
}

/* prefix, and the key in capitals with '_' for each dot. */
static const char *name_of(const char *prefix, const char *key, char text[MC_OPTION_NAME_SIZE])
{
    snprintf(text, MC_OPTION_NAME_SIZE, "%s%s", prefix, key);
    for (char *c = text; *c; c++)
        *c = *c == '.' ? '_' : (char)toupper((unsigned char)*c);
    return text;
}

const char *mc_option_environment(size_t index, int nth, char text[MC_OPTION_NAME_SIZE])
{
    const char *key = options[index].key;
    if (nth == 0)
        return options[index].environment;
    if (nth == 2)
        return name_of("MINDCORE_", key, text);
    if (nth > 2)
        return NULL;
    for (size_t i = 0; i < mc_countof(short_names); i++)
        if (strncmp(key, short_names[i].section, strlen(short_names[i].section)) == 0)
            return name_of(short_names[i].prefix, key + strlen(short_names[i].section), text);
    return options[index].environment;
}

const struct mc_option *mc_option_of_variable(const char *name)
{
    for (size_t i = 0; name && i < mc_countof(options); i++) {
        char built[MC_OPTION_NAME_SIZE];
        const char *known;
        for (int nth = 0; (known = mc_option_environment(i, nth, built)) != NULL; nth++) {
            if (strcmp(name, known) == 0)
                return &options[i];
        }
    }
    return NULL;
}

#define NEAR_MAX 64 /* longer keys are cut: no option is that long */

/* Insertions, deletions and replacements between two texts, ASCII case ignored. */
static size_t distance(mc_str a, mc_str b)
{
    size_t row[NEAR_MAX + 1];
    a.len = a.len < NEAR_MAX ? a.len : NEAR_MAX;
    b.len = b.len < NEAR_MAX ? b.len : NEAR_MAX;
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            bool same =
                tolower((unsigned char)a.data[i - 1]) == tolower((unsigned char)b.data[j - 1]);
            size_t best = diagonal + (same ? 0 : 1);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[b.len];
}

/* What stands behind the last dot. */
static mc_str last_part(mc_str key)
{
    size_t start = key.len;
    while (start > 0 && key.data[start - 1] != '.')
        start--;
    return (mc_str){key.data + start, key.len - start};
}

/* How far apart two keys are; a key in the wrong section is as far as two wrong letters. */
static size_t key_distance(mc_str key, mc_str candidate)
{
    size_t whole = distance(key, candidate);
    size_t part = distance(last_part(key), last_part(candidate)) + 2;
    return whole < part ? whole : part;
}

bool mc_option_nearest(mc_str key, char text[MC_OPTION_NAME_SIZE])
{
    mc_str nearest = MC_STR_NONE;
    size_t best = 4; /* four wrong letters are another word */
    if (last_part(key).len < 3)
        return false;
    for (size_t i = 0; i < mc_countof(options); i++) {
        mc_str candidate = mc_str_of(options[i].key);
        while (candidate.len > 0) { /* the key, then its sections from the inside out */
            size_t d = key_distance(key, candidate);
            if (d < best && 2 * d <= last_part(key).len + 1) {
                best = d;
                nearest = candidate;
            }
            candidate.len -= last_part(candidate).len;
            candidate.len -= candidate.len > 0 ? 1 : 0;
        }
    }
    if (nearest.data)
        snprintf(text, MC_OPTION_NAME_SIZE, "%.*s", MC_STR_ARG(nearest));
    return nearest.data != NULL;
}
