/* Why a process is where it is, in words for the operator. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/kwire.h"
#include "config/times.h"
#include "daemon/supervisor_impl.h"

/* A line of text that grows in a fixed buffer; what does not fit is cut. */
struct line {
    char *out;
    size_t size, len;
};

static void add(struct line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct line *l, const char *fmt, ...)
{
    va_list ap;
    int n;

    if (l->len + 1 >= l->size)
        return;
    va_start(ap, fmt);
    n = vsnprintf(l->out + l->len, l->size - l->len, fmt, ap);
    va_end(ap);
    if (n > 0)
        l->len += (size_t)n;
    if (l->len >= l->size)
        l->len = l->size - 1;
}

static struct line line_init(char *out, size_t size)
{
    if (size)
        out[0] = '\0';
    return (struct line){out, size, 0};
}

static void add_duration(struct line *l, uint64_t ms)
{
    if (ms < 1000)
        add(l, "%" PRIu64 " ms", ms);
    else if (ms < 60 * 1000)
        add(l, ms % 1000 < 100 ? "%" PRIu64 " s" : "%" PRIu64 ".%" PRIu64 " s", ms / 1000, ms % 1000 / 100);
    else if (ms < 3600 * 1000)
        add(l, "%" PRIu64 " min", ms / 60000);
    else if (ms < 48ull * 3600 * 1000)
        add(l, "%" PRIu64 " h", ms / 3600000);
    else
        add(l, "%" PRIu64 " days", ms / 86400000);
}

void sup_duration_words(uint64_t ms, char *out, size_t size)
{
    struct line l = line_init(out, size);

    add_duration(&l, ms);
}

static void add_signal(struct line *l, int sig)
{
    const char *name = sigabbrev_np(sig);

    if (name)
        add(l, "SIG%s", name);
    else
        add(l, "signal %d", sig);
}

static void add_status(struct line *l, const struct last_exit *e)
{
    if (e->signal) {
        add(l, "killed by ");
        add_signal(l, e->signal);
        if (e->core)
            add(l, " (core dumped)");
    } else if (e->exit_code >= 0) {
        add(l, "exited with code %d", e->exit_code);
    } else {
        add(l, "ended with unknown status");
    }
}

/* `what` is what a failed step was about; NULL when it is not known. */
static void add_failure(struct line *l, const struct last_exit *e, const char *what)
{
    if (e->step == KW_STEP_SEARCH && what) {
        add(l, "interpreter \"%s\" is not on the PATH of the app", what);
        return;
    }
    if (e->step)
        add(l, "cannot %s%s%s", kw_step_word(e->step), what ? " " : "", what ? what : "");
    else
        add(l, "cannot start");
    add(l, ": %s", strerror(e->error));
}

static void add_end(struct line *l, const struct last_exit *e, const char *what)
{
    switch (e->reason) {
    case LC_R_EXEC_FAILED:
    case LC_R_SPAWN_REFUSED:
        add_failure(l, e, what);
        break;
    case LC_R_STOPPED:
        add(l, "stopped by request: ");
        add_status(l, e);
        break;
    case LC_R_RESTARTED:
        add(l, "restarted by request: ");
        add_status(l, e);
        break;
    case LC_R_DELETED:
        add(l, "deleted: ");
        add_status(l, e);
        break;
    case LC_R_RELOADED:
        add(l, "replaced by a reload: ");
        add_status(l, e);
        break;
    case LC_R_RELOAD_FAILED:
        add(l, "removed by a reload, not fit in time: ");
        add_status(l, e);
        break;
    case LC_R_SHUTDOWN:
        add(l, "stopped with the daemon: ");
        add_status(l, e);
        break;
    case LC_R_READY_TIMEOUT:
        add(l, "not ready in time, stopped: ");
        add_status(l, e);
        break;
    case LC_R_LOST:
        add(l, "ended while no daemon watched, status unknown");
        break;
    default:
        add_status(l, e);
        break;
    }
}

