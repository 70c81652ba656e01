/*
 * The engine: one open memory, its store, cache and workers.
 *
 * Every function that takes an engine may be called from any thread at any time between open and
 * close. Functions return MC_OK or a failure; on failure outputs are untouched and *err (which may be
 * NULL) says why.
 */
#ifndef MINDCORE_ENGINE_H
#define MINDCORE_ENGINE_H

#include <mindcore/config.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mc_engine;

/*
 * Opens the memory that the configuration describes: creates or migrates the database, opens the
 * cache, starts the workers. config may be NULL for the defaults. Close with mc_engine_close.
 *
 * MC_CONFIG: an option cannot be served. MC_CORRUPT: the file is not a database of Mindcore.
 * MC_VERSION: it was written by a newer version. MC_IO, MC_BUSY: it cannot be read, written, or is locked.
 */
MC_API MC_MUST_CHECK enum mc_status mc_engine_open(const struct mc_config *config,
                                                   struct mc_engine **engine, struct mc_error *err);

/* How a program opens the engine that does one thing and ends. Zero: as a service does. */
struct mc_open_options {
    bool lazy_model;   /* a local model is loaded when it is first asked, not at the start */
    bool leave_models; /* messages that wait for a model are left to others */
};
/* options may be NULL. */
MC_API MC_MUST_CHECK enum mc_status mc_engine_open_with(const struct mc_config *config,
                                                        const struct mc_open_options *options,
                                                        struct mc_engine **engine,
                                                        struct mc_error *err);

/*
 * Stops the workers (each finishes or releases what it holds), closes everything and frees the handle.
 * No other call may be running. Accepts NULL.
 */
MC_API void mc_engine_close(struct mc_engine *engine);

/*
 * Waits until no job is ready or running: MC_OK, or MC_TIMEOUT after timeout_ms (negative: no limit).
 * For tools and tests.
 */
MC_API MC_MUST_CHECK enum mc_status mc_engine_drain(struct mc_engine *engine, int64_t timeout_ms,
                                                    struct mc_error *err);

/* Stops claiming new jobs, and goes on again; for maintenance and measurements. Queued work is kept. */
MC_API void mc_engine_pause(struct mc_engine *engine, bool paused);

/* Facts of the open engine. */
MC_API int mc_engine_worker_count(const struct mc_engine *engine);
/* The model that is asked first: "llama_cpp", "openai"; "builtin" when none is configured. */
MC_API const char *mc_engine_provider(const struct mc_engine *engine);
MC_API const char *mc_engine_backend(const struct mc_engine *engine); /* "sqlite", ... */
MC_API bool mc_engine_multi_agent(const struct mc_engine *engine);

/* Version of the library, "0.1.0". */
MC_API const char *mc_version(void);

/* How the library reports what it does on its own (workers, migrations). NULL (the default): silent. */
enum mc_log_level { MC_LOG_DEBUG, MC_LOG_INFO, MC_LOG_WARNING, MC_LOG_ERROR };
typedef void (*mc_log_fn)(void *context, enum mc_log_level level, const char *module,
                          const char *message);
/* Process-wide. The function may be called from any thread; it must not call back into the engine. */
MC_API void mc_log_set(mc_log_fn log, void *context, enum mc_log_level least);

#ifdef __cplusplus
}
#endif
#endif
