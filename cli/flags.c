/* The flags: those that every command has, and those of the commands. */
#include "cli/flags.h"

#define TRACING    "it is about tracing inside Node, which is not done here"
#define OF_STARTUP "it belongs to PM2's startup command"

/* One row a flag. */
/* clang-format off */

/* How the table of processes is shown. */
#define VIEW_FLAGS                                                                                      \
    {.name = "mini-list", .letter = 'm', .type = FLAG_BOOL,                                             \
     .help = "the list as a few lines for each process"},                                               \
    {.name = "sort", .type = FLAG_TEXT, .arg = "FIELD[:desc]",                                          \
     .help = "order: name, namespace, id, pid, cpu, memory, uptime, status"}

#define PARALLEL_FLAG                                                                                   \
    {.name = "parallel", .type = FLAG_NUMBER, .arg = "N", .min = 1, .max = 10000,                       \
     .help = "how many processes at a time (2; 1 of two; 10 for delete)"}
#define PARALLEL_IDLE                                                                                   \
    {.name = "parallel", .type = FLAG_NUMBER, .arg = "N", .min = 1, .max = 10000,                       \
     .help = "how many processes at a time", .idle = "this acts on all of them at once"}
#define JSON_OUTCOMES                                                                                   \
    {.name = "json", .type = FLAG_BOOL, .help = "print what became of each process as JSON, no messages"}
#define OF_CONFIG_FLAGS                                                                                 \
    {.name = "only", .type = FLAG_TEXT, .arg = "APP,...", .help = "of a config file: only these apps"}, \
    {.name = "env", .type = FLAG_TEXT, .arg = "NAME", .help = "of a config file: also set env_NAME"}

/* PM2's flags that scripts may hold: they are taken, with a warning. */
#define LATER_FLAGS                                                                                     \
    {.name = "execute-command", .letter = 'x', .type = FLAG_BOOL,                                       \
     .help = "run a program", .idle = "a program is run as it is already"},                             \
    {.name = "disable-source-map-support", .type = FLAG_BOOL,                                           \
     .help = "no source maps", .idle = "source maps are never switched on here"},                       \
    {.name = "no-vizion", .type = FLAG_BOOL, .help = "no git data", .idle = "there is none here"},      \
    {.name = "no-pmx", .type = FLAG_BOOL, .help = "no tracing", .idle = "there is none here"},          \
    {.name = "no-automation", .type = FLAG_BOOL, .help = "no tracing", .idle = "there is none here"}

/* PM2's flags that would promise what pm does not do. */
#define REFUSED_FLAGS                                                                                   \
    {.name = "no-daemon", .type = FLAG_BOOL,                                                            \
     .refused = "run pmd --no-daemon in the foreground, and pm start beside it"},                       \
    {.name = "write", .type = FLAG_BOOL, .refused = "a config file is never written to"},               \
    {.name = "hp", .type = FLAG_TEXT, .arg = "DIR", .refused = OF_STARTUP},                             \
    {.name = "service-name", .type = FLAG_TEXT, .arg = "NAME", .refused = OF_STARTUP},                  \
    {.name = "wait-ip", .type = FLAG_BOOL, .refused = OF_STARTUP},                                      \
    {.name = "trace", .type = FLAG_BOOL, .refused = TRACING},                                           \
    {.name = "v8", .type = FLAG_BOOL, .refused = TRACING},                                              \
    {.name = "event-loop-inspector", .type = FLAG_BOOL, .refused = TRACING},                            \
    {.name = "deep-monitoring", .type = FLAG_BOOL, .refused = "it is about PM2's hosted dashboard"}

const struct flag global_flags[] = {
    {.name = "silent", .letter = 's', .type = FLAG_BOOL, .help = "print data and errors, no messages"},
    {.name = "no-color", .type = FLAG_BOOL, .help = "no colours (also: NO_COLOR; FORCE_COLOR forces them)"},
    {.name = "home", .type = FLAG_TEXT, .arg = "DIR", .help = "the daemon's folder (PM_HOME, else ~/.pm)"},
    {.name = "help", .letter = 'h', .type = FLAG_BOOL, .help = "help on pm or on the command"},
    {.name = "version", .letter = 'v', .letter2 = 'V', .type = FLAG_BOOL, .help = "print the version"},
    {0},
};

