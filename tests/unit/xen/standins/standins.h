/* Xen's three libraries for one process that talks to itself, so that a sanitizer can watch what is over them on any machine.
 *
 * They take what the libraries take and give what they give, with memory and descriptors of this process behind it, and are strict
 * where the libraries are not: what must never be asked of them ends the process with a sentence. Each call may be told to fail. */

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#define PAGE 4096

/* Whether this is the call that was chosen to fail; errno is then set. */
bool tripped(void);

/* Ends the process. */
void never(const char *what);

/* What is open at the moment: handles, areas of pages, ports, watches, transactions. */
void opened(int what, int by);
enum { HANDLES, AREAS, PORTS, WATCHES, TRANSACTIONS, KINDS };

/* What the kernel does for a farewell: the other end of this port is told. */
void tell_other(uint32_t port);
