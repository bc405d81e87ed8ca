/* From the records of a PM2 dump to apps. What a key may hold is the matter of the option table. */
#include "config/pm2_dump.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"
#include "config/env.h"
#include "config/exec_mode.h"
#include "config/option_read.h"
#include "config/pm2_env.h"
#include "config/resolve.h"
#include "config/tree.h"
#include "config/tree_path.h"
#include "config/values.h"

/* A record has some 300: each variable stands in it twice. */
#define DUMP_NODES_MAX 4000000u

/* Options that PM2's records have under other names. */
static const struct {
    const char *field, *option;
} renamed[] = {
    {"pm_exec_path", "script"},        {"pm_cwd", "cwd"},           {"pm_out_log_path", "out_file"},
    {"pm_err_log_path", "error_file"}, {"pm_log_path", "log_file"}, {"pm_pid_path", "pid_file"},
};

/* What tells what an app is, and is no variable of its environment, even if one has the same value. */
static const char *const identity[] = {"name", "namespace", "exec_interpreter", "exec_mode", "instance_var"};

struct reader {
    struct diag *diag;
    const char *path;
    const struct tree_node *record, *env;
    struct app_spec *spec;
    char *id;        /* of PM2's process, as its file names hold it; NULL when it is not known */
    unsigned before; /* errors in the records before this one */
    bool warnings;   /* the foreign keys of this record are to be spoken of */
};

static const struct option_row *row_of(const char *key)
{
    for (size_t i = 0; i < ARRAY_LEN(renamed); i++)
        if (strcmp(renamed[i].field, key) == 0)
            return option_by_name(renamed[i].option);
    return option_by_name(key);
}

static bool is_identity(const char *key)
{
    for (size_t i = 0; i < ARRAY_LEN(identity); i++)
        if (strcmp(identity[i], key) == 0)
            return true;
    return strncmp(key, "pm_", 3) == 0;
}

/* PM2 puts the variables beside its own fields: `time` may be one of the app's. */
static bool is_variable(const struct reader *r, const struct tree_node *value)
{
    const struct tree_node *same = r->env && r->env->kind == TREE_MAP ? tree_get(r->env, value->key) : NULL;

    return same && !is_identity(value->key) && same->kind == value->kind && tree_is_scalar(same) &&
           strcmp(same->text, value->text) == 0;
}

static void read_foreign(const struct reader *r, const struct tree_node *value)
{
    const struct foreign_key *f = foreign_key_find(value->key);
    bool off =
        value->kind == TREE_NULL || (value->kind == TREE_LIST && !value->first) ||
        (tree_is_scalar(value) && (strcmp(value->text, "false") == 0 || strcmp(value->text, "0") == 0));

    /* What never has a meaning here stands in every record, with PM2's defaults. */
    if (f && !f->why && !off && r->warnings)
        diag_warn(r->diag, value->line, value->col, "%s: has no effect yet", value->key);
}

static void read_fields(struct reader *r)
{
    for (const struct tree_node *value = r->record->first; value; value = value->next) {
        const struct option_row *o = row_of(value->key);

        if (is_variable(r, value))
            continue;
        if (!o)
            read_foreign(r, value);
        else if (value->kind != TREE_NULL && o->store != STORE_NONE && o->type != OPT_ENV &&
                 o->type != OPT_INSTANCES)
            option_read(o, r->spec, value, r->diag);
    }
}

/* The number before the extension of a pid file, "…/api-6.pid". */
static char *id_of(const char *pid_file)
{
    const char *dash = pid_file ? strrchr(pid_file, '-') : NULL;
    size_t digits = dash ? strspn(dash + 1, "0123456789") : 0;

    return digits && strcmp(dash + 1 + digits, ".pid") == 0 ? xstrndup(dash + 1, digits) : NULL;
}

static bool is_in(const char *path, const char *home, const char *folder)
{
    size_t len = strlen(home);

    while (len > 1 && home[len - 1] == '/')
        len--;
    return len > 0 && strncmp(path, home, len) == 0 && path[len] == '/' &&
           strncmp(path + len + 1, folder, strlen(folder)) == 0 && path[len + 1 + strlen(folder)] == '/' &&
           !strchr(path + len + 2 + strlen(folder), '/');
}

static const char *variable(const struct reader *r, const char *name)
{
    const struct tree_node *value = r->env && r->env->kind == TREE_MAP ? tree_get(r->env, name) : NULL;

    return value && tree_is_scalar(value) ? value->text : NULL;
}

/* Is it a file that PM2 named, in a home of its own? */
static bool is_pm2s(const struct reader *r, const char *path, const char *folder)
{
    const char *slash = strrchr(r->path, '/'), *home = variable(r, "HOME"), *own = variable(r, "PM2_HOME");
    _cleanup_free_ char *beside = slash ? xstrndup(r->path, (size_t)(slash - r->path)) : xstrdup(".");
    _cleanup_free_ char *usual = home ? fs_join(home, ".pm2") : NULL;

    return (own && is_in(path, own, folder)) || is_in(path, beside, folder) ||
           (usual && is_in(path, usual, folder));
}

