/* The files of a database: the one itself, its "-wal" and "-shm", and its copy ".bak". */
#ifndef PM_DAEMON_STORE_FILES_H
#define PM_DAEMON_STORE_FILES_H

#include <stdbool.h>
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

/*
 * The home's id in a small file of its own, "<path>.id": the processes that run carry it in their
 * environment, and must be found again when the database and its copy are lost. Reading gives -ENOENT when
 * there is none or it is no id.
 */
int store_files_read_id(const char *path, char id[33]);
int store_files_write_id(const char *path, const char *id, struct err *e);

/* Is there a "-wal" that is none? SQLite would take it for an empty one, and what was in it is lost. */
bool store_files_wal_damaged(const char *path);

#endif
