#include "daemon/users.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/plog.h"

#define THREADS_MAX 16    /* questions at once; the others wait for their turn */
#define WARN_MS     5000  /* the log tells of a question without an answer */
#define WAIT_MS     30000 /* who waits is told that there is none */
#define LOOK_MS     500

struct user_wait {
    struct question *question;
    users_cb cb;
    void *arg;
    uint64_t since; /* monotonic ms */
    bool canceled;
    TAILQ_ENTRY(user_wait) entry;
};
TAILQ_HEAD(wait_list, user_wait);

/* The loop's, but for what the thread fills before it is in `answered`. */
struct question {
    struct users *users;
    char *uid, *gid;
    struct wait_list waiting;
    bool asked, warned;
    uint64_t since;
    struct user_ids ids;
    int rc;
    struct err err;
    TAILQ_ENTRY(question) entry;    /* users.questions: the loop's */
    TAILQ_ENTRY(question) answered; /* users.answered: under the lock */
};
TAILQ_HEAD(question_list, question);

struct users {
    users_ask_fn ask;
    uv_async_t wake;
    uv_timer_t look;
    int handles;
    struct question_list questions;
    unsigned threads;

    pthread_mutex_t lock;
    struct question_list answered;
    bool closed;       /* the loop has gone: a thread that comes back cleans up */
    unsigned released; /* of the closed one: threads that came back */
};

static void question_free(struct question *q)
{
    user_ids_deinit(&q->ids);
    free(q->uid);
    free(q->gid);
    free(q);
}

static void users_free(struct users *u)
{
    pthread_mutex_destroy(&u->lock);
    free(u);
}

static void *ask_thread(void *arg)
{
    struct question *q = arg;
    struct users *u = q->users;
    bool last;

    q->rc = u->ask(q->uid, q->gid, &q->ids, &q->err);
    pthread_mutex_lock(&u->lock);
    if (!u->closed) {
        TAILQ_INSERT_TAIL(&u->answered, q, answered);
        uv_async_send(&u->wake);
        pthread_mutex_unlock(&u->lock);
        return NULL;
    }
    last = ++u->released == u->threads && u->handles == 0;
    pthread_mutex_unlock(&u->lock);
    question_free(q);
    if (last)
        users_free(u);
    return NULL;
}

static int start_thread(struct question *q)
{
    sigset_t all, old;
    pthread_t thread;
    int rc;

    /* Signals are the loop's. */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    rc = pthread_create(&thread, NULL, ask_thread, q);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc == 0)
        pthread_detach(thread);
    return -rc;
}

static void ask_next(struct users *u)
{
    struct question *q;

    TAILQ_FOREACH (q, &u->questions, entry) {
        int rc;

        if (u->threads >= THREADS_MAX)
            return;
        if (q->asked)
            continue;
        q->asked = true;
        u->threads++;
        rc = start_thread(q);
        if (rc == 0)
            continue; /* q->rc is the thread's, which may have set it already */
        q->rc = rc;
        err_set(&q->err, q->rc, "cannot start a thread to look up a user: %s", strerror(-q->rc));
        pthread_mutex_lock(&u->lock);
        TAILQ_INSERT_TAIL(&u->answered, q, answered);
        pthread_mutex_unlock(&u->lock);
        uv_async_send(&u->wake);
    }
}

static void answer(struct user_wait *w, const struct user_ids *ids, const struct err *e)
{
    TAILQ_REMOVE(&w->question->waiting, w, entry);
    w->cb(w->arg, ids, e);
    free(w);
}

static void answer_canceled(struct user_wait *w)
{
    struct err e;

    err_set(&e, -ECANCELED, "not looked up any more");
    answer(w, NULL, &e);
}

static const char *subject(const struct question *q)
{
    return q->uid ? q->uid : q->gid;
}

/* A question that nobody waits for goes on all the same: the thread cannot be called back. */
static void look_at(struct question *q, uint64_t now)
{
    struct user_wait *w, *next;

    for (w = TAILQ_FIRST(&q->waiting); w; w = next) {
        struct err e;

        next = TAILQ_NEXT(w, entry);
        if (w->canceled) {
            answer_canceled(w);
        } else if (now - w->since >= WAIT_MS) {
            err_set(&e, -ETIMEDOUT, "the system's user database did not tell in %d s who \"%s\" is",
                    WAIT_MS / 1000, subject(q));
            answer(w, NULL, &e);
        }
    }
    if (q->warned || now - q->since < WARN_MS)
        return;
    q->warned = true;
    log_warn(
        "the system's user database has not answered for %d s who \"%s\" is (LDAP, NSS?): apps that run as "
        "it wait",
        WARN_MS / 1000, subject(q));
}

