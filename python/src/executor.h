/*
 * _mindcore.Executor: runs the calls of one event loop in a few threads that never touch Python. A
 * descriptor becomes readable when calls are done, so that the loop waits for all of them as for a socket.
 */
#ifndef MC_PYTHON_EXECUTOR_H
#define MC_PYTHON_EXECUTOR_H

#include "binding.h"

bool mc_py_executor_init(PyObject *module);

#endif
