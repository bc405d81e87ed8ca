/* How a process is told to clients, as JSON text: in short, as PM2's jlist record, and with all that
 * `describe` shows. */
#ifndef PM_DAEMON_RECORD_H
#define PM_DAEMON_RECORD_H

#include "common/jsonw.h"
#include "daemon/engine.h"

enum record_kind { RECORD_SHORT, RECORD_FULL, RECORD_DESCRIBE };

void record_write(struct engine *e, struct jsonw *w, struct process *p, enum record_kind kind);

#endif
