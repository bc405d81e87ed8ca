/*
 * logs.db: the schema and every statement of the writer thread. Functions return SQLite result codes
 * (SQLITE_OK = 0), because what to do next depends on them: see log_db_verdict().
 */
#ifndef PM_DAEMON_LOG_DB_H
#define PM_DAEMON_LOG_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#define LOG_BATCH_SPAN  4096u          /* row ids that one batch covers at most */
#define LOG_BATCH_BYTES (1024u * 1024) /* ... and about so many bytes of lines */

enum log_db_statement {
    LOG_DB_BEGIN,
    LOG_DB_COMMIT,
    LOG_DB_ROLLBACK,
    LOG_DB_INSERT,
    LOG_DB_FIND_STREAM,
    LOG_DB_PUT_STREAM,
    LOG_DB_FIND_FILE,
    LOG_DB_PUT_FILE,
    LOG_DB_FIND_SINK,
    LOG_DB_FIND_SINK_PATH,
    LOG_DB_PUT_SINK,
    LOG_DB_DROP_SINKS,
    LOG_DB_FIND_BATCH,
    LOG_DB_PUT_BATCH,
    LOG_DB_STATEMENTS
};

struct log_db {
    sqlite3 *handle; /* NULL while closed */
    char *path;
    uint64_t dev, ino; /* of the file that is open */
    sqlite3_stmt *st[LOG_DB_STATEMENTS];
    uint64_t next_row, next_stream, next_file; /* keys that were never used */
};

enum log_db_verdict {
    LOG_DB_FINE,
    LOG_DB_RETRY,  /* no space, busy: the same connection goes on later */
    LOG_DB_REOPEN, /* an I/O error, a removed file: with a new connection, later */
    LOG_DB_BAD,    /* corrupt or no database: set it aside and make a new one */
};
enum log_db_verdict log_db_verdict(int rc);

/*
 * Opens, or creates with mode 0600, and brings the schema up to date. On failure the message is put into
 * `why` (may be NULL) and the database is closed again.
 */
int log_db_open(struct log_db *db, const char *path, char why[256]);

/* Without `checkpoint` nothing of the file is touched any more. Accepts a closed one. */
void log_db_close(struct log_db *db, bool checkpoint);

/* Renames the files of a database that is not open to <path>.corrupt-<UTC time>. 0 or negative errno; the new
 * name (heap) is stored in `to`. */
int log_db_set_aside(const char *path, char **to);

/* The name no longer leads to the file that is open: what is committed would be gone. */
bool log_db_moved(const struct log_db *db);

int log_db_step(struct log_db *db, enum log_db_statement which); /* one without parameters */

int log_db_insert(struct log_db *db, uint64_t id, uint64_t stream, uint64_t time_us, unsigned flags,
                  const char *text, size_t len);

struct log_db_stream {
    uint64_t id, run;
    unsigned kind;
    uint32_t process, instance;
    const char *app; /* not read back */
    char boot[37];   /* with `spool`: the spool that the cursors are for */
    uint64_t spool;
    uint64_t cursor;  /* bytes whose rows are committed */
    uint64_t last_id; /* newest row */
};
/* The newest generation of (run, kind); SQLITE_ROW, SQLITE_DONE or an error. */
int log_db_find_stream(struct log_db *db, uint64_t run, unsigned kind, struct log_db_stream *out);
int log_db_put_stream(struct log_db *db, const struct log_db_stream *s);

struct log_file_record;
int log_db_find_file(struct log_db *db, const char *path, uint64_t *id, struct log_file_record *out);
int log_db_put_file(struct log_db *db, uint64_t id, const char *path, const struct log_file_record *r);

struct log_db_sink {
    uint64_t cursor;
    bool mid;                        /* the cursor is inside a long line */
    uint64_t drop_lines, drop_bytes; /* dropped, and not yet told in the file */
};
int log_db_find_sink(struct log_db *db, uint64_t stream, uint64_t file, struct log_db_sink *out);
/* The path (heap) of the file of the `nth` sink of a stream. */
int log_db_find_sink_path(struct log_db *db, uint64_t stream, unsigned nth, char **path);
int log_db_put_sink(struct log_db *db, uint64_t stream, uint64_t file, const struct log_db_sink *s);
int log_db_drop_sinks(struct log_db *db, uint64_t stream);

/* Rows `first`..`last` contain `lines` of the stream (and rows of others in between). */
struct log_batch {
    uint64_t first, last; /* 0 = no batch */
    uint64_t first_us, last_us;
    uint64_t lines, bytes;
};
int log_db_find_batch(struct log_db *db, uint64_t stream, struct log_batch *out); /* the newest */
int log_db_put_batch(struct log_db *db, uint64_t stream, const struct log_batch *b);

#endif
