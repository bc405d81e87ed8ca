#include "config/options.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "config/checks.h"
#include "config/depends.h"
#include "config/health_check.h"
#include "config/listen.h"
#include "config/option_groups.h"
#include "config/suggest.h"
#include "config/watch_options.h"

#define SIZE_MAX_BYTES    ((int64_t)1 << 50)
#define FIELD(member)     offsetof(struct app_spec, member)
#define STR(t, member)    .type = (t), .store = STORE_STRING, .offset = FIELD(member)
#define BOOL(member)      .type = OPT_BOOL, .store = STORE_BOOL, .offset = FIELD(member), .max = 1
#define NUMBER(t, member) .type = (t), .store = STORE_INT, .offset = FIELD(member)
#define WORDS(member)     .type = OPT_WORDS, .store = STORE_STRV, .offset = FIELD(member)
#define MS(member)        NUMBER(OPT_DURATION, member), .unit = "ms", .max = YEAR_MS
#define FILE_ONLY(t)      .type = (t), .store = STORE_NONE

static const char *const exec_modes[] = {"fork", "cluster", NULL};
static const char *const schedules[] = {"shared", "round_robin", "slots", NULL};
static const char *const log_types[] = {"json", NULL};
static const char *const log_policies[] = {"block", "drop", NULL};
static const char *const overlaps[] = {"skip", "queue", "kill", NULL};

#define GROUP(g, member) .type = OPT_GROUP, .store = STORE_GROUP, .offset = FIELD(member), .group = &(g)

