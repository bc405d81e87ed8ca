/* How many CPUs this process may use. */
#ifndef PM_COMMON_CPUS_H
#define PM_COMMON_CPUS_H

#include <stdint.h>

/*
 * What the CPU quotas of the cgroups around this process come to, in CPUs and rounded up: the least of
 * cpu.max (version 2) or cpu.cfs_quota_us (version 1) from its own group up to the top. 0 when there is none.
 * `root` stands before /proc and /sys, "" for the real ones. Reads only files that the kernel makes up, so it
 * does not wait for a disk.
 */
unsigned cpus_quota(const char *root);

/* Those of the affinity mask, bounded by the quota; at least 1. */
unsigned cpus_usable(void);

/* What `instances` comes to: 0 is all CPUs, negative numbers are counted off from that, at least 1. */
int64_t cpus_instances(int64_t instances);

#endif
