/*
 * DESIGN. The exchange is shared by the Source object and the engine's registration, each with one
 * reference, counted under the GIL. The engine asks one question at a time (mindcore/source.h), so one place
 * for a question and one for its answer are enough. An answer to a question that is over finds another
 * number and is dropped.
 */
#include "source.h"

#include <pthread.h>
#include <stdlib.h>

#include "argument.h"
#include "engine.h"
#include "raise.h"

struct exchange {
    struct mc_py_bridge bridge; /* the engine's: first, so that it can be cast */
    size_t references;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t asked;
    pthread_cond_t answered;
    const struct mc_source_query *question; /* until it is answered */
    uint64_t number;                        /* of the question */
    bool taken;                             /* by the Python thread */
    bool stopped;
    PyObject
        *kept; /* the list that pieces point into; taken with the GIL by whoever answers next */
    mc_str *pieces; /* title, text, title, text */
    size_t piece_count;
    struct mc_error failure; /* MC_OK: none */
};

struct source {
    PyObject_HEAD PyObject *engine;
    struct exchange *exchange;
    PyObject *name;
};

static PyTypeObject *source_type;

static void drop_answer(struct exchange *exchange)
{
    free(exchange->pieces);
    exchange->pieces = NULL;
    exchange->piece_count = 0;
}

static void release(struct mc_py_bridge *bridge)
{
    struct exchange *exchange = (struct exchange *)(void *)bridge;
    if (--exchange->references > 0)
        return;
    drop_answer(exchange);
    Py_XDECREF(exchange->kept);
    pthread_cond_destroy(&exchange->asked);
    pthread_cond_destroy(&exchange->answered);
    pthread_mutex_destroy(&exchange->mutex);
    free(exchange);
}

static void stop(struct mc_py_bridge *bridge)
{
    struct exchange *exchange = (struct exchange *)(void *)bridge;
    pthread_mutex_lock(&exchange->mutex);
    exchange->stopped = true;
    pthread_cond_broadcast(&exchange->asked);
    pthread_cond_broadcast(&exchange->answered);
    pthread_mutex_unlock(&exchange->mutex);
}

static enum mc_status fail(struct mc_error *err, const char *message)
{
    err->status = MC_UNAVAILABLE;
    memcpy(err->message, message, strlen(message) + 1);
    return MC_UNAVAILABLE;
}

/* Adds the pieces that were given. Bad ones are refused by the library, which is a failure of the source. */
static enum mc_status add_pieces(const struct exchange *exchange, struct mc_source_answer *answer,
                                 struct mc_error *err)
{
    enum mc_status status = MC_OK;
    for (size_t i = 0; status == MC_OK && i < exchange->piece_count; i++)
        status = mc_source_add(answer, exchange->pieces[2 * i], exchange->pieces[2 * i + 1], err);
    return status;
}

/* The engine's question; in its thread, without the GIL. */
static enum mc_status lookup(void *context, const struct mc_source_query *query,
                             struct mc_source_answer *answer, struct mc_error *err)
{
    struct exchange *exchange = context;
    enum mc_status status;
    pthread_mutex_lock(&exchange->mutex);
    exchange->question = query;
    exchange->taken = false;
    exchange->number++;
    pthread_cond_signal(&exchange->asked);
    while (exchange->question && !exchange->stopped)
        pthread_cond_wait(&exchange->answered, &exchange->mutex);
    if (exchange->question) {
        exchange->question = NULL;
        status = fail(err, "the source is stopped");
    } else if (exchange->failure.status != MC_OK) {
        *err = exchange->failure;
        status = err->status;
    } else {
        status = add_pieces(exchange, answer, err);
    }
    drop_answer(exchange);
    pthread_mutex_unlock(&exchange->mutex);
    return status;
}

/* Methods */

#define OPTION(name) offsetof(struct mc_source_options, name)
static const struct mc_py_argument option_arguments[] = {
    {MC_PY_TEXT, "name", OPTION(name), 0},
    {MC_PY_TEXT, "description", OPTION(description), 0},
    {MC_PY_TEXTS, "topics", OPTION(topics), OPTION(topic_count)},
    {MC_PY_INTEGER, "timeout", OPTION(timeout_ms), 0},
    {MC_PY_INTEGER, "cache_ttl", OPTION(cache_ttl_ms), 0},
};

