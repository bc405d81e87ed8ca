/* All sockets of a list: what a child is to get comes together, or the child does not come. */
#include <errno.h>
#include <stdlib.h>

#include "common/mem.h"
#include "daemon/engine.h"
#include "daemon/sockets_int.h"

struct sock_part {
    struct sock_all *all;
    struct sock_wait *wait; /* NULL: answered */
    uint64_t token;
};

struct sock_all {
    struct sockets *set;
    struct sock_part *parts;
    size_t n, left;
    sock_all_cb cb;
    void *arg;
    uv_timer_t canceled;
};

static void all_closed(uv_handle_t *handle)
{
    struct sock_all *a = handle->data;

    free(a->parts);
    free(a);
}

/* Nothing more comes for it. */
static void all_end(struct sock_all *a)
{
    for (size_t i = 0; i < a->n; i++) {
        if (a->parts[i].wait)
            sockets_cancel(a->parts[i].wait);
        a->parts[i].wait = NULL;
    }
    uv_close((uv_handle_t *)&a->canceled, all_closed);
}

static void all_answer(struct sock_all *a, const uint64_t *tokens, int error, const char *words)
{
    sock_all_cb cb = a->cb;
    void *arg = a->arg;
    size_t n = a->n;

    all_end(a);
    cb(arg, tokens, n, error, words);
}

static void all_there(struct sock_all *a)
{
    _cleanup_free_ uint64_t *tokens = xcalloc(a->n, sizeof(*tokens));

    for (size_t i = 0; i < a->n; i++) {
        tokens[i] = a->parts[i].token;
        if (!sockets_by_token(a->set, tokens[i])) {
            all_answer(a, NULL, -ECANCELED, "a listening socket was given up while others were opened");
            return;
        }
    }
    all_answer(a, tokens, 0, "");
}

static void on_part(void *arg, struct sock *s, int error, const char *words)
{
    struct sock_part *part = arg;
    struct sock_all *a = part->all;

    part->wait = NULL;
    if (!s) {
        all_answer(a, NULL, error, words);
        return;
    }
    part->token = s->token;
    if (--a->left == 0)
        all_there(a);
}

struct sock_all *sockets_open_all(struct sockets *s, const struct sock_request *r, size_t n, sock_all_cb cb,
                                  void *arg)
{
    struct sock_all *a = xcalloc(1, sizeof(*a));

    *a = (struct sock_all){.set = s, .n = n, .left = n, .cb = cb, .arg = arg};
    a->parts = xcalloc(n, sizeof(*a->parts));
    uv_timer_init(&s->engine->loop, &a->canceled);
    a->canceled.data = a;
    for (size_t i = 0; i < n; i++) {
        a->parts[i].all = a;
        a->parts[i].wait = sockets_open(s, &r[i], on_part, &a->parts[i]);
    }
    return a;
}

static void on_canceled(uv_timer_t *timer)
{
    all_answer(timer->data, NULL, -ECANCELED, "not wanted any more");
}

void sock_all_cancel(struct sock_all *a)
{
    for (size_t i = 0; i < a->n; i++) {
        if (a->parts[i].wait)
            sockets_cancel(a->parts[i].wait);
        a->parts[i].wait = NULL;
    }
    uv_timer_start(&a->canceled, on_canceled, 0, 0);
}

void sock_all_forget(struct sock_all *a)
{
    all_end(a);
}
