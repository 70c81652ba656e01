/*
 * Inside view of the options table: what kind of value each row takes, finding rows by key, and the
 * names of the environment. Rows are named by their index. Pure functions.
 */
#ifndef MC_CONFIG_OPTIONS_H
#define MC_CONFIG_OPTIONS_H

#include <mindcore/config.h>

enum mc_option_kind {
    MC_KIND_TEXT,
    MC_KIND_PATH,
    MC_KIND_SECRET,
    MC_KIND_ADDRESS, /* host:port */
    MC_KIND_URL,     /* http:// or https:// */
    MC_KIND_CHOICE,  /* one of the range, case ignored */
    MC_KIND_BOOLEAN,
    MC_KIND_INTEGER,
    MC_KIND_BYTES, /* an integer that may carry KB, KiB, ... */
    MC_KIND_NUMBER,
    MC_KIND_DURATION,  /* a number in the row's unit, or with ms, s, m, h or d */
    MC_KIND_TEXTS,     /* from here on lists and maps, kept as JSON */
    MC_KIND_SECRETS,   /* a list of text that is never shown */
    MC_KIND_PATTERNS,  /* a list of {category, pattern} */
    MC_KIND_TEXT_MAP,  /* text to text */
    MC_KIND_TOPIC_MAP, /* text to text or a list of text */
    MC_KIND_PRICES     /* text to {input, output} */
};

/* Room for any key, section or environment name. */
#define MC_OPTION_NAME_SIZE 64

#define MC_OPTION_NONE SIZE_MAX
/* The row of a key, MC_OPTION_NONE when there is none. */
size_t mc_option_find(mc_str key);
/* Whether some key begins with this one and a dot. */
bool mc_option_is_section(mc_str key);
/* The key or section that an unknown one was probably meant to be; false when none is near. */
bool mc_option_nearest(mc_str key, char text[MC_OPTION_NAME_SIZE]);

enum mc_option_kind mc_option_kind(size_t index);
/* "an integer", "a list of text", ... for messages. */
const char *mc_option_kind_text(enum mc_option_kind kind);
static inline bool mc_option_is_list(enum mc_option_kind kind)
{
    return kind == MC_KIND_TEXTS || kind == MC_KIND_SECRETS || kind == MC_KIND_PATTERNS;
}
static inline bool mc_option_is_map(enum mc_option_kind kind)
{
    return kind >= MC_KIND_TEXT_MAP;
}
/* Never to be shown, not even in errors. */
static inline bool mc_option_is_secret(enum mc_option_kind kind)
{
    return kind == MC_KIND_SECRET || kind == MC_KIND_SECRETS;
}
/* May be without a value. */
bool mc_option_is_optional(size_t index);

/*
 * The names by which the environment may set the row, in the order in which they are asked: 0 is
 * the table's own, then the short form of the section (MINDCORE_DB_HOST), then
 * MINDCORE_<SECTION>_<KEY>. NULL behind the last one; text is where a name is built.
 */
const char *mc_option_environment(size_t index, int nth, char text[MC_OPTION_NAME_SIZE]);

#endif
