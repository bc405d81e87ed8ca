/* The schema of state.db as numbered migrations. */
#ifndef PM_DAEMON_STORE_SCHEMA_H
#define PM_DAEMON_STORE_SCHEMA_H

#include <sqlite3.h>

#define STORE_APPLICATION_ID 0x706d7374 /* "pmst": tells our files from any other SQLite database */

/* The newest version that this program knows. */
int store_schema_version(void);

/* Brings a database of version `from` to the newest, each step in its own transaction. A code of SQLite. */
int store_schema_migrate(sqlite3 *h, int from);

#endif
