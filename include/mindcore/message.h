/*
 * Messages: store, read, delete.
 *
 * Where agents are enabled (multi_agent.enabled), reads take the id of the reading agent and return
 * only what it may see; an absent agent id then reads only messages without an agent and public
 * ones, or is an error when multi_agent.require_agent_id is set. Where agents are not enabled the
 * reader is ignored.
 */
#ifndef MINDCORE_MESSAGE_H
#define MINDCORE_MESSAGE_H

#include <mindcore/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A message to store. Zero-initialise, then set what is known; strings are borrowed for the call.
 *
 * Limits: text 1 to 100,000 characters of valid UTF-8 without NUL, not blank; ids 1 to 255 bytes of
 * ASCII letters, digits and _ - : . @; metadata a JSON object of at most 64 KiB; at most 32 sharing
 * groups.
 */
struct mc_message_input {
    mc_str user_id;    /* required */
    mc_str thread_id;  /* required */
    mc_str session_id; /* required */
    mc_str role;       /* required: user, assistant, system, tool */
    mc_str text;       /* required */
    mc_str message_id; /* absent: assigned, "msg_" and 32 hexadecimal digits in order of time */
    mc_str agent_id;
    mc_str visibility; /* absent: multi_agent.default_visibility */
    const mc_str *sharing_groups;
    size_t sharing_group_count;
    int64_t created_at_us; /* 0: now */
    mc_str metadata;       /* JSON object, kept unchanged under "extra" */
};

/*
 * Stores one message and its enrichment job in one transaction and returns when it is durable. The
 * same message_id with the same content changes nothing and succeeds (*created false); with other
 * content, or of another user, MC_CONFLICT.
 *
 * *stored (may be NULL) is a list of one message.
 */
MC_API MC_MUST_CHECK enum mc_status mc_message_ingest(struct mc_engine *engine,
                                                      const struct mc_message_input *input,
                                                      struct mc_message_list **stored,
                                                      bool *created, struct mc_error *err);

/* What became of one message of a batch. */
struct mc_ingest_result {
    enum mc_status status; /* MC_OK: stored, or there already */
    bool created;
    struct mc_error error; /* when status is not MC_OK */
};

/*
 * Stores many messages in one transaction; results[i] tells of inputs[i], a refused one does not
 * hinder the others. MC_OK when the batch was carried out, whatever became of each; a failure when
 * nothing was stored (the store failed). *stored (may be NULL) holds the messages that succeeded,
 * in order.
 */
MC_API MC_MUST_CHECK enum mc_status mc_message_ingest_batch(
    struct mc_engine *engine, const struct mc_message_input *inputs, size_t count,
    struct mc_ingest_result *results, struct mc_message_list **stored, struct mc_error *err);

/*
 * The same from JSON objects with the fields of POST /v1/messages, one for each text. Unknown
 * fields, wrong types and missing fields are errors of that item and name the field.
 */
MC_API MC_MUST_CHECK enum mc_status mc_message_ingest_json(struct mc_engine *engine,
                                                           const mc_str *objects, size_t count,
                                                           struct mc_ingest_result *results,
                                                           struct mc_message_list **stored,
                                                           struct mc_error *err);

/* One message by its id, as a list of one. MC_NOT_FOUND also for one that the reader may not see.
 */
MC_API MC_MUST_CHECK enum mc_status mc_message_get(struct mc_engine *engine, mc_str message_id,
                                                   mc_str reader_agent_id,
                                                   struct mc_message_list **found,
                                                   struct mc_error *err);

/*
 * What one call that reads several messages loads of them at most, in bytes of text, metadata and index terms: one that asks
 * for more messages than that is MC_TOO_LARGE. Windows and contexts, which have a budget, make do with it instead.
 */
#define MC_READ_BYTES_MAX ((size_t)64 << 20)

/*
 * Who bounds what many calls load together. Each asks, in its own thread, before it loads more than a MiB, and again for
 * each that follows; false ends it with MC_BUSY. The calls give nothing back: whoever granted it does when the result is freed.
 */
struct mc_memory {
    bool (*reserve)(void *context, size_t bytes);
    void *context;
};

/*
 * The newest messages of a thread, newest first; before (may be absent) is the id of a message of
 * the thread, only older ones are returned. limit 1 to 1000. An unknown thread is an empty list.
 */
struct mc_recent_query {
    mc_str user_id;
    mc_str thread_id;
    mc_str agent_id;
    mc_str before;
    size_t limit;                   /* 0: 20 */
    const struct mc_memory *memory; /* NULL: nobody is asked */
};
MC_API MC_MUST_CHECK enum mc_status mc_message_recent(struct mc_engine *engine,
                                                      const struct mc_recent_query *query,
                                                      struct mc_message_list **found,
                                                      struct mc_error *err);

/*
 * The newest messages that fit a budget, oldest first. Messages whose decayed importance is below
 * min_importance are left out. A message too long for what is left of max_tokens ends the window;
 * the newest one is cut to fit instead, so that one huge message does not empty it.
 */
struct mc_window_query {
    mc_str user_id;
    mc_str thread_id;
    mc_str agent_id;
    size_t max_messages;            /* 0: context.max_messages; at most 1000 */
    size_t max_tokens;              /* 0: context.max_tokens */
    double min_importance;          /* 0..1 */
    const struct mc_memory *memory; /* NULL: nobody is asked */
};
MC_API MC_MUST_CHECK enum mc_status mc_message_window(struct mc_engine *engine,
                                                      const struct mc_window_query *query,
                                                      struct mc_message_list **found,
                                                      struct mc_error *err);

/*
 * Deletes one message from the store, the search index, the cache and the queue. Where agents are
 * enabled only the agent that a message belongs to may delete it: MC_FORBIDDEN for one that the
 * reader may only read.
 */
MC_API MC_MUST_CHECK enum mc_status mc_message_delete(struct mc_engine *engine, mc_str message_id,
                                                      mc_str agent_id, struct mc_error *err);

/*
 * Importance of a message at a time: halves every retention.half_life_days of age, never below 0.05
 * and never above what is stored.
 */
MC_API double mc_importance_decayed(const struct mc_engine *engine,
                                    const struct mc_message *message, int64_t now_us);

/* Estimated tokens of a text: the model's own count where a local model is loaded, else
 * docs/context.md. */
MC_API size_t mc_token_count(const struct mc_engine *engine, mc_str text);

#ifdef __cplusplus
}
#endif
#endif