const struct flag start_flags[] = {
    {.name = "name", .group = "What to start", .letter = 'n', .type = FLAG_TEXT, .arg = "NAME",
     .help = "name of the app", .key = "name"},
    {.name = "namespace", .type = FLAG_TEXT, .arg = "NAME",
     .help = "namespace of the app", .key = "namespace"},
    {.name = "instances", .letter = 'i', .type = FLAG_TEXT, .arg = "N",
     .help = "how many processes; max = one a CPU, -1 = one less", .key = "instances"},
    {.name = "cwd", .type = FLAG_TEXT, .arg = "DIR", .help = "working folder", .key = "cwd"},
    {.name = "interpreter", .type = FLAG_TEXT, .arg = "PROGRAM",
     .help = "what runs the script; none = the script itself", .key = "interpreter"},
    {.name = "interpreter-args", .alias = "node-args", .type = FLAG_WORDS, .arg = "ARGS",
     .help = "arguments of the interpreter", .key = "interpreter_args"},
    {.name = "listen", .type = FLAG_TEXT, .arg = "ADDRESS",
     .help = "socket for it that the daemon keeps: 3000, host:port, unix:/path, ...; may be given again", .key = "listen"},
    {.name = "source-map-support", .type = FLAG_BOOL,
     .help = "stack traces of Node show the sources", .key = "source_map_support", .value = "true"},
    {.name = "force", .letter = 'f', .type = FLAG_BOOL, .help = "start it once more, though it runs"},
    {.name = "env", .group = "A config file", .type = FLAG_TEXT, .arg = "NAME", .help = "also set env_NAME"},
    {.name = "only", .type = FLAG_TEXT, .arg = "APP,...", .help = "only these apps"},
    {.name = "output", .group = "Logs", .letter = 'o', .type = FLAG_TEXT, .arg = "FILE",
     .help = "log file of the standard output", .key = "out_file"},
    {.name = "error", .letter = 'e', .type = FLAG_TEXT, .arg = "FILE",
     .help = "log file of the standard error", .key = "error_file"},
    {.name = "log", .letter = 'l', .type = FLAG_OPTIONAL, .arg = "FILE",
     .help = "one more log file with both", .key = "log_file"},
    {.name = "log-type", .type = FLAG_TEXT, .arg = "TYPE",
     .help = "json: one object a line", .key = "log_type"},
    {.name = "time", .type = FLAG_BOOL,
     .help = "put the time before each line of the log files", .key = "time", .value = "true"},
    {.name = "log-date-format", .type = FLAG_TEXT, .arg = "FORMAT",
     .help = "such as \"YYYY-MM-DD HH:mm:ss\"", .key = "log_date_format"},
    {.name = "merge-logs", .type = FLAG_BOOL,
     .help = "all instances write to the same log files", .key = "merge_logs", .value = "true"},
    {.name = "disable-logs", .type = FLAG_BOOL,
     .help = "keep no logs", .key = "disable_logs", .value = "true"},
    {.name = "no-autorestart", .group = "Restarts", .type = FLAG_BOOL,
     .help = "do not start it again when it ends", .key = "autorestart", .value = "false"},
    {.name = "max-restarts", .type = FLAG_TEXT, .arg = "N",
     .help = "give up after so many short runs in a row", .key = "max_restarts"},
    {.name = "min-uptime", .type = FLAG_TEXT, .arg = "TIME",
     .help = "a shorter run counts as unstable", .key = "min_uptime"},
    {.name = "restart-delay", .type = FLAG_TEXT, .arg = "TIME",
     .help = "wait so long before each restart", .key = "restart_delay"},
    {.name = "exp-backoff-restart-delay", .type = FLAG_TEXT, .arg = "TIME",
     .help = "wait longer after each crash, from this on", .key = "exp_backoff_restart_delay"},
    {.name = "stop-exit-codes", .type = FLAG_NUMBERS, .arg = "CODE...",
     .help = "exit codes after which it is not started again", .key = "stop_exit_codes"},
    {.name = "max-memory-restart", .type = FLAG_TEXT, .arg = "SIZE",
     .help = "replace it when it and its children use more memory", .key = "max_memory_restart"},
    {.name = "cron-restart", .alias = "cron", .letter = 'c', .type = FLAG_TEXT, .arg = "PATTERN",
     .help = "restart it at these times: \"0 4 * * *\", @daily, ...; 0 = never", .key = "cron_restart"},
    {.name = "watch", .group = "Restart when files change", .letter = 'w', .type = FLAG_OPTIONAL, .arg = "PATH",
     .help = "those of its folder, or PATH; of a known app: on or off", .key = "watch", .value = "true"},
    {.name = "ignore-watch", .type = FLAG_TEXT, .arg = "PATTERN",
     .help = "what does not count: names, paths, globs (node_modules and .*)", .key = "ignore_watch"},
    {.name = "watch-delay", .type = FLAG_TEXT, .arg = "TIME",
     .help = "wait until nothing has changed for so long; a plain number is seconds", .key = "watch_delay", .unit = "s"},
    {.name = "ext", .type = FLAG_TEXT, .arg = "EXTENSIONS",
     .help = "only files of these, such as js,json", .key = "ext"},
    {.name = "wait-ready", .group = "Becoming ready, and stopping", .type = FLAG_BOOL,
     .help = "online only when the app says that it is ready", .key = "wait_ready", .value = "true"},
    {.name = "listen-timeout", .type = FLAG_TEXT, .arg = "TIME",
     .help = "how long to wait for that", .key = "listen_timeout"},
    {.name = "kill-timeout", .letter = 'k', .type = FLAG_TEXT, .arg = "TIME",
     .help = "how long a stop is polite", .key = "kill_timeout"},
    {.name = "stop-signal", .type = FLAG_TEXT, .arg = "SIGNAL",
     .help = "the polite signal (SIGINT)", .key = "stop_signal"},
    {.name = "shutdown-with-message", .type = FLAG_BOOL,
     .help = "ask Node to stop by its message \"shutdown\"", .key = "shutdown_with_message", .value = "true"},
    {.name = "no-treekill", .type = FLAG_BOOL,
     .help = "stop only the process itself, not what it started", .key = "treekill", .value = "false"},
    {.name = "uid", .group = "User, pid file, environment", .alias = "user", .letter = 'u', .type = FLAG_TEXT, .arg = "USER",
     .help = "run as this user", .key = "uid"},
    {.name = "gid", .type = FLAG_TEXT, .arg = "GROUP", .help = "run with this group", .key = "gid"},
    {.name = "pid", .letter = 'p', .type = FLAG_TEXT, .arg = "FILE",
     .help = "file that holds the pid", .key = "pid_file"},
    {.name = "update-env", .letter = 'a', .type = FLAG_BOOL,
     .help = "of what is known: put this shell's environment over the stored one"},
    {.name = "filter-env", .type = FLAG_WORDS, .arg = "PART,...",
     .help = "leave out variables of this shell whose names hold one of these; true = all"},
    {.name = "no-autostart", .group = "This call", .type = FLAG_BOOL,
     .help = "add it to the list without starting it", .key = "autostart", .value = "false"},
    {.name = "wait", .type = FLAG_BOOL, .help = "return when all are up or have failed; the default"},
    {.name = "no-wait", .type = FLAG_BOOL, .help = "return at once"},
    {.name = "attach", .type = FLAG_BOOL, .help = "then show the log lines until Ctrl-C; the app goes on"},
    PARALLEL_FLAG,
    JSON_OUTCOMES,
    VIEW_FLAGS,
    LATER_FLAGS,
    REFUSED_FLAGS,
    {0},
};

