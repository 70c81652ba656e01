#include "raise.h"

#include <stdarg.h>
#include <stdio.h>

#define STATUS_COUNT (MC_DISK_FULL + 1)

static PyObject *classes[STATUS_COUNT];
static PyObject *type_class;
static PyObject *closed_class;
static PyObject *forked_class;

static bool take_class(PyObject *module, const char *name, PyObject **class)
{
    Py_XDECREF(*class);
    *class = PyObject_GetAttrString(module, name);
    return *class != NULL;
}

bool mc_py_errors_init(void)
{
    PyObject *module = PyImport_ImportModule("mindcore.errors");
    if (!module)
        return false;
    bool good = true;
    for (int i = MC_OK + 1; good && i < STATUS_COUNT; i++)
        good = take_class(module, mc_status_exception(i), &classes[i]);
    good = good && take_class(module, "ArgumentTypeError", &type_class) &&
           take_class(module, "ClientClosedError", &closed_class) &&
           take_class(module, "ForkedClientError", &forked_class);
    Py_DECREF(module);
    return good;
}

static PyObject *make(PyObject *class, const char *message, const char *field)
{
    return PyObject_CallFunction(class, "ss", message, field);
}

static void raise(PyObject *class, const char *message, const char *field)
{
    PyObject *exception = make(class, message, field);
    if (exception)
        PyErr_SetObject(class, exception);
    Py_XDECREF(exception);
}

static PyObject *class_of(enum mc_status status)
{
    bool known = (int)status > MC_OK && (int)status < STATUS_COUNT;
    return classes[known ? status : MC_INTERNAL];
}

static const char *text_of(const struct mc_error *err)
{
    return err->message[0] ? err->message : mc_status_text(err->status);
}

PyObject *mc_py_error_new(const struct mc_error *err)
{
    return make(class_of(err->status), text_of(err), err->field);
}

PyObject *mc_py_raise(const struct mc_error *err)
{
    raise(class_of(err->status), text_of(err), err->field);
    return NULL;
}

bool mc_py_raise_invalid(const char *field, const char *format, ...)
{
    char message[448];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    raise(classes[MC_INVALID], message, field);
    return false;
}

bool mc_py_raise_type(const char *field, const char *expected, PyObject *got)
{
    char message[448];
    PyObject *name = PyObject_GetAttrString((PyObject *)Py_TYPE(got), "__name__");
    PyObject *bytes = name ? PyUnicode_AsUTF8String(name) : NULL;
    PyErr_Clear();
    snprintf(message, sizeof(message), "%s: %s is expected, not %s", field, expected,
             bytes ? PyBytes_AsString(bytes) : "this");
    Py_XDECREF(bytes);
    Py_XDECREF(name);
    raise(type_class, message, field);
    return false;
}

static const char closed_text[] = "the client is closed";

PyObject *mc_py_raise_closed(void)
{
    raise(closed_class, closed_text, "");
    return NULL;
}

PyObject *mc_py_closed_new(void)
{
    return make(closed_class, closed_text, "");
}

PyObject *mc_py_raise_forked(void)
{
    raise(forked_class,
          "this client was opened before a fork and belongs to the parent process; open clients "
          "after the fork, in each process",
          "");
    return NULL;
}

PyObject *mc_py_raise_inherited(void)
{
    raise(
        forked_class,
        "this process was forked while its parent had a client open, whose locks it cannot share; "
        "fork before the first client is opened, or start the process with the methods spawn or "
        "forkserver of multiprocessing",
        "");
    return NULL;
}
