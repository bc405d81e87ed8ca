#include "keeper/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/plog.h"
#include "keeper/attach.h"
#include "keeper/engine.h"
#include "keeper/files.h"
#include "keeper/handover.h"
#include "keeper/link.h"
#include "keeper/loop.h"
#include "keeper/ready.h"
#include "keeper/state.h"
#include "keeper/upgrade.h"

#define LOCK_WAIT_MS   10000u /* a daemon that goes down holds the lock until its engine has ended */
#define ATTACH_WAIT_MS 3000
#define COMMON_NOFILE  1024u
#define CALLER_NOFILE  "PM_CALLER_NOFILE"

/* Descriptors 0 to 2 must be taken, or a pipe would get one of these numbers. */
static int secure_stdio(const char **why)
{
    int fd;

    *why = "cannot open /dev/null";
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd < 2);
    if (fd < 0)
        return -errno;
    if (dup2(fd, 0) < 0)
        return -errno;
    if (fd > 2)
        close(fd);
    return 0;
}

/*
 * Many children need many descriptors, so the keeper and its engine take all that they may; each child gets
 * what the first caller had. That travels to later keepers, which inherit the raised limit from an engine, in
 * the environment.
 */
static void raise_nofile(struct keeper *k)
{
    const char *first = k->attached ? getenv(CALLER_NOFILE) : NULL;
    struct rlimit all;
    char text[32];

    if (getrlimit(RLIMIT_NOFILE, &k->child_nofile) < 0)
        k->child_nofile = (struct rlimit){COMMON_NOFILE, COMMON_NOFILE};
    all = k->child_nofile;
    all.rlim_cur = all.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &all) < 0)
        log_warn("cannot raise the limit of open files: %s", strerror(errno));
    if (first && strtoul(first, NULL, 10) > 0)
        k->child_nofile.rlim_cur = strtoul(first, NULL, 10);
    if (k->child_nofile.rlim_cur > k->child_nofile.rlim_max)
        k->child_nofile.rlim_cur = k->child_nofile.rlim_max;
    snprintf(text, sizeof(text), "%lu", (unsigned long)k->child_nofile.rlim_cur);
    setenv(CALLER_NOFILE, text, 1);
}

/* "pmd --engine --keeper-fd 3 --home DIR". The strings live as long as the keeper. */
static char *const *engine_argv(struct keeper *k, char *argv[7])
{
    argv[0] = k->program;
    argv[1] = (char *)"--engine";
    argv[2] = (char *)"--keeper-fd";
    argv[3] = (char *)"3";
    argv[4] = (char *)"--home";
    argv[5] = k->home.path;
    argv[6] = NULL;
    return argv;
}

/* A descriptor that the caller left open would live as long as the daemon: whoever waits for the end of that
 * pipe would wait for ever. */
static void close_inherited(int keep)
{
    if (keep < 0) {
        close_range(3, ~0u, 0);
        return;
    }
    if (keep > 3)
        close_range(3, (unsigned)keep - 1, 0);
    close_range((unsigned)keep + 1, ~0u, 0);
    fcntl(keep, F_SETFD, FD_CLOEXEC);
}

static void pause_ms(long ms)
{
    struct timespec ts = {0, ms * 1000000};

    nanosleep(&ts, NULL);
}

/* Fresh under the lock, or attached to a living engine. 0, or an exit status (-1: exit with 0) after the
 * reason was told. */
static int take_home(struct keeper *k, const struct keeper_options *o)
{
    uint64_t end = clock_mono_ms() + LOCK_WAIT_MS;
    struct err e;
    int fd;

    do {
        fd = files_lock(k, &e);
        if (fd >= 0 && files_bind(k, fd, &e) == 0)
            return 0;
        if (fd != -EWOULDBLOCK) {
            ready_fail(k, 1, "%s", e.msg);
            return 1;
        }
        switch (attach_ask(k, ATTACH_WAIT_MS, &fd)) {
        case ATTACH_TAKEN:
            k->attached = true;
            if (attach_engine(k, fd) == 0)
                return 0;
            ready_fail(k, 1, "cannot attach to the engine that runs for %s", k->home.path);
            return 1;
        case ATTACH_RUNS:
            if (o->autostart) {
                ready_ok(k);
                return -1;
            }
            ready_fail(k, 1, "a daemon already runs for %s (pid %d)", k->home.path, files_read_pid(k));
            return 1;
        case ATTACH_SILENT:
            pause_ms(20);
        }
    } while (clock_mono_ms() < end);
    ready_fail(k, 1, "another daemon holds %s/%s and does not answer", k->home.path, HOME_LOCK);
    return 1;
}

