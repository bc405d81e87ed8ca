#include "keeper/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/kwire.h"
#include "keeper/spawn.h"

/* Standard descriptors, sockets, Node channel, error pipe, birth pipe. */
#define PLACES_MAX (3 + SPAWN_SOCKETS_MAX + 3)

static _Noreturn void fail(int err_fd, int step)
{
    struct exec_error e = {step, errno};
    ssize_t ignored = write(err_fd, &e, sizeof(e)); /* fewer than PIPE_BUF bytes: all or nothing */

    (void)ignored;
    _exit(127);
}

void child_reset_signals(const int *keep_ignored)
{
    struct sigaction def = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int sig = 1; sig < NSIG; sig++) {
        bool keep = false;

        for (const int *p = keep_ignored; p && *p; p++)
            keep |= *p == sig;
        if (!keep)
            sigaction(sig, &def, NULL); /* fails for SIGKILL, SIGSTOP and libc's own: harmless */
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * Puts the descriptors in their places and closes everything else: 0 to 2, the sockets, the Node channel;
 * then the error pipe and the birth pipe, which both end with the exec. All sources are moved above the
 * places first.
 */
static void place_descriptors(struct child_setup *c)
{
    int fds[PLACES_MAX], n = 0, kept, all;

    for (int i = 0; i < 3; i++)
        fds[n++] = c->stdio[i];
    for (uint32_t i = 0; i < c->spec->nsockets; i++)
        fds[n++] = c->sockets[i];
    if (c->ipc >= 0)
        fds[n++] = c->ipc;
    kept = all = n;
    fds[all++] = c->err;
    if (c->birth >= 0)
        fds[all++] = c->birth;
    for (int i = 0; i < all; i++) {
        if (fds[i] < all)
            fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, all);
        if (fds[i] < 0)
            fail(c->err, KW_STEP_STDIO);
    }
    c->err = fds[kept];
    for (int i = 0; i < all; i++)
        if ((i < kept ? dup2(fds[i], i) : dup3(fds[i], i, O_CLOEXEC)) < 0)
            fail(c->err, KW_STEP_STDIO);
    c->err = kept;
    /* All of the keeper's descriptors are close-on-exec; closing them now as well means that a child that
     * hangs before its exec (a dead network folder) does not hold the lock or other children's pipes. */
    close_range((unsigned)all, ~0u, 0);
}

static size_t write_decimal(char *out, long value)
{
    char digits[24];
    size_t n = 0, len = 0;
    unsigned long v = value < 0 ? 0ul - (unsigned long)value : (unsigned long)value;

    do
        digits[n++] = (char)('0' + v % 10);
    while (v /= 10);
    if (value < 0)
        out[len++] = '-';
    while (n)
        out[len++] = digits[--n];
    out[len] = '\0';
    return len;
}

/*
 * Until the exec nothing else would tell a later daemon, which finds both others dead, that this process is
 * about to become an app. The exec takes the name away after it has put the new environment in its place. It
 * is given before the copies of the lock and of the link to the engine are closed: nobody can be the next
 * daemon, or keeper, before it is there.
 */
static void take_unborn_name(char *const *envp)
{
    static const char var[] = "PM_RUN_ID=";
    char name[16] = SPAWN_UNBORN; /* what the kernel keeps */
    size_t len = strlen(name);

    for (; *envp; envp++) {
        const char *value = *envp + strlen(var);

        if (strncmp(*envp, var, strlen(var)) != 0)
            continue;
        for (; *value && *value != '.' && len < sizeof(name) - 1; value++)
            name[len++] = *value;
        prctl(PR_SET_NAME, name, 0, 0, 0);
        return;
    }
}

/* Readers take a leading zero for octal, so the number is cut short instead of padded. */
static void write_listen_pid(char **envp)
{
    static const char slot[] = "LISTEN_PID=0000000000";

    for (; *envp; envp++)
        if (strcmp(*envp, slot) == 0)
            write_decimal(*envp + strlen("LISTEN_PID="), getpid());
}

static int set_nofile(const struct child_setup *c)
{
    struct rlimit now, want = c->nofile;

    if (c->spec->nofile_soft) {
        want.rlim_cur = c->spec->nofile_soft;
        want.rlim_max = c->spec->nofile_hard ? c->spec->nofile_hard : c->spec->nofile_soft;
    }
    if (setrlimit(RLIMIT_NOFILE, &want) == 0)
        return 0;
    /* The caller may have had a higher hard limit than the daemon: then as much as there is. */
    if (errno != EPERM || getrlimit(RLIMIT_NOFILE, &now) < 0)
        return -1;
    want.rlim_max = now.rlim_max;
    if (want.rlim_cur > now.rlim_max)
        want.rlim_cur = now.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &want);
}

