#include "cli/monit_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/jsonget.h"
#include "cli/text.h"
#include "common/mem.h"

void monit_ring_add(struct monit_ring *r, double value)
{
    if (!r->v)
        r->v = xcalloc(MONIT_HISTORY, sizeof(*r->v));
    r->v[r->next] = (float)value;
    r->next = (r->next + 1) % MONIT_HISTORY;
    if (r->n < MONIT_HISTORY)
        r->n++;
}

size_t monit_ring_last(const struct monit_ring *r, float *out, size_t want)
{
    size_t n = want < r->n ? want : r->n;

    for (size_t i = 0; i < n; i++)
        out[i] = r->v[(r->next + MONIT_HISTORY - n + i) % MONIT_HISTORY];
    return n;
}

static void row_deinit(struct monit_row *r)
{
    free(r->name);
    free(r->ns);
    free(r->status);
    free(r->mode);
    free(r->user);
    free(r->reason);
    free(r->cpus.v);
    free(r->memories.v);
}

void monit_model_init(struct monit_model *m)
{
    *m = (struct monit_model){.selected = -1, .sort = MONIT_BY_NAME};
}

void monit_model_deinit(struct monit_model *m)
{
    for (size_t i = 0; i < m->n; i++)
        row_deinit(&m->rows[i]);
    free(m->rows);
    free(m->shown);
    monit_model_init(m);
}

static void set_text(char **to, const char *text)
{
    free(*to);
    *to = text_clean_dup(text);
}

static bool status_lives(const char *s)
{
    return strcmp(s, "online") == 0 || strcmp(s, "launching") == 0 || strcmp(s, "stopping") == 0;
}

static void row_take(struct monit_row *r, const json_t *j)
{
    const char *mode = j_text(j, "mode");

    r->id = j_int(j, "id");
    r->instance = j_int(j, "instance");
    r->restarts = j_int(j, "restarts");
    r->since = j_int(j, "uptime_since");
    r->lives = status_lives(j_text(j, "status"));
    r->no_log = json_is_true(json_object_get(j, "disable_logs"));
    r->pid = r->lives ? j_int(j, "pid") : 0;
    r->cpu = r->lives ? j_number(j, "cpu") : 0;
    r->memory = r->lives ? (uint64_t)j_number(j, "memory") : 0;
    set_text(&r->name, j_text(j, "name"));
    set_text(&r->ns, j_text(j, "namespace"));
    set_text(&r->status, j_text(j, "status"));
    set_text(&r->user, j_text(j, "user"));
    set_text(&r->reason, j_text(j, "reason"));
    set_text(&r->mode, mode);
    r->mode[strcspn(r->mode, "_")] = '\0';
    monit_ring_add(&r->cpus, r->cpu);
    monit_ring_add(&r->memories, (double)r->memory);
}

/* The row of this id is taken out of the old ones, with its history; a new one when there is none. */
static struct monit_row row_steal(struct monit_row *old, size_t n, size_t *at, long long id)
{
    struct monit_row r = {0};

    while (*at < n && old[*at].id < id)
        row_deinit(&old[(*at)++]);
    if (*at < n && old[*at].id == id)
        r = old[(*at)++];
    return r;
}

static bool passes(const struct monit_model *m, const struct monit_row *r)
{
    char id[24];

    snprintf(id, sizeof(id), "%lld", r->id);
    return !*m->filter || strcmp(id, m->filter) == 0 || strcasestr(r->name, m->filter) ||
           strcasestr(r->ns, m->filter) || strcasestr(r->status, m->filter);
}

#define ORDER(a, b) (((a) > (b)) - ((a) < (b)))

/* What uses most, or lives longest, comes first; names and ids rise. */
static int compare(const void *a, const void *b, void *arg)
{
    const struct monit_model *m = arg;
    const struct monit_row *x = &m->rows[*(const size_t *)a], *y = &m->rows[*(const size_t *)b];
    int64_t never = INT64_MAX, sx = x->lives && x->since ? x->since : never,
            sy = y->lives && y->since ? y->since : never;
    int o = 0;

    switch (m->sort) {
    case MONIT_BY_CPU:
        o = ORDER(y->cpu, x->cpu);
        break;
    case MONIT_BY_MEMORY:
        o = ORDER(y->memory, x->memory);
        break;
    case MONIT_BY_NAME:
        o = strcmp(x->name, y->name);
        break;
    case MONIT_BY_RESTARTS:
        o = ORDER(y->restarts, x->restarts);
        break;
    case MONIT_BY_UPTIME:
        o = ORDER(sx, sy);
        break;
    case MONIT_BY_ID:
    case MONIT_SORTS:
        break;
    }
    return o ? o : ORDER(x->id, y->id);
}

