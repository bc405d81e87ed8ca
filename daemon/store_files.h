/* The files of a database: the one itself, its "-wal" and "-shm", and its copy ".bak". */
#ifndef PM_DAEMON_STORE_FILES_H
#define PM_DAEMON_STORE_FILES_H

#include <stddef.h>

struct err;

/*
 * Renames the database with its -wal and -shm to "<path>.<word>-<UTC time>[.N]", a name that is free. The new
 * name of the database goes to `aside`. 0 (also when there is nothing at `path`) or negative errno. No
 * connection of this process may have the file open.
 */
int store_files_set_aside(const char *path, const char *word, char *aside, size_t cap, struct err *e);

/* Makes an empty file (0600) in place of what may be there. 0 or negative errno. */
int store_files_make_empty(const char *path, struct err *e);

/* Puts `from` on the disk for sure and renames it to `to`, also for sure. 0 or negative errno. */
int store_files_publish(const char *from, const char *to, struct err *e);

/* Copies `from` to `to` (0600) through "<to>.new". 0 or negative errno. */
int store_files_copy(const char *from, const char *to, struct err *e);

#endif
