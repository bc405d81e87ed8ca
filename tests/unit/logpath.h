/* A log path on a loop of its own, for the tests of the log path. */
#ifndef PM_TESTS_LOGPATH_H
#define PM_TESTS_LOGPATH_H

#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>
#include <uv.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"
#include "daemon/logs.h"

struct path {
    char dir[64];
    char *db;
    uv_loop_t loop;
    struct logs *logs;
    int spools[2]; /* what a keeper would hold: of the run attached last */
    unsigned done, troubles;
    char trouble[1024]; /* the last */
    bool flag;
};

static inline void path_spool_made(void *arg, uint64_t run, enum log_stream_kind kind, int fd)
{
    struct path *p = arg;

    (void)run;
    if (p->spools[kind - 1] >= 0)
        close(p->spools[kind - 1]);
    p->spools[kind - 1] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static inline void path_done(void *arg, uint64_t run, enum log_stream_kind kind)
{
    (void)run;
    (void)kind;
    ((struct path *)arg)->done++;
}

static inline void path_trouble(void *arg, const char *text)
{
    struct path *p = arg;

    p->troubles++;
    snprintf(p->trouble, sizeof p->trouble, "%s", text);
    if (getenv("PM_DEBUG"))
        fprintf(stderr, "trouble: %s\n", text);
}

static inline void path_flag(void *arg)
{
    ((struct path *)arg)->flag = true;
}

static inline void path_until(struct path *p, const bool *flag)
{
    uint64_t end = clock_mono_ms() + 30000;

    while (!*flag) {
        uv_run(&p->loop, UV_RUN_NOWAIT);
        assert_true(clock_mono_ms() < end);
        usleep(200);
    }
}

/* Waits until so many streams were reported done. */
static inline void path_until_done(struct path *p, unsigned done)
{
    uint64_t end = clock_mono_ms() + 60000;

    while (p->done < done) {
        uv_run(&p->loop, UV_RUN_NOWAIT);
        assert_true(clock_mono_ms() < end);
        usleep(200);
    }
}

static inline void path_run_ms(struct path *p, unsigned ms)
{
    uint64_t end = clock_mono_ms() + ms;

    while (clock_mono_ms() < end) {
        uv_run(&p->loop, UV_RUN_NOWAIT);
        usleep(200);
    }
}

static inline void path_flush(struct path *p)
{
    p->flag = false;
    logs_flush(p->logs, path_flag, p);
    path_until(p, &p->flag);
}

static inline void path_open_in(struct path *p, const char *dir)
{
    const struct logs_hooks hooks = {p, path_spool_made, path_done, path_trouble};

    memset(p, 0, sizeof *p);
    snprintf(p->dir, sizeof p->dir, "%s", dir);
    p->spools[0] = p->spools[1] = -1;
    p->db = xasprintf("%s/logs.db", p->dir);
    uv_loop_init(&p->loop);
    p->logs = logs_open(&p->loop, p->db, &hooks);
}

static inline void path_open(struct path *p)
{
    char dir[] = "/tmp/pm-logs-XXXXXX";

    assert_non_null(mkdtemp(dir));
    path_open_in(p, dir);
}

/* Closes the log path and proves that nothing is left on the loop. */
static inline void path_close(struct path *p)
{
    p->flag = false;
    logs_close(p->logs, path_flag, p);
    path_until(p, &p->flag);
    uv_run(&p->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&p->loop), 0);
    for (int i = 0; i < 2; i++)
        if (p->spools[i] >= 0)
            close(p->spools[i]);
    free(p->db);
}

static inline void path_remove(const char *dir)
{
    char *cmd = xasprintf("rm -rf '%s'", dir);

    assert_int_equal(system(cmd), 0);
    free(cmd);
}

static inline char *path_file(const struct path *p, const char *name)
{
    return xasprintf("%s/%s", p->dir, name);
}

static inline struct log_run path_run(const struct path *p, uint64_t run, char **out, char **err_)
{
    (void)p;
    return (struct log_run){.run = run,
                            .process = (uint32_t)run,
                            .app = "api",
                            .out_file = out ? *out : NULL,
                            .error_file = err_ ? *err_ : NULL,
                            .uid = -1,
                            .gid = -1};
}

static inline void path_pipe(int fds[2])
{
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
}

static inline void put(int fd, const char *text)
{
    assert_int_equal(fs_write_all(fd, text, strlen(text)), 0);
}

static inline char *slurp(const char *path)
{
    struct buf b = {0};
    struct err e;

    if (fs_read_file(path, 1u << 30, &b, &e) < 0)
        return xstrdup("(no file)");
    return buf_steal(&b);
}

/* The rows as "kind:flags:text\n", in order. */
static inline char *rows(const struct path *p, const char *where)
{
    sqlite3 *h;
    sqlite3_stmt *st;
    struct buf b = {0};
    char *sql = xasprintf("SELECT s.kind, l.flags, l.text FROM line l JOIN stream s ON s.id = l.stream"
                          " WHERE %s ORDER BY l.id",
                          where ? where : "1");

    assert_int_equal(sqlite3_open_v2(p->db, &h, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_db_config(h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    assert_int_equal(sqlite3_prepare_v2(h, sql, -1, &st, NULL), SQLITE_OK);
    while (sqlite3_step(st) == SQLITE_ROW) {
        buf_printf(&b, "%d:%d:", sqlite3_column_int(st, 0), sqlite3_column_int(st, 1));
        buf_append(&b, sqlite3_column_blob(st, 2), (size_t)sqlite3_column_bytes(st, 2));
        buf_putc(&b, '\n');
    }
    sqlite3_finalize(st);
    sqlite3_close(h);
    free(sql);
    return buf_steal(&b);
}

#endif
