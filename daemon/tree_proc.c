#include "daemon/tree_proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/mem.h"
#include "daemon/idmap.h"

struct root {
    pid_t pid;
    uint64_t run;
    LIST_ENTRY(root) entry;
};

static pthread_mutex_t roots_lock = PTHREAD_MUTEX_INITIALIZER;
static struct idmap roots; /* pid -> struct root */
static LIST_HEAD(, root) root_list = LIST_HEAD_INITIALIZER(root_list);

void tree_root_add(pid_t pid, uint64_t run)
{
    struct root *r;

    if (pid <= 0 || !run)
        return;
    pthread_mutex_lock(&roots_lock);
    r = idmap_get(&roots, (uint64_t)pid);
    if (!r) {
        r = xcalloc(1, sizeof(*r));
        r->pid = pid;
        LIST_INSERT_HEAD(&root_list, r, entry);
        idmap_put(&roots, (uint64_t)pid, r);
    }
    r->run = run;
    pthread_mutex_unlock(&roots_lock);
}

void tree_root_remove(pid_t pid)
{
    struct root *r;

    pthread_mutex_lock(&roots_lock);
    r = idmap_get(&roots, (uint64_t)pid);
    if (r) {
        idmap_del(&roots, (uint64_t)pid);
        LIST_REMOVE(r, entry);
        free(r);
    }
    pthread_mutex_unlock(&roots_lock);
}

void tree_roots_clear(void)
{
    struct root *r, *next;

    pthread_mutex_lock(&roots_lock);
    for (r = LIST_FIRST(&root_list); r; r = next) {
        next = LIST_NEXT(r, entry);
        free(r);
    }
    LIST_INIT(&root_list);
    idmap_deinit(&roots);
    pthread_mutex_unlock(&roots_lock);
}

uint64_t tree_root_of(pid_t pid)
{
    const struct root *r;
    uint64_t run;

    pthread_mutex_lock(&roots_lock);
    r = idmap_get(&roots, (uint64_t)pid);
    run = r ? r->run : 0;
    pthread_mutex_unlock(&roots_lock);
    return run;
}

void pid_list_add(struct pid_list *l, pid_t pid)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 64;
        l->v = xrealloc(l->v, l->cap * sizeof(*l->v));
    }
    l->v[l->n++] = pid;
}

void pid_list_free(struct pid_list *l)
{
    free(l->v);
    *l = (struct pid_list){0};
}

int tree_proc_stat(pid_t pid, struct proc_stat *out)
{
    char path[64], text[1024], *p, *name;
    unsigned long long start;
    long threads;
    char state;
    int ppid;
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -ESRCH : -errno;
    n = read(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return -ESRCH;
    text[n] = '\0';
    p = strrchr(text, ')'); /* the name before it may hold anything, also ")" and spaces */
    if (!p || sscanf(p + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld %*d %llu",
                     &state, &ppid, &threads, &start) != 4)
        return -EBADMSG;
    name = strchr(text, '(');
    *p = '\0';
    snprintf(out->comm, sizeof(out->comm), "%.15s", name && name < p ? name + 1 : "");
    out->pid = pid;
    out->ppid = ppid;
    out->start_ticks = start;
    /* A program whose first thread has ended shows "Z" while its other threads run. */
    out->dead = (state == 'Z' && threads <= 1) || state == 'X' || state == 'x';
    return 0;
}

#define CHUNK 4096 /* bytes; what the kernel makes of a list at a time */

/* Decimal numbers separated by blanks. */
static int read_pids(const char *path, struct pid_list *out)
{
    char chunk[CHUNK];
    pid_t pid = 0;
    ssize_t n;

    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    while ((n = read(fd, chunk, sizeof(chunk))) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (chunk[i] >= '0' && chunk[i] <= '9') {
                pid = pid * 10 + (chunk[i] - '0');
            } else if (pid) {
                pid_list_add(out, pid);
                pid = 0;
            }
        }
    }
    if (pid)
        pid_list_add(out, pid);
    return n < 0 ? -errno : 0;
}

int tree_proc_children(pid_t pid, struct pid_list *out)
{
    char path[64];
    struct dirent *d;
    DIR *dir;
    int rc = -ESRCH;

    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    dir = opendir(path);
    if (!dir)
        return errno == ENOENT ? -ESRCH : -errno;
    while ((d = readdir(dir))) {
        char list[128];
        int one;

        if (d->d_name[0] < '0' || d->d_name[0] > '9')
            continue;
        snprintf(list, sizeof(list), "/proc/%d/task/%.20s/children", (int)pid, d->d_name);
        one = read_pids(list, out);
        if (one == 0)
            rc = 0;
        else if (one == -ENOENT && rc != 0)
            rc = -ENOENT; /* this thread has just ended, or the kernel keeps no lists */
    }
    closedir(dir);
    return rc;
}

/*
 * The kernel's list may leave out a child when one before it is reaped between two steps of the reading. Such
 * a reading has the reaped child in it, which the next reading has not: two equal lists in a row are whole.
 */
int tree_keeper_children(pid_t keeper, struct pid_list *out)
{
    struct pid_list last = {0};
    char path[64];
    int rc = -EAGAIN;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)keeper, (int)keeper);
    for (int i = 0; i < 6 && rc == -EAGAIN; i++) {
        struct pid_list now = {0};
        int one = read_pids(path, &now);

        if (one < 0)
            rc = one;
        else if (i > 0 && now.n == last.n && (!now.n || !memcmp(now.v, last.v, now.n * sizeof(*now.v))))
            rc = 0;
        pid_list_free(&last);
        last = now;
    }
    if (rc == 0)
        for (size_t i = 0; i < last.n; i++)
            pid_list_add(out, last.v[i]);
    pid_list_free(&last);
    return rc;
}

int tree_keeper_children_short(pid_t keeper, struct pid_list *out)
{
    char path[64], lists[2][CHUNK];
    ssize_t n[2];
    pid_t pid = 0;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)keeper, (int)keeper);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    for (int i = 0; i < 2; i++) {
        n[i] = pread(fd, lists[i], CHUNK, 0);
        if (n[i] < 0)
            return -errno;
    }
    /* The kernel leaves out what would not fit whole: a chunk that is nearly full may not be the end. */
    if (n[0] > CHUNK - 16 || n[0] != n[1] || memcmp(lists[0], lists[1], (size_t)n[0]) != 0)
        return -EAGAIN;
    for (ssize_t i = 0; i < n[0]; i++) {
        if (lists[0][i] != ' ') {
            pid = pid * 10 + (lists[0][i] - '0');
            continue;
        }
        pid_list_add(out, pid);
        pid = 0;
    }
    return 0;
}
