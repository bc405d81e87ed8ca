/* PM2's saved list, dump.pm2: what `pm2 save` writes. Read so that people can change over; never written. */
#ifndef PM_CONFIG_PM2_DUMP_H
#define PM_CONFIG_PM2_DUMP_H

#include <stdint.h>

#include "config/config.h"

struct pm2_dump_process {
    uint32_t instance;
    bool up; /* it was not stopped when the list was saved */
};

/* Records that differ in nothing but the number of the instance have become one app. */
struct pm2_dump_app {
    struct pm2_dump_process *v;
    size_t n;
};

struct pm2_dump {
    struct app_list apps;
    struct pm2_dump_app *processes; /* apps.n of them, beside apps.v */
};
void pm2_dump_free(struct pm2_dump *d);

/*
 * The text of a dump. `path` is the file's, as it is to be named in messages; its folder is taken for PM2's
 * home, whose log and pid files are not taken over: the apps get pm's own. 0, or -EINVAL with lines
 * "<path>: [index].key: message" in the report and an empty `out`.
 *
 * A record's script or interpreter need not be there: what is missing is told by the start of that app, and
 * keeps the others back no more than it does in PM2.
 */
int pm2_dump_read(const char *path, const char *text, size_t len, struct pm2_dump *out,
                  struct config_report *report);

/* The same from the file. -ENOENT, without a line in the report, when there is none. */
int pm2_dump_load(const char *path, struct pm2_dump *out, struct config_report *report);

#endif
