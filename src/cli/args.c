#include "cli/args.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/str.h"
#include "base/time.h"

/* A slip of the fingers: more changes than this are another word. */
#define NEAR_CHANGES 2
#define DISTANCE_LENGTH 32

size_t mc_args_distance(mc_str a, mc_str b, size_t limit)
{
    size_t row[DISTANCE_LENGTH + 1];
    if (a.len > DISTANCE_LENGTH || b.len > DISTANCE_LENGTH)
        return limit + 1;
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t least = diagonal + (a.data[i - 1] != b.data[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < least)
                least = row[j] + 1;
            if (row[j - 1] + 1 < least)
                least = row[j - 1] + 1;
            row[j] = least;
        }
    }
    return row[b.len] > limit ? limit + 1 : row[b.len];
}

struct nearest {
    mc_str word;
    mc_str found;
    size_t changes;
};

static void consider(struct nearest *nearest, mc_str candidate)
{
    size_t changes = mc_args_distance(nearest->word, candidate, NEAR_CHANGES);
    bool starts = nearest->word.len >= 3 && mc_str_starts(candidate, nearest->word);
    if (starts && changes > NEAR_CHANGES)
        changes = NEAR_CHANGES;
    if (changes < nearest->changes && changes < candidate.len) {
        nearest->changes = changes;
        nearest->found = candidate;
    }
}

static enum mc_status unknown_command(const struct mc_args *args, mc_str word, struct mc_error *err)
{
    struct nearest nearest = {word, MC_STR_NONE, NEAR_CHANGES + 1};
    mc_str family = args->family;
    const struct mc_cli_command *command;
    for (size_t i = 0; (command = mc_cli_command_at(i)); i++) {
        mc_str rest = mc_str_of(command->name);
        mc_str first;
        mc_str_split(&rest, ' ', &first);
        if (command->flags & MC_CLI_HIDDEN)
            continue;
        if (!family.len)
            consider(&nearest, first);
        else if (mc_str_equal(first, family))
            consider(&nearest, rest);
    }
    const char *blank = family.len ? " " : "";
    if (nearest.found.len)
        return mc_fail(err, MC_INVALID, "unknown command '%.*s%s%.*s', did you mean '%.*s%s%.*s'?",
                       MC_STR_ARG(family), blank, MC_STR_ARG(word), MC_STR_ARG(family), blank,
                       MC_STR_ARG(nearest.found));
    return mc_fail(err, MC_INVALID, "unknown command '%.*s%s%.*s'", MC_STR_ARG(family), blank,
                   MC_STR_ARG(word));
}

static const struct mc_cli_option *find_in(const struct mc_cli_option *options, mc_str name,
                                           char letter)
{
    for (; options && options->name; options++) {
        if (letter ? options->letter == letter : mc_str_equal(mc_str_of(options->name), name))
            return options;
    }
    return NULL;
}

static const struct mc_cli_command *fallback_of(mc_str family)
{
    const struct mc_cli_command *command;
    for (size_t i = 0; (command = mc_cli_command_at(i)); i++) {
        if ((command->flags & MC_CLI_FALLBACK) && mc_str_equal(mc_cli_family_of(command), family))
            return command;
    }
    return NULL;
}

/* An option of the command named so far; an option behind a family alone chooses its fallback. */
static const struct mc_cli_option *find_option(struct mc_args *args, mc_str name, char letter)
{
    const struct mc_cli_option *option = find_in(mc_cli_common_options(), name, letter);
    if (option)
        return option;
    const struct mc_cli_command *command =
        args->command ? args->command : fallback_of(args->family);
    option = command ? find_in(command->options, name, letter) : NULL;
    if (option)
        args->command = command;
    return option;
}

