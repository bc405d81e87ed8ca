#include "daemon/preload.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/plog.h"

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

void preload_init(struct preload *p, const char *program, const char *name)
{
    const char *slash = strrchr(program, '/');
    _cleanup_free_ char *path =
        xasprintf("%.*s/../lib/pm/%s", slash ? (int)(slash - program) : 1, slash ? program : ".", name);

    *p = (struct preload){.name = name, .path = realpath(path, NULL)};
    p->for_all = p->path && all_can_read(p->path);
}

void preload_deinit(struct preload *p)
{
    free(p->path);
    p->path = NULL;
}

const char *preload_use(struct preload *p, uid_t uid, const char *app, const char *loss)
{
    bool unreadable = p->path && !p->for_all && uid != geteuid();

    if (p->path && !unreadable && access(p->path, R_OK) == 0)
        return p->path;
    if (!p->told && p->path)
        log_warn("%s: %s: %s %s", app, loss, p->path,
                 unreadable ? "cannot be read by the app's user" : "is missing");
    else if (!p->told)
        log_warn("%s: %s: ../lib/pm/%s beside the daemon's program is missing", app, loss, p->name);
    p->told = true;
    return NULL;
}
