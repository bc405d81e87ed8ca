/* What the loop asks of the writer about rotation: to rotate now, and to keep to another policy. */
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "daemon/log_writer.h"

/* ---- now ---- */

struct log_rotate {
    struct log_barrier barrier; /* first: it is handed back as one */
    char **paths;
    struct log_rotate_result *v;
    size_t n;
    logs_rotated_cb done;
    void *arg;
};

static void passed(struct log_barrier *b)
{
    struct log_rotate *j = (struct log_rotate *)b;

    j->done(j->arg, j->v, j->n);
    for (size_t i = 0; i < j->n; i++) {
        free(j->v[i].to);
        free(j->v[i].why);
    }
    free(j->v);
    strv_free(j->paths);
    free(j);
}

void logs_rotate(struct logs *l, char *const *paths, logs_rotated_cb done, void *arg)
{
    struct log_rotate *j = xcalloc(1, sizeof *j);

    j->barrier.passed = passed;
    j->paths = strv_dup(paths);
    j->n = strv_len(j->paths);
    j->v = xcalloc(j->n + 1, sizeof *j->v);
    /* Should the writer have ended by then. */
    for (size_t i = 0; i < j->n; i++)
        j->v[i] = (struct log_rotate_result){
            .path = j->paths[i], .why = xstrdup("the daemon is ending"), .failed = true};
    j->done = done;
    j->arg = arg;
    log_post(l, LOG_MSG_ROTATE, &j->barrier);
}

static void rotate(struct log_writer *w, struct log_rotate_result *r)
{
    struct log_file *f = log_file_find_open(w, r->path);
    struct err e = {0};
    int rc = 0;

    free(r->why);
    r->why = NULL;
    r->failed = false;
    if (f && f->now.size)
        rc = log_rotate_file(w, f, &r->to, &r->bytes, &e);
    else if (!f)
        rc = log_rotate_closed(w, r->path, &w->rotate, &r->to, &r->bytes, &e);
    r->failed = rc < 0;
    if (rc < 0)
        r->why = xstrdup(e.msg);
    else if (rc > 0)
        r->why = xstrdup("follows at the end of the line that is being written");
    else if (!r->to)
        r->why = xstrdup("empty");
}

void log_rotate_request(struct log_writer *w, struct log_barrier *barrier)
{
    struct log_rotate *j = (struct log_rotate *)barrier;

    for (size_t i = 0; i < j->n; i++)
        rotate(w, &j->v[i]);
    log_report(w->l, LOG_EV_BARRIER, barrier);
}

/* ---- policies ---- */

struct log_policy_news {
    bool is_default, none;
    uint32_t process;
    struct log_rotate_policy policy;
};

void logs_rotate_default(struct logs *l, const struct log_rotate_policy *p)
{
    struct log_policy_news *n = xcalloc(1, sizeof *n);

    n->is_default = true;
    n->policy = *p;
    log_post(l, LOG_MSG_POLICY, n);
}

void logs_rotate_process(struct logs *l, uint32_t process, const struct log_rotate_policy *p)
{
    struct log_policy_news *n = xcalloc(1, sizeof *n);

    n->process = process;
    n->none = !p;
    if (p)
        n->policy = *p;
    log_post(l, LOG_MSG_POLICY, n);
}

static void set_process(struct log_writer *w, const struct log_policy_news *n)
{
    struct log_stream *s;

    TAILQ_FOREACH (s, &w->streams, by_writer) {
        if (s->process != n->process)
            continue;
        free(s->rotate);
        s->rotate = NULL;
        if (n->none)
            continue;
        s->rotate = xmalloc(sizeof *s->rotate);
        *s->rotate = n->policy;
    }
}

void log_rotate_policy_news(struct log_writer *w, struct log_policy_news *take)
{
    if (take->is_default)
        w->rotate = take->policy;
    else
        set_process(w, take);
    free(take);
    for (struct log_file *f = w->files.first; f; f = f->next)
        if (f->fd >= 0)
            log_rotate_watch(w, f);
    if (w->rotate_wanted)
        log_rotate_wanted(w);
}
