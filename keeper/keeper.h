/*
 * The keeper: the small process that is the parent of every child and holds a duplicate of every long-lived
 * descriptor, so that the engine may die at any moment and be replaced. It reads no pipe, parses no text from
 * outside, allocates only with a bound, and never blocks once it runs.
 */
#ifndef PM_KEEPER_KEEPER_H
#define PM_KEEPER_KEEPER_H

#include <stdbool.h>

struct keeper_options {
    const char *home; /* PM_HOME; NULL: the variable PM_HOME, then ~/.pm */
    bool foreground;  /* stay in the foreground and log to the stderr that is there */
    bool autostart;   /* a daemon that already runs is success, not an error */
    int attach_fd;    /* link to a living engine that lost its keeper; -1: none */
    int resume_fd;    /* after an upgrade: what the keeper before knew (handover.h); 0: none */
    int previous_fd;  /* and its program file, to go back to; 0: none, this is it */
    /* What to run as the engine, with the link as descriptor 3; NULL: this program with --engine. */
    char *const *engine_argv;
};

/* Exit status of `pmd --check-upgrade VERSION` for yes. Not 0, which any program may give. */
#define KEEPER_CAN_UPGRADE 87

/* The exit status for a keeper that wants to become this program and writes its state in this version; the
 * reason for a no is on stderr. */
int keeper_check_upgrade(const char *version);

/*
 * Runs the keeper. Without `foreground` and `attach_fd` it detaches, and the call returns in the caller's
 * process when the daemon is up (0) or could not start (the exit status; the reason is on stderr). Otherwise
 * it returns the keeper's own exit status when everything is stopped.
 */
int keeper_main(const struct keeper_options *options);

#endif
