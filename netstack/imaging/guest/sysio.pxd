# The twin of sysio.py: the same calls as inline C.
from libc.errno cimport errno

cdef extern from "<sys/mount.h>":
    int c_mount "mount"(const char *source, const char *target, const char *kind, unsigned long flags, const void *data)

cdef extern from "<unistd.h>":
    long c_syscall "syscall"(long number, ...)
    void c_sync "sync"()

cdef extern from "<sys/syscall.h>":
    const long SYS_finit_module

cdef extern from "<sys/reboot.h>":
    int c_reboot "reboot"(int what)
    const int RB_POWER_OFF


cdef inline int mount(bytes source, bytes target, bytes kind) except? -9999:
    return 0 if c_mount(source, target, kind, 0, NULL) >= 0 else -errno


cdef inline int insert(int fd, bytes parameters) except? -9999:
    cdef const char *words = parameters
    return 0 if c_syscall(SYS_finit_module, fd, words, 0) >= 0 else -errno


cdef inline int power_off() except? -9999:
    c_sync()
    return 0 if c_reboot(RB_POWER_OFF) >= 0 else -errno
