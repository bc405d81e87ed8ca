/* Which commands and flags the CLI has: one row each, from which help, completion and manual are made. */
#ifndef PM_CLI_COMMANDS_H
#define PM_CLI_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

struct args;
struct cli;

enum flag_type {
    FLAG_BOOL,
    FLAG_TEXT,     /* a value; one that is itself a known flag is taken for a forgotten value */
    FLAG_WORDS,    /* a value that may begin with a dash */
    FLAG_NUMBER,   /* an integer from min to max */
    FLAG_NUMBERS,  /* integers: "0,64", "0 64"; given again, they add up */
    FLAG_OPTIONAL, /* "--log=x", or "--log x" after the command; may stand alone */
};

struct flag {
    const char *name;  /* without dashes */
    const char *alias; /* a second long name */
    char letter, letter2;
    enum flag_type type;
    const char *arg; /* name of the value in the help */
    const char *help;
    long long min, max;  /* of FLAG_NUMBER */
    const char *key;     /* the config key that it sets, for start */
    const char *value;   /* what a FLAG_BOOL sets it to, or a FLAG_OPTIONAL that stands alone */
    const char *unit;    /* put behind a value that is a plain number; NULL = the key's own unit */
    const char *idle;    /* taken with a warning, since it does nothing: why */
    const char *refused; /* known, and an error: why */
    const char *group;   /* on the first flag of a group in the help: its heading */
};

struct example {
    const char *line, *what;
};

/* What a command needs of the daemon. */
enum daemon_need {
    DAEMON_NONE,     /* never talks to it */
    DAEMON_OPTIONAL, /* has an answer without it; never starts one */
    DAEMON_RUNNING,  /* fails without it; never starts one */
    DAEMON_AUTOSTART /* starts it */
};

#define COMMAND_ALIASES  4
#define COMMAND_EXAMPLES 6

struct command {
    const char *name;
    const char *aliases[COMMAND_ALIASES + 1];
    const char *summary; /* one line */
    const char *topic;   /* on the first command of a topic in the help: its heading */
    const char *usage;   /* what follows the name, without [options] */
    const char *help;    /* paragraphs, lines of at most 78 columns */
    struct example examples[COMMAND_EXAMPLES + 1];
    const struct flag *flags; /* ends at a NULL name; NULL = none of its own */
    size_t min_words, max_words;
    bool takes_rest; /* words after "--" are the app's; elsewhere they are words as any */
    enum daemon_need daemon;
    int (*run)(struct cli *c, const struct args *a); /* returns the exit code */
    const char *method;                              /* of commands that only differ by it */
    const char *done;                                /* "stopped": what such a command did to a process */
};

extern const struct command commands[];
extern const size_t n_commands;
extern const struct flag global_flags[]; /* ends at a NULL name */

/* What the command does when no daemon runs: a sentence. */
const char *command_without_daemon(const struct command *c);

const struct command *command_find(const char *word); /* by name or alias; NULL */

/* By long name or alias (letter 0), or by letter (name NULL), among the command's flags and the global ones.
 */
const struct flag *flag_find(const struct command *c, const char *name, size_t len, char letter);

int cmd_start(struct cli *c, const struct args *a);
int cmd_restart(struct cli *c, const struct args *a);
int cmd_reload(struct cli *c, const struct args *a);
int cmd_start_or(struct cli *c, const struct args *a);
int cmd_control(struct cli *c, const struct args *a);
int cmd_scale(struct cli *c, const struct args *a);
int cmd_signal(struct cli *c, const struct args *a);
int cmd_id(struct cli *c, const struct args *a);
int cmd_pid(struct cli *c, const struct args *a);
int cmd_env(struct cli *c, const struct args *a);
int cmd_list(struct cli *c, const struct args *a);
int cmd_jlist(struct cli *c, const struct args *a);
int cmd_prettylist(struct cli *c, const struct args *a);
int cmd_monit(struct cli *c, const struct args *a);
int cmd_describe(struct cli *c, const struct args *a);
int cmd_logs(struct cli *c, const struct args *a);
int cmd_metrics(struct cli *c, const struct args *a);
int cmd_why(struct cli *c, const struct args *a);
int cmd_send(struct cli *c, const struct args *a);
int cmd_trigger(struct cli *c, const struct args *a);
int cmd_events(struct cli *c, const struct args *a);
int cmd_attach(struct cli *c, const struct args *a);
int cmd_flush(struct cli *c, const struct args *a);
int cmd_logrotate(struct cli *c, const struct args *a);
int cmd_reload_logs(struct cli *c, const struct args *a);
int cmd_save(struct cli *c, const struct args *a);
int cmd_resurrect(struct cli *c, const struct args *a);
int cmd_cleardump(struct cli *c, const struct args *a);
int cmd_settings(struct cli *c, const struct args *a);
int cmd_ping(struct cli *c, const struct args *a);
int cmd_update(struct cli *c, const struct args *a);
int cmd_kill(struct cli *c, const struct args *a);
int cmd_report(struct cli *c, const struct args *a);
int cmd_examples(struct cli *c, const struct args *a);
int cmd_help(struct cli *c, const struct args *a);
int cmd_version(struct cli *c, const struct args *a);

#endif
