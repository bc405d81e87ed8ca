#include "cli/runwords.h"

#include <signal.h>
#include <string.h>

#include "cli/jsonget.h"
#include "common/buf.h"
#include "common/mem.h"

/* The reasons that the daemon stores, beside exit and signal, which are told by their number. */
static const struct {
    const char *reason, *words;
    bool wanted; /* a user's doing: code and signal are added in brackets */
} reasons[] = {
    {"exec-failed", "could not be started", false},
    {"spawn-refused", "could not be started: the system refused a new process", false},
    {"stopped", "was stopped on request", true},
    {"restarted", "was stopped for a restart on request", true},
    {"deleted", "was stopped and deleted on request", true},
    {"shutdown", "was stopped with the daemon", true},
    {"ready-timeout", "was stopped: it did not say in time that it is ready (listen_timeout)", false},
    {"lost", "ended while no daemon watched; how is not known", false},
};

/* The signal as a number, however it was sent ("SIGKILL" or 9); 0 when there is none. */
static int signal_of(const json_t *run)
{
    const json_t *v = json_object_get(run, "signal");
    const char *name = json_string_value(v);

    if (!name)
        return (int)json_integer_value(v);
    if (strncmp(name, "SIG", 3) == 0)
        name += 3;
    for (int i = 1; i < NSIG; i++)
        if (sigabbrev_np(i) && strcmp(sigabbrev_np(i), name) == 0)
            return i;
    return 0;
}

static void append_signal(struct buf *out, int sig)
{
    const char *name = sigabbrev_np(sig);

    if (name)
        buf_printf(out, "SIG%s", name);
    else
        buf_printf(out, "signal %d", sig);
}

static bool is_crash(int sig)
{
    return sig == SIGSEGV || sig == SIGBUS || sig == SIGILL || sig == SIGFPE || sig == SIGABRT ||
           sig == SIGTRAP || sig == SIGSYS;
}

static void append_death(struct buf *out, const json_t *run)
{
    int sig = signal_of(run);

    if (sig && is_crash(sig)) {
        buf_puts(out, "crashed: ");
        append_signal(out, sig);
    } else if (sig) {
        buf_puts(out, "was killed by ");
        append_signal(out, sig);
        /* The one signal that programs cannot answer is sent by few: this is worth a word at night. */
        if (sig == SIGKILL)
            buf_puts(out, " (not by pm: perhaps the kernel, out of memory)");
    } else {
        buf_printf(out, "exited with code %lld", j_int(run, "exit_code"));
    }
    if (json_is_true(json_object_get(run, "core")))
        buf_puts(out, ", core dumped");
}

/* " (SIGINT)", " (exit code 0)": how a process that was told to stop did so. */
static void append_manner(struct buf *out, const json_t *run)
{
    int sig = signal_of(run);

    if (sig) {
        buf_puts(out, " (");
        append_signal(out, sig);
        buf_puts(out, sig == SIGKILL ? ", it had not ended in time)" : ")");
    } else if (json_is_integer(json_object_get(run, "exit_code"))) {
        buf_printf(out, " (exit code %lld)", j_int(run, "exit_code"));
    }
}

void runwords_ending(struct buf *out, const json_t *run)
{
    const char *reason = j_text(run, "reason"), *detail = j_text(run, "detail");

    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        if (strcmp(reasons[i].reason, reason) != 0)
            continue;
        buf_puts(out, reasons[i].words);
        if (reasons[i].wanted)
            append_manner(out, run);
        if (*detail)
            buf_printf(out, ": %s", detail);
        return;
    }
    append_death(out, run);
}

bool runwords_is_bad(const json_t *run)
{
    const char *reason = j_text(run, "reason");

    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (strcmp(reasons[i].reason, reason) == 0)
            return !reasons[i].wanted;
    return signal_of(run) != 0 || j_int(run, "exit_code") != 0;
}
