/*
 * DESIGN. The mutex guards the count of calls and the state; it is held for a few instructions only, never
 * while waiting for the GIL. Close stops the bridges first, so that a lookup which Python does not answer
 * ends, then waits for calls under way, then closes.
 *
 * A child of a fork has none of the engine's threads: there every use is refused and nothing is freed. Nor
 * may it open another one while it has inherited an open one: the mutexes of SQLite may be held by threads that
 * are not there, and SQLite would take the locks on files that it remembers for its own, which the kernel gave
 * to the parent alone. On the same file that loses data.
 */
#include "engine.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "message.h"
#include "operation.h"
#include "raise.h"

struct mc_py_engine {
    PyObject_HEAD struct mc_engine *engine; /* NULL when closed */
    unsigned forks;                         /* mc_py_forks() when it was opened */
    pthread_mutex_t mutex;                  /* guards calls, closing */
    pthread_cond_t idle;
    size_t calls;
    bool closing;
    struct mc_py_bridge *bridges; /* guarded by the GIL */
};

static PyTypeObject *engine_type;
static unsigned forks;
static size_t open_count;     /* engines that are open, being opened or being closed; atomic */
static bool inherited_engine; /* one of them was when this process was forked */

static void count_fork(void)
{
    forks++;
    inherited_engine = inherited_engine || __atomic_load_n(&open_count, __ATOMIC_SEQ_CST) > 0;
    __atomic_store_n(&open_count, 0, __ATOMIC_SEQ_CST);
}

static void close_counted(struct mc_engine *engine)
{
    if (!engine)
        return;
    mc_engine_close(engine);
    __atomic_sub_fetch(&open_count, 1, __ATOMIC_SEQ_CST);
}

unsigned mc_py_forks(void)
{
    return forks;
}

struct mc_py_engine *mc_py_engine_of(PyObject *object)
{
    if (Py_TYPE(object) != engine_type) {
        PyErr_SetString(PyExc_TypeError, "an Engine is expected");
        return NULL;
    }
    return (struct mc_py_engine *)(void *)object;
}

struct mc_engine *mc_py_engine_enter(struct mc_py_engine *self)
{
    pthread_mutex_lock(&self->mutex);
    struct mc_engine *engine = self->closing ? NULL : self->engine;
    self->calls += engine != NULL;
    pthread_mutex_unlock(&self->mutex);
    return engine;
}

void mc_py_engine_leave(struct mc_py_engine *self)
{
    pthread_mutex_lock(&self->mutex);
    if (--self->calls == 0)
        pthread_cond_broadcast(&self->idle);
    pthread_mutex_unlock(&self->mutex);
}

bool mc_py_engine_allowed(const struct mc_py_engine *self)
{
    if (self->forks != forks)
        return mc_py_raise_forked() != NULL;
    return true;
}

bool mc_py_process_allowed(void)
{
    return !inherited_engine || mc_py_raise_inherited() != NULL;
}

void mc_py_engine_add_bridge(struct mc_py_engine *self, struct mc_py_bridge *bridge)
{
    bridge->next = self->bridges;
    self->bridges = bridge;
}

void mc_py_engine_remove_bridge(struct mc_py_engine *self, struct mc_py_bridge *bridge)
{
    struct mc_py_bridge **at = &self->bridges;
    while (*at && *at != bridge)
        at = &(*at)->next;
    if (*at)
        *at = bridge->next;
}

/* Waits until no call is under way, for so many seconds (negative: as long as it takes). */
static bool wait_idle(struct mc_py_engine *self, double seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    int64_t nanoseconds = (int64_t)(seconds * 1e9) + until.tv_nsec;
    until.tv_sec += nanoseconds / 1000000000;
    until.tv_nsec = nanoseconds % 1000000000;
    int result = 0;
    while (self->calls > 0 && result != ETIMEDOUT)
        result = seconds < 0 ? pthread_cond_wait(&self->idle, &self->mutex)
                             : pthread_cond_timedwait(&self->idle, &self->mutex, &until);
    return self->calls == 0;
}

/*
 * True when it is closed, or another thread closes it; false when calls were still under way after so
 * many seconds, and it is left to them. Gives the GIL away.
 */
static bool close_engine(struct mc_py_engine *self, double seconds)
{
    struct mc_py_bridge *bridges = self->bridges;
    bool closed;
    Py_BEGIN_ALLOW_THREADS pthread_mutex_lock(&self->mutex);
    self->closing = true;
    for (struct mc_py_bridge *bridge = bridges; bridge; bridge = bridge->next)
        bridge->stop(bridge);
    closed = wait_idle(self, seconds);
    struct mc_engine *engine = closed ? self->engine : NULL;
    if (closed)
        self->engine = NULL;
    pthread_mutex_unlock(&self->mutex);
    close_counted(engine);
    Py_END_ALLOW_THREADS while (closed && self->bridges)
    {
        struct mc_py_bridge *bridge = self->bridges;
        self->bridges = bridge->next;
        bridge->release(bridge);
    }
    return closed;
}

/* Opening */

