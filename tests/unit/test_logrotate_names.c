/* Names, policies, choice and compression of rotated files. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"
#include "common/zone.h"
#include "logrotate/compress.h"
#include "logrotate/name.h"
#include "logrotate/tidy.h"
#include "logrotate/worker.h"

static bool in_list(void *arg, const char *name)
{
    for (const char *const *v = arg; *v; v++)
        if (strcmp(*v, name) == 0)
            return true;
    return false;
}

static void expect_name(const char *base, const char *const *there, const char *want)
{
    char *name = log_name_make(base, "2026-03-01_13-05-09", in_list, (void *)there);
    struct log_name known;

    assert_string_equal(name, want);
    assert_true(log_name_read(base, LOG_ROTATE_FORMAT, name, &known));
    free(name);
}

static void test_make(void **state)
{
    const char *const none[] = {NULL};
    const char *const some[] = {"a__2026-03-01_13-05-09.log", "a__2026-03-01_13-05-09-2.log", NULL};

    (void)state;
    expect_name("api-out.log", none, "api-out__2026-03-01_13-05-09.log");
    expect_name("a.log", some, "a__2026-03-01_13-05-09-3.log");
    expect_name("messages", none, "messages__2026-03-01_13-05-09");
    expect_name(".log", none, ".log__2026-03-01_13-05-09");
    expect_name("a.log.txt", none, "a.log.txt__2026-03-01_13-05-09");
}

static bool ours(const char *base, const char *format, const char *name)
{
    struct log_name known;

    return log_name_read(base, format, name, &known);
}

static void test_read(void **state)
{
    const char *f = LOG_ROTATE_FORMAT;
    struct log_name known;

    (void)state;
    assert_true(log_name_read("app-out.log", f, "app-out__2026-03-01_13-05-09-12.log.gz", &known));
    assert_int_equal(known.number, 12);
    assert_int_equal(known.compress, LOG_COMPRESS_GZIP);
    assert_false(known.unfinished);
    assert_true(log_name_read("app-out.log", f, "app-out__2026-03-01_13-05-09.log.zst.pm-tmp", &known));
    assert_true(known.unfinished);
    /* Other files', live ones, and what somebody else put there. */
    assert_false(ours("app-out.log", f, "app-out.log"));
    assert_false(ours("app-out.log", f, "myapp-out__2026-03-01_13-05-09.log"));
    assert_false(ours("app-out.log", f, "app-out__x__2026-03-01_13-05-09.log"));
    assert_false(ours("app-out.log", f, "app-out__x.log"));
    assert_false(ours("app-out.log", f, "app-out-1__2026-03-01_13-05-09.log"));
    assert_false(ours("app-out.log", f, "app-out__2026-03-01_13-05-09.log.bak"));
    assert_false(ours("app-out.log", f, "app-out__2026-03-01_13-05-09"));
    assert_false(ours("app-out.log", f, "app-out__2026-03-01_13-05-09-1.log"));
    assert_false(ours("app-out.log", f, "app-out__2026-03-01_13-05-0.log"));
    assert_false(ours("app-out.log", f, "app-out__.log"));
    assert_false(ours("app-out.log", f, "app-out__"));
    assert_false(ours("app-out", f, "app-out__2026-03-01_13-05-09.log"));
    /* Another format, and still the default one. */
    assert_true(ours("a.log", "DD.MM.YY", "a__01.03.26.log"));
    assert_true(ours("a.log", "DD.MM.YY", "a__2026-03-01_13-05-09.log"));
    assert_true(ours("a.log", "ddd D MMMM [at] H A ZZ", "a__Sun 1 March at 13 PM +0100.log"));
    assert_false(ours("a.log", "DD.MM.YY", "a__1.03.26.log"));
    assert_true(ours("a.log", "YYYYMMDD", "a__20260301-2.log.zst"));
}

