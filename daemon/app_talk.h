/*
 * What an app says on its Node channel, and what is kept of it: the metrics, actions and options that @pm2/io
 * and its like announce. Bounded in each run, whatever an app sends. No I/O but the journal's file.
 */
#ifndef PM_DAEMON_APP_TALK_H
#define PM_DAEMON_APP_TALK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define APP_METRICS_MAX 256
#define APP_ACTIONS_MAX 256
#define APP_NAME_MAX    256u          /* bytes of a metric's or an action's name */
#define APP_TALK_MAX    (64u * 1024)  /* bytes of all that is kept of a run, as JSON */
#define APP_LINE_MAX    (256u * 1024) /* a longer message is not parsed */
#define APP_DEPTH_MAX   100u          /* nested deeper: not parsed, for clients could not parse it either */
#define APP_JOURNAL_MAX (4 * APP_TALK_MAX)

/* By the message's "type". */
enum app_word_kind {
    APP_RAW,      /* it cannot be parsed, or is nested deeper than APP_DEPTH_MAX */
    APP_TOO_LONG, /* longer than APP_LINE_MAX */
    APP_MONITOR,
    APP_ACTION,
    APP_OPTION,
    APP_REPLY,
    APP_EXCEPTION,
    APP_HUMAN,
    APP_MESSAGE /* any other */
};

struct app_word {
    enum app_word_kind kind;
    json_t *whole;      /* what was parsed; NULL for APP_RAW and APP_TOO_LONG */
    const char *type;   /* "type", or NULL; inside `whole` */
    const json_t *data; /* "data" of a message with a type, else all of it; may be NULL; inside `whole` */
};

/* One line of the channel, without its line break. app_word_deinit frees. */
void app_word_parse(struct app_word *w, const char *line, size_t len);
void app_word_deinit(struct app_word *w);

struct app_talk {
    json_t *actions; /* name -> what was announced, in that order */
    json_t *monitor; /* name -> metric */
    json_t *options;
    size_t bytes;     /* of all three, as JSON */
    unsigned refused; /* announcements that did not fit */
};

struct app_talk *app_talk_new(void);
void app_talk_free(struct app_talk *t); /* accepts NULL */

/*
 * Takes what a message announces. True when something changed that an app says only once (an action, an
 * option), so that it must be remembered.
 */
bool app_talk_take(struct app_talk *t, const struct app_word *w);

bool app_talk_has_action(const struct app_talk *t, const char *name); /* t may be NULL */
/* "a, b, c": the names of the actions, or "none". The caller frees. */
char *app_talk_actions(const struct app_talk *t);

/*
 * The journal: a memory file with the lines that are to be remembered. A line that is not whole, because its
 * writer was killed, does not count.
 */
/* Appends a line at `end`, which moves. 0 or -errno. */
int app_journal_add(int fd, size_t *end, const char *line, size_t len);
/* Takes all whole lines of the file; *end is behind the last. */
void app_journal_read(int fd, size_t *end, struct app_talk *t);
/* A new, shorter one with all that is known. The descriptor is the caller's; or -errno. */
int app_journal_new(const struct app_talk *t, size_t *end);

#endif
