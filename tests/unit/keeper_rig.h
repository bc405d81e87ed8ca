/*
 * The real keeper with an engine whose mind is the test: the engine process is a mere body that passes its
 * link to the test and waits. It can be killed and stopped like an engine, while the test speaks on the link.
 */
#ifndef PM_TESTS_KEEPER_RIG_H
#define PM_TESTS_KEEPER_RIG_H

#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/kwire.h"
#include "common/spawn_spec.h"
#include "keeper/keeper.h"

#define UNUSED       __attribute__((unused))
#define RIG_WAIT_MS  10000
#define RIG_PIDS_MAX 64

/* Orders to the body, in arg. */
#define BODY_NEW_KEEPER 2 /* start one by --attach-fd; the link comes back */
#define BODY_ACCEPT     3 /* accept on the socket that came along, say KW_HELLO; the link comes back */

struct rig {
    char home[64], exe[PATH_MAX], door[96];
    pid_t keeper;
    int listen_fd;    /* bodies report here */
    int report, link; /* of the engine that is there; -1 */
    pid_t engine;
    pid_t pids[RIG_PIDS_MAX]; /* children seen, to be killed at the end */
    int npids, fds_before;
    char *engine_argv[5];
    char *const *use_argv; /* NULL: engine_argv */
    rlim_t keeper_nofile;  /* 0: as it is */
};

static UNUSED int count_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* ---- the body ---- */

static void body_say(int report, int fd)
{
    struct kw_msg m = {.type = KW_HELLO, .pid = getpid()};

    kw_add_fd(&m, KW_FD_NOTIFY, fd);
    if (kw_send(report, &m) < 0)
        _exit(90);
    close(fd);
}

static void body_new_keeper(int report, const char *home, char **argv)
{
    struct keeper_options o = {.home = home, .engine_argv = argv};
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        _exit(91);
    if (fork() == 0) {
        if (fork())
            _exit(0);
        close(pair[0]);
        close(report);
        o.attach_fd = pair[1];
        _exit(keeper_main(&o));
    }
    wait(NULL);
    close(pair[1]);
    body_say(report, pair[0]);
}

static void body_accept(int report, int listen_fd)
{
    struct pollfd p = {listen_fd, POLLIN, 0};
    struct kw_msg hello = {.type = KW_HELLO, .pid = getpid(), .arg = KW_VERSION};
    int fd;

    poll(&p, 1, RIG_WAIT_MS);
    fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0 || kw_send(fd, &hello) < 0)
        _exit(92);
    close(listen_fd);
    body_say(report, fd);
}

/* argv: program "body" socket home */
static UNUSED int body_main(char **argv)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int report = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct pollfd p = {report, POLLIN, 0};
    struct kw_msg m;

    alarm(100);
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", argv[2]);
    if (connect(report, (struct sockaddr *)&a, sizeof(a)) < 0)
        return 93;
    body_say(report, 3);
    while (poll(&p, 1, -1) >= 0) {
        if (kw_recv(report, &m) != 1)
            return 0; /* the test is gone */
        if (m.type == KW_BYE)
            return (int)m.arg;
        if (m.arg == BODY_NEW_KEEPER)
            body_new_keeper(report, argv[3], argv);
        if (m.arg == BODY_ACCEPT)
            body_accept(report, kw_take_fd(&m, KW_FD_ATTACH));
        kw_close_fds(&m);
    }
    return 94;
}

/* ---- the test's side ---- */

static UNUSED void wait_readable(int fd)
{
    struct pollfd p = {fd, POLLIN, 0};

    assert_int_equal(poll(&p, 1, RIG_WAIT_MS), 1);
}

/* The next message but for the greeting; its descriptors are the caller's. */
static UNUSED struct kw_msg recv_any(int fd)
{
    struct kw_msg m;

    do {
        wait_readable(fd);
        assert_int_equal(kw_recv(fd, &m), 1);
    } while (m.type == KW_WELCOME);
    return m;
}

