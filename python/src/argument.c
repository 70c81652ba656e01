#include "argument.h"

#include <math.h>
#include <stdlib.h>

#include "raise.h"

void mc_py_kept_fini(struct mc_py_kept *kept)
{
    for (size_t i = 0; i < kept->object_count; i++)
        Py_DECREF(kept->objects[i]);
    for (size_t i = 0; i < kept->block_count; i++)
        free(kept->blocks[i]);
    kept->object_count = 0;
    kept->block_count = 0;
}

/* A new bytes object, or an exception. Surrogates are the one thing that a str cannot write as UTF-8. */
static PyObject *encode(PyObject *value, const char *name)
{
    if (!PyUnicode_Check(value)) {
        mc_py_raise_type(name, "a str", value);
        return NULL;
    }
    PyObject *bytes = PyUnicode_AsUTF8String(value);
    if (!bytes && PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
        PyErr_Clear();
        mc_py_raise_invalid(name,
                            "%s: has a surrogate, which is no character; decode the text "
                            "with errors=\"replace\"",
                            name);
    }
    return bytes;
}

static mc_str str_of(PyObject *bytes)
{
    return (mc_str){PyBytes_AsString(bytes), (size_t)PyBytes_Size(bytes)};
}

static bool take_text(PyObject *value, const char *name, mc_str *target, struct mc_py_kept *kept)
{
    PyObject *bytes = encode(value, name);
    if (!bytes)
        return false;
    kept->objects[kept->object_count++] = bytes;
    *target = str_of(bytes);
    return true;
}

/* The items' bytes in one list, which keeps them; the array of views beside it. */
static bool take_texts(PyObject *value, const char *name, const mc_str **items, size_t *count,
                       struct mc_py_kept *kept)
{
    if (PyUnicode_Check(value) || PyBytes_Check(value))
        return mc_py_raise_type(name, "a sequence of str", value);
    PyObject *list = PySequence_List(value);
    if (!list) {
        if (!PyErr_ExceptionMatches(PyExc_TypeError))
            return false;
        PyErr_Clear();
        return mc_py_raise_type(name, "a sequence of str", value);
    }
    kept->objects[kept->object_count++] = list;
    Py_ssize_t len = PyList_Size(list);
    mc_str *views = calloc((size_t)len + 1, sizeof(*views));
    if (!views) {
        PyErr_NoMemory();
        return false;
    }
    kept->blocks[kept->block_count++] = views;
    for (Py_ssize_t i = 0; i < len; i++) {
        PyObject *bytes = encode(PyList_GetItem(list, i), name);
        if (!bytes)
            return false;
        views[i] = str_of(bytes);
        PyList_SetItem(list, i, bytes); /* steals; the str's reference is dropped */
    }
    *items = views;
    *count = (size_t)len;
    return true;
}

static bool take_integer(PyObject *value, const char *name, int64_t least, int64_t *target)
{
    if (!PyLong_Check(value) || PyBool_Check(value))
        return mc_py_raise_type(name, "an int", value);
    int overflow = 0;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow > 0)
        return mc_py_raise_invalid(name, "%s: too large", name);
    if (overflow || number < least)
        return mc_py_raise_invalid(name, "%s: must be at least %lld", name, (long long)least);
    *target = number;
    return true;
}

static bool take_number(PyObject *value, const char *name, double *target)
{
    if ((!PyFloat_Check(value) && !PyLong_Check(value)) || PyBool_Check(value))
        return mc_py_raise_type(name, "a number", value);
    double number = PyFloat_AsDouble(value);
    if (PyErr_Occurred() || !isfinite(number)) {
        PyErr_Clear();
        return mc_py_raise_invalid(name, "%s: not a finite number", name);
    }
    *target = number;
    return true;
}

static bool take(const struct mc_py_argument *argument, PyObject *value, char *target,
                 struct mc_py_kept *kept)
{
    void *at = target + argument->offset;
    int64_t integer;
    switch (argument->type) {
    case MC_PY_TEXT:
        return take_text(value, argument->name, at, kept);
    case MC_PY_TEXTS:
        return take_texts(value, argument->name, at,
                          (size_t *)(void *)(target + argument->count_offset), kept);
    case MC_PY_NUMBER:
        return take_number(value, argument->name, at);
    case MC_PY_INTEGER:
        return take_integer(value, argument->name, INT64_MIN, at);
    case MC_PY_SIZE:
        if (!take_integer(value, argument->name, 1, &integer))
            return false;
        *(size_t *)at = (size_t)integer;
        return true;
    case MC_PY_FLAG:
        if (!PyBool_Check(value))
            return mc_py_raise_type(argument->name, "True or False", value);
        *(bool *)at = value == Py_True;
        return true;
    }
    return false;
}

bool mc_py_arguments_take(const struct mc_py_argument *table, size_t count, PyObject *values,
                          void *target, struct mc_py_kept *kept)
{
    if (!PyTuple_Check(values) || (size_t)PyTuple_Size(values) != count) {
        PyErr_Format(PyExc_TypeError, "a tuple of %zu arguments is expected", count);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        PyObject *value = PyTuple_GetItem(values, (Py_ssize_t)i);
        if (value != Py_None && !take(&table[i], value, target, kept))
            return false;
    }
    return true;
}
