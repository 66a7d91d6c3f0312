/* Store: a connection to xenstore (libxenstore). */

#include "_libxen.h"

#include <stdlib.h>
#include <string.h>

#include <xenstore.h>

#define MOST_PERMISSIONS (XENSTORE_PAYLOAD_MAX / 3) /* of three bytes each, at least: the library has them on its stack */

typedef struct {
    PyObject_HEAD
    struct xs_handle *handle; /* NULL: closed */
    pid_t pid;
} Store;

static PyObject *Store_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args, (void)kwargs;
    Store *self = (Store *)new_object(type);
    if (self == NULL)
        return NULL;
    self->pid = getpid();
    self->handle = xs_open(XS_UNWATCH_FILTER); /* what `unwatch` ended is not heard of any more */
    if (self->handle == NULL || xs_fileno(self->handle) < 0) {
        fail("opening xenstore", NULL);
        Py_DECREF((PyObject *)self);
        return NULL;
    }
    return (PyObject *)self;
}

static void shut(Store *self)
{
    struct xs_handle *handle = self->handle;
    self->handle = NULL;
    if (handle == NULL)
        return;
    if (self->pid == getpid())
        xs_close(handle);
    else
        xs_daemon_destroy_postfork(handle); /* the thread that reads is the parent's */
}

static void Store_dealloc(Store *self)
{
    shut(self);
    free_object((PyObject *)self);
}

static bool is_closed(Store *self)
{
    if (self->handle != NULL && self->pid == getpid())
        return false;
    fail_with(EBADF, self->handle == NULL ? "this connection to xenstore was closed" : "xenstore can't be used after fork()");
    return true;
}

/* The bytes of a path or a value: any text that came from the store goes back as it was. */
static PyObject *to_bytes(PyObject *text)
{
    if (!PyUnicode_Check(text)) {
        PyErr_SetString(PyExc_TypeError, "xenstore's paths and values are texts");
        return NULL;
    }
    return PyUnicode_AsEncodedString(text, "utf-8", "surrogateescape");
}

static PyObject *to_text(const char *bytes, Py_ssize_t length)
{
    return PyUnicode_DecodeUTF8(bytes, length, "surrogateescape");
}

static PyObject *to_path(PyObject *text)
{
    PyObject *path = to_bytes(text);
    if (path == NULL)
        return NULL;
    if (strlen(PyBytes_AsString(path)) != (size_t)PyBytes_Size(path)) {
        Py_DECREF(path);
        return fail_with(EINVAL, "a path of xenstore has no NUL");
    }
    return path;
}

/* Most methods begin with (transaction, path). */
static PyObject *begin(Store *self, PyObject *const *values, Py_ssize_t nvalues, Py_ssize_t wanted, xs_transaction_t *transaction)
{
    if (nvalues != wanted) {
        PyErr_Format(PyExc_TypeError, "%zd arguments are wanted", wanted);
        return NULL;
    }
    uint32_t number;
    if (is_closed(self) || !read_number(values[0], &number))
        return NULL;
    *transaction = number;
    return to_path(values[1]);
}

static PyObject *Store_read(Store *self, PyObject *const *values, Py_ssize_t nvalues)
{
    xs_transaction_t transaction;
    PyObject *path = begin(self, values, nvalues, 2, &transaction);
    if (path == NULL)
        return NULL;
    unsigned int length;
    PyObject *result;
    char *value = xs_read(self->handle, transaction, PyBytes_AsString(path), &length);
    if (value != NULL) {
        result = to_text(value, length);
        free(value);
    } else if (errno == ENOENT) {
        Py_INCREF(Py_None);
        result = Py_None;
    } else {
        result = fail("xs_read", PyBytes_AsString(path));
    }
    Py_DECREF(path);
    return result;
}

static PyObject *Store_list(Store *self, PyObject *const *values, Py_ssize_t nvalues)
{
    xs_transaction_t transaction;
    PyObject *path = begin(self, values, nvalues, 2, &transaction);
    if (path == NULL)
        return NULL;
    unsigned int count;
    PyObject *result;
    char **names = xs_directory(self->handle, transaction, PyBytes_AsString(path), &count);
    if (names != NULL) {
        result = PyList_New(count);
        for (unsigned int i = 0; result != NULL && i < count; i++) {
            PyObject *name = to_text(names[i], (Py_ssize_t)strlen(names[i]));
            if (name == NULL)
                Py_CLEAR(result);
            else
                PyList_SetItem(result, i, name);
        }
        free(names);
    } else if (errno == ENOENT) {
        Py_INCREF(Py_None);
        result = Py_None;
    } else {
        result = fail("xs_directory", PyBytes_AsString(path));
    }
    Py_DECREF(path);
    return result;
}

