/* News from the keeper, and what to do when it is gone. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/plog.h"
#include "daemon/engine.h"
#include "daemon/engine_cluster.h"
#include "daemon/foreign.h"
#include "daemon/methods.h"
#include "daemon/sockets.h"

int engine_send(struct engine *e, const struct kw_msg *m)
{
    int rc = e->link ? keeper_link_send(e->link, m) : -EPIPE;

    /* While there is no keeper nothing is lost: what it must know goes to the next one with the hand-over. A
     * spawn is the exception: it is refused once there is one, and the life cycle tries again. */
    if (rc == -EPIPE)
        return 0;
    if (rc < 0)
        log_error("message %u for run %llu cannot go to the keeper: %s", (unsigned)m->type,
                  (unsigned long long)m->token, strerror(-rc));
    return rc;
}

/* The keeper's note of a living run is always as fresh as this engine's memory: a successor starts from it.
 */
void engine_note(struct engine *e, const struct process *p)
{
    struct kw_msg m = {.type = KW_NOTE, .token = p->run};
    struct hold *hold = holds_get(&e->holds, p->run);

    if (!hold || hold->exited)
        return;
    /* Also before the fork's answer, or a stop in that moment would be unknown to the next engine. */
    m.note_len = (uint16_t)process_note_write(p, m.note, sizeof(m.note));
    if (m.note_len == hold->note_len && memcmp(hold->note, m.note, m.note_len) == 0)
        return;
    memcpy(hold->note, m.note, m.note_len);
    hold->note_len = m.note_len;
    engine_send(e, &m);
}

/* The spec goes last: with it a new engine knows where late output of an ended run belongs. */
static void forget_if_over(struct engine *e, struct hold *hold)
{
    static const enum kw_fd last[] = {KW_FD_SPEC, KW_FD_STDOUT, KW_FD_STDERR, KW_FD_SPOOL_OUT,
                                      KW_FD_SPOOL_ERR};
    struct kw_msg drop = {.type = KW_DROP, .token = hold->run};

    if (!hold->acked || !hold_is_empty(hold))
        return;
    /* Also what did not reach us for want of descriptors: the keeper's record would stay for ever. */
    for (size_t i = 0; i < ARRAY_LEN(last); i++)
        kw_add_fd(&drop, last[i], -1);
    engine_send(e, &drop);
    holds_free(&e->holds, hold);
}

void engine_ack(struct engine *e, uint64_t run)
{
    static const enum kw_fd kinds[] = {KW_FD_PIDFD,  KW_FD_STDIN, KW_FD_IPC,
                                       KW_FD_NOTIFY, KW_FD_TALK,  KW_FD_STATE};
    struct kw_msg m = {.type = KW_ACK, .token = run}, drop = {.type = KW_DROP, .token = run};
    struct hold *hold = holds_get(&e->holds, run);

    kw_add_fd(&drop, KW_FD_NOTIFY, -1);
    kw_add_fd(&drop, KW_FD_TALK, -1);
    engine_send(e, &drop);
    engine_send(e, &m);
    if (!hold)
        return;
    engine_unwatch(e, hold);
    engine_unanswered_drop(hold);
    hold_born(hold);
    hold->acked = true;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        hold_close(hold, kinds[i]);
    forget_if_over(e, hold);
}

/* Hook of the log path: everything of the stream is stored. */
void engine_stream_done(struct engine *e, uint64_t run, enum log_stream_kind kind)
{
    enum kw_fd pipe = kind == LOG_OUT ? KW_FD_STDOUT : KW_FD_STDERR;
    enum kw_fd spool = kind == LOG_OUT ? KW_FD_SPOOL_OUT : KW_FD_SPOOL_ERR;
    struct kw_msg drop = {.type = KW_DROP, .token = run};
    struct hold *hold = holds_get(&e->holds, run);

    kw_add_fd(&drop, pipe, -1);
    kw_add_fd(&drop, spool, -1);
    engine_send(e, &drop);
    if (!hold)
        return;
    hold_close(hold, pipe);
    hold_close(hold, spool);
    forget_if_over(e, hold);
}

