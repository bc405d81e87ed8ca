#include "daemon/lifecycle.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "common/mem.h"

#define CELL(state, act)                                                                                     \
    {                                                                                                        \
        .next = LC_##state, .action = LC_ACT_##act                                                           \
    }

const struct lc_cell lc_table[LC_STATE_COUNT][LC_EVENT_COUNT] =
    {
        [LC_STOPPED] =
            {
                [LC_EV_START] = CELL(LAUNCHING, SPAWN),
                [LC_EV_STOP] = CELL(STOPPED, SETTLE),
                [LC_EV_RESTART] = CELL(LAUNCHING, SPAWN),
                [LC_EV_CHILD] = CELL(STOPPED, IGNORE),
                [LC_EV_READY] = CELL(STOPPED, IGNORE),
                [LC_EV_READY_TIMEOUT] = CELL(STOPPED, IGNORE),
                [LC_EV_KILL_DUE] = CELL(STOPPED, IGNORE),
                [LC_EV_END_AGAIN] = CELL(STOPPED, IGNORE),
                [LC_EV_END_DELAY] = CELL(STOPPED, IGNORE),
                [LC_EV_END_FINAL] = CELL(STOPPED, IGNORE),
                [LC_EV_END_ERRORED] = CELL(STOPPED, IGNORE),
                [LC_EV_RESTART_DUE] = CELL(STOPPED, IGNORE),
            },
        [LC_LAUNCHING] =
            {
                [LC_EV_START] = CELL(LAUNCHING, IGNORE),
                [LC_EV_STOP] = CELL(STOPPING, TERMINATE),
                [LC_EV_RESTART] = CELL(STOPPING, TERMINATE),
                [LC_EV_CHILD] = CELL(LAUNCHING, IGNORE),
                [LC_EV_READY] = CELL(ONLINE, ONLINE),
                [LC_EV_READY_TIMEOUT] = CELL(STOPPING, TERMINATE),
                [LC_EV_KILL_DUE] = CELL(LAUNCHING, IGNORE),
                [LC_EV_END_AGAIN] = CELL(LAUNCHING, SPAWN),
                [LC_EV_END_DELAY] = CELL(WAITING, DELAY),
                [LC_EV_END_FINAL] = CELL(STOPPED, SETTLE),
                [LC_EV_END_ERRORED] = CELL(ERRORED, SETTLE),
                [LC_EV_RESTART_DUE] = CELL(LAUNCHING, IGNORE),
            },
        [LC_ONLINE] =
            {
                [LC_EV_START] = CELL(ONLINE, IGNORE),
                [LC_EV_STOP] = CELL(STOPPING, TERMINATE),
                [LC_EV_RESTART] = CELL(STOPPING, TERMINATE),
                [LC_EV_CHILD] = CELL(ONLINE, IGNORE),
                [LC_EV_READY] = CELL(ONLINE, IGNORE),
                [LC_EV_READY_TIMEOUT] = CELL(ONLINE, IGNORE),
                [LC_EV_KILL_DUE] = CELL(ONLINE, IGNORE),
                [LC_EV_END_AGAIN] = CELL(LAUNCHING, SPAWN),
                [LC_EV_END_DELAY] = CELL(WAITING, DELAY),
                [LC_EV_END_FINAL] = CELL(STOPPED, SETTLE),
                [LC_EV_END_ERRORED] = CELL(ERRORED, SETTLE),
                [LC_EV_RESTART_DUE] = CELL(ONLINE, IGNORE),
            },
        /* START, STOP and RESTART change only what is desired: the end of the run then says what follows. A
         * child that comes late (the stop was faster than the fork) gets its polite signal now. */
        [LC_STOPPING] =
            {
                [LC_EV_START] = CELL(STOPPING, IGNORE),
                [LC_EV_STOP] = CELL(STOPPING, IGNORE),
                [LC_EV_RESTART] = CELL(STOPPING, IGNORE),
                [LC_EV_CHILD] = CELL(STOPPING, TERMINATE),
                [LC_EV_READY] = CELL(STOPPING, IGNORE),
                [LC_EV_READY_TIMEOUT] = CELL(STOPPING, IGNORE),
                [LC_EV_KILL_DUE] = CELL(STOPPING, KILL),
                [LC_EV_END_AGAIN] = CELL(LAUNCHING, SPAWN),
                [LC_EV_END_DELAY] = CELL(WAITING, DELAY),
                [LC_EV_END_FINAL] = CELL(STOPPED, SETTLE),
                [LC_EV_END_ERRORED] = CELL(ERRORED, SETTLE),
                [LC_EV_RESTART_DUE] = CELL(STOPPING, IGNORE),
            },
        /* A stop passes through STOPPING because leftovers of the ended run may still live; without any it
         * ends in the same moment. */
        [LC_WAITING] =
            {
                [LC_EV_START] = CELL(LAUNCHING, SPAWN),
                [LC_EV_STOP] = CELL(STOPPING, TERMINATE),
                [LC_EV_RESTART] = CELL(LAUNCHING, SPAWN),
                [LC_EV_CHILD] = CELL(WAITING, IGNORE),
                [LC_EV_READY] = CELL(WAITING, IGNORE),
                [LC_EV_READY_TIMEOUT] = CELL(WAITING, IGNORE),
                [LC_EV_KILL_DUE] = CELL(WAITING, IGNORE),
                [LC_EV_END_AGAIN] = CELL(WAITING, IGNORE),
                [LC_EV_END_DELAY] = CELL(WAITING, IGNORE),
                [LC_EV_END_FINAL] = CELL(WAITING, IGNORE),
                [LC_EV_END_ERRORED] = CELL(WAITING, IGNORE),
                [LC_EV_RESTART_DUE] = CELL(LAUNCHING, SPAWN),
            },
        [LC_ERRORED] =
            {
                [LC_EV_START] = CELL(LAUNCHING, SPAWN),
                [LC_EV_STOP] = CELL(STOPPING, TERMINATE),
                [LC_EV_RESTART] = CELL(LAUNCHING, SPAWN),
                [LC_EV_CHILD] = CELL(ERRORED, IGNORE),
                [LC_EV_READY] = CELL(ERRORED, IGNORE),
                [LC_EV_READY_TIMEOUT] = CELL(ERRORED, IGNORE),
                [LC_EV_KILL_DUE] = CELL(ERRORED, IGNORE),
                [LC_EV_END_AGAIN] = CELL(ERRORED, IGNORE),
                [LC_EV_END_DELAY] = CELL(ERRORED, IGNORE),
                [LC_EV_END_FINAL] = CELL(ERRORED, IGNORE),
                [LC_EV_END_ERRORED] = CELL(ERRORED, IGNORE),
                [LC_EV_RESTART_DUE] = CELL(ERRORED, IGNORE),
            },
};

