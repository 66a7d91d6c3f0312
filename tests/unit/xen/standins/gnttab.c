/* libxengnttab: pages of a memfd, which more than one mapping shows. A reference is never given twice. */

#define _GNU_SOURCE
#include "standins.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xengnttab.h>

#define MOST_GRANTS 65536
#define MOST_AT_ONCE 512 /* each has a descriptor */

struct grant {
    int fd; /* 0: there is none, or not any more */
    bool writable;
    off_t at;
};

struct area {
    struct area *next;
    char *start;
    uint32_t count, *refs; /* of what is shared */
    uint32_t offset, port; /* the farewell, UINT32_MAX for none */
};

struct xengntdev_handle {
    struct area *areas;
    pid_t pid;
};

static struct grant grants[MOST_GRANTS];
static uint32_t next_ref = 8;

static struct xengntdev_handle *open_handle(void)
{
    struct xengntdev_handle *handle = tripped() ? NULL : calloc(1, sizeof *handle);
    if (handle != NULL) {
        handle->pid = getpid();
        opened(HANDLES, 1);
    }
    return handle;
}

static int close_handle(struct xengntdev_handle *handle)
{
    if (handle->pid == getpid() && handle->areas != NULL)
        never("a handle was closed before its pages were given back");
    while (handle->areas != NULL) {
        struct area *area = handle->areas;
        handle->areas = area->next;
        free(area->refs);
        free(area);
    }
    free(handle);
    opened(HANDLES, -1);
    return 0;
}

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger, unsigned flags)
{
    if (logger == NULL || flags != 0)
        never("opened otherwise than ever before");
    return open_handle();
}

xengntshr_handle *xengntshr_open(struct xentoollog_logger *logger, unsigned flags)
{
    return xengnttab_open(logger, flags);
}

int xengnttab_close(xengnttab_handle *handle)
{
    return close_handle(handle);
}

int xengntshr_close(xengntshr_handle *handle)
{
    return close_handle(handle);
}

static void *add_area(struct xengntdev_handle *handle, void *start, uint32_t count, uint32_t offset, uint32_t port)
{
    struct area *area = calloc(1, sizeof *area);
    *area = (struct area){handle->areas, start, count, NULL, offset, port};
    handle->areas = area;
    opened(AREAS, 1);
    return start;
}

static int end_area(struct xengntdev_handle *handle, char *start, uint32_t count)
{
    if (handle->pid != getpid())
        never("a child gives pages back that are its parent's");
    struct area **link = &handle->areas, *area;
    while ((area = *link) != NULL && area->start != start)
        link = &area->next;
    if (area == NULL || area->count != count)
        never("pages were given back that aren't there");
    *link = area->next;
    bool refused = tripped(); /* gone for us all the same; for the machine, too */
    int number = errno;
    if (area->offset != UINT32_MAX)
        start[area->offset] = 0;
    if (area->port != UINT32_MAX)
        tell_other(area->port);
    for (uint32_t i = 0; area->refs != NULL && i < count; i++) {
        close(grants[area->refs[i]].fd);
        grants[area->refs[i]].fd = 0;
    }
    munmap(start, (size_t)count * PAGE);
    free(area->refs);
    free(area);
    opened(AREAS, -1);
    errno = number;
    return refused ? -1 : 0;
}

static void *share(xengntshr_handle *handle, uint32_t count, uint32_t *refs, bool writable, uint32_t offset, uint32_t port)
{
    if (tripped())
        return NULL;
    if (count > MOST_AT_ONCE || next_ref + count > MOST_GRANTS) {
        errno = ENOSPC;
        return NULL;
    }
    size_t size = (size_t)count * PAGE;
    int fd = memfd_create("granted", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
        never("no memory for pages");
    char *start = add_area(handle, mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), count, offset, port);
    handle->areas->refs = malloc(count * sizeof *refs);
    for (uint32_t i = 0; i < count; i++) {
        refs[i] = handle->areas->refs[i] = next_ref;
        grants[next_ref++] = (struct grant){dup(fd), writable, (off_t)i * PAGE};
    }
    close(fd);
    return start;
}

