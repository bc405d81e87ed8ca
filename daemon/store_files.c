#include "daemon/store_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"

static int rename_suffixed(const char *from, const char *to, const char *suffix, struct err *e)
{
    _cleanup_free_ char *a = xasprintf("%s%s", from, suffix);
    _cleanup_free_ char *b = xasprintf("%s%s", to, suffix);

    if (rename(a, b) < 0 && errno != ENOENT)
        return err_errno(e, "cannot rename %s to %s", a, b);
    return 0;
}

int store_files_set_aside(const char *path, const char *word, char *aside, size_t cap, struct err *e)
{
    char when[32], target[4200];
    time_t now = time(NULL);
    struct tm tm;
    struct stat st;
    int rc;

    gmtime_r(&now, &tm);
    strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm);
    snprintf(target, sizeof(target), "%s.%s-%s", path, word, when);
    for (int n = 1; lstat(target, &st) == 0; n++)
        snprintf(target, sizeof(target), "%s.%s-%s.%d", path, word, when, n);
    /* The WAL first: were it left behind, it would be taken for the new database's. */
    rc = rename_suffixed(path, target, "-wal", e);
    if (rc == 0)
        rc = rename_suffixed(path, target, "-shm", e);
    if (rc == 0)
        rc = rename_suffixed(path, target, "", e);
    snprintf(aside, cap, "%s", target);
    return rc;
}

int store_files_make_empty(const char *path, struct err *e)
{
    int fd;

    if (unlink(path) < 0 && errno != ENOENT)
        return err_errno(e, "cannot remove %s", path);
    fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(e, "cannot create %s", path);
    close(fd);
    return 0;
}

static int sync_path(const char *path, int flags, struct err *e)
{
    _cleanup_close_ int fd = open(path, flags | O_CLOEXEC);

    if (fd < 0)
        return err_errno(e, "cannot open %s", path);
    if (fsync(fd) < 0)
        return err_errno(e, "cannot write %s to the disk", path);
    return 0;
}

int store_files_publish(const char *from, const char *to, struct err *e)
{
    _cleanup_free_ char *dir = xstrdup(to);
    char *slash = strrchr(dir, '/');
    int rc = sync_path(from, O_RDWR, e);

    if (rc < 0)
        return rc;
    if (rename(from, to) < 0)
        return err_errno(e, "cannot rename %s to %s", from, to);
    if (slash)
        *(slash == dir ? slash + 1 : slash) = '\0';
    return sync_path(slash ? dir : ".", O_RDONLY | O_DIRECTORY, e);
}

static int copy_bytes(int in, int out)
{
    char chunk[65536];

    for (;;) {
        ssize_t n = read(in, chunk, sizeof(chunk));
        int rc;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        rc = fs_write_all(out, chunk, (size_t)n);
        if (rc < 0)
            return rc;
    }
}

int store_files_copy(const char *from, const char *to, struct err *e)
{
    _cleanup_free_ char *tmp = xasprintf("%s.new", to);
    _cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC);
    int out, rc;

    if (in < 0)
        return err_errno(e, "cannot open %s", from);
    rc = store_files_make_empty(tmp, e);
    if (rc < 0)
        return rc;
    out = open(tmp, O_WRONLY | O_CLOEXEC);
    if (out < 0)
        return err_errno(e, "cannot open %s", tmp);
    rc = copy_bytes(in, out);
    close(out);
    if (rc < 0) {
        unlink(tmp);
        return err_set(e, rc, "cannot copy %s to %s: %s", from, tmp, strerror(-rc));
    }
    return store_files_publish(tmp, to, e);
}

int store_files_read_id(const char *path, char id[33])
{
    _cleanup_free_ char *file = xasprintf("%s.id", path);
    struct buf text = {0};
    int rc = fs_read_file(file, 64, &text, NULL);

    if (rc == 0 && text.len >= 32 && strspn(text.data, "0123456789abcdef") == 32) {
        memcpy(id, text.data, 32);
        id[32] = '\0';
    } else {
        rc = -ENOENT;
    }
    buf_free(&text);
    return rc;
}

int store_files_write_id(const char *path, const char *id, struct err *e)
{
    _cleanup_free_ char *file = xasprintf("%s.id", path);
    _cleanup_free_ char *tmp = xasprintf("%s.id.tmp", path);
    char line[40];
    int fd, rc = store_files_make_empty(tmp, e);

    if (rc < 0)
        return rc;
    fd = open(tmp, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, "cannot open %s", tmp);
    snprintf(line, sizeof(line), "%.32s\n", id);
    rc = fs_write_all(fd, line, strlen(line));
    close(fd);
    if (rc < 0) {
        unlink(tmp);
        return err_set(e, rc, "cannot write %s: %s", tmp, strerror(-rc));
    }
    return store_files_publish(tmp, file, e);
}

bool store_files_wal_damaged(const char *path)
{
    static const unsigned char magic[3] = {0x37, 0x7f, 0x06};
    _cleanup_free_ char *wal = xasprintf("%s-wal", path);
    _cleanup_close_ int fd = open(wal, O_RDONLY | O_CLOEXEC);
    unsigned char head[4];

    /* A short one is what a crash leaves before the first write is complete. */
    if (fd < 0 || pread(fd, head, sizeof(head), 0) != (ssize_t)sizeof(head))
        return false;
    return memcmp(head, magic, sizeof(magic)) != 0 || (head[3] != 0x82 && head[3] != 0x83);
}