static enum mc_status unknown_option(const struct mc_args *args, mc_str word, mc_str name,
                                     struct mc_error *err)
{
    struct nearest nearest = {name, MC_STR_NONE, NEAR_CHANGES + 1};
    const struct mc_cli_option *lists[] = {args->command ? args->command->options : NULL,
                                           mc_cli_common_options()};
    for (size_t i = 0; i < 2; i++) {
        for (const struct mc_cli_option *o = lists[i]; o && o->name; o++) {
            if (!o->hidden)
                consider(&nearest, mc_str_of(o->name));
        }
    }
    if (nearest.found.len && name.len > 1)
        return mc_fail(err, MC_INVALID, "unknown option '%.*s', did you mean '--%.*s'?",
                       MC_STR_ARG(word), MC_STR_ARG(nearest.found));
    return mc_fail(err, MC_INVALID, "unknown option '%.*s'%s", MC_STR_ARG(word),
                   args->command || args->family.len ? "" : " before a command");
}

static bool in_choices(const char *choices, mc_str value)
{
    mc_str rest = mc_str_of(choices);
    mc_str choice;
    while (mc_str_split(&rest, '|', &choice)) {
        if (mc_str_equal(choice, value))
            return true;
    }
    return false;
}

/* "least..most"; a missing bound is left as it is. */
static void range_bounds(const char *range, double *least, double *most)
{
    const char *dots = range ? strstr(range, "..") : NULL;
    if (!dots)
        return;
    mc_str_to_double((mc_str){range, (size_t)(dots - range)}, least);
    mc_str_to_double(mc_str_of(dots + 2), most);
}

static bool number_fits(const struct mc_cli_option *option, mc_str text)
{
    double least = -1e300;
    double most = 1e300;
    double value = 0;
    int64_t integer = 0;
    range_bounds(option->range, &least, &most);
    if (option->type == MC_CLI_INTEGER) {
        if (!mc_str_to_int64(text, &integer))
            return false;
        value = (double)integer;
    } else if (!mc_str_to_double(text, &value)) {
        return false;
    }
    return value >= least && value <= most;
}

bool mc_args_parse_time(mc_str text, int64_t now_us, int64_t *time_us)
{
    int64_t count;
    if (text.len >= 2 && mc_str_to_int64((mc_str){text.data, text.len - 1}, &count)) {
        int64_t unit = 0;
        switch (text.data[text.len - 1]) {
        case 'd':
            unit = MC_US_PER_DAY;
            break;
        case 'h':
            unit = 3600 * MC_US_PER_SECOND;
            break;
        case 'm':
            unit = 60 * MC_US_PER_SECOND;
            break;
        case 's':
            unit = MC_US_PER_SECOND;
            break;
        default:
            break;
        }
        if (unit && count >= 0 && count <= now_us / unit) {
            *time_us = now_us - count * unit;
            return true;
        }
    }
    if (text.len == 10) {
        char full[32];
        memcpy(full, text.data, 10);
        memcpy(full + 10, "T00:00:00Z", 11);
        return mc_time_parse(mc_str_of(full), time_us);
    }
    return mc_time_parse(text, time_us);
}

static enum mc_status check_value(const struct mc_cli_option *option, const char *value,
                                  struct mc_error *err)
{
    mc_str text = mc_str_of(value);
    int64_t time_us;
    switch (option->type) {
    case MC_CLI_INTEGER:
    case MC_CLI_NUMBER:
        if (number_fits(option, text))
            return MC_OK;
        return mc_fail_field(
            err, MC_INVALID, option->name, "option --%s takes a%s number%s%s, not '%s'",
            option->name, option->type == MC_CLI_INTEGER ? " whole" : "",
            option->range ? " in " : "", option->range ? option->range : "", value);
    case MC_CLI_CHOICE:
        if (in_choices(option->range, text))
            return MC_OK;
        return mc_fail_field(err, MC_INVALID, option->name, "option --%s takes %s, not '%s'",
                             option->name, option->range, value);
    case MC_CLI_TIME:
        if (mc_args_parse_time(text, mc_time_now_us(), &time_us))
            return MC_OK;
        return mc_fail_field(err, MC_INVALID, option->name,
                             "option --%s takes a time like 2026-01-31T12:00:00Z, a date like "
                             "2026-01-31 or an age like 7d, 12h, 30m, not '%s'",
                             option->name, value);
    case MC_CLI_FLAG:
    case MC_CLI_TEXT:
        break;
    }
    return MC_OK;
}

