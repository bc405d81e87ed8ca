#ifndef PM_DAEMON_ENGINE_H
#define PM_DAEMON_ENGINE_H

/*
 * Runs the engine: everything but the children themselves. `home` is the absolute path of PM_HOME,
 * `keeper_fd` the packet socket to the keeper (common/kwire.h), which the engine owns from now on. Returns
 * the exit status.
 */
int engine_main(const char *home, int keeper_fd);

#endif
