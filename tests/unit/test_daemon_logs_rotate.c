/* Rotation: what is where afterwards, also after an engine that was killed at any instant in a flood. */
#include "logpath.h"

#include <sys/prctl.h>

#include "logrotate/name.h"
#include "logrotate/policy.h"

static struct log_rotate_policy policy(uint64_t size)
{
    struct log_rotate_policy p;

    log_rotate_defaults(&p);
    p.on = true;
    p.timed = false;
    p.max_size = size;
    p.retain = LOG_ROTATE_ALL;
    return p;
}

/* Rotated files of `base` in the folder. */
static char **rotated(const char *dir, const char *base)
{
    DIR *d = opendir(dir);
    char **v = strv_dup(NULL);
    struct dirent *e;

    assert_non_null(d);
    while ((e = readdir(d))) {
        struct log_name known;

        if (log_name_read(base, LOG_ROTATE_FORMAT, e->d_name, &known))
            strv_push(&v, xasprintf("%s/%s", dir, e->d_name));
    }
    closedir(d);
    return v;
}

struct asked {
    bool done;
    size_t n, failed;
    char why[256], to[256];
    uint64_t bytes;
};

static void on_rotated(void *arg, const struct log_rotate_result *v, size_t n)
{
    struct asked *a = arg;

    a->done = true;
    a->n = n;
    for (size_t i = 0; i < n; i++) {
        a->failed += v[i].failed;
        snprintf(a->why, sizeof a->why, "%s", v[i].why ? v[i].why : "");
        snprintf(a->to, sizeof a->to, "%s", v[i].to ? v[i].to : "");
        a->bytes = v[i].bytes;
    }
}

static struct asked ask(struct path *p, const char *file)
{
    char *paths[] = {(char *)file, NULL};
    struct asked a = {0};

    logs_drain(p->logs, 1);
    logs_rotate(p->logs, paths, on_rotated, &a);
    path_until(p, &a.done);
    assert_int_equal(a.n, 1);
    return a;
}

static void expect_file(const char *path, const char *want)
{
    char *text = slurp(path);

    assert_string_equal(text, want);
    free(text);
}

static void test_ask(void **state)
{
    struct path p;
    struct asked a;
    struct stat st;
    int out[2];

    (void)state;
    path_open(&p);
    char *file = path_file(&p, "o.log");
    struct log_run run = path_run(&p, 1, &file, NULL);

    path_pipe(out);
    logs_attach(p.logs, &run, out[0], -1, -1, -1);
    put(out[1], "one\n");
    path_run_ms(&p, 50);
    chmod(file, 0604);
    put(out[1], "two\nhalf");
    a = ask(&p, file);
    assert_int_equal(a.failed, 0);
    assert_int_equal(a.bytes, 8);
    expect_file(a.to, "one\ntwo\n");
    expect_file(file, "");
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0604);
    put(out[1], " of it\n");
    logs_drain(p.logs, 1);
    path_flush(&p);
    expect_file(file, "half of it\n");
    a = ask(&p, file);
    expect_file(a.to, "half of it\n");
    a = ask(&p, file);
    assert_string_equal(a.why, "empty");
    assert_int_equal(a.failed, 0);
    char **v = rotated(p.dir, "o.log");
    assert_int_equal(strv_len(v), 2);
    strv_free(v);
    /* Nobody writes to it. */
    close(out[1]);
    path_until_done(&p, 1);
    char *other = path_file(&p, "other.log");
    int fd = open(other, O_CREAT | O_WRONLY, 0600);
    put(fd, "old\n");
    close(fd);
    a = ask(&p, other);
    expect_file(a.to, "old\n");
    assert_int_equal(access(other, F_OK), -1);
    a = ask(&p, other);
    assert_string_equal(a.why, "empty");
    assert_int_equal(p.troubles, 0);
    path_close(&p);
    path_remove(p.dir);
    free(file), free(other);
}

