#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/interrupt.h"
#include "cli/logview.h"
#include "cli/session.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"

#define LINE_MAX_BYTES (256u * 1024)
#define LINGER_MS      500 /* after the end of the input: how long no answer may come until the end */

struct attachment {
    struct logview view;
    const char *target;    /* the process */
    const char *separator; /* what ends a piece of input */
    struct buf input;
    bool ended; /* the input */
};

/* Sends what stands before each separator; at the end of the input the rest as well. 0, or the exit code. */
static int send_pieces(struct attachment *t)
{
    size_t len = strlen(t->separator);
    int code = EXIT_DONE;

    while (code == EXIT_DONE && t->input.len) {
        char *at = memmem(t->input.data, t->input.len, t->separator, len);
        size_t size = at ? (size_t)(at - t->input.data) : t->input.len;
        json_t *params, *result = NULL;

        if (!at && !t->ended && t->input.len < LINE_MAX_BYTES)
            break;
        params = json_pack("{s:s, s:s%}", "selector", t->target, "text", t->input.data, size);
        if (!params)
            code = out_error(&t->view.c->out, "the text is not valid UTF-8");
        else
            code = session_call(t->view.c, "process.send", params, &result);
        json_decref(result);
        buf_consume(&t->input, at ? size + len : size);
    }
    return code;
}

static int take_input(struct attachment *t)
{
    char piece[4096];
    ssize_t n = read(STDIN_FILENO, piece, sizeof(piece));

    if (n < 0 && errno == EINTR)
        return EXIT_DONE;
    if (n <= 0)
        t->ended = true;
    else
        buf_append(&t->input, piece, (size_t)n);
    return send_pieces(t);
}

/* Shows everything that has come. 0, or the exit code. */
static int take_output(struct attachment *t, bool *any)
{
    struct rpc_client *rpc = &t->view.c->rpc;

    *any = false;
    for (;;) {
        struct err e = {0};
        json_t *msg = NULL;
        int rc = rpc_next(rpc, 0, &msg, &e);

        if (rc == -ETIMEDOUT || rc == -EINTR)
            return out_finish(&t->view.c->out);
        if (rc != 0)
            return logview_resume(&t->view);
        logview_show(&t->view, msg);
        json_decref(msg);
        *any = true;
    }
}

static int converse(struct attachment *t)
{
    int code = EXIT_DONE;

    while (code == EXIT_DONE && !interrupted()) {
        struct pollfd p[3] = {{.fd = t->view.c->rpc.fd, .events = POLLIN},
                              {.fd = t->ended ? -1 : STDIN_FILENO, .events = POLLIN},
                              {.fd = interrupt_fd(), .events = POLLIN}};
        bool any;

        code = take_output(t, &any);
        if (code != EXIT_DONE)
            break;
        /* The connection may be another one since. */
        p[0].fd = t->view.c->rpc.fd;
        if (poll(p, 3, t->ended ? LINGER_MS : -1) == 0)
            break;
        if (p[1].revents)
            code = take_input(t);
    }
    return interrupted() ? EXIT_DONE : code;
}

int cmd_attach(struct cli *c, const struct args *a)
{
    struct attachment t = {.view = {.c = c,
                                    .words = a->words,
                                    .n_words = 1,
                                    .ask = {LOGASK_LAST(0)},
                                    .style = {.terminal = c->out.tty, .color = c->out.color}},
                           .target = a->words[0],
                           .separator = a->n_words > 1 && *a->words[1] ? a->words[1] : "\n"};
    int code;

    if (c->out.tty)
        out_note(&c->out, "attached to %s: lines go to its standard input; Ctrl-D or Ctrl-C ends", t.target);
    interrupt_catch();
    code = logview_open(&t.view, true);
    if (code == EXIT_DONE)
        code = converse(&t);
    logview_close(&t.view);
    buf_free(&t.input);
    return code;
}
