#include "daemon/launch.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "config/exec_mode.h"
#include "config/listen_template.h"
#include "daemon/users.h"

#define GRACE_MOST_MS      5000 /* how long idle connections stay: as long as Node's own keepAliveTimeout */
#define KILL_TIMEOUT_LEAST 10   /* in ms; with less there is no time to be graceful in */

static bool runs_directly(const struct app_spec *s)
{
    return !s->interpreter || !*s->interpreter || strcmp(s->interpreter, "none") == 0;
}

const char *launch_program(const struct app_spec *s)
{
    return runs_directly(s) ? s->script : s->interpreter;
}

bool launch_wants_ipc(const struct app_spec *s)
{
    return s->shutdown_with_message || s->wait_ready || app_is_cluster(s) ||
           program_is_node(launch_program(s));
}

/* A text with the descriptors of the app's sockets in it. What cannot be told was refused when the app was
 * read; should it come in another way, it stays as it is. */
static char *expanded(const struct app_spec *s, const char *text)
{
    char *with = listen_expand(&s->listen, text, NULL);

    return with ? with : xstrdup(text);
}

static bool is_restricted(const char *text)
{
    return text && (strstr(text, "--permission") || strstr(text, "--experimental-permission"));
}

/* Can Node load a file of ours before the app? */
static bool can_preload(const struct app_spec *s)
{
    if (runs_directly(s) || !program_is_node(s->interpreter) ||
        is_restricted(env_get(s->env, "NODE_OPTIONS")))
        return false;
    for (char **arg = s->interpreter_args; arg && *arg; arg++)
        if (is_restricted(*arg))
            return false;
    return true;
}

bool launch_wants_graceful_http(const struct app_spec *s)
{
    return s->graceful_http && app_is_cluster(s) && s->kill_timeout >= KILL_TIMEOUT_LEAST && can_preload(s);
}

bool launch_wants_node_probe(const struct app_spec *s)
{
    return s->node_probe && can_preload(s);
}

static void add_preload(struct launch *l, const char *path)
{
    if (!path)
        return;
    strv_push(&l->argv, xstrdup("--require"));
    strv_push(&l->argv, xstrdup(path));
}

static void build_argv(struct launch *l, const struct launch_ctx *ctx, const struct app_spec *s)
{
    if (!runs_directly(s)) {
        strv_push(&l->argv, xstrdup(s->interpreter));
        /* Not by NODE_OPTIONS: programs that the app starts have nothing to do with it. */
        add_preload(l, ctx->graceful_http);
        add_preload(l, ctx->node_probe);
        for (char **a = s->interpreter_args; a && *a; a++)
            strv_push(&l->argv, xstrdup(*a));
    }
    strv_push(&l->argv, xstrdup(s->script));
    for (char **a = s->args; a && *a; a++)
        strv_push(&l->argv, expanded(s, *a));
    /* An interpreter's name is looked for by the child: anew for each run, so that an upgrade is picked up,
     * as the app's user, and where a dead network folder on the PATH holds nobody else. */
    l->spec.path = l->argv[0];
}

static void set_ids(struct launch *l, const struct user_ids *ids)
{
    l->spec.flags |= SPAWN_SET_IDS;
    l->spec.uid = ids->uid;
    l->spec.gid = ids->gid;
    l->spec.ngroups = ids->ngroups;
    memcpy(l->spec.groups, ids->groups, sizeof(l->spec.groups));
    if (ids->name) {
        env_set(&l->envp, "HOME", ids->home);
        env_set(&l->envp, "USER", ids->name);
        env_set(&l->envp, "LOGNAME", ids->name);
    }
}

/* Counted from the value in the environment, so that instances can have, say, a port each. */
static void add_increment(struct launch *l, const struct process *p)
{
    const char *name = p->app->spec->increment_var, *base = name ? env_get(l->envp, name) : NULL;
    char text[32];
    long long sum;

    if (!name)
        return;
    if (__builtin_add_overflow(base ? strtoll(base, NULL, 10) : 0, (long long)p->instance, &sum))
        return;
    snprintf(text, sizeof(text), "%lld", sum);
    env_set(&l->envp, name, text);
}

