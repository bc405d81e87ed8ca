#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"

int fs_mkdirs(const char *path, mode_t mode, struct err *e)
{
    _cleanup_free_ char *copy = xstrdup(path);
    struct stat st;

    for (char *p = copy + 1; *copy && *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST && stat(copy, &st) < 0)
            return err_errno(e, "cannot create folder %s", copy);
        *p = '/';
    }
    if (mkdir(copy, mode) < 0 && errno != EEXIST)
        return err_errno(e, "cannot create folder %s", copy);
    if (stat(copy, &st) < 0)
        return err_errno(e, "cannot use folder %s", copy);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, -ENOTDIR, "%s is not a folder", copy);
    return 0;
}

int fs_read_file(const char *path, size_t max, struct buf *out, struct err *e)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t start = out->len;

    if (fd < 0)
        return err_errno(e, "cannot read %s", path);
    for (;;) {
        buf_reserve(out, 4096);
        ssize_t n = read(fd, out->data + out->len, 4096);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, "cannot read %s", path);
        if (n == 0)
            return 0;
        out->len += (size_t)n;
        out->data[out->len] = '\0';
        if (out->len - start > max)
            return err_set(e, -EFBIG, "%s is larger than %zu bytes", path, max);
    }
}

int fs_write_all(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

char *fs_join(const char *dir, const char *name)
{
    size_t n = strlen(dir);

    if (name[0] == '/')
        return xstrdup(name);
    return xasprintf("%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", name);
}

char *fs_absolute(const char *cwd, const char *path)
{
    _cleanup_free_ char *joined = fs_join(cwd, path);
    char *out = xmalloc(strlen(joined) + 2), *save = NULL;
    size_t len = 0;

    out[0] = '\0';
    for (char *part = strtok_r(joined, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
        if (strcmp(part, ".") == 0)
            continue;
        if (strcmp(part, "..") == 0) {
            while (len && out[--len] != '/')
                ;
            out[len] = '\0';
            continue;
        }
        len += (size_t)sprintf(out + len, "/%s", part);
    }
    if (!len)
        strcpy(out, "/");
    return out;
}

int fs_proc_start_ticks(pid_t pid, uint64_t *ticks)
{
    char path[64], text[1024];
    unsigned long long value = 0;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -ESRCH;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return -ESRCH;
    text[n] = '\0';
    /* The name in field 2 may hold spaces and parentheses: count from the last one. Field 3 follows it. */
    const char *p = strrchr(text, ')');
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    if (!p || sscanf(p, " %llu", &value) != 1)
        return -ESRCH;
    *ticks = value;
    return 0;
}

void fs_boot_id(char out[37])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, 36);

    out[n > 0 ? n : 0] = '\0';
    if (fd >= 0)
        close(fd);
}
