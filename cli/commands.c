#include "cli/commands.h"

#include <stdint.h>
#include <string.h>

#include "cli/flags.h"
#include "common/mem.h"

#define ANY SIZE_MAX

const struct command commands[] = {
    {
        .name = "start",
        .summary = "start an app, the apps of a config file, or one that is known",
        .usage = "<script|command|config|name|id>... [-- ARGS]",
        .help = "A word is, in this order: a config file (.yaml, .yml, .json); the name or id of an app\n"
                "that the daemon knows, which is restarted; a script, run by the interpreter of its\n"
                "extension or by its own #! line; a program on PATH; or, with a space in it, a command\n"
                "line for the shell. Without a word: ecosystem.yaml, .yml or .json of this folder.\n"
                "\n"
                "It returns when every process has been online for 100 ms (with --wait-ready: has said\n"
                "that it is ready), or has failed: then it says why, and exits with 1. Times are in ms,\n"
                "or with a unit: 500ms, 3s, 2m. Starts the daemon when none runs.",
        .examples = {{"pm start app.js --name api -i 2", "two processes of a Node program"},
                     {"pm start worker.py -- --queue mail", "with arguments for the script"},
                     {"pm start \"npm run serve\" --name web", "a command line"},
                     {"pm start ecosystem.yaml --env production", "a config file with its env_production"},
                     {"pm start ecosystem.yaml --only api,worker", "two of its apps"},
                     {"pm start api", "start again what was stopped"}},
        .flags = start_flags,
        .max_words = ANY,
        .takes_rest = true,
        .daemon = DAEMON_AUTOSTART,
        .run = cmd_start,
    },
    {
        .name = "stop",
        .summary = "stop processes; they stay in the list",
        .usage = "<all|name|id>...",
        .help = "Sends the app's stop signal to the whole tree of processes, and SIGKILL to what is left\n"
                "after its kill_timeout. Returns when nothing is left.",
        .examples = {{"pm stop api", "all processes of the app"}, {"pm stop 0 3", "two processes by id"}},
        .min_words = 1,
        .max_words = ANY,
        .daemon = DAEMON_RUNNING,
        .run = cmd_control,
        .method = "process.stop",
        .done = "stopped",
    },
    {
        .name = "restart",
        .summary = "stop and start processes",
        .usage = "<all|name|id>...",
        .help = "Each process is stopped as by pm stop and started with its stored configuration and\n"
                "environment. Returns when all are online again, or have failed.",
        .examples = {{"pm restart api", "all processes of the app"}, {"pm restart all", "everything"}},
        .min_words = 1,
        .max_words = ANY,
        .daemon = DAEMON_RUNNING,
        .run = cmd_control,
        .method = "process.restart",
        .done = "restarted",
    },
    {
        .name = "delete",
        .aliases = {"del"},
        .summary = "stop processes and forget them",
        .usage = "<all|name|id>...",
        .help = "As pm stop, and the processes leave the list. Their log files stay.",
        .examples = {{"pm delete api", "all processes of the app"}, {"pm delete all", "everything"}},
        .min_words = 1,
        .max_words = ANY,
        .daemon = DAEMON_RUNNING,
        .run = cmd_control,
        .method = "process.delete",
        .done = "deleted",
    },
    {
        .name = "list",
        .aliases = {"ls", "l", "ps", "status"},
        .summary = "all processes as a table",
        .usage = "",
        .help = "On a terminal the table leaves out columns until it fits; in a pipe it has all columns,\n"
                "aligned, without lines. Sorted by name.",
        .examples = {{"pm ls", ""}, {"pm list --json", "for scripts; pm jlist has PM2's fields"}},
        .flags = json_flags,
        .daemon = DAEMON_OPTIONAL,
        .run = cmd_list,
    },
    {
        .name = "jlist",
        .summary = "all processes as JSON, with PM2's fields",
        .usage = "",
        .help = "Values of variables whose names look secret are masked. Without a daemon: [].",
        .examples = {{"pm jlist | jq '.[].pm2_env.status'", ""}},
        .daemon = DAEMON_OPTIONAL,
        .run = cmd_jlist,
    },
    {
        .name = "describe",
        .aliases = {"desc", "info", "show"},
        .summary = "all about some processes",
        .usage = "<all|name|id>...",
        .help = "State, command, files, rules and environment (what differs from this shell's).",
        .examples = {{"pm describe api", ""}},
        .flags = json_flags,
        .min_words = 1,
        .max_words = ANY,
        .daemon = DAEMON_RUNNING,
        .run = cmd_describe,
    },
    {
        .name = "why",
        .summary = "why a process is as it is: how its last runs ended",
        .usage = "<all|name|id>...",
        .help = "For each process: its state and the reason; then the last runs, the newest first: when\n"
                "each ended and how, how long it lived, who asked for it, the memory and CPU time that\n"
                "it used, and its last lines on standard error.",
        .examples = {{"pm why api", ""}, {"pm why 3 --runs 20 --lines 0", "a longer story without lines"}},
        .flags = why_flags,
        .min_words = 1,
        .max_words = ANY,
        .daemon = DAEMON_RUNNING,
        .run = cmd_why,
    },
    {
        .name = "logs",
        .aliases = {"log"},
        .summary = "the last lines, and then those that come",
        .usage = "[all|name|id]...",
        .help = "Lines of all the processes, in the order of their time. Follows until Ctrl-C, also across\n"
                "a restart of the daemon's engine. On a terminal control characters are made visible;\n"
                "--raw passes every byte as the app wrote it.",
        .examples = {{"pm logs", "of all processes"},
                     {"pm logs api --err --lines 100", "the errors of one"},
                     {"pm logs api --nostream --raw > api.txt", "the past lines only"}},
        .flags = logs_flags,
        .max_words = ANY,
        .daemon = DAEMON_RUNNING,
        .run = cmd_logs,
    },
    {
        .name = "send",
        .summary = "write a line to the standard input of a process",
        .usage = "<name|id> <text>...",
        .help = "The words are joined by spaces. Text that begins with a dash stands after \"--\".",
        .examples = {{"pm send 0 reload config", ""}},
        .min_words = 2,
        .max_words = ANY,
        .daemon = DAEMON_RUNNING,
        .run = cmd_send,
    },
    {
        .name = "reloadLogs",
        .aliases = {"reloadlogs", "reload-logs"},
        .summary = "reopen all log files",
        .usage = "",
        .help = "For tools that move log files away. The same as SIGUSR2 to the daemon.",
        .examples = {{"pm reloadLogs", ""}},
        .daemon = DAEMON_RUNNING,
        .run = cmd_reload_logs,
    },
    {
        .name = "ping",
        .summary = "does the daemon answer?",
        .usage = "",
        .help = "Prints { msg: 'pong' }. Exits with 1 when no daemon runs.",
        .examples = {{"pm ping", ""}},
        .daemon = DAEMON_RUNNING,
        .run = cmd_ping,
    },
    {
        .name = "kill",
        .summary = "stop everything and end the daemon",
        .usage = "",
        .help = "All processes are stopped in order and forgotten, then the daemon ends.",
        .examples = {{"pm kill", ""}},
        .daemon = DAEMON_OPTIONAL,
        .run = cmd_kill,
    },
    {
        .name = "help",
        .summary = "help on pm or on a command",
        .usage = "[command]",
        .help = "",
        .examples = {{"pm help start", ""}},
        .max_words = 1,
        .run = cmd_help,
    },
    {
        .name = "version",
        .summary = "print the version",
        .usage = "",
        .help = "",
        .examples = {{"pm version", ""}},
        .run = cmd_version,
    },
};
const size_t n_commands = ARRAY_LEN(commands);

const struct command *command_find(const char *word)
{
    for (size_t i = 0; i < n_commands; i++) {
        if (strcmp(commands[i].name, word) == 0)
            return &commands[i];
        for (const char *const *alias = commands[i].aliases; *alias; alias++)
            if (strcmp(*alias, word) == 0)
                return &commands[i];
    }
    return NULL;
}

static bool same(const char *known, const char *name, size_t len)
{
    return known && strlen(known) == len && memcmp(known, name, len) == 0;
}

static const struct flag *find_in(const struct flag *f, const char *name, size_t len, char letter)
{
    for (; f && f->name; f++) {
        if (letter ? f->letter == letter || f->letter2 == letter
                   : same(f->name, name, len) || same(f->alias, name, len))
            return f;
    }
    return NULL;
}

const struct flag *flag_find(const struct command *c, const char *name, size_t len, char letter)
{
    const struct flag *f = find_in(c ? c->flags : NULL, name, len, letter);

    return f ? f : find_in(global_flags, name, len, letter);
}
