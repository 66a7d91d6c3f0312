/* Xen's own libraries, as four Python types: Grants and Memory (libxengnttab), Events (libxenevtchn), Store (libxenstore).
 *
 * Nothing is decided here: each method is one call of a library, with its errno as an OSError that names the call. What has to
 * be said in C is who owns what, since memory that two domains see must not be unmapped under whoever looks at it:
 *
 *   - Memory is pages that are shared or mapped. It exports the buffer protocol and counts what it exported; `drop` refuses
 *     while there is any, and what is never dropped is when the last view of it has gone.
 *   - Memory keeps its Grants, which keep the libraries' handles: those are closed after the last of their pages, in whatever order
 *     Python lets go of them.
 *   - After fork() the child has none of this (the libraries say so): there, objects are forgotten and the kernel is not told.
 *
 * The GIL is kept throughout. An ioctl takes a microsecond or two; what the store answers comes from another process, but a
 * handle could be closed by another thread while this one waits, and nothing here would be simpler or faster for it.
 *
 * The limited API of Python 3.11, where it begins to have buffers: one file serves every later Python. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>
#include <xentoollog.h>

#define PAGE 4096
#define MOST_PAGES 65536   /* of one call, 256 MiB: sizes below stay far from overflowing an int */
#define MOST_PORTS 1024    /* read at once; the rest is read the next time round */

/* -- errors ---------------------------------------------------------------------------------------------------------------- */

static PyObject *fail_with(int number, const char *what)
{
    PyObject *error = PyObject_CallFunction(PyExc_OSError, "is", number, what);
    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
    return NULL;
}

/* "xs_write of /a/b: Permission denied", as the OSError that errno makes it */
static PyObject *fail(const char *call, const char *about)
{
    int number = errno;
    char text[512];
    if (about == NULL)
        snprintf(text, sizeof text, "%s: %s", call, strerror(number));
    else
        snprintf(text, sizeof text, "%s of %.300s: %s", call, about, strerror(number));
    return fail_with(number, text);
}

/* libxengnttab writes to stderr what it also returns as errno; once is enough. */
static void say_nothing(xentoollog_logger *logger, xentoollog_level level, int number, const char *context, const char *format,
                        va_list list)
{
    (void)logger, (void)level, (void)number, (void)context, (void)format, (void)list;
}

static void show_nothing(xentoollog_logger *logger, const char *context, const char *what, int percent, unsigned long done,
                         unsigned long total)
{
    (void)logger, (void)context, (void)what, (void)percent, (void)done, (void)total;
}

static void destroy_nothing(xentoollog_logger *logger)
{
    (void)logger;
}

static xentoollog_logger silent = {say_nothing, show_nothing, destroy_nothing};

/* Every type here is made by its own functions alone, and frees what tp_alloc gave. */
static void free_object(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyObject *new_object(PyTypeObject *type)
{
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    return allocate(type, 0);
}

typedef struct {
    PyTypeObject *grants;
    PyTypeObject *memory;
    PyTypeObject *events;
    PyTypeObject *store;
} State;

/* -- Grants ------------------------------------------------------------------------------------------------------------------ */

typedef struct {
    PyObject_HEAD
    xengntshr_handle *shares; /* opened at the first use, as is the next: a frontend shares and a backend maps */
    xengnttab_handle *maps;
    pid_t pid;
    bool closed; /* nothing new; what there is stays until it is given back */
} Grants;

typedef struct {
    PyObject_HEAD
    Grants *grants;
    PyObject *refs; /* tuple of int */
    char *start;    /* NULL: given back */
    uint32_t count;
    uint32_t peer;
    bool ours; /* shared by us, otherwise mapped from the peer */
    bool writable;
    Py_ssize_t exports;
} Memory;

static PyObject *Grants_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args, (void)kwargs;
    Grants *self = (Grants *)new_object(type);
    if (self != NULL)
        self->pid = getpid();
    return (PyObject *)self;
}

