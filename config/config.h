/*
 * From files and command-line words to app_specs. Used by the CLI, with the caller's rights, folder and
 * environment.
 *
 * Errors are collected, not thrown one at a time: each is one line "file:line:col: message", in file order.
 */
#ifndef PM_CONFIG_CONFIG_H
#define PM_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "config/spec.h"

struct config_ctx {
    const char *cwd;      /* the caller's working folder: base of relative paths given on the command line */
    char *const *environ; /* the caller's environment, the base of every app's */
    const char *env_name; /* --env NAME, or NULL */
    /*
     * Puts options of the command line over those that a file has for an app, before anything is derived from
     * them: which interpreter there is, how many processes "max" are. Relative paths are to be absolute. True
     * when it has set the number of instances. NULL = nothing to put.
     */
    bool (*overlay)(void *arg, struct app_spec *spec);
    void *overlay_arg;
    /* Is there an app of this name already, which one of a file may depend on? NULL: that is not known here,
     * and any name will do. */
    bool (*known)(void *arg, const char *name);
    void *known_arg;
    bool
        names_only; /* the apps are only to be named, as for a stop: nothing that they need has to be there */
};

struct app_list {
    struct app_spec **v;
    char **names; /* what --only names: v[i]->name without name_prefix and --env; NULL = the same as there */
    size_t n;
};
void app_list_free(struct app_list *l);

/* Problems found: error lines (any of them makes the load fail) and warning lines; all end in "\n". */
struct config_report {
    struct buf errors;
    struct buf warnings;
    unsigned n_errors, n_warnings;
};
void config_report_free(struct config_report *r);

enum config_format {
    CONFIG_YAML,
    CONFIG_JSON, /* or JavaScript, when it is no JSON */
    CONFIG_JS,
    CONFIG_UNKNOWN /* told by the content */
};

/* Is this word a config file by its extension (.yaml, .yml, .json, .config.js, .config.cjs, .config.mjs)? */
bool config_is_file_name(const char *path);

/* The names that are looked for when none is given, best first; NULL at the end. */
const char *const *config_default_names(void);

/*
 * Loads a file. Relative paths in it are taken from the file's folder unless `cwd` is set in it (then scripts
 * and log files from there). JavaScript is evaluated by node, for at most 10 s. 0 and the apps, or -EINVAL
 * with the lines in the report; then `out` is empty. A report may be used for several calls: lines are added.
 */
int config_load_file(const struct config_ctx *ctx, const char *path, struct app_list *out,
                     struct config_report *report);

/* The same from text; relative paths are taken from ctx->cwd. For CONFIG_JS the text is a CommonJS module. */
int config_load_text(const struct config_ctx *ctx, const char *name, const char *text, size_t len,
                     enum config_format format, struct app_list *out, struct config_report *report);

/*
 * The same from a descriptor, read to its end (it blocks) whatever its size up to 16 MiB; the language is
 * told by the content. `name` stands before the messages, such as "stdin". The descriptor stays open.
 */
int config_load_fd(const struct config_ctx *ctx, const char *name, int fd, struct app_list *out,
                   struct config_report *report);

/*
 * Completes an app that has script, args and flags set from the command line: kind of script, interpreter,
 * name, cwd, environment, paths. `word` is what the user typed: a script path, a program on PATH, or a
 * command line in quotes (contains a space). 0, or negative with a message that says what to do (script not
 * found, interpreter missing...).
 */
int config_resolve_word(const struct config_ctx *ctx, const char *word, struct app_spec *spec, struct err *e);

#endif
