/* CPU and memory of a process's child, from /proc/PID/stat; looked at when asked for, at most once a second.
 */
#ifndef PM_DAEMON_SAMPLE_H
#define PM_DAEMON_SAMPLE_H

struct process;

/* Fills the runtime's cpu_percent (of one core, over the time since the last look, or since the start at the
 * first) and memory_bytes; zeros when nothing runs. */
void sample_process(struct process *p);

#endif
