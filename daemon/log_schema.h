/* The schema of logs.db as numbered migrations. */
#ifndef PM_DAEMON_LOG_SCHEMA_H
#define PM_DAEMON_LOG_SCHEMA_H

#include <sqlite3.h>

/* Settings that only take effect before the first table. */
extern const char log_schema_new[];
/* Settings of the writer's connection. */
extern const char log_schema_writer[];

/* Runs what is missing, each migration in its own transaction. A database of a newer build is used as it is.
 * An SQLite code. */
int log_schema_migrate(sqlite3 *handle);

#endif
