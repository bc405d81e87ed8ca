/* Preloaded into a daemon: user look-ups hang for as long as the file named by PM_TEST_USERS_HANG exists. */
#include <dlfcn.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

int getpwnam_r(const char *restrict name, struct passwd *restrict pwd, char *restrict buf, size_t size,
               struct passwd **restrict result)
{
    int (*next)(const char *, struct passwd *, char *, size_t, struct passwd **);
    const char *flag = getenv("PM_TEST_USERS_HANG");

    *(void **)&next = dlsym(RTLD_NEXT, "getpwnam_r");
    while (flag && access(flag, F_OK) == 0)
        usleep(10000);
    return next(name, pwd, buf, size, result);
}
