#include "common/cpus.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/fs.h"
#include "common/mem.h"

#define FILE_MAX (1024u * 1024) /* of mountinfo: thousands of mounts */

/* One of the cgroup trees that have to do with CPUs. */
struct hierarchy {
    bool v2;
    char *mounted;   /* the folder where it is seen */
    char *top;       /* which of its groups that folder is */
    const char *own; /* the group of this process, points into the text of /proc/self/cgroup */
};

/* NUL-terminated, for free(); NULL when it cannot be read. */
static char *read_text(const char *root, const char *path)
{
    _cleanup_free_ char *full = xasprintf("%s%s", root, path);
    struct buf text = {0};

    if (fs_read_file(full, FILE_MAX, &text, NULL) < 0) {
        buf_free(&text);
        return NULL;
    }
    return buf_steal(&text);
}

static bool has_word(const char *list, const char *word)
{
    size_t len = strlen(word);

    for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',')
        if (strncmp(p, word, len) == 0 && (p[len] == ',' || p[len] == '\0'))
            return true;
    return false;
}

/* In mountinfo a blank in a path is \040, and so on. */
static char *unescaped(const char *text)
{
    char *copy = xstrdup(text), *to = copy;

    for (const char *p = text; *p; p++) {
        unsigned code;

        if (*p == '\\' && strspn(p + 1, "01234567") >= 3 && sscanf(p + 1, "%3o", &code) == 1) {
            *to++ = (char)code;
            p += 3;
        } else {
            *to++ = *p;
        }
    }
    *to = '\0';
    return copy;
}

/* "36 35 98:0 TOP MOUNTED options optional... - TYPE source OPTIONS": is it a tree for CPUs? */
static bool parse_mount(char *line, struct hierarchy *h)
{
    char *tail = strstr(line, " - "), *fields[5], *type, *options;
    size_t n = 0;

    if (!tail)
        return false;
    *tail = '\0';
    tail += 3;
    for (char *field; n < ARRAY_LEN(fields) && (field = strsep(&line, " ")) != NULL;)
        fields[n++] = field;
    type = strsep(&tail, " ");
    strsep(&tail, " ");
    options = tail ? tail : "";
    if (n < ARRAY_LEN(fields))
        return false;
    h->v2 = strcmp(type, "cgroup2") == 0;
    if (!h->v2 && !(strcmp(type, "cgroup") == 0 && has_word(options, "cpu")))
        return false;
    h->top = unescaped(fields[3]);
    h->mounted = unescaped(fields[4]);
    return true;
}

/* "0::/path" of version 2, "4:cpu,cpuacct:/path" of version 1. NULL when it is in none. */
static const char *find_group(char *groups, bool v2)
{
    for (char *line = groups; line && *line; line = strchr(line, '\n'), line += line != NULL) {
        char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;
        size_t len;

        if (!path)
            continue;
        len = (size_t)(path - list - 1);
        if (v2 ? len == 0 : len > 0) {
            _cleanup_free_ char *names = xstrndup(list + 1, len);

            if (v2 || has_word(names, "cpu"))
                return path + 1;
        }
    }
    return NULL;
}

/* Quota and period in us of one group; false when it has no limit. */
static bool read_quota(const char *root, const struct hierarchy *h, const char *group, long long *quota,
                       long long *period)
{
    _cleanup_free_ char *path =
        xasprintf("%s%s/%s", h->mounted, group, h->v2 ? "cpu.max" : "cpu.cfs_quota_us");
    _cleanup_free_ char *text = read_text(root, path), *other = NULL;

    if (!text)
        return false;
    if (h->v2) /* "max 100000" */
        return sscanf(text, "%lld %lld", quota, period) == 2 && *quota > 0 && *period > 0;
    free(path);
    path = xasprintf("%s%s/cpu.cfs_period_us", h->mounted, group);
    other = read_text(root, path);
    return other && sscanf(text, "%lld", quota) == 1 && sscanf(other, "%lld", period) == 1 && *quota > 0 &&
           *period > 0;
}

/* The least of the group and those above it, as far as they are seen here; 0 = none. */
static unsigned least_quota(const char *root, const struct hierarchy *h)
{
    size_t top = strcmp(h->top, "/") == 0 ? 0 : strlen(h->top);
    bool seen = strncmp(h->own, h->top, top) == 0 && (h->own[top] == '/' || h->own[top] == '\0');
    _cleanup_free_ char *group = xstrndup(seen ? h->own + top : "", seen ? strcspn(h->own + top, "\n") : 0);
    size_t len = strlen(group);
    unsigned least = 0;

    for (;;) {
        long long quota, period, cpus;

        while (len > 0 && group[len - 1] == '/')
            group[--len] = '\0';
        if (read_quota(root, h, group, &quota, &period)) {
            cpus = (quota - 1) / period + 1;
            if (cpus < 1 << 20 && (!least || (unsigned)cpus < least))
                least = (unsigned)cpus;
        }
        if (len == 0)
            return least;
        while (len > 0 && group[len - 1] != '/')
            group[--len] = '\0';
    }
}

unsigned cpus_quota(const char *root)
{
    _cleanup_free_ char *groups = read_text(root, "/proc/self/cgroup");
    _cleanup_free_ char *mounts = read_text(root, "/proc/self/mountinfo");
    char *rest = mounts, *line;
    unsigned least = 0;

    while (groups && rest && (line = strsep(&rest, "\n")) != NULL) {
        struct hierarchy h = {0};
        unsigned n = 0;

        if (!parse_mount(line, &h))
            continue;
        h.own = find_group(groups, h.v2);
        if (h.own)
            n = least_quota(root, &h);
        if (n && (!least || n < least))
            least = n;
        free(h.mounted);
        free(h.top);
    }
    return least;
}

static unsigned cpus_affinity(void)
{
    for (int n = 1024; n <= 1 << 20; n *= 2) { /* a mask smaller than the kernel's is refused with EINVAL */
        size_t size = CPU_ALLOC_SIZE(n);
        cpu_set_t *set = CPU_ALLOC(n);
        int r, count;

        if (!set)
            return 1;
        CPU_ZERO_S(size, set);
        r = sched_getaffinity(0, size, set);
        count = CPU_COUNT_S(size, set);
        CPU_FREE(set);
        if (r == 0)
            return count > 0 ? (unsigned)count : 1;
        if (errno != EINVAL)
            return 1;
    }
    return 1;
}

unsigned cpus_usable(void)
{
    unsigned all = cpus_affinity(), quota = cpus_quota("");

    return quota && quota < all ? quota : all;
}

int64_t cpus_instances(int64_t instances)
{
    if (instances > 0)
        return instances;
    instances += cpus_usable();
    return instances < 1 ? 1 : instances;
}
