#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "cli/jsonget.h"
#include "cli/session.h"
#include "common/clock.h"
#include "common/mem.h"

#define END_MS 10000

/*
 * The answer comes before the daemon's end. Waits until its lock is free, so that "pm kill && pm start"
 * starts a new daemon instead of meeting the old one. 0 when it is free.
 */
static int wait_for_end(const struct cli *c)
{
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    _cleanup_free_ char *path = home_file(&c->home, HOME_LOCK);
    uint64_t end = clock_mono_ms() + END_MS;
    _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return 0;
    while (flock(fd, LOCK_SH | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK || clock_mono_ms() >= end)
            return -1;
        nanosleep(&pause, NULL);
    }
    return 0;
}

static void print_json(long long stopped)
{
    json_t *j = json_pack("{s:I}", "processes", (json_int_t)stopped);

    out_json(j);
    json_decref(j);
}

int cmd_kill(struct cli *c, const struct args *a)
{
    json_t *result = NULL;
    bool json = args_has(a, "json");
    long long n;
    int code;

    if (!c->connected) {
        if (json)
            print_json(0);
        else
            out_say(&c->out, "no daemon runs for %s", c->home_path);
        return EXIT_DONE;
    }
    code = session_call(c, "kill", NULL, &result);
    n = j_int(result, "processes");
    json_decref(result);
    if (code != 0)
        return code;
    if (wait_for_end(c) < 0)
        return out_error(&c->out,
                         "stopped %lld process%s, but the daemon has not ended after %d s; see %s/%s", n,
                         n == 1 ? "" : "es", END_MS / 1000, c->home_path, HOME_LOG);
    if (json)
        print_json(n);
    else
        out_say(&c->out, "stopped %lld process%s; the daemon has ended", n, n == 1 ? "" : "es");
    return EXIT_DONE;
}
