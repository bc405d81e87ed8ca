#include "keeper/shutdown.h"

#include <signal.h>
#include <sys/pidfd.h>

#include "common/clock.h"
#include "common/plog.h"
#include "keeper/files.h"
#include "keeper/timer.h"

#define ENGINE_TRIES 5u
#define TERM_MS      5000u
#define KILL_MS      1000u

void shutdown_by_signal(struct keeper *k, int sig)
{
    if (!k->shutdown.wanted)
        log_info("signal %d: the apps are stopped, then the daemon ends", sig);
    k->shutdown.wanted = true;
    k->shutdown.signalled = true;
}

void shutdown_by_engine(struct keeper *k)
{
    k->shutdown.wanted = true;
    k->shutdown.signalled = true;
    k->link.stop_told = true; /* it is the one that said so; its successor will have to be told */
}

void shutdown_bye(struct keeper *k, int status)
{
    k->shutdown.wanted = true;
    k->shutdown.bye = true;
    k->shutdown.bye_ms = clock_mono_ms();
    k->status = status;
    /* Before the engine ends: who sees its connection close may start the next daemon at once, and must not
     * find these. */
    files_remove(k);
    log_info("everything is stopped, the daemon ends");
}

void shutdown_now(struct keeper *k, int status)
{
    files_remove(k);
    k->status = status;
    k->quit = true;
}

/* Each live child and, for those that this keeper can be sure of, its process group: a child leads its own,
 * and while it is not waited for nobody else can get that number. Returns how many are alive. */
static unsigned signal_children(struct keeper *k, int sig)
{
    struct record *r;
    unsigned alive = 0;

    TAILQ_FOREACH (r, &k->table.all, all) {
        if (r->reaped || r->acked || (r->flags & KW_HAS_EXITED) || r->fds[KW_FD_PIDFD] < 0)
            continue;
        if (pidfd_send_signal(r->fds[KW_FD_PIDFD], sig, NULL, 0) < 0)
            continue;
        if (sig && !(r->flags & KW_FOREIGN))
            kill(-r->pid, sig);
        alive++;
    }
    return alive;
}

void shutdown_engine_failed(struct keeper *k)
{
    struct shutdown *s = &k->shutdown;

    if (!s->wanted || s->gave_up || ++s->failures < ENGINE_TRIES)
        return;
    log_error(
        "no engine could finish the shutdown in %u tries: the keeper stops the apps itself, with SIGTERM "
        "now and SIGKILL after %u ms",
        s->failures, TERM_MS);
    s->gave_up = 1;
    s->deadline_ms = clock_mono_ms() + TERM_MS;
    signal_children(k, SIGTERM);
}

void shutdown_tick(struct keeper *k, uint64_t now_ms, uint64_t *next)
{
    struct shutdown *s = &k->shutdown;

    if (!s->gave_up || k->quit)
        return;
    if (signal_children(k, 0) == 0) {
        log_error("the apps are stopped; the daemon ends without having stored that");
        shutdown_now(k, 1);
        return;
    }
    if (now_ms >= s->deadline_ms && s->gave_up == 2) {
        log_error("some processes do not end even by SIGKILL; the daemon ends");
        shutdown_now(k, 1);
        return;
    }
    if (now_ms >= s->deadline_ms) {
        signal_children(k, SIGKILL);
        s->gave_up = 2;
        s->deadline_ms = now_ms + KILL_MS;
    }
    timer_due(next, s->deadline_ms);
    timer_due(next, now_ms + 50); /* children that are not ours end without a SIGCHLD */
}