const struct flag json_flags[] = {
    {.name = "json", .type = FLAG_BOOL, .help = "print JSON"},
    {0},
};

const struct flag metrics_flags[] = {
    {.name = "since", .type = FLAG_TEXT, .arg = "TIME",
     .help = "from this time on (1h): 10min, 2h, \"3 d ago\", \"yesterday 14:00\", ..."},
    {.name = "json", .type = FLAG_BOOL, .help = "print JSON, with all points"},
    {.name = "csv", .type = FLAG_BOOL, .help = "one line a point"},
    {0},
};

const struct flag why_flags[] = {
    {.name = "runs", .type = FLAG_NUMBER, .arg = "N", .help = "how many past runs (5)", .min = 1, .max = 100},
    {.name = "lines", .type = FLAG_NUMBER, .arg = "N",
     .help = "how many lines of standard error each (10)", .min = 0, .max = 1000},
    {.name = "json", .type = FLAG_BOOL, .help = "print JSON"},
    {0},
};

const struct flag trigger_flags[] = {
    {.name = "timeout", .type = FLAG_TEXT, .arg = "TIME", .help = "how long to wait for replies (5s)"},
    {.name = "json", .type = FLAG_BOOL, .help = "print the replies as JSON"},
    {0},
};

const struct flag events_flags[] = {
    {.name = "lines", .type = FLAG_NUMBER, .arg = "N",
     .help = "first the last N that are stored (10; all with --since)", .min = 0, .max = 10000},
    {.name = "since", .type = FLAG_TEXT, .arg = "TIME",
     .help = "of those, from this time on: 2h, \"10 min ago\", 14:00, 2026-01-31T14:00:00Z, ..."},
    {.name = "nostream", .type = FLAG_BOOL, .help = "end after the stored ones"},
    {.name = "json", .type = FLAG_BOOL, .help = "one JSON object a line"},
    {0},
};