static void Grants_dealloc(Grants *self)
{
    /* closing is what a child may do, too */
    if (self->shares != NULL)
        xengntshr_close(self->shares);
    if (self->maps != NULL)
        xengnttab_close(self->maps);
    free_object((PyObject *)self);
}

static bool open_shares(Grants *self)
{
    if (self->shares == NULL)
        self->shares = xengntshr_open(&silent, 0);
    return self->shares != NULL;
}

static bool open_maps(Grants *self)
{
    if (self->maps == NULL)
        self->maps = xengnttab_open(&silent, 0);
    return self->maps != NULL;
}

static bool is_over(Grants *self)
{
    if (self->pid == getpid() && !self->closed)
        return false;
    fail_with(EBADF, self->closed ? "this connection to Xen was closed" : "pages of Xen can't be used after fork(): open them anew in the child");
    return true;
}

/* The farewell of `share` and `map`: `offset` and `port`, -1 for none. The kernel's drivers take one for a page, the libraries for a
 * page by itself. */
static bool check_farewell(Py_ssize_t count, int offset, long long port)
{
    if (offset < 0 && port < 0)
        return true;
    if (count == 1 && offset < PAGE)
        return true;
    PyErr_SetString(PyExc_ValueError, "a farewell is for one page, and for a byte in it: share or map that page by itself");
    return false;
}

static bool check_count(Py_ssize_t count)
{
    if (count >= 1 && count <= MOST_PAGES)
        return true;
    if (count < 1)
        PyErr_SetString(PyExc_ValueError, "no pages: share or map one at least");
    else
        fail_with(ENOSPC, "more pages at once than any domain shares or maps");
    return false;
}

static Memory *new_memory(Grants *grants, PyTypeObject *type, Py_ssize_t count)
{
    Memory *memory = (Memory *)new_object(type);
    if (memory == NULL)
        return NULL;
    Py_INCREF((PyObject *)grants);
    memory->grants = grants;
    memory->count = (uint32_t)count;
    memory->refs = PyTuple_New(count);
    if (memory->refs == NULL) {
        Py_DECREF((PyObject *)memory);
        return NULL;
    }
    return memory;
}

static PyObject *Grants_share(Grants *self, PyTypeObject *defining, PyObject *const *values, Py_ssize_t nvalues, PyObject *names)
{
    (void)names;
    if (nvalues != 5) {
        PyErr_SetString(PyExc_TypeError, "share(peer, count, writable, offset, port)");
        return NULL;
    }
    unsigned long peer = PyLong_AsUnsignedLong(values[0]);
    Py_ssize_t count = PyLong_AsSsize_t(values[1]);
    int writable = PyObject_IsTrue(values[2]);
    long offset = PyLong_AsLong(values[3]);
    long long port = PyLong_AsLongLong(values[4]);
    if (PyErr_Occurred() || !check_count(count) || !check_farewell(count, (int)offset, port) || is_over(self))
        return NULL;
    if (!open_shares(self))
        return fail("opening /dev/xen/gntalloc", NULL);
    State *state = PyType_GetModuleState(defining);
    Memory *memory = new_memory(self, state->memory, count);
    uint32_t *refs = PyMem_Calloc((size_t)count, sizeof *refs);
    if (memory == NULL || refs == NULL) {
        Py_XDECREF((PyObject *)memory);
        PyMem_Free(refs);
        return memory == NULL ? NULL : PyErr_NoMemory();
    }
    memory->ours = true;
    memory->writable = true;
    memory->peer = (uint32_t)peer;
    if (offset >= 0 || port >= 0)
        memory->start = xengntshr_share_page_notify(self->shares, (uint32_t)peer, refs, writable,
                                                    offset >= 0 ? (uint32_t)offset : UINT32_MAX,
                                                    port >= 0 ? (evtchn_port_t)port : (evtchn_port_t)-1);
    else
        memory->start = xengntshr_share_pages(self->shares, (uint32_t)peer, (int)count, refs, writable);
    if (memory->start == NULL) {
        fail("xengntshr_share_pages", NULL);
        Py_CLEAR(memory);
    }
    for (Py_ssize_t i = 0; memory != NULL && i < count; i++) {
        PyObject *ref = PyLong_FromUnsignedLong(refs[i]);
        if (ref == NULL)
            Py_CLEAR(memory);
        else
            PyTuple_SetItem(memory->refs, i, ref);
    }
    PyMem_Free(refs);
    return (PyObject *)memory;
}

