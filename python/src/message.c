#include "message.h"

#include <stdlib.h>

#include "raise.h"

struct mc_py_shared {
    size_t references;
    struct mc_message_list *list;
    struct mc_hit_list *hits;
    struct mc_message own; /* of a message that Python made, pointing into kept */
    struct mc_py_kept kept;
};

struct message {
    PyObject_HEAD struct mc_py_shared *shared;
    const struct mc_message *message;
    PyObject *metadata; /* once it was read */
};

static PyTypeObject *message_type;

struct mc_py_shared *mc_py_shared_new(struct mc_message_list *list, struct mc_hit_list *hits)
{
    struct mc_py_shared *shared = calloc(1, sizeof(*shared));
    if (!shared) {
        mc_message_list_free(list);
        mc_hit_list_free(hits);
        return NULL;
    }
    shared->references = 1;
    shared->list = list;
    shared->hits = hits;
    return shared;
}

void mc_py_shared_acquire(struct mc_py_shared *shared, size_t count)
{
    shared->references += count;
}

void mc_py_shared_release(struct mc_py_shared *shared)
{
    if (!shared || --shared->references > 0)
        return;
    mc_message_list_free(shared->list);
    mc_hit_list_free(shared->hits);
    mc_py_kept_fini(&shared->kept);
    free(shared);
}

PyObject *mc_py_message_new(struct mc_py_shared *shared, const struct mc_message *message)
{
    struct message *self = PyObject_New(struct message, message_type);
    if (!self)
        return NULL;
    shared->references++;
    self->shared = shared;
    self->message = message;
    self->metadata = NULL;
    return (PyObject *)self;
}

const struct mc_message *mc_py_message_of(PyObject *object, const char *field)
{
    if (Py_TYPE(object) != message_type) {
        mc_py_raise_type(field, "a Message", object);
        return NULL;
    }
    return ((struct message *)(void *)object)->message;
}

static const struct mc_message *view(PyObject *self)
{
    return ((struct message *)(void *)self)->message;
}

static void message_dealloc(PyObject *self)
{
    struct message *message = (struct message *)(void *)self;
    Py_XDECREF(message->metadata);
    mc_py_shared_release(message->shared);
    mc_py_object_free(self);
}

/* Fields; closure is the offset of the string. */

static PyObject *get_text(PyObject *self, void *offset)
{
    return mc_py_text(*(const mc_str *)(const void *)((const char *)view(self) + (size_t)offset));
}

static PyObject *get_agent_id(PyObject *self, void *unused)
{
    (void)unused;
    return mc_py_text_or_none(view(self)->agent_id);
}

static PyObject *get_role(PyObject *self, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(mc_role_name(view(self)->role));
}

static PyObject *get_visibility(PyObject *self, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(mc_visibility_name(view(self)->visibility));
}

static PyObject *get_tier(PyObject *self, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(mc_tier_name(view(self)->tier));
}

static PyObject *get_state(PyObject *self, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(mc_enrichment_name(view(self)->enrichment_state));
}

static PyObject *get_importance(PyObject *self, void *unused)
{
    (void)unused;
    return PyFloat_FromDouble(view(self)->importance);
}

static PyObject *get_sharing_groups(PyObject *self, void *unused)
{
    (void)unused;
    return mc_py_texts(view(self)->sharing_groups, view(self)->sharing_group_count);
}

static PyObject *call_values(const char *function, const char *format, ...)
{
    PyObject *module = PyImport_ImportModule("mindcore._values");
    PyObject *callable = module ? PyObject_GetAttrString(module, function) : NULL;
    PyObject *result = NULL;
    if (callable) {
        va_list args;
        va_start(args, format);
        PyObject *values = Py_VaBuildValue(format, args);
        va_end(args);
        result = values ? PyObject_CallObject(callable, values) : NULL;
        Py_XDECREF(values);
    }
    Py_XDECREF(callable);
    Py_XDECREF(module);
    return result;
}

static PyObject *get_created_at(PyObject *self, void *unused)
{
    (void)unused;
    return call_values("time_of", "(L)", (long long)view(self)->created_at_us);
}

static PyObject *get_metadata(PyObject *self, void *unused)
{
    (void)unused;
    struct message *message = (struct message *)(void *)self;
    if (!message->metadata) {
        mc_str text = message->message->metadata;
        PyObject *json = mc_py_text(text);
        PyObject *made = json ? call_values("metadata_of", "(O)", json) : NULL;
        Py_XDECREF(json);
        if (!made)
            return NULL;
        if (message->metadata) /* another thread read it meanwhile */
            Py_DECREF(made);
        else
            message->metadata = made;
    }
    Py_INCREF(message->metadata);
    return message->metadata;
}

/* Methods */

static PyObject *message_json(PyObject *self, PyObject *unused)
{
    (void)unused;
    char *json = NULL;
    size_t len = 0;
    struct mc_error err = {0};
    if (mc_message_to_json(view(self), &json, &len, &err) != MC_OK)
        return mc_py_raise(&err);
    PyObject *text = mc_py_text((mc_str){json, len});
    mc_free(json);
    return text;
}

