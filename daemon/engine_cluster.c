#include "daemon/engine_cluster.h"

#include <errno.h>
#include <string.h>

#include "common/mem.h"
#include "common/plog.h"
#include "common/spawn_spec.h"
#include "config/exec_mode.h"
#include "config/listen.h"
#include "daemon/app_message.h"
#include "daemon/channel.h"
#include "daemon/cluster.h"
#include "daemon/sockets.h"

#define KEEPER_ANSWERS KEEPER_HOLDS_SOCKETS /* from this KW_VERSION on it knows KW_ANSWER */

static void on_message(void *arg, uint64_t run, const char *line, size_t len)
{
    static const char ready[] = "\"ready\"";
    struct engine *e = arg;
    struct process *p;

    if (len == sizeof(ready) - 1 && memcmp(line, ready, len) == 0 && !engine_candidate_died(e, run))
        supervisor_on_ready(e->sup, run);
    p = supervisor_by_run(e->sup, run); /* after that, which may have ended it */
    if (p)
        app_message(e, p, line, len);
}

static void on_listening(void *arg, uint64_t run)
{
    struct engine *e = arg;

    if (!engine_candidate_died(e, run))
        supervisor_on_listening(e->sup, run);
}

static void on_drained(void *arg, uint64_t run)
{
    struct engine *e = arg;

    supervisor_on_drained(e->sup, run);
}

static int answer(void *arg, uint64_t run, size_t consume, const char *line, bool once)
{
    struct engine *e = arg;
    struct kw_msg m = {.type = KW_ANSWER, .token = run, .arg = consume, .flags = once ? KW_ONCE : 0};
    size_t len = strlen(line);

    if (!e->link || (e->keeper_version && e->keeper_version < KEEPER_ANSWERS))
        return -ENOTSUP;
    if (len > sizeof(m.note))
        return -EMSGSIZE;
    m.note_len = (uint16_t)len;
    memcpy(m.note, line, len);
    return engine_send(e, &m);
}

static void keep_state(void *arg, uint64_t run, int take_fd)
{
    struct engine *e = arg;
    struct kw_msg held = {.type = KW_HOLD, .token = run};

    hold_set(holds_make(&e->holds, run), KW_FD_STATE, take_fd);
    kw_add_fd(&held, KW_FD_STATE, take_fd);
    engine_send(e, &held);
}

/* As its spawn request says, which is what the child got. */
static uint64_t given(void *arg, uint64_t run, int number)
{
    struct engine *e = arg;
    struct hold *hold = holds_get(&e->holds, run);
    struct spawn_spec spec;
    uint64_t token = 0;

    if (!hold || number < LISTEN_FD_FIRST || hold->fds[KW_FD_SPEC] < 0 ||
        spawn_spec_map(hold->fds[KW_FD_SPEC], &spec) < 0)
        return 0;
    if ((uint32_t)(number - LISTEN_FD_FIRST) < spec.nsockets)
        token = spec.sockets[number - LISTEN_FD_FIRST];
    spawn_spec_unmap(&spec);
    return token;
}

static enum cluster_schedule schedule_of(const struct app_spec *s)
{
    if (strcmp(s->cluster_schedule, "round_robin") == 0)
        return CLUSTER_ROUND_ROBIN;
    return strcmp(s->cluster_schedule, "slots") == 0 ? CLUSTER_SLOTS : CLUSTER_SHARED;
}

void engine_cluster_connect(struct engine *e, struct process *p)
{
    const struct hold *hold = holds_get(&e->holds, p->run);
    const struct app_spec *s = p->app->spec;
    struct runtime *r = runtime_of(p);
    struct cluster_run run = {.run = p->run,
                              .app = p->app->id,
                              .instance = p->instance,
                              .is_worker = app_is_cluster(s),
                              .schedule = schedule_of(s),
                              .uid = s->uid,
                              .gid = s->gid};

    if (!hold || hold->fds[KW_FD_IPC] < 0 || r->worker)
        return;
    run.fd = hold->fds[KW_FD_IPC];
    run.state_fd = hold->fds[KW_FD_STATE];
    run.told = hold->told;
    r->worker = cluster_attach(e->cluster, &run);
    r->channel = cluster_channel(r->worker);
    if (!r->worker)
        log_error("cannot watch the channel of run %llu", (unsigned long long)p->run);
    else if (p->state == LC_STOPPING && p->disconnecting)
        cluster_drain(r->worker); /* an engine before wanted to, and may not have got to it */
    else if (p->state == LC_STOPPING)
        cluster_leave(r->worker);
}

