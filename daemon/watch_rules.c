#include "daemon/watch_rules.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "common/fs.h"
#include "common/mem.h"
#include "daemon/watch_glob.h"

/* PM2's own default in the form in which its documentation has it: what begins with a dot. */
#define PM2_DOT_FILES "[\\/\\\\]\\./"

/* An absolute path without "." and "..", and without a slash at its end. */
static char *absolute(const char *cwd, const char *path)
{
    char *full = fs_absolute(cwd, path);
    size_t len = strlen(full);

    while (len > 1 && full[len - 1] == '/')
        full[--len] = '\0';
    return full;
}

static void add_root(struct watch_rules *r, char *take_path, char *take_glob)
{
    r->roots = xrealloc(r->roots, (r->n_roots + 1) * sizeof(*r->roots));
    r->roots[r->n_roots++] = (struct watch_root){take_path, take_glob};
}

/* Of a glob the folder is what is before the part with the first wild card. */
static void add_glob_root(struct watch_rules *r, const char *glob)
{
    size_t len = strcspn(glob, "*?[");
    _cleanup_free_ char *folder = NULL;

    while (len > 0 && glob[len - 1] != '/')
        len--;
    folder = xasprintf("%.*s", (int)len, glob);
    add_root(r, absolute(r->cwd, *folder ? folder : "."),
             *glob == '/' ? xstrdup(glob) : xasprintf("%s/%s", strcmp(r->cwd, "/") ? r->cwd : "", glob));
}

static void add_watch(struct watch_rules *r, const char *entry)
{
    char **globs = strv_dup(NULL);

    if (!watch_glob_is(entry)) {
        add_root(r, absolute(r->cwd, entry), NULL);
    } else {
        while (strncmp(entry, "./", 2) == 0)
            entry += 2;
        watch_glob_expand(&globs, entry);
        for (char **g = globs; *g; g++)
            add_glob_root(r, *g);
    }
    strv_free(globs);
}

/* A slash or two stars at the end leave out the folder itself as well. */
static void add_path(struct watch_rules *r, const char *pattern)
{
    char *full =
        *pattern == '/' ? xstrdup(pattern) : xasprintf("%s/%s", strcmp(r->cwd, "/") ? r->cwd : "", pattern);
    size_t len = strlen(full);

    if (len > 3 && strcmp(full + len - 3, "/**") == 0)
        len -= 3;
    while (len > 1 && full[len - 1] == '/')
        len--;
    full[len] = '\0';
    strv_push(&r->paths, full);
}

static void add_ignored(struct watch_rules *r, const char *text)
{
    char **all = strv_dup(NULL);

    if (strcmp(text, PM2_DOT_FILES) == 0) {
        r->dot_files = true;
    } else {
        while (strncmp(text, "./", 2) == 0)
            text += 2;
        watch_glob_expand(&all, text);
        for (char **one = all; *one; one++) {
            size_t len = strlen(*one);

            if (len > 1 && (*one)[len - 1] == '/' && !memchr(*one, '/', len - 1))
                (*one)[len - 1] = '\0'; /* "logs/" is a name too */
            if (strchr(*one, '/'))
                add_path(r, *one);
            else if (**one)
                strv_push(&r->names, xstrdup(*one));
        }
    }
    strv_free(all);
}

/* "js,json", ".ts" */
static void add_extensions(struct watch_rules *r, const char *text)
{
    _cleanup_free_ char *copy = xstrdup(text);
    char *rest = copy, *word;

    while ((word = strsep(&rest, ", ")) != NULL) {
        word += strspn(word, "*.");
        if (*word)
            strv_push(&r->extensions, xasprintf(".%s", word));
    }
}

static void add_own(struct watch_rules *r, const char *path)
{
    if (path && strcmp(path, "/dev/null") != 0)
        strv_push(&r->own, xstrdup(path));
}