void engine_spool_made(struct engine *e, uint64_t run, enum log_stream_kind kind, int fd)
{
    enum kw_fd spool = kind == LOG_OUT ? KW_FD_SPOOL_OUT : KW_FD_SPOOL_ERR;
    struct kw_msg held = {.type = KW_HOLD, .token = run};

    hold_set(holds_make(&e->holds, run), spool, fd);
    kw_add_fd(&held, spool, fd);
    engine_send(e, &held);
}

static void child_came(struct engine *e, struct kw_msg *m)
{
    struct hold *hold = holds_make(&e->holds, m->token);
    struct process *p;

    hold->proc = m->proc;
    hold->pid = m->pid;
    hold->start_ticks = m->start_ticks;
    hold->start_us = m->start_us;
    hold_take_all(hold, m);
    tree_root_add(m->pid, m->token);
    supervisor_on_child(e->sup, m->token, m->pid, m->start_ticks, m->start_us / 1000);
    p = supervisor_by_run(e->sup, m->token);
    if (!p)
        return;
    engine_attach_process_logs(e, p);
    engine_connect_run(e, p);
    engine_save_process(e, p);
    engine_note(e, p);
}

static void exec_known(struct engine *e, const struct kw_msg *m)
{
    struct hold *hold = holds_get(&e->holds, m->token);

    if (hold)
        hold_born(hold);
    supervisor_on_exec(e->sup, m->token, m->step, m->error);
}

static void child_ended(struct engine *e, const struct kw_msg *m)
{
    struct hold *hold = holds_get(&e->holds, m->token);
    const struct run_end end = {.run = m->token,
                                .wait_status = m->wait_status,
                                .status_known = true,
                                .end_us = m->end_us,
                                .utime_us = m->utime_us,
                                .stime_us = m->stime_us,
                                .maxrss_bytes = m->maxrss_bytes};

    if (hold)
        engine_run_ended(e, hold, &end);
}

void engine_run_ended(struct engine *e, struct hold *hold, const struct run_end *end)
{
    hold->exited = true;
    tree_root_remove(hold->pid);
    if (e->logs)
        logs_drain(e->logs, end->run);
    engine_cluster_read_out(e, end->run);
    supervisor_on_exit(e->sup, end);
    if (!supervisor_by_run(e->sup, end->run) && !hold->acked && !hold->ending)
        engine_ack(e, end->run); /* of no process: nobody else would */
}

/* SIGUSR2: the apps' files, and the daemon's own log when it goes to a file. */
void engine_reopen_logs(struct engine *e)
{
    _cleanup_free_ char *path = home_file(&e->home, HOME_LOG);
    struct stat st;

    if (e->logs)
        logs_reopen(e->logs);
    if (fstat(STDERR_FILENO, &st) < 0 || !S_ISREG(st.st_mode))
        return;
    _cleanup_close_ int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        dup2(fd, STDERR_FILENO);
}

static void signal_came(struct engine *e, int sig)
{
    if (sig == SIGUSR2)
        engine_reopen_logs(e);
    else if (sig == SIGTERM && e->restore)
        e->end_asked = true; /* nothing is known of the apps yet: all would seem to be stopped */
    else if (sig == SIGTERM)
        engine_shutdown(e, false, "signal to the daemon", NULL, NULL);
}

void engine_keeper_welcome(struct engine *e, const struct kw_msg *m)
{
    e->keeper_pid = m->pid;
    e->keeper_version = m->arg;
    e->keeper_welcomed = true;
    e->keeper_tries = 0;
    free(e->keeper_trouble);
    e->keeper_trouble = m->note_len ? xasprintf("%.*s", m->note_len, (const char *)m->note) : NULL;
    if (m->arg < KEEPER_HOLDS_SOCKETS)
        log_warn(
            "the keeper (pid %d) is of an older version and holds no listening sockets; pm update brings "
            "the new one",
            m->pid);
    if (e->server)
        server_set_keeper_pid(e->server, m->pid);
}

