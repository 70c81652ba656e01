/* Statuses of the C interface as exceptions of mindcore.errors. */
#ifndef MC_PYTHON_RAISE_H
#define MC_PYTHON_RAISE_H

#include "binding.h"

/* Takes the classes from mindcore.errors; once, when the module is imported. */
bool mc_py_errors_init(void);

/* The exception for an error, not raised. */
PyObject *mc_py_error_new(const struct mc_error *err);
/* Raises it; always NULL. */
PyObject *mc_py_raise(const struct mc_error *err);

/* Raises InvalidArgumentError, or ArgumentTypeError (which is also a TypeError); always false. */
bool mc_py_raise_invalid(const char *field, const char *format, ...) MC_PRINTF(2, 3);
bool mc_py_raise_type(const char *field, const char *expected, PyObject *got);

/* ClientClosedError, and ForkedClientError; always NULL. */
PyObject *mc_py_raise_closed(void);
PyObject *mc_py_closed_new(void);
PyObject *mc_py_raise_forked(void);
PyObject *mc_py_raise_inherited(void); /* by a process that was forked with a client open */

#endif
