/* pm monit: one loop over the keyboard, signals and the daemon. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli/monit.h"
#include "cli/monit_screen.h"
#include "cli/text.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"

#define MESSAGE_MS 8000
#define FRAME_MS   100 /* between two pictures that nobody's key asked for */

void monit_say(struct monit *m, bool bad, const char *fmt, ...)
{
    _cleanup_free_ char *s = NULL, *clean = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&s, fmt, ap) < 0)
        abort();
    va_end(ap);
    clean = text_clean_dup(s);
    snprintf(m->message, sizeof(m->message), "%s", clean);
    m->message_bad = bad;
    m->message_end = clock_mono_ms() + MESSAGE_MS;
    m->dirty = true;
}

void monit_selection_moved(struct monit *m)
{
    const struct monit_row *r = monit_model_selected(&m->model);
    long long id = r ? r->id : -1;

    if (id == m->shown)
        return;
    m->shown = id;
    m->detail_top = 0;
    monit_log_clear(&m->log);
    monit_client_selected(m);
    m->dirty = true;
}

/* Signals come by a descriptor: none may interrupt curses at work. */
static int open_signals(sigset_t *old)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
    sigset_t set;
    int fd;

    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        sigaddset(&set, signals[i]);
    sigprocmask(SIG_BLOCK, &set, old);
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd;
}

static void take_signals(struct monit *m, int fd, int *ended_by)
{
    struct signalfd_siginfo s;

    while (read(fd, &s, sizeof(s)) == (ssize_t)sizeof(s)) {
        if (s.ssi_signo == SIGWINCH)
            monit_screen_resize();
        else if (s.ssi_signo == SIGTSTP)
            monit_screen_suspend();
        else
            *ended_by = (int)s.ssi_signo;
        m->dirty = true;
    }
}

/* Returns the number of the signal that ended it, or 0. */
static int loop(struct monit *m, int signals)
{
    uint64_t drawn = 0;
    int ended_by = 0;

    while (!m->quit && !ended_by) {
        uint64_t now = clock_mono_ms();
        int wait = monit_client_turn(m, now);
        struct pollfd p[4] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = signals, .events = POLLIN}};

        if (m->dirty && now >= drawn + FRAME_MS) {
            monit_draw(m);
            drawn = now;
        } else if (m->dirty && drawn + FRAME_MS - now < (uint64_t)wait) {
            wait = (int)(drawn + FRAME_MS - now);
        }
        monit_client_poll(&m->client, p + 2, now);
        if (poll(p, ARRAY_LEN(p), wait) < 0 && errno != EINTR)
            break;
        if (p[1].revents)
            take_signals(m, signals, &ended_by);
        monit_client_io(m, p + 2);
        if (p[0].revents & POLLIN) {
            monit_keys(m);
            drawn = 0; /* an answer to a key is seen at once */
        }
        if (p[0].revents & (POLLHUP | POLLERR | POLLNVAL))
            ended_by = SIGHUP;
    }
    return ended_by;
}

static int run(struct monit *m)
{
    struct err e = {0};
    sigset_t old;
    int signals = open_signals(&old), ended_by;

    if (signals < 0)
        return out_error(&m->c->out, "cannot wait for signals: %s", strerror(errno));
    if (monit_screen_open(m, &e) < 0) {
        close(signals);
        sigprocmask(SIG_SETMASK, &old, NULL);
        out_error(&m->c->out, "%s", e.msg);
        return EXIT_USAGE;
    }
    m->dirty = true;
    ended_by = loop(m, signals);
    monit_screen_close();
    close(signals);
    /* Ctrl-C is a way to quit, as in pm logs. */
    return ended_by && ended_by != SIGINT ? EXIT_SIGNAL + ended_by : EXIT_DONE;
}

int cmd_monit(struct cli *c, const struct args *a)
{
    struct monit *m;
    int code;

    (void)a;
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        out_error(&c->out,
                  "pm monit needs a terminal; pm list --watch prints the list again and again, pm jlist and "
                  "pm logs are for scripts");
        return EXIT_USAGE;
    }
    /* It was to see that there is a daemon; the screen has connections that never wait. */
    rpc_close(&c->rpc);
    c->connected = false;
    m = xcalloc(1, sizeof(*m));
    m->c = c;
    m->shown = -1;
    m->utf8 = out_utf8(&c->out);
    monit_model_init(&m->model);
    monit_client_init(&m->client);
    monit_log_clear(&m->log);
    code = run(m);
    monit_client_deinit(&m->client);
    monit_model_deinit(&m->model);
    monit_log_clear(&m->log);
    json_decref(m->detail);
    free(m);
    return code;
}