static void test_link(void **state)
{
    struct path p;
    struct asked a;
    int out[2];

    (void)state;
    path_open(&p);
    char *file = path_file(&p, "o.log"), *real = path_file(&p, "real.log");
    struct log_run run = path_run(&p, 1, &file, NULL);

    close(open(real, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(symlink("real.log", file), 0);
    path_pipe(out);
    logs_attach(p.logs, &run, out[0], -1, -1, -1);
    put(out[1], "one\n");
    a = ask(&p, file);
    assert_int_equal(a.failed, 0);
    assert_non_null(strstr(a.to, "/real__"));
    put(out[1], "two\n");
    logs_drain(p.logs, 1);
    path_flush(&p);
    expect_file(real, "two\n");
    expect_file(a.to, "one\n");
    close(out[1]);
    path_close(&p);
    path_remove(p.dir);
    free(file), free(real);
}

/* The line that is being written, longer than a piece, is not torn. */
static void test_long_line(void **state)
{
    struct path p;
    struct asked a;
    int out[2];
    char *big = xmalloc(70001);

    (void)state;
    memset(big, 'x', 70000);
    big[70000] = '\0';
    path_open(&p);
    char *file = path_file(&p, "o.log");
    struct log_run run = path_run(&p, 1, &file, NULL);
    struct log_rotate_policy pol = policy(1000);

    run.rotate = &pol;
    path_pipe(out);
    fcntl(out[1], F_SETPIPE_SZ, 1 << 20);
    logs_attach(p.logs, &run, out[0], -1, -1, -1);
    put(out[1], big);
    a = ask(&p, file);
    assert_int_equal(a.failed, 0);
    assert_non_null(strstr(a.why, "end of the line"));
    put(out[1], "y\nnext\n");
    logs_drain(p.logs, 1);
    path_flush(&p);
    char **v = rotated(p.dir, "o.log");
    assert_int_equal(strv_len(v), 1);
    char *text = slurp(v[0]);
    assert_int_equal(strlen(text), 70007);
    strv_free(v);
    free(text);
    close(out[1]);
    path_close(&p);
    path_remove(p.dir);
    free(file), free(big);
}

/* The policy comes, goes, and a time is due. */
static void test_policies(void **state)
{
    struct log_rotate_policy pol = policy(100), every = policy(0);
    struct path p;
    int out[2];

    (void)state;
    path_open(&p);
    char *file = path_file(&p, "o.log"), **v;
    struct log_run run = path_run(&p, 1, &file, NULL);

    path_pipe(out);
    logs_attach(p.logs, &run, out[0], -1, -1, -1);
    for (int i = 0; i < 20; i++)
        put(out[1], "0123456789\n");
    logs_drain(p.logs, 1);
    path_flush(&p);
    v = rotated(p.dir, "o.log");
    assert_int_equal(strv_len(v), 0);
    strv_free(v);
    logs_rotate_default(p.logs, &pol); /* at once, as it is too large */
    logs_drain(p.logs, 1);
    path_flush(&p);
    v = rotated(p.dir, "o.log");
    assert_int_equal(strv_len(v), 1);
    strv_free(v);
    pol.max_size = 1 << 20;
    logs_rotate_process(p.logs, 1, &pol);
    for (int i = 0; i < 20; i++)
        put(out[1], "0123456789\n");
    logs_drain(p.logs, 1);
    path_flush(&p);
    v = rotated(p.dir, "o.log");
    assert_int_equal(strv_len(v), 1);
    strv_free(v);
    every.timed = true;
    assert_int_equal(cron_parse("* * * * * *", &every.interval, NULL), 0);
    logs_rotate_process(p.logs, 1, &every);
    for (int i = 0; i < 500; i++) {
        path_run_ms(&p, 10);
        v = rotated(p.dir, "o.log");
        size_t n = strv_len(v);
        strv_free(v);
        if (n == 2)
            break;
    }
    v = rotated(p.dir, "o.log");
    assert_int_equal(strv_len(v), 2);
    strv_free(v);
    /* An empty file is left alone. */
    path_run_ms(&p, 2100);
    v = rotated(p.dir, "o.log");
    assert_int_equal(strv_len(v), 2);
    strv_free(v);
    close(out[1]);
    path_close(&p);
    path_remove(p.dir);
    free(file);
}

/* ---- engines that are killed ---- */

enum { STREAMS = 2 };

struct keeper {
    char dir[64];
    int pipes[STREAMS], spools[STREAMS];
    char *file;
    struct log_rotate_policy policy;
};

static void engine(struct keeper *k)
{
    struct path p;
    struct log_run run;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    path_open_in(&p, k->dir);
    run = path_run(&p, 1, &k->file, &k->file);
    run.rotate = &k->policy;
    logs_attach(p.logs, &run, k->pipes[0], k->pipes[1], k->spools[0], k->spools[1]);
    path_until_done(&p, STREAMS);
    path_close(&p);
    _exit(p.troubles ? 3 : 0);
}

static pid_t flood(int fd, char name, long lines)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        FILE *f = fdopen(fd, "w");

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (long i = 0; i < lines; i++)
            fprintf(f, "%c line %ld of the flood\n", name, i);
        fclose(f);
        _exit(0);
    }
    return pid;
}

