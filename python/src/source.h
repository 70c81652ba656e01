/*
 * _mindcore.Source: an external source whose answers a Python thread gives.
 *
 * The engine asks in a thread of its own, which hands the question over and waits for the answer
 * without ever taking the GIL: a lookup that hangs holds up neither close nor the interpreter's exit.
 */
#ifndef MC_PYTHON_SOURCE_H
#define MC_PYTHON_SOURCE_H

#include "binding.h"

bool mc_py_source_init(PyObject *module);

#endif
