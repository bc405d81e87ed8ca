/* Metrics: a pass over a made-up /proc, the host's files, and the history. */
#include <fcntl.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/mem.h"
#include "daemon/metrics_host.h"
#include "daemon/metrics_pass.h"
#include "daemon/metrics_proc.h"
#include "daemon/metrics_store.h"
#include "unit.h"

static char root[64];
static struct metrics_pass *pass;
static long hz, page;

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof(root), "/tmp/pm-metrics-XXXXXX");
    assert_non_null(mkdtemp(root));
    pass = metrics_pass_new(root);
    hz = sysconf(_SC_CLK_TCK);
    page = sysconf(_SC_PAGESIZE);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    metrics_pass_free(pass);
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(const char *name, const char *fmt, ...)
{
    char path[128];
    va_list ap;
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", root, name);
    f = fopen(path, "w");
    assert_non_null(f);
    va_start(ap, fmt);
    vfprintf(f, fmt, ap);
    va_end(ap);
    fclose(f);
}

static void put_process(int pid, int ppid, unsigned start, unsigned own, unsigned waited, unsigned pages)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%d", root, pid);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/%d/fd", root, pid);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%d/stat", pid);
    put(path, "%d (a) b) S %d 1 1 0 -1 4194304 1 2 3 4 %u 0 %u 0 20 0 3 0 %u 1000 %u 18446744073709551615\n",
        pid, ppid, own, waited, start, pages);
}

static void drop_process(int pid)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%d", root, pid);
    assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* No real process may be asked for its environment: the keeper's pid is none that a made-up one has. */
static const struct tree_ctx ctx = {.keeper = 900000001, .engine = 900000002, .tag = "00000000"};

static struct metrics_sample look(struct metrics_root *r, uint64_t ms)
{
    assert_int_equal(metrics_pass_run(pass, &ctx, false, r, 1, 1000000 + ms, ms), 0);
    return r->sample;
}

static void test_whole_tree_is_counted(void **state)
{
    struct metrics_root r = {.run = 7, .pid = 900000010, .start_ticks = 50, .started_ms = 1000000};
    struct metrics_sample s;

    (void)state;
    put_process(900000010, 900000001, 50, 0, 0, 10);
    put_process(900000011, 900000010, 51, 0, 0, 20);
    put_process(900000012, 900000011, 52, 0, 0, 30);
    put_process(900000020, 2, 10, 500, 0, 1000); /* somebody else's */
    s = look(&r, 1000);
    assert_int_equal(s.processes, 3);
    assert_int_equal(s.threads, 9);
    assert_int_equal(s.rss_bytes, 60 * page);
    assert_true(s.cpu_percent == 0);
    put_process(900000012, 900000011, 52, (unsigned)hz / 2, 0, 30);
    s = look(&r, 2000);
    assert_true(s.cpu_percent > 49.9 && s.cpu_percent < 50.1);
    put("900000010/io", "rchar: 5\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 0\n");
    put("900000010/status", "Name:\tx\nvoluntary_ctxt_switches:\t3\nnonvoluntary_ctxt_switches:\t4\n");
    put("900000010/fd/0", "%s", "");
    put("900000010/fd/1", "%s", "");
    put("900000012/smaps_rollup", "a-b rollup\nRss: 9 kB\nPss:   7 kB\nPss_Dirty: 1 kB\n");
    s = look(&r, 3000);
    assert_int_equal(s.fds, 2);
    assert_int_equal(s.read_bytes, 4096);
    assert_int_equal(s.write_bytes, 8192);
    assert_int_equal(s.switches, 3);
    assert_int_equal(s.switches_involuntary, 4);
    assert_int_equal(metrics_pass_pss(pass, 7), 7 * 1024);
    assert_int_equal(metrics_pass_pss(pass, 8), 0);
}

/* What an ended child had used was counted when it lived; only what it used since comes with its parent. */
static void test_ended_child_is_not_counted_twice(void **state)
{
    struct metrics_root r = {.run = 7, .pid = 900000010, .start_ticks = 50, .started_ms = 1000000};

    (void)state;
    put_process(900000010, 900000001, 50, 0, 0, 1);
    put_process(900000011, 900000010, 51, (unsigned)hz, 0, 1);
    look(&r, 1000);
    drop_process(900000011);
    put_process(900000010, 900000001, 50, 0, (unsigned)(hz + hz / 4), 1);
    assert_true(look(&r, 2000).cpu_percent > 24.9);
    assert_true(r.sample.cpu_percent < 25.1);
    assert_true(look(&r, 3000).cpu_percent == 0);
}

