#include "daemon/package_version.h"

#include <jansson.h>
#include <string.h>

#include "common/buf.h"
#include "common/fs.h"
#include "common/mem.h"
#include "daemon/later.h"

#define PACKAGE_JSON_MAX (1024u * 1024)

struct lookup {
    struct later_job later;
    char *path; /* the script's; cut folder by folder */
    char *version;
    void (*found)(void *arg, char *version);
    void *arg;
};

static char *read_version(const char *dir)
{
    _cleanup_free_ char *file = fs_join(*dir ? dir : "/", "package.json");
    struct buf text = {0};
    json_t *j = NULL;
    char *version = NULL;

    if (fs_read_file(file, PACKAGE_JSON_MAX, &text, NULL) == 0)
        j = json_loadb(text.data ? text.data : "", text.len, 0, NULL);
    if (json_is_string(json_object_get(j, "version")))
        version = xstrdup(json_string_value(json_object_get(j, "version")));
    json_decref(j);
    buf_free(&text);
    return version;
}

static void look(struct later_job *later)
{
    struct lookup *l = (struct lookup *)later;
    char *slash;

    while (!l->version && (slash = strrchr(l->path, '/'))) {
        *slash = '\0';
        l->version = read_version(l->path);
    }
}

static void looked(struct later_job *later)
{
    struct lookup *l = (struct lookup *)later;

    l->found(l->arg, l->version);
    free(l->path);
    free(l);
}

void package_version_find(uv_loop_t *loop, const char *script, void (*found)(void *arg, char *version),
                          void *arg)
{
    static struct later queue;
    struct lookup *l = xcalloc(1, sizeof(*l));

    l->later.work = look;
    l->later.done = looked;
    l->path = xstrdup(script);
    l->found = found;
    l->arg = arg;
    later_put(&queue, loop, &l->later, false);
}