static int set_oom_score(int score)
{
    char text[24];
    size_t len = write_decimal(text, score);
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : write(fd, text, len);
    int saved = errno;

    if (fd >= 0)
        close(fd);
    errno = saved;
    /* Lowering may be refused even to root (containers); that must not keep a program from running. */
    return n >= 0 || (score <= 0 && (saved == EACCES || saved == EPERM)) ? 0 : -1;
}

static void set_limits(const struct child_setup *c)
{
    const struct spawn_spec *s = c->spec;

    if (s->flags & SPAWN_SET_UMASK)
        umask((mode_t)s->umask & 0777);
    if ((s->flags & SPAWN_SET_NICE) && setpriority(PRIO_PROCESS, 0, s->nice) < 0)
        fail(c->err, KW_STEP_NICE);
    if (set_nofile(c) < 0)
        fail(c->err, KW_STEP_LIMITS);
    if ((s->flags & SPAWN_SET_OOM) && set_oom_score(s->oom_score_adj) < 0)
        fail(c->err, KW_STEP_LIMITS);
}

static bool ids_are(const struct spawn_spec *s)
{
    uid_t r, e, saved;
    gid_t rg, eg, savedg;

    return getresuid(&r, &e, &saved) == 0 && getresgid(&rg, &eg, &savedg) == 0 && r == s->uid &&
           e == s->uid && saved == s->uid && rg == s->gid && eg == s->gid && savedg == s->gid;
}

static void set_ids(const struct child_setup *c)
{
    const struct spawn_spec *s = c->spec;
    gid_t groups[SPAWN_GROUPS_MAX];

    for (uint32_t i = 0; i < s->ngroups; i++)
        groups[i] = s->groups[i];
    /* An unprivileged daemon may be told to be who it is already; only a real change needs the right. */
    if (setgroups(s->ngroups, groups) < 0 && !(errno == EPERM && ids_are(s)))
        fail(c->err, KW_STEP_GROUPS);
    if (setresgid(s->gid, s->gid, s->gid) < 0)
        fail(c->err, KW_STEP_GID);
    if (setresuid(s->uid, s->uid, s->uid) < 0)
        fail(c->err, KW_STEP_UID);
    /* Believe nothing: the ids must be the new ones and the way back to root must be shut. */
    errno = EPERM;
    if (!ids_are(s) || (s->uid != 0 && setresuid(0, 0, 0) == 0))
        fail(c->err, KW_STEP_UID);
}

static const char *search_path(char *const *env)
{
    for (; *env; env++)
        if (strncmp(*env, "PATH=", 5) == 0 && (*env)[5])
            return *env + 5;
    return "/usr/local/bin:/usr/bin:/bin";
}

/* As execvp, but on the PATH of the child's own environment and without a shell for what has no format. */
static _Noreturn void exec_program(const struct child_setup *c)
{
    const struct spawn_spec *s = c->spec;
    char full[PATH_MAX];
    int found = 0;

    if (strchr(s->path, '/')) {
        execve(s->path, s->argv, s->envp);
        fail(c->err, KW_STEP_EXEC);
    }
    for (const char *dir = search_path(s->envp), *end; *dir; dir = *end ? end + 1 : end) {
        end = dir + strcspn(dir, ":");
        if (end == dir || (size_t)(end - dir) + strlen(s->path) + 2 > sizeof(full))
            continue;
        memcpy(full, dir, (size_t)(end - dir));
        full[end - dir] = '/';
        strcpy(full + (end - dir) + 1, s->path);
        execve(full, s->argv, s->envp);
        if (errno == EACCES)
            found = EACCES; /* there is one that may not be executed; a later one may be better */
        else if (errno != ENOENT && errno != ENOTDIR && errno != ESTALE && errno != ETIMEDOUT)
            fail(c->err, KW_STEP_EXEC);
    }
    errno = found ? found : ENOENT;
    fail(c->err, found ? KW_STEP_EXEC : KW_STEP_SEARCH);
}

_Noreturn void child_run(struct child_setup *c)
{
    const struct spawn_spec *s = c->spec;

    take_unborn_name(s->envp);
    setsid(); /* cannot fail: a fresh child leads no group */
    child_reset_signals(NULL);
    place_descriptors(c);
    write_listen_pid(s->envp);
    set_limits(c);
    if (s->cwd[0] && chdir(s->cwd) < 0)
        fail(c->err, KW_STEP_CWD);
    if (s->flags & SPAWN_SET_IDS)
        set_ids(c);
    if ((s->flags & SPAWN_NO_NEW_PRIVS) && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        fail(c->err, KW_STEP_LIMITS);
    exec_program(c);
}
