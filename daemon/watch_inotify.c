/* The inotify descriptor: which folder a watch stands for, and what its events mean. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/plog.h"
#include "daemon/engine.h"
#include "daemon/watch_int.h"

#define BUFFER_BYTES 65536

static struct watch_bucket *bucket_of(const struct watches *a, int wd)
{
    return &a->buckets[(unsigned)wd % WATCH_BUCKETS];
}

static bool is_used(const struct watches *a, int wd)
{
    const struct watch_dir *d;

    LIST_FOREACH (d, bucket_of(a, wd), entry) {
        if (d->wd == wd)
            return true;
    }
    return false;
}

bool watches_knows(const struct watcher *w, int wd)
{
    const struct watch_dir *d;

    if (!w->all->buckets)
        return false;
    LIST_FOREACH (d, bucket_of(w->all, wd), entry) {
        if (d->wd == wd && d->watcher == w)
            return true;
    }
    return false;
}

void watches_put(struct watcher *w)
{
    for (size_t i = 0; i < w->n_dirs; i++) {
        w->dirs[i].watcher = w;
        if (w->dirs[i].wd >= 0)
            LIST_INSERT_HEAD(bucket_of(w->all, w->dirs[i].wd), &w->dirs[i], entry);
    }
}

void watches_remove_unused(struct watches *a)
{
    if (a->scans > 0)
        return;
    for (size_t i = 0; i < a->n_unused; i++)
        if (a->fd >= 0 && !is_used(a, a->unused[i]))
            inotify_rm_watch(a->fd, a->unused[i]); /* EINVAL: the folder went, and the watch with it */
    free(a->unused);
    a->unused = NULL;
    a->n_unused = 0;
}

void watches_drop(struct watches *a, struct watch_dir *v, size_t n, bool listed)
{
    if (listed)
        for (size_t i = 0; i < n; i++)
            if (v[i].wd >= 0)
                LIST_REMOVE(&v[i], entry);
    if (n && a->fd >= 0) {
        a->unused = xrealloc(a->unused, (a->n_unused + n) * sizeof(int));
        for (size_t i = 0; i < n; i++)
            if (v[i].wd >= 0 && !is_used(a, v[i].wd))
                a->unused[a->n_unused++] = v[i].wd;
    }
    watch_dirs_free(v, n);
}

/* The name is the one that such a folder is watched for: the root itself, or a part of the way to it. */
static void root_event(struct watcher *w, const struct watch_dir *d, const char *name, uint32_t mask)
{
    const struct watch_root *root = &w->rules->roots[d->root];
    _cleanup_free_ char *path = xasprintf("%s/%s", strcmp(d->path, "/") ? d->path : "", name);

    if (!watch_dir_wants(d, name))
        return;
    if ((mask & IN_ISDIR) || strcmp(path, root->path) != 0)
        watcher_rescan(w, WATCH_RESCAN_MS);
    else if (watch_rules_count(w->rules, root, path, name))
        watcher_changed(w, path);
}

static void folder_event(struct watcher *w, const struct watch_dir *d, const char *name, uint32_t mask)
{
    const struct watch_root *root = &w->rules->roots[d->root];
    _cleanup_free_ char *path = xasprintf("%s/%s", strcmp(d->path, "/") ? d->path : "", name);

    if (watch_rules_ignore(w->rules, path, name))
        return;
    if (mask & IN_ISDIR) {
        watcher_rescan(w, WATCH_RESCAN_MS);
        if (!root->glob && !*w->rules->extensions)
            watcher_changed(w, path);
    } else if (watch_rules_count(w->rules, root, path, name)) {
        watcher_changed(w, path);
    }
}

static void dir_event(struct watch_dir *d, const char *name, uint32_t mask)
{
    struct watcher *w = d->watcher;

    if (mask & IN_IGNORED) {
        LIST_REMOVE(d, entry);
        d->wd = -1;
    }
    if (mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) {
        /* Of a folder in another one that one tells as well. */
        if (d->only || strcmp(d->path, w->rules->roots[d->root].path) == 0)
            watcher_rescan(w, WATCH_RESCAN_MS);
    } else if (name && *name) {
        if (d->only)
            root_event(w, d, name, mask);
        else
            folder_event(w, d, name, mask);
    }
}

/* The kernel dropped events: every app looks for files that changed since about then. */
static void overflowed(struct watches *a)
{
    struct watcher *w;

    log_warn("watch: more changes of files than the kernel keeps; looking at all of them");
    LIST_FOREACH (w, &a->watchers, entry) {
        if (watcher_polls(w))
            continue;
        if (!w->since_s)
            w->since_s = clock_wall_ms() / 1000 - 2;
        watcher_rescan(w, WATCH_RESCAN_MS);
    }
}

static void stash(struct watches *a, int wd, uint32_t mask, const char *name)
{
    if (a->n_stash < WATCH_STASH_MAX)
        a->stash[a->n_stash++] = (struct watch_event){wd, mask, xstrdup(name ? name : "")};
    else if (a->n_stash++ == WATCH_STASH_MAX)
        overflowed(a);
}

static void handle(struct watches *a, int wd, uint32_t mask, const char *name)
{
    struct watch_dir *d, *next;
    bool known = false;

    if (mask & IN_Q_OVERFLOW) {
        overflowed(a);
        return;
    }
    for (d = LIST_FIRST(bucket_of(a, wd)); d; d = next) {
        next = LIST_NEXT(d, entry);
        if (d->wd != wd)
            continue;
        known = true;
        dir_event(d, name, mask);
    }
    if (!known && a->scans > 0 && !(mask & IN_IGNORED))
        stash(a, wd, mask, name);
}

void watches_replay(struct watches *a)
{
    unsigned n = a->n_stash < WATCH_STASH_MAX ? a->n_stash : WATCH_STASH_MAX;
    struct watch_event *v = n ? xcalloc(n, sizeof(*v)) : NULL;

    if (v)
        memcpy(v, a->stash, n * sizeof(*v));
    a->n_stash = 0;
    for (unsigned i = 0; i < n; i++) {
        if (a->engine)
            handle(a, v[i].wd, v[i].mask, v[i].name);
        free(v[i].name);
    }
    free(v);
}

/* Bounded, so that a storm of changes keeps the loop only from time to time; the rest is read next turn. */
static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct watches *a = poll->data;

    (void)status;
    (void)events;
    for (int i = 0; i < WATCH_BATCH; i++) {
        ssize_t n = read(a->fd, a->buffer, BUFFER_BYTES);

        if (n <= 0)
            return;
        for (const char *p = a->buffer; p < a->buffer + n;) {
            struct inotify_event ev;

            memcpy(&ev, p, sizeof(ev));
            handle(a, ev.wd, ev.mask, ev.len ? p + sizeof(ev) : NULL);
            p += sizeof(ev) + ev.len;
        }
    }
}

bool watches_open(struct watches *a)
{
    if (a->fd >= 0)
        return true;
    a->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (a->fd < 0)
        return false;
    if (uv_poll_init(&a->engine->loop, &a->poll, a->fd) < 0) {
        close(a->fd);
        a->fd = -1;
        errno = EMFILE;
        return false;
    }
    a->poll_open = true;
    a->poll.data = a;
    a->buckets = xcalloc(WATCH_BUCKETS, sizeof(*a->buckets));
    a->buffer = xmalloc(BUFFER_BYTES);
    uv_poll_start(&a->poll, UV_READABLE, on_readable);
    return true;
}