static const char *const state_words[] = {
    [LC_STOPPED] = "stopped",   [LC_LAUNCHING] = "launching",     [LC_ONLINE] = "online",
    [LC_STOPPING] = "stopping", [LC_WAITING] = "waiting restart", [LC_ERRORED] = "errored",
};
static_assert(ARRAY_LEN(state_words) == LC_STATE_COUNT, "a state has no word");

static const char *const event_words[] = {
    [LC_EV_START] = "start",
    [LC_EV_STOP] = "stop",
    [LC_EV_RESTART] = "restart",
    [LC_EV_CHILD] = "child",
    [LC_EV_READY] = "ready",
    [LC_EV_READY_TIMEOUT] = "ready-timeout",
    [LC_EV_KILL_DUE] = "kill-due",
    [LC_EV_END_AGAIN] = "end-again",
    [LC_EV_END_DELAY] = "end-delay",
    [LC_EV_END_FINAL] = "end-final",
    [LC_EV_END_ERRORED] = "end-errored",
    [LC_EV_RESTART_DUE] = "restart-due",
};
static_assert(ARRAY_LEN(event_words) == LC_EVENT_COUNT, "an event has no word");

static const char *const reason_words[] = {
    [LC_R_NONE] = "none",
    [LC_R_EXIT] = "exit",
    [LC_R_SIGNAL] = "signal",
    [LC_R_EXEC_FAILED] = "exec-failed",
    [LC_R_SPAWN_REFUSED] = "spawn-refused",
    [LC_R_STOPPED] = "stopped",
    [LC_R_RESTARTED] = "restarted",
    [LC_R_DELETED] = "deleted",
    [LC_R_SHUTDOWN] = "shutdown",
    [LC_R_READY_TIMEOUT] = "ready-timeout",
    [LC_R_LOST] = "lost",
    [LC_R_BUDGET] = "budget",
    [LC_R_RELOADED] = "reloaded",
    [LC_R_RELOAD_FAILED] = "reload-failed",
};
static_assert(ARRAY_LEN(reason_words) == LC_REASON_COUNT, "a reason has no word");

