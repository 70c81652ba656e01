/* _mindcore.Engine: an open memory, and the rules of its use: no call after close, none in a forked child. */
#ifndef MC_PYTHON_ENGINE_H
#define MC_PYTHON_ENGINE_H

#include "binding.h"

struct mc_py_engine;

bool mc_py_engine_init(PyObject *module);

/* The engine of an Engine object, for as long as the object lives; NULL with an exception for another. */
struct mc_py_engine *mc_py_engine_of(PyObject *object);

/*
 * Begins a call: NULL when the engine is closed or closing. Ends with mc_py_engine_leave. Both without
 * or with the GIL.
 */
struct mc_engine *mc_py_engine_enter(struct mc_py_engine *engine);
void mc_py_engine_leave(struct mc_py_engine *engine);

/* Whether this process may call it; else false with an exception. */
bool mc_py_engine_allowed(const struct mc_py_engine *engine);

/* Whether this process may open one, and use what the library has one of; else false with an exception. */
bool mc_py_process_allowed(void);

/* A configuration of the file (NULL: as mc_config_load) with a dict of options on top; NULL with an exception. */
struct mc_config *mc_py_config_load(const char *path, bool environment, PyObject *options);

/* Forks that the process has gone through as the child; whatever was made at another count is not ours. */
unsigned mc_py_forks(void);

/*
 * A bridge to Python that close ends: stop is called before it waits for calls, without the GIL, and
 * release when the engine calls no more, with it.
 */
struct mc_py_bridge {
    struct mc_py_bridge *next;
    void (*stop)(struct mc_py_bridge *bridge);
    void (*release)(struct mc_py_bridge *bridge);
};
/* With the GIL. */
void mc_py_engine_add_bridge(struct mc_py_engine *engine, struct mc_py_bridge *bridge);
void mc_py_engine_remove_bridge(struct mc_py_engine *engine, struct mc_py_bridge *bridge);

#endif
