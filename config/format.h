/* Which language a config is written in, and its tree. Private to config/. */
#ifndef PM_CONFIG_FORMAT_H
#define PM_CONFIG_FORMAT_H

#include "config/config.h"
#include "config/tree.h"

struct config_text {
    const char *name;   /* as the user named it */
    const char *path;   /* absolute */
    const char *folder; /* absolute; where relative paths start */
    enum config_format format;
    const char *text;
    size_t len;
    bool is_file; /* `path` is a file with this text */
};

/* By the extension; CONFIG_UNKNOWN when the name is not one of a config. */
enum config_format format_of_name(const char *path);

/*
 * Reads the text: 0 with t->root set, or -EINVAL with the errors in `d`. After JavaScript d->numbered is the
 * root: then the tree must live as long as `d` holds entries.
 */
int format_read(struct tree *t, const struct config_ctx *ctx, const struct config_text *text, struct diag *d);

#endif
