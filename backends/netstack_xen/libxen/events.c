/* Events: event channels of this process (libxenevtchn). */

#include "_libxen.h"

#include <fcntl.h>

#include <xenevtchn.h>

#define MOST_PORTS 1024 /* read at once; the rest is read the next time round */

typedef struct {
    PyObject_HEAD
    xenevtchn_handle *handle; /* NULL: closed */
    pid_t pid;
} Events;

static PyObject *Events_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args, (void)kwargs;
    Events *self = (Events *)new_object(type);
    if (self == NULL)
        return NULL;
    self->pid = getpid();
    self->handle = xenevtchn_open(&silent, 0);
    if (self->handle == NULL) {
        fail("opening /dev/xen/evtchn", NULL);
        Py_DECREF((PyObject *)self);
        return NULL;
    }
    /* `pending` reads until there is nothing more */
    int fd = xenevtchn_fd(self->handle);
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) {
        fail("fcntl", "/dev/xen/evtchn");
        Py_DECREF((PyObject *)self);
        return NULL;
    }
    return (PyObject *)self;
}

static void Events_dealloc(Events *self)
{
    if (self->handle != NULL)
        xenevtchn_close(self->handle); /* what a child may do, too */
    free_object((PyObject *)self);
}

static bool is_shut(Events *self)
{
    if (self->handle != NULL && self->pid == getpid())
        return false;
    fail_with(EBADF, self->handle == NULL ? "this connection to Xen was closed" : "ports of Xen can't be used after fork(): open them anew in the child");
    return true;
}

static PyObject *Events_allocate(Events *self, PyObject *value)
{
    uint32_t peer;
    if (is_shut(self) || !read_number(value, &peer))
        return NULL;
    int port = xenevtchn_bind_unbound_port(self->handle, peer);
    return port < 0 ? fail("xenevtchn_bind_unbound_port", NULL) : PyLong_FromLong(port);
}

static PyObject *Events_bind(Events *self, PyObject *args)
{
    PyObject *domain, *number;
    uint32_t peer, theirs;
    if (is_shut(self) || !PyArg_UnpackTuple(args, "bind", 2, 2, &domain, &number) || !read_number(domain, &peer) ||
        !read_number(number, &theirs))
        return NULL;
    int port = xenevtchn_bind_interdomain(self->handle, peer, theirs);
    return port < 0 ? fail("xenevtchn_bind_interdomain", NULL) : PyLong_FromLong(port);
}

static PyObject *Events_release(Events *self, PyObject *value)
{
    uint32_t port;
    if (is_shut(self) || !read_number(value, &port))
        return NULL;
    if (xenevtchn_unbind(self->handle, port) < 0)
        return fail("xenevtchn_unbind", NULL);
    Py_RETURN_NONE;
}

static PyObject *Events_notify(Events *self, PyObject *value)
{
    uint32_t port;
    if (is_shut(self) || !read_number(value, &port))
        return NULL;
    if (xenevtchn_notify(self->handle, port) < 0)
        return fail("xenevtchn_notify", NULL);
    Py_RETURN_NONE;
}

/* Two system calls, whatever the number of ports: the driver gives as many as there is room for, each of them masked, and
 * unmasks as many as it is told. */
static PyObject *Events_pending(Events *self, PyObject *unused)
{
    (void)unused;
    evtchn_port_t ports[MOST_PORTS];
    if (is_shut(self))
        return NULL;
    int fd = xenevtchn_fd(self->handle);
    ssize_t size = read(fd, ports, sizeof ports);
    if (size < 0 && errno != EAGAIN && errno != EINTR)
        return fail("reading /dev/xen/evtchn", NULL);
    if (size <= 0)
        return PyTuple_New(0);
    if (write(fd, ports, (size_t)size) != size)
        return fail("writing /dev/xen/evtchn", NULL);
    Py_ssize_t count = size / (ssize_t)sizeof *ports;
    PyObject *told = PyTuple_New(count);
    for (Py_ssize_t i = 0; told != NULL && i < count; i++) {
        PyObject *port = PyLong_FromUnsignedLong(ports[i]);
        if (port == NULL)
            Py_CLEAR(told);
        else
            PyTuple_SetItem(told, i, port);
    }
    return told;
}

static PyObject *Events_fileno(Events *self, PyObject *unused)
{
    (void)unused;
    return is_shut(self) ? NULL : PyLong_FromLong(xenevtchn_fd(self->handle));
}

static PyObject *Events_close(Events *self, PyObject *unused)
{
    (void)unused;
    if (self->handle != NULL)
        xenevtchn_close(self->handle);
    self->handle = NULL;
    Py_RETURN_NONE;
}

static PyMethodDef events_methods[] = {
    {"allocate", METHOD(Events_allocate), METH_O, NULL},
    {"bind", METHOD(Events_bind), METH_VARARGS, NULL},
    {"release", METHOD(Events_release), METH_O, NULL},
    {"notify", METHOD(Events_notify), METH_O, NULL},
    {"pending", METHOD(Events_pending), METH_NOARGS, NULL},
    {"fileno", METHOD(Events_fileno), METH_NOARGS, NULL},
    {"close", METHOD(Events_close), METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot events_slots[] = {
    {Py_tp_doc, "Event channels of this process."},
    {Py_tp_new, Events_new},
    {Py_tp_dealloc, Events_dealloc},
    {Py_tp_methods, events_methods},
    {0, NULL},
};

PyType_Spec events_spec = {"netstack_xen.libxen._libxen.Events", sizeof(Events), 0, Py_TPFLAGS_DEFAULT, events_slots};