/* Everything between the detaching and the loop. As take_home. */
static int begin(struct keeper *k, const struct keeper_options *o)
{
    struct err e;
    int rc;

    if (!k->foreground && o->attach_fd < 0) {
        if (files_open_log(k, &e) < 0) {
            ready_fail(k, 1, "%s", e.msg);
            return 1;
        }
        if (chdir("/") < 0)
            log_warn("cannot leave the caller's folder: %s", strerror(errno));
    }
    if (loop_init(k, &e) < 0) {
        ready_fail(k, 1, "%s", e.msg);
        return 1;
    }
    if (o->attach_fd >= 0) {
        k->attached = true;
        if (attach_engine(k, o->attach_fd) < 0) {
            ready_fail(k, 1, "cannot attach to the engine at descriptor %d", o->attach_fd);
            return 1;
        }
    } else if ((rc = take_home(k, o)) != 0) {
        return rc;
    }
    /* Orphans of the apps come here, so that they can be found and do not remain as zombies of nobody. */
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
        log_warn("cannot become a subreaper: %s", strerror(errno));
    raise_nofile(k);
    files_write_pid(k);
    return 0;
}

int keeper_check_upgrade(const char *version)
{
    unsigned long n = strtoul(version, NULL, 10);

    if (n >= HANDOVER_OLDEST && n <= HANDOVER_VERSION)
        return KEEPER_CAN_UPGRADE;
    fprintf(stderr, "pmd: pm %s takes over from keepers whose state has version %d to %d, not %.20s\n",
            PM_VERSION, HANDOVER_OLDEST, HANDOVER_VERSION, version);
    return 1;
}

static void end(struct keeper *k)
{
    if (k->link.fd >= 0)
        close(k->link.fd);
    table_deinit(&k->table);
    if (k->engine.pidfd >= 0)
        close(k->engine.pidfd);
    if (k->engine.err_fd >= 0)
        close(k->engine.err_fd);
    if (k->epoll_fd >= 0)
        close(k->epoll_fd);
    if (k->engine.image >= 0)
        close(k->engine.image);
    if (k->upgrade.probe > 0)
        close(k->upgrade.probe_err);
    if (k->signal_fd >= 0)
        close(k->signal_fd);
    home_close(&k->home);
}

/* Opens the home and detaches. -1 to go on, else the exit status of this process. */
static int prepare(struct keeper *k, const struct keeper_options *o)
{
    const char *why = NULL;
    struct err e;
    int rc = secure_stdio(&why);

    if (rc == 0 && !o->resume_fd && (rc = upgrade_find_program(k)) < 0)
        why = "cannot find out where this program is";
    if (rc < 0) {
        fprintf(stderr, "pmd: %s: %s\n", why, strerror(-rc));
        return 1;
    }
    if (!o->resume_fd) /* else everything open is meant to be */
        close_inherited(o->attach_fd);
    _cleanup_free_ char *path = home_path(o->home, &e);
    if (!path || home_open(&k->home, path, 1, &e) < 0) {
        fprintf(stderr, "pmd: %s\n", e.msg);
        return 1;
    }
    if (o->resume_fd)
        return -1;
    if (o->attach_fd >= 0) {
        setsid(); /* fails for a leader, which needs none */
        return -1;
    }
    return o->foreground ? -1 : ready_detach(k);
}

int keeper_main(const struct keeper_options *o)
{
    static struct keeper k; /* too large for the stack, and there is one */
    static char *own_argv[7];
    bool resumed = false;
    int rc;

    k = (struct keeper){.foreground = o->foreground,
                        .home = {.dirfd = -1},
                        .ready_fd = READY_NOBODY,
                        .engine = {.pidfd = -1, .err_fd = -1, .image = -1},
                        .epoll_fd = -1,
                        .signal_fd = -1};
    plog_init("keeper");
    table_init(&k.table);
    link_init(&k.link);
    rc = prepare(&k, o);
    if (rc < 0) {
        engine_init(&k.engine, o->engine_argv ? o->engine_argv : engine_argv(&k, own_argv));
        rc = o->resume_fd ? upgrade_resume(&k, o) : begin(&k, o);
        resumed = rc == 0;
        if (rc == 0) {
            log_info("keeper %s for %s", PM_VERSION, k.home.path);
            loop_run(&k);
            rc = k.status;
        }
    }
    if (o->resume_fd && !resumed)
        upgrade_go_back(&k, o);
    end(&k);
    return rc < 0 ? 0 : rc;
}
