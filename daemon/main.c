/* pmd: the keeper, or with --engine the engine. */
#include <getopt.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "common/err.h"
#include "common/home.h"
#include "common/mem.h"
#include "daemon/engine.h"
#include "keeper/keeper.h"

enum flag {
    FLAG_HOME = 256,
    FLAG_NO_DAEMON,
    FLAG_AUTOSTART,
    FLAG_ENGINE,
    FLAG_KEEPER_FD,
    FLAG_ATTACH_FD,
    FLAG_RESUME_FD,
    FLAG_PREVIOUS_FD,
    FLAG_CHECK_UPGRADE
};

static const struct option flags[] = {
    {"home", required_argument, NULL, FLAG_HOME},
    {"no-daemon", no_argument, NULL, FLAG_NO_DAEMON},
    {"autostart", no_argument, NULL, FLAG_AUTOSTART},
    {"engine", no_argument, NULL, FLAG_ENGINE},
    {"keeper-fd", required_argument, NULL, FLAG_KEEPER_FD},
    {"attach-fd", required_argument, NULL, FLAG_ATTACH_FD},
    {"resume-fd", required_argument, NULL, FLAG_RESUME_FD},
    {"previous-fd", required_argument, NULL, FLAG_PREVIOUS_FD},
    {"check-upgrade", required_argument, NULL, FLAG_CHECK_UPGRADE},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static const char help[] =
    "Usage: pmd [--home DIR] [--no-daemon]\n"
    "The daemon of pm: starts programs, keeps them running and stores what they write. `pm` starts it when "
    "needed.\n"
    "\n"
    "  --home DIR     folder for socket, databases and logs (default: $PM_HOME, then ~/.pm)\n"
    "  --no-daemon    stay in the foreground and log to stderr\n"
    "  --autostart    do nothing, successfully, when a daemon already runs\n"
    "  --version      print the version\n"
    "  --help         print this\n"
    "\n"
    "Used by the daemon itself: --engine, --keeper-fd N, --attach-fd N, --resume-fd N, --previous-fd N,\n"
    "--check-upgrade VERSION.\n";

struct args {
    struct keeper_options keeper;
    bool engine;
    int keeper_fd;
};

static int usage_error(const char *what, const char *arg)
{
    fprintf(stderr, "pmd: %s%s%s; see pmd --help\n", what, arg ? " " : "", arg ? arg : "");
    return 2;
}

/* A descriptor number above stderr, or -1. */
static int parse_fd(const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);

    return *text && !*end && n > 2 && n < 1 << 30 ? (int)n : -1;
}

/* -1 to go on, else the exit status. */
static int take_fd(int *fd, const char *flag)
{
    *fd = parse_fd(optarg);
    if (*fd >= 0)
        return -1;
    fprintf(stderr, "pmd: %s needs a descriptor, not %s; see pmd --help\n", flag, optarg);
    return 2;
}

/* -1 to go on, else the exit status. */
static int take_flag(struct args *a, int flag)
{
    switch (flag) {
    case FLAG_HOME:
        a->keeper.home = optarg;
        return -1;
    case FLAG_NO_DAEMON:
        a->keeper.foreground = true;
        return -1;
    case FLAG_AUTOSTART:
        a->keeper.autostart = true;
        return -1;
    case FLAG_ENGINE:
        a->engine = true;
        return -1;
    case FLAG_KEEPER_FD:
        return take_fd(&a->keeper_fd, "--keeper-fd");
    case FLAG_ATTACH_FD:
        return take_fd(&a->keeper.attach_fd, "--attach-fd");
    case FLAG_RESUME_FD:
        return take_fd(&a->keeper.resume_fd, "--resume-fd");
    case FLAG_PREVIOUS_FD:
        return take_fd(&a->keeper.previous_fd, "--previous-fd");
    case FLAG_CHECK_UPGRADE:
        return keeper_check_upgrade(optarg);
    case 'V':
        puts(PM_VERSION);
        return 0;
    default:
        fputs(help, stdout);
        return 0;
    }
}

static int run_engine(const struct args *a)
{
    struct err e;
    _cleanup_free_ char *home = home_path(a->keeper.home, &e);

    if (!home) {
        fprintf(stderr, "pmd: %s\n", e.msg);
        return 1;
    }
    /* Each thread would get a heap of its own, most of it empty: 0.3 MB, a tenth of the engine. The threads
     * allocate little; the log path was measured to be no slower. */
    mallopt(M_ARENA_MAX, 1);
    return engine_main(home, a->keeper_fd);
}

int main(int argc, char **argv)
{
    struct args a = {.keeper = {.attach_fd = -1}, .keeper_fd = -1};
    int flag, rc;

    /* An image that was executed through its descriptor would have that number for a name. */
    prctl(PR_SET_NAME, "pmd", 0, 0, 0);
    opterr = 0;
    for (;;) {
        int at = optind;

        flag = getopt_long(argc, argv, "+:", flags, NULL);
        if (flag == -1)
            break;
        if (flag == '?')
            return usage_error("unknown flag", argv[at]);
        if (flag == ':')
            return usage_error("a value is missing after", argv[at]);
        if ((rc = take_flag(&a, flag)) >= 0)
            return rc;
    }
    if (optind < argc)
        return usage_error("unexpected argument", argv[optind]);
    if (a.engine != (a.keeper_fd >= 0))
        return usage_error("--engine and --keeper-fd go together", NULL);
    return a.engine ? run_engine(&a) : keeper_main(&a.keeper);
}
