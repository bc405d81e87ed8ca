#include "config/resolve.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/fs.h"
#include "common/home.h"
#include "common/mem.h"
#include "common/zone.h"
#include "config/checks.h"
#include "config/env.h"
#include "config/exec_mode.h"
#include "config/interpreter.h"
#include "config/options.h"
#include "config/path.h"
#include "config/times.h"
#include "config/values.h"

static void __attribute__((format(printf, 3, 4)))
problem(struct resolve *r, const char *key, const char *fmt, ...)
{
    char msg[sizeof(((struct err *)NULL)->msg)];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    r->n_problems++;
    r->problem(r->arg, key, msg);
}

static void replace(char **field, char *take)
{
    free(*field);
    *field = take;
}

bool resolve_cwd(struct resolve *r, const char *base, char *const *env)
{
    struct app_spec *s = r->spec;
    _cleanup_free_ char *expanded = path_expand_home(env, s->cwd ? s->cwd : base);

    replace(&s->cwd, fs_absolute(base, expanded));
    if (r->names_only || path_is_folder(s->cwd))
        return true;
    problem(r, "cwd",
            access(s->cwd, F_OK) == 0 ? "cwd: \"%.400s\" is not a folder" : "cwd: no folder \"%.400s\"",
            s->cwd);
    return false;
}

/* `bash -c <line>`; further arguments are appended to the line as they are, quoting untouched. */
static void use_shell(struct resolve *r)
{
    struct app_spec *s = r->spec;
    const char *shell = "bash";
    char *path = path_find_program(s->env, s->cwd, "bash"), **args = NULL;

    if (!path) {
        shell = "sh";
        path = path_find_program(s->env, s->cwd, "sh");
    }
    replace(&s->script, path ? path : xstrdup("/bin/sh"));
    replace(&s->interpreter, xstrdup(INTERPRETER_NONE));
    strv_push(&args, xstrdup("-c"));
    if (strv_len(s->args)) {
        strv_push(&args, xasprintf("%s \"$@\"", r->word));
        strv_push(&args, xstrdup(shell)); /* $0 */
        for (char **a = s->args; *a; a++)
            strv_push(&args, xstrdup(*a));
    } else {
        strv_push(&args, xstrdup(r->word));
    }
    strv_free(s->args);
    s->args = args;
}

enum found { FOUND_NOTHING, FOUND_FILE, FOUND_ON_PATH, FOUND_COMMAND_LINE };

/* The file that the word names in cwd or the second folder; anything that exists counts. NULL when there is
 * none. */
static char *find_file(const struct resolve *r)
{
    _cleanup_free_ char *word = path_expand_home(r->spec->env, r->word);
    char *path = fs_absolute(r->spec->cwd, word);

    if (access(path, F_OK) == 0 || !r->second)
        return path;
    replace(&path, fs_absolute(r->second, word));
    if (access(path, F_OK) != 0)
        replace(&path, fs_absolute(r->spec->cwd, word)); /* the one that the message is to name */
    return path;
}

static enum found find_script(struct resolve *r)
{
    struct app_spec *s = r->spec;
    bool blank = strpbrk(r->word, " \t\n") != NULL;
    char *file = find_file(r), *program;

    replace(&s->script, file);
    if (access(file, F_OK) == 0 && !path_is_folder(file))
        return FOUND_FILE;
    if (blank && !s->interpreter && access(file, F_OK) != 0) {
        use_shell(r);
        return FOUND_COMMAND_LINE;
    }
    program = strchr(r->word, '/') ? NULL : path_find_program(s->env, s->cwd, r->word);
    if (program) {
        replace(&s->script, program);
        return FOUND_ON_PATH;
    }
    if (r->names_only)
        return FOUND_NOTHING; /* nobody runs it */
    if (path_is_folder(file))
        problem(r, "script", "\"%.400s\" is a folder; name a script in it", file);
    else if (blank)
        problem(r, "script", "script not found: \"%.300s\"; with an interpreter, put arguments into args",
                file);
    else if (strchr(r->word, '/'))
        problem(r, "script", "script not found: \"%.400s\"", file);
    else
        problem(r, "script", "script not found: \"%.300s\", and no program \"%.100s\" on PATH", file,
                r->word);
    return FOUND_NOTHING;
}

void resolve_source_maps(struct app_spec *s)
{
    static const char flag[] = "--enable-source-maps";
    const char *slash = strrchr(s->interpreter, '/');

    if (!s->source_map_support || strcmp(slash ? slash + 1 : s->interpreter, "node") != 0)
        return;
    for (char **arg = s->interpreter_args; *arg; arg++)
        if (strcmp(*arg, flag) == 0)
            return;
    strv_push(&s->interpreter_args, xstrdup(flag));
}