/* Whatever is rendered is read back. */
static void test_formats(void **state)
{
    static const char *const formats[] = {"YYYY-MM-DD_HH-mm-ss", "YY M D H m s SSS", "dddd MMM dd d hh A",
                                          "[x]YYYY[y] Z", "h a D"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        for (uint64_t day = 0; day < 400; day++) {
            char date[LOG_DATE_MAX];

            log_name_date(formats[i], NULL, (1772370309ull + day * 86400 + day * 3671) * 1000000, date);
            if (!log_name_is_date(formats[i], date))
                fail_msg("%s: %s", formats[i], date);
        }
}

static void test_zone(void **state)
{
    char date[LOG_DATE_MAX];
    struct zone *z;

    (void)state;
    assert_int_equal(zone_open("Asia/Tokyo", &z, NULL), 0);
    log_name_date("YYYY-MM-DD HH:mm Z", z, 1772370309000000ull, date);
    assert_string_equal(date, "2026-03-01 22:05 +09:00");
    zone_free(z);
}

static void refused(const char *key, const char *value, const char *words)
{
    struct log_rotate_policy p, before;
    struct err e = {0};

    log_rotate_defaults(&p);
    before = p;
    assert_true(log_rotate_setting(&p, key, value, &e) < 0);
    assert_memory_equal(&p, &before, sizeof p);
    if (!strstr(e.msg, words))
        fail_msg("%s=%s: %s", key, value, e.msg);
}

static void test_settings(void **state)
{
    struct log_rotate_policy p;

    (void)state;
    log_rotate_defaults(&p);
    assert_false(p.on);
    assert_int_equal(p.max_size, 10 << 20);
    assert_int_equal(p.retain, 30);
    assert_int_equal(log_rotate_setting(&p, "max_size", "1K", NULL), 0);
    assert_true(p.on);
    assert_int_equal(p.max_size, 1024);
    assert_int_equal(log_rotate_setting(&p, "max_size", "2g", NULL), 0);
    assert_int_equal(p.max_size, 2ull << 30);
    assert_int_equal(log_rotate_setting(&p, "max_size", "500", NULL), 0);
    assert_int_equal(p.max_size, 500);
    assert_int_equal(log_rotate_setting(&p, "retain", "all", NULL), 0);
    assert_int_equal(p.retain, LOG_ROTATE_ALL);
    assert_int_equal(log_rotate_setting(&p, "compress", "true", NULL), 0);
    assert_int_equal(p.compress, LOG_COMPRESS_GZIP);
    assert_int_equal(log_rotate_setting(&p, "compress", "zstd", NULL), 0);
    assert_int_equal(log_rotate_setting(&p, "dateFormat", "YYYYMMDD", NULL), 0);
    assert_int_equal(log_rotate_setting(&p, "workerInterval", "30", NULL), 0);
    assert_int_equal(log_rotate_setting(&p, "rotateInterval", "*/5 * * * *", NULL), 0);
    assert_int_equal(log_rotate_setting(&p, "rotateModule", "true", NULL), 0);
    assert_int_equal(log_rotate_setting(&p, "TZ", "Europe/Berlin", NULL), 0);
    refused("max_size", "big", "pm2-logrotate:max_size: expected a size");
    refused("max_size", "0", "expected a size");
    refused("max_size", "10T", "expected a size");
    refused("max_size", "-1", "expected a size");
    refused("retain", "some", "or all");
    refused("retain", "-1", "or all");
    refused("compress", "bzip2", "gzip or zstd");
    refused("dateFormat", "YYYY/MM", "part of a file's name");
    refused("dateFormat", "xyz", "gives no date");
    refused("workerInterval", "0", "seconds");
    refused("rotateInterval", "0 25 * * *", "rotateInterval: \"25\" is no hour");
    refused("rotateModule", "maybe", "true or false");
    refused("TZ", "Mars/Olympus", "no time zone");
    refused("maxsize", "1M", "no key \"maxsize\"");
}

static void test_choose(void **state)
{
    struct log_rotated v[] = {{(char *)"b", 200, 1},
                              {(char *)"d", 400, 1},
                              {(char *)"a", 100, 1},
                              {(char *)"c2", 300, 2},
                              {(char *)"c", 300, 1}};
    struct log_rotate_policy p;

    (void)state;
    log_rotate_defaults(&p);
    assert_int_equal(log_tidy_choose(v, 5, &p, 1000), 5);
    assert_string_equal(v[0].name, "d");
    assert_string_equal(v[1].name, "c2");
    assert_string_equal(v[4].name, "a");
    p.retain = 2;
    assert_int_equal(log_tidy_choose(v, 5, &p, 1000), 2);
    p.retain = LOG_ROTATE_ALL;
    p.max_age_ms = 1;
    assert_int_equal(log_tidy_choose(v, 5, &p, 1000250), 3);
    p.retain = 0;
    assert_int_equal(log_tidy_choose(v, 5, &p, 0), 0);
    assert_int_equal(log_tidy_choose(NULL, 0, &p, 0), 0);
}

/* ---- with files ---- */

static char dir[64];

static void put_file(const char *name, const char *text, int age_s)
{
    char *path = xasprintf("%s/%s", dir, name);
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0640);
    struct timespec times[2];

    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, text, strlen(text)), 0);
    clock_gettime(CLOCK_REALTIME, &times[1]);
    times[1].tv_sec -= age_s;
    times[0] = times[1];
    futimens(fd, times);
    close(fd);
    free(path);
}

