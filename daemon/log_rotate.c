/*
 * Rotating flat files, on the writer thread, which alone writes to them.
 *
 * The order makes it exact over a crash at any moment. First all that was written is committed, with the
 * cursors of all streams that write to the file. Then the file is renamed: a new engine finds another file
 * (or none) under the name than the database knows, cuts nothing, and goes on at the cursors. Then the new
 * file is made, while the old one has its inode still, so that they can't be taken for each other; and it is
 * recorded before its first byte is written. Only then the rotated file may be compressed or deleted.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/zone.h"
#include "daemon/log_writer.h"
#include "logrotate/name.h"
#include "logrotate/worker.h"

#define LOOK_MS       60000u     /* the clock may be set: it is looked at so often */
#define TIDY_MS       3600000u   /* for rotated files that become too old */
#define LINE_PATIENCE (1u << 20) /* bytes over the size (or as much as it) that a line may go on */

/* ---- policies ---- */

const struct log_rotate_policy *log_rotate_policy_of(struct log_writer *w, const struct log_file *f)
{
    struct log_stream *s;

    TAILQ_FOREACH (s, &w->streams, by_writer)
        for (unsigned i = 1; s->rotate && s->placed && i < s->n_sinks; i++)
            if (s->sinks[i].file == f)
                return s->rotate;
    return &w->rotate;
}

/* An app's policy has no zone of its own. One that can't be read any more is the local one. */
static const struct zone *zone_of(struct log_writer *w, const struct log_rotate_policy *p)
{
    const char *name = *p->zone ? p->zone : w->rotate.zone;
    struct err e;

    if (strcmp(name, w->zone_name) == 0)
        return w->zone;
    zone_free(w->zone);
    if (zone_open(name, &w->zone, &e) < 0)
        log_trouble(w, "%s: the times of rotated files are local ones", e.msg);
    snprintf(w->zone_name, sizeof w->zone_name, "%s", name);
    return w->zone;
}

static void on_trouble(void *arg, const char *text)
{
    log_report(arg, LOG_EV_TROUBLE, xstrdup(text));
}

static char *real_path(const char *path)
{
    char buf[PATH_MAX];

    return xstrdup(realpath(path, buf) ? buf : path);
}

static void tidy(struct log_writer *w, const char *path, const struct log_rotate_policy *p)
{
    if (!w->tidier)
        w->tidier = log_worker_new(on_trouble, w->l);
    log_worker_tidy(w->tidier, path, p);
}

static void look_at(struct log_writer *w, int64_t due, int64_t now)
{
    uint64_t in = due <= now ? 0 : (uint64_t)(due - now) * 1000, at;

    if (in > LOOK_MS)
        in = LOOK_MS;
    at = clock_mono_ms() + in;
    if (!w->rotate_look_at || at < w->rotate_look_at)
        w->rotate_look_at = at;
}

static void watch_time(struct log_writer *w, struct log_file *f, const struct log_rotate_policy *p,
                       int64_t since)
{
    int64_t now = (int64_t)(clock_wall_ms() / 1000);

    f->rotate_due = p->on && p->timed ? cron_next(&p->interval, zone_of(w, p), since) : 0;
    f->tidy_by_age = p->on && p->max_age_ms;
    if (f->rotate_due)
        look_at(w, f->rotate_due, now);
    if (f->tidy_by_age)
        look_at(w, INT64_MAX, 0);
}

void log_rotate_watch(struct log_writer *w, struct log_file *f)
{
    const struct log_rotate_policy *p = log_rotate_policy_of(w, f);
    int64_t now = (int64_t)(clock_wall_ms() / 1000), since = now;
    struct stat st;

    f->rotate_known = true;
    f->rotate_at = p->on && f->regular ? p->max_size : 0;
    f->rotate_due = 0;
    f->tidy_by_age = false;
    if (!p->on || !f->regular)
        return;
    /* A time that went by while no daemon was there is made up for. */
    if (f->now.size && fstat(f->fd, &st) == 0 && st.st_mtime < now)
        since = st.st_mtime;
    watch_time(w, f, p, since);
    if (f->rotate_at && f->now.size >= f->rotate_at)
        f->rotate_wanted = w->rotate_wanted = true;
    _cleanup_free_ char *path = real_path(f->path);
    tidy(w, path, p);
}

/* ---- one file ---- */

struct place {
    int dir;
    char *path; /* without links */
    const char *base;
};

static void place_close(struct place *p)
{
    if (p->dir >= 0)
        close(p->dir);
    free(p->path);
}