static bool set_options(struct mc_config *config, PyObject *options, struct mc_error *err)
{
    PyObject *key;
    PyObject *value;
    Py_ssize_t at = 0;
    while (PyDict_Next(options, &at, &key, &value)) {
        PyObject *name = PyUnicode_AsUTF8String(key);
        PyObject *text = name ? PyUnicode_AsUTF8String(value) : NULL;
        bool good = text != NULL;
        if (!good && PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
            PyErr_Clear();
            mc_py_raise_invalid("options", "%s: has a surrogate, which is no character",
                                name ? PyBytes_AsString(name) : "options");
        } else if (good && strlen(PyBytes_AsString(text)) != (size_t)PyBytes_Size(text)) {
            good = mc_py_raise_invalid(PyBytes_AsString(name), "%s: has a NUL",
                                       PyBytes_AsString(name));
        } else if (good && mc_config_set(config, PyBytes_AsString(name), PyBytes_AsString(text),
                                         err) != MC_OK) {
            good = mc_py_raise(err) != NULL;
        }
        Py_XDECREF(text);
        Py_XDECREF(name);
        if (!good)
            return false;
    }
    return true;
}

struct mc_config *mc_py_config_load(const char *path, bool environment, PyObject *options)
{
    struct mc_error err = {0};
    struct mc_config *config = NULL;
    if (mc_config_new(&config, &err) != MC_OK ||
        (environment && mc_config_load(config, path, &err) != MC_OK)) {
        mc_py_raise(&err);
    } else if (set_options(config, options, &err)) {
        return config;
    }
    mc_config_free(config);
    return NULL;
}

static struct mc_engine *open_counted(const struct mc_config *config)
{
    struct mc_error err = {0};
    struct mc_engine *engine = NULL;
    enum mc_status status;
    Py_BEGIN_ALLOW_THREADS __atomic_add_fetch(&open_count, 1, __ATOMIC_SEQ_CST);
    status = mc_engine_open(config, &engine, &err);
    if (status != MC_OK)
        __atomic_sub_fetch(&open_count, 1, __ATOMIC_SEQ_CST);
    Py_END_ALLOW_THREADS if (status == MC_OK) return engine;
    mc_py_raise(&err);
    return NULL;
}

static PyObject *engine_create(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)type, (void)kwargs;
    const char *path = NULL;
    PyObject *options = NULL;
    if (!PyArg_ParseTuple(args, "zO!", &path, &PyDict_Type, &options))
        return NULL;
    if (!mc_py_process_allowed())
        return NULL;
    struct mc_config *config = mc_py_config_load(path, true, options);
    if (!config)
        return NULL;
    struct mc_engine *engine = open_counted(config);
    mc_config_free(config);
    struct mc_py_engine *self = engine ? PyObject_New(struct mc_py_engine, engine_type) : NULL;
    if (!self) {
        close_counted(engine);
        return NULL;
    }
    self->engine = engine;
    self->forks = forks;
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->idle, NULL);
    self->calls = 0;
    self->closing = false;
    self->bridges = NULL;
    return (PyObject *)self;
}

static void engine_dealloc(PyObject *object)
{
    struct mc_py_engine *self = (struct mc_py_engine *)(void *)object;
    if (self->forks == forks) {
        close_engine(self, -1);
        pthread_cond_destroy(&self->idle);
        pthread_mutex_destroy(&self->mutex);
    }
    mc_py_object_free(object);
}

/* Methods */

static PyObject *engine_close(PyObject *object, PyObject *args)
{
    double seconds = -1;
    if (!PyArg_ParseTuple(args, "|d", &seconds))
        return NULL;
    struct mc_py_engine *self = (struct mc_py_engine *)(void *)object;
    if (!mc_py_engine_allowed(self))
        return NULL;
    return PyBool_FromLong(close_engine(self, seconds));
}

static PyObject *engine_call(PyObject *object, PyObject *args)
{
    struct mc_py_engine *self = (struct mc_py_engine *)(void *)object;
    if (PyTuple_Size(args) != 2) {
        PyErr_SetString(PyExc_TypeError, "call(operation, arguments)");
        return NULL;
    }
    long operation = PyLong_AsLong(PyTuple_GetItem(args, 0));
    if ((operation == -1 && PyErr_Occurred()) || !mc_py_engine_allowed(self))
        return NULL;
    struct mc_py_call call = {0};
    PyObject *result = NULL;
    if (mc_py_call_take(&call, operation, PyTuple_GetItem(args, 1))) {
        struct mc_engine *engine;
        Py_BEGIN_ALLOW_THREADS engine = mc_py_engine_enter(self);
        if (engine) {
            mc_py_call_run(&call, engine);
            mc_py_engine_leave(self);
        }
        Py_END_ALLOW_THREADS result = engine ? mc_py_call_result(&call) : mc_py_raise_closed();
    }
    mc_py_call_fini(&call);
    return result;
}

