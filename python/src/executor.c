/*
 * DESIGN. Two queues under one mutex: calls that wait and calls that are done. A thread takes the oldest
 * that waits; when that is an ingest it takes every other ingest that waits with it, so that all share
 * a commit. Only one batch runs at a time: messages are stored in the order in which they were submitted,
 * and those that come meanwhile make the next batch. Threads start as they are needed and stay.
 *
 * Python objects in a call (arguments, future) are touched with the GIL only: by submit, cancel,
 * completions and the end.
 */
#include "executor.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine.h"
#include "operation.h"
#include "raise.h"

#define THREADS_MAX 16
#define WAITING_MAX 100000
#define BATCH_MAX 256
#define STACK_BYTES ((size_t)1024 * 1024)

struct job {
    struct job *next;
    PyObject *future;
    bool closed; /* not run, because the engine was closed */
    struct mc_py_call call;
};

struct queue {
    struct job *first;
    struct job *last;
    size_t count;
};

struct executor {
    PyObject_HEAD PyObject *engine;
    unsigned forks;
    int event;
    size_t thread_limit;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t work;
    struct queue waiting;
    struct queue done;
    pthread_t threads[THREADS_MAX];
    size_t thread_count;
    size_t idle_count;
    bool ingesting; /* a batch is under way */
    bool stopping;
};

static PyTypeObject *executor_type;

/* Queues */

static void put(struct queue *queue, struct job *job)
{
    job->next = NULL;
    if (queue->last)
        queue->last->next = job;
    else
        queue->first = job;
    queue->last = job;
    queue->count++;
}

/* Takes out the job behind `before` (NULL: the first). */
static struct job *take_behind(struct queue *queue, struct job *before)
{
    struct job **link = before ? &before->next : &queue->first;
    struct job *job = *link;
    *link = job->next;
    if (queue->last == job)
        queue->last = before;
    queue->count--;
    return job;
}

static void free_job(struct job *job)
{
    mc_py_call_fini(&job->call);
    Py_XDECREF(job->future);
    free(job);
}

static void free_queue(struct queue *queue)
{
    while (queue->first)
        free_job(take_behind(queue, NULL));
}

/* Threads */

static bool is_ingest(const struct job *job)
{
    return job->call.operation == MC_PY_INGEST;
}

/* The oldest jobs that may run now: one, or all ingests that wait. 0 when there is none. */
static size_t take_work(struct executor *self, struct job *jobs[BATCH_MAX])
{
    struct job *before = NULL;
    struct job *job = self->waiting.first;
    while (job && is_ingest(job) && self->ingesting) {
        before = job;
        job = job->next;
    }
    if (!job)
        return 0;
    jobs[0] = take_behind(&self->waiting, before);
    size_t count = 1;
    if (!is_ingest(jobs[0]))
        return count;
    self->ingesting = true;
    job = before ? before->next : self->waiting.first;
    while (job && count < BATCH_MAX) {
        struct job *next = job->next;
        if (is_ingest(job))
            jobs[count++] = take_behind(&self->waiting, before);
        else
            before = job;
        job = next;
    }
    return count;
}

static void run_jobs(struct executor *self, struct job **jobs, size_t count)
{
    struct mc_py_engine *object = (struct mc_py_engine *)(void *)self->engine;
    struct mc_engine *engine = mc_py_engine_enter(object);
    if (!engine) {
        for (size_t i = 0; i < count; i++)
            jobs[i]->closed = true;
        return;
    }
    if (count == 1) {
        mc_py_call_run(&jobs[0]->call, engine);
    } else {
        struct mc_py_call *calls[BATCH_MAX];
        for (size_t i = 0; i < count; i++)
            calls[i] = &jobs[i]->call;
        mc_py_calls_ingest(calls, count, engine);
    }
    mc_py_engine_leave(object);
}

/* Hands jobs to the loop, which is woken when it had none. */
static void finish_jobs(struct executor *self, struct job **jobs, size_t count)
{
    bool wake = self->done.count == 0;
    for (size_t i = 0; i < count; i++)
        put(&self->done, jobs[i]);
    if (wake) {
        uint64_t one = 1;
        (void)!write(self->event, &one, sizeof(one));
    }
}