static bool there(const char *name)
{
    char *path = xasprintf("%s/%s", dir, name);
    bool yes = access(path, F_OK) == 0;

    free(path);
    return yes;
}

static char troubles[1024];

static void note(void *arg, const char *text)
{
    (void)arg;
    snprintf(troubles, sizeof troubles, "%s", text);
}

static unsigned tidy(const struct log_rotate_policy *p)
{
    char *path = xasprintf("%s/a.log", dir);
    atomic_bool stop = false;
    unsigned n;

    troubles[0] = '\0';
    n = log_tidy(&(struct log_tidy){.path = path, .policy = p, .stop = &stop, .trouble = note});
    free(path);
    return n;
}

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/pm-rotate-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    char *cmd = xasprintf("rm -rf '%s'", dir);
    int rc = system(cmd);

    (void)state;
    free(cmd);
    return rc;
}

static void test_tidy(void **state)
{
    struct log_rotate_policy p;

    (void)state;
    log_rotate_defaults(&p);
    p.retain = 2;
    put_file("a.log", "live", 0);
    put_file("a__2026-03-01_00-00-00.log", "1", 400);
    put_file("a__2026-03-02_00-00-00.log.gz", "2", 300);
    put_file("a__2026-03-03_00-00-00.log", "3", 200);
    put_file("a__2026-03-04_00-00-00.log", "4", 100);
    put_file("ba__2026-03-01_00-00-00.log", "other", 500);
    put_file("a__b__2026-03-01_00-00-00.log", "other", 500);
    put_file("a__b.log", "other", 500);
    assert_int_equal(tidy(&p), 2);
    assert_true(there("a.log") && there("ba__2026-03-01_00-00-00.log") && there("a__b.log"));
    assert_true(there("a__b__2026-03-01_00-00-00.log"));
    assert_false(there("a__2026-03-01_00-00-00.log") || there("a__2026-03-02_00-00-00.log.gz"));
    assert_true(there("a__2026-03-03_00-00-00.log") && there("a__2026-03-04_00-00-00.log"));
    p.max_age_ms = 150000;
    assert_int_equal(tidy(&p), 1);
    assert_false(there("a__2026-03-03_00-00-00.log"));
}

static void check_unpacked(const char *program, const char *name, const char *want)
{
    char *cmd = xasprintf("%s '%s/%s'", program, dir, name), got[256] = "";
    FILE *f = popen(cmd, "r");

    assert_non_null(f);
    assert_non_null(fgets(got, sizeof got, f));
    assert_int_equal(pclose(f), 0);
    assert_string_equal(got, want);
    free(cmd);
}

