#include "daemon/record.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "config/exec_mode.h"
#include "config/options.h"
#include "config/spec.h"
#include "config/times.h"
#include "daemon/app_cache.h"
#include "daemon/app_talk.h"
#include "daemon/engine_health.h"
#include "daemon/log_paths.h"
#include "daemon/metrics.h"
#include "daemon/schedules.h"
#include "daemon/watch.h"

static const char *user_of(const struct app_spec *s)
{
    static char own[64];

    if (s->uid)
        return s->uid;
    if (!*own) {
        const struct passwd *pw = getpwuid(geteuid());

        snprintf(own, sizeof(own), "%s", pw ? pw->pw_name : "?");
    }
    return own;
}

static pid_t shown_pid(const struct process *p)
{
    return p->exited || p->state == LC_STOPPED || p->state == LC_ERRORED ? 0 : p->pid;
}

static void write_monit(struct jsonw *w, struct process *p)
{
    double cpu;
    uint64_t bytes;

    metrics_shown(p, &cpu, &bytes);
    jsonw_key(w, "monit");
    jsonw_obj_begin(w);
    jsonw_kuint(w, "memory", bytes);
    jsonw_key(w, "cpu");
    jsonw_real1(w, cpu);
    jsonw_obj_end(w);
}

static void write_last_exit(struct jsonw *w, const struct process *p)
{
    if (!p->last.valid)
        return;
    if (p->last.exit_code >= 0)
        jsonw_kint(w, "exit_code", p->last.exit_code);
    if (p->last.signal)
        jsonw_kint(w, "exit_signal", p->last.signal);
}

static void write_short(struct jsonw *w, struct process *p)
{
    const struct app_spec *s = p->app->spec;
    double cpu;
    uint64_t bytes;

    metrics_shown(p, &cpu, &bytes);
    jsonw_kuint(w, "id", p->id);
    jsonw_kstr(w, "name", s->name);
    jsonw_kstr(w, "namespace", s->ns);
    jsonw_kuint(w, "instance", p->instance);
    jsonw_kstr(w, "mode", s->exec_mode);
    jsonw_kstr(w, "version", runtime_of(p)->version ? runtime_of(p)->version : "N/A");
    jsonw_kint(w, "pid", shown_pid(p));
    jsonw_kuint(w, "uptime_since", p->started_ms);
    jsonw_kuint(w, "restarts", p->counters.restarts);
    jsonw_kuint(w, "unstable_restarts", p->counters.unstable);
    jsonw_kstr(w, "status", lc_state_word(p->state));
    jsonw_kstr(w, "reason", lc_reason_word(p->reason));
    if (engine_health_state(p))
        jsonw_kstr(w, "health", engine_health_state(p));
    jsonw_key(w, "cpu");
    jsonw_real1(w, cpu);
    jsonw_kuint(w, "memory", bytes);
    jsonw_kstr(w, "user", user_of(s));
    jsonw_kbool(w, "watch", watch_is_on(p->app));
    if (s->disable_logs)
        jsonw_kbool(w, "disable_logs", true);
    if (!s->log_rows)
        jsonw_kbool(w, "log_rows", false);
    write_last_exit(w, p);
}

static void write_strings(struct jsonw *w, const char *key, char *const *v)
{
    jsonw_key(w, key);
    jsonw_arr_begin(w);
    for (; v && *v; v++)
        jsonw_str(w, *v);
    jsonw_arr_end(w);
}