/* Default names become pm's own; of the others the id of PM2's process is taken off, pm puts its own there.
 */
static void own_log(const struct reader *r, char **path)
{
    _cleanup_free_ char *suffix = r->id ? xasprintf("-%s", r->id) : xstrdup("");
    size_t len = *path ? strlen(*path) : 0, tail = len > 4 && strcmp(*path + len - 4, ".log") == 0 ? 4 : 0;
    size_t cut = strlen(suffix);

    if (!*path)
        return;
    if (is_pm2s(r, *path, "logs")) {
        free(*path);
        *path = NULL;
    } else if (!r->spec->merge_logs && cut && len > cut + tail &&
               strncmp(*path + len - tail - cut, suffix, cut) == 0) {
        memmove(*path + len - tail - cut, *path + len - tail, tail + 1);
    }
}

static void own_files(struct reader *r)
{
    struct app_spec *s = r->spec;

    r->id = id_of(s->pid_file);
    s->merge_logs_set = true; /* PM2 leaves it out where it is false */
    own_log(r, &s->out_file);
    own_log(r, &s->error_file);
    own_log(r, &s->log_file);
    if (s->pid_file && is_pm2s(r, s->pid_file, "pids")) {
        free(s->pid_file);
        s->pid_file = NULL;
    }
}

/* The lowest number that no process of this name has. */
static uint32_t free_instance(const struct pm2_dump *d, const char *name)
{
    for (uint32_t n = 0;; n++) {
        bool taken = false;

        for (size_t i = 0; i < d->apps.n && !taken; i++)
            for (size_t k = 0; k < d->processes[i].n && strcmp(d->apps.v[i]->name, name) == 0; k++)
                taken = taken || d->processes[i].v[k].instance == n;
        if (!taken)
            return n;
    }
}

static uint32_t instance_of(const struct reader *r, const struct pm2_dump *d)
{
    const struct tree_node *value = tree_get(r->record, r->spec->instance_var);
    int64_t n = -1;

    if (value && tree_is_scalar(value) && value_int(value->text, &n) && n >= 0 && n < 100000)
        return (uint32_t)n;
    return free_instance(d, r->spec->name);
}

/* PM2 has counted already; pm adds the number of the instance to what stands in the environment. */
static void uncount(struct app_spec *s, uint32_t instance)
{
    const char *value = s->increment_var ? env_get(s->env, s->increment_var) : NULL;
    char text[32];
    int64_t n;

    if (!value || !value_int(value, &n) || __builtin_sub_overflow(n, (int64_t)instance, &n))
        return;
    snprintf(text, sizeof(text), "%lld", (long long)n);
    env_set(&s->env, s->increment_var, text);
}

/* What stands under `key`, with an error if it is not there. */
static bool needs(const struct reader *r, const char *key)
{
    if (tree_get(r->record, key))
        return true;
    diag_error(r->diag, r->record->line, r->record->col, "is no process of PM2: it has no \"%s\"", key);
    return false;
}

static bool read_record(struct reader *r)
{
    struct err e;

    if (!needs(r, "name") || !needs(r, "pm_exec_path") || !needs(r, "pm_cwd"))
        return false;
    if (r->env && r->env->kind != TREE_MAP && r->env->kind != TREE_NULL) {
        diag_error(r->diag, r->env->line, r->env->col, "env: expected a mapping of variables");
        return false;
    }
    read_fields(r);
    if (r->env && r->env->kind == TREE_MAP)
        pm2_env_apply(&r->spec->env, r->env, r->spec->name, r->diag);
    if (r->diag->n_errors + r->diag->suppressed > r->before)
        return false;
    if (!r->spec->interpreter)
        r->spec->interpreter = xstrdup("none");
    if (strcmp(r->spec->exec_mode, "cluster") == 0 && !app_is_cluster(r->spec)) {
        free(r->spec->exec_mode);
        r->spec->exec_mode = xstrdup("fork");
        if (r->warnings)
            diag_warn(r->diag, r->record->line, r->record->col,
                      "cluster mode is for node and bun; %s runs in fork mode", r->spec->name);
    }
    own_files(r);
    resolve_source_maps(r->spec);
    if (app_spec_validate(r->spec, &e) == 0)
        return true;
    diag_error(r->diag, r->record->line, r->record->col, "%s", e.msg);
    return false;
}

/* The app of which this is one more instance, else apps.n. Pid files are each instance's own. */
static size_t find_app(const struct pm2_dump *d, struct app_spec *s, uint32_t instance)
{
    char *pid_file = s->pid_file;
    json_t *json = NULL;
    size_t i;

    s->pid_file = NULL;
    for (i = 0; i < d->apps.n; i++) {
        struct app_spec *other = d->apps.v[i];
        char *other_pid_file = other->pid_file;
        bool same = strcmp(other->name, s->name) == 0 && strcmp(other->ns, s->ns) == 0;
        json_t *theirs;

        for (size_t k = 0; same && k < d->processes[i].n; k++)
            same = d->processes[i].v[k].instance != instance;
        if (!same)
            continue;
        if (!json)
            json = app_spec_to_json(s);
        other->pid_file = NULL;
        theirs = app_spec_to_json(other);
        other->pid_file = other_pid_file;
        json_object_del(theirs, "instances");
        same = json_equal(json, theirs);
        json_decref(theirs);
        if (same)
            break;
    }
    json_decref(json);
    s->pid_file = pid_file;
    return i;
}