static void resolve_interpreter(struct resolve *r, bool on_path)
{
    struct app_spec *s = r->spec;
    bool given = s->interpreter != NULL, none = given && strcmp(s->interpreter, INTERPRETER_NONE) == 0;
    struct script_info info;
    struct err e;

    script_inspect(s->script, &info);
    if (info.kind == SCRIPT_SPECIAL)
        problem(r, "script", "\"%.400s\" is not a file; a config on standard input is \"-\"", s->script);
    else if (info.kind == SCRIPT_UNREADABLE)
        problem(r, "script", "\"%.400s\" cannot be read", s->script);
    else if (info.kind == SCRIPT_EMPTY && (!given || none))
        problem(r, "script", "\"%.400s\" is empty", s->script);
    else if (interpreter_choose(s, &info, on_path, &e) < 0)
        problem(r, given && !none ? "exec_interpreter" : "script", "%s", e.msg);
    else
        resolve_source_maps(s);
    script_info_deinit(&info);
}

/* The whole command line, or the base name of the file without its last extension. */
static char *default_name(const char *word, enum found found)
{
    const char *slash = strrchr(word, '/');
    char *name, *dot;
    size_t len;

    if (found != FOUND_COMMAND_LINE) {
        name = xstrdup(slash ? slash + 1 : word);
        dot = strrchr(name, '.');
        if (dot && dot > name)
            *dot = '\0';
    } else {
        name = xstrdup(word);
    }
    len = strlen(name);
    if (len > APP_NAME_MAX) {
        len = APP_NAME_MAX;
        while (len > 0 && ((unsigned char)name[len] & 0xc0) == 0x80)
            len--;
        name[len] = '\0';
    }
    for (unsigned char *p = (unsigned char *)name; *p; p++) {
        if (*p < 0x20 || *p == 0x7f)
            *p = ' ';
        else if (*p == '/')
            *p = '-';
        else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
            p[0] = p[1] = ' ';
    }
    if (value_utf8_prefix(name, len) != len) /* names are shown and sent as text, file names are bytes */
        for (unsigned char *p = (unsigned char *)name; *p; p++)
            *p = *p < 0x80 ? *p : '_';
    return name;
}

static void absolute_path(const struct app_spec *s, char **path)
{
    _cleanup_free_ char *expanded = NULL;

    if (!*path)
        return;
    expanded = path_expand_home(s->env, *path);
    replace(path, fs_absolute(s->cwd, expanded));
}

static void resolve_listen(struct resolve *r)
{
    struct err e;

    if (listen_resolve(&r->spec->listen, r->spec->cwd, r->spec->env, &e) < 0)
        problem(r, "listen", "%s", e.msg);
}

static void resolve_health_check(struct resolve *r)
{
    struct err e;

    if (health_check_app(r->spec, &e) < 0)
        problem(r, "health_check", "%s", e.msg);
}

static void resolve_logs(struct resolve *r)
{
    struct app_spec *s = r->spec;

    if (r->log_file_default && !s->log_file) {
        struct err e;
        _cleanup_free_ char *home = home_path(NULL, &e);

        if (home)
            s->log_file = xasprintf("%s/logs/%s.log", home, s->name);
        else
            problem(r, "log_file", "log_file: %s", e.msg);
    }
    absolute_path(s, &s->out_file);
    absolute_path(s, &s->error_file);
    absolute_path(s, &s->log_file);
    absolute_path(s, &s->pid_file);
    /*
     * Decided here, once: an app without `instances` writes to plain files, and goes on with them when it is
     * scaled up later.
     */
    if (!s->merge_logs_set) {
        s->merge_logs = !r->instances_given && strcmp(s->exec_mode, "cluster") != 0;
        s->merge_logs_set = true;
    }
    if (s->time && !s->log_date_format)
        s->log_date_format = xstrdup("YYYY-MM-DDTHH:mm:ss");
}