static void on_message(void *arg, struct kw_msg *m)
{
    struct engine *e = arg;

    if (e->restore) {
        restore_message(e, m);
        return;
    }
    switch (m->type) {
    case KW_CHILD:
        child_came(e, m);
        break;
    case KW_EXEC:
        exec_known(e, m);
        break;
    case KW_EXITED:
        child_ended(e, m);
        break;
    case KW_REFUSED:
        log_warn("run %llu: cannot %s: %s", (unsigned long long)m->token, kw_step_word(m->step),
                 strerror(m->error));
        if (m->step == KW_STEP_SOCKET)
            sockets_hand_over(e->sockets); /* it may have had no room for them: the next try needs them */
        supervisor_on_refused(e->sup, m->token, m->step, m->error);
        break;
    case KW_SIGNAL:
        signal_came(e, (int)m->arg);
        break;
    case KW_WELCOME:
        engine_keeper_welcome(e, m);
        break;
    case KW_ANSWERED:
        engine_cluster_answered(e, m);
        break;
    case KW_UPGRADED:
        update_keeper_answered(e, m);
        break;
    default: /* of a newer keeper */
        break;
    }
}

/* Used once the state is together, for what came meanwhile. */
void engine_keeper_message(struct engine *e, struct kw_msg *m)
{
    on_message(e, m);
}

int engine_link(struct engine *e, int fd)
{
    const struct keeper_link_hooks hooks = {.arg = e, .message = on_message, .lost = engine_keeper_lost};
    struct kw_msg hello = {.type = KW_HELLO, .pid = getpid(), .arg = KW_VERSION};
    struct ucred cred;
    socklen_t len = sizeof(cred);

    /* Of a socket pair this is the process that made it: the keeper, or this one when it made the pair for a
     * new keeper. */
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && cred.pid != getpid())
        e->keeper_pid = cred.pid;
    e->link = keeper_link_new(&e->loop, fd, &hooks);
    if (!e->link)
        return -ENOMEM;
    engine_send(e, &hello);
    return 0;
}

static void hand_over_own(struct engine *e)
{
    struct kw_msg m = {.type = KW_HOLD};
    struct hold *own = holds_get(&e->holds, 0);

    for (int kind = 1; own && kind < KW_FD_COUNT; kind++)
        if (own->fds[kind] >= 0)
            kw_add_fd(&m, (enum kw_fd)kind, own->fds[kind]);
    engine_send(e, &m);
}

/* One run to the new keeper: its record with the first descriptors, then the rest. The child was the old
 * keeper's. */
static void hand_over_run(struct engine *e, struct hold *hold)
{
    struct kw_msg m = {.type = KW_ADOPT,
                       .token = hold->run,
                       .proc = hold->proc,
                       .pid = hold->pid,
                       .start_ticks = hold->start_ticks,
                       .start_us = hold->start_us,
                       .flags = hold->told ? KW_TOLD : 0,
                       .note_len = hold->note_len};

    memcpy(m.note, hold->note, hold->note_len);
    for (int kind = 1; kind < KW_FD_COUNT; kind++) {
        if (hold->fds[kind] < 0)
            continue;
        if (m.nfds == KW_FDS_MAX) {
            engine_send(e, &m);
            m = (struct kw_msg){.type = KW_HOLD, .token = hold->run};
        }
        kw_add_fd(&m, (enum kw_fd)kind, hold->fds[kind]);
    }
    engine_send(e, &m);
    if (hold->acked) {
        m = (struct kw_msg){.type = KW_ACK, .token = hold->run};
        engine_send(e, &m);
    }
}

