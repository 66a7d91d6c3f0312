/* Grants and Memory: pages that are shared and mapped (libxengnttab). */

#include "_libxen.h"

#include <sys/mman.h>

#include <xengnttab.h>

#define PAGE 4096
#define MOST_PAGES 65536 /* of one call, 256 MiB: sizes below stay far from overflowing an int */

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
    uint32_t *numbers; /* `count` grant references */
    PyObject *refs;    /* the same as a tuple, once somebody has asked */
    char *start;       /* NULL: given back */
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

/* What `share` and `map` are asked for: (peer, what, writable, offset, port). The drivers take a farewell, which is the last two, -1
 * for none, for one page; the libraries for a page by itself. */
typedef struct {
    Py_ssize_t count;
    uint32_t peer;
    bool writable;
    bool farewell;
    uint32_t offset;
    evtchn_port_t port;
} Wish;

static bool read_farewell(PyObject *offset, PyObject *port, Wish *wish)
{
    long long byte = PyLong_AsLongLong(offset), number = PyLong_AsLongLong(port);
    if (PyErr_Occurred())
        return false;
    wish->farewell = byte >= 0 || number >= 0;
    wish->offset = byte >= 0 ? (uint32_t)byte : UINT32_MAX;
    wish->port = number >= 0 ? (evtchn_port_t)number : (evtchn_port_t)-1;
    if (!wish->farewell || (wish->count == 1 && byte < PAGE && number < UINT32_MAX))
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

static bool read_wish(Grants *self, PyObject *const *values, Py_ssize_t count, Wish *wish)
{
    int writable = PyObject_IsTrue(values[2]);
    wish->count = count;
    wish->writable = writable;
    return writable >= 0 && read_number(values[0], &wish->peer) && check_count(count) && read_farewell(values[3], values[4], wish) &&
           !is_over(self);
}

/* It has no pages yet, and room for the numbers of as many as are wished for. */
static Memory *new_memory(Grants *grants, PyTypeObject *defining, const Wish *wish)
{
    State *state = PyType_GetModuleState(defining);
    Memory *memory = (Memory *)new_object(state->memory);
    if (memory == NULL)
        return NULL;
    Py_INCREF((PyObject *)grants);
    memory->grants = grants;
    memory->count = (uint32_t)wish->count;
    memory->peer = wish->peer;
    memory->numbers = PyMem_Calloc((size_t)wish->count, sizeof *memory->numbers);
    if (memory->numbers == NULL) {
        PyErr_NoMemory();
        Py_CLEAR(memory);
    }
    return memory;
}

/* With the pages that the library gave, or its errno where it gave none. */
static PyObject *finish(Memory *memory, const char *call)
{
    if (memory->start == NULL) {
        fail(call, NULL);
        Py_CLEAR(memory);
    }
    return (PyObject *)memory;
}

static PyObject *Grants_share(Grants *self, PyTypeObject *defining, PyObject *const *values, Py_ssize_t nvalues, PyObject *names)
{
    Wish wish;
    if (nvalues != 5 || names != NULL) {
        PyErr_SetString(PyExc_TypeError, "share(peer, count, writable, offset, port)");
        return NULL;
    }
    Py_ssize_t count = PyLong_AsSsize_t(values[1]);
    if (PyErr_Occurred() || !read_wish(self, values, count, &wish))
        return NULL;
    if (!open_shares(self))
        return fail("opening /dev/xen/gntalloc", NULL);
    Memory *memory = new_memory(self, defining, &wish);
    if (memory == NULL)
        return NULL;
    memory->ours = true;
    memory->writable = true;
    if (wish.farewell)
        memory->start = xengntshr_share_page_notify(self->shares, wish.peer, memory->numbers, wish.writable, wish.offset, wish.port);
    else
        memory->start = xengntshr_share_pages(self->shares, wish.peer, (int)count, memory->numbers, wish.writable);
    return finish(memory, "xengntshr_share_pages");
}

static PyObject *Grants_map(Grants *self, PyTypeObject *defining, PyObject *const *values, Py_ssize_t nvalues, PyObject *names)
{
    Wish wish;
    if (nvalues != 5 || names != NULL || !PyTuple_Check(values[1])) {
        PyErr_SetString(PyExc_TypeError, "map(peer, tuple of references, writable, offset, port)");
        return NULL;
    }
    if (!read_wish(self, values, PyTuple_Size(values[1]), &wish))
        return NULL;
    if (!open_maps(self))
        return fail("opening /dev/xen/gntdev", NULL);
    Memory *memory = new_memory(self, defining, &wish);
    for (Py_ssize_t i = 0; memory != NULL && i < wish.count; i++)
        if (!read_number(PyTuple_GetItem(values[1], i), &memory->numbers[i]))
            Py_CLEAR(memory);
    if (memory == NULL)
        return NULL;
    int protection = PROT_READ | (wish.writable ? PROT_WRITE : 0);
    memory->writable = wish.writable;
    if (wish.farewell)
        memory->start =
            xengnttab_map_grant_ref_notify(self->maps, wish.peer, memory->numbers[0], protection, wish.offset, wish.port);
    else
        memory->start = xengnttab_map_domain_grant_refs(self->maps, memory->count, wish.peer, memory->numbers, protection);
    return finish(memory, "xengnttab_map_grant_refs");
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
        bool into = order->which & INTO_PAGE;
        if (which >= nmemory || !is_lawful(order, &memory[which]) || (!into && memory[which].readonly)) {
            order->status = GNTST_bad_copy_arg;
            continue;
        }
        xengnttab_grant_copy_segment_t *segment = &segments[lawful];
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
    PyObject *domain, *sequence;
    uint32_t peer;
    Py_buffer orders;
    Py_ssize_t count;
    if (!PyArg_ParseTuple(args, "Ow*nO", &domain, &orders, &count, &sequence))
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
    if (!read_number(domain, &peer) || is_over(self))
        goto out;
    if (peer > UINT16_MAX) { /* all the room that an order to the driver has for it */
        fail_with(EINVAL, "no domain has such a number");
        goto out;
    }
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
    if (carry_out(self, (domid_t)peer, orders.buf, count, memory, nmemory))
        result = Py_NewRef(Py_None);
    else
        fail("xengnttab_grant_copy", NULL);
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
    {"share", METHOD(Grants_share), METH_METHOD | METH_FASTCALL | METH_KEYWORDS, NULL},
    {"map", METHOD(Grants_map), METH_METHOD | METH_FASTCALL | METH_KEYWORDS, NULL},
    {"copy", METHOD(Grants_copy), METH_VARARGS, NULL},
    {"close", METHOD(Grants_close), METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot grants_slots[] = {
    {Py_tp_doc, "The drivers of granted pages."},
    {Py_tp_new, Grants_new},
    {Py_tp_dealloc, Grants_dealloc},
    {Py_tp_methods, grants_methods},
    {0, NULL},
};

PyType_Spec grants_spec = {"netstack_xen.libxen._libxen.Grants", sizeof(Grants), 0, Py_TPFLAGS_DEFAULT, grants_slots};

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
    PyMem_Free(self->numbers);
    Py_XDECREF(self->refs);
    Py_XDECREF((PyObject *)self->grants);
    free_object((PyObject *)self);
}

static int Memory_getbuffer(Memory *self, Py_buffer *view, int flags)
{
    bool forked = self->grants->pid != getpid();
    if (self->start == NULL || forked) {
        PyErr_SetString(PyExc_BufferError, forked ? "pages of Xen can't be used after fork()" : "these pages were given back");
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
    if (self->refs == NULL)
        self->refs = PyTuple_New(self->count);
    else
        return Py_NewRef(self->refs);
    for (uint32_t i = 0; self->refs != NULL && i < self->count; i++) {
        PyObject *ref = PyLong_FromUnsignedLong(self->numbers[i]);
        if (ref == NULL)
            Py_CLEAR(self->refs);
        else
            PyTuple_SetItem(self->refs, i, ref);
    }
    return Py_XNewRef(self->refs);
}

static PyObject *Memory_get_peer(Memory *self, void *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLong(self->peer);
}

static PyMethodDef memory_methods[] = {
    {"drop", METHOD(Memory_drop), METH_NOARGS, NULL},
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

PyType_Spec memory_spec = {"netstack_xen.libxen._libxen.Memory", sizeof(Memory), 0,
                                  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, memory_slots};
