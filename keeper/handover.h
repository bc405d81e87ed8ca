/*
 * All that a keeper knows, as a sealed memory file, for the program that it becomes (upgrade.h). Descriptors
 * are named by their numbers, which the exec keeps. Numbers are little-endian, never a struct, so that builds
 * of different age understand each other; the version tells whether they do.
 */
#ifndef PM_KEEPER_HANDOVER_H
#define PM_KEEPER_HANDOVER_H

#include "keeper/state.h"

/* Of what handover_write writes. It grows with each change; readers go on reading back to the oldest. Fields
 * are only ever added, at the end of their frame: one that an older writer did not know is 0 for the reader.
 */
#define HANDOVER_VERSION 2 /* 2: sockets */
#define HANDOVER_OLDEST  1

struct err;

/* A sealed memory file (close-on-exec), or negative errno. The link must be at rest: what is owed on it is
 * not written. Bounded by the table. */
int handover_write(struct keeper *k, struct err *e);

/*
 * Fills an empty table, the engine and the link's plain fields. 0, or negative errno: then *k is half filled.
 * Descriptors are checked to be open and otherwise left as they are, so that another program may still read
 * the same file. The link is not watched yet.
 */
int handover_read(struct keeper *k, int fd, struct err *e);

/* Makes everything that the file names survive an exec, or not. */
void handover_keep_open(struct keeper *k, bool keep);

#endif
