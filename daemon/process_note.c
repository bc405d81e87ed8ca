/*
 * The note that the keeper keeps with each run: what a new engine needs when state.db is behind or gone.
 * Little-endian fields in a fixed order; a longer note of a newer build is read as far as it is known.
 */
#include <errno.h>
#include <string.h>

#include "common/kwire.h"
#include "daemon/supervisor.h"

#define NOTE_FORMAT 1u
#define NOTE_FRESH  0x1u
#define NOTE_UP     0x2u
#define NOTE_READY  0x4u
#define NOTE_LISTEN 0x8u
#define NOTE_DRAIN  0x10u

enum {
    AT_FORMAT = 0,
    AT_FLAGS = 1,
    AT_RESTARTS = 2,
    AT_UNSTABLE = 6,
    AT_BACKOFF = 10,
    AT_INSTANCE = 14,
    AT_CREATED = 18,
    AT_APP = 26,
    AT_STATE = 34,
    AT_REASON = 35,
    AT_ONLINE = 36,
    AT_SIGNALED = 44,
    AT_DEADLINE = 52,
    NOTE_LEN_1 = 60, /* of builds that had no reload */
    AT_ROLE = 60,
    NOTE_LEN_2 = 61, /* that had no schedules */
    AT_HANDLED = 61,
    NOTE_LEN = 69
};
_Static_assert(NOTE_LEN <= KW_NOTE_MAX, "the note does not fit the keeper's record");

static void put(uint8_t *at, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get(const uint8_t *at, unsigned bytes)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < bytes; i++)
        v |= (uint64_t)at[i] << (8 * i);
    return v;
}

size_t process_note_write(const struct process *p, uint8_t *out, size_t size)
{
    if (size < NOTE_LEN)
        return 0;
    out[AT_FORMAT] = NOTE_FORMAT;
    out[AT_FLAGS] = (uint8_t)((p->fresh ? NOTE_FRESH : 0) | (p->desired == DESIRED_UP ? NOTE_UP : 0) |
                              (p->said_ready ? NOTE_READY : 0) | (p->must_listen ? NOTE_LISTEN : 0) |
                              (p->disconnecting ? NOTE_DRAIN : 0));
    put(out + AT_RESTARTS, p->counters.restarts, 4);
    put(out + AT_UNSTABLE, p->counters.unstable, 4);
    put(out + AT_BACKOFF, p->counters.backoff_delay, 4);
    put(out + AT_INSTANCE, p->instance, 4);
    put(out + AT_CREATED, p->created_ms, 8);
    put(out + AT_APP, p->app ? p->app->id : 0, 8);
    out[AT_STATE] = (uint8_t)p->state;
    out[AT_REASON] = (uint8_t)p->reason;
    put(out + AT_ONLINE, p->online_ms, 8);
    put(out + AT_SIGNALED, p->signaled_ms, 8);
    put(out + AT_DEADLINE, p->deadline_ms, 8);
    out[AT_ROLE] = (uint8_t)p->role;
    put(out + AT_HANDLED, (uint64_t)p->times.handled, 8);
    return NOTE_LEN;
}

int process_note_read(struct process *p, const uint8_t *note, size_t len)
{
    if (len < NOTE_LEN_1 || note[AT_FORMAT] != NOTE_FORMAT)
        return -EBADMSG;
    p->fresh = note[AT_FLAGS] & NOTE_FRESH;
    p->said_ready = note[AT_FLAGS] & NOTE_READY;
    p->must_listen = note[AT_FLAGS] & NOTE_LISTEN;
    p->disconnecting = note[AT_FLAGS] & NOTE_DRAIN;
    p->desired = note[AT_FLAGS] & NOTE_UP ? DESIRED_UP : DESIRED_DOWN;
    p->counters.restarts = (uint32_t)get(note + AT_RESTARTS, 4);
    p->counters.unstable = (uint32_t)get(note + AT_UNSTABLE, 4);
    p->counters.backoff_delay = (uint32_t)get(note + AT_BACKOFF, 4);
    p->instance = (uint32_t)get(note + AT_INSTANCE, 4);
    p->created_ms = get(note + AT_CREATED, 8);
    if (note[AT_STATE] < LC_STATE_COUNT)
        p->state = (enum lc_state)note[AT_STATE];
    if (note[AT_REASON] < LC_REASON_COUNT)
        p->reason = (enum lc_reason)note[AT_REASON];
    p->online_ms = get(note + AT_ONLINE, 8);
    p->signaled_ms = get(note + AT_SIGNALED, 8);
    p->deadline_ms = get(note + AT_DEADLINE, 8);
    /* It is written whenever this changes; without it (a run of an older build) state.db knows. */
    if (len >= NOTE_LEN && get(note + AT_HANDLED, 8))
        p->times = (struct schedule_clock){.handled = (int64_t)get(note + AT_HANDLED, 8)};
    return 0;
}

uint64_t process_note_app(const uint8_t *note, size_t len)
{
    if (len < NOTE_LEN_1 || note[AT_FORMAT] != NOTE_FORMAT)
        return 0;
    return get(note + AT_APP, 8);
}

enum process_role process_note_role(const uint8_t *note, size_t len)
{
    if (len < NOTE_LEN_2 || note[AT_FORMAT] != NOTE_FORMAT || note[AT_ROLE] > ROLE_DRAINING)
        return ROLE_SLOT;
    return (enum process_role)note[AT_ROLE];
}
