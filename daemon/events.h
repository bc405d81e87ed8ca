/*
 * What happens, told to whoever listens: life-cycle events of processes, the daemon's own, and messages from
 * apps. Life-cycle events and the daemon's own are stored as well (state.db, the last 10,000).
 */
#ifndef PM_DAEMON_EVENTS_H
#define PM_DAEMON_EVENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "common/buf.h"

struct engine;
struct process;

/* The words and channels are PM2's where it has them; see the table in events.c. */
enum event_kind {
    EVENT_START,
    EVENT_ONLINE,
    EVENT_EXIT,
    EVENT_RESTART,
    EVENT_RELOAD,
    EVENT_STOP,
    EVENT_DELETE,
    EVENT_OVERLIMIT,
    EVENT_ERRORED,
    EVENT_READY_TIMEOUT,
    EVENT_LIMIT,     /* memory, CPU or run time */
    EVENT_UNHEALTHY, /* a health check failed as often as it may */
    EVENT_HEALTHY,
    EVENT_SCHEDULE, /* it was time */
    EVENT_WATCH,    /* a file has changed */
    EVENT_HOOK,     /* a hook failed */
    EVENT_ENGINE,
    EVENT_LOG_TROUBLE,
    EVENT_LIST_TROUBLE,
    EVENT_KILL,
    EVENT_MESSAGE, /* of an app: any that is none of the following */
    EVENT_EXCEPTION,
    EVENT_REPLY,
    EVENT_HUMAN,
    EVENT_KIND_COUNT
};

struct event {
    enum event_kind kind;
    const struct process *p; /* NULL: of the daemon itself */
    uint64_t run;            /* 0: p's current one, if any */
    bool manually;           /* somebody asked for it */
    const char *by;          /* who; may be NULL */
    const char *text;        /* in words; may be NULL */
    bool has_exit;           /* exit_code and signal mean something */
    int exit_code;           /* -1 = none */
    int signal;              /* 0 = none */
    const char *type;        /* of an app's message: its "type"; may be NULL */
    const json_t *data;      /* what the app said; NULL = nothing */
    const char *raw;         /* or, when it cannot be parsed, its bytes */
    size_t raw_len;
    size_t too_long; /* or, when it is too long to be passed on, how long it is */
};

/* Who listens. `event` is called with the event as JSON text; it must neither block nor unsubscribe. */
struct event_listener {
    void (*event)(void *arg, const char *json, size_t len);
    void *arg;
    const uint32_t *ids; /* of the processes that are meant, ascending; NULL = all, and the daemon's own */
    size_t n_ids;
    TAILQ_ENTRY(event_listener) entry;
};
TAILQ_HEAD(event_listeners, event_listener);

/*
 * Tells and stores an event; never blocks. Of an app's message nothing is done when nobody listens. The
 * fields of the process are taken from it as they are now.
 */
void event_emit(struct engine *e, const struct event *ev);

const char *event_word(enum event_kind kind);     /* "start", "restart overlimit", "process:msg"... */
const char *event_hook(enum event_kind kind);     /* its word in `on`; NULL = it has no hooks */
bool event_is_stored(enum event_kind kind);       /* messages of apps are not */
bool event_is_for(const struct event_listener *l, /* `process`: STORE_NO_PROCESS for the daemon */
                  uint32_t process);
/* One object, without a line break. */
void event_write(struct buf *out, const struct event *ev, uint64_t now_ms);

#endif
