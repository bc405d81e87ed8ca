/* What is kept of the rows, what may come in a second, and the policies. */
#include "logpath.h"

#include "daemon/log_rate.h"

/* ---- the bucket, with a clock of its own ---- */

static unsigned passes(struct log_rate *r, uint64_t now, unsigned lines, uint64_t bytes)
{
    unsigned n = 0;

    for (unsigned i = 0; i < lines; i++)
        n += log_rate_allow(r, now, bytes);
    return n;
}

static void test_rate(void **state)
{
    struct log_rate r;

    (void)state;
    log_rate_init(&r, 100, 0, 1000);
    assert_int_equal(passes(&r, 1000, 250, 10), 100);
    assert_int_equal(passes(&r, 1999, 10, 10), 0); /* one gap until the bucket is full */
    assert_int_equal(log_rate_wait(&r, 1999), 1);
    assert_int_equal(passes(&r, 2000, 250, 10), 100);
    assert_int_equal(passes(&r, 1000000, 250, 10), 100); /* a long rest saves nothing up */

    log_rate_init(&r, 0, 1000, 0);
    assert_int_equal(passes(&r, 0, 100, 100), 10);
    assert_int_equal(log_rate_wait(&r, 0), 1000);
    assert_int_equal(passes(&r, 1000, 1, 65536), 1); /* longer than a second's worth: owed */
    assert_int_equal(passes(&r, 60000, 5, 10), 0);
    assert_int_equal(passes(&r, 66537, 5, 10), 5);
}

/* ---- the log path ---- */

