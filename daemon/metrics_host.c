#include "daemon/metrics_host.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "daemon/metrics_proc.h"

#define TEXT_MAX 65536 /* bytes of one of these files; beyond, the rest is not seen */
#define SECTOR   512   /* bytes, of diskstats, whatever the disk's own are */

static void read_cpu(int proc, char *text, struct metrics_host_last *now, struct metrics_host *out)
{
    unsigned long long v[8] = {0};

    if (metrics_read_text(proc, "stat", text, TEXT_MAX) <= 0 ||
        sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5],
               &v[6], &v[7]) < 4)
        return;
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        now->all += v[i];
    now->busy = now->all - v[3] - v[4]; /* idle and waiting for disks */
    for (const char *p = strstr(text, "\ncpu"); p; p = strstr(p + 1, "\ncpu"))
        out->cpus += isdigit((unsigned char)p[4]) != 0;
}

static void read_memory(int proc, char *text, struct metrics_host *out)
{
    static const char *const keys[] = {"MemTotal", "MemAvailable", "SwapTotal", "SwapFree"};
    uint64_t *const values[] = {&out->memory_total, &out->memory_available, &out->swap_total,
                                &out->swap_free};

    if (metrics_read_text(proc, "meminfo", text, TEXT_MAX) <= 0)
        return;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (metrics_field(text, keys[i], values[i]))
            *values[i] *= 1024;
}

/* "sda1" of "sda", "nvme0n1p2" of "nvme0n1": what goes to a part is counted for the whole as well. */
static bool is_part_of(const char *name, const char *whole)
{
    size_t len = strlen(whole);

    if (!*whole || strncmp(name, whole, len) != 0)
        return false;
    name += len;
    if (isdigit((unsigned char)whole[len - 1]) && *name == 'p')
        name++;
    return isdigit((unsigned char)*name) != 0;
}

/* Not real disks, or made of others that are counted. */
static bool is_virtual_disk(const char *name)
{
    return strncmp(name, "loop", 4) == 0 || strncmp(name, "ram", 3) == 0 || strncmp(name, "dm-", 3) == 0 ||
           strncmp(name, "md", 2) == 0 || strncmp(name, "zram", 4) == 0 || strncmp(name, "sr", 2) == 0;
}

static void read_disks(int proc, char *text, struct metrics_host_last *now)
{
    char whole[64] = "", *save = NULL;

    if (metrics_read_text(proc, "diskstats", text, TEXT_MAX) <= 0)
        return;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        unsigned long long in, out;
        char name[64];

        if (sscanf(line, " %*u %*u %63s %*u %*u %llu %*u %*u %*u %llu", name, &in, &out) != 3 ||
            is_virtual_disk(name) || is_part_of(name, whole))
            continue;
        snprintf(whole, sizeof(whole), "%s", name);
        now->disk_read += in * SECTOR;
        now->disk_written += out * SECTOR;
    }
}

static void read_network(int proc, char *text, struct metrics_host_last *now)
{
    char *save = NULL;

    if (metrics_read_text(proc, "net/dev", text, TEXT_MAX) <= 0)
        return;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        unsigned long long in, out;
        char *colon = strrchr(line, ':'), *name = line + strspn(line, " ");

        if (!colon || strncmp(name, "lo:", 3) == 0 ||
            sscanf(colon + 1, " %llu %*u %*u %*u %*u %*u %*u %*u %llu", &in, &out) != 2)
            continue;
        now->net_received += in;
        now->net_sent += out;
    }
}

/* A second: 0 when the counter went back, as with a disk that was taken out. */
static uint64_t speed(uint64_t now, uint64_t before, uint64_t ms)
{
    return ms && now > before ? (now - before) * 1000 / ms : 0;
}

void metrics_host_read(int proc, struct metrics_host_last *last, struct metrics_host *out, uint64_t wall_ms,
                       uint64_t mono_ms)
{
    _cleanup_free_ char *text = xmalloc(TEXT_MAX);
    struct metrics_host_last now = {.mono_ms = mono_ms};
    uint64_t ms = last->mono_ms ? mono_ms - last->mono_ms : 0;

    *out = (struct metrics_host){.time_ms = wall_ms};
    read_cpu(proc, text, &now, out);
    read_memory(proc, text, out);
    read_disks(proc, text, &now);
    read_network(proc, text, &now);
    if (metrics_read_text(proc, "loadavg", text, TEXT_MAX) > 0)
        sscanf(text, "%lf %lf %lf", &out->load[0], &out->load[1], &out->load[2]);
    if (ms && now.all > last->all && now.busy >= last->busy)
        out->cpu_percent = 100.0 * (double)(now.busy - last->busy) / (double)(now.all - last->all);
    out->disk_read = speed(now.disk_read, last->disk_read, ms);
    out->disk_written = speed(now.disk_written, last->disk_written, ms);
    out->net_received = speed(now.net_received, last->net_received, ms);
    out->net_sent = speed(now.net_sent, last->net_sent, ms);
    *last = now;
}