static PyObject *message_dict(PyObject *self, PyObject *unused)
{
    PyObject *json = message_json(self, unused);
    PyObject *result = json ? call_values("object_of", "(O)", json) : NULL;
    Py_XDECREF(json);
    return result;
}

static PyObject *message_html(PyObject *self, PyObject *unused)
{
    (void)unused;
    return call_values("message_html", "(O)", self);
}

static PyObject *message_reduce(PyObject *self, PyObject *unused)
{
    PyObject *fields = message_dict(self, unused);
    PyObject *from = fields ? PyObject_GetAttrString((PyObject *)message_type, "from_dict") : NULL;
    PyObject *result = from ? Py_BuildValue("(O(O))", from, fields) : NULL;
    Py_XDECREF(from);
    Py_XDECREF(fields);
    return result;
}

static PyObject *message_self(PyObject *self, PyObject *unused)
{
    (void)unused;
    Py_INCREF(self);
    return self;
}

static PyObject *message_repr(PyObject *self)
{
    return call_values("message_repr", "(O)", self);
}

static bool same_text(mc_str a, mc_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static bool same_groups(const struct mc_message *a, const struct mc_message *b)
{
    bool same = a->sharing_group_count == b->sharing_group_count;
    for (size_t i = 0; same && i < a->sharing_group_count; i++)
        same = same_text(a->sharing_groups[i], b->sharing_groups[i]);
    return same;
}

static bool same_message(const struct mc_message *a, const struct mc_message *b)
{
    return same_text(a->message_id, b->message_id) && same_text(a->user_id, b->user_id) &&
           same_text(a->thread_id, b->thread_id) && same_text(a->session_id, b->session_id) &&
           same_text(a->agent_id, b->agent_id) && same_text(a->text, b->text) &&
           same_text(a->metadata, b->metadata) && same_groups(a, b) &&
           a->created_at_us == b->created_at_us && a->role == b->role &&
           a->visibility == b->visibility && a->tier == b->tier &&
           a->enrichment_state == b->enrichment_state;
}

static PyObject *message_compare(PyObject *self, PyObject *other, int operator)
{
    if (Py_TYPE(other) != message_type || (operator!= Py_EQ && operator!= Py_NE))
        Py_RETURN_NOTIMPLEMENTED;
    return PyBool_FromLong(same_message(view(self), view(other)) == (operator== Py_EQ));
}

static Py_hash_t message_hash(PyObject *self)
{
    PyObject *id = mc_py_text(view(self)->message_id);
    Py_hash_t hash = id ? PyObject_Hash(id) : -1;
    Py_XDECREF(id);
    return hash;
}

/* Messages that Python makes: from what to_dict gave. */

/* The names of enumerations come as text and are looked up afterwards. */
struct made {
    struct mc_message message;
    mc_str role, visibility, tier, state;
};
#define MEMBER(name) offsetof(struct made, message.name)
static const struct mc_py_argument made_arguments[] = {
    {MC_PY_TEXT, "message_id", MEMBER(message_id), 0},
    {MC_PY_TEXT, "user_id", MEMBER(user_id), 0},
    {MC_PY_TEXT, "thread_id", MEMBER(thread_id), 0},
    {MC_PY_TEXT, "session_id", MEMBER(session_id), 0},
    {MC_PY_TEXT, "agent_id", MEMBER(agent_id), 0},
    {MC_PY_TEXT, "raw_text", MEMBER(text), 0},
    {MC_PY_TEXT, "metadata", MEMBER(metadata), 0},
    {MC_PY_TEXTS, "sharing_groups", MEMBER(sharing_groups), MEMBER(sharing_group_count)},
    {MC_PY_INTEGER, "created_at", MEMBER(created_at_us), 0},
    {MC_PY_NUMBER, "importance", MEMBER(importance), 0},
    {MC_PY_TEXT, "role", offsetof(struct made, role), 0},
    {MC_PY_TEXT, "visibility", offsetof(struct made, visibility), 0},
    {MC_PY_TEXT, "tier", offsetof(struct made, tier), 0},
    {MC_PY_TEXT, "enrichment_state", offsetof(struct made, state), 0},
};

static bool parse_tier(mc_str name, enum mc_tier *tier)
{
    for (int i = 0; i < MC_TIER_COUNT; i++) {
        if (same_text(name, mc_str_of(mc_tier_name(i)))) {
            *tier = i;
            return true;
        }
    }
    return false;
}

static bool parse_state(mc_str name, enum mc_enrichment *state)
{
    for (int i = 0; i < MC_ENRICHMENT_COUNT; i++) {
        if (same_text(name, mc_str_of(mc_enrichment_name(i)))) {
            *state = i;
            return true;
        }
    }
    return false;
}

static bool take_names(struct made *made)
{
    struct mc_message *message = &made->message;
    if (made->role.data && !mc_role_parse(made->role, &message->role))
        return mc_py_raise_invalid("role", "role: one of user, assistant, system, tool");
    if (made->visibility.data && !mc_visibility_parse(made->visibility, &message->visibility))
        return mc_py_raise_invalid("visibility", "visibility: one of private, shared, public");
    if (made->tier.data && !parse_tier(made->tier, &message->tier))
        return mc_py_raise_invalid("tier", "tier: one of short, mid, long, archive");
    if (made->state.data && !parse_state(made->state, &message->enrichment_state))
        return mc_py_raise_invalid("enrichment_state",
                                   "enrichment_state: one of pending, enriched, failed");
    return true;
}

/* Of the fields in the order of made_arguments, which mindcore._values.message_fields gives. */
static PyObject *make_message(PyObject *fields)
{
    struct mc_py_shared *shared = mc_py_shared_new(NULL, NULL);
    if (!shared)
        return PyErr_NoMemory();
    struct made made = {.message = {.role = MC_ROLE_USER, .importance = 0.5}};
    size_t count = sizeof(made_arguments) / sizeof(made_arguments[0]);
    PyObject *result = NULL;
    if (mc_py_arguments_take(made_arguments, count, fields, &made, &shared->kept) &&
        take_names(&made)) {
        shared->own = made.message;
        result = mc_py_message_new(shared, &shared->own);
    }
    mc_py_shared_release(shared);
    return result;
}

static PyObject *message_from_dict(PyObject *class, PyObject *values)
{
    (void)class;
    PyObject *fields = call_values("message_fields", "(O)", values);
    PyObject *result = fields ? make_message(fields) : NULL;
    Py_XDECREF(fields);
    return result;
}

static PyGetSetDef message_fields[] = {
    {"message_id", get_text, NULL,
     "str: \"msg_\" and 32 hexadecimal digits unless the caller chose it.",
     (void *)offsetof(struct mc_message, message_id)},
    {"user_id", get_text, NULL, "str", (void *)offsetof(struct mc_message, user_id)},
    {"thread_id", get_text, NULL, "str", (void *)offsetof(struct mc_message, thread_id)},
    {"session_id", get_text, NULL, "str", (void *)offsetof(struct mc_message, session_id)},
    {"raw_text", get_text, NULL, "str: what was said, unchanged.",
     (void *)offsetof(struct mc_message, text)},
    {"text", get_text, NULL, "str: the same as raw_text.",
     (void *)offsetof(struct mc_message, text)},
    {"metadata_json", get_text, NULL, "str: the metadata as a JSON object.",
     (void *)offsetof(struct mc_message, metadata)},
    {"agent_id", get_agent_id, NULL, "str, or None when no agent wrote it.", NULL},
    {"role", get_role, NULL, "str: user, assistant, system or tool.", NULL},
    {"visibility", get_visibility, NULL, "str: private, shared or public.", NULL},
    {"tier", get_tier, NULL, "str: short, mid, long or archive.", NULL},
    {"enrichment_state", get_state, NULL, "str: pending, enriched or failed.", NULL},
    {"importance", get_importance, NULL,
     "float, 0 to 1, as stored; MindcoreClient.get_decayed_importance tells it for now.", NULL},
    {"sharing_groups", get_sharing_groups, NULL, "tuple of str", NULL},
    {"created_at", get_created_at, NULL, "datetime in UTC, with microseconds.", NULL},
    {"metadata", get_metadata, NULL,
     "MessageMetadata: what was found out about the message; parsed when first read.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef message_methods[] = {
    {"to_dict", message_dict, METH_NOARGS,
     "to_dict()\n--\n\nThe message as the dict that HTTP gives as JSON; created_at is text (RFC "
     "3339, UTC)."},
    {"to_json", message_json, METH_NOARGS, "to_json()\n--\n\nThe same as JSON text."},
    {"from_dict", message_from_dict, METH_O | METH_CLASS,
     "from_dict(values)\n--\n\nA Message of what to_dict gave. Nothing is stored."},
    {"_repr_html_", message_html, METH_NOARGS, NULL},
    {"__reduce__", message_reduce, METH_NOARGS, NULL},
    {"__copy__", message_self, METH_NOARGS, NULL},
    {"__deepcopy__", message_self, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyObject *message_create(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)type, (void)args, (void)kwargs;
    PyErr_SetString(PyExc_TypeError,
                    "a Message comes from a client; Message.from_dict makes a copy of "
                    "what to_dict gave");
    return NULL;
}

static char message_doc[] =
    "A stored message; immutable, may be read from any thread and after the client is closed.\n\n"
    "Messages of one result share its memory, which lives as long as the last of them.";

static PyType_Slot message_slots[] = {
    {Py_tp_doc, message_doc},
    {Py_tp_new, message_create},
    {Py_tp_dealloc, message_dealloc},
    {Py_tp_getset, message_fields},
    {Py_tp_methods, message_methods},
    {Py_tp_repr, message_repr},
    {Py_tp_richcompare, message_compare},
    {Py_tp_hash, message_hash},
    {0, NULL},
};

static PyType_Spec message_spec = {
    .name = "mindcore.Message",
    .basicsize = sizeof(struct message),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = message_slots,
};

bool mc_py_message_init(PyObject *module)
{
    message_type = mc_py_add_type(module, &message_spec);
    return message_type != NULL;
}
