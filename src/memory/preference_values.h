/*
 * What a user's preferences hold: the table of fields, their checks, and the object as JSON (preferences.h lists
 * them). Pure.
 */
#ifndef MC_MEMORY_PREFERENCE_VALUES_H
#define MC_MEMORY_PREFERENCE_VALUES_H

#include <mindcore/memory.h>

#include "base/arena.h"
#include "base/json.h"

/*
 * The fields that hold plain text, or a list of it, by index from 0: all but custom. NULL behind the last; *list says
 * which it is.
 */
const char *mc_preference_plain_field(size_t index, bool *list);
/* False for a name that is no field's, too. */
bool mc_preference_is_list(mc_str name);

/* One value a field. Texts are borrowed from what they were set from; objects are copied into the arena. */
struct mc_preference_values;
/* Lives in the arena, all fields empty. NULL: out of memory. */
struct mc_preference_values *mc_preference_values_new(struct mc_arena *arena);

/* Sets the fields that an object has; null makes one empty. MC_INVALID, with the known fields for an unknown one. */
MC_MUST_CHECK enum mc_status mc_preference_values_merge(struct mc_preference_values *values,
                                                        const struct mc_json *object,
                                                        struct mc_error *err);
/* One field, as mc_preferences_change; add and remove take one text or a list of them. */
MC_MUST_CHECK enum mc_status mc_preference_values_change(struct mc_preference_values *values,
                                                         mc_str field, const struct mc_json *node,
                                                         enum mc_preference_action action,
                                                         struct mc_error *err);
/* Puts what was learned into a field; true when that changed it. */
bool mc_preference_values_learn(struct mc_preference_values *values, mc_str field, mc_str text);

void mc_preference_values_write(const struct mc_preference_values *values,
                                struct mc_json_writer *w);

#endif
