/*
 * The low-disk guard. Below the limit the oldest rows are deleted; below a quarter of it nothing of the logs
 * is written to this disk any more, as if it were full, so that state.db still has room for what happens.
 */
#include <string.h>
#include <sys/statvfs.h>

#include "common/clock.h"
#include "common/fs.h"
#include "common/mem.h"
#include "daemon/log_writer.h"

#define CHECK_MS  250u
#define STOP_PART 4

static uint64_t limit_of(const struct log_bounds *b, uint64_t size)
{
    uint64_t part = size / 100 * b->min_free_percent;

    if (!b->min_free_percent)
        return b->min_free;
    return b->min_free && b->min_free < part ? b->min_free : part;
}

static void tell(struct log_writer *w, enum log_disk_level level, uint64_t left)
{
    if (level == DISK_FINE || (level == DISK_LOW && w->disk.told))
        return;
    if (w->db_failing) /* a write found it out first, and has said so */
        return;
    w->disk.told = true;
    if (level == DISK_LOW)
        log_trouble(w, "the disk of %s has only %llu MB left (logs:min_free): the oldest lines are deleted",
                    w->l->db_path, (unsigned long long)(left >> 20));
    else
        log_trouble(w, "the disk of %s has only %llu KB left: no logs are written until there is space again",
                    w->l->db_path, (unsigned long long)(left >> 10));
}

void log_disk_check(struct log_writer *w)
{
    struct log_disk *d = &w->disk;
    uint64_t now = clock_mono_ms(), limit, left;
    enum log_disk_level level = DISK_FINE;
    _cleanup_free_ char *folder = NULL;
    struct statvfs st;

    if (d->checked_at && now < d->checked_at + CHECK_MS)
        return;
    d->checked_at = now;
    folder = xstrdup(w->l->db_path);
    if (strrchr(folder, '/'))
        *strrchr(folder, '/') = '\0';
    if (statvfs(*folder ? folder : "/", &st) < 0)
        return; /* what is wrong with it shows when something is written */
    d->size = (uint64_t)st.f_blocks * st.f_frsize;
    left = (uint64_t)st.f_bavail * st.f_frsize;
    limit = limit_of(&w->prune.bounds, d->size);
    d->lacking = left < limit ? limit - left : 0;
    if (limit && left < limit)
        level = left < limit / STOP_PART ? DISK_STOP : DISK_LOW;
    if (level == DISK_STOP && d->level != DISK_STOP)
        log_commit(w);
    if (level != d->level)
        tell(w, level, left);
    if (level != DISK_FINE && (level != d->level || w->prune.fresh > d->lacking / 4))
        w->prune.wanted = true;
    if (d->lacking == 0 && left > limit + limit / 8)
        d->told = false;
    d->level = level;
    if (level == DISK_STOP)
        log_retry_later(w, now + LOG_RETRY_MS);
}
