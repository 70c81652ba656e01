#include "cli/help.h"

#include <mindcore/engine.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"

#define TEXT_COLUMN 28
#define LINE_COLUMNS 100 /* of docs/cli.md, and at most on a terminal */
#define PIPE_COLUMNS 80

/* A paragraph from a column on; the cursor stands at that column already. */
static void wrapped(struct mc_out *out, const char *text, size_t column)
{
    size_t columns = out->columns > LINE_COLUMNS ? LINE_COLUMNS : out->columns;
    mc_out_wrapped(out, mc_str_of(text), column, (columns ? columns : PIPE_COLUMNS) - column);
    fputc('\n', out->file);
}

static void named_line(struct mc_out *out, const char *name, const char *text)
{
    size_t len = strlen(name) + 2;
    mc_out_print(out, MC_STYLE_CYAN, "  %s", name);
    if (len + 1 >= TEXT_COLUMN) {
        fputc('\n', out->file);
        len = 0;
    }
    fprintf(out->file, "%*s", (int)(TEXT_COLUMN - len), "");
    wrapped(out, text, TEXT_COLUMN);
}

/* "-v, --verbose" or "    --limit N". */
static void option_name(const struct mc_cli_option *option, char *text, size_t size)
{
    char letter[8] = "    ";
    if (option->letter)
        snprintf(letter, sizeof(letter), "-%c, ", option->letter);
    snprintf(text, size, "%s--%s%s%s", letter, option->name, option->argument ? " " : "",
             option->argument ? option->argument : "");
}

/* What the help of an option says, with its range and whether it is needed. */
static void option_text(const struct mc_cli_option *option, char *text, size_t size)
{
    bool shown = option->range && option->type != MC_CLI_FLAG;
    snprintf(text, size, "%s%s%s%s%s%s", option->help, shown ? " (" : "",
             shown ? option->range : "", shown ? ")" : "", option->repeat ? "; repeatable" : "",
             option->required ? "; required" : "");
}

static void option_lines(struct mc_out *out, const struct mc_cli_option *options)
{
    for (; options && options->name; options++) {
        char name[80];
        char text[320];
        if (options->hidden)
            continue;
        option_name(options, name, sizeof(name));
        option_text(options, text, sizeof(text));
        named_line(out, name, text);
    }
}

static void heading(struct mc_out *out, const char *text)
{
    mc_out_print(out, MC_STYLE_BOLD, "\n%s\n", text);
}

static void usage_line(const struct mc_cli_command *command, struct mc_buf *line)
{
    mc_buf_printf(line, "mindcore %s", command->name);
    for (const struct mc_cli_option *o = command->options; o && o->name; o++) {
        if (o->required)
            mc_buf_printf(line, " --%s %s", o->name, o->argument);
    }
    if (command->operand)
        mc_buf_printf(line, command->operands_least ? " %s" : " [%s]", command->operand);
    mc_buf_text(line, " [options]");
}

void mc_help_program(struct mc_out *out)
{
    mc_out_print(out, MC_STYLE_BOLD, "mindcore %s", mc_version());
    fputs(": memory of AI agents\n", out->file);
    heading(out, "Usage");
    fputs("  mindcore COMMAND [options]\n", out->file);
    heading(out, "Commands");
    const struct mc_cli_command *command;
    for (size_t i = 0; (command = mc_cli_command_at(i)); i++) {
        if (!(command->flags & MC_CLI_HIDDEN))
            named_line(out, command->name, command->summary);
    }
    heading(out, "Options of every command");
    option_lines(out, mc_cli_common_options());
    fputs("\nExit status: 0 done, 1 failed, 2 wrong usage.\n"
          "'mindcore COMMAND --help' says more about a command.\n",
          out->file);
}

