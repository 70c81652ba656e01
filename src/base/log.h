/* Reports of background work to the program (mc_log_set). Silent unless the program listens. Thread-safe. */
#ifndef MC_BASE_LOG_H
#define MC_BASE_LOG_H

#include <mindcore/engine.h>

/* module: "store", "enrich", ... ; one line, no secrets. */
void mc_log(enum mc_log_level level, const char *module, const char *format, ...) MC_PRINTF(3, 4);
/* One logfmt line of the program on stderr, "ts=... level=info msg=..." and the pairs as they are given. */
void mc_log_stderr(void *context, enum mc_log_level level, const char *module, const char *message);
/* The same as one JSON object: {"ts":"...","level":"info","module":"...","msg":"..."}. */
void mc_log_stderr_json(void *context, enum mc_log_level level, const char *module,
                        const char *message);

#endif
