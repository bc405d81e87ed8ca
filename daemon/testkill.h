/*
 * For tests only: the engine kills itself at the N-th point of the Node channels' exchange. N is in the file
 * that PM_TEST_KILL_CHANNEL names; the engine that reads it removes it, so the one after it lives.
 */
#ifndef PM_DAEMON_TESTKILL_H
#define PM_DAEMON_TESTKILL_H

void testkill_init(void); /* once, at the engine's start */

extern unsigned long testkill_left; /* points until the end; 0 = never */
void testkill_now(void);

static inline void testkill_point(void)
{
    if (testkill_left && --testkill_left == 0)
        testkill_now();
}

#endif
