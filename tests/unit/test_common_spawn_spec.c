#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/spawn_spec.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static char *argv_[] = {(char *)"sh", (char *)"-c", (char *)"", NULL};
static char *envp_[] = {(char *)"A=1", (char *)"LISTEN_PID=0000000000", NULL};

static struct spawn_spec sample(void)
{
    return (struct spawn_spec){.flags = SPAWN_SET_IDS | SPAWN_SET_NICE,
                               .uid = 1000,
                               .gid = 1001,
                               .ngroups = 2,
                               .groups = {5, 6},
                               .umask = 022,
                               .nice = -5,
                               .oom_score_adj = -100,
                               .nofile_soft = 1024,
                               .nofile_hard = 4096,
                               .path = "/bin/sh",
                               .cwd = "/tmp",
                               .argv = argv_,
                               .envp = envp_,
                               .blob = "{\"a\":1}",
                               .blob_len = 7};
}

static void test_round_trip(void **state)
{
    struct spawn_spec s = sample(), got;
    struct err e;
    int fd = spawn_spec_seal(&s, &e);

    (void)state;
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(spawn_spec_map(fd, &got), 0);
    assert_int_equal(got.flags, s.flags);
    assert_int_equal(got.uid, 1000);
    assert_int_equal(got.gid, 1001);
    assert_int_equal(got.ngroups, 2);
    assert_int_equal(got.groups[1], 6);
    assert_int_equal(got.umask, 022);
    assert_int_equal(got.nice, -5);
    assert_int_equal(got.oom_score_adj, -100);
    assert_true(got.nofile_soft == 1024 && got.nofile_hard == 4096);
    assert_string_equal(got.path, "/bin/sh");
    assert_string_equal(got.cwd, "/tmp");
    assert_string_equal(got.argv[1], "-c");
    assert_string_equal(got.argv[2], "");
    assert_null(got.argv[3]);
    assert_string_equal(got.envp[1], "LISTEN_PID=0000000000");
    assert_null(got.envp[2]);
    assert_int_equal(got.blob_len, 7);
    assert_string_equal(got.blob, "{\"a\":1}");
    got.envp[1][11] = '9'; /* the mapping is private: the sealed file stays */
    spawn_spec_unmap(&got);
    assert_int_equal(spawn_spec_map(fd, &got), 0);
    assert_string_equal(got.envp[1], "LISTEN_PID=0000000000");
    spawn_spec_unmap(&got);
    spawn_spec_unmap(&got); /* once more does no harm */
    close(fd);
}

static uint32_t version_of(int fd)
{
    uint32_t words[2];

    assert_int_equal(pread(fd, words, sizeof(words), 0), sizeof(words));
    return words[1];
}

/* With sockets it is version 2; without any an older keeper can still read it. */
static void test_sockets(void **state)
{
    struct spawn_spec s = sample(), got;
    struct err e;
    int fd = spawn_spec_seal(&s, &e);

    (void)state;
    assert_int_equal(version_of(fd), 1);
    close(fd);
    s.nsockets = SPAWN_SOCKETS_MAX;
    for (uint32_t i = 0; i < s.nsockets; i++)
        s.sockets[i] = 1ull << 62 | i;
    fd = spawn_spec_seal(&s, &e);
    assert_int_equal(version_of(fd), 2);
    assert_int_equal(spawn_spec_map(fd, &got), 0);
    assert_int_equal(got.nsockets, SPAWN_SOCKETS_MAX);
    assert_true(got.sockets[0] == 1ull << 62 && got.sockets[255] == (1ull << 62 | 255));
    assert_string_equal(got.path, "/bin/sh");
    assert_string_equal(got.blob, "{\"a\":1}");
    spawn_spec_unmap(&got);
    close(fd);
    s.nsockets++;
    assert_int_equal(spawn_spec_seal(&s, &e), -EINVAL);
}

static void test_least(void **state)
{
    char *args[] = {(char *)"x", NULL};
    struct spawn_spec s = {.path = "/x", .argv = args}, got;
    int fd = spawn_spec_seal(&s, NULL);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(spawn_spec_map(fd, &got), 0);
    assert_string_equal(got.cwd, "");
    assert_null(got.envp[0]);
    assert_null(got.blob);
    spawn_spec_unmap(&got);
    close(fd);
}

