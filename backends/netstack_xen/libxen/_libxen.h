/* What the files of `_libxen` have in common: errors, numbers, and how objects begin and end. The essay is in _libxen.c. */

#ifndef NETSTACK_LIBXEN_H
#define NETSTACK_LIBXEN_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#include <xentoollog.h>

#pragma GCC visibility push(hidden) /* the names are the extension's own; PyInit__libxen says that it is everybody's */

typedef struct {
    PyTypeObject *grants;
    PyTypeObject *memory;
    PyTypeObject *events;
    PyTypeObject *store;
} State;

extern PyType_Spec grants_spec, memory_spec, events_spec, store_spec;

/* libxengnttab and libxenevtchn write to stderr what they also return as errno; once is enough. */
extern xentoollog_logger silent;

/* The call that failed, and what it was about or NULL, as the OSError that errno makes it. Returns NULL. */
PyObject *fail(const char *call, const char *about);
PyObject *fail_with(int number, const char *what);

/* A number of 32 bits, as domains, ports and references are; otherwise an exception and false. */
bool read_number(PyObject *value, uint32_t *number);

PyObject *new_object(PyTypeObject *type);
void free_object(PyObject *self);

#pragma GCC visibility pop

#define METHOD(function) ((PyCFunction)(void (*)(void))(function))

#endif