static struct exchange *new_exchange(void)
{
    struct exchange *exchange = calloc(1, sizeof(*exchange));
    if (!exchange) {
        PyErr_NoMemory();
        return NULL;
    }
    exchange->bridge.stop = stop;
    exchange->bridge.release = release;
    exchange->references = 1;
    pthread_mutex_init(&exchange->mutex, NULL);
    pthread_cond_init(&exchange->asked, NULL);
    pthread_cond_init(&exchange->answered, NULL);
    return exchange;
}

static bool register_source(struct mc_py_engine *object, struct exchange *exchange,
                            struct mc_source_options *options)
{
    options->lookup = lookup;
    options->context = exchange;
    struct mc_error err = {0};
    enum mc_status status = MC_OK;
    struct mc_engine *engine;
    Py_BEGIN_ALLOW_THREADS engine = mc_py_engine_enter(object);
    if (engine) {
        status = mc_source_register(engine, options, &err);
        mc_py_engine_leave(object);
    }
    Py_END_ALLOW_THREADS if (!engine) return mc_py_raise_closed() != NULL;
    if (status != MC_OK)
        return mc_py_raise(&err) != NULL;
    exchange->references++;
    mc_py_engine_add_bridge(object, &exchange->bridge);
    return true;
}

static PyObject *source_create(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)type, (void)kwargs;
    PyObject *engine;
    PyObject *values;
    if (!PyArg_ParseTuple(args, "OO", &engine, &values))
        return NULL;
    struct mc_py_engine *object = mc_py_engine_of(engine);
    if (!object || !mc_py_engine_allowed(object))
        return NULL;
    struct mc_source_options options = {0};
    struct mc_py_kept kept = {0};
    struct source *self = NULL;
    struct exchange *exchange = new_exchange();
    if (exchange &&
        mc_py_arguments_take(option_arguments, sizeof(option_arguments) / sizeof(*option_arguments),
                             values, &options, &kept) &&
        register_source(object, exchange, &options))
        self = PyObject_New(struct source, source_type);
    mc_py_kept_fini(&kept);
    if (!self) {
        if (exchange)
            release(&exchange->bridge);
        return NULL;
    }
    Py_INCREF(engine);
    self->engine = engine;
    self->exchange = exchange;
    self->name = PySequence_GetItem(values, 0);
    return (PyObject *)self;
}

static struct exchange *exchange_of(PyObject *object)
{
    return ((struct source *)(void *)object)->exchange;
}

static void source_dealloc(PyObject *object)
{
    struct source *self = (struct source *)(void *)object;
    release(&self->exchange->bridge);
    Py_XDECREF(self->name);
    Py_XDECREF(self->engine);
    mc_py_object_free(object);
}

/* (number, user, thread, agent, topics, text) of a question; the mutex is held, so that it stays. */
static PyObject *question_value(const struct exchange *exchange)
{
    const struct mc_source_query *query = exchange->question;
    return Py_BuildValue("(KNNNNN)", (unsigned long long)exchange->number,
                         mc_py_text(query->user_id), mc_py_text(query->thread_id),
                         mc_py_text_or_none(query->agent_id),
                         mc_py_texts(query->topics, query->topic_count), mc_py_text(query->text));
}

/*
 * The mutex is never waited for with the GIL held by a thread that has it: a thread that has it never
 * waits for the GIL.
 */
static PyObject *source_next(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct exchange *exchange = exchange_of(object);
    Py_BEGIN_ALLOW_THREADS pthread_mutex_lock(&exchange->mutex);
    while (!exchange->stopped && (!exchange->question || exchange->taken))
        pthread_cond_wait(&exchange->asked, &exchange->mutex);
    pthread_mutex_unlock(&exchange->mutex);
    Py_END_ALLOW_THREADS pthread_mutex_lock(&exchange->mutex);
    PyObject *result = NULL;
    bool none = exchange->stopped || !exchange->question;
    if (!none) {
        exchange->taken = true;
        result = question_value(exchange);
    }
    pthread_mutex_unlock(&exchange->mutex);
    if (none)
        Py_RETURN_NONE;
    return result;
}

/* Ends the question of that number; false when it is over already. */
static bool settle(struct exchange *exchange, uint64_t number, PyObject *kept, mc_str *pieces,
                   size_t count, const struct mc_error *failure)
{
    PyObject *old = NULL;
    pthread_mutex_lock(&exchange->mutex);
    bool current = exchange->question && exchange->number == number;
    if (current) {
        drop_answer(exchange);
        old = exchange->kept;
        exchange->kept = kept;
        exchange->pieces = pieces;
        exchange->piece_count = count;
        exchange->failure = *failure;
        exchange->question = NULL;
        pthread_cond_signal(&exchange->answered);
    }
    pthread_mutex_unlock(&exchange->mutex);
    if (!current) {
        free(pieces);
        old = kept;
    }
    Py_XDECREF(old);
    return current;
}

