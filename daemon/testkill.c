#include "daemon/testkill.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/plog.h"

unsigned long testkill_left;

void testkill_init(void)
{
    const char *path = getenv("PM_TEST_KILL_CHANNEL");
    FILE *f = path ? fopen(path, "re") : NULL;

    if (!f)
        return;
    if (fscanf(f, "%lu", &testkill_left) != 1)
        testkill_left = 0;
    fclose(f);
    unlink(path);
    log_info("for a test: this engine dies at point %lu of its channels", testkill_left);
}

void testkill_now(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}
