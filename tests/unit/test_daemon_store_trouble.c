/* What the store does with damaged, foreign, newer, vanished and full databases, and when it is killed. */
#include "unit.h"

#include "store_bench.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

static void write_file(const char *path, const char *text, size_t len)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), len);
    close(fd);
}

static void sql(const char *path, const char *text)
{
    sqlite3 *h = NULL;

    assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
    assert_int_equal(sqlite3_exec(h, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(h);
}

/* A database with 300 processes, closed; `backup`: with its copy. */
static void prepared(struct bench *b, bool backup)
{
    char bak[400];

    bench_dir(b);
    snprintf(bak, sizeof(bak), "%s.bak", b->path);
    bench_open(b);
    bench_put_app(b, 7, "{\"name\":\"kept\"}");
    for (uint32_t i = 0; i < 300; i++)
        bench_put(b, i);
    bench_close(b);
    if (!backup)
        unlink(bak);
}

static void garbage_without_copy(void **state)
{
    static const char garbage[] = "this is not a database, not at all, nothing like it; but it is long "
                                  "enough to be read as if it had a "
                                  "header of one hundred bytes";
    struct bench b;
    char old_id[33];

    (void)state;
    prepared(&b, false);
    memcpy(old_id, b.home_id, sizeof(old_id));
    write_file(b.path, garbage, sizeof(garbage) - 1);
    bench_open(&b);
    assert_int_equal(b.open_rc, 0);
    assert_false(b.fresh);
    assert_false(b.from_backup);
    assert_non_null(strstr(b.trouble, "corrupt"));
    assert_int_equal(b.n_apps, 0);
    assert_string_equal(b.home_id, old_id); /* kept beside it: what runs carries it */
    assert_true(b.next_run > 1000000);      /* beyond all ids that may be in other files */
    assert_int_equal(bench_count(&b, "state.db.corrupt-"), 1);
    bench_put_app(&b, 9, "{}");
    assert_int_equal(bench_commit(&b), 0);
    bench_close(&b);
    bench_open(&b);
    assert_string_equal(b.trouble, "");
    assert_int_equal(b.n_apps, 1);
    bench_close(&b);
    bench_remove(&b);
}

static void continues_from_copy(struct bench *b, uint64_t next_run_before)
{
    bench_open(b);
    assert_int_equal(b->open_rc, 0);
    assert_true(b->from_backup);
    assert_false(b->fresh);
    assert_non_null(strstr(b->trouble, "state.db.bak"));
    assert_int_equal(b->n_apps, 1);
    assert_int_equal(b->n_processes, 300);
    assert_string_equal(b->json[0], "{\"name\":\"kept\"}");
    assert_true(b->next_run > next_run_before + 1000000);
    bench_put(b, 300);
    assert_int_equal(bench_commit(b), 0);
    assert_int_equal(b->resyncs, 0);
    bench_close(b);
    bench_open(b);
    assert_false(b->from_backup);
    assert_int_equal(b->n_processes, 301);
    bench_close(b);
}

static void damaged_with_copy(void **state)
{
    struct bench b;
    uint64_t before;

    (void)state;
    for (int how = 0; how < 4; how++) {
        prepared(&b, true);
        before = b.next_run;
        if (how == 0)
            write_file(b.path, "", 0);
        else if (how == 1)
            assert_int_equal(truncate(b.path, 20000), 0);
        else if (how == 2)
            assert_int_equal(truncate(b.path, 5000), 0);
        else
            unlink(b.path);
        continues_from_copy(&b, before);
        assert_int_equal(bench_count(&b, "state.db.corrupt-") > 0, how < 3);
        bench_remove(&b);
    }
}

static void both_damaged(void **state)
{
    struct bench b;
    char bak[400];

    (void)state;
    prepared(&b, true);
    snprintf(bak, sizeof(bak), "%s.bak", b.path);
    assert_int_equal(truncate(b.path, 20000), 0);
    assert_int_equal(truncate(bak, 10000), 0);
    bench_open(&b);
    assert_int_equal(b.open_rc, 0);
    assert_false(b.from_backup);
    assert_int_equal(b.n_apps, 0);
    assert_true(bench_count(&b, "state.db.corrupt-") > 0);
    assert_int_equal(bench_count(&b, "state.db.bak.corrupt-"), 1);
    bench_close(&b);
    bench_remove(&b);
}

static void garbage_for_a_wal(void **state)
{
    struct bench b;
    char wal[400];

    (void)state;
    prepared(&b, true);
    snprintf(wal, sizeof(wal), "%s-wal", b.path);
    write_file(wal, "not a write-ahead log", 21);
    continues_from_copy(&b, b.next_run);
    bench_remove(&b);
}

/* Somebody removed the database and its copy: ids that were used are still not used again. */
static void all_removed_but_the_id(void **state)
{
    struct bench b;
    char id[33];

    (void)state;
    prepared(&b, false);
    memcpy(id, b.home_id, sizeof(id));
    unlink(b.path);
    bench_open(&b);
    assert_false(b.fresh);
    assert_string_equal(b.home_id, id);
    assert_true(b.next_run > 1000000);
    assert_non_null(strstr(b.trouble, "missing"));
    bench_close(&b);
    bench_remove(&b);
}

static void newer_version(void **state)
{
    struct bench b;

    (void)state;
    prepared(&b, true);
    sql(b.path, "PRAGMA user_version=99");
    bench_open(&b);
    assert_int_equal(b.open_rc, -EPROTO);
    assert_non_null(strstr(b.msg, "newer"));
    bench_put(&b, 1000);
    assert_int_equal(bench_commit(&b), -EPROTO);
    bench_get_runs(&b, 1, 5);
    assert_int_equal(b.runs_rc, -EPROTO);
    bench_close(&b);
    assert_int_equal(bench_count(&b, "corrupt"), 0);
    assert_int_equal(bench_sql(&b, "SELECT count(*) FROM process"), 300);
    bench_remove(&b);
}

static void version_zero(void **state)
{
    struct bench b;

    (void)state;
    bench_dir(&b);
    sql(b.path, "PRAGMA page_size=4096;VACUUM;CREATE TABLE t(a);DROP TABLE t");
    assert_int_equal(bench_sql(&b, "PRAGMA user_version"), 0);
    bench_open(&b);
    assert_int_equal(b.open_rc, 0);
    assert_string_equal(b.trouble, "");
    assert_int_equal(strlen(b.home_id), 32);
    bench_put_app(&b, 1, "{}");
    assert_int_equal(bench_commit(&b), 0);
    assert_true(bench_sql(&b, "PRAGMA user_version") >= 1);
    bench_close(&b);
    bench_remove(&b);
}

static void another_programs(void **state)
{
    struct bench b;

    (void)state;
    bench_dir(&b);
    sql(b.path, "PRAGMA application_id=12345;CREATE TABLE app(x);PRAGMA user_version=1");
    bench_open(&b);
    assert_int_equal(b.open_rc, 0);
    assert_non_null(strstr(b.trouble, "another program"));
    assert_int_equal(bench_count(&b, "state.db.corrupt-"), 1);
    bench_close(&b);
    bench_remove(&b);
}

static void vanished_while_running(void **state)
{
    struct bench b;
    char id[33], other[400], wal[400];

    (void)state;
    for (int how = 0; how < 3; how++) {
        prepared(&b, false);
        bench_open(&b);
        memcpy(id, b.home_id, sizeof(id));
        bench_put(&b, 1);
        assert_int_equal(bench_commit(&b), 0);
        snprintf(other, sizeof(other), "%s.mine", b.path);
        snprintf(wal, sizeof(wal), "%s-wal", b.path);
        if (how == 1)
            write_file(other, "something else", 14);
        if (how == 0)
            unlink(b.path);
        else if (how == 1)
            assert_int_equal(rename(other, b.path), 0);
        else
            unlink(wal);
        bench_put(&b, 2);
        assert_int_equal(bench_commit(&b), 0);
        assert_int_equal(b.resyncs, 1);
        assert_int_equal(bench_sql(&b, "SELECT count(*) FROM process WHERE id=2"), 1);
        assert_int_equal(bench_sql(&b, "SELECT count(*) FROM process"), 1);
        assert_int_equal(bench_count(&b, "state.db.replaced-") > 0, 1);
        bench_put(&b, 3);
        assert_int_equal(bench_commit(&b), 0);
        bench_close(&b);
        bench_open(&b);
        assert_string_equal(b.home_id, id);
        assert_int_equal(b.n_processes, 2);
        bench_close(&b);
        bench_remove(&b);
    }
}

static void vanished_while_idle(void **state)
{
    struct bench b;

    (void)state;
    store_tuning.look_ms = 50;
    prepared(&b, false);
    bench_open(&b);
    assert_int_equal(bench_commit(&b), 0);
    unlink(b.path);
    for (int i = 0; i < 100 && !b.resyncs; i++)
        bench_wait(&b, 50);
    assert_int_equal(b.resyncs, 1);
    bench_close(&b);
    store_tuning.look_ms = 5000;
    bench_remove(&b);
}

/* Every page but the first is overwritten while the database is open. */
static void damaged_while_running(void **state)
{
    struct bench b;
    char junk[4096];
    int fd, rc = 0;
    struct stat st;

    (void)state;
    prepared(&b, false);
    bench_open(&b);
    assert_int_equal(stat(b.path, &st), 0);
    memset(junk, 0xa5, sizeof(junk));
    fd = open(b.path, O_WRONLY);
    for (off_t at = 4096; at < st.st_size; at += 4096)
        assert_int_equal(pwrite(fd, junk, sizeof(junk), at), sizeof(junk));
    /* What is in SQLite's memory would hide it. The thread has nothing to do now, so this is safe. */
    sqlite3_db_release_memory(b.s->db.h);
    /* Closed only after the store: closing drops the locks that this process has on the file. */
    for (uint32_t i = 0; i < 2000 && !b.resyncs; i += 100) {
        for (uint32_t k = 0; k < 100; k++)
            bench_put(&b, i + k);
        rc = bench_commit(&b);
        assert_int_equal(rc, 0);
    }
    assert_int_equal(b.resyncs, 1);
    assert_int_equal(bench_count(&b, "state.db.corrupt-") > 0, 1);
    bench_close(&b);
    close(fd);
    bench_open(&b);
    assert_string_equal(b.trouble, "");
    bench_close(&b);
    bench_remove(&b);
}

/* Writes and acknowledges, until it is killed: "<kind> <number>\n" a fact that must be found again. */
static void victim(struct bench *b, int to)
{
    bench_open(b);
    for (uint32_t n = 0;; n++) {
        char line[64];
        uint64_t run = store_next_run(b->s);
        struct store_run r = bench_run(run, n % 7);
        int len = snprintf(line, sizeof(line), "used %llu\n", (unsigned long long)run);

        if (write(to, line, (size_t)len) != len)
            _exit(1);
        store_put_run(b->s, &r);
        if (bench_commit(b) == 0) {
            len = snprintf(line, sizeof(line), "kept %llu\n", (unsigned long long)run);
            if (write(to, line, (size_t)len) != len)
                _exit(1);
        }
    }
}

static void killed_while_committing(void **state)
{
    struct bench b;
    unsigned long long highest = 0, kept = 0;

    (void)state;
    bench_dir(&b);
    for (int round = 0; round < 15; round++) {
        int pipe_fds[2], status;
        char word[8];
        unsigned long long id, used_here = 0;
        FILE *in;
        pid_t pid;

        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0)
            victim(&b, pipe_fds[1]);
        close(pipe_fds[1]);
        usleep(30000 + (useconds_t)round * 3000);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        in = fdopen(pipe_fds[0], "r");
        while (fscanf(in, "%7s %llu\n", word, &id) == 2) {
            if (strcmp(word, "used") == 0) {
                assert_true(id > highest); /* never twice, also over the kill */
                highest = id;
                used_here++;
            } else {
                kept = id;
            }
        }
        fclose(in);
        if (used_here)
            assert_true((unsigned long long)bench_sql(&b, "SELECT max(run) FROM run") >= kept);
    }
    assert_true(kept > 0);
    assert_int_equal(bench_count(&b, "corrupt"), 0);
    bench_open(&b);
    assert_string_equal(b.trouble, "");
    assert_true(b.next_run > highest);
    bench_close(&b);
    bench_remove(&b);
}

static void fill_disk(const char *dir)
{
    char path[300], zeros[1024] = {0};
    int fd;

    snprintf(path, sizeof(path), "%s/filler", dir);
    fd = open(path, O_CREAT | O_WRONLY | O_APPEND, 0600);
    while (write(fd, zeros, sizeof(zeros)) > 0)
        ;
    close(fd);
}

static void empty_disk(const char *dir)
{
    char path[300];

    snprintf(path, sizeof(path), "%s/filler", dir);
    unlink(path);
}

static void full_while_running(struct bench *b)
{
    struct timespec begin, end;
    int rc = 0;

    bench_open(b);
    assert_int_equal(b->open_rc, 0);
    fill_disk(b->dir);
    for (uint32_t i = 0; i < 3000 && rc == 0; i += 50) {
        for (uint32_t k = 0; k < 50; k++)
            bench_put(b, i + k);
        rc = bench_commit(b);
    }
    assert_int_equal(rc, -ENOSPC);
    assert_non_null(strstr(b->commit_msg, "space"));
    /* told at once, again and again */
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int i = 0; i < 20; i++)
        assert_int_equal(bench_commit(b), -ENOSPC);
    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true(end.tv_sec - begin.tv_sec < 2);
    /* much more than may wait: the processes stay, the events go */
    bench_put(b, 5000);
    for (int i = 0; i < 5000; i++)
        store_put_event(b->s, &(struct store_event){1, "k", 1, 1, "a text of some length"});
    assert_int_equal(bench_commit(b), -ENOSPC);
    assert_true(b->s->pending.writes <= store_tuning.queue_max);
    empty_disk(b->dir);
    for (int i = 0; i < 40 && bench_commit(b) != 0; i++)
        bench_wait(b, 50);
    assert_int_equal(b->commit_rc, 0);
    assert_int_equal(bench_sql(b, "SELECT count(*) FROM process WHERE id=5000"), 1);
    assert_int_equal(bench_sql(b, "SELECT count(*) FROM process WHERE id=0"), 1);
    assert_int_equal(b->resyncs, 0);
    bench_close(b);
}