static PyObject *Grants_map(Grants *self, PyTypeObject *defining, PyObject *const *values, Py_ssize_t nvalues, PyObject *names)
{
    (void)names;
    if (nvalues != 5 || !PyTuple_Check(values[1])) {
        PyErr_SetString(PyExc_TypeError, "map(peer, tuple of references, writable, offset, port)");
        return NULL;
    }
    unsigned long peer = PyLong_AsUnsignedLong(values[0]);
    Py_ssize_t count = PyTuple_Size(values[1]);
    int writable = PyObject_IsTrue(values[2]);
    long offset = PyLong_AsLong(values[3]);
    long long port = PyLong_AsLongLong(values[4]);
    if (PyErr_Occurred() || !check_count(count) || !check_farewell(count, (int)offset, port) || is_over(self))
        return NULL;
    if (!open_maps(self))
        return fail("opening /dev/xen/gntdev", NULL);
    State *state = PyType_GetModuleState(defining);
    Memory *memory = new_memory(self, state->memory, count);
    uint32_t *refs = PyMem_Calloc((size_t)count, sizeof *refs);
    if (memory == NULL || refs == NULL) {
        Py_XDECREF((PyObject *)memory);
        PyMem_Free(refs);
        return memory == NULL ? NULL : PyErr_NoMemory();
    }
    memory->writable = writable;
    memory->peer = (uint32_t)peer;
    for (Py_ssize_t i = 0; memory != NULL && i < count; i++) {
        PyObject *ref = PyTuple_GetItem(values[1], i);
        refs[i] = (uint32_t)PyLong_AsUnsignedLong(ref);
        Py_INCREF(ref);
        PyTuple_SetItem(memory->refs, i, ref);
        if (PyErr_Occurred())
            Py_CLEAR(memory);
    }
    if (memory != NULL) {
        int protection = PROT_READ | (writable ? PROT_WRITE : 0);
        if (offset >= 0 || port >= 0)
            memory->start = xengnttab_map_grant_ref_notify(self->maps, (uint32_t)peer, refs[0], protection,
                                                           offset >= 0 ? (uint32_t)offset : UINT32_MAX,
                                                           port >= 0 ? (evtchn_port_t)port : (evtchn_port_t)-1);
        else
            memory->start = xengnttab_map_domain_grant_refs(self->maps, (uint32_t)count, (uint32_t)peer, refs, protection);
        if (memory->start == NULL) {
            fail("xengnttab_map_grant_refs", NULL);
            Py_CLEAR(memory);
        }
    }
    PyMem_Free(refs);
    return (PyObject *)memory;
}

/* One order of `copy`, as hypervisor.ORDER packs it. */
typedef struct {
    uint32_t ref;
    uint16_t offset;
    uint16_t length;
    uint32_t at; /* in our memory */
    uint16_t which;
    int16_t status;
} Order;

#define INTO_PAGE 0x8000
#define MOST_ORDERS 256

static bool is_lawful(const Order *order, const Py_buffer *memory)
{
    return (uint32_t)order->offset + order->length <= PAGE && order->at <= (size_t)memory->len &&
           order->length <= (size_t)memory->len - order->at;
}

