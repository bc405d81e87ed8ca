#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/action.h"
#include "cli/appfile.h"
#include "cli/appflags.h"
#include "cli/appsend.h"
#include "cli/autostart.h"
#include "cli/interrupt.h"
#include "cli/jsonget.h"
#include "cli/logview.h"
#include "cli/session.h"
#include "common/err.h"
#include "common/mem.h"
#include "config/env.h"

#define ATTACH_LINES 15

/* What a word that is no config file means. */
enum plan_mode {
    PLAN_START,    /* something known is restarted, anything else created */
    PLAN_RESTART,  /* a selector; apps of a config must be known */
    PLAN_START_OR, /* only config files: what is missing is created, what is known restarted */
};

/* What the words of one command line mean, before anything is started. */
struct plan {
    struct cli *c;
    const struct args *args;
    enum plan_mode mode;
    struct caller caller;
    struct app_list apps; /* to be created */
    json_t *known;        /* the daemon's list, NULL when none runs */
    const char **restart; /* words that name what is known */
    size_t n_restart;
    json_t *set;    /* what the flags change of them; NULL = nothing */
    bool reload;    /* what runs is reloaded, not restarted */
    bool from_file; /* some apps come from a config file: those that run are restarted with it, as PM2 does */
};

static bool is_number(const char *s)
{
    return *s && strspn(s, "0123456789") == strlen(s);
}

static bool names(const char *word, const json_t *r)
{
    if (strcmp(word, "all") == 0 || strcmp(j_text(r, "name"), word) == 0 ||
        strcmp(j_text(r, "namespace"), word) == 0)
        return true;
    return is_number(word) && j_int(r, "id") == strtoll(word, NULL, 10);
}

/* Does the daemon know an app or a process by this word? */
static bool is_known(const struct plan *p, const char *word)
{
    json_t *r;
    size_t i;

    json_array_foreach (p->known, i, r)
        if (names(word, r))
            return true;
    return false;
}

/* config_ctx.known: may an app of a file depend on this name? */
static bool is_app(void *arg, const char *name)
{
    const struct plan *p = arg;
    json_t *r;
    size_t i;

    for (i = 0; i < p->apps.n; i++)
        if (strcmp(p->apps.v[i]->name, name) == 0)
            return true;
    json_array_foreach (p->known, i, r)
        if (strcmp(j_text(r, "name"), name) == 0)
            return true;
    return false;
}

/* The name that the apps to be restarted have, when it is one; else NULL. */
static const char *one_name(const struct plan *p)
{
    const char *name = args_text(p->args, "name");
    json_t *r;
    size_t i;

    if (name)
        return name;
    for (size_t k = 0; k < p->n_restart; k++)
        json_array_foreach (p->known, i, r) {
            if (!names(p->restart[k], r))
                continue;
            if (name && strcmp(name, j_text(r, "name")) != 0)
                return NULL;
            name = j_text(r, "name");
        }
    return name;
}

/* pm restart FILE: apps from `first` on must be there already. */
static int check_known(const struct plan *p, size_t first)
{
    int code = EXIT_DONE;

    for (size_t i = first; i < p->apps.n; i++)
        if (!is_known(p, p->apps.v[i]->name))
            code = out_error(&p->c->out, "%s does not run yet; pm start or pm startOrRestart starts it",
                             p->apps.v[i]->name);
    return code;
}

static int plan_file(struct plan *p, const char *file)
{
    size_t first = p->apps.n;
    int code;

    if (p->args->n_rest > 0) {
        out_error(&p->c->out, "arguments after \"--\" are for a script; apps of %s have their own \"args\"",
                  file);
        return EXIT_USAGE;
    }
    p->from_file = true;
    code = appfile_load(p->c, p->args, &p->caller, file, &p->apps);
    return code == EXIT_DONE && p->mode == PLAN_RESTART ? check_known(p, first) : code;
}

static int plan_known(struct plan *p, const char *word)
{
    if (p->mode == PLAN_RESTART && args_text(p->args, "env"))
        return out_error(&p->c->out,
                         "--env %s chooses among the \"env_...\" of a config file, and %s names none",
                         args_text(p->args, "env"), word);
    if (args_has(p->args, "instances"))
        out_warn(&p->c->out, "--instances is not used for %s, which is known: pm scale %s N changes how many",
                 word, word);
    if (args_has(p->args, "source-map-support"))
        out_warn(
            &p->c->out,
            "--source-map-support is not used for %s, which is known: give --node-args=--enable-source-maps",
            word);
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
    if (config_resolve_word(&p->caller.ctx, word, spec, &e) < 0) {
        app_spec_free(spec);
        return out_error(&p->c->out, "%s", e.msg);
    }
    appflags_finish(p->args, spec, p->c->home_path);
    app_list_take(&p->apps, spec);
    return EXIT_DONE;
}

