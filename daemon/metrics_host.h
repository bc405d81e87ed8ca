/* What the whole machine does, from /proc/stat, loadavg, meminfo, diskstats and net/dev. Blocking. */
#ifndef PM_DAEMON_METRICS_HOST_H
#define PM_DAEMON_METRICS_HOST_H

#include <stdint.h>

#include "daemon/metrics.h"

/* Counters of the last look: speeds come from the difference. Begin with zeros. */
struct metrics_host_last {
    uint64_t mono_ms;
    uint64_t busy, all;                                       /* ticks of all cores */
    uint64_t disk_read, disk_written, net_received, net_sent; /* bytes */
};

/* `proc`: a descriptor of /proc. What cannot be read stays 0. */
void metrics_host_read(int proc, struct metrics_host_last *last, struct metrics_host *out, uint64_t wall_ms,
                       uint64_t mono_ms);

#endif
