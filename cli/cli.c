#include "cli/cli.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/autostart.h"
#include "cli/help.h"
#include "cli/session.h"
#include "common/err.h"

/* "pm restart api worker", without flags and without the app's own arguments, which may hold secrets. */
static void describe_request(struct cli *c, const struct args *a)
{
    size_t used = (size_t)snprintf(c->by, sizeof(c->by), "pm %s", a->command->name);
    /* What is sent to a process is its own business, and a setting may be a secret. */
    bool first_only = a->command->run == cmd_send || a->command->run == cmd_settings;
    size_t n = first_only && a->n_words ? 1 : a->n_words;

    for (size_t i = 0; i < n && used < sizeof(c->by); i++)
        used += (size_t)snprintf(c->by + used, sizeof(c->by) - used, " %s", a->words[i]);
    /* The cut may have left half a character, and words may be no UTF-8 at all; JSON takes neither. */
    for (char *p = c->by; *p; p++)
        if ((unsigned char)*p >= 0x80 || (unsigned char)*p < 0x20)
            *p = '?';
}

/* Once each: a flag that scripts hold for PM2's sake and that does nothing. */
static void warn_of_idle_flags(const struct cli *c, const struct args *a)
{
    for (size_t i = 0; i < a->n_given; i++) {
        const struct flag *f = a->given[i].flag;
        bool said = false;

        for (size_t k = 0; k < i; k++)
            said = said || a->given[k].flag == f;
        if (f->idle && !said)
            out_warn(&c->out, "--%s has no effect: %s", f->name, f->idle);
    }
}

/* Commands that make sense of a daemon of another version. */
static bool takes_any_version(const struct command *cmd)
{
    return cmd->run == cmd_kill || cmd->run == cmd_ping || cmd->run == cmd_update || cmd->run == cmd_report;
}

static int run(struct cli *c, const struct args *a)
{
    const struct command *cmd = a->command;
    enum session_state s = SESSION_NO_DAEMON;
    struct err e = {0};

    warn_of_idle_flags(c, a);
    if (list_view_read(&c->view, a, &e) < 0) {
        out_error(&c->out, "%s", e.msg);
        return EXIT_USAGE;
    }
    if (cmd->daemon == DAEMON_NONE)
        return cmd->run(c, a);
    c->home_path = home_path(args_text(a, "home"), &e);
    if (!c->home_path)
        return out_error(&c->out, "%s", e.msg);
    /* Whoever asks for the home in this process, or is started by it, means this one. */
    setenv("PM_HOME", c->home_path, 1);
    describe_request(c, a);
    /* DAEMON_AUTOSTART: the command itself starts it, once it knows that what it was given makes sense. */
    s = session_connect(c, false, takes_any_version(cmd));
    if (s == SESSION_FAILED)
        return EXIT_FAILED;
    if (s == SESSION_NO_DAEMON && cmd->daemon == DAEMON_RUNNING)
        return session_no_daemon(c);
    return cmd->run(c, a);
}

static int dispatch(struct cli *c, const struct args *a)
{
    if (args_has(a, "version"))
        return cmd_version(c, a);
    if (args_has(a, "help")) {
        help_print(&c->out, a->command);
        return EXIT_DONE;
    }
    if (!a->command) {
        help_usage();
        return EXIT_FAILED;
    }
    return run(c, a);
}

int cli_main(int argc, char **argv)
{
    struct cli c = {.home = {.dirfd = -1}, .rpc = {.fd = -1}};
    struct args a = {0};
    struct err e = {0};
    int code;

    /* A caller that ignores SIGPIPE hands that down; a reader that went away shall end us all the same. */
    signal(SIGPIPE, SIG_DFL);
    out_init(&c.out);
    if (args_parse(&a, argc, argv, &e) < 0) {
        out_error(&c.out, "%s", e.msg);
        code = EXIT_USAGE;
    } else {
        out_set_flags(&c.out, args_has(&a, "silent"), args_has(&a, "no-color"));
        code = dispatch(&c, &a);
    }
    if (out_finish(&c.out) != 0 && code == EXIT_DONE)
        code = EXIT_FAILED;
    if (c.connected)
        rpc_close(&c.rpc);
    home_close(&c.home);
    free(c.home_path);
    args_deinit(&a);
    return code;
}