static int plan_word(struct plan *p, const char *word)
{
    if (appfile_is(word))
        return plan_file(p, word);
    if (p->mode == PLAN_RESTART)
        return plan_known(p, word);
    if (p->mode == PLAN_START_OR) {
        out_error(&p->c->out, "%s wants a config file (.yaml, .json, ...), not \"%s\"",
                  p->args->command->name, word);
        return EXIT_USAGE;
    }
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
    for (const char *const *name = config_default_names(); *name; name++)
        if (access(*name, F_OK) == 0)
            return plan_file(p, *name);
    out_error(&p->c->out,
              "what to start? There is no ecosystem.yaml, .yml, .json or .config.js here; usage: "
              "pm start %s",
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

/* Are the files of all apps watched that are to be restarted? */
static bool all_watched(const struct plan *p)
{
    json_t *r;
    size_t i;

    for (size_t k = 0; k < p->n_restart; k++)
        json_array_foreach (p->known, i, r)
            if (names(p->restart[k], r) && !json_is_true(json_object_get(r, "watch")))
                return false;
    return true;
}

/* As PM2: of what is known, --watch alone turns it on, or off when it is on. */
static void toggle_watch(struct plan *p)
{
    const char *path = args_text(p->args, "watch");

    if (path && !*path && all_watched(p)) {
        json_object_set_new(p->set, "watch", json_array());
        out_note(&p->c->out, "watch is off now; --watch once more turns it on");
    }
}

/* What the flags change of the stored configuration of known apps. */
static int make_set(struct plan *p)
{
    struct err e = {0};

    p->set = appflags_to_set(p->args, p->caller.cwd, one_name(p), p->c->home_path, &e);
    if (p->set) {
        toggle_watch(p);
        return EXIT_DONE;
    }
    out_error(&p->c->out, "%s", e.msg);
    return EXIT_USAGE;
}

static int restart_known(struct plan *p, struct action *t)
{
    json_t *params;

    if (p->n_restart == 0)
        return EXIT_DONE;
    params = session_selectors(p->restart, p->n_restart);
    if (args_has(p->args, "update-env"))
        json_object_set_new(params, "env", env_to_json(p->caller.env));
    if (json_object_size(p->set) > 0)
        json_object_set(params, "set", p->set);
    if (p->reload && args_has(p->args, "force"))
        json_object_set_new(params, "force", json_true());
    return action_call(t, p->reload ? "process.reload" : "process.restart", params,
                       p->reload ? "reloaded" : "restarted", NULL);
}

/* --attach: what the apps print from now on, with the lines of their start. */
static int attach(struct plan *p)
{
    size_t n = p->n_restart + p->apps.n;
    const char **words = xcalloc(n + 1, sizeof(*words)), *renamed = args_text(p->args, "name");
    struct logview v = {.c = p->c,
                        .words = words,
                        .n_words = n,
                        .ask = {LOGASK_LAST(ATTACH_LINES)},
                        .style = {.terminal = p->c->out.tty, .color = p->c->out.color}};
    int code;

    for (size_t i = 0; i < n; i++)
        words[i] = i >= p->n_restart ? p->apps.v[i - p->n_restart]->name : renamed ? renamed : p->restart[i];
    interrupt_catch();
    code = logview_open(&v, true);
    if (code == 0)
        code = logview_follow(&v);
    logview_close(&v);
    free(words);
    return code;
}

static int carry_out(struct plan *p)
{
    bool force = args_has(p->args, "force");
    bool again = force && p->mode != PLAN_RESTART; /* of pm reload -f it is about an earlier reload */
    const struct appsend_how how = {.when_known = again          ? "force"
                                                  : p->reload    ? "reload"
                                                  : p->from_file ? "restart"
                                                                 : NULL,
                                    .force = p->reload && force && !again,
                                    .done = p->mode != PLAN_RESTART ? "started"
                                            : p->reload             ? "reloaded"
                                                                    : "restarted"};
    bool attaches = args_has(p->args, "attach") && (p->n_restart || p->apps.n);
    struct action t;
    int code, other = EXIT_DONE;

    action_begin(&t, p->c, p->args);
    if (!p->c->connected && autostart_connect(p->c) != SESSION_OK)
        return action_end(&t, false, EXIT_FAILED);
    code = restart_known(p, &t);
    if (p->apps.n && !action_interrupted(&t))
        other = appsend_start(&t, &p->apps, &how);
    attaches = attaches && !action_interrupted(&t);
    code = action_end(&t, !attaches, code > other ? code : other);
    if (attaches) {
        int shown = attach(p);

        code = code > shown ? code : shown;
    }
    return code;
}

static int run(struct cli *c, const struct args *a, enum plan_mode mode, bool reload)
{
    struct plan p = {.c = c,
                     .args = a,
                     .mode = mode,
                     .reload = reload,
                     .restart = xcalloc(a->n_words + 1, sizeof(char *))};
    int code = caller_init(&p.caller, c, a);

    p.caller.ctx.known = is_app;
    p.caller.ctx.known_arg = &p;

    if (code == EXIT_DONE && c->connected)
        code = session_call(c, "list", NULL, &p.known);
    if (code == EXIT_DONE)
        code = make_plan(&p);
    if (code == EXIT_DONE && p.n_restart)
        code = make_set(&p);
    if (code == EXIT_DONE)
        code = carry_out(&p);
    app_list_free(&p.apps);
    json_decref(p.known);
    json_decref(p.set);
    free(p.restart);
    caller_deinit(&p.caller);
    return code;
}

int cmd_start(struct cli *c, const struct args *a)
{
    return run(c, a, PLAN_START, false);
}

int cmd_restart(struct cli *c, const struct args *a)
{
    return run(c, a, PLAN_RESTART, false);
}

int cmd_reload(struct cli *c, const struct args *a)
{
    return run(c, a, PLAN_RESTART, true);
}

int cmd_start_or(struct cli *c, const struct args *a)
{
    return run(c, a, PLAN_START_OR, strcmp(a->command->name, "startOrRestart") != 0);
}
