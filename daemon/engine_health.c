#include "daemon/engine_health.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"
#include "config/health_check.h"
#include "daemon/act.h"
#include "daemon/engine.h"
#include "daemon/engine_order.h"
#include "daemon/health.h"
#include "daemon/launch.h"
#include "daemon/probe.h"
#include "daemon/users.h"

#define EXECS_MAX 16u /* commands at a time; the others wait for their turn */

struct ids_ask;

/* Of one run that is checked. */
struct health_watch {
    struct engine *engine;
    struct process *process;
    uint64_t run;
    struct health health;
    bool taken_over;  /* it was up when this engine began to check it */
    uint64_t last_ms; /* wall clock of the last result; 0 = none */
    uv_timer_t timer;
    struct probe *probe; /* under way */
    struct ids_ask *ask; /* who the command is to be is being asked for */
    bool running, queued;
    TAILQ_ENTRY(health_watch) entry; /* of the queue */
};

/* Outlives its watch. */
struct ids_ask {
    struct health_watch *watch;
};

/* One engine a process. */
static TAILQ_HEAD(, health_watch) queue = TAILQ_HEAD_INITIALIZER(queue);
static unsigned execs;

static const struct app_spec *spec_of(const struct health_watch *w)
{
    return w->process->app->spec;
}

static struct health_rules rules_of(const struct health_watch *w)
{
    const struct health_check_options *o = &spec_of(w)->health_check;

    return (struct health_rules){(uint32_t)o->interval, (uint32_t)o->start_period, (unsigned)o->retries};
}

static void check(struct health_watch *w);

static void on_timer(uv_timer_t *t)
{
    check(t->data);
}

static void arm(struct health_watch *w)
{
    struct health_rules rules = rules_of(w);
    bool online = w->process->state == LC_ONLINE;

    uv_timer_start(&w->timer, on_timer,
                   health_next(&w->health, &rules, online, w->engine->sys.random(w->engine, UINT32_MAX)), 0);
}

/* A command is done, or is not wanted any more: the next one may run. */
static void release(struct health_watch *w)
{
    struct health_watch *next;

    if (w->queued)
        TAILQ_REMOVE(&queue, w, entry);
    w->queued = false;
    if (!w->running)
        return;
    w->running = false;
    execs--;
    next = TAILQ_FIRST(&queue);
    if (!next)
        return;
    TAILQ_REMOVE(&queue, next, entry);
    next->queued = false;
    check(next);
}

static bool has_candidate(const struct health_watch *w)
{
    const struct process *p;

    TAILQ_FOREACH (p, supervisor_shadows(w->engine->sup), entry)
        if (p->id == w->process->id && p->role == ROLE_CANDIDATE)
            return true;
    return false;
}

/* While a reload is about to replace it, it is left to that. When nothing is done (another instance is down),
 * the next failure tries again. */
static void is_unhealthy(struct health_watch *w)
{
    char words[HEALTH_WORDS_MAX + 64];

    if (w->process->state != LC_ONLINE || w->process->role != ROLE_SLOT || has_candidate(w))
        return;
    snprintf(words, sizeof(words), "%s (%u failures in a row)", w->health.words, w->health.failures);
    engine_act(w->engine, w->process, ACT_RESTART, EVENT_UNHEALTHY, "health check", words, false);
}

static void is_healthy(struct health_watch *w, bool first)
{
    struct engine *e = w->engine;
    uint64_t run = w->run;

    if (!first || !w->taken_over)
        event_emit(e, &(struct event){.kind = EVENT_HEALTHY, .p = w->process, .text = w->health.words});
    if (!engine_candidate_died(e, run))
        supervisor_on_healthy(e->sup, run);
}

/* The last thing that is done with the watch: it may be gone afterwards. */
static void on_result(void *arg, bool ok, const char *words)
{
    struct health_watch *w = arg;
    struct health_rules rules = rules_of(w);
    bool first = w->health.state == HEALTH_STARTING;
    enum health_news news = health_result(&w->health, &rules, clock_mono_ms(), ok, words);

    w->probe = NULL;
    w->last_ms = clock_wall_ms();
    arm(w);
    release(w);
    if (news == HEALTH_NOW_HEALTHY || news == HEALTH_NOW_UNHEALTHY)
        engine_order_look(w->engine);
    if (news == HEALTH_NOW_HEALTHY)
        is_healthy(w, first);
    else if (news == HEALTH_NOW_UNHEALTHY)
        is_unhealthy(w);
}

/* Of the run itself: the variables that make a process one of the run, or give it descriptors, are left out.
 */
static void check_command(struct health_watch *w, const struct user_ids *ids)
{
    static const char *const own[] = {"PM_RUN_ID",      "NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE",
                                      "NODE_UNIQUE_ID", "LISTEN_FDS",      "LISTEN_PID",
                                      "LISTEN_FDNAMES", "NOTIFY_SOCKET",   "WATCHDOG_USEC"};
    const struct launch_ctx ctx = {.home = w->engine->home.path, .home_id = w->engine->home_id, .ids = ids};
    const struct app_spec *s = spec_of(w);
    struct probe_command c = {.command = s->health_check.exec, .cwd = s->cwd};
    struct launch l;
    char pid[16];

    launch_init(&l, &ctx, w->process);
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        env_unset(l.envp, own[i]);
    snprintf(pid, sizeof(pid), "%d", (int)w->process->pid);
    env_set(&l.envp, "PM_CHECKED_PID", pid);
    c.envp = l.envp;
    c.set_ids = ids != NULL;
    c.uid = ids ? ids->uid : 0;
    c.gid = ids ? ids->gid : 0;
    w->probe = probe_exec(&w->engine->loop, &c, (uint32_t)s->health_check.timeout, on_result, w);
    launch_deinit(&l);
}