void mc_help_family(struct mc_out *out, mc_str family)
{
    mc_out_print(out, MC_STYLE_BOLD, "Usage\n");
    fprintf(out->file, "  mindcore %.*s COMMAND [options]\n", MC_STR_ARG(family));
    heading(out, "Commands");
    const struct mc_cli_command *command;
    const struct mc_cli_command *fallback = NULL;
    for (size_t i = 0; (command = mc_cli_command_at(i)); i++) {
        if ((command->flags & MC_CLI_HIDDEN) || !mc_str_equal(mc_cli_family_of(command), family))
            continue;
        named_line(out, command->name, command->summary);
        if (command->flags & MC_CLI_FALLBACK)
            fallback = command;
    }
    if (fallback)
        fprintf(out->file, "\n'mindcore %.*s' alone is 'mindcore %s'.\n", MC_STR_ARG(family),
                fallback->name);
    fprintf(out->file, "\n'mindcore %.*s COMMAND --help' says more.\n", MC_STR_ARG(family));
}

void mc_help_command(struct mc_out *out, const struct mc_cli_command *command)
{
    mc_auto(mc_buf_fini) struct mc_buf line;
    mc_buf_init(&line, 1024);
    usage_line(command, &line);
    wrapped(out, command->summary, 0);
    heading(out, "Usage");
    fprintf(out->file, "  %.*s\n", MC_STR_ARG(mc_buf_str(&line)));
    if (command->text) {
        fputc('\n', out->file);
        wrapped(out, command->text, 0);
    }
    if (command->options && command->options->name) {
        heading(out, "Options");
        option_lines(out, command->options);
    }
    heading(out, "Options of every command");
    option_lines(out, mc_cli_common_options());
    if (command->examples)
        heading(out, "Examples");
    for (const char *const *example = command->examples; example && *example; example++)
        fprintf(out->file, "  %s\n", *example);
}

/* A table cell: the bar would end it. */
static void markdown_cell(struct mc_out *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            fputc('\\', out->file);
        fputc(*text, out->file);
    }
}

static void markdown_options(struct mc_out *out, const struct mc_cli_option *options)
{
    fputs("\n| option | meaning |\n|---|---|\n", out->file);
    for (; options && options->name; options++) {
        char text[320];
        if (options->hidden)
            continue;
        option_text(options, text, sizeof(text));
        fprintf(out->file, "| `--%s%s%s`", options->name, options->argument ? " " : "",
                options->argument ? options->argument : "");
        if (options->letter)
            fprintf(out->file, ", `-%c`", options->letter);
        fputs(" | ", out->file);
        markdown_cell(out, text);
        fputs(" |\n", out->file);
    }
}

static bool shows_options(const struct mc_cli_option *options)
{
    for (; options && options->name; options++) {
        if (!options->hidden)
            return true;
    }
    return false;
}

static void markdown_command(struct mc_out *out, const struct mc_cli_command *command)
{
    mc_auto(mc_buf_fini) struct mc_buf line;
    mc_buf_init(&line, 1024);
    usage_line(command, &line);
    fprintf(out->file, "\n## mindcore %s\n\n%s.\n\n    %.*s\n", command->name, command->summary,
            MC_STR_ARG(mc_buf_str(&line)));
    if (command->text) {
        fputc('\n', out->file);
        mc_out_wrapped(out, mc_str_of(command->text), 0, LINE_COLUMNS);
        fputc('\n', out->file);
    }
    if (shows_options(command->options))
        markdown_options(out, command->options);
    if (command->examples)
        fputs("\nExamples:\n\n", out->file);
    for (const char *const *example = command->examples; example && *example; example++)
        fprintf(out->file, "    %s\n", *example);
}

void mc_help_markdown(struct mc_out *out)
{
    fputs(
        "# Command line\n\n"
        "Written by `mindcore help --markdown`; a test compares this file with it.\n\n"
        "    mindcore COMMAND [options]\n\n"
        "Exit status: 0 done, 1 failed, 2 wrong usage. Results go to standard output, everything\n"
        "else to standard error. What the command line sets wins over the environment, and the\n"
        "environment over the file.\n\n"
        "| command | what it does |\n|---|---|\n",
        out->file);
    const struct mc_cli_command *command;
    for (size_t i = 0; (command = mc_cli_command_at(i)); i++) {
        if (!(command->flags & MC_CLI_HIDDEN))
            fprintf(out->file, "| `%s` | %s |\n", command->name, command->summary);
    }
    fputs("\n## Options of every command\n", out->file);
    markdown_options(out, mc_cli_common_options());
    for (size_t i = 0; (command = mc_cli_command_at(i)); i++) {
        if (!(command->flags & MC_CLI_HIDDEN))
            markdown_command(out, command);
    }
}