static void test_bad_requests(void **state)
{
    struct spawn_spec s = sample();
    char *none[] = {NULL};
    struct err e;

    (void)state;
    s.path = "./sh";
    assert_int_equal(spawn_spec_seal(&s, &e), -EINVAL);
    s.path = "";
    assert_int_equal(spawn_spec_seal(&s, &e), -EINVAL);
    s = sample();
    s.argv = none;
    assert_int_equal(spawn_spec_seal(&s, &e), -EINVAL);
    s = sample();
    s.ngroups = SPAWN_GROUPS_MAX + 1;
    assert_int_equal(spawn_spec_seal(&s, &e), -EINVAL);
}

static void test_too_large(void **state)
{
    struct spawn_spec s = sample();
    char *big = malloc(SPAWN_SPEC_MAX), *args[] = {big, NULL};
    struct err e;

    (void)state;
    assert_non_null(big);
    memset(big, 'x', SPAWN_SPEC_MAX - 1);
    big[SPAWN_SPEC_MAX - 1] = '\0';
    s.argv = args;
    assert_int_equal(spawn_spec_seal(&s, &e), -E2BIG);
    s = sample();
    s.blob = big;
    s.blob_len = SIZE_MAX;
    assert_int_equal(spawn_spec_seal(&s, &e), -E2BIG);
    s.blob_len = SPAWN_SPEC_MAX;
    assert_int_equal(spawn_spec_seal(&s, &e), -E2BIG);
    s.blob_len = SPAWN_SPEC_MAX - 4096;
    int fd = spawn_spec_seal(&s, &e);
    assert_true(fd >= 0);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(st.st_size <= SPAWN_SPEC_MAX);
    close(fd);
    free(big);
}

static int make(const void *data, size_t len, int seals)
{
    int fd = memfd_create("t", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static size_t sample_bytes(char *out, size_t max)
{
    struct spawn_spec s = sample();
    int fd = spawn_spec_seal(&s, NULL);
    ssize_t n = pread(fd, out, max, 0);

    assert_true(n > 0);
    close(fd);
    return (size_t)n;
}

static void expect_map(const void *data, size_t len, int seals, int want)
{
    struct spawn_spec got;
    int fd = make(data, len, seals), rc = spawn_spec_map(fd, &got);

    assert_int_equal(rc, want);
    assert_null(got.map);
    close(fd);
}

static void test_seals(void **state)
{
    char bytes[1024];
    size_t len = sample_bytes(bytes, sizeof(bytes));
    struct spawn_spec got;
    int null = open("/dev/null", O_RDWR);

    (void)state;
    expect_map(bytes, len, 0, -EPERM);
    expect_map(bytes, len, F_SEAL_WRITE | F_SEAL_GROW, -EPERM);
    assert_int_equal(spawn_spec_map(null, &got), -EPERM);
    assert_int_equal(spawn_spec_map(-1, &got), -EPERM);
    expect_map("", 0, SEALS, -EBADMSG);
    close(null);
}

static void test_truncated(void **state)
{
    char bytes[1024];
    size_t len = sample_bytes(bytes, sizeof(bytes));

    (void)state;
    for (size_t cut = 0; cut < len; cut++)
        expect_map(bytes, cut, SEALS, -EBADMSG);
}

static void test_damaged(void **state)
{
    char bytes[1024], damaged[1024];
    size_t len = sample_bytes(bytes, sizeof(bytes));

    (void)state;
    srandom(11);
    for (int i = 0; i < 5000; i++) {
        struct spawn_spec got;

        memcpy(damaged, bytes, len);
        for (int n = 1 + (int)(random() % 4); n; n--)
            damaged[(size_t)random() % len] = (char)random();
        int fd = make(damaged, len, SEALS), rc = spawn_spec_map(fd, &got);

        assert_true(rc == 0 || rc == -EBADMSG || rc == -ENOMEM);
        if (rc == 0) {
            size_t total = 0;

            for (char **p = got.argv; *p; p++)
                total += strlen(*p);
            for (char **p = got.envp; *p; p++)
                total += strlen(*p);
            assert_true(total < len);
            assert_true(got.ngroups <= SPAWN_GROUPS_MAX);
        }
        spawn_spec_unmap(&got);
        close(fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_sockets),   cmocka_unit_test(test_least),
        cmocka_unit_test(test_bad_requests), cmocka_unit_test(test_too_large), cmocka_unit_test(test_seals),
        cmocka_unit_test(test_truncated),    cmocka_unit_test(test_damaged),
    };

    alarm(60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
