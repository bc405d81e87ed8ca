#include "daemon/watch_calm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/* A save is several events of one file: only another file makes it "and more". */
void watch_calm_note(struct watch_calm *c, uint64_t now_ms, const char *path)
{
    c->last_ms = now_ms;
    if (!c->path) {
        c->path = xstrdup(path);
        c->first_ms = now_ms;
    } else if (strcmp(c->path, path) != 0) {
        c->count++;
    }
}

uint64_t watch_calm_last(const struct watch_calm *c, uint64_t delay_ms)
{
    uint64_t longest = delay_ms * WATCH_LONGEST > WATCH_AT_LEAST ? delay_ms * WATCH_LONGEST : WATCH_AT_LEAST;

    return c->path ? c->first_ms + longest : UINT64_MAX;
}

uint64_t watch_calm_due(const struct watch_calm *c, uint64_t delay_ms)
{
    uint64_t calm = c->last_ms + delay_ms, last = watch_calm_last(c, delay_ms);

    if (!c->path)
        return UINT64_MAX;
    return calm < last ? calm : last;
}

void watch_calm_clear(struct watch_calm *c)
{
    free(c->path);
    *c = (struct watch_calm){0};
}

void watch_calm_words(const struct watch_calm *c, const char *cwd, char *out, size_t size)
{
    size_t len = strlen(cwd);
    const char *path = c->path;

    if (strncmp(path, cwd, len) == 0 && path[len] == '/')
        path += len + 1;
    /* A file name may hold anything; of a long path the end tells more. */
    while (strlen(path) > 120)
        path++;
    if (c->count)
        snprintf(out, size, "%s and more changed", path);
    else
        snprintf(out, size, "%s changed", path);
    for (unsigned char *p = (unsigned char *)out; *p; p++)
        if (*p < 0x20 || *p == 0x7f)
            *p = '?';
}