static void *work(void *argument)
{
    struct executor *self = argument;
    struct job *jobs[BATCH_MAX];
    pthread_mutex_lock(&self->mutex);
    for (;;) {
        size_t count = take_work(self, jobs);
        if (count == 0) {
            if (self->stopping && self->waiting.count == 0)
                break;
            self->idle_count++;
            pthread_cond_wait(&self->work, &self->mutex);
            self->idle_count--;
            continue;
        }
        bool ingest = is_ingest(jobs[0]);
        pthread_mutex_unlock(&self->mutex);
        run_jobs(self, jobs, count);
        pthread_mutex_lock(&self->mutex);
        finish_jobs(self, jobs, count);
        if (ingest) {
            self->ingesting = false;
            pthread_cond_broadcast(&self->work);
        }
    }
    pthread_mutex_unlock(&self->mutex);
    return NULL;
}

/* One more thread when all are at work; false when there is none at all. */
static bool start_thread(struct executor *self)
{
    if (self->idle_count > 0 || self->thread_count >= self->thread_limit)
        return true;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    if (pthread_create(&self->threads[self->thread_count], &attributes, work, self) == 0)
        self->thread_count++;
    pthread_attr_destroy(&attributes);
    return self->thread_count > 0;
}

/* Ends the threads when they have run what waits, or, when dropping, what they have begun. */
static void stop(struct executor *self, bool drop)
{
    struct queue dropped = {0};
    Py_BEGIN_ALLOW_THREADS pthread_mutex_lock(&self->mutex);
    self->stopping = true;
    if (drop) {
        dropped = self->waiting;
        self->waiting = (struct queue){0};
    }
    size_t count = self->thread_count;
    self->thread_count = 0;
    pthread_cond_broadcast(&self->work);
    pthread_mutex_unlock(&self->mutex);
    for (size_t i = 0; i < count; i++)
        pthread_join(self->threads[i], NULL);
    Py_END_ALLOW_THREADS free_queue(&dropped);
}

/* Methods */

static PyObject *executor_create(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)type, (void)kwargs;
    PyObject *engine;
    int threads;
    if (!PyArg_ParseTuple(args, "Oi", &engine, &threads) || !mc_py_engine_of(engine))
        return NULL;
    if (threads < 1 || threads > THREADS_MAX) {
        mc_py_raise_invalid("threads", "threads: 1 to %d", THREADS_MAX);
        return NULL;
    }
    int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    struct executor *self = PyObject_New(struct executor, executor_type);
    if (!self) {
        close(event);
        return NULL;
    }
    memset((char *)self + sizeof(PyObject), 0, sizeof(*self) - sizeof(PyObject));
    Py_INCREF(engine);
    self->engine = engine;
    self->forks = mc_py_forks();
    self->event = event;
    self->thread_limit = (size_t)threads;
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->work, NULL);
    return (PyObject *)self;
}

static void executor_dealloc(PyObject *object)
{
    struct executor *self = (struct executor *)(void *)object;
    if (self->forks == mc_py_forks()) {
        stop(self, true);
        free_queue(&self->done);
        close(self->event);
        pthread_cond_destroy(&self->work);
        pthread_mutex_destroy(&self->mutex);
    }
    Py_XDECREF(self->engine);
    mc_py_object_free(object);
}

static bool allowed(const struct executor *self)
{
    return mc_py_engine_allowed((const struct mc_py_engine *)(const void *)self->engine);
}

static PyObject *executor_submit(PyObject *object, PyObject *args)
{
    struct executor *self = (struct executor *)(void *)object;
    long operation;
    PyObject *arguments;
    PyObject *future;
    if (!PyArg_ParseTuple(args, "lOO", &operation, &arguments, &future) || !allowed(self))
        return NULL;
    struct job *job = calloc(1, sizeof(*job));
    if (!job)
        return PyErr_NoMemory();
    if (!mc_py_call_take(&job->call, operation, arguments)) {
        free_job(job);
        return NULL;
    }
    Py_INCREF(future);
    job->future = future;

    pthread_mutex_lock(&self->mutex);
    bool stopping = self->stopping;
    bool full = self->waiting.count >= WAITING_MAX;
    bool ready = !stopping && !full && start_thread(self);
    if (ready) {
        put(&self->waiting, job);
        pthread_cond_signal(&self->work);
    }
    pthread_mutex_unlock(&self->mutex);
    if (ready)
        Py_RETURN_NONE;
    free_job(job);
    if (stopping)
        return mc_py_raise_closed();
    struct mc_error err = {.status = full ? MC_BUSY : MC_NO_MEMORY};
    if (full)
        memcpy(err.message, "too many calls wait; await some of them first", 46);
    return mc_py_raise(&err);
}

