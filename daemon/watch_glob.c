#include "daemon/watch_glob.h"

#include <fnmatch.h>
#include <limits.h>
#include <string.h>

#include "common/mem.h"

bool watch_glob_is(const char *text)
{
    return strpbrk(text, "*?[{") != NULL;
}

/* The brace that closes the one at `open`; NULL when there is none. */
static const char *closing(const char *open)
{
    int depth = 0;

    for (const char *p = open; *p; p++) {
        if (*p == '\\' && p[1])
            p++;
        else if (*p == '{')
            depth++;
        else if (*p == '}' && --depth == 0)
            return p;
    }
    return NULL;
}

/* The end of the alternative that begins at `p`: a comma of the same depth, or the closing brace. */
static const char *alternative_end(const char *p, const char *close)
{
    int depth = 0;

    for (; p < close; p++) {
        if (*p == '\\')
            p++;
        else if (*p == '{')
            depth++;
        else if (*p == '}')
            depth--;
        else if (*p == ',' && depth == 0)
            break;
    }
    return p < close ? p : close;
}

static void expand(char ***out, const char *text, size_t *n, unsigned depth)
{
    const char *open = depth < 8 ? strchr(text, '{') : NULL, *close = open ? closing(open) : NULL;

    if (!close) {
        if ((*n)++ < WATCH_GLOB_MAX)
            strv_push(out, xstrdup(text));
        return;
    }
    for (const char *p = open + 1; *n < WATCH_GLOB_MAX; p++) {
        const char *end = alternative_end(p, close);
        _cleanup_free_ char *one =
            xasprintf("%.*s%.*s%s", (int)(open - text), text, (int)(end - p), p, close + 1);

        expand(out, one, n, depth + 1);
        p = end;
        if (p == close)
            break;
    }
}

void watch_glob_expand(char ***out, const char *text)
{
    size_t n = 0;

    expand(out, text, &n, 0);
}

/* One name against one part of the pattern; both end at a slash or at the end. */
static bool name_matches(const char *pattern, size_t pattern_len, const char *name, size_t name_len)
{
    char p[NAME_MAX + 1], n[NAME_MAX + 1];

    if (pattern_len > NAME_MAX || name_len > NAME_MAX)
        return false;
    memcpy(p, pattern, pattern_len);
    memcpy(n, name, name_len);
    p[pattern_len] = n[name_len] = '\0';
    return fnmatch(p, n, 0) == 0;
}

static const char *next_part(const char *p)
{
    p += strcspn(p, "/");
    return *p ? p + 1 : p;
}

/* Only the last "**" has to be tried with more: what an earlier one could take, the last one can as well. */
bool watch_glob_match(const char *text, const char *path)
{
    const char *retry_text = NULL, *retry_path = NULL;

    while (*path || *text) {
        size_t pattern_len = strcspn(text, "/"), name_len = strcspn(path, "/");

        if (pattern_len == 2 && memcmp(text, "**", 2) == 0) {
            text = next_part(text);
            if (!*text)
                return true;
            retry_text = text;
            retry_path = path;
        } else if (*path && *text && name_matches(text, pattern_len, path, name_len)) {
            text = next_part(text);
            path = next_part(path);
        } else if (retry_text && *retry_path) {
            retry_path = path = next_part(retry_path);
            text = retry_text;
        } else {
            return false;
        }
    }
    return true;
}