/* Names that a record's own fields have: a variable of such a name is only under "env". */
static bool is_field(const char *name)
{
    static const char *const fields[] = {"name",
                                         "namespace",
                                         "pm_id",
                                         "unique_id",
                                         "status",
                                         "exit_code",
                                         "exit_signal",
                                         "restart_time",
                                         "unstable_restarts",
                                         "waits_for",
                                         "prev_restart_delay",
                                         "pm_uptime",
                                         "created_at",
                                         "exec_mode",
                                         "instances",
                                         "instance_var",
                                         "NODE_APP_INSTANCE",
                                         "dropped_lines",
                                         "username",
                                         "version",
                                         "pm_exec_path",
                                         "pm_cwd",
                                         "exec_interpreter",
                                         "node_args",
                                         "args",
                                         "pm_out_log_path",
                                         "pm_err_log_path",
                                         "pm_log_path",
                                         "pm_pid_path",
                                         "merge_logs",
                                         "log_type",
                                         "log_date_format",
                                         "autorestart",
                                         "autostart",
                                         "treekill",
                                         "min_uptime",
                                         "max_restarts",
                                         "restart_delay",
                                         "exp_backoff_restart_delay",
                                         "max_memory_restart",
                                         "max_memory",
                                         "max_cpu_restart",
                                         "max_uptime",
                                         "cron_restart",
                                         "schedule",
                                         "overlap",
                                         "tz",
                                         "kill_timeout",
                                         "listen_timeout",
                                         "wait_ready",
                                         "health",
                                         "health_check",
                                         "watchdog",
                                         "shutdown_with_message",
                                         "stop_exit_codes",
                                         "node_probe",
                                         "on",
                                         "uid",
                                         "gid",
                                         "listen",
                                         "cluster_schedule",
                                         "graceful_http",
                                         "watch",
                                         "vizion",
                                         "pmx",
                                         "automation",
                                         "windowsHide",
                                         "vizion_running",
                                         "km_link",
                                         "kill_retry_time",
                                         "versioning",
                                         "node_version",
                                         "axm_actions",
                                         "axm_monitor",
                                         "axm_options",
                                         "axm_dynamic",
                                         "env"};

    if (*name >= 'A' && *name <= 'Z' && *name != 'N')
        return false; /* nearly all variables; all but one field are in lower case */
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (strcmp(fields[i], name) == 0)
            return true;
    return false;
}

/* Each variable once as "NAME":value; secrets are masked. */
static void write_env(struct jsonw *w, char *const *env, bool beside_fields)
{
    char name[256];

    for (; env && *env; env++) {
        const char *eq = strchr(*env, '=');

        if (!eq || (size_t)(eq - *env) >= sizeof(name))
            continue;
        snprintf(name, sizeof(name), "%.*s", (int)(eq - *env), *env);
        if (!beside_fields || !is_field(name)) {
            _cleanup_free_ char *masked = env_mask(name, eq + 1);

            jsonw_kstr(w, name, masked ? masked : eq + 1);
        }
    }
}

/* Fields that PM2 always has and that have one true value here. */
static void write_constants(struct jsonw *w)
{
    static const char *const off[] = {"vizion",         "pmx",    "automation", "windowsHide",
                                      "vizion_running", "km_link"};

    for (size_t i = 0; i < ARRAY_LEN(off); i++)
        jsonw_kbool(w, off[i], false);
    jsonw_kint(w, "kill_retry_time", 100);
    /* What runs is not always node, and node is not asked for its version. */
    static const char *const unknown[] = {"versioning", "node_version"};
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
        jsonw_key(w, unknown[i]);
        jsonw_null(w);
    }
}

static void write_json(struct jsonw *w, const char *key, const json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

    if (key)
        jsonw_key(w, key);
    jsonw_raw(w, text ? text : "{}", text ? strlen(text) : 2);
    free(text);
}

/* What the app announced on its channel. */
static void write_talk(struct jsonw *w, const struct app_talk *t)
{
    const char *name;
    json_t *action;

    jsonw_key(w, "axm_actions");
    jsonw_arr_begin(w);
    if (t) {
        json_object_foreach (t->actions, name, action)
            write_json(w, NULL, action);
    }
    jsonw_arr_end(w);
    write_json(w, "axm_monitor", t ? t->monitor : NULL);
    write_json(w, "axm_options", t ? t->options : NULL);
    write_json(w, "axm_dynamic", NULL);
}

static void make_own_constants(struct engine *e, struct jsonw *w, const struct process *p)
{
    const struct app_spec *s = p->app->spec;
    struct log_paths paths;
    char unique[80];

    snprintf(unique, sizeof(unique), "%s-%u", e->home_id, p->id);
    jsonw_kstr(w, "unique_id", unique);
    log_paths_init(&paths, s, e->home.path, p->id);
    jsonw_kstr(w, "pm_out_log_path", paths.out);
    jsonw_kstr(w, "pm_err_log_path", paths.err);
    if (paths.both)
        jsonw_kstr(w, "pm_log_path", paths.both);
    jsonw_kstr(w, "pm_pid_path", paths.pid);
    jsonw_kbool(w, "merge_logs", s->merge_logs_set ? s->merge_logs : s->instances <= 1);
    if (s->log_type)
        jsonw_kstr(w, "log_type", s->log_type);
    if (log_date_format_of(s))
        jsonw_kstr(w, "log_date_format", log_date_format_of(s));
    log_paths_deinit(&paths);
}

