/*
 * `on`: what is to be done at an event. A list of texts "event=target": the target is a command line for the
 * shell, or the URL of a webhook.
 */
#ifndef PM_CONFIG_HOOK_LIST_H
#define PM_CONFIG_HOOK_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct diag;
struct err;
struct tree_node;

#define HOOKS_MAX       64   /* of one app */
#define HOOK_TARGET_MAX 2048 /* bytes */

/* The events that a hook may name, ending with NULL; daemon/events.c says which event has which. */
extern const char *const hook_words[];

const char *hook_word_find(const char *word); /* the one of the table, also for an alias; NULL = none such */
char *hook_words_list(void);                  /* "start, online, ...", for messages; the caller frees */
bool hook_is_url(const char *target);

/* 0, or -EINVAL with what is wrong with it as a command line or URL. */
int hook_check_target(const char *target, struct err *e);
/* The same of a list's entry "event=target". */
int hook_check_entry(const char *entry, struct err *e);

/* A mapping of a file, event -> text or list of texts, as a list; NULL: what is wrong is told. The caller
 * frees. `key`: as the file names it. */
char **hook_list_read(const struct tree_node *map, const char *key, struct diag *d);

/* The target of an entry that is for `word`; NULL when it is for another one. */
const char *hook_entry_target(const char *entry, const char *word);

#endif
