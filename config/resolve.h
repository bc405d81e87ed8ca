/* What command line and files share: from what was written to what the daemon can run. Private to config/. */
#ifndef PM_CONFIG_RESOLVE_H
#define PM_CONFIG_RESOLVE_H

#include <stdbool.h>

#include "config/config.h"

struct resolve {
    struct app_spec *spec;   /* cwd is set (resolve_cwd) and env is complete */
    const char *word;        /* the script as it was written */
    const char *second;      /* where else a relative script may be, after cwd; NULL = nowhere */
    char *const *environ;    /* the caller's environment */
    const char *name_prefix; /* what config and --env put around the name; NULL = nothing */
    const char *name_suffix;
    char *plain_name;                 /* set by resolve_app: the name without these; the caller frees */
    bool instances_given, mode_given; /* by the user, be it as the default */
    bool log_file_default;            /* log_file: true */
    bool names_only;                  /* of config_ctx */

    /* Called for each problem: `key` is the canonical name of the option that it is about. */
    void (*problem)(void *arg, const char *key, const char *msg);
    void *arg;
    unsigned n_problems;
};

/* Makes spec->cwd absolute (from `base`; without one it is `base`). False when there is no such folder:
 * `problem` has been called. */
bool resolve_cwd(struct resolve *r, const char *base, char *const *env);

/* Everything else. False when there was a problem. */
bool resolve_app(struct resolve *r);

/* What source_map_support adds to the interpreter's arguments. */
void resolve_source_maps(struct app_spec *s);

#endif