/* What follows from the process's id and its app's configuration is written once for each configuration. */
static void write_own_constants(struct engine *e, struct jsonw *w, struct process *p)
{
    struct runtime *r = runtime_of(p);
    uint64_t version = app_cache_version(p->app);

    if (r->record_version != version) {
        struct jsonw part = jsonw_init(&r->record);

        r->record.len = 0;
        make_own_constants(e, &part, p);
        r->record_version = version;
    }
    jsonw_raw(w, r->record.data, r->record.len);
}

static void write_max_memory(struct jsonw *w, const struct max_memory_options *m)
{
    jsonw_key(w, "max_memory");
    jsonw_obj_begin(w);
    if (m->soft) {
        jsonw_kint(w, "soft", m->soft);
        jsonw_kint(w, "window", m->window);
    }
    if (m->hard)
        jsonw_kint(w, "hard", m->hard);
    jsonw_obj_end(w);
}

static void write_limits(struct jsonw *w, const struct app_spec *s)
{
    if (s->max_memory_restart)
        jsonw_kint(w, "max_memory_restart", s->max_memory_restart);
    if (s->max_memory.soft || s->max_memory.hard)
        write_max_memory(w, &s->max_memory);
    if (s->max_cpu_restart.percent) {
        jsonw_key(w, "max_cpu_restart");
        jsonw_obj_begin(w);
        jsonw_kint(w, "percent", s->max_cpu_restart.percent);
        jsonw_kint(w, "for", s->max_cpu_restart.time);
        jsonw_obj_end(w);
    }
    if (s->max_uptime)
        jsonw_kint(w, "max_uptime", s->max_uptime);
}

static void write_times(struct jsonw *w, const struct app_spec *s)
{
    if (!app_times(s))
        return;
    jsonw_kstr(w, app_times_key(s), app_times(s));
    if (app_is_job(s))
        jsonw_kstr(w, "overlap", s->overlap);
    if (s->tz)
        jsonw_kstr(w, "tz", s->tz);
}

static void write_policy(struct jsonw *w, const struct app_spec *s)
{
    jsonw_kbool(w, "autorestart", s->autorestart);
    jsonw_kbool(w, "autostart", s->autostart);
    jsonw_kbool(w, "treekill", s->treekill);
    jsonw_kint(w, "min_uptime", s->min_uptime);
    jsonw_kint(w, "max_restarts", s->max_restarts);
    jsonw_kint(w, "restart_delay", s->restart_delay);
    if (s->exp_backoff_restart_delay)
        jsonw_kint(w, "exp_backoff_restart_delay", s->exp_backoff_restart_delay);
    write_limits(w, s);
    write_times(w, s);
    jsonw_kint(w, "kill_timeout", s->kill_timeout);
    jsonw_kint(w, "listen_timeout", s->listen_timeout);
    jsonw_kbool(w, "wait_ready", s->wait_ready);
    if (s->watchdog)
        jsonw_kint(w, "watchdog", s->watchdog);
    jsonw_kbool(w, "shutdown_with_message", s->shutdown_with_message);
    if (s->stop_exit_codes.n) {
        jsonw_key(w, "stop_exit_codes");
        jsonw_arr_begin(w);
        for (unsigned i = 0; i < s->stop_exit_codes.n; i++)
            jsonw_int(w, s->stop_exit_codes.v[i]);
        jsonw_arr_end(w);
    }
    if (s->node_probe)
        jsonw_kbool(w, "node_probe", true);
    if (strv_len(s->on))
        write_strings(w, "on", s->on);
    if (s->uid)
        jsonw_kstr(w, "uid", s->uid);
    if (s->gid)
        jsonw_kstr(w, "gid", s->gid);
}

