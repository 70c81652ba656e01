/*
 * What is remembered beside messages: preferences, agents, tiers; and the removal and export of a
 * user.
 *
 * Results are JSON texts with the keys of the HTTP interface (docs/http.md), freed with mc_free.
 */
#ifndef MINDCORE_MEMORY_H
#define MINDCORE_MEMORY_H

#include <mindcore/message.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Preferences of a user: an object with language, timezone, communication_style, interests[],
 * goals[], preferred_name, and `custom` (an object of the application's own fields). Missing ones
 * have defaults.
 */
MC_API MC_MUST_CHECK enum mc_status mc_preferences_get(struct mc_engine *engine, mc_str user_id,
                                                       char **json, struct mc_error *err);

/* How a field is changed: set replaces, add and remove change a list, clear restores the default.
 */
#define MC_PREFERENCE_ACTION_MAP(X)                                                                \
    X(SET, "set") X(ADD, "add") X(REMOVE, "remove") X(CLEAR, "clear")
enum mc_preference_action {
    MC_PREFERENCE_SET,
    MC_PREFERENCE_ADD,
    MC_PREFERENCE_REMOVE,
    MC_PREFERENCE_CLEAR
};
MC_API bool mc_preference_action_parse(mc_str name, enum mc_preference_action *action);

/* Changes one field; value is JSON (a string, number, boolean, list). *json is the result. */
MC_API MC_MUST_CHECK enum mc_status mc_preferences_update(struct mc_engine *engine, mc_str user_id,
                                                          mc_str field, mc_str value,
                                                          enum mc_preference_action action,
                                                          char **json, struct mc_error *err);

/* Merges an object into the preferences, all fields or none; null clears a field. */
MC_API MC_MUST_CHECK enum mc_status mc_preferences_patch(struct mc_engine *engine, mc_str user_id,
                                                         mc_str patch, char **json,
                                                         struct mc_error *err);

/* What was learned from the user's messages: {signals: [{field, value, count, last_seen, ready}]}.
 */
MC_API MC_MUST_CHECK enum mc_status mc_preferences_signals(struct mc_engine *engine, mc_str user_id,
                                                           char **json, struct mc_error *err);

/* Applies the signals that passed the thresholds: {applied: [{field, value}], preferences: {...}}.
 */
MC_API MC_MUST_CHECK enum mc_status mc_preferences_apply(struct mc_engine *engine, mc_str user_id,
                                                         char **json, struct mc_error *err);

/* An agent to register; zero-initialise. Registering an id again replaces it. */
struct mc_agent_input {
    mc_str agent_id; /* required */
    mc_str name;     /* required, 1 to 255 bytes */
    mc_str description;
    const mc_str *sharing_groups;
    size_t sharing_group_count;
    mc_str default_visibility; /* absent: private */
    bool cannot_read_public;
    bool can_write_public;
    mc_str metadata; /* JSON object */
};
MC_API MC_MUST_CHECK enum mc_status mc_agent_register(struct mc_engine *engine,
                                                      const struct mc_agent_input *agent,
                                                      char **json, struct mc_error *err);
/* The same from the JSON object of POST /v1/agents. */
MC_API MC_MUST_CHECK enum mc_status mc_agent_register_json(struct mc_engine *engine, mc_str object,
                                                           char **json, struct mc_error *err);
/* The agent's messages stay, readable by the same rules to others. MC_NOT_FOUND when unknown. */
MC_API MC_MUST_CHECK enum mc_status mc_agent_unregister(struct mc_engine *engine, mc_str agent_id,
                                                        struct mc_error *err);
MC_API MC_MUST_CHECK enum mc_status mc_agent_get(struct mc_engine *engine, mc_str agent_id,
                                                 char **json, struct mc_error *err);
/* {agents: [...]}, ordered by id. */
MC_API MC_MUST_CHECK enum mc_status mc_agent_list(struct mc_engine *engine, char **json,
                                                  struct mc_error *err);
/* {enabled, mode, total_agents, messages_by_agent, messages_by_visibility}. */
MC_API MC_MUST_CHECK enum mc_status mc_agent_stats(struct mc_engine *engine, char **json,
                                                   struct mc_error *err);

/*
 * Moves messages between tiers by age and importance, summarises long threads, deletes what is due, compresses the
 * archive. user_id absent: all users. {messages_migrated, threads_summarized, messages_deleted, bytes_deleted,
 * messages_compressed, bytes_before, bytes_after, errors, dry_run, run}: bytes before and after are of what was
 * compressed; in a dry run bytes_after is 0. run: the number by which it can be undone, null when there is nothing to undo.
 */
MC_API MC_MUST_CHECK enum mc_status mc_tiers_migrate(struct mc_engine *engine, mc_str user_id,
                                                     bool dry_run, mc_progress_fn progress,
                                                     void *context, char **json,
                                                     struct mc_error *err);

/*
 * Migrations that can be undone, for retention.undo_days after they began, the last one first. {runs: [{run, began_at,
 * ended_at (null: it goes on, or was cut off), undo_until, user_id (null: all users), messages_migrated,
 * messages_deleted, bytes_deleted, messages_compressed, undoing}]}.
 */
MC_API MC_MUST_CHECK enum mc_status mc_tiers_runs(struct mc_engine *engine, char **json,
                                                  struct mc_error *err);
/*
 * Takes back a migration and all later ones; run 0: the last one. Deleted messages are as they were, moved ones in the
 * tier that they came from, compressed ones are searchable again; summaries stay. {first_run, last_run,
 * messages_restored, messages_skipped, messages_moved_back, messages_decompressed, next_scheduled_migration, dry_run}:
 * skipped are those whose message_id was stored anew since; next_scheduled_migration, or null, is when the schedule
 * does it again if the options have not changed. MC_NOT_FOUND: it cannot be undone. Whatever cuts it off, the next
 * call, or the next migration, goes on with it.
 */
MC_API MC_MUST_CHECK enum mc_status mc_tiers_undo(struct mc_engine *engine, int64_t run,
                                                  bool dry_run, mc_progress_fn progress,
                                                  void *context, char **json, struct mc_error *err);

/*
 * Erases a user everywhere: messages, search index, cache, queue, summaries, preferences, signals.
 * The receipt: {user_id, erased_at, messages, messages_in_trash (of undoable migrations), threads, jobs, summaries, preferences, signals,
 * cached_threads, verified, wiped}. verified: a search afterwards found nothing of the user. wiped:
 * the words are overwritten in the files too; false: something was in the way (a reader, too large an
 * index), call it again; always false with PostgreSQL, whose files leave no such access. A cache that another process keeps for the same
 * database is emptied and overwritten by that process: within a second, or when it is next started. A user that is
 * unknown gives a receipt of zeros.
 */
MC_API MC_MUST_CHECK enum mc_status mc_user_erase(struct mc_engine *engine, mc_str user_id,
                                                  char **json, struct mc_error *err);

/*
 * Writes everything kept of a user, one JSON object a line ({"type": "message" | "summary" |
 * "preferences" | "signal", ...}), oldest messages first. write returns false to stop (MC_CANCELLED).
 */
typedef bool (*mc_write_fn)(void *context, const char *data, size_t len);
MC_API MC_MUST_CHECK enum mc_status mc_user_export(struct mc_engine *engine, mc_str user_id,
                                                   mc_str agent_id, mc_write_fn write,
                                                   void *context, struct mc_error *err);

/*
 * Summaries of a user's threads, newest first, only of threads of which the agent may read everything:
 * {summaries: [{user_id, thread_id, summary, key_facts, topics, method, messages, from, to}]}. limit 1 to 1000; 0: 20.
 */
MC_API MC_MUST_CHECK enum mc_status mc_user_summaries(struct mc_engine *engine, mc_str user_id,
                                                      mc_str agent_id, size_t limit, char **json,
                                                      struct mc_error *err);

/* Calls each for every user id, in order; return false to stop. For tools. */
typedef bool (*mc_user_fn)(void *context, mc_str user_id);
MC_API MC_MUST_CHECK enum mc_status mc_user_each(struct mc_engine *engine, mc_user_fn each,
                                                 void *context, struct mc_error *err);

/*
 * Whose memory there is, page by page: those that have messages and whose ids begin with prefix (absent: all), in
 * order of their ids, behind `after` (absent: from the first), at most limit (1 to 1000; 0: 100). *json: {users: [{user_id, messages, threads,
 * last_message_at}], next}, freed with mc_free; next, there after a full page, is the following page's `after`.
 * MC_INVALID, with the field: a bad id or limit. Tells ids and counts only.
 */
MC_API MC_MUST_CHECK enum mc_status mc_user_list(struct mc_engine *engine, mc_str prefix,
                                                 mc_str after, size_t limit, char **json,
                                                 struct mc_error *err);
/*
 * The threads of a user in the same way, the one with the newest message first: {threads: [{thread_id,
 * messages, last_message_at}], next}. An unknown user has none; behind a thread that is not there comes nothing.
 */
MC_API MC_MUST_CHECK enum mc_status mc_thread_list(struct mc_engine *engine, mc_str user_id,
                                                   mc_str after, size_t limit, char **json,
                                                   struct mc_error *err);

#ifdef __cplusplus
}
#endif
#endif
