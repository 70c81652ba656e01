#include "log.h"

#include <pthread.h>
#include <stdio.h>

#include "engine.h"
#include "raise.h"

#define RECORDS 1024

struct record {
    enum mc_log_level level;
    char module[32];
    char message[1024];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER;
static struct record records[RECORDS];
static size_t first;
static size_t count;
static size_t lost;
static bool ended;
static bool listening; /* guarded by the GIL */

/* Called by the library, in any thread. */
static void keep(void *context, enum mc_log_level level, const char *module, const char *message)
{
    (void)context;
    pthread_mutex_lock(&mutex);
    if (count == RECORDS) {
        lost++;
    } else {
        struct record *record = &records[(first + count) % RECORDS];
        record->level = level;
        snprintf(record->module, sizeof(record->module), "%s", module);
        snprintf(record->message, sizeof(record->message), "%s", message);
        count++;
        pthread_cond_signal(&arrived);
    }
    pthread_mutex_unlock(&mutex);
}

/* The child of a fork begins with an empty queue, whatever another thread did to it at that moment. */
static void begin_again(void)
{
    mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    arrived = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    count = 0;
    lost = 0;
    ended = false;
    listening = false;
}

static PyObject *log_listen(PyObject *module, PyObject *args)
{
    (void)module;
    int level;
    if (!PyArg_ParseTuple(args, "i", &level) || !mc_py_process_allowed())
        return NULL;
    if (level < MC_LOG_DEBUG || level > MC_LOG_ERROR) {
        mc_py_raise_invalid("level", "level: 0 to 3");
        return NULL;
    }
    mc_log_set(keep, NULL, (enum mc_log_level)level);
    listening = true;
    Py_RETURN_NONE;
}

static PyObject *log_end(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    if (listening) /* else another process does, and its thread may hold the lock for ever */
        mc_log_set(NULL, NULL, MC_LOG_ERROR);
    pthread_mutex_lock(&mutex);
    ended = true;
    pthread_cond_broadcast(&arrived);
    pthread_mutex_unlock(&mutex);
    Py_RETURN_NONE;
}

/* (level, module, message, lost before it), or None: at the end, or when there is none and wait is false. */
static PyObject *log_next(PyObject *module, PyObject *args)
{
    (void)module;
    int wait;
    if (!PyArg_ParseTuple(args, "p", &wait))
        return NULL;
    struct record record;
    size_t lost_before = 0;
    bool found;
    Py_BEGIN_ALLOW_THREADS pthread_mutex_lock(&mutex);
    while (wait && count == 0 && !ended)
        pthread_cond_wait(&arrived, &mutex);
    found = count > 0;
    if (found) {
        record = records[first];
        first = (first + 1) % RECORDS;
        count--;
        lost_before = lost;
        lost = 0;
    }
    pthread_mutex_unlock(&mutex);
    Py_END_ALLOW_THREADS if (!found) Py_RETURN_NONE;
    return Py_BuildValue("(issn)", (int)record.level, record.module, record.message,
                         (Py_ssize_t)lost_before);
}

static PyMethodDef functions[] = {
    {"log_listen", log_listen, METH_VARARGS,
     "log_listen(level, /)\n--\n\nKeeps what the library logs from this level on: 0 debug to 3 "
     "error."},
    {"log_next", log_next, METH_VARARGS,
     "log_next(wait, /)\n--\n\n(level, module, message, how many were lost before it), or None."},
    {"log_end", log_end, METH_NOARGS,
     "log_end()\n--\n\nListens no more; ends a log_next that waits."},
    {NULL, NULL, 0, NULL},
};

bool mc_py_log_init(PyObject *module)
{
    static bool watching;
    if (!watching && pthread_atfork(NULL, NULL, begin_again) != 0) {
        PyErr_NoMemory();
        return false;
    }
    watching = true;
    return PyModule_AddFunctions(module, functions) == 0;
}
