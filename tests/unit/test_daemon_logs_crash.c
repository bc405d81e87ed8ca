/*
 * The engine dies at any instant. This program is the keeper: it holds the pipe and the spool; its forked
 * copies are the engines, each of which is killed in the middle of a flood.
 */
#include "logpath.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>

enum { STREAMS = 2 };

struct keeper {
    char dir[64];
    int pipes[STREAMS], spools[STREAMS];
    char *file, *link; /* two names of one file; the second may be the first */
    bool date;
};

/* The engine: takes the streams over and goes on until everything is done. Never returns. */
static void engine(struct keeper *k)
{
    struct path p;
    struct log_run run;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    path_open_in(&p, k->dir);
    run = path_run(&p, 1, &k->file, &k->link);
    run.date_format = k->date ? "[T]" : NULL;
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

/* Counts the lines of each stream in order; everything else is an error. */
static void check_line(const char *line, size_t len, long next[STREAMS])
{
    char text[64], want[64];
    int which = len && line[0] == 'b';

    snprintf(text, sizeof text, "%.*s", (int)len, line);
    snprintf(want, sizeof want, "%c line %ld of the flood", which ? 'b' : 'a', next[which]);
    assert_string_equal(text, want);
    next[which]++;
}

static void check_file(const struct keeper *k, long lines)
{
    FILE *f = fopen(k->file, "r");
    long next[STREAMS] = {0};
    char line[128];

    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        size_t n = strlen(line), skip = k->date ? 3 : 0;

        assert_true(n > 3 && line[n - 1] == '\n');
        if (k->date)
            assert_memory_equal(line, "T: ", 3);
        check_line(line + skip, n - 1 - skip, next);
    }
    fclose(f);
    assert_int_equal(next[0], lines);
    assert_int_equal(next[1], lines);
}