static PyObject *Store_write(Store *self, PyObject *const *values, Py_ssize_t nvalues)
{
    xs_transaction_t transaction;
    PyObject *path = begin(self, values, nvalues, 3, &transaction);
    PyObject *value = path == NULL ? NULL : to_bytes(values[2]);
    PyObject *result = NULL;
    if (value != NULL) {
        Py_ssize_t length = PyBytes_Size(value);
        bool done = false;
        if (length > XENSTORE_PAYLOAD_MAX) /* before it is cut to 32 bits */
            errno = E2BIG;
        else
            done = xs_write(self->handle, transaction, PyBytes_AsString(path), PyBytes_AsString(value), (unsigned int)length);
        result = done ? Py_None : fail("xs_write", PyBytes_AsString(path));
        Py_XINCREF(done ? result : NULL);
    }
    Py_XDECREF(path);
    Py_XDECREF(value);
    return result;
}

static PyObject *Store_make(Store *self, PyObject *const *values, Py_ssize_t nvalues)
{
    xs_transaction_t transaction;
    PyObject *path = begin(self, values, nvalues, 2, &transaction);
    if (path == NULL)
        return NULL;
    bool done = xs_mkdir(self->handle, transaction, PyBytes_AsString(path));
    if (!done)
        fail("xs_mkdir", PyBytes_AsString(path));
    Py_DECREF(path);
    return done ? PyBool_FromLong(1) : NULL;
}

/* Whether there was anything. */
static PyObject *Store_remove(Store *self, PyObject *const *values, Py_ssize_t nvalues)
{
    xs_transaction_t transaction;
    PyObject *path = begin(self, values, nvalues, 2, &transaction);
    if (path == NULL)
        return NULL;
    bool done = xs_rm(self->handle, transaction, PyBytes_AsString(path));
    bool absent = !done && errno == ENOENT;
    if (!done && !absent)
        fail("xs_rm", PyBytes_AsString(path));
    Py_DECREF(path);
    return done || absent ? PyBool_FromLong(done) : NULL;
}

/* ((domid, bits), ...) as the library has it */
static bool read_permissions(PyObject *entries, Py_ssize_t count, struct xs_permissions *permissions)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *entry = PyTuple_GetItem(entries, i);
        if (!PyTuple_Check(entry) || PyTuple_Size(entry) != 2) {
            PyErr_SetString(PyExc_TypeError, "each entry is (domid, bits)");
            return false;
        }
        uint32_t domid, bits;
        if (!read_number(PyTuple_GetItem(entry, 0), &domid) || !read_number(PyTuple_GetItem(entry, 1), &bits))
            return false;
        permissions[i].id = domid;
        permissions[i].perms = bits;
    }
    return true;
}

/* permit(transaction, path, ((domid, bits), ...)): the owner first */
static PyObject *Store_permit(Store *self, PyObject *const *values, Py_ssize_t nvalues)
{
    xs_transaction_t transaction;
    PyObject *path = begin(self, values, nvalues, 3, &transaction);
    if (path == NULL)
        return NULL;
    PyObject *result = NULL;
    struct xs_permissions *permissions = NULL;
    Py_ssize_t count = PyTuple_Check(values[2]) ? PyTuple_Size(values[2]) : 0;
    if (count == 0)
        PyErr_SetString(PyExc_TypeError, "permissions begin with the owner's");
    else if (count > MOST_PERMISSIONS)
        fail_with(E2BIG, "more permissions than a message to xenstore holds");
    else if ((permissions = PyMem_Calloc((size_t)count, sizeof *permissions)) == NULL)
        PyErr_NoMemory();
    else if (read_permissions(values[2], count, permissions)) {
        if (xs_set_permissions(self->handle, transaction, PyBytes_AsString(path), permissions, (unsigned int)count))
            result = PyBool_FromLong(1);
        else
            fail("xs_set_permissions", PyBytes_AsString(path));
    }
    PyMem_Free(permissions);
    Py_DECREF(path);
    return result;
}

static PyObject *watching(Store *self, PyObject *const *values, Py_ssize_t nvalues, bool wanted)
{
    if (nvalues != 2) {
        PyErr_SetString(PyExc_TypeError, "a watch is (path, token)");
        return NULL;
    }
    if (is_closed(self))
        return NULL;
    PyObject *result = NULL;
    PyObject *path = to_path(values[0]);
    PyObject *token = path == NULL ? NULL : to_path(values[1]);
    if (token != NULL) {
        const char *where = PyBytes_AsString(path), *what = PyBytes_AsString(token);
        bool done = wanted ? xs_watch(self->handle, where, what) : xs_unwatch(self->handle, where, what);
        if (done)
            result = PyBool_FromLong(1);
        else
            fail(wanted ? "xs_watch" : "xs_unwatch", where);
    }
    Py_XDECREF(path);
    Py_XDECREF(token);
    return result;
}

