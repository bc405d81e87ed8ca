#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/appfile.h"
#include "cli/appflags.h"
#include "cli/appsend.h"
#include "cli/autostart.h"
#include "cli/interrupt.h"
#include "cli/jsonget.h"
#include "cli/logview.h"
#include "cli/outcome.h"
#include "cli/proclist.h"
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
    bool from_file; /* some apps come from a config file: those that run are restarted with it, as PM2 does */
};

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
        if (strcmp(word, "all") == 0 || strcmp(j_text(r, "name"), word) == 0 ||
            strcmp(j_text(r, "namespace"), word) == 0)
            return true;
        if (is_number(word) && j_int(r, "id") == strtoll(word, NULL, 10))
            return true;
    }
    return false;
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
    const struct flag *ignored = appflags_first(p->args);
    _cleanup_free_ char *what = ignored ? xasprintf("--%s is", ignored->name) : xstrdup("the arguments are");

    if (p->mode == PLAN_RESTART && args_text(p->args, "env"))
        return out_error(&p->c->out,
                         "--env %s chooses among the \"env_...\" of a config file, and %s names none",
                         args_text(p->args, "env"), word);
    if (ignored && p->mode == PLAN_RESTART) {
        out_error(&p->c->out,
                  "pm %s %s takes the stored configuration, without --%s; to change it: pm %s FILE with its "
                  "config file, or pm delete %s and start it anew",
                  p->args->command->name, word, ignored->name, p->args->command->name, word);
        return EXIT_USAGE;
    }
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

static int restart_known(struct plan *p)
{
    json_t *result = NULL, *params;
    int code;

    if (p->n_restart == 0)
        return EXIT_DONE;
    params = session_selectors(p->restart, p->n_restart);
    if (args_has(p->args, "update-env"))
        json_object_set_new(params, "env", env_to_json(p->caller.env));
    code = session_call(p->c, "process.restart", params, &result);
    if (outcome_print(p->c, result, "restarted") > 0)
        code = EXIT_FAILED;
    json_decref(result);
    return code;
}

/* --attach: what the apps print from now on, with the lines of their start. */
static int attach(struct plan *p)
{
    size_t n = p->n_restart + p->apps.n;
    const char **words = xcalloc(n + 1, sizeof(*words));
    struct logview v = {.c = p->c,
                        .words = words,
                        .n_words = n,
                        .ask = {LOGASK_LAST(ATTACH_LINES)},
                        .style = {.terminal = p->c->out.tty, .color = p->c->out.color}};
    int code;

    for (size_t i = 0; i < n; i++)
        words[i] = i < p->n_restart ? p->restart[i] : p->apps.v[i - p->n_restart]->name;
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
    const struct appsend_how how = {.when_known = args_has(p->args, "force") ? "force"
                                                  : p->from_file             ? "restart"
                                                                             : NULL,
                                    .done = p->mode == PLAN_RESTART ? "restarted" : "started",
                                    .no_wait = args_has(p->args, "no-wait")};
    int code, other = EXIT_DONE;

    if (!p->c->connected && autostart_connect(p->c) != SESSION_OK)
        return EXIT_FAILED;
    code = restart_known(p);
    if (p->apps.n)
        other = appsend_start(p->c, &p->apps, &how);
    if (args_has(p->args, "attach") && (p->n_restart || p->apps.n)) {
        int shown = attach(p);

        other = other > shown ? other : shown;
    } else if (p->c->out.tty && !p->c->out.silent) {
        proclist_print(p->c);
    }
    return code > other ? code : other;
}

static int run(struct cli *c, const struct args *a, enum plan_mode mode)
{
    struct plan p = {.c = c, .args = a, .mode = mode, .restart = xcalloc(a->n_words + 1, sizeof(char *))};
    int code = caller_init(&p.caller, c, a);

    if (code == EXIT_DONE && c->connected)
        code = session_call(c, "list", NULL, &p.known);
    if (code == EXIT_DONE)
        code = make_plan(&p);
    if (code == EXIT_DONE)
        code = carry_out(&p);
    app_list_free(&p.apps);
    json_decref(p.known);
    free(p.restart);
    caller_deinit(&p.caller);
    return code;
}

int cmd_start(struct cli *c, const struct args *a)
{
    return run(c, a, PLAN_START);
}

int cmd_restart(struct cli *c, const struct args *a)
{
    return run(c, a, PLAN_RESTART);
}

/* No process can be replaced without a gap yet, and who relies on that must hear it. */
static void note_reload(const struct cli *c)
{
    out_note(&c->out,
             "this version reloads by a restart: each process is stopped before its successor starts");
}

int cmd_reload(struct cli *c, const struct args *a)
{
    note_reload(c);
    return run(c, a, PLAN_RESTART);
}

int cmd_start_or(struct cli *c, const struct args *a)
{
    if (strcmp(a->command->name, "startOrRestart") != 0)
        note_reload(c);
    return run(c, a, PLAN_START_OR);
}