/* The state must be there for a new engine, also when the disk is full by then. */
static void full_at_open(struct bench *b)
{
    size_t before;

    bench_open(b);
    before = b->n_processes;
    assert_true(before > 0);
    bench_close(b);
    fill_disk(b->dir);
    bench_open(b);
    assert_int_equal(b->open_rc, 0);
    assert_non_null(strstr(b->trouble, "space"));
    assert_int_equal(b->n_processes, before);
    bench_put(b, 6000);
    assert_int_equal(bench_commit(b), -ENOSPC);
    empty_disk(b->dir);
    for (int i = 0; i < 40 && bench_commit(b) != 0; i++)
        bench_wait(b, 50);
    assert_int_equal(b->commit_rc, 0);
    assert_int_equal(bench_sql(b, "SELECT count(*) FROM process"), before + 1);
    assert_int_equal(b->resyncs, 0);
    bench_close(b);
}

static void full_at_first_start(struct bench *b)
{
    fill_disk(b->dir);
    bench_open(b);
    assert_int_equal(b->open_rc, 0);
    assert_true(b->fresh);
    assert_non_null(strstr(b->trouble, "space"));
    bench_put(b, 1);
    assert_int_equal(bench_commit(b), -ENOSPC);
    empty_disk(b->dir);
    for (int i = 0; i < 40 && bench_commit(b) != 0; i++)
        bench_wait(b, 50);
    assert_int_equal(b->commit_rc, 0);
    assert_int_equal(b->resyncs, 0);
    bench_close(b);
    bench_open(b);
    assert_int_equal(b->n_processes, 1);
    bench_close(b);
}

