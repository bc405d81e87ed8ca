/* The time zone that times are read and shown in. */
#ifndef PM_CLI_ZONE_H
#define PM_CLI_ZONE_H

struct err;

/*
 * Makes this the local time zone of the whole command: a name of the zone database ("Europe/Berlin", "UTC"),
 * or an offset ("+02:00", "-0330"). libc takes an unknown name for UTC without a word; here it is -EINVAL,
 * and a sentence.
 */
int zone_set(const char *name, struct err *e);

#endif
