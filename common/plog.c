#include "common/plog.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const char *plog_who = "pmd";
static int plog_debug;

void plog_init(const char *who)
{
    plog_who = who;
    plog_debug = getenv("PM_DEBUG") != NULL;
}

void plog(enum plog_level level, const char *fmt, ...)
{
    static const char *const words[] = {"ERROR", "WARN", "INFO", "DEBUG"};
    int saved = errno, len;
    char line[1024];
    struct timespec ts;
    struct tm tm;
    va_list ap;

    if (level == PLOG_DEBUG && !plog_debug)
        return;
    clock_gettime(CLOCK_REALTIME, &ts);
    localtime_r(&ts.tv_sec, &tm);
    len = (int)strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
    len += snprintf(line + len, sizeof(line) - (size_t)len, ".%03ld %s[%d] %s: ", ts.tv_nsec / 1000000,
                    plog_who, (int)getpid(), words[level]);
    va_start(ap, fmt);
    int n = vsnprintf(line + len, sizeof(line) - (size_t)len - 1, fmt, ap);
    va_end(ap);
    len += n < 0 ? 0 : n;
    if (len > (int)sizeof(line) - 2)
        len = (int)sizeof(line) - 2;
    line[len++] = '\n';
    ssize_t ignored = write(2, line, (size_t)len);
    (void)ignored;
    errno = saved;
}
