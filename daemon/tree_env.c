/*
 * Whether a process carries a run's id in its environment.
 *
 * While a process is inside an exec, /proc/PID/environ reads as empty: its new memory is there already, the
 * place of the environment in it is not known yet. A descriptor that was opened on the old memory reads as
 * empty too, once that is gone. "Nothing there" is therefore only believed when stat, which tells where the
 * environment begins and ends, agrees.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "daemon/tree_proc.h"

/* An exec takes microseconds but for a slow disk and a busy machine, on which it may be left aside midway. */
#define EXEC_WAIT_MS    1000u
#define PAUSE_FIRST_NS  100000
#define PAUSE_LAST_NS   5000000
#define DIFFERENT_TRIES 20 /* memory that changed between two readings, or a process that tells nonsense */

#define CHUNK 16384

enum { FIELD_STATE = 3, FIELD_FLAGS = 9, FIELD_ENV_START = 50, FIELD_ENV_END = 51 };
/* Of the kernel; its header is not for programs. */
#define PF_EXITING 0x4u
#define PF_KTHREAD 0x00200000u

enum verdict { HAS_NOT, HAS, IN_EXEC, DIFFERENT };

/* Searches a stream of NUL-terminated strings for one that is `want`; nothing is stored but the position.
 * *total = bytes read, when it was not found. */
static bool stream_has(int fd, const char *want, size_t len, size_t *total)
{
    size_t at = 0; /* bytes of `want` matched so far in this string; SIZE_MAX: it is another string */
    char chunk[CHUNK];
    ssize_t n;

    *total = 0;
    while ((n = read(fd, chunk, sizeof(chunk))) > 0) {
        *total += (size_t)n;
        for (ssize_t i = 0; i < n; i++) {
            if (chunk[i] == '\0') {
                if (at == len)
                    return true;
                at = 0;
            } else if (at != SIZE_MAX) {
                at = at < len && chunk[i] == want[at] ? at + 1 : SIZE_MAX;
            }
        }
    }
    return false;
}

/* `total` bytes of environment were read: is that all of it? */
static enum verdict judge(pid_t pid, size_t total)
{
    unsigned long long fields[FIELD_ENV_END + 1] = {0};
    char path[64], text[2048], *p;
    char state;
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || (n = read(fd, text, sizeof(text) - 1)) <= 0)
        return HAS_NOT; /* gone */
    text[n] = '\0';
    p = strrchr(text, ')');
    if (!p || sscanf(p + 1, " %c", &state) != 1)
        return HAS_NOT;
    p = strchr(p + 2, ' ');
    for (int i = FIELD_STATE + 1; p && i <= FIELD_ENV_END; i++) {
        sscanf(p, " %llu", &fields[i]);
        p = strchr(p + 1, ' ');
    }
    if (state == 'Z' || state == 'X' || fields[FIELD_FLAGS] & (PF_EXITING | PF_KTHREAD))
        return HAS_NOT; /* no memory, for good */
    if (!fields[FIELD_ENV_END])
        return IN_EXEC;
    return total == fields[FIELD_ENV_END] - fields[FIELD_ENV_START] ? HAS_NOT : DIFFERENT;
}

static enum verdict look(pid_t pid, const char *want, size_t len)
{
    char path[64];
    size_t total;

    snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return HAS_NOT;
    if (stream_has(fd, want, len, &total))
        return HAS;
    /* A reading is cut short only between two chunks. */
    return total % CHUNK ? HAS_NOT : judge(pid, total);
}

bool tree_proc_has_run(pid_t pid, const struct tree_ctx *ctx, uint64_t run)
{
    struct timespec pause = {.tv_nsec = PAUSE_FIRST_NS};
    uint64_t begin = 0;
    int different = 0;
    char want[64];
    int len = snprintf(want, sizeof(want), "PM_RUN_ID=%s.%llu", ctx->tag, (unsigned long long)run);

    for (;;) {
        enum verdict v = look(pid, want, (size_t)len);

        if (v == HAS || v == HAS_NOT)
            return v == HAS;
        if (v == DIFFERENT) {
            if (++different == DIFFERENT_TRIES)
                return false;
            continue;
        }
        if (!begin)
            begin = clock_mono_ms();
        else if (clock_mono_ms() - begin >= EXEC_WAIT_MS)
            return false;
        nanosleep(&pause, NULL);
        if (pause.tv_nsec < PAUSE_LAST_NS)
            pause.tv_nsec *= 2;
    }
}
