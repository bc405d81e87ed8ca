#include "config/times.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "common/err.h"

static bool is_on(const char *pattern)
{
    return pattern && *pattern && strcmp(pattern, "0") != 0 && strcasecmp(pattern, "false") != 0;
}

bool app_is_job(const struct app_spec *s)
{
    return is_on(s->schedule);
}

const char *app_times(const struct app_spec *s)
{
    if (is_on(s->schedule))
        return s->schedule;
    return is_on(s->cron_restart) ? s->cron_restart : NULL;
}

const char *app_times_key(const struct app_spec *s)
{
    return app_is_job(s) ? "schedule" : "cron_restart";
}

int check_times(const struct app_spec *s, struct err *e)
{
    if (is_on(s->schedule) && is_on(s->cron_restart))
        return err_set(e, -EINVAL,
                       "schedule runs the app at times, cron_restart restarts one that always runs: "
                       "give one of them");
    return 0;
}
