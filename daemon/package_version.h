/* The version of the app: "version" of the nearest package.json at or above the script's folder, as PM2 shows
 * it. */
#ifndef PM_DAEMON_PACKAGE_VERSION_H
#define PM_DAEMON_PACKAGE_VERSION_H

#include <uv.h>

/* Looks on the thread pool; `found` comes on the loop with the version (the callee owns it) or NULL. */
void package_version_find(uv_loop_t *loop, const char *script, void (*found)(void *arg, char *version),
                          void *arg);

#endif
