/* The log path when its database is damaged or gone, and from one engine to the next. */
#include "logpath.h"

#include <poll.h>

static void test_garbage_database(void **state)
{
    char dir[] = "/tmp/pm-logs-XXXXXX", *db, *cmd;
    struct path p;
    int out[2];

    (void)state;
    assert_non_null(mkdtemp(dir));
    db = xasprintf("%s/logs.db", dir);
    cmd = xasprintf("head -c 100000 /dev/urandom > %s", db);
    assert_int_equal(system(cmd), 0);
    path_open_in(&p, dir);
    struct log_run run = path_run(&p, 1, NULL, NULL);

    path_pipe(out);
    logs_attach(p.logs, &run, out[0], -1, -1, -1);
    put(out[1], "one\n");
    close(out[1]);
    path_until_done(&p, 1);
    assert_int_equal(p.troubles, 1);
    assert_non_null(strstr(p.trouble, "corrupt-"));
    char *r = rows(&p, NULL);

    assert_string_equal(r, "1:0:one\n");
    path_close(&p);
    free(cmd);
    cmd = xasprintf("ls %s/logs.db.corrupt-* >/dev/null", dir);
    assert_int_equal(system(cmd), 0);
    free(cmd), free(db), free(r);
    path_remove(dir);
}

static void test_truncated_database(void **state)
{
    char dir[] = "/tmp/pm-logs-XXXXXX";
    struct path p;
    int out[2];

    (void)state;
    assert_non_null(mkdtemp(dir));
    for (int i = 0; i < 2; i++) {
        path_open_in(&p, dir);
        struct log_run run = path_run(&p, 1 + (uint64_t)i, NULL, NULL);

        path_pipe(out);
        logs_attach(p.logs, &run, out[0], -1, -1, -1);
        for (int k = 0; k < 500; k++)
            put(out[1], "a line that fills the pages of the database a little\n");
        close(out[1]);
        path_until_done(&p, 1);
        assert_int_equal(p.troubles, i);
        path_close(&p);
        char *db = xasprintf("%s/logs.db", dir);

        if (i == 0)
            assert_int_equal(truncate(db, 20000), 0);
        free(db);
    }
    path_remove(dir);
}

static void test_database_removed(void **state)
{
    struct path p;
    int out[2];

    (void)state;
    path_open(&p);
    struct log_run run = path_run(&p, 1, NULL, NULL);

    path_pipe(out);
    logs_attach(p.logs, &run, out[0], -1, -1, -1);
    put(out[1], "one\n");
    logs_drain(p.logs, 1);
    path_flush(&p);
    char *cmd = xasprintf("rm %s/logs.db*", p.dir);

    assert_int_equal(system(cmd), 0);
    put(out[1], "two\n");
    path_run_ms(&p, 100);
    put(out[1], "three\n");
    close(out[1]);
    path_until_done(&p, 1);
    assert_int_equal(p.troubles, 1);
    char *r = rows(&p, NULL);

    assert_string_equal(r, "1:0:two\n1:0:three\n");
    free(r), free(cmd);
    path_close(&p);
    path_remove(p.dir);
}

static void test_forget(void **state)
{
    struct path p;
    int out[2];

    (void)state;
    path_open(&p);
    struct log_run run = path_run(&p, 1, NULL, NULL);

    path_pipe(out);
    logs_attach(p.logs, &run, out[0], -1, -1, -1);
    put(out[1], "one\nrest");
    logs_forget(p.logs, 1);
    path_until_done(&p, 1);
    char *r = rows(&p, NULL);

    assert_string_equal(r, "1:0:one\n1:4:rest\n");
    assert_int_equal(poll(&(struct pollfd){.fd = out[1]}, 1, 0), 1); /* POLLERR: nobody reads any more */
    free(r);
    close(out[1]);
    path_close(&p);
    path_remove(p.dir);
}

/* An engine that ends in order and one that follows: half lines included. */
static void test_next_engine(void **state)
{
    struct path p;
    int out[2], held, spool;

    (void)state;
    path_open(&p);
    char *f = path_file(&p, "o.log"), *dir = xstrdup(p.dir);
    struct log_run run = path_run(&p, 1, &f, NULL);

    path_pipe(out);
    held = fcntl(out[0], F_DUPFD_CLOEXEC, 0);
    logs_attach(p.logs, &run, out[0], -1, -1, -1);
    put(out[1], "one\nha");
    path_run_ms(&p, 30);
    spool = fcntl(p.spools[0], F_DUPFD_CLOEXEC, 0);
    path_close(&p);
    put(out[1], "lf\n");
    path_open_in(&p, dir);
    logs_attach(p.logs, &run, held, -1, spool, -1);
    put(out[1], "three\n");
    close(out[1]);
    path_until_done(&p, 1);
    char *r = rows(&p, NULL), *text = slurp(f);

    assert_string_equal(r, "1:0:one\n1:0:half\n1:0:three\n");
    assert_string_equal(text, "one\nhalf\nthree\n");
    free(r), free(text), free(f);
    path_close(&p);
    path_remove(dir);
    free(dir);
}

/* The spool was lost with both daemons: the run goes on with a second one. */
static void test_lost_spool(void **state)
{
    struct path p;
    int out[2], held;

    (void)state;
    path_open(&p);
    char *f = path_file(&p, "o.log"), *dir = xstrdup(p.dir);
    struct log_run run = path_run(&p, 1, &f, NULL);

    path_pipe(out);
    held = fcntl(out[0], F_DUPFD_CLOEXEC, 0);
    logs_attach(p.logs, &run, out[0], -1, -1, -1);
    put(out[1], "one\n");
    path_run_ms(&p, 30);
    path_close(&p);
    path_open_in(&p, dir);
    logs_attach(p.logs, &run, held, -1, -1, -1);
    put(out[1], "two\n");
    close(out[1]);
    path_until_done(&p, 1);
    char *r = rows(&p, NULL), *text = slurp(f);

    assert_string_equal(r, "1:0:one\n1:0:two\n");
    assert_string_equal(text, "one\ntwo\n");
    free(r), free(text), free(f);
    path_close(&p);
    path_remove(dir);
    free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_garbage_database), cmocka_unit_test(test_truncated_database),
        cmocka_unit_test(test_database_removed), cmocka_unit_test(test_forget),
        cmocka_unit_test(test_next_engine),      cmocka_unit_test(test_lost_spool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