static const struct option_row rows[] = {
    {.name = "name",
     STR(OPT_STRING, name),
     .required = true,
     .check = check_app_name,
     .needs = NEEDS_NOTHING,
     .help = "Name of the app; by default the script's base name without its extension."},
    {.name = "name_prefix",
     FILE_ONLY(OPT_STRING),
     .check = check_app_name,
     .needs = NEEDS_NOTHING,
     .help = "Put before the name with a colon, unless the name has it already."},
    {.name = "append_env_to_name",
     FILE_ONLY(OPT_BOOL),
     .max = 1,
     .needs = NEEDS_NOTHING,
     .help = "With --env <name>, add -<name> to the name of the app."},
    {.name = "force",
     BOOL(force),
     .local = true,
     .needs = NEEDS_NOTHING,
     .help = "Start the app although one of this name is there already, as --force does."},
    {.name = "namespace",
     STR(OPT_STRING, ns),
     .def_text = "default",
     .required = true,
     .check = check_app_name,
     .needs = NEEDS_NOTHING,
     .help = "Group of apps that commands can name together."},
    {.name = "script",
     .aliases = {"exec", "cmd", "command"},
     STR(OPT_PATH, script),
     .required = true,
     .needs = NEEDS_RELOAD,
     .help = "Program or script to run, a program on PATH, or a command line in one string."},
    {.name = "cwd",
     STR(OPT_PATH, cwd),
     .required = true,
     .needs = NEEDS_RELOAD,
     .help = "Working folder; by default the caller's, for a config file the folder of the file."},
    {.name = "args",
     WORDS(args),
     .needs = NEEDS_RELOAD,
     .help = "Arguments of the script: a list, or one string that is split at blanks outside quotes."},
    {.name = "exec_interpreter",
     .aliases = {"interpreter"},
     STR(OPT_STRING, interpreter),
     .check = check_word,
     .needs = NEEDS_RELOAD,
     .help =
         "Program that runs the script; by default chosen from the extension; none runs the file itself."},
    {.name = "node_args",
     .aliases = {"interpreter_args"},
     WORDS(interpreter_args),
     .needs = NEEDS_RELOAD,
     .help = "Arguments of the interpreter, before the script."},
    {.name = "source_map_support",
     BOOL(source_map_support),
     .local = true,
     .needs = NEEDS_RELOAD,
     .help = "Stack traces of Node show the sources: adds --enable-source-maps to node_args."},
    {.name = "instances",
     NUMBER(OPT_INSTANCES, instances),
     .given_offset = FIELD(instances_given),
     .min = -4096,
     .max = 4096,
     .def = 1,
     .needs = NEEDS_NOTHING,
     .help = "Number of processes; max or 0 means one for each CPU that the daemon may use, -1 one less."},
    {.name = "exec_mode",
     STR(OPT_ENUM, exec_mode),
     .words = exec_modes,
     .def_text = "fork",
     .required = true,
     .needs = NEEDS_RESTART,
     .help =
         "fork: independent processes; cluster: workers of a Node cluster. By default cluster for node and "
         "bun where instances is given (but not -2 and less), else fork."},
    {.name = "cluster_schedule",
     STR(OPT_ENUM, cluster_schedule),
     .words = schedules,
     .def_text = "shared",
     .required = true,
     .needs = NEEDS_RESTART,
     .help = "How connections get to the workers of a cluster: all accept from one socket, the daemon deals "
             "them out in turn, or each worker has a socket of its own (SO_REUSEPORT)."},
    {.name = "graceful_http",
     BOOL(graceful_http),
     .def = true,
     .needs = NEEDS_RELOAD,
     .help =
         "HTTP keep-alive clients of a Node cluster's worker that is replaced see no reset: connections end "
         "with an answer that says so, not while they are idle."},
    {.name = "node_probe",
     BOOL(node_probe),
     .needs = NEEDS_RELOAD,
     .help =
         "Metrics from inside a Node app, by a small file that is loaded before it: event loop delay, heap, "
         "handles, requests."},
    {.name = "listen",
     .type = OPT_LIST,
     .store = STORE_LIST,
     .offset = FIELD(listen),
     .group = &listen_group,
     .needs = NEEDS_RELOAD,
     .help =
         "Sockets that the daemon opens and hands to every instance, as LISTEN_FDS from descriptor 3 on."},
    {.name = "env",
     .type = OPT_ENV,
     .store = STORE_ENV,
     .offset = FIELD(env),
     .needs = NEEDS_RELOAD,
     .help = "Environment variables over the caller's; null removes one. "
             "env_<name> is added with --env <name>."},
    {.name = "env_file",
     FILE_ONLY(OPT_PATH),
     .needs = NEEDS_RELOAD,
     .help = "File of NAME=value lines, between the caller's environment and env."},
    {.name = "filter_env",
     .type = OPT_FILTER,
     .store = STORE_STRV,
     .offset = FIELD(filter_env),
     .needs = NEEDS_RELOAD,
     .help = "Keep out inherited variables whose name contains one of these texts; true keeps out all."},
    {.name = "port",
     FILE_ONLY(OPT_PORT),
     .min = 0,
     .max = 65535,
     .needs = NEEDS_RELOAD,
     .help = "Sets the variable PORT, over env and under env_<name>."},

    {.name = "depends_on",
     .type = OPT_LIST,
     .store = STORE_LIST,
     .offset = FIELD(depends_on),
     .group = &depends_group,
     .needs = NEEDS_NOTHING,
     .help = "Apps that have to be up, or done, before this one is started: names, or a mapping of names to "
             "conditions. They are stopped after it."},
    {.name = "autostart",
     BOOL(autostart),
     .def = true,
     .needs = NEEDS_NOTHING,
     .help = "Start the app when it is added; false only adds it."},
    {.name = "autorestart",
     BOOL(autorestart),
     .def = true,
     .needs = NEEDS_NOTHING,
     .help = "Start the app again whenever it ends by itself."},
    {.name = "min_uptime",
     MS(min_uptime),
     .min = 100,
     .def = 1000,
     .needs = NEEDS_NOTHING,
     .help = "A run that ends earlier counts as unstable."},
    {.name = "max_restarts",
     NUMBER(OPT_INT, max_restarts),
     .max = 1000000000,
     .def = 16,
     .needs = NEEDS_NOTHING,
     .help = "Unstable runs in a row after which the app is errored and left alone."},
    {.name = "restart_delay",
     MS(restart_delay),
     .needs = NEEDS_NOTHING,
     .help = "Wait before each automatic restart."},
    {.name = "exp_backoff_restart_delay",
     MS(exp_backoff_restart_delay),
     .needs = NEEDS_NOTHING,
     .help = "First wait before an automatic restart; it grows by half each time, up to 15 s; 0 is off."},
    {.name = "stop_exit_codes",
     .type = OPT_EXIT_CODES,
     .store = STORE_INT_LIST,
     .offset = FIELD(stop_exit_codes),
     .max = 255,
     .needs = NEEDS_NOTHING,
     .help = "Exit codes after which the app is not started again."},

    {.name = "max_memory_restart",
     NUMBER(OPT_SIZE, max_memory_restart),
     .unit = "bytes",
     .max = SIZE_MAX_BYTES,
     .needs = NEEDS_NOTHING,
     .help =
         "Memory of a process with all its children above which it is replaced: by a reload where the app "
         "can, else by a restart; 0 is no limit."},
    {.name = "max_memory",
     GROUP(max_memory_group, max_memory),
     .needs = NEEDS_NOTHING,
     .help = "Two limits of memory: soft replaces the process after a while, hard kills it at once."},
    {.name = "max_cpu_restart",
     GROUP(max_cpu_group, max_cpu_restart),
     .needs = NEEDS_NOTHING,
     .help = "Replace a process that uses this much CPU for this long; a plain number is percent."},
    {.name = "max_uptime",
     MS(max_uptime),
     .needs = NEEDS_NOTHING,
     .help =
         "Replace a process that has run for so long, or up to a tenth less, so that instances do not all "
         "go at once; 0 is no limit."},

    {.name = "cron_restart",
     .aliases = {"cron"},
     STR(OPT_CRON, cron_restart),
     .needs = NEEDS_NOTHING,
     .help = "Restart the app at these times, by a reload where it can; start it when it is stopped."},
    {.name = "schedule",
     STR(OPT_CRON, schedule),
     .needs = NEEDS_NOTHING,
     .help = "The app is a job: it runs at these times, and not when it is added; its end is no reason to "
             "start it again."},
    {.name = "overlap",
     STR(OPT_ENUM, overlap),
     .words = overlaps,
     .def_text = "skip",
     .required = true,
     .needs = NEEDS_NOTHING,
     .help = "When it is time for a job whose last run still goes: leave the time out, run once more after "
             "it, or stop it and run."},
    {.name = "tz",
     STR(OPT_STRING, tz),
     .check = check_word,
     .needs = NEEDS_NOTHING,
     .help = "Time zone of cron_restart and schedule, such as Europe/Berlin; by default the daemon's."},

    {.name = "kill_timeout",
     MS(kill_timeout),
     .def = 1600,
     .needs = NEEDS_NOTHING,
     .help = "Time between the stop signal and SIGKILL."},
    {.name = "stop_signal",
     NUMBER(OPT_SIGNAL, stop_signal),
     .min = 1,
     .max = 64,
     .def = SIGINT,
     .needs = NEEDS_NOTHING,
     .help = "Signal that asks the app to stop: a name with or without SIG, or a number."},
    {.name = "treekill",
     BOOL(treekill),
     .def = true,
     .needs = NEEDS_NOTHING,
     .help = "Stop all processes that the app has started; false stops only the first."},
    {.name = "shutdown_with_message",
     BOOL(shutdown_with_message),
     .needs = NEEDS_NOTHING,
     .help = "Ask a Node app to stop by the message 'shutdown' instead of the stop signal."},
    {.name = "wait_ready",
     BOOL(wait_ready),
     .needs = NEEDS_RELOAD,
     .help = "The app is online when it says so: the message 'ready' of Node, or READY=1 to NOTIFY_SOCKET."},
    {.name = "listen_timeout",
     MS(listen_timeout),
     .min = 1,
     .def = 3000,
     .needs = NEEDS_NOTHING,
     .help = "Time that an app with wait_ready has to become ready."},
    {.name = "health_check",
     GROUP(health_check_group, health_check),
     .needs = NEEDS_NOTHING,
     .help = "A check that a process must pass to be online, and that is repeated while it runs: one of "
             "http, tcp "
             "and exec. A plain value is http."},
    {.name = "watchdog",
     MS(watchdog),
     .needs = NEEDS_RELOAD,
     .help = "The app says WATCHDOG=1 to NOTIFY_SOCKET at least this often, or it is restarted "
             "(WATCHDOG_USEC); 0 "
             "is off."},

    {.name = "out_file",
     .aliases = {"out", "output", "out_log"},
     STR(OPT_LOG_PATH, out_file),
     .needs = NEEDS_RESTART,
     .help = "File for standard output; /dev/null for none."},
    {.name = "error_file",
     .aliases = {"error", "err", "err_file", "err_log"},
     STR(OPT_LOG_PATH, error_file),
     .needs = NEEDS_RESTART,
     .help = "File for standard error; /dev/null for none."},
    {.name = "log_file",
     .aliases = {"log"},
     STR(OPT_LOG_PATH, log_file),
     .needs = NEEDS_RESTART,
     .help = "One more file for both streams; true names it after the app."},
    {.name = "merge_logs",
     .aliases = {"combine_logs"},
     BOOL(merge_logs),
     .given_offset = FIELD(merge_logs_set),
     .needs = NEEDS_RESTART,
     .help = "All instances write to the same files; by default only where instances is not given."},
    {.name = "disable_logs", BOOL(disable_logs), .needs = NEEDS_RESTART, .help = "Keep no logs of this app."},
    {.name = "log_rows",
     BOOL(log_rows),
     .def = true,
     .needs = NEEDS_RESTART,
     .help =
         "Keep the lines in the database, where pm logs looks; false leaves only the files and live lines."},
    {.name = "time",
     BOOL(time),
     .needs = NEEDS_NOTHING,
     .help = "Put the time before each line in the files, as YYYY-MM-DDTHH:mm:ss."},
    {.name = "log_date_format",
     STR(OPT_STRING, log_date_format),
     .check = check_word,
     .needs = NEEDS_NOTHING,
     .help = "The same in a format of one's own, such as YYYY-MM-DD HH:mm:ss Z."},
    {.name = "log_type",
     STR(OPT_ENUM, log_type),
     .words = log_types,
     .needs = NEEDS_NOTHING,
     .help = "json: each line in the files is one JSON object."},
    {.name = "log_rotate",
     GROUP(log_rotate_group, log_rotate),
     .given_offset = FIELD(log_rotate.given),
     .needs = NEEDS_NOTHING,
     .help = "Rotation of the log files; a plain size is max_size."},
    {.name = "log_retention",
     GROUP(log_retention_group, log_retention),
     .needs = NEEDS_NOTHING,
     .help = "What is kept of the lines in the database; a plain size is max_bytes."},
    {.name = "log_policy",
     STR(OPT_ENUM, log_policy),
     .words = log_policies,
     .def_text = "block",
     .required = true,
     .needs = NEEDS_NOTHING,
     .help = "When lines come faster than they can be stored: let the app wait, or drop lines at once."},
    {.name = "log_block_timeout",
     MS(log_block_timeout),
     .min = 1,
     .def = 5000,
     .needs = NEEDS_NOTHING,
     .help = "Time that an app waits for its log before lines are dropped after all."},
    {.name = "log_rate_limit",
     GROUP(log_rate_limit_group, log_rate_limit),
     .needs = NEEDS_NOTHING,
     .help = "Lines beyond this rate are dropped and counted; a plain number is lines."},
    {.name = "pid_file",
     .aliases = {"pid"},
     STR(OPT_PATH, pid_file),
     .needs = NEEDS_RESTART,
     .help = "File that holds the pid while the app runs."},

    {.name = "watch",
     .type = OPT_WATCH,
     .store = STORE_STRV,
     .offset = FIELD(watch),
     .needs = NEEDS_NOTHING,
     .help = "Restart the app when files change: true for those in cwd, or paths (files, folders, globs)."},
    {.name = "ignore_watch",
     .type = OPT_TEXTS,
     .store = STORE_STRV,
     .offset = FIELD(ignore_watch),
     .needs = NEEDS_NOTHING,
     .help = "Names, paths or globs whose changes do not count; by default node_modules and what begins with "
             "a dot. .git, PM_HOME, and the app's own log and pid files never count."},
    {.name = "ext",
     .type = OPT_TEXTS,
     .store = STORE_STRV,
     .offset = FIELD(ext),
     .needs = NEEDS_NOTHING,
     .help = "Only files with these extensions count: a list, or one text such as js,json."},
    {.name = "watch_delay",
     MS(watch_delay),
     .def = 200,
     .needs = NEEDS_NOTHING,
     .help = "Time without further changes before the restart."},
    {.name = "watch_options",
     GROUP(watch_group, watch_options),
     .needs = NEEDS_NOTHING,
     .help = "How files are watched."},
    {.name = "on",
     .type = OPT_HOOKS,
     .store = STORE_STRV,
     .offset = FIELD(on),
     .needs = NEEDS_NOTHING,
     .help = "Commands to run or URLs to post to at events of the app: start, online, exit, restart, reload, "
             "stop, delete, overlimit, errored, limit (or memory), unhealthy, healthy, watch, schedule, "
             "ready_timeout. They get the event as JSON."},

    {.name = "instance_var",
     STR(OPT_STRING, instance_var),
     .def_text = "NODE_APP_INSTANCE",
     .required = true,
     .check = check_env_name,
     .needs = NEEDS_RELOAD,
     .help = "Variable that tells an instance its number, from 0."},
    {.name = "increment_var",
     STR(OPT_STRING, increment_var),
     .check = check_env_name,
     .needs = NEEDS_RELOAD,
     .help = "Variable to whose value in env (or 0) each instance adds its number."},
    {.name = "uid",
     .aliases = {"user"},
     STR(OPT_USER, uid),
     .check = check_word,
     .needs = NEEDS_RESTART,
     .help = "User to run as, name or number; only root can use it."},
    {.name = "gid",
     STR(OPT_USER, gid),
     .check = check_word,
     .needs = NEEDS_RESTART,
     .help = "Group to run as, name or number; by default the user's own."},
};

