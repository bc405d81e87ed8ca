/* The two queues between the loop and the writer thread, and what both count. */
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "daemon/log_int.h"

static void on_soon(uv_timer_t *timer)
{
    struct logs *l = timer->data;

    pthread_mutex_lock(&l->lock);
    if (l->sleep == LOG_ASLEEP)
        pthread_cond_signal(&l->cond);
    pthread_mutex_unlock(&l->lock);
}

/*
 * Streams that come and go without a byte can wait a moment: both happen just when a core is wanted for the
 * next run of a crashed app, and then make one commit. A byte, or a message that somebody waits for, takes
 * them along.
 */
static void wake_soon(struct logs *l)
{
    if (uv_is_active((uv_handle_t *)&l->soon) || uv_is_closing((uv_handle_t *)&l->soon))
        return;
    uv_update_time(l->loop);
    uv_timer_start(&l->soon, on_soon, LOG_SOON_MS, 0);
}

void log_attached(struct logs *l, struct log_stream *s)
{
    struct log_msg *m = xcalloc(1, sizeof *m);

    m->type = LOG_MSG_ATTACH;
    m->what = s;
    pthread_mutex_lock(&l->lock);
    STAILQ_INSERT_TAIL(&l->msgs, m, next);
    pthread_mutex_unlock(&l->lock);
    wake_soon(l);
}

void log_ended(struct logs *l, struct log_stream *s)
{
    pthread_mutex_lock(&l->lock);
    if (!s->queued) {
        s->queued = true;
        STAILQ_INSERT_TAIL(&l->queue, s, by_queue);
    }
    pthread_mutex_unlock(&l->lock);
    wake_soon(l);
}

void log_post(struct logs *l, enum log_msg_type type, void *what)
{
    struct log_msg *m = xcalloc(1, sizeof *m);

    m->type = type;
    m->what = what;
    pthread_mutex_lock(&l->lock);
    STAILQ_INSERT_TAIL(&l->msgs, m, next);
    l->urgent = true;
    if (l->sleep != LOG_AWAKE)
        pthread_cond_signal(&l->cond);
    pthread_mutex_unlock(&l->lock);
}

void log_news(struct logs *l, struct log_stream *s, size_t bytes)
{
    pthread_mutex_lock(&l->lock);
    if (!s->queued) {
        s->queued = true;
        STAILQ_INSERT_TAIL(&l->queue, s, by_queue);
    }
    l->queued_bytes += bytes;
    /* While the writer collects for its next commit it is left alone, unless much has come together. */
    if (l->sleep >= LOG_COLLECTING || (l->sleep == LOG_PACING && l->queued_bytes >= LOG_PACE_BYTES))
        pthread_cond_signal(&l->cond);
    pthread_mutex_unlock(&l->lock);
}

void log_report(struct logs *l, enum log_event_type type, void *what)
{
    struct log_event *e = xcalloc(1, sizeof *e);

    e->type = type;
    e->what = what;
    pthread_mutex_lock(&l->lock);
    STAILQ_INSERT_TAIL(&l->events, e, next);
    pthread_mutex_unlock(&l->lock);
    uv_async_send(&l->wake);
}

void log_count_drop(struct logs *l, uint32_t process, uint64_t lines)
{
    size_t i = 0;

    pthread_mutex_lock(&l->lock);
    while (i < l->n_drops && l->drops[i].process != process)
        i++;
    if (i == l->n_drops) {
        l->drops = xrealloc(l->drops, (i + 1) * sizeof *l->drops);
        l->drops[l->n_drops++] = (struct log_drop){.process = process};
    }
    l->drops[i].lines += lines;
    pthread_mutex_unlock(&l->lock);
}

uint64_t logs_dropped(struct logs *l, uint32_t process)
{
    uint64_t lines = 0;

    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < l->n_drops; i++)
        if (l->drops[i].process == process)
            lines = l->drops[i].lines;
    pthread_mutex_unlock(&l->lock);
    return lines;
}

/* Under the lock; NULL when the file can be written. */
static struct log_ill *find_ill(struct logs *l, const char *path)
{
    for (size_t i = 0; i < l->n_ills; i++)
        if (strcmp(l->ills[i].path, path) == 0)
            return &l->ills[i];
    return NULL;
}

void log_file_ill(struct logs *l, const char *path, const char *why)
{
    struct log_ill *ill;

    pthread_mutex_lock(&l->lock);
    ill = find_ill(l, path);
    if (!ill) {
        l->ills = xrealloc(l->ills, (l->n_ills + 1) * sizeof *l->ills);
        ill = &l->ills[l->n_ills++];
        *ill = (struct log_ill){.path = xstrdup(path)};
    }
    free(ill->why);
    ill->why = xstrdup(why);
    pthread_mutex_unlock(&l->lock);
}

void log_file_well(struct logs *l, const char *path)
{
    struct log_ill *ill;

    pthread_mutex_lock(&l->lock);
    ill = find_ill(l, path);
    if (ill) {
        free(ill->path);
        free(ill->why);
        *ill = l->ills[--l->n_ills];
    }
    pthread_mutex_unlock(&l->lock);
}

bool logs_file_trouble(struct logs *l, const char *path, char *words, size_t size)
{
    const struct log_ill *ill;

    if (!path)
        return false;
    pthread_mutex_lock(&l->lock);
    ill = find_ill(l, path);
    if (ill)
        snprintf(words, size, "%s", ill->why);
    pthread_mutex_unlock(&l->lock);
    return ill != NULL;
}
