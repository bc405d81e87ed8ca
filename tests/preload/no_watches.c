/* Preloaded into a daemon: the kernel has no more than PM_TEST_WATCHES folders to watch. */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/inotify.h>

int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
    static atomic_int used;
    int (*next)(int, const char *, uint32_t);
    const char *most = getenv("PM_TEST_WATCHES");

    *(void **)&next = dlsym(RTLD_NEXT, "inotify_add_watch");
    if (most && atomic_fetch_add(&used, 1) >= atoi(most)) {
        errno = ENOSPC;
        return -1;
    }
    return next(fd, path, mask);
}
