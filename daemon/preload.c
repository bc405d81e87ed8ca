#include "daemon/preload.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"

/* Every folder on the way to it must let others through. */
static bool all_can_read(const char *path)
{
    _cleanup_free_ char *part = xstrdup(path);
    mode_t needed = S_IROTH;
    struct stat st;
    char *slash;

    for (;;) {
        if (stat(*part ? part : "/", &st) < 0 || (st.st_mode & needed) != needed)
            return false;
        slash = strrchr(part, '/');
        if (!slash || !*part)
            return true;
        *slash = '\0';
        needed = S_IXOTH;
    }
}

char *preload_find(const char *program, const char *name, bool *for_all)
{
    const char *slash = strrchr(program, '/');
    _cleanup_free_ char *path =
        xasprintf("%.*s/../lib/pm/%s", slash ? (int)(slash - program) : 1, slash ? program : ".", name);
    char *real = realpath(path, NULL);

    *for_all = real && all_can_read(real);
    return real;
}
