/* Who has the port that is in use? For the error message only, and only as far as /proc tells. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/sockets_int.h"

#define PIDS_MAX 4096 /* looked at */

/* The inode of a socket on that port in one of the kernel's tables; 0: none. */
static unsigned long find_inode(const char *table, int port, bool listening)
{
    char line[512];
    unsigned long found = 0;
    FILE *f = fopen(table, "re");

    while (f && !found && fgets(line, sizeof(line), f)) {
        unsigned local, state;
        unsigned long inode;

        if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x %*x %*d %*d %lu",
                   &local, &state, &inode) == 3 &&
            (int)local == port && (!listening || state == 0x0a))
            found = inode;
    }
    if (f)
        fclose(f);
    return found;
}

static bool has_socket(const char *pid, const char *want)
{
    char path[300], link[64];
    struct dirent *entry;
    bool found = false;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
    dir = opendir(path);
    while (dir && !found && (entry = readdir(dir))) {
        ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);

        if (n <= 0)
            continue;
        link[n] = '\0';
        found = strcmp(link, want) == 0;
    }
    if (dir)
        closedir(dir);
    return found;
}

static void name_process(const char *pid, char *out, size_t size)
{
    char path[64], name[32] = "";
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
    f = fopen(path, "re");
    if (f && fgets(name, sizeof(name), f))
        name[strcspn(name, "\n")] = '\0';
    if (f)
        fclose(f);
    snprintf(out, size, " (by pid %.20s %s)", pid, name);
}

void sock_owner_words(enum sock_kind kind, int port, char *out, size_t size)
{
    bool tcp = kind == SOCK_TCP;
    unsigned long inode = find_inode(tcp ? "/proc/net/tcp" : "/proc/net/udp", port, tcp);
    struct dirent *entry;
    char want[64];
    DIR *dir;

    *out = '\0';
    if (!inode)
        inode = find_inode(tcp ? "/proc/net/tcp6" : "/proc/net/udp6", port, tcp);
    dir = inode ? opendir("/proc") : NULL;
    snprintf(want, sizeof(want), "socket:[%lu]", inode);
    for (int left = PIDS_MAX; dir && !*out && left && (entry = readdir(dir));) {
        if (entry->d_name[strspn(entry->d_name, "0123456789")])
            continue;
        left--;
        if (has_socket(entry->d_name, want))
            name_process(entry->d_name, out, size);
    }
    if (dir)
        closedir(dir);
}
