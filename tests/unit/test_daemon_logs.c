/* The log path from the pipe to rows, files and subscribers. */
#include "logpath.h"

#include <poll.h>
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
    path_run_ms(&p, 50);
    put(err[1], "b\n");
    path_run_ms(&p, 50);
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
    path_run_ms(&p, 50);
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

struct answer {
    bool got;
    int rc;
    size_t n;
    struct buf text;
    bool sorted;
    uint64_t last_us;
};

static void on_lines(void *arg, int rc, const struct log_line *lines, size_t n)
{
    struct answer *a = arg;

    a->got = a->sorted = true;
    a->rc = rc;
    a->n = n;
    for (size_t i = 0; i < n; i++) {
        if (lines[i].time_us < a->last_us)
            a->sorted = false;
        a->last_us = lines[i].time_us;
        buf_printf(&a->text, "%s/%u:", lines[i].app, lines[i].process);
        buf_append(&a->text, lines[i].text, lines[i].len);
        buf_putc(&a->text, ' ');
    }
}

static void ask(struct path *p, const struct log_query *q, const char *want)
{
    struct answer a = {0};

    logs_query(p->logs, q, on_lines, &a);
    path_until(p, &a.got);
    assert_int_equal(a.rc, 0);
    assert_true(a.sorted);
    assert_string_equal(a.text.data ? a.text.data : "", want);
    buf_free(&a.text);
}

static void test_query(void **state)
{
    struct path p;
    int pipes[3][2];
    uint32_t one = 1, two[] = {1, 3}, other = 77;

    (void)state;
    path_open(&p);
    for (int i = 0; i < 3; i++) {
        struct log_run run = path_run(&p, (uint64_t)i + 1, NULL, NULL);

        path_pipe(pipes[i]);
        logs_attach(p.logs, &run, i == 2 ? -1 : pipes[i][0], i == 2 ? pipes[i][0] : -1, -1, -1);
    }
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 3; i++) {
            char text[8];

            snprintf(text, sizeof text, "%d\n", k);
            put(pipes[i][1], text);
            logs_drain(p.logs, (uint64_t)i + 1);
            path_flush(&p);
        }
    ask(&p, &(struct log_query){.out = true, .err = true, .lines = 4}, "api/3:2 api/1:3 api/2:3 api/3:3 ");
    ask(&p, &(struct log_query){.processes = &one, .n_processes = 1, .out = true, .lines = 2},
        "api/1:2 api/1:3 ");
    ask(&p, &(struct log_query){.processes = two, .n_processes = 2, .out = true, .err = true, .lines = 3},
        "api/3:2 api/1:3 api/3:3 ");
    ask(&p, &(struct log_query){.err = true, .lines = 10}, "api/3:0 api/3:1 api/3:2 api/3:3 ");
    ask(&p, &(struct log_query){.run = 2, .out = true, .err = true, .lines = 1}, "api/2:3 ");
    ask(&p, &(struct log_query){.processes = &other, .n_processes = 1, .out = true, .lines = 10}, "");
    ask(&p, &(struct log_query){.out = true, .lines = 0}, "");
    for (int i = 0; i < 3; i++)
        close(pipes[i][1]);
    path_until_done(&p, 3);
    path_close(&p);
    path_remove(p.dir);
}

struct follower {
    struct log_sub *sub;
    long next; /* number that must come next; -1 = any */
    bool first, ended;
    long history;
    uint64_t missed;
};

static void on_live(void *arg, const struct log_line *lines, size_t n, uint64_t missed)
{
    struct follower *f = arg;

    if (!f->first) {
        f->first = true;
        f->history = (long)n;
    }
    f->missed += missed;
    for (size_t i = 0; i < n; i++) {
        char text[32];
        long number;

        snprintf(text, sizeof text, "%.*s", (int)lines[i].len, lines[i].text);
        number = strtol(text, NULL, 10);
        if (f->next >= 0)
            assert_int_equal(number, f->next);
        f->next = number + 1;
    }
}

