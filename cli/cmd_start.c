#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/appflags.h"
#include "cli/appsend.h"
#include "cli/autostart.h"
#include "cli/jsonget.h"
#include "cli/outcome.h"
#include "cli/proclist.h"
#include "cli/session.h"
#include "common/err.h"
#include "common/mem.h"

/* What the words of one command line mean, before anything is started. */
struct plan {
    struct cli *c;
    const struct args *args;
    struct config_ctx ctx;
    struct app_list apps; /* to be created */
    json_t *known;        /* the daemon's list, NULL when none runs */
    const char **restart; /* words that name what is known */
    size_t n_restart;
    bool from_file; /* some apps come from a config file: those that run are restarted with it, as PM2 does */
};

static void add_app(struct plan *p, struct app_spec *take)
{
    appflags_finish(p->args, take, p->c->home_path);
    p->apps.v = xrealloc(p->apps.v, (p->apps.n + 1) * sizeof(*p->apps.v));
    p->apps.v[p->apps.n++] = take;
}

static bool is_number(const char *s)
{
    return *s && strspn(s, "0123456789") == strlen(s);
}

/* Does the daemon know an app or a process by this word? */
static bool is_known(const struct plan *p, const char *word)
{
    json_t *r;
    size_t i;

    json_array_foreach (p->known, i, r) {
        if (strcmp(word, "all") == 0 || strcmp(j_text(r, "name"), word) == 0)
            return true;
        if (is_number(word) && j_int(r, "id") == strtoll(word, NULL, 10))
            return true;
    }
    return false;
}

/* Is `name` in the list "a,b,c"? */
static bool in_list(const char *list, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (strncmp(p, name, len) == 0 && (p[len] == ',' || !p[len]))
            return true;
    return false;
}

