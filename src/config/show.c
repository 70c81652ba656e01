/* What a configuration and the options table look like as text: YAML in force, sample file,
 * Markdown. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"
#include "config/options.h"
#include "config/state.h"

#define TEXT_MAX ((size_t)32 * 1024 * 1024)

static const char *const source_names[] = {"default", "file", "environment", "program"};

/*
 * JSON text as YAML that the loader reads back: '$' doubled, and characters that YAML takes for
 * line ends or refuses written as escapes. Characters beyond ASCII stand only inside strings, so
 * this needs no parser.
 */
static void put_json(struct mc_buf *out, mc_str json)
{
    size_t at = 0;
    while (at < json.len) {
        size_t start = at;
        int32_t code = mc_utf8_next(json, &at);
        if (code == '$')
            mc_buf_text(out, "$$");
        else if ((code >= 0x7f && code <= 0xa0) || code == 0x2028 || code == 0x2029 ||
                 code == 0xfeff || (code >= 0xfff0 && code <= 0xffff))
            mc_buf_printf(out, "\\u%04x", (unsigned)code);
        else if (code > 0xffff && (code & 0xfffe) == 0xfffe)
            mc_buf_printf(out, "\\U%08x", (unsigned)code);
        else
            mc_buf_append(out, (mc_str){json.data + start, at - start});
    }
}

static void put_quoted(struct mc_buf *out, mc_str text)
{
    mc_auto(mc_buf_fini) struct mc_buf json;
    mc_buf_init(&json, 8 * MC_VALUE_TEXT_MAX);
    struct mc_json_writer writer = mc_json_writer(&json);
    mc_json_put_string(&writer, text);
    out->failed = out->failed || json.failed;
    put_json(out, mc_buf_str(&json));
}

static void put_value(struct mc_buf *out, enum mc_option_kind kind, const char *text)
{
    if (!text)
        mc_buf_text(out, "null");
    else if (mc_option_is_secret(kind) && strcmp(text, "[]") != 0)
        mc_buf_text(out, "\"********\"");
    else if (kind >= MC_KIND_TEXTS)
        put_json(out, mc_str_of(text));
    else if (kind >= MC_KIND_CHOICE)
        mc_buf_text(out, text);
    else
        put_quoted(out, mc_str_of(text));
}

/* The origin without line ends, for a comment. */
static void put_origin(struct mc_buf *out, const struct mc_setting *setting)
{
    mc_str origin = mc_str_of(setting->origin ? setting->origin : source_names[setting->source]);
    for (size_t i = 0; i < origin.len; i++) {
        unsigned char c = (unsigned char)origin.data[i];
        mc_buf_char(out, c < 0x20 || c == 0x7f ? '?' : origin.data[i]);
    }
}

/* How many sections deep a key is, and the length of its sections with the last dot. */
static size_t sections_of(const char *key, size_t *len)
{
    size_t depth = 0;
    *len = 0;
    for (size_t i = 0; key[i]; i++)
        if (key[i] == '.') {
            depth++;
            *len = i + 1;
        }
    return depth;
}

static void indent(struct mc_buf *out, size_t depth)
{
    for (size_t i = 0; i < depth; i++)
        mc_buf_text(out, "  ");
}

/* The headings of the sections that begin between two rows; a gap before each outer one. */
static void put_sections(struct mc_buf *out, const char *previous, const char *key)
{
    size_t depth = 0, start = 0;
    bool shared = true;
    for (size_t i = 0; key[i]; i++) {
        if (key[i] != '.')
            continue;
        shared = shared && previous && strncmp(previous, key, i + 1) == 0;
        if (!shared) {
            if (depth == 0 && previous)
                mc_buf_char(out, '\n');
            indent(out, depth);
            mc_buf_printf(out, "%.*s:\n", (int)(i - start), key + start);
        }
        depth++;
        start = i + 1;
    }
}

static enum mc_status finish(struct mc_buf *out, char **text, struct mc_error *err)
{
    char *made = mc_buf_take(out, NULL);
    if (!made)
        return mc_fail_memory(err);
    *text = made;
    return MC_OK;
}

enum mc_status mc_config_show(const struct mc_config *config, char **yaml, struct mc_error *err)
{
    if (!config || !yaml)
        return mc_fail_field(err, MC_INVALID, config ? "yaml" : "config", "%s is NULL",
                             config ? "yaml" : "config");
    mc_auto(mc_buf_fini) struct mc_buf out;
    mc_buf_init(&out, TEXT_MAX);
    const char *previous = NULL;
    for (size_t i = 0; i < config->count; i++) {
        const char *key = mc_option_at(i)->key;
        size_t prefix;
        size_t depth = sections_of(key, &prefix);
        put_sections(&out, previous, key);
        indent(&out, depth);
        mc_buf_printf(&out, "%s: ", key + prefix);
        put_value(&out, mc_option_kind(i), config->settings[i].value.text);
        mc_buf_text(&out, " # ");
        put_origin(&out, &config->settings[i]);
        mc_buf_char(&out, '\n');
        previous = key;
    }
    return finish(&out, yaml, err);
}

/* Text in lines of at most 100 columns that begin with "# ". */
static void put_comment(struct mc_buf *out, size_t depth, const char *text)
{
    size_t column = 0;
    mc_str rest = mc_str_of(text), word;
    while (mc_str_split(&rest, ' ', &word)) {
        if (column > 0 && column + word.len + 1 > 98) {
            mc_buf_char(out, '\n');
            column = 0;
        }
        if (column == 0) {
            indent(out, depth);
            mc_buf_char(out, '#');
            column = 2 * depth + 1;
        }
        mc_buf_printf(out, " %.*s", MC_STR_ARG(word));
        column += word.len + 1;
    }
    mc_buf_char(out, '\n');
}