void last_exit_words(const struct last_exit *e, char *out, size_t size)
{
    struct line l = line_init(out, size);

    if (e->valid)
        add_end(&l, e, NULL);
    else
        add(&l, "never ran");
}

static const char *failed_object(const struct process *p)
{
    const struct app_spec *spec = p->app->spec;

    if (p->last.step == KW_STEP_CWD)
        return spec->cwd;
    if (p->last.step == KW_STEP_EXEC || p->last.step == KW_STEP_SEARCH)
        return spec->interpreter && strcmp(spec->interpreter, "none") != 0 ? spec->interpreter : spec->script;
    return NULL;
}

static void add_last(struct line *l, const struct proc *pr)
{
    const struct last_exit *e = &pr->p.last;

    if (e->reason == LC_R_EXEC_FAILED && pr->spawn_error) {
        add(l, "%s", pr->spawn_error);
        return;
    }
    add_end(l, e, failed_object(&pr->p));
    if (e->reason == LC_R_EXIT || e->reason == LC_R_SIGNAL) {
        add(l, " after ");
        add_duration(l, e->ended_ms - e->started_ms);
    }
}

void sup_end_words(const struct proc *pr, char *out, size_t size)
{
    struct line l = line_init(out, size);

    add_last(&l, pr);
}

static void add_by(struct line *l, const struct process *p)
{
    if (p->by && *p->by)
        add(l, " (%s)", p->by);
}

static void add_request(struct line *l, const struct process *p, bool going_on)
{
    switch (p->reason) {
    case LC_R_RESTARTED:
        add(l, going_on ? "stopping for a restart" : "restarted");
        break;
    case LC_R_DELETED:
        add(l, going_on ? "stopping, to be deleted" : "deleted");
        break;
    case LC_R_SHUTDOWN:
        add(l, going_on ? "stopping with the daemon" : "stopped with the daemon");
        break;
    case LC_R_RELOADED:
        add(l, going_on ? "stopping: replaced by a reload" : "replaced by a reload");
        break;
    case LC_R_RELOAD_FAILED:
        add(l, going_on ? "stopping: not fit to replace the old one" : "not fit to replace the old one");
        break;
    case LC_R_READY_TIMEOUT:
        add(l, going_on ? "stopping: not ready within " : "stopped: not ready within ");
        add_duration(l, sup_ready_limit((const struct proc *)p));
        break;
    default:
        add(l, going_on ? "stopping by request" : "stopped by request");
        break;
    }
    add_by(l, p);
}

static void describe_stopping(struct line *l, const struct proc *pr, uint64_t now)
{
    const struct process *p = &pr->p;

    if (pr->stuck) {
        add(l, "cannot be killed: %u process%s still alive %u s after SIGKILL (uninterruptible?); pid %d",
            pr->alive, pr->alive == 1 ? "" : "es", KILL_STUCK_MS / 1000, (int)p->pid);
        return;
    }
    add_request(l, p, true);
    if (pr->kill_since) {
        add(l, "; SIGKILL sent");
    } else if (p->deadline_ms) {
        add(l, "; SIGKILL in ");
        add_duration(l, p->deadline_ms > now ? p->deadline_ms - now : 0);
    }
    if (p->exited && !p->tree_empty)
        add(l, "; %u of its processes still alive", pr->alive);
}

/* What is down comes back at its app's times. */
static void add_times(struct line *l, const struct process *p)
{
    bool job = app_is_job(p->app->spec);
    char time[SCHEDULE_TIME_MAX];

    if (!app_times(p->app->spec))
        return;
    add(l, job ? "%swaits for its schedule" : "%scron_restart starts it", l->len ? "; " : "");
    if (p->times.next)
        add(l, job ? ", next at %s" : " at %s", schedule_time(time, NULL, p->times.next));
}

