#include "daemon/log_rate.h"

#define RATE_MAX (UINT64_C(1) << 40) /* a second of it in thousandths, times 1000 ms, still fits */

static uint64_t clamp(uint64_t rate)
{
    return rate < RATE_MAX ? rate : RATE_MAX;
}

void log_rate_init(struct log_rate *r, uint64_t lines, uint64_t bytes, uint64_t now_ms)
{
    *r = (struct log_rate){.lines = clamp(lines), .bytes = clamp(bytes), .at = now_ms};
    r->have_lines = (int64_t)r->lines * 1000;
    r->have_bytes = (int64_t)r->bytes * 1000;
}

static int64_t filled(int64_t have, uint64_t rate, uint64_t ms)
{
    int64_t full = (int64_t)rate * 1000;
    /* What is owed is at most one longest line: so the time to pay it back is bounded by that, not by us. */
    uint64_t room = (uint64_t)(full - have);

    if (!rate)
        return 0;
    return ms >= room / rate + 1                ? full
           : have + (int64_t)(rate * ms) > full ? full
                                                : have + (int64_t)(rate * ms);
}

static void refill(struct log_rate *r, uint64_t now_ms)
{
    uint64_t ms = now_ms > r->at ? now_ms - r->at : 0;

    r->have_lines = filled(r->have_lines, r->lines, ms);
    r->have_bytes = filled(r->have_bytes, r->bytes, ms);
    r->at = now_ms;
}

static uint64_t wait_for(int64_t have, uint64_t rate)
{
    uint64_t room = (uint64_t)((int64_t)rate * 1000 - have);

    return rate ? (room + rate - 1) / rate : 0;
}

uint64_t log_rate_wait(struct log_rate *r, uint64_t now_ms)
{
    uint64_t lines, bytes;

    refill(r, now_ms);
    lines = wait_for(r->have_lines, r->lines);
    bytes = wait_for(r->have_bytes, r->bytes);
    return lines > bytes ? lines : bytes;
}

void log_rate_charge(struct log_rate *r, uint64_t bytes)
{
    if (r->bytes)
        r->have_bytes -= (int64_t)bytes * 1000;
}

bool log_rate_allow(struct log_rate *r, uint64_t now_ms, uint64_t bytes)
{
    if (r->dry) {
        if (log_rate_wait(r, now_ms) > 0)
            return false;
        r->dry = false;
    }
    if (now_ms != r->at)
        refill(r, now_ms);
    if ((r->lines && r->have_lines < 1000) || (r->bytes && r->have_bytes <= 0)) {
        r->dry = true;
        return false;
    }
    if (r->lines)
        r->have_lines -= 1000;
    log_rate_charge(r, bytes);
    return true;
}