const char *lc_state_word(enum lc_state s)
{
    return (unsigned)s < LC_STATE_COUNT ? state_words[s] : "unknown";
}

const char *lc_event_word(enum lc_event e)
{
    return (unsigned)e < LC_EVENT_COUNT ? event_words[e] : "unknown";
}

const char *lc_reason_word(enum lc_reason r)
{
    return (unsigned)r < LC_REASON_COUNT ? reason_words[r] : "none";
}

enum lc_reason lc_reason_of_word(const char *word)
{
    for (unsigned i = 0; word && i < LC_REASON_COUNT; i++)
        if (strcmp(word, reason_words[i]) == 0)
            return (enum lc_reason)i;
    return LC_R_NONE;
}

static bool is_stop_code(const struct lc_policy *p, const struct lc_end *end)
{
    for (unsigned i = 0; end->reason == LC_R_EXIT && i < p->n_stop_exit_codes; i++)
        if (p->stop_exit_codes[i] == end->exit_code)
            return true;
    return false;
}

/* Moves the count of unstable runs in a row; true when the budget is spent. */
static bool spend_budget(const struct lc_policy *p, struct lc_counters *c, const struct lc_end *end)
{
    if (end->reason == LC_R_SPAWN_REFUSED)
        return false; /* the machine has no room for a fork: nothing was learnt about the app */
    if (end->reason == LC_R_EXEC_FAILED || end->reason == LC_R_READY_TIMEOUT ||
        end->uptime_ms < p->min_uptime)
        c->unstable++;
    else
        c->unstable = 0;
    return c->unstable >= p->max_restarts;
}

static uint32_t next_delay(const struct lc_policy *p, struct lc_counters *c, const struct lc_end *end)
{
    uint64_t next;

    if (!p->exp_backoff)
        return p->restart_delay;
    if (end->uptime_ms > LC_BACKOFF_RESET_MS)
        c->backoff_delay = 0;
    if (!c->backoff_delay)
        next = p->exp_backoff; /* also when it is over the cap: the user's word for the first delay */
    else
        next = (uint64_t)c->backoff_delay * 3 / 2;
    if (c->backoff_delay && next > LC_BACKOFF_CAP_MS)
        next = LC_BACKOFF_CAP_MS;
    c->backoff_delay = (uint32_t)next;
    return c->backoff_delay;
}

struct lc_verdict lc_judge(const struct lc_policy *p, struct lc_counters *c, const struct lc_end *end)
{
    bool no_run = end->reason == LC_R_EXEC_FAILED || end->reason == LC_R_SPAWN_REFUSED;
    uint32_t delay;

    /* What fails at the user's own start is told at once; what worked before may work again (a binary that
     * is being replaced, a mount that comes back), so an automatic respawn only waits. */
    if (no_run && (end->fresh || !p->autorestart)) {
        c->unstable = 0;
        return (struct lc_verdict){.event = LC_EV_END_ERRORED};
    }
    if (!p->autorestart || is_stop_code(p, end))
        return (struct lc_verdict){.event = LC_EV_END_FINAL};
    if (spend_budget(p, c, end)) {
        c->unstable = 0;
        return (struct lc_verdict){.event = LC_EV_END_ERRORED};
    }
    c->restarts++;
    delay = next_delay(p, c, end);
    if (no_run && delay < LC_FAILED_EXEC_WAIT_MS)
        delay = LC_FAILED_EXEC_WAIT_MS;
    return (struct lc_verdict){.event = delay ? LC_EV_END_DELAY : LC_EV_END_AGAIN, .delay_ms = delay};
}
