#include "daemon/launch.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static bool runs_directly(const struct app_spec *s)
{
    return !s->interpreter || !*s->interpreter || strcmp(s->interpreter, "none") == 0;
}

bool launch_wants_ipc(const struct app_spec *s)
{
    const char *word = runs_directly(s) ? s->script : s->interpreter;

    if (s->shutdown_with_message || s->wait_ready)
        return true;
    word = base_name(word);
    return strncmp(word, "node", 4) == 0 &&
           (word[4] == '\0' || word[4] == '@' || (word[4] >= '0' && word[4] <= '9'));
}

/* The interpreter is looked up anew for each run, in the app's own PATH, so that an upgrade of it is picked
 * up. */
static char *find_on_path(const char *word, char *const *env)
{
    const char *path = env_get(env, "PATH");
    _cleanup_free_ char *copy = NULL;
    char *save = NULL;

    if (strchr(word, '/'))
        return xstrdup(word);
    copy = xstrdup(path && *path ? path : "/usr/local/bin:/usr/bin:/bin");
    for (char *dir = strtok_r(copy, ":", &save); dir; dir = strtok_r(NULL, ":", &save)) {
        char *full = fs_join(dir, word);
        struct stat st;

        if (stat(full, &st) == 0 && S_ISREG(st.st_mode) && access(full, X_OK) == 0)
            return full;
        free(full);
    }
    return NULL;
}

static int build_argv(struct launch *l, const struct app_spec *s, struct err *e)
{
    if (runs_directly(s)) {
        l->program = xstrdup(s->script);
    } else {
        l->program = find_on_path(s->interpreter, s->env);
        if (!l->program)
            return err_set(e, -ENOENT, "interpreter \"%s\" is not on the PATH of the app", s->interpreter);
        strv_push(&l->argv, xstrdup(s->interpreter));
        for (char **a = s->interpreter_args; a && *a; a++)
            strv_push(&l->argv, xstrdup(*a));
    }
    strv_push(&l->argv, xstrdup(s->script));
    for (char **a = s->args; a && *a; a++)
        strv_push(&l->argv, xstrdup(*a));
    return 0;
}

/* A number of a user or group. The highest one means "leave as it is" to the kernel: the app would keep the
 * daemon's rights. */
static bool is_number(const char *word, uint32_t *id)
{
    unsigned long long n = 0;

    if (!*word || strlen(word) > 10 || word[strspn(word, "0123456789")])
        return false;
    n = strtoull(word, NULL, 10);
    *id = (uint32_t)n;
    return n < UINT32_MAX;
}

static int resolve_ids(struct launch *l, const struct app_spec *s, struct err *e)
{
    const struct passwd *pw = NULL;
    uint32_t id = 0;

    if (!s->uid && !s->gid)
        return 0;
    l->spec.uid = geteuid();
    l->spec.gid = getegid();
    if (s->uid) {
        bool number = is_number(s->uid, &id);

        pw = number ? getpwuid(id) : getpwnam(s->uid);
        if (!pw && !number)
            return err_set(e, -ENOENT, "there is no user \"%s\"", s->uid);
        l->spec.uid = pw ? pw->pw_uid : id;
        if (pw)
            l->spec.gid = pw->pw_gid;
    }
    if (s->gid) {
        bool number = is_number(s->gid, &id);
        const struct group *gr = number ? NULL : getgrnam(s->gid);

        if (!gr && !number)
            return err_set(e, -ENOENT, "there is no group \"%s\"", s->gid);
        l->spec.gid = gr ? gr->gr_gid : id;
    }
    l->spec.flags |= SPAWN_SET_IDS;
    l->spec.groups[0] = l->spec.gid;
    l->spec.ngroups = 1;
    if (pw) {
        int n = SPAWN_GROUPS_MAX;
        gid_t groups[SPAWN_GROUPS_MAX];

        if (getgrouplist(pw->pw_name, l->spec.gid, groups, &n) < 0)
            return err_set(e, -E2BIG, "user \"%s\" is in more than %d groups", pw->pw_name, SPAWN_GROUPS_MAX);
        l->spec.ngroups = (uint32_t)n;
        for (int i = 0; i < n; i++)
            l->spec.groups[i] = groups[i];
        env_set(&l->envp, "HOME", pw->pw_dir);
        env_set(&l->envp, "USER", pw->pw_name);
        env_set(&l->envp, "LOGNAME", pw->pw_name);
    }
    return 0;
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
        env_set(&l->envp, "NODE_CHANNEL_FD", "3");
        env_set(&l->envp, "NODE_CHANNEL_SERIALIZATION_MODE", "json");
    }
    if (ctx->notify_name) {
        snprintf(text, sizeof(text), "@%s", ctx->notify_name);
        env_set(&l->envp, "NOTIFY_SOCKET", text);
    }
}

int launch_init(struct launch *l, const struct launch_ctx *ctx, const struct process *p, struct err *e)
{
    const struct app_spec *s = p->app->spec;
    int rc;

    *l = (struct launch){0};
    l->ipc = launch_wants_ipc(s);
    l->notify = s->wait_ready;
    l->envp = strv_dup(s->env);
    rc = build_argv(l, s, e);
    if (rc >= 0)
        rc = resolve_ids(l, s, e);
    add_increment(l, p);
    add_own_variables(l, ctx, p);
    l->spec.path = l->program;
    l->spec.cwd = s->cwd;
    l->spec.argv = l->argv;
    l->spec.envp = l->envp;
    return rc;
}

void launch_deinit(struct launch *l)
{
    free(l->program);
    strv_free(l->argv);
    strv_free(l->envp);
    *l = (struct launch){0};
}
