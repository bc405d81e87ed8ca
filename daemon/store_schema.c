#include "daemon/store_schema.h"

#include <stdlib.h>

#include "common/mem.h"

/*
 * Step N brings the database from version N to N + 1 (PRAGMA user_version). A step that was in a release is
 * never edited: a change is a new step. The comments inside are for people: `.schema` of sqlite3 shows them.
 */
static const char *const steps[] = {
    [0] =
        "CREATE TABLE meta ( -- one row a setting: home_id, boot_id, next_run, next_app, stopped\n"
        "  key TEXT PRIMARY KEY,\n"
        "  value NOT NULL\n"
        ") WITHOUT ROWID;\n"
        "INSERT INTO meta VALUES('home_id', lower(hex(randomblob(16)))), ('boot_id', ''), ('next_run', 1),\n"
        "  ('next_app', 1), ('stopped', 0);\n"
        "CREATE TABLE app ( -- one row an entry of the configuration, with everything resolved\n"
        "  id INTEGER PRIMARY KEY, -- never used again\n"
        "  json TEXT NOT NULL\n"
        ");\n"
        "CREATE TABLE process ( -- one row a supervised instance; all times are ms since 1970 (UTC), 0 = "
        "none\n"
        "  id INTEGER PRIMARY KEY, -- the id that the commands show\n"
        "  app INTEGER NOT NULL, -- app.id\n"
        "  instance INTEGER NOT NULL,\n"
        "  state TEXT NOT NULL,\n"
        "  desired TEXT NOT NULL, -- up or down\n"
        "  reason TEXT,\n"
        "  fresh INTEGER NOT NULL,\n"
        "  run INTEGER NOT NULL, -- run.run of the current or last one; 0 = never ran\n"
        "  pid INTEGER NOT NULL, -- 0 = not running\n"
        "  start_ticks INTEGER NOT NULL, -- field 22 of /proc/PID/stat: with the pid, one process for ever\n"
        "  pipe_out INTEGER NOT NULL, -- inodes of the pipes of stdout, stderr and stdin\n"
        "  pipe_err INTEGER NOT NULL,\n"
        "  pipe_in INTEGER NOT NULL,\n"
        "  created_ms INTEGER NOT NULL,\n"
        "  started_ms INTEGER NOT NULL,\n"
        "  online_ms INTEGER NOT NULL,\n"
        "  signaled_ms INTEGER NOT NULL, -- when the stop signal was sent\n"
        "  deadline_ms INTEGER NOT NULL, -- when the present state ends by itself\n"
        "  restarts INTEGER NOT NULL,\n"
        "  unstable INTEGER NOT NULL, -- short runs in a row\n"
        "  backoff_delay INTEGER NOT NULL, -- ms\n"
        "  last_run INTEGER NOT NULL, -- how the last run ended; 0 = none did\n"
        "  last_started_ms INTEGER NOT NULL,\n"
        "  last_ended_ms INTEGER NOT NULL,\n"
        "  last_reason TEXT,\n"
        "  last_exit_code INTEGER NOT NULL, -- -1 = none\n"
        "  last_signal INTEGER NOT NULL, -- 0 = none\n"
        "  last_core INTEGER NOT NULL,\n"
        "  last_step INTEGER NOT NULL, -- the step of the start that failed\n"
        "  last_error INTEGER NOT NULL -- its errno\n"
        ");\n"
        "CREATE TABLE run ( -- one row a life of a child; the last 100 of each process are kept\n"
        "  run INTEGER PRIMARY KEY, -- never used again\n"
        "  process INTEGER NOT NULL,\n"
        "  app INTEGER NOT NULL,\n"
        "  app_name TEXT,\n"
        "  instance INTEGER NOT NULL,\n"
        "  pid INTEGER NOT NULL,\n"
        "  started_ms INTEGER NOT NULL,\n"
        "  ended_ms INTEGER NOT NULL, -- 0 = not yet\n"
        "  exit_code INTEGER NOT NULL, -- -1 = none\n"
        "  signal INTEGER NOT NULL, -- 0 = none\n"
        "  core INTEGER NOT NULL, -- 1 = a core was dumped\n"
        "  reason TEXT,\n"
        "  detail TEXT,\n"
        "  asked_by TEXT,\n"
        "  maxrss_bytes INTEGER NOT NULL,\n"
        "  utime_us INTEGER NOT NULL,\n"
        "  stime_us INTEGER NOT NULL\n"
        ");\n"
        "CREATE INDEX run_by_process ON run(process, run);\n"
        "CREATE TABLE event ( -- what happened, in order; the last 10,000 are kept\n"
        "  id INTEGER PRIMARY KEY,\n"
        "  time_ms INTEGER NOT NULL,\n"
        "  kind TEXT,\n"
        "  process INTEGER NOT NULL,\n"
        "  run INTEGER NOT NULL,\n"
        "  text TEXT\n"
        ");\n",
    [1] = "CREATE TABLE saved ( -- the lists that pm save stored: last, and the one before\n"
          "  key TEXT PRIMARY KEY,\n"
          "  value TEXT NOT NULL -- JSON\n"
          ") WITHOUT ROWID;\n"
          "CREATE TABLE setting ( -- of pm set\n"
          "  key TEXT PRIMARY KEY,\n"
          "  value TEXT NOT NULL\n"
          ") WITHOUT ROWID;\n",
    [2] = "DROP TABLE event;\n"
          "CREATE TABLE event ( -- what happened, in order; the last 10,000 are kept\n"
          "  id INTEGER PRIMARY KEY,\n"
          "  time_ms INTEGER NOT NULL,\n"
          "  kind TEXT NOT NULL,\n"
          "  process INTEGER NOT NULL, -- 4294967295: of the daemon itself\n"
          "  run INTEGER NOT NULL, -- 0 = none\n"
          "  json TEXT NOT NULL -- all of it, as pm events --json prints it\n"
          ");\n",
    [3] = "ALTER TABLE process ADD COLUMN -- times of its schedule up to this one are dealt with: s since "
          "1970\n"
          "  scheduled_s INTEGER NOT NULL DEFAULT 0;\n",
};

int store_schema_version(void)
{
    return (int)ARRAY_LEN(steps);
}

int store_schema_migrate(sqlite3 *h, int from)
{
    for (int version = from; version < store_schema_version(); version++) {
        char *sql = xasprintf("BEGIN IMMEDIATE;%sPRAGMA application_id=%d;PRAGMA user_version=%d;COMMIT;",
                              steps[version], STORE_APPLICATION_ID, version + 1);
        int rc = sqlite3_exec(h, sql, NULL, NULL, NULL);

        free(sql);
        if (rc != SQLITE_OK) {
            if (!sqlite3_get_autocommit(h))
                sqlite3_exec(h, "ROLLBACK", NULL, NULL, NULL);
            return rc;
        }
    }
    return SQLITE_OK;
}