static PyObject *engine_decayed(PyObject *object, PyObject *args)
{
    struct mc_py_engine *self = (struct mc_py_engine *)(void *)object;
    PyObject *value;
    long long now_us;
    if (!PyArg_ParseTuple(args, "OL", &value, &now_us))
        return NULL;
    const struct mc_message *message = mc_py_message_of(value, "message");
    if (!message || !mc_py_engine_allowed(self))
        return NULL;
    struct mc_engine *engine = mc_py_engine_enter(self);
    if (!engine)
        return mc_py_raise_closed();
    double importance = mc_importance_decayed(engine, message, now_us);
    mc_py_engine_leave(self);
    return PyFloat_FromDouble(importance);
}

static PyObject *engine_tokens(PyObject *object, PyObject *value)
{
    struct mc_py_engine *self = (struct mc_py_engine *)(void *)object;
    static const struct mc_py_argument table[] = {{MC_PY_TEXT, "text", 0, 0}};
    mc_str text = {0};
    struct mc_py_kept kept = {0};
    if (value == Py_None) {
        mc_py_raise_type("text", "a str", value);
        return NULL;
    }
    PyObject *values = PyTuple_Pack(1, value);
    bool good = values && mc_py_arguments_take(table, 1, values, &text, &kept) &&
                mc_py_engine_allowed(self);
    Py_XDECREF(values);
    PyObject *result = NULL;
    if (good) {
        struct mc_engine *engine = mc_py_engine_enter(self);
        size_t count = 0;
        if (engine) {
            Py_BEGIN_ALLOW_THREADS count = mc_token_count(engine, text);
            mc_py_engine_leave(self);
            Py_END_ALLOW_THREADS
        }
        result = engine ? PyLong_FromSize_t(count) : mc_py_raise_closed();
    }
    mc_py_kept_fini(&kept);
    return result;
}

enum fact { WORKERS, PROVIDER, BACKEND, MULTI_AGENT };

static PyObject *fact_of(const struct mc_engine *engine, enum fact fact)
{
    switch (fact) {
    case WORKERS:
        return PyLong_FromLong(mc_engine_worker_count(engine));
    case PROVIDER:
        return PyUnicode_FromString(mc_engine_provider(engine));
    case BACKEND:
        return PyUnicode_FromString(mc_engine_backend(engine));
    case MULTI_AGENT:
        return PyBool_FromLong(mc_engine_multi_agent(engine));
    }
    Py_RETURN_NONE;
}

static PyObject *engine_fact(PyObject *object, void *fact)
{
    struct mc_py_engine *self = (struct mc_py_engine *)(void *)object;
    if (!mc_py_engine_allowed(self))
        return NULL;
    struct mc_engine *engine = mc_py_engine_enter(self);
    if (!engine)
        return mc_py_raise_closed();
    PyObject *result = fact_of(engine, (enum fact)(size_t)fact);
    mc_py_engine_leave(self);
    return result;
}

static PyObject *engine_is_open(PyObject *object, void *unused)
{
    (void)unused;
    struct mc_py_engine *self = (struct mc_py_engine *)(void *)object;
    return PyBool_FromLong(self->forks == forks && self->engine && !self->closing);
}

static PyGetSetDef engine_fields[] = {
    {"worker_count", engine_fact, NULL, "int", (void *)WORKERS},
    {"provider", engine_fact, NULL, "str", (void *)PROVIDER},
    {"backend", engine_fact, NULL, "str", (void *)BACKEND},
    {"multi_agent", engine_fact, NULL, "bool", (void *)MULTI_AGENT},
    {"is_open", engine_is_open, NULL, "bool: of this process, and not closed.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef engine_methods[] = {
    {"call", engine_call, METH_VARARGS,
     "call(operation, arguments, /)\n--\n\nMakes one call; the operations are constants of this "
     "module."},
    {"close", engine_close, METH_VARARGS,
     "close(seconds=-1, /)\n--\n\nWaits for calls under way, then closes; False when they took "
     "longer."},
    {"decayed_importance", engine_decayed, METH_VARARGS,
     "decayed_importance(message, now_us, /)\n--\n\n"},
    {"token_count", engine_tokens, METH_O, "token_count(text, /)\n--\n\n"},
    {NULL, NULL, 0, NULL},
};

static char engine_doc[] = "Engine(config_path, options, /)\n--\n\nAn open memory.";

static PyType_Slot engine_slots[] = {
    {Py_tp_doc, engine_doc},       {Py_tp_new, engine_create},      {Py_tp_dealloc, engine_dealloc},
    {Py_tp_getset, engine_fields}, {Py_tp_methods, engine_methods}, {0, NULL},
};

static PyType_Spec engine_spec = {
    .name = "mindcore._mindcore.Engine",
    .basicsize = sizeof(struct mc_py_engine),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = engine_slots,
};

bool mc_py_engine_init(PyObject *module)
{
    static bool counting;
    if (!counting && pthread_atfork(NULL, NULL, count_fork) != 0) {
        PyErr_NoMemory();
        return false;
    }
    counting = true;
    engine_type = mc_py_add_type(module, &engine_spec);
    return engine_type != NULL;
}
