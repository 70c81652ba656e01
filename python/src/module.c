/* mindcore._mindcore: what it takes to import it, and the functions that need no engine. */
#include <stdlib.h>

#include "engine.h"
#include "executor.h"
#include "log.h"
#include "message.h"
#include "operation.h"
#include "raise.h"
#include "source.h"

PyObject *mc_py_texts(const mc_str *items, size_t count)
{
    PyObject *tuple = PyTuple_New((Py_ssize_t)count);
    for (size_t i = 0; tuple && i < count; i++) {
        PyObject *text = mc_py_text(items[i]);
        if (text)
            PyTuple_SetItem(tuple, (Py_ssize_t)i, text);
        else
            Py_CLEAR(tuple);
    }
    return tuple;
}

PyTypeObject *mc_py_add_type(PyObject *module, PyType_Spec *spec)
{
    PyObject *type = PyType_FromSpec(spec);
    if (!type)
        return NULL;
    Py_INCREF(type); /* one for the module, one for the caller */
    if (PyModule_AddObject(module, strrchr(spec->name, '.') + 1, type) < 0) {
        Py_DECREF(type);
        Py_DECREF(type);
        return NULL;
    }
    return (PyTypeObject *)(void *)type;
}

void mc_py_object_free(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyObject_Free(object);
    Py_DECREF(type);
}

/* [(name, exception, HTTP status, text)] of every failure. */
static PyObject *statuses(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    PyObject *list = PyList_New(0);
    for (int i = MC_OK + 1; list && i <= MC_DISK_FULL; i++) {
        PyObject *row = Py_BuildValue("(ssis)", mc_status_name(i), mc_status_exception(i),
                                      mc_status_http(i), mc_status_text(i));
        if (!row || PyList_Append(list, row) < 0)
            Py_CLEAR(list);
        Py_XDECREF(row);
    }
    return list;
}

static PyObject *options(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list && i < mc_option_count(); i++) {
        PyObject *key = PyUnicode_FromString(mc_option_at(i)->key);
        if (!key || PyList_Append(list, key) < 0)
            Py_CLEAR(list);
        Py_XDECREF(key);
    }
    return list;
}

/* JSON of the built-in vocabulary with the options of the section `vocabulary` in a dict. */
static PyObject *vocabulary(PyObject *module, PyObject *options_dict)
{
    (void)module;
    if (!PyDict_Check(options_dict)) {
        PyErr_SetString(PyExc_TypeError, "a dict is expected");
        return NULL;
    }
    struct mc_config *config = mc_py_config_load(NULL, false, options_dict);
    if (!config)
        return NULL;
    struct mc_error err = {0};
    char *json = NULL;
    enum mc_status status = mc_config_vocabulary(config, &json, &err);
    mc_config_free(config);
    if (status != MC_OK)
        return mc_py_raise(&err);
    PyObject *text = mc_py_text(mc_str_of(json));
    mc_free(json);
    return text;
}

static PyMethodDef functions[] = {
    {"statuses", statuses, METH_NOARGS,
     "statuses()\n--\n\n[(name, exception, HTTP status, text)] of every way to fail."},
    {"vocabulary", vocabulary, METH_O,
     "vocabulary(options, /)\n--\n\nThe vocabulary of the options vocabulary.*, as JSON."},
    {"options", options, METH_NOARGS,
     "options()\n--\n\nThe keys of all options of the configuration."},
    {NULL, NULL, 0, NULL},
};

/* Its state is one for the process: an engine and its messages may not cross interpreters. */
static bool in_main_interpreter(void)
{
    if (PyInterpreterState_GetID(PyInterpreterState_Get()) == 0)
        return true;
    PyErr_SetString(PyExc_ImportError,
                    "mindcore cannot be imported in a subinterpreter; use it in the "
                    "main one, or another process");
    return false;
}

static int execute(PyObject *module)
{
    if (!in_main_interpreter() || !mc_py_errors_init() || !mc_py_message_init(module) ||
        !mc_py_operations_init(module) || !mc_py_engine_init(module) ||
        !mc_py_executor_init(module) || !mc_py_source_init(module) || !mc_py_log_init(module))
        return -1;
    return PyModule_AddStringConstant(module, "version", mc_version());
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)execute},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "mindcore._mindcore",
    .m_doc = "The C extension of mindcore: use the package, not this module.",
    .m_methods = functions,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__mindcore(void);
PyMODINIT_FUNC PyInit__mindcore(void)
{
    return PyModuleDef_Init(&definition);
}