static void test_orphan_stays_with_its_run(void **state)
{
    struct metrics_root r = {.run = 7, .pid = 900000010, .start_ticks = 50, .started_ms = 1000000};

    (void)state;
    put_process(900000010, 900000001, 50, 0, 0, 1);
    put_process(900000011, 900000010, 51, 0, 0, 1);
    put_process(900000012, 900000011, 52, 0, 0, 5);
    look(&r, 1000);
    drop_process(900000011);
    put_process(900000012, 900000001, 52, 0, 0, 5);
    assert_int_equal(look(&r, 2000).processes, 2);
    /* The same pid, but another process; and a child's that has a pid of an older one as its parent. */
    put_process(900000012, 900000001, 99, 0, 0, 5);
    assert_int_equal(look(&r, 3000).processes, 1);
    put_process(900000010, 900000001, 98, 0, 0, 1);
    assert_int_equal(look(&r, 4000).processes, 0);
}

static void test_bad_files_are_passed_over(void **state)
{
    struct metrics_root r = {.run = 7, .pid = 900000010, .start_ticks = 50, .started_ms = 1000000};
    struct metrics_stat st;
    char odd[][40] = {"",       "1",       "1 (x",          "1 (x)",
                      "1 (x) ", "1 (x) S", "1 (x) S 1 2 3", "1 (x) S a b c d e f g"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(odd); i++)
        assert_true(metrics_parse_stat(odd[i], &st) < 0);
    put_process(900000010, 900000001, 50, 0, 0, 1);
    put_process(900000011, 900000010, 51, 0, 0, 1);
    put("900000011/stat", "%s", "");
    /* A ring of parents, as reused pids could make one. */
    put_process(900000012, 900000013, 60, 0, 0, 1);
    put_process(900000013, 900000012, 60, 0, 0, 1);
    assert_int_equal(look(&r, 1000).processes, 1);
}

static void test_host(void **state)
{
    struct metrics_host_last last = {0};
    struct metrics_host h;
    int proc = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char net[128];

    (void)state;
    snprintf(net, sizeof(net), "%s/net", root);
    mkdir(net, 0700);
    put("stat", "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 1\ncpu1 1 1\nintr 5\n");
    put("loadavg", "1.50 0.25 0.10 1/100 5\n");
    put("meminfo",
        "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 400 kB\nSwapTotal: 10 kB\nSwapFree: 5 kB\n");
    put("diskstats", "8 0 sda 1 0 10 0 1 0 20 0\n8 1 sda1 1 0 10 0 1 0 20 0\n7 0 loop0 1 0 9 0 1 0 9 0\n");
    put("net/dev", "Inter-| x\n face |y\n    lo: 9 0 0 0 0 0 0 0 9 0\n  eth0:100 0 0 0 0 0 0 0 200 0\n");
    metrics_host_read(proc, &last, &h, 5, 1000);
    assert_int_equal(h.cpus, 2);
    assert_int_equal(h.memory_available, 400 * 1024);
    assert_int_equal(h.swap_free, 5 * 1024);
    assert_true(h.load[0] == 1.5 && h.cpu_percent == 0 && h.disk_read == 0);
    put("stat", "cpu  150 0 150 900 0 0 0 0 0 0\ncpu0 1 1\ncpu1 1 1\n");
    put("diskstats", "8 0 sda 1 0 30 0 1 0 20 0\n8 1 sda1 1 0 90 0 1 0 20 0\n");
    put("net/dev", "  eth0:300 0 0 0 0 0 0 0 100 0\n");
    metrics_host_read(proc, &last, &h, 5, 3000);
    assert_true(h.cpu_percent == 50);
    assert_int_equal(h.disk_read, 20 * 512 / 2);
    assert_int_equal(h.net_received, 100);
    assert_int_equal(h.net_sent, 0); /* the counter went back */
    close(proc);
}

#define T0 1700000400u /* a whole ten minutes */

static long read_points(struct metrics_store *s, unsigned step, uint64_t to, struct metrics_point **out)
{
    struct err e = {0};
    long n = metrics_store_read(s, (struct metrics_key){5, 1}, step, T0 - 600, to, out, &e);

    if (n < 0)
        print_error("%s\n", e.msg);
    return n;
}