static PyObject *Store_watch(Store *self, PyObject *const *values, Py_ssize_t nvalues)
{
    return watching(self, values, nvalues, true);
}

static PyObject *Store_unwatch(Store *self, PyObject *const *values, Py_ssize_t nvalues)
{
    return watching(self, values, nvalues, false);
}

static PyObject *Store_fired(Store *self, PyObject *unused)
{
    (void)unused;
    if (is_closed(self))
        return NULL;
    PyObject *heard = PyList_New(0);
    while (heard != NULL) {
        char **event = xs_check_watch(self->handle);
        if (event == NULL) {
            if (errno == EAGAIN)
                break;
            fail("xs_check_watch", NULL);
            Py_CLEAR(heard);
            break;
        }
        const char *path = event[XS_WATCH_PATH], *token = event[XS_WATCH_TOKEN];
        PyObject *pair = PyTuple_New(2);
        PyObject *first = to_text(path, (Py_ssize_t)strlen(path)), *second = to_text(token, (Py_ssize_t)strlen(token));
        free(event);
        if (pair == NULL || first == NULL || second == NULL) {
            Py_XDECREF(first);
            Py_XDECREF(second);
            Py_XDECREF(pair);
            Py_CLEAR(heard);
            break;
        }
        PyTuple_SetItem(pair, 0, first);
        PyTuple_SetItem(pair, 1, second);
        int bad = PyList_Append(heard, pair);
        Py_DECREF(pair);
        if (bad)
            Py_CLEAR(heard);
    }
    return heard;
}

static PyObject *Store_begin(Store *self, PyObject *unused)
{
    (void)unused;
    if (is_closed(self))
        return NULL;
    xs_transaction_t transaction = xs_transaction_start(self->handle);
    return transaction == XBT_NULL ? fail("xs_transaction_start", NULL) : PyLong_FromUnsignedLong(transaction);
}

/* end(transaction, keep): False where somebody else's change came between, and all is to be done again */
static PyObject *Store_end(Store *self, PyObject *args)
{
    unsigned int transaction;
    int keep;
    if (is_closed(self) || !PyArg_ParseTuple(args, "Ip", &transaction, &keep))
        return NULL;
    if (xs_transaction_end(self->handle, transaction, !keep))
        return PyBool_FromLong(1);
    return errno == EAGAIN ? PyBool_FromLong(0) : fail("xs_transaction_end", NULL);
}

static PyObject *Store_fileno(Store *self, PyObject *unused)
{
    (void)unused;
    return is_closed(self) ? NULL : PyLong_FromLong(xs_fileno(self->handle));
}

static PyObject *Store_close(Store *self, PyObject *unused)
{
    (void)unused;
    shut(self);
    Py_RETURN_NONE;
}

static PyMethodDef store_methods[] = {
    {"read", METHOD(Store_read), METH_FASTCALL, NULL},
    {"list", METHOD(Store_list), METH_FASTCALL, NULL},
    {"write", METHOD(Store_write), METH_FASTCALL, NULL},
    {"make", METHOD(Store_make), METH_FASTCALL, NULL},
    {"remove", METHOD(Store_remove), METH_FASTCALL, NULL},
    {"permit", METHOD(Store_permit), METH_FASTCALL, NULL},
    {"watch", METHOD(Store_watch), METH_FASTCALL, NULL},
    {"unwatch", METHOD(Store_unwatch), METH_FASTCALL, NULL},
    {"fired", METHOD(Store_fired), METH_NOARGS, NULL},
    {"begin", METHOD(Store_begin), METH_NOARGS, NULL},
    {"end", METHOD(Store_end), METH_VARARGS, NULL},
    {"fileno", METHOD(Store_fileno), METH_NOARGS, NULL},
    {"close", METHOD(Store_close), METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot store_slots[] = {
    {Py_tp_doc, "A connection to xenstore. Transactions are numbers, 0 for none."},
    {Py_tp_new, Store_new},
    {Py_tp_dealloc, Store_dealloc},
    {Py_tp_methods, store_methods},
    {0, NULL},
};

PyType_Spec store_spec = {"netstack_xen.libxen._libxen.Store", sizeof(Store), 0, Py_TPFLAGS_DEFAULT, store_slots};