/* The table as a whole is a group that has no key around it. */
static const struct option_group top = {.rows = rows, .n = ARRAY_LEN(rows)};

#define NODE_ONLY  "it is about tracing inside Node, which is not done here"
#define HOSTED     "it is about PM2's hosted dashboard"
#define NO_WINDOWS "it is about Windows"

static const struct foreign_key foreign[] = {
    {.name = "disable_source_map_support", .type = OPT_ANY, .why = "source maps are never switched on here"},
    {.name = "kill_retry_time",
     .type = OPT_ANY,
     .why = "the end of a process is seen at once, without polling"},
    {.name = "write", .type = OPT_ANY, .why = "a config file is never written to"},
    {.name = "execute_command", .type = OPT_ANY, .why = "a program is run as it is already"},
    {.name = "post_update", .type = OPT_ANY, .why = "it belongs to PM2's pull command"},
    {.name = "install_url", .type = OPT_ANY, .why = "it belongs to PM2's modules"},
    {.name = "username", .type = OPT_ANY, .why = "it is found from the user that runs the app"},
    {.name = "vizion", .type = OPT_ANY, .why = "it is about git data in PM2's list"},
    {.name = "pmx", .type = OPT_ANY, .why = NODE_ONLY},
    {.name = "automation", .type = OPT_ANY, .why = NODE_ONLY},
    {.name = "trace", .type = OPT_ANY, .why = NODE_ONLY},
    {.name = "disable_trace", .type = OPT_ANY, .why = NODE_ONLY},
    {.name = "v8", .type = OPT_ANY, .why = NODE_ONLY},
    {.name = "event_loop_inspector", .type = OPT_ANY, .why = NODE_ONLY},
    {.name = "deep_monitoring", .type = OPT_ANY, .why = HOSTED},
    {.name = "io", .type = OPT_ANY, .why = HOSTED},
    {.name = "km_link", .type = OPT_ANY, .why = HOSTED},
    {.name = "windows_hide", .type = OPT_ANY, .why = NO_WINDOWS},
};