/* True when the call had not begun and never will. */
static PyObject *executor_cancel(PyObject *object, PyObject *future)
{
    struct executor *self = (struct executor *)(void *)object;
    if (!allowed(self))
        return NULL;
    struct job *found = NULL;
    struct job *before = NULL;
    pthread_mutex_lock(&self->mutex);
    for (struct job *job = self->waiting.first; job && !found; job = job->next) {
        if (job->future == future)
            found = take_behind(&self->waiting, before);
        else
            before = job;
        if (found)
            break;
    }
    pthread_mutex_unlock(&self->mutex);
    if (found)
        free_job(found);
    return PyBool_FromLong(found != NULL);
}

/* (future, result, None) or (future, None, exception) */
static PyObject *outcome(struct job *job)
{
    PyObject *result = job->closed ? mc_py_raise_closed() : mc_py_call_result(&job->call);
    if (result)
        return Py_BuildValue("(ONO)", job->future, result, Py_None);
    PyObject *type;
    PyObject *exception;
    PyObject *trace;
    PyErr_Fetch(&type, &exception, &trace);
    PyErr_NormalizeException(&type, &exception, &trace);
    Py_XDECREF(type);
    Py_XDECREF(trace);
    return Py_BuildValue("(OON)", job->future, Py_None, exception);
}

static PyObject *executor_completions(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct executor *self = (struct executor *)(void *)object;
    if (!allowed(self))
        return NULL;
    pthread_mutex_lock(&self->mutex);
    uint64_t events;
    (void)!read(self->event, &events, sizeof(events));
    struct queue done = self->done;
    self->done = (struct queue){0};
    pthread_mutex_unlock(&self->mutex);

    PyObject *list = PyList_New(0);
    while (done.first) {
        struct job *job = take_behind(&done, NULL);
        PyObject *item = list ? outcome(job) : NULL;
        if (!item || PyList_Append(list, item) < 0)
            Py_CLEAR(list);
        Py_XDECREF(item);
        free_job(job);
    }
    return list;
}

static PyObject *executor_close(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct executor *self = (struct executor *)(void *)object;
    if (!allowed(self))
        return NULL;
    stop(self, false);
    Py_RETURN_NONE;
}

static PyObject *executor_fileno(PyObject *object, PyObject *unused)
{
    (void)unused;
    return PyLong_FromLong(((struct executor *)(void *)object)->event);
}

static PyMethodDef executor_methods[] = {
    {"submit", executor_submit, METH_VARARGS,
     "submit(operation, arguments, future, /)\n--\n\nQueues a call, whose outcome completions() "
     "gives."},
    {"cancel", executor_cancel, METH_O,
     "cancel(future, /)\n--\n\nTakes a call back; False when it has begun."},
    {"completions", executor_completions, METH_NOARGS,
     "completions()\n--\n\n[(future, result, exception)] of the calls that are done."},
    {"close", executor_close, METH_NOARGS,
     "close()\n--\n\nRuns what is queued and ends the threads; completions() gives the rest."},
    {"fileno", executor_fileno, METH_NOARGS,
     "fileno()\n--\n\nThe descriptor that is readable when calls are done."},
    {NULL, NULL, 0, NULL},
};

static char executor_doc[] =
    "Executor(engine, threads, /)\n--\n\nRuns calls in threads of its own.";

static PyType_Slot executor_slots[] = {
    {Py_tp_doc, executor_doc},
    {Py_tp_new, executor_create},
    {Py_tp_dealloc, executor_dealloc},
    {Py_tp_methods, executor_methods},
    {0, NULL},
};

static PyType_Spec executor_spec = {
    .name = "mindcore._mindcore.Executor",
    .basicsize = sizeof(struct executor),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = executor_slots,
};

bool mc_py_executor_init(PyObject *module)
{
    executor_type = mc_py_add_type(module, &executor_spec);
    return executor_type != NULL;
}
