/*
 * The argument of --db, or of another option (for error texts), put into the configuration: sqlite:PATH, or
 * postgresql://[USER[:PASSWORD]@]HOST[:PORT]/NAME[?sslmode=MODE] with %HH in each part.
 */
#ifndef MC_CLI_DATABASE_URL_H
#define MC_CLI_DATABASE_URL_H

#include <mindcore/config.h>

MC_MUST_CHECK enum mc_status mc_database_url_apply(struct mc_config *config, const char *option,
                                                   mc_str url, struct mc_error *err);

#endif
