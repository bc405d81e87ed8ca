#include "daemon/watch_scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"

/* A write is told when the file is closed: one event a save, and none for a file that is kept open. */
#define EVENTS                                                                                               \
    (IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF |  \
     IN_ONLYDIR | IN_EXCL_UNLINK)

struct walk {
    struct watch_scan *s;
    unsigned root;
    size_t begin;   /* of this root's folders */
    uint64_t *seen; /* device and inode hashed, open addressing; links may lead to a folder twice */
    size_t n_seen, seen_size;
};

static uint64_t mix(uint64_t h, uint64_t v)
{
    h ^= v;
    h *= 0x9e3779b97f4a7c15u;
    return h ^ (h >> 29);
}

static uint64_t hash_text(const char *p)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (; *p; p++)
        h = (h ^ (unsigned char)*p) * 0x100000001b3u;
    h = mix(h, 1);
    return h ? h : 1;
}

static struct watch_file *file_slot(const struct watch_files *f, uint64_t path)
{
    size_t i = path & (f->size - 1);

    while (f->v[i].path && f->v[i].path != path)
        i = (i + 1) & (f->size - 1);
    return &f->v[i];
}

static void files_put(struct watch_files *f, uint64_t path, uint64_t look)
{
    if (2 * f->n >= f->size) {
        struct watch_files old = *f;

        f->size = old.size ? 2 * old.size : 256;
        f->v = xcalloc(f->size, sizeof(*f->v));
        for (size_t i = 0; i < old.size; i++)
            if (old.v[i].path)
                *file_slot(f, old.v[i].path) = old.v[i];
        free(old.v);
    }
    struct watch_file *slot = file_slot(f, path);
    if (!slot->path)
        f->n++;
    *slot = (struct watch_file){path, look};
}

static void set_changed(struct watch_scan *s, const char *path)
{
    if (!s->changed)
        s->changed = xstrdup(path);
}

/* True when it is new. */
static bool see(struct walk *w, const struct stat *st)
{
    uint64_t key = mix(mix(1, (uint64_t)st->st_dev), (uint64_t)st->st_ino) | 1;
    size_t i;

    if (2 * w->n_seen >= w->seen_size) {
        uint64_t *old = w->seen;
        size_t n = w->seen_size;

        w->seen_size = n ? 2 * n : 256;
        w->seen = xcalloc(w->seen_size, sizeof(*w->seen));
        for (size_t k = 0; k < n; k++) {
            if (!old[k])
                continue;
            for (i = old[k] & (w->seen_size - 1); w->seen[i]; i = (i + 1) & (w->seen_size - 1))
                ;
            w->seen[i] = old[k];
        }
        free(old);
    }
    for (i = key & (w->seen_size - 1); w->seen[i]; i = (i + 1) & (w->seen_size - 1))
        if (w->seen[i] == key)
            return false;
    w->seen[i] = key;
    w->n_seen++;
    return true;
}

static struct watch_dir *push(struct walk *w, char *take_path, const char *only)
{
    struct watch_scan *s = w->s;

    if (s->n_dirs >= WATCH_FOLDERS_MAX) {
        free(take_path);
        s->error = -E2BIG;
        return NULL;
    }
    if (s->n_dirs == s->room) {
        s->room = s->room ? 2 * s->room : 16;
        s->dirs = xrealloc(s->dirs, s->room * sizeof(*s->dirs));
    }
    s->dirs[s->n_dirs] = (struct watch_dir){.path = take_path, .only = only, .root = w->root, .wd = -1};
    return &s->dirs[s->n_dirs++];
}

static void look_at_file(struct walk *w, int dir, const char *path, const char *name)
{
    struct watch_scan *s = w->s;
    struct stat st;

    if ((s->inotify >= 0 && !s->since_s) || fstatat(dir, name, &st, 0) < 0)
        return;
    if (s->since_s && (uint64_t)st.st_ctim.tv_sec >= s->since_s)
        set_changed(s, path);
    if (s->inotify >= 0)
        return;
    uint64_t key = hash_text(path);
    uint64_t look =
        mix(mix(mix(mix(1, (uint64_t)st.st_mtim.tv_sec), (uint64_t)st.st_mtim.tv_nsec), (uint64_t)st.st_size),
            (uint64_t)st.st_ino);
    const struct watch_file *was = s->before.size ? file_slot(&s->before, key) : NULL;

    if (was && (!was->path || was->look != look))
        set_changed(s, path);
    files_put(&s->files, key, look);
    if (s->files.n > WATCH_FILES_MAX)
        s->error = -EFBIG;
}

