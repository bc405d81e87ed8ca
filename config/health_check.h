/* `health_check`: how the daemon finds out whether a process can serve. */
#ifndef PM_CONFIG_HEALTH_CHECK_H
#define PM_CONFIG_HEALTH_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "config/listen.h"

struct app_spec;
struct err;
struct option_group;

#define HEALTH_URL_PATH_MAX 1024 /* bytes of the path of a URL */

/* At most one of the three texts is not NULL; none: there is no check. */
struct health_check_options {
    char *http, *tcp, *exec;
    int64_t interval, timeout; /* ms */
    int64_t retries;
    int64_t start_period; /* ms */
};

extern const struct option_group health_check_group;

/* Where to connect. */
struct health_address {
    char host[LISTEN_HOST_MAX]; /* numeric; empty: the unix socket `path` */
    int port;                   /* 0: that of the variable PORT of the process, on 127.0.0.1 */
    char unix_path[LISTEN_PATH_MAX + 1];
    char url_path[HEALTH_URL_PATH_MAX + 1]; /* of http */
};

bool health_check_is_set(const struct app_spec *s);

/* The address of `http` or `tcp`; of a path alone it is that of the app's first listening socket, or PORT. */
int health_address(const struct app_spec *s, struct health_address *out, struct err *e);

/* What no single key shows: one kind of check, an address that can be told. 0, or -EINVAL and a message. */
int health_check_app(const struct app_spec *s, struct err *e);

#endif
