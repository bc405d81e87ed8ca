/* why: how the last runs of some processes ended, with the last lines that each wrote to stderr. */
#include "common/mem.h"
#include "daemon/last_lines.h"
#include "daemon/methods.h"
#include "daemon/selector.h"

#define WHY_RUNS      5
#define WHY_LINES     10
#define WHY_PROCESSES 100 /* for one question; each run's lines are a query of their own */

struct why {
    struct engine *engine;
    struct rpc_request *request;
    json_t *list;
    unsigned pending;
    unsigned lines;
};

struct why_process {
    struct why *why;
    json_t *runs; /* borrowed */
};

static void one_less(void *arg)
{
    struct why *y = arg;

    if (--y->pending > 0)
        return;
    rpc_reply(y->request, y->list);
    free(y);
}

static json_t *run_entry(const struct store_run *run)
{
    json_t *j =
        json_pack("{s:I,s:i,s:I,s:b,s:s,s:s*,s:s*,s:I,s:f}", "run", (json_int_t)run->run, "pid",
                  (int)run->pid, "started_at", (json_int_t)run->started_ms, "core", run->core, "reason",
                  run->reason, "detail", run->detail, "by", run->by, "max_rss", (json_int_t)run->maxrss_bytes,
                  "cpu_time", (double)(run->utime_us + run->stime_us) / 1000.0);

    if (run->ended_ms) {
        json_object_set_new(j, "ended_at", json_integer((json_int_t)run->ended_ms));
        json_object_set_new(j, "uptime", json_integer((json_int_t)(run->ended_ms - run->started_ms)));
    }
    if (run->exit_code >= 0)
        json_object_set_new(j, "exit_code", json_integer(run->exit_code));
    if (run->signal)
        json_object_set_new(j, "signal", json_integer(run->signal));
    return j;
}

static void on_runs(void *arg, int rc, const struct store_run *runs, size_t n)
{
    struct why_process *wp = arg;
    struct why *y = wp->why;

    for (size_t i = 0; rc == 0 && i < n; i++) {
        json_t *entry = run_entry(&runs[i]);

        json_array_append_new(wp->runs, entry);
        y->pending++;
        last_lines_add(y->engine->logs, runs[i].run, y->lines, entry, one_less, y);
    }
    free(wp);
    one_less(y);
}

static long long param(const struct rpc_request *r, const char *name, long long fallback)
{
    const json_t *v = json_object_get(r->params, name);

    return v ? json_integer_value(v) : fallback;
}

void method_why(void *engine, struct rpc_request *r)
{
    struct engine *e = engine;
    struct selection sel;
    struct why *y;

    if (!method_select(e, r, &sel))
        return;
    if (sel.n > WHY_PROCESSES) {
        rpc_fail(r, RPC_FAILED, "%zu processes are too many for one answer; name at most %d", sel.n,
                 WHY_PROCESSES);
        selection_free(&sel);
        return;
    }
    y = xcalloc(1, sizeof(*y));
    *y = (struct why){e, r, json_array(), 1, (unsigned)param(r, "lines", WHY_LINES)};
    for (size_t i = 0; i < sel.n; i++) {
        const struct process *p = sel.v[i];
        struct why_process *wp = xcalloc(1, sizeof(*wp));
        char words[256];

        supervisor_describe_reason(e->sup, p, words, sizeof(words));
        *wp = (struct why_process){y, json_array()};
        json_array_append_new(y->list,
                              json_pack("{s:I,s:s,s:i,s:s,s:s,s:o}", "id", (json_int_t)p->id, "name",
                                        p->app->spec->name, "instance", (int)p->instance, "status",
                                        lc_state_word(p->state), "reason_text", words, "runs", wp->runs));
        y->pending++;
        store_get_runs(e->store, p->id, (unsigned)param(r, "runs", WHY_RUNS), on_runs, wp);
    }
    selection_free(&sel);
    one_less(y);
}
