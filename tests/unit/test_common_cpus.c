/* CPU quotas in made-up /proc and /sys trees. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cpus.h"
#include "common/mem.h"

#define V2 "25 30 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1 "40 30 0:35 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"

static char root[] = "/tmp/pm-cpus-XXXXXX";

static void put(const char *path, const char *text)
{
    _cleanup_free_ char *full = xasprintf("%s%s", root, path);
    FILE *f;

    for (char *slash = strchr(full + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(full, 0700);
        *slash = '/';
    }
    f = fopen(full, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void clear(void)
{
    _cleanup_free_ char *command = xasprintf("rm -rf %s", root);

    assert_int_equal(system(command), 0);
    assert_int_equal(mkdir(root, 0700), 0);
}

static int setup(void **state)
{
    (void)state;
    return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    clear();
    return rmdir(root);
}

static void processes(const char *mounts, const char *groups)
{
    clear();
    put("/proc/self/mountinfo", mounts);
    put("/proc/self/cgroup", groups);
}

static void test_nothing_known(void **state)
{
    (void)state;
    clear();
    assert_int_equal(cpus_quota(root), 0);
    processes("", "");
    assert_int_equal(cpus_quota(root), 0);
    processes("no mount at all\n1 2 3 - \n1 2 - cgroup2\n" V2, "0::/a/b\nnonsense\n:\n");
    assert_int_equal(cpus_quota(root), 0);
}

/* The least on the way up counts, and a part of a CPU is one more. */
static void test_version_2(void **state)
{
    (void)state;
    processes("20 1 0:5 / /proc rw - proc proc rw\n" V2, "0::/system.slice/pm.service\n");
    put("/sys/fs/cgroup/system.slice/pm.service/cpu.max", "max 100000\n");
    assert_int_equal(cpus_quota(root), 0);
    put("/sys/fs/cgroup/system.slice/cpu.max", "350000 100000\n");
    assert_int_equal(cpus_quota(root), 4);
    put("/sys/fs/cgroup/system.slice/pm.service/cpu.max", "200000 100000\n");
    assert_int_equal(cpus_quota(root), 2);
    put("/sys/fs/cgroup/system.slice/pm.service/cpu.max", "10000 100000\n");
    assert_int_equal(cpus_quota(root), 1);
    put("/sys/fs/cgroup/system.slice/pm.service/cpu.max", "900000 100000\n");
    assert_int_equal(cpus_quota(root), 4);
    put("/sys/fs/cgroup/system.slice/pm.service/cpu.max", "rubbish\n");
    put("/sys/fs/cgroup/system.slice/cpu.max", "100000 0\n");
    assert_int_equal(cpus_quota(root), 0);
}

/* In a container the mount shows a group of its own as the top. */
static void test_containers(void **state)
{
    (void)state;
    processes(V2, "0::/\n");
    put("/sys/fs/cgroup/cpu.max", "150000 100000\n");
    assert_int_equal(cpus_quota(root), 2);
    processes("25 30 0:26 /docker/a\\040b /sys/fs/cgroup ro - cgroup2 cgroup rw\n", "0::/docker/a b/init\n");
    put("/sys/fs/cgroup/cpu.max", "300000 100000\n");
    assert_int_equal(cpus_quota(root), 3);
    put("/sys/fs/cgroup/init/cpu.max", "50000 50000\n");
    assert_int_equal(cpus_quota(root), 1);
    /* A group outside of what is mounted: what is mounted is what there is. */
    processes("25 30 0:26 /docker/ab /sys/fs/cgroup ro - cgroup2 cgroup rw\n", "0::/docker/abc\n");
    put("/sys/fs/cgroup/cpu.max", "300000 100000\n");
    assert_int_equal(cpus_quota(root), 3);
    processes(V2, "0::/../other\n");
    put("/sys/fs/cgroup/cpu.max", "300000 100000\n");
    assert_int_equal(cpus_quota(root), 3);
}

static void test_version_1(void **state)
{
    (void)state;
    processes("39 30 0:34 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n" V1,
              "9:cpuset:/other\n4:cpu,cpuacct:/user/pm\n0::/user/pm\n");
    put("/sys/fs/cgroup/cpuset/other/cpu.cfs_quota_us", "100000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/user/pm/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu,cpuacct/user/pm/cpu.cfs_period_us", "100000\n");
    assert_int_equal(cpus_quota(root), 0);
    put("/sys/fs/cgroup/cpu,cpuacct/user/cpu.cfs_quota_us", "250000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/user/cpu.cfs_period_us", "50000\n");
    assert_int_equal(cpus_quota(root), 5);
}

static void test_instances(void **state)
{
    int64_t all = cpus_usable();

    (void)state;
    assert_true(all >= 1);
    assert_int_equal(cpus_instances(7), 7);
    assert_int_equal(cpus_instances(0), all);
    assert_int_equal(cpus_instances(-1), all > 1 ? all - 1 : 1);
    assert_int_equal(cpus_instances(-4096), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_known), cmocka_unit_test(test_version_2),
        cmocka_unit_test(test_containers),    cmocka_unit_test(test_version_1),
        cmocka_unit_test(test_instances),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