static void test_compress(void **state)
{
    struct log_rotate_policy p;
    struct stat st;
    char *path = xasprintf("%s/a__2026-03-01_00-00-00.log.gz", dir);

    (void)state;
    log_rotate_defaults(&p);
    p.compress = LOG_COMPRESS_GZIP;
    put_file("a__2026-03-01_00-00-00.log", "hello\n", 5000);
    /* A compression that was broken off, and one that came to all but its last step. */
    put_file("a__2026-03-02_00-00-00.log", "again\n", 400);
    put_file("a__2026-03-02_00-00-00.log.gz.pm-tmp", "ha", 400);
    put_file("a__2026-03-03_00-00-00.log", "done\n", 300);
    put_file("a__2026-03-03_00-00-00.log.zst", "whole", 300);
    assert_int_equal(tidy(&p), 0);
    assert_string_equal(troubles, "");
    check_unpacked("gzip -dc", "a__2026-03-01_00-00-00.log.gz", "hello\n");
    check_unpacked("gzip -dc", "a__2026-03-02_00-00-00.log.gz", "again\n");
    assert_false(there("a__2026-03-01_00-00-00.log") || there("a__2026-03-02_00-00-00.log"));
    assert_false(there("a__2026-03-02_00-00-00.log.gz.pm-tmp") || there("a__2026-03-03_00-00-00.log"));
    assert_true(there("a__2026-03-03_00-00-00.log.zst"));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_true(time(NULL) - st.st_mtime >= 5000);
    free(path);
}

/* Larger than all buffers; read back by the libraries' own tools where they are. */
static void test_compress_much(void **state)
{
    static const struct {
        enum log_compress how;
        const char *suffix, *program;
    } ways[] = {{LOG_COMPRESS_GZIP, ".gz", "gzip -dc"}, {LOG_COMPRESS_ZSTD, ".zst", "zstd -qdc"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        char *big = xmalloc(3000001), *cmd;
        atomic_bool stop = true;
        struct err e = {0};
        int fd = open(dir, O_PATH | O_DIRECTORY);

        for (size_t k = 0; k < 3000000; k++)
            big[k] = (char)('a' + (k * k / 7 + rand() % 3) % 26);
        big[3000000] = '\0';
        put_file("copy", big, 0);
        put_file("big", big, 0);
        assert_int_equal(log_compress_file(fd, "big", ways[i].how, &stop, &e), -ECANCELED);
        assert_true(there("big"));
        stop = false;
        assert_int_equal(log_compress_file(fd, "big", ways[i].how, &stop, &e), 0);
        assert_false(there("big"));
        cmd = xasprintf("command -v %.4s >/dev/null || exit 0; %s '%s/big%s' | cmp - '%s/copy'",
                        ways[i].program, ways[i].program, dir, ways[i].suffix, dir);
        assert_int_equal(system(cmd), 0);
        assert_true(log_compress_file(fd, "missing", ways[i].how, &stop, &e) < 0);
        close(fd);
        free(cmd);
        free(big);
    }
}

static void test_compress_on_full_disk(void **state)
{
    struct log_rotate_policy p;

    (void)state;
    log_rotate_defaults(&p);
    p.compress = LOG_COMPRESS_ZSTD;
    put_file("a__2026-03-01_00-00-00.log", "hello\n", 5);
    /* Something else has the name: it can't be written. */
    char *tmp = xasprintf("%s/a__2026-03-01_00-00-00.log.zst.pm-tmp", dir);

    assert_int_equal(mkdir(tmp, 0700), 0);
    tidy(&p);
    assert_true(there("a__2026-03-01_00-00-00.log"));
    assert_non_null(strstr(troubles, "stays as it is"));
    rmdir(tmp);
    free(tmp);
}

static void test_worker(void **state)
{
    struct log_worker *w = log_worker_new(note, NULL);
    char *path = xasprintf("%s/a.log", dir);
    struct log_rotate_policy p;

    (void)state;
    log_rotate_defaults(&p);
    p.compress = LOG_COMPRESS_ZSTD;
    put_file("a__2026-03-01_00-00-00.log", "hello\n", 5);
    log_worker_tidy(w, path, &p);
    log_worker_tidy(w, path, &p);
    for (int i = 0; i < 5000 && there("a__2026-03-01_00-00-00.log"); i++)
        usleep(1000);
    assert_true(there("a__2026-03-01_00-00-00.log.zst"));
    log_worker_free(w);
    log_worker_free(log_worker_new(note, NULL));
    log_worker_free(NULL);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_make),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_zone),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_choose),
        cmocka_unit_test_setup_teardown(test_tidy, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_compress, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_compress_much, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_compress_on_full_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_worker, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