static void look_at_all(struct users *u)
{
    uint64_t now = clock_mono_ms();
    struct question *q;
    bool any = false;

    /* Callbacks may ask anew: the question goes to the end of the list, or one more waits for this one. */
    TAILQ_FOREACH (q, &u->questions, entry) {
        look_at(q, now);
        any |= !TAILQ_EMPTY(&q->waiting);
    }
    if (!any)
        uv_timer_stop(&u->look);
}

static void on_look(uv_timer_t *timer)
{
    look_at_all(timer->data);
}

static void deliver(struct users *u, struct question *q)
{
    struct wait_list waiting = TAILQ_HEAD_INITIALIZER(waiting);
    struct user_wait *w;

    TAILQ_REMOVE(&u->questions, q, entry); /* first: who asks from now on gets a fresh answer */
    u->threads--;
    if (q->warned)
        log_info("the system's user database has answered who \"%s\" is", subject(q));
    while ((w = TAILQ_FIRST(&q->waiting))) {
        if (w->canceled)
            answer_canceled(w);
        else
            answer(w, q->rc < 0 ? NULL : &q->ids, &q->err);
    }
    question_free(q);
}

static void on_wake(uv_async_t *wake)
{
    struct users *u = wake->data;
    struct question *q;

    for (;;) {
        pthread_mutex_lock(&u->lock);
        q = TAILQ_FIRST(&u->answered);
        if (q)
            TAILQ_REMOVE(&u->answered, q, answered);
        pthread_mutex_unlock(&u->lock);
        if (!q)
            break;
        deliver(u, q);
    }
    ask_next(u);
    look_at_all(u);
}

struct users *users_open(uv_loop_t *loop, users_ask_fn ask)
{
    struct users *u = xcalloc(1, sizeof(*u));

    if (uv_async_init(loop, &u->wake, on_wake) < 0) {
        free(u);
        return NULL;
    }
    uv_timer_init(loop, &u->look);
    u->wake.data = u->look.data = u;
    u->handles = 2;
    u->ask = ask;
    pthread_mutex_init(&u->lock, NULL);
    TAILQ_INIT(&u->questions);
    TAILQ_INIT(&u->answered);
    return u;
}

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static struct question *question_for(struct users *u, const char *uid, const char *gid)
{
    struct question *q;

    TAILQ_FOREACH (q, &u->questions, entry)
        if (same(q->uid, uid) && same(q->gid, gid))
            return q;
    q = xcalloc(1, sizeof(*q));
    q->users = u;
    q->uid = xstrdup(uid);
    q->gid = xstrdup(gid);
    q->since = clock_mono_ms();
    TAILQ_INIT(&q->waiting);
    TAILQ_INSERT_TAIL(&u->questions, q, entry);
    return q;
}

struct user_wait *users_find(struct users *u, const char *uid, const char *gid, users_cb cb, void *arg)
{
    struct user_wait *w = xcalloc(1, sizeof(*w));

    *w = (struct user_wait){
        .question = question_for(u, uid, gid), .cb = cb, .arg = arg, .since = clock_mono_ms()};
    TAILQ_INSERT_TAIL(&w->question->waiting, w, entry);
    ask_next(u);
    if (!uv_is_active((uv_handle_t *)&u->look))
        uv_timer_start(&u->look, on_look, LOOK_MS, LOOK_MS);
    return w;
}

void users_cancel(struct user_wait *w)
{
    w->canceled = true;
    uv_async_send(&w->question->users->wake);
}

static void on_closed(uv_handle_t *handle)
{
    struct users *u = handle->data;
    bool last;

    pthread_mutex_lock(&u->lock);
    u->handles--;
    last = u->handles == 0 && u->released == u->threads;
    pthread_mutex_unlock(&u->lock);
    if (last)
        users_free(u);
}

void users_close(struct users *u)
{
    struct question *q, *next;
    struct user_wait *w;

    if (!u)
        return;
    pthread_mutex_lock(&u->lock);
    u->closed = true;
    while ((q = TAILQ_FIRST(&u->answered))) {
        TAILQ_REMOVE(&u->answered, q, answered);
        q->asked = false; /* its thread does not come back */
        u->threads--;
    }
    pthread_mutex_unlock(&u->lock);
    for (q = TAILQ_FIRST(&u->questions); q; q = next) {
        bool ours = !q->asked;

        next = TAILQ_NEXT(q, entry);
        TAILQ_REMOVE(&u->questions, q, entry);
        while ((w = TAILQ_FIRST(&q->waiting)))
            answer_canceled(w);
        if (ours)
            question_free(q);
    }
    uv_close((uv_handle_t *)&u->wake, on_closed);
    uv_close((uv_handle_t *)&u->look, on_closed);
}
