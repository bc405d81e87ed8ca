#include "logrotate/compress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>
#include <zstd.h>

#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"
#include "logrotate/name.h"

#define CHUNK      (128u * 1024)
#define GZIP_LEVEL 6
#define ZSTD_LEVEL 3

struct work {
    int in, out;
    const atomic_bool *stop;
    char *from, *to; /* CHUNK bytes each */
};

/* Bytes read, 0 at the end, negative errno. */
static ssize_t fill(const struct work *w)
{
    ssize_t n;

    if (atomic_load(w->stop))
        return -ECANCELED;
    do
        n = read(w->in, w->from, CHUNK);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static int gzip_chunk(const struct work *w, z_stream *z, int flush)
{
    do {
        int rc;

        z->next_out = (unsigned char *)w->to;
        z->avail_out = CHUNK;
        deflate(z, flush);
        rc = fs_write_all(w->out, w->to, CHUNK - z->avail_out);
        if (rc < 0)
            return rc;
    } while (z->avail_out == 0);
    return 0;
}

static int gzip_all(const struct work *w)
{
    z_stream z = {0};
    ssize_t n;
    int rc = 0;

    if (deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    while (rc == 0 && (n = fill(w)) != 0) {
        z.next_in = (unsigned char *)w->from;
        z.avail_in = n > 0 ? (unsigned)n : 0;
        rc = n < 0 ? (int)n : gzip_chunk(w, &z, Z_NO_FLUSH);
    }
    if (rc == 0)
        rc = gzip_chunk(w, &z, Z_FINISH);
    deflateEnd(&z);
    return rc;
}

static int zstd_chunk(const struct work *w, ZSTD_CCtx *c, size_t n, ZSTD_EndDirective how)
{
    ZSTD_inBuffer in = {w->from, n, 0};
    size_t left;

    do {
        ZSTD_outBuffer out = {w->to, CHUNK, 0};
        int rc;

        left = ZSTD_compressStream2(c, &out, &in, how);
        if (ZSTD_isError(left))
            return -ENOMEM;
        rc = fs_write_all(w->out, w->to, out.pos);
        if (rc < 0)
            return rc;
    } while (how == ZSTD_e_end ? left != 0 : in.pos < in.size);
    return 0;
}

static int zstd_all(const struct work *w)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ssize_t n;
    int rc = 0;

    if (!c)
        return -ENOMEM;
    ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
    while (rc == 0 && (n = fill(w)) != 0)
        rc = n < 0 ? (int)n : zstd_chunk(w, c, (size_t)n, ZSTD_e_continue);
    if (rc == 0)
        rc = zstd_chunk(w, c, 0, ZSTD_e_end);
    ZSTD_freeCCtx(c);
    return rc;
}

/* Owner, mode and times as the original's: what is old is told by the time. */
static int finish(int out, const struct stat *st)
{
    const struct timespec times[2] = {st->st_atim, st->st_mtim};

    if ((st->st_uid != geteuid() || st->st_gid != getegid()) && fchown(out, st->st_uid, st->st_gid) < 0 &&
        errno != EPERM)
        return -errno;
    if (fchmod(out, st->st_mode & 07777) < 0 || futimens(out, times) < 0 || fsync(out) < 0)
        return -errno;
    return 0;
}

static int write_out(struct work *w, enum log_compress how, const struct stat *st)
{
    int rc;

    w->from = xmalloc(CHUNK);
    w->to = xmalloc(CHUNK);
    rc = how == LOG_COMPRESS_GZIP ? gzip_all(w) : zstd_all(w);
    free(w->from);
    free(w->to);
    return rc < 0 ? rc : finish(w->out, st);
}

int log_compress_file(int dir, const char *name, enum log_compress how, const atomic_bool *stop,
                      struct err *e)
{
    _cleanup_free_ char *to = xasprintf("%s%s", name, log_compress_suffix(how));
    _cleanup_free_ char *tmp = xasprintf("%s%s", to, LOG_NAME_UNFINISHED);
    _cleanup_close_ int in = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    _cleanup_close_ int out = -1;
    struct stat st;
    int rc;

    if (in < 0 || fstat(in, &st) < 0)
        return err_errno(e, "cannot read %s", name);
    if (!S_ISREG(st.st_mode))
        return err_set(e, -EINVAL, "%s is no file", name);
    unlinkat(dir, tmp, 0);
    out = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (out < 0)
        return err_errno(e, "cannot write %s", tmp);
    rc = write_out(&(struct work){.in = in, .out = out, .stop = stop}, how, &st);
    if (rc == 0 && renameat(dir, tmp, dir, to) < 0)
        rc = -errno;
    if (rc < 0) {
        unlinkat(dir, tmp, 0);
        return err_set(e, rc, "cannot compress %s: %s", name, strerror(-rc));
    }
    if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
        return err_errno(e, "cannot remove %s, which is compressed", name);
    return 0;
}