static enum mc_status add_value(struct mc_args *args, const struct mc_cli_option *option,
                                const char *value, struct mc_error *err)
{
    if (!option->repeat && option->type != MC_CLI_FLAG && mc_args_given(args, option->name))
        return mc_fail(err, MC_INVALID, "option --%s is given twice", option->name);
    enum mc_status status = check_value(option, value, err);
    if (status != MC_OK)
        return status;
    args->values[args->value_count++] = (struct mc_args_value){option, value};
    if (strcmp(option->name, "help") == 0)
        args->help = true;
    if (strcmp(option->name, "version") == 0)
        args->version = true;
    return MC_OK;
}

/* The long form of a known option: as a value it would have to be written --name=--value. */
static bool is_option(struct mc_args *args, const char *word)
{
    return word[0] == '-' && word[1] == '-' && find_option(args, mc_str_of(word + 2), 0);
}

/* One word that starts with a hyphen; *next moves over its argument. */
static enum mc_status take_option(struct mc_args *args, int argc, char **argv, int *next,
                                  struct mc_error *err)
{
    const char *word = argv[*next];
    bool is_long = word[1] == '-';
    mc_str name = mc_str_of(word + (is_long ? 2 : 1));
    const char *equals = is_long ? strchr(word, '=') : NULL;
    if (equals)
        name.len = (size_t)(equals - name.data);
    (*next)++;
    if (!is_long && name.len > 1) { /* letters of flags in one word */
        for (size_t i = 0; i < name.len; i++) {
            const struct mc_cli_option *flag = find_option(args, MC_STR_NONE, name.data[i]);
            if (!flag || flag->type != MC_CLI_FLAG)
                return unknown_option(args, mc_str_of(word), name, err);
            if (i >= 8)
                return mc_fail(err, MC_INVALID, "too many letters in '%s'", word);
            enum mc_status status = add_value(args, flag, "", err);
            if (status != MC_OK)
                return status;
        }
        return MC_OK;
    }
    const struct mc_cli_option *option = find_option(args, name, is_long ? 0 : name.data[0]);
    if (!option)
        return unknown_option(args, (mc_str){word, (size_t)(name.data + name.len - word)}, name,
                              err);
    if (option->type == MC_CLI_FLAG && equals)
        return mc_fail(err, MC_INVALID, "option --%s takes no value", option->name);
    if (option->type == MC_CLI_FLAG)
        return add_value(args, option, "", err);
    if (equals)
        return add_value(args, option, equals + 1, err);
    if (*next >= argc || is_option(args, argv[*next]))
        return mc_fail(err, MC_INVALID, "option --%s needs a value: --%s %s", option->name,
                       option->name, option->argument);
    return add_value(args, option, argv[(*next)++], err);
}

static enum mc_status take_word(struct mc_args *args, const char *word, struct mc_error *err)
{
    mc_str text = mc_str_of(word);
    if (args->command) {
        args->operands[args->operand_count++] = word;
        return MC_OK;
    }
    if (args->family.len) {
        char full[64];
        size_t len = args->family.len + 1 + text.len;
        if (len < sizeof(full)) {
            memcpy(full, args->family.data, args->family.len);
            full[args->family.len] = ' ';
            memcpy(full + args->family.len + 1, text.data, text.len);
            args->command = mc_cli_command_find((mc_str){full, len});
        }
        return args->command ? MC_OK : unknown_command(args, text, err);
    }
    args->command = mc_cli_command_find(text);
    if (!args->command && !mc_cli_family_exists(text))
        return unknown_command(args, text, err);
    args->family = text;
    return MC_OK;
}

static enum mc_status missing_subcommand(const struct mc_args *args, struct mc_error *err)
{
    char names[160] = "";
    size_t used = 0;
    const struct mc_cli_command *command;
    for (size_t i = 0; (command = mc_cli_command_at(i)); i++) {
        mc_str rest = mc_str_of(command->name);
        mc_str first;
        mc_str_split(&rest, ' ', &first);
        if (!mc_str_equal(first, args->family) || used + rest.len + 3 > sizeof(names))
            continue;
        if (used) {
            memcpy(names + used, ", ", 2);
            used += 2;
        }
        memcpy(names + used, rest.data, rest.len);
        used += rest.len;
        names[used] = '\0';
    }
    return mc_fail(err, MC_INVALID, "'%.*s' needs one of: %s", MC_STR_ARG(args->family), names);
}

