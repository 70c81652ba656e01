/*
 * mindcore.Message: an immutable view of a stored message. It shares the result that it came in, and
 * its fields become Python objects when they are read.
 */
#ifndef MC_PYTHON_MESSAGE_H
#define MC_PYTHON_MESSAGE_H

#include "binding.h"

#include "argument.h"

/* Adds the type; once, when the module is imported. */
bool mc_py_message_init(PyObject *module);

/* What messages share: a result, or the values of a message that Python made. The GIL guards it. */
struct mc_py_shared;
/*
 * With one reference. Takes over list or hits (one is NULL) also when it fails, which it does with NULL and
 * no exception: this one is called without the GIL too.
 */
struct mc_py_shared *mc_py_shared_new(struct mc_message_list *list, struct mc_hit_list *hits);
void mc_py_shared_acquire(struct mc_py_shared *shared, size_t count);
void mc_py_shared_release(struct mc_py_shared *shared); /* accepts NULL */

/* A Message of a message that lives as long as shared. */
PyObject *mc_py_message_new(struct mc_py_shared *shared, const struct mc_message *message);

/* The message of a Message, borrowed; NULL with an exception for anything else. */
const struct mc_message *mc_py_message_of(PyObject *object, const char *field);

#endif