static void add_process(struct pm2_dump *d, size_t app, struct pm2_dump_process process)
{
    struct pm2_dump_app *p = &d->processes[app];

    p->v = xrealloc(p->v, (p->n + 1) * sizeof(*p->v));
    p->v[p->n++] = process;
    d->apps.v[app]->instances = (int64_t)p->n;
    if (p->n > 1) { /* one file cannot hold the pids of several: they get the names that pm gives */
        free(d->apps.v[app]->pid_file);
        d->apps.v[app]->pid_file = NULL;
    }
}

static void take_record(struct reader *r, struct pm2_dump *d)
{
    const struct tree_node *status = tree_get(r->record, "status");
    bool stopped = status && tree_is_scalar(status) && strncmp(status->text, "stop", 4) == 0;
    struct pm2_dump_process process = {instance_of(r, d), !stopped};
    size_t at;

    uncount(r->spec, process.instance);
    at = find_app(d, r->spec, process.instance);
    if (at == d->apps.n) {
        d->apps.v = xrealloc(d->apps.v, (at + 1) * sizeof(*d->apps.v));
        d->processes = xrealloc(d->processes, (at + 1) * sizeof(*d->processes));
        d->processes[at] = (struct pm2_dump_app){0};
        d->apps.v[d->apps.n++] = r->spec;
        r->spec = NULL;
    }
    add_process(d, at, process);
}

static bool has_name(const struct pm2_dump *d, const struct tree_node *record)
{
    const struct tree_node *name = tree_get(record, "name");

    for (size_t i = 0; name && tree_is_scalar(name) && i < d->apps.n; i++)
        if (strcmp(d->apps.v[i]->name, name->text) == 0)
            return true;
    return false;
}

static void read_records(const char *path, const struct tree_node *root, struct pm2_dump *out, struct diag *d)
{
    char shown[QUOTE_MAX + 16];

    if (root->kind != TREE_LIST) {
        diag_error(d, root->line, root->col, "is no dump of PM2: expected a list of processes, found %s",
                   tree_describe(root, shown));
        return;
    }
    for (const struct tree_node *record = root->first; record; record = record->next) {
        struct reader r = {.diag = d, .path = path, .record = record, .before = d->n_errors + d->suppressed};

        if (record->kind != TREE_MAP) {
            diag_error(d, record->line, record->col, "expected a process, found %s",
                       tree_describe(record, shown));
            continue;
        }
        r.env = tree_get(record, "env");
        r.warnings = !has_name(out, record);
        r.spec = app_spec_new();
        if (read_record(&r))
            take_record(&r, out);
        app_spec_free(r.spec);
        free(r.id);
    }
}

void pm2_dump_free(struct pm2_dump *d)
{
    for (size_t i = 0; i < d->apps.n; i++)
        free(d->processes[i].v);
    free(d->processes);
    app_list_free(&d->apps);
    *d = (struct pm2_dump){0};
}

int pm2_dump_read(const char *path, const char *text, size_t len, struct pm2_dump *out,
                  struct config_report *report)
{
    struct diag diag = {.file = path};
    struct tree tree = {.nodes_max = DUMP_NODES_MAX};
    bool failed;

    *out = (struct pm2_dump){0};
    if (len == 0) {
        diag_error(&diag, 0, 0, "is empty");
    } else if (json_read(&tree, text, len, &diag) == 0) {
        tree_number(tree.root);
        diag.numbered = tree.root;
        read_records(path, tree.root, out, &diag);
    } else if (diag.n_errors == 0) {
        diag_error(&diag, 0, 0, "is not JSON");
    }
    failed = diag.n_errors > 0;
    if (failed)
        pm2_dump_free(out);
    diag_flush(&diag, report);
    tree_deinit(&tree);
    return failed ? -EINVAL : 0;
}

int pm2_dump_load(const char *path, struct pm2_dump *out, struct config_report *report)
{
    struct buf text = {0};
    struct err e = {0};
    int rc = fs_read_file(path, TREE_INPUT_MAX, &text, &e);

    *out = (struct pm2_dump){0};
    if (rc >= 0) {
        rc = pm2_dump_read(path, text.data ? text.data : "", text.len, out, report);
    } else if (rc != -ENOENT) {
        struct diag diag = {.file = path};

        diag_error(&diag, 0, 0, "%s", e.msg);
        diag_flush(&diag, report);
        rc = -EINVAL;
    }
    buf_free(&text);
    return rc;
}
