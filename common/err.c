#include "common/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, int code, const char *fmt, ...)
{
    va_list ap;

    if (!e)
        return code;
    e->code = code;
    va_start(ap, fmt);
    vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
    va_end(ap);
    return code;
}

int err_errno(struct err *e, const char *fmt, ...)
{
    int saved = errno;
    char what[sizeof(e->msg)];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    return err_set(e, -saved, "%.380s: %s", what, strerror(saved));
}

int err_wrap(struct err *e, const char *fmt, ...)
{
    char what[256], old[sizeof(e->msg)];
    va_list ap;

    if (!e)
        return 0;
    memcpy(old, e->msg, sizeof(old));
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    snprintf(e->msg, sizeof(e->msg), "%s: %.250s", what, old);
    return e->code;
}
