/* Which call fails, and what is open: for the test, by ctypes. And the system calls that the extension makes by itself. */

#include "standins.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int calls, chosen, number;
static int open_now[KINDS];

/* The `nth` call from now on fails with `error`; 0 for none. Returns how many there were since the last time. */
int standin_fail(int nth, int error)
{
    int before = calls;
    calls = 0;
    chosen = nth;
    number = error;
    return before;
}

int standin_open(int what)
{
    return open_now[what];
}

void opened(int what, int by)
{
    open_now[what] += by;
}

bool tripped(void)
{
    if (++calls != chosen)
        return false;
    errno = number;
    return true;
}

void never(const char *what)
{
    fprintf(stderr, "stand-in: %s\n", what);
    abort();
}

ssize_t __real_read(int fd, void *buffer, size_t size);
ssize_t __real_write(int fd, const void *buffer, size_t size);
int __real_fcntl(int fd, int command, ...);

ssize_t __wrap_read(int fd, void *buffer, size_t size)
{
    return tripped() ? -1 : __real_read(fd, buffer, size);
}

ssize_t __wrap_write(int fd, const void *buffer, size_t size)
{
    return tripped() ? -1 : __real_write(fd, buffer, size);
}

int __wrap_fcntl(int fd, int command, ...)
{
    va_list list;
    va_start(list, command);
    int argument = va_arg(list, int);
    va_end(list);
    return tripped() ? -1 : __real_fcntl(fd, command, argument);
}