static uint64_t number(const struct path *p, const char *sql)
{
    sqlite3 *h;
    sqlite3_stmt *st;
    uint64_t n;

    assert_int_equal(sqlite3_open_v2(p->db, &h, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_db_config(h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_busy_timeout(h, 5000);
    assert_int_equal(sqlite3_prepare_v2(h, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    n = (uint64_t)sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(h);
    return n;
}

static void put_lines(struct path *p, int fd, unsigned from, unsigned n)
{
    char line[128];

    for (unsigned i = from; i < from + n; i++) {
        int len =
            snprintf(line, sizeof line, "line %u of some length, so that a few of them make up a page\n", i);

        while (write(fd, line, (size_t)len) != len)
            uv_run(&p->loop, UV_RUN_NOWAIT);
    }
}

static void until_less(struct path *p, const char *sql, uint64_t most)
{
    uint64_t end = clock_mono_ms() + 30000;

    while (number(p, sql) > most) {
        path_run_ms(p, 20);
        assert_true(clock_mono_ms() < end);
    }
}

/* An app keeps its newest lines; another one is not touched; ids are not used again; the file shrinks. */
static void test_retention_by_size(void **state)
{
    struct path p;
    int a[2], b[2];
    uint64_t newest, before;
    struct log_limits keep = {.keep_bytes = 256 * 1024};

    (void)state;
    path_open(&p);
    struct log_run run = path_run(&p, 1, NULL, NULL), other = path_run(&p, 2, NULL, NULL);

    other.app = "other";
    path_pipe(a);
    path_pipe(b);
    fcntl(a[1], F_SETFL, O_NONBLOCK);
    logs_attach(p.logs, &run, a[0], -1, -1, -1);
    logs_attach(p.logs, &other, b[0], -1, -1, -1);
    put(b[1], "stays\n");
    put_lines(&p, a[1], 0, 60000);
    path_flush(&p);
    assert_int_equal(number(&p, "SELECT count(*) FROM line"), 60001);
    newest = number(&p, "SELECT max(id) FROM line");
    before = number(&p, "PRAGMA page_count");
    logs_limit_app(p.logs, "api", &keep);
    until_less(&p, "SELECT sum(length(text)) FROM line", 256 * 1024 + 4096);
    assert_true(number(&p, "SELECT sum(b.bytes) FROM batch b") <= 256 * 1024 + 4096);
    assert_int_equal(number(&p, "SELECT count(*) FROM line WHERE text = CAST('stays' AS BLOB)"), 1);
    until_less(&p, "PRAGMA page_count", before / 2);
    put_lines(&p, a[1], 60000, 10);
    path_flush(&p);
    assert_int_equal(number(&p, "SELECT max(id) FROM line"), newest + 10);
    assert_int_equal(p.troubles, 0);
    close(a[1]), close(b[1]);
    path_until_done(&p, 2);
    path_close(&p);
    path_remove(p.dir);
}

static void test_retention_by_age(void **state)
{
    struct path p;
    int a[2];
    struct log_limits keep = {.keep_ms = 500};

    (void)state;
    path_open(&p);
    struct log_run run = path_run(&p, 1, NULL, NULL);

    path_pipe(a);
    logs_attach(p.logs, &run, a[0], -1, -1, -1);
    put(a[1], "old\n");
    path_flush(&p);
    logs_limit_app(p.logs, "api", &keep);
    until_less(&p, "SELECT count(*) FROM line", 0);
    keep.keep_ms = 3600000; /* a slow machine must not let the next line get old as well */
    logs_limit_app(p.logs, "api", &keep);
    put(a[1], "new\n");
    path_flush(&p);
    assert_int_equal(number(&p, "SELECT id FROM line"), 2);
    close(a[1]);
    path_until_done(&p, 1);
    path_close(&p);
    path_remove(p.dir);
}

static void test_whole_database(void **state)
{
    struct path p;
    int a[2];
    const struct log_bounds bounds = {.max_bytes = 2 << 20};

    (void)state;
    path_open(&p);
    struct log_run run = path_run(&p, 1, NULL, NULL);

    logs_bound(p.logs, &bounds);
    path_pipe(a);
    fcntl(a[1], F_SETFL, O_NONBLOCK);
    logs_attach(p.logs, &run, a[0], -1, -1, -1);
    put_lines(&p, a[1], 0, 200000); /* 12 MB */
    path_flush(&p);
    until_less(&p, "SELECT (SELECT count(*) FROM line) * 60", 5 << 20);
    assert_int_equal(number(&p, "SELECT count(*) FROM line WHERE id = (SELECT max(last_id) FROM stream)"), 1);
    close(a[1]);
    path_until_done(&p, 1);
    path_close(&p);
    path_remove(p.dir);
}

/* All lines are in the rows and in the file, or counted there, each at its gap. */
static void test_rate_limit(void **state)
{
    struct path p;
    int a[2];
    unsigned long long dropped = 0, lines = 0, n;

    (void)state;
    path_open(&p);
    char *f = path_file(&p, "o.log");
    struct log_run run = path_run(&p, 1, &f, NULL);

    run.limits.rate_lines = 1000;
    path_pipe(a);
    fcntl(a[1], F_SETFL, O_NONBLOCK);
    logs_attach(p.logs, &run, a[0], -1, -1, -1);
    put_lines(&p, a[1], 0, 50000);
    path_run_ms(&p, 1300);
    put(a[1], "after\n");
    close(a[1]);
    path_until_done(&p, 1);
    char *text = slurp(f);

    for (char *c = text, *end; (end = strchr(c, '\n')); c = end + 1) {
        if (sscanf(c, "[pm] %llu lines dropped", &n) == 1)
            dropped += n;
        else
            lines++;
    }
    assert_true(dropped > 10000 && lines >= 1001);
    assert_int_equal(lines + dropped, 50001);
    assert_int_equal(logs_dropped(p.logs, 1), dropped);
    assert_non_null(strstr(text, "\nafter\n"));
    assert_int_equal(number(&p, "SELECT count(*) FROM line WHERE flags & 2 = 0"), lines);
    free(text), free(f);
    path_close(&p);
    path_remove(p.dir);
}

/* The policy `drop`: a file that can't be written does not keep the app waiting. */
static void test_policy_drop(void **state)
{
    struct path p;
    int a[2];
    uint64_t began;

    (void)state;
    path_open(&p);
    char *folder = path_file(&p, "gone"), *f = path_file(&p, "gone/o.log");
    struct log_run run = path_run(&p, 1, &f, NULL);

    run.limits.drop = true;
    close(open(folder, O_CREAT | O_WRONLY, 0600));
    path_pipe(a);
    fcntl(a[1], F_SETFL, O_NONBLOCK);
    logs_attach(p.logs, &run, a[0], -1, -1, -1);
    began = clock_mono_ms();
    put_lines(&p, a[1], 0, 200000); /* three spools full */
    assert_true(clock_mono_ms() - began < LOG_BLOCK_MS);
    assert_true(logs_dropped(p.logs, 1) > 0);
    unlink(folder);
    close(a[1]);
    path_until_done(&p, 1);
    free(folder), free(f);
    path_close(&p);
    path_remove(p.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_retention_by_size),
        cmocka_unit_test(test_retention_by_age),
        cmocka_unit_test(test_whole_database),
        cmocka_unit_test(test_rate_limit),
        cmocka_unit_test(test_policy_drop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
