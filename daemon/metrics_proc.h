/* Reads what metrics need of /proc. All calls block; `proc` is a descriptor of /proc, or of a folder like it.
 */
#ifndef PM_DAEMON_METRICS_PROC_H
#define PM_DAEMON_METRICS_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct metrics_stat {
    pid_t pid, ppid;
    uint64_t start_ticks; /* after boot */
    uint64_t own, waited; /* ticks of CPU: its own, and of the children that it has waited for */
    uint32_t threads;
    uint64_t rss_pages;
    bool dead; /* a zombie */
};

/* The text of a small file, cut at size - 1 bytes. Its length; negative errno. */
ssize_t metrics_read_text(int proc, const char *path, char *text, size_t size);

/* PID/stat. 0 or negative errno. */
int metrics_read_stat(int proc, pid_t pid, struct metrics_stat *out);
/* The same from its text; for tests of odd names. */
int metrics_parse_stat(char *text, struct metrics_stat *out);

/* Bytes from and to disk, with those of the children that it has waited for. False when it may not be read.
 */
bool metrics_read_io(int proc, pid_t pid, uint64_t *read_bytes, uint64_t *written);
/* Context switches of the first thread. */
bool metrics_read_switches(int proc, pid_t pid, uint64_t *voluntary, uint64_t *involuntary);
uint32_t metrics_count_fds(int proc, pid_t pid); /* 0 also when it may not be read */
uint64_t metrics_read_pss(int proc, pid_t pid);  /* bytes; 0 as above. About 2 ms */

/* The number after `key` in a text of lines "key: number"; false when it is not there. */
bool metrics_field(const char *text, const char *key, uint64_t *out);

#endif
