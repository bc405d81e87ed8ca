#ifndef PM_KEEPER_LOOP_H
#define PM_KEEPER_LOOP_H

#include "keeper/state.h"

struct err;

/* Blocks the signals and opens epoll and signalfd. 0 or negative errno with the message set. */
int loop_init(struct keeper *k, struct err *e);
void loop_run(struct keeper *k); /* until k->quit */

#endif
