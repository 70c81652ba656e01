/*
 * From text or a tree to the value of one option: type, range, canonical text. Errors are MC_CONFIG
 * with the key as field and a message without the place ("must be 1..16, found '40'"); secrets are
 * not quoted.
 */
#ifndef MC_CONFIG_VALUE_H
#define MC_CONFIG_VALUE_H

#include <mindcore/config.h>

#include "base/buf.h"
#include "config/node.h"

/* Longest text of one scalar, and of one list or map as JSON. */
#define MC_VALUE_TEXT_MAX ((size_t)64 * 1024)
#define MC_VALUE_JSON_MAX ((size_t)1024 * 1024)

struct mc_value {
    char *text;      /* NULL for none; free() */
    int64_t integer; /* of an integer, of a duration in microseconds, of a boolean 0 or 1 */
    double number;
};

void mc_value_fini(struct mc_value *value);

/* From text alone: an argument, a variable, the default. Lists and maps are JSON; a list of text
 * may also be separated by commas. Empty text is none where the option allows it. */
MC_MUST_CHECK enum mc_status mc_value_from_text(size_t option, mc_str text, struct mc_value *value,
                                                struct mc_error *err);

/* From a tree whose variables are expanded. *at is the node at fault. */
MC_MUST_CHECK enum mc_status mc_value_from_node(size_t option, const struct mc_node *node,
                                                struct mc_value *value, const struct mc_node **at,
                                                struct mc_error *err);

/* Scalars only; what mc_value_from_text does for them. */
MC_MUST_CHECK enum mc_status mc_value_scalar(size_t option, mc_str text, struct mc_value *value,
                                             struct mc_error *err);

/* Valid UTF-8 of at most MC_VALUE_TEXT_MAX bytes without control characters (tab and line end
 * excepted). */
MC_MUST_CHECK enum mc_status mc_value_check_text(const char *key, mc_str text,
                                                 struct mc_error *err);

/* A buffer that failed: out of memory, or longer than its maximum once it was at least half full.
 */
enum mc_status mc_value_fail_buf(const struct mc_buf *buf, const char *key, struct mc_error *err);

/* "found 'four'" for messages: printable, cut, or a phrase that hides a secret. */
#define MC_VALUE_FOUND_SIZE 96
const char *mc_value_found(bool secret, mc_str text, char found[MC_VALUE_FOUND_SIZE]);

#endif
