/* Environments: lists of "NAME=value". The basic helpers are in spec.h. */
#ifndef PM_CONFIG_ENV_H
#define PM_CONFIG_ENV_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct err;
struct tree_node;
struct diag;

/*
 * A copy of the caller's environment without what belongs to the caller alone: Node's channel to its parent,
 * the sockets and the watchdog that systemd gave it, the run id of the app in which the command was typed. An
 * app that found these would talk on descriptors that it does not have. Never NULL; for strv_free.
 */
char **env_inherit(char *const *environ_);

/* Is this one of the variables that env_inherit leaves out? */
bool env_is_callers_own(const char *name, size_t len);

/* Puts a mapping of a config file over the environment. Structured values become JSON text; null removes,
 * and leaves a word about it (spec.h). */
void env_apply_tree(char ***env, const struct tree_node *map, struct diag *d);

/* The same with one entry of such a mapping. */
void env_apply_one(char ***env, const struct tree_node *entry, struct diag *d);

/*
 * Puts the NAME=value lines of a file's text over the environment: blank lines and # comments are skipped,
 * `export ` before a name and quotes around a value are taken off. 0, or -EINVAL with "line N: ..." as
 * message.
 */
int env_apply_file_text(char ***env, const char *text, size_t len, struct err *e);

/* As an object of strings, in order; null for a name without a value. Names that are not UTF-8 are left out:
 * JSON has no form for them. */
json_t *env_to_json(char *const *env);

/*
 * Puts such an object over the environment; null removes a variable. 0, or -EINVAL with the message and the
 * environment half changed.
 */
int env_merge_json(char ***env, const json_t *object, struct err *e);

/* What turns `base` into `env`, for env_merge_json: changed and new variables, null for those that are gone.
 */
json_t *env_diff_to_json(char *const *base, char *const *env);

#endif
