/*
 * Arguments of a call: a tuple of Python values becomes a struct of the C interface, as a table says.
 * None leaves a member zero, which means "not given" everywhere.
 */
#ifndef MC_PYTHON_ARGUMENT_H
#define MC_PYTHON_ARGUMENT_H

#include "binding.h"

enum mc_py_type {
    MC_PY_TEXT,    /* str: mc_str */
    MC_PY_TEXTS,   /* a sequence of str, not a str: const mc_str * and, at count_offset, size_t */
    MC_PY_SIZE,    /* int from 1: size_t */
    MC_PY_NUMBER,  /* finite float or int: double */
    MC_PY_INTEGER, /* int: int64_t */
    MC_PY_FLAG,    /* bool */
};

struct mc_py_argument {
    enum mc_py_type type;
    const char *name;
    size_t offset;
    size_t count_offset;
};

#define MC_PY_KEPT_OBJECTS 16
#define MC_PY_KEPT_BLOCKS 4

/* What the struct points into. Zero-initialise; a table has at most so many arguments of a kind. */
struct mc_py_kept {
    PyObject *objects[MC_PY_KEPT_OBJECTS];
    size_t object_count;
    void *blocks[MC_PY_KEPT_BLOCKS];
    size_t block_count;
};
void mc_py_kept_fini(struct mc_py_kept *kept);

/*
 * Fills target. ArgumentTypeError or InvalidArgumentError name the argument; what was taken until then
 * is in kept.
 */
bool mc_py_arguments_take(const struct mc_py_argument *table, size_t count, PyObject *values,
                          void *target, struct mc_py_kept *kept);

#endif