/* Subscribers that come at any moment of a flood see each line once from their first on. */
static void test_join(void **state)
{
    enum { LINES = 200000, SUBS = 12 };
    struct path p;
    struct follower f[SUBS];
    int out[2], joined = 0;
    pid_t pid;

    (void)state;
    path_open(&p);
    struct log_run run = path_run(&p, 1, NULL, NULL);

    path_pipe(out);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        FILE *file = fdopen(out[1], "w");

        for (int i = 0; i < LINES; i++)
            fprintf(file, "%d\n", i);
        fclose(file);
        _exit(0);
    }
    close(out[1]);
    logs_attach(p.logs, &run, out[0], -1, -1, -1);
    memset(f, 0, sizeof f);
    while (p.done == 0) {
        if (joined < SUBS) {
            f[joined].next = -1;
            f[joined].sub = logs_subscribe(
                p.logs, &(struct log_query){.out = true, .lines = joined % 2 ? 100 : 0}, on_live, &f[joined]);
            joined++;
        }
        path_run_ms(&p, 5);
    }
    path_flush(&p);
    path_run_ms(&p, 200);
    for (int i = 0; i < joined; i++) {
        assert_true(f[i].first);
        if (f[i].missed == 0 && f[i].next >= 0)
            assert_int_equal(f[i].next, LINES);
        if (i % 2 == 0)
            assert_int_equal(f[i].history, 0);
        logs_unsubscribe(f[i].sub);
    }
    waitpid(pid, NULL, 0);
    path_close(&p);
    path_remove(p.dir);
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

static void on_nothing(void *arg, const struct log_line *lines, size_t n, uint64_t missed)
{
    uint64_t *seen = arg;

    (void)lines;
    seen[0] += n;
    seen[1] += missed;
}

/* A loop that does not come to hand lines over: the writer goes on, and the subscriber is told the number. */
static void test_missed(void **state)
{
    enum { LINES = 200000 };
    struct path p;
    uint64_t seen[2] = {0};
    struct log_sub *sub;
    int out[2];
    pid_t pid;

    (void)state;
    path_open(&p);
    struct log_run run = path_run(&p, 1, NULL, NULL);

    path_pipe(out);
    logs_attach(p.logs, &run, out[0], -1, -1, -1);
    sub = logs_subscribe(p.logs, &(struct log_query){.out = true}, on_nothing, seen);
    path_run_ms(&p, 50);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        FILE *file = fdopen(out[1], "w");

        for (int i = 0; i < LINES; i++)
            fprintf(file, "%-99d\n", i);
        fclose(file);
        _exit(0);
    }
    close(out[1]);
    /* Much in one turn of the loop each, so that the bound is reached. */
    while (p.done == 0) {
        for (int i = 0; i < 50; i++) {
            logs_drain(p.logs, 1);
            usleep(2000);
        }
        uv_run(&p.loop, UV_RUN_NOWAIT);
    }
    path_flush(&p);
    path_run_ms(&p, 50);
    assert_int_equal(seen[0] + seen[1], LINES);
    logs_unsubscribe(sub);
    waitpid(pid, NULL, 0);
    path_close(&p);
    path_remove(p.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_and_files),
        cmocka_unit_test(test_dates_in_one_file),
        cmocka_unit_test(test_long_and_odd_lines),
        cmocka_unit_test(test_none_and_disabled),
        cmocka_unit_test(test_silent_run),
        cmocka_unit_test(test_reopen),
        cmocka_unit_test(test_unwritable_file),
        cmocka_unit_test(test_unwritable_file_at_end),
        cmocka_unit_test(test_garbage_database),
        cmocka_unit_test(test_truncated_database),
        cmocka_unit_test(test_database_removed),
        cmocka_unit_test(test_forget),
        cmocka_unit_test(test_next_engine),
        cmocka_unit_test(test_lost_spool),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_block_then_drop),
        cmocka_unit_test(test_many_short_runs),
        cmocka_unit_test(test_no_newline),
        cmocka_unit_test(test_missed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
