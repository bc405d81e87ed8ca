/* Questions to the log path, and subscribers. */
#include "logpath.h"

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

static void on_nothing(void *arg, const struct log_line *lines, size_t n, uint64_t missed)
{
    uint64_t *seen = arg;

    (void)lines;
    seen[0] += n;
    seen[1] += missed;
    seen[2]++;
}

/* A loop that does not come to hand lines over: the writer goes on, and the subscriber is told the number. */
static void test_missed(void **state)
{
    enum { LINES = 200000 };
    struct path p;
    uint64_t seen[3] = {0}; /* lines, missed lines, calls */
    struct log_sub *sub;
    int out[2];
    pid_t pid;

    (void)state;
    path_open(&p);
    struct log_run run = path_run(&p, 1, NULL, NULL);

    path_pipe(out);
    logs_attach(p.logs, &run, out[0], -1, -1, -1);
    sub = logs_subscribe(p.logs, &(struct log_query){.out = true}, on_nothing, seen);
    /* The first call is the history, after which every line counts. */
    for (uint64_t end = clock_mono_ms() + 30000; seen[2] == 0 && clock_mono_ms() < end;)
        path_run_ms(&p, 5);
    assert_int_equal(seen[2], 1);
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
    for (uint64_t end = clock_mono_ms() + 30000; seen[0] + seen[1] < LINES && clock_mono_ms() < end;)
        path_run_ms(&p, 5);
    path_run_ms(&p, 50); /* and none twice */
    assert_int_equal(seen[0] + seen[1], LINES);
    logs_unsubscribe(sub);
    waitpid(pid, NULL, 0);
    path_close(&p);
    path_remove(p.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_missed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
