#include "logrotate/tidy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"
#include "logrotate/compress.h"
#include "logrotate/name.h"

struct folder {
    const struct log_tidy *t;
    int fd;
    char *path;
    const char *base;
    struct log_rotated *v;
    size_t n;
};

static int newest_first(const void *a, const void *b)
{
    const struct log_rotated *x = a, *y = b;

    if (x->time_ns != y->time_ns)
        return x->time_ns < y->time_ns ? 1 : -1;
    if (x->number != y->number)
        return x->number < y->number ? 1 : -1;
    return strcmp(y->name, x->name);
}

size_t log_tidy_choose(struct log_rotated *v, size_t n, const struct log_rotate_policy *p, int64_t now_ns)
{
    size_t keep = p->retain == LOG_ROTATE_ALL || n < p->retain ? n : p->retain;

    if (n)
        qsort(v, n, sizeof *v, newest_first);
    while (p->max_age_ms && keep && now_ns - v[keep - 1].time_ns > (int64_t)p->max_age_ms * 1000000)
        keep--;
    return keep;
}

static void tell(const struct folder *f, const char *what, const char *name)
{
    _cleanup_free_ char *text = xasprintf("cannot %s %s/%s: %s", what, f->path, name, strerror(errno));

    f->t->trouble(f->t->arg, text);
}

static bool drop(const struct folder *f, const char *name)
{
    if (unlinkat(f->fd, name, 0) == 0 || errno == ENOENT)
        return true;
    tell(f, "delete", name);
    return false;
}

/* One that is compressed already, but whose original is still there. */
static bool has_compressed(const struct folder *f, const char *name)
{
    for (enum log_compress c = LOG_COMPRESS_GZIP; c <= LOG_COMPRESS_ZSTD; c++) {
        _cleanup_free_ char *other = xasprintf("%s%s", name, log_compress_suffix(c));

        if (faccessat(f->fd, other, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            return true;
    }
    return false;
}

static void look_at(struct folder *f, const char *name)
{
    struct log_name known;
    struct stat st;

    if (!log_name_read(f->base, f->t->policy->date_format, name, &known))
        return;
    if (fstatat(f->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
        return;
    if (known.unfinished || (known.compress == LOG_COMPRESS_NONE && has_compressed(f, name))) {
        drop(f, name);
        return;
    }
    f->v = xrealloc(f->v, (f->n + 1) * sizeof *f->v);
    f->v[f->n++] = (struct log_rotated){
        xstrdup(name), (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec, known.number};
}

static bool scan(struct folder *f)
{
    int fd = openat(f->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    if (!d) {
        tell(f, "read", "");
        if (fd >= 0)
            close(fd);
        return false;
    }
    while ((entry = readdir(d)))
        look_at(f, entry->d_name);
    closedir(d);
    return true;
}

static void compress_kept(const struct folder *f, size_t keep)
{
    for (size_t i = 0; i < keep && !atomic_load(f->t->stop); i++) {
        struct log_name known;
        struct err e;
        int rc;

        log_name_read(f->base, f->t->policy->date_format, f->v[i].name, &known);
        if (known.compress != LOG_COMPRESS_NONE)
            continue;
        rc = log_compress_file(f->fd, f->v[i].name, f->t->policy->compress, f->t->stop, &e);
        if (rc < 0 && rc != -ECANCELED) {
            _cleanup_free_ char *text =
                xasprintf("%s (in %s; it stays as it is until the next rotation)", e.msg, f->path);

            f->t->trouble(f->t->arg, text);
            return;
        }
    }
}

unsigned log_tidy(const struct log_tidy *t)
{
    const char *slash = strrchr(t->path, '/');
    struct folder f = {.t = t, .fd = -1};
    unsigned deleted = 0;
    size_t keep;

    if (!slash)
        return 0;
    f.base = slash + 1;
    f.path = slash == t->path ? xstrdup("/") : xstrndup(t->path, (size_t)(slash - t->path));
    f.fd = open(f.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (f.fd >= 0 && scan(&f)) {
        keep = log_tidy_choose(f.v, f.n, t->policy, (int64_t)clock_wall_us() * 1000);
        for (size_t i = keep; i < f.n; i++)
            deleted += drop(&f, f.v[i].name);
        if (t->policy->compress != LOG_COMPRESS_NONE)
            compress_kept(&f, keep);
    }
    for (size_t i = 0; i < f.n; i++)
        free(f.v[i].name);
    free(f.v);
    if (f.fd >= 0)
        close(f.fd);
    free(f.path);
    return deleted;
}
