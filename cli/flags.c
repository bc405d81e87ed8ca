/* The flags: those that every command has, and those of the commands. */
#include "cli/flags.h"

/* One row a flag. */
/* clang-format off */

const struct flag global_flags[] = {
    {.name = "silent", .letter = 's', .type = FLAG_BOOL, .help = "print data and errors, no messages"},
    {.name = "no-color", .type = FLAG_BOOL, .help = "no colours (also: NO_COLOR; FORCE_COLOR forces them)"},
    {.name = "home", .type = FLAG_TEXT, .arg = "DIR", .help = "the daemon's folder (PM_HOME, else ~/.pm)"},
    {.name = "help", .letter = 'h', .type = FLAG_BOOL, .help = "help on pm or on the command"},
    {.name = "version", .letter = 'v', .letter2 = 'V', .type = FLAG_BOOL, .help = "print the version"},
    {0},
};

const struct flag start_flags[] = {
    {.name = "name", .letter = 'n', .type = FLAG_TEXT, .arg = "NAME",
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
    {.name = "env", .type = FLAG_TEXT, .arg = "NAME", .help = "of a config file: also set env_NAME"},
    {.name = "only", .type = FLAG_TEXT, .arg = "APP,...", .help = "of a config file: only these apps"},
    {.name = "force", .letter = 'f', .type = FLAG_BOOL, .help = "start it once more, though it runs"},
    {.name = "output", .letter = 'o', .type = FLAG_TEXT, .arg = "FILE",
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
    {.name = "no-autorestart", .type = FLAG_BOOL,
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
    {.name = "wait-ready", .type = FLAG_BOOL,
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
    {.name = "uid", .type = FLAG_TEXT, .arg = "USER", .help = "run as this user", .key = "uid"},
    {.name = "gid", .type = FLAG_TEXT, .arg = "GROUP", .help = "run with this group", .key = "gid"},
    {0},
};

const struct flag json_flags[] = {
    {.name = "json", .type = FLAG_BOOL, .help = "print JSON"},
    {0},
};

const struct flag why_flags[] = {
    {.name = "runs", .type = FLAG_NUMBER, .arg = "N", .help = "how many past runs (5)", .min = 1, .max = 100},
    {.name = "lines", .type = FLAG_NUMBER, .arg = "N",
     .help = "how many lines of standard error each (10)", .min = 0, .max = 1000},
    {.name = "json", .type = FLAG_BOOL, .help = "print JSON"},
    {0},
};

const struct flag logs_flags[] = {
    {.name = "lines", .type = FLAG_NUMBER, .arg = "N",
     .help = "how many past lines (15)", .min = 0, .max = 10000},
    {.name = "nostream", .type = FLAG_BOOL, .help = "end after the past lines"},
    {.name = "out", .type = FLAG_BOOL, .help = "only the standard output"},
    {.name = "err", .type = FLAG_BOOL, .help = "only the standard error"},
    {.name = "raw", .type = FLAG_BOOL, .help = "the bytes of the app and nothing else"},
    {.name = "timestamp", .type = FLAG_BOOL, .help = "put the time before each line"},
    {.name = "json", .type = FLAG_BOOL, .help = "one JSON object a line"},
    {0},
};
