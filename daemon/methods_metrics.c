/* metrics: what processes and the host use now, and used. The history is read, and the answer's text is made,
 * on a thread. */
#include <stdlib.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/jsonw.h"
#include "common/mem.h"
#include "daemon/methods.h"
#include "daemon/metrics_ask.h"
#include "daemon/selector.h"

#define SINCE_S     600u    /* without "since" */
#define POINTS      600     /* of each process, without "points" */
#define POINTS_ALL  100000u /* of one answer; with many processes each has fewer points */
#define PSS_AT_ONCE 50u     /* processes that are asked for their PSS; each costs 2 ms */

/* One series: of a process, or of the host. */
struct series {
    struct metrics_key key;
    uint64_t run;    /* 0 = none, or PSS is not wanted */
    struct buf text; /* its members but for the points */
};

struct ask {
    struct rpc_request *request;
    struct series *v;
    size_t n;
    unsigned step, points;
    uint64_t from, to; /* s */
    struct buf text;
    long rc;
    struct err err;
};

static void write_sample(struct jsonw *w, const struct metrics_sample *s)
{
    jsonw_kuint(w, "time", s->time_ms);
    jsonw_key(w, "cpu");
    jsonw_real1(w, s->cpu_percent);
    jsonw_kuint(w, "memory", s->rss_bytes);
    jsonw_kuint(w, "processes", s->processes);
    jsonw_kuint(w, "threads", s->threads);
    jsonw_kuint(w, "fds", s->fds);
    jsonw_kuint(w, "read_bytes", s->read_bytes);
    jsonw_kuint(w, "write_bytes", s->write_bytes);
    jsonw_kuint(w, "switches", s->switches);
    jsonw_kuint(w, "switches_involuntary", s->switches_involuntary);
}

static void describe_process(struct series *s, const struct process *p, bool pss)
{
    struct jsonw w = jsonw_init(&s->text);
    const struct metrics_sample *sample = metrics_of(p);

    s->key = (struct metrics_key){p->app->id, p->instance};
    s->run = pss && sample->time_ms ? p->run : 0;
    jsonw_kuint(&w, "id", p->id);
    jsonw_kstr(&w, "name", p->app->spec->name);
    jsonw_kuint(&w, "instance", p->instance);
    jsonw_kstr(&w, "status", lc_state_word(p->state));
    if (sample->time_ms) {
        jsonw_key(&w, "now");
        jsonw_obj_begin(&w);
        write_sample(&w, sample);
        if (sample->pss_bytes && !s->run)
            jsonw_kuint(&w, "pss", sample->pss_bytes);
        jsonw_obj_end(&w);
    }
}

static void describe_host(struct series *s, const struct metrics_host *h)
{
    struct jsonw w = jsonw_init(&s->text);

    s->key = (struct metrics_key){0};
    jsonw_kuint(&w, "time", h->time_ms);
    jsonw_kuint(&w, "cpus", h->cpus);
    jsonw_key(&w, "cpu");
    jsonw_real1(&w, h->cpu_percent);
    jsonw_key(&w, "load");
    jsonw_arr_begin(&w);
    for (int i = 0; i < 3; i++) {
        char text[32];
        int len = snprintf(text, sizeof(text), "%.2f", h->load[i]);

        jsonw_raw(&w, text, (size_t)len);
    }
    jsonw_arr_end(&w);
    jsonw_kuint(&w, "memory_total", h->memory_total);
    jsonw_kuint(&w, "memory_available", h->memory_available);
    jsonw_kuint(&w, "swap_total", h->swap_total);
    jsonw_kuint(&w, "swap_free", h->swap_free);
    jsonw_kuint(&w, "disk_read", h->disk_read);
    jsonw_kuint(&w, "disk_written", h->disk_written);
    jsonw_kuint(&w, "net_received", h->net_received);
    jsonw_kuint(&w, "net_sent", h->net_sent);
}

/* Neighbours become one, so that no more than `max` are left. */
static long merge(struct metrics_point *v, long n, unsigned max)
{
    long each = (n + (long)max - 1) / (long)max, out = 0;

    for (long i = 0; each > 1 && i < n; i += each, out++) {
        struct metrics_point sum = v[i];
        double cpu = v[i].cpu_avg * v[i].n, memory = (double)v[i].memory_avg * v[i].n;

        for (long k = i + 1; k < i + each && k < n; k++) {
            sum.n += v[k].n;
            cpu += v[k].cpu_avg * v[k].n;
            memory += (double)v[k].memory_avg * v[k].n;
            sum.cpu_min = v[k].cpu_min < sum.cpu_min ? v[k].cpu_min : sum.cpu_min;
            sum.cpu_max = v[k].cpu_max > sum.cpu_max ? v[k].cpu_max : sum.cpu_max;
            sum.memory_min = v[k].memory_min < sum.memory_min ? v[k].memory_min : sum.memory_min;
            sum.memory_max = v[k].memory_max > sum.memory_max ? v[k].memory_max : sum.memory_max;
        }
        sum.cpu_avg = cpu / sum.n;
        sum.memory_avg = (uint64_t)(memory / sum.n);
        v[out] = sum;
    }
    return each > 1 ? out : n;
}

