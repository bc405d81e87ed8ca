/*
 * The keeper becomes the installed program without ending: execve keeps its pid, its children and its
 * descriptors, and the state goes along in a memory file (handover.h). The engine asks for it (KW_UPGRADE),
 * lives through it on the same link, and is told how it went (KW_UPGRADED).
 *
 * Nothing is risked: the program is asked first whether it can (`pmd --check-upgrade VERSION`, as a child);
 * an exec that fails changes nothing; a program that cannot read the state after all goes back to the image
 * before it; and should it crash, the engine has every descriptor and starts a keeper, as after any keeper's
 * death.
 */
#ifndef PM_KEEPER_UPGRADE_H
#define PM_KEEPER_UPGRADE_H

#include "keeper/keeper.h"
#include "keeper/state.h"

void upgrade_begin(struct keeper *k); /* KW_UPGRADE came */

/* A child was reaped: true when it was the one that was asked. */
bool upgrade_reaped(struct keeper *k, pid_t pid, int wait_status);

void upgrade_tick(struct keeper *k, uint64_t now_ms, uint64_t *next);

/* The path under which this program was started, for `k->program`; later /proc/self/exe may name a deleted
 * file. 0 or negative errno. */
int upgrade_find_program(struct keeper *k);

/* In the program after the exec: everything that there was. 0, or an exit status after the reason was logged.
 */
int upgrade_resume(struct keeper *k, const struct keeper_options *o);

/* Executes the image before this one, with the same state. Returns when there is none or it failed: then the
 * engine, which has everything, starts a keeper. */
void upgrade_go_back(const struct keeper *k, const struct keeper_options *o);

#endif