/* What only shows when all words are read. */
static enum mc_status check_whole(struct mc_args *args, struct mc_error *err)
{
    if (args->help || args->version)
        return MC_OK;
    if (!args->command && args->family.len)
        args->command = fallback_of(args->family);
    const struct mc_cli_command *command = args->command;
    if (!command)
        return args->family.len ? missing_subcommand(args, err)
                                : mc_fail(err, MC_INVALID, "no command given");
    if (args->operand_count > (size_t)command->operands_most)
        return mc_fail(err, MC_INVALID, "'%s' does not take '%s'", command->name,
                       args->operands[command->operands_most]);
    if (args->operand_count < (size_t)command->operands_least)
        return mc_fail(err, MC_INVALID, "'%s' needs %s", command->name, command->operand);
    for (const struct mc_cli_option *o = command->options; o && o->name; o++) {
        if (o->required && !mc_args_given(args, o->name))
            return mc_fail_field(err, MC_INVALID, o->name, "'%s' needs --%s %s", command->name,
                                 o->name, o->argument);
    }
    return MC_OK;
}

enum mc_status mc_args_parse(struct mc_args *args, int argc, char **argv, struct mc_error *err)
{
    memset(args, 0, sizeof(*args));
    size_t room = (size_t)(argc > 0 ? argc : 1);
    args->values = calloc(room * 8, sizeof(*args->values)); /* up to 8 flags in a word */
    args->operands = calloc(room, sizeof(*args->operands));
    if (!args->values || !args->operands)
        return mc_fail_memory(err);
    bool options = true;
    for (int next = 1; next < argc;) {
        const char *word = argv[next];
        enum mc_status status;
        if (options && strcmp(word, "--") == 0) {
            options = false;
            next++;
            continue;
        }
        if (options && word[0] == '-' && word[1])
            status = take_option(args, argc, argv, &next, err);
        else
            status = take_word(args, argv[next++], err);
        if (status != MC_OK)
            return status;
    }
    return check_whole(args, err);
}

void mc_args_fini(struct mc_args *args)
{
    free(args->values);
    free((void *)args->operands);
    memset(args, 0, sizeof(*args));
}

mc_str mc_args_at(const struct mc_args *args, const char *name, size_t index)
{
    for (size_t i = 0; i < args->value_count; i++) {
        const struct mc_args_value *value = &args->values[i];
        if (value->option && strcmp(value->option->name, name) == 0 && index-- == 0)
            return mc_str_of(value->text);
    }
    return MC_STR_NONE;
}

size_t mc_args_count(const struct mc_args *args, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < args->value_count; i++)
        count += args->values[i].option && strcmp(args->values[i].option->name, name) == 0;
    return count;
}

mc_str mc_args_text(const struct mc_args *args, const char *name)
{
    return mc_args_at(args, name, 0);
}

bool mc_args_given(const struct mc_args *args, const char *name)
{
    return mc_args_count(args, name) > 0;
}

int64_t mc_args_integer(const struct mc_args *args, const char *name, int64_t fallback)
{
    int64_t value = fallback;
    mc_str text = mc_args_text(args, name);
    return mc_str_given(text) && mc_str_to_int64(text, &value) ? value : fallback;
}

double mc_args_number(const struct mc_args *args, const char *name, double fallback)
{
    double value = fallback;
    mc_str text = mc_args_text(args, name);
    return mc_str_given(text) && mc_str_to_double(text, &value) ? value : fallback;
}

int64_t mc_args_time(const struct mc_args *args, const char *name)
{
    int64_t time_us = 0;
    mc_str text = mc_args_text(args, name);
    return mc_str_given(text) && mc_args_parse_time(text, mc_time_now_us(), &time_us) ? time_us : 0;
}

mc_str mc_args_operand(const struct mc_args *args, size_t index)
{
    return index < args->operand_count ? mc_str_of(args->operands[index]) : MC_STR_NONE;
}
