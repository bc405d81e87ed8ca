#include "common/home.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"

char *home_path(const char *flag, struct err *e)
{
    const char *path = flag && *flag ? flag : getenv("PM_HOME");
    _cleanup_free_ char *cwd = getcwd(NULL, 0);

    if (path && *path) {
        if (path[0] != '/' && !cwd) {
            err_set(e, -ENOENT,
                    "PM_HOME=%s is relative and the current folder is gone; give an absolute path", path);
            return NULL;
        }
        return fs_absolute(cwd ? cwd : "/", path);
    }
    path = getenv("HOME");
    if (!path || path[0] != '/') {
        const struct passwd *pw = getpwuid(getuid());

        path = pw ? pw->pw_dir : NULL;
    }
    if (!path || path[0] != '/') {
        err_set(e, -ENOENT, "no home folder for this user; set PM_HOME to the folder that pm may use");
        return NULL;
    }
    return fs_join(path, ".pm");
}

int home_open(struct home *h, const char *path, int create, struct err *e)
{
    struct stat st;
    int rc;

    *h = (struct home){.dirfd = -1};
    if (create && (rc = fs_mkdirs(path, 0700, e)) < 0)
        return rc;
    h->dirfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (h->dirfd < 0)
        return err_errno(e, "cannot open PM_HOME %s", path);
    if (fstat(h->dirfd, &st) == 0 && st.st_uid != geteuid() && geteuid() != 0) {
        home_close(h);
        return err_set(e, -EPERM, "PM_HOME %s belongs to another user (uid %u)", path, (unsigned)st.st_uid);
    }
    h->path = xstrdup(path);
    return 0;
}

void home_close(struct home *h)
{
    if (h->dirfd >= 0)
        close(h->dirfd);
    free(h->path);
    *h = (struct home){.dirfd = -1};
}

socklen_t home_sockaddr(const struct home *h, const char *name, struct sockaddr_un *out)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(out->sun_path, sizeof(out->sun_path), "/proc/self/fd/%d/%s", h->dirfd, name);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(out->sun_path) + 1);
}

char *home_file(const struct home *h, const char *name)
{
    return fs_join(h->path, name);
}