static PyObject *source_answer(PyObject *object, PyObject *args)
{
    static const struct mc_py_argument table[] = {{MC_PY_TEXTS, "answer", 0, sizeof(void *)}};
    struct {
        const mc_str *items;
        size_t count;
    } texts = {0};
    unsigned long long number;
    PyObject *list;
    if (!PyArg_ParseTuple(args, "KO", &number, &list))
        return NULL;
    struct mc_py_kept kept = {0};
    PyObject *values = PyTuple_Pack(1, list);
    bool good = values && mc_py_arguments_take(table, 1, values, &texts, &kept);
    Py_XDECREF(values);
    if (!good) {
        mc_py_kept_fini(&kept);
        return NULL;
    }
    struct mc_error none = {0};
    return PyBool_FromLong(settle(exchange_of(object), number, kept.objects[0], kept.blocks[0],
                                  texts.count / 2, &none));
}

static PyObject *source_fail(PyObject *object, PyObject *args)
{
    unsigned long long number;
    const char *message;
    if (!PyArg_ParseTuple(args, "Ks", &number, &message))
        return NULL;
    struct mc_error failure = {.status = MC_UNAVAILABLE};
    size_t len = strlen(message);
    len = len < sizeof(failure.message) ? len : sizeof(failure.message) - 1;
    while (len > 0 && len == sizeof(failure.message) - 1 && (message[len] & 0xc0) == 0x80)
        len--; /* not inside a character */
    memcpy(failure.message, message, len);
    return PyBool_FromLong(settle(exchange_of(object), number, NULL, NULL, 0, &failure));
}

/* Stops first, so that a lookup without an answer ends. */
static PyObject *source_remove(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct source *self = (struct source *)(void *)object;
    struct mc_py_engine *engine_object = mc_py_engine_of(self->engine);
    if (!engine_object || !mc_py_engine_allowed(engine_object))
        return NULL;
    PyObject *name = PyUnicode_AsUTF8String(self->name);
    if (!name)
        return NULL;
    struct mc_error err = {0};
    enum mc_status status = MC_OK;
    struct mc_engine *engine;
    Py_BEGIN_ALLOW_THREADS stop(&self->exchange->bridge);
    engine = mc_py_engine_enter(engine_object);
    if (engine) {
        status = mc_source_remove(engine, mc_str_of(PyBytes_AsString(name)), &err);
        mc_py_engine_leave(engine_object);
    }
    Py_END_ALLOW_THREADS Py_DECREF(name);
    if (!engine)
        return mc_py_raise_closed();
    if (status != MC_OK)
        return mc_py_raise(&err);
    mc_py_engine_remove_bridge(engine_object, &self->exchange->bridge);
    release(&self->exchange->bridge);
    Py_RETURN_NONE;
}

static PyMethodDef source_methods[] = {
    {"next", source_next, METH_NOARGS,
     "next()\n--\n\nWaits for a question: (number, user, thread, agent, topics, text); None at the "
     "end."},
    {"answer", source_answer, METH_VARARGS,
     "answer(number, texts, /)\n--\n\nAnswers with [title, text, title, text, ...]; False: too "
     "late."},
    {"fail", source_fail, METH_VARARGS,
     "fail(number, message, /)\n--\n\nSays why there is no answer."},
    {"remove", source_remove, METH_NOARGS, "remove()\n--\n\nThe engine asks it no more."},
    {NULL, NULL, 0, NULL},
};

static char source_doc[] =
    "Source(engine, (name, description, topics, timeout_ms, cache_ttl_ms), /)\n--\n\n";

static PyType_Slot source_slots[] = {
    {Py_tp_doc, source_doc},
    {Py_tp_new, source_create},
    {Py_tp_dealloc, source_dealloc},
    {Py_tp_methods, source_methods},
    {0, NULL},
};

static PyType_Spec source_spec = {
    .name = "mindcore._mindcore.Source",
    .basicsize = sizeof(struct source),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = source_slots,
};

bool mc_py_source_init(PyObject *module)
{
    source_type = mc_py_add_type(module, &source_spec);
    return source_type != NULL;
}