static void disk_full(void **state)
{
    struct bench b;

    (void)state;
    bench_dir(&b);
    if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", b.dir, "tmpfs", 0, "size=700k") < 0) {
        bench_remove(&b);
        skip();
    }
    store_tuning.queue_max = 4000;
    full_at_first_start(&b);
    full_while_running(&b);
    full_at_open(&b);
    store_tuning.queue_max = 20000;
    umount2(b.dir, MNT_DETACH);
    bench_remove(&b);
}

static void home_is_gone(void **state)
{
    struct bench b;

    (void)state;
    bench_dir(&b);
    bench_open(&b);
    bench_put(&b, 1);
    assert_int_equal(bench_commit(&b), 0);
    bench_remove(&b);
    bench_put(&b, 2);
    assert_true(bench_commit(&b) < 0);
    assert_int_equal(mkdir(b.dir, 0700), 0);
    for (int i = 0; i < 40 && bench_commit(&b) != 0; i++)
        bench_wait(&b, 50);
    assert_int_equal(b.commit_rc, 0);
    assert_int_equal(b.resyncs, 1);
    bench_close(&b);
    bench_remove(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(garbage_without_copy),
        cmocka_unit_test(damaged_with_copy),
        cmocka_unit_test(both_damaged),
        cmocka_unit_test(newer_version),
        cmocka_unit_test(garbage_for_a_wal),
        cmocka_unit_test(all_removed_but_the_id),
        cmocka_unit_test(version_zero),
        cmocka_unit_test(another_programs),
        cmocka_unit_test(vanished_while_running),
        cmocka_unit_test(vanished_while_idle),
        cmocka_unit_test(damaged_while_running),
        cmocka_unit_test(killed_while_committing),
        cmocka_unit_test(disk_full),
        cmocka_unit_test(home_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
