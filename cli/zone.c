#include "cli/zone.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "common/err.h"
#include "common/mem.h"

#define ZONE_NAME_MAX 64
#define DATABASE      "/usr/share/zoneinfo"

static const char *database(void)
{
    const char *dir = getenv("TZDIR");

    return dir && *dir ? dir : DATABASE;
}

/* Letters, digits and what stands between them: no absolute path, and no way out of the folder. */
static bool is_name(const char *s)
{
    if (!isalpha((unsigned char)*s) || strlen(s) > ZONE_NAME_MAX)
        return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("_+-/", *s))
            return false;
    return true;
}

static bool is_in_database(const char *name)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", database(), name);
    char magic[4] = "";
    FILE *f = fopen(path, "rbe");
    bool found;

    if (!f)
        return false;
    found = fread(magic, 1, sizeof(magic), f) == sizeof(magic) && memcmp(magic, "TZif", 4) == 0;
    fclose(f);
    return found;
}

/* "+02:00", "+0200", "+2" as POSIX writes it, where east is minus: "<+02:00>-02:00". */
static char *from_offset(const char *s)
{
    unsigned hours, minutes = 0;
    char sign, extra;

    if (sscanf(s, "%c%2u:%2u%c", &sign, &hours, &minutes, &extra) != 3 &&
        sscanf(s, "%c%2u%2u%c", &sign, &hours, &minutes, &extra) != 3 &&
        sscanf(s, "%c%2u%c", &sign, &hours, &extra) != 2)
        return NULL;
    if ((sign != '+' && sign != '-') || !isdigit((unsigned char)s[1]) || hours > 14 || minutes > 59)
        return NULL;
    return xasprintf("<%c%02u%02u>%c%02u:%02u", sign, hours, minutes, sign == '+' ? '-' : '+', hours,
                     minutes);
}

int zone_set(const char *name, struct err *e)
{
    _cleanup_free_ char *value = NULL;

    if (strcasecmp(name, "UTC") == 0 || strcasecmp(name, "GMT") == 0 || strcasecmp(name, "Z") == 0)
        value = xstrdup("UTC0");
    else if (is_name(name) && is_in_database(name))
        value = xasprintf(":%s", name);
    else
        value = from_offset(name);
    if (!value && access(database(), R_OK) != 0)
        return err_set(e, -EINVAL,
                       "the time zone \"%.60s\" cannot be looked up, %s is not there (install tzdata); UTC "
                       "and offsets such as +02:00 need none",
                       name, database());
    if (!value)
        return err_set(e, -EINVAL,
                       "unknown time zone \"%.60s\"; it may be a name such as Europe/Berlin, UTC, or an "
                       "offset such as +02:00",
                       name);
    setenv("TZ", value, 1);
    tzset();
    return 0;
}
