/*
 * What every file of the extension sees: Python's limited API and Mindcore's public C interface, and
 * nothing else of either.
 *
 * Functions with external linkage are called with the GIL held unless their comment says otherwise.
 * Like Python's own they return NULL, or false, with an exception set.
 */
#ifndef MC_PYTHON_BINDING_H
#define MC_PYTHON_BINDING_H

#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x03090000
#endif
#include <Python.h>

#include <mindcore/mindcore.h>

/* A read-only string of the C interface as a Python one. */
static inline PyObject *mc_py_text(mc_str text)
{
    return PyUnicode_DecodeUTF8(text.data ? text.data : "", (Py_ssize_t)text.len, "strict");
}

/* The same, None for an empty one. */
static inline PyObject *mc_py_text_or_none(mc_str text)
{
    if (text.len == 0)
        Py_RETURN_NONE;
    return mc_py_text(text);
}

/* A tuple of strings. */
PyObject *mc_py_texts(const mc_str *items, size_t count);

/* Creates a type from its spec and puts it into the module under the name after the last dot. */
PyTypeObject *mc_py_add_type(PyObject *module, PyType_Spec *spec);

/* Frees an object of a heap type; the last thing that its tp_dealloc does. */
void mc_py_object_free(PyObject *object);

#endif