static UNUSED struct kw_msg rig_expect(struct rig *r, uint32_t type, uint64_t token)
{
    struct kw_msg m = recv_any(r->link);

    assert_int_equal(m.type, type);
    assert_true(m.token == token);
    if (type == KW_CHILD && m.pid && r->npids < RIG_PIDS_MAX)
        r->pids[r->npids++] = m.pid;
    return m;
}

static UNUSED void rig_nothing_more(struct rig *r)
{
    struct pollfd p = {r->link, POLLIN, 0};
    struct kw_msg m;

    while (poll(&p, 1, 150) > 0) {
        assert_int_equal(kw_recv(r->link, &m), 1);
        assert_int_equal(m.type, KW_WELCOME);
    }
}

static UNUSED void rig_say(struct rig *r, const struct kw_msg *m)
{
    int rc, tries = 0;

    while ((rc = kw_send(r->link, m)) == -EAGAIN && tries++ < RIG_WAIT_MS)
        usleep(1000);
    assert_int_equal(rc, 0);
}

static UNUSED void rig_plain(struct rig *r, uint32_t type, uint64_t token)
{
    struct kw_msg m = {.type = type, .token = token};

    rig_say(r, &m);
}

static UNUSED void rig_drop(struct rig *r, uint64_t token, enum kw_fd a, enum kw_fd b)
{
    struct kw_msg m = {.type = KW_DROP, .token = token};

    kw_add_fd(&m, a, -1);
    kw_add_fd(&m, b, -1);
    rig_say(r, &m);
}

/* Drops what an acknowledged run still holds: its record goes. */
static UNUSED void rig_drop_rest(struct rig *r, uint64_t token)
{
    rig_drop(r, token, KW_FD_STDOUT, KW_FD_STDERR);
    rig_drop(r, token, KW_FD_SPEC, KW_FD_SPEC);
}

/* Takes what a body reported: pid and link. */
static UNUSED void rig_take_report(struct rig *r)
{
    struct kw_msg m = recv_any(r->report);

    r->engine = m.pid;
    if (r->link >= 0)
        close(r->link);
    r->link = kw_take_fd(&m, KW_FD_NOTIFY);
    assert_true(r->link >= 0);
    kw_close_fds(&m);
}

