/* A walk over an app's folders: its beginning, and what becomes of what it found. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/fs.h"
#include "common/mem.h"
#include "common/plog.h"
#include "daemon/engine.h"
#include "daemon/watch_int.h"

static void tell(struct watcher *w, const char *text)
{
    log_warn("%s", text);
    event_emit(w->all->engine,
               &(struct event){.kind = EVENT_WATCH, .p = TAILQ_FIRST(&w->app->processes), .text = text});
}

/* What the kernel allows, as text without its line end; "?" when it does not say. */
static void limit_of(const char *file, char *out, size_t size)
{
    FILE *f = fopen(file, "re");

    snprintf(out, size, "?");
    if (!f)
        return;
    if (fgets(out, (int)size, f))
        out[strcspn(out, "\n")] = '\0';
    fclose(f);
}

/* Told once: each further app has the same reason. */
void watcher_fall_back(struct watcher *w, int error)
{
    const char *name = error == ENOSPC ? "max_user_watches" : "max_user_instances";
    char limit[32], text[512], file[80];

    w->fallback = true;
    if (w->all->warned)
        return;
    w->all->warned = true;
    snprintf(file, sizeof(file), "/proc/sys/fs/inotify/%s", name);
    limit_of(file, limit, sizeof(limit));
    snprintf(text, sizeof(text),
             "watch: %s: the kernel's inotify has nothing left (fs.inotify.%s is %s): files are polled every "
             "%u ms. More: sysctl fs.inotify.%s=524288, then pm update",
             w->app->spec->name, name, limit, w->rules->interval_ms, name);
    tell(w, text);
}

static void refuse(struct watcher *w, int error)
{
    char text[512];

    w->refused = error == -E2BIG ? "there are more than 100000 folders" : "there are more than 500000 files";
    snprintf(text, sizeof(text),
             "watch: %s is not watched: %s; name fewer with watch, or leave out some with ignore_watch",
             w->app->spec->name, w->refused);
    tell(w, text);
}

static void drop_dirs(struct watcher *w)
{
    watches_drop(w->all, w->dirs, w->n_dirs, true);
    w->dirs = NULL;
    w->n_dirs = 0;
}

/* New folders with files in them are a change, which nothing else may have told. */
static void take_dirs(struct watcher *w, struct watch_scan *s)
{
    struct watch_dir *old = w->dirs;
    size_t n_old = w->n_dirs;

    for (size_t i = 0; w->walked && i < s->n_dirs; i++)
        if (s->dirs[i].files && s->dirs[i].wd >= 0 && !watches_knows(w, s->dirs[i].wd))
            watcher_changed(w, s->dirs[i].path);
    w->dirs = s->dirs;
    w->n_dirs = s->n_dirs;
    s->dirs = NULL;
    s->n_dirs = 0;
    watches_put(w);
    watches_drop(w->all, old, n_old, true);
}

static void take_files(struct watcher *w, struct watch_scan *s)
{
    free(w->files.v);
    w->files = s->files;
    s->files = (struct watch_files){0};
}

/* The walk's watches that nobody took. */
static void drop_found(struct watch_scan *s)
{
    watches_drop(s->all, s->dirs, s->n_dirs, false);
    s->dirs = NULL;
    s->n_dirs = 0;
}

static void walked(struct watcher *w, struct watch_scan *s)
{
    bool polled = s->inotify < 0;

    w->last_took_ms = s->took_ms;
    if (s->error) {
        drop_found(s);
        drop_dirs(w);
        if (s->error == -ENOSPC)
            watcher_fall_back(w, ENOSPC);
        else
            refuse(w, s->error);
        if (!w->refused)
            watcher_rescan(w, 0);
        return;
    }
    if (s->changed)
        watcher_changed(w, s->changed);
    if (polled) {
        take_files(w, s);
        w->n_polled = s->n_dirs;
        watcher_rescan(w, w->rules->interval_ms);
    } else {
        take_dirs(w, s);
    }
    w->walked = true;
}

static void on_walked(struct later_job *j)
{
    struct watch_scan *s = (struct watch_scan *)j;
    struct watches *a = s->all;
    struct watcher *w = s->owner;

    a->scans--;
    if (w) {
        w->scan = NULL;
        w->files = s->before; /* back; replaced when there is something newer */
        s->before = (struct watch_files){0};
        walked(w, s);
    }
    drop_found(s);
    watch_scan_free(s);
    watches_replay(a);
    watches_remove_unused(a);
    if (w)
        watcher_arm(w);
    watches_end_if_idle(a);
}

void watcher_walk(struct watcher *w)
{
    struct watch_scan *s = xcalloc(1, sizeof(*s));

    w->scan_at = 0;
    if (!watcher_polls(w) && !watches_open(w->all))
        watcher_fall_back(w, errno);
    *s = (struct watch_scan){.later.work = watch_scan_run,
                             .later.done = on_walked,
                             .all = w->all,
                             .owner = w,
                             .rules = watch_rules_ref(w->rules),
                             .inotify = -1,
                             .since_s = w->since_s,
                             .before = w->files};
    w->files = (struct watch_files){0};
    w->since_s = 0;
    if (!watcher_polls(w)) {
        s->inotify = fcntl(w->all->fd, F_DUPFD_CLOEXEC, 3);
        if (s->inotify < 0)
            watcher_fall_back(w, errno);
    }
    w->scan = s;
    w->all->scans++;
    later_put(&w->all->queue, &w->all->engine->loop, &s->later, true);
}