static void attach_keeper(struct engine *e, int fd)
{
    struct hold *hold;

    e->keeper_welcomed = false;
    e->keeper_retry = engine_link(e, fd) < 0; /* it took the descriptor in both cases */
    if (e->keeper_retry) {
        log_error("cannot talk to the new keeper");
        return;
    }
    hand_over_own(e);
    e->keeper_version = 0; /* it has not said yet */
    sockets_hand_over(e->sockets);
    HOLDS_FOREACH (hold, &e->holds) {
        /* Without a pid the old keeper never answered: see engine_unanswered.c. */
        if (hold->run == 0 || hold->pid <= 0)
            continue;
        hand_over_run(e, hold);
        if (hold->run >= e->foreign_below)
            e->foreign_below = hold->run + 1;
        engine_watch_foreign(e, hold->run);
    }
    engine_cluster_keeper_changed(e);
}

static void start_keeper(struct engine *e)
{
    struct err err;
    /* What is installed may be broken: every second try is with the image that runs. */
    bool own = e->keeper_tries++ % 2 == 1;
    int fd = keeper_start_new(own ? "/proc/self/exe" : e->pmd_path, e->pmd_path, &e->home, &err);

    if (fd < 0) {
        e->keeper_retry = true;
        log_error("no new keeper: %s; trying again", err.msg);
        return;
    }
    attach_keeper(e, fd);
    engine_settle_spawns(e);
}

/* Ends whose rows were queued before this commit was asked for. */
struct late_acks {
    struct engine *engine;
    uint64_t up_to;
};

static void acks_stored(void *arg, int rc, const char *msg)
{
    struct late_acks *late = arg;
    struct engine *e = late->engine;
    uint64_t runs[2048], up_to = late->up_to;
    struct hold *hold;
    size_t n = 0;

    (void)msg;
    free(late);
    if (rc != 0) {
        e->acks_pending = true;
        return;
    }
    HOLDS_FOREACH (hold, &e->holds) {
        /* A run that ended since has rows that this commit did not have. */
        if (hold->ending && hold->ending <= up_to && !hold->acked && n < ARRAY_LEN(runs))
            runs[n++] = hold->run;
    }
    if (n == ARRAY_LEN(runs))
        e->acks_pending = true;
    while (n > 0)
        engine_ack(e, runs[--n]);
}

void engine_keeper_tick(struct engine *e)
{
    const struct kw_msg beat = {.type = KW_BEAT};

    if (e->link)
        engine_send(e, &beat);
    else if (e->keeper_retry)
        start_keeper(e);
    if (e->acks_pending && e->logs) { /* the store closes after the logs: then nothing is asked of it */
        struct late_acks *late = xcalloc(1, sizeof(*late));

        e->acks_pending = false;
        *late = (struct late_acks){e, e->ends};
        store_commit(e->store, acks_stored, late);
    }
}

/*
 * The keeper died while this engine was still taking over from it: neither has all. It becomes a new daemon,
 * which finds the apps by state.db, as after any double fault. The lock went with the keeper, and this
 * program has no children.
 */
static void begin_afresh(struct engine *e)
{
    execl(e->pmd_path, e->pmd_path, "--autostart", "--home", e->home.path, (char *)NULL);
    log_error("cannot start a new daemon (%s): %s", e->pmd_path, strerror(errno));
    _exit(1);
}

void engine_keeper_lost(void *arg)
{
    struct engine *e = arg;

    log_error("the keeper (pid %d) is gone; the apps stay, a new keeper is started", e->keeper_pid);
    keeper_link_close(e->link);
    e->link = NULL;
    update_abort(e, "the keeper ended while it was under way; the apps go on and another keeper is started");
    if (e->restore)
        begin_afresh(e);
    /* One that did not even say its first word (a broken binary) would be followed by the same, as fast as
     * this program can fork: the next try comes with the next beat. */
    if (e->keeper_welcomed)
        start_keeper(e);
    else
        e->keeper_retry = true;
}

/* A pmd that found the lock taken asks to be this engine's keeper. */
void engine_keeper_asked(void *arg, int fd)
{
    struct engine *e = arg;

    if (e->link || e->restore) {
        close(fd); /* there is one */
        return;
    }
    attach_keeper(e, fd);
    engine_settle_spawns(e);
}