/* Those that are lawful go to the hypervisor in one call; the driver would refuse all for one that isn't. */
static bool carry_out(Grants *self, domid_t peer, Order *orders, Py_ssize_t count, const Py_buffer *memory, Py_ssize_t nmemory)
{
    xengnttab_grant_copy_segment_t segments[MOST_ORDERS];
    uint16_t origin[MOST_ORDERS];
    uint32_t lawful = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        Order *order = &orders[i];
        Py_ssize_t which = order->which & ~INTO_PAGE;
        if (which >= nmemory || !is_lawful(order, &memory[which])) {
            order->status = GNTST_bad_copy_arg;
            continue;
        }
        xengnttab_grant_copy_segment_t *segment = &segments[lawful];
        bool into = order->which & INTO_PAGE;
        union xengnttab_copy_ptr *ours = into ? &segment->source : &segment->dest;
        union xengnttab_copy_ptr *theirs = into ? &segment->dest : &segment->source;
        ours->virt = (char *)memory[which].buf + order->at;
        theirs->foreign.ref = order->ref;
        theirs->foreign.offset = order->offset;
        theirs->foreign.domid = peer;
        segment->len = order->length;
        segment->flags = into ? GNTCOPY_dest_gref : GNTCOPY_source_gref;
        segment->status = 0;
        origin[lawful++] = (uint16_t)i;
    }
    if (lawful > 0 && xengnttab_grant_copy(self->maps, lawful, segments) < 0)
        return false;
    for (uint32_t i = 0; i < lawful; i++)
        orders[origin[i]].status = segments[i].status;
    return true;
}

static PyObject *Grants_copy(Grants *self, PyObject *args)
{
    unsigned int peer;
    Py_buffer orders;
    Py_ssize_t count;
    PyObject *sequence;
    if (!PyArg_ParseTuple(args, "Iw*nO", &peer, &orders, &count, &sequence))
        return NULL;
    PyObject *result = NULL;
    Py_ssize_t nmemory = PySequence_Size(sequence), held = 0;
    Py_buffer *memory = nmemory < 0 ? NULL : PyMem_Calloc((size_t)nmemory + 1, sizeof *memory);
    if (memory == NULL) {
        if (!PyErr_Occurred())
            PyErr_NoMemory();
        goto out;
    }
    if (count < 0 || count > MOST_ORDERS || count > orders.len / (Py_ssize_t)sizeof(Order) || nmemory > INTO_PAGE ||
        (uintptr_t)orders.buf % _Alignof(Order) != 0) {
        PyErr_SetString(PyExc_ValueError, "more orders than there is room for");
        goto out;
    }
    if (is_over(self))
        goto out;
    if (!open_maps(self)) {
        fail("opening /dev/xen/gntdev", NULL);
        goto out;
    }
    for (; held < nmemory; held++) {
        int flags = PyBUF_SIMPLE;
        for (Py_ssize_t i = 0; i < count; i++)
            if (((Order *)orders.buf)[i].which == held) /* out of a page, into this one */
                flags = PyBUF_WRITABLE;
        PyObject *item = PySequence_GetItem(sequence, held);
        int bad = item == NULL || PyObject_GetBuffer(item, &memory[held], flags) < 0;
        Py_XDECREF(item);
        if (bad)
            goto out;
    }
    if (carry_out(self, (domid_t)peer, orders.buf, count, memory, nmemory)) {
        Py_INCREF(Py_None);
        result = Py_None;
    } else {
        fail("xengnttab_grant_copy", NULL);
    }
out:
    while (held > 0)
        PyBuffer_Release(&memory[--held]);
    PyMem_Free(memory);
    PyBuffer_Release(&orders);
    return result;
}

static PyObject *Grants_close(Grants *self, PyObject *unused)
{
    (void)unused;
    self->closed = true;
    Py_RETURN_NONE;
}