/* Waits for the next engine. */
static UNUSED void rig_next_engine(struct rig *r)
{
    if (r->report >= 0)
        close(r->report);
    wait_readable(r->listen_fd);
    r->report = accept4(r->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(r->report >= 0);
    rig_take_report(r);
}

static UNUSED void rig_hello(struct rig *r)
{
    struct kw_msg m = {.type = KW_HELLO, .pid = r->engine, .arg = KW_VERSION};

    rig_say(r, &m);
}

/* Hello and an empty snapshot. */
static UNUSED void rig_greet(struct rig *r)
{
    struct kw_msg m;

    rig_hello(r);
    rig_plain(r, KW_SNAPSHOT, 0);
    m = rig_expect(r, KW_CHILD, 0);
    assert_int_equal(m.nfds, 3);
    kw_close_fds(&m);
    m = recv_any(r->link);
    assert_int_equal(m.type, KW_SNAPSHOT_END);
}

/* Asks for the snapshot and skips the daemon's own record. */
static UNUSED void rig_ask_snapshot(struct rig *r)
{
    struct kw_msg m;

    rig_plain(r, KW_SNAPSHOT, 0);
    m = rig_expect(r, KW_CHILD, 0);
    kw_close_fds(&m);
}

static UNUSED struct kw_msg rig_snapshot_end(struct rig *r)
{
    struct kw_msg m = recv_any(r->link);

    assert_int_equal(m.type, KW_SNAPSHOT_END);
    return m;
}

static UNUSED int open_log(struct rig *r, int flags)
{
    char path[96];

    snprintf(path, sizeof(path), "%s/test.log", r->home);
    return open(path, flags | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static UNUSED bool log_has(struct rig *r, const char *words)
{
    static char text[1 << 16];
    int fd = open_log(r, O_RDONLY);
    ssize_t n = read(fd, text, sizeof(text) - 1);

    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return strstr(text, words) != NULL;
}

/* Runs keeper_main in a child, its stderr in test.log. */
static UNUSED pid_t rig_fork_keeper(struct rig *r, bool foreground, bool autostart)
{
    struct keeper_options o = {.home = r->home,
                               .foreground = foreground,
                               .autostart = autostart,
                               .attach_fd = -1,
                               .engine_argv = r->use_argv ? r->use_argv : r->engine_argv};
    pid_t pid = fork();

    if (pid == 0) {
        int log = open_log(r, O_WRONLY);
        struct rlimit lim = {r->keeper_nofile, r->keeper_nofile};

        dup2(log, 2);
        if (r->keeper_nofile)
            setrlimit(RLIMIT_NOFILE, &lim);
        _exit(keeper_main(&o));
    }
    assert_true(pid > 0);
    return pid;
}

static UNUSED int rig_init(struct rig *r)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    static bool known;
    ssize_t n;

    /* The keeper runs this program again as its engine. A main() that does not hand over to body_main then
     * would run the tests again, each of which starts a keeper, and so on. */
    if (!known && getenv("RIG_DOOR")) {
        fprintf(stderr, "main() must call body_main() when argv[1] is \"body\"\n");
        _exit(1);
    }
    known = true;
    *r = (struct rig){.report = -1, .link = -1, .listen_fd = -1, .fds_before = count_fds()};
    n = readlink("/proc/self/exe", r->exe, sizeof(r->exe) - 1);
    assert_true(n > 0);
    snprintf(r->home, sizeof(r->home), "/tmp/pm-keeper-XXXXXX");
    assert_non_null(mkdtemp(r->home));
    snprintf(r->door, sizeof(r->door), "%s/door", r->home);
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", r->door);
    r->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(r->listen_fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(r->listen_fd, 10), 0);
    r->engine_argv[0] = r->exe;
    r->engine_argv[1] = (char *)"body";
    r->engine_argv[2] = r->door;
    r->engine_argv[3] = r->home;
    r->engine_argv[4] = NULL;
    setenv("PM_HEARTBEAT_LIMIT", "60000", 1);
    /* Whatever loses its parent comes here, so that nothing is left unseen. */
    return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

static UNUSED int exit_status_of(pid_t pid)
{
    uint64_t end = clock_mono_ms() + RIG_WAIT_MS;
    int status;

    while (clock_mono_ms() < end) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return status;
        usleep(5000);
    }
    fail_msg("process %d does not end", (int)pid);
    return -1;
}

static UNUSED void rig_start(struct rig *r)
{
    r->keeper = rig_fork_keeper(r, true, false);
    rig_next_engine(r);
    rig_greet(r);
}

static UNUSED int read_pid_file(struct rig *r)
{
    char path[96], text[16] = "";
    int fd;

    snprintf(path, sizeof(path), "%s/pmd.pid", r->home);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    assert_true(read(fd, text, sizeof(text) - 1) >= 0);
    close(fd);
    return atoi(text);
}

static UNUSED bool home_has(struct rig *r, const char *name)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", r->home, name);
    return access(path, F_OK) == 0;
}

/* Says goodbye, ends the body and returns the keeper's exit status. */
static UNUSED int rig_bye(struct rig *r, int status)
{
    struct kw_msg m = {.type = KW_BYE, .arg = (uint64_t)status};
    pid_t keeper = r->keeper;

    rig_say(r, &m);
    m.arg = 0;
    assert_int_equal(kw_send(r->report, &m), 0);
    r->keeper = 0;
    return exit_status_of(keeper);
}

static UNUSED void remove_home(const char *home)
{
    DIR *d = opendir(home);
    struct dirent *e;

    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.')
            unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    rmdir(home);
}

static void close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Ends everything and proves that nothing is left: no process, no descriptor. */
static UNUSED int rig_deinit(struct rig *r)
{
    uint64_t end = clock_mono_ms() + RIG_WAIT_MS;
    pid_t pid = 0;

    if (r->keeper > 0)
        kill(r->keeper, SIGKILL);
    if (r->engine > 0)
        kill(r->engine, SIGCONT);
    close_one(&r->report);
    close_one(&r->link);
    close_one(&r->listen_fd);
    for (int i = 0; i < r->npids; i++)
        kill(-r->pids[i], SIGKILL);
    while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0 && clock_mono_ms() < end) {
        /* One that was not in its own group yet; it is only surely the same while it is our child. */
        for (int i = 0; i < r->npids; i++)
            if (waitpid(r->pids[i], NULL, WNOHANG) == 0)
                kill(r->pids[i], SIGKILL);
        if (pid == 0)
            usleep(2000);
    }
    remove_home(r->home);
    if (pid >= 0 || count_fds() != r->fds_before) {
        fprintf(stderr, "left behind: %s, descriptors %d -> %d\n", pid >= 0 ? "a process" : "no process",
                r->fds_before, count_fds());
        return -1;
    }
    return 0;
}

