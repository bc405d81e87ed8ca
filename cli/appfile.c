#include "cli/appfile.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/appflags.h"
#include "common/err.h"
#include "common/mem.h"
#include "config/env.h"

/* Does the name hold one of the parts of "a,b c"? */
static bool holds_part(const char *name, size_t len, const char *parts)
{
    for (const char *p = parts; *p;) {
        size_t part = strcspn(p, ", ");

        if (part > 0 && memmem(name, len, p, part))
            return true;
        p += part;
        p += strspn(p, ", ");
    }
    return false;
}

/* Takes out the variables that --filter-env names by a part of their name; "true" means all. */
static void filter_env(char **env, const char *parts)
{
    char **keep = env;

    for (char **at = env; *at; at++) {
        if (strcmp(parts, "true") == 0 || holds_part(*at, strcspn(*at, "="), parts))
            free(*at);
        else
            *keep++ = *at;
    }
    *keep = NULL;
}

int caller_init(struct caller *k, const struct cli *c, const struct args *a)
{
    const char *filter = args_text(a, "filter-env");

    *k = (struct caller){.cwd = getcwd(NULL, 0), .env = env_inherit(environ)};
    if (!k->cwd)
        return out_error(&c->out, "this folder is gone; change to another one");
    if (filter)
        filter_env(k->env, filter);
    k->ctx = (struct config_ctx){.cwd = k->cwd, .environ = k->env, .env_name = args_text(a, "env")};
    return EXIT_DONE;
}

void caller_deinit(struct caller *k)
{
    free(k->cwd);
    strv_free(k->env);
}

bool appfile_is(const char *word)
{
    return strcmp(word, "-") == 0 || config_is_file_name(word);
}

void app_list_take(struct app_list *l, struct app_spec *take)
{
    l->v = xrealloc(l->v, (l->n + 1) * sizeof(*l->v));
    l->v[l->n++] = take;
}

/* Is `name` in the list "a,b,c"? */
static bool in_list(const char *list, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = list; *p;) {
        size_t part = strcspn(p, ", ");

        if (part == len && strncmp(p, name, len) == 0)
            return true;
        p += part;
        p += strspn(p, ", ");
    }
    return false;
}

/* --only: every name must be in the file. Returns how many are not. */
static unsigned check_only(const struct cli *c, const char *file, const char *only,
                           const struct app_list *apps)
{
    _cleanup_free_ char *copy = xstrdup(only);
    char *save = NULL;
    unsigned missing = 0;

    for (char *name = strtok_r(copy, ", ", &save); name; name = strtok_r(NULL, ", ", &save)) {
        bool found = false;

        for (size_t i = 0; i < apps->n; i++)
            found = found || strcmp(apps->names[i], name) == 0;
        if (found)
            continue;
        out_error(&c->out, "%s has no app \"%s\"", file, name);
        missing++;
    }
    return missing;
}

void appfile_print_report(const struct cli *c, const struct config_report *r)
{
    char *save = NULL;

    for (char *line = r->warnings.data ? strtok_r(r->warnings.data, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save))
        out_warn(&c->out, "%s", line);
    for (char *line = r->errors.data ? strtok_r(r->errors.data, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save))
        out_error(&c->out, "%s", line);
}

/* The options of the command line, for apps that are being read. */
struct overlay {
    const struct args *args;
    const char *cwd;
};

/* They were found to be right before; the name waits until --only has chosen among the file's own names. */
static bool put_over(void *arg, struct app_spec *spec)
{
    const struct overlay *o = arg;
    char *name = spec->name;

    spec->name = NULL;
    appflags_apply(o->args, spec, o->cwd, NULL);
    free(spec->name);
    spec->name = name;
    return args_has(o->args, "instances");
}

/* Takes the apps that are wanted out of a loaded file; --name gives the one app another name. */
static int take_apps(const struct cli *c, const struct args *a, const char *file, struct app_list *loaded,
                     struct app_list *out)
{
    const char *only = args_text(a, "only"), *name = args_text(a, "name");

    if (only && check_only(c, file, only, loaded) > 0)
        return EXIT_FAILED;
    for (size_t i = 0; i < loaded->n; i++) {
        struct app_spec *app = loaded->v[i];

        if (only && !in_list(only, loaded->names[i]))
            continue;
        if (name) {
            free(app->name);
            app->name = xstrdup(name);
        }
        appflags_finish(a, app, c->home_path);
        loaded->v[i] = NULL;
        app_list_take(out, app);
    }
    if (!name || out->n <= 1)
        return EXIT_DONE;
    out_error(&c->out, "--name names one app, but of %s there are %zu; choose one by --only", file, out->n);
    return EXIT_USAGE;
}

static int load(const struct args *a, const struct caller *k, const char *word, struct app_list *loaded,
                struct config_report *report)
{
    struct overlay overlay = {.args = a, .cwd = k->cwd};
    struct config_ctx ctx = k->ctx;

    ctx.overlay = put_over;
    ctx.overlay_arg = &overlay;
    if (strcmp(word, "-") == 0)
        return config_load_fd(&ctx, "<stdin>", STDIN_FILENO, loaded, report);
    return config_load_file(&ctx, word, loaded, report);
}

/* Mistakes in the options are told once, not for each app. */
static int check_options(const struct cli *c, const struct args *a, const struct caller *k)
{
    struct app_spec *scratch = app_spec_new();
    struct err e = {0};
    int r = appflags_apply(a, scratch, k->cwd, &e);

    app_spec_free(scratch);
    if (r == 0)
        return EXIT_DONE;
    out_error(&c->out, "%s", e.msg);
    return EXIT_USAGE;
}

int appfile_load(const struct cli *c, const struct args *a, const struct caller *k, const char *word,
                 struct app_list *out)
{
    const char *name = strcmp(word, "-") == 0 ? "<stdin>" : word;
    struct app_list loaded = {0}, wanted = {0};
    struct config_report report = {0};
    int code = check_options(c, a, k);

    if (code == EXIT_DONE && load(a, k, word, &loaded, &report) < 0)
        code = EXIT_FAILED;
    appfile_print_report(c, &report);
    if (code == EXIT_DONE)
        code = take_apps(c, a, name, &loaded, &wanted);
    for (size_t i = 0; code == EXIT_DONE && i < wanted.n; i++) {
        app_list_take(out, wanted.v[i]);
        wanted.v[i] = NULL;
    }
    config_report_free(&report);
    app_list_free(&loaded);
    app_list_free(&wanted);
    return code;
}