static bool is_folder(const struct walk *w, int dir, const struct dirent *d)
{
    struct stat st;

    if (d->d_type == DT_DIR)
        return true;
    if (d->d_type == DT_LNK && w->s->rules->follow)
        return fstatat(dir, d->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode);
    if (d->d_type == DT_UNKNOWN) /* some file systems don't say */
        return fstatat(dir, d->d_name, &st, w->s->rules->follow ? 0 : AT_SYMLINK_NOFOLLOW) == 0 &&
               S_ISDIR(st.st_mode);
    return false;
}

bool watch_dir_wants(const struct watch_dir *d, const char *name)
{
    return !d->only || (strlen(name) == strcspn(d->only, "/") && strncmp(d->only, name, strlen(name)) == 0);
}

static void look_at_entry(struct walk *w, size_t i, int dir, const struct dirent *d)
{
    struct watch_scan *s = w->s;
    const struct watch_dir *in = &s->dirs[i];
    const struct watch_root *root = &s->rules->roots[w->root];
    char *path;

    if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 || !watch_dir_wants(in, d->d_name))
        return;
    path = xasprintf("%s/%s", strcmp(in->path, "/") ? in->path : "", d->d_name);
    if (!in->only && watch_rules_ignore(s->rules, path, d->d_name)) {
        free(path);
    } else if (!is_folder(w, dir, d)) {
        if (watch_rules_count(s->rules, root, path, d->d_name)) {
            s->dirs[i].files = true;
            look_at_file(w, dir, path, d->d_name);
        }
        free(path);
    } else if (in->only) {
        free(path); /* the walk begins there when it is the root itself */
    } else {
        push(w, path, NULL);
    }
}

static void walk_dir(struct walk *w, size_t i)
{
    struct watch_scan *s = w->s;
    struct dirent *d;
    struct stat st;
    int fd = open(s->dirs[i].path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir) { /* gone meanwhile, or not ours to read: then it isn't watched */
        if (fd >= 0)
            close(fd);
        return;
    }
    if (fstat(fd, &st) == 0 && (s->dirs[i].only || see(w, &st))) {
        /* First the watch, then the look: what comes in between is told. */
        if (s->inotify >= 0) {
            s->dirs[i].wd = inotify_add_watch(s->inotify, s->dirs[i].path, EVENTS);
            if (s->dirs[i].wd < 0 && errno == ENOSPC)
                s->error = -ENOSPC;
        }
        if (s->since_s && (uint64_t)st.st_mtim.tv_sec >= s->since_s && !s->dirs[i].only)
            set_changed(s, s->dirs[i].path);
        while (s->error == 0 && !atomic_load(&s->stop) && (d = readdir(dir)) != NULL)
            look_at_entry(w, i, fd, d);
    }
    closedir(dir);
}

/* The folder itself; of a file the folder that it is in; of what is not there the nearest one that is. */
static void begin_root(struct walk *w, const char *path)
{
    char *folder = xstrdup(path);
    struct stat st;

    if (stat(folder, &st) == 0 && S_ISDIR(st.st_mode)) {
        push(w, folder, NULL);
        return;
    }
    for (;;) {
        char *slash = strrchr(folder, '/');
        size_t at = (size_t)(slash - folder);

        folder[at ? at : 1] = '\0';
        if (at == 0 || (stat(folder, &st) == 0 && S_ISDIR(st.st_mode))) {
            push(w, folder, path + at + 1);
            return;
        }
    }
}

static void check_gone(struct watch_scan *s)
{
    if (s->inotify < 0 && s->before.size && s->files.n < s->before.n && s->n_dirs > 0)
        set_changed(s, s->dirs[0].path);
}

void watch_scan_run(struct later_job *j)
{
    struct watch_scan *s = (struct watch_scan *)j;
    uint64_t begin = clock_mono_ms();

    if (s->inotify < 0) /* that it has been looked at shows in its having memory */
        s->files = (struct watch_files){.v = xcalloc(256, sizeof(struct watch_file)), .size = 256};
    for (size_t r = 0; r < s->rules->n_roots && s->error == 0 && !atomic_load(&s->stop); r++) {
        struct walk w = {.s = s, .root = (unsigned)r, .begin = s->n_dirs};

        begin_root(&w, s->rules->roots[r].path);
        for (size_t i = w.begin; i < s->n_dirs && s->error == 0 && !atomic_load(&s->stop); i++)
            walk_dir(&w, i);
        free(w.seen);
    }
    if (s->error == 0 && !atomic_load(&s->stop))
        check_gone(s);
    s->took_ms = clock_mono_ms() - begin;
}

void watch_dirs_free(struct watch_dir *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(v[i].path);
    free(v);
}

void watch_scan_free(struct watch_scan *s)
{
    watch_rules_unref(s->rules);
    if (s->inotify >= 0)
        close(s->inotify);
    watch_dirs_free(s->dirs, s->n_dirs);
    free(s->before.v);
    free(s->files.v);
    free(s->changed);
    free(s);
}
