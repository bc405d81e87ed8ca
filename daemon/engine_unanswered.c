/*
 * Spawns of which a dead keeper had not told all. Of one that it had not answered nobody knows whether there
 * is a child: it is looked for by its run's id and ended before the life cycle starts another, or the app
 * would run twice. Of one whose child is known the success of the exec is still to be told.
 *
 * The id is in the child's environment only after its exec, and the child needs no keeper to get there. So
 * each request carries the write end of a pipe, which the keeper closes once it has forked and the child's
 * exec closes in the kernel, after the old memory is gone. When the pipe has ended, whoever was forked for
 * this run is dead or has been executed and can be found. Nobody can be between the two, however slow its
 * set-up; a child that hangs there (a dead network folder) delays its own run and no other.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/plog.h"
#include "daemon/engine.h"

/* Before what SIGKILL has not ended is killed again, and before a watch that failed is tried again. */
#define AGAIN_MS 500

struct unanswered {
    struct engine *engine;
    uint64_t run;
    uv_poll_t poll;
    uv_timer_t again;
    int fd; /* read end of the pipe; -1: it has ended */
    int open_handles;
    bool has_poll, killing, over;
};

/* Makes the pipe of a spawn: the read end stays with the hold. The write end, the caller's, or -errno. */
int engine_birth_pipe(struct hold *hold)
{
    int p[2];

    if (pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    hold_born(hold);
    hold->birth = p[0];
    return p[1];
}

static void free_if_idle(struct unanswered *u)
{
    if (!u->over || u->open_handles || u->killing)
        return;
    if (u->fd >= 0)
        close(u->fd);
    free(u);
}

static void on_timer_closed(uv_handle_t *h)
{
    struct unanswered *u = h->data;

    u->open_handles--;
    free_if_idle(u);
}

static void on_poll_closed(uv_handle_t *h)
{
    struct unanswered *u = h->data;

    close(u->fd);
    u->fd = -1;
    u->open_handles--;
    free_if_idle(u);
}

static void close_poll(struct unanswered *u)
{
    if (u->has_poll)
        uv_close((uv_handle_t *)&u->poll, on_poll_closed);
    u->has_poll = false;
}

void engine_unanswered_drop(struct hold *hold)
{
    struct unanswered *u = hold->unanswered;

    hold->unanswered = NULL;
    if (!u)
        return;
    u->over = true;
    close_poll(u);
    uv_close((uv_handle_t *)&u->again, on_timer_closed);
}

static void on_killed(void *arg, const struct tree_job *job, unsigned alive);

static void find_and_kill(struct unanswered *u)
{
    struct tree_job job = {.op = TREE_KILL, .ctx = engine_tree_ctx(u->engine), .run = {.run = u->run}};

    job.run.foreign = true; /* all of /proc: it is not the new keeper's child */
    u->killing = true;
    tree_submit(&u->engine->loop, &job, on_killed, u);
}

static void on_again(uv_timer_t *t);

static void on_killed(void *arg, const struct tree_job *job, unsigned alive)
{
    struct unanswered *u = arg;
    struct engine *e = u->engine;
    struct hold *hold;

    u->killing = false;
    if (u->over) {
        free_if_idle(u);
        return;
    }
    if (alive) {
        log_warn("run %llu: %u of its processes still alive after SIGKILL", (unsigned long long)u->run,
                 alive);
        uv_timer_start(&u->again, on_again, AGAIN_MS, 0);
        return;
    }
    hold = holds_get(&e->holds, job->run.run);
    if (hold) {
        engine_unanswered_drop(hold);
        holds_free(&e->holds, hold); /* the new keeper does not know it */
    }
    if (e->sup)
        supervisor_on_unanswered(e->sup, job->run.run);
}

static void pipe_ended(struct unanswered *u)
{
    struct engine *e = u->engine;
    struct hold *hold = holds_get(&e->holds, u->run);

    if (!hold || hold->pid <= 0) {
        find_and_kill(u);
        return;
    }
    engine_unanswered_drop(hold);
    /* Executed, or dead before it could be: that is told by the pidfd. */
    supervisor_on_exec(e->sup, hold->run, 0, 0);
}

static void on_poll(uv_poll_t *h, int status, int events)
{
    struct unanswered *u = h->data;
    char byte;

    (void)events;
    /* Nobody writes: what is readable is the end. */
    if (status == 0 && read(u->fd, &byte, 1) < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    close_poll(u);
    pipe_ended(u);
}

static void watch(struct unanswered *u)
{
    if (u->fd < 0) {
        pipe_ended(u);
        return;
    }
    if (uv_poll_init(&u->engine->loop, &u->poll, u->fd) < 0) {
        uv_timer_start(&u->again, on_again, AGAIN_MS, 0);
        return;
    }
    u->poll.data = u;
    u->has_poll = true;
    u->open_handles++;
    uv_poll_start(&u->poll, UV_READABLE, on_poll);
}

static void on_again(uv_timer_t *t)
{
    watch(t->data);
}

/* Was the answer, or the news of the exec, still to come? */
static bool is_open(const struct process *p, const struct hold *hold)
{
    if (hold->exited)
        return false;
    return hold->pid > 0 ? hold->birth >= 0 : p->pid == 0;
}

static void settle_list(struct engine *e, struct process_list *list)
{
    struct process *p, *next;

    for (p = TAILQ_FIRST(list); p; p = next) {
        struct hold *hold = p->run ? holds_get(&e->holds, p->run) : NULL;
        struct unanswered *u;

        next = TAILQ_NEXT(p, entry); /* a candidate may take another's place in here */
        if (!hold || hold->unanswered || !is_open(p, hold))
            continue;
        u = xcalloc(1, sizeof(*u));
        *u = (struct unanswered){.engine = e, .run = p->run, .fd = hold->birth, .open_handles = 1};
        hold->birth = -1;
        hold->unanswered = u;
        uv_timer_init(&e->loop, &u->again);
        u->again.data = u;
        watch(u);
    }
}

void engine_settle_spawns(struct engine *e)
{
    settle_list(e, supervisor_processes(e->sup));
    settle_list(e, supervisor_shadows(e->sup));
}