/* Each line once over all files, whole; those of a stream in order within each. */
static void count_lines(const char *path, char *seen[STREAMS], long lines)
{
    bool gz = strstr(path, ".gz"), zst = strstr(path, ".zst");
    char *cmd = xasprintf("%s '%s'", gz ? "gzip -dc" : zst ? "zstd -qdc" : "cat", path), line[128];
    long last[STREAMS] = {-1, -1};
    FILE *f = popen(cmd, "r");

    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        char want[64], name;
        long n;
        int which;

        assert_int_equal(sscanf(line, "%c line %ld", &name, &n), 2);
        snprintf(want, sizeof want, "%c line %ld of the flood\n", name, n);
        assert_string_equal(line, want);
        which = name == 'b';
        assert_true(n >= 0 && n < lines && n > last[which]);
        last[which] = n;
        if (seen[which][n]++)
            fail_msg("%c line %ld is there twice", name, n);
    }
    assert_int_equal(pclose(f), 0);
    free(cmd);
}

static void flood_under_kills(long lines, int kills, uint64_t size, enum log_compress compress)
{
    struct keeper k = {.policy = policy(size)};
    char dir[] = "/tmp/pm-logs-XXXXXX", *seen[STREAMS], **v;
    int status, killed = 0;
    pid_t children[STREAMS], pid;

    k.policy.compress = compress;
    assert_non_null(mkdtemp(dir));
    snprintf(k.dir, sizeof k.dir, "%s", dir);
    k.file = xasprintf("%s/both.log", dir);
    for (int i = 0; i < STREAMS; i++) {
        int fds[2];

        path_pipe(fds);
        k.pipes[i] = fds[0];
        k.spools[i] = memfd_create("spool", MFD_CLOEXEC);
        children[i] = flood(fds[1], i ? 'b' : 'a', lines);
        close(fds[1]);
    }
    srand((unsigned)getpid());
    for (;;) {
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            engine(&k);
        if (killed < kills) {
            usleep((useconds_t)(rand() % (killed % 3 ? 25000 : 4000)));
            kill(pid, SIGKILL);
            killed++;
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status))
            break;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_true(killed >= 20);
    for (int i = 0; i < STREAMS; i++) {
        waitpid(children[i], &status, 0);
        assert_int_equal(status, 0);
        close(k.pipes[i]);
        close(k.spools[i]);
        seen[i] = xcalloc((size_t)lines, 1);
    }
    v = rotated(dir, "both.log");
    assert_true(strv_len(v) >= 5);
    for (char **f = v; *f; f++)
        if (!strstr(*f, ".pm-tmp"))
            count_lines(*f, seen, lines);
    strv_free(v);
    count_lines(k.file, seen, lines);
    for (int i = 0; i < STREAMS; i++) {
        for (long n = 0; n < lines; n++)
            if (!seen[i][n])
                fail_msg("%c line %ld is lost", i ? 'b' : 'a', n);
        free(seen[i]);
    }
    free(k.file);
    path_remove(dir);
}

static void test_flood(void **state)
{
    (void)state;
    flood_under_kills(400000, 40, 300000, LOG_COMPRESS_NONE);
}

static void test_flood_compressed(void **state)
{
    (void)state;
    flood_under_kills(300000, 40, 1000000, LOG_COMPRESS_GZIP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ask),       cmocka_unit_test(test_link),
        cmocka_unit_test(test_long_line), cmocka_unit_test(test_policies),
        cmocka_unit_test(test_flood),     cmocka_unit_test(test_flood_compressed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