static void check_rows(const struct keeper *k, long lines)
{
    char *db = xasprintf("%s/logs.db", k->dir);
    long next[STREAMS] = {0}, in_batches = 0;
    sqlite3 *h;
    sqlite3_stmt *st;

    assert_int_equal(sqlite3_open(db, &h), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(h, "SELECT text FROM line ORDER BY id", -1, &st, NULL), SQLITE_OK);
    while (sqlite3_step(st) == SQLITE_ROW)
        check_line(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0), next);
    sqlite3_finalize(st);
    assert_int_equal(next[0], lines);
    assert_int_equal(next[1], lines);
    assert_int_equal(sqlite3_prepare_v2(h, "SELECT sum(lines), max(last - first) FROM batch", -1, &st, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    in_batches = sqlite3_column_int64(st, 0);
    assert_true(sqlite3_column_int64(st, 1) < 4096);
    sqlite3_finalize(st);
    assert_int_equal(in_batches, 2 * lines);
    /* Every row lies in a batch of its stream. */
    assert_int_equal(
        sqlite3_prepare_v2(h,
                           "SELECT count(*) FROM line l WHERE id % 97 = 0 AND NOT EXISTS (SELECT 1 FROM"
                           " batch b WHERE b.stream = l.stream AND l.id BETWEEN b.first AND b.last)",
                           -1, &st, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int64(st, 0), 0);
    sqlite3_finalize(st);
    sqlite3_close(h);
    free(db);
}

static void flood_under_kills(long lines, int kills, bool date, bool linked)
{
    struct keeper k = {.date = date};
    int status, killed = 0;
    pid_t children[STREAMS], pid;
    char dir[] = "/tmp/pm-logs-XXXXXX";

    assert_non_null(mkdtemp(dir));
    snprintf(k.dir, sizeof k.dir, "%s", dir);
    k.file = xasprintf("%s/both.log", dir);
    k.link = xasprintf("%s/%s", dir, linked ? "err.log" : "both.log");
    if (linked) {
        close(open(k.file, O_CREAT | O_WRONLY, 0600));
        assert_int_equal(symlink("both.log", k.link), 0);
    }
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
            /* Also within the start, the recovery and the first commits. */
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
    }
    check_file(&k, lines);
    check_rows(&k, lines);
    free(k.file);
    free(k.link);
    path_remove(dir);
}

static void test_flood(void **state)
{
    (void)state;
    flood_under_kills(500000, 30, false, false);
}

static void test_flood_with_dates(void **state)
{
    (void)state;
    flood_under_kills(200000, 30, true, false);
}

static void test_flood_into_one_file_by_two_names(void **state)
{
    (void)state;
    flood_under_kills(300000, 30, false, true);
}

/* --- a full disk, in a mount namespace of a child --- */

struct full {
    char *ballast, *folder;
};

static void fill(const struct full *f)
{
    int fd = open(f->ballast, O_CREAT | O_WRONLY | O_APPEND, 0600);
    char block[65536];

    memset(block, 1, sizeof block);
    while (write(fd, block, sizeof block) > 0)
        ;
    while (write(fd, block, 512) > 0)
        ;
    close(fd);
}

static void check_kept(const char *text, long next, bool dropped_allowed, long total)
{
    long dropped = 0, seen = 0;

    for (const char *line = text; *line;) {
        const char *end = strchr(line, '\n');
        unsigned long long n;

        assert_non_null(end);
        if (sscanf(line, "[pm] %llu lines dropped", &n) == 1) {
            assert_true(dropped_allowed);
            dropped += (long)n;
            next += (long)n;
        } else {
            /* "1:0:" precedes a row */
            const char *number = strstr(line, "no ");

            assert_non_null(number);
            assert_int_equal(strtol(number + 3, NULL, 10), next);
            next++;
            seen++;
        }
        line = end + 1;
    }
    assert_int_equal(seen + dropped, total);
}

/* The disk is full for `full_ms`; lines are written before, during and after. */
static void disk_full(const char *dir, unsigned full_ms, bool overflow)
{
    struct path p;
    struct full f;
    struct stat st;
    int out[2];
    long total = 0;
    uint64_t end;

    f.folder = xasprintf("%s/h", dir);
    f.ballast = xasprintf("%s/ballast", dir);
    mkdir(f.folder, 0700);
    path_open_in(&p, f.folder);
    char *file = path_file(&p, "o.log");
    struct log_run run = path_run(&p, 1, &file, NULL);

    path_pipe(out);
    fcntl(out[1], F_SETFL, O_NONBLOCK);
    logs_attach(p.logs, &run, out[0], -1, -1, -1);
    for (; total < 100; total++)
        dprintf(out[1], "no %ld\n", total);
    path_run_ms(&p, 100);
    fill(&f);
    end = clock_mono_ms() + full_ms;
    while (clock_mono_ms() < end) {
        for (int i = 0; i < (overflow ? 2000 : 20); i++) {
            if (dprintf(out[1], "no %-90ld\n", total) <= 0)
                break;
            total++;
        }
        path_run_ms(&p, 5);
    }
    assert_true(p.troubles >= 1 && p.troubles <= 2); /* rows and the file, once each */
    assert_int_equal(unlink(f.ballast), 0);
    path_run_ms(&p, 1500);
    for (int i = 0; i < 100; i++, total++)
        dprintf(out[1], "no %ld\n", total);
    close(out[1]);
    path_until_done(&p, 1);
    char *text = slurp(file), *r = rows(&p, NULL);
    struct buf plain = {0};

    check_kept(text, 0, overflow, total);
    for (char *c = r; *c; c = strchr(c, '\n') + 1) {
        c = strchr(strchr(c, ':') + 1, ':') + 1; /* "1:FLAGS:" */
        buf_append(&plain, c, (size_t)(strchr(c, '\n') + 1 - c));
    }
    check_kept(plain.data, 0, overflow, total);
    assert_int_equal(stat(p.db, &st), 0);
    if (overflow)
        assert_true(logs_dropped(p.logs, 1) > 0);
    else
        assert_int_equal(logs_dropped(p.logs, 1), 0);
    path_close(&p);
    free(text), free(r), buf_free(&plain), free(file), free(f.folder), free(f.ballast);
}

/* Runs a test in a child with a small tmpfs of its own; skips where mounting is not allowed. */
static void on_small_disk(void (*test)(const char *dir, unsigned full_ms, bool overflow), unsigned full_ms,
                          bool overflow)
{
    char dir[] = "/tmp/pm-small-XXXXXX";
    int status;
    pid_t pid;

    assert_non_null(mkdtemp(dir));
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", dir, "tmpfs", 0, "size=24m") < 0)
            _exit(77);
        test(dir, full_ms, overflow);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    rmdir(dir);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        print_message("skipped: mounting a tmpfs needs root\n");
        skip();
    }
    assert_int_equal(status, 0);
}

static void test_disk_full(void **state)
{
    (void)state;
    on_small_disk(disk_full, 2500, false);
}

static void test_disk_full_and_dropping(void **state)
{
    (void)state;
    on_small_disk(disk_full, 8000, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_flood_with_dates),
        cmocka_unit_test(test_flood_into_one_file_by_two_names),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_disk_full_and_dropping),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