/* HOME becomes the user's own, unless the config itself set another one than the caller's. */
static void resolve_user(struct resolve *r)
{
    struct app_spec *s = r->spec;
    const char *caller_home = getenv("HOME"), *home = env_get(s->env, "HOME");
    const struct passwd *pw = NULL;
    int64_t uid = -1, gid;

    if (s->uid) {
        pw = value_int(s->uid, &uid) ? getpwuid((uid_t)uid) : getpwnam(s->uid);
        if (pw)
            uid = pw->pw_uid;
        if (uid < 0 || uid > UINT32_MAX - 1)
            problem(r, "uid", "uid: no user \"%.200s\"", s->uid);
        else if (geteuid() != 0 && (uid_t)uid != geteuid())
            problem(r, "uid", "uid: only root can run apps as another user");
        else if (pw && (uid_t)uid != geteuid() && (!home || (caller_home && strcmp(home, caller_home) == 0)))
            env_set(&s->env, "HOME", pw->pw_dir);
    }
    if (s->gid) {
        const struct group *gr = value_int(s->gid, &gid) ? NULL : getgrnam(s->gid);

        if (gr)
            gid = gr->gr_gid;
        else if (!value_int(s->gid, &gid))
            gid = -1;
        if (gid < 0 || gid > UINT32_MAX - 1)
            problem(r, "gid", "gid: no group \"%.200s\"", s->gid);
        else if (geteuid() != 0 && (gid_t)gid != getegid())
            problem(r, "gid", "gid: only root can run apps as another group");
    }
}

static void resolve_mode(struct resolve *r)
{
    struct err e;

    /* Without an interpreter there was a problem with the script before. */
    if (r->n_problems == 0 && exec_mode_choose(r->spec, r->mode_given, r->instances_given, &e) < 0)
        problem(r, "exec_mode", "%s", e.msg);
}

static void decorate_name(struct resolve *r)
{
    struct app_spec *s = r->spec;
    size_t len = r->name_prefix ? strlen(r->name_prefix) : 0;

    r->plain_name = xstrdup(s->name);
    if (r->name_suffix)
        replace(&s->name, xasprintf("%s-%s", s->name, r->name_suffix));
    if (len && !(strncmp(s->name, r->name_prefix, len) == 0 && s->name[len] == ':'))
        replace(&s->name, xasprintf("%s:%s", r->name_prefix, s->name));
}

/*
 * An app that inherits nothing is looked up with the caller's eyes all the same: which node, and whose "~".
 * Says which variables take_back is to remove.
 */
enum { LENT_PATH = 1, LENT_HOME = 2 };

static unsigned lend_variables(struct resolve *r)
{
    static const char *const names[] = {"PATH", "HOME"};
    unsigned lent = 0;

    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        const char *value = env_get(r->environ, names[i]);

        if (!value || env_get(r->spec->env, names[i]))
            continue;
        env_set(&r->spec->env, names[i], value);
        lent |= 1u << i;
    }
    return lent;
}

static void take_back(struct resolve *r, unsigned lent)
{
    struct app_spec *s = r->spec;

    if (lent & LENT_PATH) {
        /* Without a PATH of its own the app could not find it at its next start. */
        if (s->interpreter && strcmp(s->interpreter, INTERPRETER_NONE) != 0) {
            char *path = path_find_program(s->env, s->cwd, s->interpreter);

            if (path)
                replace(&s->interpreter, path);
        }
        env_unset(s->env, "PATH");
    }
    if (lent & LENT_HOME)
        env_unset(s->env, "HOME");
}

static void check_increment(struct resolve *r)
{
    const char *name = r->spec->increment_var, *base = name ? env_get(r->spec->env, name) : NULL;
    int64_t n;

    if (base && !value_int(base, &n))
        problem(r, "increment_var", "increment_var: %.100s is \"%.100s\", not a whole number", name, base);
}

static void check_memory(struct resolve *r)
{
    struct err e;

    if (check_limits(r->spec, &e) < 0)
        problem(r, "max_memory", "%s", e.msg);
}

/* Where there is no such zone, the times would be others. */
static void check_schedule(struct resolve *r)
{
    struct zone *zone = NULL;
    struct err e;

    if (check_times(r->spec, &e) < 0)
        problem(r, app_times_key(r->spec), "%s", e.msg);
    if (zone_open(r->spec->tz, &zone, &e) < 0)
        problem(r, "tz", "tz: %s", e.msg);
    zone_free(zone);
}

bool resolve_app(struct resolve *r)
{
    struct app_spec *s = r->spec;
    unsigned lent = lend_variables(r);
    enum found found = find_script(r);
    struct err e;

    if (!r->names_only && (found == FOUND_FILE || found == FOUND_ON_PATH))
        resolve_interpreter(r, found == FOUND_ON_PATH);
    if (!s->name)
        s->name = default_name(r->word, found);
    decorate_name(r);
    if (r->names_only) {
        take_back(r, lent);
        return true;
    }
    resolve_mode(r);
    resolve_logs(r);
    resolve_listen(r);
    resolve_health_check(r);
    take_back(r, lent);
    check_increment(r);
    check_memory(r);
    check_schedule(r);
    resolve_user(r);
    if (r->n_problems == 0 && app_spec_validate(s, &e) < 0)
        problem(r, "script", "%s", e.msg);
    return r->n_problems == 0;
}