const struct option_row *options(size_t *n)
{
    *n = ARRAY_LEN(rows);
    return rows;
}

const struct foreign_key *foreign_keys(size_t *n)
{
    *n = ARRAY_LEN(foreign);
    return foreign;
}

/* Walks the camelCase form of `name` along `key`: after an underscore the next letter is upper case. */
static bool camel_matches(const char *name, const char *key)
{
    for (; *name; name++, key++) {
        char want = *name;

        if (want == '_' && name[1])
            want = (char)toupper((unsigned char)*++name);
        if (*key != want)
            return false;
    }
    return *key == '\0';
}

bool option_key_matches(const char *name, const char *key)
{
    return strcmp(name, key) == 0 || camel_matches(name, key);
}

const struct option_row *option_group_find(const struct option_group *g, const char *key)
{
    for (size_t i = 0; i < g->n; i++) {
        if (option_key_matches(g->rows[i].name, key))
            return &g->rows[i];
        for (const char *const *alias = g->rows[i].aliases; *alias; alias++)
            if (option_key_matches(*alias, key))
                return &g->rows[i];
    }
    return NULL;
}

const struct option_row *option_group_by_name(const struct option_group *g, const char *name)
{
    for (size_t i = 0; i < g->n; i++)
        if (strcmp(g->rows[i].name, name) == 0)
            return &g->rows[i];
    return NULL;
}

