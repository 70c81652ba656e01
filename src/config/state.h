/*
 * The inside of a configuration: for each row of the options table the value in force and where it
 * came from. Changes are made on a copy that replaces the original at the end, so a failed load
 * changes nothing.
 */
#ifndef MC_CONFIG_STATE_H
#define MC_CONFIG_STATE_H

#include "config/value.h"

struct mc_setting {
    struct mc_value value;
    enum mc_source source;
    char *origin; /* "file mindcore.yaml:3", "environment MINDCORE_CACHE_TTL"; NULL without more to
                     say */
};

struct mc_config {
    size_t count;
    struct mc_setting settings[];
};

static inline void mc_config_free_ptr(struct mc_config **config)
{
    mc_config_free(*config);
}

/*
 * Puts a value into force unless a stronger source has set the option; takes the value over in any
 * case. Only MC_NO_MEMORY fails.
 */
MC_MUST_CHECK enum mc_status mc_config_put(struct mc_config *config, size_t option,
                                           struct mc_value *value, enum mc_source source,
                                           const char *origin, struct mc_error *err);

/* Exchanges the contents of two configurations. */
void mc_config_swap(struct mc_config *a, struct mc_config *b);

/* Completes an error about an option: the place and the key before the message, the key as field.
 */
enum mc_status mc_config_fail_at(struct mc_error *err, enum mc_status status, const char *place,
                                 const char *key);

#endif
