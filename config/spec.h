/*
 * One app as the daemon runs it: every key resolved, paths absolute, units in ms and bytes. Which keys there
 * are, with type, unit, range, default and alias, is in the option table (options.c); this struct only holds
 * their values.
 */
#ifndef PM_CONFIG_SPEC_H
#define PM_CONFIG_SPEC_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/depends.h"
#include "config/health_check.h"
#include "config/listen.h"

struct err;

struct int_list {
    int *v;
    unsigned n;
};

/* How the flat files of an app are rotated. */
struct log_rotate_options {
    int64_t max_size;  /* bytes; 0 = not by size */
    char *interval;    /* cron fields; NULL or "0" = not by time */
    int64_t max_age;   /* ms; 0 = rotated files are kept */
    int64_t retain;    /* rotated files that are kept; LOG_RETAIN_ALL = all */
    char *compress;    /* "none", "gzip" or "zstd" */
    char *date_format; /* never NULL */
    bool given;        /* the app has a policy of its own; else the daemon's default is meant */
};

#define LOG_RETAIN_ALL 1000000000

/* Which rows of an app are kept in the log database. */
struct log_retention_options {
    int64_t max_bytes; /* of lines; 0 = no limit */
    int64_t max_age;   /* ms; 0 = no limit */
};

/* What a process may write in a second, on average. */
struct log_rate_limit_options {
    int64_t lines, bytes; /* 0 = no limit */
};

/* How files are watched; of chokidar's options those that have a meaning here. */
struct watch_options {
    bool use_polling;
    int64_t interval; /* ms between two looks when polling */
    bool follow_symlinks;
    char **ignored; /* more patterns, as ignore_watch */
};

struct max_memory_options {
    int64_t soft, hard; /* bytes; 0 = no limit */
    int64_t window;     /* ms above soft before anything is done */
};

struct max_cpu_options {
    int64_t percent; /* of one core; 0 = no limit */
    int64_t time;    /* ms */
};

/* Defaults (PM2's): see options.c. Strings are on the heap and may be NULL where "unset" has a meaning. */
struct app_spec {
    char *name;
    char *ns;     /* namespace */
    char *script; /* absolute path of the program or script to run */
    char *cwd;    /* absolute */
    char **args;  /* NULL-terminated, never NULL */
    char *
        interpreter; /* word or path as given, or chosen from the extension; "none" = run the script itself */
    char **interpreter_args;
    int64_t instances;      /* 0 = one a CPU, -n = n less; >= 1 once the daemon has counted (common/cpus.h) */
    bool instances_given;   /* in this call; the client's own */
    char *exec_mode;        /* "fork" or "cluster" */
    char *cluster_schedule; /* "shared", "round_robin" or "slots" */
    bool graceful_http;     /* of cluster workers: idle keep-alive connections end as HTTP says */
    bool node_probe;        /* metrics from inside Node */
    struct listen_list listen; /* sockets that the daemon opens for it */
    char **env; /* "NAME=value", the whole environment of the app: caller's, env_file, env, env_<name>. From a
                   file also "NAME", null in the wire form: not even what is stored of a known app */

    bool autostart;
    bool autorestart;
    int64_t min_uptime; /* ms */
    int64_t max_restarts;
    int64_t restart_delay;             /* ms */
    int64_t exp_backoff_restart_delay; /* ms; 0 = off */
    struct int_list stop_exit_codes;

    int64_t max_memory_restart; /* bytes; 0 = no limit */
    struct max_memory_options max_memory;
    struct max_cpu_options max_cpu_restart;
    int64_t max_uptime; /* ms; 0 = no limit */

    char *cron_restart; /* when it is restarted; NULL or "0" = never: see times.h */
    char *schedule;     /* when it is run, as a job; NULL or "0" = it is none */
    char *overlap;      /* "skip", "queue" or "kill": when a job's last run still goes */
    char *tz;           /* zone of these times; NULL = the daemon's */

    int64_t kill_timeout; /* ms */
    int64_t stop_signal;  /* signal number */
    bool treekill;
    bool shutdown_with_message;
    bool wait_ready;
    int64_t listen_timeout;         /* ms */
    struct depends_list depends_on; /* apps that are to be up, or done, before it is started */
    struct health_check_options health_check;
    int64_t watchdog; /* ms; 0 = off */

    char *out_file, *error_file,
        *log_file; /* absolute; NULL = default names, none for log_file; "/dev/null" = off */
    bool merge_logs;
    bool merge_logs_set; /* given in the config, so the default rule does not apply */
    bool disable_logs;
    bool log_rows; /* in logs.db */
    bool time;
    char *log_date_format; /* NULL = none; `time` sets YYYY-MM-DDTHH:mm:ss */
    char *log_type;        /* NULL or "json" */
    struct log_rotate_options log_rotate;
    struct log_retention_options log_retention;
    char *log_policy;          /* "block" or "drop" */
    int64_t log_block_timeout; /* ms */
    struct log_rate_limit_options log_rate_limit;
    char *pid_file;

    char **watch;        /* paths from cwd whose changes restart the app; empty = off, "." = cwd */
    char **ignore_watch; /* patterns of what does not count; empty = the default */
    char **ext;          /* extensions of files that count, without dots; empty = all */
    int64_t watch_delay; /* ms */
    struct watch_options watch_options;

    char **on; /* hooks, each "event=target"; see hook_list.h */

    char *instance_var;
    char *increment_var; /* variable to which an instance adds its number; NULL = none */
    char **filter_env;   /* what may not be in the name of an inherited variable; "" keeps out all of them */
    char *uid, *gid;     /* as given (name or number), NULL = the daemon's own */

    /* For the client alone: not in the wire and storage form. */
    bool force;              /* start a second app of this name */
    bool source_map_support; /* acts through interpreter_args */
};

struct app_spec *app_spec_new(void); /* with the defaults of the option table */
void app_spec_free(struct app_spec *s);
struct app_spec *app_spec_dup(const struct app_spec *s);

/*
 * The wire and storage form: an object with the canonical key names, all values in their base units (ms,
 * bytes), only keys that differ from the default, plus "env" as an object. The caller owns the reference.
 */
json_t *app_spec_to_json(const struct app_spec *s);

/* The reverse, with full validation (types, ranges, required keys): the daemon trusts no client. NULL and a
 * message. */
struct app_spec *app_spec_from_json(const json_t *j, struct err *e);

/* A copy of `base` with the keys of such an object over it, checked the same way. NULL and a message. */
struct app_spec *app_spec_with_json(const struct app_spec *base, const json_t *set, struct err *e);

/* One key's value in that form, also when it is the default. NULL for a key that only files have. */
struct option_row;
json_t *app_spec_key_to_json(const struct app_spec *s, const struct option_row *o);

/* Environment helpers on "NAME=value" lists. */
const char *env_get(char *const *env, const char *name); /* NULL when unset */
void env_set(char ***env, const char *name, const char *value);
void env_unset(char **env, const char *name);

/* Drops the variables whose name contains one of the items of a spec's filter_env. NULL drops none. */
void env_filter(char **env, char *const *items);

/* Is this a name whose value is not shown (KEY, TOKEN, SECRET, PASSWORD, ...)? */
bool env_name_is_secret(const char *name);

/*
 * What is shown instead of the value: stars for that of such a name, the URLs in any other without their
 * passwords. On the heap; NULL when the value may be shown as it is.
 */
char *env_mask(const char *name, const char *value);

#endif
