/* Consuming a worker's line and answering it as one act, which an engine that may die at any instruction
 * cannot do: Node takes an answer that nobody waits for, or none, very badly. */
#ifndef PM_KEEPER_ANSWER_H
#define PM_KEEPER_ANSWER_H

#include "keeper/state.h"

void answer_worker(struct keeper *k, struct record *r, const struct kw_msg *m); /* KW_ANSWER */

#endif