static void write_watch(struct jsonw *w, const struct app_spec *s)
{
    if (*s->ignore_watch)
        write_strings(w, "ignore_watch", s->ignore_watch);
    if (*s->ext)
        write_strings(w, "ext", s->ext);
    if (*s->watch)
        jsonw_kint(w, "watch_delay", s->watch_delay);
}

static void write_sockets(struct jsonw *w, const struct app_spec *s)
{
    if (s->listen.n) {
        json_t *list = app_spec_key_to_json(s, option_by_name("listen"));
        _cleanup_free_ char *text = json_dumps(list, JSON_COMPACT);

        jsonw_key(w, "listen");
        jsonw_raw(w, text, strlen(text));
        json_decref(list);
    }
    if (health_check_is_set(s)) {
        json_t *check = app_spec_key_to_json(s, option_by_name("health_check"));
        _cleanup_free_ char *text = json_dumps(check, JSON_COMPACT);

        jsonw_key(w, "health_check");
        jsonw_raw(w, text, strlen(text));
        json_decref(check);
    }
    if (app_is_cluster(s)) {
        jsonw_kstr(w, "cluster_schedule", s->cluster_schedule);
        jsonw_kbool(w, "graceful_http", s->graceful_http);
    }
}

static void write_command(struct jsonw *w, const struct app_spec *s)
{
    jsonw_kstr(w, "pm_exec_path", s->script);
    jsonw_kstr(w, "pm_cwd", s->cwd);
    jsonw_kstr(w, "exec_interpreter", s->interpreter && *s->interpreter ? s->interpreter : "none");
    write_strings(w, "node_args", s->interpreter_args);
    if (strv_len(s->args))
        write_strings(w, "args", s->args);
}

/* PM2 has the app's variables both here and under "env". */
static void make_flat_env(struct jsonw *w, const struct app_spec *s)
{
    write_env(w, s->env, true);
}

static void make_config(struct jsonw *w, const struct app_spec *s)
{
    jsonw_kstr(w, "name", s->name);
    jsonw_kstr(w, "namespace", s->ns);
    jsonw_kstr(w, "exec_mode", strcmp(s->exec_mode, "cluster") == 0 ? "cluster_mode" : "fork_mode");
    jsonw_kint(w, "instances", s->instances);
    jsonw_kstr(w, "instance_var", s->instance_var ? s->instance_var : "NODE_APP_INSTANCE");
    jsonw_kstr(w, "username", user_of(s));
    write_command(w, s);
    write_policy(w, s);
    write_watch(w, s);
    write_sockets(w, s);
    write_constants(w);
    jsonw_key(w, "env");
    jsonw_obj_begin(w);
    write_env(w, s->env, false);
    jsonw_obj_end(w);
}

/* Only of one that depends on others and is not started yet. */
static void write_wait(struct engine *e, struct jsonw *w, const struct process *p)
{
    char words[512];

    if (!p->held)
        return;
    supervisor_describe_reason(e->sup, p, words, sizeof(words));
    jsonw_kstr(w, "waits_for", words);
}

static void write_pm2_env(struct engine *e, struct jsonw *w, struct process *p)
{
    jsonw_key(w, "pm2_env");
    jsonw_obj_begin(w);
    app_text_write(p->app, APP_TEXT_FLAT_ENV, w, make_flat_env);
    jsonw_kuint(w, "pm_id", p->id);
    jsonw_kstr(w, "status", lc_state_word(p->state));
    write_wait(e, w, p);
    write_last_exit(w, p);
    jsonw_kuint(w, "restart_time", p->counters.restarts);
    jsonw_kuint(w, "unstable_restarts", p->counters.unstable);
    jsonw_kuint(w, "prev_restart_delay", p->counters.backoff_delay);
    jsonw_kuint(w, "pm_uptime", p->started_ms);
    jsonw_kuint(w, "created_at", p->created_ms);
    jsonw_kuint(w, "NODE_APP_INSTANCE", p->instance);
    jsonw_kuint(w, "dropped_lines", logs_dropped(e->logs, p->id));
    jsonw_kbool(w, "watch", watch_is_on(p->app));
    jsonw_kstr(w, "version", runtime_of(p)->version ? runtime_of(p)->version : "N/A");
    write_own_constants(e, w, p);
    app_text_write(p->app, APP_TEXT_CONFIG, w, make_config);
    write_talk(w, runtime_of(p)->talk);
    engine_health_write(w, p);
    jsonw_obj_end(w);
}

