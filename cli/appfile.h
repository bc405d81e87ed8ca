/* Apps from config files that are named on the command line, with the flags of the command line over them. */
#ifndef PM_CLI_APPFILE_H
#define PM_CLI_APPFILE_H

#include <stdbool.h>

#include "cli/cli.h"
#include "config/config.h"

/* Where and by whom a command was typed. */
struct caller {
    char *cwd;
    char **env; /* without what --filter-env names */
    struct config_ctx ctx;
};

/* 0, or the exit code after the error was printed; caller_deinit in both cases. */
int caller_init(struct caller *k, const struct cli *c, const struct args *a);
void caller_deinit(struct caller *k);

/* Is this word a config: a file by its extension, or "-" for standard input? */
bool appfile_is(const char *word);

/*
 * Appends the apps of a config that are wanted (--only) to `out`. Returns the exit code, after errors were
 * printed; then nothing was appended.
 */
int appfile_load(const struct cli *c, const struct args *a, const struct caller *k, const char *word,
                 struct app_list *out);

/* Prints the lines as warnings and errors; they are cut apart by it. */
void appfile_print_report(const struct cli *c, const struct config_report *r);

void app_list_take(struct app_list *l, struct app_spec *take);

#endif
