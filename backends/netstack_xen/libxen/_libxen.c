/* Xen's own libraries, as four Python types: Grants and Memory (libxengnttab), Events (libxenevtchn), Store (libxenstore), each
 * in the file of its name.
 *
 * Nothing is decided here: each method is one call of a library, with its errno as an OSError that names the call. What has to
 * be said in C is who owns what, since memory that two domains see must not be unmapped under whoever looks at it:
 *
 *   - Memory is pages that are shared or mapped. It exports the buffer protocol and counts what it exported; `drop` refuses
 *     while there is any, and what is never dropped is when the last view of it has gone.
 *   - Memory keeps its Grants, which keep the libraries' handles: those are closed after the last of their pages, in whatever order
 *     Python lets go of them.
 *   - After fork() the child has none of this (the libraries say so): there, objects are forgotten and the kernel is not told. Nor
 *     may it look: the kernel leaves mapped pages out of the child, where there is nothing at their addresses.
 *
 * The GIL is kept throughout. An ioctl takes a microsecond or two; what the store answers comes from another process, but a
 * handle could be closed by another thread while this one waits, and nothing here would be simpler or faster for it.
 *
 * The limited API of Python 3.11, where it begins to have buffers: one binary serves every later Python. */

#include "_libxen.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* -- errors ---------------------------------------------------------------------------------------------------------------- */

PyObject *fail_with(int number, const char *what)
{
    /* part of it is whatever somebody wrote into the store, perhaps cut in the middle of a letter: no text for sure */
    PyObject *text = PyUnicode_DecodeUTF8(what, (Py_ssize_t)strlen(what), "backslashreplace");
    PyObject *error = text == NULL ? NULL : PyObject_CallFunction(PyExc_OSError, "iO", number, text);
    if (error != NULL)
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_XDECREF(error);
    Py_XDECREF(text);
    return NULL;
}

/* "xs_write of /a/b: Permission denied" */
PyObject *fail(const char *call, const char *about)
{
    int number = errno;
    char text[512];
    if (about == NULL)
        snprintf(text, sizeof text, "%s: %s", call, strerror(number));
    else
        snprintf(text, sizeof text, "%s of %.300s: %s", call, about, strerror(number));
    return fail_with(number, text);
}

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

xentoollog_logger silent = {say_nothing, show_nothing, destroy_nothing};

/* -- numbers and objects ----------------------------------------------------------------------------------------------------- */

bool read_number(PyObject *value, uint32_t *number)
{
    unsigned long long wide = PyLong_AsUnsignedLongLong(value);
    if (PyErr_Occurred())
        return false;
    if (wide > UINT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "domains, ports and references have 32 bits");
        return false;
    }
    *number = (uint32_t)wide;
    return true;
}

PyObject *new_object(PyTypeObject *type)
{
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    return allocate(type, 0);
}

/* Every type here is made by its own functions alone, and frees what tp_alloc gave. */
void free_object(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

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
    return (state->grants = add_type(module, &grants_spec)) && (state->memory = add_type(module, &memory_spec)) &&
                   (state->events = add_type(module, &events_spec)) && (state->store = add_type(module, &store_spec))
               ? 0
               : -1;
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

static void module_free(void *module)
{
    module_clear(module);
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT, "_libxen", "Xen's libraries: see connection.py, which is made of them.", sizeof(State), NULL, module_slots,
    module_traverse, module_clear, module_free,
};

PyMODINIT_FUNC PyInit__libxen(void)
{
    return PyModuleDef_Init(&module_definition);
}