static size_t place_of(const struct monit_model *m, long long id)
{
    for (size_t i = 0; i < m->n_shown; i++)
        if (m->rows[m->shown[i]].id == id)
            return i;
    return m->n_shown;
}

/* `place`: where the selection was, for when its process is not shown any more. */
static void arrange(struct monit_model *m, size_t place)
{
    m->shown = xrealloc(m->shown, (m->n + 1) * sizeof(*m->shown));
    m->n_shown = 0;
    for (size_t i = 0; i < m->n; i++)
        if (passes(m, &m->rows[i]))
            m->shown[m->n_shown++] = i;
    qsort_r(m->shown, m->n_shown, sizeof(*m->shown), compare, m);
    if (place_of(m, m->selected) < m->n_shown || !m->n_shown)
        return;
    if (place >= m->n_shown)
        place = m->n_shown - 1;
    m->selected = m->rows[m->shown[place]].id;
}

static int by_id(const void *a, const void *b)
{
    long long x = j_int(*(json_t *const *)a, "id"), y = j_int(*(json_t *const *)b, "id");

    return ORDER(x, y);
}

void monit_model_update(struct monit_model *m, const json_t *records)
{
    size_t n = json_array_size(records), at = 0, place = place_of(m, m->selected);
    struct monit_row *rows = xcalloc(n + 1, sizeof(*rows));
    json_t **sorted = xcalloc(n + 1, sizeof(json_t *));

    for (size_t i = 0; i < n; i++)
        sorted[i] = json_array_get(records, i);
    qsort(sorted, n, sizeof(json_t *), by_id);
    m->online = 0;
    m->cpu = 0;
    m->memory = 0;
    for (size_t i = 0; i < n; i++) {
        rows[i] = row_steal(m->rows, m->n, &at, j_int(sorted[i], "id"));
        row_take(&rows[i], sorted[i]);
        m->online += strcmp(rows[i].status, "online") == 0;
        m->cpu += rows[i].cpu;
        m->memory += rows[i].memory;
    }
    while (at < m->n)
        row_deinit(&m->rows[at++]);
    free(sorted);
    free(m->rows);
    m->rows = rows;
    m->n = n;
    arrange(m, place == m->n_shown && m->selected < 0 ? 0 : place);
}

const char *monit_sort_name(enum monit_sort s)
{
    static const char *const names[MONIT_SORTS] = {
        [MONIT_BY_CPU] = "cpu", [MONIT_BY_MEMORY] = "memory",     [MONIT_BY_NAME] = "name",
        [MONIT_BY_ID] = "id",   [MONIT_BY_RESTARTS] = "restarts", [MONIT_BY_UPTIME] = "uptime"};

    return names[s];
}

void monit_model_set_sort(struct monit_model *m, enum monit_sort s)
{
    m->sort = s;
    arrange(m, 0);
}

void monit_model_set_filter(struct monit_model *m, const char *text)
{
    snprintf(m->filter, sizeof(m->filter), "%s", text);
    arrange(m, 0);
}

const struct monit_row *monit_model_selected(const struct monit_model *m)
{
    size_t place = place_of(m, m->selected);

    return place < m->n_shown ? &m->rows[m->shown[place]] : NULL;
}

void monit_model_move(struct monit_model *m, long by)
{
    long place = (long)place_of(m, m->selected) + by, last = (long)m->n_shown - 1;

    if (last < 0)
        return;
    place = place < 0 ? 0 : place > last ? last : place;
    m->selected = m->rows[m->shown[place]].id;
}

void monit_model_select_at(struct monit_model *m, size_t place)
{
    if (place < m->n_shown)
        m->selected = m->rows[m->shown[place]].id;
}

void monit_model_reveal(struct monit_model *m, size_t height)
{
    size_t place = place_of(m, m->selected);

    if (place < m->n_shown && place < m->top)
        m->top = place;
    if (place < m->n_shown && height && place >= m->top + height)
        m->top = place - height + 1;
    if (m->top + height > m->n_shown)
        m->top = m->n_shown > height ? m->n_shown - height : 0;
}