static const char sample_head[] =
    "# Configuration of Mindcore: every option with its default. Remove the '#' before an option "
    "to\n"
    "# change it. The command line wins over the environment, the environment over this file.\n"
    "# ${NAME} stands for a variable of the environment, ${NAME:default} has a default, $$ is a "
    "'$'.\n"
    "\n";

enum mc_status mc_option_sample(char **yaml, struct mc_error *err)
{
    if (!yaml)
        return mc_fail_field(err, MC_INVALID, "yaml", "yaml is NULL");
    mc_auto(mc_buf_fini) struct mc_buf out;
    mc_buf_init(&out, TEXT_MAX);
    mc_buf_text(&out, sample_head);
    const char *previous = NULL;
    for (size_t i = 0; i < mc_option_count(); i++) {
        const struct mc_option *option = mc_option_at(i);
        size_t prefix;
        size_t depth = sections_of(option->key, &prefix);
        char facts[256];
        const char *unit = option->unit;
        put_sections(&out, previous, option->key);
        snprintf(facts, sizeof(facts), "(%s%s%s%s%s; %s)", option->type,
                 option->range[0] ? ", " : "", option->range, unit[0] ? ", " : "", unit,
                 option->environment);
        put_comment(&out, depth, option->help);
        put_comment(&out, depth, facts);
        indent(&out, depth);
        mc_buf_printf(&out, "#%s:%s", option->key + prefix, option->fallback[0] ? " " : "");
        if (option->fallback[0])
            put_value(&out,
                      mc_option_is_secret(mc_option_kind(i)) ? MC_KIND_TEXTS : mc_option_kind(i),
                      option->fallback);
        mc_buf_char(&out, '\n');
        previous = option->key;
    }
    return finish(&out, yaml, err);
}

static const char markdown_head[] =
    "# Options\n"
    "\n"
    "This page is generated from the options table (`mindcore config docs`).\n"
    "\n"
    "A value comes from the program or its command line, else from the environment, else from the "
    "YAML\n"
    "file, else it is the default. A file names only what it changes; `MINDCORE_CONFIG` names the "
    "file\n"
    "when the command line does not. Naming `database.host` in the file or the environment "
    "selects\n"
    "PostgreSQL unless `database.backend` is given too. `mindcore config show` prints what is in "
    "force\n"
    "and where it came from, with secrets as `********`; loading that leaves secrets as they are.\n"
    "\n"
    "- **Variables**: `${NAME}` and `${NAME:default}` stand for variables of the environment "
    "anywhere in\n"
    "  a value of the file; the default also replaces an empty variable; `$$` is a `$`. Inside `[ "
    "]` and\n"
    "  `{ }` YAML needs quotes around them. What a text option receives is kept as it is written:\n"
    "  `00123` stays `00123`.\n"
    "- **Paths** that begin with `~/` are in the home folder, wherever they come from.\n"
    "- **Environment**: besides the name in the table, `MINDCORE_<SECTION>_<KEY>` works for every "
    "option,\n"
    "  and the short forms `MINDCORE_DB_<KEY>`, `MINDCORE_OPENAI_<KEY>` and "
    "`MINDCORE_LLAMA_<KEY>`; the\n"
    "  name in the table wins. An empty variable counts as not set.\n"
    "- **Durations** are numbers in the unit of the table, or carry `ms`, `s`, `m`, `h` or `d`.\n"
    "- **Sizes** are bytes, or carry `KB`, `MB`, `GB`, `TB` (powers of 1000) or `KiB`, `MiB`, "
    "`GiB`, `TiB`\n"
    "  (powers of 1024).\n"
    "- **Lists and maps** are JSON in the environment and on the command line; a list of text may "
    "also be\n"
    "  separated by commas.\n"
    "- An option without a default may be left without a value: `null`, or `none` where it is not "
    "text.\n";

/* A cell of a table: '|' would end it. */
static void put_cell(struct mc_buf *out, const char *text, bool code)
{
    mc_buf_text(out, text[0] ? (code ? " `" : " ") : " ");
    for (const char *c = text; *c; c++) {
        if (*c == '|')
            mc_buf_char(out, '\\');
        mc_buf_char(out, *c);
    }
    mc_buf_text(out, text[0] && code ? "` |" : " |");
}

static void put_row(struct mc_buf *out, const struct mc_option *option)
{
    mc_buf_char(out, '|');
    put_cell(out, option->key, true);
    put_cell(out, option->type, false);
    put_cell(out, option->fallback[0] ? option->fallback : "none", option->fallback[0] != '\0');
    put_cell(out, option->range, true);
    put_cell(out, option->unit, false);
    put_cell(out, option->environment, true);
    put_cell(out, option->help, false);
    mc_buf_char(out, '\n');
}

enum mc_status mc_option_markdown(char **markdown, struct mc_error *err)
{
    if (!markdown)
        return mc_fail_field(err, MC_INVALID, "markdown", "markdown is NULL");
    mc_auto(mc_buf_fini) struct mc_buf out;
    mc_buf_init(&out, TEXT_MAX);
    mc_buf_text(&out, markdown_head);
    size_t section = 0;
    for (size_t i = 0; i < mc_option_count(); i++) {
        const struct mc_option *option = mc_option_at(i);
        size_t len = strcspn(option->key, ".");
        if (i == 0 || len != section || strncmp(option->key, mc_option_at(i - 1)->key, len) != 0) {
            mc_buf_printf(&out, "\n## %.*s\n\n", (int)len, option->key);
            mc_buf_text(&out, "| option | type | default | range | unit | environment | meaning |\n"
                              "|---|---|---|---|---|---|---|\n");
        }
        section = len;
        put_row(&out, option);
    }
    return finish(&out, markdown, err);
}