void engine_cluster_disconnect(struct process *p)
{
    struct runtime *r = runtime_of(p);

    cluster_detach(r->worker);
    r->worker = NULL;
    r->channel = NULL;
}

void engine_cluster_leave(struct process *p)
{
    cluster_leave(runtime_of(p)->worker);
}

void engine_cluster_read_out(struct engine *e, uint64_t run)
{
    struct process *p = supervisor_by_run(e->sup, run);

    if (p)
        cluster_read_out(runtime_of(p)->worker);
}

void engine_cluster_answered(struct engine *e, const struct kw_msg *m)
{
    struct hold *hold = holds_get(&e->holds, m->token);
    struct process *p = supervisor_by_run(e->sup, m->token);
    bool once = m->flags & KW_ONCE;

    if (hold && once && m->error != EAGAIN)
        hold->told = true;
    if (p && runtime_of(p)->worker)
        cluster_answered(runtime_of(p)->worker, once, m->error);
}

static void tell_each(struct process_list *list)
{
    struct process *p;

    TAILQ_FOREACH (p, list, entry) {
        if (runtime_of(p)->worker)
            cluster_keeper_changed(runtime_of(p)->worker);
    }
}

void engine_cluster_keeper_changed(struct engine *e)
{
    tell_each(supervisor_processes(e->sup));
    tell_each(supervisor_shadows(e->sup));
}

static bool sys_listens(void *ctx, struct process *p)
{
    (void)ctx;
    return cluster_listens(runtime_of(p)->worker);
}

static bool sys_listens_as(void *ctx, struct process *candidate, struct process *old)
{
    (void)ctx;
    return cluster_listens_as(runtime_of(candidate)->worker, runtime_of(old)->worker);
}

static bool sys_drain(void *ctx, struct process *p)
{
    (void)ctx;
    return cluster_drain(runtime_of(p)->worker);
}

void engine_cluster_init(struct engine *e)
{
    const struct cluster_hooks hooks = {.arg = e,
                                        .message = on_message,
                                        .listening = on_listening,
                                        .drained = on_drained,
                                        .answer = answer,
                                        .keep_state = keep_state,
                                        .given = given};

    e->cluster = cluster_new(&e->loop, e->sockets, &hooks);
}

void engine_cluster_sys(struct sys *sys)
{
    sys->listens = sys_listens;
    sys->listens_as = sys_listens_as;
    sys->drain = sys_drain;
}

void engine_cluster_free(struct engine *e)
{
    cluster_free(e->cluster);
    e->cluster = NULL;
}

/* --- before an engine ends of its own will --- */

#define QUIET_STEP_MS 5u
#define QUIET_MAX_MS  2000u

struct quiet {
    struct engine *engine;
    uv_timer_t timer;
    unsigned waited_ms;
    void (*done)(void *arg);
    void *arg;
};

static void quiet_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void quiet_look(uv_timer_t *timer)
{
    struct quiet *q = timer->data;

    q->waited_ms += QUIET_STEP_MS;
    /* Without a cluster the whole daemon has been ended meanwhile. */
    if (q->engine->cluster && !cluster_quiet(q->engine->cluster) && q->waited_ms < QUIET_MAX_MS)
        return;
    uv_timer_stop(timer);
    q->done(q->arg);
    uv_close((uv_handle_t *)timer, quiet_closed);
}

void engine_cluster_go_on(struct engine *e)
{
    if (e->cluster)
        cluster_go_on(e->cluster);
}

void engine_cluster_quiet(struct engine *e, void (*done)(void *arg), void *arg)
{
    struct quiet *q = xcalloc(1, sizeof(*q));

    *q = (struct quiet){.engine = e, .done = done, .arg = arg};
    uv_timer_init(&e->loop, &q->timer);
    q->timer.data = q;
    cluster_quiet(e->cluster);
    uv_timer_start(&q->timer, quiet_look, 0, QUIET_STEP_MS);
}
