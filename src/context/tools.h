/*
 * The tools that a model has while it chooses what a context needs. One table gives each its name, its
 * description, the schema of its arguments, and the function that carries it out.
 *
 * A tool reads what the request's reader may read and nothing else. What it found is given back as text
 * for the model: one that comes from people never begins a line of its own (context/render.h). Messages
 * are numbered as they are first shown; the number is how the model names them.
 */
#ifndef MC_CONTEXT_TOOLS_H
#define MC_CONTEXT_TOOLS_H

#include "base/buf.h"
#include "base/json.h"
#include "context/context.h"
#include "context/query.h"
#include "text/ground.h"

#define MC_TOOL_CALLS 3        /* in one answer */
#define MC_TOOL_MARKS 8        /* messages that an answer marks as relevant */
#define MC_TOOL_POINTS 5       /* key points of an answer */
#define MC_TOOL_POINT_TEXT 160 /* characters of one */
#define MC_TOOL_SHOWN_MAX 96   /* messages that get a number */
#define MC_TOOL_ARGUMENTS 6

/* What the tools of one request work on, and what they showed. */
struct mc_toolbox {
    const struct mc_retrieval *r;
    const struct mc_context_query *query;
    const struct mc_reader *reader; /* narrowed by the query */
    const struct mc_query *words;   /* of the query: parts of long messages are taken around them */
    int64_t now_us;
    int64_t deadline_us;    /* monotonic */
    struct mc_arena *arena; /* of the request */
    mc_str preferences;     /* the user's, as JSON; after a change the new ones */
    bool preferences_changed;
    mc_str *source_topics; /* what external sources know about */
    size_t source_topic_count;
    struct mc_lookup_piece *pieces; /* what they answered */
    size_t piece_count;
    struct mc_records shown; /* message number 1 is the first */
    struct mc_ground ground; /* what was said in what was shown */
};

/* Sets the rest after r to preferences have been set. Release with mc_tools_fini. */
MC_MUST_CHECK enum mc_status mc_tools_init(struct mc_toolbox *box, struct mc_error *err);
void mc_tools_fini(struct mc_toolbox *box);

/*
 * The shape of an answer: {"calls": [..], "relevant": [..], "key_points": [..]}, without calls when none are
 * offered. Numbers are those of the messages shown so far.
 */
void mc_tools_schema(const struct mc_toolbox *box, bool calls, struct mc_buf *json);
/* A line for each tool: its arguments and what it does. */
void mc_tools_describe(const struct mc_toolbox *box, struct mc_buf *text);

/* A call that was carried out or refused, for the metadata. */
struct mc_tool_use {
    const char *tool;
    mc_str arguments; /* a JSON object, as they were understood; arena */
    size_t results;   /* messages, summaries, pieces, fields */
    mc_str refused;   /* why, empty when it was carried out; arena */
};
/*
 * Carries out one call of an answer and appends what it found, at most about max_units by the estimate. False
 * for what names no tool that is offered. What is wrong with arguments is put right (unknown topics dropped, numbers
 * clamped) or told to the model; a failure is one of ours.
 */
MC_MUST_CHECK enum mc_status mc_tools_call(struct mc_toolbox *box, const struct mc_json *call,
                                           size_t max_units, struct mc_buf *text,
                                           struct mc_tool_use *use, bool *known,
                                           struct mc_error *err);

/* Whether a message has a number already. */
bool mc_tools_is_shown(const struct mc_toolbox *box, const struct mc_record *record);
/* Shows a message under its number; *shown is false when it does not fit, or there are too many. */
MC_MUST_CHECK enum mc_status mc_tools_show(struct mc_toolbox *box, struct mc_record *record,
                                           size_t max_units, struct mc_buf *text, bool *shown,
                                           struct mc_error *err);

/* Shows what an external source said; *shown is false when nothing of it fits. */
MC_MUST_CHECK enum mc_status mc_tools_piece(struct mc_toolbox *box,
                                            const struct mc_lookup_piece *piece, size_t max_units,
                                            struct mc_buf *text, bool *shown, struct mc_error *err);

/* ---- Between tools.c, the table, and tools_run.c, the functions ---- */

struct mc_tool_value {
    mc_str text;
    mc_str items[MC_TOOL_MARKS];
    size_t count;
    size_t number;
    bool flag;
};
struct mc_tool_run {
    struct mc_toolbox *box;
    struct mc_tool_value values[MC_TOOL_ARGUMENTS]; /* in the order of the table */
    size_t max_units;
    struct mc_buf text; /* what was found */
    size_t results;
    mc_str refused;
};
typedef enum mc_status (*mc_tool_fn)(struct mc_tool_run *run, struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_tool_recent(struct mc_tool_run *run, struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_tool_search(struct mc_tool_run *run, struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_tool_session(struct mc_tool_run *run, struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_tool_summaries(struct mc_tool_run *run, struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_tool_preferences(struct mc_tool_run *run, struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_tool_change(struct mc_tool_run *run, struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_tool_lookup(struct mc_tool_run *run, struct mc_error *err);

#endif