/* ---- children ---- */

static UNUSED struct spawn_spec shell_spec(char *argv[4], const char *script)
{
    static char *envp[] = {(char *)"PATH=/usr/bin:/bin", (char *)"LISTEN_PID=0000000000", NULL};

    argv[0] = (char *)"sh";
    argv[1] = (char *)"-c";
    argv[2] = (char *)script;
    argv[3] = NULL;
    return (struct spawn_spec){.path = "/bin/sh", .cwd = "/", .argv = argv, .envp = envp};
}

static UNUSED void rig_spawn_spec(struct rig *r, uint64_t token, uint32_t flags, uid_t uid,
                                  const struct spawn_spec *s)
{
    struct err e;
    struct kw_msg m = {.type = KW_SPAWN,
                       .token = token,
                       .proc = (uint32_t)token + 100,
                       .flags = flags,
                       .uid = uid,
                       .note_len = 4,
                       .note = "note"};
    int fd = spawn_spec_seal(s, &e);

    assert_true(fd >= 0);
    kw_add_fd(&m, KW_FD_SPEC, fd);
    rig_say(r, &m);
    close(fd);
}

static UNUSED void rig_spawn(struct rig *r, uint64_t token, const char *script)
{
    char *argv[4];
    struct spawn_spec s = shell_spec(argv, script);

    rig_spawn_spec(r, token, 0, geteuid(), &s);
}

/* Spawns and follows up to the successful exec. */
static UNUSED struct kw_msg rig_run(struct rig *r, uint64_t token, const char *script)
{
    struct kw_msg child, m;

    rig_spawn(r, token, script);
    child = rig_expect(r, KW_CHILD, token);
    m = rig_expect(r, KW_EXEC, token);
    assert_int_equal(m.error, 0);
    return child;
}

/* Reads until `n` bytes are there or the limit is over. */
static UNUSED void expect_output(int fd, const char *want)
{
    char got[4096];
    size_t len = 0, n = strlen(want);

    while (len < n) {
        wait_readable(fd);
        ssize_t rc = read(fd, got + len, sizeof(got) - 1 - len);
        assert_true(rc > 0);
        len += (size_t)rc;
    }
    got[len] = '\0';
    assert_string_equal(got, want);
}

/* How many descriptors it has, and the highest. */
static UNUSED void look_at_fds(pid_t pid, int *n, int *highest)
{
    char path[64];
    struct dirent *e;
    DIR *d;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    d = opendir(path);
    assert_non_null(d);
    *n = *highest = 0;
    while ((e = readdir(d)))
        if (e->d_name[0] != '.') {
            *highest = atoi(e->d_name) > *highest ? atoi(e->d_name) : *highest;
            (*n)++;
        }
    closedir(d);
}

/* An exec closes descriptors one after another: the one that tells of it may not be the last. */
static UNUSED void expect_fds(pid_t pid, int highest)
{
    int n, top;

    for (int i = 0; i < 5000; i++) {
        look_at_fds(pid, &n, &top);
        if (top <= highest && n == highest + 1)
            return;
        usleep(1000);
    }
    assert_int_equal(top, highest);
    assert_int_equal(n, highest + 1);
}

#endif
