/*
 * Preferences of a user, and the signals learned from messages (docs/preferences.md).
 *
 * Fields: language, timezone, communication_style (concise, balanced, detailed), preferred_name: text or null;
 * interests, goals: lists of up to 50 distinct texts; custom: an object of at most 16 KiB. Changes of one user
 * are serialised. Thread-safe.
 */
#ifndef MC_MEMORY_PREFERENCES_H
#define MC_MEMORY_PREFERENCES_H

#include <mindcore/memory.h>

#include "base/arena.h"
#include "message/metadata.h"
#include "store/store.h"

struct mc_preferences_options {
    int64_t signal_min_count;     /* observations before a signal is ready */
    double signal_min_confidence; /* share of the field's observations that agree, 0..1 */
    bool auto_apply;              /* apply ready signals as they are learned */
};

struct mc_preferences;
MC_MUST_CHECK enum mc_status mc_preferences_open(struct mc_store *store,
                                                 const struct mc_preferences_options *options,
                                                 struct mc_preferences **preferences,
                                                 struct mc_error *err);
void mc_preferences_close(struct mc_preferences *preferences); /* accepts NULL */

/* While the user is erased: changes of this process to the user's preferences wait. */
void mc_preferences_lock(struct mc_preferences *preferences, mc_str user_id);
void mc_preferences_unlock(struct mc_preferences *preferences, mc_str user_id);

/* What <mindcore/memory.h> says of the functions of the same name; results are written to json. */
MC_MUST_CHECK enum mc_status mc_preferences_read(struct mc_preferences *preferences, mc_str user_id,
                                                 struct mc_buf *json, struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_preferences_change(struct mc_preferences *preferences,
                                                   mc_str user_id, mc_str field, mc_str value,
                                                   enum mc_preference_action action,
                                                   struct mc_buf *json, struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_preferences_merge(struct mc_preferences *preferences,
                                                  mc_str user_id, mc_str patch, struct mc_buf *json,
                                                  struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_preferences_list_signals(struct mc_preferences *preferences,
                                                         mc_str user_id, struct mc_buf *json,
                                                         struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_preferences_apply_signals(struct mc_preferences *preferences,
                                                          mc_str user_id, struct mc_buf *json,
                                                          struct mc_error *err);

/*
 * Learns from an enriched message of the user (role user only): topics seen again and again (interests), "call me X" and
 * "my name is X" (preferred_name), "in German please" and the script of the text (language), "keep it short" /
 * "in detail" (communication_style), time zones named, "I like/love/prefer X" (interests), "I want to / my goal is" (goals).
 * What was observed, to be stored with the message's enrichment (struct mc_completion): pure, everything in the arena.
 */
MC_MUST_CHECK enum mc_status mc_signals_of(const struct mc_message *message,
                                           const struct mc_metadata *metadata,
                                           struct mc_arena *arena, struct mc_signal **signals,
                                           size_t *count, struct mc_error *err);
/* Applies the user's ready signals when auto_apply is set; else nothing. */
MC_MUST_CHECK enum mc_status mc_preferences_auto_apply(struct mc_preferences *preferences,
                                                       mc_str user_id, struct mc_error *err);

#endif