const struct option_row *option_group_shorthand(const struct option_group *g)
{
    return g->shorthand ? option_group_by_name(g, g->shorthand) : NULL;
}

const struct option_row *option_find(const char *key)
{
    return option_group_find(&top, key);
}

const struct option_row *option_by_name(const char *name)
{
    return option_group_by_name(&top, name);
}

const struct foreign_key *foreign_key_find(const char *key)
{
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
        if (option_key_matches(foreign[i].name, key) ||
            (foreign[i].aliases[0] && option_key_matches(foreign[i].aliases[0], key)))
            return &foreign[i];
    return NULL;
}

static void offer_rows(struct suggestion *s, const struct option_group *g)
{
    for (size_t i = 0; i < g->n; i++) {
        suggestion_offer(s, g->rows[i].name);
        for (const char *const *alias = g->rows[i].aliases; *alias; alias++)
            suggestion_offer(s, *alias);
    }
}

const char *option_group_suggest(const struct option_group *g, const char *key)
{
    struct suggestion s = suggestion_start(key);

    offer_rows(&s, g);
    return s.best;
}

const char *option_suggest(const char *key)
{
    struct suggestion s = suggestion_start(key);

    offer_rows(&s, &top);
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
        suggestion_offer(&s, foreign[i].name);
    return s.best;
}

void *option_field(const struct option_row *o, void *base)
{
    return (char *)base + o->offset;
}

const void *option_field_const(const struct option_row *o, const void *base)
{
    return (const char *)base + o->offset;
}

void option_mark_given(const struct option_row *o, void *base)
{
    if (o->given_offset)
        *(bool *)((char *)base + o->given_offset) = true;
}