/* The convention of sd_listen_fds(3): from descriptor 3 on, for this very process, with names. */
static void add_sockets(struct launch *l, const struct app_spec *s)
{
    _cleanup_free_ char *names = NULL;
    char text[16];

    if (!s->listen.n)
        return;
    for (char **var = l->envp; var && *var; var++) {
        char *with = expanded(s, *var);

        free(*var);
        *var = with;
    }
    for (unsigned i = 0; i < s->listen.n; i++) {
        char *longer = xasprintf("%s%s%s", names ? names : "", i ? ":" : "", s->listen.v[i].name);

        free(names);
        names = longer;
    }
    snprintf(text, sizeof(text), "%u", s->listen.n);
    env_set(&l->envp, "LISTEN_FDS", text);
    env_set(&l->envp, "LISTEN_PID", "0000000000"); /* the keeper writes the pid into it */
    env_set(&l->envp, "LISTEN_FDNAMES", names);
}

/* The handful of variables that every child gets; nothing else of the manager leaks into apps. */
static void add_own_variables(struct launch *l, const struct launch_ctx *ctx, const struct process *p)
{
    const struct app_spec *s = p->app->spec;
    char text[96];

    env_set(&l->envp, "PM_HOME", ctx->home);
    env_set(&l->envp, "PM2_HOME", ctx->home);
    env_set(&l->envp, "name", s->name);
    snprintf(text, sizeof(text), "%u", p->id);
    env_set(&l->envp, "pm_id", text);
    snprintf(text, sizeof(text), "%u", p->instance);
    env_set(&l->envp, s->instance_var && *s->instance_var ? s->instance_var : "NODE_APP_INSTANCE", text);
    snprintf(text, sizeof(text), "%.8s.%llu", ctx->home_id, (unsigned long long)p->run);
    env_set(&l->envp, "PM_RUN_ID", text);
    if (l->ipc) {
        snprintf(text, sizeof(text), "%u", LISTEN_FD_FIRST + s->listen.n); /* the channel comes after them */
        env_set(&l->envp, "NODE_CHANNEL_FD", text);
        env_set(&l->envp, "NODE_CHANNEL_SERIALIZATION_MODE", "json");
    }
    if (app_is_cluster(s)) {
        /* Node makes a signed number of it: cluster.worker.id. */
        snprintf(text, sizeof(text), "%llu", (unsigned long long)(p->run & 0x7fffffff));
        env_set(&l->envp, "NODE_UNIQUE_ID", text);
    }
    if (ctx->graceful_http) {
        /* Its share of kill_timeout: then the program needs a moment to end. */
        long long ms = (long long)(s->kill_timeout * 4 / 5);

        snprintf(text, sizeof(text), "%lld", ms < GRACE_MOST_MS ? ms : GRACE_MOST_MS);
        env_set(&l->envp, "PM_GRACEFUL_HTTP", text);
    }
    if (ctx->notify_name) {
        snprintf(text, sizeof(text), "@%s", ctx->notify_name);
        env_set(&l->envp, "NOTIFY_SOCKET", text);
        if (s->watchdog > 0) {
            snprintf(text, sizeof(text), "%lld", (long long)s->watchdog * 1000);
            env_set(&l->envp, "WATCHDOG_USEC", text);
        }
    }
}

/* See shim/. What the app preloads by itself comes after it. */
static void add_adopt(struct launch *l, const struct launch_ctx *ctx)
{
    const char *own = env_get(l->envp, "LD_PRELOAD");
    _cleanup_free_ char *preload =
        own && *own ? xasprintf("%s:%s", ctx->adopt_library, own) : xstrdup(ctx->adopt_library);

    env_set(&l->envp, "PM_ADOPT", ctx->adopt);
    env_set(&l->envp, "LD_PRELOAD", preload);
}

void launch_init(struct launch *l, const struct launch_ctx *ctx, const struct process *p)
{
    const struct app_spec *s = p->app->spec;

    *l = (struct launch){0};
    l->ipc = launch_wants_ipc(s);
    l->notify = s->wait_ready || s->watchdog > 0;
    l->envp = strv_dup(s->env);
    build_argv(l, ctx, s);
    if (ctx->ids)
        set_ids(l, ctx->ids);
    l->spec.nsockets = ctx->nsockets;
    if (ctx->nsockets)
        memcpy(l->spec.sockets, ctx->sockets, ctx->nsockets * sizeof(ctx->sockets[0]));
    add_sockets(l, s);
    add_increment(l, p);
    add_own_variables(l, ctx, p);
    if (ctx->adopt_library)
        add_adopt(l, ctx);
    l->spec.cwd = s->cwd;
    l->spec.argv = l->argv;
    l->spec.envp = l->envp;
}

void launch_deinit(struct launch *l)
{
    strv_free(l->argv);
    strv_free(l->envp);
    *l = (struct launch){0};
}