const struct flag logs_flags[] = {
    {.name = "since", .group = "Which lines", .type = FLAG_TEXT, .arg = "TIME",
     .help = "from this time on: 2h, \"10 min ago\", 14:00, \"yesterday 14:00\", 2026-01-31T14:00:00Z, ..."},
    {.name = "until", .type = FLAG_TEXT, .arg = "TIME", .help = "before this time; ends then"},
    {.name = "grep", .letter = 'g', .type = FLAG_WORDS, .arg = "PATTERN",
     .help = "that match the pattern (PCRE2); given again, all must match"},
    {.name = "ignore-case", .type = FLAG_BOOL, .help = "--grep takes large and small letters for equal"},
    {.name = "invert", .type = FLAG_BOOL, .help = "those that --grep does not match"},
    {.name = "before", .letter = 'B', .type = FLAG_NUMBER, .arg = "N",
     .help = "with N lines before each match", .min = 0, .max = 1000},
    {.name = "after", .letter = 'A', .type = FLAG_NUMBER, .arg = "N",
     .help = "with N lines after each match", .min = 0, .max = 1000},
    {.name = "context", .letter = 'C', .type = FLAG_NUMBER, .arg = "N",
     .help = "with N lines before and after", .min = 0, .max = 1000},
    {.name = "level", .type = FLAG_TEXT, .arg = "LEVEL",
     .help = "at least this: trace, debug, info, warn, error, fatal"},
    {.name = "out", .type = FLAG_BOOL, .help = "only the standard output"},
    {.name = "err", .type = FLAG_BOOL, .help = "only the standard error"},
    {.name = "run", .type = FLAG_TEXT, .arg = "N|last",
     .help = "of one run (pm why shows them), or of each process's newest"},
    {.name = "instance", .type = FLAG_NUMBER, .arg = "N",
     .help = "of one instance of the app", .min = 0, .max = 1000000},
    {.name = "lines", .type = FLAG_NUMBER, .arg = "N",
     .help = "the last N that match (15; all with --since, --until, --grep, --level, --run)", .min = 0, .max = 1000000},
    {.name = "reverse", .type = FLAG_BOOL, .help = "the newest first; ends then"},
    {.name = "count", .type = FLAG_BOOL, .help = "only how many there are"},
    {.name = "nostream", .type = FLAG_BOOL, .help = "end after the past lines"},
    {.name = "timestamp", .group = "How they are shown", .type = FLAG_OPTIONAL, .arg = "FORMAT",
     .help = "put the time before each line (YYYY-MM-DD HH:mm:ss.SSS)"},
    {.name = "utc", .type = FLAG_BOOL, .help = "times, also of --since and --until, are UTC"},
    {.name = "tz", .type = FLAG_TEXT, .arg = "ZONE", .help = "or of this zone: Europe/Berlin, +02:00"},
    {.name = "highlight", .type = FLAG_WORDS, .arg = "WORD", .help = "make a word stand out"},
    {.name = "raw", .type = FLAG_BOOL, .help = "the bytes of the app and nothing else"},
    {.name = "format", .type = FLAG_BOOL, .help = "key=value words: timestamp, app, id, type, message"},
    {.name = "json", .type = FLAG_BOOL, .help = "one JSON object a line"},
    {.name = "no-pager", .type = FLAG_BOOL, .help = "no $PAGER, however long it is"},
    {0},
};

const struct flag list_flags[] = {
    {.name = "json", .type = FLAG_BOOL, .help = "print JSON"},
    {.name = "watch", .letter = 'w', .type = FLAG_OPTIONAL, .arg = "SECONDS",
     .help = "draw it again and again, until Ctrl-C"},
    VIEW_FLAGS,
    {0},
};

const struct flag control_flags[] = {
    JSON_OUTCOMES,
    PARALLEL_FLAG,
    OF_CONFIG_FLAGS,
    VIEW_FLAGS,
    {0},
};

const struct flag logrotate_flags[] = {
    {.name = "json", .type = FLAG_BOOL, .help = "print what became of each file as JSON"},
    {.name = "install", .type = FLAG_BOOL, .help = "write a file for logrotate(8) instead"},
    {.name = "path", .type = FLAG_TEXT, .arg = "FILE", .help = "of that file; default /etc/logrotate.d/pm-<user>"},
    OF_CONFIG_FLAGS,
    {0},
};

const struct flag light_flags[] = {
    JSON_OUTCOMES,
    OF_CONFIG_FLAGS,
    PARALLEL_IDLE,
    VIEW_FLAGS,
    {0},
};

const struct flag resurrect_flags[] = {
    JSON_OUTCOMES,
    VIEW_FLAGS,
    {0},
};

/* Of commands that take no config file. */
const struct flag process_flags[] = {
    JSON_OUTCOMES,
    PARALLEL_FLAG,
    VIEW_FLAGS,
    {0},
};

const struct flag signal_flags[] = {
    JSON_OUTCOMES,
    PARALLEL_IDLE,
    VIEW_FLAGS,
    {0},
};

const struct flag save_flags[] = {
    {.name = "json", .type = FLAG_BOOL, .help = "print JSON"},
    {.name = "force", .letter = 'f', .type = FLAG_BOOL, .help = "save it also when it is empty"},
    {0},
};
