/* What the engine needs of a configuration beyond <mindcore/config.h>. */
#ifndef MC_CONFIG_CONFIG_H
#define MC_CONFIG_CONFIG_H

#include <mindcore/config.h>

#include "base/buf.h"

/* A copy that shares nothing; free with mc_config_free. */
MC_MUST_CHECK enum mc_status mc_config_copy(const struct mc_config *config, struct mc_config **copy,
                                            struct mc_error *err);

/* The section `vocabulary` as the one object that mc_vocabulary_extend_json takes; failures stick to out. */
void mc_config_vocabulary_section(const struct mc_config *config, struct mc_buf *out);

#endif