static void bash_options(struct mc_out *out, const struct mc_cli_option *options)
{
    for (; options && options->name; options++) {
        if (!options->hidden)
            fprintf(out->file, " --%s", options->name);
    }
}

/* A case for each option whose values can be named. */
static void bash_choices(struct mc_out *out, const struct mc_cli_command *command)
{
    for (const struct mc_cli_option *o = command->options; o && o->name; o++) {
        if (o->type != MC_CLI_CHOICE || o->hidden)
            continue;
        fprintf(out->file, "        '%s --%s') echo '", command->name, o->name);
        for (const char *c = o->range; *c; c++)
            fputc(*c == '|' ? ' ' : *c, out->file);
        fputs("' ;;\n", out->file);
    }
}

/* The words that may follow: families and commands behind nothing, commands behind their family. */
static void bash_words(struct mc_out *out, mc_str family)
{
    const struct mc_cli_command *command;
    mc_str last = MC_STR_NONE;
    fprintf(out->file, "        '%.*s') echo '", MC_STR_ARG(family));
    for (size_t i = 0; (command = mc_cli_command_at(i)); i++) {
        mc_str rest = mc_str_of(command->name);
        mc_str first;
        mc_str_split(&rest, ' ', &first);
        if ((command->flags & MC_CLI_HIDDEN) || mc_str_equal(family.len ? rest : first, last) ||
            (family.len && !mc_str_equal(first, family)))
            continue;
        last = family.len ? rest : first;
        fprintf(out->file, " %.*s", MC_STR_ARG(last));
    }
    fputs("' ;;\n", out->file);
}

void mc_help_bash(struct mc_out *out)
{
    const struct mc_cli_command *command;
    mc_str last = MC_STR_NONE;
    fputs("# Completion of mindcore for bash: source <(mindcore completion bash)\n"
          "_mindcore_values() {\n    case $1 in\n",
          out->file);
    for (size_t i = 0; (command = mc_cli_command_at(i)); i++)
        bash_choices(out, command);
    fputs("    esac\n}\n_mindcore_words() {\n    case $1 in\n", out->file);
    bash_words(out, MC_STR_NONE);
    for (size_t i = 0; (command = mc_cli_command_at(i)); i++) {
        mc_str family = mc_cli_family_of(command);
        if (mc_cli_family_exists(family) && !mc_str_equal(family, last))
            bash_words(out, family);
        last = family;
    }
    fputs("    esac\n}\n_mindcore_options() {\n    echo '", out->file);
    bash_options(out, mc_cli_common_options());
    fputs("'\n    case $1 in\n", out->file);
    for (size_t i = 0; (command = mc_cli_command_at(i)); i++) {
        if ((command->flags & MC_CLI_HIDDEN) || !shows_options(command->options))
            continue;
        fprintf(out->file, "        '%s') echo '", command->name);
        bash_options(out, command->options);
        fputs("' ;;\n", out->file);
    }
    fputs("    esac\n}\n"
          "_mindcore() {\n"
          "    local current=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    local command= words i\n"
          "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
          "        case ${COMP_WORDS[i]} in\n"
          "        --config | --db | --option | -c | -o) ((i++)) ;;\n"
          "        -*) ;;\n"
          "        *) command=${command:+$command }${COMP_WORDS[i]}\n"
          "           [[ -n $(_mindcore_words \"$command\") ]] || break ;;\n"
          "        esac\n"
          "    done\n"
          "    words=$(_mindcore_values \"$command $last\")\n"
          "    if [[ -z $words && $current == -* ]]; then\n"
          "        words=$(_mindcore_options \"$command\")\n"
          "    elif [[ -z $words && $last != -* ]]; then\n"
          "        words=$(_mindcore_words \"$command\")\n"
          "    fi\n"
          "    if [[ -n $words ]]; then\n"
          "        COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
          "    else\n"
          "        COMPREPLY=($(compgen -f -- \"$current\"))\n"
          "    fi\n"
          "}\n"
          "complete -F _mindcore mindcore\n",
          out->file);
}