static int place_open(struct place *p, const char *path, struct err *e)
{
    char *slash;

    p->path = real_path(path);
    slash = strrchr(p->path, '/');
    if (!slash) {
        p->dir = -1;
        return err_set(e, -EINVAL, "%s is no absolute path", path);
    }
    *slash = '\0';
    p->dir = open(slash == p->path ? "/" : p->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    *slash = '/';
    p->base = slash + 1;
    return p->dir < 0 ? err_errno(e, "cannot open the folder of %s", path) : 0;
}

/* Compressed or not, or about to be. */
static bool taken(void *arg, const char *name)
{
    const struct place *p = arg;

    for (enum log_compress c = LOG_COMPRESS_NONE; c <= LOG_COMPRESS_ZSTD; c++) {
        _cleanup_free_ char *full = xasprintf("%s%s", name, log_compress_suffix(c));

        if (faccessat(p->dir, full, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            return true;
    }
    return false;
}

static int rename_away(struct log_writer *w, struct place *p, const struct log_rotate_policy *policy,
                       char **name, struct err *e)
{
    char date[LOG_DATE_MAX];
    int rc;

    log_name_date(policy->date_format, zone_of(w, policy), clock_wall_us(), date);
    *name = log_name_make(p->base, date, taken, p);
    rc = renameat2(p->dir, p->base, p->dir, *name, RENAME_NOREPLACE);
    if (rc < 0 && (errno == EINVAL || errno == ENOSYS))
        rc = renameat(p->dir, p->base, p->dir, *name); /* a file system without that; the name is free */
    if (rc == 0)
        return 0;
    rc = err_errno(e, "cannot rotate %s", p->path);
    free(*name);
    *name = NULL;
    return rc;
}

/* The new file, with owner and mode of the old one. */
static int make_new(const struct place *p, const struct stat *old, struct err *e)
{
    _cleanup_close_ int fd =
        openat(p->dir, p->base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, old->st_mode & 0777);

    if (fd < 0)
        return err_errno(e, "cannot make %s anew", p->path);
    if ((old->st_uid != geteuid() || old->st_gid != getegid()) && fchown(fd, old->st_uid, old->st_gid) < 0 &&
        errno != EPERM)
        return err_errno(e, "cannot give %s its owner", p->path);
    if (fchmod(fd, old->st_mode & 07777) < 0)
        return err_errno(e, "cannot give %s its mode", p->path);
    return 0;
}

static char *full_name(const struct place *p, const char *name)
{
    return xasprintf("%.*s%s", (int)(p->base - p->path), p->path, name);
}

/* All that was written is known to the database, with the cursors of everyone who wrote it. */
static int settle(struct log_writer *w, struct log_file *f, struct err *e)
{
    /* Streams that ended are through: what they wrote is recorded. */
    log_mark_writers(w, f);
    if (!log_commit(w) || f->dirty || !log_file_recorded(f) || f->rec.size != f->now.size)
        return err_set(e, -EAGAIN, "%s cannot be written now, so %s is not rotated", w->l->db_path, f->path);
    return 0;
}

static int swap(struct log_writer *w, struct log_file *f, struct place *p, char **to, struct err *e)
{
    const struct log_rotate_policy *policy = log_rotate_policy_of(w, f);
    struct stat mine, there;
    char *name;
    int rc;

    if (fstat(f->fd, &mine) < 0 || fstatat(p->dir, p->base, &there, AT_SYMLINK_NOFOLLOW) < 0)
        return err_errno(e, "cannot rotate %s", f->path);
    if (mine.st_dev != there.st_dev || mine.st_ino != there.st_ino)
        return err_set(e, -ESTALE,
                       "cannot rotate %s: another file has that name now (pm reloadLogs opens it)", f->path);
    rc = rename_away(w, p, policy, &name, e);
    if (rc < 0)
        return rc;
    rc = make_new(p, &there, e);
    if (rc < 0 && renameat2(p->dir, name, p->dir, p->base, RENAME_NOREPLACE) == 0) {
        free(name);
        return rc; /* everything is as it was */
    }
    *to = full_name(p, name);
    free(name);
    log_file_close(f);
    f->has_rec = false;
    rc = log_file_open(f, e);
    if (rc != 0) /* the next line tries again, and tells */
        return rc < 0 ? rc : err_set(e, -ESTALE, "%s is open under another name", f->path);
    log_mark_writers(w, f);
    log_commit(w); /* the new one is recorded; if not, it is before its first byte */
    log_rotate_watch(w, f);
    tidy(w, p->path, policy);
    return 0;
}

int log_rotate_file(struct log_writer *w, struct log_file *f, char **to, uint64_t *bytes, struct err *e)
{
    struct log_file_record before;
    struct place p;
    int rc;

    f->rotate_wanted = false;
    *to = NULL;
    if (f->now.tail &&
        f->now.size < f->rotate_at + (f->rotate_at > LINE_PATIENCE ? f->rotate_at : LINE_PATIENCE)) {
        if (!f->rotate_at)
            f->rotate_at = 1;
        return 1;
    }
    rc = log_db_usable(w)
             ? settle(w, f, e)
             : err_set(e, -EAGAIN, "%s cannot be written now, so %s is not rotated", w->l->db_path, f->path);
    if (rc < 0)
        return rc;
    before = f->now;
    rc = place_open(&p, f->path, e);
    if (rc == 0)
        rc = swap(w, f, &p, to, e);
    *bytes = before.size;
    place_close(&p);
    return rc;
}

int log_rotate_closed(struct log_writer *w, const char *path, const struct log_rotate_policy *policy,
                      char **to, uint64_t *bytes, struct err *e)
{
    struct stat st;
    struct place p;
    char *name = NULL;
    int rc = place_open(&p, path, e);

    *to = NULL;
    *bytes = 0;
    if (rc == 0 && fstatat(p.dir, p.base, &st, AT_SYMLINK_NOFOLLOW) < 0)
        rc = errno == ENOENT ? 0 : err_errno(e, "cannot rotate %s", path);
    else if (rc == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
        *bytes = (uint64_t)st.st_size;
        rc = rename_away(w, &p, policy, &name, e);
    }
    if (name) {
        *to = full_name(&p, name);
        tidy(w, p.path, policy);
    }
    free(name);
    place_close(&p);
    return rc;
}

/* ---- by themselves ---- */

static void rotate_one(struct log_writer *w, struct log_file *f)
{
    struct err e = {0};
    uint64_t bytes, now = clock_mono_ms();
    char *to;
    int rc = log_rotate_file(w, f, &to, &bytes, &e);

    free(to);
    if (rc >= 0)
        return;
    /* The next line would ask again at once. */
    if (now >= f->rotate_quiet_until)
        log_trouble(w, "%s (it grows on; tried again every %d s)", e.msg, (int)(LOG_QUIET_MS / 1000));
    f->rotate_quiet_until = now + 6 * LOG_QUIET_MS;
    f->rotate_at = 0;
    f->rotate_due = (int64_t)(clock_wall_ms() / 1000 + LOG_QUIET_MS / 1000);
    look_at(w, f->rotate_due, f->rotate_due - (int64_t)(LOG_QUIET_MS / 1000));
}

void log_rotate_wanted(struct log_writer *w)
{
    w->rotate_wanted = false;
    for (struct log_file *f = w->files.first; f; f = f->next)
        if (f->rotate_wanted && f->fd >= 0 && f->regular && f->now.size)
            rotate_one(w, f);
}

void log_rotate_clock(struct log_writer *w)
{
    int64_t now = (int64_t)(clock_wall_ms() / 1000);
    uint64_t mono = clock_mono_ms();
    bool by_age;

    if (!w->rotate_look_at || mono < w->rotate_look_at)
        return;
    w->rotate_look_at = 0;
    by_age = mono >= w->tidy_at;
    if (by_age)
        w->tidy_at = mono + TIDY_MS;
    for (struct log_file *f = w->files.first; f; f = f->next) {
        if (f->fd < 0 || (!f->rotate_due && !f->tidy_by_age))
            continue;
        const struct log_rotate_policy *p = log_rotate_policy_of(w, f);

        if (by_age && f->tidy_by_age) {
            _cleanup_free_ char *path = real_path(f->path);

            tidy(w, path, p);
        }
        if (f->rotate_due && now >= f->rotate_due) {
            watch_time(w, f, p, now);
            f->rotate_at = p->max_size;
            f->rotate_wanted = w->rotate_wanted = f->now.size > 0;
            if (f->now.tail)
                f->rotate_at = 1; /* at the end of the line */
        } else {
            look_at(w, f->rotate_due ? f->rotate_due : INT64_MAX, f->rotate_due ? now : 0);
        }
    }
    log_rotate_wanted(w);
}

void log_rotate_close(struct log_writer *w)
{
    log_worker_free(w->tidier);
    w->tidier = NULL;
    zone_free(w->zone);
    w->zone = NULL;
}