static bool is_below(const char *path, const char *folder)
{
    size_t len = strlen(folder);

    return strncmp(path, folder, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* What is named in PM_HOME on purpose is watched: an app that is installed there. */
static void drop_home(struct watch_rules *r)
{
    for (size_t i = 0; r->home && i < r->n_roots; i++) {
        if (strcmp(r->roots[i].path, r->home) == 0 || !is_below(r->roots[i].path, r->home))
            continue;
        free(r->home);
        r->home = NULL;
    }
}

struct watch_rules *watch_rules_new(const struct app_spec *s, const char *pm_home)
{
    struct watch_rules *r = xcalloc(1, sizeof(*r));

    *r = (struct watch_rules){.refs = 1,
                              .cwd = absolute("/", s->cwd),
                              .home = absolute("/", pm_home),
                              .own = strv_dup(NULL),
                              .names = strv_dup(NULL),
                              .paths = strv_dup(NULL),
                              .extensions = strv_dup(NULL),
                              .follow = s->watch_options.follow_symlinks,
                              .polling = s->watch_options.use_polling,
                              .interval_ms = (unsigned)s->watch_options.interval};
    for (char **w = s->watch; *w; w++)
        add_watch(r, *w);
    for (char **i = s->ignore_watch; *i; i++)
        add_ignored(r, *i);
    for (char **i = s->watch_options.ignored; *i; i++)
        add_ignored(r, *i);
    strv_push(&r->names, xstrdup(".git"));
    if (!*s->ignore_watch) {
        r->dot_files = true;
        strv_push(&r->names, xstrdup("node_modules"));
    }
    drop_home(r);
    for (char **x = s->ext; *x; x++)
        add_extensions(r, *x);
    add_own(r, s->out_file);
    add_own(r, s->error_file);
    add_own(r, s->log_file);
    add_own(r, s->pid_file);
    return r;
}

struct watch_rules *watch_rules_ref(struct watch_rules *r)
{
    atomic_fetch_add(&r->refs, 1);
    return r;
}

void watch_rules_unref(struct watch_rules *r)
{
    if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    for (size_t i = 0; i < r->n_roots; i++) {
        free(r->roots[i].path);
        free(r->roots[i].glob);
    }
    free(r->roots);
    free(r->cwd);
    free(r->home);
    strv_free(r->own);
    strv_free(r->names);
    strv_free(r->paths);
    strv_free(r->extensions);
    free(r);
}

static bool strv_equal(char *const *a, char *const *b)
{
    for (; *a && *b && strcmp(*a, *b) == 0; a++, b++)
        ;
    return !*a && !*b;
}

bool watch_rules_equal(const struct watch_rules *a, const struct watch_rules *b)
{
    if (a->n_roots != b->n_roots || a->dot_files != b->dot_files || a->follow != b->follow ||
        a->polling != b->polling || a->interval_ms != b->interval_ms || strcmp(a->cwd, b->cwd) != 0 ||
        !a->home != !b->home || (a->home && strcmp(a->home, b->home) != 0))
        return false;
    for (size_t i = 0; i < a->n_roots; i++) {
        const struct watch_root *x = &a->roots[i], *y = &b->roots[i];

        if (strcmp(x->path, y->path) != 0 || !x->glob != !y->glob || (x->glob && strcmp(x->glob, y->glob)))
            return false;
    }
    return strv_equal(a->own, b->own) && strv_equal(a->names, b->names) && strv_equal(a->paths, b->paths) &&
           strv_equal(a->extensions, b->extensions);
}

/* The file itself, with an instance's number ("out-3.log"), or rotated ("out__2026-01-31.log.gz"). */
static bool is_of_log(const char *path, const char *own)
{
    const char *slash = strrchr(own, '/'), *dot = strrchr(own, '.');
    const char *suffix = dot && slash && dot > slash ? dot : own + strlen(own), *rest;
    size_t stem = (size_t)(suffix - own);

    if (strncmp(path, own, stem) != 0 || strchr(path + stem, '/'))
        return false;
    rest = path + stem;
    if (*rest == '-' && isdigit((unsigned char)rest[1]))
        rest += 1 + strspn(rest + 1, "0123456789");
    if (strncmp(rest, "__", 2) == 0)
        return strstr(rest, suffix) != NULL;
    return strncmp(rest, suffix, strlen(suffix)) == 0 &&
           (!rest[strlen(suffix)] || strncmp(rest + strlen(suffix), "__", 2) == 0);
}

bool watch_rules_ignore(const struct watch_rules *r, const char *path, const char *name)
{
    if ((r->dot_files && *name == '.') || (r->home && is_below(path, r->home)))
        return true;
    for (char **p = r->names; *p; p++)
        if (fnmatch(*p, name, 0) == 0)
            return true;
    for (char **p = r->paths; *p; p++)
        if (watch_glob_match(*p, path))
            return true;
    for (char **p = r->own; *p; p++)
        if (is_of_log(path, *p))
            return true;
    return false;
}

bool watch_rules_count(const struct watch_rules *r, const struct watch_root *root, const char *path,
                       const char *name)
{
    const char *dot = strrchr(name, '.');
    bool ext = !*r->extensions;

    for (char **x = r->extensions; !ext && *x; x++) {
        size_t len = strlen(*x), n = strlen(name);

        ext = dot && n >= len && strcmp(name + n - len, *x) == 0;
    }
    return ext && (!root->glob || watch_glob_match(root->glob, path));
}
