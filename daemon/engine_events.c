/* Which events the news of the supervisor are. */
#include <stddef.h>

#include "daemon/engine.h"
#include "daemon/events.h"

static bool asked_for(enum lc_reason reason)
{
    return reason == LC_R_STOPPED || reason == LC_R_RESTARTED || reason == LC_R_DELETED ||
           reason == LC_R_SHUTDOWN;
}

static void emit(struct engine *e, const struct process *p, enum event_kind kind, bool manually,
                 const char *text)
{
    event_emit(e,
               &(struct event){
                   .kind = kind, .p = p, .manually = manually, .by = manually ? p->by : NULL, .text = text});
}

void engine_tell_started(struct engine *e, const struct process *p)
{
    /* A restart that somebody asked for is told when the old run is stopped for it. */
    if (!p->fresh)
        emit(e, p, EVENT_RESTART, false, NULL);
    emit(e, p, EVENT_START, p->fresh, NULL);
}

void engine_tell_ended(struct engine *e, const struct process *p, uint64_t run)
{
    char words[256];

    last_exit_words(&p->last, words, sizeof(words));
    event_emit(e, &(struct event){.kind = EVENT_EXIT,
                                  .p = p,
                                  .run = run,
                                  .manually = p->by != NULL,
                                  .by = p->by,
                                  .text = words,
                                  .has_exit = true,
                                  .exit_code = p->last.exit_code,
                                  .signal = p->last.signal});
}

void engine_tell_changed(struct engine *e, const struct process *p, enum lc_state old)
{
    char words[256];

    if (p->state == old)
        return;
    supervisor_describe_reason(e->sup, p, words, sizeof(words));
    switch (p->state) {
    case LC_ONLINE:
        emit(e, p, EVENT_ONLINE, p->fresh, NULL);
        break;
    case LC_STOPPED:
        emit(e, p, EVENT_STOP, asked_for(p->reason), words);
        break;
    case LC_ERRORED:
        emit(e, p, p->reason == LC_R_BUDGET ? EVENT_OVERLIMIT : EVENT_ERRORED, false, words);
        break;
    case LC_STOPPING:
        if (p->reason == LC_R_RESTARTED)
            emit(e, p, EVENT_RESTART, true, NULL);
        else if (p->reason == LC_R_READY_TIMEOUT)
            emit(e, p, EVENT_READY_TIMEOUT, false, words);
        break;
    case LC_LAUNCHING: /* told with its pid, as "start" */
    case LC_WAITING:   /* told as "exit" */
    case LC_STATE_COUNT:
        break;
    }
}

void engine_tell_reloaded(struct engine *e, const struct process *p)
{
    emit(e, p, EVENT_RELOAD, true, NULL);
}

void engine_tell_deleted(struct engine *e, const struct process *p)
{
    emit(e, p, EVENT_DELETE, true, NULL);
}
