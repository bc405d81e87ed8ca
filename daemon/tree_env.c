/*
 * Which run's id a process carries in its environment.
 *
 * While a process is inside an exec, /proc/PID/environ reads as empty: its new memory is there already, the
 * place of the environment in it is not known yet. A descriptor that was opened on the old memory reads as
 * empty too, once that is gone. "Nothing there" is therefore only believed when stat, which tells where the
 * environment begins and ends, agrees.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
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

#define CHUNK    16384
#define WORD_MAX 96 /* bytes of a string that may be one of ours */

enum { FIELD_STATE = 3, FIELD_FLAGS = 9, FIELD_ENV_START = 50, FIELD_ENV_END = 51 };
/* Of the kernel; its header is not for programs. */
#define PF_EXITING 0x4u
#define PF_KTHREAD 0x00200000u

enum verdict { HAS_NOT, HAS, IN_EXEC, DIFFERENT };

/* What is looked for: told one string after the other, until it says that it has all. */
struct search {
    bool (*found)(void *arg, const char *string);
    void *arg;
};

/* A stream of NUL-terminated strings; those that are too long to be one of ours are passed over. *total =
 * bytes read, when it was not found. */
static bool stream_has(int fd, const struct search *s, size_t *total)
{
    char chunk[CHUNK], string[WORD_MAX];
    size_t len = 0;
    ssize_t n;

    *total = 0;
    while ((n = read(fd, chunk, sizeof(chunk))) > 0) {
        *total += (size_t)n;
        for (ssize_t i = 0; i < n; i++) {
            if (len < sizeof(string))
                string[len++] = chunk[i];
            if (chunk[i] != '\0')
                continue;
            if (string[len - 1] == '\0' && s->found(s->arg, string))
                return true;
            len = 0;
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

static enum verdict look(pid_t pid, const struct search *s)
{
    char path[64];
    size_t total;

    snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return HAS_NOT;
    if (stream_has(fd, s, &total))
        return HAS;
    /* A reading is cut short only between two chunks. */
    return total % CHUNK ? HAS_NOT : judge(pid, total);
}

static bool search(pid_t pid, const struct search *s)
{
    struct timespec pause = {.tv_nsec = PAUSE_FIRST_NS};
    uint64_t begin = 0;
    int different = 0;

    for (;;) {
        enum verdict v = look(pid, s);

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

static bool is_string(void *arg, const char *string)
{
    return strcmp(string, arg) == 0;
}

bool tree_proc_has_run(pid_t pid, const struct tree_ctx *ctx, uint64_t run)
{
    char want[64];
    const struct search s = {is_string, want};

    snprintf(want, sizeof(want), "PM_RUN_ID=%s.%llu", ctx->tag, (unsigned long long)run);
    return search(pid, &s);
}

struct claim {
    const struct tree_ctx *ctx;
    uint64_t run;
    uint32_t proc;
};

/* A decimal number and nothing else. */
static bool number(const char *text, uint64_t *out)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    *out = strtoull(text, &end, 10);
    return *end == '\0';
}

static bool take_claim(void *arg, const char *string)
{
    struct claim *c = arg;
    char want[32];
    int len = snprintf(want, sizeof(want), "PM_RUN_ID=%s.", c->ctx->tag);
    uint64_t n;

    if (strncmp(string, want, (size_t)len) == 0 && number(string + len, &n))
        c->run = n;
    else if (strncmp(string, "pm_id=", 6) == 0 && number(string + 6, &n) && n < UINT32_MAX)
        c->proc = (uint32_t)n;
    return c->run && c->proc != UINT32_MAX;
}

bool tree_proc_claims(pid_t pid, const struct tree_ctx *ctx, uint64_t *run, uint32_t *proc)
{
    struct claim c = {.ctx = ctx, .proc = UINT32_MAX};
    const struct search s = {take_claim, &c};

    search(pid, &s);
    *run = c.run;
    *proc = c.proc;
    return c.run != 0;
}