static void on_ids(void *arg, const struct user_ids *ids, const struct err *e)
{
    struct ids_ask *ask = arg;
    struct health_watch *w = ask->watch;

    free(ask);
    if (!w)
        return;
    w->ask = NULL;
    if (ids)
        check_command(w, ids);
    else
        on_result(w, false, e ? e->msg : "the app's user is not known");
}

static void check_exec(struct health_watch *w)
{
    const struct app_spec *s = spec_of(w);

    if (execs >= EXECS_MAX) {
        w->queued = true;
        TAILQ_INSERT_TAIL(&queue, w, entry);
        return;
    }
    execs++;
    w->running = true;
    if (!s->uid && !s->gid) {
        check_command(w, NULL);
        return;
    }
    w->ask = xcalloc(1, sizeof(*w->ask));
    w->ask->watch = w;
    users_find(w->engine->users, s->uid, s->gid, on_ids, w->ask);
}

/* As launch.c counts it. */
static int port_of(const struct process *p)
{
    const struct app_spec *s = p->app->spec;
    const char *text = env_get(s->env, "PORT");
    long long port = text ? strtoll(text, NULL, 10) : 0;

    if (s->increment_var && strcmp(s->increment_var, "PORT") == 0)
        port += p->instance;
    return port > 0 && port <= 65535 ? (int)port : 0;
}

static void check(struct health_watch *w)
{
    const struct app_spec *s = spec_of(w);
    struct health_address a;
    struct err e = {0};

    if (!w->engine->users || w->engine->updating) {
        arm(w); /* this engine ends, and the next one checks; or the update fails */
        return;
    }
    if (s->health_check.exec) {
        check_exec(w);
        return;
    }
    if (health_address(s, &a, &e) < 0) {
        on_result(w, false, e.msg);
        return;
    }
    if (*a.host && !a.port)
        a.port = port_of(w->process);
    if (*a.host && !a.port) {
        on_result(w, false, "PORT is not a port number");
        return;
    }
    w->probe = probe_net(&w->engine->loop, &a, s->health_check.http ? a.url_path : NULL,
                         (uint32_t)s->health_check.timeout, on_result, w);
}

static void on_closed(uv_handle_t *h)
{
    free(h->data);
}

void engine_health_end(struct runtime *r)
{
    struct health_watch *w = r->health;

    if (!w)
        return;
    r->health = NULL;
    probe_cancel(w->probe);
    if (w->ask)
        w->ask->watch = NULL;
    release(w);
    uv_close((uv_handle_t *)&w->timer, on_closed);
}

static void begin(struct engine *e, struct process *p)
{
    struct health_watch *w = xcalloc(1, sizeof(*w));
    uint64_t now = clock_wall_ms();

    w->engine = e;
    w->process = p;
    w->run = p->run;
    w->taken_over = p->state == LC_ONLINE;
    health_begin(&w->health, clock_mono_ms(), now > p->started_ms ? now - p->started_ms : 0);
    uv_timer_init(&e->loop, &w->timer);
    w->timer.data = w;
    uv_update_time(&e->loop);
    runtime_of(p)->health = w;
    arm(w);
}

/* What a start that failed was waiting for stands in the record of the run. */
static void keep_words(const struct health_watch *w)
{
    struct runtime *r = runtime_of(w->process);

    if (w->process->state == LC_STOPPING && w->process->reason == LC_R_READY_TIMEOUT && w->health.checked &&
        !w->health.ok && !r->detail)
        r->detail = xasprintf("not healthy in time: %s", w->health.words);
}

void engine_health_follow(struct engine *e, struct process *p)
{
    struct runtime *r = runtime_of(p);
    /* While it is launched the deadline is set with the exec. */
    bool up = p->run && !p->exited && (p->state == LC_ONLINE || (p->state == LC_LAUNCHING && p->deadline_ms));
    bool wanted = up && p->role != ROLE_DRAINING && health_check_is_set(p->app->spec);

    engine_watchdog_follow(e, p);
    if (r->health && (!wanted || r->health->run != p->run)) {
        keep_words(r->health);
        engine_health_end(r);
    }
    if (wanted && !r->health)
        begin(e, p);
}

void engine_health_follow_all(struct engine *e)
{
    struct process *p;

    TAILQ_FOREACH (p, supervisor_processes(e->sup), entry) {
        engine_health_follow(e, p);
    }
    TAILQ_FOREACH (p, supervisor_shadows(e->sup), entry) {
        engine_health_follow(e, p);
    }
}

bool engine_health_words(void *engine, struct process *p, char *out, size_t size)
{
    const struct health_watch *w = runtime_of(p)->health;

    (void)engine;
    if (!w || !w->health.checked)
        return false;
    snprintf(out, size, "%s", w->health.words);
    return true;
}

const char *engine_health_state(const struct process *p)
{
    const struct health_watch *w = runtime_of(p)->health;

    return w ? health_state_word(w->health.state) : NULL;
}

void engine_health_write(struct jsonw *j, const struct process *p)
{
    const struct health_watch *w = runtime_of(p)->health;

    if (!w)
        return;
    jsonw_key(j, "health");
    jsonw_obj_begin(j);
    jsonw_kstr(j, "state", health_state_word(w->health.state));
    jsonw_kuint(j, "failures", w->health.failures);
    if (w->health.checked) {
        jsonw_kbool(j, "ok", w->health.ok);
        jsonw_kstr(j, "words", w->health.words);
        jsonw_kuint(j, "checked_at", w->last_ms);
    }
    jsonw_obj_end(j);
}