static PyMethodDef grants_methods[] = {
    {"share", (PyCFunction)(void (*)(void))Grants_share, METH_METHOD | METH_FASTCALL | METH_KEYWORDS, NULL},
    {"map", (PyCFunction)(void (*)(void))Grants_map, METH_METHOD | METH_FASTCALL | METH_KEYWORDS, NULL},
    {"copy", (PyCFunction)(void (*)(void))Grants_copy, METH_VARARGS, NULL},
    {"close", (PyCFunction)(void (*)(void))Grants_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot grants_slots[] = {
    {Py_tp_doc, "The drivers of granted pages."},
    {Py_tp_new, Grants_new},
    {Py_tp_dealloc, Grants_dealloc},
    {Py_tp_methods, grants_methods},
    {0, NULL},
};

static PyType_Spec grants_spec = {"netstack_xen.libxen._libxen.Grants", sizeof(Grants), 0, Py_TPFLAGS_DEFAULT, grants_slots};

/* -- Memory ------------------------------------------------------------------------------------------------------------------ */

/* False with errno where the library refuses; the memory is considered gone all the same. */
static bool give_back(Memory *self)
{
    char *start = self->start;
    self->start = NULL;
    if (start == NULL || self->grants->pid != getpid())
        return true;
    if (self->ours)
        return xengntshr_unshare(self->grants->shares, start, self->count) == 0;
    return xengnttab_unmap(self->grants->maps, start, self->count) == 0;
}

static void Memory_dealloc(Memory *self)
{
    if (self->grants != NULL)
        give_back(self);
    Py_XDECREF(self->refs);
    Py_XDECREF((PyObject *)self->grants);
    free_object((PyObject *)self);
}

static int Memory_getbuffer(Memory *self, Py_buffer *view, int flags)
{
    if (self->start == NULL) {
        PyErr_SetString(PyExc_BufferError, "these pages were given back");
        view->obj = NULL;
        return -1;
    }
    Py_ssize_t length = (Py_ssize_t)self->count * PAGE;
    if (PyBuffer_FillInfo(view, (PyObject *)self, self->start, length, !self->writable, flags) < 0)
        return -1;
    self->exports++;
    return 0;
}

static void Memory_releasebuffer(Memory *self, Py_buffer *view)
{
    (void)view;
    self->exports--;
}

static PyObject *Memory_drop(Memory *self, PyObject *unused)
{
    (void)unused;
    if (self->exports > 0) {
        PyErr_Format(PyExc_BufferError, "%zd views of these pages are still in use", self->exports);
        return NULL;
    }
    if (!give_back(self))
        return fail(self->ours ? "xengntshr_unshare" : "xengnttab_unmap", NULL);
    Py_RETURN_NONE;
}

static PyObject *Memory_get_memory(Memory *self, void *unused)
{
    (void)unused;
    if (self->start == NULL || self->grants->closed) { /* pages of a view that somebody still holds may be there, for nobody else */
        PyErr_SetString(PyExc_ValueError, "these pages were given back");
        return NULL;
    }
    return PyMemoryView_FromObject((PyObject *)self);
}

static PyObject *Memory_get_refs(Memory *self, void *unused)
{
    (void)unused;
    Py_INCREF(self->refs);
    return self->refs;
}

static PyObject *Memory_get_peer(Memory *self, void *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLong(self->peer);
}

static PyMethodDef memory_methods[] = {
    {"drop", (PyCFunction)(void (*)(void))Memory_drop, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef memory_getset[] = {
    {"memory", (getter)Memory_get_memory, NULL, NULL, NULL},
    {"refs", (getter)Memory_get_refs, NULL, NULL, NULL},
    {"peer", (getter)Memory_get_peer, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot memory_slots[] = {
    {Py_tp_doc, "Pages that two domains see."},
    {Py_tp_dealloc, Memory_dealloc},
    {Py_tp_methods, memory_methods},
    {Py_tp_getset, memory_getset},
    {Py_bf_getbuffer, Memory_getbuffer},
    {Py_bf_releasebuffer, Memory_releasebuffer},
    {0, NULL},
};

static PyType_Spec memory_spec = {"netstack_xen.libxen._libxen.Memory", sizeof(Memory), 0,
                                  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, memory_slots};

/* -- Events ------------------------------------------------------------------------------------------------------------------ */

typedef struct {
    PyObject_HEAD
    xenevtchn_handle *handle; /* NULL: closed */
} Events;

static PyObject *Events_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args, (void)kwargs;
    Events *self = (Events *)new_object(type);
    if (self == NULL)
        return NULL;
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
        xenevtchn_close(self->handle);
    free_object((PyObject *)self);
}

static bool is_shut(const void *handle)
{
    if (handle != NULL)
        return false;
    fail_with(EBADF, "this connection to Xen was closed");
    return true;
}

static bool read_number(PyObject *value, uint32_t *number)
{
    unsigned long long wide = PyLong_AsUnsignedLongLong(value);
    if (PyErr_Occurred())
        return false;
    if (wide > UINT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "domains and ports have 32 bits");
        return false;
    }
    *number = (uint32_t)wide;
    return true;
}

static PyObject *Events_allocate(Events *self, PyObject *value)
{
    uint32_t peer;
    if (is_shut(self->handle) || !read_number(value, &peer))
        return NULL;
    int port = xenevtchn_bind_unbound_port(self->handle, peer);
    return port < 0 ? fail("xenevtchn_bind_unbound_port", NULL) : PyLong_FromLong(port);
}

static PyObject *Events_bind(Events *self, PyObject *args)
{
    unsigned int peer, theirs;
    if (is_shut(self->handle) || !PyArg_ParseTuple(args, "II", &peer, &theirs))
        return NULL;
    int port = xenevtchn_bind_interdomain(self->handle, peer, theirs);
    return port < 0 ? fail("xenevtchn_bind_interdomain", NULL) : PyLong_FromLong(port);
}

static PyObject *Events_release(Events *self, PyObject *value)
{
    uint32_t port;
    if (is_shut(self->handle) || !read_number(value, &port))
        return NULL;
    if (xenevtchn_unbind(self->handle, port) < 0)
        return fail("xenevtchn_unbind", NULL);
    Py_RETURN_NONE;
}

static PyObject *Events_notify(Events *self, PyObject *value)
{
    uint32_t port;
    if (is_shut(self->handle) || !read_number(value, &port))
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
    if (is_shut(self->handle))
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
    return is_shut(self->handle) ? NULL : PyLong_FromLong(xenevtchn_fd(self->handle));
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
    {"allocate", (PyCFunction)(void (*)(void))Events_allocate, METH_O, NULL},
    {"bind", (PyCFunction)(void (*)(void))Events_bind, METH_VARARGS, NULL},
    {"release", (PyCFunction)(void (*)(void))Events_release, METH_O, NULL},
    {"notify", (PyCFunction)(void (*)(void))Events_notify, METH_O, NULL},
    {"pending", (PyCFunction)(void (*)(void))Events_pending, METH_NOARGS, NULL},
    {"fileno", (PyCFunction)(void (*)(void))Events_fileno, METH_NOARGS, NULL},
    {"close", (PyCFunction)(void (*)(void))Events_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot events_slots[] = {
    {Py_tp_doc, "Event channels of this process."},
    {Py_tp_new, Events_new},
    {Py_tp_dealloc, Events_dealloc},
    {Py_tp_methods, events_methods},
    {0, NULL},
};

static PyType_Spec events_spec = {"netstack_xen.libxen._libxen.Events", sizeof(Events), 0, Py_TPFLAGS_DEFAULT, events_slots};

/* -- Store ------------------------------------------------------------------------------------------------------------------- */

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

/* permit(transaction, path, ((domid, bits), ...)): the owner first */
static PyObject *Store_permit(Store *self, PyObject *const *values, Py_ssize_t nvalues)
{
    xs_transaction_t transaction;
    PyObject *path = begin(self, values, nvalues, 3, &transaction);
    if (path == NULL)
        return NULL;
    PyObject *result = NULL;
    Py_ssize_t count = PyTuple_Check(values[2]) ? PyTuple_Size(values[2]) : 0;
    struct xs_permissions *entries = PyMem_Calloc((size_t)count + 1, sizeof *entries);
    if (entries == NULL) {
        PyErr_NoMemory();
    } else if (count == 0) {
        PyErr_SetString(PyExc_TypeError, "permissions begin with the owner's");
    } else {
        for (Py_ssize_t i = 0; i < count && !PyErr_Occurred(); i++) {
            PyObject *entry = PyTuple_GetItem(values[2], i);
            if (!PyTuple_Check(entry))
                PyErr_SetString(PyExc_TypeError, "each entry is (domid, bits)");
            else if (!PyArg_ParseTuple(entry, "II", &entries[i].id, &entries[i].perms))
                break;
        }
        if (!PyErr_Occurred()) {
            if (xs_set_permissions(self->handle, transaction, PyBytes_AsString(path), entries, (unsigned int)count))
                result = PyBool_FromLong(1);
            else
                fail("xs_set_permissions", PyBytes_AsString(path));
        }
    }
    PyMem_Free(entries);
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
    {"read", (PyCFunction)(void (*)(void))Store_read, METH_FASTCALL, NULL},
    {"list", (PyCFunction)(void (*)(void))Store_list, METH_FASTCALL, NULL},
    {"write", (PyCFunction)(void (*)(void))Store_write, METH_FASTCALL, NULL},
    {"make", (PyCFunction)(void (*)(void))Store_make, METH_FASTCALL, NULL},
    {"remove", (PyCFunction)(void (*)(void))Store_remove, METH_FASTCALL, NULL},
    {"permit", (PyCFunction)(void (*)(void))Store_permit, METH_FASTCALL, NULL},
    {"watch", (PyCFunction)(void (*)(void))Store_watch, METH_FASTCALL, NULL},
    {"unwatch", (PyCFunction)(void (*)(void))Store_unwatch, METH_FASTCALL, NULL},
    {"fired", (PyCFunction)(void (*)(void))Store_fired, METH_NOARGS, NULL},
    {"begin", (PyCFunction)(void (*)(void))Store_begin, METH_NOARGS, NULL},
    {"end", (PyCFunction)(void (*)(void))Store_end, METH_VARARGS, NULL},
    {"fileno", (PyCFunction)(void (*)(void))Store_fileno, METH_NOARGS, NULL},
    {"close", (PyCFunction)(void (*)(void))Store_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot store_slots[] = {
    {Py_tp_doc, "A connection to xenstore. Transactions are numbers, 0 for none."},
    {Py_tp_new, Store_new},
    {Py_tp_dealloc, Store_dealloc},
    {Py_tp_methods, store_methods},
    {0, NULL},
};

static PyType_Spec store_spec = {"netstack_xen.libxen._libxen.Store", sizeof(Store), 0, Py_TPFLAGS_DEFAULT, store_slots};

/* -- the module -------------------------------------------------------------------------------------------------------------- */

static PyTypeObject *add_type(PyObject *module, PyType_Spec *spec)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    if (type != NULL && PyModule_AddType(module, type) < 0)
        Py_CLEAR(type);
    return type;
}

static int module_exec(PyObject *module)
{
    State *state = PyModule_GetState(module);
    state->grants = add_type(module, &grants_spec);
    state->memory = add_type(module, &memory_spec);
    state->events = add_type(module, &events_spec);
    state->store = add_type(module, &store_spec);
    return state->grants && state->memory && state->events && state->store ? 0 : -1;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    Py_VISIT(state->grants);
    Py_VISIT(state->memory);
    Py_VISIT(state->events);
    Py_VISIT(state->store);
    return 0;
}

static int module_clear(PyObject *module)
{
    State *state = PyModule_GetState(module);
    Py_CLEAR(state->grants);
    Py_CLEAR(state->memory);
    Py_CLEAR(state->events);
    Py_CLEAR(state->store);
    return 0;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT, "_libxen", "Xen's libraries: see connection.py, which is made of them.", sizeof(State), NULL, module_slots,
    module_traverse, module_clear, NULL,
};

PyMODINIT_FUNC PyInit__libxen(void)
{
    return PyModuleDef_Init(&module_definition);
}