/* --only: every name must be in the file. Returns how many are not. */
static unsigned check_only(const struct plan *p, const char *file, const char *only,
                           const struct app_list *apps)
{
    _cleanup_free_ char *copy = xstrdup(only);
    char *save = NULL;
    unsigned missing = 0;

    for (char *name = strtok_r(copy, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
        bool found = false;

        for (size_t i = 0; i < apps->n; i++)
            found = found || strcmp(apps->v[i]->name, name) == 0;
        if (found)
            continue;
        out_error(&p->c->out, "%s has no app \"%s\"", file, name);
        missing++;
    }
    return missing;
}

static void print_report(const struct plan *p, const struct config_report *r)
{
    char *save = NULL;

    for (char *line = r->warnings.data ? strtok_r(r->warnings.data, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save))
        out_warn(&p->c->out, "%s", line);
    for (char *line = r->errors.data ? strtok_r(r->errors.data, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save))
        out_error(&p->c->out, "%s", line);
}

/* Takes the apps that are wanted out of a loaded file, with the flags of the command line over them. */
static int take_apps(struct plan *p, const char *file, struct app_list *loaded)
{
    const char *only = args_text(p->args, "only");
    struct err e = {0};

    if (only && check_only(p, file, only, loaded) > 0)
        return EXIT_FAILED;
    if (!only && loaded->n > 1 && args_has(p->args, "name")) {
        out_error(&p->c->out, "--name names one app, but %s has %zu; choose one by --only", file, loaded->n);
        return EXIT_USAGE;
    }
    for (size_t i = 0; i < loaded->n; i++) {
        struct app_spec *app = loaded->v[i];

        if (only && !in_list(only, app->name))
            continue;
        if (appflags_apply(p->args, app, p->ctx.cwd, &e) < 0) {
            out_error(&p->c->out, "%s", e.msg);
            return EXIT_USAGE;
        }
        loaded->v[i] = NULL;
        add_app(p, app);
    }
    return EXIT_DONE;
}

static int plan_file(struct plan *p, const char *file)
{
    struct app_list loaded = {0};
    struct config_report report = {0};
    int rc, code = EXIT_FAILED;

    if (p->args->n_rest > 0) {
        out_error(&p->c->out, "arguments after \"--\" are for a script; apps of %s have their own \"args\"",
                  file);
        return EXIT_USAGE;
    }
    p->from_file = true;
    rc = config_load_file(&p->ctx, file, &loaded, &report);
    print_report(p, &report);
    if (rc == 0)
        code = take_apps(p, file, &loaded);
    config_report_free(&report);
    app_list_free(&loaded);
    return code;
}

static int plan_known(struct plan *p, const char *word)
{
    const struct flag *ignored = appflags_first(p->args);
    _cleanup_free_ char *what = ignored ? xasprintf("--%s is", ignored->name) : xstrdup("the arguments are");

    if (ignored || p->args->n_rest > 0)
        out_warn(&p->c->out,
                 "%s is known and keeps its configuration: %s not used; to change it: pm delete %s, "
                 "then start it anew",
                 word, what, word);
    p->restart[p->n_restart++] = word;
    return EXIT_DONE;
}

static int plan_script(struct plan *p, const char *word)
{
    struct app_spec *spec = app_spec_new();
    struct err e = {0};

    if (appflags_apply(p->args, spec, NULL, &e) < 0) {
        app_spec_free(spec);
        out_error(&p->c->out, "%s", e.msg);
        return EXIT_USAGE;
    }
    for (size_t i = 0; i < p->args->n_rest; i++)
        strv_push(&spec->args, xstrdup(p->args->rest[i]));
    if (config_resolve_word(&p->ctx, word, spec, &e) < 0) {
        app_spec_free(spec);
        return out_error(&p->c->out, "%s", e.msg);
    }
    add_app(p, spec);
    return EXIT_DONE;
}

static int plan_word(struct plan *p, const char *word)
{
    if (config_is_file_name(word))
        return plan_file(p, word);
    if (!strchr(word, '/')) {
        bool known = is_known(p, word);

        /* A file of this name beside a known app: the file is meant only if it looks like one. */
        if (known && (!strchr(word, '.') || access(word, F_OK) != 0))
            return plan_known(p, word);
        if (is_number(word) && access(word, F_OK) != 0)
            return out_error(&p->c->out, "no process has the id %s%s", word,
                             p->known ? "" : " (no daemon runs)");
        if (strcmp(word, "all") == 0 && access(word, F_OK) != 0)
            return out_error(&p->c->out, "there is nothing to start: the list is empty");
    }
    return plan_script(p, word);
}

/* `pm start` alone: the config file of this folder. */
static int plan_default(struct plan *p)
{
    static const char *const names[] = {"ecosystem.yaml", "ecosystem.yml", "ecosystem.json"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (access(names[i], F_OK) == 0)
            return plan_file(p, names[i]);
    out_error(&p->c->out, "what to start? There is no ecosystem.yaml, .yml or .json here; usage: pm start %s",
              p->args->command->usage);
    return EXIT_USAGE;
}

/* Everything is looked at before anything is started: a mistake in one word leaves nothing half done. */
static int make_plan(struct plan *p)
{
    int worst = EXIT_DONE;

    if (p->args->n_words == 0)
        return plan_default(p);
    for (size_t i = 0; i < p->args->n_words; i++) {
        int code = plan_word(p, p->args->words[i]);

        if (code > worst)
            worst = code;
    }
    return worst;
}

static int restart_known(struct plan *p)
{
    json_t *result = NULL;
    int code;

    if (p->n_restart == 0)
        return EXIT_DONE;
    code = session_call(p->c, "process.restart", session_selectors(p->restart, p->n_restart), &result);
    if (outcome_print(p->c, result, "restarted") > 0)
        code = EXIT_FAILED;
    json_decref(result);
    return code;
}

static int carry_out(struct plan *p)
{
    int code, other = EXIT_DONE;

    if (!p->c->connected && autostart_connect(p->c) != SESSION_OK)
        return EXIT_FAILED;
    code = restart_known(p);
    if (p->apps.n)
        other = appsend_start(p->c, &p->apps,
                              args_has(p->args, "force") ? "force"
                              : p->from_file             ? "restart"
                                                         : NULL);
    if (p->c->out.tty && !p->c->out.silent)
        proclist_print(p->c);
    return code > other ? code : other;
}

int cmd_start(struct cli *c, const struct args *a)
{
    _cleanup_free_ char *cwd = getcwd(NULL, 0);
    struct plan p = {.c = c,
                     .args = a,
                     .ctx = {.cwd = cwd, .environ = environ, .env_name = args_text(a, "env")},
                     .restart = xcalloc(a->n_words + 1, sizeof(char *))};
    int code = EXIT_FAILED;

    if (!cwd)
        out_error(&c->out, "this folder is gone; change to another one");
    else if (!c->connected || (code = session_call(c, "list", NULL, &p.known)) == 0)
        code = make_plan(&p);
    if (code == EXIT_DONE)
        code = carry_out(&p);
    app_list_free(&p.apps);
    json_decref(p.known);
    free(p.restart);
    return code;
}