/* "waits for db (started): its dependency db failed: ..." */
static bool describe_held(struct line *l, const struct proc *pr)
{
    const struct supervisor *s = pr->s;
    struct sys_hold why = {0};

    if (!pr->p.held || !s->sys.hold(s->sys.ctx, &pr->p, &why) || !why.waits[0])
        return false;
    add(l, "%s", why.waits);
    if (why.failed[0])
        add(l, ": %s", why.failed);
    return true;
}

static void describe_stopped(struct line *l, const struct proc *pr)
{
    const struct process *p = &pr->p;

    if (describe_held(l, pr))
        return;
    switch (p->reason) {
    case LC_R_NONE:
        if (p->last.valid)
            add_last(l, pr);
        else if (!app_is_job(p->app->spec))
            add(l, "not started yet");
        break;
    case LC_R_EXIT:
    case LC_R_SIGNAL:
    case LC_R_LOST:
        add_last(l, pr);
        if (!app_is_job(p->app->spec))
            add(l,
                p->app->spec->autorestart ? "; stop_exit_codes says not to restart" : "; autorestart is off");
        break;
    default:
        add_request(l, p, false);
        break;
    }
    add_times(l, p);
}

static void describe_waiting(struct line *l, const struct proc *pr, uint64_t now)
{
    const struct process *p = &pr->p;

    if (p->last.valid)
        add_last(l, pr);
    else
        add(l, "ended");
    if (p->deadline_ms > now) {
        add(l, "; restarting in ");
        add_duration(l, p->deadline_ms - now);
    } else {
        add(l, "; restarting now");
    }
}

static void describe_errored(struct line *l, const struct proc *pr)
{
    const struct process *p = &pr->p;

    if (p->reason == LC_R_BUDGET)
        add(l, "%" PRId64 " unstable run%s in a row; the last: ", p->app->spec->max_restarts,
            p->app->spec->max_restarts == 1 ? "" : "s");
    if (p->last.valid)
        add_last(l, pr);
    else
        add(l, "failed");
    add_times(l, p);
}

/* What a reload has beside the process. */
static void add_reload(struct line *l, const struct proc *pr)
{
    const struct process *c = pr->candidate ? &pr->candidate->p : NULL;
    struct process *p;

    if (c && c->pid)
        add(l, "; being reloaded: the new process (pid %d) is not in its place yet", (int)c->pid);
    else if (c)
        add(l, "; being reloaded");
    TAILQ_FOREACH (p, &pr->s->shadows, entry)
        if (sup_slot_of(proc_of(p)) == pr && p->role == ROLE_DRAINING && p->pid)
            add(l, "; the process before (pid %d) is finishing its connections", (int)p->pid);
}

static void describe_up(struct line *l, const struct process *p, uint64_t now)
{
    uint64_t since = p->state == LC_ONLINE && p->online_ms ? p->online_ms : p->started_ms;

    if (p->state == LC_ONLINE)
        add(l, "up for ");
    else if (p->deadline_ms)
        add(l, "waiting to be ready, for ");
    else
        add(l, "starting, for ");
    add_duration(l, since && now > since ? now - since : 0);
    if (p->last.valid) {
        add(l, "; the run before: ");
        add_end(l, &p->last, failed_object(p));
    }
}

void supervisor_describe_reason(struct supervisor *s, const struct process *p, char *out, size_t size)
{
    const struct proc *pr = (const struct proc *)p;
    struct line l = line_init(out, size);
    uint64_t now = sup_wall(s);

    switch (p->state) {
    case LC_STOPPED:
        describe_stopped(&l, pr);
        break;
    case LC_LAUNCHING:
    case LC_ONLINE:
        describe_up(&l, p, now);
        break;
    case LC_STOPPING:
        describe_stopping(&l, pr, now);
        break;
    case LC_WAITING:
        describe_waiting(&l, pr, now);
        break;
    case LC_ERRORED:
        describe_errored(&l, pr);
        break;
    case LC_STATE_COUNT:
        break;
    }
    if (p->role == ROLE_SLOT)
        add_reload(&l, pr);
    if (pr->n_leftovers && p->state != LC_STOPPING)
        add(&l, "; an ended run's processes are being stopped");
}
