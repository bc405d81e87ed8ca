/* One event of the daemon as a line for people. */
#ifndef PM_CLI_EVENTLINE_H
#define PM_CLI_EVENTLINE_H

#include <jansson.h>
#include <stdbool.h>

struct buf;

/* "2025-10-18 14:03:22.123  api (0)  exit  exited with code 7 after 40 ms", with its line break. What an app
 * said is made harmless for a terminal. */
void eventline_append(struct buf *out, const json_t *event, bool color);

#endif
