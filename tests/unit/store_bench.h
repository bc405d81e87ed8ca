/* A store in a folder of its own, driven by a loop, for the tests of the store. Include after unit.h. */
#ifndef PM_TESTS_STORE_BENCH_H
#define PM_TESTS_STORE_BENCH_H

#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "common/mem.h"
#include "daemon/store.h"
#include "daemon/store_int.h"

struct bench {
    char dir[256], path[300];
    uv_loop_t loop;
    struct store *s;
    bool opened, closed;
    int open_rc, commit_rc, runs_rc;
    unsigned commits, resyncs;
    char msg[1024], trouble[1024], commit_msg[1024], home_id[33], boot_id[37];
    uint64_t next_run, next_app, last_run;
    bool fresh, stopped, from_backup;
    /* copies of what the image held */
    struct store_app apps[16];
    struct store_process processes[2048];
    size_t n_apps, n_processes;
    char json[16][200], state[16][32], reason[16][64];
    struct store_run runs[200];
    char run_detail[200][64];
    size_t n_runs;
    size_t n_events;
    uint64_t event_time[10];
    char event_json[256];
    size_t n_saved, n_settings;
    char saved[200], setting[200];
};

static inline void bench_dir(struct bench *b)
{
    memset(b, 0, sizeof(*b));
    snprintf(b->dir, sizeof(b->dir), "/tmp/pm-store-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    snprintf(b->path, sizeof(b->path), "%s/state.db", b->dir);
}

static inline void bench_remove(struct bench *b)
{
    DIR *d = opendir(b->dir);
    struct dirent *ent;

    while (d && (ent = readdir(d))) {
        char path[600];

        snprintf(path, sizeof(path), "%s/%s", b->dir, ent->d_name);
        unlink(path);
    }
    if (d)
        closedir(d);
    rmdir(b->dir);
}

/* How many files in the folder have this text in their name. */
static inline int bench_count(const struct bench *b, const char *part)
{
    DIR *d = opendir(b->dir);
    struct dirent *ent;
    int n = 0;

    while (d && (ent = readdir(d)))
        n += strstr(ent->d_name, part) != NULL;
    if (d)
        closedir(d);
    return n;
}

static inline void bench_image(struct bench *b, const struct store_image *image)
{
    b->n_apps = image->n_apps;
    b->n_processes = image->n_processes;
    for (size_t i = 0; i < image->n_apps && i < 16; i++) {
        b->apps[i] = image->apps[i];
        snprintf(b->json[i], sizeof(b->json[i]), "%s", image->apps[i].json);
    }
    for (size_t i = 0; i < image->n_processes && i < 2048; i++) {
        b->processes[i] = image->processes[i];
        if (i < 16) {
            snprintf(b->state[i], sizeof(b->state[i]), "%s", image->processes[i].state);
            snprintf(b->reason[i], sizeof(b->reason[i]), "%s", image->processes[i].last_reason);
        }
    }
    memcpy(b->home_id, image->home_id, sizeof(b->home_id));
    memcpy(b->boot_id, image->boot_id, sizeof(b->boot_id));
    b->next_run = image->next_run;
    b->last_run = image->last_run;
    b->next_app = image->next_app;
    b->fresh = image->fresh;
    b->stopped = image->ended != STORE_NOT_ENDED;
    b->n_saved = image->n_saved;
    b->n_settings = image->n_settings;
    snprintf(b->saved, sizeof(b->saved), "%s", image->n_saved ? image->saved[0].value : "");
    snprintf(b->setting, sizeof(b->setting), "%s", image->n_settings ? image->settings[0].key : "");
    b->from_backup = image->from_backup;
    snprintf(b->trouble, sizeof(b->trouble), "%s", image->trouble ? image->trouble : "");
}

static inline void bench_on_opened(void *arg, int rc, const struct store_image *image, const char *msg)
{
    struct bench *b = arg;

    assert_false(b->opened);
    b->opened = true;
    b->open_rc = rc;
    snprintf(b->msg, sizeof(b->msg), "%s", msg ? msg : "");
    if (image)
        bench_image(b, image);
}

static inline void bench_on_resync(void *arg, const char *msg)
{
    struct bench *b = arg;

    assert_non_null(msg);
    assert_true(b->opened);
    b->resyncs++;
}

static inline void bench_open(struct bench *b)
{
    b->opened = b->closed = false;
    b->commits = b->resyncs = 0;
    assert_int_equal(uv_loop_init(&b->loop), 0);
    b->s = store_open(&b->loop, b->path, bench_on_opened, bench_on_resync, b);
    while (!b->opened)
        uv_run(&b->loop, UV_RUN_ONCE);
}

static inline void bench_on_commit(void *arg, int rc, const char *msg)
{
    struct bench *b = arg;

    b->commits++;
    b->commit_rc = rc;
    snprintf(b->commit_msg, sizeof(b->commit_msg), "%s", msg ? msg : "");
}

static inline int bench_commit(struct bench *b)
{
    unsigned before = b->commits;

    store_commit(b->s, bench_on_commit, b);
    while (b->commits == before)
        uv_run(&b->loop, UV_RUN_ONCE);
    return b->commit_rc;
}

static inline void bench_on_runs(void *arg, int rc, const struct store_run *runs, size_t n)
{
    struct bench *b = arg;

    b->runs_rc = rc;
    b->n_runs = n;
    for (size_t i = 0; i < n && i < 200; i++) {
        b->runs[i] = runs[i];
        snprintf(b->run_detail[i], sizeof(b->run_detail[i]), "%s", runs[i].detail ? runs[i].detail : "");
    }
    b->commits++;
}

static inline void bench_get_runs(struct bench *b, uint32_t process, unsigned limit)
{
    unsigned before = b->commits;

    store_get_runs(b->s, process, limit, bench_on_runs, b);
    while (b->commits == before)
        uv_run(&b->loop, UV_RUN_ONCE);
}

static inline void bench_on_events(void *arg, int rc, const struct store_event *events, size_t n)
{
    struct bench *b = arg;

    assert_int_equal(rc, 0);
    b->n_events = n;
    for (size_t i = 0; i < n && i < 10; i++)
        b->event_time[i] = events[i].time_ms;
    snprintf(b->event_json, sizeof(b->event_json), "%s", n ? events[0].json : "");
    b->commits++;
}

static inline void bench_get_events(struct bench *b, uint64_t since_ms, unsigned limit)
{
    unsigned before = b->commits;

    store_get_events(b->s, since_ms, limit, bench_on_events, b);
    while (b->commits == before)
        uv_run(&b->loop, UV_RUN_ONCE);
}

static inline void bench_on_closed(void *arg)
{
    struct bench *b = arg;

    b->closed = true;
}

/* Closes, and proves that nothing is left on the loop. */
static inline void bench_close(struct bench *b)
{
    store_close(b->s, bench_on_closed, b);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_true(b->closed);
    assert_int_equal(uv_loop_close(&b->loop), 0);
}

static inline void bench_tick(uv_timer_t *t)
{
    (void)t;
}

/* Lets the loop run for so long. */
static inline void bench_wait(struct bench *b, unsigned ms)
{
    uv_timer_t timer;
    uint64_t until;

    /* Before the timer is armed, or it would fire by the old time and leave a loop that nothing wakes. */
    uv_update_time(&b->loop);
    uv_timer_init(&b->loop, &timer);
    uv_timer_start(&timer, bench_tick, ms, ms);
    until = uv_now(&b->loop) + ms;
    while (uv_now(&b->loop) < until)
        uv_run(&b->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&b->loop, UV_RUN_NOWAIT);
}

static inline struct store_process bench_process(uint32_t id)
{
    return (struct store_process){.id = id,
                                  .app = 7,
                                  .instance = id,
                                  .state = "online",
                                  .desired = "up",
                                  .reason = "started",
                                  .run = 40 + id,
                                  .pid = 1000 + (int32_t)id,
                                  .start_ticks = 1ull << 40,
                                  .pipe_out = UINT64_MAX,
                                  .created_ms = 1700000000000,
                                  .last_reason = "exit",
                                  .last_exit_code = -1};
}

static inline struct store_run bench_run(uint64_t run, uint32_t process)
{
    return (struct store_run){.run = run,
                              .process = process,
                              .app = 7,
                              .app_name = "api",
                              .pid = 5,
                              .started_ms = 1000 + run,
                              .exit_code = -1,
                              .reason = "exit",
                              .detail = "words"};
}

static inline void bench_put(struct bench *b, uint32_t id)
{
    struct store_process p = bench_process(id);

    store_put_process(b->s, &p);
}

static inline void bench_put_app(struct bench *b, uint64_t id, const char *json)
{
    const struct store_app app = {id, json};

    store_put_app(b->s, &app);
}

/* One number, asked of the file by another connection. */
static inline long long bench_sql(const struct bench *b, const char *sql)
{
    sqlite3 *h = NULL;
    sqlite3_stmt *stmt = NULL;
    long long v = -1;

    assert_int_equal(sqlite3_open(b->path, &h), SQLITE_OK);
    if (sqlite3_prepare_v2(h, sql, -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
        v = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(h);
    return v;
}

#endif
