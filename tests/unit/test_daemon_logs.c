/* The log path from the pipe to rows and files. */
#include "logpath.h"

static void test_lines_and_files(void **state)
{
    struct path p;
    int out[2], err[2];
    struct stat st;

    (void)state;
    path_open(&p);
    char *of = path_file(&p, "logs/a/api-out.log"), *ef = path_file(&p, "api-error.log");
    struct log_run run = path_run(&p, 1, &of, &ef);

    path_pipe(out);
    path_pipe(err);
    put(out[1], "early\n");
    logs_attach(p.logs, &run, out[0], err[0], -1, -1);
    put(out[1], "one\ntw");
    put(err[1], "oops\n");
    path_run_ms(&p, 20);
    put(out[1], "o\nlast");
    close(out[1]);
    close(err[1]);
    path_until_done(&p, 2);

    char *o = slurp(of), *e = slurp(ef), *r = rows(&p, "s.kind = 1"), *re = rows(&p, "s.kind = 2");

    assert_string_equal(o, "early\none\ntwo\nlast\n");
    assert_string_equal(e, "oops\n");
    assert_string_equal(r, "1:0:early\n1:0:one\n1:0:two\n1:4:last\n");
    assert_string_equal(re, "2:0:oops\n");
    assert_int_equal(stat(p.db, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(p.troubles, 0);
    free(o), free(e), free(r), free(re), free(of), free(ef);
    path_close(&p);
    path_remove(p.dir);
}

static void test_dates_in_one_file(void **state)
{
    struct path p;
    int out[2], err[2];

    (void)state;
    path_open(&p);
    char *f = path_file(&p, "both.log");
    struct log_run run = path_run(&p, 1, &f, &f);

    run.date_format = "[T]";
    run.log_file = f; /* the same again: each line once */
    path_pipe(out);
    path_pipe(err);
    logs_attach(p.logs, &run, out[0], err[0], -1, -1);
    put(out[1], "a\nhalf");
    logs_drain(p.logs, 1);
    path_flush(&p);
    put(err[1], "b\n");
    logs_drain(p.logs, 1);
    path_flush(&p);
    put(out[1], " and half\n");
    close(out[1]);
    close(err[1]);
    path_until_done(&p, 2);

    char *text = slurp(f);

    assert_string_equal(text, "T: a\nT: b\nT: half and half\n");
    free(text), free(f);
    path_close(&p);
    path_remove(p.dir);
}

/* One object a line, whole whatever the writes were; a long line is several. */
static void test_json(void **state)
{
    struct path p;
    int out[2], err[2];

    (void)state;
    path_open(&p);
    char *f = path_file(&p, "both.log");
    struct log_run run = path_run(&p, 1, &f, &f);

    run.json = true;
    run.date_format = "[T]";
    path_pipe(out);
    path_pipe(err);
    logs_attach(p.logs, &run, out[0], err[0], -1, -1);
    put(out[1], "a\n\"half");
    logs_drain(p.logs, 1);
    path_flush(&p);
    put(err[1], "\xff\n");
    logs_drain(p.logs, 1);
    path_flush(&p);
    put(out[1], "\" and half\nno end");
    close(out[1]);
    close(err[1]);
    path_until_done(&p, 2);

    char *text = slurp(f);

#define REST(type) "\",\"timestamp\":\"T\",\"type\":\"" type "\",\"process_id\":%u,\"app_name\":\"%s\"}\n"
    char want[1024];

    snprintf(
        want, sizeof want,
        "{\"message\":\"a" REST("out") "{\"message\":\"\xef\xbf\xbd" REST(
            "err") "{\"message\":\"\\\"half\\\" and half" REST("out") "{\"message\":\"no end" REST("out"),
        run.process, run.app, run.process, run.app, run.process, run.app, run.process, run.app);
    assert_string_equal(text, want);
    free(text), free(f);
    path_close(&p);
    path_remove(p.dir);
}

static void test_long_and_odd_lines(void **state)
{
    struct path p;
    int out[2];
    size_t n = LOG_LINE_MAX + 10;

    (void)state;
    path_open(&p);
    char *f = path_file(&p, "o.log"), *line = malloc(n + 2);
    struct log_run run = path_run(&p, 1, &f, NULL);

    run.date_format = "[T]";
    memset(line, 'x', n);
    strcpy(line + n, "\n");
    path_pipe(out);
    logs_attach(p.logs, &run, out[0], -1, -1, -1);
    fcntl(out[1], F_SETPIPE_SZ, 1 << 20);
    put(out[1], line);
    assert_int_equal(fs_write_all(out[1], "a\0b\n\xff\xfe\n\n", 8), 0);
    path_run_ms(&p, 50);
    path_flush(&p);

    char *r = rows(&p, NULL), *text;
    struct buf whole = {0};
    struct err e;

    assert_int_equal(strncmp(r, "1:1:xxx", 7), 0);
    assert_int_equal(strncmp(r + 4 + LOG_LINE_MAX, "\n1:0:xxxxxxxxxx\n1:0:a", 20), 0);
    assert_int_equal(fs_read_file(f, 1 << 20, &whole, &e), 0);
    assert_int_equal(whole.len, 3 + n + 1 + 3 + 4 + 3 + 3 + 3 + 1); /* one date a line, not a piece */
    assert_memory_equal(whole.data + 3 + n + 1, "T: a\0b\nT: \xff\xfe\nT: \n", 17);
    text = whole.data;
    free(text), free(r), free(f), free(line);
    close(out[1]);
    path_until_done(&p, 1);
    path_close(&p);
    path_remove(p.dir);
}

static void test_none_and_disabled(void **state)
{
    struct path p;
    int out[2], err[2], quiet[2];
    char *null = "/dev/null", *word = "NULL";

    (void)state;
    path_open(&p);
    struct log_run run = path_run(&p, 1, &null, &word), off = path_run(&p, 2, NULL, NULL);

    path_pipe(out);
    path_pipe(err);
    path_pipe(quiet);
    off.disabled = true;
    logs_attach(p.logs, &run, out[0], err[0], -1, -1);
    logs_attach(p.logs, &off, quiet[0], -1, -1, -1);
    put(out[1], "a\n");
    put(err[1], "b\n");
    for (int i = 0; i < 1000; i++) {
        put(quiet[1], "0123456789012345678901234567890123456789012345678901234567890123456789\n");
        uv_run(&p.loop, UV_RUN_NOWAIT);
    }
    close(out[1]);
    close(err[1]);
    close(quiet[1]);
    path_until_done(&p, 3);

    char *r = rows(&p, "1");

    assert_true(strcmp(r, "1:0:a\n2:0:b\n") == 0 || strcmp(r, "2:0:b\n1:0:a\n") == 0);
    free(r);
    path_close(&p);
    path_remove(p.dir);
}

/* The files of a program that writes nothing: made a while after its start, or at its end. */
static void test_silent_run(void **state)
{
    struct path p;
    int lasting[2], brief[2];
    uint64_t end = clock_mono_ms() + 30000;

    (void)state;
    path_open(&p);
    char *first = path_file(&p, "first.log"), *second = path_file(&p, "second.log");
    struct log_run run = path_run(&p, 1, &first, NULL), next = path_run(&p, 2, &second, NULL);

    path_pipe(lasting);
    path_pipe(brief);
    logs_attach(p.logs, &run, lasting[0], -1, -1, -1);
    while (access(first, F_OK) != 0) {
        path_run_ms(&p, 5);
        assert_true(clock_mono_ms() < end);
    }
    logs_attach(p.logs, &next, brief[0], -1, -1, -1);
    close(brief[1]);
    path_until_done(&p, 1);
    assert_int_equal(access(second, F_OK), 0);
    close(lasting[1]);
    path_until_done(&p, 2);
    free(first);
    free(second);
    path_close(&p);
    path_remove(p.dir);
}

static void test_reopen(void **state)
{
    struct path p;
    int out[2];

    (void)state;
    path_open(&p);
    char *f = path_file(&p, "o.log"), *old = path_file(&p, "o.log.1");
    struct log_run run = path_run(&p, 1, &f, NULL);

    path_pipe(out);
    logs_attach(p.logs, &run, out[0], -1, -1, -1);
    put(out[1], "one\n");
    path_run_ms(&p, 30);
    path_flush(&p);
    assert_int_equal(rename(f, old), 0);
    put(out[1], "two\n");
    path_run_ms(&p, 30);
    logs_reopen(p.logs);
    path_flush(&p);
    put(out[1], "three\n");
    path_run_ms(&p, 30);
    path_flush(&p);

    char *a = slurp(old), *b = slurp(f);

    assert_string_equal(a, "one\ntwo\n");
    assert_string_equal(b, "three\n");
    /* Removed without a word: the next line makes it again. */
    assert_int_equal(unlink(f), 0);
    put(out[1], "four\n");
    close(out[1]);
    path_until_done(&p, 1);
    free(b);
    b = slurp(f);
    assert_string_equal(b, "four\n");
    free(a), free(b), free(f), free(old);
    path_close(&p);
    path_remove(p.dir);
}

static void test_unwritable_file(void **state)
{
    struct path p;
    int out[2];

    (void)state;
    path_open(&p);
    char *file = path_file(&p, "plain"), *f = path_file(&p, "plain/o.log");
    struct log_run run = path_run(&p, 1, &f, NULL);

    close(open(file, O_CREAT | O_WRONLY, 0600));
    path_pipe(out);
    logs_attach(p.logs, &run, out[0], -1, -1, -1);
    put(out[1], "one\ntwo\n");
    path_run_ms(&p, 700);
    assert_int_equal(p.troubles, 1); /* once, though it was tried again */
    assert_non_null(strstr(p.trouble, "plain"));
    char *r = rows(&p, NULL);

    assert_string_equal(r, "1:0:one\n1:0:two\n");
    /* It works again: nothing is lost. */
    assert_int_equal(unlink(file), 0);
    path_run_ms(&p, 700);
    char *text = slurp(f);

    assert_string_equal(text, "one\ntwo\n");
    close(out[1]);
    path_until_done(&p, 1);
    free(text), free(r), free(f), free(file);
    path_close(&p);
    path_remove(p.dir);
}

/* The file's trouble never ends: the stream of the ended run is given up, its lines are counted. */
static void test_unwritable_file_at_end(void **state)
{
    struct path p;
    int out[2];

    (void)state;
    path_open(&p);
    char *f = xstrdup("/proc/nowhere/o.log");
    struct log_run run = path_run(&p, 9, &f, NULL);

    path_pipe(out);
    logs_attach(p.logs, &run, out[0], -1, -1, -1);
    put(out[1], "one\ntwo\nend");
    close(out[1]);
    path_until_done(&p, 1);
    char *r = rows(&p, NULL);

    assert_string_equal(r, "1:0:one\n1:0:two\n1:4:end\n");
    assert_int_equal(logs_dropped(p.logs, 9), 3);
    free(r), free(f);
    path_close(&p);
    path_remove(p.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_and_files),
        cmocka_unit_test(test_dates_in_one_file),
        cmocka_unit_test(test_long_and_odd_lines),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_none_and_disabled),
        cmocka_unit_test(test_silent_run),
        cmocka_unit_test(test_reopen),
        cmocka_unit_test(test_unwritable_file),
        cmocka_unit_test(test_unwritable_file_at_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
