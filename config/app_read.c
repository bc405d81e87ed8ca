#include "config/app_read.h"

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"
#include "config/env.h"
#include "config/listen_template.h"
#include "config/option_read.h"
#include "config/path.h"
#include "config/resolve.h"

#define ENV_FILE_MAX (1024u * 1024)

struct reader {
    struct app_source *source;
    struct diag *diag;
    const struct tree_node *map;
    const struct tree_node **given; /* one a row of the option table: the value that the file has for it */
    const struct tree_node *env_chosen; /* env_<name> of --env */
    struct app_spec *spec;
    char *plain_name;
};

static const struct tree_node *given(const struct reader *r, const char *name)
{
    size_t n;

    return r->given[option_by_name(name) - options(&n)];
}

static void read_option(struct reader *r, const struct option_row *o, const struct tree_node *value)
{
    size_t n;
    const struct tree_node **slot = &r->given[o - options(&n)];
    char where[IN_LINE_MAX];

    if (*slot) {
        diag_error(r->diag, value->key_line, value->key_col, "%s: was given%s already, as %s", value->key,
                   diag_in_line(r->diag, (*slot)->key_line, where), (*slot)->key);
        return;
    }
    *slot = value;
    /* The one path that may be `true`: then its name follows from the app's. */
    if (value->kind == TREE_BOOL && strcmp(o->name, "log_file") == 0)
        return;
    option_read(o, r->spec, value, r->diag);
}

static bool is_off(const struct tree_node *value)
{
    return value->kind == TREE_BOOL && (value->text[0] | 0x20) == 'f';
}

static void read_foreign(struct reader *r, const struct foreign_key *f, const struct tree_node *value)
{
    const struct option_row row = {.name = f->name, .type = f->type, .store = STORE_NONE, .max = INT64_MAX};

    if (f->why)
        diag_warn(r->diag, value->key_line, value->key_col, "%s: ignored, %s", value->key, f->why);
    else if (option_read(&row, r->spec, value, r->diag) && !is_off(value))
        diag_warn(r->diag, value->key_line, value->key_col, "%s: has no effect yet", value->key);
}

static void read_named_env(struct reader *r, const struct tree_node *value)
{
    const char *wanted = r->source->ctx->env_name, *name = value->key + strlen("env_");
    char **scratch = NULL, shown[QUOTE_MAX + 16];

    if (value->kind != TREE_MAP) {
        diag_error(r->diag, value->line, value->col, "%s: expected %s, found %s", value->key,
                   opt_type_expected(OPT_ENV), tree_describe(value, shown));
        return;
    }
    if (wanted && strcmp(name, wanted) == 0) {
        r->env_chosen = value;
        r->source->env_name_seen = true;
        return;
    }
    /* Not used now, but a mistake in it is to be seen before the day it is. */
    env_apply_tree(&scratch, value, r->diag);
    strv_free(scratch);
}

static void read_key(struct reader *r, const struct tree_node *value)
{
    const struct option_row *o = option_find(value->key);
    const struct foreign_key *f = o ? NULL : foreign_key_find(value->key);
    const char *near;
    char quoted[QUOTE_MAX];

    if (o) {
        read_option(r, o, value);
    } else if (f) {
        read_foreign(r, f, value);
    } else if (strncmp(value->key, "env_", 4) == 0 && value->key[4]) {
        read_named_env(r, value);
    } else if (strncmp(value->key, "x-", 2) != 0) { /* x-...: the user's own notes and anchors */
        near = option_suggest(value->key);
        diag_error(r->diag, value->key_line, value->key_col, "unknown key %s%s%s%s",
                   diag_quote(quoted, value->key), near ? ", did you mean \"" : "", near ? near : "",
                   near ? "\"?" : "");
    }
}

static void read_env_file(struct reader *r, const struct tree_node *value)
{
    _cleanup_free_ char *expanded = path_expand_home(r->source->ctx->environ, value->text);
    _cleanup_free_ char *path = fs_absolute(r->spec->cwd, expanded);
    struct buf text = {0};
    struct err e = {0};

    if (fs_read_file(path, ENV_FILE_MAX, &text, &e) < 0)
        diag_error(r->diag, value->line, value->col, "%s: %s", value->key, e.msg);
    else if (env_apply_file_text(&r->spec->env, text.data ? text.data : "", text.len, &e) < 0)
        diag_error(r->diag, value->line, value->col, "%s: \"%s\" %s", value->key, path, e.msg);
    buf_free(&text);
}