static void write_points(struct jsonw *w, const struct metrics_point *v, long n)
{
    jsonw_key(w, "points");
    jsonw_arr_begin(w);
    for (long i = 0; i < n; i++) {
        jsonw_arr_begin(w);
        jsonw_uint(w, v[i].time);
        jsonw_uint(w, v[i].n);
        jsonw_real1(w, v[i].cpu_min);
        jsonw_real1(w, v[i].cpu_avg);
        jsonw_real1(w, v[i].cpu_max);
        jsonw_uint(w, v[i].memory_min);
        jsonw_uint(w, v[i].memory_avg);
        jsonw_uint(w, v[i].memory_max);
        jsonw_arr_end(w);
    }
    jsonw_arr_end(w);
}

static void write_series(struct metrics *m, struct ask *a, struct series *s, struct jsonw *w)
{
    struct metrics_point *points = NULL;
    long n = metrics_history(m, s->key, a->step, a->from, a->to, &points, &a->err);
    uint64_t pss = s->run ? metrics_pss_now(m, s->run) : 0;

    if (n < 0) {
        a->rc = n;
        return;
    }
    n = merge(points, n, a->points);
    jsonw_obj_begin(w);
    buf_append(w->out, s->text.data, s->text.len);
    w->comma = true;
    if (pss)
        jsonw_kuint(w, "pss", pss);
    write_points(w, points, n);
    jsonw_obj_end(w);
    free(points);
}

static void work(struct metrics *m, void *arg)
{
    struct ask *a = arg;
    struct jsonw w = jsonw_init(&a->text);

    jsonw_obj_begin(&w);
    jsonw_kuint(&w, "step", a->step);
    jsonw_kuint(&w, "from", a->from);
    jsonw_kuint(&w, "to", a->to);
    jsonw_key(&w, "host");
    write_series(m, a, &a->v[0], &w);
    jsonw_key(&w, "processes");
    jsonw_arr_begin(&w);
    for (size_t i = 1; i < a->n && a->rc == 0; i++)
        write_series(m, a, &a->v[i], &w);
    jsonw_arr_end(&w);
    jsonw_obj_end(&w);
}

static void done(void *arg, bool failed)
{
    struct ask *a = arg;

    if (failed)
        rpc_fail(a->request, RPC_FAILED, "no thread is free to read the metrics; try again");
    else if (a->rc < 0)
        rpc_fail(a->request, RPC_FAILED, "%s", a->err.msg);
    else
        rpc_reply_text(a->request, &a->text);
    for (size_t i = 0; i < a->n; i++)
        buf_free(&a->v[i].text);
    buf_free(&a->text);
    free(a->v);
    free(a);
}

static uint64_t param(const struct rpc_request *r, const char *name, uint64_t fallback)
{
    const json_t *v = json_object_get(r->params, name);

    return v ? (uint64_t)json_integer_value(v) : fallback;
}

/* The finest steps that are kept for so long. */
static void choose_range(struct ask *a, const struct rpc_request *r)
{
    uint64_t now = clock_wall_ms() / 1000;
    size_t level = 0;

    a->to = param(r, "until", (now + 1) * 1000) / 1000;
    a->from = param(r, "since", (now - SINCE_S) * 1000) / 1000;
    while (level + 1 < METRICS_STEPS && a->from + metrics_keep[level] < now)
        level++;
    a->step = metrics_steps[level];
    a->from -= a->from % a->step;
}

/* Without selectors: all. */
static size_t count_all(struct engine *e)
{
    struct process *p;
    size_t n = 0;

    TAILQ_FOREACH (p, supervisor_processes(e->sup), entry) {
        n++;
    }
    return n;
}

static struct ask *ask_new(struct rpc_request *r, size_t n)
{
    struct ask *a = xcalloc(1, sizeof(*a));

    a->request = r;
    a->v = xcalloc(n + 1, sizeof(*a->v));
    a->n = 1;
    choose_range(a, r);
    a->points = (unsigned)param(r, "points", POINTS);
    if (n && a->points > POINTS_ALL / n)
        a->points = POINTS_ALL / n ? (unsigned)(POINTS_ALL / n) : 1;
    return a;
}

void method_metrics(void *engine, struct rpc_request *r)
{
    struct engine *e = engine;
    bool pss = json_is_true(json_object_get(r->params, "pss"));
    struct process *p;
    struct ask *a;

    if (!e->metrics) {
        rpc_fail(r, RPC_SHUTTING_DOWN, "the daemon is shutting down");
        return;
    }
    if (json_object_get(r->params, "selectors")) {
        struct selection sel;

        if (!method_select(e, r, &sel))
            return;
        a = ask_new(r, sel.n);
        for (size_t i = 0; i < sel.n; i++)
            describe_process(&a->v[a->n++], sel.v[i], pss && i < PSS_AT_ONCE);
        selection_free(&sel);
    } else {
        a = ask_new(r, count_all(e));
        TAILQ_FOREACH (p, supervisor_processes(e->sup), entry) {
            describe_process(&a->v[a->n], p, pss && a->n <= PSS_AT_ONCE);
            a->n++;
        }
    }
    describe_host(&a->v[0], metrics_host(e->metrics));
    metrics_ask(e->metrics, work, done, a);
}
