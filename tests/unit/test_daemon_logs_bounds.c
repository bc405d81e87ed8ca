/* What the log path holds at most, whatever the apps write. */
#include "logpath.h"

#include <sys/resource.h>

#ifdef __SANITIZE_ADDRESS__
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif

static unsigned count_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    unsigned n = 0;

    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* A spool never holds more than its bound, whatever the app writes and however stuck a file is. */
static void test_block_then_drop(void **state)
{
    struct path p;
    int out[2];
    char line[101];
    uint64_t lines = 0, end;
    unsigned long long dropped = 0;

    (void)state;
    path_open(&p);
    char *folder = path_file(&p, "gone"), *f = path_file(&p, "gone/o.log");
    struct log_run run = path_run(&p, 4, &f, NULL);

    /* A plain file where the folder should be: the log file cannot be made until it is removed. */
    close(open(folder, O_CREAT | O_WRONLY, 0600));
    memset(line, 'z', 99);
    strcpy(line + 99, "\n");
    path_pipe(out);
    fcntl(out[1], F_SETFL, O_NONBLOCK);
    logs_attach(p.logs, &run, out[0], -1, -1, -1);
    end = clock_mono_ms() + 1500;
    while (clock_mono_ms() < end) {
        while (write(out[1], line, 100) == 100)
            lines++;
        uv_run(&p.loop, UV_RUN_NOWAIT);
    }
    assert_in_range(lines * 100, 4u << 20, (4u << 20) + (2u << 20) + 65536);
    assert_int_equal(logs_dropped(p.logs, 4), 0);
    end = clock_mono_ms() + 10000;
    while (logs_dropped(p.logs, 4) == 0 && clock_mono_ms() < end)
        path_run_ms(&p, 10);
    assert_true(logs_dropped(p.logs, 4) > 0);
    assert_int_equal(unlink(folder), 0);
    path_run_ms(&p, 1200);
    put(out[1], "end\n");
    close(out[1]);
    path_until_done(&p, 1);

    /* What is in the file and what is told as dropped make up all that was written. */
    char *text = slurp(f), *note = strstr(text, "[pm] ");
    uint64_t kept = 0;

    assert_non_null(note);
    assert_int_equal(sscanf(note, "[pm] %llu lines dropped", &dropped), 1);
    for (char *c = text; (c = strchr(c, '\n')); c++)
        kept++;
    assert_int_equal(kept - 1 + dropped, lines + 1);
    assert_int_equal(dropped, logs_dropped(p.logs, 4));
    free(text), free(folder), free(f);
    path_close(&p);
    path_remove(p.dir);
}

/* Many short runs at once: every byte is there, and nothing is left of them. */
static void test_many_short_runs(void **state)
{
    enum { RUNS = 300, LINES = 600 };
    struct path p;
    struct rlimit limit;
    unsigned fds_before, fds_after;
    sqlite3 *h;
    sqlite3_stmt *st;

    (void)state;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    path_open(&p);
    path_run_ms(&p, 100);
    fds_before = count_fds();
    for (int i = 0; i < RUNS; i++) {
        int out[2];
        char *f = xasprintf("%s/r%d.log", p.dir, i % 50);
        struct log_run run = path_run(&p, (uint64_t)i + 1, &f, NULL);

        path_pipe(out);
        for (int k = 0; k < LINES; k++)
            dprintf(out[1], "run %d line %d of what a short run has to say, and no more\n", i, k);
        close(out[1]);
        logs_attach(p.logs, &run, out[0], -1, -1, -1);
        free(f);
    }
    path_until_done(&p, RUNS);
    path_run_ms(&p, 20);
    fds_after = count_fds();
    assert_in_range(fds_after, 0, fds_before + 1); /* the spool that the keeper's part of the test holds */
    assert_int_equal(sqlite3_open(p.db, &h), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(h, "SELECT count(DISTINCT text), count(*), (SELECT count(*) FROM sink) FROM line",
                           -1, &st, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(st, 0), RUNS * LINES);
    assert_int_equal(sqlite3_column_int(st, 1), RUNS * LINES);
    assert_int_equal(sqlite3_column_int(st, 2), 0);
    sqlite3_finalize(st);
    sqlite3_close(h);
    path_close(&p);
    path_remove(p.dir);
}

/* 40 MB without a newline: bounded memory, and the file has every byte. */
static void test_no_newline(void **state)
{
    enum { SIZE = 40 * 1024 * 1024 };
    struct path p;
    struct rusage before, after;
    struct stat st;
    int out[2];
    pid_t pid;

    (void)state;
    path_open(&p);
    char *f = path_file(&p, "o.log");
    struct log_run run = path_run(&p, 1, &f, NULL);

    path_pipe(out);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char block[65536];

        memset(block, 'n', sizeof block);
        for (int i = 0; i < SIZE / (int)sizeof block; i++)
            fs_write_all(out[1], block, sizeof block);
        _exit(0);
    }
    close(out[1]);
    getrusage(RUSAGE_SELF, &before);
    logs_attach(p.logs, &run, out[0], -1, -1, -1);
    path_until_done(&p, 1);
    getrusage(RUSAGE_SELF, &after);
    waitpid(pid, NULL, 0);
    assert_int_equal(stat(f, &st), 0);
    assert_int_equal(st.st_size, SIZE + 1);
#ifndef UNDER_ASAN /* freed memory is kept for a while there */
    assert_true(after.ru_maxrss - before.ru_maxrss < 32 * 1024);
#endif
    free(f);
    path_close(&p);
    path_remove(p.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_block_then_drop),
        cmocka_unit_test(test_many_short_runs),
        cmocka_unit_test(test_no_newline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