/* As the passes of a minute and some seconds do it. */
static void fill(struct metrics_store *s, unsigned seconds)
{
    struct err e = {0};

    for (unsigned t = 0; t < seconds; t++) {
        if (metrics_store_roll(s, T0 + t))
            assert_int_equal(metrics_store_write(s, &e), 0);
        metrics_store_add(s, (struct metrics_key){5, 1}, T0 + t, t == 3 ? 99.5 : 10, (100 + t) * 1024);
        metrics_store_add(s, (struct metrics_key){4, 0}, T0 + t, 1, 1024);
    }
}

static void test_history(void **state)
{
    struct metrics_store *s;
    struct metrics_point *p;
    char path[128];

    (void)state;
    snprintf(path, sizeof(path), "%s/metrics.db", root);
    s = metrics_store_new(path);
    fill(s, 75);
    assert_int_equal(read_points(s, 1, T0 + 100, &p), 75); /* five of them are in memory only */
    assert_int_equal(p[74].time, T0 + 74);
    assert_int_equal(p[74].memory_avg, 174 * 1024);
    assert_true(p[3].cpu_max == 99.5);
    free(p);
    metrics_store_free(s);

    s = metrics_store_new(path);
    assert_int_equal(read_points(s, 1, T0 + 100, &p), 75);
    free(p);
    assert_int_equal(read_points(s, 60, T0 + 100, &p), 2);
    assert_int_equal(p[0].n, 60);
    assert_int_equal(p[1].n, 15);
    assert_true(p[0].cpu_min == 10 && p[0].cpu_max == 99.5 && p[0].cpu_avg > 11.4 && p[0].cpu_avg < 11.6);
    assert_int_equal(p[0].memory_min, 100 * 1024);
    assert_int_equal(p[0].memory_max, 159 * 1024);
    free(p);
    assert_int_equal(read_points(s, 600, T0 + 100, &p), 1);
    free(p);
    metrics_store_free(s);
}

static void test_old_ones_go(void **state)
{
    struct metrics_store *s;
    struct metrics_point *p;
    struct err e = {0};
    char path[128];

    (void)state;
    snprintf(path, sizeof(path), "%s/metrics.db", root);
    s = metrics_store_new(path);
    fill(s, 60);
    metrics_store_add(s, (struct metrics_key){5, 1}, T0 + 86400 + 3650, 1, 1024);
    assert_true(metrics_store_roll(s, T0 + 86400 + 3650));
    assert_int_equal(metrics_store_write(s, &e), 0);
    metrics_store_add(s, (struct metrics_key){5, 1}, T0 + 86400 + 3650, 1, 1024);
    assert_true(metrics_store_roll(s, T0 + 86400 + 3660));
    assert_int_equal(metrics_store_write(s, &e), 0);
    assert_int_equal(read_points(s, 1, T0 + 100, &p), 0);
    free(p);
    assert_int_equal(read_points(s, 60, T0 + 100, &p), 0);
    free(p);
    assert_int_equal(read_points(s, 600, T0 + 100, &p), 1);
    free(p);
    metrics_store_free(s);
}

static void test_damaged_and_newer_files(void **state)
{
    struct metrics_store *s;
    struct metrics_point *p = NULL;
    struct err e = {0};
    char path[128];
    sqlite3 *db;

    (void)state;
    snprintf(path, sizeof(path), "%s/metrics.db", root);
    put("metrics.db", "%s", "this is no database, but it is long enough to be taken for one at first sight");
    s = metrics_store_new(path);
    fill(s, 11);
    assert_int_equal(read_points(s, 1, T0 + 100, &p), 11);
    free(p);
    metrics_store_free(s);

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    s = metrics_store_new(path);
    metrics_store_add(s, (struct metrics_key){5, 1}, T0, 1, 1);
    assert_true(metrics_store_roll(s, T0 + 10));
    assert_true(metrics_store_write(s, &e) < 0);
    assert_non_null(strstr(e.msg, "newer version"));
    metrics_store_free(s);
    assert_int_equal(access(path, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole_tree_is_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ended_child_is_not_counted_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_orphan_stays_with_its_run, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_files_are_passed_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_host, setup, teardown),
        cmocka_unit_test_setup_teardown(test_history, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_ones_go, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_and_newer_files, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
