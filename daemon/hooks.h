/*
 * Rules of hooks, without I/O: how many may run, what is told of those that did not, and what is said of a
 * failure. See hooks_run.h for what runs them.
 */
#ifndef PM_DAEMON_HOOKS_H
#define PM_DAEMON_HOOKS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct err;

#define HOOK_RATE_MAX      10u    /* events of one kind and app, in */
#define HOOK_RATE_MS       60000u /* this time */
#define HOOK_RATES_MAX     1024u  /* kinds and apps that are remembered */
#define HOOK_RUNNING_MAX   8u
#define HOOK_QUEUE_MAX     256u
#define HOOK_TAIL_MAX      1024u /* bytes of the end of a hook's output that are kept */
#define HOOK_TIMEOUT_MS    30000
#define HOOK_SETTINGS      "hooks:"        /* what the settings of all apps begin with: "hooks:exit" */
#define HOOK_TIMEOUT_KEY   "hooks:timeout" /* how long one may take */
#define HOOK_WEBHOOK_MS    35000           /* two tries to post, which have limits of their own */
#define HOOK_CONNECT_SECS  "5"             /* of one try */
#define HOOK_TRANSFER_SECS "15"

struct hook_rate;
TAILQ_HEAD(hook_rates, hook_rate);

/*
 * May the hooks of this event run now? When they may, `skipped` is how many events of the kind had none since
 * they last did. `app` is copied, `word` is not. Most are forgotten after a minute without an event.
 */
bool hook_rate_take(struct hook_rates *rates, const char *app, const char *word, uint64_t now_ms,
                    uint64_t *skipped);
void hook_rates_clear(struct hook_rates *rates);

/* The event with "skipped", when there were any. The caller frees. */
char *hook_event_json(const char *json, size_t len, uint64_t skipped);

/* The end of what a hook said. */
struct hook_tail {
    char text[HOOK_TAIL_MAX + 1];
    size_t len;
};
void hook_tail_add(struct hook_tail *t, const char *data, size_t len);
/* Its last line that is not empty, fit for a log; "" when there is none. Changes the tail. */
const char *hook_tail_last(struct hook_tail *t);

/* How a target is told in logs: of a URL only scheme and host, the rest may be a secret. The caller frees. */
char *hook_target_words(const char *target);

/* What a user sets under HOOK_SETTINGS: 0, or -EINVAL with what is wrong, without the key. */
int hook_check_setting(const char *key, const char *value, struct err *e);
/* HOOK_TIMEOUT_KEY, or the default. */
int64_t hook_timeout(const json_t *settings);

/* The targets of an event: of the app's list, then of the settings, one a line. Called with each. */
void hook_each_target(char *const *on, const json_t *settings, const char *word,
                      void (*each)(void *arg, const char *target, bool of_app), void *arg);

#endif
