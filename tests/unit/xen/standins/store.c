/* libxenstore and the daemon behind it: a list of nodes, copied for each transaction. Everybody may do everything. */

#define _GNU_SOURCE
#include "standins.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xenstore.h>

#define LONGEST 3072
#define MOST_NODES 512
#define MOST_WATCHES 64
#define MOST_TRANSACTIONS 16

ssize_t __real_read(int fd, void *buffer, size_t size);

struct node {
    char *path, *value;
    unsigned int length;
};

struct tree {
    bool used;
    unsigned int generation; /* of the one that it was copied from */
    int count, changes;
    struct node nodes[MOST_NODES];
    char *changed[MOST_NODES]; /* paths; one that was removed begins with a minus */
};

struct event {
    struct event *next;
    char *path, *token;
};

struct xs_handle {
    int ends[2];
    struct event *heard;
};

static struct tree trees[MOST_TRANSACTIONS]; /* the first is what everybody sees */
static struct {
    struct xs_handle *owner;
    char *path, *token;
} watches[MOST_WATCHES];

/* -- paths ------------------------------------------------------------------------------------------------------------------- */

static bool is_lawful(const char *path)
{
    size_t length = strlen(path);
    return length > 0 && length < LONGEST && strstr(path, "//") == NULL && (length == 1 || path[length - 1] != '/') &&
           path[strspn(path, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-/_@")] == 0;
}

static struct tree *enter(xs_transaction_t transaction, const char *path)
{
    if (tripped())
        return NULL;
    if (transaction >= MOST_TRANSACTIONS || (transaction != 0 && !trees[transaction].used))
        never("a transaction that isn't");
    errno = EINVAL;
    return is_lawful(path) ? &trees[transaction] : NULL;
}

static bool is_below(const char *path, const char *folder)
{
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && path[length] == '/';
}

/* -- trees ------------------------------------------------------------------------------------------------------------------- */

static struct node *find(struct tree *tree, const char *path)
{
    for (int i = 0; i < tree->count; i++)
        if (strcmp(tree->nodes[i].path, path) == 0)
            return &tree->nodes[i];
    errno = ENOENT;
    return NULL;
}

static void set(struct tree *tree, const char *path, const void *value, unsigned int length)
{
    struct node *node = find(tree, path);
    if (node == NULL) {
        if (tree->count == MOST_NODES)
            never("no more nodes");
        node = &tree->nodes[tree->count++];
        *node = (struct node){strdup(path), NULL, 0};
    }
    free(node->value);
    node->value = malloc(length + 1);
    memcpy(node->value, value, length);
    node->value[length] = 0;
    node->length = length;
}

static void make_folders(struct tree *tree, const char *path)
{
    char folder[LONGEST];
    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
        if (find(tree, folder) == NULL)
            set(tree, folder, "", 0);
    }
}

static void cut(struct tree *tree, int i)
{
    free(tree->nodes[i].path);
    free(tree->nodes[i].value);
    tree->nodes[i] = tree->nodes[--tree->count];
}

static void empty(struct tree *tree)
{
    while (tree->count > 0)
        cut(tree, 0);
    while (tree->changes > 0)
        free(tree->changed[--tree->changes]);
}

static void copy(struct tree *to, struct tree *from)
{
    for (int i = 0; i < from->count; i++)
        set(to, from->nodes[i].path, from->nodes[i].value, from->nodes[i].length);
}

/* -- watches ----------------------------------------------------------------------------------------------------------------- */

static void say(struct xs_handle *handle, const char *path, const char *token)
{
    struct event **last = &handle->heard, *event = malloc(sizeof *event);
    while (*last != NULL)
        last = &(*last)->next;
    *event = (struct event){NULL, strdup(path), strdup(token)};
    *last = event;
    if (dprintf(handle->ends[1], "!") != 1)
        never("nobody listens");
}

static void fire(const char *path, bool removed)
{
    for (int i = 0; i < MOST_WATCHES; i++) {
        if (watches[i].owner == NULL)
            continue;
        if (strcmp(path, watches[i].path) == 0 || is_below(path, watches[i].path))
            say(watches[i].owner, path, watches[i].token);
        else if (removed && is_below(watches[i].path, path))
            say(watches[i].owner, watches[i].path, watches[i].token);
    }
}

static void changed(struct tree *tree, const char *path, bool removed)
{
    if (tree == &trees[0]) {
        tree->generation++;
        fire(path, removed);
    } else {
        char *note;
        if (tree->changes == MOST_NODES || asprintf(&note, "%s%s", removed ? "-" : "", path) < 0)
            never("no more changes");
        tree->changed[tree->changes++] = note;
    }
}

static void forget(struct xs_handle *handle, struct event **link)
{
    struct event *event = *link;
    char byte;
    *link = event->next;
    free(event->path);
    free(event->token);
    free(event);
    if (__real_read(handle->ends[0], &byte, 1) != 1) /* which is not one of those that may fail */
        never("no pipe");
}

/* -- the library ------------------------------------------------------------------------------------------------------------- */

struct xs_handle *xs_open(unsigned long flags)
{
    if (flags != XS_UNWATCH_FILTER)
        never("opened otherwise than ever before");
    if (tripped())
        return NULL;
    struct xs_handle *handle = calloc(1, sizeof *handle);
    if (handle == NULL || pipe(handle->ends) < 0)
        never("no pipe");
    trees[0].used = true;
    opened(HANDLES, 1);
    return handle;
}

int xs_fileno(struct xs_handle *handle)
{
    return tripped() ? -1 : handle->ends[0];
}

static void end_watch(int i)
{
    free(watches[i].path);
    free(watches[i].token);
    watches[i].owner = NULL;
    opened(WATCHES, -1);
}

void xs_daemon_destroy_postfork(struct xs_handle *handle)
{
    while (handle->heard != NULL)
        forget(handle, &handle->heard);
    close(handle->ends[0]);
    close(handle->ends[1]);
    free(handle);
    opened(HANDLES, -1);
}

void xs_close(struct xs_handle *handle)
{
    for (int i = 0; i < MOST_WATCHES; i++)
        if (watches[i].owner == handle)
            end_watch(i);
    xs_daemon_destroy_postfork(handle);
}

void *xs_read(struct xs_handle *handle, xs_transaction_t transaction, const char *path, unsigned int *length)
{
    (void)handle;
    struct tree *tree = enter(transaction, path);
    struct node *node = tree == NULL ? NULL : find(tree, path);
    if (node == NULL)
        return NULL;
    char *value = malloc(node->length + 1);
    memcpy(value, node->value, node->length + 1);
    *length = node->length;
    return value;
}

static const char *child(struct node *node, const char *folder)
{
    const char *name = is_below(node->path, folder) ? node->path + strlen(folder) + 1 : NULL;
    return name != NULL && strchr(name, '/') == NULL ? name : NULL;
}

/* One block, as the library has it: the pointers, then what they point to. */
char **xs_directory(struct xs_handle *handle, xs_transaction_t transaction, const char *path, unsigned int *count)
{
    (void)handle;
    struct tree *tree = enter(transaction, path);
    if (tree == NULL || find(tree, path) == NULL)
        return NULL;
    size_t size = 0;
    *count = 0;
    for (int i = 0; i < tree->count; i++) {
        const char *name = child(&tree->nodes[i], path);
        size += name == NULL ? 0 : sizeof(char *) + strlen(name) + 1;
        *count += name != NULL;
    }
    char **names = malloc(size), *text = (char *)(names + *count);
    for (int i = 0, n = 0; i < tree->count; i++) {
        const char *name = child(&tree->nodes[i], path);
        if (name != NULL)
            text = stpcpy(names[n++] = text, name) + 1;
    }
    return names;
}

bool xs_write(struct xs_handle *handle, xs_transaction_t transaction, const char *path, const void *value, unsigned int length)
{
    (void)handle;
    struct tree *tree = enter(transaction, path);
    if (tree == NULL)
        return false;
    if (strlen(path) + 1 + length > XENSTORE_PAYLOAD_MAX) {
        errno = E2BIG;
        return false;
    }
    make_folders(tree, path);
    set(tree, path, value, length);
    changed(tree, path, false);
    return true;
}

bool xs_mkdir(struct xs_handle *handle, xs_transaction_t transaction, const char *path)
{
    (void)handle;
    struct tree *tree = enter(transaction, path);
    if (tree == NULL)
        return false;
    if (find(tree, path) == NULL) {
        make_folders(tree, path);
        set(tree, path, "", 0);
        changed(tree, path, false);
    }
    return true;
}

bool xs_rm(struct xs_handle *handle, xs_transaction_t transaction, const char *path)
{
    (void)handle;
    struct tree *tree = enter(transaction, path);
    if (tree == NULL || find(tree, path) == NULL)
        return false;
    for (int i = tree->count - 1; i >= 0; i--)
        if (strcmp(tree->nodes[i].path, path) == 0 || is_below(tree->nodes[i].path, path))
            cut(tree, i);
    changed(tree, path, true);
    return true;
}

bool xs_set_permissions(struct xs_handle *handle, xs_transaction_t transaction, const char *path, struct xs_permissions *permissions,
                        unsigned int count)
{
    (void)handle;
    struct tree *tree = enter(transaction, path);
    for (unsigned int i = 0; i < count; i++)
        if (permissions[i].perms > (XS_PERM_READ | XS_PERM_WRITE))
            never("permissions that don't exist");
    return tree != NULL && find(tree, path) != NULL;
}

static int find_watch(struct xs_handle *handle, const char *path, const char *token)
{
    for (int i = 0; i < MOST_WATCHES; i++)
        if (watches[i].owner == handle && strcmp(watches[i].path, path) == 0 && strcmp(watches[i].token, token) == 0)
            return i;
    return -1;
}

bool xs_watch(struct xs_handle *handle, const char *path, const char *token)
{
    if (enter(0, path) == NULL)
        return false;
    if (find_watch(handle, path, token) >= 0) {
        errno = EEXIST;
        return false;
    }
    int i = 0;
    while (watches[i].owner != NULL)
        if (++i == MOST_WATCHES)
            never("no more watches");
    watches[i].owner = handle;
    watches[i].path = strdup(path);
    watches[i].token = strdup(token);
    opened(WATCHES, 1);
    say(handle, path, token);
    return true;
}

bool xs_unwatch(struct xs_handle *handle, const char *path, const char *token)
{
    if (enter(0, path) == NULL)
        return false;
    int i = find_watch(handle, path, token);
    if (i < 0) {
        errno = ENOENT;
        return false;
    }
    end_watch(i);
    for (struct event **link = &handle->heard; *link != NULL;) { /* XS_UNWATCH_FILTER */
        bool of_this = strcmp((*link)->token, token) == 0 && (strcmp((*link)->path, path) == 0 || is_below((*link)->path, path));
        if (of_this)
            forget(handle, link);
        else
            link = &(*link)->next;
    }
    return true;
}

char **xs_check_watch(struct xs_handle *handle)
{
    if (tripped())
        return NULL;
    struct event *event = handle->heard;
    if (event == NULL) {
        errno = EAGAIN;
        return NULL;
    }
    char **told = malloc(2 * sizeof(char *) + strlen(event->path) + strlen(event->token) + 2);
    told[XS_WATCH_PATH] = (char *)(told + 2);
    told[XS_WATCH_TOKEN] = stpcpy(told[XS_WATCH_PATH], event->path) + 1;
    strcpy(told[XS_WATCH_TOKEN], event->token);
    forget(handle, &handle->heard);
    return told;
}

xs_transaction_t xs_transaction_start(struct xs_handle *handle)
{
    (void)handle;
    if (tripped())
        return XBT_NULL;
    for (xs_transaction_t i = 1; i < MOST_TRANSACTIONS; i++) {
        if (!trees[i].used) {
            trees[i].used = true;
            trees[i].generation = trees[0].generation;
            copy(&trees[i], &trees[0]);
            opened(TRANSACTIONS, 1);
            return i;
        }
    }
    errno = ENOSPC;
    return XBT_NULL;
}

bool xs_transaction_end(struct xs_handle *handle, xs_transaction_t transaction, bool abort)
{
    (void)handle;
    struct tree *tree = enter(transaction, "/");
    if (tree == NULL) {
        int number = errno;
        empty(&trees[transaction]); /* over in any case, as when the daemon is gone */
        trees[transaction].used = false;
        opened(TRANSACTIONS, -1);
        errno = number;
        return false;
    }
    bool collided = !abort && tree->generation != trees[0].generation;
    if (!abort && !collided && tree->changes > 0) {
        while (trees[0].count > 0)
            cut(&trees[0], 0);
        copy(&trees[0], tree);
        for (int i = 0; i < tree->changes; i++) {
            bool removed = tree->changed[i][0] == '-';
            changed(&trees[0], tree->changed[i] + removed, removed);
        }
    }
    empty(tree);
    tree->used = false;
    opened(TRANSACTIONS, -1);
    errno = EAGAIN;
    return !collided;
}