void *xengntshr_share_pages(xengntshr_handle *handle, uint32_t domid, int count, uint32_t *refs, int writable)
{
    (void)domid;
    return share(handle, (uint32_t)count, refs, writable, UINT32_MAX, UINT32_MAX);
}

void *xengntshr_share_page_notify(xengntshr_handle *handle, uint32_t domid, uint32_t *ref, int writable, uint32_t offset,
                                  evtchn_port_t port)
{
    (void)domid;
    return share(handle, 1, ref, writable, offset, port);
}

int xengntshr_unshare(xengntshr_handle *handle, void *start, uint32_t count)
{
    return end_area(handle, start, count);
}

static struct grant *find(uint32_t ref)
{
    return ref < MOST_GRANTS && grants[ref].fd != 0 ? &grants[ref] : NULL;
}

static void *map(xengnttab_handle *handle, uint32_t count, uint32_t *refs, int protection, uint32_t offset, uint32_t port)
{
    if (tripped())
        return NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct grant *grant = find(refs[i]);
        if (grant == NULL || (!grant->writable && (protection & PROT_WRITE))) {
            errno = EINVAL;
            return NULL;
        }
    }
    char *start = mmap(NULL, (size_t)count * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (uint32_t i = 0; i < count; i++) {
        struct grant *grant = find(refs[i]);
        mmap(start + (size_t)i * PAGE, PAGE, protection, MAP_SHARED | MAP_FIXED, grant->fd, grant->at);
    }
    madvise(start, (size_t)count * PAGE, MADV_DONTFORK); /* as the driver of a paravirtual kernel has it */
    return add_area(handle, start, count, offset, port);
}

void *xengnttab_map_domain_grant_refs(xengnttab_handle *handle, uint32_t count, uint32_t domid, uint32_t *refs, int protection)
{
    (void)domid;
    return map(handle, count, refs, protection, UINT32_MAX, UINT32_MAX);
}

void *xengnttab_map_grant_ref_notify(xengnttab_handle *handle, uint32_t domid, uint32_t ref, int protection, uint32_t offset,
                                     evtchn_port_t port)
{
    (void)domid;
    return map(handle, 1, &ref, protection, offset, port);
}

int xengnttab_unmap(xengnttab_handle *handle, void *start, uint32_t count)
{
    return end_area(handle, start, count);
}

static int16_t carry_out(xengnttab_grant_copy_segment_t *segment)
{
    bool into = segment->flags == GNTCOPY_dest_gref;
    union xengnttab_copy_ptr *ours = into ? &segment->source : &segment->dest;
    union xengnttab_copy_ptr *theirs = into ? &segment->dest : &segment->source;
    if (!into && segment->flags != GNTCOPY_source_gref)
        never("a copy in no direction");
    if (theirs->foreign.offset + segment->len > PAGE)
        never("a copy past the page, for which the driver refuses all of them");
    struct grant *grant = find(theirs->foreign.ref);
    if (grant == NULL)
        return GNTST_bad_gntref;
    if (into && !grant->writable)
        return GNTST_permission_denied;
    off_t at = grant->at + theirs->foreign.offset;
    ssize_t done = into ? pwrite(grant->fd, ours->virt, segment->len, at) : pread(grant->fd, ours->virt, segment->len, at);
    return done == segment->len ? GNTST_okay : GNTST_general_error;
}

int xengnttab_grant_copy(xengnttab_handle *handle, uint32_t count, xengnttab_grant_copy_segment_t *segments)
{
    (void)handle;
    if (tripped())
        return -1;
    for (uint32_t i = 0; i < count; i++)
        segments[i].status = carry_out(&segments[i]);
    return 0;
}
