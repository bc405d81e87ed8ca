/* Programs and scripts as files: where they are and what they are. */
#ifndef PM_CONFIG_PATH_H
#define PM_CONFIG_PATH_H

#include <stdbool.h>

/*
 * The program that a word names: a path when it has a "/" (relative ones from `cwd`), else looked up on the
 * PATH of `env` (relative entries from `cwd`). An absolute path on the heap, or NULL when there is no
 * executable file.
 */
char *path_find_program(char *const *env, const char *cwd, const char *word);

/* "~" and "~/x" with the home folder of `env` put in; else a copy. */
char *path_expand_home(char *const *env, const char *path);

bool path_is_folder(const char *path);

enum script_kind {
    SCRIPT_MISSING,
    SCRIPT_FOLDER,
    SCRIPT_SPECIAL,    /* a device, socket or pipe */
    SCRIPT_UNREADABLE, /* and not executable either */
    SCRIPT_EMPTY,
    SCRIPT_BINARY,
    SCRIPT_SHEBANG,
    SCRIPT_TEXT /* text without a shebang */
};

struct script_info {
    enum script_kind kind;
    bool executable;
    bool crlf; /* its shebang line ends in CR LF, which no kernel accepts */

    /* The program of the shebang as the user means it (behind /usr/bin/env the word after it) and its
     * arguments, NULL-terminated. */
    char *program;
    char **program_args;
};

void script_inspect(const char *path, struct script_info *out);
void script_info_deinit(struct script_info *info);

#endif
