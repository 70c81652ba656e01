/*
 * What the library logs, for Python's logging. Its threads put records into a queue of fixed size and
 * go on; a Python thread takes them out. So a logger that is slow or waits for the GIL hinders nobody,
 * and what does not fit is counted, not waited for.
 */
#ifndef MC_PYTHON_LOG_H
#define MC_PYTHON_LOG_H

#include "binding.h"

bool mc_py_log_init(PyObject *module);

#endif
