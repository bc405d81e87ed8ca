/* One log file under two names. */
#include "logpath.h"

/* The two streams of one run, whose files are one. */
struct twins {
    struct path p;
    char *file, *link;
    int out[2], err[2];
};

static void begin(struct twins *t)
{
    path_open(&t->p);
    t->file = path_file(&t->p, "real.log");
    t->link = path_file(&t->p, "link.log");
    close(open(t->file, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(symlink("real.log", t->link), 0);
    path_pipe(t->out);
    path_pipe(t->err);
}

static void end(struct twins *t)
{
    path_close(&t->p);
    path_remove(t->p.dir);
    free(t->file), free(t->link);
}

static unsigned times_open(const char *path)
{
    DIR *d = opendir("/proc/self/fd");
    struct stat want, st;
    unsigned n = 0;

    assert_int_equal(stat(path, &want), 0);
    for (struct dirent *e; (e = readdir(d));)
        if (fstatat(dirfd(d), e->d_name, &st, 0) == 0 && st.st_dev == want.st_dev && st.st_ino == want.st_ino)
            n++;
    closedir(d);
    return n;
}

/* Everything written is taken, and in the files. */
static void settle(struct twins *t)
{
    logs_drain(t->p.logs, 1);
    path_flush(&t->p);
}

static void expect(const char *path, const char *want)
{
    char *text = slurp(path);

    assert_string_equal(text, want);
    free(text);
}

static void test_one_open_file(void **state)
{
    struct twins t;

    (void)state;
    begin(&t);
    struct log_run run = path_run(&t.p, 1, &t.file, &t.link);

    logs_attach(t.p.logs, &run, t.out[0], t.err[0], -1, -1);
    put(t.out[1], "a\nhalf");
    settle(&t);
    put(t.err[1], "b\n");
    settle(&t);
    put(t.out[1], " and half\n");
    settle(&t);
    assert_int_equal(times_open(t.file), 1);
    expect(t.file, "a\nb\nhalf and half\n");
    close(t.out[1]);
    close(t.err[1]);
    path_until_done(&t.p, 2);
    assert_int_equal(t.p.troubles, 0);
    end(&t);
}

/* out_file and log_file: each line once, until the link leads elsewhere. */
static void test_each_line_once(void **state)
{
    struct twins t;

    (void)state;
    begin(&t);
    char *other = path_file(&t.p, "other.log");
    struct log_run run = path_run(&t.p, 1, &t.file, NULL);

    run.log_file = t.link;
    logs_attach(t.p.logs, &run, t.out[0], -1, -1, -1);
    put(t.out[1], "one\n");
    settle(&t);
    expect(t.file, "one\n");
    assert_int_equal(unlink(t.link), 0);
    close(open(other, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(symlink("other.log", t.link), 0);
    put(t.out[1], "two\n");
    settle(&t);
    logs_reopen(t.p.logs);
    settle(&t);
    put(t.out[1], "three\n");
    settle(&t);
    expect(t.file, "one\ntwo\nthree\n");
    expect(other, "three\n");
    /* And back. */
    assert_int_equal(unlink(t.link), 0);
    assert_int_equal(symlink("real.log", t.link), 0);
    logs_reopen(t.p.logs);
    settle(&t);
    put(t.out[1], "four\n");
    settle(&t);
    expect(t.file, "one\ntwo\nthree\nfour\n");
    expect(other, "three\n");
    close(t.out[1]);
    close(t.err[0]);
    close(t.err[1]);
    path_until_done(&t.p, 1);
    assert_int_equal(t.p.troubles, 0);
    free(other);
    end(&t);
}

struct wiped {
    bool got;
    int rc;
};

static void on_wiped(void *arg, int rc, unsigned files, const char *msg)
{
    struct wiped *w = arg;

    (void)files;
    (void)msg;
    w->got = true;
    w->rc = rc;
}

static void test_emptied_by_the_other_name(void **state)
{
    struct twins t;
    struct wiped w = {0};

    (void)state;
    begin(&t);
    struct log_run run = path_run(&t.p, 1, &t.file, NULL);
    char *paths[] = {t.link, NULL};

    logs_attach(t.p.logs, &run, t.out[0], -1, -1, -1);
    put(t.out[1], "one\n");
    settle(&t);
    logs_wipe(t.p.logs, &(struct log_wipe_request){.paths = paths}, on_wiped, &w);
    path_until(&t.p, &w.got);
    assert_int_equal(w.rc, 0);
    put(t.out[1], "two\n");
    settle(&t);
    expect(t.file, "two\n");
    close(t.out[1]);
    close(t.err[0]);
    close(t.err[1]);
    path_until_done(&t.p, 1);
    end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_open_file),
        cmocka_unit_test(test_each_line_once),
        cmocka_unit_test(test_emptied_by_the_other_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