static void write_full(struct engine *e, struct jsonw *w, struct process *p)
{
    jsonw_kint(w, "pid", shown_pid(p));
    jsonw_kstr(w, "name", p->app->spec->name);
    jsonw_kuint(w, "pm_id", p->id);
    write_monit(w, p);
    write_pm2_env(e, w, p);
}

static void write_exit(struct jsonw *w, const struct last_exit *l)
{
    char words[256];

    jsonw_key(w, "last_exit");
    jsonw_obj_begin(w);
    last_exit_words(l, words, sizeof(words));
    jsonw_kuint(w, "run", l->run);
    jsonw_kuint(w, "started_at", l->started_ms);
    jsonw_kuint(w, "ended_at", l->ended_ms);
    jsonw_kstr(w, "reason", lc_reason_word(l->reason));
    jsonw_kstr(w, "words", words);
    if (l->exit_code >= 0)
        jsonw_kint(w, "exit_code", l->exit_code);
    if (l->signal)
        jsonw_kint(w, "signal", l->signal);
    jsonw_kbool(w, "core", l->core);
    jsonw_obj_end(w);
}

/* The first of a process's log files that cannot be written, and why. */
static void write_log_trouble(struct engine *e, struct jsonw *w, struct process *p)
{
    struct log_paths paths;
    char words[512];

    log_paths_init(&paths, p->app->spec, e->home.path, p->id);
    if (logs_file_trouble(e->logs, paths.out, words, sizeof words) ||
        logs_file_trouble(e->logs, paths.err, words, sizeof words) ||
        logs_file_trouble(e->logs, paths.both, words, sizeof words))
        jsonw_kstr(w, "log_trouble", words);
    log_paths_deinit(&paths);
}

#define NEXT_RUNS 3

static void write_next_runs(struct jsonw *w, const struct app *a)
{
    const char *trouble = schedules_trouble(a);
    int64_t at[NEXT_RUNS];
    size_t n = schedules_next(a, at, NEXT_RUNS);

    if (trouble)
        jsonw_kstr(w, "schedule_trouble", trouble);
    if (!n)
        return;
    jsonw_key(w, "next_runs");
    jsonw_arr_begin(w);
    for (size_t i = 0; i < n; i++)
        jsonw_int(w, at[i] * 1000);
    jsonw_arr_end(w);
}

static void write_own(struct engine *e, struct jsonw *w, struct process *p)
{
    char words[512];

    jsonw_key(w, "pm");
    jsonw_obj_begin(w);
    supervisor_describe_reason(e->sup, p, words, sizeof(words));
    jsonw_kuint(w, "app", p->app->id);
    jsonw_kuint(w, "run", p->run);
    jsonw_kuint(w, "instance", p->instance);
    jsonw_kstr(w, "desired", p->desired == DESIRED_UP ? "up" : "down");
    jsonw_kstr(w, "state", lc_state_word(p->state));
    jsonw_kstr(w, "reason", lc_reason_word(p->reason));
    jsonw_kstr(w, "reason_text", words);
    if (p->state == LC_WAITING)
        jsonw_kuint(w, "restart_at", p->deadline_ms);
    write_next_runs(w, p->app);
    jsonw_kint(w, "stop_signal", p->app->spec->stop_signal);
    jsonw_kbool(w, "disable_logs", p->app->spec->disable_logs);
    jsonw_kuint(w, "dropped_lines", logs_dropped(e->logs, p->id));
    watch_write(w, p->app);
    write_log_trouble(e, w, p);
    if (p->last.valid)
        write_exit(w, &p->last);
    jsonw_obj_end(w);
}

void record_write(struct engine *e, struct jsonw *w, struct process *p, enum record_kind kind)
{
    jsonw_obj_begin(w);
    if (kind == RECORD_SHORT)
        write_short(w, p);
    else
        write_full(e, w, p);
    if (kind == RECORD_DESCRIBE)
        write_own(e, w, p);
    jsonw_obj_end(w);
}