/* The order that decides who wins: the caller's, env_file, env, port, env_<name>. */
static void build_env(struct reader *r)
{
    const struct tree_node *file = given(r, "env_file"), *env = given(r, "env"), *port = given(r, "port");

    strv_free(r->spec->env);
    r->spec->env = env_inherit(r->source->ctx->environ);
    env_filter(r->spec->env, r->spec->filter_env);
    if (file && tree_is_scalar(file) && !r->source->ctx->names_only)
        read_env_file(r, file);
    if (env && env->kind == TREE_MAP)
        env_apply_tree(&r->spec->env, env, r->diag);
    if (port && tree_is_scalar(port))
        env_set(&r->spec->env, "PORT", port->text);
    if (r->env_chosen)
        env_apply_tree(&r->spec->env, r->env_chosen, r->diag);
}

/* {fd} and {listen.NAME} in the values of a map, the items of a list, or the text itself. */
static void check_templates(struct reader *r, const struct tree_node *value)
{
    struct err e;

    if (!value)
        return;
    if (!tree_is_scalar(value)) {
        for (const struct tree_node *item = value->first; item; item = item->next)
            check_templates(r, item);
    } else if (listen_check_text(&r->spec->listen, value->text, &e) < 0) {
        diag_error(r->diag, value->line, value->col, "%s", e.msg);
    }
}

/* Once more over the whole app, for what is not from this file: inherited variables, those of env_file. */
static void check_all_templates(struct reader *r)
{
    unsigned before = r->diag->n_errors;
    struct err e;

    check_templates(r, given(r, "script")); /* a command line's words are arguments of a shell */
    check_templates(r, given(r, "args"));
    check_templates(r, given(r, "env"));
    check_templates(r, r->env_chosen);
    if (r->diag->n_errors == before && listen_check_app(r->spec, &e) < 0)
        diag_error(r->diag, r->map->line, r->map->col, "%s", e.msg);
}

/* A problem is reported where the option it is about stands, or at the app when it has only a default. */
static void report_problem(void *arg, const char *key, const char *msg)
{
    struct reader *r = arg;
    const struct tree_node *at = given(r, key);

    if (!at)
        at = r->map;
    diag_error(r->diag, at->line, at->col, "%s", msg);
}

static bool is_on(const struct tree_node *value)
{
    return value && tree_is_scalar(value) && (value->text[0] | 0x20) == 't';
}

static void complete(struct reader *r)
{
    const struct tree_node *script = given(r, "script"), *log = given(r, "log_file"),
                           *name = given(r, "name"), *prefix = given(r, "name_prefix"),
                           *suffix = given(r, "append_env_to_name");
    struct resolve resolve = {
        .spec = r->spec,
        .environ = r->source->ctx->environ,
        .name_prefix = prefix && tree_is_scalar(prefix) ? prefix->text : NULL,
        .name_suffix = is_on(suffix) ? r->source->ctx->env_name : NULL,
        .instances_given = given(r, "instances") != NULL,
        .mode_given = given(r, "exec_mode") != NULL,
        .log_file_default = log && log->kind == TREE_BOOL && is_on(log),
        .names_only = r->source->ctx->names_only,
        .problem = report_problem,
        .arg = r,
    };
    const struct config_ctx *ctx = r->source->ctx;
    char quoted[QUOTE_MAX];
    bool cwd_ok;

    if (ctx->overlay && ctx->overlay(ctx->overlay_arg, r->spec))
        resolve.instances_given = true;
    cwd_ok = resolve_cwd(&resolve, r->source->folder, ctx->environ);
    build_env(r);
    check_all_templates(r);
    if (!script) {
        if (name && tree_is_scalar(name))
            diag_error(r->diag, r->map->line, r->map->col, "the app %s has no \"script\"",
                       diag_quote(quoted, name->text));
        else
            diag_error(r->diag, r->map->line, r->map->col, "this app has no \"script\"");
        return;
    }
    /* What stands in a folder that is not there cannot be looked at; one error is enough for that. */
    if (!cwd_ok || !r->spec->script)
        return;
    if (script->text[strspn(script->text, " \t\r\n")] == '\0') {
        diag_error(r->diag, script->line, script->col, "%s: must not be empty", script->key);
        return;
    }
    resolve.word = script->text;
    resolve_app(&resolve);
    r->plain_name = resolve.plain_name;
}

struct app_spec *app_read(struct app_source *source, const struct tree_node *map, char **plain_name)
{
    struct reader r = {.source = source, .diag = source->diag, .map = map, .spec = app_spec_new()};
    unsigned before = source->diag->n_errors + source->diag->suppressed;
    size_t n;

    options(&n);
    r.given = xcalloc(n, sizeof(void *));
    for (const struct tree_node *value = map->first; value; value = value->next)
        read_key(&r, value);
    complete(&r);
    free(r.given);
    if (source->diag->n_errors + source->diag->suppressed == before) {
        *plain_name = r.plain_name;
        return r.spec;
    }
    free(r.plain_name);
    app_spec_free(r.spec);
    return NULL;
}
