/*
 * What a caller wants stored: reading it from JSON, and checking it against the limits of
 * <mindcore/message.h>. Pure functions.
 */
#ifndef MC_MESSAGE_INPUT_H
#define MC_MESSAGE_INPUT_H

#include <mindcore/message.h>

#include "base/arena.h"
#include "base/json.h"

#define MC_TEXT_MAX_CHARACTERS 100000
#define MC_ID_MAX_BYTES 255
#define MC_METADATA_MAX_BYTES 65536
#define MC_SHARING_GROUPS_MAX 32

/*
 * Fills an input from the JSON object of POST /v1/messages. Strings borrow from the object and the arena.
 * Unknown members, wrong types and missing members are MC_INVALID and name the member.
 */
MC_MUST_CHECK enum mc_status mc_input_from_json(const struct mc_json *object,
                                                struct mc_arena *arena,
                                                struct mc_message_input *input,
                                                struct mc_error *err);

/* An identifier: 1 to 255 bytes of ASCII letters, digits and _ - : . @; the error names the field. */
MC_MUST_CHECK enum mc_status mc_input_check_id(const char *field, mc_str id, struct mc_error *err);

/* Text: 1 to MC_TEXT_MAX_CHARACTERS characters of valid UTF-8 without NUL, not blank. */
MC_MUST_CHECK enum mc_status mc_input_check_text(const char *field, mc_str text,
                                                 struct mc_error *err);

/* At most MC_SHARING_GROUPS_MAX ids; the error names sharing_groups. */
MC_MUST_CHECK enum mc_status mc_input_check_groups(const mc_str *groups, size_t count,
                                                   struct mc_error *err);

/* Absent, or a JSON object of at most MC_METADATA_MAX_BYTES; the error names metadata. */
MC_MUST_CHECK enum mc_status mc_input_check_metadata(mc_str metadata, struct mc_error *err);

/* MC_INVALID for a member of an object that is not one of its fields; its name is the error's field. */
enum mc_status mc_input_unknown(mc_str member, const char *advice, struct mc_error *err);

/* MC_INVALID for a member that must be what is wanted ("a string") and is not. */
enum mc_status mc_input_wrong_type(const char *field, const char *wanted,
                                   const struct mc_json *node, struct mc_error *err);

/*
 * A member that must be a JSON object, as compact JSON in the arena, of at most so many bytes; the error names the
 * field.
 */
MC_MUST_CHECK enum mc_status mc_input_object(const struct mc_json *node, const char *field,
                                             size_t max_bytes, struct mc_arena *arena, mc_str *json,
                                             struct mc_error *err);

/*
 * Checks everything and turns it into a message: role, visibility (the default when absent), sharing groups,
 * times. The metadata of the message is left empty; strings are borrowed from the input.
 */
MC_MUST_CHECK enum mc_status mc_input_check(const struct mc_message_input *input,
                                            enum mc_visibility default_visibility, int64_t now_us,
                                            struct mc_message *message, struct mc_error *err);

/* The object of the HTTP interface, written as one value. */
void mc_message_write(const struct mc_message *message, struct mc_json_writer *w);

/* A JSON array of strings into the arena: MC_INVALID naming the field when it is anything else. */
MC_MUST_CHECK enum mc_status mc_input_string_list(const struct mc_json *node, const char *field,
                                                  size_t max, struct mc_arena *arena,
                                                  const mc_str **items, size_t *count,
                                                  struct mc_error *err);

/* Strings as a JSON array of strings. */
void mc_input_write_list(struct mc_json_writer *w, const mc_str *items, size_t count);

#endif
