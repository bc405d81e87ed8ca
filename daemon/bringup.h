/*
 * What a request does to processes: which ones, how many at a time (its parameter "parallel", else as work.h
 * says), and its answer. The disk is not waited for before they are started, only before the command is
 * answered: the keeper has what each spawn is of, and a new engine ends a child that state.db does not know,
 * because nobody was told of it.
 */
#ifndef PM_DAEMON_BRINGUP_H
#define PM_DAEMON_BRINGUP_H

#include "daemon/outcome.h"
#include "daemon/work.h"

struct bringup;

/* Takes the request. `wait`: it is answered when each process is settled; else when they are on their way. */
struct bringup *bringup_new(struct engine *e, struct rpc_request *r, bool wait);
struct engine *bringup_engine(struct bringup *b);
struct outcome *bringup_outcome(struct bringup *b); /* for what does not have to come up */
void bringup_add(struct bringup *b, struct process *p, bool restart);
void bringup_order(struct bringup *b, struct process *p, enum work_kind kind);
/* Must a reload of this app, with this configuration (NULL: its own), be a restart? The answer's "notes" say
 * so then. */
bool bringup_note_restart(struct bringup *b, const struct app *a, const struct app_spec *with);
/* Jobs run by their schedules only. The answer's "notes" say so, and when that is; and, of a job or an app
 * with cron_restart that is stopped, that it comes back. Both once for each app. */
void bringup_note_job(struct bringup *b, const struct app *a);
void bringup_note_armed(struct bringup *b, const struct app *a);
/* A job's process that was asked for: it is reported as it is. */
void bringup_wait_job(struct bringup *b, struct process *p);
/* A reload without a gap. `with`: the new configuration, kept by the caller until all is done; NULL: none. */
void bringup_reload(struct bringup *b, struct process *p, const struct app_spec *with, bool force);
/* Keeps a configuration until all is done. */
const struct app_spec *bringup_keep(struct bringup *b, struct app_spec *take_spec);
/* When all of this is done, and nothing of the app has failed: as many processes, added or drained away. */
void bringup_scale(struct bringup *b, struct app *a, size_t want);

/* Begins with those added since the last time that need not wait for a turn; more may follow. */
void bringup_some(struct bringup *b);
/* Carries out the rest, and answers after the commit of all that was queued. */
void bringup_go(struct bringup *b);

/* A new app without processes, and one more process for an app; both are queued for state.db. The mark that
 * pm kill left is taken off: from now on there is a list again. */
struct app *bringup_app(struct engine *e, struct app_spec *take_spec);
struct process *bringup_process(struct engine *e, struct app *a, uint32_t instance);

/*
 * The lowest `n` instance numbers that no process of this name has, in any namespace, as in PM2. Those of
 * processes that are just being deleted are not free: they still run. The array is for free().
 */
uint32_t *bringup_instances(struct engine *e, const char *name, size_t n);

#endif
