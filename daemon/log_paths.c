#include "daemon/log_paths.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "common/mem.h"

static char *file_name_of(const char *name)
{
    char *copy = xstrdup(name);

    for (char *p = copy; *p; p++)
        if (!isalnum((unsigned char)*p) && *p != '.' && *p != '-' && *p != '\\')
            *p = '-';
    return copy;
}

static bool is_off(const char *path)
{
    return strcmp(path, "/dev/null") == 0 || strcasecmp(path, "null") == 0;
}

static char *with_suffix(const char *path, bool suffix, uint32_t id)
{
    size_t n = strlen(path);

    if (!suffix || is_off(path))
        return xstrdup(path);
    if (n > 4 && strcmp(path + n - 4, ".log") == 0)
        return xasprintf("%.*s-%u.log", (int)n - 4, path, id);
    return xasprintf("%s-%u", path, id);
}

static char *choose(const char *given, const char *home, const char *name, const char *kind, bool suffix,
                    uint32_t id)
{
    _cleanup_free_ char *fallback = xasprintf("%s/logs/%s-%s.log", home, name, kind);

    return with_suffix(given ? given : fallback, suffix, id);
}

void log_paths_init(struct log_paths *l, const struct app_spec *s, const char *home, uint32_t id)
{
    _cleanup_free_ char *name = file_name_of(s->name);
    bool merge = s->merge_logs_set ? s->merge_logs : s->instances <= 1;

    l->out = choose(s->out_file, home, name, "out", !merge, id);
    l->err = choose(s->error_file, home, name, "error", !merge, id);
    l->both = s->log_file ? with_suffix(s->log_file, !merge, id) : NULL;
    l->pid = s->pid_file ? xstrdup(s->pid_file) : xasprintf("%s/pids/%s-%u.pid", home, name, id);
}

void log_paths_deinit(struct log_paths *l)
{
    free(l->out);
    free(l->err);
    free(l->both);
    free(l->pid);
    *l = (struct log_paths){0};
}

const char *log_date_format_of(const struct app_spec *s)
{
    if (s->log_date_format && *s->log_date_format)
        return s->log_date_format;
    return s->time ? "YYYY-MM-DDTHH:mm:ss" : NULL;
}
