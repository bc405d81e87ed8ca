/* The loop's side: bytes go from the pipes into the spools. Nothing here waits. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/plog.h"
#include "daemon/log_int.h"
#include "daemon/log_spool.h"

#define REST_MS     1
#define REST_HOT_NS 1500000u     /* two turns within this: the app writes all the time */
#define REST_PIPE   (256 * 1024) /* bytes */

static void on_rest(uv_timer_t *timer);
static void unrest(struct log_stream *s);
static void start_polling(struct log_stream *s);

static bool has_room(const struct log_stream *s, uint64_t stream_max, uint64_t total_max)
{
    return atomic_load(&s->taken) - atomic_load(&s->released) < stream_max &&
           atomic_load(&s->l->used) < total_max;
}

/* Bytes of an app that wants no logs only have to get out of its way. */
static ssize_t forget_bytes(struct log_stream *s, size_t max)
{
    char scratch[65536];
    ssize_t n;

    do
        n = read(s->pipe, scratch, max < sizeof scratch ? max : sizeof scratch);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

enum taken {
    TAKE_MORE, /* the pipe is empty for now, or there is more than was wanted */
    TAKE_END,
    TAKE_FAULT, /* no memory for the spool, most likely */
};

/* Moves up to `max` bytes; how many is stored in `got` (may be NULL). */
static enum taken take(struct log_stream *s, size_t max, size_t *got)
{
    size_t moved = 0;
    ssize_t n = 1;

    while (moved < max) {
        n = s->disabled ? forget_bytes(s, max - moved) : log_spool_take(s->spool, s->pipe, max - moved);
        if (n <= 0)
            break;
        moved += (size_t)n;
        if (!s->disabled) {
            atomic_fetch_add(&s->l->used, (uint64_t)n);
            atomic_fetch_add(&s->taken, (uint64_t)n);
        }
    }
    if (moved && !s->disabled)
        log_news(s->l, s, moved);
    if (got)
        *got = moved;
    if (n < 0 && n != -EAGAIN) {
        log_warn("logs: cannot take output of run %llu: %s", (unsigned long long)s->run, strerror((int)-n));
        return TAKE_FAULT;
    }
    return n == 0 ? TAKE_END : TAKE_MORE;
}

/* The spool is full: the pipe is left alone until the writer has given memory back. */
static void pause_stream(struct log_stream *s)
{
    struct logs *l = s->l;
    uint64_t now = clock_mono_ms();

    unrest(s);
    uv_poll_stop(&s->poll);
    if (!s->in_pause) {
        s->in_pause = true;
        TAILQ_INSERT_TAIL(&l->paused, s, by_pause);
        atomic_store(&s->paused_since, now);
        atomic_fetch_add(&l->n_paused, 1);
        log_news(l, s, 0); /* log_policy drop acts now */
    }
    if (atomic_load(&l->used) >= LOG_TOTAL_MAX && !atomic_load(&l->full_since))
        atomic_store(&l->full_since, now);
}

static void on_retry(uv_timer_t *timer)
{
    log_intake_resume(timer->data);
}

static void unpause(struct log_stream *s)
{
    if (!s->in_pause)
        return;
    s->in_pause = false;
    TAILQ_REMOVE(&s->l->paused, s, by_pause);
    atomic_store(&s->paused_since, 0);
    atomic_fetch_sub(&s->l->n_paused, 1);
}

/*
 * An app that writes line by line makes its pipe readable all the time, and waking up for each line costs
 * more than the line. Its pipe is then left for a millisecond at a time, with room for what it may write
 * meanwhile.
 */
static void rest(struct log_stream *s)
{
    struct logs *l = s->l;

    if (s->in_rest)
        return;
    uv_poll_stop(&s->poll);
    if (!s->widened) {
        s->widened = true;
        fcntl(s->pipe, F_SETPIPE_SZ, REST_PIPE); /* an unprivileged user's limit may forbid it: no harm */
    }
    s->in_rest = true;
    TAILQ_INSERT_TAIL(&l->resting, s, by_rest);
    if (!uv_is_active((uv_handle_t *)&l->rest))
        uv_timer_start(&l->rest, on_rest, REST_MS, 0);
}

static void unrest(struct log_stream *s)
{
    if (s->in_rest)
        TAILQ_REMOVE(&s->l->resting, s, by_rest);
    s->in_rest = false;
}

/* Takes a turn's worth and sees to what the pipe needs next. */
static void take_turn(struct log_stream *s)
{
    uint64_t now = uv_hrtime();
    size_t got = 0;

    if (!s->disabled && !has_room(s, LOG_STREAM_MAX, LOG_TOTAL_MAX)) {
        pause_stream(s);
        /* The writer may have made room before it could see n_paused. */
        if (has_room(s, LOG_STREAM_MAX, LOG_TOTAL_MAX))
            uv_async_send(&s->l->wake);
        return;
    }
    switch (take(s, LOG_TAKE_MAX, &got)) {
    case TAKE_MORE:
        if (got && now - s->last_take < REST_HOT_NS)
            rest(s);
        else if (s->in_rest && !got) {
            unrest(s);
            start_polling(s);
        }
        break;
    case TAKE_END:
        log_intake_end(s);
        break;
    case TAKE_FAULT: /* the pipe stays readable: polling on would spin */
        pause_stream(s);
        uv_timer_start(&s->l->retry, on_retry, LOG_RETRY_MS, 0);
        break;
    }
    s->last_take = now;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    take_turn(poll->data);
}

static void on_rest(uv_timer_t *timer)
{
    struct logs *l = timer->data;
    struct log_stream *s, *next;

    for (s = TAILQ_FIRST(&l->resting); s; s = next) {
        next = TAILQ_NEXT(s, by_rest);
        take_turn(s);
    }
    if (!TAILQ_EMPTY(&l->resting))
        uv_timer_start(timer, on_rest, REST_MS, 0);
}

static void start_polling(struct log_stream *s)
{
    uv_poll_start(&s->poll, UV_READABLE | UV_DISCONNECT, on_readable);
}

void log_intake_start(struct log_stream *s)
{
    int rc = s->pipe < 0 ? UV_EBADF : uv_poll_init(s->l->loop, &s->poll, s->pipe);

    if (rc < 0) {
        if (s->pipe >= 0)
            log_warn("logs: cannot watch output of run %llu: %s", (unsigned long long)s->run,
                     uv_strerror(rc));
        log_intake_end(s);
        return;
    }
    s->poll.data = s;
    s->poll_open = true;
    s->l->handles++;
    fcntl(s->pipe, F_SETFL, fcntl(s->pipe, F_GETFL) | O_NONBLOCK);
    /* What a run wrote while no engine was there is taken before anything else happens to it. */
    if (!s->disabled && has_room(s, LOG_STREAM_MAX, LOG_TOTAL_MAX) && take(s, LOG_TAKE_MAX, NULL) == TAKE_END)
        log_intake_end(s);
    else
        start_polling(s);
}

void log_intake_take(struct log_stream *s)
{
    if (s->pipe >= 0 && take(s, LOG_TAKE_MAX, NULL) == TAKE_END)
        log_intake_end(s);
}

void log_intake_close(struct log_stream *s)
{
    if (s->pipe >= 0 && !s->lent)
        close(s->pipe);
    s->pipe = -1;
}

static void on_closed(uv_handle_t *h)
{
    struct log_stream *s = h->data;
    struct logs *l = s->l;

    s->poll_open = false;
    l->handles--;
    log_intake_close(s);
    if (s->writer_done)
        log_stream_free(s);
    log_maybe_closed(l);
}

void log_intake_stop(struct log_stream *s)
{
    unpause(s);
    unrest(s);
    if (s->poll_open && !uv_is_closing((uv_handle_t *)&s->poll))
        uv_close((uv_handle_t *)&s->poll, on_closed);
}

void log_intake_end(struct log_stream *s)
{
    struct logs *l = s->l;

    if (atomic_load(&s->final))
        return;
    log_intake_stop(s);
    if (!s->poll_open)
        log_intake_close(s);
    atomic_store(&s->final, true);
    if (s->disabled)
        log_report(l, LOG_EV_DONE, s);
    else
        log_ended(l, s);
}

void log_intake_resume(struct logs *l)
{
    struct log_stream *s, *next;

    /* Somewhat below the bounds, so that a flood does not stop and start the poll for every page. */
    if (atomic_load(&l->used) < LOG_TOTAL_MAX / 8 * 7)
        atomic_store(&l->full_since, 0);
    for (s = TAILQ_FIRST(&l->paused); s; s = next) {
        next = TAILQ_NEXT(s, by_pause);
        if (!has_room(s, LOG_STREAM_MAX / 4 * 3, LOG_TOTAL_MAX / 8 * 7))
            continue;
        unpause(s);
        start_polling(s);
    }
}
